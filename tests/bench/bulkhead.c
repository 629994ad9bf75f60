// SPDX-License-Identifier: Apache-2.0
/*
 * The bulkhead under load: many threads connect(), let others run, and close(), through
 * a gate with a cap; some are refused. How many of these found a slot that was free?
 *
 * The kernel looks once, at some moment within the call, which is seen from outside only:
 *
 *	certain		not even with every connection that may have held a slot at some
 *			moment of the refused call were as many as the cap held
 *	likely		the gate's own count was below the cap just before the call and just
 *			after it; it may still have been full in between
 *
 *	      connect()             close()
 *	   |------------|---------|-----------|
 *	  may hold        holds      may hold
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define CAP	    8
#define THREADS_MAX 64

struct call {
	uint64_t began; /* connect() */
	uint64_t returned;
	uint64_t closing; /* close(), of those that passed */
	uint64_t closed;
	bool passed;
	bool room_before; /* the gate's count was below the cap */
	bool room_after;
};

struct caller {
	const volatile __u64 *in_use;
	struct sockaddr_in address;
	struct call *calls;
	uint32_t count;
	int error;
};

/* How many hold a slot, from this moment on. */
struct step {
	uint64_t at;
	int held;
};

static int compare_steps(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	/* at the same moment: as many as can be */
	return y->held - x->held;
}

static void *call_again_and_again(void *argument)
{
	const struct linger linger = {.l_onoff = 1}; /* no port stays behind in TIME_WAIT */
	struct caller *caller = argument;

	for (uint32_t i = 0; i < caller->count && caller->error == 0; i++) {
		struct call *call = &caller->calls[i];
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int r;

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0) {
			caller->error = -errno;
			return NULL;
		}
		call->room_before = *caller->in_use < CAP;
		call->began = bench_now();
		r = connect(fd, (const struct sockaddr *)&caller->address, sizeof(caller->address)) < 0
			    ? -errno
			    : 0;
		call->returned = bench_now();
		call->room_after = *caller->in_use < CAP;
		call->passed = r == 0;
		if (r < 0 && r != -EHOSTUNREACH)
			caller->error = r;
		/* the others come while it is open; and who was refused leaves the processor to who holds a slot */
		(void)sched_yield();
		call->closing = bench_now();
		(void)close(fd);
		call->closed = bench_now();
	}
	return NULL;
}

/* Runs all callers to their end. */
static int run_callers(struct caller *callers, uint32_t threads, int listener)
{
	pthread_t ids[THREADS_MAX], acceptor;
	uint32_t started = 0;
	int r;

	r = -pthread_create(&acceptor, NULL, bench_accept_all, &listener);
	if (r < 0)
		return r;
	while (started < threads && r == 0) {
		r = -pthread_create(&ids[started], NULL, call_again_and_again, &callers[started]);
		started += r == 0;
	}
	for (uint32_t i = 0; i < started; i++) {
		(void)pthread_join(ids[i], NULL);
		if (r == 0)
			r = callers[i].error;
	}
	(void)shutdown(listener, SHUT_RDWR);
	(void)pthread_join(acceptor, NULL);
	if (r < 0)
		(void)fprintf(stderr, "ebb-bench: bulkhead: %s\n", strerror(-r));
	return r;
}

/* ------------------------------------------------------------------- count -- */

/* The steps of the passed calls, from outside (@may) or from inside. Returns how many. */
static size_t make_steps(const struct call *calls, size_t count, bool may, struct step *ret_steps)
{
	size_t n = 0;
	int held = 0;

	for (size_t i = 0; i < count; i++) {
		if (!calls[i].passed)
			continue;
		ret_steps[n++] = (struct step){may ? calls[i].began : calls[i].returned, 1};
		ret_steps[n++] = (struct step){may ? calls[i].closed : calls[i].closing, -1};
	}
	qsort(ret_steps, n, sizeof(*ret_steps), compare_steps);
	for (size_t i = 0; i < n; i++) {
		held += ret_steps[i].held;
		ret_steps[i].held = held;
	}
	return n;
}

/* The index of the first step after @at. */
static size_t steps_after(const struct step *steps, size_t count, uint64_t at)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (steps[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The refused calls during which never as many as the cap may have held a slot. */
static uint32_t count_certain(const struct call *calls, size_t count, const struct step *steps,
			      size_t step_count)
{
	uint32_t certain = 0;

	for (size_t i = 0; i < count; i++) {
		size_t s = steps_after(steps, step_count, calls[i].began);
		int most;

		if (calls[i].passed)
			continue;
		most = s > 0 ? steps[s - 1].held : 0;
		for (; s < step_count && steps[s].at <= calls[i].returned; s++)
			most = steps[s].held > most ? steps[s].held : most;
		certain += most < CAP;
	}
	return certain;
}

static int tell(const struct call *calls, uint32_t count, uint64_t in_use, json_t *ret_result)
{
	struct step *steps = calloc((size_t)2 * count, sizeof(*steps));
	uint32_t refused = 0, certain, likely = 0;
	int most = 0;
	size_t n;

	if (!steps)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		refused += !calls[i].passed;
		likely += !calls[i].passed && calls[i].room_before && calls[i].room_after;
	}
	n = make_steps(calls, count, true, steps);
	certain = count_certain(calls, count, steps, n);
	n = make_steps(calls, count, false, steps);
	for (size_t i = 0; i < n; i++)
		most = steps[i].held > most ? steps[i].held : most;
	free(steps);
	(void)json_object_set_new(ret_result, "cap", json_integer(CAP));
	(void)json_object_set_new(ret_result, "calls", json_integer(count));
	(void)json_object_set_new(ret_result, "refused", json_integer(refused));
	(void)json_object_set_new(ret_result, "false_certain", json_integer(certain));
	(void)json_object_set_new(ret_result, "false_likely", json_integer(likely));
	(void)json_object_set_new(ret_result, "most_held", json_integer(most));
	(void)json_object_set_new(ret_result, "in_use_at_end", json_integer((json_int_t)in_use));
	return 0;
}

/* One connection before the cap is there, so that the gate is known. */
static int meet(const struct bench_hooks *hooks, const struct sockaddr_in *address,
		const volatile __u64 **ret_in_use)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = 0;
	uint32_t pair;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		r = -errno;
	if (fd >= 0)
		(void)close(fd);
	pair = bench_find_pair(hooks->view, address);
	if (r == 0 && pair == 0)
		r = -ENOENT;
	if (r < 0) {
		(void)fprintf(stderr, "ebb-bench: bulkhead: first connect(): %s\n", strerror(-r));
		return r;
	}
	*ret_in_use = &hooks->view->gates[hooks->view->pairs[pair].gate].in_use;
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < hooks->view->dst_max; d++) {
		hooks->view->policies[d].limits.concurrent = CAP;
		hooks->view->policies[d].asks = EBB_ASK_CONNECT;
	}
	return 0;
}

static int measure(const struct bench_options *options, const struct bench_hooks *hooks, json_t *ret_result)
{
	uint32_t each = options->trials / options->threads, count = each * options->threads;
	struct caller callers[THREADS_MAX] = {};
	const volatile __u64 *in_use = NULL;
	struct sockaddr_in address;
	struct call *calls;
	uint16_t port;
	int fd, r;

	r = bench_listen(&fd, &port);
	if (r < 0)
		return r;
	address = bench_address(options->first, port);
	calls = calloc(count, sizeof(*calls));
	r = calls ? bench_enter_cgroup(options->cgroup) : -ENOMEM;
	if (r == 0)
		r = meet(hooks, &address, &in_use);
	for (uint32_t i = 0; i < options->threads; i++)
		callers[i] = (struct caller){.in_use = in_use,
					     .address = address,
					     .calls = calls + (size_t)i * each,
					     .count = each};
	if (r == 0)
		r = run_callers(callers, options->threads, fd);
	(void)close(fd);
	if (r == 0)
		r = tell(calls, count, *in_use, ret_result);
	free(calls);
	return r;
}

int bench_bulkhead(const struct bench_options *options, json_t *ret_result)
{
	struct bench_hooks hooks;
	int r;

	if (options->threads < 1 || options->threads > THREADS_MAX || options->trials < options->threads) {
		(void)fprintf(stderr, "ebb-bench: bulkhead: --threads 1 to %d, --trials at least as many\n",
			      THREADS_MAX);
		return -EINVAL;
	}
	r = bench_hooks_open(&hooks, options, 0);
	if (r < 0)
		return r;
	r = bench_hooks_use(&hooks, BENCH_ARM_EBB);
	if (r == 0)
		r = measure(options, &hooks, ret_result);
	bench_hooks_close(&hooks);
	(void)json_object_set_new(ret_result, "threads", json_integer(options->threads));
	return r;
}

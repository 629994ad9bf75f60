// SPDX-License-Identifier: Apache-2.0
/*
 * From the failure that trips to the first refused connect(). Each trial is a new
 * destination, a closed port; one or more threads connect() as fast as they can
 * until they are refused by us (EHOSTUNREACH) and not by the port (ECONNREFUSED).
 *
 * A connect slipped through if it began after the one that made the Nth failure
 * had returned, and still reached the port. The time is from that return to the
 * return of the first connect() that is refused.
 *
 * With --proxy, each trial is a port of a proxy on this node (tests/bench/trip.py), whose server is a closed port. It
 * accepts everybody, so both results come with what is read, and its configuration makes them different:
 *
 *	the end of the connection   the server was tried, and failed
 *	a reset                     turned away: the server is marked down
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define FAILURES    5
#define DEADLINE_NS 5000000000ULL
#define PAUSE_NS    20000000 /* between trials: a storm of failures is looked at less often, by design */
#define THREADS_MAX 16

struct trial {
	struct sockaddr_in address;
	bool proxy;
	uint64_t deadline_ns;
	uint64_t failures;   /* atomic, like all below */
	uint64_t nth_ns;     /* when the Nth failing connect() had returned */
	uint64_t refused_ns; /* when the first refused one had */
	uint64_t slipped;
	int error;
};

/* What a proxy says, as connect() would. Its reset may come before connect() has returned. */
static int hear_proxy(int fd, int connected)
{
	char byte;
	ssize_t n;

	if (connected == 0) {
		n = recv(fd, &byte, 1, 0);
		if (n == 0)
			return -ECONNREFUSED;
		connected = n > 0 ? -EPROTO : -errno;
	}
	return connected == -ECONNRESET ? -EHOSTUNREACH : connected;
}

static int try_once(const struct trial *trial)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)&trial->address, sizeof(trial->address)) < 0 ? -errno : 0;
	if (trial->proxy)
		r = hear_proxy(fd, r);
	(void)close(fd);
	return r;
}

static void set_once(uint64_t *word, uint64_t value)
{
	uint64_t zero = 0;

	(void)__atomic_compare_exchange_n(word, &zero, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *hammer(void *argument)
{
	struct trial *trial = argument;

	for (;;) {
		bool late = __atomic_load_n(&trial->failures, __ATOMIC_SEQ_CST) >= FAILURES;
		int r = try_once(trial);
		uint64_t now = bench_now();

		if (r == -EHOSTUNREACH) {
			set_once(&trial->refused_ns, now);
			return NULL;
		}
		if (r != -ECONNREFUSED || now > trial->deadline_ns) {
			__atomic_store_n(&trial->error, r == -ECONNREFUSED ? -ETIME : r, __ATOMIC_SEQ_CST);
			return NULL;
		}
		if (late)
			(void)__atomic_add_fetch(&trial->slipped, 1, __ATOMIC_SEQ_CST);
		else if (__atomic_add_fetch(&trial->failures, 1, __ATOMIC_SEQ_CST) == FAILURES)
			set_once(&trial->nth_ns, now);
	}
}

static int run_trial(struct trial *trial, uint32_t threads)
{
	pthread_t others[THREADS_MAX];
	uint32_t started = 0;
	int r = 0;

	trial->deadline_ns = bench_now() + DEADLINE_NS;
	while (started + 1 < threads && started < THREADS_MAX && r == 0) {
		r = -pthread_create(&others[started], NULL, hammer, trial);
		started += r == 0;
	}
	(void)hammer(trial);
	for (uint32_t i = 0; i < started; i++)
		(void)pthread_join(others[i], NULL);
	if (r == 0)
		r = trial->error;
	if (r < 0)
		(void)fprintf(stderr, "ebb-bench: trip: not refused in time, or connect() gave: %s\n",
			      strerror(-r));
	return r;
}

static struct sockaddr_in proxy_address(uint32_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int measure(const struct bench_options *options, uint16_t port, double *times, double *slipped)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int r = 0;

	for (uint32_t i = 0; i < options->trials && r == 0; i++) {
		struct trial trial = {.proxy = options->proxy != 0};

		trial.address = trial.proxy ? proxy_address(options->proxy + options->first + i)
					    : bench_address(options->first + i, port);
		r = run_trial(&trial, options->threads);
		/* several connectors: the gate may refuse one before the Nth failure of another has returned */
		times[i] = trial.nth_ns && trial.refused_ns > trial.nth_ns
				   ? (double)(trial.refused_ns - trial.nth_ns)
				   : 0;
		slipped[i] = (double)trial.slipped;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

/* In the order of the trials: [[ns, slipped], ...]. */
static json_t *each_trial(const double *times, const double *slipped, uint32_t count)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < count; i++)
		(void)json_array_append_new(rows, json_pack("[f, f]", times[i], slipped[i]));
	return rows;
}

static int with_machine(const struct bench_options *options, double *times, double *slipped)
{
	struct bench_burners burners = {};
	uint16_t port;
	int fd, r;

	r = bench_closed_port(&fd, &port);
	if (r < 0)
		return r;
	if (options->busy)
		r = bench_burners_start(&burners);
	/* after the burners, which need not be governed */
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = measure(options, port, times, slipped);
	bench_burners_stop(&burners);
	(void)close(fd);
	return r;
}

int bench_trip(const struct bench_options *options, json_t *ret_result)
{
	double *times = calloc(options->trials, sizeof(double));
	double *slipped = calloc(options->trials, sizeof(double));
	struct bench_hooks hooks;
	double total = 0;
	int r = times && slipped ? 0 : -ENOMEM;

	/* the programs are those of an agent, or there are none */
	if (r == 0 && (options->agent || options->proxy)) {
		r = with_machine(options, times, slipped);
	} else if (r == 0) {
		r = bench_hooks_open(&hooks, options, FAILURES);
		if (r == 0) {
			hooks.view->agent->lease_ns = 3600ULL * 1000000000ULL;
			hooks.view->agent->heartbeat_ns = bench_now();
			r = bench_hooks_use(&hooks, BENCH_ARM_EBB);
			if (r == 0)
				r = with_machine(options, times, slipped);
			bench_hooks_close(&hooks);
		}
	}
	if (r == 0) {
		for (uint32_t i = 0; i < options->trials; i++)
			total += slipped[i];
		(void)json_object_set_new(ret_result, "threads", json_integer(options->threads));
		(void)json_object_set_new(ret_result, "busy", json_boolean(options->busy));
		/* before the summaries, which sort them */
		if (options->each)
			(void)json_object_set_new(ret_result, "each",
						  each_trial(times, slipped, options->trials));
		(void)json_object_set_new(ret_result, "reaction_ns", bench_summary(times, options->trials));
		(void)json_object_set_new(ret_result, "slipped_total", json_real(total));
		(void)json_object_set_new(ret_result, "slipped", bench_summary(slipped, options->trials));
	}
	free(times);
	free(slipped);
	return r;
}

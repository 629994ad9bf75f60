// SPDX-License-Identifier: Apache-2.0
/*
 * An allowed connection on loopback: nothing attached, empty programs, empty
 * programs with the callbacks that we need, ours; and nothing again, whose ratio
 * to the first is what the method itself cannot tell apart.
 *
 *	socket()
 *	connect()	timed; over loopback the handshake ends inside it
 *	accept(), close() of the server's end
 *	close()		timed; FIN out, ACK in: the socket reaches CLOSE inside it
 *
 * One thread is both ends, so no wake-up and no other processor is in the figure,
 * and since the server closes first, all callbacks of the client's socket but one
 * (ESTABLISHED -> CLOSE_WAIT) fall into the two timed calls: nothing dilutes them.
 * The time of the whole block, for each connection, is told beside it. BENCH_LOADS times, with programs loaded anew.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define WARM_UP	 32
#define FAILURES 5 /* open a breaker; there are none */

enum {
	CASE_NONE,
	CASE_EMPTY,
	CASE_ARMED,
	CASE_EBB,
	CASE_NONE_AGAIN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
} cases[CASE_MAX] = {
	[CASE_NONE] = {"none", BENCH_ARM_NONE},
	[CASE_EMPTY] = {"empty", BENCH_ARM_EMPTY},
	[CASE_ARMED] = {"armed", BENCH_ARM_ARMED},
	[CASE_EBB] = {"ebb", BENCH_ARM_EBB},
	[CASE_NONE_AGAIN] = {"none_again", BENCH_ARM_NONE},
};

struct listener {
	int fd;
	struct sockaddr_in address;
};

static int connection(const struct listener *listener, uint64_t *ret_connect_ns, uint64_t *ret_close_ns)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t t0, t1, t2, t3;
	int server, r;

	if (client < 0)
		return -errno;
	t0 = bench_now();
	r = connect(client, (const struct sockaddr *)&listener->address, sizeof(listener->address));
	t1 = bench_now();
	server = r < 0 ? -1 : accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0) {
		r = -errno;
		(void)fprintf(stderr, "ebb-bench: connect, accept: %s\n", strerror(-r));
		(void)close(client);
		return r;
	}
	(void)close(server);
	t2 = bench_now();
	(void)close(client);
	t3 = bench_now();
	*ret_connect_ns = t1 - t0;
	*ret_close_ns = t3 - t2;
	return 0;
}

static int block(const struct listener *listener, uint32_t count, uint64_t clock_ns,
		 struct bench_series *calls, struct bench_series *whole)
{
	uint64_t connect_ns, close_ns, start;
	int r = 0;

	for (uint32_t i = 0; i < WARM_UP && r == 0; i++)
		r = connection(listener, &connect_ns, &close_ns);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		start = bench_now();
		r = connection(listener, &connect_ns, &close_ns);
		whole->samples[whole->sample_count++] = (double)(bench_now() - start);
		calls->samples[calls->sample_count++] =
			(double)(connect_ns + close_ns) - 2 * (double)clock_ns;
	}
	bench_series_end_round(calls, count);
	bench_series_end_round(whole, count);
	return r;
}

/* As if its breaker had opened and closed again: the sockets of a gate of a later generation have a memory. */
static int move_gate(struct bench_hooks *hooks, const struct listener *listener)
{
	const struct ebb_view *view = hooks->view;
	uint64_t connect_ns, close_ns;
	uint32_t pair;
	int r;

	r = bench_hooks_use(hooks, BENCH_ARM_EBB);
	if (r == 0)
		r = connection(listener, &connect_ns, &close_ns);
	if (r < 0)
		return r;
	pair = bench_find_pair(view, &listener->address);
	if (!pair)
		return -ENOENT;
	view->verdicts[view->dst_max + pair].word = ebb_word(3, EBB_STATE_CLOSED, 0);
	return 0;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks,
		   const struct listener *listener, struct bench_series calls[CASE_MAX],
		   struct bench_series whole[CASE_MAX])
{
	uint64_t clock_ns = bench_clock_cost();
	int r = 0;

	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		r = bench_hooks_renew(hooks, options, FAILURES, round);
		if (r >= 0)
			r = options->moved && (round == 0 || r) ? move_gate(hooks, listener) : 0;
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			uint32_t c = (round + i) % CASE_MAX;

			r = bench_hooks_use(hooks, cases[c].arm);
			if (r == 0)
				r = block(listener, options->samples, clock_ns, &calls[c], &whole[c]);
		}
	}
	return r;
}

static json_t *describe(const struct bench_series calls[CASE_MAX], const struct bench_series whole[CASE_MAX],
			int c)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "calls_ns",
			 bench_summary(calls[c].samples, calls[c].sample_count), "whole_ns",
			 bench_summary(whole[c].samples, whole[c].sample_count), "calls_ratio",
			 bench_ratio(&calls[c], &calls[CASE_NONE]), "whole_ratio",
			 bench_ratio(&whole[c], &whole[CASE_NONE]));
}

int bench_allowed(const struct bench_options *options, json_t *ret_result)
{
	struct bench_series calls[CASE_MAX] = {}, whole[CASE_MAX] = {};
	struct listener listener;
	struct bench_hooks hooks;
	uint16_t port;
	int r;

	r = bench_listen(&listener.fd, &port);
	if (r < 0)
		return r;
	listener.address = bench_address(0, port);
	for (int c = 0; c < CASE_MAX && r == 0; c++) {
		r = bench_series_init(&calls[c], options->rounds, options->samples);
		if (r == 0)
			r = bench_series_init(&whole[c], options->rounds, options->samples);
	}
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, FAILURES);
	if (r == 0) {
		r = measure(options, &hooks, &listener, calls, whole);
		bench_hooks_close(&hooks);
	}
	if (r == 0) {
		for (int c = 0; c < CASE_MAX; c++)
			(void)json_object_set_new(ret_result, cases[c].name, describe(calls, whole, c));
		(void)json_object_set_new(ret_result, "ebb_to_armed",
					  bench_ratio(&calls[CASE_EBB], &calls[CASE_ARMED]));
	}
	for (int c = 0; c < CASE_MAX; c++) {
		bench_series_done(&calls[c]);
		bench_series_done(&whole[c]);
	}
	(void)close(listener.fd);
	return r;
}

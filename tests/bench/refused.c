// SPDX-License-Identifier: Apache-2.0
/*
 * A connect() that our open gate refuses, against one to a closed local port of
 * a machine without an agent, and for information one to a closed port that our
 * programs see (what the destination that fails costs before its breaker opens).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define WARM_UP 32

enum {
	CASE_CLOSED,
	CASE_GATE,
	CASE_CLOSED_SEEN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	int expected;
} cases[CASE_MAX] = {
	[CASE_CLOSED] = {"closed_port", BENCH_ARM_NONE, ECONNREFUSED},
	[CASE_GATE] = {"open_gate", BENCH_ARM_EBB, EHOSTUNREACH},
	[CASE_CLOSED_SEEN] = {"closed_port_seen", BENCH_ARM_EBB, ECONNREFUSED},
};

/* A new socket for each try, as a program would; only connect() is timed. */
static int block(const struct sockaddr_in *address, int expected, uint32_t count, uint64_t clock_ns,
		 struct bench_series *series)
{
	for (uint32_t i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint64_t start, end;
		int got;

		if (fd < 0)
			return -errno;
		start = bench_now();
		got = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
		end = bench_now();
		(void)close(fd);
		if (got != expected) {
			(void)fprintf(stderr, "ebb-bench: connect: %s, expected %s\n", strerror(got),
				      strerror(expected));
			return -EPROTO;
		}
		if (series)
			series->samples[series->sample_count++] = (double)(end - start) - (double)clock_ns;
	}
	return 0;
}

/* Discovers the destination and opens its gate, for an hour, as an agent's verdict would. */
static int open_gate(const struct bench_hooks *hooks, const struct sockaddr_in *address)
{
	const struct ebb_view *view = hooks->view;
	uint32_t pair;
	int r;

	r = block(address, ECONNREFUSED, 1, 0, NULL);
	if (r < 0)
		return r;
	pair = bench_find_pair(view, address);
	if (!pair)
		return -ENOENT;
	view->agent->lease_ns = 3600ULL * 1000000000ULL;
	view->agent->heartbeat_ns = bench_now();
	view->verdicts[view->dst_max + pair].word =
		ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(bench_now() + view->agent->lease_ns));
	return 0;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks,
		   struct bench_series series[CASE_MAX], uint64_t clock_ns)
{
	struct sockaddr_in addresses[CASE_MAX];
	int port_fd, r;
	uint16_t port;

	r = bench_closed_port(&port_fd, &port);
	for (int c = 0; c < CASE_MAX; c++)
		addresses[c] = bench_address((uint32_t)c, port);
	if (r == 0)
		r = bench_hooks_use(hooks, BENCH_ARM_EBB);
	if (r == 0)
		r = open_gate(hooks, &addresses[CASE_GATE]);
	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			uint32_t c = (round + i) % CASE_MAX;

			r = bench_hooks_use(hooks, cases[c].arm);
			if (r == 0)
				r = block(&addresses[c], cases[c].expected, WARM_UP, 0, NULL);
			if (r == 0)
				r = block(&addresses[c], cases[c].expected, options->samples, clock_ns,
					  &series[c]);
			bench_series_end_round(&series[c], options->samples);
		}
	}
	if (port_fd >= 0)
		(void)close(port_fd);
	return r;
}

int bench_refused(const struct bench_options *options, json_t *ret_result)
{
	struct bench_series series[CASE_MAX] = {};
	struct bench_hooks hooks;
	uint64_t clock_ns = bench_clock_cost();
	int r = 0;

	for (int c = 0; c < CASE_MAX && r == 0; c++)
		r = bench_series_init(&series[c], options->rounds, options->samples);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 0);
	if (r == 0) {
		r = measure(options, &hooks, series, clock_ns);
		bench_hooks_close(&hooks);
	}
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		(void)json_object_set_new(ret_result, cases[c].name,
					  bench_summary(series[c].samples, series[c].sample_count));
	if (r == 0) {
		(void)json_object_set_new(ret_result, "clock_ns", json_integer((json_int_t)clock_ns));
		(void)json_object_set_new(ret_result, "speedup",
					  bench_ratio(&series[CASE_CLOSED], &series[CASE_GATE]));
		(void)json_object_set_new(ret_result, "closed_port_seen_ratio",
					  bench_ratio(&series[CASE_CLOSED_SEEN], &series[CASE_CLOSED]));
	}
	for (int c = 0; c < CASE_MAX; c++)
		bench_series_done(&series[c]);
	return r;
}

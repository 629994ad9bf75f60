// SPDX-License-Identifier: Apache-2.0
/*
 * A connect() that our open gate refuses, against one to a closed local port of
 * a machine without an agent, and for information one to a closed port that our
 * programs see (what the destination that fails costs before its breaker opens).
 *
 * And what refuses with a packet filter: a rule of nftables and one of iptables that answer a SYN with a reset, and so as fast as
 * they can (an ICMP error does not reach a socket in its own connect()). Somebody listens there, so that the rule must have done it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "server.h"

#define WARM_UP 32

enum {
	CASE_CLOSED,
	CASE_GATE,
	CASE_CLOSED_SEEN,
	CASE_NFTABLES,
	CASE_IPTABLES,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	int expected;
	const char *add,
		*remove; /* NULL: nothing to do; the address is that of bench_address() for the case */
} cases[CASE_MAX] = {
	[CASE_CLOSED] = {"closed_port", BENCH_ARM_NONE, ECONNREFUSED, NULL, NULL},
	[CASE_GATE] = {"open_gate", BENCH_ARM_EBB, EHOSTUNREACH, NULL, NULL},
	[CASE_CLOSED_SEEN] = {"closed_port_seen", BENCH_ARM_EBB, ECONNREFUSED, NULL, NULL},
	[CASE_NFTABLES] =
		{"nftables", BENCH_ARM_NONE, ECONNREFUSED,
		 "nft 'add table inet bench; add chain inet bench out { type filter hook output priority 0; };"
		 " add rule inet bench out ip daddr 127.1.0.4 tcp flags syn reject with tcp reset'",
		 "nft delete table inet bench"},
	[CASE_IPTABLES] = {"iptables", BENCH_ARM_NONE, ECONNREFUSED,
			   "iptables -A OUTPUT -d 127.1.0.5 -p tcp --syn -j REJECT --reject-with tcp-reset",
			   "iptables -F OUTPUT"},
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
	int port_fd, listener = -1, r;
	uint16_t port, open_port = 0;

	r = bench_closed_port(&port_fd, &port);
	if (r == 0)
		r = bench_listen(&listener, &open_port);
	for (int c = 0; c < CASE_MAX; c++)
		addresses[c] = bench_address((uint32_t)c, cases[c].add ? open_port : port);
	if (r == 0)
		r = bench_hooks_use(hooks, BENCH_ARM_EBB);
	if (r == 0)
		r = open_gate(hooks, &addresses[CASE_GATE]);
	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			uint32_t c = (round + i) % CASE_MAX;
			int end;

			r = bench_hooks_use(hooks, cases[c].arm);
			if (r == 0 && cases[c].add)
				r = bench_run_shell(cases[c].add);
			if (r == 0)
				r = block(&addresses[c], cases[c].expected, WARM_UP, 0, NULL);
			if (r == 0)
				r = block(&addresses[c], cases[c].expected, options->samples, clock_ns,
					  &series[c]);
			bench_series_end_round(&series[c], options->samples);
			end = cases[c].remove ? bench_run_shell(cases[c].remove) : 0;
			r = r < 0 ? r : end;
		}
	}
	if (port_fd >= 0)
		(void)close(port_fd);
	if (listener >= 0)
		(void)close(listener);
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
	for (int c = CASE_NFTABLES; c <= CASE_IPTABLES && r == 0; c++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%s_to_gate", cases[c].name);
		(void)json_object_set_new(ret_result, name, bench_ratio(&series[c], &series[CASE_GATE]));
	}
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

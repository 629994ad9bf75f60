// SPDX-License-Identifier: Apache-2.0
/*
 * What a packet costs while a limit is not reached. Two destinations, one with a limit
 * far above what is sent and one without; the connections were opened under ebb:
 *
 *	none	    nothing attached
 *	no_limit    ebb, no destination has a limit: nothing at egress
 *	empty	    the same, and a program at egress that returns at once
 *	other	    ebb at egress, the destination of this packet has no limit
 *	limited	    ebb at egress, the destination has a limit that is not reached
 *
 * Timed is the processor time of the one thread that is both ends (over loopback a
 * packet is with its receiver when the call returns), so that others on this processor
 * are not in it: datagrams one by one, and a TCP stream in pieces of 256 KB.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "core/limit.h"
#include "lib/cleanup.h"

#define PAYLOAD	  100
#define DATAGRAMS 100 /* one sample */
#define PIECE	  (256U << 10)
#define PIECES	  8		  /* one sample */
#define FAR_OFF	  100000000000ULL /* bytes/s */

enum {
	CASE_NONE,
	CASE_NO_LIMIT,
	CASE_EMPTY,
	CASE_OTHER,
	CASE_LIMITED,
	CASE_NONE_AGAIN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	enum bench_packets packets;
	int destination;
} cases[CASE_MAX] = {
	[CASE_NONE] = {"none", BENCH_ARM_NONE, BENCH_PACKETS_NONE, 0},
	[CASE_NO_LIMIT] = {"no_limit", BENCH_ARM_EBB, BENCH_PACKETS_NONE, 0},
	[CASE_EMPTY] = {"empty", BENCH_ARM_EBB, BENCH_PACKETS_EMPTY, 0},
	[CASE_OTHER] = {"other", BENCH_ARM_EBB, BENCH_PACKETS_EBB, 0},
	[CASE_LIMITED] = {"limited", BENCH_ARM_EBB, BENCH_PACKETS_EBB, 1},
	[CASE_NONE_AGAIN] = {"none_again", BENCH_ARM_NONE, BENCH_PACKETS_NONE, 0},
};

#define ACCOUNTS 40

/* To one destination. */
struct path {
	struct sockaddr_in to;
	int listener; /* UDP: the receiver */
	int sender;
	int receiver;
};

/* One kind of traffic. */
struct traffic {
	const char *name;
	int type;
	int (*sample)(const struct path *path);
	double units; /* of one sample: what the figures are for each of */
	struct path paths[2];
	struct bench_series series[CASE_MAX];
	double program_ns[3][ACCOUNTS]; /* a run, of the cases accounted */
	uint32_t account_count;
};

static int fail(const char *what)
{
	int r = -errno;

	(void)fprintf(stderr, "ebb-bench: packets: %s: %s\n", what, strerror(-r));
	return r;
}

static uint64_t thread_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int datagrams(const struct path *path)
{
	static char bytes[PAYLOAD];

	for (int i = 0; i < DATAGRAMS; i++) {
		if (send(path->sender, bytes, sizeof(bytes), 0) < 0)
			return fail("send");
		if (recv(path->receiver, bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
			return fail("recv");
	}
	return 0;
}

static int pieces(const struct path *path)
{
	static char bytes[PIECE];
	ssize_t sent, got;

	for (int i = 0; i < PIECES; i++) {
		sent = send(path->sender, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (sent < 0)
			return fail("send");
		for (ssize_t left = sent; left > 0; left -= got) {
			got = recv(path->receiver, bytes, (size_t)left, 0);
			if (got <= 0)
				return fail("recv");
		}
	}
	return 0;
}

/* Before the cgroup is entered: what receives is not governed. */
static int open_listener(struct path *path, int type, uint32_t number)
{
	socklen_t size = sizeof(path->to);

	path->to = bench_address(number, 0);
	path->sender = path->receiver = -1;
	path->listener = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (path->listener < 0 || bind(path->listener, (struct sockaddr *)&path->to, size) < 0 ||
	    getsockname(path->listener, (struct sockaddr *)&path->to, &size) < 0 ||
	    (type == SOCK_STREAM && listen(path->listener, 8) < 0))
		return fail("cannot take a port");
	return 0;
}

static void close_ends(struct path *path)
{
	if (path->sender >= 0)
		(void)close(path->sender);
	if (path->receiver >= 0)
		(void)close(path->receiver);
	path->sender = path->receiver = -1;
}

static int open_ends(struct path *path, int type)
{
	int room = 4 << 20;

	close_ends(path);
	path->sender = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (path->sender < 0)
		return fail("socket");
	(void)setsockopt(path->sender, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	(void)setsockopt(path->listener, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (connect(path->sender, (struct sockaddr *)&path->to, sizeof(path->to)) < 0)
		return fail("connect");
	path->receiver =
		type == SOCK_STREAM ? accept4(path->listener, NULL, NULL, SOCK_CLOEXEC) : dup(path->listener);
	return path->receiver < 0 ? fail("accept") : 0;
}

/* The second destination gets a limit once both are known, and its connection is made anew. */
static int open_paths(struct bench_hooks *hooks, struct traffic *traffic)
{
	struct ebb_policy *policy;
	uint32_t pair;
	int r = 0;

	for (int d = 0; d < 2 && r == 0; d++) {
		r = open_ends(&traffic->paths[d], traffic->type);
		if (r == 0)
			r = traffic->sample(&traffic->paths[d]);
	}
	pair = r == 0 ? bench_find_pair(hooks->view, &traffic->paths[1].to) : 0;
	if (!pair) {
		(void)fprintf(stderr, "ebb-bench: packets: no pair was made\n");
		return -ENOENT;
	}
	policy = &hooks->view->policies[hooks->view->pairs[pair].dst];
	r = ebb_limit_make(FAR_OFF * 3600, FAR_OFF / 4, &policy->limits.bucket[EBB_LIMIT_BYTES]);
	if (r < 0)
		return r;
	ebb_limits_summarize(policy);
	return open_ends(&traffic->paths[1], traffic->type);
}

static int use(struct bench_hooks *hooks, int c)
{
	int r = bench_hooks_use(hooks, cases[c].arm);

	return r == 0 ? bench_hooks_use_packets(hooks, cases[c].packets) : r;
}

static int block(struct traffic *traffic, int c, uint32_t count)
{
	const struct path *path = &traffic->paths[cases[c].destination];
	struct bench_series *series = &traffic->series[c];
	int r = traffic->sample(path); /* warm */

	for (uint32_t i = 0; i < count && r == 0; i++) {
		uint64_t start = thread_ns();

		r = traffic->sample(path);
		series->samples[series->sample_count++] = (double)(thread_ns() - start) / traffic->units;
	}
	bench_series_end_round(series, count);
	return r;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks, struct traffic *traffic)
{
	uint32_t rounds = bench_load_rounds(options);
	int r = 0;

	for (uint32_t round = 0; round < rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			int c = (int)((round + i) % CASE_MAX);

			r = use(hooks, c);
			if (r == 0)
				r = block(traffic, c, options->samples);
		}
	}
	return r;
}

/* ns a run by the kernel's account, of the program that is at egress in case @c. */
static int account(struct bench_hooks *hooks, const struct traffic *traffic, int c, uint32_t samples,
		   double *ret_ns)
{
	int program = hooks->packet_programs[cases[c].packets][0];
	struct bpf_prog_info before = {0}, after = {0};
	__u32 size = sizeof(before);
	int r = use(hooks, c);

	if (r == 0)
		r = traffic->sample(&traffic->paths[cases[c].destination]);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(program, &before, &size);
	for (uint32_t i = 0; i < samples && r == 0; i++)
		r = traffic->sample(&traffic->paths[cases[c].destination]);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(program, &after, &size);
	if (r == 0)
		*ret_ns = (double)(after.run_time_ns - before.run_time_ns) /
			  (double)(after.run_cnt - before.run_cnt);
	return r;
}

static const int accounted[] = {CASE_EMPTY, CASE_OTHER, CASE_LIMITED};

static int measure_program(const struct bench_options *options, struct bench_hooks *hooks,
			   struct traffic *traffic)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? stats : 0;

	for (int round = 0; round < ACCOUNTS / BENCH_LOADS && r == 0; round++) {
		for (int i = 0; i < 3 && r == 0; i++) {
			int a = (round + i) % 3;

			r = account(hooks, traffic, accounted[a], options->samples,
				    &traffic->program_ns[a][traffic->account_count]);
		}
		traffic->account_count++;
	}
	if (stats >= 0)
		(void)close(stats);
	return r;
}

static json_t *describe(struct traffic *traffic)
{
	struct bench_series *series = traffic->series;
	json_t *result = json_object(), *programs = json_object();

	for (int c = 0; c < CASE_MAX; c++)
		(void)json_object_set_new(result, cases[c].name,
					  json_pack("{s:o, s:o, s:o, s:o}", "ns",
						    bench_summary(series[c].samples, series[c].sample_count),
						    "to_none", bench_ratio(&series[c], &series[CASE_NONE]),
						    "to_no_limit",
						    bench_ratio(&series[c], &series[CASE_NO_LIMIT]),
						    "to_empty",
						    bench_ratio(&series[c], &series[CASE_EMPTY])));
	for (int i = 0; i < 3; i++)
		(void)json_object_set_new(programs, cases[accounted[i]].name,
					  bench_summary(traffic->program_ns[i], traffic->account_count));
	(void)json_object_set_new(result, "program_ns", programs);
	return result;
}

/* Of one load, over connections of its own. */
static int one_traffic(const struct bench_options *options, struct bench_hooks *hooks,
		       struct traffic *traffic)
{
	int r = use(hooks, CASE_LIMITED);

	if (r == 0)
		r = open_paths(hooks, traffic);
	if (r == 0)
		r = measure(options, hooks, traffic);
	if (r == 0)
		r = measure_program(options, hooks, traffic);
	for (int d = 0; d < 2; d++)
		close_ends(&traffic->paths[d]);
	return r;
}

int bench_packets(const struct bench_options *options, json_t *ret_result)
{
	struct traffic all[2] = {
		{.name = "udp", .type = SOCK_DGRAM, .sample = datagrams, .units = DATAGRAMS},
		{.name = "tcp", .type = SOCK_STREAM, .sample = pieces, .units = PIECES * (PIECE / 1024.0)},
	};
	uint32_t rounds = BENCH_LOADS * bench_load_rounds(options);
	struct bench_hooks hooks;
	int r = 0;

	for (uint32_t t = 0; t < 2; t++) {
		for (uint32_t d = 0; d < 2 && r == 0; d++)
			r = open_listener(&all[t].paths[d], all[t].type, 2 * t + d);
		for (int c = 0; c < CASE_MAX && r == 0; c++)
			r = bench_series_init(&all[t].series[c], rounds, options->samples);
	}
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	for (int load = 0; load < BENCH_LOADS && r == 0; load++) {
		r = bench_hooks_open(&hooks, options, 5);
		if (r < 0)
			break;
		for (int t = 0; t < 2 && r == 0; t++)
			r = one_traffic(options, &hooks, &all[t]);
		bench_hooks_close(&hooks);
	}
	for (int t = 0; t < 2; t++) {
		if (r == 0)
			(void)json_object_set_new(ret_result, all[t].name, describe(&all[t]));
		for (int c = 0; c < CASE_MAX; c++)
			bench_series_done(&all[t].series[c]);
	}
	return r;
}

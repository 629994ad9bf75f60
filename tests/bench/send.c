// SPDX-License-Identifier: Apache-2.0
/*
 * A small datagram over loopback: nothing attached, empty programs, ours, and nothing
 * again, whose ratio to the first is what the method itself cannot tell apart. Timed is
 * sendto() of an unconnected socket, which passes our hook; over loopback the datagram
 * is in the queue of the receiver when it returns. It is taken out untimed. BENCH_LOADS times, with programs loaded anew.
 *
 * Then what the program at that hook costs by the kernel's own account, net of an empty one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "server.h"

#define WARM_UP	      64
#define PAYLOAD	      64
#define FAILURES      5 /* open a breaker; there are none */
#define HOOK_SENDMSG4 3

enum {
	CASE_NONE,
	CASE_EMPTY,
	CASE_EBB,
	CASE_NFTABLES,
	CASE_IPTABLES,
	CASE_NONE_AGAIN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	const char *add, *remove; /* NULL: nothing to do */
} cases[CASE_MAX] = {
	[CASE_NONE] = {"none", BENCH_ARM_NONE, NULL, NULL},
	[CASE_EMPTY] = {"empty", BENCH_ARM_EMPTY, NULL, NULL},
	[CASE_EBB] = {"ebb", BENCH_ARM_EBB, NULL, NULL},
	[CASE_NFTABLES] =
		{"nftables", BENCH_ARM_NONE,
		 "nft 'add table inet bench;"
		 " add set inet bench seen { type ipv4_addr . inet_service; flags dynamic; timeout 1m; };"
		 " add chain inet bench out { type filter hook output priority 0; };"
		 " add rule inet bench out update @seen { ip daddr . udp dport"
		 " limit rate over 100000000/second burst 1000000 packets } drop'",
		 "nft delete table inet bench"},
	[CASE_IPTABLES] =
		{"iptables", BENCH_ARM_NONE,
		 "iptables -A OUTPUT -p udp -m hashlimit --hashlimit-name bench --hashlimit-mode dstip,dstport"
		 " --hashlimit-above 1000000/s --hashlimit-burst 1000000 -j DROP",
		 "iptables -F OUTPUT"},
	[CASE_NONE_AGAIN] = {"none_again", BENCH_ARM_NONE, NULL, NULL},
};

struct path {
	int sender;
	int receiver;
	struct sockaddr_in to;
};

static int fail(const char *what)
{
	int r = -errno;

	(void)fprintf(stderr, "ebb-bench: %s: %s\n", what, strerror(-r));
	return r;
}

/* Outside of the cgroup, since nothing of ours is about receiving. */
static int open_receiver(struct path *path)
{
	socklen_t size = sizeof(path->to);

	path->to = bench_address(0, 0);
	path->receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (path->receiver < 0 || bind(path->receiver, (struct sockaddr *)&path->to, size) < 0 ||
	    getsockname(path->receiver, (struct sockaddr *)&path->to, &size) < 0)
		return fail("cannot take a port");
	return 0;
}

static int datagram(const struct path *path, uint64_t *ret_ns)
{
	char payload[PAYLOAD] = {0};
	uint64_t start = bench_now();

	if (sendto(path->sender, payload, sizeof(payload), 0, (const struct sockaddr *)&path->to,
		   sizeof(path->to)) < 0)
		return fail("sendto");
	*ret_ns = bench_now() - start;
	return recv(path->receiver, payload, sizeof(payload), 0) < 0 ? fail("recv") : 0;
}

static int block(const struct path *path, uint32_t count, uint64_t clock_ns, struct bench_series *series)
{
	uint64_t ns = 0;
	int r = 0;

	for (uint32_t i = 0; i < WARM_UP && r == 0; i++)
		r = datagram(path, &ns);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		r = datagram(path, &ns);
		series->samples[series->sample_count++] = (double)ns - (double)clock_ns;
	}
	bench_series_end_round(series, count);
	return r;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks, const struct path *path,
		   struct bench_series series[CASE_MAX])
{
	uint64_t clock_ns = bench_clock_cost();
	int r = 0;

	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		r = bench_hooks_renew(hooks, options, FAILURES, round);
		r = r < 0 ? r : 0;
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			uint32_t c = (round + i) % CASE_MAX;
			int end;

			r = bench_hooks_use(hooks, cases[c].arm);
			if (r == 0 && cases[c].add)
				r = bench_run_shell(cases[c].add);
			if (r == 0)
				r = block(path, options->samples, clock_ns, &series[c]);
			end = cases[c].remove ? bench_run_shell(cases[c].remove) : 0;
			r = r < 0 ? r : end;
		}
	}
	return r;
}

/* ns a run of the program that is attached at sendmsg4, the kernel's clock included. */
static int account(struct bench_hooks *hooks, enum bench_arm arm, const struct path *path, uint32_t count,
		   double *ret_ns)
{
	struct bpf_prog_info before = {0}, after = {0};
	__u32 size = sizeof(before);
	uint64_t ns;
	int r = bench_hooks_use(hooks, arm);

	for (uint32_t i = 0; i < WARM_UP && r == 0; i++)
		r = datagram(path, &ns);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(hooks->programs[arm][HOOK_SENDMSG4], &before, &size);
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = datagram(path, &ns);
	if (r == 0)
		r = bpf_obj_get_info_by_fd(hooks->programs[arm][HOOK_SENDMSG4], &after, &size);
	if (r == 0)
		*ret_ns = (double)(after.run_time_ns - before.run_time_ns) /
			  (double)(after.run_cnt - before.run_cnt);
	return r;
}

static int measure_program(const struct bench_options *options, struct bench_hooks *hooks,
			   const struct path *path, json_t *ret_result)
{
	double ns[2][64];
	uint32_t rounds = options->rounds < 64 ? options->rounds : 64;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? stats : 0;

	for (uint32_t round = 0; round < rounds && r == 0; round++) {
		r = account(hooks, BENCH_ARM_EMPTY, path, options->samples, &ns[0][round]);
		if (r == 0)
			r = account(hooks, BENCH_ARM_EBB, path, options->samples, &ns[1][round]);
	}
	if (r == 0)
		(void)json_object_set_new(ret_result, "program",
					  json_pack("{s:o, s:o}", "ns", bench_summary(ns[1], rounds),
						    "empty_ns", bench_summary(ns[0], rounds)));
	if (stats >= 0)
		(void)close(stats);
	return r;
}

int bench_send(const struct bench_options *options, json_t *ret_result)
{
	struct bench_series series[CASE_MAX] = {};
	struct bench_hooks hooks;
	struct path path = {.sender = -1};
	int r;

	r = open_receiver(&path);
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		r = bench_series_init(&series[c], options->rounds, options->samples);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0) {
		path.sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		r = path.sender < 0 ? fail("socket") : bench_hooks_open(&hooks, options, FAILURES);
	}
	if (r == 0) {
		r = measure(options, &hooks, &path, series);
		if (r == 0)
			r = measure_program(options, &hooks, &path, ret_result);
		bench_hooks_close(&hooks);
	}
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		(void)json_object_set_new(ret_result, cases[c].name,
					  json_pack("{s:o, s:o}", "ns",
						    bench_summary(series[c].samples, series[c].sample_count),
						    "ratio", bench_ratio(&series[c], &series[CASE_NONE])));
	if (r == 0)
		(void)json_object_set_new(ret_result, "ebb_to_empty",
					  bench_ratio(&series[CASE_EBB], &series[CASE_EMPTY]));
	for (int c = 0; c < CASE_MAX; c++)
		bench_series_done(&series[c]);
	if (path.sender >= 0)
		(void)close(path.sender);
	(void)close(path.receiver);
	return r;
}

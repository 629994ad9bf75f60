// SPDX-License-Identifier: Apache-2.0
/*
 * What each program costs, by the kernel's own account (BPF_ENABLE_STATS, which
 * reads the clock twice a run: the empty programs say how much of it is that).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"

#define HOOK_RELEASE  0
#define HOOK_SOCKOPS  1
#define HOOK_CONNECT4 5

static const struct {
	const char *name;
	int hook;
} shown[] = {{"connect4", HOOK_CONNECT4}, {"sockops", HOOK_SOCKOPS}, {"release", HOOK_RELEASE}};

#define SHOWN (sizeof(shown) / sizeof(shown[0]))

struct account {
	uint64_t ns;
	uint64_t runs;
};

static int read_account(int program_fd, struct account *ret)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int r = bpf_obj_get_info_by_fd(program_fd, &info, &size);

	if (r == 0)
		*ret = (struct account){.ns = info.run_time_ns, .runs = info.run_cnt};
	return r;
}

static int connections(int listener, const struct sockaddr_in *address, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int server = -1, r = 0;

		if (client < 0 || connect(client, (const struct sockaddr *)address, sizeof(*address)) < 0)
			r = -errno;
		if (r == 0) {
			server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			r = server < 0 ? -errno : 0;
		}
		if (server >= 0)
			(void)close(server);
		if (client >= 0)
			(void)close(client);
		if (r < 0)
			return r;
	}
	return 0;
}

static int one_arm(const struct bench_options *options, struct bench_hooks *hooks, enum bench_arm arm,
		   int listener, const struct sockaddr_in *address, double ns[SHOWN][2])
{
	struct account before[SHOWN], after[SHOWN];
	int r = bench_hooks_use(hooks, arm);

	if (r == 0)
		r = connections(listener, address, 32);
	for (size_t i = 0; i < SHOWN && r == 0; i++)
		r = read_account(hooks->programs[arm][shown[i].hook], &before[i]);
	if (r == 0)
		r = connections(listener, address, options->samples);
	for (size_t i = 0; i < SHOWN && r == 0; i++)
		r = read_account(hooks->programs[arm][shown[i].hook], &after[i]);
	for (size_t i = 0; i < SHOWN && r == 0; i++) {
		uint64_t runs = after[i].runs - before[i].runs;

		ns[i][0] = runs ? (double)(after[i].ns - before[i].ns) / (double)runs : 0;
		ns[i][1] = (double)runs / options->samples;
	}
	if (r < 0)
		(void)fprintf(stderr, "ebb-bench: programs: %s\n", strerror(-r));
	return r;
}

static int measure(const struct bench_options *options, struct bench_hooks *hooks, int listener,
		   const struct sockaddr_in *address, json_t *ret_result)
{
	static const enum bench_arm arms[] = {BENCH_ARM_ARMED, BENCH_ARM_EBB};
	double ns[SHOWN][2], times[2][SHOWN][64], runs[2][SHOWN];
	uint32_t rounds = options->rounds < 64 ? options->rounds : 64;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? stats : 0;

	for (uint32_t round = 0; round < rounds && r == 0; round++) {
		for (size_t a = 0; a < 2 && r == 0; a++) {
			size_t arm = (round + a) % 2;

			r = one_arm(options, hooks, arms[arm], listener, address, ns);
			for (size_t i = 0; i < SHOWN; i++) {
				times[arm][i][round] = ns[i][0];
				runs[arm][i] = ns[i][1];
			}
		}
	}
	for (size_t i = 0; i < SHOWN && r == 0; i++) {
		json_t *row = json_pack("{s:f, s:o, s:o}", "runs", runs[1][i], "ns",
					bench_summary(times[1][i], rounds), "empty_ns",
					bench_summary(times[0][i], rounds));

		(void)json_object_set_new(ret_result, shown[i].name, row);
	}
	if (stats >= 0)
		(void)close(stats);
	return r;
}

int bench_programs(const struct bench_options *options, json_t *ret_result)
{
	struct bench_hooks hooks;
	struct sockaddr_in address;
	int listener, r;
	uint16_t port;

	/* before entering the cgroup: the server's sockets are not governed */
	r = bench_listen(&listener, &port);
	if (r < 0)
		return r;
	address = bench_address(0, port);
	r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 5);
	if (r == 0) {
		r = measure(options, &hooks, listener, &address, ret_result);
		bench_hooks_close(&hooks);
	}
	(void)close(listener);
	return r;
}

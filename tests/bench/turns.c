// SPDX-License-Identifier: Apache-2.0
/*
 * What it costs to see turns, on loopback, where a connection is cheapest:
 *
 *	none	    nothing attached
 *	off	    ebb, turns off: no program at packets
 *	empty	    ebb, turns off, and a program at packets that come in that returns at once
 *	turns	    ebb, everything on
 *	none_again  against the first: what the method cannot tell apart
 *
 * in three kinds of work, one thread at both ends (no wake-up is in it), its own processor time:
 *
 *	close	    connect(), accept(), close() both: no payload, no memory of a socket
 *	request	    connect(), accept(), a request, its answer, close() both
 *	stream	    a request and its answer on a connection that is open: for each of the two packets
 *
 * and in two where the server is a process on another processor, by the clock on the wall as the client sees it:
 *
 *	served	    connect(), a request, its answer until it ends, close(); over loopback
 *	far	    the same over a veth pair, the server in another network namespace
 *
 * And for each of the first three what the programs cost by the kernel's own account (BPF_ENABLE_STATS), with what the account itself
 * costs, as empty programs show it, taken off.
 *
 * All of it BENCH_LOADS times, with programs that are loaded anew.
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
#include "lib/cleanup.h"
#include "server.h"

#define WARM_UP	 32
#define REQUEST	 200
#define ANSWER	 600
#define EXCHANGE 20 /* one sample of the stream */
#define OFTENER	 4 /* so many times the rounds where wake-ups are in the figure, which vary by more than it */

enum {
	CASE_NONE,
	CASE_OFF,
	CASE_EMPTY,
	CASE_TURNS,
	CASE_NONE_AGAIN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	enum bench_packets packets;
} cases[CASE_MAX] = {
	[CASE_NONE] = {"none", BENCH_ARM_NONE, BENCH_PACKETS_NONE},
	[CASE_OFF] = {"off", BENCH_ARM_EBB, BENCH_PACKETS_NONE},
	[CASE_EMPTY] = {"empty", BENCH_ARM_EBB, BENCH_PACKETS_EMPTY_TURNS},
	[CASE_TURNS] = {"turns", BENCH_ARM_EBB, BENCH_PACKETS_TURNS},
	[CASE_NONE_AGAIN] = {"none_again", BENCH_ARM_NONE, BENCH_PACKETS_NONE},
};

struct place {
	int listener;
	struct sockaddr_in address;
	int client, server; /* of the stream */
	struct bench_server served, far;
};

static int fail(const char *what)
{
	int r = errno ? -errno : -EIO;

	(void)fprintf(stderr, "ebb-bench: turns: %s: %s\n", what, strerror(-r));
	return r;
}

static uint64_t thread_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int open_client(const struct sockaddr_in *address, int *ret)
{
	int one = 1;

	*ret = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*ret < 0 || connect(*ret, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return fail("connect");
	(void)setsockopt(*ret, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int open_ends(const struct place *place, int *ret_client, int *ret_server)
{
	int one = 1, r;

	*ret_server = -1;
	r = open_client(&place->address, ret_client);
	if (r < 0)
		return r;
	*ret_server = accept4(place->listener, NULL, NULL, SOCK_CLOEXEC);
	if (*ret_server < 0)
		return fail("accept");
	(void)setsockopt(*ret_server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int pass(int from, int to, size_t size)
{
	static char bytes[ANSWER];

	if (send(from, bytes, size, MSG_NOSIGNAL) != (ssize_t)size ||
	    recv(to, bytes, size, MSG_WAITALL) != (ssize_t)size)
		return fail("send, recv");
	return 0;
}

static int exchange(int client, int server)
{
	int r = pass(client, server, REQUEST);

	return r == 0 ? pass(server, client, ANSWER) : r;
}

static int connection(const struct place *place, bool with_request)
{
	int client, server, r;

	r = open_ends(place, &client, &server);
	if (r == 0 && with_request)
		r = exchange(client, server);
	if (server >= 0)
		(void)close(server);
	if (client >= 0)
		(void)close(client);
	return r;
}

static int do_close(const struct place *place)
{
	return connection(place, false);
}

static int do_request(const struct place *place)
{
	return connection(place, true);
}

static int do_stream(const struct place *place)
{
	int r = 0;

	for (int i = 0; i < EXCHANGE && r == 0; i++)
		r = exchange(place->client, place->server);
	return r;
}

/* The server closes when it has answered, and all of that is seen before the client does. */
static int ask(const struct bench_server *server)
{
	char bytes[ANSWER] = {BENCH_ASK_ONCE};
	ssize_t n = 0;
	int client, r;

	r = open_client(&server->address, &client);
	if (r == 0 && send(client, bytes, REQUEST, MSG_NOSIGNAL) != REQUEST)
		r = fail("send");
	if (r == 0) {
		do
			n = recv(client, bytes, sizeof(bytes), 0);
		while (n > 0);
		if (n < 0)
			r = fail("recv");
	}
	if (client >= 0)
		(void)close(client);
	return r;
}

static int do_served(const struct place *place)
{
	return ask(&place->served);
}

static int do_far(const struct place *place)
{
	return ask(&place->far);
}

/* What the programs cost by the kernel's account, round by round. */
#define ACCOUNTS 40

struct account {
	double all[ACCOUNTS]; /* together, for each sample */
	double run[ACCOUNTS]; /* the one that sees packets, for each of its runs */
	uint32_t count;
	double runs; /* of all, for each sample */
};

/* A kind of work. */
struct work {
	const char *name;
	int (*sample)(const struct place *place);
	uint64_t (*clock)(void);
	double units; /* of a sample */
	bool stream;
	bool served; /* by another process */
	struct bench_series series[CASE_MAX];
	struct account account;
};

static int use(struct bench_hooks *hooks, int c)
{
	int r = bench_hooks_use(hooks, cases[c].arm);

	return r == 0 ? bench_hooks_use_packets(hooks, cases[c].packets) : r;
}

/* The stream's connection is opened under what it is measured with. */
static int block(struct place *place, struct work *work, int c, uint32_t count)
{
	struct bench_series *series = &work->series[c];
	int r = work->stream ? open_ends(place, &place->client, &place->server) : 0;

	for (uint32_t i = 0; i < WARM_UP && r == 0; i++)
		r = work->sample(place);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		uint64_t start = work->clock();

		r = work->sample(place);
		series->samples[series->sample_count++] = (double)(work->clock() - start) / work->units;
	}
	bench_series_end_round(series, count);
	if (work->stream) {
		(void)close(place->server);
		(void)close(place->client);
	}
	return r;
}

static uint32_t rounds_of(const struct bench_options *options, const struct work *work)
{
	return (work->served ? OFTENER : 1) * bench_load_rounds(options);
}

static int init_series(const struct bench_options *options, struct work *work)
{
	int r = 0;

	for (int c = 0; c < CASE_MAX && r == 0; c++)
		r = bench_series_init(&work->series[c], BENCH_LOADS * rounds_of(options, work),
				      options->samples);
	return r;
}

/* Of one load. */
static int measure(const struct bench_options *options, struct bench_hooks *hooks, struct place *place,
		   struct work *work)
{
	uint32_t rounds = rounds_of(options, work);
	int r = 0;

	for (uint32_t round = 0; round < rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			int c = (int)((round + i) % CASE_MAX);

			r = use(hooks, c);
			if (r == 0)
				r = block(place, work, c, options->samples);
		}
	}
	return r;
}

/* The median of each load. */
static json_t *by_load(const struct work *work, int c)
{
	const struct bench_series *a = &work->series[c], *b = &work->series[CASE_NONE];
	uint32_t rounds = a->round_count / BENCH_LOADS;
	json_t *loads = json_array();

	for (uint32_t load = 0; load < BENCH_LOADS; load++) {
		struct bench_series one = {.medians = a->medians + (size_t)load * rounds,
					   .round_count = rounds};
		struct bench_series none = {.medians = b->medians + (size_t)load * rounds};
		json_t *ratio = bench_ratio(&one, &none);

		(void)json_array_append(loads, json_object_get(ratio, "p50"));
		json_decref(ratio);
	}
	return loads;
}

static json_t *describe(const struct work *work)
{
	json_t *result = json_object();

	for (int c = 0; c < CASE_MAX; c++) {
		const struct bench_series *series = &work->series[c];

		(void)json_object_set_new(result, cases[c].name,
					  json_pack("{s:o, s:o, s:o, s:o}", "ns",
						    bench_summary(series->samples, series->sample_count),
						    "to_none", bench_ratio(series, &work->series[CASE_NONE]),
						    "to_none_by_load", by_load(work, c), "to_empty",
						    bench_ratio(series, &work->series[CASE_EMPTY])));
	}
	return result;
}

/* ---------------------------------------------------------------- programs -- */

#define PROGRAMS (BENCH_HOOKS + 1)

static int program_of(const struct bench_hooks *hooks, bool ours, int p)
{
	if (p < BENCH_HOOKS)
		return hooks->programs[ours ? BENCH_ARM_EBB : BENCH_ARM_ARMED][p];
	return hooks->packet_programs[ours ? BENCH_PACKETS_TURNS : BENCH_PACKETS_EMPTY_TURNS][BENCH_WAY_IN];
}

/* What the programs did for a sample of @work: ns and runs of each. */
struct spent {
	double ns[PROGRAMS];
	double runs[PROGRAMS];
};

static int account(const struct bench_options *options, struct bench_hooks *hooks, struct place *place,
		   const struct work *work, bool ours, struct spent *ret)
{
	struct bpf_prog_info before[PROGRAMS], after;
	__u32 size = sizeof(after);
	int r = bench_hooks_use(hooks, ours ? BENCH_ARM_EBB : BENCH_ARM_ARMED);

	memset(before, 0, sizeof(before));
	if (r == 0)
		r = bench_hooks_use_packets(hooks, ours ? BENCH_PACKETS_TURNS : BENCH_PACKETS_EMPTY_TURNS);
	if (r == 0 && work->stream)
		r = open_ends(place, &place->client, &place->server);
	for (int i = 0; i < WARM_UP && r == 0; i++)
		r = work->sample(place);
	for (int p = 0; p < PROGRAMS && r == 0; p++)
		r = bpf_obj_get_info_by_fd(program_of(hooks, ours, p), &before[p], &size);
	for (uint32_t i = 0; i < options->samples && r == 0; i++)
		r = work->sample(place);
	for (int p = 0; p < PROGRAMS && r == 0; p++) {
		memset(&after, 0, sizeof(after));
		r = bpf_obj_get_info_by_fd(program_of(hooks, ours, p), &after, &size);
		ret->ns[p] = (double)(after.run_time_ns - before[p].run_time_ns) / options->samples;
		ret->runs[p] = (double)(after.run_cnt - before[p].run_cnt) / options->samples;
	}
	if (work->stream) {
		(void)close(place->server);
		(void)close(place->client);
	}
	return r;
}

/* Of one load. */
static int measure_programs(const struct bench_options *options, struct bench_hooks *hooks,
			    struct place *place, struct work *work)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? stats : 0;
	struct account *a = &work->account;
	struct spent spent[2];

	for (int round = 0; round < ACCOUNTS / BENCH_LOADS && r == 0; round++) {
		double all = 0, runs = 0;

		for (int i = 0; i < 2 && r == 0; i++)
			r = account(options, hooks, place, work, (round + i) % 2, &spent[(round + i) % 2]);
		if (r < 0)
			break;
		for (int p = 0; p < PROGRAMS; p++) {
			all += spent[1].ns[p] - spent[0].ns[p];
			runs += spent[1].runs[p];
		}
		a->all[a->count] = all;
		a->run[a->count++] = spent[1].ns[BENCH_HOOKS] / spent[1].runs[BENCH_HOOKS] -
				     spent[0].ns[BENCH_HOOKS] / spent[0].runs[BENCH_HOOKS];
		a->runs = runs;
	}
	if (stats >= 0)
		(void)close(stats);
	return r;
}

static json_t *describe_account(struct account *a)
{
	return json_pack("{s:o, s:f, s:o}", "net_ns", bench_summary(a->all, a->count), "runs", a->runs,
			 "run_ns", bench_summary(a->run, a->count));
}

/* Everything once, with programs of its own. */
static int measure_load(const struct bench_options *options, struct place *place, struct work *works,
			size_t count)
{
	struct bench_hooks hooks;
	int r = bench_hooks_open(&hooks, options, 5);

	if (r < 0)
		return r;
	for (size_t w = 0; w < count && r == 0; w++) {
		r = measure(options, &hooks, place, &works[w]);
		if (r == 0 && !works[w].served)
			r = measure_programs(options, &hooks, place, &works[w]);
	}
	bench_hooks_close(&hooks);
	return r;
}

static json_t *result_of(struct work *work)
{
	json_t *result = describe(work);

	if (!work->served)
		(void)json_object_set_new(result, "programs", describe_account(&work->account));
	return result;
}

/* Before entering the cgroup: the server's sockets are not governed. */
static int open_place(struct place *place)
{
	uint16_t port;
	int r;

	r = bench_listen(&place->listener, &port);
	if (r < 0)
		return r;
	place->address = bench_address(0, port);
	r = bench_server_start(&place->served, false, REQUEST, ANSWER);
	return r == 0 ? bench_server_start(&place->far, true, REQUEST, ANSWER) : r;
}

static void close_place(struct place *place)
{
	bench_server_stop(&place->far);
	bench_server_stop(&place->served);
	if (place->listener >= 0)
		(void)close(place->listener);
}

int bench_turns(const struct bench_options *options, json_t *ret_result)
{
	struct work works[] = {
		{.name = "close", .sample = do_close, .clock = thread_ns, .units = 1},
		{.name = "request", .sample = do_request, .clock = thread_ns, .units = 1},
		{.name = "stream",
		 .sample = do_stream,
		 .clock = thread_ns,
		 .units = 2.0 * EXCHANGE,
		 .stream = true},
		{.name = "served", .sample = do_served, .clock = bench_now, .units = 1, .served = true},
		{.name = "far", .sample = do_far, .clock = bench_now, .units = 1, .served = true},
	};
	const size_t count = sizeof(works) / sizeof(works[0]);
	struct place place = {.listener = -1, .client = -1, .server = -1};
	int r;

	r = open_place(&place);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	for (size_t w = 0; w < count && r == 0; w++)
		r = init_series(options, &works[w]);
	for (int load = 0; load < BENCH_LOADS && r == 0; load++)
		r = measure_load(options, &place, works, count);
	for (size_t w = 0; w < count; w++) {
		if (r == 0)
			(void)json_object_set_new(ret_result, works[w].name, result_of(&works[w]));
		for (int c = 0; c < CASE_MAX; c++)
			bench_series_done(&works[w].series[c]);
	}
	close_place(&place);
	return r;
}

/* [[address, name], ...] of programs that are there now; they have names where net.core.bpf_jit_kallsyms is 1. */
static json_t *program_symbols(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/kallsyms", "re");
	json_t *symbols = json_array();
	unsigned long long address;
	char line[512], name[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "[bpf]") && sscanf(line, "%llx %*c %255s", &address, name) == 2)
			(void)json_array_append_new(symbols, json_pack("[I, s]", (json_int_t)address, name));
	}
	return symbols;
}

/* Connections with one request and nothing else, everything on: for who watches (tests/bench/flame.py). */
int bench_request(const struct bench_options *options, json_t *ret_result)
{
	struct bench_hooks hooks;
	struct place place = {.listener = -1, .client = -1, .server = -1};
	uint64_t began = 0, took = 0;
	uint16_t port;
	int r;

	r = bench_listen(&place.listener, &port);
	if (r < 0)
		return r;
	place.address = bench_address(0, port);
	r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 5);
	if (r == 0) {
		r = use(&hooks, CASE_TURNS);
		(void)json_object_set_new(ret_result, "symbols", program_symbols());
		began = thread_ns();
		for (uint32_t i = 0; i < options->trials && r == 0; i++)
			r = do_request(&place);
		took = thread_ns() - began;
		bench_hooks_close(&hooks);
	}
	close_place(&place);
	(void)json_object_set_new(ret_result, "connections", json_integer(options->trials));
	(void)json_object_set_new(ret_result, "cpu_ns", json_real((double)took / options->trials));
	return r;
}

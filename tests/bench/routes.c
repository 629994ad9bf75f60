// SPDX-License-Identifier: Apache-2.0
/*
 * What 1,000 rules about prefixes cost a new connection: connect() to a closed port of loopback, timed,
 * and the run of connect4 by the kernel's own account (BPF_ENABLE_STATS, in rounds of their
 * own). Each with the rules against the same without any, in alternating blocks:
 *
 *	again		the pair is known, and the processor remembers it
 *	missed		the pair is known, and the processor does not: what the processor
 *			remembers is voided before each connect()
 *	first		the pair is new: without rules it is discovered; with them it belongs to
 *			a destination that a rule names, or to none of them and is discovered
 *
 * Half of the rules are prefixes below which the connections go, each with a port and a destination of
 * its own; the other half lies elsewhere, of any length.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "kernel/mapping.h"
#include "tests/lib/routes.h"

#define RULES	     1000U
#define NEAR	     (RULES / 2)
#define FIRST_BLOCK  6U	 /* new pairs of a block: a quarter of all destinations is a workload's share */
#define FIRST_ROUNDS 40U /* twice: timed, then by the kernel's account */
#define WARM_UP	     16
#define CONNECT4     5 /* of struct bench_hooks */

enum address {
	KNOWN,	     /* one address, below no prefix: it was discovered */
	CLAIMED,     /* one address, below a prefix */
	UNKNOWN,     /* a new one each time, below no prefix */
	NEW_CLAIMED, /* a new one each time, each below another prefix */
};

enum {
	CASE_AGAIN,
	CASE_AGAIN_RULES,
	CASE_MISSED,
	CASE_MISSED_RULES,
	CASE_FIRST,
	CASE_FIRST_UNCLAIMED,
	CASE_FIRST_CLAIMED,
	CASE_AGAIN_2, /* what the method itself cannot tell apart */
	CASE_MAX,
};

static const struct {
	const char *name;
	enum address address;
	bool rules, miss, first;
	int base; /* that it is compared with */
} cases[CASE_MAX] = {
	[CASE_AGAIN] = {"again", KNOWN, false, false, false, CASE_AGAIN},
	[CASE_AGAIN_RULES] = {"again_rules", CLAIMED, true, false, false, CASE_AGAIN},
	[CASE_MISSED] = {"missed", KNOWN, false, true, false, CASE_MISSED},
	[CASE_MISSED_RULES] = {"missed_rules", CLAIMED, true, true, false, CASE_MISSED},
	[CASE_FIRST] = {"first", UNKNOWN, false, false, true, CASE_FIRST},
	[CASE_FIRST_UNCLAIMED] = {"first_unclaimed", UNKNOWN, true, false, true, CASE_FIRST},
	[CASE_FIRST_CLAIMED] = {"first_claimed", NEW_CLAIMED, true, false, true, CASE_FIRST},
	[CASE_AGAIN_2] = {"again_2", KNOWN, false, false, false, CASE_AGAIN},
};

struct world {
	const struct bench_options *options;
	struct bench_hooks hooks;
	struct ebb_mapping *mapping;
	struct ebb_route_prefix prefixes[RULES];
	struct ebb_route_port ports[2 * RULES];
	uint16_t port;
	uint32_t next_unknown, next_claimed;
	uint64_t clock_ns;
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* 127.128.0.0 to 127.253.0.0, every other /24: number @n */
static uint32_t near_net(uint32_t n)
{
	return 0x7f800000U + n * 61U * 512U % 0x7d0000U;
}

static struct sockaddr_in address_of(struct world *world, enum address kind)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(world->port)};

	if (kind == KNOWN || kind == UNKNOWN)
		return bench_address(kind == KNOWN ? 0 : ++world->next_unknown, world->port);
	/* prefix 0 is that of the one address */
	address.sin_addr.s_addr =
		htonl(near_net(kind == CLAIMED ? 0 : 1 + world->next_claimed++ % (NEAR - 1)) + 9);
	return address;
}

static int make_rules(struct world *world)
{
	const struct ebb_view *view = world->hooks.view;
	uint64_t state = 0x9e3779b97f4a7c15ULL;

	for (uint32_t i = 0; i < RULES; i++) {
		struct ebb_route_prefix *prefix = &world->prefixes[i];
		uint32_t net = htonl(near_net(i)), bits = 24, slot;
		int r = ebb_slots_take(world->mapping, &slot);

		if (r < 0)
			return r;
		view->dsts[slot].scope = EBB_SCOPE_NODE;
		view->dsts[slot].state = EBB_SLOT_LIVE;
		if (i >= NEAR) {
			/* 128.0.0.0 and above: not loopback; 10 bits of it are the number */
			bits = 11 + (uint32_t)(random_next(&state) % 18);
			net = (uint32_t)random_next(&state) & 0x1fffffU & (0xffffffffU << (32 - bits));
			net = htonl(net | 0x80000000U | (i - NEAR) << 21);
		}
		*prefix = (struct ebb_route_prefix){.key.bits = 96 + bits, .set = i};
		memset(prefix->key.addr + 10, 0xff, 2);
		memcpy(prefix->key.addr + 12, &net, 4);
		for (uint32_t p = 0; p < 2; p++)
			world->ports[2 * i + p] = (struct ebb_route_port){
				.set = i,
				.port = p ? 443 : world->port,
				.proto = IPPROTO_TCP,
				.ref = {.slot = slot, .epoch = view->dsts[slot].epoch},
			};
	}
	return 0;
}

static int use_rules(struct world *world, bool rules)
{
	const struct ebb_route_table table = {
		.prefixes = world->prefixes,
		.prefix_count = rules ? RULES : 0,
		.ports = world->ports,
		.port_count = rules ? 2 * RULES : 0,
		.set_count = rules ? RULES : 0,
	};
	struct ebb_why why = {{0}};
	int r = routes_replace(world->mapping, &table, &why);

	if (r < 0)
		(void)fprintf(stderr, "ebb-bench: %s\n", why.text);
	return r;
}

static int one(const struct sockaddr_in *to, double *ret_ns)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t start, end;
	int r;

	if (fd < 0)
		return -errno;
	start = bench_now();
	r = connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 ? errno : 0;
	end = bench_now();
	(void)close(fd);
	*ret_ns = (double)(end - start);
	return r == ECONNREFUSED ? 0 : -EPROTO;
}

/* A block; by the kernel's account where @program is there. */
static int block(struct world *world, int c, struct bench_series *calls, struct bench_series *program)
{
	uint32_t count = cases[c].first ? FIRST_BLOCK : world->options->samples;
	struct bpf_prog_info before = {0}, after = {0};
	__u32 size = sizeof(before);
	struct sockaddr_in warm = address_of(world, cases[c].rules ? CLAIMED : KNOWN), to = warm;
	int fd = world->hooks.programs[BENCH_ARM_EBB][CONNECT4];
	double ns;
	int r = use_rules(world, cases[c].rules);

	for (int i = 0; i < WARM_UP && r == 0; i++)
		r = one(&warm, &ns);
	if (r == 0 && program)
		r = bpf_obj_get_info_by_fd(fd, &before, &size);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		if (cases[c].first)
			to = address_of(world, cases[c].address);
		if (cases[c].miss)
			ebb_mapping_changed(world->mapping);
		r = one(&to, &ns);
		if (!program)
			calls->samples[calls->sample_count++] = ns - (double)world->clock_ns;
	}
	if (r == 0 && program)
		r = bpf_obj_get_info_by_fd(fd, &after, &size);
	if (r < 0) {
		(void)fprintf(stderr, "ebb-bench: routes, %s: %s\n", cases[c].name, strerror(-r));
		return r;
	}
	if (!program) {
		bench_series_end_round(calls, count);
		return 0;
	}
	program->samples[program->sample_count++] =
		(double)(after.run_time_ns - before.run_time_ns) / (double)(after.run_cnt - before.run_cnt);
	bench_series_end_round(program, 1);
	return 0;
}

static int measure(struct world *world, struct bench_series *calls, struct bench_series *program)
{
	int stats = program ? bpf_enable_stats(BPF_STATS_RUN_TIME) : -1;
	int r = program && stats < 0 ? stats : 0;

	for (uint32_t round = 0; round < world->options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			uint32_t c = (round + i) % CASE_MAX;

			if (cases[c].first && round >= FIRST_ROUNDS)
				continue;
			r = block(world, (int)c, &calls[c], program ? &program[c] : NULL);
		}
	}
	if (stats >= 0)
		(void)close(stats);
	return r;
}

/* The difference to the base by rounds. */
static json_t *more(const struct bench_series *series, int c)
{
	const struct bench_series *a = &series[c], *b = &series[cases[c].base];
	double *differences = calloc(a->round_count ? a->round_count : 1, sizeof(double));
	json_t *summary;

	if (!differences)
		return NULL;
	for (uint32_t i = 0; i < a->round_count; i++)
		differences[i] = a->medians[i] - b->medians[i];
	summary = bench_summary(differences, a->round_count);
	free(differences);
	return summary;
}

static int run(struct world *world, json_t *ret_result)
{
	struct bench_series calls[CASE_MAX] = {}, program[CASE_MAX] = {};
	int r = 0;

	for (int c = 0; c < CASE_MAX && r == 0; c++) {
		r = bench_series_init(&calls[c], world->options->rounds, world->options->samples);
		if (r == 0)
			r = bench_series_init(&program[c], world->options->rounds, 1);
	}
	if (r == 0)
		r = measure(world, calls, NULL);
	if (r == 0)
		r = measure(world, calls, program);
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		(void)json_object_set_new(ret_result, cases[c].name,
					  json_pack("{s:o, s:o, s:o, s:o}", "connect_more_ns", more(calls, c),
						    "program_more_ns", more(program, c), "connect_ns",
						    bench_summary(calls[c].samples, calls[c].sample_count),
						    "program_ns",
						    bench_summary(program[c].samples,
								  program[c].sample_count)));
	for (int c = 0; c < CASE_MAX; c++) {
		bench_series_done(&calls[c]);
		bench_series_done(&program[c]);
	}
	return r;
}

/* That all went where the figures say. */
static int check(const struct world *world)
{
	const struct ebb_view *view = world->hooks.view;
	uint32_t claimed = 0, discovered = 0;

	for (uint32_t p = 1; p <= view->kernel->pair_high; p++) {
		if (view->dsts[view->pairs[p].dst].endpoint.port)
			discovered++;
		else
			claimed++;
	}
	if (discovered == world->next_unknown + 1 && claimed == world->next_claimed + 1 &&
	    !view->kernel->errors[EBB_ERR_SHARE_FULL])
		return 0;
	(void)fprintf(stderr, "ebb-bench: routes: %u pairs discovered, %u claimed, wanted %u and %u\n",
		      discovered, claimed, world->next_unknown + 1, world->next_claimed + 1);
	return -EPROTO;
}

int bench_routes(const struct bench_options *options, json_t *ret_result)
{
	static struct world world;
	struct ebb_why why = {{0}};
	int closed, r;

	world.options = options;
	world.clock_ns = bench_clock_cost();
	r = bench_closed_port(&closed, &world.port);
	if (r < 0)
		return r;
	r = bench_enter_cgroup(options->cgroup);
	if (r == 0)
		r = bench_hooks_open(&world.hooks, options, 0);
	if (r == 0) {
		r = ebb_mapping_open(options->pin_dir, world.hooks.view, &world.mapping, &why);
		if (r < 0)
			(void)fprintf(stderr, "ebb-bench: %s\n", why.text);
		if (r == 0)
			r = make_rules(&world);
		if (r == 0)
			r = bench_hooks_use(&world.hooks, BENCH_ARM_EBB);
		if (r == 0)
			r = run(&world, ret_result);
		if (r == 0)
			r = check(&world);
		ebb_mapping_free(world.mapping);
		bench_hooks_close(&world.hooks);
	}
	(void)close(closed);
	return r;
}

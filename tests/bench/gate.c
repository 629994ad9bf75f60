// SPDX-License-Identifier: Apache-2.0
/*
 * What the gate takes when a connection begins and when its socket is let go, for each
 * connection, as a distribution: 1, 64 and 256 threads that connect(), yield the processor
 * and close(), all through one gate.
 *
 *	empty	 programs that return at once, and ask for the callbacks that we need
 *	plain	 ebb, nothing limits the destination
 *	limited	 ebb, a limit on open connections that is never reached: a slot is taken and
 *		 given back, and the socket remembers it
 *
 * A program before ours and one after it look at the clock (tests/bench/gate.bpf.c), where
 * BPF_ENABLE_STATS knows sums only, and fentry is not to be had everywhere. What that itself takes is
 * what the empty programs take; their own tail is that of the machine: interrupts, a
 * processor that its host took away, lines of the cache. A run that an interrupt came into is told apart.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench.h"
#include "gate.h"

/* generated: it casts const away */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "tests/bench/gate.skel.h"
#pragma GCC diagnostic pop

#define WARM_UP	    64
#define THREADS_MAX 256
#define CAP	    1000000
#define INTERRUPTS  5

enum {
	CASE_EMPTY,
	CASE_PLAIN,
	CASE_LIMITED,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	uint32_t cap;
} cases[CASE_MAX] = {
	[CASE_EMPTY] = {"empty", BENCH_ARM_ARMED, 0},
	[CASE_PLAIN] = {"plain", BENCH_ARM_EBB, 0},
	[CASE_LIMITED] = {"limited", BENCH_ARM_EBB, CAP},
};

static const uint32_t crowds[] = {1, 64, 256};

#define CROWDS (sizeof(crowds) / sizeof(crowds[0]))

/* What is told of each connection. */
enum figure {
	FIGURE_GATE,
	FIGURE_RELEASE,
	FIGURE_TOGETHER,
	FIGURE_CALM, /* the same, no interrupt in it */
	FIGURE_ALL,  /* and sockops */
	FIGURE_MAX
};

static const char *const figure_names[FIGURE_MAX] = {"gate", "release", "together", "calm", "all"};

/* One case with one crowd. */
struct arm {
	double *ns[FIGURE_MAX];
	uint32_t count[FIGURE_MAX];
	double *p99; /* of together, for each round */
	uint32_t rounds;
	uint32_t torn; /* connections with a run that has no time */
	double runs;
};

struct place {
	struct gate *probes;
	struct bench_hooks hooks;
	struct bpf_link *before[GATE_HOOKS];
	struct bpf_link *after[GATE_HOOKS];
	struct bpf_link *interrupts[INTERRUPTS];
	int listener;
	struct sockaddr_in address;
	uint64_t *keys;
	struct gate_spent *spent;
	uint32_t spent_max;
	bool told_apart;
};

static int fail(int r, const char *what)
{
	(void)fprintf(stderr, "ebb-bench: gate: %s: %s\n", what, strerror(-r));
	return r;
}

/* ----------------------------------------------------------------- callers -- */

struct caller {
	pthread_barrier_t *start;
	struct sockaddr_in address;
	uint32_t count;
	int error;
};

static int call(const struct sockaddr_in *address)
{
	const struct linger linger = {.l_onoff = 1}; /* no port stays behind in TIME_WAIT */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		r = -errno;
	/* the others come while it is open */
	(void)sched_yield();
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void *call_again_and_again(void *argument)
{
	struct caller *caller = argument;

	(void)pthread_barrier_wait(caller->start);
	for (uint32_t i = 0; i < caller->count && caller->error == 0; i++)
		caller->error = call(&caller->address);
	return NULL;
}

static int run_callers(const struct place *place, uint32_t threads, uint32_t each)
{
	struct caller callers[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	pthread_barrier_t start;
	int r = 0;

	(void)pthread_barrier_init(&start, NULL, threads);
	for (uint32_t i = 0; i < threads; i++) {
		callers[i] = (struct caller){.start = &start, .address = place->address, .count = each};
		/* those that wait at the barrier would wait for ever */
		if (pthread_create(&ids[i], NULL, call_again_and_again, &callers[i]) != 0)
			exit(1);
	}
	for (uint32_t i = 0; i < threads; i++) {
		(void)pthread_join(ids[i], NULL);
		if (r == 0)
			r = callers[i].error;
	}
	(void)pthread_barrier_destroy(&start);
	return r < 0 ? fail(r, "connect") : 0;
}

/* ------------------------------------------------------------------- hooks -- */

static int attach(struct place *place, const struct bpf_program *const programs[GATE_HOOKS],
		  struct bpf_link *links[GATE_HOOKS])
{
	for (int h = 0; h < GATE_HOOKS; h++) {
		links[h] = bpf_program__attach_cgroup(programs[h], place->hooks.cgroup_fd);
		if (!links[h])
			return fail(-errno, "cannot attach");
	}
	return 0;
}

static void detach(struct bpf_link *links[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		(void)bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

/* The program before them stays; the one after them must be attached last. */
static int use(struct place *place, int c)
{
	const struct bpf_program *const after[GATE_HOOKS] = {place->probes->progs.after_connect4,
							     place->probes->progs.after_sockops,
							     place->probes->progs.after_release};
	const struct ebb_view *view = place->hooks.view;
	int r;

	detach(place->after, GATE_HOOKS);
	r = bench_hooks_use(&place->hooks, BENCH_ARM_NONE);
	if (r == 0)
		r = bench_hooks_use(&place->hooks, cases[c].arm);
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		view->policies[d].limits.concurrent = cases[c].cap;
		view->policies[d].asks = cases[c].cap ? EBB_ASK_CONNECT : 0;
	}
	return r == 0 ? attach(place, after, place->after) : r;
}

/* Those of gate.bpf.c that count interrupts. */
static void interrupt_programs(const struct gate *probes, struct bpf_program *ret[INTERRUPTS])
{
	ret[0] = probes->progs.on_timer;
	ret[1] = probes->progs.on_reschedule;
	ret[2] = probes->progs.on_call;
	ret[3] = probes->progs.on_call_single;
	ret[4] = probes->progs.on_irq;
}

/* Without them where the kernel has no such tracepoints. */
static int load_probes(struct place *place)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct bpf_program *counting[INTERRUPTS];

	place->probes = gate__open_and_load();
	(void)libbpf_set_print(print);
	place->told_apart = place->probes != NULL;
	if (!place->probes) {
		place->probes = gate__open();
		if (!place->probes)
			return fail(-errno, "open");
		interrupt_programs(place->probes, counting);
		for (int i = 0; i < INTERRUPTS; i++)
			(void)bpf_program__set_autoload(counting[i], false);
		return gate__load(place->probes) < 0 ? fail(-errno, "load") : 0;
	}
	interrupt_programs(place->probes, counting);
	for (int i = 0; i < INTERRUPTS; i++) {
		place->interrupts[i] = bpf_program__attach(counting[i]);
		if (!place->interrupts[i])
			return fail(-errno, "tracepoints");
	}
	return 0;
}

/* ----------------------------------------------------------------- figures -- */

static void keep(struct arm *arm, enum figure figure, uint64_t ns)
{
	arm->ns[figure][arm->count[figure]++] = (double)ns;
}

static void keep_one(struct arm *arm, const struct gate_spent *spent)
{
	uint64_t gate = spent->ns[GATE_CONNECT4], release = spent->ns[GATE_RELEASE];

	if (spent->lost || spent->runs[GATE_CONNECT4] != 1 || spent->runs[GATE_RELEASE] != 1) {
		arm->torn++;
		return;
	}
	keep(arm, FIGURE_GATE, gate);
	keep(arm, FIGURE_RELEASE, release);
	keep(arm, FIGURE_TOGETHER, gate + release);
	if (!spent->disturbed)
		keep(arm, FIGURE_CALM, gate + release);
	keep(arm, FIGURE_ALL, gate + release + spent->ns[GATE_SOCKOPS]);
	arm->runs += 2 + spent->runs[GATE_SOCKOPS];
}

/* Takes what was noted, and what nobody wants of it (@arm is NULL) away. */
static int drain(struct place *place, struct arm *arm)
{
	int map = bpf_map__fd(place->probes->maps.bench_spent), r = 0;
	uint64_t token = 0;
	bool first = true;

	while (r == 0) {
		uint32_t count = place->spent_max;

		r = bpf_map_lookup_and_delete_batch(map, first ? NULL : &token, &token, place->keys,
						    place->spent, &count, NULL);
		first = false;
		if (r < 0 && r != -ENOENT)
			return fail(r, "what was noted");
		for (uint32_t i = 0; arm && i < count; i++)
			keep_one(arm, &place->spent[i]);
	}
	return 0;
}

static int block(struct place *place, struct arm *arm, int c, uint32_t threads, uint32_t each)
{
	uint32_t first = arm->count[FIGURE_TOGETHER];
	int r = use(place, c);

	for (int i = 0; i < WARM_UP && r == 0; i++)
		r = call(&place->address);
	if (r == 0)
		r = drain(place, NULL);
	if (r == 0)
		r = run_callers(place, threads, each);
	if (r == 0)
		r = drain(place, arm);
	arm->p99[arm->rounds++] =
		bench_quantile(arm->ns[FIGURE_TOGETHER] + first, arm->count[FIGURE_TOGETHER] - first, 0.99);
	return r;
}

static json_t *distribution(double *values, size_t count)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "n", (json_int_t)count, "p50",
			 bench_quantile(values, count, 0.5), "p90", bench_quantile(values, count, 0.9), "p99",
			 bench_quantile(values, count, 0.99), "p999", bench_quantile(values, count, 0.999),
			 "max", bench_quantile(values, count, 1));
}

static json_t *describe(struct arm *arm, bool told_apart)
{
	uint32_t n = arm->count[FIGURE_TOGETHER];
	json_t *result = json_pack("{s:i, s:f, s:o}", "torn", (int)arm->torn, "runs", arm->runs / n,
				   "together_p99", bench_summary(arm->p99, arm->rounds));

	for (int f = 0; f < FIGURE_MAX; f++) {
		if (f != FIGURE_CALM || told_apart)
			(void)json_object_set_new(result, figure_names[f],
						  distribution(arm->ns[f], arm->count[f]));
	}
	return result;
}

static int arm_init(struct arm *arm, uint32_t rounds, uint32_t samples)
{
	memset(arm, 0, sizeof(*arm));
	arm->p99 = calloc(rounds, sizeof(double));
	for (int f = 0; f < FIGURE_MAX; f++) {
		arm->ns[f] = calloc((size_t)rounds * samples, sizeof(double));
		if (!arm->ns[f])
			return -ENOMEM;
	}
	return arm->p99 ? 0 : -ENOMEM;
}

static void arm_done(struct arm *arm)
{
	for (int f = 0; f < FIGURE_MAX; f++)
		free(arm->ns[f]);
	free(arm->p99);
}

static int measure_crowd(const struct bench_options *options, struct place *place, uint32_t threads,
			 json_t *result)
{
	uint32_t each = options->samples / threads;
	struct arm arms[CASE_MAX];
	int r = 0;

	memset(arms, 0, sizeof(arms));
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		r = arm_init(&arms[c], options->rounds, options->samples);
	for (uint32_t round = 0; round < options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			int c = (int)((round + i) % CASE_MAX);

			r = block(place, &arms[c], c, threads, each);
		}
	}
	for (int c = 0; c < CASE_MAX; c++) {
		if (r == 0)
			(void)json_object_set_new(result, cases[c].name,
						  describe(&arms[c], place->told_apart));
		arm_done(&arms[c]);
	}
	return r;
}

static int measure(const struct bench_options *options, struct place *place, json_t *ret_result)
{
	const struct bpf_program *const before[GATE_HOOKS] = {place->probes->progs.before_connect4,
							      place->probes->progs.before_sockops,
							      place->probes->progs.before_release};
	int r = attach(place, before, place->before);

	for (size_t i = 0; i < CROWDS && r == 0; i++) {
		json_t *crowd = json_object();
		char name[16];

		(void)snprintf(name, sizeof(name), "%u", crowds[i]);
		r = measure_crowd(options, place, crowds[i], crowd);
		(void)json_object_set_new(ret_result, name, crowd);
	}
	detach(place->after, GATE_HOOKS);
	detach(place->before, GATE_HOOKS);
	detach(place->interrupts, INTERRUPTS);
	return r;
}

int bench_gate(const struct bench_options *options, json_t *ret_result)
{
	struct place place = {};
	pthread_t acceptor;
	uint16_t port;
	int r;

	if (options->samples < THREADS_MAX) {
		(void)fprintf(stderr, "ebb-bench: gate: --samples at least %d\n", THREADS_MAX);
		return -EINVAL;
	}
	/* before entering the cgroup: the server's sockets are not governed */
	r = bench_listen(&place.listener, &port);
	if (r < 0)
		return r;
	place.address = bench_address(options->first, port);
	r = -pthread_create(&acceptor, NULL, bench_accept_all, &place.listener);
	if (r < 0)
		return fail(r, "pthread_create");
	place.spent_max = options->samples + WARM_UP;
	place.keys = calloc(place.spent_max, sizeof(*place.keys));
	place.spent = calloc(place.spent_max, sizeof(*place.spent));
	r = place.keys && place.spent ? bench_enter_cgroup(options->cgroup) : -ENOMEM;
	if (r == 0)
		r = bench_hooks_open(&place.hooks, options, 0);
	if (r == 0) {
		r = load_probes(&place);
		if (r == 0)
			r = measure(options, &place, ret_result);
		gate__destroy(place.probes);
		bench_hooks_close(&place.hooks);
	}
	(void)shutdown(place.listener, SHUT_RDWR);
	(void)pthread_join(acceptor, NULL);
	(void)close(place.listener);
	free(place.spent);
	free(place.keys);
	return r;
}

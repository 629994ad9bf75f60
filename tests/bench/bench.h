/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks share. Each compares arms in alternating blocks (A B C,
 * then B C A, ...) of one process on one processor, so that what disturbs the
 * machine disturbs all of them; a figure is the median over rounds of the ratio
 * of two medians of the same round. Absolute times are told, not compared.
 */
#ifndef EBB_TESTS_BENCH_BENCH_H
#define EBB_TESTS_BENCH_BENCH_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "kernel/loader.h"
#include "kernel/maps.h"

/* From the command line. */
struct bench_options {
	const char *cgroup; /* cgroup2 directory of our own; the process moves into it */
	const char *pin_dir;
	uint32_t rounds;
	uint32_t samples; /* of each block */
	uint32_t trials;
	uint32_t first;	       /* number of the first destination */
	uint32_t threads;      /* that connect at once */
	uint32_t destinations; /* room for them; 0: the default */
	uint32_t workloads;    /* cgroups below ours that connect */
	uint32_t rate;	       /* connections each second */
	int cpu;	       /* on which to measure; -1: the last one */
	bool busy;	       /* with a spinning process on each processor */
	bool agent;	       /* an agent is attached already */
	bool moved;	       /* the gate has been open before */
	bool tracers;	       /* tools that watch connections, instead of what stands between */
	bool each;	       /* every sample is told, not only what they come to */
	uint32_t proxy;	       /* port of its first destination; 0: there is none */
};

/* ---------------------------------------------------------------- measure -- */

static inline uint64_t bench_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* What two readings of the clock with nothing between them differ by: the median of many. */
uint64_t bench_clock_cost(void);

/* Sorts @values. */
double bench_quantile(double *values, size_t count, double q);

/* {"n", "p25", "p50", "p75", "p99", "max"} of @values, which are sorted by it. */
json_t *bench_summary(double *values, size_t count);

/* One arm: every sample, and the median of each round. */
struct bench_series {
	double *samples;
	double *medians;
	uint32_t sample_count;
	uint32_t round_count;
};

int bench_series_init(struct bench_series *series, uint32_t rounds, uint32_t samples);
void bench_series_done(struct bench_series *series);

/* The block of @count samples at the end of the series is a round. */
void bench_series_end_round(struct bench_series *series, uint32_t count);

/* Summary of a / b by rounds; b / a where the figure is a speed-up. */
json_t *bench_ratio(const struct bench_series *a, const struct bench_series *b);

/* ------------------------------------------------------------------ place -- */

/* Each prints what went wrong and returns a negative errno. */
int bench_pin_cpu(int cpu);
int bench_enter_cgroup(const char *path);

/*
 * In a child that is in cgroup number @workload below @cgroup, which is made where it is not there, and that has our
 * descriptors: the sockets that it opens are ours, and count for that workload. What @run writes has to be shared memory.
 */
int bench_in_workload(const char *cgroup, uint32_t workload, int (*run)(void *data), void *data);

/* 127.x.y.z number @n, never 127.0.0.x. */
struct sockaddr_in bench_address(uint32_t n, uint16_t port);

/* A listener, or a port that is taken and answers every SYN with RST. */
int bench_listen(int *ret_fd, uint16_t *ret_port);
int bench_closed_port(int *ret_fd, uint16_t *ret_port);

/* A thread: takes what comes to the listener and closes it, until that is shut down. */
void *bench_accept_all(void *listener);

/* A spinning process on each processor; they end with us. */
#define BENCH_BURNERS_MAX 64
struct bench_burners {
	int count;
	int pids[BENCH_BURNERS_MAX];
};

int bench_burners_start(struct bench_burners *burners);
void bench_burners_stop(struct bench_burners *burners);

/* ------------------------------------------------------------------ hooks -- */

/* What is attached to the cgroup. */
enum bench_arm {
	BENCH_ARM_NONE,	 /* nothing */
	BENCH_ARM_EMPTY, /* programs that return 1 at every hook that we use */
	BENCH_ARM_ARMED, /* the same, and sockops asks for the callbacks that we need */
	BENCH_ARM_EBB,
	BENCH_ARM_MAX,
};

#define BENCH_HOOKS 6

/* What is attached at cgroup_skb: hooks of their own, since ebb is there on demand. */
enum bench_packets {
	BENCH_PACKETS_NONE,
	BENCH_PACKETS_EMPTY,	   /* on the way out, a program that returns at once */
	BENCH_PACKETS_EBB,	   /* there ours, and some policy asks for packets */
	BENCH_PACKETS_EMPTY_TURNS, /* on the way in, a program that returns at once */
	BENCH_PACKETS_TURNS,	   /* there ours, and turns are seen */
	BENCH_PACKETS_MAX,
};

enum bench_way {
	BENCH_WAY_OUT,
	BENCH_WAY_IN,
	BENCH_WAYS,
};

struct bench_hooks {
	struct ebb_loader *loader;
	const struct ebb_view *view;
	const char *pin_dir;
	int cgroup_fd;
	int programs[BENCH_ARM_MAX][BENCH_HOOKS];
	int links[BENCH_HOOKS];
	enum bench_arm arm;
	int packet_programs[BENCH_PACKETS_MAX][BENCH_WAYS]; /* -1: none that way */
	int packet_links[BENCH_WAYS];
	enum bench_packets packets;
};

extern const char *const bench_arm_names[BENCH_ARM_MAX];

/*
 * Loads everything, attaches nothing. The policy of every destination is: enforce,
 * EHOSTUNREACH (to tell our refusal from a closed port's), count refused connects,
 * open after @failures of them in a row (0: never). The agent's lease never ends.
 */
int bench_hooks_open(struct bench_hooks *hooks, const struct bench_options *options, uint32_t failures);
void bench_hooks_close(struct bench_hooks *hooks);

/*
 * Where the kernel puts the programs moves a ratio by as much as what is in them (docs/performance.md, "Where the
 * programs lie"): a figure that is compared with a target is that of several loads.
 */
#define BENCH_LOADS 10

/* Rounds of one load, at least 1. */
static inline uint32_t bench_load_rounds(const struct bench_options *options)
{
	return options->rounds > BENCH_LOADS ? options->rounds / BENCH_LOADS : 1;
}

/* Loads everything anew where a load ends with @round. 1: it did; 0: it is not time. */
int bench_hooks_renew(struct bench_hooks *hooks, const struct bench_options *options, uint32_t failures,
		      uint32_t round);

/* From now on this is attached, and nothing else. */
int bench_hooks_use(struct bench_hooks *hooks, enum bench_arm arm);
int bench_hooks_use_packets(struct bench_hooks *hooks, enum bench_packets packets);

/* The pair slot that a connect() to @address has made, 0: none. */
uint32_t bench_find_pair(const struct ebb_view *view, const struct sockaddr_in *address);

/* ------------------------------------------------------------- benchmarks -- */

/* Each fills @ret_result, or prints what went wrong and returns a negative errno. */
int bench_refused(const struct bench_options *options, json_t *ret_result);
int bench_allowed(const struct bench_options *options, json_t *ret_result);
int bench_send(const struct bench_options *options, json_t *ret_result);
int bench_trip(const struct bench_options *options, json_t *ret_result);
int bench_programs(const struct bench_options *options, json_t *ret_result);
int bench_packets(const struct bench_options *options, json_t *ret_result);
int bench_discover(const struct bench_options *options, json_t *ret_result);
int bench_growth(const struct bench_options *options, json_t *ret_result);
int bench_visit(const struct bench_options *options, json_t *ret_result);
int bench_knock(const struct bench_options *options, json_t *ret_result);
int bench_routes(const struct bench_options *options, json_t *ret_result);
int bench_gate(const struct bench_options *options, json_t *ret_result);
int bench_bulkhead(const struct bench_options *options, json_t *ret_result);
int bench_names(const struct bench_options *options, json_t *ret_result);
int bench_ingress(const struct bench_options *options, json_t *ret_result);
int bench_request(const struct bench_options *options, json_t *ret_result);
int bench_turns(const struct bench_options *options, json_t *ret_result);
int bench_peers(const struct bench_options *options, json_t *ret_result);

#endif /* EBB_TESTS_BENCH_BENCH_H */

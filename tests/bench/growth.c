// SPDX-License-Identifier: Apache-2.0
/*
 * How the cost of a connection grows with how many destinations and workloads there are: the time of its connect() and
 * close() as in allowed.c, where the pair of workload and destination is
 *
 *	warm	the same each time
 *	random	any of all, so that its state has left the caches
 *
 * each with ours attached against nothing attached, and nothing against itself, in alternating blocks. The sockets of a
 * block are opened before, in cgroups of the workloads' own; who connects them is not governed himself.
 *
 * And what growth.py needs beside an agent: visit makes it know the pairs and keeps it busy, knock asks an open gate.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"

#define PORT	  19479 /* the same destinations each time; the network namespace is the benchmark's own */
#define GROUPS	  10U	/* workloads of a block */
#define VISIT_MAX 64U	/* sockets that are opened at once */

enum {
	CASE_WARM_NONE,
	CASE_WARM,
	CASE_RANDOM_NONE,
	CASE_RANDOM,
	CASE_RANDOM_AGAIN,
	CASE_MAX
};

static const struct {
	const char *name;
	enum bench_arm arm;
	bool random;
	int base; /* that it is compared with */
} cases[CASE_MAX] = {
	[CASE_WARM_NONE] = {"warm_none", BENCH_ARM_NONE, false, CASE_WARM_NONE},
	[CASE_WARM] = {"warm", BENCH_ARM_EBB, false, CASE_WARM_NONE},
	[CASE_RANDOM_NONE] = {"random_none", BENCH_ARM_NONE, true, CASE_RANDOM_NONE},
	[CASE_RANDOM] = {"random", BENCH_ARM_EBB, true, CASE_RANDOM_NONE},
	[CASE_RANDOM_AGAIN] = {"random_again", BENCH_ARM_NONE, true, CASE_RANDOM_NONE},
};

/* Opened by a child, in memory that it shares. */
struct sockets {
	uint32_t count;
	int fds[VISIT_MAX];
};

struct world {
	const struct bench_options *options;
	struct sockets *sockets;
	uint64_t state; /* of the random numbers */
	int listener;
};

static int fail(const char *what)
{
	int r = errno ? -errno : -EIO;

	(void)fprintf(stderr, "ebb-bench: growth: %s: %s\n", what, strerror(-r));
	return r;
}

static uint32_t random_below(struct world *world, uint32_t end)
{
	world->state ^= world->state << 13;
	world->state ^= world->state >> 7;
	world->state ^= world->state << 17;
	return (uint32_t)(world->state >> 32) % end;
}

static int open_all(void *data)
{
	struct sockets *sockets = data;

	for (uint32_t i = 0; i < sockets->count; i++) {
		sockets->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (sockets->fds[i] < 0)
			return fail("socket");
	}
	return 0;
}

/* @count sockets of a workload, to @ret_fds. */
static int open_sockets(struct world *world, uint32_t workload, uint32_t count, int *ret_fds)
{
	int r = 0;

	for (uint32_t done = 0; done < count && r == 0; done += world->sockets->count) {
		world->sockets->count = count - done < VISIT_MAX ? count - done : VISIT_MAX;
		r = bench_in_workload(world->options->cgroup, workload, open_all, world->sockets);
		memcpy(ret_fds + done, world->sockets->fds, world->sockets->count * sizeof(*ret_fds));
	}
	return r;
}

/* As in allowed.c, on a socket that is there. */
static int connection(const struct world *world, int client, uint32_t destination, double *ret_ns)
{
	struct sockaddr_in address = bench_address(destination, PORT);
	uint64_t t0 = bench_now(), t1, t2;
	int r = connect(client, (const struct sockaddr *)&address, sizeof(address)), server;

	t1 = bench_now();
	server = r < 0 ? -1 : accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0) {
		r = fail("connect, accept");
		(void)close(client);
		return r;
	}
	(void)close(server);
	t2 = bench_now();
	(void)close(client);
	*ret_ns = (double)(bench_now() - t2 + t1 - t0);
	return 0;
}

/* Every pair once. */
static int visit_all(struct world *world)
{
	int fds[VISIT_MAX], r = 0;
	double ns;

	for (uint32_t w = 0; w < world->options->workloads; w++) {
		for (uint32_t d = 0; d < world->options->trials && r == 0; d += VISIT_MAX) {
			uint32_t left = world->options->trials - d;
			uint32_t count = left < VISIT_MAX ? left : VISIT_MAX;

			r = open_sockets(world, w, count, fds);
			for (uint32_t i = 0; i < count && r == 0; i++)
				r = connection(world, fds[i], d + i, &ns);
		}
	}
	return r;
}

static int listen_everywhere(int *ret_fd)
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
		return fail("listen");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_world(struct world *world, const struct bench_options *options)
{
	*world = (struct world){.options = options, .state = 0x9e3779b97f4a7c15ULL, .listener = -1};
	world->sockets = mmap(NULL, sizeof(*world->sockets), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world->sockets == MAP_FAILED)
		return fail("mmap");
	if (options->trials == 0 || options->workloads == 0)
		return -EINVAL;
	return listen_everywhere(&world->listener);
}

static void close_world(struct world *world)
{
	if (world->sockets != MAP_FAILED)
		(void)munmap(world->sockets, sizeof(*world->sockets));
	if (world->listener >= 0)
		(void)close(world->listener);
}

/* ------------------------------------------------------------ a connection -- */

static int block(struct world *world, int c, double clock_ns, struct bench_series *series)
{
	const struct bench_options *options = world->options;
	uint32_t each = options->samples / GROUPS;
	_cleanup_free_ int *fds = calloc(options->samples, sizeof(*fds));
	int r = fds ? 0 : -ENOMEM;
	double ns = 0;

	for (uint32_t g = 0; g < GROUPS && r == 0; g++)
		r = open_sockets(world, cases[c].random ? random_below(world, options->workloads) : 0, each,
				 &fds[g * each]);
	/* of each workload in turn, so that none is met twice in a row */
	for (uint32_t i = 0; i < each * GROUPS && r == 0; i++) {
		r = connection(world, fds[i % GROUPS * each + i / GROUPS],
			       cases[c].random ? random_below(world, options->trials) : 0, &ns);
		series->samples[series->sample_count++] = ns - 2 * clock_ns;
	}
	bench_series_end_round(series, each * GROUPS);
	return r;
}

static int measure(struct world *world, struct bench_hooks *hooks, struct bench_series series[CASE_MAX])
{
	double clock_ns = (double)bench_clock_cost();
	int r = 0;

	for (uint32_t round = 0; round < world->options->rounds && r == 0; round++) {
		for (uint32_t i = 0; i < CASE_MAX && r == 0; i++) {
			int c = (int)((round + i) % CASE_MAX);

			r = bench_hooks_use(hooks, cases[c].arm);
			if (r == 0)
				r = block(world, c, clock_ns, &series[c]);
		}
	}
	return r;
}

/* That all pairs are where the figures say. */
static int check(const struct bench_options *options, const struct ebb_view *view)
{
	uint32_t pairs = options->trials * options->workloads;

	if (view->kernel->pair_high == pairs && !view->kernel->errors[EBB_ERR_SHARE_FULL])
		return 0;
	(void)fprintf(stderr, "ebb-bench: growth: %u pairs, wanted %u\n", view->kernel->pair_high, pairs);
	return -EPROTO;
}

int bench_growth(const struct bench_options *options, json_t *ret_result)
{
	struct bench_series series[CASE_MAX] = {};
	struct bench_hooks hooks;
	struct world world;
	int r;

	r = open_world(&world, options);
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		r = bench_series_init(&series[c], options->rounds, options->samples);
	if (r == 0)
		r = bench_hooks_open(&hooks, options, 5);
	if (r == 0) {
		r = bench_hooks_use(&hooks, BENCH_ARM_EBB);
		if (r == 0)
			r = visit_all(&world);
		if (r == 0)
			r = measure(&world, &hooks, series);
		if (r == 0)
			r = check(options, hooks.view);
		bench_hooks_close(&hooks);
	}
	for (int c = 0; c < CASE_MAX && r == 0; c++)
		(void)json_object_set_new(ret_result, cases[c].name,
					  json_pack("{s:o, s:o}", "ns",
						    bench_summary(series[c].samples, series[c].sample_count),
						    "ratio",
						    bench_ratio(&series[c], &series[cases[c].base])));
	for (int c = 0; c < CASE_MAX; c++)
		bench_series_done(&series[c]);
	close_world(&world);
	return r;
}

/* ---------------------------------------------------------- beside an agent -- */

static void wait_until(uint64_t ns)
{
	const struct timespec at = {.tv_sec = (time_t)(ns / 1000000000ULL),
				    .tv_nsec = (long)(ns % 1000000000ULL)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Every pair once; with a rate: any of them, so many a second. */
int bench_visit(const struct bench_options *options, json_t *ret_result)
{
	struct world world;
	uint64_t begin;
	int fd = -1, r;
	double ns;

	r = open_world(&world, options);
	if (r == 0 && !options->rate)
		r = visit_all(&world);
	begin = bench_now();
	for (uint32_t i = 0; options->rate && i < options->samples && r == 0; i++) {
		r = open_sockets(&world, random_below(&world, options->workloads), 1, &fd);
		if (r == 0)
			r = connection(&world, fd, random_below(&world, options->trials), &ns);
		wait_until(begin + (i + 1) * 1000000000ULL / options->rate);
	}
	(void)json_object_set_new(ret_result, "seconds", json_real((double)(bench_now() - begin) / 1e9));
	close_world(&world);
	return r;
}

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = number;
}

/*
 * Connects to a closed port (--trials) of one destination, again and again, until it is told to end: when it was refused by a gate (EHOSTUNREACH) first,
 * by the monotonic clock, and how many times it came to the port (ECONNREFUSED) before and after that.
 */
int bench_knock(const struct bench_options *options, json_t *ret_result)
{
	const struct sigaction action = {.sa_handler = stop};
	uint64_t before = 0, after = 0, refused = 0, first = 0, next = bench_now();
	struct sockaddr_in address;
	int r;

	(void)sigaction(SIGTERM, &action, NULL);
	address = bench_address(options->first, (uint16_t)options->trials);
	r = bench_enter_cgroup(options->cgroup);
	while (!stopped && r == 0) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int got = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;

		(void)close(fd);
		if (got == EHOSTUNREACH && refused++ == 0)
			first = bench_now();
		else if (got == ECONNREFUSED)
			*(first ? &after : &before) += 1;
		else if (got != EHOSTUNREACH)
			r = fail("connect");
		next += 1000000000ULL / options->rate;
		wait_until(next);
	}
	(void)json_object_set_new(ret_result, "first_ns", json_integer((json_int_t)first));
	(void)json_object_set_new(ret_result, "refused", json_integer((json_int_t)refused));
	(void)json_object_set_new(ret_result, "through_before", json_integer((json_int_t)before));
	(void)json_object_set_new(ret_result, "through_after", json_integer((json_int_t)after));
	return r;
}

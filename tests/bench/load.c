// SPDX-License-Identifier: Apache-2.0
/*
 * ebb-bench load: connections at a rate, each with a request and its answer, to many destinations, by one process; their
 * server is another, outside of the cgroup. For tests/bench/load.py.
 *
 * The load is open: a connection begins when it is due, whatever became of those before, and its time counts from when it
 * was due. So a program that is slow for a moment shows in all that waited meanwhile, and not in one.
 *
 *	client   due -> connect() -> request -> answer, and the end -> done
 *	server   accept() -> request -> answer, close(): the port that waits for its end is the server's
 *
 * A destination is an address and a port: loads one after the other meet the same ones only at the same --port.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "lib/units.h"
#include "server.h"
#include "traffic.h"

#define REQUEST	      200
#define ANSWER	      600
#define OPEN_MAX      8192 /* connections at once; what is due while so many are open is counted and left out */
#define EVENTS	      256
#define PATIENCE_NS   5000000000ULL /* a connection that is not done by then has failed */
#define BUCKETS	      4096	    /* of the histogram: exact up to 1,024 us, then within 1% */
#define EXACT	      1024
#define PER_OCTAVE    128
#define LISTEN_QUEUE  4096
#define SERVER_EVENTS 256

struct options {
	const char *cgroup;
	uint32_t rate;
	uint32_t milliseconds;
	uint32_t destinations;
	uint32_t port; /* of the server; 0: any that is free */
};

/* Microseconds. */
struct hist {
	uint64_t counts[BUCKETS];
	uint64_t count;
	uint64_t max;
};

struct connection {
	int fd; /* -1: none */
	uint32_t got;
	uint64_t due_ns;
	bool asked;
};

struct load {
	const struct options *options;
	int epoll;
	uint16_t port;
	struct connection open[OPEN_MAX];
	uint32_t spare[OPEN_MAX];
	uint32_t spare_count;
	struct hist hist;
	uint64_t due, begun, done, failed, refused, left_out;
};

/* -------------------------------------------------------------------- hist -- */

static size_t bucket_of(uint64_t us)
{
	size_t octave, bucket;

	if (us < EXACT)
		return (size_t)us;
	octave = 63U - (size_t)__builtin_clzll(us) - 10;
	bucket = EXACT + octave * PER_OCTAVE + (size_t)((us >> (octave + 3)) - PER_OCTAVE);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The least of those that fall into it. */
static double value_of(size_t bucket)
{
	size_t octave, rest;

	if (bucket < EXACT)
		return (double)bucket;
	octave = (bucket - EXACT) / PER_OCTAVE;
	rest = (bucket - EXACT) % PER_OCTAVE;
	return (double)((rest + PER_OCTAVE) << (octave + 3));
}

static void hist_add(struct hist *hist, uint64_t ns)
{
	uint64_t us = ns / 1000;

	hist->counts[bucket_of(us)]++;
	hist->count++;
	hist->max = us > hist->max ? us : hist->max;
}

static double hist_quantile(const struct hist *hist, double q)
{
	uint64_t wanted = (uint64_t)(q * (double)hist->count), seen = 0;

	for (size_t b = 0; b < BUCKETS; b++) {
		seen += hist->counts[b];
		if (seen > wanted)
			return value_of(b);
	}
	return (double)hist->max;
}

/* ------------------------------------------------------------------ server -- */

/* Its descriptor is what it is known by: a request is a single segment here, so there is nothing to keep. */
static void serve_one(int fd)
{
	static char bytes[ANSWER];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		(void)send(fd, bytes, ANSWER, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static void take_clients(int listener, int epoll)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			(void)close(fd);
	}
}

static _Noreturn void serve(int listener)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[SERVER_EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	bench_leave_cpu();
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		_exit(1);
	for (;;) {
		int n = epoll_wait(epoll, events, SERVER_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				take_clients(listener, epoll);
			else
				serve_one(events[i].data.fd);
		}
	}
}

static int start_server(uint32_t port, pid_t *ret_pid, uint16_t *ret_port)
{
	struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	socklen_t size = sizeof(all);

	/* the connections of a load before this one still wait for their end */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&all, size) < 0 || listen(fd, LISTEN_QUEUE) < 0 ||
	    getsockname(fd, (struct sockaddr *)&all, &size) < 0)
		return traffic_error("listen");
	*ret_port = ntohs(all.sin_port);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
	}
	(void)close(fd);
	return *ret_pid > 0 ? 0 : traffic_error("fork");
}

/* ------------------------------------------------------------------ client -- */

static void end(struct load *load, uint32_t slot, bool well)
{
	struct connection *c = &load->open[slot];

	(void)close(c->fd);
	c->fd = -1;
	load->spare[load->spare_count++] = slot;
	if (!well) {
		load->failed++;
		return;
	}
	load->done++;
	hist_add(&load->hist, bench_now() - c->due_ns);
}

static void begin(struct load *load, uint64_t due_ns)
{
	struct sockaddr_in to =
		bench_address((uint32_t)(load->due++ % load->options->destinations), load->port);
	struct epoll_event event = {.events = EPOLLOUT};
	struct connection *c;
	uint32_t slot;
	int one = 1;

	if (load->spare_count == 0) {
		load->left_out++;
		return;
	}
	slot = load->spare[--load->spare_count];
	c = &load->open[slot];
	*c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
				 .due_ns = due_ns};
	load->begun++;
	event.data.u32 = slot;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (c->fd >= 0 && (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS) &&
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0)
		return;
	/* on loopback only a breaker refuses at once */
	load->refused += errno == EPERM || errno == ECONNREFUSED;
	end(load, slot, false);
}

static void ask(struct load *load, uint32_t slot)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = slot};
	struct connection *c = &load->open[slot];
	static const char bytes[REQUEST];

	if (send(c->fd, bytes, REQUEST, MSG_NOSIGNAL) != REQUEST ||
	    epoll_ctl(load->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
		end(load, slot, false);
	else
		c->asked = true;
}

static void hear(struct load *load, uint32_t slot)
{
	struct connection *c = &load->open[slot];
	char bytes[ANSWER];
	ssize_t n;

	while ((n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		c->got += (uint32_t)n;
	if (n == 0 || errno != EAGAIN)
		end(load, slot, n == 0 && c->got == ANSWER);
}

static void give_up(struct load *load, uint64_t now_ns)
{
	for (uint32_t slot = 0; slot < OPEN_MAX; slot++) {
		if (load->open[slot].fd >= 0 && now_ns > load->open[slot].due_ns + PATIENCE_NS)
			end(load, slot, false);
	}
}

/* Until all are done that were begun in @milliseconds, or out of patience. */
static void run(struct load *load)
{
	const uint64_t step_ns = 1000000000ULL / load->options->rate, start_ns = bench_now() + step_ns;
	const uint64_t end_ns = start_ns + load->options->milliseconds * 1000000ULL;
	uint64_t due_ns = start_ns, looked_ns = start_ns, now_ns;
	struct epoll_event events[EVENTS];

	do {
		int n, wait_ms;

		now_ns = bench_now();
		for (; due_ns <= now_ns && due_ns < end_ns; due_ns += step_ns)
			begin(load, due_ns);
		if (now_ns > looked_ns + PATIENCE_NS / 10) {
			give_up(load, now_ns);
			looked_ns = now_ns;
		}
		wait_ms = due_ns < end_ns ? (int)((due_ns - now_ns) / 1000000) : 100;
		n = epoll_wait(load->epoll, events, EVENTS, due_ns > now_ns ? wait_ms : 0);
		for (int i = 0; i < n; i++) {
			uint32_t slot = events[i].data.u32;

			if (load->open[slot].asked)
				hear(load, slot);
			else
				ask(load, slot);
		}
	} while (due_ns < end_ns || load->spare_count < OPEN_MAX);
}

/* ----------------------------------------------------------------- command -- */

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = {{"cgroup", required_argument, NULL, 'c'},
						{"rate", required_argument, NULL, 'r'},
						{"ms", required_argument, NULL, 'm'},
						{"destinations", required_argument, NULL, 'd'},
						{"port", required_argument, NULL, 'p'},
						{NULL, 0, NULL, 0}};
	int letter, r = 0;

	*ret = (struct options){.rate = 1000, .milliseconds = 1000, .destinations = 64};
	while (r == 0 && (letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (letter == 'c')
			ret->cgroup = optarg;
		else
			r = letter == 'r'   ? ebb_parse_u32(optarg, &ret->rate)
			    : letter == 'm' ? ebb_parse_u32(optarg, &ret->milliseconds)
			    : letter == 'd' ? ebb_parse_u32(optarg, &ret->destinations)
			    : letter == 'p' ? ebb_parse_u32(optarg, &ret->port)
					    : -EINVAL;
	}
	if (r == 0 && ret->cgroup && ret->rate && ret->destinations && ret->port <= UINT16_MAX)
		return 0;
	(void)fprintf(stderr,
		      "usage: ebb-bench load --cgroup DIR [--rate N] [--ms N] [--destinations N] [--port N]\n");
	return -EINVAL;
}

static void tell(const struct load *load)
{
	const struct hist *h = &load->hist;

	(void)printf("{\"due\": %llu, \"begun\": %llu, \"done\": %llu, \"failed\": %llu, \"refused\": %llu, \"left_out\": %llu, "
		     "\"us\": {\"p50\": %.0f, \"p95\": %.0f, \"p99\": %.0f, \"max\": %llu}}\n",
		     (unsigned long long)load->due, (unsigned long long)load->begun,
		     (unsigned long long)load->done, (unsigned long long)load->failed,
		     (unsigned long long)load->refused, (unsigned long long)load->left_out,
		     hist_quantile(h, 0.5), hist_quantile(h, 0.95), hist_quantile(h, 0.99),
		     (unsigned long long)h->max);
}

int traffic_load_main(int argc, char **argv)
{
	struct rlimit files = {2 * OPEN_MAX, 2 * OPEN_MAX};
	struct options options;
	struct load *load;
	pid_t server = 0;
	int r = parse(argc, argv, &options);

	if (r < 0)
		return 2;
	load = calloc(1, sizeof(*load));
	if (!load || setrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	load->options = &options;
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t slot = 0; slot < OPEN_MAX; slot++) {
		load->open[slot].fd = -1;
		load->spare[load->spare_count++] = slot;
	}
	r = load->epoll < 0 ? traffic_error("epoll") : bench_pin_cpu(-1);
	if (r == 0)
		r = start_server(options.port, &server, &load->port);
	if (r == 0)
		r = bench_enter_cgroup(options.cgroup);
	if (r == 0) {
		run(load);
		tell(load);
	}
	if (server > 0) {
		(void)kill(server, SIGKILL);
		(void)waitpid(server, NULL, 0);
	}
	free(load);
	return r == 0 ? 0 : 1;
}

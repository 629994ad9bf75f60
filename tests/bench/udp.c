// SPDX-License-Identifier: Apache-2.0
/*
 * ebb-bench udp: datagrams faster than a limit lets them through. Counted by the time at
 * which the kernel took each in (SO_TIMESTAMPNS): when it is read does not matter.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "traffic.h"

#define BATCH	     64
#define IP_HEADERS   28
#define ROOM	     (256 << 20)
#define TICK_NS	     500000ULL /* so often the sender looks at the clock */
#define DRAIN	     4	/* so many times faster it sends at first: some buckets hold what a second brings */
#define CATCH_UP_MAX 20 /* ticks that it makes up for after it was kept away */

static uint64_t real_minus_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec - bench_now();
}

static void note(const struct traffic_options *options, struct traffic_shared *shared, uint64_t at_ns,
		 size_t size)
{
	uint64_t window_ns = options->window_ms * 1000000ULL;
	uint64_t window;

	if (at_ns < shared->start_ns)
		return;
	window = (at_ns - shared->start_ns) / window_ns + 1;
	if (window >= TRAFFIC_SAMPLES_MAX)
		return;
	shared->samples[window].payload += size;
	/* with UDP_GRO several arrive as one */
	shared->samples[window].segments += (size + options->size - 1) / options->size;
}

static uint64_t arrival_ns(struct msghdr *message, uint64_t offset)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec - offset;
	}
	return 0;
}

static int receive_batch(int fd, const struct traffic_options *options, struct traffic_shared *shared,
			 uint64_t offset)
{
	static union {
		char bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} controls[BATCH];
	static char byte[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	int count;

	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){.iov_base = &byte[i], .iov_len = 1};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
						      .msg_iovlen = 1,
						      .msg_control = &controls[i],
						      .msg_controllen = sizeof(controls[i])};
	}
	count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	for (int i = 0; i < count; i++)
		note(options, shared, arrival_ns(&messages[i].msg_hdr, offset), messages[i].msg_len);
	return count;
}

/* Windows become counters since the start, as those of TCP are. */
static void add_up(const struct traffic_options *options, struct traffic_shared *shared)
{
	uint64_t windows = traffic_length_ns(options) / 1000000 / options->window_ms;

	for (uint64_t w = 0; w <= windows; w++) {
		shared->samples[w].at_ns = shared->start_ns + w * options->window_ms * 1000000ULL;
		if (w) {
			shared->samples[w].payload += shared->samples[w - 1].payload;
			shared->samples[w].segments += shared->samples[w - 1].segments;
		}
	}
	shared->sample_count = (uint32_t)windows + 1;
}

static int receive_all(const struct traffic_options *options, struct traffic_shared *shared)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd source = {.fd = fd, .events = POLLIN};
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t size = sizeof(memory);
	uint64_t offset = real_minus_monotonic();
	int one = 1, room = ROOM;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    bind(fd, (const struct sockaddr *)&options->to, sizeof(options->to)) < 0)
		return traffic_error("receiver");
	/* hundreds of thousands a second are more than one process reads one by one */
	if (options->segment > 1 && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)) < 0)
		return traffic_error("UDP_GRO");
	TRAFFIC_STORE(shared->ready, 1);
	while (receive_batch(fd, options, shared, offset) > 0 || !TRAFFIC_LOAD(shared->stop))
		(void)poll(&source, 1, 5);
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0)
		shared->overflow = memory[SK_MEMINFO_DROPS];
	shared->receiver_cpu_ns = traffic_cpu_ns();
	add_up(options, shared);
	return 0;
}

/* Refused by a limit, or no room in a queue: the next is sent all the same, as programs do. */
static uint64_t send_some(int fd, const struct traffic_options *options, uint64_t datagrams)
{
	static char bytes[65536];
	struct iovec part = {.iov_base = bytes, .iov_len = (size_t)options->size * options->segment};
	struct mmsghdr messages[BATCH] = {0};
	uint64_t sent = 0;

	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	while (sent < datagrams) {
		uint64_t left = (datagrams - sent + options->segment - 1) / options->segment;
		int count = sendmmsg(fd, messages, left < BATCH ? (unsigned int)left : BATCH, MSG_DONTWAIT);

		sent += (uint64_t)(count > 0 ? count : 1) * options->segment;
	}
	return sent;
}

static void send_all(int fd, const struct traffic_options *options, const struct traffic_shared *shared,
		     double *ret_offered)
{
	uint64_t start = shared->start_ns, end = start + traffic_length_ns(options);
	uint64_t warm = start + options->warm_up_ms * 1000000ULL;
	double per_tick = (double)options->offer * (double)TICK_NS / 1e9 / (options->size + IP_HEADERS);
	uint64_t ticks = 0, sent = 0, now;
	double owed = 0;

	while ((now = bench_now()) < end) {
		uint64_t due = now > start ? (now - start) / TICK_NS : 0;
		uint64_t missed = due - ticks, some;

		if (!missed) {
			struct timespec rest = {.tv_nsec = (long)(TICK_NS / 4)};

			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL); /* the rate of the sender */
			continue;
		}
		owed += per_tick * (double)(missed < CATCH_UP_MAX ? missed : CATCH_UP_MAX) *
			(now < warm ? DRAIN : 1);
		ticks = due;
		if (owed < 1)
			continue;
		some = send_some(fd, options, (uint64_t)owed);
		owed -= (double)some;
		if (now >= warm)
			sent += some;
	}
	*ret_offered = (double)sent * (options->size + IP_HEADERS) / ((double)(end - warm) / 1e9);
}

static int open_sender(const struct traffic_options *options, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = (int)options->size, room = 4 << 20;

	if (fd < 0 ||
	    (options->segment > 1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0))
		return traffic_error("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (connect(fd, (const struct sockaddr *)&options->to, sizeof(options->to)) < 0)
		return traffic_error("connect");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int run(const struct traffic_options *options, struct traffic_shared *shared, json_t **ret_result)
{
	struct traffic_noise noise[2];
	_cleanup_close_ int fd = -1;
	double offered = 0;
	int status, r;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return traffic_error("fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (options->far && traffic_enter_netns(options->far) < 0)
			_exit(1);
		_exit(receive_all(options, shared) < 0);
	}
	while (!TRAFFIC_LOAD(shared->ready) && waitpid(pid, &status, WNOHANG) == 0)
		(void)poll(NULL, 0, 1);
	r = TRAFFIC_LOAD(shared->ready) ? bench_enter_cgroup(options->cgroup) : -ECHILD;
	if (r == 0)
		r = open_sender(options, &fd);
	if (r == 0)
		r = traffic_noise_read(&noise[0]);
	if (r == 0) {
		TRAFFIC_STORE(shared->start_ns, bench_now() + 30000000ULL);
		send_all(fd, options, shared, &offered);
		r = traffic_noise_read(&noise[1]);
	}
	TRAFFIC_STORE(shared->stop, 1);
	if (TRAFFIC_LOAD(shared->ready) && (waitpid(pid, &status, 0) < 0 || status != 0) && r == 0)
		r = -ECHILD;
	if (r < 0)
		return r;
	*ret_result = json_pack("{s:f}", "offered", offered);
	return *ret_result ? traffic_report(options, shared, noise, *ret_result) : -ENOMEM;
}

int traffic_udp_main(int argc, char **argv)
{
	struct traffic_options options;
	struct traffic_shared *shared;
	json_t *result = NULL;
	int r;

	if (traffic_parse(argc, argv, &options) < 0)
		return 2;
	if (!options.offer || options.size * options.segment > 65000) {
		(void)fprintf(stderr,
			      "ebb-bench: udp: --offer is needed, and a datagram of at most 65000 bytes\n");
		return 2;
	}
	shared = traffic_share();
	if (!shared)
		return 1;
	r = run(&options, shared, &result);
	if (r == 0 && json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0)
		(void)putchar('\n');
	json_decref(result);
	return r == 0 ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The receiver of the bulk flows. What arrived is read from the kernel's counters at the
 * end of each window (TCP_INFO), not from what this process has got round to reading: so
 * a receiver that waits for a processor does not look like a sender that stalls.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "traffic.h"

#define READ_MAX (4U << 20)

struct flow {
	int fd; /* -1: closed, the counters are the last */
	uint64_t payload;
	uint64_t segments;
};

struct receiver {
	const struct traffic_options *options;
	struct traffic_shared *shared;
	int listener;
	int timer;
	int epoll;
	bool armed;
	uint64_t ticks; /* windows that have begun */
	struct flow flows[TRAFFIC_FLOWS_MAX];
	uint32_t flow_count;
};

static void *answer(void *argument)
{
	int fd = *(int *)argument;
	char byte;

	free(argument);
	while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
		;
	(void)close(fd);
	return NULL;
}

/* Answers in a thread of its own: bytes that the bulk flows keep waiting are not the limit's fault. */
static int start_answering(int fd)
{
	struct sched_param first = {.sched_priority = 1};
	int *argument = malloc(sizeof(*argument));
	pthread_t thread;
	int r;

	if (!argument)
		return -ENOMEM;
	*argument = fd;
	r = pthread_create(&thread, NULL, answer, argument);
	if (r) {
		free(argument);
		return -r;
	}
	(void)pthread_setschedparam(thread, SCHED_FIFO, &first);
	(void)pthread_detach(thread);
	return 0;
}

/* The first byte says what a connection is for. */
static int take_connection(struct receiver *receiver)
{
	_cleanup_close_ int fd = accept4(receiver->listener, NULL, NULL, SOCK_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = receiver->flow_count};
	int one = 1;
	char kind;

	if (fd < 0 || recv(fd, &kind, 1, MSG_WAITALL) != 1)
		return traffic_error("accept");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (kind == 'e') {
		int r = start_answering(fd);

		if (r == 0)
			(void)TAKE_FD(fd);
		return r;
	}
	if (receiver->flow_count == TRAFFIC_FLOWS_MAX)
		return -EOVERFLOW;
	if (epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return traffic_error("epoll_ctl");
	receiver->flows[receiver->flow_count++].fd = TAKE_FD(fd);
	TRAFFIC_STORE(receiver->shared->accepted, receiver->flow_count);
	return 0;
}

static void read_counters(struct flow *flow)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	if (flow->fd < 0 || getsockopt(flow->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return;
	flow->payload = info.tcpi_bytes_received;
	flow->segments = info.tcpi_segs_in;
}

static void read_flow(struct flow *flow)
{
	ssize_t got = recv(flow->fd, NULL, READ_MAX, MSG_TRUNC | MSG_DONTWAIT);

	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	read_counters(flow);
	(void)close(flow->fd);
	flow->fd = -1;
}

/* The first edge is the end of the warm-up. */
static void note_edge(struct receiver *receiver, uint64_t nominal_ns)
{
	const struct traffic_options *options = receiver->options;
	uint64_t since_ms = (nominal_ns - receiver->shared->start_ns) / 1000000;
	uint64_t edge;

	if (since_ms < options->warm_up_ms || (since_ms - options->warm_up_ms) % options->step_ms)
		return;
	edge = (since_ms - options->warm_up_ms) / options->step_ms;
	if (edge > options->step_count)
		return;
	for (uint32_t f = 0; f < receiver->flow_count; f++)
		receiver->shared->flow_bytes[edge][f] = receiver->flows[f].payload;
	receiver->shared->flow_count = receiver->flow_count;
}

/* At the end of @ticks windows: of more than one where we were late, which makes one long window. */
static void sample(struct receiver *receiver, uint64_t ticks)
{
	struct traffic_shared *shared = receiver->shared;
	struct traffic_sample *now = &shared->samples[shared->sample_count];
	uint64_t window_ns = receiver->options->window_ms * 1000000ULL;
	uint64_t nominal = shared->start_ns + receiver->ticks * window_ns;
	uint64_t before = bench_now();

	receiver->ticks += ticks;
	if (shared->sample_count == TRAFFIC_SAMPLES_MAX)
		return;
	for (uint32_t f = 0; f < receiver->flow_count; f++) {
		read_counters(&receiver->flows[f]);
		now->payload += receiver->flows[f].payload;
		now->segments += receiver->flows[f].segments;
	}
	/* the middle of the time that reading them took */
	now->at_ns = (before + bench_now()) / 2;
	if (now->at_ns > nominal && now->at_ns - nominal > shared->late_max_ns)
		shared->late_max_ns = now->at_ns - nominal;
	for (uint64_t i = 0; i < ticks; i++)
		note_edge(receiver, nominal + i * window_ns);
	shared->sample_count++;
}

static int arm(struct receiver *receiver)
{
	uint64_t start = TRAFFIC_LOAD(receiver->shared->start_ns);
	uint32_t ms = receiver->options->window_ms;
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(start / 1000000000ULL),
			     .tv_nsec = (long)(start % 1000000000ULL)},
		.it_interval = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L},
	};

	if (!start)
		return 0;
	receiver->armed = true;
	if (timerfd_settime(receiver->timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return traffic_error("timerfd_settime");
	return 0;
}

static int handle(struct receiver *receiver, uint32_t source)
{
	uint64_t times;

	if (source < TRAFFIC_FLOWS_MAX) {
		if (receiver->flows[source].fd >= 0)
			read_flow(&receiver->flows[source]);
		return 0;
	}
	if (source == TRAFFIC_FLOWS_MAX)
		return take_connection(receiver);
	if (read(receiver->timer, &times, sizeof(times)) == sizeof(times))
		sample(receiver, times);
	return 0;
}

static int prepare(struct receiver *receiver)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = TRAFFIC_FLOWS_MAX};
	int one = 1;

	receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	receiver->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	receiver->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (receiver->listener < 0 || receiver->timer < 0 || receiver->epoll < 0)
		return traffic_error("socket");
	(void)setsockopt(receiver->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(receiver->listener, (const struct sockaddr *)&receiver->options->to,
		 sizeof(receiver->options->to)) < 0 ||
	    listen(receiver->listener, SOMAXCONN) < 0 ||
	    epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, receiver->listener, &event) < 0)
		return traffic_error("listen");
	event.data.u32 = TRAFFIC_FLOWS_MAX + 1;
	if (epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, receiver->timer, &event) < 0)
		return traffic_error("epoll_ctl");
	return 0;
}

int traffic_receive(const struct traffic_options *options, struct traffic_shared *shared)
{
	static struct receiver receiver;
	struct epoll_event events[64];
	int count, r;

	receiver.options = options;
	receiver.shared = shared;
	r = prepare(&receiver);
	TRAFFIC_STORE(shared->ready, 1);
	while (r == 0 && !TRAFFIC_LOAD(shared->stop)) {
		if (!receiver.armed)
			r = arm(&receiver);
		count = epoll_wait(receiver.epoll, events, 64, 5);
		for (int i = 0; i < count && r == 0; i++)
			r = handle(&receiver, events[i].data.u32);
		shared->receiver_cpu_ns = traffic_cpu_ns();
	}
	return r;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * ebb-bench tcp: bulk flows that start together, or come and go (--flows 1,8,1), and
 * beside them a connection to the same place that sends a byte now and then.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "traffic.h"

#define WRITE_SIZE  (128U << 10)
#define ECHO_NS	    50000000ULL
#define ECHO_SHIFT  13000000ULL /* not at the edges of the windows */
#define PATIENCE_NS 10000000000ULL
#define RTT_MAX	    65536
#define HEADERS	    52 /* IPv4, TCP, its timestamps */

struct sender {
	const struct traffic_options *options;
	struct traffic_shared *shared;
	int epoll;
	int timer;
	int fds[TRAFFIC_FLOWS_MAX]; /* -1: none */
	bool sending[TRAFFIC_FLOWS_MAX];
	uint32_t opened; /* ever */
	uint32_t step;
	uint64_t closed_retransmits;
	uint64_t retransmits[2]; /* of the sockets, at the end of the warm-up and at the end */
	uint64_t segments_out[2];
	uint64_t namespace_retransmits[2];
	uint32_t mss;
	double *rtt_us;
	size_t rtt_count;
};

static uint64_t start_ns(const struct traffic_shared *shared)
{
	return TRAFFIC_LOAD(shared->start_ns);
}

/* Waits, a millisecond at a time; -ETIMEDOUT when @word stays below @at_least. */
static int wait_for(const uint32_t *word, uint32_t at_least)
{
	uint64_t deadline = bench_now() + PATIENCE_NS;

	while (TRAFFIC_LOAD(*word) < at_least) {
		if (bench_now() > deadline)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

static int open_connection(const struct traffic_options *options, char kind, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = 10};
	int one = 1;

	if (fd < 0)
		return traffic_error("socket");
	if (options->control && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options->control,
					   (socklen_t)strlen(options->control)) < 0)
		return traffic_error(options->control);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&options->to, sizeof(options->to)) < 0 ||
	    write(fd, &kind, 1) != 1)
		return traffic_error("connect");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ----------------------------------------------------------- the small one -- */

int traffic_echo(const struct traffic_options *options, struct traffic_shared *shared)
{
	struct sched_param first = {.sched_priority = 1};
	uint64_t length_ns = traffic_length_ns(options), due, sent, end;
	struct pollfd source = {.events = POLLIN};
	_cleanup_close_ int fd = -1;
	char byte = 'x';
	int r;

	/* the wait for a processor is not what is measured */
	shared->echo_realtime = sched_setscheduler(0, SCHED_FIFO, &first) == 0;
	r = open_connection(options, 'e', &fd);
	if (r < 0)
		return r;
	source.fd = fd;
	TRAFFIC_STORE(shared->echo_connected, 1);
	while (!start_ns(shared))
		(void)poll(NULL, 0, 1);
	end = start_ns(shared) + length_ns;
	due = start_ns(shared) + options->warm_up_ms * 1000000ULL + ECHO_SHIFT;
	while (due < end && shared->echo_count < TRAFFIC_SAMPLES_MAX) {
		struct timespec at = {.tv_sec = (time_t)(due / 1000000000ULL),
				      .tv_nsec = (long)(due % 1000000000ULL)};

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); /* so many times a second */
		sent = bench_now();
		if (write(fd, &byte, 1) != 1)
			return traffic_error("write");
		while (bench_now() < end && poll(&source, 1, 10) == 0)
			;
		if (source.revents && read(fd, &byte, 1) != 1)
			return traffic_error("read");
		/* one that is still on its way at the end has taken at least that long */
		shared->echo_us[shared->echo_count++] = (double)(bench_now() - sent) / 1e3;
		while (due <= bench_now())
			due += ECHO_NS;
	}
	return 0;
}

/* ---------------------------------------------------------- the large ones -- */

static int get_info(const struct sender *sender, uint32_t flow, struct tcp_info *ret)
{
	socklen_t size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (sender->fds[flow] < 0)
		return -ENOTCONN;
	return getsockopt(sender->fds[flow], IPPROTO_TCP, TCP_INFO, ret, &size) < 0 ? -errno : 0;
}

static int watch(struct sender *sender, uint32_t flow, bool sending)
{
	struct epoll_event event = {.events = sending ? EPOLLOUT : 0, .data.u32 = flow};

	sender->sending[flow] = sending;
	if (epoll_ctl(sender->epoll, EPOLL_CTL_MOD, sender->fds[flow], &event) < 0)
		return traffic_error("epoll_ctl");
	return 0;
}

static int open_flow(struct sender *sender, uint32_t flow)
{
	struct epoll_event event = {.data.u32 = flow};
	int r = open_connection(sender->options, 'b', &sender->fds[flow]);

	if (r == 0 && epoll_ctl(sender->epoll, EPOLL_CTL_ADD, sender->fds[flow], &event) < 0)
		r = traffic_error("epoll_ctl");
	sender->opened++;
	return r;
}

static void close_flow(struct sender *sender, uint32_t flow)
{
	struct tcp_info info;

	if (get_info(sender, flow, &info) == 0)
		sender->closed_retransmits += info.tcpi_total_retrans;
	(void)close(sender->fds[flow]);
	sender->fds[flow] = -1;
	sender->sending[flow] = false;
}

/* What a limiter could at best do: the flows share the rate by themselves. */
static int pace_flows(struct sender *sender, uint32_t count)
{
	struct tcp_info info;

	for (uint32_t f = 0; f < count && sender->options->pace; f++) {
		uint64_t rate;

		if (get_info(sender, f, &info) < 0)
			continue;
		rate = sender->options->pace * info.tcpi_snd_mss / (info.tcpi_snd_mss + HEADERS) / count;
		if (setsockopt(sender->fds[f], SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)) < 0)
			return traffic_error("SO_MAX_PACING_RATE");
	}
	return 0;
}

/* As many flows send as the step says; of those that are too many every second one stays open, silent. */
static int use_flows(struct sender *sender, uint32_t count)
{
	int r = 0;

	for (uint32_t f = 0; f < TRAFFIC_FLOWS_MAX && r == 0; f++) {
		if (f < count && sender->fds[f] < 0)
			r = open_flow(sender, f);
		if (r == 0 && f < count && !sender->sending[f])
			r = watch(sender, f, true);
		if (r == 0 && f >= count && sender->sending[f]) {
			if (f % 2)
				r = watch(sender, f, false);
			else
				close_flow(sender, f);
		}
	}
	return r == 0 ? pace_flows(sender, count) : r;
}

static int count_retransmits(struct sender *sender, int edge)
{
	struct tcp_info info;

	sender->retransmits[edge] = sender->closed_retransmits;
	sender->segments_out[edge] = 0;
	for (uint32_t f = 0; f < TRAFFIC_FLOWS_MAX; f++) {
		if (get_info(sender, f, &info) < 0)
			continue;
		sender->retransmits[edge] += info.tcpi_total_retrans;
		sender->segments_out[edge] += info.tcpi_data_segs_out;
		sender->mss = info.tcpi_snd_mss;
	}
	return traffic_retransmitted(&sender->namespace_retransmits[edge]);
}

static void sample_rtt(struct sender *sender)
{
	struct tcp_info info;

	for (uint32_t f = 0; f < TRAFFIC_FLOWS_MAX && sender->rtt_count < RTT_MAX; f++) {
		if (sender->sending[f] && get_info(sender, f, &info) == 0)
			sender->rtt_us[sender->rtt_count++] = info.tcpi_rtt;
	}
}

static int pump(int fd)
{
	static const char bytes[WRITE_SIZE];

	if (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? 0 : traffic_error("send");
}

/* Every 50 ms; what happens at the edges of the steps happens here. */
static int tick(struct sender *sender)
{
	const struct traffic_options *options = sender->options;
	uint64_t since_ms = (bench_now() - start_ns(sender->shared)) / 1000000;
	uint64_t times;
	uint32_t step;
	int r = 0;

	if (read(sender->timer, &times, sizeof(times)) < 0 || since_ms < options->warm_up_ms)
		return 0;
	if (sender->retransmits[0] == UINT64_MAX)
		r = count_retransmits(sender, 0);
	sample_rtt(sender);
	step = (uint32_t)((since_ms - options->warm_up_ms) / options->step_ms);
	if (r == 0 && step != sender->step && step < options->step_count) {
		sender->step = step;
		r = use_flows(sender, options->steps[step]);
	}
	return r;
}

static int send_all(struct sender *sender)
{
	uint64_t end = start_ns(sender->shared) + traffic_length_ns(sender->options);
	struct itimerspec spec = {.it_interval = {.tv_nsec = 50000000}};
	struct epoll_event events[64];
	int count, r;

	spec.it_value.tv_sec = (time_t)(start_ns(sender->shared) / 1000000000ULL);
	spec.it_value.tv_nsec = (long)(start_ns(sender->shared) % 1000000000ULL);
	if (timerfd_settime(sender->timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return traffic_error("timerfd_settime");
	while (bench_now() < start_ns(sender->shared))
		(void)poll(NULL, 0, 1);
	r = use_flows(sender, sender->options->steps[0]);
	while (r == 0 && bench_now() < end) {
		count = epoll_wait(sender->epoll, events, 64, 10);
		for (int i = 0; i < count && r == 0; i++) {
			uint32_t source = events[i].data.u32;

			if (source == TRAFFIC_FLOWS_MAX)
				r = tick(sender);
			else if (sender->sending[source])
				r = pump(sender->fds[source]);
		}
	}
	return r == 0 ? count_retransmits(sender, 1) : r;
}

/* All that the first step needs is connected before the time starts. */
static int prepare(struct sender *sender)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = TRAFFIC_FLOWS_MAX};
	int r = 0;

	memset(sender->fds, -1, sizeof(sender->fds));
	sender->retransmits[0] = UINT64_MAX;
	sender->rtt_us = calloc(RTT_MAX, sizeof(double));
	sender->epoll = epoll_create1(EPOLL_CLOEXEC);
	sender->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!sender->rtt_us)
		return -ENOMEM;
	if (sender->epoll < 0 || sender->timer < 0 ||
	    epoll_ctl(sender->epoll, EPOLL_CTL_ADD, sender->timer, &event) < 0)
		return traffic_error("epoll");
	for (uint32_t f = 0; f < sender->options->steps[0] && r == 0; f++)
		r = open_flow(sender, f);
	if (r == 0 && (wait_for(&sender->shared->accepted, sender->opened) < 0 ||
		       wait_for(&sender->shared->echo_connected, 1) < 0)) {
		(void)fprintf(stderr, "ebb-bench: not all connections arrived\n");
		r = -ETIMEDOUT;
	}
	return r;
}

static pid_t in_child(int (*run)(const struct traffic_options *, struct traffic_shared *),
		      const struct traffic_options *options, struct traffic_shared *shared, const char *netns)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (netns && traffic_enter_netns(netns) < 0)
		_exit(1);
	_exit(run(options, shared) < 0);
}

static int finish(pid_t pid)
{
	int status;

	if (pid <= 0)
		return 0;
	if (waitpid(pid, &status, 0) < 0)
		return traffic_error("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static json_t *describe(const struct sender *sender)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:b}", "mss", (json_int_t)sender->mss, "retransmits",
			 (json_int_t)(sender->retransmits[1] - sender->retransmits[0]),
			 "namespace_retransmits",
			 (json_int_t)(sender->namespace_retransmits[1] - sender->namespace_retransmits[0]),
			 "segments_out", (json_int_t)(sender->segments_out[1] - sender->segments_out[0]),
			 "srtt_us", bench_summary(sender->rtt_us, sender->rtt_count), "echo_realtime",
			 sender->shared->echo_realtime);
}

static int run(const struct traffic_options *options, struct traffic_shared *shared, json_t **ret_result)
{
	static struct sender sender;
	struct traffic_noise noise[2];
	pid_t receiver, echo = 0;
	int r;

	sender.options = options;
	sender.shared = shared;
	/* outside of the cgroup: its sockets are not governed */
	receiver = in_child(traffic_receive, options, shared, options->far);
	r = receiver < 0 ? traffic_error("fork") : wait_for(&shared->ready, 1);
	if (r == 0)
		r = bench_enter_cgroup(options->cgroup);
	if (r == 0) {
		echo = in_child(traffic_echo, options, shared, NULL);
		r = echo < 0 ? traffic_error("fork") : prepare(&sender);
	}
	if (r == 0)
		r = traffic_noise_read(&noise[0]);
	if (r == 0) {
		TRAFFIC_STORE(shared->start_ns, bench_now() + 30000000ULL);
		r = send_all(&sender);
	}
	if (r == 0)
		r = finish(echo);
	else if (echo > 0)
		(void)kill(echo, SIGKILL);
	TRAFFIC_STORE(shared->stop, 1);
	if (finish(receiver) < 0 && r == 0)
		r = -ECHILD;
	if (r == 0)
		r = traffic_noise_read(&noise[1]);
	if (r < 0)
		return r;
	*ret_result = describe(&sender);
	return *ret_result ? traffic_report(options, shared, noise, *ret_result) : -ENOMEM;
}

int traffic_tcp_main(int argc, char **argv)
{
	struct traffic_options options;
	struct traffic_shared *shared;
	json_t *result = NULL;
	int r;

	if (traffic_parse(argc, argv, &options) < 0)
		return 2;
	shared = traffic_share();
	if (!shared)
		return 1;
	r = run(&options, shared, &result);
	if (r == 0 && json_dumpf(result, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0)
		(void)putchar('\n');
	json_decref(result);
	return r == 0 ? 0 : 1;
}

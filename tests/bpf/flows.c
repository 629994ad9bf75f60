/* SPDX-License-Identifier: Apache-2.0 */
#include "flows.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#define CHUNK	    (256 * 1024)
#define WINDOWS_MAX 2048

struct flows {
	int count;
	int sending; /* the first so many */
	bool stop;
	int out[FLOWS_MAX];
	int in[FLOWS_MAX];
	uint64_t received[FLOWS_MAX];
	uint64_t total;
	pthread_t sender, receiver;
};

static int poll_set(const int *fds, int count, uint32_t events)
{
	int set = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < count; i++) {
		struct epoll_event event = {.events = events, .data.u32 = (uint32_t)i};

		(void)epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event);
	}
	return set;
}

static void *send_for_all(void *argument)
{
	struct flows *f = argument;
	char *chunk = calloc(1, CHUNK);
	int set = poll_set(f->out, f->count, EPOLLOUT);
	struct epoll_event events[FLOWS_MAX];

	while (chunk && !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(set, events, FLOWS_MAX, 20);
		bool idle = true;

		for (int i = 0; i < n; i++) {
			int flow = (int)events[i].data.u32;

			if (flow >= __atomic_load_n(&f->sending, __ATOMIC_ACQUIRE))
				continue;
			idle = false;
			if (send(f->out[flow], chunk, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
			    errno != EAGAIN)
				(void)epoll_ctl(set, EPOLL_CTL_DEL, f->out[flow], NULL);
		}
		if (idle)
			net_nap();
	}
	free(chunk);
	(void)close(set);
	return NULL;
}

static void *receive_for_all(void *argument)
{
	struct flows *f = argument;
	char *chunk = malloc(CHUNK);
	int set = poll_set(f->in, f->count, EPOLLIN);
	struct epoll_event events[FLOWS_MAX];

	while (chunk && !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(set, events, FLOWS_MAX, 20);

		for (int i = 0; i < n; i++) {
			int flow = (int)events[i].data.u32;
			ssize_t got = recv(f->in[flow], chunk, CHUNK, MSG_DONTWAIT);

			if (got > 0) {
				__atomic_fetch_add(&f->received[flow], (uint64_t)got, __ATOMIC_RELAXED);
				__atomic_fetch_add(&f->total, (uint64_t)got, __ATOMIC_RELEASE);
			} else if (got == 0 || errno != EAGAIN) {
				(void)epoll_ctl(set, EPOLL_CTL_DEL, f->in[flow], NULL);
			}
		}
	}
	free(chunk);
	(void)close(set);
	return NULL;
}

struct flows *flows_begin(int listener, const struct address *to, int count, const char *congestion)
{
	struct flows *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(count <= FLOWS_MAX);
	f->count = count;
	f->sending = count;
	for (int i = 0; i < count; i++) {
		f->out[i] = tcp_socket(to->sa.sa_family);
		assert_int_equal(setsockopt(f->out[i], IPPROTO_TCP, TCP_CONGESTION, congestion,
					    (socklen_t)strlen(congestion)),
				 0);
		assert_int_equal(dial(f->out[i], to), 0);
		f->in[i] = accept_from(listener);
	}
	assert_int_equal(pthread_create(&f->receiver, NULL, receive_for_all, f), 0);
	assert_int_equal(pthread_create(&f->sender, NULL, send_for_all, f), 0);
	return f;
}

void flows_sending(struct flows *flows, int count)
{
	__atomic_store_n(&flows->sending, count, __ATOMIC_RELEASE);
}

int flows_fd(const struct flows *flows, int flow)
{
	return flows->out[flow];
}

void flows_end(struct flows *flows)
{
	__atomic_store_n(&flows->stop, true, __ATOMIC_RELEASE);
	(void)pthread_join(flows->sender, NULL);
	(void)pthread_join(flows->receiver, NULL);
	/* what is still queued would be sent at the limit's pace */
	for (int i = 0; i < flows->count; i++) {
		hang_up_hard(&flows->out[i]);
		hang_up(&flows->in[i]);
	}
	free(flows);
}

static uint64_t retransmits(const struct flows *f)
{
	uint64_t sum = 0;

	for (int i = 0; i < f->count; i++) {
		struct tcp_info info;
		socklen_t size = sizeof(info);

		if (getsockopt(f->out[i], IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
			sum += info.tcpi_total_retrans;
	}
	return sum;
}

struct flows_seen flows_watch(struct flows *flows, uint64_t ns)
{
	static double windows[WINDOWS_MAX];
	uint64_t before[FLOWS_MAX], start, at, last, retransmits_before = retransmits(flows);
	struct flows_seen seen = {0};
	double sum = 0, squares = 0, mean;

	memcpy(before, flows->received, sizeof(before));
	start = at = net_now_ns();
	last = __atomic_load_n(&flows->total, __ATOMIC_ACQUIRE);
	seen.bytes = last;
	while (at < start + ns && seen.windows < WINDOWS_MAX) {
		uint64_t due = start + (seen.windows + 1) * FLOWS_WINDOW_NS, now, total, length;

		while ((now = net_now_ns()) < due)
			net_nap();
		total = __atomic_load_n(&flows->total, __ATOMIC_ACQUIRE);
		length = now - at;
		windows[seen.windows++] = (double)(total - last) / (double)length;
		at = now;
		last = total;
	}
	seen.ns = at - start;
	seen.bytes = last - seen.bytes;
	seen.retransmits = retransmits(flows) - retransmits_before;
	mean = (double)seen.bytes / (double)seen.ns;
	for (uint32_t i = 0; i < seen.windows; i++) {
		squares += (windows[i] - mean) * (windows[i] - mean);
		if (windows[i] < mean / 20)
			seen.stalled++;
	}
	seen.cov = sqrt(squares / seen.windows) / mean;
	squares = 0;
	for (int i = 0; i < flows->count; i++) {
		double got = (double)(flows->received[i] - before[i]);

		sum += got;
		squares += got * got;
	}
	seen.jain = squares > 0 ? sum * sum / (flows->count * squares) : 0;
	return seen;
}

void flows_wait_bytes(struct flows *flows, uint64_t bytes)
{
	wait_for(__atomic_load_n(&flows->total, __ATOMIC_ACQUIRE) >= bytes);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many servers in one loop, some of which fail and heal (world.h):
 *
 *	serve FILE ADDRESS PORT COUNT FAILING FAULT WELL SEED
 *
 * FAULT and WELL are durations: how long a place fails, and is well between two failures, each time from half of
 * it to one and a half. FILE is there when all listen. A connection: a request, its answer, close; one whose request
 * begins with 'h' is left open for the client to close.
 */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/units.h"

#define BATCH	     256
#define ANSWER	     128
#define IS_LISTENER  (1ULL << 63)
#define LOOK_EACH_NS (50 * (EBB_NS_PER_S / 1000))

struct server {
	struct world *world;
	int epoll;
	uint64_t seed;
	uint64_t fault_ns, well_ns;
	int listeners[WORLD_PLACES_MAX]; /* -1: stopped */
	uint64_t until_ns[WORLD_PLACES_MAX];
};

static int watch(const struct server *s, int fd, uint64_t data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int start(struct server *s, uint32_t place)
{
	const struct sockaddr_in address = world_address(s->world, place);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0 ||
	    watch(s, fd, IS_LISTENER | place) < 0)
		return -errno;
	s->listeners[place] = TAKE_FD(fd);
	return 0;
}

static void stop(struct server *s, uint32_t place)
{
	(void)close(s->listeners[place]);
	s->listeners[place] = -1;
}

/* What a listener filters away it never sees: no SYN is answered. */
static void dig(const struct server *s, uint32_t place)
{
	struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog program = {.len = 1, .filter = &nothing};

	(void)setsockopt(s->listeners[place], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void fill(const struct server *s, uint32_t place)
{
	int none = 0;

	(void)setsockopt(s->listeners[place], SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}

static uint64_t about(struct server *s, uint64_t ns)
{
	return ns / 2 + world_random(&s->seed) % (ns + 1);
}

static void behave(struct server *s, uint32_t place, uint64_t now_ns)
{
	struct place *p = &s->world->places[place];
	uint32_t behaviour = p->behaviour == WELL ? 1 + world_random(&s->seed) % (BEHAVIOUR_MAX - 1) : WELL;

	if (p->behaviour == HOLE)
		fill(s, place);
	else if (behaviour == HOLE)
		dig(s, place);
	else if (behaviour == STOPPED)
		stop(s, place);
	/* with no port to be had it stays stopped, and is tried again */
	if (s->listeners[place] < 0 && behaviour != STOPPED && start(s, place) < 0)
		return;
	__atomic_store_n(&p->since_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&p->behaviour, behaviour, __ATOMIC_RELEASE);
	s->until_ns[place] = now_ns + about(s, behaviour == WELL ? s->well_ns : s->fault_ns);
}

static void accept_all(const struct server *s, uint32_t place)
{
	for (;;) {
		int fd = accept4(s->listeners[place], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (watch(s, fd, (uint64_t)place << 32 | (uint32_t)fd) < 0)
			(void)close(fd);
	}
}

static void serve(const struct server *s, uint32_t place, int fd)
{
	const struct linger at_once = {.l_onoff = 1};
	char bytes[ANSWER];
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0) {
		switch (s->world->places[place].behaviour) {
		case SILENT:
			return;
		case RESET:
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
			break;
		default:
			if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes) && bytes[0] == 'h')
				return;
		}
	}
	(void)close(fd);
}

static void run(struct server *s)
{
	uint64_t looked_ns = 0;

	for (;;) {
		struct epoll_event events[BATCH];
		int count = epoll_wait(s->epoll, events, BATCH, 50);
		uint64_t now_ns = ebb_clock_monotonic();

		for (int i = 0; i < count; i++) {
			uint64_t data = events[i].data.u64;

			if (data & IS_LISTENER)
				accept_all(s, (uint32_t)data);
			else
				serve(s, (uint32_t)(data >> 32), (int)(uint32_t)data);
		}
		if (now_ns - looked_ns < LOOK_EACH_NS)
			continue;
		looked_ns = now_ns;
		for (uint32_t place = 0; place < s->world->failing; place++) {
			if (now_ns >= s->until_ns[place])
				behave(s, place, now_ns);
		}
	}
}

static int prepare(struct server *s, const char *path, const char *temporary)
{
	uint64_t now_ns = ebb_clock_monotonic();

	for (uint32_t place = 0; place < s->world->count; place++) {
		int r = start(s, place);

		if (r < 0)
			return r;
		s->world->places[place].since_ns = now_ns;
		s->until_ns[place] = now_ns + about(s, s->well_ns);
	}
	return rename(temporary, path) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct world wanted = {.address.sin_family = AF_INET};
	char temporary[4096];
	uint32_t port;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc != 9 || inet_pton(AF_INET, argv[2], &wanted.address.sin_addr) != 1 ||
	    ebb_parse_u32(argv[3], &port) < 0 || ebb_parse_u32(argv[4], &wanted.count) < 0 ||
	    ebb_parse_u32(argv[5], &wanted.failing) < 0 ||
	    ebb_parse_duration(argv[6], &server.fault_ns) < 0 ||
	    ebb_parse_duration(argv[7], &server.well_ns) < 0 || ebb_parse_u64(argv[8], &server.seed) < 0 ||
	    wanted.count > WORLD_PLACES_MAX || wanted.failing > wanted.count || port + wanted.count > 65536) {
		(void)fprintf(stderr, "usage: serve FILE ADDRESS PORT COUNT FAILING FAULT WELL SEED\n");
		return 2;
	}
	server.seed |= 1; /* xorshift stays at 0 */
	(void)world_descriptors();
	(void)snprintf(temporary, sizeof(temporary), "%s.new", argv[1]);
	server.world = world_map(temporary, O_CREAT | O_EXCL);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!server.world || server.epoll < 0) {
		(void)fprintf(stderr, "serve: %s: %s\n", temporary, strerror(errno));
		return 1;
	}
	server.world->address = wanted.address;
	server.world->address.sin_port = htons((uint16_t)port);
	server.world->count = wanted.count;
	server.world->failing = wanted.failing;
	r = prepare(&server, argv[1], temporary);
	if (r < 0) {
		(void)fprintf(stderr, "serve: %s\n", strerror(-r));
		return 1;
	}
	run(&server);
	return 0;
}

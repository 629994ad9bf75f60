/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many clients in one loop, which know what each place that they connect to should do (world.h):
 *
 *	swarm FILE RATE HEALED COUNTS
 *
 * Begins RATE connections a second, each to a place at random: a request, its answer, close; one of ten is held open for up to
 * two seconds. Ten times a second it writes to the file COUNTS, as "NAME NUMBER" lines, what came of them. A place that is always
 * well must never be refused or fail, one that has been well again for the duration HEALED, and failed nobody, must not be refused.
 * EHOSTUNREACH is what ebb is told to refuse with; nobody else here does. Ends with SIGTERM: begins nothing more, closes what it holds.
 */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
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

#define BATCH		    256
#define REQUEST		    64
#define MS		    (EBB_NS_PER_S / 1000)
#define LOOK_EACH_NS	    (50 * MS)
#define TELL_EACH_NS	    (100 * MS)
#define REFUSED		    EHOSTUNREACH
/* From a client that is behind by more than this nobody expects that it catches up. */
#define BEHIND_NS	    (EBB_NS_PER_S / 2)
/* A place that fails is given up as an impatient program does; a healthy one only when nothing else explains it. */
#define PATIENCE_FAILING_NS (1500 * MS)
#define PATIENCE_WELL_NS    (20 * EBB_NS_PER_S)
#define HOLD_NS		    (2 * EBB_NS_PER_S)

#define COUNTS(X)                                                                     \
	X(begun)                                                                      \
	X(well_ok)                                                                    \
	X(well_refused)	  /* by ebb: must be 0 */                                     \
	X(well_failed)	  /* otherwise: must be 0 */                                  \
	X(healed_refused) /* by ebb, long after the place is well again: must be 0 */ \
	X(failing_ok)                                                                 \
	X(failing_refused)                                                            \
	X(failing_failed)                                                             \
	X(held)                                                                       \
	X(under_way)                                                                  \
	X(no_socket)   /* by the limits of this program or this machine */            \
	X(late)	       /* not begun, since it was behind */                           \
	X(wrong_errno) /* of the latest that must not be */                           \
	X(wrong_place)

enum count {
#define NAME(name) COUNT_##name,
	COUNTS(NAME)
#undef NAME
	COUNT_MAX,
};

static const char *const names[] = {
#define NAME(name) #name,
	COUNTS(NAME)
#undef NAME
};

enum state {
	FREE,
	CONNECTING,
	WAITING,
	HOLDING,
};

struct connection {
	enum state state;
	uint32_t place;
	bool hold;
	uint64_t until_ns;
};

struct swarm {
	struct world *world;
	int epoll;
	uint64_t seed;
	uint64_t healed_ns;
	uint32_t descriptors;
	struct connection *connections; /* by descriptor */
	uint64_t counts[COUNT_MAX];
	uint64_t failed_ns[WORLD_PLACES_MAX]; /* when the place last failed one of us */
};

static volatile sig_atomic_t stopping;

static void on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

/* Nobody's fault but our own, or the machine's. */
static bool is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
	       error == EADDRNOTAVAIL || error == EAGAIN;
}

static void wrong(struct swarm *s, enum count count, uint32_t place, int error)
{
	s->counts[count]++;
	s->counts[COUNT_wrong_errno] = (uint64_t)error;
	s->counts[COUNT_wrong_place] = place;
}

/* Well for long, and nobody saw it fail: a server that waits for a processor fails impatient programs, too. */
static bool is_healed(const struct swarm *s, uint32_t place)
{
	const struct place *p = &s->world->places[place];
	uint64_t now_ns = ebb_clock_monotonic();

	return __atomic_load_n(&p->behaviour, __ATOMIC_ACQUIRE) == WELL &&
	       now_ns > p->since_ns + s->healed_ns && now_ns > s->failed_ns[place] + s->healed_ns;
}

/* 0: it was answered. */
static void result(struct swarm *s, uint32_t place, int error)
{
	if (is_ours(error)) {
		s->counts[COUNT_no_socket]++;
	} else if (place >= s->world->failing) {
		if (error == 0)
			s->counts[COUNT_well_ok]++;
		else
			wrong(s, error == REFUSED ? COUNT_well_refused : COUNT_well_failed, place, error);
	} else if (error == 0) {
		s->counts[COUNT_failing_ok]++;
	} else if (error != REFUSED) {
		s->counts[COUNT_failing_failed]++;
		s->failed_ns[place] = ebb_clock_monotonic();
	} else if (is_healed(s, place)) {
		wrong(s, COUNT_healed_refused, place, error);
	} else {
		s->counts[COUNT_failing_refused]++;
	}
}

static void let_go(struct swarm *s, int fd)
{
	s->connections[fd].state = FREE;
	s->counts[COUNT_under_way]--;
	(void)close(fd);
}

static void end(struct swarm *s, int fd, int error)
{
	result(s, s->connections[fd].place, error);
	let_go(s, fd);
}

static void begin(struct swarm *s, uint64_t now_ns)
{
	uint32_t place = world_random(&s->seed) % s->world->count;
	const struct sockaddr_in to = world_address(s->world, place);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	s->counts[COUNT_begun]++;
	if (fd < 0 || (uint32_t)fd >= s->descriptors) {
		s->counts[COUNT_no_socket]++;
		return;
	}
	event.data.fd = fd;
	if ((connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		result(s, place, errno);
		return;
	}
	s->counts[COUNT_under_way]++;
	s->connections[fd] = (struct connection){
		.state = CONNECTING,
		.place = place,
		.hold = world_random(&s->seed) % 10 == 0,
		.until_ns = now_ns + (place < s->world->failing ? PATIENCE_FAILING_NS : PATIENCE_WELL_NS),
	};
	(void)TAKE_FD(fd);
}

static void connected(struct swarm *s, int fd)
{
	struct connection *c = &s->connections[fd];
	char request[REQUEST] = {c->hold ? 'h' : 'r'};
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ||
	    (error == 0 && send(fd, request, sizeof(request), MSG_NOSIGNAL) < 0))
		error = errno;
	if (error)
		end(s, fd, error);
	else
		c->state = WAITING;
}

static void answered(struct swarm *s, int fd, uint64_t now_ns)
{
	struct connection *c = &s->connections[fd];
	char bytes[1024];
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		end(s, fd, got < 0 ? errno : ENODATA);
		return;
	}
	if (!c->hold) {
		end(s, fd, 0);
		return;
	}
	result(s, c->place, 0);
	s->counts[COUNT_held]++;
	c->state = HOLDING;
	c->until_ns = now_ns + world_random(&s->seed) % HOLD_NS;
}

static void look_at(struct swarm *s, int fd, uint32_t events, uint64_t now_ns)
{
	if (s->connections[fd].state == CONNECTING)
		connected(s, fd);
	/* the answer may have come with what told that it is connected: another edge will not */
	if (s->connections[fd].state == WAITING)
		answered(s, fd, now_ns);
	else if (s->connections[fd].state == HOLDING && events & (EPOLLHUP | EPOLLERR))
		let_go(s, fd);
}

static void give_up(struct swarm *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->descriptors; i++) {
		const struct connection *c = &s->connections[i];

		if (c->state == FREE || (now_ns < c->until_ns && !(stopping && c->state == HOLDING)))
			continue;
		if (c->state == HOLDING)
			let_go(s, (int)i);
		else
			end(s, (int)i, ETIMEDOUT);
	}
}

static void tell(const struct swarm *s, const char *path)
{
	char temporary[4096];
	FILE *file;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
	file = fopen(temporary, "we");
	if (!file)
		return;
	for (int i = 0; i < COUNT_MAX; i++)
		(void)fprintf(file, "%s %" PRIu64 "\n", names[i], s->counts[i]);
	/* one that is cut by a full disk replaces none */
	if (fclose(file) == 0)
		(void)rename(temporary, path);
}

static void run(struct swarm *s, uint32_t rate, const char *counts)
{
	uint64_t each_ns = EBB_NS_PER_S / rate, due_ns = ebb_clock_monotonic(), looked_ns = 0, told_ns = 0;

	while (!stopping || s->counts[COUNT_under_way]) {
		struct epoll_event events[BATCH];
		int count = epoll_wait(s->epoll, events, BATCH, 1);
		uint64_t now_ns = ebb_clock_monotonic();

		for (int i = 0; i < count; i++)
			look_at(s, events[i].data.fd, events[i].events, now_ns);
		if (now_ns > due_ns + BEHIND_NS) {
			s->counts[COUNT_late] += (now_ns - due_ns) / each_ns;
			due_ns = now_ns;
		}
		for (; !stopping && due_ns <= now_ns; due_ns += each_ns)
			begin(s, now_ns);
		if (now_ns - looked_ns >= LOOK_EACH_NS) {
			give_up(s, now_ns);
			looked_ns = now_ns;
		}
		if (now_ns - told_ns >= TELL_EACH_NS) {
			tell(s, counts);
			told_ns = now_ns;
		}
	}
	tell(s, counts);
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_term};
	static struct swarm swarm;
	uint32_t rate;

	swarm.seed = ebb_clock_monotonic() | 1; /* xorshift stays at 0 */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc != 5 || ebb_parse_u32(argv[2], &rate) < 0 || rate == 0 ||
	    ebb_parse_duration(argv[3], &swarm.healed_ns) < 0) {
		(void)fprintf(stderr, "usage: swarm FILE RATE HEALED COUNTS\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	swarm.descriptors = world_descriptors();
	swarm.connections = calloc(swarm.descriptors, sizeof(*swarm.connections));
	swarm.world = world_map(argv[1], 0);
	swarm.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!swarm.connections || !swarm.world || swarm.epoll < 0) {
		(void)fprintf(stderr, "swarm: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	run(&swarm, rate, argv[4]);
	free(swarm.connections);
	return 0;
}

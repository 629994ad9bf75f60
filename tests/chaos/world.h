/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the servers (serve.c) and the clients (swarm.c) of the chaos tests share: a file that both map. The servers
 * write how each place behaves and since when, so that the clients know whom nobody may refuse.
 *
 *	place 0 .. failing - 1        fail and heal, again and again
 *	place failing .. count - 1    are always well
 *
 * Place i listens at port + i.
 */
#ifndef EBB_TESTS_CHAOS_WORLD_H
#define EBB_TESTS_CHAOS_WORLD_H

#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define WORLD_PLACES_MAX  4096
#define WORLD_DESCRIPTORS 65536

enum behaviour {
	WELL,
	STOPPED, /* nobody listens: refused */
	HOLE,	 /* SYNs vanish */
	RESET,	 /* each request is answered with a reset */
	SILENT,	 /* no request is answered */
	BEHAVIOUR_MAX,
};

struct place {
	uint64_t since_ns; /* CLOCK_MONOTONIC, of the behaviour */
	uint32_t behaviour;
	uint32_t spare;
};

struct world {
	struct sockaddr_in address; /* of place 0 */
	uint32_t count;
	uint32_t failing;
	struct place places[WORLD_PLACES_MAX];
};

/* NULL: errno says why. Lives as long as the program. */
static inline struct world *world_map(const char *path, int flags)
{
	_cleanup_close_ int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, sizeof(struct world)) < 0)
		return NULL;
	map = mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

static inline struct sockaddr_in world_address(const struct world *world, uint32_t place)
{
	struct sockaddr_in address = world->address;

	address.sin_port = htons((uint16_t)(ntohs(address.sin_port) + place));
	return address;
}

/* As many descriptors as may be, and as anybody here needs; how many. */
static inline uint32_t world_descriptors(void)
{
	struct rlimit limit = {0};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < WORLD_DESCRIPTORS ? limit.rlim_max : WORLD_DESCRIPTORS;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return (uint32_t)limit.rlim_cur;
}

static inline uint32_t world_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

#endif /* EBB_TESTS_CHAOS_WORLD_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd of threads that dial at once, again and again, so that they collide in the kernel. */
#ifndef EBB_TESTS_BPF_CROWD_H
#define EBB_TESTS_BPF_CROWD_H

#include <pthread.h>
#include <stdbool.h>

#include "net.h"

#define CONNECTORS 64

struct crowd {
	struct address to; /* may be changed between two rounds */
	pthread_barrier_t together;
	bool stop;
	int fds[CONNECTORS];
	int results[CONNECTORS];
	pthread_t threads[CONNECTORS];
	struct connector {
		struct crowd *crowd;
		int index;
	} connectors[CONNECTORS];
};

/* Starts the threads, which then wait. One crowd at a time, in static memory. */
void crowd_gather(struct crowd *crowd, const struct address *to);
/* All make a socket that does not block and dial; returns how many did not get the result @refused. */
int crowd_dial(struct crowd *crowd, int refused);
/* Closes what crowd_dial() left open. */
void crowd_hang_up(struct crowd *crowd);
void crowd_dismiss(struct crowd *crowd);

#endif /* EBB_TESTS_BPF_CROWD_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recounts what is open and corrects the gauges that are wrong (user/core/recount.h): active
 * connections of pairs, concurrency slots in use and paced connections of gates.
 */
#ifndef EBB_AGENT_RECOUNTER_H
#define EBB_AGENT_RECOUNTER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/loader.h"

struct ebb_recounter;

/* @loader is borrowed. 0 or -ENOMEM. */
int ebb_recounter_new(struct ebb_loader *loader, struct ebb_recounter **ret_recounter);
void ebb_recounter_free(struct ebb_recounter *recounter);

/* How many gauges were corrected, and by how much in all, up and down. */
struct ebb_recounted {
	uint32_t gauges;
	uint64_t up, down;
	uint64_t hidden; /* open files of programs that may hold sockets nobody can see */
};

/*
 * One recount; about every five minutes. @whole: the processes of the whole node are seen. It compares
 * with the last ones, so a correction takes at least two.
 */
int ebb_recounter_run(struct ebb_recounter *recounter, bool whole, struct ebb_recounted *ret_recounted,
		      struct ebb_why *why);

/* Is this process in the first process namespace, from which all others are seen? */
bool ebb_recounter_sees_all(void);

#endif /* EBB_AGENT_RECOUNTER_H */

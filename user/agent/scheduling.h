/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the agent gets a processor. A verdict that waits for the scheduler is a
 * verdict too late: on a machine whose processors are all busy, one look in a
 * hundred waits for 20 ms and more at ordinary priority.
 */
#ifndef EBB_AGENT_SCHEDULING_H
#define EBB_AGENT_SCHEDULING_H

#include <stdbool.h>

/*
 * The lowest real-time priority (SCHED_RR, 1), for this process and not for what it
 * starts. Whoever runs 200 ms without once waiting for an event loses it again, so
 * that a fault of ours never keeps a processor from others (RLIMIT_RTTIME).
 * 0, or a negative errno where it is not permitted. May be called again after a loss.
 */
int ebb_scheduling_raise(void);

/* Ordinary priority again: always permitted. */
void ebb_scheduling_lower(void);

/*
 * While we still have the right to it: raising stays permitted when the right is given up, to this
 * priority and no higher one. 0 or a negative errno.
 */
int ebb_scheduling_permit(void);

/* Was it lost to that bound? True once for each time. */
bool ebb_scheduling_was_lost(void);

/* Has the calling thread a real-time priority, from whomever? Anybody who may can take it or give it (chrt). */
bool ebb_scheduling_is_raised(void);

#endif /* EBB_AGENT_SCHEDULING_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what is next: tasks that each have a period of their own. The phase of each is random, so that they do not all
 * fall on one moment, nor those of many nodes. Pure.
 *
 *	task 0   |....x.........x.........x.........x      period 10
 *	task 1   |.x....x....x....x....x....x....x....     period 5
 */
#ifndef EBB_AGENT_SCHEDULE_H
#define EBB_AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EBB_SCHEDULE_MAX 16

struct ebb_schedule {
	struct {
		uint64_t period_ns;
		uint64_t due_ns;
	} tasks[EBB_SCHEDULE_MAX];
	size_t count;
	uint64_t random; /* state of the generator */
};

void ebb_schedule_init(struct ebb_schedule *schedule, uint64_t seed);

/* A task due within its first @period_ns, above 0, from @now_ns on. Returns its number, from 0; -ENOSPC. */
int ebb_schedule_add(struct ebb_schedule *schedule, uint64_t period_ns, uint64_t now_ns);

/*
 * The task that has waited longest of those that are due, which is then due again one period later, in its phase; what
 * was missed meanwhile is left out. -1: none is due.
 */
int ebb_schedule_take(struct ebb_schedule *schedule, uint64_t now_ns);

/* When the next one is due; UINT64_MAX: there is no task. */
uint64_t ebb_schedule_next(const struct ebb_schedule *schedule);

#endif /* EBB_AGENT_SCHEDULE_H */

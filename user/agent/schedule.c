/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/schedule.h"

#include <errno.h>

/* splitmix64 (Steele, Lea, Flood 2014): any seed will do, 0 too. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void ebb_schedule_init(struct ebb_schedule *schedule, uint64_t seed)
{
	*schedule = (struct ebb_schedule){.random = seed};
}

int ebb_schedule_add(struct ebb_schedule *schedule, uint64_t period_ns, uint64_t now_ns)
{
	size_t task = schedule->count;

	if (task == EBB_SCHEDULE_MAX)
		return -ENOSPC;
	schedule->tasks[task].period_ns = period_ns;
	schedule->tasks[task].due_ns = now_ns + next_random(&schedule->random) % period_ns;
	schedule->count++;
	return (int)task;
}

int ebb_schedule_take(struct ebb_schedule *schedule, uint64_t now_ns)
{
	size_t first = 0;
	uint64_t missed;

	for (size_t i = 1; i < schedule->count; i++) {
		if (schedule->tasks[i].due_ns < schedule->tasks[first].due_ns)
			first = i;
	}
	if (schedule->count == 0 || schedule->tasks[first].due_ns > now_ns)
		return -1;
	missed = (now_ns - schedule->tasks[first].due_ns) / schedule->tasks[first].period_ns;
	schedule->tasks[first].due_ns += (missed + 1) * schedule->tasks[first].period_ns;
	return (int)first;
}

uint64_t ebb_schedule_next(const struct ebb_schedule *schedule)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < schedule->count; i++) {
		if (schedule->tasks[i].due_ns < next)
			next = schedule->tasks[i].due_ns;
	}
	return next;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/schedule.c: each task in its own time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/schedule.h"

#define S 1000000000ULL

static void each_task_has_its_period(void **state)
{
	static const uint64_t periods[] = {S, 2 * S, 5 * S, 10 * S};
	uint32_t taken[4] = {0};
	struct ebb_schedule schedule;
	int task;

	(void)state;
	ebb_schedule_init(&schedule, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ebb_schedule_add(&schedule, periods[i], 100 * S), i);
	for (uint64_t now = 100 * S; now < 200 * S; now += S / 10) {
		while ((task = ebb_schedule_take(&schedule, now)) >= 0)
			taken[task]++;
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(taken[i], 100 * S / periods[i]);
}

static void a_task_is_taken_when_it_is_due_and_not_before(void **state)
{
	struct ebb_schedule schedule;
	uint64_t first;

	(void)state;
	ebb_schedule_init(&schedule, 7);
	assert_true(ebb_schedule_next(&schedule) == UINT64_MAX);
	assert_int_equal(ebb_schedule_take(&schedule, UINT64_MAX), -1);
	(void)ebb_schedule_add(&schedule, 10 * S, 50 * S);
	first = ebb_schedule_next(&schedule);
	assert_true(first >= 50 * S && first < 60 * S);
	assert_int_equal(ebb_schedule_take(&schedule, first - 1), -1);
	assert_int_equal(ebb_schedule_take(&schedule, first), 0);
	assert_int_equal(ebb_schedule_take(&schedule, first), -1);
	assert_true(ebb_schedule_next(&schedule) == first + 10 * S);
}

/* An agent that was stopped for an hour does not make up for it; the phase stays. */
static void what_was_missed_is_left_out(void **state)
{
	struct ebb_schedule schedule;
	uint64_t first;

	(void)state;
	ebb_schedule_init(&schedule, 3);
	(void)ebb_schedule_add(&schedule, S, 0);
	first = ebb_schedule_next(&schedule);
	assert_int_equal(ebb_schedule_take(&schedule, first + 3600 * S + S / 2), 0);
	assert_int_equal(ebb_schedule_take(&schedule, first + 3600 * S + S / 2), -1);
	assert_true(ebb_schedule_next(&schedule) == first + 3601 * S);
}

static void who_waits_longest_comes_first(void **state)
{
	struct ebb_schedule schedule;
	uint64_t last = 0;

	(void)state;
	ebb_schedule_init(&schedule, 11);
	for (int i = 0; i < EBB_SCHEDULE_MAX; i++)
		(void)ebb_schedule_add(&schedule, 10 * S, 0);
	assert_int_equal(ebb_schedule_add(&schedule, S, 0), -ENOSPC);
	for (int i = 0; i < EBB_SCHEDULE_MAX; i++) {
		uint64_t next = ebb_schedule_next(&schedule);

		assert_true(next >= last);
		last = next;
		assert_true(ebb_schedule_take(&schedule, 10 * S) >= 0);
	}
	assert_int_equal(ebb_schedule_take(&schedule, 10 * S), -1);
}

/* Of 1000 nodes with a check each 10 s, about 100 make it in each second. */
static void phases_are_spread(void **state)
{
	uint32_t buckets[10] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct ebb_schedule schedule;

		ebb_schedule_init(&schedule, seed);
		(void)ebb_schedule_add(&schedule, 10 * S, 0);
		buckets[ebb_schedule_next(&schedule) / S]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(buckets[i], 60, 140);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_has_its_period),
		cmocka_unit_test(a_task_is_taken_when_it_is_due_and_not_before),
		cmocka_unit_test(what_was_missed_is_left_out),
		cmocka_unit_test(who_waits_longest_comes_first),
		cmocka_unit_test(phases_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

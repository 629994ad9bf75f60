/* SPDX-License-Identifier: Apache-2.0 */
/* user/core/recount.c: when a gauge is believed to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/recount.h"

/* A slot's gauge, exact. */
static struct ebb_recount_facts slots(uint64_t gauge, uint64_t seen, uint64_t activity)
{
	return (struct ebb_recount_facts){.before = gauge,
					  .after = gauge,
					  .activity_before = activity,
					  .activity_after = activity,
					  .seen = seen,
					  .epoch = 1,
					  .exact = true};
}

/* Active connections, seen by files. */
static struct ebb_recount_facts active(uint64_t gauge, uint64_t seen, uint64_t activity, bool complete)
{
	struct ebb_recount_facts facts = slots(gauge, seen, activity);

	facts.exact = false;
	facts.complete = complete;
	return facts;
}

static int64_t judge(struct ebb_recount_past *past, struct ebb_recount_facts facts)
{
	return ebb_recount_judge(past, &facts);
}

static void right_gauge_stays(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(judge(&past, slots(3, 3, 10)), 0);
		assert_int_equal(past.times, 0);
	}
}

static void two_in_a_row_are_believed_and_one_is_not(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 2, 10)), -3);
	assert_int_equal(past.times, 0);
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 5, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
}

static void smallest_difference_is_corrected(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	assert_int_equal(judge(&past, slots(9, 4, 10)), 0);
	assert_int_equal(judge(&past, slots(9, 6, 20)), -3);
	assert_int_equal(judge(&past, slots(9, 7, 20)), 0);
	assert_int_equal(judge(&past, slots(9, 3, 30)), -2);
	assert_int_equal(judge(&past, slots(1, 4, 40)), 0);
	assert_int_equal(judge(&past, slots(1, 3, 50)), 2);
}

static void more_and_less_do_not_agree(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 7, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
	assert_int_equal(judge(&past, slots(5, 7, 10)), 0);
}

static void what_is_busy_says_nothing(void **state)
{
	struct ebb_recount_past past = {0};
	struct ebb_recount_facts moved = slots(5, 2, 10), counted = slots(5, 2, 10);

	(void)state;
	moved.before = 4;
	counted.activity_before = 9;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(judge(&past, moved), 0);
		assert_int_equal(judge(&past, counted), 0);
	}
	/* and takes nothing back of what was found in a quiet moment */
	assert_int_equal(judge(&past, slots(5, 2, 10)), 0);
	assert_int_equal(judge(&past, moved), 0);
	assert_int_equal(judge(&past, slots(5, 2, 12)), -3);
}

static void another_owner_begins_anew(void **state)
{
	struct ebb_recount_past past = {0};
	struct ebb_recount_facts facts = slots(5, 2, 10);

	(void)state;
	assert_int_equal(judge(&past, facts), 0);
	facts.epoch = 2;
	assert_int_equal(judge(&past, facts), 0);
	assert_int_equal(judge(&past, facts), -3);
}

static void hidden_sockets_make_no_gauge_smaller(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(judge(&past, active(5, 2, 10, false)), 0);
	/* one pass in which somebody may have been hidden, and it begins anew */
	assert_int_equal(judge(&past, active(5, 2, 10, true)), 0);
	assert_int_equal(judge(&past, active(5, 2, 10, true)), 0);
	assert_int_equal(judge(&past, active(5, 2, 10, false)), 0);
	assert_int_equal(judge(&past, active(5, 2, 10, true)), 0);
	assert_int_equal(judge(&past, active(5, 2, 10, true)), 0);
	assert_int_equal(judge(&past, active(5, 2, 10, true)), -3);
}

/* Connections that a program has closed and the network not yet are seen by nobody. */
static void orphans_are_not_what_is_missing(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		/* some all the time, of a workload that goes on */
		assert_int_equal(judge(&past, active(5, 3, 10 + i, true)), 0);
		/* and where nothing is counted, the gauge falls when they end */
		assert_int_equal(judge(&past, active(5 - i % 2, 3, 100, true)), 0);
	}
}

static void more_than_counted_is_believed_by_files_too(void **state)
{
	struct ebb_recount_past past = {0};

	(void)state;
	assert_int_equal(judge(&past, active(1, 4, 10, false)), 0);
	assert_int_equal(judge(&past, active(1, 3, 20, false)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_gauge_stays),
		cmocka_unit_test(two_in_a_row_are_believed_and_one_is_not),
		cmocka_unit_test(smallest_difference_is_corrected),
		cmocka_unit_test(more_and_less_do_not_agree),
		cmocka_unit_test(what_is_busy_says_nothing),
		cmocka_unit_test(another_owner_begins_anew),
		cmocka_unit_test(hidden_sockets_make_no_gauge_smaller),
		cmocka_unit_test(orphans_are_not_what_is_missing),
		cmocka_unit_test(more_than_counted_is_believed_by_files_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

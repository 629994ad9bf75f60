/* SPDX-License-Identifier: Apache-2.0 */
/* When a batch is tried again, and when it is given up; with a clock of our
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/delivery.h"

#define SECOND 1000000000ULL
#define START  (1000 * SECOND)

static struct ebb_delivery delivery;

static int set_up(void **state)
{
	(void)state;
	ebb_delivery_init(&delivery, "test", &ebb_delivery_defaults);
	return 0;
}

/* From @now until it may be tried. */
static uint64_t wait_for_turn(uint64_t now)
{
	uint64_t end = now + 300 * SECOND;

	while (!ebb_delivery_begin(&delivery, now) && now < end)
		now += SECOND / 100;
	assert_true(now < end);
	return now;
}

static void what_is_taken_is_over_at_once(void **state)
{
	(void)state;
	assert_true(ebb_delivery_begin(&delivery, START));
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_DONE, 0, 10, START), EBB_DELIVERY_DELIVERED);
	assert_true(ebb_delivery_begin(&delivery, START));
}

static void waits_grow_and_end_in_a_dead_letter(void **state)
{
	uint64_t now = START, before = START, first, second;

	(void)state;
	assert_true(ebb_delivery_begin(&delivery, now));
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 10, now), EBB_DELIVERY_AGAIN);
	assert_false(ebb_delivery_begin(&delivery, now));
	now = wait_for_turn(now);
	first = now - before;
	assert_true(first >= SECOND * 8 / 10 && first <= SECOND * 13 / 10);
	before = now;
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 10, now), EBB_DELIVERY_AGAIN);
	now = wait_for_turn(now);
	second = now - before;
	assert_true(second >= SECOND * 16 / 10 && second <= SECOND * 25 / 10);
	for (int i = 3; i < 5; i++) {
		assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 10, now), EBB_DELIVERY_AGAIN);
		now = wait_for_turn(now);
	}
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 10, now), EBB_DELIVERY_DEAD);
	/* the next batch has its own attempts */
	now = wait_for_turn(now);
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 10, now), EBB_DELIVERY_AGAIN);
}

static void the_breaker_opens_and_heals(void **state)
{
	uint64_t now = START;

	(void)state;
	for (int i = 0; i < 3; i++) {
		now = wait_for_turn(now);
		(void)ebb_delivery_end(&delivery, EBB_SINK_RETRY, 0, 1, now);
	}
	assert_int_equal(ebb_guard_state(&delivery.guard), EBB_STATE_OPEN);
	assert_false(ebb_delivery_begin(&delivery, now + 3 * SECOND));
	now = wait_for_turn(now);
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_DONE, 0, 1, now), EBB_DELIVERY_DELIVERED);
	assert_int_equal(ebb_guard_state(&delivery.guard), EBB_STATE_CLOSED);
	assert_true(ebb_delivery_begin(&delivery, now));
}

static void what_is_refused_is_not_tried_again(void **state)
{
	(void)state;
	assert_true(ebb_delivery_begin(&delivery, START));
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_REFUSED, 0, 10, START), EBB_DELIVERY_SPLIT);
	assert_true(ebb_delivery_begin(&delivery, START));
	assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_REFUSED, 0, 1, START), EBB_DELIVERY_DEAD);
	/* who refuses is there: the breaker does not open */
	for (int i = 0; i < 20; i++) {
		assert_true(ebb_delivery_begin(&delivery, START));
		(void)ebb_delivery_end(&delivery, EBB_SINK_REFUSED, 0, 1, START);
	}
}

static void a_wait_that_is_asked_for_is_kept(void **state)
{
	(void)state;
	assert_true(ebb_delivery_begin(&delivery, START));
	(void)ebb_delivery_end(&delivery, EBB_SINK_RETRY, 77 * SECOND, 1, START);
	assert_false(ebb_delivery_begin(&delivery, START + 76 * SECOND));
	assert_true(ebb_delivery_begin(&delivery, START + 77 * SECOND));
	(void)ebb_delivery_end(&delivery, EBB_SINK_RETRY, UINT64_MAX, 1, START);
	assert_int_equal(ebb_delivery_due_ns(&delivery), START + EBB_DELIVERY_AFTER_MAX_NS);
}

static void nothing_is_given_up_where_nothing_can_be_written(void **state)
{
	uint64_t now = START;

	(void)state;
	for (int i = 0; i < 50; i++) {
		now = wait_for_turn(now);
		assert_int_equal(ebb_delivery_end(&delivery, EBB_SINK_UNUSABLE, 0, 1, now),
				 EBB_DELIVERY_AGAIN);
		assert_true(ebb_delivery_due_ns(&delivery) >= now + 30 * SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_taken_is_over_at_once, set_up),
		cmocka_unit_test_setup(waits_grow_and_end_in_a_dead_letter, set_up),
		cmocka_unit_test_setup(the_breaker_opens_and_heals, set_up),
		cmocka_unit_test_setup(what_is_refused_is_not_tried_again, set_up),
		cmocka_unit_test_setup(a_wait_that_is_asked_for_is_kept, set_up),
		cmocka_unit_test_setup(nothing_is_given_up_where_nothing_can_be_written, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The window: ten buckets counted from monotonic zero, or the last results. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/window.h"

#define SECOND 1000000000ULL
#define WINDOW (10 * SECOND)

/* Of ten seconds. */
static struct ebb_window a_window(void)
{
	struct ebb_window w = {0};

	ebb_window_shape(&w, WINDOW, 0, 0);
	return w;
}

/* Of the last @calls results. */
static struct ebb_window a_window_of(uint32_t calls)
{
	struct ebb_window w = {0};

	ebb_window_shape(&w, WINDOW, calls, 0);
	return w;
}

static void assert_sum(const struct ebb_window *w, uint32_t ok, uint32_t failed, uint32_t slow)
{
	assert_int_equal(w->sum.ok, ok);
	assert_int_equal(w->sum.failed, failed);
	assert_int_equal(w->sum.slow, slow);
}

static void a_result_stays_for_its_bucket_and_the_nine_after(void **state)
{
	/* wherever in its bucket a result falls, it leaves at the same moment */
	static const uint64_t in_bucket[] = {0, 1, SECOND / 2, SECOND - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(in_bucket) / sizeof(in_bucket[0]); i++) {
		struct ebb_window w;

		w = a_window();
		ebb_window_advance(&w, 123 * SECOND + in_bucket[i]);
		ebb_window_add(&w, (struct ebb_counts){.ok = 1, .failed = 2, .slow = 3});
		assert_sum(&w, 1, 2, 3);
		ebb_window_advance(&w, 133 * SECOND - 1);
		assert_sum(&w, 1, 2, 3);
		ebb_window_advance(&w, 133 * SECOND);
		assert_sum(&w, 0, 0, 0);
	}
}

static void the_sum_is_that_of_the_last_ten_buckets(void **state)
{
	struct ebb_window w = a_window();
	uint32_t added[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t expected = 0;

		/* numbers of which no sum of ten in a row equals another */
		added[i] = i * i + 1;
		ebb_window_advance(&w, i * SECOND);
		ebb_window_add(&w, (struct ebb_counts){.ok = added[i]});
		for (uint32_t j = i < 9 ? 0 : i - 9; j <= i; j++)
			expected += added[j];
		assert_sum(&w, expected, 0, 0);
	}
}

static void a_gap_drops_just_what_has_left(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		ebb_window_advance(&w, i * SECOND);
		ebb_window_add(&w, (struct ebb_counts){.failed = 1});
	}
	assert_sum(&w, 0, 10, 0);
	ebb_window_advance(&w, 15 * SECOND);
	assert_sum(&w, 0, 4, 0);
	ebb_window_advance(&w, 18 * SECOND);
	assert_sum(&w, 0, 1, 0);
	ebb_window_advance(&w, 1000000 * SECOND);
	assert_sum(&w, 0, 0, 0);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1});
	assert_sum(&w, 1, 0, 0);
}

static void advancing_within_a_bucket_changes_nothing(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	ebb_window_advance(&w, 5 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 7});
	ebb_window_advance(&w, 5 * SECOND);
	ebb_window_advance(&w, 6 * SECOND - 1);
	assert_sum(&w, 7, 0, 0);
	assert_int_equal(w.newest, 5);
}

static void counts_saturate_and_recover(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	ebb_window_advance(&w, 0);
	ebb_window_add(&w, (struct ebb_counts){.ok = UINT32_MAX - 1});
	ebb_window_add(&w, (struct ebb_counts){.ok = 5});
	assert_sum(&w, UINT32_MAX, 0, 0);
	ebb_window_advance(&w, SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 5});
	assert_sum(&w, UINT32_MAX, 0, 0);
	/* what is left when the huge bucket goes is exact */
	ebb_window_advance(&w, 10 * SECOND);
	assert_sum(&w, 5, 0, 0);
}

static void another_length_of_time_keeps_the_results_and_their_age(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	ebb_window_advance(&w, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 7});
	ebb_window_advance(&w, 108 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.failed = 3, .slow = 1});
	/* longer: both stay, for as long as the new one is */
	ebb_window_shape(&w, 6 * WINDOW, 0, 108 * SECOND);
	assert_sum(&w, 7, 3, 1);
	ebb_window_advance(&w, 156 * SECOND - 1);
	assert_sum(&w, 7, 3, 1);
	ebb_window_advance(&w, 156 * SECOND);
	assert_sum(&w, 0, 3, 1);
	/* shorter: what is older than that leaves */
	w = a_window();
	ebb_window_advance(&w, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 7});
	ebb_window_advance(&w, 108 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.failed = 3, .slow = 1});
	ebb_window_shape(&w, 5 * SECOND, 0, 108 * SECOND);
	assert_sum(&w, 0, 3, 1);
	ebb_window_advance(&w, 113 * SECOND);
	assert_sum(&w, 0, 0, 0);
}

static void a_window_of_calls_holds_the_last_results_however_old(void **state)
{
	struct ebb_window w = a_window_of(4);

	(void)state;
	ebb_window_add(&w, (struct ebb_counts){.failed = 2});
	ebb_window_advance(&w, 1000000 * SECOND);
	assert_sum(&w, 0, 2, 0);
	ebb_window_add(&w, (struct ebb_counts){.ok = 2, .slow = 1});
	assert_sum(&w, 2, 2, 1);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1});
	assert_sum(&w, 3, 1, 1);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1});
	assert_sum(&w, 4, 0, 1);
	/* the first success goes, then the slow one */
	ebb_window_add(&w, (struct ebb_counts){.failed = 1});
	assert_sum(&w, 3, 1, 1);
	ebb_window_add(&w, (struct ebb_counts){.failed = 1});
	assert_sum(&w, 2, 2, 0);
}

/* Against a list that is kept in full. */
static void a_window_of_calls_is_the_tail_of_all_results(void **state)
{
	static unsigned char all[200000]; /* 1: failed, 2: slow */
	static const uint32_t sizes[] = {1, 2, 63, 64, 65, 1000, EBB_WINDOW_CALLS_MAX};
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ebb_window w = a_window_of(sizes[i]);
		size_t count = 0;

		for (int round = 0; round < 400; round++) {
			struct ebb_counts c, expected = {0};

			seed = seed * 1664525 + 1013904223;
			c.ok = seed >> 24 & (round % 40 ? 7 : 255);
			c.failed = seed >> 16 & 7;
			c.slow = c.ok + c.failed ? (seed >> 8 & 255) % (c.ok + c.failed + 1) : 0;
			for (uint32_t k = 0; k < c.ok; k++)
				all[count++] = c.ok - k <= c.slow ? 2 : 0;
			for (uint32_t k = 0; k < c.failed; k++)
				all[count++] = c.slow > c.ok && c.failed - k <= c.slow - c.ok ? 3 : 1;
			ebb_window_add(&w, c);
			for (size_t k = count > sizes[i] ? count - sizes[i] : 0; k < count; k++) {
				expected.failed += all[k] & 1;
				expected.ok += !(all[k] & 1);
				expected.slow += all[k] >> 1;
			}
			assert_sum(&w, expected.ok, expected.failed, expected.slow);
		}
	}
}

static void more_results_at_once_than_it_holds_leave_the_last(void **state)
{
	struct ebb_window w = a_window_of(10);

	(void)state;
	ebb_window_add(&w, (struct ebb_counts){.ok = UINT32_MAX, .failed = 4, .slow = 2});
	assert_sum(&w, 6, 4, 2);
	ebb_window_add(&w, (struct ebb_counts){.ok = 100, .failed = UINT32_MAX});
	assert_sum(&w, 0, 10, 0);
}

static void another_number_of_calls_keeps_the_last(void **state)
{
	struct ebb_window w = a_window_of(4);

	(void)state;
	ebb_window_add(&w, (struct ebb_counts){.ok = 3, .failed = 1, .slow = 1});
	ebb_window_shape(&w, WINDOW, 6, 0);
	assert_sum(&w, 3, 1, 1);
	ebb_window_add(&w, (struct ebb_counts){.failed = 2});
	assert_sum(&w, 3, 3, 1);
	ebb_window_shape(&w, WINDOW, 4, 0);
	assert_sum(&w, 1, 3, 1);
	ebb_window_add(&w, (struct ebb_counts){.failed = 1});
	assert_sum(&w, 0, 4, 0);
}

static void time_becomes_calls_and_calls_time(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	ebb_window_advance(&w, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.failed = 5});
	ebb_window_advance(&w, 103 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 3, .slow = 2});
	ebb_window_shape(&w, WINDOW, 6, 103 * SECOND);
	assert_sum(&w, 3, 3, 2); /* the oldest are gone */
	ebb_window_shape(&w, WINDOW, 0, 200 * SECOND);
	assert_sum(&w, 3, 3, 2);
	ebb_window_advance(&w, 210 * SECOND - 1);
	assert_sum(&w, 3, 3, 2);
	ebb_window_advance(&w, 210 * SECOND);
	assert_sum(&w, 0, 0, 0);
}

static void a_result_weighs_half_for_each_half_window_of_age(void **state)
{
	struct ebb_window w = a_window();
	struct ebb_weights weights;

	(void)state;
	ebb_window_advance(&w, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 2, .failed = 4, .slow = 6});
	for (uint32_t age = 0; age < EBB_WINDOW_BUCKETS; age++) {
		ebb_window_advance(&w, (100 + age) * SECOND);
		weights = ebb_window_weigh(&w);
		assert_float_equal(weights.all, 6 * exp2(-(double)age / 5), 1e-12);
		assert_float_equal(weights.failed, 4 * exp2(-(double)age / 5), 1e-12);
		assert_float_equal(weights.slow, 6 * exp2(-(double)age / 5), 1e-12);
		assert_sum(&w, 2, 4, 6); /* they are counted whole */
	}
	ebb_window_advance(&w, 105 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1});
	ebb_window_advance(&w, 110 * SECOND);
	weights = ebb_window_weigh(&w);
	assert_float_equal(weights.all, 0.5, 1e-12);
	assert_float_equal(weights.failed, 0, 0);
}

/* 1.0 is the default of slow_rate: it must be met by the very number. */
static void where_all_are_slow_the_share_is_exactly_one(void **state)
{
	static const struct ebb_counts kinds[] = {{.ok = 1, .slow = 1},
						  {.failed = 1, .slow = 1},
						  {.ok = 3, .failed = 4, .slow = 7}};

	(void)state;
	/* every way to fill ten buckets with three kinds */
	for (uint32_t way = 0; way < 59049; way++) {
		struct ebb_window w = a_window();
		struct ebb_weights weights;

		for (uint32_t i = 0, left = way; i < EBB_WINDOW_BUCKETS; i++, left /= 3) {
			ebb_window_advance(&w, (100 + i) * SECOND);
			ebb_window_add(&w, kinds[left % 3]);
		}
		weights = ebb_window_weigh(&w);
		assert_true(weights.slow / weights.all >= 1);
	}
}

static void clearing_forgets_everything(void **state)
{
	struct ebb_window w = a_window();

	(void)state;
	ebb_window_advance(&w, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1, .failed = 1, .slow = 1});
	ebb_window_clear(&w);
	ebb_window_advance(&w, 100 * SECOND);
	assert_sum(&w, 0, 0, 0);
	ebb_window_advance(&w, 101 * SECOND);
	assert_sum(&w, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_stays_for_its_bucket_and_the_nine_after),
		cmocka_unit_test(the_sum_is_that_of_the_last_ten_buckets),
		cmocka_unit_test(a_gap_drops_just_what_has_left),
		cmocka_unit_test(advancing_within_a_bucket_changes_nothing),
		cmocka_unit_test(counts_saturate_and_recover),
		cmocka_unit_test(another_length_of_time_keeps_the_results_and_their_age),
		cmocka_unit_test(a_window_of_calls_holds_the_last_results_however_old),
		cmocka_unit_test(a_window_of_calls_is_the_tail_of_all_results),
		cmocka_unit_test(more_results_at_once_than_it_holds_leave_the_last),
		cmocka_unit_test(another_number_of_calls_keeps_the_last),
		cmocka_unit_test(time_becomes_calls_and_calls_time),
		cmocka_unit_test(a_result_weighs_half_for_each_half_window_of_age),
		cmocka_unit_test(where_all_are_slow_the_share_is_exactly_one),
		cmocka_unit_test(clearing_forgets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

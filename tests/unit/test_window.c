/* SPDX-License-Identifier: Apache-2.0 */
/* The sliding window: ten buckets counted from monotonic zero. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/window.h"

#define SECOND 1000000000ULL
#define WINDOW (10 * SECOND)

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

		ebb_window_clear(&w);
		ebb_window_advance(&w, WINDOW, 123 * SECOND + in_bucket[i]);
		ebb_window_add(&w, (struct ebb_counts){.ok = 1, .failed = 2, .slow = 3});
		assert_sum(&w, 1, 2, 3);
		ebb_window_advance(&w, WINDOW, 133 * SECOND - 1);
		assert_sum(&w, 1, 2, 3);
		ebb_window_advance(&w, WINDOW, 133 * SECOND);
		assert_sum(&w, 0, 0, 0);
	}
}

static void the_sum_is_that_of_the_last_ten_buckets(void **state)
{
	struct ebb_window w;
	uint32_t added[64];

	(void)state;
	ebb_window_clear(&w);
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t expected = 0;

		/* numbers of which no sum of ten in a row equals another */
		added[i] = i * i + 1;
		ebb_window_advance(&w, WINDOW, i * SECOND);
		ebb_window_add(&w, (struct ebb_counts){.ok = added[i]});
		for (uint32_t j = i < 9 ? 0 : i - 9; j <= i; j++)
			expected += added[j];
		assert_sum(&w, expected, 0, 0);
	}
}

static void a_gap_drops_just_what_has_left(void **state)
{
	struct ebb_window w;

	(void)state;
	ebb_window_clear(&w);
	for (uint32_t i = 0; i < 10; i++) {
		ebb_window_advance(&w, WINDOW, i * SECOND);
		ebb_window_add(&w, (struct ebb_counts){.failed = 1});
	}
	assert_sum(&w, 0, 10, 0);
	ebb_window_advance(&w, WINDOW, 15 * SECOND);
	assert_sum(&w, 0, 4, 0);
	ebb_window_advance(&w, WINDOW, 18 * SECOND);
	assert_sum(&w, 0, 1, 0);
	ebb_window_advance(&w, WINDOW, 1000000 * SECOND);
	assert_sum(&w, 0, 0, 0);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1});
	assert_sum(&w, 1, 0, 0);
}

static void advancing_within_a_bucket_changes_nothing(void **state)
{
	struct ebb_window w;

	(void)state;
	ebb_window_clear(&w);
	ebb_window_advance(&w, WINDOW, 5 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 7});
	ebb_window_advance(&w, WINDOW, 5 * SECOND);
	ebb_window_advance(&w, WINDOW, 6 * SECOND - 1);
	assert_sum(&w, 7, 0, 0);
	assert_int_equal(w.newest, 5);
}

static void counts_saturate_and_recover(void **state)
{
	struct ebb_window w;

	(void)state;
	ebb_window_clear(&w);
	ebb_window_advance(&w, WINDOW, 0);
	ebb_window_add(&w, (struct ebb_counts){.ok = UINT32_MAX - 1});
	ebb_window_add(&w, (struct ebb_counts){.ok = 5});
	assert_sum(&w, UINT32_MAX, 0, 0);
	ebb_window_advance(&w, WINDOW, SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 5});
	assert_sum(&w, UINT32_MAX, 0, 0);
	/* what is left when the huge bucket goes is exact */
	ebb_window_advance(&w, WINDOW, 10 * SECOND);
	assert_sum(&w, 5, 0, 0);
}

static void a_longer_window_starts_empty(void **state)
{
	struct ebb_window w;

	(void)state;
	ebb_window_clear(&w);
	ebb_window_advance(&w, WINDOW, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 7});
	ebb_window_advance(&w, 6 * WINDOW, 100 * SECOND);
	assert_sum(&w, 0, 0, 0);
	assert_int_equal(w.newest, 16);
}

static void clearing_forgets_everything(void **state)
{
	struct ebb_window w;

	(void)state;
	ebb_window_clear(&w);
	ebb_window_advance(&w, WINDOW, 100 * SECOND);
	ebb_window_add(&w, (struct ebb_counts){.ok = 1, .failed = 1, .slow = 1});
	ebb_window_clear(&w);
	ebb_window_advance(&w, WINDOW, 100 * SECOND);
	assert_sum(&w, 0, 0, 0);
	ebb_window_advance(&w, WINDOW, 101 * SECOND);
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
		cmocka_unit_test(a_longer_window_starts_empty),
		cmocka_unit_test(clearing_forgets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/abi.h: words and buckets, which both sides must read alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/abi.h"

static void state_word_gives_back_what_was_put_in(void **state)
{
	uint64_t word = ebb_word(0x7ffffe, EBB_STATE_HALF_OPEN, 0x3fffffffffULL);

	(void)state;
	assert_int_equal(ebb_word_gen(word), 0x7ffffe);
	assert_int_equal(ebb_word_state(word), EBB_STATE_HALF_OPEN);
	assert_true(ebb_word_until(word) == 0x3fffffffffULL);
}

static void until_that_is_too_large_leaves_state_and_generation_alone(void **state)
{
	uint64_t word = ebb_word(5, EBB_STATE_OPEN, UINT64_MAX);

	(void)state;
	assert_int_equal(ebb_word_gen(word), 5);
	assert_int_equal(ebb_word_state(word), EBB_STATE_OPEN);
}

static void generations_compare_as_serial_numbers(void **state)
{
	(void)state;
	assert_true(ebb_gen_after(1, 0));
	assert_false(ebb_gen_after(0, 1));
	assert_false(ebb_gen_after(7, 7));
	assert_true(ebb_gen_after(0, EBB_GEN_MASK));
	assert_true(ebb_gen_after(3, EBB_GEN_MASK - 3));
	assert_int_equal(ebb_gen_next(EBB_GEN_MASK), 0);
}

static void later_generation_is_in_force_and_the_kernel_wins_a_tie(void **state)
{
	uint64_t verdict = ebb_word(4, EBB_STATE_OPEN, 100), pull = ebb_word(4, EBB_STATE_OPEN, 200);

	(void)state;
	assert_true(ebb_word_in_force(verdict, pull) == pull);
	verdict = ebb_word(5, EBB_STATE_HALF_OPEN, 0);
	assert_true(ebb_word_in_force(verdict, pull) == verdict);
	pull = ebb_word(6, EBB_STATE_CLOSED, 0);
	assert_true(ebb_word_in_force(verdict, pull) == pull);
}

static void counts_of_another_generation_are_zero(void **state)
{
	(void)state;
	assert_int_equal(ebb_run_failures(ebb_run_word(3, 1, 9), 3), 9);
	assert_int_equal(ebb_run_failures(ebb_run_word(3, 1, 9), 4), 0);
	assert_int_equal(ebb_probe_succeeded(ebb_probe_result_word(3, 2, 1), 3), 2);
	assert_int_equal(ebb_probe_failed(ebb_probe_result_word(3, 2, 1), 3), 1);
	assert_int_equal(ebb_probe_succeeded(ebb_probe_result_word(3, 2, 1), 2), 0);
	assert_int_equal(ebb_probe_failed(ebb_probe_result_word(3, 2, 1), 2), 0);
}

static void ticks_never_end_early(void **state)
{
	static const uint64_t times[] = {0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 123456789012345ULL};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_true(ebb_ticks_to_ns(ebb_ns_to_ticks(times[i])) >= times[i]);
		assert_true(ebb_ticks_to_ns(ebb_ns_to_ticks(times[i])) - times[i] < 1 << 20);
	}
}

static void every_bucket_begins_where_the_one_before_ends(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < EBB_HIST_BUCKETS; i++) {
		assert_int_equal(ebb_hist_bucket(ebb_hist_lower(i)), i);
		if (i)
			assert_int_equal(ebb_hist_bucket(ebb_hist_lower(i) - 1), i - 1);
	}
}

static void buckets_are_four_for_each_power_of_two_to_over_two_minutes(void **state)
{
	(void)state;
	for (uint32_t i = 4; i + 4 < EBB_HIST_BUCKETS; i++)
		assert_true(ebb_hist_lower(i + 4) == 2 * ebb_hist_lower(i));
	assert_true(ebb_hist_lower(EBB_HIST_BUCKETS - 1) * EBB_HIST_UNIT_NS > 120000000000ULL);
	assert_int_equal(ebb_hist_bucket(UINT64_MAX), EBB_HIST_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_word_gives_back_what_was_put_in),
		cmocka_unit_test(until_that_is_too_large_leaves_state_and_generation_alone),
		cmocka_unit_test(generations_compare_as_serial_numbers),
		cmocka_unit_test(later_generation_is_in_force_and_the_kernel_wins_a_tie),
		cmocka_unit_test(counts_of_another_generation_are_zero),
		cmocka_unit_test(ticks_never_end_early),
		cmocka_unit_test(every_bucket_begins_where_the_one_before_ends),
		cmocka_unit_test(buckets_are_four_for_each_power_of_two_to_over_two_minutes),
	};

	return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}

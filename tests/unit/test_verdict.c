/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a breaker: the verdict for the kernel and the memory for a restart. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "core/verdict.h"

static void the_verdict_arms_the_next_trip(void **state)
{
	struct ebb_breaker_config config;
	struct ebb_breaker b = {.key = 42};
	struct ebb_verdict verdict;

	(void)state;
	ebb_policy_defaults(&config);
	config.open_jitter = 0;
	b.word = ebb_word(7, EBB_STATE_CLOSED, 0);
	for (uint32_t trips = 0; trips < 4; trips++) {
		static const uint64_t expected_s[] = {5, 10, 20, 25};

		b.trips = trips;
		ebb_breaker_verdict(&b, &config, &verdict);
		assert_int_equal(verdict.word, b.word);
		assert_int_equal(ebb_arm_failures(verdict.arm), 5);
		assert_int_equal(ebb_arm_open_ticks(verdict.arm),
				 ebb_ns_to_ticks(expected_s[trips] * 1000000000));
	}
	/* one past the last does not start again */
	b.trips = UINT32_MAX;
	ebb_breaker_verdict(&b, &config, &verdict);
	assert_int_equal(ebb_arm_open_ticks(verdict.arm), ebb_ns_to_ticks(25000000000));
}

static void an_arm_is_never_empty(void **state)
{
	struct ebb_breaker_config config;
	struct ebb_breaker b = {0};
	struct ebb_verdict verdict;

	(void)state;
	ebb_policy_defaults(&config);
	config.consecutive_failures = 0;
	config.open_for_ns = 0;
	ebb_breaker_verdict(&b, &config, &verdict);
	assert_int_equal(ebb_arm_failures(verdict.arm), 0);
	assert_int_equal(ebb_arm_open_ticks(verdict.arm), 1);
	assert_true(verdict.arm != 0);
}

static void memory_keeps_the_last_transitions_and_counts_all(void **state)
{
	struct ebb_breaker b = {.trips = 3,
				.since_ns = 1234,
				.window.sum = {.ok = 1, .failed = 2, .slow = 3}};
	struct ebb_breaker_config config;
	struct ebb_memory memory;

	(void)state;
	ebb_policy_defaults(&config);
	memset(&memory, 0, sizeof(memory));
	for (uint32_t i = 0; i < 7; i++) {
		struct ebb_transition move = {.at_ns = i, .gen = i + 1, .reason = i % EBB_REASON_MAX};

		ebb_breaker_remember(&b, &config, &move, &memory);
		assert_int_equal(memory.count, i + 1);
		assert_memory_equal(&memory.last[(memory.count - 1) % EBB_TRANSITIONS_KEPT], &move,
				    sizeof(move));
	}
	for (uint32_t i = 0; i < EBB_TRANSITIONS_KEPT; i++)
		assert_in_range(memory.last[i].at_ns, 3, 6);
	assert_int_equal(memory.moved[0], 2);
	for (uint32_t reason = 1; reason < EBB_REASON_MAX; reason++)
		assert_int_equal(memory.moved[reason], 1);
	assert_int_equal(memory.trips, 3);
	assert_int_equal(memory.since_ns, 1234);
	assert_int_equal(memory.window_ok, 1);
	assert_int_equal(memory.window_failed, 2);
	assert_int_equal(memory.window_slow, 3);
	assert_int_equal(memory.window_ratio_ppm, 666667);
}

static void without_a_transition_only_the_numbers_change(void **state)
{
	struct ebb_breaker b = {.trips = 1, .window.sum = {.ok = 9}};
	struct ebb_memory memory, before;
	struct ebb_breaker_config config;

	(void)state;
	ebb_policy_defaults(&config);
	memset(&memory, 0, sizeof(memory));
	memory.count = 2;
	memory.moved[EBB_REASON_OPEN_EXPIRED] = 1;
	memory.last[1].gen = 5;
	before = memory;
	ebb_breaker_remember(&b, &config, NULL, &memory);
	before.trips = 1;
	before.window_ok = 9;
	assert_memory_equal(&memory, &before, sizeof(memory));
}

static void a_reason_outside_the_table_is_not_counted(void **state)
{
	struct ebb_breaker b = {0};
	struct ebb_breaker_config config;
	struct ebb_memory memory;
	struct ebb_transition move = {.reason = EBB_REASON_MAX};

	(void)state;
	ebb_policy_defaults(&config);
	memset(&memory, 0, sizeof(memory));
	ebb_breaker_remember(&b, &config, &move, &memory);
	assert_int_equal(memory.count, 1);
	assert_int_equal(memory.window_ratio_ppm, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verdict_arms_the_next_trip),
		cmocka_unit_test(an_arm_is_never_empty),
		cmocka_unit_test(memory_keeps_the_last_transitions_and_counts_all),
		cmocka_unit_test(without_a_transition_only_the_numbers_change),
		cmocka_unit_test(a_reason_outside_the_table_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

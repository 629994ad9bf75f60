/* SPDX-License-Identifier: Apache-2.0 */
/* Which limit is in force, user/core/limit.c and bpf/limit.h: the same for those who show it and those who obey it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/limit.h"
#include "core/limit.h"

#define NOW 1000000000ULL
#define ALL ((EBB_GIVEN_CONCURRENT << 1) - 1)

/* Each limit has a rate of its own: configured 1, 2, 3 and 4 at once, by hand ten times as much. */
static void fill(struct ebb_limits *limits, uint32_t times, uint32_t which)
{
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (which & (1U << kind))
			assert_int_equal(ebb_limit_make((kind + 1) * times, 1, &limits->bucket[kind]), 0);
	}
	if (which & EBB_GIVEN_CONCURRENT)
		limits->concurrent = 4 * times;
}

/* What @kind may be at @now_ns: said here a third time, as the words of an operator. */
static uint64_t expected(uint32_t kind, uint32_t configured, uint32_t by_hand, uint32_t given, bool lasts)
{
	uint32_t bit = 1U << kind;

	if ((given & bit) && lasts)
		return by_hand & bit ? (kind + 1) * 10 : 0; /* given as "off", it lifts the limit */
	return configured & bit ? kind + 1 : 0;
}

/* The two of one policy at one moment agree with each other and with what is expected. */
static void check(const struct ebb_policy *policy, uint32_t configured, uint32_t by_hand, bool lasts)
{
	uint32_t given = policy->by_hand.given;
	struct ebb_limits limits;

	ebb_limits_in_force(policy, NOW, &limits);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit *kernels = ebb_limit_in_force(policy, kind, NOW);
		uint64_t rate = expected(kind, configured, by_hand, given, lasts);

		assert_int_equal(limits.bucket[kind].per_hour, rate);
		assert_int_equal(kernels ? kernels->per_hour : 0, rate);
		if (kernels)
			assert_memory_equal(&limits.bucket[kind], kernels, sizeof(*kernels));
	}
	assert_int_equal(limits.concurrent, expected(EBB_LIMIT_MAX, configured, by_hand, given, lasts));
	assert_int_equal(limits.concurrent, ebb_concurrent_in_force(policy, NOW));
	assert_int_equal(limits.given, lasts ? given : 0);
}

static void by_hand_wins_while_it_lasts(void **state)
{
	static const struct {
		uint64_t until_ns;
		bool lasts;
	} ends[] = {{0, true}, {NOW + 1, true}, {NOW, false}, {NOW - 1, false}, {UINT64_MAX, true}};

	(void)state;
	for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
		/* every mix of what is configured, what is given, and what of it is a limit */
		for (uint32_t mix = 0; mix <= ALL * 256 + ALL * 16 + ALL; mix++) {
			uint32_t configured = mix & ALL, given = (mix >> 4) & ALL, by_hand = (mix >> 8) & ALL;
			struct ebb_policy policy = {.by_hand.given = given,
						    .by_hand_until_ns = ends[e].until_ns};

			fill(&policy.limits, 1, configured);
			fill(&policy.by_hand, 10, by_hand);
			check(&policy, configured, by_hand, ends[e].lasts);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand_wins_while_it_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which mode and which override are in force (ruling 14): the kernel's rule (bpf/mode.h), and the one of those who show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/gate.h"
#include "bpf/mode.h"
#include "core/by_hand.h"

#define NOW 1000000000ULL

#define OBSERVE	   EBB_MODE_OBSERVE
#define ENFORCE	   EBB_MODE_ENFORCE
#define NONE	   0U
#define SAYS(mode) (1U + (mode))

/* Node override, destination override, destination, which has the global one where it says nothing (ruling 14). */
static void ruling_14_mode_precedence(void **state)
{
	static const struct {
		uint32_t node, destination, configured, expected;
	} cases[] = {
		{NONE, NONE, OBSERVE, OBSERVE},
		{NONE, NONE, ENFORCE, ENFORCE},
		{NONE, SAYS(OBSERVE), OBSERVE, OBSERVE},
		{NONE, SAYS(OBSERVE), ENFORCE, OBSERVE},
		{NONE, SAYS(ENFORCE), OBSERVE, ENFORCE},
		{NONE, SAYS(ENFORCE), ENFORCE, ENFORCE},
		{SAYS(OBSERVE), NONE, OBSERVE, OBSERVE},
		{SAYS(OBSERVE), NONE, ENFORCE, OBSERVE},
		{SAYS(ENFORCE), NONE, OBSERVE, ENFORCE},
		{SAYS(ENFORCE), NONE, ENFORCE, ENFORCE},
		{SAYS(OBSERVE), SAYS(ENFORCE), OBSERVE, OBSERVE},
		{SAYS(OBSERVE), SAYS(ENFORCE), ENFORCE, OBSERVE},
		{SAYS(ENFORCE), SAYS(OBSERVE), OBSERVE, ENFORCE},
		{SAYS(ENFORCE), SAYS(OBSERVE), ENFORCE, ENFORCE},
	};
	static const struct {
		uint64_t until_ns;
		bool holds;
	} ends[] = {{0, true}, {NOW + 1, true}, {NOW, false}, {NOW - 1, false}, {UINT64_MAX, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
			for (size_t f = 0; f < sizeof(ends) / sizeof(ends[0]); f++) {
				struct ebb_policy node = {.mode_by_hand = cases[i].node,
							  .mode_until_ns = ends[e].until_ns};
				struct ebb_policy policy = {.mode = cases[i].configured,
							    .mode_by_hand = cases[i].destination,
							    .mode_until_ns = ends[f].until_ns};
				uint32_t expected = cases[i].configured;

				if (cases[i].destination && ends[f].holds)
					expected = cases[i].destination - 1;
				if (cases[i].node && ends[e].holds)
					expected = cases[i].node - 1;
				if (ends[e].holds && ends[f].holds)
					assert_int_equal(expected, cases[i].expected);
				assert_int_equal(ebb_mode_in_force(&policy, &node, NOW), expected);
				assert_int_equal(ebb_mode_of(&policy, &node, 1, NOW), expected);
			}
		}
	}
}

static void other_is_never_refused(void **state)
{
	struct ebb_policy node = {.mode = ENFORCE, .mode_by_hand = SAYS(ENFORCE)};

	(void)state;
	assert_int_equal(ebb_mode_of(&node, &node, EBB_SLOT_OTHER, NOW), OBSERVE);
}

static void override_holds_until_its_end(void **state)
{
	static const struct {
		uint32_t said;
		uint64_t until_ns;
		uint32_t expected;
	} cases[] = {
		{EBB_OVERRIDE_AUTO, 0, EBB_OVERRIDE_AUTO},
		{EBB_OVERRIDE_AUTO, NOW + 1, EBB_OVERRIDE_AUTO},
		{EBB_OVERRIDE_OPEN, 0, EBB_OVERRIDE_OPEN},
		{EBB_OVERRIDE_OPEN, NOW + 1, EBB_OVERRIDE_OPEN},
		{EBB_OVERRIDE_OPEN, NOW, EBB_OVERRIDE_AUTO},
		{EBB_OVERRIDE_CLOSE, 0, EBB_OVERRIDE_CLOSE},
		{EBB_OVERRIDE_CLOSE, NOW + 1, EBB_OVERRIDE_CLOSE},
		{EBB_OVERRIDE_CLOSE, NOW - 1, EBB_OVERRIDE_AUTO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_policy policy = {.override_state = cases[i].said,
					    .override_until_ns = cases[i].until_ns};

		assert_int_equal(ebb_override_in_force(&policy, NOW), cases[i].expected);
		assert_int_equal(ebb_override_of(&policy, NOW), cases[i].expected);
	}
}

/* For live connections: an order goes before the verdict and asks for no lease, a verdict does. */
static void gate_is_shut_by_order_or_by_a_verdict_that_holds(void **state)
{
	static const struct {
		uint32_t said, gate;
		bool leased, shut;
	} cases[] = {
		{EBB_OVERRIDE_AUTO, EBB_STATE_CLOSED, true, false},
		{EBB_OVERRIDE_AUTO, EBB_STATE_OPEN, true, true},
		{EBB_OVERRIDE_AUTO, EBB_STATE_OPEN, false, false},
		{EBB_OVERRIDE_AUTO, EBB_STATE_HALF_OPEN, true, false},
		{EBB_OVERRIDE_OPEN, EBB_STATE_CLOSED, true, true},
		{EBB_OVERRIDE_OPEN, EBB_STATE_CLOSED, false, true},
		{EBB_OVERRIDE_OPEN, EBB_STATE_OPEN, false, true},
		{EBB_OVERRIDE_OPEN, EBB_STATE_HALF_OPEN, true, true},
		{EBB_OVERRIDE_CLOSE, EBB_STATE_OPEN, true, false},
		{EBB_OVERRIDE_CLOSE, EBB_STATE_OPEN, false, false},
	};
	struct ebb_gate gate = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_policy policy = {.override_state = cases[i].said};
		struct ebb_verdict verdict = {.word = ebb_word(1, cases[i].gate, EBB_UNTIL_MASK)};
		struct ebb_policy node = {0};
		struct ebb_agent agent = {.heartbeat_ns = cases[i].leased ? NOW : 0, .lease_ns = NOW};

		assert_int_equal(ebb_gate_is_shut(&gate, &verdict, &policy, &agent, cases[i].leased, NOW),
				 cases[i].shut);
		/* destroyed are those whose mode in force says so */
		policy.established = EBB_ESTABLISHED_RESET;
		assert_int_equal(ebb_gate_resets(&gate, &verdict, &policy, &node, &agent, NOW), 0);
		policy.mode_by_hand = SAYS(ENFORCE);
		assert_int_equal(ebb_gate_resets(&gate, &verdict, &policy, &node, &agent, NOW),
				 cases[i].shut);
		/* a fuse that releases answers for the breaker alone, one that sheds is about new connections */
		agent.fuse = EBB_FUSE_SHED;
		assert_int_equal(ebb_gate_resets(&gate, &verdict, &policy, &node, &agent, NOW),
				 cases[i].shut);
		agent.fuse = EBB_FUSE_RELEASE;
		assert_int_equal(ebb_gate_resets(&gate, &verdict, &policy, &node, &agent, NOW),
				 cases[i].said == EBB_OVERRIDE_OPEN);
		node.mode_by_hand = SAYS(OBSERVE);
		assert_int_equal(ebb_gate_resets(&gate, &verdict, &policy, &node, &agent, NOW), 0);
	}
}

/* What was said for all workloads and what was said for one have their own ends. */
static void limits_of_two_origins_end_each_in_its_time(void **state)
{
	struct ebb_policy policy = {
		.by_hand = {.concurrent = 5, .given = EBB_GIVEN_CONCURRENT | 1U << EBB_LIMIT_CONNECTS},
		.by_hand_until_ns = NOW + 10,
		.wide = 1U << EBB_LIMIT_CONNECTS,
		.wide_until_ns = NOW + 5,
	};

	(void)state;
	assert_true(ebb_limit_by_hand(&policy, EBB_GIVEN_CONCURRENT, NOW + 9));
	assert_false(ebb_limit_by_hand(&policy, EBB_GIVEN_CONCURRENT, NOW + 10));
	assert_true(ebb_limit_by_hand(&policy, 1U << EBB_LIMIT_CONNECTS, NOW + 4));
	assert_false(ebb_limit_by_hand(&policy, 1U << EBB_LIMIT_CONNECTS, NOW + 5));
	policy.wide_until_ns = 0;
	assert_true(ebb_limit_by_hand(&policy, 1U << EBB_LIMIT_CONNECTS, NOW + 50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ruling_14_mode_precedence),
		cmocka_unit_test(other_is_never_refused),
		cmocka_unit_test(override_holds_until_its_end),
		cmocka_unit_test(gate_is_shut_by_order_or_by_a_verdict_that_holds),
		cmocka_unit_test(limits_of_two_origins_end_each_in_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

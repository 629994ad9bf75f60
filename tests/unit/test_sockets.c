/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/sockets.c: when a walk over the open sockets is due. The walks are tried in tests/bpf and tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/sockets.h"
#include "core/limit.h"
#include "tests/lib/fake_view.h"

#define SECOND 1000000000ULL
#define NOW    (1000 * SECOND)

/* One destination and pair of slot 1, open, enforced, reset, with a connection. */
static struct ebb_view open_with_a_connection(void)
{
	struct ebb_view view = fake_view_new(4, 4);

	view.kernel->dst_high = 1;
	view.kernel->pair_high = 1;
	view.dsts[1].state = EBB_SLOT_LIVE;
	view.pairs[1].state = EBB_SLOT_LIVE;
	view.pairs[1].dst = 1;
	view.pairs[1].gate = 1;
	view.pairs[1].active = 1;
	view.policies[1].mode = EBB_MODE_ENFORCE;
	view.policies[1].established = EBB_ESTABLISHED_RESET;
	view.verdicts[1].word = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + SECOND));
	return view;
}

static void reset_is_due_while_it_is_open_and_something_lives(void **state)
{
	struct ebb_view view = open_with_a_connection();

	(void)state;
	assert_true(ebb_sockets_reset_is_due(&view, NOW));
	assert_false(ebb_sockets_reset_is_due(&view, NOW + 2 * SECOND));
	view.pairs[1].active = 0;
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	fake_view_free(&view);
	view = open_with_a_connection();
	view.policies[1].mode = EBB_MODE_OBSERVE;
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	fake_view_free(&view);
	view = open_with_a_connection();
	view.policies[1].established = EBB_ESTABLISHED_DROP;
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	fake_view_free(&view);
	view = open_with_a_connection();
	view.agent->fuse = EBB_FUSE_RELEASE;
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	fake_view_free(&view);
	view = open_with_a_connection();
	view.verdicts[1].word = ebb_word(1, EBB_STATE_HALF_OPEN, 0);
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	/* the kernel has pulled it, and the agent has not looked yet */
	view.gates[1].pull = ebb_word(2, EBB_STATE_OPEN, ebb_ns_to_ticks(NOW + SECOND));
	assert_true(ebb_sockets_reset_is_due(&view, NOW));
	view.pairs[1].state = EBB_SLOT_FREE;
	assert_false(ebb_sockets_reset_is_due(&view, NOW));
	fake_view_free(&view);
}

static void cap_comes_once_and_only_to_what_was_there(void **state)
{
	struct ebb_view view = fake_view_new(4, 4);
	bool capped[8] = {false};
	uint32_t high = 0;

	(void)state;
	view.kernel->dst_high = 1;
	assert_false(ebb_sockets_cap_came(&view, NOW, capped, &high));
	assert_int_equal(high, 1);
	view.policies[1].limits.concurrent = 5;
	ebb_limits_summarize(&view.policies[1]);
	assert_true(ebb_sockets_cap_came(&view, NOW, capped, &high));
	assert_false(ebb_sockets_cap_came(&view, NOW, capped, &high));
	/* another number is no new cap */
	view.policies[1].limits.concurrent = 7;
	assert_false(ebb_sockets_cap_came(&view, NOW, capped, &high));
	/* a destination that is met under a cap had it from its first connection on */
	view.policies[2] = view.policies[1];
	view.kernel->dst_high = 2;
	assert_false(ebb_sockets_cap_came(&view, NOW, capped, &high));
	/* "none" by hand, which ends: the configured one is back */
	view.policies[1].by_hand.given = EBB_GIVEN_CONCURRENT;
	view.policies[1].by_hand_until_ns = NOW + SECOND;
	ebb_limits_summarize(&view.policies[1]);
	assert_false(ebb_sockets_cap_came(&view, NOW, capped, &high));
	assert_true(ebb_sockets_cap_came(&view, NOW + SECOND, capped, &high));
	fake_view_free(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_is_due_while_it_is_open_and_something_lives),
		cmocka_unit_test(cap_comes_once_and_only_to_what_was_there),
	};

	return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}

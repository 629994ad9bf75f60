/* SPDX-License-Identifier: Apache-2.0 */
/* What operators say, user/core/by_hand.c; and whose policy a gate obeys, user/node/owns.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/by_hand.h"
#include "core/limit.h"
#include "node/owns.h"
#include "tests/lib/fake_view.h"

#define S   1000000000ULL
#define NOW (1000 * S)

#define DST  1
#define PAIR 2
#define DSTS 8

/* A destination of scope workload with two pairs, the second with nothing of its own. */
static int set_up(void **state)
{
	struct ebb_view *view = fake_zeroed(1, sizeof(*view));

	*view = fake_view_new(DSTS, 16);
	view->kernel->dst_high = DST;
	view->kernel->pair_high = PAIR + 1;
	view->dsts[DST].state = EBB_SLOT_LIVE;
	view->dsts[DST].scope = EBB_SCOPE_WORKLOAD;
	for (uint32_t p = PAIR; p <= PAIR + 1; p++) {
		view->pairs[p].state = EBB_SLOT_LIVE;
		view->pairs[p].dst = DST;
		view->pairs[p].gate = DSTS + p;
		view->pairs[p].epoch = 7;
	}
	view->policies[DST].errno_code = EBB_ERRNO_HOSTUNREACH;
	view->policies[DST].limits.concurrent = 9;
	ebb_limits_summarize(&view->policies[DST]);
	*state = view;
	return 0;
}

static int tear_down(void **state)
{
	struct ebb_view *view = *state;

	fake_view_free(view);
	free(view);
	return 0;
}

static struct ebb_limits limits_of(uint64_t connects, uint32_t concurrent)
{
	struct ebb_limits limits = {0};

	if (connects) {
		assert_int_equal(ebb_limit_make(connects * 3600, connects,
						&limits.bucket[EBB_LIMIT_CONNECTS]),
				 0);
		limits.given |= 1U << EBB_LIMIT_CONNECTS;
	}
	if (concurrent) {
		limits.concurrent = concurrent;
		limits.given |= EBB_GIVEN_CONCURRENT;
	}
	return limits;
}

static struct ebb_policy policy_now(const struct ebb_view *view, uint32_t pair, uint64_t now_ns)
{
	struct ebb_policy policy;

	ebb_gate_policy(view, DST, view->pairs[pair].gate, now_ns, &policy);
	return policy;
}

static void write_own(const struct ebb_view *view, const struct ebb_own *own)
{
	assert_int_equal(ebb_own_write(view, PAIR, own), 0);
	assert_int_equal(ebb_owns_refresh(view, DST, NOW), 0);
}

/* ------------------------------------------------------------- a policy -- */

static void orders_are_kept_when_the_configuration_is_written_anew(void **state)
{
	struct ebb_policy place = {.asks = EBB_ASK_OWN | EBB_ASK_MEMORY},
			  policy = {.errno_code = EBB_ERRNO_PERM};
	struct ebb_limits change = limits_of(20, 0);

	(void)state;
	ebb_override_give(&place, EBB_OVERRIDE_OPEN, NOW + S, 1);
	ebb_mode_give(&place, 1 + EBB_MODE_ENFORCE, NOW + 2 * S, 2);
	ebb_limits_give(&place, &change, NOW + 3 * S, 3, NOW);
	ebb_by_hand_keep(&policy, &place);
	assert_int_equal(policy.errno_code, EBB_ERRNO_PERM);
	assert_int_equal(policy.override_state, EBB_OVERRIDE_OPEN);
	assert_true(policy.override_until_ns == NOW + S);
	assert_int_equal(policy.override_uid, 1);
	assert_int_equal(policy.mode_by_hand, 1 + EBB_MODE_ENFORCE);
	assert_true(policy.mode_until_ns == NOW + 2 * S);
	assert_int_equal(policy.mode_uid, 2);
	assert_int_equal(policy.by_hand.given, 1U << EBB_LIMIT_CONNECTS);
	assert_true(policy.by_hand_until_ns == NOW + 3 * S);
	assert_int_equal(policy.by_hand_uid, 3);
	assert_int_equal(policy.asks, EBB_ASK_OWN | EBB_ASK_MEMORY | EBB_ASK_CONNECT);
}

static void what_has_ended_is_taken_out_and_the_rest_stays(void **state)
{
	struct ebb_policy policy = {0};
	struct ebb_limits change = limits_of(20, 0);

	(void)state;
	ebb_override_give(&policy, EBB_OVERRIDE_OPEN, NOW + S, 1);
	ebb_mode_give(&policy, 1 + EBB_MODE_ENFORCE, NOW + 2 * S, 2);
	ebb_limits_give(&policy, &change, 0, 3, NOW);
	assert_int_equal(ebb_by_hand_end(&policy, NOW), 0);
	assert_int_equal(ebb_by_hand_said(&policy, NOW), EBB_SAID_OVERRIDE | EBB_SAID_MODE | EBB_SAID_LIMITS);
	assert_int_equal(ebb_by_hand_end(&policy, NOW + S), EBB_SAID_OVERRIDE);
	assert_int_equal(policy.override_state, EBB_OVERRIDE_AUTO);
	assert_true(policy.override_until_ns == 0);
	assert_int_equal(ebb_by_hand_end(&policy, NOW + 2 * S), EBB_SAID_MODE);
	assert_int_equal(policy.mode_by_hand, 0);
	assert_int_equal(ebb_by_hand_said(&policy, NOW + 1000 * S), EBB_SAID_LIMITS);
	ebb_by_hand_forget(&policy);
	assert_int_equal(ebb_by_hand_said(&policy, NOW), 0);
	assert_int_equal(policy.asks, 0);
}

/* A writer that is killed at any store leaves the old order, none, or the new one. */
static void the_end_of_an_order_moves_without_a_gap(void **state)
{
	struct ebb_policy policy = {0};

	(void)state;
	ebb_override_give(&policy, EBB_OVERRIDE_OPEN, NOW + S, 1);
	ebb_override_give(&policy, EBB_OVERRIDE_OPEN, 0, 2);
	assert_int_equal(policy.override_state, EBB_OVERRIDE_OPEN);
	assert_true(policy.override_until_ns == 0);
	assert_int_equal(policy.override_uid, 2);
	ebb_override_give(&policy, EBB_OVERRIDE_AUTO, NOW, 3);
	assert_true(policy.override_until_ns == 0);
	assert_int_equal(policy.override_uid, 0);
}

/* --------------------------------------------------------- one workload -- */

static void order_for_one_workload_leaves_the_others(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_own own = {.pair_epoch = 7};

	ebb_own_give_override(&own, &view->policies[DST], EBB_OVERRIDE_OPEN, NOW + S, 1000);
	write_own(view, &own);
	assert_int_equal(policy_now(view, PAIR, NOW).override_state, EBB_OVERRIDE_OPEN);
	assert_int_equal(policy_now(view, PAIR, NOW).errno_code, EBB_ERRNO_HOSTUNREACH);
	assert_int_equal(policy_now(view, PAIR, NOW).limits.concurrent, 9);
	assert_int_equal(policy_now(view, PAIR + 1, NOW).override_state, EBB_OVERRIDE_AUTO);
	assert_int_equal(view->policies[DST].override_state, EBB_OVERRIDE_AUTO);
	assert_true(view->policies[DST].asks & EBB_ASK_OWN);
	/* its time is over for the kernel and for those who show it, with nobody to take it out */
	assert_int_equal(policy_now(view, PAIR, NOW + S).override_state, EBB_OVERRIDE_AUTO);
	assert_true(ebb_own_stands(view, PAIR));
	assert_false(ebb_own_stands(view, PAIR + 1));
}

static void new_owner_of_a_pair_does_not_inherit(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_own own = {.pair_epoch = 7};

	ebb_own_give_override(&own, &view->policies[DST], EBB_OVERRIDE_OPEN, 0, 1000);
	write_own(view, &own);
	view->pairs[PAIR].epoch = 8;
	assert_int_equal(policy_now(view, PAIR, NOW).override_state, EBB_OVERRIDE_AUTO);
}

/* Who writes the destination's policy makes that of the workload again. */
static void destination_changes_under_the_order(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_policy *base = &view->policies[DST];
	struct ebb_limits wide = limits_of(20, 3), mine = limits_of(0, 1);
	struct ebb_own own = {.pair_epoch = 7};
	struct ebb_policy now;

	ebb_own_give_limits(&own, base, &mine, NOW + 5 * S, 1000, NOW);
	write_own(view, &own);
	base->errno_code = EBB_ERRNO_PERM;
	ebb_override_give(base, EBB_OVERRIDE_CLOSE, 0, 1);
	ebb_limits_give(base, &wide, NOW + S, 2, NOW);
	assert_int_equal(ebb_owns_refresh(view, DST, NOW), 0);
	now = policy_now(view, PAIR, NOW);
	assert_int_equal(now.errno_code, EBB_ERRNO_PERM);
	assert_int_equal(now.override_state, EBB_OVERRIDE_CLOSE);
	/* of the limits by hand one is the workload's, one the destination's: each with its end and author */
	assert_int_equal(now.by_hand.concurrent, 1);
	assert_int_equal(now.by_hand.bucket[EBB_LIMIT_CONNECTS].per_hour, 20 * 3600);
	assert_true(ebb_limit_until(&now, EBB_GIVEN_CONCURRENT) == NOW + 5 * S);
	assert_int_equal(ebb_limit_uid(&now, EBB_GIVEN_CONCURRENT), 1000);
	assert_true(ebb_limit_until(&now, 1U << EBB_LIMIT_CONNECTS) == NOW + S);
	assert_int_equal(ebb_limit_uid(&now, 1U << EBB_LIMIT_CONNECTS), 2);
	/* taken back for all, the workload's own stays */
	ebb_limits_take_back(base);
	assert_int_equal(ebb_owns_refresh(view, DST, NOW), 0);
	now = policy_now(view, PAIR, NOW);
	assert_int_equal(now.by_hand.given, EBB_GIVEN_CONCURRENT);
	/* and taken back for the workload, it has what the destination has */
	ebb_limits_give(base, &wide, 0, 2, NOW);
	assert_int_equal(view->owns->get(view->owns, PAIR, &own), 0);
	ebb_own_give_limits(&own, base, NULL, 0, 0, NOW);
	assert_int_equal(own.said, 0);
	write_own(view, &own);
	assert_int_equal(policy_now(view, PAIR, NOW).by_hand.concurrent, 3);
	assert_false(base->asks & EBB_ASK_OWN);
}

/* A second order about limits for the workload must not make those of the destination its own. */
static void limits_of_the_destination_stay_the_destinations(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_policy *base = &view->policies[DST];
	struct ebb_limits wide = limits_of(20, 0), mine = limits_of(0, 1), more = limits_of(0, 2);
	struct ebb_own own = {.pair_epoch = 7};

	ebb_limits_give(base, &wide, NOW + S, 2, NOW);
	ebb_own_give_limits(&own, base, &mine, 0, 1000, NOW);
	ebb_own_give_limits(&own, base, &more, 0, 1000, NOW);
	assert_int_equal(own.policy.wide, 1U << EBB_LIMIT_CONNECTS);
	assert_true(ebb_limit_until(&own.policy, 1U << EBB_LIMIT_CONNECTS) == NOW + S);
	assert_int_equal(own.policy.by_hand.concurrent, 2);
	ebb_limits_take_back(base);
	ebb_own_lay_over(&own, base);
	assert_int_equal(own.policy.by_hand.given, EBB_GIVEN_CONCURRENT);
	/* an order of another kind first: the limits by hand are still all the destination's */
	own = (struct ebb_own){.pair_epoch = 7};
	ebb_limits_give(base, &wide, NOW + S, 2, NOW);
	ebb_own_give_mode(&own, base, 1 + EBB_MODE_ENFORCE, 0, 1000);
	ebb_own_give_limits(&own, base, &mine, 0, 1000, NOW);
	assert_int_equal(own.policy.wide, 1U << EBB_LIMIT_CONNECTS);
}

static void upkeep_takes_out_what_ended_everywhere(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_policy *base = &view->policies[DST];
	struct ebb_own own = {.pair_epoch = 7};

	ebb_mode_give(&view->policies[EBB_SLOT_OTHER], 1 + EBB_MODE_ENFORCE, NOW + S, 1);
	ebb_override_give(base, EBB_OVERRIDE_OPEN, NOW + 2 * S, 1);
	ebb_own_give_override(&own, base, EBB_OVERRIDE_CLOSE, NOW + 3 * S, 1);
	ebb_own_give_mode(&own, base, 1 + EBB_MODE_ENFORCE, NOW + 4 * S, 1);
	write_own(view, &own);
	assert_int_equal(ebb_by_hand_upkeep(view, NOW), 0);
	assert_int_equal(ebb_by_hand_upkeep(view, NOW + S), 1);
	assert_int_equal(view->policies[EBB_SLOT_OTHER].mode_by_hand, 0);
	assert_int_equal(ebb_by_hand_upkeep(view, NOW + 2 * S), 1);
	assert_int_equal(policy_now(view, PAIR, NOW + 2 * S).override_state, EBB_OVERRIDE_CLOSE);
	assert_int_equal(ebb_by_hand_upkeep(view, NOW + 3 * S), 1);
	assert_int_equal(policy_now(view, PAIR, NOW + 3 * S).override_state, EBB_OVERRIDE_AUTO);
	assert_int_equal(policy_now(view, PAIR, NOW + 3 * S).mode_by_hand, 1 + EBB_MODE_ENFORCE);
	assert_int_equal(ebb_by_hand_upkeep(view, NOW + 4 * S), 1);
	assert_false(ebb_own_stands(view, PAIR));
	assert_false(base->asks & EBB_ASK_OWN);
}

static void packets_of_one_workload_are_asked_for(void **state)
{
	const struct ebb_view *view = *state;
	struct ebb_limits change = {.given = 1U << EBB_LIMIT_BYTES};
	struct ebb_own own = {.pair_epoch = 7};

	assert_int_equal(ebb_owns_asks(view), 0);
	assert_int_equal(ebb_limit_make(3600000, 1000, &change.bucket[EBB_LIMIT_BYTES]), 0);
	ebb_own_give_limits(&own, &view->policies[DST], &change, 0, 1, NOW);
	write_own(view, &own);
	assert_int_equal(ebb_owns_asks(view) & EBB_ASK_PACKET, EBB_ASK_PACKET);
	assert_int_equal(view->policies[DST].asks & EBB_ASK_PACKET, 0);
}

#define WITH_VIEW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_are_kept_when_the_configuration_is_written_anew),
		cmocka_unit_test(what_has_ended_is_taken_out_and_the_rest_stays),
		cmocka_unit_test(the_end_of_an_order_moves_without_a_gap),
		WITH_VIEW(order_for_one_workload_leaves_the_others),
		WITH_VIEW(new_owner_of_a_pair_does_not_inherit),
		WITH_VIEW(destination_changes_under_the_order),
		WITH_VIEW(limits_of_the_destination_stay_the_destinations),
		WITH_VIEW(upkeep_takes_out_what_ended_everywhere),
		WITH_VIEW(packets_of_one_workload_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

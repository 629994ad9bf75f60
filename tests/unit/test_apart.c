/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ruling 2: the gate of a node does not open for all while what fails is one workload's and another one is
 * served. core/apart.c, and agent/tick.c with a fake clock and maps of plain memory; results reach the
 * gates through bpf/gate.h, as in the kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tick.h"
#include "bpf/gate.h"
#include "core/apart.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define DSTS  8
#define PAIRS 16
#define DST   1

/* Pair slots: three workloads that share the gate of DST. */
enum {
	A = 1,
	B = 2,
	C = 3
};

#define GATE_OF(pair) (DSTS + (pair))

struct world {
	struct ebb_view view;
	struct ebb_breaker_config config;
	struct ebb_ticker *ticker;
	struct ebb_moves listeners;
	struct ebb_move moves[64];
	size_t move_count;
	uint64_t now;
};

static void on_move(void *userdata, const struct ebb_move *move)
{
	struct world *w = userdata;

	assert_true(w->move_count < sizeof(w->moves) / sizeof(w->moves[0]));
	w->moves[w->move_count++] = *move;
}

static void start_ticker(struct world *w, bool restore)
{
	ebb_ticker_free(w->ticker);
	w->ticker = NULL;
	w->listeners = (struct ebb_moves){.count = 0};
	assert_int_equal(ebb_ticker_new(&w->view, &w->config, 42, restore, &w->listeners, &w->ticker), 0);
	assert_int_equal(ebb_moves_listen(&w->listeners, "test", on_move, w), 0);
}

static void tick(struct world *w)
{
	struct ebb_tick_result result;

	ebb_tick(w->ticker, w->now, &result);
	w->view.agent->heartbeat_ns = w->now;
}

static void pass(struct world *w, uint64_t ns)
{
	w->now += ns;
	tick(w);
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(DSTS, PAIRS);
	w->now = 1000 * S;
	ebb_policy_defaults(&w->config);
	w->config.open_jitter = 0;
	w->config.min_calls = 1000; /* runs alone, where a test does not say otherwise */
	for (uint32_t d = 0; d < DSTS; d++)
		ebb_policy_to_kernel(&w->config, &w->view.policies[d]);
	w->view.agent->lease_ns = 30 * S;
	w->view.dsts[DST].state = EBB_SLOT_LIVE;
	w->view.kernel->dst_high = DST;
	for (uint32_t p = A; p <= C; p++)
		w->view.pairs[p] = (struct ebb_pair){.workload = 70 + p,
						     .dst = DST,
						     .gate = DST,
						     .state = EBB_SLOT_LIVE};
	w->view.kernel->pair_high = C;
	start_ticker(w, false);
	tick(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_ticker_free(w->ticker);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

static uint64_t word_of(const struct world *w, uint32_t gate)
{
	return ebb_gate_word(&w->view.gates[gate], &w->view.verdicts[gate]);
}

static uint32_t state_of(const struct world *w, uint32_t gate)
{
	return ebb_word_state(word_of(w, gate));
}

/* A result of a connection that asks the gate of now; and the look that the hint of a failure brings. */
static uint32_t result(struct world *w, uint32_t pair, bool ok, bool slow)
{
	uint32_t gate = w->view.pairs[pair].gate, did;

	did = ebb_gate_result(&w->view.gates[gate], &w->view.verdicts[gate], &w->view.policies[DST],
			      &w->view.pairs[pair], pair, w->now, ebb_word_gen(word_of(w, gate)), ok, slow);
	if (!ok)
		(void)ebb_tick_gate(w->ticker, gate, w->now);
	return did;
}

static void succeed(struct world *w, uint32_t pair)
{
	(void)result(w, pair, true, false);
}

static void fails(struct world *w, uint32_t pair, int times)
{
	for (int i = 0; i < times; i++)
		(void)result(w, pair, false, false);
}

static void assert_apart(const struct world *w, uint32_t pair, uint32_t reason)
{
	const struct ebb_move *move = &w->moves[w->move_count - 1];

	assert_int_equal(w->view.pairs[pair].gate, GATE_OF(pair));
	assert_int_equal(state_of(w, GATE_OF(pair)), EBB_STATE_OPEN);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(move->pair, pair);
	assert_int_equal(move->gate, GATE_OF(pair));
	assert_int_equal(move->transition.reason, reason);
}

static void assert_open_for_all(const struct world *w)
{
	assert_int_equal(state_of(w, DST), EBB_STATE_OPEN);
	for (uint32_t p = A; p <= C; p++)
		assert_int_equal(w->view.pairs[p].gate, DST);
}

/* ------------------------------------------------------------- put apart -- */

static void one_that_fails_in_a_row_is_put_apart_while_another_is_served(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w->move_count, 1);
	assert_int_equal(w->moves[0].transition.run, 5);
	assert_int_equal(ebb_word_gen(word_of(w, GATE_OF(A))), 1);
	assert_int_equal(ebb_word_gen(word_of(w, DST)), 0);
	/* the others go on, and nothing is held against them */
	assert_int_equal(w->view.memories[DST].window_failed, 0);
	assert_int_equal(w->view.memories[DST].window_ok, 1);
	for (int i = 0; i < 20; i++) {
		succeed(w, B);
		pass(w, S / 10);
	}
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(w->view.memories[GATE_OF(A)].count, 1);
}

static void one_whose_share_of_failures_is_too_large_is_put_apart(void **state)
{
	struct world *w = *state;

	w->config.min_calls = 10;
	w->config.consecutive_failures = 0;
	start_ticker(w, false);
	tick(w);
	for (int i = 0; i < 5; i++) {
		succeed(w, i < 4 ? A : B);
		fails(w, A, 1);
	}
	assert_apart(w, A, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w->moves[0].transition.ok + w->moves[0].transition.failed, 10);
	assert_int_equal(w->view.memories[DST].window_failed, 0);
}

static void one_that_is_slow_is_put_apart(void **state)
{
	struct world *w = *state;

	w->config.slow_call_ns = S;
	w->config.slow_rate = 0.5;
	w->config.min_calls = 10;
	start_ticker(w, false);
	tick(w);
	for (int i = 0; i < 5; i++) {
		(void)result(w, A, true, true);
		succeed(w, B);
	}
	tick(w);
	assert_apart(w, A, EBB_REASON_SLOW_RATE);
	assert_int_equal(w->view.memories[DST].window_slow, 0);
	assert_int_equal(w->view.memories[DST].window_ok, 10);
}

static void two_that_fail_open_the_gate_for_all(void **state)
{
	struct world *w = *state;

	succeed(w, C);
	fails(w, A, 4);
	fails(w, B, 1);
	assert_open_for_all(w);
	/* by the kernel itself, at that very failure */
	assert_int_equal(ebb_word_state(w->view.gates[DST].pull), EBB_STATE_OPEN);
}

static void one_that_fails_opens_the_gate_when_nobody_else_is_served(void **state)
{
	struct world *w = *state;

	succeed(w, A);
	fails(w, A, 5);
	assert_open_for_all(w);
	assert_int_equal(ebb_word_state(w->view.gates[DST].pull), EBB_STATE_OPEN);
}

static void success_that_is_older_than_the_window_speaks_for_nobody(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	pass(w, 0);
	pass(w, w->config.window_ns);
	fails(w, A, 5);
	assert_open_for_all(w);
	/* the kernel did not know how old it was: the agent did it */
	assert_int_equal(w->view.gates[DST].pull, 0);
}

static void failure_that_is_older_than_the_window_speaks_against_nobody(void **state)
{
	struct world *w = *state;

	fails(w, B, 1);
	pass(w, w->config.window_ns);
	succeed(w, C);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
}

static void each_that_fails_on_its_own_is_put_apart_by_itself(void **state)
{
	struct world *w = *state;

	succeed(w, C);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
	fails(w, B, 5);
	assert_apart(w, B, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w->view.pairs[A].gate, GATE_OF(A));
	assert_int_equal(w->view.pairs[C].gate, DST);
}

/* It came after the last tick, and the kernel names it in the gate. */
static void one_that_came_since_the_last_tick_is_known(void **state)
{
	struct world *w = *state;

	w->view.pairs[7] = (struct ebb_pair){.workload = 99, .dst = DST, .gate = DST, .state = EBB_SLOT_LIVE};
	w->view.kernel->pair_high = 7;
	succeed(w, 7);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
}

static void the_last_calls_are_a_window_too(void **state)
{
	struct world *w = *state;

	w->config.window_calls = 10;
	w->config.min_calls = 10;
	w->config.consecutive_failures = 0;
	start_ticker(w, false);
	tick(w);
	for (int i = 0; i < 5; i++) {
		succeed(w, B);
		fails(w, A, 1);
	}
	assert_apart(w, A, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w->view.memories[DST].window_failed, 0);
	assert_int_equal(w->view.memories[DST].window_ok > 0, 1);
}

/* --------------------------------------------------------- what is excused -- */

static void run_that_is_excused_opens_nothing_until_a_success_ends_it(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	assert_int_equal(ebb_run_failures(w->view.gates[DST].run, 0), 5);
	/* the kernel's run goes on from there: it is not armed */
	assert_int_equal(ebb_arm_failures(w->view.verdicts[DST].arm), 0);
	fails(w, B, 1);
	assert_int_equal(ebb_run_failures(w->view.gates[DST].run, 0), 6);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	succeed(w, C);
	tick(w);
	assert_int_equal(ebb_arm_failures(w->view.verdicts[DST].arm), 5);
	/* and failures of two behind the excused ones open as ever */
	fails(w, B, 4);
	fails(w, C, 1);
	assert_int_equal(state_of(w, DST), EBB_STATE_OPEN);
}

static void failures_behind_an_excused_run_count_from_one(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	fails(w, B, 2);
	fails(w, C, 2);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	fails(w, C, 1);
	assert_int_equal(state_of(w, DST), EBB_STATE_OPEN);
	assert_int_equal(w->moves[w->move_count - 1].transition.run, 5);
}

/* ------------------------------------------------------------------ arming -- */

static void kernel_is_armed_for_mixed_runs_only_while_several_are_served(void **state)
{
	struct world *w = *state;

	assert_false(w->view.verdicts[DST].arm & EBB_ARM_MIXED);
	succeed(w, A);
	tick(w);
	assert_false(w->view.verdicts[DST].arm & EBB_ARM_MIXED);
	succeed(w, B);
	tick(w);
	assert_true(w->view.verdicts[DST].arm & EBB_ARM_MIXED);
	/* the last success was its own, but that of the other is young */
	succeed(w, A);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
	pass(w, w->config.window_ns);
	assert_false(w->view.verdicts[DST].arm & EBB_ARM_MIXED);
}

/* The agent looks late: when the clock moves, and never for a hint. */
static void kernel_never_pulls_where_it_could_be_one_workload(void **state)
{
	static const uint64_t steps[] = {0, S / 10, S, 3 * S, 11 * S};
	struct world *w = *state;
	uint64_t served[C + 1] = {0};
	uint32_t random = 1, pair = A, mixed = 0, alone = 0;

	for (int i = 0; i < 100000; i++) {
		uint32_t gen = ebb_word_gen(word_of(w, DST)), whose;
		bool ok;

		random = random * 1664525 + 1013904223;
		if ((random >> 20) % 8 == 0)
			pair = A + (random >> 28) % 3;
		ok = (random >> 8) % 8 == 0;
		if (state_of(w, DST) != EBB_STATE_CLOSED || w->view.pairs[pair].gate != DST ||
		    (random >> 12) % 16 == 0) {
			pass(w, steps[(random >> 16) % 5]);
			w->move_count = 0;
			w->view.pairs[pair].gate = DST;
			w->view.gates[DST].probe_result = ebb_probe_result_word(gen, 2, 0);
			continue;
		}
		if (ok)
			served[pair] = w->now;
		if (!(ebb_gate_result(&w->view.gates[DST], &w->view.verdicts[DST], &w->view.policies[DST],
				      &w->view.pairs[pair], pair, w->now, gen, ok, 0) &
		      EBB_RESULT_PULLED))
			continue;
		whose = ebb_run_whose(w->view.gates[DST].run, gen);
		for (uint32_t p = A; p <= C; p++)
			assert_false(whose != EBB_RUN_MIXED && p != pair && served[p] &&
				     w->now - served[p] < w->config.window_ns);
		mixed += whose == EBB_RUN_MIXED;
		alone += whose != EBB_RUN_MIXED;
	}
	assert_true(mixed > 50);
	assert_true(alone > 50);
}

/* ------------------------------------------------------------- and together -- */

static void heal(struct world *w, uint32_t pair)
{
	uint32_t gate = GATE_OF(pair);

	w->now = ebb_ticks_to_ns(ebb_word_until(word_of(w, gate)));
	tick(w);
	assert_int_equal(state_of(w, gate), EBB_STATE_HALF_OPEN);
	for (int i = 0; i < 2; i++) {
		struct ebb_answer probe;

		ebb_gate_ask_as(&w->view.gates[DST], &w->view.gates[gate], &w->view.verdicts[gate],
				&w->view.policies[DST], w->view.agent, w->now, EBB_ASKER_TCP, &probe);
		assert_int_equal(probe.kind, EBB_ANSWER_PROBE);
		(void)ebb_probe_finish(&w->view.gates[gate], probe.probe_index, probe.probe_word, w->now,
				       EBB_PROBE_OK);
	}
	tick(w);
	assert_int_equal(state_of(w, gate), EBB_STATE_CLOSED);
}

static void who_is_served_for_a_full_window_is_with_the_others_again(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	heal(w, A);
	for (uint64_t ns = S; ns < w->config.window_ns; ns += S) {
		pass(w, S);
		succeed(w, A);
		assert_int_equal(w->view.pairs[A].gate, GATE_OF(A));
	}
	pass(w, S);
	assert_int_equal(w->view.pairs[A].gate, DST);
	assert_int_equal(w->view.memories[GATE_OF(A)].trips, 0);
	/* and counts with them */
	succeed(w, C);
	fails(w, A, 5);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(ebb_word_gen(word_of(w, GATE_OF(A))), 4);
	assert_int_equal(w->view.memories[GATE_OF(A)].trips, 1);
}

static void who_is_silent_stays_apart(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	heal(w, A);
	for (int i = 0; i < 5; i++)
		pass(w, w->config.window_ns);
	assert_int_equal(w->view.pairs[A].gate, GATE_OF(A));
}

static void who_fails_again_opens_alone(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	heal(w, A);
	fails(w, A, 5);
	assert_int_equal(state_of(w, GATE_OF(A)), EBB_STATE_OPEN);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(w->view.memories[GATE_OF(A)].trips, 2);
}

static void results_of_one_that_is_apart_are_not_the_gates(void **state)
{
	struct world *w = *state;

	succeed(w, B);
	fails(w, A, 5);
	heal(w, A);
	/* B alone: what A does says nothing of it */
	pass(w, w->config.window_ns);
	succeed(w, A);
	fails(w, B, 5);
	assert_int_equal(state_of(w, DST), EBB_STATE_OPEN);
}

/* --------------------------------------------------------------- a restart -- */

static void who_is_apart_stays_so_after_a_restart(void **state)
{
	struct world *w = *state;
	uint64_t word;

	succeed(w, B);
	fails(w, A, 5);
	word = word_of(w, GATE_OF(A));
	w->now += S;
	w->view.agent->started_ns = w->now;
	start_ticker(w, true);
	w->move_count = 0;
	tick(w);
	assert_int_equal(w->move_count, 0);
	assert_int_equal(w->view.pairs[A].gate, GATE_OF(A));
	assert_true(word_of(w, GATE_OF(A)) == word);
	/* nor is the run that was excused held against anybody */
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(ebb_arm_failures(w->view.verdicts[DST].arm), 0);
}

static void run_that_went_on_without_an_agent_is_still_one_workloads(void **state)
{
	struct world *w = *state;
	uint32_t did = 0;

	succeed(w, B);
	succeed(w, C);
	tick(w);
	/* nobody looks */
	for (int i = 0; i < 8; i++)
		did |= ebb_gate_result(&w->view.gates[DST], &w->view.verdicts[DST], &w->view.policies[DST],
				       &w->view.pairs[A], A, w->now, 0, 0, 0);
	assert_int_equal(did, EBB_RESULT_COUNTED);
	w->now += S;
	w->view.agent->started_ns = w->now;
	start_ticker(w, true);
	tick(w);
	assert_apart(w, A, EBB_REASON_CONSECUTIVE_FAILURES);
}

/* Of a run that more than one had a part in, only that is known: no single one is to blame. */
static void run_of_several_is_nobodys_after_a_restart(void **state)
{
	const struct ebb_verdict verdict = {.word = ebb_word(4, EBB_STATE_CLOSED, 0)};
	struct ebb_gate gate = {.run = ebb_run_word(4, A + 1, 3)};
	struct ebb_users users;

	(void)state;
	ebb_users_restore(&users, &verdict, &gate, 100 * S);
	ebb_users_note(&users.ok, B, 100 * S);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_CONSECUTIVE_FAILURES, 10 * S, 101 * S), A);
	gate.run = ebb_run_word(4, EBB_RUN_MIXED, 3);
	ebb_users_restore(&users, &verdict, &gate, 100 * S);
	ebb_users_note(&users.ok, B, 100 * S);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_CONSECUTIVE_FAILURES, 10 * S, 101 * S),
			 EBB_SLOT_OTHER);
}

static void one_killed_between_mark_and_verdict_leaves_a_closed_gate(void **state)
{
	struct world *w = *state;

	w->view.pairs[A].gate = GATE_OF(A);
	w->view.agent->started_ns = w->now;
	start_ticker(w, true);
	tick(w);
	assert_int_equal(state_of(w, GATE_OF(A)), EBB_STATE_CLOSED);
	fails(w, A, 5);
	assert_int_equal(state_of(w, GATE_OF(A)), EBB_STATE_OPEN);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
}

/* ------------------------------------------------------------------- users -- */

static void nobody_is_guilty_of_nothing(void **state)
{
	struct ebb_users users = {0};

	(void)state;
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, S, 5 * S), EBB_SLOT_OTHER);
	assert_false(ebb_users_several(&users, S, 5 * S));
	ebb_users_forget(&users, A);
	ebb_users_note(&users.ok, B, 5 * S);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, S, 5 * S), EBB_SLOT_OTHER);
}

static void who_came_before_is_remembered_through_repetitions(void **state)
{
	struct ebb_users users = {0};

	(void)state;
	ebb_users_note(&users.failed, A, 1 * S);
	ebb_users_note(&users.failed, B, 2 * S);
	ebb_users_note(&users.failed, B, 3 * S);
	ebb_users_note(&users.failed, A, 4 * S);
	ebb_users_note(&users.failed, A, 5 * S);
	ebb_users_note(&users.ok, C, 5 * S);
	assert_int_equal(users.failed.other.pair, B);
	assert_true(users.failed.other.at_ns == 3 * S);
	/* to the nanosecond: one that is as old as the window is not within it */
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, 2 * S + 1, 5 * S),
			 EBB_SLOT_OTHER);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, 2 * S, 5 * S), A);
}

static void own_success_is_no_excuse(void **state)
{
	struct ebb_users users = {0};

	(void)state;
	ebb_users_note(&users.ok, A, 5 * S);
	ebb_users_note(&users.failed, A, 5 * S);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, S, 5 * S), EBB_SLOT_OTHER);
	ebb_users_note(&users.ok, B, 5 * S);
	ebb_users_note(&users.ok, A, 5 * S);
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_FAILURE_RATE, S, 5 * S), A);
	/* slow is another question */
	assert_int_equal(ebb_users_culprit(&users, EBB_REASON_SLOW_RATE, S, 5 * S), EBB_SLOT_OTHER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_that_fails_in_a_row_is_put_apart_while_another_is_served),
		TEST(one_whose_share_of_failures_is_too_large_is_put_apart),
		TEST(one_that_is_slow_is_put_apart),
		TEST(two_that_fail_open_the_gate_for_all),
		TEST(one_that_fails_opens_the_gate_when_nobody_else_is_served),
		TEST(success_that_is_older_than_the_window_speaks_for_nobody),
		TEST(failure_that_is_older_than_the_window_speaks_against_nobody),
		TEST(each_that_fails_on_its_own_is_put_apart_by_itself),
		TEST(one_that_came_since_the_last_tick_is_known),
		TEST(the_last_calls_are_a_window_too),
		TEST(run_that_is_excused_opens_nothing_until_a_success_ends_it),
		TEST(failures_behind_an_excused_run_count_from_one),
		TEST(kernel_is_armed_for_mixed_runs_only_while_several_are_served),
		TEST(kernel_never_pulls_where_it_could_be_one_workload),
		TEST(who_is_served_for_a_full_window_is_with_the_others_again),
		TEST(who_is_silent_stays_apart),
		TEST(who_fails_again_opens_alone),
		TEST(results_of_one_that_is_apart_are_not_the_gates),
		TEST(who_is_apart_stays_so_after_a_restart),
		TEST(run_that_went_on_without_an_agent_is_still_one_workloads),
		cmocka_unit_test(run_of_several_is_nobodys_after_a_restart),
		TEST(one_killed_between_mark_and_verdict_leaves_a_closed_gate),
		cmocka_unit_test(nobody_is_guilty_of_nothing),
		cmocka_unit_test(who_came_before_is_remembered_through_repetitions),
		cmocka_unit_test(own_success_is_no_excuse),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Situations in which breakers are known to go wrong, each by its name. The machine as it is in the
 * agent (tick.c) and in the kernel (gate.h), with a clock that the test turns. Those that need real
 * sockets are in tests/bpf/test_sticky.c; docs/state-machine.md lists where each one is tried.
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
#include "tests/lib/fake_view.h"

#define MS	  1000000ULL
#define S	  1000000000ULL
#define MINUTE	  (60 * S)
#define HOUR	  (60 * MINUTE)
#define DSTS	  4
#define PAIRS	  4
#define DST	  1
#define OTHER_DST 2
#define PAIR	  1

struct world {
	struct ebb_view view;
	struct ebb_breaker_config config;
	struct ebb_ticker *ticker;
	struct ebb_moves listeners;
	uint32_t moved[EBB_REASON_MAX];
	uint32_t passed; /* of those that asked another destination in the middle of a tick */
	uint64_t now;
};

static uint64_t word_of(const struct world *w)
{
	return ebb_gate_word(&w->view.gates[DST], &w->view.verdicts[DST]);
}

static uint32_t state_of(const struct world *w)
{
	return ebb_word_state(word_of(w));
}

static struct ebb_answer ask(struct world *w, uint32_t dst)
{
	struct ebb_answer answer;

	ebb_gate_ask(&w->view.gates[dst], &w->view.verdicts[dst], &w->view.policies[dst], w->view.agent,
		     w->now, &answer);
	return answer;
}

static void on_move(void *userdata, const struct ebb_move *move)
{
	struct world *w = userdata;

	w->moved[move->transition.reason]++;
	w->passed += ask(w, OTHER_DST).kind == EBB_ANSWER_PASS;
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(DSTS, PAIRS);
	w->now = 1000 * S;
	ebb_policy_defaults(&w->config);
	w->config.open_jitter = 0;
	for (uint32_t d = 0; d < DSTS; d++)
		ebb_policy_to_kernel(&w->config, &w->view.policies[d]);
	w->view.agent->lease_ns = 30 * S;
	w->view.agent->heartbeat_ns = w->now;
	w->view.dsts[DST].state = EBB_SLOT_LIVE;
	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.pairs[PAIR] =
		(struct ebb_pair){.workload = 77, .dst = DST, .gate = DST, .state = EBB_SLOT_LIVE};
	w->view.kernel->dst_high = DST;
	w->view.kernel->pair_high = PAIR;
	assert_int_equal(ebb_ticker_new(&w->view, &w->config, 42, false, &w->listeners, &w->ticker), 0);
	assert_int_equal(ebb_moves_listen(&w->listeners, "test", on_move, w), 0);
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

static void tick(struct world *w)
{
	struct ebb_tick_result result;

	ebb_tick(w->ticker, w->now, &result);
	w->view.agent->heartbeat_ns = w->now;
}

/* A connect() that has its result at once. */
static struct ebb_answer call(struct world *w, int ok)
{
	struct ebb_gate *gate = &w->view.gates[DST];
	struct ebb_answer answer = ask(w, DST);

	if (answer.kind == EBB_ANSWER_PROBE)
		(void)ebb_probe_finish(gate, answer.probe_index, answer.probe_word, w->now,
				       ok ? EBB_PROBE_OK : EBB_PROBE_FAILED);
	else if (answer.kind == EBB_ANSWER_PASS && !answer.mute)
		(void)ebb_gate_result(gate, &w->view.verdicts[DST], &w->view.policies[DST],
				      &w->view.pairs[PAIR], PAIR, w->now, answer.gen, ok, 0);
	return answer;
}

/* Ticks each second, as an idle agent does, until @end_ns. */
static void idle_until(struct world *w, uint64_t end_ns)
{
	while (w->now + S <= end_ns) {
		w->now += S;
		tick(w);
	}
	w->now = end_ns;
	tick(w);
}

static void open_it(struct world *w)
{
	tick(w);
	for (int i = 0; i < 5; i++)
		(void)call(w, 0);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_OPEN);
}

/* No window ever holds two results of it; the run of failures has no window. */
static void a_destination_with_one_call_an_hour(void **state)
{
	struct world *w = *state;

	tick(w);
	for (int hour = 1; hour <= 4; hour++) {
		idle_until(w, w->now + HOUR);
		(void)call(w, 0);
		tick(w);
		assert_int_equal(state_of(w), EBB_STATE_CLOSED);
	}
	idle_until(w, w->now + HOUR);
	(void)call(w, 0);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_OPEN);
	/* the next call is a probe, and so is the one after: nothing waits for three at once */
	idle_until(w, w->now + HOUR);
	assert_int_equal(state_of(w), EBB_STATE_HALF_OPEN);
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PROBE);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_HALF_OPEN);
	idle_until(w, w->now + HOUR);
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PROBE);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_CLOSED);
	/* silence healed nothing: another trip in a row lasts longer */
	idle_until(w, w->now + HOUR);
	open_it(w);
	assert_int_equal(ebb_word_until(word_of(w)), ebb_ns_to_ticks(w->now) + ebb_ns_to_ticks(10 * S));
}

/* A look finds 5,000 results at once; the rate is exact, and one in a hundred that fails trips nothing. */
static void a_destination_with_50000_calls_a_second(void **state)
{
	struct world *w = *state;
	uint64_t calls = 0;

	tick(w);
	for (int look = 0; look < 200; look++) {
		for (int i = 0; i < 5000; i++) {
			w->now += 20000;
			calls++;
			(void)call(w, calls % 100 != 0);
		}
		tick(w);
		assert_int_equal(state_of(w), EBB_STATE_CLOSED);
	}
	assert_in_range(w->view.memories[DST].window_ok + w->view.memories[DST].window_failed, 445000,
			500000);
	assert_int_equal(w->view.memories[DST].window_ratio_ppm, 10000);
	/* and then every other one: half of what is left of the window, after a window at the latest */
	for (int look = 0; look < 100 && state_of(w) == EBB_STATE_CLOSED; look++) {
		for (int i = 0; i < 5000; i++) {
			w->now += 20000;
			(void)call(w, i % 2);
		}
		tick(w);
	}
	assert_int_equal(state_of(w), EBB_STATE_OPEN);
	assert_int_equal(w->moved[EBB_REASON_FAILURE_RATE], 1);
}

/* The kernel went on without it; what it comes back with is old, and revives nothing. */
static void an_agent_that_was_stopped_for_an_hour(void **state)
{
	struct world *w = *state;
	uint32_t gen;

	open_it(w);
	gen = ebb_word_gen(word_of(w));
	/* stopped: no tick, no heartbeat. The end of open is the kernel's, and so is the end of half-open */
	w->now += 6 * S;
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PROBE);
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PROBE);
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PASS);
	assert_int_equal(state_of(w), EBB_STATE_CLOSED);
	assert_int_equal(ebb_word_gen(word_of(w)), gen + 2);
	/* and a new outage opens it at once, without anybody */
	w->now += 30 * MINUTE;
	for (int i = 0; i < 5; i++)
		(void)call(w, 0);
	assert_int_equal(state_of(w), EBB_STATE_OPEN);
	/* which, the lease being over, refuses nobody */
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PASS);
	w->now += 30 * MINUTE;
	(void)call(w, 1);
	/* it wakes: takes over what is, tells how it came about, and only then says that it lives */
	memset(w->moved, 0, sizeof(w->moved));
	tick(w);
	assert_int_equal(w->moved[EBB_REASON_OPEN_EXPIRED] + w->moved[EBB_REASON_PROBES_SUCCEEDED] +
				 w->moved[EBB_REASON_CONSECUTIVE_FAILURES],
			 4);
	assert_int_equal(ebb_word_gen(w->view.verdicts[DST].word), ebb_word_gen(w->view.gates[DST].pull));
	assert_int_equal(state_of(w), EBB_STATE_HALF_OPEN);
	(void)call(w, 1);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_CLOSED);
}

/*
 * The heartbeat is the last write of a tick, and the agent's alone: while one that was stopped looks again, what it said
 * before still holds for nobody.
 */
static void ruling_13_who_asks_while_an_agent_wakes_meets_nothing_stale(void **state)
{
	struct world *w = *state;

	open_it(w);
	w->view.agent->fuse = EBB_FUSE_SHED;
	assert_int_equal(ask(w, OTHER_DST).cause, EBB_CAUSE_FUSE);
	w->now += HOUR;
	w->passed = 0;
	tick(w);
	assert_int_equal(w->moved[EBB_REASON_OPEN_EXPIRED], 1);
	assert_int_equal(w->passed, 1);
	/* and then it has looked at the fuse, too */
	assert_int_equal(ask(w, OTHER_DST).kind, EBB_ANSWER_PASS);
}

/* What begins before the breaker opens and ends in every later state moves none of them. */
static void results_of_an_older_generation(void **state)
{
	struct world *w = *state;
	struct ebb_gate *gate = &w->view.gates[DST];
	uint32_t gen;

	tick(w);
	gen = ebb_word_gen(word_of(w));
	open_it(w);
	for (int stage = 0; stage < 3; stage++) {
		uint64_t word = word_of(w);

		for (int i = 0; i < 1000; i++)
			assert_int_equal(ebb_gate_result(gate, &w->view.verdicts[DST], &w->view.policies[DST],
							 &w->view.pairs[PAIR], PAIR, w->now, gen, i % 2, 1),
					 0);
		tick(w);
		assert_int_equal(word_of(w), word);
		/* open, half-open, closed */
		if (stage == 0)
			idle_until(w, w->now + 6 * S);
		else
			for (int i = 0; i < 2; i++)
				(void)call(w, 1);
		tick(w);
	}
	assert_int_equal(state_of(w), EBB_STATE_CLOSED);
}

/* A probe that another limit makes useless is no probe: its slot is free, and nothing is counted. */
static void a_probe_admitted_and_then_blocked_by_another_limit(void **state)
{
	struct world *w = *state;
	struct ebb_gate *gate = &w->view.gates[DST];
	struct ebb_answer answer;

	open_it(w);
	idle_until(w, w->now + 6 * S);
	w->view.policies[DST].limits.concurrent = 1;
	w->view.policies[DST].asks = EBB_ASK_CONNECT;
	gate->in_use = 1;
	for (int i = 0; i < 20; i++) {
		answer = call(w, 1);
		assert_int_equal(answer.kind, EBB_ANSWER_DENY);
		assert_int_equal(answer.cause, EBB_CAUSE_CONCURRENCY);
	}
	for (int i = 0; i < EBB_PROBES_MAX; i++)
		assert_int_equal(gate->probes[i], 0);
	tick(w);
	assert_int_equal(state_of(w), EBB_STATE_HALF_OPEN);
	gate->in_use = 0;
	assert_int_equal(call(w, 1).kind, EBB_ANSWER_PROBE);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(a_destination_with_one_call_an_hour),
		WITH_WORLD(a_destination_with_50000_calls_a_second),
		WITH_WORLD(an_agent_that_was_stopped_for_an_hour),
		WITH_WORLD(ruling_13_who_asks_while_an_agent_wakes_meets_nothing_stale),
		WITH_WORLD(results_of_an_older_generation),
		WITH_WORLD(a_probe_admitted_and_then_blocked_by_another_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker: every transition at its threshold and one short of it, what the
 * kernel does by itself, restarts, and properties under random traffic. The
 * kernel is a small model of what bpf/ does with a gate; the clock is a number.
 *
 * EBB_SOURCE_DIR (default ".") is where docs/state-machine.md is found.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/breaker.h"
#include "core/verdict.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MS		1000000ULL
#define SECOND		1000000000ULL

/* --------------------------------------------- a gate, its kernel, its agent -- */

struct world {
	struct ebb_breaker_config config;
	uint64_t now_ns;
	/* the kernel's side */
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	bool lonely; /* the lease is over: the kernel closes and reopens by itself */
	/* the agent's side */
	struct ebb_breaker b;
	struct ebb_memory memory;
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];
	size_t count;
};

static uint64_t in_force(const struct world *w)
{
	return ebb_word_in_force(w->verdict.word, w->gate.pull);
}

static void pull(struct world *w, uint32_t state, uint64_t until_ticks)
{
	w->gate.pull = ebb_word(ebb_gen_next(ebb_word_gen(in_force(w))), state, until_ticks);
}

static void pull_open(struct world *w)
{
	pull(w, EBB_STATE_OPEN, ebb_ns_to_ticks(w->now_ns) + ebb_arm_open_ticks(w->verdict.arm));
}

/* A result of the closed state. */
static void kernel_result(struct world *w, bool failed, bool slow)
{
	uint32_t gen = ebb_word_gen(in_force(w)), run;

	if (ebb_word_state(in_force(w)) != EBB_STATE_CLOSED)
		return;
	w->gate.slow += slow;
	if (!failed) {
		w->gate.ok++;
		w->gate.run = 0;
		return;
	}
	run = ebb_run_failures(w->gate.run, gen) + 1;
	w->gate.failed++;
	w->gate.run = ebb_run_word(gen, 1, run);
	w->gate.last_failure_ns = w->now_ns;
	if (ebb_arm_failures(w->verdict.arm) > 0 && run >= ebb_arm_failures(w->verdict.arm))
		pull_open(w);
}

/* The kernel's rule without an agent. */
static void kernel_judge_probes(struct world *w)
{
	uint32_t gen = ebb_word_gen(in_force(w));

	if (!w->lonely)
		return;
	if (ebb_probe_succeeded(w->gate.probe_result, gen) >= w->config.close_after)
		pull(w, EBB_STATE_CLOSED, 0);
	else if (ebb_probe_failed(w->gate.probe_result, gen) >= w->config.reopen_after)
		pull_open(w);
}

static void kernel_count_probe(struct world *w, bool failed)
{
	uint32_t gen = ebb_word_gen(in_force(w));

	w->gate.probe_result =
		ebb_probe_result_word(gen, ebb_probe_succeeded(w->gate.probe_result, gen) + !failed,
				      ebb_probe_failed(w->gate.probe_result, gen) + failed);
	if (failed)
		w->gate.last_failure_ns = w->now_ns;
	kernel_judge_probes(w);
}

/* A connect(); the probe slot that it took, or -1. */
static int kernel_connect(struct world *w)
{
	if (ebb_word_state(in_force(w)) == EBB_STATE_OPEN &&
	    w->now_ns >= ebb_ticks_to_ns(ebb_word_until(in_force(w))))
		pull(w, EBB_STATE_HALF_OPEN, 0);
	for (uint32_t i = 0; i < w->config.probes; i++) {
		__u64 *slot = &w->gate.probes[i];
		uint32_t gen = ebb_word_gen(in_force(w));

		if (ebb_word_state(in_force(w)) != EBB_STATE_HALF_OPEN)
			return -1;
		if (*slot != 0 && ebb_probe_slot_gen(*slot) == gen) {
			if (ebb_ticks_to_ns(ebb_probe_slot_deadline(*slot)) > w->now_ns)
				continue;
			kernel_count_probe(w, true);
		}
		*slot = ebb_probe_slot_word(gen, ebb_ns_to_ticks(w->now_ns + w->config.probe_lease_ns));
		return (int)i;
	}
	return -1;
}

/* The probe in @slot has its result; @taken is what its slot held when it was given. */
static void kernel_probe_result(struct world *w, int slot, uint64_t taken, bool failed)
{
	if (slot < 0 || w->gate.probes[slot] != taken)
		return;
	w->gate.probes[slot] = 0;
	if (ebb_probe_slot_gen(taken) == ebb_word_gen(in_force(w)) &&
	    ebb_word_state(in_force(w)) == EBB_STATE_HALF_OPEN)
		kernel_count_probe(w, failed);
}

static void store_verdict(struct world *w)
{
	ebb_breaker_verdict(&w->b, &w->config, &w->verdict);
}

/* One tick of the agent. */
static size_t look(struct world *w)
{
	w->count = ebb_breaker_look(&w->b, &w->config, &w->gate, w->now_ns, w->moves);
	for (size_t i = 0; i < w->count; i++)
		ebb_breaker_remember(&w->b, &w->config, &w->moves[i], &w->memory);
	ebb_breaker_remember(&w->b, &w->config, NULL, &w->memory);
	store_verdict(w);
	return w->count;
}

static void restart_agent(struct world *w)
{
	memset(&w->b, 0xa5, sizeof(w->b));
	ebb_breaker_restore(&w->b, 1, &w->verdict, &w->memory, &w->gate);
}

static void start(struct world *w)
{
	memset(w, 0, sizeof(*w));
	ebb_policy_defaults(&w->config);
	w->config.open_jitter = 0;
	w->now_ns = 1000 * SECOND;
	ebb_breaker_init(&w->b, 1, &w->gate);
	store_verdict(w);
}

static void start_with(struct world *w, const char *settings)
{
	struct ebb_why why;

	start(w);
	assert_int_equal(ebb_policy_parse(settings, &w->config, &why), 0);
	store_verdict(w);
}

static uint32_t state_of(const struct world *w)
{
	return ebb_word_state(w->b.word);
}

static uint32_t gen_of(const struct world *w)
{
	return ebb_word_gen(w->b.word);
}

static void results(struct world *w, uint32_t ok, uint32_t failed, uint32_t slow)
{
	w->gate.ok += ok;
	w->gate.failed += failed;
	w->gate.slow += slow;
	if (failed > 0)
		w->gate.last_failure_ns = w->now_ns;
}

/* From a new world into @state at its next generation, with nothing counted in it yet. */
static void start_in(struct world *w, uint32_t state)
{
	start(w);
	if (state == EBB_STATE_CLOSED)
		return;
	results(w, 0, w->config.min_calls, 0);
	assert_int_equal(look(w), 1);
	if (state == EBB_STATE_OPEN)
		return;
	w->now_ns = ebb_ticks_to_ns(ebb_word_until(w->b.word));
	assert_int_equal(look(w), 1);
	assert_int_equal(state_of(w), EBB_STATE_HALF_OPEN);
}

static void assert_moved(const struct world *w, uint32_t reason)
{
	assert_int_equal(w->count, 1);
	assert_string_equal(ebb_reason_name(w->moves[0].reason), ebb_reason_name(reason));
	assert_int_equal(state_of(w), ebb_reason_to(reason));
	assert_int_equal(w->moves[0].gen, gen_of(w));
	assert_int_equal(w->moves[0].at_ns, w->b.since_ns);
	assert_int_equal(w->moves[0].until_ns, ebb_ticks_to_ns(ebb_word_until(w->b.word)));
}

/* ------------------------------------------------------------------ closed -- */

static void a_new_gate_is_closed_and_stays_so_without_facts(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	for (int i = 0; i < 100; i++, w.now_ns += SECOND)
		assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.word, ebb_word(0, EBB_STATE_CLOSED, 0));
	assert_int_equal(w.b.since_ns, 0);
	assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate), UINT64_MAX);
}

static void closed_trips_at_its_thresholds_and_not_before(void **state)
{
	enum {
		NONE = EBB_REASON_MAX,
		RUN = EBB_REASON_CONSECUTIVE_FAILURES,
		RATE = EBB_REASON_FAILURE_RATE,
		SLOW = EBB_REASON_SLOW_RATE
	};
	static const struct {
		const char *settings;
		uint32_t ok, failed, slow, run;
		uint32_t reason;
	} cases[] = {
		/* run of failures: needs no min_calls, goes first, 0 is off */
		{"min_calls=100", 0, 4, 0, 4, NONE},
		{"min_calls=100", 0, 5, 0, 5, RUN},
		{"min_calls=100", 0, 9, 0, 9, RUN},
		{"consecutive_failures=1,min_calls=100", 0, 1, 0, 1, RUN},
		{"consecutive_failures=0,min_calls=100", 0, 99, 0, 99, NONE},
		{"consecutive_failures=0,min_calls=99", 0, 99, 0, 99, RATE},
		{"min_calls=5", 0, 5, 0, 5, RUN},
		{"slow_call=1s,slow_rate=0.5", 0, 5, 5, 5, RUN},
		/* failure rate: at least min_calls, >= */
		{"min_calls=5", 0, 4, 0, 4, NONE},
		{"min_calls=5", 1, 4, 0, 4, RATE},
		{"min_calls=5", 1, 3, 0, 3, NONE},
		{"min_calls=10", 5, 5, 0, 1, RATE},
		{"min_calls=10", 6, 5, 0, 1, NONE},
		{"failure_rate=1", 0, 5, 0, 4, RATE},
		{"failure_rate=1", 1, 1000, 0, 4, NONE},
		{"failure_rate=0.07", 93, 7, 0, 1, RATE},
		{"failure_rate=0.07", 94, 7, 0, 1, NONE},
		{"failure_rate=7%", 930, 70, 0, 1, RATE},
		{"failure_rate=0.29", 71, 29, 0, 1, RATE},
		{"failure_rate=0.1", 9, 1, 0, 1, RATE},
		{"failure_rate=0.0001", 100, 0, 0, 0, NONE},
		{"failure_rate=0.5", UINT32_MAX, UINT32_MAX, 0, 1, RATE},
		{"failure_rate=0.5", UINT32_MAX, 1000, 0, 1, NONE},
		/* slow rate: only with slow_call, of all results, after the failure rate */
		{"slow_call=1s", 5, 0, 5, 0, SLOW},
		{"slow_call=1s", 5, 0, 4, 0, NONE},
		{"slow_call=1s", 4, 0, 4, 0, NONE},
		{"slow_call=off", 5, 0, 5, 0, NONE},
		{"slow_call=1s,slow_rate=0.5", 8, 2, 5, 1, SLOW},
		{"slow_call=1s,slow_rate=0.5", 8, 2, 4, 1, NONE},
		{"slow_call=1s,slow_rate=0.5", 5, 5, 10, 1, RATE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ebb_why why;
		struct world w;

		start(&w);
		assert_int_equal(ebb_policy_parse(cases[i].settings, &w.config, &why), 0);
		results(&w, cases[i].ok, cases[i].failed, cases[i].slow);
		w.gate.run = ebb_run_word(gen_of(&w), 1, cases[i].run);
		look(&w);
		if (cases[i].reason == NONE) {
			if (w.count != 0)
				fail_msg("%s: case %zu moved: %s", cases[i].settings, i,
					 ebb_reason_name(w.moves[0].reason));
			assert_int_equal(w.b.word, 0);
			continue;
		}
		if (w.count != 1 || w.moves[0].reason != cases[i].reason)
			fail_msg("%s: case %zu: %zu moves, %s", cases[i].settings, i, w.count,
				 w.count > 0 ? ebb_reason_name(w.moves[0].reason) : "-");
		assert_moved(&w, cases[i].reason);
		assert_int_equal(w.moves[0].ok, cases[i].ok);
		assert_int_equal(w.moves[0].failed, cases[i].failed);
		assert_int_equal(w.moves[0].slow, cases[i].slow);
		assert_int_equal(w.moves[0].run, cases[i].run);
		assert_int_equal(gen_of(&w), 1);
		assert_int_equal(w.b.trips, 1);
		assert_int_equal(w.b.since_ns, w.now_ns);
		assert_int_equal(ebb_word_until(w.b.word),
				 ebb_ns_to_ticks(w.now_ns) + ebb_ns_to_ticks(5 * SECOND));
	}
}

static void a_run_of_another_generation_is_ignored(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.gate.run = ebb_run_word(gen_of(&w) + 1, 1, 1000);
	assert_int_equal(look(&w), 0);
	w.gate.run = ebb_run_word(EBB_GEN_MASK, 1, 1000);
	assert_int_equal(look(&w), 0);
}

static void failures_leave_the_window_and_are_forgotten(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	results(&w, 0, 4, 0);
	assert_int_equal(look(&w), 0);
	w.now_ns += w.config.window_ns;
	results(&w, 0, 1, 0);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.window.sum.failed, 1);
	w.now_ns += w.config.window_ns - 2 * SECOND;
	results(&w, 0, 4, 0);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w.moves[0].failed, 5);
}

/* The rate goes by weight; how much the window must hold is counted. */
static void with_exponential_weighting_the_younger_results_decide(void **state)
{
	const char *settings = "weighting=exponential,consecutive_failures=0,min_calls=10,failure_rate=0.5";
	struct world w;

	(void)state;
	start_with(&w, settings);
	results(&w, 6, 0, 0);
	assert_int_equal(look(&w), 0);
	w.now_ns += 5 * SECOND;
	/* 3 of 9 results, but weights 3 of 3 + 6 x 0.5: too few to judge */
	results(&w, 0, 3, 0);
	assert_int_equal(look(&w), 0);
	results(&w, 0, 1, 0);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w.moves[0].ok, 6);
	assert_int_equal(w.moves[0].failed, 4);

	start_with(&w, settings);
	results(&w, 0, 4, 0);
	assert_int_equal(look(&w), 0);
	w.now_ns += 5 * SECOND;
	/* 4 x 0.5 of 2 + 6: old failures count for less */
	results(&w, 6, 0, 0);
	assert_int_equal(look(&w), 0);
	assert_float_equal(ebb_breaker_failure_ratio(&w.b, &w.config), 0.25, 1e-9);
	assert_int_equal(w.memory.window_ratio_ppm, 250000);
}

static void a_window_of_calls_judges_the_last_ones(void **state)
{
	struct world w;

	(void)state;
	start_with(&w, "window_calls=10,min_calls=10,consecutive_failures=0,failure_rate=0.5");
	results(&w, 5, 4, 0);
	assert_int_equal(look(&w), 0); /* nine: one too few */
	w.now_ns += 1000 * SECOND;
	assert_int_equal(look(&w), 0);
	results(&w, 1, 0, 0);
	assert_int_equal(look(&w), 0); /* 4 of 10 */
	results(&w, 0, 1, 0);
	assert_int_equal(look(&w), 1); /* a success left: 5 of 10 */
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w.moves[0].ok, 5);
	assert_int_equal(w.moves[0].failed, 5);
}

static void other_settings_take_up_the_window_as_it_is(void **state)
{
	struct world w;

	(void)state;
	start_with(&w, "consecutive_failures=0,failure_rate=0.9");
	results(&w, 4, 6, 0);
	assert_int_equal(look(&w), 0);
	w.config.window_ns = 60 * SECOND;
	w.now_ns += 30 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.window.sum.failed, 6);
	w.config.window_calls = 8;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.window.sum.ok, 2);
	assert_int_equal(w.b.window.sum.failed, 6);
	/* and they hold at once */
	w.config.failure_rate = 0.75;
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
}

static void closing_begins_the_ramp(void **state)
{
	struct world w;
	uint64_t ticks;

	(void)state;
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.config.ramp_ns = 20 * SECOND;
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
	assert_int_equal(look(&w), 1);
	assert_int_equal(w.moves[0].reason, EBB_REASON_PROBES_SUCCEEDED);
	ticks = ebb_ns_to_ticks(w.now_ns) + ebb_ns_to_ticks(20 * SECOND);
	assert_int_equal(ebb_word_until(w.verdict.word), ticks);
	/* it is no end that anybody waits for, and none that is told as one */
	assert_int_equal(w.moves[0].until_ns, 0);
	assert_true(ebb_breaker_deadline(&w.b, &w.gate) == UINT64_MAX);
}

static uint64_t ticks_after(uint64_t at_ns, uint64_t ns)
{
	return ebb_ns_to_ticks(at_ns) + ebb_ns_to_ticks(ns);
}

/* Longer by a reload in its first second: a share of a tenth does not become one of nine tenths. */
static void another_ramp_goes_on_from_the_time_since_closing(void **state)
{
	struct world w;
	uint64_t closed_ns, word;

	(void)state;
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.config.ramp_ns = 10 * SECOND;
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
	assert_int_equal(look(&w), 1);
	closed_ns = w.now_ns;
	w.now_ns += SECOND;
	w.config.ramp_ns = 60 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.verdict.word, ebb_word(3, EBB_STATE_CLOSED, ticks_after(closed_ns, 60 * SECOND)));
	w.config.ramp_ns = 3 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(ebb_word_until(w.verdict.word), ticks_after(closed_ns, 3 * SECOND));
	restart_agent(&w);
	w.config.ramp_ns = 4 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(ebb_word_until(w.verdict.word), ticks_after(closed_ns, 4 * SECOND));
	/* one that is over does not begin again */
	w.now_ns += 4 * SECOND;
	w.config.ramp_ns = 60 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(ebb_word_until(w.verdict.word), ticks_after(closed_ns, 4 * SECOND));
	/* and one that the kernel began is the kernel's */
	word = ebb_word(gen_of(&w) + 3, EBB_STATE_CLOSED, ticks_after(w.now_ns, 60 * SECOND));
	w.gate.pull = word;
	assert_int_equal(look(&w), 3);
	w.config.ramp_ns = 10 * SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.verdict.word, word);
}

static void counters_that_ran_backwards_are_not_results(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	results(&w, 100, 4, 0);
	assert_int_equal(look(&w), 0);
	w.gate.ok = 0;
	w.gate.failed = 1;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.window.sum.failed, 4);
	results(&w, 0, 1, 0);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.window.sum.failed, 5);
}

/* -------------------------------------------------------- open and half-open -- */

static void open_ends_at_its_time_and_not_before(void **state)
{
	struct world w;
	uint64_t until_ns;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	until_ns = ebb_ticks_to_ns(ebb_word_until(w.b.word));
	assert_in_range(until_ns, w.now_ns + 5 * SECOND, w.now_ns + 5 * SECOND + 3 * MS);
	assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate), until_ns);
	w.now_ns = until_ns - 1;
	assert_int_equal(look(&w), 0);
	w.now_ns = until_ns;
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(ebb_word_until(w.b.word), 0);
	assert_int_equal(w.b.trips, 1);
	assert_int_equal(w.b.since_ns, until_ns);
}

static void nothing_is_judged_in_open(void **state)
{
	struct world w;
	uint64_t word;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	word = w.b.word;
	results(&w, 1000, 1000, 1000);
	w.gate.run = ebb_run_word(gen_of(&w), 1, 1000);
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 100, 100);
	w.now_ns += SECOND;
	assert_int_equal(look(&w), 0);
	/* late failures never prolong open */
	assert_int_equal(w.b.word, word);
	assert_int_equal(w.b.window.sum.failed, 0);
}

static void half_open_moves_at_its_thresholds_and_not_before(void **state)
{
	enum {
		NONE = EBB_REASON_MAX,
		CLOSE = EBB_REASON_PROBES_SUCCEEDED,
		REOPEN = EBB_REASON_PROBES_FAILED
	};
	static const struct {
		const char *settings;
		uint32_t succeeded, failed, overdue;
		uint32_t reason;
	} cases[] = {
		{"close_after=2,reopen_after=2", 0, 0, 0, NONE},
		{"close_after=2,reopen_after=2", 1, 1, 0, NONE},
		{"close_after=2,reopen_after=2", 2, 0, 0, CLOSE},
		{"close_after=2,reopen_after=2", 2, 1, 0, CLOSE},
		{"close_after=2,reopen_after=2", 0, 2, 0, REOPEN},
		{"close_after=2,reopen_after=2", 1, 2, 0, REOPEN},
		/* in one look successes come first */
		{"close_after=2,reopen_after=2", 2, 2, 0, CLOSE},
		/* overdue probes have failed */
		{"close_after=2,reopen_after=2", 1, 0, 1, NONE},
		{"close_after=2,reopen_after=2", 1, 1, 1, REOPEN},
		{"close_after=2,reopen_after=2", 0, 0, 2, REOPEN},
		{"close_after=2,reopen_after=2", 2, 0, 2, CLOSE},
		{"close_after=1,reopen_after=1", 1, 0, 0, CLOSE},
		{"close_after=1,reopen_after=1", 0, 1, 0, REOPEN},
		{"close_after=1,reopen_after=1", 0, 0, 1, REOPEN},
		{"probes=8,close_after=1000,reopen_after=1000", 999, 992, 7, NONE},
		{"probes=8,close_after=1000,reopen_after=1000", 1000, 992, 7, CLOSE},
		{"probes=8,close_after=1000,reopen_after=1000", 999, 992, 8, REOPEN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ebb_why why;
		struct world w;
		uint32_t gen;

		start_in(&w, EBB_STATE_HALF_OPEN);
		assert_int_equal(ebb_policy_parse(cases[i].settings, &w.config, &why), 0);
		gen = gen_of(&w);
		w.gate.probe_result = ebb_probe_result_word(gen, cases[i].succeeded, cases[i].failed);
		for (uint32_t j = 0; j < cases[i].overdue; j++)
			w.gate.probes[j] = ebb_probe_slot_word(gen, w.now_ns >> EBB_TICK_SHIFT);
		look(&w);
		if (cases[i].reason == NONE) {
			assert_int_equal(w.count, 0);
			assert_int_equal(gen_of(&w), gen);
			continue;
		}
		assert_moved(&w, cases[i].reason);
		assert_int_equal(gen_of(&w), gen + 1);
		assert_int_equal(w.moves[0].ok, cases[i].succeeded);
		assert_int_equal(w.moves[0].failed, cases[i].failed + cases[i].overdue);
		assert_int_equal(w.moves[0].run, 0);
		if (cases[i].reason == REOPEN) {
			/* the next trip in a row, twice as long */
			assert_int_equal(w.b.trips, 2);
			assert_int_equal(ebb_word_until(w.b.word),
					 ebb_ns_to_ticks(w.now_ns) + ebb_ns_to_ticks(10 * SECOND));
		} else {
			assert_int_equal(w.b.trips, 1);
			assert_int_equal(w.b.calm_from_ns, w.now_ns);
		}
	}
}

static void probes_of_another_generation_are_ignored(void **state)
{
	static const uint32_t distances[] = {1, EBB_GEN_MASK, 2, 1U << 22};
	struct world w;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(distances); i++) {
		uint32_t gen;

		start_in(&w, EBB_STATE_HALF_OPEN);
		gen = (gen_of(&w) + distances[i]) & EBB_GEN_MASK;
		w.gate.probe_result = ebb_probe_result_word(gen, 100, 100);
		for (size_t j = 0; j < EBB_PROBES_MAX; j++)
			w.gate.probes[j] = ebb_probe_slot_word(gen, 1);
		assert_int_equal(look(&w), 0);
		assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate), UINT64_MAX);
	}
}

static void a_probe_fails_when_its_lease_ends_and_only_once(void **state)
{
	struct world w;
	uint64_t taken[2], deadline_ns;

	(void)state;
	start_in(&w, EBB_STATE_HALF_OPEN);
	assert_int_equal(kernel_connect(&w), 0);
	taken[0] = w.gate.probes[0];
	deadline_ns = ebb_ticks_to_ns(ebb_probe_slot_deadline(taken[0]));
	assert_true(deadline_ns >= w.now_ns + w.config.probe_lease_ns);
	assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate), deadline_ns);
	w.now_ns += SECOND;
	assert_int_equal(kernel_connect(&w), 1);
	taken[1] = w.gate.probes[1];

	w.now_ns = deadline_ns;
	assert_int_equal(look(&w), 0);
	/* one has failed, the other still runs: that is what to wait for */
	assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate),
			 ebb_ticks_to_ns(ebb_probe_slot_deadline(taken[1])));
	/* another connect takes the slot over, and the kernel counts what we counted */
	assert_int_equal(kernel_connect(&w), 0);
	assert_int_equal(ebb_probe_failed(w.gate.probe_result, gen_of(&w)), 1);
	assert_int_equal(look(&w), 0);
	/* its late result is ignored */
	kernel_probe_result(&w, 0, taken[0], true);
	assert_int_equal(look(&w), 0);
	w.now_ns = ebb_ticks_to_ns(ebb_probe_slot_deadline(taken[1])) - 1;
	assert_int_equal(look(&w), 0);
	w.now_ns++;
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_PROBES_FAILED);
	assert_int_equal(w.moves[0].failed, 2);
}

static void a_deadline_lies_after_the_look(void **state)
{
	struct world w;

	(void)state;
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.config.reopen_after = 5;
	(void)kernel_connect(&w);
	w.now_ns += w.config.probe_lease_ns + SECOND;
	assert_int_equal(look(&w), 0);
	assert_int_equal(ebb_breaker_deadline(&w.b, &w.gate), UINT64_MAX);
}

static void closing_starts_with_an_empty_window(void **state)
{
	struct world w;

	(void)state;
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
	/* counted by the kernel in a state that is over */
	w.gate.run = ebb_run_word(gen_of(&w) - 2, 1, 5);
	assert_int_equal(look(&w), 1);
	assert_int_equal(state_of(&w), EBB_STATE_CLOSED);
	assert_int_equal(w.b.window.sum.failed, 0);
	results(&w, 0, 4, 0);
	assert_int_equal(look(&w), 0);
	results(&w, 0, 1, 0);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w.moves[0].failed, 5);
	assert_int_equal(w.b.trips, 2);
}

static void an_agent_that_was_late_catches_up_in_one_look(void **state)
{
	struct world w;
	uint64_t deadline_ns;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	/* read before the kernel began to admit probes, but with their results */
	w.now_ns = ebb_ticks_to_ns(ebb_word_until(w.b.word)) + SECOND;
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w) + 1, 2, 0);
	assert_int_equal(look(&w), 2);
	assert_int_equal(w.moves[0].reason, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(w.moves[1].reason, EBB_REASON_PROBES_SUCCEEDED);
	assert_int_equal(w.moves[1].gen, w.moves[0].gen + 1);
	assert_int_equal(w.b.word, ebb_word(3, EBB_STATE_CLOSED, 0));
	deadline_ns = ebb_breaker_deadline(&w.b, &w.gate);
	assert_int_equal(deadline_ns, UINT64_MAX);
}

/* --------------------------------------------------------------- open times -- */

static void open_times_grow_by_the_factor_up_to_the_maximum(void **state)
{
	static const struct {
		double factor;
		uint32_t trip;
		uint64_t ns;
	} cases[] = {
		{2, 0, 5 * SECOND},
		{2, 1, 5 * SECOND},
		{2, 2, 10 * SECOND},
		{2, 3, 20 * SECOND},
		{2, 4, 25 * SECOND},
		{2, 5, 25 * SECOND},
		{2, UINT32_MAX, 25 * SECOND},
		{1, 1, 5 * SECOND},
		{1, 9, 5 * SECOND},
		{1, UINT32_MAX, 5 * SECOND},
		{1.5, 3, 11250 * MS},
		{10, 2, 25 * SECOND},
		{10, UINT32_MAX, 25 * SECOND},
		{1.0000001, UINT32_MAX, 25 * SECOND},
	};
	struct ebb_breaker_config config;

	(void)state;
	ebb_policy_defaults(&config);
	config.open_jitter = 0;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		config.open_factor = cases[i].factor;
		assert_int_equal(ebb_breaker_open_ns(&config, 99, cases[i].trip), cases[i].ns);
	}
}

static void open_times_fit_what_the_kernel_can_be_told(void **state)
{
	const uint64_t longest = ebb_ticks_to_ns(UINT32_MAX);
	struct ebb_breaker_config config;

	(void)state;
	ebb_policy_defaults(&config);
	config.open_for_ns = UINT64_MAX;
	config.open_max_ns = UINT64_MAX;
	for (uint32_t trip = 1; trip != 0; trip *= 2) {
		assert_int_equal(ebb_breaker_open_ns(&config, trip, trip), longest);
		assert_int_equal(ebb_ns_to_ticks(ebb_breaker_open_ns(&config, trip, trip)), UINT32_MAX);
	}
	config.open_for_ns = 0;
	assert_int_equal(ebb_breaker_open_ns(&config, 1, 1), 1);
	config.open_for_ns = 1;
	config.open_jitter = 0.9;
	for (uint64_t key = 0; key < 100; key++)
		assert_true(ebb_breaker_open_ns(&config, key, 1) >= 1);
}

static void jitter_spreads_evenly_within_its_bounds(void **state)
{
	struct ebb_breaker_config config;
	uint32_t tenths[10] = {0};
	const uint32_t n = 20000;

	(void)state;
	ebb_policy_defaults(&config);
	for (uint32_t i = 0; i < n; i++) {
		char name[32];
		uint64_t ns;

		(void)snprintf(name, sizeof(name), "10.0.%u.%u:443/tcp", i >> 8, i & 255);
		ns = ebb_breaker_open_ns(&config, ebb_breaker_key(7, name), 1);
		assert_in_range(ns, 4 * SECOND, 6 * SECOND);
		tenths[(ns - 4 * SECOND) * 10 / (2 * SECOND + 1)]++;
	}
	for (size_t i = 0; i < COUNT_OF(tenths); i++)
		assert_in_range(tenths[i], n / 10 - n / 100, n / 10 + n / 100);
}

static void jitter_differs_by_seed_name_and_trip_and_repeats(void **state)
{
	struct ebb_breaker_config config;
	const uint64_t a = ebb_breaker_key(1, "a"), b = ebb_breaker_key(1, "b"), a2 = ebb_breaker_key(2, "a");

	(void)state;
	ebb_policy_defaults(&config);
	config.open_factor = 1;
	assert_int_equal(ebb_breaker_open_ns(&config, a, 1), ebb_breaker_open_ns(&config, a, 1));
	assert_true(ebb_breaker_open_ns(&config, a, 1) != ebb_breaker_open_ns(&config, b, 1));
	assert_true(ebb_breaker_open_ns(&config, a, 1) != ebb_breaker_open_ns(&config, a2, 1));
	assert_true(ebb_breaker_open_ns(&config, a, 1) != ebb_breaker_open_ns(&config, a, 2));
	/* computed by another implementation: recorded traces depend on these */
	assert_true(ebb_breaker_key(0, "a") == 0xe604613a248ff1ac);
	assert_true(ebb_breaker_key(0x0102030405060708, "10.0.0.5:443/tcp") == 0x22015535fab572ce);
	config.open_factor = 2;
	assert_int_equal(ebb_breaker_open_ns(&config, 0x22015535fab572ce, 3), 19035623553);
}

/* ------------------------------------------------------- growth steps down -- */

static void start_closed_again(struct world *w, uint32_t trips)
{
	start_in(w, EBB_STATE_HALF_OPEN);
	w->gate.probe_result = ebb_probe_result_word(gen_of(w), 2, 0);
	assert_int_equal(look(w), 1);
	assert_int_equal(state_of(w), EBB_STATE_CLOSED);
	w->b.trips = trips;
	store_verdict(w);
}

static void growth_steps_down_once_for_each_full_window_with_enough_successes(void **state)
{
	struct world w;
	uint64_t closed_ns;

	(void)state;
	start_closed_again(&w, 4);
	closed_ns = w.now_ns;
	for (uint32_t i = 1; i <= 6; i++) {
		uint32_t before = w.b.trips;

		results(&w, w.config.min_calls, 0, 0);
		w.now_ns = closed_ns + i * w.config.window_ns - 1;
		assert_int_equal(look(&w), 0);
		assert_int_equal(w.b.trips, before);
		w.now_ns++;
		assert_int_equal(look(&w), 0);
		assert_int_equal(w.b.trips, before > 0 ? before - 1 : 0);
	}
	assert_int_equal(w.memory.trips, 0);
}

static void growth_stays_without_enough_successes(void **state)
{
	struct world w;

	(void)state;
	start_closed_again(&w, 4);
	for (uint32_t i = 0; i < 10; i++) {
		/* failures do not count towards it, few enough of them do not trip */
		results(&w, w.config.min_calls - 1, 1, 0);
		assert_int_equal(look(&w), 0);
		w.now_ns += w.config.window_ns;
		assert_int_equal(look(&w), 0);
		assert_int_equal(w.b.trips, 4);
	}
	/* nor does silence */
	w.now_ns += 1000 * w.config.window_ns;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.trips, 4);
}

static void windows_without_a_look_are_one_step_at_most(void **state)
{
	struct world w;
	uint64_t closed_ns;

	(void)state;
	start_closed_again(&w, 4);
	closed_ns = w.now_ns;
	results(&w, 1000, 0, 0);
	w.now_ns += SECOND;
	assert_int_equal(look(&w), 0);
	w.now_ns += 3 * w.config.window_ns;
	results(&w, 1000, 0, 0);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.trips, 3);
	/* windows are still counted from closing */
	w.now_ns = closed_ns + 4 * w.config.window_ns - 1;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.trips, 3);
	w.now_ns++;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.trips, 2);
}

static void successes_before_a_trip_do_not_count_after_it(void **state)
{
	struct world w;

	(void)state;
	start_closed_again(&w, 1);
	results(&w, 100, 0, 0);
	assert_int_equal(look(&w), 0);
	results(&w, 0, 100, 0);
	assert_int_equal(look(&w), 1);
	w.now_ns = ebb_breaker_deadline(&w.b, &w.gate);
	assert_int_equal(look(&w), 1);
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
	assert_int_equal(look(&w), 1);
	w.now_ns += w.config.window_ns;
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.trips, 2);
}

static void a_step_down_shortens_the_next_opening_and_its_arm(void **state)
{
	struct world w;

	(void)state;
	start_closed_again(&w, 1);
	assert_int_equal(ebb_arm_open_ticks(w.verdict.arm), ebb_ns_to_ticks(10 * SECOND));
	results(&w, 5, 0, 0);
	assert_int_equal(look(&w), 0);
	w.now_ns += w.config.window_ns;
	assert_int_equal(look(&w), 0);
	assert_int_equal(ebb_arm_open_ticks(w.verdict.arm), ebb_ns_to_ticks(5 * SECOND));
}

static void a_window_that_the_kernel_ended_is_no_full_one(void **state)
{
	struct world w;

	(void)state;
	start_closed_again(&w, 3);
	results(&w, 100, 0, 0);
	assert_int_equal(look(&w), 0);
	w.now_ns += w.config.window_ns - SECOND;
	for (int i = 0; i < 5; i++)
		kernel_result(&w, true, false);
	w.now_ns += 2 * SECOND;
	assert_int_equal(look(&w), 1);
	assert_int_equal(w.b.trips, 4);
}

/* ----------------------------------------------------- the kernel by itself -- */

static void a_pull_is_taken_over_unchanged_with_its_facts(void **state)
{
	struct world w;
	uint64_t failed_ns;

	(void)state;
	start(&w);
	for (int i = 0; i < 3; i++)
		kernel_result(&w, false, true);
	assert_int_equal(look(&w), 0);
	w.now_ns += 50 * MS;
	for (int i = 0; i < 5; i++)
		kernel_result(&w, true, false);
	failed_ns = w.now_ns;
	assert_int_equal(ebb_word_state(w.gate.pull), EBB_STATE_OPEN);
	w.now_ns += 70 * MS;
	/* told is what was counted, not what the setting is by now */
	w.config.consecutive_failures = 3;
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w.b.word, w.gate.pull);
	assert_int_equal(w.moves[0].at_ns, failed_ns);
	assert_int_equal(w.moves[0].ok, 3);
	assert_int_equal(w.moves[0].failed, 5);
	assert_int_equal(w.moves[0].slow, 3);
	assert_int_equal(w.moves[0].run, 5);
	assert_int_equal(w.b.trips, 1);
	/* as if the agent had done it: the same end, the next arm */
	assert_int_equal(ebb_word_until(w.b.word), ebb_ns_to_ticks(failed_ns) + ebb_ns_to_ticks(5 * SECOND));
	assert_int_equal(ebb_arm_open_ticks(w.verdict.arm), ebb_ns_to_ticks(10 * SECOND));
}

static void the_kernel_opens_half_at_the_end_of_open(void **state)
{
	struct world w;
	uint64_t until_ns;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	until_ns = ebb_ticks_to_ns(ebb_word_until(w.b.word));
	w.now_ns = until_ns + 40 * MS;
	assert_int_equal(kernel_connect(&w), 0);
	w.now_ns += 10 * MS;
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(w.moves[0].at_ns, until_ns);
	assert_int_equal(w.b.word, w.gate.pull);
	assert_int_equal(w.b.trips, 1);
}

static void an_earlier_pull_is_ignored(void **state)
{
	struct world w;
	uint64_t word;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	word = w.b.word;
	assert_int_equal(ebb_word_gen(w.gate.pull), 0);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.word, word);
}

static void a_pull_in_no_known_state_is_ignored(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.gate.pull = ebb_word(1, 7, 0);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.word, 0);
}

/* Both opened the same generation: one transition, the kernel's end. */
static void a_race_to_open_is_one_transition(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.verdict.arm = ebb_arm(5, 4000);
	results(&w, 0, 5, 0);
	w.now_ns += MS;
	w.count = ebb_breaker_look(&w.b, &w.config, &w.gate, w.now_ns, w.moves);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
	/* before the verdict is stored */
	for (int i = 0; i < 5; i++)
		kernel_result(&w, true, false);
	assert_int_equal(ebb_word_gen(w.gate.pull), gen_of(&w));
	store_verdict(&w);
	assert_int_equal(in_force(&w), w.gate.pull);
	assert_true(w.b.word != w.gate.pull);
	assert_int_equal(look(&w), 0);
	assert_int_equal(w.b.word, w.gate.pull);
	assert_int_equal(w.b.trips, 1);
	assert_int_equal(look(&w), 0);
}

/* An agent that was stopped goes on in the middle of a look. */
static void a_lost_race_out_of_half_open_is_told(void **state)
{
	struct world w;

	(void)state;
	/* we closed, the kernel had reopened */
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
	w.gate.pull = ebb_word(gen_of(&w) + 1, EBB_STATE_OPEN, ebb_ns_to_ticks(w.now_ns + 7 * SECOND));
	w.b.word = ebb_word(gen_of(&w) + 1, EBB_STATE_CLOSED, 0);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_PROBES_FAILED);
	assert_int_equal(w.b.word, w.gate.pull);
	assert_int_equal(w.b.trips, 2);

	/* we reopened, the kernel had closed: that trip was none */
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 0, 2);
	assert_int_equal(look(&w), 1);
	assert_int_equal(w.b.trips, 2);
	w.gate.pull = ebb_word(gen_of(&w), EBB_STATE_CLOSED, 0);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_PROBES_SUCCEEDED);
	assert_int_equal(w.b.trips, 1);

	/* and the kernel has gone on since */
	start_in(&w, EBB_STATE_HALF_OPEN);
	w.b.word = ebb_word(gen_of(&w) + 1, EBB_STATE_CLOSED, 0);
	w.gate.pull = ebb_word(gen_of(&w) + 1, EBB_STATE_HALF_OPEN, 0);
	assert_int_equal(look(&w), 2);
	assert_int_equal(w.moves[0].reason, EBB_REASON_PROBES_FAILED);
	assert_int_equal(w.moves[0].gen, 3);
	assert_int_equal(w.moves[1].reason, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(w.moves[1].gen, 4);
	assert_int_equal(w.b.word, w.gate.pull);
}

/* Is there a way of exactly @length of the kernel's transitions? Written anew, on purpose. */
static bool way_exists(uint32_t from, uint32_t to, uint32_t length)
{
	if (length == 0)
		return from == to;
	switch (from) {
	case EBB_STATE_CLOSED:
		return way_exists(EBB_STATE_OPEN, to, length - 1);
	case EBB_STATE_OPEN:
		return way_exists(EBB_STATE_HALF_OPEN, to, length - 1);
	default:
		return way_exists(EBB_STATE_OPEN, to, length - 1) ||
		       way_exists(EBB_STATE_CLOSED, to, length - 1);
	}
}

static void check_story(uint32_t from_gen, uint32_t from, uint32_t to, uint32_t distance)
{
	const uint32_t gen = (from_gen + distance) & EBB_GEN_MASK;
	const bool certain = distance <= EBB_BREAKER_MOVES_MAX && way_exists(from, to, distance);
	uint64_t earliest = 1500 * SECOND;
	uint32_t openings = 0;
	struct world w;

	start(&w);
	w.now_ns = 2000 * SECOND;
	w.b.word = ebb_word(from_gen, from, from == EBB_STATE_OPEN ? ebb_ns_to_ticks(w.now_ns) : 0);
	w.b.since_ns = earliest;
	w.b.trips = 1;
	w.gate.last_failure_ns = 1800 * SECOND;
	w.gate.pull = ebb_word(gen, to, to == EBB_STATE_OPEN ? ebb_ns_to_ticks(w.now_ns + 3 * SECOND) : 0);
	look(&w);

	assert_in_range(w.count, 1, EBB_BREAKER_MOVES_MAX);
	assert_int_equal(w.b.word, w.gate.pull);
	if (certain) {
		assert_int_equal(w.count, distance);
		assert_int_equal(ebb_reason_from(w.moves[0].reason), from);
	} else if (distance > EBB_BREAKER_MOVES_MAX) {
		assert_int_equal(w.count, EBB_BREAKER_MOVES_MAX);
	}
	for (size_t i = 0; i < w.count; i++) {
		const struct ebb_transition *m = &w.moves[i];
		bool opens = ebb_reason_to(m->reason) == EBB_STATE_OPEN;

		/* a chain of generations, of states, of times */
		assert_int_equal(m->gen, (gen - (w.count - 1 - i)) & EBB_GEN_MASK);
		if (i > 0)
			assert_int_equal(ebb_reason_from(m->reason), ebb_reason_to(w.moves[i - 1].reason));
		assert_in_range(m->at_ns, earliest, w.now_ns);
		earliest = m->at_ns;
		assert_true(opens ? m->until_ns > m->at_ns : m->until_ns == 0);
		openings += opens;
		/* of what the kernel can do, each with its cause */
		assert_true(m->reason != EBB_REASON_FAILURE_RATE && m->reason != EBB_REASON_SLOW_RATE);
		if (m->reason == EBB_REASON_CONSECUTIVE_FAILURES)
			assert_true(m->run >= w.config.consecutive_failures);
		if (m->reason == EBB_REASON_PROBES_FAILED)
			assert_true(m->failed >= w.config.reopen_after);
		if (m->reason == EBB_REASON_PROBES_SUCCEEDED)
			assert_true(m->ok >= w.config.close_after);
	}
	assert_int_equal(ebb_reason_to(w.moves[w.count - 1].reason), to);
	assert_int_equal(w.b.since_ns, earliest);
	if (certain)
		assert_int_equal(w.b.trips, 1 + openings);
	else
		assert_in_range(w.b.trips, openings, 1 + openings + distance / 2);
	assert_int_equal(look(&w), 0);
}

static void what_the_kernel_did_alone_is_told_as_a_chain_that_ends_where_it_is(void **state)
{
	static const uint32_t gens[] = {0, 1, 1U << 22, EBB_GEN_MASK - 5, EBB_GEN_MASK};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(gens); i++) {
		for (uint32_t from = 0; from < EBB_STATE_MAX; from++) {
			for (uint32_t to = 0; to < EBB_STATE_MAX; to++) {
				for (uint32_t distance = 1; distance < 20; distance++)
					check_story(gens[i], from, to, distance);
				check_story(gens[i], from, to, (1U << 22) - 1);
			}
		}
	}
}

static void a_kernel_left_alone_is_told_from_its_words(void **state)
{
	struct world w;
	uint64_t failed_ns, until_ns;

	(void)state;
	start(&w);
	w.lonely = true;
	for (int i = 0; i < 5; i++)
		kernel_result(&w, true, false);
	failed_ns = w.now_ns;
	until_ns = ebb_ticks_to_ns(ebb_word_until(w.gate.pull));
	w.now_ns = until_ns + SECOND;
	for (int i = 0; i < 2; i++) {
		int slot = kernel_connect(&w);

		kernel_probe_result(&w, slot, w.gate.probes[slot], false);
	}
	assert_int_equal(w.gate.pull, ebb_word(3, EBB_STATE_CLOSED, 0));
	w.now_ns += 100 * SECOND;
	w.config.close_after = 1;
	assert_int_equal(look(&w), 3);
	assert_int_equal(w.moves[0].reason, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w.moves[0].at_ns, failed_ns);
	assert_int_equal(w.moves[1].reason, EBB_REASON_OPEN_EXPIRED);
	assert_in_range(w.moves[1].at_ns, until_ns - 2 * MS, until_ns);
	assert_int_equal(w.moves[2].reason, EBB_REASON_PROBES_SUCCEEDED);
	assert_int_equal(w.moves[2].ok, 2);
	assert_int_equal(w.moves[2].failed, 0);
	assert_int_equal(w.b.trips, 1);
	assert_int_equal(w.memory.count, 3);
}

/* ---------------------------------------------------- first sight and restart -- */

static void a_new_gate_is_judged_by_all_that_it_has_counted(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	results(&w, 0, 6, 0);
	ebb_breaker_init(&w.b, 1, &w.gate);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_FAILURE_RATE);
}

static void a_new_gate_that_the_kernel_pulled_is_told(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.verdict = (struct ebb_verdict){0};
	w.gate.failed = 5;
	w.gate.run = ebb_run_word(0, 1, 5);
	w.gate.last_failure_ns = w.now_ns - 30 * MS;
	w.gate.pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(w.now_ns + 4 * SECOND));
	ebb_breaker_init(&w.b, 1, &w.gate);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w.moves[0].run, 5);
	assert_int_equal(w.moves[0].failed, 5);
	assert_int_equal(w.b.word, w.gate.pull);

	w.gate.pull = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
	ebb_breaker_init(&w.b, 1, &w.gate);
	assert_int_equal(look(&w), 2);
	assert_int_equal(w.moves[0].reason, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_int_equal(w.moves[1].reason, EBB_REASON_OPEN_EXPIRED);

	/* a closed word has no story, whatever its generation */
	w.gate.pull = ebb_word(77, EBB_STATE_CLOSED, 0);
	ebb_breaker_init(&w.b, 1, &w.gate);
	w.gate.failed = 0;
	w.gate.run = 0;
	assert_int_equal(look(&w), 0);
	assert_int_equal(gen_of(&w), 77);
}

static void a_restart_forgets_nothing_but_the_window(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < EBB_STATE_MAX; s++) {
		struct ebb_breaker before;
		struct world w;

		start_in(&w, s);
		w.b.trips = 3;
		results(&w, 2, 1, 0);
		assert_int_equal(look(&w), 0);
		before = w.b;
		restart_agent(&w);
		assert_int_equal(w.b.word, before.word);
		assert_int_equal(w.b.since_ns, before.since_ns);
		assert_int_equal(w.b.trips, 3);
		assert_int_equal(w.b.window.sum.ok + w.b.window.sum.failed, 0);
		assert_int_equal(look(&w), 0);
		assert_int_equal(w.b.word, before.word);
		assert_int_equal(w.b.window.sum.ok + w.b.window.sum.failed, 0);
	}
}

static void a_restart_reports_what_happened_meanwhile(void **state)
{
	struct world w;

	(void)state;
	start_in(&w, EBB_STATE_OPEN);
	w.lonely = true;
	w.now_ns = ebb_ticks_to_ns(ebb_word_until(w.b.word)) + SECOND;
	for (int i = 0; i < 2; i++) {
		int slot = kernel_connect(&w);

		kernel_probe_result(&w, slot, w.gate.probes[slot], true);
	}
	assert_int_equal(ebb_word_state(w.gate.pull), EBB_STATE_OPEN);
	w.now_ns += SECOND;
	restart_agent(&w);
	assert_int_equal(look(&w), 2);
	assert_int_equal(w.moves[0].reason, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(w.moves[1].reason, EBB_REASON_PROBES_FAILED);
	assert_int_equal(w.moves[1].failed, 2);
	assert_int_equal(w.b.word, w.gate.pull);
	assert_int_equal(w.b.trips, 2);
	assert_int_equal(w.memory.count, 3);
}

/* Killed after a transition was remembered (and logged), before its verdict was stored. */
static void a_transition_that_was_remembered_is_not_made_twice(void **state)
{
	struct ebb_verdict old;
	struct world w;
	uint64_t word;

	(void)state;
	start(&w);
	old = w.verdict;
	results(&w, 0, 5, 0);
	assert_int_equal(look(&w), 1);
	word = w.b.word;
	w.verdict = old;
	restart_agent(&w);
	assert_int_equal(w.b.word, word);
	assert_int_equal(w.b.trips, 1);
	assert_int_equal(look(&w), 0);
	assert_int_equal(in_force(&w), word);
}

static void a_gate_that_no_agent_saw_starts_with_what_follows(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.verdict = (struct ebb_verdict){0};
	results(&w, 0, 1000, 0);
	restart_agent(&w);
	assert_int_equal(look(&w), 0);
	results(&w, 0, 5, 0);
	assert_int_equal(look(&w), 1);

	start(&w);
	w.verdict = (struct ebb_verdict){0};
	w.gate.pull = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(w.now_ns + SECOND));
	restart_agent(&w);
	assert_int_equal(look(&w), 1);
	assert_moved(&w, EBB_REASON_CONSECUTIVE_FAILURES);
}

static void a_damaged_verdict_is_not_followed(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.verdict.word = ebb_word(9, 5, 123);
	restart_agent(&w);
	assert_int_equal(w.b.word, 0);
	assert_int_equal(look(&w), 0);

	start_in(&w, EBB_STATE_OPEN);
	w.verdict.word = ebb_word(9, 7, 123);
	restart_agent(&w);
	assert_int_equal(w.b.word, ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(w.memory.last[0].until_ns)));
}

static void generations_wrap_without_notice(void **state)
{
	struct world w;

	(void)state;
	start(&w);
	w.b.word = ebb_word(EBB_GEN_MASK - 1, EBB_STATE_CLOSED, 0);
	w.gate.pull = w.b.word;
	store_verdict(&w);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t gen = gen_of(&w);

		results(&w, 0, 5, 0);
		assert_int_equal(look(&w), 1);
		w.now_ns = ebb_breaker_deadline(&w.b, &w.gate);
		assert_int_equal(look(&w), 1);
		w.gate.probe_result = ebb_probe_result_word(gen_of(&w), 2, 0);
		assert_int_equal(look(&w), 1);
		assert_int_equal(gen_of(&w), (gen + 3) & EBB_GEN_MASK);
		assert_int_equal(in_force(&w), w.b.word);
	}
}

/* --------------------------------------------------------------- properties -- */

/* xorshift64*: the same traffic each time. */
static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 0x2545f4914f6cdd1d) >> 32) % n;
}

static bool chance(uint32_t percent)
{
	return random_below(100) < percent;
}

struct probe {
	int slot;
	uint64_t taken;
};

/* What the reports have said so far, and what they must agree with. */
struct witness {
	uint32_t state;
	uint32_t gen;
	uint64_t at_ns;
	uint64_t until_ns;
	uint64_t bad_at_closing; /* failed and slow, as counted when closed began */
	uint64_t episode;	 /* of the last move */
	uint32_t opened, closed, half_opened;
	bool away; /* the agent was dead: its story may be cut */
};

static void random_traffic(struct world *w, struct probe *probes, uint32_t fail_percent)
{
	uint32_t n = random_below(4);

	if (chance(3))
		n = 20;
	for (uint32_t i = 0; i < n; i++)
		kernel_result(w, chance(fail_percent), chance(10));
	for (uint32_t i = 0; i < n; i++) {
		int slot = kernel_connect(w);

		if (slot >= 0)
			probes[slot] = (struct probe){slot, w->gate.probes[slot]};
	}
	for (uint32_t i = 0; i < EBB_PROBES_MAX; i++) {
		if (probes[i].taken != 0 && chance(30)) {
			kernel_probe_result(w, probes[i].slot, probes[i].taken, chance(fail_percent));
			probes[i].taken = 0;
		}
	}
}

static void check_cause(const struct world *w, const struct ebb_transition *m)
{
	uint32_t total = m->ok + m->failed;

	switch (m->reason) {
	case EBB_REASON_CONSECUTIVE_FAILURES:
		assert_true(w->config.consecutive_failures > 0 && m->run >= w->config.consecutive_failures);
		break;
	case EBB_REASON_FAILURE_RATE:
		assert_true(total >= w->config.min_calls && m->failed > 0);
		assert_true((double)m->failed / total >= w->config.failure_rate);
		break;
	case EBB_REASON_SLOW_RATE:
		assert_true(w->config.slow_call_ns > 0 && total >= w->config.min_calls && m->slow > 0);
		assert_true((double)m->slow / total >= w->config.slow_rate);
		break;
	case EBB_REASON_PROBES_SUCCEEDED:
		assert_true(m->ok >= w->config.close_after);
		break;
	case EBB_REASON_PROBES_FAILED:
		assert_true(m->failed >= w->config.reopen_after);
		break;
	default:
		assert_int_equal(m->reason, EBB_REASON_OPEN_EXPIRED);
	}
}

static void check_look(struct world *w, struct witness *seen)
{
	struct ebb_transition none[EBB_BREAKER_MOVES_MAX];
	struct ebb_breaker again = w->b;
	const double longest = (double)w->config.open_max_ns * (1 + w->config.open_jitter) + 3 * MS;

	for (size_t i = 0; i < w->count; i++) {
		const struct ebb_transition *m = &w->moves[i];
		uint32_t from = ebb_reason_from(m->reason), to = ebb_reason_to(m->reason);

		check_cause(w, m);
		assert_in_range(m->at_ns, seen->at_ns, w->now_ns);
		if (i > 0 || !seen->away) {
			assert_int_equal(from, seen->state);
			assert_int_equal(m->gen, ebb_gen_next(seen->gen));
		} else {
			assert_true(ebb_gen_after(m->gen, seen->gen));
		}
		/* an episode begins where closed is left, and has one id until it is back */
		assert_true(m->episode != 0);
		if (from == EBB_STATE_CLOSED)
			assert_true(m->episode != seen->episode);
		else if (i > 0 || !seen->away)
			assert_true(m->episode == seen->episode);
		seen->episode = m->episode;
		/* closed is left for something bad that was counted since it began */
		if (from == EBB_STATE_CLOSED && i == 0 && !seen->away)
			assert_true(w->gate.failed + w->gate.slow > seen->bad_at_closing);
		if (to == EBB_STATE_CLOSED)
			seen->bad_at_closing = w->gate.failed + w->gate.slow;
		if (to == EBB_STATE_OPEN)
			assert_true((double)m->until_ns <= (double)m->at_ns + longest);
		/* open lasts until its end */
		if (from == EBB_STATE_OPEN && i == 0 && !seen->away)
			assert_true(w->now_ns >= seen->until_ns);
		seen->opened += to == EBB_STATE_OPEN;
		seen->half_opened += to == EBB_STATE_HALF_OPEN;
		seen->closed += to == EBB_STATE_CLOSED;
		seen->state = to;
		seen->gen = m->gen;
		seen->at_ns = m->at_ns;
	}
	/* the reports end where the breaker is, and that is what is in force */
	assert_int_equal(state_of(w), seen->state);
	assert_int_equal(gen_of(w), seen->gen);
	assert_int_equal(w->b.word, ebb_word_in_force(w->b.word, w->gate.pull));
	/* and open always ends */
	if (seen->state == EBB_STATE_OPEN) {
		seen->until_ns = ebb_ticks_to_ns(ebb_word_until(w->b.word));
		assert_true(seen->until_ns > w->now_ns);
		assert_int_equal(ebb_breaker_deadline(&w->b, &w->gate), seen->until_ns);
		assert_true(w->b.trips > 0);
	}
	assert_true(ebb_breaker_deadline(&w->b, &w->gate) > w->now_ns);
	if (w->memory.count > 0) {
		const struct ebb_transition *newest =
			&w->memory.last[(w->memory.count - 1) % EBB_TRANSITIONS_KEPT];

		assert_int_equal(newest->gen, seen->gen);
		assert_int_equal(ebb_reason_to(newest->reason), seen->state);
	}
	seen->away = false;
	/* the same facts at the same time move nothing */
	assert_int_equal(ebb_breaker_look(&again, &w->config, &w->gate, w->now_ns, none), 0);
	assert_int_equal(again.word, w->b.word);
	assert_int_equal(again.trips, w->b.trips);
	assert_memory_equal(&again.window.sum, &w->b.window.sum, sizeof(again.window.sum));
}

static void run_random(const char *settings, uint64_t seed, uint32_t steps, struct witness *seen)
{
	struct probe probes[EBB_PROBES_MAX] = {0};
	uint32_t fail_percent = 5, away = 0;
	struct ebb_why why;
	struct world w;

	random_state = seed;
	start(&w);
	assert_int_equal(ebb_policy_parse(settings, &w.config, &why), 0);
	store_verdict(&w);
	*seen = (struct witness){0};
	for (uint32_t step = 0; step < steps; step++) {
		w.now_ns += chance(2) ? random_below(30) * SECOND : random_below(200) * MS;
		if (chance(2))
			fail_percent = random_below(3) * 45 + 5;
		random_traffic(&w, probes, fail_percent);
		if (away > 0) {
			away--;
			w.lonely = true;
			if (away > 0)
				continue;
			w.lonely = false;
			restart_agent(&w);
			seen->away = true;
		}
		if (chance(20)) {
			/* the kernel goes on between the snapshot and the verdict */
			struct ebb_gate snapshot = w.gate, later;

			random_traffic(&w, probes, fail_percent);
			later = w.gate;
			w.gate = snapshot;
			w.count = ebb_breaker_look(&w.b, &w.config, &snapshot, w.now_ns, w.moves);
			for (size_t i = 0; i < w.count; i++)
				ebb_breaker_remember(&w.b, &w.config, &w.moves[i], &w.memory);
			check_look(&w, seen);
			w.gate = later;
			/* killed before the verdict is stored */
			if (chance(5)) {
				restart_agent(&w);
				continue;
			}
			store_verdict(&w);
		} else {
			look(&w);
			check_look(&w, seen);
		}
		assert_true(in_force(&w) == w.gate.pull || in_force(&w) == w.verdict.word);
		if (chance(1) && chance(20))
			away = random_below(100) + 1;
	}
}

static void properties_hold_under_random_traffic(void **state)
{
	static const char *const settings[] = {
		"probes=3",
		"consecutive_failures=0",
		"consecutive_failures=1,probes=1,close_after=1,reopen_after=1,open_for=1s",
		"slow_call=1ms,slow_rate=0.3,failure_rate=0.9,consecutive_failures=0",
		"probes=8,close_after=20,reopen_after=10,probe_lease=100ms,open_for=10ms,open_max=10ms,open_jitter=0.9",
		"window=100ms,min_calls=1,open_factor=10,open_max=2m",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		for (uint64_t seed = 1; seed <= 5; seed++) {
			struct witness seen;

			run_random(settings[i], seed * 0x9e3779b97f4a7c15, 10000, &seen);
			/* the traffic has driven the machine round, often */
			assert_true(seen.opened > 40 && seen.half_opened > 40 && seen.closed > 15);
		}
	}
}

/* ----------------------------------------------------------------- document -- */

/* The next cell of a Markdown table row, without blanks and backticks; NULL at the end. */
static char *next_cell(char **io_row)
{
	char *cell = *io_row, *end = strchr(cell, '|');
	size_t length;

	if (!end)
		return NULL;
	*end = '\0';
	*io_row = end + 1;
	cell += strspn(cell, " `");
	length = strlen(cell);
	while (length > 0 && strchr(" `\n", cell[length - 1]))
		cell[--length] = '\0';
	return cell;
}

static FILE *open_document(void)
{
	const char *dir = getenv("EBB_SOURCE_DIR");
	char path[1024];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/docs/state-machine.md", dir ? dir : ".");
	file = fopen(path, "r");
	if (!file)
		fail_msg("cannot open %s: run from the source directory or set EBB_SOURCE_DIR", path);
	return file;
}

/*
 * Calls @row with the first five cells of each row of the table under the heading @section
 * (its own two heading lines not counted); returns the number of rows.
 */
static size_t each_row(const char *section, void (*row)(char *cells[5], void *userdata), void *userdata)
{
	FILE *file = open_document();
	size_t count = 0, table_line = 0;
	bool inside = false;
	char line[1024];

	while (fgets(line, sizeof(line), file)) {
		char *rest = line + 1, *cells[5] = {NULL};

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "## ", 3) == 0) {
			inside = strcmp(line + 3, section) == 0;
			table_line = 0;
		}
		if (!inside || line[0] != '|' || ++table_line <= 2)
			continue;
		for (size_t i = 0; i < COUNT_OF(cells); i++) {
			cells[i] = next_cell(&rest);
			assert_non_null(cells[i]);
		}
		row(cells, userdata);
		count++;
	}
	(void)fclose(file);
	return count;
}

static void check_transition_row(char *cells[5], void *userdata)
{
	uint32_t *told = userdata;

	for (uint32_t reason = 0; reason < EBB_REASON_MAX; reason++) {
		if (strcmp(cells[1], ebb_reason_name(reason)) != 0)
			continue;
		assert_string_equal(cells[0], ebb_state_name(ebb_reason_from(reason)));
		assert_string_equal(cells[2], ebb_state_name(ebb_reason_to(reason)));
		told[reason]++;
		return;
	}
	fail_msg("docs/state-machine.md tells of '%s', which is no reason", cells[1]);
}

static void the_document_tells_every_transition_as_it_is(void **state)
{
	uint32_t told[EBB_REASON_MAX] = {0};

	(void)state;
	assert_int_equal(each_row("Transitions", check_transition_row, told), EBB_REASON_MAX);
	for (uint32_t reason = 0; reason < EBB_REASON_MAX; reason++)
		assert_int_equal(told[reason], 1);
}

/* The table of transitions as it is read: what must hold, and what then is. */
struct rule {
	char state[16], reason[32], when[256], then[64];
};

struct rules {
	struct rule list[EBB_REASON_MAX];
	size_t count;
};

static void copy_cell(const char *cell, char *ret_text, size_t size)
{
	size_t used = 0;

	for (; *cell != '\0'; cell++) {
		assert_true(used + 1 < size);
		if (*cell != '`')
			ret_text[used++] = *cell;
	}
	ret_text[used] = '\0';
}

static void read_rule(char *cells[5], void *userdata)
{
	struct rules *rules = userdata;
	struct rule *rule = &rules->list[rules->count];

	assert_true(rules->count < EBB_REASON_MAX);
	copy_cell(cells[0], rule->state, sizeof(rule->state));
	copy_cell(cells[1], rule->reason, sizeof(rule->reason));
	copy_cell(cells[3], rule->when, sizeof(rule->when));
	copy_cell(cells[4], rule->then, sizeof(rule->then));
	rules->count++;
}

/* What a key of the settings, or a word of the table, stands for; @overdue: probes that are. */
static double quantity(const struct world *w, uint32_t overdue, const char *name)
{
	const double results = (double)(w->gate.ok + w->gate.failed);
	const uint32_t gen = gen_of(w);
	const struct {
		const char *name;
		double value;
	} words[] = {
		{"0", 0},
		{"the run of failures", ebb_run_failures(w->gate.run, gen)},
		{"results in the window", results},
		{"failures / results", (double)w->gate.failed / results},
		{"slow results / results", (double)w->gate.slow / results},
		{"now", (double)w->now_ns},
		{"the end of the open time", (double)ebb_ticks_to_ns(ebb_word_until(w->b.word))},
		{"probes succeeded", ebb_probe_succeeded(w->gate.probe_result, gen)},
		{"probes failed or overdue", ebb_probe_failed(w->gate.probe_result, gen) + overdue},
		{"consecutive_failures", w->config.consecutive_failures},
		{"min_calls", w->config.min_calls},
		{"failure_rate", w->config.failure_rate},
		{"slow_call", (double)w->config.slow_call_ns},
		{"slow_rate", w->config.slow_rate},
		{"close_after", w->config.close_after},
		{"reopen_after", w->config.reopen_after},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return words[i].value;
	}
	fail_msg("docs/state-machine.md: '%s' is nothing that a condition is made of", name);
	return 0;
}

/* "a >= b", "a > b", "a is set" */
static bool term_holds(const struct world *w, uint32_t overdue, char *term)
{
	char *at_least = strstr(term, " >= "), *above = strstr(term, " > "), *set = strstr(term, " is set");

	if (set) {
		*set = '\0';
		return quantity(w, overdue, term) > 0;
	}
	if (at_least) {
		*at_least = '\0';
		return quantity(w, overdue, term) >= quantity(w, overdue, at_least + 4);
	}
	if (!above)
		fail_msg("docs/state-machine.md: '%s' is no condition", term);
	*above = '\0';
	return quantity(w, overdue, term) > quantity(w, overdue, above + 3);
}

static bool rule_holds(const struct world *w, uint32_t overdue, const struct rule *rule)
{
	char when[sizeof(rule->when)], *term = when;
	bool holds = true;

	memcpy(when, rule->when, sizeof(when));
	while (term && holds) {
		char *next = strstr(term, " and ");

		if (next)
			*next = '\0';
		holds = term_holds(w, overdue, term);
		term = next ? next + 5 : NULL;
	}
	return holds;
}

static void random_thresholds(struct world *w)
{
	static const double rates[] = {0.25, 0.5, 0.75, 1};

	w->config.min_calls = 1 + random_below(6);
	w->config.failure_rate = rates[random_below(4)];
	w->config.slow_call_ns = random_below(2) * SECOND;
	w->config.slow_rate = rates[random_below(4)];
	w->config.consecutive_failures = random_below(5);
	w->config.close_after = 1 + random_below(4);
	w->config.reopen_after = 1 + random_below(4);
}

/* Facts on both sides of each threshold. Returns how many probes are overdue. */
static uint32_t random_facts(struct world *w, uint32_t state)
{
	uint32_t gen = gen_of(w), overdue = 0;
	uint64_t now = w->now_ns >> EBB_TICK_SHIFT;

	if (state == EBB_STATE_CLOSED) {
		results(w, random_below(5), random_below(5), 0);
		w->gate.slow = random_below((uint32_t)(w->gate.ok + w->gate.failed) + 1);
		w->gate.run = ebb_run_word(gen, 1, random_below(6));
	}
	if (state == EBB_STATE_OPEN)
		w->now_ns = ebb_ticks_to_ns(ebb_word_until(w->b.word)) + random_below(3) - 1;
	if (state != EBB_STATE_HALF_OPEN)
		return 0;
	w->gate.probe_result = ebb_probe_result_word(gen, random_below(5), random_below(4));
	for (uint32_t i = 0; i < 3; i++) {
		bool own = random_below(4) > 0, late = random_below(2);

		w->gate.probes[i] = ebb_probe_slot_word(own ? gen : gen - 1, late ? now : now + 2);
		overdue += own && late;
	}
	return overdue;
}

/* Whatever the thresholds and the facts, the first rule of the table that holds is the one that moves it. */
static void the_conditions_of_the_document_are_those_of_the_code(void **state)
{
	uint32_t moved[EBB_REASON_MAX] = {0}, stayed = 0;
	struct rules rules = {.count = 0};

	(void)state;
	random_state = 5;
	assert_int_equal(each_row("Transitions", read_rule, &rules), EBB_REASON_MAX);
	for (uint32_t turn = 0; turn < 6000; turn++) {
		uint32_t from = turn % EBB_STATE_MAX, overdue, trips;
		const struct rule *rule = rules.list, *end = rules.list + rules.count;
		struct world w;

		start_in(&w, from);
		random_thresholds(&w);
		overdue = random_facts(&w, from);
		trips = w.b.trips;
		while (rule < end &&
		       (strcmp(rule->state, ebb_state_name(from)) != 0 || !rule_holds(&w, overdue, rule)))
			rule++;
		look(&w);
		assert_int_equal(w.count, rule < end);
		if (rule == end) {
			stayed++;
			continue;
		}
		assert_string_equal(ebb_reason_name(w.moves[0].reason), rule->reason);
		assert_int_equal(w.b.trips, trips + (strstr(rule->then, "trip + 1") ? 1 : 0));
		assert_int_equal(w.moves[0].until_ns > w.now_ns,
				 strstr(rule->then, "open time drawn") ? 1 : 0);
		moved[w.moves[0].reason]++;
	}
	for (uint32_t reason = 0; reason < EBB_REASON_MAX; reason++)
		assert_true(moved[reason] > 50);
	assert_true(stayed > 500);
}

static void check_setting_row(char *cells[5], void *userdata)
{
	size_t *index = userdata, count;
	const struct ebb_policy_key *keys = ebb_policy_keys(&count);

	assert_true(*index < count);
	assert_string_equal(cells[0], keys[*index].name);
	assert_string_equal(cells[1], keys[*index].unit);
	assert_string_equal(cells[2], keys[*index].fallback);
	assert_string_equal(cells[3], keys[*index].range);
	assert_string_equal(cells[4], keys[*index].help);
	(*index)++;
}

static void the_document_tells_every_setting_as_it_is(void **state)
{
	size_t index = 0, count;

	(void)state;
	(void)ebb_policy_keys(&count);
	assert_int_equal(each_row("Settings", check_setting_row, &index), count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_gate_is_closed_and_stays_so_without_facts),
		cmocka_unit_test(closed_trips_at_its_thresholds_and_not_before),
		cmocka_unit_test(a_run_of_another_generation_is_ignored),
		cmocka_unit_test(failures_leave_the_window_and_are_forgotten),
		cmocka_unit_test(with_exponential_weighting_the_younger_results_decide),
		cmocka_unit_test(a_window_of_calls_judges_the_last_ones),
		cmocka_unit_test(other_settings_take_up_the_window_as_it_is),
		cmocka_unit_test(closing_begins_the_ramp),
		cmocka_unit_test(another_ramp_goes_on_from_the_time_since_closing),
		cmocka_unit_test(counters_that_ran_backwards_are_not_results),
		cmocka_unit_test(open_ends_at_its_time_and_not_before),
		cmocka_unit_test(nothing_is_judged_in_open),
		cmocka_unit_test(half_open_moves_at_its_thresholds_and_not_before),
		cmocka_unit_test(probes_of_another_generation_are_ignored),
		cmocka_unit_test(a_probe_fails_when_its_lease_ends_and_only_once),
		cmocka_unit_test(a_deadline_lies_after_the_look),
		cmocka_unit_test(closing_starts_with_an_empty_window),
		cmocka_unit_test(an_agent_that_was_late_catches_up_in_one_look),
		cmocka_unit_test(open_times_grow_by_the_factor_up_to_the_maximum),
		cmocka_unit_test(open_times_fit_what_the_kernel_can_be_told),
		cmocka_unit_test(jitter_spreads_evenly_within_its_bounds),
		cmocka_unit_test(jitter_differs_by_seed_name_and_trip_and_repeats),
		cmocka_unit_test(growth_steps_down_once_for_each_full_window_with_enough_successes),
		cmocka_unit_test(growth_stays_without_enough_successes),
		cmocka_unit_test(windows_without_a_look_are_one_step_at_most),
		cmocka_unit_test(successes_before_a_trip_do_not_count_after_it),
		cmocka_unit_test(a_step_down_shortens_the_next_opening_and_its_arm),
		cmocka_unit_test(a_window_that_the_kernel_ended_is_no_full_one),
		cmocka_unit_test(a_pull_is_taken_over_unchanged_with_its_facts),
		cmocka_unit_test(the_kernel_opens_half_at_the_end_of_open),
		cmocka_unit_test(an_earlier_pull_is_ignored),
		cmocka_unit_test(a_pull_in_no_known_state_is_ignored),
		cmocka_unit_test(a_race_to_open_is_one_transition),
		cmocka_unit_test(a_lost_race_out_of_half_open_is_told),
		cmocka_unit_test(what_the_kernel_did_alone_is_told_as_a_chain_that_ends_where_it_is),
		cmocka_unit_test(a_kernel_left_alone_is_told_from_its_words),
		cmocka_unit_test(a_new_gate_is_judged_by_all_that_it_has_counted),
		cmocka_unit_test(a_new_gate_that_the_kernel_pulled_is_told),
		cmocka_unit_test(a_restart_forgets_nothing_but_the_window),
		cmocka_unit_test(a_restart_reports_what_happened_meanwhile),
		cmocka_unit_test(a_transition_that_was_remembered_is_not_made_twice),
		cmocka_unit_test(a_gate_that_no_agent_saw_starts_with_what_follows),
		cmocka_unit_test(a_damaged_verdict_is_not_followed),
		cmocka_unit_test(generations_wrap_without_notice),
		cmocka_unit_test(properties_hold_under_random_traffic),
		cmocka_unit_test(the_document_tells_every_transition_as_it_is),
		cmocka_unit_test(the_conditions_of_the_document_are_those_of_the_code),
		cmocka_unit_test(the_document_tells_every_setting_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

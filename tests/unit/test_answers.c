/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/answers.c: which turns say whether a destination answers at all, held against what the
 * kernel compares (bpf/turn.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/turn.h"
#include "core/answers.h"

#define S 1000000000ULL

struct world {
	struct ebb_answers answers;
	struct ebb_breaker_config config;
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	uint64_t now;
};

static void look(struct world *w)
{
	ebb_answers_look(&w->answers, &w->config, &w->gate, w->now);
	w->verdict.answered_from = w->answers.from.answered;
	w->verdict.unanswered_from = w->answers.from.unanswered;
}

static struct world world_new(void)
{
	struct world w = {.now = 1000 * S};

	ebb_policy_defaults(&w.config);
	look(&w);
	return w;
}

/* The next turn is not answered: does that count? */
static int unanswered(struct world *w)
{
	w->gate.turns_unanswered++;
	return ebb_turn_counts(&w->gate, &w->verdict);
}

static void who_never_answers_never_fails(void **state)
{
	struct world w = world_new();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_false(unanswered(&w));
		w.now += 7 * S;
		look(&w);
	}
}

static void ruling_5_half_of_the_turns_is_enough(void **state)
{
	struct world w = world_new();

	(void)state;
	w.gate.turns_answered = 10;
	for (int i = 0; i < 10; i++)
		assert_true(unanswered(&w));
	assert_false(unanswered(&w));
}

static void the_turns_of_long_ago_are_not_judged(void **state)
{
	struct world w = world_new();

	(void)state;
	w.gate.turns_answered = 1000000;
	w.now += 10 * S;
	look(&w); /* judged from the beginning on */
	assert_true(unanswered(&w));
	w.gate.turns_answered += 3;
	w.gate.turns_unanswered += 20;
	w.now += 10 * S;
	look(&w); /* from the first mark on */
	assert_false(unanswered(&w));
	w.gate.turns_answered += 100;
	w.now += 10 * S;
	look(&w);
	assert_true(unanswered(&w));
}

/* However many of them come in one: a storm of failures does not push out what was answered. */
static void the_turns_of_a_window_are_all_judged(void **state)
{
	struct world w = world_new();

	(void)state;
	w.now += 10 * S;
	w.gate.turns_answered = 1000;
	look(&w);
	w.gate.turns_answered += 100;
	for (int i = 0; i < 90; i++) {
		w.now += S / 10;
		look(&w);
		assert_true(unanswered(&w));
	}
}

/* One call a minute: what calls are like is not forgotten between them, whichever call a mark fell on. */
static void few_turns_stay_judged_until_enough_have_come(void **state)
{
	(void)state;
	for (int answered = 5; answered < 40; answered++) {
		struct world w = world_new();

		for (int i = 0; i < answered; i++) {
			w.gate.turns_answered++;
			w.now += 60 * S;
			look(&w);
		}
		/* and then the server hangs: the five failures that open the breaker all count */
		for (int i = 0; i < 5; i++) {
			assert_true(unanswered(&w));
			w.now += 60 * S;
			look(&w);
		}
	}
}

static void a_slot_that_was_cleared_begins_anew(void **state)
{
	struct world w = world_new();

	(void)state;
	w.gate.turns_answered = 50;
	w.now += 10 * S;
	look(&w);
	memset(&w.gate, 0, sizeof(w.gate));
	look(&w);
	assert_int_equal(w.verdict.answered_from, 0);
	w.gate.turns_answered = 1;
	assert_true(unanswered(&w));
	assert_false(unanswered(&w));
	/* nor do its new turns hide it where the old ones were all without an answer */
	w = world_new();
	w.gate.turns_unanswered = 50;
	w.now += 10 * S;
	look(&w);
	w.gate.turns_answered = 1;
	w.gate.turns_unanswered = 0;
	look(&w);
	assert_int_equal(w.verdict.answered_from, 1);
	assert_int_equal(w.verdict.unanswered_from, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_never_answers_never_fails),
		cmocka_unit_test(ruling_5_half_of_the_turns_is_enough),
		cmocka_unit_test(the_turns_of_long_ago_are_not_judged),
		cmocka_unit_test(the_turns_of_a_window_are_all_judged),
		cmocka_unit_test(few_turns_stay_judged_until_enough_have_come),
		cmocka_unit_test(a_slot_that_was_cleared_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/plain.c over maps of its own, with a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/plain.h"
#include "tests/lib/fake_view.h"

#define DSTS  8
#define PAIRS 16
#define DST   1
#define PAIR  1
#define OWN   (DSTS + PAIR) /* gate of the pair */
#define S     1000000000ULL

struct world {
	struct ebb_view view;
	struct ebb_plain *plain;
	uint64_t now;
};

static int set_up(void **state)
{
	static struct world world;
	struct world *w = &world;

	*w = (struct world){.now = 1000 * S};
	w->view = fake_view_new(DSTS, PAIRS);
	w->view.dsts[DST].state = EBB_SLOT_LIVE;
	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.pairs[PAIR].state = EBB_SLOT_LIVE;
	w->view.pairs[PAIR].dst = DST;
	w->view.pairs[PAIR].gate = DST;
	assert_int_equal(ebb_plain_new(&w->view, &w->plain), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_plain_free(w->plain);
	fake_view_free(&w->view);
	return 0;
}

static void moves(struct world *w, uint32_t gate, uint32_t gen, uint32_t to)
{
	w->view.verdicts[gate].word = ebb_word(gen, to, 0);
}

/* Looks once more, as soon as it looks again. */
static bool look(struct world *w)
{
	w->now += EBB_PLAIN_LOOK_NS;
	return ebb_plain_look(w->plain, w->now);
}

static uint32_t plain_gen(const struct world *w, uint32_t gate)
{
	return w->view.verdicts[gate].plain_gen;
}

static void a_breaker_that_never_moved_asks_for_no_walk(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_false(look(*state));
}

static void one_that_stays_closed_is_plain_after_a_walk(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_true(look(w));
	assert_int_equal(plain_gen(w, DST), 0);
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 1);
	assert_int_equal(plain_gen(w, DST), 3);
	/* and that is all */
	assert_false(look(w));
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 0);
}

static void what_the_kernel_pulled_is_in_force(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_CLOSED);
	w->view.gates[DST].pull = ebb_word(4, EBB_STATE_CLOSED, 0);
	assert_false(look(w));
	assert_true(look(w));
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 1);
	assert_int_equal(plain_gen(w, DST), 4);
}

static void looks_are_five_minutes_apart(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_false(ebb_plain_look(w->plain, w->now + EBB_PLAIN_LOOK_NS - 1));
	assert_true(ebb_plain_look(w->plain, w->now + EBB_PLAIN_LOOK_NS));
}

static void one_that_is_open_or_moves_between_the_looks_is_not(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_OPEN);
	assert_false(look(w));
	assert_false(look(w));
	moves(w, DST, 5, EBB_STATE_CLOSED);
	assert_false(look(w));
	moves(w, DST, 8, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_true(look(w));
}

static void a_walk_that_began_before_the_look_says_nothing(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_true(look(w));
	assert_int_equal(ebb_plain_walked(w->plain, w->now - 1), 0);
	assert_int_equal(plain_gen(w, DST), 0);
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 1);
}

static void one_that_moves_during_the_walk_is_not(void **state)
{
	struct world *w = *state;

	moves(w, DST, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_true(look(w));
	moves(w, DST, 4, EBB_STATE_OPEN);
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 0);
	moves(w, DST, 6, EBB_STATE_CLOSED);
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 0);
	assert_int_equal(plain_gen(w, DST), 0);
}

static void one_that_is_apart_is_never_plain(void **state)
{
	struct world *w = *state;

	w->view.pairs[PAIR].gate = OWN;
	moves(w, OWN, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_false(look(w));
	/* that of a workload which always has its own is */
	w->view.dsts[DST].scope = EBB_SCOPE_WORKLOAD;
	assert_true(look(w));
	assert_int_equal(ebb_plain_walked(w->plain, w->now), 1);
	assert_int_equal(plain_gen(w, OWN), 3);
}

static void those_of_other_and_of_free_slots_are_left_alone(void **state)
{
	struct world *w = *state;

	moves(w, EBB_SLOT_OTHER, 3, EBB_STATE_CLOSED);
	moves(w, DSTS + EBB_SLOT_OTHER, 3, EBB_STATE_CLOSED);
	moves(w, DST + 1, 3, EBB_STATE_CLOSED);
	moves(w, OWN + 1, 3, EBB_STATE_CLOSED);
	assert_false(look(w));
	assert_false(look(w));
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_breaker_that_never_moved_asks_for_no_walk),
		test(one_that_stays_closed_is_plain_after_a_walk),
		test(what_the_kernel_pulled_is_in_force),
		test(looks_are_five_minutes_apart),
		test(one_that_is_open_or_moves_between_the_looks_is_not),
		test(a_walk_that_began_before_the_look_says_nothing),
		test(one_that_moves_during_the_walk_is_not),
		test(one_that_is_apart_is_never_plain),
		test(those_of_other_and_of_free_slots_are_left_alone),
	};

	return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}

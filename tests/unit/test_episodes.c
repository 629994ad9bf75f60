/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/episodes.c: each stay outside closed is told once, with what began and what ended it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "agent/episodes.h"
#include "agent/move_facts.h"
#include "core/policy.h"

#define GATE 3

static struct ebb_memory memories[8];
static const struct ebb_view view = {.memories = memories, .gate_max = 8};
static uint32_t generation;
static struct ebb_episodes *episodes;
static struct ebb_episode told;

static int begin(void **state)
{
	(void)state;
	memset(memories, 0, sizeof(memories));
	generation = 0;
	return ebb_episodes_new(&view, &episodes);
}

static int end(void **state)
{
	(void)state;
	ebb_episodes_free(episodes);
	return 0;
}

static struct ebb_move remember(uint32_t reason, uint64_t episode)
{
	struct ebb_memory *memory = &memories[GATE];
	struct ebb_move move = {.gate = GATE};

	move.transition = (struct ebb_transition){.at_ns = 100ULL * ++generation,
						  .gen = generation,
						  .reason = reason,
						  .episode = episode};
	memory->last[memory->count++ % EBB_TRANSITIONS_KEPT] = move.transition;
	return move;
}

/* Remembered, then told, as the tick does it. */
static bool move_after(const char *last_failure, uint32_t reason, uint64_t episode)
{
	struct ebb_move m = remember(reason, episode);

	return ebb_episodes_moved(episodes, &m, last_failure, &told);
}

static bool move(uint32_t reason, uint64_t episode)
{
	return move_after(EBB_FAILURE_UNKNOWN, reason, episode);
}

static void another_agent_takes_over(void)
{
	ebb_episodes_free(episodes);
	assert_int_equal(ebb_episodes_new(&view, &episodes), 0);
}

static void one_is_told_when_it_closes(void **state)
{
	(void)state;
	assert_false(move(EBB_REASON_CONSECUTIVE_FAILURES, 7));
	assert_false(move(EBB_REASON_OPEN_EXPIRED, 7));
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	assert_int_equal(told.id, 7);
	assert_true(told.whole);
	assert_int_equal(told.move_count, 3);
	assert_int_equal(told.dropped, 0);
	assert_int_equal(told.moves[0].at_ns, 100);
	assert_int_equal(told.moves[2].reason, EBB_REASON_PROBES_SUCCEEDED);
}

static void a_long_one_keeps_its_beginning_and_its_end(void **state)
{
	(void)state;
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	for (int i = 0; i < 5; i++) {
		(void)move(EBB_REASON_OPEN_EXPIRED, 7);
		(void)move(EBB_REASON_PROBES_FAILED, 7);
	}
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	assert_int_equal(told.move_count, EBB_EPISODE_MOVES);
	assert_int_equal(told.dropped, 13 - EBB_EPISODE_MOVES);
	assert_int_equal(told.moves[0].reason, EBB_REASON_FAILURE_RATE);
	assert_int_equal(told.moves[1].at_ns, 1000);
	assert_int_equal(told.moves[EBB_EPISODE_MOVES - 1].at_ns, 1300);
}

static void the_next_one_begins_anew(void **state)
{
	(void)state;
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	(void)move(EBB_REASON_FAILURE_RATE, 8);
	(void)move(EBB_REASON_OPEN_EXPIRED, 8);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 8));
	assert_int_equal(told.id, 8);
	assert_int_equal(told.move_count, 3);
	assert_int_equal(told.moves[0].at_ns, 400);
}

static void the_failure_that_opened_it_is_told_at_its_end(void **state)
{
	(void)state;
	(void)move_after("reset", EBB_REASON_FAILURE_RATE, 7);
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	(void)move_after("timeout", EBB_REASON_PROBES_FAILED, 7);
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	assert_string_equal(told.last_failure, "reset");
	/* one that nobody knows is nobody else's */
	(void)move(EBB_REASON_SLOW_RATE, 8);
	(void)move(EBB_REASON_OPEN_EXPIRED, 8);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 8));
	assert_null(told.last_failure);
	(void)move_after("reset", EBB_REASON_FAILURE_RATE, 9);
	another_agent_takes_over();
	(void)move(EBB_REASON_OPEN_EXPIRED, 9);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 9));
	assert_null(told.last_failure);
}

static void one_that_began_under_another_agent_is_found_in_the_memory(void **state)
{
	(void)state;
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	another_agent_takes_over();
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	assert_true(told.whole);
	assert_int_equal(told.move_count, 3);
	assert_int_equal(told.moves[0].at_ns, 100);
	assert_int_equal(told.dropped, 0);
}

static void one_whose_beginning_is_forgotten_says_so(void **state)
{
	(void)state;
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	for (int i = 0; i < 2; i++) {
		(void)move(EBB_REASON_OPEN_EXPIRED, 7);
		(void)move(EBB_REASON_PROBES_FAILED, 7);
	}
	another_agent_takes_over();
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	assert_true(move(EBB_REASON_PROBES_SUCCEEDED, 7));
	assert_false(told.whole);
	assert_true(told.move_count >= 3);
	assert_int_equal(told.moves[told.move_count - 1].reason, EBB_REASON_PROBES_SUCCEEDED);
	for (uint32_t i = 1; i < told.move_count; i++)
		assert_true(told.moves[i].at_ns > told.moves[i - 1].at_ns);
}

/* In one look all are remembered before the first of them is told. */
static void several_of_one_look_are_told_each_with_its_own(void **state)
{
	struct ebb_move moves[] = {remember(EBB_REASON_FAILURE_RATE, 7), remember(EBB_REASON_OPEN_EXPIRED, 7),
				   remember(EBB_REASON_PROBES_SUCCEEDED, 7),
				   remember(EBB_REASON_FAILURE_RATE, 8)};

	(void)state;
	assert_false(ebb_episodes_moved(episodes, &moves[0], EBB_FAILURE_UNKNOWN, &told));
	assert_false(ebb_episodes_moved(episodes, &moves[1], EBB_FAILURE_UNKNOWN, &told));
	assert_true(ebb_episodes_moved(episodes, &moves[2], EBB_FAILURE_UNKNOWN, &told));
	assert_int_equal(told.id, 7);
	assert_int_equal(told.move_count, 3);
	assert_false(ebb_episodes_moved(episodes, &moves[3], EBB_FAILURE_UNKNOWN, &told));
}

static void of_one_that_is_taken_up_none_is_counted_twice(void **state)
{
	struct ebb_move moves[2];

	(void)state;
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	another_agent_takes_over();
	moves[0] = remember(EBB_REASON_OPEN_EXPIRED, 7);
	moves[1] = remember(EBB_REASON_PROBES_SUCCEEDED, 7);
	assert_false(ebb_episodes_moved(episodes, &moves[0], EBB_FAILURE_UNKNOWN, &told));
	assert_true(ebb_episodes_moved(episodes, &moves[1], EBB_FAILURE_UNKNOWN, &told));
	assert_int_equal(told.move_count, 3);
	assert_int_equal(told.dropped, 0);
}

/* Transitions at 100, 200, ... */
static void what_was_refused_belongs_to_the_episode_of_its_time(void **state)
{
	static const struct {
		uint64_t at_ns, episode;
	} cases[] = {
		{650, 8}, {600, 8}, {599, 8},			/* a moment before anybody looked */
		{500, 8}, {499, 7}, {400, 7}, {300, 7}, {1, 7}, /* what came before is forgotten */
	};

	(void)state;
	assert_int_equal(ebb_episodes_at(&view, GATE, 50), 0);
	(void)move(EBB_REASON_FAILURE_RATE, 7);
	assert_int_equal(ebb_episodes_at(&view, GATE, 50), 7);
	assert_int_equal(ebb_episodes_at(&view, GATE, 150), 7);
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	(void)move(EBB_REASON_PROBES_FAILED, 7);
	(void)move(EBB_REASON_OPEN_EXPIRED, 7);
	(void)move(EBB_REASON_PROBES_SUCCEEDED, 7);
	assert_int_equal(ebb_episodes_at(&view, GATE, 550), 0);
	(void)move(EBB_REASON_FAILURE_RATE, 8);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ebb_episodes_at(&view, GATE, cases[i].at_ns), cases[i].episode);
	assert_int_equal(ebb_episodes_at(&view, 8, 150), 0);
}

/* Of maps of an earlier layout. */
static void a_move_without_an_episode_is_none(void **state)
{
	(void)state;
	assert_false(move(EBB_REASON_FAILURE_RATE, 0));
	assert_false(move(EBB_REASON_PROBES_SUCCEEDED, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(one_is_told_when_it_closes),
		TEST(a_long_one_keeps_its_beginning_and_its_end),
		TEST(the_next_one_begins_anew),
		TEST(the_failure_that_opened_it_is_told_at_its_end),
		TEST(one_that_began_under_another_agent_is_found_in_the_memory),
		TEST(one_whose_beginning_is_forgotten_says_so),
		TEST(several_of_one_look_are_told_each_with_its_own),
		TEST(of_one_that_is_taken_up_none_is_counted_twice),
		TEST(what_was_refused_belongs_to_the_episode_of_its_time),
		TEST(a_move_without_an_episode_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

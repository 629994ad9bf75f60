/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/moves.c: everyone who listens has the same facts, in the same order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/moves.h"

#define MANY 3

/* What two listeners were told, in the order in which it was told. */
struct told {
	const char *who[2 * MANY];
	struct ebb_move moves[2 * MANY];
	size_t count;
};

struct ear {
	const char *name;
	struct told *told;
};

static void hear(void *userdata, const struct ebb_move *move)
{
	const struct ear *ear = userdata;

	assert_in_range(ear->told->count, 0, 2 * MANY - 1);
	ear->told->who[ear->told->count] = ear->name;
	ear->told->moves[ear->told->count++] = *move;
}

static const struct ebb_move where = {.gate = 7, .dst = 5, .pair = 3};

static const struct ebb_transition transitions[MANY] = {
	{.at_ns = 10,
	 .until_ns = 20,
	 .gen = 1,
	 .reason = EBB_REASON_FAILURE_RATE,
	 .ok = 4,
	 .failed = 6,
	 .slow = 1,
	 .run = 2,
	 .episode = 99},
	{.at_ns = 20, .gen = 2, .reason = EBB_REASON_OPEN_EXPIRED, .episode = 99},
	{.at_ns = 30, .gen = 3, .reason = EBB_REASON_PROBES_SUCCEEDED, .ok = 2, .episode = 99},
};

static void all_who_listen_get_the_same_facts_the_first_of_them_all_first(void **state)
{
	struct told told = {.count = 0};
	struct ear first = {"first", &told}, second = {"second", &told};
	struct ebb_moves moves = {.count = 0};

	(void)state;
	assert_int_equal(ebb_moves_listen(&moves, "first", hear, &first), 0);
	assert_int_equal(ebb_moves_listen(&moves, "second", hear, &second), 0);
	ebb_moves_publish(&moves, &where, transitions, MANY);
	assert_int_equal(told.count, 2 * MANY);
	for (size_t i = 0; i < told.count; i++) {
		const struct ebb_move *move = &told.moves[i];

		assert_string_equal(told.who[i], i < MANY ? "first" : "second");
		assert_int_equal(move->gate, where.gate);
		assert_int_equal(move->dst, where.dst);
		assert_int_equal(move->pair, where.pair);
		assert_memory_equal(&move->transition, &transitions[i % MANY], sizeof(move->transition));
	}
	assert_string_equal(moves.listeners[0].name, "first");
	assert_string_equal(moves.listeners[1].name, "second");
}

static void a_look_without_a_move_tells_nobody(void **state)
{
	struct told told = {.count = 0};
	struct ear ear = {"only", &told};
	struct ebb_moves moves = {.count = 0};

	(void)state;
	ebb_moves_publish(&moves, &where, transitions, MANY);
	assert_int_equal(ebb_moves_listen(&moves, "only", hear, &ear), 0);
	ebb_moves_publish(&moves, &where, transitions, 0);
	assert_int_equal(told.count, 0);
}

static void who_finds_no_room_is_told(void **state)
{
	struct ebb_moves moves = {.count = 0};
	struct told told = {.count = 0};
	struct ear ear = {"one of many", &told};

	(void)state;
	for (size_t i = 0; i < EBB_MOVES_LISTENERS_MAX; i++)
		assert_int_equal(ebb_moves_listen(&moves, ear.name, hear, &ear), 0);
	assert_int_equal(ebb_moves_listen(&moves, ear.name, hear, &ear), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_who_listen_get_the_same_facts_the_first_of_them_all_first),
		cmocka_unit_test(a_look_without_a_move_tells_nobody),
		cmocka_unit_test(who_finds_no_room_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

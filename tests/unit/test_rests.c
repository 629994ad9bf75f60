/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/rests.c: half of the time belongs to others, in short turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/rests.h"

#define US 1000ULL
#define MS 1000000ULL
#define S  1000000000ULL

/* Pieces of @piece_ns, one after the other, until @ms of them are done; a rest is kept, and looked at by @most_ns. */
static uint64_t answer(struct ebb_rests *rests, uint64_t *io_now, uint64_t piece_ns, uint64_t work_ns)
{
	uint64_t begin = *io_now, stretch = 0, longest = 0;

	for (uint64_t done = 0; done < work_ns; done += piece_ns) {
		uint64_t start = *io_now, until;

		*io_now += piece_ns;
		stretch += piece_ns;
		until = ebb_rests_worked(rests, start, *io_now);
		longest = stretch > longest ? stretch : longest;
		if (until) {
			assert_true(until > *io_now && (until - *io_now) % MS == 0);
			*io_now = until;
			stretch = 0;
		}
	}
	assert_true(longest < MS + piece_ns);
	return *io_now - begin;
}

static void a_short_answer_is_made_at_once(void **state)
{
	struct ebb_rests rests = {0};
	uint64_t now = 10 * S;

	(void)state;
	assert_int_equal(answer(&rests, &now, 90 * US, 900 * US), 900 * US);
}

static void a_long_one_leaves_half_of_the_time_to_others(void **state)
{
	struct ebb_rests rests = {0};
	uint64_t now = 10 * S, took;

	(void)state;
	for (uint64_t piece = 10 * US; piece < MS; piece += 70 * US) {
		took = answer(&rests, &now, piece, 100 * MS);
		assert_in_range(took, 196 * MS, 203 * MS);
		now += S;
	}
}

/* One piece of work cannot be divided: a rest as long makes up for it. */
static void a_rest_is_as_long_as_the_work(void **state)
{
	struct ebb_rests rests = {0};

	(void)state;
	assert_int_equal(ebb_rests_worked(&rests, S, S + 8 * MS + 300 * US), S + 16 * MS + 300 * US);
}

/* Many clients that ask for little are as good as one that asks for much. */
static void who_asks_again_and_again_is_answered_half_of_the_time(void **state)
{
	struct ebb_rests rests = {0};
	uint64_t now = 10 * S, begin = now, worked = 0;

	(void)state;
	while (now < begin + S) {
		uint64_t start = now, until;

		now += 200 * US;
		worked += 200 * US;
		until = ebb_rests_worked(&rests, start, now);
		now = (until ? until : now) + 10 * US; /* until the next one asks */
	}
	assert_in_range(worked, 480 * MS, 530 * MS);
}

static void what_was_rested_anyway_counts(void **state)
{
	struct ebb_rests rests = {0};
	uint64_t now = 10 * S;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(ebb_rests_worked(&rests, now, now + 900 * US), 0);
		now += 2 * MS;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_answer_is_made_at_once),
		cmocka_unit_test(a_long_one_leaves_half_of_the_time_to_others),
		cmocka_unit_test(a_rest_is_as_long_as_the_work),
		cmocka_unit_test(who_asks_again_and_again_is_answered_half_of_the_time),
		cmocka_unit_test(what_was_rested_anyway_counts),
	};

	return cmocka_run_group_tests_name("rests", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/urgency.c: real-time priority that was taken comes back, not at once, and not again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/urgency.h"

#define S   1000000000ULL
#define NOW (1000 * S)

/* Looks ten times a second until it is due; returns how long that took. */
static uint64_t waits(const struct ebb_urgency *u, uint64_t *io_now)
{
	uint64_t begin = *io_now;

	while (!ebb_urgency_is_due(u, *io_now)) {
		*io_now += S / 10;
		assert_true(*io_now - begin < 10000 * S);
	}
	return *io_now - begin;
}

static struct ebb_urgency held_since(uint64_t now)
{
	struct ebb_urgency u = {0};

	ebb_urgency_want(&u, true, now);
	assert_true(ebb_urgency_is_due(&u, now));
	ebb_urgency_asked(&u, true, now);
	return u;
}

static void what_is_wanted_is_asked_for_at_once_and_once(void **state)
{
	struct ebb_urgency u = {0};

	(void)state;
	assert_false(ebb_urgency_is_due(&u, NOW));
	u = held_since(NOW);
	assert_true(u.held && !u.taken);
	assert_false(ebb_urgency_is_due(&u, NOW + 100000 * S));
}

static void what_was_taken_comes_back_after_a_while(void **state)
{
	struct ebb_urgency u = held_since(NOW);
	uint64_t now = NOW + S;

	(void)state;
	ebb_urgency_lost(&u, now);
	assert_true(!u.held && u.taken && u.losses == 1);
	assert_int_equal(waits(&u, &now), 5 * S);
	ebb_urgency_asked(&u, true, now);
	assert_true(u.held && !u.taken && u.losses == 1);
}

/* A fault that stays costs others 200 ms each time: less and less often. */
static void who_loses_it_again_and_again_waits_longer_each_time(void **state)
{
	struct ebb_urgency u = held_since(NOW);
	uint64_t now = NOW, wanted = 5 * S;

	(void)state;
	for (int i = 0; i < 20; i++) {
		now += S;
		ebb_urgency_lost(&u, now);
		assert_int_equal(waits(&u, &now), wanted);
		ebb_urgency_asked(&u, true, now);
		wanted = 2 * wanted < 3600 * S ? 2 * wanted : 3600 * S;
	}
	assert_int_equal(u.losses, 20);
}

static void who_kept_it_for_long_begins_anew(void **state)
{
	struct ebb_urgency u = held_since(NOW);
	uint64_t now = NOW;

	(void)state;
	for (int i = 0; i < 5; i++) {
		ebb_urgency_lost(&u, now);
		(void)waits(&u, &now);
		ebb_urgency_asked(&u, true, now);
	}
	now += 599 * S;
	ebb_urgency_lost(&u, now);
	assert_int_equal(waits(&u, &now), 160 * S);
	ebb_urgency_asked(&u, true, now);
	now += 600 * S;
	ebb_urgency_lost(&u, now);
	assert_int_equal(waits(&u, &now), 5 * S);
}

/* Not permitted now; somebody may permit it later. It was not taken. */
static void what_is_refused_is_asked_for_again(void **state)
{
	struct ebb_urgency u = {0};
	uint64_t now = NOW;

	(void)state;
	ebb_urgency_want(&u, true, now);
	ebb_urgency_asked(&u, false, now);
	assert_true(!u.held && !u.taken && u.losses == 0);
	assert_int_equal(waits(&u, &now), 5 * S);
	ebb_urgency_asked(&u, false, now);
	assert_int_equal(waits(&u, &now), 10 * S);
	ebb_urgency_asked(&u, true, now);
	assert_true(u.held);
}

static void what_is_wanted_anew_is_asked_for_at_once(void **state)
{
	struct ebb_urgency u = held_since(NOW);

	(void)state;
	ebb_urgency_lost(&u, NOW + S);
	ebb_urgency_want(&u, true, NOW + 2 * S);
	assert_false(ebb_urgency_is_due(&u, NOW + 2 * S));
	ebb_urgency_want(&u, false, NOW + 3 * S);
	assert_true(!u.held && !u.taken && u.losses == 1);
	assert_false(ebb_urgency_is_due(&u, NOW + 9 * S));
	ebb_urgency_want(&u, true, NOW + 9 * S);
	assert_true(ebb_urgency_is_due(&u, NOW + 9 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wanted_is_asked_for_at_once_and_once),
		cmocka_unit_test(what_was_taken_comes_back_after_a_while),
		cmocka_unit_test(who_loses_it_again_and_again_waits_longer_each_time),
		cmocka_unit_test(who_kept_it_for_long_begins_anew),
		cmocka_unit_test(what_is_refused_is_asked_for_again),
		cmocka_unit_test(what_is_wanted_anew_is_asked_for_at_once),
	};

	return cmocka_run_group_tests_name("urgency", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is healthy, since when, and who may be sent work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/health.h"

static void everything_is_healthy_at_first(void **state)
{
	struct ebb_health h;

	(void)state;
	ebb_health_init(&h, 1000);
	assert_int_equal(ebb_health_overall(&h), EBB_HEALTHY);
	assert_false(h.started);
	for (int i = 0; i < EBB_HEALTH_MAX; i++) {
		assert_int_equal(h.entries[i].since_realtime_ns, 1000);
		assert_string_equal(h.entries[i].why, "");
	}
}

static void the_worst_component_decides(void **state)
{
	struct ebb_health h;

	(void)state;
	ebb_health_init(&h, 0);
	ebb_health_set(&h, EBB_HEALTH_TABLES, EBB_DEGRADED, 1, "full");
	assert_int_equal(ebb_health_overall(&h), EBB_DEGRADED);
	ebb_health_set(&h, EBB_HEALTH_PROGRAMS, EBB_UNHEALTHY, 2, "gone");
	assert_int_equal(ebb_health_overall(&h), EBB_UNHEALTHY);
	ebb_health_set(&h, EBB_HEALTH_EVENTS, EBB_DEGRADED, 3, "lost");
	assert_int_equal(ebb_health_overall(&h), EBB_UNHEALTHY);
	ebb_health_set(&h, EBB_HEALTH_PROGRAMS, EBB_HEALTHY, 4, NULL);
	assert_int_equal(ebb_health_overall(&h), EBB_DEGRADED);
}

static void what_is_ignored_decides_nothing(void **state)
{
	struct ebb_health h;

	(void)state;
	ebb_health_init(&h, 0);
	h.started = h.enforce_wanted = true;
	h.ignored = 1U << EBB_HEALTH_LIMITS | 1U << EBB_HEALTH_TABLES;
	ebb_health_set(&h, EBB_HEALTH_TABLES, EBB_DEGRADED, 1, "full");
	ebb_health_set(&h, EBB_HEALTH_LIMITS, EBB_UNHEALTHY, 2, "gone");
	assert_int_equal(ebb_health_overall(&h), EBB_HEALTHY);
	assert_true(ebb_health_ready(&h));
	/* what is in place is told as it is */
	assert_false(ebb_health_enforcing(&h));
	assert_int_equal(ebb_health_obstacle(&h, 0), EBB_HEALTH_LIMITS);
	assert_int_equal(ebb_health_obstacle(&h, h.ignored), EBB_HEALTH_MAX);
	assert_int_equal(h.entries[EBB_HEALTH_LIMITS].state, EBB_UNHEALTHY);
	ebb_health_set(&h, EBB_HEALTH_LEASE, EBB_UNHEALTHY, 3, "over");
	assert_int_equal(ebb_health_overall(&h), EBB_UNHEALTHY);
	assert_false(ebb_health_ready(&h));
	assert_int_equal(ebb_health_obstacle(&h, h.ignored), EBB_HEALTH_LEASE);
}

static void checked_moves_with_each_look(void **state)
{
	struct ebb_health h;

	(void)state;
	ebb_health_init(&h, 5);
	assert_int_equal(h.entries[EBB_HEALTH_PINS].checked_realtime_ns, 5);
	ebb_health_set(&h, EBB_HEALTH_PINS, EBB_HEALTHY, 20, NULL);
	assert_int_equal(h.entries[EBB_HEALTH_PINS].checked_realtime_ns, 20);
	assert_int_equal(h.entries[EBB_HEALTH_PINS].since_realtime_ns, 5);
}

static void since_moves_only_when_the_state_changes(void **state)
{
	const struct ebb_health_entry *loop;
	struct ebb_health h;

	(void)state;
	ebb_health_init(&h, 10);
	loop = &h.entries[EBB_HEALTH_LOOP];
	ebb_health_set(&h, EBB_HEALTH_LOOP, EBB_HEALTHY, 20, NULL);
	assert_int_equal(loop->since_realtime_ns, 10);
	ebb_health_set(&h, EBB_HEALTH_LOOP, EBB_DEGRADED, 30, "late by %d ms", 5);
	assert_int_equal(loop->since_realtime_ns, 30);
	assert_string_equal(loop->why, "late by 5 ms");
	ebb_health_set(&h, EBB_HEALTH_LOOP, EBB_DEGRADED, 40, "late by %d ms", 6);
	assert_int_equal(loop->since_realtime_ns, 30);
	assert_string_equal(loop->why, "late by 6 ms");
	ebb_health_set(&h, EBB_HEALTH_LOOP, EBB_HEALTHY, 50, "not told");
	assert_int_equal(loop->since_realtime_ns, 50);
	assert_string_equal(loop->why, "");
}

static void a_long_reason_is_cut(void **state)
{
	char longest[1000];
	struct ebb_health h;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ebb_health_init(&h, 0);
	ebb_health_set(&h, EBB_HEALTH_LOOP, EBB_DEGRADED, 0, "%s", longest);
	assert_int_equal(strlen(h.entries[EBB_HEALTH_LOOP].why), sizeof(h.entries[0].why) - 1);
}

static void ready_needs_enforcement_only_where_it_is_wanted(void **state)
{
	static const struct {
		bool started, stopping, wanted;
		enum ebb_health_state programs, enforcement, tables;
		bool ready, enforcing;
	} cases[] = {
		{false, false, false, EBB_HEALTHY, EBB_HEALTHY, EBB_HEALTHY, false, false},
		{true, false, false, EBB_HEALTHY, EBB_HEALTHY, EBB_HEALTHY, true, false},
		{true, true, false, EBB_HEALTHY, EBB_HEALTHY, EBB_HEALTHY, false, false},
		{true, false, true, EBB_HEALTHY, EBB_HEALTHY, EBB_HEALTHY, true, true},
		{true, false, true, EBB_HEALTHY, EBB_UNHEALTHY, EBB_HEALTHY, false, false},
		{true, false, true, EBB_UNHEALTHY, EBB_HEALTHY, EBB_HEALTHY, false, false},
		{true, false, false, EBB_UNHEALTHY, EBB_UNHEALTHY, EBB_HEALTHY, true, false},
		{true, false, true, EBB_HEALTHY, EBB_DEGRADED, EBB_HEALTHY, true, true},
		{true, false, true, EBB_HEALTHY, EBB_HEALTHY, EBB_UNHEALTHY, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_health h;

		ebb_health_init(&h, 0);
		h.started = cases[i].started;
		h.stopping = cases[i].stopping;
		h.enforce_wanted = cases[i].wanted;
		ebb_health_set(&h, EBB_HEALTH_PROGRAMS, cases[i].programs, 1, "x");
		ebb_health_set(&h, EBB_HEALTH_ENFORCEMENT, cases[i].enforcement, 1, "x");
		ebb_health_set(&h, EBB_HEALTH_TABLES, cases[i].tables, 1, "x");
		if (ebb_health_ready(&h) != cases[i].ready || ebb_health_enforcing(&h) != cases[i].enforcing)
			fail_msg("case %zu", i);
	}
}

static void names_are_never_null(void **state)
{
	(void)state;
	assert_string_equal(ebb_health_component_name(EBB_HEALTH_TABLES), "tables");
	assert_string_equal(ebb_health_component_name(EBB_HEALTH_MAX), "unknown");
	assert_string_equal(ebb_health_state_name(EBB_UNHEALTHY), "unhealthy");
	assert_string_equal(ebb_health_state_name((enum ebb_health_state)7), "unknown");
	for (int i = 0; i < EBB_HEALTH_MAX; i++)
		assert_non_null(ebb_health_component_name((enum ebb_health_component)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_healthy_at_first),
		cmocka_unit_test(the_worst_component_decides),
		cmocka_unit_test(what_is_ignored_decides_nothing),
		cmocka_unit_test(checked_moves_with_each_look),
		cmocka_unit_test(since_moves_only_when_the_state_changes),
		cmocka_unit_test(a_long_reason_is_cut),
		cmocka_unit_test(ready_needs_enforcement_only_where_it_is_wanted),
		cmocka_unit_test(names_are_never_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

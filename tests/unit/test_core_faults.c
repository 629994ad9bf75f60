/* SPDX-License-Identifier: Apache-2.0 */
/* No memory, at every place where user/core asks for some: it says so and hands out nothing that is half made. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/breaker.h"
#include "core/match.h"
#include "core/routes.h"
#include "core/simulate.h"
#include "random_rules.h"
#include "tests/lib/faults.h"

#define MS 1000000ULL

/* Rules of enough kinds and ports that every table has to grow. */
static size_t many_rules(struct ebb_match matches[200], struct ebb_rule rules[200])
{
	memset(matches, 0, 200 * sizeof(*matches));
	for (uint32_t i = 0; i < 200; i++) {
		matches[i] = (struct ebb_match){.kind = EBB_MATCH_PREFIX,
						.addr = {0x20, 0x01, [14] = (uint8_t)(i / 2)},
						.bits = 120,
						.port = (uint16_t)(1 + i)};
		rules[i] = (struct ebb_rule){&matches[i], i};
	}
	return 200;
}

static void assert_same_routes(const struct ebb_routes *a, const struct ebb_routes *b)
{
	assert_int_equal(a->prefix_count, b->prefix_count);
	assert_int_equal(a->port_count, b->port_count);
	assert_int_equal(a->set_count, b->set_count);
	assert_memory_equal(a->prefixes, b->prefixes, a->prefix_count * sizeof(*a->prefixes));
	assert_memory_equal(a->ports, b->ports, a->port_count * sizeof(*a->ports));
}

static void routes_without_memory_are_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct ebb_routes *wanted;
	struct ebb_match matches[200];
	struct ebb_rule rules[200];
	size_t count = many_rules(matches, rules);

	(void)state;
	assert_int_equal(ebb_routes_flatten(rules, count, &wanted, NULL), 0);
	while (faults_next(&faults)) {
		struct ebb_routes *routes = NULL;
		struct ebb_why why = {{0}};
		int r;

		faults_on(&faults);
		r = ebb_routes_flatten(rules, count, &routes, &why);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r < 0) {
			assert_null(routes);
			assert_string_equal(why.text, "out of memory");
			continue;
		}
		assert_same_routes(routes, wanted);
		ebb_routes_free(routes);
	}
	assert_true(faults.places > 10);
	ebb_routes_free(wanted);
}

static void a_matcher_without_memory_is_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	uint64_t random = 0x6a09e667f3bcc908ULL;
	struct rule_set set;

	(void)state;
	do {
		random_rules(&random, true, &set);
	} while (set.count < 20);
	while (faults_next(&faults)) {
		struct ebb_matcher *matcher = NULL;
		int r;

		faults_on(&faults);
		r = ebb_matcher_new(set.rules, set.count, &matcher);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		assert_true((matcher != NULL) == (r == 0));
		ebb_matcher_free(matcher);
	}
	assert_int_equal(faults.places, 2);
}

/* -------------------------------------------------------------------- simulate -- */

#define CALLS 300

static void count_move(void *userdata, const struct ebb_sim_move *move)
{
	(void)move;
	(*(size_t *)userdata)++;
}

/* Failures first, then successes, many at a time, and not in order. */
static void make_calls(struct ebb_sim_call calls[CALLS])
{
	for (uint32_t i = 0; i < CALLS; i++)
		calls[CALLS - 1 - i] = (struct ebb_sim_call){.at_ns = 10 * MS * i,
							     .took_ns = 5000 * MS,
							     .gate = i % 2,
							     .outcome = i < 100 ? EBB_OUTCOME_REFUSED
										: EBB_OUTCOME_ESTABLISHED};
}

static void calls_that_cannot_be_sorted_stay_as_they_are(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct ebb_sim_call calls[CALLS], before[CALLS];

	(void)state;
	make_calls(before);
	while (faults_next(&faults)) {
		int r;

		memcpy(calls, before, sizeof(calls));
		faults_on(&faults);
		r = ebb_sim_sort(calls, CALLS);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r < 0)
			assert_memory_equal(calls, before, sizeof(calls));
		else
			assert_int_equal(calls[0].at_ns, 0);
	}
	assert_int_equal(faults.places, 1);
}

static void a_replay_without_memory_has_no_totals(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	const struct ebb_sim_gate gates[] = {{"a", 0}, {"b", 0}};
	struct ebb_sim_totals wanted[2], untouched[2];
	struct ebb_breaker_config config;
	struct ebb_sim_call calls[CALLS];
	size_t moves = 0, wanted_moves;
	const struct ebb_simulation simulation = {.configs = &config,
						  .config_count = 1,
						  .gates = gates,
						  .gate_count = 2,
						  .calls = calls,
						  .call_count = CALLS,
						  .seed = 1,
						  .on_move = count_move,
						  .userdata = &moves};

	(void)state;
	ebb_policy_defaults(&config);
	make_calls(calls);
	assert_int_equal(ebb_sim_sort(calls, CALLS), 0);
	assert_int_equal(ebb_simulate(&simulation, wanted), 0);
	wanted_moves = moves;
	assert_true(wanted_moves > 2);
	memset(untouched, 0x5a, sizeof(untouched));
	while (faults_next(&faults)) {
		struct ebb_sim_totals totals[2];
		int r;

		memcpy(totals, untouched, sizeof(totals));
		moves = 0;
		faults_on(&faults);
		r = ebb_simulate(&simulation, totals);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		assert_memory_equal(totals, r < 0 ? untouched : wanted, sizeof(totals));
		if (r == 0)
			assert_int_equal(moves, wanted_moves);
	}
	assert_true(faults.places > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_without_memory_are_none),
		cmocka_unit_test(a_matcher_without_memory_is_none),
		cmocka_unit_test(calls_that_cannot_be_sorted_stay_as_they_are),
		cmocka_unit_test(a_replay_without_memory_has_no_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

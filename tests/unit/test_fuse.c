/* SPDX-License-Identifier: Apache-2.0 */
/* The node fuse: when it acts, when it ends, and what counts. docs/state-machine.md, "The node fuse". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/gate.h"
#include "core/fuse.h"

#define S   1000000000ULL
#define NOW (1000 * S)

struct world {
	struct ebb_fuse fuse;
	struct ebb_fuse_config config;
	struct ebb_fuse_move move;
	uint64_t now;
};

static struct world a_world(void)
{
	struct world w = {.now = NOW};

	ebb_fuse_defaults(&w.config);
	return w;
}

static bool look(struct world *w, uint32_t active, uint32_t open, uint64_t results)
{
	const struct ebb_fuse_facts facts = {.active = active, .open = open, .results = results};

	return ebb_fuse_look(&w->fuse, &w->config, &facts, w->now, &w->move);
}

static struct world that_acts(void)
{
	struct world w = a_world();

	assert_true(look(&w, 10, 5, 50));
	return w;
}

static void the_defaults_are_those_of_the_design(void **state)
{
	const struct world w = a_world();

	(void)state;
	assert_true(w.config.open_ratio == 0.5);
	assert_int_equal(w.config.min_destinations, 4);
	assert_int_equal(w.config.min_calls, 50);
	assert_int_equal(w.config.action, EBB_FUSE_ALERT);
	assert_int_equal(w.config.window_ns, 10 * S);
}

static void it_acts_at_its_thresholds_and_not_one_short_of_any(void **state)
{
	static const struct {
		uint32_t active, open;
		uint64_t results;
		bool acts;
	} cases[] = {
		{4, 2, 50, true},  {3, 3, 50, false}, {4, 2, 49, false},   {4, 1, 50, false},
		{5, 2, 50, false}, {5, 3, 50, true},  {0, 0, 1000, false}, {4, 4, 1ULL << 40, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w = a_world();

		assert_int_equal(look(&w, cases[i].active, cases[i].open, cases[i].results), cases[i].acts);
		assert_int_equal(w.fuse.acts, cases[i].acts);
	}
}

static void its_move_says_the_facts(void **state)
{
	struct world w = a_world();

	(void)state;
	w.config.action = EBB_FUSE_SHED;
	assert_false(look(&w, 6, 2, 30));
	w.now += S;
	assert_true(look(&w, 6, 4, 25));
	assert_int_equal(w.move.at_ns, w.now);
	assert_true(w.move.acts);
	assert_int_equal(w.move.action, EBB_FUSE_SHED);
	assert_int_equal(w.move.active, 6);
	assert_int_equal(w.move.open, 4);
	assert_int_equal(w.move.calls, 55);
	/* the same facts again are no other move */
	assert_false(look(&w, 6, 4, 0));
}

static void results_count_for_one_window(void **state)
{
	struct world w = a_world();

	(void)state;
	assert_false(look(&w, 4, 0, 50));
	w.now += 10 * S;
	assert_false(look(&w, 4, 4, 49));
	w = a_world();
	assert_false(look(&w, 4, 0, 50));
	w.now += 9 * S;
	assert_true(look(&w, 4, 4, 0));
}

static void it_ends_after_one_window_below_half_of_the_ratio(void **state)
{
	struct world w = that_acts();

	(void)state;
	/* 0.25 itself is not below it */
	for (int i = 0; i < 30; i++) {
		w.now += S;
		assert_false(look(&w, 8, 2, 0));
	}
	assert_true(ebb_fuse_deadline(&w.fuse, &w.config) == UINT64_MAX);
	w.now += S;
	assert_false(look(&w, 9, 2, 0));
	assert_true(ebb_fuse_deadline(&w.fuse, &w.config) == w.now + 10 * S);
	w.now += 10 * S - 1;
	assert_false(look(&w, 9, 2, 0));
	w.now += 1;
	assert_true(look(&w, 9, 2, 0));
	assert_false(w.move.acts);
	assert_int_equal(w.move.active, 9);
	assert_int_equal(w.move.open, 2);
	assert_true(ebb_fuse_deadline(&w.fuse, &w.config) == UINT64_MAX);
}

static void once_up_again_the_window_begins_anew(void **state)
{
	struct world w = that_acts();

	(void)state;
	assert_false(look(&w, 10, 0, 0));
	w.now += 9 * S;
	assert_false(look(&w, 10, 3, 0));
	w.now += 2 * S;
	assert_false(look(&w, 10, 0, 0));
	w.now += 9 * S;
	assert_false(look(&w, 10, 0, 0));
	w.now += S;
	assert_true(look(&w, 10, 0, 0));
}

static void it_needs_no_results_and_no_destinations_to_go_on_or_to_end(void **state)
{
	struct world w = that_acts();

	(void)state;
	w.now += 60 * S;
	assert_false(look(&w, 1, 1, 0));
	/* nobody calls any more */
	assert_false(look(&w, 0, 0, 0));
	w.now += 10 * S;
	assert_true(look(&w, 0, 0, 0));
	assert_false(w.fuse.acts);
}

static void after_its_end_it_acts_again_by_all_thresholds(void **state)
{
	struct world w = that_acts();

	(void)state;
	assert_false(look(&w, 10, 0, 0));
	w.now += 10 * S;
	assert_true(look(&w, 10, 0, 0));
	assert_false(look(&w, 10, 10, 49));
	assert_true(look(&w, 10, 10, 1));
	assert_true(w.move.acts);
}

static void another_action_is_no_move(void **state)
{
	struct world w = that_acts();

	(void)state;
	w.config.action = EBB_FUSE_RELEASE;
	assert_false(look(&w, 10, 5, 0));
	assert_true(w.fuse.acts);
}

static void a_gate_is_active_for_one_window(void **state)
{
	static const struct {
		uint64_t used_ns;
		uint32_t active;
	} cases[] = {
		{0, 0},
		{NOW - 10 * S, 0},
		{NOW - 10 * S + 1, 1},
		{NOW, 1},
		{NOW + S, 1} /* a tick ran late */,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t s = 0; s < EBB_STATE_MAX; s++) {
			struct ebb_fuse_gates gates = {0};

			ebb_fuse_count_gate(&gates, s, cases[i].used_ns, 10 * S, NOW);
			assert_int_equal(gates.active, cases[i].active);
			assert_int_equal(gates.open, s == EBB_STATE_CLOSED ? 0 : cases[i].active);
		}
	}
}

static void a_destination_counts_that_is_named_or_shared(void **state)
{
	static const struct {
		struct ebb_fuse_gates gates;
		bool named;
		uint32_t active, open;
	} cases[] = {
		{{.workloads = 1, .active = 1, .open = 1}, false, 0, 0},
		{{.workloads = 1, .active = 1, .open = 1}, true, 1, 1},
		{{.workloads = 2, .active = 1, .open = 1}, false, 1, 1},
		{{.workloads = 2, .active = 1, .open = 0}, false, 1, 0},
		/* nobody uses it now */
		{{.workloads = 2}, true, 0, 0},
		/* a gate for each workload: open when half of the active ones are */
		{{.workloads = 5, .active = 4, .open = 2}, false, 1, 1},
		{{.workloads = 5, .active = 5, .open = 2}, false, 1, 0},
		{{.workloads = 5, .active = 3, .open = 2}, false, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_fuse_facts facts = {0};

		ebb_fuse_count_destination(&facts, &cases[i].gates, cases[i].named);
		assert_int_equal(facts.active, cases[i].active);
		assert_int_equal(facts.open, cases[i].open);
	}
}

/* What commands tell is what the kernel does. */
static void what_is_in_force_is_the_same_on_both_sides(void **state)
{
	static const struct {
		uint64_t heartbeat_ns;
		bool alive;
	} cases[] = {{0, false}, {NOW - 30 * S, true}, {NOW - 30 * S - 1, false}, {NOW + S, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t fuse = 0; fuse < EBB_FUSE_MAX; fuse++) {
			const struct ebb_agent agent = {.fuse = fuse,
							.heartbeat_ns = cases[i].heartbeat_ns,
							.lease_ns = 30 * S};

			assert_int_equal(ebb_fuse_of(&agent, NOW), cases[i].alive ? fuse : EBB_FUSE_OFF);
			assert_int_equal(ebb_fuse_in_force(&agent, NOW), ebb_fuse_of(&agent, NOW));
		}
	}
	for (uint32_t fuse = 0; fuse < EBB_FUSE_MAX; fuse++) {
		for (uint32_t exempt = 0; exempt < 2; exempt++) {
			const struct ebb_policy policy = {.fuse_exempt = exempt};

			assert_int_equal(ebb_fuse_refuses(&policy, fuse), fuse == EBB_FUSE_SHED && !exempt);
			assert_int_equal(ebb_fuse_refuses(&policy, fuse), ebb_fuse_sheds(&policy, fuse));
		}
	}
}

static void its_actions_have_names(void **state)
{
	(void)state;
	assert_string_equal(ebb_fuse_name(EBB_FUSE_OFF), "off");
	assert_string_equal(ebb_fuse_name(EBB_FUSE_ALERT), "alert");
	assert_string_equal(ebb_fuse_name(EBB_FUSE_RELEASE), "release");
	assert_string_equal(ebb_fuse_name(EBB_FUSE_SHED), "shed");
	assert_string_equal(ebb_fuse_name(EBB_FUSE_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_design),
		cmocka_unit_test(it_acts_at_its_thresholds_and_not_one_short_of_any),
		cmocka_unit_test(its_move_says_the_facts),
		cmocka_unit_test(results_count_for_one_window),
		cmocka_unit_test(it_ends_after_one_window_below_half_of_the_ratio),
		cmocka_unit_test(once_up_again_the_window_begins_anew),
		cmocka_unit_test(it_needs_no_results_and_no_destinations_to_go_on_or_to_end),
		cmocka_unit_test(after_its_end_it_acts_again_by_all_thresholds),
		cmocka_unit_test(another_action_is_no_move),
		cmocka_unit_test(a_gate_is_active_for_one_window),
		cmocka_unit_test(a_destination_counts_that_is_named_or_shared),
		cmocka_unit_test(what_is_in_force_is_the_same_on_both_sides),
		cmocka_unit_test(its_actions_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What pairs did in a minute: nothing is told twice, nothing is left out, and a crowd is told together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/audit_sums.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define START (1000 * S)
#define REAL  (1700000000LL * (int64_t)S)
#define PAIRS 4096

struct world {
	struct ebb_view view;
	struct ebb_audit_sums *sums;
	uint64_t now;
};

static struct ebb_pair *use(struct world *w, uint32_t p, uint64_t workload)
{
	struct ebb_pair *pair = &w->view.pairs[p];

	pair->state = EBB_SLOT_LIVE;
	pair->epoch++;
	pair->workload = workload;
	pair->dst = p % w->view.dst_max;
	if (w->view.kernel->pair_high < p)
		w->view.kernel->pair_high = p;
	return pair;
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(16, PAIRS);
	w->now = START;
	assert_int_equal(ebb_audit_sums_new(&w->view, w->now, &w->sums), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_audit_sums_free(w->sums);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

static int64_t realtime(const struct world *w)
{
	return REAL + (int64_t)(w->now - START);
}

static void pass(struct world *w, uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds; i++) {
		w->now += S;
		ebb_audit_sums_look(w->sums, w->now, realtime(w));
	}
}

static struct ebb_audit_sum next(struct world *w)
{
	struct ebb_audit_sum sum;

	assert_true(ebb_audit_sums_next(w->sums, &sum));
	return sum;
}

static void assert_no_more(struct world *w)
{
	struct ebb_audit_sum sum;

	assert_false(ebb_audit_sums_next(w->sums, &sum));
}

static void a_minute_is_told_at_its_end_and_once(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair = use(w, 3, 77);
	struct ebb_audit_sum sum;

	pass(w, 5);
	pair->attempts = 10;
	pair->outcomes[EBB_OUTCOME_REFUSED] = 4;
	pair->outcomes[EBB_OUTCOME_ESTABLISHED] = 2;
	pair->result_ok = 2;
	pair->denied[EBB_CAUSE_BREAKER] = 6;
	pass(w, 10);
	pair->denied[EBB_CAUSE_RATE] = 1;
	pair->would_deny[EBB_CAUSE_FUSE] = 2;
	pass(w, 44);
	assert_no_more(w);
	pass(w, 1);
	sum = next(w);
	assert_int_equal(sum.pair, 3);
	assert_int_equal(sum.workload, 77);
	assert_int_equal(sum.others, 0);
	assert_int_equal(sum.outcomes[EBB_OUTCOME_REFUSED], 4);
	assert_int_equal(sum.denied[EBB_CAUSE_BREAKER], 6);
	assert_int_equal(sum.denied[EBB_CAUSE_RATE], 1);
	assert_int_equal(sum.would_deny[EBB_CAUSE_FUSE], 2);
	assert_int_equal(sum.ok, 2);
	assert_int_equal(ebb_audit_sum_failures(&sum), 4);
	assert_int_equal(ebb_audit_sum_denials(&sum), 9);
	assert_int_equal(sum.first_realtime_ns, REAL + 6 * (int64_t)S);
	assert_int_equal(sum.last_realtime_ns, REAL + 16 * (int64_t)S);
	assert_int_equal(sum.until_realtime_ns, REAL + 60 * (int64_t)S);
	assert_no_more(w);
	pass(w, 60);
	assert_no_more(w);
	pair->denied[EBB_CAUSE_BREAKER]++;
	pass(w, 60);
	sum = next(w);
	assert_int_equal(ebb_audit_sum_denials(&sum), 1);
	assert_int_equal(sum.first_realtime_ns, REAL + 121 * (int64_t)S);
	assert_int_equal(ebb_audit_sum_failures(&sum), 0);
}

/* A new agent over old maps does not tell what the one before has told. */
static void what_was_there_before_is_not_told(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair = use(w, 3, 77);
	struct ebb_audit_sum sum;

	pair->denied[EBB_CAUSE_BREAKER] = 100;
	ebb_audit_sums_free(w->sums);
	assert_int_equal(ebb_audit_sums_new(&w->view, w->now, &w->sums), 0);
	pair->denied[EBB_CAUSE_BREAKER] = 101;
	pass(w, 60);
	sum = next(w);
	assert_int_equal(ebb_audit_sum_denials(&sum), 1);
}

static void a_slot_with_a_new_owner_begins_at_zero(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair = use(w, 3, 77);
	struct ebb_audit_sum sum;

	pair->outcomes[EBB_OUTCOME_TIMEOUT] = 50;
	pass(w, 60);
	(void)next(w);
	memset(pair->outcomes, 0, sizeof(pair->outcomes));
	pair = use(w, 3, 78);
	pair->outcomes[EBB_OUTCOME_TIMEOUT] = 51;
	pass(w, 60);
	sum = next(w);
	assert_int_equal(sum.workload, 78);
	assert_int_equal(ebb_audit_sum_failures(&sum), 51);
}

/* A scanner has failures everywhere, a crawler also successes: that is what tells them apart. */
static void of_a_workload_it_is_told_how_much_it_used(void **state)
{
	struct world *w = *state;
	struct ebb_audit_sum sum;

	for (uint32_t p = 1; p <= 6; p++) {
		struct ebb_pair *pair = use(w, p, p <= 4 ? 1 : 2);

		pair->attempts = 5;
		pair->result_ok = p % 2;
		pair->outcomes[EBB_OUTCOME_REFUSED] = p == 5 ? 0 : 1;
	}
	(void)use(w, 7, 1); /* not used in this minute */
	pass(w, 60);
	for (uint32_t p = 1; p <= 4; p++) {
		sum = next(w);
		assert_int_equal(sum.destinations, 4);
		assert_int_equal(sum.failing, 2);
	}
	sum = next(w);
	assert_int_equal(sum.pair, 6);
	assert_int_equal(sum.destinations, 2);
	assert_int_equal(sum.failing, 1);
	assert_no_more(w);
}

/* Those with the most one by one, the rest in one. */
static void a_crowd_is_told_together(void **state)
{
	const uint32_t crowd = PAIRS - 1;
	struct world *w = *state;
	struct ebb_audit_sum sum;
	uint64_t total = 0, least = UINT64_MAX;

	for (uint32_t p = 1; p <= crowd; p++)
		use(w, p, p)->denied[EBB_CAUSE_BREAKER] = p;
	pass(w, 60);
	for (uint32_t i = 0; i < EBB_AUDIT_MINUTE_ROWS; i++) {
		sum = next(w);
		assert_int_equal(sum.others, 0);
		total += ebb_audit_sum_denials(&sum);
		least = ebb_audit_sum_denials(&sum) < least ? ebb_audit_sum_denials(&sum) : least;
	}
	assert_int_equal(least, crowd - EBB_AUDIT_MINUTE_ROWS + 1);
	sum = next(w);
	assert_int_equal(sum.others, crowd - EBB_AUDIT_MINUTE_ROWS);
	assert_int_equal(sum.pair, EBB_SLOT_OTHER);
	assert_int_equal(sum.workload, 0);
	assert_int_equal(sum.first_realtime_ns, REAL + (int64_t)S);
	total += ebb_audit_sum_denials(&sum);
	assert_int_equal(total, (uint64_t)crowd * (crowd + 1) / 2);
	assert_no_more(w);
}

static void the_end_of_an_agent_ends_the_minute(void **state)
{
	struct world *w = *state;
	struct ebb_audit_sum sum;

	use(w, 1, 1)->outcomes[EBB_OUTCOME_RESET] = 1;
	ebb_audit_sums_close(w->sums, realtime(w));
	sum = next(w);
	assert_int_equal(ebb_audit_sum_failures(&sum), 1);
	assert_no_more(w);
}

/* An agent that slept for an hour tells of one minute, and goes on with the next. */
static void minutes_that_were_slept_through_are_one(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair = use(w, 1, 1);
	struct ebb_audit_sum sum;

	pair->denied[EBB_CAUSE_RATE] = 1;
	w->now += 3600 * S;
	pass(w, 1);
	sum = next(w);
	assert_int_equal(ebb_audit_sum_denials(&sum), 1);
	pair->denied[EBB_CAUSE_RATE] = 2;
	pass(w, 59);
	assert_no_more(w);
	pass(w, 1);
	(void)next(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_minute_is_told_at_its_end_and_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_there_before_is_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slot_with_a_new_owner_begins_at_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_a_workload_it_is_told_how_much_it_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_crowd_is_told_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_an_agent_ends_the_minute, set_up, tear_down),
		cmocka_unit_test_setup_teardown(minutes_that_were_slept_through_are_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

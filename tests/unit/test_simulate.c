/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay: what holds for every trace and every setting, and how long the default policy takes to come back
 * to a destination that has healed. That each transition is the right one is shown by tests/model.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/breaker.h"
#include "core/simulate.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MS		1000000ULL
#define SECOND		1000000000ULL
#define CALLS_MAX	8192
#define MOVES_MAX	16384

/* What one run of one gate told. */
struct told {
	struct ebb_breaker_config config;
	struct ebb_sim_call calls[CALLS_MAX];
	size_t call_count;
	struct ebb_sim_answer answers[CALLS_MAX];
	size_t answer_count;
	size_t moves_before[CALLS_MAX]; /* transitions before each answer */
	struct ebb_sim_move moves[MOVES_MAX];
	size_t move_count;
	struct ebb_sim_totals totals;
	uint64_t seed, look_ns;
};

static void on_move(void *userdata, const struct ebb_sim_move *move)
{
	struct told *told = userdata;

	assert_true(told->move_count < MOVES_MAX);
	told->moves[told->move_count++] = *move;
}

static void on_answer(void *userdata, const struct ebb_sim_answer *answer)
{
	struct told *told = userdata;

	assert_int_equal(answer->call, told->answer_count);
	told->moves_before[told->answer_count] = told->move_count;
	told->answers[told->answer_count++] = *answer;
}

static void run(struct told *told)
{
	const struct ebb_sim_gate gate = {.name = "api"};
	const struct ebb_simulation simulation = {
		.configs = &told->config,
		.config_count = 1,
		.gates = &gate,
		.gate_count = 1,
		.calls = told->calls,
		.call_count = told->call_count,
		.seed = told->seed,
		.look_ns = told->look_ns,
		.on_move = on_move,
		.on_answer = on_answer,
		.userdata = told,
	};

	told->answer_count = 0;
	told->move_count = 0;
	assert_int_equal(ebb_sim_sort(told->calls, told->call_count), 0);
	assert_int_equal(ebb_simulate(&simulation, &told->totals), 0);
	assert_int_equal(told->answer_count, told->call_count);
}

static struct told *new_told(void)
{
	struct told *told = calloc(1, sizeof(*told));

	assert_non_null(told);
	ebb_policy_defaults(&told->config);
	return told;
}

static void add_call(struct told *told, uint64_t at_ns, uint64_t took_ns, uint32_t outcome)
{
	assert_true(told->call_count < CALLS_MAX);
	told->calls[told->call_count++] =
		(struct ebb_sim_call){.at_ns = at_ns, .took_ns = took_ns, .outcome = outcome};
}

/* ---------------------------------------------------------------- random -- */

/* xorshift64*: G. Marsaglia 2003, S. Vigna 2016. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ULL;
}

static uint64_t below(uint64_t *state, uint64_t end)
{
	return next_random(state) % end;
}

static void random_config(uint64_t *r, struct ebb_breaker_config *ret_config)
{
	static const double ratios[] = {0.1, 0.25, 0.5, 0.75, 1};
	static const uint64_t windows[] = {100 * MS, SECOND, 10 * SECOND};
	static const uint64_t slow[] = {0, MS, 50 * MS};

	ebb_policy_defaults(ret_config);
	ret_config->window_ns = windows[below(r, COUNT_OF(windows))];
	ret_config->window_calls = below(r, 3) ? 0 : (uint32_t)below(r, 20);
	if (ret_config->window_calls == 0)
		ret_config->weighting = (uint32_t)below(r, EBB_WEIGHTING_MAX);
	ret_config->min_calls = 1 + (uint32_t)below(r, 10);
	ret_config->failure_rate = ratios[below(r, COUNT_OF(ratios))];
	ret_config->slow_rate = ratios[below(r, COUNT_OF(ratios))];
	ret_config->slow_call_ns = slow[below(r, COUNT_OF(slow))];
	ret_config->consecutive_failures = (uint32_t)below(r, 8);
	ret_config->open_for_ns = (10 + below(r, 1000)) * MS;
	ret_config->open_factor = 1 + (double)below(r, 3);
	ret_config->open_max_ns = ret_config->open_for_ns + below(r, 10 * SECOND);
	ret_config->open_jitter = below(r, 2) ? 0 : 0.3;
	ret_config->probes = 1 + (uint32_t)below(r, EBB_PROBES_MAX);
	ret_config->close_after = 1 + (uint32_t)below(r, 5);
	ret_config->reopen_after = 1 + (uint32_t)below(r, 5);
	ret_config->probe_lease_ns = (100 + below(r, 2000)) * MS;
	ret_config->ramp_ns = below(r, 3) ? 0 : below(r, 3 * SECOND);
}

/* Well, ill, and pauses; @results: every call has a result. */
static void random_calls(uint64_t *r, struct told *told, size_t count, bool results)
{
	uint64_t now = below(r, SECOND);
	bool well = true;

	told->call_count = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t outcome;
		uint64_t took = below(r, 3) ? below(r, 4) * MS : below(r, 100 * MS);

		if (below(r, 20) == 0)
			well = !well;
		if (below(r, 50) == 0)
			took = below(r, 2 * told->config.probe_lease_ns);
		outcome = well == (below(r, 10) > 0) ? EBB_OUTCOME_ESTABLISHED : EBB_OUTCOME_REFUSED;
		if (!results && below(r, 20) == 0)
			outcome = (uint32_t)below(r, EBB_SIM_OUTCOME_MAX);
		add_call(told, now, took, outcome);
		if (results)
			now += below(r, 20 * MS);
		else
			now += below(r, 40) ? below(r, 30 * MS) : below(r, 20 * SECOND);
	}
}

/* ------------------------------------------------------------- properties -- */

static bool at_least(uint32_t part, uint32_t total, double rate)
{
	return total > 0 && (double)part / total >= rate;
}

/* No transition without its cause. */
static void check_cause(const struct told *told, const struct ebb_transition *t)
{
	const struct ebb_breaker_config *config = &told->config;
	/* of a weighted rate the counts tell only part */
	bool weighted = config->weighting == EBB_WEIGHTING_EXPONENTIAL;

	switch (t->reason) {
	case EBB_REASON_CONSECUTIVE_FAILURES:
		assert_true(config->consecutive_failures > 0 && t->run >= config->consecutive_failures);
		break;
	case EBB_REASON_FAILURE_RATE:
		assert_true(t->ok + t->failed >= config->min_calls && t->failed > 0);
		assert_true(weighted || at_least(t->failed, t->ok + t->failed, config->failure_rate));
		break;
	case EBB_REASON_SLOW_RATE:
		assert_true(config->slow_call_ns > 0 && t->ok + t->failed >= config->min_calls &&
			    t->slow > 0);
		assert_true(weighted || at_least(t->slow, t->ok + t->failed, config->slow_rate));
		break;
	case EBB_REASON_PROBES_SUCCEEDED:
		assert_true(t->ok >= config->close_after);
		break;
	case EBB_REASON_PROBES_FAILED:
		assert_true(t->failed >= config->reopen_after && t->ok < config->close_after);
		break;
	default:
		assert_int_equal(t->reason, EBB_REASON_OPEN_EXPIRED);
	}
}

static bool is_near(uint64_t a, uint64_t b)
{
	/* exact to two ticks, and none is longer than 64 ns here */
	return (a > b ? a - b : b - a) <= 128;
}

/* Does it last as the trip says? */
static void check_open_time(const struct told *told, const struct ebb_sim_move *move)
{
	const struct ebb_transition *t = &move->transition;
	uint64_t key = ebb_breaker_key(told->seed, "api"), open_ns = t->until_ns - t->at_ns;

	if (is_near(open_ns, ebb_breaker_open_ns(&told->config, key, move->trip)))
		return;
	/* a step down between two looks of the agent was not armed yet */
	assert_true(told->look_ns > 0 && t->reason == EBB_REASON_CONSECUTIVE_FAILURES);
	assert_true(is_near(open_ns, ebb_breaker_open_ns(&told->config, key, move->trip + 1)));
}

static void check_moves(const struct told *told)
{
	const struct ebb_breaker_config *config = &told->config;
	uint32_t state = EBB_STATE_CLOSED, trip = 0;
	uint64_t at_ns = 0, until_ns = 0;

	for (size_t i = 0; i < told->move_count; i++) {
		const struct ebb_sim_move *move = &told->moves[i];
		const struct ebb_transition *t = &move->transition;

		assert_int_equal(ebb_reason_from(t->reason), state);
		assert_int_equal(t->gen, i + 1);
		assert_true(t->at_ns >= at_ns);
		check_cause(told, t);
		if (state == EBB_STATE_OPEN)
			assert_true(is_near(t->at_ns, until_ns)); /* it always ends, and at its end */
		/* only a full window in closed takes a step down */
		if (state != EBB_STATE_CLOSED)
			assert_int_equal(move->trip, trip + (t->reason == EBB_REASON_PROBES_FAILED));
		else
			assert_true(move->trip <= trip + 1 &&
				    move->trip + (t->at_ns - at_ns) / config->window_ns + 1 > trip);
		state = ebb_reason_to(t->reason);
		if (state == EBB_STATE_OPEN)
			check_open_time(told, move);
		until_ns = t->until_ns;
		at_ns = t->at_ns;
		trip = move->trip;
	}
	assert_int_not_equal(state, EBB_STATE_OPEN);
	assert_int_equal(told->totals.state, state);
}

/* How many probes hold a slot when call @index begins; itself is one. */
static size_t probes_under_way(const struct told *told, size_t index)
{
	uint64_t now = told->calls[index].at_ns;
	size_t count = 0;

	for (size_t i = index + 1; i-- > 0 && told->moves_before[i] == told->moves_before[index];) {
		uint64_t took = told->calls[i].took_ns, lease = told->config.probe_lease_ns;

		if (told->answers[i].probe &&
		    (i == index || told->calls[i].at_ns + (took < lease ? took : lease) > now))
			count++;
	}
	return count;
}

static void check_answers(const struct told *told)
{
	size_t admitted = 0;

	for (size_t i = 0; i < told->answer_count; i++) {
		const struct ebb_sim_answer *answer = &told->answers[i];
		size_t moves = told->moves_before[i];
		uint32_t state = moves > 0 ? ebb_reason_to(told->moves[moves - 1].transition.reason)
					   : (uint32_t)EBB_STATE_CLOSED;

		admitted += answer->admitted;
		assert_int_equal(answer->state, state);
		if (state == EBB_STATE_OPEN)
			assert_false(answer->admitted);
		else if (state == EBB_STATE_HALF_OPEN)
			assert_int_equal(answer->admitted, answer->probe);
		else
			assert_true((answer->admitted || (told->config.ramp_ns > 0 && moves > 0)) &&
				    !answer->probe);
		if (answer->probe)
			assert_true(probes_under_way(told, i) <= told->config.probes);
		else if (state ==
			 EBB_STATE_HALF_OPEN) /* refused, since all slots are taken; itself counts as none */
			assert_true(probes_under_way(told, i) >= told->config.probes);
	}
	assert_int_equal(told->totals.admitted, admitted);
	assert_int_equal(told->totals.calls, told->call_count);
	assert_int_equal(told->totals.refused, told->call_count - admitted);
}

static void what_holds_for_every_trace(void **state)
{
	uint64_t r = 20261129;
	struct told *told = new_told();
	size_t moves = 0, refused = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		random_config(&r, &told->config);
		random_calls(&r, told, 1 + below(&r, 400), false);
		told->seed = next_random(&r);
		/* the agent's way of looking keeps them, too */
		told->look_ns = i % 3 ? 0 : 100 * MS;
		run(told);
		check_moves(told);
		check_answers(told);
		moves += told->move_count;
		refused += told->totals.refused;
	}
	/* traces in which nothing happens would show nothing */
	assert_true(moves > 30000 && refused > 30000);
	free(told);
}

static void the_same_trace_and_seed_move_alike(void **state)
{
	uint64_t r = 42;
	struct told *a = new_told(), *b = new_told();
	size_t differ = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		random_config(&r, &a->config);
		a->config.open_jitter = 0.2;
		random_calls(&r, a, 300, false);
		a->seed = 7;
		run(a);
		memcpy(b, a, sizeof(*b));
		run(b);
		assert_int_equal(a->move_count, b->move_count);
		assert_memory_equal(a->moves, b->moves, a->move_count * sizeof(a->moves[0]));
		b->seed = 8;
		run(b);
		differ += a->move_count != b->move_count ||
			  memcmp(a->moves, b->moves, a->move_count * sizeof(a->moves[0])) != 0;
	}
	assert_true(differ > 100);
	free(a);
	free(b);
}

/* While calls come and have results, each threshold's worth of probes takes a lease at most. */
static void half_open_does_not_last_while_calls_come(void **state)
{
	uint64_t r = 99;
	struct told *told = new_told();
	size_t stays = 0;

	(void)state;
	for (int i = 0; i < 500; i++) {
		const struct ebb_breaker_config *config = &told->config;
		uint64_t longest;

		random_config(&r, &told->config);
		random_calls(&r, told, 2000, true);
		run(told);
		longest = (config->close_after + config->reopen_after) * (config->probe_lease_ns + 20 * MS);
		for (size_t m = 1; m < told->move_count; m++) {
			const struct ebb_transition *t = &told->moves[m].transition;

			if (ebb_reason_from(t->reason) != EBB_STATE_HALF_OPEN)
				continue;
			assert_true(t->at_ns - told->moves[m - 1].transition.at_ns <= longest);
			stays++;
		}
		if (told->totals.state == EBB_STATE_HALF_OPEN)
			assert_true(told->moves[told->move_count - 1].transition.at_ns + longest >=
				    told->calls[told->call_count - 1].at_ns);
	}
	assert_true(stays > 1000);
	free(told);
}

/* ------------------------------------------------------------------ clock -- */

static void a_long_trace_and_long_settings_fit(void **state)
{
	struct told *told = new_told();

	(void)state;
	told->config.open_for_ns = 3600 * SECOND;
	told->config.open_max_ns = 24ULL * 3600 * SECOND;
	told->config.open_jitter = 0.9;
	told->config.probe_lease_ns = 3600 * SECOND;
	told->config.ramp_ns = 3600 * SECOND;
	told->config.window_ns = 3600 * SECOND;
	for (uint64_t i = 0; i < 40; i++)
		add_call(told, EBB_SIM_END_NS - (40 - i) * 3600 * SECOND, 0, EBB_OUTCOME_TIMEOUT);
	run(told);
	assert_true(told->move_count > 4);
	for (size_t i = 0; i < told->move_count; i++) {
		const struct ebb_sim_move *move = &told->moves[i];
		const struct ebb_transition *t = &move->transition;
		uint64_t open_ns = ebb_breaker_open_ns(&told->config, ebb_breaker_key(0, "api"), move->trip);

		assert_true(t->at_ns >= told->calls[0].at_ns);
		/* here a tick is 1 ms */
		if (t->until_ns > 0)
			assert_in_range(t->until_ns - t->at_ns, open_ns, open_ns + 4 * MS);
	}
	free(told);
}

/* The longest lease goes into 32 bits of ticks, whatever else is short. */
static void a_long_lease_ends_in_time(void **state)
{
	struct told *told = new_told();

	(void)state;
	told->config.consecutive_failures = 1;
	told->config.reopen_after = 1;
	told->config.open_for_ns = 10 * MS;
	told->config.open_max_ns = 10 * MS;
	told->config.probe_lease_ns = 3600 * SECOND;
	add_call(told, 0, 0, EBB_OUTCOME_REFUSED);
	add_call(told, SECOND, 7200 * SECOND, EBB_OUTCOME_ESTABLISHED);
	run(told);
	assert_int_equal(told->move_count, 4);
	assert_int_equal(told->moves[2].transition.reason, EBB_REASON_PROBES_FAILED);
	assert_in_range(told->moves[2].transition.at_ns, 3601 * SECOND, 3601 * SECOND + 4096);
	free(told);
}

static void calls_of_one_moment_stay_in_order(void **state)
{
	struct ebb_sim_call calls[1000];
	uint64_t r = 5;

	(void)state;
	for (size_t count = 0; count < COUNT_OF(calls); count += 1 + count / 7) {
		for (uint32_t i = 0; i < count; i++)
			calls[i] = (struct ebb_sim_call){.at_ns = below(&r, 20), .gate = i};
		assert_int_equal(ebb_sim_sort(calls, count), 0);
		for (size_t i = 1; i < count; i++)
			assert_true(calls[i - 1].at_ns < calls[i].at_ns ||
				    (calls[i - 1].at_ns == calls[i].at_ns &&
				     calls[i - 1].gate < calls[i].gate));
	}
}

static void nothing_comes_of_no_calls(void **state)
{
	struct told *told = new_told();

	(void)state;
	run(told);
	assert_int_equal(told->move_count, 0);
	assert_int_equal(told->totals.calls, 0);
	assert_int_equal(told->totals.state, EBB_STATE_CLOSED);
	free(told);
}

/* --------------------------------------------------------------- recovery -- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* From the end of an outage to closed, with the defaults and ten calls a second. */
static uint64_t recovery_ns(struct told *told, uint64_t outage_ns, uint64_t fails_after_ns, uint32_t outcome)
{
	const uint64_t begin_ns = 20 * SECOND, healed_ns = begin_ns + outage_ns;

	told->call_count = 0;
	for (uint64_t at = 0; at < healed_ns + 120 * SECOND; at += 100 * MS) {
		if (at >= begin_ns && at < healed_ns)
			add_call(told, at, fails_after_ns, outcome);
		else
			add_call(told, at, 2 * MS, EBB_OUTCOME_ESTABLISHED);
	}
	run(told);
	assert_int_equal(told->totals.state, EBB_STATE_CLOSED);
	assert_true(told->move_count > 0);
	return told->moves[told->move_count - 1].transition.at_ns - healed_ns;
}

static void measure_recovery(const char *what, uint64_t fails_after_ns, uint32_t outcome, uint64_t most_ns)
{
	uint64_t r = 1, times[200], median, worst;
	struct told *told = new_told();

	for (size_t i = 0; i < COUNT_OF(times); i++) {
		told->seed = next_random(&r);
		times[i] = recovery_ns(told, 10 * SECOND + below(&r, 590 * SECOND), fails_after_ns, outcome);
	}
	qsort(times, COUNT_OF(times), sizeof(times[0]), by_value);
	median = times[COUNT_OF(times) / 2];
	worst = times[COUNT_OF(times) - 1];
	print_message("# %s: closed again %.1f s after an outage in the median, %.1f s in the worst of 200\n",
		      what, (double)median / 1e9, (double)worst / 1e9);
	assert_true(worst < most_ns);
	free(told);
}

static void what_healed_is_used_again_within_30_s(void **state)
{
	(void)state;
	measure_recovery("refused at once", MS, EBB_OUTCOME_REFUSED, 30 * SECOND);
	/* probes that began before it healed fail up to 3 s later */
	measure_recovery("timeouts after 3 s", 3 * SECOND, EBB_OUTCOME_TIMEOUT, 33 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_holds_for_every_trace),
		cmocka_unit_test(the_same_trace_and_seed_move_alike),
		cmocka_unit_test(half_open_does_not_last_while_calls_come),
		cmocka_unit_test(a_long_trace_and_long_settings_fit),
		cmocka_unit_test(a_long_lease_ends_in_time),
		cmocka_unit_test(calls_of_one_moment_stay_in_order),
		cmocka_unit_test(nothing_comes_of_no_calls),
		cmocka_unit_test(what_healed_is_used_again_within_30_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

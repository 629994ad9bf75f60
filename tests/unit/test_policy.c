/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a breaker: defaults, ranges, strict parsing, names. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/policy.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint32_t all_failures = 1U << EBB_OUTCOME_REFUSED | 1U << EBB_OUTCOME_TIMEOUT |
				     1U << EBB_OUTCOME_UNREACHABLE | 1U << EBB_OUTCOME_ABANDONED |
				     1U << EBB_OUTCOME_RESET | 1U << EBB_OUTCOME_UNANSWERED;

static void assert_same_config(const struct ebb_breaker_config *a, const struct ebb_breaker_config *b)
{
	assert_int_equal(a->window_ns, b->window_ns);
	assert_int_equal(a->min_calls, b->min_calls);
	assert_true(a->failure_rate == b->failure_rate);
	assert_int_equal(a->slow_call_ns, b->slow_call_ns);
	assert_true(a->slow_rate == b->slow_rate);
	assert_int_equal(a->consecutive_failures, b->consecutive_failures);
	assert_int_equal(a->count_mask, b->count_mask);
	assert_int_equal(a->open_for_ns, b->open_for_ns);
	assert_true(a->open_factor == b->open_factor);
	assert_int_equal(a->open_max_ns, b->open_max_ns);
	assert_true(a->open_jitter == b->open_jitter);
	assert_int_equal(a->probes, b->probes);
	assert_int_equal(a->close_after, b->close_after);
	assert_int_equal(a->reopen_after, b->reopen_after);
	assert_int_equal(a->probe_lease_ns, b->probe_lease_ns);
	assert_int_equal(a->abandon_after_ns, b->abandon_after_ns);
}

static void defaults_are_those_of_the_design(void **state)
{
	const struct ebb_breaker_config expected = {
		.window_ns = 10000000000,
		.min_calls = 5,
		.failure_rate = 0.5,
		.slow_call_ns = 0,
		.slow_rate = 1,
		.consecutive_failures = 5,
		.count_mask = all_failures,
		.open_for_ns = 5000000000,
		.open_factor = 2,
		.open_max_ns = 25000000000,
		.open_jitter = 0.2,
		.probes = 3,
		.close_after = 2,
		.reopen_after = 2,
		.probe_lease_ns = 10000000000,
		.abandon_after_ns = 1000000000,
	};
	struct ebb_breaker_config config;

	(void)state;
	memset(&config, 0xa5, sizeof(config));
	ebb_policy_defaults(&config);
	assert_same_config(&config, &expected);
}

static void every_fallback_text_is_the_default(void **state)
{
	struct ebb_breaker_config defaults, config;
	const struct ebb_policy_key *keys;
	struct ebb_why why;
	char text[256];
	size_t count;

	(void)state;
	ebb_policy_defaults(&defaults);
	keys = ebb_policy_keys(&count);
	for (size_t i = 0; i < count; i++) {
		config = defaults;
		(void)snprintf(text, sizeof(text), "%s=%s", keys[i].name, keys[i].fallback);
		assert_int_equal(ebb_policy_parse(text, &config, &why), 0);
		assert_same_config(&config, &defaults);
	}
}

static void ranges_hold_at_both_ends(void **state)
{
	static const struct {
		const char *key;
		const char *below; /* NULL: nothing is below */
		const char *lowest;
		const char *highest;
		const char *above;
	} cases[] = {
		{"window", "99ms", "100ms", "1h", "1h1ms"},
		{"window_calls", NULL, "0", "1024", "1025"},
		{"min_calls", "0", "1", "1000000", "1000001"},
		{"failure_rate", "0", "0.0001", "1", "1.0001"},
		{"slow_call", "999ns", "1us", "1h", "3601s"},
		{"slow_rate", "0%", "0.01%", "100%", "101%"},
		{"consecutive_failures", NULL, "0", "1000000", "1000001"},
		{"open_for", "9ms", "10ms", "25s", "26s"},
		{"open_factor", "0.99", "1", "10", "10.01"},
		{"open_max", "4s", "5s", "24h", "24h1ns"},
		{"open_jitter", NULL, "0", "0.9", "0.91"},
		{"probes", "0", "1", "8", "9"},
		{"close_after", "0", "1", "1000", "1001"},
		{"reopen_after", "0", "1", "1000", "1001"},
		{"probe_lease", "99ms", "100ms", "1h", "1h1s"},
		{"ramp", NULL, "0s", "1h", "1h1s"},
		{"abandon_after", "9.999ms", "10ms", "10m", "601s"},
		{"syn_retries", "0", "1", "10", "11"},
	};
	struct ebb_breaker_config defaults, config;
	struct ebb_why why;
	char text[64];
	size_t count;

	(void)state;
	(void)ebb_policy_keys(&count);
	assert_int_equal(COUNT_OF(cases) + 2, count); /* and 'count' and 'weighting', which have no range */
	ebb_policy_defaults(&defaults);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct {
			const char *value;
			int r;
		} tries[] = {
			{cases[i].below, -EINVAL},
			{cases[i].lowest, 0},
			{cases[i].highest, 0},
			{cases[i].above, -EINVAL},
		};

		for (size_t j = 0; j < COUNT_OF(tries); j++) {
			if (!tries[j].value)
				continue;
			config = defaults;
			(void)snprintf(text, sizeof(text), "%s=%s", cases[i].key, tries[j].value);
			if (ebb_policy_parse(text, &config, &why) != tries[j].r)
				fail_msg("%s", text);
		}
	}
}

static void settings_reach_their_field(void **state)
{
	struct ebb_breaker_config config, expected;
	struct ebb_why why;

	(void)state;
	ebb_policy_defaults(&config);
	ebb_policy_defaults(&expected);
	assert_int_equal(ebb_policy_parse("window=1m,min_calls=20,failure_rate=25%,slow_call=1.5s,slow_rate=0.75,"
					  "consecutive_failures=0,count=timeout+refused,open_for=10s,"
					  "open_factor=1.5,open_max=2m,open_jitter=0,probes=8,close_after=4,"
					  "reopen_after=1,probe_lease=3s,abandon_after=250ms",
					  &config, &why),
			 0);
	expected = (struct ebb_breaker_config){
		.window_ns = 60000000000,
		.min_calls = 20,
		.failure_rate = 0.25,
		.slow_call_ns = 1500000000,
		.slow_rate = 0.75,
		.consecutive_failures = 0,
		.count_mask = 1U << EBB_OUTCOME_TIMEOUT | 1U << EBB_OUTCOME_REFUSED,
		.open_for_ns = 10000000000,
		.open_factor = 1.5,
		.open_max_ns = 120000000000,
		.open_jitter = 0,
		.probes = 8,
		.close_after = 4,
		.reopen_after = 1,
		.probe_lease_ns = 3000000000,
		.abandon_after_ns = 250000000,
	};
	assert_same_config(&config, &expected);
	/* what is not named stays */
	assert_int_equal(ebb_policy_parse("slow_call=off,probes=1", &config, &why), 0);
	expected.slow_call_ns = 0;
	expected.probes = 1;
	assert_same_config(&config, &expected);
}

static void bad_settings_change_nothing_and_say_why(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"failure_rate=1.5",
		 "breaker: failure_rate=1.5: expected a ratio above 0 and up to 1, like 0.5 or 50%"},
		{"failure_rate=50",
		 "breaker: failure_rate=50: expected a ratio above 0 and up to 1, like 0.5 or 50%"},
		{"slow_rate=101%",
		 "breaker: slow_rate=101%: expected a ratio above 0 and up to 1, like 0.5 or 50%"},
		{"open_jitter=20",
		 "breaker: open_jitter=20: expected a ratio from 0 to 0.9, like 0.5 or 50%"},
		{"probes=9", "breaker: probes=9: expected a whole number from 1 to 8"},
		{"probes=-1", "breaker: probes=-1: expected a whole number from 1 to 8"},
		{"probes=", "breaker: probes=: expected a whole number from 1 to 8"},
		{"window=10", "breaker: window=10: expected a duration from 100ms to 1h"},
		{"window=10s ", "breaker: window=10s : expected a duration from 100ms to 1h"},
		{"window=1=2", "breaker: window=1=2: expected a duration from 100ms to 1h"},
		{"slow_call=0", "breaker: slow_call=0: expected off, or 1us to 1h"},
		{"open_factor=0.5", "breaker: open_factor=0.5: expected a number from 1 to 10"},
		{"count=",
		 "breaker: count=: expected any of refused, timeout, unreachable, abandoned, reset, "
		 "unanswered, joined by '+'"},
		{"count=established",
		 "breaker: count=established: expected any of refused, timeout, unreachable, "
		 "abandoned, reset, unanswered, joined by '+'"},
		{"count=refused+cancelled",
		 "breaker: count=refused+cancelled: expected any of refused, timeout, "
		 "unreachable, abandoned, reset, unanswered, joined by '+'"},
		{"count=refused+refused", "breaker: count=refused+refused: expected any of refused, timeout, "
					  "unreachable, abandoned, reset, unanswered, joined by '+'"},
		{"count=refused+", "breaker: count=refused+: expected any of refused, timeout, unreachable, "
				   "abandoned, reset, unanswered, joined by '+'"},
		{"", "breaker: '': expected key=value"},
		{"probes", "breaker: 'probes': expected key=value"},
		{"probes=2,", "breaker: '': expected key=value"},
		{"probes=2,,window=1s", "breaker: '': expected key=value"},
		{"probes=2,min_calls=3,probes=2", "breaker: probes is given twice"},
		{"failure_rat=0.5", "breaker: unknown key 'failure_rat': did you mean 'failure_rate'?"},
		{"Probes=2", "breaker: unknown key 'Probes': did you mean 'probes'?"},
		{"timeout=5s",
		 "breaker: unknown key 'timeout': expected one of window, window_calls, weighting, min_calls, failure_rate, "
		 "slow_call, slow_rate, consecutive_failures, count, open_for, open_factor, open_max, "
		 "open_jitter, probes, close_after, reopen_after, probe_lease, ramp, abandon_after, syn_retries"},
		{"open_for=30s", "breaker: open_max (25.0s) is below open_for (30.0s): "
				 "raise open_max or lower open_for"},
		{"open_max=1s", "breaker: open_max (1.00s) is below open_for (5.00s): "
				"raise open_max or lower open_for"},
		{"weighting=linear", "breaker: weighting=linear: expected sliding or exponential"},
		{"weighting=exponential,window_calls=5",
		 "breaker: weighting is by age, and window_calls (5) has no age: leave one of them out"},
		/* good settings in front of a bad one */
		{"probes=2,min_calls=7,slow_rate=2",
		 "breaker: slow_rate=2: expected a ratio above 0 and up to 1, like 0.5 or 50%"},
	};
	struct ebb_breaker_config config, before;

	(void)state;
	ebb_policy_defaults(&before);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ebb_why why = {""};

		config = before;
		assert_int_equal(ebb_policy_parse(cases[i].text, &config, &why), -EINVAL);
		assert_string_equal(why.text, cases[i].why);
		assert_same_config(&config, &before);
		assert_int_equal(ebb_policy_parse(cases[i].text, &config, NULL), -EINVAL);
	}
}

static void overlong_input_is_refused_in_one_line(void **state)
{
	static const char *const formats[] = {"%s=1", "probes=%s", "%s", "count=%s"};
	struct ebb_breaker_config config;
	char long_word[4096], text[5000];

	(void)state;
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	ebb_policy_defaults(&config);
	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		struct ebb_why why = {""};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(text, sizeof(text), formats[i], long_word);
#pragma GCC diagnostic pop
		assert_int_equal(ebb_policy_parse(text, &config, &why), -EINVAL);
		assert_non_null(strstr(why.text, "expected "));
	}
}

static void the_kernel_gets_ticks_rounded_up(void **state)
{
	struct ebb_breaker_config config;
	struct ebb_policy policy;

	(void)state;
	memset(&policy, 0, sizeof(policy));
	policy.limits.concurrent = 64;
	policy.override_state = EBB_OVERRIDE_OPEN;
	ebb_policy_defaults(&config);
	config.slow_call_ns = 123456;
	config.abandon_after_ns = 250000001;
	config.ramp_ns = 1000000001;
	config.syn_retries = 7;
	ebb_policy_to_kernel(&config, &policy);
	assert_int_equal(ebb_arm_failures(policy.arm), 5);
	assert_int_equal(ebb_arm_open_ticks(policy.arm), (5000000000 + (1 << 20) - 1) >> 20);
	assert_int_equal(policy.count_mask, all_failures);
	assert_int_equal(policy.probes, 3);
	assert_int_equal(policy.close_after, 2);
	assert_int_equal(policy.reopen_after, 2);
	assert_int_equal(policy.probe_lease_ticks, (10000000000 + (1 << 20) - 1) >> 20);
	assert_int_equal(policy.abandon_ms, 251);
	assert_int_equal(policy.slow_ns, 123456);
	assert_int_equal(policy.ramp_ticks, (1000000001 + (1 << 20) - 1) >> 20);
	assert_int_equal(policy.syn_retries, 7);
	/* what is not the breaker's is left alone */
	assert_int_equal(policy.limits.concurrent, 64);
	assert_int_equal(policy.override_state, EBB_OVERRIDE_OPEN);

	/* a breaker that never trips by itself is still armed with something: 0 means "no verdict" */
	config.consecutive_failures = 0;
	ebb_policy_to_kernel(&config, &policy);
	assert_int_equal(ebb_arm_failures(policy.arm), 0);
	assert_true(policy.arm != 0);
}

static void names_are_those_of_the_contract(void **state)
{
	static const char *const modes[] = {"observe", "enforce"};
	static const char *const states[] = {"closed", "open", "half_open"};
	static const char *const outcomes[] = {"established", "refused",   "timeout", "unreachable",
					       "abandoned",   "cancelled", "reset",   "unanswered"};
	static const char *const turns[] = {"answered", "unanswered", "reset", "cancelled"};
	static const char *const causes[] = {"override",  "fuse", "breaker",
					     "half_open", "rate", "concurrency"};
	static const char *const drops[] = {"bytes", "packets", "breaker"};
	static const char *const scopes[] = {"node", "workload"};
	static const char *const errors[] = {
		"dst_table_full",  "pair_table_full", "endpoint_table_full", "slot_invalid",
		"epoch_stale",	   "conn_no_memory",  "note_lost",	     "cas_exhausted",
		"gauge_underflow", "lease_expired",   "event_lost",	     "socket_unknown",
		"fallback_device", "share_full",      "unclassified",	     "dns_lost",
		"gauge_corrected", "record_lost",
	};
	static const struct {
		const char *(*name_of)(uint32_t value);
		const char *const *names;
		uint32_t count;
		uint32_t max;
	} enums[] = {
		{ebb_mode_name, modes, COUNT_OF(modes), EBB_MODE_MAX},
		{ebb_state_name, states, COUNT_OF(states), EBB_STATE_MAX},
		{ebb_outcome_name, outcomes, COUNT_OF(outcomes), EBB_OUTCOME_MAX},
		{ebb_turn_name, turns, COUNT_OF(turns), EBB_TURN_MAX},
		{ebb_cause_name, causes, COUNT_OF(causes), EBB_CAUSE_MAX},
		{ebb_drop_name, drops, COUNT_OF(drops), EBB_DROP_MAX},
		{ebb_scope_name, scopes, COUNT_OF(scopes), EBB_SCOPE_MAX},
		{ebb_error_name, errors, COUNT_OF(errors), EBB_ERR_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(enums); i++) {
		assert_int_equal(enums[i].count, enums[i].max);
		for (uint32_t j = 0; j < enums[i].count; j++)
			assert_string_equal(enums[i].name_of(j), enums[i].names[j]);
		assert_string_equal(enums[i].name_of(enums[i].max), "unknown");
		assert_string_equal(enums[i].name_of(UINT32_MAX), "unknown");
	}
}

static void each_reason_has_one_from_and_one_to(void **state)
{
	static const struct {
		const char *name;
		uint32_t from;
		uint32_t to;
	} expected[] = {
		{"consecutive_failures", EBB_STATE_CLOSED, EBB_STATE_OPEN},
		{"failure_rate", EBB_STATE_CLOSED, EBB_STATE_OPEN},
		{"slow_rate", EBB_STATE_CLOSED, EBB_STATE_OPEN},
		{"open_expired", EBB_STATE_OPEN, EBB_STATE_HALF_OPEN},
		{"probes_succeeded", EBB_STATE_HALF_OPEN, EBB_STATE_CLOSED},
		{"probes_failed", EBB_STATE_HALF_OPEN, EBB_STATE_OPEN},
	};

	(void)state;
	assert_int_equal(COUNT_OF(expected), EBB_REASON_MAX);
	for (uint32_t i = 0; i < EBB_REASON_MAX; i++) {
		assert_string_equal(ebb_reason_name(i), expected[i].name);
		assert_int_equal(ebb_reason_from(i), expected[i].from);
		assert_int_equal(ebb_reason_to(i), expected[i].to);
	}
	assert_string_equal(ebb_reason_name(EBB_REASON_MAX), "unknown");
	assert_int_equal(ebb_reason_from(EBB_REASON_MAX), EBB_STATE_MAX);
	assert_int_equal(ebb_reason_to(UINT32_MAX), EBB_STATE_MAX);
}

/* A key that were left out of the comparison would be one whose change a reload does not see. */
static void policies_are_the_same_when_every_key_is(void **state)
{
	static const struct {
		const char *key;
		const char *text;
	} others[] = {
		{"window", "1s"},
		{"window_calls", "7"},
		{"weighting", "exponential"},
		{"min_calls", "7"},
		{"failure_rate", "0.7"},
		{"slow_call", "7ms"},
		{"slow_rate", "0.7"},
		{"consecutive_failures", "7"},
		{"count", "refused"},
		{"open_for", "7s"},
		{"open_factor", "7"},
		{"open_max", "77s"},
		{"open_jitter", "0.7"},
		{"probes", "7"},
		{"close_after", "7"},
		{"reopen_after", "7"},
		{"probe_lease", "7s"},
		{"ramp", "7s"},
		{"abandon_after", "7s"},
		{"syn_retries", "7"},
	};
	struct ebb_breaker_config defaults, config;
	const struct ebb_policy_key *keys;
	size_t count;

	(void)state;
	keys = ebb_policy_keys(&count);
	assert_int_equal(COUNT_OF(others), count);
	ebb_policy_defaults(&defaults);
	config = defaults;
	assert_true(ebb_policy_same(&defaults, &config));
	for (size_t i = 0; i < count; i++) {
		config = defaults;
		assert_string_equal(keys[i].name, others[i].key);
		assert_int_equal(ebb_policy_parse_value(&keys[i], others[i].text, &config, NULL), 0);
		assert_false(ebb_policy_same(&defaults, &config));
		assert_false(ebb_policy_same(&config, &defaults));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(every_fallback_text_is_the_default),
		cmocka_unit_test(ranges_hold_at_both_ends),
		cmocka_unit_test(settings_reach_their_field),
		cmocka_unit_test(bad_settings_change_nothing_and_say_why),
		cmocka_unit_test(overlong_input_is_refused_in_one_line),
		cmocka_unit_test(the_kernel_gets_ticks_rounded_up),
		cmocka_unit_test(names_are_those_of_the_contract),
		cmocka_unit_test(each_reason_has_one_from_and_one_to),
		cmocka_unit_test(policies_are_the_same_when_every_key_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

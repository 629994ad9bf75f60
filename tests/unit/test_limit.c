/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: what is read, what is refused and why, how it is shown, and what an operator gives by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limit.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define S		1000000000ULL
#define HOUR		3600ULL
#define MB		1000000ULL
#define NOW		(1000 * S)

#define BYTES	 EBB_LIMIT_BYTES
#define PACKETS	 EBB_LIMIT_PACKETS
#define CONNECTS EBB_LIMIT_CONNECTS

/* ------------------------------------------------------------ reading -- */

struct good_case {
	uint32_t kind;
	const char *text;
	uint64_t per_hour, burst;
};

static const struct good_case good_cases[] = {
	{BYTES, "10MB/s", 10 * MB *HOUR, 2500000},
	{BYTES, "512KB/s", 512000 * HOUR, 128000},
	{BYTES, "512kB/s", 512000 * HOUR, 128000},
	{BYTES, "1GB/s", 1000 * MB *HOUR, 250 * MB},
	{BYTES, "1TB/s", 1000000 * MB *HOUR, 250000 * MB},
	{BYTES, "1MiB/s", 1048576 * HOUR, 262144},
	{BYTES, "1GiB/s", 1073741824 * HOUR, 268435456},
	{BYTES, "1000B/s", 1000 * HOUR, 65536},
	{BYTES, "2.5MB/s", 2500000 * HOUR, 625000},
	{BYTES, "2.500MB/s", 2500000 * HOUR, 625000},
	{BYTES, "0.000001MB/s", HOUR, 65536},
	{BYTES, "262144B/s", 262144 * HOUR, 65536},
	{BYTES, "262145B/s", 262145 * HOUR, 65537}, /* rounded up */
	{BYTES, "10Mbit/s", 1250000 * HOUR, 312500},
	{BYTES, "1Gbit/s", 125 * MB *HOUR, 31250000},
	{BYTES, "60MB/min", MB *HOUR, 250000},
	{BYTES, "60MB/m", MB *HOUR, 250000},
	{BYTES, "1GB/h", 1000 * MB, 69445},
	{BYTES, "100kB/h", 100000, 65536},
	{BYTES, "9B/h", 9, 1512}, /* 7 days of it */
	{BYTES, "10MB/s,burst=512KB", 10 * MB *HOUR, 512000},
	{BYTES, "10MB/s burst 512KB", 10 * MB *HOUR, 512000},
	{BYTES, "10MB/s,burst=1500B", 10 * MB *HOUR, 1500},
	{BYTES, "10MB/s,burst=1MiB", 10 * MB *HOUR, 1048576},
	{BYTES, "10MB/s,burst=8Mbit", 10 * MB *HOUR, MB},
	{BYTES, "1B/s,burst=604800B", HOUR, 604800}, /* 7 days */
	{BYTES, "none", 0, 0},
	{BYTES, "off", 0, 0},

	{PACKETS, "1000/s", 1000 * HOUR, 250},
	{PACKETS, "20/s", 20 * HOUR, 64},
	{PACKETS, "5k/s", 5000 * HOUR, 1250},
	{PACKETS, "5K/s", 5000 * HOUR, 1250},
	{PACKETS, "1.5M/s", 1500000 * HOUR, 375000},
	{PACKETS, "1000M/s", 1000 * MB *HOUR, 250 * MB},
	{PACKETS, "1/h", 1, 64},
	{PACKETS, "1000/s,burst=1", 1000 * HOUR, 1},
	{PACKETS, "none", 0, 0},

	{CONNECTS, "20/s", 20 * HOUR, 20},
	{CONNECTS, "20/s,burst=40", 20 * HOUR, 40},
	{CONNECTS, "20/s burst 40", 20 * HOUR, 40},
	{CONNECTS, "30/min", 1800, 1},
	{CONNECTS, "90/min", 5400, 2}, /* 1.5, rounded up */
	{CONNECTS, "100/h", 100, 1},
	{CONNECTS, "0.5/s", 1800, 1},
	{CONNECTS, "1/h,burst=168", 1, 168}, /* 7 days */
	{CONNECTS, "off", 0, 0},
};

static void limits_are_read_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_cases); i++) {
		const struct good_case *c = &good_cases[i];
		struct ebb_limit limit, wanted;
		struct ebb_why why = {};

		assert_int_equal(ebb_limit_make(c->per_hour, c->burst, &wanted), 0);
		if (ebb_limit_parse(c->text, c->kind, &limit, &why) != 0)
			fail_msg("'%s': %s", c->text, why.text);
		if (memcmp(&limit, &wanted, sizeof(limit)) != 0)
			fail_msg("'%s': %llu an hour, burst %llu", c->text,
				 (unsigned long long)limit.per_hour, (unsigned long long)limit.burst);
	}
}

struct bad_case {
	uint32_t kind;
	const char *text;
	const char *said;
};

static const char units[] = "B, kB, MB, GB, TB (1000), KiB, MiB, GiB, TiB (1024), kbit, Mbit, Gbit or Tbit";

static const struct bad_case bad_cases[] = {
	{BYTES, "", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, "fast", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, "None", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, "none ", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, " 10MB/s", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, "+10MB/s", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, ".5MB/s", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{BYTES, "5.MB/s", "like 10MB/s, 10MB/s,burst=2MB, or none"},
	{PACKETS, "many", "like 1000/s, 1000/s,burst=500, or none"},
	{CONNECTS, "inf", "like 20/s, 20/s,burst=40, or none"},
	{CONNECTS, "/s", "like 20/s, 20/s,burst=40, or none"},

	{BYTES, "-1MB/s", "it cannot be negative; none is no limit"},
	{CONNECTS, "-20/s", "it cannot be negative; none is no limit"},
	{CONNECTS, "20/s,burst=-1", "it cannot be negative; none is no limit"},
	{BYTES, "0MB/s", "a rate must be above 0; none is no limit"},
	{PACKETS, "0/s", "a rate must be above 0; none is no limit"},
	{CONNECTS, "0.0/h", "a rate must be above 0; none is no limit"},
	{CONNECTS, "0/s,burst=40", "a rate must be above 0; none is no limit"},
	{BYTES, "1.000001TB/s", "a rate is at most 1TB/s"},
	{BYTES, "60.1TB/min", "a rate is at most 1TB/s"},
	{BYTES, "999999999999999999TB/s", "a rate is at most 1TB/s"},
	{BYTES, "9Tbit/s", "a rate is at most 1TB/s"},
	{PACKETS, "1000000001/s", "a rate is at most 1000M/s"},
	{CONNECTS, "1001M/s", "a rate is at most 1000M/s"},
	{CONNECTS, "0.3/h", "a rate must be a whole number of connects an hour"},
	{BYTES, "1.0001B/s", "a rate must be a whole number of bytes an hour"},
	{BYTES, "1bit/h", "a rate must be a whole number of bytes an hour"},
	{BYTES, "1234567890123456789B/s", "a number has at most 18 digits"},
	{BYTES, "0.1234567890123456789B/s", "a number has at most 18 digits"},
	{BYTES, "8B/h", "it is too slow: one packet (1500B) would be more than 7 days of the rate"},

	{BYTES, "20/s", "bytes need a unit, as in 20B/s or 20MB/s"},
	{BYTES, "20", "bytes need a unit, as in 20B/s or 20MB/s"},
	{BYTES, "10MB/s,burst=512", "bytes need a unit, as in 20B/s or 20MB/s"},
	{PACKETS, "20MB/s", "packets have no unit, as in 20/s"},
	{CONNECTS, "1KiB/s", "connections have no unit, as in 20/s"},
	{CONNECTS, "20/s,burst=4kB", "connections have no unit, as in 20/s"},
	{BYTES, "10mb/s", "'mb' is no unit of bytes: %s"},
	{BYTES, "10Mb/s", "'Mb' is no unit of bytes: %s"},
	{BYTES, "10M/s", "'M' is no unit of bytes: %s"},
	{BYTES, "10MBps", "'MBps' is no unit of bytes: %s"},
	{BYTES, "10quitealongunitofbytes/s", "'quitealongunitof' is no unit of bytes: %s"},
	{PACKETS, "1G/s", "'G' is no unit of packets: k or M"},
	{CONNECTS, "20x/s", "'x' is no unit of connects: k or M"},
	{BYTES, "10 MB/s", "bytes need a unit, as in 20B/s or 20MB/s"},

	{BYTES, "10MB", "a rate ends in /s, /min or /h, as in 10MB/s"},
	{BYTES, "10MB/", "a rate ends in /s, /min or /h, as in 10MB/s"},
	{BYTES, "10MB/d", "a rate ends in /s, /min or /h, as in 10MB/s"},
	{CONNECTS, "20/sec", "a rate ends in /s, /min or /h, as in 20/s"},
	{CONNECTS, "20/S", "a rate ends in /s, /min or /h, as in 20/s"},
	{CONNECTS, "20s", "'s' is no unit of connects: k or M"},
	{CONNECTS, "20", "a rate ends in /s, /min or /h, as in 20/s"},
	{CONNECTS, "20,burst=4", "a rate ends in /s, /min or /h, as in 20/s"},

	{BYTES, "10MB/s,", "behind the rate only ,burst=2MB or the like can stand"},
	{BYTES, "10MB/s,brust=1MB", "behind the rate only ,burst=2MB or the like can stand"},
	{BYTES, "10MB/s ", "behind the rate only ,burst=2MB or the like can stand"},
	{CONNECTS, "20/s, burst=40", "behind the rate only ,burst=40 or the like can stand"},
	{CONNECTS, "20/s,burst=", "like 20/s, 20/s,burst=40, or none"},
	{CONNECTS, "20/s,burst=40/s", "a burst is an amount alone, as in burst=40"},
	{CONNECTS, "20/s,burst=40,burst=40", "a burst is an amount alone, as in burst=40"},
	{CONNECTS, "20/s,burst=1.5", "a burst must be a whole number of connects"},
	{BYTES, "10MB/s,burst=1499B", "a burst must hold at least one packet (1500B)"},
	{BYTES, "10MB/s,burst=0B", "a burst must hold at least one packet (1500B)"},
	{PACKETS, "1000/s,burst=0", "a burst must hold at least one packet"},
	{CONNECTS, "20/s,burst=0", "a burst must hold at least one connection"},
	{BYTES, "1B/s,burst=604801B", "a burst is at most 7 days of the rate, here 604.8kB"},
	{CONNECTS, "1/h,burst=169", "a burst is at most 7 days of the rate, here 168"},
	{BYTES, "1TB/s,burst=999999999999999999TB", "a burst is at most 7 days of the rate, here 604800TB"},
};

static void what_is_no_limit_is_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct ebb_limit limit = {.per_hour = 4711};
		struct ebb_why why = {};
		char said[256];

		(void)snprintf(said, sizeof(said), "%s", c->said);
		if (strstr(said, "%s"))
			(void)snprintf(strstr(said, "%s"), sizeof(said) / 2, "%s", units);
		if (ebb_limit_parse(c->text, c->kind, &limit, &why) != -EINVAL || strcmp(why.text, said) != 0)
			fail_msg("'%s': '%s'", c->text, why.text);
		assert_int_equal(limit.per_hour, 4711);
	}
}

/* Every single byte of a good text, changed, added or missing: read or refused, never half. */
static void no_byte_is_overlooked(void **state)
{
	static const char good[] = "20/s,burst=40";

	(void)state;
	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int c = 1; c < 256; c++) {
			char text[sizeof(good)], again[EBB_LIMIT_TEXT_MAX];
			struct ebb_limit limit, twin;

			memcpy(text, good, sizeof(good));
			text[at] = (char)c;
			if (ebb_limit_parse(text, CONNECTS, &limit, NULL) != 0)
				continue;
			/* digits, or an interval of one letter */
			if (!(c >= '0' && c <= '9') && !(at == 3 && strchr("smh", c)) &&
			    !(at == 1 && c == '/') && !(at < 3 && c == '.') && text[at] != good[at] &&
			    !((at == 1 || at == 12) && strchr("kKM", c)) && !(at == 11 && c == '.'))
				fail_msg("'%s' is read", text);
			(void)ebb_limit_format(&limit, CONNECTS, again, sizeof(again));
			assert_int_equal(ebb_limit_parse(again, CONNECTS, &twin, NULL), 0);
			assert_memory_equal(&limit, &twin, sizeof(limit));
		}
	}
}

/* ------------------------------------------------------------ showing -- */

static void limits_are_shown_short_and_exact(void **state)
{
	static const struct {
		uint32_t kind;
		const char *text, *shown;
	} cases[] = {
		{BYTES, "none", "none"},
		{BYTES, "10MB/s", "10MB/s burst 2.5MB"},
		{BYTES, "10MB/s,burst=512KB", "10MB/s burst 512kB"},
		{BYTES, "1000000B/s,burst=64KiB", "1MB/s burst 64KiB"},
		{BYTES, "1MiB/s", "1MiB/s burst 256KiB"},
		{BYTES, "10Mbit/s", "1.25MB/s burst 312.5kB"},
		{BYTES, "1500B/s", "1.5kB/s burst 64KiB"},
		{BYTES, "1234567B/s,burst=1234567B", "1234567B/s burst 1234567B"},
		{BYTES, "1GB/h", "1GB/h burst 69445B"},
		{BYTES, "1TB/s", "1TB/s burst 250GB"},
		{PACKETS, "1000/s", "1000/s burst 250"},
		{PACKETS, "99999/s", "99999/s burst 25000"},
		{PACKETS, "100000/s,burst=1000000", "100k/s burst 1M"},
		{CONNECTS, "20/s,burst=40", "20/s burst 40"},
		{CONNECTS, "0.5/s", "30/min burst 1"},
		{CONNECTS, "100/h", "100/h burst 1"},
		{CONNECTS, "3600/h", "1/s burst 1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[EBB_LIMIT_TEXT_MAX];
		struct ebb_limit limit;

		assert_int_equal(ebb_limit_parse(cases[i].text, cases[i].kind, &limit, NULL), 0);
		assert_string_equal(ebb_limit_format(&limit, cases[i].kind, text, sizeof(text)),
				    cases[i].shown);
	}
	assert_string_equal(ebb_limit_format_units(480123, BYTES, (char[32]){}, 32), "480kB");
	assert_string_equal(ebb_limit_format_units(38.7, CONNECTS, (char[32]){}, 32), "38");
}

/* What is shown is read back as the same, for any limit that there can be. */
static void what_is_shown_is_read_as_the_same(void **state)
{
	unsigned int seed = 7;

	(void)state;
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit_kind_info *info = ebb_limit_kind_info(kind);

		for (int i = 0; i < 200000; i++) {
			char text[EBB_LIMIT_TEXT_MAX];
			struct ebb_limit limit, twin;
			struct ebb_why why = {};
			uint64_t random[2], per_hour, burst;

			for (int k = 0; k < 2; k++)
				random[k] = ((uint64_t)(unsigned int)rand_r(&seed) << 32) ^
					    ((uint64_t)(unsigned int)rand_r(&seed) << 11);
			/* of every size, and often round */
			per_hour = 9 + (random[0] >> (rand_r(&seed) % 60)) % (info->rate_max * HOUR - 8);
			if (rand_r(&seed) % 2)
				per_hour = per_hour - per_hour % HOUR + HOUR;
			burst = info->burst_min + (random[1] >> (rand_r(&seed) % 60)) % (per_hour * 168);
			if (per_hour > info->rate_max * HOUR || burst > per_hour * 168)
				continue;
			assert_int_equal(ebb_limit_make(per_hour, burst, &limit), 0);
			(void)ebb_limit_format(&limit, kind, text, sizeof(text));
			if (ebb_limit_parse(text, kind, &twin, &why) != 0 ||
			    memcmp(&limit, &twin, sizeof(limit)) != 0)
				fail_msg("%llu an hour, burst %llu: '%s': %s", (unsigned long long)per_hour,
					 (unsigned long long)burst, text, why.text);
		}
	}
}

/* ------------------------------------------------------------ numbers -- */

static void a_unit_costs_its_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_cases); i++) {
		struct ebb_limit limit;
		double exact, made;

		assert_int_equal(ebb_limit_parse(good_cases[i].text, good_cases[i].kind, &limit, NULL), 0);
		if (limit.per_hour == 0)
			continue;
		exact = 3600e9 / (double)limit.per_hour;
		made = (double)limit.mult / pow(2, limit.shift);
		if (fabs(made / exact - 1) > 1e-9)
			fail_msg("'%s': a unit takes %g ns, not %g", good_cases[i].text, made, exact);
		assert_float_equal(ebb_limit_rate(&limit), (double)good_cases[i].per_hour / 3600, 1e-9);
	}
}

static void what_is_available_follows_the_debt(void **state)
{
	struct ebb_limit limit;

	(void)state;
	assert_int_equal(ebb_limit_parse("20/s,burst=40", CONNECTS, &limit, NULL), 0);
	assert_float_equal(ebb_limit_available(&limit, 0, NOW), 40, 0);
	assert_float_equal(ebb_limit_available(&limit, NOW + S, NOW), 20, 1e-6);
	assert_float_equal(ebb_limit_available(&limit, NOW + 3 * S, NOW), 0, 0);
	assert_float_equal(ebb_limit_available(&(struct ebb_limit){0}, NOW, NOW), 0, 0);
}

/* ------------------------------------------------------------ by hand -- */

static struct ebb_limit read_limit(uint32_t kind, const char *text)
{
	struct ebb_limit limit;

	assert_int_equal(ebb_limit_parse(text, kind, &limit, NULL), 0);
	return limit;
}

static struct ebb_policy configured(void)
{
	struct ebb_policy policy = {.limits = {.concurrent = 64}};

	policy.limits.bucket[BYTES] = read_limit(BYTES, "5MB/s");
	ebb_limits_summarize(&policy);
	assert_int_equal(policy.asks, EBB_ASK_CONNECT | EBB_ASK_PACKET);
	return policy;
}

/* That the kernel sees the same is tested in test_limit_in_force.c. */
static void is_in_force(const struct ebb_policy *policy, uint64_t now_ns, const char *wanted)
{
	struct ebb_limits limits;
	char text[256], one[EBB_LIMIT_TEXT_MAX];
	size_t used = 0;

	ebb_limits_in_force(policy, now_ns, &limits);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s ",
					 ebb_limit_format_rate(&limits.bucket[kind], kind, one, sizeof(one)),
					 limits.given & (1U << kind) ? "*" : "");
	}
	(void)snprintf(text + used, sizeof(text) - used, "%u%s", limits.concurrent,
		       limits.given & EBB_GIVEN_CONCURRENT ? "*" : "");
	assert_string_equal(text, wanted);
}

static void what_is_given_by_hand_replaces_only_its_kind(void **state)
{
	struct ebb_policy policy = configured();
	struct ebb_limits change = {.given = 1U << BYTES};

	(void)state;
	is_in_force(&policy, NOW, "5MB/s none none 64");
	change.bucket[BYTES] = read_limit(BYTES, "10MB/s");
	change.concurrent = 7; /* not given */
	ebb_limits_give(&policy, &change, 0, 1000, NOW);
	is_in_force(&policy, NOW, "10MB/s* none none 64");
	assert_int_equal(policy.by_hand_uid, 1000);

	change = (struct ebb_limits){.given = (1U << CONNECTS) | EBB_GIVEN_CONCURRENT, .concurrent = 2};
	change.bucket[CONNECTS] = read_limit(CONNECTS, "20/s");
	ebb_limits_give(&policy, &change, NOW + S, 0, NOW);
	is_in_force(&policy, NOW, "10MB/s* none 20/s* 2*");
	assert_int_equal(policy.by_hand_uid, 0);
	/* one end for all of them */
	is_in_force(&policy, NOW + S - 1, "10MB/s* none 20/s* 2*");
	is_in_force(&policy, NOW + S, "5MB/s none none 64");

	ebb_limits_take_back(&policy);
	is_in_force(&policy, NOW, "5MB/s none none 64");
	assert_int_equal(policy.by_hand_until_ns, 0);
	assert_false(ebb_limits_by_hand(&policy, NOW));
}

static void none_by_hand_lifts_what_is_configured(void **state)
{
	struct ebb_policy policy = configured();
	const struct ebb_limits change = {.given = (1U << BYTES) | EBB_GIVEN_CONCURRENT};

	(void)state;
	ebb_limits_give(&policy, &change, 0, 0, NOW);
	is_in_force(&policy, NOW, "none* none none 0*");
	ebb_limits_take_back(&policy);
	is_in_force(&policy, NOW, "5MB/s none none 64");
}

static void what_is_over_does_not_come_back_with_a_new_end(void **state)
{
	struct ebb_policy policy = configured();
	struct ebb_limits change = {.given = 1U << BYTES};

	(void)state;
	change.bucket[BYTES] = read_limit(BYTES, "1kB/s");
	ebb_limits_give(&policy, &change, NOW + S, 0, NOW);
	change = (struct ebb_limits){.given = EBB_GIVEN_CONCURRENT, .concurrent = 2};
	ebb_limits_give(&policy, &change, NOW + 10 * S, 0, NOW + 2 * S);
	is_in_force(&policy, NOW + 2 * S, "5MB/s none none 2*");
}

static void asks_follow_the_limits(void **state)
{
	struct ebb_policy policy = {};
	struct ebb_limits change = {.given = 1U << CONNECTS};

	(void)state;
	ebb_limits_summarize(&policy);
	assert_int_equal(policy.asks, 0);
	change.bucket[CONNECTS] = read_limit(CONNECTS, "20/s");
	ebb_limits_give(&policy, &change, 0, 0, NOW);
	assert_int_equal(policy.asks, EBB_ASK_CONNECT);
	change = (struct ebb_limits){.given = 1U << PACKETS};
	change.bucket[PACKETS] = read_limit(PACKETS, "20/s");
	ebb_limits_give(&policy, &change, 0, 0, NOW);
	assert_int_equal(policy.asks, EBB_ASK_CONNECT | EBB_ASK_PACKET);
	change = (struct ebb_limits){.given = 1U << CONNECTS};
	ebb_limits_give(&policy, &change, 0, 0, NOW);
	assert_int_equal(policy.asks, EBB_ASK_PACKET);
	policy.established = EBB_ESTABLISHED_DROP;
	ebb_limits_take_back(&policy);
	assert_int_equal(policy.asks, EBB_ASK_PACKET);
	policy.established = EBB_ESTABLISHED_KEEP;
	ebb_limits_take_back(&policy);
	assert_int_equal(policy.asks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_read_exactly),
		cmocka_unit_test(what_is_no_limit_is_refused_with_the_reason),
		cmocka_unit_test(no_byte_is_overlooked),
		cmocka_unit_test(limits_are_shown_short_and_exact),
		cmocka_unit_test(what_is_shown_is_read_as_the_same),
		cmocka_unit_test(a_unit_costs_its_time),
		cmocka_unit_test(what_is_available_follows_the_debt),
		cmocka_unit_test(what_is_given_by_hand_replaces_only_its_kind),
		cmocka_unit_test(none_by_hand_lifts_what_is_configured),
		cmocka_unit_test(what_is_over_does_not_come_back_with_a_new_end),
		cmocka_unit_test(asks_follow_the_limits),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}

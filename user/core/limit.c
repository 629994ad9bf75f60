/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"

#define NS_PER_HOUR ((unsigned __int128)3600000000000ULL)
#define S_PER_HOUR  3600ULL

#define BURST_MAX_HOURS (EBB_LIMIT_BURST_MAX_NS / 3600000000000ULL)

#define KB  1000ULL
#define KIB 1024ULL

/* An amount in a unit is @times / @per of what is counted. */
struct unit {
	const char *name;
	uint64_t times, per;
	bool shown; /* where it makes the shortest text; else only read */
};

/* Where two texts are as short, the first is shown. */
static const struct unit byte_units[] = {
	{"TB", KB *KB *KB *KB, 1, true},
	{"GB", KB *KB *KB, 1, true},
	{"MB", KB *KB, 1, true},
	{"kB", KB, 1, true},
	{"B", 1, 1, true},
	{"TiB", KIB *KIB *KIB *KIB, 1, true},
	{"GiB", KIB *KIB *KIB, 1, true},
	{"MiB", KIB *KIB, 1, true},
	{"KiB", KIB, 1, true},
	{"KB", KB, 1, false},
	{"Tbit", KB *KB *KB *KB, 8, false},
	{"Gbit", KB *KB *KB, 8, false},
	{"Mbit", KB *KB, 8, false},
	{"kbit", KB, 8, false},
	{"Kbit", KB, 8, false},
	{"bit", 1, 8, false},
	{NULL, 0, 0, false},
};

static const struct unit count_units[] = {
	{"", 1, 1, true},    {"M", KB *KB, 1, true}, {"k", KB, 1, true},
	{"K", KB, 1, false}, {NULL, 0, 0, false},
};

/* The first that makes a whole number of a rate is shown. */
static const struct {
	const char *name;
	uint64_t seconds;
} intervals[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"m", 60}};

#define INTERVALS (sizeof(intervals) / sizeof(intervals[0]))

/*
 * The bursts where none is given: TCP waits 200 ms after a drop with nothing in flight, so a
 * shallower bucket would stand full meanwhile and lose that rate; and the largest packet that
 * segmentation offload makes (64 KiB, 45 segments) must find room. Connections come in packs
 * when a program starts and fills its pool.
 */
static const struct kind {
	struct ebb_limit_kind_info info;
	const struct unit *units;
	uint64_t bursts_per_hour; /* the burst is what comes in an hour divided by this, */
	uint64_t burst_floor;	  /* and no smaller than this */
	const char *no_unit;	  /* said when the unit is missing, or one of bytes is too much */
	const char *unit_names;
	const char *too_small;
} kinds[EBB_LIMIT_MAX] = {
	[EBB_LIMIT_BYTES] =
		{
			.info = {"bytes", "IP bytes sent", "10MB/s", "2MB",
				 "what 250 ms of the rate bring, at least 64KiB", EBB_LIMIT_BYTES_MAX, 1500},
			.units = byte_units,
			.bursts_per_hour = 4 * S_PER_HOUR,
			.burst_floor = 64 * KIB,
			.no_unit = "bytes need a unit, as in 20B/s or 20MB/s",
			.unit_names =
				"B, kB, MB, GB, TB (1000), KiB, MiB, GiB, TiB (1024), kbit, Mbit, Gbit or Tbit",
			.too_small = "a burst must hold at least one packet (1500B)",
		},
	[EBB_LIMIT_PACKETS] =
		{
			.info = {"packets", "packets sent, as they are on the wire", "1000/s", "500",
				 "what 250 ms of the rate bring, at least 64", EBB_LIMIT_COUNT_MAX, 1},
			.units = count_units,
			.bursts_per_hour = 4 * S_PER_HOUR,
			.burst_floor = 64,
			.no_unit = "packets have no unit, as in 20/s",
			.unit_names = "k or M",
			.too_small = "a burst must hold at least one packet",
		},
	[EBB_LIMIT_CONNECTS] =
		{
			.info = {"connects", "connections begun", "20/s", "40",
				 "what one second of the rate brings, at least 1", EBB_LIMIT_COUNT_MAX, 1},
			.units = count_units,
			.bursts_per_hour = S_PER_HOUR,
			.burst_floor = 1,
			.no_unit = "connections have no unit, as in 20/s",
			.unit_names = "k or M",
			.too_small = "a burst must hold at least one connection",
		},
};

const struct ebb_limit_kind_info *ebb_limit_kind_info(uint32_t kind)
{
	assert(kind < EBB_LIMIT_MAX);
	return &kinds[kind].info;
}

int ebb_limit_make(uint64_t per_hour, uint64_t burst, struct ebb_limit *ret_limit)
{
	struct ebb_limit limit = {.per_hour = per_hour, .burst = burst};
	unsigned __int128 burst_ns, singles_ns;
	uint64_t single_ns;

	if (per_hour == 0) {
		memset(ret_limit, 0, sizeof(*ret_limit));
		return 0;
	}
	burst_ns = burst * NS_PER_HOUR / per_hour;
	if (burst == 0 || burst_ns > EBB_LIMIT_BURST_MAX_NS)
		return -ERANGE;
	limit.burst_ns = burst_ns > 0 ? (uint64_t)burst_ns : 1;
	/* mult / 2^shift = ns for one unit, with at least 32 significant bits and at most 42: 2^20 units fit */
	while (limit.shift < 62 && (NS_PER_HOUR << (limit.shift + 1)) / per_hour < (1ULL << 32))
		limit.shift++;
	limit.mult = (uint64_t)(((NS_PER_HOUR << limit.shift) + per_hour / 2) / per_hour);
	/* units taken one by one are rounded one by one: as many as the burst go in, not one more or less */
	single_ns = (limit.mult + ((1ULL << limit.shift) >> 1)) >> limit.shift;
	singles_ns = (unsigned __int128)burst * single_ns;
	if ((singles_ns > burst_ns ? singles_ns - burst_ns : burst_ns - singles_ns) < single_ns)
		limit.burst_ns = (uint64_t)singles_ns;
	*ret_limit = limit;
	return 0;
}

/* ------------------------------------------------------------ showing -- */

/* @units in @unit with at most three decimals; false when that is not exact, or below 1. */
static bool format_in(uint64_t units, const struct unit *unit, char *buffer, size_t size)
{
	uint64_t whole = units / unit->times;
	unsigned __int128 rest = (unsigned __int128)(units % unit->times) * 1000;
	unsigned int thousandths, digits = 3;

	if (whole == 0 || rest % unit->times != 0)
		return false;
	thousandths = (unsigned int)(rest / unit->times);
	while (digits > 0 && thousandths % 10 == 0) {
		thousandths /= 10;
		digits--;
	}
	if (digits > 0)
		(void)snprintf(buffer, size, "%llu.%0*u%s", (unsigned long long)whole, (int)digits,
			       thousandths, unit->name);
	else
		(void)snprintf(buffer, size, "%llu%s", (unsigned long long)whole, unit->name);
	return true;
}

/* The shortest exact text. A count stays without a unit as long as it is read at a glance. */
static const char *format_amount(uint64_t units, const struct kind *kind, char *buffer, size_t size)
{
	bool plain = kind->units == count_units && units < 100 * KB;
	size_t shortest = SIZE_MAX;
	char text[EBB_FORMAT_MAX];

	(void)snprintf(buffer, size, "%llu", (unsigned long long)units);
	for (const struct unit *u = kind->units; u->name && !plain; u++) {
		if (u->shown && format_in(units, u, text, sizeof(text)) && strlen(text) < shortest) {
			shortest = strlen(text);
			(void)snprintf(buffer, size, "%s", text);
		}
	}
	return buffer;
}

const char *ebb_limit_format_rate(const struct ebb_limit *limit, uint32_t kind, char *buffer, size_t size)
{
	char amount[EBB_FORMAT_MAX];
	size_t i = 0;

	assert(kind < EBB_LIMIT_MAX);
	if (limit->per_hour == 0) {
		(void)snprintf(buffer, size, "none");
		return buffer;
	}
	while (limit->per_hour % (S_PER_HOUR / intervals[i].seconds) != 0)
		i++; /* an hour divides all */
	(void)snprintf(buffer, size, "%s/%s",
		       format_amount(limit->per_hour / (S_PER_HOUR / intervals[i].seconds), &kinds[kind],
				     amount, sizeof(amount)),
		       intervals[i].name);
	return buffer;
}

const char *ebb_limit_format(const struct ebb_limit *limit, uint32_t kind, char *buffer, size_t size)
{
	char rate[EBB_LIMIT_TEXT_MAX], burst[EBB_FORMAT_MAX];

	(void)ebb_limit_format_rate(limit, kind, rate, sizeof(rate));
	if (limit->per_hour == 0)
		(void)snprintf(buffer, size, "%s", rate);
	else
		(void)snprintf(buffer, size, "%s burst %s", rate,
			       format_amount(limit->burst, &kinds[kind], burst, sizeof(burst)));
	return buffer;
}

const char *ebb_limit_format_units(double units, uint32_t kind, char *buffer, size_t size)
{
	assert(kind < EBB_LIMIT_MAX);
	return kind == EBB_LIMIT_BYTES ? ebb_format_bytes((uint64_t)units, buffer, size)
				       : ebb_format_count((uint64_t)units, buffer, size);
}

/* ------------------------------------------------------------ reading -- */

/* number / divisor of @unit */
struct amount {
	uint64_t number, divisor;
	const struct unit *unit;
};

static const struct unit *find_unit(const struct unit *units, const char *name, size_t length)
{
	for (; units->name; units++) {
		if (strlen(units->name) == length && memcmp(units->name, name, length) == 0)
			return units;
	}
	return NULL;
}

static int take_amount(const char **io_text, const struct kind *kind, struct amount *ret_amount,
		       struct ebb_why *why)
{
	struct amount amount;
	size_t length;
	int r;

	if (**io_text == '-')
		return ebb_why(why, -EINVAL, "it cannot be negative; none is no limit");
	r = ebb_take_decimal(io_text, &amount.number, &amount.divisor);
	if (r == -ERANGE)
		return ebb_why(why, -EINVAL, "a number has at most 18 digits");
	if (r < 0)
		return ebb_why(why, -EINVAL, "like %s, %s,burst=%s, or none", kind->info.example,
			       kind->info.example, kind->info.example_burst);
	length = strspn(*io_text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
	amount.unit = find_unit(kind->units, *io_text, length);
	if (!amount.unit && (length == 0 || find_unit(byte_units, *io_text, length)))
		return ebb_why(why, -EINVAL, "%s", kind->no_unit);
	if (!amount.unit)
		return ebb_why(why, -EINVAL, "'%.*s' is no unit of %s: %s", (int)(length < 16 ? length : 16),
			       *io_text, kind->info.name, kind->unit_names);
	*io_text += length;
	*ret_amount = amount;
	return 0;
}

/* False when @amount times @factor is no whole number of units. No overflow: 60, 40 and 12 bits. */
static bool whole_units(const struct amount *amount, uint64_t factor, unsigned __int128 *ret_units)
{
	unsigned __int128 units = (unsigned __int128)amount->number * amount->unit->times * factor;
	unsigned __int128 divisor = (unsigned __int128)amount->divisor * amount->unit->per;

	*ret_units = units / divisor;
	return units % divisor == 0;
}

static int take_rate(const char **io_text, const struct kind *kind, uint64_t *ret_per_hour,
		     struct ebb_why *why)
{
	unsigned __int128 per_hour;
	char most[EBB_FORMAT_MAX];
	struct amount amount = {.divisor = 1, .unit = kind->units};
	uint64_t seconds = 0;
	size_t length;
	int r;

	r = take_amount(io_text, kind, &amount, why);
	if (r < 0)
		return r;
	length = strcspn(*io_text, ", ");
	for (size_t i = 0; i < INTERVALS && **io_text == '/'; i++) {
		if (strlen(intervals[i].name) == length - 1 &&
		    memcmp(intervals[i].name, *io_text + 1, length - 1) == 0)
			seconds = intervals[i].seconds;
	}
	if (!seconds)
		return ebb_why(why, -EINVAL, "a rate ends in /s, /min or /h, as in %s", kind->info.example);
	*io_text += length;
	if (!whole_units(&amount, S_PER_HOUR / seconds, &per_hour))
		return ebb_why(why, -EINVAL, "a rate must be a whole number of %s an hour", kind->info.name);
	if (per_hour == 0)
		return ebb_why(why, -EINVAL, "a rate must be above 0; none is no limit");
	if (per_hour > (unsigned __int128)kind->info.rate_max * S_PER_HOUR)
		return ebb_why(why, -EINVAL, "a rate is at most %s/s",
			       format_amount(kind->info.rate_max, kind, most, sizeof(most)));
	*ret_per_hour = (uint64_t)per_hour;
	return 0;
}

static uint64_t default_burst(const struct kind *kind, uint64_t per_hour)
{
	uint64_t burst = (per_hour + kind->bursts_per_hour - 1) / kind->bursts_per_hour;

	if (burst < kind->burst_floor)
		burst = kind->burst_floor;
	/* a rate so low that the floor would last too long gets as much as it may */
	return burst <= per_hour * BURST_MAX_HOURS ? burst : per_hour * BURST_MAX_HOURS;
}

/* What stands behind the rate: ",burst=40", " burst 40" (as it is shown), or nothing. */
static int take_burst(const char *text, const struct kind *kind, uint64_t per_hour, uint64_t *ret_burst,
		      struct ebb_why *why)
{
	static const char *const words[] = {",burst=", " burst "};
	unsigned __int128 burst = default_burst(kind, per_hour);
	char most[EBB_FORMAT_MAX];
	struct amount amount = {.divisor = 1, .unit = kind->units};
	int r;

	if (*text == '\0') {
		/* only bytes can be as slow as that */
		if (burst < kind->info.burst_min)
			return ebb_why(why, -EINVAL,
				       "it is too slow: one packet (%lluB) would be more than 7 days of the rate",
				       (unsigned long long)kind->info.burst_min);
		*ret_burst = (uint64_t)burst;
		return 0;
	}
	if (strncmp(text, words[0], strlen(words[0])) != 0 && strncmp(text, words[1], strlen(words[1])) != 0)
		return ebb_why(why, -EINVAL, "behind the rate only ,burst=%s or the like can stand",
			       kind->info.example_burst);
	text += strlen(words[0]);
	r = take_amount(&text, kind, &amount, why);
	if (r < 0)
		return r;
	if (*text != '\0')
		return ebb_why(why, -EINVAL, "a burst is an amount alone, as in burst=%s",
			       kind->info.example_burst);
	if (!whole_units(&amount, 1, &burst))
		return ebb_why(why, -EINVAL, "a burst must be a whole number of %s", kind->info.name);
	if (burst < kind->info.burst_min)
		return ebb_why(why, -EINVAL, "%s", kind->too_small);
	if (burst > (unsigned __int128)per_hour * BURST_MAX_HOURS)
		return ebb_why(why, -EINVAL, "a burst is at most 7 days of the rate, here %s",
			       format_amount(per_hour * BURST_MAX_HOURS, kind, most, sizeof(most)));
	*ret_burst = (uint64_t)burst;
	return 0;
}

int ebb_limit_parse(const char *text, uint32_t kind, struct ebb_limit *ret_limit, struct ebb_why *why)
{
	uint64_t per_hour = 0, burst = 0;
	int r;

	assert(kind < EBB_LIMIT_MAX);
	if (strcmp(text, "none") == 0 || strcmp(text, "off") == 0)
		return ebb_limit_make(0, 0, ret_limit);
	r = take_rate(&text, &kinds[kind], &per_hour, why);
	if (r < 0)
		return r;
	r = take_burst(text, &kinds[kind], per_hour, &burst, why);
	if (r < 0)
		return r;
	return ebb_limit_make(per_hour, burst, ret_limit);
}

int ebb_limit_parse_concurrent(const char *text, uint32_t *ret_concurrent)
{
	uint32_t concurrent = 0;

	/* 0 could be meant as "none at all" */
	if (strcmp(text, "none") != 0 && strcmp(text, "off") != 0 &&
	    (ebb_parse_u32(text, &concurrent) < 0 || concurrent == 0))
		return -EINVAL;
	*ret_concurrent = concurrent;
	return 0;
}

/* ------------------------------------------------------------ numbers -- */

double ebb_limit_available(const struct ebb_limit *limit, uint64_t full_ns, uint64_t now_ns)
{
	uint64_t debt = ebb_bucket_debt(full_ns, now_ns, limit->burst_ns);

	if (limit->burst_ns == 0 || debt >= limit->burst_ns)
		return 0;
	/* in this order: all of a full bucket exactly, and whole units where whole units are missing */
	return (double)limit->burst - (double)limit->burst * (double)debt / (double)limit->burst_ns;
}

double ebb_limit_rate(const struct ebb_limit *limit)
{
	return (double)limit->per_hour / 3600;
}

/* What stands by hand and is not over; what was said for all workloads has its own end. */
static uint32_t given_now(const struct ebb_policy *policy, uint64_t now_ns)
{
	uint32_t given = policy->by_hand.given;

	if (policy->by_hand_until_ns != 0 && now_ns >= policy->by_hand_until_ns)
		given &= policy->wide;
	if (policy->wide_until_ns != 0 && now_ns >= policy->wide_until_ns)
		given &= ~policy->wide;
	return given;
}

void ebb_limits_in_force(const struct ebb_policy *policy, uint64_t now_ns, struct ebb_limits *ret_limits)
{
	struct ebb_limits limits = policy->limits;
	uint32_t given = given_now(policy, now_ns);

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (given & (1U << kind))
			limits.bucket[kind] = policy->by_hand.bucket[kind];
	}
	if (given & EBB_GIVEN_CONCURRENT)
		limits.concurrent = policy->by_hand.concurrent;
	limits.given = given;
	*ret_limits = limits;
}

static uint32_t asks_of(const struct ebb_limits *limits)
{
	uint32_t asks = 0;

	if (limits->bucket[EBB_LIMIT_CONNECTS].per_hour || limits->concurrent)
		asks |= EBB_ASK_CONNECT;
	if (limits->bucket[EBB_LIMIT_BYTES].per_hour || limits->bucket[EBB_LIMIT_PACKETS].per_hour)
		asks |= EBB_ASK_PACKET;
	return asks;
}

void ebb_limits_summarize(struct ebb_policy *io_policy)
{
	uint32_t asks = (io_policy->asks & EBB_ASK_KEPT) | asks_of(&io_policy->limits);

	if (io_policy->by_hand.given)
		asks |= asks_of(&io_policy->by_hand);
	if (io_policy->established == EBB_ESTABLISHED_DROP)
		asks |= EBB_ASK_PACKET;
	__atomic_store_n(&io_policy->asks, asks, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------ by hand -- */

bool ebb_limits_by_hand(const struct ebb_policy *policy, uint64_t now_ns)
{
	return given_now(policy, now_ns) != 0;
}

/*
 * In this order, each before the next: what changes is taken out of @given, rewritten, and given
 * again; the end is moved only while what is over is out. @asks may be too much meanwhile and
 * never too little: too much costs a look, too little would be a limit that does not hold.
 */
void ebb_limits_give(struct ebb_policy *io_policy, const struct ebb_limits *change, uint64_t until_ns,
		     uint32_t uid, uint64_t now_ns)
{
	struct ebb_limits *place = &io_policy->by_hand;
	uint32_t stays = ebb_limits_by_hand(io_policy, now_ns) ? place->given & ~change->given : 0;

	__atomic_store_n(&io_policy->asks, io_policy->asks | asks_of(change), __ATOMIC_SEQ_CST);
	__atomic_store_n(&place->given, stays, __ATOMIC_SEQ_CST);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (!(stays & (1U << kind)))
			place->bucket[kind] =
				change->given & (1U << kind) ? change->bucket[kind] : (struct ebb_limit){0};
	}
	if (!(stays & EBB_GIVEN_CONCURRENT))
		place->concurrent = change->given & EBB_GIVEN_CONCURRENT ? change->concurrent : 0;
	__atomic_store_n(&io_policy->by_hand_uid, uid, __ATOMIC_RELAXED);
	__atomic_store_n(&io_policy->by_hand_until_ns, until_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&place->given, stays | change->given, __ATOMIC_RELEASE);
	ebb_limits_summarize(io_policy);
}

void ebb_limits_take_back(struct ebb_policy *io_policy)
{
	struct ebb_limits *place = &io_policy->by_hand;

	__atomic_store_n(&place->given, 0, __ATOMIC_SEQ_CST);
	memset(place->bucket, 0, sizeof(place->bucket));
	place->concurrent = 0;
	__atomic_store_n(&io_policy->by_hand_until_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&io_policy->by_hand_uid, 0, __ATOMIC_RELAXED);
	ebb_limits_summarize(io_policy);
}

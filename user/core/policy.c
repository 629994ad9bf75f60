/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a breaker. One table describes every key: the parser reads
 * by it, and defaults, help and documents are made from it.
 */
#include "core/policy.h"

#include <errno.h>
#include <string.h>

#include "core/window.h"
#include "lib/units.h"

#define MS     1e6
#define SECOND 1e9
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define FIELD(member) offsetof(struct ebb_breaker_config, member)

static const char *const weightings[] = {"sliding", "exponential", NULL}; /* enum ebb_weighting */

/* Longer values are refused; the longest that is valid is a list of all outcomes. */
#define VALUE_MAX 128

static const struct ebb_policy_key keys[] = {
	{.name = "window",
	 .unit = "duration",
	 .fallback = "10s",
	 .range = "100ms to 1h",
	 .help = "how far back rates look, sliding in ten steps",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(window_ns),
	 .min = 100 * MS,
	 .max = HOUR},
	{.name = "window_calls",
	 .unit = "count",
	 .fallback = "0",
	 .range = "0 to 1024",
	 .help = "above 0: the window is the last so many results, however old; 0: it is a time",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(window_calls),
	 .min = 0,
	 .max = EBB_WINDOW_CALLS_MAX},
	{.name = "weighting",
	 .unit = "word",
	 .fallback = "sliding",
	 .range = "sliding or exponential",
	 .help = "sliding: results of the window count alike; exponential: half as much for each half window of age",
	 .kind = EBB_POLICY_CHOICE,
	 .offset = FIELD(weighting),
	 .choices = weightings},
	{.name = "min_calls",
	 .unit = "count",
	 .fallback = "5",
	 .range = "1 to 1000000",
	 .help = "results that the window must hold before a rate is judged",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(min_calls),
	 .min = 1,
	 .max = 1e6},
	{.name = "failure_rate",
	 .unit = "ratio",
	 .fallback = "0.5",
	 .range = "above 0 and up to 1",
	 .help = "opens when this share of the window's results, or more, failed",
	 .kind = EBB_POLICY_RATIO,
	 .offset = FIELD(failure_rate),
	 .min = 0,
	 .max = 1,
	 .above_min = true},
	{.name = "slow_call",
	 .unit = "duration",
	 .fallback = "off",
	 .range = "off, or 1us to 1h",
	 .help = "a result that took longer is slow",
	 .kind = EBB_POLICY_DURATION_OR_OFF,
	 .offset = FIELD(slow_call_ns),
	 .min = 1000,
	 .max = HOUR},
	{.name = "slow_rate",
	 .unit = "ratio",
	 .fallback = "1.0",
	 .range = "above 0 and up to 1",
	 .help = "opens when this share of the window's results, or more, was slow",
	 .kind = EBB_POLICY_RATIO,
	 .offset = FIELD(slow_rate),
	 .min = 0,
	 .max = 1,
	 .above_min = true},
	{.name = "consecutive_failures",
	 .unit = "count",
	 .fallback = "5",
	 .range = "0 to 1000000",
	 .help = "opens at so many failures in a row, in the kernel itself; 0 is off",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(consecutive_failures),
	 .min = 0,
	 .max = 1e6},
	{.name = "count",
	 .unit = "outcomes",
	 .fallback = "refused+timeout+unreachable+abandoned+reset+unanswered",
	 .range = "any of refused, timeout, unreachable, abandoned, reset, unanswered, joined by '+'",
	 .help = "which outcomes are failures",
	 .kind = EBB_POLICY_OUTCOMES,
	 .offset = FIELD(count_mask)},
	{.name = "open_for",
	 .unit = "duration",
	 .fallback = "5s",
	 .range = "10ms to 1h",
	 .help = "how long the first opening in a row lasts",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(open_for_ns),
	 .min = 10 * MS,
	 .max = HOUR},
	{.name = "open_factor",
	 .unit = "factor",
	 .fallback = "2",
	 .range = "1 to 10",
	 .help = "each further opening in a row lasts so many times longer",
	 .kind = EBB_POLICY_FACTOR,
	 .offset = FIELD(open_factor),
	 .min = 1,
	 .max = 10},
	{.name = "open_max",
	 .unit = "duration",
	 .fallback = "25s",
	 .range = "10ms to 24h, not below open_for",
	 .help = "where that growth ends",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(open_max_ns),
	 .min = 10 * MS,
	 .max = 24 * HOUR},
	{.name = "open_jitter",
	 .unit = "ratio",
	 .fallback = "0.2",
	 .range = "0 to 0.9",
	 .help = "each open time is shortened or lengthened by up to this share of it",
	 .kind = EBB_POLICY_RATIO,
	 .offset = FIELD(open_jitter),
	 .min = 0,
	 .max = 0.9},
	{.name = "probes",
	 .unit = "count",
	 .fallback = "3",
	 .range = "1 to 8",
	 .help = "connections let through at once when half-open",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(probes),
	 .min = 1,
	 .max = EBB_PROBES_MAX},
	{.name = "close_after",
	 .unit = "count",
	 .fallback = "2",
	 .range = "1 to 1000",
	 .help = "probes that must succeed to close",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(close_after),
	 .min = 1,
	 .max = 1000},
	{.name = "reopen_after",
	 .unit = "count",
	 .fallback = "2",
	 .range = "1 to 1000",
	 .help = "probes that must fail to open again",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(reopen_after),
	 .min = 1,
	 .max = 1000},
	{.name = "probe_lease",
	 .unit = "duration",
	 .fallback = "10s",
	 .range = "100ms to 1h",
	 .help = "a probe without a result after this time has failed",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(probe_lease_ns),
	 .min = 100 * MS,
	 .max = HOUR},
	{.name = "ramp",
	 .unit = "duration",
	 .fallback = "0s",
	 .range = "0s to 1h",
	 .help = "after closing, a share of new connections is let through that grows to all over this time",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(ramp_ns),
	 .min = 0,
	 .max = HOUR},
	{.name = "abandon_after",
	 .unit = "duration",
	 .fallback = "1s",
	 .range = "10ms to 10m",
	 .help = "a program that gives up a connect sooner cancelled it, later it abandoned it",
	 .kind = EBB_POLICY_DURATION,
	 .offset = FIELD(abandon_after_ns),
	 .min = 10 * MS,
	 .max = 10 * MINUTE},
	{.name = "syn_retries",
	 .unit = "count",
	 .fallback = "2",
	 .range = "1 to 10",
	 .help = "a connect whose SYN was sent again so often has failed by timeout, minutes before TCP says so",
	 .kind = EBB_POLICY_COUNT,
	 .offset = FIELD(syn_retries),
	 .min = 1,
	 .max = 10},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* Bits of keys already given are kept in one word. */
_Static_assert(KEYS <= 32, "more keys than bits");

const struct ebb_policy_key *ebb_policy_keys(size_t *ret_count)
{
	*ret_count = KEYS;
	return keys;
}

/* ------------------------------------------------------------- parsing -- */

/* What a connection can do to a breaker: success and the program's own change of mind are no failures. */
#define MAY_COUNT                                                                                \
	(1U << EBB_OUTCOME_REFUSED | 1U << EBB_OUTCOME_TIMEOUT | 1U << EBB_OUTCOME_UNREACHABLE | \
	 1U << EBB_OUTCOME_ABANDONED | 1U << EBB_OUTCOME_RESET | 1U << EBB_OUTCOME_UNANSWERED)

/* A piece of the text that is parsed: not terminated. */
struct piece {
	const char *start;
	size_t length;
};

static bool piece_is(struct piece piece, const char *text)
{
	return strlen(text) == piece.length && memcmp(piece.start, text, piece.length) == 0;
}

/* Takes what is before @separator, or all, off the front of @io_rest. False: @io_rest was used up. */
static bool take_piece(const char **io_rest, char separator, struct piece *ret_piece)
{
	const char *start = *io_rest, *end;

	if (!start)
		return false;
	end = strchr(start, separator);
	*ret_piece = (struct piece){start, end ? (size_t)(end - start) : strlen(start)};
	*io_rest = end ? end + 1 : NULL;
	return true;
}

/* "refused+timeout"; each at most once, at least one. */
static int parse_outcomes(const char *text, uint32_t *ret_mask)
{
	uint32_t mask = 0;
	struct piece piece;

	while (take_piece(&text, '+', &piece)) {
		uint32_t bit = 0;

		for (uint32_t i = 0; i < EBB_OUTCOME_MAX; i++) {
			if (piece_is(piece, ebb_outcome_name(i)))
				bit = 1U << i & MAY_COUNT;
		}
		if (bit == 0 || mask & bit)
			return -EINVAL;
		mask |= bit;
	}
	*ret_mask = mask;
	return 0;
}

static bool in_range(const struct ebb_policy_key *key, double value)
{
	return value <= key->max && (key->above_min ? value > key->min : value >= key->min);
}

/* The member that @key describes. */
static void *member(const struct ebb_policy_key *key, struct ebb_breaker_config *config)
{
	return (char *)config + key->offset;
}

static int parse_duration(const struct ebb_policy_key *key, const char *text,
			  struct ebb_breaker_config *io_config)
{
	uint64_t ns;
	int r;

	r = ebb_parse_duration(text, &ns);
	if (r < 0)
		return r;
	if (!in_range(key, (double)ns))
		return -ERANGE;
	memcpy(member(key, io_config), &ns, sizeof(ns));
	return 0;
}

static int parse_count(const struct ebb_policy_key *key, const char *text,
		       struct ebb_breaker_config *io_config)
{
	uint32_t count;
	int r;

	r = ebb_parse_u32(text, &count);
	if (r < 0)
		return r;
	if (!in_range(key, count))
		return -ERANGE;
	memcpy(member(key, io_config), &count, sizeof(count));
	return 0;
}

static int parse_double(const struct ebb_policy_key *key, const char *text,
			struct ebb_breaker_config *io_config)
{
	double number;
	int r;

	r = key->kind == EBB_POLICY_RATIO ? ebb_parse_ratio(text, &number) : ebb_parse_number(text, &number);
	if (r < 0)
		return r;
	if (!in_range(key, number))
		return -ERANGE;
	memcpy(member(key, io_config), &number, sizeof(number));
	return 0;
}

static int parse_choice(const struct ebb_policy_key *key, const char *text,
			struct ebb_breaker_config *io_config)
{
	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			memcpy(member(key, io_config), &i, sizeof(i));
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_value(const struct ebb_policy_key *key, const char *text,
		       struct ebb_breaker_config *io_config)
{
	switch (key->kind) {
	case EBB_POLICY_DURATION_OR_OFF:
		if (strcmp(text, "off") == 0) {
			memset(member(key, io_config), 0, sizeof(uint64_t));
			return 0;
		}
		return parse_duration(key, text, io_config);
	case EBB_POLICY_DURATION:
		return parse_duration(key, text, io_config);
	case EBB_POLICY_RATIO:
	case EBB_POLICY_FACTOR:
		return parse_double(key, text, io_config);
	case EBB_POLICY_COUNT:
		return parse_count(key, text, io_config);
	case EBB_POLICY_OUTCOMES:
		return parse_outcomes(text, member(key, io_config));
	case EBB_POLICY_CHOICE:
		return parse_choice(key, text, io_config);
	}
	return -EINVAL;
}

/* "a whole number from 1 to 8" */
static int why_expected(const struct ebb_policy_key *key, struct ebb_why *why)
{
	static const char *const what[] = {
		[EBB_POLICY_DURATION] = "a duration ",
		[EBB_POLICY_DURATION_OR_OFF] = "",
		[EBB_POLICY_RATIO] = "a ratio ",
		[EBB_POLICY_FACTOR] = "a number ",
		[EBB_POLICY_COUNT] = "a whole number ",
		[EBB_POLICY_OUTCOMES] = "",
		[EBB_POLICY_CHOICE] = "",
	};
	bool number = key->range[0] >= '0' && key->range[0] <= '9';

	return ebb_why(why, -EINVAL, "%s%s%s%s", what[key->kind], number ? "from " : "", key->range,
		       key->kind == EBB_POLICY_RATIO ? EBB_RATIO_EXAMPLES : "");
}

int ebb_policy_parse_value(const struct ebb_policy_key *key, const char *text,
			   struct ebb_breaker_config *io_config, struct ebb_why *why)
{
	return parse_value(key, text, io_config) < 0 ? why_expected(key, why) : 0;
}

static int why_value(const struct ebb_policy_key *key, struct piece value, struct ebb_why *why)
{
	struct ebb_why inner = {0};

	(void)why_expected(key, &inner);
	return ebb_why(why, -EINVAL, "breaker: %s=%.*s%s: expected %.256s", key->name,
		       value.length < VALUE_MAX ? (int)value.length : VALUE_MAX, value.start,
		       value.length < VALUE_MAX ? "" : "...", inner.text);
}

/* Insertions, deletions and replacements from @a to @b; both shorter than NEAR_MAX. */
#define NEAR_MAX 32

static size_t edit_distance(struct piece a, struct piece b)
{
	size_t row[NEAR_MAX];

	for (size_t j = 0; j <= b.length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.length; j++) {
			size_t replaced = diagonal + (a.start[i - 1] != b.start[j - 1]);
			size_t shorter = row[j - 1] < row[j] ? row[j - 1] : row[j];

			diagonal = row[j];
			row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
		}
	}
	return row[b.length];
}

/* The key that was probably meant, or NULL. */
static const struct ebb_policy_key *nearest_key(struct piece name)
{
	const struct ebb_policy_key *nearest = NULL;
	size_t best = 3; /* two slips are a typing error, three another word */

	if (name.length >= NEAR_MAX)
		return NULL;
	for (size_t i = 0; i < KEYS; i++) {
		size_t distance = edit_distance(name, (struct piece){keys[i].name, strlen(keys[i].name)});

		if (distance < best && distance < name.length) {
			best = distance;
			nearest = &keys[i];
		}
	}
	return nearest;
}

static int why_unknown(struct piece name, struct ebb_why *why)
{
	const struct ebb_policy_key *nearest = nearest_key(name);
	int shown = name.length < NEAR_MAX ? (int)name.length : NEAR_MAX;
	char all[384];
	size_t used = 0;

	if (nearest)
		return ebb_why(why, -EINVAL, "breaker: unknown key '%.*s': did you mean '%s'?", shown,
			       name.start, nearest->name);
	for (size_t i = 0; i < KEYS; i++) {
		size_t length = strlen(keys[i].name);

		if (used + length + 3 > sizeof(all))
			break;
		if (used > 0) {
			memcpy(all + used, ", ", 2);
			used += 2;
		}
		memcpy(all + used, keys[i].name, length);
		used += length;
	}
	return ebb_why(why, -EINVAL, "breaker: unknown key '%.*s': expected one of %.*s", shown, name.start,
		       (int)used, all);
}

/* One "key=value". */
static int parse_setting(struct piece setting, uint32_t *io_given, struct ebb_breaker_config *io_config,
			 struct ebb_why *why)
{
	const char *equals = memchr(setting.start, '=', setting.length);
	struct piece name, value;
	char text[VALUE_MAX];

	if (!equals)
		return ebb_why(why, -EINVAL, "breaker: '%.*s': expected key=value",
			       setting.length < VALUE_MAX ? (int)setting.length : VALUE_MAX, setting.start);
	name = (struct piece){setting.start, (size_t)(equals - setting.start)};
	value = (struct piece){equals + 1, setting.length - name.length - 1};
	for (size_t i = 0; i < KEYS; i++) {
		if (!piece_is(name, keys[i].name))
			continue;
		if (*io_given & 1U << i)
			return ebb_why(why, -EINVAL, "breaker: %s is given twice", keys[i].name);
		*io_given |= 1U << i;
		if (value.length >= sizeof(text))
			return why_value(&keys[i], value, why);
		memcpy(text, value.start, value.length);
		text[value.length] = '\0';
		if (parse_value(&keys[i], text, io_config) < 0)
			return why_value(&keys[i], value, why);
		return 0;
	}
	return why_unknown(name, why);
}

int ebb_policy_check(const struct ebb_breaker_config *config, const char *ret_keys[2], struct ebb_why *why)
{
	char open_for[EBB_FORMAT_MAX], open_max[EBB_FORMAT_MAX];

	if (config->open_max_ns < config->open_for_ns) {
		ret_keys[0] = "open_max";
		ret_keys[1] = "open_for";
		return ebb_why(why, -EINVAL,
			       "breaker: open_max (%s) is below open_for (%s): raise open_max or lower open_for",
			       ebb_format_duration(config->open_max_ns, open_max, sizeof(open_max)),
			       ebb_format_duration(config->open_for_ns, open_for, sizeof(open_for)));
	}
	if (config->window_calls > 0 && config->weighting != EBB_WEIGHTING_SLIDING) {
		ret_keys[0] = "weighting";
		ret_keys[1] = "window_calls";
		return ebb_why(why, -EINVAL,
			       "breaker: weighting is by age, and window_calls (%u) has no age: leave one of them out",
			       config->window_calls);
	}
	return 0;
}

const char *ebb_policy_doubt(const struct ebb_breaker_config *config, struct ebb_why *ret_doubt)
{
	if (config->window_calls == 0 || config->min_calls <= config->window_calls)
		return NULL;
	(void)ebb_why(ret_doubt, 0,
		      "min_calls (%u) is more than window_calls (%u) ever holds: no rate is judged; lower min_calls",
		      config->min_calls, config->window_calls);
	return "window_calls";
}

static size_t member_size(const struct ebb_policy_key *key)
{
	switch (key->kind) {
	case EBB_POLICY_DURATION:
	case EBB_POLICY_DURATION_OR_OFF:
		return sizeof(uint64_t);
	case EBB_POLICY_RATIO:
	case EBB_POLICY_FACTOR:
		return sizeof(double);
	case EBB_POLICY_COUNT:
	case EBB_POLICY_OUTCOMES:
	case EBB_POLICY_CHOICE:
		break;
	}
	return sizeof(uint32_t);
}

bool ebb_policy_same(const struct ebb_breaker_config *a, const struct ebb_breaker_config *b)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (memcmp((const char *)a + keys[i].offset, (const char *)b + keys[i].offset,
			   member_size(&keys[i])) != 0)
			return false;
	}
	return true;
}

static bool is_duration(const struct ebb_policy_key *key)
{
	return key->kind == EBB_POLICY_DURATION || key->kind == EBB_POLICY_DURATION_OR_OFF;
}

static uint64_t duration_of(const struct ebb_policy_key *key, const struct ebb_breaker_config *config)
{
	uint64_t ns;

	memcpy(&ns, (const char *)config + key->offset, sizeof(ns));
	return ns;
}

struct ebb_breaker_config ebb_policy_scale(const struct ebb_breaker_config *config, unsigned int shift)
{
	struct ebb_breaker_config scaled = *config;

	for (size_t i = 0; i < KEYS; i++) {
		uint64_t ns;

		if (!is_duration(&keys[i]))
			continue;
		ns = duration_of(&keys[i], config) << shift;
		memcpy(member(&keys[i], &scaled), &ns, sizeof(ns));
	}
	return scaled;
}

uint64_t ebb_policy_longest_ns(const struct ebb_breaker_config *config)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < KEYS; i++) {
		if (is_duration(&keys[i]) && duration_of(&keys[i], config) > longest)
			longest = duration_of(&keys[i], config);
	}
	return longest;
}

int ebb_policy_parse(const char *text, struct ebb_breaker_config *io_config, struct ebb_why *why)
{
	struct ebb_breaker_config config = *io_config;
	const char *disagree[2];
	struct piece setting;
	uint32_t given = 0;
	int r;

	while (take_piece(&text, ',', &setting)) {
		r = parse_setting(setting, &given, &config, why);
		if (r < 0)
			return r;
	}
	r = ebb_policy_check(&config, disagree, why);
	if (r < 0)
		return r;
	*io_config = config;
	return 0;
}

void ebb_policy_defaults(struct ebb_breaker_config *ret_config)
{
	memset(ret_config, 0, sizeof(*ret_config));
	/* the table's own texts are valid: a test parses each */
	for (size_t i = 0; i < KEYS; i++)
		(void)parse_value(&keys[i], keys[i].fallback, ret_config);
}

/* --------------------------------------------------------- for the kernel -- */

static uint32_t ticks_u32(uint64_t ns)
{
	uint64_t ticks = ebb_ns_to_ticks(ns);

	return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

void ebb_policy_to_kernel(const struct ebb_breaker_config *config, struct ebb_policy *io_policy)
{
	uint64_t open_ns =
		config->open_for_ns < config->open_max_ns ? config->open_for_ns : config->open_max_ns;

	/* for a gate that the agent has not seen yet: the first opening, without jitter */
	io_policy->arm = ebb_arm(config->consecutive_failures, open_ns > 0 ? ticks_u32(open_ns) : 1);
	io_policy->count_mask = config->count_mask;
	io_policy->probes = config->probes;
	io_policy->close_after = config->close_after;
	io_policy->reopen_after = config->reopen_after;
	io_policy->probe_lease_ticks = ticks_u32(config->probe_lease_ns);
	io_policy->abandon_ms = (uint32_t)((config->abandon_after_ns + 999999) / 1000000);
	io_policy->slow_ns = config->slow_call_ns;
	io_policy->ramp_ticks = ticks_u32(config->ramp_ns);
	io_policy->syn_retries = config->syn_retries;
}

/* ----------------------------------------------------------------- names -- */

static const char *name_of(const char *const *names, size_t count, uint32_t value)
{
	return value < count && names[value] ? names[value] : "unknown";
}

const char *ebb_mode_name(uint32_t mode)
{
	static const char *const names[EBB_MODE_MAX] = {
		[EBB_MODE_OBSERVE] = "observe",
		[EBB_MODE_ENFORCE] = "enforce",
	};

	return name_of(names, EBB_MODE_MAX, mode);
}

const char *ebb_state_name(uint32_t state)
{
	static const char *const names[EBB_STATE_MAX] = {
		[EBB_STATE_CLOSED] = "closed",
		[EBB_STATE_OPEN] = "open",
		[EBB_STATE_HALF_OPEN] = "half_open",
	};

	return name_of(names, EBB_STATE_MAX, state);
}

const char *ebb_outcome_name(uint32_t outcome)
{
	static const char *const names[EBB_OUTCOME_MAX] = {
		[EBB_OUTCOME_ESTABLISHED] = "established",
		[EBB_OUTCOME_REFUSED] = "refused",
		[EBB_OUTCOME_TIMEOUT] = "timeout",
		[EBB_OUTCOME_UNREACHABLE] = "unreachable",
		[EBB_OUTCOME_ABANDONED] = "abandoned",
		[EBB_OUTCOME_CANCELLED] = "cancelled",
		[EBB_OUTCOME_RESET] = "reset",
		[EBB_OUTCOME_UNANSWERED] = "unanswered",
	};

	return name_of(names, EBB_OUTCOME_MAX, outcome);
}

const char *ebb_turn_name(uint32_t turn)
{
	static const char *const names[EBB_TURN_MAX] = {
		[EBB_TURN_ANSWERED] = "answered",
		[EBB_TURN_UNANSWERED] = "unanswered",
		[EBB_TURN_RESET] = "reset",
		[EBB_TURN_CANCELLED] = "cancelled",
	};

	return name_of(names, EBB_TURN_MAX, turn);
}

const char *ebb_cause_name(uint32_t cause)
{
	static const char *const names[EBB_CAUSE_MAX] = {
		[EBB_CAUSE_OVERRIDE] = "override", [EBB_CAUSE_FUSE] = "fuse",
		[EBB_CAUSE_BREAKER] = "breaker",   [EBB_CAUSE_HALF_OPEN] = "half_open",
		[EBB_CAUSE_RATE] = "rate",	   [EBB_CAUSE_CONCURRENCY] = "concurrency",
	};

	return name_of(names, EBB_CAUSE_MAX, cause);
}

const char *ebb_drop_name(uint32_t drop)
{
	static const char *const names[EBB_DROP_MAX] = {
		[EBB_DROP_BYTES] = "bytes",
		[EBB_DROP_PACKETS] = "packets",
		[EBB_DROP_BREAKER] = "breaker",
	};

	return name_of(names, EBB_DROP_MAX, drop);
}

const char *ebb_scope_name(uint32_t scope)
{
	static const char *const names[EBB_SCOPE_MAX] = {
		[EBB_SCOPE_NODE] = "node",
		[EBB_SCOPE_WORKLOAD] = "workload",
	};

	return name_of(names, EBB_SCOPE_MAX, scope);
}

const char *ebb_class_name(uint32_t class)
{
	static const char *const names[EBB_CLASS_MAX] = {
		[EBB_CLASS_GOVERNED] = "governed",
		[EBB_CLASS_OBSERVED] = "observed",
		[EBB_CLASS_ALONE] = "ignored",
		[EBB_CLASS_UNKNOWN] = "unknown",
	};

	return name_of(names, EBB_CLASS_MAX, class);
}

const char *ebb_error_name(uint32_t error)
{
	static const char *const names[EBB_ERR_MAX] = {
		[EBB_ERR_DST_TABLE_FULL] = "dst_table_full",
		[EBB_ERR_PAIR_TABLE_FULL] = "pair_table_full",
		[EBB_ERR_ENDPOINT_TABLE_FULL] = "endpoint_table_full",
		[EBB_ERR_SLOT_INVALID] = "slot_invalid",
		[EBB_ERR_EPOCH_STALE] = "epoch_stale",
		[EBB_ERR_CONN_NO_MEMORY] = "conn_no_memory",
		[EBB_ERR_NOTE_LOST] = "note_lost",
		[EBB_ERR_CAS_EXHAUSTED] = "cas_exhausted",
		[EBB_ERR_GAUGE_UNDERFLOW] = "gauge_underflow",
		[EBB_ERR_LEASE_EXPIRED] = "lease_expired",
		[EBB_ERR_EVENT_LOST] = "event_lost",
		[EBB_ERR_SOCKET_UNKNOWN] = "socket_unknown",
		[EBB_ERR_FALLBACK_DEVICE] = "fallback_device",
		[EBB_ERR_SHARE_FULL] = "share_full",
		[EBB_ERR_UNCLASSIFIED] = "unclassified",
		[EBB_ERR_DNS_LOST] = "dns_lost",
		[EBB_ERR_GAUGE_CORRECTED] = "gauge_corrected",
		[EBB_ERR_RECORD_LOST] = "record_lost",
	};

	return name_of(names, EBB_ERR_MAX, error);
}

/* The transitions of the machine: this is the table of docs/state-machine.md. */
static const struct {
	const char *name;
	uint32_t from;
	uint32_t to;
} reasons[EBB_REASON_MAX] = {
	[EBB_REASON_CONSECUTIVE_FAILURES] = {"consecutive_failures", EBB_STATE_CLOSED, EBB_STATE_OPEN},
	[EBB_REASON_FAILURE_RATE] = {"failure_rate", EBB_STATE_CLOSED, EBB_STATE_OPEN},
	[EBB_REASON_SLOW_RATE] = {"slow_rate", EBB_STATE_CLOSED, EBB_STATE_OPEN},
	[EBB_REASON_OPEN_EXPIRED] = {"open_expired", EBB_STATE_OPEN, EBB_STATE_HALF_OPEN},
	[EBB_REASON_PROBES_SUCCEEDED] = {"probes_succeeded", EBB_STATE_HALF_OPEN, EBB_STATE_CLOSED},
	[EBB_REASON_PROBES_FAILED] = {"probes_failed", EBB_STATE_HALF_OPEN, EBB_STATE_OPEN},
};

const char *ebb_reason_name(uint32_t reason)
{
	return reason < EBB_REASON_MAX ? reasons[reason].name : "unknown";
}

uint32_t ebb_reason_from(uint32_t reason)
{
	return reason < EBB_REASON_MAX ? reasons[reason].from : EBB_STATE_MAX;
}

uint32_t ebb_reason_to(uint32_t reason)
{
	return reason < EBB_REASON_MAX ? reasons[reason].to : EBB_STATE_MAX;
}

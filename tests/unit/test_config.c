/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as its user meets it: what is taken, what is refused and where, which layer
 * wins. What each key takes is asked of the table itself, so that no key goes untested.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "config/keys.h"
#include "export/groups.h"
#include "export/health.h"

#define S 1000000000ULL

static struct ebb_config *config;
static struct ebb_problems problems;
static struct ebb_keys *keys;

static int set_up(void **state)
{
	(void)state;
	keys = ebb_keys_new();
	return keys ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ebb_config_free(config);
	config = NULL;
	free(keys);
	return 0;
}

static int parse_bytes(const char *text, size_t length)
{
	ebb_config_free(config);
	config = NULL;
	return ebb_config_parse(text, length, &config, &problems);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static const char *problem_text(size_t index)
{
	static char text[EBB_PROBLEM_TEXT_MAX];

	if (index >= problems.count)
		return "(no problem)";
	return ebb_problem_format(&problems.list[index], "f", text, sizeof(text));
}

static void must_take(const char *text)
{
	int r = parse(text);

	if (r != 0)
		fail_msg("refused: %s\n%s", problem_text(0), text);
}

/* With exactly one error, which is @wanted, "f:LINE:COLUMN: TEXT". */
static void must_refuse(const char *text, const char *wanted)
{
	if (parse(text) == 0)
		fail_msg("taken, wanted: %s\n%s", wanted, text);
	assert_null(config);
	if (ebb_problems_errors(&problems) != 1 || strcmp(problem_text(0), wanted) != 0)
		fail_msg("%zu errors\n got:    %s\n wanted: %s\n%s", ebb_problems_errors(&problems),
			 problem_text(0), wanted, text);
}

/* ------------------------------------------------------------ every key -- */

/* A file with @value at @path, and where the value stands. */
struct document {
	char text[1024];
	unsigned int line, column;
};

/* "defaults.breaker.window" becomes three lines. What a destination must have stands before it. */
static void make_document(const char *path, const char *value, struct document *ret)
{
	char copy[EBB_KEY_PATH_MAX], *rest = copy;
	size_t used = 0;
	unsigned int indent = 0, line = 1;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	ret->text[0] = '\0';
	for (char *part; (part = strsep(&rest, "."));) {
		bool list = strlen(part) > 2 && strcmp(part + strlen(part) - 2, "[]") == 0;
		bool own_name = rest && strcmp(rest, "name") == 0,
		     own_match = rest && strcmp(rest, "match") == 0;

		if (list)
			part[strlen(part) - 2] = '\0';
		used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "%*s%s:", (int)indent,
					 "", part);
		ret->line = line;
		ret->column = indent + (unsigned int)strlen(part) + 3;
		if (!rest)
			break;
		used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "\n");
		line++;
		indent += 2;
		if (!list)
			continue;
		if (strcmp(part, "destinations") == 0) {
			/* without what is under test */
			used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "  -\n");
			line++;
			indent += 2;
			if (!own_name) {
				used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used,
							 "    name: some\n");
				line++;
			}
			if (!own_match && strncmp(rest, "match[", 6) != 0) {
				used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used,
							 "    match: [{port: 1}]\n");
				line++;
			}
		} else {
			used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "%*s-\n",
						 (int)indent, "");
			line++;
			indent += 2;
			if (strcmp(rest, "protocol") == 0) {
				used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used,
							 "%*sport: 1\n", (int)indent, "");
				line++;
			}
		}
	}
	(void)snprintf(ret->text + used, sizeof(ret->text) - used, " %s\n", value);
}

static unsigned int tried_good, tried_bad;

static void good(const struct ebb_key *key, const char *value)
{
	struct document document;

	make_document(key->path, value, &document);
	if (parse(document.text) != 0)
		fail_msg("%s: '%s' is refused: %s\n%s", key->path, value, problem_text(0), document.text);
	tried_good++;
}

/* Refused with one error, which stands where the value stands and names the key. */
static void bad(const struct ebb_key *key, const char *value)
{
	struct document document;
	const struct ebb_problem *problem = &problems.list[0];

	make_document(key->path, value, &document);
	if (parse(document.text) == 0)
		fail_msg("%s: '%s' is taken\n%s", key->path, value, document.text);
	if (problems.count != 1 || problem->line != document.line || problem->column != document.column)
		fail_msg("%s: '%s': %zu problems, wanted one at %u:%u: %s\n%s", key->path, value,
			 problems.count, document.line, document.column, problem_text(0), document.text);
	if (!strstr(problem->text, ebb_key_name(key)))
		fail_msg("%s: '%s': the key is not named: %s", key->path, value, problem->text);
	tried_bad++;
}

static void bad_number(const struct ebb_key *key, double value, const char *unit)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%.17g%s", value, unit);
	bad(key, text);
}

static void good_number(const struct ebb_key *key, double value, const char *unit)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%.17g%s", value, unit);
	good(key, text);
}

/* The struct that the key's value went into; NULL: it is kept nowhere. */
static const char *kept(const struct ebb_key *key)
{
	if (key->offset == EBB_KEY_NOWHERE)
		return NULL;
	return (key->flags & EBB_KEY_DESTINATION ? (const char *)config->destinations
						 : (const char *)config) +
	       key->offset;
}

static void good_count(const struct ebb_key *key, uint64_t value)
{
	char text[64];
	uint32_t count;

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	good(key, text);
	if (kept(key)) {
		memcpy(&count, kept(key), sizeof(count));
		assert_int_equal(count, value);
	}
}

static void good_bytes(const struct ebb_key *key, uint64_t value)
{
	char text[64];
	uint64_t bytes;

	(void)snprintf(text, sizeof(text), "%" PRIu64 "B", value);
	good(key, text);
	if (kept(key)) {
		memcpy(&bytes, kept(key), sizeof(bytes));
		assert_int_equal(bytes, value);
	}
}

static void good_duration(const struct ebb_key *key, uint64_t value)
{
	char text[64];
	uint64_t ns;

	(void)snprintf(text, sizeof(text), "%" PRIu64 "ns", value);
	good(key, text);
	if (kept(key)) {
		memcpy(&ns, kept(key), sizeof(ns));
		assert_int_equal(ns, value);
	}
}

/* What no number is, whatever its kind; a limit says "negative" for itself. */
static void garbage(const struct ebb_key *key)
{
	static const char *const values[] = {"x",    "-1",	 "1 2",	 "0x10",
					     "1e3",  "~",	 "null", "\"\"",
					     "'5x'", "1_000",	 "1,5",	 ".5",
					     "+1",   "\xc2\xbd", "1.",	 "99999999999999999999"};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		bad(key, values[i]);
}

/* What no scalar is. */
static void wrong_type(const struct ebb_key *key)
{
	struct document document;

	bad(key, "[1]");
	bad(key, "[]");
	bad(key, "{a: 1}");
	bad(key, "{}");
	/* nothing stands there: the parser puts it behind the colon */
	make_document(key->path, "", &document);
	assert_int_not_equal(parse(document.text), 0);
	assert_non_null(strstr(problems.list[0].text, "nothing stands here"));
}

static void try_breaker(const struct ebb_key *key)
{
	const struct ebb_policy_key *breaker = key->breaker;
	const char *unit = "";
	double step = 1;

	switch (breaker->kind) {
	case EBB_POLICY_OUTCOMES:
		good(key, "refused");
		good(key, "refused+timeout");
		good(key, "'refused,timeout'");
		good(key, "refused, timeout");
		bad(key, "'refused,'");
		good(key, "[refused, timeout, unreachable, abandoned, reset, unanswered]");
		good(key, "\n            - refused\n            - timeout");
		bad(key, "x");
		bad(key, "established");
		bad(key, "refused+refused");
		bad(key, "[]");
		bad(key, "{refused: on}");
		return;
	case EBB_POLICY_DURATION_OR_OFF:
		good(key, "off");
		good(key, "false");
		bad(key, "on");
		bad(key, "0");
		unit = "ns";
		break;
	case EBB_POLICY_DURATION:
		unit = "ns";
		bad(key, "10");
		break;
	case EBB_POLICY_RATIO:
	case EBB_POLICY_FACTOR:
		step = 0.001;
		break;
	case EBB_POLICY_COUNT:
		bad(key, "2.5");
		break;
	case EBB_POLICY_CHOICE:
		garbage(key);
		wrong_type(key);
		for (size_t i = 0; breaker->choices[i]; i++)
			good(key, breaker->choices[i]);
		return;
	}
	garbage(key);
	wrong_type(key);
	/* another key must fit to it: see what_holds_between_keys */
	if (strcmp(breaker->name, "open_for") != 0)
		good_number(key, breaker->max, unit);
	if (strcmp(breaker->name, "open_max") != 0 && !breaker->above_min)
		good_number(key, breaker->min, unit);
	bad_number(key, breaker->max + step, unit);
	if (breaker->above_min)
		bad_number(key, breaker->min, unit);
	else if (breaker->min > 0)
		bad_number(key, breaker->min - step, unit);
}

static void try_limit(const struct ebb_key *key)
{
	const char *unit = key->min == EBB_LIMIT_BYTES ? "MB" : "";
	char text[128];

	good(key, "none");
	good(key, "off");
	good(key, "false");
	(void)snprintf(text, sizeof(text), "100%s/s", unit);
	good(key, text);
	(void)snprintf(text, sizeof(text), "100%s/s,burst=200%s", unit, unit);
	good(key, text);
	(void)snprintf(text, sizeof(text), "{rate: 100%s/s}", unit);
	good(key, text);
	(void)snprintf(text, sizeof(text), "{burst: 40%s, rate: 100%s/min}", unit, unit);
	good(key, text);
	(void)snprintf(text, sizeof(text), "1000%s/s", unit[0] ? "GB" : "M");
	good(key, text);
	(void)snprintf(text, sizeof(text), "1001%s/s", unit[0] ? "GB" : "M");
	bad(key, text);
	garbage(key);
	bad(key, "0/s");
	bad(key, "20");
	bad(key, "20/fortnight");
	bad(key, "on");
	bad(key, "[1]");
	bad(key, "{}");
	(void)snprintf(text, sizeof(text), "{burst: 40%s}", unit);
	bad(key, text);
}

static void try_choice(const struct ebb_key *key)
{
	uint32_t index;
	char text[64];

	for (size_t i = 0; key->choices[i]; i++) {
		good(key, key->choices[i]);
		if (kept(key)) {
			memcpy(&index, kept(key), sizeof(index));
			assert_int_equal(index, key->min + i);
		}
		(void)snprintf(text, sizeof(text), "%s%s", key->choices[i], "x");
		bad(key, text);
		(void)snprintf(text, sizeof(text), "%s", key->choices[i]);
		text[0] = (char)(text[0] - 'a' + 'A');
		bad(key, text);
	}
	garbage(key);
	wrong_type(key);
}

/* What a kind of text takes and what not; NULL at the end. */
static const struct {
	enum ebb_key_kind kind;
	const char *good[8], *bad[16];
} texts[] = {
	{EBB_KEY_SWITCH, {"on", "off", "true", "false"}, {"yes", "no", "1", "0", "On", "\"\""}},
	{EBB_KEY_CGROUP, {"auto", "/sys/fs/cgroup/x", "relative"}, {"\"\""}},
	{EBB_KEY_LISTEN,
	 {":9478", "127.0.0.1:0", "\"[::1]:9478\"", "0.0.0.0:65535"},
	 {"9478", "localhost:1", "127.0.0.1", "127.0.0.1:65536", "\"[::1]\"", "\"::1:9478\"", "\"\"",
	  "127.0.0.1:-1", "\"[127.0.0.1]:1\"", "\"[:1\""}},
	{EBB_KEY_PATH, {"/a", "/var/lib/a b"}, {"a", "./a", "\"\"", "~/a"}},
	{EBB_KEY_WORD, {"db", "10.0.0.1", "/run/postgresql"}, {"\"\"", "a b", "\"a\\tb\""}},
	{EBB_KEY_URL,
	 {"http://a", "https://a.example:4318/v1/traces", "\"http://[::1]:4318\""},
	 {"a:4318", "ftp://a", "http://", "http:///x", "http://user:pass@a", "\"http://a b\"", "http//a"}},
	{EBB_KEY_NAME,
	 {"a", "A-b_c.d9", "10.0.0.1a", "a23456789012345678901234567890123456789012345678901234567890123"},
	 {"\"\"", "~other", "10.0.0.1", "10.0.0.1:443", "\"[::1]:443\"", "a b", "a:443", "a/tcp", "-a", ".a",
	  "443", "\"*\"", "\xc3\xa4", "a234567890123456789012345678901234567890123456789012345678901234"}},
	{EBB_KEY_HOST,
	 {"example.com", "EXAMPLE.com.", "\"*.example.com\"", "a", "_srv.a-b.example",
	  "xn--bcher-kva.example", "1.example"},
	 {"\"\"", "\"*\"", "\"*.\"", "a..b", "a.*.b", "\"*a.b\"", "-a.b", "a-.b", "10.0.0.1", "10.0.0.0/8",
	  "\"2001:db8::1\"", "a.b:443", "https://a.b", "b\xc3\xbc.example", "a b", "\"*.10.0.0.1\""}},
	{EBB_KEY_CIDR,
	 {"10.0.0.0/8", "0.0.0.0/0", "\"::/0\"", "192.0.2.7", "192.0.2.7/32", "\"2001:db8::/32\"", "\"::1\"",
	  "\"fe80::/10\""},
	 {"\"\"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "10.0.0.0/8/8",
	  "example.com", "\"2001:db8::1/32\"", "\"::/129\"", "\"::ffff:10.0.0.0/104\"", "\"fe80::1%eth0\"",
	  "\"::ffff:10.0.0.1\"", "10.0.0.0/0x8", "010.0.0.0/8", "10.0.0.0 /8"}},
	{EBB_KEY_CONCURRENT, {"1", "4294967295", "none", "off", "false"}, {"0", "4294967296", "on", "2.5"}},
};

static bool try_text(const struct ebb_key *key)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].kind != key->kind)
			continue;
		for (size_t v = 0; v < 8 && texts[i].good[v]; v++)
			good(key, texts[i].good[v]);
		for (size_t v = 0; v < 16 && texts[i].bad[v]; v++)
			bad(key, texts[i].bad[v]);
		if (!strchr(key->path, '[') || key->kind == EBB_KEY_CONCURRENT)
			wrong_type(key);
		return true;
	}
	return false;
}

static void try_pattern(const struct ebb_key *key)
{
	bool label = strcmp(ebb_key_name(key), "label") == 0;

	good(key, label ? "app=crawler" : "\"/dev-*\"");
	good(key, label ? "\"app=*\"" : "\"*\"");
	bad(key, "\"\"");
	if (label) {
		bad(key, "app");
		bad(key, "\"=x\"");
	} else if (strcmp(ebb_key_name(key), "cgroup") == 0) {
		bad(key, "system.slice");
	}
	if (strcmp(ebb_key_name(key), "cgroup") != 0)
		bad(key, "a=b c");
}

static void try_list(const struct ebb_key *key)
{
	switch (key->kind) {
	case EBB_KEY_RESOLVERS:
		good(key, "auto");
		good(key, "10.0.0.10");
		good(key, "[auto, 10.0.0.10, \"2001:db8::10\"]");
		good(key, "[1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8, 1.1.1.9, "
			  "1.1.1.10, 1.1.1.11, 1.1.1.12, 1.1.1.13, 1.1.1.14, 1.1.1.15, 1.1.1.16]");
		bad(key, "[]");
		bad(key, "none");
		bad(key, "{a: b}");
		bad(key, "10.0.0.0/8");
		break;
	case EBB_KEY_WORDS:
		good(key, "[]"); /* names are of destinations: see below */
		bad(key, "\"a b\"");
		bad(key, "{a: b}");
		break;
	case EBB_KEY_SET:
		good(key, "[]");
		good(key, key->choices[0]);
		for (size_t i = 0; key->choices[i]; i++) {
			char list[64];

			(void)snprintf(list, sizeof(list), "[%s]", key->choices[i]);
			good(key, list);
		}
		bad(key, "nothing-of-the-kind");
		bad(key, "{a: b}");
		break;
	default:
		bad(key, "x");
		bad(key, "{a: b}");
		if (key->kind != EBB_KEY_MATCHES)
			good(key, "[]");
		else
			bad(key, "[]");
		break;
	}
}

static void try_key(const struct ebb_key *key)
{
	char text[64];

	switch (key->kind) {
	case EBB_KEY_SECTION:
		return;
	case EBB_KEY_CHOICE:
		try_choice(key);
		return;
	case EBB_KEY_COUNT:
		garbage(key);
		if (!strstr(key->path, "match[]"))
			wrong_type(key);
		bad(key, "2.5");
		good_count(key, key->min);
		good_count(key, key->max);
		bad_number(key, (double)key->max + 1, "");
		if (key->min > 0)
			bad_number(key, (double)key->min - 1, "");
		return;
	case EBB_KEY_DURATION:
		garbage(key);
		wrong_type(key);
		bad(key, "10");
		/* another key must fit to it: see a_sink_may_be_off */
		if (!strstr(key->path, ".delivery.max"))
			good_duration(key, key->min);
		if (!strstr(key->path, ".delivery.first"))
			good_duration(key, key->max);
		(void)snprintf(text, sizeof(text), "%" PRIu64 "ns", key->max + 1);
		bad(key, text);
		if (key->min > 0) {
			(void)snprintf(text, sizeof(text), "%" PRIu64 "ns", key->min - 1);
			bad(key, text);
		}
		return;
	case EBB_KEY_BYTES:
		garbage(key);
		wrong_type(key);
		bad(key, "10");
		good_bytes(key, key->min);
		good_bytes(key, key->max);
		(void)snprintf(text, sizeof(text), "%" PRIu64 "B", key->max + 1);
		bad(key, text);
		(void)snprintf(text, sizeof(text), "%" PRIu64 "B", key->min - 1);
		bad(key, text);
		return;
	case EBB_KEY_NUMBER:
		garbage(key);
		wrong_type(key);
		good(key, "1.5");
		bad_number(key, (double)key->max + 1, "");
		bad_number(key, (double)key->min - 1, "");
		return;
	case EBB_KEY_RATIO:
		garbage(key);
		wrong_type(key);
		good(key, "1");
		good(key, "0.5");
		good(key, "50%");
		bad(key, "1.01");
		bad(key, "101%");
		if (key->min)
			bad(key, "0");
		else
			good(key, "0");
		return;
	case EBB_KEY_BREAKER:
		try_breaker(key);
		return;
	case EBB_KEY_LIMIT:
		try_limit(key);
		return;
	case EBB_KEY_PATTERN:
		try_pattern(key);
		return;
	default:
		if (!try_text(key))
			try_list(key);
		return;
	}
}

static void every_key_takes_its_range_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < keys->count; i++)
		try_key(&keys->list[i]);
	/* so that a table cut short does not pass for a good one */
	assert_true(keys->count > 120);
	assert_true(tried_good > 295 && tried_bad > 1500);
}

static void every_key_is_described(void **state)
{
	char own[EBB_KEY_ENVIRON_MAX], other[EBB_KEY_ENVIRON_MAX];

	(void)state;
	for (size_t i = 0; i < keys->count; i++) {
		const struct ebb_key *key = &keys->list[i];

		assert_ptr_equal(ebb_keys_find(keys, key->path), key);
		assert_true(key->help && key->help[0] && key->type);
		assert_true(key->kind == EBB_KEY_SECTION || key->range);
		/* a cell of a table in a document */
		assert_null(strpbrk(key->help, "|\n"));
		assert_null(key->range ? strpbrk(key->range, "|\n") : NULL);
		if (!ebb_key_environ(key, own, sizeof(own)))
			continue;
		for (size_t j = 0; j < i; j++) {
			if (ebb_key_environ(&keys->list[j], other, sizeof(other)))
				assert_string_not_equal(own, other);
		}
	}
	assert_null(ebb_keys_find(keys, ""));
	assert_null(ebb_keys_find(keys, "defaults.breaker.windows"));
}

/* What the table says holds without a file, and the help of 'ebb run' would say so. */
static void every_default_is_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->list[i].fallback)
			good(&keys->list[i], keys->list[i].fallback);
	}
}

/* ------------------------------------------------------------- whole files -- */

static void nothing_is_the_defaults(void **state)
{
	static const char *const files[] = {
		"",
		"\n",
		"# only a comment\n",
		"---\n",
		"---\n...\n",
		"\xef\xbb\xbf",
		"\r\n\r\n",
		"defaults:\n",
		"defaults:\n  breaker:\n",
		"{}\n",
		"destinations: []\n",
		"destinations:\n",
		"workloads: {include: [], exclude: }\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		must_take(files[i]);
		assert_int_equal(problems.count, 0);
		assert_string_equal(config->cgroup, "auto");
		assert_string_equal(config->listen, "127.0.0.1:9478");
		assert_int_equal(config->defaults.mode, EBB_MODE_OBSERVE);
		assert_int_equal(config->defaults.scope, EBB_SCOPE_NODE);
		assert_int_equal(config->defaults.on_agent_loss, EBB_LOSS_RELEASE);
		assert_int_equal(config->defaults.breaker.window_ns, 10 * S);
		assert_int_equal(config->defaults.breaker.consecutive_failures, 5);
		assert_int_equal(config->defaults.limits.concurrent, 0);
		assert_int_equal(config->destination_count, 0);
		assert_int_equal(config->workloads.exclude_count, 0);
		assert_int_equal(config->workloads.excluded, EBB_CLASS_OBSERVED);
		assert_int_equal(config->dns_names, 1);
		assert_int_equal(config->dns_auto, 1);
		assert_int_equal(config->dns_grace_ns, 600 * S);
		assert_int_equal(config->turns, 1);
		assert_int_equal(config->adopt, 1);
		assert_int_equal(config->scheduling, EBB_SCHEDULING_RR);
		assert_int_equal(config->lease_ns, 30 * S);
		assert_int_equal(config->cap_destinations, 4096);
		assert_int_equal(config->cap_pairs, 16384);
		assert_int_equal(config->cap_endpoints, 65536);
		assert_int_equal(config->idle_ns, 600 * S);
		assert_int_equal(config->on_exit_detach, 0);
	}
}

static void a_destination_stands_over_the_defaults(void **state)
{
	const struct ebb_destination *d;

	(void)state;
	must_take("destinations:\n"
		  "  - name: a\n"
		  "    match: [{host: \"*.Example.COM.\", port: 443, protocol: tcp}, {cidr: 10.0.0.0/8}]\n"
		  "    mode: observe\n"
		  "    scope: workload\n"
		  "    on_agent_loss: hold\n"
		  "    breaker: {open_for: 3s, count: [reset, refused], errno: etimedout, established: drop}\n"
		  "    limits: {bytes: {rate: 2MB/s, burst: 512KB}, connects: 20/s, concurrent: 7, errno: eperm}\n"
		  "  - {name: b, match: [{port: 5432}, {cidr: \"::/0\"}, {cidr: 0.0.0.0/0}]}\n"
		  "mode: enforce\n"
		  "defaults: {breaker: {probes: 7}, limits: {packets: 1000/s}}\n");
	assert_int_equal(problems.count, 0);
	assert_int_equal(config->destination_count, 2);
	d = &config->destinations[0];
	assert_string_equal(d->name, "a");
	assert_int_equal(d->line, 2);
	assert_int_equal(d->settings.mode, EBB_MODE_OBSERVE);
	assert_int_equal(d->settings.scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(d->settings.on_agent_loss, EBB_LOSS_HOLD);
	assert_int_equal(d->settings.errno_code, EBB_ERRNO_TIMEDOUT);
	assert_int_equal(d->settings.limits_errno, EBB_ERRNO_PERM);
	assert_int_equal(d->settings.established, EBB_ESTABLISHED_DROP);
	assert_int_equal(d->settings.breaker.open_for_ns, 3 * S);
	assert_int_equal(d->settings.breaker.probes, 7);
	assert_int_equal(d->settings.breaker.count_mask, 1U << EBB_OUTCOME_RESET | 1U << EBB_OUTCOME_REFUSED);
	assert_int_equal(d->settings.limits.bucket[EBB_LIMIT_BYTES].burst, 512000);
	assert_int_equal(d->settings.limits.bucket[EBB_LIMIT_BYTES].per_hour, 7200000000);
	assert_int_equal(d->settings.limits.bucket[EBB_LIMIT_PACKETS].per_hour, 3600000);
	assert_int_equal(d->settings.limits.bucket[EBB_LIMIT_CONNECTS].burst, 20);
	assert_int_equal(d->settings.limits.concurrent, 7);
	assert_int_equal(d->match_count, 2);
	assert_int_equal(d->matches[0].kind, EBB_MATCH_WILDCARD);
	assert_string_equal(d->matches[0].host, "example.com");
	assert_int_equal(d->matches[0].port, 443);
	assert_int_equal(d->matches[0].proto, IPPROTO_TCP);
	assert_int_equal(d->matches[1].kind, EBB_MATCH_PREFIX);
	assert_int_equal(d->matches[1].bits, 104);
	assert_memory_equal(d->matches[1].addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\0", 16);
	d = &config->destinations[1];
	assert_int_equal(d->settings.mode, EBB_MODE_ENFORCE);
	assert_int_equal(d->settings.errno_code, EBB_ERRNO_CONNREFUSED);
	assert_int_equal(d->matches[0].kind, EBB_MATCH_ANY);
	assert_int_equal(d->matches[0].port, 5432);
	assert_int_equal(d->matches[0].proto, 0);
	assert_int_equal(d->matches[1].kind, EBB_MATCH_PREFIX);
	assert_int_equal(d->matches[1].bits, 0);
	assert_int_equal(d->matches[2].bits, 96);
}

static const char *shown_value(const char *destination, const char *line);

static void limits_refuse_as_the_breaker_does_unless_it_is_said(void **state)
{
	(void)state;
	must_take("destinations:\n"
		  "- {name: a, match: [{port: 1}]}\n"
		  "- {name: b, match: [{port: 2}], breaker: {errno: etimedout}}\n"
		  "- {name: c, match: [{port: 3}], breaker: {errno: etimedout}, limits: {errno: econnrefused}}\n"
		  "defaults: {breaker: {errno: eperm}}\n");
	assert_int_equal(config->defaults.limits_errno, EBB_ERRNO_PERM);
	assert_int_equal(config->destinations[0].settings.limits_errno, EBB_ERRNO_PERM);
	assert_int_equal(config->destinations[1].settings.limits_errno, EBB_ERRNO_TIMEDOUT);
	assert_int_equal(config->destinations[2].settings.limits_errno, EBB_ERRNO_CONNREFUSED);
	assert_string_equal(shown_value(NULL, "defaults.limits.errno="), "eperm from file:5:29");
	assert_string_equal(shown_value("a", "destinations[].limits.errno="),
			    "eperm from file:5:29 inherited");
	assert_string_equal(shown_value("b", "destinations[].limits.errno="), "etimedout from file:3:50");
	assert_string_equal(shown_value("c", "destinations[].limits.errno="), "econnrefused from file:4:78");
	must_take("destinations:\n"
		  "- {name: a, match: [{port: 1}], breaker: {errno: etimedout}}\n"
		  "defaults: {limits: {errno: eperm}}\n");
	assert_int_equal(config->defaults.errno_code, EBB_ERRNO_CONNREFUSED);
	assert_int_equal(config->destinations[0].settings.limits_errno, EBB_ERRNO_PERM);
	assert_string_equal(shown_value("a", "destinations[].limits.errno="),
			    "eperm from file:3:28 inherited");
	must_take("");
	assert_int_equal(config->defaults.limits_errno, EBB_ERRNO_CONNREFUSED);
	assert_string_equal(shown_value(NULL, "defaults.limits.errno="), "econnrefused from default");
}

static void the_rest_of_a_file_is_read(void **state)
{
	(void)state;
	must_take("workloads:\n"
		  "  include: [{namespace: prod}, {label: app=*}]\n"
		  "  exclude: [{cgroup: \"/system.slice/*\"}, {priority_class: \"system-*\"}]\n"
		  "  excluded: ignore\n"
		  "dns: {names: off, grace: 5m, resolvers: [10.0.0.10, \"2001:db8::10\"]}\n");
	assert_int_equal(config->workloads.include_count, 2);
	assert_int_equal(config->workloads.include[0].kind, EBB_SELECT_NAMESPACE);
	assert_string_equal(config->workloads.include[1].pattern, "app=*");
	assert_int_equal(config->workloads.include[1].kind, EBB_SELECT_LABEL);
	assert_int_equal(config->workloads.exclude[0].kind, EBB_SELECT_CGROUP);
	assert_int_equal(config->workloads.exclude[1].kind, EBB_SELECT_PRIORITY);
	assert_int_equal(config->workloads.excluded, EBB_CLASS_ALONE);
	assert_int_equal(config->dns_names, 0);
	assert_int_equal(config->dns_auto, 0);
	assert_int_equal(config->dns_resolver_count, 2);
	assert_int_equal(config->dns_resolvers[0][10], 0xff);
	assert_int_equal(config->dns_resolvers[0][15], 10);
	assert_int_equal(config->dns_resolvers[1][0], 0x20);
	must_take("dns: {resolvers: 10.0.0.10}\n");
	assert_int_equal(config->dns_auto, 0);
	assert_int_equal(config->dns_resolver_count, 1);
}

static void the_rest_of_a_file_is_read_too(void **state)
{
	(void)state;
	must_take("capacity: {destinations: 10, pairs: 20, endpoints: 30, idle: 1m}\n"
		  "shutdown: {timeout: 5s, on_exit: detach}\n"
		  "adopt: off\n"
		  "log_level: debug\n"
		  "scheduling: other\n"
		  "attach: {cgroup: /a/b}\n");
	assert_int_equal(config->cap_destinations, 10);
	assert_int_equal(config->cap_pairs, 20);
	assert_int_equal(config->cap_endpoints, 30);
	assert_int_equal(config->shutdown_timeout_ns, 5 * S);
	assert_int_equal(config->idle_ns, 60 * S);
	assert_int_equal(config->on_exit_detach, 1);
	assert_int_equal(config->adopt, 0);
	assert_int_equal(config->log_level, 3);
	assert_int_equal(config->scheduling, EBB_SCHEDULING_OTHER);
	assert_string_equal(config->cgroup, "/a/b");
}

/* ------------------------------------------------------------------ errors -- */

static void what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"mode: on\n", "f:1:7: mode: 'on' is not possible: observe or enforce"},
		{"\xef\xbb\xbfmode: on\n", "f:1:7: mode: 'on' is not possible: observe or enforce"},
		{"# \xc3\xa4\r\nmode: on\r\n", "f:2:7: mode: 'on' is not possible: observe or enforce"},
		{"defaults: {scope: \"\xc3\xa4\", on_agent_loss: hold}\n",
		 "f:1:19: defaults.scope: '\xc3\xa4' is not possible: node or workload"},
		{"defaults: {\"scope\": node, on_agent_loss: holds}\n",
		 "f:1:42: defaults.on_agent_loss: 'holds' is not possible: release or hold"},
		{"modes: observe\n", "f:1:1: unknown key 'modes': did you mean 'mode'?"},
		{"window: 5s\n", "f:1:1: unknown key 'window': did you mean 'defaults.breaker.window'?"},
		{"defaults:\n  window: 5s\n", "f:2:3: unknown key 'window': did you mean 'breaker.window'?"},
		{"defaults:\n  breaker:\n    windw: 5s\n",
		 "f:3:5: unknown key 'windw': did you mean 'window'?"},
		{"shutdown: {qqq: 1}\n",
		 "f:1:12: unknown key 'qqq': expected one of delay, timeout, on_exit"},
		{"Mode: observe\n", "f:1:1: unknown key 'Mode': did you mean 'mode'?"},
		{"defaults.scope: node\n",
		 "f:1:1: unknown key 'defaults.scope': keys have no dots, write each part below the one before"},
		{"audit: {postgres: {password: x}}\n",
		 "f:1:20: unknown key 'password': did you mean 'password_file'?"},
		{"<<: {mode: observe}\n",
		 "f:1:1: unknown key '<<': expected one of mode, attach, listen, workloads, kubernetes, defaults, destinations, dns, turns, "
		 "adopt, lease, scheduling, seccomp, log_level, log_format, capacity, shutdown, health, node_fuse, metrics, audit, traces"},
		{"mode: observe\nlease: 30s\nmode: enforce\n",
		 "f:3:1: 'mode' is given twice, before in line 1"},
		{"attach: x\n", "f:1:9: attach: a value stands here: expected keys"},
		{"attach: [x]\n", "f:1:9: attach: a list stands here: expected keys"},
		{"[mode]\n", "f:1:1: no keys stand here: expected keys"},
		{"mode\n", "f:1:1: no keys stand here: expected keys"},
		{"mode:\n", "f:1:6: mode: nothing stands here: expected observe or enforce"},
		{"mode: [observe]\n", "f:1:7: mode: a list stands here: expected observe or enforce"},
		{"lease: {a: b}\n", "f:1:8: lease: keys stand here: expected 2s to 1h"},
		{"defaults: {breaker: {count: [refused, refused]}}\n",
		 "f:1:39: defaults.breaker.count: 'refused' stands twice"},
		{"defaults: {breaker: {count: [refused, slow]}}\n",
		 "f:1:39: defaults.breaker.count: 'slow' is not possible: any of refused, timeout, unreachable, abandoned, "
		 "reset, unanswered"},
		{"defaults: {breaker: {count: [refused, [a]]}}\n",
		 "f:1:39: defaults.breaker.count: a list stands here: expected an outcome"},
		{"defaults: {limits: {connects: {rate: 20/s, burst: many}}}\n",
		 "f:1:51: defaults.limits.connects: 'many' is not possible: an amount such as 40"},
		{"defaults: {limits: {connects: {rate: 20/s, burst: 0}}}\n",
		 "f:1:51: defaults.limits.connects: '0' is not possible: a burst must hold at least one connection"},
		{"defaults: {limits: {connects: {rate: '20/s,burst=5', burst: 1}}}\n",
		 "f:1:38: defaults.limits.connects: '20/s,burst=5' is not possible: a rate alone; the burst has a key of its own"},
		{"defaults: {limits: {connects: {rate: 20/s, brust: 1}}}\n",
		 "f:1:44: defaults.limits.connects: unknown key 'brust': expected rate and burst"},
		{"defaults: {limits: {connects: {rate: 20/s, rate: 21/s}}}\n",
		 "f:1:44: defaults.limits.connects: rate is given twice"},
		{"defaults: {limits: {bytes: 20/s}}\n",
		 "f:1:28: defaults.limits.bytes: '20/s' is not possible: bytes need a unit, as in 20B/s or 20MB/s"},
		{"dns: {resolvers: [auto, dns.example]}\n",
		 "f:1:25: dns.resolvers: 'dns.example' is not possible: an address like 10.0.0.10 or 2001:db8::10"},
		{"dns: {resolvers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8, 1.1.1.9, 1.1.1.10, "
		 "1.1.1.11, 1.1.1.12, 1.1.1.13, 1.1.1.14, 1.1.1.15, 1.1.1.16, 1.1.1.17]}\n",
		 "f:1:170: dns.resolvers: at most 16 addresses"},
		{"workloads: {exclude: [kube-system]}\n",
		 "f:1:23: selector: a value stands here: expected keys such as {cgroup: ...}"},
		{"workloads: {exclude: [{}]}\n",
		 "f:1:23: selector: 0 keys: expected exactly one of cgroup, namespace, label, priority_class"},
		{"workloads: {exclude: [{namespace: a, cgroup: /b}]}\n",
		 "f:1:23: selector: 2 keys: expected exactly one of cgroup, namespace, label, priority_class"},
		{"workloads: {exclude: [{namespaces: a}]}\n",
		 "f:1:24: selector: unknown key 'namespaces': did you mean 'namespace'?"},
		{"workloads: {exclude: [{label: app}]}\n",
		 "f:1:31: label: 'app' is not possible: key=value, such as app=crawler or \"app=*\""},
		{"destinations: {a: 1}\n",
		 "f:1:15: destinations: keys stand here: expected a list of destinations"},
		{"destinations: [a]\n",
		 "f:1:16: destination: a value stands here: expected keys, name and match among them"},
		{"destinations: [{match: [{port: 1}]}]\n", "f:1:16: destination: name is missing"},
		{"destinations: [{name: a}]\n",
		 "f:1:16: destination: match is missing: nothing would belong to it"},
		{"destinations: [{name: a, match: []}]\n",
		 "f:1:33: match: an empty list stands here: expected at least one match: nothing would belong to it"},
		{"destinations: [{name: a, match: [{}]}]\n",
		 "f:1:34: match: expected a host, a cidr or a port; everything is {cidr: 0.0.0.0/0} and {cidr: \"::/0\"}"},
		{"destinations: [{name: a, match: [{host: a.b, cidr: 10.0.0.0/8}]}]\n",
		 "f:1:34: match: host and cidr: expected one of them; write two matches"},
		{"destinations: [{name: a, match: [{host: [a.b]}]}]\n",
		 "f:1:41: match: host: a list stands here: expected one value"},
		{"destinations: [{name: a, match: [{host: 10.0.0.1}]}]\n",
		 "f:1:41: match[].host: '10.0.0.1' is not possible: a host name; for an address write cidr: instead of host:"},
		{"destinations: [{name: a, match: [{host: b\xc3\xbc.example}]}]\n",
		 "f:1:41: match[].host: 'b\xc3\xbc.example' is not possible: write it as DNS does, with labels that begin with "
		 "xn-- ('idn2 NAME' tells)"},
		{"destinations: [{name: a, match: [{cidr: 10.1.2.3/8}]}]\n",
		 "f:1:41: match[].cidr: '10.1.2.3/8' is not possible: the network is 10.0.0.0/8, the address alone 10.1.2.3/32"},
		{"destinations: [{name: a, match: [{cidr: \"2001:db8::1/32\"}]}]\n",
		 "f:1:41: match[].cidr: '2001:db8::1/32' is not possible: the network is 2001:db8::/32, the address alone "
		 "2001:db8::1/128"},
		{"destinations: [{name: a, match: [{cidr: \"::ffff:10.0.0.0/104\"}]}]\n",
		 "f:1:41: match[].cidr: '::ffff:10.0.0.0/104' is not possible: IPv4 is written as such: 10.0.0.0/8"},
		{"destinations: [{name: a, match: [{port: 0}]}]\n",
		 "f:1:41: match[].port: '0' is not possible: 1 to 65535"},
		{"destinations: [{name: a, match: [{port: 1, port: 2}]}]\n",
		 "f:1:44: match: port is given twice"},
		{"destinations: [{name: a, match: [{port: 1}]}, {name: a, match: [{port: 2}]}]\n",
		 "f:1:54: name: 'a' is another destination already, in line 1"},
		{"destinations: [{name: ~other, match: [{port: 1}]}]\n",
		 "f:1:23: name: '~other' is not possible: names that begin with '~' are ebb's own: another name"},
		{"destinations: [{name: a, match: [{port: 1}], window: 1s}]\n",
		 "f:1:46: unknown key 'window': did you mean 'breaker.window'?"},
		{"destinations: [{name: a, match: [{port: 1}], host: b}]\n",
		 "f:1:46: unknown key 'host': did you mean 'match[].host'?"},
		{"capacity: {destinations: 2}\ndestinations: [{name: a, match: [{port: 1}]}, {name: b, match: [{port: 2}]}]\n",
		 "f:2:15: destinations: 2 are more than capacity.destinations (2) has room for: raise it"},
		/* no YAML, or YAML that is not taken */
		{"mode: &a observe\n", "f:1:7: anchors (&name) are not taken: write the value out"},
		{"a: &a {b: c}\n", "f:1:4: anchors (&name) are not taken: write the value out"},
		{"a: *b\n", "f:1:4: aliases (*name) are not taken: write the value out"},
		{"mode: !!str observe\n", "f:1:7: tags (!name) are not taken: write the value alone"},
		{"a: !x [b]\n", "f:1:4: tags (!name) are not taken: write the value alone"},
		{"mode: observe\n---\nmode: enforce\n",
		 "f:2:1: a second document: the file holds one, remove the line '---'"},
		{"%YAML 1.1\n---\nmode: observe\n",
		 "f:1:1: directives (%...) are not taken: remove the line"},
		{"? [a]\n: b\n", "f:1:3: a key must be a word, not a list or a mapping"},
		{"{[a]: b}\n", "f:1:2: a key must be a word, not a list or a mapping"},
		{"attach:\n\tcgroup: auto\n", "f:2:1: a tab: YAML is indented with blanks"},
		{"mode: \"a\\0b\"\n", "f:1:7: a value cannot hold a NUL character"},
		{"a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n",
		 "f:1:19: nested too deep: no key is that far below another"},
		{"mode: \xff\n", "f:1:7: byte 0xff is no UTF-8: save the file in the encoding UTF-8"},
		{"# \xc3\xa4\xc3\n", "f:1:4: byte 0xc3 is no UTF-8: save the file in the encoding UTF-8"},
		{"mode: a\x01"
		 "b\n",
		 "f:1:8: a control character: only text, blanks and line ends may stand here"},
		{"# a\xe2\x80\xa8mode: x\n", "f:1:4: an invisible line end: write a blank or a newline"},
		{"# a\xc2\x85mode: x\n",
		 "f:1:4: a control character: only text, blanks and line ends may stand here"},
		{"mode: \xef\xbb\xbfx\n", "f:1:7: a mark that is no text: remove it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		must_refuse(cases[i].text, cases[i].said);
}

/* The words are libyaml's; the place and the beginning are ours. */
static void what_is_no_yaml_is_told_with_its_place(void **state)
{
	static const struct {
		const char *text, *begins;
	} cases[] = {
		{"mode: observe: enforce\n", "f:1:14: no YAML: mapping values are not allowed"},
		{"mode: [observe\n", "f:2:1: no YAML: did not find expected ',' or ']'"},
		{"mode: \"observe\n", "f:2:1: no YAML: found unexpected end of stream"},
		{"mode: @x\n", "f:1:7: no YAML: found character that cannot start any token"},
		{"a: 1\n b: 2\n", "f:2:3: no YAML: mapping values are not allowed"},
		{"- a\nb: 1\n", "f:2:1: no YAML: did not find expected '-' indicator"},
		{"\"\\q\": 1\n", "f:1:2: no YAML: found unknown escape character"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_not_equal(parse(cases[i].text), 0);
		if (problems.count != 1 ||
		    strncmp(problem_text(0), cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("got: %s\nwanted: %s\n%s", problem_text(0), cases[i].begins, cases[i].text);
	}
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "mode: obs\0erve\n";
	static const char utf16[] = "\xff\xfem\0o\0d\0e\0";
	char *big = malloc(5U << 20);

	(void)state;
	assert_int_not_equal(parse_bytes(nul, sizeof(nul) - 1), 0);
	assert_string_equal(problem_text(0), "f:1:10: a NUL byte: this is no text file");
	assert_int_not_equal(parse_bytes(utf16, sizeof(utf16) - 1), 0);
	assert_string_equal(problem_text(0),
			    "f:1:1: byte 0xff is no UTF-8: save the file in the encoding UTF-8");
	assert_non_null(big);
	memset(big, '#', 5U << 20);
	assert_int_not_equal(parse_bytes(big, 5U << 20), 0);
	assert_string_equal(problem_text(0), "f:1:1: the file is too big: at most 4 MB");
	assert_int_equal(parse_bytes(big, 4U << 20), 0);
	/* a million commas are two million values */
	memset(big, ',', 4U << 20);
	for (size_t i = 0; i < 4U << 20; i += 2)
		big[i] = 'a';
	big[0] = '[';
	assert_int_not_equal(parse_bytes(big, 4U << 20), 0);
	free(big);
}

/* 50 for 50% is a slip of many. */
static void a_ratio_out_of_range_is_told_how_it_is_written(void **state)
{
	(void)state;
	assert_int_not_equal(parse("node_fuse: {open_ratio: 50}\n"
				   "traces: {otlp: {sample: 10}}\n"
				   "defaults: {breaker: {failure_rate: 50, open_jitter: 95%}}\n"),
			     0);
	assert_int_equal(problems.count, 4);
	assert_string_equal(problem_text(0),
			    "f:1:25: node_fuse.open_ratio: '50' is not possible: a ratio above 0 and up to 1, like 0.5 or 50%");
	assert_string_equal(problem_text(1),
			    "f:2:25: traces.otlp.sample: '10' is not possible: a ratio from 0 to 1, like 0.5 or 50%");
	assert_string_equal(problem_text(2),
			    "f:3:36: defaults.breaker.failure_rate: '50' is not possible: a ratio above 0 and up to 1, like 0.5 or 50%");
	assert_string_equal(problem_text(3),
			    "f:3:53: defaults.breaker.open_jitter: '95%' is not possible: a ratio from 0 to 0.9, like 0.5 or 50%");
}

static void all_errors_are_told_in_order(void **state)
{
	char text[8192] = "";
	size_t used = 0;

	(void)state;
	assert_int_not_equal(parse("metrics: {labels: [pod]}\n"
				   "destinations:\n"
				   "  - name: a\n"
				   "    match: [{port: x}]\n"
				   "    breaker: {probes: 99, window: 1}\n"
				   "listen: here\n"
				   "mode: maybe\n"
				   "defaults: {breaker: {probes: 0}}\n"),
			     0);
	assert_int_equal(problems.count, 7);
	assert_int_equal(ebb_problems_errors(&problems), 6);
	assert_string_equal(problem_text(0), "f:4:20: match[].port: 'x' is not possible: 1 to 65535");
	assert_string_equal(problem_text(1),
			    "f:5:23: breaker.probes: '99' is not possible: a whole number from 1 to 8");
	assert_string_equal(problem_text(2),
			    "f:5:35: breaker.window: '1' is not possible: a duration from 100ms to 1h");
	assert_int_equal(problems.list[3].line, 6);
	assert_int_equal(problems.list[4].line, 7);
	assert_int_equal(problems.list[5].line, 8);
	assert_true(problems.list[6].warning);
	assert_int_equal(problems.list[6].line, 1);

	for (int i = 0; i < 100; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "k%03d: 1\n", i);
	assert_int_not_equal(parse(text), 0);
	assert_int_equal(problems.count, EBB_PROBLEMS_MAX);
	assert_int_equal(problems.more, 100 - EBB_PROBLEMS_MAX);
	for (uint32_t i = 0; i < EBB_PROBLEMS_MAX; i++)
		assert_int_equal(problems.list[i].line, i + 1);
}

static void what_differs_below_a_section(void **state)
{
	struct ebb_config *before;

	(void)state;
	must_take("audit: {file: {path: /a}}\n");
	before = config;
	config = NULL;
	must_take("mode: enforce\naudit: {file: {path: /a, size: 100MB}}\n");
	assert_true(ebb_config_same(before, config, "audit"));
	must_take("audit: {file: {path: /a, delivery: {jitter: 0.1}}}\n");
	assert_false(ebb_config_same(before, config, "audit"));
	must_take("audit: {file: {path: /ab}}\n");
	assert_false(ebb_config_same(before, config, "audit"));
	ebb_config_free(before);
}

/* Two of the paths may be off, and are not wanted then. */
static void a_sink_may_be_off(void **state)
{
	(void)state;
	must_take("audit: {sqlite: {path: off}}\n");
	assert_string_equal(config->audit.sqlite.path, "");
	assert_string_equal(config->audit.file.path, "");
	assert_string_equal(config->audit.postgres.host, "");
	must_refuse("audit: {sqlite: {delivery: {first: 10s, max: 9s}}}\n",
		    "f:1:46: audit.sqlite.delivery.max: max (9.00s) is below first (10.0s): raise max or lower first");
	must_refuse("audit: {file: {delivery: {first: 1m}}}\n",
		    "f:1:34: audit.file.delivery.first: max (32.0s) is below first (1m00s): raise max or lower first");
	must_take("audit: {postgres: {delivery: {first: 1m, max: 1m}}}\n");
	must_take("audit: {file: {path: /a, delivery: {attempts: 2, factor: 1.5}}, postgres: {host: db}}\n");
	assert_string_equal(config->audit.file.path, "/a");
	assert_int_equal(config->audit.file.delivery.attempts, 2);
	assert_int_equal(config->audit.file.delivery.factor * 10, 15);
	assert_int_equal(config->audit.sqlite.delivery.attempts, 5);
	assert_string_equal(config->audit.sqlite.path, "/var/lib/ebb/audit.db");
	must_refuse("audit: {dir: off}\n", "f:1:14: audit.dir: 'off' is not possible: an absolute path");
}

/* Sections are read from the last to the first; of many errors the first of the file stay all the same. */
static void the_first_of_many_errors_stay(void **state)
{
	char text[16384] = "shutdown: {timeout: x}\n";
	size_t used = strlen(text);

	(void)state;
	used += (size_t)snprintf(text + used, sizeof(text) - used, "audit:\n");
	for (int i = 0; i < 100; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "  k%03d: 1\n", i);
	assert_int_not_equal(parse(text), 0);
	assert_int_equal(problems.list[0].line, 1);
	assert_int_equal(problems.list[1].line, 3);
	assert_int_equal(problems.more, 101 - EBB_PROBLEMS_MAX);
}

static void what_holds_between_keys(void **state)
{
	(void)state;
	must_refuse("defaults: {breaker: {open_for: 30s}}\n",
		    "f:1:32: defaults.breaker.open_for: open_max (25.0s) is below open_for (30.0s): raise open_max or lower open_for");
	must_refuse("defaults: {breaker: {open_for: 3s, open_max: 2s}}\n",
		    "f:1:46: defaults.breaker.open_max: open_max (2.00s) is below open_for (3.00s): raise open_max or lower open_for");
	must_take("defaults: {breaker: {open_for: 3s, open_max: 3s}}\n");
	must_take("defaults: {breaker: {open_for: 1h, open_max: 24h}}\n");
	/* over the defaults of the file, which come after it */
	must_refuse("destinations: [{name: a, match: [{port: 1}], breaker: {open_for: 10s}}]\n"
		    "defaults: {breaker: {open_max: 9s}}\n",
		    "f:1:66: breaker.open_for: open_max (9.00s) is below open_for (10.0s): raise open_max or lower open_for");
	must_take("destinations: [{name: a, match: [{port: 1}], breaker: {open_for: 10s}}]\n");
	must_refuse("defaults: {breaker: {window_calls: 10, weighting: exponential}}\n",
		    "f:1:51: defaults.breaker.weighting: weighting is by age, and window_calls (10) has no age: leave one of them out");
	must_refuse("destinations: [{name: a, match: [{port: 1}], breaker: {window_calls: 10}}]\n"
		    "defaults: {breaker: {weighting: exponential}}\n",
		    "f:1:70: breaker.window_calls: weighting is by age, and window_calls (10) has no age: leave one of them out");
}

/* ------------------------------------------------------------- node fuse -- */

static void node_fuse_is_as_it_is_said(void **state)
{
	(void)state;
	must_take("");
	assert_true(config->node_fuse.open_ratio == 0.5);
	assert_int_equal(config->node_fuse.min_destinations, 4);
	assert_int_equal(config->node_fuse.min_calls, 50);
	assert_int_equal(config->node_fuse.action, EBB_FUSE_ALERT);
	assert_int_equal(config->node_fuse.window_ns, 10 * S);
	must_take("node_fuse: {open_ratio: 70%, min_destinations: 9, min_calls: 8, action: shed, exempt: [c, a]}\n"
		  "defaults: {breaker: {window: 20s}}\n"
		  "destinations: [{name: a, match: [{port: 1}]}, {name: b, match: [{port: 2}]},\n"
		  "               {name: c, match: [{port: 3}]}]\n");
	assert_true(config->node_fuse.open_ratio == 0.7);
	assert_int_equal(config->node_fuse.min_destinations, 9);
	assert_int_equal(config->node_fuse.min_calls, 8);
	assert_int_equal(config->node_fuse.action, EBB_FUSE_SHED);
	assert_int_equal(config->node_fuse.window_ns, 20 * S);
	assert_int_equal(config->destinations[0].fuse_exempt, 1);
	assert_int_equal(config->destinations[1].fuse_exempt, 0);
	assert_int_equal(config->destinations[2].fuse_exempt, 1);
}

static void health_ignores_components_that_there_are(void **state)
{
	char wanted[512];
	size_t used;

	(void)state;
	must_take("mode: observe\n");
	assert_int_equal(config->health_ignored, 0);
	must_take("health: {ignore: [breakers, node_fuse]}\n");
	assert_int_equal(config->health_ignored, 1U << EBB_HEALTH_BREAKERS | 1U << EBB_HEALTH_FUSE);
	must_take("health: {ignore: tables}\n");
	must_take("health: {ignore: }\nmetrics:\n  labels:\nnode_fuse:\n  exempt:\ndns:\n  resolvers:\nkubernetes:\n  labels:\n");
	assert_int_equal(config->health_ignored, 0);
	assert_int_equal(config->dns_auto, 1);
	must_take("health: {ignore: tables}\n");
	assert_int_equal(config->health_ignored, 1U << EBB_HEALTH_TABLES);
	used = (size_t)snprintf(wanted, sizeof(wanted),
				"f:3:5: health.ignore: 'breaker' is not possible: one of ");
	for (size_t i = 0; ebb_health_component_names[i]; i++)
		used += (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%s%s", i ? ", " : "",
					 ebb_health_component_names[i]);
	must_refuse("health:\n  ignore: [breakers,\n    breaker]\n", wanted);
}

static void exempt_names_destinations_that_there_are(void **state)
{
	(void)state;
	must_refuse("node_fuse: {exempt: [a,\n b]}\ndestinations: [{name: a, match: [{port: 1}]}]\n",
		    "f:2:2: node_fuse.exempt: 'b' is not possible: there is no such name in destinations");
	must_refuse("node_fuse: {exempt: 10.0.0.1:443/tcp}\n",
		    "f:1:21: node_fuse.exempt: '10.0.0.1:443/tcp' is not possible: there is no such name in destinations");
	must_take("node_fuse: {exempt: []}\n");
}

static void metrics_are_read(void **state)
{
	const struct ebb_metrics_otlp_config *otlp;

	(void)state;
	assert_int_equal(parse(""), 0);
	otlp = &config->metrics_otlp;
	assert_int_equal(config->metrics_labels, 0);
	assert_int_equal(otlp->enabled, EBB_PUSH_AUTO);
	assert_string_equal(otlp->endpoint, "");
	assert_true(otlp->interval_ns == 60000000000ULL);
	assert_true(otlp->timeout_ns == 5000000000ULL);
	assert_int_equal(otlp->gzip, 0);
	assert_int_equal(parse("metrics:\n"
			       "  labels: [namespace, destination]\n"
			       "  otlp:\n"
			       "    enabled: on\n"
			       "    endpoint: https://collector:4318/x\n"
			       "    interval: 1h\n"
			       "    timeout: 100ms\n"
			       "    gzip: on\n"),
			 0);
	otlp = &config->metrics_otlp;
	assert_int_equal(config->metrics_labels, 1U << EBB_KEPT_NAMESPACE | 1U << EBB_KEPT_DESTINATION);
	assert_int_equal(otlp->enabled, EBB_PUSH_ON);
	assert_string_equal(otlp->endpoint, "https://collector:4318/x");
	assert_true(otlp->interval_ns == 3600000000000ULL);
	assert_true(otlp->timeout_ns == 100000000ULL);
	assert_int_equal(otlp->gzip, 1);
	assert_int_equal(problems.count, 0);
}

static void wrong_metrics_are_told(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"metrics: {labels: [pods]}\n",
		 "f:1:20: metrics.labels: 'pods' is not possible: one of destination, workload, namespace, pod, container"},
		{"metrics: {labels: {pod: on}}\n",
		 "f:1:19: metrics.labels: keys stand here: expected a list of destination, workload, namespace, pod, container"},
		{"metrics: {workloads: off}\n",
		 "f:1:11: unknown key 'workloads': expected one of labels, otlp"},
		{"metrics: {otlp: {enabled: maybe}}\n",
		 "f:1:27: metrics.otlp.enabled: 'maybe' is not possible: auto, on or off"},
		{"metrics: {otlp: {interval: 500ms}}\n",
		 "f:1:28: metrics.otlp.interval: '500ms' is not possible: 1s to 1h"},
		{"metrics: {otlp: {timeout: 61s}}\n",
		 "f:1:27: metrics.otlp.timeout: '61s' is not possible: 100ms to 60s"},
		{"metrics: {otlp: {gzip: yes please}}\n",
		 "f:1:24: metrics.otlp.gzip: 'yes please' is not possible: on or off"},
		{"metrics: {otlp: {endpoint: collector}}\n",
		 "f:1:28: metrics.otlp.endpoint: 'collector' is not possible: like http://otel-collector:4318, without a password in it"},
		{"metrics: {otlp: {endpoint: \"http://u:p@collector\"}}\n",
		 "f:1:28: metrics.otlp.endpoint: 'http://u:p@collector' is not possible: like http://otel-collector:4318, without a password in it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		must_refuse(cases[i].text, cases[i].said);
}

static void warnings_do_not_refuse(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"metrics: {labels: [workload, pod]}\n",
		 "f:1:19: metrics.labels: pods of the same name in two namespaces are one series: keep namespace, too"},
		{"node_fuse: {action: shed}\n",
		 "f:1:21: node_fuse.action: shed with nothing in exempt refuses name servers, too: give a destination to what must go on, such as {name: dns, match: [{port: 53}]}, and exempt it"},
		{"defaults: {breaker: {slow_rate: 0.5}}\n",
		 "f:1:33: slow_rate does nothing while slow_call is off: set slow_call, too"},
		{"defaults: {breaker: {window_calls: 4}}\n",
		 "f:1:36: min_calls (5) is more than window_calls (4) ever holds: no rate is judged; lower min_calls"},
		{"destinations: [{name: a, match: [{host: a.b}]},\n {name: b, match: [{host: A.b.}]}]\n",
		 "f:2:20: match: a.b is claimed by 'a' in line 1, which comes first and wins"},
		{"destinations: [{name: a, match: [{cidr: 10.0.0.1},\n {cidr: 10.0.0.1/32}]}]\n",
		 "f:2:2: match: 10.0.0.1/32 stands here twice, before in line 1"},
		{"destinations: [{name: a, match: [{port: 1}]},\n {name: b, match: [{port: 1}]}]\n",
		 "f:2:20: match: every address is claimed by 'a' in line 1, which comes first and wins"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		must_take(cases[i].text);
		if (problems.count != 1 || !problems.list[0].warning ||
		    strcmp(problem_text(0), cases[i].said) != 0)
			fail_msg("%zu: got: %s\nwanted: %s", problems.count, problem_text(0), cases[i].said);
	}
	/* not the same: port, protocol, family, bits */
	must_take("destinations:\n"
		  "- {name: a, match: [{host: a.b}, {host: a.b, port: 1}, {host: \"*.a.b\"}, {port: 1, protocol: tcp}]}\n"
		  "- {name: b, match: [{host: a.b, port: 2}, {port: 1, protocol: udp}, {port: 1}, {cidr: 0.0.0.0/0}]}\n"
		  "- {name: c, match: [{cidr: \"::/0\"}, {cidr: 10.0.0.0/8}, {cidr: 10.0.0.0/9}]}\n");
	assert_int_equal(problems.count, 0);
	/* every key of a destination acts */
	must_take("destinations:\n"
		  "- {name: a, match: [{port: 1}], enforce_percent: 10, breaker: {ramp: 1s, weighting: exponential}}\n"
		  "- {name: b, match: [{port: 2}], breaker: {window_calls: 100, syn_retries: 3}}\n");
	assert_int_equal(problems.count, 0);
}

/* ------------------------------------------------------------------ layers -- */

static char path[64];

static void write_file(const char *text)
{
	FILE *file;
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/ebb-test-config-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static int load(const struct ebb_config_sources *sources)
{
	ebb_config_free(config);
	config = NULL;
	return ebb_config_load(sources, &config, &problems);
}

static const char *origin(const char *key)
{
	static char text[EBB_PROBLEM_TEXT_MAX];

	return ebb_config_origin(config, key, text, sizeof(text));
}

/* Who follows the file begins there: what is put in its place while it is read is a change. */
static void the_file_is_known_as_it_was_read(void **state)
{
	const struct ebb_config_sources from_file = {.path = path}, from_none = {0};
	struct stat st;

	(void)state;
	write_file("mode: enforce\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(load(&from_file), 0);
	assert_int_equal(unlink(path), 0);
	assert_non_null(ebb_config_read_as(config));
	assert_int_equal(ebb_config_read_as(config)->st_ino, st.st_ino);
	assert_int_equal(ebb_config_read_as(config)->st_ctim.tv_nsec, st.st_ctim.tv_nsec);
	assert_int_equal(load(&from_none), 0);
	assert_null(ebb_config_read_as(config));
}

/* What is wrong elsewhere is no business of who wants one section. */
static void one_section_can_be_read_alone(void **state)
{
	static const char *const variables[] = {"EBB_MODE=maybe", "EBB_NONE=1", NULL};
	static const struct ebb_config_flag flags[] = {{"lease", "--lease", "never"}};
	struct ebb_config_sources sources = {
		.path = path,
		.environ = variables,
		.flags = flags,
		.flag_count = 1,
		.section = "audit",
	};

	(void)state;
	write_file("mode: always\nno_key: 1\ndestinations: [{name: 1.2.3.4}]\n"
		   "audit: {sqlite: {path: /x/y.db}}\n");
	assert_int_equal(load(&sources), 0);
	assert_int_equal(problems.count, 0);
	assert_string_equal(config->audit.sqlite.path, "/x/y.db");
	assert_string_equal(config->audit.dir, "/var/lib/ebb");
	assert_int_equal(config->destination_count, 0);
	sources.section = "metrics";
	assert_int_equal(load(&sources), 0);
	assert_string_equal(config->audit.sqlite.path, "/var/lib/ebb/audit.db");
	sources.section = NULL;
	assert_int_equal(load(&sources), -EINVAL);
	sources.section = "mode";
	assert_int_equal(load(&sources), -EINVAL);
	assert_int_equal(ebb_problems_errors(&problems), 2);
	(void)unlink(path);
}

static void flags_over_environment_over_file_over_defaults(void **state)
{
	static const char *const variables[] = {"EBB_MODE=observe",
						"EBB_LEASE=20s",
						"EBB_DEFAULTS_SCOPE=workload",
						"EBB_DEFAULTS_BREAKER_COUNT=refused,timeout",
						"EBB_DNS_RESOLVERS=auto, 10.0.0.10",
						"EBB_DEFAULTS_LIMITS_BYTES=10MB/s,burst=2MB",
						"EBB_LISTEN=",
						"PATH=/bin",
						NULL};
	const struct ebb_config_flag flags[] = {
		{"mode", "--mode", "enforce"},
		{"defaults.breaker", "--breaker", "window=7s,probes=2"},
	};
	char wanted[128];
	const struct ebb_config_sources sources = {.path = path,
						   .environ = variables,
						   .flags = flags,
						   .flag_count = 2};

	(void)state;
	write_file("mode: observe\nlease: 10s\nlisten: :1\n"
		   "defaults: {scope: node, breaker: {window: 5s, min_calls: 9}}\n"
		   "destinations: [{name: a, match: [{port: 1}], breaker: {window: 6s}}, {name: b, match: [{port: 2}]}]\n");
	assert_int_equal(load(&sources), 0);
	assert_int_equal(problems.count, 0);
	assert_int_equal(config->defaults.mode, EBB_MODE_ENFORCE);
	assert_string_equal(origin("mode"), "--mode");
	assert_int_equal(config->lease_ns, 20 * S);
	assert_string_equal(origin("lease"), "EBB_LEASE");
	assert_string_equal(config->listen, ":1");
	(void)snprintf(wanted, sizeof(wanted), "%s:3:9", path);
	assert_string_equal(origin("listen"), wanted);
	assert_string_equal(origin("adopt"), "default");
	assert_int_equal(config->defaults.breaker.window_ns, 7 * S);
	assert_string_equal(origin("defaults.breaker.window"), "--breaker");
	assert_int_equal(config->defaults.breaker.min_calls, 9);
	assert_int_equal(config->defaults.breaker.count_mask,
			 1U << EBB_OUTCOME_REFUSED | 1U << EBB_OUTCOME_TIMEOUT);
	assert_int_equal(config->dns_auto, 1);
	assert_int_equal(config->dns_resolver_count, 1);
	assert_int_equal(config->defaults.limits.bucket[EBB_LIMIT_BYTES].burst, 2000000);
	/* a destination over all of it */
	assert_int_equal(config->destinations[0].settings.breaker.window_ns, 6 * S);
	assert_int_equal(config->destinations[0].settings.breaker.probes, 2);
	assert_int_equal(config->destinations[0].settings.scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(config->destinations[1].settings.breaker.window_ns, 7 * S);
	assert_int_equal(config->destinations[1].settings.mode, EBB_MODE_ENFORCE);
	(void)unlink(path);
}

static void what_is_wrong_outside_the_file_has_no_place(void **state)
{
	static const char *const variables[] = {"EBB_MODE=maybe", "EBB_LEASE=1s", NULL};
	const struct ebb_config_flag flags[] = {{"defaults.limits.concurrent", "--concurrent", "0"},
						{"defaults.breaker", "--breaker", "probes=9"}};
	const struct ebb_config_sources sources = {.path = path,
						   .environ = variables,
						   .flags = flags,
						   .flag_count = 2};

	(void)state;
	write_file("listen: here\n");
	assert_int_not_equal(load(&sources), 0);
	assert_int_equal(problems.count, 5);
	assert_string_equal(problem_text(0), "EBB_MODE: 'maybe' is not possible: observe or enforce");
	assert_string_equal(problem_text(1), "EBB_LEASE: '1s' is not possible: 2s to 1h");
	assert_string_equal(problem_text(2),
			    "--concurrent: '0' is not possible: a whole number from 1, or none");
	assert_string_equal(problem_text(3), "--breaker: probes=9: expected a whole number from 1 to 8");
	assert_string_equal(problem_text(4),
			    "f:1:9: listen: 'here' is not possible: like 127.0.0.1:9478, [::1]:9478 or :9478");
	(void)unlink(path);
}

static void a_set_of_the_environment_goes_over_the_file(void **state)
{
	static const char *const good[] = {"EBB_HEALTH_IGNORE=tables, pins", NULL};
	struct ebb_config_sources sources = {.path = path, .environ = good};

	(void)state;
	write_file("health: {ignore: [breakers]}\n");
	assert_int_equal(load(&sources), 0);
	assert_int_equal(config->health_ignored, 1U << EBB_HEALTH_TABLES | 1U << EBB_HEALTH_PINS);
	(void)unlink(path);
}

/* A later layer takes the place of the whole list; its names are looked for where it stands. */
static void exempt_of_the_environment_goes_over_the_file(void **state)
{
	static const char *const good[] = {"EBB_NODE_FUSE_EXEMPT=b", NULL};
	static const char *const wrong[] = {"EBB_NODE_FUSE_EXEMPT=a, x", NULL};
	struct ebb_config_sources sources = {.path = path, .environ = good};

	(void)state;
	write_file("node_fuse: {exempt: [a]}\n"
		   "destinations: [{name: a, match: [{port: 1}]}, {name: b, match: [{port: 2}]}]\n");
	assert_int_equal(load(&sources), 0);
	assert_int_equal(config->destinations[0].fuse_exempt, 0);
	assert_int_equal(config->destinations[1].fuse_exempt, 1);
	sources.environ = wrong;
	assert_int_not_equal(load(&sources), 0);
	assert_int_equal(problems.count, 1);
	assert_string_equal(problem_text(0),
			    "EBB_NODE_FUSE_EXEMPT: 'x' is not possible: there is no such name in destinations");
	(void)unlink(path);
}

static void variables_that_are_no_keys_are_told(void **state)
{
	static const char *const variables[] =
		{"EBB_MOD=observe", "EBB_DESTINATIONS=x", "EBBMODE=x",
		 /* what Kubernetes makes of a service 'ebb', and of one 'ebb-metrics' */
		 "EBB_SERVICE_HOST=10.0.0.1", "EBB_SERVICE_PORT=9478", "EBB_SERVICE_PORT_HTTP=9478",
		 "EBB_PORT=tcp://10.0.0.1:9478", "EBB_PORT_9478_TCP=tcp://10.0.0.1:9478",
		 "EBB_PORT_9478_TCP_PROTO=tcp", "EBB_PORT_9478_TCP_PORT=9478",
		 "EBB_PORT_9478_TCP_ADDR=10.0.0.1", "EBB_METRICS_SERVICE_HOST=10.0.0.1",
		 "EBB_METRICS_PORT=udp://10.0.0.1:1", "EBB_AUDIT_POSTGRES_PORT=tcp://10.0.0.1:5432",
		 "EBB_CONFIG=/dev/null", NULL};
	const struct ebb_config_sources sources = {.environ = variables};

	(void)state;
	assert_int_equal(load(&sources), 0);
	assert_int_equal(problems.count, 2);
	assert_string_equal(problem_text(0),
			    "EBB_MOD in the environment is no key: ignored; is it EBB_MODE?");
	assert_string_equal(problem_text(1), "EBB_DESTINATIONS in the environment is no key: ignored");
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
	struct ebb_config_sources sources = {.path = "/nonexistent/ebb.yaml"};

	(void)state;
	assert_int_equal(load(&sources), -ENOENT);
	assert_string_equal(problem_text(0), "cannot read '/nonexistent/ebb.yaml': there is no such file");
	sources.optional = true;
	assert_int_equal(load(&sources), 0);
	assert_int_equal(problems.count, 0);
	sources.path = "/tmp";
	assert_int_equal(load(&sources), -EISDIR);
	assert_string_equal(problem_text(0), "cannot read '/tmp': it is a directory: name the file in it");
	sources.path = "/dev/null";
	assert_int_equal(load(&sources), 0);
}

/* ------------------------------------------------------------------ values -- */

static char shown[65536];

static void show(void *userdata, const struct ebb_config_value *value)
{
	char where[EBB_PROBLEM_TEXT_MAX];
	size_t used = strlen(shown);

	(void)userdata;
	(void)snprintf(shown + used, sizeof(shown) - used, "%s=%s from %s%s\n", value->key->path,
		       value->text ? value->text : "-", ebb_config_value_origin(value, where, sizeof(where)),
		       value->inherited ? " inherited" : "");
}

/* What show() says behind @line. */
static const char *shown_value(const char *destination, const char *line)
{
	static char text[256];
	const char *at;

	shown[0] = '\0';
	assert_int_equal(ebb_config_each(config, destination, show, NULL), 0);
	at = strstr(shown, line);
	assert_non_null(at);
	at += strlen(line);
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\n"), at);
	return text;
}

static void every_value_tells_who_says_it(void **state)
{
	(void)state;
	must_take("mode: enforce\n"
		  "audit: {postgres: {password_file: /run/hidden}}\n"
		  "workloads: {exclude: [{namespace: \"a-*\"}, {cgroup: \"/x/*\"}]}\n"
		  "destinations:\n"
		  "- {name: a, match: [{host: \"*.b.c\", port: 1}], limits: {connects: {rate: 1/s, burst: 2}}}\n");
	shown[0] = '\0';
	assert_int_equal(ebb_config_each(config, NULL, show, NULL), 0);
	assert_non_null(strstr(shown, "mode=enforce from file:1:7\n"));
	assert_non_null(strstr(shown, "lease=30s from default\n"));
	assert_non_null(strstr(shown, "audit.postgres.password_file=- from file:2:35\n"));
	assert_null(strstr(shown, "hidden"));
	assert_non_null(strstr(shown,
			       "workloads.exclude=[{namespace: \"a-*\"}, {cgroup: \"/x/*\"}] from file:3:22\n"));
	assert_null(strstr(shown, "destinations["));
	shown[0] = '\0';
	assert_int_equal(ebb_config_each(config, "a", show, NULL), 0);
	assert_non_null(strstr(shown, "destinations[].match=[{host: \"*.b.c\", port: 1}] from file:5:20\n"));
	assert_non_null(strstr(shown, "destinations[].limits.connects={rate: 1/s, burst: 2} from file:5:"));
	assert_non_null(strstr(shown, "destinations[].mode=enforce from file:1:7 inherited\n"));
	assert_non_null(strstr(shown, "destinations[].breaker.window=10s from default inherited\n"));
	assert_int_equal(ebb_config_each(config, "b", show, NULL), -ENOENT);
}

static void a_secret_is_not_told_when_it_is_wrong(void **state)
{
	(void)state;
	must_refuse("audit: {postgres: {password_file: hunter2}}\n",
		    "f:1:35: audit.postgres.password_file: this value is not possible: an absolute path");
}

static void what_needs_a_restart_is_named(void **state)
{
	struct ebb_config *now;
	char text[256];

	(void)state;
	must_take("lease: 10s\n");
	now = config;
	config = NULL;
	must_take("lease: 20s\nmode: enforce\ndestinations: [{name: a, match: [{port: 1}]}]\n");
	assert_string_equal(ebb_config_needs_restart(now, config, text, sizeof(text)), "");
	must_take("capacity: {pairs: 7}\nattach: {cgroup: /x}\nlisten: :1\nadopt: off\nscheduling: other\n");
	assert_string_equal(ebb_config_needs_restart(now, config, text, sizeof(text)),
			    "attach.cgroup, listen, adopt, capacity.pairs");
	ebb_config_free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_takes_its_range_and_nothing_else),
		cmocka_unit_test(every_key_is_described),
		cmocka_unit_test(every_default_is_valid),
		cmocka_unit_test(nothing_is_the_defaults),
		cmocka_unit_test(a_destination_stands_over_the_defaults),
		cmocka_unit_test(limits_refuse_as_the_breaker_does_unless_it_is_said),
		cmocka_unit_test(the_rest_of_a_file_is_read),
		cmocka_unit_test(the_rest_of_a_file_is_read_too),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(what_is_no_yaml_is_told_with_its_place),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(a_ratio_out_of_range_is_told_how_it_is_written),
		cmocka_unit_test(all_errors_are_told_in_order),
		cmocka_unit_test(the_first_of_many_errors_stay),
		cmocka_unit_test(a_sink_may_be_off),
		cmocka_unit_test(what_differs_below_a_section),
		cmocka_unit_test(what_holds_between_keys),
		cmocka_unit_test(node_fuse_is_as_it_is_said),
		cmocka_unit_test(health_ignores_components_that_there_are),
		cmocka_unit_test(exempt_names_destinations_that_there_are),
		cmocka_unit_test(metrics_are_read),
		cmocka_unit_test(wrong_metrics_are_told),
		cmocka_unit_test(the_file_is_known_as_it_was_read),
		cmocka_unit_test(one_section_can_be_read_alone),
		cmocka_unit_test(warnings_do_not_refuse),
		cmocka_unit_test(flags_over_environment_over_file_over_defaults),
		cmocka_unit_test(what_is_wrong_outside_the_file_has_no_place),
		cmocka_unit_test(exempt_of_the_environment_goes_over_the_file),
		cmocka_unit_test(a_set_of_the_environment_goes_over_the_file),
		cmocka_unit_test(variables_that_are_no_keys_are_told),
		cmocka_unit_test(a_file_that_cannot_be_read_is_told),
		cmocka_unit_test(every_value_tells_who_says_it),
		cmocka_unit_test(a_secret_is_not_told_when_it_is_wrong),
		cmocka_unit_test(what_needs_a_restart_is_named),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of the log says, and that no name from outside can make it say something else. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/limiter.h"
#include "lib/log.h"

#define AT_NS  1700000000123456789LL
#define SECOND 1000000000ULL

static char line[EBB_LOG_LINE_MAX + 1];

static void write_as(enum ebb_log_format as, const char *tail, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void write_as(enum ebb_log_format as, const char *tail, const char *format, ...)
{
	va_list args;
	size_t size;

	va_start(args, format);
	size = ebb_log_line(as, EBB_LOG_INFO, AT_NS, tail, line, format, args);
	va_end(args);
	assert_true(size <= EBB_LOG_LINE_MAX);
	assert_int_equal(line[size - 1], '\n');
	line[size - 1] = '\0';
	assert_null(strchr(line, '\n'));
}

#define assert_kv(expected, ...)                         \
	do {                                             \
		write_as(EBB_LOG_KV, NULL, __VA_ARGS__); \
		assert_string_equal(line, expected);     \
	} while (0)

#define assert_json(expected, ...)                         \
	do {                                               \
		write_as(EBB_LOG_JSON, NULL, __VA_ARGS__); \
		assert_string_equal(line, expected);       \
	} while (0)

#define HEAD "{\"time\": \"2023-11-14T22:13:20.123Z\", \"level\": \"info\", \"message\": "

static void message_and_facts_are_apart(void **state)
{
	(void)state;
	assert_kv("info: breaker moved: destination=api ok=3; going on",
		  "breaker moved: destination=%s ok=%u; %s", "api", 3U, "going on");
	assert_json(HEAD "\"breaker moved; going on\", \"destination\": \"api\", \"ok\": 3}",
		    "breaker moved: destination=%s ok=%u; %s", "api", 3U, "going on");
}

static void line_without_facts_is_a_message(void **state)
{
	(void)state;
	assert_kv("info: turns are seen: 100% of them", "turns are seen: 100%% of them");
	assert_json(HEAD "\"turns are seen: 100% of them\"}", "turns are seen: 100%% of them");
}

static void all_conversions_are_known(void **state)
{
	(void)state;
	assert_kv("info: -1 2 ff -4 5 6 7 x   ab 0x0009 -10 11",
		  "%d %u %x %lld %llu %zu %" PRIu64 " %c %4.2s 0x%04x %*d %.*s", -1, 2U, 0xffU, -4LL, 5ULL,
		  (size_t)6, (uint64_t)7, 'x', "abc", 9U, 3, -10, 2, "112");
}

static void narrow_arguments_keep_their_sign_and_size(void **state)
{
	(void)state;
	assert_kv("info: 4294967295 -2147483648 18446744073709551615", "%u %d %" PRIu64, UINT32_MAX,
		  INT32_MIN, UINT64_MAX);
}

static void value_of_several_conversions_is_one_fact(void **state)
{
	(void)state;
	assert_json(HEAD "\"by hand\", \"at\": 12.005, \"what\": \"limit set api\"}",
		    "by hand: at=%llu.%03u what='%s'", 12ULL, 5U, "limit set api");
	assert_kv("info: by hand: at=12.005 what='limit set api'", "by hand: at=%llu.%03u what='%s'", 12ULL,
		  5U, "limit set api");
}

static void numbers_that_a_double_cannot_hold_are_strings(void **state)
{
	(void)state;
	assert_json(HEAD
		    "\"x\", \"a\": \"18446744073709551615\", \"b\": 900719925474099, \"c\": \"00ff\", \"d\": \"7\"}",
		    "x: a=%llu b=%llu c=%04x d=%s", ~0ULL, 900719925474099ULL, 0xffU, "7");
}

static void name_forges_no_key_and_no_line(void **state)
{
	const char *hostile = "a mode=enforce\nerror: all is lost \"x\\";

	(void)state;
	assert_kv("info: x: destination=\"a mode=enforce\\\\x0aerror: all is lost \\\"x\\\\\" ok=1",
		  "x: destination=%s ok=%d", hostile, 1);
	write_as(EBB_LOG_JSON, NULL, "x: destination=%s ok=%d", hostile, 1);
	{
		json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(root);
		assert_int_equal(json_object_size(root), 5);
		assert_string_equal(json_string_value(json_object_get(root, "destination")),
				    "a mode=enforce\\x0aerror: all is lost \"x\\");
		json_decref(root);
	}
}

static void message_forges_no_line(void **state)
{
	(void)state;
	assert_kv("info: got a\\x0aerror: b\\x1b[31m", "got %s", "a\nerror: b\x1b[31m");
	assert_json(HEAD "\"got \\\"}\\\\x0a{\"}", "got %s", "\"}\n{");
}

static void empty_and_odd_values_are_quoted(void **state)
{
	(void)state;
	assert_kv("info: x: a=\"\" b=\"'y'\" c=\"1;2\" d=/plain/path", "x: a=%s b=%s c=%s d=%s", "", "'y'",
		  "1;2", "/plain/path");
	/* between apostrophes it would end too early */
	assert_kv("info: x: what=\"it's\"", "x: what='%s'", "it's");
}

static void tail_follows_the_message(void **state)
{
	(void)state;
	write_as(EBB_LOG_KV, "No such file", "cannot open '%s'", "f");
	assert_string_equal(line, "info: cannot open 'f': No such file");
	write_as(EBB_LOG_JSON, "No such file", "cannot open '%s'", "f");
	assert_string_equal(line, HEAD "\"cannot open 'f': No such file\"}");
}

static void long_line_is_cut_and_stays_json(void **state)
{
	char text[3000];
	json_t *root;

	(void)state;
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	write_as(EBB_LOG_JSON, text, "%s: a=%s b=%s c=%d d=%s", text, text, text, 7, text);
	root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "c")), 7);
	json_decref(root);
	write_as(EBB_LOG_KV, text, "%s: a=%s b=%s c=%d d=%s", text, text, text, 7, text);
}

static void message_is_not_cut_within_a_character(void **state)
{
	char text[2000] = "x";
	json_t *root;

	(void)state;
	for (size_t i = 1; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	write_as(EBB_LOG_JSON, NULL, "%s%s", text, text);
	root = json_loads(line, 0, NULL);
	assert_non_null(root);
	json_decref(root);
}

static void levels_have_names(void **state)
{
	enum ebb_log_level level = EBB_LOG_MAX;

	(void)state;
	assert_int_equal(ebb_log_parse_level("warn", &level), 0);
	assert_int_equal(level, EBB_LOG_WARN);
	assert_true(ebb_log_parse_level("loud", &level) < 0);
	assert_int_equal(level, EBB_LOG_WARN);
}

static void limiter_admits_a_burst_and_then_one_each_interval(void **state)
{
	struct ebb_limiter limiter = {};
	uint64_t now = 1000 * SECOND;
	uint32_t suppressed = 99;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(ebb_limiter_admits(&limiter, now, SECOND, 3, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	assert_false(ebb_limiter_admits(&limiter, now, SECOND, 3, &suppressed));
	assert_false(ebb_limiter_admits(&limiter, now + SECOND - 1, SECOND, 3, &suppressed));
	assert_true(ebb_limiter_admits(&limiter, now + SECOND, SECOND, 3, &suppressed));
	assert_int_equal(suppressed, 2);
	assert_false(ebb_limiter_admits(&limiter, now + SECOND, SECOND, 3, &suppressed));
	/* after a long silence no more than the burst */
	now += 1000 * SECOND;
	for (int i = 0; i < 3; i++)
		assert_true(ebb_limiter_admits(&limiter, now, SECOND, 3, &suppressed));
	assert_false(ebb_limiter_admits(&limiter, now, SECOND, 3, &suppressed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_and_facts_are_apart),
		cmocka_unit_test(line_without_facts_is_a_message),
		cmocka_unit_test(all_conversions_are_known),
		cmocka_unit_test(narrow_arguments_keep_their_sign_and_size),
		cmocka_unit_test(value_of_several_conversions_is_one_fact),
		cmocka_unit_test(numbers_that_a_double_cannot_hold_are_strings),
		cmocka_unit_test(name_forges_no_key_and_no_line),
		cmocka_unit_test(message_forges_no_line),
		cmocka_unit_test(empty_and_odd_values_are_quoted),
		cmocka_unit_test(tail_follows_the_message),
		cmocka_unit_test(long_line_is_cut_and_stays_json),
		cmocka_unit_test(message_is_not_cut_within_a_character),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(limiter_admits_a_burst_and_then_one_each_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

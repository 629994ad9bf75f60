/* SPDX-License-Identifier: Apache-2.0 */
/* How numbers and labels are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/line.h"

#define BUFFER 4096

static char buffer[BUFFER];

static struct ebb_line empty(size_t size)
{
	memset(buffer, '!', sizeof(buffer));
	return (struct ebb_line){.data = buffer, .size = size};
}

static void assert_line(const struct ebb_line *line, const char *expected)
{
	if (line->used != strlen(expected) || memcmp(line->data, expected, line->used) != 0)
		fail_msg("got '%.*s', expected '%s'", (int)line->used, line->data, expected);
}

static void numbers_are_decimal(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} cases[] = {
		{0, "0"},
		{7, "7"},
		{10, "10"},
		{4294967296ULL, "4294967296"},
		{UINT64_MAX, "18446744073709551615"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_line line = empty(BUFFER);

		ebb_line_put_number(&line, cases[i].number);
		assert_line(&line, cases[i].text);
	}
}

static void seconds_are_exact(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1, "0.000000001"},
		{250, "0.00000025"},
		{64000, "0.000064"},
		{1000000000, "1"},
		{1500000000, "1.5"},
		{67108864000ULL, "67.108864"},
		{1700000000123000000ULL, "1700000000.123"},
		{UINT64_MAX, "18446744073.709551615"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_line line = empty(BUFFER);

		ebb_line_put_seconds(&line, cases[i].ns);
		assert_line(&line, cases[i].text);
	}
}

static void a_label_is_one_line_of_utf8_whatever_its_value(void **state)
{
	static const struct {
		const char *value;
		const char *text;
	} cases[] = {
		{"", "k=\"\""},
		{"/a b~", "k=\"/a b~\""},
		{"a\"b", "k=\"a\\\"b\""},
		{"a\\b", "k=\"a\\\\b\""},
		{"a\nb", "k=\"a\\\\x0ab\""},
		{"\x7f", "k=\"\\\\x7f\""},
		{"\xc3\xa4", "k=\"\xc3\xa4\""},
		{"\xff", "k=\"\\\\xff\""},
		{"\xe2\x82", "k=\"\\\\xe2\\\\x82\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_line line = empty(BUFFER);

		ebb_line_put_label(&line, "k", cases[i].value);
		assert_line(&line, cases[i].text);
	}
}

static void a_long_label_is_cut_and_still_closed(void **state)
{
	static const char *const fillers[] = {"a", "\\", "\xff", "\xe2\x82\xac"};
	char value[2 * EBB_LABEL_VALUE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		struct ebb_line line = empty(BUFFER);

		value[0] = '\0';
		for (size_t n = 0; n + 4 < sizeof(value); n += strlen(fillers[i]))
			memcpy(value + n, fillers[i], strlen(fillers[i]) + 1);
		ebb_line_put_label(&line, "k", value);
		assert_true(line.used <= EBB_LABEL_VALUE_MAX + strlen("k=\"\""));
		assert_true(line.used > EBB_LABEL_VALUE_MAX / 2 - 8);
		assert_int_equal(line.data[line.used - 1], '"');
	}
}

static void nothing_is_written_behind_the_end(void **state)
{
	(void)state;
	for (size_t size = 0; size < 16; size++) {
		struct ebb_line line = empty(size);

		ebb_line_put_label(&line, "key", "value");
		ebb_line_put_seconds(&line, UINT64_MAX);
		assert_int_equal(line.used, size);
		assert_int_equal(buffer[size], '!');
	}
}

static void rates_are_shown_per_second(void **state)
{
	static const struct {
		uint64_t per_hour;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1, "0.000277778"},
		{100, "0.027777778"},
		{1800, "0.5"},
		{3599, "0.999722222"},
		{3600, "1"},
		{3601, "1.000277778"},
		{9000, "2.5"},
		{3600ULL * 1000000000000, "1000000000000"}, /* 1 TB/s */
		{UINT64_MAX, "5124095576030431.004166667"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_line line = empty(BUFFER);

		ebb_line_put_per_hour(&line, cases[i].per_hour);
		assert_line(&line, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_decimal),
		cmocka_unit_test(seconds_are_exact),
		cmocka_unit_test(rates_are_shown_per_second),
		cmocka_unit_test(a_label_is_one_line_of_utf8_whatever_its_value),
		cmocka_unit_test(a_long_label_is_cut_and_still_closed),
		cmocka_unit_test(nothing_is_written_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

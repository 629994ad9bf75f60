/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units, in and out: what is read, what is refused, how it is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED	4711

static void durations_are_read_exactly_or_refused(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ns;
	} cases[] = {
		{"0", 0, 0},
		{"0s", 0, 0},
		{"1ns", 0, 1},
		{"7us", 0, 7000},
		{"250ms", 0, 250000000},
		{"10s", 0, 10000000000},
		{"1.5s", 0, 1500000000},
		{"0.1s", 0, 100000000},
		{"0.000000001s", 0, 1},
		{"1.000000000000s", 0, 1000000000},
		{"0.5m", 0, 30000000000},
		{"0.1m", 0, 6000000000},
		{"2m", 0, 120000000000},
		{"1h", 0, 3600000000000},
		{"30d", 0, 2592000000000000},
		{"0.000001d", 0, 86400000},
		{"1m30s", 0, 90000000000},
		{"2m05s", 0, 125000000000},
		{"4d06h", 0, 367200000000000},
		{"1h0.5m", 0, 3630000000000},
		{"18446744073709551615ns", 0, UINT64_MAX},
		{"18446744073.709551615s", 0, UINT64_MAX},

		{"", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"00", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"5.s", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"1..5s", -EINVAL, 0},
		{" 5s", -EINVAL, 0},
		{"5s ", -EINVAL, 0},
		{"5 s", -EINVAL, 0},
		{"-5s", -EINVAL, 0},
		{"+5s", -EINVAL, 0},
		{"5S", -EINVAL, 0},
		{"5sec", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"0x10s", -EINVAL, 0},
		{"0.5ns", -EINVAL, 0},
		{"0.0000000001s", -EINVAL, 0},
		{"0.1234567890123456789s", -EINVAL, 0},
		/* 10^64 is 0 in 64 bits */
		{"0.0000000000000000000000000000000000000000000000000000000000000001s", -EINVAL, 0},
		{"1s1m", -EINVAL, 0},
		{"1s1s", -EINVAL, 0},
		{"1.5m3s", -EINVAL, 0},
		{"off", -EINVAL, 0},

		{"18446744073709551616ns", -ERANGE, 0},
		{"18446744073.709551616s", -ERANGE, 0},
		{"213504d", -ERANGE, 0},
		{"213503d24h", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t ns = UNTOUCHED;
		int r = ebb_parse_duration(cases[i].text, &ns);

		if (r != cases[i].r || ns != (r < 0 ? UNTOUCHED : cases[i].ns))
			fail_msg("'%s': %d, %llu ns", cases[i].text, r, (unsigned long long)ns);
	}
}

static void ratios_and_numbers_are_plain_decimals(void **state)
{
	static const struct {
		const char *text;
		int r_ratio;
		double ratio;
		int r_number;
		double number;
	} cases[] = {
		{"0", 0, 0, 0, 0},
		{"1", 0, 1, 0, 1},
		{"0.5", 0, 0.5, 0, 0.5},
		{"1.0", 0, 1, 0, 1},
		{"50%", 0, 0.5, -EINVAL, 0},
		{"7%", 0, 0.07, -EINVAL, 0},
		{"0.1%", 0, 0.001, -EINVAL, 0},
		{"0.7%", 0, 0.007, -EINVAL, 0},
		{"1.1%", 0, 0.011, -EINVAL, 0},
		{"99.9%", 0, 0.999, -EINVAL, 0},
		{"100%", 0, 1, -EINVAL, 0},
		{"1.01", -ERANGE, 0, 0, 1.01},
		{"101%", -ERANGE, 0, -EINVAL, 0},
		{"2.5", -ERANGE, 0, 0, 2.5},
		{"", -EINVAL, 0, -EINVAL, 0},
		{"%", -EINVAL, 0, -EINVAL, 0},
		{"50%%", -EINVAL, 0, -EINVAL, 0},
		{".5", -EINVAL, 0, -EINVAL, 0},
		{"5.", -EINVAL, 0, -EINVAL, 0},
		{"-0", -EINVAL, 0, -EINVAL, 0},
		{"+1", -EINVAL, 0, -EINVAL, 0},
		{" 1", -EINVAL, 0, -EINVAL, 0},
		{"1 ", -EINVAL, 0, -EINVAL, 0},
		{"0,5", -EINVAL, 0, -EINVAL, 0},
		{"1e0", -EINVAL, 0, -EINVAL, 0},
		{"0x1", -EINVAL, 0, -EINVAL, 0},
		{"nan", -EINVAL, 0, -EINVAL, 0},
		{"inf", -EINVAL, 0, -EINVAL, 0},
	};
	double number = UNTOUCHED;
	char huge[400];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		double ratio = UNTOUCHED;
		int r;

		number = UNTOUCHED;
		r = ebb_parse_ratio(cases[i].text, &ratio);
		if (r != cases[i].r_ratio || ratio != (r < 0 ? UNTOUCHED : cases[i].ratio))
			fail_msg("ratio '%s': %d, %g", cases[i].text, r, ratio);
		r = ebb_parse_number(cases[i].text, &number);
		if (r != cases[i].r_number || number != (r < 0 ? UNTOUCHED : cases[i].number))
			fail_msg("number '%s': %d, %g", cases[i].text, r, number);
	}
	memset(huge, '9', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	number = UNTOUCHED;
	assert_int_equal(ebb_parse_number(huge, &number), -ERANGE);
	assert_true(number == UNTOUCHED);
}

static void whole_numbers_end_where_their_type_ends(void **state)
{
	static const struct {
		const char *text;
		int r32;
		int r64;
		uint64_t number;
	} cases[] = {
		{"0", 0, 0, 0},
		{"007", 0, 0, 7},
		{"4294967295", 0, 0, UINT32_MAX},
		{"4294967296", -ERANGE, 0, 4294967296},
		{"18446744073709551615", -ERANGE, 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, -ERANGE, 0},
		{"184467440737095516150", -ERANGE, -ERANGE, 0},
		{"", -EINVAL, -EINVAL, 0},
		{"-1", -EINVAL, -EINVAL, 0},
		{"+1", -EINVAL, -EINVAL, 0},
		{" 1", -EINVAL, -EINVAL, 0},
		{"1 ", -EINVAL, -EINVAL, 0},
		{"1.0", -EINVAL, -EINVAL, 0},
		{"1k", -EINVAL, -EINVAL, 0},
		{"0x1", -EINVAL, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint32_t n32 = UNTOUCHED;
		uint64_t n64 = UNTOUCHED;

		assert_int_equal(ebb_parse_u32(cases[i].text, &n32), cases[i].r32);
		assert_int_equal(n32, cases[i].r32 < 0 ? UNTOUCHED : cases[i].number);
		assert_int_equal(ebb_parse_u64(cases[i].text, &n64), cases[i].r64);
		assert_int_equal(n64, cases[i].r64 < 0 ? UNTOUCHED : cases[i].number);
	}
}

static void decimals_are_taken_exactly_up_to_what_follows(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t number, divisor;
		const char *rest;
	} cases[] = {
		{"20/s", 0, 20, 1, "/s"},
		{"2.5MB", 0, 25, 10, "MB"},
		{"2.50MB", 0, 25, 10, "MB"},
		{"2.0", 0, 2, 1, ""},
		{"0.001", 0, 1, 1000, ""},
		{"007", 0, 7, 1, ""},
		{"1.2.3", 0, 12, 10, ".3"},
		{"999999999999999999", 0, 999999999999999999, 1, ""},
		{"1.00000000000000000000", 0, 1, 1, ""},
		{"1000000000000000000", -ERANGE, 0, 0, NULL},
		{"0.1234567890123456789", -ERANGE, 0, 0, NULL},
		{"", -EINVAL, 0, 0, NULL},
		{".5", -EINVAL, 0, 0, NULL},
		{"5.", -EINVAL, 0, 0, NULL},
		{"5.x", -EINVAL, 0, 0, NULL},
		{"-1", -EINVAL, 0, 0, NULL},
		{" 1", -EINVAL, 0, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *text = cases[i].text;
		uint64_t number = UNTOUCHED, divisor = UNTOUCHED;

		assert_int_equal(ebb_take_decimal(&text, &number, &divisor), cases[i].r);
		assert_int_equal(number, cases[i].r < 0 ? UNTOUCHED : cases[i].number);
		assert_int_equal(divisor, cases[i].r < 0 ? UNTOUCHED : cases[i].divisor);
		assert_string_equal(text, cases[i].r < 0 ? cases[i].text : cases[i].rest);
	}
}

static void durations_are_shown_to_three_digits(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0ns"},
		{850, "850ns"},
		{999, "999ns"},
		{1000, "1.00us"},
		{12300, "12.3us"},
		{99949, "99.9us"},
		{99950, "100us"},
		{999499, "999us"},
		{999500, "1.00ms"},
		{4500000, "4.50ms"},
		{999999999, "1.00s"},
		{1200000000, "1.20s"},
		{9994999999, "9.99s"},
		{9995000000, "10.0s"},
		{59949999999, "59.9s"},
		{59950000000, "1m00s"},
		{60000000000, "1m00s"},
		{125000000000, "2m05s"},
		{3599499999999, "59m59s"},
		{3599500000000, "1h00m"},
		{11520000000000, "3h12m"},
		{86369999999999, "23h59m"},
		{86370000000000, "1d00h"},
		{367200000000000, "4d06h"},
		{UINT64_MAX, "213504d00h"},
	};
	char buffer[EBB_FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(ebb_format_duration(cases[i].ns, buffer, sizeof(buffer)), cases[i].text);
}

static void counts_are_shown_to_three_digits(void **state)
{
	static const struct {
		uint64_t count;
		const char *text;
	} cases[] = {
		{0, "0"},
		{999, "999"},
		{1000, "1.00k"},
		{12345, "12.3k"},
		{123456, "123k"},
		{999499, "999k"},
		{999500, "1.00M"},
		{4560000, "4.56M"},
		{7890000000, "7.89G"},
		{1500000000000, "1.50T"},
		{UINT64_MAX, "18.4E"},
	};
	char buffer[EBB_FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(ebb_format_count(cases[i].count, buffer, sizeof(buffer)), cases[i].text);
}

static void bytes_are_shown_in_powers_of_1000(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"},
		{999, "999B"},
		{1000, "1.00kB"},
		{12345, "12.3kB"},
		{999499, "999kB"},
		{999500, "1.00MB"},
		{4560000000, "4.56GB"},
		{1000000000000, "1.00TB"},
		{UINT64_MAX, "18.4EB"},
	};
	char buffer[EBB_FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(ebb_format_bytes(cases[i].bytes, buffer, sizeof(buffer)), cases[i].text);
}

static void bytes_have_a_unit_and_are_exact(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{"512B", 0, 512},
		{"1kB", 0, 1000},
		{"1.5KB", 0, 1500},
		{"100MB", 0, 100000000},
		{"1.5GiB", 0, 3ULL << 29},
		{"64TiB", 0, 64ULL << 40},
		{"0B", 0, 0},
		{"100", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"MB", -EINVAL, 0},
		{"1.5B", -EINVAL, 0},
		{"1 MB", -EINVAL, 0},
		{"-1MB", -EINVAL, 0},
		{"1MBx", -EINVAL, 0},
		{"1mb", -EINVAL, 0},
		{"99999999TB", -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 7;

		assert_int_equal(ebb_parse_bytes(cases[i].text, &bytes), cases[i].r);
		assert_int_equal(bytes, cases[i].r ? 7 : cases[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_a_unit_and_are_exact),
		cmocka_unit_test(durations_are_read_exactly_or_refused),
		cmocka_unit_test(ratios_and_numbers_are_plain_decimals),
		cmocka_unit_test(whole_numbers_end_where_their_type_ends),
		cmocka_unit_test(decimals_are_taken_exactly_up_to_what_follows),
		cmocka_unit_test(durations_are_shown_to_three_digits),
		cmocka_unit_test(counts_are_shown_to_three_digits),
		cmocka_unit_test(bytes_are_shown_in_powers_of_1000),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

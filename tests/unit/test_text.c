/* SPDX-License-Identifier: Apache-2.0 */
/* user/lib/text.c: what comes from outside is fit to print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/text.h"

struct escape_case {
	const char *text, *expected;
};

/* not as literals: a reader of this file should not be turned around either */
static const char right_to_left[] = {'\xe2', '\x80', '\xae', '\0'};
static const char isolate[] = {'\xe2', '\x81', '\xa6', '\0'};

static const struct escape_case escape_cases[] = {
	{"", ""},
	{"plain /a.slice", "plain /a.slice"},
	{"a\\x2db", "a\\x2db"}, /* systemd writes names like this */
	{"\x1b[31mred\a\r\n\t\x7f", "\\x1b[31mred\\x07\\x0d\\x0a\\x09\\x7f"},
	{"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x8c\x8a",
	 "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x8c\x8a"},
	{"\xc2\x9b", "\\xc2\\x9b"}, /* C1: a terminal takes it for ESC [ */
	{right_to_left, "\\xe2\\x80\\xae"},
	{isolate, "\\xe2\\x81\\xa6"},
	{"\xc0\xaf", "\\xc0\\xaf"},		      /* '/' made longer */
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},	      /* a surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
	{"\xe6\x97", "\\xe6\\x97"},		      /* cut */
	{"\x80\xff", "\\x80\\xff"},
};

static void what_is_not_printable_is_escaped(void **state)
{
	char buffer[128];

	(void)state;
	for (size_t i = 0; i < sizeof(escape_cases) / sizeof(escape_cases[0]); i++)
		assert_string_equal(ebb_text_escape(escape_cases[i].text, buffer, sizeof(buffer)),
				    escape_cases[i].expected);
}

static void what_does_not_fit_is_cut_between_characters(void **state)
{
	char buffer[8];

	(void)state;
	assert_string_equal(ebb_text_escape("abcdef\xc3\xbc", buffer, 8), "abcdef");
	assert_string_equal(ebb_text_escape("abcde\xc3\xbc", buffer, 8), "abcde\xc3\xbc");
	assert_string_equal(ebb_text_escape("abcd\x1b", buffer, 8), "abcd");
	assert_string_equal(ebb_text_escape("abc\x1b", buffer, 8), "abc\\x1b");
	assert_string_equal(ebb_text_escape("abc", buffer, 1), "");
	buffer[0] = 'u';
	(void)ebb_text_escape("abc", buffer, 0);
	assert_int_equal(buffer[0], 'u');
}

static void columns_are_what_a_terminal_draws(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
	} cases[] = {
		{"", 0},
		{"abc", 3},
		{"gr\xc3\xbc\xc3\x9f", 4},
		{"e\u0301t\u00e9", 3}, /* an accent stands on its letter */
		{"\u4e2d\u6587", 4},
		{"\uac00\uff01", 4},
		{"\U0001f600", 2},
		{"\u2603", 1},			 /* a picture that is drawn narrow */
		{"\u303e\u303f\u3040\u3041", 6}, /* edges of a range */
		{"a\xff\xfe", 3},		 /* what is no UTF-8 is one column a byte */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ebb_text_columns(cases[i].text), cases[i].columns);
}

static void characters_go_in_and_out(void **state)
{
	static const uint32_t cases[] = {0x1, 0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xfffd, 0x10000, 0x10ffff};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char bytes[EBB_TEXT_CHAR_MAX + 1] = "";
		size_t length = ebb_text_encode(cases[i], bytes);
		uint32_t c = 0;

		assert_int_equal(ebb_text_next(bytes, &c), length);
		assert_int_equal(c, cases[i]);
		assert_int_equal(strlen(bytes), length);
	}
}

struct distance_case {
	const char *a, *b;
	size_t expected;
};

static const struct distance_case distance_cases[] = {
	{"", "", 0},
	{"", "abc", 3},
	{"abc", "", 3},
	{"list", "list", 0},
	{"lsit", "list", 1},
	{"lst", "list", 1},
	{"lisst", "list", 1},
	{"lost", "list", 1},
	{"kitten", "sitting", 3},
	{"status", "detach", 5},
};

static void distance_counts_slips_of_the_fingers(void **state)
{
	char a[200], b[200];

	(void)state;
	for (size_t i = 0; i < sizeof(distance_cases) / sizeof(distance_cases[0]); i++) {
		const struct distance_case *c = &distance_cases[i];

		if (ebb_text_distance(c->a, c->b) != c->expected)
			fail_msg("'%s' '%s': %zu", c->a, c->b, ebb_text_distance(c->a, c->b));
	}
	/* bounded */
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	a[199] = b[199] = '\0';
	assert_int_equal(ebb_text_distance(a, b), 63);
}

static void a_part_or_a_slip_is_like_the_whole(void **state)
{
	size_t distance = 0;

	(void)state;
	assert_true(ebb_text_like("lits", "list", &distance));
	assert_int_equal(distance, 1);
	assert_true(ebb_text_like("10.0.0.5", "10.0.0.5:443/tcp", &distance));
	assert_int_equal(distance, 1);
	assert_true(ebb_text_like("10.0.0.5:444/tpc", "10.0.0.5:443/tcp", &distance));
	assert_int_equal(distance, 2);
	distance = 77;
	assert_false(ebb_text_like("stop", "show", &distance));
	assert_false(ebb_text_like("", "show", &distance));
	assert_false(ebb_text_like("show", "", &distance));
	assert_int_equal(distance, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_printable_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
		cmocka_unit_test(columns_are_what_a_terminal_draws),
		cmocka_unit_test(characters_go_in_and_out),
		cmocka_unit_test(distance_counts_slips_of_the_fingers),
		cmocka_unit_test(a_part_or_a_slip_is_like_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/lib/table.c: text in aligned columns. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/table.h"

static const struct ebb_column columns[] = {
	{"NAME", EBB_ALIGN_LEFT, false, 0},
	{"NUMBER", EBB_ALIGN_RIGHT, false, 1},
	{"RARE", EBB_ALIGN_RIGHT, true, 0},
	{"NOTE", EBB_ALIGN_LEFT, false, 2},
};

static struct ebb_table *make_table(const char *const *cells)
{
	struct ebb_table *table = NULL;

	assert_int_equal(ebb_table_new(columns, 4, &table), 0);
	for (; *cells; cells++)
		ebb_table_cell(table, "%s", *cells);
	return table;
}

/* Prints, compares, frees. */
static void expect(struct ebb_table *table, size_t indent, size_t width, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(ebb_table_print(table, out, indent, width), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, expected);
	free(text);
	ebb_table_free(table);
}

static void columns_are_aligned_and_lines_end_without_blanks(void **state)
{
	static const char *const cells[] = {"a", "1", "7", "first", "bcdefg", "12345678", "-", "", NULL};

	(void)state;
	expect(make_table(cells), 0, 0,
	       "NAME      NUMBER  RARE  NOTE\n"
	       "a              1     7  first\n"
	       "bcdefg  12345678     -\n");
}

static void an_optional_column_is_left_out_when_it_says_nothing(void **state)
{
	static const char *const cells[] = {"a", "0", "0", "-", "b", "-", "-", "-", "c", "", "", "-", NULL};

	(void)state;
	expect(make_table(cells), 2, 0,
	       "  NAME  NUMBER  NOTE\n"
	       "  a          0  -\n"
	       "  b          -  -\n"
	       "  c             -\n");
}

static void a_narrow_terminal_loses_the_highest_rank_first(void **state)
{
	static const char *const cells[] = {"a-long-name", "1", "7", "note", NULL};

	(void)state;
	expect(make_table(cells), 0, 31,
	       "NAME         NUMBER  RARE  NOTE\na-long-name       1     7  note\n");
	expect(make_table(cells), 0, 30, "NAME         NUMBER  RARE\na-long-name       1     7\n");
	expect(make_table(cells), 1, 25, " NAME         RARE\n a-long-name     7\n");
	expect(make_table(cells), 0, 3, "NAME         RARE\na-long-name     7\n");
}

static void no_titles_no_heading(void **state)
{
	static const struct ebb_column plain[] = {{NULL, EBB_ALIGN_LEFT, false, 0},
						  {NULL, EBB_ALIGN_LEFT, false, 0}};
	struct ebb_table *table = NULL;

	(void)state;
	assert_int_equal(ebb_table_new(plain, 2, &table), 0);
	ebb_table_cell(table, "agent");
	ebb_table_cell(table, "running, pid %d", 7);
	ebb_table_cell(table, "mode");
	ebb_table_cell(table, "observe");
	ebb_table_cell(table, "a row that is not whole is not shown");
	expect(table, 0, 0, "agent  running, pid 7\nmode   observe\n");
}

static void cells_are_escaped_and_counted_in_characters(void **state)
{
	static const char *const cells[] = {"\x1b[2J", "1", "1", "x", "gr\xc3\xbc\xc3\x9f",
					    "1",       "1", "y", NULL};

	(void)state;
	expect(make_table(cells), 0, 0,
	       "NAME     NUMBER  RARE  NOTE\n"
	       "\\x1b[2J       1     1  x\n"
	       "gr\xc3\xbc\xc3\x9f          1     1  y\n");
}

static void many_rows_fit(void **state)
{
	struct ebb_table *table = NULL;
	char *text = NULL;
	size_t size, lines = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(ebb_table_new(columns, 4, &table), 0);
	for (int i = 0; i < 4 * 1000; i++)
		ebb_table_cell(table, "%d", i);
	assert_int_equal(ebb_table_print(table, out, 0, 0), 0);
	assert_int_equal(fclose(out), 0);
	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, 1001);
	free(text);
	ebb_table_free(table);
	ebb_table_free(NULL);
}

static void a_table_of_impossible_size_is_refused(void **state)
{
	struct ebb_table *table = NULL;

	(void)state;
	assert_int_equal(ebb_table_new(columns, 0, &table), -EINVAL);
	assert_int_equal(ebb_table_new(columns, EBB_TABLE_COLUMNS_MAX + 1, &table), -EINVAL);
	assert_null(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_and_lines_end_without_blanks),
		cmocka_unit_test(an_optional_column_is_left_out_when_it_says_nothing),
		cmocka_unit_test(a_narrow_terminal_loses_the_highest_rank_first),
		cmocka_unit_test(no_titles_no_heading),
		cmocka_unit_test(cells_are_escaped_and_counted_in_characters),
		cmocka_unit_test(many_rows_fit),
		cmocka_unit_test(a_table_of_impossible_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

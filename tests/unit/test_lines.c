/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a file come out one by one, however it is cut into reads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lib/lines.h"

static int file_of(const char *text, size_t length)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, length, f), length);
	assert_int_equal(fflush(f), 0);
	fd = dup(fileno(f));
	assert_true(fd >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void lines_come_whole_and_in_order(void **state)
{
	int fd = file_of("a\n\nlonger\nhalf", 14);
	struct ebb_lines_line line;
	struct ebb_lines lines;

	(void)state;
	assert_int_equal(ebb_lines_init(&lines, fd, 8), 0);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "a\n", 2);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_int_equal(line.length, 1);
	assert_int_equal(line.position, 2);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_int_equal(line.length, 7);
	assert_int_equal(line.position, 3);
	assert_int_equal(ebb_lines_next(&lines, &line), 0);
	ebb_lines_done(&lines);
	(void)close(fd);
}

/* Also one that is longer than all that is read at once. */
static void a_long_line_is_passed_over(void **state)
{
	static char text[2000000];
	struct ebb_lines_line line;
	struct ebb_lines lines;
	int fd;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "first\n", 6);
	text[6 + 9] = '\n'; /* ten bytes: one too many */
	memcpy(text + sizeof(text) - 6, "\nlast\n", 6);
	fd = file_of(text, sizeof(text));
	assert_int_equal(ebb_lines_init(&lines, fd, 9), 0);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_int_equal(ebb_lines_next(&lines, &line), -E2BIG);
	assert_int_equal(ebb_lines_next(&lines, &line), -E2BIG);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "last\n", 5);
	assert_int_equal(line.position, sizeof(text) - 5);
	assert_int_equal(ebb_lines_next(&lines, &line), 0);
	ebb_lines_done(&lines);
	(void)close(fd);
}

static void an_error_of_reading_is_told(void **state)
{
	struct ebb_lines_line line;
	struct ebb_lines lines;

	(void)state;
	assert_int_equal(ebb_lines_init(&lines, -1, 9), 0);
	assert_int_equal(ebb_lines_next(&lines, &line), -EBADF);
	ebb_lines_done(&lines);
}

/* Half a line is cut by whoever writes next, and its beginning must not stick to what comes then. */
static void behind_the_end_it_goes_on(void **state)
{
	int fd = file_of("one\nhal", 7);
	struct ebb_lines_line line;
	struct ebb_lines lines;

	(void)state;
	assert_int_equal(ebb_lines_init(&lines, fd, 8), 0);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_int_equal(ebb_lines_next(&lines, &line), 0);
	assert_int_equal(ebb_lines_seek(&lines, lines.position), 0);
	assert_int_equal(ftruncate(fd, 4), 0);
	assert_int_equal(pwrite(fd, "two\n", 4, 4), 4);
	assert_int_equal(ebb_lines_next(&lines, &line), 1);
	assert_memory_equal(line.text, "two\n", 4);
	assert_int_equal(line.position, 4);
	assert_int_equal(ebb_lines_next(&lines, &line), 0);
	ebb_lines_done(&lines);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_whole_and_in_order),
		cmocka_unit_test(a_long_line_is_passed_over),
		cmocka_unit_test(an_error_of_reading_is_told),
		cmocka_unit_test(behind_the_end_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

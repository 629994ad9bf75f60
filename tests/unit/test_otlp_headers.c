/* SPDX-License-Identifier: Apache-2.0 */
/* user/export/otlp_headers.c: headers of a file, whole or not at all, and nothing of it in a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/otlp_headers.h"
#include "lib/cleanup.h"
#include "tests/lib/temp_dir.h"

#define SECRET "s3cret"

static struct ebb_otlp_headers headers;

/* All of them in one text; or what is wrong. */
static const char *parsed(const char *text)
{
	static char said[4096];
	struct ebb_why why = {0};
	size_t used = 0;

	said[0] = '\0';
	if (ebb_otlp_headers_parse(text, strlen(text), &headers, &why) < 0) {
		assert_int_equal(headers.count, 0);
		assert_null(strstr(why.text, SECRET));
		(void)snprintf(said, sizeof(said), "%s", why.text);
		return said;
	}
	for (size_t i = 0; i < headers.count; i++)
		used += (size_t)snprintf(said + used, sizeof(said) - used, "%s|", headers.lines[i]);
	return said;
}

static void both_forms_are_read(void **state)
{
	static const struct {
		const char *text, *headers;
	} cases[] = {
		{"Authorization: Bearer abc", "Authorization: Bearer abc|"},
		{"Authorization: Bearer abc\n", "Authorization: Bearer abc|"},
		{"\r\n# a comment: none\r\nX-A:b \r\n\tX-C:\td: e=f\t\n\n", "X-A: b|X-C: d: e=f|"},
		{"authorization=Bearer%20abc", "authorization: Bearer abc|"},
		{"a=b%3Dc,d=e=f\nX-G: h\n", "a: b=c|d: e=f|X-G: h|"},
		{"Authorization: Basic YTpi==\n", "Authorization: Basic YTpi==|"},
		{"x: \xc3\xa4\n", "x: \xc3\xa4|"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(parsed(cases[i].text), cases[i].headers);
}

static void what_is_wrong_is_told_without_what_stands_there(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"", "there is no header in it"},
		{"\n# " SECRET "\n", "there is no header in it"},
		{"a: b\n" SECRET "\n", "line 2: no header like 'Authorization: Bearer ...'"},
		{SECRET " x: b\n", "line 1: the name of a header has only letters, digits and '-'"},
		{": " SECRET "\n", "line 1: the name of a header has only letters, digits and '-'"},
		{"a:\n", "line 1: a header without a value"},
		{"a: " SECRET "\x01\n", "line 1: a control character in a value"},
		{"a: b\rc: " SECRET "\n", "line 1: a control character in a value"},
		{"a=%0d%0ax:" SECRET "\n", "line 1: no list like 'name=value,name=value'"},
		{"a=" SECRET "%\n", "line 1: no list like 'name=value,name=value'"},
		{"a=b," SECRET "\n", "line 1: no list like 'name=value,name=value'"},
		{"\ncontent-length: 7\n", "line 2: a header that every request has already: leave it out"},
		{"Host=x\n", "line 1: a header that every request has already: leave it out"},
		{"a:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\na:1\n",
		 "line 17: more than 16 headers"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(parsed(cases[i].text), cases[i].said);
	assert_int_equal(ebb_otlp_headers_parse("a: b\0c: d\n", 10, &headers, NULL), -EINVAL);
}

/* What fits the file fits in full, a token of many KB too. */
static void sizes_are_bounded(void **state)
{
	_cleanup_free_ char *text = malloc(EBB_OTLP_HEADERS_BYTES + 2);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', EBB_OTLP_HEADERS_BYTES + 1);
	text[EBB_OTLP_HEADERS_BYTES + 1] = '\0';
	text[1] = ':';
	assert_string_equal(parsed(text), "it is longer than 16384 bytes");
	text[EBB_OTLP_HEADERS_BYTES] = '\0';
	(void)parsed(text);
	assert_int_equal(headers.count, 1);
	assert_int_equal(strlen(headers.lines[0]), EBB_OTLP_HEADERS_BYTES + 1);
}

static int read_file(const char *path, const char *wanted)
{
	struct ebb_why why = {0};
	int r = ebb_otlp_headers_read(path, &headers, &why);

	assert_string_equal(why.text, wanted);
	return r;
}

static void files_are_read(void **state)
{
	char directory[TEMP_DIR_MAX], path[2 * TEMP_DIR_MAX];
	FILE *file;

	(void)state;
	assert_int_equal(temp_dir_make("headers", directory), 0);
	(void)snprintf(path, sizeof(path), "%s/headers", directory);
	assert_int_equal(read_file(path, "it cannot be read: No such file or directory"), -ENOENT);
	assert_int_equal(read_file(directory, "it is no file"), -EINVAL);
	assert_return_code(mkfifo(path, 0600), errno);
	assert_int_equal(read_file(path, "it is no file"), -EINVAL);
	assert_return_code(unlink(path), errno);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs("Authorization: Bearer abc\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(read_file(path, ""), 0);
	assert_int_equal(headers.count, 1);
	assert_string_equal(headers.lines[0], "Authorization: Bearer abc");
	assert_int_equal(temp_dir_remove(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_read),
		cmocka_unit_test(what_is_wrong_is_told_without_what_stands_there),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

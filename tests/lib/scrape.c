/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/scrape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lib/cleanup.h"
#include "tests/lib/fake_source.h"

struct ebb_metrics_writer *writer_new(const struct fake *fake, enum ebb_metrics_format format)
{
	struct ebb_metrics_writer *writer = NULL;

	assert_int_equal(ebb_metrics_writer_new(&fake->source, format, &writer), 0);
	return writer;
}

char *render_with(struct fake *fake, enum ebb_metrics_format format, size_t chunk,
		  void (*meddle)(struct fake *fake))
{
	struct ebb_metrics_writer *writer = writer_new(fake, format);
	_cleanup_free_ char *piece = fake_zeroed(chunk, 1);
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	ssize_t n;

	assert_non_null(out);
	while ((n = ebb_metrics_writer_next(writer, piece, chunk)) > 0 || n == -EAGAIN) {
		assert_true(n < 0 || (size_t)n <= chunk);
		if (n > 0)
			(void)fwrite(piece, 1, (size_t)n, out);
		if (meddle)
			meddle(fake);
	}
	assert_int_equal(n, 0);
	assert_int_equal(ebb_metrics_writer_next(writer, piece, chunk), 0); /* and stays at its end */
	ebb_metrics_writer_free(writer);
	assert_int_equal(fclose(out), 0);
	return text;
}

char *render(struct fake *fake, enum ebb_metrics_format format)
{
	return render_with(fake, format, 16384, NULL);
}

const char *next_line(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return newline ? newline + 1 : end;
}

const char *line_of(const char *text, const char *series)
{
	const char *end = text + strlen(text);
	size_t length = strlen(series);

	for (const char *line = text; line < end; line = next_line(line, end))
		if ((size_t)(end - line) > length && memcmp(line, series, length) == 0 && line[length] == ' ')
			return line;
	return NULL;
}

bool has(const char *text, const char *series)
{
	return line_of(text, series) != NULL;
}

double value_of(const char *text, const char *series)
{
	const char *line = line_of(text, series);

	if (!line)
		fail_msg("no series %s", series);
	return strtod(line + strlen(series), NULL);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void assert_no_duplicates(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	static char *lines[20000];
	size_t count = 0;
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *end = strrchr(line, ' ');

		if (*line == '#')
			continue;
		assert_non_null(end);
		*end = '\0';
		assert_true(count < sizeof(lines) / sizeof(lines[0]));
		lines[count++] = line;
	}
	qsort(lines, count, sizeof(lines[0]), compare_lines);
	for (size_t i = 1; i < count; i++)
		if (strcmp(lines[i - 1], lines[i]) == 0)
			fail_msg("twice: %s", lines[i]);
}

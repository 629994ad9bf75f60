/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256U << 10)

int ebb_lines_init(struct ebb_lines *lines, int fd, size_t line_max)
{
	size_t size = line_max + READ_BYTES;
	char *buffer = malloc(size);

	if (!buffer)
		return -ENOMEM;
	*lines = (struct ebb_lines){.fd = fd, .buffer = buffer, .size = size, .line_max = line_max};
	return 0;
}

void ebb_lines_done(struct ebb_lines *lines)
{
	free(lines->buffer);
	*lines = (struct ebb_lines){.fd = -1};
}

/* More behind what is there. The bytes read; 0: the end. */
static ssize_t fill(struct ebb_lines *l)
{
	ssize_t n;

	memmove(l->buffer, l->buffer + l->from, l->to - l->from);
	l->to -= l->from;
	l->from = 0;
	do {
		n = read(l->fd, l->buffer + l->to, l->size - l->to);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->to += (size_t)n;
	return n;
}

static void take(struct ebb_lines *l, size_t length)
{
	l->from += length;
	l->position += length;
}

int ebb_lines_next(struct ebb_lines *l, struct ebb_lines_line *ret_line)
{
	bool too_long = false;
	size_t looked = 0;
	ssize_t n;

	for (;;) {
		const char *start = l->buffer + l->from;
		const char *newline = memchr(start + looked, '\n', l->to - l->from - looked);
		size_t length = newline ? (size_t)(newline - start) + 1 : l->to - l->from;

		if (newline && (too_long || length > l->line_max)) {
			take(l, length);
			return -E2BIG;
		}
		if (newline) {
			*ret_line = (struct ebb_lines_line){l->buffer + l->from, length, l->position};
			take(l, length);
			return 1;
		}
		if (too_long || length > l->line_max) {
			too_long = true;
			take(l, length);
			length = 0;
		}
		looked = length;
		n = fill(l);
		if (n <= 0)
			return (int)n;
	}
}

int ebb_lines_seek(struct ebb_lines *l, uint64_t position)
{
	if (lseek(l->fd, (off_t)position, SEEK_SET) < 0)
		return -errno;
	l->position = position;
	l->from = l->to = 0;
	return 0;
}

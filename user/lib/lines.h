/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of a file, one after the other, in memory that does not grow with it.
 */
#ifndef EBB_LIB_LINES_H
#define EBB_LIB_LINES_H

#include <stddef.h>
#include <stdint.h>

struct ebb_lines {
	int fd; /* borrowed; read from its position on */
	char *buffer;
	size_t size, from, to; /* [from, to) is read and not handed out */
	uint64_t position;     /* in the file, of buffer[from] */
	size_t line_max;
};

struct ebb_lines_line {
	char *text; /* ends with its newline; may be changed; until the next call */
	size_t length;
	uint64_t position;
};

/* Lines of at most @line_max bytes, the newline included. 0 or -ENOMEM. */
int ebb_lines_init(struct ebb_lines *lines, int fd, size_t line_max);
void ebb_lines_done(struct ebb_lines *lines);

/*
 * 1: a line; 0: the end, and what stands behind the last newline is no line; -E2BIG: a line that is longer was passed
 * over, and the next call goes on; another negative errno of reading.
 */
int ebb_lines_next(struct ebb_lines *lines, struct ebb_lines_line *ret_line);

/*
 * Begins anew at @position, which begins a line. Behind the end of a file that grows, or is cut, with where the last line ended
 * (lines->position): what was read of half a line is forgotten. A negative errno.
 */
int ebb_lines_seek(struct ebb_lines *lines, uint64_t position);

#endif /* EBB_LIB_LINES_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace: calls that were attempted, one JSON object on each line, for 'ebb simulate'.
 *
 *	{"t": 12.5, "dest": "api", "outcome": "refused", "ms": 3.2, "workload": "web"}
 *
 * The reader is strict and knows this one flat object only: a general one takes five times as
 * long. Whatever it takes is JSON that any other reader understands in the same way.
 */
#ifndef EBB_CLI_TRACE_H
#define EBB_CLI_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/why.h"

#define EBB_TRACE_LINE_MAX     65536	    /* bytes, the newline included */
#define EBB_TRACE_DEST_MAX     271	    /* bytes */
#define EBB_TRACE_WORKLOAD_MAX 511	    /* bytes */
#define EBB_TRACE_T_MAX_S      100000000ULL /* 3.2 years */
#define EBB_TRACE_MS_MAX       1000000000ULL

struct ebb_trace_call {
	uint64_t at_ns;
	uint64_t took_ns; /* 0 where it is not said */
	uint32_t outcome; /* enum ebb_outcome, enum ebb_sim_outcome */
	size_t dest_length;
	const char *dest;     /* unescaped UTF-8 without a NUL in it, and terminated */
	const char *workload; /* NULL: not said */
};

/*
 * One line, of which @line[@length] must be writable: texts are unescaped and terminated where they
 * stand, and *@ret_call borrows them. -EINVAL with the reason.
 */
int ebb_trace_parse(char *line, size_t length, struct ebb_trace_call *ret_call, struct ebb_why *why);

/* Of a line that ebb_trace_write() makes: each byte of its texts may become six. */
#define EBB_TRACE_WRITTEN_MAX 8192

/* Writes @call as a line; its texts are UTF-8 and no longer than those that are read. 0, -EINVAL, or what writing came to. */
int ebb_trace_write(FILE *out, const struct ebb_trace_call *call);

/*
 * Every call in @fd, to its end; lines of blanks are skipped. Stops at the first error: -EINVAL, also what @visit
 * returns, with *@ret_line its line; another negative errno of reading. The reason may be empty where @visit gave none.
 */
int ebb_trace_read(int fd,
		   int (*visit)(void *userdata, const struct ebb_trace_call *call, struct ebb_why *why),
		   void *userdata, uint64_t *ret_line, struct ebb_why *why);

#endif /* EBB_CLI_TRACE_H */

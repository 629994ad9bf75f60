/* SPDX-License-Identifier: Apache-2.0 */
/* What 'ebb record' makes of what the kernel tells it, apart from how it gets at it: so a test records from memory. */
#ifndef EBB_CLI_RECORD_H
#define EBB_CLI_RECORD_H

#include "cli/common.h"
#include "cli/trace.h"

/* Of one pair. */
struct ebb_record_pair {
	uint32_t epoch;
	uint64_t local; /* failed before any SYN, as of the last look */
	uint64_t told;	/* of these */
};

struct ebb_record_log {
	const struct ebb_look *look;
	FILE *out;
	uint64_t start_ns;
	uint64_t calls;	  /* lines written */
	uint64_t unnamed; /* left out: their destination is gone, and its name with it */
	int error;	  /* negative errno: could not be written; the first */
	struct ebb_record_pair *pairs;
};

/* From now on, with the look's view and time. 0 or -ENOMEM. */
int ebb_record_log_init(struct ebb_record_log *log, const struct ebb_look *look, FILE *out);
void ebb_record_log_done(struct ebb_record_log *log);

/* One that the kernel has written. What began before the start stands at 0, with what was left of it. */
void ebb_record_log_result(struct ebb_record_log *log, const struct ebb_record *record);

/*
 * Calls that failed before any SYN: no hook sees one, so they are counted. Told when two looks in a
 * row agree, since in between a connect() may be under way.
 */
void ebb_record_log_locals(struct ebb_record_log *log);

#endif /* EBB_CLI_RECORD_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pairs did in a minute, summed: denials and failures are too many to be told one by one. Counters of the maps
 * are compared with what they were; the minutes are those of the monotonic clock. No I/O.
 *
 *	     look      look      look            look: the minute is over
 *	 |    |         |         |               |
 *	-+------------------ minute --------------+----------->  next() gives a pair each, a few with each look
 *	  first denial  ...   last denial              of the rest, one for all: ~other
 *
 * A minute that an agent did not see the end of, because it was killed, is not told.
 */
#ifndef EBB_AGENT_AUDIT_SUMS_H
#define EBB_AGENT_AUDIT_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"

#define EBB_AUDIT_MINUTE_NS   60000000000ULL
#define EBB_AUDIT_MINUTE_ROWS 1024 /* pairs that are told of one by one: those with the most */

struct ebb_audit_sum {
	uint32_t pair; /* EBB_SLOT_OTHER with .others: many */
	uint32_t dst;
	uint32_t gate;
	uint64_t workload; /* cgroup id; 0: several */
	uint32_t others;   /* not 0: so many pairs together */
	uint64_t denied[EBB_CAUSE_MAX];
	uint64_t would_deny[EBB_CAUSE_MAX];
	uint64_t outcomes[EBB_OUTCOME_MAX];
	uint64_t ok;		   /* results that a breaker took for successes */
	int64_t first_realtime_ns; /* denials, to the second; 0: there were none */
	int64_t last_realtime_ns;
	uint32_t destinations; /* that the workload used in this minute */
	uint32_t failing;      /* of these, failures and no success */
	int64_t until_realtime_ns;
};

struct ebb_audit_sums;

/* @view is borrowed; what its counters say now is where the first minute begins. -ENOMEM. */
int ebb_audit_sums_new(const struct ebb_view *view, uint64_t now_ns, struct ebb_audit_sums **ret_sums);
void ebb_audit_sums_free(struct ebb_audit_sums *sums);

/* With each tick; works once a second. */
void ebb_audit_sums_look(struct ebb_audit_sums *sums, uint64_t now_ns, int64_t realtime_ns);

/* Ends the minute now. */
void ebb_audit_sums_close(struct ebb_audit_sums *sums, int64_t realtime_ns);

/* The next of the minute that is over; false: all are told. */
bool ebb_audit_sums_next(struct ebb_audit_sums *sums, struct ebb_audit_sum *ret_sum);

/* Does it hold failures? Denials? */
uint64_t ebb_audit_sum_failures(const struct ebb_audit_sum *sum);
uint64_t ebb_audit_sum_denials(const struct ebb_audit_sum *sum);

#endif /* EBB_AGENT_AUDIT_SUMS_H */

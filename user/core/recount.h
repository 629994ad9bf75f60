/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the gauges right? They go up and down by one for years; what once went wrong would stay. A
 * recount says what is really open. It takes time, in which connections come and go, and it
 * may not see all, so it is believed only where nothing else explains the difference:
 *
 *	quiet	  nothing was counted for the slot while the recount ran, and the gauge stood still;
 *	twice	  the last recount of the same owner found the same kind of difference;
 *	complete  what is missing would have been seen. A walk over the memories of sockets sees all of them; one
 *		  over the files of processes does not see what is in no table of files: sockets that a program
 *		  has closed and the network not yet, and those of processes that are hidden from us. So what is
 *		  found by files makes a gauge smaller only where no process is hidden, and where in three recounts
 *		  the gauge did not move and nothing was counted: longer than any orphan lives.
 *
 * More than the gauge says is seen only where it is there. In doubt the gauge stays. What is corrected
 * is the smallest difference that was found. Pure.
 */
#ifndef EBB_CORE_RECOUNT_H
#define EBB_CORE_RECOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* One gauge in one recount. */
struct ebb_recount_facts {
	uint64_t before, after; /* the gauge when the recount began, and when it had ended */
	uint64_t activity_before, activity_after; /* a sum of counters that each connection moves */
	uint64_t seen;
	uint32_t epoch; /* of the slot */
	bool exact;	/* seen by memories alone */
	bool complete;	/* by files too, and no process is hidden */
};

/* What is remembered of it; all zero: nothing. */
struct ebb_recount_past {
	int64_t difference; /* gauge - seen, the smallest of those found in a row */
	uint64_t gauge;
	uint64_t activity;
	uint32_t epoch;
	uint32_t times; /* in a row */
};

/* By how much the gauge is to be moved; 0: it is right, or nobody knows. */
int64_t ebb_recount_judge(struct ebb_recount_past *past, const struct ebb_recount_facts *facts);

#endif /* EBB_CORE_RECOUNT_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a report is made of. Only for user/report and its tests.
 */
#ifndef EBB_REPORT_INSIDE_H
#define EBB_REPORT_INSIDE_H

#include "lib/arena.h"
#include "report/report.h"

/* an insertion that finds no memory leaves the entry out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A minute, or several, in which something was out of bounds. */
struct ebb_report_minutes {
	uint32_t count;
	int64_t first_us, last_us; /* the end of the first and of the last */
};

/* A workload and a destination; or all of one of them, with the other "". */
struct ebb_report_pair {
	const char *destination, *user;
	struct ebb_report_sums sums;
	/* at an open breaker: minutes that had too many, the worst of them, all of these together */
	struct ebb_report_minutes hammered;
	uint64_t hammer_worst, hammer_sum;
	/* of a workload: minutes in which nearly all of many destinations failed, and the worst of them */
	struct ebb_report_minutes scanned;
	uint32_t scan_used, scan_failing;
	uint32_t dead, dead_new; /* of a workload: destinations without any success, of these new ones */
	UT_hash_handle hh;
};

struct ebb_report_new {
	const char *destination, *user;
	int64_t us;
	UT_hash_handle hh;
};

/* A stay of a breaker outside closed. */
struct ebb_report_episode {
	const char *id, *destination, *user, *address;
	int64_t begin_us;
	int64_t moved_us; /* last */
	int64_t end_us;	  /* INT64_MAX: it goes on */
	bool earlier;	  /* it began before what we saw */
	UT_hash_handle hh;
};

/* A run of an agent that was met. */
struct ebb_report_run {
	const char *session;
	UT_hash_handle hh;
};

/* An agent that found nothing to take over: after a start of the machine, or 'ebb detach'. */
struct ebb_report_anew {
	int64_t us, before_us; /* before_us: of the event before it */
};

/* Who changed what. */
struct ebb_report_deed {
	int64_t us;
	enum ebb_audit_type type;
	char *user; /* login uid, or uid; owned */
	char *what; /* owned */
};

/* Counted by their text: refused requests, refused credentials. */
struct ebb_report_tally {
	const char *what;
	uint64_t count;
	int64_t first_us, last_us;
	UT_hash_handle hh;
};

/* The agent was away. */
struct ebb_report_gap {
	int64_t from_us, to_us;
	bool clean; /* it had been stopped */
};

/* Breaker time of one destination. */
struct ebb_report_open {
	const char *destination;
	uint64_t count, still;
	int64_t total_us, longest_us;
	UT_hash_handle hh;
};

enum ebb_report_share {
	EBB_REPORT_SHARE_PREFIX,
	EBB_REPORT_SHARE_NAME,
	EBB_REPORT_SHARE_WORKLOAD,
	EBB_REPORT_SHARE_MAX,
};

#define EBB_REPORT_OVERLAP_SHOWN 8

/* Destinations whose episodes overlap, and what they share. */
struct ebb_report_overlap {
	const char *shares[EBB_REPORT_SHARE_MAX]; /* "10.0.7.0/24"; NULL: nothing of the kind */
	size_t count;				  /* destinations at once, at most */
	const char *shown[EBB_REPORT_OVERLAP_SHOWN];
	int64_t from_us, until_us; /* when they were so many; INT64_MAX: still */
	uint64_t times;
};

#define EBB_REPORT_RECENT 65536

struct ebb_report {
	int64_t since_us, until_us, begin_us;
	struct ebb_arena arena;
	struct ebb_report_pair *pairs, *workloads, *destinations;
	struct ebb_report_pair *recent[EBB_REPORT_RECENT]; /* of .pairs, by hash */
	struct ebb_report_new *news;
	struct ebb_report_episode *episodes;
	struct ebb_report_open *opens;
	struct ebb_report_tally *requests, *credentials;
	struct ebb_report_deed *deeds; /* the last ones; a ring until ebb_report_finish() */
	size_t deed_count, deed_room;
	uint64_t deeds_left_out; /* older than these */
	uint64_t news_left_out, episodes_left_out;
	struct ebb_report_gap *gaps;
	size_t gap_count, gap_room;
	uint64_t starts, stops, rejected, fuse;
	uint64_t lost, lost_us;
	int64_t lost_at_us; /* enforcement, and it is not back; INT64_MIN: it is in place */
	bool stopped;	    /* in order, and not started again */
	struct ebb_report_run *runs;
	const char *run; /* the present one */
	bool several;	 /* agents at once: of several nodes */
	struct ebb_report_anew *anew;
	size_t anew_count, anew_room;
	struct ebb_report_sums all;

	/* by ebb_report_finish() */
	struct ebb_report_overlap *overlaps;
	size_t overlap_count;
	struct ebb_report_pair **hammers, **scanners;
	size_t hammer_count, scanner_count;
	struct ebb_report_new **strangers; /* by workload, then by time */
	size_t stranger_count;
};

/* report/overlap.c: fills .overlaps. */
int ebb_report_find_overlaps(struct ebb_report *report);
/* report/patterns.c: fills what is left. */
int ebb_report_find_patterns(struct ebb_report *report);

/* One more place in an array of @count. NULL: out of memory. */
void *ebb_report_grow(void *array, size_t count, size_t *io_room, size_t size);

/* The number of entries of a workload among the strangers from @at on. */
size_t ebb_report_strangers_of(const struct ebb_report *report, size_t at);

/* When the breakers of @overlap ended to be outside closed all at once; @now for those that go on. */
static inline int64_t ebb_report_until(int64_t us, int64_t now)
{
	return us < now ? us : now;
}

#endif /* EBB_REPORT_INSIDE_H */

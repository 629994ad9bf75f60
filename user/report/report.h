/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a time of the audit log comes to. Pure: events are handed in, oldest first, and it has neither clock nor files.
 *
 *	ebb_report_counted()    denials, failures: of a pair in a minute; there are many
 *	ebb_report_first_seen() destinations that are new, of the whole log
 *	ebb_report_event()      all others
 *	ebb_report_finish()     sorts, and looks for patterns (report/patterns.h)
 *
 * Times are microseconds since 1970.
 */
#ifndef EBB_REPORT_REPORT_H
#define EBB_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "export/audit_event.h"

/* Entries of each kind; what comes beyond is added to "~other" or counted as left out. Of deeds the last ones stay. */
#define EBB_REPORT_PAIRS_MAX	200000
#define EBB_REPORT_NEW_MAX	200000
#define EBB_REPORT_EPISODES_MAX 200000
#define EBB_REPORT_DEEDS_MAX	1000

/* Episodes that began before the period are found if they moved so long before it. */
#define EBB_REPORT_BEFORE_US (24LL * 3600 * 1000000)

/* What failed and was denied. */
struct ebb_report_sums {
	uint64_t failed, ok; /* ok: in the minutes that had a failure */
	uint64_t denied, at_breaker, would;
};

struct ebb_report_counted {
	int64_t us;
	const char *destination, *user;
	struct ebb_report_sums sums;
	uint32_t used, failing; /* of a failure: destinations of the workload in that minute */
};

struct ebb_report_overlap;
struct ebb_report;

/* [since, until); @begin_us: when the log begins, INT64_MAX: it is empty. */
int ebb_report_new(int64_t since_us, int64_t until_us, int64_t begin_us, struct ebb_report **ret_report);
void ebb_report_free(struct ebb_report *report);

/* Each: 0 or -ENOMEM. */
int ebb_report_counted(struct ebb_report *report, const struct ebb_report_counted *counted);
int ebb_report_first_seen(struct ebb_report *report, int64_t us, const char *destination, const char *user);
/*
 * Those of the period; starts, stops, transitions and enforcement also from before it. @before_us: when the event before it
 * was, INT64_MIN: there was none. Only asked of the start of an agent.
 */
int ebb_report_event(struct ebb_report *report, const struct ebb_audit_record *record, int64_t before_us);

int ebb_report_finish(struct ebb_report *report);

/* After ebb_report_finish(). */
int ebb_report_text(const struct ebb_report *report, FILE *out);
/* NULL: out of memory. */
json_t *ebb_report_json(const struct ebb_report *report);

#endif /* EBB_REPORT_REPORT_H */

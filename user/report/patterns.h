/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is suspicious. docs/report.md says why the bounds are where they are.
 */
#ifndef EBB_REPORT_PATTERNS_H
#define EBB_REPORT_PATTERNS_H

/* A workload hammers an open breaker: so many connections refused by it in a minute, in so many minutes. */
#define EBB_HAMMER_A_MINUTE 300
#define EBB_HAMMER_MINUTES  3

/* A scanner: in a minute so many destinations without a success, and this share of those that it used ... */
#define EBB_SCAN_FAILING       20
#define EBB_SCAN_SHARE_PERCENT 80
/* ... and this share of those that never answered it is new to the log. */
#define EBB_SCAN_NEW_PERCENT   50

/* All is new to a log that has just begun. */
#define EBB_NEW_AFTER_US (3600 * 1000000LL)

/* So many destinations that share something, outside closed at once. */
#define EBB_OVERLAP_LEAST 3

#endif /* EBB_REPORT_PATTERNS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the audit log to a report: what is there in great numbers comes from the indexes of the database alone.
 */
#ifndef EBB_REPORT_READ_H
#define EBB_REPORT_READ_H

#include "report/report.h"

/* -ENOENT, -ENODATA and others as in export/audit_query.h. The caller frees *@ret_report, which is finished. */
int ebb_report_read_sqlite(const char *path, int64_t since_us, int64_t until_us,
			   struct ebb_report **ret_report, uint64_t *ret_unknown, struct ebb_why *why);

/* The same from the files @path, @path.1 and so on, every line of them. */
int ebb_report_read_files(const char *path, unsigned int keep, int64_t since_us, int64_t until_us,
			  struct ebb_report **ret_report, uint64_t *ret_unknown, struct ebb_why *why);

#endif /* EBB_REPORT_READ_H */

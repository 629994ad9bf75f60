/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the audit log back: from the database, or from the files of JSON lines, which gives the same events, slower.
 */
#ifndef EBB_EXPORT_AUDIT_QUERY_H
#define EBB_EXPORT_AUDIT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/audit_event.h"
#include "export/sqlite.h"

/* What is wanted; NULL: all. Texts are borrowed. */
struct ebb_audit_query {
	int64_t since_ns, until_ns; /* [since, until) */
	uint32_t types;		    /* a bit for each enum ebb_audit_type; 0: all */
	const char *destination;    /* its name, its protocol may be left out; or a pattern */
	const char *workload;	    /* its name, the last part of it, or a pattern */
	const char *user;
	const char *episode;
	uint64_t limit; /* the newest so many; 0: all */
};

/* One event, the oldest first. Not 0: nothing more is wanted, and that is returned. */
typedef int ebb_audit_visit(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why);

/*
 * Reads from the database @path. Events of a type that only a later version knows are left out and counted. -ENOENT: there
 * is no such file; -ENODATA: there is no audit log in it yet.
 */
int ebb_audit_query_sqlite(const char *path, const struct ebb_audit_query *query, ebb_audit_visit *visit,
			   void *userdata, uint64_t *ret_unknown, struct ebb_why *why);

/* Rows by the number that they got when they came: (after, upto]. */
struct ebb_audit_rows {
	int64_t after, upto;
};

/* The newest row, 0: none. The tables must be there: ebb_audit_db_check(). */
int ebb_audit_newest_row(struct ebb_sqlite *s, int64_t *ret_row, struct ebb_why *why);

/* The same as ebb_audit_query_sqlite() of these rows alone, from a database that is open. */
int ebb_audit_query_rows(struct ebb_sqlite *s, const struct ebb_audit_query *query,
			 const struct ebb_audit_rows *rows, ebb_audit_visit *visit, void *userdata,
			 uint64_t *io_unknown, struct ebb_why *why);

/*
 * The same from @path.@keep, ..., @path.1, @path. Lines that are no events are left out and counted. -ENOENT: there is no such
 * file.
 */
int ebb_audit_query_files(const char *path, unsigned int keep, const struct ebb_audit_query *query,
			  ebb_audit_visit *visit, void *userdata, uint64_t *ret_unknown, struct ebb_why *why);

/* Is @record what is wanted, but for the limit? */
bool ebb_audit_query_matches(const struct ebb_audit_query *query, const struct ebb_audit_record *record);

#endif /* EBB_EXPORT_AUDIT_QUERY_H */

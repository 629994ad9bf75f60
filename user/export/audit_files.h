/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the files of JSON lines: what a look back (audit_files.c) and following them (audit_follow_files.c) share. Only for
 * these two.
 */
#ifndef EBB_EXPORT_AUDIT_FILES_H
#define EBB_EXPORT_AUDIT_FILES_H

#include "export/audit_query.h"
#include "lib/lines.h"

/* A file that is moved aside while we open them would be read twice, or not: all are open before one is read. */
#define EBB_AUDIT_FILES_MAX 1001

/* The last lines that are wanted, a ring. */
struct ebb_audit_last {
	char **lines;
	size_t *lengths;
	uint64_t room, next;
};

struct ebb_audit_reading {
	const struct ebb_audit_query *query;
	ebb_audit_visit *visit;
	void *userdata;
	struct ebb_audit_last last; /* without room every line is visited at once */
	uint64_t unknown;
};

/* -ENOMEM */
int ebb_audit_last_init(struct ebb_audit_last *last, uint64_t limit);
void ebb_audit_last_done(struct ebb_audit_last *last);

/* The newest first, as they are moved aside; *@ret_count of them, at least one. -ENOENT */
int ebb_audit_open_files(const char *path, unsigned int keep, int fds[EBB_AUDIT_FILES_MAX], size_t *ret_count,
			 struct ebb_why *why);

/* To the end. Not 0: nothing more is wanted, or an error. */
int ebb_audit_read_lines(struct ebb_audit_reading *reading, struct ebb_lines *lines, struct ebb_why *why);

/* Visits the last ones. */
int ebb_audit_tell_last(struct ebb_audit_reading *reading, struct ebb_why *why);

#endif /* EBB_EXPORT_AUDIT_FILES_H */

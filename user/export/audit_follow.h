/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log as it grows: what is there already, if that is wanted, and then each new event once, in the order in which they
 * came, which is not quite that of time: what a sink did not take at first comes later.
 *
 *	file of JSON lines	told by inotify; over any number of rotations
 *	database		asked: rows that came since
 *
 * Either may be missing at first, and may be replaced by another one.
 */
#ifndef EBB_EXPORT_AUDIT_FOLLOW_H
#define EBB_EXPORT_AUDIT_FOLLOW_H

#include "export/audit_query.h"

struct ebb_audit_follow_ops {
	/*
	 * Visits what is new; the first call: what was there before, too, if that is wanted. Never waits for events. Not 0: what
	 * @visit returned, or an error.
	 */
	int (*take)(void *data, ebb_audit_visit *visit, void *userdata, struct ebb_why *why);
	/* Readable (POLLIN) when take() has something to do, also seldom for nothing; -1: nobody tells. Look each second, too. */
	int (*fd)(const void *data);
	/* Events that were left out, ever: of a later version, or damaged. */
	uint64_t (*unknown)(const void *data);
	void (*free)(void *data);
};

struct ebb_audit_follow {
	const struct ebb_audit_follow_ops *ops;
	void *data; /* owned */
};

/*
 * @query is borrowed; its end and, for what is new, its limit are not looked at. @past: what was there before is wanted.
 * @path is borrowed, too. -ENOMEM
 */
int ebb_audit_follow_sqlite(const char *path, const struct ebb_audit_query *query, bool past,
			    struct ebb_audit_follow *ret_follow);
int ebb_audit_follow_files(const char *path, unsigned int keep, const struct ebb_audit_query *query,
			   bool past, struct ebb_audit_follow *ret_follow);

#endif /* EBB_EXPORT_AUDIT_FOLLOW_H */

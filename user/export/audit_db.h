/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log in a SQLite database: the tables that it has, and the ones that this version knows.
 */
#ifndef EBB_EXPORT_AUDIT_DB_H
#define EBB_EXPORT_AUDIT_DB_H

#include "export/sqlite.h"

/* For @version: the newest that is known. */
#define EBB_AUDIT_DB_LATEST (-1)

/*
 * Brings the tables to @version, up or down, 0: none at all; all of it or nothing. -EPROTO: they are of a version that we do not
 * know, or somebody else's.
 */
int ebb_audit_db_migrate(struct ebb_sqlite *s, int version, struct ebb_why *why);

/* For who only reads: are these tables of ours? 0; -ENODATA: there are none yet; -EPROTO as above. */
int ebb_audit_db_check(struct ebb_sqlite *s, struct ebb_why *why);

#endif /* EBB_EXPORT_AUDIT_DB_H */

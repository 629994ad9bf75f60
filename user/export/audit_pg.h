/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log in a PostgreSQL database: the tables that it has, and the ones that this version knows.
 */
#ifndef EBB_EXPORT_AUDIT_PG_H
#define EBB_EXPORT_AUDIT_PG_H

#include "export/postgres.h"

/* For @version: the newest that is known. */
#define EBB_AUDIT_PG_LATEST (-1)

/* Keys of pg_advisory_lock(): "ebb", and a number. Many nodes write into one database. */
#define EBB_AUDIT_PG_LOCK_MIGRATE "6644066, 1"
#define EBB_AUDIT_PG_LOCK_REMOVE  "6644066, 2"

/*
 * Brings the tables to @version, up or down, 0: none at all; all of it or nothing, and only one of many at a time. -EPROTO: they are
 * of a version that we do not know, or somebody else's.
 */
int ebb_audit_pg_migrate(struct ebb_postgres *p, int version, uint64_t deadline_ns, struct ebb_why *why);

#endif /* EBB_EXPORT_AUDIT_PG_H */

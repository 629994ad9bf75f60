/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the audit log's databases, step by step, each with its way back: the files below user/export/migrations,
 * built in. Which steps a database has, it says itself, in the table audit_log_migrations.
 */
#ifndef EBB_EXPORT_MIGRATION_H
#define EBB_EXPORT_MIGRATION_H

enum ebb_database {
	EBB_DATABASE_SQLITE,
	EBB_DATABASE_POSTGRES,
};

struct ebb_migration {
	int version; /* 1, 2, 3, ... */
	const char *name;
	const char *up, *down; /* statements; the caller wraps them in a transaction */
};

/* The last version; the ones before are there, too. */
int ebb_migration_last(enum ebb_database database);

/* @version: 1 to the last. */
const struct ebb_migration *ebb_migration_get(enum ebb_database database, int version);

#endif /* EBB_EXPORT_MIGRATION_H */

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit_db.h"

#include <errno.h>
#include <stddef.h>

#include "export/migration.h"

#define IS_TABLE(name) \
	"SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name = '" name "'"

/* What is called like our table, but was not made by a migration. */
static int refuse_others(struct ebb_sqlite *s, struct ebb_why *why)
{
	sqlite3_int64 found;
	int r = ebb_sqlite_number(s, IS_TABLE("audit_log"), &found, why);

	if (r < 0 || found == 0)
		return r;
	return ebb_why(why, -EPROTO,
		       "database %s: its table audit_log was not made by ebb: name another path, or rename the table",
		       s->path);
}

/* 0: there are no tables. */
static int get_version(struct ebb_sqlite *s, int *ret_version, struct ebb_why *why)
{
	int last = ebb_migration_last(EBB_DATABASE_SQLITE);
	sqlite3_int64 found;
	int r = ebb_sqlite_number(s, IS_TABLE("audit_log_migrations"), &found, why);

	if (r < 0)
		return r;
	if (found) {
		r = ebb_sqlite_number(s, "SELECT coalesce(max(version), 0) FROM audit_log_migrations", &found,
				      why);
		if (r < 0)
			return r;
	}
	if (found < 0 || found > last)
		return ebb_why(why, -EPROTO,
			       "database %s: its tables are of version %lld, and we know up to %d: use a newer ebb, or name another path",
			       s->path, (long long)found, last);
	*ret_version = (int)found;
	return found ? 0 : refuse_others(s, why);
}

static int step_towards(struct ebb_sqlite *s, int version, int target, struct ebb_why *why)
{
	if (version < target)
		return ebb_sqlite_exec(s, ebb_migration_get(EBB_DATABASE_SQLITE, version + 1)->up, why);
	return ebb_sqlite_exec(s, ebb_migration_get(EBB_DATABASE_SQLITE, version)->down, why);
}

static int walk(struct ebb_sqlite *s, int target, struct ebb_why *why)
{
	int version = 0, r = get_version(s, &version, why);

	while (r == 0 && version != target) {
		r = step_towards(s, version, target, why);
		version += version < target ? 1 : -1;
	}
	return r;
}

int ebb_audit_db_migrate(struct ebb_sqlite *s, int version, struct ebb_why *why)
{
	int last = ebb_migration_last(EBB_DATABASE_SQLITE), now = 0, r;

	if (version == EBB_AUDIT_DB_LATEST)
		version = last;
	if (version < 0 || version > last)
		return ebb_why(why, -EINVAL, "there is no version %d of the tables", version);
	/* mostly there is nothing to do, and then nobody is waited for */
	r = get_version(s, &now, why);
	if (r < 0 || now == version)
		return r;
	r = ebb_sqlite_exec(s, "BEGIN IMMEDIATE", why);
	if (r < 0)
		return r;
	/* again: another process may have been quicker */
	r = walk(s, version, why);
	r = r < 0 ? r : ebb_sqlite_exec(s, "COMMIT", why);
	if (r < 0 && !s->f.get_autocommit(s->db))
		(void)ebb_sqlite_exec(s, "ROLLBACK", NULL);
	return r;
}

int ebb_audit_db_check(struct ebb_sqlite *s, struct ebb_why *why)
{
	int version = 0, r = get_version(s, &version, why);

	if (r == 0 && version == 0)
		return ebb_why(why, -ENODATA, "database %s: there is no audit log in it yet", s->path);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit_pg.h"

#include <errno.h>
#include <stddef.h>

#include "export/migration.h"

#define IS_TABLE(name) "SELECT (to_regclass('" name "') IS NOT NULL)::int"

/* What is called like our table, but was not made by a migration. */
static int refuse_others(struct ebb_postgres *p, uint64_t deadline_ns, struct ebb_why *why)
{
	long long found;
	int r = ebb_postgres_number(p, IS_TABLE("audit_log"), deadline_ns, &found, why);

	if (r < 0 || found == 0)
		return r;
	return ebb_why(why, -EPROTO,
		       "PostgreSQL at %s:%s, database %s: its table audit_log was not made by ebb: name another database, or set another search_path for the user",
		       p->f.host(p->connection), p->f.port(p->connection), p->f.db(p->connection));
}

/* 0: there are no tables. */
static int get_version(struct ebb_postgres *p, int *ret_version, uint64_t deadline_ns, struct ebb_why *why)
{
	int last = ebb_migration_last(EBB_DATABASE_POSTGRES);
	long long found;
	int r = ebb_postgres_number(p, IS_TABLE("audit_log_migrations"), deadline_ns, &found, why);

	if (r < 0)
		return r;
	if (found) {
		r = ebb_postgres_number(p, "SELECT max(version) FROM audit_log_migrations", deadline_ns,
					&found, why);
		if (r < 0)
			return r;
	}
	if (found < 0 || found > last)
		return ebb_why(why, -EPROTO,
			       "PostgreSQL at %s:%s, database %s: its tables are of version %lld, and we know up to %d: use a newer ebb, or name another database",
			       p->f.host(p->connection), p->f.port(p->connection), p->f.db(p->connection),
			       found, last);
	*ret_version = (int)found;
	return found ? 0 : refuse_others(p, deadline_ns, why);
}

static int step_towards(struct ebb_postgres *p, int version, int target, uint64_t deadline_ns,
			struct ebb_why *why)
{
	const struct ebb_migration *m =
		ebb_migration_get(EBB_DATABASE_POSTGRES, version < target ? version + 1 : version);

	return ebb_postgres_script(p, version < target ? m->up : m->down, deadline_ns, why);
}

/* Again: another node may have been quicker. */
static int walk(struct ebb_postgres *p, int target, uint64_t deadline_ns, struct ebb_why *why)
{
	int version = 0, r = get_version(p, &version, deadline_ns, why);

	while (r == 0 && version != target) {
		r = step_towards(p, version, target, deadline_ns, why);
		version += version < target ? 1 : -1;
	}
	return r;
}

int ebb_audit_pg_migrate(struct ebb_postgres *p, int version, uint64_t deadline_ns, struct ebb_why *why)
{
	int last = ebb_migration_last(EBB_DATABASE_POSTGRES), now = 0, r;

	if (version == EBB_AUDIT_PG_LATEST)
		version = last;
	if (version < 0 || version > last)
		return ebb_why(why, -EINVAL, "there is no version %d of the tables", version);
	/* mostly there is nothing to do, and then nobody is waited for */
	r = get_version(p, &now, deadline_ns, why);
	if (r < 0 || now == version)
		return r;
	r = ebb_postgres_script(p, "BEGIN; SELECT pg_advisory_xact_lock(" EBB_AUDIT_PG_LOCK_MIGRATE ")",
				deadline_ns, why);
	r = r == 0 ? walk(p, version, deadline_ns, why) : r;
	r = r == 0 ? ebb_postgres_script(p, "COMMIT", deadline_ns, why) : r;
	/* where this does not get through either, the caller hangs up, and that ends it, too */
	if (r < 0 && r != -ETIMEDOUT)
		(void)ebb_postgres_script(p, "ROLLBACK", deadline_ns, NULL);
	return r;
}

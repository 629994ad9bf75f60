/* SPDX-License-Identifier: Apache-2.0 */
/* New rows of the database: each has a greater number than those before it. */
#include <errno.h>
#include <stdlib.h>

#include "export/audit_db.h"
#include "export/audit_follow.h"

struct follow {
	const char *path;
	struct ebb_audit_query query;
	bool past;	      /* what is there is wanted: once */
	bool found;	      /* there was a database */
	struct ebb_sqlite *s; /* NULL: not open */
	int64_t row;	      /* told up to there */
	uint64_t unknown;
};

static void close_database(struct follow *f)
{
	ebb_sqlite_close(f->s);
	f->s = NULL;
}

/* 0 without a database: there is none yet. */
static int open_database(struct follow *f, struct ebb_why *why)
{
	int r;

	/* moved away: all of the next one is new */
	if (f->s && !ebb_sqlite_is_there(f->s)) {
		close_database(f);
		f->row = 0;
	}
	if (f->s)
		return 0;
	r = ebb_sqlite_open(f->path, EBB_SQLITE_READ, &f->s, why);
	if (r == 0)
		r = ebb_audit_db_check(f->s, why);
	if (r < 0)
		close_database(f);
	return r == -ENOENT || r == -ENODATA ? 0 : r;
}

/* Not the past: what comes from now on. That of a database which was not there is all new. */
static int skip_past(struct follow *f, int64_t newest)
{
	if (!f->found && !f->past)
		f->row = newest;
	f->found = true;
	return 0;
}

static int take(void *data, ebb_audit_visit *visit, void *userdata, struct ebb_why *why)
{
	struct follow *f = data;
	struct ebb_audit_rows rows;
	int r = open_database(f, why);

	if (r < 0)
		return r;
	if (!f->s) {
		f->found = true;
		return 0;
	}
	r = ebb_audit_newest_row(f->s, &rows.upto, why);
	if (r == 0)
		r = skip_past(f, rows.upto);
	/* all rows were removed, and numbers begin anew */
	if (r == 0 && rows.upto < f->row)
		f->row = 0;
	if (r < 0 || rows.upto == f->row)
		return r;
	rows.after = f->row;
	r = ebb_audit_query_rows(f->s, &f->query, &rows, visit, userdata, &f->unknown, why);
	f->row = rows.upto;
	f->query.limit = 0;
	return r;
}

static int nobody_tells(const void *data)
{
	(void)data;
	return -1;
}

static uint64_t unknown(const void *data)
{
	const struct follow *f = data;

	return f->unknown;
}

static void free_follow(void *data)
{
	struct follow *f = data;

	close_database(f);
	free(f);
}

static const struct ebb_audit_follow_ops ops = {take, nobody_tells, unknown, free_follow};

int ebb_audit_follow_sqlite(const char *path, const struct ebb_audit_query *query, bool past,
			    struct ebb_audit_follow *ret_follow)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->path = path;
	f->query = *query;
	f->query.until_ns = INT64_MAX;
	f->past = past;
	*ret_follow = (struct ebb_audit_follow){&ops, f};
	return 0;
}

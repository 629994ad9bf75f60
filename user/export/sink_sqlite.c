/* SPDX-License-Identifier: Apache-2.0 */
#include "export/sink_sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "export/audit_db.h"
#include "export/audit_row.h"
#include "export/sqlite.h"
#include "lib/log.h"
#include "lib/steady.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000

/*
 * Old events go in steps, since others wait while one runs (at most some 20 ms), and not for longer at a time than this: what
 * is left then is for the next time, a minute later. That is more than 50,000 events.
 */
#define REMOVE_STEP   1000
#define REMOVE_MAX_NS (1000 * NS_PER_MS)

/* Pages that stay free for what comes: 16 MB. What is more goes back to the file system, in steps of 4 MB. */
#define FREE_PAGES_MAX 4096
#define GIVE_BACK      "PRAGMA incremental_vacuum(1024)"

#define INSERT                                                                                     \
	"INSERT INTO audit_log (id, timestamp, event_type, user_id, session_id, ip_address, "      \
	"details, outcome, outcome_details, destination, episode, amount, at_breaker, would, "     \
	"ok, used, failing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, " \
	"?15, ?16, ?17) ON CONFLICT (id) DO NOTHING"

/*
 * The row that came last stays while there are younger ones (it was a dead letter, say): the next one would get its number, and who
 * follows the log goes by these.
 */
#define REMOVE                                                                                    \
	"DELETE FROM audit_log WHERE rowid IN (SELECT rowid FROM audit_log WHERE timestamp < ?1 " \
	"AND (rowid < (SELECT max(rowid) FROM audit_log) OR NOT EXISTS (SELECT 1 FROM audit_log " \
	"WHERE timestamp >= ?1)) ORDER BY timestamp LIMIT ?2)"

struct sqlite_sink {
	char path[PATH_MAX];
	uint64_t keep_ns;
	struct ebb_sqlite *s; /* NULL: not open */
	sqlite3_stmt *insert, *remove;
	bool told; /* that old events are not removed */
	struct ebb_steady steady;
};

static void close_database(struct sqlite_sink *q)
{
	if (!q->s)
		return;
	(void)q->s->f.finalize(q->insert);
	(void)q->s->f.finalize(q->remove);
	ebb_sqlite_close(q->s);
	q->s = NULL;
	q->insert = q->remove = NULL;
}

static int open_database(struct sqlite_sink *q, struct ebb_why *why)
{
	int r;

	if (q->s && !ebb_sqlite_is_there(q->s))
		close_database(q);
	if (q->s)
		return 0;
	r = ebb_sqlite_open(q->path, EBB_SQLITE_WRITE, &q->s, why);
	r = r == 0 ? ebb_audit_db_migrate(q->s, EBB_AUDIT_DB_LATEST, why) : r;
	r = r == 0 ? ebb_sqlite_prepare(q->s, INSERT, &q->insert, why) : r;
	r = r == 0 ? ebb_sqlite_prepare(q->s, REMOVE, &q->remove, why) : r;
	if (r < 0)
		close_database(q);
	return r;
}

/* ------------------------------------------------------------------ write -- */

/* All that is bound stays as it is until the statement is done: it is not copied. */
static int bind_row(const struct sqlite_sink *q, const struct ebb_audit_row *row)
{
	const char *const texts[] =
		{[1] = row->id,		  [3] = row->type,    [4] = row->user,	  [5] = row->session,
		 [6] = row->address,	  [7] = row->details, [8] = row->outcome, [9] = row->outcome_details,
		 [10] = row->destination, [11] = row->episode};
	const struct ebb_audit_counts *c = &row->counts;
	const int64_t counts[] = {c->amount, c->at_breaker, c->would, c->ok, c->used, c->failing};
	const struct ebb_sqlite_functions *f = &q->s->f;
	int code = f->bind_int64(q->insert, 2, row->timestamp_us);

	for (int i = 1; code == SQLITE_OK && i < 12; i++) {
		if (i != 2)
			code = f->bind_text(q->insert, i, texts[i], -1, SQLITE_STATIC);
	}
	for (int i = 0; code == SQLITE_OK && i < 6; i++)
		code = counts[i] < 0 ? f->bind_null(q->insert, 12 + i)
				     : f->bind_int64(q->insert, 12 + i, counts[i]);
	return code;
}

static int insert_one(const struct sqlite_sink *q, const struct ebb_audit_record *record, struct ebb_why *why)
{
	struct ebb_audit_row row;
	int code, r = ebb_audit_row(record, &row);

	if (r < 0)
		return ebb_why(why, r, "out of memory");
	code = bind_row(q, &row);
	r = code == SQLITE_OK ? ebb_sqlite_step(q->s, q->insert, why) : ebb_sqlite_failed(q->s, code, why);
	(void)q->s->f.reset(q->insert);
	ebb_audit_row_done(&row);
	return r;
}

static void roll_back(const struct sqlite_sink *q)
{
	/* some errors have done it already */
	if (!q->s->f.get_autocommit(q->s->db))
		(void)ebb_sqlite_exec(q->s, "ROLLBACK", NULL);
}

static int insert_all(const struct sqlite_sink *q, const struct ebb_sink_batch *batch, struct ebb_why *why)
{
	/* at once for writing: who begins by reading cannot be sure to get there */
	int r = ebb_sqlite_exec(q->s, "BEGIN IMMEDIATE", why);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < batch->count; i++)
		r = insert_one(q, &batch->records[i], why);
	r = r == 0 ? ebb_sqlite_exec(q->s, "COMMIT", why) : r;
	if (r < 0)
		roll_back(q);
	return r;
}

static enum ebb_sink_result sqlite_write(void *sink, const struct ebb_sink_batch *batch,
					 uint64_t *ret_after_ns, struct ebb_why *why)
{
	struct sqlite_sink *q = sink;
	int r = open_database(q, why);

	(void)ret_after_ns;
	r = r == 0 ? insert_all(q, batch, why) : r;
	switch (r) {
	case 0:
		return EBB_SINK_DONE;
	case -EINVAL:
		return EBB_SINK_REFUSED;
	case -EBUSY:
	case -EINTR:
	case -ENOMEM:
		return EBB_SINK_RETRY;
	default:
		break;
	}
	/* it is looked at anew, also for another version of its tables */
	close_database(q);
	return EBB_SINK_UNUSABLE;
}

/* ----------------------------------------------------------------- upkeep -- */

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
}

/* Returns how many went. */
static int remove_some(const struct sqlite_sink *q, int64_t before_us, struct ebb_why *why)
{
	const struct ebb_sqlite_functions *f = &q->s->f;
	int r;

	(void)f->bind_int64(q->remove, 1, before_us);
	(void)f->bind_int64(q->remove, 2, REMOVE_STEP);
	r = ebb_sqlite_step(q->s, q->remove, why);
	(void)f->reset(q->remove);
	return r < 0 ? r : f->changes(q->s->db);
}

static int remove_old(const struct sqlite_sink *q, int64_t before_us, uint64_t stop_by_ns,
		      struct ebb_why *why)
{
	int r;

	do {
		r = remove_some(q, before_us, why);
	} while (r > 0 && now_monotonic() < stop_by_ns);
	return r < 0 ? r : 0;
}

static int give_back(const struct sqlite_sink *q, uint64_t stop_by_ns, struct ebb_why *why)
{
	sqlite3_int64 pages = 0;
	int r;

	do {
		r = ebb_sqlite_number(q->s, "PRAGMA freelist_count", &pages, why);
		if (r < 0 || pages <= FREE_PAGES_MAX)
			return r;
		r = ebb_sqlite_exec(q->s, GIVE_BACK, why);
	} while (r == 0 && now_monotonic() < stop_by_ns);
	return r;
}

static void sqlite_upkeep(void *sink, int64_t realtime_ns)
{
	struct sqlite_sink *q = sink;
	uint64_t now_ns = now_monotonic(), stop_by_ns = now_ns + REMOVE_MAX_NS;
	/* a clock that was set wrong would make all of them old */
	int64_t believed_ns = ebb_steady_time(&q->steady, realtime_ns, now_ns);
	struct ebb_why why = {0};
	int r = open_database(q, &why);

	/* why there is no database is said by write() */
	if (r < 0 || !q->s)
		return;
	r = remove_old(q, (believed_ns - (int64_t)q->keep_ns) / NS_PER_US, stop_by_ns, &why);
	r = r == 0 ? give_back(q, stop_by_ns, &why) : r;
	if (r < 0 && !q->told)
		ebb_warn("old events are not removed: %s; they stay until they can be", why.text);
	q->told = r < 0;
}

static void sqlite_free(void *sink)
{
	struct sqlite_sink *q = sink;

	close_database(q);
	free(q);
}

static const struct ebb_sink_ops sqlite_ops = {
	.name = "sqlite",
	.write = sqlite_write,
	.upkeep = sqlite_upkeep,
	.free = sqlite_free,
};

int ebb_sink_sqlite_new(const struct ebb_sink_sqlite_setup *setup, struct ebb_sink *ret_sink)
{
	struct sqlite_sink *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	(void)snprintf(q->path, sizeof(q->path), "%s", setup->path);
	q->keep_ns = setup->keep_ns;
	*ret_sink = (struct ebb_sink){.ops = &sqlite_ops, .data = q};
	return 0;
}

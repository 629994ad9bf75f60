/* SPDX-License-Identifier: Apache-2.0 */
#include "report/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/audit_db.h"
#include "export/audit_query.h"
#include "export/audit_row.h"

#define NS_PER_US 1000

/* Types of which there are many are read apart. */
#define BIT(type) (1U << (type))
#define MANY	  (BIT(EBB_AUDIT_DENIALS) | BIT(EBB_AUDIT_FAILURES) | BIT(EBB_AUDIT_DESTINATION_NEW))
#define ALL	  (BIT(EBB_AUDIT_MAX) - 1)
#define ENDS	  (BIT(EBB_AUDIT_AGENT_START) | BIT(EBB_AUDIT_AGENT_STOP))

/* All of it is in the index audit_log_type: the table is not read. */
#define DENIALS_SQL                                                                         \
	"SELECT timestamp, destination, user_id, amount, at_breaker, would FROM audit_log " \
	"WHERE event_type = 'denials' AND timestamp >= ?1 AND timestamp < ?2"
#define FAILURES_SQL                                                                        \
	"SELECT timestamp, destination, user_id, amount, ok, used, failing FROM audit_log " \
	"WHERE event_type = 'failures' AND timestamp >= ?1 AND timestamp < ?2"
#define NEW_SQL                                                                                       \
	"SELECT timestamp, destination, user_id FROM audit_log WHERE event_type = 'destination_new' " \
	"AND timestamp >= ?1 AND timestamp < ?2 ORDER BY timestamp"
#define BEGIN_SQL  "SELECT min(timestamp) FROM audit_log"
#define BEFORE_SQL "SELECT max(timestamp) FROM audit_log WHERE timestamp < ?1"

struct reading {
	struct ebb_report *report;
	struct ebb_sqlite *s; /* NULL: files */
	sqlite3_stmt *before;
	int64_t previous_us; /* files: the event before */
};

static int out_of_memory(int r, struct ebb_why *why)
{
	return r < 0 ? ebb_why(why, r, "out of memory: ask for a shorter time") : 0;
}

/* ------------------------------------------------------------------ database -- */

static const char *text(const struct ebb_sqlite *s, sqlite3_stmt *row, int column)
{
	const unsigned char *value = s->f.column_text(row, column);

	return value ? (const char *)value : "";
}

static uint64_t number(const struct ebb_sqlite *s, sqlite3_stmt *row, int column)
{
	sqlite3_int64 value = s->f.column_int64(row, column);

	return value > 0 ? (uint64_t)value : 0;
}

static int add_denials(struct ebb_report *report, const struct ebb_sqlite *s, sqlite3_stmt *row)
{
	const struct ebb_report_counted counted = {
		.us = s->f.column_int64(row, 0),
		.destination = text(s, row, 1),
		.user = text(s, row, 2),
		.sums = {.denied = number(s, row, 3),
			 .at_breaker = number(s, row, 4),
			 .would = number(s, row, 5)},
	};

	return ebb_report_counted(report, &counted);
}

static int add_failures(struct ebb_report *report, const struct ebb_sqlite *s, sqlite3_stmt *row)
{
	const struct ebb_report_counted counted = {
		.us = s->f.column_int64(row, 0),
		.destination = text(s, row, 1),
		.user = text(s, row, 2),
		.sums = {.failed = number(s, row, 3), .ok = number(s, row, 4)},
		.used = (uint32_t)number(s, row, 5),
		.failing = (uint32_t)number(s, row, 6),
	};

	return ebb_report_counted(report, &counted);
}

static int add_new(struct ebb_report *report, const struct ebb_sqlite *s, sqlite3_stmt *row)
{
	return ebb_report_first_seen(report, s->f.column_int64(row, 0), text(s, row, 1), text(s, row, 2));
}

/* Hands every row of @sql within [since, until) to @add. */
static int each_row(const struct reading *r, const char *sql, int64_t since_us, int64_t until_us,
		    int (*add)(struct ebb_report *report, const struct ebb_sqlite *s, sqlite3_stmt *row),
		    struct ebb_why *why)
{
	struct ebb_sqlite *s = r->s;
	sqlite3_stmt *rows;
	int n = ebb_sqlite_prepare(s, sql, &rows, why);

	if (n < 0)
		return n;
	(void)s->f.bind_int64(rows, 1, since_us);
	(void)s->f.bind_int64(rows, 2, until_us);
	while ((n = ebb_sqlite_step(s, rows, why)) > 0) {
		n = out_of_memory(add(r->report, s, rows), why);
		if (n < 0)
			break;
	}
	(void)s->f.finalize(rows);
	return n;
}

static int64_t before(struct reading *r, int64_t us)
{
	int64_t found = INT64_MIN;

	if (!r->s)
		return r->previous_us;
	(void)r->s->f.reset(r->before);
	(void)r->s->f.bind_int64(r->before, 1, us);
	if (r->s->f.step(r->before) == SQLITE_ROW && r->s->f.column_type(r->before, 0) != SQLITE_NULL)
		found = r->s->f.column_int64(r->before, 0);
	return found;
}

static int add_event(struct reading *r, const struct ebb_audit_record *record, struct ebb_why *why)
{
	int64_t us = record->event.realtime_ns / NS_PER_US;
	int64_t before_us = record->event.type == EBB_AUDIT_AGENT_START ? before(r, us) : INT64_MIN;

	return out_of_memory(ebb_report_event(r->report, record, before_us), why);
}

static int visit_rare(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why)
{
	return add_event(userdata, record, why);
}

/* Was the agent stopped in order when the period began? Further back than the rest the last start or stop says it. */
static int read_last_end(struct reading *r, const char *path, int64_t until_us, uint64_t *ret_unknown,
			 struct ebb_why *why)
{
	const struct ebb_audit_query query = {.until_ns = until_us * NS_PER_US, .types = ENDS, .limit = 1};

	return ebb_audit_query_sqlite(path, &query, visit_rare, r, ret_unknown, why);
}

static int64_t begin_of(struct ebb_sqlite *s)
{
	sqlite3_int64 begin;

	return ebb_sqlite_number(s, BEGIN_SQL, &begin, NULL) == 0 && begin ? begin : INT64_MAX;
}

static int read_database(struct reading *r, const char *path, int64_t since_us, int64_t until_us,
			 uint64_t *ret_unknown, struct ebb_why *why)
{
	const struct ebb_audit_query query = {.since_ns = (since_us - EBB_REPORT_BEFORE_US) * NS_PER_US,
					      .until_ns = until_us * NS_PER_US,
					      .types = ALL & ~MANY};
	int n = out_of_memory(ebb_report_new(since_us, until_us, begin_of(r->s), &r->report), why);

	if (n == 0)
		n = ebb_sqlite_prepare(r->s, BEFORE_SQL, &r->before, why);
	if (n == 0)
		n = each_row(r, NEW_SQL, 0, until_us, add_new, why);
	if (n == 0)
		n = each_row(r, FAILURES_SQL, since_us, until_us, add_failures, why);
	if (n == 0)
		n = each_row(r, DENIALS_SQL, since_us, until_us, add_denials, why);
	if (n == 0)
		n = read_last_end(r, path, since_us - EBB_REPORT_BEFORE_US, ret_unknown, why);
	if (n == 0)
		n = ebb_audit_query_sqlite(path, &query, visit_rare, r, ret_unknown, why);
	if (r->before)
		(void)r->s->f.finalize(r->before);
	return n;
}

static int finish(struct reading *r, int n, struct ebb_report **ret_report, struct ebb_why *why)
{
	if (n == 0)
		n = out_of_memory(ebb_report_finish(r->report), why);
	if (n < 0) {
		ebb_report_free(r->report);
		return n;
	}
	*ret_report = r->report;
	return 0;
}

int ebb_report_read_sqlite(const char *path, int64_t since_us, int64_t until_us,
			   struct ebb_report **ret_report, uint64_t *ret_unknown, struct ebb_why *why)
{
	struct reading reading = {0};
	int n = ebb_sqlite_open(path, EBB_SQLITE_READ, &reading.s, why);

	if (n < 0)
		return n;
	n = ebb_audit_db_check(reading.s, why);
	if (n == 0)
		n = read_database(&reading, path, since_us, until_us, ret_unknown, why);
	ebb_sqlite_close(reading.s);
	return finish(&reading, n, ret_report, why);
}

/* --------------------------------------------------------------------- files -- */

static uint64_t positive(int64_t count)
{
	return count > 0 ? (uint64_t)count : 0;
}

static int count_line(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	struct ebb_report_counted counted = {.us = us, .user = record->event.user};
	struct ebb_audit_row row;
	int n = ebb_audit_row(record, &row);

	if (n < 0)
		return n;
	counted.destination = row.destination ? row.destination : "";
	if (record->event.type == EBB_AUDIT_FAILURES) {
		counted.sums.failed = positive(row.counts.amount);
		counted.sums.ok = positive(row.counts.ok);
		counted.used = (uint32_t)positive(row.counts.used);
		counted.failing = (uint32_t)positive(row.counts.failing);
	} else {
		counted.sums.denied = positive(row.counts.amount);
		counted.sums.at_breaker = positive(row.counts.at_breaker);
		counted.sums.would = positive(row.counts.would);
	}
	n = ebb_report_counted(report, &counted);
	ebb_audit_row_done(&row);
	return n;
}

struct lines {
	struct reading reading;
	int64_t since_us, until_us;
};

static int visit_line(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why)
{
	struct lines *l = userdata;
	int64_t us = record->event.realtime_ns / NS_PER_US;
	int n = 0;

	if (!l->reading.report)
		n = out_of_memory(ebb_report_new(l->since_us, l->until_us, us, &l->reading.report), why);
	if (n < 0)
		return n;
	if (record->event.type == EBB_AUDIT_DESTINATION_NEW) {
		const char *name = json_string_value(json_object_get(record->event.details, "destination"));

		n = ebb_report_first_seen(l->reading.report, us, name ? name : "", record->event.user);
	} else if (BIT(record->event.type) & MANY) {
		n = us >= l->since_us ? count_line(l->reading.report, record, us) : 0;
	} else if (us >= l->since_us - EBB_REPORT_BEFORE_US || BIT(record->event.type) & ENDS) {
		n = add_event(&l->reading, record, why);
	}
	l->reading.previous_us = us;
	return out_of_memory(n, why);
}

int ebb_report_read_files(const char *path, unsigned int keep, int64_t since_us, int64_t until_us,
			  struct ebb_report **ret_report, uint64_t *ret_unknown, struct ebb_why *why)
{
	const struct ebb_audit_query query = {.until_ns = until_us * NS_PER_US};
	struct lines lines = {.reading = {.previous_us = INT64_MIN},
			      .since_us = since_us,
			      .until_us = until_us};
	int n = ebb_audit_query_files(path, keep, &query, visit_line, &lines, ret_unknown, why);

	if (n == 0 && !lines.reading.report)
		n = out_of_memory(ebb_report_new(since_us, until_us, INT64_MAX, &lines.reading.report), why);
	return finish(&lines.reading, n, ret_report, why);
}

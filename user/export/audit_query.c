/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit_query.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/audit_db.h"
#include "lib/json_whole.h"

#define NS_PER_US   1000
#define CONDITIONS  16
#define SQL_MAX	    2048
#define PATTERN_MAX 1024
#define PLAIN_MAX   (PATTERN_MAX - 16)
#define WILD	    "*?["
#define COLUMNS_SQL \
	"id, timestamp, event_type, user_id, session_id, ip_address, details, outcome, outcome_details"
#define WORKLOAD_SQL "json_extract(details, '$.workload')"

/* ------------------------------------------------------------------ match -- */

/* What may stand in place of what was typed. */
struct patterns {
	char text[4][PATTERN_MAX];
	size_t count;
};

/*
 * A pattern that stands for @text alone: "[[]2001:db8::5]:443/tcp". A bracket is what SQLite's GLOB and fnmatch() have in
 * common; a backslash is a backslash to both.
 */
static void make_plain(const char *text, char plain[PLAIN_MAX])
{
	size_t used = 0;

	for (; *text && used + 4 < PLAIN_MAX; text++) {
		bool wild = strchr(WILD, *text);

		if (wild)
			plain[used++] = '[';
		plain[used++] = *text;
		if (wild)
			plain[used++] = ']';
	}
	plain[used] = '\0';
}

static void add_pattern(struct patterns *p, const char *before, const char *text, const char *after)
{
	(void)snprintf(p->text[p->count++], PATTERN_MAX, "%s%s%s", before, text, after);
}

/* "10.0.0.5:443" is also "10.0.0.5:443/tcp"; and a name of IPv6 looks like a pattern. */
static void destination_patterns(const struct ebb_audit_query *query, struct patterns *p)
{
	char plain[PLAIN_MAX];

	p->count = 0;
	make_plain(query->destination, plain);
	add_pattern(p, "", plain, "");
	add_pattern(p, "", plain, "/tcp");
	add_pattern(p, "", plain, "/udp");
	if (strcmp(plain, query->destination) != 0)
		add_pattern(p, "", query->destination, "");
}

/* "web" is also "/kubepods/web". */
static void workload_patterns(const struct ebb_audit_query *query, struct patterns *p)
{
	char plain[PLAIN_MAX];

	p->count = 0;
	make_plain(query->workload, plain);
	add_pattern(p, "", plain, "");
	add_pattern(p, "*/", plain, "");
	if (strcmp(plain, query->workload) != 0)
		add_pattern(p, "", query->workload, "");
}

static bool fits(const struct patterns *p, const char *text)
{
	for (size_t i = 0; text && i < p->count; i++) {
		if (fnmatch(p->text[i], text, FNM_NOESCAPE) == 0)
			return true;
	}
	return false;
}

static const char *detail(const struct ebb_audit_record *record, const char *name)
{
	return json_string_value(json_object_get(record->event.details, name));
}

bool ebb_audit_query_matches(const struct ebb_audit_query *q, const struct ebb_audit_record *record)
{
	const struct ebb_audit_event *event = &record->event;
	const char *episode;
	struct patterns patterns;

	if (event->realtime_ns < q->since_ns || event->realtime_ns >= q->until_ns)
		return false;
	if (q->types && !(q->types & 1U << event->type))
		return false;
	if (q->user && strcmp(q->user, event->user) != 0)
		return false;
	episode = detail(record, "episode");
	if (q->episode && (!episode || strcmp(q->episode, episode) != 0))
		return false;
	if (q->destination) {
		destination_patterns(q, &patterns);
		if (!fits(&patterns, detail(record, "destination")))
			return false;
	}
	if (q->workload) {
		workload_patterns(q, &patterns);
		if (!fits(&patterns, detail(record, "workload")))
			return false;
	}
	return true;
}

/* -------------------------------------------------------------------- SQL -- */

/* What a statement is made of: its text, and what is bound to ?1, ?2, ... */
struct statement {
	char sql[SQL_MAX];
	size_t used;
	struct {
		const char *text; /* NULL: the number */
		int64_t number;
	} values[CONDITIONS];
	int count;
	struct patterns destination, workload;
};

static void put(struct statement *s, const char *text)
{
	s->used += (size_t)snprintf(s->sql + s->used, sizeof(s->sql) - s->used, "%s", text);
}

/* "before ?N" */
static void put_value(struct statement *s, const char *before, const char *text, int64_t number)
{
	char place[16];

	put(s, before);
	s->values[s->count].text = text;
	s->values[s->count++].number = number;
	(void)snprintf(place, sizeof(place), "?%d", s->count);
	put(s, place);
}

static void put_patterns(struct statement *s, const char *column, const struct patterns *p)
{
	put(s, " AND (");
	for (size_t i = 0; i < p->count; i++) {
		put(s, i ? " OR " : "");
		put(s, column);
		put_value(s, " GLOB ", p->text[i], 0);
	}
	put(s, ")");
}

static void put_types(struct statement *s, uint32_t types)
{
	const char *between = " AND event_type IN (";

	for (unsigned int i = 0; i < EBB_AUDIT_MAX; i++) {
		if (!(types & 1U << i))
			continue;
		put(s, between);
		put(s, "'");
		put(s, ebb_audit_type_name((enum ebb_audit_type)i));
		put(s, "'");
		between = ", ";
	}
	put(s, types ? ")" : "");
}

static int64_t microseconds(int64_t ns)
{
	return ns / NS_PER_US;
}

/* A few new rows are found by their number, and no index is worth while; all rows by an index, and not by their number. */
static void put_from(struct statement *s, const struct ebb_audit_rows *rows)
{
	if (!rows) {
		put(s, " FROM audit_log WHERE ");
		return;
	}
	if (rows->after)
		put_value(s, " FROM audit_log NOT INDEXED WHERE rowid > ", NULL, rows->after);
	else
		put(s, " FROM audit_log WHERE TRUE");
	put_value(s, rows->after ? " AND rowid <= " : " AND +rowid <= ", NULL, rows->upto);
	put(s, " AND ");
}

/* The newest are found backwards, and told forwards. */
static void make_statement(const struct ebb_audit_query *q, const struct ebb_audit_rows *rows,
			   struct statement *s)
{
	put(s, q->limit ? "SELECT * FROM (" : "");
	put(s, "SELECT " COLUMNS_SQL);
	put_from(s, rows);
	put_value(s, "timestamp >= ", NULL, microseconds(q->since_ns));
	put_value(s, " AND timestamp < ", NULL, microseconds(q->until_ns));
	put_types(s, q->types);
	if (q->user)
		put_value(s, " AND user_id = ", q->user, 0);
	if (q->episode)
		put_value(s, " AND episode = ", q->episode, 0);
	if (q->destination) {
		destination_patterns(q, &s->destination);
		put_patterns(s, "destination", &s->destination);
	}
	if (q->workload) {
		workload_patterns(q, &s->workload);
		put_patterns(s, WORKLOAD_SQL, &s->workload);
	}
	if (q->limit) {
		put_value(s, " ORDER BY timestamp DESC, id DESC LIMIT ", NULL,
			  q->limit < INT64_MAX ? (int64_t)q->limit : INT64_MAX);
		put(s, ")");
	}
	put(s, " ORDER BY timestamp, id");
}

static int bind(const struct ebb_sqlite *s, sqlite3_stmt *prepared, const struct statement *statement)
{
	int code = SQLITE_OK;

	for (int i = 0; code == SQLITE_OK && i < statement->count; i++) {
		const char *text = statement->values[i].text;

		code = text ? s->f.bind_text(prepared, i + 1, text, -1, SQLITE_STATIC)
			    : s->f.bind_int64(prepared, i + 1, statement->values[i].number);
	}
	return code;
}

static const char *column(const struct ebb_sqlite *s, sqlite3_stmt *row, int i)
{
	const unsigned char *text = s->f.column_text(row, i);

	return text ? (const char *)text : "";
}

/* False: it is of a version that we do not know. */
static bool take_row(const struct ebb_sqlite *s, sqlite3_stmt *row, struct ebb_audit_record *record)
{
	struct ebb_audit_event *event = &record->event;
	const char *details = column(s, row, 6);

	record->id = column(s, row, 0);
	event->realtime_ns = s->f.column_int64(row, 1) * NS_PER_US;
	event->user = column(s, row, 3);
	event->session = column(s, row, 4);
	event->address = column(s, row, 5);
	event->outcome_details = column(s, row, 8);
	if (ebb_audit_type_of(column(s, row, 2), &event->type) < 0 ||
	    ebb_audit_outcome_of(column(s, row, 7), &event->outcome) < 0)
		return false;
	if (ebb_json_load(details, strlen(details), JSON_REJECT_DUPLICATES, &record->root, NULL) < 0)
		return false;
	event->details = record->root;
	return json_is_object(record->root);
}

static int visit_rows(struct ebb_sqlite *s, sqlite3_stmt *rows, ebb_audit_visit *visit, void *userdata,
		      uint64_t *ret_unknown, struct ebb_why *why)
{
	int r;

	while ((r = ebb_sqlite_step(s, rows, why)) > 0) {
		struct ebb_audit_record record = {0};

		if (take_row(s, rows, &record))
			r = visit(userdata, &record, why);
		else
			++*ret_unknown;
		ebb_audit_record_done(&record);
		if (r < 0)
			break;
	}
	return r;
}

int ebb_audit_newest_row(struct ebb_sqlite *s, int64_t *ret_row, struct ebb_why *why)
{
	sqlite3_int64 row;
	int r = ebb_sqlite_number(s, "SELECT coalesce(max(rowid), 0) FROM audit_log", &row, why);

	if (r == 0)
		*ret_row = row;
	return r;
}

int ebb_audit_query_rows(struct ebb_sqlite *s, const struct ebb_audit_query *query,
			 const struct ebb_audit_rows *rows, ebb_audit_visit *visit, void *userdata,
			 uint64_t *io_unknown, struct ebb_why *why)
{
	struct statement statement = {0};
	sqlite3_stmt *prepared = NULL;
	int r, code;

	make_statement(query, rows, &statement);
	r = ebb_sqlite_prepare(s, statement.sql, &prepared, why);
	if (r < 0)
		return r;
	code = bind(s, prepared, &statement);
	r = code == SQLITE_OK ? visit_rows(s, prepared, visit, userdata, io_unknown, why)
			      : ebb_sqlite_failed(s, code, why);
	(void)s->f.finalize(prepared);
	return r;
}

int ebb_audit_query_sqlite(const char *path, const struct ebb_audit_query *query, ebb_audit_visit *visit,
			   void *userdata, uint64_t *ret_unknown, struct ebb_why *why)
{
	struct ebb_sqlite *s = NULL;
	uint64_t unknown = 0;
	int r = ebb_sqlite_open(path, EBB_SQLITE_READ, &s, why);

	if (r < 0)
		return r;
	r = ebb_audit_db_check(s, why);
	if (r == 0)
		r = ebb_audit_query_rows(s, query, NULL, visit, userdata, &unknown, why);
	ebb_sqlite_close(s);
	if (r == 0)
		*ret_unknown = unknown;
	return r;
}

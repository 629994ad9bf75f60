/* SPDX-License-Identifier: Apache-2.0 */
#include "export/sink_postgres.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/audit_pg.h"
#include "export/audit_row.h"
#include "export/pg_array.h"
#include "export/resolve.h"
#include "lib/clock.h"
#include "lib/log.h"

#define NS_PER_US 1000

#define DEADLINE_NS (3 * EBB_NS_PER_S) /* of a batch: with the look-up, the connection and the answer */

/* Old events are looked for so often, and go in steps, since their locks are held for one. */
#define REMOVE_EVERY_NS (600 * EBB_NS_PER_S)
#define REMOVE_STEP	5000

/*
 * One statement for the whole batch, which is a transaction. It is not prepared beforehand: behind a pool (pgbouncer) the next batch may
 * come to another session.
 */
#define COLUMNS 17
#define INSERT                                                                                           \
	"INSERT INTO audit_log (id, timestamp, event_type, user_id, session_id, ip_address, details, "   \
	"outcome, outcome_details, destination, episode, amount, at_breaker, would, ok, used, failing) " \
	"SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], "       \
	"$6::text[], $7::jsonb[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], "     \
	"$13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[]) "                    \
	"ON CONFLICT (id) DO NOTHING"

/* One of many nodes does it at a time, by the server's clock: one whose own is wrong would remove what all have. */
#define REMOVE                                                                                              \
	"WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(" EBB_AUDIT_PG_LOCK_REMOVE ") AS it) " \
	"DELETE FROM audit_log WHERE ctid = ANY (ARRAY (SELECT a.ctid FROM audit_log a, mine "              \
	"WHERE mine.it AND a.timestamp < now() - $1::interval ORDER BY a.timestamp LIMIT $2::int))"

struct postgres_sink {
	char *host, *database, *user, *password_file; /* NULL: from the environment */
	char port[8];
	uint64_t keep_ns;
	struct ebb_postgres *p;	     /* NULL: not connected */
	struct ebb_resolve *pending; /* the host is looked up */
	bool used;		     /* since the last upkeep */
	uint64_t remove_ns;	     /* when it is due */
	bool told;		     /* that old events are not removed */
	struct ebb_pg_array columns[COLUMNS];
};

/* ---------------------------------------------------------------- connect -- */

static void hang_up(struct postgres_sink *q)
{
	ebb_postgres_close(q->p);
	q->p = NULL;
}

/* A directory, or an abstract socket; several hosts, which the library goes through by itself. */
static bool needs_no_address(const char *host)
{
	return !host || !host[0] || host[0] == '/' || host[0] == '@' || strchr(host, ',');
}

/* The library takes as many hosts as addresses. */
static int repeat(const char *host, int count, char text[EBB_RESOLVE_TEXT_MAX], struct ebb_why *why)
{
	size_t length = strlen(host), used = 0;

	if (count * (length + 1) > EBB_RESOLVE_TEXT_MAX)
		return ebb_why(why, -ENAMETOOLONG, "the name of the host %s is too long", host);
	for (int i = 0; i < count; i++) {
		memcpy(text + used, host, length);
		used += length;
		text[used++] = ',';
	}
	text[used - 1] = '\0';
	return 0;
}

static int find_host(struct postgres_sink *q, uint64_t deadline_ns, char hosts[EBB_RESOLVE_TEXT_MAX],
		     char addresses[EBB_RESOLVE_TEXT_MAX], struct ebb_why *why)
{
	const char *host = q->host ? q->host : getenv("PGHOST");
	uint64_t now = ebb_clock_monotonic();
	int r;

	hosts[0] = addresses[0] = '\0';
	if (needs_no_address(host))
		return host ? repeat(host, 1, hosts, why) : 0;
	r = ebb_resolve(&q->pending, host, deadline_ns > now ? deadline_ns - now : 0, addresses, why);
	return r < 0 ? r : repeat(host, r, hosts, why);
}

static int connect_to(struct postgres_sink *q, uint64_t deadline_ns, struct ebb_why *why)
{
	char hosts[EBB_RESOLVE_TEXT_MAX], addresses[EBB_RESOLVE_TEXT_MAX];
	const struct ebb_postgres_setup setup = {
		.host = hosts,
		.address = addresses,
		.port = q->port,
		.database = q->database,
		.user = q->user,
		.password_file = q->password_file,
	};
	int r;

	if (q->p && ebb_postgres_is_well(q->p))
		return 0;
	hang_up(q);
	r = find_host(q, deadline_ns, hosts, addresses, why);
	r = r == 0 ? ebb_postgres_connect(&setup, deadline_ns, &q->p, why) : r;
	r = r == 0 ? ebb_audit_pg_migrate(q->p, EBB_AUDIT_PG_LATEST, deadline_ns, why) : r;
	if (r < 0)
		hang_up(q);
	return r;
}

/* ------------------------------------------------------------------ write -- */

static void add_row(struct ebb_pg_array *columns, const struct ebb_audit_row *row, const char *timestamp)
{
	const char *const texts[] = {row->id,	       timestamp,    row->type,
				     row->user,	       row->session, row->address,
				     row->details,     row->outcome, row->outcome_details,
				     row->destination, row->episode};
	const struct ebb_audit_counts *c = &row->counts;
	const int64_t counts[] = {c->amount, c->at_breaker, c->would, c->ok, c->used, c->failing};
	const int text_count = sizeof(texts) / sizeof(texts[0]);

	for (int i = 0; i < text_count; i++)
		ebb_pg_array_add(&columns[i], texts[i]);
	for (int i = text_count; i < COLUMNS; i++)
		ebb_pg_array_add_count(&columns[i], counts[i - text_count]);
}

static int gather(struct postgres_sink *q, const struct ebb_sink_batch *batch, const char *values[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++)
		ebb_pg_array_begin(&q->columns[i]);
	for (size_t i = 0; i < batch->count; i++) {
		char timestamp[EBB_AUDIT_TIMESTAMP_MAX];
		struct ebb_audit_row row;
		int r = ebb_audit_row(&batch->records[i], &row);

		if (r < 0)
			return r;
		add_row(q->columns, &row,
			ebb_audit_timestamp(batch->records[i].event.realtime_ns, timestamp));
		ebb_audit_row_done(&row);
	}
	for (int i = 0; i < COLUMNS; i++) {
		values[i] = ebb_pg_array_end(&q->columns[i]);
		if (!values[i])
			return -ENOMEM;
	}
	return 0;
}

static enum ebb_sink_result postgres_write(void *sink, const struct ebb_sink_batch *batch,
					   uint64_t *ret_after_ns, struct ebb_why *why)
{
	uint64_t deadline_ns = ebb_clock_monotonic() + DEADLINE_NS;
	const char *values[COLUMNS];
	struct postgres_sink *q = sink;
	int r = gather(q, batch, values);

	(void)ret_after_ns;
	q->used = true;
	if (r < 0) {
		(void)ebb_why(why, r, "out of memory");
		return EBB_SINK_RETRY;
	}
	r = connect_to(q, deadline_ns, why);
	r = r == 0 ? ebb_postgres_query(q->p, INSERT, COLUMNS, values, deadline_ns, NULL, why) : r;
	if (r == 0)
		return EBB_SINK_DONE;
	if (r == -EINVAL)
		return EBB_SINK_REFUSED;
	/* perhaps the next attempt comes to a server that is better off */
	hang_up(q);
	return r == -EAGAIN || r == -ETIMEDOUT || r == -ENOMEM ? EBB_SINK_RETRY : EBB_SINK_UNUSABLE;
}

/* ----------------------------------------------------------------- upkeep -- */

/* Returns how many went. */
static int remove_some(struct postgres_sink *q, const char *keep, uint64_t deadline_ns, struct ebb_why *why)
{
	char step[16];
	const char *const values[] = {keep, step};
	PGresult *result = NULL;
	int r;

	(void)snprintf(step, sizeof(step), "%d", REMOVE_STEP);
	r = ebb_postgres_query(q->p, REMOVE, 2, values, deadline_ns, &result, why);
	if (r < 0)
		return r;
	r = (int)strtol(q->p->f.cmdTuples(result), NULL, 10);
	q->p->f.clear(result);
	return r;
}

/* What is left after half of the time is for the next upkeep. */
static int remove_old(struct postgres_sink *q, uint64_t deadline_ns, struct ebb_why *why)
{
	char keep[48];
	int r;

	(void)snprintf(keep, sizeof(keep), "%" PRIu64 " seconds", (uint64_t)(q->keep_ns / EBB_NS_PER_S));
	do {
		r = remove_some(q, keep, deadline_ns, why);
	} while (r == REMOVE_STEP && ebb_clock_monotonic() < deadline_ns - DEADLINE_NS / 2);
	if (r != REMOVE_STEP)
		q->remove_ns = ebb_clock_monotonic() + REMOVE_EVERY_NS;
	return r < 0 ? r : 0;
}

static void keep_short(struct postgres_sink *q)
{
	uint64_t deadline_ns = ebb_clock_monotonic() + DEADLINE_NS;
	struct ebb_why why = {0};
	int r;

	/* why there is no connection is said by write() */
	if (connect_to(q, deadline_ns, &why) < 0 || !q->p)
		return;
	r = remove_old(q, deadline_ns, &why);
	if (r < 0)
		hang_up(q);
	if (r < 0 && !q->told)
		ebb_warn("old events are not removed: %s; they stay until they can be", why.text);
	q->told = r < 0;
}

/* A connection that nobody uses is given back: there may be many nodes, and each connection is a process there. */
static void postgres_upkeep(void *sink, int64_t realtime_ns)
{
	struct postgres_sink *q = sink;

	(void)realtime_ns;
	if (!q->used)
		hang_up(q);
	q->used = false;
	if (q->keep_ns && ebb_clock_monotonic() >= q->remove_ns)
		keep_short(q);
}

/* -------------------------------------------------------------- lifecycle -- */

static void postgres_free(void *sink)
{
	struct postgres_sink *q = sink;

	hang_up(q);
	ebb_resolve_free(q->pending);
	for (int i = 0; i < COLUMNS; i++)
		ebb_pg_array_done(&q->columns[i]);
	free(q->host);
	free(q->database);
	free(q->user);
	free(q->password_file);
	free(q);
}

static const struct ebb_sink_ops postgres_ops = {
	.name = "postgres",
	.write = postgres_write,
	.upkeep = postgres_upkeep,
	.free = postgres_free,
};

static int copy(const char *text, char **ret_copy)
{
	if (!text || !text[0])
		return 0;
	*ret_copy = strdup(text);
	return *ret_copy ? 0 : -ENOMEM;
}

int ebb_sink_postgres_new(const struct ebb_sink_postgres_setup *setup, struct ebb_sink *ret_sink)
{
	struct postgres_sink *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	if (copy(setup->host, &q->host) < 0 || copy(setup->database, &q->database) < 0 ||
	    copy(setup->user, &q->user) < 0 || copy(setup->password_file, &q->password_file) < 0) {
		postgres_free(q);
		return -ENOMEM;
	}
	if (setup->port)
		(void)snprintf(q->port, sizeof(q->port), "%" PRIu16, setup->port);
	q->keep_ns = setup->keep_ns;
	*ret_sink = (struct ebb_sink){.ops = &postgres_ops, .data = q};
	return 0;
}

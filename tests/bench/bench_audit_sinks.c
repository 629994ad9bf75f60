/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event costs a sink of the audit log, alone and in a batch of 500, in turns (A B A B):
 *
 *	bench_audit_sinks file=PATH | sqlite=PATH | postgres      (PGHOST, PGDATABASE, ...)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/sink_jsonl.h"
#include "export/sink_postgres.h"
#include "export/sink_sqlite.h"
#include "lib/clock.h"
#include "tests/lib/batch.h"

#define EVENTS 500
#define ROUNDS 10

static int open_sink(const char *text, struct ebb_sink *ret_sink, struct ebb_why *why)
{
	if (strncmp(text, "file=", 5) == 0) {
		const struct ebb_sink_jsonl_setup setup = {.path = text + 5, .max_bytes = 1 << 30, .keep = 1};

		return ebb_sink_jsonl_new(&setup, ret_sink);
	}
	if (strncmp(text, "sqlite=", 7) == 0) {
		const struct ebb_sink_sqlite_setup setup = {.path = text + 7, .keep_ns = EBB_NS_PER_S};

		return ebb_sink_sqlite_new(&setup, ret_sink);
	}
#ifndef EBB_WITHOUT_POSTGRES
	if (strcmp(text, "postgres") == 0) {
		const struct ebb_sink_postgres_setup setup = {0};

		return ebb_sink_postgres_new(&setup, ret_sink);
	}
#endif
	return ebb_why(why, -1, "no such sink: %s", text);
}

static void offer(const struct ebb_sink *sink, const struct batch *batch)
{
	struct ebb_why why = {0};

	if (batch_offer(sink, batch, &why) != EBB_SINK_DONE) {
		(void)fprintf(stderr, "%s\n", why.text);
		exit(1);
	}
}

/* Microseconds an event; @size: of a batch. */
static double measure(const struct ebb_sink *sink, int run, int size)
{
	struct batch *batches[EVENTS];
	uint64_t begin;
	double us;

	for (int i = 0; i < EVENTS; i += size)
		batches[i] = batch_new(run, i, size, ebb_clock_realtime());
	begin = ebb_clock_monotonic();
	for (int i = 0; i < EVENTS; i += size)
		offer(sink, batches[i]);
	us = (double)(ebb_clock_monotonic() - begin) / 1e3 / EVENTS;
	for (int i = 0; i < EVENTS; i += size)
		batch_free(batches[i]);
	return us;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double alone[ROUNDS], batched[ROUNDS];
	struct ebb_why why = {0};
	struct ebb_sink sink;

	if (argc != 2 || open_sink(argv[1], &sink, &why) < 0) {
		(void)fprintf(stderr, "usage: bench_audit_sinks file=PATH|sqlite=PATH|postgres %s\n",
			      why.text);
		return 2;
	}
	/* tables, caches */
	(void)measure(&sink, 9999, EVENTS);
	for (int i = 0; i < ROUNDS; i++) {
		alone[i] = measure(&sink, 2 * i, 1);
		batched[i] = measure(&sink, 2 * i + 1, EVENTS);
	}
	sink.ops->free(sink.data);
	qsort(alone, ROUNDS, sizeof(double), compare);
	qsort(batched, ROUNDS, sizeof(double), compare);
	(void)printf("%s alone us: median %.1f min %.1f; in batches of %d us: median %.1f min %.1f max %.1f\n",
		     sink.ops->name, alone[ROUNDS / 2], alone[0], EVENTS, batched[ROUNDS / 2], batched[0],
		     batched[ROUNDS - 1]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the audit log costs: how late a loop that ticks every 100 ms is with 5,000 events a second and without, in turns
 * (A B A B), at the agent's real-time priority; and what an event costs a sink in batches and alone. On the file
 * system of the directory that is given.
 *
 *	bench_audit DIRECTORY [SECONDS]
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/scheduling.h"
#include "export/audit.h"
#include "export/sink_jsonl.h"
#include "export/sink_sqlite.h"
#include "lib/clock.h"

#define RATE	  5000 /* events a second */
#define TICK_NS	  (EBB_NS_PER_S / 10)
#define STEP_NS	  (EBB_NS_PER_S / 1000) /* events come 5 each millisecond */
#define TURNS	  4
#define BATCH	  500
#define BATCHES	  20
#define ALONE	  1000
#define STEPS_MAX 1000000
#define TICKS_MAX 10000

static int put_event(struct ebb_audit *audit, uint64_t number)
{
	json_t *details =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:I, s:s, s:s}", "destination",
			  "10.0.0.5:443/tcp", "from", "closed", "to", "open", "reason",
			  "consecutive_failures", "ok", (json_int_t)number, "failed", (json_int_t)5, "slow",
			  (json_int_t)0, "run", (json_int_t)5, "last_failure", "refused", "open_for_s", 5.25,
			  "generation", (json_int_t)number, "episode", "0123456789abcdef", "mode", "enforce");
	const struct ebb_audit_event event = {.type = EBB_AUDIT_BREAKER_TRANSITION,
					      .outcome = EBB_AUDIT_DENIED,
					      .realtime_ns = ebb_clock_realtime(),
					      .user = "/kubepods.slice/agent",
					      .session = "0123456789abcdef",
					      .address = "10.0.0.5",
					      .outcome_details = "consecutive_failures",
					      .details = details};
	int r = ebb_audit_put(audit, &event);

	json_decref(details);
	return r;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sleep_until(uint64_t at_ns)
{
	const struct timespec ts = {.tv_sec = (time_t)(at_ns / EBB_NS_PER_S),
				    .tv_nsec = (long)(at_ns % EBB_NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* The loop: each millisecond its share of events, each 100 ms a tick, which does nothing but look how late it is. */
static int turn(struct ebb_audit *audit, unsigned int seconds, uint32_t each_step)
{
	static uint64_t late[TICKS_MAX], puts[STEPS_MAX];
	uint64_t start = ebb_clock_monotonic(), tick_at = start + TICK_NS, put_ns = 0, number = 0;
	uint64_t end = start + seconds * EBB_NS_PER_S;
	size_t ticks = 0, steps = 0;

	for (uint64_t at = start; at < end; at += STEP_NS) {
		uint64_t began, now;

		sleep_until(at);
		began = ebb_clock_monotonic();
		for (uint32_t i = 0; i < each_step; i++) {
			if (put_event(audit, number++) < 0)
				return -ENOBUFS;
		}
		now = ebb_clock_monotonic();
		put_ns += now - began;
		if (steps < STEPS_MAX)
			puts[steps++] = now - began;
		if (now >= tick_at && ticks < TICKS_MAX) {
			late[ticks++] = now - tick_at;
			tick_at += TICK_NS;
		}
	}
	qsort(late, ticks, sizeof(late[0]), compare);
	printf("%5u events/s for %u s: a tick is late by %6.3f ms median, %6.3f ms p99, %6.3f ms at most",
	       each_step * 1000, seconds, (double)late[ticks / 2] / 1e6, (double)late[ticks * 99 / 100] / 1e6,
	       (double)late[ticks - 1] / 1e6);
	qsort(puts, steps, sizeof(puts[0]), compare);
	if (number)
		printf("; %.1f us an event, the %u of a millisecond take %.3f ms p99.9, %.3f ms at most",
		       (double)put_ns / (double)number / 1e3, each_step,
		       (double)puts[steps * 999 / 1000] / 1e6, (double)puts[steps - 1] / 1e6);
	printf("\n");
	return 0;
}

static int late_ticks(const char *dir, unsigned int seconds)
{
	char file[512], spool[512];
	const struct ebb_sink_jsonl_setup jsonl = {.path = file, .max_bytes = 1ULL << 30, .keep = 5};
	struct ebb_audit_setup setup = {.dir = spool,
					.spool_bytes = 64 << 20,
					.queue_bytes = 2 << 20,
					.to = {.deliveries = {ebb_delivery_defaults}, .count = 1}};
	struct ebb_audit_status status;
	struct ebb_audit *audit;
	struct ebb_why why = {0};
	int r = 0;

	(void)snprintf(file, sizeof(file), "%s/audit.jsonl", dir);
	(void)snprintf(spool, sizeof(spool), "%s/audit", dir);
	if (ebb_sink_jsonl_new(&jsonl, &setup.to.sinks[0]) < 0 || ebb_audit_new(&setup, &audit, &why) < 0) {
		(void)fprintf(stderr, "bench_audit: %s\n", why.text);
		return -EIO;
	}
	for (unsigned int i = 0; r == 0 && i < TURNS; i++)
		r = turn(audit, seconds, i % 2 ? RATE / 1000 : 0);
	ebb_audit_status(audit, &status);
	printf("accepted %llu, refused %llu\n", (unsigned long long)status.accepted,
	       (unsigned long long)status.refused);
	ebb_audit_free(audit, 30 * EBB_NS_PER_S);
	return r;
}

/* ---------------------------------------------------------------- batches -- */

struct lines {
	char text[BATCH][1024];
	const char *lines[BATCH];
	size_t lengths[BATCH];
	struct ebb_audit_record records[BATCH];
};

static int make_lines(struct lines *l, uint64_t round)
{
	for (size_t i = 0; i < BATCH; i++) {
		json_t *details =
			json_pack("{s:s, s:I}", "destination", "10.0.0.5:443/tcp", "ok", (json_int_t)i);
		const struct ebb_audit_event event = {.type = EBB_AUDIT_DENIALS,
						      .realtime_ns = ebb_clock_realtime(),
						      .user = "/kubepods.slice/agent",
						      .details = details};
		uint8_t random[10] = {0};
		char id[EBB_AUDIT_ID_MAX];
		int n;

		memcpy(random, &round, sizeof(round));
		random[8] = (uint8_t)(i >> 8);
		random[9] = (uint8_t)i;
		ebb_audit_id(event.realtime_ns, random, id);
		n = ebb_audit_line(&event, id, l->text[i], sizeof(l->text[i]));
		json_decref(details);
		if (n < 0 || ebb_audit_parse(l->text[i], (size_t)n, &l->records[i], NULL) < 0)
			return -EINVAL;
		l->lines[i] = l->text[i];
		l->lengths[i] = (size_t)n;
	}
	return 0;
}

static void forget_lines(struct lines *l)
{
	for (size_t i = 0; i < BATCH; i++)
		ebb_audit_record_done(&l->records[i]);
}

/* Microseconds an event; below 0: it was not written. */
static double write_events(const struct ebb_sink *sink, size_t events, size_t batch_size, uint64_t *io_round)
{
	static struct lines l;
	uint64_t spent = 0;

	for (size_t done = 0; done < events; done += BATCH) {
		if (make_lines(&l, (*io_round)++) < 0)
			return -1;
		for (size_t i = 0; i < BATCH; i += batch_size) {
			const struct ebb_sink_batch batch = {l.lines + i, l.lengths + i, l.records + i,
							     batch_size};
			uint64_t after_ns = 0, began = ebb_clock_monotonic();
			struct ebb_why why = {0};

			if (sink->ops->write(sink->data, &batch, &after_ns, &why) != EBB_SINK_DONE) {
				(void)fprintf(stderr, "bench_audit: %s\n", why.text);
				return -1;
			}
			spent += ebb_clock_monotonic() - began;
		}
		forget_lines(&l);
	}
	return (double)spent / (double)events / 1e3;
}

static int batches(const struct ebb_sink *sink)
{
	uint64_t round = 1;
	double warm = write_events(sink, BATCH, BATCH, &round);

	for (int turn_number = 0; warm >= 0 && turn_number < 2; turn_number++) {
		double alone = write_events(sink, ALONE, 1, &round);
		double together = write_events(sink, BATCH * BATCHES, BATCH, &round);

		if (alone < 0 || together < 0)
			return -EIO;
		printf("%s: %8.2f us an event alone, %6.2f us in batches of %d: %.0f%% cheaper\n",
		       sink->ops->name, alone, together, BATCH, 100 * (1 - together / alone));
	}
	sink->ops->free(sink->data);
	return warm < 0 ? -EIO : 0;
}

static int both_sinks(const char *dir)
{
	char file[512], database[512];
	const struct ebb_sink_jsonl_setup jsonl = {.path = file, .max_bytes = 1ULL << 30, .keep = 5};
	const struct ebb_sink_sqlite_setup sqlite = {.path = database, .keep_ns = 86400 * EBB_NS_PER_S};
	struct ebb_sink sink;
	int r;

	(void)snprintf(file, sizeof(file), "%s/batches.jsonl", dir);
	(void)snprintf(database, sizeof(database), "%s/batches.db", dir);
	r = ebb_sink_jsonl_new(&jsonl, &sink);
	if (r == 0)
		r = batches(&sink);
	if (r == 0)
		r = ebb_sink_sqlite_new(&sqlite, &sink);
	return r < 0 ? r : batches(&sink);
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 30;

	if (argc < 2 || seconds == 0 || seconds * 10 > TICKS_MAX) {
		(void)fprintf(stderr, "usage: bench_audit DIRECTORY [SECONDS]\n");
		return 2;
	}
	/* as the agent that enforces */
	if (ebb_scheduling_raise() < 0)
		printf("no real-time priority: on a busy machine what is late is late for other reasons\n");
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (late_ticks(argv[1], seconds) < 0 || both_sinks(argv[1]) < 0)
		return 1;
	return 0;
}

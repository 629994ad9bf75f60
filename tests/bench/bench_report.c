/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What 'ebb report' costs: over a day with 1,000,000 events, made from a seed and written by the real sink. Against the same sums
 * by the database alone, from its index, which is the least that anybody who asks it in SQL pays.
 *
 *	bench_report [FILE]     FILE is kept, and used again where it is there
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "export/sink_sqlite.h"
#include "export/sqlite.h"
#include "report/read.h"

#define EVENTS	     1000000
#define BATCH	     500
#define ROUNDS	     7
#define DESTINATIONS 2000
#define WORKLOADS    60
#define EACH	     8 /* workloads of a destination: 16,000 pairs, as many as a node has room for */
#define SEED	     20261129
#define START_US     1795824000000000LL /* 2026-11-28T00:00:00Z */
#define DAY_US	     86400000000LL

static uint64_t dice = SEED;

/* 0 to @below - 1 (xorshift64). */
static uint32_t roll(uint32_t below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 32) % below;
}

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Few destinations have most of the trouble. */
static void name_pair(char *buffer, size_t size, char *workload, size_t workload_size)
{
	uint32_t d = roll(DESTINATIONS);

	if (roll(4))
		d = roll(DESTINATIONS / 20);
	(void)snprintf(workload, workload_size, "/kubepods/pod%u", (d * 7 + roll(EACH)) % WORKLOADS);
	if (d % 3)
		(void)snprintf(buffer, size, "10.%u.%u.%u:443/tcp", d / 250, d % 7, d % 250);
	else
		(void)snprintf(buffer, size, "host%u.zone%u.example.com:443", d, d % 9);
}

static json_t *details_of(enum ebb_audit_type type, uint32_t number, const char *destination,
			  const char *workload)
{
	static const char *const states[][2] = {{"closed", "open"},
						{"open", "half_open"},
						{"half_open", "closed"}};
	const char *const *move = states[number % 3];
	char episode[17];

	(void)snprintf(episode, sizeof(episode), "%016x", number / 3);
	switch (type) {
	case EBB_AUDIT_DENIALS:
		return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:i, s:i}, s:{}, s:s}", "destination",
				 destination, "workload", workload, "namespace", "shop", "pod", "web-7d9c",
				 "container", "web", "causes", "breaker", (int)roll(400), "rate",
				 (int)roll(9), "would", "episode", episode);
	case EBB_AUDIT_FAILURES:
		return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:i, s:i}, s:i, s:i, s:i}", "destination",
				 destination, "workload", workload, "namespace", "shop", "pod", "web-7d9c",
				 "container", "web", "outcomes", "refused", (int)roll(9), "timeout", 1, "ok",
				 (int)roll(50), "destinations", (int)(20 + roll(20)), "failing",
				 (int)roll(20));
	case EBB_AUDIT_BREAKER_TRANSITION:
		return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s}", "destination", destination,
				 "workload", workload, "from", move[0], "to", move[1], "reason",
				 "failure_rate", "ok", 3, "failed", 7, "episode", episode);
	default:
		return json_pack("{s:s, s:s}", "destination", destination, "workload", workload);
	}
}

/* Of 1,000 events 600 are denials, 365 failures, 30 transitions, 5 new destinations. */
static enum ebb_audit_type type_of(void)
{
	uint32_t n = roll(1000);

	if (n < 600)
		return EBB_AUDIT_DENIALS;
	if (n < 965)
		return EBB_AUDIT_FAILURES;
	return n < 995 ? EBB_AUDIT_BREAKER_TRANSITION : EBB_AUDIT_DESTINATION_NEW;
}

static int make_event(uint32_t number, struct ebb_audit_record *record, char *line, size_t *ret_length)
{
	char destination[64], workload[64], id[EBB_AUDIT_ID_MAX];
	struct ebb_audit_event event = {.type = type_of(), .session = "9f3c000000000001", .user = workload};
	const uint8_t random[10] = {[6] = (uint8_t)(number >> 24),
				    (uint8_t)(number >> 16),
				    (uint8_t)(number >> 8),
				    (uint8_t)number};
	json_t *details;
	int length;

	name_pair(destination, sizeof(destination), workload, sizeof(workload));
	event.realtime_ns = (START_US + DAY_US / EVENTS * number) * 1000;
	event.details = details = details_of(event.type, number, destination, workload);
	ebb_audit_id(event.realtime_ns, random, id);
	length = ebb_audit_line(&event, id, line, EBB_AUDIT_LINE_MAX);
	json_decref(details);
	if (length < 0)
		return length;
	*ret_length = (size_t)length;
	return ebb_audit_parse(line, (size_t)length, record, NULL);
}

static int write_batch(const struct ebb_sink *sink, uint32_t from)
{
	static char text[BATCH][EBB_AUDIT_LINE_MAX];
	static struct ebb_audit_record records[BATCH];
	const char *lines[BATCH];
	size_t lengths[BATCH];
	const struct ebb_sink_batch batch = {lines, lengths, records, BATCH};
	struct ebb_why why = {0};
	uint64_t after_ns = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < BATCH; i++) {
		lines[i] = text[i];
		r = make_event(from + i, &records[i], text[i], &lengths[i]);
	}
	if (r == 0 && sink->ops->write(sink->data, &batch, &after_ns, &why) != EBB_SINK_DONE)
		r = -1;
	for (uint32_t i = 0; i < BATCH; i++)
		ebb_audit_record_done(&records[i]);
	if (r < 0)
		(void)fprintf(stderr, "cannot write: %s\n", why.text);
	return r;
}

static int make_log(const char *path)
{
	const struct ebb_sink_sqlite_setup setup = {.path = path, .keep_ns = UINT64_MAX / 4};
	double start = now_ms();
	struct ebb_sink sink;
	int r = ebb_sink_sqlite_new(&setup, &sink);

	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < EVENTS; i += BATCH)
		r = write_batch(&sink, i);
	sink.ops->free(sink.data);
	(void)printf("made and written: %.0f events/s\n", EVENTS / ((now_ms() - start) / 1e3));
	return r;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double ms[ROUNDS])
{
	qsort(ms, ROUNDS, sizeof(ms[0]), by_value);
	(void)printf("%-28s median %.0f ms, least %.0f, greatest %.0f\n", what, ms[ROUNDS / 2], ms[0],
		     ms[ROUNDS - 1]);
}

static int report(const char *path)
{
	FILE *nowhere = fopen("/dev/null", "we");
	double ms[ROUNDS];
	int r = nowhere ? 0 : -1;

	for (int i = 0; r == 0 && i < ROUNDS; i++) {
		struct ebb_report *made = NULL;
		struct ebb_why why = {0};
		double start = now_ms();
		uint64_t unknown;

		r = ebb_report_read_sqlite(path, START_US, START_US + DAY_US, &made, &unknown, &why);
		if (r == 0)
			r = ebb_report_text(made, nowhere);
		ebb_report_free(made);
		ms[i] = now_ms() - start;
		if (r < 0)
			(void)fprintf(stderr, "no report: %s\n", why.text);
	}
	if (nowhere)
		(void)fclose(nowhere);
	if (r == 0)
		print("ebb report", ms);
	return r;
}

/* Only the two sums by destination and workload, sorted into groups by the database. */
static int plain_sql(const char *path)
{
	static const char sql[] =
		"SELECT count(*) FROM (SELECT destination, user_id, sum(amount), sum(at_breaker), sum(would), sum(ok) "
		"FROM audit_log WHERE event_type IN ('denials', 'failures') GROUP BY destination, user_id)";
	struct ebb_sqlite *s;
	sqlite3_int64 groups;
	double ms[ROUNDS];
	int r = ebb_sqlite_open(path, EBB_SQLITE_READ, &s, NULL);

	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < ROUNDS; i++) {
		double start = now_ms();

		r = ebb_sqlite_number(s, sql, &groups, NULL);
		ms[i] = now_ms() - start;
	}
	ebb_sqlite_close(s);
	if (r == 0)
		print("the sums alone, in SQL", ms);
	return r;
}

/* And what SQLite keeps beside it. */
static void remove_log(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char file[80];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void)snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		(void)unlink(file);
	}
}

int main(int argc, char **argv)
{
	char path[64] = "/tmp/ebb-bench-report-XXXXXX";
	const char *file = argc > 1 ? argv[1] : path;
	int r = 0, fd;

	if (argc == 1) {
		fd = mkstemp(path);
		if (fd < 0)
			return 1;
		(void)close(fd);
	}
	if (argc == 1 || access(file, F_OK) < 0)
		r = make_log(file);
	if (r == 0)
		r = report(file);
	if (r == 0)
		r = plain_sql(file);
	if (argc == 1)
		remove_log(path);
	return r < 0;
}

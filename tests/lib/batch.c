/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000LL

struct batch {
	const char **lines;
	size_t *lengths;
	struct ebb_audit_record *records;
	size_t count;
};

static void die(const char *what)
{
	(void)fprintf(stderr, "cannot make a batch: %s\n", what);
	exit(1);
}

static struct batch *make(size_t count)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b) {
		b->lines = calloc(count, sizeof(*b->lines));
		b->lengths = calloc(count, sizeof(*b->lengths));
		b->records = calloc(count, sizeof(*b->records));
	}
	if (!b || !b->lines || !b->lengths || !b->records)
		die("out of memory");
	return b;
}

/* The id is made of @run and @number instead of dice. */
static void add(struct batch *b, int run, int number, const struct ebb_audit_event *event)
{
	const uint8_t dice[10] = {0,
				  0,
				  (uint8_t)(run >> 8),
				  (uint8_t)run,
				  0,
				  0,
				  (uint8_t)(number >> 24),
				  (uint8_t)(number >> 16),
				  (uint8_t)(number >> 8),
				  (uint8_t)number};
	char id[EBB_AUDIT_ID_MAX], line[EBB_AUDIT_LINE_MAX];
	struct ebb_why why = {0};
	int length;

	ebb_audit_id(event->realtime_ns, dice, id);
	length = ebb_audit_line(event, id, line, sizeof(line));
	if (length < 0)
		die(ebb_strerror(length));
	b->lines[b->count] = strdup(line);
	b->lengths[b->count] = (size_t)length;
	if (ebb_audit_parse(line, (size_t)length, &b->records[b->count], &why) < 0)
		die(why.text);
	b->count++;
}

struct batch *batch_new(int run, int first, int count, int64_t realtime_ns)
{
	struct batch *b = make((size_t)count);

	for (int i = first; i < first + count; i++) {
		char destination[64], user[64];
		struct ebb_audit_event event = {.type = EBB_AUDIT_DENIALS,
						.outcome = EBB_AUDIT_DENIED,
						.realtime_ns = realtime_ns + i * MS,
						.user = user,
						.session = "0123456789abcdef",
						.address = "10.0.0.5",
						.outcome_details = "breaker"};
		json_t *details;

		(void)snprintf(destination, sizeof(destination), "api-%d.example.com:443/tcp", i % 200);
		(void)snprintf(user, sizeof(user), "namespace-%d/workload-%d", i % 7, i % 50);
		details = json_pack("{s:s, s:s, s:s, s:{s:i, s:i}, s:{s:i}, s:s, s:i, s:i}", "destination",
				    destination, "workload", user, "namespace", "default", "causes",
				    "breaker", i % 100, "rate", 3, "would", "rate", 1, "episode", "", "run",
				    run, "number", i);
		event.details = details;
		add(b, run, i, &event);
		json_decref(details);
	}
	return b;
}

struct batch *batch_of(enum ebb_audit_type type, int64_t realtime_ns, const char *details)
{
	struct batch *b = make(1);
	struct ebb_audit_event event = {.type = type,
					.realtime_ns = realtime_ns,
					.user = "default/agent",
					.address = "10.0.0.5"};
	json_t *object = json_loads(details, 0, NULL);

	if (!object)
		die("the details are no JSON");
	event.details = object;
	add(b, 1000 + (int)type, 0, &event);
	json_decref(object);
	return b;
}

void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		ebb_audit_record_done(&b->records[i]);
		free((void *)(uintptr_t)b->lines[i]);
	}
	free(b->lines);
	free(b->lengths);
	free(b->records);
	free(b);
}

struct ebb_sink_batch batch_view(const struct batch *b)
{
	return (struct ebb_sink_batch){b->lines, b->lengths, b->records, b->count};
}

enum ebb_sink_result batch_offer(const struct ebb_sink *sink, const struct batch *b, struct ebb_why *why)
{
	const struct ebb_sink_batch view = batch_view(b);
	uint64_t after_ns = 0;

	return sink->ops->write(sink->data, &view, &after_ns, why);
}

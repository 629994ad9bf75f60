/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds events to the audit log as the agent does, and tells what becomes of them:
 *
 *	audit_feed DIR RUN COUNT SECONDS SINK...      SINK: file=PATH, sqlite=PATH[,KEEP_S], postgres[=PASSWORD_FILE]
 *
 * The server is found by the environment (PGHOST, ...); FEED_ATTEMPTS: so often a batch is tried, 12 without it; FEED_AHEAD_S: so far
 * the clock is ahead by which PostgreSQL is first asked to remove what is old. Each event has RUN and its number in its details. A line is
 * written whenever something has changed: "spooled N", "NAME delivered N", "NAME dead N", "NAME fails: WHY". Ends with 0 when every
 * sink has taken all, or dead letters have it; with 3 when SECONDS are over.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/audit.h"
#include "export/sink_jsonl.h"
#include "export/sink_postgres.h"
#include "export/sink_sqlite.h"
#include "lib/clock.h"

static int add_sink(struct ebb_audit_sinks *to, char *text, struct ebb_why *why)
{
	char *value = strchr(text, '='), *keep;
	struct ebb_sink *sink = &to->sinks[to->count];

	to->deliveries[to->count++] = (struct ebb_delivery_settings){
		.attempts =
			getenv("FEED_ATTEMPTS") ? (uint32_t)strtoul(getenv("FEED_ATTEMPTS"), NULL, 10) : 12,
		.first_ns = EBB_NS_PER_S / 5,
		.max_ns = 2 * EBB_NS_PER_S,
		.factor = 2,
		.jitter = 0.2,
	};
	if (value)
		*value++ = '\0';
	if (strcmp(text, "file") == 0) {
		const struct ebb_sink_jsonl_setup setup = {.path = value, .max_bytes = 1 << 30, .keep = 1};

		return ebb_sink_jsonl_new(&setup, sink);
	}
	if (strcmp(text, "sqlite") == 0) {
		struct ebb_sink_sqlite_setup setup = {.path = value, .keep_ns = 3600 * EBB_NS_PER_S};

		keep = strchr(value, ',');
		if (keep) {
			*keep++ = '\0';
			setup.keep_ns = strtoull(keep, NULL, 10) * EBB_NS_PER_S;
		}
		return ebb_sink_sqlite_new(&setup, sink);
	}
#ifndef EBB_WITHOUT_POSTGRES
	if (strcmp(text, "postgres") == 0) {
		const struct ebb_sink_postgres_setup setup = {.password_file = value,
							      .keep_ns = 3600 * EBB_NS_PER_S};
		const char *ahead = getenv("FEED_AHEAD_S");
		int r = ebb_sink_postgres_new(&setup, sink);

		if (r == 0 && ahead)
			sink->ops->upkeep(sink->data, ebb_clock_realtime() + strtoll(ahead, NULL, 10) *
										     (int64_t)EBB_NS_PER_S);
		return r;
	}
#endif
	return ebb_why(why, -EINVAL, "no such sink: %s", text);
}

static int put(struct ebb_audit *audit, int run, int number)
{
	json_t *details = json_pack("{s:i, s:i, s:s, s:{s:i}}", "run", run, "number", number, "destination",
				    "a \"quoted\\name\", {and} such", "causes", "breaker", number);
	const struct ebb_audit_event event = {.type = EBB_AUDIT_DENIALS,
					      .outcome = EBB_AUDIT_DENIED,
					      .realtime_ns = ebb_clock_realtime(),
					      .user = "default/agent",
					      .details = details};
	int r = ebb_audit_put(audit, &event);

	json_decref(details);
	return r;
}

static void tell(const struct ebb_audit_status *now, const struct ebb_audit_status *before)
{
	if (now->spooled != before->spooled)
		(void)printf("spooled %" PRIu64 "\n", now->spooled);
	for (size_t i = 0; i < now->sink_count; i++) {
		const struct ebb_audit_sink_status *s = &now->sinks[i], *b = &before->sinks[i];

		if (s->delivered != b->delivered)
			(void)printf("%s delivered %" PRIu64 "\n", s->name, s->delivered);
		if (s->dead != b->dead)
			(void)printf("%s dead %" PRIu64 "\n", s->name, s->dead);
		if (s->failing && (!b->failing || strcmp(s->why, b->why) != 0))
			(void)printf("%s fails: %s\n", s->name, s->why);
	}
}

static bool all_is_there(const struct ebb_audit_status *status, uint64_t count)
{
	bool all = status->spooled == count && status->sink_count > 0;

	for (size_t i = 0; i < status->sink_count; i++)
		all = all && status->sinks[i].waiting == 0;
	return all;
}

static bool feed(struct ebb_audit *audit, int run, int count, uint64_t end_ns)
{
	struct ebb_audit_status status, before = {0};
	int put_count = 0;

	while (ebb_clock_monotonic() < end_ns) {
		if (put_count < count && put(audit, run, put_count) == 0)
			put_count++;
		else
			(void)sched_yield();
		ebb_audit_status(audit, &status);
		tell(&status, &before);
		before = status;
		if (put_count == count && all_is_there(&status, (uint64_t)count))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct ebb_audit_setup setup = {.spool_bytes = 64 << 20, .queue_bytes = 64 << 10};
	struct ebb_audit *audit = NULL;
	struct ebb_why why = {0};
	bool done;
	int r = 0;

	if (argc < 6)
		return 2;
	setup.dir = argv[1];
	for (int i = 5; r == 0 && i < argc && setup.to.count < EBB_SPOOL_READERS_MAX; i++)
		r = add_sink(&setup.to, argv[i], &why);
	r = r == 0 ? ebb_audit_new(&setup, &audit, &why) : r;
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	done = feed(audit, (int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10),
		    ebb_clock_monotonic() + strtoull(argv[4], NULL, 10) * EBB_NS_PER_S);
	ebb_audit_free(audit, EBB_NS_PER_S);
	return done ? 0 : 3;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/outlet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "export/deadletter.h"
#include "lib/clock.h"
#include "lib/log.h"

#define DEAD_BYTES    (64ULL << 20) /* of each sink */
#define DISK_AGAIN_NS EBB_NS_PER_S
#define UPKEEP_NS     (60 * EBB_NS_PER_S)

void ebb_outlet_init(struct ebb_outlet *o, size_t reader, const struct ebb_sink *sink,
		     const struct ebb_delivery_settings *settings)
{
	memset(o, 0, sizeof(*o));
	o->sink = *sink;
	o->reader = reader;
	o->status.name = sink->ops->name;
	ebb_delivery_init(&o->delivery, o->status.name, settings);
}

void ebb_outlet_done(struct ebb_outlet *o)
{
	o->sink.ops->free(o->sink.data);
	memset(o, 0, sizeof(*o));
}

/* ------------------------------------------------------------------ batch -- */

static void forget_batch(struct ebb_outlet_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		ebb_audit_record_done(&b->records[i]);
	b->count = b->passed = b->bytes = 0;
}

/* Lines that are no events (a damaged disk) are left out, and told. Without memory the batch ends early; -ENOMEM: before its first line. */
static int parse_batch(struct ebb_outlet_batch *b, size_t length, size_t most, struct ebb_why *why)
{
	const char *line = b->text, *end = b->text + length, *newline;

	for (; b->count < most && line < end && (newline = memchr(line, '\n', (size_t)(end - line)));
	     line = newline + 1) {
		size_t size = (size_t)(newline - line) + 1;
		int r = ebb_audit_parse(line, size, &b->records[b->count], why);

		if (r == -ENOMEM)
			return b->passed > 0 ? 0 : r;
		b->bytes += size;
		b->passed++;
		if (r < 0) {
			ebb_warn("a line of the spool is left out: %s", why->text);
			continue;
		}
		b->lines[b->count] = line;
		b->lengths[b->count++] = size;
	}
	return 0;
}

/* 0: there is nothing. */
static ssize_t read_batch(struct ebb_outlet *o, struct ebb_shared_spool *spool, struct ebb_outlet_batch *b,
			  struct ebb_why *why)
{
	uint64_t next;
	ssize_t n = ebb_shared_spool_read(spool, o->reader, b->text, EBB_OUTLET_BATCH_BYTES, &next, why);
	int r;

	if (n <= 0)
		return n;
	r = parse_batch(b, (size_t)n, o->alone ? 1 : EBB_OUTLET_BATCH_MAX, why);
	if (r < 0)
		return r;
	b->behind_it = next - ((uint64_t)n - b->bytes);
	return n;
}

static bool pass(struct ebb_outlet *o, struct ebb_shared_spool *spool, const struct ebb_outlet_batch *b)
{
	struct ebb_why why = {0};

	if (o->alone > 0)
		o->alone -= b->count < o->alone ? b->count : o->alone;
	if (ebb_shared_spool_pass(spool, o->reader, b->behind_it, b->passed, &why) < 0)
		ebb_debug("%s: after a crash some events are offered again", why.text);
	return true;
}

/* --------------------------------------------------------------- delivery -- */

static void set_why(struct ebb_outlet *o, const struct ebb_why *why)
{
	(void)snprintf(o->status.why, sizeof(o->status.why), "%.*s", (int)sizeof(o->status.why) - 1,
		       why->text);
}

/* They are kept where a person finds them; without room there, they stay where they are. */
static bool bury(struct ebb_outlet *o, struct ebb_shared_spool *spool, const char *dead_dir,
		 const struct ebb_outlet_batch *b, const char *reason, uint64_t now)
{
	const struct ebb_sink_batch batch = {b->lines, b->lengths, b->records, b->count};
	struct ebb_why why = {0};

	if (ebb_deadletter_add(dead_dir, o->status.name, &batch, reason, ebb_clock_realtime(), DEAD_BYTES,
			       &why) < 0) {
		set_why(o, &why);
		o->waits_ns = now + DISK_AGAIN_NS;
		return false;
	}
	ebb_warn("events became dead letters: sink=%s count=%zu reason=%s; they are in %s", o->status.name,
		 batch.count, reason, dead_dir);
	o->status.dead += batch.count;
	return pass(o, spool, b);
}

static void tell(struct ebb_outlet *o, bool failing, const struct ebb_why *why)
{
	o->status.failing = failing;
	if (failing)
		set_why(o, why);
	if (failing && !o->told)
		ebb_warn("a sink of the audit log does not take events: sink=%s: %s; they wait in the spool",
			 o->status.name, why->text);
	else if (!failing && o->told)
		ebb_info("a sink of the audit log takes events again: sink=%s", o->status.name);
	o->told = failing;
}

/* One attempt; true: go on with this sink at once. */
static bool attempt(struct ebb_outlet *o, struct ebb_shared_spool *spool, const char *dead_dir,
		    const struct ebb_outlet_batch *b)
{
	const struct ebb_sink_batch batch = {b->lines, b->lengths, b->records, b->count};
	struct ebb_why why = {0};
	enum ebb_sink_result result;
	enum ebb_delivery_fate fate;
	uint64_t after_ns = 0, now;

	result = o->sink.ops->write(o->sink.data, &batch, &after_ns, &why);
	now = ebb_clock_monotonic();
	fate = ebb_delivery_end(&o->delivery, result, after_ns, batch.count, now);
	o->status.attempts[result]++;
	tell(o, result == EBB_SINK_RETRY || result == EBB_SINK_UNUSABLE, &why);
	switch (fate) {
	case EBB_DELIVERY_DELIVERED:
		o->status.delivered += batch.count;
		return pass(o, spool, b);
	case EBB_DELIVERY_SPLIT:
		o->alone = batch.count;
		return true;
	case EBB_DELIVERY_DEAD:
		return bury(o, spool, dead_dir, b, why.text, now);
	case EBB_DELIVERY_AGAIN:
		break;
	}
	return false;
}

bool ebb_outlet_deliver(struct ebb_outlet *o, struct ebb_shared_spool *spool, const char *dead_dir,
			struct ebb_outlet_batch *b, uint64_t now)
{
	struct ebb_why why = {0};
	bool more = false;
	ssize_t n;

	if (now < o->waits_ns || now < ebb_delivery_due_ns(&o->delivery))
		return false;
	o->waits_ns = 0;
	n = read_batch(o, spool, b, &why);
	if (n < 0) {
		tell(o, true, &why);
		o->waits_ns = now + DISK_AGAIN_NS;
		return false;
	}
	if (n == 0)
		return false;
	if (b->count == 0)
		more = pass(o, spool, b);
	else if (ebb_delivery_begin(&o->delivery, now))
		more = attempt(o, spool, dead_dir, b);
	forget_batch(b);
	return more;
}

void ebb_outlet_upkeep(struct ebb_outlet *o, uint64_t now)
{
	if (!o->sink.ops->upkeep || now < o->upkeep_ns)
		return;
	o->upkeep_ns = now + UPKEEP_NS;
	o->sink.ops->upkeep(o->sink.data, ebb_clock_realtime());
}

uint64_t ebb_outlet_due_ns(const struct ebb_outlet *o, struct ebb_shared_spool *spool, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	if (ebb_shared_spool_has_more(spool, o->reader)) {
		due = ebb_delivery_due_ns(&o->delivery);
		/* a breaker that lets nobody through just now */
		due = due > now ? due : now + EBB_NS_PER_S;
		due = o->waits_ns > due ? o->waits_ns : due;
	}
	return o->sink.ops->upkeep && o->upkeep_ns < due ? o->upkeep_ns : due;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/letters.h"
#include "lib/cleanup.h"

#define BATCH_MAX 500

struct batch {
	char *text; /* BATCH_MAX lines of the greatest length */
	size_t used;
	const char *lines[BATCH_MAX];
	size_t lengths[BATCH_MAX];
	uint64_t positions[BATCH_MAX];
	struct ebb_audit_record records[BATCH_MAX];
	size_t count;
};

struct replaying {
	const struct ebb_sink *sink;
	const char *const *ids;
	size_t id_count;
	struct ebb_letters letters;
	struct batch batch;
	struct ebb_replay result;
};

static bool is_meant(const struct replaying *r, const char *id)
{
	for (size_t i = 0; i < r->id_count; i++) {
		if (strcmp(r->ids[i], id) == 0)
			return true;
	}
	return r->id_count == 0;
}

static void forget_batch(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		ebb_audit_record_done(&b->records[i]);
	b->count = 0;
	b->used = 0;
}

static void add(struct batch *b, struct ebb_letter *letter)
{
	char *line = b->text + b->used;

	memcpy(line, letter->line, letter->length);
	line[letter->length] = '\n';
	b->lines[b->count] = line;
	b->lengths[b->count] = letter->length + 1;
	b->positions[b->count] = letter->position;
	b->records[b->count] = letter->record;
	letter->record = (struct ebb_audit_record){0}; /* is the batch's now */
	b->used += letter->length + 1;
	b->count++;
}

/* 1: there may be more behind it; 0: the end. */
static int read_batch(struct replaying *r, struct ebb_why *why)
{
	int n = 1;

	while (r->batch.count < BATCH_MAX) {
		struct ebb_letter letter;

		n = ebb_letters_next(&r->letters, &letter, why);
		if (n <= 0)
			return n;
		if (is_meant(r, letter.record.id))
			add(&r->batch, &letter);
		ebb_letter_done(&letter);
	}
	return 1;
}

/* [@from, @from + @count) of the batch, at once. */
static enum ebb_sink_result offer(struct replaying *r, size_t from, size_t count)
{
	const struct batch *b = &r->batch;
	const struct ebb_sink_batch batch = {b->lines + from, b->lengths + from, b->records + from, count};
	enum ebb_sink_result result;
	struct ebb_why why = {0};
	uint64_t after_ns = 0;

	result = r->sink->ops->write(r->sink->data, &batch, &after_ns, &why);
	if (result != EBB_SINK_DONE)
		(void)snprintf(r->result.why, sizeof(r->result.why), "%s", why.text);
	return result;
}

static int mark(struct replaying *r, size_t from, size_t count, struct ebb_why *why)
{
	int n = 0;

	for (size_t i = from; n == 0 && i < from + count; i++)
		n = ebb_letters_mark(&r->letters, r->batch.positions[i], why);
	r->result.replayed += count;
	return n;
}

static int offer_alone(struct replaying *r, struct ebb_why *why)
{
	int n = 0;

	for (size_t i = 0; n == 0 && i < r->batch.count; i++) {
		enum ebb_sink_result result = r->result.unreachable ? EBB_SINK_RETRY : offer(r, i, 1);

		if (result == EBB_SINK_DONE) {
			n = mark(r, i, 1, why);
		} else if (result == EBB_SINK_REFUSED) {
			r->result.refused++;
		} else {
			r->result.unreachable = true;
			r->result.left++;
		}
	}
	return n;
}

static int offer_batch(struct replaying *r, struct ebb_why *why)
{
	size_t count = r->batch.count;

	if (count == 0)
		return 0;
	if (r->result.unreachable) {
		r->result.left += count;
		return 0;
	}
	switch (offer(r, 0, count)) {
	case EBB_SINK_DONE:
		return mark(r, 0, count, why);
	case EBB_SINK_REFUSED:
		return offer_alone(r, why);
	default:
		r->result.unreachable = true;
		r->result.left += count;
		return 0;
	}
}

static int replay_all(struct replaying *r, struct ebb_why *why)
{
	int more, n = 0;

	do {
		more = read_batch(r, why);
		if (more >= 0)
			n = offer_batch(r, why);
		forget_batch(&r->batch);
	} while (more > 0 && n == 0);
	r->result.damaged = r->letters.damaged;
	return more < 0 ? more : n;
}

int ebb_replay(const char *dir, const struct ebb_sink *sink, const char *const *ids, size_t id_count,
	       struct ebb_replay *ret_replay, struct ebb_why *why)
{
	_cleanup_free_ struct replaying *r = calloc(1, sizeof(*r));
	_cleanup_free_ char *text = malloc((size_t)BATCH_MAX * (EBB_AUDIT_LINE_MAX + 1));
	_cleanup_close_ int lock = -1;
	int n;

	if (!r || !text)
		return ebb_why(why, -ENOMEM, "out of memory");
	r->sink = sink;
	r->ids = ids;
	r->id_count = id_count;
	r->batch.text = text;
	n = ebb_letters_lock(dir, &lock, why);
	if (n == 0)
		n = ebb_letters_open(dir, sink->ops->name, true, &r->letters, why);
	if (n < 0)
		return n;
	n = replay_all(r, why);
	ebb_letters_close(&r->letters);
	/* what was delivered is marked; that it stays in the file until the next time does no harm */
	if (n == 0 && (r->result.replayed > 0 || r->letters.marked > 0))
		n = ebb_letters_tidy(dir, sink->ops->name, NULL, NULL, why);
	if (n == 0)
		*ret_replay = r->result;
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/span_sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/gzip.h"
#include "export/span_queue.h"
#include "lib/cleanup.h"

#define BATCH_SPANS 512
#define BATCH_BYTES (512U << 10)
#define NEVER	    UINT64_MAX
#define AGAIN_NS    1000000000ULL /* after a batch that there was no memory for */

struct ebb_span_sender {
	uint64_t delay_ns;
	struct ebb_span_queue queue;
	struct ebb_otlp_outbox box; /* the batch */
};

int ebb_span_sender_new(const struct ebb_span_sender_setup *setup, struct ebb_span_sender **ret_sender)
{
	struct ebb_span_sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->delay_ns = setup->settings->delay_ns;
	s->box.send = setup->send;
	s->box.userdata = setup->userdata;
	r = ebb_otlp_outbox_init(&s->box, EBB_OTLP_TRACES, "otlp", setup->settings, setup->version,
				 &setup->delivery);
	if (r == 0)
		r = ebb_span_queue_init(&s->queue, setup->queue_bytes, setup->queue_spans);
	if (r < 0) {
		ebb_span_sender_free(s);
		return r;
	}
	*ret_sender = s;
	return 0;
}

void ebb_span_sender_free(struct ebb_span_sender *sender)
{
	if (!sender)
		return;
	ebb_span_queue_done(&sender->queue);
	ebb_otlp_outbox_done(&sender->box);
	free(sender);
}

void ebb_span_sender_put(struct ebb_span_sender *s, const char *span, size_t length, uint64_t now_ns)
{
	if (ebb_span_queue_put(&s->queue, span, length, now_ns) < 0)
		s->box.results[EBB_SPAN_DROPPED]++;
}

void ebb_span_sender_invalid(struct ebb_span_sender *sender)
{
	sender->box.results[EBB_SPAN_INVALID]++;
}

/* ------------------------------------------------------------------- batch -- */

static ssize_t read_line(void *userdata, char *buffer, size_t size)
{
	struct ebb_line *rest = userdata;
	size_t n = rest->size - rest->used;

	n = n < size ? n : size;
	memcpy(buffer, rest->data + rest->used, n);
	rest->used += n;
	return (ssize_t)n;
}

/* In the place of the body, which is smaller afterwards. 0 or a negative errno. */
static int compress_body(struct ebb_otlp_outbox *box)
{
	struct ebb_line rest = {.data = box->body, .size = box->body_size};
	size_t room = box->body_size + 1024, used = 0;
	_cleanup_free_ char *packed = malloc(room);
	struct ebb_gzip *gzip = NULL;
	ssize_t n = -ENOMEM;

	if (packed && ebb_gzip_new(read_line, &rest, &gzip) == 0) {
		while (used < room && (n = ebb_gzip_next(gzip, packed + used, room - used)) > 0)
			used += (size_t)n;
		ebb_gzip_free(gzip);
	}
	if (n != 0)
		return n < 0 ? (int)n : -E2BIG;
	free(box->body);
	box->body = TAKE_PTR(packed);
	box->body_size = used;
	return 0;
}

/* Without memory they stay where they are. */
static void make_batch(struct ebb_span_sender *s)
{
	struct ebb_otlp_outbox *box = &s->box;
	struct ebb_line line = {.size = box->head_size + BATCH_BYTES};
	const size_t tail = 128;

	line.data = malloc(line.size + tail);
	if (!line.data)
		return;
	ebb_line_put_bytes(&line, box->head, box->head_size);
	box->items = ebb_span_queue_take(&s->queue, BATCH_SPANS, &line);
	line.size += tail;
	(void)ebb_otlp_put_tail(&line);
	box->body = line.data;
	box->body_size = line.used;
	if (box->gzip && compress_body(box) < 0) {
		box->results[EBB_SPAN_DROPPED] += box->items;
		ebb_otlp_outbox_empty(box);
	}
}

static bool batch_is_due(const struct ebb_span_sender *s, bool flush, uint64_t now_ns)
{
	uint64_t oldest = ebb_span_queue_oldest(&s->queue);

	if (oldest == NEVER)
		return false;
	return flush || s->queue.count >= BATCH_SPANS || s->queue.used >= BATCH_BYTES ||
	       now_ns >= oldest + s->delay_ns;
}

uint64_t ebb_span_sender_run(struct ebb_span_sender *s, bool flush, uint64_t now_ns)
{
	uint64_t due;

	if (!s->box.items && batch_is_due(s, flush, now_ns))
		make_batch(s);
	if (s->box.items) {
		due = ebb_otlp_outbox_try(&s->box, now_ns);
		/* one that could not be begun, for the last time */
		return s->box.items ? due : now_ns + 1;
	}
	due = ebb_span_queue_oldest(&s->queue);
	if (due == NEVER)
		return NEVER;
	due += s->delay_ns;
	/* there was no memory for the batch: not again at once, and at once */
	return due > now_ns ? due : now_ns + AGAIN_NS;
}

void ebb_span_sender_answer(struct ebb_span_sender *s, const struct ebb_otlp_answer *answer,
			    uint64_t after_ns, uint64_t now_ns)
{
	(void)ebb_otlp_outbox_answer(&s->box, answer, after_ns, now_ns);
}

/* ------------------------------------------------------------------ status -- */

void ebb_span_sender_status(const struct ebb_span_sender *s, struct ebb_span_sender_status *ret_status)
{
	memcpy(ret_status->spans, s->box.results, sizeof(ret_status->spans));
	memcpy(ret_status->attempts, s->box.attempts, sizeof(ret_status->attempts));
	ret_status->waiting = s->queue.count + s->box.items;
	ret_status->failing = s->box.failing;
	(void)snprintf(ret_status->why, sizeof(ret_status->why), "%s", s->box.why);
}

bool ebb_span_sender_is_idle(const struct ebb_span_sender *s)
{
	return s->queue.count == 0 && s->box.items == 0;
}

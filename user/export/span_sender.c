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

/* Compressed with each call, some 0.5 ms, and how long others have their turn after it. */
#define PACK_BYTES (32U << 10)
#define PAUSE_NS   1000000ULL

/* The body on its way into a smaller one. */
struct packing {
	struct ebb_gzip *gzip;
	struct ebb_line rest; /* of the body */
	size_t end;	      /* no further with this call */
	char *packed;
	size_t room, used;
};

struct ebb_span_sender {
	uint64_t delay_ns;
	struct ebb_span_queue queue;
	struct ebb_otlp_outbox box; /* the batch */
	struct packing packing;	    /* of it; .gzip: it goes on */
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

static void end_packing(struct packing *p)
{
	ebb_gzip_free(p->gzip);
	free(p->packed);
	*p = (struct packing){.gzip = NULL};
}

void ebb_span_sender_free(struct ebb_span_sender *sender)
{
	if (!sender)
		return;
	end_packing(&sender->packing);
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

static ssize_t read_rest(void *userdata, char *buffer, size_t size)
{
	struct packing *p = userdata;
	size_t n = p->end - p->rest.used;

	if (n == 0 && p->end < p->rest.size)
		return -EAGAIN;
	n = n < size ? n : size;
	memcpy(buffer, p->rest.data + p->rest.used, n);
	p->rest.used += n;
	return (ssize_t)n;
}

static int begin_packing(struct packing *p, const struct ebb_otlp_outbox *box)
{
	p->rest = (struct ebb_line){.data = box->body, .size = box->body_size};
	p->room = box->body_size + 1024;
	p->packed = malloc(p->room);
	return p->packed ? ebb_gzip_new(read_rest, p, &p->gzip) : -ENOMEM;
}

/* Goes on with it, @whole or a piece of it. 0: it is there. -EAGAIN: a piece is done. Any other: it cannot be done. */
static int pack(struct packing *p, bool whole)
{
	size_t left = p->rest.size - p->rest.used;
	ssize_t n = 1;

	p->end = whole || left < PACK_BYTES ? p->rest.size : p->rest.used + PACK_BYTES;
	while (n > 0 && p->used < p->room) {
		n = ebb_gzip_next(p->gzip, p->packed + p->used, p->room - p->used);
		p->used += n > 0 ? (size_t)n : 0;
	}
	return n > 0 ? -E2BIG : (int)n;
}

/* In the place of the body, which is smaller afterwards. False: it is not there yet, or has been given up. */
static bool pack_body(struct ebb_span_sender *s, bool whole)
{
	struct ebb_otlp_outbox *box = &s->box;
	int r = pack(&s->packing, whole);

	if (r == -EAGAIN)
		return false;
	if (r == 0) {
		free(box->body);
		box->body = TAKE_PTR(s->packing.packed);
		box->body_size = s->packing.used;
	} else {
		box->results[EBB_SPAN_DROPPED] += box->items;
		ebb_otlp_outbox_empty(box);
	}
	end_packing(&s->packing);
	return r == 0;
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
	if (box->gzip && begin_packing(&s->packing, box) < 0) {
		box->results[EBB_SPAN_DROPPED] += box->items;
		ebb_otlp_outbox_empty(box);
		end_packing(&s->packing);
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
	if (s->packing.gzip && !pack_body(s, flush) && s->box.items)
		return now_ns + PAUSE_NS;
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

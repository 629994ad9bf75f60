/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp_outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"

/* Two texts each; a byte of one that is no UTF-8 becomes three. */
#define HEAD_BYTES (EBB_OTLP_ATTRIBUTES_MAX * (6 * EBB_OTLP_TEXT_MAX + 128) + 1024)

/* The breaker of the collector lets nobody through just now, and does not say until when. */
#define ASK_AGAIN_NS 1000000000ULL

static int make_head(struct ebb_otlp_outbox *box, enum ebb_otlp_signal signal,
		     const struct ebb_otlp_settings *settings, const char *version)
{
	struct ebb_otlp_attribute attributes[EBB_OTLP_ATTRIBUTES_MAX];
	const struct ebb_otlp_resource resource = {attributes, settings->resource_count, version};
	struct ebb_line line = {.size = HEAD_BYTES};
	char *fitting;
	int r;

	for (size_t i = 0; i < settings->resource_count; i++)
		attributes[i] = (struct ebb_otlp_attribute){.key = settings->resource[i].key,
							    .type = EBB_OTLP_STRING,
							    .text = settings->resource[i].value};
	line.data = malloc(HEAD_BYTES);
	if (!line.data)
		return -ENOMEM;
	r = ebb_otlp_put_head(&line, signal, &resource);
	fitting = r < 0 ? NULL : realloc(line.data, line.used);
	box->head = fitting ? fitting : line.data;
	box->head_size = line.used;
	return r;
}

int ebb_otlp_outbox_init(struct ebb_otlp_outbox *box, enum ebb_otlp_signal signal, const char *name,
			 const struct ebb_otlp_settings *settings, const char *version,
			 const struct ebb_delivery_settings *delivery)
{
	box->gzip = settings->gzip;
	ebb_delivery_init(&box->delivery, name, delivery);
	return make_head(box, signal, settings, version);
}

void ebb_otlp_outbox_done(struct ebb_otlp_outbox *box)
{
	ebb_otlp_outbox_empty(box);
	free(TAKE_PTR(box->head));
}

void ebb_otlp_outbox_empty(struct ebb_otlp_outbox *box)
{
	free(TAKE_PTR(box->body));
	box->body_size = 0;
	box->items = 0;
	box->under_way = false;
}

static void begin(struct ebb_otlp_outbox *box, uint64_t now_ns)
{
	static const struct ebb_otlp_answer not_begun = {
		.result = EBB_SINK_RETRY,
		.why = "a request cannot be begun",
	};

	box->under_way = true;
	if (box->send(box->userdata, box->body, box->body_size, box->gzip) < 0)
		(void)ebb_otlp_outbox_answer(box, &not_begun, 0, now_ns);
}

uint64_t ebb_otlp_outbox_try(struct ebb_otlp_outbox *box, uint64_t now_ns)
{
	uint64_t due;

	if (!box->under_way && box->items && ebb_delivery_begin(&box->delivery, now_ns))
		begin(box, now_ns);
	if (box->under_way)
		return UINT64_MAX;
	due = ebb_delivery_due_ns(&box->delivery);
	return due > now_ns ? due : now_ns + ASK_AGAIN_NS;
}

static void count_taken(struct ebb_otlp_outbox *box, uint64_t rejected)
{
	if (rejected > box->items)
		rejected = box->items;
	box->results[EBB_SPAN_REJECTED] += rejected;
	box->results[EBB_SPAN_SENT] += box->items - rejected;
}

enum ebb_delivery_fate ebb_otlp_outbox_answer(struct ebb_otlp_outbox *box,
					      const struct ebb_otlp_answer *answer, uint64_t after_ns,
					      uint64_t now_ns)
{
	enum ebb_delivery_fate fate;

	box->under_way = false;
	box->attempts[answer->result]++;
	box->failing = answer->result != EBB_SINK_DONE || answer->why[0] != 0;
	(void)snprintf(box->why, sizeof(box->why), "%s", answer->why);
	/* a request is one to us: a collector says how much of it it rejects */
	fate = ebb_delivery_end(&box->delivery, answer->result, after_ns, 1, now_ns);
	if (fate == EBB_DELIVERY_AGAIN)
		return fate;
	if (fate == EBB_DELIVERY_DELIVERED)
		count_taken(box, answer->rejected);
	else if (answer->result == EBB_SINK_REFUSED)
		box->results[EBB_SPAN_REFUSED] += box->items;
	else
		box->results[EBB_SPAN_EXPIRED] += box->items;
	ebb_otlp_outbox_empty(box);
	return fate;
}

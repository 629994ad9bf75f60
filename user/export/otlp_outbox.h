/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one request to a collector that is under way, or waits to be tried again, and what became of all before it:
 *
 *	filled -> try -> send -> answer: delivered, again later, or given up -> empty
 *
 * When it is tried again, and that the collector is not asked all the time while it is gone, is export/delivery.h's.
 * What is in a request is its owner's business. Pure: time comes in, the request goes out by a callback.
 */
#ifndef EBB_EXPORT_OTLP_OUTBOX_H
#define EBB_EXPORT_OTLP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/delivery.h"
#include "export/otlp_answer.h"
#include "export/otlp_settings.h"
#include "export/traces.h"

/*
 * Begins to send @body; exactly one answer follows, from the loop and not from here. @body is valid until then. A
 * negative errno: it could not begin, and no answer follows.
 */
typedef int (*ebb_otlp_send)(void *userdata, const char *body, size_t size, bool gzip);

struct ebb_otlp_outbox {
	ebb_otlp_send send;
	void *userdata;
	bool gzip;
	char *head; /* of each request */
	size_t head_size;
	struct ebb_delivery delivery;

	char *body; /* of @items spans or points; 0: there is none to be sent */
	size_t body_size;
	size_t items;
	bool under_way;

	uint64_t results[EBB_SPAN_RESULT_MAX]; /* spans or points */
	uint64_t attempts[EBB_SINK_RESULT_MAX];
	bool failing; /* the last answer was none, or not a good one */
	char why[200];
};

/* @name: whose jitter it is. -ENOMEM. */
int ebb_otlp_outbox_init(struct ebb_otlp_outbox *box, enum ebb_otlp_signal signal, const char *name,
			 const struct ebb_otlp_settings *settings, const char *version,
			 const struct ebb_delivery_settings *delivery);
void ebb_otlp_outbox_done(struct ebb_otlp_outbox *box);

/* The body is thrown away. */
void ebb_otlp_outbox_empty(struct ebb_otlp_outbox *box);

/* Sends what is there if it may be tried. Returns when to call again; UINT64_MAX: not before the answer. */
uint64_t ebb_otlp_outbox_try(struct ebb_otlp_outbox *box, uint64_t now_ns);

/* How it went. @after_ns: what the other side asks to wait, 0: nothing. Whatever is not tried again is counted and thrown away. */
enum ebb_delivery_fate ebb_otlp_outbox_answer(struct ebb_otlp_outbox *box,
					      const struct ebb_otlp_answer *answer, uint64_t after_ns,
					      uint64_t now_ns);

#endif /* EBB_EXPORT_OTLP_OUTBOX_H */

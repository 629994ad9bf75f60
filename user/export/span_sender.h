/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a span to the collector:
 *
 *	put -> queue -> batch -> send -> answer: delivered, again later, or given up
 *	        |         (one under way; the next waits for its end)
 *	        `- full: dropped, and counted
 *
 * A batch goes when it is full, or its oldest span has waited long enough; from there on it is export/otlp_outbox.h's.
 * Pure: time comes in, what is to be sent goes out by a callback, and the answer is handed in whenever it comes.
 */
#ifndef EBB_EXPORT_SPAN_SENDER_H
#define EBB_EXPORT_SPAN_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/otlp_outbox.h"

struct ebb_span_sender_setup {
	const struct ebb_otlp_settings *settings; /* copied where needed */
	const char *version;			  /* of ebb; borrowed */
	struct ebb_delivery_settings delivery;
	size_t queue_bytes, queue_spans;
	ebb_otlp_send send;
	void *userdata;
};

struct ebb_span_sender;

/* -ENOMEM. */
int ebb_span_sender_new(const struct ebb_span_sender_setup *setup, struct ebb_span_sender **ret_sender);
void ebb_span_sender_free(struct ebb_span_sender *sender);

/* A span as export/span.h writes it. */
void ebb_span_sender_put(struct ebb_span_sender *sender, const char *span, size_t length, uint64_t now_ns);

/* One that could not be written: counted. */
void ebb_span_sender_invalid(struct ebb_span_sender *sender);

/*
 * Sends what is due; to compress it takes a few calls. @flush: whatever there is, however few, and at once. Returns when to
 * call again; UINT64_MAX: when something changes.
 */
uint64_t ebb_span_sender_run(struct ebb_span_sender *sender, bool flush, uint64_t now_ns);

/* How the batch under way went. @after_ns: what the other side asks to wait, 0: nothing. */
void ebb_span_sender_answer(struct ebb_span_sender *sender, const struct ebb_otlp_answer *answer,
			    uint64_t after_ns, uint64_t now_ns);

struct ebb_span_sender_status {
	uint64_t spans[EBB_SPAN_RESULT_MAX];
	uint64_t attempts[EBB_SINK_RESULT_MAX];
	size_t waiting; /* spans, those under way too */
	bool failing;	/* the last answer was none, or not a good one */
	char why[200];	/* of that */
};

void ebb_span_sender_status(const struct ebb_span_sender *sender, struct ebb_span_sender_status *ret_status);

/* Nothing waits, and nothing is under way. */
bool ebb_span_sender_is_idle(const struct ebb_span_sender *sender);

#endif /* EBB_EXPORT_SPAN_SENDER_H */

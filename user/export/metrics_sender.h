/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push of metrics to a collector, once in an interval:
 *
 *	due -> look -> body, a slice at a time -> send -> answer: the next body of the look, again later, or given up
 *	 ^                                                              |
 *	 `------------------------- all of it is there, or given up ----'
 *
 * With full tables a push is a second of work and 200 MB of text. So a body is made in slices of a fraction of a
 * millisecond, between which its owner does what else there is, compressed while it is made, and sent before the next one
 * is begun. A look that takes longer than the interval is followed by the next one when that is due, none is made up
 * for: counters are cumulative, so only resolution is lost. Pure: time comes in, what is to be sent goes out by a callback.
 */
#ifndef EBB_EXPORT_METRICS_SENDER_H
#define EBB_EXPORT_METRICS_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/otlp_outbox.h"
#include "export/source.h"

struct ebb_metrics_sender_setup {
	const struct ebb_source *source;	  /* borrowed */
	const struct ebb_otlp_settings *settings; /* copied where needed */
	const char *version;			  /* of ebb; borrowed */
	struct ebb_delivery_settings delivery;
	uint64_t first_ns;	 /* when the first push is due, CLOCK_MONOTONIC */
	struct ebb_hist *worked; /* how long each push kept its owner is counted here; borrowed */
	ebb_otlp_send send;
	void *userdata;
};

struct ebb_metrics_sender;

/* -ENOMEM. */
int ebb_metrics_sender_new(const struct ebb_metrics_sender_setup *setup,
			   struct ebb_metrics_sender **ret_sender);
void ebb_metrics_sender_free(struct ebb_metrics_sender *sender);

/* One more push, the last, when the present one is over: what was counted until now. */
void ebb_metrics_sender_finish(struct ebb_metrics_sender *sender);

/* A slice of what is due. Returns when to call again; UINT64_MAX: not before the answer, or never. */
uint64_t ebb_metrics_sender_run(struct ebb_metrics_sender *sender, uint64_t now_ns);

/* How the body under way went. @after_ns: what the other side asks to wait, 0: nothing. */
void ebb_metrics_sender_answer(struct ebb_metrics_sender *sender, const struct ebb_otlp_answer *answer,
			       uint64_t after_ns, uint64_t now_ns);

struct ebb_metrics_sender_status {
	uint64_t points[EBB_SPAN_RESULT_MAX];
	uint64_t waiting; /* points that wait to be sent, or for an answer */
	bool pushing;	  /* a look is not yet there as a whole, or the last is not begun */
	bool failing;	  /* the last answer was none, or not a good one */
	char why[200];
};

void ebb_metrics_sender_status(const struct ebb_metrics_sender *sender,
			       struct ebb_metrics_sender_status *ret_status);

#endif /* EBB_EXPORT_METRICS_SENDER_H */

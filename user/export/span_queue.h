/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans that wait to be sent, as text, in memory of a fixed size. What finds no room is not taken: the oldest are
 * the ones that say how something began.
 */
#ifndef EBB_EXPORT_SPAN_QUEUE_H
#define EBB_EXPORT_SPAN_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "export/line.h"

struct ebb_span_queue {
	char *bytes; /* a ring: each span behind its length and its time */
	size_t size;
	size_t first, used;
	size_t count, count_max;
};

/* -ENOMEM. */
int ebb_span_queue_init(struct ebb_span_queue *queue, size_t size, size_t count_max);
void ebb_span_queue_done(struct ebb_span_queue *queue);

/* -ENOBUFS: there is no room. */
int ebb_span_queue_put(struct ebb_span_queue *queue, const char *span, size_t length, uint64_t now_ns);

/* When the oldest was put there; UINT64_MAX: there is none. */
uint64_t ebb_span_queue_oldest(const struct ebb_span_queue *queue);

/* Moves up to @most of the oldest to @line, with a comma between them, as long as each fits whole. Returns how many. */
size_t ebb_span_queue_take(struct ebb_span_queue *queue, size_t most, struct ebb_line *line);

#endif /* EBB_EXPORT_SPAN_QUEUE_H */

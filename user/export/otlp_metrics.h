/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of metrics as OTLP has it in JSON (ExportMetricsServiceRequest). What /metrics shows in one answer goes in
 * bodies of a bounded size, one after the other:
 *
 *	head, {"name":...,"sum":{...,"dataPoints":[ point, point, ... ]}}, {"name":...}, ..., tail
 *	head, the same metric again where it went on, ..., tail
 *
 * Names are those of /metrics, the labels are attributes, and the values are read by the same readers and written by the
 * same writer (export/family.h). A counter is a monotonic cumulative sum, a histogram has the buckets of /metrics with the
 * count of each. A writer holds a position and does so much work as it is allowed, and so can be asked for a little with
 * each turn of a loop.
 */
#ifndef EBB_EXPORT_OTLP_METRICS_H
#define EBB_EXPORT_OTLP_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "export/otlp_json.h"
#include "export/source.h"

/* A body ends with the point that makes it so long, or with so many. */
#define EBB_OTLP_METRICS_BYTES	(512U << 10)
#define EBB_OTLP_METRICS_POINTS 4096

struct ebb_otlp_metrics_setup {
	const struct ebb_source *source;
	const char *head; /* of each body, as ebb_otlp_put_head() writes it */
	size_t head_size;
	int64_t realtime_minus_mono; /* by which the start of a counter is told: must not move from one look to the next */
};

struct ebb_otlp_metrics;

/* What is shown is settled before the first body; values are read when they are written. All of @setup is borrowed. -ENOMEM. */
int ebb_otlp_metrics_new(const struct ebb_otlp_metrics_setup *setup, struct ebb_otlp_metrics **ret_writer);
void ebb_otlp_metrics_free(struct ebb_otlp_metrics *writer);

/* Until the next call it looks at about so many slots, items and samples; at first at none. */
void ebb_otlp_metrics_allow(struct ebb_otlp_metrics *writer, size_t work);

/* Begins the next body. 1: it has at least one point. 0: all is written. -EAGAIN: nothing more is allowed. -ENOMEM. */
int ebb_otlp_metrics_begin(struct ebb_otlp_metrics *writer);

/* Fills @buffer with the next bytes of the body and returns their number; 0 at its end, -EAGAIN as above. */
ssize_t ebb_otlp_metrics_next(struct ebb_otlp_metrics *writer, char *buffer, size_t size);

/* Of the present body, so far. */
size_t ebb_otlp_metrics_points(const struct ebb_otlp_metrics *writer);

#endif /* EBB_EXPORT_OTLP_METRICS_H */

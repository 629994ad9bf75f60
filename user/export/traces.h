/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to tell of traces: for metrics. Plain data, filled by the agent. */
#ifndef EBB_EXPORT_TRACES_H
#define EBB_EXPORT_TRACES_H

#include <stdint.h>

/* What became of spans, and of points of metrics (which are never too long). */
enum ebb_span_result {
	EBB_SPAN_SENT,
	EBB_SPAN_DROPPED,  /* the queue was full */
	EBB_SPAN_REJECTED, /* the collector took the batch without them */
	EBB_SPAN_REFUSED,  /* it does not take the batch, and never will */
	EBB_SPAN_EXPIRED,  /* tried often enough, or the agent ended */
	EBB_SPAN_INVALID,  /* too long */
	EBB_SPAN_RESULT_MAX,
};

/* A connection that has a span, for a histogram that its value is in (OpenMetrics calls it an exemplar). */
struct ebb_exemplar {
	uint32_t dst_epoch; /* whose slot it was */
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint64_t value_ns;
	int64_t realtime_ns; /* 0: there is none */
};

struct ebb_traces_facts {
	uint64_t spans[EBB_SPAN_RESULT_MAX]; /* of all collectors since the start */
	uint64_t waiting;		     /* now */
	uint64_t lost;			     /* by the kernel: no room in its ring */
	/* the last of each destination, by slot; NULL: none */
	const struct ebb_exemplar *connects;
	const struct ebb_exemplar *turns;
};

const char *ebb_span_result_name(enum ebb_span_result result);

#endif /* EBB_EXPORT_TRACES_H */

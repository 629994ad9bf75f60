/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans as OTLP has them in JSON (ExportTraceServiceRequest), each written once, when it is made; export/otlp_json.h
 * says what stands around them.
 *
 * It knows nothing of what a span is about; export/span.h does.
 */
#ifndef EBB_EXPORT_OTLP_H
#define EBB_EXPORT_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/otlp_json.h"

struct ebb_otlp_event {
	int64_t realtime_ns;
	const char *name;
	const struct ebb_otlp_attribute *attributes;
	size_t attribute_count;
};

/* Another span that it has to do with. */
struct ebb_otlp_link {
	uint8_t trace_id[EBB_TRACE_ID_BYTES];
	uint8_t span_id[EBB_SPAN_ID_BYTES];
};

enum ebb_otlp_kind {
	EBB_OTLP_INTERNAL = 1,
	EBB_OTLP_CLIENT = 3,
};

struct ebb_otlp_span {
	uint8_t trace_id[EBB_TRACE_ID_BYTES]; /* not all zero */
	uint8_t span_id[EBB_SPAN_ID_BYTES];   /* likewise */
	const char *trace_state;	      /* W3C; NULL: none */
	const char *name;
	enum ebb_otlp_kind kind;
	int64_t start_realtime_ns, end_realtime_ns; /* not before the start */
	const struct ebb_otlp_attribute *attributes;
	size_t attribute_count;
	const struct ebb_otlp_event *events;
	size_t event_count;
	uint32_t dropped_events; /* that it had besides */
	const struct ebb_otlp_link *links;
	size_t link_count;
	bool failed;	     /* status: error; else it is not set */
	const char *message; /* of the status; NULL: none */
};

/* The longest span; one with longer texts in it is refused. */
#define EBB_OTLP_SPAN_MAX 8192

/* Appends to @line. -E2BIG: there is no room, and nothing is appended. */
int ebb_otlp_put_span(struct ebb_line *line, const struct ebb_otlp_span *span);

#endif /* EBB_EXPORT_OTLP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all signals of OTLP have in common in JSON (OpenTelemetry protocol 1.x): identifiers in hex, 64-bit numbers as
 * texts, enumerations as numbers, attributes, and what stands around the spans or metrics of a request:
 *
 *	head: {"resourceSpans":[{"resource":{...},"scopeSpans":[{"scope":{...},"spans":[
 *	span, span, ...
 *	tail: ]}],"schemaUrl":"..."}]}
 */
#ifndef EBB_EXPORT_OTLP_JSON_H
#define EBB_EXPORT_OTLP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/line.h"

#define EBB_TRACE_ID_BYTES 16
#define EBB_SPAN_ID_BYTES  8

enum ebb_otlp_signal {
	EBB_OTLP_TRACES,
	EBB_OTLP_METRICS,
};

enum ebb_otlp_type {
	EBB_OTLP_STRING,
	EBB_OTLP_INT,
	EBB_OTLP_BOOL,
	EBB_OTLP_DOUBLE,
};

/* Everything is borrowed. */
struct ebb_otlp_attribute {
	const char *key;
	enum ebb_otlp_type type;
	union {
		const char *text;
		int64_t number;
		bool flag;
		double real;
	};
};

/* Who sends it: "service.name" and the like, and ourselves. */
struct ebb_otlp_resource {
	const struct ebb_otlp_attribute *attributes;
	size_t attribute_count;
	const char *version; /* of ebb */
};

/* Each appends to @line. -E2BIG: there is no room, and nothing is appended. */
int ebb_otlp_put_head(struct ebb_line *line, enum ebb_otlp_signal signal,
		      const struct ebb_otlp_resource *resource);
int ebb_otlp_put_tail(struct ebb_line *line);

/* A line that is full may have been cut: then what was there @before stays, and it is -E2BIG. */
int ebb_otlp_finish(struct ebb_line *line, size_t before);

/* ,"name":value, with the comma where something stands before it in this object. */
void ebb_otlp_put_text(struct ebb_line *line, const char *name, const char *text);
void ebb_otlp_put_int64(struct ebb_line *line, const char *name, int64_t number);
void ebb_otlp_put_number(struct ebb_line *line, const char *name, uint64_t number);
void ebb_otlp_put_ids(struct ebb_line *line, const uint8_t *trace_id, const uint8_t *span_id);
void ebb_otlp_put_attributes(struct ebb_line *line, const struct ebb_otlp_attribute *attributes,
			     size_t count);

/* One of a list, without a comma. */
void ebb_otlp_put_attribute(struct ebb_line *line, const struct ebb_otlp_attribute *attribute);

#endif /* EBB_EXPORT_OTLP_JSON_H */

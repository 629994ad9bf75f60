/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "export/json.h"

/* The conventions that the names of attributes follow. */
#define SCHEMA_URL "https://opentelemetry.io/schemas/1.27.0"

static void put_hex(struct ebb_line *line, const char *name, const uint8_t *bytes, size_t count)
{
	ebb_json_put_name(line, name);
	ebb_line_put(line, "\"");
	ebb_line_put_hex(line, bytes, count);
	ebb_line_put(line, "\"");
}

void ebb_otlp_put_text(struct ebb_line *line, const char *name, const char *text)
{
	ebb_json_put_name(line, name);
	ebb_json_put_string(line, text);
}

/* 64 bits are a text in the JSON of protobuf. */
void ebb_otlp_put_int64(struct ebb_line *line, const char *name, int64_t number)
{
	ebb_json_put_name(line, name);
	ebb_line_put(line, number < 0 ? "\"-" : "\"");
	ebb_line_put_number(line, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
	ebb_line_put(line, "\"");
}

void ebb_otlp_put_number(struct ebb_line *line, const char *name, uint64_t number)
{
	ebb_json_put_name(line, name);
	ebb_line_put_number(line, number);
}

/* No number of JSON is infinite, or none. */
static void put_double(struct ebb_line *line, double real)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.9g", isfinite(real) ? real : 0);
	ebb_json_put_name(line, "doubleValue");
	ebb_line_put(line, text);
}

void ebb_otlp_put_attribute(struct ebb_line *line, const struct ebb_otlp_attribute *attribute)
{
	ebb_line_put(line, "{");
	ebb_otlp_put_text(line, "key", attribute->key);
	ebb_json_put_name(line, "value");
	ebb_line_put(line, "{");
	switch (attribute->type) {
	case EBB_OTLP_STRING:
		ebb_otlp_put_text(line, "stringValue", attribute->text);
		break;
	case EBB_OTLP_INT:
		ebb_otlp_put_int64(line, "intValue", attribute->number);
		break;
	case EBB_OTLP_BOOL:
		ebb_json_put_name(line, "boolValue");
		ebb_json_put_bool(line, attribute->flag);
		break;
	case EBB_OTLP_DOUBLE:
		put_double(line, attribute->real);
		break;
	}
	ebb_line_put(line, "}}");
}

void ebb_otlp_put_attributes(struct ebb_line *line, const struct ebb_otlp_attribute *attributes, size_t count)
{
	if (count == 0)
		return;
	ebb_json_put_name(line, "attributes");
	for (size_t i = 0; i < count; i++) {
		ebb_line_put(line, i == 0 ? "[" : ",");
		ebb_otlp_put_attribute(line, &attributes[i]);
	}
	ebb_line_put(line, "]");
}

void ebb_otlp_put_ids(struct ebb_line *line, const uint8_t *trace_id, const uint8_t *span_id)
{
	put_hex(line, "traceId", trace_id, EBB_TRACE_ID_BYTES);
	put_hex(line, "spanId", span_id, EBB_SPAN_ID_BYTES);
}

int ebb_otlp_finish(struct ebb_line *line, size_t before)
{
	if (line->used < line->size)
		return 0;
	line->used = before;
	return -E2BIG;
}

int ebb_otlp_put_head(struct ebb_line *line, enum ebb_otlp_signal signal,
		      const struct ebb_otlp_resource *resource)
{
	static const struct {
		const char *resources, *scopes, *items;
	} words[] = {
		[EBB_OTLP_TRACES] = {"resourceSpans", "scopeSpans", "spans"},
		[EBB_OTLP_METRICS] = {"resourceMetrics", "scopeMetrics", "metrics"},
	};
	size_t before = line->used;

	ebb_line_put(line, "{");
	ebb_json_put_name(line, words[signal].resources);
	ebb_line_put(line, "[{\"resource\":{");
	ebb_otlp_put_attributes(line, resource->attributes, resource->attribute_count);
	ebb_line_put(line, "}");
	ebb_json_put_name(line, words[signal].scopes);
	ebb_line_put(line, "[{\"scope\":{");
	ebb_otlp_put_text(line, "name", "ebb");
	ebb_otlp_put_text(line, "version", resource->version);
	ebb_line_put(line, "}");
	ebb_json_put_name(line, words[signal].items);
	ebb_line_put(line, "[");
	return ebb_otlp_finish(line, before);
}

int ebb_otlp_put_tail(struct ebb_line *line)
{
	size_t before = line->used;

	ebb_line_put(line, "]}],\"schemaUrl\":\"" SCHEMA_URL "\"}]}");
	return ebb_otlp_finish(line, before);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp.h"

#include <errno.h>

#include "export/json.h"

/* Of W3C trace context: it is sampled (1), and its id is as good as random (2). */
#define TRACE_FLAGS 3

static void put_events(struct ebb_line *line, const struct ebb_otlp_span *span)
{
	if (span->event_count > 0)
		ebb_json_put_name(line, "events");
	for (size_t i = 0; i < span->event_count; i++) {
		const struct ebb_otlp_event *event = &span->events[i];

		ebb_line_put(line, i == 0 ? "[{" : ",{");
		ebb_otlp_put_int64(line, "timeUnixNano", event->realtime_ns);
		ebb_otlp_put_text(line, "name", event->name);
		ebb_otlp_put_attributes(line, event->attributes, event->attribute_count);
		ebb_line_put(line, "}");
	}
	if (span->event_count > 0)
		ebb_line_put(line, "]");
	if (span->dropped_events > 0)
		ebb_otlp_put_number(line, "droppedEventsCount", span->dropped_events);
}

static void put_links(struct ebb_line *line, const struct ebb_otlp_span *span)
{
	if (span->link_count == 0)
		return;
	ebb_json_put_name(line, "links");
	for (size_t i = 0; i < span->link_count; i++) {
		ebb_line_put(line, i == 0 ? "[{" : ",{");
		ebb_otlp_put_ids(line, span->links[i].trace_id, span->links[i].span_id);
		ebb_otlp_put_number(line, "flags", TRACE_FLAGS);
		ebb_line_put(line, "}");
	}
	ebb_line_put(line, "]");
}

static void put_status(struct ebb_line *line, const struct ebb_otlp_span *span)
{
	if (!span->failed)
		return;
	ebb_json_put_name(line, "status");
	ebb_line_put(line, "{");
	if (span->message)
		ebb_otlp_put_text(line, "message", span->message);
	ebb_otlp_put_number(line, "code", 2);
	ebb_line_put(line, "}");
}

int ebb_otlp_put_span(struct ebb_line *line, const struct ebb_otlp_span *span)
{
	size_t before = line->used;

	ebb_line_put(line, "{");
	ebb_otlp_put_ids(line, span->trace_id, span->span_id);
	if (span->trace_state)
		ebb_otlp_put_text(line, "traceState", span->trace_state);
	ebb_otlp_put_number(line, "flags", TRACE_FLAGS);
	ebb_otlp_put_text(line, "name", span->name);
	ebb_otlp_put_number(line, "kind", span->kind);
	ebb_otlp_put_int64(line, "startTimeUnixNano", span->start_realtime_ns);
	ebb_otlp_put_int64(line, "endTimeUnixNano", span->end_realtime_ns);
	ebb_otlp_put_attributes(line, span->attributes, span->attribute_count);
	put_events(line, span);
	put_links(line, span);
	put_status(line, span);
	ebb_line_put(line, "}");
	return ebb_otlp_finish(line, before);
}

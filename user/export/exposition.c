/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exposition: the table of metrics as text. The writer goes through
 *
 *	families -> items -> samples
 *
 * and makes one line at a time, so that its position is three numbers and a
 * scrape of any size needs the memory of a line.
 */
#include "export/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/family.h"
#include "export/line.h"
#include "lib/cleanup.h"

#define LINE_MAX_BYTES 4096

/* Looked at with each call until it is settled what is shown: some 0.3 ms. */
#define SETTLE_SLOTS 256

_Static_assert(EBB_ITEM_LABELS_MAX + EBB_LABEL_VALUE_MAX < LINE_MAX_BYTES, "a line fits");

struct ebb_metrics_writer {
	enum ebb_metrics_format format;
	struct ebb_items items;
	struct ebb_reading reading; /* of the present item */

	/* the position: what comes next */
	size_t family;
	bool in_family; /* its head is written */
	bool ended;
	uint32_t item;
	size_t sample;

	/* the labels of the present item */
	char labels_data[EBB_ITEM_LABELS_MAX];
	struct ebb_line labels;

	/* the present line, and how much of it was taken */
	char line_data[LINE_MAX_BYTES];
	struct ebb_line line;
	size_t taken;
};

void ebb_reading_begin(struct ebb_reading *r, const struct ebb_source *source)
{
	memset(r, 0, sizeof(*r));
	r->source = source;
	r->now_ns = source->now_ns();
	r->realtime_ns = source->realtime_ns();
	for (size_t i = 0; i < EBB_HIST_SHOWN; i++) {
		/* the last byte stays 0 */
		struct ebb_line bound = {.data = r->bounds[i], .size = EBB_BOUND_MAX - 1};

		ebb_line_put_seconds(&bound, ebb_hist_shown_ns[i]);
	}
	ebb_process_read(&r->process);
	if (source->runs)
		r->runs_count = source->runs(source->runs_userdata, r->runs);
}

int ebb_metrics_writer_new(const struct ebb_source *source, enum ebb_metrics_format format,
			   struct ebb_metrics_writer **ret_writer)
{
	_cleanup_free_ struct ebb_metrics_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->format = format;
	ebb_reading_begin(&w->reading, source);
	w->line = (struct ebb_line){.data = w->line_data, .size = sizeof(w->line_data)};
	w->labels = (struct ebb_line){.data = w->labels_data, .size = sizeof(w->labels_data)};
	r = ebb_items_begin(&w->items, source);
	if (r < 0)
		return r;
	*ret_writer = TAKE_PTR(w);
	return 0;
}

void ebb_metrics_writer_free(struct ebb_metrics_writer *writer)
{
	if (!writer)
		return;
	ebb_items_done(&writer->items);
	free(writer);
}

/* "# WORD name[_total] ": OpenMetrics names the family, Prometheus' text what its samples are called. */
static void put_comment(struct ebb_metrics_writer *w, const struct ebb_family *family, const char *word)
{
	ebb_line_put(&w->line, "# ");
	ebb_line_put(&w->line, word);
	ebb_line_put(&w->line, " ");
	ebb_line_put(&w->line, family->name);
	if (w->format == EBB_METRICS_TEXT)
		ebb_line_put(&w->line, ebb_family_suffix(family));
	ebb_line_put(&w->line, " ");
}

/* Text of HELP: OpenMetrics wants the quotes escaped too. The texts of the table have no other such character. */
static void put_help(struct ebb_metrics_writer *w, const char *help)
{
	for (const char *s = help; *s; s++) {
		if (*s == '"' && w->format == EBB_METRICS_OPENMETRICS)
			ebb_line_put(&w->line, "\\");
		ebb_line_put_bytes(&w->line, s, 1);
	}
}

static void write_head(struct ebb_metrics_writer *w, const struct ebb_family *family)
{
	put_comment(w, family, "HELP");
	put_help(w, family->help);
	ebb_line_put(&w->line, "\n");
	put_comment(w, family, "TYPE");
	ebb_line_put(&w->line, ebb_family_type_name(family->type));
	ebb_line_put(&w->line, "\n");
	if (w->format == EBB_METRICS_OPENMETRICS && family->unit) {
		put_comment(w, family, "UNIT");
		ebb_line_put(&w->line, family->unit);
		ebb_line_put(&w->line, "\n");
	}
}

/* Only OpenMetrics has them. */
static void put_exemplar(struct ebb_metrics_writer *w, const struct ebb_exemplar *exemplar)
{
	if (!exemplar || w->format != EBB_METRICS_OPENMETRICS)
		return;
	ebb_line_put(&w->line, " # {trace_id=\"");
	ebb_line_put_hex(&w->line, exemplar->trace_id, sizeof(exemplar->trace_id));
	ebb_line_put(&w->line, "\",span_id=\"");
	ebb_line_put_hex(&w->line, exemplar->span_id, sizeof(exemplar->span_id));
	ebb_line_put(&w->line, "\"} ");
	ebb_line_put_seconds(&w->line, exemplar->value_ns);
	ebb_line_put(&w->line, " ");
	ebb_line_put_seconds(&w->line, (uint64_t)exemplar->realtime_ns);
}

void ebb_sample_put_value(struct ebb_line *line, const struct ebb_sample *sample)
{
	switch (sample->kind) {
	case EBB_SAMPLE_NUMBER:
		ebb_line_put_number(line, sample->value);
		break;
	case EBB_SAMPLE_SECONDS:
		ebb_line_put_seconds(line, sample->value);
		break;
	case EBB_SAMPLE_PER_HOUR:
		ebb_line_put_per_hour(line, sample->value);
		break;
	case EBB_SAMPLE_RATIO:
		ebb_line_put_seconds(line, sample->value * 1000); /* of 10^9, as nanoseconds are */
		break;
	}
}

static void write_sample(struct ebb_metrics_writer *w, const struct ebb_family *family,
			 const struct ebb_sample *sample)
{
	const char *separator = "{";

	ebb_line_put(&w->line, family->name);
	ebb_line_put(&w->line, ebb_family_suffix(family));
	ebb_line_put(&w->line, sample->suffix);
	if (w->labels.used > 0) {
		ebb_line_put(&w->line, separator);
		ebb_line_put_bytes(&w->line, w->labels.data, w->labels.used);
		separator = ",";
	}
	for (size_t i = 0; i < EBB_SAMPLE_LABELS_MAX && sample->labels[i].key; i++) {
		ebb_line_put(&w->line, separator);
		ebb_line_put_label(&w->line, sample->labels[i].key, sample->labels[i].value);
		separator = ",";
	}
	ebb_line_put(&w->line, *separator == ',' ? "} " : " ");
	ebb_sample_put_value(&w->line, sample);
	put_exemplar(w, sample->exemplar);
	ebb_line_put(&w->line, "\n");
}

/* Goes on to the next item of @family that has samples, and reads it. False: there is none. */
static bool next_item(struct ebb_metrics_writer *w, const struct ebb_family *family)
{
	uint32_t end = ebb_items_end(&w->items, family->walk);

	while (w->item < end) {
		struct ebb_item item;

		if (!ebb_items_at(&w->items, family->walk, w->item++, &item))
			continue;
		w->sample = 0;
		ebb_family_read(family, &w->reading, &item);
		/* most gates have no limits: their labels are not needed */
		if (w->reading.count == 0)
			continue;
		w->labels.used = 0;
		ebb_items_put_labels(&w->items, &item, ebb_line_put_label, &w->labels);
		return true;
	}
	return false;
}

/* Makes the next line. False: there is none. */
static bool next_line(struct ebb_metrics_writer *w)
{
	w->line.used = 0;
	w->taken = 0;
	while (w->family < ebb_family_count) {
		const struct ebb_family *family = &ebb_families[w->family];

		if (!w->in_family) {
			w->in_family = true;
			w->item = 0;
			w->sample = 0;
			w->reading.count = 0;
			write_head(w, family);
			return true;
		}
		if (w->sample < w->reading.count) {
			write_sample(w, family, &w->reading.samples[w->sample++]);
			return true;
		}
		if (!next_item(w, family)) {
			w->in_family = false;
			w->family++;
		}
	}
	if (w->format == EBB_METRICS_OPENMETRICS && !w->ended) {
		w->ended = true;
		ebb_line_put(&w->line, "# EOF\n");
		return true;
	}
	return false;
}

ssize_t ebb_metrics_writer_next(struct ebb_metrics_writer *writer, char *buffer, size_t size)
{
	size_t used = 0, slots = SETTLE_SLOTS;
	int r = ebb_items_settle(&writer->items, &slots);

	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	while (used < size) {
		size_t n;

		if (writer->taken == writer->line.used && !next_line(writer))
			break;
		n = writer->line.used - writer->taken;
		if (n > size - used)
			n = size - used;
		memcpy(buffer + used, writer->line.data + writer->taken, n);
		writer->taken += n;
		used += n;
	}
	return (ssize_t)used;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk is that of the exposition, families -> items -> samples, and what is written stands in one piece of bounded
 * size at a time:
 *
 *	HEAD -> [OPEN a metric] -> point -> point -> ... -> [CLOSE it] -> ... -> TAIL
 */
#include "export/otlp_metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/family.h"
#include "export/json.h"
#include "export/line.h"
#include "lib/cleanup.h"
#include "lib/text.h"

/* Those of an item: what EBB_ITEM_LABELS_MAX has room for, and what JSON has around each. */
#define ATTRIBUTES_BYTES (EBB_ITEM_LABELS_MAX + 16 * 64)

/* The longest is a histogram with an exemplar in each bucket. */
#define PIECE_BYTES (ATTRIBUTES_BYTES + 8192)

#define CUMULATIVE 2

/* To sum up so many pairs of a group costs about as much as to write a point. */
#define MEMBERS_A_WORK 4

enum stage {
	STAGE_HEAD,
	STAGE_POINTS,
	STAGE_ENDED,
};

struct ebb_otlp_metrics {
	struct ebb_otlp_metrics_setup setup;
	struct ebb_items items;
	struct ebb_reading reading; /* of the present item */
	size_t allowed;

	/* the position: what comes next */
	size_t family;
	uint32_t item;
	size_t sample;
	uint64_t start_ns; /* since when the present item counts, CLOCK_MONOTONIC; 0: nobody knows */

	/* the present body */
	enum stage stage;
	const struct ebb_family *open; /* the metric whose points are being written; NULL: none */
	int64_t realtime_ns;	       /* of its points */
	size_t points, bytes;

	/* of the present item */
	char attributes_data[ATTRIBUTES_BYTES];
	struct ebb_line attributes;

	/* what is being taken */
	char piece_data[PIECE_BYTES];
	struct ebb_line piece;
	const char *bytes_left;
	size_t left;
};

int ebb_otlp_metrics_new(const struct ebb_otlp_metrics_setup *setup, struct ebb_otlp_metrics **ret_writer)
{
	_cleanup_free_ struct ebb_otlp_metrics *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->setup = *setup;
	w->stage = STAGE_ENDED;
	w->attributes = (struct ebb_line){.data = w->attributes_data, .size = sizeof(w->attributes_data)};
	w->piece = (struct ebb_line){.data = w->piece_data, .size = sizeof(w->piece_data)};
	ebb_reading_begin(&w->reading, setup->source);
	r = ebb_items_begin(&w->items, setup->source);
	if (r < 0)
		return r;
	*ret_writer = TAKE_PTR(w);
	return 0;
}

void ebb_otlp_metrics_free(struct ebb_otlp_metrics *writer)
{
	if (!writer)
		return;
	ebb_items_done(&writer->items);
	free(writer);
}

void ebb_otlp_metrics_allow(struct ebb_otlp_metrics *writer, size_t work)
{
	writer->allowed = work;
}

size_t ebb_otlp_metrics_points(const struct ebb_otlp_metrics *writer)
{
	return writer->points;
}

/* -------------------------------------------------------------- attributes -- */

static void put_attribute(struct ebb_line *line, const char *key, const char *value)
{
	const struct ebb_otlp_attribute attribute = {.key = key, .type = EBB_OTLP_STRING, .text = value};

	ebb_otlp_put_attribute(line, &attribute);
}

/* Of an item: names from outside, made printable and cut as in a label. */
static void put_label(struct ebb_line *line, const char *key, const char *value)
{
	char printable[EBB_LABEL_VALUE_MAX / 2];

	put_attribute(line, key, ebb_text_escape(value, printable, sizeof(printable)));
}

/* Those of the item, then those of @sample but the bound of a bucket. */
static void put_attributes(struct ebb_otlp_metrics *w, const struct ebb_sample *sample)
{
	const struct ebb_label *label = sample->labels;
	bool labelled = w->open->type != EBB_HISTOGRAM && label->key;

	if (w->attributes.used == 0 && !labelled)
		return;
	ebb_json_put_name(&w->piece, "attributes");
	ebb_line_put(&w->piece, "[");
	ebb_line_put_bytes(&w->piece, w->attributes.data, w->attributes.used);
	for (size_t i = 0; labelled && i < EBB_SAMPLE_LABELS_MAX && label[i].key; i++) {
		if (i > 0 || w->attributes.used > 0)
			ebb_line_put(&w->piece, ",");
		put_attribute(&w->piece, label[i].key, label[i].value);
	}
	ebb_line_put(&w->piece, "]");
}

/* ------------------------------------------------------------------ points -- */

static void put_times(struct ebb_otlp_metrics *w)
{
	if (w->open->type != EBB_GAUGE && w->start_ns)
		ebb_otlp_put_int64(&w->piece, "startTimeUnixNano",
				   (int64_t)w->start_ns + w->setup.realtime_minus_mono);
	ebb_otlp_put_int64(&w->piece, "timeUnixNano", w->realtime_ns);
}

static void put_value(struct ebb_line *line, const struct ebb_sample *sample)
{
	bool whole = sample->kind == EBB_SAMPLE_NUMBER;

	ebb_json_put_name(line, whole ? "asInt" : "asDouble");
	ebb_line_put(line, whole ? "\"" : "");
	ebb_sample_put_value(line, sample);
	ebb_line_put(line, whole ? "\"" : "");
}

static void put_number_point(struct ebb_otlp_metrics *w, const struct ebb_sample *sample)
{
	ebb_line_put(&w->piece, "{");
	put_attributes(w, sample);
	put_times(w);
	put_value(&w->piece, sample);
	ebb_line_put(&w->piece, "}");
}

/* Of each bucket what is in it: /metrics counts the ones below, too. */
static void put_buckets(struct ebb_line *line, const struct ebb_sample *buckets)
{
	uint64_t below = 0;

	ebb_json_put_name(line, "bucketCounts");
	for (size_t i = 0; i <= EBB_HIST_SHOWN; i++) {
		ebb_line_put(line, i == 0 ? "[\"" : ",\"");
		ebb_line_put_number(line, buckets[i].value - below);
		ebb_line_put(line, "\"");
		below = buckets[i].value;
	}
	ebb_line_put(line, "]");
	ebb_json_put_name(line, "explicitBounds");
	for (size_t i = 0; i < EBB_HIST_SHOWN; i++) {
		ebb_line_put(line, i == 0 ? "[" : ",");
		ebb_line_put(line, buckets[i].labels[0].value);
	}
	ebb_line_put(line, "]");
}

static void put_exemplar(struct ebb_line *line, const struct ebb_exemplar *exemplar)
{
	ebb_line_put(line, "{");
	ebb_otlp_put_int64(line, "timeUnixNano", exemplar->realtime_ns);
	ebb_json_put_name(line, "asDouble");
	ebb_line_put_seconds(line, exemplar->value_ns);
	ebb_otlp_put_ids(line, exemplar->trace_id, exemplar->span_id);
	ebb_line_put(line, "}");
}

static void put_exemplars(struct ebb_line *line, const struct ebb_sample *buckets)
{
	const char *separator = "[";

	for (size_t i = 0; i <= EBB_HIST_SHOWN; i++) {
		if (!buckets[i].exemplar)
			continue;
		if (*separator == '[')
			ebb_json_put_name(line, "exemplars");
		ebb_line_put(line, separator);
		put_exemplar(line, buckets[i].exemplar);
		separator = ",";
	}
	if (*separator == ',')
		ebb_line_put(line, "]");
}

/* Its samples are its buckets, +Inf the last of them, the sum and the count (export/metrics.c). */
static void put_histogram_point(struct ebb_otlp_metrics *w, const struct ebb_sample *samples)
{
	const struct ebb_sample *sum = &samples[EBB_HIST_SHOWN + 1], *count = &samples[EBB_HIST_SHOWN + 2];

	ebb_line_put(&w->piece, "{");
	put_attributes(w, samples);
	put_times(w);
	ebb_otlp_put_int64(&w->piece, "count", (int64_t)count->value);
	ebb_json_put_name(&w->piece, "sum");
	ebb_sample_put_value(&w->piece, sum);
	put_buckets(&w->piece, samples);
	put_exemplars(&w->piece, samples);
	ebb_line_put(&w->piece, "}");
}

static void write_point(struct ebb_otlp_metrics *w)
{
	const struct ebb_sample *sample = &w->reading.samples[w->sample];

	if (w->open->type == EBB_HISTOGRAM) {
		put_histogram_point(w, sample);
		w->sample = w->reading.count;
	} else {
		put_number_point(w, sample);
		w->sample++;
	}
	w->points++;
}

/* ----------------------------------------------------------------- metrics -- */

/* By UCUM, as OpenTelemetry wants it: what goes by these names in a metric's own. "": no unit. */
static const char *unit_of(const struct ebb_family *family)
{
	static const char *const units[][2] = {{"seconds", "s"}, {"bytes", "By"}, {"ratio", "1"}};

	for (size_t i = 0; family->unit && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(family->unit, units[i][0]) == 0)
			return units[i][1];
	return "";
}

static void write_open(struct ebb_otlp_metrics *w, const struct ebb_family *family)
{
	static const char *const kinds[] = {
		[EBB_COUNTER] = "sum",
		[EBB_GAUGE] = "gauge",
		[EBB_HISTOGRAM] = "histogram",
	};
	struct ebb_line *line = &w->piece;

	ebb_line_put(line, w->points > 0 ? ",{\"name\":\"" : "{\"name\":\"");
	ebb_line_put(line, family->name);
	ebb_line_put(line, ebb_family_suffix(family));
	ebb_line_put(line, "\"");
	ebb_otlp_put_text(line, "description", family->help);
	if (*unit_of(family))
		ebb_otlp_put_text(line, "unit", unit_of(family));
	ebb_json_put_name(line, kinds[family->type]);
	ebb_line_put(line, "{");
	if (family->type != EBB_GAUGE)
		ebb_otlp_put_number(line, "aggregationTemporality", CUMULATIVE);
	if (family->type == EBB_COUNTER) {
		ebb_json_put_name(line, "isMonotonic");
		ebb_json_put_bool(line, true);
	}
	ebb_json_put_name(line, "dataPoints");
	ebb_line_put(line, "[");
	w->open = family;
}

static void write_close(struct ebb_otlp_metrics *w)
{
	ebb_line_put(&w->piece, "]}}");
	w->open = NULL;
}

/* -------------------------------------------------------------------- walk -- */

/* Since when what @item counts is counted. */
static uint64_t start_of(const struct ebb_otlp_metrics *w, const struct ebb_item *item)
{
	const struct ebb_view *view = w->setup.source->view;

	if (w->reading.older)
		return 0;
	if (item->walk == EBB_WALK_ONCE || item->walk == EBB_WALK_HANDLER || item->walk == EBB_WALK_POD)
		return view->agent->started_ns;
	if (item->items)
		return ebb_groups_since(w->items.groups, item->group);
	/* of ~other it is 0 */
	return item->of_pair ? view->pairs[item->pair].created_ns : view->dsts[item->dst].created_ns;
}

static void read_item(struct ebb_otlp_metrics *w, const struct ebb_family *family,
		      const struct ebb_item *item)
{
	w->sample = 0;
	w->reading.older = false;
	ebb_family_read(family, &w->reading, item);
	if (w->reading.count == 0)
		return;
	w->attributes.used = 0;
	ebb_items_put_labels(&w->items, item, put_label, &w->attributes);
	w->start_ns = start_of(w, item);
}

static bool may_work(struct ebb_otlp_metrics *w)
{
	if (w->allowed == 0)
		return false;
	w->allowed--;
	return true;
}

/* A group is as much work as its members. */
static void count_members(struct ebb_otlp_metrics *w, const struct ebb_item *item)
{
	uint32_t more = item->items ? ebb_groups_count(w->items.groups, item->group) / MEMBERS_A_WORK : 0;

	w->allowed -= more < w->allowed ? more : w->allowed;
}

/* Goes on to the next sample. 1: there it is. 0: there is none. */
static int find_sample(struct ebb_otlp_metrics *w)
{
	while (w->family < ebb_family_count) {
		const struct ebb_family *family = &ebb_families[w->family];
		struct ebb_item item;

		if (!may_work(w))
			return -EAGAIN;
		if (w->sample < w->reading.count)
			return 1;
		if (w->item == ebb_items_end(&w->items, family->walk)) {
			w->family++;
			w->item = 0;
		} else if (ebb_items_at(&w->items, family->walk, w->item++, &item)) {
			read_item(w, family, &item);
			count_members(w, &item);
		}
	}
	return 0;
}

int ebb_otlp_metrics_begin(struct ebb_otlp_metrics *w)
{
	int r = ebb_items_settle(&w->items, &w->allowed);

	if (r == 0)
		return -EAGAIN;
	if (r > 0)
		r = find_sample(w);
	if (r <= 0)
		return r;
	w->stage = STAGE_HEAD;
	w->points = 0;
	w->bytes = 0;
	w->reading.now_ns = w->setup.source->now_ns();
	w->reading.realtime_ns = w->setup.source->realtime_ns();
	w->realtime_ns = w->reading.realtime_ns;
	return 1;
}

/* The next point, and what stands before and behind it. */
static void write_piece(struct ebb_otlp_metrics *w, bool more)
{
	const struct ebb_family *family = &ebb_families[w->family];

	if (w->open && (!more || w->open != family))
		write_close(w);
	if (!more) {
		(void)ebb_otlp_put_tail(&w->piece);
		w->stage = STAGE_ENDED;
		return;
	}
	if (w->open)
		ebb_line_put(&w->piece, ",");
	else
		write_open(w, family);
	write_point(w);
}

/* Makes the next piece. 1, 0 at the end of the body, or -EAGAIN. */
static int next_piece(struct ebb_otlp_metrics *w)
{
	bool full = w->points >= EBB_OTLP_METRICS_POINTS || w->bytes >= EBB_OTLP_METRICS_BYTES;
	int more;

	if (w->stage == STAGE_ENDED)
		return 0;
	if (w->stage == STAGE_HEAD) {
		w->stage = STAGE_POINTS;
		w->bytes_left = w->setup.head;
		w->left = w->setup.head_size;
		return 1;
	}
	more = full ? 0 : find_sample(w);
	if (more < 0)
		return more;
	w->piece.used = 0;
	write_piece(w, more > 0);
	w->bytes_left = w->piece.data;
	w->left = w->piece.used;
	w->bytes += w->left;
	return 1;
}

ssize_t ebb_otlp_metrics_next(struct ebb_otlp_metrics *w, char *buffer, size_t size)
{
	size_t used = 0, n;
	int r = 1;

	while (used < size) {
		if (w->left == 0)
			r = next_piece(w);
		if (r <= 0)
			break;
		n = w->left < size - used ? w->left : size - used;
		memcpy(buffer + used, w->bytes_left, n);
		w->bytes_left += n;
		w->left -= n;
		used += n;
	}
	return used > 0 ? (ssize_t)used : r;
}

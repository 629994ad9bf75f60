/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the table of metrics (metrics.c) and what is made from it: the
 * exposition (exposition.c) and docs/metrics.md (document.c).
 */
#ifndef EBB_EXPORT_FAMILY_H
#define EBB_EXPORT_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hist.h"
#include "export/groups.h"
#include "export/items.h"
#include "export/process.h"
#include "export/source.h"
#include "node/workloads.h"

/* The most samples of one item: a histogram's bounds, +Inf, sum and count. */
#define EBB_SAMPLES_MAX	      24
#define EBB_SAMPLE_LABELS_MAX 3
#define EBB_BOUND_MAX	      24

enum ebb_family_type {
	EBB_COUNTER,
	EBB_GAUGE,
	EBB_HISTOGRAM,
};

/* How the value of a sample is written. */
enum ebb_sample_kind {
	EBB_SAMPLE_NUMBER,
	EBB_SAMPLE_SECONDS,  /* from nanoseconds */
	EBB_SAMPLE_PER_HOUR, /* a rate, shown per second */
	EBB_SAMPLE_RATIO,    /* from millionths */
};

struct ebb_sample {
	const char *suffix;
	enum ebb_sample_kind kind;
	uint64_t value;
	struct ebb_label labels[EBB_SAMPLE_LABELS_MAX]; /* after those of the item; ends with a NULL key */
	const struct ebb_exemplar *exemplar;		/* NULL: none */
};

/* What a scrape reads from, and what it read of one item. */
struct ebb_reading {
	const struct ebb_source *source;
	struct ebb_process process;
	struct ebb_program_runs runs[EBB_LINKS_MAX];
	size_t runs_count;
	uint64_t now_ns;
	int64_t realtime_ns;
	char bounds[EBB_HIST_SHOWN][EBB_BOUND_MAX]; /* in seconds, as text */
	struct ebb_group_sum sum;		    /* of the present item, where it is a group */
	struct ebb_sample samples[EBB_SAMPLES_MAX];
	size_t count;
	bool older; /* what is counted may have begun before the agent, nobody knows when; set by who reads */
};

/* Settles what all items of a scrape have in common: the time, and what is known of the process. */
void ebb_reading_begin(struct ebb_reading *reading, const struct ebb_source *source);

/* As /metrics has it: a decimal number, exact. */
void ebb_sample_put_value(struct ebb_line *line, const struct ebb_sample *sample);

/* The chapters of docs/metrics.md. */
enum ebb_family_group {
	EBB_GROUP_CONNECTIONS,
	EBB_GROUP_TRAFFIC,
	EBB_GROUP_LATENCY,
	EBB_GROUP_TURNS,
	EBB_GROUP_BREAKERS,
	EBB_GROUP_LIMITS,
	EBB_GROUP_AGENT,
	EBB_GROUP_HTTP,
	EBB_GROUP_AUDIT,
	EBB_GROUP_PROCESS,
	EBB_GROUP_MAX,
};

struct ebb_family {
	const char *name; /* without _total */
	enum ebb_family_type type;
	const char *unit; /* as OpenMetrics has it, the end of the name; NULL: none */
	enum ebb_family_group group;
	enum ebb_walk walk;
	const char *labels; /* of its samples, for the document; NULL: none but the item's */
	const char *help;
	void (*read)(struct ebb_reading *reading,
		     const struct ebb_item *item); /* adds the samples of @item */
};

extern const struct ebb_family ebb_families[];
extern const size_t ebb_family_count;

/* The samples of @item, in place of what was read before. */
void ebb_family_read(const struct ebb_family *family, struct ebb_reading *reading,
		     const struct ebb_item *item);

/* What is held against a destination by default: the reasons of ebb_connection_failures_total. */
#define EBB_FAILURES 6
extern const uint32_t ebb_failures[EBB_FAILURES];

static inline const char *ebb_family_suffix(const struct ebb_family *family)
{
	return family->type == EBB_COUNTER ? "_total" : "";
}

/* @result: enum ebb_reload_result, in range. */
const char *ebb_reload_name(uint32_t result);

const char *ebb_family_type_name(enum ebb_family_type type);

#endif /* EBB_EXPORT_FAMILY_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: one table names every family; it makes the exposition (Prometheus
 * text 0.0.4 and OpenMetrics 1.0) and docs/metrics.md. Streamed: a writer holds
 * a position and fills one bounded chunk after the other, so a scrape of any
 * size costs the same memory.
 */
#ifndef EBB_EXPORT_METRICS_H
#define EBB_EXPORT_METRICS_H

#include <stdio.h>
#include <sys/types.h>

#include "export/source.h"

enum ebb_metrics_format {
	EBB_METRICS_TEXT,	 /* text/plain; version=0.0.4 */
	EBB_METRICS_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

struct ebb_metrics_writer;

int ebb_metrics_writer_new(const struct ebb_source *source, enum ebb_metrics_format format,
			   struct ebb_metrics_writer **ret_writer);
void ebb_metrics_writer_free(struct ebb_metrics_writer *writer);

/* Fills @buffer with the next bytes; 0 at the end. */
ssize_t ebb_metrics_writer_next(struct ebb_metrics_writer *writer, char *buffer, size_t size);

/* docs/metrics.md. 0 or a negative errno. */
int ebb_metrics_document(FILE *out);

/*
 * The name of a destination as shown everywhere: "10.0.0.5:443/tcp",
 * "[2001:db8::5]:443/tcp", "~other". Returns @buffer.
 */
#define EBB_DST_NAME_MAX 64
const char *ebb_dst_name(const struct ebb_view *view, uint32_t dst, char *buffer, size_t size);

#endif /* EBB_EXPORT_METRICS_H */

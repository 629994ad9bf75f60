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

#include "export/name.h"
#include "export/source.h"

enum ebb_metrics_format {
	EBB_METRICS_TEXT,	 /* text/plain; version=0.0.4 */
	EBB_METRICS_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

struct ebb_metrics_writer;

/* What is shown is settled before the first line, its values are read when their line is written. -ENOMEM. */
int ebb_metrics_writer_new(const struct ebb_source *source, enum ebb_metrics_format format,
			   struct ebb_metrics_writer **ret_writer);
void ebb_metrics_writer_free(struct ebb_metrics_writer *writer);

/*
 * Fills @buffer with the next bytes and returns their number, 0 at the end, -EAGAIN while
 * it is not yet settled what is shown, which is done a bit with each call; -ENOMEM.
 * The bytes do not depend on how they are asked for, as long as nothing they
 * tell of changes.
 */
ssize_t ebb_metrics_writer_next(struct ebb_metrics_writer *writer, char *buffer, size_t size);

/* docs/metrics.md. 0 or a negative errno. */
int ebb_metrics_document(FILE *out);

#endif /* EBB_EXPORT_METRICS_H */

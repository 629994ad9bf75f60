/* SPDX-License-Identifier: Apache-2.0 */
/* Scrapes of a fake node, and what stands in them. What cannot be had fails the test. */
#ifndef EBB_TESTS_LIB_SCRAPE_H
#define EBB_TESTS_LIB_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "export/metrics.h"

struct fake;

struct ebb_metrics_writer *writer_new(const struct fake *fake, enum ebb_metrics_format format);

/* The whole exposition, asked for in pieces of @chunk bytes; @meddle is called between them. To be freed. */
char *render_with(struct fake *fake, enum ebb_metrics_format format, size_t chunk,
		  void (*meddle)(struct fake *fake));

char *render(struct fake *fake, enum ebb_metrics_format format);

/*
 * The line after @line of a text that ends at @end; @end: there is none. A text of many lines is walked with it: at each
 * strchr() and strstr() AddressSanitizer looks at all of the string, to its end.
 */
const char *next_line(const char *line, const char *end);

/* The line of @series, name and labels, in @text; NULL: there is none. */
const char *line_of(const char *text, const char *series);

bool has(const char *text, const char *series);
double value_of(const char *text, const char *series);

/* Fails if two samples have the same name and labels. */
void assert_no_duplicates(const char *text);

#endif /* EBB_TESTS_LIB_SCRAPE_H */

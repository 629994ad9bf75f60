/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in aligned columns. Cells are escaped (lib/text.h) on their way in, so
 * that no name can steer the terminal.
 */
#ifndef EBB_LIB_TABLE_H
#define EBB_LIB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum ebb_align {
	EBB_ALIGN_LEFT,
	EBB_ALIGN_RIGHT,
};

struct ebb_column {
	const char *title; /* NULL for every column: no heading */
	enum ebb_align align;
	bool optional;	   /* left out when no cell says anything: "", "-", "0" */
	unsigned int rank; /* > 0: may be left out of a narrow terminal, the highest first */
};

#define EBB_TABLE_COLUMNS_MAX 32
#define EBB_TABLE_GAP	      2 /* blanks between columns */

/*
 * How a table is made to fit @width columns of a terminal: of the @count columns, wide @io_widths (0: not
 * shown), those that may be left out become 0, the highest rank first.
 */
void ebb_table_fit(const struct ebb_column *columns, size_t count, size_t width, size_t *io_widths);
/* What columns so wide take together, with the blanks between them. */
size_t ebb_table_width(const size_t *widths, size_t count);

struct ebb_table;

/* @columns is borrowed. -ENOMEM. */
int ebb_table_new(const struct ebb_column *columns, size_t count, struct ebb_table **ret_table);
void ebb_table_free(struct ebb_table *table);

/* The next cell, row after row. Running out of memory is remembered, and told by ebb_table_print(). */
void ebb_table_cell(struct ebb_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Prints all whole rows, each after @indent blanks, two blanks between columns. @width: columns
 * of the terminal, 0 for no limit; what must be shown is shown even where it does not fit. -ENOMEM, -EIO.
 */
int ebb_table_print(const struct ebb_table *table, FILE *out, size_t indent, size_t width);

#endif /* EBB_LIB_TABLE_H */

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

#define CELL_MAX 1024

struct ebb_table {
	const struct ebb_column *columns;
	size_t column_count;
	char **cells;
	size_t used, room;
	int error;
};

int ebb_table_new(const struct ebb_column *columns, size_t count, struct ebb_table **ret_table)
{
	struct ebb_table *table;

	if (count == 0 || count > EBB_TABLE_COLUMNS_MAX)
		return -EINVAL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->columns = columns;
	table->column_count = count;
	*ret_table = table;
	return 0;
}

void ebb_table_free(struct ebb_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->used; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

static int make_room(struct ebb_table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	char **cells;

	if (table->used < table->room)
		return 0;
	cells = reallocarray(table->cells, room, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->room = room;
	return 0;
}

void ebb_table_cell(struct ebb_table *table, const char *format, ...)
{
	char text[CELL_MAX], safe[CELL_MAX];
	va_list list;
	char *cell;

	if (table->error)
		return;
	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);

	cell = strdup(ebb_text_escape(text, safe, sizeof(safe)));
	if (!cell || make_room(table) < 0) {
		free(cell);
		table->error = -ENOMEM;
		return;
	}
	table->cells[table->used++] = cell;
}

/* ----------------------------------------------------------- printing -- */

/* Widths as printed; 0: the column is left out. */
struct layout {
	size_t widths[EBB_TABLE_COLUMNS_MAX];
};

static bool says_something(const char *cell)
{
	return cell[0] && strcmp(cell, "-") != 0 && strcmp(cell, "0") != 0;
}

size_t ebb_table_width(const size_t *widths, size_t count)
{
	size_t total = 0;

	for (size_t c = 0; c < count; c++)
		total += widths[c] ? widths[c] + (total ? EBB_TABLE_GAP : 0) : 0;
	return total;
}

static void measure(const struct ebb_table *table, size_t rows, struct layout *ret_layout)
{
	for (size_t c = 0; c < table->column_count; c++) {
		const struct ebb_column *column = &table->columns[c];
		size_t width = column->title ? ebb_text_columns(column->title) : 0;
		bool said = false;

		for (size_t r = 0; r < rows; r++) {
			const char *cell = table->cells[r * table->column_count + c];
			size_t columns = ebb_text_columns(cell);

			said = said || says_something(cell);
			width = columns > width ? columns : width;
		}
		ret_layout->widths[c] = column->optional && !said ? 0 : width;
	}
}

void ebb_table_fit(const struct ebb_column *columns, size_t count, size_t width, size_t *io_widths)
{
	while (ebb_table_width(io_widths, count) > width) {
		size_t victim = count;
		unsigned int rank = 0;

		for (size_t c = 0; c < count; c++) {
			if (io_widths[c] && columns[c].rank > rank) {
				rank = columns[c].rank;
				victim = c;
			}
		}
		if (victim == count)
			return;
		io_widths[victim] = 0;
	}
}

static void put_blanks(FILE *out, size_t count)
{
	(void)fprintf(out, "%*s", (int)count, "");
}

/* @cells: a row, or NULL for the heading. No blanks at the end of a line. */
static void put_row(const struct ebb_table *table, const struct layout *layout, char *const *cells, FILE *out,
		    size_t indent)
{
	size_t blanks = indent;

	for (size_t c = 0; c < table->column_count; c++) {
		const struct ebb_column *column = &table->columns[c];
		const char *text = cells ? cells[c] : column->title ? column->title : "";
		size_t padding;

		if (layout->widths[c] == 0)
			continue;
		padding = layout->widths[c] - ebb_text_columns(text);
		if (text[0]) {
			put_blanks(out, blanks + (column->align == EBB_ALIGN_RIGHT ? padding : 0));
			(void)fputs(text, out);
			blanks = column->align == EBB_ALIGN_RIGHT ? 0 : padding;
		} else {
			blanks += padding;
		}
		blanks += EBB_TABLE_GAP;
	}
	(void)fputc('\n', out);
}

int ebb_table_print(const struct ebb_table *table, FILE *out, size_t indent, size_t width)
{
	size_t rows = table->used / table->column_count;
	struct layout layout = {};
	bool titles = false;

	if (table->error)
		return table->error;
	errno = 0;
	measure(table, rows, &layout);
	if (width > 0)
		ebb_table_fit(table->columns, table->column_count, width > indent ? width - indent : 1,
			      layout.widths);
	for (size_t c = 0; c < table->column_count; c++)
		titles = titles || table->columns[c].title;
	if (titles)
		put_row(table, &layout, NULL, out, indent);
	for (size_t r = 0; r < rows; r++)
		put_row(table, &layout, table->cells + r * table->column_count, out, indent);
	if (!ferror(out))
		return 0;
	/* of this table or of what was written before it */
	return errno ? -errno : -EIO;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	ebb top  NODE                        agent running, pid 42     14:03:59
 *	destinations ...                                                    header
 *	breakers ...
 *	now ...
 *
 *	 DESTINATION          STATE  ...                                   heading
 *	 10.0.0.5:443/tcp     open   ...                                      rows
 *
 *	 q quit  ...                                        footer, or what is typed
 *
 * A low terminal has less header, a narrow one fewer columns.
 */
#include "cli/top_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/by_hand.h"
#include "tell/fuse.h"
#include "cli/render.h"
#include "core/fuse.h"
#include "core/policy.h"
#include "lib/text.h"
#include "lib/units.h"

#define TEXT_MAX     1024
#define HEADER_LINES 4
#define NAME_LEAST   20 /* columns of a name or a workload, before others are left out */
#define NAME_STUMP   8	/* what is left of it where nothing else can be left out */
#define NAME_MOST    40 /* what it asks for before they are */
#define FULL_HEIGHT  14 /* lines from which there is the whole header */
#define HEADER_WIDTH 110

/* ---------------------------------------------------------------- frame -- */

static const struct ebb_top_cell blank = {' ', 0, EBB_TOP_PLAIN};

int ebb_top_frame_resize(struct ebb_top_frame *frame, size_t width, size_t height)
{
	struct ebb_top_cell *cells = reallocarray(frame->cells, width * height + 1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	frame->cells = cells;
	frame->width = width;
	frame->height = height;
	for (size_t i = 0; i < width * height; i++)
		cells[i] = blank;
	return 0;
}

void ebb_top_frame_done(struct ebb_top_frame *frame)
{
	free(frame->cells);
	*frame = (struct ebb_top_frame){};
}

/* A place on the screen, and how far a text may go from there. */
struct pen {
	struct ebb_top_frame *frame;
	size_t y, x, end; /* column behind the last */
	bool ascii;
};

static struct pen pen_at(struct ebb_top_frame *frame, const struct ebb_top_state *state, size_t y, size_t x,
			 size_t end)
{
	return (struct pen){frame, y, x, end < frame->width ? end : frame->width, state->ascii};
}

static struct ebb_top_cell *cell_at(const struct pen *pen, size_t x)
{
	return &pen->frame->cells[pen->y * pen->frame->width + x];
}

static void put_char(struct pen *pen, uint32_t c, uint32_t style)
{
	unsigned int columns = ebb_text_char_columns(c);

	if (pen->y >= pen->frame->height)
		return;
	if (columns == 0) {
		if (pen->x > 0 && pen->x <= pen->end && cell_at(pen, pen->x - 1)->c != 0)
			cell_at(pen, pen->x - 1)->mark = c;
		return;
	}
	if (pen->x + columns > pen->end)
		return;
	*cell_at(pen, pen->x) = (struct ebb_top_cell){c, 0, style};
	if (columns == 2)
		*cell_at(pen, pen->x + 1) = (struct ebb_top_cell){0, 0, style};
	pen->x += columns;
}

/* What fits of @text; where it does not, the last column says so. */
static void put(struct pen *pen, uint32_t style, const char *text)
{
	bool cut = pen->x + ebb_text_columns(text) > pen->end;
	size_t end = pen->end;
	size_t length;
	uint32_t c;

	if (cut && pen->end > pen->x)
		pen->end--;
	while ((length = ebb_text_next(text, &c)) > 0) {
		unsigned int columns = ebb_text_char_columns(c);

		if (cut && pen->x + columns > pen->end)
			break;
		put_char(pen, pen->ascii && c >= 0x7f ? '?' : c, style);
		text += length;
	}
	pen->end = end;
	if (cut)
		put_char(pen, pen->ascii ? '>' : 0x2026, style); /* an ellipsis */
}

static void putf(struct pen *pen, uint32_t style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void putf(struct pen *pen, uint32_t style, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	put(pen, style, text);
}

/* The whole rest of the line, in @style. */
static void fill(struct pen *pen, uint32_t style)
{
	while (pen->x < pen->end && pen->y < pen->frame->height)
		put_char(pen, ' ', style);
}

/* The end of a text, where its beginning tells less: "…/pod7/app". */
static void put_end(struct pen *pen, uint32_t style, const char *text)
{
	size_t room = pen->end - pen->x, columns = ebb_text_columns(text);
	uint32_t c;

	if (columns > room && room > 0) {
		put_char(pen, pen->ascii ? '<' : 0x2026, style);
		room--;
		while (columns > room) {
			text += ebb_text_next(text, &c);
			columns -= ebb_text_char_columns(c);
		}
	}
	put(pen, style, text);
}

/* --------------------------------------------------------------- header -- */

static void put_agent(struct pen *pen, const struct ebb_top_data *data)
{
	const struct ebb_agent *agent = &data->agent;
	uint64_t age = ebb_age(data->look.now_ns, agent->heartbeat_ns);
	enum ebb_agent_state state = ebb_agent_state(agent, data->look.now_ns);
	char text[EBB_FORMAT_MAX], over[EBB_FORMAT_MAX];

	put(pen, EBB_TOP_DIM, "agent ");
	switch (state) {
	case EBB_AGENT_RUNNING:
		putf(pen, EBB_TOP_GOOD, "%s", ebb_agent_state_name(state));
		putf(pen, EBB_TOP_PLAIN, ", pid %u, lease %s", agent->pid,
		     ebb_format_duration(agent->lease_ns, text, sizeof(text)));
		break;
	case EBB_AGENT_SILENT:
		putf(pen, EBB_TOP_WARN, "%s for %s", ebb_agent_state_name(state),
		     ebb_format_duration(age, text, sizeof(text)));
		putf(pen, EBB_TOP_PLAIN, ", its lease holds for %s",
		     ebb_format_duration(agent->lease_ns - age, over, sizeof(over)));
		break;
	case EBB_AGENT_DEAD:
		putf(pen, EBB_TOP_BAD, "%s", ebb_agent_state_name(state));
		putf(pen, EBB_TOP_PLAIN, ", its lease is over since %s: start 'ebb run'",
		     ebb_format_duration(age - agent->lease_ns, over, sizeof(over)));
		break;
	default:
		putf(pen, EBB_TOP_BAD, "%s", ebb_agent_state_name(state));
		put(pen, EBB_TOP_PLAIN, ": start 'ebb run'");
	}
}

static void draw_title(struct pen pen, const struct ebb_top_data *data, const char *node)
{
	char time[EBB_TIME_MAX];
	const char *clock;

	(void)ebb_format_time(data->look.realtime_ns, false, time, sizeof(time));
	clock = strchr(time, ' ');
	clock = clock ? clock + 1 : time;
	if (pen.end > 40) {
		struct pen right = pen;

		right.x = pen.end - strlen(clock) - 1;
		put(&right, EBB_TOP_PLAIN, clock);
		pen.end = right.x - 10;
	}
	put(&pen, EBB_TOP_BRIGHT, "ebb top");
	putf(&pen, EBB_TOP_PLAIN, "  %s  ", node);
	pen.end = pen.end + 8 < pen.frame->width ? pen.end + 8 : pen.end;
	put_agent(&pen, data);
}

static size_t attached(const struct ebb_look *look)
{
	size_t count = 0;

	for (size_t i = 0; i < look->link_count; i++)
		count += look->links[i].attached != 0;
	return count;
}

static void draw_node(struct pen pen, const struct ebb_top_data *data)
{
	const struct ebb_look *look = &data->look;
	uint32_t said = ebb_mode_said(&look->view->policies[EBB_SLOT_OTHER], look->now_ns);
	uint32_t mode = said ? said - 1 : data->agent.mode;
	bool enforce = mode == EBB_MODE_ENFORCE;
	char active[EBB_FORMAT_MAX];
	size_t programs = attached(look);

	put(&pen, EBB_TOP_DIM, "mode ");
	putf(&pen, enforce ? EBB_TOP_BRIGHT : EBB_TOP_PLAIN, "%s%s", ebb_mode_name(mode),
	     said ? " by hand" : "");
	if (!enforce && data->enforced)
		put(&pen, EBB_TOP_PLAIN, " (enforce for some)");
	put(&pen, EBB_TOP_DIM, "   destinations ");
	/* ~other has a slot of its own */
	putf(&pen, EBB_TOP_PLAIN, "%u of %u", data->snapshot.dst_live, look->view->dst_max - 1);
	put(&pen, EBB_TOP_DIM, "   pairs ");
	putf(&pen, EBB_TOP_PLAIN, "%u of %u", data->snapshot.pair_live, look->view->pair_max - 1);
	put(&pen, EBB_TOP_DIM, "   active ");
	put(&pen, EBB_TOP_PLAIN, ebb_format_count(data->active, active, sizeof(active)));
	if (programs < look->link_count || programs == 0)
		putf(&pen, EBB_TOP_BAD, "   programs %zu of %zu attached", programs, look->link_count);
}

static void draw_breakers(struct pen pen, const struct ebb_top_data *data)
{
	static const enum ebb_top_style styles[EBB_STATE_MAX] = {
		[EBB_STATE_CLOSED] = EBB_TOP_GOOD,
		[EBB_STATE_OPEN] = EBB_TOP_BAD,
		[EBB_STATE_HALF_OPEN] = EBB_TOP_WARN,
	};
	uint32_t fuse = ebb_fuse_now(&data->look);

	put(&pen, EBB_TOP_DIM, "breakers ");
	for (uint32_t s = 0; s < EBB_STATE_MAX; s++)
		putf(&pen, data->by_state[s] ? styles[s] : EBB_TOP_DIM, "%zu %s   ", data->by_state[s],
		     ebb_state_name(s));
	putf(&pen, data->forced ? EBB_TOP_WARN : EBB_TOP_DIM, "%zu by hand", data->forced);
	if (fuse != EBB_FUSE_OFF)
		putf(&pen, EBB_TOP_BAD, "   node fuse: %s", ebb_fuse_name(fuse));
}

static void put_rate(struct pen *pen, double rate, bool bytes, enum ebb_top_style style, const char *what)
{
	char text[EBB_FORMAT_MAX];
	uint64_t whole = (uint64_t)(rate + 0.5);

	if (bytes)
		(void)ebb_format_bytes(whole, text, sizeof(text));
	else if (rate > 0 && rate < 9.95)
		(void)snprintf(text, sizeof(text), "%.1f", rate);
	else
		(void)ebb_format_count(whole, text, sizeof(text));
	putf(pen, rate > 0 ? style : EBB_TOP_DIM, "%s/s", text);
	putf(pen, EBB_TOP_DIM, " %s", what);
}

static void put_rates(struct pen *pen, const struct ebb_top_rates *rates)
{
	const struct {
		double rate;
		bool bytes, always;
		enum ebb_top_style style;
		const char *what;
	} shown[] = {
		{rates->connects, false, true, EBB_TOP_PLAIN, "connects"},
		{rates->failures, false, true, EBB_TOP_WARN, "failed"},
		{rates->denied, false, true, EBB_TOP_BAD, "denied"},
		{rates->would_deny, false, false, EBB_TOP_WARN, "would deny"},
		{rates->sent, true, true, EBB_TOP_PLAIN, "out"},
		{rates->received, true, true, EBB_TOP_PLAIN, "in"},
		{rates->turns, false, false, EBB_TOP_PLAIN, "turns"},
		{rates->dropped, false, false, EBB_TOP_BAD, "dropped"},
		{rates->would_drop, false, false, EBB_TOP_WARN, "would drop"},
	};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (!shown[i].always && shown[i].rate <= 0)
			continue;
		if (i > 0)
			put(pen, EBB_TOP_DIM, "   ");
		put_rate(pen, shown[i].rate, shown[i].bytes, shown[i].style, shown[i].what);
	}
}

static void draw_rates(struct pen pen, const struct ebb_top_data *data)
{
	put(&pen, EBB_TOP_DIM, "now ");
	if (data->interval_ns == 0)
		put(&pen, EBB_TOP_DIM, "...");
	else
		put_rates(&pen, &data->total);
}

/* ---------------------------------------------------------------- table -- */

/* Which columns are shown, and how wide. */
struct layout {
	size_t widths[EBB_TOP_COLUMNS];
};

static bool on_page(const struct ebb_top_column *column, const struct ebb_top_state *state)
{
	return column->pages & (1U << state->page);
}

/* As wide as all rows need, filtered or not, so that scrolling moves nothing. */
static void measure(const struct ebb_top_state *state, const struct ebb_top_data *data,
		    struct layout *ret_layout)
{
	bool workloads = state->page == EBB_TOP_WORKLOADS;
	const struct ebb_top_row *rows = workloads ? data->pairs : data->gates;
	struct layout layout = {};

	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		const struct ebb_top_column *column = &ebb_top_columns[c];
		size_t width = ebb_text_columns(column->shape.title) + 1; /* and the arrow */
		bool says = !column->shape.optional;

		if (!on_page(column, state))
			continue;
		if (width < column->width || column->width > 0)
			width = width - 1 > column->width ? width - 1 : column->width;
		for (size_t i = 0; i < state->row_total; i++) {
			char text[EBB_TOP_CELL_MAX];

			says = says || column->says(&rows[i]);
			if (column->shape.optional && !column->says(&rows[i]))
				continue;
			column->cell(data, &rows[i], text, sizeof(text));
			if (ebb_text_columns(text) > width)
				width = ebb_text_columns(text);
		}
		layout.widths[c] = says ? width : 0;
	}
	*ret_layout = layout;
}

/* Columns without a width of their own are cut before others are left out, and get what others leave. */
static bool is_flexible(size_t column)
{
	return ebb_top_columns[column].width == 0 && ebb_top_columns[column].shape.rank == 0;
}

static void fit(struct layout *layout, size_t width)
{
	struct ebb_column shapes[EBB_TOP_COLUMNS];
	size_t wanted[EBB_TOP_COLUMNS], total;

	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		shapes[c] = ebb_top_columns[c].shape;
		wanted[c] = layout->widths[c];
		if (is_flexible(c) && layout->widths[c] > NAME_MOST)
			layout->widths[c] = NAME_MOST;
	}
	/* first to the least, so that as many columns as possible stay; then what is left is handed out */
	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		if (is_flexible(c) && layout->widths[c] > NAME_LEAST &&
		    ebb_table_width(layout->widths, EBB_TOP_COLUMNS) > width)
			layout->widths[c] = NAME_LEAST;
	}
	ebb_table_fit(shapes, EBB_TOP_COLUMNS, width, layout->widths);
	/* all that may be left out is: names give way, the last first, so that states and failures stay */
	for (size_t c = EBB_TOP_COLUMNS; c-- > 0;) {
		total = ebb_table_width(layout->widths, EBB_TOP_COLUMNS);
		if (!is_flexible(c) || total <= width || layout->widths[c] <= NAME_STUMP)
			continue;
		layout->widths[c] -= total - width < layout->widths[c] - NAME_STUMP
					     ? total - width
					     : layout->widths[c] - NAME_STUMP;
	}
	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		total = ebb_table_width(layout->widths, EBB_TOP_COLUMNS);
		if (!is_flexible(c) || layout->widths[c] == 0 || total >= width)
			continue;
		layout->widths[c] += width - total;
		if (layout->widths[c] > wanted[c])
			layout->widths[c] = wanted[c];
	}
}

/* Draws one column of a line, at *@io_x, and moves on. */
static void put_cell(struct ebb_top_frame *frame, const struct ebb_top_state *state, size_t y, size_t *io_x,
		     size_t width, size_t column, uint32_t style, const char *text)
{
	struct pen pen = pen_at(frame, state, y, *io_x, *io_x + width);
	size_t columns = ebb_text_columns(text);

	if (ebb_top_columns[column].shape.align == EBB_ALIGN_RIGHT && columns < width)
		pen.x += width - columns;
	if (pen.x < pen.end) {
		if (strcmp(ebb_top_columns[column].key, "workload") == 0)
			put_end(&pen, style, text);
		else
			put(&pen, style, text);
	}
	*io_x += width + EBB_TABLE_GAP;
}

static void draw_headings(const struct ebb_top_state *state, const struct layout *layout, size_t y,
			  struct ebb_top_frame *frame)
{
	struct pen pen = pen_at(frame, state, y, 0, frame->width);
	size_t x = 1;

	fill(&pen, EBB_TOP_REVERSE);
	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		const struct ebb_top_column *column = &ebb_top_columns[c];
		bool sorted = state->sort[state->page] == c;
		/* numbers go down unless reversed, texts go up */
		bool down = (column->value != NULL) != state->reverse;
		const char *arrow = state->ascii ? down ? "v" : "^" : down ? "\u25bc" : "\u25b2";
		char text[EBB_TOP_LINE_MAX];
		size_t at = x;

		if (layout->widths[c] == 0)
			continue;
		put_cell(frame, state, y, &x, layout->widths[c], c,
			 (sorted ? EBB_TOP_BRIGHT : EBB_TOP_PLAIN) | EBB_TOP_REVERSE, column->shape.title);
		if (!sorted)
			continue;
		/* right of the heading, in the gap if need be */
		(void)snprintf(text, sizeof(text), "%s", arrow);
		pen = pen_at(frame, state, y,
			     column->shape.align == EBB_ALIGN_RIGHT
				     ? at + layout->widths[c]
				     : at + ebb_text_columns(column->shape.title),
			     frame->width);
		put(&pen, EBB_TOP_BRIGHT | EBB_TOP_REVERSE, text);
	}
}

static void draw_row(const struct ebb_top_state *state, const struct ebb_top_data *data,
		     const struct layout *layout, const struct ebb_top_row *row, bool selected, size_t y,
		     struct ebb_top_frame *frame)
{
	struct pen pen = pen_at(frame, state, y, 0, frame->width);
	size_t x = 1;

	if (selected)
		put(&pen, EBB_TOP_BRIGHT, ">");
	for (size_t c = 0; c < EBB_TOP_COLUMNS; c++) {
		const struct ebb_top_column *column = &ebb_top_columns[c];
		uint32_t style = column->style && !selected ? column->style(row) : EBB_TOP_PLAIN;
		char text[EBB_TOP_CELL_MAX];

		if (layout->widths[c] == 0)
			continue;
		column->cell(data, row, text, sizeof(text));
		put_cell(frame, state, y, &x, layout->widths[c], c, style, text);
	}
	for (x = 0; selected && x < frame->width; x++)
		frame->cells[y * frame->width + x].style |= EBB_TOP_REVERSE;
}

/* Keeps the cursor within what is shown, @visible rows from the first. */
static void follow_cursor(struct ebb_top_state *state, size_t visible)
{
	state->visible = visible;
	if (state->cursor < state->first)
		state->first = state->cursor;
	if (visible > 0 && state->cursor >= state->first + visible)
		state->first = state->cursor - visible + 1;
	/* no empty lines at the end while there are rows above */
	if (state->row_count < state->first + visible)
		state->first = state->row_count > visible ? state->row_count - visible : 0;
}

static void draw_table(struct ebb_top_state *state, const struct ebb_top_data *data, size_t top,
		       size_t bottom, struct ebb_top_frame *frame)
{
	struct layout layout;
	struct pen pen;

	measure(state, data, &layout);
	fit(&layout, frame->width > 2 ? frame->width - 2 : 0);
	draw_headings(state, &layout, top, frame);
	follow_cursor(state, bottom > top + 1 ? bottom - top - 1 : 0);
	for (size_t i = 0; i < state->visible && state->first + i < state->row_count; i++)
		draw_row(state, data, &layout, state->rows[state->first + i],
			 state->first + i == state->cursor && !state->batch, top + 1 + i, frame);
	if (state->row_count > 0)
		return;
	pen = pen_at(frame, state, top + 2, 1, frame->width);
	put(&pen, EBB_TOP_DIM,
	    state->row_total ? "nothing is like the filter: Esc clears it"
			     : "no destinations yet: they appear with the first connection");
}

/* --------------------------------------------------------------- detail -- */

/* The rates of a destination over all its gates. */
static void put_detail_rates(struct pen *pen, const struct ebb_top_state *state,
			     const struct ebb_top_data *data)
{
	struct ebb_top_rates sum = {};
	const struct ebb_times *times = NULL;
	bool answered = false;
	char p50[EBB_FORMAT_MAX], p95[EBB_FORMAT_MAX], p99[EBB_FORMAT_MAX];

	for (size_t i = 0; i < data->gate_count; i++) {
		const struct ebb_top_row *row = &data->gates[i];

		if (row->gate->dst != state->dst || row->gate->dst_epoch != state->dst_epoch)
			continue;
		sum.connects += row->rates.connects;
		sum.turns += row->rates.turns;
		sum.failures += row->rates.failures;
		sum.denied += row->rates.denied;
		sum.would_deny += row->rates.would_deny;
		sum.sent += row->rates.sent;
		sum.received += row->rates.received;
		sum.dropped += row->rates.dropped;
		sum.would_drop += row->rates.would_drop;
		answered = row->turn.count > 0;
		times = answered ? &row->turn : &row->connect;
	}
	put(pen, EBB_TOP_DIM, "now ");
	if (data->interval_ns == 0) {
		put(pen, EBB_TOP_DIM, "...");
		return;
	}
	put_rates(pen, &sum);
	if (times && times->count > 0)
		putf(pen, EBB_TOP_PLAIN, "   %sp50 %s  p95 %s  p99 %s", answered ? "turn " : "",
		     ebb_format_duration(times->p50, p50, sizeof(p50)),
		     ebb_format_duration(times->p95, p95, sizeof(p95)),
		     ebb_format_duration(times->p99, p99, sizeof(p99)));
}

/* What is left of @text when @columns are gone from its beginning. */
static const char *skip_columns(const char *text, size_t columns)
{
	size_t gone = 0, length;
	uint32_t c;

	while (gone < columns && (length = ebb_text_next(text, &c)) > 0) {
		gone += ebb_text_char_columns(c);
		text += length;
	}
	return text;
}

static void draw_detail(struct ebb_top_state *state, const struct ebb_top_data *data, size_t top,
			size_t bottom, struct ebb_top_frame *frame)
{
	struct pen pen = pen_at(frame, state, top, 0, frame->width);

	state->visible = bottom > top + 2 ? bottom - top - 2 : 0;
	fill(&pen, EBB_TOP_REVERSE);
	pen.x = 1;
	if (!state->lines) {
		put(&pen, EBB_TOP_BRIGHT | EBB_TOP_REVERSE, "gone");
		pen = pen_at(frame, state, top + 2, 1, frame->width);
		put(&pen, EBB_TOP_DIM,
		    "nobody used the destination any more, its slot was given back: Esc leads back");
		return;
	}
	put(&pen, EBB_TOP_BRIGHT | EBB_TOP_REVERSE, state->line_count ? state->lines[0] : "");
	pen = pen_at(frame, state, top + 1, 1, frame->width);
	put_detail_rates(&pen, state, data);
	if (state->line_first + 1 > state->line_count)
		state->line_first = 0;
	for (size_t i = 0; i < state->visible && state->line_first + 1 + i < state->line_count; i++) {
		size_t at = state->line_first + 1 + i;
		const char *line = state->lines[at];
		/* what stands behind an empty line is the title of a section */
		bool title = at > 1 && state->lines[at - 1][0] == '\0';

		pen = pen_at(frame, state, top + 2 + i, 0, frame->width);
		put(&pen, title ? EBB_TOP_BRIGHT : EBB_TOP_PLAIN, skip_columns(line, state->line_left));
	}
}

/* --------------------------------------------------------------- footer -- */

struct hint {
	const char *key, *does;
};

static void put_hints(struct pen *pen, const struct hint *hints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* whole hints only */
		if (pen->x + ebb_text_columns(hints[i].key) + ebb_text_columns(hints[i].does) + 3 > pen->end)
			return;
		put(pen, EBB_TOP_BRIGHT, hints[i].key);
		putf(pen, EBB_TOP_DIM, " %s  ", hints[i].does);
	}
}

static void draw_prompt(struct pen pen, const struct ebb_top_state *state)
{
	char before[EBB_TOP_LINE_MAX];

	put(&pen, EBB_TOP_BRIGHT, state->prompt == EBB_TOP_FILTER ? "filter: " : "delay: ");
	(void)snprintf(before, sizeof(before), "%.*s", (int)state->line.cursor, state->line.text);
	pen.frame->cursor = true;
	pen.frame->cursor_x = pen.x + ebb_text_columns(before);
	pen.frame->cursor_y = pen.y;
	if (pen.frame->cursor_x >= pen.end)
		pen.frame->cursor_x = pen.end ? pen.end - 1 : 0;
	put(&pen, EBB_TOP_PLAIN, state->line.text);
	if (state->message[0])
		putf(&pen, EBB_TOP_BAD, "   %s", state->message);
	else
		put(&pen, EBB_TOP_DIM,
		    state->prompt == EBB_TOP_FILTER
			    ? "   name, workload or state; Enter keeps it, Esc does not"
			    : "   100ms to 1h; Enter sets it");
}

/* What was chosen: "every 1s  filter api: 3 of 40  PAUSED". */
static void put_choices(struct pen *pen, const struct ebb_top_state *state)
{
	if (state->paused)
		put(pen, EBB_TOP_WARN | EBB_TOP_REVERSE, " PAUSED ");
	if (state->filter[0]) {
		put(pen, EBB_TOP_DIM, state->paused ? "  filter " : "filter ");
		put(pen, EBB_TOP_WARN, state->filter);
		putf(pen, EBB_TOP_DIM, ": %zu of %zu", state->row_count, state->row_total);
	} else {
		putf(pen, EBB_TOP_DIM, "%s%zu of %zu", state->paused ? "  " : "",
		     state->row_count ? state->cursor + 1 : 0, state->row_count);
	}
	putf(pen, EBB_TOP_DIM, "  every %gs", (double)state->delay_ns / 1e9);
}

static void draw_footer(struct pen pen, const struct ebb_top_state *state)
{
	static const struct hint table_hints[] = {
		{"q", "quit"},	{"h", "help"},	  {"Enter", "details"}, {"/", "filter"},
		{"<>", "sort"}, {"r", "reverse"}, {"p", "pause"},	{"d", "delay"},
	};
	static const struct hint detail_hints[] = {
		{"q", "quit"},		 {"Esc", "back"}, {"Up Down", "scroll"},
		{"Left Right", "shift"}, {"p", "pause"},  {"d", "delay"},
	};
	struct hint page = {"w", state->page == EBB_TOP_WORKLOADS ? "destinations" : "workloads"};

	if (state->prompt != EBB_TOP_NO_PROMPT) {
		draw_prompt(pen, state);
		return;
	}
	if (state->detail) {
		if (state->paused) {
			put(&pen, EBB_TOP_WARN | EBB_TOP_REVERSE, " PAUSED ");
			pen.x += 2;
		}
		put_hints(&pen, detail_hints, sizeof(detail_hints) / sizeof(detail_hints[0]));
		return;
	}
	put_choices(&pen, state);
	pen.x += 3;
	put_hints(&pen, table_hints, 3);
	put_hints(&pen, &page, 1);
	put_hints(&pen, table_hints + 3, sizeof(table_hints) / sizeof(table_hints[0]) - 3);
}

/* ----------------------------------------------------------------- help -- */

static void draw_help(const struct ebb_top_state *state, struct ebb_top_frame *frame)
{
	static const struct hint lines[] = {
		{"Up Down  j k", "move; PgUp PgDn Home End  g G further"},
		{"Enter", "one destination in full, Esc leads back"},
		{"w", "workloads and what they use, or destinations"},
		{"< >  s", "sort by the column left, right, next"},
		{"r", "reverse the order"},
		{"/", "filter: words or patterns, in name, workload, state"},
		{"Esc", "clear the filter"},
		{"p", "pause, and go on"},
		{"d", "delay between two looks"},
		{"q", "quit"},
		{"", ""},
		{"CONN FAIL DENY /s", "let through, failed, refused in the last interval"},
		{"WOULD/s", "what mode observe would have refused"},
		{"LEFT", "until probes begin, or an override ends"},
		{"TURN/s", "requests that ended, answered or not"},
		{"TURN P50 P95 P99", "last byte of a request to first of its answer"},
		{"P50 P95 P99 MEAN", "time to connect in the last interval"},
	};
	size_t count = sizeof(lines) / sizeof(lines[0]), keys = 19, wide = 76;
	size_t width = frame->width < wide ? frame->width : wide;
	size_t height = count + 4 < frame->height ? count + 4 : frame->height;
	size_t left = (frame->width - width) / 2, top = (frame->height - height) / 2;

	for (size_t y = 0; y < height; y++) {
		struct pen pen = pen_at(frame, state, top + y, left, left + width);
		bool edge = y == 0 || y + 1 == height;

		fill(&pen, edge ? EBB_TOP_REVERSE : EBB_TOP_PLAIN);
		pen.x = left + 2;
		if (pen.end > 1)
			pen.end--;
		if (y == 0)
			put(&pen, EBB_TOP_BRIGHT | EBB_TOP_REVERSE, "ebb top " EBB_VERSION);
		else if (y + 1 == height)
			put(&pen, EBB_TOP_REVERSE, "any key leads back");
		else if (y >= 2 && y - 2 < count) {
			put(&pen, EBB_TOP_BRIGHT, lines[y - 2].key);
			pen.x = left + 2 + keys;
			if (pen.x < pen.end)
				put(&pen, EBB_TOP_PLAIN, lines[y - 2].does);
		}
	}
}

/* ----------------------------------------------------------------- draw -- */

/* How many lines of header a height has room for. */
static size_t header_lines(const struct ebb_top_frame *frame)
{
	if (frame->height >= FULL_HEIGHT)
		return HEADER_LINES + 1; /* and an empty one */
	return frame->height > 4 ? 1 : 0;
}

void ebb_top_draw(struct ebb_top_state *state, const struct ebb_top_data *data, const char *node,
		  struct ebb_top_frame *frame)
{
	size_t header = header_lines(frame);
	size_t footer = frame->height > 3 && !state->batch ? 1 : 0;
	size_t bottom = frame->height - footer;

	for (size_t i = 0; i < frame->width * frame->height; i++)
		frame->cells[i] = blank;
	frame->cursor = false;
	if (frame->width == 0 || frame->height == 0)
		return;
	if (header > 0)
		draw_title(pen_at(frame, state, 0, 1, frame->width), data, node);
	if (header > 1) {
		draw_node(pen_at(frame, state, 1, 1, frame->width), data);
		draw_breakers(pen_at(frame, state, 2, 1, frame->width), data);
		draw_rates(pen_at(frame, state, 3, 1, frame->width), data);
	}
	if (state->detail)
		draw_detail(state, data, header, bottom, frame);
	else
		draw_table(state, data, header, bottom, frame);
	if (footer)
		draw_footer(pen_at(frame, state, bottom, 1, frame->width), state);
	if (state->help)
		draw_help(state, frame);
}

void ebb_top_measure(const struct ebb_top_state *state, const struct ebb_top_data *data, size_t *ret_width,
		     size_t *ret_height)
{
	struct layout layout;
	size_t width;

	measure(state, data, &layout);
	width = ebb_table_width(layout.widths, EBB_TOP_COLUMNS) + 2;
	*ret_width = width > HEADER_WIDTH ? width : HEADER_WIDTH;
	*ret_height = HEADER_LINES + 2 + (state->row_count ? state->row_count : 2);
	if (*ret_height < FULL_HEIGHT)
		*ret_height = FULL_HEIGHT;
}

/* ---------------------------------------------------------------- print -- */

static void print_char(FILE *out, uint32_t c)
{
	char bytes[EBB_TEXT_CHAR_MAX];

	(void)fwrite(bytes, 1, ebb_text_encode(c, bytes), out);
}

/* Columns of line @y up to the last that is not blank. */
static size_t used_columns(const struct ebb_top_frame *frame, size_t y)
{
	size_t used = frame->width;

	while (used > 0 && frame->cells[y * frame->width + used - 1].c == ' ')
		used--;
	return used;
}

int ebb_top_print(const struct ebb_top_frame *frame, FILE *out)
{
	size_t height = frame->height;

	while (height > 0 && used_columns(frame, height - 1) == 0)
		height--;
	for (size_t y = 0; y < height; y++) {
		size_t used = used_columns(frame, y);

		for (size_t x = 0; x < used; x++) {
			const struct ebb_top_cell *cell = &frame->cells[y * frame->width + x];

			if (cell->c)
				print_char(out, cell->c);
			if (cell->mark)
				print_char(out, cell->mark);
		}
		(void)fputc('\n', out);
	}
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

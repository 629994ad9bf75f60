/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_state.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"
#include "lib/text.h"
#include "lib/units.h"

#define NS_PER_S     1e9
#define DELAY_NS     1000000000ULL
#define SHIFT_STEP   8 /* columns that the detail moves sideways */
#define CHARACTERS   0x110000
#define CONTROL(key) ((key) - 'A' + 1)

static const enum ebb_top_page pages[] = {EBB_TOP_DESTINATIONS, EBB_TOP_WORKLOADS};

/* ----------------------------------------------------------- beginning -- */

static bool on_page(size_t column, enum ebb_top_page page)
{
	return ebb_top_columns[column].pages & (1U << page);
}

/* The column that @key names on @page; EBB_TOP_COLUMNS: none. */
static size_t find_column(const char *key, enum ebb_top_page page)
{
	size_t c = 0;

	while (c < EBB_TOP_COLUMNS && (!on_page(c, page) || strcmp(ebb_top_columns[c].key, key) != 0))
		c++;
	return c;
}

int ebb_top_parse_delay(const char *text, uint64_t *ret_ns)
{
	double seconds;
	uint64_t ns;

	if (ebb_parse_duration(text, &ns) < 0) {
		if (ebb_parse_number(text, &seconds) < 0)
			return -EINVAL;
		if (seconds * NS_PER_S > (double)EBB_TOP_DELAY_MOST)
			return -ERANGE;
		ns = (uint64_t)(seconds * NS_PER_S + 0.5);
	}
	if (ns < EBB_TOP_DELAY_LEAST || ns > EBB_TOP_DELAY_MOST)
		return -ERANGE;
	*ret_ns = ns;
	return 0;
}

int ebb_top_state_init(struct ebb_top_state *state, const char *sort, const char *filter, const char *delay,
		       struct ebb_why *why)
{
	struct ebb_top_state s = {.delay_ns = DELAY_NS};

	for (size_t p = 0; p < EBB_TOP_PAGES; p++)
		s.sort[p] = find_column("state", pages[p]);
	if (sort) {
		bool known = false;

		for (size_t p = 0; p < EBB_TOP_PAGES; p++) {
			size_t column = find_column(sort, pages[p]);

			if (column == EBB_TOP_COLUMNS)
				continue;
			s.sort[p] = column;
			known = true;
		}
		if (!known) {
			char names[256];
			size_t used = 0;

			for (size_t c = 0; c < EBB_TOP_COLUMNS && used < sizeof(names); c++)
				used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
							 c ? ", " : "", ebb_top_columns[c].key);
			return ebb_why(why, -EINVAL, "--sort: '%s' is not possible: one of %s", sort, names);
		}
	}
	if (filter && strlen(filter) >= sizeof(s.filter))
		return ebb_why(why, -EINVAL, "--filter: longer than %zu bytes", sizeof(s.filter) - 1);
	if (filter)
		(void)snprintf(s.filter, sizeof(s.filter), "%s", filter);
	if (delay && ebb_top_parse_delay(delay, &s.delay_ns) < 0)
		return ebb_why(why, -EINVAL,
			       "--delay: '%s' is not possible: a time from 100ms to 1h, such as 2s", delay);
	*state = s;
	return 0;
}

static void forget_text(struct ebb_top_state *state)
{
	free(state->text);
	free(state->lines);
	state->text = NULL;
	state->lines = NULL;
	state->line_count = 0;
}

void ebb_top_state_done(struct ebb_top_state *state)
{
	forget_text(state);
	free(state->rows);
	*state = (struct ebb_top_state){};
}

/* ------------------------------------------------------------ filtering -- */

/* Without regard to case: a pattern if it has a star, a question mark or a bracket, else a part. */
static bool word_matches(const char *word, const char *text)
{
	size_t length = strlen(word);

	if (strpbrk(word, "*?["))
		return fnmatch(word, text, FNM_CASEFOLD) == 0;
	for (; *text; text++) {
		if (strncasecmp(text, word, length) == 0)
			return true;
	}
	return false;
}

/* Does @word fit the destination, its state, or a workload that uses it? */
static bool row_matches(const struct ebb_top_data *data, const struct ebb_top_row *row, const char *word)
{
	if (word_matches(word, row->gate->name) || word_matches(word, ebb_gate_state_name(row->gate)))
		return true;
	if (row->workload)
		return word_matches(word, row->workload);
	for (size_t i = 0; i < data->pair_count; i++) {
		if (data->pairs[i].gate == row->gate && word_matches(word, data->pairs[i].workload))
			return true;
	}
	return false;
}

/* Every word of the filter fits. */
static bool passes(const struct ebb_top_data *data, const struct ebb_top_row *row, const char *filter)
{
	char words[EBB_TOP_LINE_MAX], *rest = words;
	const char *word;

	(void)snprintf(words, sizeof(words), "%s", filter);
	while ((word = strsep(&rest, " "))) {
		if (*word && !row_matches(data, row, word))
			return false;
	}
	return true;
}

/* -------------------------------------------------------------- sorting -- */

struct sorting {
	const struct ebb_top_data *data;
	const struct ebb_top_column *column;
	bool reverse;
};

/* By name, then workload: numbers in them by their value. The order of equals, whatever the direction. */
static int by_name(const struct ebb_top_row *a, const struct ebb_top_row *b)
{
	int order = strverscmp(a->gate->name, b->gate->name);

	if (order == 0)
		order = strverscmp(a->workload ? a->workload : "", b->workload ? b->workload : "");
	return order != 0 ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static int by_column(const void *pa, const void *pb, void *userdata)
{
	const struct ebb_top_row *a = *(const struct ebb_top_row *const *)pa;
	const struct ebb_top_row *b = *(const struct ebb_top_row *const *)pb;
	const struct sorting *sorting = userdata;
	int order;

	if (sorting->column->value) {
		double va = sorting->column->value(sorting->data, a);
		double vb = sorting->column->value(sorting->data, b);

		order = (va < vb) - (va > vb);
	} else {
		char ta[EBB_TOP_CELL_MAX], tb[EBB_TOP_CELL_MAX];

		sorting->column->cell(sorting->data, a, ta, sizeof(ta));
		sorting->column->cell(sorting->data, b, tb, sizeof(tb));
		order = strverscmp(ta, tb);
	}
	if (order == 0)
		return by_name(a, b);
	return sorting->reverse ? -order : order;
}

/* ---------------------------------------------------------- arrangement -- */

/* The detail as lines. A destination that is gone leaves none. */
static int arrange_detail(struct ebb_top_state *state, const struct ebb_top_data *data)
{
	const struct ebb_gate_row *rows = data->snapshot.rows;
	size_t first = 0, count = 0, size, lines = 0, room = 1;
	FILE *out;
	int r;

	forget_text(state);
	while (first < data->snapshot.count &&
	       (rows[first].dst != state->dst || rows[first].dst_epoch != state->dst_epoch))
		first++;
	while (first + count < data->snapshot.count && rows[first + count].dst == state->dst)
		count++;
	if (count == 0)
		return 0;
	out = open_memstream(&state->text, &size);
	if (!out)
		return -errno;
	r = ebb_show_text(out, &data->look, rows + first, count);
	if (fclose(out) != 0 || r < 0)
		return -ENOMEM;
	for (const char *s = state->text; *s; s++)
		room += *s == '\n';
	state->lines = calloc(room, sizeof(state->lines[0]));
	if (!state->lines)
		return -ENOMEM;
	for (char *rest = state->text, *line; (line = strsep(&rest, "\n"));) {
		if (rest) /* what stands behind the last newline is no line */
			state->lines[lines++] = line;
	}
	state->line_count = lines;
	return 0;
}

/* Where the row of the cursor is now; where it is not, the cursor stays at its place. */
static void find_cursor(struct ebb_top_state *state)
{
	for (size_t i = 0; i < state->row_count; i++) {
		if (state->rows[i]->slot == state->slot && state->rows[i]->epoch == state->epoch) {
			state->cursor = i;
			return;
		}
	}
	if (state->cursor >= state->row_count)
		state->cursor = state->row_count ? state->row_count - 1 : 0;
}

static void remember_cursor(struct ebb_top_state *state)
{
	if (state->cursor < state->row_count) {
		state->slot = state->rows[state->cursor]->slot;
		state->epoch = state->rows[state->cursor]->epoch;
	}
}

int ebb_top_arrange(struct ebb_top_state *state, const struct ebb_top_data *data)
{
	bool workloads = state->page == EBB_TOP_WORKLOADS;
	const struct ebb_top_row *rows = workloads ? data->pairs : data->gates;
	struct sorting sorting = {data, &ebb_top_columns[state->sort[state->page]], state->reverse};

	state->row_total = workloads ? data->pair_count : data->gate_count;
	if (state->row_total > state->row_room) {
		const struct ebb_top_row **more = reallocarray(state->rows, state->row_total, sizeof(void *));

		if (!more)
			return -ENOMEM;
		state->rows = more;
		state->row_room = state->row_total;
	}
	state->row_count = 0;
	for (size_t i = 0; i < state->row_total; i++) {
		if (passes(data, &rows[i], state->filter))
			state->rows[state->row_count++] = &rows[i];
	}
	if (state->row_count > 1)
		qsort_r(state->rows, state->row_count, sizeof(void *), by_column, &sorting);
	find_cursor(state);
	remember_cursor(state);
	return state->detail ? arrange_detail(state, data) : 0;
}

/* ----------------------------------------------------------------- line -- */

static void set_line(struct ebb_top_line *line, const char *text)
{
	(void)snprintf(line->text, sizeof(line->text), "%s", text);
	line->cursor = strlen(line->text);
}

/* Bytes of the character before, and behind the cursor. */
static size_t before_cursor(const struct ebb_top_line *line)
{
	size_t n = 0;

	while (n < line->cursor) {
		n++;
		if (((unsigned char)line->text[line->cursor - n] & 0xc0) != 0x80)
			break;
	}
	return n;
}

static size_t behind_cursor(const struct ebb_top_line *line)
{
	uint32_t c;

	return ebb_text_next(line->text + line->cursor, &c);
}

static void remove_bytes(struct ebb_top_line *line, size_t at, size_t count)
{
	memmove(line->text + at, line->text + at + count, strlen(line->text + at + count) + 1);
	line->cursor = at;
}

static void insert_char(struct ebb_top_line *line, uint32_t c)
{
	size_t length = strlen(line->text), count;
	char one[EBB_TEXT_CHAR_MAX + 1] = "", shown[32];

	count = ebb_text_encode(c, one);
	/* what would steer the terminal is not typed, and cannot be in a name either */
	if (length + count >= sizeof(line->text) ||
	    strcmp(ebb_text_escape(one, shown, sizeof(shown)), one) != 0)
		return;
	memmove(line->text + line->cursor + count, line->text + line->cursor, length - line->cursor + 1);
	memcpy(line->text + line->cursor, one, count);
	line->cursor += count;
}

/* The word before the cursor, with the blanks behind it. */
static void remove_word(struct ebb_top_line *line)
{
	size_t at = line->cursor;

	while (at > 0 && line->text[at - 1] == ' ')
		at--;
	while (at > 0 && line->text[at - 1] != ' ')
		at--;
	remove_bytes(line, at, line->cursor - at);
}

static void edit_line(struct ebb_top_line *line, uint32_t key)
{
	switch (key) {
	case EBB_TOP_KEY_LEFT:
		line->cursor -= before_cursor(line);
		break;
	case EBB_TOP_KEY_RIGHT:
		line->cursor += behind_cursor(line);
		break;
	case EBB_TOP_KEY_HOME:
	case CONTROL('A'):
		line->cursor = 0;
		break;
	case EBB_TOP_KEY_END:
	case CONTROL('E'):
		line->cursor = strlen(line->text);
		break;
	case EBB_TOP_KEY_BACKSPACE:
		remove_bytes(line, line->cursor - before_cursor(line), before_cursor(line));
		break;
	case EBB_TOP_KEY_DELETE:
		remove_bytes(line, line->cursor, behind_cursor(line));
		break;
	case CONTROL('U'):
		remove_bytes(line, 0, line->cursor);
		break;
	case CONTROL('W'):
		remove_word(line);
		break;
	default:
		if (key >= ' ' && key < CHARACTERS)
			insert_char(line, key);
	}
}

/* --------------------------------------------------------------- prompt -- */

static void open_prompt(struct ebb_top_state *state, enum ebb_top_prompt prompt)
{
	char text[EBB_FORMAT_MAX];

	state->prompt = prompt;
	if (prompt == EBB_TOP_FILTER) {
		(void)snprintf(state->before, sizeof(state->before), "%s", state->filter);
		set_line(&state->line, state->filter);
		return;
	}
	/* as short as it can be typed: "2s" */
	(void)snprintf(text, sizeof(text), "%gs", (double)state->delay_ns / NS_PER_S);
	set_line(&state->line, text);
}

static enum ebb_top_action accept_delay(struct ebb_top_state *state)
{
	if (ebb_top_parse_delay(state->line.text, &state->delay_ns) < 0) {
		(void)snprintf(state->message, sizeof(state->message),
			       "not possible: a time from 100ms to 1h, such as 2s");
		return EBB_TOP_DRAW;
	}
	state->prompt = EBB_TOP_NO_PROMPT;
	return EBB_TOP_LOOK;
}

static enum ebb_top_action press_in_prompt(struct ebb_top_state *state, uint32_t key)
{
	bool filter = state->prompt == EBB_TOP_FILTER;

	if (key == EBB_TOP_KEY_ESCAPE) {
		state->prompt = EBB_TOP_NO_PROMPT;
		if (filter)
			(void)snprintf(state->filter, sizeof(state->filter), "%s", state->before);
		return filter ? EBB_TOP_ARRANGE : EBB_TOP_DRAW;
	}
	if (key == EBB_TOP_KEY_ENTER && !filter)
		return accept_delay(state);
	if (key == EBB_TOP_KEY_ENTER) {
		state->prompt = EBB_TOP_NO_PROMPT;
		return EBB_TOP_DRAW;
	}
	edit_line(&state->line, key);
	if (!filter)
		return EBB_TOP_DRAW;
	/* seen while it is typed */
	(void)snprintf(state->filter, sizeof(state->filter), "%s", state->line.text);
	return EBB_TOP_ARRANGE;
}

/* ----------------------------------------------------------------- keys -- */

/* The next column of the page to sort by. */
static void move_sort(struct ebb_top_state *state, bool forward)
{
	size_t *sort = &state->sort[state->page];

	do
		*sort = (*sort + (forward ? 1 : EBB_TOP_COLUMNS - 1)) % EBB_TOP_COLUMNS;
	while (!on_page(*sort, state->page));
}

/* Moves *@io_at by @by, which may be more than there is, among @count. */
static void move_by(size_t *io_at, size_t count, long by)
{
	size_t last = count ? count - 1 : 0;

	if (by < 0)
		*io_at = *io_at > (size_t)-by ? *io_at - (size_t)-by : 0;
	else
		*io_at = last - *io_at > (size_t)by && *io_at < last ? *io_at + (size_t)by : last;
}

/* How far a key moves up or down; 0: it does not. */
static long distance(const struct ebb_top_state *state, uint32_t key)
{
	long page = state->visible > 1 ? (long)state->visible - 1 : 1;

	switch (key) {
	case EBB_TOP_KEY_UP:
	case 'k':
		return -1;
	case EBB_TOP_KEY_DOWN:
	case 'j':
		return 1;
	case EBB_TOP_KEY_PAGE_UP:
	case CONTROL('B'):
		return -page;
	case EBB_TOP_KEY_PAGE_DOWN:
	case CONTROL('F'):
	case ' ':
		return page;
	case EBB_TOP_KEY_HOME:
	case 'g':
		return -INT32_MAX;
	case EBB_TOP_KEY_END:
	case 'G':
		return INT32_MAX;
	default:
		return 0;
	}
}

static enum ebb_top_action press_in_detail(struct ebb_top_state *state, uint32_t key)
{
	size_t room = state->line_count > state->visible ? state->line_count - state->visible + 1 : 1;
	long by = distance(state, key);

	if (by != 0) {
		move_by(&state->line_first, room, by);
		return EBB_TOP_DRAW;
	}
	switch (key) {
	case EBB_TOP_KEY_ESCAPE:
	case EBB_TOP_KEY_BACKSPACE:
	case EBB_TOP_KEY_ENTER:
		state->detail = false;
		forget_text(state);
		return EBB_TOP_ARRANGE;
	case EBB_TOP_KEY_LEFT:
		state->line_left -= state->line_left < SHIFT_STEP ? state->line_left : SHIFT_STEP;
		return EBB_TOP_DRAW;
	case EBB_TOP_KEY_RIGHT:
		state->line_left += SHIFT_STEP;
		return EBB_TOP_DRAW;
	default:
		return EBB_TOP_NOTHING;
	}
}

static enum ebb_top_action enter_detail(struct ebb_top_state *state)
{
	const struct ebb_gate_row *gate;

	if (state->cursor >= state->row_count)
		return EBB_TOP_NOTHING;
	gate = state->rows[state->cursor]->gate;
	state->detail = true;
	state->dst = gate->dst;
	state->dst_epoch = gate->dst_epoch;
	state->line_first = state->line_left = 0;
	return EBB_TOP_ARRANGE;
}

static enum ebb_top_action press_in_table(struct ebb_top_state *state, uint32_t key)
{
	long by = distance(state, key);

	if (by != 0) {
		move_by(&state->cursor, state->row_count, by);
		remember_cursor(state);
		return EBB_TOP_DRAW;
	}
	switch (key) {
	case EBB_TOP_KEY_ENTER:
		return enter_detail(state);
	case '<':
	case EBB_TOP_KEY_LEFT:
		move_sort(state, false);
		return EBB_TOP_ARRANGE;
	case '>':
	case 's':
	case EBB_TOP_KEY_RIGHT:
		move_sort(state, true);
		return EBB_TOP_ARRANGE;
	case 'r':
		state->reverse = !state->reverse;
		return EBB_TOP_ARRANGE;
	case 'w':
		state->page = state->page == EBB_TOP_WORKLOADS ? EBB_TOP_DESTINATIONS : EBB_TOP_WORKLOADS;
		state->cursor = state->first = 0;
		state->epoch = UINT32_MAX; /* nobody's */
		return EBB_TOP_ARRANGE;
	case '/':
		open_prompt(state, EBB_TOP_FILTER);
		return EBB_TOP_DRAW;
	case EBB_TOP_KEY_ESCAPE:
		state->filter[0] = '\0';
		return EBB_TOP_ARRANGE;
	default:
		return EBB_TOP_NOTHING;
	}
}

enum ebb_top_action ebb_top_press(struct ebb_top_state *state, uint32_t key)
{
	state->message[0] = '\0';
	if (state->help) {
		state->help = false;
		return EBB_TOP_DRAW;
	}
	if (state->prompt != EBB_TOP_NO_PROMPT)
		return press_in_prompt(state, key);
	switch (key) {
	case 'h':
	case '?':
		state->help = true;
		return EBB_TOP_DRAW;
	case 'p':
		state->paused = !state->paused;
		return state->paused ? EBB_TOP_DRAW : EBB_TOP_LOOK;
	case 'd':
		open_prompt(state, EBB_TOP_DELAY);
		return EBB_TOP_DRAW;
	case 'q':
		return EBB_TOP_QUIT;
	default:
		return state->detail ? press_in_detail(state, key) : press_in_table(state, key);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb top': what the user chose, and which rows that shows in which order. Keys
 * come in as numbers, so that a test types them; nothing here knows a terminal.
 */
#ifndef EBB_CLI_TOP_STATE_H
#define EBB_CLI_TOP_STATE_H

#include "cli/top_model.h"
#include "lib/table.h"

#define EBB_TOP_LINE_MAX    128
#define EBB_TOP_CELL_MAX    (EBB_DST_NAME_MAX + EBB_CGROUP_PATH_MAX)
#define EBB_TOP_DELAY_LEAST 100000000ULL     /* 100 ms */
#define EBB_TOP_DELAY_MOST  3600000000000ULL /* 1 h */

/* Below 0x110000 a key is a character. */
enum ebb_top_key {
	EBB_TOP_KEY_NONE = 0x110000,
	EBB_TOP_KEY_UP,
	EBB_TOP_KEY_DOWN,
	EBB_TOP_KEY_LEFT,
	EBB_TOP_KEY_RIGHT,
	EBB_TOP_KEY_PAGE_UP,
	EBB_TOP_KEY_PAGE_DOWN,
	EBB_TOP_KEY_HOME,
	EBB_TOP_KEY_END,
	EBB_TOP_KEY_ENTER,
	EBB_TOP_KEY_ESCAPE,
	EBB_TOP_KEY_BACKSPACE,
	EBB_TOP_KEY_DELETE,
};

/* What the loop has to do about a key. */
enum ebb_top_action {
	EBB_TOP_NOTHING,
	EBB_TOP_ARRANGE, /* other rows, or another order: arrange and draw */
	EBB_TOP_DRAW,	 /* the same rows, drawn anew */
	EBB_TOP_LOOK,	 /* look again at once */
	EBB_TOP_QUIT,
};

enum ebb_top_page {
	EBB_TOP_DESTINATIONS,
	EBB_TOP_WORKLOADS,
	EBB_TOP_PAGES,
};

enum ebb_top_prompt {
	EBB_TOP_NO_PROMPT,
	EBB_TOP_FILTER,
	EBB_TOP_DELAY,
};

/* A line that is being typed. */
struct ebb_top_line {
	char text[EBB_TOP_LINE_MAX]; /* UTF-8 */
	size_t cursor;		     /* bytes before it */
};

struct ebb_top_state {
	enum ebb_top_page page;
	bool detail; /* one destination in full, over the page */
	bool help, paused, reverse;
	bool ascii; /* the terminal draws nothing else */
	bool batch; /* one frame for a file: no cursor, no keys */
	uint64_t delay_ns;
	size_t sort[EBB_TOP_PAGES]; /* column */
	char filter[EBB_TOP_LINE_MAX];
	enum ebb_top_prompt prompt;
	struct ebb_top_line line;
	char before[EBB_TOP_LINE_MAX]; /* the filter, should the prompt be left by Escape */
	char message[EBB_TOP_LINE_MAX];

	/* the table */
	const struct ebb_top_row **rows; /* that pass the filter, in order; of the last arranged data */
	size_t row_count, row_room, row_total;
	size_t cursor, first; /* row, and the first that is shown */
	size_t visible;	      /* rows that fit: told by who draws */
	uint32_t slot, epoch; /* whose row the cursor is on */

	/* the detail */
	uint32_t dst, dst_epoch;
	char *text;   /* of 'ebb show'; NULL: it is gone */
	char **lines; /* of the text */
	size_t line_count, line_first, line_left;
};

/* Filter and sort from the command line; NULL: the defaults. -EINVAL with the reason, which names the option. */
int ebb_top_state_init(struct ebb_top_state *state, const char *sort, const char *filter, const char *delay,
		       struct ebb_why *why);
void ebb_top_state_done(struct ebb_top_state *state);

/* "2s", and "2" for the same; 100 ms to an hour. -EINVAL, -ERANGE. */
int ebb_top_parse_delay(const char *text, uint64_t *ret_ns);

/*
 * Chooses and sorts the rows of @data, which must stay as long as they are drawn. The cursor stays
 * with its row while that is there. -ENOMEM.
 */
int ebb_top_arrange(struct ebb_top_state *state, const struct ebb_top_data *data);

enum ebb_top_action ebb_top_press(struct ebb_top_state *state, uint32_t key);

/* ------------------------------------------------------------- columns -- */

/* How a cell is drawn; every one can be told without colour, by its text. */
enum ebb_top_style {
	EBB_TOP_PLAIN,
	EBB_TOP_GOOD,
	EBB_TOP_WARN,
	EBB_TOP_BAD,
	EBB_TOP_DIM,
	EBB_TOP_BRIGHT,
	EBB_TOP_STYLE_MASK = 0xf,
	EBB_TOP_REVERSE = 0x10, /* with any of them */
};

struct ebb_top_column {
	const char *key;	 /* of --sort */
	struct ebb_column shape; /* heading, and when it is left out */
	size_t width;		 /* least; 0: as wide as its cells */
	unsigned int pages;	 /* 1 << enum ebb_top_page */
	/* What it says, in @buffer of EBB_TOP_CELL_MAX bytes. */
	void (*cell)(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		     size_t size);
	/* By what it is sorted, the greatest first; NULL: by its text. */
	double (*value)(const struct ebb_top_data *data, const struct ebb_top_row *row);
	enum ebb_top_style (*style)(const struct ebb_top_row *row); /* NULL: plain */
	bool (*says)(const struct ebb_top_row *row); /* of an optional one: is there anything to say? */
};

#define EBB_TOP_COLUMNS 22
extern const struct ebb_top_column ebb_top_columns[EBB_TOP_COLUMNS];

#endif /* EBB_CLI_TOP_STATE_H */

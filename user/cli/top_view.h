/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb top': what stands where on the screen, for any width and height. Pure: data
 * and choices in, cells out; a test compares them as text.
 */
#ifndef EBB_CLI_TOP_VIEW_H
#define EBB_CLI_TOP_VIEW_H

#include "cli/top_state.h"

struct ebb_top_cell {
	uint32_t c;	/* a character; 0: the second half of a wide one */
	uint32_t mark;	/* an accent on it, or 0 */
	uint32_t style; /* enum ebb_top_style, and EBB_TOP_REVERSE */
};

struct ebb_top_frame {
	size_t width, height;
	struct ebb_top_cell *cells; /* height lines of width */
	bool cursor;		    /* shown, at: */
	size_t cursor_x, cursor_y;
};

/* Makes room for @width x @height blank cells; the frame may be used already. -ENOMEM, and it is as it was. */
int ebb_top_frame_resize(struct ebb_top_frame *frame, size_t width, size_t height);
void ebb_top_frame_done(struct ebb_top_frame *frame);

/* Draws all. Tells @state how many rows are visible, and keeps its cursor among them. */
void ebb_top_draw(struct ebb_top_state *state, const struct ebb_top_data *data, const char *node,
		  struct ebb_top_frame *frame);

/* How large a frame is that leaves nothing out: for one that goes to a file. */
void ebb_top_measure(const struct ebb_top_state *state, const struct ebb_top_data *data, size_t *ret_width,
		     size_t *ret_height);

/* As text, without styles, blanks at line ends, and empty lines at the end. 0 or -EIO. */
int ebb_top_print(const struct ebb_top_frame *frame, FILE *out);

#endif /* EBB_CLI_TOP_VIEW_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of 'ebb top': ncursesw, loaded when it is used, so that no other command
 * pays for it. Only changed cells are sent.
 */
#ifndef EBB_CLI_TOP_SCREEN_H
#define EBB_CLI_TOP_SCREEN_H

#include "cli/top_view.h"
#include "lib/why.h"

struct ebb_top_screen;

/*
 * Takes over the terminal that standard input and output are. -ENOSYS: no ncursesw; -ENOTTY: no terminal, or of
 * no known kind; -ENOMEM. The reason says what to do.
 */
int ebb_top_screen_open(struct ebb_top_screen **ret_screen, struct ebb_why *why);
/* Gives the terminal back as it was. */
void ebb_top_screen_close(struct ebb_top_screen *screen);

/* Does it draw more than ASCII? */
bool ebb_top_screen_unicode(const struct ebb_top_screen *screen);

/* After SIGWINCH, and at the start: asks the terminal how large it is. */
void ebb_top_screen_size(struct ebb_top_screen *screen, size_t *ret_width, size_t *ret_height);

void ebb_top_screen_show(struct ebb_top_screen *screen, const struct ebb_top_frame *frame);

/* The next key that was pressed; EBB_TOP_KEY_NONE: none is waiting. Does not wait. */
uint32_t ebb_top_screen_key(struct ebb_top_screen *screen);

#endif /* EBB_CLI_TOP_SCREEN_H */

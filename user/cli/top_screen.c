/* SPDX-License-Identifier: Apache-2.0 */
#define NCURSES_WIDECHAR	 1
#define NCURSES_NOMACROS	 1
#define NCURSES_ENABLE_STDBOOL_H 1

#include "cli/top_screen.h"

#include <curses.h>
#include <dlfcn.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "lib/cleanup.h"

#define LIBRARY	     "libncursesw.so.6"
#define ESC_DELAY_MS 25 /* a lone Escape is told from the beginning of an arrow key */

/* What is used of the library. */
struct functions {
	/* as <term.h> has them, whose macros have the names of everything */
	int (*setupterm)(const char *term, int fd, int *ret_error);
	char *(*tigetstr)(const char *capability);
	void *(*set_curterm)(void *terminal);
	int (*del_curterm)(void *terminal);
	__typeof__(&newterm) newterm;
	__typeof__(&endwin) endwin;
	__typeof__(&delscreen) delscreen;
	__typeof__(&newwin) newwin;
	__typeof__(&delwin) delwin;
	__typeof__(&cbreak) cbreak;
	__typeof__(&noecho) noecho;
	__typeof__(&nonl) nonl;
	__typeof__(&keypad) keypad;
	__typeof__(&nodelay) nodelay;
	__typeof__(&set_escdelay) set_escdelay;
	__typeof__(&curs_set) curs_set;
	__typeof__(&has_colors) has_colors;
	__typeof__(&start_color) start_color;
	__typeof__(&use_default_colors) use_default_colors;
	__typeof__(&init_pair) init_pair;
	__typeof__(&setcchar) setcchar;
	__typeof__(&mvwadd_wch) mvwadd_wch;
	__typeof__(&wmove) wmove;
	__typeof__(&werase) werase;
	__typeof__(&wrefresh) wrefresh;
	__typeof__(&clearok) clearok;
	__typeof__(&wget_wch) wget_wch;
	__typeof__(&resizeterm) resizeterm;
	__typeof__(&wresize) wresize;
};

struct ebb_top_screen {
	struct functions f;
	SCREEN *screen;
	WINDOW *window;
	bool colors, unicode;
};

/* ----------------------------------------------------------------- open -- */

/* *@io_missing becomes the name of what the library does not have. */
static void *find(void *library, const char *name, const char **io_missing)
{
	void *function = dlsym(library, name);

	if (!function)
		*io_missing = name;
	return function;
}

static int load(struct functions *f, struct ebb_why *why)
{
	/* never closed: it has handlers of signals, and memory of its own */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	if (!library) {
		(void)ebb_why(why, -ENOSYS,
			      "cannot load %s: install ncurses (Debian: libncursesw6), or see one frame with --once",
			      LIBRARY);
		return -ENOSYS;
	}
	f->setupterm = find(library, "setupterm", &missing);
	f->tigetstr = find(library, "tigetstr", &missing);
	f->set_curterm = find(library, "set_curterm", &missing);
	f->del_curterm = find(library, "del_curterm", &missing);
	f->newterm = find(library, "newterm", &missing);
	f->endwin = find(library, "endwin", &missing);
	f->delscreen = find(library, "delscreen", &missing);
	f->newwin = find(library, "newwin", &missing);
	f->delwin = find(library, "delwin", &missing);
	f->cbreak = find(library, "cbreak", &missing);
	f->noecho = find(library, "noecho", &missing);
	f->nonl = find(library, "nonl", &missing);
	f->keypad = find(library, "keypad", &missing);
	f->nodelay = find(library, "nodelay", &missing);
	f->set_escdelay = find(library, "set_escdelay", &missing);
	f->curs_set = find(library, "curs_set", &missing);
	f->has_colors = find(library, "has_colors", &missing);
	f->start_color = find(library, "start_color", &missing);
	f->use_default_colors = find(library, "use_default_colors", &missing);
	f->init_pair = find(library, "init_pair", &missing);
	f->setcchar = find(library, "setcchar", &missing);
	f->mvwadd_wch = find(library, "mvwadd_wch", &missing);
	f->wmove = find(library, "wmove", &missing);
	f->werase = find(library, "werase", &missing);
	f->wrefresh = find(library, "wrefresh", &missing);
	f->clearok = find(library, "clearok", &missing);
	f->wget_wch = find(library, "wget_wch", &missing);
	f->resizeterm = find(library, "resizeterm", &missing);
	f->wresize = find(library, "wresize", &missing);
	if (missing)
		return ebb_why(why, -ENOSYS, "%s has no %s(): install ncurses 6", LIBRARY, missing);
	return 0;
}

/* Can the cursor be put where we want it? newterm() would say no, too, and lose memory. */
static bool is_capable(const struct functions *f)
{
	const char *move;
	int error;

	if (f->setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	move = f->tigetstr("cup");
	/* NULL, or -1 as a pointer: there is none */
	error = !move || (intptr_t)move == -1;
	(void)f->del_curterm(f->set_curterm(NULL));
	return !error;
}

/* https://no-color.org: set and not empty. */
static bool color_is_wanted(void)
{
	const char *no_color = getenv("NO_COLOR");

	return !no_color || !no_color[0];
}

static void set_up(struct ebb_top_screen *screen)
{
	const struct functions *f = &screen->f;

	(void)f->cbreak();
	(void)f->noecho();
	(void)f->nonl();
	(void)f->set_escdelay(ESC_DELAY_MS);
	(void)f->keypad(screen->window, true);
	(void)f->nodelay(screen->window, true);
	(void)f->curs_set(0);
	screen->colors = color_is_wanted() && f->has_colors() && f->start_color() == OK;
	if (screen->colors) {
		const short background = (short)(f->use_default_colors() == OK ? -1 : COLOR_BLACK);

		/* the pair of a style is its number */
		(void)f->init_pair(EBB_TOP_GOOD, COLOR_GREEN, background);
		(void)f->init_pair(EBB_TOP_WARN, COLOR_YELLOW, background);
		(void)f->init_pair(EBB_TOP_BAD, COLOR_RED, background);
	}
}

int ebb_top_screen_open(struct ebb_top_screen **ret_screen, struct ebb_why *why)
{
	const char *term = getenv("TERM");
	struct ebb_top_screen *screen = calloc(1, sizeof(*screen));
	size_t width, height;
	int r;

	if (!screen)
		return ebb_why(why, -ENOMEM, "out of memory");
	r = load(&screen->f, why);
	if (r < 0) {
		free(screen);
		return r;
	}
	/* only what a character is: numbers are read and written with a point */
	(void)setlocale(LC_CTYPE, "");
	screen->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	screen->screen = is_capable(&screen->f) ? screen->f.newterm(NULL, stdout, stdin) : NULL;
	if (!screen->screen) {
		free(screen);
		return ebb_why(why, -ENOTTY,
			       "the kind of terminal '%s' is unknown or too plain: set TERM, or see one frame with --once",
			       term ? term : "");
	}
	ebb_top_screen_size(screen, &width, &height);
	screen->window = screen->f.newwin(0, 0, 0, 0);
	if (!screen->window) {
		ebb_top_screen_close(screen);
		return ebb_why(why, -ENOMEM, "out of memory");
	}
	set_up(screen);
	*ret_screen = screen;
	return 0;
}

void ebb_top_screen_close(struct ebb_top_screen *screen)
{
	if (!screen)
		return;
	(void)screen->f.curs_set(1);
	(void)screen->f.endwin();
	if (screen->window)
		(void)screen->f.delwin(screen->window);
	screen->f.delscreen(screen->screen);
	free(screen);
}

bool ebb_top_screen_unicode(const struct ebb_top_screen *screen)
{
	return screen->unicode;
}

void ebb_top_screen_size(struct ebb_top_screen *screen, size_t *ret_width, size_t *ret_height)
{
	struct winsize size = {};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) {
		size.ws_col = 80; /* a serial line does not know */
		size.ws_row = 24;
	}
	(void)screen->f.resizeterm(size.ws_row, size.ws_col);
	if (screen->window)
		(void)screen->f.wresize(screen->window, size.ws_row, size.ws_col);
	*ret_width = size.ws_col;
	*ret_height = size.ws_row;
}

/* ----------------------------------------------------------------- show -- */

static attr_t attributes(const struct ebb_top_screen *screen, uint32_t style)
{
	attr_t attr = style & EBB_TOP_REVERSE ? A_REVERSE : A_NORMAL;

	switch (style & EBB_TOP_STYLE_MASK) {
	case EBB_TOP_BAD:
	case EBB_TOP_BRIGHT:
		attr |= A_BOLD;
		break;
	case EBB_TOP_WARN:
		attr |= screen->colors ? A_NORMAL : A_BOLD;
		break;
	case EBB_TOP_DIM:
		attr |= screen->colors ? A_DIM : A_NORMAL;
		break;
	default:
		break;
	}
	return attr;
}

static short pair_of(const struct ebb_top_screen *screen, uint32_t style)
{
	uint32_t base = style & EBB_TOP_STYLE_MASK;

	return (short)(screen->colors && base >= EBB_TOP_GOOD && base <= EBB_TOP_BAD ? base : 0);
}

/* What the C library and we do not measure alike would move the rest of the line. */
static wchar_t drawable(const struct ebb_top_screen *screen, uint32_t c, int columns)
{
	if (c < 0x7f)
		return (wchar_t)c;
	return screen->unicode && wcwidth((wchar_t)c) == columns ? (wchar_t)c : L'?';
}

void ebb_top_screen_show(struct ebb_top_screen *screen, const struct ebb_top_frame *frame)
{
	const struct functions *f = &screen->f;

	(void)f->werase(screen->window);
	for (size_t i = 0; i < frame->width * frame->height; i++) {
		const struct ebb_top_cell *cell = &frame->cells[i];
		bool wide = (i + 1) % frame->width != 0 && cell[1].c == 0;
		wchar_t text[3] = {};
		cchar_t drawn;

		if (cell->c == ' ' && cell->style == EBB_TOP_PLAIN)
			continue;
		text[0] = cell->c ? drawable(screen, cell->c, wide ? 2 : 1) : L'?';
		if (cell->mark && text[0] != L'?' && screen->unicode && wcwidth((wchar_t)cell->mark) == 0)
			text[1] = (wchar_t)cell->mark;
		/* the second half: drawn with the first, unless that became a question mark */
		if (cell->c == 0 && drawable(screen, cell[-1].c, 2) != L'?')
			continue;
		if (f->setcchar(&drawn, text, attributes(screen, cell->style), pair_of(screen, cell->style),
				NULL) == OK)
			/* the last cell is drawn, although the cursor cannot move on */
			(void)f->mvwadd_wch(screen->window, (int)(i / frame->width), (int)(i % frame->width),
					    &drawn);
	}
	(void)f->curs_set(frame->cursor);
	if (frame->cursor)
		(void)f->wmove(screen->window, (int)frame->cursor_y, (int)frame->cursor_x);
	(void)f->wrefresh(screen->window);
}

/* ----------------------------------------------------------------- keys -- */

static const struct {
	wint_t code;
	uint32_t key;
} special[] = {
	{KEY_UP, EBB_TOP_KEY_UP},	  {KEY_DOWN, EBB_TOP_KEY_DOWN},
	{KEY_LEFT, EBB_TOP_KEY_LEFT},	  {KEY_RIGHT, EBB_TOP_KEY_RIGHT},
	{KEY_PPAGE, EBB_TOP_KEY_PAGE_UP}, {KEY_NPAGE, EBB_TOP_KEY_PAGE_DOWN},
	{KEY_HOME, EBB_TOP_KEY_HOME},	  {KEY_END, EBB_TOP_KEY_END},
	{KEY_ENTER, EBB_TOP_KEY_ENTER},	  {KEY_BACKSPACE, EBB_TOP_KEY_BACKSPACE},
	{KEY_DC, EBB_TOP_KEY_DELETE},
};

static uint32_t from_code(wint_t code)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (special[i].code == code)
			return special[i].key;
	}
	return EBB_TOP_KEY_NONE;
}

static uint32_t from_character(wint_t c)
{
	switch (c) {
	case '\r':
	case '\n':
		return EBB_TOP_KEY_ENTER;
	case 0x1b:
		return EBB_TOP_KEY_ESCAPE;
	case 0x7f:
	case '\b':
		return EBB_TOP_KEY_BACKSPACE;
	default:
		return (uint32_t)c;
	}
}

uint32_t ebb_top_screen_key(struct ebb_top_screen *screen)
{
	wint_t code = 0;
	int kind;

	while ((kind = screen->f.wget_wch(screen->window, &code)) != ERR) {
		uint32_t key = kind == KEY_CODE_YES ? from_code(code) : from_character(code);

		if (key == 'L' - 'A' + 1)
			(void)screen->f.clearok(screen->window, true); /* all is sent anew */
		else if (key != EBB_TOP_KEY_NONE)
			return key;
	}
	return EBB_TOP_KEY_NONE;
}

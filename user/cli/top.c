/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb top': the command. Looks, waits for keys and signals, draws. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/common.h"
#include "cli/top_screen.h"
#include "cli/top_view.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#define NODE_MAX 256
#define MS	 1000000ULL
#define NS_PER_S 1000000000ULL
#define FIRST_NS (250 * MS) /* after this time there are rates for the first time */
#define ROUND_UP (MS - 1)

struct top {
	const struct ebb_args *args;
	struct ebb_session *session;
	struct ebb_top_model *model;
	struct ebb_top_state *state;
	struct ebb_top_screen *screen;
	struct ebb_top_frame frame;
	uint64_t pins;	  /* which directory was opened */
	uint64_t next_ns; /* when to look again */
	int signals;	  /* descriptor */
	char node[NODE_MAX];
};

/* The name of this machine, fit for a terminal. */
static void name_node(char *buffer, size_t size)
{
	char name[NODE_MAX / 4] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	(void)ebb_text_escape(name, buffer, size);
}

static enum ebb_exit fail_r(const struct top *top, int r)
{
	return ebb_fail(top->args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
}

/* ----------------------------------------------------------------- live -- */

static int look(struct top *top)
{
	int r;

	ebb_session_look(top->args, top->session);
	r = ebb_top_model_look(top->model, &top->session->look);
	return r < 0 ? r : ebb_top_arrange(top->state, ebb_top_model_data(top->model));
}

static int draw(struct top *top)
{
	size_t width, height;
	int r;

	ebb_top_screen_size(top->screen, &width, &height);
	r = ebb_top_frame_resize(&top->frame, width, height);
	if (r < 0)
		return r;
	ebb_top_draw(top->state, ebb_top_model_data(top->model), top->node, &top->frame);
	ebb_top_screen_show(top->screen, &top->frame);
	return 0;
}

/* All keys that wait. -ECANCELED: quit. */
static int take_keys(struct top *top)
{
	uint32_t key;
	int r = 0;

	while (r == 0 && (key = ebb_top_screen_key(top->screen)) != EBB_TOP_KEY_NONE) {
		switch (ebb_top_press(top->state, key)) {
		case EBB_TOP_ARRANGE:
			r = ebb_top_arrange(top->state, ebb_top_model_data(top->model));
			break;
		case EBB_TOP_LOOK:
			top->next_ns = 0;
			break;
		case EBB_TOP_QUIT:
			return -ECANCELED;
		default:
			break;
		}
	}
	return r;
}

/* A signal that ends us: -ECANCELED. A new size is asked for by whoever draws. */
static int take_signals(const struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGWINCH)
			return -ECANCELED;
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now = {};

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Waits for a key, a signal, or the next look. 0, -ECANCELED: the end, or another negative errno. */
static int wait_and_take(struct top *top)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = top->signals, .events = POLLIN}};
	int timeout = -1;
	int r;

	if (!top->state->paused)
		timeout = (int)((ebb_age(top->next_ns, now_ns()) + ROUND_UP) / MS);
	if (poll(fds, 2, timeout) < 0 && errno != EINTR)
		return -errno;
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		return -ECANCELED; /* the terminal is gone */
	r = take_signals(top);
	return r < 0 ? r : take_keys(top);
}

static enum ebb_exit live(struct top *top)
{
	int r;

	top->next_ns = now_ns() + (FIRST_NS < top->state->delay_ns ? FIRST_NS : top->state->delay_ns);
	for (;;) {
		r = draw(top);
		if (r == 0)
			r = wait_and_take(top);
		if (r == 0 && !top->state->paused && now_ns() >= top->next_ns) {
			if (ebb_session_pins(top->args) != top->pins)
				return EBB_EXIT_NO_AGENT;
			r = look(top);
			top->next_ns = now_ns() + top->state->delay_ns;
		}
		if (r == -ECANCELED)
			return EBB_EXIT_DONE;
		if (r < 0)
			return EBB_EXIT_FAILED;
	}
}

/* Signals come by a descriptor, so that the terminal is given back whatever ends us. */
static int catch_signals(void)
{
	sigset_t signals;
	int fd;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGQUIT);
	(void)sigaddset(&signals, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static enum ebb_exit run_live(struct top *top)
{
	_cleanup_close_ int signals = catch_signals();
	struct ebb_why why = {};
	enum ebb_exit code;
	int r;

	if (signals < 0)
		return fail_r(top, signals);
	top->signals = signals;
	r = ebb_top_screen_open(&top->screen, &why);
	if (r < 0)
		return ebb_fail(top->args, EBB_EXIT_FAILED, "%s", why.text);
	top->state->ascii = !ebb_top_screen_unicode(top->screen);
	code = live(top);
	ebb_top_screen_close(top->screen);
	/* told when the terminal shows it */
	if (code == EBB_EXIT_NO_AGENT)
		return ebb_fail(top->args, code, "the maps in '%s' were removed: start 'ebb run'",
				ebb_args_get(top->args, "pin"));
	return code == EBB_EXIT_DONE ? code : ebb_fail(top->args, code, "out of memory");
}

/* ----------------------------------------------------------------- once -- */

/* One frame, with all rows, after one delay, so that there are rates. */
static enum ebb_exit run_once(struct top *top)
{
	struct timespec delay = {.tv_sec = (time_t)(top->state->delay_ns / NS_PER_S),
				 .tv_nsec = (long)(top->state->delay_ns % NS_PER_S)};
	size_t width, height;
	int r;

	while (nanosleep(&delay, &delay) < 0 && errno == EINTR) {
	}
	(void)setlocale(LC_CTYPE, "");
	top->state->ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	top->state->batch = true;
	r = look(top);
	if (r < 0)
		return fail_r(top, r);
	ebb_top_measure(top->state, ebb_top_model_data(top->model), &width, &height);
	if (top->session->look.columns > 0)
		width = top->session->look.columns;
	r = ebb_top_frame_resize(&top->frame, width, height);
	if (r < 0)
		return fail_r(top, r);
	ebb_top_draw(top->state, ebb_top_model_data(top->model), top->node, &top->frame);
	r = ebb_top_print(&top->frame, stdout);
	if (r < 0)
		return ebb_fail(top->args, EBB_EXIT_FAILED, "cannot write the output: %s", ebb_strerror(r));
	return EBB_EXIT_DONE;
}

/* -------------------------------------------------------------- command -- */

static enum ebb_exit run(struct top *top)
{
	bool once = ebb_args_get(top->args, "once") || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO);
	enum ebb_exit code;
	int r;

	name_node(top->node, sizeof(top->node));
	top->pins = ebb_session_pins(top->args);
	r = ebb_top_model_new(&top->session->look, &top->model);
	if (r < 0)
		return fail_r(top, r);
	r = ebb_top_arrange(top->state, ebb_top_model_data(top->model));
	if (r < 0)
		code = fail_r(top, r);
	else
		code = once ? run_once(top) : run_live(top);
	ebb_top_frame_done(&top->frame);
	ebb_top_model_free(top->model);
	return code;
}

enum ebb_exit ebb_cmd_top(const struct ebb_args *args)
{
	struct ebb_top_state state = {};
	struct ebb_session session;
	struct ebb_why why = {};
	struct top top = {.args = args, .session = &session, .state = &state};
	enum ebb_exit code;

	if (ebb_top_state_init(&state, ebb_args_get(args, "sort"), ebb_args_get(args, "filter"),
			       ebb_args_get(args, "delay"), &why) < 0)
		return ebb_fail(args, EBB_EXIT_USAGE, "%s", why.text);
	code = ebb_session_open(args, &session);
	if (code == EBB_EXIT_DONE) {
		code = run(&top);
		ebb_session_close(&session);
	}
	ebb_top_state_done(&state);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a request is. The loop puts it into the list and takes it out again; the thread marks it finished; whoever
 * reads or changes the list, or what of a call the lock is for, holds the lock.
 *
 *	start -> [listed] -> thread: easy handle -> finished -> dispatch: done() -> freed
 *	            |  cancelled: the thread lets go of it  ^      without done() if it was cancelled
 */
#include "lib/fetch.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fetch_call.h"
#include "lib/thread.h"

#define POLL_MS	 1000 /* how late the deadline of a stream's head may be seen */
#define NS_PER_S 1000000000ULL

struct ebb_fetch {
	pthread_mutex_t lock;
	pthread_t thread;
	bool started;
	int wake_fd;  /* to the thread */
	int ready_fd; /* to the loop */
	uint64_t last_id;

	/* with the lock held */
	struct ebb_fetch_call *calls;
	size_t count;
	bool stop;

	/* of the thread */
	struct ebb_curl curl;
	CURLM *multi;
	int broken; /* why nothing can be fetched, a negative errno */
	struct ebb_why why;
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* it was not signalled */
}

/* ----------------------------------------------------------------- thread -- */

static void finish(struct ebb_fetch *f, struct ebb_fetch_call *call)
{
	(void)pthread_mutex_lock(&f->lock);
	call->finished = true;
	(void)pthread_mutex_unlock(&f->lock);
	ebb_fetch_signal(f->ready_fd);
}

static void end(struct ebb_fetch *f, struct ebb_fetch_call *call, CURLcode code)
{
	(void)f->curl.multi_remove_handle(f->multi, call->easy);
	ebb_fetch_transfer_end(call, code);
	finish(f, call);
}

static void begin(struct ebb_fetch *f, struct ebb_fetch_call *call)
{
	if (f->broken < 0) {
		call->why = f->why;
		call->answer.result = f->broken;
	} else if (ebb_fetch_transfer_begin(call, &f->curl) == 0 &&
		   f->curl.multi_add_handle(f->multi, call->easy) == CURLM_OK) {
		return;
	} else {
		ebb_fetch_transfer_end(call, CURLE_OUT_OF_MEMORY);
	}
	finish(f, call);
}

/* What the loop wants of this one. */
enum wish {
	WISH_NONE,
	WISH_BEGIN,
	WISH_END,
	WISH_GO_ON, /* it was paused, and there is room again */
	WISH_LATE,  /* the deadline of a stream's head is over */
};

static enum wish wish_of(struct ebb_fetch_call *call, uint64_t now_ns)
{
	if (call->finished)
		return WISH_NONE;
	if (call->cancelled)
		return WISH_END;
	if (!call->started_ns) {
		call->started_ns = now_ns;
		return WISH_BEGIN;
	}
	if (call->request.line && !call->opened && now_ns - call->started_ns > call->request.deadline_ns)
		return WISH_LATE;
	if (call->paused && !ebb_fetch_whole_lines(call)) {
		call->paused = false;
		return WISH_GO_ON;
	}
	return WISH_NONE;
}

/* With the lock not held: only this thread finishes a call, and only what is finished is freed. */
static void grant(struct ebb_fetch *f, struct ebb_fetch_call *call, enum wish wish)
{
	switch (wish) {
	case WISH_NONE:
		break;
	case WISH_BEGIN:
		begin(f, call);
		break;
	case WISH_END:
		if (call->easy)
			end(f, call, CURLE_ABORTED_BY_CALLBACK);
		else
			finish(f, call);
		break;
	case WISH_GO_ON:
		(void)f->curl.easy_pause(call->easy, CURLPAUSE_CONT);
		break;
	case WISH_LATE:
		end(f, call, CURLE_OPERATION_TIMEDOUT);
		break;
	}
}

/* The first one of which something is wanted, or NULL. */
static struct ebb_fetch_call *find_wish(struct ebb_fetch *f, enum wish *ret_wish, bool *ret_stop)
{
	uint64_t now_ns = now_monotonic();
	struct ebb_fetch_call *call;

	(void)pthread_mutex_lock(&f->lock);
	*ret_stop = f->stop;
	for (call = f->calls; call; call = call->next) {
		*ret_wish = wish_of(call, now_ns);
		if (*ret_wish != WISH_NONE)
			break;
	}
	(void)pthread_mutex_unlock(&f->lock);
	return call;
}

/* False: stop. */
static bool grant_all(struct ebb_fetch *f)
{
	struct ebb_fetch_call *call;
	enum wish wish;
	bool stop;

	while ((call = find_wish(f, &wish, &stop)) && !stop)
		grant(f, call, wish);
	return !stop;
}

static void collect(struct ebb_fetch *f)
{
	const CURLMsg *message;
	int left;

	while ((message = f->curl.multi_info_read(f->multi, &left))) {
		struct ebb_fetch_call *call = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)f->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		end(f, call, message->data.result);
	}
}

static void load(struct ebb_fetch *f)
{
	f->broken = ebb_curl_load(&f->curl, &f->why);
	if (f->broken < 0)
		return;
	f->multi = f->curl.multi_init();
	if (!f->multi)
		f->broken = ebb_why(&f->why, -ENOMEM, "out of memory");
}

static void wait_for_work(struct ebb_fetch *f)
{
	struct curl_waitfd wake = {.fd = f->wake_fd, .events = CURL_WAIT_POLLIN};

	(void)f->curl.multi_poll(f->multi, &wake, 1, POLL_MS, NULL);
	drain(f->wake_fd);
}

/* Without the library: every request fails at once. */
static void wait_without_library(const struct ebb_fetch *f)
{
	struct pollfd wake = {.fd = f->wake_fd, .events = POLLIN};

	(void)poll(&wake, 1, -1);
	drain(f->wake_fd);
}

static void *work(void *argument)
{
	struct ebb_fetch *f = argument;
	int running;

	load(f);
	while (grant_all(f)) {
		if (f->broken < 0) {
			wait_without_library(f);
			continue;
		}
		(void)f->curl.multi_perform(f->multi, &running);
		collect(f);
		wait_for_work(f);
	}
	for (struct ebb_fetch_call *call = f->calls; call; call = call->next) {
		if (call->easy)
			end(f, call, CURLE_ABORTED_BY_CALLBACK);
	}
	if (f->multi)
		(void)f->curl.multi_cleanup(f->multi);
	return NULL;
}

/* ------------------------------------------------------------------- loop -- */

int ebb_fetch_new(struct ebb_fetch **ret_fetch)
{
	struct ebb_fetch *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	(void)pthread_mutex_init(&f->lock, NULL);
	f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->wake_fd < 0 || f->ready_fd < 0) {
		r = -errno;
		ebb_fetch_free(f);
		return r;
	}
	*ret_fetch = f;
	return 0;
}

static int start_thread(struct ebb_fetch *f, struct ebb_why *why)
{
	int r;

	if (f->started)
		return 0;
	r = ebb_thread_start(&f->thread, work, f);
	if (r < 0)
		return ebb_why(why, r, "no thread for outgoing requests: %s", ebb_strerror(r));
	f->started = true;
	return 0;
}

int ebb_fetch_start(struct ebb_fetch *f, const struct ebb_fetch_request *request, uint64_t *ret_id,
		    struct ebb_why *why)
{
	struct ebb_fetch_call *call = NULL;
	int r;

	assert(request->url && request->done);
	if (f->count >= EBB_FETCH_CALLS_MAX)
		return ebb_why(why, -EBUSY, "%d requests are under way already", EBB_FETCH_CALLS_MAX);
	r = ebb_fetch_call_new(request, &call, why);
	if (r < 0)
		return r;
	r = start_thread(f, why);
	if (r < 0) {
		ebb_fetch_call_free(call);
		return r;
	}
	call->id = ++f->last_id;
	call->lock = &f->lock;
	call->ready_fd = f->ready_fd;
	(void)pthread_mutex_lock(&f->lock);
	call->next = f->calls;
	f->calls = call;
	f->count++;
	(void)pthread_mutex_unlock(&f->lock);
	ebb_fetch_signal(f->wake_fd);
	if (ret_id)
		*ret_id = call->id;
	return 0;
}

void ebb_fetch_cancel(struct ebb_fetch *f, uint64_t id)
{
	(void)pthread_mutex_lock(&f->lock);
	for (struct ebb_fetch_call *call = f->calls; call; call = call->next) {
		if (call->id == id)
			call->cancelled = true;
	}
	(void)pthread_mutex_unlock(&f->lock);
	ebb_fetch_signal(f->wake_fd);
}

int ebb_fetch_fd(const struct ebb_fetch *f)
{
	return f->ready_fd;
}

/* The whole lines that have come; the rest stays. With the lock held. */
static char *take_lines(struct ebb_fetch_call *call, size_t *ret_length)
{
	size_t length = call->opened ? ebb_fetch_whole_lines(call) : 0;
	char *lines;

	if (!length)
		return NULL;
	lines = malloc(length + 1);
	if (!lines)
		return NULL; /* they are still there the next time */
	memcpy(lines, call->text, length);
	lines[length] = '\0';
	call->length -= length;
	memmove(call->text, call->text + length, call->length + 1);
	*ret_length = length;
	return lines;
}

/* Each line ends with a newline. A callback may cancel the request: hence the look at each. */
static void hand_over(const struct ebb_fetch_call *call, char *lines, size_t length)
{
	const struct ebb_fetch_request *request = &call->request;

	for (char *line = lines; line < lines + length && !call->cancelled;) {
		char *newline = memchr(line, '\n', length - (size_t)(line - lines));

		*newline = '\0';
		request->line(request->userdata, line, (size_t)(newline - line));
		line = newline + 1;
	}
}

static void tell_end(struct ebb_fetch_call *call)
{
	struct ebb_fetch_answer *answer = &call->answer;

	answer->why = call->why.text;
	answer->body = call->text ? call->text : "";
	answer->body_size = call->length;
	call->request.done(call->request.userdata, answer);
}

/* Tells of one call all there is. True: it is over and out of the list. */
static bool tell(struct ebb_fetch *f, struct ebb_fetch_call *call)
{
	_cleanup_free_ char *lines = NULL;
	bool opens, finished, resume;
	size_t length = 0;

	(void)pthread_mutex_lock(&f->lock);
	finished = call->finished;
	opens = call->opened && !call->told_opened;
	call->told_opened = call->opened;
	lines = take_lines(call, &length);
	resume = call->paused;
	(void)pthread_mutex_unlock(&f->lock);
	if (resume)
		ebb_fetch_signal(f->wake_fd);
	if (opens && call->request.opened && !call->cancelled)
		call->request.opened(call->request.userdata);
	if (lines)
		hand_over(call, lines, length);
	if (finished && !call->cancelled)
		tell_end(call);
	return finished;
}

static void unlink_call(struct ebb_fetch *f, const struct ebb_fetch_call *call)
{
	struct ebb_fetch_call **at = &f->calls;

	(void)pthread_mutex_lock(&f->lock);
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	f->count--;
	(void)pthread_mutex_unlock(&f->lock);
}

void ebb_fetch_dispatch(struct ebb_fetch *f)
{
	struct ebb_fetch_call *call, *next;

	drain(f->ready_fd);
	/* new ones come in front, and only this function takes any out: so the rest of the list stands */
	for (call = f->calls; call; call = next) {
		bool over = tell(f, call);

		next = call->next;
		if (!over)
			continue;
		unlink_call(f, call);
		ebb_fetch_call_free(call);
	}
}

void ebb_fetch_free(struct ebb_fetch *f)
{
	if (!f)
		return;
	if (f->started) {
		(void)pthread_mutex_lock(&f->lock);
		f->stop = true;
		(void)pthread_mutex_unlock(&f->lock);
		ebb_fetch_signal(f->wake_fd);
		(void)pthread_join(f->thread, NULL);
	}
	for (struct ebb_fetch_call *call = f->calls, *next; call; call = next) {
		next = call->next;
		ebb_fetch_call_free(call);
	}
	if (f->wake_fd >= 0)
		(void)close(f->wake_fd);
	if (f->ready_fd >= 0)
		(void)close(f->ready_fd);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

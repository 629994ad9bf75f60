/* SPDX-License-Identifier: Apache-2.0 */
#include "export/metrics_sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hist.h"
#include "export/gzip.h"
#include "export/otlp_metrics.h"
#include "lib/cleanup.h"

#define NEVER UINT64_MAX

/* Items and samples of a slice (docs/performance.md), and how long others have their turn after it. */
#define SLICE_WORK  500
#define PAUSE_NS    1000000ULL
#define CHUNK_BYTES (16U << 10)

/* A clock that was set; less is two clocks that were not read at the same moment. */
#define CLOCK_SET_NS 1000000000LL

struct ebb_metrics_sender {
	struct ebb_metrics_sender_setup setup;
	uint64_t interval_ns;
	struct ebb_otlp_outbox box; /* the body that is made or sent */
	size_t room;		    /* of its memory */

	uint64_t due_ns; /* the next look */
	bool finish;	 /* one more, at once */
	bool finished;
	int64_t realtime_minus_mono;
	uint64_t worked_ns;		 /* for the present look */
	struct ebb_otlp_metrics *writer; /* NULL: between two looks */
	bool in_body;
	struct ebb_gzip *gzip; /* of the present body; NULL: plain */
};

int ebb_metrics_sender_new(const struct ebb_metrics_sender_setup *setup,
			   struct ebb_metrics_sender **ret_sender)
{
	struct ebb_metrics_sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->setup = *setup;
	s->interval_ns = setup->settings->interval_ns;
	s->due_ns = setup->first_ns;
	s->box.send = setup->send;
	s->box.userdata = setup->userdata;
	r = ebb_otlp_outbox_init(&s->box, EBB_OTLP_METRICS, "otlp metrics", setup->settings, setup->version,
				 &setup->delivery);
	s->setup.settings = NULL;
	if (r < 0) {
		ebb_metrics_sender_free(s);
		return r;
	}
	*ret_sender = s;
	return 0;
}

void ebb_metrics_sender_free(struct ebb_metrics_sender *sender)
{
	if (!sender)
		return;
	ebb_gzip_free(sender->gzip);
	ebb_otlp_metrics_free(sender->writer);
	ebb_otlp_outbox_done(&sender->box);
	free(sender);
}

void ebb_metrics_sender_finish(struct ebb_metrics_sender *sender)
{
	sender->finish = true;
}

/* -------------------------------------------------------------------- look -- */

/* Starts of counters must not move, unless the clock did. */
static void look_at_clocks(struct ebb_metrics_sender *s)
{
	int64_t now = s->setup.source->realtime_ns() - (int64_t)s->setup.source->now_ns();
	int64_t moved = now - s->realtime_minus_mono;

	if (moved > CLOCK_SET_NS || moved < -CLOCK_SET_NS)
		s->realtime_minus_mono = now;
}

static void begin_look(struct ebb_metrics_sender *s, uint64_t now_ns)
{
	struct ebb_otlp_metrics_setup setup = {
		.source = s->setup.source,
		.head = s->box.head,
		.head_size = s->box.head_size,
	};

	look_at_clocks(s);
	setup.realtime_minus_mono = s->realtime_minus_mono;
	s->worked_ns = 0;
	/* those that it missed are not made up for */
	if (s->due_ns <= now_ns)
		s->due_ns += ((now_ns - s->due_ns) / s->interval_ns + 1) * s->interval_ns;
	s->finished = s->finish;
	/* without memory there is the next one */
	(void)ebb_otlp_metrics_new(&setup, &s->writer);
}

static void end_look(struct ebb_metrics_sender *s)
{
	uint64_t units = s->worked_ns / EBB_HIST_UNIT_NS;

	ebb_otlp_metrics_free(TAKE_PTR(s->writer));
	s->setup.worked->buckets[ebb_hist_bucket(units)]++;
	s->setup.worked->sum_units += units;
}

/* -------------------------------------------------------------------- body -- */

static ssize_t read_writer(void *userdata, char *buffer, size_t size)
{
	return ebb_otlp_metrics_next(userdata, buffer, size);
}

static void drop_body(struct ebb_metrics_sender *s)
{
	s->box.results[EBB_SPAN_DROPPED] += ebb_otlp_metrics_points(s->writer);
	ebb_otlp_outbox_empty(&s->box);
}

static void end_body(struct ebb_metrics_sender *s)
{
	ebb_gzip_free(TAKE_PTR(s->gzip));
	s->in_body = false;
}

/* 1: it is begun. 0: all of the look is there. -EAGAIN, -ENOMEM. */
static int begin_body(struct ebb_metrics_sender *s)
{
	int r = ebb_otlp_metrics_begin(s->writer);

	if (r <= 0)
		return r;
	s->room = 0;
	s->in_body = true;
	if (s->box.gzip)
		r = ebb_gzip_new(read_writer, s->writer, &s->gzip);
	return r < 0 ? r : 1;
}

static int make_room(struct ebb_metrics_sender *s)
{
	size_t room = s->room ? 2 * s->room : (size_t)4 * CHUNK_BYTES;
	char *body;

	if (s->room - s->box.body_size >= CHUNK_BYTES)
		return 0;
	body = realloc(s->box.body, room);
	if (!body)
		return -ENOMEM;
	s->box.body = body;
	s->room = room;
	return 0;
}

/* 0: the body is whole. -EAGAIN: the slice is over. -ENOMEM. */
static int fill_body(struct ebb_metrics_sender *s)
{
	struct ebb_otlp_outbox *box = &s->box;
	ssize_t n;

	do {
		char *end;

		if (make_room(s) < 0)
			return -ENOMEM;
		end = box->body + box->body_size;
		n = s->gzip ? ebb_gzip_next(s->gzip, end, CHUNK_BYTES)
			    : ebb_otlp_metrics_next(s->writer, end, CHUNK_BYTES);
		box->body_size += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return (int)n;
}

/* Does a slice of work. 1: a body waits to be sent. 0: the look is over. -EAGAIN: go on later. */
static int work(struct ebb_metrics_sender *s)
{
	int r = 1;

	ebb_otlp_metrics_allow(s->writer, SLICE_WORK);
	if (!s->in_body)
		r = begin_body(s);
	if (r > 0)
		r = fill_body(s);
	else if (r == 0)
		return 0;
	if (r == -EAGAIN)
		return r;
	end_body(s);
	if (r < 0) {
		drop_body(s);
		return 0;
	}
	s->box.items = ebb_otlp_metrics_points(s->writer);
	return 1;
}

static int timed_work(struct ebb_metrics_sender *s, uint64_t now_ns)
{
	uint64_t start = s->setup.source->now_ns();
	int r = 0;

	if (!s->writer)
		begin_look(s, now_ns);
	if (s->writer)
		r = work(s);
	s->worked_ns += s->setup.source->now_ns() - start;
	return r;
}

static bool look_is_due(const struct ebb_metrics_sender *s, uint64_t now_ns)
{
	return s->finish ? !s->finished : now_ns >= s->due_ns;
}

uint64_t ebb_metrics_sender_run(struct ebb_metrics_sender *s, uint64_t now_ns)
{
	int r = 1;

	if (!s->box.items) {
		if (!s->writer && !look_is_due(s, now_ns))
			return s->finish ? NEVER : s->due_ns;
		r = timed_work(s, now_ns);
	}
	if (r == -EAGAIN)
		return now_ns + PAUSE_NS;
	if (r == 0) {
		end_look(s);
		return s->finish ? now_ns + PAUSE_NS : s->due_ns;
	}
	return ebb_otlp_outbox_try(&s->box, now_ns);
}

void ebb_metrics_sender_answer(struct ebb_metrics_sender *s, const struct ebb_otlp_answer *answer,
			       uint64_t after_ns, uint64_t now_ns)
{
	enum ebb_delivery_fate fate = ebb_otlp_outbox_answer(&s->box, answer, after_ns, now_ns);

	/* nobody there for so long: the rest would wait as long, and the next look says it all */
	if (fate == EBB_DELIVERY_DEAD && answer->result != EBB_SINK_REFUSED)
		end_look(s);
}

void ebb_metrics_sender_status(const struct ebb_metrics_sender *s,
			       struct ebb_metrics_sender_status *ret_status)
{
	memcpy(ret_status->points, s->box.results, sizeof(ret_status->points));
	ret_status->waiting = s->box.items;
	ret_status->pushing = s->writer || (s->finish && !s->finished);
	ret_status->failing = s->box.failing;
	(void)snprintf(ret_status->why, sizeof(ret_status->why), "%s", s->box.why);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/outlet.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/own_dir.h"
#include "lib/thread.h"

#define SPOOL_AGAIN_NS EBB_NS_PER_S /* what the disk did not take */
#define SYNC_NS	       EBB_NS_PER_S /* so much may be lost when the power fails */
#define COUNT_NS       (5 * EBB_NS_PER_S)
#define NEVER	       UINT64_MAX

/*
 * Two threads, two locks. Who takes both takes that of the spool first, and that of the queue for moments only: the loop waits
 * for it.
 */
struct ebb_audit {
	char dir[PATH_MAX], spool_dir[PATH_MAX], dead_dir[PATH_MAX];
	uint64_t spool_bytes;
	size_t queue_bytes;
	int done_fd;
	pthread_t spooler, deliverer;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t queue_changed, spool_changed;
	char *queue;
	size_t queued;
	bool wanted; /* somebody keeps events */
	bool stop;
	uint64_t stop_by_ns;
	bool replaced; /* to what is coming */
	struct ebb_audit_sinks coming;
	bool reopen; /* the spool was closed: it has other readers */
	bool more;   /* in the spool than the deliverer has seen */
	struct ebb_audit_status status;

	struct ebb_shared_spool shared; /* its lock is also that of what follows */
	uint64_t spool_at_ns;		/* when what the disk did not take is tried again */
	uint64_t sync_ns;		/* when it is due; NEVER: all is there */
	uint64_t spooled;
	bool stuck;
	char stuck_why[200];

	/* of the spooler; it changes places with the queue */
	char *taken; /* out of the queue, and not in the spool yet */
	size_t taken_bytes;

	/* of the deliverer */
	uint64_t count_ns; /* when dead letters are counted again */
	struct ebb_deadletter_count dead;
	struct ebb_outlet outlets[EBB_SPOOL_READERS_MAX];
	size_t outlet_count;
	struct ebb_outlet_batch batch;
};

/* ------------------------------------------------------------------ queue -- */

int ebb_audit_put(struct ebb_audit *a, const struct ebb_audit_event *event)
{
	char line[EBB_AUDIT_LINE_MAX], id[EBB_AUDIT_ID_MAX];
	uint8_t random[10];
	int length, r = 0;

	if (!a)
		return 0;
	if (!event->random && getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	ebb_audit_id(event->realtime_ns, event->random ? event->random : random, id);
	length = ebb_audit_line(event, id, line, sizeof(line));
	(void)pthread_mutex_lock(&a->lock);
	if (length < 0)
		r = length;
	else if (a->queued + (size_t)length > a->queue_bytes)
		r = -ENOBUFS;
	if (!a->wanted) {
		r = 0;
	} else if (r < 0) {
		a->status.refused++;
	} else {
		memcpy(a->queue + a->queued, line, (size_t)length);
		a->queued += (size_t)length;
		a->status.accepted++;
		(void)pthread_cond_signal(&a->queue_changed);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return r;
}

/* The other buffer for the one that the loop has filled. */
static void take_queue(struct ebb_audit *a)
{
	char *other = a->taken;

	a->taken = a->queue;
	a->taken_bytes = a->queued;
	a->queue = other;
	a->queued = 0;
}

/* Until @changed, or @until_ns. 0 or ETIMEDOUT. */
static int wait_until(struct ebb_audit *a, pthread_cond_t *changed, uint64_t until_ns)
{
	const struct timespec ts = {.tv_sec = (time_t)(until_ns / EBB_NS_PER_S),
				    .tv_nsec = (long)(until_ns % EBB_NS_PER_S)};

	if (until_ns == NEVER)
		return pthread_cond_wait(changed, &a->lock);
	return pthread_cond_timedwait(changed, &a->lock, &ts);
}

/* Until there is something to spool. False: stop. */
static bool wait_for_events(struct ebb_audit *a, uint64_t until_ns)
{
	bool go_on;
	int r = 0;

	(void)pthread_mutex_lock(&a->lock);
	while (!a->stop && !a->reopen && r != ETIMEDOUT && (a->queued == 0 || a->taken_bytes))
		r = wait_until(a, &a->queue_changed, until_ns);
	go_on = !a->stop;
	a->reopen = false;
	if (a->taken_bytes == 0)
		take_queue(a);
	(void)pthread_mutex_unlock(&a->lock);
	return go_on;
}

/* Until there is something to deliver. False: stop. */
static bool wait_for_spool(struct ebb_audit *a, uint64_t until_ns)
{
	bool go_on;
	int r = 0;

	(void)pthread_mutex_lock(&a->lock);
	while (!a->stop && !a->replaced && !a->more && r != ETIMEDOUT)
		r = wait_until(a, &a->spool_changed, until_ns);
	go_on = !a->stop;
	a->more = false;
	(void)pthread_mutex_unlock(&a->lock);
	return go_on;
}

/* ----------------------------------------------------------------- status -- */

static void wake(struct ebb_audit *a, bool *flag, pthread_cond_t *changed)
{
	(void)pthread_mutex_lock(&a->lock);
	*flag = true;
	(void)pthread_cond_signal(changed);
	(void)pthread_mutex_unlock(&a->lock);
}

static void publish_spool(struct ebb_audit *a)
{
	a->status.spooled = a->spooled;
	a->status.stuck = a->stuck;
	memcpy(a->status.why, a->stuck_why, sizeof(a->status.why));
	for (size_t i = 0; i < a->shared.reader_count; i++)
		a->status.sinks[i].waiting = a->shared.waiting[i];
}

/* By the deliverer, whose sinks they are. */
static void publish_locked(struct ebb_audit *a)
{
	(void)pthread_mutex_lock(&a->lock);
	a->status.dead = a->dead;
	a->status.sink_count = a->outlet_count;
	for (size_t i = 0; i < a->outlet_count; i++)
		a->status.sinks[i] = a->outlets[i].status;
	publish_spool(a);
	(void)pthread_mutex_unlock(&a->lock);
}

static void publish(struct ebb_audit *a)
{
	(void)pthread_mutex_lock(&a->shared.lock);
	publish_locked(a);
	(void)pthread_mutex_unlock(&a->shared.lock);
}

/* ------------------------------------------------------------------ sinks -- */

static void close_outlets(struct ebb_audit *a)
{
	for (size_t i = 0; i < a->outlet_count; i++)
		ebb_outlet_done(&a->outlets[i]);
	a->outlet_count = 0;
}

static void drop_sinks(struct ebb_audit_sinks *to)
{
	for (size_t i = 0; i < to->count; i++)
		to->sinks[i].ops->free(to->sinks[i].data);
	to->count = 0;
}

/* A sink that was there before goes on counting. */
static void keep_counters(const struct ebb_audit *a, struct ebb_audit_sink_status *status)
{
	for (size_t i = 0; i < a->status.sink_count; i++) {
		const struct ebb_audit_sink_status *before = &a->status.sinks[i];

		if (strcmp(before->name, status->name) != 0)
			continue;
		status->delivered = before->delivered;
		status->dead = before->dead;
		memcpy(status->attempts, before->attempts, sizeof(status->attempts));
	}
}

static void open_outlets(struct ebb_audit *a, const struct ebb_audit_sinks *to)
{
	for (size_t i = 0; i < to->count; i++) {
		ebb_outlet_init(&a->outlets[i], i, &to->sinks[i], &to->deliveries[i]);
		keep_counters(a, &a->outlets[i].status);
		a->shared.names[i] = a->outlets[i].status.name;
		a->shared.waiting[i] = 0;
	}
	a->outlet_count = a->shared.reader_count = to->count;
}

void ebb_audit_replace(struct ebb_audit *a, const struct ebb_audit_sinks *to)
{
	(void)pthread_mutex_lock(&a->lock);
	drop_sinks(&a->coming);
	a->coming = *to;
	a->replaced = true;
	a->wanted = to->count > 0;
	(void)pthread_cond_signal(&a->spool_changed);
	(void)pthread_mutex_unlock(&a->lock);
}

/* ------------------------------------------------------------------ spool -- */

static void set_stuck(struct ebb_audit *a, const struct ebb_why *why, uint64_t now)
{
	if (!a->stuck)
		ebb_warn("%s: events wait in memory, and when that is full they are not kept", why->text);
	a->stuck = true;
	(void)snprintf(a->stuck_why, sizeof(a->stuck_why), "%.*s", (int)sizeof(a->stuck_why) - 1, why->text);
	a->spool_at_ns = now + SPOOL_AGAIN_NS;
}

static void set_free(struct ebb_audit *a)
{
	if (a->stuck)
		ebb_info("the spool of the audit log takes events again");
	a->stuck = false;
}

static int open_spool(struct ebb_audit *a, struct ebb_why *why)
{
	const struct ebb_spool_setup setup = {
		.dir = a->spool_dir,
		.max_bytes = a->spool_bytes,
		.segment_bytes = EBB_SPOOL_SEGMENT_BYTES,
	};

	int r = ebb_own_dir(a->dir, why);

	return r < 0 ? r : ebb_shared_spool_open(&a->shared, &setup, why);
}

static bool have_spool(struct ebb_audit *a, uint64_t now)
{
	struct ebb_why why = {0};

	if (a->shared.spool || now < a->spool_at_ns)
		return a->shared.spool;
	if (open_spool(a, &why) < 0)
		set_stuck(a, &why, now);
	else
		set_free(a);
	return a->shared.spool;
}

static uint64_t count_lines(const char *text, size_t length)
{
	const char *end = text + length;
	uint64_t count = 0;

	for (; (text = memchr(text, '\n', (size_t)(end - text))); text++)
		count++;
	return count;
}

/*
 * What is taken out of the queue stays with us until the disk has it: the queue fills up behind it. What waits in the spool
 * from an earlier run goes on also while there is nothing new. What was accepted before the last sink went is put there too,
 * for the sinks that come.
 */
static void put_into_spool(struct ebb_audit *a, uint64_t now)
{
	struct ebb_why why = {0};
	uint64_t count = count_lines(a->taken, a->taken_bytes);

	if (a->shared.reader_count == 0 && a->taken_bytes == 0) {
		/* nothing waits, and nobody looks whether it could be opened now */
		a->stuck = false;
		return;
	}
	if (!have_spool(a, now) || a->taken_bytes == 0 || now < a->spool_at_ns)
		return;
	if (ebb_shared_spool_append(&a->shared, a->taken, a->taken_bytes, count, &why) < 0) {
		set_stuck(a, &why, now);
		return;
	}
	set_free(a);
	a->spooled += count;
	a->taken_bytes = 0;
	if (a->sync_ns == NEVER)
		a->sync_ns = now + SYNC_NS;
}

static void sync_spool(struct ebb_audit *a, uint64_t now)
{
	struct ebb_why why = {0};

	if (now < a->sync_ns)
		return;
	a->sync_ns = NEVER;
	if (a->shared.spool && ebb_spool_sync(a->shared.spool, &why) < 0)
		ebb_warn("%s: trying again with the next events", why.text);
}

/* Nobody comes back to it. */
static void sync_last(struct ebb_audit *a)
{
	const bool added = a->sync_ns != NEVER;
	struct ebb_why why = {0};

	a->sync_ns = NEVER;
	if (a->shared.spool && ebb_spool_sync(a->shared.spool, &why) < 0 && added)
		ebb_warn("%s: what was added last is lost if the power fails", why.text);
}

/* Returns when to come back. */
static uint64_t spool_once(struct ebb_audit *a)
{
	uint64_t now = ebb_clock_monotonic(), next;

	(void)pthread_mutex_lock(&a->shared.lock);
	put_into_spool(a, now);
	sync_spool(a, now);
	next = a->sync_ns;
	if (a->taken_bytes || (a->shared.reader_count && !a->shared.spool))
		next = ebb_earlier(next, a->spool_at_ns);
	(void)pthread_mutex_lock(&a->lock);
	publish_spool(a);
	a->more = true;
	(void)pthread_cond_signal(&a->spool_changed);
	(void)pthread_mutex_unlock(&a->lock);
	(void)pthread_mutex_unlock(&a->shared.lock);
	return next;
}

/* All that is in memory, to the spool. */
static void spool_all(struct ebb_audit *a)
{
	(void)pthread_mutex_lock(&a->shared.lock);
	for (int i = 0; i < 2; i++) {
		a->spool_at_ns = 0;
		put_into_spool(a, ebb_clock_monotonic());
		(void)wait_for_events(a, 0);
	}
	sync_last(a);
	(void)pthread_mutex_unlock(&a->shared.lock);
}

static void *spool_events(void *argument)
{
	struct ebb_audit *a = argument;
	uint64_t next = 0;

	while (wait_for_events(a, next))
		next = spool_once(a);
	spool_all(a);
	return NULL;
}

/* ---------------------------------------------------------------- deliver -- */

static void go_over(struct ebb_audit *a)
{
	struct ebb_audit_sinks to;
	bool replaced;

	(void)pthread_mutex_lock(&a->lock);
	replaced = a->replaced;
	to = a->coming;
	a->replaced = false;
	a->coming.count = 0;
	(void)pthread_mutex_unlock(&a->lock);
	if (!replaced)
		return;
	(void)pthread_mutex_lock(&a->shared.lock);
	sync_last(a);
	/* its cursors are those of the sinks */
	ebb_shared_spool_close(&a->shared);
	a->spool_at_ns = 0;
	close_outlets(a);
	open_outlets(a, &to);
	if (a->outlet_count)
		(void)have_spool(a, ebb_clock_monotonic());
	publish_locked(a);
	(void)pthread_mutex_unlock(&a->shared.lock);
	wake(a, &a->reopen, &a->queue_changed);
}

/* Files that commands change, too. */
static void count_dead(struct ebb_audit *a, uint64_t now)
{
	if (now < a->count_ns)
		return;
	a->count_ns = now + COUNT_NS;
	ebb_deadletter_count(a->dead_dir, &a->dead);
}

/* One batch for each sink that is due; returns when to come back. */
static uint64_t deliver_once(struct ebb_audit *a)
{
	uint64_t now = ebb_clock_monotonic(), next;
	bool more = false;

	go_over(a);
	count_dead(a, now);
	/* a sink may take its time */
	publish(a);
	next = a->count_ns;
	for (size_t i = 0; i < a->outlet_count; i++) {
		ebb_outlet_upkeep(&a->outlets[i], now);
		more |= ebb_outlet_deliver(&a->outlets[i], &a->shared, a->dead_dir, &a->batch, now);
		next = ebb_earlier(next, ebb_outlet_due_ns(&a->outlets[i], &a->shared, now));
	}
	publish(a);
	return more ? 0 : next;
}

static void tell_left(const struct ebb_audit *a)
{
	for (size_t i = 0; i < a->outlet_count; i++) {
		if (a->shared.waiting[i])
			ebb_warn("events wait in the spool for the next start: sink=%s count=%llu",
				 a->shared.names[i], (unsigned long long)a->shared.waiting[i]);
	}
}

/* Each sink in turn, as long as it takes what is there, and there is time. The spooler has ended. */
static void flush(struct ebb_audit *a)
{
	uint64_t now = ebb_clock_monotonic();

	go_over(a);
	spool_all(a);
	for (size_t i = 0; i < a->outlet_count; i++) {
		while (now < a->stop_by_ns &&
		       ebb_outlet_deliver(&a->outlets[i], &a->shared, a->dead_dir, &a->batch, now))
			now = ebb_clock_monotonic();
	}
	sync_last(a);
	publish(a);
}

static void *deliver_events(void *argument)
{
	struct ebb_audit *a = argument;
	uint64_t next = 0, one = 1;

	while (wait_for_spool(a, next))
		next = deliver_once(a);
	(void)pthread_join(a->spooler, NULL);
	flush(a);
	(void)!write(a->done_fd, &one, sizeof(one));
	return NULL;
}

/* -------------------------------------------------------------- lifecycle -- */

static int init_locks(struct ebb_audit *a)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	int r;

	(void)pthread_mutexattr_init(&mutex);
	/* the loop may have real-time priority, and the threads never have */
	(void)pthread_mutexattr_setprotocol(&mutex, PTHREAD_PRIO_INHERIT);
	(void)pthread_mutex_init(&a->lock, &mutex);
	(void)pthread_mutex_init(&a->shared.lock, NULL);
	(void)pthread_condattr_init(&cond);
	(void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	r = pthread_cond_init(&a->queue_changed, &cond);
	return r ? -r : -pthread_cond_init(&a->spool_changed, &cond);
}

/* The deliverer waits for the spooler, and so it is started last. */
static int start_threads(struct ebb_audit *a, struct ebb_why *why)
{
	int r = ebb_thread_start(&a->spooler, spool_events, a);

	if (r == 0) {
		r = ebb_thread_start(&a->deliverer, deliver_events, a);
		if (r < 0) {
			ebb_audit_stop(a, 0);
			(void)pthread_join(a->spooler, NULL);
		}
	}
	return r < 0 ? ebb_why(why, r, "cannot start a thread: %s", ebb_strerror(r)) : 0;
}

static int name_dirs(struct ebb_audit *a, const char *dir, struct ebb_why *why)
{
	if ((size_t)snprintf(a->dir, sizeof(a->dir), "%s", dir) >= sizeof(a->dir) ||
	    (size_t)snprintf(a->spool_dir, sizeof(a->spool_dir), "%s/spool", dir) >= sizeof(a->spool_dir) ||
	    (size_t)snprintf(a->dead_dir, sizeof(a->dead_dir), "%s/deadletter", dir) >= sizeof(a->dead_dir))
		return ebb_why(why, -ENAMETOOLONG, "the path of the spool is too long");
	return 0;
}

static int start(struct ebb_audit *a, const struct ebb_audit_setup *setup, struct ebb_why *why)
{
	int r = name_dirs(a, setup->dir, why);

	if (r < 0)
		return r;
	a->queue = malloc(setup->queue_bytes);
	a->taken = malloc(setup->queue_bytes);
	a->batch.text = malloc(EBB_OUTLET_BATCH_BYTES);
	a->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!a->queue || !a->taken || !a->batch.text || a->done_fd < 0)
		return ebb_why(why, -ENOMEM, "out of memory");
	a->wanted = setup->to.count > 0;
	open_outlets(a, &setup->to);
	/* so that a status is whole from the beginning */
	if (a->outlet_count)
		(void)have_spool(a, ebb_clock_monotonic());
	publish(a);
	r = start_threads(a, why);
	/* the sinks stay the caller's */
	if (r < 0)
		a->outlet_count = 0;
	return r;
}

static void free_all(struct ebb_audit *a)
{
	close_outlets(a);
	ebb_shared_spool_close(&a->shared);
	drop_sinks(&a->coming);
	free(a->queue);
	free(a->taken);
	free(a->batch.text);
	if (a->done_fd >= 0)
		(void)close(a->done_fd);
	(void)pthread_mutex_destroy(&a->lock);
	(void)pthread_mutex_destroy(&a->shared.lock);
	(void)pthread_cond_destroy(&a->queue_changed);
	(void)pthread_cond_destroy(&a->spool_changed);
	free(a);
}

int ebb_audit_new(const struct ebb_audit_setup *setup, struct ebb_audit **ret_audit, struct ebb_why *why)
{
	struct ebb_audit *a;
	int r;

	if (setup->to.count > EBB_SPOOL_READERS_MAX)
		return ebb_why(why, -E2BIG, "too many sinks");
	a = calloc(1, sizeof(*a));
	if (!a)
		return ebb_why(why, -ENOMEM, "out of memory");
	a->spool_bytes = setup->spool_bytes;
	a->queue_bytes = setup->queue_bytes;
	a->sync_ns = NEVER;
	a->done_fd = -1;
	r = init_locks(a);
	r = r < 0 ? ebb_why(why, r, "cannot make a lock") : start(a, setup, why);
	if (r < 0) {
		free_all(a);
		return r;
	}
	*ret_audit = a;
	return 0;
}

void ebb_audit_status(struct ebb_audit *a, struct ebb_audit_status *ret_status)
{
	(void)pthread_mutex_lock(&a->lock);
	*ret_status = a->status;
	(void)pthread_mutex_unlock(&a->lock);
}

void ebb_audit_stop(struct ebb_audit *a, uint64_t timeout_ns)
{
	(void)pthread_mutex_lock(&a->lock);
	if (!a->stop)
		a->stop_by_ns = ebb_clock_monotonic() + timeout_ns;
	a->stop = true;
	(void)pthread_cond_signal(&a->queue_changed);
	(void)pthread_cond_signal(&a->spool_changed);
	(void)pthread_mutex_unlock(&a->lock);
}

int ebb_audit_done_fd(const struct ebb_audit *a)
{
	return a->done_fd;
}

void ebb_audit_free(struct ebb_audit *a, uint64_t timeout_ns)
{
	if (!a)
		return;
	ebb_audit_stop(a, timeout_ns);
	(void)pthread_join(a->deliverer, NULL);
	/* what came meanwhile */
	go_over(a);
	spool_all(a);
	if (a->taken_bytes || a->queued)
		ebb_warn("events are lost, the spool did not take them: count=%llu; %s",
			 (unsigned long long)(a->status.accepted - a->spooled), a->stuck_why);
	tell_left(a);
	free_all(a);
}

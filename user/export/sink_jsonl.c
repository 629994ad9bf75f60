/* SPDX-License-Identifier: Apache-2.0 */
#include "export/sink_jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

/*
 * What the end of a file is searched for what we wrote already: more than a batch. Only a batch can be there twice: the
 * cursor of the spool follows each.
 */
#define TAIL_MAX (8U << 20)

#define ID_LENGTH (EBB_AUDIT_ID_MAX - 1)

#define DEADLINE_NS   (5 * EBB_NS_PER_S)
#define LOCK_PAUSE_NS 5000000

/* An agent that is killed may tell an order by hand again, and there are no more in the maps. */
#define ORDERS_MAX 256

struct jsonl {
	char path[PATH_MAX];
	uint64_t max_bytes;
	uint32_t keep;
	int fd;			       /* -1: not open */
	bool unsure;		       /* some of the next batch may be there already */
	char (*ids)[EBB_AUDIT_ID_MAX]; /* of the tail, sorted */
	size_t id_count;
	char orders[ORDERS_MAX][EBB_AUDIT_ID_MAX]; /* ids of the last ones, in a ring */
	size_t order_count;			   /* ever */
	char *text;				   /* what is written */
	size_t room;
};

static void forget_ids(struct jsonl *j)
{
	free(j->ids);
	j->ids = NULL;
	j->id_count = 0;
}

static void close_file(struct jsonl *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);
	j->fd = -1;
}

/* ------------------------------------------------------------------- tail -- */

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void note_order(struct jsonl *j, const struct ebb_audit_record *record)
{
	if (record->event.type == EBB_AUDIT_OVERRIDE)
		memcpy(j->orders[j->order_count++ % ORDERS_MAX], record->id, EBB_AUDIT_ID_MAX);
}

static bool is_known_order(const struct jsonl *j, const struct ebb_audit_record *record)
{
	size_t count = j->order_count < ORDERS_MAX ? j->order_count : ORDERS_MAX;

	for (size_t i = 0; record->event.type == EBB_AUDIT_OVERRIDE && i < count; i++) {
		if (strcmp(j->orders[i], record->id) == 0)
			return true;
	}
	return false;
}

static int note_id(struct jsonl *j, const char *line, size_t length)
{
	struct ebb_audit_record record;
	int r = ebb_audit_parse(line, length, &record, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : 0; /* somebody else's */
	note_order(j, &record);
	if (j->id_count % 1024 == 0) {
		void *more = reallocarray(j->ids, j->id_count + 1024, sizeof(*j->ids));

		if (!more) {
			ebb_audit_record_done(&record);
			return -ENOMEM;
		}
		j->ids = more;
	}
	memcpy(j->ids[j->id_count++], record.id, EBB_AUDIT_ID_MAX);
	ebb_audit_record_done(&record);
	return 0;
}

static int note_lines(struct jsonl *j, const char *text, size_t length)
{
	const char *end = text + length, *newline;
	int r = 0;

	for (; r == 0 && (newline = memchr(text, '\n', (size_t)(end - text))); text = newline + 1)
		r = note_id(j, text, (size_t)(newline - text) + 1);
	return r;
}

/* The ids at the end of the file @fd. */
static int note_tail(struct jsonl *j, int fd)
{
	_cleanup_free_ char *text = NULL;
	size_t size, used = 0;
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0)
		return -errno;
	size = st.st_size > TAIL_MAX ? TAIL_MAX : (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	/* of what is not seen here, all would be written again */
	for (; used < size && n > 0; used += (size_t)n) {
		n = pread(fd, text + used, size - used, st.st_size - (off_t)(size - used));
		if (n < 0)
			return -errno;
	}
	return note_lines(j, text, used);
}

static int learn_tail(struct jsonl *j)
{
	char before[PATH_MAX + 16];
	_cleanup_close_ int fd = -1;
	int r;

	forget_ids(j);
	j->order_count = 0;
	(void)snprintf(before, sizeof(before), "%s.1", j->path);
	fd = open(before, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return -errno;
	r = fd < 0 ? 0 : note_tail(j, fd);
	if (r == 0)
		r = note_tail(j, j->fd);
	if (r == 0 && j->id_count)
		qsort(j->ids, j->id_count, sizeof(*j->ids), by_id);
	return r;
}

static bool is_there(const struct jsonl *j, const char *id)
{
	return j->id_count && bsearch(id, j->ids, j->id_count, sizeof(*j->ids), by_id);
}

/* ------------------------------------------------------------------- file -- */

static int open_file(struct jsonl *j)
{
	if (j->fd >= 0)
		return 0;
	/* read too: its end is looked at */
	j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return j->fd < 0 ? -errno : 0;
}

/* Others hold it for a batch. Somebody who does for longer than our deadline must not stop the other sinks. */
static int take_lock(int fd)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	uint64_t end = ebb_clock_monotonic() + DEADLINE_NS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (ebb_clock_monotonic() > end)
			return -EBUSY;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* Locked, and still the file that the path names: another process may have moved it aside meanwhile. */
static int lock_file(struct jsonl *j, struct stat *ret_st)
{
	struct stat named;
	int r;

	for (;;) {
		r = open_file(j);
		if (r < 0)
			return r;
		r = take_lock(j->fd);
		if (r < 0)
			return r;
		if (fstat(j->fd, ret_st) < 0)
			return -errno;
		if (!S_ISREG(ret_st->st_mode))
			return -ENOTSUP;
		if (stat(j->path, &named) == 0 && named.st_ino == ret_st->st_ino &&
		    named.st_dev == ret_st->st_dev)
			return 0;
		close_file(j);
		/* who writes next cannot know what was written to the one before */
		j->unsure = true;
	}
}

/* How many become older by one: up to a name that is free, or all, and then the oldest goes. */
static uint32_t count_older(const struct jsonl *j)
{
	char older[PATH_MAX + 16];
	uint32_t count = 1;

	for (; count < j->keep; count++) {
		(void)snprintf(older, sizeof(older), "%s.%u", j->path, count);
		if (access(older, F_OK) < 0)
			break;
	}
	return count;
}

/* Under the lock of the newest. Where that cannot be moved, no try pushes another one out: the name behind it is free then. */
static int rotate(struct jsonl *j)
{
	char older[PATH_MAX + 16], newer[PATH_MAX + 16];

	for (uint32_t i = count_older(j); i > 0; i--) {
		(void)snprintf(older, sizeof(older), "%s.%u", j->path, i);
		(void)snprintf(newer, sizeof(newer), "%s.%u", j->path, i - 1);
		if (rename(i > 1 ? newer : j->path, older) < 0 && errno != ENOENT)
			return errno == EBUSY ? -EXDEV : -errno;
	}
	close_file(j);
	return 0;
}

/* A line that was being written when its writer died is written again, by whoever has it in a spool. */
static int cut_torn_line(const struct jsonl *j, off_t *io_size)
{
	char last, block[EBB_AUDIT_LINE_MAX];
	size_t size = *io_size < (off_t)sizeof(block) ? (size_t)*io_size : sizeof(block);
	const char *newline;

	if (*io_size == 0 || (pread(j->fd, &last, 1, *io_size - 1) == 1 && last == '\n'))
		return 0;
	if (pread(j->fd, block, size, *io_size - (off_t)size) != (ssize_t)size)
		return -EIO;
	newline = memrchr(block, '\n', size);
	*io_size -= (off_t)size - (newline ? newline - block + 1 : 0);
	return ftruncate(j->fd, *io_size) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ write -- */

static int make_room(struct jsonl *j, const struct ebb_sink_batch *batch)
{
	size_t bytes = 0;
	char *text;

	for (size_t i = 0; i < batch->count; i++)
		bytes += batch->lengths[i];
	if (bytes <= j->room)
		return 0;
	text = realloc(j->text, bytes);
	if (!text)
		return -ENOMEM;
	j->text = text;
	j->room = bytes;
	return 0;
}

/* The lines that are not there yet, one behind the other; returns their bytes. */
static size_t gather(struct jsonl *j, const struct ebb_sink_batch *batch)
{
	size_t bytes = 0;

	for (size_t i = 0; i < batch->count; i++) {
		if ((j->unsure && is_there(j, batch->records[i].id)) || is_known_order(j, &batch->records[i]))
			continue;
		note_order(j, &batch->records[i]);
		memcpy(j->text + bytes, batch->lines[i], batch->lengths[i]);
		bytes += batch->lengths[i];
	}
	return bytes;
}

/* All or nothing: what does not fit is taken back. On the disk, too: then the spool forgets it. */
static int append(const struct jsonl *j, size_t bytes, off_t size)
{
	ssize_t n = write(j->fd, j->text, bytes);
	int r;

	if (n == (ssize_t)bytes)
		return fdatasync(j->fd) < 0 ? -errno : 0;
	r = n < 0 ? -errno : -ENOSPC;
	/* where it stays, the part of a line is cut by the next batch, and whole lines are known then */
	return ftruncate(j->fd, size) < 0 ? -errno : r;
}

static int write_locked(struct jsonl *j, const struct ebb_sink_batch *batch, struct stat *st)
{
	size_t bytes;
	int r;

	r = cut_torn_line(j, &st->st_size);
	if (r == 0 && j->unsure)
		r = learn_tail(j);
	if (r < 0)
		return r;
	bytes = gather(j, batch);
	if (bytes == 0)
		return 0;
	if (st->st_size > 0 && (uint64_t)st->st_size + bytes > j->max_bytes) {
		r = rotate(j);
		if (r == 0)
			r = lock_file(j, st);
		if (r < 0)
			return r;
	}
	return append(j, bytes, st->st_size);
}

static enum ebb_sink_result say(const struct jsonl *j, int r, struct ebb_why *why)
{
	(void)ebb_why(why, r, "cannot write %s: %s", j->path,
		      r == -ENOTSUP ? "no plain file"
		      : r == -EBUSY ? "another process holds the lock on it"
		      : r == -EXDEV
			      ? "it is full, and cannot be moved aside, being mounted by itself: mount its directory"
			      : ebb_strerror(r));
	/* nothing that time mends */
	if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ENOTDIR || r == -EROFS || r == -EISDIR ||
	    r == -ENOTSUP || r == -EXDEV || r == -ELOOP || r == -ENAMETOOLONG || r == -ENOSPC || r == -EDQUOT)
		return EBB_SINK_UNUSABLE;
	return EBB_SINK_RETRY;
}

static enum ebb_sink_result jsonl_write(void *sink, const struct ebb_sink_batch *batch,
					uint64_t *ret_after_ns, struct ebb_why *why)
{
	struct jsonl *j = sink;
	struct stat st;
	int r = make_room(j, batch);

	(void)ret_after_ns;
	if (r == 0)
		r = lock_file(j, &st);
	if (r == 0)
		r = write_locked(j, batch, &st);
	if (j->fd >= 0)
		(void)flock(j->fd, LOCK_UN);
	forget_ids(j);
	j->unsure = r < 0;
	if (r == 0)
		return EBB_SINK_DONE;
	close_file(j);
	return say(j, r, why);
}

static void jsonl_free(void *sink)
{
	struct jsonl *j = sink;

	close_file(j);
	forget_ids(j);
	free(j->text);
	free(j);
}

static const struct ebb_sink_ops jsonl_ops = {
	.name = "jsonl",
	.write = jsonl_write,
	.free = jsonl_free,
};

int ebb_sink_jsonl_new(const struct ebb_sink_jsonl_setup *setup, struct ebb_sink *ret_sink)
{
	struct jsonl *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	(void)snprintf(j->path, sizeof(j->path), "%s", setup->path);
	j->max_bytes = setup->max_bytes;
	j->keep = setup->keep;
	j->fd = -1;
	j->unsure = true;
	*ret_sink = (struct ebb_sink){.ops = &jsonl_ops, .data = j};
	return 0;
}

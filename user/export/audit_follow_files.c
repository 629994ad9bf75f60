/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New lines of the file, over its rotations. Who writes moves a full file aside under the lock of all who write, so nothing is
 * added to it any more: the old one is read to its end, then those between, whole, then the new one.
 *
 *	audit.jsonl.2   audit.jsonl.1   audit.jsonl
 *	[...........]   [...........]   [......
 *	      ^ we were here: on to its end, and with the others
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/audit_files.h"
#include "export/audit_follow.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

struct follow {
	const char *path;
	unsigned int keep;
	struct ebb_audit_query query;
	bool past;   /* what is there is wanted: once */
	bool found;  /* there was a file, or it was looked for */
	int inotify; /* -1: there is none */
	int directory_watch, file_watch;
	int fd; /* of the newest; -1: not open */
	struct ebb_lines lines;
	int64_t newest_ns; /* of all that was told; and what is older than we is not new */
	struct ebb_audit_reading reading;
	/* during take() */
	ebb_audit_visit *visit;
	void *userdata;
};

static int note_time(void *data, const struct ebb_audit_record *record, struct ebb_why *why)
{
	struct follow *f = data;

	if (record->event.realtime_ns > f->newest_ns)
		f->newest_ns = record->event.realtime_ns;
	return f->visit(f->userdata, record, why);
}

/* ------------------------------------------------------------------ watch -- */

/* Files are made and moved in its directory; without inotify (limits) it is looked at each second. */
static void watch_directory(struct follow *f)
{
	_cleanup_free_ char *directory = strdup(f->path);
	char *slash;

	if (!directory || f->inotify < 0 || f->directory_watch >= 0)
		return;
	slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = '\0';
	f->directory_watch = inotify_add_watch(f->inotify, slash ? directory : ".", IN_CREATE | IN_MOVED_TO);
}

/* This very file, whatever its name is by now. */
static void watch_file(struct follow *f)
{
	char link[32];

	if (f->inotify < 0)
		return;
	if (f->file_watch >= 0)
		(void)inotify_rm_watch(f->inotify, f->file_watch);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	f->file_watch = inotify_add_watch(f->inotify, link, IN_MODIFY);
}

static void drain(const struct follow *f)
{
	char events[4096];

	while (f->inotify >= 0 && read(f->inotify, events, sizeof(events)) > 0)
		;
}

/* ------------------------------------------------------------------- read -- */

static void close_file(struct follow *f)
{
	if (f->fd < 0)
		return;
	ebb_lines_done(&f->lines);
	(void)close(f->fd);
	f->fd = -1;
}

/* Owns @fd. */
static int use_file(struct follow *f, int fd, struct ebb_why *why)
{
	int r;

	close_file(f);
	r = ebb_lines_init(&f->lines, fd, EBB_AUDIT_LINE_MAX);
	if (r < 0) {
		(void)close(fd);
		return ebb_why(why, r, "out of memory");
	}
	f->fd = fd;
	watch_file(f);
	return 0;
}

/* To the end; half a line there is read again when it is whole, or was cut, because its writer had died. */
static int read_on(struct follow *f, struct ebb_why *why)
{
	struct stat st;
	int r;

	/* somebody emptied it */
	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size < f->lines.position) {
		r = ebb_lines_seek(&f->lines, 0);
		if (r < 0)
			return ebb_why(why, r, "cannot read %s: %s", f->path, ebb_strerror(r));
	}
	r = ebb_audit_read_lines(&f->reading, &f->lines, why);
	if (r == 0)
		r = ebb_lines_seek(&f->lines, f->lines.position);
	return r;
}

/* Behind its last line. */
static int skip_lines(struct follow *f, struct ebb_why *why)
{
	char block[EBB_AUDIT_LINE_MAX];
	const char *newline;
	struct stat st;
	off_t from;
	ssize_t n;
	int r;

	if (fstat(f->fd, &st) < 0)
		return ebb_why(why, -errno, "cannot read %s: %s", f->path, strerror(errno));
	from = st.st_size > (off_t)sizeof(block) ? st.st_size - (off_t)sizeof(block) : 0;
	n = pread(f->fd, block, sizeof(block), from);
	newline = n > 0 ? memrchr(block, '\n', (size_t)n) : NULL;
	r = ebb_lines_seek(&f->lines, (uint64_t)from + (newline ? (uint64_t)(newline - block) + 1 : 0));
	return r < 0 ? ebb_why(why, r, "cannot read %s: %s", f->path, ebb_strerror(r)) : 0;
}

/* ------------------------------------------------------------------ files -- */

struct files {
	int fds[EBB_AUDIT_FILES_MAX]; /* the newest first */
	size_t count;
};

static struct files *open_files(const struct follow *f, int *ret_r, struct ebb_why *why)
{
	struct files *files = calloc(1, sizeof(*files));

	*ret_r = files ? ebb_audit_open_files(f->path, f->keep, files->fds, &files->count, why)
		       : ebb_why(why, -ENOMEM, "out of memory");
	return files;
}

static void close_files(struct files *files)
{
	for (size_t i = 0; files && i < files->count; i++) {
		if (files->fds[i] >= 0)
			(void)close(files->fds[i]);
	}
	free(files);
}

static int take_file(struct follow *f, struct files *files, size_t i, struct ebb_why *why)
{
	return use_file(f, TAKE_FD(files->fds[i]), why);
}

/* The @count newest, the oldest first, and with the newest it goes on. */
static int read_files(struct follow *f, struct files *files, size_t count, struct ebb_why *why)
{
	int r = 0;

	while (r == 0 && count > 0) {
		r = take_file(f, files, --count, why);
		if (r == 0)
			r = read_on(f, why);
	}
	return r;
}

static int read_past(struct follow *f, struct files *files, struct ebb_why *why)
{
	int r = f->query.limit ? ebb_audit_last_init(&f->reading.last, f->query.limit) : 0;

	if (r < 0)
		return ebb_why(why, r, "out of memory");
	r = read_files(f, files, files->count, why);
	if (r == 0)
		r = ebb_audit_tell_last(&f->reading, why);
	ebb_audit_last_done(&f->reading.last);
	memset(&f->reading.last, 0, sizeof(f->reading.last));
	return r;
}

/* The first look: all of it, or what comes from now on. What was not there before is all new. */
static int begin(struct follow *f, struct ebb_why *why)
{
	bool all = f->past || f->found;
	struct files *files;
	int r;

	f->found = true;
	files = open_files(f, &r, why);
	if (r == 0 && all) {
		r = read_past(f, files, why);
	} else if (r == 0) {
		r = take_file(f, files, 0, why);
		if (r == 0)
			r = skip_lines(f, why);
	}
	close_files(files);
	return r == -ENOENT ? 0 : r;
}

static bool is_file(int fd, const struct stat *wanted)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == wanted->st_ino && st.st_dev == wanted->st_dev;
}

/* Those that are newer than the one that was read; and where that is gone, those with newer events. */
static int go_over(struct follow *f, const struct stat *old, struct ebb_why *why)
{
	int64_t since_ns = f->query.since_ns;
	struct files *files;
	size_t newer = 0;
	int r;

	files = open_files(f, &r, why);
	while (r == 0 && newer < files->count && !is_file(files->fds[newer], old))
		newer++;
	if (r == 0 && newer == files->count && f->newest_ns >= since_ns)
		f->query.since_ns = f->newest_ns + 1;
	if (r == 0)
		r = read_files(f, files, newer, why);
	f->query.since_ns = since_ns;
	close_files(files);
	return r == -ENOENT ? 0 : r;
}

static int follow_moves(struct follow *f, struct ebb_why *why)
{
	struct stat old, named;
	int r;

	/* it may be missing for a moment */
	if (fstat(f->fd, &old) < 0 || stat(f->path, &named) < 0 ||
	    (old.st_ino == named.st_ino && old.st_dev == named.st_dev))
		return 0;
	/* what was added before it was moved */
	r = read_on(f, why);
	return r == 0 ? go_over(f, &old, why) : r;
}

static int take(void *data, ebb_audit_visit *visit, void *userdata, struct ebb_why *why)
{
	struct follow *f = data;
	int r;

	f->visit = visit;
	f->userdata = userdata;
	watch_directory(f);
	drain(f);
	if (f->fd < 0) {
		r = begin(f, why);
		f->query.limit = 0;
	} else {
		r = read_on(f, why);
	}
	if (r == 0 && f->fd >= 0)
		r = follow_moves(f, why);
	return r;
}

/* -------------------------------------------------------------- lifecycle -- */

static int fd_of(const void *data)
{
	const struct follow *f = data;

	return f->inotify;
}

static uint64_t unknown(const void *data)
{
	const struct follow *f = data;

	return f->reading.unknown;
}

static void free_follow(void *data)
{
	struct follow *f = data;

	close_file(f);
	if (f->inotify >= 0)
		(void)close(f->inotify);
	free(f);
}

static const struct ebb_audit_follow_ops ops = {take, fd_of, unknown, free_follow};

int ebb_audit_follow_files(const char *path, unsigned int keep, const struct ebb_audit_query *query,
			   bool past, struct ebb_audit_follow *ret_follow)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->path = path;
	f->keep = keep;
	f->query = *query;
	f->query.until_ns = INT64_MAX;
	f->past = past;
	f->newest_ns = past ? 0 : ebb_clock_realtime();
	f->fd = f->directory_watch = f->file_watch = -1;
	f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	f->reading = (struct ebb_audit_reading){.query = &f->query, .visit = note_time, .userdata = f};
	*ret_follow = (struct ebb_audit_follow){&ops, f};
	return 0;
}

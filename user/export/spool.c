/* SPDX-License-Identifier: Apache-2.0 */
#include "export/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/own_dir.h"

#define SEGMENT_PREFIX "spool-"
#define NAME_MAX_BYTES 64
#define SEGMENTS_MAX   65536
#define POSITION_MAX   (UINT64_MAX / 4) /* that nobody reaches */
#define BLOCK	       4096		/* a disk that fails fails in blocks */
#define TRIES	       30		/* before what cannot be read is left out */

/* As many as the largest spool has when each is half full: a batch goes into the next one as a whole. */
_Static_assert(EBB_SPOOL_BYTES_MAX / (EBB_SPOOL_SEGMENT_BYTES / 2) < SEGMENTS_MAX,
	       "no spool that can be asked for has too many files");

struct segment {
	uint64_t from, length;
};

struct ebb_spool {
	const char *const *readers;
	size_t reader_count;
	uint64_t cursors[EBB_SPOOL_READERS_MAX];
	unsigned int tries[EBB_SPOOL_READERS_MAX]; /* to read what is at the cursor, in vain */
	uint64_t max_bytes, segment_bytes;
	int dir_fd, lock_fd, last_fd; /* last_fd: of the last segment */
	bool torn; /* behind the end of the last segment stand bytes that could not be taken back */
	struct segment *segments;
	size_t count, room; /* count: at least one once it is open */
};

static struct segment *last_of(struct ebb_spool *s)
{
	return &s->segments[s->count - 1];
}

static uint64_t end_of(const struct ebb_spool *s)
{
	const struct segment *last = &s->segments[s->count - 1];

	return last->from + last->length;
}

/* That stand in the files. What is missing between two of them takes no room. */
static uint64_t bytes_of(const struct ebb_spool *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->count; i++)
		bytes += s->segments[i].length;
	return bytes;
}

/* At the end; the caller sorts. */
static int add_segment(struct ebb_spool *s, uint64_t from, uint64_t length, struct ebb_why *why)
{
	size_t room = s->room ? 2 * s->room : 64;
	struct segment *more;

	if (s->count == SEGMENTS_MAX)
		return ebb_why(why, -ENOSPC, "the spool has too many files");
	if (!s->segments || s->count == s->room) {
		more = reallocarray(s->segments, room, sizeof(*more));
		if (!more) {
			(void)ebb_why(why, -ENOMEM, "out of memory");
			return -ENOMEM;
		}
		s->segments = more;
		s->room = room;
	}
	s->segments[s->count++] = (struct segment){.from = from, .length = length};
	return 0;
}

static void segment_name(uint64_t from, char name[NAME_MAX_BYTES])
{
	(void)snprintf(name, NAME_MAX_BYTES, SEGMENT_PREFIX "%016" PRIx64, from);
}

static bool is_segment(const char *name, uint64_t *ret_from)
{
	const size_t prefix = sizeof(SEGMENT_PREFIX) - 1;

	if (strncmp(name, SEGMENT_PREFIX, prefix) != 0 || strlen(name) != prefix + 16 ||
	    strspn(name + prefix, "0123456789abcdef") != 16)
		return false;
	*ret_from = strtoull(name + prefix, NULL, 16);
	return true;
}

/* ------------------------------------------------------------------- open -- */

static int by_position(const void *a, const void *b)
{
	const struct segment *left = a, *right = b;

	return left->from < right->from ? -1 : left->from > right->from;
}

/* None lies over another one, and positions have an end: else lines would be passed over. */
static int check_segments(const struct ebb_spool *s, struct ebb_why *why)
{
	uint64_t end = 0;
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < s->count; i++) {
		const struct segment *segment = &s->segments[i];

		segment_name(segment->from, name);
		if (segment->from < end || segment->from > POSITION_MAX)
			return ebb_why(why, -EUCLEAN, "cannot use %s of the spool: move it away", name);
		end = segment->from + segment->length;
	}
	return 0;
}

static int find_segments(struct ebb_spool *s, struct ebb_why *why)
{
	_cleanup_close_ int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	struct stat st;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return ebb_why(why, -errno, "cannot list the spool: %s", strerror(errno));
	(void)TAKE_FD(fd);
	while ((errno = 0, entry = readdir(dir))) {
		uint64_t from;

		if (!is_segment(entry->d_name, &from))
			continue;
		if (s->count == SEGMENTS_MAX || fstatat(s->dir_fd, entry->d_name, &st, 0) < 0 ||
		    !S_ISREG(st.st_mode))
			return ebb_why(why, -EUCLEAN, "cannot use %s of the spool: move it away",
				       entry->d_name);
		if (add_segment(s, from, (uint64_t)st.st_size, why) < 0)
			return -ENOMEM;
	}
	/* lines of a segment that is not seen would be lost */
	if (errno)
		return ebb_why(why, -errno, "cannot list the spool: %s", strerror(errno));
	if (s->count > 0)
		qsort(s->segments, s->count, sizeof(s->segments[0]), by_position);
	return check_segments(s, why);
}

static int open_last(struct ebb_spool *s, int flags, struct ebb_why *why)
{
	char name[NAME_MAX_BYTES];
	int fd;

	segment_name(last_of(s)->from, name);
	fd = openat(s->dir_fd, name, O_RDWR | O_APPEND | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		return ebb_why(why, -errno, "cannot open %s of the spool: %s", name, strerror(errno));
	if (s->last_fd >= 0)
		(void)close(s->last_fd);
	s->last_fd = fd;
	return 0;
}

/* @from: the end, or behind it. */
static int begin_segment(struct ebb_spool *s, uint64_t from, struct ebb_why *why)
{
	int r;

	/* its successor is found after a crash only if it ends where it says */
	if (fdatasync(s->last_fd) < 0)
		return ebb_why(why, -errno, "cannot write to the spool: %s", strerror(errno));
	r = add_segment(s, from, 0, why);
	if (r < 0)
		return r;
	r = open_last(s, O_CREAT, why);
	if (r < 0)
		s->count--;
	return r;
}

/* What stands behind the last newline was being written when we died: it was never accepted. */
static int cut_torn_line(struct ebb_spool *s, struct ebb_why *why)
{
	uint64_t length = last_of(s)->length;
	const char *newline = NULL;
	char block[BLOCK];

	while (length > 0 && !newline) {
		size_t size = length < sizeof(block) ? (size_t)length : sizeof(block);

		if (pread(s->last_fd, block, size, (off_t)(length - size)) != (ssize_t)size)
			return ebb_why(why, -EIO, "cannot read the spool");
		newline = memrchr(block, '\n', size);
		length -= newline ? size - (size_t)(newline - block) - 1 : size;
	}
	if (ftruncate(s->last_fd, (off_t)length) < 0)
		return ebb_why(why, -errno, "cannot cut a torn line of the spool: %s", strerror(errno));
	last_of(s)->length = length;
	return 0;
}

static int write_cursor(const struct ebb_spool *s, size_t reader, uint64_t position, struct ebb_why *why)
{
	char name[NAME_MAX_BYTES], fresh[NAME_MAX_BYTES + 4], text[32];
	_cleanup_close_ int fd = -1;
	int length = snprintf(text, sizeof(text), "%016" PRIx64 "\n", position);

	errno = 0; /* a disk that is full may write half of it, and say nothing */
	(void)snprintf(name, sizeof(name), "cursor-%s", s->readers[reader]);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = openat(s->dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length ||
	    renameat(s->dir_fd, fresh, s->dir_fd, name) < 0)
		return ebb_why(why, errno ? -errno : -ENOSPC, "cannot write %s of the spool: %s", name,
			       strerror(errno ? errno : ENOSPC));
	return 0;
}

/* A reader that is new, or whose cursor says nothing: from the oldest line on, and sinks know what they have. */
static int read_cursor(const struct ebb_spool *s, const char *reader, uint64_t *ret_position)
{
	char name[NAME_MAX_BYTES], text[32] = "", *end;
	_cleanup_close_ int fd = -1;
	uint64_t position;

	*ret_position = s->segments[0].from;
	(void)snprintf(name, sizeof(name), "cursor-%s", reader);
	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	position = strtoull(text, &end, 16);
	/* behind the end only where there is room for lines behind it */
	if (*end == '\n' && position >= s->segments[0].from &&
	    (position <= end_of(s) || position <= POSITION_MAX / 2))
		*ret_position = position;
	return 0;
}

/*
 * Lines that a reader has passed may be gone when the power failed: others never take their positions, or they would be
 * passed, too.
 */
static int read_cursors(struct ebb_spool *s, struct ebb_why *why)
{
	uint64_t furthest = end_of(s);

	for (size_t i = 0; i < s->reader_count; i++) {
		int r = read_cursor(s, s->readers[i], &s->cursors[i]);

		/* it must not come back, either, when lines stand where it is */
		if (r < 0)
			r = write_cursor(s, i, s->cursors[i], why);
		if (r < 0)
			return r;
		furthest = s->cursors[i] > furthest ? s->cursors[i] : furthest;
	}
	return furthest > end_of(s) ? begin_segment(s, furthest, why) : 0;
}

static int open_dir(struct ebb_spool *s, const char *path, struct ebb_why *why)
{
	int r = ebb_own_dir(path, why);

	if (r < 0)
		return r;
	s->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return ebb_why(why, -errno, "cannot open the directory %s: %s", path, strerror(errno));
	s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return ebb_why(why, -errno, "cannot write in %s: %s", path, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return ebb_why(why, -EBUSY, "%s is in use by another process", path);
	return ebb_why(why, -errno, "cannot lock %s: %s", path, strerror(errno));
}

static int open_spool(struct ebb_spool *s, const char *dir, struct ebb_why *why)
{
	int r = open_dir(s, dir, why);

	if (r == 0)
		r = find_segments(s, why);
	if (r < 0)
		return r;
	if (!s->segments)
		r = add_segment(s, 0, 0, why);
	if (r == 0)
		r = open_last(s, O_CREAT, why);
	if (r == 0)
		r = cut_torn_line(s, why);
	/* what can be read of it is delivered all the same, and lines go on in another file */
	if (r == -EIO)
		r = begin_segment(s, end_of(s), why);
	return r < 0 ? r : read_cursors(s, why);
}

int ebb_spool_open(const struct ebb_spool_setup *setup, struct ebb_spool **ret_spool, struct ebb_why *why)
{
	struct ebb_spool *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return ebb_why(why, -ENOMEM, "out of memory");
	s->readers = setup->readers;
	s->reader_count = setup->reader_count;
	s->max_bytes = setup->max_bytes;
	s->segment_bytes = setup->segment_bytes;
	s->dir_fd = s->lock_fd = s->last_fd = -1;
	r = s->reader_count > EBB_SPOOL_READERS_MAX ? ebb_why(why, -E2BIG, "too many readers of the spool")
						    : open_spool(s, setup->dir, why);
	if (r < 0) {
		ebb_spool_free(s);
		return r;
	}
	*ret_spool = s;
	return 0;
}

void ebb_spool_free(struct ebb_spool *s)
{
	if (!s)
		return;
	if (s->last_fd >= 0)
		(void)close(s->last_fd);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	free(s->segments);
	free(s);
}

/* ------------------------------------------------------------------ write -- */

/* Up to where every reader has everything. Without readers: those that come have nothing. */
static uint64_t slowest_of(const struct ebb_spool *s)
{
	uint64_t slowest = s->reader_count ? UINT64_MAX : 0;

	for (size_t i = 0; i < s->reader_count; i++)
		slowest = s->cursors[i] < slowest ? s->cursors[i] : slowest;
	return slowest;
}

static void remove_passed(struct ebb_spool *s)
{
	const uint64_t slowest = slowest_of(s);
	char name[NAME_MAX_BYTES];

	while (s->count > 1 && s->segments[1].from <= slowest) {
		segment_name(s->segments[0].from, name);
		if (unlinkat(s->dir_fd, name, 0) < 0 && errno != ENOENT)
			return;
		memmove(&s->segments[0], &s->segments[1], --s->count * sizeof(s->segments[0]));
	}
}

/* What could not be removed when it was passed, goes, and where all is passed the last file, too, behind a new one. */
static int make_room(struct ebb_spool *s, size_t length, struct ebb_why *why)
{
	int r;

	if (bytes_of(s) + length <= s->max_bytes)
		return 0;
	if (slowest_of(s) >= end_of(s) && last_of(s)->length > 0) {
		r = begin_segment(s, end_of(s), why);
		if (r < 0)
			return r;
	}
	remove_passed(s);
	if (bytes_of(s) + length <= s->max_bytes)
		return 0;
	return ebb_why(why, -ENOSPC, "the spool is full: %" PRIu64 " bytes wait", bytes_of(s));
}

/* What stands behind the lines that were accepted, goes. Smaller needs no room. */
static int take_back(struct ebb_spool *s, struct ebb_why *why)
{
	s->torn = ftruncate(s->last_fd, (off_t)last_of(s)->length) < 0;
	return s->torn ? ebb_why(why, -EIO, "cannot take back half a line of the spool: %s", strerror(errno))
		       : 0;
}

int ebb_spool_append(struct ebb_spool *s, const char *lines, size_t length, struct ebb_why *why)
{
	struct segment *last;
	size_t done = 0;
	ssize_t n = 0;
	int r;

	r = s->torn ? take_back(s, why) : 0;
	if (r == 0)
		r = make_room(s, length, why);
	if (r < 0)
		return r;
	last = last_of(s);
	if (last->length > 0 && last->length + length > s->segment_bytes) {
		r = begin_segment(s, end_of(s), why);
		if (r < 0)
			return r;
		last = last_of(s);
	}
	while (done < length) {
		n = write(s->last_fd, lines + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == length) {
		last->length += length;
		return 0;
	}
	r = n < 0 ? -errno : -ENOSPC;
	/* none of them: the caller still has all */
	if (take_back(s, why) < 0)
		return -EIO;
	return ebb_why(why, r, "cannot write to the spool: %s", strerror(-r));
}

int ebb_spool_sync(struct ebb_spool *s, struct ebb_why *why)
{
	if (fdatasync(s->last_fd) < 0 || fsync(s->dir_fd) < 0)
		return ebb_why(why, -errno, "cannot write the spool to disk: %s", strerror(errno));
	return 0;
}

/* ------------------------------------------------------------------- pass -- */

int ebb_spool_pass(struct ebb_spool *s, size_t reader, uint64_t position, struct ebb_why *why)
{
	int r;

	/* in memory in any case: what is delivered is not delivered again by this run */
	s->cursors[reader] = position;
	r = write_cursor(s, reader, position, why);
	/* also where that failed: who finds a cursor of before begins at the oldest line that is there */
	remove_passed(s);
	return r;
}

/* ------------------------------------------------------------------- read -- */

/* The segment that holds @position, which is not the end. */
static const struct segment *segment_at(const struct ebb_spool *s, uint64_t position)
{
	const struct segment *found = &s->segments[0];

	for (size_t i = 1; i < s->count && s->segments[i].from <= position; i++)
		found = &s->segments[i];
	return found;
}

/* All that fits of @segment from @position on, or what can be read of it; *@ret_error: why it is not all. */
static size_t read_segment(const struct ebb_spool *s, const struct segment *segment, uint64_t position,
			   char *buffer, size_t size, int *ret_error)
{
	uint64_t left = segment->from + segment->length - position;
	size_t wanted = left < size ? (size_t)left : size, done = 0;
	off_t offset = (off_t)(position - segment->from);
	_cleanup_close_ int fd = -1;
	char name[NAME_MAX_BYTES];
	ssize_t n = -1;

	segment_name(segment->from, name);
	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while (done < wanted &&
		       (n = pread(fd, buffer + done, wanted - done, offset + (off_t)done)) > 0)
			done += (size_t)n;
	}
	*ret_error = 0;
	/* -ENODATA: somebody made it shorter */
	if (done < wanted)
		*ret_error = n < 0 ? -errno : -ENODATA;
	return done;
}

/* Of a damaged disk: the file ends without the end of a line, or no line is as long. */
static void tell_left_out(const struct segment *segment, uint64_t position, size_t bytes)
{
	char name[NAME_MAX_BYTES];

	segment_name(segment->from, name);
	ebb_warn("%s of the spool is damaged: %zu bytes from byte %" PRIu64 " hold no line and are left out",
		 name, bytes, position - segment->from);
}

/* It will not be there the next time either; unlike with too many open files, say. */
static bool is_damage(int error)
{
	return error == -EIO || error == -ENODATA || error == -EBADMSG || error == -EUCLEAN ||
	       error == -ENOENT;
}

/* Behind @position, which cannot be read, the first block of @segment that can, or its end. */
static uint64_t readable_behind(const struct ebb_spool *s, const struct segment *segment, uint64_t position)
{
	uint64_t offset = position - segment->from;
	char byte;
	int error;

	do {
		offset = (offset / BLOCK + 1) * BLOCK;
		if (offset >= segment->length)
			return segment->from + segment->length;
		(void)read_segment(s, segment, segment->from + offset, &byte, 1, &error);
	} while (is_damage(error));
	return segment->from + offset;
}

/* One that is away as a whole comes back, and what it has is read then. One that is full is there. */
static bool disk_answers(const struct ebb_spool *s, size_t reader)
{
	struct ebb_why ignored = {0};
	int r = write_cursor(s, reader, s->cursors[reader], &ignored);

	return (r == 0 || r == -ENOSPC) && fsync(s->dir_fd) == 0;
}

/* From the cursor to @bad there is no line, and from there on nothing is read. 0: on behind it, in memory. */
static int leave_out_bad(struct ebb_spool *s, size_t reader, struct segment segment, uint64_t bad, int error,
			 struct ebb_why *why)
{
	uint64_t *position = &s->cursors[reader], behind;
	char name[NAME_MAX_BYTES];
	int r = 0;

	segment_name(segment.from, name);
	if (is_damage(error) && s->tries[reader] < TRIES)
		s->tries[reader]++;
	if (!is_damage(error) || s->tries[reader] < TRIES || !disk_answers(s, reader))
		return ebb_why(why, error, "cannot read %s of the spool: %s", name, strerror(-error));
	/* where a file was made shorter, or taken away, nothing is to be added to it */
	if (segment.from == last_of(s)->from) {
		r = s->torn ? take_back(s, why) : 0;
		r = r < 0 ? r : begin_segment(s, end_of(s), why);
	}
	if (r < 0)
		return r;
	behind = readable_behind(s, &segment, bad);
	ebb_warn("cannot read %s of the spool: %s: %" PRIu64 " bytes from byte %" PRIu64
		 " are left out, with the events in them",
		 name, strerror(-error), behind - *position, *position - segment.from);
	*position = behind;
	return 0;
}

/* Moves the cursor over what holds no line, in memory. */
static ssize_t read_lines(struct ebb_spool *s, size_t reader, char *buffer, size_t size, uint64_t *ret_next,
			  struct ebb_why *why)
{
	uint64_t *position = &s->cursors[reader];

	while (*position < end_of(s)) {
		const struct segment *segment = segment_at(s, *position);
		const char *newline;
		size_t n;
		int r;

		/* somebody took a file away, or this one is empty: on with the next one */
		if (*position >= segment->from + segment->length) {
			*position = segment[1].from;
			continue;
		}
		n = read_segment(s, segment, *position, buffer, size, &r);
		newline = memrchr(buffer, '\n', n);
		if (newline) {
			s->tries[reader] = 0;
			*ret_next = *position + (uint64_t)(newline - buffer) + 1;
			return newline - buffer + 1;
		}
		if (r < 0) {
			r = leave_out_bad(s, reader, *segment, *position + n, r, why);
			if (r < 0)
				return r;
			continue;
		}
		tell_left_out(segment, *position, n);
		*position += n;
	}
	return 0;
}

ssize_t ebb_spool_read(struct ebb_spool *s, size_t reader, char *buffer, size_t size, uint64_t *ret_next,
		       struct ebb_why *why)
{
	const uint64_t before = s->cursors[reader];
	ssize_t n = read_lines(s, reader, buffer, size, ret_next, why);
	struct ebb_why ignored = {0};

	/* its files make room for others, and nobody is told of it again after a start */
	if (s->cursors[reader] != before)
		(void)ebb_spool_pass(s, reader, s->cursors[reader], &ignored);
	return n;
}

uint64_t ebb_spool_cursor(const struct ebb_spool *s, size_t reader)
{
	return s->cursors[reader];
}

uint64_t ebb_spool_waiting(const struct ebb_spool *s, size_t reader)
{
	return end_of(s) - s->cursors[reader];
}

static uint64_t count_lines(int fd, uint64_t from, uint64_t to)
{
	uint64_t count = 0;
	char block[16384];
	ssize_t n = 1;

	for (; from < to && n > 0; from += (uint64_t)n) {
		uint64_t left = to - from;

		n = pread(fd, block, left < sizeof(block) ? (size_t)left : sizeof(block), (off_t)from);
		for (const char *at = block; n > 0 && (at = memchr(at, '\n', (size_t)(block + n - at))); at++)
			count++;
	}
	return count;
}

/* What @segment holds from @from on. */
static uint64_t count_segment(const struct ebb_spool *s, const struct segment *segment, uint64_t from)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_MAX_BYTES];

	segment_name(segment->from, name);
	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? 0 : count_lines(fd, from - segment->from, segment->length);
}

uint64_t ebb_spool_count(const struct ebb_spool *s, size_t reader, bool *ret_guessed)
{
	uint64_t count = 0, bytes = 0, all = 0;
	const uint64_t cursor = s->cursors[reader];

	for (size_t i = 0; i < s->count; i++) {
		const struct segment *segment = &s->segments[i];
		uint64_t end = segment->from + segment->length;
		uint64_t from = cursor > segment->from ? cursor : segment->from;

		if (end <= cursor)
			continue;
		all += end - from;
		if (bytes >= EBB_SPOOL_COUNTED_BYTES)
			continue;
		count += count_segment(s, segment, from);
		bytes += end - from;
	}
	*ret_guessed = all > bytes;
	return all > bytes ? (uint64_t)((double)count * ((double)all / (double)bytes)) : count;
}

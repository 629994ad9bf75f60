/* SPDX-License-Identifier: Apache-2.0 */
#include "export/letters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json_whole.h"

#define SUFFIX ".jsonl"

/* Around an event: time, reason (512 bytes, of which each may take six), names and braces. */
#define HEAD_MAX   4096
#define LETTER_MAX (EBB_AUDIT_LINE_MAX + HEAD_MAX)

/* ------------------------------------------------------------------ parse -- */

/* Time and reason, which stand before the event. */
static int take_head(const char *line, size_t length, struct ebb_letter *letter, struct ebb_why *why)
{
	char text[HEAD_MAX];
	const char *time;
	int r;

	if (length + 1 > sizeof(text))
		return ebb_why(why, -EBADMSG, "no letter: its reason is too long");
	memcpy(text, line, length);
	text[length] = '}';
	r = ebb_json_load(text, length + 1, JSON_REJECT_DUPLICATES, &letter->head, NULL);
	if (r < 0)
		return ebb_why(why, r, r == -ENOMEM ? "out of memory" : "no letter: no JSON");
	time = json_string_value(json_object_get(letter->head, "time"));
	letter->reason = json_string_value(json_object_get(letter->head, "reason"));
	if (!time || !letter->reason || json_object_size(letter->head) != 2)
		return ebb_why(why, -EBADMSG, "no letter: expected a time and a reason");
	if (ebb_audit_time_of(time, &letter->realtime_ns) < 0)
		return ebb_why(why, -EBADMSG, "no letter: its time is not like 2026-11-29T05:51:51.123456Z");
	return 0;
}

int ebb_letter_parse(const char *line, size_t length, struct ebb_letter *ret_letter, struct ebb_why *why)
{
	static const char before[] = ",\"event\":";
	struct ebb_letter letter = {0};
	const char *event;
	int r;

	if (length < 2 || length > LETTER_MAX || memcmp(line + length - 2, "}\n", 2) != 0)
		return ebb_why(why, -EBADMSG, "no letter: no whole line");
	/* in no text can it stand so: its quotes would be escaped there */
	event = memmem(line, length, before, sizeof(before) - 1);
	if (!event)
		return ebb_why(why, -EBADMSG, "no letter: it has no event");
	letter.line = event + sizeof(before) - 1;
	letter.length = (size_t)(line + length - 2 - letter.line);
	r = take_head(line, (size_t)(event - line), &letter, why);
	if (r == 0)
		r = ebb_audit_parse(letter.line, letter.length, &letter.record, why);
	if (r < 0) {
		json_decref(letter.head);
		return r;
	}
	*ret_letter = letter;
	return 0;
}

void ebb_letter_done(struct ebb_letter *letter)
{
	ebb_audit_record_done(&letter->record);
	json_decref(letter->head);
	*letter = (struct ebb_letter){0};
}

/* -------------------------------------------------------------- directory -- */

/* "postgres.jsonl" is of the sink postgres. */
static bool is_sink(const char *name, char ret_sink[EBB_LETTERS_SINK_MAX])
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (length == 0 || length >= EBB_LETTERS_SINK_MAX || strcmp(name + length, SUFFIX) != 0)
		return false;
	memcpy(ret_sink, name, length);
	ret_sink[length] = '\0';
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int ebb_letters_sinks(const char *dir, char (**ret_names)[EBB_LETTERS_SINK_MAX], struct ebb_why *why)
{
	_cleanup_closedir_ DIR *stream = opendir(dir);
	_cleanup_free_ char(*names)[EBB_LETTERS_SINK_MAX] = NULL;
	const struct dirent *entry;
	int count = 0;

	if (!stream)
		return ebb_why(why, -errno, "cannot open the dead letters in %s: %s", dir, strerror(errno));
	while ((entry = readdir(stream))) {
		char name[EBB_LETTERS_SINK_MAX];
		void *more;

		if (!is_sink(entry->d_name, name))
			continue;
		more = reallocarray(names, (size_t)count + 1, sizeof(*names));
		if (!more)
			return ebb_why(why, -ENOMEM, "out of memory");
		names = more;
		memcpy(names[count++], name, sizeof(name));
	}
	if (count > 0)
		qsort(names, (size_t)count, sizeof(*names), by_name);
	*ret_names = TAKE_PTR(names);
	return count;
}

int ebb_letters_lock(const char *dir, int *ret_fd, struct ebb_why *why)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ebb_why(why, -errno, "cannot open the dead letters in %s: %s", dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return ebb_why(why, errno == EWOULDBLOCK ? -EBUSY : -errno,
			       "another command works on the dead letters in %s: wait until it is done", dir);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int file_path(const char *dir, const char *sink, char path[PATH_MAX], struct ebb_why *why)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s" SUFFIX, dir, sink) >= PATH_MAX)
		return ebb_why(why, -ENAMETOOLONG, "the path of the dead letters is too long");
	return 0;
}

int ebb_letters_lock_file(const char *path, int flags, int *ret_fd)
{
	struct stat named, st;

	for (;;) {
		_cleanup_close_ int fd = open(path, flags | O_CLOEXEC, 0600);

		if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return -errno;
		if (stat(path, &named) == 0 && named.st_ino == st.st_ino && named.st_dev == st.st_dev) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
}

/* ------------------------------------------------------------------- file -- */

int ebb_letters_open(const char *dir, const char *sink, bool mark, struct ebb_letters *ret_letters,
		     struct ebb_why *why)
{
	struct ebb_letters letters = {.fd = -1};
	int r;

	r = file_path(dir, sink, letters.path, why);
	if (r < 0)
		return r;
	letters.fd = open(letters.path, (mark ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (letters.fd < 0)
		return ebb_why(why, -errno, "cannot open %s: %s", letters.path, strerror(errno));
	r = ebb_lines_init(&letters.lines, letters.fd, LETTER_MAX);
	if (r < 0) {
		(void)close(letters.fd);
		return ebb_why(why, r, "out of memory");
	}
	*ret_letters = letters;
	return 0;
}

void ebb_letters_close(struct ebb_letters *letters)
{
	ebb_lines_done(&letters->lines);
	if (letters->fd >= 0)
		(void)close(letters->fd);
	letters->fd = -1;
}

int ebb_letters_next(struct ebb_letters *letters, struct ebb_letter *ret_letter, struct ebb_why *why)
{
	struct ebb_lines_line line;
	int r;

	for (;;) {
		r = ebb_lines_next(&letters->lines, &line);
		if (r < 0 && r != -E2BIG)
			return ebb_why(why, r, "cannot read %s: %s", letters->path, ebb_strerror(r));
		if (r == 0)
			return 0;
		if (r > 0 && line.text[0] == EBB_LETTERS_MARK) {
			letters->marked++;
			continue;
		}
		if (r > 0)
			r = ebb_letter_parse(line.text, line.length, ret_letter, NULL);
		if (r == -ENOMEM)
			return ebb_why(why, r, "cannot read %s: out of memory", letters->path);
		if (r == 0) {
			ret_letter->position = line.position;
			return 1;
		}
		letters->damaged++;
	}
}

int ebb_letters_mark(const struct ebb_letters *letters, uint64_t position, struct ebb_why *why)
{
	static const char mark = EBB_LETTERS_MARK;

	if (pwrite(letters->fd, &mark, 1, (off_t)position) != 1)
		return ebb_why(why, -errno, "cannot write %s: %s", letters->path, strerror(errno));
	return 0;
}

/* ------------------------------------------------------------------- tidy -- */

struct tidying {
	ebb_letters_stays *stays;
	void *userdata;
	FILE *out;
	uint64_t kept;
};

static int keep(struct tidying *t, const char *line, size_t length)
{
	t->kept++;
	return fwrite(line, 1, length, t->out) == length ? 0 : -EIO;
}

static int judge(struct tidying *t, const struct ebb_lines_line *line)
{
	struct ebb_letter letter;
	bool stays;
	int r;

	if (line->text[0] == EBB_LETTERS_MARK)
		return 0;
	if (!t->stays)
		return keep(t, line->text, line->length);
	r = ebb_letter_parse(line->text, line->length, &letter, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		stays = t->stays(t->userdata, NULL);
	} else {
		stays = t->stays(t->userdata, &letter);
		ebb_letter_done(&letter);
	}
	return stays ? keep(t, line->text, line->length) : 0;
}

static int copy(int fd, struct tidying *t)
{
	struct ebb_lines_line line;
	struct ebb_lines lines;
	int r = ebb_lines_init(&lines, fd, LETTER_MAX);

	if (r < 0)
		return r;
	/* a line that is too long was written by nobody of us, and goes */
	while ((r = ebb_lines_next(&lines, &line)) != 0) {
		if (r < 0 && r != -E2BIG)
			break;
		r = r > 0 ? judge(t, &line) : 0;
		if (r < 0)
			break;
	}
	ebb_lines_done(&lines);
	if (r == 0 && (fflush(t->out) != 0 || fdatasync(fileno(t->out)) < 0))
		r = -errno;
	return r;
}

int ebb_letters_tidy(const char *dir, const char *sink, ebb_letters_stays *stays, void *userdata,
		     struct ebb_why *why)
{
	struct tidying tidying = {.stays = stays, .userdata = userdata};
	char path[PATH_MAX], beside[PATH_MAX + 8];
	_cleanup_close_ int fd = -1;
	int r = file_path(dir, sink, path, why);

	if (r < 0)
		return r;
	r = ebb_letters_lock_file(path, O_RDONLY, &fd);
	if (r < 0)
		return ebb_why(why, r, "cannot open %s: %s", path, ebb_strerror(r));
	(void)snprintf(beside, sizeof(beside), "%s.new", path);
	tidying.out = fopen(beside, "we");
	if (!tidying.out)
		return ebb_why(why, -errno, "cannot write %s: %s", beside, strerror(errno));
	r = fchmod(fileno(tidying.out), 0600) < 0 ? -errno : copy(fd, &tidying);
	if (fclose(tidying.out) != 0 && r == 0)
		r = -errno;
	if (r == 0 && (tidying.kept ? rename(beside, path) : unlink(path)) < 0)
		r = -errno;
	if (r < 0 || !tidying.kept)
		(void)unlink(beside);
	return r < 0 ? ebb_why(why, r, "cannot write %s: %s", path, ebb_strerror(r)) : 0;
}

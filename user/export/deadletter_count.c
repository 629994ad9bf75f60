/* SPDX-License-Identifier: Apache-2.0 */
#include "export/deadletter_count.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "export/audit_event.h"
#include "export/letters.h"
#include "lib/cleanup.h"
#include "lib/json_whole.h"
#include "lib/log.h"

static bool is_letters(const char *name)
{
	size_t length = strlen(name);

	return length > strlen(".jsonl") && strcmp(name + length - strlen(".jsonl"), ".jsonl") == 0;
}

/* FNV-1a */
static uint64_t mix(uint64_t seen, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		seen = (seen ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ULL;
	return seen;
}

/* What would be another one if a file had changed; 0: there is none. */
static uint64_t look(DIR *dir)
{
	const struct dirent *entry;
	uint64_t seen = 0;
	struct stat st;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		if (!is_letters(entry->d_name) || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0)
			continue;
		seen = mix(seen ? seen : 0xcbf29ce484222325ULL, entry->d_name, strlen(entry->d_name));
		seen = mix(seen, &st.st_ino, sizeof(st.st_ino));
		seen = mix(seen, &st.st_size, sizeof(st.st_size));
		seen = mix(seen, &st.st_mtim, sizeof(st.st_mtim));
	}
	return seen;
}

/* When a line became a dead letter; 0: it is none. -ENOMEM. */
static int time_of(const char *line, size_t length, int64_t *ret_realtime_ns)
{
	int64_t realtime_ns = 0;
	json_t *letter = NULL;
	const char *text;

	if (ebb_json_load(line, length, 0, &letter, NULL) == -ENOMEM)
		return -ENOMEM;
	text = json_string_value(json_object_get(letter, "time"));
	if (text)
		(void)ebb_audit_time_of(text, &realtime_ns);
	json_decref(letter);
	*ret_realtime_ns = realtime_ns;
	return 0;
}

/* We have no memory, or too many open files, now: the next look may find more. Anything else is the file's. */
static bool is_ours(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/*
 * Adds the letters of @file to @count; its first is its oldest. What could be read before an error is added, too: the
 * disk's own one, or -ENOMEM.
 */
static int count_file(FILE *file, struct ebb_deadletter_count *count)
{
	_cleanup_free_ char *line = NULL;
	int64_t first = 0;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (errno = 0, n = getline(&line, &room, file)) > 0) {
		/* delivered, by a command that was ended before it could tidy up */
		if (line[0] == EBB_LETTERS_MARK)
			continue;
		r = first == 0 ? time_of(line, (size_t)n, &first) : 0;
		count->letters += first != 0;
	}
	if (r == 0 && !feof(file))
		r = errno ? -errno : -EIO;
	if (first && (count->oldest_realtime_ns == 0 || first < count->oldest_realtime_ns))
		count->oldest_realtime_ns = first;
	return r;
}

/* As count_file(); a file that is gone, or no file, has none. */
static int count_name(int dir_fd, const char *name, struct ebb_deadletter_count *count)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	/* a pipe keeps nobody waiting */
	fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	file = fdopen(fd, "r");
	if (!file)
		return -errno;
	(void)TAKE_FD(fd);
	return count_file(file, count);
}

static void tell(const char *path, const char *name, int error)
{
	ebb_warn("cannot read all dead letters in %s/%s: %s; those that can be read are counted", path, name,
		 strerror(-error));
}

/* All files; -ENOMEM and the like: there may be more. */
static int count_dir(DIR *dir, const char *path, bool told, struct ebb_deadletter_count *count)
{
	const struct dirent *entry;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		int r = is_letters(entry->d_name) ? count_name(dirfd(dir), entry->d_name, count) : 0;

		if (is_ours(r))
			return r;
		if (r < 0 && !told && !count->partly)
			tell(path, entry->d_name, r);
		count->partly |= r < 0;
	}
	return 0;
}

void ebb_deadletter_count(const char *path, struct ebb_deadletter_count *count)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const int error = dir ? 0 : -errno;
	struct ebb_deadletter_count fresh = {.seen = dir ? look(dir) : 0};

	if (error && error != -ENOENT && error != -ENOTDIR) {
		if (!is_ours(error) && !count->partly)
			tell(path, "", error);
		count->partly |= !is_ours(error);
		return;
	}
	if (fresh.seen == count->seen)
		return;
	if (dir && count_dir(dir, path, count->partly, &fresh) < 0)
		return;
	*count = fresh;
}

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
#include "lib/cleanup.h"
#include "lib/json_whole.h"

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

/* The first of a file is its oldest. */
static int count_file(FILE *file, struct ebb_deadletter_count *count)
{
	_cleanup_free_ char *line = NULL;
	int64_t first = 0;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, file)) > 0) {
		int r = first == 0 ? time_of(line, (size_t)n, &first) : 0;

		if (r < 0)
			return r;
		count->letters += first != 0;
	}
	if (first && (count->oldest_realtime_ns == 0 || first < count->oldest_realtime_ns))
		count->oldest_realtime_ns = first;
	return feof(file) ? 0 : -EIO;
}

void ebb_deadletter_count(const char *path, struct ebb_deadletter_count *count)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	uint64_t seen = dir ? look(dir) : 0;
	struct ebb_deadletter_count fresh = {.seen = seen};
	const struct dirent *entry;

	if (seen == count->seen)
		return;
	if (dir)
		rewinddir(dir);
	while (dir && (entry = readdir(dir))) {
		_cleanup_fclose_ FILE *file = NULL;
		int fd;

		if (!is_letters(entry->d_name))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		file = fd < 0 ? NULL : fdopen(fd, "r");
		/* without memory it stays as it was, and is looked at again */
		if (file && count_file(file, &fresh) < 0)
			return;
	}
	*count = fresh;
}

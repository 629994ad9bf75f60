/* SPDX-License-Identifier: Apache-2.0 */
#include "export/whereabouts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define NAME	   "ebb-audit"
#define LINK	   "/memfd:" NAME " (deleted)"
#define TEXT_MAX   (3 * EBB_WHEREABOUTS_PATH_MAX + 256)
#define TRIES	   10
#define WORDS	   6
#define SERIAL_MAX 32

/* -------------------------------------------------------------------- say -- */

int ebb_whereabouts_new(int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create(NAME, MFD_CLOEXEC);

	/* made for all, but for who may not look here anyway */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static size_t put(char text[TEXT_MAX], size_t used, const char *name, const char *value)
{
	int n = snprintf(text + used, TEXT_MAX - used, "%s=%s", name, value);

	return used + (size_t)n + 1;
}

/* The serial of what stands there; 0: nothing does. */
static unsigned long last_serial(int fd)
{
	char text[SERIAL_MAX] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return strncmp(text, "serial=", 7) == 0 ? strtoul(text + 7, NULL, 10) : 0;
}

int ebb_whereabouts_say(int fd, const struct ebb_whereabouts *w)
{
	char text[TEXT_MAX], serial[SERIAL_MAX], keep[SERIAL_MAX];
	size_t used = 0;

	(void)snprintf(serial, sizeof(serial), "%lu", last_serial(fd) + 1);
	(void)snprintf(keep, sizeof(keep), "%u", w->keep);
	used = put(text, used, "serial", serial);
	used = put(text, used, "dir", w->dir);
	used = put(text, used, "sqlite", w->sqlite);
	used = put(text, used, "file", w->file);
	used = put(text, used, "keep", keep);
	used = put(text, used, "serial", serial);
	errno = 0;
	if (pwrite(fd, text, used, 0) != (ssize_t)used || ftruncate(fd, (off_t)used) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

/* ------------------------------------------------------------------- read -- */

static int take_path(const char *word, const char *name, char path[EBB_WHEREABOUTS_PATH_MAX])
{
	size_t length = strlen(name);

	if (strncmp(word, name, length) != 0 || word[length] != '=' ||
	    strlen(word + length + 1) >= EBB_WHEREABOUTS_PATH_MAX)
		return -EBADMSG;
	(void)snprintf(path, EBB_WHEREABOUTS_PATH_MAX, "%s", word + length + 1);
	return 0;
}

/* @text: @length bytes, each word ended by a NUL. */
static int parse(const char *text, size_t length, struct ebb_whereabouts *w)
{
	char serial[EBB_WHEREABOUTS_PATH_MAX], end[EBB_WHEREABOUTS_PATH_MAX], keep[EBB_WHEREABOUTS_PATH_MAX];
	const char *words[WORDS];
	size_t at = 0;

	for (size_t i = 0; i < WORDS; i++) {
		const char *nul = at < length ? memchr(text + at, '\0', length - at) : NULL;

		if (!nul)
			return -EBADMSG;
		words[i] = text + at;
		at = (size_t)(nul - text) + 1;
	}
	if (at != length || take_path(words[0], "serial", serial) < 0 ||
	    take_path(words[1], "dir", w->dir) < 0 || take_path(words[2], "sqlite", w->sqlite) < 0 ||
	    take_path(words[3], "file", w->file) < 0 || take_path(words[4], "keep", keep) < 0 ||
	    take_path(words[5], "serial", end) < 0 || strcmp(serial, end) != 0)
		return -EBADMSG;
	w->keep = (uint32_t)strtoul(keep, NULL, 10);
	return 0;
}

static int read_whole(int fd, struct ebb_whereabouts *ret)
{
	struct ebb_whereabouts w;
	char text[TEXT_MAX];
	ssize_t n;
	int r = -EBADMSG;

	for (int i = 0; i < TRIES && r < 0; i++) {
		n = pread(fd, text, sizeof(text), 0);
		if (n < 0)
			return -errno;
		r = parse(text, (size_t)n, &w);
	}
	if (r == 0)
		*ret = w;
	return r;
}

static bool is_ours(int dir_fd, const char *name)
{
	char target[sizeof(LINK) + 1] = "";

	return readlinkat(dir_fd, name, target, sizeof(target) - 1) > 0 && strcmp(target, LINK) == 0;
}

int ebb_whereabouts_of(uint32_t pid, struct ebb_whereabouts *ret_whereabouts)
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (!is_ours(dirfd(dir), entry->d_name))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		return read_whole(fd, ret_whereabouts) < 0 ? -ENOENT : 0;
	}
	return -ENOENT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/whereabouts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define NAME	   "ebb-audit"
#define LINK	   "/memfd:" NAME " (deleted)"
#define TEXT_MAX   (4 * EBB_WHEREABOUTS_PATH_MAX + 3 * EBB_WHEREABOUTS_WORD_MAX + 256)
#define TRIES	   10
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

/* The serial of what stands there; 0: nothing does. */
static unsigned long last_serial(int fd)
{
	char text[SERIAL_MAX] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return 0;
	return strncmp(text, "serial=", 7) == 0 ? strtoul(text + 7, NULL, 10) : 0;
}

/* Between the two serials, in this order: texts, and numbers. */
#define TEXT(name, member)                                            \
	{                                                             \
		name, offsetof(struct ebb_whereabouts, member),       \
			sizeof(((struct ebb_whereabouts *)0)->member) \
	}
#define NUMBER(name, member)                                      \
	{                                                         \
		name, offsetof(struct ebb_whereabouts, member), 0 \
	}

static const struct {
	const char *name;
	size_t offset;
	size_t size; /* of a text; 0: a number */
} words[] = {
	TEXT("dir", dir),	    TEXT("sqlite", sqlite), TEXT("file", file),
	NUMBER("keep", keep),	    TEXT("host", host),	    NUMBER("port", port),
	TEXT("database", database), TEXT("user", user),	    TEXT("password_file", password_file),
};

#define WORDS (sizeof(words) / sizeof(words[0]))

static size_t put(char text[TEXT_MAX], size_t used, const char *name, const char *value)
{
	return used + (size_t)snprintf(text + used, TEXT_MAX - used, "%s=%s", name, value) + 1;
}

static size_t put_word(char text[TEXT_MAX], size_t used, size_t word, const struct ebb_whereabouts *w)
{
	const char *at = (const char *)w + words[word].offset;
	char number[SERIAL_MAX];
	uint32_t value;

	if (words[word].size)
		return put(text, used, words[word].name, at);
	memcpy(&value, at, sizeof(value));
	(void)snprintf(number, sizeof(number), "%u", value);
	return put(text, used, words[word].name, number);
}

int ebb_whereabouts_say(int fd, const struct ebb_whereabouts *w)
{
	char text[TEXT_MAX], serial[SERIAL_MAX];
	size_t used;

	(void)snprintf(serial, sizeof(serial), "%lu", last_serial(fd) + 1);
	used = put(text, 0, "serial", serial);
	for (size_t i = 0; i < WORDS; i++)
		used = put_word(text, used, i, w);
	used = put(text, used, "serial", serial);
	errno = 0;
	if (pwrite(fd, text, used, 0) != (ssize_t)used || ftruncate(fd, (off_t)used) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

/* -------------------------------------------------------------------- read -- */

/* The value of the word at *@io_text, which moves behind it; NULL: it is another one, or not whole. */
static const char *take(const char **io_text, const char *end, const char *name)
{
	const char *text = *io_text, *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
	size_t length = strlen(name);

	if (!nul || strncmp(text, name, length) != 0 || text[length] != '=')
		return NULL;
	*io_text = nul + 1;
	return text + length + 1;
}

static int take_word(const char **io_text, const char *end, size_t word, struct ebb_whereabouts *w)
{
	const char *value = take(io_text, end, words[word].name);
	char *at = (char *)w + words[word].offset;
	uint32_t number;

	if (!value || (words[word].size && strlen(value) >= words[word].size))
		return -EBADMSG;
	if (words[word].size) {
		(void)snprintf(at, words[word].size, "%s", value);
		return 0;
	}
	number = (uint32_t)strtoul(value, NULL, 10);
	memcpy(at, &number, sizeof(number));
	return 0;
}

/* @text: @length bytes, each word ended by a NUL. */
static int parse(const char *text, size_t length, struct ebb_whereabouts *w)
{
	const char *end = text + length, *begun, *ended;

	begun = take(&text, end, "serial");
	if (!begun)
		return -EBADMSG;
	for (size_t i = 0; i < WORDS; i++) {
		if (take_word(&text, end, i, w) < 0)
			return -EBADMSG;
	}
	ended = take(&text, end, "serial");
	return ended && text == end && strcmp(begun, ended) == 0 ? 0 : -EBADMSG;
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

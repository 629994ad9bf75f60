/* SPDX-License-Identifier: Apache-2.0 */
/* What stands between the product and malloc() or the kernel, in programs linked with --wrap. */
#include "tests/lib/faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ----------------------------------------------------------------- which one -- */

static unsigned int armed; /* kinds; 0: everything succeeds */
static int error;
static bool once, partly;
static size_t left; /* calls before the one that fails */
static size_t hit;

/* Is it this call's turn to fail? */
static bool fails(unsigned int kind)
{
	size_t before;

	if (!(__atomic_load_n(&armed, __ATOMIC_ACQUIRE) & kind))
		return false;
	before = __atomic_load_n(&left, __ATOMIC_RELAXED);
	while (before > 0) {
		if (__atomic_compare_exchange_n(&left, &before, before - 1, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return false;
	}
	return __atomic_fetch_add(&hit, 1, __ATOMIC_RELAXED) == 0 || !once;
}

/* As fails(), with errno set. */
static bool fails_with_errno(unsigned int kind)
{
	if (!fails(kind))
		return false;
	errno = error;
	return true;
}

bool faults_next(struct faults *faults)
{
	if (faults->n > 0 && faults->hit == 0) {
		if (faults->once)
			return false;
		faults->once = true;
		faults->n = 0;
	}
	if (!faults->once)
		faults->places = faults->n;
	faults->n += faults->sparse && faults->n >= 64 ? faults->n / 16 : 1;
	return true;
}

void faults_on(const struct faults *faults)
{
	left = faults->n - 1;
	once = faults->once;
	partly = faults->partly;
	error = faults->error;
	hit = 0;
	__atomic_store_n(&armed, faults->kinds, __ATOMIC_RELEASE);
}

void faults_go_on(const struct faults *faults)
{
	__atomic_store_n(&armed, faults->kinds, __ATOMIC_RELEASE);
}

void faults_off(struct faults *faults)
{
	__atomic_store_n(&armed, 0, __ATOMIC_RELEASE);
	faults->hit = __atomic_load_n(&hit, __ATOMIC_RELAXED);
}

size_t faults_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		(void)closedir(dir);
	return count;
}

/* -------------------------------------------------------------------- the calls -- */

/* A function whose failure is @failure and errno. The linker calls the library's own __real_NAME. */
#define FAILS(kind, failure, type, name, parameters, arguments)                      \
	type __real_##name parameters;                                               \
	type __wrap_##name parameters;                                               \
	type __wrap_##name parameters                                                \
	{                                                                            \
		return fails_with_errno(kind) ? (failure) : __real_##name arguments; \
	}

FAILS(FAULT_MEMORY, NULL, void *, malloc, (size_t size), (size))
FAILS(FAULT_MEMORY, NULL, void *, calloc, (size_t count, size_t size), (count, size))
FAILS(FAULT_MEMORY, NULL, void *, realloc, (void *memory, size_t size), (memory, size))
FAILS(FAULT_MEMORY, NULL, void *, reallocarray, (void *memory, size_t count, size_t size),
      (memory, count, size))
FAILS(FAULT_MEMORY, NULL, char *, strdup, (const char *text), (text))
FAILS(FAULT_MEMORY, NULL, char *, strndup, (const char *text, size_t size), (text, size))
FAILS(FAULT_MEMORY, NULL, FILE *, open_memstream, (char **text, size_t *size), (text, size))
FAILS(FAULT_MEMORY, -1, ssize_t, getline, (char **line, size_t *size, FILE *file), (line, size, file))
/* what getline() is with optimization */
FAILS(FAULT_MEMORY, -1, ssize_t, __getdelim, (char **line, size_t *size, int end, FILE *file),
      (line, size, end, file))

FAILS(FAULT_OPEN, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))
FAILS(FAULT_OPEN, NULL, FILE *, fdopen, (int fd, const char *mode), (fd, mode))
FAILS(FAULT_OPEN, NULL, DIR *, opendir, (const char *path), (path))
FAILS(FAULT_OPEN, NULL, DIR *, fdopendir, (int fd), (fd))

/* These do nothing: no test cuts the power, and a disk that others use is slow. */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
	(void)fd;
	return fails_with_errno(FAULT_SYNC) ? -1 : 0;
}

int __wrap_fdatasync(int fd)
{
	(void)fd;
	return fails_with_errno(FAULT_SYNC) ? -1 : 0;
}

FAILS(FAULT_STAT, -1, int, stat, (const char *path, struct stat *st), (path, st))
FAILS(FAULT_STAT, -1, int, fstat, (int fd, struct stat *st), (fd, st))
FAILS(FAULT_STAT, -1, int, fstatat, (int dir, const char *path, struct stat *st, int flags),
      (dir, path, st, flags))

FAILS(FAULT_NAME, -1, int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
      (from_dir, from, to_dir, to))
FAILS(FAULT_NAME, -1, int, unlink, (const char *path), (path))
FAILS(FAULT_NAME, -1, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
FAILS(FAULT_NAME, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))

FAILS(FAULT_SIZE, -1, int, ftruncate, (int fd, off_t size), (fd, size))
FAILS(FAULT_LOCK, -1, int, flock, (int fd, int operation), (fd, operation))
FAILS(FAULT_THREAD, error, int, pthread_create,
      (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *userdata),
      (thread, attributes, run, userdata))

FAILS(FAULT_MAKE, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAILS(FAULT_MAKE, -1, int, eventfd, (unsigned int value, int flags), (value, flags))
FAILS(FAULT_MAKE, -1, int, epoll_create1, (int flags), (flags))
FAILS(FAULT_MAKE, -1, int, timerfd_create, (int clock, int flags), (clock, flags))
FAILS(FAULT_MAKE, -1, int, inotify_init1, (int flags), (flags))

FAILS(FAULT_SETUP, -1, int, bind, (int fd, const struct sockaddr *address, socklen_t size),
      (fd, address, size))
FAILS(FAULT_SETUP, -1, int, listen, (int fd, int backlog), (fd, backlog))
FAILS(FAULT_SETUP, -1, int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),
      (epoll, operation, fd, event))
FAILS(FAULT_SETUP, -1, int, timerfd_settime,
      (int fd, int flags, const struct itimerspec *value, struct itimerspec *old), (fd, flags, value, old))
FAILS(FAULT_SETUP, -1, int, inotify_add_watch, (int fd, const char *path, uint32_t events),
      (fd, path, events))

static const char *mounted;

void faults_mounted(const char *path)
{
	mounted = path;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_rename(const char *from, const char *to)
{
	if (fails_with_errno(FAULT_NAME))
		return -1;
	if (mounted && strcmp(from, mounted) == 0) {
		errno = EBUSY;
		return -1;
	}
	return __real_rename(from, to);
}

/* ---- with a mode, or with a part done */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	va_start(rest, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(rest, mode_t);
	va_end(rest);
	return fails_with_errno(FAULT_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	va_start(rest, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(rest, mode_t);
	va_end(rest);
	return fails_with_errno(FAULT_OPEN) ? -1 : __real_openat(dir, path, flags, mode);
}

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list arguments;
	int n;

	if (fails_with_errno(FAULT_MEMORY))
		return -1;
	va_start(arguments, format);
	n = vasprintf(text, format, arguments);
	va_end(arguments);
	return n;
}

/* So much of @size is done; 0: it fails. */
static size_t part(unsigned int kind, size_t size)
{
	if (!fails_with_errno(kind))
		return size;
	return partly && size > 1 && __atomic_load_n(&hit, __ATOMIC_RELAXED) == 1 ? size / 2 : 0;
}

#define PARTLY(kind, name, memory, place, place_argument)                                  \
	ssize_t __real_##name(int fd, memory, size_t size place);                          \
	ssize_t __wrap_##name(int fd, memory, size_t size place);                          \
	ssize_t __wrap_##name(int fd, memory, size_t size place)                           \
	{                                                                                  \
		size_t some = part(kind, size);                                            \
                                                                                           \
		return size && !some ? -1 : __real_##name(fd, bytes, some place_argument); \
	}
#define NOTHING
#define PLACE	 , off_t at
#define PLACE_OF , at

PARTLY(FAULT_READ, read, void *bytes, NOTHING, NOTHING)
PARTLY(FAULT_WRITE, write, const void *bytes, NOTHING, NOTHING)
PARTLY(FAULT_WRITE, pwrite, const void *bytes, PLACE, PLACE_OF)

/* ---- with a part of the disk that is bad */

static off_t bad_from, bad_to;

void faults_bad_part(off_t from, off_t to)
{
	bad_from = from;
	bad_to = to;
}

ssize_t __real_pread(int fd, void *bytes, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at);

ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at)
{
	size_t some = part(FAULT_READ, size);

	if (at < bad_to && at + (off_t)some > bad_from) {
		errno = EIO;
		some = at < bad_from ? (size_t)(bad_from - at) : 0;
	}
	return size && !some ? -1 : __real_pread(fd, bytes, some, at);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Nth request for memory, or the Nth system call of a kind, fails, for N = 1, 2, 3... until an operation is
 * through without having met the failure. First all from the Nth on fail, as when memory is out, then the Nth alone,
 * which finds what believes that it succeeded with a part of it missing.
 *
 *	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
 *
 *	while (faults_next(&faults)) {
 *		faults_on(&faults);
 *		r = ebb_thing_new(&thing);
 *		faults_off(&faults);
 *		if (r == 0)
 *			... all of it is there, whether faults.hit or not
 *		else
 *			... faults.hit, the error is the one that was made, nothing is changed
 *	}
 *	assert_true(faults.places > 20);
 *
 * That nothing leaks is what the build with sanitizers looks for. Programs named test_*_faults are linked with --wrap
 * (see the Makefile): what the product calls is met, what libraries do inside is not. Of the process' threads all count.
 */
#ifndef EBB_TESTS_LIB_FAULTS_H
#define EBB_TESTS_LIB_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum fault_kind {
	FAULT_MEMORY =
		1 << 0, /* malloc, calloc, realloc, reallocarray, strdup, asprintf, open_memstream, getline */
	FAULT_OPEN = 1 << 1,   /* open, openat, fopen, fdopen, opendir, fdopendir */
	FAULT_READ = 1 << 2,   /* read, pread */
	FAULT_WRITE = 1 << 3,  /* write, pwrite */
	FAULT_SYNC = 1 << 4,   /* fsync, fdatasync */
	FAULT_STAT = 1 << 5,   /* stat, fstat, fstatat */
	FAULT_NAME = 1 << 6,   /* rename, renameat, unlink, unlinkat, mkdir */
	FAULT_SIZE = 1 << 7,   /* ftruncate */
	FAULT_LOCK = 1 << 8,   /* flock */
	FAULT_THREAD = 1 << 9, /* pthread_create, which returns its error */
	FAULT_MAKE = 1 << 10,  /* socket, eventfd, epoll_create1, timerfd_create, inotify_init1 */
	FAULT_SETUP = 1 << 11, /* bind, listen, epoll_ctl, timerfd_settime, inotify_add_watch */
};

struct faults {
	unsigned int kinds;
	int error;
	bool partly; /* the first that fails reads or writes half of what it was given, as when a disk gets full */
	bool sparse; /* behind the 64th not each, but one in a sixteenth of the way so far: for what takes long */
	/* what there is to know after faults_off() */
	size_t hit;    /* how many calls failed */
	size_t places; /* how many calls could have been the first to fail, so far */
	/* its own */
	size_t n;
	bool once;
};

/* Is there a next one to fail, or the last run, in which none does? */
bool faults_next(struct faults *faults);

void faults_on(const struct faults *faults);
void faults_off(struct faults *faults);

/* On again where faults_off() was called: what is between the two is the test's own. */
void faults_go_on(const struct faults *faults);

/* Of every file the bytes from @from up to @to cannot be read by pread(), but what is before them can; 0, 0: all can. */
void faults_bad_part(off_t from, off_t to);

/* rename() of @path fails, as where a file is mounted by itself; NULL: of none. Borrowed. */
void faults_mounted(const char *path);

/* How many descriptors this process has open: no sanitizer looks for those that are forgotten. */
size_t faults_descriptors(void);

#endif /* EBB_TESTS_LIB_FAULTS_H */

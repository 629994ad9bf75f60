/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export/spool.c on a machine where every call may fail: a line that was accepted is read again, each once and in its
 * order; one that was not is not there; nothing is forgotten that was opened.
 */
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/spool.h"
#include "tests/lib/faults.h"
#include "tests/lib/temp_dir.h"

static char dir[TEMP_DIR_MAX], path[128];
static const char *const readers[] = {"one"};

/* What fails: disks that are full or broken, too many open files, no memory. */
static const struct {
	unsigned int kinds;
	int error;
	bool partly;
} failures[] = {
	{FAULT_MEMORY, ENOMEM, false},
	{FAULT_OPEN, EMFILE, false},
	{FAULT_READ, EIO, false},
	{FAULT_READ, EIO, true},
	{FAULT_WRITE, ENOSPC, false},
	{FAULT_WRITE, ENOSPC, true},
	/* what was half written cannot be taken back */
	{FAULT_WRITE | FAULT_SIZE, EIO, true},
	{FAULT_SYNC | FAULT_STAT | FAULT_NAME | FAULT_SIZE | FAULT_LOCK, EIO, false},
	/* all of a disk at once */
	{FAULT_OPEN | FAULT_READ | FAULT_WRITE | FAULT_SYNC | FAULT_STAT | FAULT_NAME | FAULT_SIZE, EIO,
	 false},
};

#define FAILURES (sizeof(failures) / sizeof(failures[0]))

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("spool", dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/spool", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return temp_dir_remove(dir);
}

static int try_open(struct ebb_spool **ret_spool, struct ebb_why *why)
{
	/* three lines of a test fill a segment */
	const struct ebb_spool_setup setup = {.dir = path,
					      .max_bytes = 4096,
					      .segment_bytes = 72,
					      .readers = readers,
					      .reader_count = 1};

	return ebb_spool_open(&setup, ret_spool, why);
}

static struct ebb_spool *must_open(void)
{
	struct ebb_spool *spool = NULL;
	struct ebb_why why = {{0}};

	if (try_open(&spool, &why) < 0)
		fail_msg("%s", why.text);
	return spool;
}

/* All that is there from the cursor on is @wanted. */
static void assert_holds(struct ebb_spool *spool, const char *wanted)
{
	char found[4096];
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0) {
		struct ebb_why why = {{0}};
		uint64_t next;

		n = ebb_spool_read(spool, 0, found + used, sizeof(found) - 1 - used, &next, &why);
		if (n < 0)
			fail_msg("%s", why.text);
		if (n > 0)
			assert_int_equal(ebb_spool_pass(spool, 0, next, &why), 0);
		used += (size_t)n;
	}
	found[used] = '\0';
	assert_string_equal(found, wanted);
}

/* "line 000000000000000001\n" */
static void line_of(unsigned int number, char line[32])
{
	(void)snprintf(line, 32, "line %018u\n", number);
}

static void add_text(char *text, size_t size, const char *more)
{
	size_t used = strlen(text);

	(void)snprintf(text + used, size - used, "%s", more);
}

static void remove_spool(void)
{
	if (access(path, F_OK) == 0)
		assert_int_equal(temp_dir_remove(path), 0);
}

/* Three lines in each of two segments, of which two lines are passed, and half a line. Returns what waits. */
static const char *make_spool(char waits[256])
{
	struct ebb_spool *spool;
	struct ebb_why why = {{0}};
	char line[32], file[160], buffer[64];
	uint64_t next;
	int fd;

	remove_spool();
	spool = must_open();
	waits[0] = '\0';
	for (unsigned int i = 0; i < 6; i++) {
		line_of(i, line);
		assert_int_equal(ebb_spool_append(spool, line, strlen(line), &why), 0);
		if (i >= 2)
			add_text(waits, 256, line);
	}
	assert_int_equal(ebb_spool_read(spool, 0, buffer, 2 * strlen(line), &next, &why), 2 * strlen(line));
	assert_int_equal(ebb_spool_pass(spool, 0, next, &why), 0);
	ebb_spool_free(spool);
	(void)snprintf(file, sizeof(file), "%s/spool-0000000000000048", path);
	fd = open(file, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "half", 4), 4);
	(void)close(fd);
	return waits;
}

static void a_spool_that_cannot_be_opened_is_whole_when_it_can(void **state)
{
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = {.kinds = failures[i].kinds,
					.error = failures[i].error,
					.partly = failures[i].partly};

		while (faults_next(&faults)) {
			struct ebb_spool *spool = NULL;
			struct ebb_why why = {{0}};
			char waits[256], all[512];
			bool fell_back;
			int r;

			(void)make_spool(waits);
			faults_on(&faults);
			r = try_open(&spool, &why);
			faults_off(&faults);
			if (r < 0) {
				assert_true(faults.hit > 0);
				assert_null(spool);
				assert_true(why.text[0] != '\0');
				spool = must_open();
			}
			/* a cursor that cannot be read is told by lines that come again, never by lost ones */
			fell_back = ebb_spool_cursor(spool, 0) == 0;
			assert_true(!fell_back || (r == 0 && faults.hit > 0));
			(void)snprintf(all, sizeof(all), "%s%s",
				       fell_back ? "line 000000000000000000\nline 000000000000000001\n" : "",
				       waits);
			assert_holds(spool, all);
			ebb_spool_free(spool);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
}

/* Line after line, one of which fails, and then those of a disk that works again. */
static void what_is_refused_is_not_there_and_the_rest_is(void **state)
{
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = {.kinds = failures[i].kinds,
					.error = failures[i].error,
					.partly = failures[i].partly};

		while (faults_next(&faults)) {
			char accepted[1024] = "", line[32];
			struct ebb_spool *spool;

			remove_spool();
			spool = must_open();
			faults_on(&faults);
			for (unsigned int n = 0; n < 12; n++) {
				struct ebb_why why = {{0}};
				int r;

				if (n == 7)
					faults_off(&faults);
				line_of(n, line);
				r = ebb_spool_append(spool, line, strlen(line), &why);
				if (n >= 7 || r == 0)
					assert_int_equal(r, 0);
				else
					assert_true(why.text[0] != '\0');
				if (r == 0)
					add_text(accepted, sizeof(accepted), line);
			}
			assert_holds(spool, accepted);
			ebb_spool_free(spool);
			/* another process reads the same */
			spool = must_open();
			assert_holds(spool, "");
			ebb_spool_free(spool);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
}

/* A reader that meets failures gets each line, in order, and passes them. */
static void what_cannot_be_read_is_read_later(void **state)
{
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = {.kinds = failures[i].kinds,
					.error = failures[i].error,
					.partly = failures[i].partly};

		while (faults_next(&faults)) {
			char waits[256], found[1024] = "";
			struct ebb_spool *spool;
			size_t used = 0;

			(void)make_spool(waits);
			spool = must_open();
			faults_on(&faults);
			for (int turn = 0; turn < 20; turn++) {
				struct ebb_why why = {{0}};
				uint64_t next = 0;
				ssize_t n;

				if (turn == 10)
					faults_off(&faults);
				n = ebb_spool_read(spool, 0, found + used, 32, &next, &why);
				if (n < 0) {
					assert_true(turn < 10);
					/* the disk's own failure, not one that a person is to look for */
					assert_true(failures[i].partly || n == -failures[i].error);
					continue;
				}
				if (n == 0)
					continue;
				used += (size_t)n;
				if (ebb_spool_pass(spool, 0, next, &why) < 0)
					assert_true(turn < 10 && why.text[0] != '\0');
				(void)ebb_spool_sync(spool, &why);
			}
			found[used] = '\0';
			assert_string_equal(found, waits);
			assert_int_equal(ebb_spool_count(spool, 0), 0);
			ebb_spool_free(spool);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_spool_that_cannot_be_opened_is_whole_when_it_can, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused_is_not_there_and_the_rest_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_read_later, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

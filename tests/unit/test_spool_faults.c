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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/shared_spool.h"
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

/* Where there is a file system in memory: thousands of files take long on a disk that others use. */
static int set_up_in_memory(void **state)
{
	if (access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 0) < 0)
		return -1;
	return set_up(state);
}

static int tear_down(void **state)
{
	(void)state;
	faults_bad_part(0, 0);
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

static uint64_t count_of(const struct ebb_spool *spool)
{
	bool guessed = true;
	uint64_t count = ebb_spool_count(spool, 0, &guessed);

	assert_false(guessed);
	return count;
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
			assert_int_equal(count_of(spool), 0);
			ebb_spool_free(spool);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
}

static void write_file(const char *name, const char *content, size_t length)
{
	char file[160];
	int fd;

	(void)snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, length), (ssize_t)length);
	(void)close(fd);
}

static void must_append(struct ebb_spool *spool, const char *line)
{
	struct ebb_why why = {{0}};

	if (ebb_spool_append(spool, line, strlen(line), &why) < 0)
		fail_msg("%s", why.text);
}

/* Lines of 50 bytes in one file of 20,000. */
#define BIG_LINES 400
#define BIG_LINE  50
#define TRIES	  30

static void big_line_of(unsigned int number, char line[BIG_LINE + 1])
{
	(void)snprintf(line, BIG_LINE + 1, "big line %040u\n", number);
}

static struct ebb_spool *open_big(void)
{
	const struct ebb_spool_setup setup = {.dir = path,
					      .max_bytes = 1 << 20,
					      .segment_bytes = 1 << 20,
					      .readers = readers,
					      .reader_count = 1};
	struct ebb_spool *spool = NULL;
	struct ebb_why why = {{0}};

	if (ebb_spool_open(&setup, &spool, &why) < 0)
		fail_msg("%s", why.text);
	return spool;
}

static struct ebb_spool *make_big(void)
{
	struct ebb_spool *spool;
	char line[BIG_LINE + 1];

	remove_spool();
	spool = open_big();
	for (unsigned int i = 0; i < BIG_LINES; i++) {
		big_line_of(i, line);
		must_append(spool, line);
	}
	return spool;
}

/* What can be had, to @found; returns how it ended. */
static int read_and_pass(struct ebb_spool *spool, char *found, size_t size)
{
	size_t used = strlen(found);
	struct ebb_why why = {{0}};
	uint64_t next;
	ssize_t n;

	while ((n = ebb_spool_read(spool, 0, found + used, size - 1 - used, &next, &why)) > 0) {
		(void)ebb_spool_pass(spool, 0, next, &why);
		used += (size_t)n;
	}
	found[used] = '\0';
	assert_true(n == 0 || why.text[0] != '\0');
	return (int)n;
}

/* Each line up to @from and from @to on, once, and "fresh" behind them; parts of others may stand between. */
static void assert_all_but(const char *found, unsigned int from, unsigned int to)
{
	char line[BIG_LINE + 1];

	for (unsigned int i = 0; i < BIG_LINES; i++) {
		const char *at;

		big_line_of(i, line);
		at = strstr(found, line);
		assert_true((at != NULL) == (i < from || i >= to));
		found = at ? at + BIG_LINE : found;
	}
	assert_string_equal(found, "fresh\n");
}

/* A block of a disk is lost: what is before it comes at once, what is behind it in the end. */
static void a_bad_block_holds_nothing_up_for_ever(void **state)
{
	const unsigned int before = 8192 / BIG_LINE, behind = 3 * 4096 / BIG_LINE + 1;
	struct ebb_spool *spool = make_big();
	static char found[32768];

	(void)state;
	found[0] = '\0';
	faults_bad_part(8192, 8192 + 100); /* and with it the rest of the block */
	for (int i = 1; i < TRIES; i++) {
		assert_int_equal(read_and_pass(spool, found, sizeof(found)), -EIO);
		assert_int_equal(strlen(found), before * BIG_LINE);
	}
	must_append(spool, "fresh\n");
	assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
	assert_all_but(found, before, behind);
	assert_int_equal(ebb_spool_waiting(spool, 0), 0);
	ebb_spool_free(spool);
	/* nor does it come again */
	spool = open_big();
	assert_holds(spool, "");
	faults_bad_part(0, 0);
	ebb_spool_free(spool);
}

static uint64_t lines_in(const char *text, ssize_t length)
{
	uint64_t count = 0;

	for (ssize_t i = 0; i < length; i++)
		count += text[i] == '\n';
	return count;
}

/* Also on a disk without room, which gets none before the reader is past it; half a line could not be taken back there. */
static void a_bad_block_of_a_full_disk_is_left_out(void **state)
{
	struct faults full = {.kinds = FAULT_WRITE | FAULT_SIZE, .error = ENOSPC, .partly = true, .n = 1};
	struct ebb_spool *spool = make_big();
	struct ebb_why why = {{0}};
	static char found[32768];

	(void)state;
	found[0] = '\0';
	faults_bad_part(8192, 12288);
	faults_on(&full);
	assert_true(ebb_spool_append(spool, "not now\n", 8, &why) < 0);
	/* the next ones write nothing */
	for (int i = 0; i < TRIES; i++)
		assert_int_equal(read_and_pass(spool, found, sizeof(found)), -EIO);
	full.kinds = FAULT_WRITE;
	faults_off(&full);
	faults_on(&full);
	assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
	faults_off(&full);
	must_append(spool, "fresh\n");
	assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
	assert_all_but(found, 8192 / BIG_LINE, 3 * 4096 / BIG_LINE + 1);
	ebb_spool_free(spool);
	spool = open_big();
	assert_holds(spool, "");
	ebb_spool_free(spool);
}

/* Metrics tell how many events wait: those that were left out do not. */
static void what_was_left_out_does_not_wait(void **state)
{
	const struct ebb_spool_setup setup = {.dir = path, .max_bytes = 1 << 20, .segment_bytes = 1 << 20};
	struct ebb_shared_spool shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
					  .names = {"one"},
					  .reader_count = 1};
	struct ebb_why why = {{0}};
	static char found[32768];

	(void)state;
	ebb_spool_free(make_big());
	assert_int_equal(ebb_shared_spool_open(&shared, &setup, &why), 0);
	assert_int_equal(shared.waiting[0], BIG_LINES);
	faults_bad_part(8192, 12288);
	for (int t = 0; t < TRIES + 5; t++) {
		uint64_t next;
		ssize_t n = ebb_shared_spool_read(&shared, 0, found, sizeof(found), &next, &why);

		if (n > 0)
			assert_int_equal(ebb_shared_spool_pass(&shared, 0, next, lines_in(found, n), &why),
					 0);
	}
	assert_false(ebb_shared_spool_has_more(&shared, 0));
	assert_int_equal(shared.waiting[0], 0);
	ebb_shared_spool_close(&shared);
}

/* Its end, where a torn line would stand: it is opened, and nothing that can be read again is lost. */
static void a_bad_block_at_the_end_keeps_nothing_closed(void **state)
{
	struct ebb_spool *spool = make_big();
	static char found[32768];

	(void)state;
	found[0] = '\0';
	ebb_spool_free(spool);
	faults_bad_part(16384, 20480);
	spool = open_big();
	must_append(spool, "fresh\n");
	assert_int_equal(read_and_pass(spool, found, sizeof(found)), -EIO);
	assert_int_equal(strlen(found), 16384 / BIG_LINE * BIG_LINE);
	faults_bad_part(0, 0);
	assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
	assert_all_but(found, BIG_LINES, BIG_LINES);
	ebb_spool_free(spool);
	spool = open_big();
	assert_holds(spool, "");
	ebb_spool_free(spool);
}

/* A file is taken away, or made shorter: also of the last one others come, and lines are added elsewhere. */
static void a_file_that_is_gone_holds_nothing_up_for_ever(void **state)
{
	const unsigned int kept[] = {0, 8192 / BIG_LINE};

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const int error = kept[i] ? -ENODATA : -ENOENT;
		struct ebb_spool *spool = make_big();
		static char found[32768];
		char file[160];

		found[0] = '\0';
		(void)snprintf(file, sizeof(file), "%s/spool-0000000000000000", path);
		assert_int_equal(kept[i] ? truncate(file, 8192) : unlink(file), 0);
		for (int t = 1; t < TRIES; t++)
			assert_int_equal(read_and_pass(spool, found, sizeof(found)), error);
		assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
		must_append(spool, "fresh\n");
		assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
		assert_all_but(found, kept[i], BIG_LINES);
		ebb_spool_free(spool);
	}
}

/* A person has to look: it holds no line, but who knows what is in it. */
static void a_directory_in_place_of_a_file_is_refused(void **state)
{
	struct ebb_spool *spool = NULL;
	struct ebb_why why = {{0}};
	char file[160];

	(void)state;
	ebb_spool_free(must_open());
	(void)snprintf(file, sizeof(file), "%s/spool-0000000000000000", path);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	write_file("spool-0000000001000000", "line\n", 5);
	assert_int_equal(try_open(&spool, &why), -EUCLEAN);
	assert_non_null(strstr(why.text, "spool-0000000000000000"));
	assert_int_equal(rmdir(file), 0);
	spool = must_open();
	assert_holds(spool, "line\n");
	ebb_spool_free(spool);
}

/* It comes back: what cannot be read for ever so long is read then. */
static void a_disk_that_is_away_loses_nothing(void **state)
{
	static const struct {
		unsigned int kinds;
		int error;
	} away[] = {
		{FAULT_OPEN | FAULT_READ | FAULT_WRITE | FAULT_SYNC | FAULT_NAME, EIO},
		{FAULT_READ | FAULT_SYNC, EIO},
		{FAULT_READ | FAULT_NAME, EIO},
		/* our own */
		{FAULT_OPEN, EMFILE},
		{FAULT_READ, ENOMEM},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
		struct faults faults = {.kinds = away[i].kinds, .error = away[i].error, .n = 1};
		struct ebb_spool *spool = make_big();
		static char found[32768];

		found[0] = '\0';
		faults_on(&faults);
		for (int t = 0; t < 3 * TRIES; t++)
			assert_int_equal(read_and_pass(spool, found, sizeof(found)), -away[i].error);
		faults_off(&faults);
		must_append(spool, "fresh\n");
		assert_int_equal(read_and_pass(spool, found, sizeof(found)), 0);
		assert_all_but(found, BIG_LINES, BIG_LINES);
		ebb_spool_free(spool);
	}
}

/* What holds no line, or stands nowhere at all, makes way for lines; also while files could not be removed. */
static void damage_and_gaps_do_not_fill_the_spool(void **state)
{
	static const char zeros[4096];
	static const struct {
		const char *first, *last;
		size_t zeros;
		const char *holds;
		bool drained;
	} cases[] = {
		/* as after a power failure: as much as a spool may have, and nothing behind it */
		{"spool-0000000000000000", "spool-0000000000001000", 4096, "", false},
		/* a file between them is missing: what is there fills nothing */
		{"spool-0000000000000000", "spool-0000000000200000", 0, "line\n", true},
		{"spool-0000000000000000", "spool-0000000000200000", 0, "line\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *content = cases[i].zeros ? zeros : cases[i].holds;
		/* of the files that are read the first can be opened */
		const struct {
			unsigned int kinds;
			size_t n;
		} failing[] = {{0, 1}, {FAULT_NAME, 1}, {FAULT_OPEN, 2}};

		for (size_t f = 0; f < sizeof(failing) / sizeof(failing[0]); f++) {
			struct faults faults = {.kinds = failing[f].kinds, .error = EIO, .n = failing[f].n};
			struct ebb_spool *spool;
			struct ebb_why why = {{0}};
			char all[64] = "", nothing[4096];
			uint64_t next;

			remove_spool();
			ebb_spool_free(must_open());
			write_file(cases[i].first, content,
				   cases[i].zeros ? cases[i].zeros : strlen(content));
			write_file(cases[i].last, "", 0);
			spool = must_open();
			if (cases[i].drained)
				assert_holds(spool, cases[i].holds);
			else if (!cases[i].zeros)
				add_text(all, sizeof(all), cases[i].holds);
			else {
				faults_on(&faults);
				(void)ebb_spool_read(spool, 0, nothing, sizeof(nothing), &next, &why);
				faults_off(&faults);
				assert_holds(spool, "");
			}
			must_append(spool, "fresh\n");
			add_text(all, sizeof(all), "fresh\n");
			ebb_spool_free(spool);
			/* another process goes on where this one was */
			spool = must_open();
			assert_holds(spool, all);
			ebb_spool_free(spool);
		}
	}
}

/* No file stays that every reader has passed: one that is longer than the spool may be, is none for ever. */
static void a_spool_that_is_passed_has_room(void **state)
{
	static char lines[8192];
	struct ebb_spool *spool;
	struct ebb_why why = {{0}};
	uint64_t next;

	(void)state;
	memset(lines, 'x', sizeof(lines));
	lines[sizeof(lines) - 1] = '\n';
	ebb_spool_free(must_open());
	write_file("spool-0000000000000000", lines, sizeof(lines));
	spool = must_open();
	assert_int_equal(ebb_spool_append(spool, "fresh\n", 6, &why), -ENOSPC);
	assert_int_equal(ebb_spool_read(spool, 0, lines, sizeof(lines), &next, &why), sizeof(lines));
	/* it is not delivered yet */
	assert_int_equal(ebb_spool_append(spool, "fresh\n", 6, &why), -ENOSPC);
	assert_int_equal(ebb_spool_pass(spool, 0, next, &why), 0);
	must_append(spool, "fresh\n");
	assert_holds(spool, "fresh\n");
	ebb_spool_free(spool);
}

/*
 * The power failed after a cursor was written, and before the lines that it has passed were: what is added in their place is
 * not passed, for the next process neither.
 */
static void a_cursor_behind_the_end_passes_nothing(void **state)
{
	struct faults faults = {.kinds = FAULT_OPEN | FAULT_WRITE | FAULT_NAME, .error = EIO};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_spool *spool = NULL;
		struct ebb_why why = {{0}};

		remove_spool();
		ebb_spool_free(must_open());
		write_file("cursor-one", "0000000000001000\n", 17);
		faults_on(&faults);
		if (try_open(&spool, &why) < 0)
			spool = NULL;
		faults_off(&faults);
		if (!spool)
			spool = must_open();
		must_append(spool, "fresh\n");
		ebb_spool_free(spool);
		spool = must_open();
		assert_holds(spool, "fresh\n");
		ebb_spool_free(spool);
	}
}

/* A spool without readers is for those that come. */
static void without_readers_nothing_makes_way(void **state)
{
	struct ebb_spool_setup setup = {.dir = path, .max_bytes = 64, .segment_bytes = 16};
	struct ebb_spool *spool = NULL;
	struct ebb_why why = {{0}};
	char all[128] = "", line[32];
	int r;

	(void)state;
	assert_int_equal(ebb_spool_open(&setup, &spool, &why), 0);
	line_of(1, line);
	while ((r = ebb_spool_append(spool, line, strlen(line), &why)) == 0)
		add_text(all, sizeof(all), line);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(strlen(all), 2 * strlen(line));
	ebb_spool_free(spool);
	spool = must_open();
	assert_holds(spool, all);
	ebb_spool_free(spool);
}

/* More than 16 GB are more files than that; they are all there for the next process, too. */
static void a_large_spool_has_many_files(void **state)
{
	enum {
		FILES = 4200
	};
	const struct ebb_spool_setup setup = {.dir = path,
					      .max_bytes = 2UL * FILES,
					      .segment_bytes = 2,
					      .readers = readers,
					      .reader_count = 1};
	struct ebb_spool *spool = NULL;
	struct ebb_why why = {{0}};
	char found[4];
	uint64_t next;

	(void)state;
	assert_int_equal(ebb_spool_open(&setup, &spool, &why), 0);
	for (int i = 0; i < FILES; i++)
		must_append(spool, "x\n");
	assert_int_equal(ebb_spool_append(spool, "x\n", 2, &why), -ENOSPC);
	ebb_spool_free(spool);
	assert_int_equal(ebb_spool_open(&setup, &spool, &why), 0);
	assert_int_equal(count_of(spool), FILES);
	assert_int_equal(ebb_spool_pass(spool, 0, 2 * (FILES - 1), &why), 0);
	assert_int_equal(ebb_spool_read(spool, 0, found, sizeof(found), &next, &why), 2);
	assert_int_equal(ebb_spool_pass(spool, 0, next, &why), 0);
	assert_int_equal(ebb_spool_waiting(spool, 0), 0);
	must_append(spool, "x\n");
	ebb_spool_free(spool);
}

/* How much waits in a large spool is told without reading all of it; when it is nearly empty, exactly. */
static void a_large_spool_is_not_read_to_be_counted(void **state)
{
	enum {
		LINE = 1000,
		LINES = 1000, /* in each of as many batches */
		BATCHES = 80,
	};
	const struct ebb_spool_setup setup = {.dir = path,
					      .max_bytes = 1 << 30,
					      .segment_bytes = EBB_SPOOL_SEGMENT_BYTES};
	struct ebb_shared_spool shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
					  .names = {"one"},
					  .reader_count = 1};
	char *lines = malloc(LINE * LINES);
	struct ebb_why why = {{0}};
	uint64_t next, left = BATCHES * LINES;

	(void)state;
	assert_non_null(lines);
	memset(lines, 'x', LINE * LINES);
	for (size_t i = LINE - 1; i < LINE * LINES; i += LINE)
		lines[i] = '\n';
	assert_int_equal(ebb_shared_spool_open(&shared, &setup, &why), 0);
	for (int i = 0; i < BATCHES; i++)
		assert_int_equal(ebb_shared_spool_append(&shared, lines, LINE * LINES, LINES, &why), 0);
	ebb_shared_spool_close(&shared);
	assert_int_equal(ebb_shared_spool_open(&shared, &setup, &why), 0);
	assert_true(shared.guessed[0]);
	assert_in_range(shared.waiting[0], left - left / 20, left + left / 20);
	while (ebb_shared_spool_has_more(&shared, 0)) {
		ssize_t n = ebb_shared_spool_read(&shared, 0, lines, LINE * LINES, &next, &why);

		assert_true(n > 0);
		assert_int_equal(ebb_shared_spool_pass(&shared, 0, next, (uint64_t)n / LINE, &why), 0);
		left -= (uint64_t)n / LINE;
		if (left * LINE <= EBB_SPOOL_COUNTED_BYTES)
			assert_int_equal(shared.waiting[0], left);
	}
	assert_int_equal(shared.waiting[0], 0);
	ebb_shared_spool_close(&shared);
	free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_spool_that_cannot_be_opened_is_whole_when_it_can, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused_is_not_there_and_the_rest_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_read_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_block_holds_nothing_up_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_block_of_a_full_disk_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_left_out_does_not_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_block_at_the_end_keeps_nothing_closed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_is_gone_holds_nothing_up_for_ever, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_directory_in_place_of_a_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_disk_that_is_away_loses_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_and_gaps_do_not_fill_the_spool, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_spool_that_is_passed_has_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cursor_behind_the_end_passes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_readers_nothing_makes_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_large_spool_has_many_files, set_up_in_memory, tear_down),
		cmocka_unit_test_setup_teardown(a_large_spool_is_not_read_to_be_counted, set_up_in_memory,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

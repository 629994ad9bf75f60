/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events on their way to a file, on a machine where every call may fail: each arrives once and whole, or waits; none
 * is taken for garbage because there was no memory to read it with.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/deadletter.h"
#include "export/letters.h"
#include "export/outlet.h"
#include "export/sink_jsonl.h"
#include "lib/log.h"
#include "tests/lib/batch.h"
#include "tests/lib/faults.h"
#include "tests/lib/temp_dir.h"

#define NOW    (1700000000 * 1000000000LL)
#define EVENTS 5
#define ROOM   65536

static char dir[TEMP_DIR_MAX], path[128], letters_path[128];

/* What fails: no memory; too many open files; disks that are broken or full. */
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
	{FAULT_WRITE | FAULT_SIZE, EIO, true},
	{FAULT_SYNC | FAULT_STAT | FAULT_NAME | FAULT_LOCK, EIO, false},
};

#define FAILURES (sizeof(failures) / sizeof(failures[0]))

static struct faults faults_of(size_t i)
{
	return (struct faults){.kinds = failures[i].kinds,
			       .error = failures[i].error,
			       .partly = failures[i].partly,
			       .sparse = true};
}

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("audit", dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
	(void)snprintf(letters_path, sizeof(letters_path), "%s/jsonl.jsonl", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return temp_dir_remove(dir);
}

/* What @name holds, behind what @text holds. */
static void read_file(const char *name, char text[ROOM])
{
	FILE *file = fopen(name, "re");
	size_t used = strlen(text);

	if (!file)
		return;
	used += fread(text + used, 1, ROOM - 1 - used, file);
	text[used] = '\0';
	(void)fclose(file);
}

/* Each of @batch and @other (may be NULL), once, and no other line. */
static void assert_each_once(const struct batch *batch, const struct batch *other, const char *text)
{
	const struct ebb_sink_batch views[] = {batch_view(batch),
					       other ? batch_view(other) : (struct ebb_sink_batch){0}};
	size_t lines = 0;

	for (int v = 0; v < 2; v++) {
		for (size_t i = 0; i < views[v].count; i++) {
			const char *first = strstr(text, views[v].lines[i]);

			assert_non_null(first);
			assert_null(strstr(first + 1, views[v].lines[i]));
		}
	}
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, views[0].count + views[1].count);
}

/* -------------------------------------------------------------------- one event -- */

static void an_event_that_there_is_no_memory_for_is_no_garbage(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct batch *batch = batch_new(1, 0, 1, NOW);
	const struct ebb_sink_batch view = batch_view(batch);

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_audit_record record = {0};
		struct ebb_why why = {{0}};
		int r;

		faults_on(&faults);
		r = ebb_audit_parse(view.lines[0], view.lengths[0], &record, &why);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r == 0) {
			assert_string_equal(record.id, view.records[0].id);
			ebb_audit_record_done(&record);
		} else {
			assert_null(record.root);
			assert_string_equal(why.text, "out of memory");
		}
	}
	assert_true(faults.places > 20);
	batch_free(batch);
}

static void a_line_is_whole_or_is_not_made(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct batch *batch = batch_new(1, 0, 1, NOW);
	const struct ebb_sink_batch view = batch_view(batch);

	(void)state;
	while (faults_next(&faults)) {
		char line[EBB_AUDIT_LINE_MAX];
		int n;

		faults_on(&faults);
		n = ebb_audit_line(&view.records[0].event, view.records[0].id, line, sizeof(line));
		faults_off(&faults);
		if (n < 0) {
			assert_int_equal(n, -ENOMEM);
			assert_true(faults.hit > 0);
			continue;
		}
		assert_int_equal(n, view.lengths[0]);
		assert_string_equal(line, view.lines[0]);
	}
	assert_true(faults.places > 3);
	batch_free(batch);
}

/* ------------------------------------------------------------------------ the file -- */

/* A file that is full, at its end the first two events and what its writer left of a third. */
static void make_file(const struct batch *batch, const struct batch *other)
{
	const struct ebb_sink_batch view = batch_view(batch), others = batch_view(other);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	for (size_t i = 0; i < others.count; i++)
		assert_true(fputs(others.lines[i], file) >= 0);
	assert_true(fprintf(file, "%s%s%.20s", view.lines[0], view.lines[1], view.lines[2]) > 0);
	assert_int_equal(fclose(file), 0);
}

static void a_file_takes_each_event_once_whatever_fails(void **state)
{
	struct batch *batch = batch_new(1, 0, EVENTS, NOW), *other = batch_new(2, 0, 20, NOW);
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = faults_of(i);

		while (faults_next(&faults)) {
			/* with what the batch brings it is too long, and moved aside */
			const struct ebb_sink_jsonl_setup setup = {.path = path,
								   .max_bytes = 9000,
								   .keep = 3};
			enum ebb_sink_result result;
			char text[ROOM] = "", aside[256];
			struct ebb_why why = {{0}};
			struct ebb_sink sink;

			for (int number = 3; number > 0; number--) {
				(void)snprintf(aside, sizeof(aside), "%s.%d", path, number);
				(void)unlink(aside);
			}
			make_file(batch, other);
			assert_int_equal(ebb_sink_jsonl_new(&setup, &sink), 0);
			faults_on(&faults);
			result = batch_offer(&sink, batch, &why);
			faults_off(&faults);
			if (result != EBB_SINK_DONE) {
				assert_true(faults.hit > 0 && why.text[0] != '\0');
				/* a failure of the machine is nothing that the events are to blame for */
				assert_int_not_equal(result, EBB_SINK_REFUSED);
				assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
			}
			/* and once more, as after a crash before the cursor was written */
			sink.ops->free(sink.data);
			assert_int_equal(ebb_sink_jsonl_new(&setup, &sink), 0);
			assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
			sink.ops->free(sink.data);
			/* what was there before is there still, however often all was moved aside */
			for (int number = 3; number > 0; number--) {
				(void)snprintf(aside, sizeof(aside), "%s.%d", path, number);
				read_file(aside, text);
			}
			read_file(path, text);
			assert_each_once(batch, other, text);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
	batch_free(other);
	batch_free(batch);
}

/* --------------------------------------------------------------- from spool to file -- */

/* The spool forgets what a sink has: it must not be lost with the power. */
static void what_is_taken_is_on_the_disk(void **state)
{
	const struct ebb_sink_jsonl_setup setup = {.path = path, .max_bytes = 1 << 20, .keep = 1};
	struct faults faults = {.kinds = FAULT_SYNC, .error = EIO, .n = 1};
	struct batch *batch = batch_new(1, 0, EVENTS, NOW);
	struct ebb_why why = {{0}};
	enum ebb_sink_result result;
	struct ebb_sink sink;
	char text[ROOM] = "";

	(void)state;
	assert_int_equal(ebb_sink_jsonl_new(&setup, &sink), 0);
	faults_on(&faults);
	result = batch_offer(&sink, batch, &why);
	faults_off(&faults);
	assert_int_equal(result, EBB_SINK_RETRY);
	assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
	read_file(path, text);
	assert_each_once(batch, NULL, text);
	sink.ops->free(sink.data);
	batch_free(batch);
}

static void write_aside(int number, const char *text)
{
	char aside[256];
	FILE *file;

	(void)snprintf(aside, sizeof(aside), "%s.%d", path, number);
	file = fopen(aside, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_aside(int number, const char *wanted)
{
	char aside[256], text[ROOM] = "";

	(void)snprintf(aside, sizeof(aside), "%s.%d", path, number);
	read_file(aside, text);
	assert_string_equal(text, wanted);
}

/* However often it is tried. */
static void a_file_that_cannot_be_moved_pushes_no_older_one_out(void **state)
{
	const struct ebb_sink_jsonl_setup setup = {.path = path, .max_bytes = 1000, .keep = 3};
	struct batch *batch = batch_new(1, 0, EVENTS, NOW), *more = batch_new(2, 0, EVENTS, NOW);
	struct ebb_why why = {{0}};
	struct ebb_sink sink;
	char text[ROOM] = "", first[ROOM] = "";

	(void)state;
	assert_int_equal(ebb_sink_jsonl_new(&setup, &sink), 0);
	assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
	read_file(path, first);
	write_aside(1, "one\n");
	write_aside(2, "two\n");
	write_aside(3, "three\n");
	faults_mounted(path);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(batch_offer(&sink, more, &why), EBB_SINK_UNUSABLE);
		assert_non_null(strstr(why.text, "mount its directory"));
	}
	assert_aside(2, "one\n");
	assert_aside(3, "two\n");
	faults_mounted(NULL);
	assert_int_equal(batch_offer(&sink, more, &why), EBB_SINK_DONE);
	assert_aside(1, first);
	assert_aside(2, "one\n");
	assert_aside(3, "two\n");
	read_file(path, text);
	assert_each_once(more, NULL, text);
	sink.ops->free(sink.data);
	batch_free(batch);
	batch_free(more);
}

static void no_event_is_lost_between_spool_and_file(void **state)
{
	const struct ebb_delivery_settings settings = {.attempts = 1000000};
	struct batch *batch = batch_new(1, 0, EVENTS, NOW);
	const struct ebb_sink_batch view = batch_view(batch);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct faults faults = faults_of(i);

		while (faults_next(&faults)) {
			const struct ebb_sink_jsonl_setup jsonl = {.path = path,
								   .max_bytes = ROOM,
								   .keep = 1};
			struct ebb_shared_spool shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
							  .names = {"jsonl"},
							  .reader_count = 1};
			char spool[128], text[ROOM] = "";
			const struct ebb_spool_setup setup = {.dir = spool,
							      .max_bytes = 1 << 20,
							      .segment_bytes = 1 << 20};
			struct ebb_outlet_batch *b = calloc(1, sizeof(*b));
			struct ebb_why why = {{0}};
			struct ebb_outlet outlet;
			struct ebb_sink sink;
			uint64_t now = 1;

			(void)snprintf(spool, sizeof(spool), "%s/spool", dir);
			if (access(spool, F_OK) == 0)
				assert_int_equal(temp_dir_remove(spool), 0);
			(void)unlink(path);
			assert_non_null(b);
			b->text = malloc(EBB_OUTLET_BATCH_BYTES);
			assert_int_equal(ebb_shared_spool_open(&shared, &setup, &why), 0);
			for (size_t e = 0; e < view.count; e++)
				assert_int_equal(ebb_shared_spool_append(&shared, view.lines[e],
									 view.lengths[e], 1, &why),
						 0);
			assert_int_equal(ebb_sink_jsonl_new(&jsonl, &sink), 0);
			ebb_outlet_init(&outlet, 0, &sink, &settings);
			faults_on(&faults);
			(void)ebb_outlet_deliver(&outlet, &shared, dir, b, now);
			faults_off(&faults);
			for (int turn = 0; turn < 20 && ebb_shared_spool_has_more(&shared, 0); turn++) {
				now = UINT64_MAX / 2; /* it waited long enough, whatever it waits for */
				(void)ebb_outlet_deliver(&outlet, &shared, dir, b, now);
			}
			read_file(path, text);
			assert_each_once(batch, NULL, text);
			assert_int_equal(outlet.status.dead, 0);
			ebb_outlet_done(&outlet);
			ebb_shared_spool_close(&shared);
			free(b->text);
			free(b);
		}
	}
	batch_free(batch);
}

/* -------------------------------------------------------------------- dead letters -- */

/* The events of the letters in @dir; -1: one is damaged. */
static int count_letters(const struct batch *batch)
{
	const struct ebb_sink_batch view = batch_view(batch);
	struct ebb_letters letters;
	struct ebb_letter letter;
	struct ebb_why why = {{0}};
	int count = 0;

	if (ebb_letters_open(dir, "jsonl", false, &letters, &why) < 0)
		return 0;
	while (ebb_letters_next(&letters, &letter, &why) > 0) {
		assert_string_equal(letter.record.id, view.records[count].id);
		ebb_letter_done(&letter);
		count++;
	}
	if (letters.damaged)
		count = -1;
	ebb_letters_close(&letters);
	return count;
}

static void letters_are_added_all_or_none(void **state)
{
	struct batch *batch = batch_new(1, 0, EVENTS, NOW), *first = batch_new(1, 0, 1, NOW);
	const struct ebb_sink_batch both[] = {batch_view(first), batch_view(batch)};
	struct ebb_sink_batch rest = both[1];
	size_t descriptors = faults_descriptors();

	(void)state;
	rest.lines++, rest.lengths++, rest.records++, rest.count--;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = faults_of(i);

		while (faults_next(&faults)) {
			struct ebb_why why = {{0}};
			int r;

			(void)unlink(letters_path);
			assert_int_equal(ebb_deadletter_add(dir, "jsonl", &both[0], "no", NOW, ROOM, &why),
					 0);
			faults_on(&faults);
			r = ebb_deadletter_add(dir, "jsonl", &rest, "no", NOW, ROOM, &why);
			faults_off(&faults);
			assert_true(r == 0 || (faults.hit > 0 && why.text[0] != '\0'));
			if (failures[i].kinds & FAULT_SIZE)
				continue; /* what could not be taken back is told as damaged, by who reads it */
			assert_int_equal(count_letters(batch), r == 0 ? EVENTS : 1);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
	batch_free(first);
	batch_free(batch);
}

static bool drops_damaged(void *userdata, const struct ebb_letter *letter)
{
	(void)userdata;
	return letter != NULL;
}

/* 'deadletter drop' of what is damaged must not take letters for damaged that it has no memory to read. */
static void tidying_loses_no_letter(void **state)
{
	struct batch *batch = batch_new(1, 0, EVENTS, NOW);
	const struct ebb_sink_batch view = batch_view(batch);
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < FAILURES; i++) {
		struct faults faults = faults_of(i);

		while (faults_next(&faults)) {
			struct ebb_why why = {{0}};
			int r;

			(void)unlink(letters_path);
			assert_int_equal(ebb_deadletter_add(dir, "jsonl", &view, "no", NOW, ROOM, &why), 0);
			faults_on(&faults);
			r = ebb_letters_tidy(dir, "jsonl", drops_damaged, NULL, &why);
			faults_off(&faults);
			assert_true(r == 0 || (faults.hit > 0 && why.text[0] != '\0'));
			assert_int_equal(count_letters(batch), EVENTS);
			assert_int_equal(faults_descriptors(), descriptors);
		}
	}
	batch_free(batch);
}

static void who_reads_letters_is_told_that_there_is_no_memory(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct batch *batch = batch_new(1, 0, EVENTS, NOW);
	const struct ebb_sink_batch view = batch_view(batch);
	struct ebb_why why = {{0}};

	(void)state;
	assert_int_equal(ebb_deadletter_add(dir, "jsonl", &view, "no", NOW, ROOM, &why), 0);
	while (faults_next(&faults)) {
		struct ebb_letters letters;
		struct ebb_letter letter;
		int count = 0, r;

		faults_on(&faults);
		r = ebb_letters_open(dir, "jsonl", false, &letters, &why);
		for (bool open = r == 0; open;) {
			r = ebb_letters_next(&letters, &letter, &why);
			open = r > 0;
			if (open)
				ebb_letter_done(&letter);
			count += open;
			if (!open) {
				assert_int_equal(letters.damaged, 0);
				ebb_letters_close(&letters);
			}
		}
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r == 0)
			assert_int_equal(count, EVENTS);
	}
	batch_free(batch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_event_that_there_is_no_memory_for_is_no_garbage),
		TEST(a_line_is_whole_or_is_not_made),
		TEST(a_file_takes_each_event_once_whatever_fails),
		TEST(what_is_taken_is_on_the_disk),
		TEST(a_file_that_cannot_be_moved_pushes_no_older_one_out),
		TEST(no_event_is_lost_between_spool_and_file),
		TEST(letters_are_added_all_or_none),
		TEST(tidying_loses_no_letter),
		TEST(who_reads_letters_is_told_that_there_is_no_memory),
	};

	ebb_log_set_level(EBB_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is read back of the audit log without memory: all of it, or an error that says so. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/audit_query.h"
#include "export/deadletter_count.h"
#include "tests/lib/faults.h"
#include "tests/lib/temp_dir.h"

#define EVENTS 20
#define EVENT                                                                                                                            \
	"{\"id\":\"019acdb3-0000-7000-844c-0000000000%02d\",\"timestamp\":\"2026-11-29T05:51:%02d.000000Z\",\"event_type\":\"denials\"," \
	"\"user_id\":\"\",\"session_id\":\"\",\"ip_address\":\"\",\"outcome\":\"denied\",\"outcome_details\":\"\",\"details\":{\"number\":%d}}"

static char dir[TEMP_DIR_MAX], path[TEMP_DIR_MAX + 32];

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("read-faults", dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return temp_dir_remove(dir);
}

/* @from to @to, as events or (@dead) as dead letters. */
static void write_events(int from, int to, bool dead)
{
	FILE *f = fopen(path, "a");

	assert_non_null(f);
	for (int i = from; i < to; i++)
		assert_true(fprintf(f,
				    dead ? "{\"time\":\"2026-11-29T06:00:00.000000Z\",\"reason\":\"r\",\"event\":" EVENT
					   "}\n"
					 : EVENT "\n",
				    i, i, i) > 0);
	assert_int_equal(fclose(f), 0);
}

static int add_number(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why)
{
	int *next = userdata;

	(void)why;
	assert_int_equal(json_integer_value(json_object_get(record->event.details, "number")), *next);
	(*next)++;
	return 0;
}

/* Every one, or with @limit the last ones. */
static void query(uint64_t limit)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	const struct ebb_audit_query query = {.until_ns = INT64_MAX, .limit = limit};

	while (faults_next(&faults)) {
		int next = limit ? EVENTS - (int)limit : 0, r;
		size_t descriptors = faults_descriptors();
		struct ebb_why why = {{0}};
		uint64_t unknown = 99;

		faults_on(&faults);
		r = ebb_audit_query_files(path, 0, &query, add_number, &next, &unknown, &why);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		assert_int_equal(unknown, r < 0 ? 99 : 0);
		assert_int_equal(faults_descriptors(), descriptors);
		if (r == 0)
			assert_int_equal(next, EVENTS);
		else
			assert_non_null(strstr(why.text, "out of memory"));
	}
	assert_true(faults.places > EVENTS);
}

static void a_look_back_is_whole_or_an_error(void **state)
{
	(void)state;
	write_events(0, EVENTS, false);
	query(0);
	query(5);
}

/* Until there is memory, or room for an open file, what was counted before stands. */
static void dead_letters_are_counted_once_there_is_memory(void **state)
{
	struct faults both[] = {{.kinds = FAULT_MEMORY, .error = ENOMEM},
				{.kinds = FAULT_OPEN, .error = EMFILE}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct faults *faults = &both[i];

		while (faults_next(faults)) {
			struct ebb_deadletter_count count = {0};
			size_t descriptors = faults_descriptors();

			(void)unlink(path);
			write_events(0, 1, true);
			ebb_deadletter_count(dir, &count);
			assert_int_equal(count.letters, 1);
			write_events(1, 3, true);
			faults_on(faults);
			ebb_deadletter_count(dir, &count);
			faults_off(faults);
			assert_int_equal(count.letters, faults->hit ? 1 : 3);
			assert_true(count.oldest_realtime_ns > 0);
			ebb_deadletter_count(dir, &count);
			assert_int_equal(count.letters, 3);
			assert_false(count.partly);
			assert_int_equal(faults_descriptors(), descriptors);
		}
		assert_true(faults->places > 2);
	}
}

/* A disk that cannot read a file, or a part of it: the rest is counted, and all of it once it can be read. */
static void dead_letters_of_other_files_are_counted(void **state)
{
	struct faults all[] = {{.kinds = FAULT_MEMORY, .error = EIO},
			       {.kinds = FAULT_OPEN, .error = EIO},
			       {.kinds = FAULT_STAT, .error = EIO}};
	char beside[128];

	(void)state;
	(void)snprintf(beside, sizeof(beside), "%s/beside.jsonl", dir);
	for (int i = 0; i < 3; i++) {
		struct faults *faults = &all[i];
		bool partly = false;

		while (faults_next(faults)) {
			struct ebb_deadletter_count count = {0};

			(void)unlink(path);
			write_events(0, 1, true);
			assert_int_equal(rename(path, beside), 0);
			write_events(1, 3, true);
			faults_on(faults);
			ebb_deadletter_count(dir, &count);
			faults_off(faults);
			assert_in_range(count.letters, faults->hit || faults->once ? 0 : 3, 3);
			/* one that fails alone hides no other */
			if (faults->once && count.partly && count.letters > 0)
				partly = true;
			write_events(3, 4, true);
			ebb_deadletter_count(dir, &count);
			assert_int_equal(count.letters, 4);
			assert_false(count.partly);
		}
		assert_true(partly);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_look_back_is_whole_or_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dead_letters_are_counted_once_there_is_memory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(dead_letters_of_other_files_are_counted, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

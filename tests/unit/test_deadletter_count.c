/* SPDX-License-Identifier: Apache-2.0 */
/* How many dead letters there are, and since when; commands take them away beside us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/deadletter_count.h"
#include "tests/lib/temp_dir.h"

static char dir[TEMP_DIR_MAX];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

#define LETTER(second) "{\"time\":\"2026-11-29T05:51:" #second ".000000Z\",\"reason\":\"r\",\"event\":{}}\n"
/* date -u -d 2026-11-29T05:51:00Z +%s */
#define MINUTE	       1795931460LL

static void letters_of_all_sinks_are_counted(void **state)
{
	struct ebb_deadletter_count count = {0};

	(void)state;
	assert_int_equal(temp_dir_make("letters", dir), 0);
	ebb_deadletter_count("/nonexistent/ebb", &count);
	assert_int_equal(count.letters, 0);
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 0);
	assert_int_equal(count.oldest_realtime_ns, 0);

	write_file("sqlite.jsonl", LETTER(20) LETTER(30));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 2);
	assert_int_equal(count.oldest_realtime_ns, (MINUTE + 20) * 1000000000);

	write_file("jsonl.jsonl", "garbage\n" LETTER(10));
	write_file("other", LETTER(05));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 3);
	assert_int_equal(count.oldest_realtime_ns, (MINUTE + 10) * 1000000000);

	remove_file("jsonl.jsonl");
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 2);
	assert_int_equal(count.oldest_realtime_ns, (MINUTE + 20) * 1000000000);

	remove_file("sqlite.jsonl");
	remove_file("other");
	assert_int_equal(rmdir(dir), 0);
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 0);
	assert_int_equal(count.oldest_realtime_ns, 0);
}

/* A command that was killed has marked what it delivered, and the file is not written anew yet. */
static void what_was_delivered_is_no_letter(void **state)
{
	struct ebb_deadletter_count count = {0};

	(void)state;
	assert_int_equal(temp_dir_make("letters", dir), 0);
	write_file("sqlite.jsonl", "#" LETTER(10) LETTER(20) "#" LETTER(30) LETTER(40));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 2);
	assert_int_equal(count.oldest_realtime_ns, (MINUTE + 20) * 1000000000);
	write_file("sqlite.jsonl", "#" LETTER(10) "#" LETTER(20));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 0);
	assert_int_equal(count.oldest_realtime_ns, 0);
	assert_int_equal(temp_dir_remove(dir), 0);
}

/* Whoever puts something else there keeps no letter from being counted, and nobody waiting. */
static void what_is_no_file_has_no_letters(void **state)
{
	struct ebb_deadletter_count count = {0};
	char path[128];

	(void)state;
	assert_int_equal(temp_dir_make("letters", dir), 0);
	(void)snprintf(path, sizeof(path), "%s/old.jsonl", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/pipe.jsonl", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/nowhere.jsonl", dir);
	assert_int_equal(symlink("nothing", path), 0);
	write_file("sqlite.jsonl", LETTER(20));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 1);
	write_file("sqlite.jsonl", LETTER(20) LETTER(30));
	ebb_deadletter_count(dir, &count);
	assert_int_equal(count.letters, 2);
	assert_false(count.partly);
	assert_int_equal(temp_dir_remove(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_of_all_sinks_are_counted),
		cmocka_unit_test(what_was_delivered_is_no_letter),
		cmocka_unit_test(what_is_no_file_has_no_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters are read, offered again and dropped while others come: each event is in the sink once, or a letter. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/deadletter.h"
#include "export/letters.h"
#include "export/replay.h"
#include "export/sink_jsonl.h"
#include "tests/lib/temp_dir.h"

#define NOW	  1795931511123456000LL
#define SECOND_NS 1000000000LL
#define MAX	  (64U << 20)
#define EVENTS	  6000
#define MEANWHILE 1000
#define BATCH	  20

static char dir[TEMP_DIR_MAX], file[128], sunk[128];

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("letters", dir) < 0)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/jsonl.jsonl", dir);
	(void)snprintf(sunk, sizeof(sunk), "%s/sunk", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return temp_dir_remove(dir);
}

/* Event @number, as a line. */
static int event_line(int number, char *line, size_t size)
{
	json_t *details = json_pack("{s:i}", "number", number);
	const struct ebb_audit_event event = {.type = EBB_AUDIT_DENIALS,
					      .realtime_ns = NOW + number,
					      .details = details};
	const uint8_t random[10] = {[6] = (uint8_t)(number >> 24),
				    (uint8_t)(number >> 16),
				    (uint8_t)(number >> 8),
				    (uint8_t)number};
	char id[EBB_AUDIT_ID_MAX];
	int n;

	ebb_audit_id(event.realtime_ns, random, id);
	n = ebb_audit_line(&event, id, line, size);
	json_decref(details);
	return n;
}

static void event_id(int number, char id[EBB_AUDIT_ID_MAX])
{
	char line[EBB_AUDIT_LINE_MAX];
	struct ebb_audit_record record;

	assert_int_equal(ebb_audit_parse(line, (size_t)event_line(number, line, sizeof(line)), &record, NULL),
			 0);
	memcpy(id, record.id, EBB_AUDIT_ID_MAX);
	ebb_audit_record_done(&record);
}

/* In batches: each addition waits for the disk. */
static int add(int from, int to, const char *reason, int64_t at_ns)
{
	static char text[BATCH][EBB_AUDIT_LINE_MAX];
	const char *lines[BATCH];
	size_t lengths[BATCH];
	int r = 0;

	for (int i = from; r == 0 && i < to;) {
		struct ebb_sink_batch batch = {.lines = lines, .lengths = lengths};

		for (; batch.count < BATCH && i < to; i++, batch.count++) {
			lines[batch.count] = text[batch.count];
			lengths[batch.count] = (size_t)event_line(i, text[batch.count], sizeof(text[0]));
		}
		r = ebb_deadletter_add(dir, "jsonl", &batch, reason, at_ns, MAX, NULL);
	}
	return r;
}

static int number_of(const struct ebb_audit_record *record)
{
	return (int)json_integer_value(json_object_get(record->event.details, "number"));
}

/* How often each event is a letter. */
static uint64_t count_letters(unsigned char seen[EVENTS])
{
	struct ebb_letters letters;
	struct ebb_letter letter;
	uint64_t damaged;
	int r = ebb_letters_open(dir, "jsonl", false, &letters, NULL);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	while ((r = ebb_letters_next(&letters, &letter, NULL)) > 0) {
		seen[number_of(&letter.record)]++;
		ebb_letter_done(&letter);
	}
	assert_int_equal(r, 0);
	damaged = letters.damaged;
	ebb_letters_close(&letters);
	return damaged;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* A sink of which the test says what it does. */
struct fake {
	int refuse;	/* this event, -1: none */
	int away_after; /* events; -1: never */
	int count;
	unsigned char seen[EVENTS];
	size_t largest;
};

static enum ebb_sink_result fake_write(void *data, const struct ebb_sink_batch *batch, uint64_t *ret_after_ns,
				       struct ebb_why *why)
{
	struct fake *fake = data;

	(void)ret_after_ns;
	if (fake->away_after >= 0 && fake->count + (int)batch->count > fake->away_after) {
		(void)ebb_why(why, -EIO, "nobody there");
		return EBB_SINK_RETRY;
	}
	for (size_t i = 0; i < batch->count; i++) {
		assert_int_equal(batch->lines[i][batch->lengths[i] - 1], '\n');
		if (number_of(&batch->records[i]) == fake->refuse) {
			(void)ebb_why(why, -EINVAL, "not this one");
			return EBB_SINK_REFUSED;
		}
	}
	for (size_t i = 0; i < batch->count; i++)
		fake->seen[number_of(&batch->records[i])]++;
	fake->count += (int)batch->count;
	fake->largest = batch->count > fake->largest ? batch->count : fake->largest;
	return EBB_SINK_DONE;
}

static const struct ebb_sink_ops fake_ops = {.name = "jsonl", .write = fake_write};

static int replay_into(struct fake *fake, const char *const *ids, size_t id_count, struct ebb_replay *ret)
{
	const struct ebb_sink sink = {.ops = &fake_ops, .data = fake};

	return ebb_replay(dir, &sink, ids, id_count, ret, NULL);
}

/* ------------------------------------------------------------------ tests -- */

static void a_letter_is_read_as_it_was_written(void **state)
{
	char line[EBB_AUDIT_LINE_MAX];
	int length = event_line(7, line, sizeof(line));
	struct ebb_letters letters;
	struct ebb_letter letter;

	(void)state;
	assert_int_equal(add(7, 8, "it said \",\"event\":{}\" \n and \\ more", NOW), 0);
	assert_int_equal(ebb_letters_open(dir, "jsonl", false, &letters, NULL), 0);
	assert_int_equal(ebb_letters_next(&letters, &letter, NULL), 1);
	assert_string_equal(letter.reason, "it said \",\"event\":{}\" \n and \\ more");
	assert_int_equal(letter.realtime_ns, NOW);
	assert_int_equal(letter.length, length - 1);
	assert_memory_equal(letter.line, line, letter.length);
	assert_int_equal(letter.position, 0);
	ebb_letter_done(&letter);
	assert_int_equal(ebb_letters_next(&letters, &letter, NULL), 0);
	ebb_letters_close(&letters);
}

static void lines_that_are_no_letters_are_refused_whole(void **state)
{
	static const char *const wrong[] = {
		"\n",
		"}\n",
		"{}\n",
		"{\"time\":\"2026-11-29T05:51:51.123456Z\",\"reason\":\"x\",\"event\":{}}\n",
		"{\"time\":\"yesterday\",\"reason\":\"x\",\"event\":EVENT}\n",
		"{\"time\":\"2026-11-29T05:51:51.123456Z\",\"event\":EVENT}\n",
		"{\"time\":\"2026-11-29T05:51:51.123456Z\",\"reason\":\"x\",\"more\":1,\"event\":EVENT}\n",
		"{\"time\":\"2026-11-29T05:51:51.123456Z\",\"reason\":\"x\",\"event\":EVENT,\"more\":1}\n",
		"{\"time\":\"2026-11-29T05:51:51.123456Z\",\"reason\":\"x\",\"event\":EVENT}",
	};
	char event[EBB_AUDIT_LINE_MAX], line[2 * EBB_AUDIT_LINE_MAX];
	struct ebb_letter letter;

	(void)state;
	event[event_line(1, event, sizeof(event)) - 1] = '\0';
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *at = strstr(wrong[i], "EVENT");
		struct ebb_why why = {0};

		if (at)
			(void)snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - wrong[i]), wrong[i], event,
				       at + 5);
		else
			(void)snprintf(line, sizeof(line), "%s", wrong[i]);
		if (ebb_letter_parse(line, strlen(line), &letter, &why) != -EBADMSG)
			fail_msg("taken: %s", line);
		assert_true(why.text[0]);
	}
}

static void what_a_sink_takes_is_no_letter_any_more(void **state)
{
	struct fake fake = {.refuse = -1, .away_after = -1};
	struct ebb_replay replay;

	(void)state;
	assert_int_equal(add(0, 1200, "was away", NOW), 0);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
	assert_int_equal(replay.replayed, 1200);
	assert_int_equal(replay.refused + replay.left + replay.damaged, 0);
	assert_int_equal(fake.largest, 500);
	for (int i = 0; i < 1200; i++)
		assert_int_equal(fake.seen[i], 1);
	assert_false(exists(file));
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), -ENOENT);
}

static void what_is_refused_again_stays_alone(void **state)
{
	struct fake fake = {.refuse = 600, .away_after = -1};
	unsigned char seen[EVENTS] = {0};
	struct ebb_replay replay;

	(void)state;
	assert_int_equal(add(0, 1200, "a constraint", NOW), 0);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
	assert_int_equal(replay.replayed, 1199);
	assert_int_equal(replay.refused, 1);
	assert_string_equal(replay.why, "not this one");
	assert_int_equal(count_letters(seen), 0);
	for (int i = 0; i < 1200; i++)
		assert_int_equal(seen[i], i == 600);
}

static void a_sink_that_goes_away_leaves_the_rest(void **state)
{
	struct fake fake = {.refuse = -1, .away_after = 700};
	unsigned char seen[EVENTS] = {0};
	struct ebb_replay replay;

	(void)state;
	assert_int_equal(add(0, 1200, "away", NOW), 0);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
	assert_true(replay.unreachable);
	assert_int_equal(replay.replayed, 500);
	assert_int_equal(replay.left, 700);
	assert_int_equal(count_letters(seen), 0);
	for (int i = 0; i < 1200; i++)
		assert_int_equal(seen[i], i >= 500);
}

static void chosen_ids_go_and_the_others_stay(void **state)
{
	struct fake fake = {.refuse = -1, .away_after = -1};
	unsigned char seen[EVENTS] = {0};
	char first[EBB_AUDIT_ID_MAX], last[EBB_AUDIT_ID_MAX];
	const char *const ids[] = {first, last};
	struct ebb_replay replay;

	(void)state;
	event_id(3, first);
	event_id(9, last);
	assert_int_equal(add(0, 10, "away", NOW), 0);
	assert_int_equal(replay_into(&fake, ids, 2, &replay), 0);
	assert_int_equal(replay.replayed, 2);
	assert_int_equal(count_letters(seen), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(seen[i], i != 3 && i != 9);
}

static void damaged_lines_are_counted_and_left(void **state)
{
	struct fake fake = {.refuse = -1, .away_after = -1};
	unsigned char seen[EVENTS] = {0};
	struct ebb_replay replay;
	FILE *out;

	(void)state;
	assert_int_equal(add(0, 3, "away", NOW), 0);
	out = fopen(file, "a");
	assert_non_null(out);
	(void)fputs("{\"time\":\"2026-11-29T05:5", out);
	assert_int_equal(fclose(out), 0);
	/* the next one ends the half line */
	assert_int_equal(add(3, 4, "away", NOW), 0);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
	assert_int_equal(replay.replayed, 4);
	assert_int_equal(replay.damaged, 1);
	assert_int_equal(count_letters(seen), 1);
}

static bool stays_if_late(void *userdata, const struct ebb_letter *letter)
{
	const int64_t *before = userdata;

	return !letter || letter->realtime_ns >= *before;
}

static void what_is_dropped_is_gone_and_nothing_else(void **state)
{
	unsigned char seen[EVENTS] = {0};
	int64_t before = NOW;

	(void)state;
	assert_int_equal(add(0, 10, "long ago", NOW - SECOND_NS), 0);
	assert_int_equal(add(10, 20, "just now", NOW), 0);
	assert_int_equal(ebb_letters_tidy(dir, "jsonl", stays_if_late, &before, NULL), 0);
	assert_int_equal(count_letters(seen), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(seen[i], i >= 10);
	before = INT64_MAX;
	assert_int_equal(ebb_letters_tidy(dir, "jsonl", stays_if_late, &before, NULL), 0);
	assert_false(exists(file));
}

static void one_command_at_a_time(void **state)
{
	struct fake fake = {.refuse = -1, .away_after = -1};
	struct ebb_replay replay;
	int lock;

	(void)state;
	assert_int_equal(add(0, 1, "away", NOW), 0);
	assert_int_equal(ebb_letters_lock(dir, &lock, NULL), 0);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), -EBUSY);
	(void)close(lock);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
}

static void only_names_of_sinks_are_sinks(void **state)
{
	char(*names)[EBB_LETTERS_SINK_MAX];
	char path[160];

	(void)state;
	for (int i = 0; i < 5; i++) {
		static const char *const made[] = {"postgres.jsonl", "jsonl.jsonl", "jsonl.jsonl.new",
						   "A.jsonl", ".jsonl"};

		(void)snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		(void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	assert_int_equal(ebb_letters_sinks(dir, &names, NULL), 2);
	assert_string_equal(names[0], "jsonl");
	assert_string_equal(names[1], "postgres");
	free(names);
}

/* ------------------------------------------------------------------ crash -- */

/* What the agent does meanwhile. */
static pid_t start_adding(int to)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(add(EVENTS / 2, to, "away", NOW) == 0 ? 0 : 1);
	return pid;
}

static pid_t start_replaying(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		const struct ebb_sink_jsonl_setup setup = {.path = sunk, .max_bytes = 1U << 30, .keep = 1};
		struct ebb_replay replay;
		struct ebb_sink sink;
		int r;

		if (ebb_sink_jsonl_new(&setup, &sink) < 0)
			_exit(1);
		r = ebb_replay(dir, &sink, NULL, 0, &replay, NULL);
		_exit(r == 0 || r == -ENOENT ? 0 : 1);
	}
	return pid;
}

static void count_sunk(unsigned char seen[EVENTS])
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *in = fopen(sunk, "r");

	while (in && (n = getline(&line, &room, in)) > 0) {
		struct ebb_audit_record record;

		assert_int_equal(ebb_audit_parse(line, (size_t)n, &record, NULL), 0);
		seen[number_of(&record)]++;
		ebb_audit_record_done(&record);
	}
	free(line);
	if (in)
		(void)fclose(in);
}

/* The last that did so was killed between its last mark and tidying up. */
static void what_was_delivered_before_goes_with_the_next_replay(void **state)
{
	struct fake fake = {.away_after = -1, .refuse = -1};
	struct ebb_letters letters;
	struct ebb_letter letter;
	struct ebb_replay replay;

	(void)state;
	assert_int_equal(add(0, 3, "away", NOW), 0);
	assert_int_equal(ebb_letters_open(dir, "jsonl", true, &letters, NULL), 0);
	while (ebb_letters_next(&letters, &letter, NULL) > 0) {
		assert_int_equal(ebb_letters_mark(&letters, letter.position, NULL), 0);
		ebb_letter_done(&letter);
	}
	ebb_letters_close(&letters);
	assert_int_equal(replay_into(&fake, NULL, 0, &replay), 0);
	assert_int_equal(replay.replayed, 0);
	assert_int_equal(fake.count, 0);
	assert_false(exists(file));
}

/* A replay that is killed at any moment, again and again, while letters come. */
static void whatever_ends_a_replay_each_event_is_there_once(void **state)
{
	unsigned char seen[EVENTS] = {0};
	unsigned int killed = 0;
	pid_t adding;
	int status;

	(void)state;
	assert_int_equal(add(0, EVENTS / 2, "away", NOW), 0);
	adding = start_adding(EVENTS);
	for (unsigned int round = 0; round < 60; round++) {
		pid_t pid = start_replaying();

		(void)usleep(round * 701 % 30000); /* no wait: where it is killed */
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		killed += WIFSIGNALED(status) != 0;
	}
	assert_int_equal(waitpid(adding, &status, 0), adding);
	assert_int_equal(status, 0);
	assert_in_range(killed, 5, 60);
	adding = start_replaying();
	assert_int_equal(waitpid(adding, &status, 0), adding);
	assert_int_equal(status, 0);
	assert_false(exists(file));
	count_sunk(seen);
	for (int i = 0; i < EVENTS; i++) {
		if (seen[i] != 1)
			fail_msg("event %d is there %d times", i, seen[i]);
	}
}

/* The file is written anew again and again while letters come. */
static void what_is_added_meanwhile_is_not_lost(void **state)
{
	unsigned char seen[EVENTS] = {0};
	pid_t adding = start_adding(EVENTS / 2 + MEANWHILE);
	unsigned int times = 0;
	int status = 0;

	(void)state;
	while (waitpid(adding, &status, WNOHANG) == 0) {
		int r = ebb_letters_tidy(dir, "jsonl", NULL, NULL, NULL);

		assert_true(r == 0 || r == -ENOENT);
		times++;
		/* the lock is not fair */
		(void)usleep(1000); /* no wait: a turn for the other */
	}
	assert_int_equal(status, 0);
	assert_in_range(times, 5, UINT32_MAX);
	assert_int_equal(count_letters(seen), 0);
	for (int i = EVENTS / 2; i < EVENTS / 2 + MEANWHILE; i++) {
		if (seen[i] != 1)
			fail_msg("letter %d is there %d times", i, seen[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_letter_is_read_as_it_was_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_that_are_no_letters_are_refused_whole, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_a_sink_takes_is_no_letter_any_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused_again_stays_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sink_that_goes_away_leaves_the_rest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chosen_ids_go_and_the_others_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_lines_are_counted_and_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_dropped_is_gone_and_nothing_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_command_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_names_of_sinks_are_sinks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_added_meanwhile_is_not_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_delivered_before_goes_with_the_next_replay, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(whatever_ends_a_replay_each_event_is_there_once, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Events in a SQLite database: each once, whoever writes beside us, and a
 * clear word about every file that is not as it must be. */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/audit_db.h"
#include "export/migration.h"
#include "export/sink_sqlite.h"
#include "tests/lib/batch.h"
#include "tests/lib/temp_dir.h"

#define SECOND 1000000000LL
#define HOUR   (3600 * SECOND)
#define NOW    (1700000000 * SECOND)

static char dir[TEMP_DIR_MAX], path[128];
static struct rlimit file_limit;

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("sqlite", dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/audit.db", dir);
	return getrlimit(RLIMIT_FSIZE, &file_limit);
}

static int tear_down(void **state)
{
	(void)state;
	(void)setrlimit(RLIMIT_FSIZE, &file_limit);
	return temp_dir_remove(dir);
}

static struct ebb_sink open_sink(void)
{
	const struct ebb_sink_sqlite_setup setup = {.path = path, .keep_ns = HOUR};
	struct ebb_sink sink;

	assert_int_equal(ebb_sink_sqlite_new(&setup, &sink), 0);
	return sink;
}

static void close_sink(struct ebb_sink *sink)
{
	sink->ops->free(sink->data);
}

static enum ebb_sink_result offer(const struct ebb_sink *sink, int run, int first, int count, int64_t now,
				  struct ebb_why *why)
{
	struct batch *batch = batch_new(run, first, count, now);
	enum ebb_sink_result result = batch_offer(sink, batch, why);

	batch_free(batch);
	return result;
}

static void must_take(const struct ebb_sink *sink, int run, int first, int count)
{
	struct ebb_why why = {0};

	if (offer(sink, run, first, count, NOW, &why) != EBB_SINK_DONE)
		fail_msg("not taken: %s", why.text);
}

/* The sink cannot write there until somebody changes something, and says @expected. */
static void is_unusable(const char *expected)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	assert_int_equal(offer(&sink, 0, 0, 3, NOW, &why), EBB_SINK_UNUSABLE);
	if (!strstr(why.text, expected))
		fail_msg("not '%s', but: %s", expected, why.text);
	assert_non_null(strstr(why.text, dir));
	assert_null(strchr(why.text, '\n'));
	close_sink(&sink);
}

static struct ebb_sqlite *open_database(enum ebb_sqlite_access access)
{
	struct ebb_sqlite *s = NULL;
	struct ebb_why why = {0};

	if (ebb_sqlite_open(path, access, &s, &why) < 0)
		fail_msg("%s", why.text);
	return s;
}

static void run_sql(const char *sql)
{
	struct ebb_sqlite *s = open_database(EBB_SQLITE_WRITE);
	struct ebb_why why = {0};

	if (ebb_sqlite_exec(s, sql, &why) < 0)
		fail_msg("%s", why.text);
	ebb_sqlite_close(s);
}

static int64_t number(const char *sql)
{
	struct ebb_sqlite *s = open_database(EBB_SQLITE_READ);
	struct ebb_why why = {0};
	sqlite3_int64 found = 0;

	if (ebb_sqlite_number(s, sql, &found, &why) < 0)
		fail_msg("%s", why.text);
	ebb_sqlite_close(s);
	return found;
}

static void write_file(const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	(void)close(fd);
}

/* ------------------------------------------------------------------- rows -- */

static void a_batch_arrives_once_however_often_it_is_offered(void **state)
{
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 500);
	must_take(&sink, 0, 0, 500);
	/* half of it is there */
	must_take(&sink, 0, 250, 500);
	close_sink(&sink);
	sink = open_sink();
	must_take(&sink, 0, 700, 100);
	close_sink(&sink);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 800);
	assert_int_equal(number("SELECT count(DISTINCT json_extract(details, '$.number')) FROM audit_log"),
			 800);
}

static void a_row_is_the_event(void **state)
{
	static const char *const wanted[] = {
		"length(id) = 36 AND substr(id, 15, 1) = '7'",
		"timestamp = 1700000000000042",
		"event_type = 'denials'",
		"user_id = 'default/agent'",
		"session_id = '' AND ip_address = '10.0.0.5' AND outcome = 'success' AND outcome_details = ''",
		"json_extract(details, '$.destination') = 'h' || char(228) || ':443/tcp'",
		"destination = 'h' || char(228) || ':443/tcp' AND episode = 'e1'",
		"amount = 12 AND at_breaker = 5 AND would = 2",
		"ok IS NULL AND used IS NULL AND failing IS NULL",
	};
	struct batch *batch =
		batch_of(EBB_AUDIT_DENIALS, NOW + 42123,
			 "{\"destination\": \"h\\u00e4:443/tcp\", \"episode\": \"e1\", \"causes\": {\"breaker\": 5, \"rate\": 7}, \"would\": {\"rate\": 2}}");
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	(void)state;
	assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		char sql[256];

		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM audit_log WHERE %s", wanted[i]);
		if (number(sql) != 1)
			fail_msg("it is not so: %s", wanted[i]);
	}
	batch_free(batch);
	close_sink(&sink);
}

static void what_an_event_does_not_have_is_null(void **state)
{
	/* numbers that are none, sums over the limit, an empty episode */
	static const struct {
		enum ebb_audit_type type;
		const char *details, *wanted;
	} cases[] = {
		{EBB_AUDIT_AGENT_START, "{}",
		 "coalesce(destination, episode, amount, at_breaker, would, ok, used, failing) IS NULL"},
		{EBB_AUDIT_FAILURES,
		 "{\"outcomes\": {\"refused\": 3, \"timeout\": \"no\", \"reset\": -5}, \"ok\": 0, \"destinations\": 9, \"failing\": -1}",
		 "amount = 3 AND ok = 0 AND used = 9 AND failing IS NULL AND would IS NULL"},
		{EBB_AUDIT_DENIALS,
		 "{\"causes\": {\"a\": 9223372036854775807, \"b\": 9223372036854775807}, \"would\": 3, \"episode\": \"\"}",
		 "amount = 9223372036854775807 AND would IS NULL AND at_breaker IS NULL AND episode IS NULL"},
		/* the same members of another type are its own matter */
		{EBB_AUDIT_NODE_FUSE, "{\"causes\": {\"breaker\": 5}, \"ok\": 4}",
		 "amount IS NULL AND ok IS NULL"},
	};
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct batch *batch = batch_of(cases[i].type, NOW, cases[i].details);
		char sql[256];

		assert_int_equal(batch_offer(&sink, batch, &why), EBB_SINK_DONE);
		(void)snprintf(sql, sizeof(sql),
			       "SELECT count(*) FROM audit_log WHERE event_type = '%s' AND %s",
			       ebb_audit_type_name(cases[i].type), cases[i].wanted);
		if (number(sql) != 1)
			fail_msg("it is not so: %s", sql);
		batch_free(batch);
	}
	close_sink(&sink);
}

static void reports_need_not_read_the_table(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_sqlite *s;
	sqlite3_stmt *plan;
	struct ebb_why why = {0};

	(void)state;
	must_take(&sink, 0, 0, 1);
	s = open_database(EBB_SQLITE_READ);
	assert_int_equal(ebb_sqlite_prepare(s,
					    "EXPLAIN QUERY PLAN SELECT destination, user_id, amount, at_breaker, would FROM audit_log WHERE event_type = 'denials' AND timestamp >= 5",
					    &plan, &why),
			 0);
	assert_int_equal(ebb_sqlite_step(s, plan, &why), 1);
	assert_non_null(strstr((const char *)s->f.column_text(plan, 3), "COVERING INDEX audit_log_type"));
	(void)s->f.finalize(plan);
	ebb_sqlite_close(s);
	close_sink(&sink);
}

/* ------------------------------------------------------------------- file -- */

static void the_file_is_for_its_owner_alone(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 1);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct stat st;
		char name[160];

		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	/* nobody who reads keeps a writer waiting */
	assert_int_equal(number("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
	assert_int_equal(number("PRAGMA auto_vacuum"), 2);
	close_sink(&sink);
}

static void a_file_that_is_moved_away_is_left_alone(void **state)
{
	struct ebb_sink sink = open_sink();
	char away[160];

	(void)state;
	must_take(&sink, 0, 0, 10);
	(void)snprintf(away, sizeof(away), "%s/away.db", dir);
	assert_int_equal(rename(path, away), 0);
	must_take(&sink, 0, 10, 20);
	close_sink(&sink);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 20);
}

static void what_is_no_database_is_named(void **state)
{
	static const char text[] =
		"These are the notes of somebody, and they are not to be overwritten by us.\n";
	char back[sizeof(text)] = "";
	int fd;

	(void)state;
	write_file(text, sizeof(text) - 1);
	is_unusable("file is not a database: this is something else: name another path, or move it away");
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, back, sizeof(back)), sizeof(text) - 1);
	(void)close(fd);
	assert_string_equal(back, text);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	is_unusable("Is a directory");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	is_unusable("is no plain file");
}

static void a_missing_directory_is_named(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof(path), "%s/nowhere/audit.db", dir);
	is_unusable("No such file or directory: is its directory there");
}

static void a_damaged_file_is_named(void **state)
{
	struct ebb_sink sink = open_sink();
	char rubbish[4096];
	int fd;

	(void)state;
	must_take(&sink, 0, 0, 500);
	close_sink(&sink);
	memset(rubbish, 0x5a, sizeof(rubbish));
	fd = open(path, O_WRONLY);
	/* behind the header of the first page */
	for (off_t at = 100; at < 200000; at += (off_t)sizeof(rubbish))
		assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
	(void)close(fd);
	is_unusable("it is damaged: move it away with its -wal and -shm files, and a new one is made");
}

static void be_nobody(void)
{
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		_exit(99);
}

/* Root may write everything, so it is somebody else who tries. */
static int as_nobody(void (*attempt)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		be_nobody();
		attempt();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says(enum ebb_sink_result result, const struct ebb_why *why, const char *expected)
{
	if (result == EBB_SINK_UNUSABLE && strstr(why->text, expected))
		return true;
	(void)fprintf(stderr, "%d, not '%s', but: %s\n", result, expected, why->text);
	return false;
}

static void find_no_rights(void)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};
	enum ebb_sink_result result = offer(&sink, 0, 0, 3, NOW, &why);

	if (!says(result, &why, "Permission denied: is its directory there, and may it be used?"))
		_exit(1);
}

static void find_read_only(void)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};
	enum ebb_sink_result result = offer(&sink, 0, 0, 3, NOW, &why);

	if (!says(result, &why, "let its user write the file and its directory") &&
	    !says(result, &why, "is its directory there, and may it be used?"))
		_exit(1);
}

static void missing_rights_are_named(void **state)
{
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 3);
	close_sink(&sink);
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() != 0)
		assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(as_nobody(find_no_rights), 0);
	/* the file may be written, but nothing beside it */
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	assert_int_equal(as_nobody(find_read_only), 0);
	assert_int_equal(chmod(dir, 0700), 0);
}

/* A limit on the size of files stands for a disk that takes no more. */
static void what_the_disk_does_not_take_changes_nothing(void **state)
{
	struct rlimit small = file_limit;
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	(void)state;
	must_take(&sink, 0, 0, 10);
	(void)signal(SIGXFSZ, SIG_IGN);
	small.rlim_cur = 200000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(offer(&sink, 0, 10, 2000, NOW, &why), EBB_SINK_UNUSABLE);
	assert_non_null(strstr(why.text, "look at its disk"));
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &file_limit), 0);
	must_take(&sink, 0, 10, 2000);
	close_sink(&sink);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 2010);
}

static void who_waits_too_long_for_another_writer_tries_again(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};
	struct ebb_sqlite *s;

	(void)state;
	must_take(&sink, 0, 0, 1);
	s = open_database(EBB_SQLITE_WRITE);
	assert_int_equal(ebb_sqlite_exec(s, "BEGIN IMMEDIATE", &why), 0);
	assert_int_equal(offer(&sink, 0, 1, 5, NOW, &why), EBB_SINK_RETRY);
	assert_non_null(strstr(why.text, "another process holds it"));
	assert_int_equal(ebb_sqlite_exec(s, "COMMIT", &why), 0);
	must_take(&sink, 0, 1, 5);
	ebb_sqlite_close(s);
	close_sink(&sink);
}

static void a_reader_keeps_nobody_waiting(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_sqlite *s;
	sqlite3_stmt *statement;
	struct ebb_why why = {0};
	int seen = 1;

	(void)state;
	must_take(&sink, 0, 0, 100);
	s = open_database(EBB_SQLITE_READ);
	assert_int_equal(ebb_sqlite_prepare(s, "SELECT id FROM audit_log", &statement, &why), 0);
	assert_int_equal(ebb_sqlite_step(s, statement, &why), 1);
	must_take(&sink, 0, 100, 100);
	while (ebb_sqlite_step(s, statement, &why) == 1)
		seen++;
	/* what was there when it began */
	assert_int_equal(seen, 100);
	(void)s->f.finalize(statement);
	ebb_sqlite_close(s);
	close_sink(&sink);
}

#define WRITERS 3
#define BATCHES 40
#define EACH	50

static void write_beside_others(int run)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	for (int i = 0; i < BATCHES; i++) {
		enum ebb_sink_result result = EBB_SINK_RETRY;

		for (int j = 0; result == EBB_SINK_RETRY && j < 10; j++)
			result = offer(&sink, run, i * EACH, EACH, NOW, &why);
		if (result != EBB_SINK_DONE) {
			(void)fprintf(stderr, "%s\n", why.text);
			_exit(1);
		}
	}
	close_sink(&sink);
}

/* They all begin with no file: the tables are made once, too. */
static void several_writers_lose_nothing(void **state)
{
	pid_t pids[WRITERS];

	(void)state;
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			write_beside_others(i);
			_exit(0);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(number("SELECT count(*) FROM audit_log"), WRITERS * BATCHES * EACH);
}

/* ----------------------------------------------------------------- tables -- */

static void what_a_rule_of_the_table_forbids_is_refused(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	(void)state;
	must_take(&sink, 0, 0, 1);
	run_sql("CREATE TRIGGER t BEFORE INSERT ON audit_log WHEN json_extract(new.details, '$.number') = 7 "
		"BEGIN SELECT raise(ABORT, 'not this one'); END");
	assert_int_equal(offer(&sink, 0, 1, 20, NOW, &why), EBB_SINK_REFUSED);
	assert_non_null(strstr(why.text, "not this one"));
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 1);
	assert_int_equal(offer(&sink, 0, 7, 1, NOW, &why), EBB_SINK_REFUSED);
	must_take(&sink, 0, 8, 20);
	close_sink(&sink);
}

static void a_table_of_somebody_else_is_left_alone(void **state)
{
	(void)state;
	run_sql("CREATE TABLE audit_log (what TEXT)");
	is_unusable("its table audit_log was not made by ebb: name another path, or rename the table");
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 0);
}

static void a_table_of_another_shape_is_named(void **state)
{
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 1);
	close_sink(&sink);
	run_sql("ALTER TABLE audit_log RENAME COLUMN outcome TO result");
	is_unusable("has no column named outcome: its tables are not those of this version of ebb");
}

static void tables_of_a_newer_version_are_left_alone(void **state)
{
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 1);
	close_sink(&sink);
	run_sql("INSERT INTO audit_log_migrations (version, name) VALUES (99, 'later')");
	is_unusable("its tables are of version 99, and we know up to");
}

static void migrations_go_up_down_and_up(void **state)
{
	int last = ebb_migration_last(EBB_DATABASE_SQLITE);
	struct ebb_sqlite *s = open_database(EBB_SQLITE_WRITE);
	struct ebb_why why = {0};
	struct ebb_sink sink;

	(void)state;
	assert_true(last >= 1);
	assert_int_equal(ebb_audit_db_check(s, &why), -ENODATA);
	for (int i = 1; i <= last; i++) {
		assert_int_equal(ebb_audit_db_migrate(s, i, &why), 0);
		assert_int_equal(number("SELECT max(version) FROM audit_log_migrations"), i);
	}
	assert_int_equal(ebb_audit_db_check(s, &why), 0);
	for (int i = last - 1; i >= 0; i--)
		assert_int_equal(ebb_audit_db_migrate(s, i, &why), 0);
	assert_int_equal(number("SELECT count(*) FROM sqlite_schema"), 0);
	assert_int_equal(ebb_audit_db_migrate(s, EBB_AUDIT_DB_LATEST, &why), 0);
	assert_int_equal(ebb_audit_db_migrate(s, EBB_AUDIT_DB_LATEST, &why), 0);
	assert_int_equal(ebb_audit_db_migrate(s, last + 1, &why), -EINVAL);
	ebb_sqlite_close(s);
	sink = open_sink();
	must_take(&sink, 0, 0, 10);
	close_sink(&sink);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	struct ebb_sqlite *s;
	struct ebb_why why = {0};

	(void)state;
	/* in the way of one of its last steps */
	run_sql("CREATE TABLE audit_log_episode (what TEXT)");
	s = open_database(EBB_SQLITE_WRITE);
	assert_int_equal(ebb_audit_db_migrate(s, EBB_AUDIT_DB_LATEST, &why), -EPROTO);
	assert_non_null(strstr(why.text, "audit_log_episode"));
	assert_int_equal(number("SELECT count(*) FROM sqlite_schema"), 1);
	assert_int_equal(ebb_sqlite_exec(s, "DROP TABLE audit_log_episode", &why), 0);
	assert_int_equal(ebb_audit_db_migrate(s, EBB_AUDIT_DB_LATEST, &why), 0);
	ebb_sqlite_close(s);
}

/* -------------------------------------------------------------- retention -- */

static void old_events_go(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};

	(void)state;
	/* more than one step */
	for (int i = 0; i < 5; i++)
		assert_int_equal(offer(&sink, 0, i * 500, 500, NOW, &why), EBB_SINK_DONE);
	assert_int_equal(offer(&sink, 1, 0, 20, NOW + 2 * HOUR, &why), EBB_SINK_DONE);
	sink.ops->upkeep(sink.data, NOW + HOUR);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 2520);
	sink.ops->upkeep(sink.data, NOW + 3 * HOUR);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 20);
	assert_int_equal(number("SELECT min(timestamp) FROM audit_log"), (NOW + 2 * HOUR) / 1000);
	close_sink(&sink);
}

/* A clock that is set ahead by mistake, and set right again. */
static void a_clock_that_leaps_costs_no_event(void **state)
{
	struct ebb_sink sink = open_sink();

	(void)state;
	must_take(&sink, 0, 0, 500);
	sink.ops->upkeep(sink.data, NOW);
	sink.ops->upkeep(sink.data, NOW + 400 * 24 * HOUR);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 500);
	sink.ops->upkeep(sink.data, NOW + 2 * HOUR);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 0);
	close_sink(&sink);
}

static void their_room_goes_back_but_for_a_reserve(void **state)
{
	struct ebb_sink sink = open_sink();
	struct ebb_why why = {0};
	int64_t before;

	(void)state;
	for (int i = 0; i < 80; i++)
		assert_int_equal(offer(&sink, 0, i * 500, 500, NOW, &why), EBB_SINK_DONE);
	before = number("PRAGMA page_count");
	assert_true(before > 4096 + 1000);
	for (int i = 0; i < 20 && number("PRAGMA freelist_count") + 100 < number("PRAGMA page_count"); i++)
		sink.ops->upkeep(sink.data, NOW + 3 * HOUR);
	sink.ops->upkeep(sink.data, NOW + 3 * HOUR);
	assert_int_equal(number("SELECT count(*) FROM audit_log"), 0);
	assert_in_range(number("PRAGMA page_count"), 1, 4096 + 100);
	close_sink(&sink);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_batch_arrives_once_however_often_it_is_offered),
		TEST(a_row_is_the_event),
		TEST(what_an_event_does_not_have_is_null),
		TEST(reports_need_not_read_the_table),
		TEST(the_file_is_for_its_owner_alone),
		TEST(a_file_that_is_moved_away_is_left_alone),
		TEST(what_is_no_database_is_named),
		TEST(a_missing_directory_is_named),
		TEST(a_damaged_file_is_named),
		TEST(missing_rights_are_named),
		TEST(what_the_disk_does_not_take_changes_nothing),
		TEST(who_waits_too_long_for_another_writer_tries_again),
		TEST(a_reader_keeps_nobody_waiting),
		TEST(several_writers_lose_nothing),
		TEST(what_a_rule_of_the_table_forbids_is_refused),
		TEST(a_table_of_somebody_else_is_left_alone),
		TEST(a_table_of_another_shape_is_named),
		TEST(tables_of_a_newer_version_are_left_alone),
		TEST(migrations_go_up_down_and_up),
		TEST(a_migration_that_fails_changes_nothing),
		TEST(old_events_go),
		TEST(a_clock_that_leaps_costs_no_event),
		TEST(their_room_goes_back_but_for_a_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

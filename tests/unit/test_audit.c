/* SPDX-License-Identifier: Apache-2.0 */
/* Events from the loop to a file: whatever ends the process, each accepted one
 * is there once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/audit.h"
#include "export/sink_jsonl.h"
#include "lib/clock.h"
#include "lib/own_dir.h"
#include "tests/lib/temp_dir.h"

#define SECOND 1000000000ULL
#define EVENTS 10000
#define RUNS   6

static char dir[TEMP_DIR_MAX], path[128];

static int set_up(void **state)
{
	(void)state;
	if (temp_dir_make("audit", dir) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return temp_dir_remove(dir);
}

static struct ebb_audit *open_audit(const char *file, uint64_t max_bytes)
{
	const struct ebb_sink_jsonl_setup jsonl = {.path = file, .max_bytes = max_bytes, .keep = 100};
	struct ebb_audit_setup setup = {
		.dir = dir,
		.spool_bytes = 16 << 20,
		.queue_bytes = 64 << 10,
		.to = {.deliveries = {ebb_delivery_defaults}, .count = 1},
	};
	struct ebb_audit *audit = NULL;
	struct ebb_why why = {0};

	assert_int_equal(ebb_sink_jsonl_new(&jsonl, &setup.to.sinks[0]), 0);
	if (ebb_audit_new(&setup, &audit, &why) < 0)
		fail_msg("%s", why.text);
	return audit;
}

static int put(struct ebb_audit *audit, int run, int number)
{
	json_t *details = json_pack("{s:i, s:i}", "run", run, "number", number);
	const struct ebb_audit_event event = {.type = EBB_AUDIT_DENIALS,
					      .realtime_ns = (int64_t)(1700000000 * SECOND),
					      .details = details};
	int r = ebb_audit_put(audit, &event);

	json_decref(details);
	return r;
}

/* How often each event is in the files; what is no event fails the test. */
static void count_events(const char *file, unsigned char seen[RUNS][EVENTS])
{
	char *line = NULL;
	size_t room = 0;
	FILE *in = fopen(file, "r");
	ssize_t n;

	if (!in)
		return;
	while ((n = getline(&line, &room, in)) > 0) {
		struct ebb_audit_record record;
		int run, number;

		assert_int_equal(ebb_audit_parse(line, (size_t)n, &record, NULL), 0);
		run = (int)json_integer_value(json_object_get(record.event.details, "run"));
		number = (int)json_integer_value(json_object_get(record.event.details, "number"));
		assert_in_range(run, 0, RUNS - 1);
		assert_in_range(number, 0, EVENTS - 1);
		seen[run][number]++;
		ebb_audit_record_done(&record);
	}
	free(line);
	(void)fclose(in);
}

static void count_all(unsigned char seen[RUNS][EVENTS])
{
	char older[160];

	memset(seen, 0, sizeof(unsigned char[RUNS][EVENTS]));
	count_events(path, seen);
	for (int i = 1; i <= 100; i++) {
		(void)snprintf(older, sizeof(older), "%s.%d", path, i);
		count_events(older, seen);
	}
}

static void what_is_accepted_arrives_in_order_of_the_sinks(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit = open_audit(path, 1 << 30);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(put(audit, 0, i), 0);
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i < 100);
}

/* A full queue refuses, counts, and nothing that was accepted is lost. */
static void what_is_not_accepted_is_counted(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	static bool accepted[EVENTS];
	struct ebb_audit *audit = open_audit(path, 1 << 30);
	struct ebb_audit_status status;
	unsigned int refused = 0;

	(void)state;
	for (int i = 0; i < EVENTS; i++) {
		accepted[i] = put(audit, 0, i) == 0;
		refused += !accepted[i];
	}
	ebb_audit_status(audit, &status);
	assert_int_equal(status.refused, refused);
	assert_int_equal(status.accepted, EVENTS - refused);
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], accepted[i]);
}

/* Puts events until it is killed; *@spooled: how many are safe. */
static void put_until_killed(int run, volatile uint64_t *spooled)
{
	struct ebb_audit *audit = open_audit(path, 200000);
	struct ebb_audit_status status;

	for (int i = 0; i < EVENTS;) {
		if (put(audit, run, i) == 0)
			i++;
		ebb_audit_status(audit, &status);
		*spooled = status.spooled;
	}
	for (;;)
		(void)pause();
}

static void kill_9_loses_and_doubles_nothing(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	void *shared = mmap(NULL, sizeof(uint64_t) * RUNS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	volatile uint64_t *spooled = shared;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (int run = 0; run < RUNS; run++) {
		time_t end = time(NULL) + 60;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			put_until_killed(run, &spooled[run]);
			_exit(0);
		}
		/* in the middle, each time elsewhere */
		while (spooled[run] < (uint64_t)(EVENTS / (RUNS + 1) * (run + 1)) && time(NULL) < end)
			(void)sched_yield();
		assert_true(time(NULL) < end);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	ebb_audit_free(open_audit(path, 200000), 30 * SECOND);
	count_all(seen);
	for (int run = 0; run < RUNS; run++) {
		int count = 0;

		for (int i = 0; i < EVENTS; i++) {
			assert_in_range(seen[run][i], 0, 1);
			/* no hole: what is there is a beginning */
			assert_true(i == 0 || seen[run][i] <= seen[run][i - 1]);
			count += seen[run][i];
		}
		assert_true((uint64_t)count >= spooled[run]);
	}
	(void)munmap(shared, sizeof(uint64_t) * RUNS);
}

static bool comes_true(struct ebb_audit *audit, bool (*is_so)(const struct ebb_audit_status *status))
{
	time_t end = time(NULL) + 20;
	struct ebb_audit_status status;

	do {
		ebb_audit_status(audit, &status);
		if (is_so(&status))
			return true;
		(void)sched_yield();
	} while (time(NULL) < end);
	return false;
}

static bool is_stuck(const struct ebb_audit_status *status)
{
	return status->stuck;
}

static bool is_well(const struct ebb_audit_status *status)
{
	return !status->stuck && status->sinks[0].delivered > 0 && status->sinks[0].waiting == 0;
}

/* A limit on the size of files stands for a disk without room. */
static void a_full_disk_loses_nothing_that_was_accepted(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	static bool accepted[EVENTS];
	struct rlimit before, small = {0};
	struct ebb_audit *audit;
	int refused = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 10000;
	audit = open_audit(path, 1 << 30);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < EVENTS; i++) {
		accepted[i] = put(audit, 0, i) == 0;
		refused += !accepted[i];
	}
	assert_true(refused > 0);
	assert_true(comes_true(audit, is_stuck));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(comes_true(audit, is_well));
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], accepted[i]);
}

static bool has_failed(const struct ebb_audit_status *status)
{
	return status->sinks[0].failing;
}

static bool has_ten_waiting(const struct ebb_audit_status *status)
{
	return status->sink_count && status->sinks[0].waiting == 10;
}

static void what_a_sink_cannot_write_waits_for_the_next_start(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit;
	char nowhere[160];

	(void)state;
	(void)snprintf(nowhere, sizeof(nowhere), "%s/nowhere/audit.jsonl", dir);
	audit = open_audit(nowhere, 1 << 30);
	for (int i = 0; i < 10; i++)
		assert_int_equal(put(audit, 0, i), 0);
	assert_true(comes_true(audit, has_failed));
	assert_true(comes_true(audit, has_ten_waiting));
	ebb_audit_free(audit, SECOND);
	audit = open_audit(nowhere, 1 << 30);
	assert_true(comes_true(audit, has_ten_waiting));
	ebb_audit_free(audit, 0);
	ebb_audit_free(open_audit(path, 1 << 30), 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < 10; i++)
		assert_int_equal(seen[0][i], 1);
}

/* Its first, to add to it. */
static int open_spool_file(void)
{
	char spool[160];
	int fd;

	(void)snprintf(spool, sizeof(spool), "%s/spool/spool-0000000000000000", dir);
	fd = open(spool, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	return fd;
}

/* The end of a spool of a machine that lost its power. */
static void a_torn_line_is_left_out(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit;
	int fd;

	(void)state;
	ebb_audit_free(open_audit(path, 1 << 30), SECOND);
	fd = open_spool_file();
	assert_int_equal(write(fd, "{\"id\":\"01", 9), 9);
	(void)close(fd);
	audit = open_audit(path, 1 << 30);
	assert_int_equal(put(audit, 0, 0), 0);
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	assert_int_equal(seen[0][0], 1);
}

/* Of a damaged disk: more than a batch without a line keeps nothing back that follows it. */
static void a_damaged_stretch_is_left_out(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	static const char nothing_there[8192];
	struct ebb_audit *audit;
	int fd;

	(void)state;
	ebb_audit_free(open_audit(path, 1 << 30), SECOND);
	fd = open_spool_file();
	for (int i = 0; i < 50; i++)
		assert_int_equal(write(fd, nothing_there, sizeof(nothing_there)), sizeof(nothing_there));
	assert_int_equal(write(fd, "\n", 1), 1);
	(void)close(fd);
	audit = open_audit(path, 1 << 30);
	assert_int_equal(put(audit, 0, 0), 0);
	assert_true(comes_true(audit, is_well));
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	assert_int_equal(seen[0][0], 1);
}

/* We died between a batch and its cursor: the file is asked what it has. */
static void what_is_offered_again_is_not_written_again(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit = open_audit(path, 1 << 30);
	char cursor[160];

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(put(audit, 0, i), 0);
	ebb_audit_free(audit, 10 * SECOND);
	(void)snprintf(cursor, sizeof(cursor), "%s/spool/cursor-jsonl", dir);
	assert_int_equal(unlink(cursor), 0);
	audit = open_audit(path, 1 << 30);
	assert_int_equal(put(audit, 0, 50), 0);
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i <= 50);
}

/* The second waits, and has all that it accepted meanwhile once the first is gone. */
static void one_process_has_the_spool(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *first = open_audit(path, 1 << 30), *second;
	struct ebb_audit_status status;

	(void)state;
	assert_int_equal(put(first, 0, 0), 0);
	assert_true(comes_true(first, is_well));
	second = open_audit(path, 1 << 30);
	assert_int_equal(put(second, 0, 1), 0);
	assert_true(comes_true(second, is_stuck));
	ebb_audit_status(second, &status);
	assert_non_null(strstr(status.why, "in use by another process"));
	assert_int_equal(put(first, 0, 2), 0);
	ebb_audit_free(first, SECOND);
	assert_true(comes_true(second, is_well));
	ebb_audit_free(second, SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i <= 2);
	ebb_audit_free(NULL, 0);
	assert_int_equal(put(NULL, 0, 0), 0);
}

/* Its owner could put a link there, and root would write to what it leads to. */
static void a_directory_of_somebody_else_is_not_taken(void **state)
{
	struct ebb_why why = {};
	char others[128];

	(void)state;
	(void)snprintf(others, sizeof(others), "%s/others", dir);
	assert_int_equal(ebb_own_dir(others, &why), 0);
	assert_int_equal(ebb_own_dir(others, &why), 0);
	if (geteuid() == 0) {
		assert_return_code(chown(others, 65534, 65534), errno);
		assert_int_equal(ebb_own_dir(others, &why), -EPERM);
		assert_non_null(strstr(why.text, "belongs to user 65534"));
	}
	(void)snprintf(others, sizeof(others), "%s/nowhere/others", dir);
	assert_int_equal(ebb_own_dir(others, &why), -ENOENT);
}

/* A directory that comes later is taken up by itself. */
static void without_a_directory_events_wait_in_memory(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	char moved[80];
	struct ebb_audit *audit;

	(void)state;
	(void)snprintf(moved, sizeof(moved), "%s.moved", dir);
	assert_int_equal(rename(dir, moved), 0);
	/* mkdir() makes what is named, not what is above it: a file is in its place */
	assert_int_equal(close(creat(dir, 0600)), 0);
	audit = open_audit(path, 1 << 30);
	assert_int_equal(put(audit, 0, 0), 0);
	assert_true(comes_true(audit, is_stuck));
	assert_int_equal(put(audit, 0, 1), 0);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(rename(moved, dir), 0);
	assert_true(comes_true(audit, is_well));
	ebb_audit_free(audit, SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i <= 1);
}

static void make_sinks(const char *file, struct ebb_audit_sinks *ret_to)
{
	const struct ebb_sink_jsonl_setup jsonl = {.path = file, .max_bytes = 1 << 30, .keep = 100};

	*ret_to = (struct ebb_audit_sinks){.deliveries = {ebb_delivery_defaults}, .count = 1};
	assert_int_equal(ebb_sink_jsonl_new(&jsonl, &ret_to->sinks[0]), 0);
}

/* The queue is small, and the thread may be slow. */
static void put_surely(struct ebb_audit *audit, int number)
{
	time_t end = time(NULL) + 20;

	while (put(audit, 0, number) != 0) {
		assert_true(time(NULL) < end);
		(void)sched_yield();
	}
}

/* Each event is in one of the two files, or was put while nobody kept any. */
static void other_sinks_take_over_without_a_loss(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	const struct ebb_audit_sinks none = {.count = 0};
	struct ebb_audit *audit = open_audit(path, 1 << 30);
	struct ebb_audit_status status;
	struct ebb_audit_sinks to;
	char other[160];
	int next = 0;

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/other.jsonl", dir);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 20; i++)
			put_surely(audit, next++);
		make_sinks(round % 2 ? path : other, &to);
		ebb_audit_replace(audit, &to);
	}
	assert_true(comes_true(audit, is_well));
	ebb_audit_replace(audit, &none);
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(audit, 0, EVENTS - 1), 0);
	make_sinks(path, &to);
	ebb_audit_replace(audit, &to);
	assert_int_equal(put(audit, 0, next++), 0);
	ebb_audit_status(audit, &status);
	assert_int_equal(status.accepted, next);
	ebb_audit_free(audit, 10 * SECOND);
	memset(seen, 0, sizeof(seen));
	count_events(path, seen);
	count_events(other, seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i < next);
}

static bool has_no_sink(const struct ebb_audit_status *status)
{
	return status->sink_count == 0;
}

static bool has_spooled_one(const struct ebb_audit_status *status)
{
	return status->spooled == 1;
}

static bool has_no_sink_and_no_complaint(const struct ebb_audit_status *status)
{
	return has_no_sink(status) && !status->stuck;
}

/* A spool that could not be opened, and that nobody wants any more, is no trouble. */
static void without_sinks_nothing_is_stuck(void **state)
{
	const struct ebb_audit_sinks none = {.count = 0};
	struct ebb_audit *audit;

	(void)state;
	/* a file is in the place of the directory */
	assert_int_equal(temp_dir_remove(dir), 0);
	assert_int_equal(close(creat(dir, 0600)), 0);
	audit = open_audit(path, 1 << 30);
	assert_true(comes_true(audit, is_stuck));
	ebb_audit_replace(audit, &none);
	assert_true(comes_true(audit, has_no_sink_and_no_complaint));
	ebb_audit_free(audit, SECOND);
}

/* It was in memory, for a disk without room, when the last sink went. */
static void what_no_sink_is_left_for_waits_for_the_next_one(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	const struct ebb_audit_sinks none = {.count = 0};
	struct ebb_audit *audit = open_audit(path, 1 << 30);
	struct ebb_audit_sinks to;
	struct rlimit before, small;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(put(audit, 0, 0), 0);
	assert_true(comes_true(audit, is_stuck));
	ebb_audit_replace(audit, &none);
	assert_true(comes_true(audit, has_no_sink));
	assert_int_equal(put(audit, 0, EVENTS - 1), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(comes_true(audit, has_spooled_one));
	make_sinks(path, &to);
	ebb_audit_replace(audit, &to);
	assert_true(comes_true(audit, is_well));
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i == 0);
}

/* The loop goes on while sinks are flushed: what it puts then waits for the next run. */
static void what_comes_after_the_stop_is_kept(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit = open_audit(path, 1 << 30);
	struct pollfd done = {.fd = ebb_audit_done_fd(audit), .events = POLLIN};

	(void)state;
	assert_int_equal(put(audit, 0, 0), 0);
	assert_int_equal(poll(&done, 1, 0), 0);
	ebb_audit_stop(audit, 10 * SECOND);
	assert_int_equal(poll(&done, 1, 10000), 1);
	count_all(seen);
	assert_int_equal(seen[0][0], 1);
	assert_int_equal(put(audit, 0, 1), 0);
	ebb_audit_free(audit, 0);
	ebb_audit_free(open_audit(path, 1 << 30), 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i <= 1);
}

/* A sink that writes when it is let. */
static int gate[2];

static enum ebb_sink_result hang(void *sink, const struct ebb_sink_batch *batch, uint64_t *ret_after_ns,
				 struct ebb_why *why)
{
	char byte;

	(void)sink;
	(void)batch;
	(void)ret_after_ns;
	(void)why;
	return read(gate[0], &byte, 1) == 1 ? EBB_SINK_DONE : EBB_SINK_RETRY;
}

static void nothing(void *sink)
{
	(void)sink;
}

static bool has_one_waiting(const struct ebb_audit_status *status)
{
	return status->sink_count && status->sinks[0].waiting == 1;
}

/* What waits is told while it hangs, putting does not wait for it, and the end does. */
static void a_sink_that_hangs_hides_nothing(void **state)
{
	static const struct ebb_sink_ops ops = {.name = "hangs", .write = hang, .free = nothing};
	struct ebb_audit_setup setup = {
		.dir = dir,
		.spool_bytes = 16 << 20,
		.queue_bytes = 64 << 10,
		.to = {.sinks = {{.ops = &ops}}, .deliveries = {ebb_delivery_defaults}, .count = 1},
	};
	struct pollfd done = {.events = POLLIN};
	struct ebb_audit_status status;
	struct ebb_audit *audit = NULL;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(ebb_audit_new(&setup, &audit, NULL), 0);
	done.fd = ebb_audit_done_fd(audit);
	assert_int_equal(put(audit, 0, 0), 0);
	assert_true(comes_true(audit, has_one_waiting));
	for (int i = 1; i < 10; i++)
		assert_int_equal(put(audit, 0, i), 0);
	ebb_audit_stop(audit, 30 * SECOND);
	assert_int_equal(poll(&done, 1, 100), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(write(gate[1], "x", 1), 1);
	assert_int_equal(poll(&done, 1, 20000), 1);
	ebb_audit_status(audit, &status);
	assert_int_equal(status.sinks[0].waiting, 0);
	assert_int_equal(status.sinks[0].delivered, 10);
	ebb_audit_free(audit, 0);
	(void)close(gate[0]);
	(void)close(gate[1]);
}

/* Of a process that is killed: when it had which event accepted. */
struct accepted {
	_Atomic int count;
	uint64_t at_ns[EVENTS];
};

/* Puts events into a sink that never answers until it is killed: many at once, then one each millisecond. */
static void put_beside_a_hanging_sink(struct accepted *accepted)
{
	static const struct ebb_sink_ops ops = {.name = "jsonl", .write = hang, .free = nothing};
	const struct timespec moment = {.tv_nsec = 1000000};
	struct ebb_audit_setup setup = {
		.dir = dir,
		.spool_bytes = 16 << 20,
		.queue_bytes = 64 << 10,
		.to = {.sinks = {{.ops = &ops}}, .deliveries = {ebb_delivery_defaults}, .count = 1},
	};
	struct ebb_audit *audit = NULL;

	assert_int_equal(ebb_audit_new(&setup, &audit, NULL), 0);
	for (int i = 0; i < EVENTS; i++) {
		put_surely(audit, i);
		accepted->at_ns[i] = ebb_clock_monotonic();
		accepted->count = i + 1;
		if (i >= EVENTS / 2)
			(void)nanosleep(&moment, NULL); /* on purpose: spread */
	}
	for (;;)
		(void)pause();
}

/* Whatever a sink does, an event is on the disk half a second after it was accepted. */
static void a_sink_that_hangs_keeps_nothing_from_the_disk(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct accepted *accepted =
		mmap(NULL, sizeof(*accepted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t end = ebb_clock_monotonic() + 60 * SECOND, killed_ns;
	int safe = 0;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(accepted, MAP_FAILED);
	assert_int_equal(pipe(gate), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		put_beside_a_hanging_sink(accepted);
		_exit(0);
	}
	while ((accepted->count <= EVENTS / 2 ||
		ebb_clock_monotonic() < accepted->at_ns[EVENTS / 2] + SECOND / 2) &&
	       ebb_clock_monotonic() < end)
		(void)sched_yield();
	killed_ns = ebb_clock_monotonic();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (safe < accepted->count && accepted->at_ns[safe] + SECOND / 2 < killed_ns)
		safe++;
	assert_true(safe > EVENTS / 2);
	ebb_audit_free(open_audit(path, 200000), 30 * SECOND);
	memset(seen, 0, sizeof(seen));
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_in_range(seen[0][i], i < safe ? 1 : 0, 1);
	(void)close(gate[0]);
	(void)close(gate[1]);
	(void)munmap(accepted, sizeof(*accepted));
}

static void put_order(struct ebb_audit *audit, int number)
{
	json_t *details = json_pack("{s:i, s:i}", "run", 0, "number", number);
	const uint8_t random[10] = {[9] = (uint8_t)number};
	const struct ebb_audit_event event = {.type = EBB_AUDIT_OVERRIDE,
					      .realtime_ns = (int64_t)(1700000000 * SECOND),
					      .random = random,
					      .details = details};

	assert_int_equal(ebb_audit_put(audit, &event), 0);
	json_decref(details);
}

/* An agent that was killed does not know whether it told of an order: it tells it again, under the same id. */
static void an_order_that_is_told_twice_is_there_once(void **state)
{
	static unsigned char seen[RUNS][EVENTS];
	struct ebb_audit *audit = open_audit(path, 1 << 30);

	(void)state;
	put_order(audit, 1);
	put_order(audit, 1);
	assert_true(comes_true(audit, is_well));
	put_order(audit, 1);
	ebb_audit_free(audit, 10 * SECOND);
	audit = open_audit(path, 1 << 30);
	/* another batch before it, with which the end of the file is looked at */
	assert_int_equal(put(audit, 0, 2), 0);
	assert_true(comes_true(audit, is_well));
	put_order(audit, 1);
	put_order(audit, 3);
	ebb_audit_free(audit, 10 * SECOND);
	count_all(seen);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(seen[0][i], i >= 1 && i <= 3);
}

/* Found by the thread sanitizer's list of programs: the thread is
 * pthread_create()d by ebb_audit_new(). */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_accepted_arrives_in_order_of_the_sinks, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_accepted_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kill_9_loses_and_doubles_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_loses_nothing_that_was_accepted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_a_sink_cannot_write_waits_for_the_next_start, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_torn_line_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_stretch_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_offered_again_is_not_written_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(one_process_has_the_spool, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_of_somebody_else_is_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_directory_events_wait_in_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_sinks_take_over_without_a_loss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_sinks_nothing_is_stuck, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_no_sink_is_left_for_waits_for_the_next_one, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_comes_after_the_stop_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sink_that_hangs_hides_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sink_that_hangs_keeps_nothing_from_the_disk, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_order_that_is_told_twice_is_there_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/follow.c with real files: each way in which people replace a file is told, half of a file is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/follow.h"
#include "tests/lib/temp_dir.h"

#define DEADLINE_MS 20000

/* A look comes each 100 ms and not each 2 s. What is shorter than a second stays as it is. */
#define LOOKS_FASTER 20

static void shorten(struct timespec *ts)
{
	int64_t ns = ((int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec) / LOOKS_FASTER;

	if (ts->tv_sec == 0)
		return;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
}

/* In place of the C library's. */
int timerfd_settime(int fd, int flags, const struct itimerspec *spec, struct itimerspec *ret_before)
{
	struct itimerspec fast = *spec;

	shorten(&fast.it_interval);
	shorten(&fast.it_value);
	return (int)syscall(SYS_timerfd_settime, fd, flags, &fast, ret_before);
}

struct place {
	char dir[TEMP_DIR_MAX];
	char path[128];
	struct ebb_follow *follow;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char *in(const struct place *p, const char *name)
{
	static char paths[4][160];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", p->dir, name);
	return path;
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(temp_dir_make("follow", p->dir), 0);
	(void)snprintf(p->path, sizeof(p->path), "%s/ebb.yaml", p->dir);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	ebb_follow_free(p->follow);
	assert_int_equal(temp_dir_remove(p->dir), 0);
	free(p);
	return 0;
}

/* From what is there now. */
static void start(struct place *p)
{
	struct stat st;
	bool there = stat(p->path, &st) == 0;

	assert_int_equal(ebb_follow_new(p->path, there ? &st : NULL, &p->follow), 0);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Is a change told within @ms? */
static bool told_within(struct place *p, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;
	struct pollfd poll_fd = {.fd = ebb_follow_fd(p->follow), .events = POLLIN};

	for (;;) {
		uint64_t now = now_ms();

		if (now >= end)
			return false;
		if (poll(&poll_fd, 1, (int)(end - now)) > 0 && ebb_follow_take(p->follow))
			return true;
	}
}

/* One event only, and what is taken then. */
static bool told_at_once(struct place *p)
{
	struct pollfd poll_fd = {.fd = ebb_follow_fd(p->follow), .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
	return ebb_follow_take(p->follow);
}

static void rename_is_told_at_once(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	write_file(in(p, "new"), "b");
	(void)ebb_follow_take(p->follow);
	assert_int_equal(rename(in(p, "new"), p->path), 0);
	assert_true(told_at_once(p));
	assert_false(ebb_follow_take(p->follow));
}

static void write_in_place_is_told_when_it_is_closed(void **state)
{
	struct place *p = *state;
	int fd;

	write_file(p->path, "mode: observe\n");
	start(p);
	fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "mode", 4), 4);
	assert_false(told_within(p, 200));
	assert_int_equal(write(fd, ": enforce\n", 10), 10);
	assert_int_equal(close(fd), 0);
	assert_true(told_within(p, DEADLINE_MS));
	assert_false(ebb_follow_take(p->follow));
}

/* 'tee ebb.yaml' empties the file at once, and waits for who types: an empty file is a configuration, and not the one that is meant. */
static void file_that_is_being_written_is_not_told_however_long_it_takes(void **state)
{
	struct place *p = *state;
	int fd;

	write_file(p->path, "mode: enforce\n");
	start(p);
	fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_false(told_within(p, 500));
	assert_int_equal(write(fd, "mode", 4), 4);
	assert_false(told_within(p, 500));
	assert_int_equal(write(fd, ": enforce\n", 10), 10);
	assert_int_equal(close(fd), 0);
	assert_true(told_within(p, DEADLINE_MS));
	/* and one who comes back while it is waited whether he does */
	write_file(p->path, "mode: observe\n");
	fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_false(told_within(p, 500));
	/* what is put in its place is whole */
	write_file(in(p, "new"), "mode: enforce\n");
	assert_int_equal(rename(in(p, "new"), p->path), 0);
	assert_true(told_within(p, DEADLINE_MS));
	assert_int_equal(close(fd), 0);
}

/* /dev/null is a configuration in which nothing stands, and is written to all the time. */
static void device_wakes_nobody(void **state)
{
	struct place *p = *state;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), woken = 0;

	assert_true(fd >= 0);
	assert_int_equal(symlink("/dev/null", p->path), 0);
	start(p);
	for (int i = 0; i < 20; i++) {
		struct pollfd poll_fd = {.fd = ebb_follow_fd(p->follow), .events = POLLIN};

		(void)ebb_follow_take(p->follow);
		assert_int_equal(write(fd, "x", 1), 1);
		/* the time of a look may just have come, not each time */
		woken += poll(&poll_fd, 1, 0);
	}
	assert_true(woken < 20);
	assert_int_equal(close(fd), 0);
	/* a file in its place is found all the same */
	write_file(in(p, "new"), "mode: enforce\n");
	assert_int_equal(rename(in(p, "new"), p->path), 0);
	assert_true(told_within(p, DEADLINE_MS));
}

/* A file that is made and not yet written is no configuration, also when a neighbour moves meanwhile. */
static void new_file_is_told_when_it_is_closed(void **state)
{
	struct place *p = *state;
	int fd;

	start(p);
	fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	write_file(in(p, "neighbour"), "x");
	assert_int_equal(rename(in(p, "neighbour"), in(p, "other")), 0);
	assert_false(told_within(p, 500));
	assert_int_equal(write(fd, "mode: enforce\n", 14), 14);
	assert_int_equal(close(fd), 0);
	assert_true(told_within(p, DEADLINE_MS));
}

/* As vim does it: away with the old one, then the new one is written under its name. */
static void editor_that_moves_the_old_one_away_is_one_change(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	assert_int_equal(rename(p->path, in(p, "ebb.yaml~")), 0);
	write_file(p->path, "bb");
	assert_true(told_within(p, DEADLINE_MS));
	assert_false(told_within(p, 200));
}

static void several_writes_in_a_row_are_one_change(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	for (int i = 0; i < 5; i++) {
		FILE *file = fopen(p->path, "a");

		assert_non_null(file);
		(void)fputs("b", file);
		assert_int_equal(fclose(file), 0);
		(void)ebb_follow_take(p->follow);
	}
	assert_true(told_within(p, DEADLINE_MS));
	assert_false(told_within(p, 200));
}

static void removal_and_return_are_told(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	assert_int_equal(unlink(p->path), 0);
	assert_true(told_within(p, DEADLINE_MS));
	assert_false(told_within(p, 200));
	write_file(p->path, "a");
	assert_true(told_within(p, DEADLINE_MS));
}

/* kubelet: ebb.yaml -> ..data/ebb.yaml, ..data -> ..1/; the next version is made beside and ..data replaced. */
static void configmap_is_followed(void **state)
{
	struct place *p = *state;

	assert_int_equal(mkdir(in(p, "..1"), 0700), 0);
	write_file(in(p, "..1/ebb.yaml"), "a");
	assert_int_equal(symlink("..1", in(p, "..data")), 0);
	assert_int_equal(symlink("..data/ebb.yaml", p->path), 0);
	start(p);
	for (int version = 2; version < 5; version++) {
		char name[16], file[32], old[16];

		(void)snprintf(name, sizeof(name), "..%d", version);
		(void)snprintf(file, sizeof(file), "..%d/ebb.yaml", version);
		(void)snprintf(old, sizeof(old), "..%d", version - 1);
		assert_int_equal(mkdir(in(p, name), 0700), 0);
		write_file(in(p, file), "b");
		assert_int_equal(symlink(name, in(p, "..data_tmp")), 0);
		(void)ebb_follow_take(p->follow);
		assert_int_equal(rename(in(p, "..data_tmp"), in(p, "..data")), 0);
		assert_true(told_at_once(p));
		(void)snprintf(file, sizeof(file), "%s/ebb.yaml", old);
		assert_int_equal(unlink(in(p, file)), 0);
		assert_int_equal(rmdir(in(p, old)), 0);
		assert_false(told_within(p, 100));
	}
}

/* The path is a link to another directory, and the file there is written. */
static void target_of_a_link_is_followed(void **state)
{
	struct place *p = *state;

	assert_int_equal(mkdir(in(p, "real"), 0700), 0);
	write_file(in(p, "real/settings.yaml"), "a");
	assert_int_equal(symlink("real/settings.yaml", p->path), 0);
	start(p);
	write_file(in(p, "real/settings.yaml"), "bb");
	assert_true(told_within(p, DEADLINE_MS));
	write_file(in(p, "real/new"), "c");
	(void)ebb_follow_take(p->follow);
	assert_int_equal(rename(in(p, "real/new"), in(p, "real/settings.yaml")), 0);
	assert_true(told_at_once(p));
}

static void directory_may_come_later(void **state)
{
	struct place *p = *state;

	(void)snprintf(p->path, sizeof(p->path), "%s/etc/ebb/ebb.yaml", p->dir);
	start(p);
	assert_int_equal(mkdir(in(p, "etc"), 0700), 0);
	assert_int_equal(mkdir(in(p, "etc/ebb"), 0700), 0);
	write_file(p->path, "a");
	assert_true(told_within(p, DEADLINE_MS));
	write_file(p->path, "bb");
	assert_true(told_within(p, DEADLINE_MS));
}

static void neighbours_are_nothing_to_us(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	write_file(in(p, "other"), "b");
	assert_int_equal(rename(in(p, "other"), in(p, "another")), 0);
	assert_int_equal(unlink(in(p, "another")), 0);
	assert_false(told_within(p, 200));
}

static void what_was_read_for_another_reason_is_known(void **state)
{
	struct place *p = *state;

	write_file(p->path, "a");
	start(p);
	write_file(in(p, "new"), "b");
	assert_int_equal(rename(in(p, "new"), p->path), 0);
	ebb_follow_known(p->follow);
	assert_false(told_within(p, 200));
}

/* Between the reading at the start of an agent and this there is all that a start takes. */
static void change_before_it_is_followed_is_told(void **state)
{
	struct place *p = *state;
	struct stat st;

	write_file(p->path, "a");
	assert_int_equal(stat(p->path, &st), 0);
	write_file(in(p, "new"), "b");
	assert_int_equal(rename(in(p, "new"), p->path), 0);
	assert_int_equal(ebb_follow_new(p->path, &st, &p->follow), 0);
	assert_true(told_within(p, DEADLINE_MS));
	ebb_follow_free(p->follow);
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(ebb_follow_new(p->path, &st, &p->follow), 0);
	assert_true(told_within(p, DEADLINE_MS));
	ebb_follow_free(p->follow);
	write_file(p->path, "a");
	assert_int_equal(ebb_follow_new(p->path, NULL, &p->follow), 0);
	assert_true(told_within(p, DEADLINE_MS));
	assert_false(told_within(p, 200));
}

/* By another hard link, in a directory that nobody watches: so does a file change that is mounted over the path. */
static void change_by_another_path_is_told(void **state)
{
	struct place *p = *state;
	char link_path[160];

	assert_int_equal(mkdir(in(p, "elsewhere"), 0700), 0);
	write_file(p->path, "a");
	(void)snprintf(link_path, sizeof(link_path), "%s", in(p, "elsewhere/file"));
	assert_int_equal(link(p->path, link_path), 0);
	start(p);
	write_file(link_path, "bb");
	assert_true(told_within(p, DEADLINE_MS));
}

/* As on file systems that tell nothing: here the file is written to as memory. */
static void change_without_an_event_is_found_by_looking(void **state)
{
	struct place *p = *state;
	char *memory;
	int fd;

	write_file(p->path, "a");
	fd = open(p->path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	memory = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	/* longer ago than the clock of files is coarse */
	assert_int_equal(futimens(fd, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}), 0);
	start(p);
	*memory = 'b';
	assert_int_equal(msync(memory, 1, MS_SYNC), 0);
	assert_true(told_within(p, DEADLINE_MS));
	assert_int_equal(munmap(memory, 1), 0);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(rename_is_told_at_once),
		TEST(write_in_place_is_told_when_it_is_closed),
		TEST(file_that_is_being_written_is_not_told_however_long_it_takes),
		TEST(device_wakes_nobody),
		TEST(new_file_is_told_when_it_is_closed),
		TEST(editor_that_moves_the_old_one_away_is_one_change),
		TEST(several_writes_in_a_row_are_one_change),
		TEST(removal_and_return_are_told),
		TEST(configmap_is_followed),
		TEST(target_of_a_link_is_followed),
		TEST(directory_may_come_later),
		TEST(neighbours_are_nothing_to_us),
		TEST(what_was_read_for_another_reason_is_known),
		TEST(change_before_it_is_followed_is_told),
		TEST(change_by_another_path_is_told),
		TEST(change_without_an_event_is_found_by_looking),
	};

	return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}

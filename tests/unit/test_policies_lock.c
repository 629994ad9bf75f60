/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock of those who write policies (user/kernel/maps.c), and what it is for: operators who
 * give limits by hand at the same time, and one who is killed while writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/limit.h"
#include "kernel/maps.h"
#include "lib/cleanup.h"
#include "tests/lib/temp_dir.h"

#define MS	1000000ULL
#define S	1000000000ULL
#define WRITERS 3
#define WRITES	5000

struct shared {
	struct ebb_policy policy;
	uint64_t writes;
	uint32_t failed; /* line of the writer that found something else than it wrote */
};

struct world {
	char dir[TEMP_DIR_MAX], lock[96];
	struct shared *shared;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(temp_dir_make("lock", w->dir), 0);
	(void)snprintf(w->lock, sizeof(w->lock), "%s/lock_policy", w->dir);
	assert_int_equal(mkdir(w->lock, 0700), 0);
	w->shared = mmap(NULL, sizeof(*w->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w->shared != MAP_FAILED);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	(void)rmdir(w->lock);
	assert_int_equal(rmdir(w->dir), 0);
	(void)munmap(w->shared, sizeof(*w->shared));
	free(w);
	return 0;
}

/* A child that does not outlive us. */
static pid_t start(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void one_at_a_time(void **state)
{
	const struct world *w = *state;
	struct ebb_why why = {};
	int first = -1, second = -1;

	assert_int_equal(ebb_policies_lock(w->dir, 0, &first, &why), 0);
	assert_int_equal(ebb_policies_lock(w->dir, 20 * MS, &second, &why), -EBUSY);
	assert_int_equal(second, -1);
	assert_non_null(strstr(why.text, "another ebb has been writing policies in"));
	assert_int_equal(close(first), 0);
	assert_int_equal(ebb_policies_lock(w->dir, 0, &second, &why), 0);
	assert_int_equal(close(second), 0);
}

static void without_a_lock_nothing_is_pinned(void **state)
{
	const struct world *w = *state;
	struct ebb_why why = {};
	int fd = -1;

	assert_int_equal(rmdir(w->lock), 0);
	assert_int_equal(ebb_policies_lock(w->dir, 0, &fd, &why), -ENOENT);
	assert_non_null(strstr(why.text, "nothing is pinned"));
	assert_int_equal(fd, -1);
}

static void it_dies_with_its_holder(void **state)
{
	const struct world *w = *state;
	int ready[2], fd = -1;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = start();
	if (pid == 0) {
		if (ebb_policies_lock(w->dir, S, &fd, NULL) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(ebb_policies_lock(w->dir, 0, &fd, NULL), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	/* waits for it, and not for long */
	assert_int_equal(ebb_policies_lock(w->dir, 10 * S, &fd, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(ready[0]) | close(ready[1]), 0);
}

/* -------------------------------------------------------- two operators -- */

/* What writer @who gives at its @turn'th time: of its own, so that a mixture shows. */
static struct ebb_limits change_of(uint32_t who, uint32_t turn)
{
	struct ebb_limits change = {.given = 1 + (who * 7 + turn * 5) % 15,
				    .concurrent = who * 1000 + turn % 1000 + 1};

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++)
		(void)ebb_limit_make((uint64_t)(who + 1) * 36000000 + turn, (who + 1) * 10000 + turn,
				     &change.bucket[kind]);
	return change;
}

/* The line that is wrong, 0: the policy is what was just written into it. */
static int found_as_written(const struct ebb_policy *policy, const struct ebb_limits *change, uint32_t who)
{
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if ((change->given & (1U << kind)) &&
		    memcmp(&policy->by_hand.bucket[kind], &change->bucket[kind],
			   sizeof(change->bucket[kind])) != 0)
			return __LINE__;
	}
	if ((change->given & EBB_GIVEN_CONCURRENT) && policy->by_hand.concurrent != change->concurrent)
		return __LINE__;
	if ((policy->by_hand.given & change->given) != change->given)
		return __LINE__;
	if (policy->by_hand_uid != who || policy->by_hand_until_ns != S + who)
		return __LINE__;
	return 0;
}

/* The line that is wrong, 0: whatever stands by hand is one whole limit, and is asked for. */
static int is_whole(const struct ebb_policy *policy)
{
	struct ebb_policy twin = *policy;

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit *limit = &policy->by_hand.bucket[kind];
		struct ebb_limit made;

		if (!(policy->by_hand.given & (1U << kind)))
			continue;
		if (ebb_limit_make(limit->per_hour, limit->burst, &made) < 0 ||
		    memcmp(&made, limit, sizeof(made)) != 0)
			return __LINE__;
	}
	for (uint32_t kind = 0; kind <= EBB_LIMIT_MAX; kind++) {
		if (policy->by_hand.given & (1U << kind))
			continue;
		/* what is not given may be half written */
		if (kind < EBB_LIMIT_MAX)
			twin.by_hand.bucket[kind] = (struct ebb_limit){0};
		else
			twin.by_hand.concurrent = 0;
	}
	ebb_limits_summarize(&twin);
	return (policy->asks & twin.asks) == twin.asks ? 0 : __LINE__;
}

static void write_once(const struct world *w, uint32_t who, uint32_t turn)
{
	struct ebb_policy *policy = &w->shared->policy;
	struct ebb_limits change = change_of(who, turn);
	_cleanup_close_ int lock = -1;
	int line;

	if (ebb_policies_lock(w->dir, 60 * S, &lock, NULL) < 0) {
		w->shared->failed = __LINE__;
		return;
	}
	line = is_whole(policy);
	if (turn % 16 == 15) {
		ebb_limits_take_back(policy);
	} else {
		ebb_limits_give(policy, &change, S + who, who, 0);
		line = line ? line : found_as_written(policy, &change, who);
	}
	line = line ? line : is_whole(policy);
	if (line)
		w->shared->failed = (uint32_t)line;
	w->shared->writes++;
}

static void operators_at_the_same_time_do_not_mix(void **state)
{
	const struct world *w = *state;
	pid_t pids[WRITERS];

	for (uint32_t who = 0; who < WRITERS; who++) {
		pids[who] = start();
		if (pids[who] == 0) {
			for (uint32_t turn = 0; turn < WRITES; turn++)
				write_once(w, who, turn);
			_exit(0);
		}
	}
	for (uint32_t who = 0; who < WRITERS; who++) {
		int status;

		assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
		assert_int_equal(status, 0);
	}
	if (w->shared->failed)
		fail_msg("a writer found something else: line %u", w->shared->failed);
	/* none was lost: the counter is not atomic */
	assert_int_equal(w->shared->writes, WRITERS * WRITES);
}

/* Lets a child run @what to its end, one instruction after the other; @check after each of them. */
static size_t step_through(struct shared *shared, void (*what)(struct shared *shared),
			   void (*check)(const struct shared *shared))
{
	size_t steps = 0;
	pid_t pid = start();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		(void)raise(SIGSTOP);
		what(shared);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (WIFSTOPPED(status)) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		check(shared);
		steps++;
	}
	assert_int_equal(status, 0);
	return steps;
}

/* Before: bytes and the cap by hand. The change: bytes and connects. */
#define OLD change_of(1, 1)
#define NEW change_of(2, 2)

static void give_new(struct shared *shared)
{
	struct ebb_limits change = NEW;

	change.given = (1U << EBB_LIMIT_BYTES) | (1U << EBB_LIMIT_CONNECTS);
	ebb_limits_give(&shared->policy, &change, S, 2, 0);
}

static void take_back(struct shared *shared)
{
	ebb_limits_take_back(&shared->policy);
}

/* The old limit, the new one, or none by hand; no mixture, and nobody who is not asked. */
static void check_old_or_new(const struct shared *shared)
{
	const struct ebb_policy *policy = &shared->policy;
	const struct ebb_limits old = OLD, new = NEW;

	assert_int_equal(is_whole(policy), 0);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit *now = &policy->by_hand.bucket[kind];

		if (policy->by_hand.given & (1U << kind))
			assert_true(memcmp(now, &old.bucket[kind], sizeof(*now)) == 0 ||
				    memcmp(now, &new.bucket[kind], sizeof(*now)) == 0);
	}
	if (policy->by_hand.given & EBB_GIVEN_CONCURRENT)
		assert_int_equal(policy->by_hand.concurrent, old.concurrent);
}

static void put_old(struct shared *shared, uint32_t given)
{
	struct ebb_limits change = OLD;

	change.given = given;
	memset(&shared->policy, 0, sizeof(shared->policy));
	ebb_limits_give(&shared->policy, &change, 0, 1, 0);
}

static void operator_that_is_killed_anywhere_leaves_a_whole_policy(void **state)
{
	const struct world *w = *state;
	struct shared *shared = w->shared;

	put_old(shared, (1U << EBB_LIMIT_BYTES) | EBB_GIVEN_CONCURRENT);
	assert_true(step_through(shared, give_new, check_old_or_new) > 50);
	assert_int_equal(shared->policy.by_hand.given,
			 (1U << EBB_LIMIT_BYTES) | (1U << EBB_LIMIT_CONNECTS) | EBB_GIVEN_CONCURRENT);
	assert_int_equal(shared->policy.by_hand_until_ns, S);
	assert_true(step_through(shared, take_back, check_old_or_new) > 20);
	assert_int_equal(shared->policy.by_hand.given, 0);
	assert_int_equal(shared->policy.asks, 0);
}

static void give_when_the_old_is_over(struct shared *shared)
{
	struct ebb_limits change = NEW;

	change.given = 1U << EBB_LIMIT_CONNECTS;
	ebb_limits_give(&shared->policy, &change, 9 * S, 2, 2 * S);
}

/* At 2 s nothing of what ended at 1 s holds, not for a moment. */
static void check_nothing_comes_back(const struct shared *shared)
{
	struct ebb_limits limits;

	ebb_limits_in_force(&shared->policy, 2 * S, &limits);
	assert_int_equal(limits.given & ~(1U << EBB_LIMIT_CONNECTS), 0);
	check_old_or_new(shared);
}

static void what_is_over_does_not_hold_again_for_a_moment(void **state)
{
	const struct world *w = *state;
	struct shared *shared = w->shared;

	put_old(shared, 1U << EBB_LIMIT_BYTES); /* so that the gate is not asked yet */
	shared->policy.by_hand_until_ns = S;
	assert_true(step_through(shared, give_when_the_old_is_over, check_nothing_comes_back) > 50);
	assert_int_equal(shared->policy.by_hand.given, 1U << EBB_LIMIT_CONNECTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_at_a_time),
		TEST(without_a_lock_nothing_is_pinned),
		TEST(it_dies_with_its_holder),
		TEST(operators_at_the_same_time_do_not_mix),
		TEST(operator_that_is_killed_anywhere_leaves_a_whole_policy),
		TEST(what_is_over_does_not_hold_again_for_a_moment),
	};

	return cmocka_run_group_tests_name("policies_lock", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/errand.c: work beside the loop, one piece at a time, at ordinary priority whatever the loop has. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/errand.h"
#include "agent/scheduling.h"

#define NOT_PERMITTED 77
#define PATIENCE_MS   60000

struct work {
	int go[2]; /* it waits for a byte */
	pid_t thread;
	int policy;
	int done;
};

static void work(void *userdata)
{
	struct work *w = userdata;
	char byte;

	w->thread = gettid();
	w->policy = sched_getscheduler(0);
	(void)!read(w->go[0], &byte, 1);
	w->done++;
}

static bool is_done(const struct ebb_errand *errand, int patience_ms)
{
	struct pollfd fd = {.fd = ebb_errand_fd(errand), .events = POLLIN};

	return poll(&fd, 1, patience_ms) == 1;
}

static void work_is_done_beside_who_asks_for_it(void **state)
{
	struct ebb_errand *errand = NULL;
	struct work w = {.thread = 0};

	(void)state;
	assert_int_equal(pipe(w.go), 0);
	assert_int_equal(ebb_errand_new(&errand), 0);
	assert_false(ebb_errand_end(errand));
	for (int round = 1; round <= 3; round++) {
		assert_int_equal(ebb_errand_start(errand, work, &w), 0);
		/* one at a time, and it is not done before it is */
		assert_int_equal(ebb_errand_start(errand, work, &w), -EBUSY);
		assert_false(is_done(errand, 0));
		assert_int_equal(write(w.go[1], "x", 1), 1);
		assert_true(is_done(errand, PATIENCE_MS));
		assert_true(ebb_errand_end(errand));
		assert_false(is_done(errand, 0));
		assert_int_equal(w.done, round);
		assert_int_not_equal(w.thread, gettid());
	}
	/* what has begun is waited for */
	assert_int_equal(ebb_errand_start(errand, work, &w), 0);
	assert_int_equal(write(w.go[1], "x", 1), 1);
	ebb_errand_free(errand);
	assert_int_equal(w.done, 4);
	ebb_errand_free(NULL);
	assert_int_equal(close(w.go[0]) | close(w.go[1]), 0);
}

static int policy_of_work(void)
{
	struct ebb_errand *errand = NULL;
	struct work w = {.policy = -1};
	int r = ebb_scheduling_raise();

	if (r == -EPERM)
		return NOT_PERMITTED;
	if (r < 0 || pipe(w.go) < 0 || write(w.go[1], "x", 1) != 1 || ebb_errand_new(&errand) < 0 ||
	    ebb_errand_start(errand, work, &w) < 0)
		return 1;
	ebb_errand_free(errand);
	return w.policy == SCHED_OTHER && ebb_scheduling_is_raised() ? 0 : 2;
}

/* In a child, since the priority stays. */
static void its_priority_is_ordinary(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(policy_of_work());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_PERMITTED) {
		print_message("# needs CAP_SYS_NICE\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_done_beside_who_asks_for_it),
		cmocka_unit_test(its_priority_is_ordinary),
	};

	return cmocka_run_group_tests_name("errand", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/scheduling.c: real-time priority, and that a runaway loses it. In children, since it stays. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/privileges.h"
#include "agent/scheduling.h"

#define NOT_PERMITTED 77
#define SPIN_LIMIT_S  5

static int run_in_child(int (*body)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_PERMITTED) {
		print_message("# needs CAP_SYS_NICE\n");
		skip();
	}
	return WEXITSTATUS(status);
}

static int raised(void)
{
	int r = ebb_scheduling_raise();

	if (r == -EPERM)
		return NOT_PERMITTED;
	if (r < 0 || sched_getscheduler(0) != (SCHED_RR | SCHED_RESET_ON_FORK))
		return 1;
	return ebb_scheduling_was_lost() ? 2 : 0;
}

static int spin_until_lost(void)
{
	struct timespec now, start;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (sched_getscheduler(0) == (SCHED_OTHER | SCHED_RESET_ON_FORK))
			return ebb_scheduling_was_lost() && !ebb_scheduling_was_lost() &&
					       !ebb_scheduling_is_raised()
				       ? 0
				       : 3;
	} while (now.tv_sec - start.tv_sec < SPIN_LIMIT_S);
	return 4;
}

static int runaway(void)
{
	int r = raised();

	if (r)
		return r;
	/* as in the agent: nothing is left that would permit more than giving up */
	return ebb_drop_privileges(false, false) < 0 ? 6 : spin_until_lost();
}

/* Of processor time, without waiting. */
static void spin_ms(long ms)
{
	struct timespec now;

	do
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

/* It is ours again, and for as long as at first: what was used up before does not count. */
static int converted(void)
{
	struct timespec used;
	int r = raised();

	if (r)
		return r;
	/* by a limit, or the right is kept */
	if (ebb_drop_privileges(false, ebb_scheduling_permit() < 0) < 0)
		return 6;
	r = spin_until_lost();
	if (r)
		return r;
	if (ebb_scheduling_raise() < 0 || !ebb_scheduling_is_raised())
		return 7;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	spin_ms(used.tv_sec * 1000 + used.tv_nsec / 1000000 + 100);
	return ebb_scheduling_is_raised() && !ebb_scheduling_was_lost() ? spin_until_lost() : 8;
}

/* Rests often: never 200 ms without waiting, but more than that in sum. */
static int diligent(void)
{
	const struct timespec rest = {.tv_nsec = 100000};
	struct rusage used;
	int r = raised();

	if (r)
		return r;
	do {
		for (int i = 0; i < 10000; i++)
			(void)getppid();
		(void)nanosleep(&rest, NULL); /* sleep: the rest is what is tested */
		(void)getrusage(RUSAGE_SELF, &used);
	} while (used.ru_utime.tv_sec + used.ru_stime.tv_sec < 1);
	return sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK) ? 0 : 5;
}

static void raised_is_the_lowest_real_time_priority(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(raised), 0);
}

static void who_never_waits_loses_it(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(runaway), 0);
}

static void who_lost_it_can_have_it_again(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(converted), 0);
}

static void who_waits_keeps_it(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(diligent), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raised_is_the_lowest_real_time_priority),
		cmocka_unit_test(who_never_waits_loses_it),
		cmocka_unit_test(who_lost_it_can_have_it_again),
		cmocka_unit_test(who_waits_keeps_it),
	};

	return cmocka_run_group_tests_name("scheduling", tests, NULL, NULL);
}

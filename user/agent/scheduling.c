/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/scheduling.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SLICE_US 200000 /* of processor time without waiting */

/* Signal handlers have nothing else to write to. */
static volatile sig_atomic_t lost;

/*
 * On SIGXCPU. sched_setscheduler() is a bare system call. Giving up a priority is
 * always permitted, but taking off SCHED_RESET_ON_FORK is not: it stays.
 */
static int ordinary(void)
{
	const struct sched_param lowest = {.sched_priority = 0};

	return sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &lowest);
}

static void give_up(int signal_number)
{
	int saved = errno;

	(void)signal_number;
	if (ordinary() == 0)
		lost = 1;
	errno = saved;
}

/*
 * The kernel counts the time without waiting from the last wait at real-time priority (rt.timeout, set to 0 by a wake-up
 * alone), and goes on counting where it was when the priority comes back: its next timer tick would take it again.
 */
static void forget_time(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	(void)nanosleep(&moment, NULL);
}

int ebb_scheduling_raise(void)
{
	const struct sched_param lowest = {.sched_priority = 1};
	struct rlimit limit;
	struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_RESTART};

	/* the bound first: there is no moment without it */
	if (sigaction(SIGXCPU, &action, NULL) < 0 || getrlimit(RLIMIT_RTTIME, &limit) < 0)
		return -errno;
	if (limit.rlim_cur > SLICE_US) {
		limit.rlim_cur = SLICE_US;
		if (setrlimit(RLIMIT_RTTIME, &limit) < 0)
			return -errno;
	}
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) < 0)
		return -errno;
	forget_time();
	return 0;
}

void ebb_scheduling_lower(void)
{
	(void)ordinary();
}

int ebb_scheduling_permit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_RTPRIO, &limit) < 0)
		return -errno;
	if (limit.rlim_cur >= 1)
		return 0;
	limit.rlim_cur = 1;
	if (limit.rlim_max < 1)
		limit.rlim_max = 1;
	return setrlimit(RLIMIT_RTPRIO, &limit) < 0 ? -errno : 0;
}

bool ebb_scheduling_was_lost(void)
{
	bool was = lost;

	lost = 0;
	return was;
}

bool ebb_scheduling_is_raised(void)
{
	int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;

	return policy == SCHED_RR || policy == SCHED_FIFO;
}

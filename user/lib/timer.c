/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/timer.h"

#include <errno.h>
#include <sys/timerfd.h>

#include "lib/clock.h"

int ebb_timer_arm(int fd, uint64_t at_ns)
{
	struct itimerspec when = {0};

	if (at_ns != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at_ns / EBB_NS_PER_S);
		when.it_value.tv_nsec = (long)(at_ns % EBB_NS_PER_S);
	}
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

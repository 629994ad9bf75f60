/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real time for what cannot be undone: a clock that is set far ahead is not believed before it has stayed so for a day.
 * One that is set back is, at once. Pure.
 */
#ifndef EBB_LIB_STEADY_H
#define EBB_LIB_STEADY_H

#include <stdint.h>

#define EBB_STEADY_DAY_NS (24LL * 3600 * 1000000000)

struct ebb_steady {
	int64_t offset_ns;	 /* real time minus monotonic, as it is believed; all zero: nothing is yet */
	uint64_t ahead_since_ns; /* monotonic; 0: the clock is not ahead of that */
};

/* What of @realtime_ns is believed at @now_ns (CLOCK_MONOTONIC). */
int64_t ebb_steady_time(struct ebb_steady *steady, int64_t realtime_ns, uint64_t now_ns);

#endif /* EBB_LIB_STEADY_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks, in nanoseconds. */
#ifndef EBB_LIB_CLOCK_H
#define EBB_LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

#define EBB_NS_PER_S 1000000000ULL

static inline uint64_t ebb_clock_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * EBB_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static inline int64_t ebb_clock_realtime(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)EBB_NS_PER_S + ts.tv_nsec;
}

/* Of two times of one clock; UINT64_MAX is never. */
static inline uint64_t ebb_earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

#endif /* EBB_LIB_CLOCK_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * So many lines at once, and then one each so often: for what others can cause as often as they like. Generic cell rate
 * (ITU-T I.371): one word, the time at which it will have recovered. Pure.
 */
#ifndef EBB_LIB_LIMITER_H
#define EBB_LIB_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

/* Starts as all zero. */
struct ebb_limiter {
	uint64_t full_ns;
	uint32_t suppressed; /* since the last one that was admitted */
};

/*
 * May one more go, of @burst at once and then one each @interval_ns? *@ret_suppressed: how many were
 * held back before this one.
 */
static inline bool ebb_limiter_admits(struct ebb_limiter *limiter, uint64_t now_ns, uint64_t interval_ns,
				      uint32_t burst, uint32_t *ret_suppressed)
{
	uint64_t full = limiter->full_ns > now_ns ? limiter->full_ns : now_ns;

	if (full - now_ns > (burst - 1) * interval_ns) {
		limiter->suppressed++;
		return false;
	}
	limiter->full_ns = full + interval_ns;
	*ret_suppressed = limiter->suppressed;
	limiter->suppressed = 0;
	return true;
}

#endif /* EBB_LIB_LIMITER_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A token bucket in one word: pure functions of (word, now, limit, cost).
 *
 * Generic cell rate algorithm (ITU-T I.371, virtual scheduling): the word is the
 * time at which the bucket will be full again. What is taken moves it on by the
 * time that the rate needs to bring it back; the distance from now is the debt.
 *
 *	        now        full_ns             now + burst
 *	---------|------------|--------------------|--------> time
 *	         |<-- debt -->|<-- still there --->|
 *
 * So a bucket starts full (0), is full after any idle time, and never overflows.
 * One compare-and-swap moves it, under any number of processors; what is admitted
 * between two moments is never more than burst + rate x time.
 *
 * A cost larger than the burst is admitted by a full bucket and leaves it in debt:
 * segmentation offload makes packets of up to 188 KB, which must not wait for ever.
 */
#ifndef EBB_BUCKET_H
#define EBB_BUCKET_H

#include "bpf/abi.h"
#include "bpf/atomic.h"

/* What @units cost, in ns of the rate, to the nearest. @units below 2^32. */
static inline __attribute__((always_inline)) __u64 ebb_bucket_cost(const struct ebb_limit *limit, __u64 units)
{
	__u32 shift = limit->shift & 63;

	return (units * limit->mult + ((1ULL << shift) >> 1)) >> shift;
}

enum ebb_take {
	EBB_TAKE_STRICT, /* admitted while the debt stays within the depth */
	EBB_TAKE_BORROW, /* admitted while there is a token left; the debt may end above the depth */
	EBB_TAKE_CHARGE, /* always admitted, the debt bounded by two depths */
};

#define EBB_TOOK      1U /* admitted and charged */
#define EBB_EXHAUSTED 2U /* compare-and-swap lost too often; done by add and undo */

/* What is left of the debt when @cost_ns is taken too; -1: not admitted. */
static inline __attribute__((always_inline)) __s64 ebb_bucket_after(__u64 debt_ns, __u64 cost_ns,
								    __u64 depth_ns, __u32 how)
{
	__u64 after = debt_ns + cost_ns;

	if (how == EBB_TAKE_STRICT && after > depth_ns && debt_ns)
		return -1;
	if (how == EBB_TAKE_BORROW && debt_ns >= depth_ns)
		return -1;
	if (how == EBB_TAKE_CHARGE && after > 2 * depth_ns)
		after = 2 * depth_ns;
	return (__s64)after;
}

#define EBB_TRY_REFUSED 0
#define EBB_TRY_TOOK	1
#define EBB_TRY_LOST	2 /* to another processor: once more */

/* One try. Returns the debt found << 2 | EBB_TRY_*. */
EBB_SUBPROG __u64 ebb_bucket_try(__u64 *full_ns, __u64 now_ns, __u64 cost_ns, __u64 depth_ns, __u32 how)
{
	__u64 old, debt;
	__s64 after;

	if (!full_ns)
		return EBB_TRY_REFUSED;
	old = EBB_LOAD(*full_ns);
	debt = ebb_bucket_debt(old, now_ns, depth_ns);
	after = ebb_bucket_after(debt, cost_ns, depth_ns, how);
	if (after < 0)
		return debt << 2 | EBB_TRY_REFUSED;
	if (EBB_CAS(full_ns, old, now_ns + (__u64)after) != old)
		return debt << 2 | EBB_TRY_LOST;
	return debt << 2 | EBB_TRY_TOOK;
}

/*
 * Takes @cost_ns out of a bucket of @depth_ns. Returns EBB_TOOK when it is admitted,
 * with EBB_EXHAUSTED where that took too long. *@ret_debt_ns: the debt found.
 */
static inline __attribute__((always_inline)) __u32 ebb_bucket_take(__u64 *full_ns, __u64 now_ns,
								   __u64 cost_ns, __u64 depth_ns,
								   enum ebb_take how, __u64 *ret_debt_ns)
{
	__u64 tried, debt;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		tried = ebb_bucket_try(full_ns, now_ns, cost_ns, depth_ns, how);
		*ret_debt_ns = tried >> 2;
		if ((tried & 3) != EBB_TRY_LOST)
			return (tried & 3) == EBB_TRY_TOOK ? EBB_TOOK : 0;
	}
	/* the contenders have just brought the word to the present: adding to it is exact */
	debt = ebb_bucket_debt(__sync_fetch_and_add(full_ns, cost_ns), now_ns, depth_ns);
	*ret_debt_ns = debt;
	if (ebb_bucket_after(debt, cost_ns, depth_ns, how) >= 0)
		return EBB_TOOK | EBB_EXHAUSTED;
	__sync_fetch_and_add(full_ns, (__u64)0 - cost_ns);
	return EBB_EXHAUSTED;
}

/* Gives back what was taken, where a later rule made it useless. */
static inline __attribute__((always_inline)) void ebb_bucket_refund(__u64 *full_ns, __u64 cost_ns)
{
	__sync_fetch_and_add(full_ns, (__u64)0 - cost_ns);
}

#endif /* EBB_BUCKET_H */

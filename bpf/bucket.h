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

/*
 * What @units cost, in ns of the rate, to the nearest. @units up to 2^20, whatever the
 * rate: no packet is larger.
 */
static inline __attribute__((always_inline)) __u64 ebb_bucket_cost(const struct ebb_limit *limit, __u64 units)
{
	__u32 shift = limit->shift & 63;

	return (units * limit->mult + ((1ULL << shift) >> 1)) >> shift;
}

enum ebb_take {
	EBB_TAKE_STRICT, /* admitted while the debt stays within the depth */
	EBB_TAKE_BORROW, /* admitted while there is a token left; the debt may end above the depth */
	EBB_TAKE_CHARGE, /* always admitted; does not bring the debt above two depths */
};

#define EBB_TOOK      1U /* admitted and charged */
#define EBB_EXHAUSTED 2U /* compare-and-swap lost too often; done by an add */

/* The debt, in ns, without the bound of ebb_bucket_debt(). */
static inline __attribute__((always_inline)) __u64 ebb_bucket_owed(__u64 full_ns, __u64 now_ns)
{
	return (__s64)(full_ns - now_ns) > 0 ? full_ns - now_ns : 0;
}

/*
 * The debt after @cost_ns is taken too; -1: not admitted. Who asks with a small depth
 * never makes a debt smaller that another one made with a larger depth.
 */
static inline __attribute__((always_inline)) __s64 ebb_bucket_after(__u64 owed_ns, __u64 cost_ns,
								    __u64 depth_ns, __u32 how)
{
	__u64 after = owed_ns + cost_ns;

	if (how == EBB_TAKE_STRICT && after > depth_ns && owed_ns)
		return -1;
	if (how == EBB_TAKE_BORROW && owed_ns >= depth_ns)
		return -1;
	if (how == EBB_TAKE_CHARGE && after > 2 * depth_ns)
		after = owed_ns > 2 * depth_ns ? owed_ns : 2 * depth_ns;
	return (__s64)after;
}

/* Would it be admitted? Takes nothing. */
static inline __attribute__((always_inline)) int
ebb_bucket_admits(const __u64 *full_ns, __u64 now_ns, __u64 cost_ns, __u64 depth_ns, enum ebb_take how)
{
	return ebb_bucket_after(ebb_bucket_owed(EBB_LOAD(*full_ns), now_ns), cost_ns, depth_ns, how) >= 0;
}

/*
 * The way of those that lose every compare-and-swap: adds, and takes off again what is
 * not to stay. The word is at the present, since those that they lost to brought it
 * there; one that is still a little behind our clock counts us as if we had come when
 * it says, in the middle of the calls that were under way together.
 *
 * Tolerated: one that is held up between its add and its undo for as long as a full
 * bucket lasts takes off what time has taken off already, and one cost too much is
 * admitted. It takes a lost race for that, after one more look at the word.
 */
static inline __attribute__((always_inline)) __u64 ebb_bucket_add(__u64 *full_ns, __u64 now_ns, __u64 cost_ns,
								  __u64 depth_ns, __u32 how)
{
	__u64 old = EBB_ADD(full_ns, cost_ns);
	__u64 owed = ebb_bucket_owed(old, now_ns), debt = ebb_bucket_debt(old, now_ns, depth_ns);
	__s64 after = ebb_bucket_after(owed, cost_ns, depth_ns, how);

	if (after < 0) {
		EBB_ADD(full_ns, (__u64)0 - cost_ns);
		return debt << 2 | EBB_EXHAUSTED;
	}
	if ((__u64)after < owed + cost_ns)
		EBB_ADD(full_ns, (__u64)after - owed - cost_ns);
	return debt << 2 | EBB_TOOK | EBB_EXHAUSTED;
}

/* As ebb_bucket_take(), in one number: the debt found << 2 | what it returns. */
EBB_SUBPROG __u64 ebb_bucket_try(__u64 *full_ns, __u64 now_ns, __u64 cost_ns, __u64 depth_ns, __u32 how)
{
	__u64 old, seen, debt;
	__s64 after;

	if (!full_ns)
		return 0;
	old = EBB_LOAD(*full_ns);
	for (int i = 0; i <= EBB_CAS_TRIES; i++) {
		debt = ebb_bucket_debt(old, now_ns, depth_ns);
		after = ebb_bucket_after(ebb_bucket_owed(old, now_ns), cost_ns, depth_ns, how);
		if (after < 0)
			return debt << 2;
		if (i == EBB_CAS_TRIES)
			break;
		seen = EBB_CAS(full_ns, old, now_ns + (__u64)after);
		if (seen == old)
			return debt << 2 | EBB_TOOK;
		old = seen;
	}
	return ebb_bucket_add(full_ns, now_ns, cost_ns, depth_ns, how);
}

/*
 * Takes @cost_ns out of a bucket of @depth_ns, which is above 0. Returns EBB_TOOK when
 * it is admitted, with EBB_EXHAUSTED where that took too long; a refusal leaves the word
 * as it is. *@ret_debt_ns: the debt found.
 *
 * A clock that was read before another one's take is no mistake: the word never goes back.
 */
static inline __attribute__((always_inline)) __u32 ebb_bucket_take(__u64 *full_ns, __u64 now_ns,
								   __u64 cost_ns, __u64 depth_ns,
								   enum ebb_take how, __u64 *ret_debt_ns)
{
	__u64 tried = ebb_bucket_try(full_ns, now_ns, cost_ns, depth_ns, how);

	*ret_debt_ns = tried >> 2;
	return tried & 3;
}

/* The most that is taken at once: of bytes and packets what one segmentation offload makes. */
#define EBB_MOST_BYTES	  (1U << 18)
#define EBB_MOST_PACKETS  (1U << 9)
#define EBB_MOST_CONNECTS 1U

#define EBB_BUCKET_DEPTH_NS 1000000000ULL /* no caller asks with a depth above this and above the burst */
#define EBB_BUCKET_LATE_NS  1000000000ULL /* no clock was read so long before its use */

/*
 * For who was refused. The word is time, so a debt stays when the limit is changed: an
 * hour of it is one token of 1/h, and 360,000 of 100/s. One that the limit in force
 * cannot have made is of another limit (or of one read while it was written): what is
 * left of it is an empty bucket. @most_units are taken at once; @strict: by EBB_TAKE_STRICT only.
 */
static inline __attribute__((always_inline)) void
ebb_bucket_forgive(__u64 *full_ns, __u64 now_ns, const struct ebb_limit *limit, __u32 most_units, int strict)
{
	__u64 old = EBB_LOAD(*full_ns), burst_ns = EBB_LOAD(limit->burst_ns), most = burst_ns;

	/* a charge goes to two depths */
	if (!strict)
		most = 2 * (burst_ns > EBB_BUCKET_DEPTH_NS ? burst_ns : EBB_BUCKET_DEPTH_NS);
	if (ebb_bucket_owed(old, now_ns) <= most + ebb_bucket_cost(limit, most_units) + EBB_BUCKET_LATE_NS)
		return;
	/* lost: another one did it, or the next that is refused will */
	(void)EBB_CAS(full_ns, old, now_ns + burst_ns);
}

/*
 * Gives back what was taken, where a later rule made it useless; at once, since what time
 * has brought back meanwhile must not come back twice.
 */
static inline __attribute__((always_inline)) void ebb_bucket_refund(__u64 *full_ns, __u64 cost_ns)
{
	EBB_ADD(full_ns, (__u64)0 - cost_ns);
}

#endif /* EBB_BUCKET_H */

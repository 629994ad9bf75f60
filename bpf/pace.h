/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How fast each connection of a limited gate may send, so that all together use the
 * rate and no more: pure functions.
 *
 * One number for the gate, the share, caps every connection (SO_MAX_PACING_RATE).
 * Those that need less than the share leave the rest to the others, so one share for
 * all is max-min fair. It is found by watching the debt of the byte bucket, which is
 * the integral of what was sent above the rate:
 *
 *	debt falls, or none	    the share grows: somebody stopped, or needs less
 *	debt rises		    the share shrinks: somebody began
 *	debt stays at the target    right
 *
 * a proportional-integral controller with the bucket as its integrator. Once there is
 * no debt although the share has grown to twice the rate, the limit is not reached,
 * and nobody is paced. When debt builds up again the share begins at rate / senders.
 *
 *	0      target              3/4      depth
 *	|---------|-----------------|---------|--------  debt
 *	   grow        shrink         <= fair    drop
 */
#ifndef EBB_PACE_H
#define EBB_PACE_H

#include "bpf/abi.h"
#include "bpf/atomic.h"

#define EBB_PACE_EPOCH_NS	  (1ULL << 26) /* 67 ms: how often the share is adjusted */
#define EBB_SENDER_SHIFT	  30 /* 1.07 s: for so long at least one who sent counts as sending */
#define EBB_PACE_MAX		  4000000000ULL /* bytes/s: SO_MAX_PACING_RATE has 32 bits here */
#define EBB_PACE_DEPTH_NS	  250000000ULL	/* least depth of a bucket for TCP */
#define EBB_PACE_DEPTH_ADOPTED_NS 1000000000ULL /* and for what cannot be paced */
#define EBB_PACE_EARLY_RATE	  1000000ULL	/* bytes/s: below, a first window is much of the bucket */

#define EBB_PACE_EPOCH_MAX_NS (1ULL << 31)
#define EBB_PACE_GAIN	      256U /* in 1/1024: an epoch takes a quarter of the step */

/* Where the debt is steered to: above zero, so that no capacity is lost, below what drops. */
static inline __attribute__((always_inline)) __u64 ebb_pace_target(__u64 depth_ns)
{
	return (depth_ns < EBB_PACE_DEPTH_NS ? depth_ns : EBB_PACE_DEPTH_NS) / 4;
}

struct ebb_pace_facts {
	__u64 share;	/* now; 0: nobody is paced */
	__u64 rate;	/* of the gate, bytes/s */
	__u64 senders;	/* that sent lately, at least 1 */
	__u64 debt_ns;	/* of the bucket now */
	__u64 last_ns;	/* and when the share was last adjusted */
	__u64 since_ns; /* that time ago */
	__u64 lost_ns;	/* of that time the bucket was full */
	__u64 depth_ns; /* of the bucket */
};

/*
 * The time from one adjustment to the next: at least that between two packets of one
 * connection, since before its next packet none can follow.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_epoch(__u64 share, __u64 packet_bytes)
{
	__u64 interval = share ? packet_bytes * 2000000000ULL / share : 0;

	if (interval < EBB_PACE_EPOCH_NS)
		return EBB_PACE_EPOCH_NS;
	return interval < EBB_PACE_EPOCH_MAX_NS ? interval : EBB_PACE_EPOCH_MAX_NS;
}

/* Has something happened that cannot wait for the end of the epoch? */
static inline __attribute__((always_inline)) int
ebb_pace_is_urgent(__u64 share, __u64 debt_ns, __u64 last_ns, __u64 lost_ns, __u64 since_ns, __u64 depth_ns)
{
	if (!share)
		return debt_ns > depth_ns / 8;
	if (since_ns < EBB_PACE_EPOCH_NS / 4)
		return 0;
	return (debt_ns > depth_ns / 4 * 3 && debt_ns > last_ns) || lost_ns > depth_ns / 4;
}

/*
 * What was sent since the last adjustment, in 1/1024 of the rate: the debt that grew,
 * less what went, and what the bucket was full.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_use(const struct ebb_pace_facts *f)
{
	__u64 in = f->since_ns + f->debt_ns, out = f->last_ns + f->lost_ns, use;

	use = in > out ? (in - out) * 1024 / f->since_ns : 0;
	return use < 64 ? 64 : use < 16384 ? use : 16384;
}

/* By how much the share changes, in 1/1024: above 1024 it grows. */
static inline __attribute__((always_inline)) __u64 ebb_pace_factor(const struct ebb_pace_facts *f)
{
	__u64 target = ebb_pace_target(f->depth_ns), use = ebb_pace_use(f), factor = 1024, gain, part;

	/* all of the step would swing, since a share takes time to act; much too little grows faster */
	gain = use < 512 ? 2 * EBB_PACE_GAIN : EBB_PACE_GAIN;
	/* share / use, gain times: (1 - gain) + gain / use */
	factor = 1024 - gain + gain * 1024 / use;
	if (f->debt_ns > target) {
		part = (f->debt_ns - target) * (EBB_PACE_GAIN / 8) / f->depth_ns;
		if (part > EBB_PACE_GAIN)
			part = EBB_PACE_GAIN;
		return factor > part + 128 ? factor - part : 128;
	}
	return factor + (target - f->debt_ns) * (EBB_PACE_GAIN / 8) / f->depth_ns;
}

/*
 * Connections that were begun together would go on sending at the same moments; a pace
 * that is up to 1/32 off the share, each by its own @salt, lets them drift apart.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_dither(__u64 share, __u32 salt)
{
	return share - share / 32 + share / 16 * (salt & 15) / 15;
}

/* The share from now on, bytes/s; 0: nobody is paced. */
static inline __attribute__((always_inline)) __u64 ebb_pace_next(const struct ebb_pace_facts *f)
{
	__u64 fair = f->rate / (f->senders ? f->senders : 1), share = f->share, least;

	if (!share)
		return f->debt_ns > f->depth_ns / 8 ? fair : 0;
	/* a share is at most EBB_PACE_MAX: the product fits */
	share = share * ebb_pace_factor(f) / 1024;
	if (f->debt_ns > f->depth_ns / 4 * 3 && share > fair)
		share = fair;
	/*
	 * Who is given much too little hears of more only after the next packet, and that is
	 * far away. While capacity is lost nobody gets less than what all senders would get.
	 */
	least = f->lost_ns > f->depth_ns / 4 ? fair : fair / 4 * 3;
	if (share < least)
		share = least;
	if (share > 2 * f->rate || share > EBB_PACE_MAX)
		return 0;
	return share ? share : 1;
}

/*
 * Who sends: senders is one word, epoch:32 | in it:16 | in the one before:16. A
 * connection counts once an epoch, by its own @io_epoch.
 */
static inline __attribute__((always_inline)) void ebb_sender_count(__u64 *senders, __u32 *io_epoch,
								   __u64 now_ns)
{
	__u32 epoch = (__u32)(now_ns >> EBB_SENDER_SHIFT);
	__u64 old, in_it, before;
	__u32 then;

	if (*io_epoch == epoch)
		return;
	*io_epoch = epoch;
	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(*senders);
		then = (__u32)(old >> 32);
		in_it = (old >> 16) & 0xffff;
		before = old & 0xffff;
		if (then != epoch) {
			before = then + 1 == epoch ? in_it : 0;
			in_it = 0;
		}
		if (in_it < 0xffff)
			in_it++;
		if (EBB_CAS(senders, old, (__u64)epoch << 32 | in_it << 16 | before) == old)
			return;
	}
	/* lost to others that count: one too few for half a second */
}

/* At least 1. */
static inline __attribute__((always_inline)) __u64 ebb_sender_number(__u64 senders, __u64 now_ns)
{
	__u32 epoch = (__u32)(now_ns >> EBB_SENDER_SHIFT), then = (__u32)(senders >> 32);
	__u64 in_it = (senders >> 16) & 0xffff, before = senders & 0xffff, number = 0;

	if (then == epoch)
		number = in_it > before ? in_it : before;
	else if (then + 1 == epoch)
		number = in_it;
	return number ? number : 1;
}

#endif /* EBB_PACE_H */

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
#define EBB_PACE_DEPTH_ADOPTED_NS 1000000000ULL /* and for what was adopted and cannot be paced */
#define EBB_PACE_EARLY_RATE	  1000000ULL	/* bytes/s: below, a first window is much of the bucket */

#define EBB_PACE_EPOCH_MAX_NS (1ULL << 31)
#define EBB_PACE_STEER_NS     500000000ULL /* the debt is brought to its target in so much time */

/*
 * Bytes/s of a limit of @per_hour units of @unit_bytes each; at least 1, since 0 would be
 * no pace, and what is slower than a packet a second is a limit too.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_rate(__u64 per_hour, __u64 unit_bytes)
{
	__u64 rate = per_hour * unit_bytes / 3600;

	return rate ? rate : 1;
}

/* Where the debt is steered to: above zero, so that no capacity is lost, below what drops. */
static inline __attribute__((always_inline)) __u64 ebb_pace_target(__u64 depth_ns)
{
	return (depth_ns < EBB_PACE_DEPTH_NS ? depth_ns : EBB_PACE_DEPTH_NS) / 4;
}

struct ebb_pace_facts {
	__u64 share; /* in force until now; 0: nobody is paced */
	__u64 base;
	__u64 rate;	/* of the gate, bytes/s */
	__u64 senders;	/* that sent lately, at least 1 */
	__u64 debt_ns;	/* of the bucket now */
	__u64 last_ns;	/* and when the share was last adjusted */
	__u64 since_ns; /* that time ago */
	__u64 lost_ns;	/* of that time the bucket was full */
	__u64 depth_ns; /* of the bucket */
	__u64 epoch_ns; /* from one adjustment to the next */
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
static inline __attribute__((always_inline)) int ebb_pace_is_urgent(const struct ebb_pace_facts *f)
{
	if (!f->share)
		return f->debt_ns > f->depth_ns / 8;
	if (f->since_ns < EBB_PACE_EPOCH_NS / 4)
		return 0;
	return (f->debt_ns > f->depth_ns / 4 * 3 && f->debt_ns > f->last_ns) || f->lost_ns > f->depth_ns / 4;
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

/*
 * Connections that were begun together would go on sending at the same moments; a pace
 * that is up to 1/32 off the share, each by its own @salt, lets them drift apart.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_dither(__u64 share, __u32 salt)
{
	return share - share / 32 + share / 16 * (salt & 15) / 15;
}

/*
 * The base from now on, bytes/s; 0: nobody is paced. With a share of which a use of
 * 1/2 came, twice the share would be right: the base goes a part of the way there.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_base(const struct ebb_pace_facts *f)
{
	__u64 fair = f->rate / (f->senders ? f->senders : 1), base = f->base, use, right, least;

	if (!f->share)
		return f->debt_ns > f->depth_ns / 8 ? fair : 0;
	if (f->since_ns >= f->epoch_ns) {
		use = ebb_pace_use(f);
		/* a share is below 2^32: the product fits */
		right = f->share * 1024 / use;
		/* what is not used is lost, what is too much is paid back: up faster than down */
		base = right > base && f->debt_ns < ebb_pace_target(f->depth_ns) ? (base + right) / 2
										 : (3 * base + right) / 4;
	}
	if (f->debt_ns > f->depth_ns / 4 * 3 && base > fair)
		base = fair;
	/*
	 * Who is given much too little hears of more only after the next packet, and that is
	 * far away. While capacity is lost nobody gets less than what all senders would get.
	 */
	least = f->lost_ns > f->depth_ns / 4 ? fair : fair / 4 * 3;
	if (base < least)
		base = least;
	if (base > 2 * f->rate || base > EBB_PACE_MAX)
		return 0;
	return base ? base : 1;
}

/*
 * The share: the base, less or more, so that the debt comes to its target in a time in
 * which those that send have heard of it several times.
 */
static inline __attribute__((always_inline)) __u64 ebb_pace_share(__u64 base, const struct ebb_pace_facts *f)
{
	__u64 target = ebb_pace_target(f->depth_ns), time = 3 * f->epoch_ns, part, share;

	if (!base)
		return 0;
	if (time < EBB_PACE_STEER_NS)
		time = EBB_PACE_STEER_NS;
	if (f->debt_ns > target) {
		part = (f->debt_ns - target) * 1024 / time;
		return base - base * (part < 256 ? part : 256) / 1024;
	}
	part = (target - f->debt_ns) * 1024 / time;
	share = base + base * (part < 128 ? part : 128) / 1024;
	return share < EBB_PACE_MAX ? share : EBB_PACE_MAX;
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
		/* our clock was read before another one's */
		if ((__s32)(then - epoch) > 0)
			return;
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

#define EBB_PACE_MOST_LOST_NS 1000000000ULL

/* Before a bucket that is full again at @full_ns is asked: has it been full for a while? */
static inline __attribute__((always_inline)) void ebb_pace_note_lost(struct ebb_gate *gate, __u64 full_ns,
								     __u64 now_ns)
{
	__u64 lost = now_ns - full_ns;

	if (!EBB_LOAD(gate->share) || !full_ns || (__s64)lost <= 0)
		return;
	if (lost > EBB_PACE_MOST_LOST_NS)
		lost = EBB_PACE_MOST_LOST_NS;
	EBB_ADD(&gate->share_lost_us, (__u32)(lost / 1000));
}

/*
 * After a packet of @packet_bytes was paid for: the share follows the debt of the bucket.
 * @rate: of the gate, bytes/s. Of those that come at once one adjusts it.
 */
static inline __attribute__((always_inline)) void ebb_pace_steer(struct ebb_gate *gate, __u64 rate,
								 __u64 packet_bytes, __u64 now_ns,
								 __u64 debt_ns, __u64 depth_ns)
{
	__u64 at = EBB_LOAD(gate->share_at_ns), base;
	struct ebb_pace_facts f;

	f.since_ns = now_ns - at;
	if ((__s64)f.since_ns <= 0)
		return;
	f.share = EBB_LOAD(gate->share);
	f.base = EBB_LOAD(gate->share_base);
	f.epoch_ns = ebb_pace_epoch(f.share, packet_bytes);
	f.debt_ns = debt_ns;
	f.depth_ns = depth_ns;
	f.last_ns = EBB_LOAD(gate->share_debt_us) * 1000ULL;
	f.lost_ns = EBB_LOAD(gate->share_lost_us) * 1000ULL;
	if (f.since_ns < f.epoch_ns && !ebb_pace_is_urgent(&f))
		return;
	if (EBB_CAS(&gate->share_at_ns, at, now_ns) != at)
		return;
	f.rate = rate;
	f.senders = ebb_sender_number(EBB_LOAD(gate->senders), now_ns);
	f.lost_ns = EBB_EXCHANGE(&gate->share_lost_us, 0) * 1000ULL;
	EBB_STORE(gate->share_debt_us, (__u32)(debt_ns / 1000));
	base = ebb_pace_base(&f);
	EBB_STORE(gate->share_base, (__u32)base);
	EBB_STORE(gate->share, (__u32)ebb_pace_share(base, &f));
}

#endif /* EBB_PACE_H */

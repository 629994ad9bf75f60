/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an operator said about a gate and how long it holds, and which mode is in force
 * then. Functions of (policy, now): the kernel ends what has an end by itself, whether or
 * not an agent lives.
 */
#ifndef EBB_MODE_H
#define EBB_MODE_H

#include "bpf/abi.h"
#include "bpf/atomic.h"

/* Does what has its end at @until_ns (0: none) still hold? */
static inline __attribute__((always_inline)) int ebb_still_holds(__u64 until_ns, __u64 now_ns)
{
	return !until_ns || now_ns < until_ns;
}

/*
 * enum ebb_override. Two words: who reads while one order takes the place of another may
 * meet the old state with the new end, for that one connection or packet.
 */
static inline __attribute__((always_inline)) __u32 ebb_override_in_force(const struct ebb_policy *policy,
									 __u64 now_ns)
{
	__u32 state = EBB_LOAD(policy->override_state);

	return state && ebb_still_holds(EBB_LOAD(policy->override_until_ns), now_ns) ? state
										     : EBB_OVERRIDE_AUTO;
}

/* 0: none, else 1 + enum ebb_mode. */
static inline __attribute__((always_inline)) __u32 ebb_mode_by_hand(const struct ebb_policy *policy,
								    __u64 now_ns)
{
	__u32 mode = EBB_LOAD(policy->mode_by_hand);

	return mode && ebb_still_holds(EBB_LOAD(policy->mode_until_ns), now_ns) ? mode : 0;
}

/*
 * enum ebb_mode: by hand for the node, by hand for the destination, as configured for the
 * destination, which is the global one where it says nothing (ruling 14). @node: the policy of
 * ~other, which itself is never refused: callers ask only about others.
 */
static inline __attribute__((always_inline)) __u32
ebb_mode_in_force(const struct ebb_policy *policy, const struct ebb_policy *node, __u64 now_ns)
{
	__u32 by_hand = ebb_mode_by_hand(node, now_ns);

	if (!by_hand)
		by_hand = ebb_mode_by_hand(policy, now_ns);
	return by_hand ? by_hand - 1 : EBB_LOAD(policy->mode);
}

#endif /* EBB_MODE_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The policy of one workload: where an operator said something about it alone (core/by_hand.h makes it). */
#ifndef EBB_OWN_H
#define EBB_OWN_H

#include "bpf/maps.h"
#include "bpf/mode.h"

/*
 * The policy of a pair: its own where an operator gave it one, else its destination's. What of it
 * is over is over by itself; the destination's holds again when all of it is.
 */
static __always_inline struct ebb_policy *ebb_policy_for(struct ebb_policy *policy, __u32 pair_slot,
							 __u32 pair_epoch)
{
	struct ebb_own *own;

	if (!(policy->asks & EBB_ASK_OWN))
		return policy;
	own = bpf_map_lookup_elem(&ebb_own_v2, &pair_slot);
	if (!own || own->pair_epoch != pair_epoch)
		return policy;
	return !own->until_ns || bpf_ktime_get_ns() < own->until_ns ? &own->policy : policy;
}

#endif /* EBB_OWN_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is done what a gate answers, or only counted? Asked only when something would be refused or dropped. */
#ifndef EBB_ENFORCE_H
#define EBB_ENFORCE_H

#include "bpf/mode.h"
#include "bpf/route.h"

/* The policy of ~other, in which stands what holds for the node. */
static __always_inline const struct ebb_policy *ebb_node_policy(void)
{
	__u32 other = EBB_SLOT_OTHER;

	return bpf_map_lookup_elem(&ebb_policy_v2, &other);
}

static __always_inline int ebb_is_enforced(const struct ebb_route *route, __u64 now_ns)
{
	const struct ebb_policy *node = ebb_node_policy();

	/* ~other is many destinations: never refused */
	if (!node || route->dst_slot == EBB_SLOT_OTHER)
		return 0;
	return ebb_mode_in_force(route->policy, node, now_ns) == EBB_MODE_ENFORCE;
}

#endif /* EBB_ENFORCE_H */

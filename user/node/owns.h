/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policy a gate obeys: its destination's, or that of one workload, where an
 * operator said something about it (core/by_hand.h says how that one is made).
 *
 * Those who write hold the lock of kernel/maps.h.
 */
#ifndef EBB_NODE_OWNS_H
#define EBB_NODE_OWNS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"

/* A copy of the policy in force at @gate of @dst. */
void ebb_gate_policy(const struct ebb_view *view, uint32_t dst, uint32_t gate, uint64_t now_ns,
		     struct ebb_policy *ret_policy);

/* The policy of its own that @pair has; false: none, or its time is over. */
bool ebb_own_find(const struct ebb_view *view, uint32_t pair, uint64_t now_ns, struct ebb_own *ret_own);

/* Does @pair have one, be it over? Such a pair is not idle while its workload is there. */
bool ebb_own_stands(const struct ebb_view *view, uint32_t pair);

/* Takes that out: the workload is gone. */
void ebb_own_forget(const struct ebb_view *view, uint32_t pair);

/*
 * After the policy of @dst was written: makes those of its workloads again, without what has
 * come to its end. Costs nothing where there are none. 0, or the first negative errno of the
 * map; what could not be written stays as it was.
 */
int ebb_owns_refresh(const struct ebb_view *view, uint32_t dst, uint64_t now_ns);

/* Writes @own for @pair, or removes it where nothing is said any more. 0 or a negative errno of the map. */
int ebb_own_write(const struct ebb_view *view, uint32_t pair, const struct ebb_own *own);

/*
 * Takes out everywhere what has come to its end: orders for destinations, for the node, and for
 * workloads. The kernel has ended them already. To be called once in a while. Returns how
 * many ended, or a negative errno.
 */
int ebb_by_hand_upkeep(const struct ebb_view *view, uint64_t now_ns);

/* EBB_ASK_* of all workloads that have a policy of their own. */
uint32_t ebb_owns_asks(const struct ebb_view *view);

#endif /* EBB_NODE_OWNS_H */

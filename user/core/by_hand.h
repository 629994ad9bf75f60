/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators say by hand: overrides of the breaker, of the mode, and limits
 * (core/limit.h); for a destination, or for one workload of it. Pure.
 *
 * Those who write policies hold the lock of kernel/maps.h. The kernel reads meanwhile: each
 * order takes the old one out first, so that a writer who is killed in between leaves a
 * policy that is whole, and obeyed is the old order, none, or the new one.
 *
 * The policy of one workload (struct ebb_own) is its destination's with what was said for
 * this workload alone laid over it. So whoever has written a policy makes those of
 * its workloads again: ebb_owns_refresh() of node/owns.h.
 */
#ifndef EBB_CORE_BY_HAND_H
#define EBB_CORE_BY_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/*
 * Copies all that was said by hand from @place, as it stands in the map, into @io_policy, which
 * is going to take its place; and makes @io_policy->asks true. For whoever writes what is
 * configured: it outlives the agent and each change of the configuration.
 */
void ebb_by_hand_keep(struct ebb_policy *io_policy, const struct ebb_policy *place);

/* enum ebb_override that holds now. */
uint32_t ebb_override_of(const struct ebb_policy *policy, uint64_t now_ns);
/* What was said about the mode, and holds: 0, or 1 + enum ebb_mode. */
uint32_t ebb_mode_said(const struct ebb_policy *policy, uint64_t now_ns);
/*
 * The mode in force at a gate of @dst whose policy is @policy, by the rule of bpf/mode.h; @node:
 * the policy of ~other, which itself always observes.
 */
uint32_t ebb_mode_of(const struct ebb_policy *policy, const struct ebb_policy *node, uint32_t dst,
		     uint64_t now_ns);

/* What of it holds now: EBB_SAID_*. */
uint32_t ebb_by_hand_said(const struct ebb_policy *policy, uint64_t now_ns);

/* Takes out what has come to its end, which saves the kernel the look. Returns what it was: EBB_SAID_*. */
uint32_t ebb_by_hand_end(struct ebb_policy *io_policy, uint64_t now_ns);

/* Nothing was said: for a slot that gets a new owner. */
void ebb_by_hand_forget(struct ebb_policy *io_policy);

/* @state: enum ebb_override, AUTO takes it back. @until_ns 0: no end. */
void ebb_override_give(struct ebb_policy *io_policy, uint32_t state, uint64_t until_ns, uint32_t uid);

/* @said: 1 + enum ebb_mode, 0 takes it back. */
void ebb_mode_give(struct ebb_policy *io_policy, uint32_t said, uint64_t until_ns, uint32_t uid);

/* When a limit given by hand ends (0: never), and who gave it. @given: 1 << enum ebb_limit_kind, or EBB_GIVEN_CONCURRENT. */
uint64_t ebb_limit_until(const struct ebb_policy *policy, uint32_t given);
uint32_t ebb_limit_uid(const struct ebb_policy *policy, uint32_t given);

/* ------------------------------------------------------- one workload -- */

/* Makes io_own->policy and until_ns again from @base, its destination's policy, and what was said for it alone. */
void ebb_own_lay_over(struct ebb_own *io_own, const struct ebb_policy *base);

/*
 * The same as for a destination; afterwards the rest is as in @base. An @io_own of which nothing
 * is left (said 0) is to be removed.
 */
void ebb_own_give_override(struct ebb_own *io_own, const struct ebb_policy *base, uint32_t state,
			   uint64_t until_ns, uint32_t uid);
void ebb_own_give_mode(struct ebb_own *io_own, const struct ebb_policy *base, uint32_t said,
		       uint64_t until_ns, uint32_t uid);
/* @change NULL takes all limits back. */
void ebb_own_give_limits(struct ebb_own *io_own, const struct ebb_policy *base,
			 const struct ebb_limits *change, uint64_t until_ns, uint32_t uid, uint64_t now_ns);

/* Takes out what has come to its end and lays the rest over @base. True: something had ended. */
bool ebb_own_end(struct ebb_own *io_own, const struct ebb_policy *base, uint64_t now_ns);

/* Does it speak for this pair now? Else its destination's policy holds. */
bool ebb_own_holds(const struct ebb_own *own, uint32_t pair_epoch, uint64_t now_ns);

#endif /* EBB_CORE_BY_HAND_H */

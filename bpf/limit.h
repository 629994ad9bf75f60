/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which limit of a policy is in force: what an operator gave by hand, while it
 * lasts, else what is configured. Pure.
 */
#ifndef EBB_LIMIT_H
#define EBB_LIMIT_H

#include "bpf/abi.h"
#include "bpf/atomic.h"
#include "bpf/mode.h"

/* Is the limit of @given (1 << enum ebb_limit_kind, or EBB_GIVEN_CONCURRENT) an operator's? */
static inline __attribute__((always_inline)) int ebb_limit_by_hand(const struct ebb_policy *policy,
								   __u32 given, __u64 now_ns)
{
	if (!(EBB_LOAD(policy->by_hand.given) & given))
		return 0;
	return ebb_still_holds(EBB_LOAD(policy->wide) & given ? EBB_LOAD(policy->wide_until_ns)
							      : EBB_LOAD(policy->by_hand_until_ns),
			       now_ns);
}

/*
 * @kind is a constant below EBB_LIMIT_MAX. @leased: what the agent said is in force, as
 * it is while it lives; what is given by hand does not ask for that. NULL: no limit.
 */
static inline __attribute__((always_inline)) const struct ebb_limit *
ebb_limit_in_force(const struct ebb_policy *policy, __u32 kind, __u64 now_ns, int leased)
{
	const struct ebb_limit *limit = &policy->limits.bucket[kind];

	if (ebb_limit_by_hand(policy, 1U << kind, now_ns))
		limit = &policy->by_hand.bucket[kind];
	else if (!leased)
		return (const struct ebb_limit *)0;
	return EBB_LOAD(limit->per_hour) ? limit : (const struct ebb_limit *)0;
}

/* The same for the cap; 0: no limit. */
static inline __attribute__((always_inline)) __u32 ebb_concurrent_in_force(const struct ebb_policy *policy,
									   __u64 now_ns, int leased)
{
	if (ebb_limit_by_hand(policy, EBB_GIVEN_CONCURRENT, now_ns))
		return EBB_LOAD(policy->by_hand.concurrent);
	return leased ? EBB_LOAD(policy->limits.concurrent) : 0;
}

#endif /* EBB_LIMIT_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits as people write them, and as the kernel wants them. Pure.
 */
#ifndef EBB_CORE_LIMIT_H
#define EBB_CORE_LIMIT_H

#include <stdint.h>

#include "bpf/abi.h"
#include "lib/why.h"

#define EBB_LIMIT_BYTES_MAX 1000000000000ULL /* bytes/s: 1 TB/s */

#define EBB_LIMIT_BURST_MAX_NS 604800000000000ULL /* a full bucket lasts 7 days at most */

/*
 * A bucket of @burst units that refills at @per_hour units an hour; @per_hour 0 is no
 * limit. -ERANGE: the burst is 0, or lasts too long.
 */
int ebb_limit_make(uint64_t per_hour, uint64_t burst, struct ebb_limit *ret_limit);

/* The units that are left now, as metrics show them. */
double ebb_limit_available(const struct ebb_limit *limit, uint64_t full_ns, uint64_t now_ns);

/* Units per second. */
double ebb_limit_rate(const struct ebb_limit *limit);

/*
 * What holds at a gate now, by the rule of bpf/limit.h: what an operator gave by hand, while it
 * lasts, else what is configured. ret_limits->given: which of these are an operator's. A bucket
 * with per_hour 0, and concurrent 0, is no limit.
 */
void ebb_limits_in_force(const struct ebb_policy *policy, uint64_t now_ns, struct ebb_limits *ret_limits);

/* Keeps policy->asks true; to be called after each change of its limits. */
void ebb_limits_summarize(struct ebb_policy *io_policy);

#endif /* EBB_CORE_LIMIT_H */

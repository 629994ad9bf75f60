/* SPDX-License-Identifier: Apache-2.0 */
/* Reading histograms: quantiles and cumulative counts. The layout is in bpf/abi.h. */
#ifndef EBB_CORE_HIST_H
#define EBB_CORE_HIST_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

/* Number of values counted. */
uint64_t ebb_hist_count(const struct ebb_hist *h);

/* The @q quantile (0 to 1) in ns, interpolated within its bucket; 0 when empty. */
uint64_t ebb_hist_quantile(const struct ebb_hist *h, double q);

/* The same of the coarse buckets that a pair has of its turns (ebb_turn_bucket()): right to a factor of two. */
uint64_t ebb_turn_quantile(const uint64_t buckets[EBB_TURN_BUCKETS], double q);

/* Number of values below @bound_ns, which must be a bucket's lower bound. */
uint64_t ebb_hist_below(const struct ebb_hist *h, uint64_t bound_ns);

/*
 * The bounds that /metrics shows, in ns: eleven, each four times the one before,
 * from 64 us to 67.108864 s; the twelfth is +Inf. All are exact bucket bounds.
 */
#define EBB_HIST_SHOWN 11
extern const uint64_t ebb_hist_shown_ns[EBB_HIST_SHOWN];

#endif /* EBB_CORE_HIST_H */

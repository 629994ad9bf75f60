/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what is configured for a destination over what was configured before, while the kernel
 * obeys it. Pure.
 *
 * Who reads meanwhile may meet some of the old settings and some of the new. The order sees to
 * it that none of that refuses what both would let through: a mode that becomes observe
 * comes first and one that becomes enforce last, and a limit that changes is none
 * in between.
 */
#ifndef EBB_CORE_CONFIGURE_H
#define EBB_CORE_CONFIGURE_H

#include "bpf/abi.h"

/*
 * All of @settings but what operators say by hand, and EBB_ASK_KEPT, which stay as they are in @place.
 * What is the same already is not written. The caller holds the lock of kernel/maps.h, and makes
 * the policies of single workloads again.
 */
void ebb_policy_configure(struct ebb_policy *place, const struct ebb_policy *settings);

#endif /* EBB_CORE_CONFIGURE_H */

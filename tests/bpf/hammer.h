/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What one run of the program of hammer.bpf.c is told, and what it says. Both sides include it. */
#ifndef EBB_TESTS_BPF_HAMMER_H
#define EBB_TESTS_BPF_HAMMER_H

#include "bpf/abi.h"

#define HAMMER_ROUNDS 64

struct hammer_run {
	struct ebb_limit limit;
	__u64 units;
	__u64 now_ns; /* 0: the clock, read anew for each */
	__u32 how;    /* enum ebb_take */
	__u32 rounds; /* up to HAMMER_ROUNDS */
	__u64 debt_ns;
	__u32 took; /* of the last one */
	__u32 taken;
	__u32 exhausted;
	__u32 pad;
};

#endif /* EBB_TESTS_BPF_HAMMER_H */

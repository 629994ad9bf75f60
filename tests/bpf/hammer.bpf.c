// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bpf/bucket.h in the kernel, on a word that all runs share. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/bucket.h"
#include "tests/bpf/hammer.h"

__u64 word;

SEC("syscall")
int test_hammer(struct hammer_run *run)
{
	__u64 cost_ns = ebb_bucket_cost(&run->limit, run->units), debt_ns = 0;
	__u32 taken = 0, exhausted = 0, took = 0;

	for (__u32 i = 0; i < HAMMER_ROUNDS && i < run->rounds; i++) {
		took = ebb_bucket_take(&word, run->now_ns ? run->now_ns : bpf_ktime_get_ns(), cost_ns,
				       run->limit.burst_ns, run->how, &debt_ns);
		taken += (took & EBB_TOOK) != 0;
		exhausted += (took & EBB_EXHAUSTED) != 0;
	}
	run->debt_ns = debt_ns;
	run->took = took;
	run->taken = taken;
	run->exhausted = exhausted;
	return 0;
}

SEC("syscall")
int test_forgive(struct hammer_run *run)
{
	ebb_bucket_forgive(&word, run->now_ns, &run->limit, (__u32)run->units, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/bench/gate.bpf.c notes of a connection, and tests/bench/gate.c reads. */
#ifndef EBB_TESTS_BENCH_GATE_H
#define EBB_TESTS_BENCH_GATE_H

enum gate_hook {
	GATE_CONNECT4,
	GATE_SOCKOPS,
	GATE_RELEASE,
	GATE_HOOKS,
};

/* By the cookie of the socket. */
struct gate_spent {
	__u64 ns[GATE_HOOKS]; /* between the two looks at the clock, of all runs */
	__u32 runs[GATE_HOOKS];
	__u32 lost;	 /* runs that another one came into: they have no time */
	__u32 disturbed; /* runs of connect4 and release that an interrupt came into */
	__u32 pad;
};
_Static_assert(sizeof(struct gate_spent) == 48, "read by user space");

#endif /* EBB_TESTS_BENCH_GATE_H */

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A program before and a program after whatever else is attached at a hook: the kernel runs
 * those of a cgroup one after the other, in the order in which they were attached, on one
 * processor. The first looks at the clock last, the second looks at it first; so what lies
 * between is the kernel's loop and the program in the middle, and nothing of ours.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "tests/bench/gate.h"

/* A run that has begun on this processor. */
struct begun {
	__u64 ctx; /* whose; 0: none */
	__u64 interrupts;
	__u64 ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GATE_HOOKS);
	__type(key, __u32);
	__type(value, struct begun);
} bench_begun SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} bench_irqs SEC(".maps");

/* Emptied after each block. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct gate_spent);
} bench_spent SEC(".maps");

static __always_inline int before(void *ctx, __u32 hook)
{
	__u32 zero = 0, key = hook; /* a constant stays one where nobody has its address */
	struct begun *begun = bpf_map_lookup_elem(&bench_begun, &key);
	const __u64 *interrupts = bpf_map_lookup_elem(&bench_irqs, &zero);

	if (!begun || !interrupts)
		return 1;
	begun->ctx = (__u64)ctx;
	begun->interrupts = *interrupts;
	begun->ns = bpf_ktime_get_ns();
	return 1;
}

static __always_inline int after(void *ctx, __u32 hook, __u64 now)
{
	__u32 zero = 0, key = hook; /* a constant stays one where nobody has its address */
	struct begun *begun = bpf_map_lookup_elem(&bench_begun, &key);
	const __u64 *interrupts = bpf_map_lookup_elem(&bench_irqs, &zero);
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct gate_spent *spent = bpf_map_lookup_elem(&bench_spent, &cookie);

	if (!spent) {
		struct gate_spent none = {};

		(void)bpf_map_update_elem(&bench_spent, &cookie, &none, BPF_NOEXIST);
		spent = bpf_map_lookup_elem(&bench_spent, &cookie);
	}
	if (!begun || !interrupts || !spent)
		return 1;
	/* in softirq another run of the hook can come between, and takes its place */
	if (begun->ctx != (__u64)ctx) {
		__sync_fetch_and_add(&spent->lost, 1);
		return 1;
	}
	begun->ctx = 0;
	__sync_fetch_and_add(&spent->ns[hook], now - begun->ns);
	__sync_fetch_and_add(&spent->runs[hook], 1);
	if (hook != GATE_SOCKOPS && *interrupts != begun->interrupts)
		__sync_fetch_and_add(&spent->disturbed, 1);
	return 1;
}

SEC("cgroup/connect4")
int before_connect4(struct bpf_sock_addr *ctx)
{
	return before(ctx, GATE_CONNECT4);
}

SEC("cgroup/connect4")
int after_connect4(struct bpf_sock_addr *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	return after(ctx, GATE_CONNECT4, now);
}

SEC("sockops")
int before_sockops(struct bpf_sock_ops *ctx)
{
	return before(ctx, GATE_SOCKOPS);
}

SEC("sockops")
int after_sockops(struct bpf_sock_ops *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	return after(ctx, GATE_SOCKOPS, now);
}

SEC("cgroup/sock_release")
int before_release(struct bpf_sock *ctx)
{
	return before(ctx, GATE_RELEASE);
}

SEC("cgroup/sock_release")
int after_release(struct bpf_sock *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	return after(ctx, GATE_RELEASE, now);
}

/* Interrupts, where the kernel has these tracepoints: the first four are x86's. */
static __always_inline int interrupted(void)
{
	__u32 zero = 0;
	__u64 *interrupts = bpf_map_lookup_elem(&bench_irqs, &zero);

	if (interrupts)
		*interrupts += 1;
	return 0;
}

SEC("tp_btf/local_timer_entry")
int on_timer(void *ctx)
{
	(void)ctx;
	return interrupted();
}

SEC("tp_btf/reschedule_entry")
int on_reschedule(void *ctx)
{
	(void)ctx;
	return interrupted();
}

SEC("tp_btf/call_function_entry")
int on_call(void *ctx)
{
	(void)ctx;
	return interrupted();
}

SEC("tp_btf/call_function_single_entry")
int on_call_single(void *ctx)
{
	(void)ctx;
	return interrupted();
}

SEC("tp_btf/irq_handler_entry")
int on_irq(void *ctx)
{
	(void)ctx;
	return interrupted();
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

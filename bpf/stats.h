/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters, histograms, the counter of our own failures, and the hints to the
 * agent. Atomic adds throughout: cgroup hooks can be preempted, and a sockops
 * callback in softirq may hit the same slot.
 */
#ifndef EBB_STATS_H
#define EBB_STATS_H

#include "bpf/gate.h"
#include "bpf/maps.h"

static __always_inline void ebb_add(__u64 *counter, __u64 amount)
{
	EBB_ADD(counter, amount);
}

static __always_inline struct ebb_kernel *ebb_kernel_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ebb_kernel_v2, &zero);
}

static __always_inline struct ebb_agent *ebb_agent_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ebb_agent_v2, &zero);
}

/* Does what the agent said about a destination still hold? */
static __always_inline int ebb_is_leased(const struct ebb_policy *policy, __u64 now_ns)
{
	struct ebb_agent *agent;

	if (policy->on_agent_loss == EBB_LOSS_HOLD)
		return 1;
	agent = ebb_agent_get();
	return agent && ebb_agent_alive(agent, now_ns, EBB_LOAD(agent->lease_ns));
}

static EBB_NOINLINE int ebb_count_error(__u32 error)
{
	struct ebb_kernel *kernel = ebb_kernel_get();

	if (!kernel || error >= EBB_ERR_MAX)
		return 0;
	ebb_add(&kernel->errors[error], 1);
	return 0;
}

/* @errors: 1 << enum ebb_error each. */
static EBB_NOINLINE int ebb_count_errors(__u32 errors)
{
	for (__u32 i = 0; i < EBB_ERR_MAX; i++) {
		if (errors & (1U << i))
			ebb_count_error(i);
	}
	return 0;
}

static __always_inline void ebb_hist_add(struct ebb_hist *hist, __u64 units)
{
	__u32 bucket = ebb_hist_bucket(units);

	if (bucket < EBB_HIST_BUCKETS)
		ebb_add(&hist->buckets[bucket], 1);
	ebb_add(&hist->sum_units, units);
}

/* A gauge that never goes below zero; that it would have is counted. */
static __always_inline void ebb_gauge_down(__u64 *gauge)
{
	if ((__s64)EBB_ADD(gauge, (__u64)-1) > 0)
		return;
	EBB_ADD(gauge, 1);
	ebb_count_error(EBB_ERR_GAUGE_UNDERFLOW);
}

/*
 * A hint to the agent. Waking an idle reader costs 16 us, so @urgent ones wake
 * it at most once for each of its looks; the rest wait for its timer.
 */
static EBB_NOINLINE int ebb_hint(__u32 kind, __u32 outcome, __u32 pair, __u32 gate, int urgent)
{
	struct ebb_kernel *kernel = ebb_kernel_get();
	struct ebb_agent *agent = ebb_agent_get();
	__u64 flags = BPF_RB_NO_WAKEUP;
	struct ebb_event *event;
	__u64 looked, woken;

	if (!kernel || !agent)
		return 0;
	event = bpf_ringbuf_reserve(&ebb_event_v2, sizeof(*event), 0);
	if (!event) {
		ebb_count_error(EBB_ERR_EVENT_LOST);
		return 0;
	}
	event->at_ns = bpf_ktime_get_ns();
	event->kind = kind;
	event->outcome = outcome;
	event->pair = pair;
	event->gate = gate;
	if (urgent) {
		looked = EBB_LOAD(agent->looked);
		woken = EBB_LOAD(kernel->woken_for);
		if (woken != looked + 1 && EBB_CAS(&kernel->woken_for, woken, looked + 1) == woken)
			flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(event, flags);
	return 0;
}

#endif /* EBB_STATS_H */

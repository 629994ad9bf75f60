/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A result reaches its gate: the one way from what a hook has seen of a connection to what
 * the breaker judges. Counts it, gives a probe its result, and tells the agent what it may
 * have to act on.
 */
#ifndef EBB_RESULT_H
#define EBB_RESULT_H

#include "bpf/conn.h"
#include "bpf/gate.h"
#include "bpf/maps.h"
#include "bpf/record.h"
#include "bpf/route.h"
#include "bpf/stats.h"

/* Are requests and answers seen? Then the result of a connection is that of its first turn. */
static __always_inline int ebb_turns_are_seen(void)
{
	struct ebb_agent *agent = ebb_agent_get();

	return agent && EBB_LOAD(agent->turns);
}

/* By arithmetic: see "Constants over calls" in docs/kernels.md. Both are below 2^63. */
static __always_inline int ebb_is_slow(const struct ebb_policy *policy, __u64 took_ns)
{
	__u64 slow_ns = policy->slow_ns;

	return (int)(((slow_ns - took_ns) & (0 - slow_ns)) >> 63);
}

/* @outcome: enum ebb_outcome, for the agent's log and a recording; @took_ns: for that alone. */
static __always_inline void ebb_result(const struct ebb_route *route, struct ebb_conn *conn, __u64 now,
				       int ok, int slow, __u32 outcome, __u64 took_ns)
{
	struct ebb_gate *asked = route->breaker;
	__u32 did;

	if (conn && (conn->flags & EBB_CONN_MUTE))
		return;
	if (conn)
		asked = ebb_route_asked(route, conn);
	if (route->class != EBB_CLASS_GOVERNED || asked != route->breaker) {
		/* excluded since, or put apart: if it was a probe, then one without a result */
		if (conn)
			ebb_conn_end_probe(conn, asked, now, EBB_PROBE_NONE);
		return;
	}
	ebb_record_result(route, conn, outcome, slow, took_ns);
	if (conn && (conn->flags & EBB_CONN_PROBE)) {
		did = ebb_conn_end_probe(conn, asked, now, ok && !slow ? EBB_PROBE_OK : EBB_PROBE_FAILED);
		if ((did & EBB_RESULT_COUNTED) && ok && !slow)
			ebb_gate_succeeded(asked, route->pair, ebb_run_who(route->pair_slot));
		if (did & EBB_RESULT_COUNTED)
			ebb_hint(EBB_EVENT_PROBE, outcome, route->pair_slot, route->gate_slot, 1);
	} else {
		did = ebb_gate_result(asked, route->verdict, route->policy, route->pair, route->pair_slot,
				      now, conn ? conn->gen : EBB_LOAD(route->verdict->plain_gen), ok, slow);
		if (did & EBB_RESULT_PULLED)
			ebb_hint(EBB_EVENT_PULL, outcome, route->pair_slot, route->gate_slot, 1);
		else if ((did & EBB_RESULT_COUNTED) && !ok)
			ebb_hint(EBB_EVENT_FAILURE, outcome, route->pair_slot, route->gate_slot, 1);
	}
	if (did & EBB_RESULT_EXHAUSTED)
		ebb_count_error(EBB_ERR_CAS_EXHAUSTED);
}

/* One that is a failure; out of line, so that it does not stand in the way of a success. */
static EBB_NOINLINE int ebb_result_failed(const struct ebb_route *route, struct ebb_conn *conn, __u32 outcome,
					  int slow, __u64 took_ns)
{
	if (route)
		ebb_result(route, conn, bpf_ktime_get_ns(), 0, slow, outcome, took_ns);
	return 0;
}

#endif /* EBB_RESULT_H */

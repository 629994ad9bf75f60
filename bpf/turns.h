/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns of a socket (bpf/turn.h says what one is): counted for its destination and pair, and their
 * results brought to the gate.
 */
#ifndef EBB_TURNS_H
#define EBB_TURNS_H

#include "bpf/conn.h"
#include "bpf/result.h"
#include "bpf/route.h"
#include "bpf/stats.h"
#include "bpf/turn.h"

#define EBB_FIRST_TURN_LEASE_NS 30000000000ULL

/* How long an established probe may wait for its first answer, ticks. */
static __always_inline __u64 ebb_first_turn_lease(const struct ebb_policy *policy)
{
	__u64 longest = policy->slow_ns > EBB_FIRST_TURN_LEASE_NS ? policy->slow_ns : EBB_FIRST_TURN_LEASE_NS;
	__u64 ticks = ebb_ns_to_ticks(longest);

	return ticks > policy->probe_lease_ticks ? ticks : policy->probe_lease_ticks;
}

/* Does what it does move the gate? The gate's turns are those of connections that do. */
static __always_inline int ebb_turn_is_judged(const struct ebb_route *route, const struct ebb_conn *conn)
{
	return route->class == EBB_CLASS_GOVERNED && !(conn->flags & (EBB_CONN_MUTE | EBB_CONN_ADOPTED));
}

/* The first byte of an answer. */
static __noinline __attribute__((unused)) int ebb_turn_answered(struct ebb_conn *conn)
{
	struct ebb_route route = {};
	__u64 now, took_ns, units;
	__u32 bucket;
	int slow;

	if (!conn)
		return 0;
	now = bpf_ktime_get_ns();
	took_ns = ebb_turn_in(&conn->turn, now);
	if (!took_ns || !ebb_route_conn(conn, &route))
		return 0;
	units = took_ns / EBB_HIST_UNIT_NS;
	bucket = ebb_turn_bucket(units);
	slow = ebb_is_slow(route.policy, took_ns);
	ebb_hist_add(&route.dst->turn, units);
	ebb_add(&route.pair->turns[EBB_TURN_ANSWERED], 1);
	ebb_add(&route.pair->turn_units, units);
	if (bucket < EBB_TURN_BUCKETS)
		EBB_ADD(&route.pair->turn_buckets[bucket], 1);
	if (slow)
		ebb_add(&route.pair->turns_slow, 1);
	if (!ebb_turn_is_judged(&route, conn))
		return 0;
	ebb_add(&route.gate->turns_answered, 1);
	/* the first one answers for the time to connect, too */
	if (!(conn->flags & EBB_CONN_JUDGED)) {
		slow |= (conn->flags & EBB_CONN_SLOW) != 0;
		ebb_conn_set(conn, EBB_CONN_JUDGED);
	}
	ebb_result(&route, conn, now, 1, slow, EBB_OUTCOME_ESTABLISHED, took_ns);
	return 0;
}

/* The end of a connection, or of one direction of it, while a turn is open: nobody answers it any more. */
static __noinline __attribute__((unused)) int
ebb_turn_over(const struct ebb_route *route, struct ebb_conn *conn, const struct tcp_sock *tp, int by_peer)
{
	struct ebb_turn_end end = {};
	__u64 now, out_ns;
	int counts;
	__u32 how;

	if (!route || !conn || !tp)
		return 0;
	now = bpf_ktime_get_ns();
	out_ns = EBB_LOAD(conn->turn.out_ns);
	end.age_ns = (__s64)(now - out_ns) > 0 ? now - out_ns : 0;
	end.abandon_ns = route->policy->abandon_ms * EBB_NS_PER_MS;
	end.by_peer = by_peer;
	end.heard = !conn->turn.done || tp->snd_una == tp->snd_nxt;
	how = ebb_turn_end(&conn->turn, &end);
	if (how >= EBB_TURN_MAX)
		return 0;
	ebb_add(&route->pair->turns[how], 1);
	if (!ebb_turn_is_judged(route, conn))
		return 0;
	if (how == EBB_TURN_UNANSWERED)
		ebb_add(&route->gate->turns_unanswered, 1);
	counts = ebb_turn_counts(route->gate, route->verdict);
	if (how == EBB_TURN_CANCELLED) {
		/* where answers are usual, one that was not waited for says nothing */
		if (counts &&
		    EBB_LOAD(route->gate->turns_answered) != EBB_LOAD(route->verdict->answered_from))
			ebb_conn_set(conn, EBB_CONN_LEFT);
		return 0;
	}
	if (!counts)
		return 0;
	ebb_add(&route->pair->outcomes[EBB_OUTCOME_UNANSWERED], 1);
	if (route->policy->count_mask & (1U << EBB_OUTCOME_UNANSWERED))
		ebb_result_failed(route, conn, EBB_OUTCOME_UNANSWERED, ebb_is_slow(route->policy, end.age_ns),
				  end.age_ns);
	else
		ebb_record_result(route, conn, EBB_OUTCOME_UNANSWERED, 0, end.age_ns);
	ebb_conn_set(conn, EBB_CONN_JUDGED | EBB_CONN_LOST);
	return 0;
}

#endif /* EBB_TURNS_H */

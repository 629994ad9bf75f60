/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Turns of a socket (bpf/turn.h says what one is): counted for its destination and pair, and their
 * results brought to the gate.
 */
#ifndef EBB_TURNS_H
#define EBB_TURNS_H

#include "bpf/conn.h"
#include "bpf/enforce.h"
#include "bpf/result.h"
#include "bpf/route.h"
#include "bpf/stats.h"
#include "bpf/traffic.h"
#include "bpf/turn.h"

#define EBB_FIRST_TURN_LEASE_NS 30000000000ULL

/* How long an established probe may wait for its first answer, ticks. */
static __always_inline __u64 ebb_first_turn_lease(const struct ebb_policy *policy)
{
	__u64 longest = policy->slow_ns > EBB_FIRST_TURN_LEASE_NS ? policy->slow_ns : EBB_FIRST_TURN_LEASE_NS;
	__u64 ticks = ebb_ns_to_ticks(longest);

	return ticks > policy->probe_lease_ticks ? ticks : policy->probe_lease_ticks;
}

/*
 * The end of what the program has written, without the FIN, which takes a number. Not of what was sent: that moves on
 * after a segment has left, and on this node its acknowledgement may come in before. @state: the socket's, or
 * the one that it leaves. @written: write_seq.
 */
static __always_inline __u32 ebb_turn_seq_of(__u32 written, __u32 state)
{
	return written - (state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 ||
			  state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK);
}

static __always_inline __u32 ebb_turn_seq(const struct tcp_sock *tp, __u32 state)
{
	return ebb_turn_seq_of(tp->write_seq, state);
}

/*
 * When the last byte went out. While something is on its way, the last segment was it; that may also have been
 * an acknowledgement alone (room made known), and the turn then looks shorter by as much. When all is
 * acknowledged, what was acknowledged last: keep-alives come only then, and do not count.
 */
static __always_inline __u64 ebb_turn_out_of(const struct ebb_conn *conn, const struct tcp_sock *tp,
					     __u32 written)
{
	__u64 out_ns = conn ? EBB_LOAD(conn->turn.out_ns) : 0;

	if (out_ns)
		return out_ns;
	if (written != tp->snd_una || !bpf_core_field_exists(tp->rack.mstamp))
		return tp->tcp_wstamp_ns;
	return tp->rack.mstamp * EBB_NS_PER_US;
}

static __always_inline __u64 ebb_turn_out_ns(const struct ebb_conn *conn, const struct tcp_sock *tp)
{
	return ebb_turn_out_of(conn, tp, tp->write_seq);
}

static __always_inline void ebb_turn_read(const struct tcp_sock *tp, __u32 seq, struct ebb_turn_facts *ret)
{
	ret->sent = tp->data_segs_out;
	ret->unacked = (__s32)(seq - tp->snd_una) > 0;
	ret->received = ebb_tcp_received(tp);
	ret->acked = ebb_acked_payload(tp->bytes_acked);
}

/* @state as in ebb_turn_seq(). */
static __always_inline int ebb_turn_open(const struct ebb_conn *conn, const struct tcp_sock *tp, __u32 state)
{
	struct ebb_turn_facts facts;

	if (conn)
		return ebb_turn_is_open(&conn->turn, tp->data_segs_out, ebb_turn_seq(tp, state));
	ebb_turn_read(tp, ebb_turn_seq(tp, state), &facts);
	return ebb_turn_shows(&facts);
}

/*
 * An established connection that had no memory gets one, since it has to remember its pace, what is counted of
 * it, or where its last turn ended. NULL: it cannot be had.
 */
static __always_inline struct ebb_conn *ebb_conn_late(struct bpf_sock *sock, const struct tcp_sock *tp,
						      const struct ebb_route *route)
{
	__u32 flags = EBB_CONN_LIVE | EBB_CONN_SYN | EBB_CONN_ACTIVE;
	struct ebb_conn *conn = ebb_conn_make(sock);

	if (!conn || (conn->flags & EBB_CONN_LIVE))
		return conn;
	ebb_conn_begin(conn, route->pair_slot, route->pair->epoch, route->dst_slot, route->dst->epoch,
		       ebb_route_plain_gen(route));
	flags |=
		ebb_conn_take_up(conn, ebb_tcp_received(tp), ebb_acked_payload(tp->bytes_acked), tp->snd_una);
	/* seed.bpf.c may do the same at the same time: who comes first says what it is */
	(void)EBB_CAS(&conn->flags, 0, flags);
	return conn;
}

/* Does what it does move the gate? The gate's turns are those of connections that do. */
static __always_inline int ebb_turn_is_judged(const struct ebb_route *route, const struct ebb_conn *conn)
{
	return route->class == EBB_CLASS_GOVERNED &&
	       (!conn || !(conn->flags & (EBB_CONN_MUTE | EBB_CONN_ADOPTED)));
}

/*
 * The first byte of an answer to what was asked up to @seq, @out_ns being when; of a connection's first turn
 * without a memory.
 */
static __always_inline void ebb_turn_answered(const struct bpf_sock *sock, struct ebb_conn *conn,
					      const struct tcp_sock *tp, __u32 seq, __u64 out_ns)
{
	struct ebb_route route = {};
	__u64 now, took_ns, units;
	__u32 bucket;
	int slow;

	if (conn ? !ebb_route_conn(conn, &route)
		 : !ebb_route_find_by(sock, &tp->inet_conn.icsk_inet.sk, &route) ||
			    route.class == EBB_CLASS_ALONE)
		return;
	now = bpf_ktime_get_ns();
	took_ns = ebb_turn_lasted(out_ns, now);
	if (conn && !ebb_turn_take(&conn->turn, 1, seq))
		return;
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
		return;
	ebb_add(&route.breaker->turns_answered, 1);
	/* the first one answers for the time to connect, too: where that was slow there is a memory */
	if (conn && !(conn->flags & EBB_CONN_JUDGED)) {
		slow |= (conn->flags & EBB_CONN_SLOW) != 0;
		ebb_conn_set(conn, EBB_CONN_JUDGED);
	}
	ebb_result(&route, conn, now, 1, slow, EBB_OUTCOME_ESTABLISHED, took_ns);
}

/* A segment is sent again: when it went out the first time is remembered. */
static __always_inline void ebb_turn_sent_again(struct bpf_sock *sock, struct ebb_conn *conn,
						const struct ebb_route *route, const struct tcp_sock *tp)
{
	__u64 out_ns = ebb_turn_out_ns(conn, tp);

	if (!ebb_turn_open(conn, tp, BPF_TCP_ESTABLISHED))
		return;
	if (!conn)
		conn = ebb_conn_late(sock, tp, route);
	if (conn)
		EBB_STORE(conn->turn.out_ns, out_ns);
}

/* A later turn of a connection without a memory. NULL: it cannot have one. */
static EBB_NOINLINE struct ebb_conn *ebb_turn_meet(struct bpf_sock *sock, const struct tcp_sock *tp)
{
	struct ebb_route route = {};

	if (!sock || !tp || !ebb_route_find_by(sock, &tp->inet_conn.icsk_inet.sk, &route) ||
	    route.class == EBB_CLASS_ALONE)
		return NULL;
	return ebb_conn_late(sock, tp, &route);
}

/*
 * Is it we who hold back a part of what the program has written: by its pace, or since an operator has opened the breaker
 * and what live connections send is dropped? One that opened by itself needs no look: an earlier generation's results move nothing.
 */
static EBB_NOINLINE int ebb_is_held_back(const struct ebb_route *route, const struct ebb_conn *conn,
					 const struct tcp_sock *tp, __u32 state)
{
	__u64 now;

	if (!route || !tp || (__s32)(ebb_turn_seq(tp, state) - tp->snd_nxt) <= 0)
		return 0;
	if (conn && conn->pace)
		return 1;
	if (route->policy->established != EBB_ESTABLISHED_DROP)
		return 0;
	now = bpf_ktime_get_ns();
	return ebb_override_in_force(route->policy, now) == EBB_OVERRIDE_OPEN && ebb_is_enforced(route, now);
}

/* Nobody answers the open turn any more: its connection ends, or one way of it. @state as in ebb_turn_seq(). */
static EBB_NOINLINE int ebb_turn_over(const struct ebb_route *route, struct ebb_conn *conn,
				      const struct tcp_sock *tp, __u32 state, int by_peer)
{
	struct ebb_turn_end end = {};
	__u32 seq, how;
	__u64 now;
	int counts;

	if (!route || !conn || !tp)
		return 0;
	now = bpf_ktime_get_ns();
	seq = ebb_turn_seq(tp, state);
	end.age_ns = ebb_turn_lasted(ebb_turn_out_ns(conn, tp), now);
	end.abandon_ns = route->policy->abandon_ms * EBB_NS_PER_MS;
	end.bytes = ebb_turn_bytes(&conn->turn, seq);
	end.first = !conn->turn.ended.count;
	end.by_peer = by_peer;
	end.heard = ebb_turn_is_heard(end.bytes, tp->write_seq - tp->snd_una);
	end.held = (__u32)ebb_is_held_back(route, conn, tp, state);
	if (!ebb_turn_take(&conn->turn, tp->data_segs_out, seq))
		return 0;
	how = ebb_turn_ended(&end);
	if (how >= EBB_TURN_MAX)
		return 0;
	ebb_add(&route->pair->turns[how], 1);
	if (!ebb_turn_is_judged(route, conn))
		return 0;
	if (how == EBB_TURN_UNANSWERED)
		ebb_add(&route->breaker->turns_unanswered, 1);
	counts = ebb_turn_counts(route->breaker, route->verdict);
	if (how == EBB_TURN_CANCELLED) {
		/* where answers are usual, one that was not waited for says nothing */
		if (counts &&
		    EBB_LOAD(route->breaker->turns_answered) != EBB_LOAD(route->verdict->answered_from))
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

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What became of a connection: SYN sent, SYN retransmitted, established, RTT,
 * closed. Times and classifies; gives back probe and concurrency slots.
 *
 * Only sockets that connect are armed by us (in CONNECT_CB). One that answers a
 * client can still come here, armed by another program or by the earlier life of
 * its listener: it is left alone.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/gate.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/outcome.h"
#include "bpf/pacing.h"
#include "bpf/result.h"
#include "bpf/route.h"
#include "bpf/span.h"
#include "bpf/stats.h"
#include "bpf/traffic.h"
#include "bpf/turns.h"

/*
 * The memory of the socket if it has a valid one, and the route either way. One copy
 * for all callbacks: what they cost is mostly code that has left the cache meanwhile.
 */
static EBB_NOINLINE int find(struct bpf_sock *sock, const struct sock *sk, struct ebb_conn **ret_conn,
			     struct ebb_route *ret_route)
{
	struct ebb_conn *conn = NULL;

	if (!sock || !sk || !ret_conn || !ret_route)
		return 0;
	/* most sockets have no storage of anybody: a load instead of a call */
	if (sk->sk_bpf_storage)
		conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, 0);
	if (conn && (conn->flags & EBB_CONN_LIVE)) {
		*ret_conn = conn;
		return ebb_route_conn(conn, ret_route);
	}
	*ret_conn = NULL;
	/* refused by aiming it at nothing: what it meets there is no destination's */
	if (conn && (conn->flags & EBB_CONN_DENIED))
		return 0;
	if (ebb_sock_was_accepted((const struct inet_sock *)sk))
		return 0;
	return ebb_route_find_by(sock, sk, ret_route);
}

/* Makes a socket remember its route, where looking it up by address would find another. */
static EBB_NOINLINE struct ebb_conn *remember(struct bpf_sock *sock, struct ebb_ref pair, struct ebb_ref dst,
					      __u32 gen)
{
	struct ebb_conn *conn = ebb_conn_make(sock);

	/* what it holds would be lost */
	if (!conn || (conn->flags & EBB_CONN_LIVE))
		return conn;
	ebb_conn_begin(conn, pair.slot, pair.epoch, dst.slot, dst.epoch, gen);
	(void)ebb_conn_speak(conn, EBB_CONN_LIVE | EBB_CONN_SYN);
	return conn;
}

static __always_inline struct ebb_conn *remember_route(struct bpf_sock *sock, const struct ebb_route *route)
{
	struct ebb_ref pair = {.slot = route->pair_slot, .epoch = route->pair->epoch};
	struct ebb_ref dst = {.slot = route->dst_slot, .epoch = route->dst->epoch};

	return remember(sock, pair, dst, ebb_route_plain_gen(route));
}

/* The SYN of a socket with a memory, or without a note: on the way it moved to another processor, or fast open. */
static EBB_NOINLINE int syn_sent_slowly(struct bpf_sock_ops *ctx, struct bpf_sock *sock)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;
	struct tcp_sock *tp;

	tp = ctx && sock ? bpf_skc_to_tcp_sock(sock) : NULL;
	if (!tp)
		return 0;
	conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, 0);
	if (conn && (conn->flags & EBB_CONN_DENIED))
		return 0;
	if (conn && (conn->flags & EBB_CONN_LIVE)) {
		ebb_conn_set(conn, EBB_CONN_SYN);
		conn->old_errors = tp->inet_conn.icsk_inet.sk.sk_error_queue.qlen;
		if (!ebb_route_conn(conn, &route))
			return 0;
	} else if (!ebb_route_find(&tp->inet_conn.icsk_inet.sk, &route)) {
		if (route.class != EBB_CLASS_ALONE)
			ebb_count_error(EBB_ERR_NOTE_LOST);
		return 0;
	} else if (route.class == EBB_CLASS_ALONE) {
		return 0;
	} else if (ebb_replacing) {
		/* an older connect program left its note where we do not look */
		(void)remember_route(sock, &route);
	}
	ebb_add(&route.pair->syn_sent, 1);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | EBB_CALLBACKS);
	return 0;
}

/* In the connect() system call, before the SYN. */
static __always_inline void syn_sent(struct bpf_sock_ops *ctx, struct bpf_sock *sock)
{
	__u32 zero = 0;
	struct ebb_note *note = bpf_map_lookup_elem(&ebb_note_v2, &zero);
	struct ebb_ref pair_ref, dst_ref;
	struct ebb_endpoint key;
	struct ebb_pair *pair;
	__u32 slot;

	if (!note || note->cookie != bpf_get_socket_cookie(ctx) || note->has_conn) {
		syn_sent_slowly(ctx, sock);
		return;
	}
	/* the common case: no memory, and the pair is at hand; a note speaks for one attempt */
	note->cookie = 0;
	slot = note->pair;
	pair = bpf_map_lookup_elem(&ebb_pstat_v2, &slot);
	if (!pair)
		return;
	ebb_key_from_bpf_sock(&key, sock);
	/* another program rewrote the address */
	if (!ebb_key_equal(&key, &note->endpoint)) {
		pair_ref = (struct ebb_ref){.slot = note->pair, .epoch = note->pair_epoch};
		dst_ref = (struct ebb_ref){.slot = note->dst, .epoch = note->dst_epoch};
		(void)remember(sock, pair_ref, dst_ref, note->gen);
	}
	ebb_add(&pair->syn_sent, 1);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | EBB_CALLBACKS);
}

/*
 * So often sent again, a SYN has failed, and the attempt with it, minutes before TCP says so. That is its
 * one result: should it be established after all, it is no success.
 */
static __always_inline void syn_given_up(struct bpf_sock *sock, struct ebb_conn *conn,
					 const struct ebb_route *route, const struct tcp_sock *tp, __u64 now)
{
	__u64 age_ns = ebb_connect_age_ms(tp, now) * EBB_NS_PER_MS;
	__u32 slow = ebb_is_slow(route->policy, age_ns);

	if (conn->flags & (EBB_CONN_LOST | EBB_CONN_ADOPTED))
		return;
	ebb_add(&route->pair->outcomes[EBB_OUTCOME_TIMEOUT], 1);
	if (route->policy->count_mask & (1U << EBB_OUTCOME_TIMEOUT)) {
		ebb_result_failed(route, conn, EBB_OUTCOME_TIMEOUT, (int)slow, age_ns);
	} else {
		ebb_record_result(route, conn, EBB_OUTCOME_TIMEOUT, 0, age_ns);
		ebb_conn_end_probe(conn, ebb_route_asked(route, conn), now, EBB_PROBE_NONE);
	}
	if (ebb_spans_wanted())
		ebb_span_end(sock, tp, route, conn, EBB_OUTCOME_TIMEOUT);
	ebb_conn_set(conn, EBB_CONN_LOST | EBB_CONN_JUDGED | EBB_CONN_MUTE | EBB_CONN_SPANNED);
}

/*
 * A SYN is sent again, the @retries'th time. From the first on the time to connect is no longer in
 * srtt_us.
 */
static __always_inline void syn_retransmitted(struct bpf_sock *sock, const struct tcp_sock *tp, __u32 retries)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;
	__u64 now;

	if (!find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route))
		return;
	if (!conn)
		conn = remember_route(sock, &route);
	if (!conn)
		return;
	now = bpf_ktime_get_ns();
	if (!conn->start_ns)
		conn->start_ns = now - ebb_connect_age_ms(tp, now) * EBB_NS_PER_MS;
	if (route.policy->syn_retries && retries >= route.policy->syn_retries)
		syn_given_up(sock, conn, &route, tp, now);
}

static __always_inline void established(struct bpf_sock_ops *ctx, struct bpf_sock *sock,
					const struct tcp_sock *tp)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;
	__u64 units, now = 0;
	int slow;

	if (!find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route))
		return;
	/* it began before we were attached, and nobody would see its end: left for seed.bpf.c to adopt */
	if (!conn && (!(ctx->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG) || ebb_replacing))
		return;
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | EBB_CALLBACKS_OPEN);
	if (conn && (conn->flags & EBB_CONN_ADOPTED)) {
		/* it began before us, and its attempt was not counted; from here on its end is seen */
		ebb_conn_opened(conn, route.pair);
		ebb_conn_set(conn, EBB_CONN_SYN);
		return;
	}
	ebb_add(&route.pair->active, 1);
	if (conn)
		ebb_conn_set(conn, EBB_CONN_ACTIVE);
	if ((route.policy->asks & EBB_ASK_PACKET) && route.class == EBB_CLASS_GOVERNED) {
		if (!conn)
			conn = ebb_conn_late(sock, tp, &route);
		ebb_pace_apply(ctx, tp, conn, &route, 1);
	}
	/* the one outcome of an attempt */
	if (!conn || !(conn->flags & EBB_CONN_LOST))
		ebb_add(&route.pair->outcomes[EBB_OUTCOME_ESTABLISHED], 1);
	/* srtt_us is in 1/8 us, a unit of the histogram is 1/4 us */
	units = tp->srtt_us >> 1;
	ebb_hist_add(&route.dst->rtt, units);
	if (conn) {
		now = bpf_ktime_get_ns();
		if (conn->start_ns)
			units = (now - conn->start_ns) / EBB_HIST_UNIT_NS;
	}
	ebb_hist_add(&route.dst->connect, units);
	ebb_add(&route.pair->connect_units, units);
	slow = ebb_is_slow(route.policy, units * EBB_HIST_UNIT_NS);
	if (route.class == EBB_CLASS_GOVERNED && ebb_spans_wanted())
		ebb_span_begin(sock, tp, conn);
	if (!ebb_turns_are_seen()) {
		/* that it may still fail is no second line of a recording */
		if (!conn && ebb_recording())
			conn = ebb_conn_late(sock, tp, &route);
		ebb_result(&route, conn, now, 1, slow, EBB_OUTCOME_ESTABLISHED, units * EBB_HIST_UNIT_NS);
		return;
	}
	/* its result is that of its first turn, or of its end */
	if (slow && !conn)
		conn = ebb_conn_late(sock, tp, &route);
	if (slow && conn)
		ebb_conn_set(conn, EBB_CONN_SLOW);
	if (conn && (conn->flags & EBB_CONN_PROBE))
		ebb_conn_prolong_probe(conn, ebb_route_asked(&route, conn),
				       ebb_first_turn_lease(route.policy), now);
}

/* Returns the outcome; EBB_OUTCOME_MAX: it has had one, or its attempt is not counted. */
static __always_inline __u32 never_established(const struct ebb_route *route, struct ebb_conn *conn,
					       const struct tcp_sock *tp, __u64 now)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct ebb_end_facts facts = {
		.sk_err = (__u32)sk->sk_err,
		.queued_err = ebb_sock_queued_error(sk, conn ? conn->old_errors : 0),
		.sk_err_soft = (__u32)sk->sk_err_soft,
		.retransmits = tp->inet_conn.icsk_retransmits,
		.age_ms = ebb_connect_age_ms(tp, now),
		.abandon_ms = route->policy->abandon_ms,
	};
	__u32 outcome = ebb_outcome_connecting(&facts);
	__u64 age_ns;

	/* the attempt of one that was adopted was not counted either, and one that was given up has its outcome */
	if (outcome >= EBB_OUTCOME_MAX || (conn && (conn->flags & (EBB_CONN_ADOPTED | EBB_CONN_LOST))))
		return EBB_OUTCOME_MAX;
	ebb_add(&route->pair->outcomes[outcome], 1);
	age_ns = facts.age_ms * EBB_NS_PER_MS;
	if (route->policy->count_mask & (1U << outcome)) {
		ebb_result_failed(route, conn, outcome, ebb_is_slow(route->policy, age_ns), age_ns);
		return outcome;
	}
	ebb_record_result(route, conn, outcome, 0, age_ns);
	if (conn)
		ebb_conn_end_probe(conn, ebb_route_asked(route, conn), now, EBB_PROBE_NONE);
	return outcome;
}

/* An established connection ended by an error: was it lost? Returns the outcome. Out of line, as ebb_result_failed(). */
static EBB_NOINLINE int broken(const struct ebb_route *route, struct ebb_conn *conn,
			       const struct tcp_sock *tp, __u32 old_state)
{
	struct ebb_close_facts facts = {};
	__u64 took_ns = 0;
	__u32 outcome;

	if (!route || !tp)
		return EBB_OUTCOME_ESTABLISHED;
	facts.sk_err = (__u32)tp->inet_conn.icsk_inet.sk.sk_err;
	facts.peer_open = ebb_is_established(old_state);
	facts.received = tp->bytes_received != 0;
	if (ebb_turns_are_seen())
		/* what is sent to a peer that has said farewell asks nothing */
		facts.asked_last = old_state != BPF_TCP_CLOSE_WAIT && ebb_turn_open(conn, tp, old_state);
	else /* jiffies: within one of them the answer is taken to be the later */
		facts.asked_last = (__s32)(tp->lsndtime - tp->inet_conn.icsk_ack.lrcvtime) > 0;
	outcome = ebb_outcome_established(&facts);
	if (outcome == EBB_OUTCOME_ESTABLISHED || outcome >= EBB_OUTCOME_MAX ||
	    ebb_is_held_back(route, conn, tp, old_state))
		return EBB_OUTCOME_ESTABLISHED;
	ebb_add(&route->pair->outcomes[outcome], 1);
	if (facts.asked_last && ebb_turns_are_seen()) {
		ebb_add(&route->pair->turns[EBB_TURN_RESET], 1);
		took_ns = ebb_turn_lasted(ebb_turn_out_ns(conn, tp), bpf_ktime_get_ns());
	}
	if (route->policy->count_mask & (1U << outcome))
		ebb_result_failed(route, conn, outcome, 0, took_ns);
	else
		ebb_record_result(route, conn, outcome, 0, took_ns);
	return (int)outcome;
}

/*
 * A clean end is the result of a connection that has given none: nothing was asked, or its peer never answers. One
 * that asked and has no memory was answered (or could not have one).
 */
static __always_inline void ended_well(const struct ebb_route *route, struct ebb_conn *conn,
				       const struct tcp_sock *tp)
{
	if (!conn) {
		if (!tp->data_segs_out)
			ebb_result(route, NULL, 0, 1, 0, EBB_OUTCOME_ESTABLISHED, 0);
		return;
	}
	if (conn->flags & (EBB_CONN_JUDGED | EBB_CONN_LOST | EBB_CONN_LEFT | EBB_CONN_ADOPTED))
		return;
	ebb_result(route, conn, bpf_ktime_get_ns(), 1, (conn->flags & EBB_CONN_SLOW) != 0,
		   EBB_OUTCOME_ESTABLISHED, 0);
}

/*
 * Is a turn still open that nobody has ended: its program reset the connection, or closed only its half of
 * it and waited (not an orphan) until the peer was done? Every other farewell came through farewell().
 */
static __always_inline int ends_a_turn(const struct ebb_conn *conn, const struct tcp_sock *tp,
				       __u32 old_state)
{
	if (old_state == BPF_TCP_CLOSE_WAIT || old_state == BPF_TCP_LAST_ACK)
		return 0;
	if (old_state != BPF_TCP_ESTABLISHED && ebb_sock_is_orphan(&tp->inet_conn.icsk_inet.sk))
		return 0;
	return ebb_turn_open(conn, tp, old_state);
}

/* Returns the memory, which one whose first turn is still open gets here. *@ret_outcome: how it went in the end. */
static __always_inline struct ebb_conn *was_established(struct bpf_sock *sock, const struct ebb_route *route,
							struct ebb_conn *conn, const struct tcp_sock *tp,
							__u32 old_state, __u32 *ret_outcome)
{
	/* one that was adopted may have been let go already; one that an older program armed counts nowhere yet */
	if (conn ? ebb_conn_clear(conn, EBB_CONN_ACTIVE) : !ebb_replacing)
		ebb_gauge_down(&route->pair->active);
	ebb_traffic_count(conn, route->pair, tp, old_state);
	*ret_outcome = EBB_OUTCOME_ESTABLISHED;
	if (conn && (conn->flags & EBB_CONN_LOST)) {
		*ret_outcome = EBB_OUTCOME_UNANSWERED;
		return conn;
	}
	if (tp->inet_conn.icsk_inet.sk.sk_err) {
		*ret_outcome = (__u32)broken(route, conn, tp, old_state);
		return conn;
	}
	/* asked only here: see "Constants over calls" in docs/kernels.md */
	if (!ebb_turns_are_seen())
		return conn;
	if (ends_a_turn(conn, tp, old_state)) {
		if (!conn)
			conn = ebb_conn_late(sock, tp, route);
		ebb_turn_over(route, conn, tp, old_state, old_state != BPF_TCP_ESTABLISHED);
		if (conn && (conn->flags & EBB_CONN_LOST))
			*ret_outcome = EBB_OUTCOME_UNANSWERED;
	}
	ended_well(route, conn, tp);
	return conn;
}

/*
 * One side says farewell. An answer comes no more from a peer that has; a program that has closed its socket, and
 * not only its half of it, wants none.
 */
static __always_inline void farewell(struct bpf_sock *sock, const struct tcp_sock *tp, __u32 new_state)
{
	struct ebb_route route = {};
	struct ebb_conn *conn = NULL;

	if (new_state == BPF_TCP_FIN_WAIT1 && !ebb_sock_hears_no_more(&tp->inet_conn.icsk_inet.sk))
		return;
	if (tp->inet_conn.icsk_inet.sk.sk_bpf_storage)
		conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, 0);
	if (conn && !(conn->flags & EBB_CONN_LIVE))
		conn = NULL;
	if (!ebb_turn_open(conn, tp, BPF_TCP_ESTABLISHED) || !ebb_turns_are_seen() ||
	    !find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route))
		return;
	if (!conn)
		conn = ebb_conn_late(sock, tp, &route);
	ebb_turn_over(&route, conn, tp, BPF_TCP_ESTABLISHED, new_state == BPF_TCP_CLOSE_WAIT);
}

/*
 * The program has said all, and all of it is acknowledged: the one round trip that is still to come is that of the FIN, which
 * nobody asks for. A run less for most connections, and no more than this sample is taken from others who want RTTs.
 */
static __always_inline void said_all(struct bpf_sock_ops *ctx, const struct tcp_sock *tp)
{
	__u32 flags = ctx->bpf_sock_ops_cb_flags;

	if ((flags & BPF_SOCK_OPS_RTT_CB_FLAG) && tp->snd_una == tp->write_seq)
		bpf_sock_ops_cb_flags_set(ctx, flags & ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

static __always_inline void request_retransmitted(struct bpf_sock *sock, const struct tcp_sock *tp)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;

	if (tp->packets_out && ebb_turns_are_seen() && find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route))
		ebb_turn_sent_again(sock, conn, &route, tp);
}

static __always_inline void closed(struct bpf_sock *sock, const struct tcp_sock *tp, __u32 old_state)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;
	__u32 outcome;

	/* one that connected and was disconnected can listen: armed, but not connecting any more */
	if (old_state == BPF_TCP_CLOSE || old_state == BPF_TCP_LISTEN)
		return;
	if (!find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route))
		return;
	if (old_state == BPF_TCP_SYN_SENT || old_state == BPF_TCP_SYN_RECV)
		outcome = never_established(&route, conn, tp, bpf_ktime_get_ns());
	else
		conn = was_established(sock, &route, conn, tp, old_state, &outcome);
	if (ebb_spans_wanted())
		ebb_span_end(sock, tp, &route, conn, outcome);
	if (!conn)
		return;
	/* a probe without a result */
	if (conn->flags & EBB_CONN_PROBE)
		ebb_conn_end_probe(conn, ebb_route_asked(&route, conn), bpf_ktime_get_ns(), EBB_PROBE_NONE);
	ebb_conn_end(conn, route.gate);
}

/* A connection that has moved so much is counted as it goes, not when it closes. */
#define LONG_TRANSFER_BYTES (1U << 20)

/* About once in a round trip: the share of a limited gate, and what went over the connection. */
static __always_inline void round_trip(struct bpf_sock_ops *ctx, struct bpf_sock *sock,
				       const struct tcp_sock *tp)
{
	/*
	 * Of the histogram: the handshake's is taken when it ends, then that of the first segment
	 * and of about each 16th. Mixed, since one who sends two segments in a round trip would
	 * with every 16th never be met. Not where all is acknowledged after a farewell: that is the FIN's.
	 */
	int open = ctx->state == BPF_TCP_ESTABLISHED || ctx->state == BPF_TCP_CLOSE_WAIT;
	int sampled = (ctx->data_segs_out * 0x9e3779b1U) >> 28 == 0x9e3779b1U >> 28 &&
		      (open || tp->snd_una != tp->write_seq);
	struct ebb_route route = {};
	struct ebb_conn *conn;

	if (!sampled && !tp->inet_conn.icsk_inet.sk.sk_bpf_storage)
		return;
	if (!sampled) {
		conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, 0);
		if (!conn || !(conn->flags & EBB_CONN_ACTIVE) || !ebb_route_conn(conn, &route))
			return;
	} else if (!find(sock, &tp->inet_conn.icsk_inet.sk, &conn, &route)) {
		return;
	}
	if (sampled) {
		ebb_hist_add(&route.dst->rtt, tp->srtt_us >> 1);
		/* where the first answer is in this very packet, only the count of segments knows of it yet */
		if (!conn && (tp->bytes_received || !tp->data_segs_in) &&
		    tp->bytes_acked + tp->bytes_received > LONG_TRANSFER_BYTES)
			conn = ebb_conn_late(sock, tp, &route);
		if (conn)
			ebb_traffic_count(conn, route.pair, tp, ctx->state);
	}
	if (conn && (conn->pace || (route.policy->asks & EBB_ASK_PACKET)))
		ebb_pace_apply(ctx, tp, conn, &route, 0);
}

static __always_inline int call_back(struct bpf_sock_ops *ctx, int cast)
{
	struct bpf_sock *sock;
	struct tcp_sock *tp;
	__u32 state = 0;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		/* both ends opened at once (a self-connect): ours only if we saw it connect */
		if ((ctx->bpf_sock_ops_cb_flags & EBB_CALLBACKS) != EBB_CALLBACKS)
			return 1;
		break;
	case BPF_SOCK_OPS_STATE_CB:
		state = ctx->args[1];
		if (state != BPF_TCP_CLOSE && state != BPF_TCP_CLOSE_WAIT && state != BPF_TCP_FIN_WAIT1 &&
		    state != BPF_TCP_LAST_ACK)
			return 1;
		break;
	case BPF_SOCK_OPS_RTT_CB:
		/* of a connection that sends, not of the handshake or the farewell */
		if (!ctx->data_segs_out || ctx->state == BPF_TCP_SYN_SENT)
			return 1;
		break;
	case BPF_SOCK_OPS_RTO_CB:
		if (ctx->state != BPF_TCP_SYN_SENT && ctx->state != BPF_TCP_ESTABLISHED)
			return 1;
		break;
	default:
		return 1;
	}

	sock = ctx->sk;
	if (!sock)
		return 1;
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		syn_sent(ctx, sock);
		return 1;
	}
	tp = ebb_tcp_sock(sock, cast);
	if (!tp)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		established(ctx, sock, tp);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (state == BPF_TCP_CLOSE) {
			closed(sock, tp, ctx->args[0]);
			break;
		}
		if (state != BPF_TCP_CLOSE_WAIT)
			said_all(ctx, tp);
		if (state != BPF_TCP_LAST_ACK)
			farewell(sock, tp, state);
		break;
	case BPF_SOCK_OPS_RTO_CB:
		/* called before it is sent again */
		if (ctx->state == BPF_TCP_SYN_SENT)
			syn_retransmitted(sock, tp, ctx->args[0] + 1);
		else
			request_retransmitted(sock, tp);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		round_trip(ctx, sock, tp);
		break;
	}
	return 1;
}

SEC("sockops")
int ebb_sockops(struct bpf_sock_ops *ctx)
{
	return call_back(ctx, 1);
}

/* The same for a kernel without bpf_rdonly_cast (before 6.2). */
SEC("sockops")
int ebb_sockops_b(struct bpf_sock_ops *ctx)
{
	return call_back(ctx, 0);
}

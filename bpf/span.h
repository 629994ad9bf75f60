/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a connection went, written into the ring of spans when it is over, while the agent wants them: failures
 * always, of the others those whose number drawn is small enough. One that was drawn when it was established remembers
 * when what happened; of the others only TCP's own numbers are known. While nobody wants spans, a connection costs two loads.
 *
 *	connect hook   refused by us: drawn, written
 *	ESTABLISHED    drawn: a memory
 *	first answer   into that memory
 *	failed, CLOSE  written
 */
#ifndef EBB_SPAN_H
#define EBB_SPAN_H

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/route.h"
#include "bpf/stats.h"
#include "bpf/traffic.h"
#include "bpf/turn.h"

static __always_inline struct ebb_tracer *ebb_tracer_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ebb_tracer_v2, &zero);
}

/* Does the agent want spans, or has it wanted them when it was last there? */
static __always_inline int ebb_spans_wanted(void)
{
	struct ebb_tracer *tracer = ebb_tracer_get();

	return tracer && EBB_LOAD(tracer->until_ns);
}

static __always_inline struct ebb_span_end *span_reserve(struct ebb_tracer *tracer)
{
	struct ebb_span_end *span = bpf_ringbuf_reserve(&ebb_span_v2, sizeof(*span), 0);

	if (!span)
		ebb_add(&tracer->lost, 1);
	return span;
}

static __always_inline void span_name(struct ebb_span_end *span, const struct ebb_route *route)
{
	span->workload = route->pair->workload;
	span->dst = route->dst_slot;
	span->dst_epoch = route->dst->epoch;
	span->pair = route->pair_slot;
	span->gate = route->gate_slot;
}

/* Refused by us at connect(), or would have been; of these only what is drawn. */
static EBB_NOINLINE int ebb_span_denied(const struct ebb_route *route, const struct ebb_endpoint *peer,
					__u32 cause, int enforced)
{
	struct ebb_tracer *tracer = ebb_tracer_get();
	__u64 now = bpf_ktime_get_ns();
	__u32 dice = bpf_get_prandom_u32();
	struct ebb_span_end *span;

	if (!tracer || !route || !peer || now >= EBB_LOAD(tracer->until_ns) || dice > EBB_LOAD(tracer->share))
		return 0;
	span = span_reserve(tracer);
	if (!span)
		return 0;
	__builtin_memset(span, 0, sizeof(*span));
	span->at_ns = now;
	span->start_ns = now;
	span_name(span, route);
	span->outcome = EBB_RECORD_DENIED;
	span->cause = cause;
	span->flags = enforced ? EBB_SPAN_ENFORCED : 0;
	span->dice = dice;
	span->share = EBB_LOAD(tracer->share);
	span->peer = *peer;
	bpf_ringbuf_submit(span, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Its handshake is done. Draws; one that is taken remembers when it began. */
static EBB_NOINLINE int ebb_span_begin(struct bpf_sock *sock, const struct tcp_sock *tp,
				       const struct ebb_conn *conn)
{
	struct ebb_tracer *tracer = ebb_tracer_get();
	__u64 now = bpf_ktime_get_ns();
	__u32 dice = bpf_get_prandom_u32();
	struct ebb_traced *traced;

	if (!tracer || !sock || !tp || now >= EBB_LOAD(tracer->until_ns) || dice > EBB_LOAD(tracer->share))
		return 0;
	if (conn && (conn->flags & (EBB_CONN_ADOPTED | EBB_CONN_SPANNED)))
		return 0;
	traced = bpf_sk_storage_get(&ebb_traced_v2, sock, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!traced) {
		ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
		return 0;
	}
	/* a handshake without retransmission is the first thing that is in srtt_us, in 1/8 us */
	traced->start_ns = conn && conn->start_ns ? conn->start_ns : now - (tp->srtt_us >> 3) * EBB_NS_PER_US;
	traced->answered_ns = 0;
	traced->dice = dice;
	traced->share = EBB_LOAD(tracer->share);
	EBB_STORE(traced->connected_ns, now);
	return 0;
}

/* A request has its answer, whose last byte went out at @out_ns; of the first that is kept. */
static EBB_NOINLINE int ebb_span_answered(struct bpf_sock *sock, __u64 out_ns)
{
	struct ebb_traced *traced = bpf_sk_storage_get(&ebb_traced_v2, sock, NULL, 0);
	__u64 now;

	if (!traced || !EBB_LOAD(traced->connected_ns) || EBB_LOAD(traced->answered_ns))
		return 0;
	now = bpf_ktime_get_ns();
	traced->turn_ns = ebb_turn_lasted(out_ns, now);
	EBB_STORE(traced->answered_ns, now);
	return 0;
}

/* When the SYN of one that is still connecting went out first: where it went out once, to a nanosecond. */
static __always_inline __u64 connect_began(const struct tcp_sock *tp, const struct ebb_conn *conn, __u64 now)
{
	if (conn && conn->start_ns)
		return conn->start_ns;
	if (!tp->inet_conn.icsk_retransmits && tp->tcp_wstamp_ns && tp->tcp_wstamp_ns < now)
		return tp->tcp_wstamp_ns;
	return now - ebb_connect_age_ms(tp, now) * EBB_NS_PER_MS;
}

/* What TCP knows of one that was established. */
static __always_inline void span_measure(struct ebb_span_end *span, const struct tcp_sock *tp)
{
	span->sent_bytes = ebb_tcp_sent(tp, tp->inet_conn.icsk_inet.sk.__sk_common.skc_state);
	span->received_bytes = ebb_tcp_received(tp);
	span->rtt_us = tp->srtt_us >> 3;
	span->retransmits = tp->total_retrans;
}

/*
 * It has failed, or ended, with @outcome. The socket is in the state that it leaves: that changes after
 * the callback.
 */
static EBB_NOINLINE int ebb_span_end(struct bpf_sock *sock, const struct tcp_sock *tp,
				     const struct ebb_route *route, struct ebb_conn *conn, __u32 outcome)
{
	struct ebb_tracer *tracer = ebb_tracer_get();
	struct ebb_traced *traced = NULL;
	__u64 now = bpf_ktime_get_ns();
	struct ebb_span_end *span;
	__u32 dice, share, failed;
	int connecting;

	if (!tracer || !sock || !tp || !route || outcome >= EBB_OUTCOME_MAX ||
	    now >= EBB_LOAD(tracer->until_ns))
		return 0;
	if (route->class != EBB_CLASS_GOVERNED ||
	    (conn && (conn->flags & (EBB_CONN_ADOPTED | EBB_CONN_SPANNED))))
		return 0;
	connecting = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state == BPF_TCP_SYN_SENT ||
		     tp->inet_conn.icsk_inet.sk.__sk_common.skc_state == BPF_TCP_SYN_RECV;
	/* of an earlier connection of the socket there is nothing left in it */
	if (!connecting && tp->inet_conn.icsk_inet.sk.sk_bpf_storage)
		traced = bpf_sk_storage_get(&ebb_traced_v2, sock, NULL, 0);
	if (traced && !traced->connected_ns)
		traced = NULL;
	failed = (route->policy->count_mask >> outcome) & 1 && outcome != EBB_OUTCOME_ESTABLISHED;
	dice = traced ? traced->dice : bpf_get_prandom_u32();
	share = traced ? traced->share : EBB_LOAD(tracer->share);
	if (!failed && (connecting ? dice > share : !traced))
		return 0;
	span = span_reserve(tracer);
	if (!span)
		return 0;
	__builtin_memset(span, 0, sizeof(*span));
	span->at_ns = now;
	span_name(span, route);
	span->outcome = outcome;
	span->flags = (failed ? EBB_SPAN_FAILED : 0) | (conn && conn->probe_word ? EBB_SPAN_PROBE : 0);
	span->dice = dice;
	span->share = share;
	ebb_key_from_bpf_sock(&span->peer, sock);
	if (connecting)
		span->start_ns = connect_began(tp, conn, now);
	else
		span_measure(span, tp);
	if (traced) {
		span->start_ns = traced->start_ns;
		span->connected_ns = traced->connected_ns;
		span->answered_ns = EBB_LOAD(traced->answered_ns);
		span->turn_ns = span->answered_ns ? traced->turn_ns : 0;
		EBB_STORE(traced->connected_ns, 0);
	}
	bpf_ringbuf_submit(span, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif /* EBB_SPAN_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What we remember of a socket, and its life. Only sockets that need it have a
 * memory, since making one costs 0.8 us: a probe, a holder of a concurrency
 * slot, one whose address another program rewrites, one of a gate that has moved
 * before, one that found no room and counts in ~other, one whose address is about to
 * belong to another destination, one in whose error queue an
 * earlier attempt left something. A socket without one began with its gate closed, in the plain
 * generation of the gate: 0, until the gate has moved and the agent has found it closed for a while;
 * then those from before get a memory, and the plain generation is the present one (agent/plain.h).
 * While turns are seen, a connection gets one when it speaks again after it was answered.
 *
 *	connect hook        made where needed, LIVE
 *	CONNECT_CB          SYN: from here on STATE_CB is sure to come
 *	ESTABLISHED         the probe has its result
 *	STATE_CB to CLOSE   everything is given back, forgotten
 *	sock_release        the program lets go: the slot is given back; without SYN all of it
 *	connect again       what a local failure left is given back first
 *
 * One that was open before us (ADOPTED) gets its memory from seed.bpf.c, and gives all
 * back at the first of: STATE_CB to CLOSE where it is armed (arm.bpf.c), sock_release, connect again.
 */
#ifndef EBB_CONN_H
#define EBB_CONN_H

#include "bpf/compat.h"
#include "bpf/gate.h"
#include "bpf/maps.h"
#include "bpf/stats.h"

/* What CONNECT_CB arms. A socket that has them all is ours, or the child of a listener that once connected. */
#define EBB_CALLBACKS	   (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG)
/* And what it has when it is established: before, the handshake's own RTT would be one call more. */
#define EBB_CALLBACKS_OPEN (EBB_CALLBACKS | BPF_SOCK_OPS_RTT_CB_FLAG)

/*
 * Did we see it connect? Not one that answers a client, which another program may have armed, or which has the flags of
 * its listener: its peer's address, with a port of chance, may be one that a rule claims.
 */
static __always_inline int ebb_sock_is_armed(const struct tcp_sock *tp)
{
	return (tp->bpf_sock_ops_cb_flags & EBB_CALLBACKS) == EBB_CALLBACKS &&
	       !ebb_sock_was_accepted(&tp->inet_conn.icsk_inet);
}

/* The program may still say something, whatever the peer has said. */
static __always_inline int ebb_is_established(__u32 state)
{
	return state == BPF_TCP_ESTABLISHED || state == BPF_TCP_CLOSE_WAIT;
}

/* What is to be armed of a connection in @state: who has said all is not paced any more. */
static __always_inline __u32 ebb_callbacks_of(__u32 state)
{
	return ebb_is_established(state) ? EBB_CALLBACKS_OPEN : EBB_CALLBACKS;
}

/* The memory of a socket, made where it has none: then all of it is 0. NULL: it cannot be had. */
static __always_inline struct ebb_conn *ebb_conn_make(void *sock)
{
	struct ebb_conn *conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn)
		ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
	return conn;
}

/* Was it adopted, and does nothing call back that would pace it, or tell of its end? */
static __always_inline int ebb_conn_is_deaf(const struct ebb_conn *conn, const struct tcp_sock *tp)
{
	__u32 state = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state, callbacks = ebb_callbacks_of(state);
	__u32 both = EBB_CONN_LIVE | EBB_CONN_ADOPTED;

	if (!conn || (EBB_LOAD(conn->flags) & both) != both)
		return 0;
	/* one that was disconnected, and listens or waits to connect again, is no connection any more */
	return state != BPF_TCP_CLOSE && state != BPF_TCP_LISTEN &&
	       (tp->bpf_sock_ops_cb_flags & callbacks) != callbacks;
}

/* A memory begins. Its flags are written last by the caller. */
static __always_inline void ebb_conn_begin(struct ebb_conn *conn, __u32 pair, __u32 pair_epoch, __u32 dst,
					   __u32 dst_epoch, __u32 gen)
{
	conn->probe_word = 0;
	conn->start_ns = 0;
	conn->pair = pair;
	conn->pair_epoch = pair_epoch;
	conn->dst = dst;
	conn->dst_epoch = dst_epoch;
	conn->gen = gen;
	conn->probe_index = 0;
	conn->old_errors = 0;
	conn->own_pace = 0;
	conn->sent_bytes = 0;
	conn->received_bytes = 0;
	conn->retransmits = 0;
	conn->pace = 0;
	conn->sender_epoch = 0;
	conn->turn.out_ns = 0;
	conn->turn.ended.seq = 0;
	conn->turn.ended.count = 0;
}

/*
 * A memory that begins when its connection has been open for a while, and before its flags are written: a first turn
 * that is over has given its result, and must not be taken for one that is still open. Returns the flags that say so.
 * Payload @received and @acked, which ends at number @una.
 */
static __always_inline __u32 ebb_conn_take_up(struct ebb_conn *conn, __u64 received, __u64 acked, __u32 una)
{
	if (!ebb_turn_is_later(received, acked))
		return 0;
	conn->turn.ended.seq = una;
	conn->turn.ended.count = 1;
	/* it was recorded, too, where somebody does */
	return EBB_CONN_JUDGED | EBB_CONN_TOLD;
}

/* Takes @flag off; was it on? One of two racing contexts gets the yes. */
static __always_inline int ebb_conn_clear(struct ebb_conn *conn, __u32 flag)
{
	return (EBB_AND(&conn->flags, ~flag) & flag) != 0;
}

/*
 * A memory that has begun says all, with @flags. 0: somebody else made it speak meanwhile
 * (seed.bpf.c holds no lock), and what that one says stands.
 */
static __always_inline int ebb_conn_speak(struct ebb_conn *conn, __u32 flags)
{
	__u32 old = EBB_LOAD(conn->flags);

	return !(old & EBB_CONN_LIVE) && EBB_CAS(&conn->flags, old, flags) == old;
}

static __always_inline void ebb_conn_set(struct ebb_conn *conn, __u32 flag)
{
	EBB_OR(&conn->flags, flag);
}

static __always_inline void ebb_conn_give_slot(struct ebb_conn *conn, struct ebb_gate *gate)
{
	__u32 errors;

	if (!ebb_conn_clear(conn, EBB_CONN_SLOT))
		return;
	errors = ebb_slot_give(gate);
	if (errors)
		ebb_count_errors(errors);
}

/* It is paced no longer. */
static __always_inline void ebb_conn_end_pacing(struct ebb_conn *conn, struct ebb_gate *gate)
{
	if (ebb_conn_clear(conn, EBB_CONN_PACED))
		ebb_gauge_down(&gate->paced);
}

/* The memory is forgotten; a slot that is taken in the same moment is not lost. */
static __always_inline void ebb_conn_end(struct ebb_conn *conn, struct ebb_gate *gate)
{
	__u32 errors;

	ebb_conn_end_pacing(conn, gate);
	if (!(EBB_EXCHANGE(&conn->flags, 0) & EBB_CONN_SLOT))
		return;
	errors = ebb_slot_give(gate);
	if (errors)
		ebb_count_errors(errors);
}

/*
 * One that was adopted while it connected is established now. Told by the callback and
 * by seed.bpf.c, which may have come too late for it: one of them counts it.
 */
static __always_inline void ebb_conn_opened(struct ebb_conn *conn, struct ebb_pair *pair)
{
	__u32 old;

	for (int i = 0; i < EBB_CAS_TRIES; i++) {
		old = EBB_LOAD(conn->flags);
		if (!(old & EBB_CONN_OPENING))
			return;
		ebb_add(&pair->active, 1);
		if (EBB_CAS(&conn->flags, old, (old & ~EBB_CONN_OPENING) | EBB_CONN_ACTIVE) == old)
			return;
		ebb_add(&pair->active, (__u64)-1);
	}
	ebb_count_error(EBB_ERR_CAS_EXHAUSTED);
}

/* An adopted connection counts no longer; whoever sees its end first says so. */
static __always_inline void ebb_conn_end_adopted(struct ebb_conn *conn, struct ebb_pair *pair)
{
	if ((conn->flags & EBB_CONN_ADOPTED) && ebb_conn_clear(conn, EBB_CONN_ACTIVE))
		ebb_gauge_down(&pair->active);
}

/* Ends the probe that the socket holds, if any. Returns EBB_RESULT_*. */
static __always_inline __u32 ebb_conn_end_probe(struct ebb_conn *conn, struct ebb_gate *gate, __u64 now_ns,
						enum ebb_probe_end end)
{
	if (!ebb_conn_clear(conn, EBB_CONN_PROBE))
		return 0;
	return ebb_probe_finish(gate, conn->probe_index, conn->probe_word, now_ns, end);
}

/*
 * The probe is established, and its result is that of its first turn: from now on its lease is @lease_ticks. One
 * whose slot was taken over meanwhile, or whose lease is over, has failed: what comes of it moves nothing.
 */
static __always_inline void ebb_conn_prolong_probe(struct ebb_conn *conn, struct ebb_gate *gate,
						   __u64 lease_ticks, __u64 now_ns)
{
	__u64 word = ebb_probe_prolong(gate, conn->probe_index, conn->probe_word, lease_ticks, now_ns);

	if (word) {
		conn->probe_word = word;
		return;
	}
	ebb_conn_set(conn, EBB_CONN_MUTE);
}

#endif /* EBB_CONN_H */

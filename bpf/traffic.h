/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a TCP socket has sent and received, counted for its pair: as it goes for a
 * socket with a memory, which knows what is counted already, else once when it closes.
 */
#ifndef EBB_TRAFFIC_H
#define EBB_TRAFFIC_H

#include "bpf/conn.h"
#include "bpf/maps.h"
#include "bpf/stats.h"

/*
 * Payload sent once, retransmissions and what our own limits dropped left out: what is
 * acknowledged and what is on its way, without the SYN (an active open counts it as
 * acknowledged) and the FIN, which both take a number. bytes_sent would count a
 * segment again each time that it was tried.
 */
static __always_inline __u64 ebb_tcp_sent(const struct tcp_sock *tp, __u32 state)
{
	__u64 sent = tp->bytes_acked + (__u32)(tp->snd_nxt - tp->snd_una);
	__u64 flags = 1;

	/* a FIN is the last of what is queued: it went when all of it did */
	if ((state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 || state == BPF_TCP_CLOSING ||
	     state == BPF_TCP_LAST_ACK) &&
	    tp->snd_nxt == tp->write_seq)
		flags++;
	return sent > flags ? sent - flags : 0;
}

/* Payload of @received (bytes_received) without the FIN, which takes a number here, too; the kernel then says in @flags that the peer is done. */
static __always_inline __u64 ebb_received_payload(__u64 received, __u64 flags)
{
	return received - ((flags >> SOCK_DONE) & 1);
}

static __always_inline __u64 ebb_tcp_received(const struct tcp_sock *tp)
{
	return ebb_received_payload(tp->bytes_received, tp->inet_conn.icsk_inet.sk.__sk_common.skc_flags);
}

/* Payload of what the peer has acknowledged (bytes_acked), without the SYN. */
static __always_inline __u64 ebb_acked_payload(__u64 acked)
{
	return acked > 1 ? acked - 1 : 0;
}

/* @state: the socket's, or the one that it leaves. */
static EBB_NOINLINE int ebb_traffic_count(struct ebb_conn *conn, struct ebb_pair *pair,
					  const struct tcp_sock *tp, __u32 state)
{
	__u64 sent, received;
	__u32 retransmits;

	if (!pair || !tp)
		return 0;
	sent = ebb_tcp_sent(tp, state);
	received = ebb_tcp_received(tp);
	retransmits = tp->total_retrans;
	if (conn) {
		/* two processors may count at once: each adds what it took on */
		__u64 sent_before = conn->sent_bytes, received_before = conn->received_bytes;
		__u32 retransmits_before = conn->retransmits;

		if (sent > sent_before && EBB_CAS(&conn->sent_bytes, sent_before, sent) == sent_before)
			ebb_add(&pair->sent_bytes, sent - sent_before);
		if (received > received_before &&
		    EBB_CAS(&conn->received_bytes, received_before, received) == received_before)
			ebb_add(&pair->received_bytes, received - received_before);
		if (retransmits > retransmits_before &&
		    EBB_CAS(&conn->retransmits, retransmits_before, retransmits) == retransmits_before)
			ebb_add(&pair->retransmits, retransmits - retransmits_before);
		return 0;
	}
	if (sent)
		ebb_add(&pair->sent_bytes, sent);
	if (received)
		ebb_add(&pair->received_bytes, received);
	if (retransmits)
		ebb_add(&pair->retransmits, retransmits);
	return 0;
}

#endif /* EBB_TRAFFIC_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who opened an established TCP connection. The kernel keeps no bit that is meant to say it
 * (one says it by the way: ebb_sock_was_accepted()), but its counters do: the SYN of the side that connects takes one sequence number,
 * and the ACK of it is counted in bytes_acked; the side that accepts starts its
 * counting behind its SYN. So with
 *
 *	acked = what was sent for the first time - what is in flight
 *
 * bytes_acked is acked + 1 for the side that connected and acked for the side that
 * accepted, whatever was sent, lost, retransmitted or is in flight. Pure.
 *
 * Only for states in which no FIN of ours was sent: it takes a sequence number too.
 *
 * A segment that was dropped on its way out of this node (a packet filter, a shaper
 * that drops) counts as sent each time that TCP tries again: then the sum is lower,
 * and a connection of ours may look like one that was accepted, never the other way.
 */
#ifndef EBB_DIRECTION_H
#define EBB_DIRECTION_H

#include "bpf/abi.h"

enum ebb_direction {
	EBB_DIRECTION_UNKNOWN,
	EBB_DIRECTION_ACTIVE,  /* we connected */
	EBB_DIRECTION_PASSIVE, /* we accepted */
};

/* Of struct tcp_sock; all from one moment. */
struct ebb_sent_facts {
	__u64 bytes_sent; /* payload, retransmissions included */
	__u64 bytes_retrans;
	__u64 bytes_acked;
	__u32 snd_nxt;
	__u32 snd_una;
};

static inline __attribute__((always_inline)) enum ebb_direction ebb_direction(const struct ebb_sent_facts *f)
{
	__u64 acked = f->bytes_sent - f->bytes_retrans - (__u32)(f->snd_nxt - f->snd_una);

	if (f->bytes_acked == acked + 1)
		return EBB_DIRECTION_ACTIVE;
	if (f->bytes_acked == acked)
		return EBB_DIRECTION_PASSIVE;
	return EBB_DIRECTION_UNKNOWN;
}

#endif /* EBB_DIRECTION_H */

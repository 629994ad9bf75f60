/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A turn: one request and its answer, as they look from outside TLS. It is open from the first
 * byte that goes out to the first that comes in, and lasts from the last byte out. Pure: facts and
 * time in; packet.bpf.c and sockops.bpf.c read the facts.
 *
 *	out   ##### ####                     ##
 *	             |<---- turn ---->|        |<- turn ->|
 *	in                            ########            ####
 *
 * Where requests are sent before the last was answered (pipelining, HTTP/2) a turn is a lower
 * bound: the first byte that comes in ends it, whatever it answers. What comes in while no turn is
 * open (a server that speaks first, the rest of a stream) is no turn.
 */
#ifndef EBB_TURN_H
#define EBB_TURN_H

#include "bpf/abi.h"
#include "bpf/atomic.h"

/* Of one connection; in its memory. */
struct ebb_turn_state {
	__u64 out_ns; /* when the last byte of the open turn went out; 0: none is open */
	__u32 bytes;  /* that went out in it */
	__u32 done;   /* turns that were answered */
};

/*
 * A turn that nobody answered says something of the peer only if an answer was due: a request
 * is the first thing that a connection is for, or at least so long. What is shorter may be
 * a farewell (QUIT, a Terminate message, GOAWAY), a ping, or a window update.
 */
#define EBB_TURN_LEAST_BYTES 128

/*
 * TLS says farewell by an alert record before the FIN. Its type shows up to 1.2, and in a handshake; in 1.3 it is
 * hidden, but a record as short as an alert's (two bytes, a type, a tag of 16) is hardly anything else.
 */
#define EBB_TLS_RECORD_HEADER 5
#define EBB_TLS_ALERT_MOST    64 /* bytes with a header, of any cipher */
#define EBB_TLS_TYPE_ALERT    21
#define EBB_TLS_TYPE_DATA     23

enum ebb_tls_alert {
	EBB_TLS_NO_ALERT,
	EBB_TLS_ALERT_OPEN,   /* in clear text: of a handshake, which it ends */
	EBB_TLS_ALERT_SECRET, /* after a handshake */
};

/* Is a segment whose @payload bytes begin with @header (EBB_TLS_RECORD_HEADER of them) an alert? */
static inline __attribute__((always_inline)) enum ebb_tls_alert ebb_tls_alert_of(const __u8 *header,
										 __u32 payload)
{
	__u32 length = (__u32)header[3] << 8 | header[4];

	if (header[1] != 3 || EBB_TLS_RECORD_HEADER + length != payload || payload > EBB_TLS_ALERT_MOST)
		return EBB_TLS_NO_ALERT;
	if (header[0] == EBB_TLS_TYPE_ALERT)
		return length == 2 ? EBB_TLS_ALERT_OPEN : EBB_TLS_ALERT_SECRET;
	return header[0] == EBB_TLS_TYPE_DATA && length == 2 + 1 + 16 ? EBB_TLS_ALERT_SECRET
								      : EBB_TLS_NO_ALERT;
}

/*
 * @payload new bytes go out. Not atomic as a whole: an answer that comes in this very moment may
 * leave the turn open that it ends, with its bytes, until the next one comes in.
 */
static inline __attribute__((always_inline)) void ebb_turn_out(struct ebb_turn_state *turn, __u64 now_ns,
							       __u32 payload)
{
	__u32 bytes = EBB_LOAD(turn->out_ns) ? turn->bytes : 0;

	turn->bytes = bytes + payload < bytes ? ~0U : bytes + payload;
	EBB_STORE(turn->out_ns, now_ns ? now_ns : 1);
}

/*
 * New bytes come in. 0: no turn was open; else how long it lasted, at least 1 ns: with pacing, the time
 * of a byte that went out may be ahead of the clock.
 */
static inline __attribute__((always_inline)) __u64 ebb_turn_in(struct ebb_turn_state *turn, __u64 now_ns)
{
	__u64 out_ns = EBB_EXCHANGE(&turn->out_ns, 0);

	if (!out_ns)
		return 0;
	turn->done++;
	return (__s64)(now_ns - out_ns) > 0 ? now_ns - out_ns : 1;
}

/* What becomes of the open turn of a connection that ends. */
struct ebb_turn_end {
	__u64 age_ns;	  /* since the last byte out */
	__u64 abandon_ns; /* policy: a program that gives up sooner has changed its mind */
	__u32 by_peer;	  /* the peer is done, else the program gave up */
	__u32 heard; /* BY_PEER: it has acknowledged all of the turn, so its farewell is an answer to it */
};

/*
 * Takes the open turn away and names its end: enum ebb_turn, EBB_TURN_MAX: there was none, or
 * none that an answer was due to. A peer that says farewell while a request is on its way to it (the idle end of a pooled
 * connection) has not heard it: the program's to repeat, and nobody's failure.
 */
static inline __attribute__((always_inline)) __u32 ebb_turn_end(struct ebb_turn_state *turn,
								const struct ebb_turn_end *end)
{
	__u32 due = !turn->done || turn->bytes >= EBB_TURN_LEAST_BYTES;

	if (!EBB_EXCHANGE(&turn->out_ns, 0) || !due)
		return EBB_TURN_MAX;
	if (end->by_peer)
		return end->heard ? EBB_TURN_UNANSWERED : EBB_TURN_CANCELLED;
	return end->age_ns >= end->abandon_ns ? EBB_TURN_UNANSWERED : EBB_TURN_CANCELLED;
}

/*
 * Does an unanswered turn count against the destination? Only where at least half of the last turns
 * were answered (this one among them): there are protocols that never answer. @gate counts turns since ever, the
 * agent says in @verdict from where on (core/answers.h).
 */
static inline __attribute__((always_inline)) int ebb_turn_counts(const struct ebb_gate *gate,
								 const struct ebb_verdict *verdict)
{
	return EBB_LOAD(gate->turns_answered) - EBB_LOAD(verdict->answered_from) >=
	       EBB_LOAD(gate->turns_unanswered) - EBB_LOAD(verdict->unanswered_from);
}

#endif /* EBB_TURN_H */

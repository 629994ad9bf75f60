/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A turn: one request and its answer, as they look from outside TLS. It is open from the first
 * byte that goes out to the first that comes in, and lasts from the last byte out. Pure: facts and
 * time in; turns.h reads the facts.
 *
 *	out   ##### ####                     ##
 *	             |<---- turn ---->|        |<- turn ->|
 *	in                            ########            ####
 *
 * Where requests are sent before the last was answered (pipelining, HTTP/2) a turn is a lower
 * bound: the first byte that comes in ends it, whatever it answers. What comes in while no turn is
 * open (a server that speaks first, the rest of a stream) is no turn.
 *
 * That a turn is open, and since when, TCP knows itself: something was sent since the last turn ended, and
 * it keeps when it sent what. So only what comes in is looked at; and only a connection that speaks again after
 * it was answered has to remember where its last turn ended. Of the others it shows in the counters of TCP:
 *
 *	sent  received  unacknowledged  acknowledged
 *	no    -         -               -               nothing was asked
 *	yes   no        -               -               the first turn is open
 *	yes   yes       no              -               it is over, or what was asked since has just been acknowledged
 *	yes   yes       yes             nothing yet     the server spoke first: the first turn is open
 *	yes   yes       yes             something       a later one is open: it gets its memory
 *
 * What is asked is acknowledged by a packet that comes in, and at that moment it is not yet: so none is missed.
 */
#ifndef EBB_TURN_H
#define EBB_TURN_H

#include "bpf/abi.h"
#include "bpf/atomic.h"

/* The turns of a connection that have ended. */
union ebb_turns_ended {
	struct {
		__u32 seq; /* the end of what was written when the last one did */
		__u32 count;
	};
	__u64 word; /* both, which move together */
};

/* Of one connection; in its memory. */
struct ebb_turn_state {
	__u64 out_ns; /* when the open turn's last byte went out, where TCP has sent it again since; 0: TCP says it */
	union ebb_turns_ended ended;
};

/* What the counters of TCP say; payload only. */
struct ebb_turn_facts {
	__u32 sent;	/* segments ever */
	__u32 unacked;	/* 1: something that was written is not acknowledged */
	__u64 received; /* bytes */
	__u64 acked;	/* bytes */
};

/* Is one open, of a connection without a memory? */
static inline __attribute__((always_inline)) int ebb_turn_shows(const struct ebb_turn_facts *f)
{
	return f->sent && (!f->received || f->unacked);
}

/* And is it a later one than the first, or if none is open, was there a first? Bytes, as in the facts. */
static inline __attribute__((always_inline)) int ebb_turn_is_later(__u64 received, __u64 acked)
{
	return received && acked;
}

/* Is one open, of a connection with a memory? @spoke: payload was sent ever. @seq: the end of what is written. */
static inline __attribute__((always_inline)) int ebb_turn_is_open(const struct ebb_turn_state *state,
								  __u32 spoke, __u32 seq)
{
	return spoke && (!EBB_LOAD(state->ended.count) || EBB_LOAD(state->ended.seq) != seq);
}

/* Bytes that went out in it. A first turn has no beginning that is known, and needs none. */
static inline __attribute__((always_inline)) __u32 ebb_turn_bytes(const struct ebb_turn_state *state,
								  __u32 seq)
{
	return state->ended.count ? seq - state->ended.seq : ~0U;
}

/*
 * Takes the open turn away. 0: there is none, or another processor has ended it at this moment.
 *
 * Tolerated: an answer that looked at @seq before the program asked again, and comes here after the answer to
 * that, ends a turn of its own, and one more is ended by the next.
 */
static inline __attribute__((always_inline)) int ebb_turn_take(struct ebb_turn_state *state, __u32 spoke,
							       __u32 seq)
{
	union ebb_turns_ended old = {.word = EBB_LOAD(state->ended.word)}, ended;

	if (!spoke || (old.count && old.seq == seq))
		return 0;
	ended.seq = seq;
	ended.count = old.count + 1;
	if (EBB_CAS(&state->ended.word, old.word, ended.word) != old.word)
		return 0;
	EBB_STORE(state->out_ns, 0);
	return 1;
}

/* How long a turn lasted, at least 1 ns: with pacing, the time of what went out may be ahead of the clock. */
static inline __attribute__((always_inline)) __u64 ebb_turn_lasted(__u64 out_ns, __u64 now_ns)
{
	return (__s64)(now_ns - out_ns) > 0 ? now_ns - out_ns : 1;
}

/*
 * A turn that nobody answered says something of the peer only if an answer was due: a request
 * is the first thing that a connection is for, or at least so long. What is shorter may be
 * a farewell (QUIT, a Terminate message, GOAWAY), a ping, or a window update.
 */
#define EBB_TURN_LEAST_BYTES 128

/*
 * TLS says farewell by an alert record before the FIN; a server's is no answer. Its type shows up to 1.2, and in a handshake; in 1.3 it is
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
 * Has the peer acknowledged what was asked? All of a turn of @bytes; or all but the @unacked last, so few that they are our farewell
 * in reply to its own, which may be on its way when its FIN comes.
 */
static inline __attribute__((always_inline)) __u32 ebb_turn_is_heard(__u32 bytes, __u32 unacked)
{
	return !unacked || (unacked <= EBB_TLS_ALERT_MOST && bytes >= unacked + EBB_TURN_LEAST_BYTES);
}

/* The end of a connection, or of one way of it, while a turn is open. */
struct ebb_turn_end {
	__u64 age_ns;	  /* since the last byte out */
	__u64 abandon_ns; /* policy: a program that gives up sooner has changed its mind */
	__u32 bytes;	  /* that went out in it */
	__u32 first;	  /* of the connection */
	__u32 by_peer;	  /* the peer is done, else the program gave up */
	__u32 heard;	  /* by_peer: ebb_turn_is_heard(), so its farewell is an answer to it */
	__u32 held;	  /* a part of it has not left, since we hold it back */
};

/*
 * enum ebb_turn; EBB_TURN_MAX: no answer was due to it. A peer that says farewell while a request is on
 * its way to it (the idle end of a pooled connection) has not heard it: the program's to repeat, and nobody's failure. Nor is it
 * one of the destination that nobody answers what our own limit or order has not let out.
 */
static inline __attribute__((always_inline)) __u32 ebb_turn_ended(const struct ebb_turn_end *end)
{
	if (!end->first && end->bytes < EBB_TURN_LEAST_BYTES)
		return EBB_TURN_MAX;
	if (end->held)
		return EBB_TURN_CANCELLED;
	if (end->by_peer)
		return end->heard || end->first ? EBB_TURN_UNANSWERED : EBB_TURN_CANCELLED;
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

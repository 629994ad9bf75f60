/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the end of a socket is named. Pure: facts in, outcome out; the facts are
 * read in sockops.bpf.c. See docs/architecture.md for where each one comes from.
 */
#ifndef EBB_OUTCOME_H
#define EBB_OUTCOME_H

#include "bpf/abi.h"
#include "bpf/errno.h"

struct ebb_end_facts {
	__u32 sk_err;	  /* 0 when the program itself gave up */
	__u32 queued_err; /* errno of the last ICMP error that this attempt queued, 0: none */
	__u32 sk_err_soft;
	__u32 retransmits; /* of the SYN, so far */
	__u32 age_ms;	   /* since connect() */
	__u32 abandon_ms;  /* policy: younger is a cancel */
};

/*
 * A connection attempt that ended before it was established.
 *
 * A program that does not block learns of a same-node ICMP error by reading
 * SO_ERROR, which empties sk_err and sk_err_soft; the queued error is then all
 * that tells it from a cancel.
 */
static inline __attribute__((always_inline)) __u32 ebb_outcome_connecting(const struct ebb_end_facts *f)
{
	__u32 err = f->sk_err;

	if (!err)
		err = f->queued_err;
	if (!err)
		err = f->sk_err_soft;
	switch (err) {
	case 0:
		if (f->retransmits || f->age_ms >= f->abandon_ms)
			return EBB_OUTCOME_ABANDONED;
		return EBB_OUTCOME_CANCELLED;
	case EBB_E_CONNREFUSED:
	case EBB_E_CONNRESET: /* RST while a fast-open SYN carried data */
		return EBB_OUTCOME_REFUSED;
	case EBB_E_TIMEDOUT:
		return EBB_OUTCOME_TIMEOUT;
	case EBB_E_CONNABORTED: /* destroyed on this node: ss -K, bpf_sock_destroy */
		return EBB_OUTCOME_CANCELLED;
	default: /* EHOSTUNREACH, ENETUNREACH, EACCES (prohibited), ENOPROTOOPT, ... */
		return EBB_OUTCOME_UNREACHABLE;
	}
}

struct ebb_close_facts {
	__u32 sk_err;
	__u32 peer_open;  /* the program had not closed first: ESTABLISHED or CLOSE_WAIT */
	__u32 received;	  /* has a byte come back? */
	__u32 asked_last; /* data went out after the last that came in */
};

/*
 * Did an established connection that ends now fail? EBB_OUTCOME_ESTABLISHED: no.
 * An error after our own FIN, and an idle connection that the peer drops, are not failures.
 */
static inline __attribute__((always_inline)) __u32 ebb_outcome_established(const struct ebb_close_facts *f)
{
	if (!f->peer_open)
		return EBB_OUTCOME_ESTABLISHED;
	if (f->received && !f->asked_last)
		return EBB_OUTCOME_ESTABLISHED;
	switch (f->sk_err) {
	case EBB_E_CONNRESET:
	case EBB_E_PIPE:
	case EBB_E_TIMEDOUT:
	case EBB_E_HOSTUNREACH:
	case EBB_E_NETUNREACH:
		return EBB_OUTCOME_RESET;
	default:
		return EBB_OUTCOME_ESTABLISHED;
	}
}

#endif /* EBB_OUTCOME_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a UDP socket in a connect or sendmsg hook: whose it is, and
 * whether it answers somebody.
 *
 * ctx->sk of an AF_INET6 socket can be read on every kernel. Of an AF_INET socket
 * there is no helper for it; bpf_rdonly_cast can, from 6.2 on. Until then such a
 * socket counts for the cgroup of the task that uses it, which differs from its
 * own only where it was handed over, or the task was moved.
 */
#ifndef EBB_UDP_H
#define EBB_UDP_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"

#define EBB_SOCK_BINDPORT_LOCK 8 /* net/sock.h: bind() was given the port */

/* Where the stack takes a port by itself, unless a sysctl of the namespace says otherwise. */
#define EBB_FIRST_EPHEMERAL_PORT 32768

/* NULL: it cannot be read. @cast: a constant, since a kernel without the function refuses to load the call. */
static __always_inline const struct sock *ebb_udp_sock(struct bpf_sock *sk, int cast)
{
	struct udp6_sock *udp6;

	if (cast)
		return ebb_sock(sk);
	udp6 = bpf_skc_to_udp6_sock(sk);
	return udp6 ? &udp6->udp.inet.sk : NULL;
}

/* @sk: may be NULL */
static __always_inline __u64 ebb_udp_workload(const struct sock *sk)
{
	return sk ? ebb_sock_workload(sk) : bpf_get_current_cgroup_id();
}

/*
 * Does a socket with the local port @from that sends to @to answer a client? One does
 * whose port was chosen by bind() and is the lower of the two, as the port of a service
 * is. A server may have a new client with every datagram: none of them is a destination.
 */
static __always_inline int ebb_udp_answers(const struct sock *sk, __u32 from, __u32 to)
{
	if (!from || from >= to)
		return 0;
	if (!sk)
		return from < EBB_FIRST_EPHEMERAL_PORT;
	return (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & EBB_SOCK_BINDPORT_LOCK) != 0;
}

#endif /* EBB_UDP_H */

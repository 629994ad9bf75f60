/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What differs between kernels, and plain loads of kernel structures. Direct
 * loads only: bpf_core_read and bpf_probe_read are refused under lockdown.
 */
#ifndef EBB_COMPAT_H
#define EBB_COMPAT_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kfunc.h"

/* net/sock_reuseport, uapi: not in BTF as macros are not. */
#define EBB_NS_PER_MS 1000000ULL
#define EBB_NS_PER_US 1000ULL

/*
 * A full socket as the kernel has it, to be read. For a constant @cast alone: a kernel without bpf_rdonly_cast refuses to load
 * the call. The verifier makes a move of a register of it, where a helper is a call: 12 ns and more where the processor
 * guards returns.
 */
static __always_inline struct sock *ebb_sock(const void *sock)
{
	return bpf_rdonly_cast(sock, bpf_core_type_id_kernel(struct sock));
}

/* The same of TCP. @cast: a constant, 1: the kernel has bpf_rdonly_cast, and the caller knows that it is one of TCP. */
static __always_inline struct tcp_sock *ebb_tcp_sock(struct bpf_sock *sock, int cast)
{
	if (cast)
		return bpf_rdonly_cast(sock, bpf_core_type_id_kernel(struct tcp_sock));
	return bpf_skc_to_tcp_sock(sock);
}

/* The workload of a socket: the cgroup it was created in, whoever uses it now. */
static __always_inline __u64 ebb_sock_workload(const struct sock *sk)
{
	return sk->sk_cgrp_data.cgroup->kn->id;
}

/*
 * Milliseconds since connect() of a socket in SYN_SENT. retrans_stamp is set
 * when the SYN is made and stays over its retransmissions, in ms of the
 * monotonic clock, or in us where the route asks for it (6.7).
 */
static __always_inline __u32 ebb_connect_age_ms(const struct tcp_sock *tp, __u64 now_ns)
{
	__u32 stamp = tp->retrans_stamp;

	if (!stamp)
		return 0;
	if (bpf_core_field_exists(tp->tcp_usec_ts) && BPF_CORE_READ_BITFIELD(tp, tcp_usec_ts))
		return ((__u32)(now_ns / EBB_NS_PER_US) - stamp) / 1000;
	return (__u32)(now_ns / EBB_NS_PER_MS) - stamp;
}

/*
 * The errno of the last ICMP error queued on a socket, 0: none but the @known ones.
 * struct sock_exterr_skb lies in skb->cb; ee_errno is the first member of its @ee.
 */
static __always_inline __u32 ebb_sock_queued_error(const struct sock *sk, __u32 known)
{
	const struct sk_buff *skb;
	__u32 at = bpf_core_field_offset(struct sock_exterr_skb, ee);

	if (sk->sk_error_queue.qlen <= known)
		return 0;
	skb = sk->sk_error_queue.prev;
	if (!skb || at + 1 >= sizeof(skb->cb))
		return 0;
	return (__u8)skb->cb[at] | (__u32)(__u8)skb->cb[at + 1] << 8;
}

/* Is somebody changing it? A program in a system call owns it, the network holds the spin lock. */
static __always_inline int ebb_sock_is_locked(const struct sock *sk)
{
	if (*(const volatile int *)&sk->sk_lock.owned)
		return 1;
	/* not with PREEMPT_RT, where it is a sleeping lock */
	if (bpf_core_field_exists(sk->sk_lock.slock.rlock.raw_lock.val.counter))
		return *(const volatile int *)&sk->sk_lock.slock.rlock.raw_lock.val.counter != 0;
	return 0;
}

#define EBB_CGROUP_DEPTH 64 /* deeper is not looked for */

/* Is it the cgroup with this id, or below it? */
static __always_inline int ebb_cgroup_is_below(const struct cgroup *cgroup, __u64 cgroup_id)
{
	const struct cgroup_subsys_state *css;

	for (int i = 0; i < EBB_CGROUP_DEPTH && cgroup; i++) {
		if (cgroup->kn->id == cgroup_id)
			return 1;
		css = cgroup->self.parent;
		if (!css)
			return 0;
		cgroup = css->cgroup;
	}
	return 0;
}

/* Who uses io_uring can hold sockets that are in no table of files. */
static __always_inline int ebb_task_may_hide(const struct task_struct *task, __u64 cgroup_id)
{
	return bpf_core_field_exists(task->io_uring) && task->io_uring && task->cgroups &&
	       ebb_cgroup_is_below(task->cgroups->dfl_cgrp, cgroup_id);
}

static __always_inline int ebb_sock_is_below(const struct sock *sk, __u64 cgroup_id)
{
	return ebb_cgroup_is_below(sk->sk_cgrp_data.cgroup, cgroup_id);
}

/* No program has it open any more. */
static __always_inline int ebb_sock_is_orphan(const struct sock *sk)
{
	return (sk->__sk_common.skc_flags >> SOCK_DEAD) & 1;
}

/*
 * Was it accepted from a listener? Such a one keeps the device on which its client came as the one by which multicast
 * would leave: nothing else sets that on a stream socket, where setsockopt() refuses to.
 */
static __always_inline int ebb_sock_was_accepted(const struct inet_sock *inet)
{
	const struct ipv6_pinfo *np;

	if (inet->mc_index)
		return 1;
	if (!bpf_core_field_exists(inet->pinet6))
		return 0;
	np = inet->pinet6;
	return np && np->mcast_oif;
}

/* The program has closed it, or the peer has: nothing more comes in. With only our half closed it does (RCV_SHUTDOWN). */
static __always_inline int ebb_sock_hears_no_more(const struct sock *sk)
{
	return sk->sk_shutdown & 1;
}

/* A subflow of MPTCP belongs to the kernel: sock_release never runs for it. */
static __always_inline int ebb_sock_is_kernel(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD(sk, sk_kern_sock);
}

#endif /* EBB_COMPAT_H */

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Arms connections that were adopted (seed.bpf.c): from then on they call back as those do that we
 * saw connect, are paced, and their end is seen. Walks the sockets of one network namespace, that of the task which
 * makes the iterator. Only such an iterator may set callbacks (6.12), and it holds the socket's lock meanwhile: so none
 * comes between, and no memory ends.
 *
 * Never touched is what was not adopted: who opened a connection, and whether it is ours, was decided there.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/maps.h"
#include "bpf/stats.h"

#define SOL_TCP 6

__u64 ebb_arms = 0; /* since load */

SEC("iter/tcp")
int ebb_arm_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct ebb_agent *agent = ebb_agent_get();
	struct ebb_conn *conn;
	struct tcp_sock *tp;
	__u32 callbacks;
	struct sock *sk;

	if (!skc || !agent)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	/* most sockets have no storage of anybody at all */
	if (!sk->sk_bpf_storage || !ebb_sock_is_below(sk, agent->cgroup_id))
		return 0;
	conn = bpf_sk_storage_get(&ebb_conn_v2, sk, NULL, 0);
	if (!ebb_conn_is_deaf(conn, tp))
		return 0;
	/* one word for the programs of everybody */
	callbacks = tp->bpf_sock_ops_cb_flags | ebb_callbacks_of(skc->skc_state);
	if (bpf_setsockopt(skc, SOL_TCP, TCP_BPF_SOCK_OPS_CB_FLAGS, &callbacks, sizeof(callbacks)))
		return 0;
	ebb_conn_set(conn, EBB_CONN_SYN);
	ebb_add(&ebb_arms, 1);
	return 0;
}

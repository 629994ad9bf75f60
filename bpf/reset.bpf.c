// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * established: reset. Destroys the live connections of gates that are open: the
 * program sees ECONNABORTED at once, the peer a RST. Walks the sockets of one network
 * namespace, that of the task which reads the iterator; each is locked meanwhile.
 *
 * Without bpf_sock_destroy (before 6.5) it writes which they are, and whoever reads that
 * destroys them by netlink.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/enforce.h"
#include "bpf/gate.h"
#include "bpf/maps.h"
#include "bpf/route.h"
#include "bpf/stats.h"

__u64 ebb_resets = 0; /* since load */

/* The same sockets are ours as in sockops.bpf.c: with a memory, or armed and found by address. */
static __always_inline int find(const struct tcp_sock *tp, struct sock *sk, struct ebb_route *ret_route)
{
	struct ebb_conn *conn = bpf_sk_storage_get(&ebb_conn_v2, sk, NULL, 0);

	if (conn && (conn->flags & EBB_CONN_LIVE))
		return ebb_route_conn(conn, ret_route);
	if (!ebb_sock_is_armed(tp))
		return 0;
	return ebb_route_find(sk, ret_route);
}

static __always_inline void tell(struct bpf_iter__tcp *ctx, struct sock *sk, const struct ebb_route *route)
{
	const struct sock_common *skc = &sk->__sk_common;
	struct ebb_doomed doomed = {
		.cookie = bpf_get_socket_cookie(sk),
		.local_port = bpf_htons(skc->skc_num),
		.peer_port = skc->skc_dport,
		.family = skc->skc_family,
		.device = skc->skc_bound_dev_if,
		.pair = route->pair_slot,
	};

	if (skc->skc_family == EBB_AF_INET) {
		doomed.local[0] = skc->skc_rcv_saddr;
		doomed.peer[0] = skc->skc_daddr;
	} else {
		for (int i = 0; i < 4; i++) {
			doomed.local[i] = skc->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
			doomed.peer[i] = skc->skc_v6_daddr.in6_u.u6_addr32[i];
		}
	}
	bpf_seq_write(ctx->meta->seq, &doomed, sizeof(doomed));
}

SEC("iter/tcp")
int ebb_reset(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct ebb_agent *agent = ebb_agent_get();
	const struct ebb_policy *node;
	struct ebb_route route = {};
	struct tcp_sock *tp;
	struct sock *sk;

	if (!skc || !agent)
		return 0;
	if (skc->skc_state != BPF_TCP_ESTABLISHED && skc->skc_state != BPF_TCP_CLOSE_WAIT)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	if (!ebb_sock_is_below(sk, agent->cgroup_id) || !find(tp, sk, &route) ||
	    route.class != EBB_CLASS_GOVERNED)
		return 0;
	node = ebb_node_policy();
	if (!node || route.dst_slot == EBB_SLOT_OTHER ||
	    !ebb_gate_resets(route.breaker, route.verdict, route.policy, node, agent, bpf_ktime_get_ns()))
		return 0;
	if (!ebb_config.has_sock_destroy) {
		tell(ctx, sk, &route);
		return 0;
	}
	if (bpf_sock_destroy(skc))
		return 0;
	ebb_add(&route.pair->reset, 1);
	ebb_add(&ebb_resets, 1);
	return 0;
}

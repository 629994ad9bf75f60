// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is really open, counted for each pair and gate, so that the agent can hold the gauges
 * against it (user/core/recount.h). Counts and changes nothing.
 *
 * Two walks that meet no socket twice between them. That over the memories is complete: every holder of a
 * concurrency slot and every paced one has a memory, and the walk finds it in whatever network
 * namespace, process, or none. Connections without a memory are found among the open files of
 * the processes that we can see.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/maps.h"
#include "bpf/route.h"

struct ebb_counting ebb_counting = {};

/* Where a memory counts; 0: its slots have other owners by now. */
static __always_inline int gate_of(const struct ebb_conn *conn, __u32 *ret_gate)
{
	__u32 pair_slot = conn->pair, dst_slot = conn->dst;
	struct ebb_pair *pair = bpf_map_lookup_elem(&ebb_pstat_v2, &pair_slot);
	struct ebb_dst *dst = bpf_map_lookup_elem(&ebb_dst_v2, &dst_slot);

	if (!pair || !dst || pair->epoch != conn->pair_epoch || dst->epoch != conn->dst_epoch)
		return 0;
	if (dst->scope == EBB_SCOPE_NODE)
		*ret_gate = dst_slot;
	else
		*ret_gate = pair_slot == EBB_SLOT_OTHER ? EBB_SLOT_OTHER : ebb_config.dst_max + pair_slot;
	return 1;
}

static __always_inline void count_active(__u32 pair)
{
	struct ebb_counted *counted = bpf_map_lookup_elem(&ebb_count_v2, &pair);

	if (counted)
		__sync_fetch_and_add(&counted->active, 1);
}

SEC("iter/bpf_sk_storage_map")
int ebb_recount(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	const struct ebb_conn *conn = ctx->value;
	struct ebb_counted *counted;
	__u32 gate, flags;

	if (!conn || !ctx->sk)
		return 0;
	flags = EBB_LOAD(conn->flags);
	if (!(flags & EBB_CONN_LIVE) || !gate_of(conn, &gate))
		return 0;
	if (flags & EBB_CONN_ACTIVE)
		count_active(conn->pair);
	counted = bpf_map_lookup_elem(&ebb_count_v2, &gate);
	if (!counted)
		return 0;
	if (flags & EBB_CONN_SLOT)
		__sync_fetch_and_add(&counted->slots, 1);
	if (flags & EBB_CONN_PACED)
		__sync_fetch_and_add(&counted->paced, 1);
	return 0;
}

/* The same file is open in every process that forked from its owner. */
static __always_inline int is_met(const struct file *file)
{
	__u64 inode = file->f_inode->i_ino;
	__u32 *met = bpf_map_lookup_elem(&ebb_met_v2, &inode), pass = ebb_counting.pass;

	if (met && *met == pass)
		return 1;
	if (bpf_map_update_elem(&ebb_met_v2, &inode, &pass, BPF_ANY))
		__sync_fetch_and_add(&ebb_counting.left_out, 1);
	return 0;
}

/* Has it been counted by ACTIVE_ESTABLISHED, and not yet been taken off by its end? */
static __always_inline int is_counted(const struct sock *sk)
{
	switch (EBB_LOAD(sk->__sk_common.skc_state)) {
	case BPF_TCP_ESTABLISHED:
	case BPF_TCP_FIN_WAIT1:
	case BPF_TCP_FIN_WAIT2:
	case BPF_TCP_CLOSE_WAIT:
	case BPF_TCP_LAST_ACK:
	case BPF_TCP_CLOSING:
		return 1;
	default:
		return 0;
	}
}

SEC("iter/task_file")
int ebb_recfile(struct bpf_iter__task_file *ctx)
{
	struct ebb_agent *agent = ebb_agent_get();
	const struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct ebb_route route = {};
	struct ebb_conn *conn;
	struct socket *socket;
	struct tcp_sock *tp;
	struct sock *sk;

	if (!file || !agent || !task)
		return 0;
	if (ebb_task_may_hide(task, agent->cgroup_id))
		__sync_fetch_and_add(&ebb_counting.hidden, 1);
	socket = bpf_sock_from_file(file);
	tp = socket && socket->sk ? bpf_skc_to_tcp_sock(socket->sk) : NULL;
	if (!tp)
		return 0;
	sk = &tp->inet_conn.icsk_inet.sk;
	if (!ebb_sock_is_below(sk, agent->cgroup_id) || !is_counted(sk) || !ebb_sock_is_armed(tp))
		return 0;
	conn = bpf_sk_storage_get(&ebb_conn_v2, sk, NULL, 0);
	if ((conn && (conn->flags & EBB_CONN_LIVE)) || is_met(file))
		return 0;
	if (ebb_route_find(sk, &route))
		count_active(route.pair_slot);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of other people at the same hooks: one rewrites addresses as a
 * service proxy does, one refuses by itself, one arms every callback of every socket.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SERVICE	   0x7f000002 /* 127.0.0.2 is rewritten to 127.0.0.1:backend_port */
#define NO_BACKEND 0x7f000003 /* 127.0.0.3 is refused */

/* Network order. */
const volatile __u16 backend_port;

SEC("cgroup/connect4")
int test_rewrite(struct bpf_sock_addr *ctx)
{
	if (ctx->user_ip4 != bpf_htonl(SERVICE))
		return 1;
	ctx->user_ip4 = bpf_htonl(0x7f000001);
	ctx->user_port = backend_port;
	return 1;
}

SEC("cgroup/connect4")
int test_refuse(struct bpf_sock_addr *ctx)
{
	return ctx->user_ip4 != bpf_htonl(NO_BACKEND);
}

SEC("sockops")
int test_arm_all(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
	    ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_ALL_CB_FLAGS);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program lets go of a socket (close, exit, SIGKILL): what it holds is
 * given back, whatever happened to it. The one hook that also runs for a socket
 * that failed before any SYN. Without a memory there is nothing to do.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/maps.h"
#include "bpf/route.h"

static __always_inline int release(struct bpf_sock *ctx, int cast)
{
	struct ebb_route route = {};
	struct ebb_conn *conn;

	/* most sockets have no storage of anybody: a load instead of a call */
	if (cast && !ebb_sock(ctx)->sk_bpf_storage)
		return 1;
	conn = bpf_sk_storage_get(&ebb_conn_v2, ctx, NULL, 0);
	if (!conn || !(conn->flags & EBB_CONN_LIVE) || !ebb_route_conn(conn, &route))
		return 1;
	ebb_conn_give_slot(conn, route.gate);
	/* no state change may be seen of it; where one is, it finds this done */
	ebb_conn_end_adopted(conn, route.pair);
	ebb_conn_end_pacing(conn, route.gate);
	/* with a SYN out, STATE_CB comes next and names the probe's result */
	if (!(conn->flags & EBB_CONN_SYN))
		ebb_conn_end_probe(conn, ebb_route_asked(&route, conn), bpf_ktime_get_ns(), EBB_PROBE_NONE);
	return 1;
}

SEC("cgroup/sock_release")
int ebb_release(struct bpf_sock *ctx)
{
	return release(ctx, 1);
}

/* The same for a kernel without bpf_rdonly_cast (before 6.2). */
SEC("cgroup/sock_release")
int ebb_release_b(struct bpf_sock *ctx)
{
	return release(ctx, 0);
}

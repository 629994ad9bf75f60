/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gives a connection its share of the gate's rate (bpf/pace.h) by SO_MAX_PACING_RATE,
 * which only a sockops program can set on a live socket. No fq is needed: TCP paces itself.
 */
#ifndef EBB_PACING_H
#define EBB_PACING_H

#include "bpf/conn.h"
#include "bpf/enforce.h"
#include "bpf/limit.h"
#include "bpf/pace.h"
#include "bpf/route.h"
#include "bpf/traffic.h"

#define EBB_SOL_SOCKET	       1
#define EBB_SO_MAX_PACING_RATE 47
#define EBB_PACE_NONE	       (~0ULL)

/*
 * A share counts IP bytes, the pace of a socket payload. A segment of @mss bytes of
 * payload is sent with its headers.
 */
static __always_inline __u64 ebb_pace_payload(__u64 share, const struct tcp_sock *tp, __u32 family)
{
	__u64 mss = tp->mss_cache;
	__u64 headers = tp->tcp_header_len + (family == EBB_AF_INET ? 20 : 40);

	return mss ? share * mss / (mss + headers) : share;
}

static __always_inline int ebb_pace_set(struct bpf_sock_ops *ctx, __u64 rate)
{
	__u32 value = rate < ~0U ? (__u32)rate : ~0U;

	return bpf_setsockopt(ctx, EBB_SOL_SOCKET, EBB_SO_MAX_PACING_RATE, &value, sizeof(value)) == 0;
}

/* What the limits of the gate allow one connection now, bytes/s of payload; EBB_PACE_NONE: no pacing. */
static __always_inline __u64 ebb_pace_wanted(const struct tcp_sock *tp, const struct ebb_route *route,
					     int early)
{
	const struct ebb_policy *policy = route->policy;
	__u64 share = EBB_LOAD(route->gate->share), now, rate;
	const struct ebb_limit *limit;

	if (!(policy->asks & EBB_ASK_PACKET) || (!share && !early) || route->class != EBB_CLASS_GOVERNED)
		return EBB_PACE_NONE;
	now = bpf_ktime_get_ns();
	if (!ebb_is_enforced(route, now))
		return EBB_PACE_NONE;
	limit = ebb_limit_in_force(policy, EBB_LIMIT_BYTES, now, ebb_is_leased(policy, now));
	if (!share) {
		/* before the first byte: of a slow gate a first window alone would be much */
		rate = limit ? ebb_pace_rate(EBB_LOAD(limit->per_hour), 1) : 0;
		if (!rate || rate > EBB_PACE_EARLY_RATE)
			return EBB_PACE_NONE;
		share = rate;
	} else if (!limit &&
		   !ebb_limit_in_force(policy, EBB_LIMIT_PACKETS, now, ebb_is_leased(policy, now))) {
		return EBB_PACE_NONE;
	}
	/* the local port, mixed, is as good as random */
	share = ebb_pace_dither(share, (tp->inet_conn.icsk_inet.sk.__sk_common.skc_num * 0x9e3779b1U) >> 28);
	return ebb_pace_payload(share, tp, tp->inet_conn.icsk_inet.sk.__sk_common.skc_family);
}

/*
 * A smaller rate of the program's own stands, and comes back when ours goes. It is
 * noticed here: what stands in the socket and is not what we set is the program's.
 */
static EBB_NOINLINE int ebb_pace_apply(struct bpf_sock_ops *ctx, const struct tcp_sock *tp,
				       struct ebb_conn *conn, const struct ebb_route *route, int early)
{
	__u64 wanted, present, pace;

	if (!ctx || !tp || !conn || !route)
		return 0;
	wanted = ebb_pace_wanted(tp, route, early);
	pace = conn->pace;
	present = tp->inet_conn.icsk_inet.sk.sk_max_pacing_rate;
	if (!pace || present != pace)
		conn->own_pace = present;
	if (wanted >= conn->own_pace) {
		/* the program's own rate is the smaller, or nothing is wanted */
		if (pace && present == pace)
			ebb_pace_set(ctx, conn->own_pace);
		conn->pace = 0;
		ebb_conn_end_pacing(conn, route->gate);
		return 0;
	}
	/* smaller changes than 1/64 would only cost */
	if (pace && present == pace && wanted - pace + pace / 64 <= pace / 32)
		return 0;
	if (wanted >= ~0U || !ebb_pace_set(ctx, wanted))
		return 0;
	conn->pace = (__u32)wanted;
	if (!(conn->flags & EBB_CONN_PACED)) {
		ebb_conn_set(conn, EBB_CONN_PACED);
		ebb_add(&route->gate->paced, 1);
	}
	return 0;
}

#endif /* EBB_PACING_H */

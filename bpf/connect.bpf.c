// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * connect(), and sendto() of UDP: endpoint -> destination -> pair and gate; asks the
 * gate; takes probe and concurrency slots; counts. Whatever is unknown, missing or full
 * is let through, and why is counted.
 */
#define EBB_KSYM __ksym /* bpf/kfunc.h: of all that call one, this is linked first */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/dns.h"
#include "bpf/enforce.h"
#include "bpf/errno.h"
#include "bpf/gate.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/record.h"
#include "bpf/route.h"
#include "bpf/span.h"
#include "bpf/stats.h"
#include "bpf/udp.h"

#define EBB_ALLOW  1
#define EBB_REFUSE 0

/* Constants only: newer verifiers refuse a value that comes from a map (b1f7f67b74c2). */
static __always_inline void set_errno(__u32 code)
{
	switch (code) {
	case EBB_ERRNO_HOSTUNREACH:
		bpf_set_retval(-EBB_E_HOSTUNREACH);
		break;
	case EBB_ERRNO_TIMEDOUT:
		bpf_set_retval(-EBB_E_TIMEDOUT);
		break;
	case EBB_ERRNO_PERM:
		break; /* what REFUSE alone gives */
	default:
		bpf_set_retval(-EBB_E_CONNREFUSED);
		break;
	}
}

/* Without bpf_set_retval a socket that is bound to a device cannot be refused. */
static __always_inline int can_refuse(struct bpf_sock_addr *ctx)
{
	if (ebb_config.has_set_retval || !ctx->sk->bound_dev_if)
		return 1;
	ebb_count_error(EBB_ERR_FALLBACK_DEVICE);
	return 0;
}

/*
 * Before 6.1 there is no bpf_set_retval here: aim the socket at port 0 of the
 * loopback, where the stack itself answers ECONNREFUSED.
 */
static __always_inline int aim_at_nothing(struct bpf_sock_addr *ctx, int v6)
{
	__u32 zero = 0;
	struct ebb_note *note = bpf_map_lookup_elem(&ebb_note_v2, &zero);
	struct ebb_conn *conn;

	/* what an earlier connect() of this socket left there is not about this one */
	if (note)
		note->cookie = 0;
	conn = bpf_sk_storage_get(&ebb_conn_v2, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (conn)
		conn->flags = EBB_CONN_DENIED;
	else
		ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
	if (!v6) {
		ctx->user_ip4 = bpf_htonl(0x7f000001);
	} else if (ctx->user_ip6[2] == bpf_htonl(0xffff)) {
		ctx->user_ip6[3] = bpf_htonl(0x7f000001);
	} else {
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = 0;
		ctx->user_ip6[3] = bpf_htonl(1);
	}
	ctx->user_port = 0;
	return EBB_ALLOW;
}

/* What a limit refuses with can be another errno than that of the breaker. */
static __always_inline __u32 errno_of(const struct ebb_policy *policy, __u32 cause)
{
	return cause == EBB_CAUSE_RATE || cause == EBB_CAUSE_CONCURRENCY ? policy->limits_errno
									 : policy->errno_code;
}

static __always_inline int refuse(struct bpf_sock_addr *ctx, __u32 errno_code, int v6)
{
	if (!ebb_config.has_set_retval)
		return aim_at_nothing(ctx, v6);
	set_errno(errno_code);
	return EBB_REFUSE;
}

/* What an earlier connect() of this socket left: it failed before any SYN, or was disconnected. */
static EBB_NOINLINE int let_go(struct ebb_conn *conn)
{
	struct ebb_route route = {};

	if (!conn)
		return 0;
	if ((conn->flags & EBB_CONN_LIVE) && ebb_route_conn(conn, &route)) {
		ebb_conn_give_slot(conn, route.gate);
		ebb_conn_end_probe(conn, ebb_route_asked(&route, conn), bpf_ktime_get_ns(), EBB_PROBE_NONE);
		ebb_conn_end_adopted(conn, route.pair);
		ebb_conn_end(conn, route.gate);
	}
	conn->flags = 0;
	return 0;
}

/*
 * Gives back what an answer took, when the socket could not be made to remember it. Its
 * token of the connection rate stays taken: it is let through, and is one connection.
 */
static EBB_NOINLINE int take_back(const struct ebb_route *route, const struct ebb_answer *answer,
				  __u64 now_ns)
{
	if (!route || !answer)
		return 0;
	if (answer->slot_taken)
		ebb_count_errors(ebb_slot_give(route->gate));
	if (answer->kind == EBB_ANSWER_PROBE)
		ebb_probe_finish(route->breaker, answer->probe_index, answer->probe_word, now_ns,
				 EBB_PROBE_NONE);
	ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
	return 0;
}

/* The per-CPU note: CONNECT_CB comes in the same system call. */
static __always_inline void leave_note(__u64 cookie, const struct ebb_endpoint *key,
				       const struct ebb_route *route, __u32 gen, __u32 has_conn)
{
	__u32 zero = 0;
	struct ebb_note *note = bpf_map_lookup_elem(&ebb_note_v2, &zero);

	if (!note)
		return;
	note->cookie = cookie;
	note->pair = route->pair_slot;
	note->pair_epoch = route->pair->epoch;
	note->dst = route->dst_slot;
	note->dst_epoch = route->dst->epoch;
	note->gen = gen;
	note->has_conn = has_conn;
	note->endpoint = *key;
}

/* Asks a gate that is not plain; out of line, since most are. 0: it could not be asked. */
static EBB_NOINLINE int ask(const struct ebb_route *route, __u64 now_ns, enum ebb_asker asker,
			    struct ebb_answer *ret_answer)
{
	struct ebb_agent *agent = ebb_agent_get();

	if (!agent || !route || !ret_answer)
		return 0;
	ebb_gate_ask_as(route->gate, route->breaker, route->verdict, route->policy, agent, now_ns, asker,
			ret_answer);
	ebb_gate_note_asked(route->breaker, ret_answer, now_ns);
	if (ret_answer->errors)
		ebb_count_errors(ret_answer->errors);
	return 1;
}

/* Nothing to ask: the gate is plain, and the node fuse refuses nothing there. */
static __always_inline int passes(const struct ebb_route *route, __u64 word)
{
	return ebb_gate_is_plain(word, route->policy) && !ebb_fuse_sheds(route->policy, route->fuse);
}

/* Checked here and used here: the verifier does not follow a bound through memory. */
static EBB_NOINLINE int count_denial(struct ebb_pair *pair, __u32 cause, int enforced)
{
	if (!pair || cause >= EBB_CAUSE_MAX)
		return 0;
	ebb_add(enforced ? &pair->denied[cause] : &pair->would_deny[cause], 1);
	return 0;
}

static __always_inline int decide(struct bpf_sock_addr *ctx, const struct ebb_endpoint *key, int v6, int cast)
{
	struct ebb_answer answer = {};
	struct ebb_route route = {};
	struct ebb_conn *conn;
	__u32 observed = 0, excused = 0, plain_gen;
	struct tcp_sock *tp;
	__u64 word, now = 0;
	int enforced;

	tp = ctx->sk ? ebb_tcp_sock(ctx->sk, cast) : NULL;
	if (!tp) {
		ebb_count_error(EBB_ERR_SOCKET_UNKNOWN);
		return EBB_ALLOW;
	}
	conn = NULL;
	if (tp->inet_conn.icsk_inet.sk.sk_bpf_storage)
		conn = bpf_sk_storage_get(&ebb_conn_v2, ctx->sk, NULL, 0);
	if (conn && conn->flags)
		let_go(conn);
	if (!ebb_route_meet(key, ebb_sock_workload(&tp->inet_conn.icsk_inet.sk), &route))
		return EBB_ALLOW;

	word = ebb_gate_word(route.breaker, route.verdict);
	plain_gen = EBB_LOAD(route.verdict->plain_gen);
	if (ebb_is_excused(route.class)) {
		/* without a memory: that its result moves nothing is asked again when it comes */
		answer.gen = plain_gen;
		excused = 1;
	} else if (passes(&route, word)) {
		answer.gen = ebb_word_gen(word);
	} else {
		now = bpf_ktime_get_ns();
		if (!ask(&route, now,
			 ebb_sock_is_kernel(&tp->inet_conn.icsk_inet.sk) ? EBB_ASKER_TCP_KERNEL
									 : EBB_ASKER_TCP,
			 &answer))
			return EBB_ALLOW;
	}

	if (answer.kind == EBB_ANSWER_DENY) {
		enforced = ebb_is_enforced(&route, now) && can_refuse(ctx) &&
			   ebb_refusal_stands(route.gate, route.policy, answer.cause);
		count_denial(route.pair, answer.cause, enforced);
		ebb_record_denied(&route);
		if (ebb_spans_wanted())
			ebb_span_denied(&route, key, answer.cause, enforced);
		if (enforced)
			return refuse(ctx, errno_of(route.policy, answer.cause), v6);
		observed = 1;
	}

	ebb_add(&route.pair->attempts, 1);
	/*
	 * ~other, remember: the address may have another slot by the time that the socket closes.
	 * An error queue that is not empty: what an earlier attempt left there is not about this one. A socket of
	 * the kernel itself is in no process's table: a recount finds it by its memory. One that answered a client
	 * before looks as if it did so still.
	 */
	if (conn || observed || answer.gen != plain_gen || answer.mute || answer.slot_taken ||
	    answer.kind == EBB_ANSWER_PROBE || route.remember || route.dst_slot == EBB_SLOT_OTHER ||
	    route.pair_slot == EBB_SLOT_OTHER || ebb_replacing ||
	    tp->inet_conn.icsk_inet.sk.sk_error_queue.qlen ||
	    ebb_sock_is_kernel(&tp->inet_conn.icsk_inet.sk) ||
	    ebb_sock_was_accepted(&tp->inet_conn.icsk_inet)) {
		if (!conn)
			conn = bpf_sk_storage_get(&ebb_conn_v2, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (!conn) {
			take_back(&route, &answer, now);
		} else {
			ebb_conn_begin(conn, route.pair_slot, route.pair->epoch, route.dst_slot,
				       route.dst->epoch, answer.gen);
			conn->probe_word = answer.probe_word;
			conn->probe_index = answer.probe_index;
			conn->flags = EBB_CONN_LIVE | ebb_route_apart(&route) |
				      (observed || excused || answer.mute ? EBB_CONN_MUTE : 0) |
				      (answer.slot_taken ? EBB_CONN_SLOT : 0) |
				      (answer.kind == EBB_ANSWER_PROBE ? EBB_CONN_PROBE : 0);
		}
	}
	leave_note(bpf_get_socket_cookie(ctx), key, &route, plain_gen, conn != NULL);
	return EBB_ALLOW;
}

/* -------------------------------------------------------------------- UDP -- */

/* Without bpf_set_retval it is EPERM: a datagram that goes elsewhere would be no refusal. */
static __always_inline int udp_refuse(__u32 errno_code)
{
	if (ebb_config.has_set_retval)
		set_errno(errno_code);
	return EBB_REFUSE;
}

/*
 * connect() of a UDP socket sends nothing: resolvers do it only to learn their own
 * address. So it makes no destination, and where there is none it is not counted. Its
 * connection is established at once, since no hook says that it was not.
 */
static __always_inline int udp_connect(struct bpf_sock_addr *ctx, const struct ebb_endpoint *key, int cast)
{
	struct ebb_answer answer = {};
	struct ebb_route route = {};
	const struct sock *sk;
	struct ebb_conn *conn;
	__u64 now;
	int enforced;

	if (!ctx->sk)
		return EBB_ALLOW;
	sk = ebb_udp_sock(ctx->sk, cast);
	conn = bpf_sk_storage_get(&ebb_conn_v2, ctx->sk, NULL, 0);
	if (conn && conn->flags)
		let_go(conn);
	if (!ebb_route_join(key, ebb_udp_workload(sk), 0, &route))
		return EBB_ALLOW;

	/* the kernel's own sockets would not give their slots back */
	if (!ebb_is_excused(route.class) && !passes(&route, ebb_gate_word(route.breaker, route.verdict)) &&
	    !(sk && ebb_sock_is_kernel(sk))) {
		now = bpf_ktime_get_ns();
		if (!ask(&route, now, EBB_ASKER_UDP_CONNECT, &answer))
			return EBB_ALLOW;
		if (answer.kind == EBB_ANSWER_DENY) {
			enforced = ebb_is_enforced(&route, now) &&
				   ebb_refusal_stands(route.gate, route.policy, answer.cause);
			count_denial(route.pair, answer.cause, enforced);
			if (enforced)
				return udp_refuse(errno_of(route.policy, answer.cause));
		}
	}

	ebb_add(&route.pair->attempts, 1);
	ebb_add(&route.pair->syn_sent, 1);
	ebb_add(&route.pair->outcomes[EBB_OUTCOME_ESTABLISHED], 1);
	if (!answer.slot_taken)
		return EBB_ALLOW;
	if (!conn)
		conn = bpf_sk_storage_get(&ebb_conn_v2, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		take_back(&route, &answer, 0);
		return EBB_ALLOW;
	}
	ebb_conn_begin(conn, route.pair_slot, route.pair->epoch, route.dst_slot, route.dst->epoch,
		       answer.gen);
	conn->flags = EBB_CONN_LIVE | EBB_CONN_UDP | EBB_CONN_SLOT;
	return EBB_ALLOW;
}

/*
 * sendto() and sendmsg() with an address, also on a connected socket; and every datagram
 * of one that is connected to an IPv4-mapped address, since the stack puts the address
 * there itself. The datagram passes the egress hook in the same system call: the note
 * tells that hook what it is, and that it is counted.
 */
static __always_inline int udp_send(struct bpf_sock_addr *ctx, const struct ebb_endpoint *key, int cast)
{
	struct ebb_answer answer = {};
	struct ebb_route route = {};
	const struct sock *sk;
	struct ebb_note *note;
	__u32 zero = 0;
	int enforced;
	__u64 now;

	/* no address: a connected socket whose datagram has control messages comes here with none */
	if (!ctx->sk || !key->port)
		return EBB_ALLOW;
	sk = ebb_udp_sock(ctx->sk, cast);
	if (!ebb_route_join(key, ebb_udp_workload(sk),
			    !ebb_udp_answers(sk, ctx->sk->src_port, bpf_ntohs(key->port)), &route))
		return EBB_ALLOW;

	if (!ebb_is_excused(route.class) &&
	    (ebb_word_state(ebb_gate_word(route.breaker, route.verdict)) != EBB_STATE_CLOSED ||
	     route.policy->override_state || ebb_fuse_sheds(route.policy, route.fuse))) {
		now = bpf_ktime_get_ns();
		if (!ask(&route, now, EBB_ASKER_UDP_SEND, &answer))
			return EBB_ALLOW;
		if (answer.kind == EBB_ANSWER_DENY) {
			enforced = ebb_is_enforced(&route, now) &&
				   ebb_refusal_stands(route.gate, route.policy, answer.cause);
			count_denial(route.pair, answer.cause, enforced);
			if (enforced)
				return udp_refuse(route.policy->errno_code);
		}
	}

	ebb_add(&route.pair->sent_packets, 1);
	note = bpf_map_lookup_elem(&ebb_unote_v2, &zero);
	if (!note)
		return EBB_ALLOW;
	note->cookie = bpf_get_socket_cookie(ctx);
	note->pair = route.pair_slot;
	note->pair_epoch = route.pair->epoch;
	note->dst = route.dst_slot;
	note->dst_epoch = route.dst->epoch;
	return EBB_ALLOW;
}

/* ------------------------------------------------------------------ hooks -- */

static __always_inline int connect4(struct bpf_sock_addr *ctx, int cast)
{
	__u32 protocol = ctx->protocol; /* once: the compiler would keep the address of the field */
	struct ebb_endpoint key;

	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return EBB_ALLOW;
	ebb_key_from_connect4(&key, ctx);
	ebb_dns_note_asked(ctx, &key);
	if (protocol == IPPROTO_UDP)
		return udp_connect(ctx, &key, cast);
	return decide(ctx, &key, 0, cast);
}

SEC("cgroup/connect4")
int ebb_connect4(struct bpf_sock_addr *ctx)
{
	return connect4(ctx, 1);
}

static __always_inline int connect6(struct bpf_sock_addr *ctx, int cast)
{
	__u32 protocol = ctx->protocol; /* once: the compiler would keep the address of the field */
	struct ebb_endpoint key;

	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return EBB_ALLOW;
	ebb_key_from_connect6(&key, ctx);
	ebb_dns_note_asked(ctx, &key);
	if (protocol == IPPROTO_UDP)
		return udp_connect(ctx, &key, cast);
	return decide(ctx, &key, 1, cast);
}

SEC("cgroup/connect6")
int ebb_connect6(struct bpf_sock_addr *ctx)
{
	return connect6(ctx, 1);
}

/* An IPv4-mapped address on an AF_INET6 socket comes here too. */
static __always_inline int send4(struct bpf_sock_addr *ctx, int cast)
{
	struct ebb_endpoint key;

	if (ctx->protocol != IPPROTO_UDP)
		return EBB_ALLOW;
	ebb_key_from_connect4(&key, ctx);
	ebb_dns_note_asked(ctx, &key);
	return udp_send(ctx, &key, cast);
}

SEC("cgroup/sendmsg4")
int ebb_sendmsg4(struct bpf_sock_addr *ctx)
{
	return send4(ctx, 1);
}

static __always_inline int send6(struct bpf_sock_addr *ctx, int cast)
{
	struct ebb_endpoint key;

	if (ctx->protocol != IPPROTO_UDP)
		return EBB_ALLOW;
	ebb_key_from_connect6(&key, ctx);
	ebb_dns_note_asked(ctx, &key);
	return udp_send(ctx, &key, cast);
}

SEC("cgroup/sendmsg6")
int ebb_sendmsg6(struct bpf_sock_addr *ctx)
{
	return send6(ctx, 1);
}

/* The same for a kernel without bpf_rdonly_cast (before 6.2). */

SEC("cgroup/connect4")
int ebb_connect4_b(struct bpf_sock_addr *ctx)
{
	return connect4(ctx, 0);
}

SEC("cgroup/connect6")
int ebb_connect6_b(struct bpf_sock_addr *ctx)
{
	return connect6(ctx, 0);
}

SEC("cgroup/sendmsg4")
int ebb_sendmsg4_b(struct bpf_sock_addr *ctx)
{
	return send4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int ebb_sendmsg6_b(struct bpf_sock_addr *ctx)
{
	return send6(ctx, 0);
}

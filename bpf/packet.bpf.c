// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A packet leaves: governed sockets pay for it out of their gate's buckets. Attached only while some
 * destination limits bytes or packets, or drops what live connections send to an open gate. And a
 * packet comes in: it may end a turn (bpf/turn.h). Attached while turns are wanted.
 *
 * Dropping alone ruins TCP, so its rate comes from pacing (bpf/pace.h, sockops.bpf.c);
 * the bucket says how fast to pace, and catches what is not paced.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/bucket.h"
#include "bpf/compat.h"
#include "bpf/conn.h"
#include "bpf/enforce.h"
#include "bpf/gate.h"
#include "bpf/key.h"
#include "bpf/limit.h"
#include "bpf/maps.h"
#include "bpf/pace.h"
#include "bpf/route.h"
#include "bpf/span.h"
#include "bpf/stats.h"
#include "bpf/turns.h"
#include "bpf/udp.h"

#define PASS 1
#define DROP 0

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

/* What the headers of a packet say. It may be one that segmentation offload will cut up. */
struct packet {
	__u32 wire_bytes; /* IP bytes of all its segments */
	__u32 segments;
	__u32 payload; /* of TCP or UDP */
	__u32 seq;     /* TCP */
};

/* Least headers after those of IP. */
#define TCP_HEADER 20
#define UDP_HEADER 8

/* Payload below this is a request or an answer, not a part of a stream. */
#define UNPACED_VITAL 1024

#define IPV6_HEADER	40
#define EXTENSIONS_MOST 4 /* as many as make sense: hop-by-hop, destination, routing, destination again */
#define TRANSPORT_MOST	(IPV6_HEADER + EXTENSIONS_MOST * 8 * 256) /* where TCP or UDP begins, at most */

/*
 * Where @proto begins behind the extension headers of IPv6. 0: not found. Few packets have any: BIG TCP puts a jumbo payload
 * option there, and a program that may (CAP_NET_RAW) what it likes. Verified once, and not with each of its callers.
 */
EBB_SUBPROG int behind_extensions(struct __sk_buff *skb, __u32 proto)
{
	__u32 at = IPV6_HEADER, next;
	__u8 header[2];

	if (bpf_skb_load_bytes(skb, 6, header, 1))
		return 0;
	next = header[0];
	for (int i = 0; i < EXTENSIONS_MOST && next != proto; i++) {
		if (bpf_skb_load_bytes(skb, at, header, sizeof(header)))
			return 0;
		next = header[0];
		at += 8U * (header[1] + 1U);
	}
	return next == proto ? (int)at : 0;
}

/* Headers of a packet of ours: IPv4 with options, IPv6 with extension headers. 0: not understood. */
static __always_inline int read_packet(struct __sk_buff *skb, __u32 proto, struct packet *ret)
{
	const __u8 *data = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;
	__u32 at, next, headers, segments = skb->gso_segs;

	if (data + 20 > end)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		at = (data[0] & 15) * 4U;
		next = data[9];
	} else {
		if (data + IPV6_HEADER > end)
			return 0;
		at = IPV6_HEADER;
		next = data[6];
		if (next != proto) {
			at = (__u32)behind_extensions(skb, proto);
			next = at ? proto : 0;
		}
	}
	if (next != proto || at > TRANSPORT_MOST)
		return 0;
	data += at;
	if (proto == IPPROTO_TCP) {
		if (data + TCP_HEADER > end)
			return 0;
		headers = at + (data[12] >> 4) * 4U;
		ret->seq = bpf_ntohl(*(const __be32 *)(data + 4));
	} else {
		headers = at + UDP_HEADER;
		ret->seq = 0;
	}
	if (!segments)
		segments = 1;
	ret->segments = segments;
	ret->wire_bytes = skb->len + (segments - 1) * headers;
	ret->payload = skb->len > headers ? skb->len - headers : 0;
	return 1;
}

/* Does it carry an alert of TLS? Only what is short enough is looked into. */
static __always_inline enum ebb_tls_alert read_alert(struct __sk_buff *skb, __u32 payload)
{
	__u8 header[EBB_TLS_RECORD_HEADER];

	if (payload > EBB_TLS_ALERT_MOST || payload < sizeof(header) ||
	    bpf_skb_load_bytes(skb, skb->len - payload, header, sizeof(header)))
		return EBB_TLS_NO_ALERT;
	return ebb_tls_alert_of(header, payload);
}

/* A packet that is not sent, or would not be: counts it, and says what becomes of it. */
static EBB_NOINLINE int drop(struct ebb_pair *pair, __u32 why, int enforced, const struct packet *packet)
{
	if (pair && packet && why < EBB_DROP_MAX) {
		ebb_add(enforced ? &pair->dropped_bytes[why] : &pair->would_drop_bytes[why],
			packet->wire_bytes);
		ebb_add(enforced ? &pair->dropped_packets[why] : &pair->would_drop_packets[why],
			packet->segments);
	}
	return enforced ? DROP : PASS;
}

/* -------------------------------------------------------------------- TCP -- */

/*
 * A segment that TCP cannot do without is charged and goes: one without payload, a
 * retransmission, the SYN also where it carries data (fast open), and the only one in flight, since for a first segment that is dropped
 * TCP waits 200 ms, and for the others the next acknowledgement. Once the bucket owes
 * twice its depth the only one in flight waits too: else connections of one segment
 * each, which no pace reaches, would have no limit at all. One that nobody paces would
 * send at full speed by it, a large segment for each acknowledgement: of its first
 * segments only small ones go.
 */
enum vital {
	VITAL_NOT,
	VITAL_FIRST,
	VITAL_ALWAYS,
};

static __always_inline enum vital is_vital(const struct tcp_sock *tp, const struct packet *packet, __u32 deaf)
{
	if (!packet->payload || (__s32)(packet->seq - tp->snd_nxt) < 0 ||
	    tp->inet_conn.icsk_inet.sk.__sk_common.skc_state == BPF_TCP_SYN_SENT)
		return VITAL_ALWAYS;
	return !tp->packets_out && (!deaf || packet->payload < UNPACED_VITAL) ? VITAL_FIRST : VITAL_NOT;
}

/* What a bucket is asked, and its answer. Two lie on a stack of which 512 bytes are all. */
struct payment {
	__u64 now_ns;
	__u64 least_depth_ns;
	__u64 debt_ns; /* with this packet */
	__u32 units;
	__u8 kind;  /* enum ebb_limit_kind */
	__u8 how;   /* enum ebb_take */
	__u8 vital; /* enum vital */
	__u64 depth_ns;
};

/* Asked by several, in many states: verified once. */
EBB_SUBPROG int pay(struct ebb_gate *gate, const struct ebb_limit *limit, struct payment *io)
{
	__u64 cost, burst_ns, *full_ns;
	__u32 took;

	if (!gate || !limit || !io)
		return 0;
	full_ns = io->kind == EBB_LIMIT_BYTES ? &gate->full_ns[EBB_LIMIT_BYTES]
					      : &gate->full_ns[EBB_LIMIT_PACKETS];
	cost = ebb_bucket_cost(limit, io->units);
	burst_ns = EBB_LOAD(limit->burst_ns);
	io->depth_ns = burst_ns > io->least_depth_ns ? burst_ns : io->least_depth_ns;
	took = ebb_bucket_take(full_ns, io->now_ns, cost, io->depth_ns, io->how, &io->debt_ns);
	if (!(took & EBB_TOOK) && (io->vital == VITAL_ALWAYS ||
				   (io->vital == VITAL_FIRST && io->debt_ns + cost <= 2 * io->depth_ns)))
		took |= ebb_bucket_take(full_ns, io->now_ns, cost, io->depth_ns, EBB_TAKE_CHARGE,
					&io->debt_ns);
	if (took & EBB_EXHAUSTED)
		ebb_count_error(EBB_ERR_CAS_EXHAUSTED);
	if (took & EBB_TOOK) {
		io->debt_ns += cost;
		return 1;
	}
	ebb_bucket_forgive(full_ns, io->now_ns, limit,
			   io->kind == EBB_LIMIT_BYTES ? EBB_MOST_BYTES : EBB_MOST_PACKETS, 0);
	return 0;
}

/* Is what a live connection sends to be dropped, since its breaker is open? */
static __always_inline int is_cut(const struct ebb_route *route, int leased, __u64 now_ns)
{
	const struct ebb_agent *agent;

	if (route->policy->established != EBB_ESTABLISHED_DROP)
		return 0;
	agent = ebb_agent_get();
	return agent &&
	       ebb_gate_is_shut(route->breaker, route->verdict, route->policy, agent, leased, now_ns);
}

/*
 * 1: nothing paces it: it was adopted, and does not call back (arm.bpf.c). By arithmetic, and without a branch: each
 * would double what the verifier looks at.
 */
static __always_inline __u32 is_deaf(const struct tcp_sock *tp, const struct ebb_conn *conn)
{
	__u32 adopted = (conn ? conn->flags : 0) / EBB_CONN_ADOPTED;

	return adopted & ~(tp->bpf_sock_ops_cb_flags / BPF_SOCK_OPS_RTT_CB_FLAG) & 1;
}

static EBB_NOINLINE int tcp_limited(struct __sk_buff *skb, const struct tcp_sock *tp, struct ebb_conn *conn,
				    const struct ebb_route *route)
{
	const struct ebb_limit *bytes, *packets;
	struct payment paid[2] = {};
	struct packet packet = {};
	struct ebb_policy *policy;
	struct ebb_gate *gate;
	int enforced, leased, vital, by_packets;
	__u32 deaf;
	__u64 now, least, rate = 0, packets_rate = 0;

	if (!tp || !route || !read_packet(skb, IPPROTO_TCP, &packet))
		return PASS;
	policy = route->policy;
	gate = route->gate;
	now = bpf_ktime_get_ns();
	leased = ebb_is_leased(policy, now);
	enforced = ebb_is_enforced(route, now);
	deaf = is_deaf(tp, conn);
	vital = is_vital(tp, &packet, deaf);

	if (packet.payload && is_cut(route, leased, now))
		return drop(route->pair, EBB_DROP_BREAKER, enforced, &packet);

	bytes = ebb_limit_in_force(policy, EBB_LIMIT_BYTES, now, leased);
	packets = ebb_limit_in_force(policy, EBB_LIMIT_PACKETS, now, leased);
	/* paced by the narrower of the two for data; what the other has left over is no capacity lost */
	if (packets)
		packets_rate =
			ebb_pace_rate(EBB_LOAD(packets->per_hour), packet.wire_bytes / packet.segments);
	if (bytes)
		rate = ebb_pace_rate(EBB_LOAD(bytes->per_hour), 1);
	by_packets = packets && (!bytes || packets_rate < rate);
	if ((by_packets || bytes) && (packet.payload || !packets || !bytes))
		ebb_pace_note_lost(gate,
				   EBB_LOAD(gate->full_ns[by_packets ? EBB_LIMIT_PACKETS : EBB_LIMIT_BYTES]),
				   now);
	/* what cannot be paced comes in bursts */
	least = EBB_PACE_DEPTH_NS + deaf * (EBB_PACE_DEPTH_ADOPTED_NS - EBB_PACE_DEPTH_NS);
	for (int i = 0; i < 2; i++) {
		paid[i].now_ns = now;
		paid[i].least_depth_ns = least;
		paid[i].how = EBB_TAKE_BORROW;
		paid[i].vital = vital;
	}
	paid[EBB_LIMIT_PACKETS].kind = EBB_LIMIT_PACKETS;
	paid[EBB_LIMIT_PACKETS].units = packet.segments;
	paid[EBB_LIMIT_BYTES].kind = EBB_LIMIT_BYTES;
	paid[EBB_LIMIT_BYTES].units = packet.wire_bytes;
	if (packets && !pay(gate, packets, &paid[EBB_LIMIT_PACKETS]))
		return drop(route->pair, EBB_DROP_PACKETS, enforced, &packet);
	if (bytes) {
		if (!pay(gate, bytes, &paid[EBB_LIMIT_BYTES])) {
			if (packets)
				ebb_bucket_refund(&gate->full_ns[EBB_LIMIT_PACKETS],
						  ebb_bucket_cost(packets, packet.segments));
			return drop(route->pair, EBB_DROP_BYTES, enforced, &packet);
		}
	}
	if (!enforced || !packet.payload)
		return PASS;

	if (conn)
		ebb_sender_count(&gate->senders, &conn->sender_epoch, now);
	if (by_packets)
		ebb_pace_steer(gate, packets_rate, packet.wire_bytes, now, paid[EBB_LIMIT_PACKETS].debt_ns,
			       paid[EBB_LIMIT_PACKETS].depth_ns);
	else if (bytes)
		ebb_pace_steer(gate, rate, packet.wire_bytes, now, paid[EBB_LIMIT_BYTES].debt_ns,
			       paid[EBB_LIMIT_BYTES].depth_ns);
	return PASS;
}

/*
 * The memory of a socket if it has one. 0: it is not governed: only one that CONNECT_CB armed, or one
 * that was adopted, is, and never one that answers a client. Nor a raw socket, which can have TCP for its
 * protocol, but no memory.
 */
static __always_inline int find(struct bpf_sock *sock, const struct tcp_sock *tp, struct ebb_conn **ret_conn)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct ebb_conn *conn = NULL;

	/* most sockets have no storage of anybody at all: a load instead of a call */
	if (sk->sk_bpf_storage)
		conn = bpf_sk_storage_get(&ebb_conn_v2, sock, NULL, 0);
	if (conn && (conn->flags & EBB_CONN_LIVE)) {
		*ret_conn = conn;
		return 1;
	}
	*ret_conn = NULL;
	return sk->sk_type == SOCK_STREAM && ebb_sock_is_armed(tp);
}

static __always_inline int tcp(struct __sk_buff *skb, struct bpf_sock *sock, int cast)
{
	struct tcp_sock *tp = ebb_tcp_sock(sock, cast);
	struct ebb_route route = {};
	struct ebb_conn *conn;

	if (!tp || !find(sock, tp, &conn))
		return PASS;
	if (conn ? !ebb_route_conn(conn, &route)
		 : !ebb_route_find_by(sock, &tp->inet_conn.icsk_inet.sk, &route))
		return PASS;
	if (!(route.policy->asks & EBB_ASK_PACKET) || route.class != EBB_CLASS_GOVERNED)
		return PASS;
	if (!conn && tp->inet_conn.icsk_inet.sk.__sk_common.skc_state == BPF_TCP_ESTABLISHED)
		conn = ebb_conn_late(sock, tp, &route);
	return tcp_limited(skb, tp, conn, &route);
}

/* -------------------------------------------------------------------- UDP -- */

/* Where an unconnected socket sends: the packet's own address. NAT on this node has changed it by now. */
static __always_inline void key_from_packet(struct ebb_endpoint *key, struct __sk_buff *skb)
{
	const __u8 *data = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;
	const __u32 *words;
	__u32 at = IPV6_HEADER;

	ebb_key_words(key, 0, 0, 0, 0);
	ebb_key_port(key, 0, IPPROTO_UDP);
	if (data + 20 > end)
		return;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		words = (const __u32 *)(data + 16);
		ebb_key_v4(key, words[0]);
		at = (data[0] & 15) * 4U;
	} else {
		if (data + IPV6_HEADER > end)
			return;
		words = (const __u32 *)(data + 24);
		ebb_key_v6(key, words[0], words[1], words[2], words[3]);
		if (data[6] != IPPROTO_UDP)
			at = (__u32)behind_extensions(skb, IPPROTO_UDP);
	}
	if (!at || at > TRANSPORT_MOST || data + at + 4 > end)
		return;
	key->port = *(const __be16 *)(data + at + 2);
}

static EBB_NOINLINE int udp_limited(const struct ebb_route *route, const struct packet *packet)
{
	const struct ebb_limit *bytes, *packets;
	struct payment paid = {};
	struct ebb_policy *policy;
	struct ebb_gate *gate;
	int enforced, leased;
	__u64 now;

	if (!route || !packet)
		return PASS;
	policy = route->policy;
	gate = route->gate;
	now = bpf_ktime_get_ns();
	leased = ebb_is_leased(policy, now);
	enforced = ebb_is_enforced(route, now);
	if (is_cut(route, leased, now))
		return drop(route->pair, EBB_DROP_BREAKER, enforced, packet);
	bytes = ebb_limit_in_force(policy, EBB_LIMIT_BYTES, now, leased);
	packets = ebb_limit_in_force(policy, EBB_LIMIT_PACKETS, now, leased);
	paid.now_ns = now;
	paid.how = EBB_TAKE_STRICT;
	paid.kind = EBB_LIMIT_PACKETS;
	paid.units = packet->segments;
	if (packets && !pay(gate, packets, &paid))
		return drop(route->pair, EBB_DROP_PACKETS, enforced, packet);
	paid.kind = EBB_LIMIT_BYTES;
	paid.units = packet->wire_bytes;
	if (bytes && !pay(gate, bytes, &paid)) {
		if (packets)
			ebb_bucket_refund(&gate->full_ns[EBB_LIMIT_PACKETS],
					  ebb_bucket_cost(packets, packet->segments));
		return drop(route->pair, EBB_DROP_BYTES, enforced, packet);
	}
	return PASS;
}

/* What the sendmsg hook has decided about this datagram in the same system call. */
static __always_inline int route_by_note(struct __sk_buff *skb, const struct sock *sk,
					 struct ebb_route *ret_route)
{
	__u32 zero = 0;
	struct ebb_note *note = bpf_map_lookup_elem(&ebb_unote_v2, &zero);

	/* who wrote the note has asked for the socket's cookie, and so given it one */
	if (!note || !note->cookie ||
	    note->cookie != (sk ? (__u64)sk->__sk_common.skc_cookie.counter : bpf_get_socket_cookie(skb)))
		return 0;
	note->cookie = 0;
	return ebb_route_open(note->dst, note->dst_epoch, note->pair, note->pair_epoch, ret_route);
}

/*
 * 0: not a destination of ours. A connected socket goes by its peer, and its first
 * datagram makes the destination; an unconnected one without a note by the packet.
 */
static __always_inline int route_by_address(struct __sk_buff *skb, struct bpf_sock *sock,
					    const struct sock *sk, struct ebb_route *ret_route)
{
	__u64 workload = sk ? ebb_sock_workload(sk) : bpf_skb_cgroup_id(skb);
	struct ebb_endpoint key;

	if (!sock->dst_port) {
		key_from_packet(&key, skb);
		return ebb_route_known(&key, workload, ret_route);
	}
	if (sock->family == EBB_AF_INET)
		ebb_key_v4(&key, sock->dst_ip4);
	else
		ebb_key_v6(&key, sock->dst_ip6[0], sock->dst_ip6[1], sock->dst_ip6[2], sock->dst_ip6[3]);
	ebb_key_port(&key, sock->dst_port, IPPROTO_UDP);
	return ebb_route_join(&key, workload, !ebb_udp_answers(sk, sock->src_port, bpf_ntohs(sock->dst_port)),
			      ret_route);
}

/* @sk: the same as @sock, where it can be read; NULL: not */
static __always_inline int udp(struct __sk_buff *skb, struct bpf_sock *sock, const struct sock *sk)
{
	struct ebb_route route = {};
	struct packet packet = {};
	int counted, verdict = PASS;

	counted = route_by_note(skb, sk, &route);
	if (!counted && !route_by_address(skb, sock, sk, &route))
		return PASS;
	if (!read_packet(skb, IPPROTO_UDP, &packet))
		return PASS;
	if ((route.policy->asks & EBB_ASK_PACKET) && route.class == EBB_CLASS_GOVERNED)
		verdict = udp_limited(&route, &packet);
	if (verdict == PASS) {
		ebb_add(&route.pair->sent_bytes, packet.wire_bytes);
		if (!counted && sock->dst_port)
			ebb_add(&route.pair->sent_packets, packet.segments);
	}
	return verdict;
}

static __always_inline int egress(struct __sk_buff *skb, int cast)
{
	struct bpf_sock *sock = skb->sk;
	const struct sock *sk = NULL;
	__u32 protocol;

	if (sock && !cast)
		sock = bpf_sk_fullsock(sock);
	if (!sock)
		return PASS;
	if (cast) {
		sk = ebb_sock(sock);
		protocol = sk->sk_protocol;
	} else {
		protocol = sock->protocol;
	}
	if (protocol == IPPROTO_TCP)
		return tcp(skb, sock, cast);
	if (protocol == IPPROTO_UDP)
		return udp(skb, sock, sk);
	return PASS;
}

SEC("cgroup_skb/egress")
int ebb_egress(struct __sk_buff *skb)
{
	return egress(skb, 1);
}

/* ------------------------------------------------------------------- turns -- */

/*
 * New payload, and no farewell of TLS, which answers nothing; an alert in clear text does: a handshake. Without a
 * memory it is the very next byte and no other: what comes behind it may be seen here before that is received.
 */
static __always_inline int answers(struct __sk_buff *skb, const struct tcp_sock *tp,
				   const struct ebb_conn *conn)
{
	struct packet packet = {};

	if (!read_packet(skb, IPPROTO_TCP, &packet) || !packet.payload)
		return 0;
	if (!conn)
		return packet.seq == tp->rcv_nxt;
	return (__s32)(packet.seq + packet.payload - tp->rcv_nxt) > 0 &&
	       read_alert(skb, packet.payload) != EBB_TLS_ALERT_SECRET;
}

/* Of the socket each field is read once, since the kernel checks the pointer of each such load. */
static __always_inline int hear(struct __sk_buff *skb, int cast)
{
	struct bpf_sock *sock = skb->sk;
	struct ebb_turn_facts facts;
	struct ebb_conn *conn;
	struct tcp_sock *tp;
	__u32 written, seq;
	__u64 out_ns;

	tp = sock ? ebb_tcp_sock(sock, cast) : NULL;
	if (!tp || tp->inet_conn.icsk_inet.sk.sk_protocol != IPPROTO_TCP)
		return PASS;
	/* in the handshake nothing was sent yet */
	if (!tp->data_segs_out || !find(sock, tp, &conn))
		return PASS;
	written = tp->write_seq;
	seq = ebb_turn_seq_of(written, sock->state);
	if (conn) {
		if (!ebb_turn_is_open(&conn->turn, 1, seq))
			return PASS;
	} else {
		ebb_turn_read(tp, seq, &facts);
		if (!ebb_turn_shows(&facts))
			return PASS;
		if (facts.received) {
			conn = ebb_turn_meet(sock, tp);
			if (!conn)
				return PASS;
		}
	}
	if (!answers(skb, tp, conn))
		return PASS;
	out_ns = ebb_turn_out_of(conn, tp, written);
	if ((conn || tp->inet_conn.icsk_inet.sk.sk_bpf_storage) && ebb_spans_wanted())
		ebb_span_answered(sock, out_ns);
	ebb_turn_answered(sock, conn, tp, seq, out_ns);
	return PASS;
}

SEC("cgroup_skb/ingress")
int ebb_hear(struct __sk_buff *skb)
{
	return hear(skb, 1);
}

/* The same for a kernel without bpf_rdonly_cast (before 6.2). */

SEC("cgroup_skb/egress")
int ebb_egress_b(struct __sk_buff *skb)
{
	return egress(skb, 0);
}

SEC("cgroup_skb/ingress")
int ebb_hear_b(struct __sk_buff *skb)
{
	return hear(skb, 0);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DNS answers on their way to the programs that asked: whole, to user space, which reads them.
 * Attached only while somebody wants names. Nothing is ever dropped here.
 *
 * Every packet that comes in passes here, so what is none is let go by two loads: a connected
 * socket hears only its peer.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/dns.h"
#include "bpf/key.h"
#include "bpf/maps.h"
#include "bpf/stats.h"

#define PASS 1

#define LOOPBACK_IFINDEX 1 /* in every network namespace */

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define UDP_HEADER 8
#define TCP_HEADER 20

/* RFC 1035, 4.1.1 */
struct dns_header {
	__be16 id;
	__u8 flags[2];
	__be16 questions;
	__be16 answers;
	__be16 authorities;
	__be16 additionals;
};

#define DNS_IS_ANSWER  0x80 /* of flags[0] */
#define DNS_OPCODE     0x78
#define DNS_ERROR_CODE 0x0f /* of flags[1] */

/* A record has one of a few sizes, since its size must be known here. Most answers are small. */
#define ROOM_SMALL  256
#define ROOM_MIDDLE 1280
_Static_assert(ROOM_MIDDLE < EBB_DNS_BYTES_MAX, "the largest room is the limit itself");

static __always_inline int put(const struct __sk_buff *skb, __u32 at, __u32 length, __u32 room,
			       const struct ebb_dns_head *head)
{
	struct ebb_dns_head *record;

	record = bpf_ringbuf_reserve(&ebb_answer_v2, sizeof(*head) + room, 0);
	if (!record)
		return 0;
	*record = *head;
	if (!length || length > room || bpf_skb_load_bytes(skb, at, record + 1, length)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return 0;
	}
	/* wakes the reader, unless it is reading */
	bpf_ringbuf_submit(record, 0);
	return 1;
}

/* Did the socket ask there? A connected one cannot hear anybody else. */
static __always_inline void look_at_socket(struct bpf_sock *sock, struct ebb_dns_head *head)
{
	struct ebb_asked *asked = bpf_sk_storage_get(&ebb_asked_v2, sock, NULL, 0);
	__u64 high, low;

	if (sock->dst_port)
		head->flags |= EBB_DNS_ASKED;
	if (!asked)
		return;
	head->netns = asked->netns;
	if (asked->initial)
		head->flags |= EBB_DNS_INITIAL;
	__builtin_memcpy(&high, head->from, sizeof(high));
	__builtin_memcpy(&low, head->from + sizeof(high), sizeof(low));
	for (int i = 0; i < EBB_ASKED_MAX; i++) {
		if (asked->addrs[i][0] == high && asked->addrs[i][1] == low)
			head->flags |= EBB_DNS_ASKED;
	}
}

/* One message of @length bytes that begins @at in the packet. What has no addresses in it is no answer to us. */
static EBB_NOINLINE int hand_over(struct __sk_buff *skb, struct bpf_sock *sock, __u32 at, __u32 length,
				  const struct ebb_endpoint *from)
{
	struct ebb_dns_head head = {.length = length};
	struct dns_header dns = {};
	int done = 0;

	if (!from || !sock || length < sizeof(dns) || bpf_skb_load_bytes(skb, at, &dns, sizeof(dns)))
		return PASS;
	if (!(dns.flags[0] & DNS_IS_ANSWER) || (dns.flags[0] & DNS_OPCODE) ||
	    (dns.flags[1] & DNS_ERROR_CODE) || dns.questions != bpf_htons(1) || !dns.answers)
		return PASS;
	__builtin_memcpy(head.from, from->addr, sizeof(head.from));
	head.at_ns = bpf_ktime_get_ns();
	head.workload = bpf_skb_cgroup_id(skb);
	if (skb->ifindex == LOOPBACK_IFINDEX || skb->ingress_ifindex == LOOPBACK_IFINDEX)
		head.flags |= EBB_DNS_LOCAL;
	look_at_socket(sock, &head);
	if (length <= ROOM_SMALL)
		done = put(skb, at, length, ROOM_SMALL, &head);
	else if (length <= ROOM_MIDDLE)
		done = put(skb, at, length, ROOM_MIDDLE, &head);
	else if (length <= EBB_DNS_BYTES_MAX)
		done = put(skb, at, length, EBB_DNS_BYTES_MAX, &head);
	if (!done)
		ebb_count_error(EBB_ERR_DNS_LOST);
	return PASS;
}

/*
 * Where the header after IP's begins, and who sent it: IPv4 with options, IPv6 with at most
 * one extension header. 0: not understood.
 */
static __always_inline __u32 read_ip(const struct __sk_buff *skb, __u8 proto, struct ebb_endpoint *ret_from)
{
	const __u8 *data = (const __u8 *)(long)skb->data, *end = (const __u8 *)(long)skb->data_end;
	const __u32 *words;
	__u32 at = 40;
	__u8 next;

	if (data + 20 > end)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		words = (const __u32 *)(data + 12);
		ebb_key_v4(ret_from, words[0]);
		return data[9] == proto ? (data[0] & 15) * 4U : 0;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || data + 40 > end)
		return 0;
	words = (const __u32 *)(data + 8);
	ebb_key_v6(ret_from, words[0], words[1], words[2], words[3]);
	next = data[6];
	if (next != proto) {
		if (data + 48 > end)
			return 0;
		next = data[40];
		at += 8U * (data[41] + 1U);
	}
	return next == proto ? at : 0;
}

static __always_inline int udp(struct __sk_buff *skb, struct bpf_sock *sock)
{
	struct ebb_endpoint from;
	__be16 header[4]; /* from, to, length, checksum */
	__u32 at, length;

	at = read_ip(skb, IPPROTO_UDP, &from);
	if (!at || bpf_skb_load_bytes(skb, at, header, sizeof(header)))
		return PASS;
	if (header[0] != bpf_htons(EBB_DNS_PORT))
		return PASS;
	length = bpf_ntohs(header[2]);
	if (length < UDP_HEADER || at + length > skb->len)
		return PASS;
	return hand_over(skb, sock, at + UDP_HEADER, length - UDP_HEADER, &from);
}

/* Only an answer that lies whole in one segment: two bytes of length, and the message. */
static __always_inline int tcp(struct __sk_buff *skb, struct bpf_sock *sock)
{
	struct ebb_endpoint from;
	__u8 offset, size[2];
	__u32 at, length;

	at = read_ip(skb, IPPROTO_TCP, &from);
	if (!at || bpf_skb_load_bytes(skb, at + 12, &offset, sizeof(offset)))
		return PASS;
	at += (offset >> 4) * 4U;
	if (bpf_skb_load_bytes(skb, at, size, sizeof(size)))
		return PASS;
	length = (__u32)size[0] << 8 | size[1];
	if (at + 2 + length != skb->len)
		return PASS;
	return hand_over(skb, sock, at + 2, length, &from);
}

SEC("cgroup_skb/ingress")
int ebb_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sock = skb->sk;
	__be16 peer;

	if (!sock)
		return PASS;
	peer = sock->dst_port;
	if (peer && peer != bpf_htons(EBB_DNS_PORT))
		return PASS;
	sock = bpf_sk_fullsock(sock);
	if (!sock)
		return PASS;
	if (sock->protocol == IPPROTO_UDP)
		return udp(skb, sock);
	if (sock->protocol == IPPROTO_TCP && peer)
		return tcp(skb, sock);
	return PASS;
}

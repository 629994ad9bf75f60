/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hook context -> endpoint key. All byte order lives here. IPv4 is kept as
 * IPv4-mapped IPv6; the unspecified address means this host, as the stack takes it.
 */
#ifndef EBB_KEY_H
#define EBB_KEY_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>

#include "bpf/abi.h"

#define EBB_AF_INET  2
#define EBB_AF_INET6 10

static __always_inline void ebb_key_words(struct ebb_endpoint *key, __u32 a, __u32 b, __u32 c, __u32 d)
{
	__u32 *words = (__u32 *)key->addr;

	words[0] = a;
	words[1] = b;
	words[2] = c;
	words[3] = d;
}

static __always_inline void ebb_key_v4(struct ebb_endpoint *key, __be32 addr)
{
	if (addr == 0)
		addr = bpf_htonl(0x7f000001);
	ebb_key_words(key, 0, 0, bpf_htonl(0xffff), addr);
}

static __always_inline void ebb_key_v6(struct ebb_endpoint *key, __u32 a, __u32 b, __u32 c, __u32 d)
{
	if (!(a | b | d) && (c == 0 || c == bpf_htonl(0xffff))) {
		if (c)
			d = bpf_htonl(0x7f000001);
		else
			d = bpf_htonl(1);
	}
	ebb_key_words(key, a, b, c, d);
}

static __always_inline void ebb_key_port(struct ebb_endpoint *key, __be16 port, __u8 proto)
{
	key->port = port;
	key->proto = proto;
	key->pad = 0;
}

static __always_inline void ebb_key_from_connect4(struct ebb_endpoint *key, struct bpf_sock_addr *ctx)
{
	ebb_key_v4(key, ctx->user_ip4);
	ebb_key_port(key, (__be16)ctx->user_port, (__u8)ctx->protocol);
}

static __always_inline void ebb_key_from_connect6(struct ebb_endpoint *key, struct bpf_sock_addr *ctx)
{
	ebb_key_v6(key, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	ebb_key_port(key, (__be16)ctx->user_port, (__u8)ctx->protocol);
}

/* From a TCP socket that is connecting or connected. */
static __always_inline void ebb_key_from_sock(struct ebb_endpoint *key, const struct sock *sk)
{
	const struct in6_addr *v6 = &sk->__sk_common.skc_v6_daddr;

	if (sk->__sk_common.skc_family == EBB_AF_INET)
		ebb_key_v4(key, sk->__sk_common.skc_daddr);
	else
		ebb_key_v6(key, v6->in6_u.u6_addr32[0], v6->in6_u.u6_addr32[1], v6->in6_u.u6_addr32[2],
			   v6->in6_u.u6_addr32[3]);
	ebb_key_port(key, sk->__sk_common.skc_dport, IPPROTO_TCP);
}

/* The same where a helper gave us the socket: plain loads, while each of the others is checked as it is made. */
static __always_inline void ebb_key_from_bpf_sock(struct ebb_endpoint *key, const struct bpf_sock *sock)
{
	if (sock->family == EBB_AF_INET)
		ebb_key_v4(key, sock->dst_ip4);
	else
		ebb_key_v6(key, sock->dst_ip6[0], sock->dst_ip6[1], sock->dst_ip6[2], sock->dst_ip6[3]);
	ebb_key_port(key, sock->dst_port, IPPROTO_TCP);
}

static __always_inline int ebb_key_equal(const struct ebb_endpoint *a, const struct ebb_endpoint *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

/* Loopback and link-local: the same address means another peer for each workload. */
static __always_inline int ebb_key_is_local(const struct ebb_endpoint *key)
{
	const __u32 *words = (const __u32 *)key->addr;

	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff))
		return (bpf_ntohl(words[3]) >> 24) == 127 || (bpf_ntohl(words[3]) >> 16) == 0xa9fe;
	if (!words[0] && !words[1] && !words[2] && words[3] == bpf_htonl(1))
		return 1;
	return (bpf_ntohl(words[0]) >> 22) == (0xfe80 >> 6);
}

#endif /* EBB_KEY_H */

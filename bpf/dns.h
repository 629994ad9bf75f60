/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whom a socket asked for names. Anybody can send a program something that looks like
 * an answer; it counts only as one from an address that the socket has sent to.
 */
#ifndef EBB_DNS_H
#define EBB_DNS_H

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"
#include "bpf/maps.h"
#include "bpf/stats.h"

#define EBB_DNS_PORT 53

/*
 * Tolerated: of two threads that ask two servers by one socket at the same moment, one
 * may be forgotten; what that server answers is then not believed.
 */
static EBB_NOINLINE int ebb_dns_remember(struct bpf_sock_addr *ctx, const struct ebb_endpoint *key)
{
	struct ebb_agent *agent = ebb_agent_get();
	struct ebb_asked *asked;
	__u64 high, low;
	__u32 at;

	if (!agent || !agent->answers || !ctx->sk || !key)
		return 0;
	asked = bpf_sk_storage_get(&ebb_asked_v2, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!asked) {
		ebb_count_error(EBB_ERR_CONN_NO_MEMORY);
		return 0;
	}
	if (!asked->netns) {
		asked->netns = bpf_get_netns_cookie(ctx);
		asked->initial = asked->netns == bpf_get_netns_cookie(NULL);
	}
	/* the key is aligned for its ports only */
	__builtin_memcpy(&high, key->addr, sizeof(high));
	__builtin_memcpy(&low, key->addr + sizeof(high), sizeof(low));
	for (at = 0; at < EBB_ASKED_MAX; at++) {
		if (asked->addrs[at][0] == high && asked->addrs[at][1] == low)
			return 0;
	}
	at = asked->next++ & (EBB_ASKED_MAX - 1);
	asked->addrs[at][0] = high;
	asked->addrs[at][1] = low;
	return 0;
}

/* For every connect and sendmsg; names are rare among them. */
static __always_inline void ebb_dns_note_asked(struct bpf_sock_addr *ctx, const struct ebb_endpoint *key)
{
	if (key->port == bpf_htons(EBB_DNS_PORT))
		ebb_dns_remember(ctx, key);
}

#endif /* EBB_DNS_H */

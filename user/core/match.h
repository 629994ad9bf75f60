/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which destination a rule claims: host names, prefixes, ports, protocols. Pure.
 *
 * The most specific match wins: an exact host, a wildcard host, the longest prefix; among
 * those a rule with a port before one without, then one with a protocol before one without;
 * one that names no address at all comes last; ties go to the first in the file (design section 7).
 */
#ifndef EBB_CORE_MATCH_H
#define EBB_CORE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

#define EBB_HOST_MAX 254 /* 253 octets of a name (RFC 1035) and the end */

enum ebb_match_kind {
	EBB_MATCH_HOST,	    /* "api.example.com" */
	EBB_MATCH_WILDCARD, /* "*.example.com": any number of labels in front, at least one */
	EBB_MATCH_PREFIX,   /* "10.0.0.0/8", "::/0": those of IPv6 never claim an IPv4 address */
	EBB_MATCH_ANY,	    /* names only a port or a protocol: every address of both families */
};

struct ebb_match {
	uint32_t kind;		 /* enum ebb_match_kind */
	char host[EBB_HOST_MAX]; /* lower case, without the last dot; WILDCARD: without "*." */
	uint8_t addr[16];	 /* PREFIX: IPv4 mapped, host part zero; else all zero */
	uint8_t bits;		 /* PREFIX: of addr, IPv4 96 + its own */
	uint8_t proto;		 /* IPPROTO_TCP, IPPROTO_UDP; 0: both */
	uint16_t port;		 /* host byte order; 0: every port */
};

/* One rule: a match and the destination that it belongs to. */
struct ebb_rule {
	const struct ebb_match *match; /* borrowed */
	uint32_t destination;	       /* index in the configuration's list */
};

/*
 * The order of two matches of the same host or prefix: by port, those without one last; with a
 * protocol before without. Of those that fit an address the first wins; 0: the first in the file.
 */
int ebb_match_compare(const struct ebb_match *a, const struct ebb_match *b);

struct ebb_matcher;

#define EBB_MATCH_NONE UINT32_MAX

/* @rules in the order of the file; the matches are borrowed for its life. 0 or -ENOMEM. */
int ebb_matcher_new(const struct ebb_rule *rules, size_t count, struct ebb_matcher **ret_matcher);
void ebb_matcher_free(struct ebb_matcher *matcher);

/* Are there rules about hosts at all? */
bool ebb_matcher_has_hosts(const struct ebb_matcher *matcher);

/*
 * Index of the destination that claims @host (as above: lower case, no last dot) at @port (host
 * byte order) and @proto; only rules about hosts are looked at. EBB_MATCH_NONE: none.
 * With @port 0: what rules without a port say.
 */
uint32_t ebb_match_host(const struct ebb_matcher *matcher, const char *host, uint16_t port, uint8_t proto);

/* The same for an address; only rules about prefixes and ports are looked at. */
uint32_t ebb_match_address(const struct ebb_matcher *matcher, const uint8_t addr[16], uint16_t port,
			   uint8_t proto);

/*
 * The ports that rules about @host name, each with its protocol (0: both) and whose it is: so that an answer for
 * @host can be written into the tables before anybody connects. Port 0 is for all that are not
 * among them. No two say anything about the same port and protocol. Returns their number; at most @max are written.
 */
struct ebb_match_port {
	uint16_t port; /* 0: every port */
	uint8_t proto;
	uint32_t destination;
};
size_t ebb_match_host_ports(const struct ebb_matcher *matcher, const char *host,
			    struct ebb_match_port *ret_ports, size_t max);

#endif /* EBB_CORE_MATCH_H */

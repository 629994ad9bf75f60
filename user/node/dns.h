/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one DNS answer: which addresses does the name have that was asked for? The records are
 * decoded by libldns, which is loaded when this is opened. What comes here was sent by
 * anybody, so it is walked and bounded before the library sees a byte of it.
 *
 * A canonical name leads on (CNAME); its addresses belong to the name that the program asked for.
 */
#ifndef EBB_NODE_DNS_H
#define EBB_NODE_DNS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

#define EBB_DNS_NAME_MAX      254   /* 253 octets (RFC 1035) and the end */
#define EBB_DNS_ADDRESSES_MAX 64    /* of one answer; what comes behind them is left out */
#define EBB_DNS_CHAIN_MAX     16    /* canonical names, one behind the other */
#define EBB_DNS_TTL_MAX	      86400 /* seconds; a longer life is cut */

struct ebb_dns_address {
	uint8_t addr[16]; /* IPv4 mapped; network order */
	uint32_t ttl_s;	  /* the shortest on the way to it */
};

struct ebb_dns_answer {
	char name[EBB_DNS_NAME_MAX]; /* that was asked for: lower case, without the last dot */
	size_t count;
	struct ebb_dns_address addresses[EBB_DNS_ADDRESSES_MAX]; /* no two alike */
};

struct ebb_dns;

/* Loads the library. -ENOENT: it is not installed, or not the one that we know. */
int ebb_dns_open(struct ebb_dns **ret_dns, struct ebb_why *why);
void ebb_dns_free(struct ebb_dns *dns);

/*
 * One message, without the length that TCP puts before it. 0, perhaps without addresses: an error, no
 * data, another question, a name that is no host name. -EBADMSG: broken; -ELOOP: canonical
 * names lead in a circle or too far; -ENOMEM.
 */
int ebb_dns_parse(const struct ebb_dns *dns, const uint8_t *bytes, size_t length,
		  struct ebb_dns_answer *ret_answer);

#endif /* EBB_NODE_DNS_H */

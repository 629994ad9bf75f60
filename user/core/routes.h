/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about prefixes and ports -> the table that the kernel looks up. Pure.
 *
 * The kernel finds the longest prefix that holds an address, and looks at nothing else. So
 * what shorter prefixes, and rules that name only a port, say for ports that it does not
 * name is written into each one:
 *
 *	rules                          table
 *	10.0.0.0/8           -> a      10.0.0.0/8    443 -> b, others a
 *	10.0.0.0/8, port 443 -> b      10.1.0.0/16   80 -> c, 443 -> b, others a
 *	10.1.0.0/16, port 80 -> c
 *
 * A look-up of it gives exactly what ebb_match_address() gives.
 */
#ifndef EBB_CORE_ROUTES_H
#define EBB_CORE_ROUTES_H

#include <stddef.h>
#include <stdint.h>

#include "core/match.h"
#include "lib/why.h"

#define EBB_ROUTES_NO_SET UINT32_MAX

struct ebb_routes_prefix {
	uint8_t addr[16];
	uint8_t bits;	 /* of addr, IPv4 96 + its own */
	uint32_t any[2]; /* TCP, UDP: destination of the ports that the set does not name; EBB_MATCH_NONE */
	uint32_t set;	 /* index of the set of its ports; EBB_ROUTES_NO_SET: none */
};

struct ebb_routes_port {
	uint32_t set; /* ascending; prefixes with the same ports share one */
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint32_t destination;
};

struct ebb_routes {
	struct ebb_routes_prefix *prefixes; /* no two alike; at most EBB_PREFIXES_MAX */
	size_t prefix_count;
	struct ebb_routes_port *ports; /* no two of a set alike; at most EBB_PORTS_MAX */
	size_t port_count;
	uint32_t set_count;
};

/*
 * @rules in the order of the file; those about hosts are passed over. The caller frees *@ret_routes
 * with ebb_routes_free(). -ENOMEM; -E2BIG: the table would be larger than the kernel's.
 */
int ebb_routes_flatten(const struct ebb_rule *rules, size_t count, struct ebb_routes **ret_routes,
		       struct ebb_why *why);
void ebb_routes_free(struct ebb_routes *routes);

#endif /* EBB_CORE_ROUTES_H */

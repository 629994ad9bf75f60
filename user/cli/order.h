/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What 'ebb limit', 'ebb breaker' and 'ebb mode' have in common: an order for a destination, for
 * some workloads of it, or for the node, written into the pinned maps at once, with the
 * agent alive or dead.
 */
#ifndef EBB_CLI_ORDER_H
#define EBB_CLI_ORDER_H

#include <stdint.h>

#include "bpf/abi.h"
#include "cli/cli.h"

struct ebb_order {
	uint32_t what;			 /* one of EBB_SAID_* */
	const struct ebb_limits *change; /* LIMITS; NULL: all are taken back */
	uint32_t value;			 /* OVERRIDE: enum ebb_override; MODE: 0, or 1 + enum ebb_mode */
};

/* Takes DEST, --workload, --for and --output from @args; DEST may be missing only of a mode. */
enum ebb_exit ebb_order_carry_out(const struct ebb_args *args, const struct ebb_order *order);

#endif /* EBB_CLI_ORDER_H */

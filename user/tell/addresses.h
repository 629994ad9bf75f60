/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses belong to a destination now, and which of them another destination shares: what the
 * look-up maps say, read with the agent or without it..
 */
#ifndef EBB_TELL_ADDRESSES_H
#define EBB_TELL_ADDRESSES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kernel/mapping.h"
#include "kernel/maps.h"

#define EBB_ADDRESSES_MAX 256 /* kept of one destination */
#define EBB_OTHERS_MAX	  4   /* destinations that share one address */

struct ebb_address {
	struct ebb_endpoint endpoint;	 /* port 0: every port */
	uint32_t others[EBB_OTHERS_MAX]; /* slots of destinations that some workload means by it */
	size_t other_count;
	uint32_t unnamed; /* workloads that mean a name without a rule, and have not connected yet */
};

struct ebb_addresses {
	struct ebb_address list[EBB_ADDRESSES_MAX]; /* by address, then by port */
	size_t count;
	size_t more;	    /* there are, and are not kept */
	size_t entries_max; /* so many entries of a map are looked at, set before it is read; 0: all */
	bool cut;	    /* there were more */
};

/* 0 or a negative errno. */
int ebb_addresses_read(struct ebb_mapping *mapping, const struct ebb_view *view, uint32_t dst,
		       struct ebb_addresses *ret_addresses);

/* The part of 'ebb show' about them; nothing where there are none. 0 or a negative errno. */
int ebb_addresses_text(FILE *out, const struct ebb_view *view, uint32_t dst,
		       const struct ebb_addresses *addresses);

/* A list; @addresses may be NULL. NULL: out of memory. */
json_t *ebb_addresses_json(const struct ebb_view *view, const struct ebb_addresses *addresses);

#endif /* EBB_TELL_ADDRESSES_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the maps of an older layout to those of this one, in the same pin directory.
 *
 * The old programs go on meanwhile and write into the old maps: what they count between the
 * copy and their replacement is lost. What stands on connections (gauges, slots, probes) is
 * not copied: a pass over the open sockets finds it again.
 */
#ifndef EBB_KERNEL_MIGRATE_H
#define EBB_KERNEL_MIGRATE_H

#include <stdint.h>

#include "lib/why.h"

#define EBB_MIGRATION_RESET_MAX 1024

struct ebb_migration {
	uint32_t from;	    /* layout; 0: nothing was moved */
	uint32_t endpoints; /* entries of the tables of keys */
	uint32_t pairs;
	char reset[EBB_MIGRATION_RESET_MAX]; /* fields that begin anew: "ebb_pair.born, ..."; "": none */
};

/* Capacities of the maps of layout @layout, ~other included. 0 or a negative errno with the reason. */
int ebb_migrate_capacity(const char *pin_dir, uint32_t layout, uint32_t *ret_dst_max, uint32_t *ret_pair_max,
			 uint32_t *ret_endpoints, struct ebb_why *why);

/*
 * Copies what layout @from holds into the maps of this layout, which are new. On an error these are
 * half filled, and the caller removes them; the old ones are never written.
 */
int ebb_migrate(const char *pin_dir, uint32_t from, struct ebb_migration *ret, struct ebb_why *why);

#endif /* EBB_KERNEL_MIGRATE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* A table of routes in place of another in one go, where the agent has other things to do between. */
#ifndef EBB_TESTS_LIB_ROUTES_H
#define EBB_TESTS_LIB_ROUTES_H

#include "kernel/mapping.h"

static inline int routes_replace(struct ebb_mapping *mapping, const struct ebb_route_table *table,
				 struct ebb_why *why)
{
	int r = ebb_routes_stage(mapping, table, why);

	if (r == 0)
		r = ebb_routes_swap(mapping, why);
	if (r == 0)
		ebb_routes_sweep(mapping);
	return r;
}

#endif /* EBB_TESTS_LIB_ROUTES_H */

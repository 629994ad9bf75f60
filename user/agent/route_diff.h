/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses change hands between two tables of routes. Pure.
 *
 * The prefixes of both tables together cut the addresses into regions, one for each prefix: all
 * that it covers and no longer one does. Within a region each table says one thing, by its
 * longest prefix there.
 */
#ifndef EBB_AGENT_ROUTE_DIFF_H
#define EBB_AGENT_ROUTE_DIFF_H

#include "kernel/mapping.h"

/* Some address and port of @from's belong to @to now. Slot EBB_SLOT_OTHER: to no rule. */
typedef void (*ebb_route_moved)(void *userdata, const struct ebb_ref *from, const struct ebb_ref *to);

/*
 * Calls @moved for what moves, for the same pair of destinations perhaps often. A region that is empty,
 * since longer prefixes cover all of it, counts too. 0 or -ENOMEM, before anything was called.
 */
int ebb_route_diff(const struct ebb_route_table *before, const struct ebb_route_table *after,
		   ebb_route_moved moved, void *userdata);

#endif /* EBB_AGENT_ROUTE_DIFF_H */

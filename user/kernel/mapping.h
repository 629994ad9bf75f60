/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belongs where: typed writes of the look-up maps that are not plain memory. Which
 * address belongs to which destination (endpoints, lookups, routes), what becomes of which
 * workload, who has a policy of its own, who found how much.
 *
 * The agent has one of these for its life. The command line opens one for what it may write
 * (struct ebb_own) by the pin directory; it needs no loader and no agent.
 *
 * Programs remember where the last connections went (bpf/route.h). So whoever changes where an
 * address belongs calls ebb_mapping_changed() AFTER the change, once for many changes;
 * ebb_routes_swap() does it itself.
 *
 * Everything returns 0 or a negative errno. -ENOENT of a get or a remove: not there; -E2BIG
 * of a put: the map is full, and nothing changed.
 */
#ifndef EBB_KERNEL_MAPPING_H
#define EBB_KERNEL_MAPPING_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"
#include "lib/why.h"

struct ebb_mapping;

/*
 * Opens the maps pinned in @pin_dir for reading and writing. @view: the agent's tables, writable,
 * borrowed; NULL for the command line, which may then not call what says so. -ENOENT:
 * nothing pinned; -EPERM, -EACCES: not permitted. The caller owns *@ret_mapping.
 */
int ebb_mapping_open(const char *pin_dir, const struct ebb_view *view, struct ebb_mapping **ret_mapping,
		     struct ebb_why *why);
void ebb_mapping_free(struct ebb_mapping *mapping);

/* Voids what programs remember of where addresses belong. Cheap; needs a view. */
void ebb_mapping_changed(struct ebb_mapping *mapping);

/* ------------------------------------------------------------- destinations -- */

/*
 * Takes a destination slot that nobody has, for a name of the configuration. Needs a view.
 * -ENOENT: there is none. The caller makes it LIVE (state last) and gives it a name; one that
 * is neither when the agent dies is free again at its next start.
 */
int ebb_slots_take(struct ebb_mapping *mapping, uint32_t *ret_slot);

/* Puts back one that was taken and never used. */
int ebb_slots_give_back(struct ebb_mapping *mapping, uint32_t slot);

/*
 * endpoints: address, port, protocol -> destination. Those with port 0 stand for every port of
 * their address and are looked at only while agent.any_port is 1. The kernel writes those that
 * it discovers; a put takes the place of such a one.
 */
int ebb_endpoints_get(struct ebb_mapping *mapping, const struct ebb_endpoint *key, struct ebb_ref *ret_ref);
int ebb_endpoints_put(struct ebb_mapping *mapping, const struct ebb_endpoint *key, const struct ebb_ref *ref);
int ebb_endpoints_remove(struct ebb_mapping *mapping, const struct ebb_endpoint *key);

/*
 * Calls @handle for every entry, of those that come or go meanwhile for some. @handle may put
 * and remove; what it returns other than 0 ends the walk and is returned.
 */
int ebb_endpoints_each(struct ebb_mapping *mapping,
		       int (*handle)(void *userdata, const struct ebb_endpoint *key,
				     const struct ebb_ref *ref),
		       void *userdata);

/*
 * lookups: which of the names of an address a workload means. Looked at only while
 * agent.ambiguous is 1; exactly, then with port 0. A ref of slot EBB_SLOT_DISCOVER: a name that no
 * rule claims; the kernel then gives the endpoint a slot of its own beside the claimed one, and
 * enters it here under workload 0, for all workloads that mean no rule's name by that address.
 */
int ebb_lookups_get(struct ebb_mapping *mapping, const struct ebb_lookup_key *key, struct ebb_ref *ret_ref);
int ebb_lookups_put(struct ebb_mapping *mapping, const struct ebb_lookup_key *key, const struct ebb_ref *ref);
int ebb_lookups_remove(struct ebb_mapping *mapping, const struct ebb_lookup_key *key);
int ebb_lookups_each(struct ebb_mapping *mapping,
		     int (*handle)(void *userdata, const struct ebb_lookup_key *key,
				   const struct ebb_ref *ref),
		     void *userdata);

/* ------------------------------------------------------------------- routes -- */

#define EBB_ROUTE_NO_SET UINT32_MAX

struct ebb_route_prefix {
	struct ebb_prefix_key key;
	struct ebb_ref any[2]; /* TCP, UDP: ports that the set does not name; slot 0: no rule */
	uint32_t set;	       /* index of the set of its ports; EBB_ROUTE_NO_SET: none */
};

struct ebb_route_port {
	uint32_t set;
	uint16_t port; /* host byte order */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	struct ebb_ref ref;
};

/* What the rules about prefixes and ports say, flattened (user/core/routes.c). Everything borrowed. */
struct ebb_route_table {
	const struct ebb_route_prefix *prefixes; /* no two alike */
	size_t prefix_count;			 /* <= EBB_PREFIXES_MAX */
	const struct ebb_route_port *ports;	 /* no two alike */
	size_t port_count;			 /* <= EBB_PORTS_MAX */
	uint32_t set_count;			 /* all sets are below */
};

/*
 * Writes @table beside the one in force, where no program sees it yet; one that was written so before and is not in force
 * is taken away. Some 3 us for each entry. May be another thread's, as long as nobody else calls a function about routes.
 * Needs a view. -E2BIG: too many entries. On an error nothing is there.
 */
int ebb_routes_stage(struct ebb_mapping *mapping, const struct ebb_route_table *table, struct ebb_why *why);
void ebb_routes_unstage(struct ebb_mapping *mapping);

/*
 * Puts it in force in place of the one before, at once: a connect sees all of the old one or all of the new one, and each
 * that begins after this returned sees the new one. On an error the old one stays in force. Waits up to 50 ms
 * for programs that still run.
 */
int ebb_routes_swap(struct ebb_mapping *mapping, struct ebb_why *why);

/* Takes away what stood in the ones before, some 2 us for each entry. Another thread's, as above. */
void ebb_routes_sweep(struct ebb_mapping *mapping);

/* ---------------------------------------------------------------- workloads -- */

/* workloads: cgroup id -> class. Looked at only while agent.workload_rules is not 0. */
int ebb_workloads_get(struct ebb_mapping *mapping, uint64_t workload, struct ebb_workload *ret_class);
int ebb_workloads_put(struct ebb_mapping *mapping, uint64_t workload, const struct ebb_workload *value);
int ebb_workloads_remove(struct ebb_mapping *mapping, uint64_t workload);
int ebb_workloads_each(struct ebb_mapping *mapping,
		       int (*handle)(void *userdata, uint64_t workload, const struct ebb_workload *value),
		       void *userdata);

/*
 * founds: how many destinations a workload found, by the kernel; losts: how many of these were taken
 * back, by the agent. An entry that is not there is 0.
 */
int ebb_founds_get(struct ebb_mapping *mapping, uint64_t workload, uint64_t *ret_count);
int ebb_founds_remove(struct ebb_mapping *mapping, uint64_t workload);
int ebb_founds_each(struct ebb_mapping *mapping,
		    int (*handle)(void *userdata, uint64_t workload, const uint64_t *count), void *userdata);
int ebb_losts_get(struct ebb_mapping *mapping, uint64_t workload, uint64_t *ret_count);
int ebb_losts_put(struct ebb_mapping *mapping, uint64_t workload, uint64_t count);
int ebb_losts_remove(struct ebb_mapping *mapping, uint64_t workload);
int ebb_losts_each(struct ebb_mapping *mapping,
		   int (*handle)(void *userdata, uint64_t workload, const uint64_t *count), void *userdata);

/* ------------------------------------------------- policies of one workload -- */

/*
 * owns: pair slot -> whole policy, in force while its pair_epoch is the pair's and the policy of
 * the destination has EBB_ASK_OWN. Agent and command line, each under ebb_policies_lock().
 */
int ebb_owns_get(struct ebb_mapping *mapping, uint32_t pair, struct ebb_own *ret_own);
int ebb_owns_put(struct ebb_mapping *mapping, uint32_t pair, const struct ebb_own *own);
int ebb_owns_remove(struct ebb_mapping *mapping, uint32_t pair);
int ebb_owns_each(struct ebb_mapping *mapping,
		  int (*handle)(void *userdata, uint32_t pair, const struct ebb_own *own), void *userdata);

#endif /* EBB_KERNEL_MAPPING_H */

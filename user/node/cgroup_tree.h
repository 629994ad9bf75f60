/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over the directories of a cgroup2 mount: how ids become paths where the kernel may not be asked for them
 * (CAP_DAC_READ_SEARCH, node/cgroup.c). It lives on no state and never blocks on anything but the tree itself.
 */
#ifndef EBB_NODE_CGROUP_TREE_H
#define EBB_NODE_CGROUP_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @path is relative to where the walk began, "/" is that itself; valid during the call. Not 0: the walk ends with it. */
typedef int (*ebb_cgroup_met_fn)(void *userdata, uint64_t id, const char *path);

/*
 * Calls @met for @fd (borrowed) and every directory below, at most so deep as the kernel's paths can be. What
 * disappears meanwhile is left out, and so is what may not be read. 0, what @met returned, or a negative errno: @fd
 * itself cannot be read, or too few descriptors or memory are there to go on.
 */
int ebb_cgroup_walk(int fd, ebb_cgroup_met_fn met, void *userdata);

/* The ids of all cgroups at one moment. */
struct ebb_cgroup_ids {
	uint64_t *list; /* sorted */
	size_t count;
};

/*
 * Of @fd (borrowed) and all below. A negative errno where the list would not be whole for want of memory or
 * descriptors; what is below a directory that its owner closed to others (a delegated one) is not in it.
 */
int ebb_cgroup_ids_take_at(int fd, struct ebb_cgroup_ids *ret_ids);
void ebb_cgroup_ids_done(struct ebb_cgroup_ids *ids);
bool ebb_cgroup_ids_have(const struct ebb_cgroup_ids *ids, uint64_t id);

#endif /* EBB_NODE_CGROUP_TREE_H */

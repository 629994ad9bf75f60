/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over the directories of a cgroup2 mount: how ids become paths where the kernel may not be asked for them
 * (CAP_DAC_READ_SEARCH, node/cgroup.c). It lives on no state and never blocks on anything but the tree itself.
 */
#ifndef EBB_NODE_CGROUP_TREE_H
#define EBB_NODE_CGROUP_TREE_H

#include <stddef.h>
#include <stdint.h>

/* @path is relative to where the walk began, "/" is that itself; valid during the call. Not 0: the walk ends with it. */
typedef int (*ebb_cgroup_met_fn)(void *userdata, uint64_t id, const char *path);

/*
 * Calls @met for @fd (borrowed) and every directory below, at most so deep as the kernel's paths can be. What
 * disappears meanwhile is left out. 0, what @met returned, or a negative errno for @fd itself.
 */
int ebb_cgroup_walk(int fd, ebb_cgroup_met_fn met, void *userdata);

#endif /* EBB_NODE_CGROUP_TREE_H */

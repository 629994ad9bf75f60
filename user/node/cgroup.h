/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where cgroups are on this node, and which id is which path.
 */
#ifndef EBB_NODE_CGROUP_H
#define EBB_NODE_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

#define EBB_CGROUP_PATH_MAX 512

/* The mount point of cgroup2, from /proc/self/mountinfo (unified or hybrid). -ENOENT: none. */
int ebb_cgroup_mount(char *ret_path, size_t size, struct ebb_why *why);

/*
 * What "auto" means here: the kubepods slice if there is one, else the cgroup2 root.
 */
int ebb_cgroup_auto(char *ret_path, size_t size, struct ebb_why *why);

/* Opens @path and makes sure that it is a cgroup2 directory. The caller owns *@ret_fd. */
int ebb_cgroup_open(const char *path, int *ret_fd, uint64_t *ret_id, struct ebb_why *why);

/* Names of cgroups by id, relative to the mount; remembers, bounded. */
struct ebb_cgroup_names;

int ebb_cgroup_names_new(struct ebb_cgroup_names **ret_names);
void ebb_cgroup_names_free(struct ebb_cgroup_names *names);

/*
 * "/kubepods.slice/..." for @id, "/" for the root; "cgroup:ID" when it is gone or
 * cannot be looked up (needs CAP_DAC_READ_SEARCH). Valid until @names is freed or its next call.
 */
const char *ebb_cgroup_name(struct ebb_cgroup_names *names, uint64_t id);

#endif /* EBB_NODE_CGROUP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where cgroups are on this node, and which id is which path.
 */
#ifndef EBB_NODE_CGROUP_H
#define EBB_NODE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/why.h"

#define EBB_CGROUP_PATH_MAX 512

/* What mountinfo says about cgroups. */
struct ebb_cgroup_mounts {
	char path[EBB_CGROUP_PATH_MAX]; /* of cgroup2; "": none */
	bool v1; /* controllers are mounted the old way: hybrid, or no cgroup2 at all */
};

/*
 * Reads text in the format of /proc/PID/mountinfo. Of several cgroup2 mounts the
 * one that shows most of the hierarchy is taken. 0 or a negative errno.
 */
int ebb_cgroup_parse_mounts(FILE *mountinfo, struct ebb_cgroup_mounts *ret_mounts);

/* The same for this process. */
int ebb_cgroup_mounts(struct ebb_cgroup_mounts *ret_mounts, struct ebb_why *why);

/* The mount point of cgroup2, from /proc/self/mountinfo (unified or hybrid). -ENOENT: none. */
int ebb_cgroup_mount(char *ret_path, size_t size, struct ebb_why *why);

/*
 * What "auto" means here: the kubepods slice if there is one, else the cgroup2 root.
 */
int ebb_cgroup_auto(char *ret_path, size_t size, struct ebb_why *why);

/* The same below a given mount point. -ENAMETOOLONG: @ret_path is too small. */
int ebb_cgroup_auto_below(const char *mount, char *ret_path, size_t size);

/* Opens @path and makes sure that it is a cgroup2 directory. The caller owns *@ret_fd. */
int ebb_cgroup_open(const char *path, int *ret_fd, uint64_t *ret_id, struct ebb_why *why);

/*
 * The same by id. -ESTALE: it is gone; -EPERM: not permitted (CAP_DAC_READ_SEARCH); -ENOENT: there
 * is no cgroup2 here.
 */
int ebb_cgroup_open_id(uint64_t id, int *ret_fd, struct ebb_why *why);

/* Names of cgroups by id, relative to the mount; remembers, bounded. */
struct ebb_cgroup_names;

int ebb_cgroup_names_new(struct ebb_cgroup_names **ret_names);
void ebb_cgroup_names_free(struct ebb_cgroup_names *names);

/*
 * From now on the cgroup of a pod is called as its pod is, by @pods; borrowed, NULL: no more. What was said about
 * them before stays true of those that are gone.
 */
struct ebb_pods;
void ebb_cgroup_names_use(struct ebb_cgroup_names *names, const struct ebb_pods *pods);

#define EBB_CGROUP_GONE \
	"cgroup:" /* begins the name of one that is gone; a path begins with a slash, no namespace has a colon */

/*
 * "namespace/pod/container" of a pod that is known. Else "/kubepods.slice/..." for @id, "/" for the root; "cgroup:ID" when it is gone.
 * Costs a walk over the tree without CAP_DAC_READ_SEARCH. Valid until @names is freed or its next call.
 * Printable UTF-8, whatever the cgroup is called. A cgroup that is gone keeps the name it was seen with.
 */
const char *ebb_cgroup_name(struct ebb_cgroup_names *names, uint64_t id);

/* The same without pods: the path. */
const char *ebb_cgroup_path_name(struct ebb_cgroup_names *names, uint64_t id);

/* What is known of its pod; NULL: nobody asks for pods, or out of memory. As long valid as a name. */
struct ebb_tag;
const struct ebb_tag *ebb_cgroup_tag(struct ebb_cgroup_names *names, uint64_t id);

/* The ids of all cgroups below the mount, see node/cgroup_tree.h. -ENOENT: there is no cgroup2 here. */
struct ebb_cgroup_ids;
int ebb_cgroup_ids_take(const struct ebb_cgroup_names *names, struct ebb_cgroup_ids *ret_ids);

/*
 * Writes the path of cgroup @id below the mount. -ESTALE: gone, -EPERM: not permitted
 * (both are remembered); any other error is tried again at the next call.
 */
typedef int (*ebb_cgroup_resolve_fn)(void *userdata, uint64_t id, char *ret_path, size_t size);

/* Names from @resolve instead of the kernel, at most @max remembered: for tests. */
int ebb_cgroup_names_new_from(ebb_cgroup_resolve_fn resolve, void *userdata, size_t max,
			      struct ebb_cgroup_names **ret_names);

#endif /* EBB_NODE_CGROUP_H */

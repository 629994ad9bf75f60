/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody took from us while we run: a program was detached, a pin removed or replaced. Found here, put
 * right by the loader (ebb_loader_links_lost() and the like).
 */
#ifndef EBB_KERNEL_LOST_H
#define EBB_KERNEL_LOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ebb_lost_how {
	EBB_LOST_DETACHED, /* the link is pinned and leads nowhere: detached by force, or its cgroup is gone */
	EBB_LOST_UNPINNED, /* nothing is there any more */
	EBB_LOST_REPLACED, /* something else is there, or another program is attached */
	EBB_LOST_MAX,
};

/* "detached", "unpinned", "replaced" */
const char *ebb_lost_how_name(enum ebb_lost_how how);

struct ebb_lost {
	const char *
		name; /* of a program "connect4"; of a pin "ebb_gate_v2", or EBB_PIN_DIRECTORY; lives for ever */
	enum ebb_lost_how how;
};

#define EBB_PIN_DIRECTORY "directory"

/* The pinned maps, the directory, its two locks, a program. */
#define EBB_PINS_LOST_MAX 32

/*
 * Private to user/kernel. True, and how: the link at @path is not that of program @program_id on cgroup
 * @cgroup_id. What cannot be found out is not lost.
 */
bool ebb_link_is_lost(const char *path, uint32_t program_id, uint64_t cgroup_id, enum ebb_lost_how *ret_how);

/* The same of a map, by its id. */
bool ebb_map_is_lost(const char *path, uint32_t map_id, enum ebb_lost_how *ret_how);

/* The same of the directory, by an open descriptor; -1: whatever is there will do. */
bool ebb_path_is_lost(const char *path, int fd, enum ebb_lost_how *ret_how);

/* Pins @fd in place of what may be there: there is one at every moment. 0 or a negative errno. */
int ebb_pin_put(const char *dir, const char *prefix, const char *name, int fd);

#endif /* EBB_KERNEL_LOST_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespaces of the processes below a cgroup.
 */
#ifndef EBB_NODE_NETNS_H
#define EBB_NODE_NETNS_H

#include <stddef.h>
#include <stdint.h>

struct ebb_netns {
	uint64_t inode;
	int fd;
};

struct ebb_netns_list {
	struct ebb_netns *namespaces; /* each once */
	size_t count;
	size_t processes; /* that were seen */
	size_t hidden;	  /* in another process namespace: not even their ids are known here */
	size_t refused;	  /* not permitted to look at */
};

/* Those other than the caller's own. Free it with ebb_netns_list_done(). 0 or a negative errno. */
int ebb_netns_below(const char *cgroup, struct ebb_netns_list *ret_list);
void ebb_netns_list_done(struct ebb_netns_list *list);

#endif /* EBB_NODE_NETNS_H */

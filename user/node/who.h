/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who opens connections: what a cgroup is called wherever it leaves the node, in metrics, logs,
 * audit, spans, the API and on the page.
 */
#ifndef EBB_NODE_WHO_H
#define EBB_NODE_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "node/cgroup.h"

/* Texts are borrowed and printable UTF-8, valid until the next call. None is NULL. */
struct ebb_who {
	const char *
		workload; /* the owner of the pod, kind/name; else the cgroup's path; "~other" for what has none */
	const char *namespace; /* this and the next two: "" where it is not of Kubernetes */
	const char *pod;
	const char *container;
	bool gone; /* the pod is deleted: nothing of it is measured any more */
};

/* Who @workload (a cgroup id, 0: nobody) is. */
void ebb_who(struct ebb_cgroup_names *names, uint64_t workload, struct ebb_who *ret_who);

/*
 * Does an operator's @pattern mean @workload? It is fnmatch(3) of its name (ebb_cgroup_name()), of its owner or of
 * its cgroup's path; or the last part of its name.
 */
bool ebb_who_matches(struct ebb_cgroup_names *names, uint64_t workload, const char *pattern);

#endif /* EBB_NODE_WHO_H */

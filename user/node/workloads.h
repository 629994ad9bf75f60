/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which workloads are governed: the rules of the configuration against what is known of a
 * cgroup. Pure. The class of a cgroup is that of its nearest ancestor that a rule is about, so
 * all below a container are what the container is.
 */
#ifndef EBB_NODE_WORKLOADS_H
#define EBB_NODE_WORKLOADS_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"
#include "config/config.h"

struct ebb_label {
	const char *key;
	const char *value;
};

/* Who a cgroup belongs to on Kubernetes; NULL members: nobody, or none. Everything borrowed. */
struct ebb_identity {
	const char *namespace;
	const char *priority_class;
	const struct ebb_label *labels;
	size_t label_count;
};

/* What is known of a cgroup. */
struct ebb_workload_facts {
	const char *path;		     /* below the cgroup2 mount: "/system.slice/cron.service" */
	const struct ebb_identity *identity; /* NULL: not identified yet */
	bool awaited; /* somebody is about to identify it; else only rules of the configuration wait for it */
	bool own;     /* it is the agent's own */
};

/*
 * Excluded by the configuration, or not included: @rules->excluded. The agent's own, kube-system
 * and the system's priority classes are excluded unless a rule of include says otherwise.
 * UNKNOWN: it depends on an identity that is not known yet.
 */
enum ebb_class ebb_workloads_classify(const struct ebb_workloads *rules,
				      const struct ebb_workload_facts *facts);

/* Is there any rule? */
bool ebb_workloads_are_ruled(const struct ebb_workloads *rules);

#endif /* EBB_NODE_WORKLOADS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is who on Kubernetes: asks for the pods of this node as the configuration says (node/kube.h), over the thread
 * for requests (lib/fetch.h), and leaves what it knows to commands (node/pods_file.h). NULL stands for a node
 * without Kubernetes everywhere.
 */
#ifndef EBB_AGENT_IDENTITIES_H
#define EBB_AGENT_IDENTITIES_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/why.h"
#include "node/kube.h"
#include "node/workloads.h"

struct ebb_identities;

struct ebb_identities_setup {
	const struct ebb_config *config; /* copied */
	const char *pin_dir;		 /* borrowed */
	struct ebb_fetch *fetch;	 /* borrowed; whoever owns it dispatches */
	uint64_t (*now_ns)(void);	 /* monotonic */
	uint64_t seed;
	/* With 401 or 403, each time; NULL: nobody wants to know. */
	void (*credentials_refused)(void *userdata, const char *url, unsigned int status);
	void *userdata;
};

/*
 * *@ret_identities is NULL where no source is configured, or "auto" finds none. -EINVAL: what is configured
 * cannot be; -ENOMEM and others. Where ebb is built without Kubernetes and it is asked for, that is told, and is the status.
 */
int ebb_identities_new(const struct ebb_identities_setup *setup, struct ebb_identities **ret_identities,
		       struct ebb_why *why);
void ebb_identities_free(struct ebb_identities *identities);

/* At each tick. True: the pods are not what they were at the last one. */
bool ebb_identities_tick(struct ebb_identities *identities);

/* The pods, for node/cgroup.h; NULL: none. Valid as long as @identities. */
const struct ebb_pods *ebb_identities_pods(const struct ebb_identities *identities);

/* For struct ebb_classifier_ops: who the cgroup at @path belongs to. */
bool ebb_identities_of(struct ebb_identities *identities, const char *path, struct ebb_identity *ret_identity,
		       bool *ret_awaited);

/* False: there is nothing that could have a status. */
bool ebb_identities_status(const struct ebb_identities *identities, struct ebb_kube_status *ret_status);

#endif /* EBB_AGENT_IDENTITIES_H */

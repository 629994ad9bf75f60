/* SPDX-License-Identifier: Apache-2.0 */
/* In place of identities.c where ebb is built with WITH_KUBERNETES=0: says so when somebody is to be asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/identities.h"
#include "lib/log.h"

/* There where somebody asks for Kubernetes. */
struct ebb_identities {
	char why[160];
};

int ebb_identities_new(const struct ebb_identities_setup *setup, struct ebb_identities **ret_identities,
		       struct ebb_why *why)
{
	uint32_t source = setup->config->kubernetes.source;
	struct ebb_identities *identities;

	if (source != EBB_KUBERNETES_API && source != EBB_KUBERNETES_KUBELET) {
		*ret_identities = NULL;
		return 0;
	}
	identities = calloc(1, sizeof(*identities));
	if (!identities)
		return ebb_why(why, -ENOMEM, "out of memory");
	(void)snprintf(identities->why, sizeof(identities->why),
		       "kubernetes.source asks for Kubernetes, but this ebb is built without it (WITH_KUBERNETES=0)");
	ebb_warn("%s: workloads go by their cgroups, and rules about namespaces and labels fit none",
		 identities->why);
	*ret_identities = identities;
	return 0;
}

void ebb_identities_free(struct ebb_identities *identities)
{
	free(identities);
}

bool ebb_identities_tick(struct ebb_identities *identities)
{
	(void)identities;
	return false;
}

const struct ebb_pods *ebb_identities_pods(const struct ebb_identities *identities)
{
	(void)identities;
	return NULL;
}

bool ebb_identities_of(struct ebb_identities *identities, const char *path, struct ebb_identity *ret_identity,
		       bool *ret_awaited)
{
	(void)identities;
	(void)path;
	(void)ret_identity;
	*ret_awaited = false;
	return false;
}

bool ebb_identities_status(const struct ebb_identities *identities, struct ebb_kube_status *ret_status)
{
	if (!identities)
		return false;
	*ret_status = (struct ebb_kube_status){.healthy = false};
	(void)snprintf(ret_status->why, sizeof(ret_status->why), "%s", identities->why);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the path of a cgroup tells by itself, without asking anybody: the pod and the container it
 * is of, as kubelet and the runtimes name them, and the systemd unit around it.
 */
#ifndef EBB_NODE_PLACE_H
#define EBB_NODE_PLACE_H

#include <limits.h>
#include <stddef.h>

#define EBB_POD_UID_MAX	     37 /* 8-4-4-4-12 hex digits and a NUL */
#define EBB_CONTAINER_ID_MAX 65

enum ebb_qos {
	EBB_QOS_NONE, /* not of a pod */
	EBB_QOS_GUARANTEED,
	EBB_QOS_BURSTABLE,
	EBB_QOS_BESTEFFORT,
};

struct ebb_place {
	enum ebb_qos qos;
	/*
	 * As the API writes it, with dashes. Of a static pod 32 digits without: the API has that
	 * as the annotation kubernetes.io/config.hash, and another uid.
	 */
	char pod[EBB_POD_UID_MAX];
	char container[EBB_CONTAINER_ID_MAX]; /* "": the pod itself, or a helper of the runtime */
	char unit[NAME_MAX + 1];	      /* the innermost service or scope; "": none */
	size_t pod_length; /* of that part of the path which is the pod's cgroup; 0: not of a pod */
};

/*
 * Of pods inside a pod it is the outermost: the kubelet of the node knows no other. Everything may
 * stand before: a mount point, a cgroup root of kubelet, the container that kubelet itself is in.
 */
void ebb_place_of(const char *path, struct ebb_place *ret_place);

#endif /* EBB_NODE_PLACE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the pod that a cgroup is of, kept beside its name (node/cgroup.h) for as long as the pods
 * stay what they are, and after them.
 */
#ifndef EBB_NODE_TAG_H
#define EBB_NODE_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "node/pods.h"

struct ebb_tag {
	uint64_t generation; /* of the pods that it was made from */
	bool gone;	     /* the pod is deleted */
	/* NULL: not of a pod that is known. Else all are there, in @text. */
	const char *name; /* namespace/pod/container */
	const char *namespace;
	const char *pod;
	const char *container; /* "": the pod itself, or a container that it does not name */
	const char *owner;     /* kind/name */
	char *text;
};

/*
 * Makes *@io_tag, or makes it anew if @pods have changed; @path is the cgroup's. Of a pod that is not known any
 * more the last that was stays, as gone. Out of memory: it stays as it is.
 */
void ebb_tag_update(struct ebb_tag **io_tag, const struct ebb_pods *pods, const char *path);
void ebb_tag_free(struct ebb_tag *tag);

#endif /* EBB_NODE_TAG_H */

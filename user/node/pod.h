/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod as the kubelet (/pods) and the API server (list, watch) tell it, and of that only what ebb needs. A
 * document is taken whole or not at all; what is in it is bounded, and printable ASCII without blanks.
 */
#ifndef EBB_NODE_POD_H
#define EBB_NODE_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/why.h"
#include "node/place.h"
#include "node/workloads.h"

#define EBB_PODS_MAX	       1024 /* of a node, and so of a document */
#define EBB_POD_LABELS_MAX     64   /* of one pod; the rest is not looked at */
#define EBB_POD_CONTAINERS_MAX 64   /* likewise, init and ephemeral containers too */
#define EBB_POD_VERSION_MAX    64   /* of a resourceVersion, with its NUL */

struct ebb_pod_container {
	char id[EBB_CONTAINER_ID_MAX];
	const char *name;
};

struct ebb_pod {
	struct ebb_arena arena; /* all that is below, and the pod itself */
	/* As the cgroup's path has it (node/place.h): of a static pod the hash of its file. */
	char uid[EBB_POD_UID_MAX];
	const char *namespace;
	const char *name;
	const char *node; /* "": none yet */
	/*
	 * The controller, kind/name as kubectl writes it: "deployment/web" (a ReplicaSet is its Deployment's, by the label
	 * pod-template-hash), "cronjob/nightly" (a Job whose name ends in the minute that it was for), else
	 * "daemonset/x", "job/x", ...; "pod/NAME" where nobody controls it.
	 */
	const char *owner;
	const char *priority_class; /* NULL: none */
	struct ebb_label *labels;
	size_t label_count;
	struct ebb_pod_container *containers;
	size_t container_count;
	uint64_t gone_ns; /* since when it is deleted; 0: it is not */
};

void ebb_pod_free(struct ebb_pod *pod);

struct ebb_pod_list {
	struct ebb_pod **pods; /* owned; whoever takes one leaves NULL */
	size_t count;
	char version[EBB_POD_VERSION_MAX]; /* to watch from; "": none (kubelet) */
};

/*
 * @text: a PodList. -EBADMSG: it is none, @why says where; -E2BIG: more than EBB_PODS_MAX pods; -ENOMEM. A pod with
 * a uid that no cgroup can have is left out.
 */
int ebb_pod_list_parse(const char *text, size_t size, struct ebb_pod_list **ret_list, struct ebb_why *why);
void ebb_pod_list_free(struct ebb_pod_list *list);

/* The same pods as a PodList again, for ebb_pod_list_parse(). NULL: out of memory. The caller frees it. */
char *ebb_pod_list_text(const struct ebb_pod *const *pods, size_t count);

enum ebb_pod_event_type {
	EBB_POD_CHANGED, /* ADDED or MODIFIED */
	EBB_POD_DELETED,
	EBB_POD_BOOKMARK, /* nothing but a version */
	EBB_POD_ERROR,
};

struct ebb_pod_event {
	enum ebb_pod_event_type type;
	struct ebb_pod *pod; /* owned; NULL: one that no cgroup can belong to */
	char version[EBB_POD_VERSION_MAX];
	int code;	   /* of an error: 410 means that the version is too old */
	char message[128]; /* of an error */
};

/* A line of a watch. -EBADMSG, -ENOMEM. */
int ebb_pod_event_parse(const char *text, size_t size, struct ebb_pod_event *ret_event, struct ebb_why *why);

/* "" : it has none of that id. */
const char *ebb_pod_container_name(const struct ebb_pod *pod, const char *id);

#endif /* EBB_NODE_POD_H */

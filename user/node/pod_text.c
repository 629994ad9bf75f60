/* SPDX-License-Identifier: Apache-2.0 */
/* Pods as text again: the part of a PodList that node/pod.c reads. */
#include <jansson.h>
#include <string.h>

#include "lib/json_whole.h"

#include "node/pod.h"

static json_t *labels_json(const struct ebb_pod *pod)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < pod->label_count; i++) {
		if (json_object_set_new(labels, pod->labels[i].key, json_string(pod->labels[i].value)) < 0) {
			json_decref(labels);
			return NULL;
		}
	}
	return labels;
}

static json_t *containers_json(const struct ebb_pod *pod)
{
	json_t *containers = json_array();

	for (size_t i = 0; i < pod->container_count; i++) {
		char id[sizeof("cri://") + EBB_CONTAINER_ID_MAX];

		(void)snprintf(id, sizeof(id), "cri://%s", pod->containers[i].id);
		if (json_array_append_new(containers, json_pack("{s:s, s:s}", "name", pod->containers[i].name,
								"containerID", id)) < 0) {
			json_decref(containers);
			return NULL;
		}
	}
	return containers;
}

/* The owner is told by its kind in small letters: parsed again it is the same. */
static json_t *pod_json(const struct ebb_pod *pod)
{
	size_t kind = strcspn(pod->owner, "/");

	return json_pack("{s:{s:s, s:s, s:s, s:o, s:[{s:s%, s:s, s:b}]}, s:{s:s, s:s*}, s:{s:o}}", "metadata",
			 "uid", pod->uid, "namespace", pod->namespace, "name", pod->name, "labels",
			 labels_json(pod), "ownerReferences", "kind", pod->owner, kind, "name",
			 pod->owner + kind + 1, "controller", 1, "spec", "nodeName", pod->node,
			 "priorityClassName", pod->priority_class, "status", "containerStatuses",
			 containers_json(pod));
}

char *ebb_pod_list_text(const struct ebb_pod *const *pods, size_t count)
{
	json_t *items, *root;
	char *text = NULL;
	size_t i = 0;

	ebb_json_begin();
	items = json_array();
	root = json_pack("{s:s, s:o}", "kind", "PodList", "items", items);
	while (root && i < count && json_array_append_new(items, pod_json(pods[i])) == 0)
		i++;
	if (root && i == count)
		text = ebb_json_dump(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a kubelet or an API server sends, whatever it is: refused with a reason, or pods that make the same list again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/pods.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pod(const struct ebb_pod *pod)
{
	REQUIRE(strlen(pod->uid) < EBB_POD_UID_MAX);
	REQUIRE(pod->namespace && *pod->namespace && pod->name && *pod->name && pod->node);
	REQUIRE(strchr(pod->owner, '/') && pod->container_count <= EBB_POD_CONTAINERS_MAX);
	REQUIRE(pod->label_count <= EBB_POD_LABELS_MAX);
}

static void check_list(struct ebb_pod_list *list)
{
	struct ebb_pod_list *again = NULL;
	struct ebb_pods *pods = NULL;
	char *text;

	REQUIRE(list->count <= EBB_PODS_MAX && ebb_pods_new(&pods) == 0);
	for (size_t i = 0; i < list->count; i++)
		check_pod(list->pods[i]);
	ebb_pods_replace(pods, list, 1);
	text = ebb_pods_text(pods);
	REQUIRE(text && ebb_pod_list_parse(text, strlen(text), &again, NULL) == 0);
	REQUIRE(again->count == ebb_pods_count(pods));
	for (size_t i = 0; i < again->count; i++) {
		const struct ebb_pod *pod = ebb_pods_find(pods, again->pods[i]->uid);

		REQUIRE(pod && strcmp(pod->owner, again->pods[i]->owner) == 0);
		REQUIRE(strcmp(pod->name, again->pods[i]->name) == 0);
	}
	free(text);
	ebb_pod_list_free(again);
	ebb_pods_free(pods);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ebb_pod_list *list = NULL;
	struct ebb_pod_event event;
	struct ebb_why why = {0};

	if (ebb_pod_list_parse((const char *)data, size, &list, &why) == 0) {
		check_list(list);
		ebb_pod_list_free(list);
	} else {
		REQUIRE(why.text[0] && !strchr(why.text, '\n'));
	}
	if (ebb_pod_event_parse((const char *)data, size, &event, &why) == 0 && event.pod) {
		check_pod(event.pod);
		ebb_pod_free(event.pod);
	}
	return 0;
}

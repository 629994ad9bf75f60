/* SPDX-License-Identifier: Apache-2.0 */
/* Pods as the kubelet and the API server tell them: what is taken of a document, what is refused, who is kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "node/pods.h"

#define UID    "0a0b0c0d-1111-2222-3333-444455556666"
#define ID     "4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a"
#define ID2    "9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c"
#define HASH   "0123456789abcdef0123456789abcdef"
#define SECOND 1000000000ULL

/* Of a real one, as far as it matters here, and something that does not. */
#define POD                                                                                                             \
	"{\"metadata\":{\"uid\":\"" UID                                                                                 \
	"\",\"namespace\":\"shop\",\"name\":\"web-7d9-x2\",\"resourceVersion\":\"77\","                                 \
	"\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"7d9\",\"empty\":\"\"},"                                    \
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-7d9\",\"controller\":true}]},"                    \
	"\"spec\":{\"nodeName\":\"n1\",\"priorityClassName\":\"gold\",\"containers\":[{\"name\":\"app\"}]},"            \
	"\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"containerd://" ID \
	"\"},{\"name\":\"waits\"}],\"initContainerStatuses\":[{\"name\":\"init\",\"containerID\":\"cri-o://" ID2        \
	"\"}]}}"
#define LIST(pods) "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"100\"},\"items\":[" pods "]}"

static struct ebb_pod_list *parse(const char *text)
{
	struct ebb_pod_list *list = NULL;
	struct ebb_why why = {0};

	if (ebb_pod_list_parse(text, strlen(text), &list, &why) < 0)
		fail_msg("%s", why.text);
	return list;
}

static void assert_pod(const struct ebb_pod *pod)
{
	assert_string_equal(pod->uid, UID);
	assert_string_equal(pod->namespace, "shop");
	assert_string_equal(pod->name, "web-7d9-x2");
	assert_string_equal(pod->owner, "deployment/web");
	assert_string_equal(pod->node, "n1");
	assert_string_equal(pod->priority_class, "gold");
	assert_int_equal(pod->label_count, 3);
	assert_int_equal(pod->container_count, 2);
	assert_string_equal(ebb_pod_container_name(pod, ID), "app");
	assert_string_equal(ebb_pod_container_name(pod, ID2), "init");
	assert_string_equal(ebb_pod_container_name(pod, HASH), "");
}

static void list_is_read_and_written(void **state)
{
	struct ebb_pod_list *list = parse(LIST(POD)), *again;
	char *text;

	(void)state;
	assert_string_equal(list->version, "100");
	assert_int_equal(list->count, 1);
	assert_pod(list->pods[0]);
	text = ebb_pod_list_text((const struct ebb_pod *const *)list->pods, list->count);
	assert_non_null(text);
	again = parse(text);
	assert_int_equal(again->count, 1);
	assert_pod(again->pods[0]);
	free(text);
	ebb_pod_list_free(again);
	ebb_pod_list_free(list);
}

static void kubelet_without_pods_says_null(void **state)
{
	struct ebb_pod_list *list =
		parse("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":null}");

	(void)state;
	assert_int_equal(list->count, 0);
	assert_string_equal(list->version, "");
	ebb_pod_list_free(list);
}

static void owner_is_who_people_look_for(void **state)
{
	static const struct {
		const char *labels, *owners, *wanted;
	} cases[] = {
		{"{}", "[]", "pod/p-1"},
		{"{}", "null", "pod/p-1"},
		{"{}", "[{\"kind\":\"Thing\",\"name\":\"x\"}]", "pod/p-1"}, /* no controller */
		{"{}", "[{\"kind\":\"Node\",\"name\":\"n1\",\"controller\":true}]", "pod/p-1"},
		{"{}", "[{\"kind\":\"DaemonSet\",\"name\":\"d\",\"controller\":true}]", "daemonset/d"},
		{"{}", "[{\"kind\":\"ReplicaSet\",\"name\":\"r-1\",\"controller\":true}]", "replicaset/r-1"},
		{"{\"pod-template-hash\":\"2\"}",
		 "[{\"kind\":\"ReplicaSet\",\"name\":\"r-1\",\"controller\":true}]", "replicaset/r-1"},
		{"{\"pod-template-hash\":\"1\"}",
		 "[{\"kind\":\"ReplicaSet\",\"name\":\"r-1\",\"controller\":true}]", "deployment/r"},
		{"{}", "[{\"kind\":\"Job\",\"name\":\"j-7\",\"controller\":true}]", "job/j-7"},
		{"{}", "[{\"kind\":\"Job\",\"name\":\"j-28391040\",\"controller\":true}]", "cronjob/j"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		struct ebb_pod_list *list;

		(void)snprintf(text, sizeof(text),
			       LIST("{\"metadata\":{\"uid\":\"" UID
				    "\",\"namespace\":\"a\",\"name\":\"p-1\",\"labels\":%s,"
				    "\"ownerReferences\":%s}}"),
			       cases[i].labels, cases[i].owners);
		list = parse(text);
		assert_string_equal(list->pods[0]->owner, cases[i].wanted);
		ebb_pod_list_free(list);
	}
}

static void static_pod_is_known_by_its_hash(void **state)
{
	struct ebb_pod_list *list =
		parse(LIST("{\"metadata\":{\"uid\":\"" UID
			   "\",\"namespace\":\"kube-system\",\"name\":\"etcd-n1\",\"annotations\":"
			   "{\"kubernetes.io/config.hash\":\"" HASH "\"}}},"
			   "{\"metadata\":{\"uid\":\"an-uid-of-some-other-kind-that-no-cgroup-could-have\",\"namespace\":\"a\",\"name\":\"b\"}}"));

	(void)state;
	assert_int_equal(list->count, 1);
	assert_string_equal(list->pods[0]->uid, HASH);
	ebb_pod_list_free(list);
}

static void garbage_is_refused_whole(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "it ends early"},
		{"<html>503</html>", "no JSON, line 1"},
		{"[]", "no JSON object"},
		{"{\"kind\":\"Status\"}", "'kind' is not PodList"},
		{"{\"kind\":\"PodList\",\"items\":{}}", "'items' is no array"},
		{"{\"kind\":\"PodList\",\"items\":[" POD, "it ends early"},
		{LIST(POD ",7"), "'a pod' is no object"},
		{LIST(POD ",{}"), "'metadata' is missing"},
		{LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\"}}"), "'uid' is missing"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"name\":\"b\"}}"), "'namespace' is missing"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a b\",\"name\":\"b\"}}"),
		 "'namespace' is too long"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"b\\n\"}}"),
		 "'name' is too long"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":3}}"), "'name' is no text"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"b\",\"labels\":{\"a\":1}}}"),
		 "'labels' is"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"b\",\"ownerReferences\":[1]}}"),
		 "'ownerRef"},
		{LIST("{\"metadata\":{\"uid\":\"u\",\"namespace\":\"a\",\"name\":\"b\"},\"status\":{\"containerStatuses\":[{}]}}"),
		 "'containerStatuses' is without a name"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_pod_list *list = NULL;
		struct ebb_why why = {0};

		assert_int_equal(ebb_pod_list_parse(cases[i].text, strlen(cases[i].text), &list, &why),
				 -EBADMSG);
		assert_null(list);
		if (!strstr(why.text, cases[i].why))
			fail_msg("'%s' is not in '%s'", cases[i].why, why.text);
	}
}

static char *long_list(size_t pods, size_t labels, size_t containers)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	(void)fprintf(f, "{\"kind\":\"PodList\",\"items\":[");
	for (size_t p = 0; p < pods; p++) {
		(void)fprintf(f,
			      "%s{\"metadata\":{\"uid\":\"u%zu\",\"namespace\":\"a\",\"name\":\"p%zu\",\"labels\":{",
			      p ? "," : "", p, p);
		for (size_t i = 0; i < labels; i++)
			(void)fprintf(f, "%s\"l%zu\":\"v\"", i ? "," : "", i);
		(void)fprintf(f, "}},\"status\":{\"containerStatuses\":[");
		for (size_t i = 0; i < containers; i++)
			(void)fprintf(f, "%s{\"name\":\"c%zu\",\"containerID\":\"x://%064zx\"}", i ? "," : "",
				      i, i);
		(void)fprintf(f, "]}}");
	}
	(void)fprintf(f, "]}");
	(void)fclose(f);
	return text;
}

static void everything_is_bounded(void **state)
{
	char *many = long_list(EBB_PODS_MAX + 1, 0, 0), *rich = long_list(1, 100, 100);
	struct ebb_pod_list *list = NULL;
	struct ebb_why why = {0};

	(void)state;
	assert_int_equal(ebb_pod_list_parse(many, strlen(many), &list, &why), -E2BIG);
	assert_non_null(strstr(why.text, "more than 1024 pods"));
	list = parse(rich);
	assert_int_equal(list->pods[0]->label_count, EBB_POD_LABELS_MAX);
	assert_int_equal(list->pods[0]->container_count, EBB_POD_CONTAINERS_MAX);
	ebb_pod_list_free(list);
	free(many);
	free(rich);
}

static struct ebb_pod_event event_of(const char *text)
{
	struct ebb_pod_event event;
	struct ebb_why why = {0};

	if (ebb_pod_event_parse(text, strlen(text), &event, &why) < 0)
		fail_msg("%s", why.text);
	return event;
}

static void events_of_a_watch(void **state)
{
	struct ebb_pod_event e = event_of("{\"type\":\"MODIFIED\",\"object\":" POD "}");

	(void)state;
	assert_int_equal(e.type, EBB_POD_CHANGED);
	assert_string_equal(e.version, "77");
	assert_pod(e.pod);
	ebb_pod_free(e.pod);
	e = event_of("{\"type\":\"DELETED\",\"object\":" POD "}");
	assert_int_equal(e.type, EBB_POD_DELETED);
	ebb_pod_free(e.pod);
	e = event_of("{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"90\"}}}");
	assert_int_equal(e.type, EBB_POD_BOOKMARK);
	assert_null(e.pod);
	assert_string_equal(e.version, "90");
	e = event_of("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too\\nold\"}}");
	assert_int_equal(e.type, EBB_POD_ERROR);
	assert_int_equal(e.code, 410);
	assert_string_equal(e.message, "too old");
}

static void broken_events_are_refused(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"MODIFIED\",\"object\":{",
		"{\"type\":\"GROWN\",\"object\":" POD "}",
		"{\"object\":" POD "}",
		"{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":\"u\"}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ebb_pod_event event;
		struct ebb_why why = {0};

		assert_int_equal(ebb_pod_event_parse(texts[i], strlen(texts[i]), &event, &why), -EBADMSG);
		assert_true(why.text[0]);
	}
}

/* ------------------------------------------------------------------- cache -- */

static struct ebb_pods *fresh(void)
{
	struct ebb_pods *pods = NULL;

	assert_int_equal(ebb_pods_new(&pods), 0);
	return pods;
}

static void put(struct ebb_pods *pods, const char *uid, const char *container, uint64_t now_ns)
{
	char text[512];
	struct ebb_pod_event event;

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":\"%s\",\"namespace\":\"a\",\"name\":\"b\"},"
		       "\"status\":{\"containerStatuses\":[{\"name\":\"c\",\"containerID\":\"x://%s\"}]}}}",
		       uid, container);
	event = event_of(text);
	ebb_pods_put(pods, event.pod, now_ns);
}

static void deleted_pod_is_known_for_a_while(void **state)
{
	struct ebb_pods *pods = fresh();
	uint64_t before;

	(void)state;
	put(pods, "u1", ID, SECOND);
	put(pods, "u2", ID2, SECOND);
	before = ebb_pods_generation(pods);
	ebb_pods_remove(pods, "u1", 2 * SECOND);
	ebb_pods_remove(pods, "u1", 9 * SECOND);
	ebb_pods_remove(pods, "nobody", 2 * SECOND);
	assert_true(ebb_pods_generation(pods) > before);
	assert_int_equal(ebb_pods_find(pods, "u1")->gone_ns, 2 * SECOND);
	assert_int_equal(ebb_pods_count(pods), 1);
	ebb_pods_sweep(pods, EBB_PODS_GONE_NS + SECOND);
	assert_non_null(ebb_pods_find(pods, "u1"));
	ebb_pods_sweep(pods, EBB_PODS_GONE_NS + 2 * SECOND);
	assert_null(ebb_pods_find(pods, "u1"));
	assert_non_null(ebb_pods_find(pods, "u2"));
	assert_int_equal(ebb_pods_count(pods), 1);
	ebb_pods_free(pods);
}

static void whoever_is_not_in_the_list_is_gone(void **state)
{
	struct ebb_pods *pods = fresh();
	struct ebb_pod_list *list = parse(LIST(POD));

	(void)state;
	put(pods, "u1", ID, SECOND);
	ebb_pods_replace(pods, list, 3 * SECOND);
	ebb_pod_list_free(list);
	assert_int_equal(ebb_pods_find(pods, "u1")->gone_ns, 3 * SECOND);
	assert_int_equal(ebb_pods_find(pods, UID)->gone_ns, 0);
	/* and who is in it again is back */
	put(pods, "u1", ID, 4 * SECOND);
	assert_int_equal(ebb_pods_find(pods, "u1")->gone_ns, 0);
	assert_int_equal(ebb_pods_count(pods), 2);
	ebb_pods_free(pods);
}

static void container_that_was_started_again_keeps_its_old_id(void **state)
{
	struct ebb_pods *pods = fresh();

	(void)state;
	put(pods, "u1", ID, SECOND);
	put(pods, "u1", ID2, SECOND);
	assert_string_equal(ebb_pod_container_name(ebb_pods_find(pods, "u1"), ID), "c");
	assert_string_equal(ebb_pod_container_name(ebb_pods_find(pods, "u1"), ID2), "c");
	for (int i = 0; i < 100; i++) {
		char id[65];

		(void)snprintf(id, sizeof(id), "%064d", i);
		put(pods, "u1", id, SECOND);
		assert_string_equal(ebb_pod_container_name(ebb_pods_find(pods, "u1"), id), "c");
	}
	assert_int_equal(ebb_pods_find(pods, "u1")->container_count, EBB_POD_CONTAINERS_MAX);
	ebb_pods_free(pods);
}

static void full_cache_gives_up_the_gone_first(void **state)
{
	struct ebb_pods *pods = fresh();
	char uid[16];

	(void)state;
	for (int i = 0; i < EBB_PODS_MAX; i++) {
		(void)snprintf(uid, sizeof(uid), "u%d", i);
		put(pods, uid, ID, SECOND);
	}
	put(pods, "more", ID, SECOND);
	assert_null(ebb_pods_find(pods, "more"));
	assert_int_equal(ebb_pods_left_out(pods), 1);
	ebb_pods_remove(pods, "u7", 3 * SECOND);
	ebb_pods_remove(pods, "u5", 2 * SECOND);
	put(pods, "more", ID, 4 * SECOND);
	assert_non_null(ebb_pods_find(pods, "more"));
	assert_null(ebb_pods_find(pods, "u5"));
	assert_non_null(ebb_pods_find(pods, "u7"));
	ebb_pods_free(pods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_is_read_and_written),
		cmocka_unit_test(kubelet_without_pods_says_null),
		cmocka_unit_test(owner_is_who_people_look_for),
		cmocka_unit_test(static_pod_is_known_by_its_hash),
		cmocka_unit_test(garbage_is_refused_whole),
		cmocka_unit_test(everything_is_bounded),
		cmocka_unit_test(events_of_a_watch),
		cmocka_unit_test(broken_events_are_refused),
		cmocka_unit_test(deleted_pod_is_known_for_a_while),
		cmocka_unit_test(whoever_is_not_in_the_list_is_gone),
		cmocka_unit_test(container_that_was_started_again_keeps_its_old_id),
		cmocka_unit_test(full_cache_gives_up_the_gone_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pods without memory: read in whole or not at all, and those that are known stay known. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/pods.h"
#include "tests/lib/faults.h"

#define UID_OF(n) "0000000" n "-0000-4000-8000-000000000000"
#define ID_OF(n)  "000000000000000000000000000000000000000000000000000000000000000" n

/* A pod of a deployment, with labels and a container. */
#define POD(n)                                                                                                        \
	"{\"metadata\":{\"uid\":\"" UID_OF(                                                                           \
		n) "\",\"namespace\":\"shop\",\"name\":\"web-5d4f8c7b9-" n "\","                                      \
		   "\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"5d4f8c7b9\"},"                                \
		   "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-5d4f8c7b9\",\"controller\":true}]}," \
		   "\"spec\":{\"nodeName\":\"node-a\",\"priorityClassName\":\"high\"},"                               \
		   "\"status\":{\"containerStatuses\":[{\"name\":\"main\",\"containerID\":\"containerd://" ID_OF(n) "\"}]}}"

static const char list_text[] =
	"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"100\"},\"items\":[" POD("1") "," POD("2") "," POD("3") "]}";
static const char event_text[] = "{\"type\":\"ADDED\",\"object\":" POD("4") "}";

static void assert_whole(const struct ebb_pod *pod, char number)
{
	char name[32], id[EBB_CONTAINER_ID_MAX] = ID_OF("0");

	(void)snprintf(name, sizeof(name), "web-5d4f8c7b9-%c", number);
	id[63] = number;
	assert_string_equal(pod->namespace, "shop");
	assert_string_equal(pod->name, name);
	assert_string_equal(pod->node, "node-a");
	assert_string_equal(pod->owner, "deployment/web");
	assert_string_equal(pod->priority_class, "high");
	assert_int_equal(pod->label_count, 2);
	assert_int_equal(pod->container_count, 1);
	assert_string_equal(ebb_pod_container_name(pod, id), "main");
}

static void a_list_is_read_in_whole_or_not_at_all(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pod_list *list = NULL;
		struct ebb_why why = {{0}};
		int r;

		faults_on(&faults);
		r = ebb_pod_list_parse(list_text, strlen(list_text), &list, &why);
		faults_off(&faults);
		/* no memory is not the fault of the API server */
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r < 0) {
			assert_null(list);
			assert_string_equal(why.text, "out of memory");
			continue;
		}
		assert_int_equal(list->count, 3);
		for (int i = 0; i < 3; i++)
			assert_whole(list->pods[i], (char)('1' + i));
		ebb_pod_list_free(list);
	}
	assert_true(faults.places > 50);
}

static void an_event_is_read_in_whole_or_not_at_all(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pod_event event = {0};
		struct ebb_why why = {{0}};
		int r;

		faults_on(&faults);
		r = ebb_pod_event_parse(event_text, strlen(event_text), &event, &why);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r < 0) {
			assert_null(event.pod);
			assert_string_equal(why.text, "out of memory");
			continue;
		}
		assert_whole(event.pod, '4');
		ebb_pod_free(event.pod);
	}
	assert_true(faults.places > 20);
}

static struct ebb_pods *three_pods(void)
{
	struct ebb_pod_list *list = NULL;
	struct ebb_pods *pods = NULL;

	assert_int_equal(ebb_pods_new(&pods), 0);
	assert_int_equal(ebb_pod_list_parse(list_text, strlen(list_text), &list, NULL), 0);
	ebb_pods_replace(pods, list, 1);
	ebb_pod_list_free(list);
	return pods;
}

static struct ebb_pod *pod_of(const char *text)
{
	struct ebb_pod_event event = {0};

	assert_int_equal(ebb_pod_event_parse(text, strlen(text), &event, NULL), 0);
	return event.pod;
}

static void a_pod_that_there_is_no_memory_for_is_counted(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pods *pods = three_pods();
		struct ebb_pod *fresh = pod_of(event_text);
		const struct ebb_pod *found;

		faults_on(&faults);
		ebb_pods_put(pods, fresh, 2);
		faults_off(&faults);
		found = ebb_pods_find(pods, UID_OF("4"));
		assert_int_equal(ebb_pods_left_out(pods), found ? 0 : 1);
		assert_int_equal(ebb_pods_count(pods), found ? 4 : 3);
		assert_true(found || faults.hit > 0);
		if (found)
			assert_whole(found, '4');
		assert_whole(ebb_pods_find(pods, UID_OF("1")), '1');
		ebb_pods_free(pods);
	}
	assert_true(faults.places >= 1);
}

/* Alone, too, and when the whole list comes again. */
static void what_is_told_again_stays_known(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pod *fresh = pod_of(event_text);
		struct ebb_pod_list *list = NULL;
		struct ebb_pods *pods = NULL, *three = three_pods();

		assert_int_equal(ebb_pods_new(&pods), 0);
		ebb_pods_put(pods, pod_of(event_text), 1);
		assert_int_equal(ebb_pod_list_parse(list_text, strlen(list_text), &list, NULL), 0);
		faults_on(&faults);
		ebb_pods_put(pods, fresh, 2);
		ebb_pods_replace(three, list, 2);
		faults_off(&faults);
		assert_int_equal(ebb_pods_count(pods), 1);
		assert_whole(ebb_pods_find(pods, UID_OF("4")), '4');
		assert_int_equal(ebb_pods_count(three), 3);
		assert_int_equal(ebb_pods_left_out(pods) + ebb_pods_left_out(three) > 0, faults.hit > 0);
		ebb_pod_list_free(list);
		ebb_pods_free(three);
		ebb_pods_free(pods);
	}
	assert_true(faults.places >= 4);
}

/* The same pod again, as each change of its status is told. */
static void a_pod_that_is_known_stays_known(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	static const char again[] = "{\"type\":\"MODIFIED\",\"object\":" POD("2") "}";

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pods *pods = three_pods();
		struct ebb_pod *fresh = pod_of(again);

		faults_on(&faults);
		ebb_pods_put(pods, fresh, 2);
		faults_off(&faults);
		assert_int_equal(ebb_pods_count(pods), 3);
		assert_non_null(ebb_pods_find(pods, UID_OF("2")));
		assert_whole(ebb_pods_find(pods, UID_OF("2")), '2');
		ebb_pods_free(pods);
	}
}

/* One that was gone, and is in the list, is back: told alone or with the others. */
static void a_pod_that_comes_back_does_so_without_memory(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_pods *pods = three_pods(), *one = NULL;
		struct ebb_pod *fresh = pod_of(event_text);
		struct ebb_pod_list *list = NULL;

		assert_int_equal(ebb_pods_new(&one), 0);
		ebb_pods_put(one, pod_of(event_text), 1);
		ebb_pods_remove(one, UID_OF("4"), 2);
		ebb_pods_remove(pods, UID_OF("1"), 2);
		ebb_pods_remove(pods, UID_OF("2"), 2);
		assert_int_equal(ebb_pods_count(pods), 1);
		assert_int_equal(ebb_pod_list_parse(list_text, strlen(list_text), &list, NULL), 0);
		faults_on(&faults);
		ebb_pods_replace(pods, list, 3);
		ebb_pods_put(one, fresh, 3);
		faults_off(&faults);
		assert_int_equal(ebb_pods_count(pods), 3);
		assert_int_equal(ebb_pods_count(one), 1);
		ebb_pods_sweep(pods, 2 + EBB_PODS_GONE_NS);
		ebb_pods_sweep(one, 2 + EBB_PODS_GONE_NS);
		assert_whole(ebb_pods_find(pods, UID_OF("1")), '1');
		assert_whole(ebb_pods_find(pods, UID_OF("2")), '2');
		assert_whole(ebb_pods_find(one, UID_OF("4")), '4');
		ebb_pod_list_free(list);
		ebb_pods_free(pods);
		ebb_pods_free(one);
	}
	assert_true(faults.places >= 4);
}

static void the_text_of_pods_is_whole_or_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct ebb_pods *pods = three_pods();
	char *wanted = ebb_pods_text(pods);

	(void)state;
	assert_non_null(wanted);
	while (faults_next(&faults)) {
		char *text;

		faults_on(&faults);
		text = ebb_pods_text(pods);
		faults_off(&faults);
		assert_true(text || faults.hit > 0);
		if (text)
			assert_string_equal(text, wanted);
		free(text);
	}
	assert_true(faults.places > 20);
	free(wanted);
	ebb_pods_free(pods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read_in_whole_or_not_at_all),
		cmocka_unit_test(an_event_is_read_in_whole_or_not_at_all),
		cmocka_unit_test(a_pod_that_there_is_no_memory_for_is_counted),
		cmocka_unit_test(what_is_told_again_stays_known),
		cmocka_unit_test(a_pod_that_is_known_stays_known),
		cmocka_unit_test(a_pod_that_comes_back_does_so_without_memory),
		cmocka_unit_test(the_text_of_pods_is_whole_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

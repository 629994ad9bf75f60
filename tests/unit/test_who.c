/* SPDX-License-Identifier: Apache-2.0 */
/* What a cgroup is called: its pod's name while somebody knows the pod, and after it; else its path. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "node/pods.h"
#include "node/who.h"

#define SECOND 1000000000ULL
#define ID     "4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a4f5a"
#define UID    "0a0b0c0d-1111-2222-3333-444455556666"
#define PATH   "/kubepods/burstable/pod" UID

/* Cgroups of the test: a container, its pod, a pod that nobody tells of, a unit. */
static int resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	static const char *const paths[] = {PATH "/" ID, PATH, "/kubepods/pod" UID "f",
					    "/system.slice/a.service"};

	(void)userdata;
	if (id < 1 || id > sizeof(paths) / sizeof(paths[0]))
		return -ESTALE;
	(void)snprintf(ret_path, size, "%s", paths[id - 1]);
	return 0;
}

struct world {
	struct ebb_cgroup_names *names;
	struct ebb_pods *pods;
};

static int set_up(void **state)
{
	static struct world w;

	*state = &w;
	return ebb_cgroup_names_new_from(resolve, NULL, 100, &w.names) < 0 || ebb_pods_new(&w.pods) < 0 ? -1
													: 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_cgroup_names_free(w->names);
	ebb_pods_free(w->pods);
	return 0;
}

static void put(struct ebb_pods *pods, const char *name, const char *kind)
{
	char text[1024];
	struct ebb_pod_event event;

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":\"" UID
		       "\",\"namespace\":\"shop\",\"name\":\"%s\","
		       "\"ownerReferences\":[{\"kind\":\"%s\",\"name\":\"web\",\"controller\":true}]},"
		       "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"x://" ID
		       "\"}]}}}",
		       name, kind);
	assert_int_equal(ebb_pod_event_parse(text, strlen(text), &event, NULL), 0);
	ebb_pods_put(pods, event.pod, SECOND);
}

static void assert_who(struct world *w, uint64_t id, const char *workload, const char *namespace,
		       const char *pod, const char *container)
{
	struct ebb_who who;

	ebb_who(w->names, id, &who);
	assert_string_equal(who.workload, workload);
	assert_string_equal(who.namespace, namespace);
	assert_string_equal(who.pod, pod);
	assert_string_equal(who.container, container);
}

static void without_pods_it_is_the_path(void **state)
{
	struct world *w = *state;

	assert_who(w, 0, "~other", "", "", "");
	assert_who(w, 1, PATH "/" ID, "", "", "");
	assert_who(w, 9, "cgroup:9", "", "", "");
}

static void with_pods_it_is_the_pod(void **state)
{
	struct world *w = *state;

	ebb_cgroup_names_use(w->names, w->pods);
	assert_who(w, 1, PATH "/" ID, "", "", "");
	put(w->pods, "web-0", "StatefulSet");
	assert_who(w, 1, "statefulset/web", "shop", "web-0", "app");
	assert_who(w, 2, "statefulset/web", "shop", "web-0", "");
	assert_who(w, 4, "/system.slice/a.service", "", "", "");
	assert_string_equal(ebb_cgroup_name(w->names, 1), "shop/web-0/app");
	assert_string_equal(ebb_cgroup_name(w->names, 2), "shop/web-0");
	assert_string_equal(ebb_cgroup_name(w->names, 3), "/kubepods/pod" UID "f");
	assert_string_equal(ebb_cgroup_path_name(w->names, 1), PATH "/" ID);
	/* whoever changes is called by what he is now */
	put(w->pods, "web-0", "DaemonSet");
	assert_who(w, 1, "daemonset/web", "shop", "web-0", "app");
}

static void deleted_pod_keeps_its_name_and_is_gone(void **state)
{
	struct world *w = *state;
	struct ebb_who who;

	ebb_cgroup_names_use(w->names, w->pods);
	put(w->pods, "web-0", "StatefulSet");
	ebb_who(w->names, 1, &who);
	assert_false(who.gone);
	ebb_pods_remove(w->pods, UID, 2 * SECOND);
	ebb_who(w->names, 1, &who);
	assert_true(who.gone);
	/* and when it is forgotten */
	ebb_pods_sweep(w->pods, EBB_PODS_GONE_NS + 3 * SECOND);
	assert_null(ebb_pods_find(w->pods, UID));
	ebb_who(w->names, 1, &who);
	assert_true(who.gone);
	assert_who(w, 1, "statefulset/web", "shop", "web-0", "app");
	ebb_who(w->names, 4, &who);
	assert_false(who.gone);
}

static void patterns_mean_name_owner_and_path(void **state)
{
	static const char *const yes[] = {"shop/*",	   "shop/web-0/app", "app",
					  "statefulset/*", "/kubepods/*",    "*"},
				 *const no[] = {"web",	 "shop",	"ap", "/system.slice/*",
						"web-0", "deployment/*"};
	struct world *w = *state;

	ebb_cgroup_names_use(w->names, w->pods);
	put(w->pods, "web-0", "StatefulSet");
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!ebb_who_matches(w->names, 1, yes[i]))
			fail_msg("%s", yes[i]);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		if (ebb_who_matches(w->names, 1, no[i]))
			fail_msg("%s", no[i]);
	}
	assert_true(ebb_who_matches(w->names, 4, "a.service"));
	assert_true(ebb_who_matches(w->names, 4, "/system.slice/*"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_pods_it_is_the_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(with_pods_it_is_the_pod, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deleted_pod_keeps_its_name_and_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(patterns_mean_name_owner_and_path, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

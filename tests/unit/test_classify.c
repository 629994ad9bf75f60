/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/classify.c over directories that play the tree of cgroups, and a table in memory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/classify.h"
#include "lib/cleanup.h"
#include "node/cgroup_tree.h"
#include "node/place.h"
#include "tests/lib/fake_view.h"
#include "tests/lib/temp_dir.h"

#define TABLE 64
#define POD   "/kubepods/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f"

struct world {
	char mount[TEMP_DIR_MAX];
	struct ebb_view view;
	struct ebb_classifier *classifier;
	struct {
		uint64_t workload;
		uint32_t class;
	} table[TABLE];
	size_t used, room;
	bool identified;
	struct ebb_identity identity;
};

static int fake_put(void *userdata, uint64_t workload, uint32_t class)
{
	struct world *w = userdata;

	for (size_t i = 0; i < w->used; i++) {
		if (w->table[i].workload == workload) {
			w->table[i].class = class;
			return 0;
		}
	}
	if (w->used == w->room)
		return -E2BIG;
	w->table[w->used].workload = workload;
	w->table[w->used++].class = class;
	return 0;
}

static int fake_remove(void *userdata, uint64_t workload)
{
	struct world *w = userdata;

	for (size_t i = 0; i < w->used; i++) {
		if (w->table[i].workload == workload) {
			w->table[i] = w->table[--w->used];
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_each(void *userdata, void (*handle)(void *argument, uint64_t workload, uint32_t class),
		     void *argument)
{
	const struct world *w = userdata;
	struct world copy = *w;

	for (size_t i = 0; i < copy.used; i++)
		handle(argument, copy.table[i].workload, copy.table[i].class);
	return 0;
}

static bool fake_identify(void *userdata, const char *path, struct ebb_identity *ret_identity,
			  bool *ret_awaited)
{
	const struct world *w = userdata;
	struct ebb_place place;

	*ret_awaited = true;
	ebb_place_of(path, &place);
	if (!place.pod_length)
		return true;
	*ret_identity = w->identity;
	return w->identified;
}

static uint64_t make(const struct world *w, const char *path)
{
	char whole[512];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s%s", w->mount, path);
	assert_int_equal(mkdir(whole, 0755), 0);
	assert_int_equal(stat(whole, &st), 0);
	return st.st_ino;
}

static uint64_t id_of(const struct world *w, const char *path)
{
	char whole[512];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s%s", w->mount, path);
	assert_int_equal(stat(whole, &st), 0);
	return st.st_ino;
}

/* The kernel tells of somebody, and the next tick looks. */
static void meet(const struct world *w)
{
	ebb_classifier_meet(w->classifier);
	ebb_classifier_look(w->classifier);
}

static bool is_not_there(void *userdata, uint64_t workload)
{
	_cleanup_close_ int fd =
		open(((const struct world *)userdata)->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ebb_cgroup_ids ids = {};
	bool there;

	assert_int_equal(ebb_cgroup_ids_take_at(fd, &ids), 0);
	there = ebb_cgroup_ids_have(&ids, workload);
	ebb_cgroup_ids_done(&ids);
	return !there;
}

static uint32_t told(const struct world *w, uint64_t workload)
{
	for (size_t i = 0; i < w->used; i++) {
		if (w->table[i].workload == workload)
			return w->table[i].class;
	}
	return EBB_CLASS_MAX;
}

static void new_classifier(struct world *w, const char *own, bool identifies)
{
	const struct ebb_classifier_ops ops = {
		.userdata = w,
		.put = fake_put,
		.remove = fake_remove,
		.each = fake_each,
		.identify = identifies ? fake_identify : NULL,
	};
	char attach[512];

	ebb_classifier_free(w->classifier);
	(void)snprintf(attach, sizeof(attach), "%s/top", w->mount);
	assert_int_equal(ebb_classifier_new(&w->view, w->mount, attach, own, &ops, &w->classifier), 0);
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	assert_int_equal(temp_dir_make("classify", w->mount), 0);
	w->room = TABLE;
	w->view = fake_view_new(4, 4);
	(void)make(w, "/top");
	(void)make(w, "/top/a");
	(void)make(w, "/top/a/x");
	(void)make(w, "/top/b");
	(void)make(w, "/beside");
	new_classifier(w, NULL, false);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_classifier_free(w->classifier);
	fake_view_free(&w->view);
	(void)temp_dir_remove(w->mount);
	free(w);
	return 0;
}

static struct ebb_selector selector;
static struct ebb_workloads exclude_a = {.exclude = &selector,
					 .exclude_count = 1,
					 .excluded = EBB_CLASS_OBSERVED};
static const struct ebb_workloads none = {.excluded = EBB_CLASS_OBSERVED};

static struct ebb_classified configure(struct world *w, const struct ebb_workloads *rules, uint32_t kind,
				       const char *pattern)
{
	struct ebb_classified classified;

	selector = (struct ebb_selector){.kind = kind};
	if (pattern)
		(void)snprintf(selector.pattern, sizeof(selector.pattern), "%s", pattern);
	assert_int_equal(ebb_classifier_configure(w->classifier, rules, &classified), 0);
	return classified;
}

static void rules_fill_the_table_before_it_is_asked(void **state)
{
	struct world *w = *state;
	uint64_t mapping = w->view.agent->mapping;
	struct ebb_classified c = configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");

	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_ALL);
	assert_int_not_equal(w->view.agent->mapping, mapping);
	assert_int_equal(told(w, id_of(w, "/top")), EBB_CLASS_GOVERNED);
	assert_int_equal(told(w, id_of(w, "/top/a")), EBB_CLASS_OBSERVED);
	assert_int_equal(told(w, id_of(w, "/top/a/x")), EBB_CLASS_OBSERVED);
	assert_int_equal(told(w, id_of(w, "/top/b")), EBB_CLASS_GOVERNED);
	assert_int_equal(told(w, id_of(w, "/beside")), EBB_CLASS_MAX);
	assert_int_equal(c.count[EBB_CLASS_GOVERNED], 2);
	assert_int_equal(c.count[EBB_CLASS_OBSERVED], 2);
}

static void other_rules_change_what_they_change(void **state)
{
	struct world *w = *state;

	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/b");
	assert_int_equal(told(w, id_of(w, "/top/a/x")), EBB_CLASS_GOVERNED);
	assert_int_equal(told(w, id_of(w, "/top/b")), EBB_CLASS_OBSERVED);
	assert_int_equal(w->used, 4);
}

static void without_rules_the_table_is_empty_and_not_asked(void **state)
{
	struct world *w = *state;

	(void)configure(w, &none, 0, NULL);
	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_NONE);
	assert_int_equal(w->used, 0);
	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	(void)configure(w, &none, 0, NULL);
	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_NONE);
	assert_int_equal(w->used, 0);
}

static void our_own_is_listed_where_there_are_no_rules(void **state)
{
	struct world *w = *state;

	new_classifier(w, "/top/a", false);
	(void)configure(w, &none, 0, NULL);
	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_LISTED);
	assert_int_equal(w->used, 2);
	assert_int_equal(told(w, id_of(w, "/top/a")), EBB_CLASS_OBSERVED);
	assert_int_equal(told(w, id_of(w, "/top/a/x")), EBB_CLASS_OBSERVED);
	/* with rules all are in it, and without them again the exceptions only */
	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/b");
	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_ALL);
	assert_int_equal(told(w, id_of(w, "/top")), EBB_CLASS_GOVERNED);
	assert_int_equal(w->used, 4);
	(void)configure(w, &none, 0, NULL);
	assert_int_equal(w->used, 2);
}

static void new_one_is_classified_when_the_kernel_tells_of_it(void **state)
{
	struct world *w = *state;
	uint64_t id, mapping;

	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	mapping = w->view.agent->mapping;
	id = make(w, "/top/a/new");
	(void)fake_put(w, id, EBB_CLASS_UNKNOWN); /* as the kernel does */
	meet(w);
	assert_int_equal(told(w, id), EBB_CLASS_OBSERVED);
	assert_int_equal(ebb_classifier_class(w->classifier, id), EBB_CLASS_OBSERVED);
	assert_int_not_equal(w->view.agent->mapping, mapping);
}

static void lost_hint_costs_a_tick(void **state)
{
	struct world *w = *state;
	uint64_t id;

	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	id = make(w, "/top/c");
	(void)fake_put(w, id, EBB_CLASS_UNKNOWN);
	w->view.kernel->errors[EBB_ERR_UNCLASSIFIED]++;
	ebb_classifier_look(w->classifier);
	assert_int_equal(told(w, id), EBB_CLASS_GOVERNED);
}

static void those_that_are_gone_are_forgotten(void **state)
{
	struct world *w = *state;
	uint64_t gone = id_of(w, "/top/a/x"), stays = id_of(w, "/top/a");
	char path[512];

	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	assert_int_equal(ebb_classifier_sweep(w->classifier, is_not_there, w), 0);
	(void)snprintf(path, sizeof(path), "%s/top/a/x", w->mount);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(ebb_classifier_sweep(w->classifier, is_not_there, w), 1);
	assert_int_equal(told(w, gone), EBB_CLASS_MAX);
	assert_int_equal(ebb_classifier_class(w->classifier, gone), EBB_CLASS_MAX);
	assert_int_equal(told(w, stays), EBB_CLASS_OBSERVED);
}

static void full_table_leaves_the_rest_unknown(void **state)
{
	struct world *w = *state;
	struct ebb_classified c;

	w->room = 3;
	c = configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	assert_int_equal(c.left_out, 1);
	assert_int_equal(w->used, 3);
	w->room = TABLE;
	c = configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	assert_int_equal(c.left_out, 0);
	assert_int_equal(w->used, 4);
}

/* Ruling 4: the kernel keeps the time of one that is not identified; the agent does not touch it. */
static void ruling_4_a_pod_is_told_when_it_is_identified(void **state)
{
	struct world *w = *state;
	uint64_t pod;

	new_classifier(w, NULL, true);
	(void)make(w, "/top/kubepods");
	pod = make(w, "/top" POD);
	(void)configure(w, &exclude_a, EBB_SELECT_NAMESPACE, "dev");
	assert_int_equal(told(w, pod), EBB_CLASS_MAX);
	assert_int_equal(ebb_classifier_class(w->classifier, pod), EBB_CLASS_UNKNOWN);
	assert_int_equal(told(w, id_of(w, "/top/a")), EBB_CLASS_GOVERNED);
	(void)fake_put(w, pod, EBB_CLASS_UNKNOWN); /* its first connection */
	meet(w);
	assert_int_equal(told(w, pod), EBB_CLASS_UNKNOWN);
	w->identified = true;
	w->identity.namespace = "dev";
	w->view.kernel->errors[EBB_ERR_UNCLASSIFIED]++;
	ebb_classifier_look(w->classifier);
	assert_int_equal(told(w, pod), EBB_CLASS_OBSERVED);
	/* another rule, and it is not known any more: its time begins anew */
	w->identified = false;
	(void)configure(w, &exclude_a, EBB_SELECT_NAMESPACE, "test");
	assert_int_equal(told(w, pod), EBB_CLASS_MAX);
}

/* One that nobody has seen before its first connection keeps the time that the kernel has written down. */
static void ruling_4_the_time_of_a_new_pod_is_the_kernels(void **state)
{
	struct world *w = *state;
	uint64_t pod;

	(void)configure(w, &exclude_a, EBB_SELECT_NAMESPACE, "dev");
	(void)make(w, "/top/kubepods");
	pod = make(w, "/top" POD);
	(void)fake_put(w, pod, EBB_CLASS_UNKNOWN);
	meet(w);
	assert_int_equal(told(w, pod), EBB_CLASS_UNKNOWN);
	assert_int_equal(ebb_classifier_class(w->classifier, pod), EBB_CLASS_UNKNOWN);
}

/* Its table is pinned: what is gone or not known any more by the new rules is taken out of it. */
static void restart_takes_up_the_table(void **state)
{
	struct world *w = *state;
	uint64_t pod;

	(void)make(w, "/top/kubepods");
	pod = make(w, "/top" POD);
	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/*");
	(void)fake_put(w, 4711, EBB_CLASS_OBSERVED); /* of a cgroup that is gone */
	assert_int_equal(told(w, pod), EBB_CLASS_OBSERVED);
	new_classifier(w, NULL, false);
	assert_int_equal(ebb_classifier_class(w->classifier, pod), EBB_CLASS_OBSERVED);
	(void)configure(w, &exclude_a, EBB_SELECT_NAMESPACE, "dev");
	assert_int_equal(told(w, pod), EBB_CLASS_MAX);
	assert_int_equal(told(w, 4711), EBB_CLASS_MAX);
	assert_int_equal(told(w, id_of(w, "/top/a")), EBB_CLASS_GOVERNED);
	new_classifier(w, NULL, false);
	(void)configure(w, &none, 0, NULL);
	assert_int_equal(w->used, 0);
}

static void tree_that_cannot_be_read_changes_nothing(void **state)
{
	struct world *w = *state;
	struct ebb_classified c;
	char path[512], away[512];

	(void)configure(w, &exclude_a, EBB_SELECT_CGROUP, "/top/a");
	(void)snprintf(path, sizeof(path), "%s/top", w->mount);
	(void)snprintf(away, sizeof(away), "%s/away", w->mount);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(ebb_classifier_configure(w->classifier, &exclude_a, &c), -ENOENT);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(w->used, 4);
	assert_int_equal(w->view.agent->workload_rules, EBB_RULES_ALL);
}

/* ------------------------------------------------------------------ our own -- */

/* We are in it, and before us @others. */
static void write_procs(const struct world *w, const char *path, const char *others)
{
	char whole[512];
	FILE *f;

	(void)snprintf(whole, sizeof(whole), "%s%s/cgroup.procs", w->mount, path);
	f = fopen(whole, "we");
	assert_non_null(f);
	(void)fprintf(f, "%s%ld\n", others, (long)getpid());
	(void)fclose(f);
}

static int own(const struct world *w, char *path, size_t size)
{
	char attach[512];

	(void)snprintf(attach, sizeof(attach), "%s/top/b", w->mount);
	return ebb_classifier_own(w->mount, attach, path, size);
}

static void our_own_is_the_cgroup_that_we_are_alone_in(void **state)
{
	struct world *w = *state;
	char path[512];

	assert_int_equal(own(w, path, sizeof(path)), -ENOENT);
	write_procs(w, "/top/a/x", "");
	assert_int_equal(own(w, path, sizeof(path)), 0);
	assert_string_equal(path, "/top/a/x");
	write_procs(w, "/top/a/x", "1\n");
	assert_int_equal(own(w, path, sizeof(path)), -ENOENT);
}

static void our_own_is_the_whole_pod(void **state)
{
	struct world *w = *state;
	char path[512];

	(void)make(w, "/top/kubepods");
	(void)make(w, "/top" POD);
	(void)make(w, "/top" POD "/container");
	write_procs(w, "/top" POD "/container", "0\n");
	assert_int_equal(own(w, path, sizeof(path)), 0);
	assert_string_equal(path, "/top" POD);
}

static void what_holds_the_attach_point_is_not_our_own(void **state)
{
	struct world *w = *state;
	char path[512];

	write_procs(w, "/top/b", "");
	assert_int_equal(own(w, path, sizeof(path)), -ENOENT);
	write_procs(w, "/top", "");
	assert_int_equal(own(w, path, sizeof(path)), -ENOENT);
	write_procs(w, "", "");
	assert_int_equal(own(w, path, sizeof(path)), -ENOENT);
}

#define classify_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		classify_test(rules_fill_the_table_before_it_is_asked),
		classify_test(other_rules_change_what_they_change),
		classify_test(without_rules_the_table_is_empty_and_not_asked),
		classify_test(our_own_is_listed_where_there_are_no_rules),
		classify_test(new_one_is_classified_when_the_kernel_tells_of_it),
		classify_test(lost_hint_costs_a_tick),
		classify_test(those_that_are_gone_are_forgotten),
		classify_test(full_table_leaves_the_rest_unknown),
		classify_test(ruling_4_a_pod_is_told_when_it_is_identified),
		classify_test(ruling_4_the_time_of_a_new_pod_is_the_kernels),
		classify_test(restart_takes_up_the_table),
		classify_test(tree_that_cannot_be_read_changes_nothing),
		classify_test(our_own_is_the_cgroup_that_we_are_alone_in),
		classify_test(our_own_is_the_whole_pod),
		classify_test(what_holds_the_attach_point_is_not_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

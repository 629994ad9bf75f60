/* SPDX-License-Identifier: Apache-2.0 */
/* user/node/workloads.c: rules against what is known of a cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/workloads.h"

#define POD \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8dbc2fb1_9f1e_4b3e_a3a3_0a1b2c3d4e5f.slice"

#define GOVERNED EBB_CLASS_GOVERNED
#define EXCLUDED EBB_CLASS_OBSERVED
#define UNKNOWN	 EBB_CLASS_UNKNOWN

static const struct ebb_label labels[] = {{"app", "crawler"}, {"tier", "batch"}};

static const struct ebb_identity nobody = {0};
static const struct ebb_identity dev = {"dev-7", NULL, labels, 2};
static const struct ebb_identity prod = {"prod", "high", NULL, 0};
static const struct ebb_identity kube_system = {"kube-system", NULL, NULL, 0};
static const struct ebb_identity critical = {"prod", "system-node-critical", NULL, 0};

struct rule {
	uint32_t kind;
	const char *pattern; /* NULL: no rule */
};

struct row {
	const char *why;
	struct rule include, exclude;
	const char *path;
	const struct ebb_identity *identity;
	bool awaited, own;
	enum ebb_class want;
};

#define NO_RULE         \
	{               \
		0, NULL \
	}
#define CGROUP(p)                    \
	{                            \
		EBB_SELECT_CGROUP, p \
	}
#define SPACE(p)                        \
	{                               \
		EBB_SELECT_NAMESPACE, p \
	}
#define LABEL(p)                    \
	{                           \
		EBB_SELECT_LABEL, p \
	}
#define PRIORITY(p)                    \
	{                              \
		EBB_SELECT_PRIORITY, p \
	}

static const struct row rows[] = {
	{"no rule", NO_RULE, NO_RULE, "/a.service", &nobody, false, false, GOVERNED},
	{"the path", NO_RULE, CGROUP("/a.service"), "/a.service", &nobody, false, false, EXCLUDED},
	{"another path", NO_RULE, CGROUP("/a.service"), "/a.service2", &nobody, false, false, GOVERNED},
	{"a part of the name", NO_RULE, CGROUP("/a"), "/a.service", &nobody, false, false, GOVERNED},
	{"below an excluded one", NO_RULE, CGROUP("/a.service"), "/a.service/b/c", &nobody, false, false,
	 EXCLUDED},
	{"above an excluded one", NO_RULE, CGROUP("/a/b"), "/a", &nobody, false, false, GOVERNED},
	{"a star takes slashes", NO_RULE, CGROUP("/system.slice/*"), "/system.slice/a/b", &nobody, false,
	 false, EXCLUDED},
	{"not what is above the star", NO_RULE, CGROUP("/system.slice/*"), "/system.slice", &nobody, false,
	 false, GOVERNED},
	{"a star at the beginning", NO_RULE, CGROUP("*/sshd.service"), "/system.slice/sshd.service/x",
	 &nobody, false, false, EXCLUDED},
	{"everything", NO_RULE, CGROUP("*"), "/", &nobody, false, false, EXCLUDED},
	{"not included", CGROUP("/a/*"), NO_RULE, "/b", &nobody, false, false, EXCLUDED},
	{"included", CGROUP("/a/*"), NO_RULE, "/a/b", &nobody, false, false, GOVERNED},
	{"below an included one", CGROUP("/a"), NO_RULE, "/a/b/c", &nobody, false, false, GOVERNED},
	{"exclude is stronger", CGROUP("/a"), CGROUP("/a/b"), "/a/b/c", &nobody, false, false, EXCLUDED},

	{"namespace", NO_RULE, SPACE("dev-*"), POD, &dev, false, false, EXCLUDED},
	{"another namespace", NO_RULE, SPACE("dev-*"), POD, &prod, false, false, GOVERNED},
	{"no pod", NO_RULE, SPACE("*"), "/a.service", &nobody, false, false, GOVERNED},
	{"label", NO_RULE, LABEL("app=crawl*"), POD, &dev, false, false, EXCLUDED},
	{"another value", NO_RULE, LABEL("app=web"), POD, &dev, false, false, GOVERNED},
	{"another key", NO_RULE, LABEL("ap=crawler"), POD, &dev, false, false, GOVERNED},
	{"no labels", NO_RULE, LABEL("app=*"), POD, &prod, false, false, GOVERNED},
	{"priority", NO_RULE, PRIORITY("high"), POD, &prod, false, false, EXCLUDED},
	{"no priority", NO_RULE, PRIORITY("*"), POD, &dev, false, false, GOVERNED},

	{"not identified yet, namespace", NO_RULE, SPACE("dev-*"), POD, NULL, false, false, UNKNOWN},
	{"not identified yet, label", NO_RULE, LABEL("app=web"), POD, NULL, false, false, UNKNOWN},
	{"not identified yet, priority", NO_RULE, PRIORITY("x"), POD, NULL, false, false, UNKNOWN},
	{"not identified yet, include", SPACE("prod"), NO_RULE, POD, NULL, false, false, UNKNOWN},
	{"excluded whoever it is", NO_RULE, CGROUP("/kubepods.slice"), POD, NULL, false, false, EXCLUDED},
	{"not included whoever it is", CGROUP("/a"), SPACE("prod"), POD, NULL, false, false, EXCLUDED},
	{"only paths are asked about", NO_RULE, CGROUP("/a"), POD, NULL, false, false, GOVERNED},

	{"our own", NO_RULE, NO_RULE, POD, NULL, false, true, EXCLUDED},
	{"our own, wanted", CGROUP("/kubepods.slice"), NO_RULE, POD, NULL, false, true, GOVERNED},
	{"our own, perhaps wanted", SPACE("prod"), NO_RULE, POD, NULL, false, true, UNKNOWN},
	{"kube-system", NO_RULE, NO_RULE, POD, &kube_system, false, false, EXCLUDED},
	{"kube-system, wanted", SPACE("kube-*"), NO_RULE, POD, &kube_system, false, false, GOVERNED},
	{"kube-system, wanted and not", SPACE("kube-*"), SPACE("kube-system"), POD, &kube_system, false,
	 false, EXCLUDED},
	{"a system priority", NO_RULE, NO_RULE, POD, &critical, false, false, EXCLUDED},
	{"perhaps of the system", NO_RULE, NO_RULE, POD, NULL, true, false, UNKNOWN},
	{"perhaps of the system, wanted", CGROUP("*"), NO_RULE, POD, NULL, true, false, GOVERNED},
	{"nobody will ever tell", NO_RULE, NO_RULE, POD, NULL, false, false, GOVERNED},
};

static void fill(const struct rule *rule, struct ebb_selector *selector)
{
	selector->kind = rule->kind;
	if (rule->pattern)
		(void)snprintf(selector->pattern, sizeof(selector->pattern), "%s", rule->pattern);
}

static void class_follows_the_rules(void **state)
{
	static const char *const names[] = {"governed", "observed", "alone", "unknown"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct ebb_selector include = {0}, exclude = {0};
		struct ebb_workloads rules = {
			.include = &include,
			.include_count = row->include.pattern != NULL,
			.exclude = &exclude,
			.exclude_count = row->exclude.pattern != NULL,
			.excluded = EBB_CLASS_OBSERVED,
		};
		const struct ebb_workload_facts facts = {row->path, row->identity, row->awaited, row->own};
		enum ebb_class class;

		fill(&row->include, &include);
		fill(&row->exclude, &exclude);
		class = ebb_workloads_classify(&rules, &facts);
		if (class != row->want)
			fail_msg("%s: %s", row->why, names[class]);
		rules.excluded = EBB_CLASS_ALONE;
		class = ebb_workloads_classify(&rules, &facts);
		if (class != (row->want == EXCLUDED ? EBB_CLASS_ALONE : row->want))
			fail_msg("%s: ignored, and %s", row->why, names[class]);
		assert_int_equal(ebb_workloads_are_ruled(&rules), rules.include_count || rules.exclude_count);
	}
}

static void several_rules_are_asked_until_one_says_yes(void **state)
{
	struct ebb_selector list[] = {{EBB_SELECT_CGROUP, "/a"},
				      {EBB_SELECT_NAMESPACE, "x"},
				      {EBB_SELECT_CGROUP, "/b"}};
	const struct ebb_workloads rules = {.exclude = list,
					    .exclude_count = 3,
					    .excluded = EBB_CLASS_OBSERVED};
	struct ebb_workload_facts facts = {.path = "/b/c"};

	(void)state;
	assert_int_equal(ebb_workloads_classify(&rules, &facts), EBB_CLASS_OBSERVED);
	facts.path = "/c";
	assert_int_equal(ebb_workloads_classify(&rules, &facts), EBB_CLASS_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(class_follows_the_rules),
		cmocka_unit_test(several_rules_are_asked_until_one_says_yes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

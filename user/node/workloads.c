/* SPDX-License-Identifier: Apache-2.0 */
#include "node/workloads.h"

#include <fnmatch.h>
#include <string.h>

/* What a rule says of a cgroup; of several the greatest holds. */
enum answer {
	ANSWER_NO,
	ANSWER_OPEN, /* its identity is not known yet */
	ANSWER_YES,
};

/* Not governed by default: what the node itself needs. */
static const struct ebb_selector system_selectors[] = {
	{EBB_SELECT_NAMESPACE, "kube-system"},
	{EBB_SELECT_PRIORITY, "system-cluster-critical"},
	{EBB_SELECT_PRIORITY, "system-node-critical"},
};

/* The path or one of those above it; '*' stands for slashes, too. */
static bool matches_path(const char *pattern, const char *path)
{
	char part[1024];
	size_t length = strlen(path);

	if (fnmatch(pattern, path, 0) == 0)
		return true;
	if (length >= sizeof(part))
		return false;
	memcpy(part, path, length + 1);
	for (char *slash = strrchr(part, '/'); slash && slash > part; slash = strrchr(part, '/')) {
		*slash = '\0';
		if (fnmatch(pattern, part, 0) == 0)
			return true;
	}
	return false;
}

static bool matches(const char *pattern, const char *text)
{
	return text && fnmatch(pattern, text, 0) == 0;
}

/* "key=value", of which the value is a pattern. */
static bool matches_label(const char *pattern, const struct ebb_identity *identity)
{
	const char *equals = strchr(pattern, '=');
	size_t key;

	if (!equals)
		return false;
	key = (size_t)(equals - pattern);
	for (size_t i = 0; i < identity->label_count; i++) {
		const struct ebb_label *label = &identity->labels[i];

		if (strlen(label->key) == key && memcmp(label->key, pattern, key) == 0 &&
		    matches(equals + 1, label->value))
			return true;
	}
	return false;
}

static enum answer ask(const struct ebb_selector *selector, const struct ebb_workload_facts *facts)
{
	const struct ebb_identity *identity = facts->identity;
	bool yes = false;

	if (selector->kind == EBB_SELECT_CGROUP)
		return matches_path(selector->pattern, facts->path) ? ANSWER_YES : ANSWER_NO;
	if (!identity)
		return ANSWER_OPEN;
	switch (selector->kind) {
	case EBB_SELECT_NAMESPACE:
		yes = matches(selector->pattern, identity->namespace);
		break;
	case EBB_SELECT_LABEL:
		yes = matches_label(selector->pattern, identity);
		break;
	case EBB_SELECT_PRIORITY:
		yes = matches(selector->pattern, identity->priority_class);
		break;
	}
	return yes ? ANSWER_YES : ANSWER_NO;
}

static enum answer ask_all(const struct ebb_selector *selectors, size_t count,
			   const struct ebb_workload_facts *facts)
{
	enum answer best = ANSWER_NO;

	for (size_t i = 0; i < count; i++) {
		enum answer answer = ask(&selectors[i], facts);

		if (answer > best)
			best = answer;
	}
	return best;
}

/* What is excluded although nobody said so. */
static enum answer is_system(const struct ebb_workload_facts *facts)
{
	if (facts->own)
		return ANSWER_YES;
	if (!facts->identity && !facts->awaited)
		return ANSWER_NO;
	return ask_all(system_selectors, sizeof(system_selectors) / sizeof(system_selectors[0]), facts);
}

enum ebb_class ebb_workloads_classify(const struct ebb_workloads *rules,
				      const struct ebb_workload_facts *facts)
{
	enum answer excluded, included, wanted;

	excluded = ask_all(rules->exclude, rules->exclude_count, facts);
	wanted = ask_all(rules->include, rules->include_count, facts);
	included = rules->include_count ? wanted : ANSWER_YES;
	if (excluded == ANSWER_YES || included == ANSWER_NO)
		return (enum ebb_class)rules->excluded;
	if (wanted != ANSWER_YES) {
		enum answer system = is_system(facts);

		/* include may yet say that it is wanted all the same */
		if (system == ANSWER_YES && wanted == ANSWER_OPEN)
			system = ANSWER_OPEN;
		if (system > excluded)
			excluded = system;
		if (excluded == ANSWER_YES)
			return (enum ebb_class)rules->excluded;
	}
	return excluded == ANSWER_OPEN || included == ANSWER_OPEN ? EBB_CLASS_UNKNOWN : EBB_CLASS_GOVERNED;
}

bool ebb_workloads_are_ruled(const struct ebb_workloads *rules)
{
	return rules->include_count || rules->exclude_count;
}

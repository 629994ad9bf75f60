/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/classify.h"
#include "agent/shares.h"
#include "lib/log.h"
#include "node/cgroup_tree.h"

#define SWEEP_NS (60 * 1000000000ULL)
#define AGAIN_NS (30 * 1000000000ULL) /* so often at most all are classified again because a pod changed */

struct ebb_keeper {
	const struct ebb_view *view;
	struct ebb_mapping *mapping;
	struct ebb_cgroup_names *names;
	struct ebb_identities *identities;
	struct ebb_collector *collector;
	const struct ebb_workloads *rules; /* in force; NULL: none yet */
	bool changed;			   /* pods did, and not all are classified by what they are now */
	uint64_t again_at_ns;
	struct ebb_classifier *classifier;
	struct ebb_share_ops shares;
	uint64_t sweep_at_ns;
};

/* ---------------------------------------------------------------- classes -- */

static int put_class(void *userdata, uint64_t workload, uint32_t class)
{
	const struct ebb_keeper *k = userdata;
	const struct ebb_workload value = {.class = class};

	return ebb_workloads_put(k->mapping, workload, &value);
}

static int remove_class(void *userdata, uint64_t workload)
{
	const struct ebb_keeper *k = userdata;

	return ebb_workloads_remove(k->mapping, workload);
}

struct class_visit {
	void (*handle)(void *argument, uint64_t workload, uint32_t class);
	void *argument;
};

static int visit_class(void *userdata, uint64_t workload, const struct ebb_workload *value)
{
	const struct class_visit *visit = userdata;

	visit->handle(visit->argument, workload, value->class);
	return 0;
}

static int each_class(void *userdata, void (*handle)(void *argument, uint64_t workload, uint32_t class),
		      void *argument)
{
	const struct ebb_keeper *k = userdata;
	struct class_visit visit = {.handle = handle, .argument = argument};

	return ebb_workloads_each(k->mapping, visit_class, &visit);
}

static bool identify(void *userdata, const char *path, struct ebb_identity *ret_identity, bool *ret_awaited)
{
	const struct ebb_keeper *k = userdata;

	return ebb_identities_of(k->identities, path, ret_identity, ret_awaited);
}

/* ----------------------------------------------------------------- shares -- */

static int each_found(void *userdata, int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
		      void *argument)
{
	const struct ebb_keeper *k = userdata;

	return ebb_founds_each(k->mapping, handle, argument);
}

static int each_lost(void *userdata, int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
		     void *argument)
{
	const struct ebb_keeper *k = userdata;

	return ebb_losts_each(k->mapping, handle, argument);
}

static int get_found(void *userdata, uint64_t workload, uint64_t *ret_count)
{
	const struct ebb_keeper *k = userdata;

	return ebb_founds_get(k->mapping, workload, ret_count);
}

static int get_lost(void *userdata, uint64_t workload, uint64_t *ret_count)
{
	const struct ebb_keeper *k = userdata;

	return ebb_losts_get(k->mapping, workload, ret_count);
}

static int put_lost(void *userdata, uint64_t workload, uint64_t count)
{
	const struct ebb_keeper *k = userdata;

	return ebb_losts_put(k->mapping, workload, count);
}

static int forget_share(void *userdata, uint64_t workload)
{
	const struct ebb_keeper *k = userdata;
	int r = ebb_founds_remove(k->mapping, workload), s = ebb_losts_remove(k->mapping, workload);

	if (r < 0 && r != -ENOENT)
		return r;
	return s < 0 && s != -ENOENT ? s : 0;
}

static bool is_gone(void *userdata, uint64_t workload)
{
	return !ebb_cgroup_ids_have(userdata, workload);
}

/* ----------------------------------------------------------------- keeper -- */

int ebb_keeper_new(const struct ebb_view *view, struct ebb_mapping *mapping, struct ebb_cgroup_names *names,
		   const char *attach, struct ebb_identities *identities, struct ebb_collector *collector,
		   struct ebb_keeper **ret_keeper, struct ebb_why *why)
{
	struct ebb_keeper *k = calloc(1, sizeof(*k));
	const struct ebb_classifier_ops ops = {
		.userdata = k,
		.put = put_class,
		.remove = remove_class,
		.each = each_class,
		.identify = identities ? identify : NULL,
	};
	char mount[EBB_CGROUP_PATH_MAX], own[EBB_CGROUP_PATH_MAX];
	bool has_own;
	int r;

	if (!k)
		return ebb_why(why, -ENOMEM, "out of memory");
	k->view = view;
	k->mapping = mapping;
	k->names = names;
	k->identities = identities;
	k->collector = collector;
	k->shares = (struct ebb_share_ops){
		.userdata = k,
		.each_found = each_found,
		.each_lost = each_lost,
		.get_found = get_found,
		.get_lost = get_lost,
		.put_lost = put_lost,
		.forget = forget_share,
	};
	r = ebb_cgroup_mount(mount, sizeof(mount), why);
	if (r < 0) {
		ebb_keeper_free(k);
		return r;
	}
	has_own = ebb_classifier_own(mount, attach, own, sizeof(own)) == 0;
	if (has_own)
		ebb_debug("our own cgroup is excluded: cgroup=%s", own);
	r = ebb_classifier_new(view, mount, attach, has_own ? own : NULL, &ops, &k->classifier);
	if (r == 0)
		r = ebb_shares_recount(view, &k->shares);
	if (r < 0) {
		ebb_keeper_free(k);
		return ebb_why(why, r, "cannot keep the books about workloads: %s", ebb_strerror(r));
	}
	*ret_keeper = k;
	return 0;
}

void ebb_keeper_free(struct ebb_keeper *keeper)
{
	if (!keeper)
		return;
	ebb_classifier_free(keeper->classifier);
	free(keeper);
}

void ebb_keeper_configure(struct ebb_keeper *keeper, const struct ebb_workloads *rules)
{
	struct ebb_classified classified;
	int r = ebb_classifier_configure(keeper->classifier, rules, &classified);

	keeper->rules = rules;
	if (r < 0)
		ebb_warn("cannot read the tree of cgroups (%s): workloads stay classified as they are",
			 ebb_strerror(r));
	else if (classified.left_out)
		ebb_warn("the table of workloads is full: %u cgroups are let through and counted as unclassified",
			 classified.left_out);
	if (r == 0 && ebb_workloads_are_ruled(rules))
		ebb_info("workloads: governed=%u observed=%u ignored=%u unknown=%u",
			 classified.count[EBB_CLASS_GOVERNED], classified.count[EBB_CLASS_OBSERVED],
			 classified.count[EBB_CLASS_ALONE], classified.count[EBB_CLASS_UNKNOWN]);
}

void ebb_keeper_meet(struct ebb_keeper *keeper)
{
	ebb_classifier_meet(keeper->classifier);
}

void ebb_keeper_met(struct ebb_keeper *keeper)
{
	ebb_classifier_look(keeper->classifier);
}

void ebb_keeper_identified(struct ebb_keeper *keeper)
{
	ebb_classifier_identified(keeper->classifier);
	keeper->changed = true;
}

/* A pod that was known has other labels now: a walk over all cgroups, hence not at each change. */
static void classify_again(struct ebb_keeper *keeper, uint64_t now_ns)
{
	struct ebb_classified classified;

	if (!keeper->changed || !keeper->rules || now_ns < keeper->again_at_ns)
		return;
	keeper->changed = false;
	keeper->again_at_ns = now_ns + AGAIN_NS;
	(void)ebb_classifier_configure(keeper->classifier, keeper->rules, &classified);
}

/*
 * Forgets those whose cgroups are gone. No system call says of an id whether it is (see privileges.h), so the tree is
 * listed first: whoever comes later is in no table that is swept.
 */
static int sweep(const struct ebb_keeper *k)
{
	struct ebb_cgroup_ids ids = {};
	int r = ebb_cgroup_ids_take(k->names, &ids);

	if (r < 0)
		return r;
	(void)ebb_classifier_sweep(k->classifier, is_gone, &ids);
	r = ebb_shares_sweep(&k->shares, is_gone, &ids);
	/* a tree in which not even ours is shows others less than there is */
	if (ebb_cgroup_ids_have(&ids, k->view->agent->cgroup_id))
		ebb_collector_gone(k->collector, is_gone, &ids);
	ebb_cgroup_ids_done(&ids);
	return r;
}

void ebb_keeper_tick(struct ebb_keeper *keeper, uint64_t now_ns)
{
	int r;

	ebb_classifier_look(keeper->classifier);
	classify_again(keeper, now_ns);
	if (now_ns < keeper->sweep_at_ns)
		return;
	keeper->sweep_at_ns = now_ns + SWEEP_NS;
	r = sweep(keeper);
	if (r < 0)
		ebb_warn("cannot forget workloads that are gone (%s): trying again", ebb_strerror(r));
}

int ebb_keeper_lost(struct ebb_keeper *keeper, uint64_t workload)
{
	return ebb_shares_lost(&keeper->shares, workload);
}

struct greed {
	const struct ebb_share_ops *ops;
	uint64_t workload;
	int64_t held;
};

static int compare_greed(void *argument, uint64_t workload, const uint64_t *count)
{
	struct greed *greed = argument;
	uint64_t lost = 0;
	int r = greed->ops->get_lost(greed->ops->userdata, workload, &lost);

	if (r == 0 && (int64_t)(*count - lost) > greed->held) {
		greed->held = (int64_t)(*count - lost);
		greed->workload = workload;
	}
	return r;
}

const char *ebb_keeper_greediest(const struct ebb_keeper *keeper, char *buffer, size_t size)
{
	struct greed greed = {.ops = &keeper->shares};

	(void)keeper->shares.each_found(keeper->shares.userdata, compare_greed, &greed);
	(void)snprintf(buffer, size, "%s",
		       greed.workload ? ebb_cgroup_name(keeper->names, greed.workload) : "-");
	return buffer;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

/* an insertion that finds no memory leaves the entry out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	struct ebb_pod *pod;
	bool seen; /* in the present list */
	UT_hash_handle hh;
};

struct ebb_pods {
	struct entry *table;
	uint64_t generation;
	uint64_t left_out;
	size_t gone;
};

int ebb_pods_new(struct ebb_pods **ret_pods)
{
	struct ebb_pods *pods = calloc(1, sizeof(*pods));

	if (!pods)
		return -ENOMEM;
	pods->generation = 1;
	*ret_pods = pods;
	return 0;
}

static void drop(struct ebb_pods *pods, struct entry *entry)
{
	if (entry->pod->gone_ns)
		pods->gone--;
	HASH_DEL(pods->table, entry);
	ebb_pod_free(entry->pod);
	free(entry);
}

void ebb_pods_free(struct ebb_pods *pods)
{
	struct entry *entry, *next;

	if (!pods)
		return;
	HASH_ITER (hh, pods->table, entry, next)
		drop(pods, entry);
	free(pods);
}

static struct entry *find(const struct ebb_pods *pods, const char *uid)
{
	struct entry *entry;

	HASH_FIND_STR(pods->table, uid, entry);
	return entry;
}

const struct ebb_pod *ebb_pods_find(const struct ebb_pods *pods, const char *uid)
{
	const struct entry *entry = find(pods, uid);

	return entry ? entry->pod : NULL;
}

size_t ebb_pods_count(const struct ebb_pods *pods)
{
	return HASH_COUNT(pods->table) - pods->gone;
}

size_t ebb_pods_uids(const struct ebb_pods *pods, char ret_uids[EBB_PODS_MAX][EBB_POD_UID_MAX])
{
	const struct entry *entry;
	size_t count = 0;

	for (entry = pods->table; entry && count < EBB_PODS_MAX; entry = entry->hh.next) {
		if (!entry->pod->gone_ns)
			memcpy(ret_uids[count++], entry->pod->uid, EBB_POD_UID_MAX);
	}
	return count;
}

uint64_t ebb_pods_left_out(const struct ebb_pods *pods)
{
	return pods->left_out;
}

uint64_t ebb_pods_generation(const struct ebb_pods *pods)
{
	return pods->generation;
}

/* Of those that are gone the one that is so longest. */
static bool make_room(struct ebb_pods *pods)
{
	struct entry *entry, *next, *oldest = NULL;

	if (HASH_COUNT(pods->table) < EBB_PODS_MAX)
		return true;
	HASH_ITER (hh, pods->table, entry, next) {
		if (entry->pod->gone_ns && (!oldest || entry->pod->gone_ns < oldest->pod->gone_ns))
			oldest = entry;
	}
	if (!oldest)
		return false;
	drop(pods, oldest);
	return true;
}

static struct entry *insert(struct ebb_pods *pods, struct ebb_pod *pod)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->pod = pod;
	HASH_ADD_KEYPTR(hh, pods->table, pod->uid, strlen(pod->uid), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* Containers that @old knew and @pod does not. */
static void carry_over(struct ebb_pod *pod, const struct ebb_pod *old)
{
	for (size_t i = 0; i < old->container_count; i++) {
		const struct ebb_pod_container *container = &old->containers[i];
		struct ebb_pod_container *copy = &pod->containers[pod->container_count];

		if (pod->container_count == EBB_POD_CONTAINERS_MAX)
			return;
		if (*ebb_pod_container_name(pod, container->id))
			continue;
		copy->name = ebb_arena_text(&pod->arena, container->name, strlen(container->name));
		if (!copy->name)
			return;
		memcpy(copy->id, container->id, sizeof(copy->id));
		pod->container_count++;
	}
}

/* The new one goes in before the old one goes: without memory the old one stays. */
static struct entry *exchange(struct ebb_pods *pods, struct entry *old, struct ebb_pod *pod)
{
	struct entry *entry;

	carry_over(pod, old->pod);
	entry = insert(pods, pod);
	if (entry)
		drop(pods, old);
	return entry;
}

static void mark_back(struct ebb_pods *pods, struct entry *entry)
{
	if (!entry->pod->gone_ns)
		return;
	entry->pod->gone_ns = 0;
	pods->gone--;
	pods->generation++;
}

/* The entry of that pod, also where there was no memory for what is new of it. */
static struct entry *put(struct ebb_pods *pods, struct ebb_pod *pod)
{
	struct entry *old = find(pods, pod->uid), *entry = NULL;

	if (old)
		entry = exchange(pods, old, pod);
	else if (make_room(pods))
		entry = insert(pods, pod);
	if (entry) {
		pods->generation++;
		return entry;
	}
	pods->left_out++;
	ebb_pod_free(pod);
	if (old)
		mark_back(pods, old);
	return old;
}

void ebb_pods_put(struct ebb_pods *pods, struct ebb_pod *pod, uint64_t now_ns)
{
	(void)put(pods, pod);
	ebb_pods_sweep(pods, now_ns);
}

static void mark_gone(struct ebb_pods *pods, struct entry *entry, uint64_t now_ns)
{
	if (entry->pod->gone_ns)
		return;
	entry->pod->gone_ns = now_ns ? now_ns : 1;
	pods->gone++;
	pods->generation++;
}

void ebb_pods_remove(struct ebb_pods *pods, const char *uid, uint64_t now_ns)
{
	struct entry *entry = find(pods, uid);

	if (entry)
		mark_gone(pods, entry, now_ns);
}

void ebb_pods_replace(struct ebb_pods *pods, struct ebb_pod_list *list, uint64_t now_ns)
{
	struct entry *entry, *next;

	HASH_ITER (hh, pods->table, entry, next)
		entry->seen = false;
	for (size_t i = 0; i < list->count; i++) {
		entry = put(pods, TAKE_PTR(list->pods[i]));
		if (entry)
			entry->seen = true;
	}
	list->count = 0;
	HASH_ITER (hh, pods->table, entry, next) {
		if (!entry->seen)
			mark_gone(pods, entry, now_ns);
	}
	ebb_pods_sweep(pods, now_ns);
}

void ebb_pods_sweep(struct ebb_pods *pods, uint64_t now_ns)
{
	struct entry *entry, *next;

	HASH_ITER (hh, pods->table, entry, next) {
		if (!entry->pod->gone_ns || now_ns - entry->pod->gone_ns < EBB_PODS_GONE_NS)
			continue;
		drop(pods, entry);
		pods->generation++;
	}
}

char *ebb_pods_text(const struct ebb_pods *pods)
{
	size_t count = HASH_COUNT(pods->table), i = 0;
	_cleanup_free_ const struct ebb_pod **all = calloc(count + 1, sizeof(struct ebb_pod *));
	const struct entry *entry;

	if (!all)
		return NULL;
	for (entry = pods->table; entry; entry = entry->hh.next)
		all[i++] = entry->pod;
	return ebb_pod_list_text(all, count);
}

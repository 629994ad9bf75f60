/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of this node, by the uid that is in the paths of their cgroups. Bounded. A pod that is deleted is
 * still known for a while, since what it did is told of later; it is then marked gone.
 */
#ifndef EBB_NODE_PODS_H
#define EBB_NODE_PODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/pod.h"

#define EBB_PODS_GONE_NS (600 * 1000000000ULL) /* so long a deleted one is still known */

struct ebb_pods;

int ebb_pods_new(struct ebb_pods **ret_pods); /* -ENOMEM */
void ebb_pods_free(struct ebb_pods *pods);

/* All there are now: who is not in @list is gone. Takes the pods of @list, and leaves it empty. */
void ebb_pods_replace(struct ebb_pods *pods, struct ebb_pod_list *list, uint64_t now_ns);

/*
 * Takes @pod, in place of the one of the same uid; one that was gone is back. The ids of containers that it no longer names stay known as far as there is room: one that
 * was started again has another id, and its old cgroup may still be told of.
 */
void ebb_pods_put(struct ebb_pods *pods, struct ebb_pod *pod, uint64_t now_ns);

/* @uid is gone. */
void ebb_pods_remove(struct ebb_pods *pods, const char *uid, uint64_t now_ns);

/* Forgets those that have been gone for EBB_PODS_GONE_NS. */
void ebb_pods_sweep(struct ebb_pods *pods, uint64_t now_ns);

/* NULL: nobody knows it. Valid until the next change. */
const struct ebb_pod *ebb_pods_find(const struct ebb_pods *pods, const char *uid);

/* Those that are not gone. */
size_t ebb_pods_count(const struct ebb_pods *pods);

/* The uids of those that are not gone, at most EBB_PODS_MAX. Returns how many. */
size_t ebb_pods_uids(const struct ebb_pods *pods, char ret_uids[EBB_PODS_MAX][EBB_POD_UID_MAX]);

/* How often there was no room for a pod, or no memory for it or for what is new of it; one that was known stays so. */
uint64_t ebb_pods_left_out(const struct ebb_pods *pods);

/* Another number after each change: what was found out before may not hold. */
uint64_t ebb_pods_generation(const struct ebb_pods *pods);

/* All of them, gone or not, as a PodList. NULL: out of memory. The caller frees it. */
char *ebb_pods_text(const struct ebb_pods *pods);

#endif /* EBB_NODE_PODS_H */

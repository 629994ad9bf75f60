/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs that are told apart only by labels which metrics.labels leaves out are one series, a group:
 *
 *	pair ----------.
 *	pair ----------+--> group: what its members count + what it carries --> one series
 *	gate of a -----'
 *	destination
 *
 * A member counts for its group from when it joins: one that is new with all that it has, one that was there
 * before, or was called otherwise, without what it had. What a member leaves behind when its slot is given back the
 * group carries on. So no sum runs backwards while pairs come and go, and none jumps by what is an old story. A group
 * that no member is left of ends with its series.
 *
 * Members are called by their gates: a destination by its slot, a pair by dst_max + its slot. Memory is some bytes for
 * each slot, and for each group that has carried something a word for each counter. Of one thread.
 */
#ifndef EBB_EXPORT_GROUPS_H
#define EBB_EXPORT_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"

/* Labels of the series of pairs and gates that can be kept. */
enum ebb_kept {
	EBB_KEPT_DESTINATION, /* always */
	EBB_KEPT_WORKLOAD,
	EBB_KEPT_NAMESPACE,
	EBB_KEPT_POD,
	EBB_KEPT_CONTAINER,
	EBB_KEPT_MAX,
};
#define EBB_KEPT_ALL ((1U << EBB_KEPT_MAX) - 1)

/* As they are called in a series and in the configuration; ends with NULL. */
extern const char *const ebb_kept_names[EBB_KEPT_MAX + 1];

struct ebb_groups;

/* @kept: 1 << enum ebb_kept. @view is borrowed. The caller holds it. -ENOMEM. */
int ebb_groups_new(const struct ebb_view *view, uint32_t kept, struct ebb_groups **ret_groups);

/* One more holds it, and returns it. */
struct ebb_groups *ebb_groups_hold(struct ebb_groups *groups);

/* One less; the last one frees it. NULL is fine. */
void ebb_groups_drop(struct ebb_groups *groups);

uint32_t ebb_groups_kept(const struct ebb_groups *groups);

/*
 * The member that is called by @gate has labels of this @hash. Moves it when it had others. -ENOMEM: it stays
 * where it was.
 */
int ebb_groups_join(struct ebb_groups *groups, uint32_t gate, uint64_t hash, uint64_t now_ns);

/* All that there are have joined: who was not among them before, and joins later, is new. */
void ebb_groups_joined(struct ebb_groups *groups);

/* The slot of @gate is about to be cleared. */
void ebb_groups_leave(struct ebb_groups *groups, uint32_t gate);

/* Groups are [0, end), with gaps. */
uint32_t ebb_groups_end(const struct ebb_groups *groups);

/* Which group it is that has this number: another one has another epoch. False: none has. */
bool ebb_groups_epoch(const struct ebb_groups *groups, uint32_t group, uint32_t *ret_epoch);

/* What follows is of a group that is there. */

uint64_t ebb_groups_hash(const struct ebb_groups *groups, uint32_t group);

/* When it began to count, CLOCK_MONOTONIC. */
uint64_t ebb_groups_since(const struct ebb_groups *groups, uint32_t group);

uint32_t ebb_groups_count(const struct ebb_groups *groups, uint32_t group);

/* The member after @gate, or with EBB_GROUPS_NOBODY the first one; EBB_GROUPS_NOBODY: that was the last. */
uint32_t ebb_groups_next(const struct ebb_groups *groups, uint32_t group, uint32_t gate);
#define EBB_GROUPS_NOBODY UINT32_MAX

struct ebb_group_sum {
	struct ebb_pair pair; /* its counters, and what is active; nothing else */
	uint64_t moved[EBB_REASON_MAX];
	uint64_t local; /* attempts that never sent a SYN */
};

/* What it has counted. */
void ebb_groups_sum(const struct ebb_groups *groups, uint32_t group, struct ebb_group_sum *ret_sum);

#endif /* EBB_EXPORT_GROUPS_H */

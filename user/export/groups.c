/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group carries is counted modulo 2^64: who joins with an old story takes it away beforehand, so that
 *
 *	sum = counted by the members + carried
 *
 * is what was counted by members while they were members, whatever the order in which they came and went.
 */
#include "export/groups.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* an insertion that finds no memory leaves the group out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/cleanup.h"

#define NOBODY EBB_GROUPS_NOBODY

/* The counters of a pair lie in one row. */
#define FIRST_COUNTER offsetof(struct ebb_pair, attempts)
#define PAIR_COUNTERS ((offsetof(struct ebb_pair, turn_buckets) - FIRST_COUNTER) / sizeof(__u64))
#define COUNTERS      (PAIR_COUNTERS + EBB_REASON_MAX)

_Static_assert(offsetof(struct ebb_pair, syn_sent) == FIRST_COUNTER + sizeof(__u64),
	       "attempts are read first");
_Static_assert(PAIR_COUNTERS ==
		       2 + EBB_OUTCOME_MAX + 2 * EBB_CAUSE_MAX + 8 + 4 * EBB_DROP_MAX + 2 + EBB_TURN_MAX + 2,
	       "nothing but counters lies there: one that is added is summed, too");

const char *const ebb_kept_names[EBB_KEPT_MAX + 1] = {
	[EBB_KEPT_DESTINATION] = "destination", [EBB_KEPT_WORKLOAD] = "workload",
	[EBB_KEPT_NAMESPACE] = "namespace",	[EBB_KEPT_POD] = "pod",
	[EBB_KEPT_CONTAINER] = "container",
};

struct member {
	uint32_t group; /* NOBODY: none */
	uint32_t epoch; /* of its slot, when it joined */
	uint32_t next, previous;
};

struct group {
	uint64_t hash; /* of its labels */
	uint64_t since_ns;
	uint64_t local;	   /* the most that was shown: it never falls (metrics.c, local_failures()) */
	uint64_t *carried; /* [COUNTERS]; NULL: nothing */
	uint32_t first;	   /* member */
	uint32_t count;
	uint32_t number;
	UT_hash_handle hh;
};

/* What has a number. */
struct place {
	struct group *group; /* NULL: it is spare */
	uint32_t epoch;	     /* + 1 with each group that ends */
	uint32_t spare;	     /* the next spare one */
};

struct ebb_groups {
	const struct ebb_view *view;
	uint32_t kept;
	uint32_t holders;
	bool begun; /* who was there at first has joined */
	struct member *members;
	struct group *by_hash;
	struct place *places;
	uint32_t end, room; /* of places */
	uint32_t spare;	    /* the first; NOBODY: none */
};

int ebb_groups_new(const struct ebb_view *view, uint32_t kept, struct ebb_groups **ret_groups)
{
	struct ebb_groups *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->members = calloc(view->gate_max, sizeof(*g->members));
	if (!g->members) {
		free(g);
		return -ENOMEM;
	}
	for (uint32_t gate = 0; gate < view->gate_max; gate++)
		g->members[gate].group = NOBODY;
	g->view = view;
	g->kept = kept;
	g->holders = 1;
	g->spare = NOBODY;
	*ret_groups = g;
	return 0;
}

struct ebb_groups *ebb_groups_hold(struct ebb_groups *groups)
{
	groups->holders++;
	return groups;
}

uint32_t ebb_groups_kept(const struct ebb_groups *groups)
{
	return groups->kept;
}

/* --------------------------------------------------------------- counters -- */

static uint32_t epoch_of(const struct ebb_groups *g, uint32_t gate)
{
	const struct ebb_view *view = g->view;
	const __u32 *epoch =
		gate < view->dst_max ? &view->dsts[gate].epoch : &view->pairs[gate - view->dst_max].epoch;

	return __atomic_load_n(epoch, __ATOMIC_RELAXED);
}

/* Adds to @io_counters what the member has counted, @times: 1, or all ones to take it away. */
static void add_counters(const struct ebb_groups *g, uint32_t gate, uint64_t times,
			 uint64_t io_counters[COUNTERS])
{
	const struct ebb_view *view = g->view;
	const __u32 *moved = view->memories[gate].moved;

	if (gate >= view->dst_max) {
		const __u64 *row =
			(const void *)((const char *)&view->pairs[gate - view->dst_max] + FIRST_COUNTER);

		/* in this order: see local_failures() in metrics.c */
		for (size_t i = 0; i < PAIR_COUNTERS; i++)
			io_counters[i] += times * __atomic_load_n(&row[i], __ATOMIC_ACQUIRE);
	}
	for (size_t i = 0; i < EBB_REASON_MAX; i++)
		io_counters[PAIR_COUNTERS + i] += times * __atomic_load_n(&moved[i], __ATOMIC_RELAXED);
}

/* -ENOMEM. */
static int carry(const struct ebb_groups *g, struct group *group, uint32_t gate, uint64_t times)
{
	uint64_t counters[COUNTERS] = {0};
	bool any = false;

	add_counters(g, gate, times, counters);
	for (size_t i = 0; i < COUNTERS; i++)
		any |= counters[i] != 0;
	if (!any)
		return 0;
	if (!group->carried)
		group->carried = calloc(COUNTERS, sizeof(*group->carried));
	if (!group->carried)
		return -ENOMEM;
	for (size_t i = 0; i < COUNTERS; i++)
		group->carried[i] += counters[i];
	return 0;
}

/* ----------------------------------------------------------------- groups -- */

static int make_room(struct ebb_groups *g)
{
	uint32_t room = g->room ? 2 * g->room : 64;
	struct place *places;

	if (g->spare != NOBODY || g->end < g->room)
		return 0;
	places = realloc(g->places, room * sizeof(*places));
	if (!places)
		return -ENOMEM;
	g->places = places;
	g->room = room;
	return 0;
}

static void give_number(struct ebb_groups *g, struct group *group)
{
	uint32_t number = g->spare;

	if (number != NOBODY) {
		g->spare = g->places[number].spare;
	} else {
		number = g->end++;
		g->places[number].epoch = 0;
	}
	g->places[number].group = group;
	group->number = number;
}

static void end_group(struct ebb_groups *g, struct group *group)
{
	struct place *place = &g->places[group->number];

	if (g->by_hash) /* always: it holds the group, which the analyzer of clang does not see */
		HASH_DEL(g->by_hash, group);
	place->group = NULL;
	place->epoch++;
	place->spare = g->spare;
	g->spare = group->number;
	free(group->carried);
	free(group);
}

/* NULL: out of memory. */
static struct group *find_or_make(struct ebb_groups *g, uint64_t hash, uint64_t since_ns)
{
	struct group *group;

	HASH_FIND(hh, g->by_hash, &hash, sizeof(hash), group);
	if (group || make_room(g) < 0)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->hash = hash;
	group->since_ns = since_ns;
	group->first = NOBODY;
	HASH_ADD(hh, g->by_hash, hash, sizeof(group->hash), group);
	if (!group->hh.tbl) {
		free(group);
		return NULL;
	}
	give_number(g, group);
	return group;
}

void ebb_groups_drop(struct ebb_groups *groups)
{
	struct group *group, *next;

	if (!groups || --groups->holders > 0)
		return;
	HASH_ITER (hh, groups->by_hash, group, next)
		end_group(groups, group);
	free(groups->places);
	free(groups->members);
	free(groups);
}

/* ---------------------------------------------------------------- members -- */

static struct group *group_of(const struct ebb_groups *g, uint32_t gate)
{
	uint32_t number = g->members[gate].group;

	return number == NOBODY ? NULL : g->places[number].group;
}

static void link_member(struct ebb_groups *g, struct group *group, uint32_t gate)
{
	struct member *member = &g->members[gate];

	*member = (struct member){group->number, epoch_of(g, gate), group->first, NOBODY};
	if (group->first != NOBODY)
		g->members[group->first].previous = gate;
	group->first = gate;
	group->count++;
}

/* Its group ends with its last member. */
static void unlink_member(struct ebb_groups *g, uint32_t gate)
{
	struct group *group = group_of(g, gate);
	struct member *member = &g->members[gate];

	if (member->next != NOBODY)
		g->members[member->next].previous = member->previous;
	if (member->previous != NOBODY)
		g->members[member->previous].next = member->next;
	else
		group->first = member->next;
	member->group = NOBODY;
	if (--group->count == 0)
		end_group(g, group);
}

static bool is_current(const struct ebb_groups *g, uint32_t gate)
{
	return g->members[gate].epoch == epoch_of(g, gate);
}

void ebb_groups_leave(struct ebb_groups *groups, uint32_t gate)
{
	struct group *group = group_of(groups, gate);

	if (!group)
		return;
	/* without memory the sum falls, as at a restart */
	if (group->count > 1 && is_current(groups, gate))
		(void)carry(groups, group, gate, 1);
	unlink_member(groups, gate);
}

static uint64_t created_ns(const struct ebb_groups *g, uint32_t gate)
{
	const struct ebb_view *view = g->view;

	return gate < view->dst_max ? view->dsts[gate].created_ns
				    : view->pairs[gate - view->dst_max].created_ns;
}

int ebb_groups_join(struct ebb_groups *groups, uint32_t gate, uint64_t hash, uint64_t now_ns)
{
	struct group *before, *group;
	bool fresh;

	/* of a slot that was cleared without a word nothing is left that could be carried */
	if (group_of(groups, gate) && !is_current(groups, gate))
		unlink_member(groups, gate);
	before = group_of(groups, gate);
	if (before && before->hash == hash)
		return 0;
	fresh = groups->begun && !before;
	group = find_or_make(groups, hash, fresh ? created_ns(groups, gate) : now_ns);
	if (!group)
		return -ENOMEM;
	if (!fresh && carry(groups, group, gate, UINT64_MAX) < 0) {
		if (group->count == 0)
			end_group(groups, group);
		return -ENOMEM;
	}
	if (before)
		ebb_groups_leave(groups, gate);
	link_member(groups, group, gate);
	return 0;
}

void ebb_groups_joined(struct ebb_groups *groups)
{
	for (uint32_t gate = 0; gate < groups->view->gate_max; gate++)
		if (groups->members[gate].group != NOBODY && !is_current(groups, gate))
			unlink_member(groups, gate);
	groups->begun = true;
}

/* ------------------------------------------------------------------- told -- */

uint32_t ebb_groups_end(const struct ebb_groups *groups)
{
	return groups->end;
}

bool ebb_groups_epoch(const struct ebb_groups *groups, uint32_t group, uint32_t *ret_epoch)
{
	if (!groups->places[group].group)
		return false;
	*ret_epoch = groups->places[group].epoch;
	return true;
}

uint64_t ebb_groups_hash(const struct ebb_groups *groups, uint32_t group)
{
	return groups->places[group].group->hash;
}

uint64_t ebb_groups_since(const struct ebb_groups *groups, uint32_t group)
{
	return groups->places[group].group->since_ns;
}

uint32_t ebb_groups_count(const struct ebb_groups *groups, uint32_t group)
{
	return groups->places[group].group->count;
}

uint32_t ebb_groups_next(const struct ebb_groups *groups, uint32_t group, uint32_t gate)
{
	return gate == NOBODY ? groups->places[group].group->first : groups->members[gate].next;
}

void ebb_groups_sum(const struct ebb_groups *groups, uint32_t group, struct ebb_group_sum *ret_sum)
{
	struct group *g = groups->places[group].group;
	const struct ebb_view *view = groups->view;
	uint64_t counters[COUNTERS] = {0}, active = 0;
	int64_t local;

	if (g->carried)
		memcpy(counters, g->carried, sizeof(counters));
	for (uint32_t gate = g->first; gate != NOBODY; gate = groups->members[gate].next) {
		if (!is_current(groups, gate))
			continue;
		add_counters(groups, gate, 1, counters);
		if (gate >= view->dst_max)
			active +=
				__atomic_load_n(&view->pairs[gate - view->dst_max].active, __ATOMIC_RELAXED);
	}
	*ret_sum = (struct ebb_group_sum){.pair.active = active};
	memcpy((char *)&ret_sum->pair + FIRST_COUNTER, counters, PAIR_COUNTERS * sizeof(counters[0]));
	memcpy(ret_sum->moved, counters + PAIR_COUNTERS, sizeof(ret_sum->moved));
	local = (int64_t)(ret_sum->pair.attempts - ret_sum->pair.syn_sent);
	if (local > 0 && (uint64_t)local > g->local)
		g->local = (uint64_t)local;
	ret_sum->local = g->local;
}

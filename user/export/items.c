/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mark is one byte, so that a scrape of the largest tables costs 20 KB:
 *
 *	7         2    1         0
 *	+---------+---------+-------+
 *	| epoch:6 | spelled | shown |
 *	+---------+---------+-------+
 *
 * The six bits of the slot's epoch tell whether it still has the same owner. A
 * slot rests for a second before it is given away, and a scrape lasts ten at
 * most, so that they cannot come round.
 *
 * Two pairs can have the same names: a service that is started again gets a new
 * cgroup of the same path, and the pair of the old one stays until it is idle
 * for long enough. The newest has the plain name, so that its series goes on
 * with a counter reset, as after any restart; the workload of an older one is
 * spelled with its cgroup id.
 *
 * Where some labels are left out (metrics.labels) there is none of that: pairs with the same labels are a group
 * (groups.h), whoever they are. A scrape shows the groups that were there when it began. A pair that is called otherwise
 * meanwhile is in another group at the next scrape; until then its group is shown only if another member still has
 * the labels.
 */
#include "export/items.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/name.h"
#include "lib/cleanup.h"
#include "node/who.h"

#define POD_LABELS_SHOWN 8
#define POD_LABEL_MAX	 128 /* of a key; a longer one is not shown */

#define MARK_SHOWN	 1U
#define MARK_SPELLED	 2U
#define MARK_EPOCH_SHIFT 2

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

#define NOBODY UINT32_MAX

/* Who has which labels: open addressing. */
struct claims {
	struct claim {
		uint64_t hash; /* of the labels; 0: free */
		uint32_t slot;
	} *table;
	size_t mask;
};

static uint8_t mark_of(uint32_t epoch)
{
	return (uint8_t)(MARK_SHOWN | epoch << MARK_EPOCH_SHIFT);
}

static bool mark_holds(uint8_t mark, uint32_t epoch)
{
	return (mark | MARK_SPELLED) == (mark_of(epoch) | MARK_SPELLED);
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint8_t *pair_mark(const struct ebb_items *items, uint32_t pair)
{
	return &items->marks[items->dst_end + pair];
}

/* Instead of those of pairs. */
static uint8_t *group_mark(const struct ebb_items *items, uint32_t group)
{
	return &items->marks[items->dst_end + group];
}

static bool keeps(const struct ebb_items *items, enum ebb_kept label)
{
	return items->kept & (1U << label);
}

static bool dst_lives(const struct ebb_items *items, uint32_t dst)
{
	return dst == EBB_SLOT_OTHER || load(&items->source->view->dsts[dst].state) == EBB_SLOT_LIVE;
}

static bool dst_is_shown(const struct ebb_items *items, uint32_t dst)
{
	return dst < items->dst_end && dst_lives(items, dst) &&
	       mark_holds(items->marks[dst], load(&items->source->view->dsts[dst].epoch));
}

/* Is @slot somebody's, and its destination still the one it was made for? */
static bool pair_lives(const struct ebb_items *items, uint32_t slot)
{
	const struct ebb_view *view = items->source->view;
	const struct ebb_pair *pair = &view->pairs[slot];
	uint32_t dst = load(&pair->dst);

	if (slot == EBB_SLOT_OTHER)
		return true;
	if (load(&pair->state) != EBB_SLOT_LIVE || dst >= items->dst_end)
		return false;
	return dst == EBB_SLOT_OTHER || load(&pair->dst_epoch) == load(&view->dsts[dst].epoch);
}

/* ---------------------------------------------------------------- labels -- */

/* Where labels go, and how. */
struct labels {
	ebb_put_label put;
	struct ebb_line *line;
};

static void put(const struct labels *labels, const char *key, const char *value)
{
	if (labels->line->used > 0)
		ebb_line_put(labels->line, ",");
	labels->put(labels->line, key, value);
}

static void put_workload(const struct ebb_items *items, uint32_t pair, const struct labels *labels)
{
	const struct ebb_source *source = items->source;
	uint64_t id = __atomic_load_n(&source->view->pairs[pair].workload, __ATOMIC_RELAXED);
	char spelled[EBB_LABEL_VALUE_MAX];
	struct ebb_who who;
	const char *name;

	if (pair == EBB_SLOT_OTHER) {
		if (keeps(items, EBB_KEPT_WORKLOAD))
			put(labels, "workload", EBB_NAME_OTHER);
		return;
	}
	ebb_who(source->workloads, id, &who);
	name = who.workload;
	if (!items->groups && *pair_mark(items, pair) & MARK_SPELLED) {
		/* the id comes last and must not be cut off */
		(void)snprintf(spelled, sizeof(spelled), "%.*s (cgroup %" PRIu64 ")",
			       EBB_LABEL_VALUE_MAX / 2 - 48, name, id);
		name = spelled;
	}
	if (keeps(items, EBB_KEPT_WORKLOAD))
		put(labels, "workload", name);
	/* a label without a value is none, for Prometheus too */
	if (!who.pod[0])
		return;
	if (keeps(items, EBB_KEPT_NAMESPACE))
		put(labels, "namespace", who.namespace);
	if (keeps(items, EBB_KEPT_POD))
		put(labels, "pod", who.pod);
	if (keeps(items, EBB_KEPT_CONTAINER) && who.container[0])
		put(labels, "container", who.container);
}

struct pod_key {
	char text[POD_LABEL_MAX + sizeof("label_")];
};

/* label_NAME, as kube-state-metrics has it: what no name of a label may hold becomes '_'. */
static void spell_pod_key(const char *key, struct pod_key *ret_key)
{
	int length = snprintf(ret_key->text, sizeof(ret_key->text), "label_%s", key);

	for (int i = 0; i < length && ret_key->text[i]; i++) {
		if (!isalnum((unsigned char)ret_key->text[i]))
			ret_key->text[i] = '_';
	}
}

static bool is_spelled(const struct pod_key *keys, size_t count, const struct pod_key *key)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].text, key->text) == 0)
			return true;
	}
	return false;
}

static const struct ebb_label *find_label(const struct ebb_pod *pod, const char *key, size_t length)
{
	for (size_t i = 0; i < pod->label_count; i++) {
		if (strlen(pod->labels[i].key) == length && memcmp(pod->labels[i].key, key, length) == 0)
			return &pod->labels[i];
	}
	return NULL;
}

static void put_pod(const struct ebb_items *items, const struct ebb_pod *pod, const struct labels *labels)
{
	const char *key = items->source->pod_labels;
	struct pod_key keys[POD_LABELS_SHOWN];
	size_t count = 0;

	put(labels, "namespace", pod->namespace);
	put(labels, "pod", pod->name);
	put(labels, "uid", pod->uid);
	while (count < POD_LABELS_SHOWN && key && *key) {
		size_t length = strcspn(key, ",");
		const struct ebb_label *label = find_label(pod, key, length);

		if (label && length < POD_LABEL_MAX) {
			spell_pod_key(label->key, &keys[count]);
			/* app.x and app-x are spelled alike, and no series has a label twice: the first is shown */
			if (!is_spelled(keys, count, &keys[count])) {
				put(labels, keys[count].text, label->value);
				count++;
			}
		}
		key += length;
		key += *key == ',';
	}
}

void ebb_items_put_labels(const struct ebb_items *items, const struct ebb_item *item, ebb_put_label put_label,
			  struct ebb_line *line)
{
	const struct labels labels = {put_label, line};
	char name[EBB_DST_NAME_MAX];

	if (item->walk == EBB_WALK_ONCE)
		return;
	if (item->walk == EBB_WALK_HANDLER) {
		put(&labels, "handler", ebb_http_handler_name(item->handler));
		return;
	}
	if (item->walk == EBB_WALK_POD) {
		put_pod(items, item->of, &labels);
		return;
	}
	put(&labels, "destination", ebb_dst_name(items->source->view, item->dst, name, sizeof(name)));
	if (item->walk == EBB_WALK_DST)
		return;
	if (item->of_pair)
		put_workload(items, item->pair, &labels);
	else if (keeps(items, EBB_KEPT_WORKLOAD))
		/* a node's gate: there, so that all series of a family have the same labels */
		put(&labels, "workload", "");
}

static uint64_t labels_hash(const struct ebb_items *items, const struct ebb_item *item)
{
	char labels[EBB_ITEM_LABELS_MAX];
	struct ebb_line line = {.data = labels, .size = sizeof(labels)};
	uint64_t hash = FNV_OFFSET;

	ebb_items_put_labels(items, item, ebb_line_put_label, &line);
	for (size_t i = 0; i < line.used; i++)
		hash = (hash ^ (uint8_t)labels[i]) * FNV_PRIME;
	return hash | 1; /* never 0 */
}

/* ---------------------------------------------------------------- claims -- */

/* Each of @slots may claim twice; a third stays free, so that every search ends. */
static int claims_init(struct claims *claims, uint32_t slots)
{
	size_t size = 16;

	while (size < 3 * (size_t)slots)
		size *= 2;
	claims->table = calloc(size, sizeof(*claims->table));
	if (!claims->table)
		return -ENOMEM;
	claims->mask = size - 1;
	return 0;
}

static void claims_clear(struct claims *claims)
{
	memset(claims->table, 0, (claims->mask + 1) * sizeof(*claims->table));
}

/* Where the claim with @hash is, or would be. */
static struct claim *claims_find(const struct claims *claims, uint64_t hash)
{
	size_t i = (hash >> 1) & claims->mask;

	while (claims->table[i].hash != 0 && claims->table[i].hash != hash)
		i = (i + 1) & claims->mask;
	return &claims->table[i];
}

/* ---------------------------------------------------------------- the plan -- */

static void plan_dst(struct ebb_items *items, struct claims *claims, uint32_t d)
{
	const struct ebb_dst *dsts = items->source->view->dsts;
	struct ebb_item item = {.walk = EBB_WALK_DST, .dst = d};
	struct claim *claim;
	uint64_t hash;

	if (!dst_lives(items, d))
		return;
	items->marks[d] = mark_of(load(&dsts[d].epoch));
	hash = labels_hash(items, &item);
	claim = claims_find(claims, hash);
	/* the same endpoint twice is a slot that is about to be given back */
	if (claim->hash == 0) {
		*claim = (struct claim){.hash = hash, .slot = d};
	} else if (dsts[d].created_ns >= dsts[claim->slot].created_ns) {
		items->marks[claim->slot] = 0;
		claim->slot = d;
	} else {
		items->marks[d] = 0;
	}
}

static uint64_t pair_hash(const struct ebb_items *items, uint32_t pair)
{
	const struct ebb_item item = {
		.walk = EBB_WALK_PAIR,
		.dst = load(&items->source->view->pairs[pair].dst),
		.pair = pair,
		.of_pair = true,
	};

	return labels_hash(items, &item);
}

/* A series ends with its pod; the pair's slot is given back when it is idle. */
static bool pod_is_gone(const struct ebb_items *items, uint32_t pair)
{
	struct ebb_who who;

	if (pair == EBB_SLOT_OTHER)
		return false;
	ebb_who(items->source->workloads,
		__atomic_load_n(&items->source->view->pairs[pair].workload, __ATOMIC_RELAXED), &who);
	return who.gone;
}

/* Gives out the plain names; who has to go without is marked to be spelled. */
static void plan_pair(struct ebb_items *items, struct claims *claims, uint32_t p)
{
	const struct ebb_pair *pairs = items->source->view->pairs;
	struct claim *claim;
	uint32_t loser = p;
	uint64_t hash;

	if (!pair_lives(items, p) || !dst_is_shown(items, load(&pairs[p].dst)) || pod_is_gone(items, p))
		return;
	*pair_mark(items, p) = mark_of(load(&pairs[p].epoch));
	hash = pair_hash(items, p);
	claim = claims_find(claims, hash);
	if (claim->hash == 0) {
		*claim = (struct claim){.hash = hash, .slot = p};
		return;
	}
	if (pairs[p].created_ns >= pairs[claim->slot].created_ns) {
		loser = claim->slot;
		claim->slot = p;
	}
	*pair_mark(items, loser) |= MARK_SPELLED;
}

/*
 * Spelled names are given out last, and only while free: neither the same pair in two slots, nor a
 * cgroup that somebody called "x (cgroup 7)", may make a scrape that readers refuse.
 */
static void plan_spelled(struct ebb_items *items, struct claims *claims, uint32_t p)
{
	struct claim *claim;
	uint64_t hash;

	if (!(*pair_mark(items, p) & MARK_SPELLED))
		return;
	hash = pair_hash(items, p);
	claim = claims_find(claims, hash);
	if (claim->hash == 0)
		*claim = (struct claim){.hash = hash, .slot = p};
	else
		*pair_mark(items, p) = 0;
}

/* ---------------------------------------------------------------- groups -- */

static bool has_node_gate(const struct ebb_view *view, uint32_t dst)
{
	return dst == EBB_SLOT_OTHER || load(&view->dsts[dst].scope) == EBB_SCOPE_NODE;
}

/* A pair that passes the gate of its destination has none of its own. */
static bool has_own_gate(const struct ebb_view *view, uint32_t pair)
{
	uint32_t gate = load(&view->pairs[pair].gate);

	return gate >= view->dst_max && gate < view->gate_max;
}

static void pair_item(const struct ebb_items *items, uint32_t pair, struct ebb_item *ret_item)
{
	const struct ebb_pair *p = &items->source->view->pairs[pair];

	ret_item->dst = load(&p->dst);
	ret_item->pair = pair;
	ret_item->gate = load(&p->gate);
	ret_item->of_pair = true;
}

/* The member that is called by @gate, if a series of that walk tells of it now. */
static bool member_at(const struct ebb_items *items, enum ebb_walk walk, uint32_t gate,
		      struct ebb_item *io_item)
{
	const struct ebb_view *view = items->source->view;
	uint32_t pair = gate - view->dst_max;

	if (gate < view->dst_max) {
		io_item->dst = io_item->gate = gate;
		io_item->of_pair = false;
		return walk == EBB_WALK_GATE && dst_is_shown(items, gate) && has_node_gate(view, gate);
	}
	if (pair >= items->pair_end || (walk == EBB_WALK_GATE && !has_own_gate(view, pair)) ||
	    !pair_lives(items, pair) || pod_is_gone(items, pair))
		return false;
	pair_item(items, pair, io_item);
	return io_item->dst < items->dst_end;
}

static int join(const struct ebb_items *items, uint32_t gate, const struct ebb_item *item)
{
	return ebb_groups_join(items->groups, gate, labels_hash(items, item), items->source->now_ns());
}

/* -ENOMEM. */
static int join_dst(const struct ebb_items *items, uint32_t d)
{
	struct ebb_item item = {.walk = EBB_WALK_GATE};

	return member_at(items, EBB_WALK_GATE, d, &item) ? join(items, d, &item) : 0;
}

/* -ENOMEM. */
static int join_pair(const struct ebb_items *items, uint32_t p)
{
	struct ebb_item item = {.walk = EBB_WALK_GATE};

	if (!pair_lives(items, p))
		return 0;
	pair_item(items, p, &item);
	return join(items, items->source->view->dst_max + p, &item);
}

/* All have joined: marks the groups that there are. -ENOMEM. */
static int plan_groups(struct ebb_items *items)
{
	uint32_t epoch;
	uint8_t *marks;

	ebb_groups_joined(items->groups);
	items->group_end = ebb_groups_end(items->groups);
	marks = realloc(items->marks, (size_t)items->dst_end + items->group_end + 1);
	if (!marks)
		return -ENOMEM;
	items->marks = marks;
	for (uint32_t g = 0; g < items->group_end; g++)
		*group_mark(items, g) = ebb_groups_epoch(items->groups, g, &epoch) ? mark_of(epoch) : 0;
	return 0;
}

/* Their uids only: a scrape may last longer than a pod. Without memory for them none is shown. */
static void plan_pods(struct ebb_items *items)
{
	const struct ebb_pods *pods = items->source->pods;

	if (!pods || !items->source->pod_labels || !items->source->pod_labels[0])
		return;
	items->pods = calloc(EBB_PODS_MAX, sizeof(*items->pods));
	if (items->pods)
		items->pod_end = (uint32_t)ebb_pods_uids(pods, items->pods);
}

/* The slots [0, end) that were ever used; slot 0 always is. */
static uint32_t end_of(uint32_t high, uint32_t max)
{
	return high < max ? high + 1 : max;
}

/* One walk over slots after the other. */
enum step {
	STEP_DSTS,
	STEP_JOIN_DSTS, /* of groups */
	STEP_JOIN_PAIRS,
	STEP_PAIRS, /* without groups */
	STEP_SPELLED,
	STEP_MAX,
};

struct ebb_items_plan {
	struct claims claims;
	enum step step;
	uint32_t slot; /* the next one */
};

static void free_plan(struct ebb_items_plan *plan)
{
	if (plan)
		free(plan->claims.table);
	free(plan);
}

int ebb_items_begin(struct ebb_items *items, const struct ebb_source *source)
{
	const struct ebb_view *view = source->view;

	*items = (struct ebb_items){
		.source = source,
		.kept = source->groups ? ebb_groups_kept(source->groups) : EBB_KEPT_ALL,
		.groups = source->groups ? ebb_groups_hold(source->groups) : NULL,
		.dst_end = end_of(load(&view->kernel->dst_high), view->dst_max),
		.pair_end = end_of(load(&view->kernel->pair_high), view->pair_max),
	};
	items->plan = calloc(1, sizeof(*items->plan));
	items->marks = calloc((size_t)items->dst_end + items->pair_end + 1, 1);
	if (!items->plan || !items->marks ||
	    claims_init(&items->plan->claims,
			items->dst_end > items->pair_end ? items->dst_end : items->pair_end) < 0) {
		ebb_items_done(items);
		return -ENOMEM;
	}
	return 0;
}

static uint32_t end_of_step(const struct ebb_items *items)
{
	switch (items->plan->step) {
	case STEP_DSTS:
		return items->dst_end;
	case STEP_JOIN_DSTS:
		return items->groups ? items->dst_end : 0;
	case STEP_JOIN_PAIRS:
		return items->groups ? items->pair_end : 0;
	case STEP_PAIRS:
	case STEP_SPELLED:
		return items->groups ? 0 : items->pair_end;
	case STEP_MAX:
		break;
	}
	return 0;
}

static int do_step(struct ebb_items *items, uint32_t slot)
{
	struct claims *claims = &items->plan->claims;

	switch (items->plan->step) {
	case STEP_DSTS:
		plan_dst(items, claims, slot);
		break;
	case STEP_JOIN_DSTS:
		return join_dst(items, slot);
	case STEP_JOIN_PAIRS:
		return join_pair(items, slot);
	case STEP_PAIRS:
		plan_pair(items, claims, slot);
		break;
	case STEP_SPELLED:
		plan_spelled(items, claims, slot);
		break;
	case STEP_MAX:
		break;
	}
	return 0;
}

static int end_step(struct ebb_items *items)
{
	enum step step = items->plan->step++;

	items->plan->slot = 0;
	if (step == STEP_DSTS)
		claims_clear(&items->plan->claims);
	return step == STEP_JOIN_PAIRS && items->groups ? plan_groups(items) : 0;
}

int ebb_items_settle(struct ebb_items *items, size_t *io_slots)
{
	struct ebb_items_plan *plan = items->plan;
	int r;

	if (!plan)
		return 1;
	while (plan->step < STEP_MAX) {
		if (plan->slot == end_of_step(items)) {
			r = end_step(items);
		} else if (*io_slots == 0) {
			return 0;
		} else {
			(*io_slots)--;
			r = do_step(items, plan->slot++);
		}
		if (r < 0)
			return r;
	}
	free_plan(TAKE_PTR(items->plan));
	plan_pods(items);
	return 1;
}

void ebb_items_done(struct ebb_items *items)
{
	free_plan(TAKE_PTR(items->plan));
	ebb_groups_drop(TAKE_PTR(items->groups));
	free(TAKE_PTR(items->marks));
	free(TAKE_PTR(items->pods));
}

/* -ENOMEM. */
static int join_at_once(const struct ebb_source *source)
{
	struct ebb_items items;
	size_t slots = SIZE_MAX;
	int r = ebb_items_begin(&items, source);

	if (r < 0)
		return r;
	r = ebb_items_settle(&items, &slots);
	ebb_items_done(&items);
	return r < 0 ? r : 0;
}

int ebb_items_keep(struct ebb_source *source, uint32_t kept)
{
	struct ebb_groups *before = source->groups, *groups = NULL;
	int r = 0;

	/* who has all labels is told apart by something that is none: its cgroup */
	if (kept == EBB_KEPT_ALL)
		kept = 0;
	if (kept)
		kept |= 1U << EBB_KEPT_DESTINATION;
	if (kept == (before ? ebb_groups_kept(before) : 0))
		return 0;
	if (kept)
		r = ebb_groups_new(source->view, kept, &groups);
	source->groups = groups;
	/* what was counted until now is an old story */
	if (groups)
		r = join_at_once(source);
	if (r < 0) {
		ebb_groups_drop(groups);
		source->groups = before;
		return r;
	}
	ebb_groups_drop(before);
	return 0;
}

/* ---------------------------------------------------------------- the walk -- */

uint32_t ebb_items_end(const struct ebb_items *items, enum ebb_walk walk)
{
	switch (walk) {
	case EBB_WALK_ONCE:
		return 1;
	case EBB_WALK_HANDLER:
		return EBB_HTTP_HANDLER_MAX;
	case EBB_WALK_DST:
		return items->dst_end;
	case EBB_WALK_PAIR:
		return items->groups ? items->group_end : items->pair_end;
	case EBB_WALK_POD:
		return items->pod_end;
	case EBB_WALK_GATE:
		return items->groups ? items->group_end : items->dst_end + items->pair_end;
	}
	return 0;
}

static bool dst_at(const struct ebb_items *items, uint32_t dst, struct ebb_item *item)
{
	if (!dst_is_shown(items, dst))
		return false;
	item->dst = dst;
	item->gate = dst;
	return true;
}

static bool pair_at(const struct ebb_items *items, uint32_t slot, struct ebb_item *item)
{
	const struct ebb_pair *pair = &items->source->view->pairs[slot];

	if (!pair_lives(items, slot) || !mark_holds(*pair_mark(items, slot), load(&pair->epoch)))
		return false;
	pair_item(items, slot, item);
	return item->dst < items->dst_end;
}

static bool pod_at(const struct ebb_items *items, uint32_t position, struct ebb_item *item)
{
	item->of = ebb_pods_find(items->source->pods, items->pods[position]);
	return item->of && !item->of->gone_ns;
}

static bool gate_at(const struct ebb_items *items, uint32_t position, struct ebb_item *item)
{
	const struct ebb_view *view = items->source->view;

	if (position < items->dst_end)
		return dst_at(items, position, item) && has_node_gate(view, position);
	return pair_at(items, position - items->dst_end, item) &&
	       has_own_gate(view, position - items->dst_end);
}

/* Under the labels of a member that still has them: two groups with the same ones would be refused. */
static bool group_at(const struct ebb_items *items, uint32_t group, struct ebb_item *item)
{
	const struct ebb_groups *groups = items->groups;
	uint32_t epoch, member = EBB_GROUPS_NOBODY;

	if (!ebb_groups_epoch(groups, group, &epoch) || !mark_holds(*group_mark(items, group), epoch))
		return false;
	item->items = items;
	item->group = group;
	while ((member = ebb_groups_next(groups, group, member)) != EBB_GROUPS_NOBODY)
		if (member_at(items, item->walk, member, item) &&
		    labels_hash(items, item) == ebb_groups_hash(groups, group))
			return true;
	return false;
}

bool ebb_items_next_gate(const struct ebb_item *group, uint32_t *io_member, struct ebb_item *ret_gate)
{
	const struct ebb_items *items = group->items;
	struct ebb_item gate = {.walk = EBB_WALK_GATE};

	while ((*io_member = ebb_groups_next(items->groups, group->group, *io_member)) != EBB_GROUPS_NOBODY) {
		if (!member_at(items, EBB_WALK_GATE, *io_member, &gate))
			continue;
		*ret_gate = gate;
		return true;
	}
	return false;
}

bool ebb_items_at(const struct ebb_items *items, enum ebb_walk walk, uint32_t position,
		  struct ebb_item *ret_item)
{
	struct ebb_item item = {.walk = walk};
	bool shown = true;

	if (walk == EBB_WALK_HANDLER)
		item.handler = position;
	else if (walk == EBB_WALK_DST)
		shown = dst_at(items, position, &item);
	else if (items->groups && (walk == EBB_WALK_PAIR || walk == EBB_WALK_GATE))
		shown = group_at(items, position, &item);
	else if (walk == EBB_WALK_PAIR)
		shown = pair_at(items, position, &item);
	else if (walk == EBB_WALK_POD)
		shown = pod_at(items, position, &item);
	else if (walk == EBB_WALK_GATE)
		shown = gate_at(items, position, &item);
	if (shown)
		*ret_item = item;
	return shown;
}

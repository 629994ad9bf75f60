/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one scrape shows, settled before its first line: which destinations, pairs and
 * gates, and under which labels. So every family of the scrape names the same
 * ones, although the kernel goes on giving and taking slots, and no two series
 * of a family have the same labels, which a reader would refuse.
 */
#ifndef EBB_EXPORT_ITEMS_H
#define EBB_EXPORT_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "export/groups.h"
#include "export/line.h"
#include "export/source.h"
#include "node/pods.h"

/* What the series of a family are about. */
enum ebb_walk {
	EBB_WALK_ONCE,	  /* the agent itself */
	EBB_WALK_HANDLER, /* each handler of HTTP requests */
	EBB_WALK_DST,	  /* each destination */
	EBB_WALK_PAIR,	  /* each pair */
	EBB_WALK_POD,	  /* each pod that is not deleted */
	EBB_WALK_GATE, /* each gate: of a destination with node scope, of a pair with workload scope or apart */
};

struct ebb_items_plan;

struct ebb_items {
	const struct ebb_source *source;
	uint32_t dst_end; /* slots from here on are not looked at */
	uint32_t pair_end;
	char (*pods)[EBB_POD_UID_MAX]; /* as they were when the scrape began */
	uint32_t pod_end;
	uint32_t kept;		   /* labels of pairs and gates: 1 << enum ebb_kept */
	struct ebb_groups *groups; /* of pairs and gates with the same kept labels; NULL: all are kept */
	uint32_t group_end;
	uint8_t *marks; /* a byte for each destination slot, then for each pair slot, or for each group */
	struct ebb_items_plan *plan; /* how far that is settled; NULL: it is */
};

struct ebb_item {
	enum ebb_walk walk;
	uint32_t dst;
	uint32_t pair;		  /* for a pair, and a gate of a pair */
	uint32_t gate;		  /* for a gate */
	const struct ebb_pod *of; /* for a pod */
	uint32_t handler;	  /* for a handler: enum ebb_http_handler */
	bool of_pair;
	/* where it is a group, of which the above is one member: what it is of; NULL: it is one pair or gate */
	const struct ebb_items *items;
	uint32_t group;
};

/* How a label is written: one of EBB_LABEL_VALUE_MAX bytes at most, and what stands around it. */
typedef void (*ebb_put_label)(struct ebb_line *line, const char *key, const char *value);

/* The most bytes that ebb_items_put_labels() writes with ebb_line_put_label(). */
#define EBB_ITEM_LABELS_MAX (2 * EBB_LABEL_VALUE_MAX + 864)

/*
 * Which labels the series of pairs and gates of @source keep from now on, 1 << enum ebb_kept; 0: all. Where the list
 * differs they begin anew, at 0; a scrape under way goes on as it began. -ENOMEM: nothing has changed.
 */
int ebb_items_keep(struct ebb_source *source, uint32_t kept);

/* @source is borrowed. -ENOMEM. */
int ebb_items_begin(struct ebb_items *items, const struct ebb_source *source);
void ebb_items_done(struct ebb_items *items);

/*
 * Looks at up to *@io_slots slots, and takes those that it looked at off. 1: it is settled, and what follows can be asked. 0: there is more
 * to do; what comes and goes meanwhile is shown or not. -ENOMEM.
 */
int ebb_items_settle(struct ebb_items *items, size_t *io_slots);

/* Positions of a walk are [0, end). */
uint32_t ebb_items_end(const struct ebb_items *items, enum ebb_walk walk);

/* What is at @position; false when that is not shown, or is gone by now. */
bool ebb_items_at(const struct ebb_items *items, enum ebb_walk walk, uint32_t position,
		  struct ebb_item *ret_item);

/* The next gate of a group, as an item of its own; *@io_member is EBB_GROUPS_NOBODY at first. False: there is none. */
bool ebb_items_next_gate(const struct ebb_item *group, uint32_t *io_member, struct ebb_item *ret_gate);

/*
 * destination="...",workload="...",namespace="...",pod="...",container="...": what @item has of it, written by
 * @put with commas between, into @line, which is empty.
 */
void ebb_items_put_labels(const struct ebb_items *items, const struct ebb_item *item, ebb_put_label put,
			  struct ebb_line *line);

#endif /* EBB_EXPORT_ITEMS_H */

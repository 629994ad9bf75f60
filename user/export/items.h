/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one scrape shows, settled when it begins: which destinations, pairs and
 * gates, and under which labels. So every family of the scrape names the same
 * ones, although the kernel goes on giving and taking slots, and no two series
 * of a family have the same labels, which a reader would refuse.
 */
#ifndef EBB_EXPORT_ITEMS_H
#define EBB_EXPORT_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "export/line.h"
#include "export/source.h"

/* What the series of a family are about. */
enum ebb_walk {
	EBB_WALK_ONCE, /* the agent itself */
	EBB_WALK_DST,  /* each destination */
	EBB_WALK_PAIR, /* each pair */
	EBB_WALK_GATE, /* each gate: of a destination with node scope, of a pair with workload scope or apart */
};

struct ebb_items {
	const struct ebb_source *source;
	uint32_t dst_end; /* slots from here on are not looked at */
	uint32_t pair_end;
	uint8_t *marks; /* a byte for each destination slot, then for each pair slot */
};

struct ebb_item {
	enum ebb_walk walk;
	uint32_t dst;
	uint32_t pair; /* for a pair, and a gate of a pair */
	uint32_t gate; /* for a gate */
	bool of_pair;
};

/* The most bytes that ebb_items_put_labels() writes. */
#define EBB_ITEM_LABELS_MAX (2 * EBB_LABEL_VALUE_MAX + 64)

/* @source is borrowed. -ENOMEM. */
int ebb_items_init(struct ebb_items *items, const struct ebb_source *source);
void ebb_items_done(struct ebb_items *items);

/* Positions of a walk are [0, end). */
uint32_t ebb_items_end(const struct ebb_items *items, enum ebb_walk walk);

/* What is at @position; false when that is not shown, or is gone by now. */
bool ebb_items_at(const struct ebb_items *items, enum ebb_walk walk, uint32_t position,
		  struct ebb_item *ret_item);

/* destination="...",workload="...": what @item has of it. */
void ebb_items_put_labels(const struct ebb_items *items, const struct ebb_item *item, struct ebb_line *line);

#endif /* EBB_EXPORT_ITEMS_H */

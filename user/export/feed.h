/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes on the node, as events in a ring (export/ring.h) that every reader of /api/v1/events follows.
 * Once a second it goes through all gates, a few in each call, and writes those that are not as they
 * were; a transition it writes at once. While nobody reads it does nothing.
 */
#ifndef EBB_EXPORT_FEED_H
#define EBB_EXPORT_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "export/line.h"
#include "export/ring.h"
#include "export/source.h"
#include "export/rates.h"
#include "tell/look.h"

struct ebb_feed;

/* @source is borrowed. Its memory comes with the first reader. -ENOMEM. */
int ebb_feed_new(const struct ebb_source *source, struct ebb_feed **ret_feed);
void ebb_feed_free(struct ebb_feed *feed);

/* A moment of the maps as the exporters see it; @links: which programs are attached, too. */
void ebb_feed_look(struct ebb_feed *feed, bool links, struct ebb_look *ret_look);

/* Somebody reads, or has read a moment ago. -ENOMEM. */
int ebb_feed_want(struct ebb_feed *feed, uint64_t now_ns);

/* Goes on with its work. Returns when it wants to be called again; UINT64_MAX: never. */
uint64_t ebb_feed_run(struct ebb_feed *feed, uint64_t now_ns);

/* Has it gone through all gates since somebody began to read? Before, nothing can be told. */
bool ebb_feed_ready(const struct ebb_feed *feed);

/* NULL: nobody has read yet. */
const struct ebb_ring *ebb_feed_ring(const struct ebb_feed *feed);

/* Of this agent's run, in ids of events. */
uint64_t ebb_feed_run_id(const struct ebb_feed *feed);

/*
 * Puts rows from destination slot *@io_dst on, with commas between, while one of EBB_ROW_MAX fits; moves
 * *@io_dst behind them. A destination with more gates than fit goes on with that of *@io_next, which is 0 at first.
 * Returns false when there are no more.
 */
bool ebb_feed_rows(struct ebb_feed *feed, struct ebb_line *line, uint32_t *io_dst, uint32_t *io_next);

/* What the last pass saw of a gate; not known: nobody has read for a while. */
const struct ebb_rates *ebb_feed_rates(const struct ebb_feed *feed, uint32_t gate);

/* Status, health: as an event's data, to be freed. NULL: out of memory. */
char *ebb_feed_status(struct ebb_feed *feed);
char *ebb_feed_health(struct ebb_feed *feed);

/* Goes through all gates at once, where the last pass is no longer of now: for who asks once. -ENOMEM. */
int ebb_feed_refresh(struct ebb_feed *feed, uint64_t now_ns);

/* The breaker of @gate moved. */
void ebb_feed_moved(struct ebb_feed *feed, uint32_t dst, uint32_t gate, const struct ebb_transition *move);

#endif /* EBB_EXPORT_FEED_H */

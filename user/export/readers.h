/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/events: server-sent events (docs/api.md). Each reader has a place in the feed's ring and a piece of
 * memory for the snapshot that it begins with; a reader whose place is overwritten is ended, and nobody waits
 * for it. When there are as many as there may be, one who comes gets a place if somebody else holds more of them
 * (export/peers.h), of whom the oldest is ended, and else is refused.
 *
 *	accepted -> waits for the first pass -> snapshot -> follows the ring -+-> ended: too slow, or gone
 *	                                  Last-Event-ID is in the ring -^     |
 *	                                                                      +-> suspended until there is something
 */
#ifndef EBB_EXPORT_READERS_H
#define EBB_EXPORT_READERS_H

#include <stdint.h>

#include "export/answer.h"
#include "export/feed.h"

#define EBB_READERS_MAX 64

struct ebb_readers;

/* Both are borrowed. -ENOMEM. */
int ebb_readers_new(const struct ebb_source *source, struct ebb_feed *feed, struct ebb_readers **ret_readers);
/* Ends every reader first, before the server is stopped: it would wait for those that are suspended. */
void ebb_readers_stop(struct ebb_readers *events);
void ebb_readers_free(struct ebb_readers *events);

/* Wakes the readers that have something to read. Returns when it wants to be called again; UINT64_MAX: never. */
uint64_t ebb_readers_run(struct ebb_readers *events, uint64_t now_ns);

enum MHD_Result ebb_readers_answer(struct ebb_readers *events, const struct ebb_request *request);

#endif /* EBB_EXPORT_READERS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last events, numbered, in memory of a fixed size: who was away a short while goes on where it was, and
 * who reads too slowly finds that what it wanted is gone. One ring serves every reader.
 */
#ifndef EBB_EXPORT_RING_H
#define EBB_EXPORT_RING_H

#include <stddef.h>
#include <stdint.h>

struct ebb_ring;

/* At most @bytes and @entries are kept. -ENOMEM. */
int ebb_ring_new(size_t bytes, uint32_t entries, struct ebb_ring **ret_ring);
void ebb_ring_free(struct ebb_ring *ring);

/* Takes a copy of @text as the entry ebb_ring_end(); the oldest make room. -E2BIG: it is longer than the ring. */
int ebb_ring_add(struct ebb_ring *ring, const char *text, size_t length);

/* Entries are [first, end). Numbers are never used twice. */
uint64_t ebb_ring_first(const struct ebb_ring *ring);
uint64_t ebb_ring_end(const struct ebb_ring *ring);

/* The entry @number, valid until the next is added; NULL: it is not there. */
const char *ebb_ring_get(const struct ebb_ring *ring, uint64_t number, size_t *ret_length);

/* Forgets every entry, and what happens until the next is a gap: it gets the number behind the one that would be next. */
void ebb_ring_clear(struct ebb_ring *ring);

#endif /* EBB_EXPORT_RING_H */

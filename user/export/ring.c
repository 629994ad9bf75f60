/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries lie one behind the other and never over the end, so that each is one piece:
 *
 *	bytes   | 7 | 8 | 9 |      | 4 | 5 | 6 |   |
 *	                    head   first            what was too short for 7
 */
#include "export/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	size_t at;
	size_t length;
};

struct ebb_ring {
	char *bytes;
	size_t size;
	size_t head; /* where the next entry goes */
	struct entry *entries;
	uint32_t entries_max;
	uint64_t first, end;
};

int ebb_ring_new(size_t bytes, uint32_t entries, struct ebb_ring **ret_ring)
{
	struct ebb_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	ring->bytes = malloc(bytes);
	ring->entries = calloc(entries, sizeof(ring->entries[0]));
	if (!ring->bytes || !ring->entries) {
		ebb_ring_free(ring);
		return -ENOMEM;
	}
	ring->size = bytes;
	ring->entries_max = entries;
	ring->first = ring->end = 1;
	*ret_ring = ring;
	return 0;
}

void ebb_ring_free(struct ebb_ring *ring)
{
	if (!ring)
		return;
	free(ring->bytes);
	free(ring->entries);
	free(ring);
}

static struct entry *entry_of(const struct ebb_ring *ring, uint64_t number)
{
	return &ring->entries[number % ring->entries_max];
}

int ebb_ring_add(struct ebb_ring *ring, const char *text, size_t length)
{
	const struct entry *oldest;

	if (length > ring->size)
		return -E2BIG;
	if (ring->head + length > ring->size) {
		/* what lies behind the head is older than what lies at the beginning */
		while (ring->first < ring->end && entry_of(ring, ring->first)->at >= ring->head)
			ring->first++;
		ring->head = 0;
	}
	while (ring->first < ring->end) {
		oldest = entry_of(ring, ring->first);
		if (ring->end - ring->first < ring->entries_max &&
		    (oldest->at < ring->head || oldest->at >= ring->head + length))
			break;
		ring->first++;
	}
	memcpy(ring->bytes + ring->head, text, length);
	*entry_of(ring, ring->end) = (struct entry){ring->head, length};
	ring->end++;
	ring->head += length;
	return 0;
}

uint64_t ebb_ring_first(const struct ebb_ring *ring)
{
	return ring->first;
}

uint64_t ebb_ring_end(const struct ebb_ring *ring)
{
	return ring->end;
}

const char *ebb_ring_get(const struct ebb_ring *ring, uint64_t number, size_t *ret_length)
{
	const struct entry *entry;

	if (number < ring->first || number >= ring->end)
		return NULL;
	entry = entry_of(ring, number);
	*ret_length = entry->length;
	return ring->bytes + entry->at;
}

void ebb_ring_clear(struct ebb_ring *ring)
{
	ring->first = ++ring->end;
	ring->head = 0;
}

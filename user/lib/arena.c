/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384
#define ALIGN	    _Alignof(max_align_t)

struct ebb_arena_block {
	struct ebb_arena_block *older;
	size_t used, size;
	max_align_t bytes[];
};

void *ebb_arena_take(struct ebb_arena *arena, size_t size)
{
	struct ebb_arena_block *block = arena->blocks;
	void *place;

	if (size > SIZE_MAX - BLOCK_BYTES - sizeof(*block))
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (!block || block->size - block->used < size) {
		size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;

		block = calloc(1, sizeof(*block) + room);
		if (!block)
			return NULL;
		block->size = room;
		block->older = arena->blocks;
		arena->blocks = block;
	}
	place = (char *)block->bytes + block->used;
	block->used += size;
	return place;
}

char *ebb_arena_text(struct ebb_arena *arena, const char *text, size_t length)
{
	char *copy = ebb_arena_take(arena, length + 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

void ebb_arena_done(struct ebb_arena *arena)
{
	while (arena->blocks) {
		struct ebb_arena_block *older = arena->blocks->older;

		free(arena->blocks);
		arena->blocks = older;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is given back all at once: for trees and texts of which nobody
 * wants to count the owners. What was handed out never moves.
 */
#ifndef EBB_LIB_ARENA_H
#define EBB_LIB_ARENA_H

#include <stddef.h>

struct ebb_arena_block;

/* All zero is an empty one. */
struct ebb_arena {
	struct ebb_arena_block *blocks; /* the newest first */
};

/* Zeroed, aligned for everything; NULL: out of memory. */
void *ebb_arena_take(struct ebb_arena *arena, size_t size);

/* A copy of @length bytes of @text, and a NUL behind them; NULL: out of memory. */
char *ebb_arena_text(struct ebb_arena *arena, const char *text, size_t length);

/* Everything that was taken is gone; the arena is empty again. */
void ebb_arena_done(struct ebb_arena *arena);

#endif /* EBB_LIB_ARENA_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way by which a transition of a breaker leaves the core. Who has to know of it
 * listens here, so that all of them have the same facts. It makes no system call and allocates
 * nothing; what a listener does is its own.
 */
#ifndef EBB_AGENT_MOVES_H
#define EBB_AGENT_MOVES_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

#define EBB_MOVES_LISTENERS_MAX 8

/* One breaker moved. */
struct ebb_move {
	uint32_t gate;
	uint32_t dst;
	uint32_t pair; /* whose gate it is; EBB_SLOT_OTHER: the node's */
	struct ebb_transition transition;
};

typedef void (*ebb_move_handler)(void *userdata, const struct ebb_move *move);

struct ebb_move_listener {
	const char *name;
	ebb_move_handler handle;
	void *userdata;
};

/* Starts as all zero. The order is that in which they are told. */
struct ebb_moves {
	struct ebb_move_listener listeners[EBB_MOVES_LISTENERS_MAX];
	size_t count;
};

/* From now on @handle is told of each move, after those who listen already. @name is borrowed. 0 or -ENOSPC. */
int ebb_moves_listen(struct ebb_moves *moves, const char *name, ebb_move_handler handle, void *userdata);

/*
 * What one look at a gate found: @count @transitions, oldest first, of the gate that @where says (its
 * transition is not read). Each listener is told of all of them before the next hears of the
 * first, so that what must stand before another acts stands as a whole.
 */
void ebb_moves_publish(const struct ebb_moves *moves, const struct ebb_move *where,
		       const struct ebb_transition *transitions, size_t count);

#endif /* EBB_AGENT_MOVES_H */

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/moves.h"

#include <errno.h>

int ebb_moves_listen(struct ebb_moves *moves, const char *name, ebb_move_handler handle, void *userdata)
{
	if (moves->count == EBB_MOVES_LISTENERS_MAX)
		return -ENOSPC;
	moves->listeners[moves->count++] = (struct ebb_move_listener){name, handle, userdata};
	return 0;
}

void ebb_moves_publish(const struct ebb_moves *moves, const struct ebb_move *where,
		       const struct ebb_transition *transitions, size_t count)
{
	for (size_t l = 0; l < moves->count; l++) {
		const struct ebb_move_listener *listener = &moves->listeners[l];

		for (size_t i = 0; i < count; i++) {
			struct ebb_move move = *where;

			move.transition = transitions[i];
			listener->handle(listener->userdata, &move);
		}
	}
}

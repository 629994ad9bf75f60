/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead letters are offered to their sink once more, in order, in batches, while the agent may write to it too: sinks are
 * safe for several writers. A letter goes when the sink has it:
 *
 *	read <= 500 letters --> write --> done: marked, one after the other
 *	                              `-> refused: each alone; who is refused alone stays
 *	                              `-> else: nothing more is tried, the rest stays
 *
 * Who is killed between write and mark offers that batch again; a sink skips what it has.
 */
#ifndef EBB_EXPORT_REPLAY_H
#define EBB_EXPORT_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/sink.h"

struct ebb_replay {
	uint64_t replayed;
	uint64_t refused; /* the sink will not have them as they are: they stay */
	uint64_t left;	  /* not tried */
	uint64_t damaged; /* lines that are no letters: they stay */
	bool unreachable; /* the sink did not take a batch: what is left was not tried */
	char why[512];	  /* of the last that was not taken */
};

/*
 * Replays what @sink has in @dir; of @ids (of events, @id_count of them; 0: all) alone. Takes ebb_letters_lock().
 * 0, also when not all went; -ENOENT: there are none; -EBUSY: another command is at it; else the file cannot be read.
 */
int ebb_replay(const char *dir, const struct ebb_sink *sink, const char *const *ids, size_t id_count,
	       struct ebb_replay *ret_replay, struct ebb_why *why);

#endif /* EBB_EXPORT_REPLAY_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and their answers (bpf/turn.h), as 'list', 'show', 'status' and 'top' tell them. */
#ifndef EBB_TELL_TURNS_H
#define EBB_TELL_TURNS_H

#include "tell/snapshot.h"

/* Adds what a copy of a pair counts. */
void ebb_turns_add_pair(struct ebb_turns *io_turns, const struct ebb_pair *pair);
void ebb_turns_add(struct ebb_turns *io_turns, const struct ebb_turns *more);

/* All that ended, but those that the program did not wait for. */
uint64_t ebb_turns_count(const struct ebb_turns *turns);

/* Times of those that were answered, from the coarse buckets of a pair: right to a factor of two, the mean is exact. */
void ebb_turns_times(const struct ebb_turns *turns, struct ebb_times *ret_times);

/* A table of the workloads of @row's destination; nothing where there were no turns. 0 or a negative errno. */
int ebb_turns_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row);

/* "answered", "unanswered", "reset", "cancelled"; "slow": of those answered. NULL: out of memory. */
json_t *ebb_turns_json(const struct ebb_turns *turns);

#endif /* EBB_TELL_TURNS_H */

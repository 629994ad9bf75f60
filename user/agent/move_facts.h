/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say of a transition, put together once: log and audit say the same. */
#ifndef EBB_AGENT_MOVE_FACTS_H
#define EBB_AGENT_MOVE_FACTS_H

#include <stdint.h>

#include "agent/moves.h"
#include "export/name.h"
#include "kernel/maps.h"
#include "node/who.h"

#define EBB_FAILURE_UNKNOWN "-"

struct ebb_move_facts {
	const struct ebb_move *move; /* its transition has the counts */
	char destination[EBB_DST_NAME_MAX];
	struct ebb_who who; /* .workload is "": the gate is the node's */
	const char *from, *to, *reason;
	const char *
		last_failure; /* enum ebb_outcome as text, or EBB_FAILURE_UNKNOWN, also where it does not open */
	uint64_t open_for_ns; /* from now on; 0: it does not open */
	const char *mode;
	uint64_t now_ns;
};

struct ebb_move_book;

/* Everything is borrowed; @now_ns: CLOCK_MONOTONIC. -ENOMEM. */
int ebb_move_book_new(const struct ebb_view *view, struct ebb_cgroup_names *names, uint64_t (*now_ns)(void),
		      struct ebb_move_book **ret_book);
void ebb_move_book_free(struct ebb_move_book *book);

/* An event told that a connection failed (enum ebb_outcome) at @gate: told with the transition that it causes. */
void ebb_move_book_failed(struct ebb_move_book *book, uint32_t gate, uint32_t outcome);

/* The facts of @move, once for each move. Texts are good until the next call. */
void ebb_move_book_take(struct ebb_move_book *book, const struct ebb_move *move,
			struct ebb_move_facts *ret_facts);

#endif /* EBB_AGENT_MOVE_FACTS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which turns of a gate say whether its destination answers at all. An unanswered turn counts against it
 * only where at least half of the last ones were answered (design ruling 5; the kernel
 * compares, bpf/turn.h). The last ones are those of one to two windows; of a gate with few turns older ones stay,
 * so that one call an hour is judged by what calls are like, too.
 *
 *	   from              mark             now
 *	     |<--- window --->|<- up to two -->|
 *	     |<------------ judged ----------->|
 */
#ifndef EBB_CORE_ANSWERS_H
#define EBB_CORE_ANSWERS_H

#include <stdint.h>

#include "bpf/abi.h"
#include "core/policy.h"

/* The kernel's counters as they were at a moment. */
struct ebb_answered {
	uint64_t answered;
	uint64_t unanswered;
};

struct ebb_answers {
	struct ebb_answered from; /* judged is what came since */
	struct ebb_answered mark; /* where it will begin next */
	uint64_t mark_ns;
};

/* Moves on, if a window has passed and enough turns came in it. Calling it again changes nothing. */
void ebb_answers_look(struct ebb_answers *a, const struct ebb_breaker_config *config,
		      const struct ebb_gate *facts, uint64_t now_ns);

#endif /* EBB_CORE_ANSWERS_H */

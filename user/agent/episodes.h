/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stays of breakers outside closed, each told once, when it is over. The id of an episode is in the transitions
 * (core/breaker.c makes it, so that agent, kernel and a later agent agree on it); here is only when it began and why, of
 * those that go on. What an earlier agent saw begin is found in the pinned memory, if it is still there.
 */
#ifndef EBB_AGENT_EPISODES_H
#define EBB_AGENT_EPISODES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/moves.h"
#include "kernel/maps.h"

/* The one that it began with, and the last that the pinned memory keeps. */
#define EBB_EPISODE_MOVES (EBB_TRANSITIONS_KEPT + 1)

struct ebb_episode {
	uint64_t id;
	struct ebb_transition moves[EBB_EPISODE_MOVES]; /* the oldest first; the last one closes it */
	uint32_t move_count;
	uint32_t dropped;	  /* between the first and those that follow */
	bool whole;		  /* the first is the one that opened it; else that was not seen */
	const char *last_failure; /* the outcome that opened it, as it was told then; NULL: not known */
};

struct ebb_episodes;

/* @view is borrowed. -ENOMEM. */
int ebb_episodes_new(const struct ebb_view *view, struct ebb_episodes **ret_episodes);
void ebb_episodes_free(struct ebb_episodes *episodes);

/*
 * A move, after it stands in the pinned memory, and the failure that caused it, as ebb_move_facts tells it: a text that
 * stays. True: it ends an episode, which is in *@ret_episode.
 */
bool ebb_episodes_moved(struct ebb_episodes *episodes, const struct ebb_move *move, const char *last_failure,
			struct ebb_episode *ret_episode);

/*
 * In which @gate refused something at @at_ns, as its last transitions say: it was not closed then, so where they say that it
 * was, the kernel had opened it a moment before anybody looked, and it is the next one. 0: not known.
 */
uint64_t ebb_episodes_at(const struct ebb_view *view, uint32_t gate, uint64_t at_ns);

#endif /* EBB_AGENT_EPISODES_H */

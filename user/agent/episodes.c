/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/episodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/move_facts.h"
#include "core/policy.h"

/* One that goes on, by gate; untouched pages cost nothing. */
struct open_episode {
	struct ebb_transition first;
	const char *last_failure; /* NULL: not known */
	uint32_t moves;		  /* seen, the first too */
	uint32_t whole;
};

struct ebb_episodes {
	const struct ebb_view *view;
	struct open_episode *open;
};

int ebb_episodes_new(const struct ebb_view *view, struct ebb_episodes **ret_episodes)
{
	struct ebb_episodes *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->view = view;
	e->open = calloc(view->gate_max, sizeof(*e->open));
	if (!e->open) {
		ebb_episodes_free(e);
		return -ENOMEM;
	}
	*ret_episodes = e;
	return 0;
}

void ebb_episodes_free(struct ebb_episodes *episodes)
{
	if (!episodes)
		return;
	free(episodes->open);
	free(episodes);
}

/* Transitions of @move's episode that the memory keeps, up to @move itself, the oldest first. Returns how many. */
static uint32_t remembered(const struct ebb_view *view, const struct ebb_move *move,
			   struct ebb_transition ret_moves[EBB_TRANSITIONS_KEPT])
{
	const struct ebb_memory *memory = &view->memories[move->gate];
	uint32_t kept = memory->count < EBB_TRANSITIONS_KEPT ? memory->count : EBB_TRANSITIONS_KEPT;
	uint32_t found = 0;

	for (uint32_t i = memory->count - kept; i != memory->count; i++) {
		const struct ebb_transition *t = &memory->last[i % EBB_TRANSITIONS_KEPT];

		/* of one look all are remembered before the first is told */
		if (t->episode == move->transition.episode && t->gen <= move->transition.gen)
			ret_moves[found++] = *t;
	}
	return found;
}

static void begin(struct open_episode *open, const struct ebb_transition *first)
{
	open->first = *first;
	open->last_failure = NULL;
	open->moves = 1;
	open->whole = ebb_reason_from(first->reason) == EBB_STATE_CLOSED;
}

/* Of one that an earlier agent saw begin, what is still known. */
static void take_up(const struct ebb_episodes *e, const struct ebb_move *move, struct open_episode *open)
{
	struct ebb_transition moves[EBB_TRANSITIONS_KEPT];
	uint32_t count = remembered(e->view, move, moves);

	if (count == 0) {
		begin(open, &move->transition);
		return;
	}
	begin(open, &moves[0]);
	open->moves = count;
}

static void conclude(const struct ebb_episodes *e, const struct ebb_move *move,
		     const struct open_episode *open, struct ebb_episode *ret)
{
	struct ebb_transition moves[EBB_TRANSITIONS_KEPT];
	uint32_t count = remembered(e->view, move, moves);

	*ret = (struct ebb_episode){
		.id = move->transition.episode,
		.whole = open->whole,
		.last_failure = open->last_failure,
	};
	ret->moves[ret->move_count++] = open->first;
	for (uint32_t i = 0; i < count; i++)
		if (moves[i].gen != open->first.gen)
			ret->moves[ret->move_count++] = moves[i];
	if (open->moves > ret->move_count)
		ret->dropped = open->moves - ret->move_count;
}

bool ebb_episodes_moved(struct ebb_episodes *episodes, const struct ebb_move *move, const char *last_failure,
			struct ebb_episode *ret_episode)
{
	struct open_episode *open = &episodes->open[move->gate];
	const struct ebb_transition *t = &move->transition;

	if (t->episode == 0)
		return false;
	if (open->moves > 0 && open->first.episode == t->episode) {
		open->moves++;
	} else if (ebb_reason_from(t->reason) == EBB_STATE_CLOSED) {
		begin(open, t);
		if (strcmp(last_failure, EBB_FAILURE_UNKNOWN) != 0)
			open->last_failure = last_failure;
	} else {
		take_up(episodes, move, open);
	}
	if (ebb_reason_to(t->reason) != EBB_STATE_CLOSED)
		return false;
	conclude(episodes, move, open, ret_episode);
	open->moves = 0;
	return true;
}

uint64_t ebb_episodes_at(const struct ebb_view *view, uint32_t gate, uint64_t at_ns)
{
	const struct ebb_memory *memory;
	uint64_t later = 0;
	uint32_t kept;

	if (gate >= view->gate_max)
		return 0;
	memory = &view->memories[gate];
	kept = memory->count < EBB_TRANSITIONS_KEPT ? memory->count : EBB_TRANSITIONS_KEPT;
	for (uint32_t i = 1; i <= kept; i++) {
		const struct ebb_transition *t = &memory->last[(memory->count - i) % EBB_TRANSITIONS_KEPT];

		if (t->at_ns <= at_ns)
			return ebb_reason_to(t->reason) == EBB_STATE_CLOSED ? later : t->episode;
		later = t->episode;
	}
	return later;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/move_facts.h"

#include <errno.h>
#include <stdlib.h>

#include "core/by_hand.h"
#include "core/policy.h"
#include "node/owns.h"

struct ebb_move_book {
	const struct ebb_view *view;
	struct ebb_cgroup_names *names;
	uint64_t (*now_ns)(void);
	uint8_t *failed_by; /* by gate: enum ebb_outcome of the last failure that an event told; 0: none */
};

int ebb_move_book_new(const struct ebb_view *view, struct ebb_cgroup_names *names, uint64_t (*now_ns)(void),
		      struct ebb_move_book **ret_book)
{
	struct ebb_move_book *book = calloc(1, sizeof(*book));

	if (!book)
		return -ENOMEM;
	*book = (struct ebb_move_book){.view = view, .names = names, .now_ns = now_ns};
	book->failed_by = calloc(view->gate_max, sizeof(*book->failed_by));
	if (!book->failed_by) {
		ebb_move_book_free(book);
		return -ENOMEM;
	}
	*ret_book = book;
	return 0;
}

void ebb_move_book_free(struct ebb_move_book *book)
{
	if (!book)
		return;
	free(book->failed_by);
	free(book);
}

void ebb_move_book_failed(struct ebb_move_book *book, uint32_t gate, uint32_t outcome)
{
	if (gate < book->view->gate_max && outcome < EBB_OUTCOME_MAX)
		book->failed_by[gate] = (uint8_t)outcome;
}

static void name_who(const struct ebb_move_book *book, const struct ebb_move *move, struct ebb_who *ret_who)
{
	*ret_who = (struct ebb_who){.workload = "", .namespace = "", .pod = "", .container = ""};
	if (move->pair != EBB_SLOT_OTHER)
		ebb_who(book->names, book->view->pairs[move->pair].workload, ret_who);
}

void ebb_move_book_take(struct ebb_move_book *book, const struct ebb_move *move, struct ebb_move_facts *ret)
{
	const struct ebb_policy *node = &book->view->policies[EBB_SLOT_OTHER];
	const struct ebb_transition *t = &move->transition;
	uint8_t failed_by = book->failed_by[move->gate];
	uint64_t now = book->now_ns();
	struct ebb_policy policy;

	book->failed_by[move->gate] = 0;
	ebb_gate_policy(book->view, move->dst, move->gate, now, &policy);
	*ret = (struct ebb_move_facts){
		.move = move,
		.from = ebb_state_name(ebb_reason_from(t->reason)),
		.to = ebb_state_name(ebb_reason_to(t->reason)),
		.reason = ebb_reason_name(t->reason),
		.last_failure = EBB_FAILURE_UNKNOWN,
		.open_for_ns = t->until_ns > now ? t->until_ns - now : 0,
		.mode = ebb_mode_name(ebb_mode_of(&policy, node, move->dst, now)),
		.now_ns = now,
	};
	if (ebb_reason_to(t->reason) == EBB_STATE_OPEN && failed_by)
		ret->last_failure = ebb_outcome_name(failed_by);
	(void)ebb_dst_name(book->view, move->dst, ret->destination, sizeof(ret->destination));
	name_who(book, move, &ret->who);
}

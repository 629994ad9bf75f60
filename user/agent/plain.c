/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plain.h"

#include <errno.h>
#include <stdlib.h>

struct gate {
	uint32_t gen; /* when last looked at */
	bool calm;    /* it was the same the time before, and closed both times */
	bool closed;
};

struct ebb_plain {
	const struct ebb_view *view;
	uint64_t look_at_ns;
	uint64_t wanted_ns; /* since when a walk is wanted; 0: none is */
	struct gate gates[];
};

int ebb_plain_new(const struct ebb_view *view, struct ebb_plain **ret_plain)
{
	struct ebb_plain *p = calloc(1, sizeof(*p) + view->gate_max * sizeof(p->gates[0]));

	if (!p)
		return -ENOMEM;
	p->view = view;
	*ret_plain = p;
	return 0;
}

void ebb_plain_free(struct ebb_plain *plain)
{
	free(plain);
}

/* Is it the gate that all who connect through it ask? Those of ~other have a memory anyhow. */
static bool is_shared(const struct ebb_view *view, uint32_t gate)
{
	uint32_t pair = gate - view->dst_max, dst = gate;

	if (gate >= view->dst_max) {
		if (pair == EBB_SLOT_OTHER || view->pairs[pair].state != EBB_SLOT_LIVE)
			return false;
		dst = view->pairs[pair].dst;
	}
	return dst != EBB_SLOT_OTHER && dst < view->dst_max && view->dsts[dst].state == EBB_SLOT_LIVE &&
	       (view->dsts[dst].scope == EBB_SCOPE_NODE) == (gate < view->dst_max);
}

/* Is it calm? */
static bool look_at(struct ebb_plain *p, uint32_t gate)
{
	uint64_t word = ebb_view_word(p->view, gate);
	struct gate *g = &p->gates[gate];
	bool closed = ebb_word_state(word) == EBB_STATE_CLOSED;

	g->calm = closed && g->closed && g->gen == ebb_word_gen(word) &&
		  g->gen != p->view->verdicts[gate].plain_gen && is_shared(p->view, gate);
	g->closed = closed;
	g->gen = ebb_word_gen(word);
	return g->calm;
}

bool ebb_plain_look(struct ebb_plain *plain, uint64_t now_ns)
{
	struct ebb_plain *p = plain;
	bool any = false;

	if (now_ns < p->look_at_ns)
		return false;
	p->look_at_ns = now_ns + EBB_PLAIN_LOOK_NS;
	for (uint32_t gate = 0; gate < p->view->gate_max; gate++)
		any |= look_at(p, gate);
	p->wanted_ns = any ? now_ns : 0;
	return any;
}

uint32_t ebb_plain_walked(struct ebb_plain *plain, uint64_t began_ns)
{
	struct ebb_plain *p = plain;
	uint32_t count = 0;

	if (!p->wanted_ns || began_ns < p->wanted_ns)
		return 0;
	p->wanted_ns = 0;
	for (uint32_t gate = 0; gate < p->view->gate_max; gate++) {
		uint64_t word = ebb_view_word(p->view, gate);

		/* what has moved since the look is looked at again */
		if (!p->gates[gate].calm || ebb_word_state(word) != EBB_STATE_CLOSED ||
		    ebb_word_gen(word) != p->gates[gate].gen || !is_shared(p->view, gate))
			continue;
		__atomic_store_n(&p->view->verdicts[gate].plain_gen, ebb_word_gen(word), __ATOMIC_RELEASE);
		count++;
	}
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tick.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/breaker.h"
#include "core/verdict.h"
#include "export/name.h"

/* What the agent keeps of a gate beside the maps. */
struct ebb_ticker_gate {
	bool known;
	uint32_t epoch; /* of the slot when it became known: another owner starts anew */
	struct ebb_breaker breaker;
};

struct ebb_ticker {
	const struct ebb_view *view;
	struct ebb_breaker_config first; /* until others are borrowed */
	const struct ebb_breaker_config *configs;
	const uint32_t *of_dst; /* by destination slot: index in configs; NULL: all 0 */
	uint64_t seed;
	bool restore;
	struct ebb_moves *moves;
	struct ebb_ticker_gate *gates; /* by gate slot; untouched pages cost nothing */
};

static const struct ebb_breaker_config *config_of(const struct ebb_ticker *t, uint32_t dst)
{
	return &t->configs[t->of_dst ? t->of_dst[dst] : 0];
}

static void write_verdict(const struct ebb_view *view, uint32_t gate, const struct ebb_verdict *verdict)
{
	struct ebb_verdict *place = &view->verdicts[gate];

	/* in this order: who reads between the two judges by more turns that were answered */
	if (place->unanswered_from != verdict->unanswered_from)
		__atomic_store_n(&place->unanswered_from, verdict->unanswered_from, __ATOMIC_RELEASE);
	if (place->answered_from != verdict->answered_from)
		__atomic_store_n(&place->answered_from, verdict->answered_from, __ATOMIC_RELEASE);
	if (place->arm != verdict->arm)
		__atomic_store_n(&place->arm, verdict->arm, __ATOMIC_RELEASE);
	if (place->word != verdict->word)
		__atomic_store_n(&place->word, verdict->word, __ATOMIC_RELEASE);
}

/* Listener: into the pinned memory, which a later agent, the metrics and the command line read. */
static void remember(void *userdata, const struct ebb_move *move)
{
	const struct ebb_ticker *t = userdata;

	ebb_breaker_remember(&t->gates[move->gate].breaker, config_of(t, move->dst), &move->transition,
			     &t->view->memories[move->gate]);
}

/* Listener: what the kernel is to obey. */
static void obey(void *userdata, const struct ebb_move *move)
{
	const struct ebb_ticker *t = userdata;
	struct ebb_verdict verdict;

	ebb_breaker_verdict(&t->gates[move->gate].breaker, config_of(t, move->dst), &verdict);
	write_verdict(t->view, move->gate, &verdict);
}

int ebb_ticker_new(const struct ebb_view *view, const struct ebb_breaker_config *config, uint64_t seed,
		   bool restore, struct ebb_moves *moves, struct ebb_ticker **ret_ticker)
{
	struct ebb_ticker *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->view = view;
	t->gates = calloc(view->gate_max, sizeof(*t->gates));
	if (!t->gates) {
		free(t);
		return -ENOMEM;
	}
	t->first = *config;
	t->configs = &t->first;
	t->seed = seed;
	t->restore = restore;
	t->moves = moves;
	/*
	 * Remembered first, obeyed then: an agent that is killed between the two has told
	 * no lie. Told last, by those who listen after us: the log is slower than all the rest.
	 */
	r = ebb_moves_listen(moves, "memory", remember, t);
	if (r == 0)
		r = ebb_moves_listen(moves, "verdict", obey, t);
	if (r < 0) {
		ebb_ticker_free(t);
		return r;
	}
	*ret_ticker = t;
	return 0;
}

void ebb_ticker_free(struct ebb_ticker *ticker)
{
	if (!ticker)
		return;
	free(ticker->gates);
	free(ticker);
}

void ebb_ticker_configure(struct ebb_ticker *ticker, const struct ebb_breaker_config *configs,
			  const uint32_t *of_dst)
{
	ticker->configs = configs;
	ticker->of_dst = of_dst;
}

void ebb_tick_begin(const struct ebb_view *view)
{
	__atomic_fetch_add(&view->agent->looked, 1, __ATOMIC_SEQ_CST);
}

/* Which destination and pair a gate belongs to; false: it is not in use, or ~other's, which nobody judges. */
static bool gate_owner(const struct ebb_view *view, uint32_t gate, uint32_t *ret_dst, uint32_t *ret_pair,
		       uint32_t *ret_epoch)
{
	uint32_t dst = gate, pair = EBB_SLOT_OTHER;

	if (gate >= view->gate_max || gate == EBB_SLOT_OTHER || gate == view->dst_max)
		return false;
	if (gate >= view->dst_max) {
		pair = gate - view->dst_max;
		if (view->pairs[pair].state != EBB_SLOT_LIVE)
			return false;
		dst = view->pairs[pair].dst;
		if (dst >= view->dst_max || dst == EBB_SLOT_OTHER)
			return false;
	}
	if (view->dsts[dst].state != EBB_SLOT_LIVE ||
	    view->dsts[dst].scope != (pair == EBB_SLOT_OTHER ? EBB_SCOPE_NODE : EBB_SCOPE_WORKLOAD))
		return false;
	*ret_dst = dst;
	*ret_pair = pair;
	*ret_epoch = pair == EBB_SLOT_OTHER ? view->dsts[dst].epoch : view->pairs[pair].epoch;
	return true;
}

/* What the jitter of a gate is drawn from: the destination's name, and the workload where it has its own gate. */
static uint64_t gate_key(const struct ebb_ticker *t, uint32_t dst, uint32_t pair)
{
	char name[EBB_DST_NAME_MAX], text[EBB_DST_NAME_MAX + 32];

	(void)ebb_dst_name(t->view, dst, name, sizeof(name));
	if (pair == EBB_SLOT_OTHER)
		return ebb_breaker_key(t->seed, name);
	(void)snprintf(text, sizeof(text), "%s %llu", name,
		       (unsigned long long)t->view->pairs[pair].workload);
	return ebb_breaker_key(t->seed, text);
}

static void meet_gate(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair, uint32_t epoch,
		      const struct ebb_gate *facts)
{
	struct ebb_ticker_gate *g = &t->gates[gate];
	uint64_t key = gate_key(t, dst, pair);
	uint64_t created_ns =
		pair == EBB_SLOT_OTHER ? t->view->dsts[dst].created_ns : t->view->pairs[pair].created_ns;

	/* whoever came after our start is new, and what it counts before its first look counts */
	if (t->restore && !g->known && created_ns <= t->view->agent->started_ns)
		ebb_breaker_restore(&g->breaker, key, &t->view->verdicts[gate], &t->view->memories[gate],
				    facts);
	else
		ebb_breaker_init(&g->breaker, key, facts);
	g->known = true;
	g->epoch = epoch;
}

/* Returns the number of moves; *@io_busy and *@io_deadline take in what this gate adds. */
static size_t look(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair, uint32_t epoch,
		   uint64_t now_ns, bool *io_busy, uint64_t *io_deadline)
{
	struct ebb_ticker_gate *g = &t->gates[gate];
	const struct ebb_breaker_config *config = config_of(t, dst);
	struct ebb_transition transitions[EBB_BREAKER_MOVES_MAX];
	struct ebb_move move = {.gate = gate, .dst = dst, .pair = pair};
	struct ebb_gate facts;
	uint64_t deadline;
	size_t count;

	/* the kernel writes while we read: each word is whole, and the next look sees what came between */
	facts = t->view->gates[gate];
	if (!g->known || g->epoch != epoch)
		meet_gate(t, gate, dst, pair, epoch, &facts);
	else if (facts.ok != g->breaker.seen_ok || facts.failed != g->breaker.seen_failed)
		*io_busy = true;

	count = ebb_breaker_look(&g->breaker, config, &facts, now_ns, transitions);
	ebb_moves_publish(t->moves, &move, transitions, count);
	/* also without a move: the window goes on, and what is armed changes when open times step down */
	ebb_breaker_remember(&g->breaker, config, NULL, &t->view->memories[gate]);
	obey(t, &move);
	deadline = ebb_breaker_deadline(&g->breaker, &facts);
	if (deadline < *io_deadline)
		*io_deadline = deadline;
	return count;
}

void ebb_tick(struct ebb_ticker *ticker, uint64_t now_ns, struct ebb_tick_result *ret_result)
{
	const struct ebb_view *view = ticker->view;
	struct ebb_tick_result result = {.deadline_ns = UINT64_MAX};
	uint32_t dst_high = view->kernel->dst_high, pair_high = view->kernel->pair_high;
	uint32_t dst, pair, epoch;

	ebb_tick_begin(view);
	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= dst_high && d < view->dst_max; d++) {
		if (view->dsts[d].state == EBB_SLOT_LIVE)
			result.dst_live++;
		if (gate_owner(view, d, &dst, &pair, &epoch))
			result.moves += (uint32_t)look(ticker, d, dst, pair, epoch, now_ns, &result.busy,
						       &result.deadline_ns);
	}
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= pair_high && p < view->pair_max; p++) {
		uint32_t gate = view->dst_max + p;

		if (view->pairs[p].state == EBB_SLOT_LIVE)
			result.pair_live++;
		if (gate_owner(view, gate, &dst, &pair, &epoch))
			result.moves += (uint32_t)look(ticker, gate, dst, pair, epoch, now_ns, &result.busy,
						       &result.deadline_ns);
	}
	*ret_result = result;
}

uint64_t ebb_tick_gate(struct ebb_ticker *ticker, uint32_t gate, uint64_t now_ns)
{
	uint64_t deadline = UINT64_MAX;
	uint32_t dst, pair, epoch;
	bool busy = false;

	if (gate_owner(ticker->view, gate, &dst, &pair, &epoch))
		(void)look(ticker, gate, dst, pair, epoch, now_ns, &busy, &deadline);
	return deadline;
}

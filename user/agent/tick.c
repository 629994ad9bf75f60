/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tick.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apart.h"
#include "core/breaker.h"
#include "core/verdict.h"
#include "export/name.h"

/* What the agent keeps of a gate beside the maps. */
struct ebb_ticker_gate {
	bool known;
	uint32_t epoch; /* of the slot when it became known: another owner starts anew */
	struct ebb_breaker breaker;
};

/* And of a pair: what it had counted when last looked at, for the one gate that it shares. */
struct ebb_ticker_pair {
	bool known;
	uint32_t epoch;
	uint32_t round; /* of the list that it stands in */
	uint32_t next;	/* in the list of its destination; EBB_SLOT_OTHER: the last */
	uint64_t ok;
	uint64_t failed;
	uint64_t slow;
};

/* Who shares the gate of a destination. */
struct ebb_ticker_dst {
	struct ebb_users users;
	uint32_t round; /* of the list; an earlier one is empty */
	uint32_t first;
};

struct ebb_ticker {
	const struct ebb_view *view;
	struct ebb_breaker_config first; /* until others are borrowed */
	const struct ebb_breaker_config *configs;
	const uint32_t *of_dst; /* by destination slot: index in configs; NULL: all 0 */
	uint64_t seed;
	bool restore;
	ebb_move_handler on_move;
	void *userdata;
	struct ebb_ticker_gate *gates; /* by gate slot; untouched pages cost nothing */
	struct ebb_ticker_pair *pairs; /* by pair slot */
	struct ebb_ticker_dst *dsts;   /* by destination slot */
	uint32_t round;		       /* of the lists; a tick makes them again */
};

int ebb_ticker_new(const struct ebb_view *view, const struct ebb_breaker_config *config, uint64_t seed,
		   bool restore, ebb_move_handler on_move, void *userdata, struct ebb_ticker **ret_ticker)
{
	struct ebb_ticker *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->view = view;
	t->gates = calloc(view->gate_max, sizeof(*t->gates));
	t->pairs = calloc(view->pair_max, sizeof(*t->pairs));
	t->dsts = calloc(view->dst_max, sizeof(*t->dsts));
	if (!t->gates || !t->pairs || !t->dsts) {
		ebb_ticker_free(t);
		return -ENOMEM;
	}
	t->first = *config;
	t->round = 1;
	t->configs = &t->first;
	t->seed = seed;
	t->restore = restore;
	t->on_move = on_move;
	t->userdata = userdata;
	*ret_ticker = t;
	return 0;
}

void ebb_ticker_free(struct ebb_ticker *ticker)
{
	if (!ticker)
		return;
	free(ticker->gates);
	free(ticker->pairs);
	free(ticker->dsts);
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
	if (view->dsts[dst].state != EBB_SLOT_LIVE)
		return false;
	/* a pair has a gate of its own by the scope of its destination, or while it is apart */
	if (pair == EBB_SLOT_OTHER ? view->dsts[dst].scope != EBB_SCOPE_NODE : view->pairs[pair].gate != gate)
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

static void write_verdict(const struct ebb_view *view, uint32_t gate, const struct ebb_verdict *verdict)
{
	struct ebb_verdict *place = &view->verdicts[gate];

	if (place->arm != verdict->arm)
		__atomic_store_n(&place->arm, verdict->arm, __ATOMIC_RELEASE);
	if (place->succeeded != verdict->succeeded)
		__atomic_store_n(&place->succeeded, verdict->succeeded, __ATOMIC_RELEASE);
	if (place->word != verdict->word)
		__atomic_store_n(&place->word, verdict->word, __ATOMIC_RELEASE);
}

/* Whoever came after our start is new, and what it counts before its first look counts. */
static bool is_restored(const struct ebb_ticker *t, bool known, uint64_t created_ns)
{
	return t->restore && !known && created_ns <= t->view->agent->started_ns;
}

static void meet_gate(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair, uint32_t epoch,
		      const struct ebb_gate *facts, uint64_t now_ns)
{
	struct ebb_ticker_gate *g = &t->gates[gate];
	uint64_t key = gate_key(t, dst, pair);
	uint64_t created_ns =
		pair == EBB_SLOT_OTHER ? t->view->dsts[dst].created_ns : t->view->pairs[pair].created_ns;

	if (pair == EBB_SLOT_OTHER)
		t->dsts[dst].users = (struct ebb_users){0};
	if (is_restored(t, g->known, created_ns)) {
		ebb_breaker_restore(&g->breaker, key, &t->view->verdicts[gate], &t->view->memories[gate],
				    facts);
		if (pair == EBB_SLOT_OTHER)
			ebb_users_restore(&t->dsts[dst].users, &t->view->verdicts[gate], facts, now_ns);
	} else {
		ebb_breaker_init(&g->breaker, key, facts);
	}
	g->known = true;
	g->epoch = epoch;
}

/* ------------------------------------------------------- who shares a gate -- */

/* Into the list of its destination, if it is not there. */
static void list_pair(struct ebb_ticker *t, uint32_t pair)
{
	const struct ebb_pair *place = &t->view->pairs[pair];
	struct ebb_ticker_pair *p = &t->pairs[pair];
	struct ebb_ticker_dst *d;

	if (place->state != EBB_SLOT_LIVE || place->dst >= t->view->dst_max || p->round == t->round)
		return;
	d = &t->dsts[place->dst];
	p->next = d->round == t->round ? d->first : EBB_SLOT_OTHER;
	p->round = d->round = t->round;
	d->first = pair;
}

/* One that came since the lists were made, as the kernel names it: 1 + its slot. */
static void list_named(struct ebb_ticker *t, uint32_t who)
{
	if (who > EBB_SLOT_OTHER + 1 && who - 1 < t->view->pair_max)
		list_pair(t, who - 1);
}

static void list_pairs(struct ebb_ticker *t)
{
	uint32_t high = t->view->kernel->pair_high;

	t->round++;
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < t->view->pair_max; p++)
		list_pair(t, p);
}

/* What came of @pair since the last look: for the gate that it shares, unless it is apart. */
static void note_results(struct ebb_ticker *t, uint32_t pair, uint32_t dst, uint64_t now_ns)
{
	struct ebb_users *users = &t->dsts[dst].users;
	const struct ebb_pair *place = &t->view->pairs[pair];
	struct ebb_ticker_pair *p = &t->pairs[pair];
	struct ebb_ticker_pair now = {
		.known = true,
		.epoch = place->epoch,
		.round = p->round,
		.next = p->next,
		.ok = place->result_ok,
		.failed = place->result_failed,
		.slow = place->result_slow,
	};
	bool counts = place->state == EBB_SLOT_LIVE && place->gate == dst;

	if (!p->known || p->epoch != now.epoch) {
		counts = counts && !is_restored(t, p->known, place->created_ns);
		*p = (struct ebb_ticker_pair){0};
	}
	if (counts && now.ok != p->ok)
		ebb_users_note(&users->ok, pair, now_ns);
	if (counts && now.failed != p->failed)
		ebb_users_note(&users->failed, pair, now_ns);
	if (counts && now.slow != p->slow)
		ebb_users_note(&users->slow, pair, now_ns);
	*p = now;
}

/* After the gate was read: a result counts for its pair first, so each that stands in @facts is found. */
static void note_users(struct ebb_ticker *t, uint32_t dst, const struct ebb_gate *facts, uint64_t now_ns)
{
	struct ebb_ticker_dst *d = &t->dsts[dst];

	list_named(t, (uint32_t)facts->succeeded);
	list_named(t, ebb_run_whose(facts->run, (uint32_t)(facts->run >> 41)));
	if (d->round != t->round)
		return;
	for (uint32_t p = d->first; p != EBB_SLOT_OTHER; p = t->pairs[p].next)
		note_results(t, p, dst, now_ns);
}

/* ------------------------------------------------------------------- a look -- */

/* What moved is remembered, obeyed and told. */
static void conclude(struct ebb_ticker *t, const struct ebb_breaker_config *config,
		     const struct ebb_gate *facts, uint32_t gate, uint32_t dst, uint32_t pair,
		     const struct ebb_transition *moves, size_t count, uint64_t now_ns)
{
	const struct ebb_breaker *breaker = &t->gates[gate].breaker;
	struct ebb_memory *memory = &t->view->memories[gate];
	struct ebb_verdict verdict;

	/*
	 * Remembered first, obeyed then: an agent that is killed between the two has told
	 * no lie. Told last, since the log is slower than all the rest. The verdict is
	 * written also without a move: what is armed changes when open times step down.
	 */
	for (size_t i = 0; i < count; i++)
		ebb_breaker_remember(breaker, config, &moves[i], memory);
	ebb_breaker_remember(breaker, config, NULL, memory);
	ebb_breaker_verdict(breaker, config, &verdict);
	if (pair == EBB_SLOT_OTHER && ebb_users_several(&t->dsts[dst].users, config->window_ns, now_ns))
		verdict.arm |= EBB_ARM_MIXED;
	verdict.succeeded = facts->succeeded;
	write_verdict(t->view, gate, &verdict);
	for (size_t i = 0; i < count && t->on_move; i++) {
		struct ebb_move move = {.gate = gate, .dst = dst, .pair = pair, .transition = moves[i]};

		t->on_move(t->userdata, &move);
	}
}

/*
 * The workload gets the gate of its pair, which opens. In this order: an agent that is killed between
 * the two leaves a closed gate, whose next failures open it.
 */
static size_t put_apart(struct ebb_ticker *t, const struct ebb_breaker_config *config, uint32_t dst,
			const struct ebb_apart *apart, uint64_t now_ns, uint64_t *io_deadline)
{
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];
	uint32_t gate = t->view->dst_max + apart->pair;
	struct ebb_ticker_gate *g;
	struct ebb_pair *place;
	struct ebb_gate facts;
	uint64_t deadline;
	size_t count;

	ebb_users_forget(&t->dsts[dst].users, apart->pair);
	if (apart->pair >= t->view->pair_max)
		return 0;
	place = &t->view->pairs[apart->pair];
	/* it has gone, or is apart already */
	if (place->state != EBB_SLOT_LIVE || place->dst != dst || place->gate != dst)
		return 0;
	g = &t->gates[gate];
	facts = t->view->gates[gate];
	if (!g->known || g->epoch != place->epoch)
		meet_gate(t, gate, dst, apart->pair, place->epoch, &facts, now_ns);
	__atomic_store_n(&place->gate, gate, __ATOMIC_RELEASE);
	count = ebb_breaker_put_apart(&g->breaker, config, &facts, &apart->why, now_ns, moves);
	conclude(t, config, &facts, gate, dst, apart->pair, moves, count, now_ns);
	deadline = ebb_breaker_deadline(&g->breaker, &facts);
	if (deadline < *io_deadline)
		*io_deadline = deadline;
	return count;
}

/* It is with the others again, and what its open times had grown to is forgotten. */
static void rejoin(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair)
{
	t->gates[gate].breaker.trips = 0;
	t->view->memories[gate].trips = 0;
	__atomic_store_n(&t->view->pairs[pair].gate, dst, __ATOMIC_RELEASE);
}

/* Returns the number of moves; *@io_busy and *@io_deadline take in what this gate adds. */
static size_t look(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair, uint32_t epoch,
		   uint64_t now_ns, bool *io_busy, uint64_t *io_deadline)
{
	struct ebb_ticker_gate *g = &t->gates[gate];
	const struct ebb_breaker_config *config = &t->configs[t->of_dst ? t->of_dst[dst] : 0];
	struct ebb_apart apart = {.pair = EBB_SLOT_OTHER};
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];
	struct ebb_gate facts;
	uint64_t deadline;
	size_t count;

	/* the kernel writes while we read: each word is whole, and the next look sees what came between */
	facts = t->view->gates[gate];
	if (!g->known || g->epoch != epoch)
		meet_gate(t, gate, dst, pair, epoch, &facts, now_ns);
	else if (facts.ok != g->breaker.seen_ok || facts.failed != g->breaker.seen_failed)
		*io_busy = true;

	if (pair == EBB_SLOT_OTHER) {
		note_users(t, dst, &facts, now_ns);
		count = ebb_breaker_look_shared(&g->breaker, config, &facts, &t->dsts[dst].users, now_ns,
						moves, &apart);
	} else {
		count = ebb_breaker_look(&g->breaker, config, &facts, now_ns, moves);
	}
	conclude(t, config, &facts, gate, dst, pair, moves, count, now_ns);
	if (apart.pair != EBB_SLOT_OTHER)
		count += put_apart(t, config, dst, &apart, now_ns, io_deadline);
	if (pair != EBB_SLOT_OTHER && t->view->dsts[dst].scope == EBB_SCOPE_NODE &&
	    ebb_breaker_has_healed(&g->breaker, config, now_ns))
		rejoin(t, gate, dst, pair);
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
	list_pairs(ticker);
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

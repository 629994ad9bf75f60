/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tick.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apart.h"
#include "core/breaker.h"
#include "core/fuse.h"
#include "core/verdict.h"
#include "export/name.h"

/* Ticks in a row in which nothing happened, after which the next is not soon. */
#define QUIET_TICKS 3

/* What the agent keeps of a gate beside the maps. */
struct ebb_ticker_gate {
	bool known;
	uint32_t epoch;	  /* of the slot when it became known: another owner starts anew */
	uint64_t used_ns; /* the look that found its last results; 0: there were none */
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
	struct ebb_moves *moves;
	struct ebb_ticker_gate *gates; /* by gate slot; untouched pages cost nothing */
	struct ebb_fuse fuse;
	struct ebb_fuse_config fuse_config;
	ebb_fuse_handler on_fuse;
	void *fuse_userdata;
	struct ebb_fuse_gates *fuse_gates; /* by destination slot, of one tick */
	uint64_t results;		   /* that the fuse has not seen yet */
	uint32_t quiet;		       /* ticks in a row in which nothing happened; QUIET_TICKS: or more */
	struct ebb_ticker_pair *pairs; /* by pair slot */
	struct ebb_ticker_dst *dsts;   /* by destination slot */
	uint32_t round;		       /* of the lists; a tick makes them again */
	struct ebb_verdict verdict;    /* of the look that is being concluded */
};

/* Did the fuse act when the last agent's lease had not yet been over? */
static bool fuse_goes_on(const struct ebb_agent *agent)
{
	return ebb_fuse_of(agent, agent->started_ns) != EBB_FUSE_OFF;
}

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
	if (place->succeeded != verdict->succeeded)
		__atomic_store_n(&place->succeeded, verdict->succeeded, __ATOMIC_RELEASE);
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

	write_verdict(t->view, move->gate, &t->verdict);
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
	t->fuse_gates = calloc(view->dst_max, sizeof(*t->fuse_gates));
	t->pairs = calloc(view->pair_max, sizeof(*t->pairs));
	t->dsts = calloc(view->dst_max, sizeof(*t->dsts));
	if (!t->gates || !t->fuse_gates || !t->pairs || !t->dsts) {
		ebb_ticker_free(t);
		return -ENOMEM;
	}
	t->first = *config;
	t->round = 1;
	t->quiet = QUIET_TICKS;
	t->configs = &t->first;
	t->seed = seed;
	t->restore = restore;
	ebb_fuse_defaults(&t->fuse_config);
	t->fuse.acts = restore && fuse_goes_on(view->agent);
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
	free(ticker->fuse_gates);
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

void ebb_ticker_fuse(struct ebb_ticker *ticker, const struct ebb_fuse_config *config,
		     ebb_fuse_handler on_move, void *userdata)
{
	ticker->fuse_config = *config;
	ticker->on_fuse = on_move;
	ticker->fuse_userdata = userdata;
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
	g->used_ns = 0;
}

/* What came since the last look, for the fuse; before the breaker takes it. */
static bool take_results(struct ebb_ticker *t, struct ebb_ticker_gate *g, const struct ebb_gate *facts,
			 uint64_t now_ns)
{
	uint64_t results = facts->ok - g->breaker.seen_ok + facts->failed - g->breaker.seen_failed;

	if (!results)
		return false;
	g->used_ns = now_ns;
	t->results += results;
	return true;
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

/* What moved is remembered, obeyed and told; and what a look without a move changes, too. */
static void conclude(struct ebb_ticker *t, const struct ebb_gate *facts, uint32_t gate, uint32_t dst,
		     uint32_t pair, const struct ebb_transition *moves, size_t count, uint64_t now_ns)
{
	const struct ebb_breaker_config *config = config_of(t, dst);
	const struct ebb_breaker *breaker = &t->gates[gate].breaker;
	struct ebb_move move = {.gate = gate, .dst = dst, .pair = pair};

	ebb_breaker_verdict(breaker, config, &t->verdict);
	if (pair == EBB_SLOT_OTHER && ebb_users_several(&t->dsts[dst].users, config->window_ns, now_ns))
		t->verdict.arm |= EBB_ARM_MIXED;
	t->verdict.succeeded = facts->succeeded;
	for (size_t i = 0; i < count; i++) {
		/* probes are no results of a gate, but are results of the node */
		if (ebb_reason_from(moves[i].reason) == EBB_STATE_HALF_OPEN)
			t->results += (uint64_t)moves[i].ok + moves[i].failed;
	}
	ebb_moves_publish(t->moves, &move, moves, count);
	/* the window goes on, and what is armed changes when open times step down */
	ebb_breaker_remember(breaker, config, NULL, &t->view->memories[gate]);
	write_verdict(t->view, gate, &t->verdict);
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
	conclude(t, &facts, gate, dst, apart->pair, moves, count, now_ns);
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

/* Returns the number of moves; *@io_found (results came) and *@io_deadline take in what this gate adds. */
static size_t look(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint32_t pair, uint32_t epoch,
		   uint64_t now_ns, bool *io_found, uint64_t *io_deadline)
{
	struct ebb_ticker_gate *g = &t->gates[gate];
	const struct ebb_breaker_config *config = config_of(t, dst);
	struct ebb_apart apart = {.pair = EBB_SLOT_OTHER};
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];
	struct ebb_gate facts;
	uint64_t deadline;
	size_t count;
	bool known;

	/* the kernel writes while we read: each word is whole, and the next look sees what came between */
	facts = t->view->gates[gate];
	known = g->known && g->epoch == epoch;
	if (!known)
		meet_gate(t, gate, dst, pair, epoch, &facts, now_ns);
	if (take_results(t, g, &facts, now_ns) && known)
		*io_found = true;

	if (pair == EBB_SLOT_OTHER) {
		note_users(t, dst, &facts, now_ns);
		count = ebb_breaker_look_shared(&g->breaker, config, &facts, &t->dsts[dst].users, now_ns,
						moves, &apart);
	} else {
		count = ebb_breaker_look(&g->breaker, config, &facts, now_ns, moves);
	}
	conclude(t, &facts, gate, dst, pair, moves, count, now_ns);
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

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* For the fuse: a gate that was looked at in this tick. */
static void count_gate(struct ebb_ticker *t, uint32_t gate, uint32_t dst, uint64_t now_ns)
{
	const struct ebb_ticker_gate *g = &t->gates[gate];
	uint64_t used_ns = latest(g->used_ns, latest(g->breaker.since_ns, t->view->gates[gate].asked_ns));

	ebb_fuse_count_gate(&t->fuse_gates[dst], ebb_word_state(g->breaker.word), used_ns,
			    t->fuse_config.window_ns, now_ns);
}

static bool is_of_rule(const struct ebb_view *view, uint32_t dst)
{
	return view->names[dst].epoch == view->dsts[dst].epoch && (view->names[dst].flags & EBB_NAME_RULE);
}

/* What it does now, and for those who show it what it saw. */
static void write_fuse(const struct ebb_ticker *t, const struct ebb_fuse_facts *facts)
{
	const struct ebb_fuse_config *config = &t->fuse_config;
	struct ebb_agent *agent = t->view->agent;

	agent->fuse_action = config->action;
	agent->fuse_open_ppm = (uint32_t)(config->open_ratio * 1e6 + 0.5);
	agent->fuse_min_destinations = config->min_destinations;
	agent->fuse_min_calls = config->min_calls;
	agent->fuse_window_ns = config->window_ns;
	agent->fuse_active = facts->active;
	agent->fuse_open = facts->open;
	agent->fuse_calls = t->fuse.window.sum.ok;
	__atomic_store_n(&agent->fuse, t->fuse.acts ? config->action : (uint32_t)EBB_FUSE_OFF,
			 __ATOMIC_RELEASE);
}

static void look_at_fuse(struct ebb_ticker *t, uint32_t dst_high, uint64_t now_ns, uint64_t *io_deadline)
{
	struct ebb_fuse_facts facts = {.results = t->results};
	struct ebb_agent *agent = t->view->agent;
	struct ebb_fuse_move move;
	uint64_t deadline;
	bool moved;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= dst_high && d < t->view->dst_max; d++) {
		struct ebb_fuse_gates *gates = &t->fuse_gates[d];

		if (gates->active)
			ebb_fuse_count_destination(&facts, gates,
						   gates->workloads < 2 && is_of_rule(t->view, d));
		*gates = (struct ebb_fuse_gates){0};
	}
	t->results = 0;
	moved = ebb_fuse_look(&t->fuse, &t->fuse_config, &facts, now_ns, &move);
	if (moved) {
		agent->fuse_since_ns = now_ns;
		agent->fuse_acted += move.acts;
	}
	write_fuse(t, &facts);
	if (moved && t->on_fuse)
		t->on_fuse(t->fuse_userdata, &move);
	deadline = ebb_fuse_deadline(&t->fuse, &t->fuse_config);
	if (deadline < *io_deadline)
		*io_deadline = deadline;
}

void ebb_tick(struct ebb_ticker *ticker, uint64_t now_ns, struct ebb_tick_result *ret_result)
{
	const struct ebb_view *view = ticker->view;
	struct ebb_tick_result result = {.deadline_ns = UINT64_MAX};
	uint32_t dst_high = view->kernel->dst_high, pair_high = view->kernel->pair_high;
	uint32_t dst, pair, epoch;
	bool found = false;

	ebb_tick_begin(view);
	list_pairs(ticker);
	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= dst_high && d < view->dst_max; d++) {
		if (view->dsts[d].state == EBB_SLOT_LIVE)
			result.dst_live++;
		if (!gate_owner(view, d, &dst, &pair, &epoch))
			continue;
		result.moves +=
			(uint32_t)look(ticker, d, dst, pair, epoch, now_ns, &found, &result.deadline_ns);
		count_gate(ticker, d, dst, now_ns);
	}
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= pair_high && p < view->pair_max; p++) {
		uint32_t gate = view->dst_max + p;

		if (view->pairs[p].state == EBB_SLOT_LIVE) {
			result.pair_live++;
			if (view->pairs[p].dst < view->dst_max)
				ticker->fuse_gates[view->pairs[p].dst].workloads++;
		}
		if (!gate_owner(view, gate, &dst, &pair, &epoch))
			continue;
		result.moves +=
			(uint32_t)look(ticker, gate, dst, pair, epoch, now_ns, &found, &result.deadline_ns);
		/* that a workload is apart says nothing of the destination */
		if (view->dsts[dst].scope == EBB_SCOPE_WORKLOAD)
			count_gate(ticker, gate, dst, now_ns);
	}
	if (found || result.moves)
		ticker->quiet = 0;
	else if (ticker->quiet < QUIET_TICKS)
		ticker->quiet++;
	result.busy = ticker->quiet < QUIET_TICKS;
	look_at_fuse(ticker, dst_high, now_ns, &result.deadline_ns);
	*ret_result = result;
}

uint64_t ebb_tick_gate(struct ebb_ticker *ticker, uint32_t gate, uint64_t now_ns)
{
	uint64_t deadline = UINT64_MAX;
	uint32_t dst, pair, epoch;
	bool found = false;

	if (gate_owner(ticker->view, gate, &dst, &pair, &epoch))
		(void)look(ticker, gate, dst, pair, epoch, now_ns, &found, &deadline);
	/* whatever it found, the next tick does not find it any more; and where a probe closed a breaker, calls follow */
	ticker->quiet = 0;
	return deadline;
}

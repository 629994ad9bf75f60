/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/idle.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/by_hand.h"
#include "node/owns.h"

/* Each run looks at every eighth slot: at full tables that is under a millisecond. */
#define STRIDE 8

#define GRACE_NS 1000000000ULL /* between taking a key out and giving its slot away */

/* Longer than any connect() lasts (127 s, 131 s from 6.12): after that a SYN whose end we never saw is forgotten. */
#define CONNECTING_NS (300 * 1000000000ULL)

/* So long a breaker that is not closed and calm keeps the slot that nobody asks: for who calls once a day, and some. */
#define BREAKER_NS (26ULL * 3600 * 1000000000)

/* What the collector remembers of a slot. */
struct watched {
	uint64_t activity; /* sum of the counters when last seen */
	uint64_t since_ns; /* since then unchanged; retiring: when it began */
	uint32_t epoch;	   /* whose activity that is */
	bool retiring;
	bool keyless; /* retiring: no key of its own stood in the tables */
	bool stale;   /* unchanged for so long that no breaker keeps it */
	bool gone;    /* the workload of the pair */
};

struct ebb_collector {
	const struct ebb_view *view;
	uint64_t idle_ns;
	struct ebb_idle_ops ops;
	uint32_t run;
	struct watched *dsts;
	struct watched *pairs;
	bool *referenced; /* by destination: some pair is about it; of the present run */
	bool referenced_known;
};

int ebb_collector_new(const struct ebb_view *view, uint64_t idle_ns, const struct ebb_idle_ops *ops,
		      struct ebb_collector **ret_collector)
{
	struct ebb_collector *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->view = view;
	c->idle_ns = idle_ns;
	c->ops = *ops;
	c->dsts = calloc(view->dst_max, sizeof(*c->dsts));
	c->pairs = calloc(view->pair_max, sizeof(*c->pairs));
	c->referenced = calloc(view->dst_max, sizeof(*c->referenced));
	if (!c->dsts || !c->pairs || !c->referenced) {
		ebb_collector_free(c);
		return -ENOMEM;
	}
	*ret_collector = c;
	return 0;
}

void ebb_collector_free(struct ebb_collector *collector)
{
	if (!collector)
		return;
	free(collector->dsts);
	free(collector->pairs);
	free(collector->referenced);
	free(collector);
}

void ebb_collector_set_idle(struct ebb_collector *collector, uint64_t idle_ns)
{
	collector->idle_ns = idle_ns;
}

void ebb_collector_gone(struct ebb_collector *collector, bool (*gone)(void *userdata, uint64_t workload),
			void *userdata)
{
	const struct ebb_view *view = collector->view;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= view->kernel->pair_high && p < view->pair_max; p++)
		collector->pairs[p].gone =
			view->pairs[p].state != EBB_SLOT_FREE && gone(userdata, view->pairs[p].workload);
}

/* Everything that a connection or a datagram, refused or not, makes grow. */
static uint64_t pair_activity(const struct ebb_pair *pair)
{
	uint64_t sum = pair->attempts + pair->syn_sent + pair->adopted + pair->sent_packets;

	for (int i = 0; i < EBB_OUTCOME_MAX; i++)
		sum += pair->outcomes[i];
	for (int i = 0; i < EBB_CAUSE_MAX; i++)
		sum += pair->denied[i] + pair->would_deny[i];
	return sum;
}

/* Is a SYN out whose end we have not seen? */
static bool is_connecting(const struct ebb_pair *pair)
{
	uint64_t ended = 0;

	for (int i = EBB_OUTCOME_ESTABLISHED; i <= EBB_OUTCOME_CANCELLED; i++)
		ended += pair->outcomes[i];
	return pair->syn_sent != ended;
}

/* Closed, and not in backoff. */
static bool is_calm(const struct ebb_view *view, uint32_t gate)
{
	uint64_t word = ebb_view_word(view, gate);

	return ebb_word_state(word) == EBB_STATE_CLOSED && view->memories[gate].trips == 0;
}

static bool is_open(const struct ebb_view *view, uint32_t gate, uint64_t now_ns)
{
	uint64_t word = ebb_view_word(view, gate);

	return ebb_word_state(word) == EBB_STATE_OPEN && ebb_ticks_to_ns(ebb_word_until(word)) > now_ns;
}

/* Somebody is inside, or its breaker is to be remembered. @w: of the slot. */
static bool gate_is_held(const struct ebb_view *view, const struct watched *w, uint32_t gate, uint64_t now_ns)
{
	if (view->gates[gate].in_use != 0)
		return true;
	if (is_calm(view, gate))
		return false;
	/* who was refused, or was a probe, need not have left anything else that was counted */
	return !w->stale || is_open(view, gate, now_ns) || now_ns - view->gates[gate].asked_ns < BREAKER_NS;
}

/* True when nothing has moved for the idle time. */
static bool is_idle(const struct ebb_collector *c, struct watched *w, uint32_t epoch, uint64_t activity,
		    uint64_t now_ns)
{
	if (w->since_ns == 0 || w->epoch != epoch || w->activity != activity) {
		w->epoch = epoch;
		w->activity = activity;
		w->since_ns = now_ns;
		w->stale = false;
		return false;
	}
	w->stale = now_ns - w->since_ns >= c->idle_ns + BREAKER_NS;
	return now_ns - w->since_ns >= c->idle_ns;
}

/*
 * Some socket of the gate holds a concurrency slot, perhaps one of this pair that never
 * sent a SYN: it gives it back through its pair.
 */
static bool holds_slots(const struct ebb_view *view, const struct ebb_pair *pair)
{
	uint32_t gate = ebb_pair_limits_gate(view, pair);

	return gate < view->gate_max && view->gates[gate].in_use != 0;
}

/* It has connections, or slots for its workload. */
static bool is_in_use(const struct ebb_collector *c, uint32_t slot)
{
	const struct ebb_pair *pair = &c->view->pairs[slot];

	return pair->active || (!c->pairs[slot].gone && holds_slots(c->view, pair));
}

/* The gate of its own is to be kept for its workload. */
static bool keeps_gate(const struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	const struct ebb_pair *pair = &c->view->pairs[slot];

	return pair->gate >= c->view->dst_max && !c->pairs[slot].gone &&
	       gate_is_held(c->view, &c->pairs[slot], pair->gate, now_ns);
}

/* What was said by hand for this workload alone, or about the breaker of all. Limits of all need no pair. */
static bool has_order(const struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	const struct ebb_view *view = c->view;

	return !c->pairs[slot].gone &&
	       (ebb_own_stands(view, slot) ||
		ebb_override_of(&view->policies[view->pairs[slot].dst], now_ns) != EBB_OVERRIDE_AUTO);
}

static void clear_gate(const struct ebb_view *view, uint32_t gate)
{
	memset(&view->gates[gate], 0, sizeof(view->gates[gate]));
	memset(&view->verdicts[gate], 0, sizeof(view->verdicts[gate]));
	memset(&view->memories[gate], 0, sizeof(view->memories[gate]));
}

/* -------------------------------------------------------------------- pairs -- */

static struct ebb_pair_key key_of(const struct ebb_pair *pair)
{
	return (struct ebb_pair_key){.workload = pair->workload,
				     .dst = pair->dst,
				     .dst_epoch = pair->dst_epoch};
}

/* Retiring first, then the key: an agent that is killed between the two leaves what the sweep finds. */
static int retire_pair(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	struct ebb_pair *pair = &c->view->pairs[slot];
	struct ebb_pair_key key = key_of(pair);
	int r;

	__atomic_store_n(&pair->state, EBB_SLOT_RETIRING, __ATOMIC_SEQ_CST);
	r = c->ops.remove(c->ops.userdata, EBB_SLOT_KIND_PAIR, &key, slot);
	if (r < 0) {
		pair->state = EBB_SLOT_LIVE;
		return r;
	}
	c->pairs[slot].retiring = true;
	c->pairs[slot].since_ns = now_ns;
	return 0;
}

/*
 * It was used after all. -EEXIST: its key has found another slot meanwhile; this one
 * stays without a key until those who still use it are done.
 */
static int revive_pair(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	struct ebb_pair *pair = &c->view->pairs[slot];
	struct ebb_pair_key key = key_of(pair);
	struct ebb_ref ref = {.slot = slot, .epoch = pair->epoch};
	struct watched *w = &c->pairs[slot];
	int r;

	if (w->activity != pair_activity(pair)) {
		w->activity = pair_activity(pair);
		w->since_ns = now_ns;
	}
	r = c->ops.insert(c->ops.userdata, EBB_SLOT_KIND_PAIR, &key, &ref);
	if (r == -EEXIST)
		return 0;
	if (r < 0)
		return r;
	pair->state = EBB_SLOT_LIVE;
	w->since_ns = now_ns;
	w->retiring = false;
	w->stale = false;
	return 0;
}

/* Nobody uses it: the next owner finds it empty, and everybody else a later epoch. */
static void clear_pair(const struct ebb_view *view, uint32_t slot)
{
	struct ebb_pair *pair = &view->pairs[slot];
	uint32_t epoch = pair->epoch + 1;

	__atomic_store_n(&pair->epoch, epoch, __ATOMIC_SEQ_CST);
	clear_gate(view, view->dst_max + slot);
	memset(pair, 0, sizeof(*pair));
	pair->epoch = epoch;
}

static void tell_ending(const struct ebb_collector *c, enum ebb_slot_kind kind, uint32_t slot)
{
	if (c->ops.ending)
		c->ops.ending(c->ops.userdata, kind, slot);
}

static int finish_pair(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	const struct ebb_pair *pair = &c->view->pairs[slot];
	const struct watched *w = &c->pairs[slot];
	uint64_t idle_ns = now_ns - w->since_ns;
	bool moved = pair_activity(pair) != w->activity;
	bool held = is_in_use(c, slot) || keeps_gate(c, slot, now_ns);
	int r;

	if (idle_ns < GRACE_NS)
		return 0;
	/* one without a key may never see the end of a connection: it waits only so long */
	if (moved || (held && idle_ns < CONNECTING_NS + c->idle_ns))
		return revive_pair(c, slot, now_ns);
	tell_ending(c, EBB_SLOT_KIND_PAIR, slot);
	ebb_own_forget(c->view, slot);
	clear_pair(c->view, slot);
	memset(&c->pairs[slot], 0, sizeof(c->pairs[slot]));
	r = c->ops.release(c->ops.userdata, EBB_SLOT_KIND_PAIR, slot);
	return r < 0 ? r : 1;
}

static int look_at_pair(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	const struct ebb_view *view = c->view;
	const struct ebb_pair *pair = &view->pairs[slot];
	struct watched *w = &c->pairs[slot];

	if (w->retiring)
		return finish_pair(c, slot, now_ns);
	if (pair->state != EBB_SLOT_LIVE || pair->dst >= view->dst_max || pair->gate >= view->gate_max)
		return 0;
	if (!is_idle(c, w, pair->epoch, pair_activity(pair), now_ns) || is_in_use(c, slot) ||
	    has_order(c, slot, now_ns))
		return 0;
	if (is_connecting(pair) && now_ns - w->since_ns < CONNECTING_NS)
		return 0;
	/* apart, and nobody asks any more: what comes later begins with the others again */
	if (ebb_pair_is_apart(view, pair) && !is_open(view, pair->gate, now_ns))
		__atomic_store_n(&view->pairs[slot].gate, pair->dst, __ATOMIC_RELEASE);
	if (keeps_gate(c, slot, now_ns))
		return 0;
	return retire_pair(c, slot, now_ns);
}

/* ------------------------------------------------------------- destinations -- */

/* Does some pair speak of it? One walk over the pairs for each run that asks. */
static bool is_referenced(struct ebb_collector *c, uint32_t dst)
{
	uint32_t high = c->view->kernel->pair_high;

	if (!c->referenced_known) {
		memset(c->referenced, 0, c->view->dst_max * sizeof(*c->referenced));
		for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < c->view->pair_max; p++) {
			if (c->view->pairs[p].state != EBB_SLOT_FREE &&
			    c->view->pairs[p].dst < c->view->dst_max)
				c->referenced[c->view->pairs[p].dst] = true;
		}
		c->referenced_known = true;
	}
	return c->referenced[dst];
}

/* The same for one, as of now. */
static bool has_pair(const struct ebb_view *view, uint32_t dst, uint32_t epoch)
{
	uint32_t high = view->kernel->pair_high;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		if (view->pairs[p].state != EBB_SLOT_FREE && view->pairs[p].dst == dst &&
		    view->pairs[p].dst_epoch == epoch)
			return true;
	}
	return false;
}

/* Also what workloads without a pair of their own do, when the table of pairs is full. */
static uint64_t dst_activity(const struct ebb_view *view, uint32_t slot)
{
	const struct ebb_dst *dst = &view->dsts[slot];
	uint64_t sum = view->gates[slot].ok + view->gates[slot].failed;

	for (int i = 0; i < EBB_HIST_BUCKETS; i++)
		sum += dst->connect.buckets[i];
	return sum;
}

static int retire_dst(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	struct ebb_dst *dst = &c->view->dsts[slot];
	int r;

	__atomic_store_n(&dst->state, EBB_SLOT_RETIRING, __ATOMIC_SEQ_CST);
	r = c->ops.remove(c->ops.userdata, EBB_SLOT_KIND_DST, &dst->endpoint, slot);
	if (r < 0) {
		dst->state = EBB_SLOT_LIVE;
		return r;
	}
	c->dsts[slot].retiring = true;
	c->dsts[slot].keyless = r > 0;
	c->dsts[slot].since_ns = now_ns;
	return 0;
}

/*
 * One without a key stays without: its address belongs to another by now, or it never had one.
 * Only sockets that remember it use it, until they are done.
 */
static int revive_dst(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	struct ebb_dst *dst = &c->view->dsts[slot];
	struct ebb_ref ref = {.slot = slot, .epoch = dst->epoch};
	int r;

	c->dsts[slot].activity = dst_activity(c->view, slot);
	c->dsts[slot].since_ns = now_ns;
	if (c->dsts[slot].keyless)
		return 0;
	r = c->ops.insert(c->ops.userdata, EBB_SLOT_KIND_DST, &dst->endpoint, &ref);
	if (r == -EEXIST)
		return 0;
	if (r < 0)
		return r;
	dst->state = EBB_SLOT_LIVE;
	c->dsts[slot].retiring = false;
	c->dsts[slot].stale = false;
	return 0;
}

static void clear_dst(const struct ebb_view *view, uint32_t slot)
{
	struct ebb_dst *dst = &view->dsts[slot];
	uint32_t epoch = dst->epoch + 1;

	__atomic_store_n(&dst->epoch, epoch, __ATOMIC_SEQ_CST);
	/* its time is over; the next owner is another destination */
	ebb_by_hand_forget(&view->policies[slot]);
	clear_gate(view, slot);
	memset(dst, 0, sizeof(*dst));
	dst->epoch = epoch;
}

static int finish_dst(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	uint64_t finder;
	int r;

	if (now_ns - c->dsts[slot].since_ns < GRACE_NS)
		return 0;
	if (has_pair(c->view, slot, c->view->dsts[slot].epoch) ||
	    gate_is_held(c->view, &c->dsts[slot], slot, now_ns) ||
	    dst_activity(c->view, slot) != c->dsts[slot].activity)
		return revive_dst(c, slot, now_ns);
	finder = c->view->dsts[slot].finder;
	tell_ending(c, EBB_SLOT_KIND_DST, slot);
	clear_dst(c->view, slot);
	memset(&c->dsts[slot], 0, sizeof(c->dsts[slot]));
	/* first: what the kernel finds in it may be of the same share; what is not counted is at the next start */
	if (finder && c->ops.lost)
		(void)c->ops.lost(c->ops.userdata, finder);
	r = c->ops.release(c->ops.userdata, EBB_SLOT_KIND_DST, slot);
	return r < 0 ? r : 1;
}

/* Has the configuration a name for it? Then it stays, and its addresses are in routes or named by DNS. */
static bool is_of_rule(const struct ebb_view *view, uint32_t slot)
{
	return (view->names[slot].flags & EBB_NAME_RULE) && view->names[slot].epoch == view->dsts[slot].epoch;
}

/* Its name may come back while it retires. */
static int keep_dst(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	if (c->dsts[slot].retiring)
		c->view->dsts[slot].state = EBB_SLOT_LIVE;
	c->dsts[slot].retiring = false;
	c->dsts[slot].since_ns = now_ns;
	return 0;
}

/*
 * A destination is idle when its pairs have gone, nothing is counted, nothing stands by hand, and
 * it is not just being met. Its pairs may go while a limit stands by hand: the bucket of one
 * that was idle is full anyhow, and a limit may stand for months while pods come and go.
 */
static int look_at_dst(struct ebb_collector *c, uint32_t slot, uint64_t now_ns)
{
	const struct ebb_view *view = c->view;
	const struct ebb_dst *dst = &view->dsts[slot];
	struct watched *w = &c->dsts[slot];
	bool idle;

	if (is_of_rule(view, slot))
		return keep_dst(c, slot, now_ns);
	if (w->retiring)
		return finish_dst(c, slot, now_ns);
	if (dst->state != EBB_SLOT_LIVE)
		return 0;
	idle = is_idle(c, w, dst->epoch, dst_activity(view, slot), now_ns);
	/* signed: it may have been met after now was read */
	if (!idle || (int64_t)(now_ns - dst->created_ns) < (int64_t)c->idle_ns ||
	    ebb_by_hand_said(&view->policies[slot], now_ns) || gate_is_held(view, w, slot, now_ns) ||
	    is_referenced(c, slot) || has_pair(view, slot, dst->epoch))
		return 0;
	return retire_dst(c, slot, now_ns);
}

int ebb_collector_run(struct ebb_collector *collector, uint64_t now_ns)
{
	struct ebb_collector *c = collector;
	uint32_t dst_high = c->view->kernel->dst_high, pair_high = c->view->kernel->pair_high;
	uint32_t first = EBB_SLOT_OTHER + 1 + c->run++ % STRIDE;
	int r, freed = 0, error = 0;

	c->referenced_known = false;
	for (uint32_t p = first; p <= pair_high && p < c->view->pair_max; p += STRIDE) {
		r = look_at_pair(c, p, now_ns);
		if (r < 0)
			error = r;
		else
			freed += r;
	}
	for (uint32_t d = first; d <= dst_high && d < c->view->dst_max; d += STRIDE) {
		r = look_at_dst(c, d, now_ns);
		if (r < 0)
			error = r;
		else
			freed += r;
	}
	return error ? error : freed;
}

int ebb_collector_sweep(struct ebb_collector *collector)
{
	const struct ebb_collector *c = collector;
	const struct ebb_view *view = c->view;
	int r;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p < view->pair_max; p++) {
		struct ebb_pair_key key = key_of(&view->pairs[p]);

		if (view->pairs[p].state != EBB_SLOT_RETIRING)
			continue;
		r = c->ops.remove(c->ops.userdata, EBB_SLOT_KIND_PAIR, &key, p);
		if (r < 0)
			return r;
		clear_pair(view, p);
	}
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		if (view->dsts[d].state != EBB_SLOT_RETIRING)
			continue;
		if (is_of_rule(view, d)) {
			view->dsts[d].state = EBB_SLOT_LIVE;
			continue;
		}
		r = c->ops.remove(c->ops.userdata, EBB_SLOT_KIND_DST, &view->dsts[d].endpoint, d);
		if (r < 0)
			return r;
		clear_dst(view, d);
	}
	return 0;
}

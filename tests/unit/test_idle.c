/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/idle.c over maps of its own, with a fake clock and fake tables. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/idle.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "node/owns.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define IDLE  (600 * S)
#define DSTS  8
#define PAIRS 16
#define DST   1
#define PAIR  1

struct world {
	struct ebb_view view;
	struct ebb_collector *collector;
	bool key_present[EBB_SLOT_KIND_MAX];
	uint32_t inserted_epoch[EBB_SLOT_KIND_MAX];
	uint32_t removed[EBB_SLOT_KIND_MAX];
	uint32_t last_removed[EBB_SLOT_KIND_MAX];
	uint32_t released[EBB_SLOT_KIND_MAX]; /* how often */
	uint32_t last_released[EBB_SLOT_KIND_MAX];
	int insert_error;
	bool keyless;  /* destinations have no key of their own in the tables */
	uint32_t lost; /* how often */
	uint64_t last_lost;
	uint64_t now;
};

static int fake_remove(void *userdata, enum ebb_slot_kind kind, const void *key, uint32_t slot)
{
	struct world *w = userdata;

	(void)key;
	w->last_removed[kind] = slot;
	w->removed[kind]++;
	w->key_present[kind] = false;
	return kind == EBB_SLOT_KIND_DST && w->keyless;
}

static int fake_insert(void *userdata, enum ebb_slot_kind kind, const void *key, const struct ebb_ref *ref)
{
	struct world *w = userdata;

	(void)key;
	if (w->insert_error)
		return w->insert_error;
	w->key_present[kind] = true;
	w->inserted_epoch[kind] = ref->epoch;
	return 0;
}

static int fake_release(void *userdata, enum ebb_slot_kind kind, uint32_t slot)
{
	struct world *w = userdata;

	w->released[kind]++;
	w->last_released[kind] = slot;
	return 0;
}

static int fake_lost(void *userdata, uint64_t workload)
{
	struct world *w = userdata;

	w->lost++;
	w->last_lost = workload;
	return 0;
}

/* One destination and one pair that met at second 1000, with one connection that came and went. */
static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));
	const struct ebb_idle_ops ops = {w, fake_remove, fake_insert, fake_release, NULL, fake_lost};

	w->view = fake_view_new(DSTS, PAIRS);
	w->now = 1000 * S;
	w->view.kernel->dst_high = DST;
	w->view.kernel->pair_high = PAIR;
	w->view.dsts[DST].state = EBB_SLOT_LIVE;
	w->view.dsts[DST].epoch = 4;
	w->view.dsts[DST].created_ns = w->now;
	w->view.dsts[DST].scope = EBB_SCOPE_WORKLOAD;
	w->view.dsts[DST].connect.sum_units = 9;
	w->view.pairs[PAIR].state = EBB_SLOT_LIVE;
	w->view.pairs[PAIR].epoch = 7;
	w->view.pairs[PAIR].dst = DST;
	w->view.pairs[PAIR].dst_epoch = 4;
	w->view.pairs[PAIR].workload = 77;
	w->view.pairs[PAIR].gate = DSTS + PAIR;
	w->view.pairs[PAIR].attempts = 1;
	w->view.pairs[PAIR].syn_sent = 1;
	w->view.pairs[PAIR].outcomes[EBB_OUTCOME_REFUSED] = 1;
	w->key_present[EBB_SLOT_KIND_DST] = w->key_present[EBB_SLOT_KIND_PAIR] = true;
	assert_int_equal(ebb_collector_new(&w->view, IDLE, &ops, &w->collector), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_collector_free(w->collector);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

/* As the agent does: once a second. */
static void run_for(struct world *w, uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds; i++) {
		w->now += S;
		assert_true(ebb_collector_run(w->collector, w->now) >= 0);
	}
}

static void idle_pair_and_then_its_destination_become_free(void **state)
{
	struct world *w = *state;

	w->view.gates[DSTS + PAIR].failed = 3;
	w->view.memories[DSTS + PAIR].count = 2;
	run_for(w, 590);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	run_for(w, 60);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.pairs[PAIR].epoch, 8);
	assert_int_equal(w->view.pairs[PAIR].attempts, 0);
	assert_int_equal(w->view.gates[DSTS + PAIR].failed, 0);
	assert_int_equal(w->view.memories[DSTS + PAIR].count, 0);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.dsts[DST].epoch, 5);
	assert_int_equal(w->view.dsts[DST].connect.sum_units, 0);
	assert_false(w->key_present[EBB_SLOT_KIND_DST]);
	assert_false(w->key_present[EBB_SLOT_KIND_PAIR]);
	assert_int_equal(w->released[EBB_SLOT_KIND_PAIR], 1);
	assert_int_equal(w->released[EBB_SLOT_KIND_DST], 1);
	assert_int_equal(w->last_released[EBB_SLOT_KIND_DST], DST);
	run_for(w, 700);
	assert_int_equal(w->released[EBB_SLOT_KIND_PAIR], 1);
	assert_int_equal(w->released[EBB_SLOT_KIND_DST], 1);
}

/* Of a workload that is apart: its gate may stay half-open for ever when nobody asks it any more. */
static void idle_pair_that_is_apart_is_with_the_others_again_and_becomes_free(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.verdicts[DSTS + PAIR].word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
	w->view.memories[DSTS + PAIR].trips = 3;
	run_for(w, 590);
	assert_int_equal(w->view.pairs[PAIR].gate, DSTS + PAIR);
	run_for(w, 60);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.verdicts[DSTS + PAIR].word, 0);
	assert_int_equal(w->view.memories[DSTS + PAIR].trips, 0);
	assert_int_equal(w->released[EBB_SLOT_KIND_PAIR], 1);
}

static void pair_that_is_apart_and_open_stays(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.verdicts[DSTS + PAIR].word = ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK);
	run_for(w, 700);
	assert_int_equal(w->view.pairs[PAIR].gate, DSTS + PAIR);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
}

/* Its slots are at the gate of the destination: one of them may be its own, of a socket that sent no SYN. */
static void pair_that_is_apart_stays_while_the_destination_has_slots_taken(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.gates[DST].in_use = 1;
	run_for(w, 700);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	w->view.gates[DST].in_use = 0;
	run_for(w, 60);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static void a_call_now_and_then_keeps_both(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++) {
		run_for(w, 500);
		w->view.pairs[PAIR].denied[EBB_CAUSE_BREAKER]++;
	}
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
}

static void a_datagram_now_and_then_keeps_both(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 4; i++) {
		w->view.pairs[PAIR].sent_packets++;
		run_for(w, 500);
	}
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	run_for(w, 160);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static void what_is_not_idle_is_kept(void **state)
{
	static const char *const why[] = {"open connection", "gate not closed", "in backoff", "slot in use",
					  "override"};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
		(void)tear_down(state);
		(void)set_up(state);
		w = *state;
		switch (i) {
		case 0:
			w->view.pairs[PAIR].active = 1;
			break;
		case 1:
			w->view.gates[DSTS + PAIR].pull = ebb_word(1, EBB_STATE_OPEN, 1);
			break;
		case 2:
			w->view.memories[DSTS + PAIR].trips = 1;
			break;
		case 3:
			w->view.gates[DSTS + PAIR].in_use = 1;
			break;
		default:
			w->view.policies[DST].override_state = EBB_OVERRIDE_CLOSE;
			break;
		}
		run_for(w, 2000);
		if (w->removed[EBB_SLOT_KIND_PAIR] || w->removed[EBB_SLOT_KIND_DST])
			fail_msg("%s: taken back", why[i]);
	}
}

/* Nobody asks any more, for a day: an address that has failed may be nobody's by now, and there are many of them. */
static void breaker_that_nobody_asks_keeps_its_slot_for_a_day(void **state)
{
	const uint64_t words[] = {ebb_word(2, EBB_STATE_HALF_OPEN, 0), ebb_word(3, EBB_STATE_CLOSED, 0)};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		(void)tear_down(state);
		(void)set_up(state);
		w = *state;
		w->view.dsts[DST].scope = i == 0 ? EBB_SCOPE_WORKLOAD : EBB_SCOPE_NODE;
		w->view.pairs[PAIR].gate = i == 0 ? DSTS + PAIR : DST;
		w->view.verdicts[w->view.pairs[PAIR].gate].word = words[i];
		w->view.memories[w->view.pairs[PAIR].gate].trips = 1;
		run_for(w, 25 * 3600);
		assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
		/* a probe that is refused shows nowhere else */
		if (i == 1)
			w->view.gates[DST].asked_ns = w->now;
		run_for(w, 3 * 3600);
		assert_int_equal(w->view.dsts[DST].state, i == 1 ? EBB_SLOT_LIVE : EBB_SLOT_FREE);
		run_for(w, 24 * 3600);
		assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
		assert_int_equal(w->view.memories[DST].trips, 0);
		assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	}
}

static void breaker_that_is_open_keeps_its_slot_until_it_ends(void **state)
{
	struct world *w = *state;

	w->view.verdicts[DSTS + PAIR].word =
		ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(w->now + 40ULL * 3600 * S));
	run_for(w, 39 * 3600);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	run_for(w, 2 * 3600);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static bool is_77(void *userdata, uint64_t workload)
{
	(void)userdata;
	return workload == 77;
}

static bool is_78(void *userdata, uint64_t workload)
{
	(void)userdata;
	return workload == 78;
}

/* A pod that ended with its breaker open, under an order, beside others in a shared gate: thousands come and go. */
static void pair_of_a_workload_that_is_gone_keeps_nothing(void **state)
{
	static const char *const why[] = {"gate half-open",  "gate open",
					  "in backoff",	     "slot in use in a shared gate",
					  "override of all", "order of its own"};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
		struct ebb_own own = {0};

		(void)tear_down(state);
		(void)set_up(state);
		w = *state;
		switch (i) {
		case 0:
			w->view.verdicts[DSTS + PAIR].word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
			break;
		case 1:
			w->view.verdicts[DSTS + PAIR].word = ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK);
			break;
		case 2:
			w->view.memories[DSTS + PAIR].trips = 1;
			break;
		case 3:
			w->view.dsts[DST].scope = EBB_SCOPE_NODE;
			w->view.pairs[PAIR].gate = DST;
			w->view.gates[DST].in_use = 1;
			break;
		case 4:
			w->view.policies[DST].override_state = EBB_OVERRIDE_OPEN;
			break;
		default:
			own.pair_epoch = w->view.pairs[PAIR].epoch;
			ebb_own_give_override(&own, &w->view.policies[DST], EBB_OVERRIDE_OPEN, 0, 0);
			assert_int_equal(ebb_own_write(&w->view, PAIR, &own), 0);
			break;
		}
		ebb_collector_gone(w->collector, is_78, NULL);
		run_for(w, 700);
		if (w->view.pairs[PAIR].state != EBB_SLOT_LIVE)
			fail_msg("%s: taken back, and it is there", why[i]);
		ebb_collector_gone(w->collector, is_77, NULL);
		run_for(w, 60);
		if (w->view.pairs[PAIR].state != EBB_SLOT_FREE)
			fail_msg("%s: kept, and it is gone", why[i]);
		if (w->view.owns->get(w->view.owns, PAIR, &own) == 0)
			fail_msg("%s: its policy is kept", why[i]);
	}
}

/* The end of a connection may come later than that of its cgroup, where the socket was handed on. */
static void pair_of_a_workload_that_is_gone_keeps_what_is_open(void **state)
{
	struct world *w = *state;

	w->view.pairs[PAIR].active = 1;
	ebb_collector_gone(w->collector, is_77, NULL);
	run_for(w, 2000);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	w->view.pairs[PAIR].active = 0;
	run_for(w, 20);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	/* and the next owner of the slot is another */
	w->view.pairs[PAIR].state = EBB_SLOT_LIVE;
	w->view.pairs[PAIR].workload = 79;
	w->view.pairs[PAIR].gate = DSTS + PAIR;
	w->view.pairs[PAIR].dst = DST;
	w->view.dsts[DST].scope = EBB_SCOPE_WORKLOAD;
	w->view.memories[DSTS + PAIR].trips = 1;
	run_for(w, 2000);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
}

static void syn_that_is_out_keeps_the_pair_as_long_as_connect_can_last(void **state)
{
	struct world *w = *state;
	const struct ebb_idle_ops ops = {w, fake_remove, fake_insert, fake_release, NULL, fake_lost};

	ebb_collector_free(w->collector);
	assert_int_equal(ebb_collector_new(&w->view, 10 * S, &ops, &w->collector), 0);
	w->view.pairs[PAIR].syn_sent = 2;
	run_for(w, 250);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	run_for(w, 100);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

/* Runs until the pair is being taken back. */
static void until_retiring(struct world *w)
{
	for (int i = 0; i < 700 && w->view.pairs[PAIR].state == EBB_SLOT_LIVE; i++)
		run_for(w, 1);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_RETIRING);
	/* who held the index goes on using it */
	assert_int_equal(w->view.pairs[PAIR].epoch, 7);
}

static void slot_is_not_given_away_at_once(void **state)
{
	struct world *w = *state;

	until_retiring(w);
	for (int i = 0; i < 16; i++) {
		w->now += S / 20;
		assert_int_equal(ebb_collector_run(w->collector, w->now), 0);
	}
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_RETIRING);
	run_for(w, 8);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static void pair_that_was_used_at_the_last_moment_lives_on_unchanged(void **state)
{
	struct world *w = *state;

	until_retiring(w);
	w->view.pairs[PAIR].attempts++;
	w->view.pairs[PAIR].active++;
	run_for(w, 20);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	assert_int_equal(w->view.pairs[PAIR].epoch, 7);
	assert_int_equal(w->inserted_epoch[EBB_SLOT_KIND_PAIR], 7);
	assert_true(w->key_present[EBB_SLOT_KIND_PAIR]);
	assert_int_equal(w->released[EBB_SLOT_KIND_PAIR], 0);
}

static void key_that_found_another_slot_leaves_the_old_one_to_end(void **state)
{
	struct world *w = *state;

	until_retiring(w);
	w->view.pairs[PAIR].active++;
	w->insert_error = -EEXIST;
	run_for(w, 20);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_RETIRING);
	/* its successor's key is not its own: it takes no key out again */
	assert_int_equal(w->removed[EBB_SLOT_KIND_PAIR], 1);
	w->view.pairs[PAIR].active--;
	run_for(w, 20);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->removed[EBB_SLOT_KIND_PAIR], 1);
}

static void slot_without_a_key_waits_only_so_long(void **state)
{
	struct world *w = *state;

	until_retiring(w);
	w->view.pairs[PAIR].active++;
	w->insert_error = -EEXIST;
	run_for(w, 880);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_RETIRING);
	run_for(w, 60);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static void slots_held_in_a_gate_that_is_shared_keep_the_pair(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	w->view.pairs[PAIR].gate = DST;
	w->view.gates[DST].in_use = 1;
	run_for(w, 2000);
	assert_int_equal(w->removed[EBB_SLOT_KIND_PAIR], 0);
	w->view.gates[DST].in_use = 0;
	run_for(w, 30);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

static void destination_whose_workloads_found_no_pair_is_kept_while_it_is_used(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].scope = EBB_SCOPE_NODE;
	memset(&w->view.pairs[PAIR], 0, sizeof(w->view.pairs[PAIR]));
	for (int i = 0; i < 10; i++) {
		run_for(w, 400);
		w->view.dsts[DST].connect.buckets[3]++;
	}
	assert_int_equal(w->removed[EBB_SLOT_KIND_DST], 0);
	run_for(w, 700);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
}

/* Ruling 8: what goes back is no longer held by who found it. */
static void destination_that_goes_back_is_told_for_its_finder(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].finder = 77;
	run_for(w, 2000);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->lost, 1);
	assert_int_equal(w->last_lost, 77);
	assert_int_equal(w->view.dsts[DST].finder, 0);
}

static void destination_that_nobody_found_is_no_loss(void **state)
{
	struct world *w = *state;

	run_for(w, 2000);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->lost, 0);
}

static void destination_that_is_younger_than_now_is_not_old(void **state)
{
	struct world *w = *state;

	memset(&w->view.pairs[PAIR], 0, sizeof(w->view.pairs[PAIR]));
	run_for(w, 2);
	for (int i = 0; i < 700; i++) {
		w->view.dsts[DST].created_ns = w->now + 2 * S;
		run_for(w, 1);
	}
	assert_int_equal(w->removed[EBB_SLOT_KIND_DST], 0);
}

static void destination_met_again_while_it_goes_lives_on(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 800 && w->view.dsts[DST].state == EBB_SLOT_LIVE; i++)
		run_for(w, 1);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_RETIRING);
	/* another workload held the old index at that moment */
	w->view.pairs[PAIR + 1].state = EBB_SLOT_LIVE;
	w->view.pairs[PAIR + 1].dst = DST;
	w->view.pairs[PAIR + 1].dst_epoch = 4;
	w->view.kernel->pair_high = PAIR + 1;
	run_for(w, 20);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	assert_int_equal(w->view.dsts[DST].epoch, 4);
	assert_int_equal(w->released[EBB_SLOT_KIND_DST], 0);
}

static void destination_with_a_living_pair_stays(void **state)
{
	struct world *w = *state;

	w->view.pairs[PAIR].active = 1;
	run_for(w, 2000);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
}

static void give_by_hand(struct world *w, uint64_t until_ns)
{
	const struct ebb_limits change = {.given = EBB_GIVEN_CONCURRENT, .concurrent = 5};

	ebb_limits_give(&w->view.policies[DST], &change, until_ns, 1000, w->now);
}

static void limit_by_hand_keeps_the_destination_and_not_its_pairs(void **state)
{
	struct world *w = *state;

	give_by_hand(w, 0);
	run_for(w, 2000);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->removed[EBB_SLOT_KIND_DST], 0);
	assert_int_equal(w->view.policies[DST].by_hand.concurrent, 5);
	ebb_limits_take_back(&w->view.policies[DST]);
	run_for(w, 20);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
}

static void limit_by_hand_that_is_over_keeps_nothing(void **state)
{
	struct world *w = *state;

	give_by_hand(w, w->now + 1500 * S);
	run_for(w, 1400);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	run_for(w, 120);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.policies[DST].by_hand.given, 0);
	assert_int_equal(w->view.policies[DST].asks, 0);
}

static void mode_by_hand_keeps_the_destination(void **state)
{
	struct world *w = *state;

	ebb_mode_give(&w->view.policies[DST], 1 + EBB_MODE_ENFORCE, 0, 0);
	run_for(w, 2000);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	ebb_mode_give(&w->view.policies[DST], 0, 0, 0);
	run_for(w, 20);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
}

/* Its order would be gone with the slot, and come back for nobody. */
static void order_for_one_workload_keeps_its_pair(void **state)
{
	struct world *w = *state;
	struct ebb_own own = {.pair_epoch = w->view.pairs[PAIR].epoch};

	ebb_own_give_override(&own, &w->view.policies[DST], EBB_OVERRIDE_OPEN, w->now + 1500 * S, 0);
	assert_int_equal(ebb_own_write(&w->view, PAIR, &own), 0);
	run_for(w, 2000);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_LIVE);
	/* it is over, and the agent's upkeep has taken it out */
	assert_int_equal(ebb_by_hand_upkeep(&w->view, w->now), 1);
	run_for(w, 700);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
}

/* Also one that was over without anybody having looked. */
static void next_owner_of_a_slot_finds_no_limit_by_hand(void **state)
{
	struct world *w = *state;

	w->view.dsts[DST].state = EBB_SLOT_RETIRING;
	give_by_hand(w, w->now + S);
	assert_int_equal(ebb_collector_sweep(w->collector), 0);
	assert_int_equal(w->view.dsts[DST].epoch, 5);
	assert_int_equal(w->view.policies[DST].by_hand.given, 0);
	assert_int_equal(w->view.policies[DST].by_hand.concurrent, 0);
	assert_int_equal(w->view.policies[DST].by_hand_until_ns, 0);
	assert_int_equal(w->view.policies[DST].by_hand_uid, 0);
	assert_int_equal(w->view.policies[DST].asks, 0);
}

static void name_it(struct world *w, uint32_t flags)
{
	w->view.names[DST].epoch = w->view.dsts[DST].epoch;
	w->view.names[DST].flags = flags;
}

static void destination_of_a_rule_is_never_idle(void **state)
{
	struct world *w = *state;

	name_it(w, EBB_NAME_RULE);
	w->keyless = true;
	run_for(w, 3000);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	assert_int_equal(w->removed[EBB_SLOT_KIND_DST], 0);
	/* its name leaves the configuration */
	name_it(w, 0);
	run_for(w, 700);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.dsts[DST].epoch, 5);
	assert_int_equal(w->released[EBB_SLOT_KIND_DST], 1);
}

static void until_destination_retires(struct world *w)
{
	memset(&w->view.pairs[PAIR], 0, sizeof(w->view.pairs[PAIR]));
	for (int i = 0; i < 1400 && w->view.dsts[DST].state == EBB_SLOT_LIVE; i++)
		run_for(w, 1);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_RETIRING);
}

static void name_that_comes_back_finds_its_destination(void **state)
{
	struct world *w = *state;

	w->keyless = true;
	until_destination_retires(w);
	name_it(w, EBB_NAME_RULE);
	run_for(w, 3000);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	assert_int_equal(w->view.dsts[DST].epoch, 4);
	assert_int_equal(w->released[EBB_SLOT_KIND_DST], 0);
	/* and one that an agent left retiring */
	w->view.dsts[DST].state = EBB_SLOT_RETIRING;
	assert_int_equal(ebb_collector_sweep(w->collector), 0);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_LIVE);
	assert_int_equal(w->view.dsts[DST].epoch, 4);
}

/* Its address was given to another: it must not take it back. */
static void destination_without_a_key_of_its_own_makes_none(void **state)
{
	struct world *w = *state;

	w->keyless = true;
	until_destination_retires(w);
	w->view.dsts[DST].connect.buckets[3]++;
	run_for(w, 8);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_RETIRING);
	assert_false(w->key_present[EBB_SLOT_KIND_DST]);
	run_for(w, 20);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
}

static void sweep_frees_what_a_dead_agent_was_taking_back(void **state)
{
	struct world *w = *state;

	w->view.pairs[PAIR].state = EBB_SLOT_RETIRING;
	w->view.dsts[DST].state = EBB_SLOT_RETIRING;
	w->view.gates[DSTS + PAIR].failed = 3;
	assert_int_equal(ebb_collector_sweep(w->collector), 0);
	assert_int_equal(w->view.pairs[PAIR].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.pairs[PAIR].epoch, 8);
	assert_int_equal(w->view.dsts[DST].state, EBB_SLOT_FREE);
	assert_int_equal(w->view.dsts[DST].epoch, 5);
	/* also where the agent was killed before it took the keys out */
	assert_int_equal(w->last_removed[EBB_SLOT_KIND_PAIR], PAIR);
	assert_int_equal(w->last_removed[EBB_SLOT_KIND_DST], DST);
	assert_int_equal(w->view.gates[DSTS + PAIR].failed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(idle_pair_and_then_its_destination_become_free),
		TEST(idle_pair_that_is_apart_is_with_the_others_again_and_becomes_free),
		TEST(pair_that_is_apart_and_open_stays),
		TEST(pair_that_is_apart_stays_while_the_destination_has_slots_taken),
		TEST(a_call_now_and_then_keeps_both),
		TEST(a_datagram_now_and_then_keeps_both),
		TEST(what_is_not_idle_is_kept),
		TEST(breaker_that_nobody_asks_keeps_its_slot_for_a_day),
		TEST(breaker_that_is_open_keeps_its_slot_until_it_ends),
		TEST(pair_of_a_workload_that_is_gone_keeps_nothing),
		TEST(pair_of_a_workload_that_is_gone_keeps_what_is_open),
		TEST(syn_that_is_out_keeps_the_pair_as_long_as_connect_can_last),
		TEST(slot_is_not_given_away_at_once),
		TEST(pair_that_was_used_at_the_last_moment_lives_on_unchanged),
		TEST(key_that_found_another_slot_leaves_the_old_one_to_end),
		TEST(slot_without_a_key_waits_only_so_long),
		TEST(slots_held_in_a_gate_that_is_shared_keep_the_pair),
		TEST(destination_whose_workloads_found_no_pair_is_kept_while_it_is_used),
		TEST(destination_that_goes_back_is_told_for_its_finder),
		TEST(destination_that_nobody_found_is_no_loss),
		TEST(destination_that_is_younger_than_now_is_not_old),
		TEST(destination_met_again_while_it_goes_lives_on),
		TEST(destination_with_a_living_pair_stays),
		TEST(limit_by_hand_keeps_the_destination_and_not_its_pairs),
		TEST(limit_by_hand_that_is_over_keeps_nothing),
		TEST(mode_by_hand_keeps_the_destination),
		TEST(order_for_one_workload_keeps_its_pair),
		TEST(next_owner_of_a_slot_finds_no_limit_by_hand),
		TEST(destination_of_a_rule_is_never_idle),
		TEST(name_that_comes_back_finds_its_destination),
		TEST(destination_without_a_key_of_its_own_makes_none),
		TEST(sweep_frees_what_a_dead_agent_was_taking_back),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/agent/tick.c with a fake clock and a fake kernel: the maps are plain
 * memory, and results reach the gates through bpf/gate.h, as in the kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tick.h"
#include "bpf/gate.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define DSTS  8
#define PAIRS 16
#define DST   1
#define PAIR  1

struct world {
	struct ebb_view view;
	struct ebb_breaker_config config;
	struct ebb_breaker_config configs[2];
	struct ebb_ticker *ticker;
	struct ebb_moves listeners;
	struct ebb_move moves[64];
	size_t move_count;
	struct ebb_fuse_config fuse;
	struct ebb_fuse_move fuse_moves[8];
	size_t fuse_move_count;
	uint64_t now;
};

/* Told last: what it is told of is remembered already, and obeyed. */
static void on_move(void *userdata, const struct ebb_move *move)
{
	struct world *w = userdata;
	const struct ebb_memory *memory = &w->view.memories[move->gate];
	const struct ebb_transition *newest = &memory->last[(memory->count - 1) % EBB_TRANSITIONS_KEPT];

	assert_true(memory->count > 0);
	assert_false(ebb_gen_after(move->transition.gen, newest->gen));
	assert_int_equal(ebb_word_gen(w->view.verdicts[move->gate].word), newest->gen);
	if (move->transition.gen == newest->gen)
		assert_memory_equal(&move->transition, newest, sizeof(*newest));
	assert_true(w->move_count < sizeof(w->moves) / sizeof(w->moves[0]));
	w->moves[w->move_count++] = *move;
}

static void on_fuse(void *userdata, const struct ebb_fuse_move *move)
{
	struct world *w = userdata;

	assert_true(w->fuse_move_count < sizeof(w->fuse_moves) / sizeof(w->fuse_moves[0]));
	w->fuse_moves[w->fuse_move_count++] = *move;
}

static void start_ticker(struct world *w, bool restore)
{
	ebb_ticker_free(w->ticker);
	w->ticker = NULL;
	w->listeners = (struct ebb_moves){.count = 0};
	assert_int_equal(ebb_ticker_new(&w->view, &w->config, 42, restore, &w->listeners, &w->ticker), 0);
	assert_int_equal(ebb_moves_listen(&w->listeners, "test", on_move, w), 0);
	ebb_ticker_fuse(w->ticker, &w->fuse, on_fuse, w);
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(DSTS, PAIRS);
	w->now = 1000 * S;
	ebb_policy_defaults(&w->config);
	w->config.open_jitter = 0;
	ebb_fuse_defaults(&w->fuse);
	for (uint32_t d = 0; d < DSTS; d++)
		ebb_policy_to_kernel(&w->config, &w->view.policies[d]);
	w->view.agent->lease_ns = 30 * S;
	w->view.agent->heartbeat_ns = w->now;
	start_ticker(w, false);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_ticker_free(w->ticker);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

/* What bpf/route.h does at a first connection. */
static void discover(struct world *w, uint32_t scope)
{
	struct ebb_dst *dst = &w->view.dsts[DST];
	struct ebb_pair *pair = &w->view.pairs[PAIR];

	dst->endpoint.addr[10] = dst->endpoint.addr[11] = 0xff;
	dst->endpoint.addr[12] = 10;
	dst->scope = scope;
	dst->state = EBB_SLOT_LIVE;
	pair->workload = 77;
	pair->dst = DST;
	pair->gate = scope == EBB_SCOPE_NODE ? DST : DSTS + PAIR;
	pair->state = EBB_SLOT_LIVE;
	w->view.kernel->dst_high = DST;
	w->view.kernel->pair_high = PAIR;
}

static struct ebb_tick_result tick(struct world *w)
{
	struct ebb_tick_result result;

	ebb_tick(w->ticker, w->now, &result);
	w->view.agent->heartbeat_ns = w->now;
	return result;
}

static uint32_t fail_once(struct world *w, uint32_t gate, uint32_t gen)
{
	return ebb_gate_result(&w->view.gates[gate], &w->view.verdicts[gate], &w->view.policies[DST],
			       &w->view.pairs[PAIR], PAIR, w->now, gen, 0, 0);
}

static uint32_t succeed_once(struct world *w, uint32_t gate, uint32_t gen)
{
	return ebb_gate_result(&w->view.gates[gate], &w->view.verdicts[gate], &w->view.policies[DST],
			       &w->view.pairs[PAIR], PAIR, w->now, gen, 1, 0);
}

static struct ebb_answer ask(struct world *w, uint32_t gate)
{
	struct ebb_answer answer;

	ebb_gate_ask(&w->view.gates[gate], &w->view.verdicts[gate], &w->view.policies[DST], w->view.agent,
		     w->now, &answer);
	return answer;
}

static uint32_t state_of(const struct world *w, uint32_t gate)
{
	return ebb_word_state(ebb_gate_word(&w->view.gates[gate], &w->view.verdicts[gate]));
}

static void empty_maps_tick_without_a_move(void **state)
{
	struct world *w = *state;
	struct ebb_tick_result result = tick(w);

	assert_int_equal(result.moves, 0);
	assert_int_equal(result.dst_live, 0);
	assert_true(result.deadline_ns == UINT64_MAX);
	assert_false(result.busy);
}

static void new_gate_is_armed_with_the_first_open_time(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	assert_int_equal(ebb_arm_failures(w->view.verdicts[DST].arm), w->config.consecutive_failures);
	assert_int_equal(ebb_arm_open_ticks(w->view.verdicts[DST].arm),
			 ebb_ns_to_ticks(w->config.open_for_ns));
	assert_int_equal(w->view.verdicts[DST].word, 0);
}

static void failure_rate_opens_at_the_look_and_the_kernel_obeys(void **state)
{
	struct world *w = *state;

	w->config.consecutive_failures = 0;
	start_ticker(w, false);
	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 3; i++)
		(void)succeed_once(w, DST, 0);
	for (int i = 0; i < 3; i++)
		(void)fail_once(w, DST, 0);
	assert_int_equal(ask(w, DST).kind, EBB_ANSWER_PASS);
	assert_int_equal(tick(w).moves, 1);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w->moves[0].transition.ok, 3);
	assert_int_equal(w->moves[0].transition.failed, 3);
	assert_int_equal(ask(w, DST).kind, EBB_ANSWER_DENY);
}

static void kernel_pull_is_taken_over_unchanged(void **state)
{
	struct world *w = *state;
	uint64_t pull;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	pull = w->view.gates[DST].pull;
	assert_int_equal(ebb_word_state(pull), EBB_STATE_OPEN);
	w->now += S / 10;
	assert_int_equal(tick(w).moves, 1);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_CONSECUTIVE_FAILURES);
	assert_true(w->view.verdicts[DST].word == pull);
	/* the next opening is longer, and armed already */
	assert_int_equal(ebb_arm_open_ticks(w->view.verdicts[DST].arm),
			 ebb_ns_to_ticks(2 * w->config.open_for_ns));
	assert_int_equal(tick(w).moves, 0);
}

static void outage_opens_probes_and_closes(void **state)
{
	struct world *w = *state;
	struct ebb_tick_result result;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	result = tick(w);
	assert_true(result.deadline_ns == ebb_ticks_to_ns(ebb_word_until(w->view.gates[DST].pull)));

	w->now = result.deadline_ns;
	(void)tick(w);
	assert_int_equal(state_of(w, DST), EBB_STATE_HALF_OPEN);
	for (int i = 0; i < 2; i++) {
		struct ebb_answer probe = ask(w, DST);

		assert_int_equal(probe.kind, EBB_ANSWER_PROBE);
		assert_int_equal(ebb_probe_finish(&w->view.gates[DST], probe.probe_index, probe.probe_word,
						  w->now, EBB_PROBE_OK),
				 EBB_RESULT_COUNTED);
	}
	(void)ebb_tick_gate(w->ticker, DST, w->now);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(w->move_count, 3);
	assert_int_equal(w->view.memories[DST].count, 3);
	assert_int_equal(w->view.memories[DST].moved[EBB_REASON_PROBES_SUCCEEDED], 1);
	/* results of before the outage move nothing now */
	assert_int_equal(fail_once(w, DST, 0), 0);
}

static void hint_looks_at_its_gate_only(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	assert_true(ebb_tick_gate(w->ticker, DST + 1, w->now) == UINT64_MAX);
	assert_int_equal(w->move_count, 0);
	(void)ebb_tick_gate(w->ticker, DST, w->now);
	assert_int_equal(w->move_count, 1);
	(void)ebb_tick_gate(w->ticker, 4000000, w->now); /* outside every table */
}

static void workload_gates_move_apart(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_WORKLOAD);
	w->view.pairs[PAIR + 1] = w->view.pairs[PAIR];
	w->view.pairs[PAIR + 1].workload = 78;
	w->view.kernel->pair_high = PAIR + 1;
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DSTS + PAIR, 0);
	(void)tick(w);
	assert_int_equal(state_of(w, DSTS + PAIR), EBB_STATE_OPEN);
	assert_int_equal(state_of(w, DSTS + PAIR + 1), EBB_STATE_CLOSED);
	assert_int_equal(w->moves[0].pair, PAIR);
}

static void other_is_never_judged(void **state)
{
	struct world *w = *state;

	w->view.dsts[EBB_SLOT_OTHER].state = EBB_SLOT_LIVE;
	w->view.pairs[EBB_SLOT_OTHER].state = EBB_SLOT_LIVE;
	w->view.gates[EBB_SLOT_OTHER].failed = 1000;
	assert_int_equal(tick(w).moves, 0);
	(void)ebb_tick_gate(w->ticker, EBB_SLOT_OTHER, w->now);
	assert_int_equal(w->move_count, 0);
	assert_int_equal(w->view.verdicts[EBB_SLOT_OTHER].arm, 0);
}

static void restart_forgets_nothing_but_the_window(void **state)
{
	struct world *w = *state;
	uint64_t word;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	(void)tick(w);
	word = w->view.verdicts[DST].word;

	w->now += S;
	start_ticker(w, true);
	w->move_count = 0;
	assert_int_equal(tick(w).moves, 0);
	assert_true(w->view.verdicts[DST].word == word);
	assert_int_equal(w->view.memories[DST].trips, 1);
	assert_int_equal(ebb_arm_open_ticks(w->view.verdicts[DST].arm),
			 ebb_ns_to_ticks(2 * w->config.open_for_ns));
}

static void restart_tells_what_the_kernel_did_alone(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	(void)tick(w);
	/* the agent dies; the kernel probes and closes alone */
	w->now += 20 * S;
	for (int i = 0; i < 2; i++) {
		struct ebb_answer probe = ask(w, DST);

		assert_int_equal(probe.kind, EBB_ANSWER_PROBE);
		(void)ebb_probe_finish(&w->view.gates[DST], probe.probe_index, probe.probe_word, w->now,
				       EBB_PROBE_OK);
	}
	(void)ask(w, DST);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);

	w->move_count = 0;
	start_ticker(w, true);
	assert_int_equal(tick(w).moves, 2);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_OPEN_EXPIRED);
	assert_int_equal(w->moves[1].transition.reason, EBB_REASON_PROBES_SUCCEEDED);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
}

/* Opens, and returns the episode that began. */
static uint64_t open_gate(struct world *w)
{
	uint32_t gen = ebb_word_gen(ebb_gate_word(&w->view.gates[DST], &w->view.verdicts[DST]));

	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, gen);
	w->move_count = 0;
	(void)tick(w);
	assert_int_equal(w->move_count, 1);
	assert_int_equal(ebb_reason_from(w->moves[0].transition.reason), EBB_STATE_CLOSED);
	assert_true(w->moves[0].transition.episode != 0);
	return w->moves[0].transition.episode;
}

static void an_episode_keeps_its_id_until_it_closes_also_over_a_restart(void **state)
{
	struct world *w = *state;
	uint64_t episode, next;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	episode = open_gate(w);
	w->now += 1 * S;
	start_ticker(w, true);
	w->move_count = 0;
	w->now += 10 * S;
	(void)tick(w);
	assert_int_equal(w->move_count, 1);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_OPEN_EXPIRED);
	assert_true(w->moves[0].transition.episode == episode);
	for (int i = 0; i < 2; i++) {
		struct ebb_answer probe = ask(w, DST);

		(void)ebb_probe_finish(&w->view.gates[DST], probe.probe_index, probe.probe_word, w->now,
				       EBB_PROBE_OK);
	}
	start_ticker(w, true);
	w->move_count = 0;
	(void)tick(w);
	assert_int_equal(w->move_count, 1);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_PROBES_SUCCEEDED);
	assert_true(w->moves[0].transition.episode == episode);

	w->now += 1 * S;
	start_ticker(w, true);
	next = open_gate(w);
	assert_true(next != episode);
}

/* Of memory that came from a layout without episodes. */
static void what_was_open_before_there_were_episodes_gets_one_that_stays(void **state)
{
	struct world *w = *state;
	uint64_t ids[2];

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	(void)open_gate(w);
	w->view.memories[DST].last[0].episode = 0;
	w->now += 10 * S;
	for (int i = 0; i < 2; i++) {
		struct ebb_memory memory = w->view.memories[DST];
		struct ebb_verdict verdict = w->view.verdicts[DST];

		start_ticker(w, true);
		w->move_count = 0;
		(void)tick(w);
		assert_int_equal(w->move_count, 1);
		ids[i] = w->moves[0].transition.episode;
		w->now += 1 * S;
		w->view.memories[DST] = memory;
		w->view.verdicts[DST] = verdict;
	}
	assert_true(ids[0] != 0);
	assert_true(ids[0] == ids[1]);
}

static void a_new_owner_of_a_slot_has_episodes_of_its_own(void **state)
{
	struct world *w = *state;
	uint64_t first;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	first = open_gate(w);
	/* the same name, back after its slot was given back: its generations begin anew */
	memset(&w->view.gates[DST], 0, sizeof(w->view.gates[DST]));
	memset(&w->view.verdicts[DST], 0, sizeof(w->view.verdicts[DST]));
	memset(&w->view.memories[DST], 0, sizeof(w->view.memories[DST]));
	w->view.dsts[DST].epoch++;
	w->now += 1 * S;
	(void)tick(w);
	assert_true(open_gate(w) != first);
}

static void slot_with_a_new_owner_starts_anew(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	(void)tick(w);
	assert_int_equal(state_of(w, DST), EBB_STATE_OPEN);
	memset(&w->view.gates[DST], 0, sizeof(w->view.gates[DST]));
	memset(&w->view.verdicts[DST], 0, sizeof(w->view.verdicts[DST]));
	memset(&w->view.memories[DST], 0, sizeof(w->view.memories[DST]));
	w->view.dsts[DST].epoch++;
	(void)tick(w);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(ebb_arm_open_ticks(w->view.verdicts[DST].arm),
			 ebb_ns_to_ticks(w->config.open_for_ns));
}

static void results_make_the_next_tick_soon(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	(void)succeed_once(w, DST, 0);
	assert_true(tick(w).busy);
	/* a hint says that something happens, whatever it finds; and a moment without anything is no end */
	(void)tick(w);
	(void)tick(w);
	(void)ebb_tick_gate(w->ticker, DST, w->now);
	assert_true(tick(w).busy);
	assert_true(tick(w).busy);
	assert_false(tick(w).busy);
}

/* Two probes that end alike, and the look that finds them. */
static void probe_twice(struct world *w, enum ebb_probe_end end)
{
	w->now = ebb_ticks_to_ns(ebb_word_until(w->view.verdicts[DST].word));
	(void)tick(w);
	for (int i = 0; i < 2; i++) {
		struct ebb_answer answer = ask(w, DST);

		assert_int_equal(answer.kind, EBB_ANSWER_PROBE);
		(void)ebb_probe_finish(&w->view.gates[DST], answer.probe_index, answer.probe_word, w->now,
				       end);
	}
	(void)tick(w);
}

/*
 * Nine calls a second, of an agent that looks again when it is to: each full window of a second has its
 * successes, and is a step down. At one look a second every other would pass unseen.
 */
static void a_few_calls_a_second_are_looked_at_in_time(void **state)
{
	struct world *w = *state;
	uint64_t closed, tick_at, call_at;

	w->config.window_ns = S;
	w->config.min_calls = 5;
	start_ticker(w, false);
	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	(void)tick(w);
	for (int i = 0; i < 3; i++)
		probe_twice(w, EBB_PROBE_FAILED);
	probe_twice(w, EBB_PROBE_OK);
	assert_int_equal(w->view.memories[DST].trips, 4);
	closed = tick_at = call_at = w->now;
	for (; w->now <= closed + 4 * S + S / 5; w->now += S / 100) {
		if (w->now >= call_at) {
			(void)succeed_once(w, DST, ebb_word_gen(w->view.verdicts[DST].word));
			call_at += 11 * S / 100;
		}
		if (w->now >= tick_at)
			tick_at = w->now + (tick(w).busy ? S / 10 : S);
	}
	assert_int_equal(w->view.memories[DST].trips, 0);
}

/* Slot @dst, another destination than DST, with the gate of the node. */
static void discover_another(struct world *w, uint32_t dst)
{
	w->view.dsts[dst] = w->view.dsts[DST];
	w->view.dsts[dst].endpoint.addr[15] = (uint8_t)dst;
	w->view.kernel->dst_high = dst;
}

static void configure(struct world *w, const struct ebb_breaker_config *own)
{
	static const uint32_t of_dst[DSTS] = {[DST] = 1};

	w->configs[0] = w->config;
	w->configs[1] = *own;
	ebb_ticker_configure(w->ticker, w->configs, of_dst);
}

static void settings_of_a_destination_are_its_own(void **state)
{
	struct world *w = *state;
	struct ebb_breaker_config own = w->config;

	own.consecutive_failures = 3;
	own.open_for_ns = 7 * S;
	discover(w, EBB_SCOPE_NODE);
	discover_another(w, DST + 1);
	configure(w, &own);
	(void)tick(w);
	assert_true(w->view.verdicts[DST].arm == ebb_arm(3, (uint32_t)ebb_ns_to_ticks(7 * S)));
	assert_true(w->view.verdicts[DST + 1].arm ==
		    ebb_arm(w->config.consecutive_failures,
			    (uint32_t)ebb_ns_to_ticks(w->config.open_for_ns)));
}

static void gates_of_workloads_follow_their_destination(void **state)
{
	struct world *w = *state;
	struct ebb_breaker_config own = w->config;

	own.consecutive_failures = 2;
	discover(w, EBB_SCOPE_WORKLOAD);
	configure(w, &own);
	(void)tick(w);
	assert_int_equal(ebb_arm_failures(w->view.verdicts[DSTS + PAIR].arm), 2);
}

/* What was counted before the change is judged by the new settings, at the next look. */
static void another_rate_judges_the_same_window(void **state)
{
	struct world *w = *state;
	struct ebb_breaker_config own;

	w->config.consecutive_failures = 0;
	w->config.failure_rate = 0.9;
	start_ticker(w, false);
	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 4; i++) {
		(void)succeed_once(w, DST, 0);
		(void)fail_once(w, DST, 0);
	}
	assert_int_equal(tick(w).moves, 0);
	own = w->config;
	own.failure_rate = 0.5;
	configure(w, &own);
	w->now += S;
	assert_int_equal(tick(w).moves, 1);
	assert_int_equal(w->moves[0].transition.reason, EBB_REASON_FAILURE_RATE);
	assert_int_equal(w->moves[0].transition.ok, 4);
	assert_int_equal(w->moves[0].transition.failed, 4);
}

static void another_window_keeps_what_it_holds(void **state)
{
	struct world *w = *state;
	struct ebb_breaker_config own;

	w->config.consecutive_failures = 0;
	w->config.failure_rate = 0.9;
	start_ticker(w, false);
	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 8; i++)
		(void)(i % 2 ? succeed_once(w, DST, 0) : fail_once(w, DST, 0));
	(void)tick(w);
	own = w->config;
	own.failure_rate = 0.5;
	own.window_ns = 60 * S;
	configure(w, &own);
	assert_int_equal(tick(w).moves, 1);
	assert_int_equal(w->moves[0].transition.ok, 4);
	assert_int_equal(w->moves[0].transition.failed, 4);
}

static void state_and_growth_survive_other_settings(void **state)
{
	struct world *w = *state;
	struct ebb_breaker_config own = w->config;
	uint64_t word;

	discover(w, EBB_SCOPE_NODE);
	(void)tick(w);
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, DST, 0);
	(void)tick(w);
	word = w->view.verdicts[DST].word;
	own.open_for_ns = 3 * S;
	configure(w, &own);
	assert_int_equal(tick(w).moves, 0);
	assert_true(w->view.verdicts[DST].word == word);
	/* the second opening in a row, by the new open time */
	assert_int_equal(ebb_arm_open_ticks(w->view.verdicts[DST].arm), ebb_ns_to_ticks(6 * S));
}

/* -------------------------------------------------------------------- fuse -- */

/* So many destinations of the node's gate, from DST on. */
static void discover_many(struct world *w, uint32_t count)
{
	discover(w, EBB_SCOPE_NODE);
	for (uint32_t d = DST + 1; d < DST + count; d++)
		discover_another(w, d);
}

static void name_by_rule(struct world *w, uint32_t dst)
{
	w->view.names[dst].flags = EBB_NAME_RULE;
	w->view.names[dst].text[0] = 'a';
	w->view.names[dst].epoch = w->view.dsts[dst].epoch;
}

/* The @pair'th workload that uses @dst. */
static void use(struct world *w, uint32_t pair, uint32_t dst)
{
	w->view.pairs[pair] = w->view.pairs[PAIR];
	w->view.pairs[pair].workload = pair;
	w->view.pairs[pair].dst = dst;
	w->view.pairs[pair].gate = w->view.dsts[dst].scope == EBB_SCOPE_WORKLOAD ? DSTS + pair : dst;
	if (w->view.kernel->pair_high < pair)
		w->view.kernel->pair_high = pair;
}

static void fail_until_open(struct world *w, uint32_t gate)
{
	for (int i = 0; i < 5; i++)
		(void)fail_once(w, gate,
				ebb_word_gen(ebb_gate_word(&w->view.gates[gate], &w->view.verdicts[gate])));
	assert_int_equal(state_of(w, gate), EBB_STATE_OPEN);
}

/* Four destinations that rules name, 50 results, and half of the destinations open. */
static void blow(struct world *w)
{
	discover_many(w, 4);
	for (uint32_t d = DST; d < DST + 4; d++)
		name_by_rule(w, d);
	(void)tick(w);
	for (uint32_t d = DST; d < DST + 4; d++) {
		for (int i = 0; i < 10; i++)
			(void)succeed_once(w, d, 0);
	}
	fail_until_open(w, DST);
	fail_until_open(w, DST + 1);
	(void)tick(w);
}

static void fuse_acts_and_tells_why(void **state)
{
	struct world *w = *state;
	const struct ebb_agent *agent = w->view.agent;

	w->fuse.action = EBB_FUSE_SHED;
	start_ticker(w, false);
	blow(w);
	assert_int_equal(agent->fuse, EBB_FUSE_SHED);
	assert_int_equal(agent->fuse_since_ns, w->now);
	assert_int_equal(agent->fuse_active, 4);
	assert_int_equal(agent->fuse_open, 2);
	assert_int_equal(agent->fuse_calls, 50);
	assert_int_equal(agent->fuse_acted, 1);
	assert_int_equal(agent->fuse_action, EBB_FUSE_SHED);
	assert_int_equal(agent->fuse_open_ppm, 500000);
	assert_int_equal(agent->fuse_min_destinations, 4);
	assert_int_equal(agent->fuse_min_calls, 50);
	assert_int_equal(agent->fuse_window_ns, 10 * S);
	assert_int_equal(w->fuse_move_count, 1);
	assert_true(w->fuse_moves[0].acts);
	assert_int_equal(w->fuse_moves[0].calls, 50);
	(void)tick(w);
	assert_int_equal(w->fuse_move_count, 1);
	assert_int_equal(agent->fuse_acted, 1);
}

static void another_action_follows_with_the_next_tick(void **state)
{
	struct world *w = *state;

	blow(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_ALERT);
	w->fuse.action = EBB_FUSE_RELEASE;
	ebb_ticker_fuse(w->ticker, &w->fuse, on_fuse, w);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_RELEASE);
	assert_int_equal(w->view.agent->fuse_acted, 1);
}

/* A look because of a hint takes results out of the gate, and they still count. */
static void results_that_a_hint_took_count(void **state)
{
	struct world *w = *state;

	discover_many(w, 1);
	(void)tick(w);
	for (int i = 0; i < 7; i++)
		(void)succeed_once(w, DST, 0);
	(void)ebb_tick_gate(w->ticker, DST, w->now);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_calls, 7);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_calls, 7);
}

static void probes_are_results_of_the_node(void **state)
{
	struct world *w = *state;
	struct ebb_answer answer;

	discover_many(w, 1);
	(void)tick(w);
	fail_until_open(w, DST);
	(void)tick(w);
	w->now += 20 * S;
	for (int i = 0; i < 2; i++) {
		answer = ask(w, DST);
		assert_int_equal(answer.kind, EBB_ANSWER_PROBE);
		(void)ebb_probe_finish(&w->view.gates[DST], answer.probe_index, answer.probe_word, w->now,
				       EBB_PROBE_OK);
	}
	(void)tick(w);
	assert_int_equal(state_of(w, DST), EBB_STATE_CLOSED);
	assert_int_equal(w->view.agent->fuse_calls, 2);
}

static void only_destinations_of_a_rule_or_of_two_workloads_count(void **state)
{
	struct world *w = *state;

	discover_many(w, 4);
	(void)tick(w);
	for (uint32_t d = DST; d < DST + 4; d++)
		fail_until_open(w, d);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 0);
	name_by_rule(w, DST + 1);
	use(w, 2, DST);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 2);
	assert_int_equal(w->view.agent->fuse_open, 2);
	/* a name of an owner that was there before */
	w->view.names[DST + 1].epoch--;
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 1);
}

static void a_gate_for_each_workload_is_one_destination(void **state)
{
	struct world *w = *state;

	discover(w, EBB_SCOPE_WORKLOAD);
	use(w, 2, DST);
	use(w, 3, DST);
	(void)tick(w);
	for (uint32_t p = 1; p <= 3; p++)
		(void)succeed_once(w, DSTS + p, 0);
	fail_until_open(w, DSTS + 1);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 1);
	assert_int_equal(w->view.agent->fuse_open, 0);
	fail_until_open(w, DSTS + 2);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 1);
	assert_int_equal(w->view.agent->fuse_open, 1);
}

static void who_is_refused_is_active_and_who_is_idle_is_not(void **state)
{
	struct world *w = *state;

	blow(w);
	w->now += 12 * S;
	for (uint32_t d = DST; d < DST + 3; d++)
		w->view.gates[d].asked_ns = w->now - S;
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse_active, 3);
	/* half-open by now, and that counts as open */
	assert_int_equal(state_of(w, DST), EBB_STATE_HALF_OPEN);
	assert_int_equal(w->view.agent->fuse_open, 2);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_ALERT);
}

static void idle_node_ends_at_the_deadline_that_it_told(void **state)
{
	struct world *w = *state;
	struct ebb_tick_result result;

	blow(w);
	/* open -> half_open is a move, so that it counts for a window more */
	w->now += 6 * S;
	(void)tick(w);
	w->now += 10 * S;
	result = tick(w);
	assert_int_equal(w->view.agent->fuse_active, 0);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_ALERT);
	assert_true(result.deadline_ns == w->now + 10 * S);
	w->now = result.deadline_ns;
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_OFF);
	assert_int_equal(w->view.agent->fuse_since_ns, w->now);
	assert_int_equal(w->fuse_move_count, 2);
	assert_false(w->fuse_moves[1].acts);
}

static void fuse_goes_on_after_a_restart_within_the_lease(void **state)
{
	struct world *w = *state;

	/* new maps: nothing to take up */
	w->view.agent->fuse = EBB_FUSE_SHED;
	w->view.agent->started_ns = w->now;
	start_ticker(w, false);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_OFF);
	blow(w);
	w->view.agent->started_ns = w->now + 30 * S;
	w->now += 30 * S;
	start_ticker(w, true);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_ALERT);
	assert_int_equal(w->view.agent->fuse_acted, 1);
	/* over the lease: what the last agent saw says nothing any more */
	w->view.agent->started_ns = w->now + 30 * S + 1;
	w->now += 30 * S + 1;
	start_ticker(w, true);
	(void)tick(w);
	assert_int_equal(w->view.agent->fuse, EBB_FUSE_OFF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(empty_maps_tick_without_a_move),
		TEST(new_gate_is_armed_with_the_first_open_time),
		TEST(failure_rate_opens_at_the_look_and_the_kernel_obeys),
		TEST(kernel_pull_is_taken_over_unchanged),
		TEST(outage_opens_probes_and_closes),
		TEST(hint_looks_at_its_gate_only),
		TEST(workload_gates_move_apart),
		TEST(other_is_never_judged),
		TEST(restart_forgets_nothing_but_the_window),
		TEST(restart_tells_what_the_kernel_did_alone),
		TEST(an_episode_keeps_its_id_until_it_closes_also_over_a_restart),
		TEST(what_was_open_before_there_were_episodes_gets_one_that_stays),
		TEST(a_new_owner_of_a_slot_has_episodes_of_its_own),
		TEST(slot_with_a_new_owner_starts_anew),
		TEST(results_make_the_next_tick_soon),
		TEST(a_few_calls_a_second_are_looked_at_in_time),
		TEST(settings_of_a_destination_are_its_own),
		TEST(gates_of_workloads_follow_their_destination),
		TEST(another_rate_judges_the_same_window),
		TEST(another_window_keeps_what_it_holds),
		TEST(state_and_growth_survive_other_settings),
		TEST(fuse_acts_and_tells_why),
		TEST(another_action_follows_with_the_next_tick),
		TEST(results_that_a_hint_took_count),
		TEST(probes_are_results_of_the_node),
		TEST(only_destinations_of_a_rule_or_of_two_workloads_count),
		TEST(a_gate_for_each_workload_is_one_destination),
		TEST(who_is_refused_is_active_and_who_is_idle_is_not),
		TEST(idle_node_ends_at_the_deadline_that_it_told),
		TEST(fuse_goes_on_after_a_restart_within_the_lease),
	};

	return cmocka_run_group_tests_name("tick", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/gate.h: what a gate answers and how a result moves it. The very header
 * that the kernel runs, with a clock that the test turns, and with threads
 * where the point is that words change by one compare-and-swap.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/atomic.h"

/* In front of each compare-and-swap a contender may come; what it does is for the test to say. */
static _Thread_local void (*contender)(uint64_t *word);

static uint64_t contended_cas(uint64_t *word, uint64_t old, uint64_t new)
{
	if (contender)
		contender(word);
	return __sync_val_compare_and_swap(word, old, new);
}

#undef EBB_CAS
#define EBB_CAS(pointer, old, new) contended_cas((uint64_t *)(pointer), old, new)

#include "bpf/gate.h"
#include "core/limit.h"

#define S	1000000000ULL
#define THREADS 16
#define ROUNDS	20000

struct world {
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	struct ebb_policy policy;
	struct ebb_agent agent;
	struct ebb_pair pairs[4]; /* by slot; 0 is ~other */
	uint64_t now;
};

static struct world world_new(void)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	w.now = 1000 * S;
	w.agent.heartbeat_ns = w.now;
	w.agent.lease_ns = 30 * S;
	w.policy.probes = 3;
	w.policy.close_after = 2;
	w.policy.reopen_after = 2;
	w.policy.probe_lease_ticks = (uint32_t)ebb_ns_to_ticks(10 * S);
	w.policy.arm = ebb_arm(5, (uint32_t)ebb_ns_to_ticks(5 * S));
	return w;
}

static struct ebb_answer ask(struct world *w)
{
	struct ebb_answer answer;

	ebb_gate_ask(&w->gate, &w->verdict, &w->policy, &w->agent, w->now, &answer);
	return answer;
}

static struct ebb_answer ask_as(struct world *w, enum ebb_asker asker)
{
	struct ebb_answer answer;

	ebb_gate_ask_as(&w->gate, &w->gate, &w->verdict, &w->policy, &w->agent, w->now, asker, &answer);
	return answer;
}

/* The result of a workload. */
static uint32_t result_of(struct world *w, uint32_t pair, uint32_t gen, int ok)
{
	return ebb_gate_result(&w->gate, &w->verdict, &w->policy, &w->pairs[pair], pair, w->now, gen, ok, 0);
}

static uint32_t result(struct world *w, uint32_t gen, int ok)
{
	return result_of(w, 1, gen, ok);
}

static uint64_t in_force(const struct world *w)
{
	return ebb_gate_word(&w->gate, &w->verdict);
}

static void open_until(struct world *w, uint64_t until_ns)
{
	w->verdict.word = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(until_ns));
}

static void half_open(struct world *w)
{
	w->verdict.word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
}

/* --------------------------------------------------------------------- ask -- */

static void closed_gate_passes(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer = ask(&w);

	(void)state;
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_int_equal(answer.gen, 0);
	assert_false(answer.mute);
	assert_true(ebb_gate_is_plain(in_force(&w), &w.policy));
}

static void open_gate_denies_until_its_end_and_then_probes(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	open_until(&w, w.now + 5 * S);
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_DENY);
	assert_int_equal(answer.cause, EBB_CAUSE_BREAKER);

	w.now = ebb_ticks_to_ns(ebb_word_until(w.verdict.word)) - 1;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	w.now++;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PROBE);
	assert_int_equal(answer.gen, 2);
	assert_int_equal(ebb_word_state(w.gate.pull), EBB_STATE_HALF_OPEN);
	assert_int_equal(ebb_word_gen(w.gate.pull), 2);
}

static void who_is_never_a_probe_is_refused_by_an_open_gate(void **state)
{
	static const enum ebb_asker askers[] = {EBB_ASKER_UDP_CONNECT, EBB_ASKER_UDP_SEND,
						EBB_ASKER_TCP_KERNEL};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct world w = world_new();
		struct ebb_answer answer;

		open_until(&w, w.now + 5 * S);
		answer = ask_as(&w, askers[i]);
		assert_int_equal(answer.kind, EBB_ANSWER_DENY);
		assert_int_equal(answer.cause, EBB_CAUSE_BREAKER);
		/* the time of being open ends whoever asks */
		w.now += 6 * S;
		w.agent.heartbeat_ns = w.now;
		for (int n = 0; n < 2 * EBB_PROBES_MAX; n++) {
			answer = ask_as(&w, askers[i]);
			assert_int_equal(answer.kind, EBB_ANSWER_PASS);
			assert_int_equal(answer.errors, 0);
		}
		assert_int_equal(ebb_word_state(w.gate.pull), EBB_STATE_HALF_OPEN);
		for (int p = 0; p < EBB_PROBES_MAX; p++)
			assert_int_equal(w.gate.probes[p], 0);
		assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	}
}

static void datagram_takes_no_slot_and_a_udp_connect_takes_one(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.limits.concurrent = 1;
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).slot_taken, 0);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_CONNECT).slot_taken, 1);
	assert_int_equal(w.gate.in_use, 1);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_CONNECT).cause, EBB_CAUSE_CONCURRENCY);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).kind, EBB_ANSWER_PASS);
	/* nor does a socket of the kernel, whose tokens are as good as any */
	assert_int_equal(ask_as(&w, EBB_ASKER_TCP_KERNEL).slot_taken, 0);
	assert_int_equal(w.gate.in_use, 1);
	assert_int_equal(ebb_limit_make(3600, 1, &w.policy.limits.bucket[EBB_LIMIT_CONNECTS]), 0);
	assert_int_equal(ask_as(&w, EBB_ASKER_TCP_KERNEL).kind, EBB_ANSWER_PASS);
	assert_int_equal(ask_as(&w, EBB_ASKER_TCP_KERNEL).cause, EBB_CAUSE_RATE);
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).cause, EBB_CAUSE_OVERRIDE);
	assert_int_equal(ask_as(&w, EBB_ASKER_TCP_KERNEL).cause, EBB_CAUSE_OVERRIDE);
}

static void half_open_gate_admits_no_more_than_its_probes(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_HALF_OPEN);
}

static void expired_probe_is_taken_over_and_counts_as_failed(void **state)
{
	struct world w = world_new();
	struct ebb_answer first;

	(void)state;
	w.policy.probes = 1;
	half_open(&w);
	first = ask(&w);
	w.now += 10 * S;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	w.now += 3 * (1ULL << EBB_TICK_SHIFT);
	w.agent.heartbeat_ns = w.now;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	assert_int_equal(ebb_probe_failed(w.gate.probe_result, 2), 1);

	/* the late result of the first is not counted a second time */
	assert_int_equal(ebb_probe_finish(&w.gate, first.probe_index, first.probe_word, w.now, EBB_PROBE_OK),
			 0);
	assert_int_equal(ebb_probe_succeeded(w.gate.probe_result, 2), 0);
	assert_int_not_equal(w.gate.probes[0], 0);
}

static void success_after_the_lease_is_a_failure(void **state)
{
	struct world w = world_new();
	struct ebb_answer probe;

	(void)state;
	half_open(&w);
	probe = ask(&w);
	w.now += 11 * S;
	assert_int_equal(ebb_probe_finish(&w.gate, probe.probe_index, probe.probe_word, w.now, EBB_PROBE_OK),
			 EBB_RESULT_COUNTED);
	assert_int_equal(ebb_probe_succeeded(w.gate.probe_result, 2), 0);
	assert_int_equal(ebb_probe_failed(w.gate.probe_result, 2), 1);
	assert_int_equal(w.gate.probes[probe.probe_index], 0);
}

static void probe_slots_of_an_earlier_generation_are_free(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	for (int i = 0; i < 3; i++)
		(void)ask(&w);
	w.verdict.word = ebb_word(4, EBB_STATE_HALF_OPEN, 0);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	assert_int_equal(ebb_probe_failed(w.gate.probe_result, 4), 0);
}

static void stale_lease_refuses_nothing_unless_told_to_hold(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	open_until(&w, w.now + 100 * S);
	w.now += 30 * S + 1;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_true(answer.mute);
	assert_int_equal(answer.errors, 1U << EBB_ERR_LEASE_EXPIRED);

	w.policy.on_agent_loss = EBB_LOSS_HOLD;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	w.policy.on_agent_loss = EBB_LOSS_RELEASE;
	w.agent.heartbeat_ns = w.now;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	w.agent.heartbeat_ns = 0; /* there never was an agent */
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
}

static void heartbeat_that_is_younger_than_now_is_alive(void **state)
{
	struct world w = world_new();

	(void)state;
	open_until(&w, w.now + 5 * S);
	w.agent.heartbeat_ns = w.now + 1000;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
}

static void ruling_13_override_wins_and_ignores_the_lease(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	w.agent.heartbeat_ns = 1;
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_DENY);
	assert_int_equal(answer.cause, EBB_CAUSE_OVERRIDE);

	w = world_new();
	open_until(&w, w.now + 5 * S);
	w.policy.override_state = EBB_OVERRIDE_CLOSE;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_true(answer.mute);
}

static void override_ends_by_itself(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	w.policy.override_until_ns = w.now + 10;
	w.now += 9;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	w.now++;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
}

static void override_close_answers_only_for_the_breaker(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.override_state = EBB_OVERRIDE_CLOSE;
	w.policy.limits.concurrent = 1;
	w.policy.asks = EBB_ASK_CONNECT;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_CONCURRENCY);
}

static void cap_refuses_over_it_and_gives_back(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.limits.concurrent = 2;
	w.policy.asks = EBB_ASK_CONNECT;
	assert_true(ask(&w).slot_taken);
	assert_true(ask(&w).slot_taken);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	assert_int_equal(w.gate.in_use, 2);
	assert_int_equal(ebb_slot_give(&w.gate), 0);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
}

/* Others take a slot and give it back, in front of each try. */
static void takes_and_gives(uint64_t *word)
{
	*word ^= 1;
}

static void takes_for_good(uint64_t *word)
{
	(*word)++;
}

static void cap_is_exact_for_who_loses_every_race(void **state)
{
	struct world w = world_new();
	uint32_t errors = 0;

	(void)state;
	contender = takes_and_gives;
	assert_true(ebb_slot_take(&w.gate, 2, &errors));
	assert_int_equal(errors, 1U << EBB_ERR_CAS_EXHAUSTED);
	assert_int_equal(w.gate.in_use, 1);
	/* full when it looks for the last time: nothing was wrong, and nothing moves */
	contender = takes_for_good;
	errors = 0;
	w.gate.in_use = 0;
	assert_false(ebb_slot_take(&w.gate, EBB_CAS_TRIES, &errors));
	assert_int_equal(errors, 0);
	assert_int_equal(w.gate.in_use, EBB_CAS_TRIES);
	contender = NULL;
	/* full in the moment after */
	assert_false(ebb_slot_add(&w.gate.in_use, EBB_CAS_TRIES));
	assert_int_equal(w.gate.in_use, EBB_CAS_TRIES);
	assert_true(ebb_slot_add(&w.gate.in_use, EBB_CAS_TRIES + 1));
}

static void rate_is_exact_for_who_loses_every_race(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	assert_int_equal(ebb_limit_make(1, 100, &w.policy.limits.bucket[EBB_LIMIT_CONNECTS]), 0);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	contender = takes_for_good;
	answer = ask(&w);
	contender = NULL;
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_int_equal(answer.errors, 1U << EBB_ERR_CAS_EXHAUSTED);
	assert_int_equal(w.gate.full_ns[EBB_LIMIT_CONNECTS], w.now + 7200 * S + EBB_CAS_TRIES);
}

/* An agent that died a moment ago opens nothing any more, and the kernel does not yet. */
static void probes_that_have_failed_admit_no_more(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	half_open(&w);
	for (uint32_t i = 0; i < w.policy.reopen_after; i++) {
		answer = ask(&w);
		assert_int_equal(answer.kind, EBB_ANSWER_PROBE);
		(void)ebb_probe_finish(&w.gate, answer.probe_index, answer.probe_word, w.now,
				       EBB_PROBE_FAILED);
	}
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_DENY);
	assert_int_equal(answer.cause, EBB_CAUSE_HALF_OPEN);
}

static void probe_that_the_cap_makes_useless_is_given_back(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.limits.concurrent = 1;
	w.policy.asks = EBB_ASK_CONNECT;
	w.gate.in_use = 1;
	half_open(&w);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_CONCURRENCY);
	for (int i = 0; i < EBB_PROBES_MAX; i++)
		assert_int_equal(w.gate.probes[i], 0);
	assert_int_equal(w.gate.probe_result, 0);
}

static void slot_given_back_twice_stays_at_zero_and_is_counted(void **state)
{
	struct world w = world_new();

	(void)state;
	assert_int_equal(ebb_slot_give(&w.gate), 1U << EBB_ERR_GAUGE_UNDERFLOW);
	assert_int_equal(w.gate.in_use, 0);
}

/* -------------------------------------------------------------------- fuse -- */

static void shed_refuses_what_is_healthy_but_not_what_is_exempt(void **state)
{
	static const enum ebb_asker askers[] = {EBB_ASKER_TCP, EBB_ASKER_UDP_CONNECT, EBB_ASKER_UDP_SEND};
	struct world w = world_new();

	(void)state;
	w.agent.fuse = EBB_FUSE_SHED;
	w.policy.limits.concurrent = 1;
	w.policy.asks = EBB_ASK_CONNECT;
	for (size_t i = 0; i < 3; i++) {
		struct ebb_answer answer = ask_as(&w, askers[i]);

		assert_int_equal(answer.kind, EBB_ANSWER_DENY);
		assert_int_equal(answer.cause, EBB_CAUSE_FUSE);
		assert_int_equal(answer.slot_taken, 0);
		assert_int_equal(w.gate.in_use, 0);
	}
	w.policy.fuse_exempt = 1;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ask_as(&w, askers[i]).kind, EBB_ANSWER_PASS);
		w.gate.in_use = 0;
	}
}

static void only_shed_has_a_closed_gate_asked(void **state)
{
	struct ebb_policy policy = {0}, exempt = {.fuse_exempt = 1};

	(void)state;
	for (uint32_t fuse = EBB_FUSE_OFF; fuse < EBB_FUSE_MAX; fuse++) {
		assert_int_equal(ebb_fuse_sheds(&policy, fuse), fuse == EBB_FUSE_SHED);
		assert_false(ebb_fuse_sheds(&exempt, fuse));
	}
}

static void fuse_never_refuses_a_probe(void **state)
{
	struct world w = world_new();

	(void)state;
	w.agent.fuse = EBB_FUSE_SHED;
	half_open(&w);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	/* and is asked before the breaker by all others */
	assert_int_equal(ask(&w).cause, EBB_CAUSE_FUSE);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).cause, EBB_CAUSE_FUSE);
	open_until(&w, w.now + 5 * S);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_FUSE);
}

static void order_open_goes_before_the_fuse_and_order_close_does_not_answer_for_it(void **state)
{
	struct world w = world_new();

	(void)state;
	w.agent.fuse = EBB_FUSE_SHED;
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	assert_int_equal(ask(&w).cause, EBB_CAUSE_OVERRIDE);
	w.policy.override_state = EBB_OVERRIDE_CLOSE;
	assert_int_equal(ask(&w).cause, EBB_CAUSE_FUSE);
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	w.agent.fuse = EBB_FUSE_RELEASE;
	assert_int_equal(ask(&w).cause, EBB_CAUSE_OVERRIDE);
}

static void release_answers_only_for_the_breaker(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	w.agent.fuse = EBB_FUSE_RELEASE;
	open_until(&w, w.now + 5 * S);
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_true(answer.mute);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).kind, EBB_ANSWER_PASS);
	/* the state moves on as ever, and has its probes */
	half_open(&w);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_true(answer.mute);
	w.policy.limits.concurrent = 1;
	w.policy.asks = EBB_ASK_CONNECT;
	w.gate.in_use = 1;
	assert_int_equal(ask(&w).cause, EBB_CAUSE_CONCURRENCY);
}

static void alert_changes_no_answer(void **state)
{
	struct world w = world_new();

	(void)state;
	w.agent.fuse = EBB_FUSE_ALERT;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	open_until(&w, w.now + 5 * S);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_BREAKER);
}

/* Whatever the destination says about the loss of its agent. */
static void fuse_is_over_with_the_lease(void **state)
{
	struct world w = world_new();

	(void)state;
	for (uint32_t loss = 0; loss < EBB_LOSS_MAX; loss++) {
		w.policy.on_agent_loss = loss;
		w.verdict.word = 0;
		w.agent.fuse = EBB_FUSE_SHED;
		w.agent.heartbeat_ns = w.now - 30 * S;
		assert_int_equal(ask(&w).cause, EBB_CAUSE_FUSE);
		w.agent.heartbeat_ns--;
		assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	}
	w.policy.on_agent_loss = EBB_LOSS_HOLD;
	w.agent.fuse = EBB_FUSE_RELEASE;
	open_until(&w, w.now + 5 * S);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_BREAKER);
}

static void who_asks_without_a_result_is_noted_unless_an_operator_refuses(void **state)
{
	static const struct {
		struct ebb_answer answer;
		bool noted;
	} cases[] = {
		{{.kind = EBB_ANSWER_PASS}, false},
		{{.kind = EBB_ANSWER_PASS, .mute = 1}, true},
		{{.kind = EBB_ANSWER_PROBE}, true},
		{{.kind = EBB_ANSWER_DENY, .cause = EBB_CAUSE_FUSE}, true},
		{{.kind = EBB_ANSWER_DENY, .cause = EBB_CAUSE_BREAKER, .mute = 1}, true},
		{{.kind = EBB_ANSWER_DENY, .cause = EBB_CAUSE_RATE}, true},
		{{.kind = EBB_ANSWER_DENY, .cause = EBB_CAUSE_OVERRIDE, .mute = 1}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w = world_new();

		ebb_gate_note_asked(&w.gate, &cases[i].answer, w.now);
		assert_int_equal(w.gate.asked_ns, cases[i].noted ? w.now : 0);
	}
}

/* -------------------------------------------------------------------- ramp -- */

static void ramp_until(struct world *w, uint64_t length_ns)
{
	w->policy.ramp_ticks = (uint32_t)ebb_ns_to_ticks(length_ns);
	w->verdict.word = ebb_closed_word(3, w->policy.ramp_ticks, w->now);
}

/* Of @count that ask now. */
static uint32_t admitted_of(struct world *w, uint32_t count)
{
	uint32_t admitted = 0;

	for (uint32_t i = 0; i < count; i++)
		admitted += ask(w).kind == EBB_ANSWER_PASS;
	return admitted;
}

static void the_ramp_admits_the_share_of_its_time(void **state)
{
	struct world w = world_new();
	uint64_t start = w.now;

	(void)state;
	ramp_until(&w, 100 * S);
	assert_false(ebb_gate_is_plain(in_force(&w), &w.policy));
	for (uint32_t percent = 0; percent <= 100; percent += 5) {
		w.now = start + percent * S;
		w.agent.heartbeat_ns = w.now;
		assert_in_range(admitted_of(&w, 1000), percent ? percent * 10 - 4 : 0, percent * 10 + 4);
	}
	/* and for good */
	w.now += 1000 * S;
	w.agent.heartbeat_ns = w.now;
	assert_int_equal(admitted_of(&w, 1000), 1000);
}

static void what_the_ramp_refuses_holds_nothing_and_is_told_as_the_breakers(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;

	(void)state;
	ramp_until(&w, 100 * S);
	w.policy.limits.concurrent = 5;
	w.policy.asks = EBB_ASK_CONNECT;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_DENY);
	assert_int_equal(answer.cause, EBB_CAUSE_BREAKER);
	assert_int_equal(w.gate.in_use, 0);
	/* what it lets through is a result like any other */
	w.now += 99 * S;
	w.agent.heartbeat_ns = w.now;
	answer = ask(&w);
	assert_int_equal(answer.kind, EBB_ANSWER_PASS);
	assert_int_equal(answer.mute, 0);
}

static void the_ramp_is_not_for_udp_nor_against_an_operator_nor_without_an_agent(void **state)
{
	struct world w = world_new();

	(void)state;
	ramp_until(&w, 100 * S);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_CONNECT).kind, EBB_ANSWER_PASS);
	assert_int_equal(ask_as(&w, EBB_ASKER_UDP_SEND).kind, EBB_ANSWER_PASS);
	w.policy.override_state = EBB_OVERRIDE_CLOSE;
	assert_int_equal(admitted_of(&w, 10), 10);
	w.policy.override_state = EBB_OVERRIDE_AUTO;
	assert_int_equal(admitted_of(&w, 10), 0);
	w.now += 31 * S; /* the lease is over */
	assert_int_equal(admitted_of(&w, 10), 10);
}

static void a_ramp_that_is_configured_away_or_shortened_follows(void **state)
{
	struct world w = world_new();

	(void)state;
	ramp_until(&w, 100 * S);
	w.policy.ramp_ticks = (uint32_t)ebb_ns_to_ticks(10 * S);
	assert_int_equal(admitted_of(&w, 10), 0); /* not before its last ten seconds */
	w.now += 95 * S;
	w.agent.heartbeat_ns = w.now;
	assert_in_range(admitted_of(&w, 1000), 490, 510);
	w.policy.ramp_ticks = 0;
	assert_true(ebb_gate_is_plain(in_force(&w), &w.policy));
	assert_int_equal(admitted_of(&w, 10), 10);
}

static void a_kernel_that_closes_alone_begins_the_ramp(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.ramp_ticks = (uint32_t)ebb_ns_to_ticks(50 * S);
	w.policy.on_agent_loss = EBB_LOSS_HOLD;
	half_open(&w);
	w.gate.probe_result = ebb_probe_result_word(2, 2, 0);
	w.agent.heartbeat_ns = w.now - 3 * S;
	(void)ask(&w);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_CLOSED);
	assert_int_equal(ebb_word_until(in_force(&w)), ebb_ns_to_ticks(w.now) + w.policy.ramp_ticks);
}

/* --------------------------------------------------------- enforce_percent -- */

static void so_many_percent_of_refusals_stand(void **state)
{
	struct world w = world_new();

	(void)state;
	for (uint32_t percent = 0; percent <= 100; percent += 10) {
		uint32_t stood = 0;

		w.policy.spare_percent = 100 - percent;
		for (uint32_t i = 0; i < 1000; i++)
			stood += (uint32_t)ebb_refusal_stands(&w.gate, &w.policy, EBB_CAUSE_BREAKER);
		assert_in_range(stood, percent ? percent * 10 - 3 : 0,
				percent < 100 ? percent * 10 + 3 : 1000);
	}
	w.policy.spare_percent = 100;
	assert_true(ebb_refusal_stands(&w.gate, &w.policy, EBB_CAUSE_OVERRIDE));
	assert_false(ebb_refusal_stands(&w.gate, &w.policy, EBB_CAUSE_RATE));
}

/* ------------------------------------------------------------- connection rate -- */

static void limit_rate(struct world *w, uint64_t per_second, uint64_t burst)
{
	assert_int_equal(ebb_limit_make(3600 * per_second, burst,
					&w->policy.limits.bucket[EBB_LIMIT_CONNECTS]),
			 0);
	ebb_limits_summarize(&w->policy);
}

static void limit_concurrent(struct world *w, uint32_t concurrent)
{
	w->policy.limits.concurrent = concurrent;
	ebb_limits_summarize(&w->policy);
}

static uint64_t tokens_word(const struct world *w)
{
	return w->gate.full_ns[EBB_LIMIT_CONNECTS];
}

/* How many pass at this moment; what refuses the next one. */
static int pass_until(struct world *w, uint32_t *ret_cause)
{
	struct ebb_answer answer;
	int passed = 0;

	for (answer = ask(w); answer.kind != EBB_ANSWER_DENY && passed < 1000; answer = ask(w))
		passed++;
	*ret_cause = answer.cause;
	return passed;
}

static void rate_admits_its_burst_and_then_as_time_goes(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	assert_false(ebb_gate_is_plain(in_force(&w), &w.policy));
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(cause, EBB_CAUSE_RATE);
	w.now += S / 20 - 1;
	assert_int_equal(pass_until(&w, &cause), 0);
	w.now++;
	assert_int_equal(pass_until(&w, &cause), 1);
	w.now += S;
	assert_int_equal(pass_until(&w, &cause), 20);
	w.now += 1000 * S;
	w.agent.heartbeat_ns = w.now;
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(w.gate.in_use, 0);
}

/* The buckets of bytes and packets are others. */
static void connection_takes_only_its_own_token(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	assert_int_equal(ebb_limit_make(1, 1, &w.policy.limits.bucket[EBB_LIMIT_BYTES]), 0);
	assert_int_equal(ebb_limit_make(1, 1, &w.policy.limits.bucket[EBB_LIMIT_PACKETS]), 0);
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(w.gate.full_ns[EBB_LIMIT_BYTES], 0);
	assert_int_equal(w.gate.full_ns[EBB_LIMIT_PACKETS], 0);
}

static void rate_is_named_before_the_cap(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 2);
	limit_concurrent(&w, 2);
	assert_int_equal(pass_until(&w, &cause), 2);
	assert_int_equal(cause, EBB_CAUSE_RATE);
	assert_int_equal(w.gate.in_use, 2);
	w.now += S;
	assert_int_equal(pass_until(&w, &cause), 0);
	assert_int_equal(cause, EBB_CAUSE_CONCURRENCY);
}

static void who_finds_no_slot_takes_no_token(void **state)
{
	struct world w = world_new();
	uint32_t cause;
	uint64_t word;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_concurrent(&w, 3);
	assert_int_equal(pass_until(&w, &cause), 3);
	assert_int_equal(cause, EBB_CAUSE_CONCURRENCY);
	word = tokens_word(&w);
	assert_int_equal(word, w.now + 3 * S / 20);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask(&w).cause, EBB_CAUSE_CONCURRENCY);
	assert_int_equal(tokens_word(&w), word);
}

static void who_finds_no_token_holds_no_slot(void **state)
{
	struct world w = world_new();
	struct ebb_answer answer;
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 2);
	limit_concurrent(&w, 100);
	assert_int_equal(pass_until(&w, &cause), 2);
	assert_int_equal(cause, EBB_CAUSE_RATE);
	answer = ask(&w);
	assert_false(answer.slot_taken);
	assert_int_equal(answer.errors, 0);
	assert_int_equal(w.gate.in_use, 2);
}

static void probe_that_the_rate_makes_useless_is_given_back(void **state)
{
	struct world w = world_new();

	(void)state;
	limit_rate(&w, 1, 1);
	limit_concurrent(&w, 5);
	half_open(&w);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(&w).cause, EBB_CAUSE_RATE);
	assert_int_not_equal(w.gate.probes[0], 0);
	for (int i = 1; i < EBB_PROBES_MAX; i++)
		assert_int_equal(w.gate.probes[i], 0);
	assert_int_equal(w.gate.probe_result, 0);
	assert_int_equal(w.gate.in_use, 1);
}

static void refusal_by_override_or_breaker_takes_no_token(void **state)
{
	struct world w = world_new();

	(void)state;
	limit_rate(&w, 20, 40);
	open_until(&w, w.now + 5 * S);
	assert_int_equal(ask(&w).cause, EBB_CAUSE_BREAKER);
	w.policy.override_state = EBB_OVERRIDE_OPEN;
	assert_int_equal(ask(&w).cause, EBB_CAUSE_OVERRIDE);
	assert_int_equal(tokens_word(&w), 0);
	/* which answers for the breaker alone */
	w.policy.override_state = EBB_OVERRIDE_CLOSE;
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	assert_int_equal(tokens_word(&w), w.now + S / 20);
}

static void rate_without_a_lease_takes_and_refuses_nothing_unless_told_to_hold(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_concurrent(&w, 10);
	w.now += 31 * S;
	assert_int_equal(pass_until(&w, &cause), 1000);
	assert_int_equal(tokens_word(&w), 0);
	assert_int_equal(w.gate.in_use, 0);
	limit_concurrent(&w, 0);
	w.policy.on_agent_loss = EBB_LOSS_HOLD;
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(cause, EBB_CAUSE_RATE);
}

static void rate_that_was_raised_soon_admits(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	assert_int_equal(ebb_limit_make(1, 100, &w.policy.limits.bucket[EBB_LIMIT_CONNECTS]), 0);
	assert_int_equal(pass_until(&w, &cause), 100);
	limit_rate(&w, 20, 40);
	assert_int_equal(pass_until(&w, &cause), 0);
	w.now += S;
	assert_int_equal(pass_until(&w, &cause), 20);
}

/* ------------------------------------------------------------------ by hand -- */

static void limit_by_hand(struct world *w, uint32_t given, uint64_t per_second, uint32_t concurrent)
{
	w->policy.by_hand.given = given;
	w->policy.by_hand.concurrent = concurrent;
	assert_int_equal(ebb_limit_make(3600 * per_second, per_second,
					&w->policy.by_hand.bucket[EBB_LIMIT_CONNECTS]),
			 0);
	ebb_limits_summarize(&w->policy);
}

static void limit_by_hand_is_stronger_while_it_lasts(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_concurrent(&w, 100);
	limit_by_hand(&w, 1U << EBB_LIMIT_CONNECTS, 5, 0);
	w.policy.by_hand_until_ns = w.now + 10 * S;
	assert_int_equal(pass_until(&w, &cause), 5);
	assert_int_equal(cause, EBB_CAUSE_RATE);
	w.now += 10 * S - 1;
	assert_int_equal(pass_until(&w, &cause), 5);
	w.now += 10 * S;
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(w.gate.in_use, 50);
}

/* As an override: the agent has no say in it, so its absence neither. */
static void limit_by_hand_does_not_ask_for_the_lease(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_concurrent(&w, 1);
	limit_by_hand(&w, 1U << EBB_LIMIT_CONNECTS, 5, 0);
	w.now += 31 * S;
	assert_int_equal(pass_until(&w, &cause), 5);
	assert_int_equal(cause, EBB_CAUSE_RATE);
	assert_int_equal(w.gate.in_use, 0);
}

static void limit_by_hand_without_an_end_stands(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	/* nothing is configured */
	limit_by_hand(&w, EBB_GIVEN_CONCURRENT, 0, 7);
	assert_false(ebb_gate_is_plain(in_force(&w), &w.policy));
	assert_int_equal(pass_until(&w, &cause), 7);
	assert_int_equal(cause, EBB_CAUSE_CONCURRENCY);
	w.now += 20 * S;
	assert_int_equal(pass_until(&w, &cause), 0);
}

static void by_hand_none_takes_a_configured_limit_away(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_concurrent(&w, 10);
	limit_by_hand(&w, 1U << EBB_LIMIT_CONNECTS, 0, 0);
	assert_int_equal(pass_until(&w, &cause), 10);
	assert_int_equal(cause, EBB_CAUSE_CONCURRENCY);
	assert_int_equal(tokens_word(&w), 0);
	limit_by_hand(&w, 1U << EBB_LIMIT_CONNECTS | EBB_GIVEN_CONCURRENT, 0, 0);
	w.policy.by_hand_until_ns = w.now + S;
	assert_int_equal(pass_until(&w, &cause), 1000);
	assert_int_equal(w.gate.in_use, 10);
	/* both are back when its time is over */
	w.now += S;
	assert_int_equal(pass_until(&w, &cause), 0);
	assert_int_equal(cause, EBB_CAUSE_CONCURRENCY);
	w.gate.in_use = 0;
	limit_concurrent(&w, 0);
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(cause, EBB_CAUSE_RATE);
}

/* What is not given by hand stays as configured, whatever stands in its place. */
static void what_is_not_given_by_hand_stays_as_configured(void **state)
{
	struct world w = world_new();
	uint32_t cause;

	(void)state;
	limit_rate(&w, 20, 40);
	limit_by_hand(&w, EBB_GIVEN_CONCURRENT, 3, 100);
	assert_int_equal(pass_until(&w, &cause), 40);
	limit_by_hand(&w, 1U << EBB_LIMIT_BYTES | 1U << EBB_LIMIT_PACKETS, 3, 5);
	w.now += 2 * S;
	assert_int_equal(pass_until(&w, &cause), 40);
	assert_int_equal(cause, EBB_CAUSE_RATE);
}

/* ----------------------------------------------------------------- results -- */

static void nth_failure_in_a_row_opens_the_gate(void **state)
{
	struct world w = world_new();

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(result(&w, 0, 0), EBB_RESULT_COUNTED);
	assert_int_equal(in_force(&w), 0);
	assert_int_equal(result(&w, 0, 0), EBB_RESULT_COUNTED | EBB_RESULT_PULLED);
	assert_int_equal(ebb_word_gen(in_force(&w)), 1);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_OPEN);
	assert_true(ebb_ticks_to_ns(ebb_word_until(in_force(&w))) >= w.now + 5 * S);
	assert_true(ebb_ticks_to_ns(ebb_word_until(in_force(&w))) <=
		    w.now + 5 * S + 3 * (1 << EBB_TICK_SHIFT));
	/* what ends now began before it opened */
	assert_int_equal(result(&w, 0, 0), 0);
	assert_int_equal(w.gate.failed, 5);
}

static void success_ends_the_run(void **state)
{
	struct world w = world_new();

	(void)state;
	for (int i = 0; i < 20; i++) {
		(void)result(&w, 0, 0);
		if (i % 4 == 3)
			(void)result(&w, 0, 1);
	}
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_CLOSED);
	assert_int_equal(w.gate.failed, 20);
	assert_int_equal(w.gate.ok, 5);
}

static void verdict_arms_over_the_policy_and_can_disarm(void **state)
{
	struct world w = world_new();

	(void)state;
	w.verdict.arm = ebb_arm(2, 100);
	(void)result(&w, 0, 0);
	assert_true(result(&w, 0, 0) & EBB_RESULT_PULLED);

	w = world_new();
	w.verdict.arm = ebb_arm(0, 100);
	for (int i = 0; i < 50; i++)
		assert_false(result(&w, 0, 0) & EBB_RESULT_PULLED);
}

static void result_of_another_generation_moves_nothing(void **state)
{
	struct world w = world_new();

	(void)state;
	w.verdict.word = ebb_word(3, EBB_STATE_CLOSED, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(result(&w, 0, 0), 0);
	assert_int_equal(w.gate.failed, 0);
	assert_int_equal(result(&w, 3, 0), EBB_RESULT_COUNTED);
	assert_int_equal(ebb_run_failures(w.gate.run, 3), 1);
}

static void result_without_a_probe_moves_nothing_in_half_open(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	assert_int_equal(result(&w, 2, 1), 0);
	assert_int_equal(w.gate.ok, 0);
}

/* ------------------------------------------------------------ without an agent -- */

static struct ebb_answer probe_and_end(struct world *w, enum ebb_probe_end end)
{
	struct ebb_answer probe = ask(w);

	assert_int_equal(probe.kind, EBB_ANSWER_PROBE);
	(void)ebb_probe_finish(&w->gate, probe.probe_index, probe.probe_word, w->now, end);
	return probe;
}

static void kernel_leaves_the_end_of_half_open_to_a_living_agent(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	for (int i = 0; i < 5; i++)
		(void)probe_and_end(&w, EBB_PROBE_OK);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_HALF_OPEN);
}

static void kernel_closes_alone_when_the_agent_is_gone(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	w.now += EBB_AGENT_ABSENT_NS + 1;
	(void)probe_and_end(&w, EBB_PROBE_OK);
	(void)probe_and_end(&w, EBB_PROBE_OK);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PASS);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_CLOSED);
	assert_int_equal(ebb_word_gen(in_force(&w)), 3);
}

static void kernel_reopens_alone_when_the_agent_is_gone(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	w.now += EBB_AGENT_ABSENT_NS + 1;
	(void)probe_and_end(&w, EBB_PROBE_FAILED);
	(void)probe_and_end(&w, EBB_PROBE_FAILED);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_DENY);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_OPEN);
	assert_int_equal(ebb_word_gen(in_force(&w)), 3);
}

static void kernel_does_not_move_on_counts_of_an_earlier_half_open(void **state)
{
	struct world w = world_new();

	(void)state;
	half_open(&w);
	w.now += EBB_AGENT_ABSENT_NS + 1;
	w.gate.probe_result = ebb_probe_result_word(1, 5, 0);
	assert_int_equal(ask(&w).kind, EBB_ANSWER_PROBE);
	assert_int_equal(ebb_word_state(in_force(&w)), EBB_STATE_HALF_OPEN);
}

static void late_probe_of_an_earlier_generation_does_not_reset_the_counts(void **state)
{
	struct world w = world_new();

	(void)state;
	w.gate.probe_result = ebb_probe_result_word(4, 1, 0);
	assert_int_equal(ebb_probe_count(&w.gate, 2, 0), 0);
	assert_int_equal(ebb_probe_succeeded(w.gate.probe_result, 4), 1);
}

/* ----------------------------------------------------------------- threads -- */

struct shared {
	struct world world;
	uint64_t over; /* moments at which more were in than allowed */
	uint64_t inside;
	uint64_t pulled;
	uint64_t given;
};

static void run_threads(void *(*body)(void *), struct shared *shared)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, body, shared), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void *hammer_cap(void *argument)
{
	struct shared *s = argument;
	uint32_t errors = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (!ebb_slot_take(&s->world.gate, 4, &errors))
			continue;
		if (__sync_add_and_fetch(&s->inside, 1) > 4)
			__sync_fetch_and_add(&s->over, 1);
		__sync_fetch_and_sub(&s->inside, 1);
		(void)ebb_slot_give(&s->world.gate);
	}
	return NULL;
}

static void cap_is_exact_under_threads(void **state)
{
	struct shared s = {.world = world_new()};

	(void)state;
	run_threads(hammer_cap, &s);
	assert_int_equal(s.over, 0);
	assert_int_equal(s.world.gate.in_use, 0);
}

/* The clock stands: whatever the threads do, and with slots that come and go, the burst and not one more. */
#define BURST 40000

static void *hammer_rate(void *argument)
{
	struct shared *s = argument;
	struct ebb_answer answer;
	int refused = 0;

	while (refused < 1000 && __atomic_load_n(&s->given, __ATOMIC_RELAXED) < 2 * BURST) {
		ebb_gate_ask(&s->world.gate, &s->world.verdict, &s->world.policy, &s->world.agent,
			     s->world.now, &answer);
		if (answer.kind == EBB_ANSWER_DENY) {
			refused += answer.cause == EBB_CAUSE_RATE;
			continue;
		}
		__sync_fetch_and_add(&s->given, 1);
		if (answer.slot_taken)
			(void)ebb_slot_give(&s->world.gate);
	}
	return NULL;
}

static void rate_is_exact_under_threads(void **state)
{
	(void)state;
	for (uint32_t concurrent = 0; concurrent <= 4; concurrent += 2) {
		struct shared s = {.world = world_new()};

		assert_int_equal(ebb_limit_make(3600 * S, BURST,
						&s.world.policy.limits.bucket[EBB_LIMIT_CONNECTS]),
				 0);
		limit_concurrent(&s.world, concurrent);
		run_threads(hammer_rate, &s);
		assert_int_equal(s.given, BURST);
		assert_int_equal(s.world.gate.in_use, 0);
	}
}

static void *hammer_probes(void *argument)
{
	struct shared *s = argument;
	struct ebb_answer answer;

	for (int i = 0; i < ROUNDS; i++) {
		ebb_gate_ask(&s->world.gate, &s->world.verdict, &s->world.policy, &s->world.agent,
			     s->world.now, &answer);
		if (answer.kind != EBB_ANSWER_PROBE)
			continue;
		if (__sync_add_and_fetch(&s->inside, 1) > 3)
			__sync_fetch_and_add(&s->over, 1);
		__sync_fetch_and_add(&s->given, 1);
		__sync_fetch_and_sub(&s->inside, 1);
		(void)ebb_probe_finish(&s->world.gate, answer.probe_index, answer.probe_word, s->world.now,
				       EBB_PROBE_NONE);
	}
	return NULL;
}

static void probes_are_exact_under_threads(void **state)
{
	struct shared s = {.world = world_new()};

	(void)state;
	half_open(&s.world);
	run_threads(hammer_probes, &s);
	assert_int_equal(s.over, 0);
	assert_true(s.given >= 3);
	for (int i = 0; i < EBB_PROBES_MAX; i++)
		assert_int_equal(s.world.gate.probes[i], 0);
}

/* Two threads meet at the only probe slot of a fresh half-open gate, again and again. */
#define DUELS 100000

static void *duel(void *argument)
{
	struct shared *s = argument;
	struct ebb_answer answer;

	for (uint64_t round = 1; round <= DUELS; round++) {
		/* the last to arrive makes the gate new and lets both go */
		if (__sync_add_and_fetch(&s->inside, 1) == 2 * round) {
			s->world.gate.probes[0] = 0;
			__atomic_store_n(&s->pulled, round, __ATOMIC_SEQ_CST);
		}
		while (__atomic_load_n(&s->pulled, __ATOMIC_SEQ_CST) < round)
			;
		ebb_gate_ask(&s->world.gate, &s->world.verdict, &s->world.policy, &s->world.agent,
			     s->world.now, &answer);
		if (answer.kind == EBB_ANSWER_PROBE)
			__sync_fetch_and_add(&s->given, 1);
	}
	return NULL;
}

static void one_probe_slot_goes_to_one_of_two(void **state)
{
	struct shared s = {.world = world_new()};
	pthread_t threads[2];

	(void)state;
	half_open(&s.world);
	s.world.policy.probes = 1;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, duel, &s), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(s.given, DUELS);
}

static void *hammer_failures(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t did = result(&s->world, 0, 0);

		if (did & EBB_RESULT_PULLED)
			__sync_fetch_and_add(&s->pulled, 1);
	}
	return NULL;
}

static void run_of_failures_pulls_once_under_threads(void **state)
{
	struct shared s = {.world = world_new()};

	(void)state;
	s.world.policy.arm = ebb_arm(THREADS * ROUNDS / 2, 100);
	run_threads(hammer_failures, &s);
	assert_int_equal(s.pulled, 1);
	assert_int_equal(ebb_word_gen(in_force(&s.world)), 1);
	/* not one failure too early; those under way when it opened may still be counted */
	assert_true(s.world.gate.failed >= THREADS * ROUNDS / 2);
	assert_true(s.world.gate.failed < THREADS * ROUNDS / 2 + THREADS);
}

static void *hammer_probe_results(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < 1000; i++) {
		uint32_t did = EBB_RESULT_EXHAUSTED;

		while (did & EBB_RESULT_EXHAUSTED)
			did = ebb_probe_count(&s->world.gate, 2, i % 2);
	}
	return NULL;
}

static void probe_results_are_not_lost_under_threads(void **state)
{
	struct shared s = {.world = world_new()};

	(void)state;
	run_threads(hammer_probe_results, &s);
	assert_int_equal(ebb_probe_succeeded(s.world.gate.probe_result, 2), THREADS * 500);
	assert_int_equal(ebb_probe_failed(s.world.gate.probe_result, 2), THREADS * 500);
}

/* ------------------------------------------------------------- whose results -- */

static void run_of_one_workload_does_not_open_what_served_another_last(void **state)
{
	struct world w = world_new();

	(void)state;
	(void)result_of(&w, 2, 0, 1);
	for (int i = 0; i < 8; i++)
		assert_int_equal(result_of(&w, 1, 0, 0), EBB_RESULT_COUNTED);
	assert_int_equal(ebb_run_failures(w.gate.run, 0), 8);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), ebb_run_who(1));
	/* it fails for the other, too */
	assert_int_equal(result_of(&w, 2, 0, 0), EBB_RESULT_COUNTED | EBB_RESULT_PULLED);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), EBB_RUN_MIXED);
}

static void run_of_the_workload_that_succeeded_last_opens_where_any_run_may(void **state)
{
	struct world w = world_new();

	(void)state;
	(void)result_of(&w, 2, 0, 1);
	(void)result_of(&w, 1, 0, 1);
	w.verdict.arm = ebb_arm(3, 100) | EBB_ARM_MIXED;
	for (int i = 0; i < 5; i++)
		assert_int_equal(result_of(&w, 1, 0, 0), EBB_RESULT_COUNTED);
	/* no look has seen yet that there was another success before its own */
	w.verdict.arm = ebb_arm(3, 100);
	assert_int_equal(result_of(&w, 1, 0, 0), EBB_RESULT_COUNTED);
	w.verdict.succeeded = w.gate.succeeded;
	assert_int_equal(result_of(&w, 1, 0, 0), EBB_RESULT_COUNTED | EBB_RESULT_PULLED);
	assert_int_equal(ebb_word_until(w.gate.pull), ebb_ns_to_ticks(w.now) + 100);
}

static void run_of_several_opens_where_only_mixed_runs_may(void **state)
{
	struct world w = world_new();

	(void)state;
	(void)result_of(&w, 3, 0, 1);
	w.verdict.arm = ebb_arm(3, 100) | EBB_ARM_MIXED;
	(void)result_of(&w, 1, 0, 0);
	(void)result_of(&w, 2, 0, 0);
	assert_int_equal(result_of(&w, 1, 0, 0), EBB_RESULT_COUNTED | EBB_RESULT_PULLED);
}

/* Nobody knows how many they are: as before there was a who. */
static void run_of_those_without_a_pair_is_mixed(void **state)
{
	struct world w = world_new();

	(void)state;
	w.verdict.arm = ebb_arm(2, 100) | EBB_ARM_MIXED;
	(void)result_of(&w, EBB_SLOT_OTHER, 0, 0);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), EBB_RUN_MIXED);
	assert_int_equal(result_of(&w, EBB_SLOT_OTHER, 0, 0), EBB_RESULT_COUNTED | EBB_RESULT_PULLED);
}

static void success_ends_whose_run_it_was(void **state)
{
	struct world w = world_new();

	(void)state;
	(void)result_of(&w, 1, 0, 0);
	(void)result_of(&w, 2, 0, 0);
	(void)result_of(&w, 1, 0, 1);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), 0);
	(void)result_of(&w, 2, 0, 0);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), ebb_run_who(2));
	assert_int_equal(ebb_run_failures(w.gate.run, 0), 1);
}

static void run_that_is_full_stays_full_and_whose_it_is(void **state)
{
	struct world w = world_new();

	(void)state;
	w.policy.arm = ebb_arm(0, 100);
	w.gate.run = ebb_run_word(0, ebb_run_who(1), EBB_RUN_FAILURES_MAX - 1);
	for (int i = 0; i < 3; i++)
		(void)result_of(&w, 1, 0, 0);
	assert_int_equal(ebb_run_failures(w.gate.run, 0), EBB_RUN_FAILURES_MAX);
	assert_int_equal(ebb_run_whose(w.gate.run, 0), ebb_run_who(1));
	assert_int_equal(ebb_run_failures(w.gate.run, 1), 0);
	assert_int_equal(ebb_run_whose(w.gate.run, 1), 0);
}

static void what_counts_at_the_gate_counts_for_its_pair(void **state)
{
	struct world w = world_new();

	(void)state;
	(void)result_of(&w, 1, 0, 1);
	(void)result_of(&w, 2, 0, 0);
	(void)ebb_gate_result(&w.gate, &w.verdict, &w.policy, &w.pairs[2], 2, w.now, 0, 1, 1);
	(void)result_of(&w, 1, 7, 0); /* of another generation */
	assert_int_equal(w.pairs[1].result_ok, 1);
	assert_int_equal(w.pairs[1].result_failed, 0);
	assert_int_equal(w.pairs[2].result_ok, 1);
	assert_int_equal(w.pairs[2].result_failed, 1);
	assert_int_equal(w.pairs[2].result_slow, 1);
	assert_int_equal((uint32_t)w.gate.succeeded, ebb_run_who(2));
	assert_int_equal(w.gate.succeeded >> 32, 2);
}

/* Limits are its destination's, state and probes its own. */
static void workload_that_is_apart_asks_its_own_breaker_and_the_limits_of_all(void **state)
{
	struct world w = world_new();
	struct ebb_gate own = {0};
	struct ebb_answer answer;

	(void)state;
	w.policy.limits.concurrent = 1;
	w.policy.asks = EBB_ASK_CONNECT;
	half_open(&w);
	ebb_gate_ask_as(&w.gate, &own, &w.verdict, &w.policy, &w.agent, w.now, EBB_ASKER_TCP, &answer);
	assert_int_equal(answer.kind, EBB_ANSWER_PROBE);
	assert_int_equal(own.probes[0], answer.probe_word);
	assert_int_equal(w.gate.probes[0], 0);
	assert_int_equal(w.gate.in_use, 1);
	assert_int_equal(own.in_use, 0);
	/* and a probe that the cap makes useless goes back to where it was taken */
	ebb_gate_ask_as(&w.gate, &own, &w.verdict, &w.policy, &w.agent, w.now, EBB_ASKER_TCP, &answer);
	assert_int_equal(answer.cause, EBB_CAUSE_CONCURRENCY);
	assert_int_equal(own.probes[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_gate_passes),
		cmocka_unit_test(shed_refuses_what_is_healthy_but_not_what_is_exempt),
		cmocka_unit_test(only_shed_has_a_closed_gate_asked),
		cmocka_unit_test(fuse_never_refuses_a_probe),
		cmocka_unit_test(order_open_goes_before_the_fuse_and_order_close_does_not_answer_for_it),
		cmocka_unit_test(release_answers_only_for_the_breaker),
		cmocka_unit_test(alert_changes_no_answer),
		cmocka_unit_test(fuse_is_over_with_the_lease),
		cmocka_unit_test(who_asks_without_a_result_is_noted_unless_an_operator_refuses),
		cmocka_unit_test(the_ramp_admits_the_share_of_its_time),
		cmocka_unit_test(what_the_ramp_refuses_holds_nothing_and_is_told_as_the_breakers),
		cmocka_unit_test(the_ramp_is_not_for_udp_nor_against_an_operator_nor_without_an_agent),
		cmocka_unit_test(a_ramp_that_is_configured_away_or_shortened_follows),
		cmocka_unit_test(a_kernel_that_closes_alone_begins_the_ramp),
		cmocka_unit_test(so_many_percent_of_refusals_stand),
		cmocka_unit_test(open_gate_denies_until_its_end_and_then_probes),
		cmocka_unit_test(who_is_never_a_probe_is_refused_by_an_open_gate),
		cmocka_unit_test(datagram_takes_no_slot_and_a_udp_connect_takes_one),
		cmocka_unit_test(half_open_gate_admits_no_more_than_its_probes),
		cmocka_unit_test(expired_probe_is_taken_over_and_counts_as_failed),
		cmocka_unit_test(success_after_the_lease_is_a_failure),
		cmocka_unit_test(probe_slots_of_an_earlier_generation_are_free),
		cmocka_unit_test(stale_lease_refuses_nothing_unless_told_to_hold),
		cmocka_unit_test(heartbeat_that_is_younger_than_now_is_alive),
		cmocka_unit_test(ruling_13_override_wins_and_ignores_the_lease),
		cmocka_unit_test(override_ends_by_itself),
		cmocka_unit_test(override_close_answers_only_for_the_breaker),
		cmocka_unit_test(cap_refuses_over_it_and_gives_back),
		cmocka_unit_test(cap_is_exact_for_who_loses_every_race),
		cmocka_unit_test(rate_is_exact_for_who_loses_every_race),
		cmocka_unit_test(probes_that_have_failed_admit_no_more),
		cmocka_unit_test(probe_that_the_cap_makes_useless_is_given_back),
		cmocka_unit_test(slot_given_back_twice_stays_at_zero_and_is_counted),
		cmocka_unit_test(rate_admits_its_burst_and_then_as_time_goes),
		cmocka_unit_test(connection_takes_only_its_own_token),
		cmocka_unit_test(rate_is_named_before_the_cap),
		cmocka_unit_test(who_finds_no_slot_takes_no_token),
		cmocka_unit_test(who_finds_no_token_holds_no_slot),
		cmocka_unit_test(probe_that_the_rate_makes_useless_is_given_back),
		cmocka_unit_test(refusal_by_override_or_breaker_takes_no_token),
		cmocka_unit_test(rate_without_a_lease_takes_and_refuses_nothing_unless_told_to_hold),
		cmocka_unit_test(rate_that_was_raised_soon_admits),
		cmocka_unit_test(limit_by_hand_is_stronger_while_it_lasts),
		cmocka_unit_test(limit_by_hand_does_not_ask_for_the_lease),
		cmocka_unit_test(limit_by_hand_without_an_end_stands),
		cmocka_unit_test(by_hand_none_takes_a_configured_limit_away),
		cmocka_unit_test(what_is_not_given_by_hand_stays_as_configured),
		cmocka_unit_test(nth_failure_in_a_row_opens_the_gate),
		cmocka_unit_test(success_ends_the_run),
		cmocka_unit_test(verdict_arms_over_the_policy_and_can_disarm),
		cmocka_unit_test(result_of_another_generation_moves_nothing),
		cmocka_unit_test(run_of_one_workload_does_not_open_what_served_another_last),
		cmocka_unit_test(run_of_the_workload_that_succeeded_last_opens_where_any_run_may),
		cmocka_unit_test(run_of_several_opens_where_only_mixed_runs_may),
		cmocka_unit_test(run_of_those_without_a_pair_is_mixed),
		cmocka_unit_test(success_ends_whose_run_it_was),
		cmocka_unit_test(run_that_is_full_stays_full_and_whose_it_is),
		cmocka_unit_test(what_counts_at_the_gate_counts_for_its_pair),
		cmocka_unit_test(workload_that_is_apart_asks_its_own_breaker_and_the_limits_of_all),
		cmocka_unit_test(result_without_a_probe_moves_nothing_in_half_open),
		cmocka_unit_test(kernel_leaves_the_end_of_half_open_to_a_living_agent),
		cmocka_unit_test(kernel_closes_alone_when_the_agent_is_gone),
		cmocka_unit_test(kernel_reopens_alone_when_the_agent_is_gone),
		cmocka_unit_test(kernel_does_not_move_on_counts_of_an_earlier_half_open),
		cmocka_unit_test(late_probe_of_an_earlier_generation_does_not_reset_the_counts),
		cmocka_unit_test(cap_is_exact_under_threads),
		cmocka_unit_test(rate_is_exact_under_threads),
		cmocka_unit_test(probes_are_exact_under_threads),
		cmocka_unit_test(one_probe_slot_goes_to_one_of_two),
		cmocka_unit_test(run_of_failures_pulls_once_under_threads),
		cmocka_unit_test(probe_results_are_not_lost_under_threads),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}

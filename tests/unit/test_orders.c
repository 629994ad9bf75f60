/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/gate.h, bucket.h, turn.h and what is shared in pace.h: what holds in every order of two
 * and three contexts (tests/lib/orders.h). And that this test would notice: each step that
 * changes a word is spoiled, and that must be found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/orders.h"

/* Fewer tries, so that two others are enough to lose them all. */
static int tries;
#undef EBB_CAS_TRIES
#define EBB_CAS_TRIES tries

#include "bpf/gate.h"
#include "bpf/pace.h"
#include "bpf/turn.h"
#include "core/limit.h"

#define S	      1000000000ULL
#define NOW	      (1000 * S)
#define TOKEN_NS      1000000ULL
#define UNDERFLOW     (1U << EBB_ERR_GAUGE_UNDERFLOW)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What is tried: how many, with which EBB_CAS_TRIES, and the rest as in struct orders. */
struct tried {
	const char *name;
	unsigned int contexts;
	int tries;
	void (*begin)(void);
	void (*body)(unsigned int context);
	const char *(*always)(void);
	const char *(*finally)(void);
	void (*observe)(uint64_t ret[ORDERS_OBSERVED_MAX / 8]);
};

static struct {
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	struct ebb_pair pairs[ORDERS_CONTEXTS_MAX];
	struct ebb_policy policy;
	struct ebb_agent agent;
	struct ebb_turn_state turn;
	uint32_t written; /* the end of what the program has written */
	uint32_t served;  /* another workload's success has been told */
	/* of the test; no context reads it by a step */
	uint64_t now[ORDERS_CONTEXTS_MAX];
	uint64_t latest_gen;
} w;

static struct outcome {
	struct ebb_answer answer;
	uint32_t holds;	 /* now: a slot, or a probe */
	uint32_t taken;	 /* and kept */
	uint32_t errors; /* 1 << enum ebb_error */
	uint32_t counted;
	uint32_t pulled;
	uint32_t succeeded;
	uint32_t failed;
	uint32_t served; /* it was before the last failure */
} outcomes[ORDERS_CONTEXTS_MAX];

static const struct tried *now_tried;

#define SUM(field) (outcomes[0].field + outcomes[1].field + outcomes[2].field)

static const char *word_name(size_t offset)
{
	static const struct {
		size_t offset;
		const char *name;
	} names[] = {
		{offsetof(__typeof__(w), gate.pull), "pull"},
		{offsetof(__typeof__(w), gate.run), "run"},
		{offsetof(__typeof__(w), gate.ok), "ok"},
		{offsetof(__typeof__(w), gate.failed), "failed"},
		{offsetof(__typeof__(w), gate.slow), "slow"},
		{offsetof(__typeof__(w), gate.in_use), "in_use"},
		{offsetof(__typeof__(w), gate.succeeded), "succeeded"},
		{offsetof(__typeof__(w), gate.ramp_asked), "ramp_asked"},
		{offsetof(__typeof__(w), gate.refusals), "refusals"},
		{offsetof(__typeof__(w), gate.asked_ns), "asked_ns"},
		{offsetof(__typeof__(w), gate.probe_result), "probe_result"},
		{offsetof(__typeof__(w), gate.last_failure_ns), "last_failure_ns"},
		{offsetof(__typeof__(w), gate.probes[0]), "probes[0]"},
		{offsetof(__typeof__(w), gate.probes[1]), "probes[1]"},
		{offsetof(__typeof__(w), gate.full_ns[EBB_LIMIT_CONNECTS]), "full_ns"},
		{offsetof(__typeof__(w), gate.senders), "senders"},
		{offsetof(__typeof__(w), verdict.word), "verdict"},
		{offsetof(__typeof__(w), verdict.arm), "arm"},
		{offsetof(__typeof__(w), verdict.succeeded), "verdict.succeeded"},
		{offsetof(__typeof__(w), pairs[0].result_ok), "pairs[0].ok"},
		{offsetof(__typeof__(w), pairs[1].result_ok), "pairs[1].ok"},
		{offsetof(__typeof__(w), turn.ended.word), "turn.ended"},
		{offsetof(__typeof__(w), turn.out_ns), "turn.out_ns"},
		{offsetof(__typeof__(w), written), "written"},
		{offsetof(__typeof__(w), served), "served"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].offset == offset)
			return names[i].name;
	}
	return NULL;
}

/* A closed gate, an agent that lives, and nothing limited. */
static void begin(void)
{
	memset(&w, 0, sizeof(w));
	memset(outcomes, 0, sizeof(outcomes));
	for (int i = 0; i < ORDERS_CONTEXTS_MAX; i++)
		w.now[i] = NOW;
	w.agent.heartbeat_ns = NOW;
	w.agent.lease_ns = 30 * S;
	w.policy.probes = 1;
	w.policy.close_after = 100;
	w.policy.reopen_after = 100;
	w.policy.probe_lease_ticks = (uint32_t)ebb_ns_to_ticks(10 * S);
}

static __u64 *full_ns(void)
{
	return &w.gate.full_ns[EBB_LIMIT_CONNECTS];
}

static void limit_connects(uint32_t burst)
{
	assert_int_equal(ebb_limit_make(3600 * S / TOKEN_NS, burst,
					&w.policy.limits.bucket[EBB_LIMIT_CONNECTS]),
			 0);
}

static uint64_t owed(void)
{
	return ebb_bucket_owed(*full_ns(), NOW);
}

static void ask(unsigned int context)
{
	ebb_gate_ask(&w.gate, &w.verdict, &w.policy, &w.agent, w.now[context], &outcomes[context].answer);
}

/* The slot of a pair: the first one is that of ~other. */
static uint32_t slot_of(uint32_t pair)
{
	return pair + 1;
}

static uint32_t who_is(uint32_t pair)
{
	return ebb_run_who(slot_of(pair));
}

static void result_of(unsigned int context, uint32_t pair, int ok)
{
	uint32_t did = ebb_gate_result(&w.gate, &w.verdict, &w.policy, &w.pairs[pair], slot_of(pair),
				       w.now[context], 0, ok, 1);

	outcomes[context].counted += (did & EBB_RESULT_COUNTED) != 0;
	outcomes[context].pulled += (did & EBB_RESULT_PULLED) != 0;
}

/* Each context is another workload. */
static void result(unsigned int context, int ok)
{
	result_of(context, context, ok);
}

static uint32_t probes_held(void)
{
	uint32_t held = 0;

	for (int i = 0; i < EBB_PROBES_MAX; i++)
		held += w.gate.probes[i] != 0;
	return held;
}

/* ------------------------------------------------------------- concurrency -- */

static void begin_cap_1(void)
{
	begin();
	w.policy.limits.concurrent = 1;
}

static void begin_cap_2(void)
{
	begin();
	w.policy.limits.concurrent = 2;
}

static int take_slot(unsigned int context)
{
	uint32_t errors = 0;
	int took = ebb_slot_take(&w.gate, w.policy.limits.concurrent, &errors);

	outcomes[context].holds = (uint32_t)took;
	return took;
}

/* It is held up to the step that gives it back. */
static void give_slot(unsigned int context)
{
	outcomes[context].errors |= ebb_slot_give(&w.gate);
	outcomes[context].holds = 0;
}

static void take_and_give_twice(unsigned int context)
{
	for (int i = 0; i < 2; i++) {
		if (take_slot(context))
			give_slot(context);
	}
}

static void take_and_keep(unsigned int context)
{
	(void)take_slot(context);
}

/* The first gives what it does not have. */
static void one_gives_too_much(unsigned int context)
{
	if (context == 0)
		outcomes[context].errors = ebb_slot_give(&w.gate);
	else
		take_and_give_twice(context);
}

static void all_give_too_much(unsigned int context)
{
	outcomes[context].errors = ebb_slot_give(&w.gate);
}

static const char *cap_holds(void)
{
	return SUM(holds) <= w.policy.limits.concurrent ? NULL : "more slots are held than there are";
}

static const char *slots_are_back(void)
{
	if (SUM(errors) & UNDERFLOW)
		return "a slot was given back that nobody held";
	return w.gate.in_use == 0 ? NULL : "a slot is lost: nobody holds one";
}

static const char *slots_are_held(void)
{
	uint32_t wanted = now_tried->contexts, limit = w.policy.limits.concurrent;

	if (w.gate.in_use != SUM(holds))
		return "a slot is lost: more are in use than are held";
	return SUM(holds) == (wanted < limit ? wanted : limit) ? NULL : "a free slot was refused";
}

static const char *slots_too_many_are_told(uint32_t given)
{
	uint32_t told = 0;

	for (unsigned int i = 0; i < now_tried->contexts; i++)
		told += (outcomes[i].errors & UNDERFLOW) != 0;
	if (w.gate.in_use != 0)
		return "the count of slots is wrong for good";
	return told == given ? NULL : "giving back too much is not told, or twice";
}

static const char *one_slot_too_much_is_told(void)
{
	return slots_too_many_are_told(1);
}

static const char *all_slots_too_much_are_told(void)
{
	return slots_too_many_are_told(now_tried->contexts);
}

/* ------------------------------------------------------------------ bucket -- */

static void begin_bucket(void)
{
	begin();
	limit_connects(2);
}

static int take_token(unsigned int context)
{
	uint32_t errors = 0;
	int took = ebb_token_take(&w.gate, &w.policy.limits.bucket[EBB_LIMIT_CONNECTS], w.now[context], 1,
				  &errors);

	outcomes[context].taken += (uint32_t)took;
	return took;
}

static void take_two_tokens(unsigned int context)
{
	(void)take_token(context);
	(void)take_token(context);
}

static const char *burst_holds(void)
{
	return SUM(taken) <= 2 ? NULL : "more was admitted than the burst";
}

static const char *burst_was_given(void)
{
	if (owed() != SUM(taken) * TOKEN_NS)
		return "a token is lost, or was not paid for";
	return SUM(taken) == 2 ? NULL : "a token was refused that was there";
}

/* The last comes when one token has come back. */
static void begin_bucket_later(void)
{
	begin_bucket();
	w.now[now_tried->contexts - 1] += TOKEN_NS;
}

static const char *rate_holds(void)
{
	return SUM(taken) <= 3 ? NULL : "more was admitted than burst + rate x time";
}

/* The first gives back what it got. */
static void take_and_one_refunds(unsigned int context)
{
	if (take_token(context) && context == 0) {
		ebb_bucket_refund(full_ns(), TOKEN_NS);
		outcomes[context].taken--;
	}
	if (context != 0)
		(void)take_token(context);
}

static const char *tokens_are_paid(void)
{
	return owed() == SUM(taken) * TOKEN_NS ? NULL : "a token is lost, or was not paid for";
}

/* The debt is of a limit that was there before. */
static void begin_forgive(void)
{
	begin_bucket_later();
	*full_ns() = NOW + 360000 * S;
}

static const char *forgiven_is_empty(void)
{
	return SUM(taken) <= 1 ? NULL : "what was forgiven became more than an empty bucket";
}

static const char *debt_is_forgiven(void)
{
	if (owed() < 2 * TOKEN_NS || owed() > 3 * TOKEN_NS)
		return "it is not one full burst that is owed";
	/* who saw it forgiven with the later clock found the token that time had brought */
	return NULL;
}

/* One depth each, as bytes do: what is left over is charged, borrowed, or refused. */
static void take_in_three_ways(unsigned int context)
{
	static const enum ebb_take how[] = {EBB_TAKE_STRICT, EBB_TAKE_BORROW, EBB_TAKE_CHARGE};
	static const uint64_t depth[] = {TOKEN_NS, 4 * TOKEN_NS, 2 * TOKEN_NS};
	__u64 debt;

	outcomes[context].taken =
		ebb_bucket_take(full_ns(), NOW, 3 * TOKEN_NS, depth[context], how[context], &debt) & EBB_TOOK;
}

static void observe_bucket(uint64_t ret[ORDERS_OBSERVED_MAX / 8])
{
	ret[0] = *full_ns();
	for (int i = 0; i < ORDERS_CONTEXTS_MAX; i++)
		ret[1 + i] = outcomes[i].taken;
}

/* ------------------------------------------------------------------ probes -- */

static void begin_probes_1(void)
{
	begin();
	w.verdict.word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
}

static void begin_probes_2(void)
{
	begin_probes_1();
	w.policy.probes = 2;
}

static void count_probe(unsigned int context, uint32_t did, int ok)
{
	struct outcome *outcome = &outcomes[context];

	if (!(did & EBB_RESULT_COUNTED))
		return;
	if (ok)
		outcome->succeeded++;
	else
		outcome->failed++;
}

/* Asks, and as a probe ends so. */
static void probe(unsigned int context, enum ebb_probe_end end)
{
	struct outcome *outcome = &outcomes[context];

	ask(context);
	if (outcome->answer.kind != EBB_ANSWER_PROBE)
		return;
	outcome->holds = 1;
	orders_pause();
	outcome->holds = 0;
	count_probe(context,
		    ebb_probe_finish(&w.gate, outcome->answer.probe_index, outcome->answer.probe_word,
				     w.now[context], end),
		    end == EBB_PROBE_OK);
}

static void probe_each_end(unsigned int context)
{
	static const enum ebb_probe_end ends[] = {EBB_PROBE_FAILED, EBB_PROBE_OK, EBB_PROBE_NONE};

	probe(context, ends[context]);
	if (now_tried->contexts == 2)
		probe(context, EBB_PROBE_OK);
}

static const char *probes_hold(void)
{
	return SUM(holds) <= w.policy.probes ? NULL : "more probes are in flight than there are";
}

static const char *no_probe_is_lost(void)
{
	if (probes_held())
		return "a probe slot is lost: nobody holds one";
	if (ebb_probe_succeeded(w.gate.probe_result, 2) != SUM(succeeded) ||
	    ebb_probe_failed(w.gate.probe_result, 2) != SUM(failed))
		return "the result of a probe is lost, or counted twice";
	return NULL;
}

/* There is one that ends with a result whoever comes first. */
static const char *probes_are_counted(void)
{
	if (SUM(succeeded) + SUM(failed) == 0)
		return "there was a slot, and nobody probed";
	return no_probe_is_lost();
}

/* A probe whose time is over: the first brings its success after all, the others want its slot. */
static void begin_overdue(void)
{
	begin_probes_1();
	w.gate.probes[0] = ebb_probe_slot_word(2, NOW >> EBB_TICK_SHIFT);
}

static void late_or_probe(unsigned int context)
{
	uint64_t word = ebb_probe_slot_word(2, NOW >> EBB_TICK_SHIFT);

	if (context != 0) {
		probe(context, EBB_PROBE_OK);
		return;
	}
	outcomes[0].counted = ebb_probe_finish(&w.gate, 0, word, NOW, EBB_PROBE_OK) & EBB_RESULT_COUNTED;
	/* and a second time, when its slot may be another one's */
	if (ebb_probe_finish(&w.gate, 0, word, NOW, EBB_PROBE_OK))
		outcomes[0].errors = UNDERFLOW;
}

static const char *overdue_failed_once(void)
{
	if (outcomes[0].errors)
		return "a probe ended twice";
	if (ebb_probe_failed(w.gate.probe_result, 2) != 1)
		return "the probe that was overdue is not one failed probe";
	if (ebb_probe_succeeded(w.gate.probe_result, 2) != outcomes[1].succeeded + outcomes[2].succeeded)
		return "the result of a probe is lost, or a late one counts";
	return probes_held() == 0 ? NULL : "a probe slot is lost: nobody holds one";
}

/* The agent reopens and half-opens again, while one still has a probe of before. */
static void begin_next_half_open(void)
{
	begin_probes_1();
	w.gate.probes[0] = ebb_probe_slot_word(2, (NOW >> EBB_TICK_SHIFT) + 100);
}

static void probe_over_generations(unsigned int context)
{
	if (context == 0) {
		EBB_STORE(w.verdict.word, ebb_word(4, EBB_STATE_HALF_OPEN, 0));
		probe(0, EBB_PROBE_OK);
	} else if (context == 1) {
		(void)ebb_probe_finish(&w.gate, 0, ebb_probe_slot_word(2, (NOW >> EBB_TICK_SHIFT) + 100), NOW,
				       EBB_PROBE_FAILED);
	} else {
		probe(2, EBB_PROBE_OK);
	}
}

static uint32_t probes_held_of(uint32_t gen)
{
	uint32_t held = 0;

	for (int i = 0; i < ORDERS_CONTEXTS_MAX; i++)
		held += outcomes[i].holds && outcomes[i].answer.gen == gen;
	return held;
}

static const char *each_generation_holds(void)
{
	return probes_held_of(2) <= 1 && probes_held_of(4) <= 1
		       ? NULL
		       : "more probes of a generation than there are";
}

static const char *generations_do_not_mix(void)
{
	uint32_t succeeded = outcomes[0].succeeded;

	if (outcomes[2].answer.gen == 4)
		succeeded += outcomes[2].succeeded;
	if (ebb_probe_failed(w.gate.probe_result, 4))
		return "a probe of an earlier generation counts in this one";
	if (ebb_probe_succeeded(w.gate.probe_result, 4) != succeeded)
		return "the result of a probe is lost, or of another generation";
	return probes_held() == 0 ? NULL : "a probe slot is lost: nobody holds one";
}

/* The first one's probe is established before its lease is over; the others come behind it. */
static uint64_t first_lease(void)
{
	return ebb_probe_slot_word(2, (NOW + S) >> EBB_TICK_SHIFT);
}

static void begin_prolong(void)
{
	begin_probes_1();
	w.gate.probes[0] = first_lease();
	for (unsigned int i = 1; i < ORDERS_CONTEXTS_MAX; i++)
		w.now[i] = NOW + 2 * S;
}

static uint64_t prolong(void)
{
	uint64_t word = ebb_probe_prolong(&w.gate, 0, first_lease(), ebb_ns_to_ticks(10 * S), NOW);

	outcomes[0].taken = word != 0;
	return word;
}

static void prolong_or_probe(unsigned int context)
{
	uint64_t word;

	if (context != 0) {
		probe(context, EBB_PROBE_OK);
		return;
	}
	word = prolong();
	if (!word)
		return;
	outcomes[0].holds = 1;
	orders_pause();
	outcomes[0].holds = 0;
	count_probe(0, ebb_probe_finish(&w.gate, 0, word, NOW, EBB_PROBE_OK), 1);
}

static const char *prolonged_is_lost_or_kept(void)
{
	/* lost: it failed when it was taken over */
	if (ebb_probe_failed(w.gate.probe_result, 2) != !outcomes[0].taken)
		return "the prolonged slot is lost and kept, or neither";
	if (outcomes[0].taken != outcomes[0].succeeded ||
	    ebb_probe_succeeded(w.gate.probe_result, 2) != SUM(succeeded))
		return "the result of a probe is lost, or counted twice";
	return probes_held() == 0 ? NULL : "a probe slot is lost: nobody holds one";
}

/* Its connection ends on other processors meanwhile, which know the lease of before. */
static void prolong_or_end(unsigned int context)
{
	if (context == 0)
		(void)prolong();
	else
		count_probe(context, ebb_probe_finish(&w.gate, 0, first_lease(), NOW, EBB_PROBE_FAILED), 0);
}

static const char *prolonged_or_ended(void)
{
	if (outcomes[0].taken + SUM(failed) != 1 || probes_held() != outcomes[0].taken)
		return "the probe was prolonged and ended, or neither";
	return ebb_probe_failed(w.gate.probe_result, 2) == SUM(failed)
		       ? NULL
		       : "the result of a probe is lost, or counted twice";
}

/* --------------------------------------------------------------------- ask -- */

static void begin_all_limits(void)
{
	begin();
	limit_connects(2);
	w.policy.limits.concurrent = 1;
}

static void begin_all_limits_half_open(void)
{
	begin_probes_2();
	limit_connects(1);
	w.policy.limits.concurrent = 1;
}

static void ask_and_keep(unsigned int context)
{
	ask(context);
	outcomes[context].holds = outcomes[context].answer.slot_taken;
	outcomes[context].taken = outcomes[context].answer.kind != EBB_ANSWER_DENY;
}

static void ask_and_close(unsigned int context)
{
	ask_and_keep(context);
	if (outcomes[context].holds)
		give_slot(context);
}

static const char *limits_hold(void)
{
	const char *wrong = cap_holds();

	return wrong ? wrong : burst_holds();
}

static const char *refused_hold_nothing(void)
{
	uint32_t slots = 0, probes = 0;

	for (unsigned int i = 0; i < now_tried->contexts; i++) {
		slots += outcomes[i].answer.slot_taken && outcomes[i].holds;
		probes += outcomes[i].answer.kind == EBB_ANSWER_PROBE;
		if (outcomes[i].answer.kind == EBB_ANSWER_DENY && outcomes[i].answer.slot_taken)
			return "who is refused holds a slot";
	}
	if (w.gate.in_use != slots)
		return "a slot is lost: more are in use than are held";
	if (probes_held() != probes)
		return "a probe slot is lost: who is refused holds one";
	return tokens_are_paid();
}

/* ------------------------------------------------------------------ shares -- */

#define RAMP_TICKS 1000U

/* 3/8 of the time of the ramp has passed; it closed by a transition that nobody saw, as in any generation. */
static void begin_ramp(void)
{
	begin();
	w.policy.ramp_ticks = RAMP_TICKS;
	w.verdict.word = ebb_word(3, EBB_STATE_CLOSED, (NOW >> EBB_TICK_SHIFT) + RAMP_TICKS / 8 * 5);
	/* of the last time that it closed */
	w.gate.ramp_asked = ebb_asked_word(1, 77);
}

static void ask_and_note(unsigned int context)
{
	struct outcome *outcome = &outcomes[context];

	ask(context);
	ebb_gate_note_asked(&w.gate, &outcome->answer, w.now[context]);
	outcome->counted++;
	outcome->taken += outcome->answer.kind == EBB_ANSWER_PASS;
	outcome->failed += outcome->answer.kind == EBB_ANSWER_DENY;
}

static void ask_and_note_twice(unsigned int context)
{
	ask_and_note(context);
	ask_and_note(context);
}

/* Of the first @n, with a share of 3/8 (of 2^32). */
static uint32_t admitted_of(uint32_t n)
{
	uint32_t admitted = 0;

	for (uint32_t i = 1; i <= n; i++)
		admitted += (uint32_t)ebb_share_has(i, (3ULL << 32) / 8);
	return admitted;
}

/* Who is not counted, since it lost every try, is let through. */
static const char *ramp_share_is_met(void)
{
	uint32_t asked = ebb_asked(w.gate.ramp_asked, 3);

	if (asked > SUM(counted) || SUM(taken) + SUM(failed) != SUM(counted))
		return "somebody asked twice";
	if (SUM(taken) != admitted_of(asked) + SUM(counted) - asked)
		return "it is not the share of those who asked that was let through";
	if (w.gate.asked_ns != (SUM(failed) ? NOW : 0))
		return "a refusal is not noted, or one was noted that was none";
	return NULL;
}

static const char *ramp_counts_each_once(void)
{
	if (ebb_asked(w.gate.ramp_asked, 3) != SUM(counted))
		return "one who asked is lost, or counted twice";
	return ramp_share_is_met();
}

static void begin_spare(void)
{
	begin();
	w.policy.spare_percent = 60;
}

static void be_refused_twice(unsigned int context)
{
	for (int i = 0; i < 2; i++) {
		outcomes[context].taken +=
			(uint32_t)ebb_refusal_stands(&w.gate, &w.policy, EBB_CAUSE_BREAKER);
		outcomes[context].counted++;
	}
	/* what an operator says is no part of it */
	outcomes[context].failed += !ebb_refusal_stands(&w.gate, &w.policy, EBB_CAUSE_OVERRIDE);
}

static const char *share_of_refusals_stands(void)
{
	uint32_t stand = 0;

	for (uint32_t i = 1; i <= SUM(counted); i++)
		stand += (uint32_t)ebb_share_has(i, (40ULL << 32) / 100);
	if (w.gate.refusals != SUM(counted))
		return "a refusal is lost, or asked for twice";
	return SUM(taken) == stand && !SUM(failed) ? NULL : "it is not the share of the refusals that stands";
}

/* ------------------------------------------------------------------ a run -- */

static void begin_run(uint32_t failures)
{
	begin();
	w.policy.arm = ebb_arm(failures, 5000);
}

static void begin_run_1(void)
{
	begin_run(1);
}

static void begin_run_2(void)
{
	begin_run(2);
}

static void begin_run_3(void)
{
	begin_run(3);
}

static void begin_run_4(void)
{
	begin_run(4);
}

static void fail_once(unsigned int context)
{
	result(context, 0);
}

static void fail_twice(unsigned int context)
{
	fail_once(context);
	fail_once(context);
}

static uint32_t gen_in_force(void)
{
	return ebb_word_gen(ebb_gate_word(&w.gate, &w.verdict));
}

static const char *pull_is_not_early(void)
{
	if (gen_in_force() > 1)
		return "it was opened twice";
	if (gen_in_force() == 1 && w.gate.failed < ebb_arm_failures(w.policy.arm))
		return "it was opened too early";
	return SUM(pulled) <= 1 ? NULL : "it was opened twice";
}

static const char *run_pulls_once(void)
{
	uint64_t word = ebb_gate_word(&w.gate, &w.verdict);
	uint32_t opened = ebb_word_gen(word) == 1 && ebb_word_state(word) == EBB_STATE_OPEN;

	if (w.gate.failed != SUM(counted) || w.gate.slow != SUM(counted) || w.gate.last_failure_ns != NOW)
		return "a result is lost";
	if (SUM(pulled) != opened || !opened)
		return "the run of failures did not open it, or not once";
	return NULL;
}

static const char *run_is_counted(void)
{
	if (SUM(pulled) || gen_in_force() != 0)
		return "it was opened too early";
	return ebb_run_failures(w.gate.run, 0) == now_tried->contexts ? NULL : "a failure of the run is lost";
}

/* Two of the contexts are one workload. */
static void two_of_one_fail(unsigned int context)
{
	result_of(context, context / 2, 0);
}

static void two_of_one_succeed(unsigned int context)
{
	result_of(context, context / 2, 1);
}

static const char *pairs_are_counted(void)
{
	uint64_t ok = 0, failed = 0, slow = 0;

	for (unsigned int i = 0; i < ORDERS_CONTEXTS_MAX; i++) {
		ok += w.pairs[i].result_ok;
		failed += w.pairs[i].result_failed;
		slow += w.pairs[i].result_slow;
	}
	if (ok != w.gate.ok || failed != w.gate.failed || slow != w.gate.slow || slow != SUM(counted))
		return "a result of a pair is lost, or counted twice";
	return NULL;
}

/* The run is that of the first pair, until another one fails. */
static const char *run_is_mixed_when_two_fail(void)
{
	uint32_t whose = now_tried->contexts == 2 ? who_is(0) : EBB_RUN_MIXED;

	if (ebb_run_whose(w.gate.run, 0) != whose)
		return "the run of several is said to be one workload's, or the other way round";
	return pairs_are_counted();
}

/* Who loses every try says not whose its failure is: one is not told then, but none is told of who has none. */
static const char *run_is_of_who_failed(void)
{
	uint32_t whose = ebb_run_whose(w.gate.run, 0);

	if (whose == EBB_RUN_MIXED ? !w.pairs[1].result_failed : whose != who_is(0) && whose != who_is(1))
		return "the run is said to be of who had no failure";
	return pairs_are_counted();
}

/* The last succeeds. */
static void fail_or_succeed(unsigned int context)
{
	result(context, context == now_tried->contexts - 1);
}

static void two_succeed(unsigned int context)
{
	result(context, context != 0);
}

static const char *results_are_counted(void)
{
	if (w.gate.ok + w.gate.failed != SUM(counted) || w.gate.slow != SUM(counted))
		return "a result is lost";
	return NULL;
}

/* One fails and then succeeds, the others fail. */
static void fail_and_succeed(unsigned int context)
{
	fail_once(context);
	if (context == 0)
		result(context, 1);
}

static const char *success_ends_the_run(void)
{
	if (ebb_run_failures(w.gate.run, 0) > now_tried->contexts - 1)
		return "a success did not end the run";
	return results_are_counted();
}

/* A result of a generation that is over, while the agent goes on to the next that is closed, and one fails there. */
static void begin_run_is_over(void)
{
	begin_run(5);
	w.gate.run = ebb_run_word(0, 1, 1);
}

static void fail_later(unsigned int context)
{
	if (context == 1)
		EBB_STORE(w.verdict.word, ebb_word(3, EBB_STATE_CLOSED, 0));
	outcomes[context].failed = ebb_gate_result(&w.gate, &w.verdict, &w.policy, &w.pairs[context],
						   slot_of(context), NOW, 3, 0, 0) &
				   EBB_RESULT_COUNTED;
}

static void succeed_late(unsigned int context)
{
	if (context == 0)
		result(context, 1);
	else
		fail_later(context);
}

static void fail_late(unsigned int context)
{
	if (context == 0)
		result(context, 0);
	else
		fail_later(context);
}

static const char *later_run_is_counted(void)
{
	return ebb_run_failures(w.gate.run, 3) == SUM(failed) ? NULL
							      : "a failure is lost to an earlier generation";
}

/* The run says something only while the gate is closed. */
static void observe_run(uint64_t ret[ORDERS_OBSERVED_MAX / 8])
{
	uint64_t word = ebb_gate_word(&w.gate, &w.verdict);

	ret[0] = word;
	ret[1] = ebb_word_state(word) == EBB_STATE_CLOSED ? ebb_run_failures(w.gate.run, 0) : 0;
	ret[2] = SUM(pulled);
}

/* --------------------------------------------------------- whose successes -- */

static uint64_t succeeded_word(uint32_t changes, uint32_t pair)
{
	return (uint64_t)changes << 32 | who_is(pair);
}

/* The first workload alone was served, and the agent has seen it. */
static void begin_one_was_served(void)
{
	begin_run_2();
	w.gate.succeeded = succeeded_word(1, 0);
	w.pairs[0].result_ok = 1;
	w.verdict.succeeded = w.gate.succeeded;
	w.verdict.arm = w.policy.arm;
}

/* After which a run of another one must not open the gate. */
static void be_served(unsigned int context)
{
	result(context, 1);
	EBB_STORE(w.served, 1);
}

static void fail_behind(unsigned int context)
{
	outcomes[context].served = EBB_LOAD(w.served);
	result(context, 0);
}

static void fail_or_be_served(unsigned int context)
{
	if (context == 0) {
		fail_once(0);
		fail_behind(0);
	} else {
		be_served(context);
	}
}

static void succeed_and_fail_or_be_served(unsigned int context)
{
	if (context == 0)
		result(0, 1);
	fail_or_be_served(context);
}

/* A look of the agent, as agent/tick.c has it: the gate before its pairs, the arm before what was seen. */
static void look(void)
{
	uint64_t seen = EBB_LOAD(w.gate.succeeded);
	uint64_t several = EBB_LOAD(w.pairs[1].result_ok) ? EBB_ARM_MIXED : 0;

	EBB_STORE(w.verdict.arm, w.policy.arm | several);
	EBB_STORE(w.verdict.succeeded, seen);
}

static void fail_or_be_served_or_look(unsigned int context)
{
	if (context == 2)
		look();
	else
		fail_or_be_served(context);
}

static void succeed_and_fail_or_be_served_or_look(unsigned int context)
{
	if (context == 0)
		result(0, 1);
	fail_or_be_served_or_look(context);
}

/* The pull is that of the first workload alone. */
static const char *served_are_not_shut_out(void)
{
	return SUM(pulled) && outcomes[0].served ? "one workload's run opened it while another was served"
						 : NULL;
}

/* Nobody had a success before. */
static const char *each_new_success_is_told(void)
{
	uint32_t others = 0, told = (uint32_t)(w.gate.succeeded >> 32);

	for (unsigned int i = 0; i < ORDERS_CONTEXTS_MAX; i++)
		others += w.pairs[i].result_ok != 0;
	if (told < others || told > (others > 1 ? now_tried->contexts : 1))
		return "a success of another one is not told, or one's own is";
	for (unsigned int i = 0; i < ORDERS_CONTEXTS_MAX; i++) {
		if ((uint32_t)w.gate.succeeded == who_is(i) && w.pairs[i].result_ok)
			return pairs_are_counted();
	}
	return "the last success is said to be of who had none";
}

/* -------------------------------------------------------- verdict and pull -- */

/* The agent opens by its own rules while the kernel counts to its pull. */
static void agent_opens(unsigned int context)
{
	if (context == 0) {
		EBB_STORE(w.verdict.arm, ebb_arm(1, 7000));
		EBB_STORE(w.verdict.word, ebb_word(1, EBB_STATE_OPEN, 12345));
	} else {
		fail_once(context);
	}
}

/* It is away for a while, and is two generations later. */
static void agent_goes_on(unsigned int context)
{
	if (context == 0)
		EBB_STORE(w.verdict.word, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	else
		fail_once(context);
}

/* To be in front of each look: no context goes back behind what one has seen. */
static const char *generation_does_not_go_back(void)
{
	uint32_t gen = gen_in_force();

	if (ebb_gen_after((uint32_t)w.latest_gen, gen))
		return "the generation in force went back";
	w.latest_gen = gen;
	return NULL;
}

static const char *one_opening_is_in_force(void)
{
	uint64_t word = ebb_gate_word(&w.gate, &w.verdict);

	if (ebb_word_gen(word) != 1 || ebb_word_state(word) != EBB_STATE_OPEN || SUM(pulled) > 1)
		return "it is not one opening";
	if (SUM(pulled) != (w.gate.pull != 0) || word != (SUM(pulled) ? w.gate.pull : w.verdict.word))
		return "where both moved it is not the kernel's that stands";
	return NULL;
}

static const char *later_generation_is_in_force(void)
{
	return ebb_gate_word(&w.gate, &w.verdict) == w.verdict.word && SUM(pulled) <= 1
		       ? NULL
		       : "the earlier generation is in force";
}

/* ------------------------------------------------------------------ settle -- */

static void begin_open_is_over(void)
{
	begin();
	w.verdict.word = ebb_word(1, EBB_STATE_OPEN, NOW >> EBB_TICK_SHIFT);
}

static const char *one_probes(void)
{
	uint32_t probes = 0;

	for (unsigned int i = 0; i < now_tried->contexts; i++) {
		probes += outcomes[i].answer.kind == EBB_ANSWER_PROBE;
		if (outcomes[i].answer.gen != 2)
			return "who came did not see it half-open";
	}
	if (w.gate.pull != ebb_word(2, EBB_STATE_HALF_OPEN, 0))
		return "it is not one transition";
	return probes == 1 ? NULL : "it is not one probe";
}

/* No agent: the kernel ends half-open itself. */
static void begin_alone(void)
{
	begin_probes_2();
	w.agent.heartbeat_ns = 0;
	w.policy.on_agent_loss = EBB_LOSS_HOLD;
	w.policy.close_after = 2;
	w.policy.reopen_after = 2;
	w.policy.arm = ebb_arm(5, 5000);
	w.gate.probe_result = ebb_probe_result_word(2, 1, 1);
	for (int i = 0; i < 2; i++)
		w.gate.probes[i] = ebb_probe_slot_word(2, (NOW >> EBB_TICK_SHIFT) + 100);
}

static void begin_alone_succeeded(void)
{
	begin_alone();
	w.gate.probe_result = ebb_probe_result_word(2, 2, 1);
}

static const char *one_closes(void)
{
	for (unsigned int i = 0; i < now_tried->contexts; i++) {
		if (outcomes[i].answer.gen != 3 || outcomes[i].answer.kind != EBB_ANSWER_PASS)
			return "who came did not see it closed";
	}
	return w.gate.pull == ebb_word(3, EBB_STATE_CLOSED, 0) ? NULL : "it is not one transition";
}

/* The open time is over, the probes that follow have succeeded: two transitions, the second one's place known. */
static void begin_alone_from_open(void)
{
	begin_alone_succeeded();
	w.verdict.word = ebb_word(1, EBB_STATE_OPEN, NOW >> EBB_TICK_SHIFT);
}

static void ask_twice(unsigned int context)
{
	ask(context);
	ask(context);
}

static const char *two_transitions(void)
{
	return w.gate.pull == ebb_word(3, EBB_STATE_CLOSED, 0) ? NULL : "it is not two transitions";
}

/* The two probes end, one so and one so, while somebody comes. */
static void end_alone(unsigned int context)
{
	if (context == 2)
		ask(context);
	else
		(void)ebb_probe_finish(&w.gate, context,
				       ebb_probe_slot_word(2, (NOW >> EBB_TICK_SHIFT) + 100), NOW,
				       context == 0 ? EBB_PROBE_OK : EBB_PROBE_FAILED);
}

static const char *alone_moves_by_the_counts(void)
{
	uint64_t word = ebb_gate_word(&w.gate, &w.verdict);
	uint32_t state = ebb_word_state(word);

	if (ebb_word_gen(word) == 2)
		return NULL;
	if (ebb_word_gen(word) != 3)
		return "it is not one transition";
	if (state == EBB_STATE_CLOSED ? ebb_probe_succeeded(w.gate.probe_result, 2) < 2
				      : ebb_probe_failed(w.gate.probe_result, 2) < 2)
		return "it moved without the probes that it takes";
	return NULL;
}

/* The agent makes the same move, and the next one, while others come. */
static void agent_closes(unsigned int context)
{
	if (context != 0) {
		ask(context);
		return;
	}
	EBB_STORE(w.verdict.word, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	EBB_STORE(w.verdict.word, ebb_word(3, EBB_STATE_CLOSED, 0));
}

static const char *agent_has_closed(void)
{
	for (unsigned int i = 1; i < now_tried->contexts; i++) {
		if (outcomes[i].answer.gen != 2 && outcomes[i].answer.gen != 3)
			return "who came saw it open still";
	}
	return ebb_gate_word(&w.gate, &w.verdict) == ebb_word(3, EBB_STATE_CLOSED, 0) ? NULL
										      : "it is not closed";
}

/* -------------------------------------------------------------------- pace -- */

static void send_once(unsigned int context)
{
	uint32_t epoch = 0;

	ebb_sender_count(&w.gate.senders, &epoch, NOW);
	outcomes[context].counted = epoch != 0;
}

static const char *senders_are_counted(void)
{
	return ebb_sender_number(w.gate.senders, NOW) == now_tried->contexts ? NULL : "a sender is lost";
}

/* One notes time in which the bucket was full, the others come by when the share is to be adjusted. */
static void begin_steer(void)
{
	begin();
	w.gate.share = 1000000;
	w.gate.share_base = 1000000;
	w.gate.share_at_ns = NOW - EBB_PACE_EPOCH_NS;
	w.gate.share_lost_us = 5000;
}

static void note_or_steer(unsigned int context)
{
	if (context == 0)
		ebb_pace_note_lost(&w.gate, NOW - 10000000, NOW);
	else
		ebb_pace_steer(&w.gate, 1000000, 1500, NOW, 50000000, 250000000);
}

static void observe_pace(uint64_t ret[ORDERS_OBSERVED_MAX / 8])
{
	ret[0] = w.gate.share;
	ret[1] = w.gate.share_base;
	ret[2] = w.gate.share_at_ns;
	ret[3] = w.gate.share_debt_us;
	ret[4] = w.gate.share_lost_us;
}

/* ------------------------------------------------------------------- turns -- */

/* One request was written, and a part of it was sent again. */
static void begin_first_turn(void)
{
	begin();
	w.written = 100;
	w.turn.out_ns = NOW;
}

static void begin_later_turn(void)
{
	begin_first_turn();
	w.turn.ended.seq = 50;
	w.turn.ended.count = 1;
}

static void answer(unsigned int context)
{
	outcomes[context].taken += (uint32_t)ebb_turn_take(&w.turn, 1, EBB_LOAD(w.written));
}

static void answer_twice(unsigned int context)
{
	answer(context);
	answer(context);
}

static const char *one_answer_ends_it(void)
{
	return SUM(taken) <= 1 ? NULL : "two answers ended one turn";
}

static uint32_t turns_ended(void)
{
	return w.turn.ended.count - (now_tried->begin == begin_later_turn);
}

static const char *one_turn_was_ended(void)
{
	if (SUM(taken) != 1)
		return "the turn is open still, or ended twice";
	if (turns_ended() != 1 || w.turn.out_ns)
		return "the turn that ended is not counted, or the next one begins in its time";
	return ebb_turn_is_open(&w.turn, 1, w.written) ? "it is open although it was answered" : NULL;
}

/* The program asks once more meanwhile. */
static void answer_or_write(unsigned int context)
{
	if (context == 2)
		EBB_STORE(w.written, 200);
	else
		answer(context);
}

static const char *turns_are_not_more_than_requests(void)
{
	return SUM(taken) <= 2 ? NULL : "more turns ended than there were requests";
}

static const char *ended_turns_are_counted(void)
{
	if (!SUM(taken))
		return "nobody ended the turn";
	return turns_ended() == SUM(taken) ? NULL : "a turn that ended is not counted";
}

/* ----------------------------------------------------------- what is tried -- */

/* clang-format off */

static const struct tried concurrency[] = {
	{"2 of a cap of 1", 2, 8, begin_cap_1, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"2 of a cap of 2", 2, 8, begin_cap_2, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"3 of a cap of 1", 3, 8, begin_cap_1, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"3 of a cap of 2", 3, 8, begin_cap_2, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"2 of a cap of 1, 1 try", 2, 1, begin_cap_1, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"3 of a cap of 1, 1 try", 3, 1, begin_cap_1, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"3 of a cap of 2, 1 try", 3, 1, begin_cap_2, take_and_give_twice, cap_holds, slots_are_back, NULL},
	{"3 keep, of a cap of 2", 3, 8, begin_cap_2, take_and_keep, cap_holds, slots_are_held, NULL},
	{"3 keep, of a cap of 2, 1 try", 3, 1, begin_cap_2, take_and_keep, cap_holds, slots_are_held, NULL},
	{"2, one gives too much", 2, 8, begin_cap_1, one_gives_too_much, NULL, one_slot_too_much_is_told, NULL},
	{"3, one gives too much", 3, 8, begin_cap_1, one_gives_too_much, NULL, one_slot_too_much_is_told, NULL},
	{"3 give too much", 3, 8, begin, all_give_too_much, NULL, all_slots_too_much_are_told, NULL},
};

static const struct tried bucket[] = {
	{"2 of a burst of 2", 2, 8, begin_bucket, take_two_tokens, burst_holds, burst_was_given, NULL},
	{"3 of a burst of 2", 3, 8, begin_bucket, take_two_tokens, burst_holds, burst_was_given, NULL},
	{"3 of a burst of 2, 1 try", 3, 1, begin_bucket, take_two_tokens, burst_holds, burst_was_given, NULL},
	{"2, one of them later", 2, 8, begin_bucket_later, take_two_tokens, rate_holds, NULL, NULL},
	{"3, one of them later", 3, 8, begin_bucket_later, take_two_tokens, rate_holds, NULL, NULL},
	{"3, one of them later, 1 try", 3, 1, begin_bucket_later, take_two_tokens, rate_holds, NULL, NULL},
	{"2, one refunds", 2, 8, begin_bucket, take_and_one_refunds, burst_holds, tokens_are_paid, NULL},
	{"3, one refunds", 3, 8, begin_bucket, take_and_one_refunds, burst_holds, tokens_are_paid, NULL},
	{"3, one refunds, 1 try", 3, 1, begin_bucket, take_and_one_refunds, burst_holds, tokens_are_paid, NULL},
	{"2 forgive", 2, 8, begin_forgive, take_two_tokens, forgiven_is_empty, debt_is_forgiven, NULL},
	{"3 forgive", 3, 8, begin_forgive, take_two_tokens, forgiven_is_empty, debt_is_forgiven, NULL},
	{"strict, borrow, charge", 3, 8, begin, take_in_three_ways, NULL, NULL, observe_bucket},
	{"strict, borrow, charge, 1 try", 3, 1, begin, take_in_three_ways, NULL, NULL, observe_bucket},
};

static const struct tried probes[] = {
	{"2 of 1 probe, twice", 2, 8, begin_probes_1, probe_each_end, probes_hold, probes_are_counted, NULL},
	{"3 of 1 probe", 3, 8, begin_probes_1, probe_each_end, probes_hold, no_probe_is_lost, NULL},
	{"3 of 2 probes", 3, 8, begin_probes_2, probe_each_end, probes_hold, probes_are_counted, NULL},
	{"2: overdue, taken over", 2, 8, begin_overdue, late_or_probe, probes_hold, overdue_failed_once, NULL},
	{"3: overdue, taken over", 3, 8, begin_overdue, late_or_probe, probes_hold, overdue_failed_once, NULL},
	{"1 prolongs, 1 takes over", 2, 8, begin_prolong, prolong_or_probe, probes_hold, prolonged_is_lost_or_kept, NULL},
	{"1 prolongs, 2 take over", 3, 8, begin_prolong, prolong_or_probe, probes_hold, prolonged_is_lost_or_kept, NULL},
	{"1 prolongs, 1 ends", 2, 8, begin_prolong, prolong_or_end, NULL, prolonged_or_ended, NULL},
	{"1 prolongs, 2 end", 3, 8, begin_prolong, prolong_or_end, NULL, prolonged_or_ended, NULL},
	{"3 over two generations", 3, 8, begin_next_half_open, probe_over_generations, each_generation_holds, generations_do_not_mix, NULL},
};

static const struct tried asks[] = {
	{"2 ask, and keep", 2, 8, begin_all_limits, ask_and_keep, limits_hold, refused_hold_nothing, NULL},
	{"3 ask, and close", 3, 8, begin_all_limits, ask_and_close, limits_hold, refused_hold_nothing, NULL},
	{"3 ask, and close, 1 try", 3, 1, begin_all_limits, ask_and_close, limits_hold, refused_hold_nothing, NULL},
	{"2 probes under limits", 2, 8, begin_all_limits_half_open, ask_and_keep, limits_hold, refused_hold_nothing, NULL},
	{"3 of 2 probes under limits", 3, 8, begin_all_limits_half_open, ask_and_keep, limits_hold, refused_hold_nothing, NULL},
};

static const struct tried shares[] = {
	{"2 ask twice while the share grows", 2, 8, begin_ramp, ask_and_note_twice, NULL, ramp_counts_each_once, NULL},
	{"3 ask while the share grows", 3, 8, begin_ramp, ask_and_note, NULL, ramp_counts_each_once, NULL},
	{"3 ask twice while the share grows, 1 try", 3, 1, begin_ramp, ask_and_note_twice, NULL, ramp_share_is_met, NULL},
	{"2 are refused twice", 2, 8, begin_spare, be_refused_twice, NULL, share_of_refusals_stands, NULL},
	{"3 are refused twice", 3, 8, begin_spare, be_refused_twice, NULL, share_of_refusals_stands, NULL},
};

static const struct tried run[] = {
	{"2 fail, a run of 1", 2, 8, begin_run_1, fail_once, pull_is_not_early, run_pulls_once, NULL},
	{"2 fail, a run of 2", 2, 8, begin_run_2, fail_once, pull_is_not_early, run_pulls_once, NULL},
	{"2 fail twice, a run of 4", 2, 8, begin_run_4, fail_twice, pull_is_not_early, run_pulls_once, NULL},
	{"3 fail, a run of 2", 3, 8, begin_run_2, fail_once, pull_is_not_early, run_pulls_once, NULL},
	{"3 fail, a run of 3", 3, 8, begin_run_3, fail_once, pull_is_not_early, run_pulls_once, NULL},
	{"3 fail, a run of 3, 1 try", 3, 1, begin_run_3, fail_once, pull_is_not_early, run_pulls_once, NULL},
	{"3 fail, a run of 4", 3, 8, begin_run_4, fail_once, pull_is_not_early, run_is_counted, NULL},
	{"3 fail, a run of 4, 1 try", 3, 1, begin_run_4, fail_once, pull_is_not_early, run_is_counted, NULL},
	{"1 fails, 1 succeeds, a run of 2", 2, 8, begin_run_2, fail_or_succeed, pull_is_not_early, results_are_counted, observe_run},
	{"2 fail, 1 succeeds, a run of 2", 3, 8, begin_run_2, fail_or_succeed, pull_is_not_early, results_are_counted, observe_run},
	{"2 fail, 1 succeeds, a run of 3", 3, 8, begin_run_3, fail_or_succeed, pull_is_not_early, results_are_counted, observe_run},
	{"1 fails, 2 succeed, a run of 2", 3, 8, begin_run_2, two_succeed, pull_is_not_early, results_are_counted, observe_run},
	{"1 fails and succeeds, 1 fails", 2, 8, begin_run_4, fail_and_succeed, pull_is_not_early, success_ends_the_run, NULL},
	{"1 fails and succeeds, 2 fail", 3, 8, begin_run_4, fail_and_succeed, pull_is_not_early, success_ends_the_run, NULL},
	{"1 succeeds too late, 1 fails", 2, 8, begin_run_is_over, succeed_late, NULL, later_run_is_counted, NULL},
	{"1 succeeds too late, 2 fail", 3, 8, begin_run_is_over, succeed_late, NULL, later_run_is_counted, NULL},
	{"1 fails too late, 1 fails", 2, 8, begin_run_is_over, fail_late, NULL, later_run_is_counted, NULL},
	{"1 fails too late, 2 fail", 3, 8, begin_run_is_over, fail_late, NULL, later_run_is_counted, NULL},
};

static const struct tried whose[] = {
	{"2 of one fail", 2, 8, begin_run_4, two_of_one_fail, pull_is_not_early, run_is_mixed_when_two_fail, NULL},
	{"2 of one and 1 other fail", 3, 8, begin_run_4, two_of_one_fail, pull_is_not_early, run_is_mixed_when_two_fail, NULL},
	{"2 of one and 1 other fail, 1 try", 3, 1, begin_run_4, two_of_one_fail, pull_is_not_early, run_is_of_who_failed, NULL},
	{"2 of one succeed", 2, 8, begin, two_of_one_succeed, NULL, each_new_success_is_told, NULL},
	{"2 of one and 1 other succeed", 3, 8, begin, two_of_one_succeed, NULL, each_new_success_is_told, NULL},
	{"3 succeed", 3, 8, begin, be_served, NULL, each_new_success_is_told, NULL},
	{"1 fails twice, 1 succeeds", 2, 8, begin_one_was_served, fail_or_be_served, NULL, served_are_not_shut_out, NULL},
	{"1 fails twice, 2 succeed", 3, 8, begin_one_was_served, fail_or_be_served, NULL, served_are_not_shut_out, NULL},
	{"1 succeeds and fails twice, 1 succeeds", 2, 8, begin_one_was_served, succeed_and_fail_or_be_served, NULL, served_are_not_shut_out, NULL},
	{"the same, nobody had one before", 2, 8, begin_run_2, succeed_and_fail_or_be_served, NULL, served_are_not_shut_out, NULL},
	{"1 fails twice, 1 succeeds, the agent looks", 3, 8, begin_one_was_served, fail_or_be_served_or_look, NULL, served_are_not_shut_out, NULL},
	{"1 succeeds and fails twice, 1 succeeds, the agent looks", 3, 8, begin_one_was_served, succeed_and_fail_or_be_served_or_look, NULL, served_are_not_shut_out, NULL},
	{"the same, nobody had one before, the agent looks", 3, 8, begin_run_2, succeed_and_fail_or_be_served_or_look, NULL, served_are_not_shut_out, NULL},
};

static const struct tried words[] = {
	{"the agent opens, a run of 1", 2, 8, begin_run_1, agent_opens, generation_does_not_go_back, one_opening_is_in_force, NULL},
	{"the agent opens, a run of 2", 3, 8, begin_run_2, agent_opens, generation_does_not_go_back, one_opening_is_in_force, NULL},
	{"the agent is later, a run of 2", 3, 8, begin_run_2, agent_goes_on, generation_does_not_go_back, later_generation_is_in_force, NULL},
	{"2 come when open is over", 2, 8, begin_open_is_over, ask, generation_does_not_go_back, one_probes, NULL},
	{"3 come when open is over", 3, 8, begin_open_is_over, ask, generation_does_not_go_back, one_probes, NULL},
	{"3 come, no agent", 3, 8, begin_alone_succeeded, ask, generation_does_not_go_back, one_closes, NULL},
	{"2 come twice when open is over, no agent", 2, 8, begin_alone_from_open, ask_twice, generation_does_not_go_back, two_transitions, NULL},
	{"probes end, one comes, no agent", 3, 8, begin_alone, end_alone, generation_does_not_go_back, alone_moves_by_the_counts, NULL},
	{"the agent closes, 1 comes", 2, 8, begin_open_is_over, agent_closes, generation_does_not_go_back, agent_has_closed, NULL},
	{"the agent closes, 2 come", 3, 8, begin_open_is_over, agent_closes, generation_does_not_go_back, agent_has_closed, NULL},
};

static const struct tried pace[] = {
	{"2 send", 2, 8, begin, send_once, NULL, senders_are_counted, NULL},
	{"3 send", 3, 8, begin, send_once, NULL, senders_are_counted, NULL},
	{"1 notes, 1 steers", 2, 8, begin_steer, note_or_steer, NULL, NULL, observe_pace},
	{"1 notes, 2 steer", 3, 8, begin_steer, note_or_steer, NULL, NULL, observe_pace},
};

static const struct tried turns[] = {
	{"2 answers to the first request", 2, 8, begin_first_turn, answer, one_answer_ends_it, one_turn_was_ended, NULL},
	{"3 answers to the first request", 3, 8, begin_first_turn, answer_twice, one_answer_ends_it, one_turn_was_ended, NULL},
	{"2 answers to a later request", 2, 8, begin_later_turn, answer, one_answer_ends_it, one_turn_was_ended, NULL},
	{"3 answers to a later request", 3, 8, begin_later_turn, answer_twice, one_answer_ends_it, one_turn_was_ended, NULL},
	{"2 answers, and a request between", 3, 8, begin_first_turn, answer_or_write, turns_are_not_more_than_requests, ended_turns_are_counted, NULL},
};

static const struct {
	const struct tried *tried;
	size_t count;
} all[] = {
	{concurrency, ARRAY_SIZE(concurrency)},
	{bucket, ARRAY_SIZE(bucket)},
	{probes, ARRAY_SIZE(probes)},
	{asks, ARRAY_SIZE(asks)},
	{shares, ARRAY_SIZE(shares)},
	{run, ARRAY_SIZE(run)},
	{whose, ARRAY_SIZE(whose)},
	{words, ARRAY_SIZE(words)},
	{pace, ARRAY_SIZE(pace)},
	{turns, ARRAY_SIZE(turns)},
};

/* clang-format on */

static struct orders_report report;

static void tell_wrong(const struct orders *orders, const struct orders_plant *plant)
{
	orders_tell(orders, plant, &report);
	printf("# %s: %s, with %u preemptions:\n", orders->name, report.wrong, report.preemptions);
	for (const char *line = report.schedule; *line; line += strcspn(line, "\n") + 1)
		printf("# %.*s\n", (int)strcspn(line, "\n"), line);
}

static void try(const struct tried *tried, const struct orders_plant *plant, bool tells)
{
	const struct orders orders = {
		.name = tried->name,
		.contexts = tried->contexts,
		.world = &w,
		.world_size = sizeof(w),
		.outcomes = outcomes,
		.outcome_size = sizeof(outcomes[0]),
		.word = word_name,
		.begin = tried->begin,
		.body = tried->body,
		.always = tried->always,
		.finally = tried->finally,
		.observe = tried->observe,
	};

	tries = tried->tries;
	now_tried = tried;
	orders_try(&orders, plant, &report);
	if (tells && report.wrong)
		tell_wrong(&orders, plant);
}

static void hold(const struct tried *tried, size_t count)
{
	bool wrong = false;

	for (size_t i = 0; i < count; i++) {
		try(&tried[i], NULL, true);
		if (!report.wrong)
			printf("# %s: %.6g orders, %" PRIu64 " states\n", tried[i].name, report.orders,
			       report.states);
		wrong = wrong || report.wrong;
	}
	assert_false(wrong);
}

#define HOLD(name, table)                       \
	static void name(void **state)          \
	{                                       \
		(void)state;                    \
		hold(table, ARRAY_SIZE(table)); \
	}

HOLD(slots_are_never_over_the_cap_and_none_is_lost, concurrency)
HOLD(bucket_admits_its_burst_and_no_token_is_lost, bucket)
HOLD(probes_are_never_too_many_and_none_is_lost, probes)
HOLD(who_is_refused_holds_nothing, asks)
HOLD(share_of_those_who_ask_is_met_and_each_counts_once, shares)
HOLD(run_of_failures_opens_once, run)
HOLD(run_of_one_does_not_shut_out_who_is_served, whose)
HOLD(one_word_is_in_force, words)
HOLD(pace_is_steered_by_one_and_no_sender_is_lost, pace)
HOLD(one_answer_ends_a_turn, turns)

/* ----------------------------------------------------------------- planted -- */

static const char *const defects[] = {
	[ORDERS_TORN] = "in two steps",
	[ORDERS_BLIND] = "without comparing",
	[ORDERS_DROPPED] = "left out",
};

/* The steps of the code, not those of this test. */
static bool is_of_the_code(const struct orders_site *site)
{
	return strstr(site->file, "bpf/") != NULL;
}

#define TRIED_MAX 128

/* By site and by what is tried: does it come by? And how many states there are. */
static struct {
	const struct tried *tried;
	uint64_t states;
	bool comes_by[TRIED_MAX];
} known[TRIED_MAX];

static size_t know_all(void)
{
	struct orders_site *const *sites;
	size_t count = orders_sites(&sites), number = 0;

	assert_true(count < TRIED_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		for (size_t j = 0; j < all[i].count; j++) {
			assert_true(number < TRIED_MAX);
			try(&all[i].tried[j], NULL, false);
			known[number].tried = &all[i].tried[j];
			known[number].states = report.states;
			for (size_t k = 0; k < count; k++)
				known[number].comes_by[k] = sites[k]->came_by;
			number++;
		}
	}
	return number;
}

/* The smallest first. */
static int compare_known(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)((const char *)a + offsetof(__typeof__(known[0]), states));
	uint64_t y = *(const uint64_t *)((const char *)b + offsetof(__typeof__(known[0]), states));

	return x < y ? -1 : x > y;
}

static bool is_found(size_t site, const struct orders_plant *plant, size_t number)
{
	for (size_t i = 0; i < number; i++) {
		if (!known[i].comes_by[site])
			continue;
		try(known[i].tried, plant, false);
		if (report.wrong)
			return true;
	}
	return false;
}

static void every_spoiled_step_is_found(void **state)
{
	struct orders_site *const *sites;
	size_t count = orders_sites(&sites), wrong = 0, planted = 0, number = know_all();

	(void)state;
	qsort(known, number, sizeof(known[0]), compare_known);
	for (size_t i = 0; i < count; i++) {
		for (int defect = 0; defect < ORDERS_DEFECTS && is_of_the_code(sites[i]); defect++) {
			struct orders_plant plant = {sites[i], (enum orders_defect)defect};

			if (!orders_site_can(sites[i], plant.defect))
				continue;
			planted++;
			if (is_found(i, &plant, number))
				continue;
			wrong++;
			printf("# not found: %s:%u %s(), %s, %s\n", sites[i]->file, sites[i]->line,
			       sites[i]->function, sites[i]->word, defects[defect]);
		}
	}
	printf("# %zu defects\n", planted);
	assert_int_equal(wrong, 0);
}

/* A change of a shared word that stands in a header is one that was planted into above. */
static void no_step_of_the_headers_is_left_out(void **state)
{
	static const char *const headers[] = {"bpf/gate.h", "bpf/bucket.h", "bpf/pace.h", "bpf/turn.h"};
	static const char *const steps[] = {"EBB_STORE(", "EBB_CAS(", "EBB_ADD(",
					    "EBB_AND(",	  "EBB_OR(",  "EBB_EXCHANGE("};
	struct orders_site *const *sites;
	size_t count = orders_sites(&sites), wrong = 0;
	char line[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		FILE *file = fopen(headers[i], "r");

		assert_non_null(file);
		for (uint32_t number = 1; fgets(line, sizeof(line), file); number++) {
			size_t in_line = 0, known_here = 0;

			for (size_t j = 0; j < ARRAY_SIZE(steps); j++)
				in_line += strstr(line, steps[j]) != NULL;
			for (size_t j = 0; j < count; j++)
				known_here += sites[j]->line == number && strstr(sites[j]->file, headers[i]);
			if (known_here < in_line)
				printf("# %s:%u is tried in no order\n", headers[i], number);
			wrong += known_here < in_line;
		}
		(void)fclose(file);
	}
	assert_int_equal(wrong, 0);
}

static const struct tried *named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		for (size_t j = 0; j < all[i].count; j++) {
			if (strcmp(all[i].tried[j].name, name) == 0)
				return &all[i].tried[j];
		}
	}
	fail_msg("nothing is called '%s'", name);
	return NULL;
}

static void find_planted(const char *name, const char *function, enum orders_kind kind,
			 enum orders_defect defect)
{
	struct orders_site *const *sites;
	size_t count = orders_sites(&sites), found = 0;
	const struct tried *tried = named(name);

	for (size_t i = 0; i < count; i++) {
		struct orders_plant plant = {sites[i], defect};

		if (strcmp(sites[i]->function, function) != 0 || sites[i]->kind != (uint32_t)kind)
			continue;
		try(tried, &plant, false);
		if (!report.wrong)
			continue;
		printf("# planted: %s:%u %s(), %s, %s\n", sites[i]->file, sites[i]->line, function,
		       sites[i]->word, defects[defect]);
		try(tried, &plant, true);
		found++;
	}
	assert_int_not_equal(found, 0);
}

static void lost_slot_is_found(void **state)
{
	(void)state;
	/* given back by a load and a store */
	find_planted("2 of a cap of 2", "ebb_slot_give", ORDERS_ADD, ORDERS_TORN);
	/* no undo after the add that went over */
	find_planted("3 of a cap of 2, 1 try", "ebb_slot_add", ORDERS_ADD, ORDERS_DROPPED);
	/* taken without a comparison */
	find_planted("2 of a cap of 1", "ebb_slot_try", ORDERS_CAS, ORDERS_BLIND);
}

static void double_pull_is_found(void **state)
{
	(void)state;
	find_planted("2 fail, a run of 1", "ebb_gate_result", ORDERS_CAS, ORDERS_TORN);
	find_planted("2 fail, a run of 1", "ebb_gate_result", ORDERS_CAS, ORDERS_BLIND);
}

static void lost_probe_is_found(void **state)
{
	(void)state;
	/* two take the same slot, one of them is lost */
	find_planted("3 of 1 probe", "ebb_probe_slot_take", ORDERS_CAS, ORDERS_TORN);
	/* given back although it was taken over */
	find_planted("2: overdue, taken over", "ebb_probe_finish", ORDERS_CAS, ORDERS_BLIND);
	/* its result is lost */
	find_planted("3 of 2 probes", "ebb_probe_count", ORDERS_CAS, ORDERS_TORN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_never_over_the_cap_and_none_is_lost),
		cmocka_unit_test(bucket_admits_its_burst_and_no_token_is_lost),
		cmocka_unit_test(probes_are_never_too_many_and_none_is_lost),
		cmocka_unit_test(who_is_refused_holds_nothing),
		cmocka_unit_test(share_of_those_who_ask_is_met_and_each_counts_once),
		cmocka_unit_test(run_of_failures_opens_once),
		cmocka_unit_test(run_of_one_does_not_shut_out_who_is_served),
		cmocka_unit_test(one_word_is_in_force),
		cmocka_unit_test(pace_is_steered_by_one_and_no_sender_is_lost),
		cmocka_unit_test(one_answer_ends_a_turn),
		cmocka_unit_test(lost_slot_is_found),
		cmocka_unit_test(double_pull_is_found),
		cmocka_unit_test(lost_probe_is_found),
		cmocka_unit_test(every_spoiled_step_is_found),
		cmocka_unit_test(no_step_of_the_headers_is_left_out),
	};

	return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/gate.h under 64 threads that ask, fail, succeed and close, while one more is the agent
 * and the operator: it moves the verdict, gives and takes orders, changes limits. A clock
 * that all share is turned with each change. Also built with the thread sanitizer (make tsan).
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/gate.h"
#include "core/limit.h"

#define THREADS	      64
#define ASKS	      20000 /* of a thread */
#define CHANGES	      2000
#define ASKS_A_CHANGE (THREADS * ASKS / CHANGES)
#define STEP_NS	      400000ULL /* all of them are less than EBB_BUCKET_LATE_NS: a thread may sleep through them */
#define START_NS      1000000000000ULL
#define CAP_MAX	      16
#define PROBES	      3
#define BURST	      50
#define TOKEN_NS      2000ULL
#define GENERATIONS   (CHANGES + 64 * CHANGES) /* more than there can be */

static struct {
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	struct ebb_pair pair;
	struct ebb_policy policy;
	struct ebb_agent agent;
	uint64_t now;
	uint64_t changes; /* that were made */

	/* what the threads found; changed atomically */
	uint64_t asked;
	uint64_t holds;
	uint64_t over;	 /* moments at which more was held than allowed */
	uint64_t back;	 /* times that the generation in force went back */
	uint64_t unjust; /* refusals that hold something */
	uint64_t counted;
	uint64_t pulled;
	uint64_t admitted;
	uint64_t probed;
	uint64_t refused[EBB_CAUSE_MAX];
	uint64_t exhausted;
	uint64_t underflow;
	uint32_t probes_of[GENERATIONS]; /* in flight */
} w;

_Static_assert(STEP_NS *CHANGES < EBB_BUCKET_LATE_NS, "no clock may be older");

static uint64_t read_word(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void add(uint64_t *counter, uint64_t amount)
{
	(void)__atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static uint32_t roll(uint32_t *io_seed, uint32_t sides)
{
	*io_seed = *io_seed * 1664525U + 1013904223U;
	return (*io_seed >> 16) % sides;
}

static void count_errors(uint32_t errors)
{
	if (errors & 1U << EBB_ERR_CAS_EXHAUSTED)
		add(&w.exhausted, 1);
	if (errors & 1U << EBB_ERR_GAUGE_UNDERFLOW)
		add(&w.underflow, 1);
}

static void end_probe(const struct ebb_answer *answer, uint32_t *io_seed)
{
	static const enum ebb_probe_end ends[] = {EBB_PROBE_OK, EBB_PROBE_OK, EBB_PROBE_FAILED,
						  EBB_PROBE_NONE};
	uint32_t *in_flight = &w.probes_of[answer->gen];

	add(&w.probed, 1);
	if (__atomic_add_fetch(in_flight, 1, __ATOMIC_SEQ_CST) > PROBES)
		add(&w.over, 1);
	(void)sched_yield();
	(void)__atomic_fetch_sub(in_flight, 1, __ATOMIC_SEQ_CST);
	(void)ebb_probe_finish(&w.gate, answer->probe_index, answer->probe_word, read_word(&w.now),
			       ends[roll(io_seed, 4)]);
}

static void end_connection(const struct ebb_answer *answer, uint32_t *io_seed)
{
	uint32_t did;

	if (answer->kind == EBB_ANSWER_PROBE) {
		end_probe(answer, io_seed);
	} else if (!answer->mute) {
		did = ebb_gate_result(&w.gate, &w.verdict, &w.policy, &w.pair, EBB_SLOT_OTHER,
				      read_word(&w.now), answer->gen, roll(io_seed, 4) != 0,
				      roll(io_seed, 8) == 0);
		add(&w.counted, (did & EBB_RESULT_COUNTED) != 0);
		add(&w.pulled, (did & EBB_RESULT_PULLED) != 0);
	}
	if (answer->slot_taken) {
		(void)__atomic_fetch_sub(&w.holds, 1, __ATOMIC_SEQ_CST);
		count_errors(ebb_slot_give(&w.gate));
	}
}

static void *be_a_client(void *argument)
{
	uint32_t seed = (uint32_t)(uintptr_t)argument, latest = 0;
	struct ebb_answer answer;

	for (int i = 0; i < ASKS; i++) {
		/* neither side runs away from the other */
		while (read_word(&w.asked) > (read_word(&w.changes) + 1) * ASKS_A_CHANGE)
			(void)sched_yield();
		ebb_gate_ask(&w.gate, &w.verdict, &w.policy, &w.agent, read_word(&w.now), &answer);
		add(&w.asked, 1);
		count_errors(answer.errors);
		if (ebb_gen_after(latest, answer.gen))
			add(&w.back, 1);
		latest = answer.gen;
		if (answer.kind == EBB_ANSWER_DENY) {
			add(&w.unjust, answer.slot_taken);
			add(&w.refused[answer.cause], 1);
			continue;
		}
		add(&w.admitted, 1);
		if (answer.slot_taken && __atomic_add_fetch(&w.holds, 1, __ATOMIC_SEQ_CST) > CAP_MAX)
			add(&w.over, 1);
		if (roll(&seed, 16) == 0)
			(void)sched_yield();
		end_connection(&answer, &seed);
	}
	return NULL;
}

/* As the agent's tick: what the kernel pulled is taken over, then the state moves on. */
static void move_verdict(uint32_t *io_seed)
{
	uint64_t word = ebb_gate_word(&w.gate, &w.verdict);
	uint32_t gen = ebb_gen_next(ebb_word_gen(word)), state = ebb_word_state(word);
	uint64_t until = (read_word(&w.now) >> EBB_TICK_SHIFT) + 3;

	EBB_STORE(w.verdict.word, word);
	if (roll(io_seed, state == EBB_STATE_CLOSED ? 8 : 2))
		return;
	if (state == EBB_STATE_CLOSED)
		word = ebb_word(gen, EBB_STATE_OPEN, until);
	else if (state == EBB_STATE_OPEN)
		word = ebb_word(gen, EBB_STATE_HALF_OPEN, 0);
	else
		word = ebb_word(gen, roll(io_seed, 2) ? EBB_STATE_CLOSED : EBB_STATE_OPEN, until);
	EBB_STORE(w.verdict.arm, ebb_arm(3 + roll(io_seed, 8), 2));
	EBB_STORE(w.verdict.word, word);
}

static void give_order(uint32_t *io_seed)
{
	EBB_STORE(w.policy.override_state, EBB_OVERRIDE_AUTO);
	EBB_STORE(w.policy.override_until_ns, read_word(&w.now) + 2 * STEP_NS);
	/* mostly none: what is refused by order tries nothing else */
	EBB_STORE(w.policy.override_state, roll(io_seed, 8) ? EBB_OVERRIDE_AUTO : 1 + roll(io_seed, 2));
}

static void change_limits(uint32_t *io_seed)
{
	EBB_STORE(w.policy.limits.concurrent, CAP_MAX - roll(io_seed, CAP_MAX));
	EBB_STORE(w.policy.by_hand.concurrent, 1 + roll(io_seed, CAP_MAX));
	EBB_STORE(w.policy.by_hand_until_ns, read_word(&w.now) + 2 * STEP_NS);
	EBB_STORE(w.policy.by_hand.given, roll(io_seed, 2) ? EBB_GIVEN_CONCURRENT : 0);
	EBB_STORE(w.policy.arm, ebb_arm(3 + roll(io_seed, 8), 1));
}

/* Away for a while, the kernel ends half-open alone. */
static void come_and_go(uint32_t *io_seed)
{
	uint64_t now = read_word(&w.now);

	EBB_STORE(w.agent.heartbeat_ns, roll(io_seed, 4) ? now : now - 2 * EBB_AGENT_ABSENT_NS);
}

static void *be_the_agent(void *argument)
{
	uint32_t seed = 12345;

	for (uint64_t i = 1; i <= CHANGES; i++) {
		while (read_word(&w.asked) < (i - 1) * ASKS_A_CHANGE)
			(void)sched_yield();
		move_verdict(&seed);
		give_order(&seed);
		change_limits(&seed);
		come_and_go(&seed);
		add(&w.now, STEP_NS);
		add(&w.changes, 1);
	}
	return argument;
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.now = START_NS;
	w.agent.heartbeat_ns = START_NS;
	w.agent.lease_ns = 3600000000000ULL;
	w.policy.probes = PROBES;
	w.policy.close_after = 2;
	w.policy.reopen_after = 3;
	w.policy.probe_lease_ticks = (uint32_t)ebb_ns_to_ticks(10000000000ULL);
	w.policy.arm = ebb_arm(5, 1);
	w.policy.limits.concurrent = CAP_MAX;
	assert_int_equal(ebb_limit_make(3600000000000ULL / TOKEN_NS, BURST,
					&w.policy.limits.bucket[EBB_LIMIT_CONNECTS]),
			 0);
	ebb_limits_summarize(&w.policy);
}

static void limits_hold_and_nothing_is_lost_under_64_threads(void **state)
{
	pthread_t clients[THREADS], agent;

	(void)state;
	begin();
	assert_int_equal(pthread_create(&agent, NULL, be_the_agent, NULL), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&clients[i], NULL, be_a_client, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(clients[i], NULL), 0);
	assert_int_equal(pthread_join(agent, NULL), 0);

	/* while they ran */
	assert_int_equal(w.over, 0);
	assert_int_equal(w.back, 0);
	assert_int_equal(w.unjust, 0);
	assert_true(w.admitted <= BURST + (w.now - START_NS) / TOKEN_NS + w.exhausted);
	/* and now that all have gone */
	assert_int_equal(w.gate.in_use, 0);
	assert_int_equal(w.underflow, 0);
	for (int i = 0; i < EBB_PROBES_MAX; i++)
		assert_int_equal(w.gate.probes[i], 0);
	assert_int_equal(w.gate.ok + w.gate.failed, w.counted);
	assert_true(w.gate.slow <= w.counted);
	/* and each way was gone */
	assert_true(w.pulled > 0);
	assert_true(w.probed > 0);
	assert_true(w.refused[EBB_CAUSE_OVERRIDE] > 0);
	assert_true(w.refused[EBB_CAUSE_BREAKER] > 0);
	assert_true(w.refused[EBB_CAUSE_HALF_OPEN] > 0);
	assert_true(w.refused[EBB_CAUSE_RATE] > 0);
	assert_true(w.refused[EBB_CAUSE_CONCURRENCY] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_hold_and_nothing_is_lost_under_64_threads),
	};

	return cmocka_run_group_tests_name("gate_threads", tests, NULL, NULL);
}

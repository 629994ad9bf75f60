/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at all gates asks for no memory and for nothing of the kernel, whatever moves: so it cannot fail, and it costs the same
 * when a node is in trouble. Were there such a call it would fail here, and be counted.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/tick.h"
#include "bpf/gate.h"
#include "tests/lib/fake_view.h"
#include "tests/lib/faults.h"

#define S     1000000000ULL
#define MS    1000000ULL
#define DSTS  64
#define TICKS 3000 /* of 100 ms */

struct seen {
	unsigned int moves[EBB_REASON_MAX], fuse;
};

static void on_move(void *userdata, const struct ebb_move *move)
{
	struct seen *seen = userdata;

	seen->moves[move->transition.reason]++;
}

static void on_fuse(void *userdata, const struct ebb_fuse_move *move)
{
	struct seen *seen = userdata;

	(void)move;
	seen->fuse++;
}

static void fill(struct ebb_view *view, const struct ebb_breaker_config *config)
{
	for (uint32_t d = 1; d < DSTS; d++) {
		ebb_policy_to_kernel(config, &view->policies[d]);
		view->dsts[d].endpoint.addr[15] = (uint8_t)d;
		view->dsts[d].scope = EBB_SCOPE_NODE;
		view->dsts[d].state = EBB_SLOT_LIVE;
		view->pairs[d].workload = 77;
		view->pairs[d].dst = d;
		view->pairs[d].gate = d;
		view->pairs[d].state = EBB_SLOT_LIVE;
	}
	view->kernel->dst_high = DSTS - 1;
	view->kernel->pair_high = DSTS - 1;
	view->agent->lease_ns = 30 * S;
}

/* One call to each, which fails for a minute of each three, at half of them by its rate and not in a row. */
static void traffic(const struct ebb_view *view, uint64_t now_ns, unsigned int i)
{
	for (uint32_t d = 1; d < DSTS; d++) {
		struct ebb_gate *gate = &view->gates[d];
		struct ebb_answer answer;
		int ok = (i / 600 + d) % 3 != 0 || (d % 2 && i % 3 == 0);

		ebb_gate_ask(gate, &view->verdicts[d], &view->policies[d], view->agent, now_ns, &answer);
		if (answer.kind == EBB_ANSWER_PASS)
			(void)ebb_gate_result(gate, &view->verdicts[d], &view->policies[d], &view->pairs[d],
					      d, now_ns, answer.gen, ok, 0);
		else if (answer.kind == EBB_ANSWER_PROBE)
			(void)ebb_probe_finish(gate, answer.probe_index, answer.probe_word, now_ns,
					       ok ? EBB_PROBE_OK : EBB_PROBE_FAILED);
	}
}

static void a_look_asks_for_no_memory_and_nothing_of_the_kernel(void **state)
{
	struct faults faults = {.kinds = ~0U, .error = ENOMEM};
	struct ebb_view view = fake_view_new(DSTS, DSTS);
	struct ebb_moves listeners = {.count = 0};
	struct ebb_breaker_config config;
	struct ebb_tick_result result;
	struct ebb_fuse_config fuse;
	struct ebb_ticker *ticker;
	struct seen seen = {0};
	uint64_t now_ns = 1000 * S;

	(void)state;
	ebb_policy_defaults(&config);
	ebb_fuse_defaults(&fuse);
	fill(&view, &config);
	view.agent->heartbeat_ns = now_ns;
	assert_int_equal(ebb_ticker_new(&view, &config, 42, false, &listeners, &ticker), 0);
	assert_int_equal(ebb_moves_listen(&listeners, "test", on_move, &seen), 0);
	ebb_ticker_fuse(ticker, &fuse, on_fuse, &seen);

	assert_true(faults_next(&faults));
	faults_on(&faults);
	for (unsigned int i = 0; i < TICKS; i++) {
		now_ns += 100 * MS;
		traffic(&view, now_ns, i);
		ebb_tick(ticker, now_ns, &result);
		view.agent->heartbeat_ns = now_ns;
	}
	faults_off(&faults);
	assert_int_equal(faults.hit, 0);
	/* and it had to do all that there is */
	assert_true(seen.moves[EBB_REASON_CONSECUTIVE_FAILURES] > 10);
	assert_true(seen.moves[EBB_REASON_FAILURE_RATE] > 10);
	assert_true(seen.moves[EBB_REASON_OPEN_EXPIRED] > 10);
	assert_true(seen.moves[EBB_REASON_PROBES_SUCCEEDED] > 10);
	assert_true(seen.moves[EBB_REASON_PROBES_FAILED] > 10);
	ebb_ticker_free(ticker);
	fake_view_free(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_look_asks_for_no_memory_and_nothing_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tick costs for each destination, on maps in plain memory: 10,000 destinations with a pair each,
 * of which none, one in ten, or all had results since the last one. The clock is the test's own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/tick.h"
#include "bpf/gate.h"
#include "tests/lib/fake_view.h"

#define DESTINATIONS 10000
#define ROUNDS	     201
#define TICK_NS	     100000000ULL /* of the agent: docs/architecture.md */

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill(struct ebb_view *view, const struct ebb_breaker_config *config)
{
	for (uint32_t d = 1; d <= DESTINATIONS; d++) {
		view->dsts[d].state = EBB_SLOT_LIVE;
		view->dsts[d].scope = EBB_SCOPE_NODE;
		ebb_policy_to_kernel(config, &view->policies[d]);
		view->pairs[d] =
			(struct ebb_pair){.workload = 7, .dst = d, .gate = d, .state = EBB_SLOT_LIVE};
	}
	view->kernel->dst_high = DESTINATIONS;
	view->kernel->pair_high = DESTINATIONS;
}

/* One result in @each destination; a tenth of them are failures, never in a row. */
static void results(struct ebb_view *view, uint32_t each, uint64_t now, uint32_t round)
{
	for (uint32_t d = 1; d <= DESTINATIONS; d += each)
		(void)ebb_gate_result(&view->gates[d], &view->verdicts[d], &view->policies[d],
				      &view->pairs[d], d, now, 0, (d + round) % 10 != 0, 0);
}

static int run(uint32_t each, const char *what)
{
	struct ebb_view view = fake_view_new(DESTINATIONS + 1, DESTINATIONS + 1);
	struct ebb_breaker_config config;
	struct ebb_moves listeners = {};
	struct ebb_tick_result result;
	struct ebb_ticker *ticker;
	double took[ROUNDS];
	uint64_t now = 1000000000000ULL;
	int r;

	ebb_policy_defaults(&config);
	view.agent->lease_ns = 30000000000ULL;
	fill(&view, &config);
	r = ebb_ticker_new(&view, &config, 1, false, &listeners, &ticker);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t start;

		now += TICK_NS;
		view.agent->heartbeat_ns = now;
		if (each)
			results(&view, each, now, i);
		start = now_ns();
		ebb_tick(ticker, now, &result);
		took[i] = (double)(now_ns() - start);
	}
	qsort(took, ROUNDS, sizeof(took[0]), compare);
	printf("%-28s median %6.2f ms (%4.0f ns each), p95 %6.2f ms\n", what, took[ROUNDS / 2] / 1e6,
	       took[ROUNDS / 2] / DESTINATIONS, took[ROUNDS * 95 / 100] / 1e6);
	ebb_ticker_free(ticker);
	fake_view_free(&view);
	return 0;
}

int main(void)
{
	printf("a tick of %d destinations\n", DESTINATIONS);
	return run(0, "nothing happened") || run(10, "results in one of ten") || run(1, "results in each");
}

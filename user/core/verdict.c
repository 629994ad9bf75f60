/* SPDX-License-Identifier: Apache-2.0 */
#include "core/verdict.h"

void ebb_breaker_verdict(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			 struct ebb_verdict *ret_verdict)
{
	*ret_verdict = (struct ebb_verdict){
		.word = b->word,
		/* the open time is never 0, so that an arm that never pulls is still one */
		.arm = ebb_arm(b->excused ? 0 : config->consecutive_failures,
			       ebb_breaker_next_open_ticks(b, config)),
		.answered_from = b->answers.from.answered,
		.unanswered_from = b->answers.from.unanswered,
	};
}

void ebb_breaker_remember(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			  const struct ebb_transition *move, struct ebb_memory *io_memory)
{
	if (move) {
		io_memory->last[io_memory->count % EBB_TRANSITIONS_KEPT] = *move;
		io_memory->count++;
		if (move->reason < EBB_REASON_MAX)
			io_memory->moved[move->reason]++;
	}
	io_memory->trips = b->trips;
	io_memory->since_ns = b->since_ns;
	io_memory->window_ok = b->window.sum.ok;
	io_memory->window_failed = b->window.sum.failed;
	io_memory->window_slow = b->window.sum.slow;
	io_memory->window_ratio_ppm = (uint32_t)(ebb_breaker_failure_ratio(b, config) * 1e6 + 0.5);
}

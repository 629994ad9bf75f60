/* SPDX-License-Identifier: Apache-2.0 */
#include "core/answers.h"

/* So many turns stay judged that the failures which trip a breaker do not push out those that make them failures. */
static uint64_t least_turns(const struct ebb_breaker_config *config)
{
	uint32_t trips = config->consecutive_failures;

	return 2 * (uint64_t)(trips > config->min_calls ? trips : config->min_calls);
}

void ebb_answers_look(struct ebb_answers *a, const struct ebb_breaker_config *config,
		      const struct ebb_gate *facts, uint64_t now_ns)
{
	const struct ebb_answered now = {facts->turns_answered, facts->turns_unanswered};
	uint64_t since;

	/* the slot was cleared */
	if (now.answered < a->mark.answered || now.unanswered < a->mark.unanswered) {
		*a = (struct ebb_answers){.mark = now, .from = now, .mark_ns = now_ns};
		return;
	}
	since = now.answered - a->mark.answered + now.unanswered - a->mark.unanswered;
	if (now_ns < a->mark_ns + config->window_ns || since < least_turns(config))
		return;
	a->from = a->mark;
	a->mark = now;
	a->mark_ns = now_ns;
}

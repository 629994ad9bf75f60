/* SPDX-License-Identifier: Apache-2.0 */
#include "export/guard.h"

#include <string.h>

#include "bpf/gate.h"
#include "core/verdict.h"

#define SEED 0x65626221ULL

static void look(struct ebb_guard *guard, uint64_t now_ns)
{
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];

	(void)ebb_breaker_look(&guard->breaker, &guard->config, &guard->gate, now_ns, moves);
	ebb_breaker_verdict(&guard->breaker, &guard->config, &guard->verdict);
}

void ebb_guard_init(struct ebb_guard *guard, const char *name, const struct ebb_breaker_config *config)
{
	memset(guard, 0, sizeof(*guard));
	guard->config = *config;
	ebb_policy_to_kernel(config, &guard->policy);
	ebb_breaker_init(&guard->breaker, ebb_breaker_key(SEED, name), &guard->gate);
	ebb_breaker_verdict(&guard->breaker, &guard->config, &guard->verdict);
}

bool ebb_guard_ask(struct ebb_guard *guard, uint64_t now_ns)
{
	/* whoever asks is the agent: it is there */
	struct ebb_agent agent = {.heartbeat_ns = now_ns + 1, .lease_ns = INT64_MAX};
	struct ebb_answer answer;

	look(guard, now_ns);
	ebb_gate_ask(&guard->gate, &guard->verdict, &guard->policy, &agent, now_ns, &answer);
	guard->probe_word = answer.kind == EBB_ANSWER_PROBE ? answer.probe_word : 0;
	guard->probe_index = answer.probe_index;
	guard->gen = answer.gen;
	return answer.kind != EBB_ANSWER_DENY;
}

void ebb_guard_result(struct ebb_guard *guard, bool ok, uint64_t now_ns)
{
	if (guard->probe_word)
		(void)ebb_probe_finish(&guard->gate, guard->probe_index, guard->probe_word, now_ns,
				       ok ? EBB_PROBE_OK : EBB_PROBE_FAILED);
	else
		(void)ebb_gate_result(&guard->gate, &guard->verdict, &guard->policy, &guard->pair,
				      EBB_SLOT_OTHER, now_ns, guard->gen, ok, false);
	look(guard, now_ns);
}

uint32_t ebb_guard_state(const struct ebb_guard *guard)
{
	return ebb_word_state(ebb_gate_word(&guard->gate, &guard->verdict));
}

uint64_t ebb_guard_until(const struct ebb_guard *guard)
{
	uint64_t deadline = ebb_breaker_deadline(&guard->breaker, &guard->gate);

	return ebb_guard_state(guard) == EBB_STATE_OPEN && deadline != UINT64_MAX ? deadline : 0;
}

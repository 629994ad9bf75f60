/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A breaker before a place that we send to ourselves: the same one that destinations stand behind, with the gate in
 * our memory. One thread.
 */
#ifndef EBB_EXPORT_GUARD_H
#define EBB_EXPORT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/breaker.h"

struct ebb_guard {
	struct ebb_breaker_config config;
	struct ebb_policy policy;
	struct ebb_gate gate;
	struct ebb_verdict verdict;
	struct ebb_pair pair;
	struct ebb_breaker breaker;
	/* the attempt that is under way */
	uint64_t probe_word; /* 0: it is no probe */
	uint32_t probe_index;
	uint32_t gen;
};

/* @name: the jitter is drawn from it. @config: what ebb_policy_check() accepts. */
void ebb_guard_init(struct ebb_guard *guard, const char *name, const struct ebb_breaker_config *config);

/* May an attempt begin? Then its result must follow. */
bool ebb_guard_ask(struct ebb_guard *guard, uint64_t now_ns);

void ebb_guard_result(struct ebb_guard *guard, bool ok, uint64_t now_ns);

/* When asking is next worth while; 0: now. */
uint64_t ebb_guard_until(const struct ebb_guard *guard);

/* EBB_STATE_* */
uint32_t ebb_guard_state(const struct ebb_guard *guard);

#endif /* EBB_EXPORT_GUARD_H */

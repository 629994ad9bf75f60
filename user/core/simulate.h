/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replay of calls against gates and their breakers: the very functions that decide in the kernel
 * (bpf/gate.h) and in the agent (core/breaker.h), with a clock that jumps from one event to the next.
 * No I/O; calls come in as plain structs, and what happens goes out through callbacks.
 *
 * It simulates the breaker as if it enforced: modes, limits and overrides play no part, and the agent
 * is always there.
 */
#ifndef EBB_CORE_SIMULATE_H
#define EBB_CORE_SIMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/policy.h"

/* Outcomes that leave no result, beside those of enum ebb_outcome. */
enum ebb_sim_outcome {
	EBB_SIM_LOCAL = EBB_OUTCOME_MAX, /* failed before any SYN */
	EBB_SIM_DENIED,			 /* refused by ourselves when the trace was written */
	EBB_SIM_OUTCOME_MAX,
};

const char *ebb_sim_outcome_name(uint32_t outcome);

/* The latest moment at which a call may end: 2^57 ns, 4.5 years. */
#define EBB_SIM_END_NS (1ULL << 57)

/* One call that is attempted; what becomes of it where the gate lets it through. */
struct ebb_sim_call {
	uint64_t at_ns;
	uint64_t took_ns; /* from then until its outcome is known */
	uint32_t gate;
	uint32_t outcome; /* enum ebb_outcome, enum ebb_sim_outcome */
};

struct ebb_sim_gate {
	const char *name; /* the jitter is drawn from it */
	size_t config;	  /* index */
};

/* One transition. Its times are those of the trace. */
struct ebb_sim_move {
	uint32_t gate;
	uint32_t trip; /* openings in a row, after it */
	struct ebb_transition transition;
};

/* What a gate answered to one call. */
struct ebb_sim_answer {
	size_t call;	/* index */
	uint32_t state; /* of the gate, when it answered */
	bool admitted;
	bool probe;
};

struct ebb_sim_totals {
	uint64_t calls, admitted, refused;
	uint64_t succeeded, failed; /* of the admitted; the others had no result */
	uint32_t state;		    /* at the end */
};

/* All of it borrowed. */
struct ebb_simulation {
	const struct ebb_breaker_config *configs;
	size_t config_count;
	const struct ebb_sim_gate *gates;
	size_t gate_count; /* at most 2^32 - 1 */
	const struct ebb_sim_call *calls;
	size_t call_count; /* in order of at_ns: ebb_sim_sort() */
	uint64_t seed;
	uint64_t
		look_ns; /* 0: a look after each result; else at failures and probes at once, otherwise so often */
	void (*on_move)(void *userdata, const struct ebb_sim_move *move);
	void (*on_answer)(void *userdata, const struct ebb_sim_answer *answer); /* may be NULL */
	void *userdata;
};

/* By time; calls of one moment stay in their order. -ENOMEM, and nothing has changed. */
int ebb_sim_sort(struct ebb_sim_call *calls, size_t count);

/*
 * From the first call until nothing happens by itself any more. What happens at one moment: first the
 * ends of open times and of leases, then results, in the order of their calls, then calls. Transitions
 * are told in the order in which they happen. @ret_totals: one for each gate, written on success. -ENOMEM.
 */
int ebb_simulate(const struct ebb_simulation *simulation, struct ebb_sim_totals *ret_totals);

#endif /* EBB_CORE_SIMULATE_H */

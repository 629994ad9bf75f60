/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker: one pure function of (state, facts, now, config). No clock, no
 * allocation, no I/O. docs/state-machine.md is its picture and its table.
 */
#ifndef EBB_CORE_BREAKER_H
#define EBB_CORE_BREAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/answers.h"
#include "core/apart.h"
#include "core/policy.h"
#include "core/window.h"

/* The agent's side of one gate. */
struct ebb_breaker {
	uint64_t word;	       /* the state word that it wants in force */
	uint64_t since_ns;     /* when the present state began; 0: never moved */
	uint64_t looked_ns;    /* the last look */
	uint64_t key;	       /* hash of (node seed, name): the jitter is drawn from it */
	uint64_t episode;      /* of the present stay outside closed; 0: closed */
	uint32_t trips;	       /* in a row */
	uint32_t calm_ok;      /* successes in the present full window since closing */
	uint32_t excused;      /* of the kernel's run, those of a workload that was put apart */
	uint64_t calm_from_ns; /* when that window began */
	/* the kernel's counters as they were at the last look */
	uint64_t seen_ok;
	uint64_t seen_failed;
	uint64_t seen_slow;
	struct ebb_answers answers;
	struct ebb_window window;
};

/* Transitions that one look can report: what the kernel did meanwhile, and our own. */
#define EBB_BREAKER_MOVES_MAX 8

/* The hash that the jitter of a gate is drawn from (FNV-1a over the seed, least byte first, and the name). */
uint64_t ebb_breaker_key(uint64_t seed, const char *name);

/*
 * A new gate. It starts closed, at a generation from which the next look reports
 * how the kernel's word came about; that look also counts all that the kernel has
 * counted so far (the slot of a gate is cleared before it gets a new owner).
 */
void ebb_breaker_init(struct ebb_breaker *b, uint64_t key, const struct ebb_gate *facts);

/*
 * Takes up after a restart what @memory and the two words say, so that nothing
 * but the window is forgotten. It starts from the last state that the agent
 * stored or remembered, whichever is later; what the kernel did since is
 * adopted and reported by the next look. An agent that remembers a transition
 * before it stores the verdict can be killed anywhere without losing one.
 * Also right for a gate that no agent ever saw: results of unknown age do not
 * count.
 */
void ebb_breaker_restore(struct ebb_breaker *b, uint64_t key, const struct ebb_verdict *verdict,
			 const struct ebb_memory *memory, const struct ebb_gate *facts);

/*
 * One look at the gate's facts, a snapshot of the kernel's element: takes over
 * what the kernel did, moves the window, judges. @config is one that
 * ebb_policy_parse() accepted. Transitions are written to @ret_moves
 * (EBB_BREAKER_MOVES_MAX of them at most, oldest first; of more, the last) and
 * their number is returned. Calling it again with the same facts and time returns 0.
 */
size_t ebb_breaker_look(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			const struct ebb_gate *facts, uint64_t now_ns, struct ebb_transition *ret_moves);

/*
 * The same for a gate that several share, @users (core/apart.h). Where it would open but for one of them,
 * it does not: that one and the reason are in @ret_apart, and what it did wrong is forgotten here.
 * At most one in a look.
 */
size_t ebb_breaker_look_shared(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			       const struct ebb_gate *facts, const struct ebb_users *users, uint64_t now_ns,
			       struct ebb_transition *ret_moves, struct ebb_apart *ret_apart);

/*
 * A look at the gate of a workload that is put apart, which opens with the reason and the facts of
 * @why; what it was, when it was apart before, is over.
 */
size_t ebb_breaker_put_apart(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			     const struct ebb_gate *facts, const struct ebb_transition *why, uint64_t now_ns,
			     struct ebb_transition *ret_moves);

/* Has it been closed for a full window, and had a success in the last? Then its workload need not be apart. */
bool ebb_breaker_has_healed(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			    uint64_t now_ns);

/* The share of failures in the window as it is judged: weighted. 0: there are no results. */
double ebb_breaker_failure_ratio(const struct ebb_breaker *b, const struct ebb_breaker_config *config);

/*
 * How long the @trip'th opening in a row lasts (1 is the first), jitter
 * included. Never more than 2^32 - 1 ticks, which is what the kernel can be told.
 */
uint64_t ebb_breaker_open_ns(const struct ebb_breaker_config *config, uint64_t key, uint32_t trip);

/* The same for the next opening, in ticks; at least 1. */
uint32_t ebb_breaker_next_open_ticks(const struct ebb_breaker *b, const struct ebb_breaker_config *config);

/*
 * When a look is next needed although no fact changes: end of open, of a probe's
 * lease. Always after the last look; UINT64_MAX: never.
 */
uint64_t ebb_breaker_deadline(const struct ebb_breaker *b, const struct ebb_gate *facts);

#endif /* EBB_CORE_BREAKER_H */

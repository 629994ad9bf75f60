/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose results a gate has seen that several workloads share, and what follows from it: a
 * gate does not open for all while all that is wrong is one workload's and another one is
 * served. That workload is put apart: the gate of its pair opens in place of it. Pure.
 *
 * It is enough to know, for successes, failures and slow results each, who had the last and when,
 * and when anybody else had one before.
 *
 *	failures     A  A  A  A  A                one workload's
 *	successes  C        B        C            and another's: A is put apart
 */
#ifndef EBB_CORE_APART_H
#define EBB_CORE_APART_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/* The last result of a pair; EBB_SLOT_OTHER: there was none. */
struct ebb_last {
	uint32_t pair;
	uint64_t at_ns;
};

struct ebb_last_two {
	struct ebb_last newest;
	struct ebb_last other; /* the last before of another pair */
};

/* Of a gate. All zero: nobody had any. */
struct ebb_users {
	struct ebb_last_two ok;
	struct ebb_last_two failed;
	struct ebb_last_two slow;
};

/* Who is put apart, and the transition that its own gate makes in place of the shared one. */
struct ebb_apart {
	uint32_t pair; /* EBB_SLOT_OTHER: nobody */
	struct ebb_transition why;
};

/* @pair had a result. @now_ns never goes back. */
void ebb_users_note(struct ebb_last_two *io_two, uint32_t pair, uint64_t now_ns);

/* What @pair did wrong is the gate's no longer; what it did right stays. */
void ebb_users_forget(struct ebb_users *users, uint32_t pair);

/*
 * Takes up after a restart what the kernel's elements say: that several were served (the arm of the
 * last verdict), and whose failures the present run is.
 */
void ebb_users_restore(struct ebb_users *users, const struct ebb_verdict *verdict,
		       const struct ebb_gate *facts, uint64_t now_ns);

/*
 * The pair whose all the results are that would open the gate by @reason (enum ebb_reason) within the last @window_ns, if another pair
 * succeeded within them; EBB_SLOT_OTHER: there is none, and the gate is to open.
 */
uint32_t ebb_users_culprit(const struct ebb_users *users, uint32_t reason, uint64_t window_ns,
			   uint64_t now_ns);

/* Did several succeed within the last @window_ns? Then the kernel is not to open by the run of any one. */
bool ebb_users_several(const struct ebb_users *users, uint64_t window_ns, uint64_t now_ns);

#endif /* EBB_CORE_APART_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leaves a breaker: the verdict that the kernel obeys, and the memory that
 * a restarted agent and the command line read.
 */
#ifndef EBB_CORE_VERDICT_H
#define EBB_CORE_VERDICT_H

#include "bpf/abi.h"
#include "core/breaker.h"

/*
 * What the kernel is to obey: the state word, and the pull that is armed for the next trip. A run that is
 * partly excused is the agent's to judge.
 */
void ebb_breaker_verdict(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			 struct ebb_verdict *ret_verdict);

/*
 * Writes one transition, and the numbers of the last look, into what is
 * remembered. Without a transition (@move NULL) only the numbers.
 */
void ebb_breaker_remember(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			  const struct ebb_transition *move, struct ebb_memory *io_memory);

#endif /* EBB_CORE_VERDICT_H */

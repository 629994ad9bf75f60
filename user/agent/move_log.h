/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transitions of breakers in the log: a line each, with the facts that caused it. A destination can cause
 * as many as it likes, so there are limits: for each gate, and for all of them together. What was held back is counted in
 * the next line that is written; metrics, audit and 'ebb show' have all of it.
 */
#ifndef EBB_AGENT_MOVE_LOG_H
#define EBB_AGENT_MOVE_LOG_H

#include <stdint.h>

#include "agent/move_facts.h"

/* Lines of one gate, and of all: so many at once, then one each so often. */
#define EBB_MOVE_LOG_GATE_BURST	      12
#define EBB_MOVE_LOG_GATE_INTERVAL_NS 10000000000ULL
#define EBB_MOVE_LOG_BURST	      1000
#define EBB_MOVE_LOG_INTERVAL_NS      50000000ULL

struct ebb_move_log;

/* For slots [0, @gate_max). -ENOMEM. */
int ebb_move_log_new(uint32_t gate_max, struct ebb_move_log **ret_log);
void ebb_move_log_free(struct ebb_move_log *log);

void ebb_move_log_tell(struct ebb_move_log *log, const struct ebb_move_facts *facts);

#endif /* EBB_AGENT_MOVE_LOG_H */

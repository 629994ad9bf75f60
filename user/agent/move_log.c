/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/move_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/limiter.h"
#include "lib/log.h"
#include "lib/units.h"

struct ebb_move_log {
	struct ebb_limiter limiter; /* of all gates together */
	struct ebb_limiter *gates;
};

int ebb_move_log_new(uint32_t gate_max, struct ebb_move_log **ret_log)
{
	struct ebb_move_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->gates = calloc(gate_max, sizeof(*log->gates));
	if (!log->gates) {
		ebb_move_log_free(log);
		return -ENOMEM;
	}
	*ret_log = log;
	return 0;
}

void ebb_move_log_free(struct ebb_move_log *log)
{
	if (!log)
		return;
	free(log->gates);
	free(log);
}

/* What the gate's own limit holds back takes nothing from that of all. */
static bool admits(struct ebb_move_log *log, struct ebb_limiter *gate, uint64_t now, uint32_t *ret_suppressed)
{
	uint32_t of_gate, of_all;

	if (!ebb_limiter_admits(gate, now, EBB_MOVE_LOG_GATE_INTERVAL_NS, EBB_MOVE_LOG_GATE_BURST, &of_gate))
		return false;
	if (!ebb_limiter_admits(&log->limiter, now, EBB_MOVE_LOG_INTERVAL_NS, EBB_MOVE_LOG_BURST, &of_all)) {
		gate->suppressed = of_gate + 1;
		return false;
	}
	*ret_suppressed = of_gate;
	if (of_all)
		ebb_warn("breakers move faster than the log can tell: suppressed=%u; 'ebb show' and the metrics have all of it",
			 of_all);
	return true;
}

void ebb_move_log_tell(struct ebb_move_log *log, const struct ebb_move_facts *facts)
{
	const struct ebb_transition *t = &facts->move->transition;
	char until[EBB_FORMAT_MAX] = "-";
	uint32_t suppressed;

	if (!admits(log, &log->gates[facts->move->gate], facts->now_ns, &suppressed))
		return;
	if (facts->open_for_ns)
		(void)ebb_format_duration(facts->open_for_ns, until, sizeof(until));
	ebb_info("breaker moved: destination=%s workload=%s from=%s to=%s reason=%s ok=%u failed=%u slow=%u run=%u last_failure=%s open_for=%s generation=%u episode=%016llx mode=%s suppressed=%u",
		 facts->destination, facts->who.workload[0] ? facts->who.workload : "-", facts->from,
		 facts->to, facts->reason, t->ok, t->failed, t->slow, t->run, facts->last_failure, until,
		 t->gen, (unsigned long long)t->episode, facts->mode, suppressed);
}

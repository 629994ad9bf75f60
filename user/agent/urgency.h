/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real-time priority that was taken from us: when it is asked for again. It is taken for a reason, 200 ms of work without a
 * pause or somebody's hand, so not at once, and less and less often when it is taken again and again. Pure.
 *
 *	not wanted --> asked for --> held --> taken
 *	                 ^  |                   |
 *	                 |  `-- refused --.     |    5 s, 10 s, 20 s ... an hour;
 *	                 `---- waits <----+-----'    5 s again once it was held for ten minutes
 */
#ifndef EBB_AGENT_URGENCY_H
#define EBB_AGENT_URGENCY_H

#include <stdbool.h>
#include <stdint.h>

struct ebb_urgency {
	bool wanted;
	bool held;
	bool taken;	   /* it was held, and is not */
	uint64_t losses;   /* since the start */
	uint64_t since_ns; /* it has been held, or is not there, since then */
	uint64_t wait_ns;  /* of the last time; 0: there was none */
	uint64_t again_ns; /* not held: when it is asked for again */
};

/* From now on it is wanted, and asked for at once, or it is not. What it was before is forgotten when that changes. */
void ebb_urgency_want(struct ebb_urgency *urgency, bool wanted, uint64_t now_ns);

/* Is it to be asked for now? ebb_urgency_asked() then tells what came of it. */
bool ebb_urgency_is_due(const struct ebb_urgency *urgency, uint64_t now_ns);
void ebb_urgency_asked(struct ebb_urgency *urgency, bool given, uint64_t now_ns);

/* It was held, and is not any more. */
void ebb_urgency_lost(struct ebb_urgency *urgency, uint64_t now_ns);

#endif /* EBB_AGENT_URGENCY_H */

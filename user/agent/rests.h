/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rests from answering. At real-time priority nobody else gets our processor while we work, and an answer about many
 * destinations is 10 ms of work and more: so much later would be whoever connects there meanwhile. So it is made in
 * stretches of a millisecond, and after each we rest as long; hints and ticks are taken at any time. Pure.
 *
 *	answers       |####|    |####|    |##|
 *	hints, ticks      x         x  x
 *	others             |####|    |####|  |#######
 */
#ifndef EBB_AGENT_RESTS_H
#define EBB_AGENT_RESTS_H

#include <stdint.h>

struct ebb_rests {
	uint64_t owed_ns; /* of rest, at the end of the last work */
	uint64_t end_ns;
};

/*
 * Somebody was answered from @start_ns to @end_ns. Returns until when nobody is to be answered, whole milliseconds
 * later, as epoll_wait() counts them; 0: go on. Times when nobody asked are rests, too.
 */
uint64_t ebb_rests_worked(struct ebb_rests *rests, uint64_t start_ns, uint64_t end_ns);

#endif /* EBB_AGENT_RESTS_H */

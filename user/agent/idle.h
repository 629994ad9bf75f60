/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots that nobody has used for long go back to the free queues, so that a node
 * that runs for months never fills its tables with what it met once.
 *
 *	live --idle--> retiring, key removed
 *	                  | a second later or more
 *	                  +-- untouched --> epoch + 1, cleared, free
 *	                  +-- touched ----> key inserted, live again
 *
 * A slot is idle when its counters did not move for the given time, no
 * connection is open, its breaker is closed and not in backoff, and nothing that was
 * said by hand stands. One that a rule names is never idle. A breaker is kept for a day
 * that nobody asks: an address that failed once may be nobody's by then. A pair whose workload is
 * gone keeps nothing for anybody: neither a breaker, nor an order, nor slots of a gate that is shared. Who held its index before it
 * retired goes on using it, and is seen to.
 * Everything that holds an index holds the epoch too, so what is left when the slot
 * changes hands is counted as stale and changes nothing.
 */
#ifndef EBB_AGENT_IDLE_H
#define EBB_AGENT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"
#include "kernel/slots.h"

/* What the collector does to the look-up tables and queues; a test has its own. */
struct ebb_idle_ops {
	void *userdata;
	/* as in kernel/slots.h */
	int (*remove)(void *userdata, enum ebb_slot_kind kind, const void *key, uint32_t slot);
	int (*insert)(void *userdata, enum ebb_slot_kind kind, const void *key, const struct ebb_ref *ref);
	int (*release)(void *userdata, enum ebb_slot_kind kind, uint32_t slot);
	/* the slot is about to be cleared: its counters end; NULL: nobody cares */
	void (*ending)(void *userdata, enum ebb_slot_kind kind, uint32_t slot);
	/* a destination that @workload found has been taken back (ruling 8); NULL: nobody counts that */
	int (*lost)(void *userdata, uint64_t workload);
};

struct ebb_collector;

/* @view and @ops->userdata are borrowed. */
int ebb_collector_new(const struct ebb_view *view, uint64_t idle_ns, const struct ebb_idle_ops *ops,
		      struct ebb_collector **ret_collector);
void ebb_collector_free(struct ebb_collector *collector);

/* Another idle time, from the next run on. */
void ebb_collector_set_idle(struct ebb_collector *collector, uint64_t idle_ns);

/* Says which workloads are gone. For good: their ids are not used again. What an earlier call said is forgotten. */
void ebb_collector_gone(struct ebb_collector *collector, bool (*gone)(void *userdata, uint64_t workload),
			void *userdata);

/*
 * One pass over an eighth of the slots; call it about once a second, with the lock of those
 * who write policies held. Returns the
 * number of slots that became free, or a negative errno of an operation (the
 * slot stays as it is and is tried again).
 */
int ebb_collector_run(struct ebb_collector *collector, uint64_t now_ns);

/*
 * At a start over maps of an earlier agent, before the queues are rebuilt: slots
 * that it was taking back are free. 0 or a negative errno of an operation.
 */
int ebb_collector_sweep(struct ebb_collector *collector);

#endif /* EBB_AGENT_IDLE_H */

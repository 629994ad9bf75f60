/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an event from the loop to the sinks, which is another thread's:
 *
 *	ebb_audit_put() -> queue in memory -> spool on disk -> sink, sink, ...
 *	     loop        |                  worker thread          |-> dead letters
 *	                 `- full: not accepted, and counted
 *
 * An event is accepted when it is in the queue, and survives us when it is in the spool, a moment later.
 */
#ifndef EBB_EXPORT_AUDIT_H
#define EBB_EXPORT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/audit_event.h"
#include "export/deadletter_count.h"
#include "export/delivery.h"
#include "export/sink.h"
#include "export/spool.h"

struct ebb_audit;

/* Where events go; none: nowhere, and none is kept. */
struct ebb_audit_sinks {
	struct ebb_sink sinks[EBB_SPOOL_READERS_MAX];
	struct ebb_delivery_settings deliveries[EBB_SPOOL_READERS_MAX]; /* of each */
	size_t count;
};

struct ebb_audit_setup {
	const char *dir; /* spool and dead letters are below it */
	uint64_t spool_bytes;
	uint64_t queue_bytes;
	struct ebb_audit_sinks to; /* taken over on success */
};

/*
 * Starts the threads. A directory that cannot be used is no error: it is tried again each second, and events wait in
 * the queue; ebb_audit_status() says so.
 */
int ebb_audit_new(const struct ebb_audit_setup *setup, struct ebb_audit **ret_audit, struct ebb_why *why);

/*
 * From now on events go to @to, which is taken over. Does not wait: it is gone over to them between two batches, and
 * what is accepted goes with it. What waits for a sink that is no longer there is dropped when all others have it.
 */
void ebb_audit_replace(struct ebb_audit *audit, const struct ebb_audit_sinks *to);

/*
 * Hands over an event, from one thread at a time; makes no system call that waits. -ENOBUFS: the queue is full,
 * -E2BIG: the event is too long; both are counted. @audit may be NULL: nobody keeps events. Without sinks
 * nothing is counted.
 */
int ebb_audit_put(struct ebb_audit *audit, const struct ebb_audit_event *event);

struct ebb_audit_sink_status {
	const char *name;
	uint64_t delivered, dead; /* events */
	uint64_t attempts[EBB_SINK_RESULT_MAX];
	uint64_t waiting; /* events in the spool that it does not have */
	bool failing;
	char why[200]; /* of the last failure */
};

struct ebb_audit_status {
	uint64_t accepted, refused; /* events; refused: the queue was full, or they were too long */
	uint64_t spooled;	    /* of those accepted */
	bool stuck;		    /* the spool takes nothing now */
	char why[200];		    /* stuck */
	struct ebb_deadletter_count dead;
	size_t sink_count;
	struct ebb_audit_sink_status sinks[EBB_SPOOL_READERS_MAX];
};

void ebb_audit_status(struct ebb_audit *audit, struct ebb_audit_status *ret_status);

/*
 * Begins to end: what is in the queue goes to the spool, then to the sinks one after the other, until @timeout_ns is
 * over. What is left, and what is put meanwhile, waits in the spool for the next run. Does not wait.
 */
void ebb_audit_stop(struct ebb_audit *audit, uint64_t timeout_ns);

/* Becomes readable when ebb_audit_stop() has come to its end. */
int ebb_audit_done_fd(const struct ebb_audit *audit);

/* Waits for that, and stops before where nobody did. NULL is fine. */
void ebb_audit_free(struct ebb_audit *audit, uint64_t timeout_ns);

#endif /* EBB_EXPORT_AUDIT_H */

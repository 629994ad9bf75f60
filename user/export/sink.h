/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where events go. A sink is called from one thread, that which delivers, may block for its deadline (a database 3 s, else 5 s), and
 * says what became of a batch; when to try again, and what is a dead letter, is export/delivery.h's.
 */
#ifndef EBB_EXPORT_SINK_H
#define EBB_EXPORT_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "export/audit_event.h"
#include "lib/why.h"

enum ebb_sink_result {
	EBB_SINK_DONE,	/* all of the batch is there, once, also if some of it was there before */
	EBB_SINK_RETRY, /* none of it is, or nobody knows: try again later */
	EBB_SINK_REFUSED, /* this will never be taken as it is: too long, not allowed, a constraint. If the batch has more
			     * than one event, each is tried alone */
	EBB_SINK_UNUSABLE, /* the place is not as it must be (another table, no rights): nothing can be written until
			     * somebody changes that. Tried again slowly, nothing is given up */
	EBB_SINK_RESULT_MAX,
};

struct ebb_sink_batch {
	const char *const *lines; /* each with its newline */
	const size_t *lengths;
	const struct ebb_audit_record *records; /* the same, parsed */
	size_t count;
};

struct ebb_sink_ops {
	const char *name; /* "jsonl", "sqlite", "postgres" */
	/* Writes @batch. @ret_after_ns: when to come back, if the other side said it; 0: it did not. */
	enum ebb_sink_result (*write)(void *sink, const struct ebb_sink_batch *batch, uint64_t *ret_after_ns,
				      struct ebb_why *why);
	/* Now and then, when there is nothing to write: retention, rotation. NULL: nothing to do. */
	void (*upkeep)(void *sink, int64_t realtime_ns);
	void (*free)(void *sink);
};

struct ebb_sink {
	const struct ebb_sink_ops *ops;
	void *data; /* owned */
};

#endif /* EBB_EXPORT_SINK_H */

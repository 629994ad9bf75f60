/* SPDX-License-Identifier: Apache-2.0 */
/* From the spool to one sink, batch by batch; what it does not take, to the dead letters. One thread. */
#ifndef EBB_EXPORT_OUTLET_H
#define EBB_EXPORT_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/audit.h"
#include "export/delivery.h"
#include "export/sink.h"
#include "export/shared_spool.h"

#define EBB_OUTLET_BATCH_MAX   500
#define EBB_OUTLET_BATCH_BYTES (256U << 10) /* and at least one line */

/* What is under way to some sink; one for all, since they take turns. */
struct ebb_outlet_batch {
	char *text; /* EBB_OUTLET_BATCH_BYTES */
	const char *lines[EBB_OUTLET_BATCH_MAX];
	size_t lengths[EBB_OUTLET_BATCH_MAX];
	struct ebb_audit_record records[EBB_OUTLET_BATCH_MAX];
	size_t count;	    /* events */
	size_t passed;	    /* lines: what is no event, too */
	size_t bytes;	    /* of these lines */
	uint64_t behind_it; /* position in the spool */
};

struct ebb_outlet {
	struct ebb_sink sink; /* owned */
	struct ebb_delivery delivery;
	size_t reader;	    /* of the spool */
	size_t alone;	    /* so many more are tried one by one */
	uint64_t upkeep_ns; /* when it is due */
	uint64_t waits_ns;  /* for a disk; 0: does not */
	bool told;	    /* of the failure that it has */
	struct ebb_audit_sink_status status;
};

/* Owns @sink from here on. */
void ebb_outlet_init(struct ebb_outlet *outlet, size_t reader, const struct ebb_sink *sink,
		     const struct ebb_delivery_settings *settings);
void ebb_outlet_done(struct ebb_outlet *outlet);

/* The next batch, if it is due. True: there may be more at once. */
bool ebb_outlet_deliver(struct ebb_outlet *outlet, struct ebb_shared_spool *spool, const char *dead_dir,
			struct ebb_outlet_batch *batch, uint64_t now_ns);

/* Retention and the like, when it is due; also while nothing can be spooled. */
void ebb_outlet_upkeep(struct ebb_outlet *outlet, uint64_t now_ns);

/* When one of the two is next worth while; UINT64_MAX: not before there are more events. */
uint64_t ebb_outlet_due_ns(const struct ebb_outlet *outlet, struct ebb_shared_spool *spool, uint64_t now_ns);

#endif /* EBB_EXPORT_OUTLET_H */

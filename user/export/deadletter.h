/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sink did not take, kept for a person: a file for each sink below a directory, a line for each event:
 *
 *	{"time": "2026-11-29T05:51:51.123456Z", "reason": "cannot write: ...", "event": {the event as it was}}
 *
 * Each addition is made under a lock on the file, so that a command may work on it at the same time.
 */
#ifndef EBB_EXPORT_DEADLETTER_H
#define EBB_EXPORT_DEADLETTER_H

#include <stdint.h>

#include "export/sink.h"

/*
 * Adds @batch to those of @sink, all or none. @max_bytes: of its file. -ENOSPC: there is no room, and the caller
 * must keep them.
 */
int ebb_deadletter_add(const char *dir, const char *sink, const struct ebb_sink_batch *batch,
		       const char *reason, int64_t realtime_ns, uint64_t max_bytes, struct ebb_why *why);

#endif /* EBB_EXPORT_DEADLETTER_H */

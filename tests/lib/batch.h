/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events for sinks, as they come out of the spool.
 */
#ifndef EBB_TESTS_LIB_BATCH_H
#define EBB_TESTS_LIB_BATCH_H

#include "export/sink.h"

struct batch;

/* Denials number @first to @first + @count - 1 of run @run: their ids, destinations and details follow from these. @realtime_ns
 * is the time of number 0; each is a millisecond later than the one before. */
struct batch *batch_new(int run, int first, int count, int64_t realtime_ns);
/* One event with details from this JSON. */
struct batch *batch_of(enum ebb_audit_type type, int64_t realtime_ns, const char *details);
void batch_free(struct batch *batch);

struct ebb_sink_batch batch_view(const struct batch *batch);

/* Offers it once. */
enum ebb_sink_result batch_offer(const struct ebb_sink *sink, const struct batch *batch, struct ebb_why *why);

#endif /* EBB_TESTS_LIB_BATCH_H */

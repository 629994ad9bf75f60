/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces, from the kernel's ring and the moves of breakers to the collector: names what happened, writes it as spans,
 * and sees them off, a slice at a time by a timer of its own. docs/traces.md is its picture. Nothing here waits: what is
 * sent is another thread's (lib/fetch.h).
 */
#ifndef EBB_AGENT_TRACING_H
#define EBB_AGENT_TRACING_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/move_facts.h"
#include "config/config.h"
#include "export/health.h"
#include "export/traces.h"
#include "kernel/maps.h"
#include "kernel/spans.h"
#include "node/cgroup.h"

struct ebb_fetch;
struct ebb_tracing;

/* Everything is borrowed. */
struct ebb_tracing_setup {
	const struct ebb_view *view;
	struct ebb_spans *spans;
	struct ebb_cgroup_names *names;
	struct ebb_health *health;
	struct ebb_fetch *fetch;
	struct ebb_traces_facts *facts; /* told to those who show them */
	const char *const *environ;	/* "NAME=value", NULL at the end */
	const char *version;
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
};

/* -ENOMEM. */
int ebb_tracing_new(const struct ebb_tracing_setup *setup, struct ebb_tracing **ret_tracing);
void ebb_tracing_free(struct ebb_tracing *tracing);

/* Another configuration is in force. Spans that wait for a collector that is no longer asked for are given up. */
void ebb_tracing_configure(struct ebb_tracing *tracing, const struct ebb_config *config);

/* A breaker moved, and that stands in the pinned memory. */
void ebb_tracing_moved(struct ebb_tracing *tracing, const struct ebb_move_facts *facts);

/* With every tick. */
void ebb_tracing_tick(struct ebb_tracing *tracing, uint64_t now_ns);

/* Readable when there is something to do between two ticks. */
int ebb_tracing_fd(const struct ebb_tracing *tracing);
void ebb_tracing_dispatch(struct ebb_tracing *tracing);

/*
 * The agent ends: what was seen is written, no more will be, and it is sent off. False: nothing is left to be
 * sent, or the collector does not take it. To be called again as answers come.
 */
bool ebb_tracing_flush(struct ebb_tracing *tracing, uint64_t now_ns);

#endif /* EBB_AGENT_TRACING_H */

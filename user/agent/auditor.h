/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log of a running agent: the way of the events (export/audit.h), who makes them (agent/audit_feed.h), the sinks
 * that the configuration wants, and what /health and the metrics say of all that.
 */
#ifndef EBB_AGENT_AUDITOR_H
#define EBB_AGENT_AUDITOR_H

#include <stdint.h>

#include "agent/audit_feed.h"
#include "config/config.h"
#include "export/audit.h"
#include "export/health.h"
#include "lib/why.h"

struct ebb_auditor_setup {
	const struct ebb_view *view;
	struct ebb_cgroup_names *names;
	struct ebb_health *health;
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
};

struct ebb_auditor;

/*
 * Everything is borrowed, @config only for the call. Starts a thread, which gets the rights that are left. What cannot be
 * written is no error: it is told, and events wait.
 */
int ebb_auditor_new(const struct ebb_auditor_setup *setup, const struct ebb_config *config,
		    struct ebb_auditor **ret_auditor, struct ebb_why *why);

/* @config takes the place of @before. The same sinks go on as they are; others take over, and what is accepted goes with them. */
void ebb_auditor_configure(struct ebb_auditor *auditor, const struct ebb_config *before,
			   const struct ebb_config *config);

/* With each tick. */
void ebb_auditor_tick(struct ebb_auditor *auditor);

/* Where events are told; NULL is fine. */
struct ebb_audit_feed *ebb_auditor_feed(struct ebb_auditor *auditor);

/* As of the last tick. Valid as long as @auditor. */
const struct ebb_audit_status *ebb_auditor_status(const struct ebb_auditor *auditor);

/*
 * Tells the orders by hand that it did not tell yet, and remembers those that survive a crash; with the next agent
 * none is told anew, and none is missed.
 */
void ebb_auditor_deeds(struct ebb_auditor *auditor);

/*
 * Tells that the agent stops, and begins to flush the sinks, one after the other, for at most @timeout_ns.
 * ebb_auditor_done_fd() becomes readable then.
 */
void ebb_auditor_stop(struct ebb_auditor *auditor, const char *reason, bool failed, uint64_t timeout_ns);
int ebb_auditor_done_fd(const struct ebb_auditor *auditor);

/* NULL is fine. */
void ebb_auditor_free(struct ebb_auditor *auditor);

#endif /* EBB_AGENT_AUDITOR_H */

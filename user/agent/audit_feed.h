/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tells the audit log: each event of export/audit_event.h, with its details. Transitions, orders by hand and
 * changes of the agent are told one by one; denials, failures and refused requests are summed by the minute. From the
 * loop; makes no system call of its own.
 */
#ifndef EBB_AGENT_AUDIT_FEED_H
#define EBB_AGENT_AUDIT_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/move_facts.h"
#include "core/fuse.h"
#include "export/audit_event.h"
#include "kernel/maps.h"
#include "node/cgroup.h"

struct ebb_audit_feed_setup {
	const struct ebb_view *view;
	struct ebb_cgroup_names *names;
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
	/* Takes an event: 0, or a negative errno, and it is not kept. */
	int (*put)(void *userdata, const struct ebb_audit_event *event);
	void *userdata;
	/* When the agent before this one looked last; 0: there was none. What it saw, it has told. */
	uint64_t told_until_ns;
};

struct ebb_audit_feed;

/* Everything is borrowed. -ENOMEM. */
int ebb_audit_feed_new(const struct ebb_audit_feed_setup *setup, struct ebb_audit_feed **ret_feed);
void ebb_audit_feed_free(struct ebb_audit_feed *feed);

/* With each tick: tells what was summed, and new destinations. */
void ebb_audit_feed_tick(struct ebb_audit_feed *feed);

/* Tells what was summed since. */
void ebb_audit_feed_flush(struct ebb_audit_feed *feed);

struct ebb_audit_start {
	const char *version, *mode, *cgroup, *pin, *listen;
	bool took_over;
};

void ebb_audit_feed_started(struct ebb_audit_feed *feed, const struct ebb_audit_start *start);
/* @reason: the signal, or what went wrong (@failed). */
void ebb_audit_feed_stopped(struct ebb_audit_feed *feed, const char *reason, bool failed);

/* @file: "" without one. */
void ebb_audit_feed_configured(struct ebb_audit_feed *feed, const char *file, uint64_t generation,
			       size_t destinations);
void ebb_audit_feed_rejected(struct ebb_audit_feed *feed, const char *file, const char *why);

/* The same order gets the same id each time; a negative errno: it was not taken, and is to be told again. */
int ebb_audit_feed_deed(struct ebb_audit_feed *feed, const struct ebb_deed *deed, uint64_t lost);

void ebb_audit_feed_moved(struct ebb_audit_feed *feed, const struct ebb_move_facts *facts);
void ebb_audit_feed_fuse(struct ebb_audit_feed *feed, const struct ebb_fuse_move *move);

/* @lasted_ns: of what was lost and is back. */
void ebb_audit_feed_enforcement(struct ebb_audit_feed *feed, bool lost, const char *component,
				const char *why, uint64_t lasted_ns);
/* A link that somebody took away is there again. */
void ebb_audit_feed_link(struct ebb_audit_feed *feed, const char *link);

/* A request through HTTP that was refused; told as sums, of the first few that differ in a minute. */
void ebb_audit_feed_request(struct ebb_audit_feed *feed, const char *method, const char *path,
			    const char *peer, unsigned int status);

/* @component ("kubernetes", "postgres") was told by @address that our credentials are not good. Once a minute each. */
void ebb_audit_feed_credentials(struct ebb_audit_feed *feed, const char *component, const char *address,
				unsigned int status);

#endif /* EBB_AGENT_AUDIT_FEED_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the configuration again when its file changes or somebody asks for it, and puts it in
 * force whole, or rejects it whole and tells why; the old one then goes on.
 *
 *	idle --changed--> reads --wrong--> told, idle
 *	                    | fine
 *	                    v
 *	              waits for the lock --> prepared --> works out --> waits for the lock, for memories --> committed
 *	                                                                                                       |
 *	                                                     idle <------------------- sweeps up what was <----'
 *
 * What takes long, to read, to work out and to sweep up, is done beside the loop (agent/errand.h), which goes on with what
 * is in force.
 *
 * What changes while one is on its way is read when that one is done.
 */
#ifndef EBB_AGENT_RELOAD_H
#define EBB_AGENT_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/apply.h"
#include "config/config.h"
#include "export/source.h"

struct ebb_reload;

struct ebb_reload_setup {
	const char *pin_dir; /* whose lock is taken; everything here is borrowed */
	const struct ebb_config_sources *sources;
	struct ebb_apply *apply;
	struct ebb_source *source; /* counts of reloads, for the metrics */
	struct ebb_health *health;
	uint64_t (*now_ns)(void); /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
	void *userdata;
	/* After a commit that moved addresses, beside the loop: what nobody sees any more. */
	void (*sweep)(void *userdata);
	/* Asks for a pass that gives memories; ebb_reload_remembered() tells its end. False: there is none. */
	bool (*remember)(void *userdata);
	/* In force from now on; the one before is valid until this returns. */
	void (*configured)(void *userdata, const struct ebb_config *config,
			   const struct ebb_apply_report *report);
	/* Not in force, and why; the one before goes on. */
	void (*rejected)(void *userdata, const char *why);
};

/* @config is in force already, and owned from now on whatever happens. 0 or a negative errno. */
int ebb_reload_new(const struct ebb_reload_setup *setup, struct ebb_config *config,
		   struct ebb_reload **ret_reload);
void ebb_reload_free(struct ebb_reload *reload);

/* Readable when ebb_reload_look() has something to do; -1: there is no file to follow. */
int ebb_reload_fd(const struct ebb_reload *reload);
void ebb_reload_look(struct ebb_reload *reload);

/* Readable when a piece of work beside the loop is done: then ebb_reload_worked(). */
int ebb_reload_work_fd(const struct ebb_reload *reload);
void ebb_reload_worked(struct ebb_reload *reload);

/* Reads it now; @cause for the log: "SIGHUP". */
void ebb_reload_now(struct ebb_reload *reload, const char *cause);

/* The pass that was asked for has ended. */
void ebb_reload_remembered(struct ebb_reload *reload);

/* Goes on with what waits for the lock. True: still waits; call it again soon. */
bool ebb_reload_again(struct ebb_reload *reload);

/* Nothing is on its way: what was asked for is in force, or rejected. */
bool ebb_reload_is_done(const struct ebb_reload *reload);

#endif /* EBB_AGENT_RELOAD_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node fuse: one breaker above the others. Where many destinations fail at once, the fault is probably the node's own. One pure
 * function of (state, facts, now, config); docs/state-machine.md, "The node fuse", is its text.
 */
#ifndef EBB_CORE_FUSE_H
#define EBB_CORE_FUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/window.h"

struct ebb_fuse_config {
	double open_ratio; /* it acts when this share of the active destinations, or more, is open */
	uint32_t min_destinations;
	uint32_t min_calls;
	uint32_t action;    /* enum ebb_fuse_action, not EBB_FUSE_OFF */
	uint64_t window_ns; /* of results and of activity; it leaves after one of them */
};

/* The gates of one destination that decide whether it is active, and whether it is open. */
struct ebb_fuse_gates {
	uint32_t workloads; /* that use the destination */
	uint32_t active;
	uint32_t open; /* of the active ones */
};

/* What one look sees. */
struct ebb_fuse_facts {
	uint32_t active;  /* destinations */
	uint32_t open;	  /* of these */
	uint64_t results; /* of all gates, since the last look */
};

struct ebb_fuse {
	bool acts;
	uint64_t below_ns;	  /* the ratio is low enough to leave since then; 0: it is not */
	struct ebb_window window; /* results of the node, all as .ok */
};

/* It began to act, or ended. */
struct ebb_fuse_move {
	uint64_t at_ns;
	bool acts;
	uint32_t action; /* enum ebb_fuse_action, as configured */
	uint32_t active; /* the facts that caused it */
	uint32_t open;
	uint32_t calls; /* results in the window */
};

/* The defaults of design section 5. */
void ebb_fuse_defaults(struct ebb_fuse_config *ret_config);

/*
 * A gate is active when it was used within @window_ns, or moved: @used_ns is the latest of its results, of connects that it refused
 * or met while it was not closed, and of the begin of its state; 0: none. One that is not closed counts as open.
 */
void ebb_fuse_count_gate(struct ebb_fuse_gates *io_gates, uint32_t state, uint64_t used_ns,
			 uint64_t window_ns, uint64_t now_ns);

/* Adds a destination, if it is one that counts: named by a rule, or used by two workloads. */
void ebb_fuse_count_destination(struct ebb_fuse_facts *io_facts, const struct ebb_fuse_gates *gates,
				bool named);

/* One look. True: it began to act or ended, and *@ret_move says why. @now_ns never goes back and is not 0. */
bool ebb_fuse_look(struct ebb_fuse *fuse, const struct ebb_fuse_config *config,
		   const struct ebb_fuse_facts *facts, uint64_t now_ns, struct ebb_fuse_move *ret_move);

/* When it ends if nothing changes; UINT64_MAX: that is not in sight. */
uint64_t ebb_fuse_deadline(const struct ebb_fuse *fuse, const struct ebb_fuse_config *config);

/*
 * What it does now (enum ebb_fuse_action), and whether it refuses what @policy is for: as the kernel has it (bpf/gate.h). An agent
 * whose lease is over says nothing about the node.
 */
uint32_t ebb_fuse_of(const struct ebb_agent *agent, uint64_t now_ns);
bool ebb_fuse_refuses(const struct ebb_policy *policy, uint32_t fuse);

/* Names as in the configuration, on the command line and in logs: "off", "alert", "release", "shed". */
const char *ebb_fuse_name(uint32_t fuse);

#endif /* EBB_CORE_FUSE_H */

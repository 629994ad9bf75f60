/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One moment of the maps and what is told of it: state of the agent, time and JSON as they are shown. Commands and the
 * HTTP API share it, so that they never differ.
 */
#ifndef EBB_TELL_LOOK_H
#define EBB_TELL_LOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "kernel/maps.h"
#include "node/cgroup.h"
#include "tell/addresses.h"

/*
 * An agent that lives writes its heartbeat at least every second; three of them
 * missed, and it is called silent.
 */
#define EBB_HEARTBEAT_LATE_NS 3000000000ULL

/* One moment, seen by a command or by the agent. A test fills it from its own memory. */
struct ebb_look {
	const struct ebb_view *view;
	struct ebb_cgroup_names *names;
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t link_count;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	int64_t realtime_ns;
	size_t columns;			       /* of the terminal; 0: no limit */
	const struct ebb_addresses *addresses; /* of the destination that is shown; NULL: not asked for */
	struct ebb_mapping *mapping;	       /* NULL: no rule is about workloads */
};

/* enum ebb_class: what the kernel makes of a workload. */
uint32_t ebb_look_class(const struct ebb_look *look, uint64_t workload);

/* -------------------------------------------------------------- agent -- */

enum ebb_agent_state {
	EBB_AGENT_NONE, /* there never was one, or it left in order */
	EBB_AGENT_RUNNING,
	EBB_AGENT_SILENT, /* late, but its lease holds */
	EBB_AGENT_DEAD,	  /* its lease is over */
};

enum ebb_agent_state ebb_agent_state(const struct ebb_agent *agent, uint64_t now_ns);
const char *ebb_agent_state_name(enum ebb_agent_state state);

/* --------------------------------------------------------------- time -- */

#define EBB_TIME_MAX 32

/* Wall clock of a monotonic time. */
int64_t ebb_look_realtime(const struct ebb_look *look, uint64_t at_ns);
/* "2026-11-21 14:03:59", local time; with @millis ".123" behind it. */
const char *ebb_format_time(int64_t realtime_ns, bool millis, char *buffer, size_t size);
/* now - then, 0 when the clocks of two processors disagree. */
uint64_t ebb_age(uint64_t now_ns, uint64_t then_ns);

/* --------------------------------------------------------------- JSON -- */

json_t *ebb_json_seconds(uint64_t ns);
json_t *ebb_json_count(uint64_t count);
/* An object: @counts under their names. NULL: out of memory. */
json_t *ebb_json_counts(const uint64_t *counts, uint32_t count, const char *(*name)(uint32_t index));
/* Unix time in seconds of a monotonic time; null for 0, which means never or unknown. */
json_t *ebb_json_timestamp(const struct ebb_look *look, uint64_t at_ns);

/* -------------------------------------------------------------- names -- */

const char *ebb_errno_name(uint32_t code);		/* "ECONNREFUSED" */
const char *ebb_on_agent_loss_name(uint32_t loss);	/* "release" */
const char *ebb_established_name(uint32_t established); /* "keep" */

#endif /* EBB_TELL_LOOK_H */

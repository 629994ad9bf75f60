/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the exporters read: the maps, and what the agent knows about itself.
 * Plain data, owned and filled by the agent; exporters only read.
 */
#ifndef EBB_EXPORT_SOURCE_H
#define EBB_EXPORT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "export/health.h"
#include "kernel/maps.h"
#include "node/cgroup.h"

/* What became of a configuration that was read while the agent ran. */
enum ebb_reload_result {
	EBB_RELOAD_APPLIED,
	EBB_RELOAD_REJECTED, /* something is wrong in it, or there is no room for it */
	EBB_RELOAD_MAX,
};

struct ebb_source {
	const struct ebb_view *view;
	const struct ebb_health *health;
	struct ebb_cgroup_names *workloads; /* cgroup id -> name */
	uint64_t (*now_ns)(void);	    /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);

	/* about ourselves */
	const char *version;
	struct ebb_hist tick_duration;
	uint64_t ticks;
	uint64_t map_bytes;
	uint32_t dst_live; /* slots in use, ~other not counted */
	uint32_t pair_live;
	uint64_t reloads[EBB_RELOAD_MAX];
	bool reload_failed;	     /* the last one was not applied: an older one is in force */
	uint64_t applied_realtime_s; /* when the one in force was applied */
	uint64_t *local_floor;	     /* by pair slot, zero at first; kept by the exporter (metrics.c) */
};

#endif /* EBB_EXPORT_SOURCE_H */

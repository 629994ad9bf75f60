/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the exporters read: the maps, and what the agent knows about itself.
 * Plain data, owned and filled by the agent; exporters only read.
 */
#ifndef EBB_EXPORT_SOURCE_H
#define EBB_EXPORT_SOURCE_H

#include <stdint.h>

#include "bpf/abi.h"
#include "export/health.h"
#include "kernel/maps.h"
#include "node/cgroup.h"

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
	uint64_t *local_floor; /* by pair slot, zero at first; kept by the exporter (metrics.c) */
};

#endif /* EBB_EXPORT_SOURCE_H */

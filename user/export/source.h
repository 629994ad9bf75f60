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
#include "export/audit.h"
#include "export/health.h"
#include "export/http_stats.h"
#include "export/traces.h"
#include "kernel/maps.h"
#include "kernel/runs.h"
#include "node/cgroup.h"

/* What became of a configuration that was read while the agent ran. */
enum ebb_reload_result {
	EBB_RELOAD_APPLIED,
	EBB_RELOAD_REJECTED, /* something is wrong in it, or there is no room for it */
	EBB_RELOAD_MAX,
};

struct ebb_groups;
struct ebb_mapping;
struct ebb_pods;

struct ebb_source {
	const struct ebb_view *view;
	const struct ebb_health *health;
	struct ebb_cgroup_names *workloads; /* cgroup id -> name */
	const struct ebb_pods *pods;	    /* NULL: without Kubernetes */
	const char *pod_labels;		    /* of them, to be shown: joined by commas; NULL, "": none */
	uint64_t (*now_ns)(void);	    /* CLOCK_MONOTONIC */
	int64_t (*realtime_ns)(void);
	const char *pin_dir;	     /* NULL: which programs are attached is not known */
	struct ebb_mapping *mapping; /* NULL: addresses and classes are not known */
	/* Told of each request that would change something, which is answered by @status; NULL: nobody is. */
	void (*refused)(void *userdata, const char *method, const char *path, const char *peer,
			unsigned int status);
	void *refused_userdata;

	const struct ebb_audit_status *audit; /* NULL: there is no audit log */

	/* about ourselves */
	const char *version;
	struct ebb_hist tick_duration;
	uint64_t ticks;
	uint64_t map_bytes;
	uint32_t dst_live; /* slots in use, ~other not counted */
	uint32_t pair_live;
	uint64_t reloads[EBB_RELOAD_MAX];
	struct ebb_traces_facts traces;
	uint64_t pushed[EBB_SPAN_RESULT_MAX]; /* points of metrics, by what became of them at a collector */
	struct ebb_hist push_duration;	      /* of each push, the work of the agent */
	bool reload_failed;		      /* the last one was not applied: an older one is in force */
	uint64_t applied_realtime_s;	      /* when the one in force was applied */
	uint64_t links_restored;	      /* programs that somebody took away, attached again */
	uint64_t pins_restored;
	bool realtime_wanted;	   /* real-time priority is, since something enforces */
	bool realtime;		   /* and is there */
	uint64_t realtime_losses;  /* how often it was taken */
	bool seccomp;		   /* system calls that we do not need are refused to us */
	uint64_t calls_unlisted;   /* such calls that were made, refused or not */
	struct ebb_groups *groups; /* kept by the exporter (items.c); NULL: pairs keep all their labels */
	uint64_t *local_floor;	   /* by pair slot, zero at first; kept by the exporter (metrics.c) */
	struct ebb_hist *scrape_duration; /* kept by the exporter (http_metrics.c) */
	struct ebb_http_stats *http;	  /* kept by the exporter (http.c, readers.c) */
	/* What the programs ran, as ebb_loader_runs() says it; NULL: that is not known. */
	size_t (*runs)(const void *userdata, struct ebb_program_runs ret_runs[EBB_LINKS_MAX]);
	const void *runs_userdata;
};

#endif /* EBB_EXPORT_SOURCE_H */

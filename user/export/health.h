/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of each component: healthy, degraded or unhealthy, since when and
 * why, and when that was found out. The agent sets, HTTP serves. Any unhealthy
 * component makes the whole unhealthy, any degraded one makes it degraded.
 */
#ifndef EBB_EXPORT_HEALTH_H
#define EBB_EXPORT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum ebb_health_state {
	EBB_HEALTHY,
	EBB_DEGRADED,
	EBB_UNHEALTHY,
};

enum ebb_health_component {
	EBB_HEALTH_PROGRAMS,	/* attached to the cgroup */
	EBB_HEALTH_ENFORCEMENT, /* in place if asked for */
	EBB_HEALTH_LOOP,	/* ticks are on time */
	EBB_HEALTH_TABLES,	/* room for destinations and pairs */
	EBB_HEALTH_EVENTS,	/* hints lost */
	EBB_HEALTH_LIMITS,	/* byte and packet limits in place if asked for */
	EBB_HEALTH_CONFIG,	/* what the configuration says is in force */
	EBB_HEALTH_NAMES,	/* DNS answers are read if asked for, and none is lost */
	EBB_HEALTH_TURNS,	/* requests and answers are seen if wanted */
	EBB_HEALTH_FUSE,	/* the node fuse does not act */
	EBB_HEALTH_AUDIT_SPOOL, /* events of the audit log are kept */
	EBB_HEALTH_AUDIT_JSONL, /* each sink takes what there is, or is not wanted */
	EBB_HEALTH_AUDIT_SQLITE,
	EBB_HEALTH_AUDIT_POSTGRES,
	EBB_HEALTH_TRACES,	 /* the collector takes spans, if there is one */
	EBB_HEALTH_BREAKERS,	 /* none is open */
	EBB_HEALTH_PINS,	 /* what is pinned is ours */
	EBB_HEALTH_LEASE,	 /* verdicts are renewed */
	EBB_HEALTH_KUBERNETES,	 /* pods are told of, if somebody is to be asked */
	EBB_HEALTH_METRICS_OTLP, /* the collector takes metrics, if there is one */
	EBB_HEALTH_SECCOMP,	 /* system calls are filtered if asked for, and none had to be refused */
	EBB_HEALTH_MAX,
};

struct ebb_health_entry {
	enum ebb_health_state state;
	int64_t since_realtime_ns;
	int64_t checked_realtime_ns; /* when it was last found to be so */
	char why[160];		     /* "" when healthy */
};

struct ebb_health {
	bool started;	     /* the first tick is done */
	bool stopping;	     /* readiness off */
	bool enforce_wanted; /* some destination or the node is in enforce mode */
	uint32_t ignored;    /* 1 << component: shown, but neither the whole nor readiness depends on it */
	struct ebb_health_entry entries[EBB_HEALTH_MAX];
};

void ebb_health_init(struct ebb_health *h, int64_t realtime_ns);

bool ebb_health_is_ignored(const struct ebb_health *h, enum ebb_health_component component);

/*
 * @since moves only when the state changes; the reason is taken anew each time
 * (cut at its end). A healthy component has none: pass NULL for @format.
 */
void ebb_health_set(struct ebb_health *h, enum ebb_health_component component, enum ebb_health_state state,
		    int64_t realtime_ns, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The worst of what is not ignored. */
enum ebb_health_state ebb_health_overall(const struct ebb_health *h);

/* Is there enforcement that is wanted, and the programs for it in place? */
bool ebb_health_enforcing(const struct ebb_health *h);

/*
 * What keeps enforcement from being in place, wanted or not, of what is not in @ignored (1 << component).
 * EBB_HEALTH_MAX: nothing does.
 */
enum ebb_health_component ebb_health_obstacle(const struct ebb_health *h, uint32_t ignored);

/* Started, not stopping, and enforcement is in place where it is wanted, as far as that is not ignored. */
bool ebb_health_ready(const struct ebb_health *h);

extern const char *const ebb_health_component_names[EBB_HEALTH_MAX + 1]; /* NULL at the end */
const char *ebb_health_component_name(enum ebb_health_component component);
const char *ebb_health_state_name(enum ebb_health_state state);

#endif /* EBB_EXPORT_HEALTH_H */

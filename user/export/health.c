/* SPDX-License-Identifier: Apache-2.0 */
#include "export/health.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *const ebb_health_component_names[EBB_HEALTH_MAX + 1] = {
	[EBB_HEALTH_PROGRAMS] = "programs",
	[EBB_HEALTH_ENFORCEMENT] = "enforcement",
	[EBB_HEALTH_LOOP] = "loop",
	[EBB_HEALTH_TABLES] = "tables",
	[EBB_HEALTH_EVENTS] = "events",
	[EBB_HEALTH_LIMITS] = "limits",
	[EBB_HEALTH_CONFIG] = "config",
	[EBB_HEALTH_NAMES] = "names",
	[EBB_HEALTH_TURNS] = "turns",
	[EBB_HEALTH_FUSE] = "node_fuse",
	[EBB_HEALTH_AUDIT_SPOOL] = "audit_spool",
	[EBB_HEALTH_AUDIT_JSONL] = "audit_jsonl",
	[EBB_HEALTH_AUDIT_SQLITE] = "audit_sqlite",
	[EBB_HEALTH_AUDIT_POSTGRES] = "audit_postgres",
	[EBB_HEALTH_TRACES] = "traces",
	[EBB_HEALTH_BREAKERS] = "breakers",
	[EBB_HEALTH_PINS] = "pins",
	[EBB_HEALTH_LEASE] = "lease",
	[EBB_HEALTH_KUBERNETES] = "kubernetes",
	[EBB_HEALTH_METRICS_OTLP] = "metrics_otlp",
	[EBB_HEALTH_SECCOMP] = "seccomp",
};

static const char *const state_names[] = {
	[EBB_HEALTHY] = "healthy",
	[EBB_DEGRADED] = "degraded",
	[EBB_UNHEALTHY] = "unhealthy",
};

void ebb_health_init(struct ebb_health *h, int64_t realtime_ns)
{
	memset(h, 0, sizeof(*h));
	for (int i = 0; i < EBB_HEALTH_MAX; i++)
		h->entries[i].since_realtime_ns = h->entries[i].checked_realtime_ns = realtime_ns;
}

bool ebb_health_is_ignored(const struct ebb_health *h, enum ebb_health_component component)
{
	return h->ignored & (1U << component);
}

void ebb_health_set(struct ebb_health *h, enum ebb_health_component component, enum ebb_health_state state,
		    int64_t realtime_ns, const char *format, ...)
{
	struct ebb_health_entry *entry = &h->entries[component];
	va_list args;

	if (entry->state != state) {
		entry->state = state;
		entry->since_realtime_ns = realtime_ns;
	}
	entry->checked_realtime_ns = realtime_ns;
	entry->why[0] = '\0';
	if (state == EBB_HEALTHY || !format)
		return;
	va_start(args, format);
	(void)vsnprintf(entry->why, sizeof(entry->why), format, args);
	va_end(args);
}

enum ebb_health_state ebb_health_overall(const struct ebb_health *h)
{
	enum ebb_health_state worst = EBB_HEALTHY;

	for (int i = 0; i < EBB_HEALTH_MAX; i++)
		if (!ebb_health_is_ignored(h, (enum ebb_health_component)i) && h->entries[i].state > worst)
			worst = h->entries[i].state;
	return worst;
}

/* The programs come first, since nothing works without them. */
static const enum ebb_health_component enforcing[] = {EBB_HEALTH_PROGRAMS, EBB_HEALTH_ENFORCEMENT,
						      EBB_HEALTH_LIMITS, EBB_HEALTH_LEASE};

enum ebb_health_component ebb_health_obstacle(const struct ebb_health *h, uint32_t ignored)
{
	for (size_t i = 0; i < sizeof(enforcing) / sizeof(enforcing[0]); i++) {
		if (h->entries[enforcing[i]].state == EBB_UNHEALTHY && !(ignored & (1U << enforcing[i])))
			return enforcing[i];
	}
	return EBB_HEALTH_MAX;
}

bool ebb_health_enforcing(const struct ebb_health *h)
{
	return h->enforce_wanted && ebb_health_obstacle(h, 0) == EBB_HEALTH_MAX;
}

bool ebb_health_ready(const struct ebb_health *h)
{
	return h->started && !h->stopping &&
	       (!h->enforce_wanted || ebb_health_obstacle(h, h->ignored) == EBB_HEALTH_MAX);
}

const char *ebb_health_component_name(enum ebb_health_component component)
{
	return (unsigned int)component < EBB_HEALTH_MAX ? ebb_health_component_names[component] : "unknown";
}

const char *ebb_health_state_name(enum ebb_health_state state)
{
	return (size_t)state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "unknown";
}

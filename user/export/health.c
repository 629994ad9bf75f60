/* SPDX-License-Identifier: Apache-2.0 */
#include "export/health.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const component_names[EBB_HEALTH_MAX] = {
	[EBB_HEALTH_PROGRAMS] = "programs", [EBB_HEALTH_ENFORCEMENT] = "enforcement",
	[EBB_HEALTH_LOOP] = "loop",	    [EBB_HEALTH_TABLES] = "tables",
	[EBB_HEALTH_EVENTS] = "events",	    [EBB_HEALTH_LIMITS] = "limits",
	[EBB_HEALTH_CONFIG] = "config",	    [EBB_HEALTH_NAMES] = "names",
	[EBB_HEALTH_TURNS] = "turns",	    [EBB_HEALTH_FUSE] = "node_fuse",
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
		h->entries[i].since_realtime_ns = realtime_ns;
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
		if (h->entries[i].state > worst)
			worst = h->entries[i].state;
	return worst;
}

static bool enforcement_in_place(const struct ebb_health *h)
{
	return h->entries[EBB_HEALTH_PROGRAMS].state != EBB_UNHEALTHY &&
	       h->entries[EBB_HEALTH_ENFORCEMENT].state != EBB_UNHEALTHY &&
	       h->entries[EBB_HEALTH_LIMITS].state != EBB_UNHEALTHY;
}

bool ebb_health_enforcing(const struct ebb_health *h)
{
	return h->enforce_wanted && enforcement_in_place(h);
}

bool ebb_health_ready(const struct ebb_health *h)
{
	return h->started && !h->stopping && (!h->enforce_wanted || enforcement_in_place(h));
}

const char *ebb_health_component_name(enum ebb_health_component component)
{
	return (unsigned int)component < EBB_HEALTH_MAX ? component_names[component] : "unknown";
}

const char *ebb_health_state_name(enum ebb_health_state state)
{
	return (size_t)state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "unknown";
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the place of tracing.c and pushing.c where ebb is built without OTLP (WITH_OTLP=0): says so when traces or metrics are
 * asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/pushing.h"
#include "agent/tracing.h"
#include "lib/log.h"

/* One signal, and who can ask for it. */
struct absent {
	const char *name; /* "traces" */
	const char *key, *variable;
	enum ebb_health_component component;
	struct ebb_health *health;
	const char *const *environ;
	int64_t (*realtime_ns)(void);
	bool told;
};

struct ebb_tracing {
	struct absent absent;
};

struct ebb_pushing {
	struct absent absent;
};

/* NULL: not set, or empty. */
static const char *get(const struct absent *a, const char *name)
{
	size_t length = strlen(name);

	for (const char *const *e = a->environ; e && *e; e++)
		if (strncmp(*e, name, length) == 0 && (*e)[length] == '=' && (*e)[length + 1])
			return *e + length + 1;
	return NULL;
}

/* NULL: nobody. @endpoint: what our own key says. */
static const char *asked_by(const struct absent *a, const char *endpoint)
{
	const char *disabled = get(a, "OTEL_SDK_DISABLED");

	if (disabled && strcasecmp(disabled, "true") == 0)
		return NULL;
	if (endpoint[0])
		return a->key;
	if (get(a, a->variable))
		return a->variable;
	return get(a, "OTEL_EXPORTER_OTLP_ENDPOINT") ? "OTEL_EXPORTER_OTLP_ENDPOINT" : NULL;
}

/* @by: NULL: nobody asks for it. */
static void tell(struct absent *a, const char *by)
{
	if (by)
		ebb_health_set(a->health, a->component, EBB_DEGRADED, a->realtime_ns(),
			       "%s asks for %s, but this ebb is built without them (WITH_OTLP=0)", by,
			       a->name);
	else
		ebb_health_set(a->health, a->component, EBB_HEALTHY, a->realtime_ns(), "%s", "");
	if (by && !a->told)
		ebb_warn("%s asks for %s, but this ebb is built without them (WITH_OTLP=0): none are sent",
			 by, a->name);
	a->told = by != NULL;
}

/* ------------------------------------------------------------------ traces -- */

int ebb_tracing_new(const struct ebb_tracing_setup *setup, struct ebb_tracing **ret_tracing)
{
	struct ebb_tracing *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->absent = (struct absent){
		.name = "traces",
		.key = "traces.otlp.endpoint",
		.variable = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		.component = EBB_HEALTH_TRACES,
		.health = setup->health,
		.environ = setup->environ,
		.realtime_ns = setup->realtime_ns,
	};
	*ret_tracing = t;
	return 0;
}

void ebb_tracing_free(struct ebb_tracing *tracing)
{
	free(tracing);
}

void ebb_tracing_configure(struct ebb_tracing *t, const struct ebb_config *config)
{
	tell(&t->absent, asked_by(&t->absent, config->traces_endpoint));
}

void ebb_tracing_moved(struct ebb_tracing *tracing, const struct ebb_move_facts *facts)
{
	(void)tracing;
	(void)facts;
}

void ebb_tracing_tick(struct ebb_tracing *tracing, uint64_t now_ns)
{
	(void)tracing;
	(void)now_ns;
}

int ebb_tracing_fd(const struct ebb_tracing *tracing)
{
	(void)tracing;
	return -1;
}

void ebb_tracing_dispatch(struct ebb_tracing *tracing)
{
	(void)tracing;
}

bool ebb_tracing_flush(struct ebb_tracing *tracing, uint64_t now_ns)
{
	(void)tracing;
	(void)now_ns;
	return false;
}

/* ----------------------------------------------------------------- metrics -- */

int ebb_pushing_new(const struct ebb_pushing_setup *setup, struct ebb_pushing **ret_pushing)
{
	struct ebb_pushing *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->absent = (struct absent){
		.name = "metrics",
		.key = "metrics.otlp.endpoint",
		.variable = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		.component = EBB_HEALTH_METRICS_OTLP,
		.health = setup->health,
		.environ = setup->environ,
		.realtime_ns = setup->source->realtime_ns,
	};
	*ret_pushing = p;
	return 0;
}

void ebb_pushing_free(struct ebb_pushing *pushing)
{
	free(pushing);
}

void ebb_pushing_configure(struct ebb_pushing *p, const struct ebb_config *config)
{
	const struct ebb_metrics_otlp_config *otlp = &config->metrics_otlp;
	const char *by =
		otlp->enabled == EBB_PUSH_ON ? "metrics.otlp.enabled" : asked_by(&p->absent, otlp->endpoint);

	tell(&p->absent, otlp->enabled == EBB_PUSH_OFF ? NULL : by);
}

int ebb_pushing_fd(const struct ebb_pushing *pushing)
{
	(void)pushing;
	return -1;
}

void ebb_pushing_dispatch(struct ebb_pushing *pushing)
{
	(void)pushing;
}

bool ebb_pushing_flush(struct ebb_pushing *pushing)
{
	(void)pushing;
	return false;
}

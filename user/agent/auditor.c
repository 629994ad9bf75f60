/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/auditor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/deeds.h"
#include "agent/sinks.h"
#include "export/whereabouts.h"
#include "lib/log.h"

/* In memory until the disk has it: about 4,000 events, twice. */
#define QUEUE_BYTES (2U << 20)

/* So long it is told that events were refused. */
#define REFUSED_NS 60000000000ULL

struct ebb_auditor {
	struct ebb_auditor_setup setup;
	struct ebb_audit *audit;
	struct ebb_audit_feed *feed;
	struct ebb_audit_status status;
	uint64_t deeds_put;	  /* serial of the last order that the queue took */
	uint64_t deeds_safe_when; /* so many events are in the spool */
	uint64_t refused;	  /* as of the last time that there were more */
	uint64_t refused_at_ns;	  /* 0: never */
	bool stopping;
	int place_fd; /* where commands find what .place says; -1: nowhere */
	struct ebb_whereabouts place;
	const char *missing; /* the key that asks for a sink that is not built in; NULL: none */
	enum ebb_health_component missing_component;
};

static int put(void *userdata, const struct ebb_audit_event *event)
{
	struct ebb_auditor *a = userdata;

	return ebb_audit_put(a->audit, event);
}

/* -------------------------------------------------------------------- life -- */

static int open_feed(struct ebb_auditor *a)
{
	const struct ebb_audit_feed_setup setup = {
		.view = a->setup.view,
		.names = a->setup.names,
		.now_ns = a->setup.now_ns,
		.realtime_ns = a->setup.realtime_ns,
		.put = put,
		.userdata = a,
		.told_until_ns = a->setup.view->agent->heartbeat_ns,
	};

	return ebb_audit_feed_new(&setup, &a->feed);
}

_Static_assert(EBB_PATH_TEXT_MAX <= EBB_WHEREABOUTS_PATH_MAX, "every path fits");
_Static_assert(EBB_WORD_MAX <= EBB_WHEREABOUTS_WORD_MAX, "every word fits");

/* Commands that do not find it go by the configuration file. */
static void tell_place(struct ebb_auditor *a, const struct ebb_audit_config *audit)
{
	(void)snprintf(a->place.sqlite, sizeof(a->place.sqlite), "%s", audit->sqlite.path);
	(void)snprintf(a->place.file, sizeof(a->place.file), "%s", audit->file.path);
	a->place.keep = audit->file.keep;
	(void)snprintf(a->place.host, sizeof(a->place.host), "%s", audit->postgres.host);
	a->place.port = audit->postgres.port;
	(void)snprintf(a->place.database, sizeof(a->place.database), "%s", audit->postgres.database);
	(void)snprintf(a->place.user, sizeof(a->place.user), "%s", audit->postgres.user);
	(void)snprintf(a->place.password_file, sizeof(a->place.password_file), "%s",
		       audit->postgres.password_file);
	if (a->place_fd >= 0 && ebb_whereabouts_say(a->place_fd, &a->place) < 0)
		ebb_warn("commands cannot be told where the audit log is: they go by the configuration file");
}

static void open_place(struct ebb_auditor *a, const struct ebb_audit_config *audit)
{
	int r = ebb_whereabouts_new(&a->place_fd);

	if (r < 0)
		ebb_warn("commands cannot be told where the audit log is (%s): they go by the configuration file",
			 ebb_strerror(r));
	/* it stays, whatever the file says, until the agent is started again */
	(void)snprintf(a->place.dir, sizeof(a->place.dir), "%s", audit->dir);
	tell_place(a, audit);
}

static int open_audit(struct ebb_auditor *a, const struct ebb_config *config, struct ebb_why *why)
{
	struct ebb_audit_setup setup = {
		.dir = config->audit.dir,
		.spool_bytes = config->audit.spool_bytes,
		.queue_bytes = QUEUE_BYTES,
	};
	int r = ebb_sinks_make(config, &setup.to);

	if (r < 0)
		return ebb_why(why, r, "out of memory");
	r = ebb_audit_new(&setup, &a->audit, why);
	for (size_t i = 0; r < 0 && i < setup.to.count; i++)
		setup.to.sinks[i].ops->free(setup.to.sinks[i].data);
	return r;
}

int ebb_auditor_new(const struct ebb_auditor_setup *setup, const struct ebb_config *config,
		    struct ebb_auditor **ret_auditor, struct ebb_why *why)
{
	struct ebb_auditor *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return ebb_why(why, -ENOMEM, "out of memory");
	a->setup = *setup;
	a->place_fd = -1;
	a->missing = ebb_sinks_missing(config, &a->missing_component);
	a->deeds_put = setup->view->agent->deeds_told;
	r = open_feed(a) < 0 ? ebb_why(why, -ENOMEM, "out of memory") : open_audit(a, config, why);
	if (r < 0) {
		ebb_auditor_free(a);
		return r;
	}
	open_place(a, &config->audit);
	*ret_auditor = a;
	return 0;
}

/* Those that are in the spool need not be told to the next agent. */
static void settle_deeds(struct ebb_auditor *a)
{
	uint64_t *told = (uint64_t *)&a->setup.view->agent->deeds_told;

	ebb_audit_status(a->audit, &a->status);
	if (a->deeds_put != *told && a->status.spooled >= a->deeds_safe_when)
		__atomic_store_n(told, a->deeds_put, __ATOMIC_SEQ_CST);
}

void ebb_auditor_free(struct ebb_auditor *a)
{
	if (!a)
		return;
	if (a->audit)
		settle_deeds(a);
	ebb_audit_free(a->audit, 0);
	ebb_audit_feed_free(a->feed);
	if (a->place_fd >= 0)
		(void)close(a->place_fd);
	free(a);
}

void ebb_auditor_configure(struct ebb_auditor *a, const struct ebb_config *before,
			   const struct ebb_config *config)
{
	struct ebb_audit_sinks sinks;

	if (ebb_config_same(before, config, "audit"))
		return;
	if (ebb_sinks_make(config, &sinks) < 0) {
		ebb_warn("out of memory: the audit log goes where it went before");
		return;
	}
	ebb_audit_replace(a->audit, &sinks);
	tell_place(a, &config->audit);
	a->missing = ebb_sinks_missing(config, &a->missing_component);
	ebb_info("the audit log goes elsewhere: sinks=%zu", sinks.count);
}

/* ------------------------------------------------------------------ health -- */

static void check_spool(struct ebb_auditor *a)
{
	const struct ebb_audit_status *s = &a->status;
	uint64_t now = a->setup.now_ns();

	if (s->refused != a->refused) {
		a->refused = s->refused;
		a->refused_at_ns = now;
	}
	if (s->stuck)
		ebb_health_set(a->setup.health, EBB_HEALTH_AUDIT_SPOOL, EBB_DEGRADED, a->setup.realtime_ns(),
			       "events wait in memory: %s", s->why);
	else if (a->refused_at_ns && now - a->refused_at_ns < REFUSED_NS)
		ebb_health_set(a->setup.health, EBB_HEALTH_AUDIT_SPOOL, EBB_DEGRADED, a->setup.realtime_ns(),
			       "%" PRIu64
			       " events were not kept since the start: they came faster than the disk takes them",
			       s->refused);
	else
		ebb_health_set(a->setup.health, EBB_HEALTH_AUDIT_SPOOL, EBB_HEALTHY, a->setup.realtime_ns(),
			       "%s", "");
}

static void check_sinks(struct ebb_auditor *a)
{
	bool failing[EBB_HEALTH_MAX] = {false};

	for (size_t i = 0; i < a->status.sink_count; i++) {
		const struct ebb_audit_sink_status *sink = &a->status.sinks[i];
		enum ebb_health_component component = ebb_sinks_component(sink->name);

		failing[component] = sink->failing;
		if (sink->failing)
			ebb_health_set(a->setup.health, component, EBB_DEGRADED, a->setup.realtime_ns(),
				       "%" PRIu64 " events wait: %s", sink->waiting, sink->why);
	}
	if (a->missing) {
		failing[a->missing_component] = true;
		ebb_health_set(a->setup.health, a->missing_component, EBB_DEGRADED, a->setup.realtime_ns(),
			       "%s asks for PostgreSQL, but this ebb is built without it (WITH_POSTGRES=0)",
			       a->missing);
	}
	for (int c = EBB_HEALTH_AUDIT_JSONL; c <= EBB_HEALTH_AUDIT_POSTGRES; c++) {
		if (!failing[c])
			ebb_health_set(a->setup.health, (enum ebb_health_component)c, EBB_HEALTHY,
				       a->setup.realtime_ns(), "%s", "");
	}
}

void ebb_auditor_tick(struct ebb_auditor *a)
{
	ebb_audit_feed_tick(a->feed);
	ebb_audit_status(a->audit, &a->status);
	check_spool(a);
	check_sinks(a);
}

struct ebb_audit_feed *ebb_auditor_feed(struct ebb_auditor *a)
{
	return a ? a->feed : NULL;
}

const struct ebb_audit_status *ebb_auditor_status(const struct ebb_auditor *a)
{
	return &a->status;
}

/* ------------------------------------------------------------------ orders -- */

static int tell_deed(void *userdata, const struct ebb_deed *deed, uint64_t lost)
{
	struct ebb_auditor *a = userdata;

	return ebb_audit_feed_deed(a->feed, deed, lost);
}

void ebb_auditor_deeds(struct ebb_auditor *a)
{
	settle_deeds(a);
	if (ebb_deeds_tell(a->setup.view, &a->deeds_put, tell_deed, a) == 0)
		return;
	ebb_audit_status(a->audit, &a->status);
	a->deeds_safe_when = a->status.accepted;
}

/* -------------------------------------------------------------------- stop -- */

void ebb_auditor_stop(struct ebb_auditor *a, const char *reason, bool failed, uint64_t timeout_ns)
{
	if (a->stopping)
		return;
	a->stopping = true;
	ebb_auditor_deeds(a);
	ebb_audit_feed_flush(a->feed);
	ebb_audit_feed_stopped(a->feed, reason, failed);
	ebb_audit_stop(a->audit, timeout_ns);
}

int ebb_auditor_done_fd(const struct ebb_auditor *a)
{
	return ebb_audit_done_fd(a->audit);
}

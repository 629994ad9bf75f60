/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit_feed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit_requests.h"
#include "agent/audit_sums.h"
#include "core/address.h"
#include "core/deed.h"
#include "core/policy.h"
#include "export/name.h"
#include "lib/text.h"
#include "node/who.h"

#define NS_PER_S 1000000000ULL

/* How much is told with one tick: it must not be late for it. */
#define SUMS_A_TICK	    32
#define DESTINATIONS_A_TICK 64

#define SESSION_MAX 17
#define EPISODE_MAX 17

struct ebb_audit_feed {
	struct ebb_audit_feed_setup setup;
	struct ebb_audit_sums *sums;
	uint32_t *told_epoch; /* by destination slot: epoch of the owner that was told, + 1 */
	struct ebb_audit_requests requests, credentials;
	uint64_t requests_at_ns; /* when they are told */
};

/* ------------------------------------------------------------------ event -- */

/* Owns @event->details, which may be NULL: out of memory, and told without them. */
static int put(struct ebb_audit_feed *f, struct ebb_audit_event event, json_t *details)
{
	char session[SESSION_MAX];
	int r;

	(void)snprintf(session, sizeof(session), "%016" PRIx64, (uint64_t)f->setup.view->agent->run_id);
	event.session = session;
	event.details = details;
	if (!event.realtime_ns)
		event.realtime_ns = f->setup.realtime_ns();
	r = f->setup.put(f->setup.userdata, &event);
	json_decref(details);
	return r;
}

/* From outside it may be no UTF-8, of which JSON is made. */
static json_t *text(const char *from)
{
	char shown[1024];

	return json_string(ebb_text_escape(from, shown, sizeof(shown)));
}

/* Adds what an event is about. */
static void set_who(json_t *details, const struct ebb_who *who)
{
	(void)json_object_set_new(details, "workload", json_string(who->workload));
	(void)json_object_set_new(details, "namespace", json_string(who->namespace));
	(void)json_object_set_new(details, "pod", json_string(who->pod));
	(void)json_object_set_new(details, "container", json_string(who->container));
}

/* "10.0.0.5"; "": it has several. */
static const char *address_of(const struct ebb_view *view, uint32_t dst, char buffer[INET6_ADDRSTRLEN])
{
	struct ebb_endpoint endpoint = view->dsts[dst].endpoint;

	buffer[0] = '\0';
	if (endpoint.proto == 0)
		return buffer;
	if (ebb_address_is_mapped(endpoint.addr))
		(void)inet_ntop(AF_INET, endpoint.addr + EBB_MAPPED_BITS / 8, buffer, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, endpoint.addr, buffer, INET6_ADDRSTRLEN);
	return buffer;
}

static json_t *episode_text(uint64_t episode)
{
	char shown[EPISODE_MAX] = "";

	if (episode)
		(void)snprintf(shown, sizeof(shown), "%016" PRIx64, episode);
	return json_string(shown);
}

/* ------------------------------------------------------------------ agent -- */

void ebb_audit_feed_started(struct ebb_audit_feed *f, const struct ebb_audit_start *start)
{
	const struct ebb_audit_event event = {.type = EBB_AUDIT_AGENT_START, .outcome = EBB_AUDIT_SUCCESS};

	(void)put(f, event,
		  json_pack("{s:s, s:s, s:o*, s:o*, s:s, s:b}", "version", start->version, "mode",
			    start->mode, "cgroup", text(start->cgroup), "pin", text(start->pin), "listen",
			    start->listen, "took_over", start->took_over));
}

void ebb_audit_feed_stopped(struct ebb_audit_feed *f, const char *reason, bool failed)
{
	const struct ebb_agent *agent = f->setup.view->agent;
	double uptime_s = (double)(f->setup.now_ns() - agent->started_ns) / (double)NS_PER_S;
	const struct ebb_audit_event event = {.type = EBB_AUDIT_AGENT_STOP,
					      .outcome = failed ? EBB_AUDIT_FAILURE : EBB_AUDIT_SUCCESS,
					      .outcome_details = failed ? reason : ""};

	(void)put(f, event, json_pack("{s:s, s:f}", "signal", failed ? "" : reason, "uptime_s", uptime_s));
}

void ebb_audit_feed_configured(struct ebb_audit_feed *f, const char *file, uint64_t generation,
			       size_t destinations)
{
	const struct ebb_audit_event event = {.type = EBB_AUDIT_CONFIG_APPLIED, .outcome = EBB_AUDIT_SUCCESS};

	(void)put(f, event,
		  json_pack("{s:o*, s:I, s:I}", "file", text(file), "generation", (json_int_t)generation,
			    "destinations", (json_int_t)destinations));
}

void ebb_audit_feed_rejected(struct ebb_audit_feed *f, const char *file, const char *why)
{
	const struct ebb_audit_event event = {.type = EBB_AUDIT_CONFIG_REJECTED,
					      .outcome = EBB_AUDIT_FAILURE,
					      .outcome_details = "rejected"};

	(void)put(f, event, json_pack("{s:o*, s:o*}", "file", text(file), "why", text(why)));
}

void ebb_audit_feed_enforcement(struct ebb_audit_feed *f, bool lost, const char *component, const char *why,
				uint64_t lasted_ns)
{
	const struct ebb_audit_event event = {
		.type = lost ? EBB_AUDIT_ENFORCEMENT_LOST : EBB_AUDIT_ENFORCEMENT_BACK,
		.outcome = lost ? EBB_AUDIT_FAILURE : EBB_AUDIT_SUCCESS,
		.outcome_details = component,
	};
	json_t *details = json_pack("{s:s}", "component", component);

	if (lost)
		(void)json_object_set_new(details, "why", text(why));
	else
		(void)json_object_set_new(details, "lasted_s",
					  json_real((double)lasted_ns / (double)NS_PER_S));
	(void)put(f, event, details);
}

void ebb_audit_feed_link(struct ebb_audit_feed *f, const char *link)
{
	const struct ebb_audit_event event = {.type = EBB_AUDIT_LINK_ATTACHED, .outcome = EBB_AUDIT_SUCCESS};

	(void)put(f, event, json_pack("{s:s}", "link", link));
}

/* ------------------------------------------------------------------ orders -- */

/* FNV-1a */
static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return hash;
}

/* What is the same for the same order, and for no other; also to the next agent. */
static void deed_random(const struct ebb_audit_feed *f, const struct ebb_deed *deed, uint8_t ret_random[16])
{
	uint64_t hash = mix(0xcbf29ce484222325ULL, &f->setup.view->agent->seed, sizeof(uint64_t)), other;

	hash = mix(hash, deed, sizeof(*deed));
	other = mix(hash ^ 0x9e3779b97f4a7c15ULL, deed, sizeof(*deed));
	memcpy(ret_random, &hash, sizeof(hash));
	memcpy(ret_random + sizeof(hash), &other, sizeof(other));
}

int ebb_audit_feed_deed(struct ebb_audit_feed *f, const struct ebb_deed *deed, uint64_t lost)
{
	char user[16];
	uint8_t random[16];
	const struct ebb_audit_event event = {
		.type = EBB_AUDIT_OVERRIDE,
		.outcome = EBB_AUDIT_SUCCESS,
		.realtime_ns = (int64_t)deed->at_realtime_ns,
		.random = random,
		.user = user,
	};
	bool logged_in = deed->login_uid != EBB_LOGIN_NONE;

	(void)snprintf(user, sizeof(user), "%u", logged_in ? deed->login_uid : deed->uid);
	deed_random(f, deed, random);
	return put(f, event,
		   json_pack("{s:I, s:o, s:o*, s:I}", "uid", (json_int_t)deed->uid, "login_uid",
			     logged_in ? json_integer(deed->login_uid) : json_null(), "command",
			     text(deed->what), "lost", (json_int_t)lost));
}

/* --------------------------------------------------------------- breakers -- */

void ebb_audit_feed_moved(struct ebb_audit_feed *f, const struct ebb_move_facts *facts)
{
	const struct ebb_transition *t = &facts->move->transition;
	bool opens = ebb_reason_to(t->reason) == EBB_STATE_OPEN;
	char address[INET6_ADDRSTRLEN];
	const struct ebb_audit_event event = {
		.type = EBB_AUDIT_BREAKER_TRANSITION,
		.outcome = opens ? EBB_AUDIT_DENIED : EBB_AUDIT_SUCCESS,
		.outcome_details = facts->reason,
		.user = facts->who.workload,
		.address = address_of(f->setup.view, facts->move->dst, address),
	};
	json_t *details =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:f, s:I, s:o*, s:s}", "destination",
			  facts->destination, "from", facts->from, "to", facts->to, "reason", facts->reason,
			  "ok", (json_int_t)t->ok, "failed", (json_int_t)t->failed, "slow",
			  (json_int_t)t->slow, "run", (json_int_t)t->run, "last_failure", facts->last_failure,
			  "open_for_s", (double)facts->open_for_ns / (double)NS_PER_S, "generation",
			  (json_int_t)t->gen, "episode", episode_text(t->episode), "mode", facts->mode);

	set_who(details, &facts->who);
	(void)put(f, event, details);
}

void ebb_audit_feed_fuse(struct ebb_audit_feed *f, const struct ebb_fuse_move *move)
{
	enum ebb_audit_outcome acts = move->action == EBB_FUSE_SHED ? EBB_AUDIT_DENIED : EBB_AUDIT_FAILURE;
	const struct ebb_audit_event event = {
		.type = EBB_AUDIT_NODE_FUSE,
		.outcome = move->acts ? acts : EBB_AUDIT_SUCCESS,
		.outcome_details = ebb_fuse_name(move->action),
	};

	(void)put(f, event,
		  json_pack("{s:s, s:b, s:I, s:I, s:I}", "action", ebb_fuse_name(move->action), "acts",
			    move->acts, "open", (json_int_t)move->open, "active", (json_int_t)move->active,
			    "calls", (json_int_t)move->calls));
}

/* ------------------------------------------------------------------- sums -- */

/* Who, and which destination; of many pairs neither is one. */
static void set_pair(struct ebb_audit_feed *f, json_t *details, const struct ebb_audit_sum *sum,
		     struct ebb_who *ret_who)
{
	char name[EBB_DST_NAME_MAX];
	uint32_t dst = sum->others ? EBB_SLOT_OTHER : sum->dst;

	ebb_who(f->setup.names, sum->workload, ret_who);
	(void)json_object_set_new(details, "destination",
				  json_string(ebb_dst_name(f->setup.view, dst, name, sizeof(name))));
	set_who(details, ret_who);
	if (sum->others)
		(void)json_object_set_new(details, "pairs", json_integer(sum->others));
}

static json_t *counts(const uint64_t *values, uint32_t count, const char *(*name)(uint32_t value))
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < count; i++) {
		if (values[i])
			(void)json_object_set_new(object, name(i), json_integer((json_int_t)values[i]));
	}
	return object;
}

/* The stay outside closed that refused: the one that goes on, or ended within the minute. */
static uint64_t episode_of(const struct ebb_audit_feed *f, const struct ebb_audit_sum *sum)
{
	const struct ebb_memory *memory = &f->setup.view->memories[sum->gate];
	const uint32_t by_breaker[] = {EBB_CAUSE_BREAKER, EBB_CAUSE_HALF_OPEN};
	const struct ebb_transition *last;
	uint64_t refused = 0;

	for (size_t i = 0; i < sizeof(by_breaker) / sizeof(by_breaker[0]); i++)
		refused += sum->denied[by_breaker[i]] + sum->would_deny[by_breaker[i]];
	if (refused == 0 || sum->others || memory->count == 0)
		return 0;
	last = &memory->last[(memory->count - 1) % EBB_TRANSITIONS_KEPT];
	if (ebb_reason_to(last->reason) == EBB_STATE_CLOSED &&
	    last->at_ns + 2 * EBB_AUDIT_MINUTE_NS < f->setup.now_ns())
		return 0;
	return last->episode;
}

static json_t *time_text(int64_t realtime_ns)
{
	char shown[EBB_AUDIT_TIMESTAMP_MAX];

	return json_string(ebb_audit_timestamp(realtime_ns, shown));
}

static void tell_denials(struct ebb_audit_feed *f, const struct ebb_audit_sum *sum)
{
	int64_t first = sum->first_realtime_ns, last = sum->last_realtime_ns;
	uint64_t denied = 0;
	char address[INET6_ADDRSTRLEN];
	struct ebb_who who;
	struct ebb_audit_event event = {
		.type = EBB_AUDIT_DENIALS,
		.realtime_ns = sum->until_realtime_ns,
		.address = sum->others ? "" : address_of(f->setup.view, sum->dst, address),
	};
	json_t *details = json_object();

	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++)
		denied += sum->denied[c];
	/* in observe mode they went through */
	event.outcome = denied ? EBB_AUDIT_DENIED : EBB_AUDIT_SUCCESS;
	set_pair(f, details, sum, &who);
	event.user = who.workload;
	(void)json_object_set_new(details, "causes", counts(sum->denied, EBB_CAUSE_MAX, ebb_cause_name));
	(void)json_object_set_new(details, "would", counts(sum->would_deny, EBB_CAUSE_MAX, ebb_cause_name));
	(void)json_object_set_new(details, "first", time_text(first ? first : sum->until_realtime_ns));
	(void)json_object_set_new(details, "last", time_text(last ? last : sum->until_realtime_ns));
	(void)json_object_set_new(details, "episode", episode_text(episode_of(f, sum)));
	(void)put(f, event, details);
}

static void tell_failures(struct ebb_audit_feed *f, const struct ebb_audit_sum *sum)
{
	char address[INET6_ADDRSTRLEN];
	struct ebb_who who;
	struct ebb_audit_event event = {
		.type = EBB_AUDIT_FAILURES,
		.outcome = EBB_AUDIT_FAILURE,
		.realtime_ns = sum->until_realtime_ns,
		.address = sum->others ? "" : address_of(f->setup.view, sum->dst, address),
	};
	uint64_t outcomes[EBB_OUTCOME_MAX];
	json_t *details = json_object();

	memcpy(outcomes, sum->outcomes, sizeof(outcomes));
	outcomes[EBB_OUTCOME_ESTABLISHED] = outcomes[EBB_OUTCOME_CANCELLED] = 0; /* no failures */
	set_pair(f, details, sum, &who);
	event.user = who.workload;
	(void)json_object_set_new(details, "outcomes", counts(outcomes, EBB_OUTCOME_MAX, ebb_outcome_name));
	(void)json_object_set_new(details, "ok", json_integer((json_int_t)sum->ok));
	(void)json_object_set_new(details, "destinations", json_integer(sum->destinations));
	(void)json_object_set_new(details, "failing", json_integer(sum->failing));
	(void)put(f, event, details);
}

static void tell_sums(struct ebb_audit_feed *f, uint32_t most)
{
	struct ebb_audit_sum sum;

	for (; most > 0 && ebb_audit_sums_next(f->sums, &sum); most--) {
		if (ebb_audit_sum_denials(&sum))
			tell_denials(f, &sum);
		if (ebb_audit_sum_failures(&sum))
			tell_failures(f, &sum);
	}
}

/* ----------------------------------------------------------- destinations -- */

static void tell_destination(struct ebb_audit_feed *f, uint32_t d)
{
	const struct ebb_view *view = f->setup.view;
	char address[INET6_ADDRSTRLEN], name[EBB_DST_NAME_MAX];
	struct ebb_audit_event event = {
		.type = EBB_AUDIT_DESTINATION_NEW,
		.outcome = EBB_AUDIT_SUCCESS,
		.address = address_of(view, d, address),
	};
	struct ebb_who who;
	json_t *details;

	ebb_who(f->setup.names, view->dsts[d].finder, &who);
	event.user = who.workload;
	details = json_pack("{s:s}", "destination", ebb_dst_name(view, d, name, sizeof(name)));
	set_who(details, &who);
	(void)put(f, event, details);
}

/* That a rule names it, the configuration says. */
static bool is_new(const struct ebb_audit_feed *f, uint32_t d)
{
	const struct ebb_dst *dst = &f->setup.view->dsts[d];

	return dst->state == EBB_SLOT_LIVE && dst->finder && f->told_epoch[d] != dst->epoch + 1 &&
	       dst->created_ns > f->setup.told_until_ns;
}

/* By the maps, not by the hints that come with them, so that none is missed. */
static void tell_destinations(struct ebb_audit_feed *f)
{
	const struct ebb_view *view = f->setup.view;
	uint32_t high = view->kernel->dst_high, most = DESTINATIONS_A_TICK;

	for (uint32_t d = EBB_SLOT_OTHER + 1; most > 0 && d <= high && d < view->dst_max; d++) {
		if (!is_new(f, d))
			continue;
		f->told_epoch[d] = view->dsts[d].epoch + 1;
		tell_destination(f, d);
		most--;
	}
}

/* --------------------------------------------------------------- requests -- */

void ebb_audit_feed_request(struct ebb_audit_feed *f, const char *method, const char *path, const char *peer,
			    unsigned int status)
{
	(void)ebb_audit_requests_add(&f->requests, method, path, peer, status);
}

void ebb_audit_feed_credentials(struct ebb_audit_feed *f, const char *component, const char *address,
				unsigned int status)
{
	const struct ebb_audit_event event = {
		.type = EBB_AUDIT_CREDENTIALS_REFUSED,
		.outcome = EBB_AUDIT_DENIED,
		.outcome_details = component,
	};

	if (ebb_audit_requests_add(&f->credentials, component, "", address, status)->count > 1)
		return;
	(void)put(f, event,
		  json_pack("{s:s, s:o*, s:I}", "component", component, "address", text(address), "status",
			    (json_int_t)status));
}

static void tell_requests(struct ebb_audit_feed *f)
{
	for (uint32_t i = 0; i <= EBB_AUDIT_REQUESTS_MAX; i++) {
		const struct ebb_audit_request *request = &f->requests.list[i];
		const struct ebb_audit_event event = {
			.type = EBB_AUDIT_REQUEST_REFUSED,
			.outcome = EBB_AUDIT_DENIED,
			.address = request->peer,
		};

		if (request->count)
			(void)put(f, event,
				  json_pack("{s:o*, s:o*, s:I, s:I}", "method", text(request->what), "path",
					    text(request->path), "status", (json_int_t)request->status,
					    "count", (json_int_t)request->count));
	}
	memset(&f->requests, 0, sizeof(f->requests));
	memset(&f->credentials, 0, sizeof(f->credentials));
}

/* -------------------------------------------------------------------- life -- */

int ebb_audit_feed_new(const struct ebb_audit_feed_setup *setup, struct ebb_audit_feed **ret_feed)
{
	struct ebb_audit_feed *f = calloc(1, sizeof(*f));
	uint64_t now = setup->now_ns();

	if (!f)
		return -ENOMEM;
	f->setup = *setup;
	f->requests_at_ns = now + EBB_AUDIT_MINUTE_NS;
	f->told_epoch = calloc(setup->view->dst_max, sizeof(*f->told_epoch));
	if (!f->told_epoch || ebb_audit_sums_new(setup->view, now, &f->sums) < 0) {
		ebb_audit_feed_free(f);
		return -ENOMEM;
	}
	*ret_feed = f;
	return 0;
}

void ebb_audit_feed_free(struct ebb_audit_feed *f)
{
	if (!f)
		return;
	ebb_audit_sums_free(f->sums);
	free(f->told_epoch);
	free(f);
}

void ebb_audit_feed_tick(struct ebb_audit_feed *f)
{
	uint64_t now = f->setup.now_ns();

	tell_destinations(f);
	tell_sums(f, SUMS_A_TICK);
	ebb_audit_sums_look(f->sums, now, f->setup.realtime_ns());
	if (now < f->requests_at_ns)
		return;
	f->requests_at_ns = now + EBB_AUDIT_MINUTE_NS;
	tell_requests(f);
}

void ebb_audit_feed_flush(struct ebb_audit_feed *f)
{
	tell_sums(f, UINT32_MAX);
	ebb_audit_sums_close(f->sums, f->setup.realtime_ns());
	tell_sums(f, UINT32_MAX);
	tell_requests(f);
}

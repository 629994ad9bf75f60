/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/answering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/naming.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "node/dns.h"
#include "node/resolvers.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

/* Answers cost 10 us each: at most so many at once and a second, so that a flood costs a part of a processor. */
#define BURST	   512
#define SPACING_NS 50000ULL
#define AGAIN_NS   (10 * NS_PER_MS)

#define LOOK_NS	     NS_PER_S	    /* at what is over and what is called how */
#define RESOLVERS_NS (5 * NS_PER_S) /* at who is believed */
#define LOSS_NS	     (60 * NS_PER_S)

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Slots whose open connections are to end where they began. */
#define PARTINGS 32

/* A pass may have been under way when it was asked for; the one after it began later. */
#define PASSES 2

struct parting {
	struct ebb_ref ref;
	unsigned int passes; /* that ended since it was asked for */
};

struct ebb_answering {
	struct ebb_answering_setup setup;
	const struct ebb_config *config;
	struct ebb_dns *dns;
	struct ebb_naming *naming;
	struct ebb_resolvers resolvers;
	uint64_t resolvers_state;
	uint64_t netns; /* cookie of our own network namespace */

	struct parting partings[PARTINGS];
	size_t parting_count;

	bool started;
	bool attached;
	bool failed;	 /* told already */
	uint64_t tat_ns; /* generic cell rate: theoretical arrival of the next answer */
	uint64_t look_at_ns, resolvers_at_ns, loss_at_ns;
	uint64_t lost_told, failures_told;
};

/* ------------------------------------------------------------------ tables -- */

static int slot_of(void *userdata, uint32_t destination, struct ebb_ref *ret_ref)
{
	const struct ebb_answering *a = userdata;

	if (!a->config || destination >= a->config->destination_count)
		return -ENOENT;
	*ret_ref = a->setup.slot_of(a->setup.userdata, destination);
	return 0;
}

static int endpoint_get(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	const struct ebb_answering *a = userdata;

	return ebb_endpoints_get(a->setup.mapping, key, ret_ref);
}

static int endpoint_put(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	const struct ebb_answering *a = userdata;

	return ebb_endpoints_put(a->setup.mapping, key, ref);
}

static int endpoint_remove(void *userdata, const struct ebb_endpoint *key)
{
	const struct ebb_answering *a = userdata;

	return ebb_endpoints_remove(a->setup.mapping, key);
}

static int lookup_get(void *userdata, const struct ebb_lookup_key *key, struct ebb_ref *ret_ref)
{
	const struct ebb_answering *a = userdata;

	return ebb_lookups_get(a->setup.mapping, key, ret_ref);
}

static int lookup_put(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	const struct ebb_answering *a = userdata;

	return ebb_lookups_put(a->setup.mapping, key, ref);
}

static int lookup_remove(void *userdata, const struct ebb_lookup_key *key)
{
	const struct ebb_answering *a = userdata;

	return ebb_lookups_remove(a->setup.mapping, key);
}

static void changed(void *userdata)
{
	const struct ebb_answering *a = userdata;

	ebb_mapping_changed(a->setup.mapping);
}

/* ----------------------------------------------------------------- parting -- */

/* New connections of @slot get a memory from now on, or no longer. */
static int mark(const struct ebb_answering *a, uint32_t slot, bool marked)
{
	struct ebb_policy *policy = &a->setup.view->policies[slot];
	_cleanup_close_ int lock = -1;
	int r;

	r = ebb_policies_lock(a->setup.pin_dir, 0, &lock, NULL);
	if (r < 0)
		return r;
	if (marked)
		__atomic_fetch_or(&policy->asks, EBB_ASK_MEMORY, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&policy->asks, ~EBB_ASK_MEMORY, __ATOMIC_SEQ_CST);
	/* guesses remember it */
	ebb_mapping_changed(a->setup.mapping);
	return 0;
}

static int part(void *userdata, const struct ebb_ref *from)
{
	struct ebb_answering *a = userdata;

	if (!a->started)
		return -EAGAIN;
	for (size_t i = 0; i < a->parting_count; i++) {
		const struct parting *p = &a->partings[i];

		if (p->ref.slot == from->slot && p->ref.epoch == from->epoch)
			return p->passes >= PASSES ? 0 : -EAGAIN;
	}
	if (a->parting_count == PARTINGS || mark(a, from->slot, true) < 0)
		return -EAGAIN;
	if (!a->setup.remember(a->setup.userdata)) {
		/* nobody can give memories: better in the wrong place for a while than never in the right one */
		(void)mark(a, from->slot, false);
		return 0;
	}
	a->partings[a->parting_count++] = (struct parting){.ref = *from};
	return -EAGAIN;
}

/* What was waited for is done: the marks go. One that cannot go yet waits for the next look. */
static void end_partings(struct ebb_answering *a)
{
	for (size_t i = 0; i < a->parting_count;) {
		struct parting *p = &a->partings[i];

		if (p->passes < PASSES || mark(a, p->ref.slot, false) < 0)
			i++;
		else
			*p = a->partings[--a->parting_count];
	}
}

void ebb_answering_remembered(struct ebb_answering *answering)
{
	struct ebb_answering *a = answering;
	bool again = false, done = false;

	for (size_t i = 0; i < a->parting_count; i++) {
		a->partings[i].passes++;
		again |= a->partings[i].passes < PASSES;
		done |= a->partings[i].passes >= PASSES;
	}
	if (again)
		(void)a->setup.remember(a->setup.userdata);
	if (!done)
		return;
	ebb_naming_tick(a->naming, a->setup.now_ns());
	end_partings(a);
}

/* ----------------------------------------------------------------- answers -- */

static uint64_t own_netns(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie = 0;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return 0;
	return cookie;
}

static bool is_believed(const struct ebb_answering *a, const struct ebb_dns_head *head)
{
	bool trusted = (head->flags & EBB_DNS_INITIAL) || (head->netns && head->netns == a->netns);

	return (head->flags & EBB_DNS_ASKED) &&
	       ebb_resolvers_believe(&a->resolvers, head->from, head->flags & EBB_DNS_LOCAL, trusted);
}

static void on_answer(void *userdata, const struct ebb_dns_head *head, const uint8_t *bytes)
{
	struct ebb_answering *a = userdata;
	struct ebb_dns_answer answer;
	bool believed;
	int r;

	a->tat_ns += SPACING_NS;
	if (!a->dns)
		return;
	r = ebb_dns_parse(a->dns, bytes, head->length, &answer);
	if (r < 0 || answer.count == 0)
		return;
	believed = is_believed(a, head);
	/* who only wants rules has no use for the others */
	if (!believed && !a->config->dns_names)
		return;
	ebb_naming_answer(a->naming, &answer, head->workload, believed, a->setup.now_ns());
	ebb_debug("name: host=%s addresses=%zu workload=%llu believed=%d", answer.name, answer.count,
		  (unsigned long long)head->workload, believed);
}

uint64_t ebb_answering_take(struct ebb_answering *answering)
{
	struct ebb_answering *a = answering;
	uint64_t now;

	if (!a->attached)
		return 0;
	now = a->setup.now_ns();
	if (a->tat_ns < now)
		a->tat_ns = now;
	if (a->tat_ns - now > (BURST - 1) * SPACING_NS)
		return now + AGAIN_NS;
	if (ebb_loader_answers_take(a->setup.loader, BURST - (a->tat_ns - now) / SPACING_NS, on_answer, a) <
	    0)
		return 0;
	return a->tat_ns - now > (BURST - 1) * SPACING_NS ? now + AGAIN_NS : 0;
}

/* ------------------------------------------------------------ configuration -- */

/* Says whose answers are believed when that is news: a configuration changes more often than a name server. */
static void find_resolvers(struct ebb_answering *a, bool always_tell)
{
	struct ebb_resolvers found = {0};
	char text[512];
	bool news;

	if (a->config->dns_auto)
		ebb_resolvers_find(&found);
	for (size_t i = 0; i < a->config->dns_resolver_count; i++)
		ebb_resolvers_add(&found, a->config->dns_resolvers[i], true);
	news = always_tell || !ebb_resolvers_equal(&a->resolvers, &found);
	a->resolvers = found;
	if (a->attached && news)
		ebb_info("DNS answers are believed: from=%s",
			 found.count ? ebb_resolvers_text(&found, text, sizeof(text)) : "nobody");
}

void ebb_answering_configure(struct ebb_answering *answering, const struct ebb_config *config,
			     const struct ebb_matcher *matcher)
{
	const struct ebb_naming_config naming = {
		.matcher = matcher,
		.shown = config->dns_names,
		.grace_ns = config->dns_grace_ns,
	};
	struct ebb_answering *a = answering;

	a->config = config;
	(void)ebb_resolvers_changed(&a->resolvers_state);
	find_resolvers(a, false);
	ebb_naming_configure(a->naming, &naming, a->setup.now_ns());
}

/* Nothing is read while nobody wants names (ruling 12); the library is loaded when somebody does. */
static void follow(struct ebb_answering *a)
{
	bool wanted = ebb_naming_wants_answers(a->naming);
	struct ebb_why why = {0};
	int r = 0;

	if (wanted && !a->dns)
		r = ebb_dns_open(&a->dns, &why);
	if (r == 0)
		r = ebb_loader_want_answers(a->setup.loader, wanted, &why);
	if (r < 0) {
		ebb_health_set(a->setup.health, EBB_HEALTH_NAMES, EBB_DEGRADED, a->setup.realtime_ns(),
			       "hosts have no names, and rules about hosts match nothing: %s", why.text);
		if (!a->failed)
			ebb_err("%s: hosts have no names, and rules about hosts match nothing; trying again",
				why.text);
		a->failed = true;
		return;
	}
	a->failed = false;
	if (wanted == a->attached)
		return;
	a->attached = wanted;
	if (wanted)
		find_resolvers(a, true);
	else
		ebb_info("DNS answers are no longer read: nothing asks for names");
}

/* Names that are not known, once a minute. */
static void report_losses(struct ebb_answering *a, uint64_t now_ns)
{
	uint64_t lost = a->setup.view->kernel->errors[EBB_ERR_DNS_LOST];
	struct ebb_naming_state state = ebb_naming_state(a->naming);

	if (a->failed || now_ns < a->loss_at_ns)
		return;
	if (state.failures > a->failures_told) {
		ebb_health_set(a->setup.health, EBB_HEALTH_NAMES, EBB_DEGRADED, a->setup.realtime_ns(),
			       "%llu addresses of hosts found no room in the tables",
			       (unsigned long long)(state.failures - a->failures_told));
		ebb_warn("addresses of hosts found no room in the tables: count=%llu; they go by their address, trying again",
			 (unsigned long long)(state.failures - a->failures_told));
		a->loss_at_ns = now_ns + LOSS_NS;
	} else if (lost > a->lost_told) {
		ebb_health_set(a->setup.health, EBB_HEALTH_NAMES, EBB_DEGRADED, a->setup.realtime_ns(),
			       "%llu DNS answers lost: their names are not known",
			       (unsigned long long)(lost - a->lost_told));
		a->loss_at_ns = now_ns + LOSS_NS;
	} else {
		ebb_health_set(a->setup.health, EBB_HEALTH_NAMES, EBB_HEALTHY, a->setup.realtime_ns(), "%s",
			       "");
	}
	a->failures_told = state.failures;
	a->lost_told = lost;
}

void ebb_answering_tick(struct ebb_answering *answering, uint64_t now_ns)
{
	struct ebb_answering *a = answering;

	if (!a->started || now_ns < a->look_at_ns)
		return;
	a->look_at_ns = now_ns + LOOK_NS;
	follow(a);
	if (now_ns >= a->resolvers_at_ns) {
		a->resolvers_at_ns = now_ns + RESOLVERS_NS;
		if (ebb_resolvers_changed(&a->resolvers_state))
			find_resolvers(a, false);
	}
	ebb_naming_tick(a->naming, now_ns);
	end_partings(a);
	report_losses(a, now_ns);
}

/* -------------------------------------------------------------------- start -- */

static int take_up_endpoint(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	const struct ebb_answering *a = userdata;

	ebb_naming_take_up_endpoint(a->naming, key, ref, a->setup.now_ns());
	return 0;
}

static int take_up_lookup(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	const struct ebb_answering *a = userdata;

	ebb_naming_take_up_lookup(a->naming, key, ref, a->setup.now_ns());
	return 0;
}

void ebb_answering_start(struct ebb_answering *answering)
{
	struct ebb_answering *a = answering;
	int r;

	a->started = true;
	a->lost_told = a->setup.view->kernel->errors[EBB_ERR_DNS_LOST];
	if (ebb_loader_took_over(a->setup.loader)) {
		r = ebb_endpoints_each(a->setup.mapping, take_up_endpoint, a);
		if (r == 0)
			r = ebb_lookups_each(a->setup.mapping, take_up_lookup, a);
		if (r < 0)
			ebb_warn("cannot read which addresses belong to which names (%s): they are learned anew",
				 ebb_strerror(r));
		ebb_naming_take_up_names(a->naming, a->setup.now_ns());
	}
	follow(a);
}

int ebb_answering_new(const struct ebb_answering_setup *setup, struct ebb_answering **ret_answering,
		      struct ebb_why *why)
{
	const struct ebb_naming_ops ops = {
		.slot_of = slot_of,
		.endpoint_get = endpoint_get,
		.endpoint_put = endpoint_put,
		.endpoint_remove = endpoint_remove,
		.lookup_get = lookup_get,
		.lookup_put = lookup_put,
		.lookup_remove = lookup_remove,
		.changed = changed,
		.part = part,
	};
	struct ebb_answering *a = calloc(1, sizeof(*a));
	struct ebb_naming_ops own = ops;
	uint64_t seed;
	int r;

	if (!a)
		return ebb_why(why, -ENOMEM, "out of memory");
	a->setup = *setup;
	a->netns = own_netns();
	own.userdata = a;
	r = getrandom(&seed, sizeof(seed), 0) == sizeof(seed) ? 0 : -EIO;
	if (r == 0)
		r = ebb_naming_new(setup->view, &own, seed, &a->naming);
	if (r < 0) {
		ebb_answering_free(a);
		return ebb_why(why, r, "cannot keep names: %s", ebb_strerror(r));
	}
	*ret_answering = a;
	return 0;
}

void ebb_answering_free(struct ebb_answering *answering)
{
	if (!answering)
		return;
	ebb_naming_free(answering->naming);
	ebb_dns_free(answering->dns);
	free(answering);
}

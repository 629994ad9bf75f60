/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/apply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/route_diff.h"
#include "core/address.h"
#include "core/configure.h"
#include "core/limit.h"
#include "core/match.h"
#include "core/policy.h"
#include "core/routes.h"
#include "lib/cleanup.h"
#include "node/owns.h"

#define NOBODY UINT32_MAX

/*
 * Marks stay for so long: a program that was interrupted after it found where an address belonged
 * must still see that it has to remember it.
 */
#define UNMARK_NS 1000000000ULL

/* A configuration and its place in the maps. Arrays by destination are in the order of the configuration. */
struct plan {
	const struct ebb_config *config; /* borrowed */
	struct ebb_matcher *matcher;
	struct ebb_breaker_config *breakers; /* [0]: the defaults; then by destination */
	uint32_t *slots;		     /* by destination */
	bool *taken;			     /* by destination: its slot is new */
	uint32_t *owner;		     /* by slot: its destination, NOBODY */
	uint32_t *breaker_of;		     /* by slot: index in breakers */
	struct ebb_route_prefix *prefixes;
	struct ebb_route_port *ports;
	struct ebb_route_table table; /* of these */
	/* from the plan before it */
	bool *loses; /* by slot: some address; [EBB_SLOT_OTHER]: those that no rule claims */
	bool moves;  /* some address belongs to another */
	struct ebb_apply_report report;
};

struct ebb_apply {
	const struct ebb_view *view;
	struct ebb_apply_ops ops;
	bool fresh; /* no routes are in the maps that no plan knows */
	bool can_reset;
	struct plan *now;   /* in force; NULL: none yet */
	struct plan *next;  /* prepared */
	uint64_t now_ns;    /* of the commit */
	uint64_t unmark_ns; /* when marks are to be taken back; 0: there are none */
	uint32_t stale;	    /* see struct ebb_apply_report */
};

static void free_plan(struct plan *plan)
{
	if (!plan)
		return;
	free(plan->prefixes);
	free(plan->ports);
	ebb_matcher_free(plan->matcher);
	free(plan->breakers);
	free(plan->slots);
	free(plan->taken);
	free(plan->owner);
	free(plan->breaker_of);
	free(plan->loses);
	free(plan);
}

int ebb_apply_new(const struct ebb_view *view, const struct ebb_apply_ops *ops, bool fresh, bool can_reset,
		  struct ebb_apply **ret_apply)
{
	struct ebb_apply *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->view = view;
	a->ops = *ops;
	a->fresh = fresh;
	a->can_reset = can_reset;
	/* an agent that was killed may have left some */
	a->unmark_ns = fresh ? 0 : 1;
	*ret_apply = a;
	return 0;
}

void ebb_apply_free(struct ebb_apply *apply)
{
	if (!apply)
		return;
	free_plan(apply->next);
	free_plan(apply->now);
	free(apply);
}

/* ------------------------------------------------------------------ names -- */

static bool is_named(const struct ebb_view *view, uint32_t slot)
{
	const struct ebb_name *name = &view->names[slot];

	return view->dsts[slot].state == EBB_SLOT_LIVE && name->epoch == view->dsts[slot].epoch &&
	       name->text[0] && !(name->flags & EBB_NAME_HOST);
}

static bool is_of_rule(const struct ebb_view *view, uint32_t slot)
{
	return is_named(view, slot) && (view->names[slot].flags & EBB_NAME_RULE);
}

/* What is met on the node, and goes by its address. */
static bool is_discovered(const struct ebb_view *view, uint32_t slot)
{
	return view->dsts[slot].state == EBB_SLOT_LIVE && view->dsts[slot].endpoint.proto != 0;
}

/* One whose scope was changed goes on under a name that says so, until it is idle or its scope comes back. */
static void former_name(const char *name, uint32_t scope, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%.*s (scope was %s)", EBB_DESTINATION_NAME_MAX, name,
		       ebb_scope_name(scope));
}

/* Readers check the epoch before and after (bpf/abi.h). */
static void write_name(const struct ebb_view *view, uint32_t slot, const char *text, uint32_t flags)
{
	struct ebb_name *name = &view->names[slot];
	uint32_t epoch = view->dsts[slot].epoch;

	if (name->epoch == epoch && name->flags == flags && strcmp(name->text, text) == 0)
		return;
	__atomic_store_n(&name->epoch, epoch - 1, __ATOMIC_SEQ_CST);
	memset(name->text, 0, sizeof(name->text));
	(void)snprintf(name->text, sizeof(name->text), "%s", text);
	name->flags = flags;
	__atomic_store_n(&name->epoch, epoch, __ATOMIC_SEQ_CST);
}

/* Slots that have a name, in the order of their names. */
struct named {
	const struct ebb_view *view;
	uint32_t *slots;
	size_t count;
};

static int compare_named(const void *a, const void *b, void *userdata)
{
	const struct ebb_view *view = ((const struct named *)userdata)->view;

	return strncmp(view->names[*(const uint32_t *)a].text, view->names[*(const uint32_t *)b].text,
		       EBB_NAME_TEXT_MAX);
}

static int find_named(const struct ebb_view *view, struct named *ret)
{
	struct named named = {.view = view};

	named.slots = calloc(view->dst_max, sizeof(*named.slots));
	if (!named.slots)
		return -ENOMEM;
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		if (is_named(view, d))
			named.slots[named.count++] = d;
	}
	qsort_r(named.slots, named.count, sizeof(*named.slots), compare_named, &named);
	*ret = named;
	return 0;
}

/* The slot with that name and scope; NOBODY: none. */
static uint32_t slot_named(const struct named *named, const char *text, uint32_t scope)
{
	size_t low = 0, high = named->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(named->view->names[named->slots[middle]].text, text, EBB_NAME_TEXT_MAX) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < named->count; low++) {
		uint32_t slot = named->slots[low];

		if (strncmp(named->view->names[slot].text, text, EBB_NAME_TEXT_MAX) != 0)
			break;
		if (named->view->dsts[slot].scope == scope)
			return slot;
	}
	return NOBODY;
}

/* --------------------------------------------------------------- settings -- */

/* Loopback and link-local are another network for each workload, whatever a rule says (ruling 1). */
static uint32_t scope_of(const struct ebb_destination *destination)
{
	for (size_t i = 0; i < destination->match_count; i++) {
		if (destination->matches[i].kind != EBB_MATCH_PREFIX ||
		    !ebb_address_is_local(destination->matches[i].addr, destination->matches[i].bits))
			return destination->settings.scope;
	}
	return destination->match_count ? (uint32_t)EBB_SCOPE_WORKLOAD : destination->settings.scope;
}

static struct ebb_policy policy_of(const struct ebb_apply *a, const struct ebb_settings *settings)
{
	struct ebb_policy policy = {
		.mode = settings->mode,
		.scope = settings->scope,
		.errno_code = settings->errno_code,
		.limits_errno = settings->limits_errno,
		.on_agent_loss = settings->on_agent_loss,
		.spare_percent = 100 - settings->enforce_percent,
		.established = settings->established,
		.limits = settings->limits,
	};

	if (policy.established == EBB_ESTABLISHED_RESET && !a->can_reset)
		policy.established = EBB_ESTABLISHED_DROP;
	policy.limits.given = 0;
	ebb_policy_to_kernel(&settings->breaker, &policy);
	ebb_limits_summarize(&policy);
	return policy;
}

static struct ebb_policy policy_of_destination(const struct ebb_apply *a,
					       const struct ebb_destination *destination)
{
	struct ebb_policy policy = policy_of(a, &destination->settings);

	policy.scope = scope_of(destination);
	policy.fuse_exempt = destination->fuse_exempt;
	return policy;
}

/* ~other is many destinations: it is counted, never refused. */
static struct ebb_policy policy_of_other(const struct ebb_apply *a, const struct ebb_settings *defaults)
{
	struct ebb_policy policy = policy_of(a, defaults);

	policy.mode = EBB_MODE_OBSERVE;
	memset(&policy.limits, 0, sizeof(policy.limits));
	policy.established = EBB_ESTABLISHED_KEEP;
	policy.arm = ebb_arm(0, 1);
	policy.asks = 0;
	return policy;
}

/* ---------------------------------------------------------------- prepare -- */

static void give_back(const struct ebb_apply *a, const struct plan *plan)
{
	for (size_t i = 0; i < plan->config->destination_count; i++) {
		if (plan->taken[i])
			(void)a->ops.give_slot_back(a->ops.userdata, plan->slots[i]);
		plan->taken[i] = false;
	}
}

static int take_slots(const struct ebb_apply *a, struct plan *plan, struct ebb_why *why)
{
	struct named named = {0};
	int r;

	r = find_named(a->view, &named);
	for (size_t i = 0; i < plan->config->destination_count && r == 0; i++) {
		const struct ebb_destination *destination = &plan->config->destinations[i];
		uint32_t scope = scope_of(destination), slot;
		char former[EBB_NAME_TEXT_MAX];

		former_name(destination->name, scope, former, sizeof(former));
		slot = slot_named(&named, destination->name, scope);
		if (slot == NOBODY)
			slot = slot_named(&named, former, scope);
		if (slot == NOBODY) {
			r = a->ops.take_slot(a->ops.userdata, &slot);
			if (r < 0)
				break;
			plan->taken[i] = true;
		}
		plan->slots[i] = slot;
		plan->owner[slot] = (uint32_t)i;
		plan->breaker_of[slot] = (uint32_t)i + 1;
	}
	free(named.slots);
	if (r == 0)
		return 0;
	give_back(a, plan);
	if (r == -ENOENT)
		return ebb_why(why, -ENOSPC,
			       "there is no room for %zu destinations: all %u slots are in use; raise capacity.destinations, which needs 'ebb detach' and a restart",
			       plan->config->destination_count, a->view->dst_max - 1);
	return ebb_why(why, r, "cannot take slots for destinations: %s", ebb_strerror(r));
}

static void on_moved(void *userdata, const struct ebb_ref *from, const struct ebb_ref *to)
{
	struct plan *plan = userdata;

	(void)to;
	plan->loses[from->slot] = true;
	plan->moves = true;
}

/* Who loses an address to whom. Where nobody knows what stands in the maps, whoever has a name may. */
static int find_losers(const struct ebb_apply *a, struct plan *plan)
{
	static const struct ebb_route_table nothing;

	if (a->now || a->fresh)
		return ebb_route_diff(a->now ? &a->now->table : &nothing, &plan->table, on_moved, plan);
	for (uint32_t d = EBB_SLOT_OTHER; d < a->view->dst_max; d++)
		plan->loses[d] = d == EBB_SLOT_OTHER || is_of_rule(a->view, d);
	plan->moves = true;
	return 0;
}

static struct ebb_ref ref_of(const struct ebb_apply *a, const struct plan *plan, uint32_t destination)
{
	uint32_t slot = destination == EBB_MATCH_NONE ? EBB_SLOT_OTHER : plan->slots[destination];

	return (struct ebb_ref){slot, slot == EBB_SLOT_OTHER ? 0 : a->view->dsts[slot].epoch};
}

/* The table with slots in place of destinations. */
static int make_table(const struct ebb_apply *a, struct plan *plan, const struct ebb_routes *routes)
{
	struct ebb_route_prefix *prefixes;
	struct ebb_route_port *ports;

	plan->prefixes = prefixes = calloc(routes->prefix_count + 1, sizeof(*prefixes));
	plan->ports = ports = calloc(routes->port_count + 1, sizeof(*ports));
	plan->table = (struct ebb_route_table){prefixes, routes->prefix_count, ports, routes->port_count,
					       routes->set_count};
	if (!prefixes || !ports)
		return -ENOMEM;
	_Static_assert(EBB_ROUTE_NO_SET == EBB_ROUTES_NO_SET, "a set is the same in both");
	for (size_t i = 0; i < routes->prefix_count; i++) {
		const struct ebb_routes_prefix *from = &routes->prefixes[i];

		prefixes[i].key.bits = from->bits;
		memcpy(prefixes[i].key.addr, from->addr, sizeof(from->addr));
		for (int proto = 0; proto < 2; proto++)
			prefixes[i].any[proto] = ref_of(a, plan, from->any[proto]);
		prefixes[i].set = from->set;
	}
	for (size_t i = 0; i < routes->port_count; i++) {
		const struct ebb_routes_port *from = &routes->ports[i];

		ports[i] = (struct ebb_route_port){from->set, from->port, from->proto,
						   ref_of(a, plan, from->destination)};
	}
	return 0;
}

static int make_routes(const struct ebb_apply *a, struct plan *plan, struct ebb_why *why)
{
	_cleanup_free_ struct ebb_rule *rules = NULL;
	struct ebb_routes *routes;
	size_t count;
	int r;

	if (ebb_config_rules(plan->config, &rules, &count) < 0)
		return ebb_why(why, -ENOMEM, "out of memory");
	r = ebb_routes_flatten(rules, count, &routes, why);
	if (r < 0)
		return r;
	r = make_table(a, plan, routes);
	ebb_routes_free(routes);
	return r < 0 ? ebb_why(why, r, "out of memory") : 0;
}

static int prepare(const struct ebb_apply *a, struct plan *plan, struct ebb_why *why)
{
	size_t count = plan->config->destination_count;
	uint32_t slots = a->view->dst_max;

	plan->breakers = calloc(count + 1, sizeof(*plan->breakers));
	plan->slots = calloc(count + 1, sizeof(*plan->slots));
	plan->taken = calloc(count + 1, sizeof(*plan->taken));
	plan->owner = calloc(slots, sizeof(*plan->owner));
	plan->breaker_of = calloc(slots, sizeof(*plan->breaker_of));
	plan->loses = calloc(slots, sizeof(*plan->loses));
	if (!plan->breakers || !plan->slots || !plan->taken || !plan->owner || !plan->breaker_of ||
	    !plan->loses)
		return ebb_why(why, -ENOMEM, "out of memory");
	for (uint32_t d = 0; d < slots; d++)
		plan->owner[d] = NOBODY;
	plan->breakers[0] = plan->config->defaults.breaker;
	for (size_t i = 0; i < count; i++)
		plan->breakers[i + 1] = plan->config->destinations[i].settings.breaker;
	return take_slots(a, plan, why);
}

int ebb_apply_prepare(struct ebb_apply *apply, const struct ebb_config *config, struct ebb_why *why)
{
	struct plan *plan;
	int r;

	ebb_apply_drop(apply);
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return ebb_why(why, -ENOMEM, "out of memory");
	plan->config = config;
	r = prepare(apply, plan, why);
	if (r < 0)
		free_plan(plan);
	else
		apply->next = plan;
	return r;
}

bool ebb_apply_is_prepared(const struct ebb_apply *apply)
{
	return apply->next != NULL;
}

/* ------------------------------------------------------------------- mark -- */

/* As the kernel's look-up: one gate for all workloads claims no address that is another peer for each (ruling 1). */
static uint32_t claimed(const struct plan *plan, const struct ebb_endpoint *endpoint)
{
	uint32_t found;

	if (!plan)
		return EBB_MATCH_NONE;
	found = ebb_match_address(plan->matcher, endpoint->addr, ntohs(endpoint->port), endpoint->proto);
	if (found != EBB_MATCH_NONE && ebb_address_is_local(endpoint->addr, 128) &&
	    scope_of(&plan->config->destinations[found]) == EBB_SCOPE_NODE)
		return EBB_MATCH_NONE;
	return found;
}

/* One that goes by its address, which a rule claims from now on. */
static bool is_won(const struct ebb_apply *a, uint32_t slot)
{
	const struct ebb_endpoint *endpoint = &a->view->dsts[slot].endpoint;

	return is_discovered(a->view, slot) && claimed(a->next, endpoint) != EBB_MATCH_NONE &&
	       claimed(a->now, endpoint) == EBB_MATCH_NONE;
}

/* Free ones too: what is met between the mark and the commit may be won as well. */
static bool is_about_to_lose(const struct ebb_apply *a, uint32_t slot)
{
	if (a->next->loses[slot] || is_won(a, slot))
		return true;
	return a->next->loses[EBB_SLOT_OTHER] && a->view->dsts[slot].state == EBB_SLOT_FREE &&
	       a->next->owner[slot] == NOBODY;
}

/* Established, or a SYN is out whose end was not seen. */
static bool is_in_use(const struct ebb_pair *pair)
{
	uint64_t ended = 0;

	for (int i = EBB_OUTCOME_ESTABLISHED; i <= EBB_OUTCOME_CANCELLED; i++)
		ended += pair->outcomes[i];
	return pair->active || pair->syn_sent != ended;
}

bool ebb_apply_mark(struct ebb_apply *apply)
{
	const struct ebb_view *view = apply->view;
	uint32_t high = view->kernel->pair_high;

	if (!apply->next->moves)
		return false;
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		if (is_about_to_lose(apply, d))
			__atomic_fetch_or(&view->policies[d].asks, EBB_ASK_MEMORY, __ATOMIC_SEQ_CST);
	}
	/* looked at behind the marks: who comes now has a memory */
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];

		if (pair->state == EBB_SLOT_LIVE && pair->dst < view->dst_max && is_in_use(pair) &&
		    (view->policies[pair->dst].asks & EBB_ASK_MEMORY))
			return true;
	}
	return false;
}

static void take_marks_back(const struct ebb_view *view)
{
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		if (view->policies[d].asks & EBB_ASK_MEMORY)
			__atomic_fetch_and(&view->policies[d].asks, ~EBB_ASK_MEMORY, __ATOMIC_SEQ_CST);
	}
}

void ebb_apply_settle(struct ebb_apply *apply, uint64_t now_ns)
{
	if (apply->next || !apply->unmark_ns || now_ns < apply->unmark_ns)
		return;
	apply->unmark_ns = 0;
	take_marks_back(apply->view);
}

void ebb_apply_drop(struct ebb_apply *apply)
{
	if (!apply->next)
		return;
	/* those of a commit before it have their own time */
	if (!apply->unmark_ns)
		take_marks_back(apply->view);
	give_back(apply, apply->next);
	apply->ops.unstage_routes(apply->ops.userdata);
	free_plan(apply->next);
	apply->next = NULL;
}

/* ------------------------------------------------------------------ write -- */

static void write_policy(struct ebb_apply *a, uint32_t slot, const struct ebb_policy *settings)
{
	ebb_policy_configure(&a->view->policies[slot], settings);
	if (ebb_owns_refresh(a->view, slot, a->now_ns) < 0)
		a->stale++;
}

/* Nobody knows them yet. Their slots are empty but for the epoch. */
static void make_new(struct ebb_apply *a, const struct plan *plan)
{
	for (size_t i = 0; i < plan->config->destination_count; i++) {
		const struct ebb_destination *destination = &plan->config->destinations[i];
		struct ebb_dst *dst = &a->view->dsts[plan->slots[i]];
		struct ebb_policy policy;

		if (!plan->taken[i])
			continue;
		policy = policy_of_destination(a, destination);
		write_policy(a, plan->slots[i], &policy);
		memset(&dst->endpoint, 0, sizeof(dst->endpoint));
		dst->scope = scope_of(destination);
		dst->created_ns = a->now_ns;
		dst->finder = 0;
		write_name(a->view, plan->slots[i], destination->name, EBB_NAME_RULE);
		__atomic_store_n(&dst->state, EBB_SLOT_LIVE, __ATOMIC_SEQ_CST);
	}
}

/*
 * The policies of all slots that lose addresses in this change, or of all that do not. Whatever
 * no rule claims, and whoever will be met next, follows the defaults.
 */
static void write_policies(struct ebb_apply *a, const struct plan *plan, bool losers)
{
	const struct plan *order = a->next;
	struct ebb_policy defaults = policy_of(a, &plan->config->defaults), policy;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d < a->view->dst_max; d++) {
		uint32_t owner = plan->owner[d];

		if ((order->loses[d] || (owner == NOBODY && order->loses[EBB_SLOT_OTHER])) != losers)
			continue;
		if (owner == NOBODY) {
			write_policy(a, d, &defaults);
			continue;
		}
		policy = policy_of_destination(a, &plan->config->destinations[owner]);
		write_policy(a, d, &policy);
	}
	if (!losers) {
		policy = policy_of_other(a, &plan->config->defaults);
		write_policy(a, EBB_SLOT_OTHER, &policy);
	}
}

/*
 * What had a slot of its own and is claimed by a rule now loses its key, which stands before the
 * routes, when these are in force: until then it goes where it went. One that is claimed no longer
 * has its key again before that, so that nobody discovers it anew in between.
 */
static void move_discovered(const struct ebb_apply *a, const struct plan *from, const struct plan *to,
			    bool claims)
{
	const struct ebb_view *view = a->view;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		const struct ebb_endpoint *endpoint = &view->dsts[d].endpoint;
		struct ebb_ref ref = {d, view->dsts[d].epoch}, found;
		bool was, is;
		int r;

		if (!is_discovered(view, d) || view->dsts[d].apart)
			continue;
		was = claimed(from, endpoint) != EBB_MATCH_NONE;
		is = claimed(to, endpoint) != EBB_MATCH_NONE;
		if (is != claims || (was == is && (a->now || a->fresh)))
			continue;
		r = a->ops.get_endpoint(a->ops.userdata, endpoint, &found);
		if (is && r == 0 && found.slot == d)
			(void)a->ops.remove_endpoint(a->ops.userdata, endpoint);
		else if (!is && r == -ENOENT)
			(void)a->ops.put_endpoint(a->ops.userdata, endpoint, &ref);
	}
}

static bool is_in(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->config->destination_count; i++) {
		if (strcmp(plan->config->destinations[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Those that the configuration does not name any more, or not with this scope, idle out. */
static void retire_names(const struct ebb_apply *a)
{
	const struct ebb_view *view = a->view;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d < view->dst_max; d++) {
		const struct ebb_name *name = &view->names[d];
		char text[EBB_NAME_TEXT_MAX];

		if (a->next->owner[d] != NOBODY) {
			/* one whose scope has come back has its name again */
			write_name(view, d, a->next->config->destinations[a->next->owner[d]].name,
				   EBB_NAME_RULE);
			continue;
		}
		if (!is_of_rule(view, d))
			continue;
		(void)snprintf(text, sizeof(text), "%s", name->text);
		if (is_in(a->next, name->text))
			former_name(name->text, view->dsts[d].scope, text, sizeof(text));
		write_name(view, d, text, 0);
	}
}

/* ----------------------------------------------------------------- report -- */

/* As many names as fit. */
static void tell(struct ebb_apply_report *report, const char *what, uint32_t *io_count, const char *name)
{
	size_t used = strlen(report->text), room = sizeof(report->text) - used;
	bool first = (*io_count)++ == 0;
	int n;

	if (first)
		n = snprintf(report->text + used, room, "%s%s=%s", used ? " " : "", what, name);
	else
		n = snprintf(report->text + used, room, ",%s", name);
	if ((size_t)n < room - sizeof("...") + 1)
		return;
	/* too long: cut where it began */
	memset(report->text + used, 0, room);
	if (used == 0 || report->text[used - 1] != '.')
		memcpy(report->text + used, "...", sizeof("..."));
}

static bool same_destination(const struct ebb_apply *apply, const struct ebb_destination *a,
			     const struct ebb_destination *b)
{
	struct ebb_policy was = policy_of_destination(apply, a), is = policy_of_destination(apply, b);

	return memcmp(&was, &is, sizeof(was)) == 0 &&
	       ebb_policy_same(&a->settings.breaker, &b->settings.breaker) &&
	       a->match_count == b->match_count &&
	       (a->match_count == 0 ||
		memcmp(a->matches, b->matches, a->match_count * sizeof(*a->matches)) == 0);
}

static int compare_names(const void *a, const void *b, void *userdata)
{
	const struct ebb_destination *list = userdata;

	return strcmp(list[*(const uint32_t *)a].name, list[*(const uint32_t *)b].name);
}

/* Indices of its destinations by name; NULL: no memory, or none. */
static uint32_t *by_name(const struct ebb_config *config)
{
	uint32_t *order = calloc(config->destination_count + 1, sizeof(*order));

	for (size_t i = 0; order && i < config->destination_count; i++)
		order[i] = (uint32_t)i;
	if (order)
		qsort_r(order, config->destination_count, sizeof(*order), compare_names,
			config->destinations);
	return order;
}

enum change {
	ADDED,
	REMOVED,
	CHANGED,
	RENEWED,
	CHANGES
};

/* Two lists in the order of their names, side by side. */
static void tell_changes(const struct ebb_apply *apply, const struct plan *was, const struct plan *is,
			 const uint32_t *was_order, const uint32_t *is_order, enum change wanted,
			 const char *what, uint32_t *io_count, struct ebb_apply_report *report)
{
	size_t i = 0, j = 0, was_count = was->config->destination_count,
	       is_count = is->config->destination_count;

	while (i < was_count || j < is_count) {
		const struct ebb_destination *a =
			i < was_count ? &was->config->destinations[was_order[i]] : NULL;
		const struct ebb_destination *b =
			j < is_count ? &is->config->destinations[is_order[j]] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
		enum change change = CHANGES;

		if (order < 0)
			change = REMOVED;
		else if (order > 0)
			change = ADDED;
		else if (was->slots[was_order[i]] != is->slots[is_order[j]])
			change = RENEWED;
		else if (!same_destination(apply, a, b))
			change = CHANGED;
		if (change == wanted)
			tell(report, what, io_count, order < 0 ? a->name : b->name);
		i += order <= 0;
		j += order >= 0;
	}
}

static void make_report(const struct ebb_apply *a, struct ebb_apply_report *ret)
{
	struct ebb_apply_report report = {.moved = a->next->moves};
	static const struct ebb_config empty;
	uint32_t none = NOBODY;
	const struct plan nothing = {.config = &empty, .slots = &none}, *was = a->now ? a->now : &nothing,
			  *is = a->next;
	_cleanup_free_ uint32_t *was_order = by_name(was->config);
	_cleanup_free_ uint32_t *is_order = by_name(is->config);

	if (was_order && is_order) {
		tell_changes(a, was, is, was_order, is_order, ADDED, "added", &report.added, &report);
		tell_changes(a, was, is, was_order, is_order, REMOVED, "removed", &report.removed, &report);
		tell_changes(a, was, is, was_order, is_order, CHANGED, "changed", &report.changed, &report);
		tell_changes(a, was, is, was_order, is_order, RENEWED, "renewed", &report.renewed, &report);
	}
	for (size_t i = 0; !a->can_reset && i < is->config->destination_count; i++)
		report.resets += is->config->destinations[i].settings.established == EBB_ESTABLISHED_RESET;
	if (!a->can_reset && is->config->defaults.established == EBB_ESTABLISHED_RESET)
		report.resets++;
	*ret = report;
}

/* --------------------------------------------------------------- work out -- */

/* Reads nothing that the loop writes meanwhile: both plans, their configurations, and the slots of the next one. */
int ebb_apply_work_out(struct ebb_apply *apply, struct ebb_why *why)
{
	struct plan *next = apply->next;
	int r = 0;

	if (ebb_config_matcher(next->config, &next->matcher) < 0)
		r = ebb_why(why, -ENOMEM, "out of memory");
	if (r == 0)
		r = make_routes(apply, next, why);
	if (r == 0 && find_losers(apply, next) < 0)
		r = ebb_why(why, -ENOMEM, "out of memory");
	if (r == 0 && next->moves)
		r = apply->ops.stage_routes(apply->ops.userdata, &next->table, why);
	if (r < 0)
		return r;
	make_report(apply, &next->report);
	return 0;
}

/* ----------------------------------------------------------------- commit -- */

/* Back to what was in force: nothing has led anybody to what is new. */
static void undo(struct ebb_apply *a)
{
	for (size_t i = 0; i < a->next->config->destination_count; i++) {
		uint32_t slot = a->next->slots[i];

		if (!a->next->taken[i])
			continue;
		a->view->dsts[slot].state = EBB_SLOT_FREE;
		memset(&a->view->names[slot], 0, sizeof(a->view->names[slot]));
		a->view->names[slot].epoch = a->view->dsts[slot].epoch - 1;
	}
	if (a->now) {
		move_discovered(a, a->next, a->now, true);
		a->ops.mapping_changed(a->ops.userdata);
		write_policies(a, a->now, false);
		write_policies(a, a->now, true);
	}
	ebb_apply_drop(a);
}

int ebb_apply_commit(struct ebb_apply *apply, uint64_t now_ns, struct ebb_apply_report *ret_report,
		     struct ebb_why *why)
{
	struct plan *next = apply->next;
	int r;

	apply->now_ns = now_ns;
	apply->stale = 0;
	make_new(apply, next);
	write_policies(apply, next, false);
	if (next->moves) {
		move_discovered(apply, apply->now, next, false);
		r = apply->ops.swap_routes(apply->ops.userdata, why);
		if (r < 0) {
			undo(apply);
			return r;
		}
		move_discovered(apply, apply->now, next, true);
		apply->ops.mapping_changed(apply->ops.userdata);
	}
	write_policies(apply, next, true);
	retire_names(apply);
	if (next->moves)
		apply->unmark_ns = now_ns + UNMARK_NS;
	*ret_report = next->report;
	ret_report->stale = apply->stale;
	free_plan(apply->now);
	apply->now = next;
	apply->next = NULL;
	return 0;
}

/* --------------------------------------------------------------- in force -- */

const struct ebb_config *ebb_apply_config(const struct ebb_apply *apply)
{
	return apply->now ? apply->now->config : NULL;
}

const struct ebb_matcher *ebb_apply_matcher(const struct ebb_apply *apply)
{
	return apply->now ? apply->now->matcher : NULL;
}

struct ebb_ref ebb_apply_ref(const struct ebb_apply *apply, uint32_t destination)
{
	uint32_t slot = apply->now->slots[destination];

	return (struct ebb_ref){slot, apply->view->dsts[slot].epoch};
}

const struct ebb_breaker_config *ebb_apply_breakers(const struct ebb_apply *apply,
						    const uint32_t **ret_of_dst)
{
	*ret_of_dst = apply->now->breaker_of;
	return apply->now->breakers;
}

uint32_t ebb_apply_default_asks(const struct ebb_apply *apply)
{
	return policy_of(apply, &apply->now->config->defaults).asks;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/apply.c over maps in plain memory, with routes, endpoints and free slots that a test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "agent/apply.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "tests/lib/fake_mapping.h"
#include "tests/lib/fake_view.h"

#define S	1000000000ULL
#define DSTS	12
#define PAIRS	8
#define NOW	(1000 * S)
#define ENTRIES 8

struct world {
	struct ebb_view view;
	struct ebb_apply *apply;
	struct ebb_config *configs[16];
	size_t config_count;
	struct fake_slots slots;
	struct ebb_endpoint keys[ENTRIES];
	struct ebb_ref refs[ENTRIES];
	size_t key_count;
	struct ebb_route_prefix prefixes[32];
	size_t prefix_count;
	uint32_t replaced; /* how often */
	const struct ebb_route_table *staged;
	int refuse, refuse_to_stage; /* the next table of routes, with this errno */
	uint32_t changed;
	/* what stood in the policies at the moment of the swap */
	struct ebb_policy at_swap[DSTS];
	size_t keys_at_swap;
};

static int take_slot(void *userdata, uint32_t *ret_slot)
{
	struct world *w = userdata;

	if (fake_slots_take(&w->slots, ret_slot) < 0)
		return -ENOENT;
	if (*ret_slot > w->view.kernel->dst_high)
		w->view.kernel->dst_high = *ret_slot;
	return 0;
}

static int give_slot_back(void *userdata, uint32_t slot)
{
	fake_slots_give_back(&((struct world *)userdata)->slots, slot);
	return 0;
}

static int stage_routes(void *userdata, const struct ebb_route_table *table, struct ebb_why *why)
{
	struct world *w = userdata;

	if (w->refuse_to_stage)
		return ebb_why(why, w->refuse_to_stage, "refused by the test");
	assert_true(table->prefix_count <= 32);
	w->staged = table;
	return 0;
}

static void unstage_routes(void *userdata)
{
	struct world *w = userdata;

	w->staged = NULL;
}

static int swap_routes(void *userdata, struct ebb_why *why)
{
	struct world *w = userdata;
	const struct ebb_route_table *table = w->staged;

	if (w->refuse)
		return ebb_why(why, w->refuse, "refused by the test");
	assert_non_null(table);
	memcpy(w->prefixes, table->prefixes, table->prefix_count * sizeof(*table->prefixes));
	w->prefix_count = table->prefix_count;
	w->staged = NULL;
	w->replaced++;
	memcpy(w->at_swap, w->view.policies, sizeof(w->at_swap));
	w->keys_at_swap = w->key_count;
	return 0;
}

static size_t find_key(const struct world *w, const struct ebb_endpoint *key)
{
	size_t i = 0;

	while (i < w->key_count && memcmp(&w->keys[i], key, sizeof(*key)) != 0)
		i++;
	return i;
}

static int get_endpoint(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	struct world *w = userdata;
	size_t i = find_key(w, key);

	if (i == w->key_count)
		return -ENOENT;
	*ret_ref = w->refs[i];
	return 0;
}

static int put_endpoint(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	struct world *w = userdata;
	size_t i = find_key(w, key);

	assert_true(i < ENTRIES);
	w->keys[i] = *key;
	w->refs[i] = *ref;
	if (i == w->key_count)
		w->key_count++;
	return 0;
}

static int remove_endpoint(void *userdata, const struct ebb_endpoint *key)
{
	struct world *w = userdata;
	size_t i = find_key(w, key);

	if (i == w->key_count)
		return -ENOENT;
	w->key_count--;
	w->keys[i] = w->keys[w->key_count];
	w->refs[i] = w->refs[w->key_count];
	return 0;
}

static void mapping_changed(void *userdata)
{
	((struct world *)userdata)->changed++;
}

static void start_apply(struct world *w, bool fresh)
{
	const struct ebb_apply_ops ops = {
		.userdata = w,
		.take_slot = take_slot,
		.give_slot_back = give_slot_back,
		.stage_routes = stage_routes,
		.unstage_routes = unstage_routes,
		.swap_routes = swap_routes,
		.get_endpoint = get_endpoint,
		.put_endpoint = put_endpoint,
		.remove_endpoint = remove_endpoint,
		.mapping_changed = mapping_changed,
	};

	ebb_apply_free(w->apply);
	w->apply = NULL;
	assert_int_equal(ebb_apply_new(&w->view, &ops, fresh, true, &w->apply), 0);
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(DSTS, PAIRS);
	for (uint32_t slot = DSTS - 1; slot > 0; slot--)
		fake_slots_give_back(&w->slots, slot);
	start_apply(w, true);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_apply_free(w->apply);
	for (size_t i = 0; i < w->config_count; i++)
		ebb_config_free(w->configs[i]);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

static const struct ebb_config *parse(struct world *w, const char *text)
{
	struct ebb_problems problems;
	struct ebb_config *config;

	if (ebb_config_parse(text, strlen(text), &config, &problems) < 0)
		fail_msg("%s", problems.list[0].text);
	assert_true(w->config_count < 16);
	w->configs[w->config_count++] = config;
	return config;
}

/* All that can go wrong. */
static int ready(struct world *w, const char *text, struct ebb_why *why)
{
	int r = ebb_apply_prepare(w->apply, parse(w, text), why);

	return r < 0 ? r : ebb_apply_work_out(w->apply, why);
}

static struct ebb_apply_report apply(struct world *w, const char *text)
{
	struct ebb_apply_report report;
	struct ebb_why why = {0};

	if (ready(w, text, &why) < 0)
		fail_msg("%s", why.text);
	(void)ebb_apply_mark(w->apply);
	if (ebb_apply_commit(w->apply, NOW, &report, &why) < 0)
		fail_msg("%s", why.text);
	return report;
}

/* The slot of a name; 0: none has it. */
static uint32_t slot_of(const struct world *w, const char *name)
{
	for (uint32_t d = 1; d < DSTS; d++) {
		if (w->view.dsts[d].state == EBB_SLOT_LIVE &&
		    w->view.names[d].epoch == w->view.dsts[d].epoch &&
		    strcmp(w->view.names[d].text, name) == 0)
			return d;
	}
	return 0;
}

/* Somebody connected to 10.0.0.@last:443. */
static uint32_t discover(struct world *w, uint8_t last)
{
	uint32_t slot = 0;
	struct ebb_dst *dst;

	assert_int_equal(take_slot(w, &slot), 0);
	dst = &w->view.dsts[slot];
	dst->endpoint = (struct ebb_endpoint){.addr = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last},
					      .port = htons(443),
					      .proto = IPPROTO_TCP};
	dst->scope = EBB_SCOPE_NODE;
	dst->state = EBB_SLOT_LIVE;
	(void)put_endpoint(w, &dst->endpoint, &(struct ebb_ref){slot, dst->epoch});
	return slot;
}

static struct ebb_pair *open_connection(struct world *w, uint32_t pair, uint32_t dst)
{
	struct ebb_pair *p = &w->view.pairs[pair];

	p->dst = dst;
	p->state = EBB_SLOT_LIVE;
	p->syn_sent = p->outcomes[EBB_OUTCOME_ESTABLISHED] = p->active = 1;
	if (pair > w->view.kernel->pair_high)
		w->view.kernel->pair_high = pair;
	return p;
}

#define API "destinations: [{name: api, match: [{cidr: 10.0.0.0/24}], "

/* ---------------------------------------------------------------- policies */

static void every_slot_has_its_settings(void **state)
{
	struct world *w = *state;
	uint32_t api;

	(void)apply(w, "mode: enforce\ndefaults: {enforce_percent: 90}\n" API
		       "mode: observe, enforce_percent: 10, limits: {concurrent: 3}}]\n");
	api = slot_of(w, "api");
	assert_int_not_equal(api, 0);
	assert_int_equal(w->view.names[api].flags, EBB_NAME_RULE);
	assert_int_equal(w->view.policies[api].mode, EBB_MODE_OBSERVE);
	assert_int_equal(w->view.policies[api].spare_percent, 90);
	assert_int_equal(w->view.policies[api].limits.concurrent, 3);
	assert_int_equal(w->view.policies[api].asks, EBB_ASK_CONNECT);
	for (uint32_t d = 1; d < DSTS; d++) {
		if (d == api)
			continue;
		assert_int_equal(w->view.policies[d].mode, EBB_MODE_ENFORCE);
		assert_int_equal(w->view.policies[d].spare_percent, 10);
		assert_int_equal(w->view.policies[d].limits.concurrent, 0);
	}
	/* ~other is never refused */
	assert_int_equal(w->view.policies[EBB_SLOT_OTHER].mode, EBB_MODE_OBSERVE);
	assert_int_equal(ebb_arm_failures(w->view.policies[EBB_SLOT_OTHER].arm), 0);
}

static void what_the_fuse_spares_follows_the_configuration(void **state)
{
	struct world *w = *state;
	struct ebb_apply_report report;

	(void)apply(w, API "}]\nnode_fuse: {exempt: [api]}\n");
	for (uint32_t d = 0; d < DSTS; d++)
		assert_int_equal(w->view.policies[d].fuse_exempt, d == slot_of(w, "api"));
	report = apply(w, API "}]\n");
	assert_int_equal(report.changed, 1);
	for (uint32_t d = 0; d < DSTS; d++)
		assert_int_equal(w->view.policies[d].fuse_exempt, 0);
}

static void orders_of_operators_stand(void **state)
{
	struct world *w = *state;
	struct ebb_limits change = {.concurrent = 9, .given = EBB_GIVEN_CONCURRENT};
	uint32_t api;

	(void)apply(w, API "limits: {concurrent: 3}}]\n");
	api = slot_of(w, "api");
	ebb_override_give(&w->view.policies[api], EBB_OVERRIDE_OPEN, 0, 7);
	ebb_mode_give(&w->view.policies[EBB_SLOT_OTHER], 1 + EBB_MODE_ENFORCE, 0, 7);
	ebb_limits_give(&w->view.policies[api], &change, 0, 7, NOW);
	(void)apply(w, "mode: enforce\n" API "limits: {concurrent: 4}}]\n");
	assert_int_equal(slot_of(w, "api"), api);
	assert_int_equal(w->view.policies[api].override_state, EBB_OVERRIDE_OPEN);
	assert_int_equal(w->view.policies[api].by_hand.concurrent, 9);
	assert_int_equal(w->view.policies[api].by_hand.given, EBB_GIVEN_CONCURRENT);
	assert_int_equal(w->view.policies[api].limits.concurrent, 4);
	assert_int_equal(w->view.policies[EBB_SLOT_OTHER].mode_by_hand, 1 + EBB_MODE_ENFORCE);
	/* also when the name leaves */
	(void)apply(w, "mode: enforce\n");
	assert_int_equal(w->view.policies[api].override_state, EBB_OVERRIDE_OPEN);
	assert_int_equal(w->view.policies[api].limits.concurrent, 0);
}

static void breakers_follow_their_destination(void **state)
{
	struct world *w = *state;
	const struct ebb_breaker_config *breakers;
	const uint32_t *of_dst;
	uint32_t api;

	(void)apply(w, "defaults: {breaker: {consecutive_failures: 4}}\n" API
		       "breaker: {consecutive_failures: 2}}]\n");
	api = slot_of(w, "api");
	breakers = ebb_apply_breakers(w->apply, &of_dst);
	assert_int_equal(breakers[of_dst[api]].consecutive_failures, 2);
	for (uint32_t d = 1; d < DSTS; d++)
		assert_int_equal(breakers[of_dst[d]].consecutive_failures, d == api ? 2 : 4);
}

/* ------------------------------------------------------------------- names */

static void name_keeps_its_slot(void **state)
{
	struct world *w = *state;
	struct ebb_apply_report report;
	uint32_t api;

	report = apply(w, API "}]\n");
	assert_int_equal(report.added, 1);
	assert_string_equal(report.text, "added=api");
	api = slot_of(w, "api");
	w->view.dsts[api].connect.sum_units = 77;
	report = apply(w, API "limits: {concurrent: 4}}]\n");
	assert_string_equal(report.text, "changed=api");
	assert_int_equal(slot_of(w, "api"), api);
	/* it leaves, and comes back before it was idle */
	report = apply(w, "mode: observe\n");
	assert_string_equal(report.text, "removed=api");
	assert_int_equal(w->view.names[api].flags, 0);
	assert_int_equal(w->view.dsts[api].state, EBB_SLOT_LIVE);
	(void)apply(w, API "}]\n");
	assert_int_equal(slot_of(w, "api"), api);
	/* and over another agent's life */
	start_apply(w, false);
	(void)apply(w, API "}]\n");
	assert_int_equal(slot_of(w, "api"), api);
	assert_int_equal(w->view.names[api].flags, EBB_NAME_RULE);
	assert_int_equal(w->view.dsts[api].connect.sum_units, 77);
}

static void another_scope_is_another_slot(void **state)
{
	struct world *w = *state;
	struct ebb_apply_report report;
	uint32_t node, workload;

	(void)apply(w, API "scope: node}]\n");
	node = slot_of(w, "api");
	assert_int_equal(w->view.dsts[node].scope, EBB_SCOPE_NODE);
	report = apply(w, API "scope: workload}]\n");
	assert_int_equal(report.renewed, 1);
	workload = slot_of(w, "api");
	assert_int_not_equal(workload, node);
	assert_int_equal(w->view.dsts[workload].scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(slot_of(w, "api (scope was node)"), node);
	assert_int_equal(w->view.names[node].flags, 0);
	(void)apply(w, API "scope: node}]\n");
	assert_int_equal(slot_of(w, "api"), node);
	assert_int_equal(slot_of(w, "api (scope was workload)"), workload);
}

/* Ruling 1. */
static void loopback_is_of_each_workload_whatever_a_rule_says(void **state)
{
	struct world *w = *state;

	(void)apply(w, "destinations:\n"
		       "- {name: a, match: [{cidr: 127.0.0.0/8}, {cidr: '::1'}], scope: node}\n"
		       "- {name: b, match: [{cidr: 169.254.1.0/24}, {cidr: 'fe80::/64'}], scope: node}\n"
		       "- {name: c, match: [{cidr: 127.0.0.1}, {cidr: 10.0.0.1}], scope: node}\n");
	assert_int_equal(w->view.dsts[slot_of(w, "a")].scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(w->view.dsts[slot_of(w, "b")].scope, EBB_SCOPE_WORKLOAD);
	assert_int_equal(w->view.dsts[slot_of(w, "c")].scope, EBB_SCOPE_NODE);
}

/* ------------------------------------------------------- whole or not at all */

static void no_room_changes_nothing(void **state)
{
	struct world *w = *state;
	char text[4096] = "mode: enforce\ndestinations:\n";
	struct ebb_policy before[DSTS];
	struct ebb_why why = {0};
	size_t free_slots;

	(void)apply(w, API "}]\n");
	for (int i = 0; i < DSTS; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "- {name: d%d, match: [{cidr: 10.0.%d.0/24}]}\n", i, i);
	free_slots = w->slots.count;
	memcpy(before, w->view.policies, sizeof(before));
	assert_int_equal(ebb_apply_prepare(w->apply, parse(w, text), &why), -ENOSPC);
	assert_non_null(strstr(why.text, "capacity.destinations"));
	assert_int_equal(w->slots.count, free_slots);
	assert_memory_equal(before, w->view.policies, sizeof(before));
	assert_int_equal(w->replaced, 1);
	/* the one before goes on, and another can come */
	(void)apply(w, API "limits: {concurrent: 1}}]\n");
}

static void refuse_routes(struct world *w, bool at_once)
{
	struct ebb_apply_report report;
	struct ebb_policy before[DSTS];
	struct ebb_name names[DSTS];
	struct ebb_why why = {0};
	uint32_t seen;
	size_t free_slots, keys;

	(void)apply(w, API "limits: {concurrent: 3}}]\n");
	seen = discover(w, 5);
	/* a key that was taken out for the rule */
	(void)remove_endpoint(w, &w->view.dsts[seen].endpoint);
	ebb_apply_settle(w->apply, NOW + 5 * S);
	free_slots = w->slots.count;
	keys = w->key_count;
	memcpy(before, w->view.policies, sizeof(before));
	memcpy(names, w->view.names, sizeof(names));
	w->refuse_to_stage = at_once ? -E2BIG : 0;
	w->refuse = -E2BIG;
	assert_int_equal(ready(w, "mode: enforce\ndestinations: [{name: db, match: [{cidr: 10.9.0.0/16}]}]\n",
			       &why),
			 at_once ? -E2BIG : 0);
	if (at_once) {
		ebb_apply_drop(w->apply);
	} else {
		(void)ebb_apply_mark(w->apply);
		assert_int_equal(ebb_apply_commit(w->apply, NOW, &report, &why), -E2BIG);
	}
	assert_null(w->staged);
	assert_int_equal(w->slots.count, free_slots);
	for (size_t i = 0; i < w->slots.count; i++)
		assert_int_equal(w->view.dsts[w->slots.free[i]].state, EBB_SLOT_FREE);
	assert_int_equal(w->key_count, keys);
	ebb_apply_settle(w->apply, NOW + 10 * S);
	assert_memory_equal(before, w->view.policies, sizeof(before));
	assert_int_equal(slot_of(w, "db"), 0);
	assert_memory_equal(&names[slot_of(w, "api")], &w->view.names[slot_of(w, "api")], sizeof(names[0]));
	assert_string_equal(ebb_apply_config(w->apply)->destinations[0].name, "api");
}

static void refused_routes_leave_everything_as_it_was(void **state)
{
	refuse_routes(*state, false);
}

static void routes_that_find_no_room_leave_everything_as_it_was(void **state)
{
	refuse_routes(*state, true);
}

/* Whatever is prepared and worked out, nobody sees it: not the kernel, not a tick. */
static void nothing_is_in_force_before_the_commit(void **state)
{
	struct world *w = *state;
	struct ebb_policy before[DSTS];
	struct ebb_name names[DSTS];
	struct ebb_dst dsts[DSTS];
	const struct ebb_breaker_config *breakers;
	struct ebb_apply_report report;
	struct ebb_why why = {0};
	const uint32_t *of_dst;
	uint32_t changed;

	(void)apply(w, API "limits: {concurrent: 3}}]\n");
	(void)discover(w, 5);
	ebb_apply_settle(w->apply, NOW + 5 * S);
	breakers = ebb_apply_breakers(w->apply, &of_dst);
	memcpy(before, w->view.policies, sizeof(before));
	memcpy(names, w->view.names, sizeof(names));
	memcpy(dsts, w->view.dsts, sizeof(dsts));
	changed = w->changed;
	assert_int_equal(ready(w,
			       "mode: enforce\ndefaults: {breaker: {consecutive_failures: 9}}\n"
			       "destinations: [{name: db, match: [{cidr: 10.0.0.0/8}]}]\n",
			       &why),
			 0);
	assert_memory_equal(before, w->view.policies, sizeof(before));
	assert_memory_equal(names, w->view.names, sizeof(names));
	assert_memory_equal(dsts, w->view.dsts, sizeof(dsts));
	assert_int_equal(w->replaced, 1);
	assert_int_equal(w->changed, changed);
	assert_ptr_equal(ebb_apply_breakers(w->apply, &of_dst), breakers);
	assert_string_equal(ebb_apply_config(w->apply)->destinations[0].name, "api");
	(void)ebb_apply_mark(w->apply);
	assert_int_equal(ebb_apply_commit(w->apply, NOW, &report, &why), 0);
	assert_int_equal(w->replaced, 2);
	assert_true(report.moved && report.added == 1 && report.removed == 1);
	assert_string_equal(ebb_apply_config(w->apply)->destinations[0].name, "db");
}

/* ------------------------------------------------------------------- routes */

static void routes_change_only_where_rules_do(void **state)
{
	struct world *w = *state;

	(void)apply(w, "mode: observe\n");
	assert_int_equal(w->replaced, 0);
	(void)apply(w, API "}]\n");
	assert_int_equal(w->replaced, 1);
	assert_int_equal(w->prefix_count, 1);
	assert_int_equal(w->prefixes[0].any[0].slot, slot_of(w, "api"));
	(void)apply(w, "mode: enforce\n" API "limits: {concurrent: 4}}]\n");
	assert_int_equal(w->replaced, 1);
	assert_int_equal(w->changed, 1);
	(void)apply(w, "mode: enforce\n");
	assert_int_equal(w->replaced, 2);
	assert_int_equal(w->prefix_count, 0);
}

/* Nobody knows what a dead agent has left there. */
static void routes_of_another_life_are_replaced(void **state)
{
	struct world *w = *state;

	start_apply(w, false);
	(void)apply(w, "mode: observe\n");
	assert_int_equal(w->replaced, 1);
}

static void discovered_address_goes_to_its_rule_and_comes_back(void **state)
{
	struct world *w = *state;
	uint32_t slot, other;

	(void)apply(w, "mode: observe\n");
	slot = discover(w, 5);
	other = discover(w, 99);
	w->view.dsts[other].endpoint.port = htons(80);
	(void)apply(w, "destinations: [{name: api, match: [{cidr: 10.0.0.5/32, port: 443}]}]\n");
	/* its key stands before the routes: it goes when these are there */
	assert_int_equal(w->keys_at_swap, 2);
	assert_int_equal(find_key(w, &w->view.dsts[slot].endpoint), w->key_count);
	assert_int_equal(w->key_count, 1);
	(void)apply(w, "mode: observe\n");
	/* and comes back before they go, so that nobody discovers it anew */
	assert_int_equal(w->keys_at_swap, 2);
	assert_int_equal(w->refs[find_key(w, &w->view.dsts[slot].endpoint)].slot, slot);
	/* somebody else's by now */
	(void)apply(w, API "}]\n");
	w->view.dsts[slot].epoch++;
	w->view.dsts[slot].state = EBB_SLOT_FREE;
	(void)apply(w, "mode: observe\n");
	assert_int_equal(find_key(w, &w->view.dsts[slot].endpoint), w->key_count);
}

/* Ruling 1: the kernel claims it for no rule with one gate for all, and it keeps its key also when the agent starts again. */
static void discovered_loopback_stays_where_a_rule_has_one_gate_for_all(void **state)
{
	struct world *w = *state;
	static const char shared[] =
		"destinations: [{name: any, match: [{port: 443}, {cidr: 127.0.0.0/8, port: 443}]}]\n";
	uint32_t slot, far;

	(void)apply(w, "mode: observe\n");
	slot = discover(w, 5);
	(void)remove_endpoint(w, &w->view.dsts[slot].endpoint);
	w->view.dsts[slot].endpoint.addr[12] = 127;
	(void)put_endpoint(w, &w->view.dsts[slot].endpoint,
			   &(struct ebb_ref){slot, w->view.dsts[slot].epoch});
	far = discover(w, 6);
	(void)apply(w, shared);
	assert_int_equal(w->refs[find_key(w, &w->view.dsts[slot].endpoint)].slot, slot);
	assert_int_equal(find_key(w, &w->view.dsts[far].endpoint), w->key_count);
	start_apply(w, false);
	(void)apply(w, shared);
	assert_int_equal(w->refs[find_key(w, &w->view.dsts[slot].endpoint)].slot, slot);
	/* one that has a gate for each takes it */
	(void)apply(w, "destinations: [{name: each, match: [{port: 443}], scope: workload}]\n");
	assert_int_equal(find_key(w, &w->view.dsts[slot].endpoint), w->key_count);
}

/* -------------------------------------------------------------------- order */

/* At the swap, who wins an address judges by the new settings already, who loses one still by the old. */
static void winners_are_written_before_the_swap_and_losers_after(void **state)
{
	struct world *w = *state;
	uint32_t a, b, c;

	(void)apply(w,
		    "destinations:\n"
		    "- {name: a, match: [{cidr: 10.1.0.0/16}, {cidr: 10.2.0.0/16}], limits: {concurrent: 1}}\n"
		    "- {name: b, match: [{cidr: 10.3.0.0/16}], limits: {concurrent: 1}}\n"
		    "- {name: c, match: [{cidr: 10.4.0.0/16}], limits: {concurrent: 1}}\n");
	a = slot_of(w, "a");
	b = slot_of(w, "b");
	c = slot_of(w, "c");
	(void)apply(w,
		    "mode: enforce\ndestinations:\n"
		    "- {name: a, match: [{cidr: 10.1.0.0/16}], limits: {concurrent: 2}}\n"
		    "- {name: b, match: [{cidr: 10.3.0.0/16}, {cidr: 10.2.0.0/16}], limits: {concurrent: 2}}\n"
		    "- {name: c, match: [{cidr: 10.4.0.0/16}], limits: {concurrent: 2}}\n"
		    "- {name: d, match: [{cidr: 10.5.0.0/16}], limits: {concurrent: 2}}\n");
	assert_int_equal(w->at_swap[a].limits.concurrent, 1);
	assert_int_equal(w->at_swap[b].limits.concurrent, 2);
	assert_int_equal(w->at_swap[c].limits.concurrent, 2);
	assert_int_equal(w->at_swap[slot_of(w, "d")].limits.concurrent, 2);
	/* addresses go from those that no rule claims to d: the defaults change after it */
	assert_int_equal(w->at_swap[DSTS - 1].mode, EBB_MODE_OBSERVE);
	assert_int_equal(w->view.policies[a].limits.concurrent, 2);
	assert_int_equal(w->view.policies[DSTS - 1].mode, EBB_MODE_ENFORCE);
}

static void defaults_come_before_what_comes_to_them(void **state)
{
	struct world *w = *state;

	(void)apply(w, API "}]\n");
	(void)apply(w, "mode: enforce\n");
	assert_int_equal(w->at_swap[DSTS - 1].mode, EBB_MODE_ENFORCE);
}

/* ----------------------------------------------------------------- memories */

static bool marked(const struct world *w, uint32_t slot)
{
	return w->view.policies[slot].asks & EBB_ASK_MEMORY;
}

static void who_loses_an_address_asks_for_memories_until_it_is_safe(void **state)
{
	struct world *w = *state;
	struct ebb_apply_report report;
	struct ebb_why why = {0};
	uint32_t slot, other, api;

	(void)apply(w, "mode: observe\n");
	slot = discover(w, 5);
	other = discover(w, 6);
	w->view.dsts[other].endpoint.addr[12] = 11;
	assert_int_equal(ready(w, API "}]\n", &why), 0);
	/* nothing is open: nobody has to wait */
	assert_false(ebb_apply_mark(w->apply));
	(void)open_connection(w, 1, other);
	assert_false(ebb_apply_mark(w->apply));
	(void)open_connection(w, 2, slot);
	assert_true(ebb_apply_mark(w->apply));
	assert_true(marked(w, slot));
	assert_false(marked(w, other));
	/* what is met before the commit may be claimed, too */
	assert_true(marked(w, DSTS - 1));
	assert_int_equal(ebb_apply_commit(w->apply, NOW, &report, &why), 0);
	api = slot_of(w, "api");
	assert_true(marked(w, slot));
	ebb_apply_settle(w->apply, NOW + S / 2);
	assert_true(marked(w, slot));
	ebb_apply_settle(w->apply, NOW + S);
	for (uint32_t d = 0; d < DSTS; d++)
		assert_false(marked(w, d));
	/* a name that loses its address */
	(void)open_connection(w, 3, api);
	assert_int_equal(ready(w, "mode: observe\n", &why), 0);
	assert_true(ebb_apply_mark(w->apply));
	assert_true(marked(w, api));
	ebb_apply_drop(w->apply);
	assert_false(marked(w, api));
}

static void connecting_is_in_use_too(void **state)
{
	struct world *w = *state;
	struct ebb_why why = {0};
	struct ebb_pair *pair;
	uint32_t slot;

	(void)apply(w, "mode: observe\n");
	slot = discover(w, 5);
	pair = open_connection(w, 1, slot);
	pair->active = 0;
	pair->syn_sent = 2;
	assert_int_equal(ready(w, API "}]\n", &why), 0);
	assert_true(ebb_apply_mark(w->apply));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_slot_has_its_settings),
		TEST(what_the_fuse_spares_follows_the_configuration),
		TEST(orders_of_operators_stand),
		TEST(breakers_follow_their_destination),
		TEST(name_keeps_its_slot),
		TEST(another_scope_is_another_slot),
		TEST(loopback_is_of_each_workload_whatever_a_rule_says),
		TEST(no_room_changes_nothing),
		TEST(refused_routes_leave_everything_as_it_was),
		TEST(routes_that_find_no_room_leave_everything_as_it_was),
		TEST(nothing_is_in_force_before_the_commit),
		TEST(routes_change_only_where_rules_do),
		TEST(routes_of_another_life_are_replaced),
		TEST(discovered_address_goes_to_its_rule_and_comes_back),
		TEST(discovered_loopback_stays_where_a_rule_has_one_gate_for_all),
		TEST(winners_are_written_before_the_swap_and_losers_after),
		TEST(defaults_come_before_what_comes_to_them),
		TEST(who_loses_an_address_asks_for_memories_until_it_is_safe),
		TEST(connecting_is_in_use_too),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}

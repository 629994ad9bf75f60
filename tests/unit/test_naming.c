/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/naming.c over maps and tables of its own, with a fake clock and the real rules. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/naming.h"
#include "tests/lib/fake_view.h"

#define S     1000000000ULL
#define GRACE (10 * S)
#define TTL   60

#define DSTS  64
#define PAIRS 64

#define POD1 101
#define POD2 102
#define POD3 103

#define RULE_SLOT(destination) (40U + (destination))
#define RULE_EPOCH	       3

#define TABLE_MAX 512

struct world {
	struct ebb_view view;
	struct ebb_naming *naming;
	struct ebb_naming_ops ops;
	uint64_t now;

	struct ebb_match matches[16];
	struct ebb_rule rules[16];
	size_t rule_count;
	struct ebb_matcher *matcher;

	struct {
		struct ebb_endpoint key;
		struct ebb_ref ref;
		bool used;
	} endpoints[TABLE_MAX];
	struct {
		struct ebb_lookup_key key;
		struct ebb_ref ref;
		bool used;
	} lookups[TABLE_MAX];
	int put_error;
	int part_answer;
	uint32_t parted; /* the last slot that was asked to */
	unsigned int part_calls;
	unsigned int changes;
	unsigned int writes;
	unsigned int writes_at_change;
};

/* ------------------------------------------------------------------- tables -- */

static int fake_slot_of(void *userdata, uint32_t destination, struct ebb_ref *ret_ref)
{
	(void)userdata;
	*ret_ref = (struct ebb_ref){.slot = RULE_SLOT(destination), .epoch = RULE_EPOCH};
	return 0;
}

static int fake_endpoint_get(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	const struct world *w = userdata;

	for (int i = 0; i < TABLE_MAX; i++) {
		if (w->endpoints[i].used && memcmp(&w->endpoints[i].key, key, sizeof(*key)) == 0) {
			*ret_ref = w->endpoints[i].ref;
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_endpoint_remove(void *userdata, const struct ebb_endpoint *key)
{
	struct world *w = userdata;

	for (int i = 0; i < TABLE_MAX; i++) {
		if (w->endpoints[i].used && memcmp(&w->endpoints[i].key, key, sizeof(*key)) == 0) {
			w->endpoints[i].used = false;
			w->writes++;
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_endpoint_put(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	struct world *w = userdata;
	int i = 0;

	if (w->put_error)
		return w->put_error;
	(void)fake_endpoint_remove(w, key);
	while (w->endpoints[i].used)
		i++;
	w->endpoints[i].used = true;
	w->endpoints[i].key = *key;
	w->endpoints[i].ref = *ref;
	w->writes++;
	return 0;
}

static int fake_lookup_get(void *userdata, const struct ebb_lookup_key *key, struct ebb_ref *ret_ref)
{
	const struct world *w = userdata;

	for (int i = 0; i < TABLE_MAX; i++) {
		if (w->lookups[i].used && memcmp(&w->lookups[i].key, key, sizeof(*key)) == 0) {
			*ret_ref = w->lookups[i].ref;
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_lookup_remove(void *userdata, const struct ebb_lookup_key *key)
{
	struct world *w = userdata;

	for (int i = 0; i < TABLE_MAX; i++) {
		if (w->lookups[i].used && memcmp(&w->lookups[i].key, key, sizeof(*key)) == 0) {
			w->lookups[i].used = false;
			w->writes++;
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_lookup_put(void *userdata, const struct ebb_lookup_key *key, const struct ebb_ref *ref)
{
	struct world *w = userdata;
	int i = 0;

	(void)fake_lookup_remove(w, key);
	while (w->lookups[i].used)
		i++;
	w->lookups[i].used = true;
	w->lookups[i].key = *key;
	w->lookups[i].ref = *ref;
	w->writes++;
	return 0;
}

static void fake_changed(void *userdata)
{
	struct world *w = userdata;

	w->changes++;
	w->writes_at_change = w->writes;
}

static int fake_part(void *userdata, const struct ebb_ref *from)
{
	struct world *w = userdata;

	w->parted = from->slot;
	w->part_calls++;
	return w->part_answer;
}

/* -------------------------------------------------------------------- world -- */

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));

	w->view = fake_view_new(DSTS, PAIRS);
	w->view.kernel->dst_high = DSTS - 1;
	w->view.kernel->pair_high = PAIRS - 1;
	w->now = 1000 * S;
	w->ops = (struct ebb_naming_ops){
		w,
		fake_slot_of,
		fake_endpoint_get,
		fake_endpoint_put,
		fake_endpoint_remove,
		fake_lookup_get,
		fake_lookup_put,
		fake_lookup_remove,
		fake_changed,
		fake_part,
	};
	assert_int_equal(ebb_naming_new(&w->view, &w->ops, 7, &w->naming), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	/* what programs remember is voided after the last change */
	assert_int_equal(w->writes_at_change, w->writes);
	ebb_naming_free(w->naming);
	ebb_matcher_free(w->matcher);
	fake_view_free(&w->view);
	free(w);
	return 0;
}

static void make_addr(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
	} else {
		addr[10] = addr[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, addr + 12), 1);
	}
}

/* "api.example.com", "*.example.com", "10.0.0.0" with its bits */
static void add_rule(struct world *w, const char *what, uint8_t bits, uint16_t port, uint8_t proto,
		     uint32_t destination)
{
	struct ebb_match *m = &w->matches[w->rule_count];
	struct ebb_name *name = &w->view.names[RULE_SLOT(destination)];
	struct ebb_dst *dst = &w->view.dsts[RULE_SLOT(destination)];

	*m = (struct ebb_match){.port = port, .proto = proto};
	if (bits) {
		m->kind = EBB_MATCH_PREFIX;
		m->bits = (uint8_t)(bits + 96);
		make_addr(what, m->addr);
	} else {
		m->kind = what[0] == '*' ? EBB_MATCH_WILDCARD : EBB_MATCH_HOST;
		(void)snprintf(m->host, sizeof(m->host), "%s", what[0] == '*' ? what + 2 : what);
	}
	w->rules[w->rule_count++] = (struct ebb_rule){.match = m, .destination = destination};
	dst->state = EBB_SLOT_LIVE;
	dst->epoch = name->epoch = RULE_EPOCH;
	name->flags = EBB_NAME_RULE;
	(void)snprintf(name->text, sizeof(name->text), "rule%u", destination);
}

static void put_in_force(struct world *w)
{
	struct ebb_matcher *old = w->matcher;
	struct ebb_naming_config config = {.shown = true, .grace_ns = GRACE};

	w->matcher = NULL;
	assert_int_equal(ebb_matcher_new(w->rules, w->rule_count, &w->matcher), 0);
	config.matcher = w->matcher;
	ebb_naming_configure(w->naming, &config, w->now);
	ebb_matcher_free(old);
}

/* One rule, "api" with port 443 of TCP, is in force. */
static void rule_api(struct world *w)
{
	add_rule(w, "api.example.com", 0, 443, IPPROTO_TCP, 0);
	put_in_force(w);
}

static void answer_from(struct world *w, uint64_t workload, bool believed, const char *name, const char *list)
{
	struct ebb_dns_answer answer = {.count = 0};
	char copy[1024], *save = NULL;

	(void)snprintf(answer.name, sizeof(answer.name), "%s", name);
	(void)snprintf(copy, sizeof(copy), "%s", list);
	for (const char *text = strtok_r(copy, " ", &save); text; text = strtok_r(NULL, " ", &save)) {
		make_addr(text, answer.addresses[answer.count].addr);
		answer.addresses[answer.count++].ttl_s = TTL;
	}
	ebb_naming_answer(w->naming, &answer, workload, believed, w->now);
}

static void answer(struct world *w, uint64_t workload, const char *name, const char *list)
{
	answer_from(w, workload, true, name, list);
}

static struct ebb_endpoint endpoint(const char *addr, uint16_t port, uint8_t proto)
{
	struct ebb_endpoint key = {.port = htons(port), .proto = proto};

	make_addr(addr, key.addr);
	return key;
}

/* The slot that stands in the table, -1: none. */
static int slot_at(struct world *w, const char *addr, uint16_t port, uint8_t proto)
{
	struct ebb_endpoint key = endpoint(addr, port, proto);
	struct ebb_ref ref;

	return fake_endpoint_get(w, &key, &ref) == 0 ? (int)ref.slot : -1;
}

#define TCP_AT(w, addr, port) slot_at(w, addr, port, IPPROTO_TCP)

/* -1: nothing; -2: to be discovered */
static int meant_by(struct world *w, uint64_t workload, const char *addr, uint16_t port)
{
	struct ebb_lookup_key key = {.workload = workload, .endpoint = endpoint(addr, port, IPPROTO_TCP)};
	struct ebb_ref ref;

	if (fake_lookup_get(w, &key, &ref) < 0)
		return -1;
	return ref.slot == EBB_SLOT_DISCOVER ? -2 : (int)ref.slot;
}

/* The kernel met an address. */
static void discover(struct world *w, uint32_t slot, const char *addr, uint16_t port, uint64_t workload)
{
	struct ebb_ref ref = {.slot = slot, .epoch = 1};
	struct ebb_dst *dst = &w->view.dsts[slot];
	struct ebb_pair *pair = &w->view.pairs[slot];

	*dst = (struct ebb_dst){
		.endpoint = endpoint(addr, port, IPPROTO_TCP),
		.epoch = 1,
		.state = EBB_SLOT_LIVE,
		.finder = workload,
	};
	*pair = (struct ebb_pair){.workload = workload, .dst = slot, .dst_epoch = 1, .state = EBB_SLOT_LIVE};
	assert_int_equal(fake_endpoint_put(w, &dst->endpoint, &ref), 0);
	w->writes_at_change = w->writes;
}

/* Somebody has a connection open to a slot. */
static struct ebb_pair *connected(struct world *w, uint32_t pair_slot, uint32_t slot, uint64_t workload)
{
	struct ebb_pair *pair = &w->view.pairs[pair_slot];

	*pair = (struct ebb_pair){
		.workload = workload,
		.dst = slot,
		.dst_epoch = w->view.dsts[slot].epoch,
		.state = EBB_SLOT_LIVE,
		.attempts = 1,
		.syn_sent = 1,
		.active = 1,
	};
	pair->outcomes[EBB_OUTCOME_ESTABLISHED] = 1;
	return pair;
}

/* Ticks, a second each, for so long. */
static void pass_time(struct world *w, uint64_t seconds)
{
	while (seconds--) {
		w->now += S;
		ebb_naming_tick(w->naming, w->now);
	}
}

static const char *name_of(const struct world *w, uint32_t slot)
{
	const struct ebb_name *name = &w->view.names[slot];

	return name->epoch == w->view.dsts[slot].epoch ? name->text : "";
}

/* ----------------------------------------------------------------- host rules -- */

static void addresses_of_a_named_host_belong_to_its_destination(void **state)
{
	struct world *w = *state;

	rule_api(w);
	w->changes = 0;
	answer(w, POD1, "api.example.com", "10.0.0.1 10.0.0.2 2001:db8::1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "2001:db8::1", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.1", 80), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 0), -1);
	assert_int_equal(slot_at(w, "10.0.0.1", 443, IPPROTO_UDP), -1);
	assert_int_equal(w->changes, 1);
	assert_int_equal(w->view.agent->any_port, 0);
	assert_int_equal(w->view.agent->ambiguous, 0);
	/* the same again is no change: guesses stay good */
	answer(w, POD1, "api.example.com", "10.0.0.1 10.0.0.2");
	assert_int_equal(w->changes, 1);
	/* other names are nobody's */
	answer(w, POD1, "www.example.com", "10.0.0.9");
	assert_int_equal(TCP_AT(w, "10.0.0.9", 443), -1);
	assert_int_equal(ebb_naming_state(w->naming).addresses, 3);
}

static void rule_without_port_and_protocol_is_for_all_of_them(void **state)
{
	struct world *w = *state;

	add_rule(w, "*.example.com", 0, 0, 0, 0);
	put_in_force(w);
	answer(w, POD1, "a.b.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 0), RULE_SLOT(0));
	assert_int_equal(slot_at(w, "10.0.0.1", 0, IPPROTO_UDP), RULE_SLOT(0));
	assert_int_equal(w->view.agent->any_port, 1);
	pass_time(w, TTL + 11);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 0), -1);
	assert_int_equal(w->view.agent->any_port, 0);
}

static void the_most_specific_rule_says_whose_a_port_is(void **state)
{
	struct world *w = *state;

	add_rule(w, "*.example.com", 0, 443, IPPROTO_TCP, 0);
	add_rule(w, "api.example.com", 0, 0, 0, 1);
	add_rule(w, "api.example.com", 0, 8443, IPPROTO_TCP, 2);
	put_in_force(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	answer(w, POD1, "www.example.com", "10.0.0.2");
	/* the exact host, also without a port, before a wildcard with one */
	assert_true(TCP_AT(w, "10.0.0.1", 443) == RULE_SLOT(1) || TCP_AT(w, "10.0.0.1", 443) == -1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 0), RULE_SLOT(1));
	assert_int_equal(TCP_AT(w, "10.0.0.1", 8443), RULE_SLOT(2));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 0), -1);
}

/* Ruling 3. */
static void answers_that_are_not_believed_change_nothing(void **state)
{
	struct world *w = *state;

	rule_api(w);
	discover(w, 5, "10.0.0.66", 443, POD1);
	answer(w, POD2, "api.example.com", "10.0.0.1");
	answer(w, POD2, "shared.example", "10.0.0.1");
	w->changes = 0;
	answer_from(w, POD1, false, "api.example.com", "10.0.0.66");
	/* nor does it get out of a rule so */
	answer_from(w, POD1, false, "innocent.example", "10.0.0.1");
	assert_int_equal(w->changes, 0);
	assert_int_equal(TCP_AT(w, "10.0.0.66", 443), 5);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD1, "10.0.0.1", 443), -1);
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.66", 443), 5);
}

/* --------------------------------------------------------------------- time -- */

static void address_goes_when_its_time_and_grace_are_over(void **state)
{
	struct world *w = *state;

	rule_api(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	pass_time(w, TTL + 9);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	assert_int_equal(ebb_naming_state(w->naming).addresses, 0);
	assert_int_equal(ebb_naming_state(w->naming).names, 0);
}

static void address_of_a_name_in_use_stays(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair;

	rule_api(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	pair = connected(w, 9, RULE_SLOT(0), POD1);
	pass_time(w, 1000);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	/* attempts that go on are use as well, as of a program that keeps addresses for ever */
	pair->active = 0;
	for (int i = 0; i < 100; i++) {
		pair->attempts++;
		pair->syn_sent++;
		pair->outcomes[EBB_OUTCOME_REFUSED]++;
		pass_time(w, 1);
	}
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	/* one that connects now and then uses it, too: for the grace */
	pass_time(w, 8);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	pass_time(w, 4);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
}

/* The breaker's state is the slot's, and so the name's. */
static void name_that_moves_keeps_its_destination(void **state)
{
	struct world *w = *state;

	rule_api(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	(void)connected(w, 9, RULE_SLOT(0), POD1);
	pass_time(w, 50);
	answer(w, POD1, "api.example.com", "10.0.0.2");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 443), RULE_SLOT(0));
	/* what the name does not have any more goes, in use or not, and its open connections part first */
	w->part_answer = -EAGAIN;
	pass_time(w, 21);
	assert_int_equal(w->parted, RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	w->part_answer = 0;
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.2", 443), RULE_SLOT(0));
}

/* --------------------------------------------------------------- ambiguity -- */

static void who_means_another_name_of_the_address_goes_there(void **state)
{
	struct world *w = *state;

	rule_api(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(w->view.agent->ambiguous, 0);
	answer(w, POD2, "cdn.example.net", "10.0.0.1");
	assert_int_equal(w->view.agent->ambiguous, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD1, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), -2);
	assert_int_equal(meant_by(w, POD3, "10.0.0.1", 443), -1);
	pass_time(w, 1);
	assert_true(w->view.names[RULE_SLOT(0)].flags & EBB_NAME_AMBIGUOUS);
	/* the last look-up counts */
	answer(w, POD2, "api.example.com", "10.0.0.1");
	answer(w, POD1, "cdn.example.net", "10.0.0.1");
	assert_int_equal(meant_by(w, POD1, "10.0.0.1", 443), -2);
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), RULE_SLOT(0));
	/* the other order of the answers comes to the same */
	answer(w, POD2, "cdn.example.net", "10.0.0.7");
	answer(w, POD1, "api.example.com", "10.0.0.7");
	assert_int_equal(meant_by(w, POD1, "10.0.0.7", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD2, "10.0.0.7", 443), -2);
	pass_time(w, TTL + 11);
	assert_int_equal(meant_by(w, POD1, "10.0.0.1", 443), -1);
	assert_int_equal(w->view.agent->ambiguous, 0);
	assert_false(w->view.names[RULE_SLOT(0)].flags & EBB_NAME_AMBIGUOUS);
}

/* What was let go is found by nobody, and comes back whole. */
static void many_workloads_share_an_address_twice(void **state)
{
	struct world *w = *state;

	rule_api(w);
	for (int turn = 0; turn < 2; turn++) {
		for (uint64_t pod = 1000; pod < 1100; pod++)
			answer(w, pod, pod % 2 ? "api.example.com" : "cdn.example.net", "10.0.0.1");
		for (uint64_t pod = 1000; pod < 1100; pod++)
			assert_int_equal(meant_by(w, pod, "10.0.0.1", 443), pod % 2 ? (int)RULE_SLOT(0) : -2);
		pass_time(w, TTL + 11);
		for (uint64_t pod = 1000; pod < 1100; pod++)
			assert_int_equal(meant_by(w, pod, "10.0.0.1", 443), -1);
		assert_int_equal(w->view.agent->ambiguous, 0);
	}
}

static void two_names_of_one_destination_are_not_ambiguous(void **state)
{
	struct world *w = *state;

	add_rule(w, "*.example.com", 0, 443, IPPROTO_TCP, 0);
	put_in_force(w);
	answer(w, POD1, "a.example.com", "10.0.0.1");
	answer(w, POD2, "b.example.com", "10.0.0.1");
	assert_int_equal(w->view.agent->ambiguous, 0);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
}

static void of_two_rules_the_first_has_who_did_not_say(void **state)
{
	struct world *w = *state;

	add_rule(w, "a.example.com", 0, 443, IPPROTO_TCP, 0);
	add_rule(w, "b.example.com", 0, 443, IPPROTO_TCP, 1);
	put_in_force(w);
	answer(w, POD2, "b.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(1));
	answer(w, POD1, "a.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD1, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), RULE_SLOT(1));
	/* whoever asks: the address does not go to and fro */
	w->now += S;
	answer(w, POD2, "b.example.com", "10.0.0.1");
	answer(w, POD3, "b.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
}

static void name_without_a_rule_leaves_the_address_to_its_own(void **state)
{
	struct world *w = *state;

	add_rule(w, "api.example.com", 0, 443, IPPROTO_TCP, 0);
	add_rule(w, "10.0.0.0", 8, 443, IPPROTO_TCP, 1);
	put_in_force(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	answer(w, POD2, "cdn.example.net", "10.0.0.1");
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), RULE_SLOT(1));
}

/* ------------------------------------------------------- what was there before -- */

static void discovered_destination_stays_for_who_means_it_and_comes_back(void **state)
{
	struct world *w = *state;

	rule_api(w);
	discover(w, 5, "10.0.0.1", 443, POD2);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(w->part_calls, 0);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	/* there for whoever the kernel is told to discover one for */
	assert_int_equal(meant_by(w, 0, "10.0.0.1", 443), 5);
	pass_time(w, TTL + 11);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), 5);
	assert_int_equal(meant_by(w, 0, "10.0.0.1", 443), -1);
}

static void slot_with_a_new_owner_does_not_come_back(void **state)
{
	struct world *w = *state;

	rule_api(w);
	discover(w, 5, "10.0.0.1", 443, POD2);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	w->view.dsts[5].epoch = 2;
	w->view.pairs[5].state = EBB_SLOT_FREE;
	pass_time(w, TTL + 11);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
}

static void open_connections_part_before_their_address_changes_hands(void **state)
{
	struct world *w = *state;
	struct ebb_pair *pair;

	rule_api(w);
	discover(w, 5, "10.0.0.1", 443, POD2);
	pair = connected(w, 5, 5, POD2);
	w->part_answer = -EAGAIN;
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(w->parted, 5);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), 5);
	pass_time(w, 3);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), 5);
	w->part_answer = 0;
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	/* one that is connecting counts as open, one that has ended does not */
	discover(w, 6, "10.0.0.2", 443, POD2);
	pair = connected(w, 6, 6, POD2);
	pair->active = 0;
	pair->syn_sent = 2;
	w->part_calls = 0;
	answer(w, POD1, "api.example.com", "10.0.0.2");
	assert_int_equal(w->part_calls, 1);
	discover(w, 7, "10.0.0.3", 443, POD2);
	pair = connected(w, 7, 7, POD2);
	pair->active = 0;
	answer(w, POD1, "api.example.com", "10.0.0.3");
	assert_int_equal(w->part_calls, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.3", 443), RULE_SLOT(0));
}

/* The kernel looks for the exact port first. */
static void claim_of_every_port_clears_the_way(void **state)
{
	struct world *w = *state;

	add_rule(w, "api.example.com", 0, 0, IPPROTO_TCP, 0);
	put_in_force(w);
	discover(w, 5, "10.0.0.1", 443, POD1);
	discover(w, 6, "10.0.0.1", 80, POD1);
	discover(w, 7, "10.0.0.2", 80, POD1);
	pass_time(w, 1);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 0), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 80), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.2", 80), 7);
	/* one that came in between is found by the next look */
	discover(w, 8, "10.0.0.1", 8080, POD1);
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 8080), -1);
}

static void table_without_room_is_tried_again(void **state)
{
	struct world *w = *state;

	rule_api(w);
	w->put_error = -E2BIG;
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	assert_int_equal(ebb_naming_state(w->naming).failures, 1);
	w->put_error = 0;
	pass_time(w, 1);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
}

static void new_rules_hold_for_names_that_are_known(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	rule_api(w);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	w->rule_count = 0;
	add_rule(w, "api.example.com", 0, 443, IPPROTO_TCP, 1);
	put_in_force(w);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(1));
	w->rule_count = 0;
	put_in_force(w);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
}

/* ----------------------------------------------------------------- restart -- */

static void what_an_earlier_agent_left_holds_for_the_grace(void **state)
{
	struct world *w = *state;
	struct ebb_endpoint key = endpoint("10.0.0.1", 443, IPPROTO_TCP),
			    own = endpoint("10.0.0.5", 443, IPPROTO_TCP),
			    any = endpoint("10.0.0.2", 0, IPPROTO_TCP);
	struct ebb_lookup_key lookup = {.workload = POD2, .endpoint = key};
	struct ebb_ref ref = {.slot = RULE_SLOT(0), .epoch = RULE_EPOCH}, found = {.slot = 5, .epoch = 1},
		       discovered = {.slot = EBB_SLOT_DISCOVER};

	rule_api(w);
	discover(w, 5, "10.0.0.5", 443, POD1);
	(void)fake_endpoint_put(w, &key, &ref);
	(void)fake_endpoint_put(w, &any, &ref);
	(void)fake_lookup_put(w, &lookup, &discovered);
	ebb_naming_take_up_endpoint(w->naming, &key, &ref, w->now);
	ebb_naming_take_up_endpoint(w->naming, &any, &ref, w->now);
	ebb_naming_take_up_endpoint(w->naming, &own, &found, w->now);
	ebb_naming_take_up_lookup(w->naming, &lookup, &discovered, w->now);
	assert_int_equal(w->view.agent->any_port, 1);
	assert_int_equal(w->view.agent->ambiguous, 1);
	pass_time(w, 9);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 0), RULE_SLOT(0));
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), -2);
	/* an answer says it anew */
	answer(w, POD1, "api.example.com", "10.0.0.1");
	pass_time(w, 2);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	assert_int_equal(TCP_AT(w, "10.0.0.2", 0), -1);
	assert_int_equal(meant_by(w, POD2, "10.0.0.1", 443), -1);
	assert_int_equal(w->view.agent->any_port, 0);
	assert_int_equal(w->view.agent->ambiguous, 0);
	assert_int_equal(TCP_AT(w, "10.0.0.5", 443), 5);
	pass_time(w, TTL + 10);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.5", 443), 5);
}

static void what_is_in_use_after_a_restart_stays(void **state)
{
	struct world *w = *state;
	struct ebb_endpoint key = endpoint("10.0.0.1", 443, IPPROTO_TCP);
	struct ebb_ref ref = {.slot = RULE_SLOT(0), .epoch = RULE_EPOCH};
	struct ebb_pair *pair;

	rule_api(w);
	pair = connected(w, 9, RULE_SLOT(0), POD1);
	(void)fake_endpoint_put(w, &key, &ref);
	ebb_naming_take_up_endpoint(w->naming, &key, &ref, w->now);
	pass_time(w, 100);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), RULE_SLOT(0));
	pair->active = 0;
	pass_time(w, 20);
	assert_int_equal(TCP_AT(w, "10.0.0.1", 443), -1);
}

static void names_are_taken_up_as_they_stand(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	discover(w, 5, "10.0.0.5", 443, POD1);
	discover(w, 6, "2001:db8::6", 80, POD1);
	answer(w, POD1, "a.example", "10.0.0.5 2001:db8::6");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "a.example:443/tcp");
	ebb_naming_free(w->naming);
	assert_int_equal(ebb_naming_new(&w->view, &w->ops, 8, &w->naming), 0);
	put_in_force(w);
	ebb_naming_take_up_names(w->naming, w->now);
	pass_time(w, 5);
	assert_string_equal(name_of(w, 5), "a.example:443/tcp");
	assert_string_equal(name_of(w, 6), "a.example:80/tcp");
	assert_int_equal(ebb_naming_state(w->naming).names, 2);
}

/* -------------------------------------------------------------------- names -- */

static void destinations_are_called_by_their_host(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	discover(w, 5, "10.0.0.1", 443, POD1);
	discover(w, 6, "2001:db8::1", 443, POD1);
	discover(w, 7, "10.0.0.9", 443, POD1);
	answer(w, POD1, "www.example.com", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "www.example.com:443/tcp");
	assert_int_equal(w->view.names[5].flags, EBB_NAME_HOST);
	assert_string_equal(name_of(w, 7), "");
	/* every name is one destination's */
	answer(w, POD1, "www.example.com", "10.0.0.1 2001:db8::1 10.0.0.9");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "www.example.com:443/tcp");
	assert_string_equal(name_of(w, 6), "www.example.com[2001:db8::1]:443/tcp");
	assert_string_equal(name_of(w, 7), "www.example.com[10.0.0.9]:443/tcp");
	/* another owner of the slot has no name */
	w->view.dsts[5].epoch++;
	w->view.dsts[5].endpoint = endpoint("10.0.0.77", 443, IPPROTO_TCP);
	assert_string_equal(name_of(w, 5), "");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "");
}

static void name_does_not_change_while_it_is_true(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	discover(w, 5, "10.0.0.1", 443, POD1);
	answer(w, POD1, "a.example", "10.0.0.1");
	pass_time(w, 1);
	answer(w, POD1, "b.example", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "a.example:443/tcp");
	assert_int_equal(w->view.names[5].flags, EBB_NAME_HOST | EBB_NAME_AMBIGUOUS);
	/* past its time: as long as there is the destination, and no better name */
	answer(w, POD1, "a.example", "10.0.0.2");
	pass_time(w, TTL + 11);
	assert_string_equal(name_of(w, 5), "b.example:443/tcp");
	assert_int_equal(w->view.names[5].flags, EBB_NAME_HOST);
	pass_time(w, 1000);
	assert_string_equal(name_of(w, 5), "b.example:443/tcp");
	w->view.dsts[5].state = EBB_SLOT_FREE;
	pass_time(w, 12);
	assert_int_equal(ebb_naming_state(w->naming).names, 0);
}

/* Ruling 3. */
static void name_that_only_its_workload_believes_is_shown_while_it_is_alone(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	discover(w, 5, "10.0.0.1", 443, POD1);
	answer_from(w, POD2, false, "bank.example", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "");
	answer_from(w, POD1, false, "local.example", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "local.example:443/tcp");
	assert_int_equal(w->view.names[5].flags, EBB_NAME_HOST | EBB_NAME_OWN);
	/* for it alone: another one uses the destination */
	(void)connected(w, 9, 5, POD3);
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "");
	w->view.pairs[9].state = EBB_SLOT_FREE;
	/* and a believed one is better */
	answer(w, POD3, "good.example", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "good.example:443/tcp");
	assert_int_equal(w->view.names[5].flags, EBB_NAME_HOST);
}

/* Its rule is gone for now: what stands there says whose counters these are. */
static void name_of_a_rule_that_left_stays(void **state)
{
	struct world *w = *state;

	put_in_force(w);
	w->view.dsts[7].state = EBB_SLOT_LIVE;
	w->view.kernel->dst_high = 7;
	w->view.names[7].epoch = w->view.dsts[7].epoch;
	(void)snprintf(w->view.names[7].text, sizeof(w->view.names[7].text), "payments");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 7), "payments");
}

/* What is left of an address that a rule's name has is not called by that name. */
static void name_of_a_rule_is_no_name_of_what_is_beside_it(void **state)
{
	struct world *w = *state;

	rule_api(w);
	discover(w, 5, "10.0.0.1", 443, POD2);
	discover(w, 6, "10.0.0.1", 80, POD2);
	answer(w, POD1, "api.example.com", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "");
	assert_string_equal(name_of(w, 6), "api.example.com:80/tcp");
	answer(w, POD2, "cdn.example.net", "10.0.0.1");
	pass_time(w, 1);
	assert_string_equal(name_of(w, 5), "cdn.example.net:443/tcp");
	assert_string_equal(name_of(w, RULE_SLOT(0)), "rule0");
}

static void answers_are_wanted_for_rules_about_hosts_or_names(void **state)
{
	struct ebb_naming_config config = {.grace_ns = GRACE};
	struct world *w = *state;

	assert_false(ebb_naming_wants_answers(w->naming));
	add_rule(w, "10.0.0.0", 8, 443, 0, 0);
	put_in_force(w);
	config.matcher = w->matcher;
	ebb_naming_configure(w->naming, &config, w->now);
	assert_false(ebb_naming_wants_answers(w->naming));
	config.shown = true;
	ebb_naming_configure(w->naming, &config, w->now);
	assert_true(ebb_naming_wants_answers(w->naming));
	rule_api(w);
	config.matcher = w->matcher;
	config.shown = false;
	ebb_naming_configure(w->naming, &config, w->now);
	assert_true(ebb_naming_wants_answers(w->naming));
}

#define naming_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Ruling 1: as with rules about prefixes and ports. */
static void names_of_loopback_claim_nothing_with_one_gate_for_all(void **state)
{
	struct world *w = *state;

	rule_api(w);
	answer(w, POD1, "api.example.com", "127.0.0.5 ::1 169.254.9.9 10.0.0.5");
	assert_int_equal(TCP_AT(w, "127.0.0.5", 443), -1);
	assert_int_equal(TCP_AT(w, "::1", 443), -1);
	assert_int_equal(TCP_AT(w, "169.254.9.9", 443), -1);
	assert_int_equal(TCP_AT(w, "10.0.0.5", 443), RULE_SLOT(0));
	/* beside a name that has a gate for each, each workload means what it looked up */
	add_rule(w, "local.example.com", 0, 443, IPPROTO_TCP, 1);
	w->view.dsts[RULE_SLOT(1)].scope = EBB_SCOPE_WORKLOAD;
	put_in_force(w);
	answer(w, POD2, "local.example.com", "127.0.0.6");
	assert_int_equal(TCP_AT(w, "127.0.0.6", 443), RULE_SLOT(1));
	answer(w, POD2, "local.example.com", "127.0.0.5");
	assert_int_equal(meant_by(w, POD1, "127.0.0.5", 443), -2);
	assert_int_equal(meant_by(w, POD2, "127.0.0.5", 443), RULE_SLOT(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		naming_test(addresses_of_a_named_host_belong_to_its_destination),
		naming_test(rule_without_port_and_protocol_is_for_all_of_them),
		naming_test(the_most_specific_rule_says_whose_a_port_is),
		naming_test(answers_that_are_not_believed_change_nothing),
		naming_test(address_goes_when_its_time_and_grace_are_over),
		naming_test(address_of_a_name_in_use_stays),
		naming_test(name_that_moves_keeps_its_destination),
		naming_test(who_means_another_name_of_the_address_goes_there),
		naming_test(names_of_loopback_claim_nothing_with_one_gate_for_all),
		naming_test(many_workloads_share_an_address_twice),
		naming_test(two_names_of_one_destination_are_not_ambiguous),
		naming_test(of_two_rules_the_first_has_who_did_not_say),
		naming_test(name_without_a_rule_leaves_the_address_to_its_own),
		naming_test(discovered_destination_stays_for_who_means_it_and_comes_back),
		naming_test(slot_with_a_new_owner_does_not_come_back),
		naming_test(open_connections_part_before_their_address_changes_hands),
		naming_test(claim_of_every_port_clears_the_way),
		naming_test(table_without_room_is_tried_again),
		naming_test(new_rules_hold_for_names_that_are_known),
		naming_test(what_an_earlier_agent_left_holds_for_the_grace),
		naming_test(what_is_in_use_after_a_restart_stays),
		naming_test(names_are_taken_up_as_they_stand),
		naming_test(destinations_are_called_by_their_host),
		naming_test(name_does_not_change_while_it_is_true),
		naming_test(name_that_only_its_workload_believes_is_shown_while_it_is_alone),
		naming_test(name_of_a_rule_that_left_stays),
		naming_test(name_of_a_rule_is_no_name_of_what_is_beside_it),
		naming_test(answers_are_wanted_for_rules_about_hosts_or_names),
	};

	return cmocka_run_group_tests_name("naming", tests, NULL, NULL);
}

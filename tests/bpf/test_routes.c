/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a connection belongs: prefixes and ports of rules, names of addresses, and what changes
 * while connections come. Nothing listens at most of the addresses: a refused connection belongs
 * somewhere, too.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "core/routes.h"
#include "kernel/mapping.h"
#include "lib/cleanup.h"
#include "tests/lib/routes.h"

#define RULES_MAX 16

/* Rules by text: "10.1.0.0/16", or "" for all addresses. */
struct text_rule {
	const char *prefix;
	uint16_t port;
	uint8_t proto;
	uint32_t slot; /* of its destination */
};

static struct ebb_mapping *open_mapping(struct fixture *fx)
{
	struct ebb_mapping *mapping = NULL;
	struct ebb_why why = {{0}};

	/* loopback is another network for each workload: no address of a rule with one gate for all */
	shell("ip route replace local 10.0.0.0/8 dev lo");
	if (ebb_mapping_open(fx->pin_dir, fx->view, &mapping, &why) < 0)
		fail_msg("%s", why.text);
	return mapping;
}

static void to_match(const struct text_rule *rule, struct ebb_match *ret_match)
{
	char text[INET6_ADDRSTRLEN];
	unsigned int bits = 0;

	*ret_match = (struct ebb_match){.kind = EBB_MATCH_ANY, .port = rule->port, .proto = rule->proto};
	if (!*rule->prefix)
		return;
	ret_match->kind = EBB_MATCH_PREFIX;
	assert_int_equal(sscanf(rule->prefix, "%45[^/]/%u", text, &bits), 2);
	if (inet_pton(AF_INET6, text, ret_match->addr) != 1) {
		assert_int_equal(inet_pton(AF_INET, text, ret_match->addr + 12), 1);
		memset(ret_match->addr + 10, 0xff, 2);
		bits += 96;
	}
	ret_match->bits = (uint8_t)bits;
}

static struct ebb_ref ref_of(const struct fixture *fx, uint32_t slot)
{
	return (struct ebb_ref){.slot = slot, .epoch = fx->view->dsts[slot].epoch};
}

/* Rules -> table of the core -> table of the kernel, as the agent does it. */
static int replace(struct fixture *fx, struct ebb_mapping *mapping, const struct text_rule *rules,
		   size_t count)
{
	static struct ebb_route_prefix prefixes[64];
	static struct ebb_route_port ports[256];
	struct ebb_route_table table = {.prefixes = prefixes, .ports = ports};
	struct ebb_match matches[RULES_MAX];
	struct ebb_rule list[RULES_MAX];
	struct ebb_why why = {{0}};
	struct ebb_routes *routes;
	int r;

	assert_true(count <= RULES_MAX);
	for (size_t i = 0; i < count; i++) {
		to_match(&rules[i], &matches[i]);
		list[i] = (struct ebb_rule){&matches[i], rules[i].slot};
	}
	assert_int_equal(ebb_routes_flatten(list, count, &routes, &why), 0);
	assert_true(routes->prefix_count <= 64 && routes->port_count <= 256);
	for (size_t i = 0; i < routes->prefix_count; i++) {
		const struct ebb_routes_prefix *from = &routes->prefixes[i];
		struct ebb_route_prefix *to = &prefixes[table.prefix_count++];

		*to = (struct ebb_route_prefix){.key.bits = from->bits, .set = from->set};
		memcpy(to->key.addr, from->addr, 16);
		for (int p = 0; p < 2; p++) {
			if (from->any[p] != EBB_MATCH_NONE)
				to->any[p] = ref_of(fx, from->any[p]);
		}
	}
	for (size_t i = 0; i < routes->port_count; i++) {
		const struct ebb_routes_port *from = &routes->ports[i];

		ports[table.port_count++] = (struct ebb_route_port){
			.set = from->set,
			.port = from->port,
			.proto = from->proto,
			.ref = ref_of(fx, from->destination),
		};
	}
	table.set_count = routes->set_count;
	r = routes_replace(mapping, &table, &why);
	ebb_routes_free(routes);
	return r;
}

/* A destination that a rule names, as the agent makes it. */
static uint32_t name_one(struct fixture *fx, struct ebb_mapping *mapping)
{
	uint32_t slot = 0;

	assert_int_equal(ebb_slots_take(mapping, &slot), 0);
	fx->view->dsts[slot].scope = EBB_SCOPE_NODE;
	fx->view->dsts[slot].state = EBB_SLOT_LIVE;
	fx->view->names[slot] =
		(struct ebb_name){.flags = EBB_NAME_RULE, .epoch = fx->view->dsts[slot].epoch};
	(void)snprintf(fx->view->names[slot].text, sizeof(fx->view->names[slot].text), "named-%u", slot);
	return slot;
}

static uint64_t attempts_at(const struct fixture *fx, uint32_t slot)
{
	uint64_t sum = 0;

	for (uint32_t p = 0; p < fx->view->pair_max; p++) {
		if (fx->view->pairs[p].state == EBB_SLOT_LIVE && fx->view->pairs[p].dst == slot)
			sum += *(volatile __u64 *)&fx->view->pairs[p].attempts;
	}
	return sum;
}

/* Connects once, whatever comes of it; the slot of the destination that it was counted for. */
static uint32_t goes_to(const struct fixture *fx, const struct address *to)
{
	_cleanup_free_ uint64_t *before = calloc(fx->view->dst_max, sizeof(*before));
	int fd = to->udp ? udp_socket(to->sa.sa_family) : tcp_socket(to->sa.sa_family);
	uint32_t found = UINT32_MAX;

	assert_non_null(before);
	for (uint32_t d = 0; d < fx->view->dst_max; d++)
		before[d] = attempts_at(fx, d);
	(void)dial(fd, to);
	for (uint32_t d = 0; d < fx->view->dst_max; d++) {
		uint64_t grown = attempts_at(fx, d) - before[d];

		if (!grown)
			continue;
		assert_int_equal(grown, 1);
		assert_int_equal(found, UINT32_MAX);
		found = d;
	}
	hang_up(&fd);
	return found;
}

/* What a processor remembers is its own: so that a test sees one of them. */
static void stay_on_this_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static struct ebb_endpoint key_of(const struct address *to, bool with_port)
{
	struct ebb_endpoint key = {.proto = to->udp ? IPPROTO_UDP : IPPROTO_TCP};

	memset(key.addr + 10, 0xff, 2);
	memcpy(key.addr + 12, &to->v4.sin_addr, 4);
	key.port = with_port ? to->v4.sin_port : 0;
	return key;
}

static size_t entries_of(struct fixture *fx, const char *name)
{
	char path[FIXTURE_PATH_MAX + 32];
	_cleanup_close_ int fd = -1;
	struct ebb_port_key key, next;
	const void *previous = NULL;
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", fx->pin_dir, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (; bpf_map_get_next_key(fd, previous, &next) == 0; count++) {
		key = next;
		previous = &key;
	}
	return count;
}

/* ------------------------------------------------------------------- rules -- */

static void first_connection_to_a_claimed_address_is_governed(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t v4 = name_one(fx, mapping), v6 = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 0, 0, v4}, {"2001:db8::/32", 0, 0, v6}};
	struct ebb_policy policy = policy_default();
	struct address to4, to6;
	int fd;

	policy.mode = EBB_MODE_ENFORCE;
	shell("ip addr add 2001:db8::1/64 dev lo nodad");
	(void)listen_at("10.1.0.1", &to4);
	(void)listen_at("2001:db8::1", &to6);
	fx->view->policies[v4] = fx->view->policies[v6] = policy;
	fx->view->policies[v6].override_state = EBB_OVERRIDE_OPEN;
	fx->view->verdicts[v4].word = ebb_word(1, EBB_STATE_OPEN, now_ticks() + 100000);
	assert_int_equal(replace(fx, mapping, rules, 2), 0);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to4), -ECONNREFUSED);
	hang_up(&fd);
	fd = tcp_socket(AF_INET6);
	assert_int_equal(dial(fd, &to6), -ECONNREFUSED);
	hang_up(&fd);
	/* only pairs were made: one each */
	for (uint32_t p = 1; p <= 2; p++) {
		uint32_t dst = p == 1 ? v4 : v6;
		uint32_t cause = p == 1 ? EBB_CAUSE_BREAKER : EBB_CAUSE_OVERRIDE;

		assert_int_equal(fx->view->pairs[p].dst, dst);
		assert_int_equal(fx->view->pairs[p].workload, fx->cgroup_id);
		assert_int_equal(fx->view->pairs[p].gate, dst);
		assert_int_equal(fx->view->pairs[p].denied[cause], 1);
		assert_int_equal(fx->view->pairs[p].attempts, 0);
	}
	assert_int_equal(fx->view->kernel->pair_high, 2);
	assert_int_equal(entries_of(fx, "ebb_endpoint_v2"), 0);
	ebb_mapping_free(mapping);
}

static void longest_prefix_port_and_protocol_decide(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t d[8];
	const struct {
		const char *to;
		uint16_t port;
		bool udp;
		int want; /* of d; -1: a slot of its own */
	} cases[] = {
		{"10.1.1.9", 80, false, 1},
		{"10.1.1.9", 81, false, 2},
		{"10.1.1.9", 443, false, 1}, /* what a longer prefix says of all ports hides a shorter one */
		{"10.1.1.9", 80, true, 5},
		{"10.1.1.9", 81, true, 5},
		{"10.1.2.9", 81, false, 1},
		{"10.2.0.9", 80, false, 0},
		{"10.2.0.9", 80, true, 0},
		{"10.2.0.9", 443, false, 4}, /* a port of no address, below the prefixes */
		{"10.2.0.9", 444, false, -1},
		{"10.3.0.9", 444, false, 6},
		{"10.3.0.10", 444, false, -1},
		{"2001:db8:3::9", 80, false, 3}, /* ::/0 is for IPv6, 0.0.0.0/0 for IPv4 */
		{"2001:db8:3::9", 443, false, 4},
		{"2001:db8:3::9", 445, false, -1},
		{"2001:db8:1::9", 80, false, 7},
		{"2001:db8:2::9", 80, false, 3},
		{"::ffff:10.1.1.9", 81, false, 2}, /* of an AF_INET6 socket */
	};

	for (int i = 0; i < 8; i++)
		d[i] = name_one(fx, mapping);
	shell("ip addr add 2001:db8:1::9/128 dev lo nodad");
	shell("ip addr add 2001:db8:2::9/128 dev lo nodad");
	shell("ip addr add 2001:db8:3::9/128 dev lo nodad");
	{
		const struct text_rule rules[] = {
			{"0.0.0.0/0", 80, 0, d[0]},
			{"10.1.0.0/16", 0, 0, d[1]},
			{"10.1.1.0/24", 81, 0, d[2]},
			{"10.1.1.0/24", 0, IPPROTO_UDP, d[5]},
			{"10.1.1.0/24", 81, IPPROTO_UDP, d[5]},
			{"::/0", 80, 0, d[3]},
			{"", 443, 0, d[4]},
			{"10.3.0.9/32", 444, 0, d[6]},
			{"2001:db8:1::/48", 80, 0, d[7]},
		};

		assert_int_equal(replace(fx, mapping, rules, sizeof(rules) / sizeof(rules[0])), 0);
	}
	/* twice: looked up, then remembered */
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct address to = cases[i].udp ? udp_address(cases[i].to, cases[i].port)
							 : address(cases[i].to, cases[i].port);
			uint32_t found = goes_to(fx, &to);

			if (cases[i].want >= 0 && found != d[cases[i].want])
				fail_msg("%s port %u goes to slot %u, not to %u", cases[i].to, cases[i].port,
					 found, d[cases[i].want]);
			if (cases[i].want < 0)
				assert_int_equal(found, dst_slot_of(fx, &to));
		}
	}
	ebb_mapping_free(mapping);
}

/* A resolver connects to probe an address, and sends nothing. */
/* Ruling 1: one pod's sidecar is not another's, although a rule is about their port. */
static void loopback_is_claimed_by_no_rule_with_one_gate_for_all(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t shared = name_one(fx, mapping), own = name_one(fx, mapping);
	const struct text_rule rules[] = {{"", 5432, 0, shared},
					  {"0.0.0.0/0", 5433, 0, shared},
					  {"", 6379, 0, own}};
	static const char *const local[] = {"127.0.0.1", "169.254.1.1", "::1", "fe80::1", "::ffff:127.0.0.9"};
	struct address far = address("10.1.0.1", 5432);

	fx->view->dsts[own].scope = EBB_SCOPE_WORKLOAD;
	assert_int_equal(replace(fx, mapping, rules, 3), 0);
	assert_int_equal(goes_to(fx, &far), shared);
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		struct address to = address(local[i], 5432), each = address(local[i], 6379);
		uint32_t met = goes_to(fx, &to);

		assert_int_equal(met, dst_slot_of(fx, &to));
		assert_int_equal(dst_of(fx, &to)->scope, EBB_SCOPE_WORKLOAD);
		assert_int_equal(goes_to(fx, &each), own);
	}
	ebb_mapping_free(mapping);
}

static void udp_connect_is_counted_where_a_rule_claims_it(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t dns = name_one(fx, mapping);
	const struct text_rule rules[] = {{"", 53, IPPROTO_UDP, dns}};
	struct address claimed = udp_address("10.0.0.9", 53), other = udp_address("10.0.0.9", 54);

	assert_int_equal(replace(fx, mapping, rules, 1), 0);
	assert_int_equal(goes_to(fx, &claimed), dns);
	assert_int_equal(goes_to(fx, &other), UINT32_MAX);
	ebb_mapping_free(mapping);
}

static void rules_that_go_leave_the_address_to_itself(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t one = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 80, 0, one}, {"10.1.0.0/16", 81, 0, one}};
	struct address to = address("10.1.0.1", 80);

	assert_int_equal(replace(fx, mapping, rules, 2), 0);
	assert_int_equal(goes_to(fx, &to), one);
	assert_int_equal(entries_of(fx, "ebb_port_v2"), 4);
	assert_int_equal(replace(fx, mapping, NULL, 0), 0);
	assert_int_equal(entries_of(fx, "ebb_port_v2"), 0);
	assert_int_not_equal(goes_to(fx, &to), one);
	assert_int_equal(goes_to(fx, &to), dst_slot_of(fx, &to));
	ebb_mapping_free(mapping);
}

/* -------------------------------------------------------------------- swap -- */

static void old_ports_and_what_a_killed_agent_left_go(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t one = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 80, 0, one}, {"10.2.0.0/16", 81, 0, one}};
	struct ebb_port_key stray = {.prefix = 7, .port = 1, .proto = IPPROTO_TCP};
	struct ebb_ref ref = ref_of(fx, one);
	char path[FIXTURE_PATH_MAX + 32];
	_cleanup_close_ int fd = -1;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(replace(fx, mapping, rules, 2), 0);
		assert_int_equal(entries_of(fx, "ebb_port_v2"), 4);
	}
	ebb_mapping_free(mapping);
	(void)snprintf(path, sizeof(path), "%s/ebb_port_v2", fx->pin_dir);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	/* an id that the next agent would take, if it did not look */
	for (stray.prefix = 1; stray.prefix < 1000; stray.prefix++)
		(void)bpf_map_update_elem(fd, &stray, &ref, BPF_ANY);
	mapping = open_mapping(fx);
	assert_int_equal(replace(fx, mapping, rules, 2), 0);
	assert_int_equal(entries_of(fx, "ebb_port_v2"), 4);
	ebb_mapping_free(mapping);
}

static void table_that_does_not_fit_leaves_the_old_one(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t one = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 80, 0, one}};
	struct ebb_route_port *ports = calloc(EBB_PORTS_MAX + 1, sizeof(*ports));
	struct ebb_route_prefix twice[2] = {{.set = 0}, {.set = 0}};
	struct ebb_route_table table = {.ports = ports,
					.port_count = EBB_PORTS_MAX + 1,
					.set_count = 2,
					.prefixes = twice};
	struct address to = address("10.1.0.1", 80);
	struct ebb_why why = {{0}};
	uint64_t before;

	assert_non_null(ports);
	assert_int_equal(replace(fx, mapping, rules, 1), 0);
	before = fx->view->agent->mapping;
	for (uint32_t i = 0; i <= EBB_PORTS_MAX; i++)
		ports[i] = (struct ebb_route_port){.set = i & 1,
						   .port = (uint16_t)(i / 2),
						   .proto = IPPROTO_TCP,
						   .ref = ref_of(fx, one)};
	assert_int_equal(routes_replace(mapping, &table, &why), -E2BIG);
	assert_non_null(strstr(why.text, "40961"));
	/* and one that is refused on the way: the same prefix twice */
	table.port_count = 1000;
	table.prefix_count = 2;
	assert_int_equal(routes_replace(mapping, &table, &why), -EEXIST);
	assert_int_equal(entries_of(fx, "ebb_port_v2"), 2);
	assert_int_equal(fx->view->agent->mapping, before);
	assert_int_equal(goes_to(fx, &to), one);
	free(ports);
	ebb_mapping_free(mapping);
}

#define DIALERS 4
#define SWAPS	60

/* Each has a port, and with each table a destination, for itself: so it knows where it went. */
struct dialer {
	const struct fixture *fx;
	struct address to;
	uint32_t by_table[2];
	uint64_t dialled, strict, wrong;
	pthread_t thread;
};

static struct {
	uint64_t swaps; /* odd while one is under way */
	bool stop;
} swapping;

static void *dial_and_look(void *argument)
{
	struct dialer *dialer = argument;

	while (!__atomic_load_n(&swapping.stop, __ATOMIC_ACQUIRE)) {
		uint64_t before[2], grown[2], swaps = __atomic_load_n(&swapping.swaps, __ATOMIC_SEQ_CST);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		for (int t = 0; t < 2; t++)
			before[t] = attempts_at(dialer->fx, dialer->by_table[t]);
		(void)connect(fd, &dialer->to.sa, dialer->to.length);
		for (int t = 0; t < 2; t++)
			grown[t] = attempts_at(dialer->fx, dialer->by_table[t]) - before[t];
		(void)close(fd);
		dialer->dialled++;
		if (grown[0] + grown[1] != 1)
			dialer->wrong++;
		if (swaps % 2 || __atomic_load_n(&swapping.swaps, __ATOMIC_SEQ_CST) != swaps)
			continue;
		/* it began after one returned, and ended before the next began */
		dialer->strict++;
		if (grown[(swaps / 2) % 2] != 1)
			dialer->wrong++;
	}
	return NULL;
}

static void swap_under_connections_loses_none_and_is_whole(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	struct text_rule rules[2][DIALERS + 1];
	static struct dialer dialers[DIALERS]; /* they outlive a test that fails */
	static const char *const at[DIALERS] = {"10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1"};
	static const char *const under[DIALERS] = {"", "10.2.0.0/16", "", "10.4.0.1/32"};
	uint64_t strict = 0, dialled = 0;
	uint32_t high;

	fx->errors_allowed = 1U << EBB_ERR_EVENT_LOST; /* nobody reads them */

	for (uint16_t i = 0; i < DIALERS; i++) {
		dialers[i].fx = fx;
		dialers[i].to = address(at[i], (uint16_t)(1000 + i));
		for (int t = 0; t < 2; t++) {
			dialers[i].by_table[t] = name_one(fx, mapping);
			rules[t][i] = (struct text_rule){under[i], i == 3 ? 0 : (uint16_t)(1000 + i), 0,
							 dialers[i].by_table[t]};
		}
	}
	high = fx->view->kernel->dst_high;
	swapping.swaps = 0;
	swapping.stop = false;
	assert_int_equal(replace(fx, mapping, rules[0], DIALERS), 0);
	for (int i = 0; i < DIALERS; i++)
		assert_int_equal(pthread_create(&dialers[i].thread, NULL, dial_and_look, &dialers[i]), 0);
	for (int i = 1; i <= SWAPS; i++) {
		uint64_t before = dialers[i % DIALERS].dialled;

		wait_for(*(volatile uint64_t *)&dialers[i % DIALERS].dialled > before + 5);
		__atomic_fetch_add(&swapping.swaps, 1, __ATOMIC_SEQ_CST);
		assert_int_equal(replace(fx, mapping, rules[i % 2], DIALERS), 0);
		__atomic_fetch_add(&swapping.swaps, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&swapping.stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < DIALERS; i++) {
		assert_int_equal(pthread_join(dialers[i].thread, NULL), 0);
		assert_int_equal(dialers[i].wrong, 0);
		strict += dialers[i].strict;
		dialled += dialers[i].dialled;
	}
	assert_true(strict > SWAPS && dialled > strict);
	/* nothing was discovered, nothing went astray */
	assert_int_equal(fx->view->kernel->dst_high, high);
	assert_int_equal(entries_of(fx, "ebb_endpoint_v2"), 0);
	ebb_mapping_free(mapping);
}

/* ----------------------------------------------------------------- guesses -- */

static void what_is_remembered_holds_until_the_mapping_changes(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t named = name_one(fx, mapping), own;
	struct address to = address("10.1.0.1", 80);
	struct ebb_endpoint key = key_of(&to, true);
	struct ebb_ref ref = ref_of(fx, named), found;

	stay_on_this_processor();
	own = goes_to(fx, &to);
	assert_int_equal(own, dst_slot_of(fx, &to));
	assert_int_equal(ebb_endpoints_get(mapping, &key, &found), 0);
	assert_int_equal(found.slot, own);
	assert_int_equal(ebb_endpoints_put(mapping, &key, &ref), 0);
	/* which shows that it is remembered at all */
	assert_int_equal(goes_to(fx, &to), own);
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), named);
	assert_int_equal(ebb_endpoints_remove(mapping, &key), 0);
	assert_int_equal(ebb_endpoints_remove(mapping, &key), -ENOENT);
	assert_int_equal(ebb_endpoints_get(mapping, &key, &found), -ENOENT);
	assert_int_equal(goes_to(fx, &to), named);
	/* a slot that is taken back is not remembered, whatever the mapping says */
	fx->view->dsts[named].state = EBB_SLOT_RETIRING;
	assert_int_not_equal(goes_to(fx, &to), named);
	fx->view->dsts[named].state = EBB_SLOT_LIVE;
	ebb_mapping_free(mapping);
}

/* As bpf/route.h: which entry a key has. */
static uint32_t guess_index(const struct ebb_endpoint *endpoint, uint64_t workload)
{
	uint32_t words[5];
	uint64_t mix;

	memcpy(words, endpoint, sizeof(words));
	mix = (uint64_t)words[3] << 32 | words[4];
	mix += (words[0] ^ words[1]) + ((uint64_t)words[2] << 16) + workload * 0x9e3779b97f4a7c15ULL;
	return (uint32_t)((mix * 0xff51afd7ed558ccdULL) >> (64 - 10));
}

struct collider {
	struct address to;
	uint64_t dialled;
	pthread_t thread;
};

static void *dial_for_a_while(void *argument)
{
	struct collider *collider = argument;
	uint64_t end = net_now_ns() + 1000000000ULL;

	while (net_now_ns() < end) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)connect(fd, &collider->to.sa, collider->to.length);
		(void)close(fd);
		collider->dialled++;
	}
	return NULL;
}

/* Four of one processor that overwrite each other's entry with every connection. */
static void keys_with_one_entry_are_never_mixed_up(void **state)
{
	struct fixture *fx = *state;
	static struct collider colliders[4];
	uint32_t wanted = 0;
	int count = 0;

	fx->errors_allowed = 1U << EBB_ERR_EVENT_LOST;
	stay_on_this_processor();
	for (uint16_t port = 1; count < 4; port++) {
		struct address to = address("127.1.0.1", port);
		struct ebb_endpoint key = key_of(&to, true);
		uint32_t index = guess_index(&key, fx->cgroup_id);

		assert_true(port < 60000);
		if (count && index != wanted)
			continue;
		wanted = index;
		colliders[count++].to = to;
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&colliders[i].thread, NULL, dial_for_a_while, &colliders[i]),
				 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(colliders[i].thread, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_true(colliders[i].dialled > 100);
		expect_pair(fx, &colliders[i].to, .attempts = colliders[i].dialled,
			    .syn_sent = colliders[i].dialled, .refused = colliders[i].dialled);
	}
}

/* ------------------------------------------------------------------- names -- */

static void address_named_for_all_its_ports(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t all = name_one(fx, mapping), one = name_one(fx, mapping), route = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 0, 0, route}};
	struct address to = address("10.1.0.1", 80), other = address("10.1.0.1", 81);
	struct address neighbour = address("10.1.0.2", 80), udp = udp_address("10.1.0.1", 80);
	struct ebb_endpoint any = key_of(&to, false), exact = key_of(&other, true);
	struct ebb_ref ref_all = ref_of(fx, all), ref_one = ref_of(fx, one);

	assert_int_equal(ebb_endpoints_put(mapping, &any, &ref_all), 0);
	assert_int_equal(ebb_endpoints_put(mapping, &exact, &ref_one), 0);
	assert_int_equal(replace(fx, mapping, rules, 1), 0);
	/* not asked while nobody says that there are such ones */
	assert_int_equal(goes_to(fx, &to), route);
	fx->view->agent->any_port = 1;
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), all);    /* a name before a route */
	assert_int_equal(goes_to(fx, &other), one); /* a port before all ports */
	assert_int_equal(goes_to(fx, &neighbour), route);
	assert_int_equal(goes_to(fx, &udp), route); /* a name for TCP */
	ebb_mapping_free(mapping);
}

/* A program may connect to port 0, and must not name all ports of the address by that. */
static void port_0_that_is_met_stands_for_no_other(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t all = name_one(fx, mapping), route = name_one(fx, mapping);
	const struct text_rule rules[] = {{"10.1.0.0/16", 443, 0, route}};
	struct address zero = address("10.1.0.1", 0), named = address("10.1.0.1", 443);
	struct address to = address("10.1.0.1", 80), claimed = address("10.1.0.2", 0);
	struct ebb_endpoint any = key_of(&claimed, false);
	struct ebb_ref ref = ref_of(fx, all);
	uint32_t met;

	assert_int_equal(replace(fx, mapping, rules, 1), 0);
	fx->view->agent->any_port = 1;
	assert_int_equal(ebb_endpoints_put(mapping, &any, &ref), 0);
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &zero), EBB_SLOT_OTHER);
	assert_int_equal(goes_to(fx, &named), route);
	met = goes_to(fx, &to);
	assert_int_equal(met, dst_slot_of(fx, &to));
	/* where the agent has said it, port 0 is one of all */
	assert_int_equal(goes_to(fx, &claimed), all);
	ebb_mapping_free(mapping);
}

static int dial_in_another_cgroup(void *argument)
{
	const struct address *to = argument;
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)connect(fd, &to->sa, to->length);
	return fd < 0;
}

struct elsewhere {
	char procs[FIXTURE_PATH_MAX + 64];
	struct address to;
};

static int move_and_dial(void *argument)
{
	struct elsewhere *elsewhere = argument;
	char pid[32];

	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	write_file(elsewhere->procs, pid);
	return dial_in_another_cgroup(&elsewhere->to);
}

static void address_with_two_names_goes_by_what_the_workload_looked_up(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t first = name_one(fx, mapping), second = name_one(fx, mapping), apart;
	struct address to = address("10.1.0.1", 80), other = address("10.1.0.1", 81);
	struct ebb_lookup_key exact = {.workload = fx->cgroup_id, .endpoint = key_of(&to, true)};
	struct ebb_lookup_key any = {.workload = fx->cgroup_id, .endpoint = key_of(&to, false)};
	struct ebb_lookup_key shared = {.endpoint = key_of(&to, true)};
	struct ebb_endpoint key = key_of(&to, true);
	struct ebb_ref by_address = ref_of(fx, first), by_name = ref_of(fx, second), found;
	struct ebb_ref discover = {.slot = EBB_SLOT_DISCOVER};
	struct elsewhere elsewhere = {.to = to};
	char cgroup[FIXTURE_PATH_MAX + 32];
	struct stat st;

	assert_int_equal(ebb_endpoints_put(mapping, &key, &by_address), 0);
	assert_int_equal(ebb_lookups_put(mapping, &any, &by_name), 0);
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), first);
	fx->view->agent->ambiguous = 1;
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), second);
	assert_int_equal(goes_to(fx, &other), second);
	assert_int_equal(ebb_lookups_put(mapping, &exact, &by_address), 0);
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), first);
	assert_int_equal(goes_to(fx, &other), second);

	/* a name that no rule claims: beside, and found again */
	assert_int_equal(ebb_lookups_put(mapping, &exact, &discover), 0);
	ebb_mapping_changed(mapping);
	apart = goes_to(fx, &to);
	assert_int_not_equal(apart, first);
	assert_int_not_equal(apart, second);
	assert_int_equal(fx->view->dsts[apart].apart, 1);
	assert_int_equal(fx->view->dsts[apart].finder, fx->cgroup_id);
	assert_int_equal(dst_slot_of(fx, &to), apart);
	ebb_mapping_changed(mapping);
	assert_int_equal(goes_to(fx, &to), apart);
	assert_int_equal(ebb_lookups_get(mapping, &shared, &found), 0);
	assert_int_equal(found.slot, apart);
	assert_int_equal(ebb_endpoints_get(mapping, &key, &found), 0);
	assert_int_equal(found.slot, first);

	/* another workload goes by the address, and beside when it says so: to the same slot */
	(void)snprintf(cgroup, sizeof(cgroup), "%s/other", fx->cgroup);
	assert_int_equal(mkdir(cgroup, 0755), 0);
	assert_int_equal(stat(cgroup, &st), 0);
	(void)snprintf(elsewhere.procs, sizeof(elsewhere.procs), "%s/cgroup.procs", cgroup);
	for (int turn = 0; turn < 2; turn++) {
		uint32_t want = turn ? apart : first;
		uint64_t before = attempts_at(fx, want);

		exact.workload = st.st_ino;
		if (turn)
			assert_int_equal(ebb_lookups_put(mapping, &exact, &discover), 0);
		ebb_mapping_changed(mapping);
		assert_int_equal(reap(spawn(move_and_dial, &elsewhere)), 0);
		assert_int_equal(attempts_at(fx, want), before + 1);
	}
	assert_int_equal(rmdir(cgroup), 0);
	ebb_mapping_free(mapping);
}

/* At close the address says something else; what was decided at connect stands. */
static void connection_by_an_address_with_two_names_ends_where_it_began(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t first = name_one(fx, mapping), second = name_one(fx, mapping);
	struct ebb_ref refs[2] = {ref_of(fx, first), ref_of(fx, second)};
	struct ebb_lookup_key lookup = {.workload = fx->cgroup_id};
	struct ebb_pair *pair;
	struct address to;
	int fd;

	(void)listen_at("10.1.0.1", &to);
	lookup.endpoint = key_of(&to, true);
	fx->view->agent->ambiguous = 1;
	/* by what it looked up; then by the address alone, where the policy says that it will change */
	for (int turn = 0; turn < 2; turn++) {
		if (turn == 0) {
			assert_int_equal(ebb_lookups_put(mapping, &lookup, &refs[0]), 0);
		} else {
			assert_int_equal(ebb_lookups_remove(mapping, &lookup), 0);
			assert_int_equal(ebb_endpoints_put(mapping, &lookup.endpoint, &refs[0]), 0);
			fx->view->policies[first].asks |= EBB_ASK_MEMORY;
		}
		ebb_mapping_changed(mapping);
		/* the second time by what the processor remembers */
		for (int i = 0; i < 2; i++) {
			fd = tcp_socket(AF_INET);
			assert_int_equal(dial(fd, &to), 0);
			pair = &fx->view->pairs[1];
			assert_int_equal(pair->dst, first);
			wait_for(*(volatile __u64 *)&pair->active == 1);
			if (i == 0) {
				hang_up_hard(&fd);
				wait_for(*(volatile __u64 *)&pair->active == 0);
			}
		}
		if (turn == 0)
			assert_int_equal(ebb_lookups_put(mapping, &lookup, &refs[1]), 0);
		else
			assert_int_equal(ebb_endpoints_put(mapping, &lookup.endpoint, &refs[1]), 0);
		ebb_mapping_changed(mapping);
		assert_int_equal(goes_to(fx, &to), second);
		hang_up_hard(&fd);
		wait_for(*(volatile __u64 *)&pair->active == 0);
	}
	assert_int_equal(error_count(fx, EBB_ERR_GAUGE_UNDERFLOW), 0);
	ebb_mapping_free(mapping);
}

/* ------------------------------------------------------------------ walks -- */

static struct fixture_options many_endpoints = {.endpoints = 8192};

struct walk {
	struct ebb_mapping *mapping;
	uint32_t seen[5000];
	uint32_t count;
	bool removes;
};

static int visit(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	struct walk *walk = userdata;

	assert_in_range(ref->slot, 0, 4999);
	assert_int_equal(ntohs(key->port), ref->slot);
	walk->seen[ref->slot]++;
	walk->count++;
	return walk->removes && ref->slot % 2 ? ebb_endpoints_remove(walk->mapping, key) : 0;
}

static int stop_at_ten(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	(void)key;
	(void)ref;
	return ++*(uint32_t *)userdata == 10 ? -ECANCELED : 0;
}

static void walk_sees_every_entry_once_also_while_it_removes(void **state)
{
	static struct walk walk;
	struct fixture *fx = *state;
	struct ebb_endpoint key = {.proto = IPPROTO_TCP};
	uint32_t stopped = 0;

	walk = (struct walk){.mapping = open_mapping(fx)};
	assert_int_equal(ebb_endpoints_each(walk.mapping, visit, &walk), 0);
	assert_int_equal(walk.count, 0);
	for (uint32_t i = 0; i < 5000; i++) {
		struct ebb_ref ref = {.slot = i};

		key.port = htons((uint16_t)i);
		assert_int_equal(ebb_endpoints_put(walk.mapping, &key, &ref), 0);
	}
	for (int turn = 0; turn < 2; turn++) {
		memset(walk.seen, 0, sizeof(walk.seen));
		walk.removes = turn == 0;
		assert_int_equal(ebb_endpoints_each(walk.mapping, visit, &walk), 0);
		for (uint32_t i = 0; i < 5000; i++)
			assert_int_equal(walk.seen[i], turn == 0 || i % 2 == 0);
	}
	assert_int_equal(ebb_endpoints_each(walk.mapping, stop_at_ten, &stopped), -ECANCELED);
	assert_int_equal(stopped, 10);
	ebb_mapping_free(walk.mapping);
}

static int count_workload(void *userdata, uint64_t workload, const struct ebb_workload *value)
{
	assert_int_equal(workload, 1ULL << 40);
	assert_int_equal(value->class, EBB_CLASS_OBSERVED);
	++*(uint32_t *)userdata;
	return 0;
}

static int count_own(void *userdata, uint32_t pair, const struct ebb_own *own)
{
	assert_int_equal(pair, 3);
	assert_int_equal(own->pair_epoch, 9);
	++*(uint32_t *)userdata;
	return 0;
}

static void other_tables_keep_what_is_put(void **state)
{
	struct ebb_mapping *mapping = open_mapping(*state);
	struct ebb_workload class = {.class = EBB_CLASS_OBSERVED};
	struct ebb_own own = {.pair_epoch = 9};
	uint64_t workload = 1ULL << 40, value = 77;
	uint32_t count = 0;

	assert_int_equal(ebb_workloads_get(mapping, workload, &class), -ENOENT);
	assert_int_equal(ebb_workloads_put(mapping, workload, &class), 0);
	assert_int_equal(ebb_workloads_get(mapping, workload, &class), 0);
	assert_int_equal(ebb_workloads_each(mapping, count_workload, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(ebb_workloads_remove(mapping, workload), 0);
	assert_int_equal(ebb_owns_put(mapping, 3, &own), 0);
	assert_int_equal(ebb_owns_each(mapping, count_own, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(ebb_owns_get(mapping, 3, &own), 0);
	assert_int_equal(ebb_owns_remove(mapping, 3), 0);
	assert_int_equal(ebb_owns_get(mapping, 3, &own), -ENOENT);
	assert_int_equal(ebb_losts_get(mapping, workload, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(ebb_losts_put(mapping, workload, 5), 0);
	assert_int_equal(ebb_losts_get(mapping, workload, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(ebb_losts_remove(mapping, workload), 0);
	assert_int_equal(ebb_founds_get(mapping, workload, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(ebb_founds_remove(mapping, workload), -ENOENT);
	ebb_mapping_free(mapping);
}

static void nothing_pinned_is_said(void **state)
{
	struct ebb_mapping *mapping = NULL;
	struct ebb_why why = {{0}};

	(void)state;
	assert_int_equal(ebb_mapping_open("/sys/fs/bpf/ebb-is-not-there", NULL, &mapping, &why), -ENOENT);
	assert_non_null(strstr(why.text, "nothing is pinned in '/sys/fs/bpf/ebb-is-not-there'"));
	assert_null(mapping);
}

/* ------------------------------------------------------------------- slots -- */

static struct fixture_options few_destinations = {.destinations = 4};

/* One that a rule names, one beside it, one whose address was given away: none is in endpoints. */
static void live_slots_outside_of_the_table_are_not_given_away(void **state)
{
	struct fixture *fx = *state;
	struct ebb_mapping *mapping = open_mapping(fx);
	uint32_t named = name_one(fx, mapping), apart, moved;
	struct address to = address("10.1.0.1", 80), discovered = address("10.2.0.1", 80);
	struct ebb_lookup_key lookup = {.workload = fx->cgroup_id, .endpoint = key_of(&to, false)};
	struct ebb_endpoint key = key_of(&to, true), moved_key = key_of(&discovered, true);
	struct ebb_ref ref = ref_of(fx, named), discover = {.slot = EBB_SLOT_DISCOVER};
	uint32_t taken;

	fx->errors_allowed = 1U << EBB_ERR_DST_TABLE_FULL;
	moved = goes_to(fx, &discovered);
	assert_int_equal(ebb_endpoints_put(mapping, &moved_key, &ref), 0);
	assert_int_equal(ebb_endpoints_put(mapping, &key, &ref), 0);
	assert_int_equal(ebb_lookups_put(mapping, &lookup, &discover), 0);
	fx->view->agent->ambiguous = 1;
	ebb_mapping_changed(mapping);
	apart = goes_to(fx, &to);
	assert_int_equal(fx->view->dsts[apart].apart, 1);
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_int_equal(ebb_slots_take(mapping, &taken), 0);
	assert_true(taken != named && taken != apart && taken != moved && taken != 0);
	assert_int_equal(ebb_slots_take(mapping, &ref.slot), -ENOENT);
	assert_int_equal(ebb_slots_give_back(mapping, taken), 0);
	assert_int_equal(ebb_slots_take(mapping, &taken), 0);
	assert_int_equal(fx->view->kernel->dst_high, 4);
	/* taken, and not live when the agent died: free again */
	assert_int_equal(ebb_loader_fill_queues(fx->loader, NULL), 0);
	assert_int_equal(ebb_slots_take(mapping, &ref.slot), 0);
	assert_int_equal(ref.slot, taken);
	ebb_mapping_free(mapping);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(first_connection_to_a_claimed_address_is_governed),
		bpf_test(longest_prefix_port_and_protocol_decide),
		bpf_test(loopback_is_claimed_by_no_rule_with_one_gate_for_all),
		bpf_test(udp_connect_is_counted_where_a_rule_claims_it),
		bpf_test(rules_that_go_leave_the_address_to_itself),
		bpf_test(old_ports_and_what_a_killed_agent_left_go),
		bpf_test(table_that_does_not_fit_leaves_the_old_one),
		bpf_test(swap_under_connections_loses_none_and_is_whole),
		bpf_test(what_is_remembered_holds_until_the_mapping_changes),
		bpf_test(keys_with_one_entry_are_never_mixed_up),
		bpf_test(address_named_for_all_its_ports),
		bpf_test(port_0_that_is_met_stands_for_no_other),
		bpf_test(address_with_two_names_goes_by_what_the_workload_looked_up),
		bpf_test(connection_by_an_address_with_two_names_ends_where_it_began),
		bpf_test(other_tables_keep_what_is_put),
		bpf_test(nothing_pinned_is_said),
		bpf_test_with(walk_sees_every_entry_once_also_while_it_removes, &many_endpoints),
		bpf_test_with(live_slots_outside_of_the_table_are_not_given_away, &few_destinations),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

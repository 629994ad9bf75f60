/* SPDX-License-Identifier: Apache-2.0 */
/* user/core/routes.c: a look-up of the flattened table, as the kernel makes it, finds what ebb_match_address() finds. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "core/routes.h"
#include "random_rules.h"

#define SETS  6000
#define TRIES 100

static bool is_in(const struct ebb_routes_prefix *prefix, const uint8_t addr[16])
{
	for (unsigned int bit = 0; bit < prefix->bits; bit++) {
		if ((prefix->addr[bit / 8] ^ addr[bit / 8]) & (1U << (7 - bit % 8)))
			return false;
	}
	return true;
}

/* As bpf/route.h: the longest prefix, its port, or else what holds for all. */
static uint32_t look_up(const struct ebb_routes *routes, const uint8_t addr[16], uint16_t port, uint8_t proto)
{
	const struct ebb_routes_prefix *longest = NULL;

	for (size_t i = 0; i < routes->prefix_count; i++) {
		const struct ebb_routes_prefix *prefix = &routes->prefixes[i];

		if (is_in(prefix, addr) && (!longest || prefix->bits > longest->bits))
			longest = prefix;
	}
	if (!longest)
		return EBB_MATCH_NONE;
	for (size_t i = 0; i < routes->port_count; i++) {
		const struct ebb_routes_port *p = &routes->ports[i];

		if (p->set == longest->set && p->port == port && p->proto == proto)
			return p->destination;
	}
	return longest->any[proto == IPPROTO_UDP];
}

/* What the header promises of the table itself. */
static void assert_well_made(const struct ebb_routes *routes)
{
	for (size_t i = 0; i < routes->prefix_count; i++) {
		const struct ebb_routes_prefix *prefix = &routes->prefixes[i];

		assert_true(prefix->set == EBB_ROUTES_NO_SET || prefix->set < routes->set_count);
		assert_in_range(prefix->bits, 0, 128);
		for (unsigned int bit = prefix->bits; bit < 128; bit++)
			assert_false(prefix->addr[bit / 8] & (1U << (7 - bit % 8)));
		for (size_t j = 0; j < i; j++)
			assert_true(routes->prefixes[j].bits != prefix->bits ||
				    memcmp(routes->prefixes[j].addr, prefix->addr, 16) != 0);
	}
	for (size_t i = 0; i < routes->port_count; i++) {
		const struct ebb_routes_port *p = &routes->ports[i], *before = p - 1;

		assert_true(p->set < routes->set_count && p->port != 0);
		assert_true(p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP);
		assert_int_not_equal(p->destination, EBB_MATCH_NONE);
		if (i)
			assert_true(p->set > before->set ||
				    (p->set == before->set &&
				     (p->port > before->port ||
				      (p->port == before->port && p->proto > before->proto))));
	}
}

static void chance_finds_what_the_rules_say(void **state)
{
	uint64_t random = 0x6a09e667f3bcc908ULL;
	unsigned int claimed = 0;
	size_t written = 0;

	(void)state;
	for (int s = 0; s < SETS; s++) {
		struct ebb_matcher *matcher;
		struct ebb_routes *routes;
		struct rule_set set;

		random_rules(&random, s % 4 == 0, &set);
		assert_int_equal(ebb_matcher_new(set.rules, set.count, &matcher), 0);
		assert_int_equal(ebb_routes_flatten(set.rules, set.count, &routes, NULL), 0);
		assert_well_made(routes);
		written += routes->prefix_count;
		for (int t = 0; t < TRIES; t++) {
			uint16_t port = random_below(&random, 4) ? random_port(&random) : 7777;
			uint8_t addr[16], proto = random_proto(&random);
			uint32_t wanted;

			random_address(&random, addr);
			wanted = ebb_match_address(matcher, addr, port, proto);
			assert_int_equal(wanted, naive_match(&set, NULL, addr, port, proto));
			assert_int_equal(look_up(routes, addr, port, proto), wanted);
			claimed += wanted != EBB_MATCH_NONE;
		}
		ebb_routes_free(routes);
		ebb_matcher_free(matcher);
	}
	assert_in_range(claimed, SETS * TRIES / 4, SETS * TRIES * 3 / 4);
	assert_true(written > SETS);
}

/* 10.x.y.0/24 by number */
static struct ebb_match net(uint32_t number, uint16_t port)
{
	return (struct ebb_match){
		.kind = EBB_MATCH_PREFIX,
		.addr = {[10] = 0xff,
			 0xff,
			 (uint8_t)(10 + (number >> 16)),
			 (uint8_t)(number >> 8),
			 (uint8_t)number},
		.bits = 120,
		.port = port,
	};
}

static struct ebb_routes *flatten(const struct ebb_match *matches, const uint32_t *destinations, size_t count,
				  int expected, struct ebb_why *why)
{
	struct ebb_rule *rules = calloc(count, sizeof(*rules));
	struct ebb_routes *routes = NULL;

	assert_non_null(rules);
	for (size_t i = 0; i < count; i++)
		rules[i] = (struct ebb_rule){&matches[i], destinations ? destinations[i] : 0};
	assert_int_equal(ebb_routes_flatten(rules, count, &routes, why), expected);
	assert_true((routes != NULL) == (expected == 0));
	free(rules);
	return routes;
}

static void nothing_is_written_that_says_nothing(void **state)
{
	const struct ebb_match matches[] = {net(1, 0), net(2, 443), {.kind = EBB_MATCH_ANY, .port = 80}};
	struct ebb_match nested[] = {net(0, 0), net(1, 0)};
	struct ebb_routes *routes = flatten(NULL, NULL, 0, 0, NULL);

	(void)state;
	nested[0].bits = 112;
	assert_int_equal(routes->prefix_count, 0);
	assert_int_equal(routes->port_count, 0);
	ebb_routes_free(routes);
	/* one node for all of both families */
	routes = flatten(matches + 2, NULL, 1, 0, NULL);
	assert_int_equal(routes->prefix_count, 1);
	assert_int_equal(routes->port_count, 2);
	ebb_routes_free(routes);
	/* a rule without a port hides the others: no entry for port 80 in the first */
	routes = flatten(matches, NULL, 3, 0, NULL);
	assert_int_equal(routes->prefix_count, 3);
	assert_int_equal(routes->port_count, 2 + 4);
	ebb_routes_free(routes);
	/* nor a prefix in another one of the same destination */
	routes = flatten(nested, NULL, 2, 0, NULL);
	assert_int_equal(routes->prefix_count, 1);
	assert_int_equal(routes->prefixes[0].bits, 112);
	ebb_routes_free(routes);
	ebb_routes_free(NULL);
}

static void prefixes_with_the_same_ports_share_them(void **state)
{
	enum {
		COUNT = 1000
	};
	static struct ebb_match matches[COUNT + 1];
	struct ebb_routes *routes;

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++)
		matches[i] = net(i, 443);
	matches[COUNT] = (struct ebb_match){.kind = EBB_MATCH_ANY, .port = 80};
	routes = flatten(matches, NULL, COUNT + 1, 0, NULL);
	assert_int_equal(routes->prefix_count, COUNT + 1);
	assert_int_equal(routes->set_count, 2);
	assert_int_equal(routes->port_count, 2 + 4);
	ebb_routes_free(routes);
}

static void a_table_that_is_too_large_is_refused(void **state)
{
	struct ebb_match *matches = calloc(EBB_PREFIXES_MAX + 1, sizeof(*matches));
	uint32_t *destinations = calloc(EBB_PREFIXES_MAX + 1, sizeof(*destinations));
	struct ebb_why why = {{0}};
	struct ebb_routes *routes;

	(void)state;
	assert_non_null(matches);
	assert_non_null(destinations);
	for (uint32_t i = 0; i <= EBB_PREFIXES_MAX; i++) {
		matches[i] = net(i, 0);
		destinations[i] = i;
	}
	routes = flatten(matches, destinations, EBB_PREFIXES_MAX, 0, &why);
	assert_int_equal(routes->prefix_count, EBB_PREFIXES_MAX);
	ebb_routes_free(routes);
	assert_string_equal(why.text, "");
	(void)flatten(matches, destinations, EBB_PREFIXES_MAX + 1, -E2BIG, &why);
	assert_non_null(strstr(why.text, "prefixes"));

	/* ports that all differ, one prefix each: two entries, TCP and UDP */
	for (uint32_t i = 0; i <= EBB_PREFIXES_MAX; i++)
		matches[i].port = 443;
	routes = flatten(matches, destinations, EBB_PORTS_MAX / 2, 0, NULL);
	assert_int_equal(routes->port_count, EBB_PORTS_MAX);
	ebb_routes_free(routes);
	why.text[0] = '\0';
	(void)flatten(matches, destinations, EBB_PORTS_MAX / 2 + 1, -E2BIG, &why);
	assert_non_null(strstr(why.text, "ports"));

	/* many ports below many prefixes */
	for (uint32_t i = 0; i < 20000; i++)
		matches[i] = (struct ebb_match){.kind = EBB_MATCH_ANY, .port = (uint16_t)(i + 1)};
	routes = flatten(matches, destinations, 20000, 0, NULL);
	assert_int_equal(routes->port_count, 40000);
	ebb_routes_free(routes);
	matches[20000] = net(1, 30000);
	(void)flatten(matches, destinations, 20001, -E2BIG, &why);
	free(matches);
	free(destinations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chance_finds_what_the_rules_say),
		cmocka_unit_test(nothing_is_written_that_says_nothing),
		cmocka_unit_test(prefixes_with_the_same_ports_share_them),
		cmocka_unit_test(a_table_that_is_too_large_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

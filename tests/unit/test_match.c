/* SPDX-License-Identifier: Apache-2.0 */
/* user/core/match.c: which rule wins. The table shows the order; chance and a naive reference try the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "core/match.h"
#include "random_rules.h"

#define SETS  4000
#define TRIES 60

/* ----------------------------------------------------------- by a table -- */

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

static void to_address(const char *text, uint8_t ret_addr[16])
{
	memset(ret_addr, 0, 16);
	if (inet_pton(AF_INET6, text, ret_addr) == 1)
		return;
	memset(ret_addr + 10, 0xff, 2);
	assert_int_equal(inet_pton(AF_INET, text, ret_addr + 12), 1);
}

static struct ebb_match host_rule(const char *host, uint16_t port, uint8_t proto)
{
	struct ebb_match match = {.kind = EBB_MATCH_HOST, .port = port, .proto = proto};

	if (strncmp(host, "*.", 2) == 0) {
		match.kind = EBB_MATCH_WILDCARD;
		host += 2;
	}
	(void)snprintf(match.host, sizeof(match.host), "%s", host);
	return match;
}

static struct ebb_match prefix_rule(const char *addr, uint8_t bits, uint16_t port, uint8_t proto)
{
	struct ebb_match match = {.kind = EBB_MATCH_PREFIX, .bits = bits, .port = port, .proto = proto};

	to_address(addr, match.addr);
	if (!strchr(addr, ':'))
		match.bits = (uint8_t)(bits + 96);
	return match;
}

static struct ebb_match any_rule(uint16_t port, uint8_t proto)
{
	return (struct ebb_match){.kind = EBB_MATCH_ANY, .port = port, .proto = proto};
}

/* Rule i belongs to destination i, unless said otherwise. */
static struct ebb_matcher *matcher_of(const struct ebb_match *matches, size_t count)
{
	static struct ebb_rule rules[64];
	struct ebb_matcher *matcher = NULL;

	assert_true(count <= 64);
	for (size_t i = 0; i < count; i++)
		rules[i] = (struct ebb_rule){&matches[i], (uint32_t)i};
	assert_int_equal(ebb_matcher_new(rules, count, &matcher), 0);
	return matcher;
}

#define NONE EBB_MATCH_NONE

static void hosts_in_the_order_of_the_design(void **state)
{
	const struct ebb_match matches[] = {
		/* the weaker first, so that the place in the file does not help */
		host_rule("*.com", 0, 0),		 /* 0 */
		host_rule("*.example.com", 0, 0),	 /* 1 */
		host_rule("*.example.com", 0, UDP),	 /* 2 */
		host_rule("*.example.com", 443, 0),	 /* 3 */
		host_rule("*.example.com", 443, TCP),	 /* 4 */
		host_rule("api.example.com", 0, 0),	 /* 5 */
		host_rule("api.example.com", 8080, 0),	 /* 6 */
		host_rule("api.example.com", 8080, 0),	 /* 7: the first in the file stands */
		host_rule("web.example.com", 80, TCP),	 /* 8 */
		host_rule("*.v1.api.example.com", 0, 0), /* 9 */
	};
	static const struct {
		const char *host;
		uint16_t port;
		uint8_t proto;
		uint32_t want;
	} cases[] = {
		{"api.example.com", 443, TCP, 5},      /* exact without a port before a wildcard with one */
		{"api.example.com", 8080, TCP, 6},     /* port before none, ties to the first */
		{"api.example.com", 0, TCP, 5},	       /* port 0: only rules without one */
		{"www.example.com", 443, TCP, 4},      /* protocol before none */
		{"www.example.com", 443, UDP, 3},      /* port before protocol */
		{"www.example.com", 80, UDP, 2},       /* protocol before none */
		{"www.example.com", 80, TCP, 1},       /* longer suffix before shorter */
		{"a.b.c.example.com", 80, TCP, 1},     /* any number of labels */
		{"x.v1.api.example.com", 443, TCP, 9}, /* longest suffix, although another names the port */
		{"v1.api.example.com", 443, TCP, 4},   /* a wildcard is not its own domain */
		{"example.com", 443, TCP, 0},	       /* at least one label in front */
		{"web.example.com", 80, TCP, 8},       /* exact */
		{"web.example.com", 80, UDP, 2},       /* exact, but not for this protocol */
		{"web.example.com", 443, TCP, 4},      /* exact, but not for this port */
		{"com", 443, TCP, NONE},
		{"myexample.com", 80, TCP, 0}, /* whole labels only */
		{"example.org", 80, TCP, NONE},
		{"", 80, TCP, NONE},
	};
	struct ebb_matcher *matcher = matcher_of(matches, sizeof(matches) / sizeof(matches[0]));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t found = ebb_match_host(matcher, cases[i].host, cases[i].port, cases[i].proto);

		if (found != cases[i].want)
			fail_msg("%s port %u protocol %u: rule %d, not %d", cases[i].host, cases[i].port,
				 cases[i].proto, (int)found, (int)cases[i].want);
	}
	assert_true(ebb_matcher_has_hosts(matcher));
	ebb_matcher_free(matcher);
}

static void addresses_in_the_order_of_the_design(void **state)
{
	const struct ebb_match matches[] = {
		any_rule(0, UDP),			  /* 0 */
		any_rule(22, 0),			  /* 1 */
		prefix_rule("0.0.0.0", 0, 80, 0),	  /* 2 */
		prefix_rule("::", 0, 80, 0),		  /* 3 */
		prefix_rule("10.0.0.0", 8, 0, 0),	  /* 4 */
		prefix_rule("10.1.0.0", 16, 443, 0),	  /* 5 */
		prefix_rule("10.1.0.0", 16, 443, UDP),	  /* 6 */
		prefix_rule("2001:db8::", 32, 0, TCP),	  /* 7 */
		prefix_rule("2001:db8::5", 128, 53, UDP), /* 8 */
		host_rule("10.2.0.1", 0, 0),		  /* 9: a name that looks like an address is none */
	};
	static const struct {
		const char *addr;
		uint16_t port;
		uint8_t proto;
		uint32_t want;
	} cases[] = {
		{"10.0.0.1", 80, TCP, 4},				/* longest prefix before a port */
		{"10.1.0.1", 443, TCP, 5},   {"10.1.0.1", 443, UDP, 6}, /* port and protocol */
		{"10.1.0.1", 444, TCP, 4},   /* another port: the next prefix says */
		{"192.0.2.1", 80, TCP, 2},   /* ::/0 does not claim IPv4 */
		{"2001:db9::1", 80, TCP, 3}, /* nor 0.0.0.0/0 IPv6 */
		{"192.0.2.1", 22, TCP, 1},   {"2001:db9::1", 22, TCP, 1}, /* a port alone: both families */
		{"192.0.2.1", 22, UDP, 1},				  /* port before protocol */
		{"192.0.2.1", 23, UDP, 0},   {"2001:db9::1", 23, UDP, 0}, {"192.0.2.1", 23, TCP, NONE},
		{"2001:db8::5", 53, UDP, 8}, {"2001:db8::5", 53, TCP, 7}, {"2001:db8::5", 54, UDP, 0},
		{"2001:db8::6", 80, TCP, 7}, {"2001:db8::6", 80, UDP, 3}, {"10.2.0.1", 443, TCP, 4},
		{"::", 80, TCP, 3},	     {"::fffe:0:0", 80, TCP, 3}, /* next to IPv4 */
		{"0.0.0.0", 80, TCP, 2},
	};
	struct ebb_matcher *matcher = matcher_of(matches, sizeof(matches) / sizeof(matches[0]));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t addr[16];
		uint32_t found;

		to_address(cases[i].addr, addr);
		found = ebb_match_address(matcher, addr, cases[i].port, cases[i].proto);
		if (found != cases[i].want)
			fail_msg("%s port %u protocol %u: rule %d, not %d", cases[i].addr, cases[i].port,
				 cases[i].proto, (int)found, (int)cases[i].want);
	}
	ebb_matcher_free(matcher);
}

static void no_rules_claim_nothing(void **state)
{
	const struct ebb_match matches[] = {prefix_rule("::", 0, 0, 0), any_rule(80, 0)};
	struct ebb_matcher *matcher = matcher_of(NULL, 0);
	uint8_t addr[16] = {0};
	struct ebb_match_port port;

	(void)state;
	assert_false(ebb_matcher_has_hosts(matcher));
	assert_int_equal(ebb_match_host(matcher, "a.b", 1, TCP), NONE);
	assert_int_equal(ebb_match_address(matcher, addr, 1, TCP), NONE);
	assert_int_equal(ebb_match_host_ports(matcher, "a.b", &port, 1), 0);
	ebb_matcher_free(matcher);
	matcher = matcher_of(matches, 2);
	assert_false(ebb_matcher_has_hosts(matcher));
	ebb_matcher_free(matcher);
	ebb_matcher_free(NULL);
}

static void longest_name_and_one_beyond(void **state)
{
	struct ebb_match matches[2] = {host_rule("*.a", 0, 0)};
	char host[300];
	struct ebb_matcher *matcher;

	(void)state;
	for (size_t i = 0; i < sizeof(host); i++)
		host[i] = i % 2 ? '.' : 'a';
	host[EBB_HOST_MAX - 1] = '\0';
	matches[1] = host_rule(host, 0, 0);
	matcher = matcher_of(matches, 2);
	assert_int_equal(ebb_match_host(matcher, host, 1, TCP), 1);
	/* one octet more, and "*.a" would fit */
	for (size_t i = 1; i < EBB_HOST_MAX; i++)
		host[i] = i % 2 ? 'a' : '.';
	host[EBB_HOST_MAX] = '\0';
	assert_int_equal(ebb_match_host(matcher, host, 1, TCP), NONE);
	assert_int_equal(ebb_match_host_ports(matcher, host, NULL, 0), 0);
	ebb_matcher_free(matcher);
}

/* ------------------------------------------------------------- by chance -- */

static void chance_agrees_with_the_naive_reference(void **state)
{
	uint64_t random = 0x123456789abcdefULL;
	unsigned int claimed = 0;

	(void)state;
	for (int s = 0; s < SETS; s++) {
		struct ebb_matcher *matcher;
		struct rule_set set;

		random_rules(&random, true, &set);
		assert_int_equal(ebb_matcher_new(set.rules, set.count, &matcher), 0);
		for (int t = 0; t < TRIES; t++) {
			uint16_t port = random_below(&random, 8) ? random_port(&random) : 0;
			uint8_t addr[16], proto = random_proto(&random);
			char host[EBB_HOST_MAX];
			uint32_t found;

			random_host(&random, host);
			found = ebb_match_host(matcher, host, port, proto);
			assert_int_equal(found, naive_match(&set, host, NULL, port, proto));
			claimed += found != NONE;
			random_address(&random, addr);
			found = ebb_match_address(matcher, addr, port, proto);
			assert_int_equal(found, naive_match(&set, NULL, addr, port, proto));
			claimed += found != NONE;
		}
		ebb_matcher_free(matcher);
	}
	/* neither all nor nothing, else it says little */
	assert_in_range(claimed, SETS * TRIES / 2, SETS * TRIES * 3 / 2);
}

/* What the list says of a port: exactly one entry for it, or the one for all others. */
static uint32_t by_list(const struct ebb_match_port *ports, size_t count, uint16_t port, uint8_t proto)
{
	const struct ebb_match_port *exact = NULL, *any = NULL;

	for (size_t i = 0; i < count; i++) {
		if (ports[i].proto && ports[i].proto != proto)
			continue;
		if (ports[i].port == port) {
			assert_null(exact);
			exact = &ports[i];
		} else if (ports[i].port == 0) {
			assert_null(any);
			any = &ports[i];
		}
	}
	if (!exact)
		exact = any;
	return exact ? exact->destination : NONE;
}

static void ports_of_a_host_say_what_its_look_up_says(void **state)
{
	uint64_t random = 0xfedcba987654321ULL;

	(void)state;
	for (int s = 0; s < SETS; s++) {
		struct ebb_match_port ports[64], few[2];
		struct ebb_matcher *matcher;
		struct rule_set set;

		random_rules(&random, true, &set);
		assert_int_equal(ebb_matcher_new(set.rules, set.count, &matcher), 0);
		for (int t = 0; t < 10; t++) {
			static const uint16_t asked[] = {0, 1, 2, 53, 80, 443, 65535};
			char host[EBB_HOST_MAX];
			size_t count;

			random_host(&random, host);
			count = ebb_match_host_ports(matcher, host, ports, 64);
			assert_in_range(count, 0, 12);
			for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
				assert_int_equal(by_list(ports, count, asked[i], TCP),
						 ebb_match_host(matcher, host, asked[i], TCP));
				assert_int_equal(by_list(ports, count, asked[i], UDP),
						 ebb_match_host(matcher, host, asked[i], UDP));
			}
			memset(few, 0xee, sizeof(few));
			assert_int_equal(ebb_match_host_ports(matcher, host, few, 1), count);
			assert_int_equal(few[1].port, 0xeeee);
		}
		ebb_matcher_free(matcher);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_in_the_order_of_the_design),
		cmocka_unit_test(addresses_in_the_order_of_the_design),
		cmocka_unit_test(no_rules_claim_nothing),
		cmocka_unit_test(longest_name_and_one_beyond),
		cmocka_unit_test(chance_agrees_with_the_naive_reference),
		cmocka_unit_test(ports_of_a_host_say_what_its_look_up_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/node/resolvers.c: whose answers are believed (design ruling 3). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/resolvers.h"

static const uint8_t *addr(const char *text)
{
	static uint8_t a[16];

	memset(a, 0, sizeof(a));
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, a), 1);
	} else {
		a[10] = a[11] = 0xff;
		assert_int_equal(inet_pton(AF_INET, text, a + 12), 1);
	}
	return a;
}

static const char *read_text(const char *text)
{
	static char buffer[4096];
	struct ebb_resolvers resolvers = {.count = 0};

	ebb_resolvers_add_text(&resolvers, text);
	return ebb_resolvers_text(&resolvers, buffer, sizeof(buffer));
}

static void name_servers_are_read_as_libc_reads_them(void **state)
{
	(void)state;
	assert_string_equal(read_text("nameserver 10.0.0.1\nnameserver 10.0.0.2"), "10.0.0.1 10.0.0.2");
	assert_string_equal(read_text("# nameserver 10.0.0.9\n;nameserver 10.0.0.9\nsearch a b\n"
				      "nameserver\t2001:db8::53 # ours\r\noptions ndots:5\n"),
			    "2001:db8::53");
	assert_string_equal(read_text("nameserver fe80::1%eth0\n"), "fe80::1");
	/* in another place, without a blank, no address, twice */
	assert_string_equal(read_text(" nameserver 10.0.0.1\nnameservers 10.0.0.1\nnameserver10.0.0.1\n"
				      "nameserver\nnameserver localhost\nnameserver 10.0.0.256\n"),
			    "");
	assert_string_equal(read_text("nameserver \nnameserver 10.0.0.1\nnameserver 10.0.0.1\n"), "10.0.0.1");
	assert_string_equal(read_text(""), "");
}

static void there_is_room_for_so_many(void **state)
{
	struct ebb_resolvers resolvers = {.count = 0};

	(void)state;
	for (int i = 1; i <= 200; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "nameserver 10.0.0.%d\n", i);
		ebb_resolvers_add_text(&resolvers, text);
	}
	assert_int_equal(resolvers.count, EBB_RESOLVERS_KNOWN_MAX);
	assert_true(ebb_resolvers_believe(&resolvers, addr("10.0.0.64"), false, false));
	assert_false(ebb_resolvers_believe(&resolvers, addr("10.0.0.65"), false, false));
}

static void who_is_believed(void **state)
{
	static const struct {
		const char *from;
		bool local, trusted, believed;
	} cases[] = {
		{"10.96.0.10", false, false, true},
		/* a pod that gave itself that address */
		{"10.96.0.10", true, false, false},
		/* a server of the node itself */
		{"10.96.0.10", true, true, true},
		{"10.96.0.11", false, true, false},
		{"::ffff:10.96.0.10", false, false, true},
		/* a stub: everybody has a 127.0.0.53 */
		{"127.0.0.53", true, false, false},
		{"127.0.0.53", false, false, false},
		{"127.0.0.53", true, true, true},
		{"::1", true, false, false},
		{"::1", true, true, true},
		/* named by the configuration: the user knows */
		{"127.0.0.11", true, false, true},
		{"192.0.2.1", true, false, true},
	};
	struct ebb_resolvers resolvers = {.count = 0};

	(void)state;
	ebb_resolvers_add_text(&resolvers, "nameserver 10.96.0.10\nnameserver 127.0.0.53\nnameserver ::1\n");
	ebb_resolvers_add(&resolvers, addr("127.0.0.11"), true);
	ebb_resolvers_add(&resolvers, addr("192.0.2.1"), false);
	ebb_resolvers_add(&resolvers, addr("192.0.2.1"), true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ebb_resolvers_believe(&resolvers, addr(cases[i].from), cases[i].local,
					  cases[i].trusted) != cases[i].believed)
			fail_msg("%s, local=%d, trusted=%d", cases[i].from, cases[i].local, cases[i].trusted);
	}
}

/* In a pod of kube-system Kubernetes itself says where the cluster's DNS is. */
static void service_of_the_cluster_is_found(void **state)
{
	struct ebb_resolvers resolvers = {.count = 0};

	(void)state;
	assert_int_equal(setenv("KUBE_DNS_SERVICE_HOST", "10.99.0.10", 1), 0);
	ebb_resolvers_find(&resolvers);
	assert_true(ebb_resolvers_believe(&resolvers, addr("10.99.0.10"), false, false));
	assert_true(ebb_resolvers_believe(&resolvers, addr("127.0.0.53"), true, true));
	memset(&resolvers, 0, sizeof(resolvers));
	assert_int_equal(setenv("KUBE_DNS_SERVICE_HOST", "not an address", 1), 0);
	ebb_resolvers_find(&resolvers);
	assert_int_equal(unsetenv("KUBE_DNS_SERVICE_HOST"), 0);
	assert_false(ebb_resolvers_believe(&resolvers, addr("10.99.0.10"), false, false));
}

static void text_is_cut_between_two(void **state)
{
	struct ebb_resolvers resolvers = {.count = 0};
	char text[20];

	(void)state;
	ebb_resolvers_add_text(&resolvers, "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n");
	assert_string_equal(ebb_resolvers_text(&resolvers, text, sizeof(text)), "10.0.0.1 10.0.0.2");
	assert_string_equal(ebb_resolvers_text(&resolvers, text, 1), "");
}

static void one_that_came_or_is_named_now_is_news(void **state)
{
	struct ebb_resolvers a = {.count = 0}, b = {.count = 0};

	(void)state;
	ebb_resolvers_add(&a, addr("10.0.0.1"), false);
	assert_false(ebb_resolvers_equal(&a, &b));
	ebb_resolvers_add(&b, addr("10.0.0.1"), false);
	assert_true(ebb_resolvers_equal(&a, &b));
	b.named[0] = true;
	assert_false(ebb_resolvers_equal(&a, &b));
	b.named[0] = false;
	b.addrs[0][15] = 2;
	assert_false(ebb_resolvers_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_servers_are_read_as_libc_reads_them),
		cmocka_unit_test(there_is_room_for_so_many),
		cmocka_unit_test(who_is_believed),
		cmocka_unit_test(service_of_the_cluster_is_found),
		cmocka_unit_test(text_is_cut_between_two),
		cmocka_unit_test(one_that_came_or_is_named_now_is_news),
	};

	return cmocka_run_group_tests_name("resolvers", tests, NULL, NULL);
}

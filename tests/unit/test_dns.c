/* SPDX-License-Identifier: Apache-2.0 */
/* user/node/dns.c: answers as servers send them, and as only somebody means harm sends them. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/dns.h"

#define A     1
#define CNAME 5
#define AAAA  28

#define AT_QUESTION 0xc00c /* a pointer to the name in the question */

/* A message that is being written. */
struct message {
	uint8_t bytes[8192];
	size_t size;
};

static void put(struct message *m, const void *bytes, size_t size)
{
	assert_true(m->size + size <= sizeof(m->bytes));
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static void put8(struct message *m, unsigned int value)
{
	uint8_t byte = (uint8_t)value;

	put(m, &byte, 1);
}

static void put16(struct message *m, unsigned int value)
{
	put8(m, value >> 8);
	put8(m, value & 0xff);
}

static void put32(struct message *m, uint32_t value)
{
	put16(m, value >> 16);
	put16(m, value & 0xffff);
}

static void put_name(struct message *m, const char *text)
{
	while (*text) {
		size_t size = strcspn(text, ".");

		put8(m, (unsigned int)size);
		put(m, text, size);
		text += size + (text[size] == '.');
	}
	put8(m, 0);
}

/* An answer to "@name IN @type?" with room for the number of records. */
static struct message answer_to(const char *name, unsigned int type)
{
	struct message m = {.size = 0};

	put16(&m, 0x1234);
	put16(&m, 0x8180);
	put16(&m, 1);
	put16(&m, 0);
	put32(&m, 0);
	put_name(&m, name);
	put16(&m, type);
	put16(&m, 1);
	return m;
}

static void count_record(struct message *m)
{
	if (++m->bytes[7] == 0)
		m->bytes[6]++;
}

/* The start of a record whose name is a pointer or, with 0, @name; its data has @size bytes. */
static void put_record(struct message *m, unsigned int pointer, const char *name, unsigned int type,
		       uint32_t ttl, unsigned int size)
{
	if (pointer)
		put16(m, pointer);
	else
		put_name(m, name);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, size);
	count_record(m);
}

static void put_a(struct message *m, const char *name, uint32_t ttl, const char *address)
{
	struct in_addr addr;

	assert_int_equal(inet_pton(AF_INET, address, &addr), 1);
	put_record(m, name ? 0 : AT_QUESTION, name, A, ttl, 4);
	put(m, &addr, 4);
}

static void put_aaaa(struct message *m, const char *name, uint32_t ttl, const char *address)
{
	struct in6_addr addr;

	assert_int_equal(inet_pton(AF_INET6, address, &addr), 1);
	put_record(m, name ? 0 : AT_QUESTION, name, AAAA, ttl, 16);
	put(m, &addr, 16);
}

static void put_cname(struct message *m, const char *name, uint32_t ttl, const char *target)
{
	put_record(m, name ? 0 : AT_QUESTION, name, CNAME, ttl, (unsigned int)strlen(target) + 2);
	put_name(m, target);
}

static int set_up(void **state)
{
	struct ebb_why why = {0};
	struct ebb_dns *dns = NULL;

	if (ebb_dns_open(&dns, &why) < 0)
		fail_msg("%s", why.text);
	*state = dns;
	return 0;
}

static int tear_down(void **state)
{
	ebb_dns_free(*state);
	return 0;
}

/* From memory of exactly its size, so that a sanitizer sees who reads behind it. */
static int parse_bytes(const struct ebb_dns *dns, const uint8_t *bytes, size_t size,
		       struct ebb_dns_answer *ret)
{
	uint8_t *exact = malloc(size ? size : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, bytes, size);
	r = ebb_dns_parse(dns, exact, size, ret);
	free(exact);
	return r;
}

/* "name address/ttl address/ttl"; "" where there are no addresses; "error N". */
static const char *parsed(const struct ebb_dns *dns, const struct message *m)
{
	static char text[8192];
	struct ebb_dns_answer answer;
	int r = parse_bytes(dns, m->bytes, m->size, &answer);
	size_t used;

	if (r < 0) {
		(void)snprintf(text, sizeof(text), "error %s", r == -ELOOP ? "ELOOP" : "EBADMSG");
		assert_true(r == -ELOOP || r == -EBADMSG);
		return text;
	}
	used = (size_t)snprintf(text, sizeof(text), "%s", answer.name);
	for (size_t i = 0; i < answer.count; i++) {
		static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
		const uint8_t *addr = answer.addresses[i].addr;
		char address[INET6_ADDRSTRLEN];

		if (memcmp(addr, mapped, 12) == 0)
			(void)inet_ntop(AF_INET, addr + 12, address, sizeof(address));
		else
			(void)inet_ntop(AF_INET6, addr, address, sizeof(address));
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %s/%u", address,
					 answer.addresses[i].ttl_s);
	}
	return text;
}

/* ------------------------------------------------------------------ what is said -- */

static void addresses_come_with_their_time(void **state)
{
	struct message m = answer_to("API.Example.com", A);

	put_a(&m, NULL, 60, "10.0.0.1");
	put_a(&m, "api.example.COM", 30, "10.0.0.2");
	assert_string_equal(parsed(*state, &m), "api.example.com 10.0.0.1/60 10.0.0.2/30");

	m = answer_to("api.example.com", AAAA);
	put_aaaa(&m, NULL, 5, "2001:db8::1");
	put_aaaa(&m, NULL, 5, "::ffff:10.0.0.9");
	assert_string_equal(parsed(*state, &m), "api.example.com 2001:db8::1/5 10.0.0.9/5");
}

static void edns_and_what_else_stands_behind_the_answers_is_let_alone(void **state)
{
	struct message m = answer_to("a.example", A);

	put_a(&m, NULL, 60, "10.0.0.1");
	/* OPT in the additional section */
	put8(&m, 0);
	put16(&m, 41);
	put16(&m, 1232);
	put32(&m, 0);
	put16(&m, 0);
	m.bytes[11] = 1;
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60");
	/* more sections promised than there are, and an address among them */
	m.bytes[9] = 200;
	m.bytes[11] = 200;
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60");
}

static void addresses_at_the_end_of_a_chain_belong_to_the_name_that_was_asked_for(void **state)
{
	struct message m = answer_to("www.example.com", A);

	put_cname(&m, NULL, 300, "cdn.example.net");
	put_cname(&m, "cdn.example.net", 20, "edge7.example.org");
	put_a(&m, "edge7.example.org", 60, "192.0.2.1");
	put_a(&m, "Edge7.Example.Org", 60, "192.0.2.2");
	assert_string_equal(parsed(*state, &m), "www.example.com 192.0.2.1/20 192.0.2.2/20");

	/* in any order */
	m = answer_to("www.example.com", A);
	put_a(&m, "edge7.example.org", 10, "192.0.2.1");
	put_cname(&m, "cdn.example.net", 20, "edge7.example.org");
	put_cname(&m, NULL, 300, "cdn.example.net");
	assert_string_equal(parsed(*state, &m), "www.example.com 192.0.2.1/10");
}

static void records_of_other_types_are_passed_over(void **state)
{
	struct message m = answer_to("a.example", A);

	put_record(&m, AT_QUESTION, NULL, 46, 60, 30); /* RRSIG */
	put(&m, m.bytes, 30);
	put_a(&m, NULL, 60, "10.0.0.1");
	put_record(&m, AT_QUESTION, NULL, 16, 60, 3); /* TXT */
	put(&m, "\2hi", 3);
	put_aaaa(&m, NULL, 60, "2001:db8::1"); /* nobody asked for it */
	put_record(&m, AT_QUESTION, NULL, 65280, 60, 0);
	put_a(&m, NULL, 60, "10.0.0.2");
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60 10.0.0.2/60");
}

static void times_are_cut_and_negative_ones_are_none(void **state)
{
	struct message m = answer_to("a.example", A);

	put_a(&m, NULL, 0x7fffffff, "10.0.0.1");
	put_a(&m, NULL, 0x80000000, "10.0.0.2");
	put_a(&m, NULL, 0xffffffff, "10.0.0.3");
	put_a(&m, NULL, 0, "10.0.0.4");
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/86400 10.0.0.2/0 10.0.0.3/0 10.0.0.4/0");
}

static void one_address_twice_is_one(void **state)
{
	struct message m = answer_to("a.example", A);

	put_a(&m, NULL, 60, "10.0.0.1");
	put_a(&m, NULL, 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60");
}

static void the_unspecified_address_is_no_address(void **state)
{
	struct message m = answer_to("ads.example", A);

	put_a(&m, NULL, 60, "0.0.0.0");
	assert_string_equal(parsed(*state, &m), "");
	m = answer_to("ads.example", AAAA);
	put_aaaa(&m, NULL, 60, "::");
	assert_string_equal(parsed(*state, &m), "");
}

/* An answer that was cut by its server still is what a resolver without TCP (musl) uses. */
static void truncated_answer_counts_for_what_it_holds(void **state)
{
	struct message m = answer_to("a.example", A);

	put_a(&m, NULL, 60, "10.0.0.1");
	m.bytes[2] |= 2;
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60");
}

static void more_addresses_than_there_is_room_for_are_left_out(void **state)
{
	struct message m = answer_to("a.example", A);
	struct ebb_dns_answer answer;

	for (int i = 0; i < 300; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250 + 1);
		put_a(&m, NULL, 60, text);
	}
	assert_int_equal(parse_bytes(*state, m.bytes, m.size, &answer), 0);
	assert_int_equal(answer.count, EBB_DNS_ADDRESSES_MAX);
}

/* --------------------------------------------------------------- what says nothing -- */

static void what_is_no_answer_about_addresses_says_nothing(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{2, 0x01}, /* a question */
		{2, 0xa9}, /* an update */
		{3, 0x83}, /* NXDOMAIN */
		{3, 0x82}, /* SERVFAIL */
		{5, 0},	   /* no question: whose addresses are these? */
		{5, 2},	   {7, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message m = answer_to("a.example", A);

		put_a(&m, NULL, 60, "10.0.0.1");
		m.bytes[cases[i].at] = cases[i].value;
		assert_string_equal(parsed(*state, &m), "");
	}
}

static void questions_for_other_types_say_nothing(void **state)
{
	static const unsigned int types[] = {2, 5, 15, 16, 33, 64, 65, 255};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message m = answer_to("a.example", types[i]);

		put_a(&m, NULL, 60, "10.0.0.1");
		put_aaaa(&m, NULL, 60, "2001:db8::1");
		assert_string_equal(parsed(*state, &m), "");
	}
}

static void names_that_no_host_has_are_not_shown_to_anybody(void **state)
{
	static const char *const names[] = {"a b.example",
					    "\033[2J.example",
					    "a\n.example",
					    "<script>.example",
					    "\303\266.example",
					    "a/b",
					    ""};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct message m = answer_to(names[i], A);

		put_a(&m, NULL, 60, "10.0.0.1");
		assert_string_equal(parsed(*state, &m), "");
	}
	/* a dot inside of a label is not one between two */
	struct message m = answer_to("", A);

	m.size = 12;
	put(&m, "\3a.b\7example\0\0\1\0\1", 17);
	put_a(&m, NULL, 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "");
}

/* -------------------------------------------------------------------- poison -- */

static void addresses_of_another_name_are_not_taken(void **state)
{
	struct message m = answer_to("evil.example", A);

	put_a(&m, "api.anthropic.com", 60, "203.0.113.66");
	assert_string_equal(parsed(*state, &m), "");

	/* a chain that does not begin at the question */
	m = answer_to("evil.example", A);
	put_cname(&m, "other.example", 60, "bank.example");
	put_a(&m, "bank.example", 60, "203.0.113.66");
	assert_string_equal(parsed(*state, &m), "");

	/* one that leads past: what lies on the way has no addresses of its own */
	m = answer_to("a.example", A);
	put_cname(&m, NULL, 60, "b.example");
	put_a(&m, NULL, 60, "203.0.113.66");
	put_a(&m, "b.example", 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "a.example 10.0.0.1/60");

	/* names that only begin or end alike */
	m = answer_to("a.example", A);
	put_a(&m, "a.example.com", 60, "203.0.113.66");
	put_a(&m, "ba.example", 60, "203.0.113.66");
	put_a(&m, "example", 60, "203.0.113.66");
	assert_string_equal(parsed(*state, &m), "");

	/* another class */
	m = answer_to("a.example", A);
	put_a(&m, NULL, 60, "203.0.113.66");
	m.bytes[m.size - 11] = 3;
	assert_string_equal(parsed(*state, &m), "");
}

static void chains_in_a_circle_and_without_end_are_refused(void **state)
{
	struct message m = answer_to("a.example", A);
	char name[32], next[32];

	put_cname(&m, NULL, 60, "b.example");
	put_cname(&m, "b.example", 60, "a.example");
	put_a(&m, NULL, 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "error ELOOP");

	m = answer_to("a.example", A);
	put_cname(&m, NULL, 60, "a.example");
	put_a(&m, NULL, 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "error ELOOP");

	for (int links = EBB_DNS_CHAIN_MAX; links <= EBB_DNS_CHAIN_MAX + 1; links++) {
		m = answer_to("n0.example", A);
		for (int i = 0; i < links; i++) {
			(void)snprintf(name, sizeof(name), "n%d.example", i);
			(void)snprintf(next, sizeof(next), "n%d.example", i + 1);
			put_cname(&m, name, 60, next);
		}
		put_a(&m, next, 60, "10.0.0.1");
		assert_string_equal(parsed(*state, &m),
				    links > EBB_DNS_CHAIN_MAX ? "error ELOOP" : "n0.example 10.0.0.1/60");
	}
}

static void pointers_lead_back_or_the_message_is_broken(void **state)
{
	static const unsigned int bad[] = {
		0xc01b, /* to itself: where the record begins */
		0xc01c, /* forward */
		0xffff, /* outside */
		0xc000, /* into the header */
		0xc00b, 0x8000, 0x4000,
	};
	struct message m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = answer_to("a.example", A);
		assert_int_equal(m.size, 0x1b);
		put_a(&m, NULL, 60, "10.0.0.1");
		m.bytes[0x1b] = (uint8_t)(bad[i] >> 8);
		m.bytes[0x1c] = (uint8_t)bad[i];
		assert_string_equal(parsed(*state, &m), "error EBADMSG");
	}
	/* forward, to a name that is there: nobody writes so, and who reads it may go round */
	m = answer_to("a.example", A);
	put_record(&m, 0xc000 | 0x2b, NULL, A, 60, 4);
	put32(&m, 0x0a000001);
	assert_int_equal(m.size, 0x2b);
	put_a(&m, "a.example", 60, "10.0.0.2");
	assert_string_equal(parsed(*state, &m), "error EBADMSG");
	/* two that point at one another, in the names of canonical names */
	m = answer_to("a.example", A);
	put_record(&m, AT_QUESTION, NULL, CNAME, 60, 2);
	put16(&m, 0xc000 | (unsigned int)(m.size + 14));
	put_record(&m, AT_QUESTION, NULL, CNAME, 60, 2);
	put16(&m, 0xc000 | (unsigned int)(m.size - 14));
	assert_string_equal(parsed(*state, &m), "error EBADMSG");
	/* a pointer in the question has nothing to point at */
	m = answer_to("", A);
	m.size = 12;
	put16(&m, AT_QUESTION);
	put16(&m, A);
	put16(&m, 1);
	put_a(&m, NULL, 60, "10.0.0.1");
	assert_string_equal(parsed(*state, &m), "error EBADMSG");
}

/* Each label a letter and a pointer to the one before: the longest way that a message can have. */
static void way_along_pointers_is_short(void **state)
{
	for (int links = 20; links <= 40; links += 20) {
		struct message m = answer_to("a.example", A);
		unsigned int last = 12;

		for (int i = 0; i < links; i++) {
			put_record(&m, AT_QUESTION, NULL, 16, 60, 4);
			put8(&m, 1);
			put8(&m, 'x');
			put16(&m, 0xc000 | last);
			last = (unsigned int)m.size - 4;
		}
		put_record(&m, 0xc000 | last, NULL, A, 60, 4);
		put32(&m, 0x0a000001);
		assert_string_equal(parsed(*state, &m), links > 32 ? "error EBADMSG" : "");
	}
}

static void wrong_sizes_and_counts_break_the_message(void **state)
{
	struct message m = answer_to("a.example", A), cut;

	put_a(&m, NULL, 60, "10.0.0.1");
	/* one record more than there is */
	m.bytes[7] = 2;
	assert_string_equal(parsed(*state, &m), "error EBADMSG");
	m.bytes[6] = 0xff;
	assert_string_equal(parsed(*state, &m), "error EBADMSG");
	m.bytes[6] = 0;
	m.bytes[7] = 1;
	/* an address of another size */
	for (unsigned int size = 0; size < 10; size++) {
		struct message other = answer_to("a.example", A);

		put_record(&other, AT_QUESTION, NULL, A, 60, size);
		put(&other, m.bytes, size);
		assert_string_equal(parsed(*state, &other),
				    size == 4 ? "a.example 18.52.129.128/60" : "error EBADMSG");
	}
	/* a canonical name that ends before or behind its record */
	for (int off = -1; off <= 1; off += 2) {
		struct message other = answer_to("a.example", A);

		put_record(&other, AT_QUESTION, NULL, CNAME, 60, (unsigned int)(11 + off));
		put_name(&other, "b.example");
		if (off > 0)
			put8(&other, 0);
		put_a(&other, "b.example", 60, "10.0.0.1");
		assert_string_equal(parsed(*state, &other), "error EBADMSG");
	}
	/* cut anywhere */
	for (cut = m; cut.size > 0;) {
		struct ebb_dns_answer answer;

		cut.size--;
		assert_int_equal(parse_bytes(*state, cut.bytes, cut.size, &answer), -EBADMSG);
	}
}

static void names_have_at_most_255_bytes(void **state)
{
	static const char label[] =
		"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"; /* 63 */
	char name[300];

	/* 253 characters are 255 bytes */
	for (int last = 61; last <= 62; last++) {
		struct message m;

		(void)snprintf(name, sizeof(name), "%s.%s.%s.%.*s", label, label, label, last, label);
		m = answer_to(name, A);
		put_a(&m, NULL, 60, "10.0.0.1");
		if (last == 61) {
			char expected[320];

			(void)snprintf(expected, sizeof(expected), "%s 10.0.0.1/60", name);
			assert_string_equal(parsed(*state, &m), expected);
		} else {
			assert_string_equal(parsed(*state, &m), "error EBADMSG");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_with_their_time),
		cmocka_unit_test(edns_and_what_else_stands_behind_the_answers_is_let_alone),
		cmocka_unit_test(addresses_at_the_end_of_a_chain_belong_to_the_name_that_was_asked_for),
		cmocka_unit_test(records_of_other_types_are_passed_over),
		cmocka_unit_test(times_are_cut_and_negative_ones_are_none),
		cmocka_unit_test(one_address_twice_is_one),
		cmocka_unit_test(the_unspecified_address_is_no_address),
		cmocka_unit_test(truncated_answer_counts_for_what_it_holds),
		cmocka_unit_test(more_addresses_than_there_is_room_for_are_left_out),
		cmocka_unit_test(what_is_no_answer_about_addresses_says_nothing),
		cmocka_unit_test(questions_for_other_types_say_nothing),
		cmocka_unit_test(names_that_no_host_has_are_not_shown_to_anybody),
		cmocka_unit_test(addresses_of_another_name_are_not_taken),
		cmocka_unit_test(chains_in_a_circle_and_without_end_are_refused),
		cmocka_unit_test(pointers_lead_back_or_the_message_is_broken),
		cmocka_unit_test(way_along_pointers_is_short),
		cmocka_unit_test(wrong_sizes_and_counts_break_the_message),
		cmocka_unit_test(names_have_at_most_255_bytes),
	};

	return cmocka_run_group_tests_name("dns", tests, set_up, tear_down);
}

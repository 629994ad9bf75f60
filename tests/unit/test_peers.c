/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, and who makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "export/peers.h"

#define PLACES 8

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = {};
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		address.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		address.ss_family = AF_INET6;
	return address;
}

static struct ebb_peer peer_of(const char *theirs, const char *ours)
{
	const struct sockaddr_storage peer = address_of(theirs), own = address_of(ours);
	struct ebb_peer result;

	ebb_peer_of_address(&peer, &own, &result);
	return result;
}

static void who_is_on_this_machine_is_known(void **state)
{
	static const struct {
		const char *peer, *own;
		bool local;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", true},
		{"127.1.2.3", "127.0.0.1", true},
		{"::1", "::1", true},
		{"::ffff:127.0.0.1", "::ffff:127.0.0.1", true},
		{"10.0.0.5", "10.0.0.5", true}, /* a probe of a pod with the node's network */
		{"::ffff:10.0.0.5", "::ffff:10.0.0.5", true},
		{"2001:db8::5", "2001:db8::5", true},
		{"10.0.0.6", "10.0.0.5", false},
		{"2001:db8::6", "2001:db8::5", false},
		{"::ffff:10.0.0.6", "::ffff:10.0.0.5", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (peer_of(cases[i].peer, cases[i].own).local != cases[i].local)
			fail_msg("%s", cases[i].peer);
	}
}

static void one_machine_is_one_network(void **state)
{
	static const struct {
		const char *one, *other;
		bool address, network; /* is the same */
	} cases[] = {
		{"10.0.0.5", "10.0.0.5", true, true},
		{"10.0.0.5", "::ffff:10.0.0.5", true, true},
		{"10.0.0.5", "10.0.0.6", false, false},
		{"::ffff:10.0.0.5", "::ffff:10.0.0.6", false, false},
		{"2001:db8::1", "2001:db8::1", true, true},
		{"2001:db8::1", "2001:db8::ffff:1", false, true},
		{"2001:db8::1", "2001:db8:0:1::1", false, false},
		{"127.0.0.1", "127.0.0.2", false, true},
		{"127.0.0.1", "::1", false, true},
		{"127.0.0.1", "192.0.2.1", false, true}, /* the machine's own */
		{"127.0.0.1", "192.0.2.2", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ebb_peer one = peer_of(cases[i].one, "192.0.2.1"),
				      other = peer_of(cases[i].other, "192.0.2.1");

		if ((memcmp(one.address, other.address, sizeof(one.address)) == 0) != cases[i].address ||
		    (memcmp(one.network, other.network, sizeof(one.network)) == 0) != cases[i].network)
			fail_msg("%s and %s", cases[i].one, cases[i].other);
	}
}

/* a, b, c are addresses, x, y, z of one network, l, m, n of this machine. */
static struct ebb_peer peer_named(char letter)
{
	static const char *const networks[] = {"xyz", "lmn"};
	struct ebb_peer peer = {.network = {(uint8_t)letter}, .address = {(uint8_t)letter}};

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		if (strchr(networks[i], letter))
			peer.network[0] = (uint8_t)networks[i][0];
	}
	peer.local = peer.network[0] == 'l';
	return peer;
}

/* One letter for each place, a point for nobody; a capital cannot be asked to go. They came one after the other. */
static size_t chosen_of(const char *places)
{
	struct ebb_guest guests[PLACES] = {};

	for (size_t i = 0; i < PLACES; i++) {
		bool stays = places[i] >= 'A' && places[i] <= 'Z';

		guests[i] = (struct ebb_guest){
			.peer = peer_named((char)(places[i] | 0x20)),
			.here = places[i] != '.',
			.stays = stays,
			.deadline_ns = i + 1,
		};
	}
	return ebb_peers_choose(guests, PLACES);
}

static void the_oldest_of_who_holds_most_goes(void **state)
{
	static const struct {
		const char *places;
		size_t chosen; /* PLACES: none */
	} cases[] = {
		{"........", PLACES}, {"abbc....", 1}, {"aabb....", 0},
		{"....a...", 4},      {"abBBBc..", 1}, /* what has to stay counts */
		{"aBBBBc..", 0},		       /* who holds most has nobody who could go */
		{"AABB....", PLACES}, {"lllla...", 4}, /* up to half is left to this machine */
		{"lllla..l", 0},		       /* not more */
		{"ll..mm..", 0},		       /* there is nobody else */
		{"LLLL.abb", 6},      {"mlmlnla.", 1}, /* all of this machine together: the one that holds most */
		{"lmnlmna.", 0},      {"lm..nab.", 5}, /* not all have half */
		{"xyzaa...", 0},      {"xyyzaa..", 1}, /* in a network, the address that holds most */
		{"xYYYaa..", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (chosen_of(cases[i].places) != cases[i].chosen)
			fail_msg("%s: %zu", cases[i].places, chosen_of(cases[i].places));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_on_this_machine_is_known),
		cmocka_unit_test(one_machine_is_one_network),
		cmocka_unit_test(the_oldest_of_who_holds_most_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which messages the ingress program hands over, and what it says of the socket that gets
 * them. The name servers are sockets of the test; programs that resolve for real are in
 * tests/e2e/test_names.sh.
 */
#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SERVER	"127.0.0.9"
#define SERVER6 "::1"

/* What came out of the ring. */
struct taken {
	size_t count;
	struct ebb_dns_head head; /* of the last */
	uint8_t bytes[EBB_DNS_BYTES_MAX];
};

static void on_answer(void *userdata, const struct ebb_dns_head *head, const uint8_t *bytes)
{
	struct taken *taken = userdata;

	taken->count++;
	taken->head = *head;
	memcpy(taken->bytes, bytes, head->length);
}

static struct taken take(const struct fixture *fx)
{
	struct taken taken = {0};

	assert_true(ebb_loader_answers_take(fx->loader, 1000, on_answer, &taken) >= 0);
	return taken;
}

static void want_answers(const struct fixture *fx, bool wanted)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_answers(fx->loader, wanted, &why) < 0)
		fail_msg("%s", why.text);
}

/* An answer with one record for "a." of @length bytes, filled up at its end. */
static size_t message(uint8_t *bytes, size_t length)
{
	static const uint8_t start[] = {
		0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0,  0, 0, /* header: an answer, one question, one record */
		1,    'a',  0,	  0,	1, 0, 1,		 /* a. IN A */
		0xc0, 12,   0,	  1,	0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 7, /* a. 60 IN A 10.0.0.7 */
	};

	assert_true(length >= sizeof(start));
	memset(bytes, 0x5a, length);
	memcpy(bytes, start, sizeof(start));
	return length;
}

#define SHORT 40 /* the shortest that message() makes, and a little */

/* A socket bound to port 53 of @text: a name server. */
static int serve_at(const char *text, struct address *ret_at)
{
	int fd;

	*ret_at = udp_address(text, 53);
	fd = udp_socket(ret_at->sa.sa_family);
	assert_int_equal(bind(fd, &ret_at->sa, ret_at->length), 0);
	return fd;
}

static void answer_to(int server, const struct address *to, const uint8_t *bytes, size_t length)
{
	assert_int_equal(sendto(server, bytes, length, 0, &to->sa, to->length), (ssize_t)length);
}

/* The program lets everything through: what was sent has arrived. */
static void receive(int fd, const uint8_t *bytes, size_t length)
{
	uint8_t got[65536];
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&readable, 1, 10000), 1);
	assert_int_equal(recv(fd, got, sizeof(got), 0), (ssize_t)length);
	assert_memory_equal(got, bytes, length);
}

/* Asks @server from @fd, connected or not, and has @length bytes answered to it. */
static void exchange(int fd, int server, const struct address *at, bool connected, size_t length)
{
	uint8_t bytes[65536];
	struct address from;

	(void)message(bytes, length);
	assert_int_equal(connected ? udp_send(fd) : udp_send_to(fd, at), 0);
	udp_receive(server, &from);
	answer_to(server, &from, bytes, length);
	receive(fd, bytes, length);
}

static bool came_from(const struct taken *taken, const char *text)
{
	struct address a = udp_address(text, 0);
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};

	if (a.sa.sa_family == AF_INET6)
		return memcmp(taken->head.from, &a.v6.sin6_addr, 16) == 0;
	memcpy(mapped + 12, &a.v4.sin_addr, 4);
	return memcmp(taken->head.from, mapped, 16) == 0;
}

/* ------------------------------------------------------------------- cases -- */

static void answer_to_who_asked_is_handed_over_whole(void **state)
{
	static const struct {
		const char *server, *to;
		bool connected;
	} cases[] = {
		{SERVER, SERVER, false},	   {SERVER, SERVER, true},
		{SERVER6, SERVER6, false},	   {SERVER6, SERVER6, true},
		{SERVER, "::ffff:" SERVER, false}, {SERVER, "::ffff:" SERVER, true},
	};
	struct fixture *fx = *state;

	want_answers(fx, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address at, to = udp_address(cases[i].to, 53);
		int server = serve_at(cases[i].server, &at), fd = udp_socket(to.sa.sa_family);
		uint8_t bytes[SHORT];
		struct taken taken;

		if (cases[i].connected)
			assert_int_equal(dial(fd, &to), 0);
		exchange(fd, server, &to, cases[i].connected, message(bytes, sizeof(bytes)));
		taken = take(fx);
		assert_int_equal(taken.count, 1);
		assert_int_equal(taken.head.length, sizeof(bytes));
		assert_memory_equal(taken.bytes, bytes, sizeof(bytes));
		assert_true(came_from(&taken, cases[i].server));
		assert_true(taken.head.workload == fx->cgroup_id);
		assert_true(taken.head.flags & EBB_DNS_ASKED);
		assert_false(taken.head.flags & EBB_DNS_INITIAL);
		assert_true(taken.head.flags & EBB_DNS_LOCAL);
		assert_true(taken.head.netns != 0);
		assert_true(now_ns() - taken.head.at_ns < DEADLINE_NS);
		hang_up(&fd);
		hang_up(&server);
	}
}

/* Ruling 3: what nobody asked for is told apart. */
static void answer_of_a_server_that_was_not_asked_says_so(void **state)
{
	struct fixture *fx = *state;
	struct address at, liar_at, from;
	int server = serve_at(SERVER, &at), liar = serve_at("127.0.0.66", &liar_at);
	int fd = udp_socket(AF_INET);
	uint8_t bytes[SHORT];
	struct taken taken;

	(void)message(bytes, sizeof(bytes));
	want_answers(fx, true);
	assert_int_equal(udp_send_to(fd, &at), 0);
	udp_receive(server, &from);
	answer_to(liar, &from, bytes, sizeof(bytes));
	receive(fd, bytes, sizeof(bytes));
	taken = take(fx);
	assert_int_equal(taken.count, 1);
	assert_true(came_from(&taken, "127.0.0.66"));
	assert_false(taken.head.flags & EBB_DNS_ASKED);
	/* and the one that was asked is believed after it */
	answer_to(server, &from, bytes, sizeof(bytes));
	receive(fd, bytes, sizeof(bytes));
	taken = take(fx);
	assert_int_equal(taken.count, 1);
	assert_true(taken.head.flags & EBB_DNS_ASKED);
}

/* Resolvers of musl and c-ares ask several servers by one socket, and take the first answer. */
static void the_last_servers_of_a_socket_are_remembered(void **state)
{
	struct fixture *fx = *state;
	struct address at[6], from;
	int servers[6], fd = udp_socket(AF_INET);
	uint8_t bytes[SHORT];

	(void)message(bytes, sizeof(bytes));
	want_answers(fx, true);
	for (int i = 0; i < 6; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "127.0.1.%d", i + 1);
		servers[i] = serve_at(text, &at[i]);
		/* each more than once: one entry is enough */
		for (int n = 0; n < 3; n++) {
			assert_int_equal(udp_send_to(fd, &at[i]), 0);
			udp_receive(servers[i], &from);
		}
	}
	for (int i = 0; i < 6; i++) {
		struct taken taken;

		answer_to(servers[i], &from, bytes, sizeof(bytes));
		receive(fd, bytes, sizeof(bytes));
		taken = take(fx);
		assert_int_equal(taken.count, 1);
		assert_int_equal(taken.head.flags & EBB_DNS_ASKED, i >= 2 ? EBB_DNS_ASKED : 0);
	}
}

/* Large answers (EDNS) are whole or not at all; their program gets them either way. */
static void answer_is_whole_or_not_there(void **state)
{
	static const struct {
		size_t length;
		bool taken;
	} cases[] = {{SHORT, true},
		     {256, true},
		     {257, true},
		     {1232, true},
		     {1280, true},
		     {1281, true},
		     {EBB_DNS_BYTES_MAX, true},
		     {EBB_DNS_BYTES_MAX + 1, false},
		     {60000, false}};
	struct fixture *fx = *state;
	struct address at;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);
	uint64_t lost = 0;

	fx->errors_allowed |= 1U << EBB_ERR_DNS_LOST;
	want_answers(fx, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[65536];
		struct taken taken;

		(void)message(bytes, cases[i].length);
		exchange(fd, server, &at, false, cases[i].length);
		taken = take(fx);
		assert_int_equal(taken.count, cases[i].taken ? 1 : 0);
		lost += !cases[i].taken;
		assert_int_equal(error_count(fx, EBB_ERR_DNS_LOST), lost);
		if (!cases[i].taken)
			continue;
		assert_int_equal(taken.head.length, cases[i].length);
		assert_memory_equal(taken.bytes, bytes, cases[i].length);
	}
}

/* No addresses in it, or no answer at all: nobody is woken. */
static void what_holds_no_addresses_stays_below(void **state)
{
	static const struct {
		size_t at; /* the byte that is changed */
		uint8_t value;
		size_t length;
	} cases[] = {
		{2, 0x01, SHORT},		 /* a question */
		{2, 0xa1, SHORT},		 /* an update */
		{3, 0x83, SHORT},		 /* NXDOMAIN */
		{3, 0x82, SHORT},		 /* SERVFAIL */
		{5, 2, SHORT},			 /* two questions */
		{5, 0, SHORT},	  {7, 0, SHORT}, /* no data */
		{0, 0, 11},			 /* cut in its header */
		{0, 0, 1},	  {0, 0, 0},
	};
	struct fixture *fx = *state;
	struct address at, from;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);
	uint8_t bytes[SHORT];

	want_answers(fx, true);
	assert_int_equal(udp_send_to(fd, &at), 0);
	udp_receive(server, &from);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)message(bytes, sizeof(bytes));
		bytes[cases[i].at] = cases[i].value;
		answer_to(server, &from, bytes, cases[i].length);
		receive(fd, bytes, cases[i].length);
		assert_int_equal(take(fx).count, 0);
	}
	assert_int_equal(error_count(fx, EBB_ERR_DNS_LOST), 0);
	/* the same socket still gets what is one */
	exchange(fd, server, &at, false, SHORT);
	assert_int_equal(take(fx).count, 1);
}

static void other_ports_are_let_alone(void **state)
{
	struct fixture *fx = *state;
	struct address at, from;
	int server = udp_bound_at(SERVER, &at), fd = udp_socket(AF_INET);
	uint8_t bytes[SHORT];

	(void)message(bytes, sizeof(bytes));
	want_answers(fx, true);
	for (int connected = 0; connected < 2; connected++) {
		if (connected)
			assert_int_equal(dial(fd, &at), 0);
		assert_int_equal(connected ? udp_send(fd) : udp_send_to(fd, &at), 0);
		udp_receive(server, &from);
		answer_to(server, &from, bytes, sizeof(bytes));
		receive(fd, bytes, sizeof(bytes));
		assert_int_equal(take(fx).count, 0);
	}
}

/* A server in another network namespace: what the socket's own cannot make up on its own. */
static void answer_over_a_wire_is_not_local(void **state)
{
	struct fixture *fx = *state;
	struct address at = udp_address(FAR4, 53);
	int far = namespace_far(), fd = udp_socket(AF_INET), server;
	struct taken taken;

	want_answers(fx, true);
	namespace_enter(far);
	server = serve_at(FAR4, &at);
	namespace_enter(fx->ns);
	exchange(fd, server, &at, false, SHORT);
	taken = take(fx);
	assert_int_equal(taken.count, 1);
	assert_int_equal(taken.head.flags, EBB_DNS_ASKED);
}

/* ---------------------------------------------------------------------- TCP -- */

static void send_bytes(int fd, const uint8_t *bytes, size_t length)
{
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void answer_in_one_segment_of_tcp_is_handed_over(void **state)
{
	static const char *const texts[] = {SERVER, SERVER6};
	struct fixture *fx = *state;

	want_answers(fx, true);
	for (size_t i = 0; i < 2; i++) {
		struct address at = address(texts[i], 53);
		int one = 1, listener = tcp_socket(at.sa.sa_family), fd = tcp_socket(at.sa.sa_family), peer;
		uint8_t bytes[2 + SHORT] = {0, SHORT};
		struct taken taken;

		(void)message(bytes + 2, SHORT);
		assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
		assert_int_equal(bind(listener, &at.sa, at.length), 0);
		assert_int_equal(listen(listener, 8), 0);
		assert_int_equal(dial(fd, &at), 0);
		peer = accept_from(listener);
		send_bytes(peer, bytes, sizeof(bytes));
		receive(fd, bytes, sizeof(bytes));
		taken = take(fx);
		assert_int_equal(taken.count, 1);
		assert_int_equal(taken.head.length, SHORT);
		assert_memory_equal(taken.bytes, bytes + 2, SHORT);
		assert_true(came_from(&taken, texts[i]));
		assert_true(taken.head.flags & EBB_DNS_ASKED);
		assert_true(taken.head.workload == fx->cgroup_id);
		/* in two pieces: neither is one */
		send_bytes(peer, bytes, 20);
		receive(fd, bytes, 20);
		send_bytes(peer, bytes + 20, sizeof(bytes) - 20);
		receive(fd, bytes + 20, sizeof(bytes) - 20);
		assert_int_equal(take(fx).count, 0);
		hang_up(&fd);
		hang_up(&peer);
		hang_up(&listener);
	}
}

/* ------------------------------------------------------------------- on demand -- */

static bool is_attached(const struct fixture *fx)
{
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(fx->pin_dir, links);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(links[i].name, "ingress") == 0)
			return links[i].attached;
	}
	return false;
}

/* Ruling 12. */
static void program_is_there_only_while_it_is_wanted(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);

	assert_false(is_attached(fx));
	exchange(fd, server, &at, false, SHORT);
	assert_int_equal(take(fx).count, 0);
	want_answers(fx, true);
	want_answers(fx, true);
	assert_true(is_attached(fx));
	exchange(fd, server, &at, false, SHORT);
	assert_int_equal(take(fx).count, 1);
	want_answers(fx, false);
	assert_false(is_attached(fx));
	assert_int_equal(fx->view->agent->answers, 0);
	exchange(fd, server, &at, false, SHORT);
	assert_int_equal(take(fx).count, 0);
}

static void next_loader_takes_the_program_over(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);

	want_answers(fx, true);
	fixture_close_loader(fx);
	assert_true(is_attached(fx));
	fixture_open_loader(fx);
	assert_true(is_attached(fx));
	exchange(fd, server, &at, false, SHORT);
	assert_int_equal(take(fx).count, 1);
	want_answers(fx, false);
	assert_false(is_attached(fx));
}

/* A full ring costs names, never packets. */
static void full_ring_loses_answers_and_counts_them(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);
	uint64_t sent = 0;

	fx->errors_allowed |= 1U << EBB_ERR_DNS_LOST;
	want_answers(fx, true);
	while (error_count(fx, EBB_ERR_DNS_LOST) < 3) {
		exchange(fd, server, &at, false, EBB_DNS_BYTES_MAX);
		sent++;
		assert_true(sent < 1000);
	}
	assert_int_equal(take(fx).count, sent - 3);
	exchange(fd, server, &at, false, EBB_DNS_BYTES_MAX);
	assert_int_equal(take(fx).count, 1);
}

static void ring_wakes_and_stops_where_it_is_told_to(void **state)
{
	struct fixture *fx = *state;
	struct pollfd ring = {.fd = ebb_loader_answers_fd(fx->loader), .events = POLLIN};
	struct address at;
	int server = serve_at(SERVER, &at), fd = udp_socket(AF_INET);
	struct taken taken = {0};

	want_answers(fx, true);
	assert_int_equal(poll(&ring, 1, 0), 0);
	for (int i = 0; i < 5; i++)
		exchange(fd, server, &at, false, SHORT);
	assert_int_equal(poll(&ring, 1, 10000), 1);
	assert_int_equal(ebb_loader_answers_take(fx->loader, 2, on_answer, &taken), 2);
	assert_int_equal(taken.count, 2);
	assert_int_equal(ebb_loader_answers_take(fx->loader, 4, on_answer, &taken), 3);
	assert_int_equal(taken.count, 5);
	assert_int_equal(poll(&ring, 1, 0), 0);
}

static struct fixture_options old_kernel = {.no_rdonly_cast = true};

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(answer_to_who_asked_is_handed_over_whole),
		bpf_test(answer_of_a_server_that_was_not_asked_says_so),
		bpf_test(the_last_servers_of_a_socket_are_remembered),
		bpf_test(answer_is_whole_or_not_there),
		bpf_test(what_holds_no_addresses_stays_below),
		bpf_test(other_ports_are_let_alone),
		bpf_test(answer_over_a_wire_is_not_local),
		bpf_test(answer_in_one_segment_of_tcp_is_handed_over),
		bpf_test(program_is_there_only_while_it_is_wanted),
		bpf_test(next_loader_takes_the_program_over),
		bpf_test(full_ring_loses_answers_and_counts_them),
		bpf_test(ring_wakes_and_stops_where_it_is_told_to),
		bpf_test_with(answer_to_who_asked_is_handed_over_whole, &old_kernel),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests_name("test_dns", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP: what makes a destination, what asks the gate, what is counted, and for whom.
 * Nothing reads at the other end unless the test says so; a datagram that nobody
 * reads was sent all the same.
 */
#include "fixture.h"

#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limit.h"
#include "kernel/probe.h"

#define SECOND_NS 1000000000ULL
#define FOR_EVER  EBB_UNTIL_MASK

/* A port of a service, that clients do not get from the stack. */
#define SERVICE_PORT 5300

static struct fixture_options old_kernel = {.no_rdonly_cast = true};

static void send_once(const struct address *to, int expected)
{
	int fd = udp_socket(to->sa.sa_family);

	assert_int_equal(udp_send_to(fd, to), expected);
	hang_up(&fd);
}

static void dial_once(const struct address *to, int expected)
{
	int fd = udp_socket(to->sa.sa_family);

	assert_int_equal(dial(fd, to), expected);
	hang_up(&fd);
}

/* A socket that is bound to the port itself. */
static int serve_at(const char *text, uint16_t port)
{
	struct address at = udp_address(text, port);
	int fd = udp_socket(at.sa.sa_family);

	assert_int_equal(bind(fd, &at.sa, at.length), 0);
	return fd;
}

static uint32_t destinations(const struct fixture *fx)
{
	uint32_t live = 0;

	for (uint32_t slot = 1; slot < fx->view->dst_max; slot++)
		live += fx->view->dsts[slot].state == EBB_SLOT_LIVE;
	return live;
}

/* ------------------------------------------------------- what is discovered -- */

static void datagram_makes_its_destination_and_is_counted(void **state)
{
	static const char *const texts[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
	struct fixture *fx = *state;

	for (size_t i = 0; i < 3; i++) {
		struct address at, to;
		int fd;

		(void)udp_bound_at(i == 1 ? "::1" : "127.0.0.1", &at);
		to = udp_address(texts[i], port_of(&at));
		fd = udp_socket(to.sa.sa_family);
		for (int n = 0; n < 3; n++)
			assert_int_equal(udp_send_to(fd, &to), 0);
		hang_up(&fd);
		/* IPv4-mapped is the same destination as IPv4 */
		at.udp = true;
		expect_pair(fx, &at, .sent_packets = 3);
		assert_int_equal(dst_of(fx, &at)->endpoint.proto, IPPROTO_UDP);
		assert_int_equal(destinations(fx), i + 1);
	}
}

static void tcp_and_udp_of_one_port_are_two_destinations(void **state)
{
	struct fixture *fx = *state;
	struct address tcp, udp;
	int fd = tcp_socket(AF_INET);

	(void)listen_at("127.0.0.1", &tcp);
	udp = udp_address("127.0.0.1", port_of(&tcp));
	send_once(&udp, 0);
	assert_int_equal(dial(fd, &tcp), 0);
	hang_up(&fd);
	expect_pair(fx, &udp, .sent_packets = 1);
	expect_pair(fx, &tcp, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void connect_alone_makes_no_destination(void **state)
{
	struct fixture *fx = *state;
	struct address to = udp_address("127.0.0.1", 53), to6 = udp_address("::1", 53),
		       mapped = udp_address("::ffff:127.0.0.1", 53);

	dial_once(&to, 0);
	dial_once(&to6, 0);
	dial_once(&mapped, 0);
	assert_int_equal(destinations(fx), 0);
	expect_other(fx, .attempts = 0);
}

/* glibc connects to each address to sort them (RFC 6724). */
static void looking_up_a_name_makes_no_destination(void **state)
{
	struct fixture *fx = *state;
	struct addrinfo *found = NULL;

	shell("ip -6 addr add fd00:eb::9/128 dev lo nodad");
	assert_int_equal(getaddrinfo("localhost", "443", NULL, &found), 0);
	assert_non_null(found);
	freeaddrinfo(found);
	assert_int_equal(destinations(fx), 0);
	assert_int_equal(fx->view->kernel->pair_high, 0);
}

static void connect_to_a_known_destination_is_counted(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd, receiver = udp_bound_at("127.0.0.1", &to);
	struct address from;

	send_once(&to, 0);
	udp_receive(receiver, &from);
	fd = udp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(udp_send(fd), 0);
	udp_receive(receiver, &from);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .sent_packets = 1);
	/* an address stands above the connection, and passes the hook as without one */
	assert_int_equal(udp_send_to(fd, &to), 0);
	udp_receive(receiver, &from);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .sent_packets = 2);
	hang_up(&fd);
}

/* The stack takes the socket for unconnected then, and calls the hook without an address. */
static void control_message_on_a_connected_socket_makes_no_destination(void **state)
{
	static const struct {
		const char *text;
		int level, type;
	} cases[] = {{"127.0.0.1", IPPROTO_IP, IP_TTL}, {"::1", IPPROTO_IPV6, IPV6_HOPLIMIT}};
	struct fixture *fx = *state;

	for (size_t i = 0; i < 2; i++) {
		union {
			struct cmsghdr header;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control = {0};
		char byte = 0;
		struct iovec part = {.iov_base = &byte, .iov_len = 1};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		struct address to, from;
		int receiver = udp_bound_at(cases[i].text, &to);
		int fd = udp_socket(to.sa.sa_family), hops = 9;

		control.header.cmsg_level = cases[i].level;
		control.header.cmsg_type = cases[i].type;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &hops, sizeof(hops));
		assert_int_equal(dial(fd, &to), 0);
		assert_int_equal(sendmsg(fd, &message, 0), 1);
		udp_receive(receiver, &from);
		hang_up(&fd);
	}
	assert_int_equal(destinations(fx), 0);
}

/* The stack gives the hook the peer's address with each datagram. */
static void datagram_of_a_socket_connected_to_a_mapped_address_is_counted(void **state)
{
	struct fixture *fx = *state;
	struct address at, to, from;
	int receiver = udp_bound_at("127.0.0.1", &at), fd = udp_socket(AF_INET6);

	to = udp_address("::ffff:127.0.0.1", port_of(&at));
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(destinations(fx), 0);
	assert_int_equal(udp_send(fd), 0);
	udp_receive(receiver, &from);
	expect_pair(fx, &at, .sent_packets = 1);
	hang_up(&fd);
}

static void multicast_and_broadcast_are_destinations_like_others(void **state)
{
	struct fixture *fx = *state;
	struct address group = udp_address("224.0.0.251", 5353), all = udp_address("10.123.0.255", 9);
	int fd, yes = 1;

	(void)namespace_far();
	shell("ip route add 224.0.0.0/4 dev near0");
	send_once(&group, 0);
	fd = udp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes)), 0);
	assert_int_equal(udp_send_to(fd, &all), 0);
	hang_up(&fd);
	expect_pair(fx, &group, .sent_packets = 1);
	expect_pair(fx, &all, .sent_packets = 1);
}

/* What serves on a port is no client of those who ask it. */
static void answer_makes_no_destination(void **state)
{
	static const char *const texts[] = {"127.0.0.1", "::1"};
	struct fixture *fx = *state;

	for (size_t i = 0; i < 2; i++) {
		int server = serve_at(texts[i], SERVICE_PORT);
		struct address at = udp_address(texts[i], SERVICE_PORT), from;
		int client = udp_socket(at.sa.sa_family);

		assert_int_equal(udp_send_to(client, &at), 0);
		udp_receive(server, &from);
		assert_int_equal(udp_send_to(server, &from), 0);
		expect_pair(fx, &at, .sent_packets = 1);
		assert_int_equal(dst_slot_of(fx, &from), -1);
		/* but one with a lower port is a service that it asks */
		at = udp_address(texts[i], SERVICE_PORT - 1);
		assert_int_equal(udp_send_to(server, &at), 0);
		expect_pair(fx, &at, .sent_packets = 1);
	}
	assert_int_equal(destinations(fx), 4);
}

/* Its port is the lower one by chance: nobody chose it. */
static void client_with_a_low_port_of_the_stack_is_a_client(void **state)
{
	struct fixture *fx = *state;
	struct address to = udp_address("127.0.0.1", 40000), to6 = udp_address("::1", 40000);

	write_file("/proc/sys/net/ipv4/ip_local_port_range", "2000 2100");
	send_once(&to, 0);
	send_once(&to6, 0);
	/* before 6.2 it cannot be told of an IPv4 socket */
	if (ebb_probe_one(EBB_FEATURE_CAST) == 0)
		expect_pair(fx, &to, .sent_packets = 1);
	expect_pair(fx, &to6, .sent_packets = 1);
}

/* ---------------------------------------------------------------- refusals -- */

static const struct {
	enum ebb_errno code;
	int err;
} codes[] = {{EBB_ERRNO_CONNREFUSED, -ECONNREFUSED},
	     {EBB_ERRNO_HOSTUNREACH, -EHOSTUNREACH},
	     {EBB_ERRNO_TIMEDOUT, -ETIMEDOUT},
	     {EBB_ERRNO_PERM, -EPERM}};

static void open_gate_refuses_datagrams_and_connects_with_the_configured_errno(void **state)
{
	static const char *const texts[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();

	for (size_t a = 0; a < 3; a++) {
		for (size_t c = 0; c < EBB_ERRNO_MAX; c++) {
			int fd, err = -1, receiver;
			socklen_t length = sizeof(err);
			struct address at, to, from;

			receiver = udp_bound_at(a == 1 ? "::1" : "127.0.0.1", &at);
			policy.errno_code = codes[c].code;
			policy.limits_errno = policy.errno_code;
			enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
			to = udp_address(texts[a], port_of(&at));
			send_once(&to, codes[c].err);
			fd = udp_socket(to.sa.sa_family);
			assert_int_equal(dial(fd, &to), codes[c].err);
			assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length), 0);
			assert_int_equal(err, 0);
			expect_pair(fx, &at, .denied[EBB_CAUSE_BREAKER] = 2);
			/* the socket can still be used, and the first datagram that comes is the first that passed */
			verdict_everywhere(fx, 0);
			assert_int_equal(dial(fd, &to), 0);
			assert_int_equal(udp_send(fd), 0);
			udp_receive(receiver, &from);
			expect_pair(fx, &at, .denied[EBB_CAUSE_BREAKER] = 2, .attempts = 1, .syn_sent = 1,
				    .established = 1, .sent_packets = a == 2);
			hang_up(&fd);
			hang_up(&receiver);
		}
	}
}

static void override_refuses_and_releases(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)udp_bound_at("127.0.0.1", &to);
	policy.override_state = EBB_OVERRIDE_OPEN;
	enforce_everywhere(fx, &policy, 0);
	send_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_OVERRIDE] = 2);
	policy.override_until_ns = now_ns() - 1;
	enforce_everywhere(fx, &policy, 0);
	send_once(&to, 0);
	policy.override_state = EBB_OVERRIDE_CLOSE;
	policy.override_until_ns = 0;
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	send_once(&to, 0);
	dial_once(&to, 0);
	expect_pair(fx, &to, .denied[EBB_CAUSE_OVERRIDE] = 2, .sent_packets = 2, .attempts = 1, .syn_sent = 1,
		    .established = 1);
}

static void observe_lets_through_and_counts_what_it_would_have_done(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)udp_bound_at("127.0.0.1", &to);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	send_once(&to, 0);
	dial_once(&to, 0);
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_BREAKER] = 2, .sent_packets = 1, .attempts = 1,
		    .syn_sent = 1, .established = 1);
}

static void stale_lease_refuses_no_datagram(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_LEASE_EXPIRED;
	(void)udp_bound_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	agent_absent(fx, 31 * SECOND_NS, 30 * SECOND_NS);
	send_once(&to, 0);
	expect_pair(fx, &to, .sent_packets = 1);
	assert_int_equal(error_count(fx, EBB_ERR_LEASE_EXPIRED), 1);
	agent_absent(fx, 29 * SECOND_NS, 30 * SECOND_NS);
	send_once(&to, -ECONNREFUSED);
}

/* UDP has no result that could end the state, so it neither waits for one nor stands in the way of a probe. */
static void half_open_gate_lets_udp_through_without_a_probe(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fds[10];

	(void)udp_bound_at("127.0.0.1", &to);
	policy.probes = 1;
	policy.limits.concurrent = 10;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	for (int i = 0; i < 10; i++) {
		fds[i] = udp_socket(AF_INET);
		assert_int_equal(udp_send_to(fds[i], &to), 0);
		assert_int_equal(dial(fds[i], &to), 0);
	}
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	/* the slots are those of the connections alone */
	assert_int_equal(gate_of(fx, &to)->in_use, 10);
	for (int i = 0; i < 10; i++)
		hang_up(&fds[i]);
	expect_pair(fx, &to, .sent_packets = 10, .attempts = 10, .syn_sent = 10, .established = 10);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	assert_int_equal(gate_of(fx, &to)->ok + gate_of(fx, &to)->failed, 0);
}

static struct fixture_options no_set_retval = {.no_set_retval = true};

/* A datagram that goes elsewhere would be no refusal: the address stays, and the errno is the hook's own. */
static void without_set_retval_it_is_eperm(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, to6;

	(void)udp_bound_at("127.0.0.1", &to);
	(void)udp_bound_at("::1", &to6);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	send_once(&to, -EPERM);
	send_once(&to6, -EPERM);
	dial_once(&to, -EPERM);
	dial_once(&to6, -EPERM);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 2);
	expect_pair(fx, &to6, .denied[EBB_CAUSE_BREAKER] = 2);
}

/* ------------------------------------------------------------- concurrency -- */

static void cap(struct fixture *fx, uint32_t concurrent)
{
	struct ebb_policy policy = policy_default();

	policy.limits.concurrent = concurrent;
	enforce_everywhere(fx, &policy, 0);
}

static void slot_comes_back_with_close_and_with_the_next_connect(void **state)
{
	struct fixture *fx = *state;
	struct address to, unknown = udp_address("127.0.0.1", 9), other;
	int fd, second = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	(void)udp_bound_at("127.0.0.1", &other);
	cap(fx, 1);
	send_once(&to, 0);
	send_once(&other, 0);
	fd = udp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(dial(second, &to), -ECONNREFUSED);
	expect_pair(fx, &to, .sent_packets = 1, .attempts = 1, .syn_sent = 1, .established = 1,
		    .denied[EBB_CAUSE_CONCURRENCY] = 1);
	/* datagrams need no slot */
	assert_int_equal(udp_send_to(second, &to), 0);
	/* the same again, another, and one that nobody knows */
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(dial(fd, &other), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_int_equal(gate_of(fx, &other)->in_use, 1);
	assert_int_equal(dial(second, &to), 0);
	assert_int_equal(dial(fd, &unknown), 0);
	assert_int_equal(gate_of(fx, &other)->in_use, 0);
	hang_up(&second);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	/* no hook runs at AF_UNSPEC */
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(undial(fd), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(dial(fd, &unknown), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(undial(fd), 0);
	hang_up(&fd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
}

static void refused_connect_leaves_the_socket_without_its_old_slot(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	cap(fx, 4);
	send_once(&to, 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	policy.limits.concurrent = 4;
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	hang_up(&fd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
}

static int connect_and_wait(void *argument)
{
	const struct address *to = argument;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (connect(fd, &to->sa, to->length) < 0)
		return 1;
	(void)pause();
	return 0;
}

static void killed_program_gives_its_slot_back(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	pid_t child;

	(void)udp_bound_at("127.0.0.1", &to);
	cap(fx, 1);
	send_once(&to, 0);
	child = spawn(connect_and_wait, &to);
	wait_for(gate_of(fx, &to)->in_use == 1);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	wait_for(gate_of(fx, &to)->in_use == 0);
	dial_once(&to, 0);
}

static void observed_cap_counts_and_takes_no_slot(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int held = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	policy.limits.concurrent = 1;
	policy_everywhere(fx, &policy);
	send_once(&to, 0);
	assert_int_equal(dial(held, &to), 0);
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	hang_up(&held);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	expect_pair(fx, &to, .sent_packets = 1, .attempts = 2, .syn_sent = 2, .established = 2,
		    .would_deny[EBB_CAUSE_CONCURRENCY] = 1);
}

/* ----------------------------------------------------- with the egress hook -- */

/* IPv4 and UDP headers, and the one byte that the tests send. */
#define WIRE_BYTES 29

static void watch_packets(struct fixture *fx)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_packets(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
}

static void first_datagram_of_a_connected_socket_makes_its_destination(void **state)
{
	struct fixture *fx = *state;
	struct address to, from;
	int receiver = udp_bound_at("127.0.0.1", &to), fd = udp_socket(AF_INET);

	watch_packets(fx);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(destinations(fx), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(udp_send(fd), 0);
		udp_receive(receiver, &from);
	}
	expect_pair(fx, &to, .sent_packets = 3);
	assert_int_equal(pair_of(fx, &to)->sent_bytes, 3 * WIRE_BYTES);
	hang_up(&fd);
}

/* What the sendmsg hook has counted is not counted again, also where the socket is connected to another. */
static void datagram_is_counted_once_and_where_it_went(void **state)
{
	struct fixture *fx = *state;
	struct address to, other;
	int fd = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	(void)udp_bound_at("127.0.0.1", &other);
	watch_packets(fx);
	assert_int_equal(udp_send_to(fd, &to), 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(udp_send_to(fd, &to), 0);
	assert_int_equal(udp_send_to(fd, &other), 0);
	assert_int_equal(udp_send(fd), 0);
	expect_pair(fx, &to, .sent_packets = 3, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(pair_of(fx, &to)->sent_bytes, 3 * WIRE_BYTES);
	expect_pair(fx, &other, .sent_packets = 1);
	assert_int_equal(pair_of(fx, &other)->sent_bytes, WIRE_BYTES);
	hang_up(&fd);
}

/* A rewritten packet still belongs to what the program asked for. */
static void packet_after_nat_counts_for_the_address_before(void **state)
{
	struct fixture *fx = *state;
	struct address at, from, service = udp_address("127.0.0.2", 5353);
	int receiver = udp_bound_at("127.0.0.1", &at);

	watch_packets(fx);
	shell("nft add table ip nat");
	shell("nft 'add chain ip nat out { type nat hook output priority -100; }'");
	shell("nft add rule ip nat out ip daddr 127.0.0.2 udp dport 5353 dnat to 127.0.0.1:%u", port_of(&at));
	send_once(&service, 0);
	udp_receive(receiver, &from);
	expect_pair(fx, &service, .sent_packets = 1);
	assert_int_equal(pair_of(fx, &service)->sent_bytes, WIRE_BYTES);
	assert_int_equal(dst_slot_of(fx, &at), -1);
}

static void answers_are_no_destinations_of_the_egress_hook_either(void **state)
{
	struct fixture *fx = *state;
	struct address at = udp_address("127.0.0.1", SERVICE_PORT), from;
	int server = serve_at("127.0.0.1", SERVICE_PORT), client = udp_socket(AF_INET);

	watch_packets(fx);
	assert_int_equal(udp_send_to(client, &at), 0);
	udp_receive(server, &from);
	assert_int_equal(udp_send_to(server, &from), 0);
	/* one for each client, as some servers do */
	assert_int_equal(dial(server, &from), 0);
	assert_int_equal(udp_send(server), 0);
	udp_receive(client, &from);
	expect_pair(fx, &at, .sent_packets = 1);
	assert_int_equal(destinations(fx), 1);
}

static void packets_over_the_limit_are_dropped_whichever_way_they_are_sent(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, other;
	int fd = udp_socket(AF_INET), connected = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	(void)udp_bound_at("127.0.0.1", &other);
	assert_int_equal(ebb_limit_make(1, 6, &policy.limits.bucket[EBB_LIMIT_PACKETS]), 0);
	enforce_everywhere(fx, &policy, 0);
	watch_packets(fx);
	assert_int_equal(dial(connected, &to), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(udp_send_to(fd, &to), 0);
		assert_int_equal(udp_send(connected), 0);
	}
	assert_int_equal(udp_send_to(fd, &to), -EPERM);
	assert_int_equal(udp_send(connected), -EPERM);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_PACKETS], 2);
	assert_int_equal(pair_of(fx, &to)->dropped_bytes[EBB_DROP_PACKETS], 2 * WIRE_BYTES);
	assert_int_equal(pair_of(fx, &to)->sent_bytes, 6 * WIRE_BYTES);
	/* another has its own */
	assert_int_equal(udp_send_to(fd, &other), 0);
}

/* -------------------------------------------------------- whose workload -- */

static uint64_t make_cgroup(const struct fixture *fx, char *ret_path, size_t size)
{
	struct stat st;

	(void)snprintf(ret_path, size, "%s/other", fx->cgroup);
	assert_int_equal(mkdir(ret_path, 0755), 0);
	assert_int_equal(stat(ret_path, &st), 0);
	return st.st_ino;
}

static void enter_cgroup(const char *path)
{
	char procs[FIXTURE_PATH_MAX + 32];

	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	write_file(procs, "0");
}

/* The only pair that @workload has with @to. */
static struct ebb_pair *pair_of_workload(const struct fixture *fx, const struct address *to,
					 uint64_t workload)
{
	uint32_t dst = (uint32_t)dst_slot_of(fx, to);

	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state == EBB_SLOT_LIVE && fx->view->pairs[slot].dst == dst &&
		    fx->view->pairs[slot].workload == workload)
			return &fx->view->pairs[slot];
	}
	return NULL;
}

/* A socket that was made in one cgroup, and used in another. */
static void used_elsewhere(struct fixture *fx, int family, const char *text, bool sockets)
{
	char other[FIXTURE_PATH_MAX + 16];
	uint64_t other_id = make_cgroup(fx, other, sizeof(other));
	struct want want = {.sent_packets = 2, .attempts = 1, .syn_sent = 1, .established = 1};
	struct address at, to;
	int fd = udp_socket(family);

	(void)udp_bound_at(strchr(text, '.') ? "127.0.0.1" : text, &at);
	to = udp_address(text, port_of(&at));
	enter_cgroup(other);
	assert_int_equal(udp_send_to(fd, &to), 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(udp_send_to(fd, &to), 0);
	fixture_join(fx);
	hang_up(&fd);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(pair_of_workload(fx, &at, fx->cgroup_id) != NULL, sockets);
	assert_int_equal(pair_of_workload(fx, &at, other_id) != NULL, !sockets);
	expect_pair_at(fx, pair_of_workload(fx, &at, sockets ? fx->cgroup_id : other_id), &want, __FILE__,
		       __LINE__);
}

static void workload_is_the_sockets_and_not_the_tasks(void **state)
{
	used_elsewhere(*state, AF_INET, "127.0.0.1", ebb_probe_one(EBB_FEATURE_CAST) == 0);
	used_elsewhere(*state, AF_INET6, "::1", true);
	used_elsewhere(*state, AF_INET6, "::ffff:127.0.0.1", true);
}

/* Before 6.2 an IPv4 socket cannot be read: what can be had is the task's. */
static void old_kernel_takes_the_tasks_for_ipv4_sockets(void **state)
{
	used_elsewhere(*state, AF_INET, "127.0.0.1", false);
	used_elsewhere(*state, AF_INET6, "::1", true);
}

static void two_workloads_have_a_pair_each(void **state)
{
	struct fixture *fx = *state;
	char other[FIXTURE_PATH_MAX + 16];
	uint64_t other_id = make_cgroup(fx, other, sizeof(other));
	struct want one = {.sent_packets = 1}, connected = {.attempts = 1, .syn_sent = 1, .established = 1};
	struct address to = udp_address(FAR4, 53);

	(void)namespace_far();
	send_once(&to, 0);
	enter_cgroup(other);
	dial_once(&to, 0);
	fixture_join(fx);
	assert_int_equal(rmdir(other), 0);
	expect_pair_at(fx, pair_of_workload(fx, &to, fx->cgroup_id), &one, __FILE__, __LINE__);
	expect_pair_at(fx, pair_of_workload(fx, &to, other_id), &connected, __FILE__, __LINE__);
}

/* ------------------------------------------------------------------- full -- */

static struct fixture_options few_destinations = {.destinations = 2};

static void full_table_puts_datagrams_into_other_and_refuses_none(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_pair *other;
	struct address to[4];

	fx->errors_allowed = 1U << EBB_ERR_DST_TABLE_FULL;
	for (int i = 0; i < 4; i++) {
		(void)udp_bound_at("127.0.0.1", &to[i]);
		send_once(&to[i], 0);
	}
	assert_int_equal(error_count(fx, EBB_ERR_DST_TABLE_FULL), 2);
	other = NULL;
	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state == EBB_SLOT_LIVE &&
		    fx->view->pairs[slot].dst == EBB_SLOT_OTHER)
			other = &fx->view->pairs[slot];
	}
	assert_non_null(other);
	expect_pair_at(fx, other, &(struct want){.sent_packets = 2}, __FILE__, __LINE__);
	/* a connect() to one of these is to no destination that is known */
	dial_once(&to[3], 0);
	expect_pair_at(fx, other, &(struct want){.sent_packets = 2}, __FILE__, __LINE__);
	assert_int_equal(error_count(fx, EBB_ERR_DST_TABLE_FULL), 2);
	enforce_everywhere(fx, &policy, 0);
	fx->view->verdicts[dst_slot_of(fx, &to[0])].word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
	send_once(&to[3], 0);
}

/* What a socket holds of a slot that has a new owner is counted, and changes nothing. */
static void stale_epoch_gives_nothing_back_to_the_new_owner(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	struct ebb_gate *gate;
	int fd = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	cap(fx, 4);
	send_once(&to, 0);
	assert_int_equal(dial(fd, &to), 0);
	gate = gate_of(fx, &to);
	assert_int_equal(gate->in_use, 1);
	pair_of(fx, &to)->epoch++;
	fx->errors_allowed = 1U << EBB_ERR_EPOCH_STALE;
	hang_up(&fd);
	assert_int_equal(error_count(fx, EBB_ERR_EPOCH_STALE), 1);
	assert_int_equal(gate->in_use, 1);
	gate->in_use = 0;
}

/* ------------------------------------------------------------------- others -- */

/* UDP-Lite is not ours. */
static void udplite_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = udp_address("127.0.0.1", 9);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);

	if (fd < 0) {
		assert_int_equal(errno, EPROTONOSUPPORT);
		print_message("this kernel has no UDP-Lite\n");
		skip();
	}
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	assert_int_equal(udp_send_to(fd, &to), 0);
	assert_int_equal(dial(fd, &to), 0);
	hang_up(&fd);
	assert_int_equal(destinations(fx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(datagram_makes_its_destination_and_is_counted),
		bpf_test(tcp_and_udp_of_one_port_are_two_destinations),
		bpf_test(connect_alone_makes_no_destination),
		bpf_test(looking_up_a_name_makes_no_destination),
		bpf_test(connect_to_a_known_destination_is_counted),
		bpf_test(control_message_on_a_connected_socket_makes_no_destination),
		bpf_test(datagram_of_a_socket_connected_to_a_mapped_address_is_counted),
		bpf_test(multicast_and_broadcast_are_destinations_like_others),
		bpf_test(answer_makes_no_destination),
		bpf_test(client_with_a_low_port_of_the_stack_is_a_client),
		bpf_test(open_gate_refuses_datagrams_and_connects_with_the_configured_errno),
		bpf_test(override_refuses_and_releases),
		bpf_test(observe_lets_through_and_counts_what_it_would_have_done),
		bpf_test(stale_lease_refuses_no_datagram),
		bpf_test(half_open_gate_lets_udp_through_without_a_probe),
		bpf_test(slot_comes_back_with_close_and_with_the_next_connect),
		bpf_test(refused_connect_leaves_the_socket_without_its_old_slot),
		bpf_test(killed_program_gives_its_slot_back),
		bpf_test(observed_cap_counts_and_takes_no_slot),
		bpf_test(first_datagram_of_a_connected_socket_makes_its_destination),
		bpf_test(datagram_is_counted_once_and_where_it_went),
		bpf_test(packet_after_nat_counts_for_the_address_before),
		bpf_test(answers_are_no_destinations_of_the_egress_hook_either),
		bpf_test(packets_over_the_limit_are_dropped_whichever_way_they_are_sent),
		bpf_test(workload_is_the_sockets_and_not_the_tasks),
		bpf_test(two_workloads_have_a_pair_each),
		bpf_test(stale_epoch_gives_nothing_back_to_the_new_owner),
		bpf_test(udplite_is_left_alone),
		bpf_test_with(datagram_makes_its_destination_and_is_counted, &old_kernel),
		bpf_test_with(answer_makes_no_destination, &old_kernel),
		bpf_test_with(open_gate_refuses_datagrams_and_connects_with_the_configured_errno,
			      &old_kernel),
		bpf_test_with(slot_comes_back_with_close_and_with_the_next_connect, &old_kernel),
		bpf_test_with(old_kernel_takes_the_tasks_for_ipv4_sockets, &old_kernel),
		bpf_test_with(without_set_retval_it_is_eperm, &no_set_retval),
		bpf_test_with(full_table_puts_datagrams_into_other_and_refuses_none, &few_destinations),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

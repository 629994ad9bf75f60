/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the end of a connection attempt is named, on a real kernel: every outcome
 * that comes before establishment, and what is not counted.
 */
#include "fixture.h"

#include <poll.h>
#include <linux/tcp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct fixture_options old_kernel = {.no_rdonly_cast = true};

/* ---------------------------------------------------------------- refused -- */

static void refused_over_v4(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd, port = closed_port_at("127.0.0.1", &to);

	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = 1);
	hang_up(&fd);
	hang_up(&port);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = 1);
}

static void refused_over_v6(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)closed_port_at("::1", &to);
	fd = tcp_socket_nonblocking(AF_INET6);
	assert_int_equal(dial_and_wait(fd, &to), -ECONNREFUSED);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = 1);
}

static void v4_and_v4_mapped_are_one_destination(void **state)
{
	struct fixture *fx = *state;
	struct address to, mapped;
	int fd;

	(void)closed_port_at("127.0.0.1", &to);
	mapped = address("::ffff:127.0.0.1", port_of(&to));
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	hang_up(&fd);
	fd = tcp_socket(AF_INET6);
	assert_int_equal(dial(fd, &mapped), -ECONNREFUSED);
	hang_up(&fd);
	assert_int_equal(dst_slot_of(fx, &to), dst_slot_of(fx, &mapped));
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .refused = 2);
	assert_int_equal(fx->view->kernel->dst_high, fx->view->kernel->pair_high);
}

/* ---------------------------------------------------------------- timeout -- */

static void syn_that_is_dropped_is_a_timeout(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int one = 1;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &to), -ETIMEDOUT);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
}

static void timeout_is_also_seen_by_a_program_that_does_not_block(void **state)
{
	struct fixture *fx = *state;
	unsigned int ms = 200;
	struct address to;
	int fd;

	(void)listen_at("::1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET6);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)), 0);
	assert_int_equal(dial_and_wait(fd, &to), -ETIMEDOUT);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
}

static void establishment_after_a_lost_syn_times_the_whole_wait(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	uint64_t slow = 0;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(syn_retransmits(fd) == 1);
	shell("nft delete table inet hole");
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 5000), 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	/* a second at least, though the handshake that succeeded took microseconds */
	for (uint32_t b = ebb_hist_bucket(900000000 / EBB_HIST_UNIT_NS); b < EBB_HIST_BUCKETS; b++)
		slow += dst_of(fx, &to)->connect.buckets[b];
	assert_int_equal(slow, 1);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* ------------------------------------------------------------ unreachable -- */

struct reject_case {
	const char *with; /* the rest of an nft reject statement */
	int err;
	uint64_t refused;
	uint64_t unreachable;
};

/* The first SYN is lost; the ICMP error for the second comes while nobody holds the socket. */
static void icmp_from_another_namespace_is_unreachable(void **state)
{
	static const struct reject_case cases[] = {
		{"icmp type host-unreachable", -EHOSTUNREACH, 0, 1},
		{"icmp type net-unreachable", -ENETUNREACH, 0, 1},
		{"icmp type admin-prohibited", -EHOSTUNREACH, 0, 1},
		{"icmp type port-unreachable", -ECONNREFUSED, 1, 0},
	};
	struct fixture *fx = *state;
	int far = namespace_far();

	namespace_enter(far);
	shell("nft add table ip wall");
	shell("nft 'add chain ip wall in { type filter hook input priority 0; }'");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		shell("nft 'add rule ip wall in tcp dport %zu numgen inc mod 2 == 0 drop; add rule ip wall in tcp dport %zu reject with %s'",
		      81 + i, 81 + i, cases[i].with);
	namespace_enter(fx->ns);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address to = address(FAR4, (uint16_t)(81 + i));
		int fd = tcp_socket_nonblocking(AF_INET);

		assert_int_equal(dial_and_wait(fd, &to), cases[i].err);
		hang_up(&fd);
		expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = cases[i].refused,
			    .unreachable = cases[i].unreachable);
		assert_int_equal(dst_of(fx, &to)->scope, EBB_SCOPE_NODE);
	}
}

/*
 * An error that comes back inside the connect() call, from this node: the stack
 * only notes it, so a blocking program waits for the next SYN to learn of it.
 */
static void same_node_reject_is_unreachable_for_a_program_that_blocks(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int one = 1;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	shell("nft add table ip wall");
	shell("nft 'add chain ip wall out { type filter hook output priority 0; }'");
	shell("nft add rule ip wall out tcp dport %u reject with icmp type host-unreachable", port_of(&to));
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &to), -EHOSTUNREACH);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .unreachable = 1);
}

/* What Go, Node and nginx do: poll(), SO_ERROR (which empties it), close(). */
static void same_node_reject_is_unreachable_for_a_program_that_reads_the_error_and_closes(void **state)
{
	static const struct reject_case cases[] = {
		{"icmp type host-unreachable", -EHOSTUNREACH, 0, 1},
		{"icmp type net-unreachable", -ENETUNREACH, 0, 1},
		{"icmp type port-unreachable", -ECONNREFUSED, 1, 0},
	};
	struct fixture *fx = *state;

	shell("nft add table ip wall");
	shell("nft 'add chain ip wall out { type filter hook output priority 0; }'");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address to;
		int fd = tcp_socket_nonblocking(AF_INET);

		(void)listen_at("127.0.0.1", &to);
		shell("nft add rule ip wall out tcp dport %u reject with %s", port_of(&to), cases[i].with);
		assert_int_equal(dial_and_wait(fd, &to), cases[i].err);
		hang_up(&fd);
		expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = cases[i].refused,
			    .unreachable = cases[i].unreachable);
	}
}

static void same_node_reject_by_iptables_is_seen_alike(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	/* as kube-proxy does for a service without endpoints */
	shell("iptables -w -A OUTPUT -p tcp --dport %u -j REJECT", port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial_and_wait(fd, &to), -ECONNREFUSED);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = 1);
}

static void same_node_reject_over_v6_is_unreachable(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int one = 1;
	int fd;

	(void)listen_at("::1", &to);
	shell("nft add table ip6 wall");
	shell("nft 'add chain ip6 wall out { type filter hook output priority 0; }'");
	shell("nft add rule ip6 wall out tcp dport %u reject with icmpv6 type addr-unreachable",
	      port_of(&to));
	fd = tcp_socket(AF_INET6);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &to), -EHOSTUNREACH);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .unreachable = 1);
}

/* ------------------------------------------------------------------ local -- */

static void missing_route_is_local(void **state)
{
	struct fixture *fx = *state;
	struct address v4 = address("10.9.9.9", 443), v6 = address("fd00:9::9", 443);
	int fd = tcp_socket(AF_INET);

	assert_int_equal(dial(fd, &v4), -ENETUNREACH);
	hang_up(&fd);
	expect_pair(fx, &v4, .attempts = 1);
	fd = tcp_socket_nonblocking(AF_INET6);
	assert_int_equal(dial(fd, &v6), -ENETUNREACH);
	assert_int_equal(dial(fd, &v6), -ENETUNREACH);
	hang_up(&fd);
	expect_pair(fx, &v6, .attempts = 2);
}

static void running_out_of_source_ports_is_local(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fds[3];

	(void)listen_at("127.0.0.1", &to);
	write_file("/proc/sys/net/ipv4/ip_local_port_range", "60000 60001");
	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(AF_INET);
	assert_int_equal(dial(fds[0], &to), 0);
	assert_int_equal(dial(fds[1], &to), 0);
	assert_int_equal(dial(fds[2], &to), -EADDRNOTAVAIL);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 2, .established = 2, .active = 2);
	for (int i = 0; i < 3; i++)
		hang_up(&fds[i]);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 2, .established = 2);
}

/* ---------------------------------------------------- abandoned, cancelled -- */

static void closing_after_a_retransmission_is_abandoned(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	/* so that only the retransmission can tell */
	for (uint32_t slot = 0; slot < fx->view->dst_max; slot++)
		fx->view->policies[slot].abandon_ms = 3600 * 1000;
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(syn_retransmits(fd) == 1);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .abandoned = 1);
}

static void closing_after_abandon_after_is_abandoned(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	uint64_t start;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	for (uint32_t slot = 0; slot < fx->view->dst_max; slot++)
		fx->view->policies[slot].abandon_ms = 50;
	fd = tcp_socket_nonblocking(AF_INET);
	start = now_ns();
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(now_ns() - start > 60000000ULL);
	assert_int_equal(syn_retransmits(fd), 0);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .abandoned = 1);
}

static void closing_at_once_is_cancelled(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .cancelled = 1);
}

static int connect_for_ever(void *argument)
{
	int fd = tcp_socket(AF_INET);

	return dial(fd, argument) == 0 ? 0 : 1;
}

static void process_killed_while_it_connects_is_cancelled(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	pid_t child;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	child = spawn(connect_for_ever, &to);
	wait_for(pair_slot_of(fx, &to) > 0 && pair_of(fx, &to)->syn_sent == 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .cancelled = 1);
}

/* ------------------------------------------------------- sockets used again -- */

static void socket_used_again_counts_both_attempts(void **state)
{
	struct fixture *fx = *state;
	struct address first, second;
	int fd;

	(void)listen_at("127.0.0.1", &first);
	(void)closed_port_at("127.0.0.1", &second);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &first), 0);
	expect_pair(fx, &first, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	assert_int_equal(undial(fd), 0);
	expect_pair(fx, &first, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(dial(fd, &second), -ECONNREFUSED);
	assert_int_equal(dial(fd, &first), 0);
	expect_pair(fx, &first, .attempts = 2, .syn_sent = 2, .established = 2, .active = 1);
	expect_pair(fx, &second, .attempts = 1, .syn_sent = 1, .refused = 1);
	hang_up(&fd);
	expect_pair(fx, &first, .attempts = 2, .syn_sent = 2, .established = 2);
}

static void disconnecting_while_connecting_is_cancelled(void **state)
{
	struct fixture *fx = *state;
	struct address hole, to;
	int fd;

	(void)listen_at("127.0.0.1", &hole);
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&hole));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &hole), -EINPROGRESS);
	assert_int_equal(undial(fd), 0);
	expect_pair(fx, &hole, .attempts = 1, .syn_sent = 1, .cancelled = 1);
	assert_int_equal(dial_and_wait(fd, &to), 0);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
}

/* The ICMP error of the first attempt stays queued on the socket; it is not the second's. */
static void error_of_an_earlier_attempt_is_not_taken_for_the_next(void **state)
{
	struct fixture *fx = *state;
	struct address wall, hole;
	int fd;

	(void)listen_at("127.0.0.1", &wall);
	(void)listen_at("127.0.0.1", &hole);
	drop_syn(port_of(&hole));
	shell("nft add table ip wall");
	shell("nft 'add chain ip wall out { type filter hook output priority 0; }'");
	shell("nft add rule ip wall out tcp dport %u reject with icmp type host-unreachable", port_of(&wall));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial_and_wait(fd, &wall), -EHOSTUNREACH);
	assert_int_equal(undial(fd), 0);
	expect_pair(fx, &wall, .attempts = 1, .syn_sent = 1, .unreachable = 1);
	assert_int_equal(dial(fd, &hole), -EINPROGRESS);
	assert_int_equal(undial(fd), 0);
	expect_pair(fx, &hole, .attempts = 1, .syn_sent = 1, .cancelled = 1);
	/* and a new error is still told from the old one */
	assert_int_equal(dial_and_wait(fd, &wall), -EHOSTUNREACH);
	hang_up(&fd);
	expect_pair(fx, &wall, .attempts = 2, .syn_sent = 2, .unreachable = 2);
}

/* connect() on a socket that is connecting or connected asks no hook: nothing more to count. */
static void connecting_twice_is_one_attempt(void **state)
{
	struct fixture *fx = *state;
	struct address hole, to;
	int fd;

	(void)listen_at("127.0.0.1", &hole);
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&hole));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &hole), -EINPROGRESS);
	assert_int_equal(dial(fd, &hole), -EALREADY);
	hang_up(&fd);
	expect_pair(fx, &hole, .attempts = 1, .syn_sent = 1, .cancelled = 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(dial(fd, &to), -EISCONN);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* ------------------------------------------------------------- odd addresses -- */

static void self_connect_is_established_once(void **state)
{
	struct fixture *fx = *state;
	struct address self;
	int fd = closed_port_at("127.0.0.1", &self);

	assert_int_equal(dial(fd, &self), 0);
	expect_pair(fx, &self, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	send_all(fd, "echo");
	receive_all(fd, 4);
	hang_up(&fd);
	expect_pair(fx, &self, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void unspecified_address_is_counted_as_loopback(void **state)
{
	static const struct {
		const char *listens, *dials;
	} cases[] = {{"127.0.0.1", "0.0.0.0"}, {"::1", "::"}, {"127.0.0.1", "::ffff:0.0.0.0"}};
	struct fixture *fx = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address at, to;
		int fd;

		(void)listen_at(cases[i].listens, &at);
		to = address(cases[i].dials, port_of(&at));
		fd = tcp_socket(to.sa.sa_family);
		assert_int_equal(dial(fd, &to), 0);
		assert_int_equal(dst_slot_of(fx, &to), -1);
		assert_int_equal(dst_of(fx, &at)->scope, EBB_SCOPE_WORKLOAD);
		hang_up(&fd);
		expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1);
	}
}

/* ------------------------------------------------------------- not counted -- */

/* No destination has its slot: nothing was ever seen. */
static void assert_nothing_seen(const struct fixture *fx)
{
	assert_int_equal(fx->view->kernel->dst_high, 0);
	assert_int_equal(fx->view->kernel->pair_high, 0);
	expect_other(fx, .attempts = 0);
}

static void datagrams_are_not_touched(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)closed_port_at("127.0.0.1", &to);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(dial(fd, &to), 0);
	hang_up(&fd);
	assert_nothing_seen(fx);
}

static void socket_made_outside_the_cgroup_is_not_seen(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	fixture_leave(fx);
	fd = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(fd, &to), 0);
	hang_up_hard(&fd);
	assert_nothing_seen(fx);
}

static void client_that_connects_to_us_is_not_counted(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int client, served, listener = listen_at("127.0.0.1", &at);

	fixture_leave(fx);
	client = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(client, &at), 0);
	served = accept_from(listener);
	send_all(served, "hello");
	receive_all(client, 5);
	send_all(client, "more");
	hang_up_hard(&client);
	wait_for(recv(served, (char[8]){0}, 8, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
	hang_up(&served);
	hang_up(&listener);
	assert_nothing_seen(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(refused_over_v4),
		bpf_test(refused_over_v6),
		bpf_test_with(refused_over_v4, &old_kernel),
		bpf_test_with(refused_over_v6, &old_kernel),
		bpf_test(v4_and_v4_mapped_are_one_destination),
		bpf_test(syn_that_is_dropped_is_a_timeout),
		bpf_test(timeout_is_also_seen_by_a_program_that_does_not_block),
		bpf_test(establishment_after_a_lost_syn_times_the_whole_wait),
		bpf_test(icmp_from_another_namespace_is_unreachable),
		bpf_test(same_node_reject_is_unreachable_for_a_program_that_blocks),
		bpf_test(same_node_reject_is_unreachable_for_a_program_that_reads_the_error_and_closes),
		bpf_test(same_node_reject_by_iptables_is_seen_alike),
		bpf_test(same_node_reject_over_v6_is_unreachable),
		bpf_test(missing_route_is_local),
		bpf_test(running_out_of_source_ports_is_local),
		bpf_test(closing_after_a_retransmission_is_abandoned),
		bpf_test(closing_after_abandon_after_is_abandoned),
		bpf_test(closing_at_once_is_cancelled),
		bpf_test(process_killed_while_it_connects_is_cancelled),
		bpf_test(socket_used_again_counts_both_attempts),
		bpf_test(disconnecting_while_connecting_is_cancelled),
		bpf_test(error_of_an_earlier_attempt_is_not_taken_for_the_next),
		bpf_test(connecting_twice_is_one_attempt),
		bpf_test(self_connect_is_established_once),
		bpf_test(unspecified_address_is_counted_as_loopback),
		bpf_test(datagrams_are_not_touched),
		bpf_test(socket_made_outside_the_cgroup_is_not_seen),
		bpf_test(client_that_connects_to_us_is_not_counted),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that were open before us: the ones opened from inside are adopted, each
 * once; the ones that answer a client, and other people's, are left alone.
 */
#include "fixture.h"
#include "flows.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "core/limit.h"
#include "kernel/mapping.h"
#include "kernel/probe.h"
#include "lib/cleanup.h"

struct line {
	struct address at; /* where it was connected to */
	struct address from;
	int listener;
	int client;
	int server;
};

static struct line connect_line_at(const char *text)
{
	struct line l = {0};

	l.listener = listen_at(text, &l.at);
	l.client = tcp_socket(l.at.sa.sa_family);
	assert_int_equal(dial(l.client, &l.at), 0);
	l.server = accept_from(l.listener);
	l.from.length = sizeof(l.from.v6);
	assert_int_equal(getsockname(l.client, &l.from.sa, &l.from.length), 0);
	return l;
}

static struct line connect_line(void)
{
	return connect_line_at("127.0.0.1");
}

/* Opens the loader over what is connected by now, and makes the pass that follows it. */
static struct ebb_adopted start(struct fixture *fx)
{
	struct ebb_adopted adopted;

	fixture_open_loader(fx);
	adopted = adopt_open(fx);
	adopted.connections += ebb_loader_adopted_first(fx->loader)->connections;
	adopted.slots += ebb_loader_adopted_first(fx->loader)->slots;
	return adopted;
}

static void expect_adopted(const struct fixture *fx, const struct address *at, uint64_t adopted,
			   uint64_t active)
{
	expect_pair(fx, at, .active = active);
	assert_int_equal(pair_of(fx, at)->adopted, adopted);
}

/* The side that accepted is no connection of ours to anywhere. */
static void expect_left_alone(const struct fixture *fx, const struct line *l)
{
	assert_int_equal(pair_slot_of(fx, &l->from), -1);
}

static void set_concurrent(struct fixture *fx, uint32_t concurrent)
{
	struct ebb_policy policy = policy_default();

	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = concurrent;
	policy_everywhere(fx, &policy);
}

static void exchange(const struct line *l, int turns)
{
	for (int i = 0; i < turns; i++) {
		send_all(l->client, "question");
		receive_all(l->server, 8);
		send_all(l->server, "!");
		receive_all(l->client, 1);
	}
}

/* ------------------------------------------------------------- adopted -- */

static void open_connections_are_counted_until_they_close(void **state)
{
	static const char *const at[] = {"127.0.0.1", "::1", "127.0.0.2"};
	struct fixture *fx = *state;
	struct line l[3];
	struct ebb_adopted adopted;

	for (int i = 0; i < 3; i++)
		l[i] = connect_line_at(at[i]);
	adopted = start(fx);
	assert_int_equal(adopted.connections, 3);
	assert_int_equal(adopted.undecided, 0);
	for (int i = 0; i < 3; i++) {
		expect_adopted(fx, &l[i].at, 1, 1);
		expect_left_alone(fx, &l[i]);
		hang_up(&l[i].client);
		expect_adopted(fx, &l[i].at, 1, 0);
	}
}

static void another_connection_beside_an_adopted_one_is_counted_as_always(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	int fd;

	(void)start(fx);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &l.at), 0);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 2);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&fd);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void bytes_so_far_are_not_ours(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	send_all(l.client, "question");
	receive_all(l.server, 8);
	send_all(l.server, "answer");
	receive_all(l.client, 6);
	(void)start(fx);
	expect_adopted(fx, &l.at, 1, 1);
	assert_int_equal(pair_of(fx, &l.at)->sent_bytes, 0);
	assert_int_equal(pair_of(fx, &l.at)->received_bytes, 0);
}

static void reconnecting_socket_is_adopted_no_longer(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	(void)start(fx);
	expect_adopted(fx, &l.at, 1, 1);
	assert_int_equal(undial(l.client), 0);
	assert_int_equal(dial(l.client, &l.at), 0);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void unseen_end_is_given_back_by_the_next_pass(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	(void)start(fx);
	set_concurrent(fx, 1);
	assert_int_equal(adopt_open(fx).slots, 1);
	assert_int_equal(gate_of(fx, &l.at)->in_use, 1);
	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	/* the program still holds it */
	expect_adopted(fx, &l.at, 1, 1);
	assert_int_equal(adopt_open(fx).ended, 1);
	expect_adopted(fx, &l.at, 1, 0);
	assert_int_equal(gate_of(fx, &l.at)->in_use, 0);
	assert_int_equal(adopt_open(fx).ended, 0);
}

/* ----------------------------------------------------------------- armed -- */

static void an_armed_connection_is_seen_to_end(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	(void)start(fx);
	set_concurrent(fx, 1);
	assert_int_equal(adopt_open(fx).slots, 1);
	assert_int_equal(arm_open(fx), 1);
	assert_int_equal(adopt_open(fx).slots, 0);
	assert_false(ebb_loader_is_deaf(fx->loader));
	assert_int_equal(arm_open(fx), 0);
	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	/* the program still holds it */
	expect_pair(fx, &l.at, .reset = 1);
	assert_int_equal(gate_of(fx, &l.at)->in_use, 0);
	assert_int_equal(gate_of(fx, &l.at)->failed, 0);
	assert_int_equal(adopt_open(fx).ended, 0);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .reset = 1);
}

static void what_an_armed_connection_sends_is_counted_at_its_end(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l, 1);
	(void)start(fx);
	assert_int_equal(arm_open(fx), 1);
	exchange(&l, 3);
	assert_int_equal(shutdown(l.client, SHUT_WR), 0);
	(void)adopt_open(fx);
	assert_false(ebb_loader_is_deaf(fx->loader));
	expect_adopted(fx, &l.at, 1, 1);
	hang_up(&l.server);
	assert_int_equal(receive_end(l.client), 0);
	/* half closed until now, and held still */
	expect_adopted(fx, &l.at, 1, 0);
	assert_int_equal(pair_of(fx, &l.at)->sent_bytes, 3 * strlen("question"));
	assert_int_equal(pair_of(fx, &l.at)->received_bytes, 3);
}

static void an_attempt_is_armed_too(void **state)
{
	struct fixture *fx = *state;
	struct pollfd poller = {.events = POLLOUT};
	struct address at;
	int fd = tcp_socket_nonblocking(AF_INET);
	int listener = listen_at("127.0.0.1", &at);

	drop_syn(port_of(&at));
	assert_int_equal(dial(fd, &at), -EINPROGRESS);
	fixture_open_loader(fx);
	set_concurrent(fx, 5);
	assert_int_equal(adopt_open(fx).slots, 1);
	assert_int_equal(arm_open(fx), 1);
	hang_up(&listener);
	shell("nft delete table inet hole");
	poller.fd = fd;
	assert_int_equal(poll(&poller, 1, 10000), 1);
	/* refused, and nobody has told the program yet */
	wait_for(gate_of(fx, &at)->in_use == 0);
	expect_adopted(fx, &at, 1, 0);
	hang_up(&fd);
	expect_adopted(fx, &at, 1, 0);
}

/* Neither who answers a client, nor other people's, nor one that we saw connect. */
static void nothing_else_is_armed(void **state)
{
	struct fixture *fx = *state;
	struct line theirs, answering = {0}, after;

	answering.listener = listen_at("127.0.0.1", &answering.at);
	fixture_leave(fx);
	theirs = connect_line();
	answering.client = tcp_socket(AF_INET);
	assert_int_equal(dial(answering.client, &answering.at), 0);
	fixture_join(fx);
	answering.server = accept_from(answering.listener);
	assert_int_equal(start(fx).connections, 0);
	after = connect_line();
	assert_int_equal(adopt_open(fx).connections, 0);
	assert_false(ebb_loader_is_deaf(fx->loader));
	assert_int_equal(dst_slot_of(fx, &theirs.at), -1);
	expect_pair(fx, &after.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
}

/* Where the walk has to be made for another: it passes by them all the same. */
static void others_beside_one_that_is_armed_are_not(void **state)
{
	struct fixture *fx = *state;
	struct line theirs, ours, after;

	fixture_leave(fx);
	theirs = connect_line();
	fixture_join(fx);
	ours = connect_line();
	(void)start(fx);
	after = connect_line();
	assert_int_equal(arm_open(fx), 1);
	hang_up_hard(&theirs.server);
	hang_up_hard(&ours.server);
	hang_up(&after.client);
	expect_pair(fx, &ours.at, .reset = 1);
	expect_pair(fx, &after.at, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(dst_slot_of(fx, &theirs.at), -1);
}

static void each_network_namespace_is_armed_from_within(void **state)
{
	struct fixture *fx = *state;
	struct line here = connect_line(), there;
	int far = namespace_new();

	namespace_enter(far);
	there = connect_line();
	namespace_enter(fx->ns);
	assert_int_equal(start(fx).connections, 2);
	assert_int_equal(arm_open(fx), 1);
	assert_true(ebb_loader_is_deaf(fx->loader));
	namespace_enter(far);
	assert_int_equal(arm_open(fx), 1);
	namespace_enter(fx->ns);
	assert_false(ebb_loader_is_deaf(fx->loader));
	hang_up_hard(&here.server);
	hang_up_hard(&there.server);
	expect_pair(fx, &here.at, .reset = 1);
	expect_pair(fx, &there.at, .reset = 1);
}

/* ----------------------------------------------------------------- paced -- */

#define SECOND_NS 1000000000ULL
#define RATE	  10000000ULL /* bytes/s */

/* Flows that send already when we come, and are limited from then on. */
static struct flows *limit_adopted_flows(struct fixture *fx, int count, struct address *ret_to, bool arm)
{
	struct ebb_policy policy = policy_default();
	struct ebb_why why = {0};
	struct flows *flows;
	uint64_t adopted;
	int listener;

	shell("ip link set lo mtu 1500");
	listener = listen_at("127.0.0.1", ret_to);
	flows = flows_begin(listener, ret_to, count, "cubic");
	flows_wait_bytes(flows, 1000000);
	fixture_open_loader(fx);
	adopted = ebb_loader_adopted_first(fx->loader)->connections;
	/* one that does not hold still is met again */
	wait_for((adopted += adopt_open(fx).connections) == (uint64_t)count);
	(void)adopt_open(fx);
	if (arm)
		assert_int_equal(arm_open(fx), count);
	policy.mode = EBB_MODE_ENFORCE;
	assert_int_equal(ebb_limit_make(RATE * 3600, RATE / 4, &policy.limits.bucket[EBB_LIMIT_BYTES]), 0);
	policy_everywhere(fx, &policy);
	if (ebb_loader_want_packets(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
	return flows;
}

/* Of the rate, counting payload. */
static double used(const struct flows_seen *seen)
{
	return (double)seen->bytes * SECOND_NS / ((double)seen->ns * RATE);
}

static void armed_connections_are_paced(void **state)
{
	struct fixture *fx = *state;
	struct flows_seen seen;
	struct address to;
	struct flows *flows = limit_adopted_flows(fx, 2, &to, true);

	wait_for(gate_of(fx, &to)->paced == 2);
	/* the debt of a bucket is paid back first */
	(void)flows_watch(flows, SECOND_NS / 2);
	seen = flows_watch(flows, SECOND_NS);
	/* what only drops stalls 70% of all windows */
	if (seen.stalled * 5 > seen.windows)
		fail_msg("%u of %u windows stalled", seen.stalled, seen.windows);
	if (used(&seen) < 0.75 || used(&seen) > 1.3)
		fail_msg("%.2f of the rate was used", used(&seen));
	flows_end(flows);
	wait_for(gate_of(fx, &to)->paced == 0);
}

static void unarmed_connections_are_held_by_drops(void **state)
{
	struct fixture *fx = *state;
	struct flows_seen seen;
	struct address to;
	struct flows *flows = limit_adopted_flows(fx, 2, &to, false);

	wait_for(pair_of(fx, &to)->dropped_packets[EBB_DROP_BYTES] > 0);
	seen = flows_watch(flows, SECOND_NS);
	flows_end(flows);
	/* a bucket 1 s deep */
	if (used(&seen) > 1 + (double)SECOND_NS / (double)seen.ns)
		fail_msg("%.2f of the rate was used", used(&seen));
	assert_int_equal(gate_of(fx, &to)->paced, 0);
}

static void where_the_kernel_cannot_arm_nothing_is_asked_for(void **state)
{
	struct fixture *fx = *state;
	struct ebb_why why = {0};
	uint64_t count = 0;

	(void)connect_line();
	assert_int_equal(start(fx).connections, 1);
	assert_false(ebb_loader_is_deaf(fx->loader));
	assert_int_equal(ebb_loader_arm(fx->loader, 0, &count, &why), -EOPNOTSUPP);
}

/* ------------------------------------------------- who opened it: shapes -- */

/* Both sides are in the cgroup: exactly the one that connected may be adopted. */
static void expect_only_the_client(struct fixture *fx, const struct line *l)
{
	struct ebb_adopted adopted = start(fx);

	expect_adopted(fx, &l->at, 1, 1);
	expect_left_alone(fx, l);
	assert_int_equal(adopted.connections, 1);
	assert_int_equal(adopted.undecided, 0);
}

static void direction_after_an_exchange(void **state)
{
	struct line l = connect_line();

	exchange(&l, 100);
	expect_only_the_client(*state, &l);
}

/* The server's listener is a second witness; without it the counters decide alone. */
static void direction_without_a_listener(void **state)
{
	struct line l = connect_line();

	exchange(&l, 3);
	hang_up(&l.listener);
	expect_only_the_client(*state, &l);
}

static void fill(int fd)
{
	static char block[65536];

	while (send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

static bool probing(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_probes > 0;
}

/* Nobody reads: both directions stand still, and are probed. */
static void direction_with_a_closed_window(void **state)
{
	struct line l = connect_line();

	fill(l.client);
	fill(l.server);
	hang_up(&l.listener);
	wait_for(probing(l.client) && probing(l.server));
	expect_only_the_client(*state, &l);
}

static bool retransmitted(int fd, uint32_t times)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_total_retrans >= times;
}

static void lose_everything(void)
{
	shell("nft add table inet hole");
	shell("nft 'add chain inet hole in { type filter hook input priority 0; }'");
	shell("nft add rule inet hole in drop");
}

/* Lost on the way: in flight, and sent again and again. */
static void direction_in_flight_and_retransmitted(void **state)
{
	struct line l = connect_line();

	exchange(&l, 2);
	hang_up(&l.listener);
	lose_everything();
	send_all(l.client, "1");
	send_all(l.server, "2");
	wait_for(retransmitted(l.client, 2) && retransmitted(l.server, 2));
	expect_only_the_client(*state, &l);
}

static void direction_after_loss_and_recovery(void **state)
{
	struct line l = connect_line();

	exchange(&l, 2);
	hang_up(&l.listener);
	lose_everything();
	send_all(l.client, "question");
	send_all(l.server, "!");
	wait_for(retransmitted(l.client, 2) && retransmitted(l.server, 2));
	shell("nft delete table inet hole");
	receive_all(l.server, 8);
	receive_all(l.client, 1);
	exchange(&l, 2);
	expect_only_the_client(*state, &l);
}

static void direction_with_keep_alives(void **state)
{
	struct line l = connect_line();
	int one = 1;

	for (int i = 0; i < 2; i++) {
		int fd = i ? l.client : l.server;

		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one)), 0);
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)), 0);
	}
	hang_up(&l.listener);
	lose_everything();
	wait_for(probing(l.client) && probing(l.server));
	expect_only_the_client(*state, &l);
}

static void direction_after_the_servers_fin(void **state)
{
	struct line l = connect_line();

	exchange(&l, 1);
	hang_up(&l.listener);
	assert_int_equal(shutdown(l.server, SHUT_WR), 0);
	assert_int_equal(receive_end(l.client), 0);
	expect_only_the_client(*state, &l);
}

/* The program that accepted is in CLOSE_WAIT, the one that connected half closed: neither is taken for a client. */
static void direction_after_the_clients_fin(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l, 1);
	hang_up(&l.listener);
	assert_int_equal(shutdown(l.client, SHUT_WR), 0);
	assert_int_equal(receive_end(l.server), 0);
	assert_int_equal(start(fx).connections, 0);
	expect_left_alone(fx, &l);
	assert_int_equal(dst_slot_of(fx, &l.at), -1);
}

static void direction_of_fast_open(void **state)
{
	struct line l = {0};
	int one = 1;

	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1543");
	l.listener = listen_at("127.0.0.1", &l.at);
	l.client = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(l.client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	assert_int_equal(dial(l.client, &l.at), 0);
	send_all(l.client, "hello");
	l.server = accept_from(l.listener);
	receive_all(l.server, 5);
	l.from.length = sizeof(l.from.v6);
	assert_int_equal(getsockname(l.client, &l.from.sa, &l.from.length), 0);
	exchange(&l, 2);
	hang_up(&l.listener);
	expect_only_the_client(*state, &l);
}

/* Both ends are one socket: it connected. */
static void direction_of_a_self_connect(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int fd = closed_port_at("127.0.0.1", &at);

	assert_int_equal(dial(fd, &at), 0);
	send_all(fd, "x");
	receive_all(fd, 1);
	assert_int_equal(start(fx).connections, 1);
	expect_adopted(fx, &at, 1, 1);
	hang_up(&fd);
	expect_adopted(fx, &at, 1, 0);
}

/* The counters lie after a drop on the way out: never so that a server is taken for a client. */
static void direction_after_local_drops(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l, 2);
	hang_up(&l.listener);
	shell("nft add table inet hole");
	shell("nft 'add chain inet hole out { type filter hook output priority 0; }'");
	shell("nft add rule inet hole out drop");
	send_all(l.client, "q");
	send_all(l.server, "!");
	shell("nft delete table inet hole");
	receive_all(l.server, 1);
	receive_all(l.client, 1);
	(void)start(fx);
	expect_left_alone(fx, &l);
}

/* A client on a port that a listener has as well: the witnesses disagree. */
static void witnesses_that_disagree_leave_it_alone(void **state)
{
	struct fixture *fx = *state;
	struct address at, mine;
	int listener, client, other, one = 1;

	listener = listen_at("127.0.0.1", &at);
	mine = address("127.0.0.3", 0);
	client = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(bind(client, &mine.sa, mine.length), 0);
	assert_int_equal(getsockname(client, &mine.sa, &mine.length), 0);
	assert_int_equal(dial(client, &at), 0);
	(void)accept_from(listener);
	other = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(bind(other, &mine.sa, mine.length), 0);
	assert_int_equal(listen(other, 8), 0);
	assert_int_equal(start(fx).connections, 0);
	assert_int_equal(dst_slot_of(fx, &at), -1);
	assert_true(adopt_open(fx).undecided > 0);
}

/* ------------------------------------------------------- each once, ours -- */

static void other_cgroups_are_not_touched(void **state)
{
	struct fixture *fx = *state;
	struct line theirs;
	struct ebb_adopted adopted;

	fixture_leave(fx);
	theirs = connect_line();
	fixture_join(fx);
	adopted = start(fx);
	assert_int_equal(adopted.connections, 0);
	assert_int_equal(adopted.undecided, 0);
	assert_int_equal(dst_slot_of(fx, &theirs.at), -1);
}

static void cgroups_below_are_ours(void **state)
{
	struct fixture *fx = *state;
	char below[FIXTURE_PATH_MAX + 16], procs[FIXTURE_PATH_MAX + 32];
	struct line l;

	(void)snprintf(below, sizeof(below), "%s/below", fx->cgroup);
	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", below);
	assert_int_equal(mkdir(below, 0755), 0);
	write_file(procs, "0");
	l = connect_line();
	fixture_join(fx);
	assert_int_equal(start(fx).connections, 1);
	assert_int_equal(fx->view->pairs[1].adopted, 1);
	assert_int_not_equal(fx->view->pairs[1].workload, fx->cgroup_id);
	hang_up(&l.client);
	hang_up(&l.server);
	wait_for(rmdir(below) == 0);
}

static void other_network_namespaces_are_seen(void **state)
{
	struct fixture *fx = *state;
	struct line l;

	namespace_enter(namespace_new());
	l = connect_line();
	namespace_enter(fx->ns);
	assert_int_equal(start(fx).connections, 1);
	expect_adopted(fx, &l.at, 1, 1);
	expect_left_alone(fx, &l);
	hang_up(&l.client);
	expect_adopted(fx, &l.at, 1, 0);
}

static int wait_to_be_killed(void *argument)
{
	(void)argument;
	(void)pause();
	return 0;
}

static void shared_socket_counts_once(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	int copy = fcntl(l.client, F_DUPFD_CLOEXEC, SOCKETS_FROM);
	pid_t child = spawn(wait_to_be_killed, NULL);

	assert_int_equal(start(fx).connections, 1);
	expect_adopted(fx, &l.at, 1, 1);
	hang_up(&l.client);
	hang_up(&copy);
	expect_adopted(fx, &l.at, 1, 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	expect_adopted(fx, &l.at, 1, 0);
}

/* On its way between two processes it is in no table: the pass after it has arrived finds it. */
static void passed_socket_counts_once(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec data = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int pair[2], arrived;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &l.client, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &message, 0), 1);
	hang_up(&l.client);
	assert_int_equal(start(fx).connections, 0);
	assert_int_equal(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&arrived, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	assert_int_equal(adopt_open(fx).connections, 1);
	assert_int_equal(adopt_open(fx).connections, 0);
	expect_adopted(fx, &l.at, 1, 1);
	(void)close(arrived);
	(void)close(pair[0]);
	(void)close(pair[1]);
	expect_adopted(fx, &l.at, 1, 0);
}

/* -------------------------------------------------------------- restarts -- */

static void restart_counts_nothing_twice(void **state)
{
	struct fixture *fx = *state;
	struct line before = connect_line(), after;

	(void)start(fx);
	after = connect_line();
	expect_pair(fx, &after.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	fixture_close_loader(fx);
	assert_int_equal(start(fx).connections, 0);
	/* as of an agent that could not */
	assert_int_equal(arm_open(fx), 1);
	expect_adopted(fx, &before.at, 1, 1);
	expect_pair(fx, &after.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&before.server);
	assert_int_equal(shutdown(before.client, SHUT_WR), 0);
	expect_adopted(fx, &before.at, 1, 0);
	hang_up(&before.client);
	hang_up(&after.client);
	expect_adopted(fx, &before.at, 1, 0);
	expect_pair(fx, &after.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* Sockets still carry what we armed before the maps were thrown away. */
static void armed_by_an_earlier_life_are_counted_again(void **state)
{
	struct fixture *fx = *state;
	struct line l[3];

	fixture_open_loader(fx);
	for (int i = 0; i < 3; i++)
		l[i] = connect_line();
	fixture_detach(fx);
	assert_int_equal(start(fx).connections, 3);
	assert_false(ebb_loader_is_deaf(fx->loader));
	for (int i = 0; i < 3; i++)
		expect_adopted(fx, &l[i].at, 1, 1);
	hang_up(&l[0].client);
	/* armed: the end is seen though the program still holds it */
	hang_up_hard(&l[1].server);
	assert_int_equal(receive_end(l[1].client), ECONNRESET);
	expect_pair(fx, &l[1].at, .reset = 1);
	assert_int_equal(gate_of(fx, &l[1].at)->failed, 0);
	expect_adopted(fx, &l[0].at, 1, 0);
	expect_adopted(fx, &l[2].at, 1, 1);
}

static void connecting_is_adopted_and_counted_when_it_is_there(void **state)
{
	struct fixture *fx = *state;
	struct pollfd poller = {.events = POLLOUT};
	struct address at;
	int listener = listen_at("127.0.0.1", &at);
	int fd = tcp_socket_nonblocking(AF_INET);

	drop_syn(port_of(&at));
	assert_int_equal(dial(fd, &at), -EINPROGRESS);
	assert_int_equal(start(fx).connections, 1);
	expect_adopted(fx, &at, 1, 0);
	shell("nft delete table inet hole");
	poller.fd = fd;
	assert_int_equal(poll(&poller, 1, 10000), 1);
	(void)accept_from(listener);
	expect_adopted(fx, &at, 1, 1);
	assert_int_equal(adopt_open(fx).connections, 0);
	/* from then on it is armed */
	assert_int_equal(undial(fd), 0);
	expect_adopted(fx, &at, 1, 0);
}

static void connecting_that_fails_leaves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int fd = tcp_socket_nonblocking(AF_INET);
	int listener = listen_at("127.0.0.1", &at);

	drop_syn(port_of(&at));
	assert_int_equal(dial(fd, &at), -EINPROGRESS);
	fixture_open_loader(fx);
	set_concurrent(fx, 5);
	assert_int_equal(adopt_open(fx).slots, 1);
	assert_int_equal(gate_of(fx, &at)->in_use, 1);
	hang_up(&fd);
	hang_up(&listener);
	wait_for(gate_of(fx, &at)->in_use == 0);
	expect_adopted(fx, &at, 1, 0);
}

/* ----------------------------------------------------------------- slots -- */

#define CROWD 50

static void cap_that_comes_counts_what_is_open(void **state)
{
	struct fixture *fx = *state;
	struct line l;
	int fds[CROWD], fd;

	fixture_open_loader(fx);
	l = connect_line();
	for (int i = 0; i < CROWD; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], &l.at), 0);
		(void)accept_from(l.listener);
	}
	set_concurrent(fx, 20);
	assert_int_equal(adopt_open(fx).slots, CROWD + 1);
	assert_int_equal(adopt_open(fx).slots, 0);
	assert_int_equal(gate_of(fx, &l.at)->in_use, CROWD + 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &l.at), -ECONNREFUSED);
	hang_up(&l.client);
	for (int i = 20; i < CROWD; i++)
		hang_up(&fds[i]);
	wait_for(gate_of(fx, &l.at)->in_use == 20);
	assert_int_equal(dial(fd, &l.at), -ECONNREFUSED);
	hang_up(&fds[0]);
	wait_for(gate_of(fx, &l.at)->in_use == 19);
	assert_int_equal(dial(fd, &l.at), 0);
}

static void adopted_hold_slots_also_over_the_cap(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	int second = tcp_socket(AF_INET), third;

	assert_int_equal(dial(second, &l.at), 0);
	fixture_open_loader(fx);
	set_concurrent(fx, 1);
	assert_int_equal(adopt_open(fx).slots, 2);
	assert_int_equal(gate_of(fx, &l.at)->in_use, 2);
	third = tcp_socket(AF_INET);
	assert_int_equal(dial(third, &l.at), -ECONNREFUSED);
	hang_up(&second);
	wait_for(gate_of(fx, &l.at)->in_use == 1);
	assert_int_equal(dial(third, &l.at), -ECONNREFUSED);
	hang_up(&l.client);
	wait_for(gate_of(fx, &l.at)->in_use == 0);
	assert_int_equal(dial(third, &l.at), 0);
	assert_int_equal(gate_of(fx, &l.at)->in_use, 1);
}

/* ----------------------------------------------------------------- reset -- */

/* A gate that has just opened, enforces, and resets what is live. */
static void open_everywhere(struct fixture *fx, uint32_t mode, uint32_t established)
{
	struct ebb_policy policy = policy_default();

	policy.mode = mode;
	policy.established = established;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, now_ticks() + ebb_ns_to_ticks(60000000000ULL)));
}

static uint64_t reset_open(struct fixture *fx)
{
	struct ebb_why why = {0};
	uint64_t count = 0;

	if (ebb_loader_reset(fx->loader, &count, &why) < 0)
		fail_msg("%s", why.text);
	return count;
}

static void live_connections_of_an_open_gate_are_reset(void **state)
{
	struct fixture *fx = *state;
	struct line a = connect_line(), b, c;

	fixture_open_loader(fx);
	(void)adopt_open(fx);
	assert_int_equal(ebb_loader_reset_way(fx->loader),
			 fx->options.no_sock_destroy || ebb_probe_one(EBB_FEATURE_SOCK_DESTROY) < 0
				 ? EBB_RESET_NETLINK
				 : EBB_RESET_BPF);
	b = connect_line();
	c = connect_line_at("::1");
	exchange(&c, 1);
	assert_int_equal(reset_open(fx), 0);
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_RESET);
	assert_int_equal(reset_open(fx), 3);
	assert_int_equal(receive_end(a.client), ECONNABORTED);
	assert_int_equal(receive_end(b.client), ECONNABORTED);
	assert_int_equal(receive_end(c.client), ECONNABORTED);
	assert_int_equal(receive_end(a.server), ECONNRESET);
	assert_int_equal(receive_end(b.server), ECONNRESET);
	assert_int_equal(receive_end(c.server), ECONNRESET);
	assert_int_equal(reset_open(fx), 0);
	hang_up(&a.client);
	expect_adopted(fx, &a.at, 1, 0);
	/* what we did ourselves is no failure */
	expect_pair(fx, &b.at, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_pair(fx, &c.at, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(pair_of(fx, &a.at)->reset, 1);
	assert_int_equal(pair_of(fx, &b.at)->reset, 1);
	assert_int_equal(pair_of(fx, &c.at)->reset, 1);
	assert_int_equal(gate_of(fx, &b.at)->failed, 0);
}

/* Both ends answer: not a byte of the connection was lost. */
static void expect_alive(const struct line *l)
{
	exchange(l, 1);
}

static void nothing_else_is_reset(void **state)
{
	struct fixture *fx = *state;
	struct line theirs, ours;

	fixture_leave(fx);
	theirs = connect_line();
	fixture_join(fx);
	fixture_open_loader(fx);
	ours = connect_line();
	open_everywhere(fx, EBB_MODE_OBSERVE, EBB_ESTABLISHED_RESET);
	assert_int_equal(reset_open(fx), 0);
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_KEEP);
	assert_int_equal(reset_open(fx), 0);
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_DROP);
	assert_int_equal(reset_open(fx), 0);
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_RESET);
	/* its time is over, though nobody has moved it yet */
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, now_ticks() - 1));
	assert_int_equal(reset_open(fx), 0);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_HALF_OPEN, 0));
	assert_int_equal(reset_open(fx), 0);
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_RESET);
	/* an operator says that the breaker refuses nothing; the lease is over */
	policy_of(fx, &ours.at)->override_state = EBB_OVERRIDE_CLOSE;
	assert_int_equal(reset_open(fx), 0);
	policy_of(fx, &ours.at)->override_state = EBB_OVERRIDE_AUTO;
	agent_absent(fx, 60000000000ULL, 30000000000ULL);
	assert_int_equal(reset_open(fx), 0);
	agent_alive(fx);
	expect_alive(&ours);
	assert_int_equal(reset_open(fx), 1);
	expect_alive(&theirs);
}

static void each_network_namespace_is_reset_from_within(void **state)
{
	struct fixture *fx = *state;
	struct line here, there;
	int far = namespace_new();

	fixture_open_loader(fx);
	here = connect_line();
	namespace_enter(far);
	there = connect_line();
	open_everywhere(fx, EBB_MODE_ENFORCE, EBB_ESTABLISHED_RESET);
	assert_int_equal(reset_open(fx), 1);
	namespace_enter(fx->ns);
	assert_int_equal(receive_end(there.client), ECONNABORTED);
	expect_alive(&here);
	assert_int_equal(reset_open(fx), 1);
	assert_int_equal(receive_end(here.client), ECONNABORTED);
}

/* -------------------------------------------------------------- remember -- */

/* The one other pair that there is. */
static const struct ebb_pair *beside(const struct fixture *fx, const struct ebb_pair *pair)
{
	const struct ebb_pair *found = NULL;

	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state != EBB_SLOT_LIVE || &fx->view->pairs[slot] == pair)
			continue;
		assert_null(found);
		found = &fx->view->pairs[slot];
	}
	assert_non_null(found);
	return found;
}

/* The address is nobody's from now on: who looks for it there finds nothing. */
static void take_address_away(struct fixture *fx, const struct address *at)
{
	struct ebb_mapping *mapping;
	struct ebb_why why = {0};

	if (ebb_mapping_open(fx->pin_dir, fx->view, &mapping, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(ebb_endpoints_remove(mapping, &dst_of(fx, at)->endpoint), 0);
	ebb_mapping_changed(mapping);
	ebb_mapping_free(mapping);
}

static void open_connections_end_where_they_began(void **state)
{
	struct fixture *fx = *state;
	struct line known, half, later;
	struct ebb_pair *pair;
	int fd;

	fixture_open_loader(fx);
	known = connect_line();
	half = known;
	half.client = tcp_socket(AF_INET);
	assert_int_equal(dial(half.client, &half.at), 0);
	half.server = accept_from(half.listener);
	/* our side has said goodbye, and waits for the other */
	assert_int_equal(shutdown(half.client, SHUT_WR), 0);
	pair = pair_of(fx, &known.at);
	assert_int_equal(remember_open(fx), 0);
	policy_of(fx, &known.at)->asks |= EBB_ASK_MEMORY;
	assert_int_equal(remember_open(fx), 2);
	assert_int_equal(remember_open(fx), 0);
	/* one that comes while its address is about to go has its memory from connect */
	later = known;
	later.client = tcp_socket(AF_INET);
	assert_int_equal(dial(later.client, &later.at), 0);
	later.server = accept_from(later.listener);
	assert_int_equal(remember_open(fx), 0);
	expect_pair_at(fx, pair, &(struct want){.attempts = 3, .syn_sent = 3, .established = 3, .active = 3},
		       __FILE__, __LINE__);
	take_address_away(fx, &known.at);
	exchange(&known, 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &known.at), 0);
	hang_up(&known.client);
	hang_up(&half.client);
	hang_up(&half.server);
	hang_up(&later.client);
	expect_pair_at(fx, pair, &(struct want){.attempts = 3, .syn_sent = 3, .established = 3}, __FILE__,
		       __LINE__);
	/* the one behind the change is the new destination's */
	expect_pair_at(fx, beside(fx, pair),
		       &(struct want){.attempts = 1, .syn_sent = 1, .established = 1, .active = 1}, __FILE__,
		       __LINE__);
	hang_up(&fd);
	expect_pair_at(fx, beside(fx, pair), &(struct want){.attempts = 1, .syn_sent = 1, .established = 1},
		       __FILE__, __LINE__);
}

/* A peer that says goodbye, and still listens, has not answered what is asked afterwards: that ends well all the same. */
static void a_farewell_is_taken_for_no_answer(void **state)
{
	struct fixture *fx = *state;
	struct ebb_why why = {0};
	struct line l;

	fixture_open_loader(fx);
	if (ebb_loader_want_turns(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
	fx->view->agent->turns = 1;
	l = connect_line();
	assert_int_equal(shutdown(l.server, SHUT_WR), 0);
	assert_int_equal(receive_end(l.client), 0);
	send_all(l.client, "question");
	receive_all(l.server, 8);
	set_concurrent(fx, 1);
	/* its memory begins here */
	assert_int_equal(adopt_open(fx).slots, 1);
	assert_int_equal(gate_of(fx, &l.at)->ok, 0);
	hang_up(&l.client);
	hang_up(&l.server);
	wait_for(gate_of(fx, &l.at)->in_use == 0);
	assert_int_equal(gate_of(fx, &l.at)->ok, 1);
}

/* ----------------------------------------------------------------- plain -- */

static bool has_memory(const struct fixture *fx, int fd)
{
	char path[512], memory[1024]; /* room for one */
	bool found;
	int map;

	(void)snprintf(path, sizeof(path), "%s/ebb_conn_v2", fx->pin_dir);
	map = bpf_obj_get(path);
	assert_true(map >= 0);
	found = bpf_map_lookup_elem(map, &fd, memory) == 0;
	(void)close(map);
	return found;
}

/* Its server resets it before any byte came back: a failure, of the generation in which it began. */
static void reset(struct line *l)
{
	hang_up_hard(&l->server);
	assert_int_equal(receive_end(l->client), ECONNRESET);
	hang_up(&l->client);
}

/* Another connection to where @l leads. */
static struct line again(const struct line *l)
{
	struct line other = *l;

	other.client = tcp_socket(AF_INET);
	assert_int_equal(dial(other.client, &other.at), 0);
	other.server = accept_from(other.listener);
	return other;
}

static void a_gate_that_is_plain_again_tells_old_connections_from_new(void **state)
{
	struct fixture *fx = *state;
	struct line old, between, late, last;
	struct ebb_verdict *verdict;
	struct ebb_gate *gate;

	fixture_open_loader(fx);
	old = connect_line();
	late = again(&old);
	gate = gate_of(fx, &old.at);
	verdict = verdict_of(fx, &old.at);
	assert_false(has_memory(fx, old.client));
	assert_int_equal(gate->ok, 2);
	/* it has opened and closed: who comes now is told from those before by a memory */
	verdict->word = ebb_word(2, EBB_STATE_CLOSED, 0);
	between = again(&old);
	assert_true(has_memory(fx, between.client));
	assert_int_equal(gate->ok, 3);
	/* those before get theirs, and it is no longer needed */
	assert_int_equal(remember_open(fx), 2);
	assert_true(has_memory(fx, old.client));
	verdict->plain_gen = 2;
	last = again(&old);
	assert_false(has_memory(fx, last.client));
	assert_int_equal(gate->ok, 4);
	assert_int_equal(remember_open(fx), 0);
	/* of an earlier generation, then of this one, with a memory and without */
	reset(&old);
	assert_int_equal(gate->failed, 0);
	reset(&between);
	assert_int_equal(gate->failed, 1);
	reset(&last);
	assert_int_equal(gate->failed, 2);
	/* and what has no memory when it moves again is of an earlier one */
	last = again(&old);
	verdict->word = ebb_word(4, EBB_STATE_CLOSED, 0);
	reset(&last);
	reset(&late);
	assert_int_equal(gate->failed, 2);
}

/* ----------------------------------------------------------------- churn -- */

struct churn {
	struct address at;
	volatile bool stop;
};

static void *churner(void *argument)
{
	struct churn *c = argument;
	char byte;

	while (!c->stop) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		if (connect(fd, &c->at.sa, c->at.length) == 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1)
			(void)recv(fd, &byte, 1, 0); /* else they outrun the server, and wait for their SYN */
		(void)close(fd);
	}
	return NULL;
}

static void *acceptor(void *argument)
{
	int listener = *(int *)argument;
	char byte;

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return NULL;
		(void)recv(fd, &byte, 1, 0);
		(void)send(fd, "y", 1, MSG_NOSIGNAL);
		(void)close(fd);
	}
}

#define CHURNERS 6

static uint64_t established_at(const struct fixture *fx, const struct address *at)
{
	return pair_slot_of(fx, at) < 0 ? 0 : pair_of(fx, at)->outcomes[EBB_OUTCOME_ESTABLISHED];
}

/* Connections come and go all the while; tear-down checks that nothing is left and nothing was negative. */
static void passes_amid_churn_leave_nothing(void **state)
{
	struct fixture *fx = *state;
	struct churn c = {0};
	pthread_t threads[CHURNERS], server;
	int listener = listen_at("127.0.0.1", &c.at);

	assert_int_equal(pthread_create(&server, NULL, acceptor, &listener), 0);
	for (int i = 0; i < CHURNERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churner, &c), 0);
	/* a socket that connects between the links has no decision to find */
	fx->errors_allowed = 1U << EBB_ERR_NOTE_LOST;
	fixture_open_loader(fx);
	for (int round = 0; round < 4; round++) {
		uint64_t enough = established_at(fx, &c.at) + 500;

		if (round == 1)
			set_concurrent(fx, 1000);
		if (round == 3) {
			fixture_close_loader(fx);
			fixture_open_loader(fx);
		}
		while (established_at(fx, &c.at) < enough) {
			(void)adopt_open(fx);
			(void)arm_open(fx);
		}
	}
	c.stop = true;
	for (int i = 0; i < CHURNERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shutdown(listener, SHUT_RDWR), 0);
	assert_int_equal(pthread_join(server, NULL), 0);
	/* the servers' side, whose peers are no destination of ours */
	for (uint32_t slot = 1; slot < fx->view->dst_max; slot++) {
		if (fx->view->dsts[slot].state == EBB_SLOT_LIVE)
			assert_int_equal((int)slot, dst_slot_of(fx, &c.at));
	}
}

static struct fixture_options later = {.adopt = true, .not_attached = true};
static struct fixture_options unarmed = {.adopt = true, .no_arm = true, .not_attached = true};

static struct fixture_options resets = {.adopt = true, .reset = true, .not_attached = true};
static struct fixture_options netlink_resets = {.adopt = true,
						.reset = true,
						.no_sock_destroy = true,
						.not_attached = true};

static int ask_without_rights(void *argument)
{
	(void)argument;
	if (capng_get_caps_process() < 0 ||
	    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) < 0 ||
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		return 2;
	return ebb_probe_one(EBB_FEATURE_DIAG_DESTROY) == -EPERM ? 0 : 1;
}

/* What is asked is whether a socket can be destroyed, not whether somebody answers. */
static void netlink_without_rights_is_no_way_to_reset(void **state)
{
	(void)state;
	assert_int_equal(ebb_probe_one(EBB_FEATURE_DIAG_DESTROY), 0);
	assert_int_equal(reap(spawn(ask_without_rights, NULL)), 0);
}

#define seed_test(function) bpf_test_with(function, &later)

int main(void)
{
	const struct CMUnitTest tests[] = {
		seed_test(open_connections_are_counted_until_they_close),
		seed_test(another_connection_beside_an_adopted_one_is_counted_as_always),
		seed_test(bytes_so_far_are_not_ours),
		seed_test(reconnecting_socket_is_adopted_no_longer),
		seed_test(unseen_end_is_given_back_by_the_next_pass),
		seed_test(open_connections_end_where_they_began),
		seed_test(a_farewell_is_taken_for_no_answer),
		seed_test(a_gate_that_is_plain_again_tells_old_connections_from_new),
		seed_test(an_armed_connection_is_seen_to_end),
		seed_test(what_an_armed_connection_sends_is_counted_at_its_end),
		seed_test(an_attempt_is_armed_too),
		seed_test(nothing_else_is_armed),
		seed_test(others_beside_one_that_is_armed_are_not),
		seed_test(each_network_namespace_is_armed_from_within),
		seed_test(armed_connections_are_paced),
		seed_test(direction_after_an_exchange),
		seed_test(direction_without_a_listener),
		seed_test(direction_with_a_closed_window),
		seed_test(direction_in_flight_and_retransmitted),
		seed_test(direction_after_loss_and_recovery),
		seed_test(direction_with_keep_alives),
		seed_test(direction_after_the_servers_fin),
		seed_test(direction_after_the_clients_fin),
		seed_test(direction_of_fast_open),
		seed_test(direction_of_a_self_connect),
		seed_test(direction_after_local_drops),
		seed_test(witnesses_that_disagree_leave_it_alone),
		seed_test(other_cgroups_are_not_touched),
		seed_test(cgroups_below_are_ours),
		seed_test(other_network_namespaces_are_seen),
		seed_test(shared_socket_counts_once),
		seed_test(passed_socket_counts_once),
		seed_test(restart_counts_nothing_twice),
		seed_test(armed_by_an_earlier_life_are_counted_again),
		seed_test(connecting_is_adopted_and_counted_when_it_is_there),
		seed_test(connecting_that_fails_leaves_nothing),
		seed_test(cap_that_comes_counts_what_is_open),
		seed_test(adopted_hold_slots_also_over_the_cap),
		seed_test(netlink_without_rights_is_no_way_to_reset),
		seed_test(passes_amid_churn_leave_nothing),
		bpf_test_with(where_the_kernel_cannot_arm_nothing_is_asked_for, &unarmed),
		bpf_test_with(unarmed_connections_are_held_by_drops, &unarmed),
		bpf_test_with(live_connections_of_an_open_gate_are_reset, &resets),
		bpf_test_with(nothing_else_is_reset, &resets),
		bpf_test_with(each_network_namespace_is_reset_from_within, &resets),
		bpf_test_with(live_connections_of_an_open_gate_are_reset, &netlink_resets),
		bpf_test_with(nothing_else_is_reset, &netlink_resets),
		bpf_test_with(each_network_namespace_is_reset_from_within, &netlink_resets),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

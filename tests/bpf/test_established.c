/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection that was established ends: what is a failure, and what is not. */
#include "fixture.h"

#include <linux/tcp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct line {
	struct address at;
	int listener;
	int client;
	int server;
};

static struct line connect_line(void)
{
	struct line l = {0};

	l.listener = listen_at("127.0.0.1", &l.at);
	l.client = tcp_socket(AF_INET);
	assert_int_equal(dial(l.client, &l.at), 0);
	l.server = accept_from(l.listener);
	return l;
}

/* Question and answer; and long enough ago that what is sent next is seen to be later. */
static void exchange(const struct line *l)
{
	send_all(l->client, "question");
	receive_all(l->server, 8);
	send_all(l->server, "answer");
	receive_all(l->client, 6);
	wait_for(ms_since_received(l->client) >= 12);
}

static void reset_with_a_request_open_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l);
	send_all(l.client, "question");
	receive_all(l.server, 8);
	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
	assert_int_equal(gate_of(fx, &l.at)->ok, 1);
	assert_int_equal(gate_of(fx, &l.at)->failed, 1);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

static void reset_before_any_answer_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	send_all(l.client, "question");
	receive_all(l.server, 8);
	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

static void reset_before_any_byte_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

static void reset_of_an_idle_answered_connection_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l);
	hang_up_hard(&l.server);
	assert_int_equal(receive_end(l.client), ECONNRESET);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &l.at)->failed, 0);
}

static uint64_t round_trips_of(const struct fixture *fx, const struct line *l)
{
	const struct ebb_dst *dst = dst_of(fx, &l->at);
	uint64_t count = 0;

	for (uint32_t b = 0; b < EBB_HIST_BUCKETS; b++)
		count += dst->rtt.buckets[b];
	return count;
}

/* Whoever is the first to say it. */
static void the_farewell_is_no_round_trip_of_its_own(void **state)
{
	struct fixture *fx = *state;
	struct line l;

	for (int first = 0; first < 2; first++) {
		l = connect_line();
		assert_int_equal(round_trips_of(fx, &l), 1);
		exchange(&l);
		assert_int_equal(round_trips_of(fx, &l), 2);
		hang_up(first ? &l.client : &l.server);
		hang_up(first ? &l.server : &l.client);
		wait_for(pair_of(fx, &l.at)->active == 0);
		assert_int_equal(round_trips_of(fx, &l), 2);
		hang_up(&l.listener);
	}
}

static void silence_with_a_request_open_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	unsigned int ms = 300;

	exchange(&l);
	shell("nft add table inet hole");
	shell("nft 'add chain inet hole in { type filter hook input priority 0; }'");
	shell("nft add rule inet hole in tcp dport %u drop", port_of(&l.at));
	assert_int_equal(setsockopt(l.client, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)), 0);
	send_all(l.client, "question");
	assert_int_equal(receive_end(l.client), ETIMEDOUT);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

/* The server said good-bye, the program asked on: its answer is a RST. */
static void reset_after_the_servers_fin_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l);
	hang_up(&l.server);
	assert_int_equal(receive_end(l.client), 0);
	send_all(l.client, "question");
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

static void reset_after_our_own_fin_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	send_all(l.client, "question");
	receive_all(l.server, 8);
	assert_int_equal(shutdown(l.client, SHUT_WR), 0);
	assert_int_equal(receive_end(l.server), 0);
	hang_up_hard(&l.server);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void linger_0_by_the_program_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	send_all(l.client, "question");
	hang_up_hard(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &l.at)->failed, 0);
}

static void close_with_unread_bytes_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	send_all(l.server, "unasked");
	wait_for(recv(l.client, (char[8]){0}, 8, MSG_PEEK | MSG_DONTWAIT) == 7);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void clean_close_by_the_program_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	exchange(&l);
	hang_up(&l.client);
	assert_int_equal(receive_end(l.server), 0);
	hang_up(&l.server);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void clean_close_by_the_server_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();

	exchange(&l);
	hang_up(&l.server);
	assert_int_equal(receive_end(l.client), 0);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
}

static int hold_a_connection(void *argument)
{
	int fd = tcp_socket(AF_INET);

	if (dial(fd, argument) < 0)
		return 1;
	(void)pause();
	return 0;
}

static void killed_process_leaves_no_active_connection(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	pid_t child;

	(void)listen_at("127.0.0.1", &at);
	child = spawn(hold_a_connection, &at);
	wait_for(pair_slot_of(fx, &at) > 0 && pair_of(fx, &at)->active == 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* The callbacks that its first life armed are inherited by what it accepts in its second. */
static void socket_that_connected_and_then_listens_is_not_counted(void **state)
{
	struct fixture *fx = *state;
	struct line l = connect_line();
	struct address at;
	int client, served;

	assert_int_equal(undial(l.client), 0);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
	at = address("127.0.0.1", 0);
	assert_int_equal(bind(l.client, &at.sa, at.length), 0);
	assert_int_equal(getsockname(l.client, &at.sa, &at.length), 0);
	assert_int_equal(listen(l.client, 8), 0);
	fixture_leave(fx);
	client = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(client, &at), 0);
	served = accept_from(l.client);
	send_all(served, "hello");
	receive_all(client, 5);
	hang_up(&client);
	hang_up(&served);
	hang_up(&l.client);
	expect_pair(fx, &l.at, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_other(fx, .attempts = 0);
	assert_int_equal(error_count(fx, EBB_ERR_GAUGE_UNDERFLOW), 0);
}

/* Fast open: the SYN waits for the first byte, so connect() alone is not seen to fail or succeed. */
static void fast_open_is_counted_when_its_syn_goes_out(void **state)
{
	struct fixture *fx = *state;
	struct address at;
	int one = 1;
	int fd, served, listener;

	/* client and server, without cookies, for every listener */
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1543");
	listener = listen_at("127.0.0.1", &at);
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &at), 0);
	expect_pair(fx, &at, .attempts = 1);
	send_all(fd, "hello");
	served = accept_from(listener);
	receive_all(served, 5);
	expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&fd);
	hang_up(&served);
	expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)), 0);
	assert_int_equal(dial(fd, &at), 0);
	hang_up(&fd);
	expect_pair(fx, &at, .attempts = 2, .syn_sent = 1, .established = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(reset_with_a_request_open_is_a_failure),
		bpf_test(reset_before_any_answer_is_a_failure),
		bpf_test(reset_before_any_byte_is_a_failure),
		bpf_test(reset_of_an_idle_answered_connection_is_no_failure),
		bpf_test(the_farewell_is_no_round_trip_of_its_own),
		bpf_test(silence_with_a_request_open_is_a_failure),
		bpf_test(reset_after_the_servers_fin_is_a_failure),
		bpf_test(reset_after_our_own_fin_is_no_failure),
		bpf_test(linger_0_by_the_program_is_no_failure),
		bpf_test(close_with_unread_bytes_is_no_failure),
		bpf_test(clean_close_by_the_program_is_no_failure),
		bpf_test(clean_close_by_the_server_is_no_failure),
		bpf_test(killed_process_leaves_no_active_connection),
		bpf_test(socket_that_connected_and_then_listens_is_not_counted),
		bpf_test(fast_open_is_counted_when_its_syn_goes_out),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns on a real kernel: a connection's result is that of its first request and its answer; what is
 * no turn; and what fails after the handshake.
 */
#include "fixture.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "core/limit.h"
#include "kernel/loader.h"

/* A request that is long enough to be due an answer in any turn; and one that is not. */
static const char long_request[] =
	"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: a-test-that-needs-128-bytes-of-request\r\n"
	"Accept: text/html, application/json\r\nConnection: keep-alive\r\n\r\n";
#define SHORT "PING"

static struct fixture_options old_kernel = {.no_rdonly_cast = true};

/* What the kernel counted of turns and results at one destination. */
struct seen {
	uint64_t answered, unanswered, reset, cancelled;
	uint64_t ok, failed, slow;
};

static struct seen seen_of(const struct fixture *fx, const struct address *to)
{
	const volatile struct ebb_pair *pair = pair_of(fx, to);
	const volatile struct ebb_gate *gate = gate_of(fx, to);

	return (struct seen){
		pair->turns[EBB_TURN_ANSWERED],
		pair->turns[EBB_TURN_UNANSWERED],
		pair->turns[EBB_TURN_RESET],
		pair->turns[EBB_TURN_CANCELLED],
		gate->ok,
		gate->failed,
		gate->slow,
	};
}

static bool is_seen(const struct fixture *fx, const struct address *to, const struct seen *want)
{
	struct seen have = seen_of(fx, to);

	return memcmp(&have, want, sizeof(have)) == 0;
}

static void expect_seen_at(const struct fixture *fx, const struct address *to, const struct seen *want,
			   const char *file, int line)
{
	uint64_t end = now_ns() + 2 * 1000000000ULL;
	struct seen have;

	while (!is_seen(fx, to, want) && now_ns() < end)
		net_nap();
	have = seen_of(fx, to);
	if (is_seen(fx, to, want))
		return;
	print_error("answered %lu unanswered %lu reset %lu cancelled %lu ok %lu failed %lu slow %lu\n",
		    have.answered, have.unanswered, have.reset, have.cancelled, have.ok, have.failed,
		    have.slow);
	_fail(file, line);
}

#define expect_seen(fx, to, ...) expect_seen_at(fx, to, &(struct seen){__VA_ARGS__}, __FILE__, __LINE__)

static void see_turns(struct fixture *fx)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_turns(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
	fx->view->agent->turns = 1;
}

/* Both ends of a connection to a listener. */
struct line {
	struct address to;
	int listener, client, server;
};

static struct line line_at(const char *text)
{
	struct line line;

	line.listener = listen_at(text, &line.to);
	line.client = tcp_socket(line.to.sa.sa_family);
	assert_int_equal(dial(line.client, &line.to), 0);
	line.server = accept_from(line.listener);
	return line;
}

static void redial(struct line *line)
{
	line->client = tcp_socket(line->to.sa.sa_family);
	assert_int_equal(dial(line->client, &line->to), 0);
	line->server = accept_from(line->listener);
}

/* One request and its answer. */
static void converse(const struct line *line, const char *request)
{
	send_all(line->client, request);
	receive_all(line->server, strlen(request));
	send_all(line->server, "answer");
	receive_all(line->client, strlen("answer"));
}

/* Everything that was sent has been acknowledged. */
static bool is_heard(int fd)
{
	int left;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
	return left == 0;
}

static void wait_ms_since_sent(int fd, uint32_t ms)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	do {
		net_nap();
		assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	} while (info.tcpi_last_data_sent < ms);
}

static void abandon_after(struct fixture *fx, uint32_t ms)
{
	struct ebb_policy policy = policy_default();

	policy.abandon_ms = ms;
	policy_everywhere(fx, &policy);
}

/* ----------------------------------------------------------------- answers -- */

static void a_connection_succeeds_with_its_first_answer_and_each_later_one(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	/* that it is established says nothing yet */
	expect_seen(fx, &line.to, 0);
	send_all(line.client, SHORT);
	receive_all(line.server, strlen(SHORT));
	expect_seen(fx, &line.to, 0);
	send_all(line.server, "answer");
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	/* more of the same answer */
	send_all(line.server, "and more");
	receive_all(line.client, strlen("answerand more"));
	converse(&line, SHORT);
	converse(&line, long_request);
	expect_seen(fx, &line.to, .answered = 3, .ok = 3);
	hang_up(&line.client);
	receive_end(line.server);
	hang_up(&line.server);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line.to, .answered = 3, .ok = 3);
}

static void the_time_of_a_turn_is_in_both_histograms(void **state)
{
	struct fixture *fx = *state;
	struct line line;
	struct ebb_pair *pair;
	struct ebb_dst *dst;
	uint64_t count = 0, from;

	see_turns(fx);
	line = line_at("::1");
	send_all(line.client, SHORT);
	wait_ms_since_sent(line.client, 40);
	from = now_ns();
	send_all(line.server, "answer");
	receive_all(line.client, strlen("answer"));
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	pair = pair_of(fx, &line.to);
	dst = dst_of(fx, &line.to);
	assert_in_range(pair->turn_units, 30000000 / EBB_HIST_UNIT_NS,
			(now_ns() - from + 2000000000) / EBB_HIST_UNIT_NS);
	assert_int_equal(dst->turn.sum_units, pair->turn_units);
	assert_int_equal(dst->turn.buckets[ebb_hist_bucket(pair->turn_units)], 1);
	assert_int_equal(pair->turn_buckets[ebb_turn_bucket(pair->turn_units)], 1);
	for (int b = 0; b < EBB_TURN_BUCKETS; b++)
		count += pair->turn_buckets[b];
	assert_int_equal(count, 1);
}

static void a_server_that_speaks_first_answers_nothing(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	send_all(line.server, "220 ready");
	receive_all(line.client, strlen("220 ready"));
	expect_seen(fx, &line.to, 0);
	converse(&line, SHORT);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

static void a_slow_answer_is_slow(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line line;

	policy.slow_ns = 30000000;
	policy_everywhere(fx, &policy);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	send_all(line.client, SHORT);
	wait_ms_since_sent(line.client, 40);
	send_all(line.server, "answer");
	expect_seen(fx, &line.to, .answered = 2, .ok = 2, .slow = 1);
	assert_int_equal(pair_of(fx, &line.to)->turns_slow, 1);
}

static void half_closed_it_is_answered_all_the_same(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	send_all(line.client, SHORT);
	assert_int_equal(shutdown(line.client, SHUT_WR), 0);
	receive_all(line.server, strlen(SHORT));
	assert_int_equal(receive_end(line.server), 0);
	send_all(line.server, "answer");
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	hang_up(&line.server);
	receive_all(line.client, strlen("answer"));
	hang_up(&line.client);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

static void half_closed_and_not_answered_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	hang_up(&line.client);
	hang_up(&line.server);
	/* the program waits, and the peer ends it */
	redial(&line);
	send_all(line.client, SHORT);
	assert_int_equal(shutdown(line.client, SHUT_WR), 0);
	receive_all(line.server, strlen(SHORT));
	assert_int_equal(receive_end(line.server), 0);
	hang_up(&line.server);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .ok = 1, .failed = 1);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	/* or the program does not wait: it changed its mind */
	redial(&line);
	send_all(line.client, SHORT);
	assert_int_equal(shutdown(line.client, SHUT_WR), 0);
	receive_all(line.server, strlen(SHORT));
	assert_int_equal(receive_end(line.server), 0);
	hang_up(&line.client);
	hang_up(&line.server);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .cancelled = 1, .ok = 1, .failed = 1);
}

static void keepalives_are_no_turns(void **state)
{
	struct fixture *fx = *state;
	struct line line;
	int one = 1;
	struct tcp_info info;
	socklen_t size = sizeof(info);

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	assert_int_equal(setsockopt(line.client, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(line.client, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(line.client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), 0);
	/* one has gone there and back */
	do {
		net_nap();
		assert_int_equal(getsockopt(line.client, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	} while (info.tcpi_last_ack_recv > 500 || info.tcpi_last_data_recv < 900);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

/* -------------------------------------------------------------- clean ends -- */

static void a_clean_end_without_a_request_is_a_success(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	hang_up(&line.client);
	assert_int_equal(receive_end(line.server), 0);
	hang_up(&line.server);
	expect_seen(fx, &line.to, .ok = 1);
	/* whoever ends it */
	redial(&line);
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .ok = 2);
}

static void a_pooled_connection_that_the_server_ends_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	/* a program that has not noticed yet: the peer resets it */
	send_all(line.client, long_request);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

/* A request is on its way while the farewell of an idle server comes. */
static void a_request_that_crosses_the_farewell_is_no_failure(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	abandon_after(fx, 10);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	/* what the client says does not arrive from now on */
	shell("nft 'table inet cross { chain c { type filter hook input priority 0; tcp dport %u tcp flags & (psh) == psh drop; }; }'",
	      port_of(&line.to));
	send_all(line.client, long_request);
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	expect_seen(fx, &line.to, .answered = 1, .cancelled = 1, .ok = 1);
	hang_up_hard(&line.client);
	expect_seen(fx, &line.to, .answered = 1, .cancelled = 1, .ok = 1);
	shell("nft delete table inet cross");
}

static void a_short_farewell_is_no_turn(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	abandon_after(fx, 10);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	/* a Terminate message, and the peer ends it first */
	send_all(line.client, "X\0\0\0\4");
	wait_for(is_heard(line.client));
	hang_up_hard(&line.server);
	(void)receive_end(line.client);
	hang_up(&line.client);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

/* ---------------------------------------------------------- memories that come late -- */

static struct fixture_options walking = {.adopt = true, .remember = true};

/* Its first request is answered, and it waits in a pool for the next. */
static struct line pooled_line(struct fixture *fx)
{
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	return line;
}

static void expect_a_clean_end(struct fixture *fx, struct line *line)
{
	hang_up(&line->server);
	(void)receive_end(line->client);
	hang_up(&line->client);
	expect_pair(fx, &line->to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line->to, .answered = 1, .ok = 1);
}

static void one_made_by_a_packet_knows_that_nothing_is_asked(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line line = pooled_line(fx);
	struct ebb_why why = {0};

	/* a limit by hand, and an acknowledgement on its way out */
	assert_int_equal(ebb_limit_make(3600ULL * 1000000000, 250000000,
					&policy.limits.bucket[EBB_LIMIT_BYTES]),
			 0);
	policy_everywhere(fx, &policy);
	assert_int_equal(ebb_loader_want_packets(fx->loader, true, &why), 0);
	send_all(line.server, "and more");
	receive_all(line.client, strlen("and more"));
	wait_for(is_heard(line.server));
	expect_a_clean_end(fx, &line);
}

static void one_made_for_a_slot_knows_that_nothing_is_asked(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line line = pooled_line(fx);

	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = 8;
	policy_everywhere(fx, &policy);
	assert_int_equal(adopt_open(fx).slots, 1);
	expect_a_clean_end(fx, &line);
}

static void one_made_since_its_address_moves_knows_that_nothing_is_asked(void **state)
{
	struct fixture *fx = *state;
	struct line line = pooled_line(fx);

	policy_of(fx, &line.to)->asks |= EBB_ASK_MEMORY;
	assert_int_equal(remember_open(fx), 1);
	/* the next request is a turn like others */
	converse(&line, long_request);
	expect_seen(fx, &line.to, .answered = 2, .ok = 2);
	send_all(line.client, long_request);
	receive_all(line.server, strlen(long_request));
	wait_for(is_heard(line.client));
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .answered = 2, .unanswered = 1, .ok = 2, .failed = 1);
}

/* Our side has said goodbye after its answer; the number that the FIN takes is no request. */
static void one_made_for_a_half_closed_connection_knows_it_too(void **state)
{
	struct fixture *fx = *state;
	struct line line = pooled_line(fx);

	assert_int_equal(shutdown(line.client, SHUT_WR), 0);
	assert_int_equal(receive_end(line.server), 0);
	policy_of(fx, &line.to)->asks |= EBB_ASK_MEMORY;
	assert_int_equal(remember_open(fx), 1);
	expect_a_clean_end(fx, &line);
}

static void one_made_while_the_first_request_is_open_knows_that(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	send_all(line.client, SHORT);
	receive_all(line.server, strlen(SHORT));
	wait_for(is_heard(line.client));
	policy_of(fx, &line.to)->asks |= EBB_ASK_MEMORY;
	assert_int_equal(remember_open(fx), 1);
	send_all(line.server, "answer");
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

static uint32_t segments_sent(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	return info.tcpi_data_segs_out;
}

/* Of those that round_trip() takes for the histogram. */
static bool is_sampled(uint32_t segments)
{
	return (segments * 0x9e3779b1U) >> 28 == 0x9e3779b1U >> 28;
}

static void take(int fd, size_t size)
{
	static char taken[65536];

	while (size) {
		ssize_t n = recv(fd, taken, sizeof(taken), 0);

		assert_true(n > 0);
		size -= (size_t)n;
	}
}

static void send_and_hear(const struct line *line, const void *data, size_t size)
{
	assert_int_equal(send(line->client, data, size, 0), size);
	take(line->server, size);
	wait_for(is_heard(line->client));
}

/* The answer to a large request comes with the acknowledgement by which the connection is found to be a large one. */
static void one_made_by_the_answer_itself_is_not_waiting_for_it(void **state)
{
	static char piece[16384];
	struct fixture *fx = *state;
	struct line line;
	int zero = 0, one = 1;

	see_turns(fx);
	line = line_at("127.0.0.1");
	assert_int_equal(setsockopt(line.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	for (int i = 0; i < (1 << 20) / (int)sizeof(piece) - 1; i++)
		send_and_hear(&line, piece, sizeof(piece));
	/* one byte each, to just below a megabyte */
	while (!is_sampled(segments_sent(line.client) + 1))
		send_and_hear(&line, piece, 1);
	assert_int_equal(setsockopt(line.server, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero)), 0);
	assert_int_equal(send(line.client, piece, sizeof(piece), 0), sizeof(piece));
	send_all(line.server, "answer");
	receive_all(line.client, strlen("answer"));
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	take(line.server, sizeof(piece));
	expect_a_clean_end(fx, &line);
}

/* ----------------------------------------------------------------- failures -- */

static void the_peer_ends_it_instead_of_an_answer(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	send_all(line.client, long_request);
	receive_all(line.server, strlen(long_request));
	wait_for(is_heard(line.client));
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .ok = 1, .failed = 1);
	hang_up(&line.client);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1, .unanswered = 1);
	/* once */
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .ok = 1, .failed = 1);
}

static void the_program_gives_up_waiting(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	abandon_after(fx, 50);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	send_all(line.client, long_request);
	wait_ms_since_sent(line.client, 60);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .ok = 1, .failed = 1);
	hang_up(&line.server);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1, .unanswered = 1);
	/* sooner it has changed its mind, and nothing is known of the peer */
	abandon_after(fx, 5000);
	redial(&line);
	send_all(line.client, long_request);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .cancelled = 1, .ok = 1, .failed = 1);
	hang_up(&line.server);
	expect_pair(fx, &line.to, .attempts = 2, .syn_sent = 2, .established = 2, .unanswered = 1);
	expect_seen(fx, &line.to, .answered = 1, .unanswered = 1, .cancelled = 1, .ok = 1, .failed = 1);
}

static void a_reset_while_an_answer_is_due_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	send_all(line.client, SHORT);
	receive_all(line.server, strlen(SHORT));
	hang_up_hard(&line.server);
	assert_int_equal(receive_end(line.client), ECONNRESET);
	expect_seen(fx, &line.to, .answered = 1, .reset = 1, .ok = 1, .failed = 1);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1, .reset = 1);
}

static void a_reset_of_an_idle_connection_is_none(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	hang_up_hard(&line.server);
	assert_int_equal(receive_end(line.client), ECONNRESET);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

/* What an operator cuts off does not arrive, and nobody answers it. */
static void what_we_drop_is_no_failure_of_the_destination(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_why why = {0};
	struct line line;

	policy.mode = EBB_MODE_ENFORCE;
	policy.abandon_ms = 10;
	policy.established = EBB_ESTABLISHED_DROP;
	policy_everywhere(fx, &policy);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	assert_int_equal(ebb_loader_want_packets(fx->loader, true, &why), 0);
	policy.override_state = EBB_OVERRIDE_OPEN;
	policy_everywhere(fx, &policy);
	send_all(line.client, long_request);
	wait_ms_since_sent(line.client, 20);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .answered = 1, .cancelled = 1, .ok = 1);
	policy.override_state = EBB_OVERRIDE_AUTO;
	policy_everywhere(fx, &policy);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* A program gives up an upload that our limit lets out slowly. */
static void what_we_pace_is_no_failure_of_the_destination(void **state)
{
	static char upload[1 << 20];
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_why why = {0};
	struct line line;

	policy.mode = EBB_MODE_ENFORCE;
	policy.abandon_ms = 10;
	assert_int_equal(ebb_limit_make(3600ULL * 200000, 65536, &policy.limits.bucket[EBB_LIMIT_BYTES]), 0);
	policy_everywhere(fx, &policy);
	assert_int_equal(ebb_loader_want_packets(fx->loader, true, &why), 0);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, long_request);
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
	while (send(line.client, upload, sizeof(upload), MSG_DONTWAIT) > 0)
		;
	wait_for(*(volatile __u64 *)&gate_of(fx, &line.to)->paced == 1);
	wait_ms_since_sent(line.client, 20);
	hang_up(&line.client);
	expect_seen(fx, &line.to, .answered = 1, .cancelled = 1, .ok = 1);
	hang_up_hard(&line.server);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void ruling_5_who_never_answers_does_not_fail(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	abandon_after(fx, 10);
	see_turns(fx);
	line = line_at("127.0.0.1");
	for (unsigned int i = 1; i <= 3; i++) {
		send_all(line.client, long_request);
		wait_ms_since_sent(line.client, 20);
		hang_up(&line.client);
		receive_all(line.server, strlen(long_request));
		assert_int_equal(receive_end(line.server), 0);
		hang_up(&line.server);
		/* a clean end is its success */
		expect_seen(fx, &line.to, .unanswered = i, .ok = i);
		redial(&line);
	}
}

/* ------------------------------------------------------------------ probes -- */

static void half_open(struct fixture *fx, const struct line *line)
{
	verdict_of(fx, &line->to)->word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
}

static uint64_t lease_left(const struct fixture *fx, const struct address *to)
{
	const struct ebb_gate *gate = gate_of(fx, to);

	for (int i = 0; i < EBB_PROBES_MAX; i++) {
		if (gate->probes[i])
			return ebb_probe_slot_deadline(gate->probes[i]) - now_ticks();
	}
	return 0;
}

static void the_result_of_a_probe_is_its_first_answer(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line line;
	uint64_t result;

	enforce_everywhere(fx, &policy, 0);
	see_turns(fx);
	line = line_at("127.0.0.1");
	hang_up(&line.client);
	hang_up(&line.server);
	half_open(fx, &line);
	redial(&line);
	wait_for(probes_held(gate_of(fx, &line.to)) == 1);
	/* established, it may wait for its answer for thirty seconds */
	wait_for(lease_left(fx, &line.to) > ebb_ns_to_ticks(25000000000ULL));
	assert_true(lease_left(fx, &line.to) <= ebb_ns_to_ticks(30000000000ULL) + 1);
	assert_int_equal(ebb_probe_succeeded(gate_of(fx, &line.to)->probe_result, 2), 0);
	converse(&line, SHORT);
	wait_for(ebb_probe_succeeded(gate_of(fx, &line.to)->probe_result, 2) == 1);
	assert_int_equal(probes_held(gate_of(fx, &line.to)), 0);
	/* its later answers are none */
	converse(&line, SHORT);
	result = gate_of(fx, &line.to)->probe_result;
	assert_int_equal(ebb_probe_succeeded(result, 2), 1);
	hang_up(&line.client);
	hang_up(&line.server);
	/* one that is not answered has failed, where answers are usual */
	abandon_after(fx, 10);
	redial(&line);
	send_all(line.client, long_request);
	wait_ms_since_sent(line.client, 20);
	hang_up(&line.client);
	wait_for(ebb_probe_failed(gate_of(fx, &line.to)->probe_result, 2) == 1);
	assert_int_equal(probes_held(gate_of(fx, &line.to)), 0);
}

static void a_probe_that_is_given_up_early_gives_its_slot_back(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line line;

	enforce_everywhere(fx, &policy, 0);
	see_turns(fx);
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	hang_up(&line.client);
	hang_up(&line.server);
	half_open(fx, &line);
	redial(&line);
	wait_for(probes_held(gate_of(fx, &line.to)) == 1);
	send_all(line.client, long_request);
	hang_up(&line.client);
	hang_up_hard(&line.server);
	wait_for(probes_held(gate_of(fx, &line.to)) == 0);
	assert_int_equal(ebb_probe_succeeded(gate_of(fx, &line.to)->probe_result, 2), 0);
	assert_int_equal(ebb_probe_failed(gate_of(fx, &line.to)->probe_result, 2), 0);
}

/* -------------------------------------------------------------- black holes -- */

static void syn_retries_once(struct fixture *fx, uint64_t word)
{
	struct ebb_policy policy = policy_default();

	policy.syn_retries = 1;
	enforce_everywhere(fx, &policy, word);
}

static void ruling_6_syn_retries_is_the_one_result_of_an_attempt(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	syn_retries_once(fx, 0);
	see_turns(fx);
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	expect_seen(fx, &to, 0);
	wait_for(syn_retransmits(fd) == 1);
	expect_seen(fx, &to, .failed = 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
	/* established after all: no second outcome, and no success, whatever it answers */
	shell("nft delete table inet hole");
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 5000), 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1, .active = 1);
	send_all(fd, SHORT);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
	expect_seen(fx, &to, .cancelled = 1, .failed = 1);
}

static void a_probe_to_a_black_hole_ends_early(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd;

	syn_retries_once(fx, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(probes_held(gate_of(fx, &to)) == 1);
	wait_for(ebb_probe_failed(gate_of(fx, &to)->probe_result, 2) == 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
	assert_int_equal(ebb_probe_failed(gate_of(fx, &to)->probe_result, 2), 1);
}

/* ---------------------------------------------------------------- neighbours -- */

static void answers_to_clients_are_no_turns(void **state)
{
	struct fixture *fx = *state;
	struct line line;

	struct address to;
	int listener, fd;

	see_turns(fx);
	/* the server of a connection from within is no client of anybody */
	line = line_at("127.0.0.1");
	converse(&line, SHORT);
	assert_int_equal(fx->view->kernel->pair_high, 1);
	/* nor has one that came from outside of the cgroup a destination */
	listener = listen_at("127.0.0.1", &to);
	fixture_leave(fx);
	fd = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(fd, &to), 0);
	line.server = accept_from(listener);
	send_all(fd, SHORT);
	receive_all(line.server, strlen(SHORT));
	send_all(line.server, "answer");
	receive_all(fd, strlen("answer"));
	expect_seen(fx, &line.to, .answered = 1, .ok = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(a_connection_succeeds_with_its_first_answer_and_each_later_one),
		bpf_test_with(a_connection_succeeds_with_its_first_answer_and_each_later_one, &old_kernel),
		bpf_test(the_time_of_a_turn_is_in_both_histograms),
		bpf_test(a_server_that_speaks_first_answers_nothing),
		bpf_test(a_slow_answer_is_slow),
		bpf_test(half_closed_it_is_answered_all_the_same),
		bpf_test(half_closed_and_not_answered_is_a_failure),
		bpf_test(keepalives_are_no_turns),
		bpf_test(a_clean_end_without_a_request_is_a_success),
		bpf_test(a_pooled_connection_that_the_server_ends_is_no_failure),
		bpf_test(a_request_that_crosses_the_farewell_is_no_failure),
		bpf_test(a_short_farewell_is_no_turn),
		bpf_test(one_made_by_a_packet_knows_that_nothing_is_asked),
		bpf_test_with(one_made_for_a_slot_knows_that_nothing_is_asked, &walking),
		bpf_test_with(one_made_since_its_address_moves_knows_that_nothing_is_asked, &walking),
		bpf_test_with(one_made_for_a_half_closed_connection_knows_it_too, &walking),
		bpf_test_with(one_made_while_the_first_request_is_open_knows_that, &walking),
		bpf_test(one_made_by_the_answer_itself_is_not_waiting_for_it),
		bpf_test(the_peer_ends_it_instead_of_an_answer),
		bpf_test(the_program_gives_up_waiting),
		bpf_test(a_reset_while_an_answer_is_due_is_a_failure),
		bpf_test(a_reset_of_an_idle_connection_is_none),
		bpf_test(what_we_drop_is_no_failure_of_the_destination),
		bpf_test(what_we_pace_is_no_failure_of_the_destination),
		bpf_test(ruling_5_who_never_answers_does_not_fail),
		bpf_test(the_result_of_a_probe_is_its_first_answer),
		bpf_test(a_probe_that_is_given_up_early_gives_its_slot_back),
		bpf_test(ruling_6_syn_retries_is_the_one_result_of_an_attempt),
		bpf_test(a_probe_to_a_black_hole_ends_early),
		bpf_test(answers_to_clients_are_no_turns),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans on a real kernel: each connection that failed has one, of the others the share that is asked for, and each says
 * when what happened. While nobody asks, nothing is written.
 */
#include "fixture.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "kernel/spans.h"

#define ALL	      UINT32_MAX
#define FAILURES_ONLY 0U
#define MS	      1000000ULL
#define FOR_EVER      EBB_UNTIL_MASK

/* What was taken from the ring. */
struct taken {
	struct ebb_span_end spans[64];
	size_t count;
};

static void keep(void *userdata, const struct ebb_span_end *span)
{
	struct taken *taken = userdata;

	assert_in_range(taken->count, 0, 63);
	taken->spans[taken->count++] = *span;
}

static void want(const struct fixture *fx, uint32_t share)
{
	ebb_spans_want(ebb_loader_spans(fx->loader), share, now_ns() + 60 * 1000 * MS);
}

static size_t take(const struct fixture *fx, struct taken *taken)
{
	assert_true(ebb_spans_take(ebb_loader_spans(fx->loader), 64, keep, taken) >= 0);
	return taken->count;
}

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
	int client, server;
};

static struct line line_at(const char *text)
{
	int listener;
	struct line line;

	listener = listen_at(text, &line.to);
	line.client = tcp_socket(line.to.sa.sa_family);
	assert_int_equal(dial(line.client, &line.to), 0);
	line.server = accept_from(listener);
	return line;
}

static void converse(const struct line *line)
{
	send_all(line->client, "question");
	receive_all(line->server, strlen("question"));
	send_all(line->server, "an answer");
	receive_all(line->client, strlen("an answer"));
}

static void end_well(struct line *line)
{
	hang_up(&line->client);
	assert_int_equal(receive_end(line->server), 0);
	hang_up(&line->server);
}

static void assert_is_of(const struct fixture *fx, const struct ebb_span_end *span, const struct address *to)
{
	int slot = dst_slot_of(fx, to);

	assert_int_equal(span->dst, slot);
	assert_int_equal(span->dst_epoch, fx->view->dsts[slot].epoch);
	assert_int_equal(span->pair, pair_slot_of(fx, to));
	assert_int_equal(span->workload, fx->cgroup_id);
	assert_int_equal(ntohs(span->peer.port), port_of(to));
	assert_int_equal(span->peer.proto, IPPROTO_TCP);
}

static void nothing_is_written_for_nobody(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	struct address to;
	struct line line;
	int fd;

	(void)closed_port_at("127.0.0.1", &to);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	line = line_at("127.0.0.1");
	end_well(&line);
	/* who wanted them is gone */
	ebb_spans_want(ebb_loader_spans(fx->loader), ALL, now_ns() - 1);
	hang_up(&fd);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	line = line_at("127.0.0.1");
	end_well(&line);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(take(fx, &taken), 0);
}

static void one_that_went_well_says_when_what_happened(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	const struct ebb_span_end *span = &taken.spans[0];
	uint64_t before, connected, answered, after;
	struct line line;

	see_turns(fx);
	want(fx, ALL);
	before = now_ns();
	line = line_at("127.0.0.1");
	connected = now_ns();
	converse(&line);
	answered = now_ns();
	end_well(&line);
	wait_for(take(fx, &taken) == 1);
	after = now_ns();
	assert_is_of(fx, span, &line.to);
	assert_int_equal(span->outcome, EBB_OUTCOME_ESTABLISHED);
	assert_int_equal(span->flags, 0);
	assert_in_range(span->start_ns, before, span->connected_ns);
	assert_in_range(span->connected_ns, before, connected);
	assert_in_range(span->answered_ns, connected, answered);
	assert_in_range(span->turn_ns, 1, span->answered_ns - span->connected_ns);
	assert_in_range(span->at_ns, answered, after);
	assert_int_equal(span->sent_bytes, strlen("question"));
	assert_int_equal(span->received_bytes, strlen("an answer"));
	assert_true(span->rtt_us > 0);
	assert_true(span->dice <= span->share);
	assert_memory_equal(span->peer.addr + 12, &line.to.v4.sin_addr, 4);
}

static void without_turns_there_is_no_first_answer(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	struct line line;

	want(fx, ALL);
	line = line_at("::1");
	converse(&line);
	end_well(&line);
	wait_for(take(fx, &taken) == 1);
	assert_is_of(fx, &taken.spans[0], &line.to);
	assert_int_equal(taken.spans[0].answered_ns, 0);
	assert_int_equal(taken.spans[0].turn_ns, 0);
	assert_true(taken.spans[0].connected_ns > 0);
}

/* What a second turn does moves nothing, and the socket may connect again. */
static void each_connection_of_a_socket_has_its_own(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	struct address to;
	uint64_t first_answer;
	struct line line;
	int listener;

	see_turns(fx);
	want(fx, ALL);
	line = line_at("127.0.0.1");
	converse(&line);
	first_answer = now_ns();
	converse(&line);
	assert_int_equal(undial(line.client), 0);
	wait_for(take(fx, &taken) == 1);
	assert_true(taken.spans[0].answered_ns < first_answer);
	listener = listen_at("127.0.0.1", &to);
	assert_int_equal(dial(line.client, &to), 0);
	hang_up(&line.server);
	line.server = accept_from(listener);
	assert_int_equal(undial(line.client), 0);
	wait_for(take(fx, &taken) == 2);
	assert_is_of(fx, &taken.spans[1], &to);
	assert_int_equal(taken.spans[1].answered_ns, 0);
	assert_true(taken.spans[1].start_ns > taken.spans[0].at_ns);
	/* one that is not drawn has none, whatever the one before left */
	want(fx, FAILURES_ONLY);
	assert_int_equal(dial(line.client, &to), 0);
	hang_up(&line.server);
	line.server = accept_from(listener);
	end_well(&line);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 2);
	assert_int_equal(take(fx, &taken), 2);
}

static void failures_are_written_without_a_draw(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	struct address to;
	struct line line;
	uint64_t before;
	int fd;

	see_turns(fx);
	want(fx, FAILURES_ONLY);
	(void)closed_port_at("127.0.0.1", &to);
	for (int i = 0; i < 10; i++) {
		before = now_ns();
		fd = tcp_socket(AF_INET);
		assert_int_equal(dial(fd, &to), -ECONNREFUSED);
		hang_up(&fd);
		assert_int_equal(take(fx, &taken), i + 1);
		assert_int_equal(taken.spans[i].outcome, EBB_OUTCOME_REFUSED);
		assert_int_equal(taken.spans[i].flags, EBB_SPAN_FAILED);
		assert_int_equal(taken.spans[i].connected_ns, 0);
		assert_in_range(taken.spans[i].start_ns, before, taken.spans[i].at_ns);
		assert_is_of(fx, &taken.spans[i], &to);
	}
	line = line_at("127.0.0.1");
	converse(&line);
	end_well(&line);
	expect_pair(fx, &line.to, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(take(fx, &taken), 10);
}

/* What nobody counts as a failure is none here either. */
static void one_that_the_policy_does_not_count_is_drawn_like_the_others(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct taken taken = {.count = 0};
	struct address to;
	int fd;

	policy.count_mask &= ~(1U << EBB_OUTCOME_REFUSED);
	policy_everywhere(fx, &policy);
	want(fx, FAILURES_ONLY);
	(void)closed_port_at("127.0.0.1", &to);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	assert_int_equal(take(fx, &taken), 0);
	want(fx, ALL);
	hang_up(&fd);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	assert_int_equal(take(fx, &taken), 1);
	assert_int_equal(taken.spans[0].flags, 0);
}

static void a_reset_is_a_failure_also_of_one_that_was_not_drawn(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};

	see_turns(fx);
	for (int drawn = 0; drawn < 2; drawn++) {
		const struct ebb_span_end *span = &taken.spans[drawn];
		struct line line;

		want(fx, drawn ? ALL : FAILURES_ONLY);
		line = line_at("127.0.0.1");
		send_all(line.client, "question");
		receive_all(line.server, strlen("question"));
		hang_up_hard(&line.server);
		(void)receive_end(line.client);
		hang_up(&line.client);
		wait_for(take(fx, &taken) == (size_t)drawn + 1);
		assert_int_equal(span->outcome, EBB_OUTCOME_RESET);
		assert_int_equal(span->flags, EBB_SPAN_FAILED);
		assert_int_equal(span->sent_bytes, strlen("question"));
		assert_int_equal(span->start_ns != 0, drawn);
	}
}

/* The peer says farewell instead of an answer, where answers are usual. */
static void one_that_nobody_answered_has_failed(void **state)
{
	struct fixture *fx = *state;
	struct taken taken = {.count = 0};
	struct line line;
	int listener;

	see_turns(fx);
	want(fx, FAILURES_ONLY);
	listener = listen_at("127.0.0.1", &line.to);
	line.client = tcp_socket(AF_INET);
	assert_int_equal(dial(line.client, &line.to), 0);
	line.server = accept_from(listener);
	converse(&line);
	end_well(&line);
	line.client = tcp_socket(AF_INET);
	assert_int_equal(dial(line.client, &line.to), 0);
	line.server = accept_from(listener);
	send_all(line.client, "question");
	receive_all(line.server, strlen("question"));
	hang_up(&line.server);
	assert_int_equal(receive_end(line.client), 0);
	hang_up(&line.client);
	wait_for(take(fx, &taken) == 1);
	assert_int_equal(taken.spans[0].outcome, EBB_OUTCOME_UNANSWERED);
	assert_int_equal(taken.spans[0].flags, EBB_SPAN_FAILED);
}

/* By syn_retries, once: that the program then gives up is no second one. */
static void a_syn_that_is_given_up_has_one(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct taken taken = {.count = 0};
	struct address to;
	uint64_t before;
	int fd;

	policy.syn_retries = 1;
	policy_everywhere(fx, &policy);
	want(fx, ALL);
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	before = now_ns();
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(take(fx, &taken) == 1);
	assert_int_equal(taken.spans[0].outcome, EBB_OUTCOME_TIMEOUT);
	assert_int_equal(taken.spans[0].flags, EBB_SPAN_FAILED);
	/* to a millisecond, since its SYN was sent again */
	assert_in_range(taken.spans[0].start_ns, before - 2 * MS, before + 100 * MS);
	assert_true(taken.spans[0].at_ns - taken.spans[0].start_ns > 900 * MS);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .timeout = 1);
	assert_int_equal(take(fx, &taken), 1);
	/* nor that it is established after all */
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(take(fx, &taken) == 2);
	shell("nft delete table inet hole");
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 10000), 1);
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .timeout = 2);
	assert_int_equal(take(fx, &taken), 2);
}

static void one_that_we_refuse_says_by_what(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct taken taken = {.count = 0};
	const struct ebb_span_end *span = &taken.spans[0];
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	want(fx, ALL);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	assert_int_equal(take(fx, &taken), 1);
	assert_int_equal(span->outcome, EBB_RECORD_DENIED);
	assert_int_equal(span->cause, EBB_CAUSE_BREAKER);
	assert_int_equal(span->flags, EBB_SPAN_ENFORCED);
	assert_int_equal(span->start_ns, span->at_ns);
	assert_is_of(fx, span, &to);
	assert_int_equal(span->gate, fx->view->pairs[pair_slot_of(fx, &to)].gate);
	hang_up(&fd);
	/* nor is one written for who is gone */
	ebb_spans_want(ebb_loader_spans(fx->loader), ALL, now_ns() - 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	hang_up(&fd);
	assert_int_equal(take(fx, &taken), 1);
	/* a denial is no failure of anybody: of many only the share */
	want(fx, FAILURES_ONLY);
	for (int i = 0; i < 100; i++) {
		fd = tcp_socket(AF_INET);
		assert_int_equal(dial(fd, &to), -ECONNREFUSED);
		hang_up(&fd);
	}
	assert_int_equal(take(fx, &taken), 1);
}

/* Half of 1,000: beyond six standard deviations (95) something is wrong with the draw. */
static void the_share_is_what_was_asked_for(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct taken taken = {.count = 0};
	size_t count = 0;
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	want(fx, UINT32_MAX / 2);
	for (int i = 0; i < 1000; i++) {
		fd = tcp_socket(AF_INET);
		assert_int_equal(dial(fd, &to), -ECONNREFUSED);
		hang_up(&fd);
		count += take(fx, &taken);
		for (size_t k = 0; k < taken.count; k++)
			assert_true(taken.spans[k].dice <= UINT32_MAX / 2);
		taken.count = 0;
	}
	assert_in_range(count, 405, 595);
}

/* Nobody reads: what finds no room is counted, and connections go on. */
static void what_finds_no_room_is_counted(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	want(fx, ALL);
	fd = tcp_socket(AF_INET);
	for (uint32_t i = 0; i <= EBB_SPAN_BYTES / sizeof(struct ebb_span_end); i++)
		assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	assert_in_range(ebb_spans_lost(ebb_loader_spans(fx->loader)), 1, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(nothing_is_written_for_nobody),
		bpf_test(one_that_went_well_says_when_what_happened),
		bpf_test(without_turns_there_is_no_first_answer),
		bpf_test(each_connection_of_a_socket_has_its_own),
		bpf_test(failures_are_written_without_a_draw),
		bpf_test(one_that_the_policy_does_not_count_is_drawn_like_the_others),
		bpf_test(a_reset_is_a_failure_also_of_one_that_was_not_drawn),
		bpf_test(one_that_nobody_answered_has_failed),
		bpf_test(a_syn_that_is_given_up_has_one),
		bpf_test(one_that_we_refuse_says_by_what),
		bpf_test(the_share_is_what_was_asked_for),
		bpf_test(what_finds_no_room_is_counted),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

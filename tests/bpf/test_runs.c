/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often our programs run for one connection, as the kernel counts it. With what each
 * may ask of the kernel in a run (tests/kernels/baseline.json) that bounds the helpers
 * and look-ups of a connection; neither depends on the machine. More of them than stand here
 * are a cost that somebody has to want.
 */
#include "fixture.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define CONNECTIONS 41
#define REQUEST	    200
#define ANSWER	    250

/* What is committed: runs for each connection. A program that is not named runs never. */
struct runs {
	const char *name; /* as ebb_maps_links() says it */
	uint64_t count;
};

static const struct runs empty_connection[] = {{"connect4", 1}, {"sockops", 9}, {"release", 1}, {NULL, 0}};
static const struct runs one_request[] = {{"connect4", 1}, {"sockops", 10}, {"release", 1}, {NULL, 0}};
static const struct runs one_request_turns[] = {{"connect4", 1},
						{"sockops", 10},
						{"release", 1},
						{"turns", 5},
						{NULL, 0}};
static const struct runs refused_connection[] = {{"connect4", 1}, {"release", 1}, {NULL, 0}};

static uint64_t committed(const struct runs *runs, const char *name)
{
	for (; runs->name; runs++) {
		if (strcmp(runs->name, name) == 0)
			return runs->count;
	}
	return 0;
}

static void acknowledge_at_once(int fd)
{
	int one = 1;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
}

static void pass(int from, int to, size_t size)
{
	char text[ANSWER + 1] = {0};

	memset(text, 'x', size);
	send_all(from, text);
	receive_all(to, size);
}

/* One that passes: the server closes first, and all of that is seen before the client does. */
static void converse(int listener, const struct address *to, bool with_request)
{
	int client = tcp_socket(AF_INET), server;

	assert_int_equal(dial(client, to), 0);
	server = accept_from(listener);
	acknowledge_at_once(client);
	acknowledge_at_once(server);
	if (with_request) {
		pass(client, server, REQUEST);
		pass(server, client, ANSWER);
	}
	hang_up(&server);
	assert_int_equal(receive_end(client), 0);
	hang_up(&client);
}

static uint64_t runs_of(uint32_t program_id)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program_id);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	(void)close(fd);
	return info.run_cnt;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Most connections run each program so often as it is committed. Not all have to: what arrives while the processor is
 * somebody else's is acknowledged together.
 */
static void expect_runs(struct fixture *fx, const struct runs *want, void (*connection)(void *),
			void *argument)
{
	uint64_t seen[EBB_LINKS_MAX][CONNECTIONS], before[EBB_LINKS_MAX];
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(fx->pin_dir, links);
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	assert_true(stats >= 0);
	connection(argument); /* the first makes what the others find */
	for (int i = 0; i < CONNECTIONS; i++) {
		for (size_t l = 0; l < count; l++)
			before[l] = runs_of(links[l].program_id);
		connection(argument);
		for (size_t l = 0; l < count; l++)
			seen[l][i] = runs_of(links[l].program_id) - before[l];
	}
	(void)close(stats);
	for (size_t l = 0; l < count; l++) {
		qsort(seen[l], CONNECTIONS, sizeof(seen[l][0]), compare);
		if (seen[l][CONNECTIONS / 2] != committed(want, links[l].name))
			fail_msg("%s ran %lu times for a connection, committed are %lu", links[l].name,
				 (unsigned long)seen[l][CONNECTIONS / 2],
				 (unsigned long)committed(want, links[l].name));
	}
}

struct place {
	struct fixture *fx;
	struct address to;
	int listener;
};

/* The server's sockets are outside: they are not governed. */
static struct place place_of(struct fixture *fx)
{
	struct place place = {.fx = fx};

	fixture_leave(fx);
	place.listener = listen_at("127.0.0.1", &place.to);
	fixture_join(fx);
	return place;
}

static void wait_until_closed(const struct place *place)
{
	wait_for(pair_of(place->fx, &place->to)->active == 0);
}

static void nothing_said(void *argument)
{
	const struct place *place = argument;

	converse(place->listener, &place->to, false);
	wait_until_closed(place);
}

static void request_and_answer(void *argument)
{
	const struct place *place = argument;

	converse(place->listener, &place->to, true);
	wait_until_closed(place);
}

static void refused(void *argument)
{
	const struct place *place = argument;
	int fd = tcp_socket(AF_INET);

	assert_int_equal(dial(fd, &place->to), -ECONNREFUSED);
	hang_up(&fd);
}

static void connection_that_says_nothing(void **state)
{
	struct place place = place_of(*state);

	expect_runs(*state, empty_connection, nothing_said, &place);
}

static void connection_with_one_request(void **state)
{
	struct place place = place_of(*state);

	expect_runs(*state, one_request, request_and_answer, &place);
}

static void connection_with_one_request_while_turns_are_seen(void **state)
{
	struct fixture *fx = *state;
	struct place place = place_of(fx);
	struct ebb_why why = {0};

	if (ebb_loader_want_turns(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
	fx->view->agent->turns = 1;
	expect_runs(fx, one_request_turns, request_and_answer, &place);
	fx->view->agent->turns = 0;
	if (ebb_loader_want_turns(fx->loader, false, &why) < 0)
		fail_msg("%s", why.text);
}

static void connection_with_a_slot(void **state)
{
	struct ebb_policy policy = policy_default();
	struct place place = place_of(*state);

	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = 1000;
	policy.asks = EBB_ASK_CONNECT;
	policy_everywhere(*state, &policy);
	expect_runs(*state, one_request, request_and_answer, &place);
}

static void connection_that_is_refused(void **state)
{
	struct ebb_policy policy = policy_default();
	struct place place = place_of(*state);

	policy.override_state = EBB_OVERRIDE_OPEN;
	enforce_everywhere(*state, &policy, 0);
	expect_runs(*state, refused_connection, refused, &place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_that_says_nothing),
		cmocka_unit_test(connection_with_one_request),
		cmocka_unit_test(connection_with_one_request_while_turns_are_seen),
		cmocka_unit_test(connection_with_a_slot),
		cmocka_unit_test(connection_that_is_refused),
	};

	if (fixture_unavailable())
		return 0;
	/* one for all: most of the time is the verifier's */
	return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}

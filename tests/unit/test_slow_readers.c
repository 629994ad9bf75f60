/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of events that do not read: they are ended and counted, they cost a bounded piece of memory, and the others
 * hear of everything in the same moment as without them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>

#include "export/readers.h"
#include "lib/cleanup.h"
#include "tests/lib/fake_server.h"

#define DSTS   255
#define OTHERS 50
#define ROUNDS 12
#define LIMIT  (256 << 10) /* of memory that may come and go */

/* A node on which every row changes each second. */
static struct server busy_server(void)
{
	struct server server = {.fake = fake_new(DSTS + 1, DSTS + 1)};
	struct ebb_why why = {""};

	for (uint32_t i = 1; i <= DSTS; i++) {
		char address[16];

		(void)snprintf(address, sizeof(address), "10.0.0.%u", i);
		(void)fake_dst(server.fake, i, address, 443);
		(void)fake_pair(server.fake, i, i, 7);
	}
	server.fake->health.started = true;
	if (ebb_http_new("127.0.0.1:0", &server.fake->source, &server.http, &why) < 0)
		fail_msg("%s", why.text);
	run(&server);
	return server;
}

/* One that asks and leaves what it gets in a small @buffer. */
static struct client slow_client(struct server *server, int buffer)
{
	struct client client = client_new(server);

	assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
	client_ask(&client, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
	return client;
}

/* They are looked at in slices, between which the loop does other work. */
static void look_at_rows(struct server *server)
{
	for (int slice = 0; slice < 8; slice++)
		let_pass(server, 1000000);
}

/* A second passes: all rows change, and breaker @dst opens. */
static void second(struct server *server, uint32_t dst)
{
	const struct ebb_transition move = {.at_ns = fake_now_ns + NS_PER_S,
					    .gen = 1,
					    .reason = EBB_REASON_FAILURE_RATE,
					    .failed = 9};

	for (uint32_t i = 1; i <= DSTS; i++)
		server->fake->view.pairs[i].attempts += i;
	fake_now_ns += NS_PER_S;
	server->fake->view.verdicts[dst].word = ebb_word(1, EBB_STATE_OPEN, UINT32_MAX);
	ebb_http_moved(server->http, dst, dst, &move);
	look_at_rows(server);
}

static void forget(struct client *client)
{
	free(client->text);
	client->text = fake_zeroed(1, 1);
	client->length = 0;
}

static size_t memory_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* All of @clients hear that the breaker of @dst opened, and of the rows that changed; no more time passes meanwhile. */
static void all_hear(struct server *server, struct client *clients, uint32_t dst)
{
	char transition[64];

	(void)snprintf(transition, sizeof(transition), "\"destination\":\"10.0.0.%u:443/tcp\"", dst);
	for (size_t i = 0; i < OTHERS; i++) {
		serve(server, &clients[i], "event: transition");
		assert_non_null(strstr(strstr(clients[i].text, "event: transition"), transition));
		serve(server, &clients[i], "10.0.0.255:443");
		assert_false(clients[i].ended);
	}
	/* also what is left of the second */
	serve_until_quiet(server);
	for (size_t i = 0; i < OTHERS; i++) {
		client_receive(&clients[i]);
		forget(&clients[i]);
	}
}

static void who_does_not_read_is_ended_and_delays_nobody(void **state)
{
	struct server server = busy_server();
	struct client never = slow_client(&server, 4096), drip = slow_client(&server, 4096), others[OTHERS];
	const struct ebb_http_stats *stats = server.fake->source.http;
	size_t before = 0;

	(void)state;
	serve_until_quiet(&server); /* they have asked */
	look_at_rows(&server);
	for (size_t i = 0; i < OTHERS; i++) {
		others[i] = listen_to_events(&server, NULL);
		forget(&others[i]);
	}
	assert_int_equal(stats->streams, OTHERS + 2);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		char byte;

		second(&server, round);
		all_hear(&server, others, round);
		if (stats->dropped[EBB_HTTP_STALLED] == 0)
			assert_int_equal(recv(drip.fd, &byte, 1, 0), 1);
		if (round == 1)
			before = memory_in_use();
		assert_true(memory_in_use() <= before + LIMIT);
	}
	/* the first second fills what the kernel takes for them, and five later they are gone */
	assert_int_equal(stats->dropped[EBB_HTTP_STALLED], 2);
	assert_int_equal(stats->dropped[EBB_HTTP_OVERTAKEN], 0);
	assert_int_equal(stats->streams, OTHERS);
	serve(&server, &never, NULL);
	serve(&server, &drip, NULL);
	assert_true(never.ended && drip.ended);
	for (size_t i = 0; i < OTHERS; i++)
		client_free(&others[i]);
	client_free(&never);
	client_free(&drip);
	server_free(&server);
}

/* Takes @bytes, if they come, and leaves the rest where it is. */
static void take(struct server *server, const struct client *client, size_t bytes)
{
	char piece[4096];

	for (int tries = 0; bytes > 0 && tries < 100; tries++) {
		struct pollfd fd = {.fd = client->fd, .events = POLLIN};
		ssize_t n = recv(client->fd, piece, bytes < sizeof(piece) ? bytes : sizeof(piece), 0);

		if (n > 0)
			bytes -= (size_t)n;
		else
			(void)poll(&fd, 1, 10);
		run(server);
	}
}

/* It takes something again and again, but less than there is. */
static void who_falls_behind_is_ended(void **state)
{
	struct server server = busy_server();
	struct client behind = slow_client(&server, 16384);
	const struct ebb_http_stats *stats = server.fake->source.http;

	(void)state;
	for (uint32_t round = 1; round <= 100 && stats->dropped[EBB_HTTP_OVERTAKEN] == 0; round++) {
		second(&server, round % DSTS + 1);
		take(&server, &behind, 30000);
	}
	assert_int_equal(stats->dropped[EBB_HTTP_OVERTAKEN], 1);
	assert_int_equal(stats->dropped[EBB_HTTP_STALLED], 0);
	assert_int_equal(stats->streams, 0);
	client_free(&behind);
	server_free(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_does_not_read_is_ended_and_delays_nobody),
		cmocka_unit_test(who_falls_behind_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

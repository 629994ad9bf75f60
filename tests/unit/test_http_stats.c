/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP server counts of itself, and that no client can make it count without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "tests/lib/fake_server.h"

/* The value of @series in /metrics; -1: there is none. */
static long value_of(struct server *server, const char *series)
{
	_cleanup_free_ char *text = get(server, "/metrics", "");
	char line[256];
	const char *at;

	(void)snprintf(line, sizeof(line), "\n%s ", series);
	at = strstr(text, line);
	return at ? strtol(at + strlen(line), NULL, 10) : -1;
}

static void each_request_is_counted_once_by_what_it_asked_for(void **state)
{
	static const struct {
		const char *request;
		const char *series;
	} cases[] = {
		{"GET /metrics", "handler=\"metrics\",code=\"200\""},
		{"HEAD /metrics", "handler=\"metrics\",code=\"200\""},
		{"POST /metrics", "handler=\"metrics\",code=\"405\""},
		{"GET /health", "handler=\"health\",code=\"200\""},
		{"GET /health/live", "handler=\"health\",code=\"200\""},
		{"GET /api/v1/status", "handler=\"api\",code=\"200\""},
		{"GET /api/v1/status?x=1", "handler=\"api\",code=\"400\""},
		{"GET /api/v1/destinations/nobody", "handler=\"api\",code=\"404\""},
		{"HEAD /api/v1/events", "handler=\"events\",code=\"200\""},
		{"GET /", "handler=\"page\",code=\"200\""},
		{"GET /api/v2", "handler=\"other\",code=\"404\""},
		{"GET /etc/passwd", "handler=\"other\",code=\"404\""},
		{"DELETE /x", "handler=\"other\",code=\"404\""},
	};
	struct server server = server_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request[256], series[256];
		long before, asking = strstr(cases[i].series, "\"metrics\",code=\"200\"") != NULL;

		(void)snprintf(request, sizeof(request),
			       "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", cases[i].request);
		(void)snprintf(series, sizeof(series), "ebb_http_requests_total{%s}", cases[i].series);
		before = value_of(&server, series);
		free(fetch(&server, request));
		/* each look is a request for the metrics, too */
		if (value_of(&server, series) != (before < 0 ? 0 : before) + 1 + asking)
			fail_msg("%s: %s %ld -> %ld", cases[i].request, series, before,
				 value_of(&server, series));
	}
	server_free(&server);
}

static void what_a_client_writes_makes_no_series(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *before = NULL, *after = NULL;
	size_t lines[2] = {0};

	(void)state;
	free(get(&server, "/nothing", ""));
	before = get(&server, "/metrics", "");
	for (int i = 0; i < 50; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/nothing/%d", i);
		free(get(&server, path, ""));
	}
	after = get(&server, "/metrics", "");
	for (const char *s = before; (s = strstr(s, "\nebb_http_requests_total")); s++)
		lines[0]++;
	for (const char *s = after; (s = strstr(s, "\nebb_http_requests_total")); s++)
		lines[1]++;
	assert_int_equal(lines[0], EBB_HTTP_HANDLER_MAX);
	assert_int_equal(lines[1], lines[0]);
	server_free(&server);
}

static void the_time_of_a_request_ends_when_its_answer_is_taken(void **state)
{
	struct server server = server_new();
	struct client client = client_new(&server);
	const char *series = "ebb_http_request_duration_seconds_bucket{handler=\"page\",le=\"1.048576\"}";

	(void)state;
	client_ask(&client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	serve(&server, &client, NULL);
	client_free(&client);
	assert_int_equal(value_of(&server, series), 1);
	/* one whose body stays out for two seconds, and one that is never asked for in full */
	client = client_new(&server);
	client_ask(&client, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n");
	serve(&server, &client, NULL);
	client_free(&client);
	client = client_new(&server);
	client_ask(&client, "GET / HTTP/1.1\r\nHos");
	serve_until_quiet(&server);
	let_pass(&server, 5 * NS_PER_S);
	serve(&server, &client, NULL);
	client_free(&client);
	assert_int_equal(value_of(&server, "ebb_http_request_duration_seconds_count{handler=\"page\"}"), 2);
	assert_int_equal(value_of(&server, "ebb_http_requests_total{handler=\"page\",code=\"405\"}"), 1);
	server_free(&server);
}

static void an_answer_that_is_not_taken_took_its_deadline(void **state)
{
	struct server server;
	struct client client;

	(void)state;
	server = server_with_more_than_a_socket_takes();
	client = client_new(&server);
	client_ask(&client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	serve_until_quiet(&server);
	let_pass(&server, 5 * NS_PER_S);
	serve(&server, &client, NULL);
	client_free(&client);
	/* the scrape that tells is not over itself */
	assert_int_equal(value_of(&server,
				  "ebb_http_request_duration_seconds_bucket{handler=\"metrics\",le=\"4.194304\"}"),
			 0);
	assert_int_equal(value_of(&server, "ebb_http_request_duration_seconds_sum{handler=\"metrics\"}"), 5);
	server_free(&server);
}

static void streams_are_counted_while_they_are_open(void **state)
{
	struct server server = server_new();
	struct client one = listen_to_events(&server, NULL), two = listen_to_events(&server, NULL);

	(void)state;
	assert_int_equal(value_of(&server, "ebb_http_event_streams"), 2);
	client_free(&one);
	/* who left is noticed when something is sent to them */
	for (int i = 0; i < 2; i++) {
		let_pass(&server, 16 * NS_PER_S);
		serve_until_quiet(&server);
	}
	assert_int_equal(value_of(&server, "ebb_http_event_streams"), 1);
	assert_int_equal(value_of(&server, "ebb_http_requests_total{handler=\"events\",code=\"200\"}"), 2);
	/* a stream has no duration, and one that its client left was not dropped */
	assert_int_equal(value_of(&server, "ebb_http_request_duration_seconds_count{handler=\"events\"}"),
			 -1);
	assert_int_equal(value_of(&server, "ebb_http_event_streams_dropped_total{reason=\"stalled\"}"), 0);
	assert_int_equal(value_of(&server, "ebb_http_event_streams_dropped_total{reason=\"overtaken\"}"), 0);
	client_free(&two);
	server_free(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_counted_once_by_what_it_asked_for),
		cmocka_unit_test(what_a_client_writes_makes_no_series),
		cmocka_unit_test(the_time_of_a_request_ends_when_its_answer_is_taken),
		cmocka_unit_test(an_answer_that_is_not_taken_took_its_deadline),
		cmocka_unit_test(streams_are_counted_while_they_are_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The server over real sockets on loopback, see tests/lib/fake_server.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "export/http.h"
#include "export/http_host.h"
#include "export/readers.h"
#include "lib/cleanup.h"
#include "tests/lib/fake_server.h"

/* ---------------------------------------------------------------- what is served -- */

static void each_path_has_its_status_and_type(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *type;
		const char *body; /* contains */
	} cases[] = {
		{"/", 200, "text/html; charset=utf-8", "href=\"/metrics\""},
		{"/?a=b", 200, "text/html; charset=utf-8", "<h1>ebb</h1>"},
		{"/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "\nebb_enforcement_active 0\n"},
		{"/metrics?name[]=x", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE"},
		{"/health", 200, "application/json", "\"status\": \"healthy\""},
		{"/health/live", 200, "text/plain; charset=utf-8", "live\n"},
		{"/health/ready", 200, "text/plain; charset=utf-8", "ready\n"},
		{"/health/startup", 200, "text/plain; charset=utf-8", "started\n"},
		{"/metrics/", 404, "text/plain; charset=utf-8", "not found"},
		{"/METRICS", 404, "text/plain; charset=utf-8", "not found"},
		{"//metrics", 404, "text/plain; charset=utf-8", "not found"},
		{"/metrics%00", 404, "text/plain; charset=utf-8", "not found"},
		{"/%6detrics", 404, "text/plain; charset=utf-8", "not found"},
		{"/health/../metrics", 404, "text/plain; charset=utf-8", "not found"},
		{"http://localhost/metrics?a", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE"},
		{"HTTP://LOCALHOST:9478/health/live", 200, "text/plain; charset=utf-8", "live\n"},
		{"http://localhost", 200, "text/html; charset=utf-8", "<h1>ebb</h1>"},
		{"http://localhost/http://localhost/metrics", 404, "text/plain; charset=utf-8", "not found"},
		{"ftp://localhost/metrics", 404, "text/plain; charset=utf-8", "not found"},
		{"/favicon.ico", 404, "text/plain; charset=utf-8", "not found"},
		{"*", 404, "text/plain; charset=utf-8", "not found"},
	};
	struct server server = server_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *answer = get(&server, cases[i].path, "");

		if (status_of(answer) != cases[i].status || !strstr(body_of(answer), cases[i].body))
			fail_msg("%s: %s", cases[i].path, answer);
		assert_string_equal(header_of(answer, "Content-Type"), cases[i].type);
		assert_string_equal(header_of(answer, "X-Content-Type-Options"), "nosniff");
		assert_string_equal(header_of(answer, "Cache-Control"), "no-store");
	}
	server_free(&server);
}

/* What a browser holds against the policy: the bytes between <@tag> and </@tag>. */
static char *hash_of_part(const char *page, const char *tag)
{
	_cleanup_free_ char *part = NULL;
	char begin[16], end[16], path[] = "/tmp/ebb-test-http-XXXXXX", command[128],
				 *hash = fake_zeroed(1, 128);
	const char *from, *to;
	FILE *pipe;
	int fd;

	(void)snprintf(begin, sizeof(begin), "<%s>", tag);
	(void)snprintf(end, sizeof(end), "</%s>", tag);
	from = strstr(page, begin);
	assert_non_null(from);
	from += strlen(begin);
	to = strstr(from, end);
	assert_non_null(to);
	part = strndup(from, (size_t)(to - from));
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, part, strlen(part)), strlen(part));
	(void)close(fd);
	(void)snprintf(command, sizeof(command), "openssl dgst -sha256 -binary %s | base64", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	(void)memcpy(hash, "'sha256-", 8);
	assert_non_null(fgets(hash + 8, 100, pipe));
	hash[strcspn(hash, "\n")] = '\'';
	assert_int_equal(pclose(pipe), 0);
	(void)unlink(path);
	return hash;
}

static void the_page_holds_all_that_it_may_run(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *answer = get(&server, "/", "");
	_cleanup_free_ char *script = hash_of_part(answer, "script"), *style = hash_of_part(answer, "style");
	const char *policy = header_of(answer, "Content-Security-Policy");

	(void)state;
	assert_true(strncmp(policy, "default-src 'none';", 19) == 0);
	assert_non_null(strstr(policy, script));
	assert_non_null(strstr(policy, style));
	assert_null(strstr(policy, "unsafe"));
	assert_null(strstr(answer, "http://"));
	assert_null(strstr(answer, "https://"));
	assert_null(strstr(answer, "src=\""));
	assert_null(strstr(answer, "innerHTML"));
	assert_null(strstr(answer, "style=\""));
	server_free(&server);
}

/* ---------------------------------------------------------------- the API -- */

static void the_api_answers_in_json(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *body; /* contains */
	} cases[] = {
		{"/api/v1/status", 200, "\"breakers\":{\"closed\":2"},
		{"/api/v1/destinations", 200, "\"destination\":\"10.0.0.5:443/tcp\""},
		{"/api/v1/destinations/10.0.0.5:443/tcp", 200, "\"destination\":\"10.0.0.5:443/tcp\""},
		{"/api/v1/destinations/10.0.0.5%3A443%2Ftcp", 200, "\"gates\":[{"},
		{"/api/v1/destinations/10.0.0.5:443", 200, "\"workloads\":[{"},
		{"/api/v1/destinations/%3Cimg%20src=x%3E", 200, "\"destination\":\"<img src=x>\""},
		{"/api/v1/destinations/nobody", 404, "{\"error\":\"there is no destination 'nobody'"},
		{"/api/v1/destinations/%0a%22", 404, "\\\\x0a\\\""},
		{"/api/v1/destinations/", 400, "not well encoded"},
		{"/api/v1/destinations/a%", 400, "not well encoded"},
		{"/api/v1/destinations/a%2", 400, "not well encoded"},
		{"/api/v1/destinations/a%2g", 400, "not well encoded"},
		{"/api/v1/destinations/a%00b", 400, "not well encoded"},
		{"/api/v1/destinations/a%ff", 400, "not well encoded"},
		{"/api/v1/destinations?state=open", 400, "no parameters"},
		{"/api/v1/nothing", 404, "{\"error\":\"not found"},
	};
	struct server server = server_new();
	struct ebb_name *name = &server.fake->view.names[2];

	(void)state;
	(void)fake_dst(server.fake, 1, "10.0.0.5", 443);
	(void)fake_pair(server.fake, 1, 1, 7);
	(void)fake_dst(server.fake, 2, "10.0.0.6", 443);
	(void)snprintf(name->text, sizeof(name->text), "<img src=x>");
	name->flags = EBB_NAME_RULE;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *answer = get(&server, cases[i].path, "");

		if (status_of(answer) != cases[i].status || !strstr(body_of(answer), cases[i].body))
			fail_msg("%s: %s", cases[i].path, answer);
		assert_string_equal(header_of(answer, "Content-Type"), "application/json");
	}
	server_free(&server);
}

static void refused(void *userdata, const char *method, const char *path, const char *peer,
		    unsigned int status)
{
	(void)snprintf(userdata, 128, "%s %s %s %u", method, path, peer, status);
}

static void a_refused_method_is_told(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *answer = NULL;
	char told[128] = "";

	(void)state;
	server.fake->source.refused = refused;
	server.fake->source.refused_userdata = told;
	answer = fetch(&server,
		       "DELETE /api/v1/destinations/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_int_equal(status_of(answer), 405);
	assert_string_equal(told, "DELETE /api/v1/destinations/x 127.0.0.1 405");
	server_free(&server);
}

/* The last id in what @client got. */
static void last_id_of(const struct client *client, char *id, size_t size)
{
	const char *at = NULL;

	for (const char *next = client->text; (next = strstr(next, "\nid: ")); next++)
		at = next;
	assert_non_null(at);
	(void)snprintf(id, size, "%.*s", (int)strcspn(at + 5, "\n"), at + 5);
}

static void readers_hear_what_changes_and_nothing_else(void **state)
{
	const struct ebb_transition move = {.at_ns = FAKE_NOW_NS,
					    .gen = 1,
					    .reason = EBB_REASON_FAILURE_RATE,
					    .ok = 1,
					    .failed = 9};
	struct server server = server_new();
	struct client client;
	char id[64];

	(void)state;
	(void)fake_dst(server.fake, 1, "10.0.0.5", 443);
	(void)fake_dst(server.fake, 2, "10.0.0.6", 443);
	client = listen_to_events(&server, NULL);
	assert_non_null(strstr(client.text, "text/event-stream"));
	assert_non_null(strstr(client.text, "10.0.0.5:443/tcp"));
	assert_non_null(strstr(client.text, "10.0.0.6:443/tcp"));
	last_id_of(&client, id, sizeof(id));
	/* rates become known: that is a change; then nothing is */
	let_pass(&server, NS_PER_S);
	serve_until_quiet(&server);
	let_pass(&server, NS_PER_S);
	serve_until_quiet(&server);
	client_receive(&client);
	client.length = 0;
	let_pass(&server, NS_PER_S);
	serve_until_quiet(&server);
	client_receive(&client);
	assert_int_equal(client.length, 0);
	/* a transition is told at once, without the pass of the next second */
	server.fake->view.verdicts[1].word =
		ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(fake_now_ns + NS_PER_S));
	ebb_http_moved(server.http, 1, 1, &move);
	serve(&server, &client, "\"state\":\"open\"");
	assert_non_null(strstr(client.text, "event: transition"));
	assert_non_null(strstr(client.text, "9 of 10 failed in the window"));
	assert_null(strstr(client.text, "10.0.0.6"));
	client_free(&client);
	server_free(&server);
}

static void a_reader_goes_on_where_it_was(void **state)
{
	const struct ebb_transition move = {.at_ns = FAKE_NOW_NS,
					    .gen = 1,
					    .reason = EBB_REASON_FAILURE_RATE};
	static const char *const unknown[] = {"0000000000000001-1", "x", "0000000000000000-99999",
					      "0000000000000000-"};
	struct server server = server_new();
	struct client client, again;
	char id[64];

	(void)state;
	(void)fake_dst(server.fake, 1, "10.0.0.5", 443);
	client = listen_to_events(&server, NULL);
	last_id_of(&client, id, sizeof(id));
	client_free(&client);
	serve_until_quiet(&server);
	ebb_http_moved(server.http, 1, 1, &move);
	again = listen_to_events(&server, id);
	assert_non_null(strstr(again.text, "\"resumed\":true"));
	serve(&server, &again, "event: transition");
	assert_null(strstr(again.text, "event: snapshot"));
	client_free(&again);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		again = listen_to_events(&server, unknown[i]);
		serve(&server, &again, "event: snapshot");
		assert_non_null(strstr(again.text, "\"resumed\":false"));
		client_free(&again);
	}
	server_free(&server);
}

/* A gate that goes while a snapshot is sent takes no other one out of it: readers forget what is not in it. */
static void a_snapshot_has_every_row_that_stays(void **state)
{
	enum {
		PAIRS = 400
	};
	struct server server = {.fake = fake_new(8, PAIRS + 1)};
	int64_t until = real_ms() + PATIENCE_MS;
	struct client client;
	struct ebb_why why = {""};
	bool gone = false;

	(void)state;
	(void)fake_dst(server.fake, 1, "10.0.0.5", 443);
	server.fake->view.dsts[1].scope = EBB_SCOPE_WORKLOAD;
	for (uint32_t i = 1; i <= PAIRS; i++)
		(void)fake_pair(server.fake, i, 1, 1000 + i);
	assert_int_equal(ebb_http_new("127.0.0.1:0", &server.fake->source, &server.http, &why), 0);
	run(&server);
	client = client_new(&server);
	client_ask(&client, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!strstr(client.text, "event: snapshot")) {
		wait_for_events(&server, client.fd, until);
		client_receive(&client);
		if (!gone && strstr(client.text, "10.0.0.5")) {
			assert_null(strstr(client.text, "event: snapshot"));
			server.fake->view.pairs[1].state = EBB_SLOT_FREE;
			server.fake->view.pairs[PAIRS].state = EBB_SLOT_FREE;
			gone = true;
		}
	}
	for (uint32_t i = 2; i < PAIRS; i++) {
		char key[64];

		(void)snprintf(key, sizeof(key), "\"key\":\"%u.0\"", server.fake->view.dst_max + i);
		if (!strstr(client.text, key))
			fail_msg("%s is not there", key);
	}
	client_free(&client);
	server_free(&server);
}

/* @seconds pass, of an agent that lives. */
static void tick(struct server *server, uint64_t seconds)
{
	server->fake->view.agent->heartbeat_ns = fake_now_ns + seconds * NS_PER_S;
	let_pass(server, seconds * NS_PER_S);
	serve_until_quiet(server);
}

/* What changed while nobody read was told to nobody, also where somebody else has come first. */
static void a_reader_that_was_away_for_long_begins_anew(void **state)
{
	struct server server = server_new();
	struct client client, other;
	char id[64];

	(void)state;
	(void)fake_dst(server.fake, 1, "10.0.0.5", 443);
	(void)fake_dst(server.fake, 2, "10.0.0.6", 443);
	client = listen_to_events(&server, NULL);
	/* rates become known, and then nothing changes any more */
	for (int second = 0; second < 3; second++)
		tick(&server, 1);
	client_receive(&client);
	last_id_of(&client, id, sizeof(id));
	client_free(&client);
	/* that it left is noticed when something is sent to it */
	for (int i = 0; i < 3; i++)
		tick(&server, 16);
	assert_int_equal(server.fake->source.http->streams, 0);
	tick(&server, 61);
	server.fake->view.dsts[2].state = EBB_SLOT_FREE;
	other = listen_to_events(&server, NULL);
	serve_until_quiet(&server);
	client = listen_to_events(&server, id);
	assert_non_null(strstr(client.text, "\"resumed\":false"));
	serve(&server, &client, "event: snapshot");
	assert_non_null(strstr(client.text, "10.0.0.5"));
	assert_null(strstr(client.text, "10.0.0.6"));
	client_free(&client);
	client_free(&other);
	server_free(&server);
}

static void readers_have_an_end_and_a_heartbeat(void **state)
{
	struct server server = server_new();
	struct client clients[EBB_READERS_MAX], one;
	_cleanup_free_ char *answer = NULL;

	(void)state;
	for (size_t i = 0; i < EBB_READERS_MAX; i++)
		clients[i] = listen_to_events(&server, NULL);
	answer = get(&server, "/api/v1/events", "");
	assert_int_equal(status_of(answer), 503);
	assert_non_null(strstr(body_of(answer), "{\"error\":\"64 readers of events are here, and"));
	/* silence is no reason to end one: it is not of its making */
	let_pass(&server, 16 * NS_PER_S);
	for (size_t i = 0; i < EBB_READERS_MAX; i++) {
		serve(&server, &clients[i], ": heartbeat");
		assert_false(clients[i].ended);
	}
	for (size_t i = 1; i < EBB_READERS_MAX; i++)
		client_free(&clients[i]);
	/* those who left are noticed when something is sent to them */
	let_pass(&server, 16 * NS_PER_S);
	serve_until_quiet(&server);
	let_pass(&server, 16 * NS_PER_S);
	serve_until_quiet(&server);
	one = listen_to_events(&server, NULL);
	assert_int_equal(status_of(one.text), 200);
	client_free(&one);
	client_free(&clients[0]);
	server_free(&server);
}

static void openmetrics_is_for_those_who_ask_for_it(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *answer =
		get(&server, "/metrics", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n");

	(void)state;
	assert_int_equal(status_of(answer), 200);
	assert_string_equal(header_of(answer, "Content-Type"),
			    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_string_equal(header_of(answer, "Vary"), "Accept, Accept-Encoding");
	assert_non_null(strstr(answer, "# EOF\n"));
	server_free(&server);
}

static void whole_scrapes_are_counted(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *first = get(&server, "/metrics", ""), *head = NULL, *second = NULL;

	(void)state;
	assert_non_null(strstr(first, "\nebb_scrape_duration_seconds_count 0\n"));
	head = fetch(&server, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	second = get(&server, "/metrics", "");
	assert_non_null(strstr(second, "\nebb_scrape_duration_seconds_count 1\n"));
	server_free(&server);
}

static void head_is_get_without_the_body(void **state)
{
	static const char *const paths[] = {"/", "/metrics", "/health", "/health/live", "/nothing"};
	struct server server = server_new();

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		_cleanup_free_ char *with_body = get(&server, paths[i], ""), *answer = NULL;
		char request[256];

		(void)snprintf(request, sizeof(request),
			       "HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
			       "Accept-Encoding: gzip\r\n\r\n",
			       paths[i]);
		answer = fetch(&server, request);
		assert_int_equal(status_of(answer), status_of(with_body));
		assert_string_equal(body_of(answer), "");
		assert_string_equal(header_of(answer, "Content-Encoding"),
				    strcmp(paths[i], "/metrics") == 0 ? "gzip" : "");
	}
	server_free(&server);
}

static void nothing_can_be_changed(void **state)
{
	static const char *const requests[] = {
		"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
		"DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"OPTIONS / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"get / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	};
	struct server server = server_new();

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct client client = client_new(&server);

		client_ask(&client, requests[i]);
		serve(&server, &client, NULL);
		if (status_of(client.text) != 405)
			fail_msg("%s: %s", requests[i], client.text);
		assert_string_equal(header_of(client.text, "Allow"), "GET, HEAD");
		client_free(&client);
	}
	server_free(&server);
}

/* DNS rebinding: a stranger's page, under a name that points to this machine by now. */
static void a_strangers_name_is_not_served_on_loopback(void **state)
{
	static const struct {
		const char *before; /* the path: a host in it counts alone */
		const char *host;
		int status;
	} cases[] = {
		{"http://evil.example", "localhost", 421},
		{"http://localhost@evil.example:80", "localhost", 421},
		{"http://localhost:9478", "evil.example", 200},
		{"", "evil.example", 421},
		{"", "evil.example:9478", 421},
		{"", "127.0.0.1.evil.example", 421},
		{"", "localhost.evil.example", 421},
		{"", "evil.example.", 421},
		{"", "1.2.3", 421},
		{"", "localhost", 200},
		{"", "LOCALHOST:9478", 200},
		{"", "localhost.", 200},
		{"", "ebb.localhost:1", 200},
		{"", "127.0.0.1:9478", 200},
		{"", "10.0.0.5", 200},
		{"", "[::1]:9478", 200},
		{"", "ebb", 200},
		{"", "", 200},
	};
	struct server server = server_new();
	char request[512], long_name[300];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *answer = NULL;

		(void)snprintf(request, sizeof(request),
			       "GET %s/api/v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			       cases[i].before, cases[i].host);
		answer = fetch(&server, request);
		if (status_of(answer) != cases[i].status)
			fail_msg("%s: %s", cases[i].host, answer);
	}
	server_free(&server);

	assert_true(ebb_http_host_is_ours("node1.example.com:9478", "node1"));
	assert_true(ebb_http_host_is_ours("Node1.example.com", "node1.lan"));
	assert_false(ebb_http_host_is_ours("node1.example.com", "node10"));
	assert_false(ebb_http_host_is_ours("node10.example.com", "node1"));
	assert_false(ebb_http_host_is_ours("a.example.com", ""));
	assert_false(ebb_http_host_is_ours("a.example.com", NULL));
	assert_true(ebb_http_host_is_ours(NULL, NULL));
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_false(ebb_http_host_is_ours(long_name, "a"));
}

static void a_request_id_comes_back_if_it_is_harmless(void **state)
{
	static const struct {
		const char *sent;
		const char *expected;
	} cases[] = {
		{"X-Request-ID: 4f1c-22/a+b=\r\n", "4f1c-22/a+b="},
		{"x-request-id: case\r\n", "case"},
		{"", ""},
		{"X-Request-ID:\r\n", ""},
		{"X-Request-ID: two words\r\n", ""},
		{"X-Request-ID: \xc3\xa4\r\n", ""},
		{"X-Request-ID: \x1b[31m\r\n", ""},
	};
	struct server server = server_new();
	char header[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *answer = get(&server, "/health/live", cases[i].sent);

		assert_int_equal(status_of(answer), 200);
		assert_string_equal(header_of(answer, "X-Request-ID"), cases[i].expected);
	}
	for (size_t length = 128; length <= 129; length++) {
		_cleanup_free_ char *answer = NULL;

		(void)snprintf(header, sizeof(header), "X-Request-ID: %0*d\r\n", (int)length, 7);
		answer = get(&server, "/health/live", header);
		assert_int_equal(strlen(header_of(answer, "X-Request-ID")), length == 128 ? 128 : 0);
	}
	server_free(&server);
}

/* ---------------------------------------------------------------- health -- */

static void readiness_follows_enforcement(void **state)
{
	struct server server = server_new();
	struct ebb_health *health = &server.fake->health;
	const struct {
		bool started, stopping, wanted, broken;
		int ready, startup;
		const char *body;
	} cases[] = {
		{false, false, false, false, 503, 503, "not ready: starting\n"},
		{true, false, false, false, 200, 200, "ready\n"},
		{true, false, false, true, 200, 200, "ready\n"},
		{true, false, true, false, 200, 200, "ready\n"},
		{true, false, true, true, 503, 200,
		 "not ready: enforcement is asked for and not in place: gone\\x0aaway\n"},
		{true, true, true, false, 503, 200, "not ready: stopping\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *ready = NULL, *startup = NULL, *live = NULL;

		health->started = cases[i].started;
		health->stopping = cases[i].stopping;
		health->enforce_wanted = cases[i].wanted;
		ebb_health_set(health, EBB_HEALTH_PROGRAMS, cases[i].broken ? EBB_UNHEALTHY : EBB_HEALTHY, 1,
			       "gone\naway");
		ready = get(&server, "/health/ready", "");
		startup = get(&server, "/health/startup", "");
		live = get(&server, "/health/live", "");
		assert_int_equal(status_of(ready), cases[i].ready);
		assert_string_equal(body_of(ready), cases[i].body);
		assert_int_equal(status_of(startup), cases[i].startup);
		assert_int_equal(status_of(live), 200);
	}
	server_free(&server);
}

static void health_tells_state_since_when_and_why(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *degraded = NULL, *unhealthy = NULL, *ignored = NULL;
	const char *name, *status, *since, *why, *checked;
	json_t *root, *components;
	int enforcing, ready;

	(void)state;
	ebb_health_set(&server.fake->health, EBB_HEALTH_TABLES, EBB_DEGRADED, FAKE_REALTIME_NS + 1234567890LL,
		       "%s", "full of \"quotes\" and \xff\n");
	degraded = get(&server, "/health", "");
	assert_int_equal(status_of(degraded), 200);
	root = json_loads(body_of(degraded), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(json_unpack(root, "{s:s, s:b, s:b, s:o, s:{s:{s:s, s:s, s:s}}}", "status", &status,
				     "enforcing", &enforcing, "ready", &ready, "components", &components,
				     "components", "tables", "state", &name, "since", &since, "why", &why),
			 0);
	assert_string_equal(status, "degraded");
	assert_string_equal(name, "degraded");
	assert_string_equal(since, "2023-11-14T22:13:21.234Z");
	assert_string_equal(why, "full of \"quotes\" and \\xff\\x0a");
	assert_false(enforcing);
	assert_true(ready);
	assert_int_equal(json_object_size(components), EBB_HEALTH_MAX);
	assert_int_equal(json_unpack(root, "{s:{s:{s:s}, s:{s:s}}}", "components", "tables", "checked",
				     &since, "loop", "checked", &checked),
			 0);
	assert_string_equal(since, "2023-11-14T22:13:21.234Z");
	assert_string_equal(checked, "2023-11-14T22:13:20.000Z");
	json_decref(root);

	ebb_health_set(&server.fake->health, EBB_HEALTH_LOOP, EBB_UNHEALTHY, 1, "stuck");
	unhealthy = get(&server, "/health", "");
	assert_int_equal(status_of(unhealthy), 503);
	assert_non_null(strstr(unhealthy, "\"status\": \"unhealthy\""));
	assert_null(strstr(unhealthy, "ignored"));
	server.fake->health.ignored = 1U << EBB_HEALTH_LOOP;
	ignored = get(&server, "/health", "");
	assert_int_equal(status_of(ignored), 200);
	assert_non_null(strstr(ignored, "\"status\": \"degraded\""));
	assert_non_null(strstr(ignored, "\"why\": \"stuck\",\n      \"ignored\": true"));
	server_free(&server);
}

/* ---------------------------------------------------------------- clients -- */

static void a_connection_serves_one_request_after_the_other(void **state)
{
	static const char request[] = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
	struct server server = server_new();
	struct client client = client_new(&server);

	(void)state;
	for (int i = 0; i < 5; i++) {
		client.length = 0;
		client.text[0] = '\0';
		client_ask(&client, request);
		serve(&server, &client, "live\n");
		assert_int_equal(status_of(client.text), 200);
		assert_false(client.ended);
		fake_now_ns += 4 * NS_PER_S; /* each request has a time of its own */
	}
	client_free(&client);
	server_free(&server);
}

static void http_1_0_gets_all_of_it_too(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *answer = fetch(&server, "GET /metrics HTTP/1.0\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(answer), 200);
	assert_string_equal(header_of(answer, "Transfer-Encoding"), "");
	assert_non_null(strstr(body_of(answer), "\nprocess_start_time_seconds "));
	assert_int_equal(answer[strlen(answer) - 1], '\n');
	server_free(&server);
}

/* What curl says with @arguments, to be freed; NULL: it is not there, and need not be. */
static char *curl(struct server *server, const char *arguments)
{
	struct client output = {.text = fake_zeroed(1, 1)};
	char command[512];
	int64_t until = real_ms() + PATIENCE_MS;
	ssize_t n;
	FILE *pipe;
	int status;

	(void)snprintf(command, sizeof(command), "curl --silent --show-error --fail --noproxy '*' %s",
		       arguments);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	assert_int_equal(fcntl(fileno(pipe), F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		char buffer[4096];

		n = read(fileno(pipe), buffer, sizeof(buffer));
		if (n == 0)
			break;
		if (n < 0) {
			wait_for_events(server, fileno(pipe), until);
			continue;
		}
		output.text = realloc(output.text, output.length + (size_t)n + 1);
		assert_non_null(output.text);
		memcpy(output.text + output.length, buffer, (size_t)n);
		output.length += (size_t)n;
		output.text[output.length] = '\0';
	}
	status = pclose(pipe);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !getenv("EBB_REQUIRE") && !getenv("CI")) {
		print_message("skipped: curl is missing\n");
		free(output.text);
		return NULL;
	}
	assert_int_equal(status, 0);
	return output.text;
}

static void curl_reads_it(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *text = NULL;
	char arguments[256];

	(void)state;
	(void)snprintf(arguments, sizeof(arguments), "http://%s/health http://%s/metrics",
		       ebb_http_address(server.http), ebb_http_address(server.http));
	text = curl(&server, arguments);
	if (text) {
		assert_non_null(strstr(text, "\"status\": \"healthy\""));
		assert_non_null(strstr(text, "\nebb_build_info{version=\"0.1.0\","));
	}
	server_free(&server);
	if (!text)
		skip();
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void curl_reads_it_compressed(void **state)
{
	static const char *const accepts[] = {"text/plain", "application/openmetrics-text"};
	struct server server = server_new();
	bool there = true;

	(void)state;
	for (uint16_t i = 1; i < 8; i++)
		(void)fake_dst(server.fake, i, "10.0.0.1", i);
	for (size_t i = 0; there && i < sizeof(accepts) / sizeof(accepts[0]); i++) {
		char arguments[256];
		_cleanup_free_ char *plain = NULL, *text = NULL;

		(void)snprintf(arguments, sizeof(arguments), "-i -H 'Accept: %s' http://%s/metrics",
			       accepts[i], ebb_http_address(server.http));
		plain = curl(&server, arguments);
		(void)snprintf(arguments, sizeof(arguments),
			       "-i --compressed -H 'Accept: %s' http://%s/metrics", accepts[i],
			       ebb_http_address(server.http));
		text = curl(&server, arguments);
		there = plain && text;
		if (!there)
			break;
		assert_string_equal(header_of(plain, "Content-Encoding"), "");
		assert_string_equal(header_of(text, "Content-Encoding"), "gzip");
		assert_string_equal(header_of(text, "Content-Type"), header_of(plain, "Content-Type"));
		assert_int_equal(lines_of(body_of(text)), lines_of(body_of(plain)));
	}
	server_free(&server);
	if (!there)
		skip();
}

static void what_is_no_request_is_refused_and_survived(void **state)
{
	static char long_url[60000], long_header[60000], many_headers[60000];
	const char *const requests[] = {
		"\r\n\r\n\r\n\r\n",
		"hello\r\n\r\n",
		"GET\r\n\r\n",
		"GET /metrics\r\n\r\n",
		"GET /metrics HTTP/9.9\r\n\r\n",
		"GET  /metrics  HTTP/1.1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n",
		"GET /metrics HTTP/1.1\r\n: x\r\n nothing\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\xfc\x03\x03 this is TLS",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		long_url,
		long_header,
		many_headers,
	};
	struct server server = server_new();
	size_t used;

	(void)state;
	memset(long_url, 'a', sizeof(long_url) - 1);
	memcpy(long_url, "GET /", 5);
	memset(long_header, 'a', sizeof(long_header) - 1);
	memcpy(long_header, "GET / HTTP/1.1\r\nX: ", 19);
	used = (size_t)snprintf(many_headers, sizeof(many_headers), "GET / HTTP/1.1\r\n");
	while (used + 32 < sizeof(many_headers))
		used += (size_t)snprintf(many_headers + used, sizeof(many_headers) - used, "A%zu: b\r\n",
					 used);

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct client client = client_new(&server);
		_cleanup_free_ char *after = NULL;
		int status;

		client_ask(&client, requests[i]);
		serve_until_quiet(&server);
		let_pass(&server, 5 * NS_PER_S); /* it may wait for the rest */
		serve(&server, &client, NULL);
		status = status_of(client.text);
		/* an odd request may be understood, but not become an error of ours */
		if (status >= 500 && status != 501 && status != 505)
			fail_msg("request %zu: %s", i, client.text);
		if (i >= 12 && status != 414 && status != 431 && status != 0)
			fail_msg("request %zu: %s", i, client.text);
		client_free(&client);
		after = get(&server, "/health/live", "");
		assert_int_equal(status_of(after), 200);
	}
	server_free(&server);
}

static void a_slow_request_ends_at_its_deadline(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n";
	struct server server = server_new();
	struct client client = client_new(&server);

	(void)state;
	/* a byte each second: never silent for long enough, and never done */
	for (int second = 0; second < 5; second++) {
		client_send(&client, &request[second], 1);
		run(&server);
		run(&server);
		client_receive(&client);
		assert_false(client.ended);
		assert_true(server.timeout_ms >= 0 && server.timeout_ms <= (5 - second) * 1000);
		let_pass(&server, NS_PER_S);
	}
	serve(&server, &client, NULL);
	assert_true(client.ended);
	assert_int_equal(client.length, 0);
	client_free(&client);
	server_free(&server);
}

static void a_client_that_does_not_read_is_ended_at_its_deadline(void **state)
{
	struct server server;
	struct client client;

	(void)state;
	server = server_with_more_than_a_socket_takes();
	client = client_new(&server);
	client_ask(&client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	serve_until_quiet(&server); /* the socket takes no more */
	let_pass(&server, 5 * NS_PER_S);
	serve(&server, &client, NULL);
	assert_int_equal(status_of(client.text), 200);
	assert_null(strstr(client.text, "\nprocess_start_time_seconds ")); /* it did not get to the end */
	client_free(&client);
	server_free(&server);
}

static void two_hundred_clients_at_once_are_all_served(void **state)
{
	enum {
		MANY = 200
	};
	struct server server = server_new();
	int64_t until = real_ms() + PATIENCE_MS;
	struct client clients[MANY];
	size_t left = MANY;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		clients[i] = client_new(&server);
		client_ask(&clients[i], "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	}
	while (left > 0) {
		left = 0;
		for (size_t i = 0; i < MANY; i++) {
			client_receive(&clients[i]);
			left += !clients[i].ended;
		}
		if (left > 0)
			wait_for_events(&server, -1, until);
	}
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(status_of(clients[i].text), 200);
		assert_non_null(strstr(clients[i].text, "\nprocess_start_time_seconds "));
		client_free(&clients[i]);
	}
	server_free(&server);
}

static void idle_clients_do_not_keep_others_out(void **state)
{
	enum {
		LIMIT = EBB_HTTP_CLIENTS_MAX
	};
	struct server server = server_new();
	const struct ebb_http_stats *stats = server.fake->source.http;
	struct client idle[LIMIT], late;

	(void)state;
	for (size_t i = 0; i < LIMIT; i++)
		idle[i] = client_new(&server);
	for (int i = 0; i < LIMIT; i++)
		run(&server);
	fake_now_ns++; /* no two come at the same time */
	late = client_new(&server);
	client_ask(&late, "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	serve(&server, &late, NULL);
	assert_int_equal(status_of(late.text), 200);
	assert_in_range(stats->crowded_out, 1, 2);

	serve_until_quiet(&server);
	assert_in_range(stats->connections, LIMIT - 2, LIMIT - 1);
	let_pass(&server, NS_PER_S / 10);
	serve_until_quiet(&server);
	assert_int_equal(stats->connections, LIMIT - 16);
	let_pass(&server, 5 * NS_PER_S);
	serve_until_quiet(&server);
	assert_int_equal(stats->connections, 0);
	for (size_t i = 0; i < LIMIT; i++)
		client_free(&idle[i]);
	client_free(&late);
	server_free(&server);
}

/* Asks from @host of this machine: each is an address of its own. With @takes_little, a few answers fill the sockets. */
static struct client client_with(const struct server *server, const char *host, bool takes_little)
{
	struct sockaddr_in own = {.sin_family = AF_INET},
			   address = {.sin_family = AF_INET,
				      .sin_port = htons(port_of(server->http)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client client = {.text = fake_zeroed(1, 1)};
	const int segment = 536, buffer = 1; /* the least that there is */

	assert_int_equal(inet_pton(AF_INET, host, &own.sin_addr), 1);
	client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client.fd >= 0);
	if (takes_little) {
		assert_int_equal(setsockopt(client.fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)),
				 0);
		assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
	}
	assert_int_equal(bind(client.fd, (const struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(client.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

static struct client client_from(const struct server *server, const char *host)
{
	return client_with(server, host, false);
}

/* Where @client was ended. */
static void come_again(const struct server *server, struct client *client)
{
	client_receive(client);
	if (!client->ended)
		return;
	client_free(client);
	*client = client_from(server, "127.0.0.2");
}

/* It holds all streams of events and is idle on all else, for which it comes again at once; others are answered, and are not ended for it. */
static void one_that_takes_all_keeps_nobody_out(void **state)
{
	enum {
		LIMIT = EBB_HTTP_CLIENTS_MAX
	};
	struct server server = server_with_more_than_a_socket_takes();
	const struct ebb_http_stats *stats = server.fake->source.http;
	struct client streams[EBB_READERS_MAX], greedy[LIMIT];

	(void)state;
	for (size_t i = 0; i < EBB_READERS_MAX; i++) {
		streams[i] = client_from(&server, "127.0.0.2");
		client_ask(&streams[i], "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	serve_until_quiet(&server);
	assert_int_equal(stats->streams, EBB_READERS_MAX);
	for (int round = 0; round < 3; round++) {
		struct client quiet = client_from(&server, "127.0.0.3"), other;

		run(&server);
		let_pass(&server, NS_PER_S); /* it has been quiet for longer than all others */
		for (size_t i = 0; i < LIMIT; i++) {
			greedy[i] = client_from(&server, "127.0.0.2");
			if (i % 8 == 0) /* what it does not take */
				client_ask(&greedy[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		}
		other = client_from(&server, "127.0.0.1");
		client_ask(&other, "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		for (int i = 0; i < 6 && !other.ended; i++) {
			for (size_t k = 0; k < LIMIT; k++)
				come_again(&server, &greedy[k]);
			let_pass(&server, NS_PER_S / 10);
			serve_until_quiet(&server);
			client_receive(&other);
		}
		assert_int_equal(status_of(other.text), 200);
		client_receive(&quiet);
		assert_false(quiet.ended);
		client_free(&quiet);
		client_free(&other);
		for (size_t i = 0; i < LIMIT; i++)
			client_free(&greedy[i]);
	}
	assert_int_equal(stats->streams, EBB_READERS_MAX);
	assert_true(stats->crowded_out >= LIMIT);
	for (size_t i = 0; i < EBB_READERS_MAX; i++)
		client_free(&streams[i]);
	server_free(&server);
}

static struct client stream_from(struct server *server, const char *host)
{
	struct client client = client_from(server, host);

	client_ask(&client, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
	serve(server, &client, "\r\n\r\n");
	return client;
}

static void is_refused_a_stream(struct server *server, const char *host)
{
	struct client client = stream_from(server, host);

	serve(server, &client, "\n");
	assert_int_equal(status_of(client.text), 503);
	assert_non_null(strstr(body_of(client.text), "no address has more of them than yours"));
	client_free(&client);
}

/* Another one gets as many of them as it, the oldest first, and it does not get them back by coming again. */
static void one_that_holds_all_streams_gives_half_of_them_up(void **state)
{
	struct client streams[EBB_READERS_MAX], others[EBB_READERS_MAX / 2];
	struct server server = server_new();
	const struct ebb_http_stats *stats = server.fake->source.http;

	(void)state;
	for (size_t i = 0; i < EBB_READERS_MAX; i++)
		streams[i] = stream_from(&server, "127.0.0.2");
	is_refused_a_stream(&server, "127.0.0.2");
	for (size_t i = 0; i < EBB_READERS_MAX / 2; i++) {
		others[i] = stream_from(&server, "127.0.0.3");
		assert_int_equal(status_of(others[i].text), 200);
		serve(&server, &others[i], "event: snapshot");
		serve(&server, &streams[i], NULL);
		is_refused_a_stream(&server, "127.0.0.2");
		assert_int_equal(stats->dropped[EBB_HTTP_CROWDED], i + 1);
		assert_int_equal(stats->streams, EBB_READERS_MAX);
	}
	is_refused_a_stream(&server, "127.0.0.3");
	serve_until_quiet(&server);
	for (size_t i = 0; i < EBB_READERS_MAX / 2; i++) {
		client_receive(&streams[EBB_READERS_MAX / 2 + i]);
		assert_false(streams[EBB_READERS_MAX / 2 + i].ended);
		client_receive(&others[i]);
		assert_false(others[i].ended);
		client_free(&others[i]);
	}
	assert_int_equal(stats->dropped[EBB_HTTP_STALLED] + stats->dropped[EBB_HTTP_OVERTAKEN], 0);
	for (size_t i = 0; i < EBB_READERS_MAX; i++)
		client_free(&streams[i]);
	server_free(&server);
}

/* It asks again as soon as it is answered, wherever there may be a place. It is not ended for that either. */
static void a_busy_one_keeps_nobody_out(void **state)
{
	enum {
		LIMIT = EBB_HTTP_CLIENTS_MAX
	};
	struct server server = server_new();
	struct client busy[LIMIT];

	(void)state;
	for (size_t i = 0; i < LIMIT; i++)
		busy[i] = client_from(&server, "127.0.0.2");
	for (int round = 0; round < 5; round++) {
		struct client other;

		for (size_t i = 0; i < LIMIT; i++) {
			come_again(&server, &busy[i]);
			client_ask(&busy[i], "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
		}
		other = client_from(&server, "127.0.0.1");
		client_ask(&other, "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		serve_until_quiet(&server);
		client_receive(&other);
		assert_int_equal(status_of(other.text), 200);
		client_free(&other);
		let_pass(&server, NS_PER_S / 20);
	}
	assert_int_equal(server.fake->source.http->crowded_out, 0);
	for (size_t i = 0; i < LIMIT; i++)
		client_free(&busy[i]);
	server_free(&server);
}

/* Answers of the path of events that are none, and not taken: as any other. */
static void what_is_no_stream_makes_room(void **state)
{
	static const struct {
		const char *request;
		size_t streams, unread; /* together as many as are no crowd */
	} cases[] = {
		{"HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n", 0, 80},
		{"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n", EBB_READERS_MAX, 16}, /* 503 */
	};
	enum {
		TIMES = 1000,
		OTHERS = 4
	};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct server server = server_new();
		const struct ebb_http_stats *stats = server.fake->source.http;
		size_t held = cases[n].streams + cases[n].unread, length = strlen(cases[n].request);
		struct client clients[EBB_HTTP_CLIENTS_MAX];
		_cleanup_free_ char *requests = fake_zeroed(TIMES, length);

		for (size_t i = 0; i < TIMES; i++)
			memcpy(requests + i * length, cases[n].request, length);
		for (size_t i = 0; i < held; i++) {
			bool unread = i >= cases[n].streams;

			clients[i] = client_with(&server, "127.0.0.2", unread);
			client_send(&clients[i], unread ? requests : cases[n].request,
				    unread ? TIMES * length : length);
			run(&server);
		}
		serve_until_quiet(&server);
		for (size_t i = held; i < held + OTHERS; i++) {
			clients[i] = client_from(&server, "127.0.0.3");
			run(&server);
		}
		let_pass(&server, NS_PER_S / 10);
		serve_until_quiet(&server);
		assert_int_equal(stats->connections, held);
		/* one whose socket took a little more in between was answered, in the crowd its last answer */
		assert_in_range(stats->crowded_out, 0, OTHERS);
		for (size_t i = held; i < held + OTHERS; i++) {
			client_receive(&clients[i]);
			assert_false(clients[i].ended);
		}
		let_pass(&server, 5 * NS_PER_S);
		serve_until_quiet(&server);
		assert_int_equal(stats->connections, cases[n].streams);
		assert_int_equal(stats->dropped[EBB_HTTP_STALLED], 0);
		for (size_t i = 0; i < held + OTHERS; i++)
			client_free(&clients[i]);
		server_free(&server);
	}
}

/* All have asked, and it is the server that was away: for longer than a client may be. */
static void the_servers_own_delay_ends_nobody(void **state)
{
	static const uint64_t delays[] = {NS_PER_S / 10 + 1, 6 * NS_PER_S};
	enum {
		MANY = 90
	};

	(void)state;
	for (size_t n = 0; n < sizeof(delays) / sizeof(delays[0]); n++) {
		struct server server = server_new();
		const struct ebb_http_stats *stats = server.fake->source.http;
		struct client clients[MANY];

		for (size_t i = 0; i < MANY; i++)
			clients[i] = client_from(&server, i % 2 ? "127.0.0.2" : "127.0.0.3");
		serve_until_quiet(&server);
		assert_int_equal(stats->connections, MANY);
		for (size_t i = 0; i < MANY; i++)
			client_ask(&clients[i], "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
		let_pass(&server, delays[n]);
		serve_until_quiet(&server);
		for (size_t i = 0; i < MANY; i++) {
			client_receive(&clients[i]);
			assert_int_equal(status_of(clients[i].text), 200);
			client_free(&clients[i]);
		}
		assert_int_equal(stats->crowded_out, 0);
		server_free(&server);
	}
}

/* It answers in stretches, with rests between: an answer may take longer by all of them. */
static void the_servers_rests_end_nobody(void **state)
{
	struct server server = server_with_more_than_a_socket_takes();
	struct client client = client_new(&server);

	(void)state;
	client_ask(&client, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	run(&server);
	for (int second = 0; second < 8; second++) {
		ebb_http_rest(server.http, NS_PER_S);
		let_pass(&server, NS_PER_S);
		run(&server);
	}
	serve(&server, &client, NULL);
	assert_int_equal(status_of(client.text), 200);
	assert_non_null(strstr(client.text, "\nprocess_start_time_seconds "));
	client_free(&client);
	server_free(&server);
}

/* Where the library had one too, a rest would end who waits, and so would an agent that was stopped for a while. */
static void a_client_has_one_deadline(void **state)
{
	struct server server = server_new();
	struct client client = client_new(&server);
	int64_t until = real_ms() + PATIENCE_MS;

	(void)state;
	while (server.timeout_ms != 5000) /* until it is seen */
		wait_for_events(&server, client.fd, until);
	ebb_http_rest(server.http, 10 * NS_PER_S);
	run(&server);
	assert_int_equal(server.timeout_ms, 15000);
	client_free(&client);
	server_free(&server);
}

static void room_is_noticed_when_all_leave_at_once(void **state)
{
	enum {
		LIMIT = EBB_HTTP_CLIENTS_MAX
	};
	struct server server = server_new();
	struct client idle[LIMIT], late;

	(void)state;
	for (size_t i = 0; i < LIMIT; i++)
		idle[i] = client_new(&server);
	for (int i = 0; i < LIMIT; i++)
		run(&server);
	late = client_new(&server);
	client_ask(&late, "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	run(&server);
	for (size_t i = 0; i < LIMIT; i++)
		client_free(&idle[i]);
	serve(&server, &late, NULL);
	assert_int_equal(status_of(late.text), 200);
	client_free(&late);
	server_free(&server);
}

static void clients_may_be_there_when_the_server_goes(void **state)
{
	struct server server = server_new();
	struct client asking = client_new(&server), reading = client_new(&server);

	(void)state;
	client_ask(&asking, "GET /met");
	client_ask(&reading, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	run(&server);
	run(&server);
	server_free(&server);
	client_free(&asking);
	client_free(&reading);
}

static void an_idle_server_wants_nothing(void **state)
{
	struct server server = server_new();
	_cleanup_free_ char *answer = get(&server, "/health/live", "");

	(void)state;
	assert_non_null(answer);
	for (int i = 0; i < 5; i++)
		run(&server);
	assert_int_equal(server.timeout_ms, -1);
	server_free(&server);
}

/* ---------------------------------------------------------------- addresses -- */

static void bad_addresses_are_explained(void **state)
{
	static const char *const addresses[] = {
		"",
		"9478",
		"localhost",
		"127.0.0.1:",
		"127.0.0.1:http",
		":65536",
		"127.0.0.1:-1",
		"127.0.0.1:99999999999",
		"::1:9478",
		"[::1]",
		"[]:9478",
		"[::1:9478",
		"127.0.0.1:94 78",
		":",
		"[::1]x:9478",
		"127.0.0.1:+1",
	};
	struct fake *fake = fake_new(4, 4);

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct ebb_http *http = NULL;
		struct ebb_why why = {""};
		char expected[128];

		(void)snprintf(expected, sizeof(expected), "--listen %s: expected ADDRESS:PORT",
			       addresses[i]);
		if (ebb_http_new(addresses[i], &fake->source, &http, &why) != -EINVAL)
			fail_msg("'%s' was taken", addresses[i]);
		assert_null(http);
		if (strncmp(why.text, expected, strlen(expected)) != 0)
			fail_msg("'%s': %s", addresses[i], why.text);
	}
	fake_free(fake);
}

static void an_address_in_use_is_explained(void **state)
{
	struct server server = server_new();
	struct ebb_http *second = NULL;
	struct ebb_why why = {""};
	char expected[256];

	(void)state;
	assert_int_equal(ebb_http_new(ebb_http_address(server.http), &server.fake->source, &second, &why),
			 -EADDRINUSE);
	assert_null(second);
	(void)snprintf(expected, sizeof(expected),
		       "--listen %s: address in use: stop the other program or choose another port",
		       ebb_http_address(server.http));
	assert_string_equal(why.text, expected);
	server_free(&server);
}

static void an_address_of_another_machine_is_explained(void **state)
{
	struct fake *fake = fake_new(4, 4);
	struct ebb_http *http = NULL;
	struct ebb_why why = {""};

	(void)state;
	assert_int_equal(ebb_http_new("192.0.2.77:0", &fake->source, &http, &why), -EADDRNOTAVAIL);
	assert_non_null(strstr(why.text, "--listen 192.0.2.77:0: this machine does not have that address"));
	assert_int_equal(ebb_http_new("[no-such-address]:0", &fake->source, &http, &why), -EINVAL);
	assert_non_null(strstr(why.text, "no address for 'no-such-address'"));
	fake_free(fake);
}

static void every_form_of_address_is_taken(void **state)
{
	static const struct {
		const char *listen;
		const char *begins;
		int family; /* of a client */
	} cases[] = {
		{"127.0.0.1:0", "127.0.0.1:", AF_INET},
		{"localhost:0", "", 0},
		{"0.0.0.0:0", "0.0.0.0:", AF_INET},
		{"[::1]:0", "[::1]:", AF_INET6},
		{":0", "", AF_INET},
		{"[::]:0", "[::]:", AF_INET6},
	};
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fake *fake = fake_new(4, 4);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_http *http = NULL;
		struct ebb_why why = {""};
		int r = ebb_http_new(cases[i].listen, &fake->source, &http, &why);

		if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
			assert_int_equal(cases[i].family, AF_INET6);
			print_message("not tried: %s, no IPv6 here\n", cases[i].listen);
			continue;
		}
		if (r < 0)
			fail_msg("%s", why.text);
		if (strncmp(ebb_http_address(http), cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("%s: %s", cases[i].listen, ebb_http_address(http));
		assert_true(port_of(http) > 0);
		if (strcmp(cases[i].listen, ":0") == 0 && probe >= 0) /* both protocols */
			assert_true(strncmp(ebb_http_address(http), "[::]:", 5) == 0);
		if (cases[i].family == AF_INET) {
			struct server server = {.fake = fake, .http = http};
			_cleanup_free_ char *answer = NULL;

			run(&server);
			answer = get(&server, "/health/live", "");
			assert_int_equal(status_of(answer), 200);
		}
		ebb_http_free(http);
	}
	if (probe >= 0)
		(void)close(probe);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_path_has_its_status_and_type),
		cmocka_unit_test(the_api_answers_in_json),
		cmocka_unit_test(a_refused_method_is_told),
		cmocka_unit_test(readers_hear_what_changes_and_nothing_else),
		cmocka_unit_test(a_reader_goes_on_where_it_was),
		cmocka_unit_test(a_reader_that_was_away_for_long_begins_anew),
		cmocka_unit_test(a_snapshot_has_every_row_that_stays),
		cmocka_unit_test(readers_have_an_end_and_a_heartbeat),
		cmocka_unit_test(the_page_holds_all_that_it_may_run),
		cmocka_unit_test(openmetrics_is_for_those_who_ask_for_it),
		cmocka_unit_test(whole_scrapes_are_counted),
		cmocka_unit_test(head_is_get_without_the_body),
		cmocka_unit_test(nothing_can_be_changed),
		cmocka_unit_test(a_strangers_name_is_not_served_on_loopback),
		cmocka_unit_test(a_request_id_comes_back_if_it_is_harmless),
		cmocka_unit_test(readiness_follows_enforcement),
		cmocka_unit_test(health_tells_state_since_when_and_why),
		cmocka_unit_test(a_connection_serves_one_request_after_the_other),
		cmocka_unit_test(http_1_0_gets_all_of_it_too),
		cmocka_unit_test(curl_reads_it),
		cmocka_unit_test(curl_reads_it_compressed),
		cmocka_unit_test(what_is_no_request_is_refused_and_survived),
		cmocka_unit_test(a_slow_request_ends_at_its_deadline),
		cmocka_unit_test(a_client_that_does_not_read_is_ended_at_its_deadline),
		cmocka_unit_test(two_hundred_clients_at_once_are_all_served),
		cmocka_unit_test(idle_clients_do_not_keep_others_out),
		cmocka_unit_test(one_that_takes_all_keeps_nobody_out),
		cmocka_unit_test(one_that_holds_all_streams_gives_half_of_them_up),
		cmocka_unit_test(a_busy_one_keeps_nobody_out),
		cmocka_unit_test(what_is_no_stream_makes_room),
		cmocka_unit_test(the_servers_own_delay_ends_nobody),
		cmocka_unit_test(the_servers_rests_end_nobody),
		cmocka_unit_test(a_client_has_one_deadline),
		cmocka_unit_test(room_is_noticed_when_all_leave_at_once),
		cmocka_unit_test(clients_may_be_there_when_the_server_goes),
		cmocka_unit_test(an_idle_server_wants_nothing),
		cmocka_unit_test(bad_addresses_are_explained),
		cmocka_unit_test(an_address_in_use_is_explained),
		cmocka_unit_test(an_address_of_another_machine_is_explained),
		cmocka_unit_test(every_form_of_address_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

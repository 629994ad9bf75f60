/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server without memory or descriptors: an answer is whole, or says that it is not; nothing else is served in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/metrics.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "tests/lib/fake_server.h"
#include "tests/lib/faults.h"
#include "tests/lib/small_node.h"
#include "tell/snapshot.h"

/* ------------------------------------------------------------------------- metrics -- */

static size_t read_metrics(struct ebb_metrics_writer *writer, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while ((n = ebb_metrics_writer_next(writer, text + used, size - used - 1)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	return used;
}

/* Without what differs from moment to moment: the values of our own process. */
static char *settle(char *text)
{
	char *to = text;

	for (char *line = text; *line;) {
		size_t length = strcspn(line, "\n");

		length += line[length] == '\n';
		if (strncmp(line, "process_", 8) != 0 && strncmp(line, "ebb_memory_bytes", 16) != 0) {
			memmove(to, line, length);
			to += length;
		}
		line += length;
	}
	*to = '\0';
	return text;
}

static void metrics_are_all_or_none(void **state)
{
	static char wanted[TEXT_MAX], text[TEXT_MAX];
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct fake *fake = small_node();
	struct ebb_metrics_writer *writer = NULL;

	(void)state;
	assert_int_equal(ebb_metrics_writer_new(&fake->source, EBB_METRICS_OPENMETRICS, &writer), 0);
	assert_true(read_metrics(writer, wanted, sizeof(wanted)) > 10000);
	(void)settle(wanted);
	ebb_metrics_writer_free(writer);
	while (faults_next(&faults)) {
		int r;

		writer = NULL;
		faults_on(&faults);
		r = ebb_metrics_writer_new(&fake->source, EBB_METRICS_OPENMETRICS, &writer);
		if (r == 0)
			(void)read_metrics(writer, text, sizeof(text));
		faults_off(&faults);
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_null(writer);
			assert_true(faults.hit > 0);
			continue;
		}
		assert_string_equal(settle(text), wanted);
		ebb_metrics_writer_free(writer);
	}
	assert_true(faults.places > 1);
	fake_free(fake);
}

/* ------------------------------------------------------------------------ snapshot -- */

static void a_snapshot_is_all_or_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct fake *fake = small_node();
	const struct ebb_look look = {.view = &fake->view,
				      .names = fake->source.workloads,
				      .now_ns = FAKE_NOW_NS,
				      .realtime_ns = FAKE_REALTIME_NS};
	struct ebb_snapshot wanted;

	(void)state;
	assert_int_equal(ebb_snapshot_take(&look, &wanted), 0);
	assert_true(wanted.count > 2);
	while (faults_next(&faults)) {
		struct ebb_snapshot snapshot = {0};
		int r;

		faults_on(&faults);
		r = ebb_snapshot_take(&look, &snapshot);
		faults_off(&faults);
		assert_int_equal(r, faults.hit ? -ENOMEM : 0);
		if (r < 0) {
			assert_null(snapshot.rows);
			continue;
		}
		assert_int_equal(snapshot.count, wanted.count);
		for (size_t i = 0; i < wanted.count; i++)
			assert_int_equal(snapshot.rows[i].gate, wanted.rows[i].gate);
		ebb_snapshot_free(&snapshot);
	}
	assert_true(faults.places > 1);
	ebb_snapshot_free(&wanted);
	fake_free(fake);
}

/* --------------------------------------------------------------------------- start -- */

static void a_server_that_cannot_start_leaves_nothing_behind(void **state)
{
	static const struct {
		unsigned int kinds;
		int error;
	} failures[] = {{FAULT_MEMORY, ENOMEM}, {FAULT_MAKE, EMFILE}, {FAULT_SETUP, EADDRINUSE}};
	struct fake *fake = fake_new(8, 8);
	size_t descriptors = faults_descriptors();

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct faults faults = {.kinds = failures[i].kinds, .error = failures[i].error};

		while (faults_next(&faults)) {
			struct ebb_http *http = NULL;
			struct ebb_why why = {{0}};
			int r;

			faults_on(&faults);
			r = ebb_http_new("127.0.0.1:0", &fake->source, &http, &why);
			faults_off(&faults);
			assert_int_equal(r, faults.hit ? -failures[i].error : 0);
			assert_true((http != NULL) == (r == 0));
			assert_true((why.text[0] != '\0') == (r < 0));
			ebb_http_free(http);
			assert_int_equal(faults_descriptors(), descriptors);
		}
		assert_true(faults.places > 0);
	}
	fake_free(fake);
}

/* ------------------------------------------------------------------------- answers -- */

/* One request, with @faults (may be NULL) while the server works on it. The answer, to be freed. */
static char *ask(const char *path, const char *headers, struct faults *faults)
{
	struct server server = {.fake = small_node()};
	int64_t until = real_ms() + PATIENCE_MS;
	char request[1024];
	struct client client;

	assert_int_equal(ebb_http_new("127.0.0.1:0", &server.fake->source, &server.http, NULL), 0);
	run(&server);
	client = client_new(&server);
	(void)snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, headers);
	client_ask(&client, request);
	if (faults) {
		faults_on(faults);
		faults_off(faults);
	}
	for (client_receive(&client); !client.ended; client_receive(&client)) {
		struct pollfd fds[] = {{.fd = ebb_http_fd(server.http), .events = POLLIN},
				       {.fd = client.fd, .events = POLLIN}};
		int timeout = server.timeout_ms >= 0 && server.timeout_ms < 100 ? server.timeout_ms : 100;

		if (real_ms() > until)
			fail_msg("%s: neither an answer nor an end", path);
		assert_true(poll(fds, 2, timeout) >= 0);
		if (faults)
			faults_go_on(faults);
		run(&server);
		if (faults)
			faults_off(faults);
	}
	(void)close(client.fd);
	server_free(&server);
	return client.text;
}

/* Does its client see that it is whole? */
static bool is_whole(const char *answer)
{
	size_t length = strlen(answer);
	const char *body = strstr(answer, "\r\n\r\n");

	if (!body)
		return false;
	if (*header_of(answer, "Content-Length"))
		return strlen(body + 4) == strtoul(header_of(answer, "Content-Length"), NULL, 10);
	return length > 5 && strcmp(answer + length - 5, "0\r\n\r\n") == 0;
}

/* The body of a whole answer as one text, to be freed. */
static char *text_of(const char *answer)
{
	const char *at = body_of(answer);
	char *text = fake_zeroed(1, strlen(answer) + 1), *end;
	size_t used = 0;

	if (*header_of(answer, "Content-Length"))
		return settle(memcpy(text, at, strlen(at)));
	for (size_t chunk; (chunk = strtoul(at, &end, 16)) > 0; at = end + 2 + chunk + 2) {
		memcpy(text + used, end + 2, chunk);
		used += chunk;
	}
	return settle(text);
}

static void answers_are_whole_or_say_that_they_are_not(void **state)
{
	static const char *const paths[] = {"/metrics", "/health", "/api/v1/status", "/api/v1/destinations",
					    "/api/v1/destinations/10.0.0.5:443/tcp"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM, .sparse = true};
		_cleanup_free_ char *good = ask(paths[i], "", NULL), *wanted = text_of(good);

		assert_int_equal(status_of(good), 200);
		assert_true(is_whole(good));
		while (faults_next(&faults)) {
			_cleanup_free_ char *answer = ask(paths[i], "", &faults), *text = NULL;

			if (status_of(answer) != 200 || !is_whole(answer)) {
				/* 0: none at all */
				assert_true(status_of(answer) == 0 || status_of(answer) == 200 ||
					    status_of(answer) == 503);
				assert_true(faults.hit > 0);
				continue;
			}
			text = text_of(answer);
			if (strcmp(text, wanted) != 0)
				fail_msg("%s, failure %zu: 200, and whole, but not all:\n%s", paths[i],
					 faults.n, text);
		}
		assert_true(faults.places > 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_are_all_or_none),
		cmocka_unit_test(a_snapshot_is_all_or_none),
		cmocka_unit_test(a_server_that_cannot_start_leaves_nothing_behind),
		cmocka_unit_test(answers_are_whole_or_say_that_they_are_not),
	};

	ebb_log_set_level(EBB_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

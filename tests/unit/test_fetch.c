/* SPDX-License-Identifier: Apache-2.0 */
/* Requests over real sockets and real TLS, to a server that answers well and badly (tests/lib/fetch_server.py).
 * ebb_fetch_start() does pthread_create(). */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "lib/fetch.h"
#include "tests/lib/temp_dir.h"

#define SECOND	   1000000000ULL
#define PATIENCE_S 20 /* when a test gives up */

struct server {
	pid_t pid;
	int hold; /* it ends when this is closed */
	int port;
};

static char dir[TEMP_DIR_MAX];
static struct server plain, tls;
static struct ebb_fetch *fetch;

/* ---------------------------------------------------------------- server -- */

static void run(const char *const *argv)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void serve(struct server *s, const char *certificate, const char *key)
{
	int in[2], out[2];
	char port[16];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)dup2(in[0], STDIN_FILENO);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(in[1]);
		(void)execl("/usr/bin/python3", "python3", "tests/lib/fetch_server.py", certificate, key,
			    (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	s->hold = in[1];
	assert_true(read(out[0], port, sizeof(port) - 1) > 0);
	(void)close(out[0]);
	s->port = (int)strtol(port, NULL, 10);
}

static void end_server(struct server *s)
{
	(void)close(s->hold);
	(void)kill(s->pid, SIGTERM);
	(void)waitpid(s->pid, NULL, 0);
}

static int set_up(void **state)
{
	char certificate[96], key[96];

	(void)state;
	if (temp_dir_make("fetch", dir) < 0)
		return -1;
	run((const char *[]){"tests/lib/certificates.sh", dir, NULL});
	(void)snprintf(certificate, sizeof(certificate), "%s/server.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/server.key", dir);
	serve(&plain, NULL, NULL);
	serve(&tls, certificate, key);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_server(&plain);
	end_server(&tls);
	return temp_dir_remove(dir);
}

static int open_fetch(void **state)
{
	(void)state;
	return ebb_fetch_new(&fetch);
}

static int close_fetch(void **state)
{
	(void)state;
	ebb_fetch_free(fetch);
	fetch = NULL;
	return 0;
}

/* ------------------------------------------------------------------ asking -- */

/* What became of a request. */
struct result {
	char url[3000];
	int result, opened, done;
	unsigned int status;
	uint64_t retry_after_ns;
	char why[512], body[8192];
	size_t body_size;
	char lines[256]; /* joined by '|', as far as they fit */
	size_t line_count, line_bytes;
	uint64_t id, cancel_at; /* at that line it cancels itself */
	void *kept;
	bool keep;
};

static void on_done(void *userdata, struct ebb_fetch_answer *answer)
{
	struct result *r = userdata;

	r->done++;
	r->result = answer->result;
	r->status = answer->status;
	r->retry_after_ns = answer->retry_after_ns;
	(void)snprintf(r->why, sizeof(r->why), "%s", answer->why);
	(void)snprintf(r->body, sizeof(r->body), "%s", answer->body);
	r->body_size = answer->body_size;
	if (r->keep) {
		r->kept = answer->digested;
		answer->digested = NULL;
	}
}

static void on_line(void *userdata, const char *line, size_t length)
{
	struct result *r = userdata;
	size_t used = strlen(r->lines);

	assert_int_equal(strlen(line), length);
	r->line_count++;
	r->line_bytes += length;
	(void)snprintf(r->lines + used, sizeof(r->lines) - used, "%s|", line);
	if (r->cancel_at == r->line_count)
		ebb_fetch_cancel(fetch, r->id);
}

static void on_opened(void *userdata)
{
	struct result *r = userdata;

	r->opened++;
}

static bool dispatch_until(const int *flag, int wanted)
{
	time_t end = time(NULL) + PATIENCE_S;
	struct pollfd p = {.fd = ebb_fetch_fd(fetch), .events = POLLIN};

	while (*flag < wanted && time(NULL) < end) {
		(void)poll(&p, 1, 1000);
		ebb_fetch_dispatch(fetch);
	}
	return *flag >= wanted;
}

static const char *ca(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void start(struct result *r, struct ebb_fetch_request request, const struct server *s,
		  const char *path)
{
	struct ebb_why why = {0};

	(void)snprintf(r->url, sizeof(r->url), "http%s://127.0.0.1:%d%s", s == &tls ? "s" : "", s->port,
		       path);
	request.url = r->url;
	request.done = on_done;
	request.userdata = r;
	if (s == &tls && !request.ca_file)
		request.ca_file = ca("ca.pem");
	if (ebb_fetch_start(fetch, &request, &r->id, &why) < 0)
		fail_msg("%s", why.text);
}

static void ask(struct result *r, struct ebb_fetch_request request, const struct server *s, const char *path)
{
	start(r, request, s, path);
	assert_true(dispatch_until(&r->done, 1));
}

/* ----------------------------------------------------------------- answers -- */

static void get_over_plain_and_over_tls(void **state)
{
	struct result a = {0}, b = {0};

	(void)state;
	ask(&a, (struct ebb_fetch_request){0}, &plain, "/ok");
	ask(&b, (struct ebb_fetch_request){0}, &tls, "/ok");
	assert_string_equal(a.why, "");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "hello");
	assert_int_equal(a.body_size, 5);
	assert_string_equal(b.why, "");
	assert_int_equal(b.result, 0);
	assert_string_equal(b.body, "hello");
}

static void post_sends_body_headers_and_token(void **state)
{
	const char *headers[] = {"Content-Type: application/json", "Content-Encoding: gzip"};
	struct result r = {0};

	(void)state;
	ask(&r,
	    (struct ebb_fetch_request){.post = true,
				       .body = "a\0b",
				       .body_size = 3,
				       .headers = headers,
				       .header_count = 2,
				       .token = "secret.token"},
	    &tls, "/echo");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "\"method\": \"POST\""));
	assert_non_null(strstr(r.body, "\"Authorization\": \"Bearer secret.token\""));
	assert_non_null(strstr(r.body, "\"Content-Type\": \"application/json\""));
	assert_non_null(strstr(r.body, "\"Content-Encoding\": \"gzip\""));
	assert_non_null(strstr(r.body, "\"body\": \"a\\u0000b\""));
	assert_null(strstr(r.body, "Expect"));
}

static void environment_names_no_proxy(void **state)
{
	struct result r = {0};

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	ask(&r, (struct ebb_fetch_request){0}, &plain, "/ok");
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(unsetenv("ALL_PROXY"), 0);
	assert_string_equal(r.body, "hello");
}

static void redirect_is_an_answer(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){0}, &plain, "/status/302?Location=/ok");
	assert_int_equal(r.status, 302);
	assert_string_equal(r.body, "as you wish");
}

static void retry_after_in_seconds_and_as_a_date(void **state)
{
	char path[128], date[64];
	struct result r = {0}, d = {0};
	time_t later = time(NULL) + 60;
	struct tm tm;

	(void)state;
	ask(&r, (struct ebb_fetch_request){0}, &plain, "/status/429?Retry-After=7");
	assert_int_equal(r.status, 429);
	assert_int_equal(r.retry_after_ns, 7 * SECOND);
	assert_non_null(gmtime_r(&later, &tm));
	assert_true(strftime(date, sizeof(date), "%a,+%d+%b+%Y+%H:%M:%S+GMT", &tm) > 0);
	(void)snprintf(path, sizeof(path), "/status/503?Retry-After=%s", date);
	ask(&d, (struct ebb_fetch_request){0}, &plain, path);
	assert_int_equal(d.status, 503);
	assert_in_range(d.retry_after_ns, 50 * SECOND, 60 * SECOND);
}

static void *count_bytes(const char *body, size_t size)
{
	size_t *count = malloc(sizeof(*count));

	assert_int_equal(strlen(body), size);
	assert_non_null(count);
	*count = size;
	return count;
}

static void answer_is_digested_in_the_thread(void **state)
{
	const struct ebb_fetch_request request = {.digest = count_bytes, .digest_free = free};
	struct result kept = {.keep = true}, left = {0}, refused = {.keep = true};

	(void)state;
	ask(&kept, request, &plain, "/big/70000");
	ask(&left, request, &plain, "/big/70000");
	ask(&refused, request, &plain, "/status/500");
	assert_int_equal(*(size_t *)kept.kept, 70000);
	assert_null(refused.kept);
	free(kept.kept);
}

static void many_at_once_and_no_more(void **state)
{
	static struct result r[EBB_FETCH_CALLS_MAX];
	struct ebb_fetch_request request = {.url = "http://127.0.0.1:1/", .done = on_done};

	(void)state;
	for (int i = 0; i < EBB_FETCH_CALLS_MAX; i++)
		start(&r[i], (struct ebb_fetch_request){.deadline_ns = PATIENCE_S * SECOND}, &plain, "/ok");
	assert_int_equal(ebb_fetch_start(fetch, &request, NULL, NULL), -EBUSY);
	for (int i = 0; i < EBB_FETCH_CALLS_MAX; i++) {
		assert_true(dispatch_until(&r[i].done, 1));
		assert_string_equal(r[i].why, "");
		assert_string_equal(r[i].body, "hello");
		assert_int_equal(r[i].done, 1);
	}
}

/* ---------------------------------------------------------------- failures -- */

static void assert_failed(const struct result *r, int result, const char *reason)
{
	assert_int_equal(r->result, result);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->why, "127.0.0.1:"));
	if (!strstr(r->why, reason))
		fail_msg("'%s' is not in '%s'", reason, r->why);
}

static void wrong_ca_is_named(void **state)
{
	char other[128], missing[128];
	struct result a = {0}, b = {0}, c = {0};

	(void)state;
	(void)snprintf(other, sizeof(other), "%s", ca("other-ca.pem"));
	(void)snprintf(missing, sizeof(missing), "%s", ca("no-such.pem"));
	ask(&a, (struct ebb_fetch_request){.ca_file = other}, &tls, "/ok");
	assert_failed(&a, -EKEYREJECTED, other);
	ask(&b, (struct ebb_fetch_request){.ca_file = missing}, &tls, "/ok");
	assert_failed(&b, -ENOKEY, missing);
	ask(&c, (struct ebb_fetch_request){.ca_file = other, .insecure = true}, &tls, "/ok");
	assert_string_equal(c.body, "hello");
}

static void certificate_of_another_host_is_refused(void **state)
{
	struct result r = {0};
	struct ebb_fetch_request request = {.url = r.url,
					    .ca_file = ca("ca.pem"),
					    .done = on_done,
					    .userdata = &r};

	(void)state;
	/* Linux connects 0.0.0.0 to itself, and the certificate does not name it */
	(void)snprintf(r.url, sizeof(r.url), "https://0.0.0.0:%d/ok", tls.port);
	assert_int_equal(ebb_fetch_start(fetch, &request, NULL, NULL), 0);
	assert_true(dispatch_until(&r.done, 1));
	assert_int_equal(r.result, -EKEYREJECTED);
}

static void nobody_there(void **state)
{
	static const struct server none = {.port = 1};
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){0}, &none, "/ok");
	assert_failed(&r, -ECONNREFUSED, "no connection");
}

static void deadline_holds(void **state)
{
	struct result r = {0}, s = {0};
	time_t before = time(NULL);

	(void)state;
	ask(&r, (struct ebb_fetch_request){.deadline_ns = SECOND / 5}, &plain, "/never");
	assert_failed(&r, -ETIMEDOUT, "no answer in time");
	ask(&s, (struct ebb_fetch_request){.deadline_ns = SECOND / 5, .line = on_line}, &plain, "/never");
	assert_failed(&s, -ETIMEDOUT, "no answer in time");
	assert_true(time(NULL) - before < 10);
}

static void answer_is_bounded(void **state)
{
	struct result whole = {0}, long_body = {0}, long_head = {0};

	(void)state;
	ask(&whole, (struct ebb_fetch_request){.answer_max = 5000}, &plain, "/big/5000");
	assert_int_equal(whole.body_size, 5000);
	ask(&long_body, (struct ebb_fetch_request){.answer_max = 5000}, &plain, "/big/5001");
	assert_failed(&long_body, -EMSGSIZE, "more than 5000 bytes");
	ask(&long_head, (struct ebb_fetch_request){0}, &plain, "/head/90000");
	assert_failed(&long_head, -EMSGSIZE, "more than 65536 bytes");
}

static void half_an_answer_is_none(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.digest = count_bytes, .digest_free = free}, &plain, "/half");
	assert_failed(&r, -ECONNRESET, "ended early");
}

static void plain_http_to_tls_is_no_answer(void **state)
{
	const struct server crossed = {.port = tls.port};
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){0}, &crossed, "/ok");
	assert_true(r.result < 0);
}

static void what_cannot_be_sent_is_refused(void **state)
{
	static char huge[EBB_FETCH_TOKEN_MAX + 2];
	static const char *const folded[] = {"X-A: b\r\nX-C: d"}, *const nameless[] = {"nothing"};
	const struct ebb_fetch_request requests[] = {
		{.url = "http://a/b c", .done = on_done},
		{.url = "http://a/\r\nX-Y: z", .done = on_done},
		{.url = "http://a/", .headers = folded, .header_count = 1, .done = on_done},
		{.url = "http://a/", .headers = nameless, .header_count = 1, .done = on_done},
		{.url = "http://a/", .token = "two\nlines", .done = on_done},
		{.url = "http://a/", .token = "", .done = on_done},
		{.url = "http://a/", .token = huge, .done = on_done},
	};

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct ebb_why why = {0};

		assert_int_equal(ebb_fetch_start(fetch, &requests[i], NULL, &why), -EINVAL);
		assert_true(why.text[0]);
		assert_null(strstr(why.text, "two"));
	}
}

static void urls_of_other_kinds_are_refused(void **state)
{
	static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/",
					   "http://user:secret@127.0.0.1/", "http://"};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct result r = {0};
		struct ebb_fetch_request request = {.url = urls[i], .done = on_done, .userdata = &r};

		assert_int_equal(ebb_fetch_start(fetch, &request, NULL, NULL), 0);
		assert_true(dispatch_until(&r.done, 1));
		assert_int_equal(r.result, -EINVAL);
		assert_null(strstr(r.why, "secret"));
	}
}

/* ----------------------------------------------------------------- streams -- */

static void stream_comes_in_lines(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.line = on_line, .opened = on_opened}, &tls, "/lines/3/4");
	assert_int_equal(r.result, 0);
	assert_int_equal(r.opened, 1);
	assert_string_equal(r.lines, "0000|0001|0002|");
	assert_int_equal(r.body_size, 0);
}

static void stream_does_not_run_ahead_of_the_loop(void **state)
{
	struct result r = {0};

	(void)state;
	/* 2 MB in lines of 100 bytes through room for 4000 */
	ask(&r, (struct ebb_fetch_request){.line = on_line, .answer_max = 4000}, &plain, "/lines/20000/100");
	assert_int_equal(r.result, 0);
	assert_int_equal(r.line_count, 20000);
	assert_int_equal(r.line_bytes, 2000000);
}

static void line_is_bounded(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.line = on_line, .answer_max = 4000}, &plain, "/lines/1/50000");
	assert_int_equal(r.result, -EMSGSIZE);
	assert_int_equal(r.line_count, 0);
}

static void torn_line_is_told_apart(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.line = on_line}, &plain, "/torn");
	assert_string_equal(r.lines, "whole|");
	assert_string_equal(r.body, "half");
}

static void silent_stream_ends(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.line = on_line, .opened = on_opened, .idle_ns = SECOND}, &plain,
	    "/silent");
	assert_int_equal(r.opened, 1);
	assert_failed(&r, -ETIMEDOUT, "no answer in time");
}

static void refused_stream_is_an_answer(void **state)
{
	struct result r = {0};

	(void)state;
	ask(&r, (struct ebb_fetch_request){.line = on_line, .opened = on_opened}, &plain, "/status/410");
	assert_int_equal(r.status, 410);
	assert_int_equal(r.opened, 0);
	assert_int_equal(r.line_count, 0);
	assert_string_equal(r.body, "as you wish");
}

/* One whole exchange with the server, so that what came before has come. */
static void let_time_pass(void)
{
	struct result other = {0};

	ask(&other, (struct ebb_fetch_request){0}, &plain, "/ok");
}

static void cancelled_is_silent(void **state)
{
	struct result r = {.cancel_at = 2}, forever = {0};

	(void)state;
	start(&forever, (struct ebb_fetch_request){.line = on_line, .opened = on_opened}, &plain, "/forever");
	assert_true(dispatch_until(&forever.opened, 1));
	ebb_fetch_cancel(fetch, forever.id);
	start(&r, (struct ebb_fetch_request){.line = on_line}, &plain, "/lines/9/9");
	for (int i = 0; i < 1000 && r.line_count < 2; i++)
		let_time_pass();
	let_time_pass();
	assert_int_equal(r.line_count, 2);
	assert_int_equal(r.done, 0);
	assert_int_equal(forever.done, 0);
	ebb_fetch_cancel(fetch, forever.id);
	ebb_fetch_cancel(fetch, 0);
}

static void freed_with_requests_under_way(void **state)
{
	struct result r = {0}, s = {0};

	(void)state;
	start(&r, (struct ebb_fetch_request){.line = on_line, .opened = on_opened}, &plain, "/forever");
	start(&s, (struct ebb_fetch_request){0}, &plain, "/never");
	assert_true(dispatch_until(&r.opened, 1));
	(void)close_fetch(NULL);
	assert_int_equal(r.done + s.done, 0);
	assert_int_equal(open_fetch(NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fetch, close_fetch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_over_plain_and_over_tls),
		TEST(post_sends_body_headers_and_token),
		TEST(environment_names_no_proxy),
		TEST(redirect_is_an_answer),
		TEST(retry_after_in_seconds_and_as_a_date),
		TEST(answer_is_digested_in_the_thread),
		TEST(many_at_once_and_no_more),
		TEST(wrong_ca_is_named),
		TEST(certificate_of_another_host_is_refused),
		TEST(nobody_there),
		TEST(deadline_holds),
		TEST(answer_is_bounded),
		TEST(half_an_answer_is_none),
		TEST(plain_http_to_tls_is_no_answer),
		TEST(what_cannot_be_sent_is_refused),
		TEST(urls_of_other_kinds_are_refused),
		TEST(stream_comes_in_lines),
		TEST(stream_does_not_run_ahead_of_the_loop),
		TEST(line_is_bounded),
		TEST(torn_line_is_told_apart),
		TEST(silent_stream_ends),
		TEST(refused_stream_is_an_answer),
		TEST(cancelled_is_silent),
		TEST(freed_with_requests_under_way),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The client of the API server and the kubelet, with a fake clock and answers as one likes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "node/kube.h"

#define SECOND 1000000000ULL
#define MINUTE (60 * SECOND)

#define POD(uid, version)               \
	"{\"metadata\":{\"uid\":\"" uid \
	"\",\"namespace\":\"a\",\"name\":\"p\",\"resourceVersion\":\"" version "\"}}"
#define LIST(version, pods) \
	"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" pods "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}"

/* The world of a test: one request at a time, as the client makes them. */
static struct {
	struct ebb_pods *pods;
	struct ebb_kube *kube;
	uint64_t now_ns;
	struct ebb_fetch_request request; /* the last one */
	char url[EBB_FETCH_URL_MAX], token[256];
	int started, cancelled, refused;
	bool busy; /* it is under way */
	char token_file[64];
} t;

static int start(void *userdata, const struct ebb_fetch_request *request, uint64_t *ret_id,
		 struct ebb_why *why)
{
	(void)userdata;
	(void)why;
	assert_false(t.busy);
	t.request = *request;
	(void)snprintf(t.url, sizeof(t.url), "%s", request->url);
	(void)snprintf(t.token, sizeof(t.token), "%s", request->token ? request->token : "");
	t.busy = true;
	*ret_id = (uint64_t)++t.started;
	return 0;
}

static void cancel(void *userdata, uint64_t id)
{
	(void)userdata;
	assert_int_equal(id, t.started);
	assert_true(t.busy);
	t.busy = false;
	t.cancelled++;
}

static uint64_t now_ns(void *userdata)
{
	(void)userdata;
	return t.now_ns;
}

static void credentials_refused(void *userdata, const char *url, unsigned int status)
{
	(void)userdata;
	assert_non_null(strstr(url, "https://"));
	assert_true(status == 401 || status == 403);
	t.refused++;
}

static void write_token(const char *token)
{
	FILE *f = fopen(t.token_file, "w");

	assert_non_null(f);
	assert_true(fputs(token, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void open_kube(enum ebb_kube_source source, const char *url)
{
	const struct ebb_kube_ops ops = {.start = start,
					 .cancel = cancel,
					 .now_ns = now_ns,
					 .credentials_refused = credentials_refused};
	struct ebb_kube_settings settings = {.source = source, .node = "n1"};

	(void)snprintf(settings.url, sizeof(settings.url), "%s", url);
	(void)snprintf(settings.token_file, sizeof(settings.token_file), "%s", t.token_file);
	assert_int_equal(ebb_kube_new(&settings, &ops, t.pods, 42, &t.kube), 0);
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.now_ns = 1000 * SECOND;
	(void)snprintf(t.token_file, sizeof(t.token_file), "/tmp/ebb-test-kube-XXXXXX");
	fd = mkstemp(t.token_file);
	if (fd < 0)
		return -1;
	(void)close(fd);
	write_token("first\n");
	return ebb_pods_new(&t.pods);
}

static int tear_down(void **state)
{
	(void)state;
	ebb_kube_free(t.kube);
	ebb_pods_free(t.pods);
	(void)unlink(t.token_file);
	return 0;
}

/* ---------------------------------------------------------------- answers -- */

static void tick_after(uint64_t ns)
{
	t.now_ns += ns;
	ebb_kube_tick(t.kube);
}

static void answer(struct ebb_fetch_answer a)
{
	assert_true(t.busy);
	t.busy = false;
	a.why = a.why ? a.why : "";
	a.body = a.body ? a.body : "";
	a.body_size = strlen(a.body);
	if (t.request.digest && a.result == 0 && a.status == 200)
		a.digested = t.request.digest(a.body, a.body_size);
	t.request.done(t.request.userdata, &a);
	if (a.digested)
		t.request.digest_free(a.digested);
}

static void answer_list(const char *body)
{
	assert_null(t.request.line);
	answer((struct ebb_fetch_answer){.status = 200, .body = body});
}

static void line(const char *text)
{
	assert_true(t.busy);
	assert_non_null(t.request.line);
	t.request.line(t.request.userdata, text, strlen(text));
}

static void open_watch(void)
{
	t.request.opened(t.request.userdata);
}

static struct ebb_kube_status status(void)
{
	struct ebb_kube_status s;

	ebb_kube_status(t.kube, &s);
	return s;
}

static void assert_degraded(const char *why)
{
	struct ebb_kube_status s = status();

	assert_false(s.healthy);
	if (!strstr(s.why, why))
		fail_msg("'%s' is not in '%s'", why, s.why);
}

/* Listed "u1" as of version 10, and watching. */
static void reach_watch(void)
{
	open_kube(EBB_KUBE_API, "https://api:443");
	ebb_kube_tick(t.kube);
	answer_list(LIST("10", POD("u1", "9")));
	ebb_kube_tick(t.kube);
	open_watch();
}

/* After a failure: nothing before @from, something by @to. */
static void assert_tried_again_between(uint64_t from, uint64_t to)
{
	int before = t.started;

	assert_false(t.busy);
	tick_after(from - 1);
	assert_int_equal(t.started, before);
	tick_after(to - from + 1);
	assert_int_equal(t.started, before + 1);
}

/* ------------------------------------------------------------------ tests -- */

static void list_then_watch_from_its_version(void **state)
{
	(void)state;
	open_kube(EBB_KUBE_API, "https://api:443");
	ebb_kube_tick(t.kube);
	assert_string_equal(t.url,
			    "https://api:443/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dn1");
	assert_string_equal(t.token, "first");
	assert_false(status().synced);
	answer_list(LIST("10", POD("u1", "9")));
	assert_true(status().synced);
	assert_int_equal(ebb_pods_count(t.pods), 1);
	ebb_kube_tick(t.kube);
	assert_non_null(strstr(t.url, "watch=true&allowWatchBookmarks=true&timeoutSeconds="));
	assert_non_null(strstr(t.url, "&resourceVersion=10&fieldSelector=spec.nodeName%3Dn1"));
	open_watch();
	line(EVENT("ADDED", POD("u2", "11")));
	assert_int_equal(ebb_pods_count(t.pods), 2);
	line(EVENT("DELETED", POD("u1", "12")));
	assert_int_equal(ebb_pods_count(t.pods), 1);
	assert_true(ebb_pods_find(t.pods, "u1")->gone_ns == t.now_ns);
	assert_true(status().healthy);
}

static void ended_watch_goes_on_where_it_was(void **state)
{
	(void)state;
	reach_watch();
	line(EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"55\"}}"));
	answer((struct ebb_fetch_answer){.status = 200});
	tick_after(SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=55&"));
	assert_true(status().healthy);
	/* silence is an end, too */
	open_watch();
	answer((struct ebb_fetch_answer){.result = -ETIMEDOUT, .why = "no answer in time"});
	assert_true(status().healthy);
	tick_after(SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=55&"));
}

static void version_that_is_gone_means_all_anew(void **state)
{
	(void)state;
	reach_watch();
	line(EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}"));
	assert_int_equal(t.cancelled, 1);
	tick_after(SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=0"));
	answer_list(LIST("20", POD("u3", "19")));
	assert_true(ebb_pods_find(t.pods, "u1")->gone_ns != 0);
	/* the same as a status */
	tick_after(0);
	assert_non_null(strstr(t.url, "resourceVersion=20"));
	answer((struct ebb_fetch_answer){.status = 410});
	tick_after(SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=0"));
	assert_true(status().healthy);
}

static void whole_list_again_after_a_while(void **state)
{
	(void)state;
	reach_watch();
	for (int i = 0; i < 2; i++) {
		t.now_ns += 14 * MINUTE;
		answer((struct ebb_fetch_answer){.status = 200});
		tick_after(SECOND);
		assert_non_null(t.request.line);
		open_watch();
	}
	t.now_ns += 3 * MINUTE;
	answer((struct ebb_fetch_answer){.status = 200});
	tick_after(SECOND);
	assert_null(t.request.line);
}

static void failures_wait_longer_each_time(void **state)
{
	uint64_t wait = SECOND;

	(void)state;
	open_kube(EBB_KUBE_API, "https://api:443");
	ebb_kube_tick(t.kube);
	for (int i = 0; i < 10; i++) {
		answer((struct ebb_fetch_answer){.result = -ECONNREFUSED, .why = "api:443: no connection"});
		assert_degraded("no connection");
		assert_tried_again_between(wait, wait + wait / 2);
		wait = wait < 32 * SECOND ? wait * 2 : MINUTE;
	}
	answer_list(LIST("10", ""));
	assert_true(status().healthy);
	assert_string_equal(status().why, "");
	tick_after(0);
	answer((struct ebb_fetch_answer){.result = -ECONNREFUSED, .why = "again"});
	assert_tried_again_between(SECOND, SECOND + SECOND / 2);
}

static void server_says_how_long_to_wait(void **state)
{
	(void)state;
	open_kube(EBB_KUBE_API, "https://api:443");
	ebb_kube_tick(t.kube);
	answer((struct ebb_fetch_answer){.status = 429, .retry_after_ns = 20 * SECOND});
	assert_degraded("answers 429");
	assert_tried_again_between(20 * SECOND, 30 * SECOND);
	answer((struct ebb_fetch_answer){.status = 503, .retry_after_ns = 24 * 60 * MINUTE});
	assert_tried_again_between(5 * MINUTE, 8 * MINUTE);
}

static void refused_credentials_are_named_and_read_again(void **state)
{
	(void)state;
	reach_watch();
	answer((struct ebb_fetch_answer){.status = 401});
	assert_degraded("refuses the token (401)");
	assert_degraded(t.token_file);
	assert_int_equal(t.refused, 1);
	assert_int_equal(ebb_pods_count(t.pods), 1);
	write_token("second\n");
	tick_after(2 * SECOND);
	assert_string_equal(t.token, "second");
	answer((struct ebb_fetch_answer){.status = 403});
	assert_degraded("does not allow it (403)");
	assert_int_equal(t.refused, 2);
}

static void token_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	write_token("");
	open_kube(EBB_KUBE_API, "https://api:443");
	ebb_kube_tick(t.kube);
	assert_int_equal(t.started, 0);
	assert_degraded("it is empty");
	(void)unlink(t.token_file);
	tick_after(2 * SECOND);
	assert_int_equal(t.started, 0);
	assert_degraded("No such file");
	write_token("back");
	tick_after(4 * SECOND);
	assert_string_equal(t.token, "back");
}

static void token_never_goes_over_plain_http(void **state)
{
	(void)state;
	open_kube(EBB_KUBE_KUBELET, "http://127.0.0.1:10255");
	ebb_kube_tick(t.kube);
	assert_string_equal(t.url, "http://127.0.0.1:10255/pods");
	assert_string_equal(t.token, "");
}

static void garbage_degrades_and_keeps_what_is_known(void **state)
{
	(void)state;
	reach_watch();
	line("{\"type\":\"ADDED\",\"object\":{");
	assert_degraded("no watch of pods: no JSON");
	assert_int_equal(t.cancelled, 1);
	assert_int_equal(ebb_pods_count(t.pods), 1);
	tick_after(2 * SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=0"));
	answer_list("<html>");
	assert_degraded("no list of pods: no JSON, line 1");
	assert_int_equal(ebb_pods_count(t.pods), 1);
	tick_after(4 * SECOND);
	answer_list(LIST("1 2", ""));
	assert_degraded("no list of pods");
	tick_after(8 * SECOND);
	answer_list(LIST("1&watch=false", ""));
	assert_degraded("resourceVersion");
	assert_int_equal(ebb_pods_count(t.pods), 1);
}

static void half_an_event_is_a_failure(void **state)
{
	(void)state;
	reach_watch();
	answer((struct ebb_fetch_answer){.status = 200, .body = "{\"type\":"});
	assert_degraded("in the middle of an event");
	/* nothing is lost: it goes on from the last whole one */
	tick_after(2 * SECOND);
	assert_non_null(strstr(t.url, "resourceVersion=10&"));
}

static void kubelet_is_polled_and_hurried(void **state)
{
	(void)state;
	open_kube(EBB_KUBE_KUBELET, "https://127.0.0.1:10250");
	ebb_kube_tick(t.kube);
	assert_string_equal(t.token, "first");
	answer_list("{\"kind\":\"PodList\",\"metadata\":{},\"items\":[" POD("u1", "") "]}");
	assert_int_equal(ebb_pods_count(t.pods), 1);
	assert_tried_again_between(10 * SECOND, 10 * SECOND);
	answer_list("{\"kind\":\"PodList\",\"metadata\":{},\"items\":null}");
	assert_int_equal(ebb_pods_count(t.pods), 0);
	tick_after(SECOND / 2);
	ebb_kube_hurry(t.kube);
	assert_tried_again_between(SECOND / 2, SECOND / 2);
	/* not while it fails: then only the wait holds */
	answer((struct ebb_fetch_answer){.result = -ECONNREFUSED, .why = "no connection"});
	assert_tried_again_between(SECOND, SECOND + SECOND / 2);
	answer((struct ebb_fetch_answer){.result = -ECONNREFUSED, .why = "no connection"});
	ebb_kube_hurry(t.kube);
	assert_tried_again_between(2 * SECOND, 3 * SECOND);
}

static void ends_what_is_under_way(void **state)
{
	(void)state;
	reach_watch();
	ebb_kube_free(t.kube);
	t.kube = NULL;
	assert_int_equal(t.cancelled, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_then_watch_from_its_version),
		TEST(ended_watch_goes_on_where_it_was),
		TEST(version_that_is_gone_means_all_anew),
		TEST(whole_list_again_after_a_while),
		TEST(failures_wait_longer_each_time),
		TEST(server_says_how_long_to_wait),
		TEST(refused_credentials_are_named_and_read_again),
		TEST(token_that_cannot_be_read_is_named),
		TEST(token_never_goes_over_plain_http),
		TEST(garbage_degrades_and_keeps_what_is_known),
		TEST(half_an_event_is_a_failure),
		TEST(kubelet_is_polled_and_hurried),
		TEST(ends_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

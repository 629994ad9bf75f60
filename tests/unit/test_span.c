/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/export/span.c, otlp.c: what is sent is OTLP as the specification has it (tests/lib/otlp.py reads it
 * strictly), says what was seen and nothing else, and stays as it is: tests/unit/golden/otlp.json, which EBB_UPDATE=1
 * writes anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/span.h"
#include "lib/cleanup.h"

#define GOLDEN "tests/unit/golden/otlp.json"
#define MS     1000000LL
/* 2026-11-29T05:51:51.123456789Z */
#define NOW    1795931511123456789LL
#define HALF   0x7fffffffU

static struct ebb_endpoint v4(const char *text, uint16_t port)
{
	struct ebb_endpoint endpoint = {.addr = {[10] = 0xff, [11] = 0xff},
					.port = htons(port),
					.proto = IPPROTO_TCP};

	assert_int_equal(inet_pton(AF_INET, text, endpoint.addr + 12), 1);
	return endpoint;
}

/* One that was answered and closed. */
static struct ebb_connection answered(void)
{
	struct ebb_connection c = {
		.destination = "api.example.com:443/tcp",
		.host = "api.example.com",
		.peer = v4("192.0.2.7", 443),
		.who = {.workload = "/system.slice/shop.service", .container_id = "4f5e"},
		.start_realtime_ns = NOW,
		.connected_realtime_ns = NOW + 2 * MS,
		.answered_realtime_ns = NOW + 30 * MS,
		.end_realtime_ns = NOW + 90 * MS,
		.outcome = EBB_OUTCOME_ESTABLISHED,
		.sent_bytes = 517,
		.received_bytes = 10000000000ULL,
		.rtt_us = 1250,
		.turn_ns = 27500000,
		.retransmits = 1,
		.dice = 0x10000000,
		.share = HALF,
	};

	for (uint8_t i = 0; i < EBB_SPAN_RANDOM; i++)
		c.random[i] = (uint8_t)(i * 7 + 1);
	return c;
}

static struct ebb_connection refused(void)
{
	struct ebb_connection c = answered();

	c.destination = "[2001:db8::5]:80/tcp";
	c.host = NULL;
	c.peer = (struct ebb_endpoint){.addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 5},
				       .port = htons(80),
				       .proto = IPPROTO_TCP};
	c.connected_realtime_ns = c.answered_realtime_ns = 0;
	c.outcome = EBB_OUTCOME_REFUSED;
	c.failed = true;
	c.dice = 0xfffffff0; /* not sampled, but a failure */
	c.random[0] = 77;
	return c;
}

static struct ebb_connection denied(void)
{
	struct ebb_connection c = refused();

	c.end_realtime_ns = c.start_realtime_ns;
	c.failed = false;
	c.denied = c.enforced = true;
	c.cause = EBB_CAUSE_BREAKER;
	c.episode = 0xabcdef0123456789ULL;
	c.dice = 5;
	c.random[0] = 99;
	return c;
}

static const struct ebb_transition moves[] = {
	{.at_ns = 1000,
	 .until_ns = 6000,
	 .gen = 1,
	 .reason = EBB_REASON_CONSECUTIVE_FAILURES,
	 .ok = 1,
	 .failed = 5,
	 .run = 5,
	 .episode = 0xabcdef0123456789ULL},
	{.at_ns = 6000, .gen = 2, .reason = EBB_REASON_OPEN_EXPIRED, .episode = 0xabcdef0123456789ULL},
	{.at_ns = 7000,
	 .gen = 3,
	 .reason = EBB_REASON_PROBES_SUCCEEDED,
	 .ok = 2,
	 .episode = 0xabcdef0123456789ULL},
};

static struct ebb_episode_span episode(void)
{
	return (struct ebb_episode_span){
		.destination = "anthropic",
		.episode = 0xabcdef0123456789ULL,
		.start_realtime_ns = NOW + 1000,
		.end_realtime_ns = NOW + 7000,
		.moves = moves,
		.move_count = 3,
		.realtime_minus_mono = NOW,
		.last_failure = "refused",
		.mode = "enforce",
	};
}

static const struct ebb_otlp_attribute resource_attributes[] = {
	{.key = "service.name", .type = EBB_OTLP_STRING, .text = "ebb"},
	{.key = "host.name", .type = EBB_OTLP_STRING, .text = "node-\"7\"\n"},
};

struct request {
	char text[65536];
	struct ebb_line line;
};

static void begin(struct request *r, const struct ebb_otlp_attribute *attributes, size_t count)
{
	const struct ebb_otlp_resource resource = {attributes, count, "0.1.0"};

	r->line = (struct ebb_line){.data = r->text, .size = sizeof(r->text) - 1};
	assert_int_equal(ebb_otlp_put_head(&r->line, EBB_OTLP_TRACES, &resource), 0);
}

static void end(struct request *r)
{
	assert_int_equal(ebb_otlp_put_tail(&r->line), 0);
	r->text[r->line.used] = '\0';
}

static void put(struct request *r, const struct ebb_connection *c)
{
	if (r->line.data[r->line.used - 1] == '}')
		ebb_line_put(&r->line, ",");
	assert_int_equal(ebb_span_put_connection(&r->line, c), 0);
}

/* One span in a request of its own. */
static void render(struct request *r, const struct ebb_connection *c)
{
	begin(r, NULL, 0);
	put(r, c);
	end(r);
}

static void assert_strictly_otlp(const char *text)
{
	FILE *pipe = popen("/usr/bin/python3 tests/lib/otlp.py /dev/stdin >/dev/null", "we");
	int status;

	assert_non_null(pipe);
	(void)fputs(text, pipe);
	status = pclose(pipe);
	if (status != 0)
		fail_msg("it is not strictly OTLP (status %d): %s", status, text);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in: %s", part, text);
}

static void a_request_is_as_written_down(void **state)
{
	_cleanup_free_ char *expected = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	const struct ebb_connection all[] = {answered(), refused(), denied()};
	const struct ebb_episode_span stay = episode();
	struct request r;
	size_t size = 0;

	(void)state;
	begin(&r, resource_attributes, 1);
	for (size_t i = 0; i < 3; i++)
		put(&r, &all[i]);
	ebb_line_put(&r.line, ",");
	assert_int_equal(ebb_span_put_episode(&r.line, &stay), 0);
	end(&r);
	assert_strictly_otlp(r.text);
	ebb_line_put(&r.line, "\n");
	r.text[r.line.used] = '\0';
	if (getenv("EBB_UPDATE")) {
		file = fopen(GOLDEN, "we");
		assert_non_null(file);
		assert_true(fputs(r.text, file) >= 0);
		return;
	}
	file = fopen(GOLDEN, "re");
	if (!file)
		fail_msg("cannot open %s: run from the root of the source", GOLDEN);
	assert_true(getdelim(&expected, &size, '\0', file) > 0);
	assert_string_equal(r.text, expected);
}

static void a_connection_says_what_was_seen(void **state)
{
	struct ebb_connection c = answered();
	struct request r;

	(void)state;
	render(&r, &c);
	assert_has(r.text, "\"name\":\"connect api.example.com:443/tcp\",\"kind\":3");
	assert_has(r.text, "\"startTimeUnixNano\":\"1795931511123456789\"");
	assert_has(r.text, "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"api.example.com\"}}");
	assert_has(r.text, "{\"key\":\"server.port\",\"value\":{\"intValue\":\"443\"}}");
	assert_has(r.text, "{\"key\":\"network.peer.address\",\"value\":{\"stringValue\":\"192.0.2.7\"}}");
	assert_has(r.text, "{\"key\":\"ebb.received_bytes\",\"value\":{\"intValue\":\"10000000000\"}}");
	assert_has(r.text, "{\"key\":\"ebb.rtt\",\"value\":{\"doubleValue\":0.00125}}");
	assert_has(r.text, "{\"key\":\"ebb.first_turn\",\"value\":{\"doubleValue\":0.0275}}");
	assert_has(r.text, "{\"timeUnixNano\":\"1795931511153456789\",\"name\":\"first_answer\"}");
	assert_has_not(r.text, "\"status\"");
	assert_has_not(r.text, "k8s");
	assert_has_not(r.text, "links");
}

static void a_failure_has_the_status_error(void **state)
{
	struct ebb_connection c = refused();
	struct request r;

	(void)state;
	render(&r, &c);
	assert_strictly_otlp(r.text);
	assert_has(r.text, "\"status\":{\"message\":\"refused\",\"code\":2}");
	assert_has(r.text, "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"refused\"}}");
	assert_has(r.text, "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"2001:db8::5\"}}");
	assert_has_not(r.text, "\"events\"");
	assert_has_not(r.text, "ebb.sent_bytes");
}

static void a_denial_links_to_its_episode(void **state)
{
	struct ebb_connection c = denied();
	struct ebb_episode_span stay = episode();
	char ids[160], episode_text[EBB_OTLP_SPAN_MAX];
	struct ebb_line line = {.data = episode_text, .size = sizeof(episode_text) - 1};
	struct request r;

	(void)state;
	render(&r, &c);
	assert_strictly_otlp(r.text);
	assert_int_equal(ebb_span_put_episode(&line, &stay), 0);
	/* what the span of the episode begins with, in both */
	(void)snprintf(ids, sizeof(ids), "%.*s", (int)strlen("'traceId':'','spanId':''") + 32 + 16,
		       episode_text + 1);
	assert_has(ids, "\"spanId\":\"abcdef0123456789\"");
	assert_has(strstr(r.text, "\"links\""), ids);
	assert_has(r.text, "refused by ebb: breaker");
	c.enforced = false;
	render(&r, &c);
	assert_strictly_otlp(r.text);
	assert_has_not(r.text, "\"status\"");
	assert_has_not(r.text, "error.type");
	c.episode = 0;
	render(&r, &c);
	assert_has_not(r.text, "\"links\"");
}

/* The number that the kernel drew decides alike here, there and in a collector that samples once more. */
static void ids_agree_with_the_sampling(void **state)
{
	static const struct {
		uint32_t dice, share;
		const char *th;
	} cases[] = {
		{0, 0, "\"ot=th:ffffffff\""},
		{0x19999998, 0x19999999, "\"ot=th:e6666666\""},
		{0xffffffff, 0xffffffff, "\"ot=th:0\""},
		{0x7fffffff, 0x7fffffff, "\"ot=th:8\""},
	};
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_connection c = answered();

		c.dice = cases[i].dice;
		c.share = cases[i].share;
		render(&r, &c);
		assert_has(r.text, cases[i].th);
		assert_strictly_otlp(r.text);
	}
}

static void ids_are_never_all_zero(void **state)
{
	struct ebb_connection c = answered();
	struct ebb_otlp_link link;
	struct request r;

	(void)state;
	memset(c.random, 0, sizeof(c.random));
	c.dice = c.share = 0xffffffff;
	render(&r, &c);
	assert_strictly_otlp(r.text);
	ebb_span_of_episode(1, &link);
	assert_int_equal(link.span_id[7], 1);
}

static void a_start_that_was_not_seen_is_told(void **state)
{
	struct ebb_connection c = answered();
	struct request r;

	(void)state;
	c.start_realtime_ns = c.connected_realtime_ns = c.answered_realtime_ns = 0;
	c.outcome = EBB_OUTCOME_RESET;
	c.failed = true;
	render(&r, &c);
	assert_strictly_otlp(r.text);
	assert_has(r.text, "{\"key\":\"ebb.start_unknown\",\"value\":{\"boolValue\":true}}");
}

static void an_episode_says_what_opened_it_and_what_ended_it(void **state)
{
	struct ebb_episode_span stay = episode();
	char text[EBB_OTLP_SPAN_MAX];
	struct ebb_line line = {.data = text, .size = sizeof(text) - 1};

	(void)state;
	stay.dropped_moves = 4;
	assert_int_equal(ebb_span_put_episode(&line, &stay), 0);
	text[line.used] = '\0';
	assert_has(text, "{\"key\":\"ebb.reason\",\"value\":{\"stringValue\":\"consecutive_failures\"}}");
	assert_has(text, "{\"key\":\"ebb.end_reason\",\"value\":{\"stringValue\":\"probes_succeeded\"}}");
	assert_has(text, "{\"key\":\"ebb.last_failure\",\"value\":{\"stringValue\":\"refused\"}}");
	assert_has(text, "\"droppedEventsCount\":4");
	assert_has(text, "{\"timeUnixNano\":\"1795931511123462789\",\"name\":\"half_open\"");
}

/* Only what is whole is appended, wherever the room ends. */
static void a_span_without_room_leaves_no_trace(void **state)
{
	struct ebb_connection c = answered();
	char text[EBB_OTLP_SPAN_MAX];
	struct ebb_line line = {.data = text, .size = sizeof(text)};
	size_t length;

	(void)state;
	assert_int_equal(ebb_span_put_connection(&line, &c), 0);
	length = line.used;
	for (size_t size = 10; size <= length; size++) {
		line = (struct ebb_line){.data = text, .size = size};
		ebb_line_put(&line, "[");
		assert_int_equal(ebb_span_put_connection(&line, &c), -E2BIG);
		assert_int_equal(line.used, 1);
	}
}

static void names_from_outside_stay_texts(void **state)
{
	struct ebb_connection c = answered();
	struct request r;

	(void)state;
	c.destination = "a\",\"kind\":9,\"x\":\"\\";
	c.who.pod = "\xff\xfe{}";
	begin(&r, resource_attributes, 1);
	put(&r, &c);
	end(&r);
	assert_strictly_otlp(r.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_as_written_down),
		cmocka_unit_test(a_connection_says_what_was_seen),
		cmocka_unit_test(a_failure_has_the_status_error),
		cmocka_unit_test(a_denial_links_to_its_episode),
		cmocka_unit_test(ids_agree_with_the_sampling),
		cmocka_unit_test(ids_are_never_all_zero),
		cmocka_unit_test(a_start_that_was_not_seen_is_told),
		cmocka_unit_test(an_episode_says_what_opened_it_and_what_ended_it),
		cmocka_unit_test(a_span_without_room_leaves_no_trace),
		cmocka_unit_test(names_from_outside_stay_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

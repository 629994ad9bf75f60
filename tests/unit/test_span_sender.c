/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/export/span_sender.c, span_queue.c: spans go in batches, each once, and whatever the collector answers, each is
 * accounted for. With a clock and a collector of the test's own.
 */
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

#include "export/span_queue.h"
#include "export/span_sender.h"
#include "tests/lib/unpack.h"

#define S     1000000000ULL
#define DELAY (5 * S)

struct collector {
	struct ebb_span_sender *sender;
	uint64_t now_ns;
	int refuse_to_send;
	size_t requests;
	char body[2 << 20]; /* of the last request, unpacked */
	size_t body_size;
	bool gzip;
};

static int take_request(void *userdata, const char *body, size_t size, bool gzip)
{
	struct collector *c = userdata;

	if (c->refuse_to_send)
		return c->refuse_to_send;
	c->requests++;
	c->gzip = gzip;
	if (gzip) {
		c->body_size = unpack(body, size, c->body, sizeof(c->body));
	} else {
		assert_in_range(size, 1, sizeof(c->body) - 1);
		memcpy(c->body, body, size);
		c->body_size = size;
	}
	c->body[c->body_size] = '\0';
	return 0;
}

static void open_with(struct collector *c, bool gzip, size_t queue_bytes, size_t queue_spans)
{
	static struct ebb_otlp_settings settings;
	struct ebb_span_sender_setup setup = {
		.settings = &settings,
		.version = "0",
		.delivery = ebb_delivery_defaults,
		.queue_bytes = queue_bytes,
		.queue_spans = queue_spans,
		.send = take_request,
		.userdata = c,
	};

	memset(&settings, 0, sizeof(settings));
	settings.delay_ns = DELAY;
	settings.gzip = gzip;
	memset(c, 0, sizeof(*c));
	c->now_ns = 1000 * S;
	assert_int_equal(ebb_span_sender_new(&setup, &c->sender), 0);
}

static struct collector *a_collector(void)
{
	static struct collector c;

	open_with(&c, false, 1 << 20, 2048);
	return &c;
}

/* {"n":7} stands for a span. */
static void put(struct collector *c, size_t from, size_t count)
{
	char span[32];

	for (size_t i = from; i < from + count; i++) {
		int length = snprintf(span, sizeof(span), "{\"n\":%zu}", i);

		ebb_span_sender_put(c->sender, span, (size_t)length, c->now_ns);
	}
}

static uint64_t run(struct collector *c)
{
	return ebb_span_sender_run(c->sender, false, c->now_ns);
}

static void answer(struct collector *c, unsigned int status, const char *body, uint64_t after_ns)
{
	struct ebb_otlp_answer a;

	ebb_otlp_answer_read(status, body, strlen(body), &a);
	ebb_span_sender_answer(c->sender, &a, after_ns, c->now_ns);
}

static struct ebb_span_sender_status status_of(const struct collector *c)
{
	struct ebb_span_sender_status status;

	ebb_span_sender_status(c->sender, &status);
	return status;
}

/* Goes on to when it wants to be called; it must want to. */
static void run_when_due(struct collector *c)
{
	uint64_t due = run(c);

	for (int i = 0; i < 100 && due != UINT64_MAX; i++) {
		assert_true(due > c->now_ns);
		c->now_ns = due;
		due = run(c);
	}
	assert_int_equal(due, UINT64_MAX);
}

static void assert_body_has(const struct collector *c, const char *spans)
{
	if (!strstr(c->body, spans))
		fail_msg("'%s' is not in: %s", spans, c->body);
}

static void a_span_waits_for_others_but_not_for_ever(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	assert_int_equal(run(c), UINT64_MAX);
	put(c, 1, 1);
	assert_int_equal(run(c), c->now_ns + DELAY);
	c->now_ns += DELAY - 1;
	put(c, 2, 1);
	(void)run(c);
	assert_int_equal(c->requests, 0);
	c->now_ns += 1;
	assert_int_equal(run(c), UINT64_MAX);
	assert_int_equal(c->requests, 1);
	assert_body_has(c, "\"spans\":[{\"n\":1},{\"n\":2}]}],\"schemaUrl\"");
	/* one at a time */
	put(c, 3, 1);
	c->now_ns += DELAY;
	(void)run(c);
	assert_int_equal(c->requests, 1);
	assert_int_equal(status_of(c).waiting, 3);
	answer(c, 200, "{}", 0);
	(void)run(c);
	assert_int_equal(c->requests, 2);
	assert_body_has(c, "\"spans\":[{\"n\":3}]");
	answer(c, 200, "{}", 0);
	assert_true(ebb_span_sender_is_idle(c->sender));
	assert_int_equal(status_of(c).spans[EBB_SPAN_SENT], 3);
	ebb_span_sender_free(c->sender);
}

static void a_full_batch_goes_at_once(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	put(c, 0, 512);
	(void)run(c);
	assert_int_equal(c->requests, 1);
	ebb_span_sender_free(c->sender);
}

static void what_is_there_goes_when_it_is_asked_to(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	put(c, 1, 1);
	(void)ebb_span_sender_run(c->sender, true, c->now_ns);
	assert_int_equal(c->requests, 1);
	ebb_span_sender_free(c->sender);
}

static void what_finds_no_room_is_counted_and_the_oldest_stay(void **state)
{
	static struct collector small;
	struct collector *c = &small;

	(void)state;
	open_with(c, false, 1 << 20, 3);
	put(c, 1, 5);
	assert_int_equal(status_of(c).spans[EBB_SPAN_DROPPED], 2);
	(void)ebb_span_sender_run(c->sender, true, c->now_ns);
	assert_body_has(c, "\"spans\":[{\"n\":1},{\"n\":2},{\"n\":3}]}]");
	ebb_span_sender_free(c->sender);
	/* by bytes: 16 before each */
	open_with(c, false, 3 * (16 + 7) + 22, 100);
	put(c, 1, 5);
	assert_int_equal(status_of(c).spans[EBB_SPAN_DROPPED], 2);
	assert_int_equal(status_of(c).waiting, 3);
	ebb_span_sender_free(c->sender);
}

/* Ever new spans through a ring of a few: each comes out once, in order and whole, wherever the ring ends. */
static void the_ring_keeps_each_span_whole(void **state)
{
	struct ebb_span_queue queue;
	char span[64], text[4096], expected[4096];
	size_t next_in = 0, next_out = 0;

	(void)state;
	assert_int_equal(ebb_span_queue_init(&queue, 251, 100), 0);
	for (size_t round = 0; round < 3000; round++) {
		struct ebb_line line = {.data = text, .size = sizeof(text)};
		size_t taken, used = 0;

		for (size_t i = 0; i < round % 4; i++) {
			int length = snprintf(span, sizeof(span), "{%zu:%.*s}", next_in, (int)(next_in % 29),
					      "abcdefghijklmnopqrstuvwxyz012345");

			if (ebb_span_queue_put(&queue, span, (size_t)length, next_in) == 0)
				next_in++;
		}
		assert_int_equal(ebb_span_queue_oldest(&queue), next_in == next_out ? UINT64_MAX : next_out);
		taken = ebb_span_queue_take(&queue, round % 3, &line);
		for (size_t i = 0; i < taken; i++, next_out++)
			used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s{%zu:%.*s}",
						 i ? "," : "", next_out, (int)(next_out % 29),
						 "abcdefghijklmnopqrstuvwxyz012345");
		assert_int_equal(line.used, used);
		assert_memory_equal(text, expected, used);
	}
	assert_true(next_out > 1000);
	ebb_span_queue_done(&queue);
}

static void a_batch_that_may_go_better_later_goes_again_whole(void **state)
{
	struct collector *c = a_collector();
	uint64_t before;

	(void)state;
	put(c, 1, 2);
	run_when_due(c);
	answer(c, 503, "", 0);
	assert_true(status_of(c).failing);
	assert_string_equal(status_of(c).why, "it answers 503");
	before = c->now_ns;
	put(c, 3, 1);
	run_when_due(c);
	/* 1 s, a fifth more or less */
	assert_in_range(c->now_ns - before, S * 8 / 10, S * 12 / 10);
	assert_int_equal(c->requests, 2);
	assert_body_has(c, "\"spans\":[{\"n\":1},{\"n\":2}]}]");
	answer(c, 200, "{}", 0);
	assert_false(status_of(c).failing);
	assert_int_equal(status_of(c).spans[EBB_SPAN_SENT], 2);
	ebb_span_sender_free(c->sender);
}

static void retry_after_is_kept(void **state)
{
	struct collector *c = a_collector();
	uint64_t before;

	(void)state;
	put(c, 1, 1);
	run_when_due(c);
	answer(c, 429, "", 17 * S);
	before = c->now_ns;
	run_when_due(c);
	assert_int_equal(c->now_ns - before, 17 * S);
	ebb_span_sender_free(c->sender);
}

static void what_is_refused_for_good_is_not_tried_again(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	put(c, 1, 3);
	run_when_due(c);
	answer(c, 400, "{\"message\":\"bad\"}", 0);
	assert_int_equal(status_of(c).spans[EBB_SPAN_REFUSED], 3);
	assert_true(ebb_span_sender_is_idle(c->sender));
	c->now_ns += 100 * S;
	(void)run(c);
	assert_int_equal(c->requests, 1);
	assert_string_equal(status_of(c).why, "it answers 400: bad");
	ebb_span_sender_free(c->sender);
}

static void spans_that_the_collector_rejects_are_counted_apart(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	put(c, 1, 5);
	run_when_due(c);
	answer(c, 200, "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"old\"}}", 0);
	assert_int_equal(status_of(c).spans[EBB_SPAN_SENT], 3);
	assert_int_equal(status_of(c).spans[EBB_SPAN_REJECTED], 2);
	assert_true(status_of(c).failing);
	/* one who rejects more than there were */
	put(c, 1, 1);
	run_when_due(c);
	answer(c, 200, "{\"partialSuccess\":{\"rejectedSpans\":\"18446744073709551615\"}}", 0);
	assert_int_equal(status_of(c).spans[EBB_SPAN_SENT], 3);
	assert_int_equal(status_of(c).spans[EBB_SPAN_REJECTED], 3);
	ebb_span_sender_free(c->sender);
}

/* The five attempts of one batch take longer and longer; then it is given up, and the next has its turn. */
static void a_collector_that_is_gone_costs_a_batch_its_attempts(void **state)
{
	struct collector *c = a_collector();
	size_t requests;

	(void)state;
	put(c, 1, 4);
	for (int i = 0; i < 5; i++) {
		run_when_due(c);
		answer(c, 503, "", 0);
	}
	assert_int_equal(c->requests, 5);
	assert_int_equal(status_of(c).spans[EBB_SPAN_EXPIRED], 4);
	assert_int_equal(status_of(c).attempts[EBB_SINK_RETRY], 5);
	/* for long: the breaker before it asks seldom */
	put(c, 5, 1);
	requests = c->requests;
	for (uint64_t end = c->now_ns + 600 * S; c->now_ns < end; c->now_ns += S) {
		put(c, 6, 1);
		(void)run(c);
		if (c->requests > requests) {
			requests = c->requests;
			answer(c, 503, "", 0);
		}
	}
	assert_in_range(c->requests - 5, 5, 30);
	/* it is back */
	run_when_due(c);
	answer(c, 200, "{}", 0);
	assert_true(status_of(c).spans[EBB_SPAN_SENT] > 0);
	assert_false(status_of(c).failing);
	ebb_span_sender_free(c->sender);
}

static void a_request_that_cannot_begin_is_as_good_as_no_answer(void **state)
{
	struct collector *c = a_collector();

	(void)state;
	put(c, 1, 1);
	c->refuse_to_send = -EBUSY;
	c->now_ns += DELAY;
	assert_true(run(c) > c->now_ns);
	assert_int_equal(status_of(c).waiting, 1);
	c->refuse_to_send = 0;
	run_when_due(c);
	assert_int_equal(c->requests, 1);
	ebb_span_sender_free(c->sender);
}

static void what_is_compressed_is_the_same(void **state)
{
	static struct collector packed;
	struct collector *c = &packed;

	(void)state;
	open_with(c, true, 1 << 20, 2048);
	put(c, 1, 400);
	run_when_due(c);
	assert_true(c->gzip);
	assert_body_has(c, "\"spans\":[{\"n\":1},{\"n\":2},");
	assert_body_has(c, ",{\"n\":400}]}]");
	answer(c, 503, "", 0);
	memset(c->body, 0, sizeof(c->body));
	run_when_due(c);
	assert_body_has(c, ",{\"n\":400}]}]");
	ebb_span_sender_free(c->sender);
}

/* 512 spans of 600 bytes. */
static void put_large_batch(struct collector *c)
{
	char span[600];

	for (int i = 0; i < 512; i++) {
		memset(span, 'a' + i % 26, sizeof(span));
		span[0] = span[sizeof(span) - 1] = '"';
		ebb_span_sender_put(c->sender, span, sizeof(span), c->now_ns);
	}
}

/* So that others have their turn; but the last one goes at once. */
static void what_is_large_is_compressed_a_piece_at_a_time(void **state)
{
	static struct collector packed;
	struct collector *c = &packed;
	size_t pieces = 0;

	(void)state;
	open_with(c, true, 1 << 20, 2048);
	put_large_batch(c);
	while (c->requests == 0) {
		uint64_t due = run(c);

		assert_int_equal(status_of(c).waiting, 512);
		assert_true(c->requests || due > c->now_ns);
		c->now_ns = due;
		pieces++;
	}
	assert_in_range(pieces, 512 * 600 / (40 << 10), 512 * 600 / (30 << 10) + 1);
	assert_in_range(c->body_size, 512 * 600, 512 * 610);
	assert_body_has(c, "rrr\"]}]");
	c->now_ns = 2000 * S;
	answer(c, 200, "", 0);
	put_large_batch(c);
	(void)ebb_span_sender_run(c->sender, true, c->now_ns);
	assert_int_equal(c->requests, 2);
	/* one that was begun is done with */
	answer(c, 200, "", 0);
	put_large_batch(c);
	(void)run(c);
	assert_int_equal(c->requests, 2);
	(void)ebb_span_sender_run(c->sender, true, c->now_ns);
	assert_int_equal(c->requests, 3);
	assert_in_range(c->body_size, 512 * 600, 512 * 610);
	ebb_span_sender_free(c->sender);
}

/* Whatever is answered: what was put is waiting, or counted once. */
static void no_span_is_lost_track_of(void **state)
{
	static struct collector random;
	struct collector *c = &random;
	uint64_t dice = 88172645463325252ULL, put_in = 0, seen;
	size_t requests = 0;

	(void)state;
	open_with(c, false, 4096, 100);
	for (int i = 0; i < 20000; i++) {
		static const struct {
			unsigned int status;
			const char *body;
		} answers[] = {{200, "{}"}, {503, ""},
			       {400, ""},   {429, ""},
			       {200, "x"},  {200, "{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}"}};
		struct ebb_span_sender_status status;

		dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
		put(c, put_in, dice % 5);
		put_in += dice % 5;
		c->now_ns += dice % (2 * S);
		(void)ebb_span_sender_run(c->sender, dice % 7 == 0, c->now_ns);
		if (c->requests > requests && dice % 3) {
			requests = c->requests;
			answer(c, answers[dice % 6].status, answers[dice % 6].body, 0);
		}
		status = status_of(c);
		seen = status.waiting;
		for (int k = 0; k < EBB_SPAN_RESULT_MAX; k++)
			seen += status.spans[k];
		assert_int_equal(seen, put_in);
	}
	assert_true(status_of(c).spans[EBB_SPAN_SENT] > 1000);
	ebb_span_sender_free(c->sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_span_waits_for_others_but_not_for_ever),
		cmocka_unit_test(a_full_batch_goes_at_once),
		cmocka_unit_test(what_is_there_goes_when_it_is_asked_to),
		cmocka_unit_test(what_finds_no_room_is_counted_and_the_oldest_stay),
		cmocka_unit_test(the_ring_keeps_each_span_whole),
		cmocka_unit_test(a_batch_that_may_go_better_later_goes_again_whole),
		cmocka_unit_test(retry_after_is_kept),
		cmocka_unit_test(what_is_refused_for_good_is_not_tried_again),
		cmocka_unit_test(spans_that_the_collector_rejects_are_counted_apart),
		cmocka_unit_test(a_collector_that_is_gone_costs_a_batch_its_attempts),
		cmocka_unit_test(a_request_that_cannot_begin_is_as_good_as_no_answer),
		cmocka_unit_test(what_is_compressed_is_the_same),
		cmocka_unit_test(what_is_large_is_compressed_a_piece_at_a_time),
		cmocka_unit_test(no_span_is_lost_track_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

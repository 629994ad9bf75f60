/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/export/metrics_sender.c, otlp_outbox.c: what is counted is pushed once in an interval, a bounded body after the other,
 * and whatever the collector answers, each point is accounted for. With a clock and a collector of the test's own.
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

#include "core/hist.h"
#include "export/metrics_sender.h"
#include "export/otlp_metrics.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/unpack.h"

#define S	 1000000000ULL
#define INTERVAL (60 * S)

struct collector {
	struct fake *fake;
	struct ebb_metrics_sender *sender;
	struct ebb_hist worked;
	size_t requests, points; /* taken; points by what stands in the bodies */
	size_t largest;
	int refuse_to_send;
	char body[2 << 20]; /* of the last request, unpacked */
};

/* How often @what stands in @text. Not by strstr(): at each call AddressSanitizer looks at all that is left. */
static size_t count_of(const char *text, const char *what)
{
	const char *end = text + strlen(text);
	size_t length = strlen(what), count = 0;

	for (const char *s = text; (s = memchr(s, *what, (size_t)(end - s))); s++)
		count += (size_t)(end - s) >= length && memcmp(s, what, length) == 0;
	return count;
}

static int take_request(void *userdata, const char *body, size_t size, bool gzip)
{
	struct collector *c = userdata;

	if (c->refuse_to_send)
		return c->refuse_to_send;
	c->requests++;
	c->largest = size > c->largest ? size : c->largest;
	if (gzip) {
		unpack(body, size, c->body, sizeof(c->body));
	} else {
		assert_in_range(size, 1, sizeof(c->body) - 1);
		memcpy(c->body, body, size);
		c->body[size] = '\0';
	}
	c->points += count_of(c->body, "\"timeUnixNano\"");
	assert_ptr_equal(strstr(c->body,
				"{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\""),
			 c->body);
	assert_non_null(strstr(c->body, "]}],\"schemaUrl\""));
	return 0;
}

static struct collector *a_collector(uint32_t dsts, bool gzip)
{
	static struct ebb_otlp_settings settings;
	static struct collector c;
	struct ebb_metrics_sender_setup setup = {
		.settings = &settings,
		.version = "0",
		.delivery = ebb_delivery_defaults,
		.first_ns = FAKE_NOW_NS + 7 * S,
		.send = take_request,
		.userdata = &c,
	};
	char address[64];

	memset(&c, 0, sizeof(c));
	c.fake = fake_new(dsts + 1, dsts + 1);
	for (uint32_t slot = 1; slot <= dsts; slot++) {
		(void)snprintf(address, sizeof(address), "10.1.%u.%u", slot / 256, slot % 256);
		(void)fake_dst(c.fake, slot, address, 443);
		(void)fake_pair(c.fake, slot, slot, 3);
	}
	memset(&settings, 0, sizeof(settings));
	settings.interval_ns = INTERVAL;
	settings.gzip = gzip;
	settings.resource_count = 1;
	settings.resource[0] = (struct ebb_otlp_pair){.key = "service.name", .value = "ebb"};
	setup.source = &c.fake->source;
	setup.worked = &c.worked;
	assert_int_equal(ebb_metrics_sender_new(&setup, &c.sender), 0);
	return &c;
}

static void done(struct collector *c)
{
	ebb_metrics_sender_free(c->sender);
	fake_free(c->fake);
}

static uint64_t run(struct collector *c)
{
	return ebb_metrics_sender_run(c->sender, fake_now_ns);
}

static struct ebb_metrics_sender_status status_of(const struct collector *c)
{
	struct ebb_metrics_sender_status status;

	ebb_metrics_sender_status(c->sender, &status);
	return status;
}

/* Goes on as it is wanted, until an answer is waited for or nothing is due within @within_ns. Returns how often. */
static size_t run_on(struct collector *c, uint64_t within_ns)
{
	const uint64_t until = fake_now_ns + within_ns;
	uint64_t due = run(c);
	size_t slices = 1;

	while (due <= until) {
		assert_true(due > fake_now_ns);
		fake_now_ns = due;
		due = run(c);
		slices++;
	}
	return slices;
}

static void answer(struct collector *c, unsigned int status, const char *body, uint64_t after_ns)
{
	struct ebb_otlp_answer a;

	ebb_otlp_answer_read(status, body, strlen(body), &a);
	ebb_metrics_sender_answer(c->sender, &a, after_ns, fake_now_ns);
}

/* All that is due now goes, each body with 200. Returns the number of points. */
static size_t take_all(struct collector *c)
{
	size_t requests = c->requests, points = c->points;

	for (;;) {
		(void)run_on(c, S);
		if (c->requests == requests)
			return c->points - points;
		requests = c->requests;
		answer(c, 200, "{}", 0);
	}
}

static void a_push_comes_once_in_an_interval(void **state)
{
	struct collector *c = a_collector(3, false);
	size_t points;

	(void)state;
	assert_int_equal(run(c), FAKE_NOW_NS + 7 * S);
	assert_int_equal(take_all(c), 0);
	fake_now_ns = FAKE_NOW_NS + 7 * S;
	points = take_all(c);
	assert_int_equal(c->requests, 1);
	assert_true(points > 200);
	assert_int_equal(status_of(c).points[EBB_SPAN_SENT], points);
	assert_false(status_of(c).pushing);
	assert_int_equal(run(c), FAKE_NOW_NS + 7 * S + INTERVAL);
	/* three are missed: one comes, and the next when it would have come anyway */
	fake_now_ns = FAKE_NOW_NS + 7 * S + 3 * INTERVAL + S;
	assert_int_equal(take_all(c), points);
	assert_int_equal(run(c), FAKE_NOW_NS + 7 * S + 4 * INTERVAL);
	assert_int_equal(ebb_hist_count(&c->worked), 2);
	done(c);
}

static void a_large_node_goes_in_slices_and_bounded_bodies(void **state)
{
	size_t plain, slices;

	for (int gzip = 0; gzip < 2; gzip++) {
		struct collector *c = a_collector(700, gzip);

		(void)state;
		fake_now_ns += 7 * S;
		slices = run_on(c, S);
		/* nothing is begun before there is an answer */
		assert_int_equal(c->requests, 1);
		assert_true(slices > 3);
		fake_now_ns += 10 * S;
		(void)run_on(c, S);
		assert_int_equal(c->requests, 1);
		assert_true(status_of(c).pushing);
		answer(c, 200, "{}", 0);
		(void)take_all(c);
		assert_in_range(c->requests, 5, 100);
		assert_in_range(c->largest, 1, gzip ? 100000 : EBB_OTLP_METRICS_BYTES + 20000);
		assert_true(c->points > 701 * 30);
		assert_int_equal(status_of(c).points[EBB_SPAN_SENT], c->points);
		if (gzip)
			assert_int_equal(c->points, plain);
		plain = c->points;
		done(c);
	}
}

static void what_may_go_better_later_is_tried_again(void **state)
{
	struct collector *c = a_collector(3, false);
	size_t points;

	(void)state;
	fake_now_ns += 7 * S;
	(void)run_on(c, S / 2);
	points = c->points;
	answer(c, 503, "{\"message\":\"restarting\"}", 20 * S);
	assert_true(status_of(c).failing);
	assert_string_equal(status_of(c).why, "it answers 503: restarting");
	/* not before it asked for */
	assert_int_equal(run(c), fake_now_ns + 20 * S);
	fake_now_ns += 20 * S;
	(void)run(c);
	assert_int_equal(c->requests, 2);
	answer(c, 200, "{}", 0);
	assert_false(status_of(c).failing);
	assert_int_equal(status_of(c).points[EBB_SPAN_SENT], points);
	done(c);
}

/* Whoever ends it now counts them: nobody waits for their answer any more. */
static void what_is_under_way_is_known(void **state)
{
	struct collector *c = a_collector(3, false);

	(void)state;
	assert_int_equal(status_of(c).waiting, 0);
	fake_now_ns += 7 * S;
	(void)run_on(c, S / 2);
	assert_true(c->points > 0);
	assert_int_equal(status_of(c).waiting, c->points);
	answer(c, 503, "", 0);
	assert_int_equal(status_of(c).waiting, c->points);
	(void)run_on(c, 10 * S);
	answer(c, 200, "{}", 0);
	assert_int_equal(status_of(c).waiting, 0);
	done(c);
}

static void who_never_answers_costs_the_rest_of_the_push(void **state)
{
	struct collector *c = a_collector(700, false);
	uint64_t due = 0;
	size_t points = 0;

	(void)state;
	fake_now_ns += 7 * S;
	for (int i = 0; i < 5; i++) {
		while (c->requests == (size_t)i) {
			due = run(c);
			if (due != UINT64_MAX)
				fake_now_ns = due;
		}
		points = points ? points : c->points;
		answer(c, 503, "", 0);
	}
	assert_int_equal(status_of(c).points[EBB_SPAN_EXPIRED], points);
	assert_false(status_of(c).pushing);
	assert_int_equal(c->requests, 5);
	done(c);
}

static void what_is_refused_or_rejected_is_counted_and_the_rest_goes(void **state)
{
	struct collector *c = a_collector(700, false);
	size_t first;

	(void)state;
	fake_now_ns += 7 * S;
	(void)run_on(c, S);
	first = c->points;
	answer(c, 400, "{\"message\":\"no\"}", 0);
	assert_int_equal(status_of(c).points[EBB_SPAN_REFUSED], first);
	assert_true(status_of(c).pushing);
	(void)run_on(c, S);
	answer(c, 200, "{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"too old\"}}", 0);
	assert_int_equal(status_of(c).points[EBB_SPAN_REJECTED], 3);
	assert_string_equal(status_of(c).why, "it did not take 3 points: too old");
	(void)take_all(c);
	assert_int_equal(status_of(c).points[EBB_SPAN_SENT], c->points - first - 3);
	assert_false(status_of(c).failing);
	done(c);
}

static void at_the_end_there_is_one_more(void **state)
{
	struct collector *c = a_collector(3, false);

	(void)state;
	ebb_metrics_sender_finish(c->sender);
	assert_true(status_of(c).pushing);
	assert_true(take_all(c) > 0);
	assert_false(status_of(c).pushing);
	assert_int_equal(run(c), UINT64_MAX);
	done(c);

	/* also when one is under way */
	c = a_collector(3, false);
	fake_now_ns += 7 * S;
	(void)run_on(c, S);
	ebb_metrics_sender_finish(c->sender);
	answer(c, 200, "{}", 0);
	assert_true(status_of(c).pushing);
	assert_true(take_all(c) > 0);
	assert_int_equal(c->requests, 2);
	assert_int_equal(run(c), UINT64_MAX);
	done(c);
}

static void a_request_that_cannot_begin_is_no_end(void **state)
{
	struct collector *c = a_collector(3, false);

	(void)state;
	c->refuse_to_send = -EBUSY;
	fake_now_ns += 7 * S;
	(void)run_on(c, S / 2);
	assert_true(status_of(c).failing);
	c->refuse_to_send = 0;
	fake_now_ns += 2 * S;
	assert_true(take_all(c) > 0);
	assert_false(status_of(c).failing);
	done(c);
}

static void starts_of_counters_stay(void **state)
{
	struct collector *c = a_collector(1, false);
	const char *start;
	char first[64];

	(void)state;
	c->fake->view.pairs[1].created_ns = 5 * S;
	fake_now_ns += 7 * S;
	(void)take_all(c);
	start = strstr(c->body, "\"startTimeUnixNano\"");
	assert_non_null(start);
	(void)snprintf(first, sizeof(first), "%.41s", start);
	/* the clocks of the fake node move apart: by less than a second, this is two that were not read at once */
	fake_now_ns += S / 5;
	ebb_metrics_sender_finish(c->sender);
	(void)take_all(c);
	assert_memory_equal(strstr(c->body, "\"startTimeUnixNano\""), first, 41);
	done(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_push_comes_once_in_an_interval),
		cmocka_unit_test(a_large_node_goes_in_slices_and_bounded_bodies),
		cmocka_unit_test(what_may_go_better_later_is_tried_again),
		cmocka_unit_test(what_is_under_way_is_known),
		cmocka_unit_test(who_never_answers_costs_the_rest_of_the_push),
		cmocka_unit_test(what_is_refused_or_rejected_is_counted_and_the_rest_goes),
		cmocka_unit_test(at_the_end_there_is_one_more),
		cmocka_unit_test(a_request_that_cannot_begin_is_no_end),
		cmocka_unit_test(starts_of_counters_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of OTLP without memory: each that is sent is whole, each point and span is sent, waits, or is counted as
 * dropped; and nobody is asked to come back at once, again and again, until there is memory.
 */
#include <setjmp.h>
#include <errno.h>
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
#include "export/span_sender.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/faults.h"
#include "tests/lib/unpack.h"

#define S     1000000000ULL
#define SPANS 100

struct collector {
	size_t requests, items;
	const char *mark; /* of an item */
	char text[1 << 20];
};

static int take_request(void *userdata, const char *body, size_t size, bool gzip)
{
	struct collector *c = userdata;

	assert_true(gzip);
	unpack(body, size, c->text, sizeof(c->text));
	assert_non_null(strstr(c->text, "]}],\"schemaUrl\""));
	for (const char *s = strstr(c->text, c->mark); s; s = strstr(s + 1, c->mark))
		c->items++;
	c->requests++;
	return 0;
}

static struct ebb_otlp_settings *the_settings(void)
{
	static struct ebb_otlp_settings settings;

	memset(&settings, 0, sizeof(settings));
	settings.interval_ns = 60 * S;
	settings.delay_ns = 5 * S;
	settings.gzip = true;
	settings.resource_count = 1;
	settings.resource[0] = (struct ebb_otlp_pair){.key = "service.name", .value = "ebb"};
	return &settings;
}

static const struct ebb_otlp_answer taken = {.result = EBB_SINK_DONE};

/* ------------------------------------------------------------------------- metrics -- */

/* A push of all there is; the points that were sent. @faults may be NULL. */
static size_t push(struct fake *fake, struct faults *faults)
{
	static struct collector c;
	struct ebb_hist worked = {0};
	const struct ebb_metrics_sender_setup setup = {.source = &fake->source,
						       .settings = the_settings(),
						       .version = "0",
						       .delivery = ebb_delivery_defaults,
						       .first_ns = FAKE_NOW_NS,
						       .worked = &worked,
						       .send = take_request,
						       .userdata = &c};
	struct ebb_metrics_sender *sender = NULL;
	struct ebb_metrics_sender_status status = {.pushing = true};
	size_t turns = 0, sent = 0;
	int r;

	memset(&c, 0, sizeof(c));
	c.mark = "\"timeUnixNano\"";
	fake_now_ns = FAKE_NOW_NS;
	if (faults)
		faults_on(faults);
	r = ebb_metrics_sender_new(&setup, &sender);
	for (bool more = r == 0; more && turns < 1000; turns++) {
		uint64_t due = ebb_metrics_sender_run(sender, fake_now_ns);

		if (c.requests > sent)
			ebb_metrics_sender_answer(sender, &taken, 0, fake_now_ns);
		else
			assert_true(due > fake_now_ns);
		sent = c.requests;
		fake_now_ns += 1000000;
		ebb_metrics_sender_status(sender, &status);
		more = status.pushing;
	}
	if (faults)
		faults_off(faults);
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_null(sender);
		return 0;
	}
	assert_true(turns < 1000);
	assert_int_equal(status.points[EBB_SPAN_SENT], c.items);
	ebb_metrics_sender_free(sender);
	return c.items;
}

static void metrics_without_memory_are_whole_bodies_or_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	struct fake *fake = fake_new(21, 21);
	char address[64];
	size_t all;

	(void)state;
	for (uint32_t slot = 1; slot <= 20; slot++) {
		(void)snprintf(address, sizeof(address), "10.1.0.%u", slot);
		(void)fake_dst(fake, slot, address, 443);
		(void)fake_pair(fake, slot, slot, 3);
	}
	all = push(fake, NULL);
	assert_true(all > 200);
	while (faults_next(&faults)) {
		size_t points = push(fake, &faults);

		assert_true(faults.hit ? points <= all : points == all);
	}
	assert_true(faults.places > 5);
	fake_free(fake);
}

/* --------------------------------------------------------------------------- spans -- */

static void spans_without_memory_wait_or_are_counted(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};
	static struct collector c;
	const struct ebb_span_sender_setup setup = {.settings = the_settings(),
						    .version = "0",
						    .delivery = ebb_delivery_defaults,
						    .queue_bytes = 1 << 16,
						    .queue_spans = 2048,
						    .send = take_request,
						    .userdata = &c};

	(void)state;
	while (faults_next(&faults)) {
		struct ebb_span_sender *sender = NULL;
		struct ebb_span_sender_status status;
		uint64_t now = 1000 * S;
		size_t sent = 0;
		int r;

		memset(&c, 0, sizeof(c));
		c.mark = "{\"n\":";
		faults_on(&faults);
		r = ebb_span_sender_new(&setup, &sender);
		if (r < 0) {
			faults_off(&faults);
			assert_int_equal(r, -ENOMEM);
			assert_null(sender);
			continue;
		}
		for (size_t i = 0; i < SPANS; i++)
			ebb_span_sender_put(sender, "{\"n\":1}", 7, now);
		for (int turn = 0; turn < 40; turn++, now += S) {
			uint64_t due = ebb_span_sender_run(sender, false, now);

			if (c.requests > sent)
				ebb_span_sender_answer(sender, &taken, 0, now);
			else
				assert_true(due > now);
			sent = c.requests;
			if (turn == 20)
				faults_off(&faults);
		}
		ebb_span_sender_status(sender, &status);
		assert_int_equal(status.waiting, 0);
		assert_int_equal(c.items, status.spans[EBB_SPAN_SENT]);
		assert_int_equal(c.items + status.spans[EBB_SPAN_DROPPED], SPANS);
		assert_true(faults.hit > 0 || c.items == SPANS);
		ebb_span_sender_free(sender);
	}
	assert_true(faults.places > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_without_memory_are_whole_bodies_or_none),
		cmocka_unit_test(spans_without_memory_wait_or_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

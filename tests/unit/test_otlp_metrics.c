/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/export/otlp_metrics.c: the table of metrics as OTLP. That it is strictly OTLP and says what /metrics says, sample
 * for sample, is asked of the golden by tests/lib/test_otlp.py; EBB_UPDATE=1 writes it anew.
 */
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
#include <jansson.h>

#include "export/items.h"
#include "export/otlp_metrics.h"
#include "lib/cleanup.h"
#include "tests/lib/small_node.h"

#define GOLDEN "tests/unit/golden/otlp_metrics.json"
#define HEAD \
	"{\"resourceMetrics\":[{\"resource\":{},\"scopeMetrics\":[{\"scope\":{\"name\":\"ebb\"},\"metrics\":["
#define OFFSET (FAKE_REALTIME_NS - (int64_t)FAKE_NOW_NS)
#define PLENTY 1000000

static struct ebb_otlp_metrics *writer_new(const struct fake *fake)
{
	const struct ebb_otlp_metrics_setup setup = {
		.source = &fake->source,
		.head = HEAD,
		.head_size = strlen(HEAD),
		.realtime_minus_mono = OFFSET,
	};
	struct ebb_otlp_metrics *w = NULL;

	assert_int_equal(ebb_otlp_metrics_new(&setup, &w), 0);
	return w;
}

/* The rest of the present body, asked for in pieces of @chunk bytes with @work for each. To be freed. */
static char *read_body(struct ebb_otlp_metrics *w, size_t chunk, size_t work)
{
	_cleanup_free_ char *piece = fake_zeroed(chunk, 1);
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	ssize_t n;

	assert_non_null(out);
	do {
		ebb_otlp_metrics_allow(w, work);
		n = ebb_otlp_metrics_next(w, piece, chunk);
		assert_true(n <= (ssize_t)chunk);
		if (n > 0)
			(void)fwrite(piece, 1, (size_t)n, out);
	} while (n > 0 || n == -EAGAIN);
	assert_int_equal(n, 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static char *only_body(const struct fake *fake, size_t chunk, size_t work)
{
	struct ebb_otlp_metrics *w = writer_new(fake);
	char *text;
	int r;

	do {
		ebb_otlp_metrics_allow(w, work);
		r = ebb_otlp_metrics_begin(w);
	} while (r == -EAGAIN);
	assert_int_equal(r, 1);
	text = read_body(w, chunk, work);
	ebb_otlp_metrics_allow(w, PLENTY);
	assert_int_equal(ebb_otlp_metrics_begin(w), 0);
	ebb_otlp_metrics_free(w);
	return text;
}

/* ------------------------------------------------------------------ golden -- */

/* Puts 1 for what stands behind @before, up to one of @ends. */
static void put_one(char *text, const char *before, const char *ends)
{
	char *from = strstr(text, before);

	if (!from)
		return;
	from += strlen(before);
	*from = '1';
	memmove(from + 1, from + strcspn(from, ends), strlen(from + strcspn(from, ends)) + 1);
}

/* What differs from run to run becomes 1: numbers of this process, the compiler. A line for each metric. */
static char *normalized(const char *text)
{
	static const char next[] = "{\"name\":\"";
	char *out = NULL;
	size_t length = 0;
	FILE *f = open_memstream(&out, &length);

	assert_non_null(f);
	while (*text) {
		const char *end = strstr(text + 1, next);
		size_t size = end ? (size_t)(end - text) : strlen(text);
		_cleanup_free_ char *metric = strndup(text, size);

		assert_non_null(metric);
		if (strstr(metric, "\"process_") && !strstr(metric, "\"process_start")) {
			put_one(metric, "\"asInt\":\"", "\"");
			put_one(metric, "\"asDouble\":", "}");
		}
		put_one(metric, "\"compiler\",\"value\":{\"stringValue\":\"", "\"");
		if (strstr(metric, "\"ebb_memory_bytes\""))
			put_one(metric, "\"asInt\":\"", "\"");
		(void)fprintf(f, "%s\n", metric);
		text += size;
	}
	assert_int_equal(fclose(f), 0);
	return out;
}

/* Everything that there is, with an exemplar. */
static struct fake *full_node(void)
{
	static struct ebb_exemplar connects[8];
	struct fake *fake = small_node();

	connects[1] = (struct ebb_exemplar){.trace_id = {1, 2, 3},
					    .span_id = {4, 5},
					    .value_ns = 900000,
					    .realtime_ns = FAKE_REALTIME_NS - 5000000000LL};
	fake->source.traces.connects = connects;
	fake->view.agent->started_ns = 10 * 1000000000ULL;
	for (uint32_t slot = 1; slot < 4; slot++) {
		fake->view.dsts[slot].created_ns = slot * 100 * 1000000000ULL;
		fake->view.pairs[slot].created_ns = slot * 100 * 1000000000ULL + 1;
	}
	return fake;
}

static void it_is_as_written_down(void **state)
{
	struct fake *fake = full_node();
	_cleanup_free_ char *raw = only_body(fake, 4096, PLENTY), *text = normalized(raw), *expected = NULL;
	_cleanup_fclose_ FILE *file = fopen(GOLDEN, getenv("EBB_UPDATE") ? "w+e" : "re");
	size_t size = 0;

	(void)state;
	if (!file)
		fail_msg("cannot open %s: run from the root of the source", GOLDEN);
	if (getenv("EBB_UPDATE")) {
		assert_true(fputs(text, file) >= 0);
		rewind(file);
	}
	assert_true(getdelim(&expected, &size, '\0', file) > 0);
	if (strcmp(text, expected) != 0)
		fail_msg("%s differs; EBB_UPDATE=1 writes it anew. What we have:\n%s", GOLDEN, text);
	fake_free(fake);
}

static void how_it_is_asked_for_changes_nothing(void **state)
{
	struct fake *fake = full_node();
	_cleanup_free_ char *raw = only_body(fake, 65536, PLENTY), *whole = normalized(raw);

	(void)state;
	for (size_t chunk = 1; chunk < 3000; chunk = chunk * 3 + 1) {
		_cleanup_free_ char *piecemeal = only_body(fake, chunk, chunk % 2 ? 1 : 7);
		_cleanup_free_ char *text = normalized(piecemeal);

		assert_string_equal(text, whole);
	}
	fake_free(fake);
}

static void no_more_is_done_than_is_allowed(void **state)
{
	struct fake *fake = full_node();
	struct ebb_otlp_metrics *w = writer_new(fake);
	size_t slots = 0;
	char byte[1 << 16];
	int r;

	(void)state;
	assert_int_equal(ebb_otlp_metrics_begin(w), -EAGAIN);
	/* to settle what is shown is work, too */
	while (slots < (size_t)fake->view.kernel->dst_high + fake->view.kernel->pair_high) {
		ebb_otlp_metrics_allow(w, 4);
		assert_int_equal(ebb_otlp_metrics_begin(w), -EAGAIN);
		slots += 4;
	}
	do {
		ebb_otlp_metrics_allow(w, 4);
		r = ebb_otlp_metrics_begin(w);
	} while (r == -EAGAIN);
	assert_int_equal(r, 1);
	assert_true(ebb_otlp_metrics_next(w, byte, sizeof(byte)) > 0);
	assert_in_range(ebb_otlp_metrics_points(w), 1, 4);
	assert_int_equal(ebb_otlp_metrics_next(w, byte, sizeof(byte)), -EAGAIN);
	ebb_otlp_metrics_free(w);
	fake_free(fake);
}

/* ------------------------------------------------------------------ bodies -- */

static struct fake *large_node(uint32_t dsts)
{
	struct fake *fake = fake_new(dsts + 1, dsts + 1);
	char address[64];

	for (uint32_t slot = 1; slot <= dsts; slot++) {
		(void)snprintf(address, sizeof(address), "10.1.%u.%u", slot / 256, slot % 256);
		(void)fake_dst(fake, slot, address, 443);
		(void)fake_pair(fake, slot, slot, 3);
	}
	return fake;
}

static size_t points_of(const json_t *root, const char *name)
{
	const json_t *metrics =
		json_object_get(json_array_get(json_object_get(json_array_get(json_object_get(root,
											      "resourceMetrics"),
									      0),
							       "scopeMetrics"),
					       0),
				"metrics");
	size_t count = 0, i, metric_count = json_array_size(metrics);

	assert_true(metric_count > 0);
	for (i = 0; i < metric_count; i++) {
		const json_t *metric = json_array_get(metrics, i);
		const char *key;
		json_t *data;

		if (strcmp(json_string_value(json_object_get(metric, "name")), name) != 0)
			continue;
		json_object_foreach (json_object_get(metric, "sum") ? json_object_get(metric, "sum")
								    : json_object_get(metric, "gauge"),
				     key, data)
			if (strcmp(key, "dataPoints") == 0)
				count += json_array_size(data);
	}
	return count;
}

static void a_large_node_goes_in_bodies_of_a_bounded_size(void **state)
{
	struct fake *fake = large_node(600);
	struct ebb_otlp_metrics *w = writer_new(fake);
	size_t bodies = 0, connects = 0, points = 0;

	(void)state;
	ebb_otlp_metrics_allow(w, 10 * PLENTY);
	while (ebb_otlp_metrics_begin(w) == 1) {
		_cleanup_free_ char *body = read_body(w, 65536, 10 * PLENTY);
		json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);

		bodies++;
		assert_in_range(strlen(body), 1, EBB_OTLP_METRICS_BYTES + 20000);
		assert_in_range(ebb_otlp_metrics_points(w), 1, EBB_OTLP_METRICS_POINTS);
		assert_non_null(root);
		connects += points_of(root, "ebb_connects_total");
		points += ebb_otlp_metrics_points(w);
		json_decref(root);
	}
	assert_in_range(bodies, 4, 100);
	/* of each pair, that of ~other too, each outcome once: none is lost between two bodies */
	assert_int_equal(connects, 601 * 8);
	assert_true(points > 601 * 30);
	ebb_otlp_metrics_free(w);
	fake_free(fake);
}

static void names_from_outside_stay_within_their_text(void **state)
{
	struct fake *fake = small_node();
	_cleanup_free_ char *body = NULL;
	json_t *root;

	(void)state;
	fake->names[3] = "/a\"},{\\\n\x01\xff\xe2\x80\xae";
	body = only_body(fake, 4096, PLENTY);
	root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_non_null(strstr(body,
			       "\"stringValue\":\"/a\\\"},{\\\\\\\\x0a\\\\x01\\\\xff\\\\xe2\\\\x80\\\\xae\""));
	json_decref(root);
	fake_free(fake);
}

static void a_series_ends_with_its_slot(void **state)
{
	struct fake *fake = full_node();
	struct ebb_otlp_metrics *w = writer_new(fake);
	_cleanup_free_ char *body = NULL;

	(void)state;
	ebb_otlp_metrics_allow(w, PLENTY);
	assert_int_equal(ebb_otlp_metrics_begin(w), 1);
	fake->view.dsts[1].epoch++; /* between two slices somebody else gets the slot */
	body = read_body(w, 4096, PLENTY);
	assert_null(strstr(body, "10.0.0.5:443/tcp"));
	ebb_otlp_metrics_free(w);
	fake_free(fake);
}

/* metrics.labels: pairs with the same labels are one point, which counts from when the group began. */
static void what_labels_do_not_tell_apart_is_one_point(void **state)
{
	static const char point[] =
		"{\"attributes\":[{\"key\":\"destination\",\"value\":{\"stringValue\":\"10.0.0.5:443/tcp\"}}],"
		"\"startTimeUnixNano\":\"1700000000000000000\",\"timeUnixNano\":\"1700000000000000000\",\"asInt\":\"31\"}";
	struct fake *fake = full_node();
	_cleanup_free_ char *body = NULL, *again = NULL;

	(void)state;
	assert_int_equal(ebb_items_keep(&fake->source, 1U << EBB_KEPT_DESTINATION), 0);
	fake->view.pairs[1].received_bytes += 11;
	fake_pair(fake, 4, 1, 4)->received_bytes = 20;
	body = only_body(fake, 4096, PLENTY);
	if (!strstr(body, point))
		fail_msg("not there: %s in %s", point, body);
	assert_null(strstr(body, "\"workload\""));
	again = only_body(fake, 512, 1);
	assert_non_null(strstr(again, point));
	ebb_groups_drop(fake->source.groups);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_as_written_down),
		cmocka_unit_test(how_it_is_asked_for_changes_nothing),
		cmocka_unit_test(no_more_is_done_than_is_allowed),
		cmocka_unit_test(a_large_node_goes_in_bodies_of_a_bounded_size),
		cmocka_unit_test(names_from_outside_stay_within_their_text),
		cmocka_unit_test(a_series_ends_with_its_slot),
		cmocka_unit_test(what_labels_do_not_tell_apart_is_one_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the maps, as another version or somebody else with the right to write there may have left it: an agent that takes it
 * up ticks and shows all of it, and a command lists it, within their memory and with text that is valid. The input patches the maps
 * of a small node:
 *
 *	[map 1][offset 2][length 1][bytes ...] [map 1][offset 2] ...
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/moves.h"
#include "agent/tick.h"
#include "core/policy.h"
#include "export/metrics.h"
#include "lib/text.h"
#include "tell/render.h"
#include "tell/snapshot.h"
#include "tests/lib/require.h"
#include "tests/lib/small_node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct area {
	void *memory;
	size_t size;
};

static void patch(const struct ebb_view *view, const uint8_t *data, size_t size)
{
	const struct area areas[] = {
		{view->agent, sizeof(*view->agent)},
		{view->kernel, sizeof(*view->kernel)},
		{view->dsts, view->dst_max * sizeof(*view->dsts)},
		{view->pairs, view->pair_max * sizeof(*view->pairs)},
		{view->gates, view->gate_max * sizeof(*view->gates)},
		{view->verdicts, view->gate_max * sizeof(*view->verdicts)},
		{view->policies, view->dst_max * sizeof(*view->policies)},
		{view->memories, view->gate_max * sizeof(*view->memories)},
		{view->names, view->dst_max * sizeof(*view->names)},
		{view->deeds, EBB_DEEDS * sizeof(*view->deeds)},
	};

	while (size > 4) {
		const struct area *area = &areas[data[0] % (sizeof(areas) / sizeof(areas[0]))];
		size_t offset = (size_t)(data[1] | data[2] << 8) % area->size, length = data[3];

		data += 4;
		size -= 4;
		if (length > size)
			length = size;
		if (length > area->size - offset)
			length = area->size - offset;
		memcpy((char *)area->memory + offset, data, length);
		data += length;
		size -= length;
	}
}

static void check_utf8(const char *text, size_t length)
{
	const char *end = text + length;
	uint32_t c;

	while (text < end) {
		size_t n = ebb_text_decode((const unsigned char *)text, &c);

		REQUIRE(n > 0);
		text += n;
	}
}

static void expose(const struct ebb_source *source, enum ebb_metrics_format format)
{
	struct ebb_metrics_writer *writer = NULL;
	char buffer[4096 + 1], *text = NULL;
	size_t used = 0;
	ssize_t n;

	REQUIRE(ebb_metrics_writer_new(source, format, &writer) == 0);
	while ((n = ebb_metrics_writer_next(writer, buffer, sizeof(buffer) - 1)) > 0 || n == -EAGAIN) {
		if (n < 0)
			continue;
		text = realloc(text, used + (size_t)n + 1);
		REQUIRE(text);
		memcpy(text + used, buffer, (size_t)n);
		used += (size_t)n;
		text[used] = '\0';
	}
	REQUIRE(n == 0 && used > 0 && strlen(text) == used);
	check_utf8(text, used);
	ebb_metrics_writer_free(writer);
	free(text);
}

static void check_json(json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	REQUIRE(text);
	free(text);
	json_decref(json);
}

static void list(const struct ebb_source *source)
{
	const struct ebb_look look = {
		.view = source->view,
		.names = source->workloads,
		.now_ns = source->now_ns(),
		.realtime_ns = source->realtime_ns(),
	};
	struct ebb_snapshot snapshot = {};

	REQUIRE(ebb_snapshot_take(&look, &snapshot) == 0);
	for (size_t i = 0; i < snapshot.count; i++) {
		size_t length = strnlen(snapshot.rows[i].name, EBB_DST_NAME_MAX);

		REQUIRE(length < EBB_DST_NAME_MAX);
		check_utf8(snapshot.rows[i].name, length);
		check_json(ebb_show_json(&look, &snapshot.rows[i], 1));
	}
	check_json(ebb_list_json(&look, &snapshot));
	check_json(ebb_status_json(&look, &snapshot));
	ebb_snapshot_free(&snapshot);
}

static void run(const struct ebb_source *source)
{
	struct ebb_breaker_config config;
	struct ebb_moves moves = {};
	struct ebb_ticker *ticker = NULL;
	struct ebb_tick_result result;

	ebb_policy_defaults(&config);
	REQUIRE(ebb_ticker_new(source->view, &config, 42, true, &moves, &ticker) == 0);
	for (uint64_t now = FAKE_NOW_NS; now < FAKE_NOW_NS + 12 * 1000000000ULL; now += 3 * 1000000000ULL)
		ebb_tick(ticker, now, &result);
	ebb_ticker_free(ticker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake *fake = small_node();

	patch(&fake->view, data, size);
	list(&fake->source);
	expose(&fake->source, size % 2 ? EBB_METRICS_TEXT : EBB_METRICS_OPENMETRICS);
	run(&fake->source);
	fake_free(fake);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/http_stats.h"

#include <stddef.h>

/* The codes that are answered here; the last stands for any other. */
static const struct code {
	unsigned int status;
	const char *name;
} codes[EBB_HTTP_CODES] = {
	{200, "200"}, {400, "400"}, {404, "404"}, {405, "405"}, {503, "503"}, {0, "other"},
};

const char *ebb_http_handler_name(uint32_t handler)
{
	static const char *const names[EBB_HTTP_HANDLER_MAX] = {
		[EBB_HTTP_METRICS] = "metrics", [EBB_HTTP_HEALTH] = "health", [EBB_HTTP_API] = "api",
		[EBB_HTTP_EVENTS] = "events",	[EBB_HTTP_PAGE] = "page",     [EBB_HTTP_OTHER] = "other",
	};

	return names[handler];
}

const char *ebb_http_code_name(uint32_t code)
{
	return codes[code].name;
}

const char *ebb_http_dropped_name(uint32_t why)
{
	static const char *const names[EBB_HTTP_DROPPED_MAX] = {
		[EBB_HTTP_STALLED] = "stalled",
		[EBB_HTTP_OVERTAKEN] = "overtaken",
		[EBB_HTTP_CROWDED] = "crowded_out",
	};

	return names[why];
}

void ebb_http_count_answer(struct ebb_http_stats *stats, const struct ebb_exchange *exchange)
{
	size_t code = 0;

	while (code < EBB_HTTP_CODES - 1 && codes[code].status != exchange->status)
		code++;
	stats->requests[exchange->handler][code]++;
}

void ebb_http_count_end(struct ebb_http_stats *stats, const struct ebb_exchange *exchange, uint64_t now_ns)
{
	struct ebb_hist *hist = &stats->duration[exchange->handler];
	uint64_t units = (now_ns - exchange->start_ns) / EBB_HIST_UNIT_NS;

	if (!exchange->status || exchange->handler == EBB_HTTP_EVENTS)
		return;
	hist->buckets[ebb_hist_bucket(units)]++;
	hist->sum_units += units;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/row.h"

#include <stdio.h>
#include <string.h>

#include "core/limit.h"
#include "core/policy.h"
#include "export/json.h"
#include "tell/render.h"
#include "tell/turns.h"

#define FACTS_MAX 256

const char *ebb_row_key(uint32_t gate, uint32_t epoch, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%u.%u", gate, epoch);
	return buffer;
}

static void put_text(struct ebb_line *line, const char *name, const char *text)
{
	ebb_json_put_name(line, name);
	if (text)
		ebb_json_put_string(line, text);
	else
		ebb_line_put(line, "null");
}

static void put_count(struct ebb_line *line, const char *name, uint64_t count)
{
	ebb_json_put_name(line, name);
	ebb_line_put_number(line, count);
}

static void put_flag(struct ebb_line *line, const char *name, bool flag)
{
	ebb_json_put_name(line, name);
	ebb_json_put_bool(line, flag);
}

static void put_time(struct ebb_line *line, const char *name, const struct ebb_look *look, uint64_t at_ns)
{
	ebb_json_put_name(line, name);
	if (at_ns)
		ebb_json_put_time(line, ebb_look_realtime(look, at_ns));
	else
		ebb_line_put(line, "null");
}

static void put_quantiles(struct ebb_line *line, const char *name, const struct ebb_times *times)
{
	ebb_json_put_name(line, name);
	if (times->count == 0) {
		ebb_line_put(line, "null");
		return;
	}
	ebb_line_put(line, "{\"p50\":");
	ebb_json_put_seconds(line, times->p50);
	ebb_line_put(line, ",\"p95\":");
	ebb_json_put_seconds(line, times->p95);
	ebb_line_put(line, ",\"p99\":");
	ebb_json_put_seconds(line, times->p99);
	ebb_line_put(line, "}");
}

static void put_rates(struct ebb_line *line, const struct ebb_rates *rates)
{
	ebb_json_put_name(line, "rates");
	if (!rates->known) {
		ebb_line_put(line, "null,\"latency\":null");
		return;
	}
	ebb_line_put(line, "{");
	for (int i = 0; i < EBB_RATE_MAX; i++) {
		ebb_json_put_name(line, ebb_rate_name((enum ebb_rate)i));
		ebb_json_put_rate(line, (double)rates->rates[i]);
	}
	ebb_line_put(line, "},\"latency\":");
	if (rates->latency < 0)
		ebb_line_put(line, "null");
	else
		ebb_json_put_seconds(line, (uint64_t)((double)rates->latency * 1e9));
}

static void put_limits(struct ebb_line *line, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	struct ebb_limits limits;

	ebb_gate_limits(look, row, &limits);
	ebb_json_put_name(line, "limits");
	ebb_line_put(line, "{");
	if (limits.concurrent) {
		ebb_json_put_name(line, "concurrent");
		ebb_line_put(line, "{");
		put_count(line, "limit", limits.concurrent);
		put_count(line, "in_use", row->kernel.in_use);
		put_flag(line, "by_hand", limits.given & EBB_GIVEN_CONCURRENT);
		ebb_line_put(line, "}");
	}
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit *limit = &limits.bucket[kind];

		if (!limit->per_hour)
			continue;
		ebb_json_put_name(line, ebb_limit_kind_info(kind)->name);
		ebb_line_put(line, "{");
		ebb_json_put_name(line, "rate");
		ebb_json_put_rate(line, ebb_limit_rate(limit));
		put_count(line, "burst", limit->burst);
		ebb_json_put_name(line, "available");
		ebb_json_put_rate(line, ebb_limit_available(limit, row->kernel.full_ns[kind], look->now_ns));
		put_flag(line, "by_hand", limits.given & (1U << kind));
		ebb_line_put(line, "}");
	}
	ebb_line_put(line, "}");
}

/* The facts of the newest transition, if it began the state in force. */
static void put_why(struct ebb_line *line, const struct ebb_gate_row *row)
{
	size_t kept = ebb_memory_kept(&row->memory);
	char facts[FACTS_MAX];

	put_text(line, "why",
		 row->since == EBB_SINCE_TRANSITION && kept > 0
			 ? ebb_transition_facts(ebb_memory_at(&row->memory, kept - 1), facts, sizeof(facts))
			 : NULL);
}

void ebb_row_put(struct ebb_line *line, const struct ebb_look *look, const struct ebb_gate_row *row,
		 const struct ebb_rates *rates)
{
	char key[EBB_ROW_KEY_MAX];

	ebb_line_put(line, "{");
	put_text(line, "key", ebb_row_key(row->gate, rates->epoch, key, sizeof(key)));
	put_text(line, "destination", row->name);
	put_text(line, "workload", row->workload);
	put_text(line, "mode", ebb_mode_name(row->mode));
	put_flag(line, "mode_by_hand", row->mode_from != EBB_MODE_CONFIGURED);
	put_text(line, "state", ebb_gate_state_name(row));
	put_flag(line, "refuses", ebb_gate_refuses(row));
	put_time(line, "since", look, row->since_ns);
	put_time(line, "until", look, row->until_ns);
	put_why(line, row);
	put_count(line, "apart", row->aside);
	put_count(line, "active", row->sums.active);
	put_count(line, "connects", row->sums.attempts);
	put_count(line, "failures", row->sums.failures);
	put_count(line, "denied", row->sums.denied);
	put_count(line, "would_deny", row->sums.would_deny);
	put_count(line, "turns", ebb_turns_count(&row->sums.turns));
	ebb_json_put_name(line, "window");
	ebb_line_put(line, "{");
	put_count(line, "ok", row->memory.window_ok);
	put_count(line, "failed", row->memory.window_failed);
	put_count(line, "slow", row->memory.window_slow);
	ebb_line_put(line, "}");
	put_rates(line, rates);
	put_quantiles(line, "connect", &row->connect);
	put_quantiles(line, "turn", &row->turn);
	put_limits(line, look, row);
	ebb_line_put(line, "}");
}

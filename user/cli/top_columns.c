/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of 'ebb top': what each says, by what it sorts, what a narrow terminal leaves out. */
#include <netinet/in.h>
#include <string.h>

#include "cli/complete.h"
#include "cli/render.h"
#include "cli/top_state.h"
#include "tell/turns.h"
#include "core/policy.h"
#include "lib/units.h"

/* ---------------------------------------------------------------- cells -- */

/* "0", "0.25", "12.3", "1.23k": a rate below a thousand has three digits. */
static void rate_cell(const struct ebb_top_data *data, double rate, char *buffer, size_t size)
{
	if (data->interval_ns == 0)
		(void)snprintf(buffer, size, "-");
	else if (rate <= 0)
		(void)snprintf(buffer, size, "0");
	else if (rate < 9.995)
		(void)snprintf(buffer, size, "%.2f", rate);
	else if (rate < 99.95)
		(void)snprintf(buffer, size, "%.1f", rate);
	else
		(void)ebb_format_count((uint64_t)(rate + 0.5), buffer, size);
}

static void bytes_cell(const struct ebb_top_data *data, double rate, char *buffer, size_t size)
{
	if (data->interval_ns == 0)
		(void)snprintf(buffer, size, "-");
	else if (rate < 0.5)
		(void)snprintf(buffer, size, "0");
	else
		(void)ebb_format_bytes((uint64_t)(rate + 0.5), buffer, size);
}

static void name_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		      size_t size)
{
	(void)data;
	(void)snprintf(buffer, size, "%s", row->gate->name);
}

static void workload_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	(void)data;
	(void)snprintf(buffer, size, "%s", row->workload ? row->workload : "-");
}

static void mode_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		      size_t size)
{
	(void)data;
	(void)snprintf(buffer, size, "%s%s", ebb_mode_name(row->gate->mode), row->gate->mode_from ? "*" : "");
}

static void state_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		       size_t size)
{
	(void)data;
	(void)snprintf(buffer, size, "%s", ebb_gate_state_name(row->gate));
}

static void left_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		      size_t size)
{
	uint64_t left = ebb_top_time_left(row->gate, data->look.now_ns);

	if (left)
		(void)ebb_format_duration(left, buffer, size);
	else
		(void)snprintf(buffer, size, "-");
}

static void active_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			size_t size)
{
	(void)data;
	(void)ebb_format_count(row->sums.active, buffer, size);
}

static void connects_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	rate_cell(data, row->rates.connects, buffer, size);
}

static void failures_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	rate_cell(data, row->rates.failures, buffer, size);
}

static void denied_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			size_t size)
{
	rate_cell(data, row->rates.denied, buffer, size);
}

static void would_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		       size_t size)
{
	rate_cell(data, row->rates.would_deny, buffer, size);
}

static void sent_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		      size_t size)
{
	bytes_cell(data, row->rates.sent, buffer, size);
}

static bool is_udp(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	return data->look.view->dsts[row->gate->dst].endpoint.proto == IPPROTO_UDP;
}

static void received_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	if (is_udp(data, row) && row->rates.received <= 0) /* nobody counts what it receives */
		(void)snprintf(buffer, size, "-");
	else
		bytes_cell(data, row->rates.received, buffer, size);
}

static void dropped_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			 size_t size)
{
	rate_cell(data, row->rates.dropped + row->rates.would_drop, buffer, size);
}

static void time_cell(const struct ebb_top_data *data, const struct ebb_times *times, uint64_t ns,
		      char *buffer, size_t size)
{
	if (data->interval_ns == 0 || times->count == 0)
		(void)snprintf(buffer, size, "-");
	else
		(void)ebb_format_duration(ns, buffer, size);
}

static void p50_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		     size_t size)
{
	time_cell(data, &row->connect, row->connect.p50, buffer, size);
}

static void p95_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		     size_t size)
{
	time_cell(data, &row->connect, row->connect.p95, buffer, size);
}

static void p99_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		     size_t size)
{
	time_cell(data, &row->connect, row->connect.p99, buffer, size);
}

static void mean_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		      size_t size)
{
	time_cell(data, &row->connect, row->connect.mean, buffer, size);
}

static void turns_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
		       size_t size)
{
	rate_cell(data, row->rates.turns, buffer, size);
}

static void turn_p50_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	time_cell(data, &row->turn, row->turn.p50, buffer, size);
}

static void turn_p95_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	time_cell(data, &row->turn, row->turn.p95, buffer, size);
}

static void turn_p99_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			  size_t size)
{
	time_cell(data, &row->turn, row->turn.p99, buffer, size);
}

static void limits_cell(const struct ebb_top_data *data, const struct ebb_top_row *row, char *buffer,
			size_t size)
{
	(void)ebb_limits_cell(&data->look, row->gate, buffer, size);
}

/* --------------------------------------------------------------- values -- */

/* What stands in the way first. */
static double state_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	static const double weight[EBB_STATE_MAX] =
		{[EBB_STATE_CLOSED] = 0, [EBB_STATE_HALF_OPEN] = 1, [EBB_STATE_OPEN] = 2};

	(void)data;
	if (row->gate->override != EBB_OVERRIDE_AUTO)
		return row->gate->override == EBB_OVERRIDE_OPEN ? 4 : 3;
	return row->gate->state < EBB_STATE_MAX ? weight[row->gate->state] : 0;
}

static double left_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	return (double)ebb_top_time_left(row->gate, data->look.now_ns);
}

static double active_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->sums.active;
}

static double connects_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.connects;
}

static double failures_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.failures;
}

static double denied_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.denied;
}

static double would_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.would_deny;
}

static double sent_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.sent;
}

static double received_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.received;
}

static double dropped_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.dropped + row->rates.would_drop;
}

static double p50_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->connect.p50;
}

static double p95_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->connect.p95;
}

static double p99_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->connect.p99;
}

static double mean_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->connect.mean;
}

static double turns_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return row->rates.turns;
}

static double turn_p50_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->turn.p50;
}

static double turn_p95_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->turn.p95;
}

static double turn_p99_value(const struct ebb_top_data *data, const struct ebb_top_row *row)
{
	(void)data;
	return (double)row->turn.p99;
}

/* --------------------------------------------------------------- styles -- */

static enum ebb_top_style state_style(const struct ebb_top_row *row)
{
	if (row->gate->override == EBB_OVERRIDE_CLOSE)
		return EBB_TOP_WARN;
	if (row->gate->override == EBB_OVERRIDE_OPEN || row->gate->state == EBB_STATE_OPEN)
		return EBB_TOP_BAD;
	return row->gate->state == EBB_STATE_CLOSED ? EBB_TOP_GOOD : EBB_TOP_WARN;
}

static enum ebb_top_style failures_style(const struct ebb_top_row *row)
{
	return row->rates.failures > 0 ? EBB_TOP_WARN : EBB_TOP_DIM;
}

static enum ebb_top_style denied_style(const struct ebb_top_row *row)
{
	return row->rates.denied > 0 ? EBB_TOP_BAD : EBB_TOP_DIM;
}

static enum ebb_top_style would_style(const struct ebb_top_row *row)
{
	return row->rates.would_deny > 0 ? EBB_TOP_WARN : EBB_TOP_DIM;
}

static enum ebb_top_style dropped_style(const struct ebb_top_row *row)
{
	return row->rates.dropped + row->rates.would_drop > 0 ? EBB_TOP_WARN : EBB_TOP_DIM;
}

static enum ebb_top_style connects_style(const struct ebb_top_row *row)
{
	return row->rates.connects > 0 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style sent_style(const struct ebb_top_row *row)
{
	return row->rates.sent >= 0.5 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style received_style(const struct ebb_top_row *row)
{
	return row->rates.received >= 0.5 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style active_style(const struct ebb_top_row *row)
{
	return row->sums.active > 0 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style times_style(const struct ebb_top_row *row)
{
	return row->connect.count > 0 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style turns_style(const struct ebb_top_row *row)
{
	return row->turn.count > 0 ? EBB_TOP_PLAIN : EBB_TOP_DIM;
}

static enum ebb_top_style dim_style(const struct ebb_top_row *row)
{
	(void)row;
	return EBB_TOP_DIM;
}

static enum ebb_top_style bright_style(const struct ebb_top_row *row)
{
	(void)row;
	return EBB_TOP_BRIGHT;
}

/* ------------------------------------------- what an optional one waits for -- */

/* By what was ever counted, not by the rates: a column that comes and goes makes the eye lose its place. */
static bool says_workload(const struct ebb_top_row *row)
{
	return row->workload != NULL;
}

static bool says_would(const struct ebb_top_row *row)
{
	return row->sums.would_deny > 0;
}

static bool says_dropped(const struct ebb_top_row *row)
{
	const struct ebb_traffic *t = &row->sums.traffic;
	uint64_t sum = 0;

	for (int d = 0; d < EBB_DROP_MAX; d++)
		sum += t->dropped_packets[d] + t->would_drop_packets[d];
	return sum > 0;
}

static bool says_turns(const struct ebb_top_row *row)
{
	return ebb_turns_count(&row->sums.turns) > 0;
}

static bool says_limits(const struct ebb_top_row *row)
{
	const struct ebb_policy *policy = &row->gate->policy;
	bool limited = policy->limits.concurrent != 0 || policy->by_hand.given != 0;

	for (int kind = 0; kind < EBB_LIMIT_MAX; kind++)
		limited = limited || policy->limits.bucket[kind].per_hour != 0;
	return limited;
}

/* -------------------------------------------------------------- columns -- */

#define D     (1U << EBB_TOP_DESTINATIONS)
#define W     (1U << EBB_TOP_WORKLOADS)
#define LEFT  EBB_ALIGN_LEFT
#define RIGHT EBB_ALIGN_RIGHT

/* clang-format off */
const struct ebb_top_column ebb_top_columns[EBB_TOP_COLUMNS] = {
	/* key        heading         align  optional rank   width pages  */
	{"name",     {"DESTINATION", LEFT,  false,  0},  0, D | W, name_cell,     NULL,           bright_style,   NULL},
	{"workload", {"WORKLOAD",    LEFT,  true,   0},  0, D | W, workload_cell, NULL,           NULL,           says_workload},
	{"mode",     {"MODE",        LEFT,  false, 13},  7, D,     mode_cell,     NULL,           dim_style,      NULL},
	{"state",    {"STATE",       LEFT,  false,  0},  9, D | W, state_cell,    state_value,    state_style,    NULL},
	{"left",     {"LEFT",        RIGHT, false,  7},  6, D | W, left_cell,     left_value,     NULL,           NULL},
	{"active",   {"ACTIVE",      RIGHT, false,  5},  6, D | W, active_cell,   active_value,   active_style,   NULL},
	{"connects", {"CONN/s",      RIGHT, false,  1},  6, D | W, connects_cell, connects_value, connects_style, NULL},
	{"failed",   {"FAIL/s",      RIGHT, false,  0},  6, D | W, failures_cell, failures_value, failures_style, NULL},
	{"denied",   {"DENY/s",      RIGHT, false,  0},  6, D | W, denied_cell,   denied_value,   denied_style,   NULL},
	{"would",    {"WOULD/s",     RIGHT, true,   2},  7, D | W, would_cell,    would_value,    would_style,    says_would},
	{"turns",    {"TURN/s",      RIGHT, true,   4},  6, D | W, turns_cell,    turns_value,    turns_style,    says_turns},
	{"turn_p50", {"TURN P50",    RIGHT, true,   8},  8, D | W, turn_p50_cell, turn_p50_value, turns_style,    says_turns},
	{"turn_p95", {"TURN P95",    RIGHT, true,  15},  8, D | W, turn_p95_cell, turn_p95_value, turns_style,    says_turns},
	{"turn_p99", {"TURN P99",    RIGHT, true,   3},  8, D | W, turn_p99_cell, turn_p99_value, turns_style,    says_turns},
	{"out",      {"OUT/s",       RIGHT, false,  9},  6, D | W, sent_cell,     sent_value,     sent_style,     NULL},
	{"in",       {"IN/s",        RIGHT, false, 10},  6, D | W, received_cell, received_value, received_style, NULL},
	{"dropped",  {"DROP/s",      RIGHT, true,   6},  6, D | W, dropped_cell,  dropped_value,  dropped_style,  says_dropped},
	{"p50",      {"P50",         RIGHT, false, 12},  6, D,     p50_cell,      p50_value,      times_style,    NULL},
	{"p95",      {"P95",         RIGHT, false, 14},  6, D,     p95_cell,      p95_value,      times_style,    NULL},
	{"p99",      {"P99",         RIGHT, false, 11},  6, D,     p99_cell,      p99_value,      times_style,    NULL},
	{"mean",     {"MEAN",        RIGHT, false, 11},  6, W,     mean_cell,     mean_value,     times_style,    NULL},
	{"limits",   {"LIMITS",      LEFT,  true,  16},  0, D,     limits_cell,   NULL,           dim_style,      says_limits},
};
/* clang-format on */

const char *ebb_top_sort_key(size_t index)
{
	return index < EBB_TOP_COLUMNS ? ebb_top_columns[index].key : NULL;
}

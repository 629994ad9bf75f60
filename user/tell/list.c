/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb list': one row for each gate. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tell/fuse.h"
#include "tell/render.h"
#include "tell/traffic.h"
#include "tell/turns.h"
#include "core/fuse.h"
#include "core/policy.h"
#include "lib/table.h"
#include "lib/units.h"
#include "node/who.h"

/* ------------------------------------------------------------ sorting -- */

/* What stands in the way first: the greater, the higher. */
static double key_state(const struct ebb_gate_row *row)
{
	static const double weight[EBB_STATE_MAX] =
		{[EBB_STATE_CLOSED] = 0, [EBB_STATE_HALF_OPEN] = 1, [EBB_STATE_OPEN] = 2};

	if (row->override != EBB_OVERRIDE_AUTO)
		return 3;
	return row->state < EBB_STATE_MAX ? weight[row->state] : 0;
}

/* The latest change first. */
static double key_since(const struct ebb_gate_row *row)
{
	return (double)row->since_ns;
}

static double key_active(const struct ebb_gate_row *row)
{
	return (double)row->sums.active;
}

static double key_connects(const struct ebb_gate_row *row)
{
	return (double)row->sums.attempts;
}

static double key_failed(const struct ebb_gate_row *row)
{
	return (double)row->sums.failures;
}

static double key_denied(const struct ebb_gate_row *row)
{
	return (double)row->sums.denied + (double)row->sums.would_deny;
}

static double key_sent(const struct ebb_gate_row *row)
{
	return (double)row->sums.traffic.sent_bytes;
}

static double key_recv(const struct ebb_gate_row *row)
{
	return (double)row->sums.traffic.received_bytes;
}

static double key_dropped(const struct ebb_gate_row *row)
{
	return (double)ebb_traffic_dropped(&row->sums.traffic) +
	       (double)ebb_traffic_would_drop(&row->sums.traffic);
}

static double key_p50(const struct ebb_gate_row *row)
{
	return (double)row->connect.p50;
}

static double key_p95(const struct ebb_gate_row *row)
{
	return (double)row->connect.p95;
}

static double key_p99(const struct ebb_gate_row *row)
{
	return (double)row->connect.p99;
}

static double key_rtt(const struct ebb_gate_row *row)
{
	return (double)row->rtt.p50;
}

static double key_turns(const struct ebb_gate_row *row)
{
	return (double)ebb_turns_count(&row->sums.turns);
}

static double key_slow(const struct ebb_gate_row *row)
{
	return (double)row->sums.turns.slow;
}

static double key_turn_p50(const struct ebb_gate_row *row)
{
	return (double)row->turn.p50;
}

static double key_turn_p95(const struct ebb_gate_row *row)
{
	return (double)row->turn.p95;
}

static double key_turn_p99(const struct ebb_gate_row *row)
{
	return (double)row->turn.p99;
}

struct sort_key {
	const char *name;
	double (*value)(const struct ebb_gate_row *row);
};

/* Greatest first; equal ones stay in the order of their names. "name" is the order they come in. */
static const struct sort_key sort_keys[] = {
	{"name", NULL},
	{"state", key_state},
	{"since", key_since},
	{"active", key_active},
	{"connects", key_connects},
	{"failed", key_failed},
	{"window", ebb_window_share},
	{"denied", key_denied},
	{"sent", key_sent},
	{"recv", key_recv},
	{"dropped", key_dropped},
	{"p50", key_p50},
	{"p95", key_p95},
	{"p99", key_p99},
	{"rtt", key_rtt},
	{"turns", key_turns},
	{"slow", key_slow},
	{"turn_p50", key_turn_p50},
	{"turn_p95", key_turn_p95},
	{"turn_p99", key_turn_p99},
};
#define SORT_KEYS (sizeof(sort_keys) / sizeof(sort_keys[0]))

const char *ebb_list_sort_key(size_t index)
{
	return index < SORT_KEYS ? sort_keys[index].name : NULL;
}

struct sortable {
	struct ebb_gate_row row;
	double value;
	size_t place;
};

static int by_value(const void *pa, const void *pb)
{
	const struct sortable *a = pa, *b = pb;

	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return a->place < b->place ? -1 : 1;
}

static int sort_rows(struct ebb_snapshot *snapshot, const struct sort_key *key, struct ebb_why *why)
{
	struct sortable *rows;

	if (!key->value || snapshot->count == 0)
		return 0;
	rows = calloc(snapshot->count, sizeof(*rows));
	if (!rows)
		return ebb_why(why, -ENOMEM, "out of memory");
	for (size_t i = 0; i < snapshot->count; i++)
		rows[i] = (struct sortable){snapshot->rows[i], key->value(&snapshot->rows[i]), i};
	qsort(rows, snapshot->count, sizeof(*rows), by_value);
	for (size_t i = 0; i < snapshot->count; i++)
		snapshot->rows[i] = rows[i].row;
	free(rows);
	return 0;
}

/* ---------------------------------------------------------- filtering -- */

static bool is_state(const char *name)
{
	for (uint32_t s = 0; s < EBB_STATE_MAX; s++) {
		if (strcmp(name, ebb_state_name(s)) == 0)
			return true;
	}
	return strcmp(name, "forced_open") == 0 || strcmp(name, "forced_closed") == 0;
}

/* Does @row have to do with the workload? A gate of the node does when one of its pairs does. */
static bool has_workload(const struct ebb_look *look, const struct ebb_gate_row *row, const char *pattern)
{
	const struct ebb_view *view = look->view;

	if (row->workload)
		return ebb_who_matches(look->names, row->workload_id, pattern);
	for (uint32_t i = 0; i < view->pair_max && i <= view->kernel->pair_high; i++) {
		const struct ebb_pair *pair = &view->pairs[i];

		if (pair->gate == row->gate && pair->dst == row->dst && pair->state == EBB_SLOT_LIVE &&
		    ebb_who_matches(look->names, pair->workload, pattern))
			return true;
	}
	return false;
}

/* NULL: there is no such key. */
static const struct sort_key *find_sort_key(const char *name)
{
	for (size_t i = 0; i < SORT_KEYS; i++) {
		if (strcmp(sort_keys[i].name, name) == 0)
			return &sort_keys[i];
	}
	return NULL;
}

int ebb_list_check(const struct ebb_list_filter *filter, struct ebb_why *why)
{
	if (filter->sort && !find_sort_key(filter->sort)) {
		char names[256];
		size_t used = 0;

		for (size_t i = 0; i < SORT_KEYS; i++)
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
						 sort_keys[i].name);
		return ebb_why(why, -EINVAL, "--sort: '%s' is not possible: one of %s", filter->sort, names);
	}
	if (filter->state && !is_state(filter->state))
		return ebb_why(why, -EINVAL,
			       "--state: '%s' is not possible: closed, open, half_open, forced_open or forced_closed",
			       filter->state);
	return 0;
}

int ebb_list_select(const struct ebb_look *look, struct ebb_snapshot *snapshot,
		    const struct ebb_list_filter *filter, struct ebb_why *why)
{
	const struct sort_key *key;
	size_t kept = 0;
	int r = ebb_list_check(filter, why);

	if (r < 0)
		return r;
	key = filter->sort ? find_sort_key(filter->sort) : &sort_keys[0];
	for (size_t i = 0; i < snapshot->count; i++) {
		struct ebb_gate_row row = snapshot->rows[i];

		if ((filter->state && strcmp(filter->state, ebb_gate_state_name(&row)) != 0) ||
		    (filter->workload && !has_workload(look, &row, filter->workload))) {
			free(row.workload);
			continue;
		}
		snapshot->rows[kept++] = row;
	}
	snapshot->count = kept;
	return sort_rows(snapshot, key, why);
}

/* --------------------------------------------------------------- text -- */

static const struct ebb_column columns[] = {
	{"DESTINATION", EBB_ALIGN_LEFT, false, 0}, {"WORKLOAD", EBB_ALIGN_LEFT, true, 0},
	{"MODE", EBB_ALIGN_LEFT, false, 7},	   {"STATE", EBB_ALIGN_LEFT, false, 0},
	{"SINCE", EBB_ALIGN_RIGHT, false, 6},	   {"ACTIVE", EBB_ALIGN_RIGHT, false, 5},
	{"CONNECTS", EBB_ALIGN_RIGHT, false, 1},   {"FAILED", EBB_ALIGN_RIGHT, false, 0},
	{"WINDOW", EBB_ALIGN_RIGHT, false, 8},	   {"DENIED", EBB_ALIGN_RIGHT, false, 0},
	{"WOULD DENY", EBB_ALIGN_RIGHT, true, 0},  {"SENT", EBB_ALIGN_RIGHT, true, 9},
	{"RECV", EBB_ALIGN_RIGHT, true, 10},	   {"DROPPED", EBB_ALIGN_RIGHT, true, 0},
	{"WOULD DROP", EBB_ALIGN_RIGHT, true, 0},  {"TURNS", EBB_ALIGN_RIGHT, true, 4},
	{"SLOW", EBB_ALIGN_RIGHT, true, 11},	   {"TURN P50", EBB_ALIGN_RIGHT, true, 3},
	{"TURN P95", EBB_ALIGN_RIGHT, true, 16},   {"TURN P99", EBB_ALIGN_RIGHT, true, 2},
	{"P50", EBB_ALIGN_RIGHT, false, 13},	   {"P95", EBB_ALIGN_RIGHT, false, 15},
	{"P99", EBB_ALIGN_RIGHT, false, 12},	   {"RTT", EBB_ALIGN_RIGHT, false, 14},
	{"LIMITS", EBB_ALIGN_LEFT, true, 17},
};

static void time_cell(struct ebb_table *table, const struct ebb_times *times, uint64_t ns)
{
	char text[EBB_FORMAT_MAX];

	if (times->count == 0)
		ebb_table_cell(table, "-");
	else
		ebb_table_cell(table, "%s", ebb_format_duration(ns, text, sizeof(text)));
}

static void count_cell(struct ebb_table *table, uint64_t count)
{
	char text[EBB_FORMAT_MAX];

	ebb_table_cell(table, "%s", ebb_format_count(count, text, sizeof(text)));
}

static void row_cells(struct ebb_table *table, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	char text[EBB_FORMAT_MAX], limits[EBB_LIMITS_CELL_MAX];
	double share = ebb_window_share(row);
	uint32_t class;

	ebb_table_cell(table, "%s", row->name);
	class = row->workload ? ebb_look_class(look, row->workload_id) : EBB_CLASS_GOVERNED;
	ebb_table_cell(table, "%s%s%s%s", row->workload ? row->workload : "-",
		       class == EBB_CLASS_GOVERNED ? "" : " (",
		       class == EBB_CLASS_GOVERNED ? "" : ebb_class_name(class),
		       class == EBB_CLASS_GOVERNED ? "" : ")");
	ebb_table_cell(table, "%s%s", ebb_mode_name(row->mode), row->mode_from ? "*" : "");
	if (row->aside > 0)
		ebb_table_cell(table, "%s, %u apart", ebb_gate_state_name(row), row->aside);
	else
		ebb_table_cell(table, "%s", ebb_gate_state_name(row));
	if (row->since_ns)
		ebb_table_cell(table, "%s",
			       ebb_format_duration(ebb_age(look->now_ns, row->since_ns), text, sizeof(text)));
	else
		ebb_table_cell(table, "-");
	count_cell(table, row->sums.active);
	count_cell(table, row->sums.attempts);
	count_cell(table, row->sums.failures);
	if (share < 0)
		ebb_table_cell(table, "-");
	else
		ebb_table_cell(table, "%.0f%% of %" PRIu64, share * 100,
			       (uint64_t)row->memory.window_ok + row->memory.window_failed);
	count_cell(table, row->sums.denied);
	count_cell(table, row->sums.would_deny);
	ebb_bytes_cell(table, row->sums.traffic.sent_bytes);
	ebb_bytes_cell(table, row->sums.traffic.received_bytes);
	count_cell(table, ebb_traffic_dropped(&row->sums.traffic));
	count_cell(table, ebb_traffic_would_drop(&row->sums.traffic));
	count_cell(table, ebb_turns_count(&row->sums.turns));
	count_cell(table, row->sums.turns.slow);
	time_cell(table, &row->turn, row->turn.p50);
	time_cell(table, &row->turn, row->turn.p95);
	time_cell(table, &row->turn, row->turn.p99);
	time_cell(table, &row->connect, row->connect.p50);
	time_cell(table, &row->connect, row->connect.p95);
	time_cell(table, &row->connect, row->connect.p99);
	time_cell(table, &row->rtt, row->rtt.p50);
	ebb_table_cell(table, "%s", ebb_limits_cell(look, row, limits, sizeof(limits)));
}

/* While it acts: it may be why the rows below it are as they are. */
static void fuse_cells(struct ebb_table *table, const struct ebb_look *look)
{
	uint32_t fuse = ebb_fuse_now(look);
	char since[EBB_FORMAT_MAX];

	if (fuse == EBB_FUSE_OFF)
		return;
	ebb_table_cell(table, EBB_NAME_NODE);
	ebb_table_cell(table, "-");
	ebb_table_cell(table, "-");
	ebb_table_cell(table, "%s", ebb_fuse_name(fuse));
	ebb_table_cell(table, "%s",
		       ebb_format_duration(ebb_age(look->now_ns, look->view->agent->fuse_since_ns), since,
					   sizeof(since)));
	for (size_t i = 5; i < sizeof(columns) / sizeof(columns[0]); i++)
		ebb_table_cell(table, "-");
}

int ebb_list_text(FILE *out, const struct ebb_look *look, const struct ebb_snapshot *snapshot)
{
	struct ebb_table *table;
	int r;

	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	fuse_cells(table, look);
	for (size_t i = 0; i < snapshot->count; i++)
		row_cells(table, look, &snapshot->rows[i]);
	r = ebb_table_print(table, out, 0, look->columns);
	ebb_table_free(table);
	return r;
}

/* --------------------------------------------------------------- JSON -- */

json_t *ebb_times_json(const struct ebb_times *times)
{
	if (times->count == 0)
		return json_pack("{s:i}", "count", 0);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count", ebb_json_count(times->count), "mean",
			 ebb_json_seconds(times->mean), "p50", ebb_json_seconds(times->p50), "p90",
			 ebb_json_seconds(times->p90), "p95", ebb_json_seconds(times->p95), "p99",
			 ebb_json_seconds(times->p99), "max", ebb_json_seconds(times->most));
}

static json_t *workload_json(const struct ebb_gate_row *row)
{
	return row->workload ? json_string(row->workload) : json_null();
}

static json_t *state_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	double share = ebb_window_share(row);
	struct ebb_limits limits;

	ebb_gate_limits(look, row, &limits);
	return json_pack("{s:s, s:o, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:o}, s:o, s:o, "
			 "s:{s:o, s:o}, s:o}",
			 "destination", row->name, "workload", workload_json(row), "scope",
			 ebb_scope_name(row->scope), "mode", ebb_mode_name(row->mode), "state",
			 ebb_gate_state_name(row), "refuses", ebb_gate_refuses(row), "since_timestamp",
			 ebb_json_timestamp(look, row->since_ns), "open_until_timestamp",
			 ebb_json_timestamp(look, row->until_ns), "active", ebb_json_count(row->sums.active),
			 "attempts", ebb_json_count(row->sums.attempts), "failures",
			 ebb_json_count(row->sums.failures), "denied", ebb_json_count(row->sums.denied),
			 "would_deny", ebb_json_count(row->sums.would_deny), "window", "ok",
			 (json_int_t)row->memory.window_ok, "failed", (json_int_t)row->memory.window_failed,
			 "slow", (json_int_t)row->memory.window_slow, "failure_rate",
			 share < 0 ? json_null() : json_real(share), "connect_seconds",
			 ebb_times_json(&row->connect), "rtt_seconds", ebb_times_json(&row->rtt),
			 "concurrent", "in_use", ebb_json_count(row->kernel.in_use), "limit",
			 limits.concurrent ? json_integer(limits.concurrent) : json_null(), "limits",
			 ebb_limits_json(look, row));
}

json_t *ebb_episode_json(uint64_t episode)
{
	char text[EBB_EPISODE_TEXT_MAX];

	return episode ? json_string(ebb_episode_text(episode, text, sizeof(text))) : json_null();
}

json_t *ebb_gate_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	json_t *gate = state_json(look, row);

	/* a failed set leaves its trace: the object is freed */
	if (json_object_set_new(gate, "episode", ebb_episode_json(row->episode)) < 0 ||
	    json_object_set_new(gate, "traffic", ebb_traffic_json(&row->sums.traffic)) < 0 ||
	    json_object_set_new(gate, "turns", ebb_turns_json(&row->sums.turns)) < 0 ||
	    json_object_set_new(gate, "turn_seconds", ebb_times_json(&row->turn)) < 0 ||
	    json_object_set_new(gate, "paced", ebb_json_count(row->kernel.paced)) < 0 ||
	    json_object_set_new(gate, "apart", json_boolean(row->apart)) < 0 ||
	    json_object_set_new(gate, "workloads_apart", json_integer(row->aside)) < 0 ||
	    json_object_set_new(gate, "by_hand", ebb_by_hand_json(look, row)) < 0) {
		json_decref(gate);
		return NULL;
	}
	return gate;
}

json_t *ebb_transition_json(const struct ebb_look *look, const struct ebb_transition *move)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "timestamp",
			 ebb_json_timestamp(look, move->at_ns), "from",
			 ebb_state_name(ebb_reason_from(move->reason)), "to",
			 ebb_state_name(ebb_reason_to(move->reason)), "reason", ebb_reason_name(move->reason),
			 "ok", (json_int_t)move->ok, "failed", (json_int_t)move->failed, "slow",
			 (json_int_t)move->slow, "run", (json_int_t)move->run, "open_until_timestamp",
			 ebb_json_timestamp(look, move->until_ns), "episode",
			 ebb_episode_json(move->episode));
}

json_t *ebb_list_json(const struct ebb_look *look, const struct ebb_snapshot *snapshot)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < snapshot->count; i++) {
		if (json_array_append_new(rows, ebb_gate_json(look, &snapshot->rows[i])) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return json_pack("{s:o, s:o}", "destinations", rows, "node_fuse", ebb_fuse_json(look));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/turns.h"

#include <inttypes.h>

#include "core/hist.h"
#include "core/policy.h"
#include "lib/table.h"
#include "lib/units.h"

void ebb_turns_add_pair(struct ebb_turns *io_turns, const struct ebb_pair *pair)
{
	for (int how = 0; how < EBB_TURN_MAX; how++)
		io_turns->ended[how] += pair->turns[how];
	io_turns->slow += pair->turns_slow;
	io_turns->units += pair->turn_units;
	for (int b = 0; b < EBB_TURN_BUCKETS; b++)
		io_turns->buckets[b] += pair->turn_buckets[b];
}

void ebb_turns_add(struct ebb_turns *io_turns, const struct ebb_turns *more)
{
	for (int how = 0; how < EBB_TURN_MAX; how++)
		io_turns->ended[how] += more->ended[how];
	io_turns->slow += more->slow;
	io_turns->units += more->units;
	for (int b = 0; b < EBB_TURN_BUCKETS; b++)
		io_turns->buckets[b] += more->buckets[b];
}

uint64_t ebb_turns_count(const struct ebb_turns *turns)
{
	return turns->ended[EBB_TURN_ANSWERED] + turns->ended[EBB_TURN_UNANSWERED] +
	       turns->ended[EBB_TURN_RESET];
}

void ebb_turns_times(const struct ebb_turns *turns, struct ebb_times *ret_times)
{
	struct ebb_times times = {.count = turns->ended[EBB_TURN_ANSWERED]};

	if (times.count > 0) {
		times.mean = turns->units * EBB_HIST_UNIT_NS / times.count;
		times.p50 = ebb_turn_quantile(turns->buckets, 0.5);
		times.p90 = ebb_turn_quantile(turns->buckets, 0.9);
		times.p95 = ebb_turn_quantile(turns->buckets, 0.95);
		times.p99 = ebb_turn_quantile(turns->buckets, 0.99);
		times.most = ebb_turn_quantile(turns->buckets, 1);
	}
	*ret_times = times;
}

/* --------------------------------------------------------------- text -- */

struct filling {
	struct ebb_table *table;
	uint64_t turns;
};

static int fill_pair(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata)
{
	struct filling *filling = userdata;
	struct ebb_turns turns = {};
	struct ebb_times times;
	char text[EBB_FORMAT_MAX];

	ebb_turns_add_pair(&turns, pair);
	ebb_turns_times(&turns, &times);
	filling->turns += ebb_turns_count(&turns) + turns.ended[EBB_TURN_CANCELLED];
	/* ~other has no workload of its own */
	ebb_table_cell(filling->table, "%s",
		       pair->workload ? ebb_cgroup_name(look->names, pair->workload) : EBB_NAME_OTHER);
	ebb_table_cell(filling->table, "%" PRIu64, turns.ended[EBB_TURN_ANSWERED]);
	ebb_table_cell(filling->table, "%" PRIu64, turns.slow);
	for (int how = EBB_TURN_UNANSWERED; how < EBB_TURN_MAX; how++)
		ebb_table_cell(filling->table, "%" PRIu64, turns.ended[how]);
	for (size_t i = 0; i < 4; i++) {
		uint64_t ns = i == 0 ? times.mean : i == 1 ? times.p50 : i == 2 ? times.p95 : times.p99;

		ebb_table_cell(filling->table, "%s",
			       times.count ? ebb_format_duration(ns, text, sizeof(text)) : "-");
	}
	return 0;
}

int ebb_turns_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	static const struct ebb_column columns[] = {
		{"WORKLOAD", EBB_ALIGN_LEFT, false, 0}, {"ANSWERED", EBB_ALIGN_RIGHT, false, 0},
		{"SLOW", EBB_ALIGN_RIGHT, false, 0},	{"UNANSWERED", EBB_ALIGN_RIGHT, false, 0},
		{"RESET", EBB_ALIGN_RIGHT, false, 0},	{"CANCELLED", EBB_ALIGN_RIGHT, true, 0},
		{"MEAN", EBB_ALIGN_RIGHT, false, 0},	{"P50", EBB_ALIGN_RIGHT, false, 0},
		{"P95", EBB_ALIGN_RIGHT, false, 0},	{"P99", EBB_ALIGN_RIGHT, false, 0},
	};
	struct filling filling = {};
	int r;

	_Static_assert(sizeof(columns) / sizeof(columns[0]) == EBB_TURN_MAX + 6, "a column for each end");
	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &filling.table);
	if (r < 0)
		return r;
	r = ebb_each_pair(look, row, fill_pair, &filling);
	if (r == 0 && filling.turns > 0) {
		(void)fputs("\n  turns: from the last byte of a request to the first of its answer\n", out);
		r = ebb_table_print(filling.table, out, 4, 0);
	}
	ebb_table_free(filling.table);
	return r;
}

/* --------------------------------------------------------------- JSON -- */

json_t *ebb_turns_json(const struct ebb_turns *turns)
{
	json_t *counts = ebb_json_counts(turns->ended, EBB_TURN_MAX, ebb_turn_name);

	if (json_object_set_new(counts, "slow", ebb_json_count(turns->slow)) < 0) {
		json_decref(counts);
		return NULL;
	}
	return counts;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/traffic.h"

#include <inttypes.h>
#include <netinet/in.h>

#include "core/policy.h"
#include "lib/table.h"
#include "lib/units.h"

static uint64_t sum(const uint64_t counts[EBB_DROP_MAX])
{
	uint64_t total = 0;

	for (int d = 0; d < EBB_DROP_MAX; d++)
		total += counts[d];
	return total;
}

uint64_t ebb_traffic_dropped(const struct ebb_traffic *traffic)
{
	return sum(traffic->dropped_packets);
}

uint64_t ebb_traffic_would_drop(const struct ebb_traffic *traffic)
{
	return sum(traffic->would_drop_packets);
}

/* --------------------------------------------------------------- text -- */

void ebb_bytes_cell(struct ebb_table *table, uint64_t bytes)
{
	char text[EBB_FORMAT_MAX];

	ebb_table_cell(table, "%s", bytes ? ebb_format_bytes(bytes, text, sizeof(text)) : "0");
}

/* A table of which each workload has a row, or one for each cause of it. */
struct section {
	const char *title;
	const struct ebb_column *columns;
	size_t count;
	void (*cells)(struct ebb_table *table, const struct ebb_look *look, const struct ebb_pair *pair,
		      size_t *io_rows);
};

static const char *workload_of(const struct ebb_look *look, const struct ebb_pair *pair)
{
	/* ~other has no workload of its own */
	return pair->workload ? ebb_cgroup_name(look->names, pair->workload) : EBB_NAME_OTHER;
}

static void passed_cells(struct ebb_table *table, const struct ebb_look *look, const struct ebb_pair *pair,
			 size_t *io_rows)
{
	bool udp = look->view->dsts[pair->dst].endpoint.proto == IPPROTO_UDP;
	struct ebb_sums sums = {};
	const struct ebb_traffic *t = &sums.traffic;

	ebb_sums_add(&sums, pair, 0);
	ebb_table_cell(table, "%s", workload_of(look, pair));
	ebb_bytes_cell(table, t->sent_bytes);
	if (udp) { /* nobody counts what it receives */
		ebb_table_cell(table, "-");
		ebb_table_cell(table, "-");
	} else {
		ebb_bytes_cell(table, t->received_bytes);
		ebb_table_cell(table, "%" PRIu64, t->retransmits);
	}
	ebb_table_cell(table, "%" PRIu64, t->sent_datagrams);
	ebb_table_cell(table, "%" PRIu64, t->adopted);
	ebb_table_cell(table, "%" PRIu64, t->reset);
	++*io_rows;
}

static void denied_cells(struct ebb_table *table, const struct ebb_look *look, const struct ebb_pair *pair,
			 size_t *io_rows)
{
	for (uint32_t cause = 0; cause < EBB_CAUSE_MAX; cause++) {
		if (!pair->denied[cause] && !pair->would_deny[cause])
			continue;
		ebb_table_cell(table, "%s", workload_of(look, pair));
		ebb_table_cell(table, "%s", ebb_cause_name(cause));
		ebb_table_cell(table, "%" PRIu64, (uint64_t)pair->denied[cause]);
		ebb_table_cell(table, "%" PRIu64, (uint64_t)pair->would_deny[cause]);
		++*io_rows;
	}
}

static void dropped_cells(struct ebb_table *table, const struct ebb_look *look, const struct ebb_pair *pair,
			  size_t *io_rows)
{
	for (uint32_t drop = 0; drop < EBB_DROP_MAX; drop++) {
		if (!pair->dropped_packets[drop] && !pair->would_drop_packets[drop])
			continue;
		ebb_table_cell(table, "%s", workload_of(look, pair));
		ebb_table_cell(table, "%s", ebb_drop_name(drop));
		ebb_table_cell(table, "%" PRIu64, (uint64_t)pair->dropped_packets[drop]);
		ebb_bytes_cell(table, pair->dropped_bytes[drop]);
		ebb_table_cell(table, "%" PRIu64, (uint64_t)pair->would_drop_packets[drop]);
		ebb_bytes_cell(table, pair->would_drop_bytes[drop]);
		++*io_rows;
	}
}

static const struct ebb_column passed_columns[] = {
	{"WORKLOAD", EBB_ALIGN_LEFT, false, 0},	    {"SENT", EBB_ALIGN_RIGHT, false, 0},
	{"RECEIVED", EBB_ALIGN_RIGHT, false, 0},    {"RETRANSMITS", EBB_ALIGN_RIGHT, false, 0},
	{"DATAGRAMS", EBB_ALIGN_RIGHT, true, 0},    {"ADOPTED", EBB_ALIGN_RIGHT, true, 0},
	{"RESET BY EBB", EBB_ALIGN_RIGHT, true, 0},
};

static const struct ebb_column denied_columns[] = {
	{"WORKLOAD", EBB_ALIGN_LEFT, false, 0},
	{"CAUSE", EBB_ALIGN_LEFT, false, 0},
	{"DENIED", EBB_ALIGN_RIGHT, true, 0},
	{"WOULD DENY", EBB_ALIGN_RIGHT, true, 0},
};

static const struct ebb_column dropped_columns[] = {
	{"WORKLOAD", EBB_ALIGN_LEFT, false, 0},	  {"CAUSE", EBB_ALIGN_LEFT, false, 0},
	{"DROPPED", EBB_ALIGN_RIGHT, true, 0},	  {"BYTES", EBB_ALIGN_RIGHT, true, 0},
	{"WOULD DROP", EBB_ALIGN_RIGHT, true, 0}, {"WOULD DROP BYTES", EBB_ALIGN_RIGHT, true, 0},
};

#define COLUMNS(columns) (columns), sizeof(columns) / sizeof((columns)[0])

static const struct section sections[] = {
	{"traffic", COLUMNS(passed_columns), passed_cells},
	{"denied, by cause", COLUMNS(denied_columns), denied_cells},
	{"dropped, by cause", COLUMNS(dropped_columns), dropped_cells},
};

struct filling {
	const struct section *section;
	struct ebb_table *table;
	size_t rows;
};

static int fill_pair(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata)
{
	struct filling *filling = userdata;

	filling->section->cells(filling->table, look, pair, &filling->rows);
	return 0;
}

static int section_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row,
			const struct section *section)
{
	struct filling filling = {.section = section};
	int r;

	r = ebb_table_new(section->columns, section->count, &filling.table);
	if (r < 0)
		return r;
	r = ebb_each_pair(look, row, fill_pair, &filling);
	if (r == 0 && filling.rows > 0) {
		(void)fprintf(out, "\n  %s\n", section->title);
		r = ebb_table_print(filling.table, out, 4, 0);
	}
	ebb_table_free(filling.table);
	return r;
}

int ebb_traffic_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(sections) / sizeof(sections[0]); i++)
		r = section_text(out, look, row, &sections[i]);
	return r;
}

/* --------------------------------------------------------------- JSON -- */

static json_t *drops_json(const uint64_t counts[EBB_DROP_MAX])
{
	return ebb_json_counts(counts, EBB_DROP_MAX, ebb_drop_name);
}

json_t *ebb_traffic_json(const struct ebb_traffic *t)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sent_bytes",
			 ebb_json_count(t->sent_bytes), "received_bytes", ebb_json_count(t->received_bytes),
			 "sent_datagrams", ebb_json_count(t->sent_datagrams), "retransmits",
			 ebb_json_count(t->retransmits), "adopted", ebb_json_count(t->adopted), "reset",
			 ebb_json_count(t->reset), "dropped_bytes", drops_json(t->dropped_bytes),
			 "dropped_packets", drops_json(t->dropped_packets), "would_drop_bytes",
			 drops_json(t->would_drop_bytes), "would_drop_packets",
			 drops_json(t->would_drop_packets));
}

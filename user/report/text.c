/* SPDX-License-Identifier: Apache-2.0 */
/* A report for people: first what is suspicious, then what failed, was refused and was changed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/table.h"
#include "lib/text.h"
#include "lib/units.h"
#include "report/inside.h"
#include "tell/look.h"

#define NS_PER_US 1000
#define ROWS	  10 /* of each table */
#define NAMES	  3
#define NAMES_ALL 8
#define TEXT_MAX  1024

/* ------------------------------------------------------------------- values -- */

static const char *when(int64_t us, char buffer[EBB_TIME_MAX])
{
	return ebb_format_time(us * NS_PER_US, false, buffer, EBB_TIME_MAX);
}

static const char *span(int64_t us, char buffer[EBB_FORMAT_MAX])
{
	return ebb_format_duration(us > 0 ? (uint64_t)us * NS_PER_US : 0, buffer, EBB_FORMAT_MAX);
}

/* What came from outside, fit for a terminal. */
static const char *safe(const char *text, char buffer[TEXT_MAX])
{
	return ebb_text_escape(text[0] ? text : "(nobody)", buffer, TEXT_MAX);
}

static const char *s(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void head(FILE *out, const char *title)
{
	(void)fprintf(out, "\n%s\n", title);
}

static void more(FILE *out, size_t count)
{
	if (count > ROWS)
		(void)fprintf(out, "  and %zu more: -o json has them\n", count - ROWS);
}

/* ---------------------------------------------------------------- suspicious -- */

static void print_hammers(const struct ebb_report *report, FILE *out)
{
	char user[TEXT_MAX], destination[TEXT_MAX], from[EBB_TIME_MAX], to[EBB_TIME_MAX];

	for (size_t i = 0; i < report->hammer_count && i < ROWS; i++) {
		const struct ebb_report_pair *p = report->hammers[i];

		(void)fprintf(out,
			      "  %s hammers the open breaker of %s\n"
			      "    %" PRIu64 " connections refused in %u minutes, up to %" PRIu64
			      " in one; %s to %s\n",
			      safe(p->user, user), safe(p->destination, destination), p->hammer_sum,
			      p->hammered.count, p->hammer_worst, when(p->hammered.first_us, from),
			      when(p->hammered.last_us, to));
	}
	more(out, report->hammer_count);
}

static void print_scanners(const struct ebb_report *report, FILE *out)
{
	char user[TEXT_MAX], from[EBB_TIME_MAX], to[EBB_TIME_MAX];

	for (size_t i = 0; i < report->scanner_count && i < ROWS; i++) {
		const struct ebb_report_pair *w = report->scanners[i];

		(void)fprintf(out,
			      "  %s tries many destinations that do not answer, as a scanner does\n"
			      "    %u of %u in one minute, in %u minute%s; %u never answered, %u of them new; %s to %s\n",
			      safe(w->user, user), w->scan_failing, w->scan_used, w->scanned.count,
			      s(w->scanned.count), w->dead, w->dead_new, when(w->scanned.first_us, from),
			      when(w->scanned.last_us, to));
	}
	more(out, report->scanner_count);
}

static void print_strangers(const struct ebb_report *report, FILE *out)
{
	char user[TEXT_MAX], name[TEXT_MAX], at[EBB_TIME_MAX];
	size_t workloads = 0;

	for (size_t i = 0, count; i < report->stranger_count; i += count) {
		size_t shown;

		count = ebb_report_strangers_of(report, i);
		shown = count > NAMES_ALL ? NAMES : count;
		if (workloads++ >= ROWS)
			continue;
		(void)fprintf(out, "  %s uses %zu destination%s never seen before\n    ",
			      safe(report->strangers[i]->user, user), count, s(count));
		for (size_t k = 0; k < shown; k++)
			(void)fprintf(out, "%s%s", k ? ", " : "",
				      safe(report->strangers[i + k]->destination, name));
		if (shown < count)
			(void)fprintf(out, " and %zu more", count - shown);
		(void)fprintf(out, "; the first at %s\n", when(report->strangers[i]->us, at));
	}
	more(out, workloads);
}

static void print_shares(const struct ebb_report_overlap *overlap, FILE *out)
{
	static const char *const words[EBB_REPORT_SHARE_MAX] = {"the prefix ", "the name ", "the workload "};
	const char *between = "all share ";
	char text[TEXT_MAX];

	for (unsigned int i = 0; i < EBB_REPORT_SHARE_MAX; i++) {
		if (!overlap->shares[i])
			continue;
		(void)fprintf(out, "%s%s%s", between, words[i], safe(overlap->shares[i], text));
		between = " and ";
	}
}

static void print_overlaps(const struct ebb_report *report, FILE *out)
{
	char name[TEXT_MAX], at[EBB_TIME_MAX], length[EBB_FORMAT_MAX];

	for (size_t i = 0; i < report->overlap_count && i < ROWS; i++) {
		const struct ebb_report_overlap *o = &report->overlaps[i];
		int64_t until = ebb_report_until(o->until_us, report->until_us);
		size_t shown = o->count > EBB_REPORT_OVERLAP_SHOWN ? NAMES : o->count;

		(void)fprintf(out, "  %zu breakers were open at once: ", o->count);
		print_shares(o, out);
		(void)fprintf(out, "\n    ");
		for (size_t k = 0; k < shown; k++)
			(void)fprintf(out, "%s%s", k ? ", " : "", safe(o->shown[k], name));
		if (shown < o->count)
			(void)fprintf(out, " and %zu more", o->count - shown);
		(void)fprintf(out, "; from %s for %s%s", when(o->from_us, at),
			      span(until - o->from_us, length),
			      o->until_us > report->until_us ? ", still" : "");
		if (o->times > 1)
			(void)fprintf(out, "; %" PRIu64 " times %d or more", o->times, 3);
		(void)fputc('\n', out);
	}
	more(out, report->overlap_count);
}

static void print_suspicious(const struct ebb_report *report, FILE *out)
{
	head(out, "Suspicious");
	if (!report->hammer_count && !report->scanner_count && !report->stranger_count &&
	    !report->overlap_count)
		(void)fprintf(out, "  nothing\n");
	print_hammers(report, out);
	print_scanners(report, out);
	print_overlaps(report, out);
	print_strangers(report, out);
}

/* -------------------------------------------------------------------- tables -- */

static int print_pairs(const char *title, const char *column, const struct ebb_report_pair *pairs, bool user,
		       FILE *out)
{
	const struct ebb_column columns[] = {
		{.title = column},
		{.title = "FAILED", .align = EBB_ALIGN_RIGHT},
		{.title = "REFUSED", .align = EBB_ALIGN_RIGHT},
		{.title = "BY BREAKER", .align = EBB_ALIGN_RIGHT, .optional = true},
		{.title = "WOULD REFUSE", .align = EBB_ALIGN_RIGHT, .optional = true},
	};
	struct ebb_table *table;
	size_t count = 0;
	int r;

	if (!pairs)
		return 0;
	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	head(out, title);
	for (const struct ebb_report_pair *p = pairs; p; p = p->hh.next) {
		const char *name = user ? p->user : p->destination;

		if (count++ >= ROWS)
			continue;
		ebb_table_cell(table, "%s", name[0] ? name : "(nobody)");
		ebb_table_cell(table, "%" PRIu64, p->sums.failed);
		ebb_table_cell(table, "%" PRIu64, p->sums.denied);
		ebb_table_cell(table, "%" PRIu64, p->sums.at_breaker);
		ebb_table_cell(table, "%" PRIu64, p->sums.would);
	}
	r = ebb_table_print(table, out, 2, 0);
	ebb_table_free(table);
	more(out, count);
	return r;
}

static int print_opens(const struct ebb_report *report, FILE *out)
{
	static const struct ebb_column columns[] = {
		{.title = "DESTINATION"},
		{.title = "EPISODES", .align = EBB_ALIGN_RIGHT},
		{.title = "TOTAL", .align = EBB_ALIGN_RIGHT},
		{.title = "LONGEST", .align = EBB_ALIGN_RIGHT},
		{.title = "NOW", .optional = true},
	};
	char length[EBB_FORMAT_MAX];
	struct ebb_table *table;
	size_t count = 0;
	int r;

	if (!report->opens)
		return 0;
	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	head(out, "Breakers outside closed");
	for (const struct ebb_report_open *o = report->opens; o; o = o->hh.next) {
		if (count++ >= ROWS)
			continue;
		ebb_table_cell(table, "%s", o->destination);
		ebb_table_cell(table, "%" PRIu64, o->count);
		ebb_table_cell(table, "%s", span(o->total_us, length));
		ebb_table_cell(table, "%s", span(o->longest_us, length));
		ebb_table_cell(table, "%s", o->still ? "still" : "");
	}
	r = ebb_table_print(table, out, 2, 0);
	ebb_table_free(table);
	more(out, count);
	return r;
}

/* -------------------------------------------------------------------- changes -- */

static void print_deeds(const struct ebb_report *report, FILE *out)
{
	size_t from = report->deed_count > ROWS ? report->deed_count - ROWS : 0;
	char user[TEXT_MAX], what[TEXT_MAX], at[EBB_TIME_MAX];

	if (!report->deed_count)
		return;
	head(out, "Who changed what");
	for (size_t i = from; i < report->deed_count; i++) {
		const struct ebb_report_deed *d = &report->deeds[i];

		(void)fprintf(out, "  %s  ", when(d->us, at));
		if (d->type == EBB_AUDIT_OVERRIDE)
			(void)fprintf(out, "user %s: 'ebb %s'\n", safe(d->user, user), safe(d->what, what));
		else
			(void)fprintf(out, "configuration %s: %s\n",
				      d->type == EBB_AUDIT_CONFIG_APPLIED ? "applied" : "refused",
				      d->what[0] ? safe(d->what, what) : "defaults");
	}
	if (from || report->deeds_left_out)
		(void)fprintf(out, "  and %" PRIu64 " before them\n", from + report->deeds_left_out);
}

static void print_tallies(const char *title, const struct ebb_report_tally *tallies, FILE *out)
{
	char what[TEXT_MAX], from[EBB_TIME_MAX], to[EBB_TIME_MAX];
	size_t count = 0;

	if (!tallies)
		return;
	head(out, title);
	for (const struct ebb_report_tally *t = tallies; t; t = t->hh.next) {
		if (count++ >= ROWS)
			continue;
		(void)fprintf(out, "  %s, %" PRIu64 " time%s, %s", safe(t->what, what), t->count, s(t->count),
			      when(t->first_us, from));
		if (t->last_us != t->first_us)
			(void)fprintf(out, " to %s", when(t->last_us, to));
		(void)fputc('\n', out);
	}
	more(out, count);
}

static void print_agent(const struct ebb_report *report, FILE *out)
{
	char from[EBB_TIME_MAX], to[EBB_TIME_MAX], length[EBB_FORMAT_MAX];

	head(out, "Agent");
	(void)fprintf(out, "  started %" PRIu64 " time%s, stopped in order %" PRIu64 " time%s",
		      report->starts, s(report->starts), report->stops, s(report->stops));
	if (report->lost)
		(void)fprintf(out, "; enforcement was lost %" PRIu64 " time%s, for %s", report->lost,
			      s(report->lost), span((int64_t)report->lost_us, length));
	if (report->fuse)
		(void)fprintf(out, "; the node fuse moved %" PRIu64 " time%s", report->fuse, s(report->fuse));
	(void)fputc('\n', out);
	for (size_t i = 0; i < report->gap_count && i < ROWS; i++) {
		const struct ebb_report_gap *g = &report->gaps[i];

		(void)fprintf(out, "  %s to %s: %s without it, %s\n", when(g->from_us, from),
			      when(g->to_us, to), span(g->to_us - g->from_us, length),
			      g->clean ? "after it was stopped" : "at most: it ended without a word");
	}
	more(out, report->gap_count);
}

int ebb_report_text(const struct ebb_report *report, FILE *out)
{
	char from[EBB_TIME_MAX], to[EBB_TIME_MAX], length[EBB_FORMAT_MAX];
	int r;

	(void)fprintf(out, "From %s to %s (%s)\n", when(report->since_us, from), when(report->until_us, to),
		      span(report->until_us - report->since_us, length));
	if (report->begin_us > report->since_us && report->begin_us < report->until_us)
		(void)fprintf(out, "The log begins at %s.\n", when(report->begin_us, from));
	(void)fprintf(out,
		      "%" PRIu64 " connections failed, %" PRIu64 " were refused (%" PRIu64
		      " by an open breaker), %" PRIu64 " would have been.\n",
		      report->all.failed, report->all.denied, report->all.at_breaker, report->all.would);
	print_suspicious(report, out);
	r = print_opens(report, out);
	if (r == 0)
		r = print_pairs("By destination", "DESTINATION", report->destinations, false, out);
	if (r == 0)
		r = print_pairs("By workload", "WORKLOAD", report->workloads, true, out);
	print_deeds(report, out);
	print_tallies("Requests refused: through HTTP nothing can be changed", report->requests, out);
	print_tallies("Our credentials refused", report->credentials, out);
	print_agent(report, out);
	return r < 0 ? r : ferror(out) ? -EIO : 0;
}

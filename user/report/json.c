/* SPDX-License-Identifier: Apache-2.0 */
/* A report for programs. Times are written as in the log; what lasts is in seconds. */
#include <string.h>

#include "report/inside.h"

#define NS_PER_US 1000
#define US_PER_S  1e6

static json_t *moment(int64_t us)
{
	char text[EBB_AUDIT_TIMESTAMP_MAX];

	return us == INT64_MAX || us == INT64_MIN ? json_null()
						  : json_string(ebb_audit_timestamp(us * NS_PER_US, text));
}

static json_t *seconds(int64_t us)
{
	return json_real((double)us / US_PER_S);
}

static json_int_t count_of(uint64_t count)
{
	return (json_int_t)count;
}

/* @list takes @item over; one that is NULL spoils it. */
static json_t *append(json_t *list, json_t *item)
{
	if (list && json_array_append_new(list, item) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *sums(const struct ebb_report_sums *sums)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "failed", count_of(sums->failed), "denied",
			 count_of(sums->denied), "denied_by_breaker", count_of(sums->at_breaker),
			 "would_deny", count_of(sums->would));
}

/* NULL: it is of all. */
static const char *said(const char *name)
{
	return name[0] ? name : NULL;
}

static json_t *pairs(const struct ebb_report_pair *pair)
{
	json_t *list = json_array();

	for (; list && pair; pair = pair->hh.next) {
		json_t *item = json_pack("{s:s*, s:s*}", "destination", said(pair->destination), "workload",
					 said(pair->user));

		if (item && json_object_update_new(item, sums(&pair->sums)) < 0) {
			json_decref(item);
			item = NULL;
		}
		list = append(list, item);
	}
	return list;
}

static json_t *opens(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (const struct ebb_report_open *o = report->opens; list && o; o = o->hh.next)
		list = append(list, json_pack("{s:s, s:I, s:o, s:o, s:b}", "destination", o->destination,
					      "episodes", count_of(o->count), "total_s", seconds(o->total_us),
					      "longest_s", seconds(o->longest_us), "still", o->still > 0));
	return list;
}

static json_t *deeds(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->deed_count; i++) {
		const struct ebb_report_deed *d = &report->deeds[i];

		list = append(list, json_pack("{s:o, s:s, s:s, s:s}", "time", moment(d->us), "event_type",
					      ebb_audit_type_name(d->type), "user", d->user,
					      d->type == EBB_AUDIT_OVERRIDE ? "command" : "file", d->what));
	}
	return list;
}

static json_t *tallies(const struct ebb_report_tally *t)
{
	json_t *list = json_array();

	for (; list && t; t = t->hh.next)
		list = append(list,
			      json_pack("{s:s, s:I, s:o, s:o}", "what", t->what, "count", count_of(t->count),
					"first", moment(t->first_us), "last", moment(t->last_us)));
	return list;
}

static json_t *gaps(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->gap_count; i++)
		list = append(list,
			      json_pack("{s:o, s:o, s:b}", "from", moment(report->gaps[i].from_us), "to",
					moment(report->gaps[i].to_us), "stopped", report->gaps[i].clean));
	return list;
}

/* --------------------------------------------------------------- suspicious -- */

static json_t *hammers(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->hammer_count; i++) {
		const struct ebb_report_pair *p = report->hammers[i];

		list = append(list,
			      json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "workload", p->user,
					"destination", p->destination, "minutes", count_of(p->hammered.count),
					"denied", count_of(p->hammer_sum), "worst_minute",
					count_of(p->hammer_worst), "first", moment(p->hammered.first_us),
					"last", moment(p->hammered.last_us)));
	}
	return list;
}

static json_t *scanners(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->scanner_count; i++) {
		const struct ebb_report_pair *w = report->scanners[i];

		list = append(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "workload", w->user,
					      "minutes", count_of(w->scanned.count), "worst_failing",
					      count_of(w->scan_failing), "worst_used", count_of(w->scan_used),
					      "never_answered", count_of(w->dead), "of_these_new",
					      count_of(w->dead_new), "first", moment(w->scanned.first_us),
					      "last", moment(w->scanned.last_us)));
	}
	return list;
}

static json_t *strangers(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->stranger_count; i++) {
		const struct ebb_report_new *n = report->strangers[i];

		list = append(list, json_pack("{s:o, s:s, s:s}", "time", moment(n->us), "destination",
					      n->destination, "workload", n->user));
	}
	return list;
}

static json_t *overlap(const struct ebb_report_overlap *o)
{
	json_t *names = json_array();

	for (size_t k = 0; names && k < o->count && k < EBB_REPORT_OVERLAP_SHOWN; k++)
		names = append(names, json_string(o->shown[k]));
	return json_pack("{s:I, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:I}", "destinations_at_once",
			 count_of(o->count), "prefix", o->shares[EBB_REPORT_SHARE_PREFIX], "name",
			 o->shares[EBB_REPORT_SHARE_NAME], "workload", o->shares[EBB_REPORT_SHARE_WORKLOAD],
			 "destinations", names, "from", moment(o->from_us), "until", moment(o->until_us),
			 "times", count_of(o->times));
}

static json_t *overlaps(const struct ebb_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->overlap_count; i++)
		list = append(list, overlap(&report->overlaps[i]));
	return list;
}

json_t *ebb_report_json(const struct ebb_report *report)
{
	json_t *patterns =
		json_pack("{s:o, s:o, s:o, s:o}", "hammering", hammers(report), "scanning", scanners(report),
			  "overlapping", overlaps(report), "never_seen_before", strangers(report));
	json_t *counts =
		json_pack("{s:I, s:I, s:I, s:I}", "hammering", count_of(report->hammer_count), "scanning",
			  count_of(report->scanner_count), "overlapping", count_of(report->overlap_count),
			  "never_seen_before", count_of(report->stranger_count));
	json_t *agent =
		json_pack("{s:I, s:I, s:o, s:I, s:o, s:I}", "starts", count_of(report->starts), "stops",
			  count_of(report->stops), "gaps", gaps(report), "enforcement_lost",
			  count_of(report->lost), "enforcement_lost_s", seconds((int64_t)report->lost_us),
			  "node_fuse_moves", count_of(report->fuse));

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
			 "since", moment(report->since_us), "until", moment(report->until_us), "log_begins",
			 moment(report->begin_us), "total", sums(&report->all), "pattern_counts", counts,
			 "patterns", patterns, "breakers", opens(report), "destinations",
			 pairs(report->destinations), "workloads", pairs(report->workloads), "pairs",
			 pairs(report->pairs), "changes", deeds(report), "changes_left_out",
			 count_of(report->deeds_left_out), "requests_refused", tallies(report->requests),
			 "credentials_refused", tallies(report->credentials), "agent", agent);
}

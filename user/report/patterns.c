/* SPDX-License-Identifier: Apache-2.0 */
#include "report/patterns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/inside.h"

/* Pairs that @is, the worst first as they stand. */
static int collect(struct ebb_report_pair *table, bool (*is)(const struct ebb_report_pair *pair),
		   struct ebb_report_pair ***ret_list, size_t *ret_count)
{
	struct ebb_report_pair **list = NULL;
	size_t count = 0, room = 0;

	for (struct ebb_report_pair *p = table; p; p = p->hh.next) {
		void *more;

		if (!is(p))
			continue;
		more = ebb_report_grow((void *)list, count, &room, sizeof(struct ebb_report_pair *));
		if (!more) {
			free((void *)list);
			return -ENOMEM;
		}
		list = more;
		list[count++] = p;
	}
	*ret_list = list;
	*ret_count = count;
	return 0;
}

static bool is_hammer(const struct ebb_report_pair *pair)
{
	return pair->hammered.count >= EBB_HAMMER_MINUTES;
}

/* Who loses what it knew has an outage; who tries what nobody knew scans. */
static bool is_scanner(const struct ebb_report_pair *workload)
{
	return workload->scanned.count > 0 && workload->dead >= EBB_SCAN_FAILING &&
	       (uint64_t)workload->dead_new * 100 >= (uint64_t)workload->dead * EBB_SCAN_NEW_PERCENT;
}

/* --------------------------------------------------------------- strangers -- */

static bool of_scanner(const struct ebb_report *report, const char *user)
{
	for (size_t i = 0; i < report->scanner_count; i++) {
		if (strcmp(report->scanners[i]->user, user) == 0)
			return true;
	}
	return false;
}

static int by_user(const void *a, const void *b)
{
	const struct ebb_report_new *x = *(struct ebb_report_new *const *)a,
				    *y = *(struct ebb_report_new *const *)b;
	int r = strcmp(x->user, y->user);

	if (r)
		return r;
	if (x->us != y->us)
		return x->us < y->us ? -1 : 1;
	return strcmp(x->destination, y->destination);
}

static int find_strangers(struct ebb_report *report)
{
	size_t room = HASH_COUNT(report->news);
	int64_t from = report->since_us;

	/* to a log that has just begun all is new */
	if (report->begin_us > INT64_MAX - EBB_NEW_AFTER_US)
		return 0;
	if (from < report->begin_us + EBB_NEW_AFTER_US)
		from = report->begin_us + EBB_NEW_AFTER_US;
	report->strangers = calloc(room + 1, sizeof(struct ebb_report_new *));
	if (!report->strangers)
		return -ENOMEM;
	for (struct ebb_report_new *new = report->news; new; new = new->hh.next) {
		if (new->us >= from &&new->us < report->until_us && !of_scanner(report, new->user))
			report->strangers[report->stranger_count++] = new;
	}
	qsort((void *)report->strangers, report->stranger_count, sizeof(struct ebb_report_new *), by_user);
	return 0;
}

size_t ebb_report_strangers_of(const struct ebb_report *report, size_t at)
{
	size_t end = at;

	while (end < report->stranger_count &&
	       strcmp(report->strangers[end]->user, report->strangers[at]->user) == 0)
		end++;
	return end - at;
}

int ebb_report_find_patterns(struct ebb_report *report)
{
	int r = collect(report->pairs, is_hammer, &report->hammers, &report->hammer_count);

	if (r == 0)
		r = collect(report->workloads, is_scanner, &report->scanners, &report->scanner_count);
	return r == 0 ? find_strangers(report) : r;
}

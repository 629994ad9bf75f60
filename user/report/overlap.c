/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Episodes that overlap and share something: a prefix of their addresses, the end of their names, their workload. Every begin
 * and end is met in order, as in the sweep over intervals of Shamos and Hoey (1976): what is open at a begin overlaps it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/inside.h"
#include "report/patterns.h"

#define SHARE_MAX  256
#define ACTIVE_MAX 1024 /* episodes of a group at once; more are not told apart */

/* An episode, by what it shares. */
struct member {
	const char *share;
	const struct ebb_report_episode *episode;
};

/* ------------------------------------------------------------------ shares -- */

/* "db.example.com" of "db.example.com:5432/tcp", "10.0.7.1", "2001:db8::1" of "[2001:db8::1]:53/udp". */
static void host_of(const char *destination, char host[SHARE_MAX])
{
	const char *start = destination[0] == '[' ? destination + 1 : destination;
	size_t length = strcspn(start, destination[0] == '[' ? "]" : ":/");

	(void)snprintf(host, SHARE_MAX, "%.*s", (int)length, start);
}

/* "10.0.7.0/24", "2001:db8::/64". */
static bool prefix_of(const struct ebb_report_episode *e, char share[SHARE_MAX])
{
	char host[SHARE_MAX];
	struct in6_addr six;
	struct in_addr four;

	if (e->address[0])
		(void)snprintf(host, sizeof(host), "%s", e->address);
	else
		host_of(e->destination, host);
	if (inet_pton(AF_INET, host, &four) == 1) {
		four.s_addr &= htonl(0xffffff00);
		(void)inet_ntop(AF_INET, &four, host, sizeof(host));
		(void)snprintf(share, SHARE_MAX, "%.*s/24", INET_ADDRSTRLEN, host);
		return true;
	}
	if (inet_pton(AF_INET6, host, &six) == 1) {
		memset(six.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &six, host, sizeof(host));
		(void)snprintf(share, SHARE_MAX, "%.*s/64", INET6_ADDRSTRLEN, host);
		return true;
	}
	return false;
}

/* "example.com": the last two labels, where there are more. */
static bool name_of(const struct ebb_report_episode *e, char share[SHARE_MAX])
{
	struct in6_addr six;
	struct in_addr four;
	const char *dot, *before;
	char host[SHARE_MAX];

	host_of(e->destination, host);
	if (inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1)
		return false;
	dot = strrchr(host, '.');
	before = dot ? memrchr(host, '.', (size_t)(dot - host)) : NULL;
	if (!before)
		return false;
	(void)snprintf(share, SHARE_MAX, "%s", before + 1);
	return true;
}

static bool workload_of(const struct ebb_report_episode *e, char share[SHARE_MAX])
{
	(void)snprintf(share, SHARE_MAX, "%s", e->user);
	return share[0] != '\0';
}

static bool (*const shares[EBB_REPORT_SHARE_MAX])(const struct ebb_report_episode *e,
						  char share[SHARE_MAX]) = {
	[EBB_REPORT_SHARE_PREFIX] = prefix_of,
	[EBB_REPORT_SHARE_NAME] = name_of,
	[EBB_REPORT_SHARE_WORKLOAD] = workload_of,
};

/* ------------------------------------------------------------------- sweep -- */

static int by_share(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int r = strcmp(x->share, y->share);

	if (r == 0 && x->episode->begin_us != y->episode->begin_us)
		r = x->episode->begin_us < y->episode->begin_us ? -1 : 1;
	return r ? r : strcmp(x->episode->id, y->episode->id);
}

/* What is outside closed at the moment; one for each destination. */
struct sweep {
	const struct ebb_report_episode *active[ACTIVE_MAX];
	size_t count;
};

static void drop_ended(struct sweep *s, int64_t us)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->active[i]->end_us > us)
			s->active[kept++] = s->active[i];
	}
	s->count = kept;
}

static void add_active(struct sweep *s, const struct ebb_report_episode *e)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->active[i]->destination, e->destination) != 0)
			continue;
		if (s->active[i]->end_us < e->end_us)
			s->active[i] = e;
		return;
	}
	if (s->count < ACTIVE_MAX)
		s->active[s->count++] = e;
}

static void take_peak(const struct sweep *s, int64_t us, struct ebb_report_overlap *overlap)
{
	overlap->count = s->count;
	overlap->from_us = us;
	overlap->until_us = INT64_MAX;
	for (size_t i = 0; i < s->count; i++) {
		if (i < EBB_REPORT_OVERLAP_SHOWN)
			overlap->shown[i] = s->active[i]->destination;
		overlap->until_us = ebb_report_until(s->active[i]->end_us, overlap->until_us);
	}
}

/* The most at once among @count members of one share, and how often there were enough. */
static void sweep_group(const struct member *members, size_t count, struct sweep *s,
			struct ebb_report_overlap *overlap)
{
	size_t before = 0;

	s->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct ebb_report_episode *e = members[i].episode;

		drop_ended(s, e->begin_us);
		before = before < s->count ? before : s->count;
		add_active(s, e);
		if (s->count >= EBB_OVERLAP_LEAST && before < EBB_OVERLAP_LEAST)
			overlap->times++;
		if (s->count > overlap->count)
			take_peak(s, e->begin_us, overlap);
		before = s->count;
	}
}

/* ----------------------------------------------------------------- overlaps -- */

static bool same_peak(const struct ebb_report_overlap *a, const struct ebb_report_overlap *b)
{
	if (a->count != b->count || a->from_us != b->from_us || a->until_us != b->until_us)
		return false;
	for (size_t i = 0; i < a->count && i < EBB_REPORT_OVERLAP_SHOWN; i++) {
		if (strcmp(a->shown[i], b->shown[i]) != 0)
			return false;
	}
	return true;
}

/* Into the list; the same destinations at the same time share one thing more. */
static int add_overlap(struct ebb_report *report, size_t *io_room, const struct ebb_report_overlap *overlap,
		       enum ebb_report_share kind)
{
	struct ebb_report_overlap *list;

	for (size_t i = 0; i < report->overlap_count; i++) {
		list = &report->overlaps[i];
		if (!list->shares[kind] && same_peak(list, overlap)) {
			list->shares[kind] = overlap->shares[kind];
			return 0;
		}
	}
	list = ebb_report_grow(report->overlaps, report->overlap_count, io_room, sizeof(*list));
	if (!list)
		return -ENOMEM;
	report->overlaps = list;
	list[report->overlap_count++] = *overlap;
	return 0;
}

static int find_kind(struct ebb_report *report, enum ebb_report_share kind, struct member *members,
		     struct sweep *sweep, size_t *io_room)
{
	size_t count = 0;
	int r = 0;

	for (const struct ebb_report_episode *e = report->episodes; e; e = e->hh.next) {
		char share[SHARE_MAX];

		if (!shares[kind](e, share))
			continue;
		members[count].share = ebb_arena_text(&report->arena, share, strlen(share));
		if (!members[count].share)
			return -ENOMEM;
		members[count++].episode = e;
	}
	qsort(members, count, sizeof(*members), by_share);
	for (size_t from = 0, to; r == 0 && from < count; from = to) {
		struct ebb_report_overlap overlap = {0};

		for (to = from; to < count && strcmp(members[to].share, members[from].share) == 0;)
			to++;
		overlap.shares[kind] = members[from].share;
		sweep_group(members + from, to - from, sweep, &overlap);
		if (overlap.count >= EBB_OVERLAP_LEAST)
			r = add_overlap(report, io_room, &overlap, kind);
	}
	return r;
}

static int by_count(const void *a, const void *b)
{
	const struct ebb_report_overlap *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

int ebb_report_find_overlaps(struct ebb_report *report)
{
	struct member *members = calloc(HASH_COUNT(report->episodes) + 1, sizeof(*members));
	struct sweep *sweep = malloc(sizeof(*sweep));
	size_t room = 0;
	int r = members && sweep ? 0 : -ENOMEM;

	for (unsigned int kind = 0; r == 0 && kind < EBB_REPORT_SHARE_MAX; kind++)
		r = find_kind(report, (enum ebb_report_share)kind, members, sweep, &room);
	if (r == 0 && report->overlap_count)
		qsort(report->overlaps, report->overlap_count, sizeof(*report->overlaps), by_count);
	free(members);
	free(sweep);
	return r;
}

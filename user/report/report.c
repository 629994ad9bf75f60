/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/inside.h"
#include "report/patterns.h"

#define NS_PER_US 1000
#define US_PER_S  1000000
#define MINUTE_US (60LL * US_PER_S)
#define KEY_MAX	  2048
#define OTHER	  "~other"

int ebb_report_new(int64_t since_us, int64_t until_us, int64_t begin_us, struct ebb_report **ret_report)
{
	struct ebb_report *report = calloc(1, sizeof(*report));

	if (!report)
		return -ENOMEM;
	report->since_us = since_us;
	report->until_us = until_us;
	report->begin_us = begin_us;
	report->lost_at_us = INT64_MIN;
	*ret_report = report;
	return 0;
}

static void free_deed(struct ebb_report_deed *deed)
{
	free(deed->user);
	free(deed->what);
}

void ebb_report_free(struct ebb_report *report)
{
	if (!report)
		return;
	HASH_CLEAR(hh, report->pairs);
	HASH_CLEAR(hh, report->workloads);
	HASH_CLEAR(hh, report->destinations);
	HASH_CLEAR(hh, report->news);
	HASH_CLEAR(hh, report->episodes);
	HASH_CLEAR(hh, report->runs);
	HASH_CLEAR(hh, report->opens);
	HASH_CLEAR(hh, report->requests);
	HASH_CLEAR(hh, report->credentials);
	ebb_arena_done(&report->arena);
	for (size_t i = 0; i < report->deed_count; i++)
		free_deed(&report->deeds[i]);
	free(report->deeds);
	free(report->anew);
	free(report->gaps);
	free(report->overlaps);
	free((void *)report->hammers);
	free((void *)report->scanners);
	free((void *)report->strangers);
	free(report);
}

void *ebb_report_grow(void *array, size_t count, size_t *io_room, size_t size)
{
	size_t room = *io_room ? 2 * *io_room : 16;
	void *more;

	if (count < *io_room)
		return array;
	more = reallocarray(array, room, size);
	if (more)
		*io_room = room;
	return more;
}

static const char *keep(struct ebb_report *report, const char *text)
{
	return ebb_arena_text(&report->arena, text ? text : "", text ? strlen(text) : 0);
}

/* ----------------------------------------------------------------- counted -- */

/* "destination\0user". Its bytes; 0: it is too long. */
static size_t make_key(char key[KEY_MAX], const char *destination, const char *user)
{
	size_t a = strlen(destination), b = strlen(user);

	if (a + b + 1 > KEY_MAX)
		return 0;
	memcpy(key, destination, a + 1);
	memcpy(key + a + 1, user, b);
	return a + 1 + b;
}

/* Eight bytes at a time, each mixed by a multiplication (as in FNV-1a, of words). */
static uint32_t hash_of(const char *key, size_t length)
{
	uint64_t hash = length, word;

	for (; length >= sizeof(word); key += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, key, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, key, length);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(hash >> 32);
}

/* The key lies behind the pair. NULL: out of memory. */
static struct ebb_report_pair *add_pair(struct ebb_report *report, struct ebb_report_pair **table,
					const char *key, size_t length, uint32_t hash)
{
	struct ebb_report_pair *pair = ebb_arena_take(&report->arena, sizeof(*pair) + length + 1);
	char *kept = (char *)(pair + 1);

	if (!pair)
		return NULL;
	memcpy(kept, key, length);
	pair->destination = kept;
	pair->user = kept + strlen(kept) + 1;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *table, kept, length, hash, pair);
	return pair->hh.tbl ? pair : NULL;
}

/* @destination or @user is "" in the tables of all of one of them. NULL: out of memory. */
static struct ebb_report_pair *find_pair(struct ebb_report *report, struct ebb_report_pair **table,
					 const char *destination, const char *user)
{
	struct ebb_report_pair *pair;
	char key[KEY_MAX];
	size_t length = make_key(key, destination, user);
	uint32_t hash = hash_of(key, length);

	HASH_FIND_BYHASHVALUE(hh, *table, key, length, hash, pair);
	if (!pair && (HASH_COUNT(*table) >= EBB_REPORT_PAIRS_MAX || length == 0)) {
		length = make_key(key, OTHER, OTHER);
		hash = hash_of(key, length);
		HASH_FIND_BYHASHVALUE(hh, *table, key, length, hash, pair);
	}
	return pair ? pair : add_pair(report, table, key, length, hash);
}

/* Of a million rows most are of pairs that were met just now: they are remembered by their hash, as in a cache. */
static struct ebb_report_pair *recall_pair(struct ebb_report *report, const char *destination,
					   const char *user)
{
	struct ebb_report_pair **place, *pair;
	char key[KEY_MAX];
	size_t length = make_key(key, destination, user);

	place = &report->recent[hash_of(key, length) % EBB_REPORT_RECENT];
	pair = *place;
	if (pair && length && pair->hh.keylen == length && memcmp(pair->destination, key, length) == 0)
		return pair;
	pair = find_pair(report, &report->pairs, destination, user);
	*place = pair;
	return pair;
}

static void add_sums(struct ebb_report_sums *to, const struct ebb_report_sums *from)
{
	to->failed += from->failed;
	to->ok += from->ok;
	to->denied += from->denied;
	to->at_breaker += from->at_breaker;
	to->would += from->would;
}

/* Rows come in order; those of one minute count once. */
static void add_minute(struct ebb_report_minutes *minutes, int64_t us)
{
	if (minutes->count && us / MINUTE_US == minutes->last_us / MINUTE_US)
		return;
	if (minutes->count++ == 0)
		minutes->first_us = us;
	minutes->last_us = us;
}

static void look_for_hammer(struct ebb_report_pair *pair, const struct ebb_report_counted *c)
{
	if (c->sums.at_breaker < EBB_HAMMER_A_MINUTE)
		return;
	add_minute(&pair->hammered, c->us);
	pair->hammer_sum += c->sums.at_breaker;
	if (c->sums.at_breaker > pair->hammer_worst)
		pair->hammer_worst = c->sums.at_breaker;
}

static void look_for_scan(struct ebb_report_pair *workload, const struct ebb_report_counted *c)
{
	if (c->failing < EBB_SCAN_FAILING ||
	    (uint64_t)c->failing * 100 < (uint64_t)c->used * EBB_SCAN_SHARE_PERCENT)
		return;
	add_minute(&workload->scanned, c->us);
	if (c->failing > workload->scan_failing) {
		workload->scan_failing = c->failing;
		workload->scan_used = c->used;
	}
}

int ebb_report_counted(struct ebb_report *report, const struct ebb_report_counted *c)
{
	struct ebb_report_pair *pair = recall_pair(report, c->destination, c->user);

	if (!pair)
		return -ENOMEM;
	add_sums(&pair->sums, &c->sums);
	look_for_hammer(pair, c);
	if (c->failing >= EBB_SCAN_FAILING) {
		struct ebb_report_pair *workload = find_pair(report, &report->workloads, "", c->user);

		if (!workload)
			return -ENOMEM;
		look_for_scan(workload, c);
	}
	return 0;
}

/* -------------------------------------------------------------- first seen -- */

int ebb_report_first_seen(struct ebb_report *report, int64_t us, const char *destination, const char *user)
{
	struct ebb_report_new *new;

	HASH_FIND_STR(report->news, destination, new);
	if (new)
		return 0; /* it was forgotten meanwhile, and came again */
	if (HASH_COUNT(report->news) >= EBB_REPORT_NEW_MAX) {
		report->news_left_out++;
		return 0;
	}
	new = ebb_arena_take(&report->arena, sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct ebb_report_new){.destination = keep(report, destination),
				       .user = keep(report, user),
				       .us = us};
	if (!new->destination || !new->user)
		return -ENOMEM;
	HASH_ADD_KEYPTR(hh, report->news, new->destination, strlen(new->destination), new);
	return new->hh.tbl ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------ events -- */

static const char *text_of(const struct ebb_audit_record *record, const char *name)
{
	const char *text = json_string_value(json_object_get(record->event.details, name));

	return text ? text : "";
}

static int64_t number_of(const struct ebb_audit_record *record, const char *name, int64_t fallback)
{
	const json_t *value = json_object_get(record->event.details, name);

	return json_is_number(value) ? (int64_t)json_number_value(value) : fallback;
}

static int add_transition(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	const char *id = text_of(record, "episode");
	struct ebb_report_episode *episode;

	if (!id[0])
		return 0;
	HASH_FIND_STR(report->episodes, id, episode);
	if (!episode && HASH_COUNT(report->episodes) >= EBB_REPORT_EPISODES_MAX) {
		report->episodes_left_out++;
		return 0;
	}
	if (!episode) {
		episode = ebb_arena_take(&report->arena, sizeof(*episode));
		if (!episode)
			return -ENOMEM;
		*episode = (struct ebb_report_episode){
			.id = keep(report, id),
			.destination = keep(report, text_of(record, "destination")),
			.user = keep(report, record->event.user),
			.address = keep(report, record->event.address),
			.begin_us = us,
			.end_us = INT64_MAX,
			.earlier = strcmp(text_of(record, "from"), "closed") != 0,
		};
		if (!episode->id || !episode->destination || !episode->user || !episode->address)
			return -ENOMEM;
		HASH_ADD_KEYPTR(hh, report->episodes, episode->id, strlen(episode->id), episode);
		if (!episode->hh.tbl)
			return -ENOMEM;
	}
	episode->moved_us = us;
	if (strcmp(text_of(record, "to"), "closed") == 0)
		episode->end_us = us;
	return 0;
}

/* Where the next one goes: in the place of the oldest, when there are as many as are kept. NULL: out of memory. */
static struct ebb_report_deed *deed_place(struct ebb_report *report)
{
	struct ebb_report_deed *deeds, *place;

	if (report->deed_count == EBB_REPORT_DEEDS_MAX) {
		place = &report->deeds[report->deeds_left_out++ % EBB_REPORT_DEEDS_MAX];
		free_deed(place);
		return place;
	}
	deeds = ebb_report_grow(report->deeds, report->deed_count, &report->deed_room, sizeof(*deeds));
	if (!deeds)
		return NULL;
	report->deeds = deeds;
	return &deeds[report->deed_count++];
}

static int add_deed(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	const struct ebb_audit_event *event = &record->event;
	const char *what = text_of(record, event->type == EBB_AUDIT_OVERRIDE ? "command" : "file");
	struct ebb_report_deed *deed = deed_place(report);

	if (!deed)
		return -ENOMEM;
	*deed = (struct ebb_report_deed){.us = us,
					 .type = event->type,
					 .user = strdup(event->user ? event->user : ""),
					 .what = strdup(what)};
	return deed->user && deed->what ? 0 : -ENOMEM;
}

/* The oldest first. */
static int sort_deeds(struct ebb_report *report)
{
	size_t first = report->deeds_left_out % EBB_REPORT_DEEDS_MAX;
	struct ebb_report_deed *sorted;

	if (first == 0)
		return 0;
	sorted = calloc(report->deed_count, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < report->deed_count; i++)
		sorted[i] = report->deeds[(first + i) % report->deed_count];
	free(report->deeds);
	report->deeds = sorted;
	report->deed_room = report->deed_count;
	return 0;
}

static int add_tally(struct ebb_report *report, struct ebb_report_tally **table, const char *what,
		     uint64_t count, int64_t us)
{
	struct ebb_report_tally *tally;

	HASH_FIND_STR(*table, what, tally);
	if (!tally && HASH_COUNT(*table) >= EBB_REPORT_DEEDS_MAX)
		what = OTHER;
	if (!tally)
		HASH_FIND_STR(*table, what, tally);
	if (!tally) {
		tally = ebb_arena_take(&report->arena, sizeof(*tally));
		if (!tally)
			return -ENOMEM;
		tally->what = keep(report, what);
		tally->first_us = us;
		if (!tally->what)
			return -ENOMEM;
		HASH_ADD_KEYPTR(hh, *table, tally->what, strlen(tally->what), tally);
		if (!tally->hh.tbl)
			return -ENOMEM;
	}
	tally->count += count;
	tally->last_us = us;
	return 0;
}

static int add_request(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	char what[KEY_MAX];

	(void)snprintf(what, sizeof(what), "%s %s: %lld", text_of(record, "method"), text_of(record, "path"),
		       (long long)number_of(record, "status", 0));
	return add_tally(report, &report->requests, what, (uint64_t)number_of(record, "count", 1), us);
}

static int add_credentials(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	char what[KEY_MAX];

	(void)snprintf(what, sizeof(what), "%s at %s: %lld", text_of(record, "component"),
		       text_of(record, "address"), (long long)number_of(record, "status", 0));
	return add_tally(report, &report->credentials, what, 1, us);
}

/* ------------------------------------------------------------------- agent -- */

/* Enforcement that was lost is back, or nobody looks any more: of the time until @us what lies in the period. */
static void end_loss(struct ebb_report *report, int64_t from_us, int64_t us)
{
	report->lost_at_us = INT64_MIN;
	if (us <= report->since_us)
		return;
	/* one that began in the period is counted already */
	report->lost += from_us < report->since_us;
	report->lost_us += (uint64_t)(us - (from_us > report->since_us ? from_us : report->since_us));
}

static void lose(struct ebb_report *report, int64_t us)
{
	report->lost_at_us = us;
	report->lost += us >= report->since_us;
}

/* When it was lost may be before all that we see: how long it lasted is told. */
static void regain(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	double lasted_s = json_number_value(json_object_get(record->event.details, "lasted_s"));

	if (report->lost_at_us == INT64_MIN)
		lose(report, us - (lasted_s > 0 && lasted_s < 1e9 ? (int64_t)(lasted_s * US_PER_S) : 0));
	end_loss(report, report->lost_at_us, us);
}

/* Events of a run that ended before the present one began are of an agent beside it. */
static int note_run(struct ebb_report *report, const char *session)
{
	struct ebb_report_run *run;

	if (!session || !session[0] || (report->run && strcmp(report->run, session) == 0))
		return 0;
	HASH_FIND_STR(report->runs, session, run);
	if (run) {
		report->several = true;
	} else {
		run = ebb_arena_take(&report->arena, sizeof(*run));
		if (!run)
			return -ENOMEM;
		run->session = keep(report, session);
		if (!run->session)
			return -ENOMEM;
		HASH_ADD_KEYPTR(hh, report->runs, run->session, strlen(run->session), run);
		if (!run->hh.tbl)
			return -ENOMEM;
	}
	report->run = run->session;
	return 0;
}

static int note_anew(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us,
		     int64_t before_us)
{
	struct ebb_report_anew *anew;

	if (!json_is_false(json_object_get(record->event.details, "took_over")))
		return 0;
	anew = ebb_report_grow(report->anew, report->anew_count, &report->anew_room, sizeof(*anew));
	if (!anew)
		return -ENOMEM;
	report->anew = anew;
	anew[report->anew_count++] = (struct ebb_report_anew){us, before_us};
	return 0;
}

/* What was before it tells how long nobody watched. */
static int add_gap(struct ebb_report *report, int64_t us, int64_t before_us)
{
	struct ebb_report_gap *gaps;

	if (before_us == INT64_MIN)
		return 0;
	gaps = ebb_report_grow(report->gaps, report->gap_count, &report->gap_room, sizeof(*gaps));
	if (!gaps)
		return -ENOMEM;
	report->gaps = gaps;
	gaps[report->gap_count++] =
		(struct ebb_report_gap){.from_us = before_us, .to_us = us, .clean = report->stopped};
	return 0;
}

static int add_start(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us,
		     int64_t before_us)
{
	bool counts = us >= report->since_us;
	int r = note_anew(report, record, us, before_us);

	if (r == 0 && counts)
		r = add_gap(report, us, before_us);
	report->starts += counts;
	/* it looks for itself, and tells it again */
	if (report->lost_at_us != INT64_MIN)
		end_loss(report, report->lost_at_us, before_us > report->lost_at_us ? before_us : us);
	report->stopped = false;
	return r;
}

static void add_stop(struct ebb_report *report, int64_t us)
{
	report->stops += us >= report->since_us;
	if (report->lost_at_us != INT64_MIN)
		end_loss(report, report->lost_at_us, us);
	report->stopped = true;
}

/* What matters also where it was before the period. */
static int add_state(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us,
		     int64_t before_us)
{
	switch (record->event.type) {
	case EBB_AUDIT_AGENT_START:
		return add_start(report, record, us, before_us);
	case EBB_AUDIT_AGENT_STOP:
		add_stop(report, us);
		return 0;
	case EBB_AUDIT_BREAKER_TRANSITION:
		return add_transition(report, record, us);
	case EBB_AUDIT_ENFORCEMENT_LOST:
		lose(report, us);
		return 0;
	case EBB_AUDIT_ENFORCEMENT_BACK:
		regain(report, record, us);
		return 0;
	default:
		return 0;
	}
}

static int add_deed_or_sum(struct ebb_report *report, const struct ebb_audit_record *record, int64_t us)
{
	switch (record->event.type) {
	case EBB_AUDIT_OVERRIDE:
	case EBB_AUDIT_CONFIG_APPLIED:
		return add_deed(report, record, us);
	case EBB_AUDIT_CONFIG_REJECTED:
		report->rejected++;
		return add_deed(report, record, us);
	case EBB_AUDIT_NODE_FUSE:
		report->fuse++;
		return 0;
	case EBB_AUDIT_REQUEST_REFUSED:
		return add_request(report, record, us);
	case EBB_AUDIT_CREDENTIALS_REFUSED:
		return add_credentials(report, record, us);
	default:
		return 0;
	}
}

int ebb_report_event(struct ebb_report *report, const struct ebb_audit_record *record, int64_t before_us)
{
	int64_t us = record->event.realtime_ns / NS_PER_US;
	int r = 0;

	/* an order by hand may be told by the next agent, with the time at which it was given */
	if (record->event.type != EBB_AUDIT_OVERRIDE)
		r = note_run(report, record->event.session);
	if (r == 0)
		r = add_state(report, record, us, before_us);
	if (r == 0 && us >= report->since_us)
		r = add_deed_or_sum(report, record, us);
	return r;
}

/* ------------------------------------------------------------------ finish -- */

static int pair_order(const struct ebb_report_pair *a, const struct ebb_report_pair *b)
{
	int r = strcmp(a->destination, b->destination);

	return r ? r : strcmp(a->user, b->user);
}

static int by_sums(const struct ebb_report_pair *a, const struct ebb_report_pair *b)
{
	uint64_t x = a->sums.failed + a->sums.denied + a->sums.would;
	uint64_t y = b->sums.failed + b->sums.denied + b->sums.would;

	return x != y ? (x < y ? 1 : -1) : pair_order(a, b);
}

static int sum_up(struct ebb_report *report)
{
	for (struct ebb_report_pair *p = report->pairs; p; p = p->hh.next) {
		struct ebb_report_pair *d = find_pair(report, &report->destinations, p->destination, "");
		struct ebb_report_pair *w = find_pair(report, &report->workloads, "", p->user);
		const struct ebb_report_new *new;

		if (!d || !w)
			return -ENOMEM;
		add_sums(&d->sums, &p->sums);
		add_sums(&w->sums, &p->sums);
		add_sums(&report->all, &p->sums);
		if (p->sums.failed == 0 || p->sums.ok || strcmp(p->destination, OTHER) == 0)
			continue;
		w->dead++;
		HASH_FIND_STR(report->news, p->destination, new);
		w->dead_new += new &&new->us >= report->since_us;
	}
	HASH_SORT(report->pairs, by_sums);
	HASH_SORT(report->destinations, by_sums);
	HASH_SORT(report->workloads, by_sums);
	return 0;
}

static int by_open(const struct ebb_report_open *a, const struct ebb_report_open *b)
{
	if (a->total_us != b->total_us)
		return a->total_us < b->total_us ? 1 : -1;
	return strcmp(a->destination, b->destination);
}

/* Only what lies in the period counts. */
static int add_open(struct ebb_report *report, const struct ebb_report_episode *e)
{
	int64_t begin = e->begin_us > report->since_us ? e->begin_us : report->since_us;
	int64_t end = ebb_report_until(e->end_us, report->until_us);
	struct ebb_report_open *open;

	HASH_FIND_STR(report->opens, e->destination, open);
	if (!open) {
		open = ebb_arena_take(&report->arena, sizeof(*open));
		if (!open)
			return -ENOMEM;
		open->destination = e->destination;
		HASH_ADD_KEYPTR(hh, report->opens, open->destination, strlen(open->destination), open);
		if (!open->hh.tbl)
			return -ENOMEM;
	}
	open->count++;
	open->still += e->end_us > report->until_us;
	open->total_us += end - begin;
	open->longest_us = end - begin > open->longest_us ? end - begin : open->longest_us;
	return 0;
}

/* When @e was over, at the latest, since an agent found nothing to take over; INT64_MAX: none did. */
static int64_t end_by_anew(const struct ebb_report *report, const struct ebb_report_episode *e)
{
	for (size_t i = 0; i < report->anew_count; i++) {
		const struct ebb_report_anew *anew = &report->anew[i];

		if (anew->us > e->moved_us)
			return anew->before_us > e->moved_us ? anew->before_us : e->moved_us;
	}
	return INT64_MAX;
}

/*
 * Breakers are in the kernel: with what was pinned there they are gone, as far as we know since the last sign of life. Of several
 * nodes nobody knows whose breaker it was.
 */
static void end_what_was_not_taken_over(const struct ebb_report *report)
{
	for (struct ebb_report_episode *e = report->episodes; e && !report->several; e = e->hh.next) {
		if (e->end_us == INT64_MAX)
			e->end_us = end_by_anew(report, e);
	}
}

static int sum_up_episodes(struct ebb_report *report)
{
	struct ebb_report_episode *e, *next;
	int r = 0;

	HASH_ITER (hh, report->episodes, e, next) {
		if (e->end_us < report->since_us) {
			HASH_DEL(report->episodes, e);
			continue;
		}
		r = r < 0 ? r : add_open(report, e);
	}
	HASH_SORT(report->opens, by_open);
	return r;
}

int ebb_report_finish(struct ebb_report *report)
{
	int r = sum_up(report);

	if (report->lost_at_us != INT64_MIN)
		end_loss(report, report->lost_at_us, report->until_us);
	end_what_was_not_taken_over(report);
	if (r == 0)
		r = sort_deeds(report);
	if (r == 0)
		r = sum_up_episodes(report);
	if (r == 0)
		r = ebb_report_find_overlaps(report);
	if (r == 0)
		r = ebb_report_find_patterns(report);
	return r;
}

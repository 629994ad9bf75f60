/* SPDX-License-Identifier: Apache-2.0 */
/* What a report makes of written events: each pattern is found, and what only looks like it is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "report/inside.h"
#include "report/patterns.h"
#include "report/report.h"

#define SECOND 1000000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
/* 2026-11-29T00:00:00Z; the log is a day older */
#define SINCE  1795910400000000LL
#define UNTIL  (SINCE + 24 * HOUR)
#define BEGIN  (SINCE - 24 * HOUR)

static struct ebb_report *report;
static const char *session; /* of the agent that tells */

static int set_up(void **state)
{
	(void)state;
	session = "9f3c";
	return ebb_report_new(SINCE, UNTIL, BEGIN, &report);
}

static int tear_down(void **state)
{
	(void)state;
	ebb_report_free(report);
	return 0;
}

static void finish(void)
{
	assert_int_equal(ebb_report_finish(report), 0);
}

static void count(int64_t us, const char *user, const char *destination, struct ebb_report_sums sums,
		  uint32_t used, uint32_t failing)
{
	const struct ebb_report_counted counted = {.us = us,
						   .user = user,
						   .destination = destination,
						   .sums = sums,
						   .used = used,
						   .failing = failing};

	assert_int_equal(ebb_report_counted(report, &counted), 0);
}

static void denied_by_breaker(int64_t us, const char *user, const char *destination, uint64_t times)
{
	count(us, user, destination, (struct ebb_report_sums){.denied = times, .at_breaker = times}, 0, 0);
}

/* @details is taken over. */
static void happened(int64_t us, enum ebb_audit_type type, const char *user, json_t *details,
		     int64_t before_us)
{
	struct ebb_audit_record record = {.root = details,
					  .id = "",
					  .event = {.type = type,
						    .realtime_ns = us * 1000,
						    .user = user,
						    .session = session,
						    .address = "",
						    .outcome_details = "",
						    .details = details}};

	assert_non_null(details);
	assert_int_equal(ebb_report_event(report, &record, before_us), 0);
	ebb_audit_record_done(&record);
}

static void moved(int64_t us, const char *user, const char *destination, const char *episode,
		  const char *from, const char *to)
{
	happened(us, EBB_AUDIT_BREAKER_TRANSITION, user,
		 json_pack("{s:s, s:s, s:s, s:s}", "destination", destination, "episode", episode, "from",
			   from, "to", to),
		 INT64_MIN);
}

static void outside(int64_t from_us, int64_t to_us, const char *user, const char *destination,
		    const char *episode)
{
	moved(from_us, user, destination, episode, "closed", "open");
	moved(to_us, user, destination, episode, "half_open", "closed");
}

static void first_seen(int64_t us, const char *user, const char *destination)
{
	assert_int_equal(ebb_report_first_seen(report, us, destination, user), 0);
}

/* ------------------------------------------------------------------- sums -- */

static void what_happened_is_added_up(void **state)
{
	const struct ebb_report_pair *d, *w;

	(void)state;
	count(SINCE, "/web", "api", (struct ebb_report_sums){.failed = 5, .ok = 7}, 1, 0);
	count(SINCE + MINUTE, "/web", "api", (struct ebb_report_sums){.denied = 30, .at_breaker = 20}, 0, 0);
	count(SINCE, "/web", "db", (struct ebb_report_sums){.failed = 1}, 1, 0);
	count(SINCE, "/batch", "api", (struct ebb_report_sums){.would = 2}, 0, 0);
	finish();
	d = report->destinations;
	assert_string_equal(d->destination, "api");
	assert_int_equal(d->sums.failed, 5);
	assert_int_equal(d->sums.denied, 30);
	assert_int_equal(d->sums.at_breaker, 20);
	assert_int_equal(d->sums.would, 2);
	assert_string_equal(((struct ebb_report_pair *)d->hh.next)->destination, "db");
	w = report->workloads;
	assert_string_equal(w->user, "/web");
	assert_int_equal(w->sums.failed, 6);
	assert_int_equal(report->all.failed, 6);
	assert_int_equal(report->all.would, 2);
}

static void time_outside_closed_is_that_of_the_period(void **state)
{
	const struct ebb_report_open *o;

	(void)state;
	outside(SINCE + HOUR, SINCE + HOUR + 10 * MINUTE, "/web", "api", "e1");
	outside(SINCE + 2 * HOUR, SINCE + 2 * HOUR + MINUTE, "/web", "api", "e2");
	/* from before, of which the first moves are not known */
	moved(SINCE - HOUR, "/web", "db", "e3", "half_open", "open");
	moved(SINCE + 5 * MINUTE, "/web", "db", "e3", "half_open", "closed");
	/* all of it before */
	outside(SINCE - 2 * HOUR, SINCE - HOUR, "/web", "old", "e4");
	/* goes on */
	moved(UNTIL - 3 * MINUTE, "/web", "now", "e5", "closed", "open");
	moved(UNTIL - 2 * MINUTE, "/web", "now", "e5", "open", "half_open");
	finish();
	o = report->opens;
	assert_string_equal(o->destination, "api");
	assert_int_equal(o->count, 2);
	assert_int_equal(o->total_us, 11 * MINUTE);
	assert_int_equal(o->longest_us, 10 * MINUTE);
	assert_int_equal(o->still, 0);
	o = o->hh.next;
	assert_string_equal(o->destination, "db");
	assert_int_equal(o->total_us, 5 * MINUTE);
	o = o->hh.next;
	assert_string_equal(o->destination, "now");
	assert_int_equal(o->total_us, 3 * MINUTE);
	assert_int_equal(o->still, 1);
	assert_null(o->hh.next);
}

static void changes_and_refusals_are_told(void **state)
{
	(void)state;
	happened(SINCE - 1, EBB_AUDIT_OVERRIDE, "1000", json_pack("{s:s}", "command", "before it"),
		 INT64_MIN);
	happened(SINCE, EBB_AUDIT_OVERRIDE, "1000", json_pack("{s:s}", "command", "mode observe"), INT64_MIN);
	happened(SINCE + 1, EBB_AUDIT_CONFIG_REJECTED, "", json_pack("{s:s, s:s}", "file", "f", "why", "w"),
		 INT64_MIN);
	for (int i = 0; i < 2; i++)
		happened(SINCE + MINUTE * i, EBB_AUDIT_REQUEST_REFUSED, "",
			 json_pack("{s:s, s:s, s:i, s:i}", "method", "PUT", "path", "/", "status", 405,
				   "count", 3),
			 INT64_MIN);
	happened(SINCE, EBB_AUDIT_CREDENTIALS_REFUSED, "",
		 json_pack("{s:s, s:s, s:i}", "component", "kubelet", "address", "a", "status", 401),
		 INT64_MIN);
	finish();
	assert_int_equal(report->deed_count, 2);
	assert_string_equal(report->deeds[0].what, "mode observe");
	assert_string_equal(report->deeds[0].user, "1000");
	assert_int_equal(report->rejected, 1);
	assert_string_equal(report->requests->what, "PUT /: 405");
	assert_int_equal(report->requests->count, 6);
	assert_int_equal(report->requests->last_us, SINCE + MINUTE);
	assert_string_equal(report->credentials->what, "kubelet at a: 401");
}

/* Of more than are kept the last ones are. */
static void the_newest_changes_are_kept(void **state)
{
	char command[32];

	(void)state;
	for (int i = 0; i < EBB_REPORT_DEEDS_MAX + 3; i++) {
		(void)snprintf(command, sizeof(command), "order %d", i);
		happened(SINCE + i, EBB_AUDIT_OVERRIDE, "1000", json_pack("{s:s}", "command", command),
			 INT64_MIN);
	}
	finish();
	assert_int_equal(report->deed_count, EBB_REPORT_DEEDS_MAX);
	assert_int_equal(report->deeds_left_out, 3);
	for (int i = 0; i < EBB_REPORT_DEEDS_MAX; i++) {
		(void)snprintf(command, sizeof(command), "order %d", i + 3);
		assert_string_equal(report->deeds[i].what, command);
	}
}

static void the_agent_was_away(void **state)
{
	(void)state;
	happened(SINCE + HOUR, EBB_AUDIT_AGENT_STOP, "", json_object(), INT64_MIN);
	happened(SINCE + 2 * HOUR, EBB_AUDIT_AGENT_START, "", json_object(), SINCE + HOUR);
	happened(SINCE + 4 * HOUR, EBB_AUDIT_AGENT_START, "", json_object(), SINCE + 3 * HOUR);
	finish();
	assert_int_equal(report->starts, 2);
	assert_int_equal(report->gap_count, 2);
	assert_true(report->gaps[0].clean);
	assert_false(report->gaps[1].clean);
	assert_int_equal(report->gaps[1].to_us - report->gaps[1].from_us, HOUR);
}

/* That it was stopped in order before the period is known in it. */
static void an_agent_that_was_stopped_before_ended_in_order(void **state)
{
	(void)state;
	happened(SINCE - HOUR, EBB_AUDIT_AGENT_STOP, "", json_object(), INT64_MIN);
	happened(SINCE + HOUR, EBB_AUDIT_AGENT_START, "", json_object(), SINCE - HOUR);
	finish();
	assert_int_equal(report->starts, 1);
	assert_int_equal(report->stops, 0);
	assert_int_equal(report->gap_count, 1);
	assert_true(report->gaps[0].clean);
}

static void and_one_that_was_started_again_did_not(void **state)
{
	(void)state;
	happened(SINCE - 2 * HOUR, EBB_AUDIT_AGENT_STOP, "", json_object(), INT64_MIN);
	happened(SINCE - HOUR, EBB_AUDIT_AGENT_START, "", json_object(), SINCE - 2 * HOUR);
	happened(SINCE + HOUR, EBB_AUDIT_AGENT_START, "", json_object(), SINCE - HOUR);
	finish();
	assert_int_equal(report->gap_count, 1);
	assert_false(report->gaps[0].clean);
}

static void started(int64_t us, bool took_over, int64_t before_us)
{
	happened(us, EBB_AUDIT_AGENT_START, "", json_pack("{s:b}", "took_over", took_over), before_us);
}

/* A machine that was started again has no open breakers: they ended with the last that was heard. */
static void what_no_agent_took_over_is_over(void **state)
{
	const struct ebb_report_open *o;

	(void)state;
	moved(SINCE + HOUR, "/web", "api", "e1", "closed", "open");
	session = "aaaa";
	started(SINCE + 2 * HOUR, true, SINCE + 2 * HOUR - MINUTE);
	moved(SINCE + 3 * HOUR, "/web", "db", "e2", "closed", "open");
	session = "bbbb";
	started(SINCE + 6 * HOUR, false, SINCE + 5 * HOUR);
	moved(SINCE + 7 * HOUR, "/web", "new", "e3", "closed", "open");
	finish();
	o = report->opens;
	assert_string_equal(o->destination, "new");
	assert_int_equal(o->still, 1);
	assert_int_equal(o->total_us, 17 * HOUR);
	o = o->hh.next;
	assert_string_equal(o->destination, "api");
	assert_int_equal(o->still, 0);
	assert_int_equal(o->total_us, 4 * HOUR);
	o = o->hh.next;
	assert_string_equal(o->destination, "db");
	assert_int_equal(o->total_us, 2 * HOUR);
}

/* A log of several nodes does not say on which of them a breaker is: another one's start ends none. */
static void another_nodes_start_ends_nothing(void **state)
{
	(void)state;
	moved(SINCE + HOUR, "/web", "api", "e1", "closed", "open");
	session = "bbbb";
	started(SINCE + 2 * HOUR, false, SINCE + HOUR);
	session = "9f3c";
	moved(SINCE + 3 * HOUR, "/web", "db", "e2", "closed", "open");
	finish();
	assert_int_equal(report->opens->still, 1);
	assert_int_equal(report->opens->total_us, 23 * HOUR);
}

static void lost(int64_t us)
{
	happened(us, EBB_AUDIT_ENFORCEMENT_LOST, "", json_pack("{s:s}", "component", "programs"), INT64_MIN);
}

static void back(int64_t us, double lasted_s)
{
	happened(us, EBB_AUDIT_ENFORCEMENT_BACK, "", json_pack("{s:f}", "lasted_s", lasted_s), INT64_MIN);
}

/* To the part of a second, and only what lies in the period; also where its beginning or its end does not. */
static void the_time_without_enforcement_is_that_of_the_period(void **state)
{
	(void)state;
	lost(SINCE - HOUR);
	back(SINCE + MINUTE, 3660);
	lost(SINCE + HOUR);
	back(SINCE + HOUR + SECOND / 2, 0.5);
	/* its agent was killed */
	lost(SINCE + 2 * HOUR);
	started(SINCE + 4 * HOUR, true, SINCE + 3 * HOUR);
	/* goes on */
	lost(UNTIL - 10 * MINUTE);
	finish();
	assert_int_equal(report->lost, 4);
	assert_int_equal(report->lost_us, MINUTE + SECOND / 2 + HOUR + 10 * MINUTE);
}

static void enforcement_that_came_back_before_is_no_matter(void **state)
{
	(void)state;
	lost(SINCE - HOUR);
	back(SINCE - MINUTE, 3540);
	/* of which only the end is in the log */
	back(SINCE + MINUTE, 90);
	finish();
	assert_int_equal(report->lost, 1);
	assert_int_equal(report->lost_us, MINUTE);
}

/* ----------------------------------------------------------------- hammer -- */

static void who_does_not_back_off_hammers(void **state)
{
	const struct ebb_report_pair *p;

	(void)state;
	for (int minute = 0; minute < EBB_HAMMER_MINUTES; minute++)
		denied_by_breaker(SINCE + minute * MINUTE, "/web", "api",
				  EBB_HAMMER_A_MINUTE + (uint64_t)minute);
	denied_by_breaker(SINCE + HOUR, "/web", "api", 1);
	finish();
	assert_int_equal(report->hammer_count, 1);
	p = report->hammers[0];
	assert_string_equal(p->user, "/web");
	assert_string_equal(p->destination, "api");
	assert_int_equal(p->hammered.count, EBB_HAMMER_MINUTES);
	assert_int_equal(p->hammer_worst, EBB_HAMMER_A_MINUTE + EBB_HAMMER_MINUTES - 1);
	assert_int_equal(p->hammered.last_us, SINCE + (EBB_HAMMER_MINUTES - 1) * MINUTE);
}

/* 50 processes that wait 1, 2, 4, ... 32 s and then 32 s each: 300 in the first minute, then under 100. */
static void who_backs_off_does_not(void **state)
{
	(void)state;
	for (int minute = 0; minute < 60; minute++) {
		uint64_t times = 0;

		for (int at = 0, wait = 1; at < 3600; at += wait, wait = wait < 32 ? 2 * wait : 32)
			times += at / 60 == minute;
		denied_by_breaker(SINCE + minute * MINUTE, "/batch", "api", 50 * times);
	}
	finish();
	assert_int_equal(report->hammer_count, 0);
}

/* A burst of one busy moment; limits that refuse; a breaker that only would. */
static void a_burst_or_a_limit_is_no_hammer(void **state)
{
	(void)state;
	denied_by_breaker(SINCE, "/web", "api", 100000);
	denied_by_breaker(SINCE + 1, "/web", "api", 100000);
	denied_by_breaker(SINCE + 2, "/web", "api", 100000);
	for (int minute = 0; minute < 60; minute++) {
		count(SINCE + minute * MINUTE, "/web", "db", (struct ebb_report_sums){.denied = 100000}, 0,
		      0);
		count(SINCE + minute * MINUTE, "/web", "cache", (struct ebb_report_sums){.would = 100000}, 0,
		      0);
	}
	finish();
	assert_int_equal(report->hammer_count, 0);
}

/* ------------------------------------------------------------------- scan -- */

/* @user uses @used new destinations in a minute, @failing of them without a success. */
static void fan_out(int64_t us, const char *user, uint32_t used, uint32_t failing, bool new)
{
	for (uint32_t i = 0; i < used; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "10.%u.0.%u:22/tcp", (unsigned int)(us / MINUTE % 200), i);
		first_seen(new ? us : BEGIN, user, name);
		if (i < failing)
			count(us, user, name, (struct ebb_report_sums){.failed = 1}, used, failing);
	}
}

static void who_tries_many_that_do_not_answer_scans(void **state)
{
	const struct ebb_report_pair *w;

	(void)state;
	fan_out(SINCE + 2 * HOUR, "/evil", 40, 36, true);
	fan_out(SINCE + 2 * HOUR + MINUTE, "/evil", 25, 25, true);
	finish();
	assert_int_equal(report->scanner_count, 1);
	w = report->scanners[0];
	assert_string_equal(w->user, "/evil");
	assert_int_equal(w->scanned.count, 2);
	assert_int_equal(w->scan_failing, 36);
	assert_int_equal(w->scan_used, 40);
	assert_int_equal(w->dead, 61);
	assert_int_equal(w->dead_new, 61);
	/* what it tried is not told twice */
	assert_int_equal(report->stranger_count, 0);
}

static void a_crawler_with_healthy_destinations_does_not(void **state)
{
	(void)state;
	fan_out(SINCE + 2 * HOUR, "/crawler", 1000, 300, true);
	finish();
	assert_int_equal(report->scanner_count, 0);
}

/* All that it knows is away. */
static void an_outage_is_no_scan(void **state)
{
	(void)state;
	fan_out(SINCE + 2 * HOUR, "/web", 40, 40, false);
	/* and a small program that begins in it */
	fan_out(SINCE + 3 * HOUR, "/small", EBB_SCAN_FAILING - 1, EBB_SCAN_FAILING - 1, true);
	finish();
	assert_int_equal(report->scanner_count, 0);
}

/* They answered at another time. */
static void what_answered_once_is_no_scan(void **state)
{
	(void)state;
	fan_out(SINCE + 2 * HOUR, "/web", 40, 40, true);
	for (uint32_t i = 0; i < 40; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "10.%u.0.%u:22/tcp",
			       (unsigned int)((SINCE + 2 * HOUR) / MINUTE % 200), i);
		count(SINCE + 3 * HOUR, "/web", name, (struct ebb_report_sums){.failed = 1, .ok = 9}, 40, 0);
	}
	finish();
	assert_int_equal(report->scanner_count, 0);
}

/* -------------------------------------------------------------- strangers -- */

static void what_was_never_seen_before_is_told(void **state)
{
	(void)state;
	first_seen(BEGIN, "/web", "known");
	first_seen(SINCE + HOUR, "/web", "stranger");
	/* forgotten meanwhile, and met again */
	first_seen(SINCE + HOUR, "/web", "known");
	first_seen(SINCE + HOUR, "/batch", "another");
	finish();
	assert_int_equal(report->stranger_count, 2);
	assert_string_equal(report->strangers[0]->destination, "another");
	assert_string_equal(report->strangers[1]->destination, "stranger");
	assert_int_equal(ebb_report_strangers_of(report, 0), 1);
}

static void to_a_log_that_has_just_begun_all_is_new(void **state)
{
	(void)state;
	report->begin_us = SINCE + HOUR;
	first_seen(SINCE + HOUR + 1, "/web", "a");
	first_seen(SINCE + 2 * HOUR - 1, "/web", "b");
	first_seen(SINCE + 2 * HOUR, "/web", "c");
	finish();
	assert_int_equal(report->stranger_count, 1);
	assert_string_equal(report->strangers[0]->destination, "c");
}

/* ---------------------------------------------------------------- overlap -- */

static void neighbours_that_open_at_once_are_told(void **state)
{
	const struct ebb_report_overlap *o;

	(void)state;
	outside(SINCE, SINCE + 10 * MINUTE, "/web", "10.0.7.1:1/tcp", "e1");
	outside(SINCE + MINUTE, SINCE + 8 * MINUTE, "/batch", "10.0.7.2:1/tcp", "e2");
	outside(SINCE + 2 * MINUTE, SINCE + 9 * MINUTE, "/cron", "10.0.7.200:1/tcp", "e3");
	outside(SINCE + 2 * MINUTE, SINCE + 9 * MINUTE, "/other", "10.0.8.1:1/tcp", "e4");
	finish();
	assert_int_equal(report->overlap_count, 1);
	o = report->overlaps;
	assert_string_equal(o->shares[EBB_REPORT_SHARE_PREFIX], "10.0.7.0/24");
	assert_null(o->shares[EBB_REPORT_SHARE_NAME]);
	assert_null(o->shares[EBB_REPORT_SHARE_WORKLOAD]);
	assert_int_equal(o->count, 3);
	assert_int_equal(o->from_us, SINCE + 2 * MINUTE);
	assert_int_equal(o->until_us, SINCE + 8 * MINUTE);
	assert_int_equal(o->times, 1);
}

static void names_and_workloads_are_shared_too(void **state)
{
	(void)state;
	outside(SINCE, SINCE + MINUTE, "/web", "a.x.example.com:443", "e1");
	outside(SINCE, SINCE + MINUTE, "/web", "b.example.com:443", "e2");
	moved(SINCE, "/web", "c.y.example.com:443", "e3", "closed", "open");
	finish();
	assert_int_equal(report->overlap_count, 1);
	assert_string_equal(report->overlaps[0].shares[EBB_REPORT_SHARE_NAME], "example.com");
	assert_string_equal(report->overlaps[0].shares[EBB_REPORT_SHARE_WORKLOAD], "/web");
	assert_int_equal(report->overlaps[0].until_us, SINCE + MINUTE);
}

static void addresses_of_ipv6_share_64_bits(void **state)
{
	(void)state;
	outside(SINCE, SINCE + MINUTE, "/a", "[2001:db8::1]:443/tcp", "e1");
	outside(SINCE, SINCE + MINUTE, "/b", "[2001:db8::ffff:1]:443/tcp", "e2");
	outside(SINCE, SINCE + MINUTE, "/c", "[2001:db8::2:0:0:1]:443/tcp", "e3");
	outside(SINCE, SINCE + MINUTE, "/d", "[2001:db8:0:1::1]:443/tcp", "e4");
	finish();
	assert_int_equal(report->overlap_count, 1);
	assert_string_equal(report->overlaps[0].shares[EBB_REPORT_SHARE_PREFIX], "2001:db8::/64");
	assert_int_equal(report->overlaps[0].count, 3);
}

/* One behind the other; the same one again; two only. */
static void what_does_not_overlap_is_not_told(void **state)
{
	(void)state;
	outside(SINCE, SINCE + MINUTE, "/a", "10.0.7.1:1/tcp", "e1");
	outside(SINCE + MINUTE, SINCE + 2 * MINUTE, "/a", "10.0.7.2:1/tcp", "e2");
	outside(SINCE + 2 * MINUTE, SINCE + 3 * MINUTE, "/a", "10.0.7.3:1/tcp", "e3");
	for (int i = 0; i < 5; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "f%d", i);
		moved(SINCE + HOUR, "/b", "10.0.9.1:1/tcp", id, "closed", "open");
	}
	outside(SINCE + HOUR, SINCE + 2 * HOUR, "/b", "10.0.9.2:1/tcp", "e9");
	finish();
	assert_int_equal(report->overlap_count, 0);
}

static void it_is_counted_how_often(void **state)
{
	(void)state;
	for (int64_t round = 0; round < 4; round++) {
		for (int i = 0; i < 3; i++) {
			char id[32], name[32];

			(void)snprintf(id, sizeof(id), "e%d-%d", (int)round, i);
			(void)snprintf(name, sizeof(name), "10.0.7.%d:1/tcp", i);
			outside(SINCE + round * HOUR, SINCE + round * HOUR + MINUTE, "", name, id);
		}
	}
	finish();
	assert_int_equal(report->overlap_count, 1);
	assert_int_equal(report->overlaps[0].times, 4);
}

/* ----------------------------------------------------------------- output -- */

static void an_empty_time_is_told(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_t *root;

	(void)state;
	assert_non_null(out);
	finish();
	assert_int_equal(ebb_report_text(report, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "Suspicious\n  nothing\n"));
	free(text);
	root = ebb_report_json(report);
	assert_non_null(root);
	assert_int_equal(json_array_size(json_object_get(root, "pairs")), 0);
	json_decref(root);
}

static void names_cannot_steer_a_terminal(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	for (int minute = 0; minute < 5; minute++)
		denied_by_breaker(SINCE + minute * MINUTE, "/w\x1b[31m", "a\npi", 1000);
	finish();
	assert_int_equal(ebb_report_text(report, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_null(strchr(text, '\x1b'));
	assert_non_null(strstr(text, "/w\\x1b[31m hammers the open breaker of a\\x0api\n"));
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_happened_is_added_up),
		TEST(time_outside_closed_is_that_of_the_period),
		TEST(changes_and_refusals_are_told),
		TEST(the_agent_was_away),
		TEST(the_newest_changes_are_kept),
		TEST(an_agent_that_was_stopped_before_ended_in_order),
		TEST(and_one_that_was_started_again_did_not),
		TEST(what_no_agent_took_over_is_over),
		TEST(another_nodes_start_ends_nothing),
		TEST(the_time_without_enforcement_is_that_of_the_period),
		TEST(enforcement_that_came_back_before_is_no_matter),
		TEST(who_does_not_back_off_hammers),
		TEST(who_backs_off_does_not),
		TEST(a_burst_or_a_limit_is_no_hammer),
		TEST(who_tries_many_that_do_not_answer_scans),
		TEST(a_crawler_with_healthy_destinations_does_not),
		TEST(an_outage_is_no_scan),
		TEST(what_answered_once_is_no_scan),
		TEST(what_was_never_seen_before_is_told),
		TEST(to_a_log_that_has_just_begun_all_is_new),
		TEST(neighbours_that_open_at_once_are_told),
		TEST(names_and_workloads_are_shared_too),
		TEST(addresses_of_ipv6_share_64_bits),
		TEST(what_does_not_overlap_is_not_told),
		TEST(it_is_counted_how_often),
		TEST(an_empty_time_is_told),
		TEST(names_cannot_steer_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the audit log: the database and the files of JSON lines give the same, and who follows gets each event once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/audit_follow.h"
#include "export/audit_query.h"
#include "export/sink_jsonl.h"
#include "export/sink_sqlite.h"
#include "tests/lib/batch.h"
#include "tests/lib/temp_dir.h"

#define SECOND 1000000000LL
#define HOUR   (3600 * SECOND)
#define NOW    (1700000000 * SECOND)

static char dir[TEMP_DIR_MAX], database[128], lines[128];
static struct ebb_sink sqlite, jsonl;

static int set_up(void **state)
{
	struct ebb_sink_sqlite_setup to_database = {.path = database, .keep_ns = HOUR};
	struct ebb_sink_jsonl_setup to_lines = {.path = lines, .max_bytes = 1 << 20, .keep = 1};

	(void)state;
	if (temp_dir_make("query", dir) < 0)
		return -1;
	(void)snprintf(database, sizeof(database), "%s/audit.db", dir);
	(void)snprintf(lines, sizeof(lines), "%s/audit.jsonl", dir);
	return ebb_sink_sqlite_new(&to_database, &sqlite) < 0 || ebb_sink_jsonl_new(&to_lines, &jsonl) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	sqlite.ops->free(sqlite.data);
	jsonl.ops->free(jsonl.data);
	return temp_dir_remove(dir);
}

/* To both. */
static void put(int64_t realtime_ns, const char *details)
{
	struct batch *batch = batch_of(EBB_AUDIT_DENIALS, realtime_ns, details);
	struct ebb_why why = {0};

	if (batch_offer(&sqlite, batch, &why) != EBB_SINK_DONE ||
	    batch_offer(&jsonl, batch, &why) != EBB_SINK_DONE)
		fail_msg("%s", why.text);
	batch_free(batch);
}

/* ------------------------------------------------------------------ query -- */

static int add_one(void *userdata, const struct ebb_audit_record *record, struct ebb_why *why)
{
	(void)record;
	(void)why;
	++*(int *)userdata;
	return 0;
}

static void is_told(const struct ebb_audit_query *query, int count, const char *what)
{
	uint64_t unknown = 0;
	int of_database = 0, of_lines = 0;
	struct ebb_why why = {0};

	if (ebb_audit_query_sqlite(database, query, add_one, &of_database, &unknown, &why) < 0 ||
	    ebb_audit_query_files(lines, 1, query, add_one, &of_lines, &unknown, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(unknown, 0);
	if (of_database != count || of_lines != count)
		fail_msg("%s: %d of the database and %d of the lines, not %d", what, of_database, of_lines,
			 count);
}

/* By their own names, whatever characters are in them, or by patterns. */
static void what_is_asked_for_by_name_is_found(void **state)
{
	static const char *const destinations[] = {
		"[2001:db8::5]:443/tcp", "2:443/tcp",	  "10.0.0.53:53/udp", "10.0.0.53:53/tcp",
		"a\\\\x0ab:80/tcp",	 "axx0ab:80/tcp", "what?*",	      "what is it",
	};
	static const char *const workloads[] = {"/system.slice/a[b].service", "/system.slice/ab.service"};
	static const struct {
		const char *destination, *workload;
		int count;
	} cases[] = {
		{"[2001:db8::5]:443/tcp", NULL, 2}, /* "2:443/tcp" is one as a pattern */
		{"[2001:db8::5]:443", NULL, 1},
		{"[[]2001:db8::5]:443/tcp", NULL, 1},
		{"[[]*", NULL, 1},
		{"10.0.0.53:53", NULL, 2},
		{"10.0.0.53:53/udp", NULL, 1},
		{"10.0.0.53*", NULL, 2},
		{"a\\x0ab:80", NULL, 1},
		{"a\\x0ab:80/tcp", NULL, 1},
		{"what?*", NULL, 2},
		{"what", NULL, 0},
		{NULL, "a[b].service", 8},
		{NULL, "ab.service", 8},
		{NULL, "*.service", 16},
		{NULL, "b].service", 0},
	};

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		char details[256];

		(void)snprintf(details, sizeof(details), "{\"destination\": \"%s\", \"workload\": \"%s\"}",
			       destinations[i % 8], workloads[i / 8]);
		/* the id follows from the time */
		put(NOW + (int64_t)i * SECOND, details);
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ebb_audit_query query = {.until_ns = INT64_MAX,
						      .destination = cases[i].destination,
						      .workload = cases[i].workload};

		/* each destination is that of both workloads */
		is_told(&query, cases[i].destination ? 2 * cases[i].count : cases[i].count,
			cases[i].destination ? cases[i].destination : cases[i].workload);
	}
}

/* ----------------------------------------------------------------- follow -- */

static void is_followed(const struct ebb_audit_follow *follow, int count)
{
	struct ebb_why why = {0};
	int told = 0;

	if (follow->ops->take(follow->data, add_one, &told, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(told, count);
}

/* An event that is older than what is kept, since no sink took it at first, is told once and removed: nothing is told again. */
static void what_comes_late_and_goes_is_told_once(void **state)
{
	const struct ebb_audit_query query = {0};
	struct ebb_audit_follow follow;

	(void)state;
	for (int i = 0; i < 3; i++)
		put(NOW + i * SECOND, "{}");
	assert_int_equal(ebb_audit_follow_sqlite(database, &query, false, &follow), 0);
	is_followed(&follow, 0);
	put(NOW - 2 * HOUR, "{}");
	is_followed(&follow, 1);
	sqlite.ops->upkeep(sqlite.data, NOW);
	is_followed(&follow, 0);
	put(NOW + 3 * SECOND, "{}");
	is_followed(&follow, 1);
	sqlite.ops->upkeep(sqlite.data, NOW);
	is_followed(&follow, 0);
	follow.ops->free(follow.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_asked_for_by_name_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_comes_late_and_goes_is_told_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

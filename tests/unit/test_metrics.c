/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scrape says. Run from the root of the source: the expected texts are
 * tests/unit/golden/ and docs/metrics.md, which EBB_UPDATE=1 writes anew.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <sys/wait.h>

#include "core/hist.h"
#include "core/limit.h"
#include "export/metrics.h"
#include "lib/cleanup.h"
#include "tests/lib/scrape.h"
#include "tests/lib/small_node.h"

/* ---------------------------------------------------------------- helpers -- */

/* Puts '?' for what differs from run to run: the numbers of this process, and the compiler. */
static char *normalized(const char *text)
{
	char *out = NULL;
	size_t length = 0;
	FILE *f = open_memstream(&out, &length);

	assert_non_null(f);
	for (const char *line = text; *line;) {
		const char *end = strchr(line, '\n') + 1;
		size_t keep = (size_t)(end - line);

		if (strncmp(line, "process_", 8) == 0 && strncmp(line, "process_start", 13) != 0)
			keep = strcspn(line, " ");
		else if (strncmp(line, "ebb_memory_bytes{kind=\"anon", 27) == 0)
			keep = strcspn(line, " ");
		else if (strncmp(line, "ebb_build_info", 14) == 0)
			keep = strcspn(line, ",");
		(void)fprintf(f, "%.*s%s", (int)keep, line, keep < (size_t)(end - line) ? " ?\n" : "");
		line = end;
	}
	assert_int_equal(fclose(f), 0);
	return out;
}

static void assert_same_as_file(const char *text, const char *path)
{
	_cleanup_free_ char *expected = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	size_t size = 0;

	if (getenv("EBB_UPDATE")) {
		file = fopen(path, "we");
		assert_non_null(file);
		assert_true(fputs(text, file) >= 0);
		return;
	}
	file = fopen(path, "re");
	if (!file)
		fail_msg("cannot open %s: run from the root of the source", path);
	if (getdelim(&expected, &size, '\0', file) < 0)
		fail_msg("cannot read %s", path);
	if (strcmp(text, expected) != 0)
		fail_msg("%s differs; EBB_UPDATE=1 writes it anew. What we have:\n%s", path, text);
}

/* Gives @text to a shell command; a missing tool is a failure where tools are required. */
static void assert_accepted(const char *tool, const char *command, const char *text)
{
	FILE *pipe = popen(command, "we");
	int status;

	assert_non_null(pipe);
	(void)fputs(text, pipe);
	status = pclose(pipe);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		if (getenv("EBB_REQUIRE") || getenv("CI"))
			fail_msg("%s is missing", tool);
		print_message("skipped: %s is missing\n", tool);
		skip();
	}
	if (status != 0)
		fail_msg("%s refuses it (status %d)", tool, status);
}

/* ---------------------------------------------------------------- names -- */

static void a_destination_is_named_by_its_endpoint(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		uint8_t proto;
		const char *name;
	} cases[] = {
		{"10.0.0.5", 443, IPPROTO_TCP, "10.0.0.5:443/tcp"},
		{"255.255.255.255", 65535, IPPROTO_UDP, "255.255.255.255:65535/udp"},
		{"0.0.0.0", 0, IPPROTO_TCP, "0.0.0.0:0/tcp"},
		{"2001:db8::5", 443, IPPROTO_TCP, "[2001:db8::5]:443/tcp"},
		{"::ffff:192.0.2.1", 80, IPPROTO_TCP, "192.0.2.1:80/tcp"},
		{"::", 53, IPPROTO_UDP, "[::]:53/udp"},
		{"::1", 9, IPPROTO_SCTP, "[::1]:9/132"},
		{"2001:db8:1111:2222:3333:4444:5555:6666", 65535, 255,
		 "[2001:db8:1111:2222:3333:4444:5555:6666]:65535/255"},
	};
	struct fake *fake = fake_new(4, 4);
	char name[EBB_DST_NAME_MAX], tiny[5], none[1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_dst(fake, 1, cases[i].address, cases[i].port)->endpoint.proto = cases[i].proto;
		assert_string_equal(ebb_dst_name(&fake->view, 1, name, sizeof(name)), cases[i].name);
	}
	assert_string_equal(ebb_dst_name(&fake->view, 0, name, sizeof(name)), "~other");
	assert_string_equal(ebb_dst_name(&fake->view, 4, name, sizeof(name)), "~invalid");
	assert_string_equal(ebb_dst_name(&fake->view, 1, tiny, sizeof(tiny)), "[200");
	assert_string_equal(ebb_dst_name(&fake->view, 1, none, sizeof(none)), "");
	fake_free(fake);
}

/* ---------------------------------------------------------------- the text -- */

static void the_text_is_as_written_down(void **state)
{
	struct fake *fake = small_node();
	_cleanup_free_ char *raw = render(fake, EBB_METRICS_TEXT);
	_cleanup_free_ char *text = normalized(raw);

	(void)state;
	assert_same_as_file(text, "tests/unit/golden/metrics.txt");
	fake_free(fake);
}

static void the_openmetrics_text_is_as_written_down(void **state)
{
	struct fake *fake = small_node();
	_cleanup_free_ char *raw = render(fake, EBB_METRICS_OPENMETRICS);
	_cleanup_free_ char *text = normalized(raw);

	(void)state;
	assert_same_as_file(text, "tests/unit/golden/metrics.openmetrics.txt");
	fake_free(fake);
}

static void the_size_of_the_chunks_changes_nothing(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 7, 64, 1000, 4096, 65536};
	struct fake *fake = small_node();

	(void)state;
	for (int format = EBB_METRICS_TEXT; format <= EBB_METRICS_OPENMETRICS; format++) {
		_cleanup_free_ char *raw = render(fake, (enum ebb_metrics_format)format);
		_cleanup_free_ char *expected = normalized(raw);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			_cleanup_free_ char *other =
				render_with(fake, (enum ebb_metrics_format)format, sizes[i], NULL);
			_cleanup_free_ char *text = normalized(other);

			assert_string_equal(text, expected);
		}
	}
	fake_free(fake);
}

/* Names that would break a format, a terminal or a parser. */
static const char *const hostile_names[] = {
	"/quote\"} 1",
	"/back\\slash\\",
	"/new\nline 1\nebb_fake_total 7",
	"/carriage\rreturn\ttab",
	"/utf8-\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	"/not-utf8-\xff\xc3(\xe2\x82",
	"/overlong-\xc0\xaf-surrogate-\xed\xa0\x80",
	"/escape-\x1b[31m",
	"/{},=#  ",
	"/ ",
};

#define HOSTILE (sizeof(hostile_names) / sizeof(hostile_names[0]))

static struct fake *hostile_node(void)
{
	struct fake *fake = fake_new(300, 300);
	static char longest[EBB_CGROUP_PATH_MAX];

	for (uint32_t i = 0; i < HOSTILE; i++) {
		fake->names[i + 1] = hostile_names[i];
		(void)fake_dst(fake, i + 1, "192.0.2.1", (uint16_t)(i + 1));
		fake_pair(fake, i + 1, i + 1, i + 1)->outcomes[EBB_OUTCOME_ESTABLISHED] = 100 + i;
	}
	memset(longest, '\\', sizeof(longest) - 1);
	fake->names[14] = longest;
	fake_dst(fake, 20, "2001:db8:1111:2222:3333:4444:5555:6666", 65535);
	fake_pair(fake, 20, 20, 14)->created_ns = 1;
	fake_pair(fake, 21, 20, 15);
	fake->names[15] = longest; /* the older of two with the same, longest name */
	return fake;
}

static void promtool_accepts_it(void **state)
{
	/* it complains with status 0, too, and only then does it say anything */
	static const char command[] =
		"command -v promtool >/dev/null || exit 127; ! promtool check metrics 2>&1 | grep .";
	struct fake *hostile = hostile_node(), *small = small_node();
	_cleanup_free_ char *names = render(hostile, EBB_METRICS_TEXT);
	_cleanup_free_ char *everything = render(small, EBB_METRICS_TEXT);

	(void)state;
	fake_free(hostile);
	fake_free(small);
	assert_accepted("promtool", command, names);
	assert_accepted("promtool", command, everything);
}

static void a_strict_openmetrics_parser_reads_it(void **state)
{
	/* and finds each value under the name that the workload has when printed */
	static const char program[] =
		"/usr/bin/env python3 -c '\n"
		"import sys\n"
		"sys.path.append(\"/usr/lib/python3/dist-packages\")\n"
		"try:\n"
		"    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n"
		"except ImportError:\n"
		"    sys.exit(127)\n"
		"families = {f.name: f for f in parse(sys.stdin.buffer.read().decode(\"utf-8\"))}\n"
		"seen = {s.labels[\"workload\"]: s.value for s in families[\"ebb_connects\"].samples\n"
		"        if s.labels[\"outcome\"] == \"established\"}\n"
		"assert seen[\"/quote\\\"} 1\"] == 100, seen\n"
		"assert seen[\"/back\\\\slash\\\\\"] == 101, seen\n"
		"assert seen[\"/new\\\\x0aline 1\\\\x0aebb_fake_total 7\"] == 102, seen\n"
		"assert seen[\"/utf8-\\u00e4\\u20ac\\U0001f600\"] == 104, seen\n"
		"assert seen[\"/escape-\\\\x1b[31m\"] == 107, seen\n"
		"assert \"ebb_fake\" not in families\n"
		"for name in (\"ebb_rtt_seconds\", \"ebb_memory_bytes\"):\n"
		"    assert name.endswith(families[name].unit) and families[name].unit, name\n"
		"'";
	struct fake *fake = hostile_node();
	_cleanup_free_ char *text = render(fake, EBB_METRICS_OPENMETRICS);

	(void)state;
	fake_free(fake);
	assert_no_duplicates(text);
	assert_accepted("python3-prometheus-client", program, text);
}

/* ---------------------------------------------------------------- exemplars -- */

static void exemplars_stand_in_the_bucket_of_their_value_and_in_openmetrics_alone(void **state)
{
	/* one that is in none of the shown buckets, one on a bound (which the next bucket has), one of a slot's earlier owner */
	struct ebb_exemplar connects[8] = {
		[1] = {.value_ns = 200000000000ULL,
		       .realtime_ns = 1795931511123456789LL,
		       .trace_id = {0xab, [15] = 1},
		       .span_id = {[7] = 0x0f}},
	};
	struct ebb_exemplar turns[8] = {
		[1] = {.value_ns = 262144000,
		       .realtime_ns = 1795931511000000000LL,
		       .trace_id = {2},
		       .span_id = {3}},
		[2] = {.value_ns = 1, .realtime_ns = 1, .dst_epoch = 77},
	};
	static const char connect[] =
		"ebb_connect_duration_seconds_bucket{destination=\"10.0.0.5:443/tcp\",le=\"+Inf\"} 41"
		" # {trace_id=\"ab000000000000000000000000000001\",span_id=\"000000000000000f\"} 200 1795931511.123456789\n";
	static const char turn[] =
		"ebb_turn_duration_seconds_bucket{destination=\"10.0.0.5:443/tcp\",le=\"1.048576\"} 36"
		" # {trace_id=\"02000000000000000000000000000000\",span_id=\"0300000000000000\"} 0.262144 1795931511\n";
	static const char parser[] =
		"/usr/bin/env python3 -c '\n"
		"import sys\n"
		"sys.path.append(\"/usr/lib/python3/dist-packages\")\n"
		"try:\n"
		"    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n"
		"except ImportError:\n"
		"    sys.exit(127)\n"
		"seen = [s.exemplar.value for f in parse(sys.stdin.read()) for s in f.samples if s.exemplar]\n"
		"assert seen == [200, 0.262144], seen\n"
		"'";
	struct fake *fake = small_node();
	_cleanup_free_ char *text = NULL, *open = NULL;

	(void)state;
	fake->source.traces.connects = connects;
	fake->source.traces.turns = turns;
	text = render(fake, EBB_METRICS_TEXT);
	open = render(fake, EBB_METRICS_OPENMETRICS);
	fake_free(fake);
	assert_null(strstr(text, "trace_id"));
	assert_non_null(strstr(open, connect));
	assert_non_null(strstr(open, turn));
	assert_accepted("python3-prometheus-client", parser, open);
}

/* ---------------------------------------------------------------- counters -- */

static void local_failures_never_run_backwards(void **state)
{
	static const char series[] =
		"ebb_connects_total{destination=\"10.0.0.5:443/tcp\",workload=\"/w/7\",outcome=\"local\"}";
	static const struct {
		uint64_t attempts, sent;
		double shown;
	} steps[] = {
		{10, 10, 0},  {12, 10, 2}, /* two under way, or failed: nobody can tell */
		{12, 12, 2},		   /* they were under way */
		{13, 12, 2},		   /* one, and now more than are truly so: what was shown stays */
		{15, 12, 3},  {20, 21, 3}, /* torn: sent read later than the attempts */
		{30, 20, 10},
	};
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *text = NULL;
	struct ebb_pair *pair;

	(void)state;
	fake_dst(fake, 1, "10.0.0.5", 443);
	pair = fake_pair(fake, 1, 1, 7);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		_cleanup_free_ char *now = NULL;

		pair->attempts = steps[i].attempts;
		pair->syn_sent = steps[i].sent;
		now = render(fake, EBB_METRICS_TEXT);
		assert_true(value_of(now, series) == steps[i].shown);
	}

	/* a new owner of the slot has none */
	pair->epoch += 70000;
	pair->attempts = pair->syn_sent = 0;
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(text, series) == 0);
	fake_free(fake);
}

/* The kernel counts on while we read. */
static void count_on(struct fake *fake)
{
	static uint32_t turn;
	struct ebb_pair *pair = &fake->view.pairs[1];

	turn++;
	fake->view.dsts[1].connect.buckets[turn % EBB_HIST_BUCKETS]++;
	fake->view.dsts[1].connect.sum_units += ebb_hist_lower(turn % EBB_HIST_BUCKETS);
	pair->outcomes[turn % EBB_OUTCOME_MAX]++;
	pair->denied[turn % EBB_CAUSE_MAX]++;
	pair->sent_bytes += turn;
	pair->received_bytes += turn;
	pair->retransmits += turn % 2;
	pair->dropped_packets[turn % EBB_DROP_MAX]++;
	pair->would_drop_bytes[turn % EBB_DROP_MAX] += turn;
	pair->adopted += turn % 2;
	pair->attempts += turn % 3;
	pair->syn_sent += turn % 3 ? turn % 2 : 0;
}

/* Each counter of @before is in @after, and is no smaller. */
static void assert_no_counter_fell(const char *before, const char *after)
{
	bool counts = false;

	for (const char *line = before; *line; line = strchr(line, '\n') + 1) {
		char series[512];
		const char *end = strchr(line, '\n'), *space = end;

		if (strncmp(line, "# TYPE ", 7) == 0)
			counts = strncmp(end - 7, "counter", 7) == 0 || strncmp(end - 9, "histogram", 9) == 0;
		if (*line == '#' || !counts)
			continue;
		while (*space != ' ')
			space--;
		(void)snprintf(series, sizeof(series), "%.*s", (int)(space - line), line);
		if (value_of(after, series) < strtod(space, NULL))
			fail_msg("%s fell", series);
	}
}

static void counters_never_run_backwards_between_scrapes(void **state)
{
	struct fake *fake = small_node();
	_cleanup_free_ char *before = render_with(fake, EBB_METRICS_TEXT, 50, count_on);
	_cleanup_free_ char *after = render_with(fake, EBB_METRICS_TEXT, 50, count_on);

	(void)state;
	assert_no_counter_fell(before, after);
	fake_free(fake);
}

static void a_histogram_is_whole_while_it_is_counted_on(void **state)
{
	static const char name[] = "ebb_connect_duration_seconds";
	struct fake *fake = small_node();
	_cleanup_free_ char *text = render_with(fake, EBB_METRICS_TEXT, 1, count_on);
	char series[256];
	double previous = 0, count;

	(void)state;
	for (const char *line = strstr(text, "ebb_connect_duration_seconds_bucket{destination=\"10.0.0.5");
	     line; line = strchr(line, '\n') + 1) {
		double value;

		if (!strstr(line, "_bucket") || strncmp(line, name, strlen(name)) != 0 ||
		    !strstr(line, "10.0.0.5") || strstr(line, "10.0.0.5") > strchr(line, '\n') ||
		    strncmp(line + strlen(name), "_bucket", 7) != 0)
			break;
		value = strtod(strchr(line, '}') + 1, NULL);
		assert_true(value >= previous);
		previous = value;
	}
	(void)snprintf(series, sizeof(series), "%s_count{destination=\"10.0.0.5:443/tcp\"}", name);
	count = value_of(text, series);
	assert_true(count > 41);
	assert_true(count == previous);
	fake_free(fake);
}

static void values_fall_into_the_buckets_that_they_belong_to(void **state)
{
	static const struct {
		uint64_t ns;
		size_t first; /* of the bounds that count it; EBB_HIST_SHOWN: only +Inf */
	} cases[] = {{0, 0},	   {63750, 0},		 {64000, 1},
		     {1000000, 2}, {67000000000ULL, 10}, {70000000000ULL, 11}};
	struct fake *fake = fake_new(4, 4);
	struct ebb_dst *dst = fake_dst(fake, 1, "10.0.0.5", 443);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *text = NULL;

		memset(&dst->rtt, 0, sizeof(dst->rtt));
		dst->rtt.buckets[ebb_hist_bucket(cases[i].ns / EBB_HIST_UNIT_NS)] = 1;
		dst->rtt.sum_units = cases[i].ns / EBB_HIST_UNIT_NS;
		text = render(fake, EBB_METRICS_TEXT);
		for (size_t b = 0; b < EBB_HIST_SHOWN; b++) {
			char series[256];

			(void)snprintf(series, sizeof(series),
				       "ebb_rtt_seconds_bucket{destination=\"10.0.0.5:443/tcp\",le=\"%llu.%06llu\"}",
				       (unsigned long long)ebb_hist_shown_ns[b] / 1000000000,
				       (unsigned long long)ebb_hist_shown_ns[b] % 1000000000 / 1000);
			assert_true(value_of(text, series) == (b >= cases[i].first));
		}
		assert_true(value_of(text, "ebb_rtt_seconds_sum{destination=\"10.0.0.5:443/tcp\"}") ==
			    (double)cases[i].ns / 1e9);
	}
	fake_free(fake);
}

/* ---------------------------------------------------------------- what is shown -- */

static void overflow_is_always_shown(void **state)
{
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake->view.pairs[0].denied[EBB_CAUSE_BREAKER] = 5;
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(text,
			     "ebb_connects_total{destination=\"~other\",workload=\"~other\",outcome=\"denied\"}") ==
		    5);
	assert_true(has(text, "ebb_breaker_state{destination=\"~other\",workload=\"\",state=\"closed\"}"));
	assert_true(has(text, "ebb_rtt_seconds_count{destination=\"~other\"}"));
	assert_no_duplicates(text);
	fake_free(fake);
}

static void only_live_slots_are_shown(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1)->state = EBB_SLOT_RETIRING;
	fake_pair(fake, 1, 1, 5);
	fake_dst(fake, 2, "10.0.0.2", 2);
	fake_pair(fake, 2, 2, 5)->state = EBB_SLOT_FREE;
	fake_pair(fake, 3, 2, 6);
	fake_dst(fake, 3, "10.0.0.3", 3);
	fake_pair(fake, 4, 3, 7)->dst_epoch = 1; /* of an earlier owner of the destination's slot */
	fake_pair(fake, 5, 0, 8); /* a workload of its own that found no room for its destination */
	text = render(fake, EBB_METRICS_TEXT);
	assert_null(strstr(text, "10.0.0.1"));
	assert_null(strstr(text, "/w/5"));
	assert_null(strstr(text, "/w/7"));
	assert_true(has(text, "ebb_active_connections{destination=\"10.0.0.2:2/tcp\",workload=\"/w/6\"}"));
	assert_true(has(text, "ebb_active_connections{destination=\"~other\",workload=\"/w/8\"}"));
	assert_true(has(text, "ebb_rtt_seconds_count{destination=\"10.0.0.3:3/tcp\"}"));
	fake_free(fake);
}

static void a_cgroup_made_again_takes_over_the_name(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake->names[3] = fake->names[4] = fake->names[5] = "/system.slice/a.service";
	fake_dst(fake, 1, "10.0.0.1", 1)->scope = EBB_SCOPE_WORKLOAD;
	for (uint32_t i = 0; i < 3; i++) {
		static const uint64_t created[] = {20, 30, 10};
		struct ebb_pair *pair = fake_pair(fake, 1 + i, 1, 3 + i);

		pair->created_ns = created[i];
		pair->active = created[i];
	}
	text = render(fake, EBB_METRICS_TEXT);
	assert_no_duplicates(text);
	assert_true(value_of(text,
			     "ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/system.slice/a.service\"}") ==
		    30);
	assert_true(value_of(text,
			     "ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/system.slice/a.service (cgroup 3)\"}") ==
		    20);
	assert_true(value_of(text,
			     "ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/system.slice/a.service (cgroup 5)\"}") ==
		    10);
	assert_true(has(text,
			"ebb_concurrent_in_use{destination=\"10.0.0.1:1/tcp\",workload=\"/system.slice/a.service (cgroup 5)\"}"));
	fake_free(fake);
}

static void nothing_can_be_named_so_that_series_collide(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake->names[3] = fake->names[4] = "/a";
	fake->names[5] = "/a (cgroup 3)";
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 3)->created_ns = 1;
	fake_pair(fake, 2, 1, 4)->created_ns = 2;
	fake_pair(fake, 3, 1, 5)->created_ns = 3;
	fake_pair(fake, 4, 1, 4)->created_ns = 4; /* the same pair in two slots */
	text = render(fake, EBB_METRICS_TEXT);
	assert_no_duplicates(text);
	assert_true(has(text, "ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/a\"}"));
	assert_true(has(text,
			"ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/a (cgroup 3)\"}"));
	fake_free(fake);
}

static void one_endpoint_in_two_slots_is_one_destination(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1)->created_ns = 1;
	fake_dst(fake, 2, "10.0.0.1", 1)->created_ns = 3;
	fake_dst(fake, 3, "10.0.0.1", 1)->created_ns = 2;
	for (uint32_t i = 1; i <= 3; i++)
		fake_pair(fake, i, i, 5)->active = i;
	text = render(fake, EBB_METRICS_TEXT);
	assert_no_duplicates(text);
	assert_true(value_of(text,
			     "ebb_active_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\"}") ==
		    2);
	fake_free(fake);
}

static void a_slot_given_away_ends_with_its_old_owner(void **state)
{
	struct fake *fake = fake_new(4, 4);
	struct ebb_metrics_writer *writer;
	_cleanup_free_ char *text = fake_zeroed(1, 65536);
	ssize_t n, used = 0;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 5);
	writer = writer_new(fake, EBB_METRICS_TEXT);
	while (!strstr(text, "workload=\"/w/5\"")) {
		n = ebb_metrics_writer_next(writer, text + used, 1);
		assert_int_equal(n, 1);
		used += n;
	}
	fake->view.dsts[1].epoch++;
	fake_dst(fake, 1, "10.0.0.99", 1);
	fake_pair(fake, 1, 1, 6)->epoch++;
	while ((n = ebb_metrics_writer_next(writer, text + used, (size_t)(65535 - used))) > 0)
		used += n;
	ebb_metrics_writer_free(writer);
	assert_null(strstr(text, "10.0.0.99"));
	assert_null(strstr(text, "/w/6"));
	assert_null(strstr(text, "ebb_connection_failures_total{destination=\"10.0.0.1:1/tcp\""));
	fake_free(fake);
}

#define MANY 1000

static struct fake *large_node(void)
{
	struct fake *fake = fake_new(MANY + 2, MANY + 2);
	char address[64];

	for (uint32_t slot = 1; slot <= MANY; slot++) {
		(void)snprintf(address, sizeof(address), "10.1.%u.%u", slot / 256, slot % 256);
		(void)fake_dst(fake, slot, address, 443);
		(void)fake_pair(fake, slot, slot, 5);
	}
	return fake;
}

/* A call looks at so many slots at most; then others have their turn. */
static void what_is_shown_is_settled_bit_by_bit(void **state)
{
	struct fake *fake = large_node();
	struct ebb_metrics_writer *writer = writer_new(fake, EBB_METRICS_TEXT);
	_cleanup_free_ char *text = render(fake, EBB_METRICS_TEXT);
	char first[64];
	size_t waits = 0;
	ssize_t n;

	(void)state;
	while ((n = ebb_metrics_writer_next(writer, first, sizeof(first))) == -EAGAIN)
		waits++;
	assert_in_range(n, 1, sizeof(first));
	assert_in_range(waits, 2 * MANY / 300, 3 * MANY / 100);
	assert_non_null(strstr(text, "ebb_active_connections{destination=\"10.1.0.1:443/tcp\""));
	assert_non_null(strstr(text, "ebb_active_connections{destination=\"10.1.3.232:443/tcp\""));
	ebb_metrics_writer_free(writer);
	fake_free(fake);
}

/* The first slot has been looked at, the last one not yet. */
static void who_comes_or_goes_while_it_is_settled_is_shown_or_not(void **state)
{
	struct fake *fake = large_node();
	struct ebb_metrics_writer *writer = writer_new(fake, EBB_METRICS_TEXT);
	_cleanup_free_ char *text = fake_zeroed(1, 8 << 20);
	ssize_t n, used = 0;

	(void)state;
	assert_int_equal(ebb_metrics_writer_next(writer, text, 64), -EAGAIN);
	fake->view.dsts[1].epoch++;
	fake_dst(fake, 1, "10.0.0.99", 1);
	fake_pair(fake, 1, 1, 6)->epoch++;
	fake->view.dsts[MANY].epoch++;
	fake_dst(fake, MANY, "10.0.0.98", 1);
	fake_pair(fake, MANY, MANY, 7)->epoch++;
	while ((n = ebb_metrics_writer_next(writer, text + used, (size_t)((8 << 20) - 1 - used))) > 0 ||
	       n == -EAGAIN)
		used += n > 0 ? n : 0;
	assert_int_equal(n, 0);
	ebb_metrics_writer_free(writer);
	assert_null(strstr(text, "10.0.0.99"));
	assert_null(strstr(text, "10.1.0.1:"));
	assert_null(strstr(text, "/w/6"));
	assert_non_null(strstr(text,
			       "ebb_active_connections{destination=\"10.0.0.98:1/tcp\",workload=\"/w/7\""));
	assert_null(strstr(text, "10.1.3.232:"));
	fake_free(fake);
}

static void indices_out_of_range_are_survived(void **state)
{
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1)->scope = 77;
	fake_pair(fake, 1, 1, 5)->gate = 4000000000U;
	fake_pair(fake, 2, 1, 6)->dst = 4000000000U;
	fake->view.pairs[0].dst = 3;
	fake->view.kernel->dst_high = UINT32_MAX;
	fake->view.kernel->pair_high = UINT32_MAX;
	fake->view.verdicts[0].word = ebb_word(1, 7, 0);
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(text,
			     "ebb_breaker_state{destination=\"~other\",workload=\"\",state=\"closed\"}") ==
		    1);
	assert_null(strstr(text, "/w/6"));
	assert_null(strstr(text, "~invalid"));
	fake_free(fake);
}

/* ---------------------------------------------------------------- breakers -- */

static void exactly_one_state_is_one(void **state)
{
	const uint64_t later = ebb_ns_to_ticks(FAKE_NOW_NS + 2500000000ULL);
	const uint64_t earlier = ebb_ns_to_ticks(FAKE_NOW_NS - 1);
	const struct {
		uint64_t verdict, pull;
		const char *state;
		bool until;
	} cases[] = {
		{0, 0, "closed", false},
		{ebb_word(1, EBB_STATE_OPEN, later), 0, "open", true},
		{ebb_word(1, EBB_STATE_OPEN, earlier - 1), 0, "half_open",
		 false}, /* over, nobody looked yet */
		{ebb_word(2, EBB_STATE_HALF_OPEN, 0), 0, "half_open", false},
		{ebb_word(3, EBB_STATE_CLOSED, 0), ebb_word(4, EBB_STATE_OPEN, later), "open", true},
		{ebb_word(5, EBB_STATE_CLOSED, 0), ebb_word(4, EBB_STATE_OPEN, later), "closed", false},
		{ebb_word(4, EBB_STATE_CLOSED, 0), ebb_word(4, EBB_STATE_OPEN, later), "open", true},
		{ebb_word(0, EBB_STATE_CLOSED, 0), ebb_word(EBB_GEN_MASK, EBB_STATE_OPEN, later), "closed",
		 false},
	};
	static const char *const all[] = {"closed", "open", "half_open"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *fake = fake_new(4, 4);
		_cleanup_free_ char *text = NULL;
		double until;

		fake_dst(fake, 1, "10.0.0.1", 1);
		fake->view.verdicts[1].word = cases[i].verdict;
		fake->view.gates[1].pull = cases[i].pull;
		text = render(fake, EBB_METRICS_TEXT);
		for (size_t s = 0; s < 3; s++) {
			char series[128];

			(void)snprintf(series, sizeof(series),
				       "ebb_breaker_state{destination=\"10.0.0.1:1/tcp\",workload=\"\",state=\"%s\"}",
				       all[s]);
			if (value_of(text, series) != (strcmp(all[s], cases[i].state) == 0))
				fail_msg("case %zu: state %s", i, all[s]);
		}
		until = value_of(text,
				 "ebb_breaker_open_until_timestamp_seconds{destination=\"10.0.0.1:1/tcp\",workload=\"\"}");
		if (cases[i].until)
			assert_true(until >= 1700000002.5 && until < 1700000002.502);
		else
			assert_true(until == 0);
		fake_free(fake);
	}
}

static void a_gate_is_shown_where_it_is(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 5);
	fake_pair(fake, 2, 1, 6)->gate = 8 + 2; /* apart: a breaker of its own, and the limits of all */
	fake->view.verdicts[8 + 2].word = ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK);
	fake_dst(fake, 2, "10.0.0.2", 2)->scope = EBB_SCOPE_WORKLOAD;
	fake_pair(fake, 3, 2, 5);
	fake->view.gates[8 + 2].in_use = 22;
	fake->view.gates[8 + 3].in_use = 33;
	fake->view.policies[2].limits.concurrent = 64;
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(has(text, "ebb_concurrent_in_use{destination=\"10.0.0.1:1/tcp\",workload=\"\"}"));
	assert_false(has(text, "ebb_concurrent_in_use{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\"}"));
	assert_false(has(text, "ebb_concurrent_in_use{destination=\"10.0.0.1:1/tcp\",workload=\"/w/6\"}"));
	assert_true(value_of(text,
			     "ebb_breaker_state{destination=\"10.0.0.1:1/tcp\",workload=\"/w/6\",state=\"open\"}") ==
		    1);
	assert_true(value_of(text,
			     "ebb_breaker_state{destination=\"10.0.0.1:1/tcp\",workload=\"\",state=\"open\"}") ==
		    0);
	assert_false(has(text, "ebb_breaker_state{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\""));
	assert_false(has(text, "ebb_concurrent_in_use{destination=\"10.0.0.2:2/tcp\",workload=\"\"}"));
	assert_true(value_of(text,
			     "ebb_concurrent_in_use{destination=\"10.0.0.2:2/tcp\",workload=\"/w/5\"}") ==
		    33);
	assert_true(value_of(text,
			     "ebb_concurrent_limit{destination=\"10.0.0.2:2/tcp\",workload=\"/w/5\"}") == 64);
	fake_free(fake);
}

static void causes_that_can_refuse_are_always_there(void **state)
{
	struct fake *fake = fake_new(4, 4);
	struct ebb_pair *pair;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	pair = fake_pair(fake, 1, 1, 5);
	for (int step = 0; step < 3; step++) {
		_cleanup_free_ char *text = NULL;
		static const struct {
			const char *cause;
			bool there[3];
		} causes[] = {
			{"override", {false, false, false}}, {"fuse", {false, false, true}},
			{"breaker", {true, true, true}},     {"half_open", {true, true, true}},
			{"rate", {false, false, false}},     {"concurrency", {false, true, true}},
		};

		if (step == 1)
			fake->view.policies[1].limits.concurrent = 2;
		if (step == 2)
			pair->would_deny[EBB_CAUSE_FUSE] = 1;
		text = render(fake, EBB_METRICS_TEXT);
		for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
			char series[160];

			(void)snprintf(series, sizeof(series),
				       "ebb_denied_total{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\",cause=\"%s\",enforced=\"false\"}",
				       causes[i].cause);
			if (has(text, series) != causes[i].there[step])
				fail_msg("step %d: %s", step, causes[i].cause);
		}
	}
	fake_free(fake);
}

/* ---------------------------------------------------------------- traffic -- */

static void what_only_one_protocol_has_is_shown_only_there(void **state)
{
	static const struct {
		const char *family;
		bool tcp, udp, any; /* any: ~other, and what a rule names */
	} cases[] = {
		{"ebb_sent_bytes_total", true, true, true},
		{"ebb_received_bytes_total", true, false, true},
		{"ebb_retransmits_total", true, false, true},
		{"ebb_sent_datagrams_total", false, true, true},
		{"ebb_slow_turns_total", true, false, true},
		{"ebb_dropped_bytes_total", false, false, false},
		{"ebb_adopted_connections_total", false, false, false},
		{"ebb_reset_connections_total", false, false, false},
	};
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 5);
	fake_dst(fake, 2, "10.0.0.2", 2)->endpoint.proto = IPPROTO_UDP;
	fake_pair(fake, 2, 2, 5);
	memset(&fake_dst(fake, 3, "10.0.0.3", 3)->endpoint, 0, sizeof(struct ebb_endpoint));
	fake->view.names[3] =
		(struct ebb_name){.epoch = fake->view.dsts[3].epoch, .flags = EBB_NAME_RULE, .text = "web"};
	fake_pair(fake, 3, 3, 5);
	text = render(fake, EBB_METRICS_TEXT);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char tcp[160], udp[160], other[160], rule[160];

		(void)snprintf(tcp, sizeof(tcp), "%s{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\"}",
			       cases[i].family);
		(void)snprintf(udp, sizeof(udp), "%s{destination=\"10.0.0.2:2/udp\",workload=\"/w/5\"}",
			       cases[i].family);
		(void)snprintf(other, sizeof(other), "%s{destination=\"~other\",workload=\"~other\"}",
			       cases[i].family);
		(void)snprintf(rule, sizeof(rule), "%s{destination=\"web\",workload=\"/w/5\"}",
			       cases[i].family);
		if (has(text, tcp) != cases[i].tcp || has(text, udp) != cases[i].udp ||
		    has(text, other) != cases[i].any || has(text, rule) != cases[i].any)
			fail_msg("%s: tcp %d, udp %d, other %d, rule %d", cases[i].family, has(text, tcp),
				 has(text, udp), has(text, other), has(text, rule));
	}
	fake_free(fake);
}

/* Is ebb_dropped_packets_total there for @cause? Both enforced or not, and the same for bytes. */
static bool drops_are_shown(const char *text, const char *cause)
{
	int there = 0;

	for (int i = 0; i < 4; i++) {
		char series[160];

		(void)snprintf(series, sizeof(series),
			       "ebb_dropped_%s_total{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\",cause=\"%s\",enforced=\"%s\"}",
			       i & 1 ? "bytes" : "packets", cause, i & 2 ? "true" : "false");
		there += has(text, series);
	}
	assert_true(there == 0 || there == 4);
	return there == 4;
}

static void drops_are_shown_where_something_can_drop(void **state)
{
	struct fake *fake = fake_new(4, 4);
	struct ebb_policy *policy = &fake->view.policies[1];

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 5);
	for (int step = 0; step < 5; step++) {
		_cleanup_free_ char *text = NULL;

		if (step == 1)
			fake_limit(&policy->limits, EBB_LIMIT_PACKETS, 3600, 1);
		if (step == 2) { /* by hand bytes, and packets lifted */
			fake_limit(&policy->by_hand, EBB_LIMIT_BYTES, 3600, 1);
			policy->by_hand.given = 1U << EBB_LIMIT_BYTES | 1U << EBB_LIMIT_PACKETS;
			policy->by_hand_until_ns = FAKE_NOW_NS + 1;
		}
		if (step == 3)
			policy->by_hand_until_ns = FAKE_NOW_NS;
		if (step == 4)
			policy->established = EBB_ESTABLISHED_DROP;
		text = render(fake, EBB_METRICS_TEXT);
		assert_int_equal(drops_are_shown(text, "bytes"), step == 2);
		assert_int_equal(drops_are_shown(text, "packets"), step == 1 || step > 2);
		assert_int_equal(drops_are_shown(text, "breaker"), step == 4);
	}
	policy->established = EBB_ESTABLISHED_RESET;
	{
		_cleanup_free_ char *text = render(fake, EBB_METRICS_TEXT);

		assert_true(value_of(text,
				     "ebb_reset_connections_total{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\"}") ==
			    0);
	}
	fake_free(fake);
}

static void drops_are_told_by_cause_and_whether_they_were_real(void **state)
{
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *text = NULL;
	struct ebb_pair *pair;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	pair = fake_pair(fake, 1, 1, 5);
	for (uint32_t d = 0; d < EBB_DROP_MAX; d++) {
		pair->dropped_bytes[d] = 100 + d;
		pair->dropped_packets[d] = 200 + d;
		pair->would_drop_bytes[d] = 300 + d;
		pair->would_drop_packets[d] = 400 + d;
	}
	text = render(fake, EBB_METRICS_TEXT);
	for (uint32_t i = 0; i < 4 * EBB_DROP_MAX; i++) {
		static const char *const causes[] = {"bytes", "packets", "breaker"};
		uint32_t d = i % EBB_DROP_MAX, which = i / EBB_DROP_MAX;
		char series[160];

		(void)snprintf(series, sizeof(series),
			       "ebb_dropped_%s_total{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\",cause=\"%s\",enforced=\"%s\"}",
			       which % 2 ? "packets" : "bytes", causes[d], which < 2 ? "true" : "false");
		assert_true(value_of(text, series) == 100 + 100 * which + d);
	}
	fake_free(fake);
}

/* ---------------------------------------------------------------- limits -- */

#define GATE "{destination=\"10.0.0.1:1/tcp\",workload=\"\"}"

static void limits_are_shown_only_where_they_are_in_force(void **state)
{
	static const char *const limited[] = {"ebb_limit_bytes_rate" GATE,
					      "ebb_limit_bytes_available" GATE,
					      "ebb_limit_packets_rate" GATE,
					      "ebb_limit_packets_available" GATE,
					      "ebb_limit_connects_rate" GATE,
					      "ebb_limit_connects_available" GATE};
	struct fake *fake = fake_new(4, 4);
	struct ebb_policy *policy = &fake->view.policies[1];

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	for (int kind = -1; kind < EBB_LIMIT_MAX; kind++) {
		_cleanup_free_ char *text = NULL;

		memset(&policy->limits, 0, sizeof(policy->limits));
		if (kind >= 0)
			fake_limit(&policy->limits, (uint32_t)kind, 7200, 5);
		text = render(fake, EBB_METRICS_TEXT);
		for (int i = 0; i < 2 * EBB_LIMIT_MAX; i++)
			if (has(text, limited[i]) != (i / 2 == kind))
				fail_msg("limit %d: %s", kind, limited[i]);
		assert_int_equal(has(text, "ebb_paced_connections" GATE), kind == EBB_LIMIT_BYTES);
		if (kind >= 0) {
			assert_true(value_of(text, limited[2 * kind]) == 2);
			assert_true(value_of(text, limited[2 * kind + 1]) == 5);
		}
	}
	fake_free(fake);
}

static void what_is_available_is_within_the_burst(void **state)
{
	static const struct {
		int64_t full_after_ns; /* from now */
		double available;
	} cases[] = {
		{INT64_MIN / 2, 1000}, /* idle for a year, and never used */
		{-1, 1000},
		{0, 1000},
		{1, 999}, /* whole ones only */
		{5000000000, 500},
		{9990000000, 1},
		{9990000001, 0},
		{10000000000, 0},
		{20000000000, 0}, /* in debt */
		{INT64_MAX / 2, 0},
	};
	struct fake *fake = fake_new(4, 4);

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_limit(&fake->view.policies[1].limits, EBB_LIMIT_BYTES, 100ULL * 3600, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *text = NULL;

		fake->view.gates[1].full_ns[EBB_LIMIT_BYTES] = FAKE_NOW_NS + (uint64_t)cases[i].full_after_ns;
		text = render(fake, EBB_METRICS_TEXT);
		if (value_of(text, "ebb_limit_bytes_available" GATE) != cases[i].available)
			fail_msg("case %zu: %g", i, value_of(text, "ebb_limit_bytes_available" GATE));
	}
	/* the same word some time later: it fills while nobody looks */
	fake->view.gates[1].full_ns[EBB_LIMIT_BYTES] = FAKE_NOW_NS + 10000000000;
	for (int seconds = 0; seconds < 12; seconds++, fake_now_ns += 1000000000) {
		_cleanup_free_ char *text = render(fake, EBB_METRICS_TEXT);

		assert_true(value_of(text, "ebb_limit_bytes_available" GATE) ==
			    (seconds < 10 ? 100 * seconds : 1000));
	}
	fake_free(fake);
}

static void limits_by_hand_are_the_ones_that_are_shown(void **state)
{
	static const char rate[] = "ebb_limit_connects_rate" GATE, concurrent[] = "ebb_concurrent_limit" GATE,
			  denied[] = "ebb_denied_total{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\","
				     "cause=\"rate\",enforced=\"true\"}";
	struct fake *fake = fake_new(4, 4);
	struct ebb_policy *policy = &fake->view.policies[1];
	_cleanup_free_ char *before = NULL, *during = NULL, *after = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1);
	fake_pair(fake, 1, 1, 5);
	policy->limits.concurrent = 8;
	before = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(before, concurrent) == 8);
	assert_false(has(before, rate));
	assert_false(has(before, denied));

	fake_limit(&policy->by_hand, EBB_LIMIT_CONNECTS, 90, 1);
	policy->by_hand.concurrent = 3;
	policy->by_hand.given = 1U << EBB_LIMIT_CONNECTS | EBB_GIVEN_CONCURRENT;
	policy->by_hand_until_ns = FAKE_NOW_NS + 60000000000;
	during = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(during, concurrent) == 3);
	assert_true(value_of(during, rate) == 0.025);
	assert_true(value_of(during, denied) == 0);

	fake_now_ns += 60000000000;
	after = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(after, concurrent) == 8);
	assert_false(has(after, rate));
	assert_false(has(after, denied));
	fake_free(fake);
}

static void each_gate_has_its_own_bucket(void **state)
{
	struct fake *fake = fake_new(8, 8);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fake_dst(fake, 1, "10.0.0.1", 1)->scope = EBB_SCOPE_WORKLOAD;
	fake_limit(&fake->view.policies[1].limits, EBB_LIMIT_BYTES, 1000ULL * 3600, 1000);
	for (uint32_t i = 1; i <= 2; i++) {
		struct ebb_gate *gate = &fake->view.gates[fake_pair(fake, i, 1, 4 + i)->gate];

		gate->full_ns[EBB_LIMIT_BYTES] = FAKE_NOW_NS + i * 100000000;
		gate->paced = 10 * i;
	}
	text = render(fake, EBB_METRICS_TEXT);
	assert_false(has(text, "ebb_limit_bytes_available" GATE));
	assert_true(value_of(text,
			     "ebb_limit_bytes_available{destination=\"10.0.0.1:1/tcp\",workload=\"/w/5\"}") ==
		    900);
	assert_true(value_of(text,
			     "ebb_limit_bytes_available{destination=\"10.0.0.1:1/tcp\",workload=\"/w/6\"}") ==
		    800);
	assert_true(value_of(text,
			     "ebb_paced_connections{destination=\"10.0.0.1:1/tcp\",workload=\"/w/6\"}") ==
		    20);
	fake_free(fake);
}

/* ---------------------------------------------------------------- about the agent -- */

static void the_agent_tells_its_own_state(void **state)
{
	struct fake *fake = fake_new(4, 4);
	_cleanup_free_ char *observing = NULL, *enforcing = NULL, *broken = NULL;

	(void)state;
	observing = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(observing, "ebb_enforcement_active") == 0);
	assert_true(value_of(observing, "ebb_lease_age_seconds") == 0.25);
	assert_true(value_of(observing, "ebb_map_capacity{map=\"pairs\"}") == 3);
	assert_true(value_of(observing, "process_resident_memory_bytes") > 4096);
	assert_true(value_of(observing, "process_open_fds") >= 3);
	assert_true(value_of(observing, "ebb_memory_bytes{kind=\"anonymous\"}") > 4096);

	fake->health.enforce_wanted = true;
	enforcing = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(enforcing, "ebb_enforcement_active") == 1);

	ebb_health_set(&fake->health, EBB_HEALTH_PROGRAMS, EBB_UNHEALTHY, 1, "detached");
	fake->view.agent->heartbeat_ns = 0;
	fake->view.agent->started_ns = FAKE_NOW_NS - 3000000000ULL;
	broken = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(broken, "ebb_enforcement_active") == 0);
	assert_true(value_of(broken, "ebb_lease_age_seconds") == 3);
	fake_free(fake);
}

/* ---------------------------------------------------------------- the document -- */

static void the_document_names_every_family(void **state)
{
	struct fake *fake = small_node();
	_cleanup_free_ char *text = render(fake, EBB_METRICS_TEXT);
	char *document = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&document, &length);

	(void)state;
	assert_non_null(out);
	assert_int_equal(ebb_metrics_document(out), 0);
	assert_int_equal(fclose(out), 0);
	for (const char *line = text; (line = strstr(line, "# TYPE ")); line++) {
		char name[128];

		(void)snprintf(name, sizeof(name), "| `%.*s` |", (int)strcspn(line + 7, " "), line + 7);
		if (!strstr(document, name))
			fail_msg("not documented: %s", name);
	}
	assert_same_as_file(document, "docs/metrics.md");
	free(document);
	fake_free(fake);
}

static size_t two_programs(const void *userdata, struct ebb_program_runs ret_runs[EBB_LINKS_MAX])
{
	(void)userdata;
	ret_runs[0] = (struct ebb_program_runs){.name = "connect4", .count = 12, .ns = 4500000};
	ret_runs[1] = (struct ebb_program_runs){.name = "egress", .count = 1ULL << 40, .ns = 1};
	return 2;
}

static size_t all_programs(const void *userdata, struct ebb_program_runs ret_runs[EBB_LINKS_MAX])
{
	for (size_t i = 0; i < EBB_LINKS_MAX; i++)
		ret_runs[i] = (struct ebb_program_runs){.name = ((const char *const *)userdata)[i]};
	return EBB_LINKS_MAX;
}

static void programs_are_told_while_the_kernel_counts(void **state)
{
	static const char *const names[EBB_LINKS_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h", "last"};
	struct fake *fake = fake_new(2, 2);
	char *text = render(fake, EBB_METRICS_TEXT);

	(void)state;
	assert_null(strstr(text, "\nebb_bpf_program_runs_total{"));
	assert_null(strstr(text, "\nebb_bpf_program_seconds_total{"));
	free(text);
	fake->source.runs = two_programs;
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(value_of(text, "ebb_bpf_program_runs_total{program=\"connect4\"}") == 12);
	assert_true(value_of(text, "ebb_bpf_program_seconds_total{program=\"connect4\"}") == 0.0045);
	assert_true(value_of(text, "ebb_bpf_program_runs_total{program=\"egress\"}") == 1099511627776.0);
	assert_non_null(strstr(text, "ebb_bpf_program_seconds_total{program=\"egress\"} 0.000000001\n"));
	free(text);
	fake->source.runs = all_programs;
	fake->source.runs_userdata = names;
	text = render(fake, EBB_METRICS_TEXT);
	assert_true(has(text, "ebb_bpf_program_runs_total{program=\"last\"}"));
	free(text);
	fake_free(fake);
}

static void health_is_told_of_each_component(void **state)
{
	struct fake *fake = fake_new(2, 2);
	char *text;

	(void)state;
	ebb_health_set(&fake->health, EBB_HEALTH_NAMES, EBB_DEGRADED, 1, "lost");
	ebb_health_set(&fake->health, EBB_HEALTH_PROGRAMS, EBB_UNHEALTHY, 1, "gone");
	text = render(fake, EBB_METRICS_TEXT);
	for (int i = 0; i < EBB_HEALTH_MAX; i++) {
		char series[128];

		(void)snprintf(series, sizeof(series), "ebb_health_state{component=\"%s\"}",
			       ebb_health_component_name(i));
		assert_true(value_of(text, series) == fake->health.entries[i].state);
	}
	assert_true(value_of(text, "ebb_health_state{component=\"names\"}") == 1);
	assert_true(value_of(text, "ebb_health_state{component=\"programs\"}") == 2);
	free(text);
	fake_free(fake);
}

static void the_process_is_told_of(void **state)
{
	struct fake *fake = fake_new(2, 2);
	char *text = render(fake, EBB_METRICS_TEXT);

	(void)state;
	assert_true(value_of(text, "process_threads") >= 1 && value_of(text, "process_threads") < 100);
	/* of a program like this one; a sanitizer has its own heap, and counts in its own way */
	assert_true(value_of(text, "process_heap_bytes") <= value_of(text, "process_virtual_memory_bytes"));
	assert_true(value_of(text, "process_resident_memory_bytes") > 500000);
	assert_true(value_of(text, "process_open_fds") >= 3);
	assert_true(value_of(text, "process_max_fds") >= value_of(text, "process_open_fds"));
	free(text);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destination_is_named_by_its_endpoint),
		cmocka_unit_test(the_text_is_as_written_down),
		cmocka_unit_test(the_openmetrics_text_is_as_written_down),
		cmocka_unit_test(the_size_of_the_chunks_changes_nothing),
		cmocka_unit_test(promtool_accepts_it),
		cmocka_unit_test(programs_are_told_while_the_kernel_counts),
		cmocka_unit_test(health_is_told_of_each_component),
		cmocka_unit_test(the_process_is_told_of),
		cmocka_unit_test(a_strict_openmetrics_parser_reads_it),
		cmocka_unit_test(exemplars_stand_in_the_bucket_of_their_value_and_in_openmetrics_alone),
		cmocka_unit_test(local_failures_never_run_backwards),
		cmocka_unit_test(counters_never_run_backwards_between_scrapes),
		cmocka_unit_test(a_histogram_is_whole_while_it_is_counted_on),
		cmocka_unit_test(values_fall_into_the_buckets_that_they_belong_to),
		cmocka_unit_test(overflow_is_always_shown),
		cmocka_unit_test(only_live_slots_are_shown),
		cmocka_unit_test(a_cgroup_made_again_takes_over_the_name),
		cmocka_unit_test(nothing_can_be_named_so_that_series_collide),
		cmocka_unit_test(one_endpoint_in_two_slots_is_one_destination),
		cmocka_unit_test(a_slot_given_away_ends_with_its_old_owner),
		cmocka_unit_test(what_is_shown_is_settled_bit_by_bit),
		cmocka_unit_test(who_comes_or_goes_while_it_is_settled_is_shown_or_not),
		cmocka_unit_test(indices_out_of_range_are_survived),
		cmocka_unit_test(exactly_one_state_is_one),
		cmocka_unit_test(a_gate_is_shown_where_it_is),
		cmocka_unit_test(causes_that_can_refuse_are_always_there),
		cmocka_unit_test(what_only_one_protocol_has_is_shown_only_there),
		cmocka_unit_test(drops_are_shown_where_something_can_drop),
		cmocka_unit_test(drops_are_told_by_cause_and_whether_they_were_real),
		cmocka_unit_test(limits_are_shown_only_where_they_are_in_force),
		cmocka_unit_test(what_is_available_is_within_the_burst),
		cmocka_unit_test(limits_by_hand_are_the_ones_that_are_shown),
		cmocka_unit_test(each_gate_has_its_own_bucket),
		cmocka_unit_test(the_agent_tells_its_own_state),
		cmocka_unit_test(the_document_names_every_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/export/otlp_settings.c: our keys, and the variables of OpenTelemetry by their specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/otlp_settings.h"

static const struct ebb_otlp_ours nothing = {.endpoint = "", .sample = 0.1};
static const struct ebb_otlp_self self = {.instance = "9f3c", .host = "node-7"};

static const struct ebb_otlp_settings *read_with(const struct ebb_otlp_ours *ours, const char *const *environ)
{
	static struct ebb_otlp_settings settings;

	ebb_otlp_settings_read(EBB_OTLP_TRACES, environ, ours, &self, &settings);
	return &settings;
}

#define READ(...) read_with(&nothing, (const char *const[]){__VA_ARGS__, NULL})

static void assert_no_notes(const struct ebb_otlp_settings *s)
{
	if (s->note_count)
		fail_msg("told: %s", s->notes[0]);
}

static void without_a_place_there_are_no_traces(void **state)
{
	const struct ebb_otlp_settings *s = read_with(&nothing, NULL);

	(void)state;
	assert_string_equal(s->url, "");
	assert_string_equal(s->off_because, "");
	assert_int_equal(s->deadline_ns, 5000000000ULL);
	assert_false(s->gzip);
	assert_no_notes(s);
}

static void the_path_of_traces_is_appended_to_the_general_place(void **state)
{
	static const char *const cases[][2] = {
		{"http://c:4318", "http://c:4318/v1/traces"},
		{"http://c:4318/", "http://c:4318/v1/traces"},
		{"https://c/otlp", "https://c/otlp/v1/traces"},
		{"https://c/otlp/", "https://c/otlp/v1/traces"},
		{"http://[::1]:4318", "http://[::1]:4318/v1/traces"},
		{"http://c:4318/v1/traces", "http://c:4318/v1/traces"},
	};
	char variable[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ebb_otlp_ours ours = {.endpoint = cases[i][0], .sample = 0.1};

		(void)snprintf(variable, sizeof(variable), "OTEL_EXPORTER_OTLP_ENDPOINT=%s", cases[i][0]);
		assert_string_equal(READ(variable)->url, cases[i][1]);
		assert_string_equal(read_with(&ours, NULL)->url, cases[i][1]);
	}
}

static void the_place_of_traces_is_taken_as_it_is(void **state)
{
	(void)state;
	assert_string_equal(READ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1/in",
				 "OTEL_EXPORTER_OTLP_ENDPOINT=http://c")
				    ->url,
			    "http://t:1/in");
	assert_string_equal(READ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1")->url, "http://t:1/");
}

static void ours_wins_and_an_empty_variable_says_nothing(void **state)
{
	const struct ebb_otlp_ours ours = {.endpoint = "http://mine:4318",
					   .sample = 0.25,
					   .sample_given = true};
	const char *const environ[] = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1/in",
				       "OTEL_TRACES_SAMPLER=always_on", "OTEL_TRACES_EXPORTER=none", NULL};
	const struct ebb_otlp_settings *s = read_with(&ours, environ);

	(void)state;
	assert_string_equal(s->url, "http://mine:4318/v1/traces");
	assert_true(s->sample == 0.25);
	s = READ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c",
		 "OTEL_SERVICE_NAME=");
	assert_string_equal(s->url, "http://c/v1/traces");
	assert_string_equal(s->resource[0].value, "ebb");
	assert_no_notes(s);
}

static void the_exporter_alone_means_the_collector_on_this_node(void **state)
{
	(void)state;
	assert_string_equal(READ("OTEL_TRACES_EXPORTER=otlp")->url, "http://localhost:4318/v1/traces");
	assert_string_equal(READ("OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c")->url,
			    "");
	assert_string_equal(READ("OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c")
				    ->off_because,
			    "OTEL_TRACES_EXPORTER");
}

static void disabled_is_off_whatever_else_is_said(void **state)
{
	const struct ebb_otlp_ours ours = {.endpoint = "http://mine:4318", .sample = 1};
	const char *const environ[] = {"OTEL_SDK_DISABLED=TRUE", NULL};
	const struct ebb_otlp_settings *s = read_with(&ours, environ);

	(void)state;
	assert_string_equal(s->url, "");
	assert_string_equal(s->off_because, "OTEL_SDK_DISABLED");
	assert_string_equal(READ("OTEL_SDK_DISABLED=false", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c")
				    ->off_because,
			    "");
}

static void headers_are_a_list_of_decoded_pairs(void **state)
{
	const struct ebb_otlp_settings *s =
		READ("OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20a%2Cb%3D, x-scope = 7 ,");

	(void)state;
	assert_no_notes(s);
	assert_int_equal(s->header_count, 2);
	assert_string_equal(s->headers[0], "authorization: Bearer a,b=");
	assert_string_equal(s->headers[1], "x-scope: 7");
	s = READ("OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2");
	assert_int_equal(s->header_count, 1);
	assert_string_equal(s->headers[0], "b: 2");
}

/* A header that is cut or broken in two could be another one. What is wrong with it is a secret. */
static void a_bad_header_sends_none_and_is_not_quoted(void **state)
{
	static const char *const bad[] = {"OTEL_EXPORTER_OTLP_HEADERS=a=1,sesame",
					  "OTEL_EXPORTER_OTLP_HEADERS=a=sesame%0d%0ab: c",
					  "OTEL_EXPORTER_OTLP_HEADERS=a b=sesame",
					  "OTEL_EXPORTER_OTLP_HEADERS=a=sesame%2",
					  "OTEL_EXPORTER_OTLP_HEADERS=a=sesame%zz",
					  "OTEL_EXPORTER_OTLP_HEADERS==sesame",
					  "OTEL_EXPORTER_OTLP_HEADERS=a:=sesame"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct ebb_otlp_settings *s = READ(bad[i]);

		assert_int_equal(s->header_count, 0);
		assert_int_equal(s->note_count, 1);
		assert_null(strstr(s->notes[0], "sesame"));
		assert_non_null(strstr(s->notes[0], "OTEL_EXPORTER_OTLP_HEADERS"));
	}
}

static void a_url_with_a_password_is_refused_and_not_quoted(void **state)
{
	const struct ebb_otlp_settings *s = READ("OTEL_EXPORTER_OTLP_ENDPOINT=http://me:sesame@c:4318");

	(void)state;
	assert_string_equal(s->url, "");
	assert_int_equal(s->note_count, 1);
	assert_null(strstr(s->notes[0], "sesame"));
	assert_string_equal(READ("OTEL_EXPORTER_OTLP_ENDPOINT=grpc://c:4317")->url, "");
	assert_string_equal(READ("OTEL_EXPORTER_OTLP_ENDPOINT=http:///x")->url, "");
	assert_string_equal(READ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=c:4318")->url, "");
}

static const char *resource_of(const struct ebb_otlp_settings *s, const char *key)
{
	for (size_t i = 0; i < s->resource_count; i++)
		if (strcmp(s->resource[i].key, key) == 0)
			return s->resource[i].value;
	return NULL;
}

static void the_resource_is_ours_then_theirs_then_the_name_of_the_service(void **state)
{
	const struct ebb_otlp_settings *s =
		READ("OTEL_RESOURCE_ATTRIBUTES=service.name=other,host.name=theirs,team=a%2Cb",
		     "OTEL_SERVICE_NAME=mine");

	(void)state;
	assert_string_equal(resource_of(s, "service.name"), "mine");
	assert_string_equal(resource_of(s, "host.name"), "theirs");
	assert_string_equal(resource_of(s, "service.instance.id"), "9f3c");
	assert_string_equal(resource_of(s, "team"), "a,b");
	assert_null(resource_of(s, "k8s.node.name"));
	assert_int_equal(s->resource_count, 4);
	s = READ("OTEL_RESOURCE_ATTRIBUTES=team=x,oops");
	assert_null(resource_of(s, "team"));
	assert_int_equal(s->note_count, 1);
}

static void samplers_are_those_of_the_specification(void **state)
{
	static const struct {
		const char *sampler, *argument;
		double sample;
		bool off, told;
	} cases[] = {
		{"always_on", "0.5", 1, false, false},
		{"always_off", "1", 0.1, true, false},
		{"traceidratio", "0.5", 0.5, false, false},
		{"traceidratio", "", 1, false, false},
		{"parentbased_traceidratio", "0.25", 0.25, false, false},
		{"parentbased_always_on", "", 1, false, false},
		{"traceidratio", "1.5", 1, false, true},
		{"traceidratio", "nan", 1, false, true},
		{"traceidratio", "0.5x", 1, false, true},
		{"jaeger_remote", "", 0.1, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ebb_otlp_settings *s;
		char sampler[64], argument[64];

		(void)snprintf(sampler, sizeof(sampler), "OTEL_TRACES_SAMPLER=%s", cases[i].sampler);
		(void)snprintf(argument, sizeof(argument), "OTEL_TRACES_SAMPLER_ARG=%s", cases[i].argument);
		s = READ("OTEL_EXPORTER_OTLP_ENDPOINT=http://c", sampler, argument);
		assert_true(s->sample == cases[i].sample);
		assert_int_equal(s->url[0] == 0, cases[i].off);
		assert_int_equal(s->note_count, cases[i].told);
	}
}

static void how_it_is_sent_is_read_and_what_is_wrong_told(void **state)
{
	const struct ebb_otlp_settings *s =
		READ("OTEL_EXPORTER_OTLP_TIMEOUT=250", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=750",
		     "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_BSP_SCHEDULE_DELAY=100",
		     "OTEL_EXPORTER_OTLP_CERTIFICATE=/etc/ca.pem", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json");

	(void)state;
	assert_no_notes(s);
	assert_int_equal(s->deadline_ns, 750000000);
	assert_int_equal(s->delay_ns, 100000000);
	assert_true(s->gzip);
	assert_string_equal(s->ca_file, "/etc/ca.pem");
	s = READ("OTEL_EXPORTER_OTLP_TIMEOUT=-1", "OTEL_EXPORTER_OTLP_COMPRESSION=zstd",
		 "OTEL_EXPORTER_OTLP_PROTOCOL=grpc");
	assert_int_equal(s->note_count, 3);
	assert_int_equal(s->deadline_ns, 5000000000ULL);
	assert_false(s->gzip);
}

static void a_share_is_of_all_numbers(void **state)
{
	(void)state;
	assert_int_equal(ebb_otlp_share(0), 0);
	assert_int_equal(ebb_otlp_share(1), UINT32_MAX);
	assert_int_equal(ebb_otlp_share(0.1), 429496730);
	assert_int_equal(ebb_otlp_share(2), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_place_there_are_no_traces),
		cmocka_unit_test(the_path_of_traces_is_appended_to_the_general_place),
		cmocka_unit_test(the_place_of_traces_is_taken_as_it_is),
		cmocka_unit_test(ours_wins_and_an_empty_variable_says_nothing),
		cmocka_unit_test(the_exporter_alone_means_the_collector_on_this_node),
		cmocka_unit_test(disabled_is_off_whatever_else_is_said),
		cmocka_unit_test(headers_are_a_list_of_decoded_pairs),
		cmocka_unit_test(a_bad_header_sends_none_and_is_not_quoted),
		cmocka_unit_test(a_url_with_a_password_is_refused_and_not_quoted),
		cmocka_unit_test(the_resource_is_ours_then_theirs_then_the_name_of_the_service),
		cmocka_unit_test(samplers_are_those_of_the_specification),
		cmocka_unit_test(how_it_is_sent_is_read_and_what_is_wrong_told),
		cmocka_unit_test(a_share_is_of_all_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

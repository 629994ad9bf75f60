/* SPDX-License-Identifier: Apache-2.0 */
/* What clients really send, and what they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/accept.h"

#define TEXT EBB_METRICS_TEXT
#define OPEN EBB_METRICS_OPENMETRICS

static void the_format_that_is_preferred_is_chosen(void **state)
{
	static const struct {
		const char *header;
		enum ebb_metrics_format format;
	} cases[] = {
		{NULL, TEXT},
		{"", TEXT},
		{"*/*", TEXT},
		{"application/*", TEXT},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT}, /* a browser */
		{"application/json", TEXT},
		/* Prometheus 2.42, 2.49, 3.0 */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 OPEN},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		 OPEN},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		 OPEN},
		/* older ones knew another OpenMetrics */
		{"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 TEXT},
		{"text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1", TEXT},
		{"text/plain;version=0.0.4;q=0.1,application/openmetrics-text;version=1.0.0;q=0.9", OPEN},
		{"application/openmetrics-text", OPEN},
		{"APPLICATION/OpenMetrics-Text;Version=\"1.0.0\";Q=1.000", OPEN},
		{"application/openmetrics-text,*/*", OPEN}, /* named beats not named */
		{"application/openmetrics-text;q=0.5,*/*;q=0.6", TEXT},
		{"application/openmetrics-text,text/plain", OPEN}, /* the first */
		{"text/plain,application/openmetrics-text", TEXT},
		{"application/openmetrics-text;q=0", TEXT},
		{"application/openmetrics-text;q=0,text/plain;q=0", TEXT},
		{"text/plain;q=0,application/openmetrics-text;q=0.001", OPEN},
		{"application/openmetrics-text;q=1;version=1.0.0;charset=utf-8", OPEN},
		{" \t application/openmetrics-text \t ; version = 1.0.0 ; q = 0.9 , text/plain;q=0.8", OPEN},
		{"application/openmetrics-text;x=\"a,b;q=0\";q=0.9,text/plain;q=0.5", OPEN},
		{"application/openmetrics-text;x=\"a\\\",text/plain;q=1\";q=0.9,text/plain;q=0.5", OPEN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ebb_accept(cases[i].header) != cases[i].format)
			fail_msg("'%s'", cases[i].header ? cases[i].header : "(none)");
}

static void what_makes_no_sense_is_passed_over(void **state)
{
	static const char *const headers[] = {
		",",
		";",
		";;;,,,;",
		"=",
		"\"",
		"application/openmetrics-text;q=2",
		"application/openmetrics-text;q=1.5",
		"application/openmetrics-text;q=-1",
		"application/openmetrics-text;q=0.0000",
		"application/openmetrics-text;q=0x1",
		"application/openmetrics-text;q=.5",
		"application/openmetrics-text;q=",
		"application/openmetrics-text;q=1.00000",
		"application/openmetrics-text;q=1e0",
		"application/openmetrics-textual",
		"application/openmetrics-tex",
		"application/openmetrics-text;version=\"1.0.0",
		"application/openmetrics-text;version=1.0",
	};
	static const char *const still_open[] = {
		"application/openmetrics-text;q", /* no parameter: it has no value */
		",,application/openmetrics-text,,",
		"application/openmetrics-text;;q=0.5;",
		"text/plain;q=broken,application/openmetrics-text;q=0.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (ebb_accept(headers[i]) != TEXT)
			fail_msg("'%s'", headers[i]);
	for (size_t i = 0; i < sizeof(still_open) / sizeof(still_open[0]); i++)
		if (ebb_accept(still_open[i]) != OPEN)
			fail_msg("'%s'", still_open[i]);
}

static void gzip_is_for_those_who_allow_it(void **state)
{
	static const struct {
		const char *header;
		bool gzip;
	} cases[] = {
		{NULL, false},
		{"", false},
		{"gzip", true},
		{"GZip", true},
		{"x-gzip", true}, /* as RFC 9110 wants it taken */
		{"gzip, deflate, br, zstd", true},
		{"br, gzip", true},
		{"deflate", false},
		{"identity", false},
		{"*", true},
		{"*;q=0", false},
		{"*;q=0, gzip", true},
		{"gzip;q=0", false},
		{"gzip;q=0, *", false},
		{"*, gzip;q=0", false},
		{"gzip;q=0.001", true},
		{"gzip ; q = 0.5 , identity", false},
		{"gzip;q=0.5, identity;q=0.5", true},
		{"gzip;q=0.5, identity;q=0.4", true},
		{"identity;q=0, gzip;q=0.1", true},
		{"identity;q=0.9, *;q=0.5", false},
		/* no sense */
		{"gzip;q=2", false},
		{"gzip;q=", false},
		{"gzipped", false},
		{"gzi", false},
		{",;,", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ebb_accept_gzip(cases[i].header) != cases[i].gzip)
			fail_msg("'%s'", cases[i].header ? cases[i].header : "(none)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_format_that_is_preferred_is_chosen),
		cmocka_unit_test(what_makes_no_sense_is_passed_over),
		cmocka_unit_test(gzip_is_for_those_who_allow_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

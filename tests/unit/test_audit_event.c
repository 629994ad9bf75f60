/* SPDX-License-Identifier: Apache-2.0 */
/* An event is one line, and comes out of it as it went in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/audit_event.h"

/* 2026-11-29T05:51:51.123456Z */
#define NOW 1795931511123456000LL
#define ID  "019acdb3-0000-7000-8000-000000000001"

static const uint8_t random_bytes[10] = {0xff, 1, 0xff, 3, 4, 5, 6, 7, 8, 9};

static void an_id_is_a_uuid_that_sorts_by_time(void **state)
{
	char first[EBB_AUDIT_ID_MAX], later[EBB_AUDIT_ID_MAX];

	(void)state;
	ebb_audit_id(NOW, random_bytes, first);
	assert_int_equal(strlen(first), 36);
	assert_memory_equal(first + 14, "7f01-bf03-0405", 14);
	ebb_audit_id(NOW + 1000000, random_bytes, later);
	assert_true(strcmp(first, later) < 0);
}

static void a_line_comes_out_as_it_went_in(void **state)
{
	json_t *details = json_pack("{s:s, s:i}", "destination", "a\"b\n", "ok", 3);
	struct ebb_audit_event event = {.outcome = EBB_AUDIT_DENIED,
					.realtime_ns = NOW,
					.user = "default/agent",
					.session = "9f3c",
					.address = NULL,
					.outcome_details = "\xff not UTF-8 \n",
					.details = details};
	char line[EBB_AUDIT_LINE_MAX];

	(void)state;
	for (unsigned int type = 0; type < EBB_AUDIT_MAX; type++) {
		struct ebb_audit_record record;
		int length;

		event.type = (enum ebb_audit_type)type;
		length = ebb_audit_line(&event, ID, line, sizeof(line));
		assert_true(length > 0);
		assert_int_equal(strlen(line), length);
		assert_ptr_equal(strchr(line, '\n'), line + length - 1);
		assert_int_equal(ebb_audit_parse(line, (size_t)length, &record, NULL), 0);
		assert_string_equal(record.id, ID);
		assert_int_equal(record.event.type, type);
		assert_int_equal(record.event.outcome, EBB_AUDIT_DENIED);
		assert_int_equal(record.event.realtime_ns, NOW);
		assert_string_equal(record.event.user, "default/agent");
		assert_string_equal(record.event.address, "");
		assert_string_equal(record.event.outcome_details, "\xef\xbf\xbd not UTF-8 \n");
		assert_true(json_equal(record.event.details, details));
		ebb_audit_record_done(&record);
	}
	json_decref(details);
}

static void what_is_too_long_is_refused(void **state)
{
	static char text[EBB_AUDIT_LINE_MAX], line[2 * EBB_AUDIT_LINE_MAX];
	struct ebb_audit_event event = {.realtime_ns = NOW};
	int whole = ebb_audit_line(&event, ID, line, sizeof(line));
	json_t *details;

	(void)state;
	assert_true(whole > 0);
	assert_int_equal(ebb_audit_line(&event, ID, line, (size_t)whole + 1), whole);
	assert_int_equal(ebb_audit_line(&event, ID, line, (size_t)whole), -E2BIG);
	memset(text, 'x', sizeof(text) - 1);
	details = json_pack("{s:s}", "text", text);
	event.user = text;
	assert_int_equal(ebb_audit_line(&event, ID, line, sizeof(line)), -E2BIG);
	event.user = NULL;
	event.details = details;
	assert_int_equal(ebb_audit_line(&event, ID, line, sizeof(line)), -E2BIG);
	json_decref(details);
}

#define LINE(id, time, type, outcome, details)                                               \
	"{\"id\":\"" id "\",\"timestamp\":\"" time "\",\"event_type\":\"" type               \
	"\",\"user_id\":\"\",\"session_id\":\"\",\"ip_address\":\"\",\"outcome\":\"" outcome \
	"\",\"outcome_details\":\"\",\"details\":" details "}\n"
#define TIME "2026-11-29T05:51:51.123456Z"

static void what_is_no_event_is_told(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "no event: no JSON at byte 0"},
		{"[]\n", "no event: no object of JSON"},
		{"{}\n", "no event: 'id' is missing, or no text"},
		{LINE(ID, TIME, "denials", "denied", "[]"), "no event: 'details' is missing, or no object"},
		{LINE(ID, TIME, "denials", "so-so", "{}"),
		 "no event: its outcome is not success, failure or denied"},
		{LINE(ID, TIME, "new\\nthing", "denied", "{}"),
		 "an event of a type that we do not know: 'new\\x0athing'"},
		{LINE("x", TIME, "denials", "denied", "{}"), "no event: its id is no UUID of version 7"},
		{LINE(ID, "2026-02-30T05:51:51.123456Z", "denials", "denied", "{}"),
		 "no event: its timestamp is not like 2026-11-29T05:51:51.123456Z"},
		{LINE(ID, "9999-02-20T05:51:51.123456Z", "denials", "denied", "{}"),
		 "no event: its timestamp is not like 2026-11-29T05:51:51.123456Z"},
		{LINE(ID, TIME, "denials", "denied", "{}") "{}", "no event: no JSON at byte "},
	};
	struct ebb_audit_record record;
	struct ebb_why why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ebb_audit_parse(cases[i].line, strlen(cases[i].line), &record, &why),
				 -EBADMSG);
		assert_memory_equal(why.text, cases[i].why, strlen(cases[i].why));
	}
}

static void names_are_found(void **state)
{
	enum ebb_audit_type type;

	(void)state;
	assert_int_equal(ebb_audit_type_of("denials", &type), 0);
	assert_int_equal(type, EBB_AUDIT_DENIALS);
	assert_int_equal(ebb_audit_type_of("denial", &type), -ENOENT);
	assert_string_equal(ebb_audit_type_name(EBB_AUDIT_MAX), "unknown");
	assert_string_equal(ebb_audit_outcome_name((enum ebb_audit_outcome)7), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_a_uuid_that_sorts_by_time),
		cmocka_unit_test(a_line_comes_out_as_it_went_in),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(what_is_no_event_is_told),
		cmocka_unit_test(names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

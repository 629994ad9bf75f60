/* SPDX-License-Identifier: Apache-2.0 */
/* Every event has a sentence, also one of another version that says less, or says it otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "tell/event_text.h"

static char text[EBB_EVENT_TEXT_MAX];

/* @details is taken over. */
static const char *say(enum ebb_audit_type type, json_t *details)
{
	const struct ebb_audit_event event = {.type = type, .details = details};

	assert_non_null(details);
	assert_ptr_equal(ebb_event_text(&event, text, sizeof(text)), text);
	json_decref(details);
	return text;
}

static void a_transition_reads_like_a_sentence(void **state)
{
	(void)state;
	assert_string_equal(say(EBB_AUDIT_BREAKER_TRANSITION,
				json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:f, s:s, s:s, s:s, s:s, s:s}",
					  "destination", "api", "from", "closed", "to", "open", "reason",
					  "failure_rate", "ok", 5, "failed", 7, "slow", 0, "run", 2,
					  "last_failure", "unanswered", "open_for_s", 90.0, "episode", "6e1d",
					  "mode", "observe", "workload", "/web", "namespace", "shop", "pod",
					  "web-1")),
			    "api opens for 1m30s: failure rate; 7 failed, 5 succeeded, 2 in a row, the last unanswered; in mode "
			    "observe nothing is refused; met by /web (pod shop/web-1); episode 6e1d");
}

static void refusals_say_which_were_real(void **state)
{
	(void)state;
	assert_string_equal(say(EBB_AUDIT_DENIALS,
				json_pack("{s:s, s:s, s:{s:i, s:i}, s:{s:i}, s:s}", "destination", "api",
					  "workload", "/web", "causes", "breaker", 3, "rate", 0, "would",
					  "fuse", 2, "episode", "")),
			    "api from /web refused: 3 breaker; would be refused: 2 fuse");
	assert_string_equal(say(EBB_AUDIT_DENIALS, json_pack("{s:s, s:{}, s:{s:i}}", "destination", "api",
							     "causes", "would", "fuse", 2)),
			    "api would be refused: 2 fuse");
}

static void nothing_that_is_missing_is_made_up(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < EBB_AUDIT_MAX; type++) {
		(void)say((enum ebb_audit_type)type, json_object());
		assert_null(strstr(text, "-1"));
		assert_null(strstr(text, "null"));
		(void)say((enum ebb_audit_type)type,
			  json_pack("{s:i, s:s, s:[i], s:{s:s}, s:b, s:s, s:n}", "destination", 7, "uid",
				    "root", "causes", 1, "outcomes", "refused", "many", "command", 1,
				    "open_for_s", "long", "workload"));
		assert_null(strstr(text, "-1"));
	}
}

static void what_comes_from_outside_cannot_steer_and_is_cut(void **state)
{
	static char long_text[4 * EBB_EVENT_TEXT_MAX];

	(void)state;
	assert_string_equal(say(EBB_AUDIT_OVERRIDE, json_pack("{s:s, s:i, s:n}", "command", "list\x1b[2J\n",
							      "uid", 0, "login_uid")),
			    "'ebb list\\x1b[2J\\x0a' by uid 0");
	memset(long_text, 'x', sizeof(long_text) - 1);
	(void)say(EBB_AUDIT_CONFIG_REJECTED, json_pack("{s:s, s:s}", "file", long_text, "why", long_text));
	assert_in_range(strlen(text), EBB_EVENT_TEXT_MAX / 2, EBB_EVENT_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transition_reads_like_a_sentence),
		cmocka_unit_test(refusals_say_which_were_real),
		cmocka_unit_test(nothing_that_is_missing_is_made_up),
		cmocka_unit_test(what_comes_from_outside_cannot_steer_and_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

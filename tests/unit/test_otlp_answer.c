/* SPDX-License-Identifier: Apache-2.0 */
/* user/export/otlp_answer.c: what a collector answers, and what it means for the spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "export/otlp_answer.h"

static struct ebb_otlp_answer read_answer(unsigned int status, const char *body)
{
	struct ebb_otlp_answer answer;

	ebb_otlp_answer_read(status, body, strlen(body), &answer);
	return answer;
}

static void what_is_taken_is_taken(void **state)
{
	static const char *const bodies[] = {"", "{}", "{\"partialSuccess\":{}}",
					     "{\"partialSuccess\":{\"errorMessage\":\"slow down\"}}",
					     "{\"partialSuccess\":{\"rejectedSpans\":\"0\"}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct ebb_otlp_answer answer = read_answer(200, bodies[i]);

		assert_int_equal(answer.result, EBB_SINK_DONE);
		assert_int_equal(answer.rejected, 0);
		assert_string_equal(answer.why, "");
	}
	assert_int_equal(read_answer(202, "{}").result, EBB_SINK_DONE);
}

static void spans_that_were_rejected_are_counted_with_the_reason(void **state)
{
	struct ebb_otlp_answer answer =
		read_answer(200,
			    "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"too\\nold\"}}");

	(void)state;
	assert_int_equal(answer.result, EBB_SINK_DONE);
	assert_int_equal(answer.rejected, 3);
	assert_string_equal(answer.why, "it did not take 3 spans: too\\x0aold");
	assert_int_equal(read_answer(200, "{\"partialSuccess\":{\"rejectedSpans\":7}}").rejected, 7);
	assert_int_equal(read_answer(200, "{\"partialSuccess\":{\"rejectedSpans\":-7}}").rejected, 0);
	assert_int_equal(read_answer(200, "{\"partialSuccess\":{\"rejectedSpans\":\"-7\"}}").rejected, 0);
}

static void one_that_is_no_collector_is_told(void **state)
{
	static const char *const bodies[] = {"<html>Welcome</html>", "[]", "{\"partialSuccess\":", "\xff"};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct ebb_otlp_answer answer = read_answer(200, bodies[i]);

		assert_int_equal(answer.result, EBB_SINK_DONE);
		assert_non_null(strstr(answer.why, "is the endpoint right?"));
	}
}

static void only_what_may_go_better_is_tried_again(void **state)
{
	static const unsigned int again[] = {429, 502, 503, 504};
	static const unsigned int never[] = {301, 400, 401, 403, 404, 413, 415, 500, 501, 505};

	(void)state;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		assert_int_equal(read_answer(again[i], "").result, EBB_SINK_RETRY);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(read_answer(never[i], "").result, EBB_SINK_REFUSED);
}

static void a_refusal_says_why(void **state)
{
	(void)state;
	assert_string_equal(read_answer(401, "{\"code\":16,\"message\":\"no token\"}").why,
			    "it answers 401: no token");
	assert_string_equal(read_answer(503, "<h1>down</h1>").why, "it answers 503");
	assert_string_equal(read_answer(400, "{\"message\":[1]}").why, "it answers 400");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_is_taken),
		cmocka_unit_test(spans_that_were_rejected_are_counted_with_the_reason),
		cmocka_unit_test(one_that_is_no_collector_is_told),
		cmocka_unit_test(only_what_may_go_better_is_tried_again),
		cmocka_unit_test(a_refusal_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/otlp_answer.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_whole.h"
#include "lib/text.h"

#define TOLD_MAX 120

/* What somebody else wrote, fit to be printed. */
static void copy_told(const char *text, char buffer[TOLD_MAX])
{
	(void)ebb_text_escape(text ? text : "", buffer, TOLD_MAX);
}

/* A number of 64 bits may come as a number or as a text. */
static uint64_t read_count(const json_t *value)
{
	const char *text = json_string_value(value);
	json_int_t number = json_integer_value(value);

	if (text && isdigit((unsigned char)text[0]))
		return strtoull(text, NULL, 10);
	return number > 0 ? (uint64_t)number : 0;
}

/* {}, or {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "..."}}; of metrics "rejectedDataPoints" */
static void read_success(const json_t *root, struct ebb_otlp_answer *ret)
{
	const json_t *points, *partial = json_object_get(root, "partialSuccess");
	char told[TOLD_MAX];

	if (!json_is_object(root)) {
		(void)snprintf(ret->why, sizeof(ret->why),
			       "it says 200, but not in the words of an OTLP collector: is the endpoint right?");
		return;
	}
	points = json_object_get(partial, "rejectedDataPoints");
	ret->rejected = read_count(points ? points : json_object_get(partial, "rejectedSpans"));
	/* what it says beside taking all is a warning to whoever runs it */
	if (!ret->rejected)
		return;
	copy_told(json_string_value(json_object_get(partial, "errorMessage")), told);
	(void)snprintf(ret->why, sizeof(ret->why), "it did not take %llu %s: %s",
		       (unsigned long long)ret->rejected, points ? "points" : "spans",
		       told[0] ? told : "it does not say why");
}

/* google.rpc.Status: {"code": 3, "message": "..."}, or anything. */
static void read_failure(unsigned int status, const json_t *root, struct ebb_otlp_answer *ret)
{
	char told[TOLD_MAX];

	copy_told(json_string_value(json_object_get(root, "message")), told);
	(void)snprintf(ret->why, sizeof(ret->why), "it answers %u%s%s", status, told[0] ? ": " : "", told);
}

void ebb_otlp_answer_read(unsigned int status, const char *body, size_t size,
			  struct ebb_otlp_answer *ret_answer)
{
	bool again = status == 429 || status == 502 || status == 503 || status == 504;
	json_t *root = NULL;

	(void)ebb_json_load(body, size, JSON_REJECT_DUPLICATES, &root, NULL);
	memset(ret_answer, 0, sizeof(*ret_answer));
	if (status >= 200 && status < 300) {
		ret_answer->result = EBB_SINK_DONE;
		/* an empty body is what some collectors have for {} */
		if (size > 0)
			read_success(root, ret_answer);
	} else {
		ret_answer->result = again ? EBB_SINK_RETRY : EBB_SINK_REFUSED;
		read_failure(status, root, ret_answer);
	}
	json_decref(root);
}

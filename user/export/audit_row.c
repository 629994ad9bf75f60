/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit_row.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/json_whole.h"

#define NS_PER_US 1000
#define NONE	  (-1)

static const char *text_or_none(const json_t *details, const char *name)
{
	const char *text = json_string_value(json_object_get(details, name));

	return text && text[0] ? text : NULL;
}

static int64_t count_or_none(const json_t *details, const char *name)
{
	const json_t *value = json_object_get(details, name);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : NONE;
}

/* Of {cause: count}. What is no count is left out: an event may come from another version. */
static int64_t sum_or_none(const json_t *details, const char *name)
{
	json_t *counts = json_object_get(details, name), *value;
	const char *key;
	int64_t sum = 0;

	if (!json_is_object(counts))
		return NONE;
	json_object_foreach (counts, key, value) {
		if (json_integer_value(value) > 0 &&
		    __builtin_add_overflow(sum, json_integer_value(value), &sum))
			sum = INT64_MAX;
	}
	return sum;
}

static void count(const struct ebb_audit_event *event, struct ebb_audit_counts *counts)
{
	const json_t *details = event->details;

	*counts = (struct ebb_audit_counts){NONE, NONE, NONE, NONE, NONE, NONE};
	if (event->type == EBB_AUDIT_DENIALS) {
		counts->amount = sum_or_none(details, "causes");
		counts->at_breaker = count_or_none(json_object_get(details, "causes"), "breaker");
		counts->would = sum_or_none(details, "would");
	} else if (event->type == EBB_AUDIT_FAILURES) {
		counts->amount = sum_or_none(details, "outcomes");
		counts->ok = count_or_none(details, "ok");
		counts->used = count_or_none(details, "destinations");
		counts->failing = count_or_none(details, "failing");
	}
}

/* Microseconds, rounded down before 1970, too. */
static int64_t microseconds(int64_t ns)
{
	return ns / NS_PER_US - (ns % NS_PER_US < 0);
}

int ebb_audit_row(const struct ebb_audit_record *record, struct ebb_audit_row *ret_row)
{
	const struct ebb_audit_event *event = &record->event;
	char *details;

	ebb_json_begin();
	details = ebb_json_dump(event->details, JSON_COMPACT);
	if (!details)
		return -ENOMEM;
	*ret_row = (struct ebb_audit_row){
		.id = record->id,
		.type = ebb_audit_type_name(event->type),
		.user = event->user,
		.session = event->session,
		.address = event->address,
		.outcome = ebb_audit_outcome_name(event->outcome),
		.outcome_details = event->outcome_details,
		.timestamp_us = microseconds(event->realtime_ns),
		.details = details,
		.destination = text_or_none(event->details, "destination"),
		.episode = text_or_none(event->details, "episode"),
	};
	count(event, &ret_row->counts);
	return 0;
}

void ebb_audit_row_done(struct ebb_audit_row *row)
{
	free(row->details);
	row->details = NULL;
}

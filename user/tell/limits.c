/* SPDX-License-Identifier: Apache-2.0 */
/* Limits as 'list', 'show' and 'limit set' tell them: what is in force, where from, what is left. */
#include "core/limit.h"

#include <inttypes.h>
#include <string.h>

#include "tell/render.h"
#include "core/by_hand.h"
#include "lib/table.h"
#include "lib/units.h"

#define FROM_MAX 256

/* One of the three buckets, or the cap, which comes last. */
#define KINDS (EBB_LIMIT_MAX + 1)

static const char *kind_name(uint32_t kind)
{
	return kind < EBB_LIMIT_MAX ? ebb_limit_kind_info(kind)->name : "concurrent";
}

/* "10MB/s burst 2.5MB", "64", "none" */
static const char *limit_text(const struct ebb_limits *limits, uint32_t kind, char *buffer, size_t size)
{
	if (kind < EBB_LIMIT_MAX)
		return ebb_limit_format(&limits->bucket[kind], kind, buffer, size);
	if (limits->concurrent)
		(void)snprintf(buffer, size, "%u", limits->concurrent);
	else
		(void)snprintf(buffer, size, "none");
	return buffer;
}

static bool is_limited(const struct ebb_limits *limits, uint32_t kind)
{
	return kind < EBB_LIMIT_MAX ? limits->bucket[kind].per_hour != 0 : limits->concurrent != 0;
}

/* Something to tell: a limit, or that an operator lifted one. */
static bool is_said(const struct ebb_limits *limits, uint32_t kind)
{
	return is_limited(limits, kind) || (limits->given & (1U << kind));
}

void ebb_gate_limits(const struct ebb_look *look, const struct ebb_gate_row *row,
		     struct ebb_limits *ret_limits)
{
	struct ebb_limits limits;

	ebb_limits_in_force(&row->policy, look->now_ns, &limits);
	/* what is configured goes with the lease; what an operator said does not */
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX && !row->leased; kind++) {
		if (!(limits.given & (1U << kind)))
			limits.bucket[kind] = (struct ebb_limit){0};
	}
	if (!row->leased && !(limits.given & EBB_GIVEN_CONCURRENT))
		limits.concurrent = 0;
	*ret_limits = limits;
}

static double available(const struct ebb_look *look, const struct ebb_gate_row *row,
			const struct ebb_limits *limits, uint32_t kind)
{
	if (kind < EBB_LIMIT_MAX)
		return ebb_limit_available(&limits->bucket[kind], row->kernel.full_ns[kind], look->now_ns);
	return row->kernel.in_use < limits->concurrent ? (double)(limits->concurrent - row->kernel.in_use)
						       : 0;
}

/* --------------------------------------------------------------- text -- */

const char *ebb_limits_cell(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			    size_t size)
{
	struct ebb_limits limits;
	size_t used = 0;

	ebb_gate_limits(look, row, &limits);
	(void)snprintf(buffer, size, "-");
	for (uint32_t kind = 0; kind < KINDS && used < size; kind++) {
		char text[EBB_LIMIT_TEXT_MAX];

		if (!is_said(&limits, kind))
			continue;
		if (kind < EBB_LIMIT_MAX)
			(void)ebb_limit_format_rate(&limits.bucket[kind], kind, text, sizeof(text));
		else if (limits.concurrent)
			(void)snprintf(text, sizeof(text), "%" PRIu64 "/%u", (uint64_t)row->kernel.in_use,
				       limits.concurrent);
		else
			(void)snprintf(text, sizeof(text), "none");
		used += (size_t)snprintf(buffer + used, size - used, "%s%s=%s%s", used ? " " : "",
					 kind_name(kind), text, limits.given & (1U << kind) ? "*" : "");
	}
	return buffer;
}

/* "configured", "by hand by uid 1000, for another 9m50s; configured: 5MB/s burst 1.25MB" */
static void from_text(const struct ebb_look *look, const struct ebb_gate_row *row,
		      const struct ebb_limits *limits, uint32_t kind, char *buffer, size_t size)
{
	const struct ebb_policy *policy = &row->policy;
	char until[EBB_FORMAT_MAX], configured[EBB_LIMIT_TEXT_MAX];
	uint64_t until_ns;

	if (!(limits->given & (1U << kind))) {
		(void)snprintf(buffer, size, "configured");
		return;
	}
	until_ns = ebb_limit_until(policy, 1U << kind);
	if (until_ns)
		(void)ebb_format_duration(ebb_age(until_ns, look->now_ns), until, sizeof(until));
	(void)snprintf(buffer, size, "by hand%s by uid %u, %s%s; configured: %s",
		       policy->wide & (1U << kind) ? " for all workloads" : "",
		       ebb_limit_uid(policy, 1U << kind), until_ns ? "for another " : "until it is cleared",
		       until_ns ? until : "",
		       limit_text(&policy->limits, kind, configured, sizeof(configured)));
}

static void available_cell(struct ebb_table *table, const struct ebb_look *look,
			   const struct ebb_gate_row *row, const struct ebb_limits *limits, uint32_t kind)
{
	char text[EBB_FORMAT_MAX];

	if (!is_limited(limits, kind))
		ebb_table_cell(table, "-");
	else if (kind < EBB_LIMIT_MAX)
		ebb_table_cell(table, "%s",
			       ebb_limit_format_units(available(look, row, limits, kind), kind, text,
						      sizeof(text)));
	else
		ebb_table_cell(table, "%.0f (%" PRIu64 " in use)", available(look, row, limits, kind),
			       (uint64_t)row->kernel.in_use);
}

int ebb_limits_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	static const struct ebb_column columns[] = {
		{"LIMIT", EBB_ALIGN_LEFT, false, 0},
		{"IN FORCE", EBB_ALIGN_LEFT, false, 0},
		{"AVAILABLE", EBB_ALIGN_LEFT, false, 0},
		{"FROM", EBB_ALIGN_LEFT, false, 0},
	};
	struct ebb_limits limits;
	struct ebb_table *table;
	bool any = false;
	int r;

	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	ebb_gate_limits(look, row, &limits);
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		char text[EBB_LIMIT_TEXT_MAX], from[FROM_MAX];

		if (!is_said(&limits, kind))
			continue;
		any = true;
		from_text(look, row, &limits, kind, from, sizeof(from));
		ebb_table_cell(table, "%s", kind_name(kind));
		ebb_table_cell(table, "%s", limit_text(&limits, kind, text, sizeof(text)));
		available_cell(table, look, row, &limits, kind);
		ebb_table_cell(table, "%s", from);
	}
	if (any) {
		(void)fprintf(out, "\n  limits%s\n",
			      row->mode == EBB_MODE_ENFORCE
				      ? ""
				      : " (observe: nothing is refused or dropped, only counted)");
		r = ebb_table_print(table, out, 4, 0);
	}
	ebb_table_free(table);
	return r;
}

void ebb_limits_say(FILE *out, const struct ebb_look *look, const char *who, const struct ebb_policy *policy)
{
	char text[EBB_LIMIT_TEXT_MAX], at[EBB_TIME_MAX];
	struct ebb_limits limits;
	const char *before = ": ";

	ebb_limits_in_force(policy, look->now_ns, &limits);
	(void)fputs(who, out);
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		if (!is_said(&limits, kind))
			continue;
		(void)fprintf(out, "%s%s %s (%s)", before, kind_name(kind),
			      limit_text(&limits, kind, text, sizeof(text)),
			      !(limits.given & (1U << kind)) ? "configured"
			      : policy->wide & (1U << kind)  ? "by hand for all workloads"
							     : "by hand");
		before = ", ";
	}
	if (before[0] == ':')
		(void)fputs(": no limit", out);
	if (!(limits.given & ~policy->wide))
		(void)fputs("; nothing by hand\n", out);
	else if (!policy->by_hand_until_ns)
		(void)fputs("; by hand until it is cleared\n", out);
	else
		(void)fprintf(out, "; by hand until %s (%s)\n",
			      ebb_format_time(ebb_look_realtime(look, policy->by_hand_until_ns), false, at,
					      sizeof(at)),
			      ebb_format_duration(ebb_age(policy->by_hand_until_ns, look->now_ns), text,
						  sizeof(text)));
}

/* --------------------------------------------------------------- JSON -- */

/* A limit as a number, null where there is none. */
static json_t *number_or_null(bool limited, double number)
{
	return limited ? json_real(number) : json_null();
}

static json_t *count_or_null(bool limited, uint64_t count)
{
	return limited ? ebb_json_count(count) : json_null();
}

static json_t *limit_json(const struct ebb_look *look, const struct ebb_gate_row *row,
			  const struct ebb_limits *limits, uint32_t kind)
{
	const struct ebb_policy *policy = &row->policy;
	bool limited = is_limited(limits, kind), by_hand = (limits->given & (1U << kind)) != 0;
	json_t *object =
		json_pack("{s:b, s:o, s:o, s:o}", "by_hand", by_hand, "uid",
			  count_or_null(by_hand, ebb_limit_uid(policy, 1U << kind)), "until_timestamp",
			  by_hand ? ebb_json_timestamp(look, ebb_limit_until(policy, 1U << kind))
				  : json_null(),
			  "available", number_or_null(limited, available(look, row, limits, kind)));
	json_t *more;

	if (kind < EBB_LIMIT_MAX)
		more = json_pack("{s:o, s:o}", "rate_per_second",
				 number_or_null(limited, ebb_limit_rate(&limits->bucket[kind])), "burst",
				 count_or_null(limited, limits->bucket[kind].burst));
	else
		more = json_pack("{s:o, s:o}", "limit", count_or_null(limited, limits->concurrent), "in_use",
				 ebb_json_count(row->kernel.in_use));
	if (!object || !more || json_object_update(object, more) < 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(more);
	return object;
}

json_t *ebb_limits_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	json_t *object = json_object();
	struct ebb_limits limits;

	ebb_gate_limits(look, row, &limits);
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		if (json_object_set_new(object, kind_name(kind), limit_json(look, row, &limits, kind)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *ebb_limits_configured_json(const struct ebb_policy *policy)
{
	const struct ebb_limits *limits = &policy->limits;
	json_t *object = json_object();

	for (uint32_t kind = 0; kind < KINDS; kind++) {
		json_t *value;

		if (kind == EBB_LIMIT_MAX || !is_limited(limits, kind))
			value = count_or_null(is_limited(limits, kind), limits->concurrent);
		else
			value = json_pack("{s:f, s:I}", "rate_per_second",
					  ebb_limit_rate(&limits->bucket[kind]), "burst",
					  (json_int_t)limits->bucket[kind].burst);
		if (json_object_set_new(object, kind_name(kind), value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

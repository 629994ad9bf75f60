/* SPDX-License-Identifier: Apache-2.0 */
#include "export/audit_event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "export/json.h"
#include "lib/json_whole.h"
#include "lib/text.h"

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL
#define NS_PER_US 1000LL

#define ID_LENGTH (EBB_AUDIT_ID_MAX - 1)

/* What fills a line after its last member: "}\n" and a NUL. */
#define LINE_END_MAX 3

static const char *const type_names[EBB_AUDIT_MAX] = {
	[EBB_AUDIT_AGENT_START] = "agent_start",
	[EBB_AUDIT_AGENT_STOP] = "agent_stop",
	[EBB_AUDIT_CONFIG_APPLIED] = "config_applied",
	[EBB_AUDIT_CONFIG_REJECTED] = "config_rejected",
	[EBB_AUDIT_OVERRIDE] = "override",
	[EBB_AUDIT_BREAKER_TRANSITION] = "breaker_transition",
	[EBB_AUDIT_DENIALS] = "denials",
	[EBB_AUDIT_FAILURES] = "failures",
	[EBB_AUDIT_DESTINATION_NEW] = "destination_new",
	[EBB_AUDIT_NODE_FUSE] = "node_fuse",
	[EBB_AUDIT_ENFORCEMENT_LOST] = "enforcement_lost",
	[EBB_AUDIT_ENFORCEMENT_BACK] = "enforcement_back",
	[EBB_AUDIT_LINK_ATTACHED] = "link_attached",
	[EBB_AUDIT_REQUEST_REFUSED] = "request_refused",
	[EBB_AUDIT_CREDENTIALS_REFUSED] = "credentials_refused",
};

static const char *const outcome_names[] = {
	[EBB_AUDIT_SUCCESS] = "success",
	[EBB_AUDIT_FAILURE] = "failure",
	[EBB_AUDIT_DENIED] = "denied",
};

#define OUTCOMES (sizeof(outcome_names) / sizeof(outcome_names[0]))

const char *ebb_audit_type_name(enum ebb_audit_type type)
{
	return (unsigned int)type < EBB_AUDIT_MAX ? type_names[type] : "unknown";
}

const char *ebb_audit_outcome_name(enum ebb_audit_outcome outcome)
{
	return (unsigned int)outcome < OUTCOMES ? outcome_names[outcome] : "unknown";
}

int ebb_audit_type_of(const char *name, enum ebb_audit_type *ret_type)
{
	for (unsigned int i = 0; i < EBB_AUDIT_MAX; i++) {
		if (strcmp(name, type_names[i]) == 0) {
			*ret_type = (enum ebb_audit_type)i;
			return 0;
		}
	}
	return -ENOENT;
}

/* ------------------------------------------------------------------- line -- */

void ebb_audit_id(int64_t realtime_ns, const uint8_t random[10], char ret_id[EBB_AUDIT_ID_MAX])
{
	uint64_t ms = realtime_ns > 0 ? (uint64_t)(realtime_ns / NS_PER_MS) : 0;
	uint8_t bytes[16];

	for (unsigned int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(bytes + 6, random, 10);
	bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f)); /* version 7 */
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f)); /* the variant of RFC 9562 */
	for (size_t i = 0, at = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret_id[at++] = '-';
		ret_id[at++] = "0123456789abcdef"[bytes[i] >> 4];
		ret_id[at++] = "0123456789abcdef"[bytes[i] & 0x0f];
	}
	ret_id[ID_LENGTH] = '\0';
}

/* Whole seconds before, and the rest, which is never negative. */
static time_t split(int64_t realtime_ns, int64_t *ret_ns)
{
	int64_t seconds = realtime_ns / NS_PER_S;

	*ret_ns = realtime_ns % NS_PER_S;
	if (*ret_ns < 0) {
		*ret_ns += NS_PER_S;
		seconds--;
	}
	return (time_t)seconds;
}

const char *ebb_audit_timestamp(int64_t realtime_ns, char buffer[EBB_AUDIT_TIMESTAMP_MAX])
{
	struct tm tm = {0};
	int64_t ns;
	time_t seconds = split(realtime_ns, &ns);

	(void)gmtime_r(&seconds, &tm);
	(void)snprintf(buffer, EBB_AUDIT_TIMESTAMP_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (int)(ns / NS_PER_US));
	return buffer;
}

static void put_text(struct ebb_line *line, const char *name, const char *text)
{
	ebb_json_put_name(line, name);
	ebb_json_put_string(line, text ? text : "");
}

/* It may fill the buffer, and is then too long in any case. */
static int put_details(struct ebb_line *line, const json_t *details)
{
	size_t room, length;

	ebb_json_put_name(line, "details");
	if (!details) {
		ebb_line_put(line, "{}");
		return 0;
	}
	room = line->size - line->used;
	length = json_dumpb(details, line->data + line->used, room,
			    JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
	if (length == 0)
		return -ENOMEM;
	if (length > room)
		return -E2BIG;
	line->used += length;
	return 0;
}

int ebb_audit_line(const struct ebb_audit_event *event, const char *id, char *buffer, size_t size)
{
	struct ebb_line line = {.data = buffer,
				.size = size < EBB_AUDIT_LINE_MAX ? size : EBB_AUDIT_LINE_MAX};
	char timestamp[EBB_AUDIT_TIMESTAMP_MAX];
	int r;

	ebb_line_put(&line, "{");
	put_text(&line, "id", id);
	put_text(&line, "timestamp", ebb_audit_timestamp(event->realtime_ns, timestamp));
	put_text(&line, "event_type", ebb_audit_type_name(event->type));
	put_text(&line, "user_id", event->user);
	put_text(&line, "session_id", event->session);
	put_text(&line, "ip_address", event->address);
	put_text(&line, "outcome", ebb_audit_outcome_name(event->outcome));
	put_text(&line, "outcome_details", event->outcome_details);
	r = put_details(&line, event->details);
	if (r < 0)
		return r;
	/* what does not fit was cut */
	if (line.used + LINE_END_MAX > line.size)
		return -E2BIG;
	memcpy(buffer + line.used, "}\n", LINE_END_MAX);
	return (int)(line.used + LINE_END_MAX - 1);
}

/* ------------------------------------------------------------------ parse -- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_id(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != ID_LENGTH)
		return false;
	for (size_t i = 0; i < ID_LENGTH; i++) {
		bool digit = is_digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');

		if (shape[i] == 'x' ? !digit : text[i] != shape[i])
			return false;
	}
	return true;
}

static int digits(const char *text, size_t count)
{
	int value = 0;

	for (size_t i = 0; i < count; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/* The one form that we write: UTC, microseconds. */
int ebb_audit_time_of(const char *text, int64_t *ret_realtime_ns)
{
	static const char shape[] = "0000-00-00T00:00:00.000000Z";
	struct tm tm = {0}, back = {0};
	time_t seconds;

	if (strlen(text) != sizeof(shape) - 1)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == '0' ? !is_digit(text[i]) : text[i] != shape[i])
			return -EBADMSG;
	}
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	back = tm;
	seconds = timegm(&back);
	/* timegm() takes the 31st of February for a day of March */
	if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour ||
	    back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return -EBADMSG;
	/* 64 bits of nanoseconds end in 2262 */
	if (__builtin_mul_overflow((int64_t)seconds, NS_PER_S, ret_realtime_ns) ||
	    __builtin_add_overflow(*ret_realtime_ns, digits(text + 20, 6) * NS_PER_US, ret_realtime_ns))
		return -EBADMSG;
	return 0;
}

int ebb_audit_outcome_of(const char *name, enum ebb_audit_outcome *ret_outcome)
{
	for (unsigned int i = 0; i < OUTCOMES; i++) {
		if (strcmp(name, outcome_names[i]) == 0) {
			*ret_outcome = (enum ebb_audit_outcome)i;
			return 0;
		}
	}
	return -ENOENT;
}

static int take_text(const json_t *root, const char *name, const char **ret_text, struct ebb_why *why)
{
	const char *text = json_string_value(json_object_get(root, name));

	if (!text)
		return ebb_why(why, -EBADMSG, "no event: '%s' is missing, or no text", name);
	*ret_text = text;
	return 0;
}

static int take(const json_t *root, struct ebb_audit_record *record, struct ebb_why *why)
{
	const char *timestamp = NULL, *type = NULL, *outcome = NULL;
	struct ebb_audit_event *event = &record->event;
	const struct {
		const char *name;
		const char **text;
	} texts[] = {
		{"id", &record->id},
		{"timestamp", &timestamp},
		{"event_type", &type},
		{"user_id", &event->user},
		{"session_id", &event->session},
		{"ip_address", &event->address},
		{"outcome", &outcome},
		{"outcome_details", &event->outcome_details},
	};
	char shown[128];
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		r = take_text(root, texts[i].name, texts[i].text, why);
	if (r < 0)
		return r;
	if (!is_id(record->id))
		return ebb_why(why, -EBADMSG, "no event: its id is no UUID of version 7");
	if (ebb_audit_time_of(timestamp, &event->realtime_ns) < 0)
		return ebb_why(why, -EBADMSG,
			       "no event: its timestamp is not like 2026-11-29T05:51:51.123456Z");
	if (ebb_audit_type_of(type, &event->type) < 0)
		return ebb_why(why, -EBADMSG, "an event of a type that we do not know: '%s'",
			       ebb_text_escape(type, shown, sizeof(shown)));
	if (ebb_audit_outcome_of(outcome, &event->outcome) < 0)
		return ebb_why(why, -EBADMSG, "no event: its outcome is not success, failure or denied");
	event->details = json_object_get(root, "details");
	if (!json_is_object(event->details))
		return ebb_why(why, -EBADMSG, "no event: 'details' is missing, or no object");
	return 0;
}

int ebb_audit_parse(const char *line, size_t length, struct ebb_audit_record *ret_record, struct ebb_why *why)
{
	struct ebb_audit_record record = {0};
	json_error_t error;
	int r;

	if (length > EBB_AUDIT_LINE_MAX)
		return ebb_why(why, -EBADMSG, "no event: longer than %d bytes", EBB_AUDIT_LINE_MAX);
	r = ebb_json_load(line, length, JSON_REJECT_DUPLICATES, &record.root, &error);
	if (r == -ENOMEM)
		return ebb_why(why, r, "out of memory");
	if (r < 0)
		return ebb_why(why, r, "no event: no JSON at byte %d", error.position);
	r = json_is_object(record.root) ? take(record.root, &record, why)
					: ebb_why(why, -EBADMSG, "no event: no object of JSON");
	if (r < 0) {
		json_decref(record.root);
		return r;
	}
	*ret_record = record;
	return 0;
}

void ebb_audit_record_done(struct ebb_audit_record *record)
{
	json_decref(record->root);
	*record = (struct ebb_audit_record){0};
}

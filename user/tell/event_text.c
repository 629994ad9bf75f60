/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/event_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"
#include "lib/units.h"

struct sentence {
	char text[EBB_EVENT_TEXT_MAX];
	size_t used;
	const json_t *details;
};

static void say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct sentence *s, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(s->text + s->used, sizeof(s->text) - s->used, format, list);
	va_end(list);
	s->used += n > 0 ? (size_t)n : 0;
	if (s->used >= sizeof(s->text))
		s->used = sizeof(s->text) - 1;
}

/* A text of the details; "" where there is none. */
static const char *text_of(const struct sentence *s, const char *name)
{
	const char *text = json_string_value(json_object_get(s->details, name));

	return text ? text : "";
}

/* Negative: it is not said. */
static double number_of(const struct sentence *s, const char *name)
{
	const json_t *value = json_object_get(s->details, name);

	return json_is_number(value) ? json_number_value(value) : -1;
}

/* "5 failed", with @before it; nothing where it is 0 or not said. */
static bool say_count(struct sentence *s, const char *before, const char *name, const char *what)
{
	double number = number_of(s, name);

	if (number <= 0)
		return false;
	say(s, "%s%.0f %s", before, number, what);
	return true;
}

static void say_seconds(struct sentence *s, const char *before, const char *name)
{
	char text[EBB_FORMAT_MAX];
	double seconds = number_of(s, name);

	if (seconds >= 0 && seconds < 1e9)
		say(s, "%s%s", before, ebb_format_duration((uint64_t)(seconds * 1e9), text, sizeof(text)));
}

/* "12 breaker, 3 rate"; false: there are none. */
static bool say_counts(struct sentence *s, const char *before, const char *name)
{
	json_t *counts = json_object_get(s->details, name), *value;
	bool any = false;
	const char *key;

	if (!json_is_object(counts))
		return false;
	json_object_foreach (counts, key, value) {
		if (json_integer_value(value) <= 0)
			continue;
		say(s, "%s%" JSON_INTEGER_FORMAT " %s", any ? ", " : before, json_integer_value(value), key);
		any = true;
	}
	return any;
}

static void say_workload(struct sentence *s, const char *before)
{
	const char *workload = text_of(s, "workload"), *pod = text_of(s, "pod");

	if (workload[0])
		say(s, "%s%s", before, workload);
	if (pod[0])
		say(s, " (pod %s/%s)", text_of(s, "namespace"), pod);
}

static void say_episode(struct sentence *s)
{
	if (text_of(s, "episode")[0])
		say(s, "; episode %s", text_of(s, "episode"));
}

/* ------------------------------------------------------------------ types -- */

static void say_start(struct sentence *s)
{
	say(s, "ebb %s starts in mode %s on %s", text_of(s, "version"), text_of(s, "mode"),
	    text_of(s, "cgroup"));
	if (json_is_true(json_object_get(s->details, "took_over")))
		say(s, ", takes over what is pinned");
}

static void say_stop(struct sentence *s)
{
	const char *name = text_of(s, "signal");

	say(s, "ebb stops");
	if (name[0])
		say(s, " at %s", name);
	else if (number_of(s, "signal") > 0)
		say(s, " at signal %.0f", number_of(s, "signal"));
	say_seconds(s, ", after ", "uptime_s");
}

static void say_applied(struct sentence *s)
{
	say(s, "%s holds", text_of(s, "file")[0] ? text_of(s, "file") : "the configuration");
	if (number_of(s, "generation") >= 0)
		say(s, ", generation %.0f", number_of(s, "generation"));
	say_count(s, ", ", "destinations", "destinations");
}

static void say_rejected(struct sentence *s)
{
	say(s, "%s is refused: %s", text_of(s, "file")[0] ? text_of(s, "file") : "the configuration",
	    text_of(s, "why"));
}

static void say_override(struct sentence *s)
{
	double login = number_of(s, "login_uid");

	say(s, "'ebb %s'", text_of(s, "command"));
	if (number_of(s, "uid") >= 0)
		say(s, " by uid %.0f", number_of(s, "uid"));
	if (login >= 0)
		say(s, ", who logged in as %.0f", login);
	say_count(s, "; ", "lost", "orders before it are not known");
}

/* "consecutive failures" */
static void say_words(struct sentence *s, const char *before, const char *name)
{
	size_t from = s->used + strlen(before);

	say(s, "%s%s", before, name);
	for (size_t i = from; i < s->used; i++) {
		if (s->text[i] == '_')
			s->text[i] = ' ';
	}
}

static void say_transition(struct sentence *s)
{
	const char *to = text_of(s, "to"), *last = text_of(s, "last_failure");
	const char *between = "; ";

	say(s, "%s", text_of(s, "destination"));
	if (strcmp(to, "open") == 0)
		say_seconds(s, " opens for ", "open_for_s");
	else
		say(s, "%s", strcmp(to, "closed") == 0 ? " closes" : " lets probes through");
	say_words(s, ": ", text_of(s, "reason"));
	if (say_count(s, between, "failed", "failed"))
		between = ", ";
	if (say_count(s, between, "ok", "succeeded"))
		between = ", ";
	if (say_count(s, between, "slow", "were slow"))
		between = ", ";
	if (say_count(s, between, "run", "in a row") && last[0] && strcmp(last, "none") != 0)
		say_words(s, ", the last ", last);
	if (strcmp(text_of(s, "mode"), "observe") == 0)
		say(s, "; in mode observe nothing is refused");
	say_workload(s, "; met by ");
	say_episode(s);
}

static void say_denials(struct sentence *s)
{
	bool denied;

	say(s, "%s", text_of(s, "destination"));
	say_workload(s, " from ");
	denied = say_counts(s, " refused: ", "causes");
	say_counts(s, denied ? "; would be refused: " : " would be refused: ", "would");
	say_episode(s);
}

static void say_failures(struct sentence *s)
{
	say(s, "%s", text_of(s, "destination"));
	say_workload(s, " from ");
	say_counts(s, " failed: ", "outcomes");
	say_count(s, "; ", "ok", "succeeded");
	if (number_of(s, "failing") > 1)
		say(s, "; of the %.0f destinations that it used %.0f had no success",
		    number_of(s, "destinations"), number_of(s, "failing"));
}

static void say_new(struct sentence *s)
{
	say(s, "%s", text_of(s, "destination"));
	say_workload(s, " is used for the first time, by ");
}

static void say_fuse(struct sentence *s)
{
	bool acts = json_is_true(json_object_get(s->details, "acts")) || number_of(s, "acts") > 0;

	say(s, "%s", acts ? "acts" : "is over");
	if (text_of(s, "action")[0])
		say(s, ": %s", text_of(s, "action"));
	if (number_of(s, "active") >= 0)
		say(s, "; %.0f of %.0f destinations in use are open", number_of(s, "open"),
		    number_of(s, "active"));
}

static void say_lost(struct sentence *s)
{
	say(s, "%s does not hold: %s", text_of(s, "component"), text_of(s, "why"));
}

static void say_back(struct sentence *s)
{
	say(s, "%s holds again", text_of(s, "component"));
	say_seconds(s, ", after ", "lasted_s");
}

static void say_attached(struct sentence *s)
{
	say(s, "%s was lost, and is attached again", text_of(s, "link"));
}

static void say_request(struct sentence *s)
{
	say(s, "%s %s was refused", text_of(s, "method"), text_of(s, "path"));
	if (number_of(s, "status") > 0)
		say(s, " with %.0f", number_of(s, "status"));
	if (number_of(s, "count") > 1)
		say(s, ", %.0f times", number_of(s, "count"));
}

static void say_credentials(struct sentence *s)
{
	say(s, "%s", text_of(s, "component"));
	if (text_of(s, "address")[0])
		say(s, " at %s", text_of(s, "address"));
	say(s, " does not take ours");
	if (number_of(s, "status") > 0)
		say(s, ": %.0f", number_of(s, "status"));
}

static void (*const sayers[EBB_AUDIT_MAX])(struct sentence *s) = {
	[EBB_AUDIT_AGENT_START] = say_start,
	[EBB_AUDIT_AGENT_STOP] = say_stop,
	[EBB_AUDIT_CONFIG_APPLIED] = say_applied,
	[EBB_AUDIT_CONFIG_REJECTED] = say_rejected,
	[EBB_AUDIT_OVERRIDE] = say_override,
	[EBB_AUDIT_BREAKER_TRANSITION] = say_transition,
	[EBB_AUDIT_DENIALS] = say_denials,
	[EBB_AUDIT_FAILURES] = say_failures,
	[EBB_AUDIT_DESTINATION_NEW] = say_new,
	[EBB_AUDIT_NODE_FUSE] = say_fuse,
	[EBB_AUDIT_ENFORCEMENT_LOST] = say_lost,
	[EBB_AUDIT_ENFORCEMENT_BACK] = say_back,
	[EBB_AUDIT_LINK_ATTACHED] = say_attached,
	[EBB_AUDIT_REQUEST_REFUSED] = say_request,
	[EBB_AUDIT_CREDENTIALS_REFUSED] = say_credentials,
};

const char *ebb_event_text(const struct ebb_audit_event *event, char *buffer, size_t size)
{
	struct sentence s = {.details = event->details};

	sayers[event->type](&s);
	return ebb_text_escape(s.text, buffer, size);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health and its parts */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/answer.h"
#include "export/health_json.h"
#include "lib/json_whole.h"
#include "lib/text.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

/* It answers, so it lives. */
enum MHD_Result ebb_get_live(const struct ebb_request *request)
{
	return ebb_answer_line(request, MHD_HTTP_OK, "live");
}

enum MHD_Result ebb_get_startup(const struct ebb_request *request)
{
	if (!request->source->health->started)
		return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE,
				       "starting: the first tick is not done");
	return ebb_answer_line(request, MHD_HTTP_OK, "started");
}

enum MHD_Result ebb_get_ready(const struct ebb_request *request)
{
	const struct ebb_health *health = request->source->health;
	enum ebb_health_component obstacle;
	char printable[sizeof(health->entries[0].why)], line[256];

	if (ebb_health_ready(health))
		return ebb_answer_line(request, MHD_HTTP_OK, "ready");
	if (health->stopping)
		return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready: stopping");
	if (!health->started)
		return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready: starting");
	/* it is not ready, so there is one */
	obstacle = ebb_health_obstacle(health, health->ignored);
	(void)ebb_text_escape(health->entries[obstacle].why, printable, sizeof(printable));
	(void)snprintf(line, sizeof(line), "not ready: enforcement is asked for and not in place: %s",
		       printable);
	return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE, line);
}

/* "2023-11-14T22:13:20.123Z" (RFC 3339). */
static void format_time(int64_t realtime_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(realtime_ns / (int64_t)NS_PER_S);
	int ms = (int)(realtime_ns % (int64_t)NS_PER_S / (int64_t)NS_PER_MS);
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&seconds, &tm))
		n = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buffer + n, size - n, ".%03dZ", ms);
}

static json_t *component_json(const struct ebb_health *health, enum ebb_health_component component,
			      bool checked)
{
	const struct ebb_health_entry *entry = &health->entries[component];
	char at[64], why[sizeof(entry->why)];
	json_t *json;

	format_time(entry->since_realtime_ns, at, sizeof(at));
	json = json_pack("{s:s, s:s}", "state", ebb_health_state_name(entry->state), "since", at);
	if (checked) {
		format_time(entry->checked_realtime_ns, at, sizeof(at));
		(void)json_object_set_new(json, "checked", json_string(at));
	}
	(void)json_object_set_new(json, "why", json_string(ebb_text_escape(entry->why, why, sizeof(why))));
	if (ebb_health_is_ignored(health, component))
		(void)json_object_set_new(json, "ignored", json_true());
	return json;
}

/* NULL: no memory. */
static json_t *components_json(const struct ebb_health *health, bool checked)
{
	json_t *components = json_object();

	for (int i = 0; i < EBB_HEALTH_MAX; i++) {
		enum ebb_health_component component = (enum ebb_health_component)i;

		if (json_object_set_new(components, ebb_health_component_name(component),
					component_json(health, component, checked)) < 0) {
			json_decref(components);
			return NULL;
		}
	}
	return components;
}

char *ebb_health_json_text(const struct ebb_source *source, bool checked, size_t flags)
{
	const struct ebb_health *health = source->health;
	char *text = NULL;
	json_t *root;

	ebb_json_begin();
	root = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b}", "status",
			 ebb_health_state_name(ebb_health_overall(health)), "version", source->version,
			 "started", health->started, "stopping", health->stopping, "ready",
			 ebb_health_ready(health), "enforcing", ebb_health_enforcing(health));
	if (json_object_set_new(root, "components", components_json(health, checked)) == 0)
		text = ebb_json_dump(root, flags);
	json_decref(root);
	return text;
}

enum MHD_Result ebb_get_health(const struct ebb_request *request)
{
	unsigned int status = MHD_HTTP_OK;
	char *text = ebb_health_json_text(request->source, true, JSON_INDENT(2));
	struct MHD_Response *response;

	if (!text)
		return ebb_answer_line(request, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory: try again");
	if (ebb_health_overall(request->source->health) == EBB_UNHEALTHY)
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	return ebb_answer(request, status, response, "application/json");
}

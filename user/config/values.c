/* SPDX-License-Identifier: Apache-2.0 */
/* What is in force, and who says it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/reader.h"

const char *ebb_config_value_origin(const struct ebb_config_value *value, char *buffer, size_t size)
{
	switch (value->layer) {
	case EBB_LAYER_DEFAULT:
		(void)snprintf(buffer, size, "default");
		break;
	case EBB_LAYER_FILE:
		(void)snprintf(buffer, size, "%s:%u:%u", value->name ? value->name : "file", value->line,
			       value->column);
		break;
	case EBB_LAYER_ENVIRON:
	case EBB_LAYER_FLAG:
		(void)snprintf(buffer, size, "%s", value->name);
		break;
	}
	return buffer;
}

/* @origin may be NULL: then it is the table's default. */
static struct ebb_config_value value_of(const struct ebb_config_origins *origins, const struct ebb_key *key,
					const struct ebb_origin *origin)
{
	struct ebb_config_value value = {.key = key, .text = key->fallback};

	if (!origin)
		return value;
	value.text = origin->text;
	value.layer = origin->layer;
	value.name = origin->layer == EBB_LAYER_FILE ? origins->path : origin->name;
	value.line = origin->line;
	value.column = origin->column;
	return value;
}

/* "defaults.breaker.window" for "destinations[].breaker.window". */
static const struct ebb_key *inherited_from(const struct ebb_config_origins *origins,
					    const struct ebb_key *key)
{
	static const char below[] = "destinations[].";
	char path[EBB_KEY_PATH_MAX];

	if (strcmp(key->path, "destinations[].mode") == 0)
		return ebb_keys_find(origins->keys, "mode");
	(void)snprintf(path, sizeof(path), "defaults.%s", key->path + strlen(below));
	return ebb_keys_find(origins->keys, path);
}

/* Whose value holds where nobody says @key; NULL: nobody else's. See ebb_reader_errno(). */
static const struct ebb_key *follows(const struct ebb_config_origins *origins, const struct ebb_key *key)
{
	if (strcmp(key->path, "defaults.limits.errno") == 0)
		return ebb_keys_find(origins->keys, "defaults.breaker.errno");
	if (strcmp(key->path, "destinations[].limits.errno") == 0)
		return ebb_keys_find(origins->keys, "destinations[].breaker.errno");
	return NULL;
}

/* Of no destination. */
static struct ebb_config_value value_once(const struct ebb_config_origins *origins, const struct ebb_key *key)
{
	const struct ebb_origin *origin = ebb_origin_of(origins, key, EBB_MATCH_NONE);
	const struct ebb_key *other = follows(origins, key);
	struct ebb_config_value value;

	if (origin || !other)
		return value_of(origins, key, origin);
	value = value_of(origins, other, ebb_origin_of(origins, other, EBB_MATCH_NONE));
	value.key = key;
	return value;
}

static struct ebb_config_value value_inherited(const struct ebb_config_origins *origins,
					       const struct ebb_key *key, uint32_t destination)
{
	const struct ebb_key *above = inherited_from(origins, key), *other = follows(origins, key);
	const struct ebb_origin *own = other ? ebb_origin_of(origins, other, destination) : NULL;
	struct ebb_config_value value;

	if (own && !ebb_origin_of(origins, above, EBB_MATCH_NONE)) {
		value = value_of(origins, other, own);
	} else {
		value = value_once(origins, above);
		value.inherited = true;
	}
	value.key = key;
	return value;
}

static void visit_destination(const struct ebb_config_origins *origins, uint32_t destination,
			      ebb_config_visit *visit, void *userdata)
{
	for (size_t i = 0; i < origins->keys->count; i++) {
		const struct ebb_key *key = &origins->keys->list[i];
		const struct ebb_origin *origin;
		struct ebb_config_value value;

		if (!(key->flags & EBB_KEY_DESTINATION) || key->kind == EBB_KEY_SECTION)
			continue;
		origin = ebb_origin_of(origins, key, destination);
		if (!origin && !(key->flags & EBB_KEY_INHERITED))
			continue;
		value = origin ? value_of(origins, key, origin) : value_inherited(origins, key, destination);
		visit(userdata, &value);
	}
}

int ebb_config_each(const struct ebb_config *config, const char *destination, ebb_config_visit *visit,
		    void *userdata)
{
	const struct ebb_config_origins *origins = config->origins;

	for (uint32_t i = 0; destination && i < config->destination_count; i++) {
		if (strcmp(config->destinations[i].name, destination) == 0) {
			visit_destination(origins, i, visit, userdata);
			return 0;
		}
	}
	if (destination)
		return -ENOENT;
	for (size_t i = 0; i < origins->keys->count; i++) {
		const struct ebb_key *key = &origins->keys->list[i];
		struct ebb_config_value value;

		if (key->flags & EBB_KEY_DESTINATION || key->kind == EBB_KEY_SECTION ||
		    key->kind == EBB_KEY_PATTERN || key->kind == EBB_KEY_DESTINATIONS)
			continue;
		value = value_once(origins, key);
		visit(userdata, &value);
	}
	return 0;
}

const char *ebb_config_origin(const struct ebb_config *config, const char *path, char *buffer, size_t size)
{
	const struct ebb_config_origins *origins = config->origins;
	const struct ebb_key *key = ebb_keys_find(origins->keys, path);
	struct ebb_config_value value = {0};

	if (key)
		value = value_of(origins, key, ebb_origin_of(origins, key, EBB_MATCH_NONE));
	return ebb_config_value_origin(&value, buffer, size);
}

bool ebb_config_is_given(const struct ebb_config *config, const char *path)
{
	char origin[EBB_PROBLEM_TEXT_MAX];

	return strcmp(ebb_config_origin(config, path, origin, sizeof(origin)), "default") != 0;
}

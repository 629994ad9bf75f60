/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_whole.h"

#define NAME_LENGTH   253 /* of most objects: a DNS subdomain */
#define LABEL_LENGTH  63  /* of a DNS label: a namespace, a container */
#define KEY_LENGTH    317 /* of a label: prefix/name */
#define ID_LENGTH     (EBB_CONTAINER_ID_MAX - 1)
#define STATIC_HASH   32
#define CONFIG_HASH   "kubernetes.io/config.hash"
#define TEMPLATE_HASH "pod-template-hash"
#define HEX	      "0123456789abcdef"

/* ------------------------------------------------------------------ texts -- */

static int not_so(struct ebb_why *why, const char *key, const char *what)
{
	return ebb_why(why, -EBADMSG, "'%s' is %s", key, what);
}

static bool is_plain(const char *text, size_t max)
{
	size_t length = strlen(text);

	if (length > max)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return true;
}

/* The text under @key; *@ret_text is NULL if there is none. */
static int look_at_text(const json_t *object, const char *key, size_t max, const char **ret_text,
			struct ebb_why *why)
{
	const json_t *value = json_object_get(object, key);

	*ret_text = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return not_so(why, key, "no text");
	if (!is_plain(json_string_value(value), max))
		return not_so(why, key, "too long, or has blanks or control characters");
	*ret_text = json_string_value(value);
	return 0;
}

/* A copy of it; *@ret_text stays if there is none. */
static int take_text(struct ebb_arena *arena, const json_t *object, const char *key, size_t max,
		     const char **ret_text, struct ebb_why *why)
{
	const char *text;
	int r = look_at_text(object, key, max, &text, why);

	if (r < 0 || !text)
		return r;
	*ret_text = ebb_arena_text(arena, text, strlen(text));
	return *ret_text ? 0 : -ENOMEM;
}

static int need_text(struct ebb_arena *arena, const json_t *object, const char *key, size_t max,
		     const char **ret_text, struct ebb_why *why)
{
	int r;

	*ret_text = NULL;
	r = take_text(arena, object, key, max, ret_text, why);
	if (r == 0 && (!*ret_text || !**ret_text))
		return not_so(why, key, "missing");
	return r;
}

/* The object (or array) under @key; NULL if there is none. */
static int look_at(const json_t *object, const char *key, json_type type, json_t **ret_value,
		   struct ebb_why *why)
{
	json_t *value = json_object_get(object, key);

	*ret_value = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (json_typeof(value) != type)
		return not_so(why, key, type == JSON_ARRAY ? "no array" : "no object");
	*ret_value = value;
	return 0;
}

/* -------------------------------------------------------------------- pod -- */

void ebb_pod_free(struct ebb_pod *pod)
{
	struct ebb_arena arena;

	if (!pod)
		return;
	arena = pod->arena;
	ebb_arena_done(&arena);
}

const char *ebb_pod_container_name(const struct ebb_pod *pod, const char *id)
{
	for (size_t i = 0; i < pod->container_count; i++) {
		if (strcmp(pod->containers[i].id, id) == 0)
			return pod->containers[i].name;
	}
	return "";
}

static const char *label_of(const struct ebb_pod *pod, const char *key)
{
	for (size_t i = 0; i < pod->label_count; i++) {
		if (strcmp(pod->labels[i].key, key) == 0)
			return pod->labels[i].value;
	}
	return NULL;
}

static int take_labels(struct ebb_pod *pod, const json_t *metadata, struct ebb_why *why)
{
	json_t *labels, *value;
	const char *key;
	int r = look_at(metadata, "labels", JSON_OBJECT, &labels, why);

	if (r < 0 || !labels)
		return r;
	pod->labels = ebb_arena_take(&pod->arena, EBB_POD_LABELS_MAX * sizeof(*pod->labels));
	if (!pod->labels)
		return -ENOMEM;
	json_object_foreach (labels, key, value) {
		struct ebb_label *label = &pod->labels[pod->label_count];

		if (!is_plain(key, KEY_LENGTH) || !json_is_string(value) ||
		    !is_plain(json_string_value(value), LABEL_LENGTH))
			return not_so(why, "labels", "not as labels are");
		if (pod->label_count == EBB_POD_LABELS_MAX)
			continue;
		label->key = ebb_arena_text(&pod->arena, key, strlen(key));
		label->value =
			ebb_arena_text(&pod->arena, json_string_value(value), json_string_length(value));
		if (!label->key || !label->value)
			return -ENOMEM;
		pod->label_count++;
	}
	return 0;
}

/* Without a suffix "-DIGITS" of 8 to 10 of them: the minutes since 1970 that a Job of a CronJob is called by. */
static size_t without_minute(const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;

	return digits >= 8 && digits <= 10 && !dash[1 + digits] && dash > name ? (size_t)(dash - name) : 0;
}

/* The same for "-HASH" of the template that a ReplicaSet has of its Deployment. */
static size_t without_hash(const char *name, const char *hash)
{
	size_t length = strlen(name), suffix = hash ? strlen(hash) + 1 : 0;

	if (!hash || length <= suffix || name[length - suffix] != '-' ||
	    strcmp(name + length - suffix + 1, hash) != 0)
		return 0;
	return length - suffix;
}

static int name_owner(struct ebb_pod *pod, const char *kind, const char *name)
{
	char text[LABEL_LENGTH + 1 + NAME_LENGTH + 1];
	size_t stem = 0, used;

	if (strcmp(kind, "ReplicaSet") == 0) {
		stem = without_hash(name, label_of(pod, TEMPLATE_HASH));
		kind = stem ? "Deployment" : kind;
	} else if (strcmp(kind, "Job") == 0) {
		stem = without_minute(name);
		kind = stem ? "CronJob" : kind;
	}
	used = (size_t)snprintf(text, sizeof(text), "%s/%.*s", kind, (int)(stem ? stem : strlen(name)), name);
	for (char *c = text; *c != '/'; c++)
		*c = (char)tolower((unsigned char)*c);
	pod->owner = ebb_arena_text(&pod->arena, text, used);
	return pod->owner ? 0 : -ENOMEM;
}

/* A mirror of a static pod is the Node's: it has no controller that anybody would look for. */
static int take_owner(struct ebb_pod *pod, const json_t *metadata, struct ebb_why *why)
{
	json_t *owners, *owner;
	const char *kind = "Pod", *name = pod->name;
	size_t i;
	int r = look_at(metadata, "ownerReferences", JSON_ARRAY, &owners, why);

	if (r < 0)
		return r;
	json_array_foreach (owners, i, owner) {
		const char *its_kind = NULL, *its_name = NULL;

		if (!json_is_object(owner))
			return not_so(why, "ownerReferences", "no array of objects");
		if (!json_is_true(json_object_get(owner, "controller")))
			continue;
		r = look_at_text(owner, "kind", LABEL_LENGTH, &its_kind, why);
		if (r == 0)
			r = look_at_text(owner, "name", NAME_LENGTH, &its_name, why);
		if (r < 0)
			return r;
		if (!its_kind || !its_name || strchr(its_kind, '/'))
			return not_so(why, "ownerReferences", "without kind or name");
		if (strcmp(its_kind, "Node") != 0) {
			kind = its_kind;
			name = its_name;
		}
	}
	return name_owner(pod, kind, name);
}

/* "containerd://ID": whatever the runtime is called. One that has not started has none. */
static const char *id_of(const char *text)
{
	const char *id = text ? strstr(text, "://") : NULL;

	if (!id)
		return NULL;
	id += strlen("://");
	return strlen(id) == ID_LENGTH && strspn(id, HEX) == ID_LENGTH ? id : NULL;
}

static int take_containers(struct ebb_pod *pod, const json_t *status, const char *key, struct ebb_why *why)
{
	json_t *statuses, *one;
	size_t i;
	int r = look_at(status, key, JSON_ARRAY, &statuses, why);

	if (r < 0 || !statuses)
		return r;
	json_array_foreach (statuses, i, one) {
		struct ebb_pod_container *container = &pod->containers[pod->container_count];
		const char *id = NULL, *name = NULL;

		if (!json_is_object(one))
			return not_so(why, key, "no array of objects");
		r = look_at_text(one, "containerID", NAME_LENGTH, &id, why);
		if (r == 0)
			r = look_at_text(one, "name", LABEL_LENGTH, &name, why);
		if (r < 0)
			return r;
		if (!name || !*name)
			return not_so(why, key, "without a name");
		id = id_of(id);
		if (!id || pod->container_count == EBB_POD_CONTAINERS_MAX)
			continue;
		memcpy(container->id, id, ID_LENGTH + 1);
		container->name = ebb_arena_text(&pod->arena, name, strlen(name));
		if (!container->name)
			return -ENOMEM;
		pod->container_count++;
	}
	return 0;
}

static int take_status(struct ebb_pod *pod, const json_t *root, struct ebb_why *why)
{
	static const char *const keys[] = {"containerStatuses", "initContainerStatuses",
					   "ephemeralContainerStatuses"};
	json_t *status;
	int r = look_at(root, "status", JSON_OBJECT, &status, why);

	pod->containers = ebb_arena_take(&pod->arena, EBB_POD_CONTAINERS_MAX * sizeof(*pod->containers));
	if (!pod->containers)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && status && i < sizeof(keys) / sizeof(keys[0]); i++)
		r = take_containers(pod, status, keys[i], why);
	return r;
}

/* *@ret_fits: a cgroup can be of it. */
static int take_uid(struct ebb_pod *pod, const json_t *metadata, bool *ret_fits, struct ebb_why *why)
{
	json_t *annotations = NULL;
	const char *uid = NULL, *hash;
	int r = look_at_text(metadata, "uid", NAME_LENGTH, &uid, why);

	if (r == 0)
		r = look_at(metadata, "annotations", JSON_OBJECT, &annotations, why);
	if (r < 0)
		return r;
	if (!uid || !*uid)
		return not_so(why, "uid", "missing");
	/* an annotation may be any text, only its being such a hash means anything */
	hash = json_string_value(json_object_get(annotations, CONFIG_HASH));
	if (hash && strlen(hash) == STATIC_HASH && strspn(hash, HEX) == STATIC_HASH)
		uid = hash;
	*ret_fits = strlen(uid) < sizeof(pod->uid);
	if (*ret_fits)
		memcpy(pod->uid, uid, strlen(uid) + 1);
	return 0;
}

static int fill_pod(struct ebb_pod *pod, const json_t *root, bool *ret_fits, struct ebb_why *why)
{
	json_t *metadata, *spec;
	int r = look_at(root, "metadata", JSON_OBJECT, &metadata, why);

	if (r == 0 && !metadata)
		return not_so(why, "metadata", "missing");
	if (r == 0)
		r = look_at(root, "spec", JSON_OBJECT, &spec, why);
	if (r == 0)
		r = take_uid(pod, metadata, ret_fits, why);
	if (r == 0)
		r = need_text(&pod->arena, metadata, "namespace", LABEL_LENGTH, &pod->namespace, why);
	if (r == 0)
		r = need_text(&pod->arena, metadata, "name", NAME_LENGTH, &pod->name, why);
	if (r == 0)
		r = take_labels(pod, metadata, why);
	if (r == 0)
		r = take_owner(pod, metadata, why);
	pod->node = "";
	if (r == 0)
		r = take_text(&pod->arena, spec, "nodeName", NAME_LENGTH, &pod->node, why);
	if (r == 0)
		r = take_text(&pod->arena, spec, "priorityClassName", NAME_LENGTH, &pod->priority_class, why);
	return r == 0 ? take_status(pod, root, why) : r;
}

/* *@ret_pod is NULL if no cgroup can be of it. */
static int parse_pod(const json_t *root, struct ebb_pod **ret_pod, struct ebb_why *why)
{
	struct ebb_arena arena = {0};
	struct ebb_pod *pod = ebb_arena_take(&arena, sizeof(*pod));
	bool fits = false;
	int r;

	if (!pod)
		return -ENOMEM;
	pod->arena = arena;
	r = json_is_object(root) ? fill_pod(pod, root, &fits, why) : not_so(why, "a pod", "no object");
	if (r < 0 || !fits) {
		ebb_pod_free(pod);
		pod = NULL;
	}
	if (r == 0)
		*ret_pod = pod;
	return r;
}

/* ------------------------------------------------------------------- list -- */

void ebb_pod_list_free(struct ebb_pod_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		ebb_pod_free(list->pods[i]);
	free(list->pods);
	free(list);
}

static int take_version(const json_t *root, char version[EBB_POD_VERSION_MAX], struct ebb_why *why)
{
	json_t *metadata;
	const char *text = NULL;
	int r = look_at(root, "metadata", JSON_OBJECT, &metadata, why);

	if (r == 0 && metadata)
		r = look_at_text(metadata, "resourceVersion", EBB_POD_VERSION_MAX - 1, &text, why);
	if (r == 0)
		(void)snprintf(version, EBB_POD_VERSION_MAX, "%s", text ? text : "");
	return r;
}

static int fill_list(struct ebb_pod_list *list, const json_t *root, struct ebb_why *why)
{
	const char *kind;
	json_t *items = NULL;
	int r = look_at_text(root, "kind", LABEL_LENGTH, &kind, why);

	if (r == 0 && (!kind || strcmp(kind, "PodList") != 0))
		return not_so(why, "kind", "not PodList");
	if (r == 0)
		r = take_version(root, list->version, why);
	if (r == 0)
		r = look_at(root, "items", JSON_ARRAY, &items, why);
	if (r < 0 || !items)
		return r;
	if (json_array_size(items) > EBB_PODS_MAX)
		return ebb_why(why, -E2BIG, "more than %d pods on one node", EBB_PODS_MAX);
	list->pods = calloc(json_array_size(items) + 1, sizeof(struct ebb_pod *));
	if (!list->pods)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < json_array_size(items); i++) {
		struct ebb_pod **pod = &list->pods[list->count];

		r = parse_pod(json_array_get(items, i), pod, why);
		if (r == 0 && *pod)
			list->count++;
	}
	return r;
}

static int load(const char *text, size_t size, json_t **ret_root, struct ebb_why *why)
{
	json_error_t error;
	json_t *root = NULL;
	int r = ebb_json_load(text, size, 0, &root, &error);

	if (r == -ENOMEM)
		return ebb_why(why, r, "out of memory");
	if (r < 0)
		return ebb_why(why, r, "no JSON, line %d, column %d: %s", error.line, error.column,
			       json_error_code(&error) == json_error_premature_end_of_input
				       ? "it ends early"
				       : "not as it must be");
	if (!json_is_object(root)) {
		json_decref(root);
		return ebb_why(why, -EBADMSG, "no JSON object");
	}
	*ret_root = root;
	return 0;
}

int ebb_pod_list_parse(const char *text, size_t size, struct ebb_pod_list **ret_list, struct ebb_why *why)
{
	struct ebb_pod_list *list;
	json_t *root = NULL;
	int r = load(text, size, &root, why);

	if (r < 0)
		return r;
	list = calloc(1, sizeof(*list));
	r = list ? fill_list(list, root, why) : -ENOMEM;
	json_decref(root);
	if (r < 0) {
		ebb_pod_list_free(list);
		return r == -ENOMEM ? ebb_why(why, r, "out of memory") : r;
	}
	*ret_list = list;
	return 0;
}

/* ------------------------------------------------------------------ event -- */

static int take_error(struct ebb_pod_event *event, const json_t *object)
{
	const char *message = json_string_value(json_object_get(object, "message"));

	event->code = (int)json_integer_value(json_object_get(object, "code"));
	(void)snprintf(event->message, sizeof(event->message), "%s", message ? message : "no message");
	for (char *c = event->message; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = ' ';
	}
	return 0;
}

static int fill_event(struct ebb_pod_event *event, const json_t *root, struct ebb_why *why)
{
	static const struct {
		const char *name;
		enum ebb_pod_event_type type;
	} types[] = {
		{"ADDED", EBB_POD_CHANGED},	{"MODIFIED", EBB_POD_CHANGED}, {"DELETED", EBB_POD_DELETED},
		{"BOOKMARK", EBB_POD_BOOKMARK}, {"ERROR", EBB_POD_ERROR},
	};
	json_t *object;
	const char *name;
	size_t i = 0;
	int r = look_at_text(root, "type", LABEL_LENGTH, &name, why);

	if (r == 0)
		r = look_at(root, "object", JSON_OBJECT, &object, why);
	if (r < 0)
		return r;
	while (i < sizeof(types) / sizeof(types[0]) && (!name || strcmp(types[i].name, name) != 0))
		i++;
	if (i == sizeof(types) / sizeof(types[0]))
		return not_so(why, "type", "none of a watch");
	if (!object)
		return not_so(why, "object", "missing");
	event->type = types[i].type;
	if (event->type == EBB_POD_ERROR)
		return take_error(event, object);
	r = take_version(object, event->version, why);
	if (r < 0 || event->type == EBB_POD_BOOKMARK)
		return r;
	return parse_pod(object, &event->pod, why);
}

int ebb_pod_event_parse(const char *text, size_t size, struct ebb_pod_event *ret_event, struct ebb_why *why)
{
	struct ebb_pod_event event = {0};
	json_t *root = NULL;
	int r = load(text, size, &root, why);

	if (r < 0)
		return r;
	r = fill_event(&event, root, why);
	json_decref(root);
	if (r == 0)
		*ret_event = event;
	return r == -ENOMEM ? ebb_why(why, r, "out of memory") : r;
}

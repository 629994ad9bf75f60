/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/place.h"

void ebb_tag_free(struct ebb_tag *tag)
{
	if (!tag)
		return;
	free(tag->text);
	free(tag);
}

/* Copies @text behind *@io_end. */
static const char *lay(char **io_end, const char *text)
{
	size_t size = strlen(text) + 1;
	char *place = *io_end;

	memcpy(place, text, size);
	*io_end += size;
	return place;
}

/* All texts one after the other, in one piece of memory. */
static void fill(struct ebb_tag *tag, const struct ebb_pod *pod, const char *container)
{
	size_t names = strlen(pod->namespace) + strlen(pod->name) + strlen(container) + 3;
	char *text = malloc(2 * names + strlen(pod->owner) + 1), *end = text;

	if (!text)
		return;
	free(tag->text);
	tag->text = text;
	tag->gone = pod->gone_ns != 0;
	tag->namespace = lay(&end, pod->namespace);
	tag->pod = lay(&end, pod->name);
	tag->container = lay(&end, container);
	tag->owner = lay(&end, pod->owner);
	tag->name = end;
	(void)snprintf(end, names, "%s/%s%s%s", pod->namespace, pod->name, *container ? "/" : "", container);
}

void ebb_tag_update(struct ebb_tag **io_tag, const struct ebb_pods *pods, const char *path)
{
	uint64_t generation = ebb_pods_generation(pods);
	const struct ebb_pod *pod;
	struct ebb_place place;

	if (*io_tag && (*io_tag)->generation == generation)
		return;
	if (!*io_tag)
		*io_tag = calloc(1, sizeof(**io_tag));
	if (!*io_tag)
		return;
	(*io_tag)->generation = generation;
	ebb_place_of(path, &place);
	pod = place.pod[0] ? ebb_pods_find(pods, place.pod) : NULL;
	if (pod)
		fill(*io_tag, pod, place.container[0] ? ebb_pod_container_name(pod, place.container) : "");
	else
		(*io_tag)->gone = true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/place.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define UID_DIGITS  32
#define UUID_LENGTH (EBB_POD_UID_MAX - 1)
#define ID_LENGTH   (EBB_CONTAINER_ID_MAX - 1)
#define HEX	    "0123456789abcdef"

/* A part of the path: borrowed, not terminated. */
struct part {
	const char *text;
	size_t length;
};

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) && memcmp(part.text, text, part.length) == 0;
}

static bool cut_prefix(struct part *part, const char *prefix)
{
	size_t length = strlen(prefix);

	if (part->length < length || memcmp(part->text, prefix, length) != 0)
		return false;
	part->text += length;
	part->length -= length;
	return true;
}

static bool cut_suffix(struct part *part, const char *suffix)
{
	size_t length = strlen(suffix);

	if (part->length < length || memcmp(part->text + part->length - length, suffix, length) != 0)
		return false;
	part->length -= length;
	return true;
}

static bool is_hex(char c)
{
	return c && strchr(HEX, c);
}

static bool all_hex(struct part part)
{
	for (size_t i = 0; i < part.length; i++)
		if (!is_hex(part.text[i]))
			return false;
	return true;
}

/* @dash: what stands for it, as a slice's own dashes are levels. */
static bool take_uid(struct part part, char dash, char ret_uid[EBB_POD_UID_MAX])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (part.length == UID_DIGITS && all_hex(part)) {
		memcpy(ret_uid, part.text, part.length);
		ret_uid[part.length] = '\0';
		return true;
	}
	if (part.length != UUID_LENGTH)
		return false;
	for (size_t i = 0; i < UUID_LENGTH; i++)
		if (shape[i] == '-' ? part.text[i] != dash : !is_hex(part.text[i]))
			return false;
	for (size_t i = 0; i < UUID_LENGTH; i++)
		if (shape[i] == '-')
			ret_uid[i] = '-';
		else
			ret_uid[i] = part.text[i];
	ret_uid[UUID_LENGTH] = '\0';
	return true;
}

/* The systemd driver: [ROOT-]kubepods[-QOS]-podUID.slice */
static enum ebb_qos slice_of_pod(struct part part, char ret_uid[EBB_POD_UID_MAX])
{
	static const char mark[] = "-pod";
	enum ebb_qos qos = EBB_QOS_GUARANTEED;
	struct part uid;

	if (!cut_suffix(&part, ".slice"))
		return EBB_QOS_NONE;
	/* a slice's uid has no dashes: it is what stands behind the last one, after "pod" */
	uid = (struct part){part.text + part.length, 0};
	while (uid.length < part.length && uid.text[-1] != '-') {
		uid.text--;
		uid.length++;
	}
	if (uid.length == part.length || !cut_prefix(&uid, "pod") || !take_uid(uid, '_', ret_uid))
		return EBB_QOS_NONE;
	part.length -= uid.length + strlen(mark);
	if (cut_suffix(&part, "-burstable"))
		qos = EBB_QOS_BURSTABLE;
	else if (cut_suffix(&part, "-besteffort"))
		qos = EBB_QOS_BESTEFFORT;
	if (part_is(part, "kubepods") || cut_suffix(&part, "-kubepods"))
		return qos;
	return EBB_QOS_NONE;
}

/* The cgroupfs driver: kubepods[/QOS]/podUID. @above: the part before, then the one before that. */
static enum ebb_qos directory_of_pod(struct part part, const struct part above[2],
				     char ret_uid[EBB_POD_UID_MAX])
{
	enum ebb_qos qos = EBB_QOS_NONE;

	if (part_is(above[0], "kubepods"))
		qos = EBB_QOS_GUARANTEED;
	else if (part_is(above[1], "kubepods") && part_is(above[0], "burstable"))
		qos = EBB_QOS_BURSTABLE;
	else if (part_is(above[1], "kubepods") && part_is(above[0], "besteffort"))
		qos = EBB_QOS_BESTEFFORT;
	if (qos == EBB_QOS_NONE || !cut_prefix(&part, "pod") || !take_uid(part, '-', ret_uid))
		return EBB_QOS_NONE;
	return qos;
}

/* [RUNTIME-]ID[.scope]; crio-conmon-ID is the monitor of a container, not the container. */
static void take_container(struct part part, char ret_id[EBB_CONTAINER_ID_MAX])
{
	static const char *const runtimes[] = {"cri-containerd-", "crio-", "docker-", "libpod-"};

	(void)cut_suffix(&part, ".scope");
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (cut_prefix(&part, runtimes[i]))
			break;
	if (part.length != ID_LENGTH || !all_hex(part))
		return;
	memcpy(ret_id, part.text, part.length);
	ret_id[part.length] = '\0';
}

/* SLICE:RUNTIME:ID in one part: kubelet with the systemd driver, containerd without. */
static enum ebb_qos joined_of_pod(struct part part, struct ebb_place *place)
{
	const char *colon = memchr(part.text, ':', part.length);
	struct part slice = part, id = part;
	enum ebb_qos qos;

	if (!colon)
		return EBB_QOS_NONE;
	slice.length = (size_t)(colon - part.text);
	qos = slice_of_pod(slice, place->pod);
	if (qos == EBB_QOS_NONE)
		return qos;
	id.text = colon + 1;
	id.length -= slice.length + 1;
	if (cut_prefix(&id, "cri-containerd:"))
		take_container(id, place->container);
	return qos;
}

static void take_unit(struct part part, char ret_unit[NAME_MAX + 1])
{
	struct part stem = part;

	if (part.length > NAME_MAX || (!cut_suffix(&stem, ".service") && !cut_suffix(&stem, ".scope")))
		return;
	if (!stem.length)
		return;
	memcpy(ret_unit, part.text, part.length);
	ret_unit[part.length] = '\0';
}

void ebb_place_of(const char *path, struct ebb_place *ret_place)
{
	struct part above[2] = {{"", 0}, {"", 0}};
	const char *start = path;
	bool below_pod = false;

	*ret_place = (struct ebb_place){.qos = EBB_QOS_NONE};
	while (*(path += strspn(path, "/"))) {
		struct part part = {path, strcspn(path, "/")};

		path += part.length;
		take_unit(part, ret_place->unit);
		if (below_pod)
			take_container(part, ret_place->container);
		below_pod = false;
		if (ret_place->qos == EBB_QOS_NONE) {
			ret_place->qos = slice_of_pod(part, ret_place->pod);
			if (ret_place->qos == EBB_QOS_NONE)
				ret_place->qos = directory_of_pod(part, above, ret_place->pod);
			below_pod = ret_place->qos != EBB_QOS_NONE;
			if (!below_pod)
				ret_place->qos = joined_of_pod(part, ret_place);
			if (ret_place->qos == EBB_QOS_NONE)
				ret_place->pod[0] = '\0';
			else
				ret_place->pod_length = (size_t)(path - start);
		}
		above[1] = above[0];
		above[0] = part;
	}
}

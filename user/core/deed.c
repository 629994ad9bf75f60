/* SPDX-License-Identifier: Apache-2.0 */
#include "core/deed.h"

#include <string.h>

static uint64_t serial_of(const struct ebb_deed *deed)
{
	return __atomic_load_n(&deed->serial, __ATOMIC_ACQUIRE);
}

static void copy_cut(char *to, size_t size, const char *from)
{
	static const char cut[] = "...";
	size_t length = strlen(from);

	memset(to, 0, size);
	if (length < size) {
		memcpy(to, from, length);
		return;
	}
	memcpy(to, from, size - sizeof(cut));
	memcpy(to + size - sizeof(cut), cut, sizeof(cut));
}

/*
 * The place says 0 while it is written. A writer who is killed leaves it so: that deed is lost and its serial is
 * given again, since the highest that stands is still the one before.
 */
void ebb_deed_record(struct ebb_deed deeds[EBB_DEEDS], uint32_t uid, uint32_t login_uid,
		     uint64_t at_realtime_ns, const char *what)
{
	struct ebb_deed *place;
	uint64_t serial = 0;

	for (uint32_t i = 0; i < EBB_DEEDS; i++) {
		if (serial_of(&deeds[i]) > serial)
			serial = serial_of(&deeds[i]);
	}
	serial++;
	place = &deeds[serial % EBB_DEEDS];
	__atomic_store_n(&place->serial, 0, __ATOMIC_SEQ_CST);
	place->at_realtime_ns = at_realtime_ns;
	place->uid = uid;
	place->login_uid = login_uid;
	copy_cut(place->what, sizeof(place->what), what);
	__atomic_store_n(&place->serial, serial, __ATOMIC_SEQ_CST);
}

/* The lowest serial above @told; 0: none. */
static uint64_t lowest_after(const struct ebb_deed deeds[EBB_DEEDS], uint64_t told)
{
	uint64_t lowest = 0;

	for (uint32_t i = 0; i < EBB_DEEDS; i++) {
		uint64_t serial = serial_of(&deeds[i]);

		if (serial > told && (lowest == 0 || serial < lowest))
			lowest = serial;
	}
	return lowest;
}

bool ebb_deed_next(const struct ebb_deed deeds[EBB_DEEDS], uint64_t told, struct ebb_deed *ret_deed,
		   uint64_t *ret_lost)
{
	uint64_t serial = lowest_after(deeds, told);
	const struct ebb_deed *place = &deeds[serial % EBB_DEEDS];
	struct ebb_deed deed;

	if (serial == 0)
		return false;
	memcpy(&deed, place, sizeof(deed));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* overwritten while it was read: the next look finds what stands then */
	if (deed.serial != serial || serial_of(place) != serial)
		return false;
	deed.what[sizeof(deed.what) - 1] = '\0';
	*ret_deed = deed;
	*ret_lost = serial - told - 1;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What agent/apply.c asks of the maps, in plain memory: free slots, and a node on which nobody was discovered. */
#ifndef EBB_TESTS_LIB_FAKE_MAPPING_H
#define EBB_TESTS_LIB_FAKE_MAPPING_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

#define FAKE_SLOTS_MAX 64

struct fake_slots {
	uint32_t free[FAKE_SLOTS_MAX]; /* the next last */
	size_t count;
};

static inline void fake_slots_give_back(struct fake_slots *slots, uint32_t slot)
{
	slots->free[slots->count++] = slot;
}

static inline int fake_slots_take(struct fake_slots *slots, uint32_t *ret_slot)
{
	if (slots->count == 0)
		return -ENOENT;
	*ret_slot = slots->free[--slots->count];
	return 0;
}

static inline int fake_no_endpoint(void *userdata, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	(void)userdata;
	(void)key;
	(void)ret_ref;
	return -ENOENT;
}

static inline int fake_endpoint_put(void *userdata, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	(void)userdata;
	(void)key;
	(void)ref;
	return 0;
}

static inline int fake_endpoint_remove(void *userdata, const struct ebb_endpoint *key)
{
	(void)userdata;
	(void)key;
	return 0;
}

static inline void fake_mapping_changed(void *userdata)
{
	(void)userdata;
}

#endif /* EBB_TESTS_LIB_FAKE_MAPPING_H */

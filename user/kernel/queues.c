/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/queues.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/membarrier.h>

#include "bpf/abi.h"
#include "lib/cleanup.h"

#define KEY_BYTES_MAX 32

/*
 * A program that lost the race for an endpoint pushes its slot back, perhaps behind
 * our turn. The next turn sees that.
 */
#define TURNS 2

/*
 * Takes each element once and puts it back, until the first comes round again; one
 * that stands in the queue twice loses its second place. Elements that programs
 * take or push meanwhile are seen or not.
 */
static int turn_over(int queue_fd, uint32_t slots, bool *seen)
{
	uint32_t first = EBB_SLOT_OTHER;

	for (uint32_t i = 0; i <= slots; i++) {
		uint32_t slot = 0;
		int r;

		r = bpf_map_lookup_and_delete_elem(queue_fd, NULL, &slot);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (slot == EBB_SLOT_OTHER || slot >= slots)
			continue; /* nobody may have put it there: dropped */
		if (slot == first)
			return bpf_map_update_elem(queue_fd, NULL, &slot, BPF_ANY);
		if (seen[slot])
			continue;
		if (first == EBB_SLOT_OTHER)
			first = slot;
		seen[slot] = true;
		r = bpf_map_update_elem(queue_fd, NULL, &slot, BPF_ANY);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mark_used(int table_fd, size_t key_size, uint32_t slots, bool *accounted)
{
	unsigned char key[KEY_BYTES_MAX], next[KEY_BYTES_MAX];
	const void *previous = NULL;
	struct ebb_ref ref;
	int r;

	if (key_size > sizeof(key))
		return -EINVAL;
	while ((r = bpf_map_get_next_key(table_fd, previous, next)) == 0) {
		memcpy(key, next, key_size);
		previous = key;
		if (bpf_map_lookup_elem(table_fd, key, &ref) == 0 && ref.slot < slots)
			accounted[ref.slot] = true;
	}
	return r == -ENOENT ? 0 : r;
}

int ebb_queue_rebuild(int queue_fd, int table_fd, size_t key_size, uint32_t slots,
		      bool (*is_live)(const void *userdata, uint32_t slot), const void *userdata)
{
	_cleanup_free_ bool *accounted = calloc(slots, sizeof(*accounted));
	_cleanup_free_ bool *seen = calloc(slots, sizeof(*seen));
	int r;

	if (!accounted || !seen)
		return -ENOMEM;
	for (int turn = 0; turn < TURNS; turn++) {
		memset(seen, 0, slots * sizeof(*seen));
		r = turn_over(queue_fd, slots, seen);
		if (r < 0)
			return r;
		for (uint32_t slot = 0; slot < slots; slot++)
			accounted[slot] |= seen[slot];
		/*
		 * A program may have taken a slot that neither the queue nor the table shows. Wait
		 * until every program that runs now has ended (synchronize_rcu by another name).
		 */
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
			return -errno;
	}
	r = mark_used(table_fd, key_size, slots, accounted);
	if (r < 0)
		return r;
	for (uint32_t slot = EBB_SLOT_OTHER + 1; slot < slots; slot++) {
		if (accounted[slot] || is_live(userdata, slot))
			continue;
		r = bpf_map_update_elem(queue_fd, NULL, &slot, BPF_ANY);
		if (r < 0)
			return r;
	}
	return 0;
}

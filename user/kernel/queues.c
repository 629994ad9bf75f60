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
 * Takes each element and puts it back, until the first comes round again. Elements that
 * programs take or push meanwhile are seen or not. *@ret_again: one came again: it stands there
 * twice, or a program has taken the first, and the round went on.
 */
static int turn_over(int queue_fd, uint32_t slots, bool *seen, bool *ret_again)
{
	uint32_t first = EBB_SLOT_OTHER;
	int r;

	for (uint32_t i = 0; i <= slots && !*ret_again; i++) {
		uint32_t slot = 0;

		r = bpf_map_lookup_and_delete_elem(queue_fd, NULL, &slot);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (slot == EBB_SLOT_OTHER || slot >= slots)
			continue; /* nobody may have put it there: dropped */
		r = bpf_map_update_elem(queue_fd, NULL, &slot, BPF_ANY);
		if (r < 0 || slot == first)
			return r;
		if (first == EBB_SLOT_OTHER)
			first = slot;
		*ret_again = seen[slot];
		seen[slot] = true;
	}
	return 0;
}

/* One that stands in the queue twice loses its second place. For a moment the queue is empty because of us. */
static int put_each_once(int queue_fd, uint32_t slots, bool *seen)
{
	_cleanup_free_ uint32_t *taken = calloc(slots, sizeof(*taken));
	_cleanup_free_ bool *here = calloc(slots, sizeof(*here));
	uint32_t count = 0;
	int r = 0;

	if (!taken || !here)
		return -ENOMEM;
	for (uint32_t i = 0; i < 2 * slots; i++) {
		uint32_t slot = 0;

		r = bpf_map_lookup_and_delete_elem(queue_fd, NULL, &slot);
		if (r < 0)
			break;
		if (slot == EBB_SLOT_OTHER || slot >= slots || here[slot])
			continue;
		here[slot] = seen[slot] = true;
		taken[count++] = slot;
	}
	/* what cannot be put back is found missing at the next start */
	for (uint32_t i = 0; i < count; i++) {
		int put = bpf_map_update_elem(queue_fd, NULL, &taken[i], BPF_ANY);

		if (put < 0)
			return put;
	}
	return r == -ENOENT ? 0 : r;
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
		bool again = false;

		memset(seen, 0, slots * sizeof(*seen));
		r = turn_over(queue_fd, slots, seen, &again);
		if (r == 0 && again)
			r = put_each_once(queue_fd, slots, seen);
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

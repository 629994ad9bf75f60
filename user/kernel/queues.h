/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of free slots. Private to user/kernel. */
#ifndef EBB_KERNEL_QUEUES_H
#define EBB_KERNEL_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Puts every slot of [1, @slots) into @queue_fd that is in no entry of the table
 * @table_fd (key of @key_size bytes -> struct ebb_ref), not in the queue yet, and that @is_live does
 * not call somebody's: not all of them are in the table, as those of names are not.
 * Safe while programs take slots: the queue is turned over one element at a time, so that it is not empty because of us;
 * but for a moment where one seems to stand in it twice. Returns 0 or a negative errno.
 */
int ebb_queue_rebuild(int queue_fd, int table_fd, size_t key_size, uint32_t slots,
		      bool (*is_live)(const void *userdata, uint32_t slot), const void *userdata);

#endif /* EBB_KERNEL_QUEUES_H */

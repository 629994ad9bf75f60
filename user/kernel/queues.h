/* SPDX-License-Identifier: Apache-2.0 */
/* The queues of free slots. Private to user/kernel. */
#ifndef EBB_KERNEL_QUEUES_H
#define EBB_KERNEL_QUEUES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Puts every slot of [1, @slots) into @queue_fd that is in no entry of the table
 * @table_fd (key of @key_size bytes -> struct ebb_ref) and not in the queue yet.
 * Safe while programs take slots: the queue is turned over one element at a
 * time, so that it is never empty because of us. Returns 0 or a negative errno.
 */
int ebb_queue_rebuild(int queue_fd, int table_fd, size_t key_size, uint32_t slots);

#endif /* EBB_KERNEL_QUEUES_H */

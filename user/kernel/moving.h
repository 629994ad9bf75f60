/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a value of one layout becomes a value of another: by the names of its fields, as BTF
 * tells them of both. Private to user/kernel.
 *
 *	old   | attempts | syn_sent | outcomes[8]      |
 *	new   | attempts | born | syn_sent | outcomes[9]     |
 *	        moved      0      moved      8 moved, 0
 *
 * What has no field of that name, or one that cannot hold it, is reset, and said. So
 * whoever changes the meaning of a field changes its name, and enums grow at their end.
 */
#ifndef EBB_KERNEL_MOVING_H
#define EBB_KERNEL_MOVING_H

#include <stddef.h>
#include <stdint.h>

struct btf;

/* Bytes that stand together in both. */
struct ebb_moved_bytes {
	uint32_t from;
	uint32_t to;
	uint32_t size; /* of the old; where the new is wider, the rest stays 0 */
};

#define EBB_MOVING_RESET_MAX 512

struct ebb_moving {
	struct ebb_moved_bytes *list;
	size_t count;
	char reset[EBB_MOVING_RESET_MAX]; /* "ebb_pair.born, ebb_pair.old_one"; "": everything is moved */
};

/*
 * Plans the way from type @from_id of @from to type @to_id of @to. Fields named in @never
 * ("ebb_gate.in_use", NULL at the end) are left at 0 and not said, and so is padding ("pad",
 * "pad0", ...). 0, -ENOMEM, or -EINVAL: the two are not of one kind. @ret->list is the caller's to free.
 */
int ebb_moving_plan(const struct btf *from, uint32_t from_id, const struct btf *to, uint32_t to_id,
		    const char *const *never, struct ebb_moving *ret);

/* @to is zero, and as large as its type. */
void ebb_moving_apply(const struct ebb_moving *moving, const void *from, void *to);

#endif /* EBB_KERNEL_MOVING_H */

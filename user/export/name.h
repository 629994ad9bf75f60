/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a destination, as shown everywhere. */
#ifndef EBB_EXPORT_NAME_H
#define EBB_EXPORT_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/maps.h"

#define EBB_DST_NAME_MAX 64

/* What has no name of its own because a table was full. */
#define EBB_NAME_OTHER "~other"

/*
 * "10.0.0.5:443/tcp" (also for IPv4-mapped addresses), "[2001:db8::5]:443/tcp",
 * "~other" for slot 0, "~invalid" for a slot outside the table. Copies the
 * endpoint once, so that a slot that changes meanwhile gives some name, cut to
 * @size at worst. Returns @buffer.
 */
const char *ebb_dst_name(const struct ebb_view *view, uint32_t dst, char *buffer, size_t size);

#endif /* EBB_EXPORT_NAME_H */

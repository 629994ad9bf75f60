/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a destination, as shown everywhere. */
#ifndef EBB_EXPORT_NAME_H
#define EBB_EXPORT_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/maps.h"

#define EBB_DST_NAME_MAX EBB_NAME_TEXT_MAX

/* What has no name of its own because a table was full. */
#define EBB_NAME_OTHER "~other"

/*
 * The name that the configuration or DNS gave, while there is one: "anthropic",
 * "api.example.com:443/tcp"; else "10.0.0.5:443/tcp" (also for IPv4-mapped addresses), "[2001:db8::5]:443/tcp",
 * "~other" for slot 0, "~invalid" for a slot outside the table. Copies the
 * endpoint once, so that a slot that changes meanwhile gives some name, cut to
 * @size at worst. Returns @buffer.
 */
const char *ebb_dst_name(const struct ebb_view *view, uint32_t dst, char *buffer, size_t size);

/* "10.0.0.5:443/tcp", "[2001:db8::5]:443/tcp". Returns @buffer. */
const char *ebb_endpoint_name(const struct ebb_endpoint *endpoint, char *buffer, size_t size);

/*
 * The name of @dst in the table of names, valid until the agent changes it; NULL: it has
 * none, and goes by its address.
 */
const struct ebb_name *ebb_dst_given_name(const struct ebb_view *view, uint32_t dst);

#endif /* EBB_EXPORT_NAME_H */

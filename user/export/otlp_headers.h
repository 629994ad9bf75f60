/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers for a collector, from a file such as a mounted secret:
 *
 *	# as HTTP has them
 *	Authorization: Bearer abc
 *	# or as OTEL_EXPORTER_OTLP_HEADERS has them
 *	authorization=Bearer%20abc,x-tenant=shop
 *
 * They are secrets: nothing that stands in the file is in any message.
 */
#ifndef EBB_EXPORT_OTLP_HEADERS_H
#define EBB_EXPORT_OTLP_HEADERS_H

#include <stddef.h>

#include "export/otlp_settings.h"
#include "lib/why.h"

#define EBB_OTLP_HEADERS_BYTES 16384 /* of the file */

struct ebb_otlp_headers {
	const char *lines[EBB_OTLP_HEADERS_MAX]; /* "Name: value", in text */
	size_t count;
	char text[2 * EBB_OTLP_HEADERS_BYTES];
};

/* -EINVAL: nothing of it is taken; at least one header must be there. */
int ebb_otlp_headers_parse(const char *text, size_t size, struct ebb_otlp_headers *ret_headers,
			   struct ebb_why *why);

/* The same of a file; or a negative errno that says why it cannot be read. */
int ebb_otlp_headers_read(const char *path, struct ebb_otlp_headers *ret_headers, struct ebb_why *why);

#endif /* EBB_EXPORT_OTLP_HEADERS_H */

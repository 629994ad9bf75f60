/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/status, /api/v1/destinations and /api/v1/destinations/NAME: docs/api.md. */
#ifndef EBB_EXPORT_API_H
#define EBB_EXPORT_API_H

#include "export/answer.h"
#include "export/feed.h"

enum MHD_Result ebb_api_status(struct ebb_feed *feed, const struct ebb_request *request);
enum MHD_Result ebb_api_destinations(struct ebb_feed *feed, const struct ebb_request *request);
/* @name: as it stands in the path, percent-encoded. */
enum MHD_Result ebb_api_destination(struct ebb_feed *feed, const struct ebb_request *request,
				    const char *name);

/*
 * Decodes a name in a path: %XX anywhere, all else as it is. -EINVAL: half an escape, a NUL, what is no
 * UTF-8, or nothing at all; -ENAMETOOLONG: it does not fit. Then @buffer is of no use.
 */
int ebb_api_decode(const char *path, char *buffer, size_t size);

#endif /* EBB_EXPORT_API_H */

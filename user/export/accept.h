/* SPDX-License-Identifier: Apache-2.0 */
/* Which format of the metrics a client prefers, and whether compressed. */
#ifndef EBB_EXPORT_ACCEPT_H
#define EBB_EXPORT_ACCEPT_H

#include <stdbool.h>

#include "export/metrics.h"

/*
 * Reads an Accept header (RFC 9110, section 12.5.1; NULL: there was none). The
 * format of the higher quality wins; on a tie the one that was named more
 * exactly, then the one that was named first. Ranges that make no sense are
 * passed over. A client that accepts neither gets the text all the same, since
 * that is what a person with a browser wants.
 */
enum ebb_metrics_format ebb_accept(const char *header);

/*
 * Reads an Accept-Encoding header (section 12.5.3; NULL: there was none). True when gzip is allowed,
 * by name or by "*", and the plain text is not preferred to it.
 */
bool ebb_accept_gzip(const char *header);

#endif /* EBB_EXPORT_ACCEPT_H */

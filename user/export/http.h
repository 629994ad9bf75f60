/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The read-only HTTP server: /metrics, /health and its parts, the API, the page. Runs inside
 * the agent's loop through one epoll descriptor; nothing can be changed
 * through it. Every client has a deadline of 5 s; a reader of events has it for each piece that is sent.
 */
#ifndef EBB_EXPORT_HTTP_H
#define EBB_EXPORT_HTTP_H

#include <stdint.h>

#include "export/source.h"
#include "lib/why.h"

#define EBB_HTTP_CLIENTS_MAX 96 /* more have to wait until one is gone */

struct ebb_http;

/*
 * Listens on @listen: "127.0.0.1:9478", "[::1]:9478", ":9478"; port 0 takes a free one.
 * @source is borrowed. -EADDRINUSE, -EINVAL, ... with the reason.
 */
int ebb_http_new(const char *listen, const struct ebb_source *source, struct ebb_http **ret_http,
		 struct ebb_why *why);
void ebb_http_free(struct ebb_http *http);

/* "127.0.0.1:9478": where it really listens. */
const char *ebb_http_address(const struct ebb_http *http);

/* The descriptor to poll for reading. */
int ebb_http_fd(const struct ebb_http *http);

/* Serves what is ready; never blocks. *@ret_timeout_ms: when it wants to be called again, -1: when readable. */
int ebb_http_run(struct ebb_http *http, int *ret_timeout_ms);

/* We rest for @ns, and serve nobody: no client is so much later. */
void ebb_http_rest(struct ebb_http *http, uint64_t ns);

/* A breaker moved: who reads events hears of it with the next ebb_http_run(). */
void ebb_http_moved(struct ebb_http *http, uint32_t dst, uint32_t gate, const struct ebb_transition *move);

#endif /* EBB_EXPORT_HTTP_H */

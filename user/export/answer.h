/* SPDX-License-Identifier: Apache-2.0 */
/* A request as the handlers of paths see it, and the ways to answer it. */
#ifndef EBB_EXPORT_ANSWER_H
#define EBB_EXPORT_ANSWER_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "export/http_stats.h"
#include "export/source.h"

#define EBB_CLIENT_MEMORY_BYTES \
	(32U * 1024) /* request and chunk of the answer: bounds URLs and headers too */

struct ebb_readers;
struct ebb_feed;
struct ebb_peer;

struct ebb_request {
	const struct ebb_source *source;
	struct MHD_Connection *connection;
	struct ebb_feed *feed;
	struct ebb_readers *events;
	uint64_t *deadline_ns;	     /* of its connection; NULL: it has none */
	const struct ebb_peer *peer; /* who asks; NULL: it has no connection of ours */
	struct ebb_exchange *exchange;
	const char *method;
	const char *path; /* as it came */
	const char *host; /* whom the client believes to ask, with a port or not; NULL: it does not say */
	bool head;	  /* without the body */
	bool crowded;	  /* few places are left: no connection outlives its answer */
};

void ebb_answer_header(struct MHD_Response *response, const char *name, const char *value);

/* Sends @response, which may be NULL when there was no memory for it, drops it, and notes @status. */
enum MHD_Result ebb_answer(const struct ebb_request *request, unsigned int status,
			   struct MHD_Response *response, const char *type);

/* One line of text; the newline is added. */
enum MHD_Result ebb_answer_line(const struct ebb_request *request, unsigned int status, const char *line);

/* The same for a reader of JSON: {"error": "..."}. */
enum MHD_Result ebb_answer_error(const struct ebb_request *request, unsigned int status, const char *format,
				 ...) __attribute__((format(printf, 3, 4)));

/* For a response of unknown length: libmicrohttpd 0.9.75 ends a HEAD of such a one with a piece of a body. */
void ebb_answer_no_body(const struct ebb_request *request, struct MHD_Response *response);

/* What each path answers, see routes.c. */
enum MHD_Result ebb_get_metrics(const struct ebb_request *request);
enum MHD_Result ebb_get_live(const struct ebb_request *request);
enum MHD_Result ebb_get_startup(const struct ebb_request *request);
enum MHD_Result ebb_get_ready(const struct ebb_request *request);
enum MHD_Result ebb_get_health(const struct ebb_request *request);
enum MHD_Result ebb_get_page(const struct ebb_request *request);

/* The answer to whatever is asked; @reads: by GET or HEAD. */
enum MHD_Result ebb_route(const struct ebb_request *request, bool reads);

#endif /* EBB_EXPORT_ANSWER_H */

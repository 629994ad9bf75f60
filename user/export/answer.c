/* SPDX-License-Identifier: Apache-2.0 */
#include "export/answer.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "export/json.h"

#define REQUEST_ID_MAX 128

void ebb_answer_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* fails for want of memory only: then the answer goes out without it */
	(void)MHD_add_response_header(response, name, value);
}

/* An identifier that a client chose for its request: short and printable, or not repeated. */
static bool is_request_id(const char *id)
{
	size_t length = strnlen(id, REQUEST_ID_MAX + 1);

	if (length == 0 || length > REQUEST_ID_MAX)
		return false;
	for (; *id; id++)
		if (*id <= 0x20 || *id >= 0x7f)
			return false;
	return true;
}

enum MHD_Result ebb_answer(const struct ebb_request *request, unsigned int status,
			   struct MHD_Response *response, const char *type)
{
	const char *id = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "X-Request-ID");
	enum MHD_Result result;

	if (!response)
		return MHD_NO; /* closes the connection */
	ebb_answer_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	ebb_answer_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	ebb_answer_header(response, "X-Content-Type-Options", "nosniff");
	if (id && is_request_id(id))
		ebb_answer_header(response, "X-Request-ID", id);
	if (request->crowded)
		ebb_answer_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(request->connection, status, response);
	if (result == MHD_YES)
		request->exchange->status = status;
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *response_of(char *text)
{
	return MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
}

enum MHD_Result ebb_answer_line(const struct ebb_request *request, unsigned int status, const char *line)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s\n", line);
	return ebb_answer(request, status, response_of(text), "text/plain; charset=utf-8");
}

enum MHD_Result ebb_answer_error(const struct ebb_request *request, unsigned int status, const char *format,
				 ...)
{
	char text[512], json[6 * sizeof(text) + 32];
	struct ebb_line line = {.data = json, .size = sizeof(json)};
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	ebb_line_put(&line, "{\"error\":");
	ebb_json_put_string(&line, text);
	ebb_line_put(&line, "}\n");
	return ebb_answer(request, status,
			  MHD_create_response_from_buffer(line.used, json, MHD_RESPMEM_MUST_COPY),
			  "application/json");
}

void ebb_answer_no_body(const struct ebb_request *request, struct MHD_Response *response)
{
	/* the client would take an empty chunk for the next answer */
	if (request->head)
		(void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
}

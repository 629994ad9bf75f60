/* SPDX-License-Identifier: Apache-2.0 */
/* A request taken over from the loop: checked, and copied whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fetch_call.h"

#define HEADER_MAX (8U << 10)

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void ebb_fetch_call_free(struct ebb_fetch_call *call)
{
	if (!call)
		return;
	if (call->answer.digested && call->request.digest_free)
		call->request.digest_free(call->answer.digested);
	for (size_t i = 0; i < EBB_FETCH_HEADERS_MAX; i++)
		free_secret(call->headers[i]);
	free_secret(call->authorization);
	free(call->url);
	free(call->ca_file);
	free(call->body);
	free(call->text);
	free(call);
}

/* Of "scheme://user@host:port/path" the "host:port". */
static void name_host(const char *url, char host[EBB_FETCH_HOST_MAX])
{
	const char *start = strstr(url, "://");
	const char *at;
	size_t length;

	start = start ? start + strlen("://") : url;
	length = strcspn(start, "/?#");
	at = memrchr(start, '@', length);
	if (at) {
		length -= (size_t)(at + 1 - start);
		start = at + 1;
	}
	(void)snprintf(host, EBB_FETCH_HOST_MAX, "%.*s",
		       (int)(length < EBB_FETCH_HOST_MAX ? length : EBB_FETCH_HOST_MAX - 1), start);
}

/* Printable ASCII, so that nothing is smuggled in behind a newline. */
static bool is_plain(const char *text, size_t max)
{
	size_t length = strnlen(text, max + 1);

	if (length > max)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return true;
}

static int check(const struct ebb_fetch_request *request, struct ebb_why *why)
{
	if (!is_plain(request->url, EBB_FETCH_URL_MAX) || strchr(request->url, ' '))
		return ebb_why(why, -EINVAL,
			       "a URL of more than %d bytes, or with blanks or bytes that are no ASCII",
			       EBB_FETCH_URL_MAX);
	if (request->header_count > EBB_FETCH_HEADERS_MAX)
		return ebb_why(why, -EINVAL, "more than %d headers", EBB_FETCH_HEADERS_MAX);
	for (size_t i = 0; i < request->header_count; i++) {
		if (!is_plain(request->headers[i], HEADER_MAX) || !strchr(request->headers[i], ':'))
			return ebb_why(why, -EINVAL,
				       "header %zu is no 'Name: value' of at most %u bytes of ASCII", i + 1,
				       HEADER_MAX);
	}
	if (request->token && (!is_plain(request->token, EBB_FETCH_TOKEN_MAX) || !request->token[0]))
		return ebb_why(why, -EINVAL, "a token that is empty, longer than %u bytes or no ASCII",
			       EBB_FETCH_TOKEN_MAX);
	return 0;
}

/* False: no memory. A @text of NULL is none. */
static bool copy(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return *ret_copy || !text;
}

static bool copy_all(struct ebb_fetch_call *call, const struct ebb_fetch_request *request)
{
	if (!copy(request->url, &call->url) || !copy(request->ca_file, &call->ca_file))
		return false;
	for (size_t i = 0; i < request->header_count; i++) {
		if (!copy(request->headers[i], &call->headers[i]))
			return false;
	}
	if (request->token &&
	    asprintf(&call->authorization, "Authorization: Bearer %s", request->token) < 0) {
		call->authorization = NULL;
		return false;
	}
	if (request->body_size) {
		call->body = malloc(request->body_size);
		if (!call->body)
			return false;
		memcpy(call->body, request->body, request->body_size);
	}
	return true;
}

int ebb_fetch_call_new(const struct ebb_fetch_request *request, struct ebb_fetch_call **ret_call,
		       struct ebb_why *why)
{
	struct ebb_fetch_call *call;
	int r = check(request, why);

	if (r < 0)
		return r;
	call = calloc(1, sizeof(*call));
	if (!call || !copy_all(call, request)) {
		ebb_fetch_call_free(call);
		return ebb_why(why, -ENOMEM, "out of memory");
	}
	call->request = *request;
	call->request.url = call->request.token = call->request.ca_file = NULL;
	call->request.body = NULL;
	call->request.headers = NULL;
	if (!call->request.deadline_ns)
		call->request.deadline_ns = EBB_FETCH_DEADLINE_NS;
	if (!call->request.answer_max)
		call->request.answer_max = EBB_FETCH_ANSWER_MAX;
	name_host(request->url, call->host);
	*ret_call = call;
	return 0;
}

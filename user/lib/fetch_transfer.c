/* SPDX-License-Identifier: Apache-2.0 */
/* One request as libcurl makes it: its options, what arrives, and how an end is named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fetch_call.h"

#define HEAD_MAX  (64U << 10)
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

void ebb_fetch_signal(int fd)
{
	const uint64_t one = 1;

	/* it fails only when it is readable already */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

size_t ebb_fetch_whole_lines(const struct ebb_fetch_call *call)
{
	const char *last = call->length ? memrchr(call->text, '\n', call->length) : NULL;

	return last ? (size_t)(last - call->text) + 1 : 0;
}

/* ---------------------------------------------------------------- arrives -- */

static unsigned int status_of(const struct ebb_fetch_call *call)
{
	long status = 0;

	(void)call->curl->easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return (unsigned int)status;
}

static bool is_success(unsigned int status)
{
	return status >= 200 && status < 300;
}

/* Room for @more bytes and a NUL. With the lock held. */
static bool make_room(struct ebb_fetch_call *call, size_t more)
{
	size_t wanted = call->length + more + 1, room = call->room ? call->room : 1024;
	char *text;

	while (room < wanted)
		room *= 2;
	if (room == call->room)
		return true;
	text = realloc(call->text, room);
	if (!text) {
		call->no_memory = true;
		return false;
	}
	call->text = text;
	call->room = room;
	return true;
}

/* What to tell libcurl: @size, fewer (that ends it), or CURL_WRITEFUNC_PAUSE. With the lock held. */
static size_t take(struct ebb_fetch_call *call, const char *bytes, size_t size)
{
	if (call->cancelled)
		return 0;
	if (call->length + size > call->request.answer_max) {
		if (call->opened && ebb_fetch_whole_lines(call)) {
			call->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}
		/* one piece with newlines in it may be longer than a line */
		if (!call->opened || !memchr(bytes, '\n', size)) {
			call->too_long = true;
			return 0;
		}
	}
	if (!make_room(call, size))
		return 0;
	memcpy(call->text + call->length, bytes, size);
	call->length += size;
	call->text[call->length] = '\0';
	return size;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *userdata)
{
	struct ebb_fetch_call *call = userdata;
	size_t taken;

	(void)one;
	(void)pthread_mutex_lock(call->lock);
	taken = take(call, bytes, size);
	(void)pthread_mutex_unlock(call->lock);
	if (call->opened)
		ebb_fetch_signal(call->ready_fd);
	return taken;
}

static size_t on_head(char *bytes, size_t one, size_t size, void *userdata)
{
	struct ebb_fetch_call *call = userdata;
	bool ends = size <= 2 && (bytes[0] == '\r' || bytes[0] == '\n');

	(void)one;
	call->head_bytes += size;
	if (call->head_bytes > HEAD_MAX) {
		call->too_long = true;
		return 0;
	}
	if (ends && call->request.line && is_success(status_of(call))) {
		(void)pthread_mutex_lock(call->lock);
		call->opened = true;
		(void)pthread_mutex_unlock(call->lock);
		ebb_fetch_signal(call->ready_fd);
	}
	return size;
}

/* ------------------------------------------------------------------ begin -- */

static int add_header(struct ebb_fetch_call *call, const char *header)
{
	struct curl_slist *list = call->curl->slist_append(call->list, header);

	if (!list)
		return -ENOMEM;
	call->list = list;
	return 0;
}

static int add_headers(struct ebb_fetch_call *call)
{
	/* a server is not asked whether it will take the body */
	int r = add_header(call, "Expect:");

	for (size_t i = 0; r == 0 && i < call->request.header_count; i++)
		r = add_header(call, call->headers[i]);
	if (r == 0 && call->authorization)
		r = add_header(call, call->authorization);
	return r;
}

#define SET(option, value) (void)call->curl->easy_setopt(call->easy, (option), (value))

static void set_security(const struct ebb_fetch_call *call)
{
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, call->request.insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, call->request.insecure ? 0L : 2L);
	if (!call->ca_file)
		return;
	SET(CURLOPT_CAINFO, call->ca_file);
	/* nobody else, and what the file says now: it may be rotated */
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static void set_times(const struct ebb_fetch_call *call)
{
	long deadline_ms = (long)(call->request.deadline_ns / NS_PER_MS);

	SET(CURLOPT_NOSIGNAL, 1L);
	/* a look-up that hangs is left behind */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, deadline_ms);
	if (!call->request.line) {
		SET(CURLOPT_TIMEOUT_MS, deadline_ms);
	} else if (call->request.idle_ns) {
		SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
		SET(CURLOPT_LOW_SPEED_TIME, (long)(call->request.idle_ns / NS_PER_S));
	}
}

int ebb_fetch_transfer_begin(struct ebb_fetch_call *call, const struct ebb_curl *curl)
{
	int r;

	call->curl = curl;
	call->easy = curl->easy_init();
	if (!call->easy)
		return -ENOMEM;
	r = add_headers(call);
	if (r < 0)
		return r;
	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTPHEADER, call->list);
	SET(CURLOPT_USERAGENT, "ebb/" EBB_VERSION);
	if (call->request.post) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request.body_size);
		SET(CURLOPT_POSTFIELDS, call->body ? call->body : "");
	}
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, call);
	SET(CURLOPT_HEADERFUNCTION, on_head);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_ERRORBUFFER, call->curl_error);
	SET(CURLOPT_PRIVATE, call);
	set_security(call);
	set_times(call);
	return 0;
}

/* -------------------------------------------------------------------- end -- */

/* What libcurl says beside the code; it may hold what the other side sent. */
static const char *detail(struct ebb_fetch_call *call, CURLcode code)
{
	for (char *c = call->curl_error; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = ' ';
	}
	return call->curl_error[0] ? call->curl_error : call->curl->easy_strerror(code);
}

static int name_failure(struct ebb_fetch_call *call, CURLcode code)
{
	const char *host = call->host, *text = detail(call, code);
	struct ebb_why *why = &call->why;

	if (call->no_memory || code == CURLE_OUT_OF_MEMORY)
		return ebb_why(why, -ENOMEM, "%s: out of memory", host);
	if (call->too_long)
		return ebb_why(why, -EMSGSIZE, "%s: the answer is too long, more than %zu bytes", host,
			       call->head_bytes > HEAD_MAX ? (size_t)HEAD_MAX : call->request.answer_max);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ebb_why(why, -ETIMEDOUT, "%s: no answer in time: %s", host, text);
	case CURLE_COULDNT_RESOLVE_HOST:
		return ebb_why(why, -EHOSTUNREACH, "%s: the name is not known: %s", host, text);
	case CURLE_COULDNT_CONNECT:
		return ebb_why(why, -ECONNREFUSED, "%s: no connection: %s", host, text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return ebb_why(why, -EKEYREJECTED,
			       "%s: its certificate cannot be trusted, by the CA in '%s': %s", host,
			       call->ca_file ? call->ca_file : "the system's list", text);
	case CURLE_SSL_CACERT_BADFILE:
		return ebb_why(why, -ENOKEY, "%s: the CA file '%s' cannot be used: %s", host,
			       call->ca_file ? call->ca_file : "of the system", text);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return ebb_why(why, -ECONNRESET, "%s: the answer ended early: %s", host, text);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_LOGIN_DENIED:
		return ebb_why(why, -EINVAL, "%s: not an http:// or https:// URL without a password: %s",
			       host, text);
	default:
		return ebb_why(why, -EIO, "%s: %s", host, text);
	}
}

static void digest(struct ebb_fetch_call *call)
{
	const struct ebb_fetch_request *request = &call->request;

	if (request->digest && call->answer.result == 0 && is_success(call->answer.status))
		call->answer.digested = request->digest(call->text ? call->text : "", call->length);
}

void ebb_fetch_transfer_end(struct ebb_fetch_call *call, CURLcode code)
{
	struct ebb_fetch_answer *answer = &call->answer;
	curl_off_t after = 0;

	if (code != CURLE_OK) {
		answer->result = name_failure(call, code);
	} else {
		answer->status = status_of(call);
		if (call->curl->easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK &&
		    after > 0)
			answer->retry_after_ns = (uint64_t)after * NS_PER_S;
	}
	digest(call);
	call->curl->easy_cleanup(call->easy);
	call->curl->slist_free_all(call->list);
	call->easy = NULL;
	call->list = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests that go out: one thread makes them all (libcurl), and what comes back is handed to the loop.
 * Nothing here blocks its caller, and no file but this one and its parts knows libcurl.
 *
 *	loop     ebb_fetch_start() ...................... ebb_fetch_fd() is readable: ebb_fetch_dispatch()
 *	              |                                        ^    -> opened, line, line, ..., done
 *	thread        +-> name, connection, TLS, answer -------+
 *
 * HTTP/1.1, http:// and https:// (TLS 1.2 or later) only. No redirect is followed, no proxy is used whatever the
 * environment says, there are no cookies and no passwords in URLs. Connections are kept and used again. The library is loaded, and the
 * thread made, with the first request.
 *
 * All functions are for one thread, that of the loop; callbacks run in it, from ebb_fetch_dispatch() only, and
 * may start and cancel requests.
 */
#ifndef EBB_LIB_FETCH_H
#define EBB_LIB_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

#define EBB_FETCH_CALLS_MAX   64 /* under way at once */
#define EBB_FETCH_HEADERS_MAX 32 /* of a request */
#define EBB_FETCH_URL_MAX     2048
#define EBB_FETCH_TOKEN_MAX   (16U << 10)
#define EBB_FETCH_DEADLINE_NS 5000000000ULL /* where a request names none */
#define EBB_FETCH_ANSWER_MAX  (1U << 20)    /* likewise */

/* What came back. Borrowed, but for what @digested becomes of it. */
struct ebb_fetch_answer {
	/*
	 * 0: an answer, whatever its status. Else nothing is known of what the other side did with the request:
	 * -ETIMEDOUT the deadline is over, -EHOSTUNREACH its name is not known, -ECONNREFUSED no connection,
	 * -ECONNRESET it ended early, -EKEYREJECTED its certificate is not to be trusted, -ENOKEY the CA file cannot be used,
	 * -EMSGSIZE too long, -EINVAL a URL that is none, -ENOENT libcurl is missing, -ENOMEM, -EIO any other.
	 */
	int result;
	const char *why;	 /* one line for a person, with the host, without secrets; "" with result 0 */
	unsigned int status;	 /* of HTTP; 0: none came */
	uint64_t retry_after_ns; /* what Retry-After asks to wait, in seconds or as a date; 0: nothing */
	/* Followed by a NUL. Of a stream: what came behind the last newline, or all of it if the status was not 2xx. */
	const char *body;
	size_t body_size;
	void *digested; /* what @digest made of it; whoever wants to keep it sets it to NULL */
};

/* A request; everything is copied. What is 0 or NULL is not there, or as said. */
struct ebb_fetch_request {
	const char *url;
	bool post; /* else GET */
	const void *body;
	size_t body_size;
	const char *const *headers; /* "Name: value" */
	size_t header_count;
	const char *token; /* Authorization: Bearer */
	const char *
		ca_file; /* PEM: who may have signed the server's certificate; NULL: whom the system trusts */
	bool insecure;	 /* take any certificate */
	uint64_t
		deadline_ns; /* of all of it; of a stream: until its head is there. 0: EBB_FETCH_DEADLINE_NS */
	size_t answer_max;   /* bytes of the answer; of a stream: of a line. 0: EBB_FETCH_ANSWER_MAX */

	/*
	 * A stream: an answer that goes on and on, of lines. One that was silent for @idle_ns (whole seconds, 0: never)
	 * ends with -ETIMEDOUT. No more is read than @answer_max bytes ahead of the loop.
	 */
	void (*line)(void *userdata, const char *line,
		     size_t length);	/* without its newline, followed by a NUL */
	void (*opened)(void *userdata); /* its head came, with a status of 2xx */
	uint64_t idle_ns;

	/*
	 * Turns a whole answer with a status of 2xx into something else, in the thread of the requests: for what takes
	 * its time. It may touch nothing but its arguments. What it returns is freed by @digest_free.
	 */
	void *(*digest)(const char *body, size_t size);
	void (*digest_free)(void *digested);

	void (*done)(void *userdata,
		     struct ebb_fetch_answer *answer); /* once, last, unless it is cancelled */
	void *userdata;
};

struct ebb_fetch;

/* -ENOMEM, -EMFILE and the like. */
int ebb_fetch_new(struct ebb_fetch **ret_fetch);

/* Ends all requests, without a callback; waits for no one outside. */
void ebb_fetch_free(struct ebb_fetch *fetch);

/*
 * -EBUSY: EBB_FETCH_CALLS_MAX are under way. -EINVAL: a URL, header or token that cannot be sent; @why says which.
 * -ENOMEM, -EAGAIN (no thread). *@ret_id: for ebb_fetch_cancel(), may be NULL; never 0.
 */
int ebb_fetch_start(struct ebb_fetch *fetch, const struct ebb_fetch_request *request, uint64_t *ret_id,
		    struct ebb_why *why);

/* No callback of it comes any more. One that is over is fine, and 0 is. */
void ebb_fetch_cancel(struct ebb_fetch *fetch, uint64_t id);

/* Readable when there is something to dispatch; to be polled, never read. */
int ebb_fetch_fd(const struct ebb_fetch *fetch);
void ebb_fetch_dispatch(struct ebb_fetch *fetch);

#endif /* EBB_LIB_FETCH_H */

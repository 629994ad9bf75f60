/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request under way, between lib/fetch.c (whose it is, and the two threads), lib/fetch_call.c (what it asks)
 * and lib/fetch_transfer.c (what libcurl does with it). For these only.
 */
#ifndef EBB_LIB_FETCH_CALL_H
#define EBB_LIB_FETCH_CALL_H

#include <pthread.h>

#include "lib/curl.h"
#include "lib/fetch.h"

#define EBB_FETCH_HOST_MAX 256

struct ebb_fetch_call {
	struct ebb_fetch_call *next;
	uint64_t id;
	struct ebb_fetch_request
		request; /* the callbacks and numbers; no pointer of the caller's but @userdata */
	char *url, *ca_file, *body, *authorization;
	char *headers[EBB_FETCH_HEADERS_MAX];
	char host[EBB_FETCH_HOST_MAX]; /* for messages: without path and password */

	/* of the thread */
	const struct ebb_curl *curl;
	CURL *easy;
	struct curl_slist *list;
	char curl_error[CURL_ERROR_SIZE];
	uint64_t started_ns;
	size_t head_bytes;
	bool too_long, no_memory;

	/* of whoever holds the lock */
	pthread_mutex_t *lock;
	int ready_fd; /* borrowed */
	char *text;   /* what came and is not handed over yet */
	size_t length, room;
	bool opened, told_opened; /* a stream: its head came; the loop knows */
	bool paused;
	bool cancelled; /* by the loop */
	bool finished;	/* the thread is through with it */

	/* when it is finished */
	struct ebb_fetch_answer answer;
	struct ebb_why why;
};

/* As ebb_fetch_start() says of @request. */
int ebb_fetch_call_new(const struct ebb_fetch_request *request, struct ebb_fetch_call **ret_call,
		       struct ebb_why *why);
void ebb_fetch_call_free(struct ebb_fetch_call *call);

/* Sets up call->easy. 0, -ENOMEM, -EIO. */
int ebb_fetch_transfer_begin(struct ebb_fetch_call *call, const struct ebb_curl *curl);

/* Says in call->answer how it went, and lets go of call->easy, which is in no multi handle any more. */
void ebb_fetch_transfer_end(struct ebb_fetch_call *call, CURLcode code);

/* Only this much of a stream is its body: what follows the last newline. With the lock held. */
size_t ebb_fetch_whole_lines(const struct ebb_fetch_call *call);

/* To the loop: there is something. */
void ebb_fetch_signal(int fd);

#endif /* EBB_LIB_FETCH_CALL_H */

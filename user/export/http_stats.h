/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP server counts of its own: requests by what was asked for and how it was answered. Both are short
 * lists, so that no client can make a series.
 */
#ifndef EBB_EXPORT_HTTP_STATS_H
#define EBB_EXPORT_HTTP_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

/* What answers a path. */
enum ebb_http_handler {
	EBB_HTTP_METRICS,
	EBB_HTTP_HEALTH, /* and its parts */
	EBB_HTTP_API,
	EBB_HTTP_EVENTS,
	EBB_HTTP_PAGE,
	EBB_HTTP_OTHER, /* nothing: there is no such path */
	EBB_HTTP_HANDLER_MAX,
};

/* The status codes that are told apart, see ebb_http_code_name(). */
#define EBB_HTTP_CODES 6

/* Why a reader of events was ended. */
enum ebb_http_dropped {
	EBB_HTTP_STALLED,   /* took nothing for 5 s of what was there for it */
	EBB_HTTP_OVERTAKEN, /* fell so far behind that what it would read next is gone */
	EBB_HTTP_CROWDED,   /* made room for somebody who holds fewer */
	EBB_HTTP_DROPPED_MAX,
};

struct ebb_http_stats {
	uint64_t requests[EBB_HTTP_HANDLER_MAX][EBB_HTTP_CODES];
	struct ebb_hist duration[EBB_HTTP_HANDLER_MAX]; /* that of events stays empty */
	uint64_t connections;				/* that are open */
	uint64_t crowded_out;				/* of them, ended to make room for others */
	uint64_t streams;				/* readers of events that are here */
	uint64_t dropped[EBB_HTTP_DROPPED_MAX];
};

/* One request of a connection, and its answer. */
struct ebb_exchange {
	uint64_t start_ns; /* when its headers were read */
	enum ebb_http_handler handler;
	unsigned int status; /* 0: not answered yet */
	bool stream;	     /* of events: it has no end */
};

/* Names for labels; @handler, @code and @why are in range. */
const char *ebb_http_handler_name(uint32_t handler);
const char *ebb_http_code_name(uint32_t code);
const char *ebb_http_dropped_name(uint32_t why);

/* Counts the answer of @exchange, which has begun. */
void ebb_http_count_answer(struct ebb_http_stats *stats, const struct ebb_exchange *exchange);

/* Counts the time of @exchange, which is over. One that was not answered has none, and neither has a stream. */
void ebb_http_count_end(struct ebb_http_stats *stats, const struct ebb_exchange *exchange, uint64_t now_ns);

#endif /* EBB_EXPORT_HTTP_STATS_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a connection and of an episode of a breaker as a span: names, attributes, events, links, by the
 * semantic conventions of OpenTelemetry where these have a word; what they have none for is "ebb.*". docs/traces.md is
 * its picture. Pure.
 */
#ifndef EBB_EXPORT_SPAN_H
#define EBB_EXPORT_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "export/line.h"
#include "export/otlp.h"

/* Whose connection or breaker it is. Borrowed; "" or NULL: not known. */
struct ebb_span_who {
	const char *workload; /* as everywhere: the unit or the cgroup */
	const char *namespace;
	const char *pod;
	const char *pod_uid;
	const char *container;
	const char *container_id;
};

/* Random bytes that a span's identifiers are made of. */
#define EBB_SPAN_RANDOM 20

/* How a connection ended, or that it was refused by us. */
struct ebb_connection {
	const char *destination; /* as everywhere */
	const char *host;	 /* its host name; NULL: the address stands for it */
	struct ebb_endpoint peer;
	struct ebb_span_who who;
	int64_t start_realtime_ns;			     /* of connect(); 0: it was not seen */
	int64_t connected_realtime_ns, answered_realtime_ns; /* 0: never, or not seen */
	int64_t end_realtime_ns;
	uint32_t outcome; /* enum ebb_outcome */
	bool failed;	  /* by the policy of its destination */
	bool denied;	  /* by us; @outcome is nothing then */
	uint32_t cause;	  /* enum ebb_cause: of that */
	bool enforced;	  /* false: it would have been, and went on */
	bool probe;	  /* let through to try a breaker that is half-open */
	uint64_t episode; /* of the breaker that denied it; 0: none */
	uint64_t sent_bytes, received_bytes;
	uint32_t rtt_us;  /* 0: not measured */
	uint64_t turn_ns; /* of the first turn: last byte out to first byte in; 0: not seen */
	uint32_t retransmits;
	/* how it came to be sampled: @dice was not above @share, both of 2^32; a failure would have been anyway */
	uint32_t dice, share;
	uint8_t random[EBB_SPAN_RANDOM];
};

/* A stay of a breaker outside closed, when it is over. */
struct ebb_episode_span {
	const char *destination;
	struct ebb_span_who who; /* all unknown: the breaker is the node's */
	uint64_t episode;	 /* its id, not 0 */
	int64_t start_realtime_ns, end_realtime_ns;
	const struct ebb_transition *moves; /* the oldest first; their times are monotonic */
	size_t move_count;
	uint32_t dropped_moves;	     /* that it had besides */
	int64_t realtime_minus_mono; /* what makes a monotonic time a real one, ns */
	const char *last_failure;    /* the outcome that opened it; NULL: not known */
	const char *mode;	     /* that was in force when it ended */
};

/*
 * Append one span to @line. -E2BIG: it is too long, and nothing is appended.
 *
 * The identifiers agree with OpenTelemetry's consistent sampling: the last 56 bits of the trace id are the random
 * number that was compared, and the trace state says with what.
 */
int ebb_span_put_connection(struct ebb_line *line, const struct ebb_connection *connection);
int ebb_span_put_episode(struct ebb_line *line, const struct ebb_episode_span *episode);

/* The identifiers of @connection's span. */
void ebb_span_ids(const struct ebb_connection *connection, uint8_t ret_trace_id[EBB_TRACE_ID_BYTES],
		  uint8_t ret_span_id[EBB_SPAN_ID_BYTES]);

/* The span of an episode, which everybody who knows its id can name. */
void ebb_span_of_episode(uint64_t episode, struct ebb_otlp_link *ret_link);

#endif /* EBB_EXPORT_SPAN_H */

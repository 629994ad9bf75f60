/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event of the audit log. It is one line of JSON from the moment it is made, and the same line in the spool,
 * in the file of JSON lines and among the dead letters; databases get its members as columns.
 *
 *	{"id": "01936f5e-...", "timestamp": "2026-11-29T05:51:51.123456Z", "event_type": "breaker_transition",
 *	 "user_id": "default/agent", "session_id": "9f3c...", "ip_address": "10.0.0.5", "outcome": "denied",
 *	 "outcome_details": "consecutive_failures", "details": {...}}
 *
 * "who" below stands for workload, namespace, pod and container.
 */
#ifndef EBB_EXPORT_AUDIT_EVENT_H
#define EBB_EXPORT_AUDIT_EVENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/why.h"

/* What is in the details of each. */
enum ebb_audit_type {
	EBB_AUDIT_AGENT_START,	   /* version, mode, cgroup, pin, listen, took_over */
	EBB_AUDIT_AGENT_STOP,	   /* signal, uptime_s */
	EBB_AUDIT_CONFIG_APPLIED,  /* file, generation, destinations */
	EBB_AUDIT_CONFIG_REJECTED, /* file, why */
	EBB_AUDIT_OVERRIDE, /* uid, login_uid (null: none), command, lost: overwritten before it was told */
	EBB_AUDIT_BREAKER_TRANSITION, /* destination, who, from, to, reason, ok, failed, slow, run, last_failure,
				       * open_for_s, generation, episode, mode */
	EBB_AUDIT_DENIALS, /* of a pair in a minute: destination, who, causes: {cause: count}, would: the same in
			    * observe mode, first, last (timestamps), episode ("": none) */
	EBB_AUDIT_FAILURES, /* of a pair in a minute: destination, who, outcomes: {outcome: count}, ok, and of the workload
			     * in that minute: destinations (used), failing (without a success) */
	EBB_AUDIT_DESTINATION_NEW,     /* destination, who */
	EBB_AUDIT_NODE_FUSE,	       /* action, acts, open, active, calls */
	EBB_AUDIT_ENFORCEMENT_LOST,    /* component, why */
	EBB_AUDIT_ENFORCEMENT_BACK,    /* component, lasted_s */
	EBB_AUDIT_LINK_ATTACHED,       /* link: it was lost, and is attached again */
	EBB_AUDIT_REQUEST_REFUSED,     /* method, path, status, count: through HTTP nothing can be changed */
	EBB_AUDIT_CREDENTIALS_REFUSED, /* component, address, status: what we were given opens nothing there */
	EBB_AUDIT_MAX,
};

enum ebb_audit_outcome {
	EBB_AUDIT_SUCCESS,
	EBB_AUDIT_FAILURE,
	EBB_AUDIT_DENIED,
};

/* Texts may be NULL, which is as good as "". */
struct ebb_audit_event {
	enum ebb_audit_type type;
	enum ebb_audit_outcome outcome;
	int64_t realtime_ns;
	const uint8_t *random;	     /* 10 bytes for the id of what may be told twice; NULL: new ones */
	const char *user;	     /* login uid, or the workload's name */
	const char *session;	     /* the run of the agent, 16 hex digits */
	const char *address;	     /* the peer's, without its port */
	const char *outcome_details; /* one word or line */
	const json_t *details;	     /* an object */
};

#define EBB_AUDIT_ID_MAX 37 /* a UUID of version 7 (RFC 9562): sorts by time */

/* Bytes of a line, its newline too; a longer one is refused. */
#define EBB_AUDIT_LINE_MAX 8192

/* An id for an event of @realtime_ns; @random: 10 bytes. */
void ebb_audit_id(int64_t realtime_ns, const uint8_t random[10], char ret_id[EBB_AUDIT_ID_MAX]);

#define EBB_AUDIT_TIMESTAMP_MAX 64

/* "2026-11-29T05:51:51.123456Z" in @buffer, which is returned. */
const char *ebb_audit_timestamp(int64_t realtime_ns, char buffer[EBB_AUDIT_TIMESTAMP_MAX]);

/* What that form says, and no other. -EBADMSG */
int ebb_audit_time_of(const char *text, int64_t *ret_realtime_ns);

/* Writes the line, which ends with a newline and a NUL. Returns its length; -E2BIG, -ENOMEM. */
int ebb_audit_line(const struct ebb_audit_event *event, const char *id, char *buffer, size_t size);

/* What is read from a line: @event borrows from @root. */
struct ebb_audit_record {
	json_t *root;
	const char *id;
	struct ebb_audit_event event;
};

/* -EBADMSG with the reason: it is no event, or one of a type that we do not know. -ENOMEM: that is not known. */
int ebb_audit_parse(const char *line, size_t length, struct ebb_audit_record *ret_record,
		    struct ebb_why *why);
void ebb_audit_record_done(struct ebb_audit_record *record);

const char *ebb_audit_type_name(enum ebb_audit_type type);
const char *ebb_audit_outcome_name(enum ebb_audit_outcome outcome);

/* -ENOENT */
int ebb_audit_type_of(const char *name, enum ebb_audit_type *ret_type);
int ebb_audit_outcome_of(const char *name, enum ebb_audit_outcome *ret_outcome);

#endif /* EBB_EXPORT_AUDIT_EVENT_H */

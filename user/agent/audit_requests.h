/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were refused, and refusals that we met, by the minute: who can send us anything can send a lot of it. */
#ifndef EBB_AGENT_AUDIT_REQUESTS_H
#define EBB_AGENT_AUDIT_REQUESTS_H

#include <stdint.h>

#define EBB_AUDIT_REQUESTS_MAX 32 /* that differ; the rest are counted together */

struct ebb_audit_request {
	char what[32]; /* a method, a component */
	char path[160];
	char peer[64];
	unsigned int status;
	uint64_t count;
};

/* Starts as all zero. */
struct ebb_audit_requests {
	struct ebb_audit_request list[EBB_AUDIT_REQUESTS_MAX + 1]; /* the last: of all others */
	uint32_t count;						   /* of those that differ */
};

/* Counts one. Longer texts are cut. Returns where it is counted. */
struct ebb_audit_request *ebb_audit_requests_add(struct ebb_audit_requests *requests, const char *what,
						 const char *path, const char *peer, unsigned int status);

#endif /* EBB_AGENT_AUDIT_REQUESTS_H */

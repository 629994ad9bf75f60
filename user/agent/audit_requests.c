/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit_requests.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OTHERS "~other"

static bool is_same(const struct ebb_audit_request *a, const struct ebb_audit_request *b)
{
	return a->status == b->status && strcmp(a->what, b->what) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->peer, b->peer) == 0;
}

struct ebb_audit_request *ebb_audit_requests_add(struct ebb_audit_requests *r, const char *what,
						 const char *path, const char *peer, unsigned int status)
{
	struct ebb_audit_request one = {.status = status}, *place;

	(void)snprintf(one.what, sizeof(one.what), "%s", what);
	(void)snprintf(one.path, sizeof(one.path), "%s", path);
	(void)snprintf(one.peer, sizeof(one.peer), "%s", peer);
	for (uint32_t i = 0; i < r->count; i++) {
		if (is_same(&r->list[i], &one)) {
			r->list[i].count++;
			return &r->list[i];
		}
	}
	place = &r->list[r->count];
	if (r->count < EBB_AUDIT_REQUESTS_MAX) {
		*place = one;
		r->count++;
	} else if (place->count == 0) {
		*place = (struct ebb_audit_request){.what = OTHERS, .path = OTHERS, .peer = ""};
	}
	place->count++;
	return place;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node at a glance, summed gate by gate, so that who goes through them in pieces need not keep them. */
#ifndef EBB_TELL_STATUS_H
#define EBB_TELL_STATUS_H

#include "tell/look.h"
#include "tell/snapshot.h"

#define EBB_STATUS_WHY_MAX 512

/* What is worked out once and said twice, in text and in JSON. */
struct ebb_status {
	struct ebb_agent agent;
	enum ebb_agent_state state;
	size_t attached;
	size_t by_state[EBB_STATE_MAX]; /* gates */
	size_t forced;			/* gates with an override, not in by_state */
	size_t enforcing;		/* gates in enforce mode */
	size_t unleased;		/* of these, the ones that the end of the lease released */
	struct ebb_sums sums;
	uint32_t dst_live, pair_live;	   /* ~other not counted */
	char inactive[EBB_STATUS_WHY_MAX]; /* why nothing is refused; "": enforcement is active */
};

void ebb_status_begin(const struct ebb_look *look, struct ebb_status *ret_status);
void ebb_status_add(struct ebb_status *status, const struct ebb_gate_row *row);
void ebb_status_end(const struct ebb_look *look, uint32_t dst_live, uint32_t pair_live,
		    struct ebb_status *status);

/* The three for all rows of @snapshot, which is whole. */
void ebb_status_of(const struct ebb_look *look, const struct ebb_snapshot *snapshot,
		   struct ebb_status *ret_status);

/* What 'ebb status -o json' says. NULL: out of memory. */
json_t *ebb_status_told(const struct ebb_look *look, const struct ebb_status *status);

#endif /* EBB_TELL_STATUS_H */

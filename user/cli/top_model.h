/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb top': what is to be shown, worked out from two moments of the maps. Pure
 * but for reading the view that it is given: time comes with the look.
 */
#ifndef EBB_CLI_TOP_MODEL_H
#define EBB_CLI_TOP_MODEL_H

#include "cli/common.h"
#include "tell/snapshot.h"

/* What grew, for each second. */
struct ebb_top_rates {
	double connects; /* let through */
	double turns;	 /* that ended, but those that the program did not wait for */
	double failures; /* outcomes that the policy counts */
	double denied, would_deny;
	double sent, received;	    /* bytes */
	double dropped, would_drop; /* packets */
};

/* A gate, or one workload at its gate. */
struct ebb_top_row {
	const struct ebb_gate_row *gate;
	bool is_pair;
	uint32_t slot, epoch; /* who it is: its gate or its pair */
	const char *workload; /* NULL: a gate of the node */
	char *own;	      /* what of it is to be freed */
	struct ebb_sums sums; /* since it was first seen */
	struct ebb_top_rates rates;
	/* Times to connect in the interval. Of a gate those of its whole destination, of a pair count and mean. */
	struct ebb_times connect;
	/* The same of turns; of a pair right to a factor of two. */
	struct ebb_times turn;
};

/* One moment and the interval before it. */
struct ebb_top_data {
	struct ebb_look look; /* its clocks and links; the view behind it goes on living */
	struct ebb_agent agent;
	struct ebb_snapshot snapshot;
	struct ebb_top_row *gates, *pairs; /* in the order of the snapshot; of their tables */
	size_t gate_count, pair_count;
	uint64_t interval_ns; /* 0: this is the first moment, there are no rates */
	struct ebb_top_rates total;
	uint64_t active;
	size_t by_state[EBB_STATE_MAX]; /* gates */
	size_t forced;			/* gates with an override, not in by_state */
	bool enforced;			/* some gate is in mode enforce */
};

struct ebb_top_model;

/* Takes the first moment. -ENOMEM. */
int ebb_top_model_new(const struct ebb_look *look, struct ebb_top_model **ret_model);
void ebb_top_model_free(struct ebb_top_model *model);

/* Takes the next moment. -ENOMEM, and the last one stands. */
int ebb_top_model_look(struct ebb_top_model *model, const struct ebb_look *look);

/* Valid until the next look. */
const struct ebb_top_data *ebb_top_model_data(const struct ebb_top_model *model);

/* For how long the state of a gate lasts by itself, in ns: until probes begin, until an override ends. 0: open-ended. */
uint64_t ebb_top_time_left(const struct ebb_gate_row *row, uint64_t now_ns);

#endif /* EBB_CLI_TOP_MODEL_H */

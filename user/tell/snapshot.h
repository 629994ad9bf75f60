/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every gate at one moment, copied out of the live maps once: what 'list',
 * 'show', 'status' and 'watch' print. The maps change while they are read;
 * each element is copied once and may be torn between its fields, which costs
 * a number that is a moment old.
 */
#ifndef EBB_TELL_SNAPSHOT_H
#define EBB_TELL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tell/look.h"
#include "export/name.h"

/* Why a state is as it is, as far as the maps tell. */
enum ebb_since {
	EBB_SINCE_START,      /* it never moved */
	EBB_SINCE_TRANSITION, /* the newest remembered transition began it */
	EBB_SINCE_EXPIRED,    /* the time of open is over, nobody wrote it down yet */
	EBB_SINCE_KERNEL,     /* the kernel moved it, the agent has not looked yet */
};

/* Where the mode in force comes from. */
enum ebb_mode_from {
	EBB_MODE_CONFIGURED,
	EBB_MODE_BY_GATE, /* by hand, for the destination or the workload */
	EBB_MODE_BY_NODE, /* by hand, for the node */
};

/* What pairs count of bytes and packets. */
struct ebb_traffic {
	uint64_t sent_bytes, received_bytes; /* see struct ebb_pair */
	uint64_t sent_datagrams;
	uint64_t retransmits;
	uint64_t adopted, reset; /* connections */
	uint64_t dropped_bytes[EBB_DROP_MAX], dropped_packets[EBB_DROP_MAX];
	uint64_t would_drop_bytes[EBB_DROP_MAX], would_drop_packets[EBB_DROP_MAX];
};

/* What pairs count of turns. */
struct ebb_turns {
	uint64_t ended[EBB_TURN_MAX];
	uint64_t slow;	/* of those answered */
	uint64_t units; /* sum of their times, 250 ns each */
	uint64_t buckets[EBB_TURN_BUCKETS];
};

/* What pairs count, summed over the pairs of a gate. */
struct ebb_sums {
	uint64_t active;
	uint64_t attempts; /* passed by us */
	uint64_t local;	   /* of these, failed before any SYN */
	uint64_t outcomes[EBB_OUTCOME_MAX];
	uint64_t failures; /* outcomes that the policy counts */
	uint64_t denied, would_deny;
	uint64_t denied_by[EBB_CAUSE_MAX], would_deny_by[EBB_CAUSE_MAX];
	struct ebb_traffic traffic;
	struct ebb_turns turns;
};

struct ebb_times {
	uint64_t count, mean, p50, p90, p95, p99; /* ns */
	uint64_t most;				  /* no value was above it */
};

struct ebb_gate_row {
	uint32_t dst, gate;
	uint32_t dst_epoch;
	uint32_t scope; /* of this gate: of the node or of one workload */
	bool apart;	/* of one workload, while the others share that of the node */
	uint32_t aside; /* of a gate of the node: how many of its workloads are apart */
	char name[EBB_DST_NAME_MAX];
	char *workload; /* of a gate of a workload, else NULL */
	uint64_t workload_id;
	uint64_t created_ns;

	uint32_t state;	   /* enum ebb_state; an open whose time is over is half-open */
	uint32_t override; /* in force; enum ebb_override */
	bool leased;	   /* a live lease, or one is not needed: verdicts are obeyed */
	uint32_t fuse;	   /* enum ebb_fuse_action: what the node fuse does now */
	uint64_t word;	   /* in force */
	enum ebb_since since;
	uint64_t since_ns; /* 0: unknown */
	uint64_t until_ns; /* end of open, 0 elsewhere */
	uint64_t episode;  /* of a stay outside closed; 0: closed, or no agent has told of it */

	struct ebb_policy policy; /* in force: of its workload alone, or of its destination */
	uint32_t own_said;	  /* EBB_SAID_*: what an operator said for its workload alone */
	uint32_t mode;		  /* in force; enum ebb_mode */
	enum ebb_mode_from mode_from;
	struct ebb_gate kernel;
	struct ebb_memory memory;
	uint64_t arm; /* in force */
	struct ebb_sums sums;
	struct ebb_times connect, rtt, turn; /* of the whole destination */
};

struct ebb_snapshot {
	struct ebb_gate_row *rows; /* by name, then by workload */
	size_t count;
	uint32_t dst_live, pair_live; /* ~other not counted */
};

/* -ENOMEM. */
int ebb_snapshot_take(const struct ebb_look *look, struct ebb_snapshot *ret_snapshot);
void ebb_snapshot_free(struct ebb_snapshot *snapshot);

/* The pairs of each destination, found once, for who goes through destinations one by one. */
struct ebb_pairs_index {
	uint32_t *first; /* by destination slot: a pair slot + 1; 0: none */
	uint32_t *next;	 /* by pair slot, likewise */
};

/* -ENOMEM. */
int ebb_pairs_index_new(const struct ebb_view *view, struct ebb_pairs_index *ret_index);
/* Finds them again. */
void ebb_pairs_index_fill(const struct ebb_view *view, struct ebb_pairs_index *index);
void ebb_pairs_index_done(struct ebb_pairs_index *index);

/*
 * The rows of destination @dst alone; none: it has no gate to show. Pairs that came after @index are
 * left out. -ENOMEM.
 */
int ebb_snapshot_of(const struct ebb_look *look, const struct ebb_pairs_index *index, uint32_t dst,
		    struct ebb_snapshot *ret_snapshot);

/* How many destination slots were ever in use: all that are, are below. */
uint32_t ebb_snapshot_end(const struct ebb_view *view);

/* One gate, alone and without its sums: for 'watch', which keeps its own. */
void ebb_gate_row_read(const struct ebb_look *look, uint32_t dst, uint32_t gate,
		       struct ebb_gate_row *ret_row);

/* Adds what a copy of a pair counts. @count_mask: which outcomes are failures. */
void ebb_sums_add(struct ebb_sums *io_sums, const struct ebb_pair *pair, uint32_t count_mask);

/* Quantiles of a histogram, live or the difference of two. */
void ebb_times_read(const struct ebb_hist *live, struct ebb_times *ret_times);

void ebb_traffic_add(struct ebb_traffic *io_traffic, const struct ebb_traffic *more);

/* Calls @visit with a copy of every pair of @row's destination; stops at a negative result and returns it. */
int ebb_each_pair(const struct ebb_look *look, const struct ebb_gate_row *row,
		  int (*visit)(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata),
		  void *userdata);

/* Are connections refused at this gate now? */
bool ebb_gate_refuses(const struct ebb_gate_row *row);

/* "open", "half_open", ..., "forced_open", "forced_closed". */
const char *ebb_gate_state_name(const struct ebb_gate_row *row);

/* "5 failures in a row", "6 of 10 failed": the facts of a transition. */
const char *ebb_transition_facts(const struct ebb_transition *move, char *buffer, size_t size);

/* The id of an episode as it is written everywhere: 16 hexadecimal digits; "-": there is none. Returns @buffer. */
#define EBB_EPISODE_TEXT_MAX 17
const char *ebb_episode_text(uint64_t episode, char *buffer, size_t size);

/* How many transitions are remembered, and the @index'th of them, the oldest first. */
size_t ebb_memory_kept(const struct ebb_memory *memory);
const struct ebb_transition *ebb_memory_at(const struct ebb_memory *memory, size_t index);

/* Share of failures in the window as of the agent's last look, weighted as it is judged; negative: the window is empty. */
double ebb_window_share(const struct ebb_gate_row *row);

#endif /* EBB_TELL_SNAPSHOT_H */

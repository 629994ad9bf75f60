/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each reading command prints, apart from how it gets at the maps: so a
 * test renders a view of its own.
 */
#ifndef EBB_TELL_RENDER_H
#define EBB_TELL_RENDER_H

#include <stdio.h>

#include "core/limit.h"
#include "lib/why.h"
#include "tell/look.h"
#include "tell/snapshot.h"

/* ------------------------------------------------------------- status -- */

int ebb_status_text(FILE *out, const struct ebb_look *look, const struct ebb_snapshot *snapshot);
json_t *ebb_status_json(const struct ebb_look *look, const struct ebb_snapshot *snapshot);

/* --------------------------------------------------------------- list -- */

/* Which rows, in which order. NULL: all, by name. */
struct ebb_list_filter {
	const char *state;
	const char *workload;
	const char *sort;
};

/* -EINVAL with the reason, where the filter makes no sense. */
int ebb_list_check(const struct ebb_list_filter *filter, struct ebb_why *why);

/* Keeps the rows that pass and sorts them. -EINVAL with the reason. */
int ebb_list_select(const struct ebb_look *look, struct ebb_snapshot *snapshot,
		    const struct ebb_list_filter *filter, struct ebb_why *why);
/* Keys to sort by; NULL: there are no more. */
const char *ebb_list_sort_key(size_t index);
int ebb_list_text(FILE *out, const struct ebb_look *look, const struct ebb_snapshot *snapshot);
json_t *ebb_list_json(const struct ebb_look *look, const struct ebb_snapshot *snapshot);

/* One gate as 'list' and 'show' have it in JSON; the id of an episode; one transition as 'show' and 'watch' have it. */
json_t *ebb_gate_json(const struct ebb_look *look, const struct ebb_gate_row *row);
json_t *ebb_episode_json(uint64_t episode);
json_t *ebb_transition_json(const struct ebb_look *look, const struct ebb_transition *move);

/* Quantiles, in seconds; only a count where there is nothing. */
json_t *ebb_times_json(const struct ebb_times *times);

/* --------------------------------------------------------------- show -- */

/* The rows of the destination that @name means. -ENOENT with near names in the reason. */
int ebb_show_find(const struct ebb_snapshot *snapshot, const char *name, size_t *ret_first, size_t *ret_count,
		  struct ebb_why *why);
int ebb_show_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *rows, size_t count);
json_t *ebb_show_json(const struct ebb_look *look, const struct ebb_gate_row *rows, size_t count);

/* "open since 3.2s: 5 failures in a row; probes begin in 1.8s" */
const char *ebb_gate_sentence(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			      size_t size);

/* ------------------------------------------------------------ limits -- */

/* What holds at a gate now; ret_limits->given: what of it an operator gave. */
void ebb_gate_limits(const struct ebb_look *look, const struct ebb_gate_row *row,
		     struct ebb_limits *ret_limits);

#define EBB_LIMITS_CELL_MAX 160

/* "bytes=10MB/s* concurrent=3/64"; a star: by hand; "-": no limit. Returns @buffer. */
const char *ebb_limits_cell(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			    size_t size);
/* The table of 'show'; nothing where there is no limit. */
int ebb_limits_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row);
/* One line after a change: what holds for @who. */
void ebb_limits_say(FILE *out, const struct ebb_look *look, const char *who, const struct ebb_policy *policy);
/* What holds at a gate; what is configured for its destination. */
json_t *ebb_limits_json(const struct ebb_look *look, const struct ebb_gate_row *row);
json_t *ebb_limits_configured_json(const struct ebb_policy *policy);

/* ------------------------------------------------------------ by hand -- */

/* "mode enforce by hand for the node by uid 0, for another 5m; configured: observe"; "": as configured. */
const char *ebb_mode_sentence(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			      size_t size);
/* The same for the node: "enforce by hand by uid 0, ...", or what is configured. */
const char *ebb_node_mode_sentence(const struct ebb_look *look, char *buffer, size_t size);
/* "its own orders: limits, breaker"; "": it has none. */
const char *ebb_own_sentence(const struct ebb_gate_row *row, char *buffer, size_t size);

/* The override and the mode by hand at a gate; limits tell it themselves. */
json_t *ebb_by_hand_json(const struct ebb_look *look, const struct ebb_gate_row *row);
json_t *ebb_node_mode_json(const struct ebb_look *look);

#endif /* EBB_TELL_RENDER_H */

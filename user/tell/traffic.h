/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passed, and what was not let through: the rows of 'list', 'show' and
 * 'status' that tell it.
 */
#ifndef EBB_TELL_TRAFFIC_H
#define EBB_TELL_TRAFFIC_H

#include "tell/snapshot.h"
#include "lib/table.h"

/* "traffic" of a gate, of a workload, of the node. NULL: out of memory. */
json_t *ebb_traffic_json(const struct ebb_traffic *traffic);

/*
 * The workloads of @row's destination: what each sent and received; what was denied and
 * dropped by which cause, where there is any. 0 or a negative errno.
 */
int ebb_traffic_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row);

/* Packets over all causes. */
uint64_t ebb_traffic_dropped(const struct ebb_traffic *traffic);
uint64_t ebb_traffic_would_drop(const struct ebb_traffic *traffic);

/* "12.3MB", or "0", which says nothing in an optional column. */
void ebb_bytes_cell(struct ebb_table *table, uint64_t bytes);

#endif /* EBB_TELL_TRAFFIC_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of a workload by the rules of the configuration, and how many destinations it
 * may find. The agent fills the table of classes; who is not in it yet gets an entry here at
 * its first connection, and the agent is told at once.
 */
#ifndef EBB_WORKLOAD_H
#define EBB_WORKLOAD_H

#include "bpf/maps.h"
#include "bpf/stats.h"

/*
 * enum ebb_class; never UNKNOWN for longer than EBB_UNKNOWN_NS after the first connection.
 * @begins: it is about to connect, and not only looked up.
 *
 * Where the table is full, who is not in it stays unknown: let through, and counted.
 */
EBB_SUBPROG int ebb_workload_class_by_rules(__u64 workload, int begins)
{
	struct ebb_agent *agent = ebb_agent_get();
	struct ebb_workload *known, fresh = {.class = EBB_CLASS_UNKNOWN};
	__u32 rules, class;

	rules = agent ? EBB_LOAD(agent->workload_rules) : EBB_RULES_NONE;
	if (rules == EBB_RULES_NONE)
		return EBB_CLASS_GOVERNED;
	known = bpf_map_lookup_elem(&ebb_wload_v2, &workload);
	if (known) {
		class = EBB_LOAD(known->class);
		if (class != EBB_CLASS_UNKNOWN)
			return class < EBB_CLASS_MAX ? class : EBB_CLASS_GOVERNED;
		/* signed: another processor may have made it after our clock was read */
		return (__s64)(bpf_ktime_get_ns() - known->since_ns) < (__s64)EBB_UNKNOWN_NS
			       ? EBB_CLASS_UNKNOWN
			       : EBB_CLASS_GOVERNED;
	}
	if (rules == EBB_RULES_LISTED)
		return EBB_CLASS_GOVERNED;
	if (!begins)
		return EBB_CLASS_UNKNOWN;
	fresh.since_ns = bpf_ktime_get_ns();
	if (!bpf_map_update_elem(&ebb_wload_v2, &workload, &fresh, BPF_NOEXIST))
		ebb_hint(EBB_EVENT_WORKLOAD_NEW, 0, (__u32)(workload >> 32), (__u32)workload, 1);
	return EBB_CLASS_UNKNOWN;
}

/* The same; where there are no rules, as mostly, without a call. */
static __always_inline int ebb_workload_class(__u64 workload, int begins)
{
	const struct ebb_agent *agent = ebb_agent_get();

	if (!agent || EBB_LOAD(agent->workload_rules) == EBB_RULES_NONE)
		return EBB_CLASS_GOVERNED;
	return ebb_workload_class_by_rules(workload, begins);
}

/* Is what a workload of this class asks for never refused? That it is not identified yet is counted. */
static __always_inline int ebb_is_excused(__u32 class)
{
	if (class == EBB_CLASS_GOVERNED)
		return 0;
	if (class == EBB_CLASS_UNKNOWN)
		ebb_count_error(EBB_ERR_UNCLASSIFIED);
	return 1;
}

/* ------------------------------------------------------------------ shares -- */

static __always_inline void ebb_share_give(__u64 workload)
{
	__u64 *found = bpf_map_lookup_elem(&ebb_found_v2, &workload);

	if (found)
		EBB_ADD(found, (__u64)-1);
}

/*
 * One more destination that @workload finds and no rule names. 0: it holds a quarter of all
 * already. What it holds is what it found without what the agent took back; the two are
 * counted by two, so for a moment it may be one less than nothing.
 *
 * Where the table is full, no share is kept.
 */
EBB_SUBPROG int ebb_share_take(__u64 workload)
{
	__u64 *found = bpf_map_lookup_elem(&ebb_found_v2, &workload), *lost, none = 0, held;

	if (!found) {
		bpf_map_update_elem(&ebb_found_v2, &workload, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&ebb_found_v2, &workload);
		if (!found)
			return 1;
	}
	held = EBB_ADD(found, 1);
	lost = bpf_map_lookup_elem(&ebb_lost_v2, &workload);
	if (lost)
		held -= EBB_LOAD(*lost);
	/* of so many without ~other, rounded up: one who may find nothing would not be watched at all */
	if ((__s64)held < (__s64)((ebb_config.dst_max - 1 + EBB_SHARES - 1) / EBB_SHARES))
		return 1;
	EBB_ADD(found, (__u64)-1);
	ebb_count_error(EBB_ERR_SHARE_FULL);
	return 0;
}

#endif /* EBB_WORKLOAD_H */

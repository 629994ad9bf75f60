/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A call that has its result is written into the ring of results, while somebody records
 * ('ebb record'). Otherwise it costs a load. One line for each call: that is its first result,
 * or that we refused it.
 */
#ifndef EBB_RECORD_H
#define EBB_RECORD_H

#include "bpf/conn.h"
#include "bpf/maps.h"
#include "bpf/route.h"
#include "bpf/stats.h"

/* Until when somebody records, or would have; 0: nobody does. Without a clock. */
static __always_inline __u64 ebb_recording_until(void)
{
	__u32 zero = 0;
	struct ebb_recorder *recorder = bpf_map_lookup_elem(&ebb_recorder_v2, &zero);

	return recorder ? EBB_LOAD(recorder->until_ns) : 0;
}

/* 0: nobody records; else the time. */
static __always_inline __u64 ebb_recording(void)
{
	__u64 until = ebb_recording_until(), now;

	if (!until)
		return 0;
	now = bpf_ktime_get_ns();
	return now < until ? now : 0;
}

/* Nobody is woken: the reader comes by itself. */
static EBB_NOINLINE int ebb_record_write(const struct ebb_route *route, __u32 outcome, __u64 took_ns,
					 __u64 now)
{
	struct ebb_record *record;

	if (!route)
		return 0;
	record = bpf_ringbuf_reserve(&ebb_record_v2, sizeof(*record), 0);
	if (!record) {
		ebb_count_error(EBB_ERR_RECORD_LOST);
		return 0;
	}
	record->at_ns = now;
	record->took_ns = took_ns;
	record->workload = route->pair->workload;
	record->dst = route->dst_slot;
	record->dst_epoch = route->dst->epoch;
	record->outcome = outcome;
	record->pad = 0;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static EBB_NOINLINE int record_result(const struct ebb_route *route, struct ebb_conn *conn, __u32 outcome,
				      int slow, __u64 took_ns)
{
	__u64 now = ebb_recording();

	if (!now || !route || route->class != EBB_CLASS_GOVERNED)
		return 0;
	if (conn && (conn->flags & (EBB_CONN_MUTE | EBB_CONN_ADOPTED)))
		return 0;
	if (conn && (EBB_OR(&conn->flags, EBB_CONN_TOLD) & EBB_CONN_TOLD))
		return 0;
	if (slow && took_ns <= route->policy->slow_ns)
		took_ns = route->policy->slow_ns + 1;
	return ebb_record_write(route, outcome, took_ns, now);
}

/*
 * What is left out moves no gate either. @slow: it counts as slow, also where something else than
 * what @took_ns says was.
 */
static __always_inline void ebb_record_result(const struct ebb_route *route, struct ebb_conn *conn,
					      __u32 outcome, int slow, __u64 took_ns)
{
	if (ebb_recording_until())
		record_result(route, conn, outcome, slow, took_ns);
}

static __always_inline void ebb_record_denied(const struct ebb_route *route)
{
	__u64 now = ebb_recording();

	if (now)
		ebb_record_write(route, EBB_RECORD_DENIED, 0, now);
}

#endif /* EBB_RECORD_H */

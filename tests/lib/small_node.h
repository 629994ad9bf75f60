/* SPDX-License-Identifier: Apache-2.0 */
/* A fake node with something of everything that a metric is about: for the goldens of what shows it. */
#ifndef EBB_TESTS_LIB_SMALL_NODE_H
#define EBB_TESTS_LIB_SMALL_NODE_H

#include "core/hist.h"
#include "core/limit.h"
#include "tests/lib/fake_source.h"

static inline void fake_limit(struct ebb_limits *limits, uint32_t kind, uint64_t per_hour, uint64_t burst)
{
	if (ebb_limit_make(per_hour, burst, &limits->bucket[kind]) < 0)
		exit(99);
}

/* A destination of each kind, with and without what can be there. */
static inline struct fake *small_node(void)
{
	struct fake *fake = fake_new(8, 8);
	struct ebb_dst *dst;
	struct ebb_pair *pair;

	fake->names[3] = "/kubepods.slice/pod1/app";
	fake->names[4] = "/system.slice/agent.service";
	fake->health.started = true;
	fake->health.enforce_wanted = true;
	fake->source.realtime_wanted = true;
	fake->source.realtime = true;
	fake->source.realtime_losses = 2;
	fake->source.dst_live = 2;
	fake->source.pair_live = 2;
	fake->source.tick_duration.buckets[ebb_hist_bucket(400)] = 7; /* 100 us */
	fake->source.tick_duration.sum_units = 2800;

	/* node scope, open until 5 s from now */
	dst = fake_dst(fake, 1, "10.0.0.5", 443);
	dst->connect.buckets[ebb_hist_bucket(4000)] = 40;   /* 1 ms */
	dst->connect.buckets[ebb_hist_bucket(1 << 29)] = 1; /* 134 s: only in +Inf */
	dst->connect.sum_units = 40 * 4000 + (1 << 29);
	dst->rtt.buckets[0] = 3;
	dst->turn.buckets[ebb_hist_bucket(1 << 20)] = 36; /* 262 ms: exactly a bound */
	dst->turn.sum_units = 36 << 20;
	fake->view.verdicts[1].word =
		ebb_word(7, EBB_STATE_OPEN, ebb_ns_to_ticks(FAKE_NOW_NS + 5000000000ULL));
	fake->view.memories[1].moved[EBB_REASON_CONSECUTIVE_FAILURES] = 4;
	fake->view.memories[1].moved[EBB_REASON_OPEN_EXPIRED] = 3;
	fake->view.memories[1].moved[EBB_REASON_PROBES_FAILED] = 3;
	fake->view.memories[1].window_ok = 4;
	fake->view.memories[1].window_failed = 2;
	fake->view.memories[1].window_ratio_ppm = 312500; /* weighted */
	fake->view.policies[1].limits.concurrent = 64;
	fake->view.gates[1].in_use = 12;
	pair = fake_pair(fake, 1, 1, 3);
	pair->attempts = 50;
	pair->syn_sent = 48;
	pair->outcomes[EBB_OUTCOME_ESTABLISHED] = 41;
	pair->outcomes[EBB_OUTCOME_REFUSED] = 5;
	pair->outcomes[EBB_OUTCOME_CANCELLED] = 1;
	pair->outcomes[EBB_OUTCOME_RESET] = 2;
	pair->denied[EBB_CAUSE_BREAKER] = 100;
	pair->denied[EBB_CAUSE_OVERRIDE] = 1;
	pair->would_deny[EBB_CAUSE_BREAKER] = 9;
	pair->active = 3;
	pair->sent_bytes = 123456789;
	pair->received_bytes = 98765432100;
	pair->retransmits = 17;
	pair->adopted = 2;
	pair->turns[EBB_TURN_ANSWERED] = 36;
	pair->turns[EBB_TURN_UNANSWERED] = 4;
	pair->turns[EBB_TURN_RESET] = 1;
	pair->turns[EBB_TURN_CANCELLED] = 2;
	pair->turns_slow = 5;
	pair->turn_units = 36 << 20;

	/* workload scope, pulled by the kernel and over */
	dst = fake_dst(fake, 2, "2001:db8::5", 8443);
	dst->scope = EBB_SCOPE_WORKLOAD;
	pair = fake_pair(fake, 2, 2, 4);
	pair->outcomes[EBB_OUTCOME_TIMEOUT] = 6;
	fake->view.gates[pair->gate].pull =
		ebb_word(2, EBB_STATE_OPEN, ebb_ns_to_ticks(FAKE_NOW_NS - 1000000000ULL));

	/* UDP, with every limit that there is and half of its bytes left */
	dst = fake_dst(fake, 3, "192.0.2.53", 53);
	dst->endpoint.proto = IPPROTO_UDP;
	fake_limit(&fake->view.policies[3].limits, EBB_LIMIT_BYTES, 1000000ULL * 3600, 500000);
	fake_limit(&fake->view.policies[3].limits, EBB_LIMIT_PACKETS, 100, 10);
	fake_limit(&fake->view.policies[3].limits, EBB_LIMIT_CONNECTS, 3600, 3);
	fake->view.gates[3].full_ns[EBB_LIMIT_BYTES] = FAKE_NOW_NS + 250000000;
	fake->view.gates[3].paced = 1;
	pair = fake_pair(fake, 3, 3, 3);
	pair->sent_bytes = 4200;
	pair->sent_packets = 70;
	pair->denied[EBB_CAUSE_RATE] = 8;
	pair->dropped_bytes[EBB_DROP_BYTES] = 1500;
	pair->dropped_packets[EBB_DROP_BYTES] = 1;
	pair->would_drop_bytes[EBB_DROP_BREAKER] = 600;
	pair->would_drop_packets[EBB_DROP_BREAKER] = 2;
	pair->reset = 5;

	fake->view.kernel->errors[EBB_ERR_EVENT_LOST] = 11;
	fake->view.agent->fuse = EBB_FUSE_ALERT;
	return fake;
}

#endif /* EBB_TESTS_LIB_SMALL_NODE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node without a kernel: maps in plain memory, a clock that stands still,
 * cgroups with the names that a test gives them. For whatever reads an
 * ebb_source.
 */
#ifndef EBB_TESTS_LIB_FAKE_SOURCE_H
#define EBB_TESTS_LIB_FAKE_SOURCE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/source.h"
#include "tests/lib/fake_view.h"

#define FAKE_NOW_NS	 (1000 * 1000000000ULL)
#define FAKE_REALTIME_NS (1700000000 * 1000000000LL)

struct fake {
	struct ebb_health health;
	struct ebb_view view;
	struct ebb_source source;
	struct ebb_hist scrape_duration;
	struct ebb_http_stats http;
	struct ebb_audit_status audit; /* two sinks, one of which does not take what there is */
	const char *names[16];	       /* of cgroups by id; NULL: "/w/ID" */
};

static uint64_t fake_now_ns = FAKE_NOW_NS;

static inline uint64_t fake_now(void)
{
	return fake_now_ns;
}

static inline int64_t fake_realtime(void)
{
	return FAKE_REALTIME_NS;
}

static inline int fake_resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	const struct fake *fake = userdata;
	int n;

	if (id < 16 && fake->names[id])
		n = snprintf(ret_path, size, "%s", fake->names[id]);
	else
		n = snprintf(ret_path, size, "/w/%llu", (unsigned long long)id);
	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static inline void fake_audit(struct ebb_audit_status *ret_audit)
{
	*ret_audit = (struct ebb_audit_status){
		.accepted = 1200,
		.spooled = 1190,
		.refused = 3,
		.dead = {.letters = 7, .oldest_realtime_ns = FAKE_REALTIME_NS - 90 * 1000000000LL},
		.sink_count = 2,
		.sinks = {{.name = "jsonl", .delivered = 1190, .attempts = {[EBB_SINK_DONE] = 42}},
			  {.name = "postgres",
			   .delivered = 1000,
			   .dead = 7,
			   .waiting = 183,
			   .failing = true,
			   .attempts = {[EBB_SINK_DONE] = 12,
					[EBB_SINK_RETRY] = 6,
					[EBB_SINK_REFUSED] = 7,
					[EBB_SINK_UNUSABLE] = 2}}},
	};
}

static inline struct fake *fake_new(uint32_t dst_max, uint32_t pair_max)
{
	struct fake *fake = fake_zeroed(1, sizeof(*fake));
	struct ebb_agent *agent;

	fake_now_ns = FAKE_NOW_NS;
	fake_audit(&fake->audit);
	fake->view = fake_view_new(dst_max, pair_max);
	agent = fake->view.agent;
	agent->heartbeat_ns = FAKE_NOW_NS - 250000000;
	agent->started_realtime_s = 1699999000;
	agent->generation = 1;
	ebb_health_init(&fake->health, FAKE_REALTIME_NS);
	fake->source = (struct ebb_source){
		.view = &fake->view,
		.health = &fake->health,
		.now_ns = fake_now,
		.realtime_ns = fake_realtime,
		.version = "0.1.0",
		.audit = &fake->audit,
		.map_bytes = 123456,
		.reloads = {[EBB_RELOAD_APPLIED] = 3, [EBB_RELOAD_REJECTED] = 1},
		.reload_failed = true,
		.applied_realtime_s = 1699999500,
		.scrape_duration = &fake->scrape_duration,
		.http = &fake->http,
		.local_floor = fake_zeroed(pair_max, sizeof(uint64_t)),
	};
	if (ebb_cgroup_names_new_from(fake_resolve, fake, 20000, &fake->source.workloads) < 0)
		exit(99);
	return fake;
}

static inline void fake_free(struct fake *fake)
{
	ebb_cgroup_names_free(fake->source.workloads);
	free(fake->source.local_floor);
	fake_view_free(&fake->view);
	free(fake);
}

/* Makes slot @slot a destination at @address, which is IPv4 or IPv6. */
static inline struct ebb_dst *fake_dst(struct fake *fake, uint32_t slot, const char *address, uint16_t port)
{
	struct ebb_dst *dst = &fake->view.dsts[slot];

	memset(&dst->endpoint, 0, sizeof(dst->endpoint));
	if (inet_pton(AF_INET6, address, dst->endpoint.addr) != 1) {
		dst->endpoint.addr[10] = 0xff;
		dst->endpoint.addr[11] = 0xff;
		if (inet_pton(AF_INET, address, &dst->endpoint.addr[12]) != 1)
			exit(99);
	}
	dst->endpoint.port = htons(port);
	dst->endpoint.proto = IPPROTO_TCP;
	dst->state = EBB_SLOT_LIVE;
	dst->scope = EBB_SCOPE_NODE;
	if (slot > fake->view.kernel->dst_high)
		fake->view.kernel->dst_high = slot;
	return dst;
}

static inline struct ebb_pair *fake_pair(struct fake *fake, uint32_t slot, uint32_t dst, uint64_t workload)
{
	struct ebb_pair *pair = &fake->view.pairs[slot];

	pair->workload = workload;
	pair->dst = dst;
	pair->dst_epoch = fake->view.dsts[dst].epoch;
	pair->gate = fake->view.dsts[dst].scope == EBB_SCOPE_NODE ? dst : fake->view.dst_max + slot;
	pair->state = EBB_SLOT_LIVE;
	if (slot > fake->view.kernel->pair_high)
		fake->view.kernel->pair_high = slot;
	return pair;
}

#endif /* EBB_TESTS_LIB_FAKE_SOURCE_H */

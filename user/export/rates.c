/* SPDX-License-Identifier: Apache-2.0 */
#include "export/rates.h"

#include <string.h>

#include "tell/turns.h"

#define NS_PER_S	1000000000ULL
#define INTERVAL_MIN_NS (NS_PER_S / 2)
#define INTERVAL_MAX_NS (60 * NS_PER_S) /* a mean of longer is no rate of now */

static const char *const names[EBB_RATE_MAX] = {
	[EBB_RATE_CONNECTS] = "connects",
	[EBB_RATE_FAILURES] = "failures",
	[EBB_RATE_DENIED] = "denied",
	[EBB_RATE_WOULD_DENY] = "would_deny",
	[EBB_RATE_TURNS] = "turns",
	[EBB_RATE_SENT] = "sent_bytes",
	[EBB_RATE_RECEIVED] = "received_bytes",
};

const char *ebb_rate_name(enum ebb_rate rate)
{
	return names[rate];
}

static void read_counters(const struct ebb_gate_row *row, uint64_t counters[EBB_RATE_MAX])
{
	counters[EBB_RATE_CONNECTS] = row->sums.attempts;
	counters[EBB_RATE_FAILURES] = row->sums.failures;
	counters[EBB_RATE_DENIED] = row->sums.denied;
	counters[EBB_RATE_WOULD_DENY] = row->sums.would_deny;
	counters[EBB_RATE_TURNS] = ebb_turns_count(&row->sums.turns);
	counters[EBB_RATE_SENT] = row->sums.traffic.sent_bytes;
	counters[EBB_RATE_RECEIVED] = row->sums.traffic.received_bytes;
}

/* A counter that shrank began anew: a pair has left. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : 0;
}

static float mean_of(uint64_t count, uint64_t units)
{
	return count ? (float)((double)units * EBB_HIST_UNIT_NS / (double)count / (double)NS_PER_S) : -1;
}

void ebb_rates_take(struct ebb_rates *rates, const struct ebb_gate_row *row, const struct ebb_dst *dst,
		    uint32_t epoch, uint64_t now_ns)
{
	struct ebb_rates next = {.at_ns = now_ns, .epoch = epoch, .latency = -1};
	uint64_t interval = now_ns - rates->at_ns;

	if (rates->at_ns && rates->epoch == epoch && interval < INTERVAL_MIN_NS)
		return;
	read_counters(row, next.counters);
	next.turns_count = row->sums.turns.ended[EBB_TURN_ANSWERED];
	next.turns_units = row->sums.turns.units;
	next.connects_count = row->connect.count;
	next.connects_units = dst->connect.sum_units;
	if (rates->at_ns && rates->epoch == epoch && interval <= INTERVAL_MAX_NS) {
		next.known = true;
		for (int i = 0; i < EBB_RATE_MAX; i++)
			next.rates[i] = (float)((double)grown(next.counters[i], rates->counters[i]) *
						(double)NS_PER_S / (double)interval);
		if (next.turns_count)
			next.latency = mean_of(grown(next.turns_count, rates->turns_count),
					       grown(next.turns_units, rates->turns_units));
		else
			next.latency = mean_of(grown(next.connects_count, rates->connects_count),
					       grown(next.connects_units, rates->connects_units));
	}
	*rates = next;
}

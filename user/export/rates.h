/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate does in a second: the difference of two moments, at least half a second apart. */
#ifndef EBB_EXPORT_RATES_H
#define EBB_EXPORT_RATES_H

#include <stdint.h>

#include "tell/snapshot.h"

enum ebb_rate {
	EBB_RATE_CONNECTS,
	EBB_RATE_FAILURES,
	EBB_RATE_DENIED,
	EBB_RATE_WOULD_DENY,
	EBB_RATE_TURNS,
	EBB_RATE_SENT,
	EBB_RATE_RECEIVED,
	EBB_RATE_MAX,
};

/* One gate. Starts as all zero. */
struct ebb_rates {
	uint64_t at_ns; /* of the counters; 0: none yet */
	uint64_t counters[EBB_RATE_MAX];
	uint64_t turns_count, turns_units; /* answered, and the sum of their times */
	uint64_t connects_count, connects_units;
	uint32_t epoch; /* whose they are */
	float rates[EBB_RATE_MAX];
	float latency; /* mean of the interval, in seconds: of turns, else to connect; negative: there was none */
	bool known; /* there are rates */
};

/* "connects", "sent_bytes", ... */
const char *ebb_rate_name(enum ebb_rate rate);

/* Takes the moment @now_ns, unless the last one is too close. @dst: of the gate, for its histograms. */
void ebb_rates_take(struct ebb_rates *rates, const struct ebb_gate_row *row, const struct ebb_dst *dst,
		    uint32_t epoch, uint64_t now_ns);

#endif /* EBB_EXPORT_RATES_H */

/* SPDX-License-Identifier: Apache-2.0 */
#include "export/delivery.h"

#include <string.h>

#include "core/policy.h"

#define NS_PER_S 1000000000ULL

/* How soon an unusable place is looked at again: a person has to come first. */
#define UNUSABLE_AGAIN_NS (30 * NS_PER_S)
#define OPEN_FOR_NS	  (5 * NS_PER_S)
#define OPEN_MAX_NS	  (60 * NS_PER_S)
#define FAILURES_TO_OPEN  3

const struct ebb_delivery_settings ebb_delivery_defaults = {
	.attempts = 5,
	.first_ns = NS_PER_S,
	.max_ns = 32 * NS_PER_S,
	.factor = 2,
	.jitter = 0.2,
};

void ebb_delivery_init(struct ebb_delivery *d, const char *name, const struct ebb_delivery_settings *settings)
{
	struct ebb_breaker_config config;

	memset(d, 0, sizeof(*d));
	d->settings = *settings;
	d->dice = ebb_breaker_key(1, name) | 1;
	ebb_policy_defaults(&config);
	config.consecutive_failures = FAILURES_TO_OPEN;
	config.open_for_ns = OPEN_FOR_NS;
	config.open_max_ns = OPEN_MAX_NS;
	config.probes = 1;
	config.close_after = 1;
	config.reopen_after = 1;
	config.ramp_ns = 0;
	ebb_guard_init(&d->guard, name, &config);
}

bool ebb_delivery_begin(struct ebb_delivery *d, uint64_t now_ns)
{
	return now_ns >= ebb_delivery_due_ns(d) && ebb_guard_ask(&d->guard, now_ns);
}

/* -1 to 1 (xorshift64) */
static double roll(struct ebb_delivery *d)
{
	d->dice ^= d->dice << 13;
	d->dice ^= d->dice >> 7;
	d->dice ^= d->dice << 17;
	return (double)(d->dice >> 11) / (double)(1ULL << 52) - 1;
}

static uint64_t backoff(struct ebb_delivery *d)
{
	double wait = (double)d->settings.first_ns, longest = (double)d->settings.max_ns;

	for (uint32_t i = 1; i < d->failed && wait < longest; i++)
		wait *= d->settings.factor;
	if (wait > longest)
		wait = longest;
	return (uint64_t)(wait * (1 + d->settings.jitter * roll(d)));
}

static enum ebb_delivery_fate over(struct ebb_delivery *d, enum ebb_delivery_fate fate)
{
	d->failed = 0;
	d->due_ns = 0;
	return fate;
}

enum ebb_delivery_fate ebb_delivery_end(struct ebb_delivery *d, enum ebb_sink_result result,
					uint64_t after_ns, size_t count, uint64_t now_ns)
{
	/* who refuses one batch is there */
	bool answers = result == EBB_SINK_DONE || result == EBB_SINK_REFUSED;

	ebb_guard_result(&d->guard, answers, now_ns);
	d->unusable = result == EBB_SINK_UNUSABLE;
	if (answers)
		d->since_ns = 0;
	else if (!d->since_ns)
		d->since_ns = now_ns;
	if (result == EBB_SINK_DONE)
		return over(d, EBB_DELIVERY_DELIVERED);
	if (result == EBB_SINK_REFUSED)
		return over(d, count > 1 ? EBB_DELIVERY_SPLIT : EBB_DELIVERY_DEAD);
	if (d->unusable) {
		d->due_ns = now_ns + UNUSABLE_AGAIN_NS;
		return EBB_DELIVERY_AGAIN;
	}
	if (++d->failed >= d->settings.attempts)
		return over(d, EBB_DELIVERY_DEAD);
	if (after_ns > EBB_DELIVERY_AFTER_MAX_NS)
		after_ns = EBB_DELIVERY_AFTER_MAX_NS;
	d->due_ns = now_ns + (after_ns ? after_ns : backoff(d));
	return EBB_DELIVERY_AGAIN;
}

uint64_t ebb_delivery_due_ns(const struct ebb_delivery *d)
{
	uint64_t until = ebb_guard_until(&d->guard);

	return until > d->due_ns ? until : d->due_ns;
}

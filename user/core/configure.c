/* SPDX-License-Identifier: Apache-2.0 */
#include "core/configure.h"

#include <string.h>

#include "core/limit.h"

#define STORE(field) __atomic_store_n(&place->field, settings->field, __ATOMIC_RELEASE)

/* Programs ask for the rate first: without one there is no limit (bpf/limit.h). */
static void configure_limit(struct ebb_limit *place, const struct ebb_limit *settings)
{
	if (memcmp(place, settings, sizeof(*place)) == 0)
		return;
	__atomic_store_n(&place->per_hour, 0, __ATOMIC_SEQ_CST);
	STORE(burst);
	STORE(burst_ns);
	STORE(mult);
	STORE(shift);
	STORE(per_hour);
}

void ebb_policy_configure(struct ebb_policy *place, const struct ebb_policy *settings)
{
	struct ebb_policy asks = *settings;

	if (settings->mode == EBB_MODE_OBSERVE)
		__atomic_store_n(&place->mode, settings->mode, __ATOMIC_SEQ_CST);
	/* before the limits: too much costs a look, too little would be a limit that does not hold */
	ebb_limits_summarize(&asks);
	__atomic_fetch_or(&place->asks, asks.asks & ~EBB_ASK_KEPT, __ATOMIC_SEQ_CST);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++)
		configure_limit(&place->limits.bucket[kind], &settings->limits.bucket[kind]);
	STORE(limits.concurrent);
	STORE(arm);
	STORE(scope);
	STORE(errno_code);
	STORE(limits_errno);
	STORE(on_agent_loss);
	STORE(count_mask);
	STORE(probes);
	STORE(close_after);
	STORE(reopen_after);
	STORE(probe_lease_ticks);
	STORE(established);
	STORE(abandon_ms);
	STORE(slow_ns);
	STORE(ramp_ticks);
	STORE(spare_percent);
	STORE(syn_retries);
	STORE(fuse_exempt);
	STORE(mode);
	ebb_limits_summarize(place);
}

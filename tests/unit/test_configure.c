/* SPDX-License-Identifier: Apache-2.0 */
/* core/configure.c: what is configured reaches the policy that the kernel obeys, and nothing else in it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/configure.h"
#include "core/limit.h"

static struct ebb_limit limit(uint64_t per_hour)
{
	return (struct ebb_limit){.per_hour = per_hour,
				  .burst = per_hour + 1,
				  .burst_ns = per_hour + 2,
				  .mult = per_hour + 3,
				  .shift = (uint32_t)per_hour % 60 + 4};
}

/* Every setting has a value of its own, and a limit of each kind. */
static struct ebb_policy settings(uint32_t mode)
{
	struct ebb_policy p = {.arm = 101,
			       .mode = mode,
			       .scope = EBB_SCOPE_WORKLOAD,
			       .errno_code = EBB_ERRNO_HOSTUNREACH,
			       .limits_errno = EBB_ERRNO_TIMEDOUT,
			       .on_agent_loss = EBB_LOSS_HOLD,
			       .count_mask = 102,
			       .probes = 3,
			       .close_after = 104,
			       .reopen_after = 105,
			       .probe_lease_ticks = 106,
			       .established = EBB_ESTABLISHED_DROP,
			       .abandon_ms = 107,
			       .slow_ns = 108,
			       .ramp_ticks = 109,
			       .spare_percent = 10,
			       .syn_retries = 7,
			       .fuse_exempt = 1};

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++)
		p.limits.bucket[kind] = limit(1000 + kind);
	p.limits.concurrent = 110;
	ebb_limits_summarize(&p);
	return p;
}

static void all_that_is_configured_is_stored(void **state)
{
	struct ebb_policy place = {0};
	const struct ebb_policy enforcing = settings(EBB_MODE_ENFORCE),
				observing = settings(EBB_MODE_OBSERVE);
	struct ebb_policy other = {.mode = EBB_MODE_ENFORCE};

	(void)state;
	ebb_policy_configure(&place, &enforcing);
	assert_memory_equal(&place, &enforcing, sizeof(place));
	/* again: nothing is new */
	ebb_policy_configure(&place, &enforcing);
	assert_memory_equal(&place, &enforcing, sizeof(place));
	ebb_policy_configure(&place, &observing);
	assert_memory_equal(&place, &observing, sizeof(place));
	/* and all of it goes */
	ebb_policy_configure(&place, &other);
	ebb_limits_summarize(&other);
	assert_memory_equal(&place, &other, sizeof(place));
	assert_int_equal(place.asks, 0);
}

static void what_operators_said_stays(void **state)
{
	struct ebb_policy place = {.override_state = EBB_OVERRIDE_OPEN,
				   .override_until_ns = 201,
				   .override_uid = 202,
				   .mode_by_hand = 1 + EBB_MODE_OBSERVE,
				   .mode_until_ns = 203,
				   .mode_uid = 204,
				   .asks = EBB_ASK_MEMORY | EBB_ASK_OWN};
	const struct ebb_policy none = {0};
	struct ebb_limits given = {.concurrent = 9, .given = EBB_GIVEN_CONCURRENT};
	struct ebb_policy before;

	(void)state;
	ebb_limits_give(&place, &given, 205, 206, 1);
	before = place;
	ebb_policy_configure(&place, &none);
	assert_memory_equal(&place, &before, sizeof(place));
	/* the kernel still asks, for what was given by hand */
	assert_int_equal(place.asks, EBB_ASK_KEPT | EBB_ASK_CONNECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_configured_is_stored),
		cmocka_unit_test(what_operators_said_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

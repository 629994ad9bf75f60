/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limit.h"

#include <errno.h>
#include <string.h>

#define NS_PER_HOUR ((unsigned __int128)3600000000000ULL)

int ebb_limit_make(uint64_t per_hour, uint64_t burst, struct ebb_limit *ret_limit)
{
	struct ebb_limit limit = {.per_hour = per_hour, .burst = burst};
	unsigned __int128 burst_ns;

	if (per_hour == 0) {
		memset(ret_limit, 0, sizeof(*ret_limit));
		return 0;
	}
	burst_ns = burst * NS_PER_HOUR / per_hour;
	if (burst == 0 || burst_ns > EBB_LIMIT_BURST_MAX_NS)
		return -ERANGE;
	limit.burst_ns = burst_ns > 0 ? (uint64_t)burst_ns : 1;
	/* mult / 2^shift = ns for one unit, with 32 significant bits: a cost of 2^32 units fits into 64 bits */
	while (limit.shift < 62 && (NS_PER_HOUR << (limit.shift + 1)) / per_hour < (1ULL << 32))
		limit.shift++;
	limit.mult = (uint64_t)(((NS_PER_HOUR << limit.shift) + per_hour / 2) / per_hour);
	*ret_limit = limit;
	return 0;
}

double ebb_limit_available(const struct ebb_limit *limit, uint64_t full_ns, uint64_t now_ns)
{
	uint64_t debt = ebb_bucket_debt(full_ns, now_ns, limit->burst_ns);

	if (limit->burst_ns == 0 || debt >= limit->burst_ns)
		return 0;
	return (double)limit->burst * (double)(limit->burst_ns - debt) / (double)limit->burst_ns;
}

double ebb_limit_rate(const struct ebb_limit *limit)
{
	return (double)limit->per_hour / 3600;
}

void ebb_limits_in_force(const struct ebb_policy *policy, uint64_t now_ns, struct ebb_limits *ret_limits)
{
	struct ebb_limits limits = policy->limits;
	uint32_t given = policy->by_hand.given;

	if (policy->by_hand_until_ns != 0 && now_ns >= policy->by_hand_until_ns)
		given = 0;
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (given & (1U << kind))
			limits.bucket[kind] = policy->by_hand.bucket[kind];
	}
	if (given & EBB_GIVEN_CONCURRENT)
		limits.concurrent = policy->by_hand.concurrent;
	limits.given = given;
	*ret_limits = limits;
}

static uint32_t asks_of(const struct ebb_limits *limits)
{
	uint32_t asks = 0;

	if (limits->bucket[EBB_LIMIT_CONNECTS].per_hour || limits->concurrent)
		asks |= EBB_ASK_CONNECT;
	if (limits->bucket[EBB_LIMIT_BYTES].per_hour || limits->bucket[EBB_LIMIT_PACKETS].per_hour)
		asks |= EBB_ASK_PACKET;
	return asks;
}

void ebb_limits_summarize(struct ebb_policy *io_policy)
{
	uint32_t asks = asks_of(&io_policy->limits);

	if (io_policy->by_hand.given)
		asks |= asks_of(&io_policy->by_hand);
	if (io_policy->established == EBB_ESTABLISHED_DROP)
		asks |= EBB_ASK_PACKET;
	io_policy->asks = asks;
}

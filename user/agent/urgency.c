/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/urgency.h"

#define NS_PER_S 1000000000ULL

#define FIRST_NS  (5 * NS_PER_S)
#define MOST_NS	  (3600 * NS_PER_S)
#define HEALED_NS (600 * NS_PER_S) /* held for so long, the next loss has another reason */

void ebb_urgency_want(struct ebb_urgency *u, bool wanted, uint64_t now_ns)
{
	if (wanted == u->wanted)
		return;
	*u = (struct ebb_urgency){
		.wanted = wanted,
		.losses = u->losses,
		.since_ns = now_ns,
		.again_ns = now_ns,
	};
}

bool ebb_urgency_is_due(const struct ebb_urgency *u, uint64_t now_ns)
{
	return u->wanted && !u->held && now_ns >= u->again_ns;
}

static void wait_longer(struct ebb_urgency *u, uint64_t now_ns)
{
	u->wait_ns = u->wait_ns ? 2 * u->wait_ns : FIRST_NS;
	if (u->wait_ns > MOST_NS)
		u->wait_ns = MOST_NS;
	u->again_ns = now_ns + u->wait_ns;
}

void ebb_urgency_asked(struct ebb_urgency *u, bool given, uint64_t now_ns)
{
	if (!given) {
		wait_longer(u, now_ns);
		return;
	}
	u->held = true;
	u->taken = false;
	u->since_ns = now_ns;
}

void ebb_urgency_lost(struct ebb_urgency *u, uint64_t now_ns)
{
	if (now_ns - u->since_ns >= HEALED_NS)
		u->wait_ns = 0;
	u->held = false;
	u->taken = true;
	u->losses++;
	u->since_ns = now_ns;
	wait_longer(u, now_ns);
}

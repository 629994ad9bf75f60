/* SPDX-License-Identifier: Apache-2.0 */
#include "node/owns.h"

#include <errno.h>
#include <string.h>

#include "core/by_hand.h"

static bool asks_own(const struct ebb_view *view, uint32_t dst)
{
	return view->owns && dst < view->dst_max &&
	       __atomic_load_n(&view->policies[dst].asks, __ATOMIC_ACQUIRE) & EBB_ASK_OWN;
}

/* Its entry, whatever it says; only of the owner that the slot has now. */
static bool get(const struct ebb_view *view, uint32_t pair, struct ebb_own *ret_own)
{
	struct ebb_own own;

	if (pair == EBB_SLOT_OTHER || pair >= view->pair_max || !asks_own(view, view->pairs[pair].dst) ||
	    view->owns->get(view->owns, pair, &own) < 0 || own.pair_epoch != view->pairs[pair].epoch)
		return false;
	*ret_own = own;
	return true;
}

bool ebb_own_find(const struct ebb_view *view, uint32_t pair, uint64_t now_ns, struct ebb_own *ret_own)
{
	struct ebb_own own;

	if (!get(view, pair, &own) || !ebb_own_holds(&own, view->pairs[pair].epoch, now_ns))
		return false;
	*ret_own = own;
	return true;
}

bool ebb_own_stands(const struct ebb_view *view, uint32_t pair)
{
	struct ebb_own own;

	return get(view, pair, &own);
}

void ebb_own_forget(const struct ebb_view *view, uint32_t pair)
{
	if (ebb_own_stands(view, pair))
		(void)view->owns->remove(view->owns, pair);
}

void ebb_gate_policy(const struct ebb_view *view, uint32_t dst, uint32_t gate, uint64_t now_ns,
		     struct ebb_policy *ret_policy)
{
	struct ebb_own own;

	if (gate >= view->dst_max && ebb_own_find(view, gate - view->dst_max, now_ns, &own))
		*ret_policy = own.policy;
	else
		memcpy(ret_policy, &view->policies[dst], sizeof(*ret_policy));
}

/* The bit goes last and comes last: what it says to look for is there. */
static void note_own(const struct ebb_view *view, uint32_t dst, bool any)
{
	if (any)
		(void)__atomic_or_fetch(&view->policies[dst].asks, EBB_ASK_OWN, __ATOMIC_SEQ_CST);
	else
		(void)__atomic_and_fetch(&view->policies[dst].asks, ~(__u32)EBB_ASK_OWN, __ATOMIC_SEQ_CST);
}

int ebb_own_write(const struct ebb_view *view, uint32_t pair, const struct ebb_own *own)
{
	uint32_t dst = view->pairs[pair].dst;
	int r;

	if (!own->said) {
		r = view->owns->remove(view->owns, pair);
		/* whether it was the last of its destination is found out by the next refresh */
		return r;
	}
	r = view->owns->put(view->owns, pair, own);
	if (r == 0)
		note_own(view, dst, true);
	return r;
}

/* Returns how many of @dst's workloads had something that ended; a negative errno. */
static int refresh(const struct ebb_view *view, uint32_t dst, uint64_t now_ns)
{
	uint32_t high = view->kernel->pair_high;
	bool any = false;
	int ended = 0, error = 0, r;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		struct ebb_own own, before;

		if (view->pairs[p].dst != dst || view->pairs[p].state == EBB_SLOT_FREE || !get(view, p, &own))
			continue;
		before = own;
		if (ebb_own_end(&own, &view->policies[dst], now_ns))
			ended++;
		else
			ebb_own_lay_over(&own, &view->policies[dst]);
		r = memcmp(&own, &before, sizeof(own)) != 0 ? ebb_own_write(view, p, &own) : 0;
		if (r < 0)
			error = r;
		any = any || own.said || r < 0;
	}
	if (!any)
		note_own(view, dst, false);
	return error ? error : ended;
}

int ebb_owns_refresh(const struct ebb_view *view, uint32_t dst, uint64_t now_ns)
{
	int r = asks_own(view, dst) ? refresh(view, dst, now_ns) : 0;

	return r < 0 ? r : 0;
}

int ebb_by_hand_upkeep(const struct ebb_view *view, uint64_t now_ns)
{
	uint32_t high = view->kernel->dst_high;
	int ended = 0, error = 0, r;

	for (uint32_t d = EBB_SLOT_OTHER; d <= high && d < view->dst_max; d++) {
		struct ebb_policy *policy = &view->policies[d];

		/* of most, nothing was said */
		if (!policy->override_state && !policy->mode_by_hand && !policy->by_hand.given &&
		    !asks_own(view, d))
			continue;
		if (ebb_by_hand_end(policy, now_ns))
			ended++;
		if (!asks_own(view, d))
			continue;
		r = refresh(view, d, now_ns);
		if (r < 0)
			error = r;
		else
			ended += r;
	}
	return error ? error : ended;
}

uint32_t ebb_owns_asks(const struct ebb_view *view)
{
	uint32_t high = view->kernel->pair_high, asks = 0;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		struct ebb_own own;

		if (view->pairs[p].state != EBB_SLOT_FREE && get(view, p, &own))
			asks |= own.policy.asks;
	}
	return asks & ~(uint32_t)EBB_ASK_KEPT;
}

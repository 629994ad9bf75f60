/* SPDX-License-Identifier: Apache-2.0 */
#include "core/by_hand.h"

#include <string.h>

#include "core/limit.h"

/* --------------------------------------------------------- what holds -- */

/* The rules of bpf/mode.h; a test holds the two against each other. */

static bool still_holds(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns == 0 || now_ns < until_ns;
}

uint32_t ebb_override_of(const struct ebb_policy *policy, uint64_t now_ns)
{
	if (policy->override_state >= EBB_OVERRIDE_MAX || !still_holds(policy->override_until_ns, now_ns))
		return EBB_OVERRIDE_AUTO;
	return policy->override_state;
}

uint32_t ebb_mode_said(const struct ebb_policy *policy, uint64_t now_ns)
{
	return still_holds(policy->mode_until_ns, now_ns) ? policy->mode_by_hand : 0;
}

uint32_t ebb_mode_of(const struct ebb_policy *policy, const struct ebb_policy *node, uint32_t dst,
		     uint64_t now_ns)
{
	uint32_t said = ebb_mode_said(node, now_ns);

	/* it is many destinations: never refused */
	if (dst == EBB_SLOT_OTHER)
		return EBB_MODE_OBSERVE;
	if (!said)
		said = ebb_mode_said(policy, now_ns);
	return said ? said - 1 : policy->mode;
}

uint64_t ebb_limit_until(const struct ebb_policy *policy, uint32_t given)
{
	return policy->wide & given ? policy->wide_until_ns : policy->by_hand_until_ns;
}

uint32_t ebb_limit_uid(const struct ebb_policy *policy, uint32_t given)
{
	return policy->wide & given ? policy->wide_uid : policy->by_hand_uid;
}

uint32_t ebb_by_hand_said(const struct ebb_policy *policy, uint64_t now_ns)
{
	uint32_t said = 0;

	if (ebb_override_of(policy, now_ns) != EBB_OVERRIDE_AUTO)
		said |= EBB_SAID_OVERRIDE;
	if (ebb_mode_said(policy, now_ns))
		said |= EBB_SAID_MODE;
	if (ebb_limits_by_hand(policy, now_ns))
		said |= EBB_SAID_LIMITS;
	return said;
}

/* ------------------------------------------------------------- orders -- */

/* What is said, its end, its author: out first, then changed, in again. The same with another end holds all the time. */

void ebb_override_give(struct ebb_policy *io_policy, uint32_t state, uint64_t until_ns, uint32_t uid)
{
	if (io_policy->override_state != state)
		__atomic_store_n(&io_policy->override_state, EBB_OVERRIDE_AUTO, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->override_until_ns, state ? until_ns : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->override_uid, state ? uid : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->override_state, state, __ATOMIC_SEQ_CST);
}

void ebb_mode_give(struct ebb_policy *io_policy, uint32_t said, uint64_t until_ns, uint32_t uid)
{
	if (io_policy->mode_by_hand != said)
		__atomic_store_n(&io_policy->mode_by_hand, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->mode_until_ns, said ? until_ns : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->mode_uid, said ? uid : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&io_policy->mode_by_hand, said, __ATOMIC_SEQ_CST);
}

uint32_t ebb_by_hand_end(struct ebb_policy *io_policy, uint64_t now_ns)
{
	uint32_t said = ebb_by_hand_said(io_policy, now_ns), ended = 0;

	if (io_policy->override_state && !(said & EBB_SAID_OVERRIDE)) {
		ebb_override_give(io_policy, EBB_OVERRIDE_AUTO, 0, 0);
		ended |= EBB_SAID_OVERRIDE;
	}
	if (io_policy->mode_by_hand && !(said & EBB_SAID_MODE)) {
		ebb_mode_give(io_policy, 0, 0, 0);
		ended |= EBB_SAID_MODE;
	}
	if (io_policy->by_hand.given && !(said & EBB_SAID_LIMITS)) {
		ebb_limits_take_back(io_policy);
		ended |= EBB_SAID_LIMITS;
	}
	return ended;
}

void ebb_by_hand_forget(struct ebb_policy *io_policy)
{
	ebb_override_give(io_policy, EBB_OVERRIDE_AUTO, 0, 0);
	ebb_mode_give(io_policy, 0, 0, 0);
	io_policy->asks &= ~(uint32_t)EBB_ASK_KEPT;
	ebb_limits_take_back(io_policy);
}

static void copy_override(struct ebb_policy *io_policy, const struct ebb_policy *from)
{
	io_policy->override_state = from->override_state;
	io_policy->override_until_ns = from->override_until_ns;
	io_policy->override_uid = from->override_uid;
}

static void copy_mode(struct ebb_policy *io_policy, const struct ebb_policy *from)
{
	io_policy->mode_by_hand = from->mode_by_hand;
	io_policy->mode_until_ns = from->mode_until_ns;
	io_policy->mode_uid = from->mode_uid;
}

void ebb_by_hand_keep(struct ebb_policy *io_policy, const struct ebb_policy *place)
{
	copy_override(io_policy, place);
	copy_mode(io_policy, place);
	io_policy->by_hand = place->by_hand;
	io_policy->by_hand_until_ns = place->by_hand_until_ns;
	io_policy->by_hand_uid = place->by_hand_uid;
	io_policy->wide = 0;
	io_policy->wide_until_ns = 0;
	io_policy->wide_uid = 0;
	io_policy->asks = place->asks & EBB_ASK_KEPT;
	ebb_limits_summarize(io_policy);
}

/* ------------------------------------------------------- one workload -- */

bool ebb_own_holds(const struct ebb_own *own, uint32_t pair_epoch, uint64_t now_ns)
{
	return own->pair_epoch == pair_epoch && own->said && still_holds(own->until_ns, now_ns);
}

/* All of it is over when the last of it is. */
static void take_in_end(uint64_t until_ns, bool *io_endless, uint64_t *io_last_ns)
{
	*io_endless = *io_endless || until_ns == 0;
	if (until_ns > *io_last_ns)
		*io_last_ns = until_ns;
}

/* Limits of two origins, each with its own end: those of the workload go before. */
static void lay_over_limits(struct ebb_policy *io_policy, const struct ebb_policy *own)
{
	uint32_t mine = own->by_hand.given & ~own->wide, wide = io_policy->by_hand.given & ~mine;

	io_policy->wide = wide;
	io_policy->wide_until_ns = wide ? io_policy->by_hand_until_ns : 0;
	io_policy->wide_uid = wide ? io_policy->by_hand_uid : 0;
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (mine & (1U << kind))
			io_policy->by_hand.bucket[kind] = own->by_hand.bucket[kind];
	}
	if (mine & EBB_GIVEN_CONCURRENT)
		io_policy->by_hand.concurrent = own->by_hand.concurrent;
	io_policy->by_hand.given = mine | wide;
	io_policy->by_hand_until_ns = own->by_hand_until_ns;
	io_policy->by_hand_uid = own->by_hand_uid;
}

void ebb_own_lay_over(struct ebb_own *io_own, const struct ebb_policy *base)
{
	const struct ebb_policy own = io_own->policy;
	struct ebb_policy policy = *base;
	bool endless = false;
	uint64_t last_ns = 0;

	if (io_own->said & EBB_SAID_OVERRIDE) {
		copy_override(&policy, &own);
		take_in_end(own.override_until_ns, &endless, &last_ns);
	}
	if (io_own->said & EBB_SAID_MODE) {
		copy_mode(&policy, &own);
		take_in_end(own.mode_until_ns, &endless, &last_ns);
	}
	if (io_own->said & EBB_SAID_LIMITS) {
		lay_over_limits(&policy, &own);
		take_in_end(own.by_hand_until_ns, &endless, &last_ns);
	}
	ebb_limits_summarize(&policy);
	io_own->until_ns = endless ? 0 : last_ns;
	io_own->policy = policy;
}

static void note_said(struct ebb_own *io_own, uint32_t what, bool stands)
{
	io_own->said = stands ? io_own->said | what : io_own->said & ~what;
}

void ebb_own_give_override(struct ebb_own *io_own, const struct ebb_policy *base, uint32_t state,
			   uint64_t until_ns, uint32_t uid)
{
	ebb_override_give(&io_own->policy, state, until_ns, uid);
	note_said(io_own, EBB_SAID_OVERRIDE, state != EBB_OVERRIDE_AUTO);
	ebb_own_lay_over(io_own, base);
}

void ebb_own_give_mode(struct ebb_own *io_own, const struct ebb_policy *base, uint32_t said,
		       uint64_t until_ns, uint32_t uid)
{
	ebb_mode_give(&io_own->policy, said, until_ns, uid);
	note_said(io_own, EBB_SAID_MODE, said != 0);
	ebb_own_lay_over(io_own, base);
}

void ebb_own_give_limits(struct ebb_own *io_own, const struct ebb_policy *base,
			 const struct ebb_limits *change, uint64_t until_ns, uint32_t uid, uint64_t now_ns)
{
	struct ebb_policy *policy = &io_own->policy;

	/* what is the destination's comes back when it is laid over; here it must not seem to be ours */
	policy->by_hand.given = io_own->said & EBB_SAID_LIMITS ? policy->by_hand.given & ~policy->wide : 0;
	policy->wide = 0;
	if (change)
		ebb_limits_give(policy, change, until_ns, uid, now_ns);
	else
		ebb_limits_take_back(policy);
	note_said(io_own, EBB_SAID_LIMITS, change != NULL);
	ebb_own_lay_over(io_own, base);
}

bool ebb_own_end(struct ebb_own *io_own, const struct ebb_policy *base, uint64_t now_ns)
{
	const struct ebb_policy *policy = &io_own->policy;
	uint32_t said = io_own->said;

	if (!still_holds(policy->override_until_ns, now_ns))
		said &= ~EBB_SAID_OVERRIDE;
	if (!still_holds(policy->mode_until_ns, now_ns))
		said &= ~EBB_SAID_MODE;
	if (!still_holds(policy->by_hand_until_ns, now_ns))
		said &= ~EBB_SAID_LIMITS;
	if (said == io_own->said)
		return false;
	io_own->said = said;
	ebb_own_lay_over(io_own, base);
	return true;
}

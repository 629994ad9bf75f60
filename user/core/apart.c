/* SPDX-License-Identifier: Apache-2.0 */
#include "core/apart.h"

/* Stand for pairs of which only is known that they were there; no slot is so high. */
#define SOMEBODY      UINT32_MAX
#define SOMEBODY_ELSE (UINT32_MAX - 1)

static bool is_within(const struct ebb_last *last, uint64_t window_ns, uint64_t now_ns)
{
	return last->pair != EBB_SLOT_OTHER && now_ns - last->at_ns < window_ns;
}

/* Did one that is not @pair have such a result? */
static bool has_another(const struct ebb_last_two *two, uint32_t pair, uint64_t window_ns, uint64_t now_ns)
{
	return is_within(two->newest.pair != pair ? &two->newest : &two->other, window_ns, now_ns);
}

void ebb_users_note(struct ebb_last_two *io_two, uint32_t pair, uint64_t now_ns)
{
	if (io_two->newest.pair != pair)
		io_two->other = io_two->newest;
	io_two->newest = (struct ebb_last){.pair = pair, .at_ns = now_ns};
}

static void forget(struct ebb_last_two *io_two, uint32_t pair)
{
	if (io_two->newest.pair == pair)
		io_two->newest = io_two->other;
	/* who came before these two is not known: so it is nobody */
	if (io_two->other.pair == pair || io_two->other.pair == io_two->newest.pair)
		io_two->other = (struct ebb_last){.pair = EBB_SLOT_OTHER};
}

void ebb_users_forget(struct ebb_users *users, uint32_t pair)
{
	forget(&users->failed, pair);
	forget(&users->slow, pair);
}

void ebb_users_restore(struct ebb_users *users, const struct ebb_verdict *verdict,
		       const struct ebb_gate *facts, uint64_t now_ns)
{
	uint64_t word = ebb_word_in_force(verdict->word, facts->pull);
	uint32_t whose = ebb_run_whose(facts->run, ebb_word_gen(word));

	*users = (struct ebb_users){0};
	if (verdict->arm & EBB_ARM_MIXED) {
		ebb_users_note(&users->ok, SOMEBODY, now_ns);
		ebb_users_note(&users->ok, SOMEBODY_ELSE, now_ns);
	}
	if (whose == EBB_RUN_MIXED) {
		ebb_users_note(&users->failed, SOMEBODY, now_ns);
		ebb_users_note(&users->failed, SOMEBODY_ELSE, now_ns);
	} else if (whose) {
		ebb_users_note(&users->failed, whose - 1, now_ns);
	}
}

uint32_t ebb_users_culprit(const struct ebb_users *users, uint32_t reason, uint64_t window_ns,
			   uint64_t now_ns)
{
	const struct ebb_last_two *wrong = reason == EBB_REASON_SLOW_RATE ? &users->slow : &users->failed;
	uint32_t pair = wrong->newest.pair;

	if (!is_within(&wrong->newest, window_ns, now_ns) || has_another(wrong, pair, window_ns, now_ns) ||
	    !has_another(&users->ok, pair, window_ns, now_ns))
		return EBB_SLOT_OTHER;
	return pair;
}

bool ebb_users_several(const struct ebb_users *users, uint64_t window_ns, uint64_t now_ns)
{
	return is_within(&users->ok.newest, window_ns, now_ns) &&
	       is_within(&users->ok.other, window_ns, now_ns);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker. docs/state-machine.md is its picture and its table.
 *
 *	                  failures in a row, failure rate, slow rate
 *	          +--------+ ------------------------------> +------+
 *	          | closed |                                 | open | <-+
 *	          +--------+ <--------------+                +------+   |
 *	                                    |     open time is |        |
 *	                   enough probes    |     over         v        | enough probes
 *	                   succeeded        |            +-----------+  | failed
 *	                                    +----------- | half_open | -+
 *	                                                 +-----------+
 *
 * A look takes three steps: count the results since the last look, take over
 * what the kernel did by itself, then judge until nothing moves any more. All
 * facts of a state are tagged with its generation or counted from its
 * beginning, so a judgement never uses those of another.
 */
#include "core/breaker.h"

#include <string.h>

/* The transitions of one look; and of a shared gate who shares it, and who is put apart. */
struct report {
	struct ebb_transition *moves; /* EBB_BREAKER_MOVES_MAX of them */
	size_t count;
	const struct ebb_users *users; /* NULL: it is not shared */
	struct ebb_apart apart;
};

static uint32_t state_of(const struct ebb_breaker *b)
{
	return ebb_word_state(b->word);
}

static uint32_t gen_of(const struct ebb_breaker *b)
{
	return ebb_word_gen(b->word);
}

/*
 * The @n'th number of the sequence SplitMix64 seeded with @key.
 * G. Steele, D. Lea, C. Flood: Fast Splittable Pseudorandom Number Generators,
 * OOPSLA 2014; constants of S. Vigna's public-domain splitmix64.c.
 */
static uint64_t mixed(uint64_t key, uint64_t n)
{
	uint64_t z = key + n * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ------------------------------------------------------------- episodes -- */

/*
 * The id of the episode that generation @gen begins: of what agent and kernel both know, so that
 * one that the kernel began needs nothing of it. The time tells apart those of a
 * gate whose slot was given back, and which counts its generations anew. Never 0.
 */
static uint64_t episode_id(uint64_t key, uint32_t gen, uint64_t at_ns)
{
	uint64_t id = mixed(mixed(key, gen), at_ns);

	return id ? id : 1;
}

/*
 * Every transition goes through here, and gets its episode: begun by the one that leaves closed, ended
 * by the one that comes back. Of a lost race (tell_story()) our own closing has ended
 * it already: then the kernel's reopening begins another.
 */
static void report_move(struct ebb_breaker *b, struct report *report, struct ebb_transition move)
{
	if (b->episode == 0)
		b->episode = episode_id(b->key, move.gen, move.at_ns);
	move.episode = b->episode;
	if (ebb_reason_to(move.reason) == EBB_STATE_CLOSED)
		b->episode = 0;
	if (report->count == EBB_BREAKER_MOVES_MAX) {
		report->count--;
		memmove(report->moves, report->moves + 1, report->count * sizeof(*report->moves));
	}
	report->moves[report->count++] = move;
}

/* ------------------------------------------------------------ open time -- */

uint64_t ebb_breaker_key(uint64_t seed, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (int i = 0; i < 64; i += 8)
		hash = (hash ^ (seed >> i & 0xff)) * 0x100000001b3;
	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return hash;
}

/* The @n'th number of the sequence, in [0, 1). */
static double draw(uint64_t key, uint32_t n)
{
	return (double)(mixed(key, n) >> 11) * 0x1p-53;
}

/*
 * By squaring, and not pow(): 32 steps at most, and the same result with every
 * C library, so that a trace with a seed repeats. May become infinite, never NaN.
 */
static double power(double base, uint32_t exponent)
{
	double result = 1;

	for (; exponent > 0; exponent >>= 1) {
		if (exponent & 1)
			result *= base;
		base *= base;
	}
	return result;
}

uint64_t ebb_breaker_open_ns(const struct ebb_breaker_config *config, uint64_t key, uint32_t trip)
{
	const uint64_t longest = ebb_ticks_to_ns(UINT32_MAX);
	double ns = (double)config->open_for_ns * power(config->open_factor, trip > 0 ? trip - 1 : 0);

	if (!(ns < (double)config->open_max_ns))
		ns = (double)config->open_max_ns;
	ns *= 1 + config->open_jitter * (2 * draw(key, trip) - 1);
	if (ns >= (double)longest)
		return longest;
	return ns >= 1 ? (uint64_t)ns : 1;
}

/* Which opening in a row the next one is. */
static uint32_t next_trip(const struct ebb_breaker *b)
{
	return b->trips < UINT32_MAX ? b->trips + 1 : UINT32_MAX;
}

uint32_t ebb_breaker_next_open_ticks(const struct ebb_breaker *b, const struct ebb_breaker_config *config)
{
	return (uint32_t)ebb_ns_to_ticks(ebb_breaker_open_ns(config, b->key, next_trip(b)));
}

/* -------------------------------------------------------------- a state -- */

/* A state begins: nothing that was counted before it is judged in it. */
static void enter(struct ebb_breaker *b, uint64_t word, uint64_t at_ns, const struct ebb_gate *facts)
{
	b->word = word;
	b->since_ns = at_ns;
	b->calm_from_ns = at_ns;
	b->calm_ok = 0;
	b->excused = 0;
	b->seen_ok = facts->ok;
	b->seen_failed = facts->failed;
	b->seen_slow = facts->slow;
	ebb_window_clear(&b->window);
}

/* When all are let through again; in ticks, 0: at once. */
static uint64_t ramp_end(const struct ebb_breaker_config *config, uint64_t closed_ns)
{
	return config->ramp_ns > 0 ? ebb_ns_to_ticks(closed_ns) + ebb_ns_to_ticks(config->ramp_ns) : 0;
}

/* Moves by our own judgement. @why carries the reason and the facts. */
static void transit(struct ebb_breaker *b, const struct ebb_breaker_config *config,
		    const struct ebb_gate *facts, uint64_t now_ns, struct ebb_transition why,
		    struct report *report)
{
	uint32_t state = ebb_reason_to(why.reason);
	uint64_t until = 0;

	/* in ticks, as the kernel computes it from the arm */
	if (state == EBB_STATE_OPEN) {
		until = ebb_ns_to_ticks(now_ns) + ebb_breaker_next_open_ticks(b, config);
		why.until_ns = ebb_ticks_to_ns(until);
		b->trips = next_trip(b);
	} else if (state == EBB_STATE_CLOSED) {
		until = ramp_end(config, now_ns);
	}
	enter(b, ebb_word(ebb_gen_next(gen_of(b)), state, until), now_ns, facts);
	why.at_ns = now_ns;
	why.gen = gen_of(b);
	report_move(b, report, why);
}

/* --------------------------------------------- what the kernel did alone -- */

/*
 * The transitions that the kernel makes by itself. Where two begin in the same
 * state the first is the likelier guess: a destination that is down stays down.
 */
static const uint32_t kernel_reasons[] = {
	EBB_REASON_CONSECUTIVE_FAILURES,
	EBB_REASON_OPEN_EXPIRED,
	EBB_REASON_PROBES_FAILED,
	EBB_REASON_PROBES_SUCCEEDED,
};

#define KERNEL_REASONS (sizeof(kernel_reasons) / sizeof(kernel_reasons[0]))

/*
 * A way of exactly @length of the kernel's transitions (EBB_BREAKER_MOVES_MAX at
 * most) from one state to the other, into @ret_reasons. False: there is none.
 */
static bool kernel_way(uint32_t from, uint32_t to, size_t length, uint32_t *ret_reasons)
{
	/* bit s of can[k]: state s is exactly k transitions before @to */
	uint32_t can[EBB_BREAKER_MOVES_MAX + 1] = {1U << to};

	for (size_t k = 1; k <= length; k++) {
		for (size_t i = 0; i < KERNEL_REASONS; i++) {
			if (can[k - 1] & 1U << ebb_reason_to(kernel_reasons[i]))
				can[k] |= 1U << ebb_reason_from(kernel_reasons[i]);
		}
	}
	if (!(can[length] & 1U << from))
		return false;
	for (size_t k = length; k > 0; k--) {
		for (size_t i = 0; i < KERNEL_REASONS; i++) {
			uint32_t reason = kernel_reasons[i];

			if (ebb_reason_from(reason) == from && can[k - 1] & 1U << ebb_reason_to(reason)) {
				*ret_reasons++ = reason;
				from = ebb_reason_to(reason);
				break;
			}
		}
	}
	return true;
}

/* How a pull came about. */
struct story {
	uint32_t reasons[EBB_BREAKER_MOVES_MAX];
	size_t count;
	uint32_t untold; /* transitions before these, of which nothing is known */
	bool contested;	 /* begins with the loss of a race: our own last move was never in force */
};

/*
 * Each transition is one generation, so the distance of the generations is the
 * number of transitions, and with the states at both ends it says which they
 * were, for up to three beyond doubt. What is guessed:
 *
 * - which way a longer distance went (kernel_way() prefers reopening to closing);
 * - beyond EBB_BREAKER_MOVES_MAX, everything but the last ones, taken to begin open;
 * - when no way has that length, the agent and the kernel took the same generation
 *   at the same moment: from half_open one closed and the other opened (possible
 *   when the agent was stopped for longer than its lease). Then the kernel's word
 *   stands, and the story begins by saying so;
 * - when that does not fit either (a word that neither of them wrote), the
 *   shortest way, so that what is told still ends where the kernel is.
 */
static struct story tell_story(uint32_t from, uint32_t to, uint32_t distance)
{
	uint32_t other = from == EBB_STATE_CLOSED ? EBB_STATE_OPEN : EBB_STATE_CLOSED;
	struct story story = {0};

	if (distance > EBB_BREAKER_MOVES_MAX) {
		story.count = EBB_BREAKER_MOVES_MAX;
		story.untold = distance - EBB_BREAKER_MOVES_MAX;
		if (kernel_way(EBB_STATE_OPEN, to, story.count, story.reasons))
			return story;
	}
	story = (struct story){.count = distance};
	if (distance <= EBB_BREAKER_MOVES_MAX && kernel_way(from, to, distance, story.reasons))
		return story;
	if (from != EBB_STATE_HALF_OPEN && distance < EBB_BREAKER_MOVES_MAX &&
	    kernel_way(other, to, distance, story.reasons + 1)) {
		story.reasons[0] =
			other == EBB_STATE_OPEN ? EBB_REASON_PROBES_FAILED : EBB_REASON_PROBES_SUCCEEDED;
		story.count = distance + 1;
		story.contested = true;
		return story;
	}
	/* ends at three: from closed to closed */
	for (story.count = 1; !kernel_way(from, to, story.count, story.reasons);)
		story.count++;
	return story;
}

/* Is the kernel's word in force, and not known yet? */
static bool is_pulled(const struct ebb_breaker *b, const struct ebb_gate *facts)
{
	return facts->pull != b->word && ebb_word_in_force(b->word, facts->pull) == facts->pull &&
	       ebb_word_state(facts->pull) < EBB_STATE_MAX;
}

static uint64_t clamp_ns(uint64_t ns, uint64_t from_ns, uint64_t to_ns)
{
	if (ns > to_ns)
		ns = to_ns;
	return ns < from_ns ? from_ns : ns;
}

/*
 * When the last opening of a story took place: at the last failure, if that
 * lies between @from_ns and @to_ns, else (another failure came later) at @to_ns.
 */
static uint64_t opened_ns(const struct ebb_gate *facts, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ns = facts->last_failure_ns;

	return ns >= from_ns && ns <= to_ns ? ns : clamp_ns(to_ns, from_ns, to_ns);
}

/*
 * The facts behind a transition that the kernel made, begun by generation @gen.
 * What it counted may be overwritten by now; then the threshold is what it must
 * have counted at least.
 */
static struct ebb_transition kernel_facts(const struct ebb_breaker_config *config,
					  const struct ebb_gate *facts, uint32_t reason, uint32_t gen)
{
	struct ebb_transition why = {.gen = gen, .reason = reason};
	uint32_t before = (gen - 1) & EBB_GEN_MASK;

	switch (reason) {
	case EBB_REASON_CONSECUTIVE_FAILURES:
		why.run = ebb_run_failures(facts->run, before);
		if (why.run == 0)
			why.run = config->consecutive_failures;
		break;
	case EBB_REASON_PROBES_SUCCEEDED:
		why.ok = ebb_probe_succeeded(facts->probe_result, before);
		why.failed = ebb_probe_failed(facts->probe_result, before);
		if (why.ok == 0)
			why.ok = config->close_after;
		break;
	case EBB_REASON_PROBES_FAILED:
		why.ok = ebb_probe_succeeded(facts->probe_result, before);
		why.failed = ebb_probe_failed(facts->probe_result, before);
		if (why.failed == 0)
			why.failed = config->reopen_after;
		break;
	default:
		break;
	}
	return why;
}

/*
 * Takes over the kernel's word unchanged, and tells how it came about. The times
 * of transitions in the middle of a story are guesses: an opening whose failure is
 * not known is put at the earliest moment, and lasts as long as was armed.
 */
static void take_over(struct ebb_breaker *b, const struct ebb_breaker_config *config,
		      const struct ebb_gate *facts, uint64_t now_ns, struct report *report)
{
	uint32_t pull_gen = ebb_word_gen(facts->pull);
	uint64_t at_ns = b->since_ns, until_ns = ebb_ticks_to_ns(ebb_word_until(b->word));
	struct story story;
	size_t last_opening = 0;

	if (!is_pulled(b, facts))
		return;
	story = tell_story(state_of(b), ebb_word_state(facts->pull), (pull_gen - gen_of(b)) & EBB_GEN_MASK);
	if (story.contested && state_of(b) == EBB_STATE_OPEN && b->trips > 0)
		b->trips--;
	/* at least every third transition is an opening, at most every second */
	b->trips = b->trips < UINT32_MAX - story.untold / 2 ? b->trips + story.untold / 2 : UINT32_MAX;
	for (size_t i = 0; i < story.count; i++) {
		if (ebb_reason_to(story.reasons[i]) == EBB_STATE_OPEN)
			last_opening = i;
	}
	for (size_t i = 0; i < story.count; i++) {
		uint32_t reason = story.reasons[i], to = ebb_reason_to(reason);
		bool last = i + 1 == story.count;
		struct ebb_transition why;

		why = kernel_facts(config, facts, reason,
				   (pull_gen - (uint32_t)(story.count - 1 - i)) & EBB_GEN_MASK);
		if (i == 0 && reason == EBB_REASON_CONSECUTIVE_FAILURES) {
			/* only a story that begins in our closed state begins so: its window */
			why.ok = b->window.sum.ok;
			why.failed = b->window.sum.failed;
			why.slow = b->window.sum.slow;
		}
		if (to == EBB_STATE_OPEN) {
			uint64_t end_ns = ebb_ticks_to_ns(ebb_word_until(facts->pull));

			if (i == last_opening)
				at_ns = opened_ns(facts, at_ns, last && end_ns < now_ns ? end_ns : now_ns);
			until_ns = last ? end_ns : at_ns + ebb_breaker_open_ns(config, b->key, next_trip(b));
			why.until_ns = until_ns;
			b->trips = next_trip(b);
		} else if (to == EBB_STATE_HALF_OPEN) {
			at_ns = clamp_ns(until_ns, at_ns, now_ns);
		} else if (last) {
			at_ns = now_ns;
		}
		why.at_ns = at_ns;
		report_move(b, report, why);
	}
	if (story.count > 0)
		enter(b, facts->pull, at_ns, facts);
	else
		b->word = facts->pull; /* the same move by both: only its end differs */
}

/* -------------------------------------------------------------- results -- */

/* What a counter grew by. Smaller than at the last look: its slot was cleared. */
static uint32_t grown(uint64_t counter, uint64_t seen)
{
	uint64_t difference = counter > seen ? counter - seen : 0;

	return difference < UINT32_MAX ? (uint32_t)difference : UINT32_MAX;
}

/*
 * The growth of open times steps down once for each full window since closing
 * that held enough successes. Such a window ended closed, so it did not trip.
 */
static void end_calm_windows(struct ebb_breaker *b, const struct ebb_breaker_config *config, uint64_t now_ns)
{
	uint64_t windows = now_ns > b->calm_from_ns ? (now_ns - b->calm_from_ns) / config->window_ns : 0;

	if (windows == 0)
		return;
	/* of several, only the first can hold results: the others passed between two looks */
	if (b->calm_ok >= config->min_calls && b->trips > 0)
		b->trips--;
	b->calm_ok = 0;
	b->calm_from_ns += windows * config->window_ns;
}

/* Counts the results since the last look, all as of now. The kernel counts in closed only. */
static void count_results(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			  const struct ebb_gate *facts, uint64_t now_ns)
{
	struct ebb_counts counts = {
		.ok = grown(facts->ok, b->seen_ok),
		.failed = grown(facts->failed, b->seen_failed),
		.slow = grown(facts->slow, b->seen_slow),
	};

	b->seen_ok = facts->ok;
	b->seen_failed = facts->failed;
	b->seen_slow = facts->slow;
	ebb_window_shape(&b->window, config->window_ns, config->window_calls, now_ns);
	if (state_of(b) != EBB_STATE_CLOSED)
		return;
	/* where the kernel has ended this state, it ended before now */
	end_calm_windows(b, config, is_pulled(b, facts) ? opened_ns(facts, b->since_ns, now_ns) : now_ns);
	ebb_window_advance(&b->window, now_ns);
	ebb_window_add(&b->window, counts);
	b->calm_ok = b->calm_ok < UINT32_MAX - counts.ok ? b->calm_ok + counts.ok : UINT32_MAX;
}

/* ------------------------------------------------------------- judgement -- */

/* What the rates are made of. */
static struct ebb_weights weigh(const struct ebb_breaker *b, const struct ebb_breaker_config *config)
{
	const struct ebb_counts *sum = &b->window.sum;

	if (config->weighting == EBB_WEIGHTING_EXPONENTIAL)
		return ebb_window_weigh(&b->window);
	return (struct ebb_weights){.all = (double)sum->ok + sum->failed,
				    .failed = sum->failed,
				    .slow = sum->slow};
}

/* Is @part of @total at least @rate? By division: 7 of 100 is exactly what 0.07 is read as. */
static bool reaches(double part, double total, double rate)
{
	return part / total >= rate;
}

double ebb_breaker_failure_ratio(const struct ebb_breaker *b, const struct ebb_breaker_config *config)
{
	struct ebb_weights weights = weigh(b, config);

	return weights.all > 0 ? weights.failed / weights.all : 0;
}

/*
 * Failures in a row that count. The kernel goes on counting from those that are excused, until
 * a success ends its run.
 */
static uint32_t run_of(struct ebb_breaker *b, const struct ebb_gate *facts)
{
	uint32_t run = ebb_run_failures(facts->run, gen_of(b));

	if (run < b->excused)
		b->excused = 0;
	return run - b->excused;
}

/* What is wrong is all of one user: it is put apart, and is this gate's no longer. */
static bool excuse(struct ebb_breaker *b, const struct ebb_breaker_config *config,
		   const struct ebb_gate *facts, uint64_t now_ns, const struct ebb_transition *why,
		   struct report *report)
{
	const struct ebb_users *users = report->users;
	uint32_t whose = ebb_run_whose(facts->run, gen_of(b)), pair;

	if (!users ||
	    (why->reason == EBB_REASON_CONSECUTIVE_FAILURES && whose == EBB_RUN_MIXED && b->excused == 0))
		return false;
	pair = ebb_users_culprit(users, why->reason, config->window_ns, now_ns);
	if (pair == EBB_SLOT_OTHER)
		return false;
	report->apart = (struct ebb_apart){.pair = pair, .why = *why};
	if (why->reason == EBB_REASON_SLOW_RATE) {
		ebb_window_forgive_slow(&b->window);
		return true;
	}
	ebb_window_forgive(&b->window,
			   ebb_users_culprit(users, EBB_REASON_SLOW_RATE, config->window_ns, now_ns) == pair);
	b->excused = ebb_run_failures(facts->run, gen_of(b));
	return true;
}

/* The first rule that holds, or EBB_REASON_MAX. */
static uint32_t judge_closed(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			     uint32_t run)
{
	const struct ebb_counts *sum = &b->window.sum;
	struct ebb_weights weights;

	if (config->consecutive_failures > 0 && run >= config->consecutive_failures)
		return EBB_REASON_CONSECUTIVE_FAILURES;
	if ((uint64_t)sum->ok + sum->failed < config->min_calls)
		return EBB_REASON_MAX;
	weights = weigh(b, config);
	if (reaches(weights.failed, weights.all, config->failure_rate))
		return EBB_REASON_FAILURE_RATE;
	if (config->slow_call_ns > 0 && reaches(weights.slow, weights.all, config->slow_rate))
		return EBB_REASON_SLOW_RATE;
	return EBB_REASON_MAX;
}

/* Probes of this generation that have outlived their lease and still hold their slot. */
static uint32_t overdue_probes(const struct ebb_gate *facts, uint32_t gen, uint64_t now_ns)
{
	uint32_t overdue = 0;

	for (size_t i = 0; i < EBB_PROBES_MAX; i++) {
		uint64_t slot = facts->probes[i];

		if (slot != 0 && ebb_probe_slot_gen(slot) == gen &&
		    ebb_ticks_to_ns(ebb_probe_slot_deadline(slot)) <= now_ns)
			overdue++;
	}
	return overdue;
}

/* Moves if a rule of the present state holds. */
static bool judge(struct ebb_breaker *b, const struct ebb_breaker_config *config,
		  const struct ebb_gate *facts, uint64_t now_ns, struct report *report)
{
	struct ebb_transition why = {.reason = EBB_REASON_MAX};
	uint32_t gen = gen_of(b);

	switch (state_of(b)) {
	case EBB_STATE_CLOSED:
		why.ok = b->window.sum.ok;
		why.failed = b->window.sum.failed;
		why.slow = b->window.sum.slow;
		why.run = run_of(b, facts);
		why.reason = judge_closed(b, config, why.run);
		if (why.reason != EBB_REASON_MAX && excuse(b, config, facts, now_ns, &why, report))
			return false;
		break;
	case EBB_STATE_OPEN:
		if (now_ns >= ebb_ticks_to_ns(ebb_word_until(b->word)))
			why.reason = EBB_REASON_OPEN_EXPIRED;
		break;
	case EBB_STATE_HALF_OPEN:
		/*
		 * An overdue probe is counted by the kernel only when the next connect takes its slot;
		 * that replaces the slot's word, so no probe is counted twice.
		 */
		why.ok = ebb_probe_succeeded(facts->probe_result, gen);
		why.failed = ebb_probe_failed(facts->probe_result, gen) + overdue_probes(facts, gen, now_ns);
		if (why.ok >= config->close_after)
			why.reason = EBB_REASON_PROBES_SUCCEEDED;
		else if (why.failed >= config->reopen_after)
			why.reason = EBB_REASON_PROBES_FAILED;
		break;
	default:
		break;
	}
	if (why.reason == EBB_REASON_MAX)
		return false;
	transit(b, config, facts, now_ns, why, report);
	return true;
}

/* --------------------------------------------------------------- outside -- */

void ebb_breaker_init(struct ebb_breaker *b, uint64_t key, const struct ebb_gate *facts)
{
	static const struct ebb_gate nothing;
	/* how far from closed the kernel already is, at least */
	static const uint32_t steps[EBB_STATE_MAX] = {
		[EBB_STATE_CLOSED] = 0,
		[EBB_STATE_OPEN] = 1,
		[EBB_STATE_HALF_OPEN] = 2,
	};
	uint32_t state = ebb_word_state(facts->pull);
	uint32_t gen = ebb_word_gen(facts->pull) - (state < EBB_STATE_MAX ? steps[state] : 0);

	memset(b, 0, sizeof(*b));
	b->key = key;
	enter(b, ebb_word(gen, EBB_STATE_CLOSED, 0), 0, &nothing);
}

void ebb_breaker_restore(struct ebb_breaker *b, uint64_t key, const struct ebb_verdict *verdict,
			 const struct ebb_memory *memory, const struct ebb_gate *facts)
{
	const struct ebb_transition *newest = &memory->last[(memory->count - 1) % EBB_TRANSITIONS_KEPT];
	bool decided = verdict->arm != 0 && ebb_word_state(verdict->word) < EBB_STATE_MAX;
	bool told = memory->count > 0 && newest->reason < EBB_REASON_MAX;
	uint64_t word = verdict->word;

	if (told && (!decided || ebb_gen_after(newest->gen, ebb_word_gen(word))))
		word = ebb_word(newest->gen, ebb_reason_to(newest->reason),
				ebb_ns_to_ticks(newest->until_ns));
	ebb_breaker_init(b, key, facts);
	b->trips = memory->trips;
	/* neither: the gate is younger than the agent that died, and starts as a new one */
	enter(b, told || decided ? word : b->word, memory->since_ns, facts);
	b->answers.from = (struct ebb_answered){verdict->answered_from, verdict->unanswered_from};
	b->answers.mark = (struct ebb_answered){facts->turns_answered, facts->turns_unanswered};
	/* armed to open at no run: the present one was excused (ebb_breaker_verdict()) */
	if (verdict->arm != 0 && !ebb_arm_failures(verdict->arm))
		b->excused = ebb_run_failures(facts->run, gen_of(b));
	if (state_of(b) == EBB_STATE_CLOSED)
		return;
	b->episode = told && newest->gen == gen_of(b) && newest->episode
			     ? newest->episode
			     : episode_id(key, gen_of(b), memory->since_ns);
}

/*
 * The share goes by how far its end is away: where another ramp is configured while one goes on, the end moves, so that
 * the share goes on from the time since closing. Not one that the kernel began: its word is not ours to change.
 */
static void follow_ramp(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			const struct ebb_gate *facts, uint64_t now_ns)
{
	if (state_of(b) == EBB_STATE_CLOSED && facts->pull != b->word &&
	    ebb_word_until(b->word) > now_ns >> EBB_TICK_SHIFT)
		b->word = ebb_word(gen_of(b), EBB_STATE_CLOSED, ramp_end(config, b->since_ns));
}

static void look(struct ebb_breaker *b, const struct ebb_breaker_config *config, const struct ebb_gate *facts,
		 uint64_t now_ns, struct report *report)
{
	ebb_answers_look(&b->answers, config, facts, now_ns);
	count_results(b, config, facts, now_ns);
	take_over(b, config, facts, now_ns, report);
	follow_ramp(b, config, facts, now_ns);
	/* ends: every cycle of the machine passes open, whose end is ahead of now */
	while (judge(b, config, facts, now_ns, report))
		;
	b->looked_ns = now_ns;
}

size_t ebb_breaker_look(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			const struct ebb_gate *facts, uint64_t now_ns, struct ebb_transition *ret_moves)
{
	struct report report = {.moves = ret_moves};

	look(b, config, facts, now_ns, &report);
	return report.count;
}

size_t ebb_breaker_look_shared(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			       const struct ebb_gate *facts, const struct ebb_users *users, uint64_t now_ns,
			       struct ebb_transition *ret_moves, struct ebb_apart *ret_apart)
{
	struct report report = {.moves = ret_moves, .users = users, .apart = {.pair = EBB_SLOT_OTHER}};

	look(b, config, facts, now_ns, &report);
	*ret_apart = report.apart;
	return report.count;
}

size_t ebb_breaker_put_apart(struct ebb_breaker *b, const struct ebb_breaker_config *config,
			     const struct ebb_gate *facts, const struct ebb_transition *why, uint64_t now_ns,
			     struct ebb_transition *ret_moves)
{
	struct report report = {.moves = ret_moves};

	count_results(b, config, facts, now_ns);
	take_over(b, config, facts, now_ns, &report);
	if (state_of(b) != EBB_STATE_CLOSED)
		enter(b, ebb_word(ebb_gen_next(gen_of(b)), EBB_STATE_CLOSED, 0), now_ns, facts);
	transit(b, config, facts, now_ns, *why, &report);
	b->looked_ns = now_ns;
	return report.count;
}

bool ebb_breaker_has_healed(const struct ebb_breaker *b, const struct ebb_breaker_config *config,
			    uint64_t now_ns)
{
	return state_of(b) == EBB_STATE_CLOSED && now_ns - b->since_ns >= config->window_ns &&
	       b->window.sum.ok > 0;
}

uint64_t ebb_breaker_deadline(const struct ebb_breaker *b, const struct ebb_gate *facts)
{
	uint64_t deadline = UINT64_MAX;

	if (state_of(b) == EBB_STATE_OPEN)
		return ebb_ticks_to_ns(ebb_word_until(b->word));
	if (state_of(b) != EBB_STATE_HALF_OPEN)
		return deadline;
	for (size_t i = 0; i < EBB_PROBES_MAX; i++) {
		uint64_t slot = facts->probes[i], end_ns = ebb_ticks_to_ns(ebb_probe_slot_deadline(slot));

		/* those that had ended are counted already */
		if (slot != 0 && ebb_probe_slot_gen(slot) == gen_of(b) && end_ns > b->looked_ns &&
		    end_ns < deadline)
			deadline = end_ns;
	}
	return deadline;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb watch': what happens, a line or a JSON object each. It polls the maps
 * and tells the difference to what it saw before; so it needs no privilege
 * beyond reading, takes no event from the agent, and costs the same whatever
 * the traffic. What moves is told at once, and with it what was counted until
 * then; else the counts of a gate are one line a second.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tell/fuse.h"
#include "cli/render.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "core/policy.h"
#include "lib/units.h"
#include "node/owns.h"

#define POLL_NS 200000000L
#define COUNTS_NS \
	1000000000ULL /* from one line of counts of a gate to the next, or transitions drown in them */
#define NAME_COLUMNS 26

struct seen_dst {
	uint32_t epoch;
	bool live;
};

/* What stands by hand at a gate, as far as a line tells it. */
struct by_hand {
	uint32_t override_state;
	uint32_t mode; /* 0, or 1 + enum ebb_mode */
	uint64_t override_until_ns, mode_until_ns, limits_until_ns;
	struct ebb_limits limits; /* what is not given is 0 */
};

struct seen_gate {
	uint64_t word;
	uint32_t moves; /* ever */
	struct by_hand by_hand;
	uint64_t counts_told_ns;
	/* since then */
	bool touched;
	uint32_t dst;
	uint64_t workload;
	uint64_t outcomes[EBB_OUTCOME_MAX];
	uint64_t denied[EBB_CAUSE_MAX], would_deny[EBB_CAUSE_MAX];
	uint64_t dropped[EBB_DROP_MAX], would_drop[EBB_DROP_MAX]; /* packets */
};

struct seen_pair {
	uint32_t epoch;
	uint32_t state;
	uint64_t outcomes[EBB_OUTCOME_MAX];
	uint64_t denied[EBB_CAUSE_MAX], would_deny[EBB_CAUSE_MAX];
	uint64_t dropped[EBB_DROP_MAX], would_drop[EBB_DROP_MAX]; /* packets */
};

struct ebb_watch {
	bool json;
	bool primed;
	bool last; /* what is not told in this look never is */
	enum ebb_agent_state agent;
	uint64_t run_id;
	bool fuse_acts;
	uint64_t looked_ns; /* when it looked before */
	struct seen_dst *dsts;
	struct seen_gate *gates;
	struct seen_pair *pairs;
};

void ebb_watch_free(struct ebb_watch *watch)
{
	if (!watch)
		return;
	free(watch->dsts);
	free(watch->gates);
	free(watch->pairs);
	free(watch);
}

int ebb_watch_new(const struct ebb_look *look, bool json, struct ebb_watch **ret_watch)
{
	const struct ebb_view *view = look->view;
	struct ebb_watch *watch = calloc(1, sizeof(*watch));
	int r = -ENOMEM;

	if (!watch)
		return -ENOMEM;
	watch->json = json;
	watch->dsts = calloc(view->dst_max, sizeof(watch->dsts[0]));
	watch->gates = calloc(view->gate_max, sizeof(watch->gates[0]));
	watch->pairs = calloc(view->pair_max, sizeof(watch->pairs[0]));
	if (watch->dsts && watch->gates && watch->pairs)
		r = ebb_watch_poll(watch, look, NULL);
	if (r < 0) {
		ebb_watch_free(watch);
		return r;
	}
	watch->primed = true;
	*ret_watch = watch;
	return 0;
}

/* ------------------------------------------------------------- output -- */

/* What one look tells: moves have times of their own, what is counted that of the look. */
struct line {
	uint64_t at_ns;
	size_t place; /* of one moment: in the order in which they were told */
	char *text;
};

struct told {
	struct line *lines;
	size_t count, room;
};

/* Where a line goes, and what it is about. */
struct teller {
	const struct ebb_watch *watch;
	const struct ebb_look *look;
	struct told *told;
	char name[EBB_DST_NAME_MAX];
	char workload[EBB_CGROUP_PATH_MAX]; /* "": of the node */
};

static void about(struct teller *t, uint32_t dst, uint32_t gate, uint64_t workload)
{
	(void)ebb_dst_name(t->look->view, dst, t->name, sizeof(t->name));
	t->workload[0] = '\0';
	if (gate >= t->look->view->dst_max)
		(void)snprintf(t->workload, sizeof(t->workload), "%s",
			       ebb_cgroup_name(t->look->names, workload));
}

/* A destination that a rule names stands there before anybody connects. */
static bool is_configured(const struct ebb_view *view, uint32_t dst)
{
	const struct ebb_name *name = ebb_dst_given_name(view, dst);

	return name && (name->flags & EBB_NAME_RULE);
}

/* Takes @text over, also where it fails; NULL: there was no memory for it. */
static int keep_line(struct told *told, uint64_t at_ns, char *text)
{
	if (text && told->count == told->room) {
		size_t room = told->room ? 2 * told->room : 16;
		struct line *lines = realloc(told->lines, room * sizeof(*lines));

		if (lines) {
			told->lines = lines;
			told->room = room;
		}
	}
	if (!text || told->count == told->room) {
		free(text);
		return -ENOMEM;
	}
	told->lines[told->count] = (struct line){at_ns, told->count, text};
	told->count++;
	return 0;
}

static int by_time(const void *pa, const void *pb)
{
	const struct line *a = pa, *b = pb;

	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns ? -1 : 1;
	return a->place < b->place ? -1 : 1;
}

/* In the order of time; frees them. */
static int print_lines(struct told *told, FILE *out)
{
	int r = 0;

	if (told->count > 1)
		qsort(told->lines, told->count, sizeof(told->lines[0]), by_time);
	for (size_t i = 0; i < told->count; i++) {
		if (fputs(told->lines[i].text, out) == EOF)
			r = errno ? -errno : -EIO;
		free(told->lines[i].text);
	}
	free(told->lines);
	return r;
}

/* A line of text: time, destination, kind, and what happened. */
static int tell_text(const struct teller *t, uint64_t at_ns, const char *kind, const char *what)
{
	char at[EBB_TIME_MAX], *text = NULL;
	const char *clock;

	(void)ebb_format_time(ebb_look_realtime(t->look, at_ns), true, at, sizeof(at));
	clock = strchr(at, ' ');
	if (asprintf(&text, "%s  %-*s  %-9s  %s%s%s%s\n", clock ? clock + 1 : at, NAME_COLUMNS, t->name, kind,
		     what, t->workload[0] ? " (" : "", t->workload, t->workload[0] ? ")" : "") < 0)
		return -ENOMEM;
	return keep_line(t->told, at_ns, text);
}

/* A JSON object on a line: what every event has, then @facts, which is consumed. */
static int tell_json(const struct teller *t, uint64_t at_ns, const char *event, json_t *facts)
{
	json_t *object =
		json_pack("{s:o, s:s}", "timestamp", ebb_json_timestamp(t->look, at_ns), "event", event);
	char *dumped = NULL, *text = NULL;
	int r = object && facts ? 0 : -ENOMEM;

	if (r == 0 && t->name[0])
		r = json_object_set_new(object, "destination", json_string(t->name));
	if (r == 0 && t->name[0])
		r = json_object_set_new(object, "workload",
					t->workload[0] ? json_string(t->workload) : json_null());
	if (r == 0)
		r = json_object_update(object, facts);
	json_decref(facts);
	if (r == 0)
		dumped = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(object);
	if (!dumped || asprintf(&text, "%s\n", dumped) < 0)
		text = NULL;
	free(dumped);
	return keep_line(t->told, at_ns, text);
}

/* "+12 refused, +3 timeout" of what is above zero. */
static void counts_text(const uint64_t *counts, uint32_t count, const char *(*name)(uint32_t index),
			char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (uint32_t i = 0; i < count && used < size; i++) {
		if (counts[i])
			used += (size_t)snprintf(buffer + used, size - used, "%s+%" PRIu64 " %s",
						 used ? ", " : "", counts[i], name(i));
	}
}

static json_t *counts_json(const uint64_t *counts, uint32_t count, const char *(*name)(uint32_t index))
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < count; i++) {
		if (counts[i] && json_object_set_new(object, name(i), ebb_json_count(counts[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static bool any(const uint64_t *counts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (counts[i])
			return true;
	}
	return false;
}

/* ------------------------------------------------------------- changes -- */

static int tell_agent(struct ebb_watch *watch, struct teller *t)
{
	static const char *const sentences[] = {
		[EBB_AGENT_NONE] = "left in order",
		[EBB_AGENT_RUNNING] = "running",
		[EBB_AGENT_SILENT] = "silent; its lease holds",
		[EBB_AGENT_DEAD] = "dead; its lease is over",
	};
	const struct ebb_agent *agent = t->look->view->agent;
	enum ebb_agent_state state = ebb_agent_state(agent, t->look->now_ns);
	enum ebb_agent_state before = watch->agent;
	bool restarted = state == EBB_AGENT_RUNNING && agent->run_id != watch->run_id;

	watch->agent = state;
	if (state == EBB_AGENT_RUNNING)
		watch->run_id = agent->run_id;
	if (!watch->primed || (state == before && !restarted))
		return 0;
	t->name[0] = t->workload[0] = '\0';
	if (watch->json)
		return tell_json(t, t->look->now_ns, "agent",
				 json_pack("{s:s, s:s, s:i, s:b}", "state", ebb_agent_state_name(state),
					   "before", ebb_agent_state_name(before), "pid", (int)agent->pid,
					   "restarted", restarted));
	(void)snprintf(t->name, sizeof(t->name), "-");
	return tell_text(t, t->look->now_ns, "agent",
			 restarted && before == EBB_AGENT_RUNNING ? "running, restarted" : sentences[state]);
}

static int tell_new(struct ebb_watch *watch, struct teller *t)
{
	const struct ebb_view *view = t->look->view;
	uint64_t at_ns;
	int r = 0;

	for (uint32_t d = 1; d < view->dst_max && d <= view->kernel->dst_high && r == 0; d++) {
		struct seen_dst *seen = &watch->dsts[d];
		bool live = view->dsts[d].state == EBB_SLOT_LIVE;
		uint32_t epoch = view->dsts[d].epoch;
		bool is_new = live && (!seen->live || seen->epoch != epoch);

		/* one that is about to be taken back may come back: that is nothing new */
		if (view->dsts[d].state != EBB_SLOT_RETIRING)
			seen->live = live;
		if (live)
			seen->epoch = epoch;
		if (!is_new || !watch->primed)
			continue;
		about(t, d, d, 0);
		at_ns = view->dsts[d].created_ns > watch->looked_ns ? view->dsts[d].created_ns
								    : t->look->now_ns;
		r = watch->json ? tell_json(t, at_ns, "new_destination", json_object())
				: tell_text(t, at_ns, "new",
					    is_configured(view, d) ? "named by the configuration"
								   : "first connection");
	}
	return r;
}

/* Adds what grew; a counter that shrank was cleared and starts anew. */
static bool grow(uint64_t *sums, uint64_t *seen, const __u64 *now, uint32_t count)
{
	bool grown = false;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t more = now[i] >= seen[i] ? now[i] - seen[i] : now[i];

		sums[i] += more;
		seen[i] = now[i];
		grown = grown || more > 0;
	}
	return grown;
}

/* Sums up, for each gate, what its pairs counted since the last poll. */
static void collect(struct ebb_watch *watch, const struct ebb_view *view)
{
	for (uint32_t i = 0; i < view->pair_max && i <= view->kernel->pair_high; i++) {
		struct seen_pair *seen = &watch->pairs[i];
		struct seen_gate *gate;
		struct ebb_pair pair;
		bool grown;

		memcpy(&pair, &view->pairs[i], sizeof(pair));
		if ((pair.state == EBB_SLOT_FREE && i != EBB_SLOT_OTHER) || pair.gate >= view->gate_max ||
		    pair.dst >= view->dst_max)
			continue;
		if (pair.epoch != seen->epoch)
			*seen = (struct seen_pair){.epoch = pair.epoch};
		gate = &watch->gates[pair.gate];
		gate->dst = pair.dst;
		gate->workload = pair.workload;
		grown = grow(gate->outcomes, seen->outcomes, pair.outcomes, EBB_OUTCOME_MAX);
		grown = grow(gate->denied, seen->denied, pair.denied, EBB_CAUSE_MAX) || grown;
		grown = grow(gate->would_deny, seen->would_deny, pair.would_deny, EBB_CAUSE_MAX) || grown;
		grown = grow(gate->dropped, seen->dropped, pair.dropped_packets, EBB_DROP_MAX) || grown;
		grown = grow(gate->would_drop, seen->would_drop, pair.would_drop_packets, EBB_DROP_MAX) ||
			grown;
		gate->touched = gate->touched || grown;
	}
}

/* @at_ns: by when they had all happened. */
static int tell_failures(const struct teller *t, struct seen_gate *gate, uint32_t count_mask, uint64_t at_ns)
{
	char what[256];

	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++) {
		if (!(count_mask & (1U << o)))
			gate->outcomes[o] = 0;
	}
	if (!any(gate->outcomes, EBB_OUTCOME_MAX))
		return 0;
	if (t->watch->json)
		return tell_json(t, at_ns, "failures",
				 json_pack("{s:o}", "outcomes",
					   counts_json(gate->outcomes, EBB_OUTCOME_MAX, ebb_outcome_name)));
	counts_text(gate->outcomes, EBB_OUTCOME_MAX, ebb_outcome_name, what, sizeof(what));
	return tell_text(t, at_ns, "failed", what);
}

static int tell_denials(const struct teller *t, const uint64_t *denied, bool enforced)
{
	char what[256];

	if (!any(denied, EBB_CAUSE_MAX))
		return 0;
	if (t->watch->json)
		return tell_json(t, t->look->now_ns, "denials",
				 json_pack("{s:b, s:o}", "enforced", enforced, "causes",
					   counts_json(denied, EBB_CAUSE_MAX, ebb_cause_name)));
	counts_text(denied, EBB_CAUSE_MAX, ebb_cause_name, what, sizeof(what));
	return tell_text(t, t->look->now_ns, enforced ? "denied" : "would", what);
}

static const char *drop_words(uint32_t drop)
{
	static const char *const words[EBB_DROP_MAX] = {
		[EBB_DROP_BYTES] = "packets over the limit of bytes",
		[EBB_DROP_PACKETS] = "packets over the limit of packets",
		[EBB_DROP_BREAKER] = "packets to an open breaker",
	};

	return words[drop];
}

static int tell_drops(const struct teller *t, const uint64_t *dropped, bool enforced)
{
	char counts[256], what[sizeof(counts) + 8];

	if (!any(dropped, EBB_DROP_MAX))
		return 0;
	if (t->watch->json)
		return tell_json(t, t->look->now_ns, "drops",
				 json_pack("{s:b, s:o}", "enforced", enforced, "packets",
					   counts_json(dropped, EBB_DROP_MAX, ebb_drop_name)));
	counts_text(dropped, EBB_DROP_MAX, drop_words, counts, sizeof(counts));
	(void)snprintf(what, sizeof(what), "%s%s", enforced ? "" : "drop ", counts);
	return tell_text(t, t->look->now_ns, enforced ? "dropped" : "would", what);
}

static int tell_transition(const struct teller *t, const struct ebb_transition *move)
{
	char what[256], facts[128], at[EBB_TIME_MAX], episode[EBB_EPISODE_TEXT_MAX];
	const char *was = ebb_state_name(ebb_reason_from(move->reason));

	if (t->watch->json)
		return tell_json(t, move->at_ns, "transition", ebb_transition_json(t->look, move));
	(void)ebb_transition_facts(move, facts, sizeof(facts));
	(void)ebb_episode_text(move->episode, episode, sizeof(episode));
	(void)snprintf(what, sizeof(what), "was %s: %s; episode %s", was, facts, episode);
	if (move->until_ns) {
		(void)ebb_format_time(ebb_look_realtime(t->look, move->until_ns), true, at, sizeof(at));
		(void)snprintf(what, sizeof(what), "was %s: %s; probes begin at %s; episode %s", was, facts,
			       strchr(at, ' ') ? strchr(at, ' ') + 1 : at, episode);
	}
	return tell_text(t, move->at_ns, ebb_state_name(ebb_reason_to(move->reason)), what);
}

/* A state that the kernel entered while no agent was there to write down why. */
static int tell_kernel_move(const struct teller *t, uint64_t before, uint64_t word)
{
	const char *state = ebb_state_name(ebb_word_state(word)),
		   *was = ebb_state_name(ebb_word_state(before));
	uint64_t until_ns =
		ebb_word_state(word) == EBB_STATE_OPEN ? ebb_ticks_to_ns(ebb_word_until(word)) : 0;
	char what[128];

	if (t->watch->json)
		return tell_json(t, t->look->now_ns, "transition",
				 json_pack("{s:s, s:s, s:n, s:o, s:n}", "from", was, "to", state, "reason",
					   "open_until_timestamp", ebb_json_timestamp(t->look, until_ns),
					   "episode"));
	(void)snprintf(what, sizeof(what), "was %s: moved by the kernel, without the agent", was);
	return tell_text(t, t->look->now_ns, state, what);
}

/* Moves of @memory that were not seen, of those that it keeps: from the returned one on. */
static uint32_t first_fresh(const struct ebb_memory *memory, const struct seen_gate *seen)
{
	/* fewer than before: the slot has a new owner */
	uint32_t fresh = memory->count >= seen->moves ? memory->count - seen->moves : memory->count;
	uint32_t kept = (uint32_t)ebb_memory_kept(memory);

	return fresh < kept ? kept - fresh : 0;
}

/* The last opening in @memory that was not seen, which the failures of this look led to; without one, now. */
static uint64_t failed_by_ns(const struct teller *t, const struct ebb_memory *memory,
			     const struct seen_gate *seen)
{
	for (uint32_t i = (uint32_t)ebb_memory_kept(memory); i-- > first_fresh(memory, seen);) {
		const struct ebb_transition *move = ebb_memory_at(memory, i);

		if (ebb_reason_to(move->reason) == EBB_STATE_OPEN)
			return move->at_ns;
	}
	return t->look->now_ns;
}

static int tell_moves(struct teller *t, struct seen_gate *seen, uint32_t gate,
		      const struct ebb_memory *memory, bool told)
{
	uint32_t first = first_fresh(memory, seen), kept = (uint32_t)ebb_memory_kept(memory);
	uint64_t before = seen->word;
	int r = 0;

	seen->word = ebb_view_word(t->look->view, gate);
	seen->moves = memory->count;
	if (!told)
		return 0;
	if (first == kept && t->watch->agent != EBB_AGENT_RUNNING &&
	    ebb_word_state(before) != ebb_word_state(seen->word))
		return tell_kernel_move(t, before, seen->word);
	for (uint32_t i = first; i < kept && r == 0; i++)
		r = tell_transition(t, ebb_memory_at(memory, i));
	return r;
}

static void keep_given(const struct ebb_limits *limits, uint32_t given, struct ebb_limits *ret_given)
{
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (given & (1U << kind))
			ret_given->bucket[kind] = limits->bucket[kind];
	}
	if (given & EBB_GIVEN_CONCURRENT)
		ret_given->concurrent = limits->concurrent;
	ret_given->given = given;
}

/* "bytes 10MB/s, concurrent 64"; NULL: none is given. */
static const char *given_text(const struct ebb_limits *limits, char *buffer, size_t size)
{
	size_t used = 0;

	for (uint32_t kind = 0; kind <= EBB_LIMIT_MAX && used < size; kind++) {
		char text[EBB_LIMIT_TEXT_MAX];

		if (!(limits->given & (1U << kind)))
			continue;
		if (kind < EBB_LIMIT_MAX)
			(void)ebb_limit_format_rate(&limits->bucket[kind], kind, text, sizeof(text));
		else if (limits->concurrent)
			(void)snprintf(text, sizeof(text), "%u", limits->concurrent);
		else
			(void)snprintf(text, sizeof(text), "none");
		used += (size_t)snprintf(buffer + used, size - used, "%s%s %s", used ? ", " : "",
					 kind < EBB_LIMIT_MAX ? ebb_limit_kind_info(kind)->name
							      : "concurrent",
					 text);
	}
	return used ? buffer : NULL;
}

/* What is said at @gate: for its destination, or for its workload alone. Of ~other: the mode of the node. */
static struct by_hand by_hand_of(const struct ebb_look *look, uint32_t dst, uint32_t gate)
{
	const struct ebb_view *view = look->view;
	struct ebb_policy policy;
	struct ebb_limits limits;
	struct ebb_own own;
	struct by_hand by_hand;
	uint32_t said = EBB_SAID_OVERRIDE | EBB_SAID_MODE | EBB_SAID_LIMITS;

	memcpy(&policy, &view->policies[dst], sizeof(policy));
	if (gate >= view->dst_max) {
		/* what was said for all of them is told once, at the destination */
		if (!ebb_own_find(view, gate - view->dst_max, look->now_ns, &own))
			return (struct by_hand){0};
		policy = own.policy;
		said = own.said;
	}
	by_hand = (struct by_hand){
		.override_state =
			said & EBB_SAID_OVERRIDE ? ebb_override_of(&policy, look->now_ns) : EBB_OVERRIDE_AUTO,
		.mode = said & EBB_SAID_MODE ? ebb_mode_said(&policy, look->now_ns) : 0,
	};
	ebb_limits_in_force(&policy, look->now_ns, &limits);
	if (said & EBB_SAID_LIMITS)
		keep_given(&limits, limits.given & ~policy.wide, &by_hand.limits);
	by_hand.override_until_ns = by_hand.override_state ? policy.override_until_ns : 0;
	by_hand.mode_until_ns = by_hand.mode ? policy.mode_until_ns : 0;
	by_hand.limits_until_ns = by_hand.limits.given ? policy.by_hand_until_ns : 0;
	return by_hand;
}

/* @what: "forced open", NULL: it stands no longer. @key: of the JSON object. */
static int tell_order(const struct teller *t, const char *key, const char *what, uint64_t until_ns)
{
	char text[512], left[EBB_FORMAT_MAX];

	if (t->watch->json)
		return tell_json(t, t->look->now_ns, "by_hand",
				 json_pack("{s:s, s:o, s:o}", "order", key, "value",
					   what ? json_string(what) : json_null(), "until_timestamp",
					   ebb_json_timestamp(t->look, until_ns)));
	if (!what)
		(void)snprintf(text, sizeof(text), "%s: no longer", key);
	else if (until_ns)
		(void)snprintf(text, sizeof(text), "%s: %s for %s", key, what,
			       ebb_format_duration(ebb_age(until_ns, t->look->now_ns), left, sizeof(left)));
	else
		(void)snprintf(text, sizeof(text), "%s: %s until it is taken back", key, what);
	return tell_text(t, t->look->now_ns, "by hand", text);
}

static int tell_by_hand(struct teller *t, struct seen_gate *seen, uint32_t dst, uint32_t gate,
			uint64_t workload, bool told)
{
	static const char *const overrides[EBB_OVERRIDE_MAX] = {
		[EBB_OVERRIDE_OPEN] = "forced open",
		[EBB_OVERRIDE_CLOSE] = "forced closed",
	};
	struct by_hand before = seen->by_hand, now = by_hand_of(t->look, dst, gate);
	char limits[4 * (EBB_LIMIT_TEXT_MAX + 16)];
	int r = 0;

	seen->by_hand = now;
	if (!told)
		return 0;
	about(t, dst, gate, workload);
	if (dst == EBB_SLOT_OTHER)
		(void)snprintf(t->name, sizeof(t->name), "node");
	if (now.override_state != before.override_state || now.override_until_ns != before.override_until_ns)
		r = tell_order(t, "breaker", overrides[now.override_state], now.override_until_ns);
	if (r == 0 && (now.mode != before.mode || now.mode_until_ns != before.mode_until_ns))
		r = tell_order(t, "mode", now.mode ? ebb_mode_name(now.mode - 1) : NULL, now.mode_until_ns);
	if (r == 0 && (memcmp(&now.limits, &before.limits, sizeof(now.limits)) != 0 ||
		       now.limits_until_ns != before.limits_until_ns))
		r = tell_order(t, "limits", given_text(&now.limits, limits, sizeof(limits)),
			       now.limits_until_ns);
	return r;
}

/* Anything that tell_by_hand() could tell: most gates have nothing, and had nothing. */
static bool may_have_orders(const struct ebb_view *view, const struct seen_gate *seen, uint32_t dst)
{
	const struct ebb_policy *policy = &view->policies[dst];

	return policy->override_state || policy->mode_by_hand || policy->by_hand.given ||
	       policy->asks & EBB_ASK_OWN || seen->by_hand.override_state || seen->by_hand.mode ||
	       seen->by_hand.limits.given;
}

static void forget_counts(struct seen_gate *seen)
{
	memset(seen->outcomes, 0, sizeof(seen->outcomes));
	memset(seen->denied, 0, sizeof(seen->denied));
	memset(seen->would_deny, 0, sizeof(seen->would_deny));
	memset(seen->dropped, 0, sizeof(seen->dropped));
	memset(seen->would_drop, 0, sizeof(seen->would_drop));
	seen->touched = false;
}

static int tell_consequences(const struct teller *t, const struct seen_gate *seen)
{
	int r = tell_denials(t, seen->denied, true);

	if (r == 0)
		r = tell_denials(t, seen->would_deny, false);
	if (r == 0)
		r = tell_drops(t, seen->dropped, true);
	if (r == 0)
		r = tell_drops(t, seen->would_drop, false);
	return r;
}

/* What led to a move, the move, what came of it. */
static int tell_gate(struct ebb_watch *watch, struct teller *t, uint32_t gate, uint32_t dst,
		     uint64_t workload)
{
	struct seen_gate *seen = &watch->gates[gate];
	const struct ebb_view *view = t->look->view;
	struct ebb_memory memory;
	bool told = watch->primed, moved, unexplained, counts;
	size_t lines;
	int r = 0;

	memcpy(&memory, &view->memories[gate], sizeof(memory));
	if (may_have_orders(view, seen, dst))
		r = tell_by_hand(t, seen, dst, gate, workload, told);
	if (r < 0)
		return r;
	moved = memory.count != seen->moves;
	/* an agent that lives is about to write down why: in the next look cause and move stand together */
	unexplained = !moved && ebb_view_word(view, gate) != seen->word;
	if (unexplained && watch->agent != EBB_AGENT_RUNNING)
		moved = true;
	counts = told && seen->touched &&
		 (moved || watch->last ||
		  (!unexplained && ebb_age(t->look->now_ns, seen->counts_told_ns) >= COUNTS_NS));
	if (told && (counts || moved))
		about(t, dst, gate, workload);
	lines = t->told->count;
	if (counts)
		r = tell_failures(t, seen, view->policies[dst].count_mask, failed_by_ns(t, &memory, seen));
	if (r == 0)
		r = tell_moves(t, seen, gate, &memory, told);
	if (r == 0 && counts)
		r = tell_consequences(t, seen);
	if (counts && t->told->count > lines)
		seen->counts_told_ns = t->look->now_ns;
	if (counts || !told)
		forget_counts(seen);
	return r;
}

/* The node fuse: it began to act, or ended. */
static int tell_fuse(struct ebb_watch *watch, struct teller *t)
{
	const struct ebb_agent *agent = t->look->view->agent;
	bool acts = ebb_fuse_now(t->look) != EBB_FUSE_OFF, changed = acts != watch->fuse_acts;
	char text[EBB_FUSE_TEXT_MAX];

	watch->fuse_acts = acts;
	if (!changed || !watch->primed)
		return 0;
	(void)snprintf(t->name, sizeof(t->name), EBB_NAME_NODE);
	t->workload[0] = '\0';
	if (watch->json)
		return tell_json(t, agent->fuse_since_ns, "fuse", ebb_fuse_json(t->look));
	return tell_text(t, agent->fuse_since_ns, "fuse", ebb_fuse_sentence(t->look, text, sizeof(text)));
}

int ebb_watch_poll(struct ebb_watch *watch, const struct ebb_look *look, FILE *out)
{
	const struct ebb_view *view = look->view;
	struct told told = {};
	struct teller t = {.watch = watch, .look = look, .told = &told};
	int printed, r;

	r = tell_agent(watch, &t);
	if (r == 0)
		r = tell_fuse(watch, &t);
	if (r == 0)
		r = tell_new(watch, &t);
	collect(watch, view);
	for (uint32_t d = 0; d < view->dst_max && d <= view->kernel->dst_high && r == 0; d++)
		r = tell_gate(watch, &t, d, d, 0);
	for (uint32_t p = 0; p < view->pair_max && p <= view->kernel->pair_high && r == 0; p++) {
		uint32_t gate = view->dst_max + p;

		r = tell_gate(watch, &t, gate, watch->gates[gate].dst, watch->gates[gate].workload);
	}
	watch->looked_ns = look->now_ns;
	printed = print_lines(&told, out);
	if (printed == 0 && out && fflush(out) != 0)
		printed = -errno;
	return r < 0 ? r : printed;
}

int ebb_watch_finish(struct ebb_watch *watch, const struct ebb_look *look, FILE *out)
{
	watch->last = true;
	return ebb_watch_poll(watch, look, out);
}

/* ------------------------------------------------------------ command -- */

/* Until a signal, the end, or the end of the maps. */
static enum ebb_exit watch_loop(const struct ebb_args *args, struct ebb_session *session,
				struct ebb_watch *watch, uint64_t for_ns)
{
	const struct timespec interval = {.tv_nsec = POLL_NS};
	const char *pin_dir = ebb_args_get(args, "pin");
	uint64_t pins = ebb_session_pins(args), start_ns = session->look.now_ns;
	sigset_t signals;
	bool last = false;
	int r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "cannot wait for signals: %s", ebb_strerror(-errno));
	while (!last) {
		last = sigtimedwait(&signals, NULL, &interval) > 0;
		ebb_session_look(args, session);
		last = last || (for_ns && ebb_age(session->look.now_ns, start_ns) >= for_ns);
		r = (last ? ebb_watch_finish : ebb_watch_poll)(watch, &session->look, stdout);
		if (r < 0)
			return ebb_fail(args, EBB_EXIT_FAILED, "cannot write the output: %s",
					ebb_strerror(r));
		if (ebb_session_pins(args) != pins)
			return ebb_fail(args, EBB_EXIT_NO_AGENT,
					"the maps in '%s' were removed: start 'ebb run'", pin_dir);
	}
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_cmd_watch(const struct ebb_args *args)
{
	struct ebb_watch *watch = NULL;
	struct ebb_session session;
	uint64_t for_ns = 0;
	enum ebb_exit code;
	int r;

	code = ebb_for_option(args, "10s", &for_ns);
	if (code != EBB_EXIT_DONE)
		return code;
	code = ebb_session_open(args, &session);
	if (code != EBB_EXIT_DONE)
		return code;
	r = ebb_watch_new(&session.look, session.json, &watch);
	if (r < 0)
		code = ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
	else
		code = watch_loop(args, &session, watch, for_ns);
	ebb_watch_free(watch);
	ebb_session_close(&session);
	return code;
}

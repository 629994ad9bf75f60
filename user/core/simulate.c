/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay. One queue holds what is going to happen: the time at which a gate is to be looked at
 * next, and the results of calls that are under way. Calls come from the trace in order.
 *
 *	   queue: (time, timers before results, order)       trace: (time, order)
 *	                         \                           /
 *	                          whichever is earlier, the queue on a tie
 *	                          |             |            |
 *	                        timer         result        call
 *	                          |     ebb_gate_result   ebb_gate_ask
 *	                          |     ebb_probe_finish     |
 *	                          +------> look <----+       +--> a result in the queue
 *
 * The clock. The words of a gate keep times in ticks of 2^20 ns, rounded up: an open time would end
 * up to two ticks late, 2 ms. The core knows its unit only by name, so the simulation runs on a clock
 * that is 2^shift times as fast: every time, and every duration of the settings, is multiplied by it.
 * A tick is then 2^(20 - shift) ns of the trace. The shift is the largest with which everything fits:
 * the last moment into the 38 bits of a state word, the longest opening, lease and ramp into 32 bits,
 * every duration into 62 bits. With the defaults a tick is 8 ns up to half an hour of trace,
 * 0.5 us at a day; a ramp or an opening of an hour makes it 1 us.
 */
#include "core/simulate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/gate.h"
#include "core/breaker.h"
#include "core/verdict.h"

#define NEVER UINT64_MAX

/* In an event's rank: a result, and not the timer of a gate. */
#define RANK_RESULT (1ULL << 63)

const char *ebb_sim_outcome_name(uint32_t outcome)
{
	switch (outcome) {
	case EBB_SIM_LOCAL:
		return "local";
	case EBB_SIM_DENIED:
		return "denied";
	default:
		return ebb_outcome_name(outcome);
	}
}

/* --------------------------------------------------------------- sort -- */

/* Merges two sorted runs; on a tie the left one first. */
static void merge(const struct ebb_sim_call *from, size_t left, size_t middle, size_t right,
		  struct ebb_sim_call *to)
{
	size_t a = left, b = middle;

	for (size_t i = left; i < right; i++) {
		bool take_left = a < middle && (b >= right || from[a].at_ns <= from[b].at_ns);

		to[i] = from[take_left ? a++ : b++];
	}
}

static bool is_sorted(const struct ebb_sim_call *calls, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (calls[i].at_ns < calls[i - 1].at_ns)
			return false;
	}
	return true;
}

int ebb_sim_sort(struct ebb_sim_call *calls, size_t count)
{
	struct ebb_sim_call *other, *from = calls, *to;

	/* the usual case, without a second copy of the trace */
	if (is_sorted(calls, count))
		return 0;
	other = calloc(count, sizeof(*other));
	if (!other)
		return -ENOMEM;
	to = other;
	for (size_t width = 1; width < count; width *= 2) {
		struct ebb_sim_call *swap = from;

		for (size_t left = 0; left < count; left += 2 * width) {
			size_t middle = left + width < count ? left + width : count;
			size_t right = left + 2 * width < count ? left + 2 * width : count;

			merge(from, left, middle, right, to);
		}
		from = to;
		to = swap;
	}
	if (from != calls)
		memcpy(calls, from, count * sizeof(*calls));
	free(other);
	return 0;
}

/* -------------------------------------------------------------- queue -- */

struct event {
	uint64_t at;	     /* in our clock, as every time below */
	uint64_t rank;	     /* among those of one moment: the gate of a timer, or RANK_RESULT | call */
	uint64_t probe_word; /* of a probe, else 0 */
	uint32_t gen;
	uint32_t probe_index;
};

/* A binary heap, the earliest on top. */
struct queue {
	struct event *events;
	size_t count, room;
};

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->rank < b->rank;
}

static int queue_push(struct queue *queue, const struct event *event)
{
	size_t at = queue->count;

	if (queue->count == queue->room) {
		size_t room = queue->room > 0 ? 2 * queue->room : 64;
		struct event *events = reallocarray(queue->events, room, sizeof(*events));

		if (!events)
			return -ENOMEM;
		queue->events = events;
		queue->room = room;
	}
	queue->count++;
	for (; at > 0 && is_before(event, &queue->events[(at - 1) / 2]); at = (at - 1) / 2)
		queue->events[at] = queue->events[(at - 1) / 2];
	queue->events[at] = *event;
	return 0;
}

static struct event queue_pop(struct queue *queue)
{
	struct event top = queue->events[0], last = queue->events[--queue->count];
	size_t at = 0, child;

	for (; (child = 2 * at + 1) < queue->count; at = child) {
		if (child + 1 < queue->count && is_before(&queue->events[child + 1], &queue->events[child]))
			child++;
		if (!is_before(&queue->events[child], &last))
			break;
		queue->events[at] = queue->events[child];
	}
	queue->events[at] = last;
	return top;
}

/* -------------------------------------------------------------- state -- */

/* Settings, in our clock. */
struct setting {
	struct ebb_breaker_config config;
	struct ebb_policy policy;
};

struct gate {
	struct ebb_gate facts;
	struct ebb_verdict verdict;
	struct ebb_breaker breaker;
	const struct setting *setting;
	struct ebb_sim_totals totals;
	uint64_t timer;	  /* of the one event in the queue that stands for it; NEVER: none */
	uint64_t look_at; /* for results that nobody has looked at; NEVER: there are none */
};

struct sim {
	const struct ebb_simulation *in;
	unsigned int shift;
	uint64_t look; /* 0: after each result */
	struct setting *settings;
	struct gate *gates;
	struct queue queue;
	struct ebb_agent agent;
	struct ebb_pair pair; /* whose results they are is not simulated: they may be anybody's */
	int error;
};

/* ------------------------------------------------------------- timers -- */

/* When the growth of open times steps down, so that the right open time is armed at the next failure. */
static uint64_t calm_end(const struct sim *s, const struct gate *g)
{
	const struct ebb_breaker *b = &g->breaker;
	uint64_t end = b->calm_from_ns + g->setting->config.window_ns;

	if (ebb_word_state(b->word) != EBB_STATE_CLOSED || b->trips == 0 ||
	    b->calm_ok < g->setting->config.min_calls)
		return NEVER;
	/* an agent that looks from time to time does so then, too */
	return s->look > 0 ? (end + s->look - 1) / s->look * s->look : end;
}

/* Sees to it that the gate is looked at when it next moves by itself. */
static void set_timer(struct sim *s, struct gate *g)
{
	uint64_t timer = ebb_breaker_deadline(&g->breaker, &g->facts), calm = calm_end(s, g);
	struct event event = {.rank = (uint64_t)(g - s->gates)};

	if (calm < timer)
		timer = calm;
	if (g->look_at < timer)
		timer = g->look_at;
	if (timer == g->timer)
		return;
	/* one that is in the queue already is void: see on_timer() */
	g->timer = timer;
	if (timer == NEVER)
		return;
	event.at = timer;
	if (queue_push(&s->queue, &event) < 0)
		s->error = -ENOMEM;
}

/* ---------------------------------------------------------------- look -- */

/* Of the trace's clock, to the nearest. */
static uint64_t unscale(const struct sim *s, uint64_t ns)
{
	return s->shift > 0 ? (ns + (1ULL << (s->shift - 1))) >> s->shift : ns;
}

static void look(struct sim *s, struct gate *g, uint64_t now)
{
	struct ebb_transition moves[EBB_BREAKER_MOVES_MAX];
	size_t count;

	count = ebb_breaker_look(&g->breaker, &g->setting->config, &g->facts, now, moves);
	ebb_breaker_verdict(&g->breaker, &g->setting->config, &g->verdict);
	for (size_t i = 0; i < count; i++) {
		struct ebb_sim_move move = {
			.gate = (uint32_t)(g - s->gates),
			.trip = g->breaker.trips,
			.transition = moves[i],
		};

		move.transition.at_ns = unscale(s, moves[i].at_ns);
		move.transition.until_ns = unscale(s, moves[i].until_ns);
		s->in->on_move(s->in->userdata, &move);
	}
	g->look_at = NEVER;
	set_timer(s, g);
}

/* A result was counted: now, or with the next ones. */
static void look_soon(struct sim *s, struct gate *g, uint64_t now, bool urgent)
{
	if (urgent || s->look == 0) {
		look(s, g, now);
	} else if (g->look_at == NEVER) {
		g->look_at = (now / s->look + 1) * s->look;
		set_timer(s, g);
	}
}

/* -------------------------------------------------------------- events -- */

static void on_timer(struct sim *s, const struct event *event)
{
	struct gate *g = &s->gates[event->rank];

	if (g->timer != event->at)
		return;
	g->timer = NEVER;
	look(s, g, event->at);
}

/* The outcome of a call is known. */
static void on_result(struct sim *s, const struct event *event)
{
	const struct ebb_sim_call *call = &s->in->calls[event->rank & ~RANK_RESULT];
	struct gate *g = &s->gates[call->gate];
	const struct setting *setting = g->setting;
	uint64_t slow_ns = setting->config.slow_call_ns;
	bool ok = call->outcome == EBB_OUTCOME_ESTABLISHED;
	bool counts =
		ok || (call->outcome < EBB_OUTCOME_MAX && setting->config.count_mask & 1U << call->outcome);
	bool slow = slow_ns > 0 && call->took_ns << s->shift > slow_ns;
	enum ebb_probe_end end = EBB_PROBE_NONE;
	/* of an earlier generation: a late probe still counts, in a word that nobody reads any more */
	bool late = event->gen != ebb_word_gen(ebb_gate_word(&g->facts, &g->verdict));
	uint32_t did = 0;

	g->totals.succeeded += ok;
	g->totals.failed += counts && !ok;
	if (event->probe_word) {
		if (counts)
			end = ok && !slow ? EBB_PROBE_OK : EBB_PROBE_FAILED;
		did = ebb_probe_finish(&g->facts, event->probe_index, event->probe_word, event->at, end);
	} else if (counts) {
		did = ebb_gate_result(&g->facts, &g->verdict, &setting->policy, &s->pair, EBB_SLOT_OTHER,
				      event->at, event->gen, ok, slow);
	}
	if ((did & EBB_RESULT_COUNTED) && !late)
		look_soon(s, g, event->at, !ok || event->probe_word);
}

static void on_call(struct sim *s, size_t index)
{
	const struct ebb_sim_call *call = &s->in->calls[index];
	struct gate *g = &s->gates[call->gate];
	uint64_t now = call->at_ns << s->shift;
	struct event event = {.at = (call->at_ns + call->took_ns) << s->shift, .rank = RANK_RESULT | index};
	struct ebb_answer answer;
	bool admitted;

	assert(g->setting);		 /* a call names a gate that is there */
	s->agent.heartbeat_ns = now + 1; /* 0 would be: no agent */
	ebb_gate_ask(&g->facts, &g->verdict, &g->setting->policy, &s->agent, now, &answer);
	admitted = answer.kind != EBB_ANSWER_DENY;
	g->totals.calls++;
	g->totals.admitted += admitted;
	g->totals.refused += !admitted;
	if (s->in->on_answer) {
		struct ebb_sim_answer told = {
			.call = index,
			.state = ebb_word_state(ebb_gate_word(&g->facts, &g->verdict)),
			.admitted = admitted,
			.probe = answer.kind == EBB_ANSWER_PROBE,
		};

		s->in->on_answer(s->in->userdata, &told);
	}
	if (!admitted)
		return;
	event.gen = answer.gen;
	if (answer.kind == EBB_ANSWER_PROBE) {
		event.probe_word = answer.probe_word;
		event.probe_index = answer.probe_index;
		set_timer(s, g);
	}
	/* what is over at once need not wait for others of this moment: they are done */
	if (call->took_ns == 0)
		on_result(s, &event);
	else if (queue_push(&s->queue, &event) < 0)
		s->error = -ENOMEM;
}

/* --------------------------------------------------------------- clock -- */

/* The longest that an opening can last. */
static uint64_t longest_open_ns(const struct ebb_breaker_config *config)
{
	/* and one for what the multiplication rounds off */
	return (uint64_t)((double)config->open_max_ns * (1 + config->open_jitter)) + 1;
}

static unsigned int choose_shift(const struct ebb_simulation *in)
{
	uint64_t end = 0, armed = 0, longest = in->look_ns;
	unsigned int shift = EBB_TICK_SHIFT;

	for (size_t i = 0; i < in->call_count; i++) {
		if (in->calls[i].at_ns + in->calls[i].took_ns > end)
			end = in->calls[i].at_ns + in->calls[i].took_ns;
	}
	for (size_t i = 0; i < in->config_count; i++) {
		const struct ebb_breaker_config *config = &in->configs[i];
		uint64_t open_ns = longest_open_ns(config), longest_ns = ebb_policy_longest_ns(config);

		armed = open_ns > armed ? open_ns : armed;
		armed = config->probe_lease_ns > armed ? config->probe_lease_ns : armed;
		armed = config->ramp_ns > armed ? config->ramp_ns : armed;
		longest = longest_ns > longest ? longest_ns : longest;
	}
	/* after the last result: the lease of a probe, then an opening */
	end += 2 * (armed > longest ? armed : longest);
	while (shift > 0 && (end >> (EBB_TICK_SHIFT - shift) >= EBB_UNTIL_MASK ||
			     armed >> (EBB_TICK_SHIFT - shift) >= UINT32_MAX - 1 || longest >> (62 - shift)))
		shift--;
	return shift;
}

/* -------------------------------------------------------------- outside -- */

static void init(struct sim *s)
{
	const struct ebb_simulation *in = s->in;

	s->shift = choose_shift(in);
	s->look = in->look_ns << s->shift;
	s->agent.lease_ns = INT64_MAX;
	for (size_t i = 0; i < in->config_count; i++) {
		s->settings[i].config = ebb_policy_scale(&in->configs[i], s->shift);
		ebb_policy_to_kernel(&s->settings[i].config, &s->settings[i].policy);
	}
	for (size_t i = 0; i < in->gate_count; i++) {
		struct gate *g = &s->gates[i];

		g->setting = &s->settings[in->gates[i].config];
		g->timer = NEVER;
		g->look_at = NEVER;
		ebb_breaker_init(&g->breaker, ebb_breaker_key(in->seed, in->gates[i].name), &g->facts);
		ebb_breaker_verdict(&g->breaker, &g->setting->config, &g->verdict);
	}
}

static int run(struct sim *s)
{
	size_t next = 0;

	while (s->error == 0 && (next < s->in->call_count || s->queue.count > 0)) {
		if (next < s->in->call_count &&
		    (s->queue.count == 0 || s->queue.events[0].at > s->in->calls[next].at_ns << s->shift)) {
			on_call(s, next++);
		} else {
			struct event event = queue_pop(&s->queue);

			if (event.rank & RANK_RESULT)
				on_result(s, &event);
			else
				on_timer(s, &event);
		}
	}
	return s->error;
}

int ebb_simulate(const struct ebb_simulation *simulation, struct ebb_sim_totals *ret_totals)
{
	struct sim s = {.in = simulation};
	int r = -ENOMEM;

	s.settings = calloc(simulation->config_count + 1, sizeof(*s.settings));
	s.gates = calloc(simulation->gate_count + 1, sizeof(*s.gates));
	if (s.settings && s.gates) {
		init(&s);
		r = run(&s);
	}
	for (size_t i = 0; r == 0 && i < simulation->gate_count; i++) {
		s.gates[i].totals.state =
			ebb_word_state(ebb_gate_word(&s.gates[i].facts, &s.gates[i].verdict));
		ret_totals[i] = s.gates[i].totals;
	}
	free(s.queue.events);
	free(s.gates);
	free(s.settings);
	return r;
}

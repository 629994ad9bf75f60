/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of metrics, and how each is read. A row says what its series
 * are about and how one item of that becomes samples; a new metric is a new
 * row and its reader.
 *
 * Values are copied once for each item, while the kernel goes on counting: each
 * number is whole, two numbers may be some microseconds apart. A histogram is
 * copied before it is summed up, so that its count is its +Inf.
 */
#include <netinet/in.h>
#include <string.h>

#include "core/limit.h"
#include "core/policy.h"
#include "export/family.h"
#include "node/owns.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(EBB_HIST_SHOWN + 3 <= EBB_SAMPLES_MAX, "a histogram fits");
_Static_assert(EBB_ERR_MAX <= EBB_SAMPLES_MAX, "an error each fits");
_Static_assert(2 * EBB_CAUSE_MAX <= EBB_SAMPLES_MAX, "denials fit");
_Static_assert(2 * EBB_DROP_MAX <= EBB_SAMPLES_MAX, "drops fit");
_Static_assert(EBB_HEALTH_MAX <= EBB_SAMPLES_MAX, "components fit");
_Static_assert(EBB_LINKS_MAX <= EBB_SAMPLES_MAX, "programs fit");
_Static_assert(EBB_SPOOL_READERS_MAX *EBB_SINK_RESULT_MAX <= EBB_SAMPLES_MAX, "attempts fit");
_Static_assert(EBB_SPAN_RESULT_MAX + 1 <= EBB_SAMPLES_MAX, "results of spans fit");

/* ---------------------------------------------------------------- reading -- */

static uint64_t load(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t load_u32(const __u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Adds a sample; labels are set on what it returns. */
static struct ebb_sample *add(struct ebb_reading *r, enum ebb_sample_kind kind, uint64_t value)
{
	struct ebb_sample *sample = &r->samples[r->count++];

	*sample = (struct ebb_sample){.suffix = "", .kind = kind, .value = value};
	return sample;
}

static void add_labelled(struct ebb_reading *r, uint64_t value, const char *key, const char *name)
{
	add(r, EBB_SAMPLE_NUMBER, value)->labels[0] = (struct ebb_label){key, name};
}

static void add_known(struct ebb_reading *r, enum ebb_sample_kind kind, uint64_t value)
{
	if (value != EBB_PROCESS_UNKNOWN)
		(void)add(r, kind, value);
}

/* @exemplar may be NULL; it stands with the bucket that its value is in. */
static void add_histogram(struct ebb_reading *r, const struct ebb_hist *live,
			  const struct ebb_exemplar *exemplar)
{
	struct ebb_hist hist = {.sum_units = load(&live->sum_units)};
	struct ebb_sample *sample;
	uint64_t count;

	for (size_t i = 0; i < EBB_HIST_BUCKETS; i++)
		hist.buckets[i] = load(&live->buckets[i]);
	for (size_t i = 0; i < EBB_HIST_SHOWN; i++) {
		sample = add(r, EBB_SAMPLE_NUMBER, ebb_hist_below(&hist, ebb_hist_shown_ns[i]));
		sample->suffix = "_bucket";
		sample->labels[0] = (struct ebb_label){"le", r->bounds[i]};
		if (exemplar && exemplar->value_ns < ebb_hist_shown_ns[i]) {
			sample->exemplar = exemplar;
			exemplar = NULL;
		}
	}
	count = ebb_hist_count(&hist);
	sample = add(r, EBB_SAMPLE_NUMBER, count);
	sample->suffix = "_bucket";
	sample->labels[0] = (struct ebb_label){"le", "+Inf"};
	sample->exemplar = exemplar;
	add(r, EBB_SAMPLE_SECONDS, hist.sum_units * EBB_HIST_UNIT_NS)->suffix = "_sum";
	add(r, EBB_SAMPLE_NUMBER, count)->suffix = "_count";
}

/* That of the slot's owner; NULL: none. */
static const struct ebb_exemplar *exemplar_of(const struct ebb_reading *r, const struct ebb_exemplar *all,
					      const struct ebb_item *item)
{
	const struct ebb_exemplar *exemplar = all ? &all[item->dst] : NULL;

	if (!exemplar || !exemplar->realtime_ns ||
	    exemplar->dst_epoch != load_u32(&r->source->view->dsts[item->dst].epoch))
		return NULL;
	return exemplar;
}

/* Of a group what its members come to. */
static const struct ebb_pair *pair_of(const struct ebb_reading *r, const struct ebb_item *item)
{
	return item->items ? &r->sum.pair : &r->source->view->pairs[item->pair];
}

/* Can @item have what only @proto counts? Of ~other, and of what a rule names (it has no endpoint), nobody knows. */
static bool speaks(const struct ebb_reading *r, const struct ebb_item *item, uint8_t proto)
{
	uint8_t its = r->source->view->dsts[item->dst].endpoint.proto;

	return item->dst == EBB_SLOT_OTHER || its == 0 || its == proto;
}

/* The limits of the gate of @item, now. */
static void limits_of(const struct ebb_reading *r, const struct ebb_item *item, struct ebb_limits *ret_limits)
{
	struct ebb_policy policy;

	ebb_gate_policy(r->source->view, item->dst, item->gate, r->now_ns, &policy);
	ebb_limits_in_force(&policy, r->now_ns, ret_limits);
}

/*
 * Attempts that never sent a SYN. A connect() that is just between the two
 * counters looks like one, so a lower number may come later: what was once
 * shown stays until the true number has passed it. It is kept with the low bits
 * of the slot's epoch, so that a new owner of the slot begins at zero:
 *
 *	epoch:16 | shown:48
 */
static uint64_t local_failures(const struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);
	uint64_t *floor = &r->source->local_floor[item->pair];
	uint64_t owner = (uint64_t)load_u32(&pair->epoch) << 48;
	uint64_t shown = *floor & ((1ULL << 48) - 1);
	/* in this order: what is sent meanwhile makes the difference smaller, not greater */
	uint64_t attempts = __atomic_load_n(&pair->attempts, __ATOMIC_ACQUIRE);
	uint64_t sent = load(&pair->syn_sent);

	if ((*floor ^ owner) >> 48 != 0)
		shown = 0;
	if (attempts > sent && attempts - sent > shown)
		shown = attempts - sent;
	*floor = owner | shown;
	return shown;
}

static void read_connects(struct ebb_reading *r, const struct ebb_item *item)
{
	static const uint32_t before_local[] = {EBB_OUTCOME_ESTABLISHED, EBB_OUTCOME_REFUSED,
						EBB_OUTCOME_TIMEOUT, EBB_OUTCOME_UNREACHABLE};
	static const uint32_t after_local[] = {EBB_OUTCOME_ABANDONED, EBB_OUTCOME_CANCELLED};
	const struct ebb_pair *pair = pair_of(r, item);
	uint64_t denied = 0;

	for (size_t i = 0; i < ARRAY_SIZE(before_local); i++)
		add_labelled(r, load(&pair->outcomes[before_local[i]]), "outcome",
			     ebb_outcome_name(before_local[i]));
	add_labelled(r, item->items ? r->sum.local : local_failures(r, item), "outcome", "local");
	for (size_t i = 0; i < ARRAY_SIZE(after_local); i++)
		add_labelled(r, load(&pair->outcomes[after_local[i]]), "outcome",
			     ebb_outcome_name(after_local[i]));
	for (uint32_t i = 0; i < EBB_CAUSE_MAX; i++)
		denied += load(&pair->denied[i]);
	add_labelled(r, denied, "outcome", "denied");
}

/* What is held against a destination by default; that a program changed its mind, or we failed, is not. */
const uint32_t ebb_failures[EBB_FAILURES] = {EBB_OUTCOME_REFUSED,     EBB_OUTCOME_TIMEOUT,
					     EBB_OUTCOME_UNREACHABLE, EBB_OUTCOME_ABANDONED,
					     EBB_OUTCOME_RESET,	      EBB_OUTCOME_UNANSWERED};

static void read_failures(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);

	for (size_t i = 0; i < EBB_FAILURES; i++)
		add_labelled(r, load(&pair->outcomes[ebb_failures[i]]), "reason",
			     ebb_outcome_name(ebb_failures[i]));
}

/* A sample for each cause in @always (1 << cause), and for what was counted: other zeros would be noise. */
static void add_causes(struct ebb_reading *r, const __u64 *counts, uint32_t count,
		       const char *(*name)(uint32_t cause), uint32_t always, const char *enforced)
{
	for (uint32_t cause = 0; cause < count; cause++) {
		uint64_t value = load(&counts[cause]);
		struct ebb_sample *sample;

		if (value == 0 && !(always & (1U << cause)))
			continue;
		sample = add(r, EBB_SAMPLE_NUMBER, value);
		sample->labels[0] = (struct ebb_label){"cause", name(cause)};
		sample->labels[1] = (struct ebb_label){"enforced", enforced};
	}
}

static void read_denied(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);
	uint32_t can = 1U << EBB_CAUSE_BREAKER | 1U << EBB_CAUSE_HALF_OPEN;
	struct ebb_limits limits;

	limits_of(r, item, &limits);
	if (limits.bucket[EBB_LIMIT_CONNECTS].per_hour)
		can |= 1U << EBB_CAUSE_RATE;
	if (limits.concurrent)
		can |= 1U << EBB_CAUSE_CONCURRENCY;
	add_causes(r, pair->denied, EBB_CAUSE_MAX, ebb_cause_name, can, "true");
	add_causes(r, pair->would_deny, EBB_CAUSE_MAX, ebb_cause_name, can, "false");
}

static void read_active(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->active));
}

static void read_adopted(struct ebb_reading *r, const struct ebb_item *item)
{
	uint64_t adopted = load(&pair_of(r, item)->adopted);

	if (adopted > 0)
		(void)add(r, EBB_SAMPLE_NUMBER, adopted);
}

static void read_reset(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_policy *policy = &r->source->view->policies[item->dst];
	uint64_t reset = load(&pair_of(r, item)->reset);

	if (reset > 0 || load_u32(&policy->established) == EBB_ESTABLISHED_RESET)
		(void)add(r, EBB_SAMPLE_NUMBER, reset);
}

static void read_sent(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->sent_bytes));
}

static void read_received(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->received_bytes));
}

static void read_retransmits(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->retransmits));
}

static void read_datagrams(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_UDP))
		(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->sent_packets));
}

/* What can drop packets of @item now: 1 << enum ebb_drop. */
static uint32_t can_drop(const struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_policy *policy = &r->source->view->policies[item->dst];
	struct ebb_limits limits;
	uint32_t can = 0;

	limits_of(r, item, &limits);
	if (limits.bucket[EBB_LIMIT_BYTES].per_hour)
		can |= 1U << EBB_DROP_BYTES;
	if (limits.bucket[EBB_LIMIT_PACKETS].per_hour)
		can |= 1U << EBB_DROP_PACKETS;
	if (load_u32(&policy->established) == EBB_ESTABLISHED_DROP)
		can |= 1U << EBB_DROP_BREAKER;
	return can;
}

static void read_dropped_bytes(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);
	uint32_t can = can_drop(r, item);

	add_causes(r, pair->dropped_bytes, EBB_DROP_MAX, ebb_drop_name, can, "true");
	add_causes(r, pair->would_drop_bytes, EBB_DROP_MAX, ebb_drop_name, can, "false");
}

static void read_dropped_packets(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);
	uint32_t can = can_drop(r, item);

	add_causes(r, pair->dropped_packets, EBB_DROP_MAX, ebb_drop_name, can, "true");
	add_causes(r, pair->would_drop_packets, EBB_DROP_MAX, ebb_drop_name, can, "false");
}

static void read_connect_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		add_histogram(r, &r->source->view->dsts[item->dst].connect,
			      exemplar_of(r, r->source->traces.connects, item));
}

static void read_rtt(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		add_histogram(r, &r->source->view->dsts[item->dst].rtt, NULL);
}

static void read_turns(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_pair *pair = pair_of(r, item);

	if (!speaks(r, item, IPPROTO_TCP))
		return;
	for (uint32_t how = 0; how < EBB_TURN_MAX; how++)
		add_labelled(r, load(&pair->turns[how]), "result", ebb_turn_name(how));
}

/* Of those answered, so no result of their own: a sum over results would count them twice. */
static void read_slow_turns(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		(void)add(r, EBB_SAMPLE_NUMBER, load(&pair_of(r, item)->turns_slow));
}

static void read_turn_seconds(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		(void)add(r, EBB_SAMPLE_SECONDS, load(&pair_of(r, item)->turn_units) * EBB_HIST_UNIT_NS);
}

static void read_turn_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	if (speaks(r, item, IPPROTO_TCP))
		add_histogram(r, &r->source->view->dsts[item->dst].turn,
			      exemplar_of(r, r->source->traces.turns, item));
}

/* The state of a gate now, and in ns when open ends. An open that is over is half-open, before anybody looked. */
static uint32_t gate_state(const struct ebb_reading *r, uint32_t gate, uint64_t *ret_until_ns)
{
	const struct ebb_view *view = r->source->view;
	uint64_t word = ebb_view_word(view, gate);
	uint32_t state = ebb_word_state(word);

	*ret_until_ns = ebb_ticks_to_ns(ebb_word_until(word));
	if (state == EBB_STATE_OPEN && r->now_ns >= *ret_until_ns)
		return EBB_STATE_HALF_OPEN;
	return state < EBB_STATE_MAX ? state : (uint32_t)EBB_STATE_CLOSED;
}

static void read_breaker_state(struct ebb_reading *r, const struct ebb_item *item)
{
	uint64_t until_ns;
	uint32_t now = gate_state(r, item->gate, &until_ns);

	for (uint32_t state = 0; state < EBB_STATE_MAX; state++)
		add_labelled(r, state == now, "state", ebb_state_name(state));
}

static void read_breaker_transitions(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_memory *memory = &r->source->view->memories[item->gate];

	for (uint32_t reason = 0; reason < EBB_REASON_MAX; reason++) {
		uint64_t moved = item->items ? r->sum.moved[reason] : load_u32(&memory->moved[reason]);
		struct ebb_sample *sample = add(r, EBB_SAMPLE_NUMBER, moved);

		sample->labels[0] = (struct ebb_label){"from", ebb_state_name(ebb_reason_from(reason))};
		sample->labels[1] = (struct ebb_label){"to", ebb_state_name(ebb_reason_to(reason))};
		sample->labels[2] = (struct ebb_label){"reason", ebb_reason_name(reason)};
	}
}

static void read_breaker_open_until(struct ebb_reading *r, const struct ebb_item *item)
{
	const uint64_t ms = 1000000;
	uint64_t until_ns, at_ns = 0;

	/* to the millisecond, since the two clocks are not read at the same moment in each scrape */
	if (gate_state(r, item->gate, &until_ns) == EBB_STATE_OPEN)
		at_ns = ((uint64_t)r->realtime_ns + (until_ns - r->now_ns) + ms / 2) / ms * ms;
	(void)add(r, EBB_SAMPLE_SECONDS, at_ns);
}

static void read_breaker_ratio(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)add(r, EBB_SAMPLE_RATIO, load_u32(&r->source->view->memories[item->gate].window_ratio_ppm));
}

static void read_breaker_calls(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_memory *memory = &r->source->view->memories[item->gate];

	(void)add(r, EBB_SAMPLE_NUMBER,
		  (uint64_t)load_u32(&memory->window_ok) + load_u32(&memory->window_failed));
}

/* A workload that is apart has a breaker of its own, and the limits of its destination. */
static bool has_limits(const struct ebb_reading *r, const struct ebb_item *item)
{
	return !item->of_pair || !ebb_pair_is_apart(r->source->view, pair_of(r, item));
}

static void read_concurrent_in_use(struct ebb_reading *r, const struct ebb_item *item)
{
	if (!has_limits(r, item))
		return;
	(void)add(r, EBB_SAMPLE_NUMBER, load(&r->source->view->gates[item->gate].in_use));
}

static void read_concurrent_limit(struct ebb_reading *r, const struct ebb_item *item)
{
	struct ebb_limits limits;

	if (!has_limits(r, item))
		return;
	limits_of(r, item, &limits);
	(void)add(r, EBB_SAMPLE_NUMBER, limits.concurrent);
}

static void add_limit_rate(struct ebb_reading *r, const struct ebb_item *item, enum ebb_limit_kind kind)
{
	struct ebb_limits limits;

	limits_of(r, item, &limits);
	if (has_limits(r, item) && limits.bucket[kind].per_hour)
		(void)add(r, EBB_SAMPLE_PER_HOUR, limits.bucket[kind].per_hour);
}

static void add_limit_available(struct ebb_reading *r, const struct ebb_item *item, enum ebb_limit_kind kind)
{
	const struct ebb_gate *gate = &r->source->view->gates[item->gate];
	struct ebb_limits limits;
	double left;

	limits_of(r, item, &limits);
	if (!has_limits(r, item) || !limits.bucket[kind].per_hour)
		return;
	left = ebb_limit_available(&limits.bucket[kind], load(&gate->full_ns[kind]), r->now_ns);
	/* whole ones only: half a connection lets nobody through; a burst that none of ours wrote may be above any integer */
	(void)add(r, EBB_SAMPLE_NUMBER, left < 0x1p63 ? (uint64_t)left : INT64_MAX);
}

static void read_bytes_rate(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_rate(r, item, EBB_LIMIT_BYTES);
}

static void read_bytes_available(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_available(r, item, EBB_LIMIT_BYTES);
}

static void read_packets_rate(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_rate(r, item, EBB_LIMIT_PACKETS);
}

static void read_packets_available(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_available(r, item, EBB_LIMIT_PACKETS);
}

static void read_connects_rate(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_rate(r, item, EBB_LIMIT_CONNECTS);
}

static void read_connects_available(struct ebb_reading *r, const struct ebb_item *item)
{
	add_limit_available(r, item, EBB_LIMIT_CONNECTS);
}

static void read_paced(struct ebb_reading *r, const struct ebb_item *item)
{
	uint64_t paced = load(&r->source->view->gates[item->gate].paced);
	struct ebb_limits limits;

	limits_of(r, item, &limits);
	if (!has_limits(r, item))
		return;
	if (paced > 0 || limits.bucket[EBB_LIMIT_BYTES].per_hour)
		(void)add(r, EBB_SAMPLE_NUMBER, paced);
}

/* All there is to say is in the labels. */
static void read_one(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, 1);
}

static void read_build_info(struct ebb_reading *r, const struct ebb_item *item)
{
	struct ebb_sample *sample = add(r, EBB_SAMPLE_NUMBER, 1);

	(void)item;
	sample->labels[0] = (struct ebb_label){"version", r->source->version};
#ifdef __clang__
	sample->labels[1] = (struct ebb_label){"compiler", "clang " __clang_version__};
#else
	sample->labels[1] = (struct ebb_label){"compiler", "gcc " __VERSION__};
#endif
}

static void read_enforcement_active(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, ebb_health_enforcing(r->source->health));
}

static void read_node_fuse(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER,
		  __atomic_load_n(&r->source->view->agent->fuse, __ATOMIC_RELAXED) != EBB_FUSE_OFF);
}

static void read_lease_age(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_agent *agent = r->source->view->agent;
	uint64_t since = load(&agent->heartbeat_ns);

	(void)item;
	if (since == 0) /* no tick yet */
		since = load(&agent->started_ns);
	(void)add(r, EBB_SAMPLE_SECONDS, r->now_ns > since ? r->now_ns - since : 0);
}

static void read_map_entries(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_labelled(r, r->source->dst_live, "map", "destinations");
	add_labelled(r, r->source->pair_live, "map", "pairs");
}

static void read_map_capacity(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_view *view = r->source->view;

	(void)item;
	/* slot 0 is ~other, and nobody's */
	add_labelled(r, view->dst_max > 0 ? view->dst_max - 1 : 0, "map", "destinations");
	add_labelled(r, view->pair_max > 0 ? view->pair_max - 1 : 0, "map", "pairs");
}

static void read_events_lost(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	r->older = true;
	(void)add(r, EBB_SAMPLE_NUMBER, load(&r->source->view->kernel->errors[EBB_ERR_EVENT_LOST]));
}

static void read_bpf_errors(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	r->older = true;
	for (uint32_t error = 0; error < EBB_ERR_MAX; error++)
		add_labelled(r, load(&r->source->view->kernel->errors[error]), "reason",
			     ebb_error_name(error));
}

static void read_program_runs(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	r->older = true;
	for (size_t i = 0; i < r->runs_count; i++)
		add_labelled(r, r->runs[i].count, "program", r->runs[i].name);
}

static void read_program_seconds(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	r->older = true;
	for (size_t i = 0; i < r->runs_count; i++) {
		struct ebb_sample *sample = add(r, EBB_SAMPLE_SECONDS, r->runs[i].ns);

		sample->labels[0] = (struct ebb_label){"program", r->runs[i].name};
	}
}

static void read_health(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	for (int i = 0; i < EBB_HEALTH_MAX; i++)
		add_labelled(r, r->source->health->entries[i].state, "component",
			     ebb_health_component_name(i));
}

static struct ebb_sample *add_of_sink(struct ebb_reading *r, uint64_t value, const char *sink,
				      const char *result)
{
	struct ebb_sample *sample = add(r, EBB_SAMPLE_NUMBER, value);

	sample->labels[0] = (struct ebb_label){"sink", sink};
	if (result)
		sample->labels[1] = (struct ebb_label){"result", result};
	return sample;
}

static void read_audit_events(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_audit_status *audit = r->source->audit;

	(void)item;
	if (!audit)
		return;
	(void)add_of_sink(r, audit->spooled, "spool", "accepted");
	(void)add_of_sink(r, audit->refused, "spool", "refused");
	for (size_t i = 0; i < audit->sink_count; i++) {
		(void)add_of_sink(r, audit->sinks[i].delivered, audit->sinks[i].name, "delivered");
		(void)add_of_sink(r, audit->sinks[i].dead, audit->sinks[i].name, "dead_letter");
	}
}

static void read_delivery_attempts(struct ebb_reading *r, const struct ebb_item *item)
{
	static const char *const results[EBB_SINK_RESULT_MAX] = {
		[EBB_SINK_DONE] = "done",
		[EBB_SINK_RETRY] = "retry",
		[EBB_SINK_REFUSED] = "refused",
		[EBB_SINK_UNUSABLE] = "unusable",
	};
	const struct ebb_audit_status *audit = r->source->audit;

	(void)item;
	for (size_t i = 0; audit && i < audit->sink_count; i++) {
		for (size_t result = 0; result < EBB_SINK_RESULT_MAX; result++)
			(void)add_of_sink(r, audit->sinks[i].attempts[result], audit->sinks[i].name,
					  results[result]);
	}
}

static void read_delivery_queue(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_audit_status *audit = r->source->audit;

	(void)item;
	for (size_t i = 0; audit && i < audit->sink_count; i++)
		(void)add_of_sink(r, audit->sinks[i].waiting, audit->sinks[i].name, NULL);
}

static void read_dead_letters(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	if (r->source->audit)
		(void)add(r, EBB_SAMPLE_NUMBER, r->source->audit->dead.letters);
}

static void read_dead_letters_oldest(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_audit_status *audit = r->source->audit;
	int64_t oldest = audit ? audit->dead.oldest_realtime_ns : 0;

	(void)item;
	if (audit)
		(void)add(r, EBB_SAMPLE_SECONDS,
			  oldest && r->realtime_ns > oldest ? (uint64_t)(r->realtime_ns - oldest) : 0);
}

static void read_links_restored(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->links_restored);
}

/* None where nobody asks for it: 0 is a fault, or a right that is missing. */
static void read_realtime(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	if (r->source->realtime_wanted)
		(void)add(r, EBB_SAMPLE_NUMBER, r->source->realtime);
}

static void read_realtime_losses(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->realtime_losses);
}

static void read_seccomp(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->seccomp);
}

static void read_calls_unlisted(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->calls_unlisted);
}

static void read_pins_restored(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->pins_restored);
}

static void read_scrape_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_histogram(r, r->source->scrape_duration, NULL);
}

/* The code that is always shown: what the handler answers when all is well. */
static bool is_usual(uint32_t handler, uint32_t code)
{
	return strcmp(ebb_http_code_name(code), handler == EBB_HTTP_OTHER ? "404" : "200") == 0;
}

static void read_http_requests(struct ebb_reading *r, const struct ebb_item *item)
{
	const uint64_t *counts = r->source->http->requests[item->handler];

	for (uint32_t code = 0; code < EBB_HTTP_CODES; code++) {
		if (counts[code] > 0 || is_usual(item->handler, code))
			add_labelled(r, counts[code], "code", ebb_http_code_name(code));
	}
}

static void read_http_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	/* a stream lasts as long as its reader wants */
	if (item->handler != EBB_HTTP_EVENTS)
		add_histogram(r, &r->source->http->duration[item->handler], NULL);
}

static void read_http_connections(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->http->connections);
}

static void read_http_crowded_out(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->http->crowded_out);
}

static void read_http_streams(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->http->streams);
}

static void read_http_dropped(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	for (uint32_t why = 0; why < EBB_HTTP_DROPPED_MAX; why++)
		add_labelled(r, r->source->http->dropped[why], "reason", ebb_http_dropped_name(why));
}

static void read_tick_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_histogram(r, &r->source->tick_duration, NULL);
}

/* What the kernel had no room for was a span, too. */
static void read_spans(struct ebb_reading *r, const struct ebb_item *item)
{
	const struct ebb_traces_facts *traces = &r->source->traces;

	(void)item;
	for (int i = 0; i < EBB_SPAN_RESULT_MAX; i++)
		add_labelled(r, traces->spans[i], "result", ebb_span_result_name((enum ebb_span_result)i));
	add_labelled(r, traces->lost, "result", "lost");
}

static void read_spans_waiting(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->traces.waiting);
}

static void read_points(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	for (int i = 0; i < EBB_SPAN_INVALID; i++)
		add_labelled(r, r->source->pushed[i], "result",
			     ebb_span_result_name((enum ebb_span_result)i));
}

static void read_push_duration(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_histogram(r, &r->source->push_duration, NULL);
}

static void read_config_generation(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, load(&r->source->view->agent->generation));
}

static void read_config_reloads(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	for (uint32_t result = 0; result < EBB_RELOAD_MAX; result++)
		add_labelled(r, r->source->reloads[result], "result", ebb_reload_name(result));
}

static void read_config_successful(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, !r->source->reload_failed);
}

static void read_config_applied(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, r->source->applied_realtime_s);
}

static void read_memory(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	if (r->process.anonymous_bytes != EBB_PROCESS_UNKNOWN)
		add_labelled(r, r->process.anonymous_bytes, "kind", "anonymous");
	add_labelled(r, r->source->map_bytes, "kind", "maps");
}

static void read_process_cpu(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_SECONDS, r->process.cpu_ns);
}

static void read_process_resident(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.resident_bytes);
}

static void read_process_virtual(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.virtual_bytes);
}

static void read_process_virtual_max(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.virtual_max_bytes);
}

static void read_process_heap(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.heap_bytes);
}

static void read_process_threads(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.threads);
}

static void read_process_open_fds(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.open_fds);
}

static void read_process_max_fds(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	add_known(r, EBB_SAMPLE_NUMBER, r->process.max_fds);
}

static void read_process_start(struct ebb_reading *r, const struct ebb_item *item)
{
	(void)item;
	(void)add(r, EBB_SAMPLE_NUMBER, load(&r->source->view->agent->started_realtime_s));
}

/* ------------------------------------------------------------------ groups -- */

/* Numbers add up; of times and shares the greatest says what matters. @more has the same samples. */
static void add_gate(const struct ebb_family *family, struct ebb_sample *io_samples,
		     const struct ebb_reading *more)
{
	for (size_t i = 0; i < more->count; i++) {
		uint64_t value = more->samples[i].value;

		if (!family->unit)
			io_samples[i].value += value;
		else if (value > io_samples[i].value)
			io_samples[i].value = value;
	}
}

/* Each gate has all samples of the family, or none. */
static void read_gates(const struct ebb_family *family, struct ebb_reading *r, const struct ebb_item *group)
{
	struct ebb_sample samples[EBB_SAMPLES_MAX];
	uint32_t member = EBB_GROUPS_NOBODY;
	struct ebb_item gate;
	size_t count = 0;

	while (ebb_items_next_gate(group, &member, &gate)) {
		r->count = 0;
		family->read(r, &gate);
		if (count > 0) {
			add_gate(family, samples, r);
		} else {
			count = r->count;
			memcpy(samples, r->samples, count * sizeof(samples[0]));
		}
	}
	memcpy(r->samples, samples, count * sizeof(samples[0]));
	r->count = count;
}

void ebb_family_read(const struct ebb_family *family, struct ebb_reading *reading,
		     const struct ebb_item *item)
{
	reading->count = 0;
	if (item->items && family->walk == EBB_WALK_GATE && family->type == EBB_GAUGE) {
		read_gates(family, reading, item);
		return;
	}
	if (item->items)
		ebb_groups_sum(item->items->groups, item->group, &reading->sum);
	family->read(reading, item);
}

/* ---------------------------------------------------------------- the table -- */

const struct ebb_family ebb_families[] = {
	{"ebb_connects", EBB_COUNTER, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, "outcome",
	 "Connection attempts by how each of them ended.", read_connects},
	{"ebb_connection_failures", EBB_COUNTER, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, "reason",
	 "Failures of the destination: of attempts, and once of each connection after it was established.",
	 read_failures},
	{"ebb_denied", EBB_COUNTER, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, "cause, enforced",
	 "Connection attempts refused by a gate, or in observe mode (enforced=\"false\") let through that enforce mode would have refused.",
	 read_denied},
	{"ebb_active_connections", EBB_GAUGE, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, NULL,
	 "Connections that are established now.", read_active},
	{"ebb_adopted_connections", EBB_COUNTER, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, NULL,
	 "Connections that were open before the agent came and that it took over; they are not in ebb_connects_total.",
	 read_adopted},
	{"ebb_reset_connections", EBB_COUNTER, NULL, EBB_GROUP_CONNECTIONS, EBB_WALK_PAIR, NULL,
	 "Connections that ebb destroyed because the breaker opened (established: reset); not those that the other side reset.",
	 read_reset},

	{"ebb_sent_bytes", EBB_COUNTER, "bytes", EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, NULL,
	 "Bytes sent. TCP: payload, each byte once however often it was transmitted. UDP: whole IP packets, while packets are looked at.",
	 read_sent},
	{"ebb_received_bytes", EBB_COUNTER, "bytes", EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, NULL,
	 "Payload bytes that TCP received; of UDP nothing is counted.", read_received},
	{"ebb_retransmits", EBB_COUNTER, NULL, EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, NULL,
	 "TCP segments transmitted again, SYNs too, by connections that were established.", read_retransmits},
	{"ebb_sent_datagrams", EBB_COUNTER, NULL, EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, NULL,
	 "UDP datagrams sent; of connected sockets only while packets are looked at.", read_datagrams},
	{"ebb_dropped_bytes", EBB_COUNTER, "bytes", EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, "cause, enforced",
	 "Bytes of the IP packets that a gate dropped, or in observe mode (enforced=\"false\") let through that enforce mode would have dropped.",
	 read_dropped_bytes},
	{"ebb_dropped_packets", EBB_COUNTER, NULL, EBB_GROUP_TRAFFIC, EBB_WALK_PAIR, "cause, enforced",
	 "IP packets that a gate dropped, or in observe mode (enforced=\"false\") let through that enforce mode would have dropped.",
	 read_dropped_packets},

	{"ebb_connect_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_LATENCY, EBB_WALK_DST, NULL,
	 "Time from the first SYN to the established connection.", read_connect_duration},
	{"ebb_rtt_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_LATENCY, EBB_WALK_DST, NULL,
	 "Smoothed round-trip time as TCP measures it.", read_rtt},

	{"ebb_turn_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_LATENCY, EBB_WALK_DST, NULL,
	 "Time from the last byte of a request to the first byte of its answer; of a streaming model API the time to first token.",
	 read_turn_duration},

	{"ebb_turns", EBB_COUNTER, NULL, EBB_GROUP_TURNS, EBB_WALK_PAIR, "result",
	 "Requests by how each of them ended. Over a connection that pipelines or multiplexes this is a lower bound.",
	 read_turns},
	{"ebb_slow_turns", EBB_COUNTER, NULL, EBB_GROUP_TURNS, EBB_WALK_PAIR, NULL,
	 "Answered requests that took longer than slow_call; they are in ebb_turns_total{result=\"answered\"}, too.",
	 read_slow_turns},
	{"ebb_turn_seconds", EBB_COUNTER, "seconds", EBB_GROUP_TURNS, EBB_WALK_PAIR, NULL,
	 "Sum of the times of answered requests; the mean is this divided by ebb_turns_total{result=\"answered\"}.",
	 read_turn_seconds},

	{"ebb_breaker_state", EBB_GAUGE, NULL, EBB_GROUP_BREAKERS, EBB_WALK_GATE, "state",
	 "State of the breaker: 1 for the one it is in, 0 for the others. Of several breakers that are one series (metrics.labels): how many are in it.",
	 read_breaker_state},
	{"ebb_breaker_transitions", EBB_COUNTER, NULL, EBB_GROUP_BREAKERS, EBB_WALK_GATE, "from, to, reason",
	 "Changes of the state of the breaker.", read_breaker_transitions},
	{"ebb_breaker_open_until_timestamp_seconds", EBB_GAUGE, "seconds", EBB_GROUP_BREAKERS, EBB_WALK_GATE,
	 NULL,
	 "When the open breaker will admit probes, as Unix time; 0 when it is not open. Of several: the latest.",
	 read_breaker_open_until},
	{"ebb_breaker_failure_ratio", EBB_GAUGE, "ratio", EBB_GROUP_BREAKERS, EBB_WALK_GATE, NULL,
	 "Share of failures in the breaker's window, weighted as it is judged; 0 when the window is empty. Of several: the greatest.",
	 read_breaker_ratio},
	{"ebb_breaker_window_calls", EBB_GAUGE, NULL, EBB_GROUP_BREAKERS, EBB_WALK_GATE, NULL,
	 "Results in the breaker's window; below min_calls no rate is judged.", read_breaker_calls},

	{"ebb_node_fuse_active", EBB_GAUGE, NULL, EBB_GROUP_BREAKERS, EBB_WALK_ONCE, NULL,
	 "1 while the node fuse acts: so many destinations fail at once that the fault is probably the node's own.",
	 read_node_fuse},

	{"ebb_concurrent_in_use", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Concurrency slots taken by open and opening connections.", read_concurrent_in_use},
	{"ebb_concurrent_limit", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Concurrency slots of the gate, by hand or as configured; 0 when there is no limit.",
	 read_concurrent_limit},
	{"ebb_limit_bytes_rate", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Limit of bytes sent, in bytes of IP packets each second.", read_bytes_rate},
	{"ebb_limit_bytes_available", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Bytes that can be sent at once before the limit of bytes holds: from 0 to its burst.",
	 read_bytes_available},
	{"ebb_limit_packets_rate", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Limit of packets sent, in packets each second, as they stand on the wire.", read_packets_rate},
	{"ebb_limit_packets_available", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Packets that can be sent at once before the limit of packets holds: from 0 to its burst.",
	 read_packets_available},
	{"ebb_limit_connects_rate", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Limit of connections begun, in connections each second.", read_connects_rate},
	{"ebb_limit_connects_available", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "Connections that can be begun at once before the limit of connects holds: from 0 to its burst.",
	 read_connects_available},
	{"ebb_paced_connections", EBB_GAUGE, NULL, EBB_GROUP_LIMITS, EBB_WALK_GATE, NULL,
	 "TCP connections that are slowed down now so that together they stay below the limit of bytes.",
	 read_paced},

	{"ebb_pod_labels", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_POD, "label_...",
	 "The labels of each pod that kubernetes.labels names; always 1.", read_one},
	{"ebb_build_info", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "version, compiler",
	 "The version of ebb; always 1.", read_build_info},
	{"ebb_enforcement_active", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "1 when enforcement is asked for and in place; 0 in observe mode, or when it is not in place.",
	 read_enforcement_active},
	{"ebb_lease_age_seconds", EBB_GAUGE, "seconds", EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Time since the last complete tick of the agent; verdicts no longer refuse when it exceeds the lease.",
	 read_lease_age},
	{"ebb_map_entries", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "map",
	 "Slots of the table in use, ~other not counted.", read_map_entries},
	{"ebb_map_capacity", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "map",
	 "Slots of the table, ~other not counted.", read_map_capacity},
	{"ebb_events_lost", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Hints that found the ring buffer full; each delays the agent by one tick at most.",
	 read_events_lost},
	{"ebb_bpf_errors", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "reason",
	 "Failures of the programs in the kernel; none of them refuses a connection.", read_bpf_errors},
	{"ebb_bpf_program_runs", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "program",
	 "Times that the program in the kernel ran, since it was loaded; only while kernel.bpf_stats_enabled is 1.",
	 read_program_runs},
	{"ebb_bpf_program_seconds", EBB_COUNTER, "seconds", EBB_GROUP_AGENT, EBB_WALK_ONCE, "program",
	 "Time that the program in the kernel ran; only while kernel.bpf_stats_enabled is 1.",
	 read_program_seconds},
	{"ebb_health_state", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "component",
	 "Health of the component: 0 healthy, 1 degraded, 2 unhealthy; /health says why and since when.",
	 read_health},
	{"ebb_links_restored", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Programs that somebody detached or replaced and that the agent attached again.",
	 read_links_restored},
	{"ebb_pins_restored", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Pins that somebody removed or replaced and that the agent made again.", read_pins_restored},
	{"ebb_realtime_priority", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "1: the agent has the real-time priority that it wants while it enforces; 0: it was taken, or is not permitted. Not there where none is wanted: in observe mode, or with 'scheduling: other'.",
	 read_realtime},
	{"ebb_realtime_priority_losses", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Times that real-time priority was taken from the agent, by the kernel after 200 ms of work without a pause, or by somebody.",
	 read_realtime_losses},
	{"ebb_seccomp_enforced", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "1: system calls that the agent does not need are refused to it; 0: they are not.", read_seccomp},
	{"ebb_seccomp_unlisted_calls", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "System calls of the agent that are not in its list: refused, or with 'seccomp: log' only told; the log has their names.",
	 read_calls_unlisted},
	{"ebb_scrape_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Time that the agent works for one scrape of these metrics, compressing included, without waiting for the client; this one is not among them.",
	 read_scrape_duration},
	{"ebb_tick_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Time that one tick of the agent takes.", read_tick_duration},
	{"ebb_config_generation", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Number of the configuration in force; grows with each change.", read_config_generation},
	{"ebb_config_reloads", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "result",
	 "Configurations that were read again while the agent ran, by what became of them.",
	 read_config_reloads},
	{"ebb_config_last_reload_successful", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "1 when the configuration that was read last is in force; 0 when it was rejected, and an older one goes on.",
	 read_config_successful},
	{"ebb_config_last_reload_success_timestamp_seconds", EBB_GAUGE, "seconds", EBB_GROUP_AGENT,
	 EBB_WALK_ONCE, NULL, "When the configuration in force was applied, as Unix time.",
	 read_config_applied},
	{"ebb_spans", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "result",
	 "Spans of traces by what became of them: sent; rejected or refused by the collector; expired, when it did not answer often enough, or another configuration came before it did; dropped, when too many waited; lost, when the agent did not take them from the kernel in time; invalid, when too long.",
	 read_spans},
	{"ebb_spans_waiting", EBB_GAUGE, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Spans of traces that wait to be sent, or for an answer.", read_spans_waiting},
	{"ebb_metric_points", EBB_COUNTER, NULL, EBB_GROUP_AGENT, EBB_WALK_ONCE, "result",
	 "Points of metrics that were pushed to a collector, by what became of them: sent; rejected or refused by the collector; expired, when it did not answer often enough, or another configuration came before it did; dropped, when there was no memory for them.",
	 read_points},
	{"ebb_push_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_AGENT, EBB_WALK_ONCE, NULL,
	 "Time that the agent works for one push of these metrics to a collector, in slices between which it does what else there is.",
	 read_push_duration},
	{"ebb_memory_bytes", EBB_GAUGE, "bytes", EBB_GROUP_AGENT, EBB_WALK_ONCE, "kind",
	 "Memory of the agent itself, and of its maps in the kernel.", read_memory},

	{"ebb_http_requests", EBB_COUNTER, NULL, EBB_GROUP_HTTP, EBB_WALK_HANDLER, "code",
	 "Requests that were answered, by status code; a stream of events when it begins.",
	 read_http_requests},
	{"ebb_http_request_duration_seconds", EBB_HISTOGRAM, "seconds", EBB_GROUP_HTTP, EBB_WALK_HANDLER,
	 NULL,
	 "Time from the end of the request's headers until the client had taken the answer or was ended; not of streams of events.",
	 read_http_duration},
	{"ebb_http_connections", EBB_GAUGE, NULL, EBB_GROUP_HTTP, EBB_WALK_ONCE, NULL,
	 "Connections to the HTTP server that are open now.", read_http_connections},
	{"ebb_http_connections_crowded_out", EBB_COUNTER, NULL, EBB_GROUP_HTTP, EBB_WALK_ONCE, NULL,
	 "Connections to the HTTP server that were ended to make room for others when few places were left: docs/security.md says whose.",
	 read_http_crowded_out},
	{"ebb_http_event_streams", EBB_GAUGE, NULL, EBB_GROUP_HTTP, EBB_WALK_ONCE, NULL,
	 "Streams of events that are open now.", read_http_streams},
	{"ebb_http_event_streams_dropped", EBB_COUNTER, NULL, EBB_GROUP_HTTP, EBB_WALK_ONCE, "reason",
	 "Streams of events that were ended: stalled, the client took nothing for 5 s; overtaken, it was so slow that what it would read next is not kept any more; crowded_out, all were taken, and somebody came who holds fewer.",
	 read_http_dropped},

	{"ebb_audit_events", EBB_COUNTER, NULL, EBB_GROUP_AUDIT, EBB_WALK_ONCE, "sink, result",
	 "Events of the audit log since the start, by what became of them. sink=\"spool\" is the way to all sinks: accepted, or refused because neither disk nor memory had room.",
	 read_audit_events},
	{"ebb_delivery_attempts", EBB_COUNTER, NULL, EBB_GROUP_AUDIT, EBB_WALK_ONCE, "sink, result",
	 "Batches that were offered to the sink: done, retry (none of it was taken), refused (never will be), unusable (the place is not as it must be).",
	 read_delivery_attempts},
	{"ebb_delivery_queue", EBB_GAUGE, NULL, EBB_GROUP_AUDIT, EBB_WALK_ONCE, "sink",
	 "Events in the spool that the sink does not have.", read_delivery_queue},
	{"ebb_dead_letters", EBB_GAUGE, NULL, EBB_GROUP_AUDIT, EBB_WALK_ONCE, NULL,
	 "Events that could not be delivered and wait for a person ('ebb deadletter').", read_dead_letters},
	{"ebb_dead_letters_oldest_seconds", EBB_GAUGE, "seconds", EBB_GROUP_AUDIT, EBB_WALK_ONCE, NULL,
	 "Age of the oldest dead letter; 0 when there is none.", read_dead_letters_oldest},

	{"process_cpu_seconds", EBB_COUNTER, "seconds", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Total user and system CPU time spent in seconds.", read_process_cpu},
	{"process_resident_memory_bytes", EBB_GAUGE, "bytes", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Resident memory size in bytes.", read_process_resident},
	{"process_virtual_memory_bytes", EBB_GAUGE, "bytes", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Virtual memory size in bytes.", read_process_virtual},
	{"process_virtual_memory_max_bytes", EBB_GAUGE, "bytes", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Maximum amount of virtual memory available in bytes; not there when there is no limit.",
	 read_process_virtual_max},
	{"process_heap_bytes", EBB_GAUGE, "bytes", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Process heap size in bytes.", read_process_heap},
	{"process_threads", EBB_GAUGE, NULL, EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Number of OS threads in the process.", read_process_threads},
	{"process_open_fds", EBB_GAUGE, NULL, EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Number of open file descriptors.", read_process_open_fds},
	{"process_max_fds", EBB_GAUGE, NULL, EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Maximum number of open file descriptors.", read_process_max_fds},
	{"process_start_time_seconds", EBB_GAUGE, "seconds", EBB_GROUP_PROCESS, EBB_WALK_ONCE, NULL,
	 "Start time of the process since unix epoch in seconds.", read_process_start},
};

const size_t ebb_family_count = ARRAY_SIZE(ebb_families);

const char *ebb_reload_name(uint32_t result)
{
	static const char *const names[EBB_RELOAD_MAX] = {
		[EBB_RELOAD_APPLIED] = "applied",
		[EBB_RELOAD_REJECTED] = "rejected",
	};

	return names[result];
}

const char *ebb_family_type_name(enum ebb_family_type type)
{
	static const char *const names[] = {
		[EBB_COUNTER] = "counter",
		[EBB_GAUGE] = "gauge",
		[EBB_HISTOGRAM] = "histogram",
	};

	return names[type];
}

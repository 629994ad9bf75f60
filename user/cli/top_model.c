/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tell/traffic.h"
#include "tell/turns.h"

#define NS_PER_S 1e9

/* What a pair had counted at the last moment. */
struct seen_pair {
	uint32_t epoch;
	bool live;
	uint64_t attempts, denied, would_deny, sent, received, dropped, would_drop;
	uint64_t outcomes[EBB_OUTCOME_MAX];
	uint64_t connect_units;
	struct ebb_turns turns;
};

struct seen_hist {
	uint64_t sum_units;
	uint64_t buckets[EBB_HIST_BUCKETS];
	struct ebb_times times; /* of the last interval */
};

struct seen_dst {
	uint32_t epoch;
	bool live;
	uint64_t look; /* at which the times were worked out */
	struct seen_hist connect, turn;
};

struct ebb_top_model {
	struct ebb_top_data data;
	uint64_t looks;
	struct seen_pair *pairs;
	struct seen_dst *dsts;
	bool primed;
};

/* ------------------------------------------------------------- moments -- */

static void clear_data(struct ebb_top_data *data)
{
	for (size_t i = 0; i < data->pair_count; i++)
		free(data->pairs[i].own);
	free(data->gates);
	free(data->pairs);
	ebb_snapshot_free(&data->snapshot);
	*data = (struct ebb_top_data){};
}

/* A counter that shrank was cleared, and starts anew. */
static double grown(uint64_t now, uint64_t before)
{
	return (double)(now >= before ? now - before : now);
}

/* What the pair counted since it was seen last; remembers what it has now. Not yet divided by the time. */
static struct ebb_top_rates growth(struct seen_pair *seen, const struct ebb_pair *pair,
				   const struct ebb_sums *sums, uint32_t count_mask)
{
	const struct ebb_traffic *traffic = &sums->traffic;
	struct seen_pair now = {
		.epoch = pair->epoch,
		.live = true,
		.attempts = sums->attempts,
		.denied = sums->denied,
		.would_deny = sums->would_deny,
		.sent = traffic->sent_bytes,
		.received = traffic->received_bytes,
		.dropped = ebb_traffic_dropped(traffic),
		.would_drop = ebb_traffic_would_drop(traffic),
		.connect_units = pair->connect_units,
		.turns = sums->turns,
	};
	struct ebb_top_rates rates;

	memcpy(now.outcomes, sums->outcomes, sizeof(now.outcomes));
	/* one that was not there counted all that it has since */
	if (!seen->live || seen->epoch != now.epoch)
		*seen = (struct seen_pair){};
	rates = (struct ebb_top_rates){
		.connects = grown(now.attempts, seen->attempts),
		.denied = grown(now.denied, seen->denied),
		.would_deny = grown(now.would_deny, seen->would_deny),
		.sent = grown(now.sent, seen->sent),
		.received = grown(now.received, seen->received),
		.dropped = grown(now.dropped, seen->dropped),
		.would_drop = grown(now.would_drop, seen->would_drop),
		.turns = grown(ebb_turns_count(&now.turns), ebb_turns_count(&seen->turns)),
	};
	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++) {
		if (count_mask & (1U << o))
			rates.failures += grown(now.outcomes[o], seen->outcomes[o]);
	}
	*seen = now;
	return rates;
}

/* Count and mean of the times to connect since the pair was seen last. */
static struct ebb_times pair_times(const struct seen_pair *seen, const struct ebb_pair *pair)
{
	struct ebb_times times = {};
	uint64_t units = pair->connect_units;

	times.count = pair->outcomes[EBB_OUTCOME_ESTABLISHED];
	if (seen->live && seen->epoch == pair->epoch &&
	    times.count >= seen->outcomes[EBB_OUTCOME_ESTABLISHED] && units >= seen->connect_units) {
		times.count -= seen->outcomes[EBB_OUTCOME_ESTABLISHED];
		units -= seen->connect_units;
	}
	if (times.count > 0)
		times.mean = units * EBB_HIST_UNIT_NS / times.count;
	return times;
}

/* Times of the turns that were answered since the pair was seen last. */
static struct ebb_times pair_turn_times(const struct seen_pair *seen, const struct ebb_pair *pair)
{
	struct ebb_turns turns = {};
	struct ebb_times times;

	ebb_turns_add_pair(&turns, pair);
	if (seen->live && seen->epoch == pair->epoch && turns.units >= seen->turns.units &&
	    turns.ended[EBB_TURN_ANSWERED] >= seen->turns.ended[EBB_TURN_ANSWERED]) {
		turns.ended[EBB_TURN_ANSWERED] -= seen->turns.ended[EBB_TURN_ANSWERED];
		turns.units -= seen->turns.units;
		/* they are of 32 bits in the map, and come round */
		for (uint32_t b = 0; b < EBB_TURN_BUCKETS; b++)
			turns.buckets[b] = (uint32_t)(turns.buckets[b] - seen->turns.buckets[b]);
	}
	ebb_turns_times(&turns, &times);
	return times;
}

/* What was counted since the histogram was seen last. */
static void hist_times(struct seen_hist *seen, const struct ebb_hist *live)
{
	struct ebb_hist now, since = {};

	memcpy(&now, live, sizeof(now));
	since.sum_units = now.sum_units >= seen->sum_units ? now.sum_units - seen->sum_units : 0;
	for (uint32_t b = 0; b < EBB_HIST_BUCKETS; b++)
		since.buckets[b] = now.buckets[b] >= seen->buckets[b] ? now.buckets[b] - seen->buckets[b] : 0;
	seen->sum_units = now.sum_units;
	memcpy(seen->buckets, now.buckets, sizeof(seen->buckets));
	ebb_times_read(&since, &seen->times);
}

/* The times that were counted since the destination was seen last; the same for each of its gates. */
static void dst_times(struct seen_dst *seen, const struct ebb_dst *live, uint64_t look)
{
	if (seen->look == look)
		return;
	if (!seen->live || seen->epoch != live->epoch)
		memset(seen, 0, sizeof(*seen));
	seen->epoch = live->epoch;
	seen->live = true;
	seen->look = look;
	hist_times(&seen->connect, &live->connect);
	hist_times(&seen->turn, &live->turn);
}

static void add_rates(struct ebb_top_rates *io_sum, const struct ebb_top_rates *more)
{
	io_sum->connects += more->connects;
	io_sum->turns += more->turns;
	io_sum->failures += more->failures;
	io_sum->denied += more->denied;
	io_sum->would_deny += more->would_deny;
	io_sum->sent += more->sent;
	io_sum->received += more->received;
	io_sum->dropped += more->dropped;
	io_sum->would_drop += more->would_drop;
}

static struct ebb_top_rates a_second(const struct ebb_top_rates *growth, uint64_t interval_ns)
{
	double seconds = (double)interval_ns / NS_PER_S;

	if (interval_ns == 0)
		return (struct ebb_top_rates){};
	return (struct ebb_top_rates){
		.connects = growth->connects / seconds,
		.turns = growth->turns / seconds,
		.failures = growth->failures / seconds,
		.denied = growth->denied / seconds,
		.would_deny = growth->would_deny / seconds,
		.sent = growth->sent / seconds,
		.received = growth->received / seconds,
		.dropped = growth->dropped / seconds,
		.would_drop = growth->would_drop / seconds,
	};
}

/* ---------------------------------------------------------------- pairs -- */

/* The row of each gate; NULL: it has none. The caller frees the table. */
static struct ebb_top_row **index_gates(const struct ebb_top_data *data)
{
	struct ebb_top_row **row_of = calloc(data->look.view->gate_max, sizeof(void *));

	for (size_t i = 0; row_of && i < data->gate_count; i++)
		row_of[data->gates[i].slot] = &data->gates[i];
	return row_of;
}

static int take_pair(struct ebb_top_model *model, struct ebb_top_data *data, const struct ebb_pair *pair,
		     uint32_t slot, struct ebb_top_row *gate)
{
	struct ebb_top_row *row = &data->pairs[data->pair_count];
	struct seen_pair *seen = &model->pairs[slot];
	uint32_t count_mask = gate->gate->policy.count_mask;
	struct ebb_times times = pair_times(seen, pair), turn_times = pair_turn_times(seen, pair);
	struct ebb_sums sums = {};
	struct ebb_top_rates grew;
	char *workload;

	ebb_sums_add(&sums, pair, count_mask);
	grew = growth(seen, pair, &sums, count_mask);
	/* ~other has no workload of its own */
	workload =
		strdup(pair->workload ? ebb_cgroup_name(data->look.names, pair->workload) : EBB_NAME_OTHER);
	if (!workload)
		return -ENOMEM;
	*row = (struct ebb_top_row){
		.gate = gate->gate,
		.is_pair = true,
		.slot = slot,
		.epoch = pair->epoch,
		.workload = workload,
		.own = workload,
		.sums = sums,
		.connect = times,
		.turn = turn_times,
	};
	data->pair_count++;
	add_rates(&gate->rates, &grew);
	row->rates = a_second(&grew, data->interval_ns);
	return 0;
}

/* Slot 0 is ~other: it is nobody's until it has counted something. */
static bool is_shown(uint32_t slot, const struct ebb_pair *pair)
{
	return slot == EBB_SLOT_OTHER || pair->state == EBB_SLOT_LIVE;
}

static int take_pairs(struct ebb_top_model *model, struct ebb_top_data *data)
{
	const struct ebb_view *view = data->look.view;
	struct ebb_top_row **row_of = index_gates(data);
	int r = 0;

	if (!row_of)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < view->pair_max; i++) {
		struct ebb_pair pair;
		struct ebb_top_row *gate;

		if (i > view->kernel->pair_high)
			break;
		memcpy(&pair, &view->pairs[i], sizeof(pair));
		gate = is_shown(i, &pair) && pair.gate < view->gate_max ? row_of[pair.gate] : NULL;
		if (!gate || gate->gate->dst != pair.dst || gate->gate->dst_epoch != pair.dst_epoch) {
			model->pairs[i].live = false;
			continue;
		}
		r = take_pair(model, data, &pair, i, gate);
	}
	free(row_of);
	return r;
}

/* ---------------------------------------------------------------- gates -- */

static void count_state(struct ebb_top_data *data, const struct ebb_gate_row *gate)
{
	if (gate->override != EBB_OVERRIDE_AUTO)
		data->forced++;
	else if (gate->state < EBB_STATE_MAX)
		data->by_state[gate->state]++;
	data->enforced = data->enforced || gate->mode == EBB_MODE_ENFORCE;
}

static void take_gates(struct ebb_top_model *model, struct ebb_top_data *data)
{
	const struct ebb_view *view = data->look.view;

	for (size_t i = 0; i < data->gate_count; i++) {
		struct ebb_top_row *row = &data->gates[i];
		struct seen_dst *seen = &model->dsts[row->gate->dst];

		dst_times(seen, &view->dsts[row->gate->dst], model->looks);
		row->connect = seen->connect.times;
		row->turn = seen->turn.times;
		add_rates(&data->total, &row->rates);
		row->rates = a_second(&row->rates, data->interval_ns);
		data->active += row->sums.active;
		count_state(data, row->gate);
	}
	data->total = a_second(&data->total, data->interval_ns);
}

static int take(struct ebb_top_model *model, struct ebb_top_data *data)
{
	const struct ebb_view *view = data->look.view;
	int r;

	memcpy(&data->agent, view->agent, sizeof(data->agent));
	r = ebb_snapshot_take(&data->look, &data->snapshot);
	if (r < 0)
		return r;
	data->gates = calloc(data->snapshot.count + 1, sizeof(data->gates[0]));
	data->pairs = calloc(view->pair_max, sizeof(data->pairs[0]));
	if (!data->gates || !data->pairs)
		return -ENOMEM;
	data->gate_count = data->snapshot.count;
	for (size_t i = 0; i < data->gate_count; i++) {
		const struct ebb_gate_row *gate = &data->snapshot.rows[i];

		data->gates[i] = (struct ebb_top_row){
			.gate = gate,
			.slot = gate->gate,
			.epoch = gate->dst_epoch,
			.workload = gate->workload,
			.sums = gate->sums,
		};
	}
	r = take_pairs(model, data);
	if (r == 0)
		take_gates(model, data);
	return r;
}

/* ---------------------------------------------------------------- model -- */

int ebb_top_model_look(struct ebb_top_model *model, const struct ebb_look *look)
{
	struct ebb_top_data data = {.look = *look};
	int r;

	if (model->primed)
		data.interval_ns = ebb_age(look->now_ns, model->data.look.now_ns);
	model->looks++;
	r = take(model, &data);
	if (r < 0) {
		clear_data(&data);
		return r;
	}
	clear_data(&model->data);
	model->data = data;
	model->primed = true;
	return 0;
}

int ebb_top_model_new(const struct ebb_look *look, struct ebb_top_model **ret_model)
{
	struct ebb_top_model *model = calloc(1, sizeof(*model));
	int r = -ENOMEM;

	if (!model)
		return -ENOMEM;
	model->pairs = calloc(look->view->pair_max, sizeof(model->pairs[0]));
	model->dsts = calloc(look->view->dst_max, sizeof(model->dsts[0]));
	if (model->pairs && model->dsts)
		r = ebb_top_model_look(model, look);
	if (r < 0) {
		ebb_top_model_free(model);
		return r;
	}
	*ret_model = model;
	return 0;
}

void ebb_top_model_free(struct ebb_top_model *model)
{
	if (!model)
		return;
	clear_data(&model->data);
	free(model->pairs);
	free(model->dsts);
	free(model);
}

const struct ebb_top_data *ebb_top_model_data(const struct ebb_top_model *model)
{
	return &model->data;
}

uint64_t ebb_top_time_left(const struct ebb_gate_row *row, uint64_t now_ns)
{
	if (row->override != EBB_OVERRIDE_AUTO)
		return ebb_age(row->policy.override_until_ns, now_ns);
	return row->state == EBB_STATE_OPEN ? ebb_age(row->until_ns, now_ns) : 0;
}

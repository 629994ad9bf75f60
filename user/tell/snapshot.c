/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tell/fuse.h"
#include "tell/turns.h"
#include "core/by_hand.h"
#include "core/fuse.h"
#include "core/hist.h"
#include "core/policy.h"
#include "lib/text.h"
#include "node/owns.h"

/* ---------------------------------------------------------- transitions -- */

size_t ebb_memory_kept(const struct ebb_memory *memory)
{
	return memory->count < EBB_TRANSITIONS_KEPT ? memory->count : EBB_TRANSITIONS_KEPT;
}

const struct ebb_transition *ebb_memory_at(const struct ebb_memory *memory, size_t index)
{
	/* unsigned arithmetic, and a power of two: right even if the count ever wraps */
	uint32_t oldest = memory->count - (uint32_t)ebb_memory_kept(memory);

	return &memory->last[(oldest + index) % EBB_TRANSITIONS_KEPT];
}

static const struct ebb_transition *newest(const struct ebb_memory *memory)
{
	size_t kept = ebb_memory_kept(memory);

	return kept > 0 ? ebb_memory_at(memory, kept - 1) : NULL;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *ebb_transition_facts(const struct ebb_transition *move, char *buffer, size_t size)
{
	uint64_t calls = (uint64_t)move->ok + move->failed;

	switch (move->reason) {
	case EBB_REASON_CONSECUTIVE_FAILURES:
		(void)snprintf(buffer, size, "%u failure%s in a row", move->run, plural(move->run));
		break;
	case EBB_REASON_FAILURE_RATE:
		(void)snprintf(buffer, size, "%u of %" PRIu64 " failed in the window", move->failed, calls);
		break;
	case EBB_REASON_SLOW_RATE:
		(void)snprintf(buffer, size, "%u of %" PRIu64 " were slow in the window", move->slow, calls);
		break;
	case EBB_REASON_OPEN_EXPIRED:
		(void)snprintf(buffer, size, "its time was over");
		break;
	case EBB_REASON_PROBES_SUCCEEDED:
		(void)snprintf(buffer, size, "%u probe%s succeeded", move->ok, plural(move->ok));
		break;
	case EBB_REASON_PROBES_FAILED:
		(void)snprintf(buffer, size, "%u probe%s failed", move->failed, plural(move->failed));
		break;
	default:
		(void)snprintf(buffer, size, "unknown reason %u", move->reason);
	}
	return buffer;
}

const char *ebb_episode_text(uint64_t episode, char *buffer, size_t size)
{
	if (episode)
		(void)snprintf(buffer, size, "%016" PRIx64, episode);
	else
		(void)snprintf(buffer, size, "-");
	return buffer;
}

/* --------------------------------------------------------------- state -- */

/* One transition that the kernel made since alone goes on with it, unless it closed; of several, nobody knows. */
static uint64_t find_episode(const struct ebb_gate_row *row)
{
	const struct ebb_transition *move = newest(&row->memory);
	uint32_t gen = ebb_word_gen(row->word), state = ebb_word_state(row->word);

	if (!move || state == EBB_STATE_CLOSED)
		return 0;
	if (gen == move->gen)
		return move->episode;
	if (gen == ebb_gen_next(move->gen) && ebb_reason_to(move->reason) != EBB_STATE_CLOSED)
		return move->episode;
	return 0;
}

/* When and by whom the state in force began. */
static void find_since(struct ebb_gate_row *row, uint64_t now_ns)
{
	uint32_t gen = ebb_word_gen(row->word);
	const struct ebb_transition *move = newest(&row->memory);
	uint64_t until_ns = ebb_ticks_to_ns(ebb_word_until(row->word));

	row->until_ns = 0;
	if (row->state == EBB_STATE_OPEN && until_ns <= now_ns) {
		/* whether or not anyone calls, the state is half-open from then on */
		row->state = EBB_STATE_HALF_OPEN;
		row->since = EBB_SINCE_EXPIRED;
		row->since_ns = until_ns;
		return;
	}
	if (row->state == EBB_STATE_OPEN)
		row->until_ns = until_ns;
	if (move && (move->gen & EBB_GEN_MASK) == gen) {
		row->since = EBB_SINCE_TRANSITION;
		row->since_ns = move->at_ns;
	} else if (!move && gen == 0) {
		row->since = EBB_SINCE_START;
		row->since_ns = row->created_ns;
	} else {
		/* the pull opens for exactly the armed time */
		uint64_t open_ns = ebb_ticks_to_ns(ebb_arm_open_ticks(row->arm));

		row->since = EBB_SINCE_KERNEL;
		row->since_ns = row->state == EBB_STATE_OPEN && until_ns > open_ns ? until_ns - open_ns : 0;
	}
}

/* The policy that the gate obeys, and its mode. */
static void read_policy(const struct ebb_look *look, struct ebb_gate_row *row)
{
	const struct ebb_view *view = look->view;
	const struct ebb_policy *node = &view->policies[EBB_SLOT_OTHER];
	struct ebb_own own;

	memcpy(&row->policy, &view->policies[row->dst], sizeof(row->policy));
	if (row->gate >= view->dst_max && ebb_own_find(view, row->gate - view->dst_max, look->now_ns, &own)) {
		row->policy = own.policy;
		row->own_said = own.said;
	}
	row->mode = ebb_mode_of(&row->policy, node, row->dst, look->now_ns);
	if (row->dst == EBB_SLOT_OTHER)
		row->mode_from = EBB_MODE_CONFIGURED;
	else if (ebb_mode_said(node, look->now_ns))
		row->mode_from = EBB_MODE_BY_NODE;
	else if (ebb_mode_said(&row->policy, look->now_ns))
		row->mode_from = EBB_MODE_BY_GATE;
}

/* Limits and slots are at the gate of the destination, also for a workload that is apart. */
static void read_limits(const struct ebb_gate *gate, struct ebb_gate *io_kernel)
{
	io_kernel->in_use = gate->in_use;
	io_kernel->paced = gate->paced;
	memcpy(io_kernel->full_ns, gate->full_ns, sizeof(io_kernel->full_ns));
}

void ebb_gate_row_read(const struct ebb_look *look, uint32_t dst, uint32_t gate, struct ebb_gate_row *ret_row)
{
	const struct ebb_view *view = look->view;
	struct ebb_gate_row row = {.dst = dst, .gate = gate};
	struct ebb_verdict verdict;
	char name[EBB_DST_NAME_MAX];

	memcpy(&row.kernel, &view->gates[gate], sizeof(row.kernel));
	memcpy(&verdict, &view->verdicts[gate], sizeof(verdict));
	read_policy(look, &row);
	memcpy(&row.memory, &view->memories[gate], sizeof(row.memory));
	row.apart = gate >= view->dst_max && view->dsts[dst].scope == EBB_SCOPE_NODE;
	if (row.apart)
		read_limits(&view->gates[dst], &row.kernel);
	row.dst_epoch = view->dsts[dst].epoch;
	row.scope = gate < view->dst_max ? EBB_SCOPE_NODE : EBB_SCOPE_WORKLOAD;
	row.created_ns = gate < view->dst_max ? view->dsts[dst].created_ns
					      : view->pairs[gate - view->dst_max].created_ns;
	(void)ebb_text_escape(ebb_dst_name(view, dst, name, sizeof(name)), row.name, sizeof(row.name));

	row.arm = verdict.arm ? verdict.arm : row.policy.arm;
	row.word = ebb_word_in_force(verdict.word, row.kernel.pull);
	row.state = ebb_word_state(row.word);
	row.override = ebb_override_of(&row.policy, look->now_ns);
	row.leased = row.policy.on_agent_loss == EBB_LOSS_HOLD ||
		     ebb_age(look->now_ns, view->agent->heartbeat_ns) <= view->agent->lease_ns;
	row.fuse = ebb_fuse_now(look);
	find_since(&row, look->now_ns);
	row.episode = find_episode(&row);
	*ret_row = row;
}

bool ebb_gate_refuses(const struct ebb_gate_row *row)
{
	if (row->mode != EBB_MODE_ENFORCE)
		return false;
	if (row->override == EBB_OVERRIDE_OPEN || ebb_fuse_refuses(&row->policy, row->fuse))
		return true;
	return row->override == EBB_OVERRIDE_AUTO && row->leased && row->state != EBB_STATE_CLOSED &&
	       row->fuse != EBB_FUSE_RELEASE;
}

const char *ebb_gate_state_name(const struct ebb_gate_row *row)
{
	switch (row->override) {
	case EBB_OVERRIDE_OPEN:
		return "forced_open";
	case EBB_OVERRIDE_CLOSE:
		return "forced_closed";
	default:
		return ebb_state_name(row->state);
	}
}

double ebb_window_share(const struct ebb_gate_row *row)
{
	if (row->memory.window_ok == 0 && row->memory.window_failed == 0)
		return -1;
	return row->memory.window_ratio_ppm / 1e6;
}

/* -------------------------------------------------------------- counts -- */

static struct ebb_traffic traffic_of(const struct ebb_pair *pair)
{
	struct ebb_traffic traffic = {
		.sent_bytes = pair->sent_bytes,
		.received_bytes = pair->received_bytes,
		.sent_datagrams = pair->sent_packets,
		.retransmits = pair->retransmits,
		.adopted = pair->adopted,
		.reset = pair->reset,
	};

	for (int d = 0; d < EBB_DROP_MAX; d++) {
		traffic.dropped_bytes[d] = pair->dropped_bytes[d];
		traffic.dropped_packets[d] = pair->dropped_packets[d];
		traffic.would_drop_bytes[d] = pair->would_drop_bytes[d];
		traffic.would_drop_packets[d] = pair->would_drop_packets[d];
	}
	return traffic;
}

void ebb_traffic_add(struct ebb_traffic *io_traffic, const struct ebb_traffic *more)
{
	io_traffic->sent_bytes += more->sent_bytes;
	io_traffic->received_bytes += more->received_bytes;
	io_traffic->sent_datagrams += more->sent_datagrams;
	io_traffic->retransmits += more->retransmits;
	io_traffic->adopted += more->adopted;
	io_traffic->reset += more->reset;
	for (int d = 0; d < EBB_DROP_MAX; d++) {
		io_traffic->dropped_bytes[d] += more->dropped_bytes[d];
		io_traffic->dropped_packets[d] += more->dropped_packets[d];
		io_traffic->would_drop_bytes[d] += more->would_drop_bytes[d];
		io_traffic->would_drop_packets[d] += more->would_drop_packets[d];
	}
}

void ebb_sums_add(struct ebb_sums *io_sums, const struct ebb_pair *pair, uint32_t count_mask)
{
	struct ebb_traffic traffic = traffic_of(pair);

	ebb_traffic_add(&io_sums->traffic, &traffic);
	ebb_turns_add_pair(&io_sums->turns, pair);
	/* a gauge that went below zero while it was read is none */
	io_sums->active += pair->active > INT64_MAX ? 0 : pair->active;
	io_sums->attempts += pair->attempts;
	io_sums->local += pair->attempts > pair->syn_sent ? pair->attempts - pair->syn_sent : 0;
	for (int i = 0; i < EBB_OUTCOME_MAX; i++) {
		io_sums->outcomes[i] += pair->outcomes[i];
		if (count_mask & (1U << i))
			io_sums->failures += pair->outcomes[i];
	}
	for (int i = 0; i < EBB_CAUSE_MAX; i++) {
		io_sums->denied += pair->denied[i];
		io_sums->would_deny += pair->would_deny[i];
		io_sums->denied_by[i] += pair->denied[i];
		io_sums->would_deny_by[i] += pair->would_deny[i];
	}
}

void ebb_times_read(const struct ebb_hist *live, struct ebb_times *ret_times)
{
	struct ebb_times times = {};
	struct ebb_hist hist;

	memcpy(&hist, live, sizeof(hist));
	times.count = ebb_hist_count(&hist);
	if (times.count > 0) {
		times.mean = hist.sum_units * EBB_HIST_UNIT_NS / times.count;
		times.p50 = ebb_hist_quantile(&hist, 0.5);
		times.p90 = ebb_hist_quantile(&hist, 0.9);
		times.p95 = ebb_hist_quantile(&hist, 0.95);
		times.p99 = ebb_hist_quantile(&hist, 0.99);
		times.most = ebb_hist_quantile(&hist, 1);
	}
	*ret_times = times;
}

/* ------------------------------------------------------------ snapshot -- */

struct taking {
	const struct ebb_look *look;
	struct ebb_snapshot snapshot;
	size_t room;
	uint32_t *row_of_gate; /* its index + 1; 0: none yet. NULL: rows of one destination, see find_row() */
	const uint32_t *only;  /* its slot; NULL: all */
	uint32_t node_row;     /* index + 1 of the row of its node gate */
};

/* The index + 1 of the row of @gate; 0: none yet. Of one destination only the gate of the node is met again. */
static uint32_t find_row(const struct taking *t, uint32_t gate)
{
	if (t->row_of_gate)
		return t->row_of_gate[gate];
	return gate == *t->only ? t->node_row : 0;
}

static void remember_row(struct taking *t, uint32_t gate)
{
	if (t->row_of_gate)
		t->row_of_gate[gate] = (uint32_t)t->snapshot.count;
	else if (gate == *t->only)
		t->node_row = (uint32_t)t->snapshot.count;
}

/* The row of @gate, made when it is the first time that it is met; NULL: out of memory. */
static struct ebb_gate_row *row_of(struct taking *t, uint32_t dst, uint32_t gate, uint64_t workload)
{
	struct ebb_snapshot *s = &t->snapshot;
	struct ebb_gate_row *row;

	if (find_row(t, gate) != 0)
		return &s->rows[find_row(t, gate) - 1];
	if (s->count == t->room) {
		size_t room = t->room ? 2 * t->room : t->only ? 1 : 64;
		struct ebb_gate_row *rows = reallocarray(s->rows, room, sizeof(*rows));

		if (!rows)
			return NULL;
		s->rows = rows;
		t->room = room;
	}
	row = &s->rows[s->count];
	ebb_gate_row_read(t->look, dst, gate, row);
	if (row->scope == EBB_SCOPE_WORKLOAD) {
		row->workload_id = workload;
		row->workload = strdup(ebb_cgroup_name(t->look->names, workload));
		if (!row->workload)
			return NULL;
	}
	s->count++;
	remember_row(t, gate);
	return row;
}

/* How many slots of a table were ever in use. */
static uint32_t slots_used(uint32_t high, uint32_t max)
{
	return high < max ? high + 1 : max;
}

/* Slot 0 is ~other: nobody has to take it before it counts. */
static bool is_used(uint32_t slot, const struct ebb_pair *pair)
{
	uint64_t counted = pair->attempts + pair->adopted + pair->sent_packets;

	if (slot != EBB_SLOT_OTHER)
		return pair->state == EBB_SLOT_LIVE; /* one that is being taken back may have a successor */
	for (int i = 0; i < EBB_CAUSE_MAX; i++)
		counted += pair->denied[i];
	return counted > 0;
}

/* Adds pair @slot to the row that it belongs to. */
static int take_pair(struct taking *t, uint32_t slot)
{
	const struct ebb_view *view = t->look->view;
	struct ebb_gate_row *row;
	struct ebb_pair pair;

	memcpy(&pair, &view->pairs[slot], sizeof(pair));
	if (!is_used(slot, &pair) || (t->only && pair.dst != *t->only))
		return 0;
	if (pair.dst >= view->dst_max || pair.gate >= view->gate_max ||
	    pair.dst_epoch != view->dsts[pair.dst].epoch)
		return 0;
	if (slot != EBB_SLOT_OTHER)
		t->snapshot.pair_live++;
	if (ebb_pair_is_apart(view, &pair)) {
		row = row_of(t, pair.dst, pair.dst, 0);
		if (!row)
			return -ENOMEM;
		row->aside++;
	}
	row = row_of(t, pair.dst, pair.gate, pair.workload);
	if (!row)
		return -ENOMEM;
	ebb_sums_add(&row->sums, &pair, row->policy.count_mask);
	return 0;
}

static int take_pairs(struct taking *t)
{
	const struct ebb_view *view = t->look->view;
	uint32_t used = slots_used(view->kernel->pair_high, view->pair_max);
	int r = 0;

	for (uint32_t i = 0; i < used && r == 0; i++)
		r = take_pair(t, i);
	return r;
}

static int take_destinations(struct taking *t)
{
	const struct ebb_view *view = t->look->view;
	uint32_t used = slots_used(view->kernel->dst_high, view->dst_max);
	bool *met = calloc(view->dst_max, sizeof(*met));

	if (!met)
		return -ENOMEM;
	for (size_t i = 0; i < t->snapshot.count; i++)
		met[t->snapshot.rows[i].dst] = true;
	/* a destination that no pair counts yet still has its gate */
	for (uint32_t d = 1; d < used; d++) {
		if (view->dsts[d].state != EBB_SLOT_LIVE)
			continue;
		t->snapshot.dst_live++;
		if (!met[d] && !row_of(t, d, d, 0)) {
			free(met);
			return -ENOMEM;
		}
	}
	free(met);
	return 0;
}

/* "10.0.0.9:80" before "10.0.0.10:80": numbers by their value. */
static int by_name(const void *pa, const void *pb)
{
	const struct ebb_gate_row *a = pa, *b = pb;
	int order = strverscmp(a->name, b->name);

	if (order == 0)
		order = strcmp(a->workload ? a->workload : "", b->workload ? b->workload : "");
	return order != 0 ? order : (a->gate > b->gate) - (a->gate < b->gate);
}

static void read_times(const struct ebb_view *view, struct ebb_gate_row *row)
{
	ebb_times_read(&view->dsts[row->dst].connect, &row->connect);
	ebb_times_read(&view->dsts[row->dst].rtt, &row->rtt);
	ebb_times_read(&view->dsts[row->dst].turn, &row->turn);
}

int ebb_snapshot_take(const struct ebb_look *look, struct ebb_snapshot *ret_snapshot)
{
	const struct ebb_view *view = look->view;
	struct taking t = {.look = look};
	int r;

	t.row_of_gate = calloc(view->gate_max, sizeof(t.row_of_gate[0]));
	if (!t.row_of_gate)
		return -ENOMEM;
	r = take_pairs(&t);
	if (r == 0)
		r = take_destinations(&t);
	free(t.row_of_gate);
	if (r < 0) {
		ebb_snapshot_free(&t.snapshot);
		return r;
	}
	for (size_t i = 0; i < t.snapshot.count; i++)
		read_times(view, &t.snapshot.rows[i]);
	if (t.snapshot.count > 0)
		qsort(t.snapshot.rows, t.snapshot.count, sizeof(t.snapshot.rows[0]), by_name);
	*ret_snapshot = t.snapshot;
	return 0;
}

uint32_t ebb_snapshot_end(const struct ebb_view *view)
{
	return slots_used(view->kernel->dst_high, view->dst_max);
}

int ebb_pairs_index_new(const struct ebb_view *view, struct ebb_pairs_index *ret_index)
{
	struct ebb_pairs_index index = {
		.first = calloc(view->dst_max, sizeof(index.first[0])),
		.next = calloc(view->pair_max, sizeof(index.next[0])),
	};

	if (!index.first || !index.next) {
		ebb_pairs_index_done(&index);
		return -ENOMEM;
	}
	ebb_pairs_index_fill(view, &index);
	*ret_index = index;
	return 0;
}

void ebb_pairs_index_done(struct ebb_pairs_index *index)
{
	free(index->first);
	free(index->next);
	*index = (struct ebb_pairs_index){};
}

void ebb_pairs_index_fill(const struct ebb_view *view, struct ebb_pairs_index *index)
{
	memset(index->first, 0, view->dst_max * sizeof(index->first[0]));
	for (uint32_t i = slots_used(view->kernel->pair_high, view->pair_max); i-- > 0;) {
		uint32_t dst = view->pairs[i].dst;

		if (dst >= view->dst_max)
			continue;
		index->next[i] = index->first[dst];
		index->first[dst] = i + 1;
	}
}

int ebb_snapshot_of(const struct ebb_look *look, const struct ebb_pairs_index *index, uint32_t dst,
		    struct ebb_snapshot *ret_snapshot)
{
	const struct ebb_view *view = look->view;
	struct taking t = {.look = look, .only = &dst};
	int r = 0;

	for (uint32_t i = index->first[dst]; i != 0 && r == 0; i = index->next[i - 1])
		r = take_pair(&t, i - 1);
	/* without a pair it still has its gate */
	if (r == 0 && t.snapshot.count == 0 && dst != EBB_SLOT_OTHER &&
	    view->dsts[dst].state == EBB_SLOT_LIVE && !row_of(&t, dst, dst, 0))
		r = -ENOMEM;
	if (r < 0) {
		ebb_snapshot_free(&t.snapshot);
		return r;
	}
	for (size_t i = 0; i < t.snapshot.count; i++)
		read_times(view, &t.snapshot.rows[i]);
	*ret_snapshot = t.snapshot;
	return 0;
}

int ebb_each_pair(const struct ebb_look *look, const struct ebb_gate_row *row,
		  int (*visit)(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata),
		  void *userdata)
{
	const struct ebb_view *view = look->view;
	int r;

	for (uint32_t i = 0; i < view->pair_max && i <= view->kernel->pair_high; i++) {
		struct ebb_pair pair;

		memcpy(&pair, &view->pairs[i], sizeof(pair));
		if (pair.dst != row->dst || pair.dst_epoch != row->dst_epoch)
			continue;
		if (pair.state != EBB_SLOT_LIVE && i != EBB_SLOT_OTHER)
			continue;
		r = visit(look, &pair, userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

void ebb_snapshot_free(struct ebb_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++)
		free(snapshot->rows[i].workload);
	free(snapshot->rows);
	*snapshot = (struct ebb_snapshot){};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ULL

/* What was told of a pair; counters cut to 32 bits, whose difference is right up to 4 billion a minute. */
struct base {
	uint32_t epoch;
	uint32_t denied[EBB_CAUSE_MAX], would_deny[EBB_CAUSE_MAX], outcomes[EBB_OUTCOME_MAX];
	uint32_t ok, attempts;
	uint32_t denials;	  /* of the last look */
	uint32_t first_s, last_s; /* realtime of denials in this minute; 0: none */
};

struct row {
	uint32_t pair;
	uint32_t weight; /* denials and failures */
	uint32_t ok;
};

struct workload {
	uint64_t id; /* 0: free */
	uint32_t destinations, failing;
};

struct ebb_audit_sums {
	const struct ebb_view *view;
	uint64_t look_at_ns, minute_ends_ns;
	struct base *bases;	    /* by pair slot */
	struct row *rows;	    /* of the minute that just ended */
	struct workload *workloads; /* open addressing; a power of two, twice the pairs */
	uint32_t workload_mask;
	struct ebb_audit_sum *told; /* what next() gives */
	uint32_t told_count, told_next;
};

static uint32_t load(const __u64 *word)
{
	return (uint32_t)__atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t denials_of(const struct ebb_pair *pair)
{
	uint32_t sum = 0;

	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++)
		sum += load(&pair->denied[c]) + load(&pair->would_deny[c]);
	return sum;
}

static void take_base(struct base *base, const struct ebb_pair *pair)
{
	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++) {
		base->denied[c] = load(&pair->denied[c]);
		base->would_deny[c] = load(&pair->would_deny[c]);
	}
	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++)
		base->outcomes[o] = load(&pair->outcomes[o]);
	base->ok = load(&pair->result_ok);
	base->attempts = load(&pair->attempts);
	base->denials = denials_of(pair);
	base->epoch = pair->epoch;
}

static uint32_t high_of(const struct ebb_view *view)
{
	uint32_t high = __atomic_load_n(&view->kernel->pair_high, __ATOMIC_RELAXED) + 1;

	return high < view->pair_max ? high : view->pair_max;
}

int ebb_audit_sums_new(const struct ebb_view *view, uint64_t now_ns, struct ebb_audit_sums **ret_sums)
{
	struct ebb_audit_sums *s = calloc(1, sizeof(*s));
	uint32_t size = 16;

	if (!s)
		return -ENOMEM;
	while (size < 2 * view->pair_max)
		size *= 2;
	s->view = view;
	s->look_at_ns = now_ns;
	s->minute_ends_ns = now_ns + EBB_AUDIT_MINUTE_NS;
	s->workload_mask = size - 1;
	s->bases = calloc(view->pair_max, sizeof(*s->bases));
	s->rows = calloc(view->pair_max, sizeof(*s->rows));
	s->workloads = calloc(size, sizeof(*s->workloads));
	s->told = calloc(EBB_AUDIT_MINUTE_ROWS + 1, sizeof(*s->told));
	if (!s->bases || !s->rows || !s->workloads || !s->told) {
		ebb_audit_sums_free(s);
		return -ENOMEM;
	}
	for (uint32_t p = 0; p < high_of(view); p++)
		take_base(&s->bases[p], &view->pairs[p]);
	*ret_sums = s;
	return 0;
}

void ebb_audit_sums_free(struct ebb_audit_sums *s)
{
	if (!s)
		return;
	free(s->bases);
	free(s->rows);
	free(s->workloads);
	free(s->told);
	free(s);
}

/* ------------------------------------------------------------------- look -- */

/* Its counters begin at zero with each owner. Slot 0 is nobody's, and has one for ever. */
static bool is_used(struct ebb_audit_sums *s, uint32_t p)
{
	const struct ebb_pair *pair = &s->view->pairs[p];

	if (p != EBB_SLOT_OTHER && pair->state != EBB_SLOT_LIVE)
		return false;
	if (s->bases[p].epoch != pair->epoch) {
		memset(&s->bases[p], 0, sizeof(s->bases[p]));
		s->bases[p].epoch = pair->epoch;
	}
	return true;
}

static void note_denials(struct base *base, const struct ebb_pair *pair, uint32_t realtime_s)
{
	uint32_t denials = denials_of(pair);

	if (denials == base->denials)
		return;
	base->denials = denials;
	base->last_s = realtime_s;
	if (base->first_s == 0)
		base->first_s = realtime_s;
}

void ebb_audit_sums_look(struct ebb_audit_sums *s, uint64_t now_ns, int64_t realtime_ns)
{
	uint32_t high = high_of(s->view), realtime_s = (uint32_t)((uint64_t)realtime_ns / NS_PER_S);

	if (now_ns < s->look_at_ns)
		return;
	s->look_at_ns = now_ns + NS_PER_S;
	for (uint32_t p = 0; p < high; p++) {
		if (is_used(s, p))
			note_denials(&s->bases[p], &s->view->pairs[p], realtime_s);
	}
	if (now_ns < s->minute_ends_ns)
		return;
	/* an agent that was stopped does not tell the minutes that it slept one by one */
	s->minute_ends_ns += EBB_AUDIT_MINUTE_NS;
	if (s->minute_ends_ns <= now_ns)
		s->minute_ends_ns = now_ns + EBB_AUDIT_MINUTE_NS;
	ebb_audit_sums_close(s, realtime_ns);
}

/* ------------------------------------------------------------------ close -- */

/* enum ebb_outcome that is held against a destination by default */
static bool is_failure(uint32_t outcome)
{
	return outcome != EBB_OUTCOME_ESTABLISHED && outcome != EBB_OUTCOME_CANCELLED;
}

static uint32_t failures_since(const struct base *base, const struct ebb_pair *pair)
{
	uint32_t sum = 0;

	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++) {
		if (is_failure(o))
			sum += load(&pair->outcomes[o]) - base->outcomes[o];
	}
	return sum;
}

static uint32_t denials_since(const struct base *base, const struct ebb_pair *pair)
{
	uint32_t sum = 0;

	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++)
		sum += load(&pair->denied[c]) - base->denied[c] + load(&pair->would_deny[c]) -
		       base->would_deny[c];
	return sum;
}

/* There is always a free place: there are fewer workloads than pairs, and twice as many places. */
static struct workload *find_workload(const struct ebb_audit_sums *s, uint64_t id)
{
	uint32_t at = (uint32_t)((id * 0x9e3779b97f4a7c15ULL) >> 32) & s->workload_mask;

	while (s->workloads[at].id != 0 && s->workloads[at].id != id)
		at = (at + 1) & s->workload_mask;
	return &s->workloads[at];
}

/* What pair @p did; counted for its workload, and among the rows if there is something to tell. */
static void gather(struct ebb_audit_sums *s, uint32_t p, uint32_t *io_count)
{
	const struct ebb_pair *pair = &s->view->pairs[p];
	struct base *base = &s->bases[p];
	uint32_t attempts = load(&pair->attempts), ok = load(&pair->result_ok);
	uint32_t failures = failures_since(base, pair), denials = denials_since(base, pair);
	struct row row = {.pair = p, .weight = failures + denials, .ok = ok - base->ok};
	bool used = attempts != base->attempts || failures || row.ok;

	base->attempts = attempts;
	base->ok = ok;
	if (used && pair->workload) {
		struct workload *workload = find_workload(s, pair->workload);

		workload->id = pair->workload;
		workload->destinations++;
		workload->failing += failures && !row.ok;
	}
	if (row.weight)
		s->rows[(*io_count)++] = row;
}

static int heavier_first(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return left->weight > right->weight ? -1 : left->weight < right->weight;
}

static uint64_t since(const __u64 *word, uint32_t *io_told)
{
	uint32_t value = load(word), more = value - *io_told;

	*io_told = value;
	return more;
}

/* Adds what the row's pair did, and takes it for told. */
static void add_row(struct ebb_audit_sums *s, const struct row *row, struct ebb_audit_sum *sum)
{
	const struct ebb_pair *pair = &s->view->pairs[row->pair];
	struct base *base = &s->bases[row->pair];
	int64_t first = (int64_t)(base->first_s * NS_PER_S), last = (int64_t)(base->last_s * NS_PER_S);

	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++) {
		sum->denied[c] += since(&pair->denied[c], &base->denied[c]);
		sum->would_deny[c] += since(&pair->would_deny[c], &base->would_deny[c]);
	}
	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++)
		sum->outcomes[o] += since(&pair->outcomes[o], &base->outcomes[o]);
	sum->ok += row->ok;
	if (first && (sum->first_realtime_ns == 0 || first < sum->first_realtime_ns))
		sum->first_realtime_ns = first;
	if (last > sum->last_realtime_ns)
		sum->last_realtime_ns = last;
	base->first_s = base->last_s = 0;
}

static void tell_row(struct ebb_audit_sums *s, const struct row *row, int64_t realtime_ns)
{
	const struct ebb_pair *pair = &s->view->pairs[row->pair];
	const struct workload *workload = find_workload(s, pair->workload);
	struct ebb_audit_sum *sum = &s->told[s->told_count++];

	*sum = (struct ebb_audit_sum){
		.pair = row->pair,
		.dst = pair->dst,
		.gate = pair->gate,
		.workload = pair->workload,
		.destinations = workload->destinations,
		.failing = workload->failing,
		.until_realtime_ns = realtime_ns,
	};
	add_row(s, row, sum);
}

static void tell_others(struct ebb_audit_sums *s, const struct row *rows, uint32_t count, int64_t realtime_ns)
{
	struct ebb_audit_sum *sum = &s->told[s->told_count++];

	*sum = (struct ebb_audit_sum){.others = count, .until_realtime_ns = realtime_ns};
	for (uint32_t i = 0; i < count; i++)
		add_row(s, &rows[i], sum);
}

void ebb_audit_sums_close(struct ebb_audit_sums *s, int64_t realtime_ns)
{
	uint32_t high = high_of(s->view), count = 0, alone;

	memset(s->workloads, 0, (s->workload_mask + 1ULL) * sizeof(*s->workloads));
	for (uint32_t p = 0; p < high; p++) {
		if (is_used(s, p))
			gather(s, p, &count);
	}
	s->told_count = s->told_next = 0;
	if (count > EBB_AUDIT_MINUTE_ROWS)
		qsort(s->rows, count, sizeof(*s->rows), heavier_first);
	alone = count < EBB_AUDIT_MINUTE_ROWS ? count : EBB_AUDIT_MINUTE_ROWS;
	for (uint32_t i = 0; i < alone; i++)
		tell_row(s, &s->rows[i], realtime_ns);
	if (count > alone)
		tell_others(s, s->rows + alone, count - alone, realtime_ns);
}

bool ebb_audit_sums_next(struct ebb_audit_sums *s, struct ebb_audit_sum *ret_sum)
{
	if (s->told_next == s->told_count)
		return false;
	*ret_sum = s->told[s->told_next++];
	return true;
}

uint64_t ebb_audit_sum_failures(const struct ebb_audit_sum *sum)
{
	uint64_t count = 0;

	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++)
		count += is_failure(o) ? sum->outcomes[o] : 0;
	return count;
}

uint64_t ebb_audit_sum_denials(const struct ebb_audit_sum *sum)
{
	uint64_t count = 0;

	for (uint32_t c = 0; c < EBB_CAUSE_MAX; c++)
		count += sum->denied[c] + sum->would_deny[c];
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recounter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/recount.h"
#include "lib/cleanup.h"

#define PID_NAMESPACE_FIRST 0xEFFFFFFCU /* inode of the first one (include/linux/proc_ns.h) */

enum gauge {
	GAUGE_ACTIVE, /* by pair slot; the others by gate slot */
	GAUGE_SLOTS,
	GAUGE_PACED,
	GAUGE_MAX,
};

struct reading {
	uint64_t gauge;
	uint64_t activity;
};

struct ebb_recounter {
	struct ebb_loader *loader;
	const struct ebb_view *view;
	struct ebb_recount_past *past[GAUGE_MAX];
	struct reading *before[GAUGE_MAX], *after[GAUGE_MAX];
	struct ebb_counted *counted;
	uint64_t *gate_activity;
};

static uint32_t slots_of(const struct ebb_view *view, enum gauge gauge)
{
	return gauge == GAUGE_ACTIVE ? view->pair_max : view->gate_max;
}

int ebb_recounter_new(struct ebb_loader *loader, struct ebb_recounter **ret_recounter)
{
	struct ebb_recounter *rc = calloc(1, sizeof(*rc));
	bool complete = true;

	if (!rc)
		return -ENOMEM;
	rc->loader = loader;
	rc->view = ebb_loader_view(loader);
	for (int g = 0; g < GAUGE_MAX; g++) {
		uint32_t slots = slots_of(rc->view, (enum gauge)g);

		rc->past[g] = calloc(slots, sizeof(*rc->past[g]));
		rc->before[g] = calloc(slots, sizeof(*rc->before[g]));
		rc->after[g] = calloc(slots, sizeof(*rc->after[g]));
		complete = complete && rc->past[g] && rc->before[g] && rc->after[g];
	}
	rc->counted = calloc(rc->view->gate_max, sizeof(*rc->counted));
	rc->gate_activity = calloc(rc->view->gate_max, sizeof(*rc->gate_activity));
	if (!complete || !rc->counted || !rc->gate_activity) {
		ebb_recounter_free(rc);
		return -ENOMEM;
	}
	*ret_recounter = rc;
	return 0;
}

void ebb_recounter_free(struct ebb_recounter *recounter)
{
	if (!recounter)
		return;
	for (int g = 0; g < GAUGE_MAX; g++) {
		free(recounter->past[g]);
		free(recounter->before[g]);
		free(recounter->after[g]);
	}
	free(recounter->counted);
	free(recounter->gate_activity);
	free(recounter);
}

/* What every connection moves when it begins, and most when they end. */
static uint64_t activity_of(const struct ebb_pair *pair)
{
	uint64_t sum = pair->attempts + pair->syn_sent + pair->adopted;

	for (int i = 0; i < EBB_OUTCOME_MAX; i++)
		sum += pair->outcomes[i];
	return sum;
}

static uint64_t *place_of(const struct ebb_view *view, enum gauge gauge, uint32_t slot)
{
	switch (gauge) {
	case GAUGE_ACTIVE:
		return (uint64_t *)&view->pairs[slot].active;
	case GAUGE_SLOTS:
		return (uint64_t *)&view->gates[slot].in_use;
	default:
		return (uint64_t *)&view->gates[slot].paced;
	}
}

static void read_all(struct ebb_recounter *rc, struct reading *readings[GAUGE_MAX])
{
	const struct ebb_view *view = rc->view;
	/* those who found no pair of their own may hold a slot of any gate */
	uint64_t other = activity_of(&view->pairs[EBB_SLOT_OTHER]);

	for (uint32_t g = 0; g < view->gate_max; g++)
		rc->gate_activity[g] = other;
	for (uint32_t p = 0; p < view->pair_max; p++) {
		uint64_t activity;
		uint32_t gate;

		if (view->pairs[p].state == EBB_SLOT_FREE)
			continue;
		activity = activity_of(&view->pairs[p]);
		readings[GAUGE_ACTIVE][p].activity = activity;
		gate = ebb_pair_limits_gate(view, &view->pairs[p]);
		if (gate < view->gate_max)
			rc->gate_activity[gate] += activity;
	}
	for (int g = 0; g < GAUGE_MAX; g++) {
		uint32_t slots = slots_of(view, (enum gauge)g);

		for (uint32_t slot = 0; slot < slots; slot++) {
			readings[g][slot].gauge =
				__atomic_load_n(place_of(view, (enum gauge)g, slot), __ATOMIC_RELAXED);
			if (g != GAUGE_ACTIVE)
				readings[g][slot].activity = rc->gate_activity[slot];
		}
	}
}

static uint32_t epoch_of(const struct ebb_view *view, enum gauge gauge, uint32_t slot)
{
	if (gauge == GAUGE_ACTIVE)
		return view->pairs[slot].epoch;
	return slot < view->dst_max ? view->dsts[slot].epoch : view->pairs[slot - view->dst_max].epoch;
}

static uint32_t seen_of(const struct ebb_counted *counted, enum gauge gauge)
{
	switch (gauge) {
	case GAUGE_ACTIVE:
		return counted->active;
	case GAUGE_SLOTS:
		return counted->slots;
	default:
		return counted->paced;
	}
}

/* Programs move it at the same time; it does not go below zero. */
static void move(uint64_t *gauge, int64_t by)
{
	uint64_t old = __atomic_load_n(gauge, __ATOMIC_RELAXED), new;

	do {
		new = by < 0 && old < (uint64_t)-by ? 0 : old + (uint64_t)by;
	} while (!__atomic_compare_exchange_n(gauge, &old, new, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static void judge(struct ebb_recounter *rc, enum gauge gauge, uint32_t slot, bool complete,
		  struct ebb_recounted *sum)
{
	const struct reading *before = &rc->before[gauge][slot], *after = &rc->after[gauge][slot];
	const struct ebb_recount_facts facts = {
		.before = before->gauge,
		.after = after->gauge,
		.activity_before = before->activity,
		.activity_after = after->activity,
		.seen = seen_of(&rc->counted[slot], gauge),
		.epoch = epoch_of(rc->view, gauge, slot),
		.exact = gauge != GAUGE_ACTIVE,
		.complete = complete,
	};
	struct ebb_recount_past *past = &rc->past[gauge][slot];
	int64_t by;

	/* most slots: nothing to judge, and their memory is never touched */
	if (facts.after == facts.seen && past->times == 0)
		return;
	by = ebb_recount_judge(past, &facts);
	if (by == 0)
		return;
	move(place_of(rc->view, gauge, slot), by);
	__atomic_fetch_add(&rc->view->kernel->errors[EBB_ERR_GAUGE_CORRECTED], 1, __ATOMIC_RELAXED);
	sum->gauges++;
	if (by > 0)
		sum->up += (uint64_t)by;
	else
		sum->down += (uint64_t)-by;
}

int ebb_recounter_run(struct ebb_recounter *recounter, bool whole, struct ebb_recounted *ret_recounted,
		      struct ebb_why *why)
{
	struct ebb_recounter *rc = recounter;
	struct ebb_recounted sum = {0};
	struct ebb_counting counting;
	bool complete;
	int r;

	read_all(rc, rc->before);
	r = ebb_loader_recount(rc->loader, rc->counted, &counting, why);
	if (r < 0)
		return r;
	read_all(rc, rc->after);
	complete = whole && counting.hidden == 0;
	for (int g = 0; g < GAUGE_MAX; g++) {
		uint32_t slots = slots_of(rc->view, (enum gauge)g);

		/* what may have been counted twice is no witness */
		if (g == GAUGE_ACTIVE && counting.left_out)
			continue;
		for (uint32_t slot = 0; slot < slots; slot++)
			judge(rc, (enum gauge)g, slot, complete, &sum);
	}
	sum.hidden = counting.hidden;
	*ret_recounted = sum;
	return 0;
}

bool ebb_recounter_sees_all(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == PID_NAMESPACE_FIRST;
}

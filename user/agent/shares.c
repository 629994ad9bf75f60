/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shares.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"

int ebb_shares_lost(const struct ebb_share_ops *ops, uint64_t workload)
{
	uint64_t lost = 0;
	int r = ops->get_lost(ops->userdata, workload, &lost);

	return r < 0 ? r : ops->put_lost(ops->userdata, workload, lost + 1);
}

struct recount {
	const struct ebb_view *view;
	const struct ebb_share_ops *ops;
};

static int recount_one(void *argument, uint64_t workload, const uint64_t *count)
{
	const struct recount *rc = argument;
	uint32_t high = rc->view->kernel->dst_high;
	uint64_t held = 0, lost = 0;
	int r;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= high && d < rc->view->dst_max; d++) {
		if (rc->view->dsts[d].state != EBB_SLOT_FREE && rc->view->dsts[d].finder == workload)
			held++;
	}
	r = rc->ops->get_lost(rc->ops->userdata, workload, &lost);
	if (r < 0 || *count - lost == held)
		return r;
	return rc->ops->put_lost(rc->ops->userdata, workload, *count - held);
}

int ebb_shares_recount(const struct ebb_view *view, const struct ebb_share_ops *ops)
{
	struct recount rc = {.view = view, .ops = ops};

	return ops->each_found(ops->userdata, recount_one, &rc);
}

struct sweep {
	const struct ebb_share_ops *ops;
	bool (*gone)(void *userdata, uint64_t workload);
	void *userdata;
	int forgotten;
};

static int sweep_one(struct sweep *s, uint64_t workload, uint64_t found, uint64_t lost)
{
	int r;

	if ((int64_t)(found - lost) > 0 || !s->gone(s->userdata, workload))
		return 0;
	r = s->ops->forget(s->ops->userdata, workload);
	if (r == 0)
		s->forgotten++;
	return r;
}

static int sweep_found(void *argument, uint64_t workload, const uint64_t *count)
{
	struct sweep *s = argument;
	uint64_t lost = 0;
	int r = s->ops->get_lost(s->ops->userdata, workload, &lost);

	return r < 0 ? r : sweep_one(s, workload, *count, lost);
}

static int sweep_lost(void *argument, uint64_t workload, const uint64_t *count)
{
	struct sweep *s = argument;
	uint64_t found = 0;
	int r = s->ops->get_found(s->ops->userdata, workload, &found);

	return r < 0 ? r : sweep_one(s, workload, found, *count);
}

int ebb_shares_sweep(const struct ebb_share_ops *ops, bool (*gone)(void *userdata, uint64_t workload),
		     void *userdata)
{
	struct sweep s = {.ops = ops, .gone = gone, .userdata = userdata};
	int r;

	r = ops->each_found(ops->userdata, sweep_found, &s);
	/* of a workload whose last destination went after its other entry did */
	if (r == 0)
		r = ops->each_lost(ops->userdata, sweep_lost, &s);
	return r < 0 ? r : s.forgotten;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/shares.c: who holds how many destinations (ruling 8). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/shares.h"
#include "tests/lib/fake_view.h"

#define WORKLOADS 8 /* numbers below */
#define NONE	  UINT64_MAX

struct world {
	uint64_t found[WORKLOADS], lost[WORKLOADS]; /* NONE: no entry */
	bool gone[WORKLOADS];
};

static int each(uint64_t *counts, int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
		void *argument)
{
	for (uint64_t w = 0; w < WORKLOADS; w++) {
		int r = counts[w] == NONE ? 0 : handle(argument, w, &counts[w]);

		if (r)
			return r;
	}
	return 0;
}

static int each_found(void *userdata, int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
		      void *argument)
{
	return each(((struct world *)userdata)->found, handle, argument);
}

static int each_lost(void *userdata, int (*handle)(void *argument, uint64_t workload, const uint64_t *count),
		     void *argument)
{
	return each(((struct world *)userdata)->lost, handle, argument);
}

static int get_found(void *userdata, uint64_t workload, uint64_t *ret_count)
{
	const struct world *w = userdata;

	*ret_count = w->found[workload] == NONE ? 0 : w->found[workload];
	return 0;
}

static int get_lost(void *userdata, uint64_t workload, uint64_t *ret_count)
{
	const struct world *w = userdata;

	*ret_count = w->lost[workload] == NONE ? 0 : w->lost[workload];
	return 0;
}

static int put_lost(void *userdata, uint64_t workload, uint64_t count)
{
	((struct world *)userdata)->lost[workload] = count;
	return 0;
}

static int forget(void *userdata, uint64_t workload)
{
	struct world *w = userdata;

	w->found[workload] = w->lost[workload] = NONE;
	return 0;
}

static bool gone(void *userdata, uint64_t workload)
{
	return ((const struct world *)userdata)->gone[workload];
}

static struct world world;
static const struct ebb_share_ops ops = {
	.userdata = &world,
	.each_found = each_found,
	.each_lost = each_lost,
	.get_found = get_found,
	.get_lost = get_lost,
	.put_lost = put_lost,
	.forget = forget,
};

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	for (int w = 0; w < WORKLOADS; w++)
		world.found[w] = world.lost[w] = NONE;
	return 0;
}

static void what_was_taken_back_is_added_up(void **state)
{
	(void)state;
	assert_int_equal(ebb_shares_lost(&ops, 3), 0);
	assert_int_equal(ebb_shares_lost(&ops, 3), 0);
	assert_int_equal(world.lost[3], 2);
	assert_int_equal(world.lost[4], NONE);
}

static void restart_counts_what_is_there(void **state)
{
	struct ebb_view view = fake_view_new(16, 4);

	(void)state;
	view.kernel->dst_high = 12;
	for (uint32_t d = 1; d <= 10; d++) {
		view.dsts[d].state = d == 9 ? EBB_SLOT_RETIRING : EBB_SLOT_LIVE;
		view.dsts[d].finder = d <= 4 ? 1 : 2;
	}
	view.dsts[11].finder = 2; /* free: nobody's */
	world.found[1] = 4;	  /* right as it is */
	world.found[2] = 20;	  /* 14 were taken back while nobody counted */
	world.lost[2] = 3;
	world.found[5] = 7; /* has nothing any more */
	assert_int_equal(ebb_shares_recount(&view, &ops), 0);
	assert_int_equal(world.lost[1], NONE);
	assert_int_equal(world.lost[2], 14);
	assert_int_equal(world.lost[5], 7);
	fake_view_free(&view);
}

static void those_that_hold_nothing_and_are_gone_are_forgotten(void **state)
{
	(void)state;
	world.found[1] = 5; /* gone, and holds some still */
	world.lost[1] = 4;
	world.gone[1] = true;
	world.found[2] = 5; /* gone */
	world.lost[2] = 5;
	world.gone[2] = true;
	world.found[3] = 5; /* lives */
	world.lost[3] = 5;
	world.lost[4] = 1; /* what was left of one that is gone */
	world.gone[4] = true;
	assert_int_equal(ebb_shares_sweep(&ops, gone, &world), 2);
	assert_int_equal(world.found[1], 5);
	assert_int_equal(world.found[2], NONE);
	assert_int_equal(world.lost[2], NONE);
	assert_int_equal(world.found[3], 5);
	assert_int_equal(world.lost[4], NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_taken_back_is_added_up, set_up),
		cmocka_unit_test_setup(restart_counts_what_is_there, set_up),
		cmocka_unit_test_setup(those_that_hold_nothing_and_are_gone_are_forgotten, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

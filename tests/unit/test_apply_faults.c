/* SPDX-License-Identifier: Apache-2.0 */
/* agent/apply.c without memory: a configuration is in force in whole, or the one before it is, and no slot is lost. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/apply.h"
#include "tests/lib/fake_mapping.h"
#include "tests/lib/fake_view.h"
#include "tests/lib/faults.h"

#define DSTS  12
#define PAIRS 8
#define NOW   (1000 * 1000000000ULL)

struct world {
	struct ebb_view view;
	struct fake_slots slots;
	size_t prefix_count, staged_count, replaced;
	int refuse; /* the routes, with this errno */
};

/* What the kernel and operators see of it. */
struct sight {
	struct ebb_policy policies[DSTS];
	struct ebb_dst dsts[DSTS];
	struct ebb_name names[DSTS];
	size_t free_count, replaced;
};

static int take_slot(void *userdata, uint32_t *ret_slot)
{
	struct world *w = userdata;

	if (fake_slots_take(&w->slots, ret_slot) < 0)
		return -ENOENT;
	if (*ret_slot > w->view.kernel->dst_high)
		w->view.kernel->dst_high = *ret_slot;
	return 0;
}

static int give_slot_back(void *userdata, uint32_t slot)
{
	fake_slots_give_back(&((struct world *)userdata)->slots, slot);
	return 0;
}

static int stage_routes(void *userdata, const struct ebb_route_table *table, struct ebb_why *why)
{
	struct world *w = userdata;

	(void)why;
	w->staged_count = table->prefix_count;
	return 0;
}

static void unstage_routes(void *userdata)
{
	(void)userdata;
}

static int swap_routes(void *userdata, struct ebb_why *why)
{
	struct world *w = userdata;

	if (w->refuse)
		return ebb_why(why, w->refuse, "refused by the test");
	w->prefix_count = w->staged_count;
	w->replaced++;
	return 0;
}

static struct ebb_config *parse(const char *text)
{
	struct ebb_problems problems;
	struct ebb_config *config;

	if (ebb_config_parse(text, strlen(text), &config, &problems) < 0)
		fail_msg("%s", problems.list[0].text);
	return config;
}

static void look(const struct world *w, struct sight *ret_sight)
{
	memset(ret_sight, 0, sizeof(*ret_sight));
	memcpy(ret_sight->policies, w->view.policies, sizeof(ret_sight->policies));
	memcpy(ret_sight->dsts, w->view.dsts, sizeof(ret_sight->dsts));
	memcpy(ret_sight->names, w->view.names, sizeof(ret_sight->names));
	/* what is in a free slot nobody reads */
	for (uint32_t d = 0; d < DSTS; d++) {
		if (w->view.dsts[d].state != EBB_SLOT_LIVE) {
			memset(&ret_sight->dsts[d], 0, sizeof(ret_sight->dsts[d]));
			memset(&ret_sight->names[d], 0, sizeof(ret_sight->names[d]));
		}
	}
	ret_sight->free_count = w->slots.count;
	ret_sight->replaced = w->replaced;
}

static bool has_name(const struct world *w, const char *name)
{
	for (uint32_t d = 1; d < DSTS; d++) {
		if (w->view.dsts[d].state == EBB_SLOT_LIVE && strcmp(w->view.names[d].text, name) == 0)
			return true;
	}
	return false;
}

static const char before[] = "mode: enforce\n"
			     "destinations:\n"
			     "  - {name: stays, match: [{cidr: 10.0.0.0/8, port: 443}]}\n"
			     "  - {name: goes, match: [{cidr: 10.1.0.0/16}]}\n";
static const char after[] =
	"mode: enforce\n"
	"destinations:\n"
	"  - {name: stays, match: [{cidr: 10.0.0.0/8, port: 443}], limits: {connects: 5/s}}\n"
	"  - {name: comes, match: [{cidr: 10.2.0.0/16}, {port: 5432}]}\n"
	"  - {name: too, match: [{host: a.example}]}\n";

/* @faults fail while @after follows @before; @refuse: the routes are refused then. */
static void change(struct faults *faults, int refuse)
{
	const struct ebb_apply_ops ops = {.take_slot = take_slot,
					  .give_slot_back = give_slot_back,
					  .stage_routes = stage_routes,
					  .unstage_routes = unstage_routes,
					  .swap_routes = swap_routes,
					  .get_endpoint = fake_no_endpoint,
					  .put_endpoint = fake_endpoint_put,
					  .remove_endpoint = fake_endpoint_remove,
					  .mapping_changed = fake_mapping_changed};
	struct ebb_config *was = parse(before), *is = parse(after);
	struct world w = {.view = fake_view_new(DSTS, PAIRS)};
	struct ebb_apply_ops with_world = ops;
	struct ebb_apply_report report = {0};
	struct sight sight, sight_after;
	struct ebb_apply *apply = NULL;
	struct ebb_why why = {{0}};
	int r;

	for (uint32_t slot = DSTS - 1; slot > 0; slot--)
		fake_slots_give_back(&w.slots, slot);
	with_world.userdata = &w;
	assert_int_equal(ebb_apply_new(&w.view, &with_world, true, true, &apply), 0);
	assert_int_equal(ebb_apply_prepare(apply, was, &why), 0);
	assert_int_equal(ebb_apply_work_out(apply, &why), 0);
	(void)ebb_apply_mark(apply);
	assert_int_equal(ebb_apply_commit(apply, NOW, &report, &why), 0);
	ebb_apply_settle(apply, NOW + 2000000000ULL);
	look(&w, &sight);

	faults_on(faults);
	r = ebb_apply_prepare(apply, is, &why);
	if (r == 0)
		r = ebb_apply_work_out(apply, &why);
	if (r == 0) {
		(void)ebb_apply_mark(apply);
		w.refuse = refuse;
		r = ebb_apply_commit(apply, NOW, &report, &why);
		w.refuse = 0;
	}
	faults_off(faults);
	ebb_apply_settle(apply, NOW + 4000000000ULL);

	if (r < 0) {
		assert_true(refuse || r == -ENOMEM);
		assert_true(refuse || faults->hit > 0);
		assert_true(why.text[0] != '\0');
		ebb_apply_drop(apply);
		look(&w, &sight_after);
		assert_memory_equal(&sight, &sight_after, sizeof(sight));
		assert_ptr_equal(ebb_apply_config(apply), was);
		/* and then there is memory again */
		assert_int_equal(ebb_apply_prepare(apply, is, &why), 0);
		assert_int_equal(ebb_apply_work_out(apply, &why), 0);
		(void)ebb_apply_mark(apply);
		assert_int_equal(ebb_apply_commit(apply, NOW, &report, &why), 0);
	}
	assert_ptr_equal(ebb_apply_config(apply), is);
	assert_true(has_name(&w, "stays") && has_name(&w, "comes") && has_name(&w, "too"));
	assert_int_equal(w.slots.count, sight.free_count - 2);
	assert_int_equal(w.replaced, 2);
	ebb_apply_free(apply);
	fake_view_free(&w.view);
	ebb_config_free(was);
	ebb_config_free(is);
}

static void a_change_without_memory_is_whole_or_none(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults))
		change(&faults, 0);
	assert_true(faults.places > 12);
}

/* Taking it back needs no memory. */
static void a_change_that_the_kernel_refuses_is_taken_back_without_memory(void **state)
{
	struct faults faults = {.kinds = FAULT_MEMORY, .error = ENOMEM};

	(void)state;
	while (faults_next(&faults))
		change(&faults, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_without_memory_is_whole_or_none),
		cmocka_unit_test(a_change_that_the_kernel_refuses_is_taken_back_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

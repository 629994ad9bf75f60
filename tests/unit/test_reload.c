/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user/agent/reload.c: a changed file is read and worked out beside the loop; between two of its steps what was in force is in
 * force, as a whole. Over maps in plain memory.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "agent/reload.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "tests/lib/fake_mapping.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/temp_dir.h"

#define SLOTS	    8
#define PATIENCE_MS 60000

struct world {
	struct fake *fake;
	struct ebb_apply *apply;
	struct ebb_reload *reload;
	struct ebb_config_sources sources;
	char dir[TEMP_DIR_MAX], path[96], lock[96];
	struct fake_slots slots;
	size_t staged, swapped, swept, configured, rejected;
	bool is_staged;
};

static int take_slot(void *userdata, uint32_t *ret_slot)
{
	return fake_slots_take(&((struct world *)userdata)->slots, ret_slot);
}

static int give_slot_back(void *userdata, uint32_t slot)
{
	fake_slots_give_back(&((struct world *)userdata)->slots, slot);
	return 0;
}

static int stage_routes(void *userdata, const struct ebb_route_table *table, struct ebb_why *why)
{
	struct world *w = userdata;

	(void)table;
	(void)why;
	w->staged++;
	w->is_staged = true;
	return 0;
}

static void unstage_routes(void *userdata)
{
	((struct world *)userdata)->is_staged = false;
}

static int swap_routes(void *userdata, struct ebb_why *why)
{
	struct world *w = userdata;

	(void)why;
	assert_true(w->is_staged);
	w->is_staged = false;
	w->swapped++;
	return 0;
}

static void sweep(void *userdata)
{
	((struct world *)userdata)->swept++;
}

static bool remember(void *userdata)
{
	(void)userdata;
	return false;
}

static void configured(void *userdata, const struct ebb_config *config, const struct ebb_apply_report *report)
{
	(void)config;
	(void)report;
	((struct world *)userdata)->configured++;
}

static void rejected(void *userdata, const char *why)
{
	(void)why;
	((struct world *)userdata)->rejected++;
}

static void write_file(const struct world *w, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(w->path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

#define ONE(address) "mode: enforce\ndestinations: [{name: api, match: [{cidr: " address "}]}]\n"

static void start(struct world *w)
{
	const struct ebb_apply_ops ops = {
		.userdata = w,
		.take_slot = take_slot,
		.give_slot_back = give_slot_back,
		.stage_routes = stage_routes,
		.unstage_routes = unstage_routes,
		.swap_routes = swap_routes,
		.get_endpoint = fake_no_endpoint,
		.put_endpoint = fake_endpoint_put,
		.remove_endpoint = fake_endpoint_remove,
		.mapping_changed = fake_mapping_changed,
	};
	const struct ebb_reload_setup setup = {
		.pin_dir = w->dir,
		.sources = &w->sources,
		.source = &w->fake->source,
		.health = &w->fake->health,
		.now_ns = fake_now,
		.realtime_ns = fake_realtime,
		.userdata = w,
		.sweep = sweep,
		.remember = remember,
		.configured = configured,
		.rejected = rejected,
	};
	struct ebb_reload_setup with_apply = setup;
	struct ebb_apply_report report;
	struct ebb_problems problems;
	struct ebb_config *config;
	struct ebb_why why = {0};

	write_file(w, ONE("10.1.0.0/16"));
	assert_int_equal(ebb_config_load(&w->sources, &config, &problems), 0);
	assert_int_equal(ebb_apply_new(&w->fake->view, &ops, true, true, &w->apply), 0);
	assert_int_equal(ebb_apply_prepare(w->apply, config, &why), 0);
	assert_int_equal(ebb_apply_work_out(w->apply, &why), 0);
	assert_int_equal(ebb_apply_commit(w->apply, fake_now(), &report, &why), 0);
	with_apply.apply = w->apply;
	assert_int_equal(ebb_reload_new(&with_apply, config, &w->reload), 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	ebb_log_set_level(EBB_LOG_ERROR);
	w->fake = fake_new(SLOTS, SLOTS);
	for (uint32_t slot = SLOTS - 1; slot > 0; slot--)
		fake_slots_give_back(&w->slots, slot);
	assert_int_equal(temp_dir_make("reload", w->dir), 0);
	(void)snprintf(w->path, sizeof(w->path), "%s/ebb.yaml", w->dir);
	(void)snprintf(w->lock, sizeof(w->lock), "%s/lock_policy", w->dir);
	assert_int_equal(mkdir(w->lock, 0700), 0);
	w->sources.path = w->path;
	start(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_reload_free(w->reload);
	ebb_apply_free(w->apply);
	fake_free(w->fake);
	(void)temp_dir_remove(w->dir);
	free(w);
	return 0;
}

/* As the loop does it, once: what is done beside it is taken up. */
static void take_up(const struct world *w)
{
	struct pollfd fd = {.fd = ebb_reload_work_fd(w->reload), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	ebb_reload_worked(w->reload);
}

static void run_to_end(const struct world *w)
{
	while (!ebb_reload_is_done(w->reload))
		take_up(w);
}

static uint32_t limit_of(const struct world *w)
{
	return w->fake->view.policies[ebb_apply_ref(w->apply, 0).slot].limits.concurrent;
}

static void nothing_is_in_force_before_the_last_step(void **state)
{
	struct world *w = *state;

	write_file(w,
		   "mode: enforce\ndestinations: [{name: api, match: [{cidr: 10.2.0.0/16}], limits: {concurrent: 7}}]\n");
	ebb_reload_now(w->reload, "test");
	for (int steps = 0; steps < 2; steps++) {
		assert_int_equal(w->configured, 0);
		assert_int_equal(limit_of(w), 0);
		assert_int_equal(w->swapped, 1);
		assert_false(ebb_reload_is_done(w->reload));
		take_up(w);
	}
	assert_int_equal(w->configured, 1);
	assert_int_equal(limit_of(w), 7);
	assert_int_equal(w->staged, 2);
	assert_int_equal(w->swapped, 2);
	/* in force; what was is swept up */
	assert_true(ebb_reload_is_done(w->reload));
	take_up(w);
	assert_int_equal(w->swept, 1);
}

static void routes_that_stay_are_neither_written_nor_swept(void **state)
{
	struct world *w = *state;

	write_file(w,
		   "mode: enforce\ndestinations: [{name: api, match: [{cidr: 10.1.0.0/16}], limits: {concurrent: 7}}]\n");
	ebb_reload_now(w->reload, "test");
	run_to_end(w);
	assert_int_equal(limit_of(w), 7);
	assert_int_equal(w->staged, 1);
	assert_int_equal(w->swept, 0);
}

static void what_changes_meanwhile_is_read_after_it(void **state)
{
	struct world *w = *state;

	write_file(w, "destinations: [{name: api, match: [{cidr: 10.2.0.0/16}], limits: {concurrent: 7}}]\n");
	ebb_reload_now(w->reload, "test");
	take_up(w);
	write_file(w, "destinations: [{name: api, match: [{cidr: 10.3.0.0/16}], limits: {concurrent: 8}}]\n");
	ebb_reload_now(w->reload, "test");
	take_up(w);
	assert_int_equal(w->configured, 1);
	assert_false(ebb_reload_is_done(w->reload));
	take_up(w); /* swept */
	assert_false(ebb_reload_again(w->reload));
	run_to_end(w);
	assert_int_equal(w->configured, 2);
	assert_int_equal(limit_of(w), 8);
}

static void what_is_wrong_is_told_and_the_old_one_goes_on(void **state)
{
	struct world *w = *state;

	ebb_log_set_level(EBB_LOG_ERROR);
	write_file(w, "mode: none\n");
	ebb_reload_now(w->reload, "test");
	assert_int_equal(w->rejected, 0);
	run_to_end(w);
	assert_int_equal(w->rejected, 1);
	assert_int_equal(w->configured, 0);
	assert_string_equal(ebb_apply_config(w->apply)->destinations[0].name, "api");
	/* no room: of eight slots one is ~other's, and one is taken */
	write_file(w,
		   "destinations: [{name: a, match: [{port: 1}]}, {name: b, match: [{port: 2}]}, {name: c, match: [{port: 3}]}, {name: d, match: [{port: 4}]}, {name: e, match: [{port: 5}]}, {name: f, match: [{port: 6}]}, {name: g, match: [{port: 7}]}]\n");
	ebb_reload_now(w->reload, "test");
	run_to_end(w);
	assert_int_equal(w->rejected, 2);
	assert_int_equal(w->slots.count, SLOTS - 2);
	write_file(w, ONE("10.2.0.0/16"));
	ebb_reload_now(w->reload, "test");
	run_to_end(w);
	assert_int_equal(w->configured, 1);
}

static void a_command_that_writes_is_waited_for(void **state)
{
	struct world *w = *state;
	int lock = -1;

	assert_int_equal(ebb_policies_lock(w->dir, 0, &lock, NULL), 0);
	write_file(w, ONE("10.2.0.0/16"));
	ebb_reload_now(w->reload, "test");
	take_up(w);
	assert_true(ebb_reload_again(w->reload));
	assert_int_equal(close(lock), 0);
	assert_false(ebb_reload_again(w->reload));
	assert_int_equal(ebb_policies_lock(w->dir, 0, &lock, NULL), 0);
	take_up(w);
	assert_true(ebb_reload_again(w->reload));
	assert_int_equal(w->configured, 0);
	assert_int_equal(close(lock), 0);
	assert_false(ebb_reload_again(w->reload));
	assert_int_equal(w->configured, 1);
}

/* In whichever step: what is under way is waited for, and nothing of it is left. */
static void it_can_end_in_any_step(void **state)
{
	struct world *w = *state;

	for (int steps = 0; steps <= 3; steps++) {
		if (steps > 0)
			assert_int_equal(set_up(state), 0);
		w = *state;
		write_file(w,
			   "destinations: [{name: api, match: [{cidr: 10.2.0.0/16}]}, {name: new, match: [{port: 81}]}]\n");
		ebb_reload_now(w->reload, "test");
		for (int i = 0; i < steps; i++)
			take_up(w);
		ebb_reload_free(TAKE_PTR(w->reload));
		assert_false(w->is_staged);
		assert_int_equal(w->slots.count, w->configured ? SLOTS - 3 : SLOTS - 2);
		if (steps < 3)
			(void)tear_down(state);
	}
}

int main(void)
{
#define reload_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		reload_test(nothing_is_in_force_before_the_last_step),
		reload_test(routes_that_stay_are_neither_written_nor_swept),
		reload_test(what_changes_meanwhile_is_read_after_it),
		reload_test(what_is_wrong_is_told_and_the_old_one_goes_on),
		reload_test(a_command_that_writes_is_waited_for),
		reload_test(it_can_end_in_any_step),
	};

	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}

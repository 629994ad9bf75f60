/* SPDX-License-Identifier: Apache-2.0 */
/* user/agent/checks.c: what is found, when, and what becomes of what somebody took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/checks.h"
#include "tests/lib/fake_source.h"

#define S     1000000000ULL
#define LINKS 8

/* A kernel that loses what a test says, and an operator who is told. */
struct world {
	struct fake *fake;
	struct ebb_troubles troubles;
	struct ebb_checks *checks;

	struct ebb_lost links[LINKS], pins[4];
	size_t link_count, pin_count;
	int link_result, pin_result; /* of putting right */
	int attached, attach_failures, restored, restore_failures;
	bool was_unhealthy; /* when a program was attached again */

	int lost, back;
	char component[32], why[160], first[32];
	uint64_t lasted_ns;
};

static size_t links_lost(void *userdata, struct ebb_lost ret_lost[EBB_LINKS_MAX], size_t *ret_wanted)
{
	const struct world *w = userdata;

	memcpy(ret_lost, w->links, w->link_count * sizeof(ret_lost[0]));
	*ret_wanted = LINKS;
	return w->link_count;
}

static int link_mend(void *userdata, const struct ebb_lost *lost, struct ebb_why *why)
{
	struct world *w = userdata;

	(void)lost;
	if (w->link_result == 0)
		w->link_count--;
	return w->link_result ? ebb_why(why, w->link_result, "no cgroup") : 0;
}

static size_t pins_lost(void *userdata, struct ebb_lost ret_lost[EBB_PINS_LOST_MAX])
{
	const struct world *w = userdata;

	memcpy(ret_lost, w->pins, w->pin_count * sizeof(ret_lost[0]));
	return w->pin_count;
}

static int pin_mend(void *userdata, const struct ebb_lost *lost, struct ebb_why *why)
{
	struct world *w = userdata;
	bool possible = w->pin_result == 0 && lost->how != EBB_LOST_REPLACED;

	if (possible)
		w->pin_count--;
	return !possible ? ebb_why(why, -EBUSY, "no directory") : 0;
}

static void link_attached(void *userdata, const struct ebb_lost *lost, int r, const char *why)
{
	struct world *w = userdata;

	(void)lost;
	assert_int_equal(r < 0, why[0] != '\0');
	w->attached += r == 0;
	w->attach_failures += r < 0;
	w->was_unhealthy = w->fake->health.entries[EBB_HEALTH_PROGRAMS].state == EBB_UNHEALTHY;
}

static void pins_restored(void *userdata, const struct ebb_lost *lost, size_t count, int r, const char *why)
{
	struct world *w = userdata;

	assert_int_equal(r < 0, why[0] != '\0');
	(void)snprintf(w->first, sizeof(w->first), "%s", lost->name);
	w->restored += r == 0 ? (int)count : 0;
	w->restore_failures += r < 0;
}

static void enforcement(void *userdata, const struct ebb_enforcement_news *news)
{
	struct world *w = userdata;

	w->lost += news->lost;
	w->back += !news->lost;
	if (news->lost) {
		(void)snprintf(w->component, sizeof(w->component), "%s", news->component);
		(void)snprintf(w->why, sizeof(w->why), "%s", news->why);
	} else {
		w->lasted_ns = news->lasted_ns;
	}
}

static int set_up(void **state)
{
	struct world *w = fake_zeroed(1, sizeof(*w));
	struct ebb_checks_setup setup = {
		.health = NULL,
		.seed = 42,
		.now_ns = fake_now,
		.realtime_ns = fake_realtime,
		.userdata = w,
		.links_lost = links_lost,
		.link_mend = link_mend,
		.pins_lost = pins_lost,
		.pin_mend = pin_mend,
		.link_attached = link_attached,
		.pins_restored = pins_restored,
		.enforcement = enforcement,
	};

	w->fake = fake_new(21, 41);
	w->fake->view.agent->lease_ns = 30 * S;
	setup.view = &w->fake->view;
	setup.health = &w->fake->health;
	setup.troubles = &w->troubles;
	if (ebb_checks_new(&setup, &w->checks) < 0)
		return -1;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ebb_checks_free(w->checks);
	fake_free(w->fake);
	free(w);
	return 0;
}

static const struct ebb_health_entry *entry(const struct world *w, enum ebb_health_component component)
{
	return &w->fake->health.entries[component];
}

/* An agent that ticks each second. */
static void pass(struct world *w, uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds; i++) {
		fake_now_ns += S;
		w->fake->view.agent->heartbeat_ns = fake_now_ns;
		ebb_checks_run(w->checks);
	}
}

static void lose_link(struct world *w, const char *name)
{
	w->links[w->link_count++] = (struct ebb_lost){name, EBB_LOST_DETACHED};
}

/* ------------------------------------------------------------------ tests -- */

static void everything_is_checked_at_once_and_then_in_its_time(void **state)
{
	struct world *w = *state;

	w->fake->view.agent->fuse = EBB_FUSE_ALERT;
	w->fake->view.agent->fuse_open = 3;
	w->fake->view.agent->fuse_active = 4;
	ebb_checks_run(w->checks);
	assert_int_equal(entry(w, EBB_HEALTH_FUSE)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_FUSE)->why, "3 of 4"));
	/* the last result is told, until it is looked at again */
	w->fake->view.agent->fuse = EBB_FUSE_OFF;
	ebb_checks_run(w->checks);
	assert_int_equal(entry(w, EBB_HEALTH_FUSE)->state, EBB_DEGRADED);
	pass(w, 1);
	assert_int_equal(entry(w, EBB_HEALTH_FUSE)->state, EBB_HEALTHY);
	assert_int_equal(ebb_health_overall(&w->fake->health), EBB_HEALTHY);
}

static void a_program_that_was_taken_is_attached_again(void **state)
{
	struct world *w = *state;

	w->fake->health.enforce_wanted = true;
	pass(w, 1);
	lose_link(w, "connect4");
	lose_link(w, "sockops");
	pass(w, 5);
	assert_int_equal(w->attached, 2);
	assert_true(w->was_unhealthy);
	assert_int_equal(w->lost, 1);
	assert_string_equal(w->component, "programs");
	assert_non_null(strstr(w->why, "6 of 8 programs attached, sockops is not"));
	assert_int_equal(w->back, 1);
	/* for a while it is told, and nobody is sent away for it */
	assert_int_equal(entry(w, EBB_HEALTH_PROGRAMS)->state, EBB_DEGRADED);
	assert_string_equal(entry(w, EBB_HEALTH_PROGRAMS)->why,
			    "sockops was detached by somebody else, and is attached again");
	assert_int_equal(entry(w, EBB_HEALTH_ENFORCEMENT)->state, EBB_HEALTHY);
	pass(w, 70);
	assert_int_equal(entry(w, EBB_HEALTH_PROGRAMS)->state, EBB_HEALTHY);
	assert_int_equal(w->attached, 2);
}

static void what_cannot_be_attached_is_told_once_and_tried_on(void **state)
{
	struct world *w = *state;

	w->fake->health.enforce_wanted = true;
	w->fake->health.started = true;
	w->link_result = -ENOENT;
	pass(w, 1);
	lose_link(w, "sockops");
	lose_link(w, "connect4");
	pass(w, 60);
	assert_int_equal(w->attach_failures, 1);
	assert_int_equal(w->lost, 1);
	assert_int_equal(w->back, 0);
	assert_int_equal(entry(w, EBB_HEALTH_PROGRAMS)->state, EBB_UNHEALTHY);
	assert_false(ebb_health_ready(&w->fake->health));
	w->link_result = 0;
	pass(w, 5);
	assert_int_equal(w->attached, 2);
	assert_int_equal(w->back, 1);
	assert_in_range(w->lasted_ns, 55 * S, 66 * S);
	assert_true(ebb_health_ready(&w->fake->health));
	/* a later loss is told again */
	w->link_result = -ENOENT;
	lose_link(w, "connect4");
	pass(w, 5);
	assert_int_equal(w->attach_failures, 2);
	assert_int_equal(w->lost, 2);
}

static void who_only_observes_loses_no_enforcement(void **state)
{
	struct world *w = *state;

	w->link_result = -ENOENT;
	pass(w, 1);
	lose_link(w, "connect4");
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_PROGRAMS)->state, EBB_UNHEALTHY);
	assert_int_equal(entry(w, EBB_HEALTH_ENFORCEMENT)->state, EBB_HEALTHY);
	assert_int_equal(w->lost, 0);
	/* until it is wanted */
	w->fake->health.enforce_wanted = true;
	ebb_checks_ticked(w->checks, 0, 0, 0);
	assert_int_equal(w->lost, 1);
}

static void a_pin_that_was_taken_is_pinned_again(void **state)
{
	struct world *w = *state;

	pass(w, 1);
	w->pins[w->pin_count++] = (struct ebb_lost){"ebb_gate_v2", EBB_LOST_UNPINNED};
	pass(w, 10);
	assert_int_equal(w->restored, 1);
	assert_int_equal(entry(w, EBB_HEALTH_PINS)->state, EBB_DEGRADED);
	assert_string_equal(entry(w, EBB_HEALTH_PINS)->why,
			    "ebb_gate_v2 was unpinned by somebody else, and is pinned again");
	pass(w, 80);
	assert_int_equal(entry(w, EBB_HEALTH_PINS)->state, EBB_HEALTHY);
}

static void pins_are_told_in_one_line(void **state)
{
	struct world *w = *state;

	pass(w, 1);
	w->pins[0] = (struct ebb_lost){"ebb_dst_v2", EBB_LOST_REPLACED};
	w->pins[1] = (struct ebb_lost){"ebb_gate_v2", EBB_LOST_UNPINNED};
	w->pins[2] = (struct ebb_lost){"ebb_name_v2", EBB_LOST_UNPINNED};
	w->pin_count = 3;
	pass(w, 10);
	assert_int_equal(w->restored, 2);
	assert_string_equal(w->first, "ebb_gate_v2");
	assert_int_equal(w->restore_failures, 1);
	assert_non_null(strstr(entry(w, EBB_HEALTH_PINS)->why, "1 pins are not ours, among them ebb_dst_v2"));
}

/* The whole directory: 29 pins, one line. */
static void pins_that_cannot_be_made_are_told_once(void **state)
{
	struct world *w = *state;

	w->pin_result = -EBUSY;
	w->pins[w->pin_count++] = (struct ebb_lost){EBB_PIN_DIRECTORY, EBB_LOST_UNPINNED};
	w->pins[w->pin_count++] = (struct ebb_lost){"ebb_gate_v2", EBB_LOST_UNPINNED};
	w->pins[w->pin_count++] = (struct ebb_lost){"ebb_name_v2", EBB_LOST_UNPINNED};
	pass(w, 60);
	assert_int_equal(w->restore_failures, 1);
	assert_int_equal(entry(w, EBB_HEALTH_PINS)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_PINS)->why,
			       "3 pins are not ours, among them ebb_name_v2"));
}

static void a_lease_that_is_over_is_lost_enforcement(void **state)
{
	struct world *w = *state;

	w->fake->health.enforce_wanted = true;
	pass(w, 1);
	assert_int_equal(entry(w, EBB_HEALTH_LEASE)->state, EBB_HEALTHY);
	fake_now_ns += 4 * S;
	ebb_checks_run(w->checks);
	assert_int_equal(entry(w, EBB_HEALTH_LEASE)->state, EBB_DEGRADED);
	assert_int_equal(w->lost, 0);
	fake_now_ns += 30 * S;
	ebb_checks_run(w->checks);
	assert_int_equal(entry(w, EBB_HEALTH_LEASE)->state, EBB_UNHEALTHY);
	assert_int_equal(w->lost, 1);
	assert_string_equal(w->component, "lease");
	pass(w, 1);
	assert_int_equal(entry(w, EBB_HEALTH_LEASE)->state, EBB_HEALTHY);
	assert_int_equal(w->back, 1);
}

static void priority_that_was_taken_is_told_until_it_is_there_again(void **state)
{
	struct world *w = *state;

	pass(w, 5);
	ebb_checks_priority(w->checks, true);
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_LOOP)->why, "real-time priority was taken"));
	pass(w, 60);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_DEGRADED);
	ebb_checks_priority(w->checks, false);
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_HEALTHY);
}

static void a_late_tick_is_told_until_the_next_look(void **state)
{
	struct world *w = *state;

	pass(w, 1);
	ebb_checks_ticked(w->checks, S, 0, 0);
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_HEALTHY);
	ebb_checks_ticked(w->checks, 1500 * S / 1000, 0, 0);
	ebb_checks_ticked(w->checks, 0, 0, 0);
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_LOOP)->why, "1500 ms late"));
	pass(w, 5);
	assert_int_equal(entry(w, EBB_HEALTH_LOOP)->state, EBB_HEALTHY);
}

static void tables_are_told_before_they_are_full(void **state)
{
	static const struct {
		uint32_t dsts, pairs; /* of 20 and 40 */
		const char *why;
	} cases[] = {
		{17, 35, ""},
		{18, 0, "capacity.destinations"},
		{0, 36, "capacity.pairs"},
		{20, 0, "no room for more destinations"},
		{0, 40, "no room for more pairs"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ebb_checks_ticked(w->checks, 0, cases[i].dsts, cases[i].pairs);
		pass(w, 2);
		assert_int_equal(entry(w, EBB_HEALTH_TABLES)->state,
				 cases[i].why[0] ? EBB_DEGRADED : EBB_HEALTHY);
		assert_non_null(strstr(entry(w, EBB_HEALTH_TABLES)->why, cases[i].why));
	}
	ebb_checks_ticked(w->checks, 0, 1, 1);
	w->troubles.list[EBB_ERR_SHARE_FULL].on = true;
	pass(w, 2);
	assert_non_null(strstr(entry(w, EBB_HEALTH_TABLES)->why, "found its share"));
}

static void hints_that_are_lost_are_told(void **state)
{
	struct world *w = *state;

	w->troubles.list[EBB_ERR_EVENT_LOST] = (struct ebb_trouble){.on = true, .seen = 17, .began_at = 5};
	pass(w, 2);
	assert_int_equal(entry(w, EBB_HEALTH_EVENTS)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_EVENTS)->why, "12 hints lost"));
	w->troubles.list[EBB_ERR_EVENT_LOST].on = false;
	pass(w, 2);
	assert_int_equal(entry(w, EBB_HEALTH_EVENTS)->state, EBB_HEALTHY);
}

static void set_open(struct world *w, uint32_t gate, uint64_t until_ns)
{
	w->fake->view.verdicts[gate].word = ebb_word(1, EBB_STATE_OPEN, ebb_ns_to_ticks(until_ns));
}

static void open_breakers_only_degrade(void **state)
{
	struct world *w = *state;

	w->fake->health.enforce_wanted = true;
	w->fake->health.started = true;
	(void)fake_dst(w->fake, 1, "10.0.0.1", 443);
	(void)fake_dst(w->fake, 2, "10.0.0.2", 443);
	(void)fake_pair(w->fake, 3, 2, 5);
	w->fake->view.pairs[3].state = EBB_SLOT_LIVE;
	w->fake->view.kernel->pair_high = 3;
	pass(w, 2);
	assert_int_equal(entry(w, EBB_HEALTH_BREAKERS)->state, EBB_HEALTHY);
	set_open(w, 1, fake_now_ns + 10 * S);
	pass(w, 2);
	assert_int_equal(entry(w, EBB_HEALTH_BREAKERS)->state, EBB_DEGRADED);
	assert_non_null(strstr(entry(w, EBB_HEALTH_BREAKERS)->why,
			       "1 open, among them that of 10.0.0.1:443"));
	set_open(w, w->fake->view.dst_max + 3, fake_now_ns + 10 * S);
	pass(w, 2);
	assert_non_null(strstr(entry(w, EBB_HEALTH_BREAKERS)->why,
			       "2 open, among them that of 10.0.0.2:443"));
	assert_int_equal(ebb_health_overall(&w->fake->health), EBB_DEGRADED);
	assert_true(ebb_health_ready(&w->fake->health));
	assert_int_equal(w->lost, 0);
	/* what is over waits for a probe: that may take for ever where nobody connects */
	pass(w, 12);
	assert_int_equal(entry(w, EBB_HEALTH_BREAKERS)->state, EBB_HEALTHY);
	/* a slot that nobody owns */
	set_open(w, 1, fake_now_ns + 10 * S);
	w->fake->view.dsts[1].state = EBB_SLOT_FREE;
	pass(w, 2);
	assert_int_equal(entry(w, EBB_HEALTH_BREAKERS)->state, EBB_HEALTHY);
}

#define check_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		check_test(everything_is_checked_at_once_and_then_in_its_time),
		check_test(a_program_that_was_taken_is_attached_again),
		check_test(what_cannot_be_attached_is_told_once_and_tried_on),
		check_test(who_only_observes_loses_no_enforcement),
		check_test(a_pin_that_was_taken_is_pinned_again),
		check_test(pins_are_told_in_one_line),
		check_test(pins_that_cannot_be_made_are_told_once),
		check_test(a_lease_that_is_over_is_lost_enforcement),
		check_test(a_late_tick_is_told_until_the_next_look),
		check_test(priority_that_was_taken_is_told_until_it_is_there_again),
		check_test(tables_are_told_before_they_are_full),
		check_test(hints_that_are_lost_are_told),
		check_test(open_breakers_only_degrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

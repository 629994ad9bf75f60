/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/checks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/schedule.h"
#include "core/policy.h"
#include "core/fuse.h"
#include "export/name.h"
#include "lib/cleanup.h"
#include "lib/timer.h"
#include "lib/units.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#define LATE_NS	    NS_PER_S	    /* a tick so much after its time is no longer in time */
#define STALE_NS    (3 * NS_PER_S)  /* an idle agent ticks once a second */
#define RESTORED_NS (60 * NS_PER_S) /* so long it is told that somebody took something */
#define FULL_PER100 90		    /* of a table: time to make it larger */

struct ebb_checks {
	struct ebb_checks_setup setup;
	struct ebb_schedule schedule;
	int timer_fd;
	bool begun; /* every check was made once */

	uint32_t dst_live, pair_live;
	uint64_t late_ns;    /* the latest tick since the last look at that */
	bool priority_taken; /* and not there again */
	uint64_t link_restored_ns, pin_restored_ns;
	char link_restored[96], pin_restored[96]; /* what was, and how it was lost */
	bool link_failed, pin_failed;		  /* told already */
	bool lost;				  /* enforcement is, and that is told */
	enum ebb_health_component to_blame;
	uint64_t lost_ns;
};

static void set(struct ebb_checks *c, enum ebb_health_component component, enum ebb_health_state state,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

static void set(struct ebb_checks *c, enum ebb_health_component component, enum ebb_health_state state,
		const char *format, ...)
{
	char why[sizeof(c->setup.health->entries[0].why)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	ebb_health_set(c->setup.health, component, state, c->setup.realtime_ns(), "%s", why);
}

static void set_healthy(struct ebb_checks *c, enum ebb_health_component component)
{
	set(c, component, EBB_HEALTHY, "%s", "");
}

/* One line and one event when enforcement that is wanted is lost, one when it is back. */
static void watch_enforcement(struct ebb_checks *c)
{
	const struct ebb_health *health = c->setup.health;
	enum ebb_health_component obstacle = ebb_health_obstacle(health, 0);
	bool lost = health->enforce_wanted && obstacle != EBB_HEALTH_MAX;
	struct ebb_enforcement_news news = {.lost = lost};

	if (lost == c->lost)
		return;
	c->lost = lost;
	if (lost) {
		c->lost_ns = c->setup.now_ns();
		c->to_blame = obstacle;
		news.why = health->entries[obstacle].why;
	} else {
		news.lasted_ns = c->setup.now_ns() - c->lost_ns;
	}
	news.component = ebb_health_component_name(c->to_blame);
	c->setup.enforcement(c->setup.userdata, &news);
}

/* ----------------------------------------------------- what somebody took -- */

static void restored(char *text, size_t size, const struct ebb_lost *lost)
{
	(void)snprintf(text, size, "%s was %s by somebody else", lost->name, ebb_lost_how_name(lost->how));
}

static void set_programs(struct ebb_checks *c, size_t attached, size_t wanted, const char *missing)
{
	if (attached == wanted) {
		set_healthy(c, EBB_HEALTH_PROGRAMS);
		set_healthy(c, EBB_HEALTH_ENFORCEMENT);
		return;
	}
	set(c, EBB_HEALTH_PROGRAMS, EBB_UNHEALTHY, "%zu of %zu programs attached, %s is not", attached,
	    wanted, missing);
	if (c->setup.health->enforce_wanted)
		set(c, EBB_HEALTH_ENFORCEMENT, EBB_UNHEALTHY,
		    "enforcement is asked for, but %s is not attached", missing);
	else
		set_healthy(c, EBB_HEALTH_ENFORCEMENT);
}

static void check_programs(struct ebb_checks *c)
{
	const struct ebb_checks_setup *s = &c->setup;
	struct ebb_lost lost[EBB_LINKS_MAX];
	size_t wanted, count = s->links_lost(s->userdata, lost, &wanted), attached = wanted - count;
	const char *missing = count ? lost[count - 1].name : "";
	uint64_t now = s->now_ns();
	bool failed = false;

	set_programs(c, attached, wanted, missing);
	/* before anything is put right: it was not in place */
	watch_enforcement(c);
	for (size_t i = 0; i < count; i++) {
		struct ebb_why why = {0};
		int r = s->link_mend(s->userdata, &lost[i], &why);

		if (r < 0)
			missing = lost[i].name;
		if (r == 0 || (!c->link_failed && !failed))
			s->link_attached(s->userdata, &lost[i], r, why.text);
		if (r == 0) {
			attached++;
			c->link_restored_ns = now;
			restored(c->link_restored, sizeof(c->link_restored), &lost[i]);
		}
		failed |= r < 0;
	}
	c->link_failed = failed;
	set_programs(c, attached, wanted, missing);
	if (attached == wanted && c->link_restored_ns && now - c->link_restored_ns < RESTORED_NS)
		set(c, EBB_HEALTH_PROGRAMS, EBB_DEGRADED, "%s, and is attached again", c->link_restored);
}

static void check_pins(struct ebb_checks *c)
{
	const struct ebb_checks_setup *s = &c->setup;
	struct ebb_lost lost[EBB_PINS_LOST_MAX];
	size_t count = s->pins_lost(s->userdata, lost), left = 0, first = count;
	const char *missing = "";
	uint64_t now = s->now_ns();

	for (size_t i = 0; i < count; i++) {
		struct ebb_why why = {0};
		int r = s->pin_mend(s->userdata, &lost[i], &why);

		if (r == 0) {
			c->pin_restored_ns = now;
			restored(c->pin_restored, sizeof(c->pin_restored), &lost[i]);
			first = i < first ? i : first;
			continue;
		}
		if (!c->pin_failed && left == 0)
			s->pins_restored(s->userdata, &lost[i], 1, r, why.text);
		left++;
		missing = lost[i].name;
	}
	if (count > left)
		s->pins_restored(s->userdata, &lost[first], count - left, 0, "");
	c->pin_failed = left > 0;
	if (left)
		set(c, EBB_HEALTH_PINS, EBB_DEGRADED,
		    "%zu pins are not ours, among them %s: commands and the next start do not find the maps",
		    left, missing);
	else if (c->pin_restored_ns && now - c->pin_restored_ns < RESTORED_NS)
		set(c, EBB_HEALTH_PINS, EBB_DEGRADED, "%s, and is pinned again", c->pin_restored);
	else
		set_healthy(c, EBB_HEALTH_PINS);
}

/* ------------------------------------------------------------ what we read -- */

static void check_lease(struct ebb_checks *c)
{
	const struct ebb_agent *agent = c->setup.view->agent;
	uint64_t heartbeat = __atomic_load_n(&agent->heartbeat_ns, __ATOMIC_ACQUIRE), now = c->setup.now_ns();
	uint64_t age = heartbeat && now > heartbeat ? now - heartbeat : 0;
	char text[EBB_FORMAT_MAX];

	(void)ebb_format_duration(age, text, sizeof(text));
	if (age > agent->lease_ns)
		set(c, EBB_HEALTH_LEASE, EBB_UNHEALTHY,
		    "the last tick was %s ago: verdicts refuse nothing until the next", text);
	else if (age > STALE_NS)
		set(c, EBB_HEALTH_LEASE, EBB_DEGRADED, "the last tick was %s ago", text);
	else
		set_healthy(c, EBB_HEALTH_LEASE);
}

static void check_loop(struct ebb_checks *c)
{
	if (c->late_ns > LATE_NS)
		set(c, EBB_HEALTH_LOOP, EBB_DEGRADED, "a tick was %llu ms late",
		    (unsigned long long)(c->late_ns / NS_PER_MS));
	else if (c->priority_taken)
		set(c, EBB_HEALTH_LOOP, EBB_DEGRADED,
		    "real-time priority was taken: on a busy machine verdicts can be late; it is asked for again");
	else
		set_healthy(c, EBB_HEALTH_LOOP);
	c->late_ns = 0;
}

/* @max: with the slot of ~other. */
static bool is_filling(uint32_t live, uint32_t max)
{
	return (uint64_t)live * 100 >= (uint64_t)(max - 1) * FULL_PER100;
}

static void check_tables(struct ebb_checks *c)
{
	const struct ebb_trouble *troubles = c->setup.troubles->list;
	const struct ebb_view *view = c->setup.view;
	bool dst_full = c->dst_live + 1 >= view->dst_max || troubles[EBB_ERR_DST_TABLE_FULL].on ||
			troubles[EBB_ERR_ENDPOINT_TABLE_FULL].on;
	bool pair_full = c->pair_live + 1 >= view->pair_max || troubles[EBB_ERR_PAIR_TABLE_FULL].on;

	if (dst_full || pair_full)
		set(c, EBB_HEALTH_TABLES, EBB_DEGRADED, "no room for more %s: new ones share ~other",
		    dst_full ? "destinations" : "pairs of workload and destination");
	else if (troubles[EBB_ERR_SHARE_FULL].on)
		set(c, EBB_HEALTH_TABLES, EBB_DEGRADED,
		    "a workload has found its share of the destinations: its new ones share ~other");
	else if (is_filling(c->dst_live, view->dst_max))
		set(c, EBB_HEALTH_TABLES, EBB_DEGRADED,
		    "more than %d%% of the destinations are in use: raise capacity.destinations",
		    FULL_PER100);
	else if (is_filling(c->pair_live, view->pair_max))
		set(c, EBB_HEALTH_TABLES, EBB_DEGRADED,
		    "more than %d%% of the pairs are in use: raise capacity.pairs", FULL_PER100);
	else
		set_healthy(c, EBB_HEALTH_TABLES);
}

static void check_events(struct ebb_checks *c)
{
	const struct ebb_trouble *lost = &c->setup.troubles->list[EBB_ERR_EVENT_LOST];

	if (lost->on)
		set(c, EBB_HEALTH_EVENTS, EBB_DEGRADED,
		    "the ring was full, %llu hints lost: verdicts wait for the next tick",
		    (unsigned long long)(lost->seen - lost->began_at));
	else
		set_healthy(c, EBB_HEALTH_EVENTS);
}

/* Nothing of ours is broken, but probably something of the node's. */
static void check_fuse(struct ebb_checks *c)
{
	const struct ebb_agent *shared = c->setup.view->agent;

	if (shared->fuse == EBB_FUSE_OFF)
		set_healthy(c, EBB_HEALTH_FUSE);
	else
		set(c, EBB_HEALTH_FUSE, EBB_DEGRADED,
		    "%u of %u active destinations are open, the fault is probably the node's: %s",
		    shared->fuse_open, shared->fuse_active, ebb_fuse_name(shared->fuse));
}

/* One that is over and waits for a probe is not. */
static bool is_open(const struct ebb_view *view, uint32_t gate, uint64_t now)
{
	uint64_t word = ebb_view_word(view, gate);

	return ebb_word_state(word) == EBB_STATE_OPEN && now < ebb_ticks_to_ns(ebb_word_until(word));
}

/* Open breakers, by destination: *@ret_first is the first of them. */
static size_t open_breakers(const struct ebb_view *view, uint64_t now, uint32_t *ret_first)
{
	uint32_t dst_high = view->kernel->dst_high, pair_high = view->kernel->pair_high;
	size_t count = 0;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= pair_high && p < view->pair_max; p++) {
		if (view->pairs[p].state == EBB_SLOT_LIVE && view->pairs[p].dst < view->dst_max &&
		    is_open(view, view->dst_max + p, now) && count++ == 0)
			*ret_first = view->pairs[p].dst;
	}
	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= dst_high && d < view->dst_max; d++) {
		if (view->dsts[d].state == EBB_SLOT_LIVE && is_open(view, d, now) && count++ == 0)
			*ret_first = d;
	}
	return count;
}

static void check_breakers(struct ebb_checks *c)
{
	char name[EBB_DST_NAME_MAX];
	uint32_t first = EBB_SLOT_OTHER;
	size_t count = open_breakers(c->setup.view, c->setup.now_ns(), &first);

	if (count == 0)
		set_healthy(c, EBB_HEALTH_BREAKERS);
	else
		set(c, EBB_HEALTH_BREAKERS, EBB_DEGRADED, "%zu open, among them that of %s", count,
		    ebb_dst_name(c->setup.view, first, name, sizeof(name)));
}

/* -------------------------------------------------------------- when what -- */

static const struct {
	uint64_t period_ns;
	void (*check)(struct ebb_checks *c);
} table[] = {
	{5 * NS_PER_S, check_programs}, {10 * NS_PER_S, check_pins},	{NS_PER_S, check_lease},
	{5 * NS_PER_S, check_loop},	{2 * NS_PER_S, check_tables},	{2 * NS_PER_S, check_events},
	{NS_PER_S, check_fuse},		{2 * NS_PER_S, check_breakers},
};

#define CHECKS (sizeof(table) / sizeof(table[0]))

_Static_assert(CHECKS <= EBB_SCHEDULE_MAX, "every check has a timer");

int ebb_checks_new(const struct ebb_checks_setup *setup, struct ebb_checks **ret_checks)
{
	struct ebb_checks *c = calloc(1, sizeof(*c));
	uint64_t now = setup->now_ns();
	int r;

	if (!c)
		return -ENOMEM;
	c->setup = *setup;
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0) {
		r = -errno;
		ebb_checks_free(c);
		return r;
	}
	ebb_schedule_init(&c->schedule, setup->seed);
	for (size_t i = 0; i < CHECKS; i++)
		(void)ebb_schedule_add(&c->schedule, table[i].period_ns, now);
	*ret_checks = c;
	return 0;
}

void ebb_checks_free(struct ebb_checks *checks)
{
	if (!checks)
		return;
	if (checks->timer_fd >= 0)
		(void)close(checks->timer_fd);
	free(checks);
}

int ebb_checks_fd(const struct ebb_checks *checks)
{
	return checks->timer_fd;
}

static void arm(const struct ebb_checks *c)
{
	(void)ebb_timer_arm(c->timer_fd, ebb_schedule_next(&c->schedule));
}

void ebb_checks_run(struct ebb_checks *c)
{
	int due;

	for (size_t i = 0; !c->begun && i < CHECKS; i++)
		table[i].check(c);
	c->begun = true;
	while ((due = ebb_schedule_take(&c->schedule, c->setup.now_ns())) >= 0)
		table[due].check(c);
	watch_enforcement(c);
	arm(c);
}

void ebb_checks_ticked(struct ebb_checks *c, uint64_t late_ns, uint32_t dst_live, uint32_t pair_live)
{
	if (late_ns > c->late_ns)
		c->late_ns = late_ns;
	c->dst_live = dst_live;
	c->pair_live = pair_live;
	/* what is set with each tick counts, too */
	watch_enforcement(c);
}

void ebb_checks_priority(struct ebb_checks *c, bool taken)
{
	c->priority_taken = taken;
}

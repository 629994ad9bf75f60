/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/answering.h"
#include "agent/apply.h"
#include "agent/deeds.h"
#include "agent/idle.h"
#include "agent/keeper.h"
#include "agent/moves.h"
#include "agent/privileges.h"
#include "agent/reload.h"
#include "agent/scheduling.h"
#include "agent/sockets.h"
#include "agent/tick.h"
#include "agent/troubles.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "core/policy.h"
#include "core/verdict.h"
#include "export/health.h"
#include "export/http.h"
#include "export/name.h"
#include "export/source.h"
#include "kernel/loader.h"
#include "kernel/probe.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/units.h"
#include "node/cgroup.h"
#include "node/netns.h"
#include "node/owns.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#define TICK_BUSY_NS   (100 * NS_PER_MS) /* while results arrive */
#define TICK_IDLE_NS   NS_PER_S
#define LINK_CHECK_NS  (5 * NS_PER_S)
#define COLLECT_NS     NS_PER_S
#define LOCK_WAIT_NS   (5 * NS_PER_S) /* for a command that writes policies */
#define ADOPT_NS       (300 * NS_PER_S)
#define RECOUNT_NS     (300 * NS_PER_S)
#define RESET_AGAIN_NS NS_PER_S /* what was connecting when its breaker opened may be established since */
#define APPLY_AGAIN_NS (10 * NS_PER_MS) /* a command holds the lock */

/*
 * Looks because of hints: at once, as long as there are not more than this many
 * a second; a storm of failures then costs one look a millisecond, not a processor.
 */
#define HINT_SPACING_NS NS_PER_MS
#define HINT_BURST	64

struct agent {
	const struct ebb_agent_options *options;
	const struct ebb_config *config; /* in force; owned by reload, before that by ebb_agent_run() */
	char cgroup[EBB_CGROUP_PATH_MAX];
	int cgroup_fd;
	uint64_t cgroup_id;

	struct ebb_loader *loader;
	const struct ebb_view *view;
	struct ebb_mapping *mapping;
	struct ebb_apply *apply;
	struct ebb_reload *reload;
	struct ebb_keeper *keeper;
	struct ebb_answering *answering;
	bool may_raise; /* real-time priority, also later */
	struct ebb_ticker *ticker;
	struct ebb_moves moves; /* who is told of a transition */
	struct ebb_collector *collector;
	struct ebb_cgroup_names *names;
	struct ebb_http *http;
	struct ebb_sockets *sockets;
	struct ebb_health health;
	struct ebb_source source;

	int epoll_fd;
	int signal_fd;
	int timer_fd;
	bool stop;

	uint32_t default_asks; /* EBB_ASK_* of what has no destination yet */
	bool packets;	       /* the packet program is attached, and that is told */
	bool turns;	       /* turns are seen, and that is told */
	bool turns_failed;     /* told already that they cannot be */
	bool packets_failed;   /* told already that the packet program cannot be attached */

	uint64_t tick_at_ns;  /* when the next tick is due */
	uint64_t hint_tat_ns; /* generic cell rate: theoretical arrival of the next hinted look */
	bool hint_waits;      /* a hint came while looks were spaced out */
	uint64_t links_at_ns;
	uint64_t collect_at_ns;
	uint64_t adopt_at_ns;
	uint64_t recount_at_ns;
	uint64_t reset_at_ns;
	const char *no_reset; /* why live connections cannot be reset; NULL: they can */
	bool just_configured; /* a tick is due: what is armed follows at once */
	bool urgent;	      /* something enforces, and real-time priority was asked for */
	uint8_t *
		failed_by; /* of each gate, enum ebb_outcome of the last failure that an event told; 0: none */
	bool *capped;	   /* see ebb_sockets_cap_came() */
	uint32_t capped_high;
	struct ebb_troubles troubles;
};

/* One descriptor of the loop. */
struct source {
	int fd;
	uint32_t events;
	int (*handle)(struct agent *a);
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int64_t now_realtime(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
}

/* ------------------------------------------------------------------ moves -- */

/* enum ebb_mode in force at a gate. */
static uint32_t mode_of(const struct agent *a, uint32_t dst, uint32_t gate, uint64_t now)
{
	struct ebb_policy policy;

	ebb_gate_policy(a->view, dst, gate, now, &policy);
	return ebb_mode_of(&policy, &a->view->policies[EBB_SLOT_OTHER], dst, now);
}

/* Listener: a line of the log. */
static void log_move(void *userdata, const struct ebb_move *move)
{
	const struct agent *a = userdata;
	const struct ebb_transition *t = &move->transition;
	char dst[EBB_DST_NAME_MAX], until[EBB_FORMAT_MAX] = "-";
	const char *workload = "-", *failure = "-";
	uint64_t now = now_monotonic();

	if (move->pair != EBB_SLOT_OTHER)
		workload = ebb_cgroup_name(a->names, a->view->pairs[move->pair].workload);
	if (t->until_ns > now)
		(void)ebb_format_duration(t->until_ns - now, until, sizeof(until));
	if (ebb_reason_to(t->reason) == EBB_STATE_OPEN && a->failed_by[move->gate])
		failure = ebb_outcome_name(a->failed_by[move->gate]);
	a->failed_by[move->gate] = 0;
	ebb_info("breaker moved: destination=%s workload=%s from=%s to=%s reason=%s ok=%u failed=%u slow=%u run=%u last_failure=%s open_for=%s generation=%u episode=%016llx mode=%s",
		 ebb_dst_name(a->view, move->dst, dst, sizeof(dst)), workload,
		 ebb_state_name(ebb_reason_from(t->reason)), ebb_state_name(ebb_reason_to(t->reason)),
		 ebb_reason_name(t->reason), t->ok, t->failed, t->slow, t->run, failure, until, t->gen,
		 (unsigned long long)t->episode, ebb_mode_name(mode_of(a, move->dst, move->gate, now)));
}

/* Listener: live connections are reset where that is asked for. */
static void reset_after_move(void *userdata, const struct ebb_move *move)
{
	const struct agent *a = userdata;

	if (ebb_reason_to(move->transition.reason) == EBB_STATE_OPEN && a->sockets &&
	    a->view->policies[move->dst].established == EBB_ESTABLISHED_RESET)
		ebb_sockets_want(a->sockets, EBB_SOCKETS_RESET);
}

static void on_fuse(void *userdata, const struct ebb_fuse_move *move)
{
	(void)userdata;
	if (move->acts)
		ebb_warn("node fuse acts: action=%s open=%u active=%u calls=%u; many destinations fail at once: the fault is probably this node's",
			 ebb_fuse_name(move->action), move->open, move->active, move->calls);
	else
		ebb_info("node fuse has ended: action=%s open=%u active=%u calls=%u",
			 ebb_fuse_name(move->action), move->open, move->active, move->calls);
}

/* Who is told of a transition after it is remembered and obeyed, the quickest first. */
static int listen_to_moves(struct agent *a)
{
	const struct ebb_move_listener listeners[] = {
		{"reset", reset_after_move, a},
		{"log", log_move, a},
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]) && r == 0; i++)
		r = ebb_moves_listen(&a->moves, listeners[i].name, listeners[i].handle,
				     listeners[i].userdata);
	return r;
}

/* ------------------------------------------------------------------- tick -- */

static int arm_timer(struct agent *a, uint64_t at_ns)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S), .tv_nsec = (long)(at_ns % NS_PER_S)},
	};

	a->tick_at_ns = at_ns;
	return timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static void on_trouble(void *userdata, const struct ebb_trouble_news *news)
{
	const struct agent *a = userdata;
	char lasted[EBB_FORMAT_MAX], who[EBB_CGROUP_PATH_MAX];
	const char *name = ebb_error_name(news->error);

	/* the first connection of each new cgroup, where there are rules: nothing is wrong */
	if (news->error == EBB_ERR_UNCLASSIFIED)
		ebb_debug("workloads not identified yet are let through: count=%llu%s",
			  (unsigned long long)news->count, news->ended ? "; no longer" : "");
	else if (news->ended)
		ebb_info("no longer so in the kernel: reason=%s count=%llu lasted=%s", name,
			 (unsigned long long)news->count,
			 ebb_format_duration(news->lasted_ns, lasted, sizeof(lasted)));
	else if (news->error == EBB_ERR_SHARE_FULL)
		ebb_warn("a workload has found its share of the destinations: reason=%s workload=%s; %s",
			 name, ebb_keeper_greediest(a->keeper, who, sizeof(who)),
			 ebb_trouble_instead(news->error));
	else
		ebb_warn("not done in the kernel: reason=%s count=%llu; %s", name,
			 (unsigned long long)news->count, ebb_trouble_instead(news->error));
}

/* One line when a kind of our own failures begins, one when it has ended. */
static void report_errors(struct agent *a, uint64_t now)
{
	const struct ebb_trouble *lost = &a->troubles.list[EBB_ERR_EVENT_LOST];

	ebb_troubles_look(&a->troubles, (const uint64_t *)a->view->kernel->errors, now, on_trouble, a);
	if (lost->on)
		ebb_health_set(&a->health, EBB_HEALTH_EVENTS, EBB_DEGRADED, now_realtime(),
			       "%llu hints lost: verdicts wait for the next tick",
			       (unsigned long long)(lost->seen - lost->began_at));
	else
		ebb_health_set(&a->health, EBB_HEALTH_EVENTS, EBB_HEALTHY, now_realtime(), "%s", "");
}

static bool is_configured_to_enforce(const struct ebb_config *config)
{
	bool wanted = config->defaults.mode == EBB_MODE_ENFORCE;

	for (size_t i = 0; i < config->destination_count; i++)
		wanted |= config->destinations[i].settings.mode == EBB_MODE_ENFORCE;
	return wanted;
}

/* Is some destination, or the node, in enforce mode? What was said for one workload alone does not count. */
static bool wants_enforcement(const struct agent *a, uint64_t now)
{
	const struct ebb_policy *policies = a->view->policies, *node = &policies[EBB_SLOT_OTHER];
	uint32_t high = a->view->kernel->dst_high, said = ebb_mode_said(node, now);

	if (said || is_configured_to_enforce(a->config))
		return said != 1 + EBB_MODE_OBSERVE;
	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= high && d < a->view->dst_max; d++) {
		if (a->view->dsts[d].state == EBB_SLOT_LIVE &&
		    ebb_mode_of(&policies[d], node, d, now) == EBB_MODE_ENFORCE)
			return true;
	}
	return false;
}

static void check_links(struct agent *a, uint64_t now)
{
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count, attached = 0;
	const char *missing = "";

	if (now < a->links_at_ns)
		return;
	a->links_at_ns = now + LINK_CHECK_NS;
	count = ebb_maps_links(a->options->pin_dir, links);
	for (size_t i = 0; i < count; i++) {
		if (links[i].attached)
			attached++;
		else
			missing = links[i].name;
	}
	if (attached == count)
		ebb_health_set(&a->health, EBB_HEALTH_PROGRAMS, EBB_HEALTHY, now_realtime(), "%s", "");
	else
		ebb_health_set(&a->health, EBB_HEALTH_PROGRAMS, EBB_UNHEALTHY, now_realtime(),
			       "%zu of %zu programs attached, %s is not", attached, count, missing);
	if (attached == count || !a->health.enforce_wanted)
		ebb_health_set(&a->health, EBB_HEALTH_ENFORCEMENT, EBB_HEALTHY, now_realtime(), "%s", "");
	else
		ebb_health_set(&a->health, EBB_HEALTH_ENFORCEMENT, EBB_UNHEALTHY, now_realtime(),
			       "enforcement is asked for, but %s is not attached", missing);
}

/* Nothing of ours is broken, but probably something of the node's. */
static void check_fuse(struct agent *a)
{
	const struct ebb_agent *shared = a->view->agent;

	if (shared->fuse == EBB_FUSE_OFF)
		ebb_health_set(&a->health, EBB_HEALTH_FUSE, EBB_HEALTHY, now_realtime(), "%s", "");
	else
		ebb_health_set(&a->health, EBB_HEALTH_FUSE, EBB_DEGRADED, now_realtime(),
			       "%u of %u active destinations are open, the fault is probably the node's: %s",
			       shared->fuse_open, shared->fuse_active, ebb_fuse_name(shared->fuse));
}

static void check_tables(struct agent *a, const struct ebb_tick_result *result)
{
	const struct ebb_trouble *troubles = a->troubles.list;
	bool dst_full = result->dst_live + 1 >= a->view->dst_max || troubles[EBB_ERR_DST_TABLE_FULL].on ||
			troubles[EBB_ERR_ENDPOINT_TABLE_FULL].on;
	bool pair_full = result->pair_live + 1 >= a->view->pair_max || troubles[EBB_ERR_PAIR_TABLE_FULL].on;

	if (dst_full || pair_full)
		ebb_health_set(&a->health, EBB_HEALTH_TABLES, EBB_DEGRADED, now_realtime(),
			       "no room for more %s: new ones share ~other",
			       dst_full ? "destinations" : "pairs of workload and destination");
	else if (troubles[EBB_ERR_SHARE_FULL].on)
		ebb_health_set(&a->health, EBB_HEALTH_TABLES, EBB_DEGRADED, now_realtime(),
			       "a workload has found its share of the destinations: its new ones share ~other");
	else
		ebb_health_set(&a->health, EBB_HEALTH_TABLES, EBB_HEALTHY, now_realtime(), "%s", "");
}

/* What has come to its end is over in the kernel already: here it is tidied up and told. */
static int end_by_hand(const struct agent *a, uint64_t now)
{
	int r = ebb_by_hand_upkeep(a->view, now);

	if (r > 0)
		ebb_info("orders by hand have come to their end: count=%d", r);
	return r < 0 ? r : 0;
}

/* Under the lock: what an operator gives by hand must not fall to the next owner of a slot. */
static void collect_idle(struct agent *a, uint64_t now)
{
	_cleanup_close_ int lock = -1;
	int r;

	if (now < a->collect_at_ns)
		return;
	a->collect_at_ns = now + COLLECT_NS;
	(void)ebb_deeds_tell(a->view, ebb_deed_log, NULL);
	r = ebb_policies_lock(a->options->pin_dir, 0, &lock, NULL);
	if (r == -EBUSY) /* nothing is in a hurry here */
		return;
	if (r == 0)
		r = end_by_hand(a, now);
	if (r == 0) {
		ebb_apply_settle(a->apply, now);
		/* one that is prepared counts on the slots that it found */
		if (!ebb_apply_is_prepared(a->apply))
			r = ebb_collector_run(a->collector, now);
	}
	if (r < 0)
		ebb_warn("cannot take back idle slots (%s): trying again", ebb_strerror(r));
	else if (r > 0)
		ebb_debug("idle slots taken back: count=%d", r);
}

/* EBB_ASK_* of all that there is. */
static uint32_t asks_now(const struct agent *a)
{
	uint32_t high = a->view->kernel->dst_high, asks = a->default_asks;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= high && d < a->view->dst_max; d++) {
		if (a->view->dsts[d].state == EBB_SLOT_LIVE)
			asks |= a->view->policies[d].asks;
	}
	return asks & EBB_ASK_OWN ? asks | ebb_owns_asks(a->view) : asks;
}

/* The program that sees every packet is attached only while some policy asks for it. */
static void follow_policies(struct agent *a)
{
	bool wanted = asks_now(a) & EBB_ASK_PACKET;
	_cleanup_close_ int lock = -1;
	struct ebb_why why = {};

	if (!wanted && ebb_loader_has_packets(a->loader)) {
		/* a command may just have written what asks for it, and attached it */
		if (ebb_policies_lock(a->options->pin_dir, 0, &lock, NULL) < 0)
			return;
		wanted = asks_now(a) & EBB_ASK_PACKET;
	}
	if (ebb_loader_want_packets(a->loader, wanted, &why) == 0) {
		ebb_health_set(&a->health, EBB_HEALTH_LIMITS, EBB_HEALTHY, now_realtime(), "%s", "");
		if (!a->packets && wanted)
			ebb_info("every packet is looked at: bytes or packets are limited, or live connections may be dropped");
		else if (a->packets && !wanted)
			ebb_info("packets are no longer looked at: no limit asks for it");
		a->packets = wanted;
		a->packets_failed = false;
		return;
	}
	ebb_health_set(&a->health, EBB_HEALTH_LIMITS, EBB_UNHEALTHY, now_realtime(),
		       "byte and packet limits are not in place: %s", why.text);
	if (!a->packets_failed)
		ebb_err("byte and packet limits are not in place, trying again each tick: %s", why.text);
	a->packets_failed = true;
}

/* So is the one that sees answers come in, while turns are wanted (ruling 12). */
static void follow_turns(struct agent *a)
{
	bool wanted = a->config->turns;
	struct ebb_why why = {};

	/* before it goes: who is established afterwards has its result at once */
	if (!wanted)
		__atomic_store_n(&a->view->agent->turns, 0, __ATOMIC_RELEASE);
	if (ebb_loader_want_turns(a->loader, wanted, &why) < 0) {
		ebb_health_set(&a->health, EBB_HEALTH_TURNS, EBB_DEGRADED, now_realtime(),
			       "requests and answers are not seen: %s", why.text);
		if (!a->turns_failed)
			ebb_err("requests and answers are not seen, trying again each tick: %s", why.text);
		a->turns_failed = true;
		return;
	}
	__atomic_store_n(&a->view->agent->turns, wanted, __ATOMIC_RELEASE);
	ebb_health_set(&a->health, EBB_HEALTH_TURNS, EBB_HEALTHY, now_realtime(), "%s", "");
	if (wanted && !a->turns)
		ebb_info("turns are seen: a connection's result is that of its first request and its answer");
	else if (a->turns && !wanted)
		ebb_info("turns are no longer seen: a connection is a success when it is established");
	a->turns = wanted;
	a->turns_failed = false;
}

/* Asks for walks over the open sockets, which are done beside the loop. */
static void watch_sockets(struct agent *a, uint64_t now)
{
	uint32_t what = 0;

	if (!a->sockets)
		return;
	if (a->config->adopt &&
	    (now >= a->adopt_at_ns || ebb_sockets_cap_came(a->view, now, a->capped, &a->capped_high))) {
		a->adopt_at_ns = now + ADOPT_NS;
		what |= EBB_SOCKETS_ADOPT;
	}
	if (now >= a->recount_at_ns) {
		a->recount_at_ns = now + RECOUNT_NS;
		what |= EBB_SOCKETS_RECOUNT;
	}
	if (!a->no_reset && now >= a->reset_at_ns && ebb_sockets_reset_is_due(a->view, now)) {
		a->reset_at_ns = now + RESET_AGAIN_NS;
		what |= EBB_SOCKETS_RESET;
	}
	if (what)
		ebb_sockets_want(a->sockets, what);
}

/* Who only observes is in no hurry. */
static void follow_urgency(struct agent *a)
{
	bool urgent = a->health.enforce_wanted && a->config->scheduling == EBB_SCHEDULING_RR;
	int r;

	if (urgent == a->urgent)
		return;
	/* once lowered we could not raise it again */
	if (!urgent && !a->may_raise)
		return;
	a->urgent = urgent;
	if (!urgent) {
		ebb_scheduling_lower();
		return;
	}
	r = ebb_scheduling_raise();
	if (r < 0)
		ebb_warn("no real-time priority (%s): on a busy machine verdicts can be some 10 ms late; going on without",
			 ebb_strerror(r));
}

static int tick(struct agent *a)
{
	struct ebb_tick_result result;
	uint64_t start = now_monotonic(), end, next;

	if (a->tick_at_ns && start > a->tick_at_ns + TICK_IDLE_NS)
		ebb_health_set(&a->health, EBB_HEALTH_LOOP, EBB_DEGRADED, now_realtime(),
			       "a tick was %llu ms late",
			       (unsigned long long)((start - a->tick_at_ns) / NS_PER_MS));
	else
		ebb_health_set(&a->health, EBB_HEALTH_LOOP, EBB_HEALTHY, now_realtime(), "%s", "");

	ebb_tick(a->ticker, start, &result);
	a->hint_waits = false;
	follow_policies(a);
	follow_turns(a);
	a->health.enforce_wanted = wants_enforcement(a, start);
	follow_urgency(a);
	check_links(a, start);
	report_errors(a, start);
	check_tables(a, &result);
	check_fuse(a);
	collect_idle(a, start);
	ebb_keeper_tick(a->keeper, start);
	watch_sockets(a, start);
	ebb_answering_tick(a->answering, start);
	if (ebb_scheduling_was_lost())
		ebb_warn("200 ms of work without a pause: real-time priority is given up, going on at ordinary priority");

	a->source.dst_live = result.dst_live;
	a->source.pair_live = result.pair_live;
	a->source.ticks++;
	end = now_monotonic();
	a->source.tick_duration.buckets[ebb_hist_bucket((end - start) / EBB_HIST_UNIT_NS)]++;
	a->source.tick_duration.sum_units += (end - start) / EBB_HIST_UNIT_NS;

	next = start + (result.busy ? TICK_BUSY_NS : TICK_IDLE_NS);
	if (result.deadline_ns < next)
		next = result.deadline_ns > start ? result.deadline_ns : start + NS_PER_MS;
	a->health.started = true;
	/* the last write of a tick: an agent that was stopped revives nothing stale */
	__atomic_store_n(&a->view->agent->heartbeat_ns, end, __ATOMIC_RELEASE);
	return arm_timer(a, next);
}

static void on_event(void *userdata, const struct ebb_event *event)
{
	struct agent *a = userdata;
	char dst[EBB_DST_NAME_MAX];
	uint64_t deadline;

	switch (event->kind) {
	case EBB_EVENT_DST_NEW:
		ebb_debug("destination discovered: destination=%s",
			  ebb_dst_name(a->view, event->gate, dst, sizeof(dst)));
		break;
	case EBB_EVENT_WORKLOAD_NEW:
		ebb_keeper_meet(a->keeper, event);
		break;
	default:
		/* a probe's event may tell a success, which leaves what failed before as it is */
		if (event->gate < a->view->gate_max && event->outcome < EBB_OUTCOME_MAX &&
		    event->outcome != EBB_OUTCOME_ESTABLISHED)
			a->failed_by[event->gate] = (uint8_t)event->outcome;
		if (a->hint_waits)
			break;
		deadline = ebb_tick_gate(a->ticker, event->gate, now_monotonic());
		if (deadline < a->tick_at_ns)
			(void)arm_timer(a, deadline);
		break;
	}
}

/*
 * Did an event use up the kernel's one wake-up for this look? It may have been taken in
 * the same look, and then nothing would wake us for those behind it.
 */
static bool woken_in_this_look(const struct ebb_view *view)
{
	return __atomic_load_n(&view->kernel->woken_for, __ATOMIC_SEQ_CST) ==
	       __atomic_load_n(&view->agent->looked, __ATOMIC_SEQ_CST) + 1;
}

/* Hints: look at their gates at once, spaced out when there are too many. */
static int handle_events(struct agent *a)
{
	uint64_t now;
	int r;

	do {
		now = now_monotonic();
		if (a->hint_tat_ns < now)
			a->hint_tat_ns = now;
		a->hint_waits = a->hint_tat_ns - now > HINT_BURST * HINT_SPACING_NS;
		if (!a->hint_waits) {
			a->hint_tat_ns += HINT_SPACING_NS;
			ebb_tick_begin(a->view);
		}
		r = ebb_loader_events_take(a->loader, on_event, a);
		if (r < 0)
			return r;
	} while (!a->hint_waits && woken_in_this_look(a->view));
	/* spaced out, or stopped at a hint that is still being written: look again soon */
	if ((a->hint_waits || r == 0) && a->tick_at_ns > now + HINT_SPACING_NS)
		return arm_timer(a, now + HINT_SPACING_NS);
	if (a->tick_at_ns > now + TICK_BUSY_NS)
		return arm_timer(a, now + TICK_BUSY_NS);
	return 0;
}

/* What a new configuration arms stands at once; what waits for the lock waits for a moment. */
static int after_reload(struct agent *a)
{
	bool waits = ebb_reload_again(a->reload);
	uint64_t soon;
	int r;

	if (a->just_configured) {
		a->just_configured = false;
		r = tick(a);
		if (r < 0)
			return r;
	}
	soon = now_monotonic() + APPLY_AGAIN_NS;
	return waits && a->tick_at_ns > soon ? arm_timer(a, soon) : 0;
}

static int handle_config(struct agent *a)
{
	ebb_reload_look(a->reload);
	return after_reload(a);
}

static void remembered(struct agent *a)
{
	ebb_reload_remembered(a->reload);
	ebb_answering_remembered(a->answering);
}

static int handle_remembered(struct agent *a)
{
	uint64_t passes;

	if (read(ebb_sockets_done_fd(a->sockets), &passes, sizeof(passes)) == sizeof(passes))
		remembered(a);
	return after_reload(a);
}

/* DNS answers come before anything else: the program that got one connects in the next moment. */
static int take_answers(struct agent *a)
{
	uint64_t again = ebb_answering_take(a->answering);

	return again && again < a->tick_at_ns ? arm_timer(a, again) : 0;
}

/* They are taken whatever wakes the loop. */
static int handle_answers(struct agent *a)
{
	(void)a;
	return 0;
}

static int handle_timer(struct agent *a)
{
	uint64_t expirations;
	int r;

	if (read(a->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return -errno;
	/* what did not wake us waits in the ring */
	(void)ebb_loader_events_take(a->loader, on_event, a);
	r = tick(a);
	return r < 0 ? r : after_reload(a);
}

static int handle_signal(struct agent *a)
{
	struct signalfd_siginfo info;

	if (read(a->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGHUP) {
		ebb_reload_now(a->reload, "SIGHUP");
		return after_reload(a);
	}
	ebb_info("stopping: signal=%s", strsignal((int)info.ssi_signo));
	a->stop = true;
	a->health.stopping = true;
	return 0;
}

/* Breakers go on without HTTP. *@ret_timeout_ms: when it wants to be called again, -1: when readable. */
static void run_http(struct agent *a, int *ret_timeout_ms)
{
	int r;

	*ret_timeout_ms = -1;
	if (!a->http)
		return;
	r = ebb_http_run(a->http, ret_timeout_ms);
	if (r == 0)
		return;
	ebb_err_r(r, "the HTTP server stops, breakers go on; start the agent again to have it back");
	ebb_http_free(a->http);
	a->http = NULL;
}

static int handle_http(struct agent *a)
{
	int timeout_ms;

	run_http(a, &timeout_ms);
	return 0;
}

/* ------------------------------------------------------------------ start -- */

static int find_cgroup(struct agent *a, struct ebb_why *why)
{
	int r;

	if (strcmp(a->config->cgroup, "auto") == 0) {
		r = ebb_cgroup_auto(a->cgroup, sizeof(a->cgroup), why);
		if (r < 0)
			return r;
	} else if ((size_t)snprintf(a->cgroup, sizeof(a->cgroup), "%s", a->config->cgroup) >=
		   sizeof(a->cgroup)) {
		return ebb_why(why, -ENAMETOOLONG, "--cgroup: the path is too long");
	}
	return ebb_cgroup_open(a->cgroup, &a->cgroup_fd, &a->cgroup_id, why);
}

static int write_agent(struct agent *a, bool took_over)
{
	struct ebb_agent *shared = a->view->agent;
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	if (a->options->seed_given)
		shared->seed = a->options->seed;
	else if (!took_over)
		shared->seed = random[0];
	shared->started_ns = now_monotonic();
	shared->started_realtime_s = (uint64_t)now_realtime() / NS_PER_S;
	shared->run_id = random[1];
	shared->pid = (uint32_t)getpid();
	shared->dst_max = a->view->dst_max;
	shared->pair_max = a->view->pair_max;
	shared->cgroup_id = a->cgroup_id;
	/* from here on a later agent takes these maps up */
	__atomic_store_n(&shared->abi_version, EBB_ABI_VERSION, __ATOMIC_RELEASE);
	return 0;
}

static int remove_key(void *agent, enum ebb_slot_kind kind, const void *key, uint32_t slot)
{
	const struct agent *a = agent;

	return ebb_slots_remove(a->loader, kind, key, slot);
}

static int insert_key(void *agent, enum ebb_slot_kind kind, const void *key, const struct ebb_ref *ref)
{
	const struct agent *a = agent;

	return ebb_slots_insert(a->loader, kind, key, ref);
}

static int release_slot(void *agent, enum ebb_slot_kind kind, uint32_t slot)
{
	const struct agent *a = agent;

	return ebb_slots_release(a->loader, kind, slot);
}

static int lost_by(void *agent, uint64_t workload)
{
	const struct agent *a = agent;

	return ebb_keeper_lost(a->keeper, workload);
}

static bool wants_reset(const struct ebb_config *config)
{
	bool wanted = config->defaults.established == EBB_ESTABLISHED_RESET;

	for (size_t i = 0; i < config->destination_count; i++)
		wanted |= config->destinations[i].settings.established == EBB_ESTABLISHED_RESET;
	return wanted;
}

static int open_kernel(struct agent *a, struct ebb_why *why)
{
	const struct ebb_agent_options *o = a->options;
	const struct ebb_loader_options options = {
		.pin_dir = o->pin_dir,
		.cgroup_fd = a->cgroup_fd,
		.destinations = a->config->cap_destinations,
		.pairs = a->config->cap_pairs,
		.endpoints = a->config->cap_endpoints,
		.no_set_retval = o->no_set_retval,
		.adopt = a->config->adopt != 0,
		.remember = true,
		.reset = wants_reset(a->config),
		.no_sock_destroy = o->no_sock_destroy,
	};
	int r;

	r = ebb_loader_open(&options, &a->loader, why);
	if (r < 0)
		return r;
	a->view = ebb_loader_view(a->loader);
	return ebb_mapping_open(o->pin_dir, a->view, &a->mapping, why);
}

/* Some processes of the cgroup run where we cannot see or enter; and how many. */
static size_t out_of_reach(const struct agent *a)
{
	struct ebb_netns_list list;
	size_t count;

	if (ebb_netns_below(a->cgroup, &list) < 0)
		return 0;
	count = list.hidden + list.refused;
	ebb_netns_list_done(&list);
	return count;
}

/*
 * What can be done where live connections are to be reset when their breaker opens. The right to
 * it is given up where nothing asks for it at the start.
 */
static void decide_reset(struct agent *a)
{
	a->no_reset = "nothing asked for it when the agent started: start it again";
	if (!wants_reset(a->config))
		return;
	a->no_reset = NULL;
	if (ebb_loader_reset_way(a->loader) == EBB_RESET_IMPOSSIBLE)
		a->no_reset = "this kernel destroys no sockets for us";
	else if (ebb_probe_one(EBB_FEATURE_NAMESPACES) < 0)
		a->no_reset = "CAP_SYS_ADMIN or CAP_SYS_PTRACE is missing";
	else if (out_of_reach(a))
		a->no_reset = "processes of the cgroup are in another process namespace";
	if (!a->no_reset)
		ebb_info("live connections are reset when their breaker opens: by=%s",
			 ebb_loader_reset_way(a->loader) == EBB_RESET_BPF ? "bpf_sock_destroy" : "netlink");
}

/* ---------------------------------------------------------- configuration -- */

static int take_slot(void *mapping, uint32_t *ret_slot)
{
	return ebb_slots_take(mapping, ret_slot);
}

static int give_slot_back(void *mapping, uint32_t slot)
{
	return ebb_slots_give_back(mapping, slot);
}

static int replace_routes(void *mapping, const struct ebb_route_table *table, struct ebb_why *why)
{
	return ebb_routes_replace(mapping, table, why);
}

static int get_endpoint(void *mapping, const struct ebb_endpoint *key, struct ebb_ref *ret_ref)
{
	return ebb_endpoints_get(mapping, key, ret_ref);
}

static int put_endpoint(void *mapping, const struct ebb_endpoint *key, const struct ebb_ref *ref)
{
	return ebb_endpoints_put(mapping, key, ref);
}

static int remove_endpoint(void *mapping, const struct ebb_endpoint *key)
{
	return ebb_endpoints_remove(mapping, key);
}

static void mapping_changed(void *mapping)
{
	ebb_mapping_changed(mapping);
}

static int open_apply(struct agent *a, struct ebb_why *why)
{
	const struct ebb_apply_ops ops = {
		.userdata = a->mapping,
		.take_slot = take_slot,
		.give_slot_back = give_slot_back,
		.replace_routes = replace_routes,
		.get_endpoint = get_endpoint,
		.put_endpoint = put_endpoint,
		.remove_endpoint = remove_endpoint,
		.mapping_changed = mapping_changed,
	};
	int r = ebb_apply_new(a->view, &ops, !ebb_loader_took_over(a->loader), !a->no_reset, &a->apply);

	return r < 0 ? ebb_why(why, r, "out of memory") : 0;
}

/*
 * Another configuration is in force: everybody who follows it is told here, at the start before
 * anything is attached.
 */
static void configured(struct agent *a)
{
	const struct ebb_breaker_config *breakers;
	const uint32_t *of_dst;

	ebb_keeper_configure(a->keeper, &a->config->workloads);
	breakers = ebb_apply_breakers(a->apply, &of_dst);
	ebb_ticker_configure(a->ticker, breakers, of_dst);
	ebb_ticker_fuse(a->ticker, &a->config->node_fuse, on_fuse, a);
	ebb_answering_configure(a->answering, a->config, ebb_apply_matcher(a->apply));
	a->default_asks = ebb_apply_default_asks(a->apply);
	a->view->agent->mode = a->config->defaults.mode;
	__atomic_store_n(&a->view->agent->lease_ns, a->config->lease_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&a->view->agent->generation, 1, __ATOMIC_RELEASE);
	a->health.enforce_wanted = is_configured_to_enforce(a->config);
	a->source.applied_realtime_s = (uint64_t)now_realtime() / NS_PER_S;
}

static void warn_of(const struct agent *a, const struct ebb_apply_report *report)
{
	if (report->stale)
		ebb_warn("policies of single workloads could not be written for %u destinations: there the old ones hold until an operator changes them",
			 report->stale);
	if (report->resets)
		ebb_warn("live connections cannot be reset when their breaker opens (%s): what they send is dropped instead",
			 a->no_reset);
}

/*
 * The configuration of the start. Nobody waits for us yet, so a pass over the open sockets is
 * made at once.
 */
static int apply_first(struct agent *a, struct ebb_why *why)
{
	struct ebb_apply_report report;
	struct ebb_why missed = {0};
	uint64_t count;
	int r;

	r = ebb_apply_prepare(a->apply, a->config, why);
	if (r < 0)
		return r;
	if (ebb_apply_mark(a->apply) && ebb_loader_remember(a->loader, &count, &missed) < 0)
		ebb_warn("%s: open connections whose address changes hands are counted where they do not belong until they are counted anew",
			 missed.text);
	r = ebb_apply_commit(a->apply, now_monotonic(), &report, why);
	if (r < 0)
		return r;
	configured(a);
	warn_of(a, &report);
	return 0;
}

static void on_configured(void *userdata, const struct ebb_config *config,
			  const struct ebb_apply_report *report)
{
	struct agent *a = userdata;

	a->config = config;
	configured(a);
	warn_of(a, report);
	ebb_collector_set_idle(a->collector, config->idle_ns);
	ebb_log_set_level((enum ebb_log_level)config->log_level);
	follow_urgency(a);
	a->just_configured = true;
}

static bool ask_for_memories(void *userdata)
{
	const struct agent *a = userdata;

	if (!a->sockets)
		return false;
	ebb_sockets_want(a->sockets, EBB_SOCKETS_REMEMBER);
	return true;
}

static struct ebb_ref slot_of(void *userdata, uint32_t destination)
{
	const struct agent *a = userdata;

	return ebb_apply_ref(a->apply, destination);
}

static int open_answering(struct agent *a, struct ebb_why *why)
{
	const struct ebb_answering_setup setup = {
		.loader = a->loader,
		.view = a->view,
		.mapping = a->mapping,
		.health = &a->health,
		.pin_dir = a->options->pin_dir,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
		.userdata = a,
		.slot_of = slot_of,
		.remember = ask_for_memories,
	};

	return ebb_answering_new(&setup, &a->answering, why);
}

static int open_reload(struct agent *a, struct ebb_config *config, struct ebb_why *why)
{
	const struct ebb_reload_setup setup = {
		.pin_dir = a->options->pin_dir,
		.sources = a->options->sources,
		.apply = a->apply,
		.source = &a->source,
		.health = &a->health,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
		.userdata = a,
		.remember = ask_for_memories,
		.configured = on_configured,
	};
	int r = ebb_reload_new(&setup, config, &a->reload);

	return r < 0 ? ebb_why(why, r, "cannot follow the configuration: %s", ebb_strerror(r)) : 0;
}

/*
 * From here on the maps say what we were told. Last before attaching: over pinned maps
 * the programs of an earlier agent obey at once, and a start that fails must not have
 * changed what they do.
 */
static int take_charge(struct agent *a, struct ebb_why *why)
{
	const struct ebb_agent_options *o = a->options;
	const struct ebb_idle_ops ops = {
		.userdata = a,
		.remove = remove_key,
		.insert = insert_key,
		.release = release_slot,
		.lost = lost_by,
	};
	bool took_over = ebb_loader_took_over(a->loader);
	_cleanup_close_ int lock = -1;
	int r;

	r = ebb_policies_lock(o->pin_dir, LOCK_WAIT_NS, &lock, why);
	if (r < 0)
		return r;
	ebb_troubles_init(&a->troubles, (const uint64_t *)a->view->kernel->errors);
	r = write_agent(a, took_over);
	if (r < 0)
		return ebb_why(why, r, "no random numbers: %s", ebb_strerror(r));
	a->failed_by = calloc(a->view->gate_max, sizeof(*a->failed_by));
	if (!a->failed_by)
		return ebb_why(why, -ENOMEM, "out of memory");
	r = ebb_ticker_new(a->view, &a->config->defaults.breaker, a->view->agent->seed, took_over, &a->moves,
			   &a->ticker);
	if (r == 0)
		r = listen_to_moves(a);
	if (r == 0)
		r = ebb_collector_new(a->view, a->config->idle_ns, &ops, &a->collector);
	if (r < 0)
		return ebb_why(why, r, "out of memory");
	r = ebb_collector_sweep(a->collector);
	if (r < 0)
		return ebb_why(why, r, "cannot take back slots: %s", ebb_strerror(r));
	r = ebb_loader_fill_queues(a->loader, why);
	if (r == 0)
		r = ebb_keeper_new(a->view, a->mapping, a->names, a->cgroup, &a->keeper, why);
	if (r < 0)
		return r;
	decide_reset(a);
	r = open_apply(a, why);
	if (r == 0)
		r = open_answering(a, why);
	return r < 0 ? r : apply_first(a, why);
}

static int open_export(struct agent *a, struct ebb_why *why)
{
	int r;

	r = ebb_cgroup_names_new(&a->names);
	if (r < 0)
		return ebb_why(why, r, "cannot name workloads: %s", ebb_strerror(r));
	ebb_health_init(&a->health, now_realtime());
	a->health.enforce_wanted = is_configured_to_enforce(a->config);
	a->source = (struct ebb_source){
		.view = a->view,
		.health = &a->health,
		.workloads = a->names,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
		.version = EBB_VERSION,
		.map_bytes = ebb_loader_map_bytes(a->loader),
		.local_floor = calloc(a->view->pair_max, sizeof(uint64_t)),
	};
	if (!a->source.local_floor)
		return ebb_why(why, -ENOMEM, "out of memory");
	return ebb_http_new(a->config->listen, &a->source, &a->http, why);
}

static int watch(const struct agent *a, struct source *source)
{
	struct epoll_event event = {.events = source->events, .data.ptr = source};

	return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

static int open_signals(struct agent *a)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	a->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signal_fd < 0 ? -errno : 0;
}

/* After the first signal: a second one ends at once, and so does the end of the time given. */
static void bound_shutdown(const struct agent *a)
{
	unsigned int seconds = (unsigned int)((a->config->shutdown_timeout_ns + NS_PER_S - 1) / NS_PER_S);
	sigset_t set;

	(void)alarm(seconds ? seconds : 1);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int loop(struct agent *a, struct ebb_why *why)
{
	struct source sources[] = {
		{a->signal_fd, EPOLLIN, handle_signal},
		{a->timer_fd, EPOLLIN, handle_timer},
		/*
		 * By edge: a hint that a program has reserved and not yet written makes the ring
		 * readable with nothing to read. At real-time priority we would spin and keep that
		 * very program from its processor.
		 */
		{ebb_loader_events_fd(a->loader), EPOLLIN | EPOLLET, handle_events},
		{ebb_http_fd(a->http), EPOLLIN, handle_http},
		{ebb_reload_fd(a->reload), EPOLLIN, handle_config},
		{ebb_sockets_done_fd(a->sockets), EPOLLIN, handle_remembered},
		{ebb_loader_answers_fd(a->loader), EPOLLIN | EPOLLET, handle_answers},
	};
	struct epoll_event events[8];
	int timeout_ms = -1, n, r;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		r = sources[i].fd < 0 ? 0 : watch(a, &sources[i]);
		if (r < 0)
			return ebb_why(why, r, "cannot watch a descriptor: %s", ebb_strerror(r));
	}
	while (!a->stop) {
		n = epoll_wait(a->epoll_fd, events, sizeof(events) / sizeof(events[0]), timeout_ms);
		if (n < 0 && errno != EINTR)
			return ebb_why(why, -errno, "epoll_wait: %s", strerror(errno));
		r = take_answers(a);
		if (r < 0)
			return ebb_why(why, r, "the event loop stops: %s", ebb_strerror(r));
		for (int i = 0; i < n; i++) {
			const struct source *source = events[i].data.ptr;

			r = source->handle(a);
			if (r < 0)
				return ebb_why(why, r, "the event loop stops: %s", ebb_strerror(r));
		}
		run_http(a, &timeout_ms);
	}
	return 0;
}

/* What holds for every destination; nothing where nothing is limited. */
static void greet_limits(const struct ebb_settings *o)
{
	char text[(EBB_LIMIT_MAX + 1) * (EBB_LIMIT_TEXT_MAX + 16)] = "", limit[EBB_LIMIT_TEXT_MAX];
	size_t used = 0;

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		if (o->limits.bucket[kind].per_hour)
			used += (size_t)snprintf(text + used, sizeof(text) - used, " %s=%s",
						 ebb_limit_kind_info(kind)->name,
						 ebb_limit_format_rate(&o->limits.bucket[kind], kind, limit,
								       sizeof(limit)));
	}
	if (o->limits.concurrent)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " concurrent=%u",
					 o->limits.concurrent);
	if (used)
		ebb_info("limits of every destination:%s scope=%s", text, ebb_scope_name(o->scope));
}

/* What an upgrade with another layout of the maps kept, and what it did not. */
static void greet_migration(const struct agent *a)
{
	const struct ebb_migration *m = ebb_loader_migration(a->loader);

	if (!m->from)
		return;
	ebb_info("maps of layout v%u moved to v%u: endpoints=%u pairs=%u; the state of breakers, limits given by hand and counters go on; begun anew: %s",
		 m->from, EBB_ABI_VERSION, m->endpoints, m->pairs, m->reset[0] ? m->reset : "nothing");
}

static void greet_config(const struct ebb_config *config)
{
	if (ebb_config_file(config))
		ebb_info("configuration: file=%s destinations=%zu", ebb_config_file(config),
			 config->destination_count);
}

static void greet(const struct agent *a)
{
	const char *address = ebb_http_address(a->http);

	ebb_info("ebb %s started: mode=%s cgroup=%s pin=%s listen=%s maps=%s", EBB_VERSION,
		 ebb_mode_name(a->config->defaults.mode), a->cgroup, a->options->pin_dir, address,
		 ebb_loader_took_over(a->loader) ? "taken over" : "new");
	greet_migration(a);
	greet_config(a->config);
	for (size_t i = 0; i < a->moves.count; i++)
		ebb_debug("told of each transition: listener=%s", a->moves.listeners[i].name);
	greet_limits(&a->config->defaults);
	ebb_info("try next: 'ebb list', 'ebb watch', or 'curl http://%s/metrics'", address);
}

/*
 * Connections that were there before, before anybody looks at what is counted. Without
 * them the agent is as good for all that come after.
 */
static void adopt_open(const struct agent *a)
{
	const struct ebb_adopted *first = ebb_loader_adopted_first(a->loader);
	struct ebb_adopted adopted;
	struct ebb_why why = {0};

	if (!a->config->adopt)
		return;
	if (ebb_loader_adopt(a->loader, &adopted, &why) < 0) {
		ebb_warn("%s: connections that were there before are not counted", why.text);
		return;
	}
	adopted.connections += first->connections;
	adopted.destinations += first->destinations;
	adopted.slots += first->slots;
	adopted.took_ns += first->took_ns;
	ebb_sockets_log_adopted(&adopted, true);
}

/* The thread gets what rights are left to us. */
static int open_sockets(struct agent *a, struct ebb_why *why)
{
	int r;

	a->capped = calloc(a->view->gate_max, sizeof(*a->capped));
	if (!a->capped)
		return ebb_why(why, -ENOMEM, "out of memory");
	(void)ebb_sockets_cap_came(a->view, now_monotonic(), a->capped, &a->capped_high);
	a->adopt_at_ns = now_monotonic() + ADOPT_NS;
	a->recount_at_ns = now_monotonic() + RECOUNT_NS;
	r = ebb_sockets_new(a->loader, a->cgroup, !a->no_reset, &a->sockets);
	return r < 0 ? ebb_why(why, r, "cannot start a thread: %s", ebb_strerror(r)) : 0;
}

/* @io_config: the caller's, until it is in force. */
static int start(struct agent *a, struct ebb_config **io_config, struct ebb_why *why)
{
	int r;

	r = find_cgroup(a, why);
	if (r < 0)
		return r;
	r = open_kernel(a, why);
	if (r < 0)
		return r;
	r = open_export(a, why);
	if (r < 0)
		return r;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->epoll_fd < 0 || a->timer_fd < 0)
		return ebb_why(why, -errno, "cannot make the event loop: %s", strerror(errno));
	r = open_signals(a);
	if (r < 0)
		return ebb_why(why, r, "cannot take signals: %s", ebb_strerror(r));
	r = take_charge(a, why);
	if (r < 0)
		return r;
	r = open_reload(a, TAKE_PTR(*io_config), why);
	if (r < 0)
		return r;
	r = ebb_loader_attach(a->loader, why);
	if (r < 0)
		return r;
	adopt_open(a);
	follow_urgency(a);
	/* another configuration may enforce; where it is not permitted, that is told when it matters */
	a->may_raise = ebb_scheduling_permit() == 0;
	r = ebb_drop_privileges(!a->no_reset);
	if (r < 0)
		ebb_warn("cannot drop capabilities (%s): the agent keeps them", ebb_strerror(r));
	r = open_sockets(a, why);
	if (r < 0)
		return r;
	ebb_answering_start(a->answering);
	r = tick(a);
	if (r < 0)
		return ebb_why(why, r, "the first tick failed: %s", ebb_strerror(r));
	greet(a);
	return 0;
}

static void close_all(struct agent *a)
{
	ebb_sockets_free(a->sockets);
	ebb_http_free(a->http);
	ebb_answering_free(a->answering);
	ebb_reload_free(a->reload);
	ebb_keeper_free(a->keeper);
	ebb_ticker_free(a->ticker);
	ebb_apply_free(a->apply);
	ebb_mapping_free(a->mapping);
	ebb_collector_free(a->collector);
	ebb_cgroup_names_free(a->names);
	free(a->source.local_floor);
	free(a->failed_by);
	free(a->capped);
	ebb_loader_free(a->loader);
	if (a->timer_fd >= 0)
		(void)close(a->timer_fd);
	if (a->signal_fd >= 0)
		(void)close(a->signal_fd);
	if (a->epoll_fd >= 0)
		(void)close(a->epoll_fd);
	if (a->cgroup_fd >= 0)
		(void)close(a->cgroup_fd);
}

int ebb_agent_run(const struct ebb_agent_options *options, struct ebb_config *config, struct ebb_why *why)
{
	struct agent a = {
		.options = options,
		.config = config,
		.cgroup_fd = -1,
		.epoll_fd = -1,
		.signal_fd = -1,
		.timer_fd = -1,
	};
	bool detach = false;
	size_t removed = 0;
	int r;

	r = start(&a, &config, why);
	if (r == 0)
		r = loop(&a, why);
	if (a.stop) {
		bound_shutdown(&a);
		/* no more verdicts from us: the lease runs from the last tick */
		a.view->agent->pid = 0;
	}
	if (a.stop)
		detach = a.config->on_exit_detach != 0;
	close_all(&a);
	ebb_config_free(config);
	if (detach) {
		r = ebb_maps_detach(options->pin_dir, &removed, why);
		if (r == 0)
			ebb_info("detached: pins=%zu", removed);
	} else if (a.stop) {
		ebb_info("stopped: the pinned programs go on, verdicts hold for the lease; 'ebb detach --pin %s' removes them",
			 options->pin_dir);
	}
	return r;
}

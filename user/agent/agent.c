/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <malloc.h>
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
#include "agent/auditor.h"
#include "agent/checks.h"
#include "agent/deeds.h"
#include "agent/identities.h"
#include "agent/idle.h"
#include "agent/keeper.h"
#include "agent/move_log.h"
#include "agent/moves.h"
#include "agent/notify.h"
#include "agent/plain.h"
#include "agent/privileges.h"
#include "agent/pushing.h"
#include "agent/recounter.h"
#include "agent/reload.h"
#include "agent/rests.h"
#include "agent/scheduling.h"
#include "agent/seccomp.h"
#include "agent/sockets.h"
#include "agent/tick.h"
#include "agent/tracing.h"
#include "agent/troubles.h"
#include "agent/urgency.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "core/policy.h"
#include "core/verdict.h"
#include "export/health.h"
#include "export/groups.h"
#include "export/http.h"
#include "export/items.h"
#include "export/name.h"
#include "export/source.h"
#include "kernel/loader.h"
#include "kernel/probe.h"
#include "lib/cleanup.h"
#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/timer.h"
#include "lib/units.h"
#include "node/cgroup.h"
#include "node/netns.h"
#include "node/owns.h"
#include "node/pods_file.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#define TICK_BUSY_NS	 (100 * NS_PER_MS) /* while results arrive */
#define TICK_IDLE_NS	 NS_PER_S
#define COLLECT_NS	 NS_PER_S
#define LOCK_WAIT_NS	 (5 * NS_PER_S) /* for a command that writes policies */
#define ADOPT_NS	 (300 * NS_PER_S)
#define RECOUNT_NS	 (300 * NS_PER_S)
#define MENDED_NS	 (3 * NS_PER_S) /* between recounts of slots after a program was attached again */
#define MENDED_RECOUNTS	 5		/* two have to agree, some may see something move */
#define SINK_DEADLINE_NS (6 * NS_PER_S) /* of an attempt to write to one, and a bit */
#define RESET_AGAIN_NS	 NS_PER_S /* what was connecting when its breaker opened may be established since */
#define APPLY_AGAIN_NS	 (10 * NS_PER_MS) /* a command holds the lock */
#define FLUSH_AGAIN_NS	 (100 * NS_PER_MS)

/*
 * Looks because of hints: at once, as long as there are not more than this many
 * a second; a storm of failures then costs one look a millisecond, not a processor.
 */
#define HINT_SPACING_NS NS_PER_MS
#define HINT_BURST	64

struct agent;

/* One descriptor of the loop. */
struct source {
	int fd;
	uint32_t events;
	int (*handle)(struct agent *a);
};

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
	char pod_labels[EBB_KUBERNETES_LABELS_MAX]; /* as at the start: a change needs another */
	struct ebb_identities *identities;	    /* NULL: without Kubernetes */
	struct ebb_answering *answering;
	bool may_raise; /* real-time priority, also later */
	struct ebb_ticker *ticker;
	struct ebb_moves moves; /* who is told of a transition */
	struct ebb_move_book *move_book;
	struct ebb_auditor *auditor;
	uint64_t deeds_logged; /* serial of the last order by hand that is in the log */
	struct ebb_collector *collector;
	struct ebb_plain *plain; /* NULL: sockets of gates that have moved have a memory for ever */
	struct ebb_cgroup_names *names;
	struct ebb_http *http;
	struct source clients; /* of it */
	struct ebb_rests rests;
	uint64_t rest_until_ns; /* nobody is answered before; 0: no rest */
	struct ebb_sockets *sockets;
	struct ebb_fetch *fetch;     /* whatever goes out by HTTP */
	struct ebb_seccomp *seccomp; /* NULL: any system call may be made */
	struct ebb_tracing *tracing;
	struct ebb_pushing *pushing;
	struct ebb_notify notify; /* the service manager */
	bool reloading;		  /* it was told so, and waits for the end */
	struct ebb_health health;
	struct ebb_checks *checks;
	struct ebb_source source;
	struct ebb_hist scrape_duration;
	struct ebb_http_stats http_stats;

	int epoll_fd;
	int signal_fd;
	int timer_fd;
	uint64_t flush_at_ns; /* a signal came: when the sinks are flushed; 0: none came */
	bool flushing;
	bool audit_flushed, otlp_flushed;
	uint64_t flush_until_ns;
	bool stop;
	char stop_reason[32];

	uint32_t default_asks; /* EBB_ASK_* of what has no destination yet */
	bool packets;	       /* the packet program is attached, and that is told */
	bool turns;	       /* turns are seen, and that is told */
	bool turns_failed;     /* told already that they cannot be */
	bool packets_failed;   /* told already that the packet program cannot be attached */

	uint64_t tick_at_ns;  /* when the next tick is due */
	uint64_t hint_tat_ns; /* generic cell rate: theoretical arrival of the next hinted look */
	bool hint_waits;      /* a hint came while looks were spaced out */
	uint64_t collect_at_ns;
	bool collect_failed; /* told already */
	uint64_t adopt_at_ns;
	uint64_t recount_at_ns;
	uint64_t mended_at_ns; /* of the next recount because of that */
	int mended_recounts;   /* that are left */
	uint64_t reset_at_ns;
	const char *no_reset;	    /* why live connections cannot be reset; NULL: they can */
	bool just_configured;	    /* a tick is due: what is armed follows at once */
	struct ebb_urgency urgency; /* real-time priority: wanted while something enforces */
	struct ebb_move_log *move_log;
	bool *capped; /* see ebb_sockets_cap_came() */
	uint32_t capped_high;
	struct ebb_troubles troubles;
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

/* Listener: live connections are reset where that is asked for. */
static void reset_after_move(void *userdata, const struct ebb_move *move)
{
	const struct agent *a = userdata;

	if (ebb_reason_to(move->transition.reason) == EBB_STATE_OPEN && a->sockets &&
	    a->view->policies[move->dst].established == EBB_ESTABLISHED_RESET)
		ebb_sockets_want(a->sockets, EBB_SOCKETS_RESET);
}

/* Listener: traces, audit and log, with the same facts. */
static void tell_move(void *userdata, const struct ebb_move *move)
{
	const struct agent *a = userdata;
	struct ebb_move_facts facts;

	ebb_move_book_take(a->move_book, move, &facts);
	ebb_tracing_moved(a->tracing, &facts);
	if (a->auditor)
		ebb_audit_feed_moved(ebb_auditor_feed(a->auditor), &facts);
	ebb_move_log_tell(a->move_log, &facts);
}

static void on_fuse(void *userdata, const struct ebb_fuse_move *move)
{
	const struct agent *a = userdata;

	if (a->auditor)
		ebb_audit_feed_fuse(ebb_auditor_feed(a->auditor), move);
	if (move->acts)
		ebb_warn("node fuse acts: action=%s open=%u active=%u calls=%u; many destinations fail at once: the fault is probably this node's",
			 ebb_fuse_name(move->action), move->open, move->active, move->calls);
	else
		ebb_info("node fuse has ended: action=%s open=%u active=%u calls=%u",
			 ebb_fuse_name(move->action), move->open, move->active, move->calls);
}

static void tell_http(void *userdata, const struct ebb_move *move)
{
	const struct agent *a = userdata;

	if (a->http)
		ebb_http_moved(a->http, move->dst, move->gate, &move->transition);
}

/* Who is told of a transition after it is remembered and obeyed, the quickest first. */
static int listen_to_moves(struct agent *a)
{
	const struct ebb_move_listener listeners[] = {
		{"reset", reset_after_move, a},
		{"http", tell_http, a},
		{"traces, audit and log", tell_move, a},
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
	if (a->flush_at_ns && !a->flushing && at_ns > a->flush_at_ns)
		at_ns = a->flush_at_ns;
	a->tick_at_ns = at_ns;
	return ebb_timer_arm(a->timer_fd, at_ns);
}

static void on_trouble(void *userdata, const struct ebb_trouble_news *news)
{
	const struct agent *a = userdata;
	char lasted[EBB_FORMAT_MAX], who[EBB_CGROUP_PATH_MAX];
	const char *name = ebb_error_name(news->error);

	/* the first connection of each new cgroup, where there are rules: nothing is wrong */
	if (news->error == EBB_ERR_UNCLASSIFIED)
		ebb_debug("workloads not identified yet are%s let through: count=%llu",
			  news->ended ? " no longer" : "", (unsigned long long)news->count);
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
	ebb_troubles_look(&a->troubles, (const uint64_t *)a->view->kernel->errors, now, on_trouble, a);
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
	(void)ebb_deeds_tell(a->view, &a->deeds_logged, ebb_deed_log, NULL);
	if (a->auditor)
		ebb_auditor_deeds(a->auditor);
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
	if (r < 0 && !a->collect_failed)
		ebb_warn("cannot take back idle slots (%s): trying again each second", ebb_strerror(r));
	else if (r > 0)
		ebb_debug("idle slots taken back: count=%d", r);
	a->collect_failed = r < 0;
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
	if (a->mended_recounts && now >= a->mended_at_ns) {
		a->mended_recounts--;
		a->mended_at_ns = now + MENDED_NS;
		what |= EBB_SOCKETS_SLOTS;
	}
	if (!a->no_reset && now >= a->reset_at_ns && ebb_sockets_reset_is_due(a->view, now)) {
		a->reset_at_ns = now + RESET_AGAIN_NS;
		what |= EBB_SOCKETS_RESET;
	}
	if (a->plain && ebb_plain_look(a->plain, now))
		what |= EBB_SOCKETS_REMEMBER;
	if (what)
		ebb_sockets_want(a->sockets, what);
}

static void ask_for_priority(struct agent *a, uint64_t now)
{
	uint64_t since = a->urgency.since_ns;
	bool again = a->urgency.wait_ns != 0;
	char lasted[EBB_FORMAT_MAX];
	int r = ebb_scheduling_raise();

	ebb_urgency_asked(&a->urgency, r == 0, now);
	if (r < 0 && !again)
		ebb_warn("no real-time priority (%s): on a busy machine verdicts can be some 10 ms late; going on without",
			 ebb_strerror(r));
	else if (r == 0 && again)
		ebb_info("real-time priority is there again: lasted=%s",
			 ebb_format_duration(now - since, lasted, sizeof(lasted)));
}

/* The kernel takes it from who works for too long without a pause, and root from whom it will. */
static void notice_loss(struct agent *a, uint64_t now)
{
	bool overran = ebb_scheduling_was_lost();
	char wait[EBB_FORMAT_MAX];

	if (!a->urgency.held || ebb_scheduling_is_raised())
		return;
	ebb_urgency_lost(&a->urgency, now);
	ebb_warn("real-time priority is gone (%s): on a busy machine verdicts can be some 10 ms late; it is asked for again: in=%s",
		 overran ? "200 ms of work without a pause" : "somebody took it",
		 ebb_format_duration(a->urgency.wait_ns, wait, sizeof(wait)));
}

/* Who only observes is in no hurry. */
static void follow_urgency(struct agent *a, uint64_t now)
{
	bool wanted = a->health.enforce_wanted && a->config->scheduling == EBB_SCHEDULING_RR;

	notice_loss(a, now);
	/* once lowered we could not raise it again */
	if (wanted || a->may_raise) {
		if (a->urgency.held && !wanted)
			ebb_scheduling_lower();
		ebb_urgency_want(&a->urgency, wanted, now);
	}
	if (ebb_urgency_is_due(&a->urgency, now))
		ask_for_priority(a, now);
	if (a->checks)
		ebb_checks_priority(a->checks, a->urgency.taken);
	a->source.realtime_wanted = a->urgency.wanted;
	a->source.realtime = a->urgency.held;
	a->source.realtime_losses = a->urgency.losses;
}

/* The agent ends: what there is goes, or is told to be lost. Returns when to look again. */
static uint64_t flush_otlp(struct agent *a)
{
	uint64_t now = now_monotonic();
	bool more;

	if (a->otlp_flushed)
		return UINT64_MAX;
	more = ebb_tracing_flush(a->tracing, now);
	more |= ebb_pushing_flush(a->pushing);
	if (more && now < a->flush_until_ns)
		return now + FLUSH_AGAIN_NS;
	if (a->source.traces.waiting)
		ebb_warn("traces are lost, since the collector did not take them: spans=%llu",
			 (unsigned long long)a->source.traces.waiting);
	a->otlp_flushed = true;
	a->stop = a->audit_flushed;
	return UINT64_MAX;
}

static void follow_identities(struct agent *a)
{
	struct ebb_kube_status status;

	if (ebb_identities_tick(a->identities))
		ebb_keeper_identified(a->keeper);
	if (ebb_identities_status(a->identities, &status))
		ebb_health_set(&a->health, EBB_HEALTH_KUBERNETES, status.healthy ? EBB_HEALTHY : EBB_DEGRADED,
			       now_realtime(), "%s", status.why);
}

static void on_unlisted(void *userdata, const char *name, uint64_t count)
{
	struct agent *a = userdata;
	bool on = a->source.seccomp;

	if (!on)
		ebb_warn("the agent made a system call that is not in its list: call=%s count=%llu; done, since 'seccomp: log' is set",
			 name, (unsigned long long)count);
	else
		ebb_err("the agent made a system call that is not in its list: call=%s count=%llu; refused: if something of ebb does not work now, report it and set 'seccomp: log'",
			name, (unsigned long long)count);
	ebb_health_set(&a->health, EBB_HEALTH_SECCOMP, EBB_DEGRADED, now_realtime(),
		       "%s system calls that are not in its list, the last of them %s",
		       on ? "the agent was refused" : "the agent made", name);
}

static void report_calls(struct agent *a)
{
	a->source.calls_unlisted = ebb_seccomp_count(a->seccomp);
	ebb_seccomp_news(a->seccomp, on_unlisted, a);
}

/* For every thread, those to come as well. The agent is as good without. */
static void open_seccomp(struct agent *a)
{
	enum ebb_seccomp_mode mode = a->config->seccomp;
	struct ebb_why why = {};
	int r = ebb_seccomp_new(mode, !a->no_reset, &a->seccomp, &why);

	a->source.seccomp = a->seccomp && mode == EBB_SECCOMP_ON;
	if (r == -ENOSYS) {
		ebb_info("no system call is refused to the agent: %s", why.text);
	} else if (r < 0) {
		ebb_warn("no system call is refused to the agent: %s", why.text);
		ebb_health_set(&a->health, EBB_HEALTH_SECCOMP, EBB_DEGRADED, now_realtime(),
			       "no system call is refused to the agent: %s", why.text);
	} else if (a->seccomp && !ebb_seccomp_is_told(a->seccomp)) {
		ebb_info("system calls that the agent does not need are told in the kernel's log alone: another filter has taken the way to us");
	}
}

static int tick(struct agent *a)
{
	struct ebb_tick_result result;
	uint64_t start = now_monotonic(), otlp_ns = UINT64_MAX, end, next;
	uint64_t late = a->tick_at_ns && start > a->tick_at_ns ? start - a->tick_at_ns : 0;

	ebb_tick(a->ticker, start, &result);
	a->hint_waits = false;
	follow_policies(a);
	follow_turns(a);
	a->health.enforce_wanted = wants_enforcement(a, start);
	follow_urgency(a, start);
	report_errors(a, start);
	report_calls(a);
	ebb_checks_ticked(a->checks, late, result.dst_live, result.pair_live);
	collect_idle(a, start);
	follow_identities(a);
	ebb_keeper_tick(a->keeper, start);
	watch_sockets(a, start);
	ebb_answering_tick(a->answering, start);
	ebb_auditor_tick(a->auditor);
	if (a->flushing)
		otlp_ns = flush_otlp(a);
	else
		ebb_tracing_tick(a->tracing, start);

	a->source.dst_live = result.dst_live;
	a->source.pair_live = result.pair_live;
	a->source.ticks++;
	end = now_monotonic();
	a->source.tick_duration.buckets[ebb_hist_bucket((end - start) / EBB_HIST_UNIT_NS)]++;
	a->source.tick_duration.sum_units += (end - start) / EBB_HIST_UNIT_NS;

	next = start + (result.busy ? TICK_BUSY_NS : TICK_IDLE_NS);
	if (otlp_ns < result.deadline_ns)
		result.deadline_ns = otlp_ns;
	if (result.deadline_ns < next)
		next = result.deadline_ns > start ? result.deadline_ns : start + NS_PER_MS;
	if (!a->health.started)
		ebb_checks_run(a->checks);
	a->health.started = true;
	/* the last write of a tick: an agent that was stopped revives nothing stale */
	__atomic_store_n(&a->view->agent->heartbeat_ns, end, __ATOMIC_RELEASE);
	(void)ebb_notify_ticked(&a->notify, end);
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
		ebb_keeper_meet(a->keeper);
		break;
	default:
		/* a probe's event may tell a success, which leaves what failed before as it is */
		if (event->outcome != EBB_OUTCOME_ESTABLISHED)
			ebb_move_book_failed(a->move_book, event->gate, event->outcome);
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
	ebb_keeper_met(a->keeper);
	/* spaced out, or stopped at a hint that is still being written: look again soon */
	if ((a->hint_waits || r == 0) && a->tick_at_ns > now + HINT_SPACING_NS)
		return arm_timer(a, now + HINT_SPACING_NS);
	if (a->tick_at_ns > now + TICK_BUSY_NS)
		return arm_timer(a, now + TICK_BUSY_NS);
	return 0;
}

/* Ready: at the start, and when a reload that was asked for has ended, in whichever way. */
static void tell_manager(struct agent *a)
{
	char status[EBB_NOTIFY_MAX];
	int r;

	(void)snprintf(status, sizeof(status), "mode=%s configuration=%llu%s",
		       ebb_mode_name(a->config->defaults.mode),
		       (unsigned long long)a->view->agent->generation,
		       a->source.reload_failed ? "; the last one was rejected, see the log" : "");
	r = ebb_notify_ready(&a->notify, status);
	if (r < 0)
		ebb_warn("the service manager does not hear that the agent is ready (%s): it may take it for one that does not start",
			 ebb_strerror(r));
	a->reloading = false;
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
	if (a->reloading && ebb_reload_is_done(a->reload))
		tell_manager(a);
	soon = now_monotonic() + APPLY_AGAIN_NS;
	return waits && a->tick_at_ns > soon ? arm_timer(a, soon) : 0;
}

static int handle_config(struct agent *a)
{
	ebb_reload_look(a->reload);
	return after_reload(a);
}

static int handle_reload(struct agent *a)
{
	ebb_reload_worked(a->reload);
	return after_reload(a);
}

static void remembered(struct agent *a)
{
	uint32_t plain = 0;

	ebb_reload_remembered(a->reload);
	ebb_answering_remembered(a->answering);
	if (a->plain)
		plain = ebb_plain_walked(a->plain, ebb_sockets_saw_all_from_ns(a->sockets));
	if (plain)
		ebb_debug("breakers have been closed for long: new connections need no memory: count=%u",
			  plain);
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

/*
 * So much of the time is for sinks that one which is just being written to, for its whole deadline, does not
 * run over the end.
 */
static uint64_t flush_ns(const struct ebb_config *config)
{
	uint64_t timeout = config->shutdown_timeout_ns;

	return timeout > 2 * SINK_DEADLINE_NS ? timeout - SINK_DEADLINE_NS : timeout / 2;
}

static int handle_checks(struct agent *a)
{
	ebb_checks_run(a->checks);
	return 0;
}

/* A second signal ends at once, and so does the end of the time given: both are the kernel's to do. */
static void bound_shutdown(uint64_t most_ns)
{
	sigset_t set;

	(void)alarm((unsigned int)((most_ns + NS_PER_S - 1) / NS_PER_S));
	/* a shell's background program is born with SIGINT ignored */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Not ready from now on; the rest goes on as it is: until the delay is over, then until the sinks are flushed. */
static void begin_stop(struct agent *a, uint64_t delay_ns)
{
	/* before anything that could wait, as a log may that nobody reads */
	bound_shutdown(delay_ns + a->config->shutdown_timeout_ns);
	(void)ebb_notify_stopping(&a->notify, delay_ns + a->config->shutdown_timeout_ns);
	a->health.stopping = true;
	a->flush_at_ns = now_monotonic() + delay_ns;
}

static void flush(struct agent *a, const char *reason, bool failed)
{
	if (a->flushing)
		return;
	a->flushing = true;
	a->flush_until_ns = now_monotonic() + flush_ns(a->config);
	ebb_auditor_stop(a->auditor, reason, failed, flush_ns(a->config));
	(void)flush_otlp(a);
}

static int stop_by(struct agent *a, int signal)
{
	uint64_t delay = a->config->shutdown_delay_ns;
	char text[EBB_FORMAT_MAX];

	begin_stop(a, delay);
	(void)snprintf(a->stop_reason, sizeof(a->stop_reason), "%s", strsignal(signal));
	if (delay)
		ebb_info("stopping: signal=%s delay=%s; not ready from now on, a second signal ends at once",
			 a->stop_reason, ebb_format_duration(delay, text, sizeof(text)));
	else
		ebb_info("stopping: signal=%s", a->stop_reason);
	return arm_timer(a, a->tick_at_ns);
}

static int handle_signal(struct agent *a)
{
	struct signalfd_siginfo info;

	if (read(a->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGHUP) {
		a->reloading = true;
		(void)ebb_notify_reloading(&a->notify, now_monotonic());
		ebb_reload_now(a->reload, "SIGHUP");
		return after_reload(a);
	}
	return stop_by(a, (int)info.ssi_signo);
}

/* All that could be delivered is. */
static int handle_flushed(struct agent *a)
{
	/* it stays readable */
	(void)epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, ebb_auditor_done_fd(a->auditor), NULL);
	a->audit_flushed = true;
	a->stop = a->otlp_flushed;
	return 0;
}

/* While we rest from answering, they do not wake us. */
static void listen_to_clients(struct agent *a, bool listen)
{
	struct epoll_event event = {.events = listen ? a->clients.events : 0, .data.ptr = &a->clients};

	(void)epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->clients.fd, &event);
}

/* *@ret_timeout_ms: how long yet; untouched when there is no rest, or no longer. */
static bool rests(struct agent *a, int *ret_timeout_ms)
{
	uint64_t now = now_monotonic();

	if (!a->rest_until_ns)
		return false;
	if (now < a->rest_until_ns) {
		*ret_timeout_ms = (int)((a->rest_until_ns - now + NS_PER_MS - 1) / NS_PER_MS);
		return true;
	}
	a->rest_until_ns = 0;
	listen_to_clients(a, true);
	return false;
}

/* Ordinary priority needs no rests: there the kernel divides the time. */
static void rest_after(struct agent *a, uint64_t start_ns, int *ret_timeout_ms)
{
	uint64_t end;

	if (!a->urgency.held)
		return;
	end = now_monotonic();
	a->rest_until_ns = ebb_rests_worked(&a->rests, start_ns, end);
	if (!a->rest_until_ns)
		return;
	ebb_http_rest(a->http, a->rest_until_ns - end);
	listen_to_clients(a, false);
	(void)rests(a, ret_timeout_ms);
}

/* Breakers go on without HTTP. *@ret_timeout_ms: when it wants to be called again, -1: when readable. */
static void run_http(struct agent *a, int *ret_timeout_ms)
{
	uint64_t start;
	int r;

	*ret_timeout_ms = -1;
	if (!a->http || rests(a, ret_timeout_ms))
		return;
	start = now_monotonic();
	r = ebb_http_run(a->http, ret_timeout_ms);
	if (r == 0) {
		rest_after(a, start, ret_timeout_ms);
		return;
	}
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

static int handle_push(struct agent *a)
{
	ebb_pushing_dispatch(a->pushing);
	return 0;
}

static int handle_spans(struct agent *a)
{
	ebb_tracing_dispatch(a->tracing);
	return 0;
}

static int handle_fetched(struct agent *a)
{
	ebb_fetch_dispatch(a->fetch);
	follow_identities(a);
	if (a->flushing)
		(void)flush_otlp(a);
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
	shared->config_behind = 0;
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

/* What it counted is kept for the series that it is part of. */
static void slot_ends(void *agent, enum ebb_slot_kind kind, uint32_t slot)
{
	const struct agent *a = agent;

	if (a->source.groups)
		ebb_groups_leave(a->source.groups,
				 kind == EBB_SLOT_KIND_PAIR ? a->view->dst_max + slot : slot);
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

static int stage_routes(void *mapping, const struct ebb_route_table *table, struct ebb_why *why)
{
	return ebb_routes_stage(mapping, table, why);
}

static void unstage_routes(void *mapping)
{
	ebb_routes_unstage(mapping);
}

static int swap_routes(void *mapping, struct ebb_why *why)
{
	return ebb_routes_swap(mapping, why);
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
		.stage_routes = stage_routes,
		.unstage_routes = unstage_routes,
		.swap_routes = swap_routes,
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
	if (ebb_items_keep(&a->source, a->config->metrics_labels) < 0)
		ebb_warn("no memory for metrics.labels: the series keep the labels that they have");
	ebb_tracing_configure(a->tracing, a->config);
	ebb_pushing_configure(a->pushing, a->config);
	breakers = ebb_apply_breakers(a->apply, &of_dst);
	ebb_ticker_configure(a->ticker, breakers, of_dst);
	ebb_ticker_fuse(a->ticker, &a->config->node_fuse, on_fuse, a);
	ebb_answering_configure(a->answering, a->config, ebb_apply_matcher(a->apply));
	a->default_asks = ebb_apply_default_asks(a->apply);
	a->view->agent->mode = a->config->defaults.mode;
	__atomic_store_n(&a->view->agent->lease_ns, a->config->lease_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&a->view->agent->generation, 1, __ATOMIC_RELEASE);
	a->health.enforce_wanted = is_configured_to_enforce(a->config);
	a->health.ignored = a->config->health_ignored;
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
	struct ebb_remembered remembered;
	struct ebb_why missed = {0};
	int r;

	r = ebb_apply_prepare(a->apply, a->config, why);
	if (r == 0)
		r = ebb_apply_work_out(a->apply, why);
	if (r < 0)
		return r;
	if (ebb_apply_mark(a->apply) && ebb_loader_remember(a->loader, &remembered, &missed) < 0)
		ebb_warn("%s: open connections whose address changes hands are counted where they do not belong until they are counted anew",
			 missed.text);
	r = ebb_apply_commit(a->apply, now_monotonic(), &report, why);
	if (r < 0)
		return r;
	if (report.moved)
		ebb_routes_sweep(a->mapping);
	configured(a);
	warn_of(a, &report);
	return 0;
}

static void audit_config(const struct agent *a)
{
	const char *file = ebb_config_file(a->config);

	ebb_audit_feed_configured(ebb_auditor_feed(a->auditor), file ? file : "", a->view->agent->generation,
				  a->config->destination_count);
}

static void on_rejected(void *userdata, const char *why)
{
	const struct agent *a = userdata;
	const char *path = a->options->sources->path;

	ebb_audit_feed_rejected(ebb_auditor_feed(a->auditor), path ? path : "", why);
}

static void on_configured(void *userdata, const struct ebb_config *config,
			  const struct ebb_apply_report *report)
{
	struct agent *a = userdata;

	ebb_auditor_configure(a->auditor, a->config, config);
	a->config = config;
	configured(a);
	warn_of(a, report);
	ebb_collector_set_idle(a->collector, config->idle_ns);
	ebb_log_set_level((enum ebb_log_level)config->log_level);
	ebb_log_set_format((enum ebb_log_format)config->log_format);
	follow_urgency(a, now_monotonic());
	audit_config(a);
	a->just_configured = true;
}

/* Beside the loop. */
static void sweep_routes(void *userdata)
{
	const struct agent *a = userdata;

	ebb_routes_sweep(a->mapping);
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
		.sweep = sweep_routes,
		.remember = ask_for_memories,
		.configured = on_configured,
		.rejected = on_rejected,
	};
	int r = ebb_reload_new(&setup, config, &a->reload);

	return r < 0 ? ebb_why(why, r, "cannot follow the configuration: %s", ebb_strerror(r)) : 0;
}

static int open_otlp(struct agent *a)
{
	const struct ebb_tracing_setup setup = {
		.view = a->view,
		.spans = ebb_loader_spans(a->loader),
		.names = a->names,
		.health = &a->health,
		.fetch = a->fetch,
		.facts = &a->source.traces,
		.environ = a->options->sources->environ,
		.version = EBB_VERSION,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
	};

	const struct ebb_pushing_setup pushing = {
		.source = &a->source,
		.health = &a->health,
		.fetch = a->fetch,
		.environ = a->options->sources->environ,
		.version = EBB_VERSION,
	};
	int r = ebb_tracing_new(&setup, &a->tracing);

	return r < 0 ? r : ebb_pushing_new(&pushing, &a->pushing);
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
		.ending = slot_ends,
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
	r = ebb_move_log_new(a->view->gate_max, &a->move_log);
	if (r == 0)
		r = ebb_move_book_new(a->view, a->names, now_monotonic, &a->move_book);
	if (r < 0)
		return ebb_why(why, r, "out of memory");
	r = open_otlp(a);
	if (r < 0)
		return ebb_why(why, r, "cannot send traces and metrics: %s", ebb_strerror(r));
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
		r = ebb_keeper_new(a->view, a->mapping, a->names, a->cgroup, a->identities, a->collector,
				   &a->keeper, why);
	if (r < 0)
		return r;
	decide_reset(a);
	r = open_apply(a, why);
	if (r == 0)
		r = open_answering(a, why);
	return r < 0 ? r : apply_first(a, why);
}

static size_t read_runs(const void *userdata, struct ebb_program_runs ret_runs[EBB_LINKS_MAX])
{
	return ebb_loader_runs(userdata, ret_runs);
}

/* Told by HTTP, which is there before the audit log. */
static void on_refused(void *userdata, const char *method, const char *path, const char *peer,
		       unsigned int status)
{
	const struct agent *a = userdata;

	if (a->auditor)
		ebb_audit_feed_request(ebb_auditor_feed(a->auditor), method, path, peer, status);
}

static void on_credentials_refused(void *userdata, const char *url, unsigned int status)
{
	const struct agent *a = userdata;

	if (a->auditor)
		ebb_audit_feed_credentials(ebb_auditor_feed(a->auditor), "kubernetes", url, status);
}

/* Workloads are called after their pods wherever they are told of. */
static int open_identities(struct agent *a, struct ebb_why *why)
{
	const struct ebb_identities_setup setup = {
		.config = a->config,
		.pin_dir = a->options->pin_dir,
		.fetch = a->fetch,
		.now_ns = now_monotonic,
		.seed = now_monotonic(),
		.credentials_refused = on_credentials_refused,
		.userdata = a,
	};
	int r = ebb_identities_new(&setup, &a->identities, why);

	memcpy(a->pod_labels, a->config->kubernetes.labels, sizeof(a->pod_labels));
	if (r == 0)
		ebb_cgroup_names_use(a->names, ebb_identities_pods(a->identities));
	return r;
}

static int open_export(struct agent *a, struct ebb_why *why)
{
	int r;

	r = ebb_cgroup_names_new(&a->names);
	if (r < 0)
		return ebb_why(why, r, "cannot name workloads: %s", ebb_strerror(r));
	r = open_identities(a, why);
	if (r < 0)
		return r;
	ebb_health_init(&a->health, now_realtime());
	a->health.enforce_wanted = is_configured_to_enforce(a->config);
	a->source = (struct ebb_source){
		.view = a->view,
		.health = &a->health,
		.workloads = a->names,
		.pods = ebb_identities_pods(a->identities),
		.pod_labels = a->pod_labels,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
		.pin_dir = a->options->pin_dir,
		.mapping = a->mapping,
		.refused = on_refused,
		.refused_userdata = a,
		.version = EBB_VERSION,
		.map_bytes = ebb_loader_map_bytes(a->loader),
		.scrape_duration = &a->scrape_duration,
		.http = &a->http_stats,
		.runs = read_runs,
		.runs_userdata = a->loader,
		.local_floor = calloc(a->view->pair_max, sizeof(uint64_t)),
	};
	if (!a->source.local_floor)
		return ebb_why(why, -ENOMEM, "out of memory");
	return ebb_http_new(a->config->listen, &a->source, &a->http, why);
}

/* ----------------------------------------------------------------- health -- */

static size_t links_lost(void *agent, struct ebb_lost ret_lost[EBB_LINKS_MAX], size_t *ret_wanted)
{
	const struct agent *a = agent;

	return ebb_loader_links_lost(a->loader, ret_lost, ret_wanted);
}

/* Ours was removed. Is there another at its place, as when a slice was stopped and started? */
static bool follow_cgroup(struct agent *a)
{
	_cleanup_close_ int fd = -1;
	uint64_t id;

	if (ebb_cgroup_open(a->cgroup, &fd, &id, NULL) < 0 || ebb_loader_move(a->loader, fd) < 0)
		return false;
	(void)close(a->cgroup_fd);
	a->cgroup_fd = TAKE_FD(fd);
	a->cgroup_id = id;
	/* commands attach there, too */
	__atomic_store_n(&a->view->agent->cgroup_id, id, __ATOMIC_RELEASE);
	ebb_warn("the cgroup was removed and is there again: cgroup=%s", a->cgroup);
	return true;
}

static int link_mend(void *agent, const struct ebb_lost *lost, struct ebb_why *why)
{
	struct agent *a = agent;
	int r = ebb_loader_link_mend(a->loader, lost, why);

	return r == -ENOENT && follow_cgroup(a) ? ebb_loader_link_mend(a->loader, lost, why) : r;
}

static size_t pins_lost(void *agent, struct ebb_lost ret_lost[EBB_PINS_LOST_MAX])
{
	const struct agent *a = agent;

	return ebb_loader_pins_lost(a->loader, ret_lost);
}

static int pin_mend(void *agent, const struct ebb_lost *lost, struct ebb_why *why)
{
	const struct agent *a = agent;

	return ebb_loader_pin_mend(a->loader, lost, why);
}

/* Somebody took a program away; @r: 0 it is attached again, else @why. */
static void link_attached(void *agent, const struct ebb_lost *lost, int r, const char *why)
{
	struct agent *a = agent;

	if (r < 0) {
		ebb_err("a program was taken away by somebody and cannot be attached again: program=%s lost=%s; trying again each few seconds: %s",
			lost->name, ebb_lost_how_name(lost->how), why);
		return;
	}
	a->source.links_restored++;
	/* what began or ended while it was away was not seen: who holds a slot is counted soon, and not in five minutes */
	a->adopt_at_ns = 0;
	a->mended_at_ns = 0;
	a->mended_recounts = MENDED_RECOUNTS;
	ebb_audit_feed_link(ebb_auditor_feed(a->auditor), lost->name);
	ebb_warn("a program was taken away by somebody and is attached again: program=%s lost=%s", lost->name,
		 ebb_lost_how_name(lost->how));
}

/* The same of @count pins, @lost the first of them. */
static void pins_restored(void *agent, const struct ebb_lost *lost, size_t count, int r, const char *why)
{
	struct agent *a = agent;

	if (r < 0) {
		ebb_err("pins were taken away by somebody and cannot be made again: first=%s lost=%s; trying again each few seconds: %s",
			lost->name, ebb_lost_how_name(lost->how), why);
		return;
	}
	a->source.pins_restored += count;
	ebb_warn("pins were taken away by somebody and are there again: count=%zu first=%s lost=%s", count,
		 lost->name, ebb_lost_how_name(lost->how));
}

static void on_enforcement(void *agent, const struct ebb_enforcement_news *news)
{
	const struct agent *a = agent;
	char lasted[EBB_FORMAT_MAX];

	ebb_audit_feed_enforcement(ebb_auditor_feed(a->auditor), news->lost, news->component, news->why,
				   news->lasted_ns);
	if (news->lost)
		ebb_err("enforcement is lost, connections are let through: component=%s reason=%s",
			news->component, news->why);
	else
		ebb_info("enforcement is back: lasted=%s",
			 ebb_format_duration(news->lasted_ns, lasted, sizeof(lasted)));
}

static int open_checks(struct agent *a, struct ebb_why *why)
{
	const struct ebb_checks_setup setup = {
		.view = a->view,
		.health = &a->health,
		.troubles = &a->troubles,
		.seed = a->view->agent->run_id,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
		.userdata = a,
		.links_lost = links_lost,
		.link_mend = link_mend,
		.pins_lost = pins_lost,
		.pin_mend = pin_mend,
		.link_attached = link_attached,
		.pins_restored = pins_restored,
		.enforcement = on_enforcement,
	};
	int r = ebb_checks_new(&setup, &a->checks);

	return r < 0 ? ebb_why(why, r, "cannot check the health: %s", ebb_strerror(r)) : 0;
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
		{ebb_checks_fd(a->checks), EPOLLIN, handle_checks},
		{ebb_reload_fd(a->reload), EPOLLIN, handle_config},
		{ebb_reload_work_fd(a->reload), EPOLLIN, handle_reload},
		{ebb_sockets_done_fd(a->sockets), EPOLLIN, handle_remembered},
		{ebb_loader_answers_fd(a->loader), EPOLLIN | EPOLLET, handle_answers},
		{ebb_auditor_done_fd(a->auditor), EPOLLIN, handle_flushed},
		{ebb_fetch_fd(a->fetch), EPOLLIN, handle_fetched},
		{ebb_pushing_fd(a->pushing), EPOLLIN, handle_push},
		{ebb_tracing_fd(a->tracing), EPOLLIN, handle_spans},
	};
	struct epoll_event events[8];
	int timeout_ms = -1, n, r;

	a->clients = (struct source){.events = EPOLLIN, .handle = handle_http};
	a->clients.fd = ebb_http_fd(a->http);
	r = watch(a, &a->clients);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]) && r == 0; i++)
		r = sources[i].fd < 0 ? 0 : watch(a, &sources[i]);
	if (r < 0)
		return ebb_why(why, r, "cannot watch a descriptor: %s", ebb_strerror(r));
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
		if (a->flush_at_ns && now_monotonic() >= a->flush_at_ns)
			flush(a, a->stop_reason, false);
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
	const char *address = ebb_http_address(a->http), *pin_dir = a->options->pin_dir;
	bool elsewhere = strcmp(pin_dir, EBB_DEFAULT_PIN_DIR) != 0;
	const char *option = elsewhere ? " --pin " : "", *where = elsewhere ? pin_dir : "";

	ebb_info("ebb %s started: mode=%s cgroup=%s pin=%s listen=%s maps=%s", EBB_VERSION,
		 ebb_mode_name(a->config->defaults.mode), a->cgroup, pin_dir, address,
		 ebb_loader_took_over(a->loader) ? "taken over" : "new");
	greet_migration(a);
	greet_config(a->config);
	for (size_t i = 0; i < a->moves.count; i++)
		ebb_debug("told of each transition: listener=%s", a->moves.listeners[i].name);
	greet_limits(&a->config->defaults);
	ebb_info("try next: 'ebb list%s%s', 'ebb watch%s%s', or 'curl http://%s/metrics'", option, where,
		 option, where, address);
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
	ebb_sockets_arm_first(a->loader, a->cgroup);
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
	/* who sees not all sockets does not know which are still open */
	if (ebb_loader_walks(a->loader) && ebb_recounter_sees_all() && ebb_plain_new(a->view, &a->plain) < 0)
		return ebb_why(why, -ENOMEM, "out of memory");
	r = ebb_sockets_new(a->loader, a->cgroup, !a->no_reset, &a->sockets);
	return r < 0 ? ebb_why(why, r, "cannot start a thread: %s", ebb_strerror(r)) : 0;
}

/* Before the first tick, so that its transitions are told; the thread gets what rights are left to us. */
static int open_auditor(struct agent *a, struct ebb_why *why)
{
	const struct ebb_auditor_setup setup = {
		.view = a->view,
		.names = a->names,
		.health = &a->health,
		.now_ns = now_monotonic,
		.realtime_ns = now_realtime,
	};
	int r;

	a->deeds_logged = a->view->agent->deeds_told;
	r = ebb_auditor_new(&setup, a->config, &a->auditor, why);
	if (r < 0)
		return r;
	a->source.audit = ebb_auditor_status(a->auditor);
	return 0;
}

static void audit_start(const struct agent *a)
{
	const struct ebb_audit_start start = {
		.version = EBB_VERSION,
		.mode = ebb_mode_name(a->config->defaults.mode),
		.cgroup = a->cgroup,
		.pin = a->options->pin_dir,
		.listen = ebb_http_address(a->http),
		.took_over = ebb_loader_took_over(a->loader),
	};

	ebb_audit_feed_started(ebb_auditor_feed(a->auditor), &start);
	audit_config(a);
}

/* The agent is as good without a manager that hears it. */
static void open_notify(struct agent *a)
{
	int r = ebb_notify_init(&a->notify, getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
				getenv("WATCHDOG_PID"), getpid());

	if (r < 0)
		ebb_warn("NOTIFY_SOCKET, WATCHDOG_USEC or WATCHDOG_PID is not what a service manager says (%s): going on without one",
			 ebb_strerror(r));
}

/*
 * Real-time priority may be asked for again: another configuration may enforce, and what is held can be taken. Where no limit
 * permits it, the right to it is kept; where there is none, that is told when it matters.
 */
static void give_up_rights(struct agent *a)
{
	bool permitted = ebb_scheduling_permit() == 0;
	int r = ebb_drop_privileges(!a->no_reset, !permitted && a->config->scheduling == EBB_SCHEDULING_RR);

	if (r < 0)
		ebb_warn("cannot drop capabilities (%s): the agent keeps them", ebb_strerror(r));
	a->may_raise = permitted || ebb_may_raise();
}

/* @io_config: the caller's, until it is in force. */
static int start(struct agent *a, struct ebb_config **io_config, struct ebb_why *why)
{
	int r;

	open_notify(a);
	r = find_cgroup(a, why);
	if (r < 0)
		return r;
	r = open_kernel(a, why);
	if (r < 0)
		return r;
	r = ebb_fetch_new(&a->fetch);
	if (r < 0)
		return ebb_why(why, r, "cannot send requests: %s", ebb_strerror(r));
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
	follow_urgency(a, now_monotonic());
	give_up_rights(a);
	open_seccomp(a);
	r = open_sockets(a, why);
	if (r == 0)
		r = open_auditor(a, why);
	if (r < 0)
		return r;
	audit_start(a);
	ebb_answering_start(a->answering);
	r = open_checks(a, why);
	if (r < 0)
		return r;
	r = tick(a);
	if (r < 0)
		return ebb_why(why, r, "the first tick failed: %s", ebb_strerror(r));
	greet(a);
	tell_manager(a);
	return 0;
}

static void close_all(struct agent *a)
{
	/* first: who tells it something is freed below */
	ebb_auditor_free(a->auditor);
	a->auditor = NULL;
	a->source.audit = NULL;
	ebb_sockets_free(a->sockets);
	ebb_plain_free(a->plain);
	ebb_tracing_free(a->tracing);
	ebb_pushing_free(a->pushing);
	ebb_checks_free(a->checks);
	ebb_http_free(a->http);
	ebb_answering_free(a->answering);
	ebb_reload_free(a->reload);
	ebb_keeper_free(a->keeper);
	ebb_ticker_free(a->ticker);
	ebb_apply_free(a->apply);
	ebb_mapping_free(a->mapping);
	ebb_collector_free(a->collector);
	ebb_cgroup_names_free(a->names);
	ebb_identities_free(a->identities);
	ebb_fetch_free(a->fetch);
	ebb_groups_drop(a->source.groups);
	free(a->source.local_floor);
	ebb_move_log_free(a->move_log);
	ebb_move_book_free(a->move_book);
	free(a->capped);
	ebb_loader_free(a->loader);
	ebb_notify_done(&a->notify);
	ebb_seccomp_free(a->seccomp);
	if (a->timer_fd >= 0)
		(void)close(a->timer_fd);
	if (a->signal_fd >= 0)
		(void)close(a->signal_fd);
	if (a->epoll_fd >= 0)
		(void)close(a->epoll_fd);
	if (a->cgroup_fd >= 0)
		(void)close(a->cgroup_fd);
}

/*
 * A table larger than this has pages of its own, of which only those are there that are used. Left to itself malloc() raises
 * the bound with what is freed, 8 MB of types of the kernel, and then clears tables where libbpf has worked: all their pages are there.
 */
#define OWN_PAGES (128 << 10)

int ebb_agent_run(const struct ebb_agent_options *options, struct ebb_config *config, struct ebb_why *why)
{
	struct agent a = {
		.options = options,
		.config = config,
		.cgroup_fd = -1,
		.epoll_fd = -1,
		.signal_fd = -1,
		.timer_fd = -1,
		.notify.fd = -1,
	};
	bool detach = false;
	size_t removed = 0;
	int r;

	(void)mallopt(M_MMAP_THRESHOLD, OWN_PAGES);
	r = start(&a, &config, why);
	if (r == 0)
		r = loop(&a, why);
	if (r < 0 && a.auditor) {
		begin_stop(&a, 0);
		flush(&a, why->text, true);
	}
	if (a.stop) {
		/* no more verdicts from us: the lease runs from the last tick */
		a.view->agent->pid = 0;
	}
	if (a.stop)
		detach = a.config->on_exit_detach != 0;
	close_all(&a);
	ebb_config_free(config);
	if (detach) {
		ebb_pods_unsave(options->pin_dir);
		r = ebb_maps_detach(options->pin_dir, &removed, why);
		if (r == 0)
			ebb_info("detached: pins=%zu", removed);
	} else if (a.stop) {
		ebb_info("stopped: the pinned programs go on, verdicts hold for the lease; 'ebb detach --pin %s' removes them",
			 options->pin_dir);
	}
	return r;
}

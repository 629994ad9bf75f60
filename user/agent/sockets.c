/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/by_hand.h"
#include "agent/recounter.h"
#include "core/limit.h"
#include "kernel/probe.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/units.h"
#include "node/netns.h"
#include "node/owns.h"

#define NS_PER_S     1000000000ULL
#define COMPLAINT_NS (60 * NS_PER_S) /* one line about what does not work */

struct ebb_sockets {
	struct ebb_loader *loader;
	const char *cgroup;
	bool others;
	int own_ns;
	int done_fd;
	uint64_t saw_all_from_ns;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	uint32_t wanted;
	bool stop;

	uint64_t complained_ns; /* of the thread */
	struct ebb_recounter *recounter;
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool may_complain(struct ebb_sockets *s)
{
	uint64_t now = now_monotonic();

	if (s->complained_ns && now - s->complained_ns < COMPLAINT_NS)
		return false;
	s->complained_ns = now;
	return true;
}

/* ------------------------------------------------------------- namespaces -- */

/* What is done in one network namespace after another. */
struct visit {
	uint64_t (*run)(struct ebb_sockets *s,
			uint64_t netns); /* in that of the thread; to how many connections */
	const char *undone;		 /* what they are where it cannot be done; NULL: the caller says it */
};

static uint64_t own_netns(const struct ebb_sockets *s)
{
	struct stat st;

	return fstat(s->own_ns, &st) == 0 ? st.st_ino : 0;
}

/* In all but our own. Enters each: this thread alone does. */
static uint64_t run_in_others(struct ebb_sockets *s, const struct visit *visit, size_t *ret_visited)
{
	struct ebb_netns_list list = {0};
	uint64_t count = 0;
	int r;

	r = ebb_netns_below(s->cgroup, &list);
	if (r < 0 && visit->undone && may_complain(s))
		ebb_warn("cannot find network namespaces (%s): %s", ebb_strerror(r), visit->undone);
	for (size_t i = 0; i < list.count; i++) {
		if (setns(list.namespaces[i].fd, CLONE_NEWNET) < 0) {
			list.refused++;
			continue;
		}
		count += visit->run(s, list.namespaces[i].inode);
	}
	if (list.count && setns(s->own_ns, CLONE_NEWNET) < 0 && may_complain(s))
		ebb_warn("cannot return to our network namespace (%s): going on from another",
			 ebb_strerror(-errno));
	if ((list.refused || list.hidden) && visit->undone && may_complain(s))
		ebb_warn("network namespaces of %zu processes cannot be entered: %s; 'ebb doctor' says what is missing",
			 list.refused + list.hidden, visit->undone);
	*ret_visited = list.count;
	ebb_netns_list_done(&list);
	return count;
}

/* -------------------------------------------------------------------- arm -- */

static uint64_t arm_here(struct ebb_sockets *s, uint64_t netns)
{
	struct ebb_why why = {0};
	uint64_t count = 0;

	if (ebb_loader_arm(s->loader, netns, &count, &why) < 0 && may_complain(s))
		ebb_warn("%s: connections that were there before are not paced", why.text);
	return count;
}

/* After a pass that adopts. Where nothing is to be armed no socket is touched. */
static void arm(struct ebb_sockets *s)
{
	static const struct visit arming = {.run = arm_here};
	uint64_t start = now_monotonic(), count;
	char took[EBB_FORMAT_MAX];
	size_t visited = 0;

	if (!ebb_loader_is_deaf(s->loader))
		return;
	count = arm_here(s, own_netns(s));
	if (s->others && ebb_loader_is_deaf(s->loader))
		count += run_in_others(s, &arming, &visited);
	(void)ebb_format_duration(now_monotonic() - start, took, sizeof(took));
	if (count)
		ebb_info("adopted connections are paced, and seen to end: count=%" PRIu64
			 " namespaces=%zu took=%s",
			 count, visited + 1, took);
}

static void *arm_once(void *argument)
{
	struct ebb_sockets *s = argument;

	s->others = ebb_probe_one(EBB_FEATURE_NAMESPACES) == 0;
	arm(s);
	return NULL;
}

void ebb_sockets_arm_first(struct ebb_loader *loader, const char *cgroup)
{
	_cleanup_close_ int own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct ebb_sockets s = {.loader = loader, .cgroup = cgroup, .own_ns = own_ns};
	pthread_t thread;
	int r;

	if (own_ns < 0 || !ebb_loader_is_deaf(loader))
		return;
	r = ebb_thread_start(&thread, arm_once, &s);
	if (r < 0) {
		ebb_warn("cannot start a thread (%s): connections that were there before are not paced",
			 ebb_strerror(r));
		return;
	}
	(void)pthread_join(thread, NULL);
	if (ebb_loader_is_deaf(loader))
		ebb_info("adopted connections in network namespaces that cannot be entered are not paced: 'ebb doctor' says what is missing");
}

/* ------------------------------------------------------------------ adopt -- */

void ebb_sockets_log_adopted(const struct ebb_adopted *adopted, bool first)
{
	char took[EBB_FORMAT_MAX];

	(void)ebb_format_duration(adopted->took_ns, took, sizeof(took));
	if (first || adopted->connections || adopted->slots || adopted->ended)
		ebb_info("adopted connections: count=%" PRIu64 " destinations=%" PRIu64 " slots=%" PRIu64
			 " ended=%" PRIu64 " undecided=%" PRIu64 " took=%s",
			 adopted->connections, adopted->destinations, adopted->slots, adopted->ended,
			 adopted->undecided, took);
	else
		ebb_debug("looked for connections to adopt: count=0 undecided=%" PRIu64 " took=%s",
			  adopted->undecided, took);
}

static void adopt(struct ebb_sockets *s)
{
	struct ebb_adopted adopted;
	struct ebb_why why = {0};

	if (ebb_loader_adopt(s->loader, &adopted, &why) == 0) {
		ebb_sockets_log_adopted(&adopted, false);
		arm(s);
	} else if (may_complain(s)) {
		ebb_warn("%s: connections that were there before are not counted", why.text);
	}
}

/* ---------------------------------------------------------------- recount -- */

static void recount(struct ebb_sockets *s, bool whole)
{
	struct ebb_recounted recounted;
	struct ebb_why why = {0};

	if (ebb_recounter_run(s->recounter, whole, &recounted, &why) < 0)
		ebb_debug("%s: gauges are not held against what is open", why.text);
	else if (recounted.gauges)
		ebb_warn("gauges were wrong, and are corrected: count=%u up=%" PRIu64 " down=%" PRIu64,
			 recounted.gauges, recounted.up, recounted.down);
}

/* ------------------------------------------------------------------ reset -- */

static uint64_t reset_here(struct ebb_sockets *s, uint64_t netns)
{
	struct ebb_why why = {0};
	uint64_t count = 0;

	(void)netns;
	if (ebb_loader_reset(s->loader, &count, &why) < 0 && may_complain(s))
		ebb_warn("%s: they wait for their own timeouts", why.text);
	return count;
}

static void reset(struct ebb_sockets *s)
{
	static const struct visit resetting = {
		.run = reset_here,
		.undone = "live connections there are not reset",
	};
	uint64_t start = now_monotonic(), count;
	char took[EBB_FORMAT_MAX];
	size_t visited = 0;

	count = reset_here(s, own_netns(s));
	if (s->others)
		count += run_in_others(s, &resetting, &visited);
	(void)ebb_format_duration(now_monotonic() - start, took, sizeof(took));
	if (count)
		ebb_info("live connections reset: count=%" PRIu64 " namespaces=%zu took=%s", count,
			 visited + 1, took);
	else
		ebb_debug("no live connections to reset: namespaces=%zu took=%s", visited + 1, took);
}

/* --------------------------------------------------------------- remember -- */

static void remember(struct ebb_sockets *s)
{
	uint64_t start = now_monotonic(), one = 1;
	struct ebb_remembered remembered = {0};
	char took[EBB_FORMAT_MAX];
	struct ebb_why why = {0};

	if (ebb_loader_remember(s->loader, &remembered, &why) < 0)
		ebb_warn("%s: open connections whose address changes hands are counted where they do not belong until they are counted anew",
			 why.text);
	(void)ebb_format_duration(now_monotonic() - start, took, sizeof(took));
	ebb_debug("open connections remember where they belong: count=%" PRIu64 " took=%s", remembered.count,
		  took);
	if (remembered.all && ebb_recounter_sees_all())
		__atomic_store_n(&s->saw_all_from_ns, start, __ATOMIC_RELEASE);
	if (write(s->done_fd, &one, sizeof(one)) != sizeof(one))
		ebb_warn("cannot wake the loop (%s): it goes on with its next tick", ebb_strerror(-errno));
}

uint64_t ebb_sockets_saw_all_from_ns(const struct ebb_sockets *sockets)
{
	return __atomic_load_n(&sockets->saw_all_from_ns, __ATOMIC_ACQUIRE);
}

/* ----------------------------------------------------------------- thread -- */

static uint32_t next_work(struct ebb_sockets *s)
{
	uint32_t what = 0;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->wanted && !s->stop)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	/* who waits for a reset waits for a dead peer, and who waits for memories is the loop */
	if (!s->stop) {
		/* what is adopted and given a slot is counted then */
		what = s->wanted & EBB_SOCKETS_RECOUNT ? EBB_SOCKETS_RECOUNT : EBB_SOCKETS_SLOTS;
		if (s->wanted & EBB_SOCKETS_ADOPT)
			what = EBB_SOCKETS_ADOPT;
		if (s->wanted & EBB_SOCKETS_REMEMBER)
			what = EBB_SOCKETS_REMEMBER;
		if (s->wanted & EBB_SOCKETS_RESET)
			what = EBB_SOCKETS_RESET;
		s->wanted &= ~what;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return what;
}

static void *work(void *argument)
{
	struct ebb_sockets *s = argument;
	uint32_t what;

	while ((what = next_work(s))) {
		if (what == EBB_SOCKETS_RESET)
			reset(s);
		else if (what == EBB_SOCKETS_REMEMBER)
			remember(s);
		else if (what == EBB_SOCKETS_RECOUNT)
			recount(s, ebb_recounter_sees_all());
		else if (what == EBB_SOCKETS_SLOTS)
			recount(s, false);
		else
			adopt(s);
	}
	return NULL;
}

int ebb_sockets_new(struct ebb_loader *loader, const char *cgroup, bool others,
		    struct ebb_sockets **ret_sockets)
{
	struct ebb_sockets *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = ebb_recounter_new(loader, &s->recounter);
	if (r < 0) {
		free(s);
		return r;
	}
	s->loader = loader;
	s->cgroup = cgroup;
	s->others = others;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	s->own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->own_ns < 0 || s->done_fd < 0) {
		r = -errno;
		ebb_sockets_free(s);
		return r;
	}
	r = ebb_thread_start(&s->thread, work, s);
	if (r < 0) {
		ebb_sockets_free(s);
		return r;
	}
	s->started = true;
	*ret_sockets = s;
	return 0;
}

void ebb_sockets_want(struct ebb_sockets *sockets, uint32_t what)
{
	(void)pthread_mutex_lock(&sockets->lock);
	sockets->wanted |= what;
	(void)pthread_cond_signal(&sockets->changed);
	(void)pthread_mutex_unlock(&sockets->lock);
}

int ebb_sockets_done_fd(const struct ebb_sockets *sockets)
{
	return sockets->done_fd;
}

void ebb_sockets_free(struct ebb_sockets *sockets)
{
	if (!sockets)
		return;
	if (sockets->started) {
		(void)pthread_mutex_lock(&sockets->lock);
		sockets->stop = true;
		(void)pthread_cond_signal(&sockets->changed);
		(void)pthread_mutex_unlock(&sockets->lock);
		(void)pthread_join(sockets->thread, NULL);
	}
	(void)pthread_cond_destroy(&sockets->changed);
	(void)pthread_mutex_destroy(&sockets->lock);
	if (sockets->own_ns >= 0)
		(void)close(sockets->own_ns);
	if (sockets->done_fd >= 0)
		(void)close(sockets->done_fd);
	ebb_recounter_free(sockets->recounter);
	free(sockets);
}

/* ------------------------------------------------------------ when to walk -- */

/* By the rule of ebb_gate_resets(); whoever asks is the agent, so that its lease holds. */
static bool is_shut(const struct ebb_view *view, const struct ebb_pair *pair, const struct ebb_policy *policy,
		    uint64_t now_ns)
{
	uint64_t word = ebb_view_word(view, pair->gate);
	uint32_t override_state = ebb_override_of(policy, now_ns);

	if (override_state != EBB_OVERRIDE_AUTO)
		return override_state == EBB_OVERRIDE_OPEN;
	return ebb_word_state(word) == EBB_STATE_OPEN && ebb_word_until(word) > now_ns >> EBB_TICK_SHIFT &&
	       view->agent->fuse != EBB_FUSE_RELEASE;
}

bool ebb_sockets_reset_is_due(const struct ebb_view *view, uint64_t now_ns)
{
	uint32_t high = view->kernel->pair_high;

	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];
		struct ebb_policy policy;

		if (pair->state != EBB_SLOT_LIVE || !pair->active || pair->dst >= view->dst_max ||
		    pair->gate >= view->gate_max ||
		    view->policies[pair->dst].established != EBB_ESTABLISHED_RESET)
			continue;
		ebb_gate_policy(view, pair->dst, pair->gate, now_ns, &policy);
		if (ebb_mode_of(&policy, &view->policies[EBB_SLOT_OTHER], pair->dst, now_ns) ==
			    EBB_MODE_ENFORCE &&
		    is_shut(view, pair, &policy, now_ns))
			return true;
	}
	return false;
}

static bool has_cap(const struct ebb_policy *policy, uint64_t now_ns)
{
	struct ebb_limits limits;

	if (!(policy->asks & EBB_ASK_CONNECT))
		return false;
	ebb_limits_in_force(policy, now_ns, &limits);
	return limits.concurrent != 0;
}

/* A workload with a cap of its own; most have none, and their destination's was looked at. */
static bool has_own_cap(const struct ebb_view *view, uint32_t pair, uint64_t now_ns)
{
	struct ebb_own own;

	return ebb_own_find(view, pair, now_ns, &own) && has_cap(&own.policy, now_ns);
}

bool ebb_sockets_cap_came(const struct ebb_view *view, uint64_t now_ns, bool *capped, uint32_t *io_high)
{
	uint32_t high = view->kernel->dst_high, pair_high = view->kernel->pair_high;
	bool came = false;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= high && d < view->dst_max; d++) {
		bool cap = has_cap(&view->policies[d], now_ns);

		/* a destination that is new had its cap from its first connection on */
		if (cap && !capped[d] && d <= *io_high)
			came = true;
		capped[d] = cap;
	}
	*io_high = high;
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= pair_high && p < view->pair_max; p++) {
		bool cap = has_own_cap(view, p, now_ns);

		came = came || (cap && !capped[view->dst_max + p]);
		capped[view->dst_max + p] = cap;
	}
	return came;
}

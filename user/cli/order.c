/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order from the command line to the maps:
 *
 *	open the maps -> lock -> find what is meant -> remember who did what -> write
 *	-> attach what the order needs -> unlock -> tell what holds now
 *
 * All that can be wrong is found before the first write.
 */
#include "cli/order.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/render.h"
#include "core/by_hand.h"
#include "core/deed.h"
#include "core/limit.h"
#include "core/policy.h"
#include "kernel/packets.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/units.h"
#include "node/owns.h"
#include "node/who.h"

#define SECOND	     1000000000ULL
#define FOR_MAX	     (365ULL * 86400 * SECOND)
#define LOCK_WAIT_NS (5 * SECOND)

/* Where a command may not attach programs, the agent does at its next tick, at least once a second. */
#define ATTACH_WAIT_NS (5 * SECOND / 2)

/* Whom an order is for. */
struct target {
	uint32_t dst; /* EBB_SLOT_OTHER: the node */
	uint32_t *pairs;
	size_t pair_count; /* 0: not for some workloads */
};

struct carrying {
	const struct ebb_args *args;
	const struct ebb_order *order;
	struct ebb_session session;
	struct target target;
	uint64_t for_ns; /* 0: no end */
	uint64_t now_ns; /* when it is written: under the lock */
	uint32_t uid;
	uint32_t login_uid;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {};

	(void)clock_gettime(clock, &now); /* cannot fail for these clocks */
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static const char *name_given(const struct carrying *c)
{
	return ebb_args_positional(c->args, 0);
}

/* ------------------------------------------------------------- reading -- */

static enum ebb_exit read_options(struct carrying *c)
{
	const char *text = ebb_args_get(c->args, "for"), *name = name_given(c);

	if (text && (ebb_parse_duration(text, &c->for_ns) < 0 || c->for_ns == 0 || c->for_ns > FOR_MAX))
		return ebb_fail_option(c->args, "for", "'%s' is not possible: a time such as 10m, up to 365d",
				       text);
	if (name && strcmp(name, EBB_NAME_OTHER) == 0)
		return ebb_fail(c->args, EBB_EXIT_USAGE,
				"'" EBB_NAME_OTHER "' is many destinations: it is counted and never refused");
	if (!name && ebb_args_get(c->args, "workload"))
		return ebb_fail_option(c->args, "workload",
				       "of which destination? the mode of the node is that of every workload");
	return EBB_EXIT_DONE;
}

/* ------------------------------------------------------------- finding -- */

/* By the name as 'ebb list' shows it; a protocol that goes without saying may be left out. */
static bool is_called(const struct ebb_view *view, uint32_t dst, const char *name)
{
	static const char *const endings[] = {"", "/tcp", "/udp"};
	char raw[EBB_DST_NAME_MAX], shown[EBB_DST_NAME_MAX];
	size_t length = strlen(name);

	(void)ebb_text_escape(ebb_dst_name(view, dst, raw, sizeof(raw)), shown, sizeof(shown));
	if (strncmp(shown, name, length) != 0)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (strcmp(shown + length, endings[i]) == 0)
			return true;
	}
	return false;
}

/* What there is instead, or could be meant. */
static enum ebb_exit not_found(const struct carrying *c)
{
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	size_t first, count;
	int r;

	r = ebb_snapshot_take(&c->session.look, &snapshot);
	if (r < 0)
		return ebb_fail(c->args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
	r = ebb_show_find(&snapshot, name_given(c), &first, &count, &why);
	ebb_snapshot_free(&snapshot);
	return ebb_fail(c->args, EBB_EXIT_NOT_FOUND, "%s",
			r < 0 ? why.text : "it has just been taken back: try again in two seconds");
}

/* Under the lock, so that its slot is not given away meanwhile. "a:1/tcp" goes before "a:1/udp". */
static enum ebb_exit find_destination(struct carrying *c)
{
	const struct ebb_view *view = c->session.look.view;
	uint32_t high = view->kernel->dst_high;
	bool retiring = false, found = false, udp, is_udp = false;

	for (uint32_t d = EBB_SLOT_OTHER + 1; d <= high && d < view->dst_max; d++) {
		uint32_t state = __atomic_load_n(&view->dsts[d].state, __ATOMIC_SEQ_CST);

		if (state == EBB_SLOT_FREE || !is_called(view, d, name_given(c)))
			continue;
		retiring = retiring || state != EBB_SLOT_LIVE;
		udp = view->dsts[d].endpoint.proto == IPPROTO_UDP;
		if (state != EBB_SLOT_LIVE || (found && (udp || !is_udp)))
			continue;
		c->target.dst = d;
		found = true;
		is_udp = udp;
	}
	if (found)
		return EBB_EXIT_DONE;
	if (retiring)
		return ebb_fail(c->args, EBB_EXIT_FAILED,
				"nobody used '%s' for long and it is just being taken back: try again in two seconds",
				name_given(c));
	return not_found(c);
}

/* "'/pods/a', '/pods/b'": workloads that use the destination, as many as fit. */
static void name_workloads(const struct carrying *c, char *buffer, size_t size)
{
	const struct ebb_view *view = c->session.look.view;
	uint32_t high = view->kernel->pair_high;
	size_t used = 0;

	(void)snprintf(buffer, size, "nobody");
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];
		const char *name;

		if (pair->dst != c->target.dst || pair->state != EBB_SLOT_LIVE)
			continue;
		name = ebb_cgroup_name(c->session.look.names, pair->workload);
		if (used + strlen(name) + 8 > size) {
			(void)snprintf(buffer + used, size - used, ", ...");
			return;
		}
		used += (size_t)snprintf(buffer + used, size - used, "%s'%s'", used ? ", " : "", name);
	}
}

/* All whose name fits, as 'ebb list --workload' understands it. */
static enum ebb_exit find_workloads(struct carrying *c)
{
	const struct ebb_view *view = c->session.look.view;
	const char *pattern = ebb_args_get(c->args, "workload");
	uint32_t high = view->kernel->pair_high;
	char known[256];

	if (!pattern)
		return EBB_EXIT_DONE;
	if (view->dsts[c->target.dst].scope != EBB_SCOPE_WORKLOAD)
		return ebb_fail_option(c->args, "workload",
				       "all workloads share the gate of '%s': leave --workload out, or set 'scope: workload' for it",
				       name_given(c));
	c->target.pairs = calloc(view->pair_max, sizeof(c->target.pairs[0]));
	if (!c->target.pairs)
		return ebb_fail(c->args, EBB_EXIT_FAILED, "out of memory");
	for (uint32_t p = EBB_SLOT_OTHER + 1; p <= high && p < view->pair_max; p++) {
		const struct ebb_pair *pair = &view->pairs[p];

		if (pair->dst == c->target.dst &&
		    __atomic_load_n(&pair->state, __ATOMIC_SEQ_CST) == EBB_SLOT_LIVE &&
		    pair->dst_epoch == view->dsts[pair->dst].epoch &&
		    ebb_who_matches(c->session.look.names, pair->workload, pattern))
			c->target.pairs[c->target.pair_count++] = p;
	}
	if (c->target.pair_count)
		return EBB_EXIT_DONE;
	name_workloads(c, known, sizeof(known));
	return ebb_fail(c->args, EBB_EXIT_NOT_FOUND, "no workload '%s' uses '%s' yet; %s does", pattern,
			name_given(c), known);
}

/* ------------------------------------------------------------- writing -- */

/* What the order does to the policy of a destination, or of the node. */
static void give(const struct carrying *c, struct ebb_policy *policy)
{
	const struct ebb_order *order = c->order;
	uint64_t until_ns = c->for_ns ? c->now_ns + c->for_ns : 0;

	if (order->what == EBB_SAID_OVERRIDE)
		ebb_override_give(policy, order->value, until_ns, ebb_operator_uid());
	else if (order->what == EBB_SAID_MODE)
		ebb_mode_give(policy, order->value, until_ns, ebb_operator_uid());
	else if (order->change)
		ebb_limits_give(policy, order->change, until_ns, ebb_operator_uid(), c->now_ns);
	else
		ebb_limits_take_back(policy);
}

/* The same for one workload. */
static void give_own(const struct carrying *c, struct ebb_own *own, const struct ebb_policy *base)
{
	const struct ebb_order *order = c->order;
	uint64_t until_ns = c->for_ns ? c->now_ns + c->for_ns : 0;

	if (order->what == EBB_SAID_OVERRIDE)
		ebb_own_give_override(own, base, order->value, until_ns, ebb_operator_uid());
	else if (order->what == EBB_SAID_MODE)
		ebb_own_give_mode(own, base, order->value, until_ns, ebb_operator_uid());
	else
		ebb_own_give_limits(own, base, order->change, until_ns, ebb_operator_uid(), c->now_ns);
}

/* The policies of some workloads: all or none. */
static enum ebb_exit write_owns(struct carrying *c)
{
	const struct ebb_view *view = c->session.look.view;
	const struct ebb_policy *base = &view->policies[c->target.dst];
	_cleanup_free_ struct ebb_own *before = calloc(c->target.pair_count, sizeof(*before));
	size_t i;
	int r = 0;

	if (!before)
		return ebb_fail(c->args, EBB_EXIT_FAILED, "out of memory");
	for (i = 0; i < c->target.pair_count && r == 0; i++) {
		uint32_t pair = c->target.pairs[i];
		struct ebb_own own = {.pair_epoch = view->pairs[pair].epoch};

		/* what is over would come to life again under a new end */
		if (ebb_own_find(view, pair, c->now_ns, &own))
			(void)ebb_own_end(&own, base, c->now_ns);
		before[i] = own;
		give_own(c, &own, base);
		r = ebb_own_write(view, pair, &own);
	}
	while (r < 0 && i-- > 0)
		(void)ebb_own_write(view, c->target.pairs[i], &before[i]);
	(void)ebb_owns_refresh(view, c->target.dst, c->now_ns);
	if (r == -E2BIG)
		return ebb_fail(c->args, EBB_EXIT_FAILED,
				"1024 workloads have orders of their own already: take some back, or give one for the whole destination");
	return r < 0 ? ebb_fail(c->args, EBB_EXIT_FAILED, "cannot write the policy: %s", ebb_strerror(r))
		     : EBB_EXIT_DONE;
}

static enum ebb_exit write_base(struct carrying *c)
{
	const struct ebb_view *view = c->session.look.view;
	int r;

	give(c, &view->policies[c->target.dst]);
	r = c->target.dst == EBB_SLOT_OTHER ? 0 : ebb_owns_refresh(view, c->target.dst, c->now_ns);
	if (r < 0)
		return ebb_fail(c->args, EBB_EXIT_FAILED,
				"workloads with orders of their own could not be told (%s): the agent tells them within a second",
				ebb_strerror(r));
	return EBB_EXIT_DONE;
}

/* Before it is done: an order that nobody remembers would be worse than one that was remembered and failed. */
static void record(const struct carrying *c)
{
	char typed[sizeof(((struct ebb_deed *)0)->what) + 1];

	ebb_deed_record(c->session.look.view->deeds, c->uid, c->login_uid, clock_ns(CLOCK_REALTIME),
			ebb_args_typed(c->args, typed, sizeof(typed)));
}

/* ----------------------------------------------------------- programs -- */

static bool is_attached(const struct ebb_look *look, const char *hook)
{
	for (size_t i = 0; i < look->link_count; i++) {
		if (strcmp(look->links[i].name, hook) == 0)
			return look->links[i].attached;
	}
	return false;
}

/* Does what stands for the target now look at packets? */
static bool asks_packets(const struct carrying *c)
{
	const struct ebb_view *view = c->session.look.view;
	uint32_t asks = view->policies[c->target.dst].asks;
	struct ebb_own own;

	for (size_t i = 0; i < c->target.pair_count; i++) {
		if (ebb_own_find(view, c->target.pairs[i], c->now_ns, &own))
			asks |= own.policy.asks;
	}
	return asks & EBB_ASK_PACKET;
}

/* Under the lock: what nobody asks for any more would be taken away again. */
static int attach_packets(const struct carrying *c, struct ebb_why *why)
{
	_cleanup_close_ int cgroup = -1;
	int r;

	r = ebb_cgroup_open_id(c->session.look.view->agent->cgroup_id, &cgroup, why);
	return r < 0 ? r : ebb_packets_attach(ebb_args_get(c->args, "pin"), cgroup, why);
}

/* Without the lock. Where we may not attach, an agent that lives does. */
static void see_to_programs(struct carrying *c, bool packets, const char *why)
{
	const struct ebb_look *look = &c->session.look;
	uint64_t end_ns;

	ebb_session_look(c->args, &c->session);
	end_ns = look->now_ns + ATTACH_WAIT_NS;
	while (packets && !is_attached(look, "egress") && look->now_ns < end_ns &&
	       ebb_agent_state(look->view->agent, look->now_ns) == EBB_AGENT_RUNNING) {
		(void)poll(NULL, 0, 20);
		ebb_session_look(c->args, &c->session);
	}
	if (!is_attached(look, "connect4"))
		(void)ebb_fail(c->args, EBB_EXIT_DONE,
			       "warning: nothing is attached: it holds as soon as 'ebb run' runs again");
	else if (packets && !is_attached(look, "egress"))
		(void)ebb_fail(c->args, EBB_EXIT_DONE,
			       "warning: no program looks at packets (%s): what is sent is limited or dropped as soon as 'ebb run' runs again",
			       why);
}

/* ------------------------------------------------------------- telling -- */

/* " by hand until 2026-11-21 14:03:59 (10m)", " by hand until it is taken back" */
static void say_until(const struct ebb_look *look, uint64_t until_ns, const char *how, char *buffer,
		      size_t size)
{
	char at[EBB_TIME_MAX], left[EBB_FORMAT_MAX];

	if (!until_ns)
		(void)snprintf(buffer, size, "by hand until %s", how);
	else
		(void)snprintf(buffer, size, "by hand until %s (%s)",
			       ebb_format_time(ebb_look_realtime(look, until_ns), false, at, sizeof(at)),
			       ebb_format_duration(ebb_age(until_ns, look->now_ns), left, sizeof(left)));
}

static void say_override(const struct ebb_look *look, const char *who, const struct ebb_policy *policy)
{
	uint32_t state = ebb_override_of(policy, look->now_ns);
	char until[128];

	say_until(look, policy->override_until_ns, "'ebb breaker auto'", until, sizeof(until));
	if (state == EBB_OVERRIDE_OPEN)
		(void)printf("%s: forced open %s: every new connection is refused\n", who, until);
	else if (state == EBB_OVERRIDE_CLOSE)
		(void)printf("%s: forced closed %s: the breaker refuses nothing, limits do\n", who, until);
	else
		(void)printf("%s: automatic: the breaker decides\n", who);
}

static void say_mode(const struct ebb_look *look, const char *who, const struct ebb_policy *policy,
		     uint32_t configured)
{
	uint32_t said = ebb_mode_said(policy, look->now_ns);
	char until[128];

	say_until(look, policy->mode_until_ns, "'ebb mode auto'", until, sizeof(until));
	if (said)
		(void)printf("%s: mode %s %s\n", who, ebb_mode_name(said - 1), until);
	else
		(void)printf("%s: mode %s, as configured\n", who, ebb_mode_name(configured));
}

/* What goes before the order, or makes it count only. One line; nothing where it simply holds. */
static void say_mode_in_force(const struct carrying *c, const struct ebb_gate_row *row)
{
	const struct ebb_look *look = &c->session.look;
	uint32_t node = ebb_mode_said(&look->view->policies[EBB_SLOT_OTHER], look->now_ns);
	bool gives = c->order->change || c->order->value;

	if (c->order->what == EBB_SAID_MODE && node)
		(void)printf("mode %s by hand for the node goes before: 'ebb mode auto' takes it back\n",
			     ebb_mode_name(node - 1));
	else if (c->order->what != EBB_SAID_MODE && gives && row->mode != EBB_MODE_ENFORCE)
		(void)puts("mode is observe: nothing is refused or dropped, only counted");
}

static void say_row(const struct carrying *c, const struct ebb_gate_row *row)
{
	const struct ebb_look *look = &c->session.look;
	char who[EBB_DST_NAME_MAX + EBB_CGROUP_PATH_MAX + 8];

	(void)snprintf(who, sizeof(who), "%s%s%s%s", row->name, row->workload ? " (" : "",
		       row->workload ? row->workload : "", row->workload ? ")" : "");
	if (c->order->what == EBB_SAID_OVERRIDE)
		say_override(look, who, &row->policy);
	else if (c->order->what == EBB_SAID_MODE)
		say_mode(look, who, &row->policy, row->policy.mode);
	else
		ebb_limits_say(stdout, look, who, &row->policy);
}

static json_t *order_json(const struct carrying *c, const struct ebb_gate_row *row)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "destination", row->name, "workload",
			 row->workload ? json_string(row->workload) : json_null(), "state",
			 ebb_gate_state_name(row), "mode", ebb_mode_name(row->mode), "by_hand",
			 ebb_by_hand_json(&c->session.look, row), "limits",
			 ebb_limits_json(&c->session.look, row));
}

/* The gates that the order is about: one for each workload, or that of the destination. */
static enum ebb_exit each_row(const struct carrying *c, json_t *list)
{
	const struct ebb_look *look = &c->session.look;
	size_t count = c->target.pair_count ? c->target.pair_count : 1;
	struct ebb_gate_row row;

	for (size_t i = 0; i < count; i++) {
		uint32_t pair = c->target.pair_count ? c->target.pairs[i] : EBB_SLOT_OTHER;

		ebb_gate_row_read(look, c->target.dst,
				  c->target.pair_count ? look->view->dst_max + pair : c->target.dst, &row);
		if (c->target.pair_count) {
			row.workload = strdup(ebb_cgroup_name(look->names, look->view->pairs[pair].workload));
			if (!row.workload)
				return ebb_fail(c->args, EBB_EXIT_FAILED, "out of memory");
		}
		if (list)
			(void)json_array_append_new(list, order_json(c, &row));
		else
			say_row(c, &row);
		if (!list && i + 1 == count)
			say_mode_in_force(c, &row);
		free(row.workload);
	}
	return EBB_EXIT_DONE;
}

static enum ebb_exit tell_node(const struct carrying *c)
{
	const struct ebb_look *look = &c->session.look;

	if (!c->session.json) {
		say_mode(look, "node", &look->view->policies[EBB_SLOT_OTHER], look->view->agent->mode);
		return EBB_EXIT_DONE;
	}
	return ebb_print_json(c->args, json_pack("{s:o}", "node", ebb_node_mode_json(look)));
}

static enum ebb_exit tell(const struct carrying *c)
{
	enum ebb_exit code;
	json_t *list;

	if (c->target.dst == EBB_SLOT_OTHER)
		return tell_node(c);
	if (!c->session.json)
		return each_row(c, NULL);
	list = json_array();
	code = each_row(c, list);
	if (code != EBB_EXIT_DONE) {
		json_decref(list);
		return code;
	}
	return ebb_print_json(c->args, json_pack("{s:o}", "gates", list));
}

/* ---------------------------------------------------------------- all -- */

static enum ebb_exit find_and_write(struct carrying *c, bool *ret_packets, struct ebb_why *ret_why)
{
	_cleanup_close_ int lock = -1;
	struct ebb_why why = {};
	enum ebb_exit code;
	int r;

	r = ebb_policies_lock(ebb_args_get(c->args, "pin"), LOCK_WAIT_NS, &lock, &why);
	if (r < 0)
		return ebb_fail(c->args, ebb_exit_from(r), "%s", why.text);
	code = name_given(c) ? find_destination(c) : EBB_EXIT_DONE;
	if (code == EBB_EXIT_DONE)
		code = find_workloads(c);
	if (code != EBB_EXIT_DONE)
		return code;
	c->now_ns = clock_ns(CLOCK_MONOTONIC);
	record(c);
	code = c->target.pair_count ? write_owns(c) : write_base(c);
	if (code != EBB_EXIT_DONE)
		return code;
	*ret_packets = c->target.dst != EBB_SLOT_OTHER && asks_packets(c);
	if (*ret_packets)
		(void)attach_packets(c, ret_why);
	return EBB_EXIT_DONE;
}

enum ebb_exit ebb_order_carry_out(const struct ebb_args *args, const struct ebb_order *order)
{
	struct carrying c = {.args = args, .order = order, .uid = getuid(), .login_uid = ebb_login_uid()};
	struct ebb_why why = {};
	bool packets = false;
	enum ebb_exit code;

	code = read_options(&c);
	if (code != EBB_EXIT_DONE)
		return code;
	code = ebb_session_open_as(args, EBB_MAPS_WRITE, &c.session);
	if (code != EBB_EXIT_DONE)
		return code;
	code = find_and_write(&c, &packets, &why);
	if (code == EBB_EXIT_DONE) {
		see_to_programs(&c, packets, why.text);
		code = tell(&c);
	}
	free(c.target.pairs);
	ebb_session_close(&c.session);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb limit set' and 'ebb limit clear': what an operator says by hand, written into the pinned
 * maps at once. Works with the agent dead; it keeps what stands when it comes back.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "core/limit.h"
#include "lib/cleanup.h"
#include "lib/units.h"

#define SECOND	     1000000000ULL
#define FOR_MAX	     (365ULL * 86400 * SECOND)
#define LOCK_WAIT_NS (5 * SECOND)

/* A tick comes at least once a second. */
#define ATTACH_WAIT_NS (5 * SECOND / 2)

/* ------------------------------------------------------------ options -- */

/* What --bytes and the others say; nothing given is wrong use. */
static enum ebb_exit read_change(const struct ebb_args *args, struct ebb_limits *ret_change)
{
	const char *concurrent = ebb_args_get(args, "concurrent");
	struct ebb_limits change = {0};
	struct ebb_why why = {};

	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const char *name = ebb_limit_kind_info(kind)->name;
		const char *text = ebb_args_get(args, name);

		if (!text)
			continue;
		if (ebb_limit_parse(text, kind, &change.bucket[kind], &why) < 0)
			return ebb_fail_option(args, name, "'%s' is not possible: %s", text, why.text);
		change.given |= 1U << kind;
	}
	if (concurrent) {
		if (ebb_limit_parse_concurrent(concurrent, &change.concurrent) < 0)
			return ebb_fail_option(args, "concurrent",
					       "'%s' is not possible: a whole number from 1, or none",
					       concurrent);
		change.given |= EBB_GIVEN_CONCURRENT;
	}
	if (!change.given)
		return ebb_fail(args, EBB_EXIT_USAGE,
				"which limit? give --bytes, --packets, --connects or --concurrent");
	*ret_change = change;
	return EBB_EXIT_DONE;
}

static enum ebb_exit read_for(const struct ebb_args *args, uint64_t *ret_ns)
{
	const char *text = ebb_args_get(args, "for");
	uint64_t ns;

	if (!text) {
		*ret_ns = 0;
		return EBB_EXIT_DONE;
	}
	if (ebb_parse_duration(text, &ns) < 0 || ns == 0 || ns > FOR_MAX)
		return ebb_fail_option(args, "for", "'%s' is not possible: a time such as 10m, up to 365d",
				       text);
	*ret_ns = ns;
	return EBB_EXIT_DONE;
}

/* ------------------------------------------------------------ writing -- */

struct order {
	const struct ebb_limits *change; /* NULL: clear */
	uint64_t for_ns;		 /* 0: no end */
};

/* The destination as of now, under the lock, so that its slot is not given away meanwhile. */
static enum ebb_exit find_destination(const struct ebb_args *args, const struct ebb_session *session,
				      uint32_t *ret_dst)
{
	const struct ebb_view *view = session->look.view;
	const char *name = ebb_args_positional(args, 0);
	struct ebb_snapshot snapshot;
	struct ebb_why why = {};
	size_t first, count;
	uint32_t dst = 0;
	int r;

	r = ebb_snapshot_take(&session->look, &snapshot);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
	r = ebb_show_find(&snapshot, name, &first, &count, &why);
	if (r == 0)
		dst = snapshot.rows[first].dst;
	ebb_snapshot_free(&snapshot);
	if (r < 0)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND, "%s", why.text);
	if (__atomic_load_n(&view->dsts[dst].state, __ATOMIC_SEQ_CST) != EBB_SLOT_LIVE)
		return ebb_fail(args, EBB_EXIT_FAILED,
				"nobody used '%s' for long and it is just being taken back: try again in two seconds",
				name);
	*ret_dst = dst;
	return EBB_EXIT_DONE;
}

static enum ebb_exit write_order(const struct ebb_args *args, const struct ebb_session *session,
				 const struct order *order, uint32_t *ret_dst)
{
	uint64_t now_ns = session->look.now_ns;
	_cleanup_close_ int lock = -1;
	struct ebb_policy *policy;
	struct ebb_why why = {};
	enum ebb_exit code;
	uint32_t dst = 0;
	int r;

	r = ebb_policies_lock(ebb_args_get(args, "pin"), LOCK_WAIT_NS, &lock, &why);
	if (r < 0)
		return ebb_fail(args, ebb_exit_from(r), "%s", why.text);
	code = find_destination(args, session, &dst);
	if (code != EBB_EXIT_DONE)
		return code;
	policy = &session->look.view->policies[dst];
	if (order->change)
		ebb_limits_give(policy, order->change, order->for_ns ? now_ns + order->for_ns : 0,
				ebb_operator_uid(), now_ns);
	else
		ebb_limits_take_back(policy);
	*ret_dst = dst;
	return EBB_EXIT_DONE;
}

static bool is_attached(const struct ebb_look *look, const char *hook)
{
	for (size_t i = 0; i < look->link_count; i++) {
		if (strcmp(look->links[i].name, hook) == 0)
			return look->links[i].attached;
	}
	return false;
}

/*
 * What sees packets is attached by the agent at its next tick, as soon as a policy asks for it.
 * Says so when that does not happen; an agent that is dead is not waited for.
 */
static void wait_for_programs(const struct ebb_args *args, struct ebb_session *session,
			      const struct ebb_limits *limits)
{
	bool packets = limits->bucket[EBB_LIMIT_BYTES].per_hour || limits->bucket[EBB_LIMIT_PACKETS].per_hour;
	const struct ebb_look *look = &session->look;
	uint64_t end_ns = look->now_ns + ATTACH_WAIT_NS;

	while (packets && !is_attached(look, "egress") && look->now_ns < end_ns &&
	       ebb_agent_state(look->view->agent, look->now_ns) == EBB_AGENT_RUNNING) {
		(void)poll(NULL, 0, 20);
		ebb_session_look(args, session);
	}
	if (!is_attached(look, "connect4"))
		(void)ebb_fail(args, EBB_EXIT_DONE,
			       "warning: nothing is attached: limits hold as soon as 'ebb run' runs again");
	else if (packets && !is_attached(look, "egress"))
		(void)ebb_fail(args, EBB_EXIT_DONE,
			       "warning: no program looks at packets and no agent attaches one: limits of bytes and packets hold as soon as 'ebb run' runs again");
}

static enum ebb_exit carry_out(const struct ebb_args *args, const struct order *order)
{
	struct ebb_gate_row row;
	struct ebb_session session;
	enum ebb_exit code;
	uint32_t dst = 0;

	if (strcmp(ebb_args_positional(args, 0), EBB_NAME_OTHER) == 0)
		return ebb_fail(args, EBB_EXIT_USAGE,
				"'" EBB_NAME_OTHER "' is many destinations: it is counted and never limited");
	code = ebb_session_open_as(args, EBB_MAPS_WRITE, &session);
	if (code != EBB_EXIT_DONE)
		return code;
	code = write_order(args, &session, order, &dst);
	if (code == EBB_EXIT_DONE) {
		ebb_gate_row_read(&session.look, dst, dst, &row);
		ebb_limits_say(stdout, &session.look, &row);
		if (order->change && row.policy.mode != EBB_MODE_ENFORCE)
			(void)puts("mode is observe: nothing is refused or dropped, only counted");
		if (order->change)
			wait_for_programs(args, &session, order->change);
	}
	ebb_session_close(&session);
	return code;
}

/* ----------------------------------------------------------- commands -- */

enum ebb_exit ebb_cmd_limit_set(const struct ebb_args *args)
{
	struct ebb_limits change;
	struct order order = {.change = &change};
	enum ebb_exit code;

	code = read_change(args, &change);
	if (code == EBB_EXIT_DONE)
		code = read_for(args, &order.for_ns);
	return code == EBB_EXIT_DONE ? carry_out(args, &order) : code;
}

enum ebb_exit ebb_cmd_limit_clear(const struct ebb_args *args)
{
	return carry_out(args, &(struct order){0});
}

void ebb_help_limits(FILE *out)
{
	(void)fputs("How limits are written:\n", out);
	for (uint32_t kind = 0; kind < EBB_LIMIT_MAX; kind++) {
		const struct ebb_limit_kind_info *info = ebb_limit_kind_info(kind);
		char term[64], text[512];

		(void)snprintf(term, sizeof(term), "  %s", info->name);
		(void)snprintf(text, sizeof(text), "%s; %s or %s,burst=%s; a burst is %s, unless given",
			       info->what, info->example, info->example, info->example_burst, info->burst);
		ebb_help_term(out, 14, term, text);
	}
	ebb_help_term(out, 14, "  concurrent", "connections open and opening; 64");
	(void)fputc('\n', out);
	ebb_help_text(out, 2,
		      "A rate is for /s, /min or /h; none is no limit. Bytes take B, kB, MB, GB, TB (powers of "
		      "1000, also KB), KiB, MiB, GiB, TiB (powers of 1024), kbit, Mbit, Gbit, Tbit; packets and "
		      "connections take k and M.\n");
}

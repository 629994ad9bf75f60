/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator says by hand, in every hook: mode, breaker, one workload alone; and many operators at once. */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/gate.h"
#include "core/by_hand.h"
#include "core/limit.h"
#include "kernel/packets.h"
#include "node/owns.h"

#define SECOND_NS 1000000000ULL
#define FOR_EVER  EBB_UNTIL_MASK

#define SAYS(mode) (1U + (mode))

static struct fixture_options with_reset = {.reset = true};

/* ------------------------------------------------------------------ hooks -- */

static int tcp_once(const struct address *to)
{
	int fd = tcp_socket(to->sa.sa_family), r = dial(fd, to);

	hang_up(&fd);
	return r;
}

static int udp_dial_once(const struct address *to)
{
	int fd = udp_socket(to->sa.sa_family), r = dial(fd, to);

	hang_up(&fd);
	return r;
}

static int udp_send_once(const struct address *to)
{
	int fd = udp_socket(to->sa.sa_family), r = udp_send_to(fd, to);

	hang_up(&fd);
	return r;
}

/* Each hook that refuses: a try of it, and somebody who would answer. */
struct hook {
	const char *name, *text;
	bool udp;
	int (*once)(const struct address *to);
};

static const struct hook hooks[] = {
	{"connect4", "127.0.0.1", false, tcp_once},
	{"connect6", "::1", false, tcp_once},
	{"connect4 of UDP", "127.0.0.1", true, udp_dial_once},
	{"connect6 of UDP", "::1", true, udp_dial_once},
	{"sendmsg4", "127.0.0.1", true, udp_send_once},
	{"sendmsg6", "::1", true, udp_send_once},
};

#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/* Known to us afterwards: a UDP connect() makes no destination. */
static struct address meet(const struct hook *hook)
{
	struct address to;

	if (!hook->udp) {
		(void)listen_at(hook->text, &to);
		assert_int_equal(tcp_once(&to), 0);
	} else {
		(void)udp_bound_at(hook->text, &to);
		assert_int_equal(udp_send_once(&to), 0);
	}
	return to;
}

static struct ebb_policy *node_policy(const struct fixture *fx)
{
	return &fx->view->policies[EBB_SLOT_OTHER];
}

static struct ebb_own own_of(const struct fixture *fx, const struct address *to)
{
	return (struct ebb_own){.pair_epoch = pair_of(fx, to)->epoch};
}

static void write_own(const struct fixture *fx, const struct address *to, const struct ebb_own *own)
{
	assert_int_equal(ebb_own_write(fx->view, (uint32_t)pair_slot_of(fx, to), own), 0);
}

/* ------------------------------------------------------------------- mode -- */

static void ruling_14_every_hook_obeys_the_mode_in_force(void **state)
{
	static const struct {
		uint32_t node, destination, configured;
		bool refused;
	} cases[] = {
		{0, 0, EBB_MODE_OBSERVE, false},
		{0, 0, EBB_MODE_ENFORCE, true},
		{0, SAYS(EBB_MODE_ENFORCE), EBB_MODE_OBSERVE, true},
		{0, SAYS(EBB_MODE_OBSERVE), EBB_MODE_ENFORCE, false},
		{SAYS(EBB_MODE_ENFORCE), 0, EBB_MODE_OBSERVE, true},
		{SAYS(EBB_MODE_OBSERVE), 0, EBB_MODE_ENFORCE, false},
		{SAYS(EBB_MODE_ENFORCE), SAYS(EBB_MODE_OBSERVE), EBB_MODE_OBSERVE, true},
		{SAYS(EBB_MODE_OBSERVE), SAYS(EBB_MODE_ENFORCE), EBB_MODE_ENFORCE, false},
	};
	struct fixture *fx = *state;

	for (size_t h = 0; h < HOOKS; h++) {
		struct address to = meet(&hooks[h]);
		struct ebb_policy *policy = policy_of(fx, &to);
		uint64_t denied = 0, would = 0;

		ebb_override_give(policy, EBB_OVERRIDE_OPEN, 0, 0);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			policy->mode = cases[i].configured;
			ebb_mode_give(policy, cases[i].destination, 0, 0);
			ebb_mode_give(node_policy(fx), cases[i].node, 0, 0);
			assert_int_equal(hooks[h].once(&to), cases[i].refused ? -ECONNREFUSED : 0);
			denied += cases[i].refused;
			would += !cases[i].refused;
			assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_OVERRIDE], denied);
			assert_int_equal(pair_of(fx, &to)->would_deny[EBB_CAUSE_OVERRIDE], would);
		}
		ebb_mode_give(node_policy(fx), 0, 0, 0);
	}
}

/* A quarter of what an open breaker would refuse; the others go on and tell the breaker nothing. */
static void enforce_percent_refuses_its_share_in_every_hook(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();

	policy.spare_percent = 75;
	enforce_everywhere(fx, &policy, 0);
	for (size_t h = 0; h < HOOKS; h++) {
		struct address to = meet(&hooks[h]);
		const struct ebb_pair *pair = pair_of(fx, &to);
		uint64_t ok = gate_of(fx, &to)->ok, refused = 0;

		verdict_of(fx, &to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
		for (uint64_t n = 1; n <= 20; n++) {
			bool stands = ebb_share_has(n, (25ULL << 32) / 100);

			assert_int_equal(hooks[h].once(&to), stands ? -ECONNREFUSED : 0);
			refused += stands;
		}
		assert_int_equal(refused, 5);
		assert_int_equal(pair->denied[EBB_CAUSE_BREAKER], 5);
		assert_int_equal(pair->would_deny[EBB_CAUSE_BREAKER], 15);
		assert_int_equal(gate_of(fx, &to)->ok, ok);
		/* an operator means what is said */
		ebb_override_give(policy_of(fx, &to), EBB_OVERRIDE_OPEN, 0, 0);
		for (int i = 0; i < 8; i++)
			assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
	}
}

static void mode_and_override_end_by_themselves(void **state)
{
	struct fixture *fx = *state;

	agent_absent(fx, 3600 * SECOND_NS, SECOND_NS);
	for (size_t h = 0; h < HOOKS; h++) {
		struct address to = meet(&hooks[h]);
		struct ebb_policy *policy = policy_of(fx, &to);
		uint64_t end = now_ns() + SECOND_NS / 5;

		ebb_override_give(policy, EBB_OVERRIDE_OPEN, end, 0);
		ebb_mode_give(policy, SAYS(EBB_MODE_ENFORCE), 0, 0);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		wait_for(now_ns() >= end);
		assert_int_equal(hooks[h].once(&to), 0);
		ebb_override_give(policy, EBB_OVERRIDE_OPEN, 0, 0);
		end = now_ns() + SECOND_NS / 5;
		ebb_mode_give(policy, SAYS(EBB_MODE_ENFORCE), end, 0);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		wait_for(now_ns() >= end);
		assert_int_equal(hooks[h].once(&to), 0);
	}
}

static void forced_closed_passes_an_open_breaker_and_not_a_limit(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_limits change = {.given = EBB_GIVEN_CONCURRENT, .concurrent = 1};

	enforce_everywhere(fx, &policy, 0);
	for (size_t h = 0; h < HOOKS; h++) {
		struct address to = meet(&hooks[h]);

		verdict_of(fx, &to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		ebb_override_give(policy_of(fx, &to), EBB_OVERRIDE_CLOSE, 0, 0);
		assert_int_equal(hooks[h].once(&to), 0);
		if (hooks[h].udp)
			continue;
		ebb_limits_give(policy_of(fx, &to), &change, 0, 0, now_ns());
		int held = tcp_socket(to.sa.sa_family);
		assert_int_equal(dial(held, &to), 0);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		hang_up(&held);
	}
}

static void limits_and_the_breaker_refuse_each_with_its_errno(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, udp, from;
	int held, receiver;

	(void)listen_at("127.0.0.1", &to);
	policy.limits.concurrent = 1;
	policy.errno_code = EBB_ERRNO_HOSTUNREACH;
	policy.limits_errno = EBB_ERRNO_TIMEDOUT;
	enforce_everywhere(fx, &policy, 0);
	held = tcp_socket(AF_INET);
	assert_int_equal(dial(held, &to), 0);
	assert_int_equal(tcp_once(&to), -ETIMEDOUT);
	ebb_override_give(policy_of(fx, &to), EBB_OVERRIDE_OPEN, 0, 0);
	assert_int_equal(tcp_once(&to), -EHOSTUNREACH);
	ebb_override_give(policy_of(fx, &to), EBB_OVERRIDE_AUTO, 0, 0);
	verdict_of(fx, &to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
	assert_int_equal(tcp_once(&to), -EHOSTUNREACH);
	hang_up(&held);

	receiver = udp_bound_at("127.0.0.1", &udp);
	assert_int_equal(udp_send_once(&udp), 0);
	udp_receive(receiver, &from);
	held = udp_socket(AF_INET);
	assert_int_equal(dial(held, &udp), 0);
	assert_int_equal(udp_dial_once(&udp), -ETIMEDOUT);
	ebb_override_give(policy_of(fx, &udp), EBB_OVERRIDE_OPEN, 0, 0);
	assert_int_equal(udp_dial_once(&udp), -EHOSTUNREACH);
	assert_int_equal(udp_send_once(&udp), -EHOSTUNREACH);
	hang_up(&held);
}

static void other_is_never_refused(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_DST_TABLE_FULL | 1U << EBB_ERR_PAIR_TABLE_FULL;
	for (uint32_t i = 0; i < fx->view->dst_max; i++) {
		(void)listen_at("127.0.0.1", &to);
		assert_int_equal(tcp_once(&to), 0);
	}
	ebb_mode_give(node_policy(fx), SAYS(EBB_MODE_ENFORCE), 0, 0);
	ebb_override_give(node_policy(fx), EBB_OVERRIDE_OPEN, 0, 0);
	assert_int_equal(dst_slot_of(fx, &to), -1);
	assert_int_equal(tcp_once(&to), 0);
	assert_true(fx->view->pairs[EBB_SLOT_OTHER].would_deny[EBB_CAUSE_OVERRIDE] > 0);
	assert_int_equal(fx->view->pairs[EBB_SLOT_OTHER].denied[EBB_CAUSE_OVERRIDE], 0);
}

/* ------------------------------------------------------- live connections -- */

struct line {
	struct address to;
	int client, server;
};

static struct line connect_line(void)
{
	struct line l;
	int listener = listen_at("127.0.0.1", &l.to);

	l.client = tcp_socket(AF_INET);
	assert_int_equal(dial(l.client, &l.to), 0);
	l.server = accept_from(listener);
	return l;
}

static uint64_t dropped(const struct fixture *fx, const struct address *to)
{
	return pair_of(fx, to)->dropped_packets[EBB_DROP_BREAKER];
}

static uint64_t would_drop(const struct fixture *fx, const struct address *to)
{
	return pair_of(fx, to)->would_drop_packets[EBB_DROP_BREAKER];
}

static void want_packets(struct fixture *fx)
{
	struct ebb_why why = {};

	if (ebb_loader_want_packets(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
}

/* Also without a lease, and with the breaker closed. */
static void forced_open_drops_what_live_connections_send(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_policy *place;
	struct line l;

	policy.established = EBB_ESTABLISHED_DROP;
	enforce_everywhere(fx, &policy, 0);
	want_packets(fx);
	l = connect_line();
	place = policy_of(fx, &l.to);
	send_all(l.client, "one");
	receive_all(l.server, 3);
	agent_absent(fx, 3600 * SECOND_NS, SECOND_NS);
	ebb_override_give(place, EBB_OVERRIDE_OPEN, 0, 0);
	ebb_mode_give(place, SAYS(EBB_MODE_OBSERVE), 0, 0);
	send_all(l.client, "two");
	receive_all(l.server, 3);
	assert_true(would_drop(fx, &l.to) > 0);
	assert_int_equal(dropped(fx, &l.to), 0);
	ebb_mode_give(place, 0, 0, 0);
	send_all(l.client, "three");
	wait_for(dropped(fx, &l.to) > 0);
	/* TCP tries again, and gets through once the order is over */
	ebb_override_give(place, EBB_OVERRIDE_AUTO, 0, 0);
	receive_all(l.server, 5);
	hang_up(&l.client);
}

static void forced_closed_drops_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct line l;

	policy.established = EBB_ESTABLISHED_DROP;
	enforce_everywhere(fx, &policy, 0);
	want_packets(fx);
	l = connect_line();
	verdict_of(fx, &l.to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
	ebb_override_give(policy_of(fx, &l.to), EBB_OVERRIDE_CLOSE, 0, 0);
	send_all(l.client, "one");
	receive_all(l.server, 3);
	assert_int_equal(dropped(fx, &l.to), 0);
	hang_up(&l.client);
}

static uint64_t reset_now(struct fixture *fx)
{
	struct ebb_why why = {};
	uint64_t count = 0;

	if (ebb_loader_reset(fx->loader, &count, &why) < 0)
		fail_msg("%s", why.text);
	return count;
}

static void forced_open_resets_live_connections(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_own own;
	struct line l;

	policy.established = EBB_ESTABLISHED_RESET;
	enforce_everywhere(fx, &policy, 0);
	l = connect_line();
	assert_int_equal(reset_now(fx), 0);
	ebb_override_give(policy_of(fx, &l.to), EBB_OVERRIDE_OPEN, 0, 0);
	ebb_mode_give(node_policy(fx), SAYS(EBB_MODE_OBSERVE), 0, 0);
	assert_int_equal(reset_now(fx), 0);
	ebb_mode_give(node_policy(fx), 0, 0, 0);
	assert_int_equal(reset_now(fx), 1);
	assert_int_equal(receive_end(l.client), ECONNABORTED);
	hang_up(&l.client);

	l = connect_line();
	own = own_of(fx, &l.to);
	ebb_own_give_override(&own, policy_of(fx, &l.to), EBB_OVERRIDE_OPEN, 0, 0);
	write_own(fx, &l.to, &own);
	assert_int_equal(reset_now(fx), 1);
	hang_up(&l.client);
}

/* ----------------------------------------------------------- one workload -- */

static void every_hook_obeys_the_policy_of_one_workload(void **state)
{
	struct fixture *fx = *state;

	for (size_t h = 0; h < HOOKS; h++) {
		struct address to = meet(&hooks[h]);
		struct ebb_policy *base = policy_of(fx, &to);
		uint32_t pair = (uint32_t)pair_slot_of(fx, &to);
		struct ebb_own own = own_of(fx, &to), other;

		ebb_own_give_override(&own, base, EBB_OVERRIDE_OPEN, 0, 0);
		ebb_own_give_mode(&own, base, SAYS(EBB_MODE_ENFORCE), 0, 0);
		write_own(fx, &to, &own);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		/* the node goes before the workload, too */
		ebb_mode_give(node_policy(fx), SAYS(EBB_MODE_OBSERVE), 0, 0);
		assert_int_equal(hooks[h].once(&to), 0);
		ebb_mode_give(node_policy(fx), 0, 0, 0);
		/* of another owner of the slot it is not obeyed */
		other = own;
		other.pair_epoch++;
		assert_int_equal(fx->view->owns->put(fx->view->owns, pair, &other), 0);
		assert_int_equal(hooks[h].once(&to), 0);
		/* nor when all of it is over: then what is said for the destination holds */
		own.until_ns = now_ns() - 1;
		ebb_mode_give(base, SAYS(EBB_MODE_ENFORCE), 0, 0);
		assert_int_equal(fx->view->owns->put(fx->view->owns, pair, &own), 0);
		assert_int_equal(hooks[h].once(&to), 0);
		ebb_override_give(base, EBB_OVERRIDE_OPEN, 0, 0);
		assert_int_equal(hooks[h].once(&to), -ECONNREFUSED);
		ebb_override_give(base, EBB_OVERRIDE_AUTO, 0, 0);
		/* nothing is said any more: the bit goes with the last of them */
		own = own_of(fx, &to);
		write_own(fx, &to, &own);
		assert_int_equal(ebb_owns_refresh(fx->view, (uint32_t)dst_slot_of(fx, &to), now_ns()), 0);
		assert_int_equal(base->asks & EBB_ASK_OWN, 0);
		assert_int_equal(hooks[h].once(&to), 0);
	}
}

static void limits_of_one_workload_hold_in_the_packet_program(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_limits change = {.given = 1U << EBB_LIMIT_PACKETS};
	struct address to, from;
	struct ebb_own own;
	int receiver;

	enforce_everywhere(fx, &policy, 0);
	want_packets(fx);
	receiver = udp_bound_at("127.0.0.1", &to);
	assert_int_equal(udp_send_once(&to), 0);
	udp_receive(receiver, &from);
	assert_int_equal(ebb_limit_make(1, 1, &change.bucket[EBB_LIMIT_PACKETS]), 0);
	own = own_of(fx, &to);
	ebb_own_give_limits(&own, policy_of(fx, &to), &change, 0, 0, now_ns());
	write_own(fx, &to, &own);
	assert_int_equal(udp_send_once(&to), 0);
	assert_int_equal(udp_send_once(&to), -EPERM);
	assert_int_equal(pair_of(fx, &to)->dropped_packets[EBB_DROP_PACKETS], 1);
	ebb_own_give_limits(&own, policy_of(fx, &to), NULL, 0, 0, now_ns());
	write_own(fx, &to, &own);
	assert_int_equal(udp_send_once(&to), 0);
}

/* --------------------------------------------------------- the packet program -- */

static bool egress_is_attached(const struct fixture *fx)
{
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(fx->pin_dir, links);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(links[i].name, "egress") == 0)
			return links[i].attached && links[i].cgroup_id == fx->cgroup_id;
	}
	return false;
}

static void command_attaches_what_sees_packets_without_an_agent(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_why why = {};
	struct address to;

	policy.limits.bucket[EBB_LIMIT_PACKETS] = (struct ebb_limit){0};
	enforce_everywhere(fx, &policy, 0);
	assert_false(egress_is_attached(fx));
	fixture_close_loader(fx);
	assert_int_equal(ebb_packets_attach(fx->pin_dir, fx->cgroup_fd, &why), 0);
	assert_true(egress_is_attached(fx));
	/* once is enough */
	assert_int_equal(ebb_packets_attach(fx->pin_dir, fx->cgroup_fd, &why), 0);
	assert_true(egress_is_attached(fx));

	/* the next agent takes it up, and takes it away when nobody asks for it */
	fixture_open_loader(fx);
	assert_true(egress_is_attached(fx));
	assert_true(ebb_loader_has_packets(fx->loader));
	assert_int_equal(ebb_loader_want_packets(fx->loader, false, &why), 0);
	assert_false(egress_is_attached(fx));
	/* made while it lives: taken up in place of making another */
	assert_int_equal(ebb_packets_attach(fx->pin_dir, fx->cgroup_fd, &why), 0);
	assert_int_equal(ebb_loader_want_packets(fx->loader, true, &why), 0);
	assert_true(egress_is_attached(fx));
	assert_int_equal(ebb_loader_want_packets(fx->loader, false, &why), 0);
	/* and one that was made and is asked for no more goes, too */
	assert_int_equal(ebb_packets_attach(fx->pin_dir, fx->cgroup_fd, &why), 0);
	assert_int_equal(ebb_loader_want_packets(fx->loader, false, &why), 0);
	assert_false(egress_is_attached(fx));
	(void)listen_at("127.0.0.1", &to);
	assert_int_equal(tcp_once(&to), 0);
}

static void nothing_is_left_of_the_pinned_program(void **state)
{
	struct fixture *fx = *state;
	struct ebb_why why = {};
	char path[FIXTURE_PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/prog_egress", fx->pin_dir);
	assert_int_equal(access(path, F_OK), 0);
	fixture_detach(fx);
	assert_int_equal(access(fx->pin_dir, F_OK), -1);
	assert_int_equal(ebb_packets_attach(fx->pin_dir, fx->cgroup_fd, &why), -ENOENT);
	fixture_open_loader(fx);
}

/* ------------------------------------------------------ many operators at once -- */

#define WRITERS 16
#define ORDERS	60

struct writing {
	struct fixture *fx;
	uint32_t dst, pair, number;
};

/* Each writer has values of its own, of which each word says whose it is. */
static uint64_t rate_of(uint32_t number)
{
	return 3600ULL * (1000 + number);
}

static int operate(void *argument)
{
	const struct writing *w = argument;
	const struct ebb_view *view = w->fx->view;
	struct ebb_policy *policy = &view->policies[w->dst];
	struct ebb_limits change = {.given = 1U << EBB_LIMIT_CONNECTS | EBB_GIVEN_CONCURRENT,
				    .concurrent = 1000 + w->number};

	if (ebb_limit_make(rate_of(w->number), 100 + w->number, &change.bucket[EBB_LIMIT_CONNECTS]) < 0)
		return 1;
	for (uint32_t i = 0; i < ORDERS; i++) {
		struct ebb_own own = {.pair_epoch = view->pairs[w->pair].epoch};
		uint64_t end = now_ns() + 3600 * SECOND_NS;
		int lock, r;

		r = ebb_policies_lock(w->fx->pin_dir, 30 * SECOND_NS, &lock, NULL);
		if (r < 0)
			return 2;
		switch ((i + w->number) % 4) {
		case 0:
			ebb_limits_give(policy, &change, end, w->number, now_ns());
			break;
		case 1:
			ebb_override_give(policy, w->number % 2 ? EBB_OVERRIDE_OPEN : EBB_OVERRIDE_CLOSE, end,
					  w->number);
			break;
		case 2:
			ebb_mode_give(policy, SAYS(w->number % EBB_MODE_MAX), end, w->number);
			break;
		default:
			(void)ebb_own_find(view, w->pair, now_ns(), &own);
			ebb_own_give_override(&own, policy,
					      w->number % 2 ? EBB_OVERRIDE_OPEN : EBB_OVERRIDE_AUTO, end,
					      w->number);
			r = ebb_own_write(view, w->pair, &own);
			break;
		}
		if (r == 0)
			r = ebb_owns_refresh(view, w->dst, now_ns());
		(void)close(lock);
		if (r < 0)
			return 3;
	}
	return 0;
}

/* Nobody holds the lock: what stands is of one writer, or of nobody. */
static void assert_whole(const struct ebb_policy *policy)
{
	const struct ebb_limit *rate = &policy->by_hand.bucket[EBB_LIMIT_CONNECTS];

	if (policy->by_hand.given) {
		uint32_t number = policy->by_hand_uid;

		assert_true(number < WRITERS);
		assert_int_equal(policy->by_hand.given, 1U << EBB_LIMIT_CONNECTS | EBB_GIVEN_CONCURRENT);
		assert_true(rate->per_hour == rate_of(number));
		assert_true(rate->burst == 100 + number);
		assert_int_equal(policy->by_hand.concurrent, 1000 + number);
		assert_true(policy->asks & EBB_ASK_CONNECT);
	}
	assert_true(policy->override_state < EBB_OVERRIDE_MAX);
	if (policy->override_state) {
		assert_int_equal(policy->override_state,
				 policy->override_uid % 2 ? EBB_OVERRIDE_OPEN : EBB_OVERRIDE_CLOSE);
		assert_true(policy->override_until_ns != 0);
	}
	if (policy->mode_by_hand) {
		assert_int_equal(policy->mode_by_hand, SAYS(policy->mode_uid % EBB_MODE_MAX));
		assert_true(policy->mode_until_ns != 0);
	}
}

static void writers_at_once_leave_a_policy_that_is_whole(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default(), seen;
	struct writing writings[WRITERS];
	pid_t pids[WRITERS];
	struct address to;
	struct ebb_own own;
	uint32_t dst, pair, dials = 0, killed = 0;
	int listener, peer, lock;

	listener = listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, 0);
	assert_int_equal(tcp_once(&to), 0);
	dst = (uint32_t)dst_slot_of(fx, &to);
	pair = (uint32_t)pair_slot_of(fx, &to);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writings[i] = (struct writing){fx, dst, pair, i};
		pids[i] = spawn(operate, &writings[i]);
	}
	/* meanwhile every connect is let through or refused, and the policy is whole whenever nobody writes */
	for (uint32_t turn = 0; turn < 1000; turn++) {
		int r = tcp_once(&to);

		assert_true(r == 0 || r == -ECONNREFUSED);
		/* its queue has an end */
		if (r == 0) {
			peer = accept_from(listener);
			hang_up(&peer);
		}
		dials++;
		if (turn % 100 == 99) {
			assert_int_equal(ebb_policies_lock(fx->pin_dir, 30 * SECOND_NS, &lock, NULL), 0);
			memcpy(&seen, &fx->view->policies[dst], sizeof(seen));
			assert_whole(&seen);
			(void)close(lock);
		}
		/* in the middle of whatever it does; the lock dies with it */
		if (turn % 100 == 50 && killed < WRITERS / 2)
			(void)kill(pids[killed++], SIGKILL);
	}
	for (uint32_t i = 0; i < WRITERS; i++) {
		int status = reap(pids[i]);

		/* some had ended before they could be killed */
		assert_true(status == 0 || (i < killed && status == -SIGKILL));
	}
	assert_int_equal(ebb_policies_lock(fx->pin_dir, SECOND_NS, &lock, NULL), 0);
	memcpy(&seen, &fx->view->policies[dst], sizeof(seen));
	assert_true(seen.override_state < EBB_OVERRIDE_MAX && seen.mode_by_hand <= EBB_MODE_MAX);
	/* what is taken back is gone, for the destination and for the workload */
	ebb_by_hand_forget(&fx->view->policies[dst]);
	own = (struct ebb_own){.pair_epoch = fx->view->pairs[pair].epoch};
	assert_int_equal(ebb_own_write(fx->view, pair, &own), 0);
	assert_int_equal(ebb_owns_refresh(fx->view, dst, now_ns()), 0);
	(void)close(lock);
	assert_int_equal(fx->view->policies[dst].asks, 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(tcp_once(&to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_true(dials == 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(ruling_14_every_hook_obeys_the_mode_in_force),
		bpf_test(enforce_percent_refuses_its_share_in_every_hook),
		bpf_test(mode_and_override_end_by_themselves),
		bpf_test(forced_closed_passes_an_open_breaker_and_not_a_limit),
		bpf_test(limits_and_the_breaker_refuse_each_with_its_errno),
		bpf_test(other_is_never_refused),
		bpf_test(forced_open_drops_what_live_connections_send),
		bpf_test(forced_closed_drops_nothing),
		bpf_test(every_hook_obeys_the_policy_of_one_workload),
		bpf_test(limits_of_one_workload_hold_in_the_packet_program),
		bpf_test(command_attaches_what_sees_packets_without_an_agent),
		bpf_test(nothing_is_left_of_the_pinned_program),
		bpf_test(writers_at_once_leave_a_policy_that_is_whole),
		bpf_test_with(forced_open_resets_live_connections, &with_reset),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

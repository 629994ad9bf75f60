/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate answers at connect(), and what moves it, with and without an agent. */
#include "fixture.h"

#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bpf/gate.h"

#define HOUR_NS	  3600000000000ULL
#define SECOND_NS 1000000000ULL
#define FOR_EVER  EBB_UNTIL_MASK

static void dial_once(const struct address *to, int expected)
{
	int fd = tcp_socket(to->sa.sa_family);

	assert_int_equal(dial(fd, to), expected);
	hang_up(&fd);
}

/* -1: the kernel has none. */
static int mptcp_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
}

/* ------------------------------------------------------------------ errno -- */

static void open_gate_refuses_with_the_configured_errno(void **state)
{
	static const struct {
		enum ebb_errno code;
		int err;
	} codes[] = {{EBB_ERRNO_CONNREFUSED, -ECONNREFUSED},
		     {EBB_ERRNO_HOSTUNREACH, -EHOSTUNREACH},
		     {EBB_ERRNO_TIMEDOUT, -ETIMEDOUT},
		     {EBB_ERRNO_PERM, -EPERM}};
	static const struct {
		const char *listens, *dials;
	} addresses[] = {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"127.0.0.1", "::ffff:127.0.0.1"}};
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();

	for (size_t a = 0; a < sizeof(addresses) / sizeof(addresses[0]); a++) {
		for (size_t c = 0; c < EBB_ERRNO_MAX; c++) {
			struct address at, to;
			socklen_t length = sizeof(int);
			int fd, err = -1;

			(void)listen_at(addresses[a].listens, &at);
			policy.errno_code = codes[c].code;
			policy.limits_errno = policy.errno_code;
			enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
			to = address(addresses[a].dials, port_of(&at));
			dial_once(&to, codes[c].err);
			fd = tcp_socket_nonblocking(to.sa.sa_family);
			assert_int_equal(dial(fd, &to), codes[c].err);
			assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length), 0);
			assert_int_equal(err, 0);
			expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 2);
			/* the socket can still be used */
			verdict_everywhere(fx, 0);
			assert_int_equal(dial_and_wait(fd, &to), 0);
			expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 2, .attempts = 1, .syn_sent = 1,
				    .established = 1, .active = 1);
			hang_up(&fd);
		}
	}
}

static void observe_lets_through_and_counts_what_it_would_have_done(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, closed;

	(void)listen_at("127.0.0.1", &to);
	(void)closed_port_at("127.0.0.1", &closed);
	policy.arm = ebb_arm(1, 1000);
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	dial_once(&to, 0);
	dial_once(&closed, -ECONNREFUSED);
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_BREAKER] = 1, .attempts = 1, .syn_sent = 1,
		    .established = 1);
	expect_pair(fx, &closed, .would_deny[EBB_CAUSE_BREAKER] = 1, .attempts = 1, .syn_sent = 1,
		    .refused = 1);
	/* a program that our refusal would have stopped says nothing about the destination */
	assert_int_equal(gate_of(fx, &to)->ok, 0);
	assert_int_equal(gate_of(fx, &closed)->failed, 0);
	assert_int_equal(gate_of(fx, &closed)->run, 0);
	assert_int_equal(gate_of(fx, &closed)->pull, 0);
}

/* A connection that began while the gate was open tells it nothing when it ends in a later closed state. */
static void observed_refusal_stays_mute_when_the_gate_closes_meanwhile(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int fd, server, listener = listen_at("127.0.0.1", &to);

	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	server = accept_from(listener);
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_CLOSED, 0));
	hang_up_hard(&server);
	assert_int_equal(receive_end(fd), ECONNRESET);
	hang_up(&fd);
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_BREAKER] = 1, .attempts = 1, .syn_sent = 1,
		    .established = 1, .reset = 1);
	assert_int_equal(gate_of(fx, &to)->failed, 0);
}

/* ------------------------------------------------------------ concurrency -- */

static void slot_is_given_back_when_the_connection_ends_before_the_socket(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, closed;
	int fd = tcp_socket(AF_INET), server;
	int listener = listen_at("127.0.0.1", &to);

	(void)closed_port_at("127.0.0.1", &closed);
	policy.limits.concurrent = 1;
	enforce_everywhere(fx, &policy, 0);
	assert_int_equal(dial(fd, &closed), -ECONNREFUSED);
	assert_int_equal(gate_of(fx, &closed)->in_use, 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(undial(fd), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	server = accept_from(listener);
	hang_up(&server);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	server = accept_from(listener);
	hang_up_hard(&server);
	wait_for(gate_of(fx, &to)->in_use == 0);
	hang_up(&fd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
}

/* One over the limit is let through in observe, takes no slot, and says nothing about the destination. */
static void observed_limit_counts_and_moves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int held, fd;

	(void)listen_at("127.0.0.1", &to);
	policy.limits.concurrent = 1;
	policy_everywhere(fx, &policy);
	held = tcp_socket(AF_INET);
	assert_int_equal(dial(held, &to), 0);
	assert_int_equal(gate_of(fx, &to)->ok, 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(gate_of(fx, &to)->ok, 1);
	hang_up(&fd);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	hang_up(&held);
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_CONCURRENCY] = 1, .attempts = 2, .syn_sent = 2,
		    .established = 2);
}

/* ------------------------------------------------------------ lease, override -- */

/* Ruling 11: it takes no slot and is no probe. But it is refused like any other. */
static void subflows_of_mptcp_are_refused_and_hold_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, closed;
	int fd[3], listener = listen_at("127.0.0.1", &to);

	(void)closed_port_at("127.0.0.1", &closed);
	fd[0] = mptcp_socket();
	if (fd[0] < 0)
		skip();
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	assert_int_equal(dial(fd[0], &to), -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1);
	policy.override_state = EBB_OVERRIDE_OPEN;
	enforce_everywhere(fx, &policy, 0);
	assert_int_equal(dial(fd[0], &to), -ECONNREFUSED);
	expect_pair(fx, &to, .denied = {[EBB_CAUSE_OVERRIDE] = 1, [EBB_CAUSE_BREAKER] = 1});
	/* half-open it passes, beside the probes */
	policy.override_state = EBB_OVERRIDE_AUTO;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	assert_int_equal(dial(fd[0], &to), 0);
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	/* a cap does not hold it, and it takes nothing of one */
	policy.limits.concurrent = 1;
	enforce_everywhere(fx, &policy, ebb_word(3, EBB_STATE_CLOSED, 0));
	fd[1] = mptcp_socket();
	assert_int_equal(dial(fd[1], &to), 0);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	for (int i = 0; i < 2; i++) {
		int server = accept_from(listener);

		hang_up(&fd[i]);
		assert_int_equal(receive_end(server), 0);
		hang_up(&server);
	}
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 2,
		    .denied = {[EBB_CAUSE_OVERRIDE] = 1, [EBB_CAUSE_BREAKER] = 1});
	/* beside a limit, too, its result is one */
	fd[2] = mptcp_socket();
	assert_int_equal(dial(fd[2], &closed), -ECONNREFUSED);
	hang_up(&fd[2]);
	wait_for(ebb_run_failures(gate_of(fx, &closed)->run, 3) == 1);
}

static void stale_lease_refuses_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_LEASE_EXPIRED;
	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	agent_absent(fx, 31 * SECOND_NS, 30 * SECOND_NS);
	dial_once(&to, 0);
	assert_int_equal(error_count(fx, EBB_ERR_LEASE_EXPIRED), 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &to)->ok, 0);
	agent_absent(fx, 29 * SECOND_NS, 30 * SECOND_NS);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(error_count(fx, EBB_ERR_LEASE_EXPIRED), 1);
}

static void agent_that_never_ticked_has_no_lease(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_LEASE_EXPIRED;
	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	fx->view->agent->heartbeat_ns = 0;
	dial_once(&to, 0);
	assert_int_equal(error_count(fx, EBB_ERR_LEASE_EXPIRED), 1);
}

static void hold_goes_on_refusing_without_a_lease(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	policy.on_agent_loss = EBB_LOSS_HOLD;
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	agent_absent(fx, HOUR_NS, SECOND_NS);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1);
}

static void override_open_refuses_whatever_the_verdict_and_the_lease(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	policy.override_state = EBB_OVERRIDE_OPEN;
	enforce_everywhere(fx, &policy, 0);
	agent_absent(fx, HOUR_NS, SECOND_NS);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_OVERRIDE] = 1);
	/* it has its own end */
	policy_of(fx, &to)->override_until_ns = now_ns() - 1;
	dial_once(&to, 0);
	policy_of(fx, &to)->override_until_ns = now_ns() + HOUR_NS;
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_OVERRIDE] = 2, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void override_close_answers_for_the_breaker_alone(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	policy.override_state = EBB_OVERRIDE_CLOSE;
	policy.limits.concurrent = 1;
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	dial_once(&to, -ECONNREFUSED);
	hang_up(&fd);
	dial_once(&to, 0);
	expect_pair(fx, &to, .denied[EBB_CAUSE_CONCURRENCY] = 1, .attempts = 2, .syn_sent = 2,
		    .established = 2);
	assert_int_equal(error_count(fx, EBB_ERR_LEASE_EXPIRED), 0);
}

/* ------------------------------------------------------------------- ramp -- */

/* Half of its hour is over. Who is let through has a result like any other; without a ramp all are. */
static void closed_gate_that_ramps_lets_its_share_through(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	uint64_t passed = 0;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	policy.ramp_ticks = (uint32_t)ebb_ns_to_ticks(HOUR_NS);
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_CLOSED, now_ticks() + policy.ramp_ticks / 2));
	for (uint64_t n = 1; n <= 20; n++) {
		bool passes = ebb_share_has(n, 1ULL << 31);

		dial_once(&to, passes ? 0 : -ECONNREFUSED);
		passed += passes;
	}
	assert_in_range(passed, 9, 11);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 20 - passed, .attempts = passed, .syn_sent = passed,
		    .established = passed);
	assert_int_equal(gate_of(fx, &to)->ok, passed);
	policy_of(fx, &to)->ramp_ticks = 0;
	for (int i = 0; i < 10; i++)
		dial_once(&to, 0);
}

/* -------------------------------------------------------------- half-open -- */

/* Connects until the gate refuses; returns how many passed and keeps them. */
static int dial_until_refused(const struct address *to, int *ret_fds, int max)
{
	for (int i = 0; i < max; i++) {
		int r;

		ret_fds[i] = tcp_socket_nonblocking(to->sa.sa_family);
		r = dial(ret_fds[i], to);
		if (r == -ECONNREFUSED) {
			hang_up(&ret_fds[i]);
			return i;
		}
		assert_int_equal(r, -EINPROGRESS);
	}
	return max;
}

static void end_of_open_admits_exactly_the_probes(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	uint64_t until;
	int fds[8];

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	until = now_ticks() + 400;
	enforce_everywhere(fx, &policy, ebb_word(7, EBB_STATE_OPEN, until));
	dial_once(&to, -ECONNREFUSED);
	assert_true(now_ticks() < until);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1);
	wait_for(now_ticks() >= until);
	/* nothing moves before somebody asks */
	assert_int_equal(gate_of(fx, &to)->pull, 0);
	assert_int_equal(dial_until_refused(&to, fds, 8), 3);
	assert_int_equal(gate_of(fx, &to)->pull, ebb_word(8, EBB_STATE_HALF_OPEN, 0));
	assert_int_equal(probes_held(gate_of(fx, &to)), 3);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1, .denied[EBB_CAUSE_HALF_OPEN] = 1, .attempts = 3,
		    .syn_sent = 3);
	/* a cancelled probe gives its slot back, without a result */
	hang_up(&fds[1]);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1, .denied[EBB_CAUSE_HALF_OPEN] = 1, .attempts = 3,
		    .syn_sent = 3, .cancelled = 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 2);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	assert_int_equal(dial_until_refused(&to, &fds[3], 5), 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 3);
}

static void results_of_probes_are_counted(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int listener = listen_at("127.0.0.1", &to);

	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 1, 0));
	hang_up(&listener);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 1, .refused = 1);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 1, 1));
	/* probes do not count in the facts of the closed state */
	assert_int_equal(gate_of(fx, &to)->ok, 0);
	assert_int_equal(gate_of(fx, &to)->failed, 0);
	/* with an agent it is the agent that moves on */
	assert_int_equal(gate_of(fx, &to)->pull, 0);
}

/* The slot is free once the probe has its result, long before the connection ends. */
static void established_probe_frees_its_slot(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fds[5];

	(void)listen_at("127.0.0.1", &to);
	policy.probes = 1;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	for (int i = 0; i < 5; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], &to), 0);
	}
	expect_pair(fx, &to, .attempts = 5, .syn_sent = 5, .established = 5, .active = 5);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 5, 0));
}

static void slow_probe_failed(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	policy.slow_ns = 1;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 0, 1));
}

static void probe_lease_that_ran_out_is_a_failure(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	uint64_t deadline;
	struct address to;
	int held, fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	policy.probes = 1;
	policy.probe_lease_ticks = 20;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	held = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(held, &to), -EINPROGRESS);
	deadline = ebb_probe_slot_deadline(gate_of(fx, &to)->probes[0]);
	wait_for(now_ticks() >= deadline);
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 0, 1));
	/* its late end neither counts again nor frees the slot of the other */
	hang_up(&held);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .cancelled = 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	assert_int_equal(gate_of(fx, &to)->probe_result, ebb_probe_result_word(2, 0, 1));
}

static int connect_for_ever(void *argument)
{
	int fd = tcp_socket(AF_INET);

	return dial(fd, argument) == 0 ? 0 : 1;
}

static void probe_of_a_killed_process_gives_its_slot_back(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	pid_t child;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	child = spawn(connect_for_ever, &to);
	wait_for(pair_slot_of(fx, &to) > 0 && pair_of(fx, &to)->syn_sent == 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	wait_for(probes_held(gate_of(fx, &to)) == 0);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
}

static void probe_without_a_route_gives_its_slot_back(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = address("10.9.9.9", 443);
	int fd;

	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ENETUNREACH);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	/* no hook runs before the socket is used again or closed */
	assert_int_equal(dial(fd, &to), -ENETUNREACH);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	hang_up(&fd);
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	expect_pair(fx, &to, .attempts = 2);
}

/* ---------------------------------------------------------- without an agent -- */

static void without_an_agent_the_kernel_closes_after_enough_successes(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	agent_absent(fx, 3 * SECOND_NS, HOUR_NS);
	dial_once(&to, 0);
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->pull, 0);
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->pull, ebb_word(3, EBB_STATE_CLOSED, 0));
	assert_int_equal(gate_of(fx, &to)->ok, 1);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 3, .established = 3);
}

static void without_an_agent_the_kernel_opens_again_after_enough_failures(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	uint64_t before, pull;

	(void)closed_port_at("127.0.0.1", &to);
	policy.arm = ebb_arm(5, 1000);
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	agent_absent(fx, 3 * SECOND_NS, HOUR_NS);
	dial_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .refused = 2);
	before = now_ticks();
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .refused = 2, .denied[EBB_CAUSE_BREAKER] = 1);
	pull = gate_of(fx, &to)->pull;
	assert_int_equal(ebb_word_gen(pull), 3);
	assert_int_equal(ebb_word_state(pull), EBB_STATE_OPEN);
	assert_in_range(ebb_word_until(pull), before + 1000, now_ticks() + 1001);
}

/* closed, pulled open, half-open, closed: once around with nobody awake. */
static void without_an_agent_the_kernel_goes_once_around(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int port = closed_port_at("127.0.0.1", &to);

	policy.arm = ebb_arm(3, 400);
	enforce_everywhere(fx, &policy, 0);
	agent_absent(fx, 3 * SECOND_NS, HOUR_NS);
	for (int i = 0; i < 3; i++)
		dial_once(&to, -ECONNREFUSED);
	assert_int_equal(ebb_word_state(word_of(fx, &to)), EBB_STATE_OPEN);
	assert_int_equal(ebb_word_gen(word_of(fx, &to)), 1);
	assert_int_equal(listen(port, 8), 0);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 3, .refused = 3, .denied[EBB_CAUSE_BREAKER] = 1);
	wait_for(now_ticks() >= ebb_word_until(word_of(fx, &to)));
	for (int i = 0; i < 3; i++)
		dial_once(&to, 0);
	assert_int_equal(word_of(fx, &to), ebb_word(3, EBB_STATE_CLOSED, 0));
	expect_pair(fx, &to, .attempts = 6, .syn_sent = 6, .refused = 3, .established = 3,
		    .denied[EBB_CAUSE_BREAKER] = 1);
}

/* ---------------------------------------------------------- the armed run -- */

static void armed_run_pulls_at_the_nth_failure_in_a_row(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	uint64_t before, pull;

	(void)closed_port_at("127.0.0.1", &to);
	policy.arm = ebb_arm(5, 2000);
	enforce_everywhere(fx, &policy, 0);
	for (int i = 1; i < 5; i++) {
		dial_once(&to, -ECONNREFUSED);
		assert_int_equal(ebb_run_failures(gate_of(fx, &to)->run, 0), i);
		assert_int_equal(gate_of(fx, &to)->pull, 0);
	}
	before = now_ticks();
	dial_once(&to, -ECONNREFUSED);
	pull = gate_of(fx, &to)->pull;
	assert_int_equal(ebb_word_gen(pull), 1);
	assert_int_equal(ebb_word_state(pull), EBB_STATE_OPEN);
	assert_in_range(ebb_word_until(pull), before + 2000, now_ticks() + 2001);
	assert_int_equal(gate_of(fx, &to)->failed, 5);
	/* not one more slips through */
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 5, .syn_sent = 5, .refused = 5, .denied[EBB_CAUSE_BREAKER] = 1);
}

static void success_resets_the_run(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int listener, port = closed_port_at("127.0.0.1", &to);

	policy.arm = ebb_arm(3, 2000);
	enforce_everywhere(fx, &policy, 0);
	dial_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	listener = port;
	assert_int_equal(listen(listener, 8), 0);
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->run, 0);
	hang_up(&listener);
	dial_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(gate_of(fx, &to)->pull, 0);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(ebb_word_state(gate_of(fx, &to)->pull), EBB_STATE_OPEN);
}

static void outcome_that_does_not_count_moves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)closed_port_at("127.0.0.1", &to);
	policy.arm = ebb_arm(1, 2000);
	policy.count_mask &= ~(1U << EBB_OUTCOME_REFUSED);
	enforce_everywhere(fx, &policy, 0);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .refused = 1);
	assert_int_equal(gate_of(fx, &to)->failed, 0);
	assert_int_equal(gate_of(fx, &to)->pull, 0);
}

/* The agent's arm is for one gate and comes before the policy's. */
static void arm_of_the_verdict_comes_before_the_policys(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)closed_port_at("127.0.0.1", &to);
	policy.arm = ebb_arm(1, 2000);
	enforce_everywhere(fx, &policy, 0);
	for (uint32_t slot = 0; slot < fx->view->gate_max; slot++)
		fx->view->verdicts[slot].arm = ebb_arm(2, 77);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(gate_of(fx, &to)->pull, 0);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(ebb_word_state(gate_of(fx, &to)->pull), EBB_STATE_OPEN);
	assert_in_range(ebb_word_until(gate_of(fx, &to)->pull), now_ticks(), now_ticks() + 78);
}

static void result_of_an_older_generation_does_not_count(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fds[2], servers[2], listener = listen_at("127.0.0.1", &to);

	policy.arm = ebb_arm(1, 2000);
	enforce_everywhere(fx, &policy, 0);
	/* one of generation 0, without a memory, and one of generation 4, with one */
	for (int i = 0; i < 2; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], &to), 0);
		servers[i] = accept_from(listener);
		verdict_everywhere(fx, ebb_word(4, EBB_STATE_CLOSED, 0));
	}
	assert_int_equal(gate_of(fx, &to)->ok, 2);
	verdict_everywhere(fx, ebb_word(6, EBB_STATE_CLOSED, 0));
	for (int i = 0; i < 2; i++)
		hang_up_hard(&servers[i]);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 2, .reset = 2);
	assert_int_equal(gate_of(fx, &to)->failed, 0);
	assert_int_equal(gate_of(fx, &to)->pull, 0);
}

/* A probe's slot of an earlier generation is taken without a result; its end then changes nothing. */
static void probe_of_an_older_generation_does_not_count(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int old, fd;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	policy.probes = 1;
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	old = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(old, &to), -EINPROGRESS);
	verdict_everywhere(fx, ebb_word(4, EBB_STATE_HALF_OPEN, 0));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	wait_for(syn_retransmits(old) == 1);
	hang_up(&old);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .abandoned = 1);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
}

/* A node gate is one for all workloads; another network's address has it. */
static void node_gate_is_used_for_an_address_of_another_node(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = address(FAR4, 81);

	(void)namespace_far();
	policy.arm = ebb_arm(2, 2000);
	enforce_everywhere(fx, &policy, 0);
	dial_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(pair_of(fx, &to)->gate, dst_slot_of(fx, &to));
	assert_int_equal(ebb_word_state(gate_of(fx, &to)->pull), EBB_STATE_OPEN);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .refused = 2, .denied[EBB_CAUSE_BREAKER] = 1);
}

/* ------------------------------------------------------------- no set_retval -- */

static struct fixture_options without_set_retval = {.no_set_retval = true};

static void fallback_refuses_by_an_address_where_nobody_listens(void **state)
{
	static const struct {
		const char *listens, *dials;
	} addresses[] = {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"127.0.0.1", "::ffff:127.0.0.1"}};
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();

	/* by any errno: the stack has only one */
	policy.errno_code = EBB_ERRNO_HOSTUNREACH;
	policy.limits_errno = policy.errno_code;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct address at, to;
		int fd;

		(void)listen_at(addresses[i].listens, &at);
		to = address(addresses[i].dials, port_of(&at));
		enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
		dial_once(&to, -ECONNREFUSED);
		fd = tcp_socket_nonblocking(to.sa.sa_family);
		assert_int_equal(dial_and_wait(fd, &to), -ECONNREFUSED);
		expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 2);
		/* the socket can still be used, as after any refused connect() */
		assert_int_equal(undial(fd), 0);
		verdict_everywhere(fx, 0);
		assert_int_equal(dial_and_wait(fd, &to), 0);
		hang_up(&fd);
		expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 2, .attempts = 1, .syn_sent = 1,
			    .established = 1);
	}
	assert_int_equal(fx->view->kernel->dst_high, sizeof(addresses) / sizeof(addresses[0]));
	expect_other(fx, .attempts = 0);
}

/* The note of the attempt that passed must not be taken for the one that is refused. */
static void fallback_refusal_of_a_socket_used_again_is_no_attempt(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, 0);
	fd = tcp_socket(AF_INET);
	for (uint32_t i = 1; i <= 3; i++) {
		/* first without a memory, then with one */
		verdict_everywhere(fx, ebb_word(2 * (i - 1), EBB_STATE_CLOSED, 0));
		assert_int_equal(dial(fd, &to), 0);
		assert_int_equal(undial(fd), 0);
		verdict_everywhere(fx, ebb_word(2 * i - 1, EBB_STATE_OPEN, FOR_EVER));
		assert_int_equal(dial(fd, &to), -ECONNREFUSED);
		expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = i, .attempts = i, .syn_sent = i,
			    .established = i);
	}
}

static void fallback_lets_a_socket_bound_to_a_device_through(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd;

	fx->errors_allowed = 1U << EBB_ERR_FALLBACK_DEVICE;
	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	fd = tcp_socket(AF_INET);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(error_count(fx, EBB_ERR_FALLBACK_DEVICE), 1);
	hang_up(&fd);
	/* it passed, as if it were only observed */
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_BREAKER] = 1, .attempts = 1, .syn_sent = 1,
		    .established = 1);
	assert_int_equal(gate_of(fx, &to)->ok, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(open_gate_refuses_with_the_configured_errno),
		bpf_test(observe_lets_through_and_counts_what_it_would_have_done),
		bpf_test(observed_refusal_stays_mute_when_the_gate_closes_meanwhile),
		bpf_test(slot_is_given_back_when_the_connection_ends_before_the_socket),
		bpf_test(observed_limit_counts_and_moves_nothing),
		bpf_test(subflows_of_mptcp_are_refused_and_hold_nothing),
		bpf_test(stale_lease_refuses_nothing),
		bpf_test(agent_that_never_ticked_has_no_lease),
		bpf_test(hold_goes_on_refusing_without_a_lease),
		bpf_test(override_open_refuses_whatever_the_verdict_and_the_lease),
		bpf_test(override_close_answers_for_the_breaker_alone),
		bpf_test(closed_gate_that_ramps_lets_its_share_through),
		bpf_test(end_of_open_admits_exactly_the_probes),
		bpf_test(results_of_probes_are_counted),
		bpf_test(established_probe_frees_its_slot),
		bpf_test(slow_probe_failed),
		bpf_test(probe_lease_that_ran_out_is_a_failure),
		bpf_test(probe_of_a_killed_process_gives_its_slot_back),
		bpf_test(probe_without_a_route_gives_its_slot_back),
		bpf_test(without_an_agent_the_kernel_closes_after_enough_successes),
		bpf_test(without_an_agent_the_kernel_opens_again_after_enough_failures),
		bpf_test(without_an_agent_the_kernel_goes_once_around),
		bpf_test(armed_run_pulls_at_the_nth_failure_in_a_row),
		bpf_test(success_resets_the_run),
		bpf_test(outcome_that_does_not_count_moves_nothing),
		bpf_test(arm_of_the_verdict_comes_before_the_policys),
		bpf_test(result_of_an_older_generation_does_not_count),
		bpf_test(probe_of_an_older_generation_does_not_count),
		bpf_test(node_gate_is_used_for_an_address_of_another_node),
		bpf_test_with(fallback_refuses_by_an_address_where_nobody_listens, &without_set_retval),
		bpf_test_with(fallback_refusal_of_a_socket_used_again_is_no_attempt, &without_set_retval),
		bpf_test_with(fallback_lets_a_socket_bound_to_a_device_through, &without_set_retval),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

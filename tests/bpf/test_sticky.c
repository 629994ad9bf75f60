/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Situations in which breakers are known to go wrong, with real sockets, each by its name. Those that
 * need none are in tests/unit/test_sticky.c; docs/state-machine.md lists where each one is tried.
 */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_FLIGHT 1000

/* As the agent would; far enough away that nothing ends during the test. */
static void open_by_verdict(const struct fixture *fx, const struct address *to)
{
	verdict_of(fx, to)->word =
		ebb_word(1, EBB_STATE_OPEN, now_ticks() + ebb_ns_to_ticks(3600000000000ULL));
}

static uint64_t results_of(const struct fixture *fx, const struct address *to)
{
	const volatile struct ebb_gate *gate = gate_of(fx, to);

	return gate->ok + gate->failed + gate->slow;
}

/* Half of them are established afterwards, the others are given up: none moves it, and none is lost. */
static void a_breaker_that_opens_while_1000_connects_are_in_flight(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	const volatile struct ebb_pair *pair;
	struct address to;
	int fds[IN_FLIGHT], listener, fd;
	uint64_t word;

	policy.arm = ebb_arm(5, (uint32_t)ebb_ns_to_ticks(3600000000000ULL));
	policy.limits.concurrent = 2 * IN_FLIGHT;
	policy.asks = EBB_ASK_CONNECT;
	enforce_everywhere(fx, &policy, 0);
	listener = listen_at("127.0.0.1", &to);
	assert_int_equal(listen(listener, 2 * IN_FLIGHT), 0);
	drop_syn(port_of(&to));
	for (int i = 0; i < IN_FLIGHT; i++) {
		fds[i] = tcp_socket_nonblocking(AF_INET);
		assert_int_equal(dial(fds[i], &to), -EINPROGRESS);
	}
	assert_int_equal(gate_of(fx, &to)->in_use, IN_FLIGHT);
	open_by_verdict(fx, &to);
	word = word_of(fx, &to);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	/* an abandoned connect is a failure, and five of them would open a closed gate */
	for (int i = 0; i < IN_FLIGHT; i += 2)
		hang_up(&fds[i]);
	pair = pair_of(fx, &to);
	wait_for(pair->outcomes[EBB_OUTCOME_CANCELLED] + pair->outcomes[EBB_OUTCOME_ABANDONED] ==
		 IN_FLIGHT / 2);
	shell("nft delete table inet hole");
	/* by their next retransmission */
	for (int accepted = 0; accepted < IN_FLIGHT / 2; accepted++) {
		int peer = accept_from(listener);

		hang_up(&peer);
	}
	wait_for(pair->outcomes[EBB_OUTCOME_ESTABLISHED] == IN_FLIGHT / 2);
	for (int i = 1; i < IN_FLIGHT; i += 2)
		hang_up(&fds[i]);
	wait_for(gate_of(fx, &to)->in_use == 0 && pair->active == 0);
	assert_int_equal(results_of(fx, &to), 0);
	assert_true(word_of(fx, &to) == word);
	assert_int_equal(pair->denied[EBB_CAUSE_BREAKER], 1);
}

static int connect_and_wait(void *argument)
{
	const struct address *to = argument;
	int fd = tcp_socket(AF_INET);

	(void)dial(fd, to);
	(void)pause();
	return 0;
}

/* Its slot is the next one's at once, and nothing is counted: nobody knows what would have become of it. */
static void a_probe_whose_process_is_killed(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	pid_t child;
	int fd;

	policy.probes = 1;
	enforce_everywhere(fx, &policy, 0);
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	verdict_of(fx, &to)->word = ebb_word(2, EBB_STATE_HALF_OPEN, 0);
	child = spawn(connect_and_wait, &to);
	wait_for(probes_held(gate_of(fx, &to)) == 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(reap(child), -SIGKILL);
	wait_for(probes_held(gate_of(fx, &to)) == 0);
	assert_int_equal(ebb_probe_failed(gate_of(fx, &to)->probe_result, 2), 0);
	assert_int_equal(ebb_probe_succeeded(gate_of(fx, &to)->probe_result, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(a_breaker_that_opens_while_1000_connects_are_in_flight),
		bpf_test(a_probe_whose_process_is_killed),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node fuse at the gate, with real sockets: what it refuses, what it lets through, and for how long. */
#include "fixture.h"

#include "bpf/gate.h"

#define FOR_EVER EBB_UNTIL_MASK

static void dial_once(const struct address *to, int expected)
{
	int fd = tcp_socket(to->sa.sa_family);

	assert_int_equal(dial(fd, to), expected);
	hang_up(&fd);
}

static struct ebb_policy enforcing(void)
{
	struct ebb_policy policy = policy_default();

	policy.mode = EBB_MODE_ENFORCE;
	return policy;
}

static void release_lets_through_what_the_breaker_refuses(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	dial_once(&to, -ECONNREFUSED);
	fx->view->agent->fuse = EBB_FUSE_RELEASE;
	dial_once(&to, 0);
	/* mute: what it would have been refused moves nothing */
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &to)->ok, 0);
	fx->view->agent->fuse = EBB_FUSE_ALERT;
	dial_once(&to, -ECONNREFUSED);
}

static void shed_refuses_the_healthy_with_the_errno_of_the_breaker(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to, to6;

	(void)listen_at("127.0.0.1", &to);
	(void)listen_at("::1", &to6);
	policy.errno_code = EBB_ERRNO_HOSTUNREACH;
	enforce_everywhere(fx, &policy, 0);
	dial_once(&to, 0);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	/* the first connection to a destination, and one that this processor remembers */
	dial_once(&to, -EHOSTUNREACH);
	dial_once(&to6, -EHOSTUNREACH);
	expect_pair(fx, &to, .denied[EBB_CAUSE_FUSE] = 1, .attempts = 1, .syn_sent = 1, .established = 1);
	expect_pair(fx, &to6, .denied[EBB_CAUSE_FUSE] = 1);
	fx->view->agent->fuse = EBB_FUSE_OFF;
	dial_once(&to, 0);
	dial_once(&to6, 0);
}

static void shed_lets_the_exempt_through(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, 0);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	dial_once(&to, -ECONNREFUSED);
	policy_of(fx, &to)->fuse_exempt = 1;
	dial_once(&to, 0);
	expect_pair(fx, &to, .denied[EBB_CAUSE_FUSE] = 1, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &to)->ok, 1);
}

static void shed_lets_exactly_the_probes_through(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;
	int fds[4];

	(void)closed_port_at("127.0.0.1", &to);
	policy.probes = 2;
	enforce_everywhere(fx, &policy, ebb_word(1, EBB_STATE_HALF_OPEN, 0));
	drop_syn(port_of(&to));
	fx->view->agent->fuse = EBB_FUSE_SHED;
	for (int i = 0; i < 4; i++) {
		fds[i] = tcp_socket_nonblocking(AF_INET);
		assert_int_equal(dial(fds[i], &to), i < 2 ? -EINPROGRESS : -ECONNREFUSED);
	}
	assert_int_equal(probes_held(gate_of(fx, &to)), 2);
	assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_FUSE], 2);
	for (int i = 0; i < 4; i++)
		hang_up(&fds[i]);
}

static void shed_refuses_udp(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;
	int fd = udp_socket(AF_INET);

	(void)udp_bound_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, 0);
	assert_int_equal(udp_send_to(fd, &to), 0);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	assert_int_equal(udp_send_to(fd, &to), -ECONNREFUSED);
	assert_int_equal(dial(fd, &to), -ECONNREFUSED);
	expect_pair(fx, &to, .sent_packets = 1, .denied[EBB_CAUSE_FUSE] = 2);
	policy_of(fx, &to)->fuse_exempt = 1;
	assert_int_equal(udp_send_to(fd, &to), 0);
	fx->view->agent->fuse = EBB_FUSE_RELEASE;
	verdict_of(fx, &to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
	assert_int_equal(udp_send_to(fd, &to), 0);
	expect_pair(fx, &to, .sent_packets = 3, .denied[EBB_CAUSE_FUSE] = 2);
	hang_up(&fd);
}

static void observe_counts_what_shed_would_have_refused(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	dial_once(&to, 0);
	expect_pair(fx, &to, .would_deny[EBB_CAUSE_FUSE] = 1, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(gate_of(fx, &to)->ok, 0);
}

static void fuse_is_over_with_the_lease_whatever_is_held(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	policy.on_agent_loss = EBB_LOSS_HOLD;
	enforce_everywhere(fx, &policy, 0);
	fx->view->agent->fuse = EBB_FUSE_SHED;
	dial_once(&to, -ECONNREFUSED);
	agent_absent(fx, 31000000000ULL, 30000000000ULL);
	dial_once(&to, 0);
	fx->view->agent->fuse = EBB_FUSE_RELEASE;
	verdict_of(fx, &to)->word = ebb_word(1, EBB_STATE_OPEN, FOR_EVER);
	dial_once(&to, -ECONNREFUSED);
	expect_pair(fx, &to, .denied[EBB_CAUSE_FUSE] = 1, .denied[EBB_CAUSE_BREAKER] = 1, .attempts = 1,
		    .syn_sent = 1, .established = 1);
}

/* What the fuse takes for activity, since no result tells of it. */
static void who_is_refused_is_noted_but_not_who_an_operator_refuses(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = enforcing();
	struct address to;
	uint64_t before;

	(void)listen_at("127.0.0.1", &to);
	enforce_everywhere(fx, &policy, 0);
	dial_once(&to, 0);
	assert_int_equal(gate_of(fx, &to)->asked_ns, 0);
	policy_of(fx, &to)->override_state = EBB_OVERRIDE_OPEN;
	dial_once(&to, -ECONNREFUSED);
	assert_int_equal(gate_of(fx, &to)->asked_ns, 0);
	policy_of(fx, &to)->override_state = EBB_OVERRIDE_AUTO;
	fx->view->agent->fuse = EBB_FUSE_SHED;
	before = now_ns();
	dial_once(&to, -ECONNREFUSED);
	assert_true(gate_of(fx, &to)->asked_ns >= before && gate_of(fx, &to)->asked_ns <= now_ns());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(release_lets_through_what_the_breaker_refuses),
		bpf_test(shed_refuses_the_healthy_with_the_errno_of_the_breaker),
		bpf_test(shed_lets_the_exempt_through),
		bpf_test(shed_lets_exactly_the_probes_through),
		bpf_test(shed_refuses_udp),
		bpf_test(observe_counts_what_shed_would_have_refused),
		bpf_test(fuse_is_over_with_the_lease_whatever_is_held),
		bpf_test(who_is_refused_is_noted_but_not_who_an_operator_refuses),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit on connections begun: exact under parallel connects, refused with the
 * configured errno, counted apart from the breaker. Time is either 1/h, at which nothing
 * comes back during a test, or what the test writes into the bucket.
 */
#include "crowd.h"
#include "fixture.h"

#include <unistd.h>

#include "core/limit.h"

#define SECOND_NS 1000000000ULL
#define HOUR_NS	  (3600 * SECOND_NS)
#define MS_NS	  1000000ULL
#define FOR_EVER  EBB_UNTIL_MASK

static struct ebb_policy policy_limited(uint64_t per_hour, uint64_t burst)
{
	struct ebb_policy policy = policy_default();

	assert_int_equal(ebb_limit_make(per_hour, burst, &policy.limits.bucket[EBB_LIMIT_CONNECTS]), 0);
	return policy;
}

static void enforce(struct fixture *fx, struct ebb_policy policy, uint64_t word)
{
	policy.mode = EBB_MODE_ENFORCE;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, word);
}

static volatile __u64 *bucket_of(const struct fixture *fx, const struct address *to)
{
	return &gate_of(fx, to)->full_ns[EBB_LIMIT_CONNECTS];
}

static int dial_once(const struct address *to)
{
	int fd = tcp_socket(to->sa.sa_family);
	int r = dial(fd, to);

	hang_up(&fd);
	return r;
}

/* ------------------------------------------------------------------ errno -- */

/* 20/s, 40 at once: the first 40 pass however long they take; what they cost stands in the bucket. */
static void burst_passes_and_the_rest_gets_the_configured_errno(void **state)
{
	static const struct {
		enum ebb_errno code;
		int err;
	} codes[] = {{EBB_ERRNO_CONNREFUSED, -ECONNREFUSED},
		     {EBB_ERRNO_HOSTUNREACH, -EHOSTUNREACH},
		     {EBB_ERRNO_TIMEDOUT, -ETIMEDOUT},
		     {EBB_ERRNO_PERM, -EPERM}};
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	struct ebb_policy policy = policy_limited(20 * 3600, 40);
	struct fixture *fx = *state;

	for (size_t a = 0; a < sizeof(addresses) / sizeof(addresses[0]); a++) {
		for (size_t c = 0; c < EBB_ERRNO_MAX; c++) {
			uint64_t before, after;
			socklen_t length = sizeof(int);
			int fd, err = -1;
			struct address to;

			(void)listen_at(addresses[a], &to);
			policy.errno_code = codes[c].code;
			policy.limits_errno = policy.errno_code;
			enforce(fx, policy, 0);
			before = now_ns();
			assert_int_equal(dial_once(&to), 0);
			after = now_ns();
			for (int i = 1; i < 40; i++)
				assert_int_equal(dial_once(&to), 0);
			assert_in_range(*bucket_of(fx, &to), before + 2 * SECOND_NS, after + 2 * SECOND_NS);

			/* seconds from the next token */
			*bucket_of(fx, &to) = now_ns() + 7 * SECOND_NS;
			assert_int_equal(dial_once(&to), codes[c].err);
			fd = tcp_socket_nonblocking(to.sa.sa_family);
			assert_int_equal(dial(fd, &to), codes[c].err);
			assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length), 0);
			assert_int_equal(err, 0);
			expect_pair(fx, &to, .attempts = 40, .syn_sent = 40, .established = 40,
				    .denied[EBB_CAUSE_RATE] = 2);
			/* the destination did nothing, and the socket can still be used */
			assert_int_equal(gate_of(fx, &to)->failed, 0);
			*bucket_of(fx, &to) = 0;
			assert_int_equal(dial_and_wait(fd, &to), 0);
			hang_up(&fd);
		}
	}
}

static struct fixture_options without_set_retval = {.no_set_retval = true};

static void fallback_refuses_too(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy_limited(1, 1), 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .denied[EBB_CAUSE_RATE] = 1);
}

/* ------------------------------------------------------------------- time -- */

static void token_comes_back_after_its_time(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy_limited(1, 3), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	/* an hour, less a minute; an hour; two */
	*bucket_of(fx, &to) -= HOUR_NS - 60 * SECOND_NS;
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	*bucket_of(fx, &to) -= 60 * SECOND_NS;
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	*bucket_of(fx, &to) -= 2 * HOUR_NS;
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	/* a day brings no more than the burst */
	*bucket_of(fx, &to) -= 24 * HOUR_NS;
	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
}

/* With the real clock: whoever always asks gets burst + rate x time, not more, and hardly less. */
static void rate_holds_with_the_real_clock(void **state)
{
	struct fixture *fx = *state;
	uint64_t start, passed = 0, took;
	struct address to;

	(void)closed_port_at("127.0.0.1", &to);
	enforce(fx, policy_limited(1000 * 3600, 500), 0);
	start = now_ns();
	do {
		int r = dial_once(&to);

		assert_int_equal(r, -ECONNREFUSED);
		took = now_ns() - start;
	} while (took < SECOND_NS / 2);
	passed = pair_of(fx, &to)->attempts;
	assert_true(passed <= 500 + took / MS_NS);
	assert_true(passed >= (500 + took / MS_NS) * 9 / 10);
	assert_true(pair_of(fx, &to)->denied[EBB_CAUSE_RATE] > 0);
}

static void limit_that_is_raised_soon_admits(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy_limited(1, 2), 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	enforce(fx, policy_limited(100 * 3600, 10), 0);
	wait_for(dial_once(&to) == 0);
}

static void limit_by_hand_takes_the_place_of_the_configured_one(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_limited(1, 1);
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy, 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	/* none by hand */
	policy.by_hand.given = 1U << EBB_LIMIT_CONNECTS;
	enforce(fx, policy, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(dial_once(&to), 0);
	/* its time is over */
	policy.by_hand_until_ns = now_ns();
	enforce(fx, policy, 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	/* another one */
	policy.by_hand_until_ns = 0;
	assert_int_equal(ebb_limit_make(1, 3, &policy.by_hand.bucket[EBB_LIMIT_CONNECTS]), 0);
	enforce(fx, policy, 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
}

static void stale_lease_limits_nothing_unless_told_to_hold(void **state)
{
	struct ebb_policy policy = policy_limited(1, 1);
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy, 0);
	agent_absent(fx, 31 * SECOND_NS, 30 * SECOND_NS);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dial_once(&to), 0);
	assert_int_equal(*bucket_of(fx, &to), 0);
	policy.on_agent_loss = EBB_LOSS_HOLD;
	enforce(fx, policy, 0);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
}

/* -------------------------------------------------------- with other rules -- */

static void breaker_is_asked_first_and_takes_no_token(void **state)
{
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	enforce(fx, policy_limited(1, 1), ebb_word(1, EBB_STATE_OPEN, FOR_EVER));
	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(*bucket_of(fx, &to), 0);
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_CLOSED, 0));
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .denied[EBB_CAUSE_BREAKER] = 3,
		    .denied[EBB_CAUSE_RATE] = 1);
}

/* What is let through although it is too much holds nothing, and says nothing about the destination. */
static void observed_limit_counts_and_takes_what_it_would_have_taken(void **state)
{
	struct ebb_policy policy = policy_limited(1, 2);
	struct fixture *fx = *state;
	struct address to;
	uint64_t word;
	int fds[5];

	(void)listen_at("127.0.0.1", &to);
	policy.limits.concurrent = 5;
	policy_everywhere(fx, &policy);
	for (int i = 0; i < 5; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], &to), 0);
		if (i == 1)
			word = *bucket_of(fx, &to);
	}
	expect_pair(fx, &to, .attempts = 5, .syn_sent = 5, .established = 5, .active = 5,
		    .would_deny[EBB_CAUSE_RATE] = 3);
	assert_int_equal(*bucket_of(fx, &to), word);
	assert_int_equal(gate_of(fx, &to)->in_use, 2);
	assert_int_equal(gate_of(fx, &to)->ok, 2);
	hang_up(&fds[4]);
	assert_int_equal(gate_of(fx, &to)->in_use, 2);
	hang_up(&fds[0]);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	/* a token is not given back when its connection ends */
	assert_int_equal(*bucket_of(fx, &to), word);
}

static void attempt_that_fails_has_used_its_token(void **state)
{
	struct fixture *fx = *state;
	struct address to = address("10.9.9.9", 443), closed;

	(void)closed_port_at("127.0.0.1", &closed);
	enforce(fx, policy_limited(1, 1), 0);
	assert_int_equal(dial_once(&to), -ENETUNREACH);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(dial_once(&closed), -ECONNREFUSED);
	assert_int_equal(dial_once(&closed), -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 1, .denied[EBB_CAUSE_RATE] = 1);
	expect_pair(fx, &closed, .attempts = 1, .syn_sent = 1, .refused = 1, .denied[EBB_CAUSE_RATE] = 1);
}

/* --------------------------------------------------------------- at once -- */

static void crowd_gets_exactly_the_burst(void **state)
{
	static const uint32_t bursts[] = {1, 2, 7, 31, 63};
	static struct crowd crowd;
	struct fixture *fx = *state;
	uint32_t passed = 0, rounds = 0;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	crowd_gather(&crowd, &to);
	for (size_t b = 0; b < sizeof(bursts) / sizeof(bursts[0]); b++) {
		struct ebb_policy policy = policy_limited(1, bursts[b]);

		policy.errno_code = EBB_ERRNO_PERM;
		policy.limits_errno = policy.errno_code;
		enforce(fx, policy, 0);
		for (int i = 0; i < 4; i++) {
			if (rounds > 0)
				*bucket_of(fx, &to) = 0;
			assert_int_equal(crowd_dial(&crowd, -EPERM), bursts[b]);
			crowd_hang_up(&crowd);
			assert_int_equal(crowd_dial(&crowd, -EPERM), 0);
			crowd_hang_up(&crowd);
			passed += bursts[b];
			rounds += 2;
		}
	}
	crowd_dismiss(&crowd);
	assert_int_equal(pair_of(fx, &to)->attempts, passed);
	assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_RATE], rounds * CONNECTORS - passed);
}

/* Whichever of the two is the narrower; the other is not used up for it. */
static void crowd_gets_exactly_the_narrower_of_rate_and_cap(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct ebb_policy policy;
	struct address to;
	uint64_t before;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	crowd_gather(&crowd, &to);

	policy = policy_limited(1, 40);
	policy.errno_code = EBB_ERRNO_PERM;
	policy.limits_errno = policy.errno_code;
	policy.limits.concurrent = 10;
	enforce(fx, policy, 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(crowd_dial(&crowd, -EPERM), 10);
		assert_int_equal(gate_of(fx, &to)->in_use, 10);
		assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_CONCURRENCY], i * (CONNECTORS - 10));
		crowd_hang_up(&crowd);
		assert_int_equal(gate_of(fx, &to)->in_use, 0);
	}
	/* the last ten tokens: now whoever comes late finds neither */
	assert_int_equal(crowd_dial(&crowd, -EPERM), 10);
	crowd_hang_up(&crowd);
	before = pair_of(fx, &to)->denied[EBB_CAUSE_CONCURRENCY];
	assert_int_equal(before + pair_of(fx, &to)->denied[EBB_CAUSE_RATE], 4 * (CONNECTORS - 10));
	assert_int_equal(crowd_dial(&crowd, -EPERM), 0);
	crowd_hang_up(&crowd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_CONCURRENCY], before);

	/* as many slots as connectors: none is refused for a slot that another one held in vain */
	policy = policy_limited(1, 5);
	policy.errno_code = EBB_ERRNO_PERM;
	policy.limits_errno = policy.errno_code;
	policy.limits.concurrent = CONNECTORS;
	enforce(fx, policy, 0);
	*bucket_of(fx, &to) = 0;
	assert_int_equal(crowd_dial(&crowd, -EPERM), 5);
	assert_int_equal(gate_of(fx, &to)->in_use, 5);
	crowd_hang_up(&crowd);
	assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_CONCURRENCY], before);
	crowd_dismiss(&crowd);
}

/* A probe that finds no token gives its probe slot back at once, and its concurrency slot. */
static void probe_without_a_token_holds_nothing(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_limited(1, 2);
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	policy.errno_code = EBB_ERRNO_PERM;
	policy.limits_errno = policy.errno_code;
	policy.probes = 8;
	policy.limits.concurrent = 8;
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= 10; round++) {
		enforce(fx, policy, ebb_word(2 * round, EBB_STATE_HALF_OPEN, 0));
		if (round > 1)
			*bucket_of(fx, &to) = 0;
		assert_int_equal(crowd_dial(&crowd, -EPERM), 2);
		assert_int_equal(probes_held(gate_of(fx, &to)), 2);
		assert_int_equal(gate_of(fx, &to)->in_use, 2);
		crowd_hang_up(&crowd);
		assert_int_equal(probes_held(gate_of(fx, &to)), 0);
		assert_int_equal(gate_of(fx, &to)->in_use, 0);
		assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	}
	crowd_dismiss(&crowd);
	assert_true(pair_of(fx, &to)->denied[EBB_CAUSE_RATE] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(burst_passes_and_the_rest_gets_the_configured_errno),
		bpf_test(token_comes_back_after_its_time),
		bpf_test(rate_holds_with_the_real_clock),
		bpf_test(limit_that_is_raised_soon_admits),
		bpf_test(limit_by_hand_takes_the_place_of_the_configured_one),
		bpf_test(stale_lease_limits_nothing_unless_told_to_hold),
		bpf_test(breaker_is_asked_first_and_takes_no_token),
		bpf_test(observed_limit_counts_and_takes_what_it_would_have_taken),
		bpf_test(attempt_that_fails_has_used_its_token),
		bpf_test(crowd_gets_exactly_the_burst),
		bpf_test(crowd_gets_exactly_the_narrower_of_rate_and_cap),
		bpf_test(probe_without_a_token_holds_nothing),
		bpf_test_with(fallback_refuses_too, &without_set_retval),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

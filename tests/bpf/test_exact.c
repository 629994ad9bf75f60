/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe and concurrency slots are exact under 64 connectors that start at once,
 * also where they are killed or have no route.
 */
#include "crowd.h"
#include "fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 20

static void enforce(struct fixture *fx, uint32_t probes, uint32_t concurrent, uint64_t word)
{
	struct ebb_policy policy = policy_default();

	policy.mode = EBB_MODE_ENFORCE;
	policy.errno_code = EBB_ERRNO_PERM;
	policy.limits_errno = policy.errno_code;
	policy.probes = probes;
	policy.limits.concurrent = concurrent;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, word);
}

/* ----------------------------------------------------------------- probes -- */

static void half_open_gate_admits_exactly_its_probes(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint32_t probes = 1 + round % EBB_PROBES_MAX;

		enforce(fx, probes, 0, ebb_word(2 * round, EBB_STATE_HALF_OPEN, 0));
		assert_int_equal(crowd_dial(&crowd, -EPERM), probes);
		assert_int_equal(probes_held(gate_of(fx, &to)), probes);
		crowd_hang_up(&crowd);
		assert_int_equal(probes_held(gate_of(fx, &to)), 0);
		assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	}
	crowd_dismiss(&crowd);
	assert_int_equal(pair_of(fx, &to)->attempts + pair_of(fx, &to)->denied[EBB_CAUSE_HALF_OPEN],
			 ROUNDS * CONNECTORS);
}

/* The one move from open to half-open is made once, whoever comes first. */
static void end_of_open_is_one_move_for_all(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		enforce(fx, 3, 0, ebb_word(10 * round, EBB_STATE_OPEN, now_ticks()));
		assert_int_equal(crowd_dial(&crowd, -EPERM), 3);
		assert_int_equal(gate_of(fx, &to)->pull, ebb_word(10 * round + 1, EBB_STATE_HALF_OPEN, 0));
		crowd_hang_up(&crowd);
	}
	crowd_dismiss(&crowd);
}

static void probes_without_a_route_are_exact_and_come_back(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to = address("10.9.9.9", 443);

	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		enforce(fx, 3, 0, ebb_word(2 * round, EBB_STATE_HALF_OPEN, 0));
		assert_int_equal(crowd_dial(&crowd, -EPERM), 3);
		crowd_hang_up(&crowd);
		assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	}
	crowd_dismiss(&crowd);
}

/* ------------------------------------------------------------ concurrency -- */

static void concurrency_limit_holds_exactly(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	enforce(fx, 3, 8, 0);
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		assert_int_equal(crowd_dial(&crowd, -EPERM), 8);
		assert_int_equal(gate_of(fx, &to)->in_use, 8);
		crowd_hang_up(&crowd);
		assert_int_equal(gate_of(fx, &to)->in_use, 0);
	}
	crowd_dismiss(&crowd);
	assert_int_equal(pair_of(fx, &to)->attempts, 8 * ROUNDS);
	assert_int_equal(pair_of(fx, &to)->denied[EBB_CAUSE_CONCURRENCY], (CONNECTORS - 8) * ROUNDS);
}

static void concurrency_slots_without_a_route_come_back(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to = address("10.9.9.9", 443);

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	enforce(fx, 3, 8, 0);
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		assert_int_equal(crowd_dial(&crowd, -EPERM), 8);
		assert_int_equal(gate_of(fx, &to)->in_use, 8);
		crowd_hang_up(&crowd);
		assert_int_equal(gate_of(fx, &to)->in_use, 0);
	}
	crowd_dismiss(&crowd);
}

/* A probe that finds no concurrency slot gives its probe slot back at once. */
static void probe_that_the_limit_refuses_holds_nothing(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		enforce(fx, 8, 2, ebb_word(2 * round, EBB_STATE_HALF_OPEN, 0));
		assert_int_equal(crowd_dial(&crowd, -EPERM), 2);
		assert_int_equal(gate_of(fx, &to)->in_use, 2);
		assert_int_equal(probes_held(gate_of(fx, &to)), 2);
		crowd_hang_up(&crowd);
		assert_int_equal(gate_of(fx, &to)->in_use, 0);
		assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	}
	crowd_dismiss(&crowd);
}

/* ------------------------------------------------------------- tight loops -- */

#define GRABBERS 4
#define GRABS	 50000

/* Threads that do nothing but take slots and give them back: no route, so it is one system call each. */
struct grab {
	struct address to;
	int limit;
	int inside;
	int most;
	int taken;
	int failed;
};

static void *grab_again_and_again(void *argument)
{
	struct grab *grab = argument;

	for (int i = 0; i < GRABS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int r = fd < 0 ? -errno : dial(fd, &grab->to);

		/* the slot is held from before the one to after the other */
		if (r == -ENETUNREACH) {
			int inside = __atomic_add_fetch(&grab->inside, 1, __ATOMIC_SEQ_CST);

			if (inside > grab->limit)
				__atomic_store_n(&grab->most, inside, __ATOMIC_SEQ_CST);
			(void)__atomic_add_fetch(&grab->taken, 1, __ATOMIC_SEQ_CST);
			(void)__atomic_sub_fetch(&grab->inside, 1, __ATOMIC_SEQ_CST);
		} else if (r != -EPERM) {
			(void)__atomic_add_fetch(&grab->failed, 1, __ATOMIC_SEQ_CST);
		}
		if (fd >= 0)
			(void)close(fd);
	}
	return NULL;
}

static void grab_all(struct grab *grab, int limit)
{
	pthread_t threads[GRABBERS];

	*grab = (struct grab){.to = address("10.9.9.9", 443), .limit = limit};
	for (int i = 0; i < GRABBERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, grab_again_and_again, grab), 0);
	for (int i = 0; i < GRABBERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(grab->failed, 0);
	assert_int_equal(grab->most, 0);
	assert_true(grab->taken > GRABS / 2);
}

static void probe_slots_are_exact_in_a_tight_loop(void **state)
{
	struct fixture *fx = *state;
	struct grab grab;

	enforce(fx, 1, 0, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	grab_all(&grab, 1);
	assert_int_equal(pair_of(fx, &grab.to)->attempts, grab.taken);
	assert_int_equal(pair_of(fx, &grab.to)->denied[EBB_CAUSE_HALF_OPEN], GRABBERS * GRABS - grab.taken);
	assert_int_equal(probes_held(gate_of(fx, &grab.to)), 0);
	assert_int_equal(gate_of(fx, &grab.to)->probe_result, 0);
}

static void concurrency_slots_are_exact_in_a_tight_loop(void **state)
{
	struct fixture *fx = *state;
	struct grab grab;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	enforce(fx, 3, 1, 0);
	grab_all(&grab, 1);
	assert_int_equal(pair_of(fx, &grab.to)->attempts, grab.taken);
	assert_int_equal(pair_of(fx, &grab.to)->denied[EBB_CAUSE_CONCURRENCY], GRABBERS * GRABS - grab.taken);
	assert_int_equal(gate_of(fx, &grab.to)->in_use, 0);
}

/* -------------------------------------------------------------- processes -- */

static int dial_in_a_loop(void *argument)
{
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0)
			return 1;
		(void)dial(fd, argument);
		(void)close(fd);
	}
}

/* However they die, in the middle of connect() or of close(), no slot stays with them. */
static void slots_of_killed_processes_come_back(void **state)
{
	struct fixture *fx = *state;
	pid_t children[CONNECTORS];
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	enforce(fx, 3, 2, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < CONNECTORS; i++)
			children[i] = spawn(dial_in_a_loop, &to);
		wait_for(pair_slot_of(fx, &to) > 0 &&
			 pair_of(fx, &to)->attempts > (uint64_t)round * CONNECTORS * 4);
		for (int i = 0; i < CONNECTORS; i++)
			assert_int_equal(kill(children[i], SIGKILL), 0);
		for (int i = 0; i < CONNECTORS; i++)
			assert_int_equal(reap(children[i]), -SIGKILL);
		wait_for(gate_of(fx, &to)->in_use == 0);
		wait_for(probes_held(gate_of(fx, &to)) == 0);
	}
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
}

static int dial_and_stay(void *argument)
{
	int fd = tcp_socket(AF_INET);

	(void)dial(fd, argument);
	(void)pause();
	return 0;
}

static void killed_holders_of_slots_make_room_for_as_many(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;
	pid_t children[8];

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)listen_at("127.0.0.1", &to);
	enforce(fx, 3, 8, 0);
	for (int i = 0; i < 8; i++)
		children[i] = spawn(dial_and_stay, &to);
	wait_for(pair_slot_of(fx, &to) > 0 && pair_of(fx, &to)->active == 8);
	crowd_gather(&crowd, &to);
	assert_int_equal(crowd_dial(&crowd, -EPERM), 0);
	crowd_hang_up(&crowd);
	for (int i = 0; i < 8; i++)
		assert_int_equal(kill(children[i], SIGKILL), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(reap(children[i]), -SIGKILL);
	wait_for(gate_of(fx, &to)->in_use == 0);
	assert_int_equal(crowd_dial(&crowd, -EPERM), 8);
	crowd_hang_up(&crowd);
	crowd_dismiss(&crowd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
}

/* -------------------------------------------------------------- the counts -- */

/* No result is lost where 64 fail at once, and the run pulls exactly at its end. */
static void failures_at_once_are_all_counted(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)closed_port_at("127.0.0.1", &to);
	crowd_gather(&crowd, &to);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		(void)crowd_dial(&crowd, 1);
		crowd_hang_up(&crowd);
		expect_pair(fx, &to, .attempts = round * CONNECTORS, .syn_sent = round * CONNECTORS,
			    .refused = round * CONNECTORS);
		assert_int_equal(gate_of(fx, &to)->failed, round * CONNECTORS);
		assert_int_equal(ebb_run_failures(gate_of(fx, &to)->run, 0), round * CONNECTORS);
	}
	crowd_dismiss(&crowd);
}

/* Whoever starts after the Nth failure is refused: those in flight at the pull are all that pass. */
static void pull_happens_once_and_at_the_nth_failure(void **state)
{
	static struct crowd crowd;
	struct fixture *fx = *state;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	(void)closed_port_at("127.0.0.1", &to);
	crowd_gather(&crowd, &to);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t gen = 2 * round;

		enforce(fx, 3, 0, ebb_word(gen, EBB_STATE_CLOSED, 0));
		for (uint32_t slot = 0; slot < fx->view->gate_max; slot++)
			fx->view->verdicts[slot].arm = ebb_arm(5, 1000000);
		(void)crowd_dial(&crowd, -EPERM);
		crowd_hang_up(&crowd);
		assert_int_equal(ebb_word_gen(word_of(fx, &to)), gen + 1);
		assert_int_equal(ebb_word_state(word_of(fx, &to)), EBB_STATE_OPEN);
		assert_in_range(ebb_run_failures(gate_of(fx, &to)->run, gen), 5, CONNECTORS);
		assert_int_equal(crowd_dial(&crowd, -EPERM), 0);
		crowd_hang_up(&crowd);
	}
	crowd_dismiss(&crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(half_open_gate_admits_exactly_its_probes),
		bpf_test(end_of_open_is_one_move_for_all),
		bpf_test(probes_without_a_route_are_exact_and_come_back),
		bpf_test(concurrency_limit_holds_exactly),
		bpf_test(concurrency_slots_without_a_route_come_back),
		bpf_test(probe_that_the_limit_refuses_holds_nothing),
		bpf_test(probe_slots_are_exact_in_a_tight_loop),
		bpf_test(concurrency_slots_are_exact_in_a_tight_loop),
		bpf_test(slots_of_killed_processes_come_back),
		bpf_test(killed_holders_of_slots_make_room_for_as_many),
		bpf_test(failures_at_once_are_all_counted),
		bpf_test(pull_happens_once_and_at_the_nth_failure),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two workloads that share the gate of a destination, and one of them put apart: what the programs obey.
 * The agent's part is written by hand, its judgement is in tests/unit/test_apart.c.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_TICKS 1000000

/* Cgroups below the fixture's: each is a workload of its own. */
enum room {
	ROOM_ONE,
	ROOM_TWO,
	ROOM_MAX,
};

static const char *const room_names[ROOM_MAX] = {"one", "two"};

static void room_path(const struct fixture *fx, enum room room, const char *file, char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "%s/%s%s", fx->cgroup, room_names[room], file);
}

static int rooms_up(void **state)
{
	char path[FIXTURE_PATH_MAX + 16];

	assert_int_equal(fixture_up(state), 0);
	for (int room = 0; room < ROOM_MAX; room++) {
		room_path(*state, (enum room)room, "", path, sizeof(path));
		assert_int_equal(mkdir(path, 0755), 0);
	}
	return 0;
}

static int rooms_down(void **state)
{
	const struct fixture *fx = *state;
	char path[FIXTURE_PATH_MAX + 16];

	fixture_leave(fx);
	for (int room = 0; room < ROOM_MAX; room++) {
		room_path(fx, (enum room)room, "", path, sizeof(path));
		(void)rmdir(path);
	}
	return fixture_down(state);
}

#define room_test(function) cmocka_unit_test_setup_teardown(function, rooms_up, rooms_down)

/* What is opened from now on belongs to the workload. */
static void enter(const struct fixture *fx, enum room room)
{
	char path[FIXTURE_PATH_MAX + 32];

	room_path(fx, room, "/cgroup.procs", path, sizeof(path));
	write_file(path, "0");
}

static uint32_t pair_in(const struct fixture *fx, enum room room, const struct address *to)
{
	char path[FIXTURE_PATH_MAX + 16];
	int dst = dst_slot_of(fx, to);
	struct stat st;

	room_path(fx, room, "", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	for (uint32_t slot = 1; dst > 0 && slot < fx->view->pair_max; slot++) {
		const struct ebb_pair *pair = &fx->view->pairs[slot];

		if (pair->state == EBB_SLOT_LIVE && pair->workload == st.st_ino && pair->dst == (uint32_t)dst)
			return slot;
	}
	fail_msg("no pair of '%s'", room_names[room]);
	return 0;
}

static int dial_once(const struct address *to)
{
	int fd = tcp_socket(to->sa.sa_family), r = dial(fd, to);

	hang_up(&fd);
	return r;
}

/* Both have reached it, and have their pairs. */
struct shared {
	struct address to;
	int listener;
	struct ebb_gate *gate;
	struct ebb_gate *own; /* of ROOM_ONE */
	struct ebb_pair *one;
	struct ebb_pair *two;
	uint32_t own_slot;
};

static struct shared share(struct fixture *fx, uint32_t failures)
{
	struct ebb_policy policy = policy_default();
	struct shared s;

	s.listener = listen_far(&s.to);
	policy.arm = ebb_arm(failures, LONG_TICKS);
	policy.errno_code = EBB_ERRNO_HOSTUNREACH;
	enforce_everywhere(fx, &policy, 0);
	for (int room = 0; room < ROOM_MAX; room++) {
		enter(fx, (enum room)room);
		assert_int_equal(dial_once(&s.to), 0);
	}
	s.one = &fx->view->pairs[pair_in(fx, ROOM_ONE, &s.to)];
	s.two = &fx->view->pairs[pair_in(fx, ROOM_TWO, &s.to)];
	s.own_slot = fx->view->dst_max + pair_in(fx, ROOM_ONE, &s.to);
	s.gate = &fx->view->gates[dst_slot_of(fx, &s.to)];
	s.own = &fx->view->gates[s.own_slot];
	assert_int_equal(s.one->gate, dst_slot_of(fx, &s.to));
	return s;
}

/* As the agent does it: its own gate, in the state of @word. */
static void put_apart(struct fixture *fx, const struct shared *s, uint64_t word)
{
	fx->view->verdicts[s->own_slot].word = word;
	__atomic_store_n(&s->one->gate, s->own_slot, __ATOMIC_SEQ_CST);
}

static void rejoin(const struct shared *s)
{
	__atomic_store_n(&s->one->gate, s->two->gate, __ATOMIC_SEQ_CST);
}

static uint32_t state_of(const struct fixture *fx, uint32_t slot)
{
	return ebb_word_state(ebb_word_in_force(fx->view->verdicts[slot].word, fx->view->gates[slot].pull));
}

/* ------------------------------------------------------------------- whose -- */

static void failures_of_one_do_not_pull_what_served_another_and_those_of_two_do(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 3);

	hang_up(&s.listener);
	enter(fx, ROOM_ONE);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dial_once(&s.to), -ECONNREFUSED);
	assert_int_equal(ebb_run_failures(s.gate->run, 0), 5);
	assert_int_equal(s.gate->pull, 0);
	assert_int_equal(s.one->result_ok, 1);
	assert_int_equal(s.one->result_failed, 5);
	enter(fx, ROOM_TWO);
	assert_int_equal(dial_once(&s.to), -ECONNREFUSED);
	assert_int_equal(ebb_word_state(s.gate->pull), EBB_STATE_OPEN);
	assert_int_equal(s.two->result_failed, 1);
	assert_int_equal(dial_once(&s.to), -EHOSTUNREACH);
}

/* -------------------------------------------------------------------- apart -- */

static void one_that_is_apart_is_refused_alone(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 3);

	put_apart(fx, &s, ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK));
	enter(fx, ROOM_ONE);
	assert_int_equal(dial_once(&s.to), -EHOSTUNREACH);
	assert_int_equal(s.one->denied[EBB_CAUSE_BREAKER], 1);
	enter(fx, ROOM_TWO);
	assert_int_equal(dial_once(&s.to), 0);
	rejoin(&s);
	enter(fx, ROOM_ONE);
	assert_int_equal(dial_once(&s.to), 0);
}

static void results_of_one_that_is_apart_move_its_own_gate_alone(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 2);
	uint64_t ok = s.gate->ok;

	put_apart(fx, &s, ebb_word(4, EBB_STATE_CLOSED, 0));
	enter(fx, ROOM_ONE);
	assert_int_equal(dial_once(&s.to), 0);
	assert_int_equal(s.own->ok, 1);
	hang_up(&s.listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(dial_once(&s.to), -ECONNREFUSED);
	/* the kernel pulls that one as any other */
	assert_int_equal(s.own->failed, 2);
	assert_int_equal(state_of(fx, s.own_slot), EBB_STATE_OPEN);
	assert_int_equal(dial_once(&s.to), -EHOSTUNREACH);
	assert_int_equal(s.gate->failed, 0);
	assert_int_equal(s.gate->ok, ok);
	enter(fx, ROOM_TWO);
	assert_int_equal(dial_once(&s.to), -ECONNREFUSED);
	assert_int_equal(s.gate->failed, 1);
}

static void one_that_is_apart_probes_its_own_gate(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 2);

	put_apart(fx, &s, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	enter(fx, ROOM_ONE);
	assert_int_equal(dial_once(&s.to), 0);
	assert_int_equal(ebb_probe_succeeded(s.own->probe_result, 2), 1);
	assert_int_equal(probes_held(s.own), 0);
	assert_int_equal(s.gate->probe_result, 0);
	assert_int_equal((uint32_t)s.own->succeeded, ebb_run_who(s.own_slot - fx->view->dst_max));
}

static void limits_stay_with_the_destination(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 2);
	struct ebb_policy policy = fx->view->policies[s.two->gate];
	int fd;

	policy.limits.concurrent = 1;
	policy.asks |= EBB_ASK_CONNECT;
	policy_everywhere(fx, &policy);
	put_apart(fx, &s, ebb_word(2, EBB_STATE_CLOSED, 0));
	enter(fx, ROOM_ONE);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &s.to), 0);
	assert_int_equal(s.gate->in_use, 1);
	assert_int_equal(s.own->in_use, 0);
	enter(fx, ROOM_TWO);
	assert_int_not_equal(dial_once(&s.to), 0);
	assert_int_equal(s.two->denied[EBB_CAUSE_CONCURRENCY], 1);
	/* it may be with the others again when it ends */
	rejoin(&s);
	hang_up(&fd);
	wait_for(*(volatile __u64 *)&s.gate->in_use == 0);
	assert_int_equal(s.own->in_use, 0);
}

/* ------------------------------------------------------ begun before or after -- */

/* Established, then lost before any answer: a failure that comes late. */
static void lose(const struct shared *s, int *fd, int accepted)
{
	uint64_t resets = s->one->outcomes[EBB_OUTCOME_RESET];

	hang_up_hard(&accepted);
	wait_for(*(volatile __u64 *)&s->one->outcomes[EBB_OUTCOME_RESET] == resets + 1);
	hang_up(fd);
}

static int connected(const struct shared *s, int *ret_accepted)
{
	int fd = tcp_socket(AF_INET);

	assert_int_equal(dial(fd, &s->to), 0);
	*ret_accepted = accept_from(s->listener);
	return fd;
}

/* Leaves no connection of share() in the queue. */
static void take_all(const struct shared *s, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int fd = accept_from(s->listener);

		hang_up(&fd);
	}
}

static void connection_begun_before_its_workload_was_put_apart_moves_neither_gate(void **state)
{
	/* without a memory; and with one of a generation that its own gate has, too */
	static const uint32_t generations[] = {0, 6};
	struct fixture *fx = *state;
	struct shared s = share(fx, 1);

	take_all(&s, ROOM_MAX);
	enter(fx, ROOM_ONE);
	for (size_t i = 0; i < 2; i++) {
		uint64_t failed = s.gate->failed;
		int accepted, fd;

		rejoin(&s);
		fx->view->verdicts[s.two->gate].word = ebb_word(generations[i], EBB_STATE_CLOSED, 0);
		fd = connected(&s, &accepted);
		put_apart(fx, &s, ebb_word(6, EBB_STATE_CLOSED, 0));
		lose(&s, &fd, accepted);
		assert_int_equal(s.own->failed, 0);
		assert_int_equal(s.gate->failed, failed);
		assert_int_equal(state_of(fx, s.own_slot), EBB_STATE_CLOSED);
		assert_int_equal(state_of(fx, s.two->gate), EBB_STATE_CLOSED);
	}
}

static void connection_begun_apart_moves_nothing_after_its_workload_has_rejoined(void **state)
{
	struct fixture *fx = *state;
	struct shared s = share(fx, 1);
	int accepted, fd;

	take_all(&s, ROOM_MAX);
	fx->view->verdicts[s.two->gate].word = ebb_word(6, EBB_STATE_CLOSED, 0);
	put_apart(fx, &s, ebb_word(6, EBB_STATE_CLOSED, 0));
	enter(fx, ROOM_ONE);
	fd = connected(&s, &accepted);
	rejoin(&s);
	lose(&s, &fd, accepted);
	assert_int_equal(s.own->failed, 0);
	assert_int_equal(s.gate->failed, 0);
	/* the next one does */
	fd = connected(&s, &accepted);
	lose(&s, &fd, accepted);
	assert_int_equal(s.gate->failed, 1);
}

static void probe_goes_back_to_the_gate_where_it_was_taken(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = address("10.9.9.9", 443);
	uint32_t dst, own;
	struct ebb_pair *pair;
	int first, second;

	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	enter(fx, ROOM_ONE);
	/* without a route it is held until it is closed */
	first = tcp_socket(AF_INET);
	assert_int_equal(dial(first, &to), -ENETUNREACH);
	dst = (uint32_t)dst_slot_of(fx, &to);
	pair = &fx->view->pairs[pair_in(fx, ROOM_ONE, &to)];
	own = fx->view->dst_max + pair_in(fx, ROOM_ONE, &to);
	assert_int_equal(probes_held(&fx->view->gates[dst]), 1);
	__atomic_store_n(&pair->gate, own, __ATOMIC_SEQ_CST);
	second = tcp_socket(AF_INET);
	assert_int_equal(dial(second, &to), -ENETUNREACH);
	assert_int_equal(probes_held(&fx->view->gates[own]), 1);
	hang_up(&first);
	assert_int_equal(probes_held(&fx->view->gates[dst]), 0);
	assert_int_equal(probes_held(&fx->view->gates[own]), 1);
	__atomic_store_n(&pair->gate, dst, __ATOMIC_SEQ_CST);
	hang_up(&second);
	assert_int_equal(probes_held(&fx->view->gates[own]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(failures_of_one_do_not_pull_what_served_another_and_those_of_two_do),
		room_test(one_that_is_apart_is_refused_alone),
		room_test(results_of_one_that_is_apart_move_its_own_gate_alone),
		room_test(one_that_is_apart_probes_its_own_gate),
		room_test(limits_stay_with_the_destination),
		room_test(connection_begun_before_its_workload_was_put_apart_moves_neither_gate),
		room_test(connection_begun_apart_moves_nothing_after_its_workload_has_rejoined),
		room_test(probe_goes_back_to_the_gate_where_it_was_taken),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

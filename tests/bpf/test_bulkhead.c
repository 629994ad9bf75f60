/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bulkhead (concurrent) in long runs: never over the cap, and nobody refused below
 * it. What the kernel says (the gate's in_use, watched all the time) and what the
 * callers see (how many of them hold an open connection) are both held against the cap.
 */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define CALLERS_MAX 32

struct run {
	struct address to;
	int listener;
	int cap;
	int calls; /* of each caller */
	const volatile __u64 *in_use;
	bool stop;
	int open; /* atomic, like all below: connections that callers hold */
	int most_open;
	uint64_t most_in_use;
	uint64_t looks;
	int passed;
	int refused;
	int failed;
};

static void raise_to(int *high, int value)
{
	int old = __atomic_load_n(high, __ATOMIC_SEQ_CST);

	while (old < value &&
	       !__atomic_compare_exchange_n(high, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* Closes with a RST: no port stays behind in TIME_WAIT. */
static void close_hard(int fd)
{
	struct linger linger = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)close(fd);
}

/* The slot is held from before connect() returns until close() does. */
static void *call_again_and_again(void *argument)
{
	struct run *run = argument;

	for (int i = 0; i < run->calls; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int r = fd < 0 ? -errno : dial(fd, &run->to);

		if (r == 0) {
			raise_to(&run->most_open, __atomic_add_fetch(&run->open, 1, __ATOMIC_SEQ_CST));
			(void)__atomic_add_fetch(&run->passed, 1, __ATOMIC_SEQ_CST);
			/* others come while it is open */
			(void)sched_yield();
			(void)__atomic_sub_fetch(&run->open, 1, __ATOMIC_SEQ_CST);
		} else {
			(void)__atomic_add_fetch(r == -EPERM ? &run->refused : &run->failed, 1,
						 __ATOMIC_SEQ_CST);
			/* to one that holds a slot */
			if (i % 8 == 0)
				(void)sched_yield();
		}
		if (fd >= 0)
			close_hard(fd);
	}
	return NULL;
}

static void *accept_all(void *argument)
{
	struct run *run = argument;

	for (;;) {
		int fd = accept4(run->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return NULL; /* shut down */
		(void)close(fd);
	}
}

static void *watch(void *argument)
{
	struct run *run = argument;

	while (!__atomic_load_n(&run->stop, __ATOMIC_SEQ_CST)) {
		for (int i = 0; i < 1000; i++) {
			uint64_t in_use = *run->in_use;

			if (in_use > run->most_in_use)
				run->most_in_use = in_use;
		}
		run->looks += 1000;
		(void)sched_yield();
	}
	return NULL;
}

static void start(struct fixture *fx, struct run *run, int cap)
{
	struct ebb_policy policy = policy_default();
	int fd = tcp_socket(AF_INET);

	fx->errors_allowed = 1U << EBB_ERR_CAS_EXHAUSTED;
	*run = (struct run){.cap = cap};
	run->listener = listen_at("127.0.0.1", &run->to);
	assert_int_equal(listen(run->listener, 4096), 0);
	/* not limited yet: so the gate is there */
	assert_int_equal(dial(fd, &run->to), 0);
	hang_up(&fd);
	run->in_use = &gate_of(fx, &run->to)->in_use;
	policy.mode = EBB_MODE_ENFORCE;
	policy.errno_code = EBB_ERRNO_PERM;
	policy.limits_errno = policy.errno_code;
	policy.limits.concurrent = (uint32_t)cap;
	policy_everywhere(fx, &policy);
}

static void call(struct run *run, int callers, int calls)
{
	pthread_t threads[CALLERS_MAX], acceptor, watcher;

	run->calls = calls;
	assert_int_equal(pthread_create(&acceptor, NULL, accept_all, run), 0);
	assert_int_equal(pthread_create(&watcher, NULL, watch, run), 0);
	for (int i = 0; i < callers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_again_and_again, run), 0);
	for (int i = 0; i < callers; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	__atomic_store_n(&run->stop, true, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(watcher, NULL), 0);
	assert_int_equal(shutdown(run->listener, SHUT_RDWR), 0);
	assert_int_equal(pthread_join(acceptor, NULL), 0);
}

static void check(struct fixture *fx, const struct run *run, int calls)
{
	const struct ebb_pair *pair = pair_of(fx, &run->to);

	assert_int_equal(run->failed, 0);
	assert_int_equal(run->passed + run->refused, calls);
	assert_in_range(run->most_open, 1, run->cap);
	assert_true(run->looks > 0);
	/* an add that is undone at once is the one thing that shows, and it is counted */
	if (error_count(fx, EBB_ERR_CAS_EXHAUSTED) == 0)
		assert_in_range(run->most_in_use, 0, run->cap);
	assert_int_equal(*run->in_use, 0);
	assert_int_equal(pair->attempts, run->passed + 1);
	assert_int_equal(pair->denied[EBB_CAUSE_CONCURRENCY], run->refused);
	wait_for(*(const volatile __u64 *)&pair->active == 0);
	assert_int_equal(pair->outcomes[EBB_OUTCOME_ESTABLISHED], run->passed + 1);
}

static void cap_holds_in_100000_connects_of_32_threads(void **state)
{
	struct fixture *fx = *state;
	struct run run;

	start(fx, &run, 8);
	call(&run, 32, 100000 / 32);
	check(fx, &run, 100000);
	/* it was reached, and others were let in again and again */
	assert_int_equal(run.most_open, 8);
	assert_true(run.refused > 1000);
	assert_true(run.passed > 1000);
}

static void nobody_is_refused_while_there_are_no_more_callers_than_slots(void **state)
{
	struct fixture *fx = *state;
	struct run run;

	start(fx, &run, 8);
	call(&run, 8, 2500);
	check(fx, &run, 8 * 2500);
	assert_int_equal(run.refused, 0);
}

static void steps_up_to_the_cap_and_down_again(void **state)
{
	struct fixture *fx = *state;
	struct run run;
	int fds[65];

	start(fx, &run, 64);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 64; i++) {
			fds[i] = tcp_socket(AF_INET);
			assert_int_equal(dial(fds[i], &run.to), 0);
			assert_int_equal(*run.in_use, i + 1);
		}
		fds[64] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[64], &run.to), -EPERM);
		assert_int_equal(*run.in_use, 64);
		/* one goes, one comes: the very socket that was refused */
		hang_up_hard(&fds[round]);
		assert_int_equal(*run.in_use, 63);
		assert_int_equal(dial(fds[64], &run.to), 0);
		fds[round] = fds[64];
		for (int i = 63; i >= 0; i--) {
			hang_up_hard(&fds[i]);
			assert_int_equal(*run.in_use, i);
		}
		/* of those that are over, none waits to be accepted */
		for (int i = 0; i < 65; i++) {
			int fd = accept_from(run.listener);

			hang_up(&fd);
		}
	}
}

/* Lowered below what is open: nobody is let in until enough are gone; raised: at once. */
static void cap_that_changes_holds_from_then_on(void **state)
{
	struct fixture *fx = *state;
	struct run run;
	int fds[9];

	start(fx, &run, 8);
	for (int i = 0; i < 8; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], &run.to), 0);
	}
	fds[8] = tcp_socket(AF_INET);
	policy_of(fx, &run.to)->limits.concurrent = 4;
	for (int i = 7; i >= 4; i--) {
		assert_int_equal(dial(fds[8], &run.to), -EPERM);
		hang_up(&fds[i]);
	}
	assert_int_equal(*run.in_use, 4);
	assert_int_equal(dial(fds[8], &run.to), -EPERM);
	policy_of(fx, &run.to)->limits.concurrent = 5;
	assert_int_equal(dial(fds[8], &run.to), 0);
	assert_int_equal(*run.in_use, 5);
	/* no cap at all: those that hold a slot still give it back */
	policy_of(fx, &run.to)->limits.concurrent = 0;
	policy_of(fx, &run.to)->asks = 0;
	fds[7] = tcp_socket(AF_INET);
	assert_int_equal(dial(fds[7], &run.to), 0);
	assert_int_equal(*run.in_use, 5);
	hang_up(&fds[8]);
	hang_up(&fds[7]);
	for (int i = 0; i < 4; i++)
		hang_up(&fds[i]);
	assert_int_equal(*run.in_use, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(cap_holds_in_100000_connects_of_32_threads),
		bpf_test(nobody_is_refused_while_there_are_no_more_callers_than_slots),
		bpf_test(steps_up_to_the_cap_and_down_again),
		bpf_test(cap_that_changes_holds_from_then_on),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

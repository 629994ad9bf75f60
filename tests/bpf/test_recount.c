/* SPDX-License-Identifier: Apache-2.0 */
/* Gauges that are wrong become right, and those that are right stay, whoever holds the sockets. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/io_uring.h>

#include "agent/recounter.h"
#include "core/limit.h"
#include "kernel/probe.h"

static struct fixture_options walking = {.adopt = true};

static struct ebb_recounter *recounter_of(struct fixture *fx)
{
	struct ebb_recounter *recounter;

	assert_int_equal(ebb_recounter_new(fx->loader, &recounter), 0);
	return recounter;
}

static struct ebb_recounted recount(struct ebb_recounter *recounter, bool whole)
{
	struct ebb_recounted recounted = {0};
	struct ebb_why why = {0};

	if (ebb_recounter_run(recounter, whole, &recounted, &why) < 0)
		fail_msg("%s", why.text);
	return recounted;
}

static void open_some(int fds[], int count, const struct address *to)
{
	for (int i = 0; i < count; i++) {
		fds[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(fds[i], to), 0);
	}
}

static void hang_up_all(int fds[], int count)
{
	for (int i = 0; i < count; i++)
		hang_up(&fds[i]);
}

static void cap(struct fixture *fx, uint32_t concurrent)
{
	struct ebb_policy policy = policy_default();

	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = concurrent;
	policy_everywhere(fx, &policy);
}

static void slots_that_nobody_holds_come_back(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct ebb_gate *gate;
	struct address to;
	int fds[2];

	(void)listen_at("127.0.0.1", &to);
	cap(fx, 5);
	open_some(fds, 2, &to);
	gate = gate_of(fx, &to);
	assert_int_equal(gate->in_use, 2);
	gate->in_use += 3; /* as if three had been lost */
	gate->paced += 1;
	fx->errors_allowed = 1U << EBB_ERR_GAUGE_CORRECTED;
	/* one recount alone is not believed */
	assert_int_equal(recount(recounter, false).gauges, 0);
	assert_int_equal(gate->in_use, 5);
	/* it needs to see no process: whoever holds a slot has a memory */
	assert_int_equal(recount(recounter, false).gauges, 2);
	assert_int_equal(gate->in_use, 2);
	assert_int_equal(gate->paced, 0);
	assert_int_equal(error_count(fx, EBB_ERR_GAUGE_CORRECTED), 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(recount(recounter, true).gauges, 0);
	hang_up_all(fds, 2);
	wait_for(*(volatile __u64 *)&gate->in_use == 0);
	ebb_recounter_free(recounter);
}

/* A connection that comes between two recounts does not hide what is lost, and is not taken for it. */
static void what_comes_and_goes_between_is_not_what_was_lost(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct ebb_gate *gate;
	struct address to;
	int fds[2], more[2];

	(void)listen_at("127.0.0.1", &to);
	cap(fx, 20);
	open_some(fds, 2, &to);
	gate = gate_of(fx, &to);
	gate->in_use += 3;
	fx->errors_allowed = 1U << EBB_ERR_GAUGE_CORRECTED;
	assert_int_equal(recount(recounter, false).gauges, 0);
	open_some(more, 2, &to);
	hang_up(&fds[0]);
	assert_int_equal(recount(recounter, false).down, 3);
	assert_int_equal(gate->in_use, 3);
	hang_up(&fds[1]);
	hang_up_all(more, 2);
	wait_for(*(volatile __u64 *)&gate->in_use == 0);
	ebb_recounter_free(recounter);
}

static void active_connections_that_are_not_there_are_taken_off(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct ebb_pair *pair;
	struct address to;
	int fds[3];

	(void)listen_at("127.0.0.1", &to);
	open_some(fds, 3, &to);
	pair = pair_of(fx, &to);
	pair->active += 2;
	fx->errors_allowed = 1U << EBB_ERR_GAUGE_CORRECTED;
	/* where processes may be hidden, nothing that only files can show makes a gauge smaller */
	for (int i = 0; i < 6; i++)
		assert_int_equal(recount(recounter, false).gauges, 0);
	assert_int_equal(pair->active, 5);
	assert_int_equal(recount(recounter, true).gauges, 0);
	assert_int_equal(recount(recounter, true).gauges, 0);
	assert_int_equal(recount(recounter, true).down, 2);
	assert_int_equal(pair->active, 3);
	hang_up_all(fds, 3);
	wait_for(*(volatile __u64 *)&pair->active == 0);
	ebb_recounter_free(recounter);
}

static void active_connections_that_are_there_are_counted_again(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct ebb_pair *pair;
	struct address to;
	int fds[3];

	(void)listen_at("127.0.0.1", &to);
	open_some(fds, 3, &to);
	pair = pair_of(fx, &to);
	pair->active = 1;
	fx->errors_allowed = 1U << EBB_ERR_GAUGE_CORRECTED;
	assert_int_equal(recount(recounter, false).gauges, 0);
	assert_int_equal(recount(recounter, false).up, 2);
	assert_int_equal(pair->active, 3);
	hang_up_all(fds, 3);
	wait_for(*(volatile __u64 *)&pair->active == 0);
	ebb_recounter_free(recounter);
}

static int wait_for_line(void *argument)
{
	char byte;

	return read(*(const int *)argument, &byte, 1) == 1 ? 0 : 1;
}

/* The same sockets in a second process; with and without a memory; in another network namespace. */
static void sockets_are_counted_once_whoever_has_them(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct address to, far;
	int fds[4], here, there, line[2], with_memory;
	pid_t child;

	(void)listen_at("127.0.0.1", &to);
	open_some(fds, 3, &to);
	/* a later generation: it has a memory */
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_CLOSED, 0));
	with_memory = tcp_socket(AF_INET);
	assert_int_equal(dial(with_memory, &to), 0);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = namespace_new();
	namespace_enter(there);
	(void)listen_at("127.0.0.1", &far);
	open_some(&fds[3], 1, &far);
	namespace_enter(here);
	assert_int_equal(pipe(line), 0);
	child = spawn(wait_for_line, &line[0]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(recount(recounter, true).gauges, 0);
	assert_int_equal(pair_of(fx, &to)->active, 4);
	assert_int_equal(write(line[1], "x", 1), 1);
	assert_int_equal(reap(child), 0);
	hang_up_all(fds, 4);
	hang_up(&with_memory);
	(void)close(line[0]);
	(void)close(line[1]);
	(void)close(here);
	(void)close(there);
	ebb_recounter_free(recounter);
}

/* A program that uses io_uring can hold sockets that no table of files shows. */
static void nothing_is_taken_off_while_a_program_can_hide_sockets(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct io_uring_params params = {0};
	struct ebb_pair *pair;
	struct address to;
	int fds[1], status;
	pid_t child;

	(void)listen_at("127.0.0.1", &to);
	open_some(fds, 1, &to);
	pair = pair_of(fx, &to);
	pair->active += 1;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		long ring = syscall(SYS_io_uring_setup, 4, &params);

		/* the ring makes the task one that uses io_uring; it waits to be ended */
		if (ring < 0)
			_exit(77);
		(void)pause();
		_exit(0);
	}
	wait_for(recount(recounter, false).hidden > 0 || waitpid(child, &status, WNOHANG) == child);
	for (int i = 0; i < 4; i++)
		assert_int_equal(recount(recounter, true).gauges, 0);
	assert_int_equal(pair->active, 2);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	pair->active -= 1;
	hang_up_all(fds, 1);
	ebb_recounter_free(recounter);
}

/* What connects and disconnects all the time is left for a quieter moment; nothing goes wrong meanwhile. */
static void recounts_beside_traffic_change_nothing_that_is_right(void **state)
{
	struct fixture *fx = *state;
	struct ebb_recounter *recounter = recounter_of(fx);
	struct address to;
	int fds[20], rounds = 0;

	(void)listen_at("127.0.0.1", &to);
	cap(fx, 100);
	for (; rounds < 4; rounds++) {
		open_some(fds, 20, &to);
		assert_int_equal(recount(recounter, true).gauges, 0);
		for (int i = 0; i < 20; i++)
			hang_up_hard(&fds[i]);
		assert_int_equal(recount(recounter, true).gauges, 0);
	}
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	ebb_recounter_free(recounter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test_with(slots_that_nobody_holds_come_back, &walking),
		bpf_test_with(what_comes_and_goes_between_is_not_what_was_lost, &walking),
		bpf_test_with(active_connections_that_are_not_there_are_taken_off, &walking),
		bpf_test_with(active_connections_that_are_there_are_counted_again, &walking),
		bpf_test_with(sockets_are_counted_once_whoever_has_them, &walking),
		bpf_test_with(nothing_is_taken_off_while_a_program_can_hide_sockets, &walking),
		bpf_test_with(recounts_beside_traffic_change_nothing_that_is_right, &walking),
	};

	if (fixture_unavailable())
		return 0;
	if (ebb_probe_one(EBB_FEATURE_SK_STORAGE_ITER) < 0) {
		puts("1..0 # SKIP this kernel forbids iterators over socket storage");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

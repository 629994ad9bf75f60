/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of excluded, unknown and greedy workloads. */
#include "fixture.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "core/limit.h"
#include "lib/cleanup.h"

#define SECOND_NS 1000000000ULL

/* Cgroups below the fixture's: each is a workload of its own. */
enum room {
	ROOM_PLAIN,
	ROOM_EXCLUDED,
	ROOM_MAX,
};

static const char *const room_names[ROOM_MAX] = {"plain", "excluded"};

static void room_path(const struct fixture *fx, enum room room, char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "%s/%s", fx->cgroup, room_names[room]);
}

static uint64_t room_id(const struct fixture *fx, enum room room)
{
	char path[FIXTURE_PATH_MAX + 16];
	struct stat st;

	room_path(fx, room, path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* What is opened from now on belongs to the workload. */
static void enter(const struct fixture *fx, enum room room)
{
	char path[FIXTURE_PATH_MAX + 32];
	size_t used;

	room_path(fx, room, path, sizeof(path));
	used = strlen(path);
	(void)snprintf(path + used, sizeof(path) - used, "/cgroup.procs");
	write_file(path, "0");
}

static int rooms_up(void **state)
{
	char path[FIXTURE_PATH_MAX + 16];

	assert_int_equal(fixture_up(state), 0);
	for (int room = 0; room < ROOM_MAX; room++) {
		room_path(*state, (enum room)room, path, sizeof(path));
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
		room_path(fx, (enum room)room, path, sizeof(path));
		(void)rmdir(path);
	}
	return fixture_down(state);
}

#define room_test(function) cmocka_unit_test_setup_teardown(function, rooms_up, rooms_down)
#define room_test_with(function, options) \
	cmocka_unit_test_prestate_setup_teardown(function, rooms_up, rooms_down, options)

/* What the agent does when its rules say so. */
static void classify(const struct fixture *fx, uint64_t workload, enum ebb_class class, uint64_t since_ns)
{
	_cleanup_close_ int map = fixture_map(fx, "ebb_wload_v2");
	struct ebb_workload value = {.class = class, .since_ns = since_ns};

	assert_int_equal(bpf_map_update_elem(map, &workload, &value, BPF_ANY), 0);
	__atomic_fetch_add(&fx->view->agent->mapping, 1, __ATOMIC_SEQ_CST);
}

static void rules(const struct fixture *fx, enum ebb_rules rules_of)
{
	fx->view->agent->workload_rules = rules_of;
	__atomic_fetch_add(&fx->view->agent->mapping, 1, __ATOMIC_SEQ_CST);
}

static void exclude(const struct fixture *fx, enum ebb_class class)
{
	classify(fx, room_id(fx, ROOM_PLAIN), EBB_CLASS_GOVERNED, 0);
	classify(fx, room_id(fx, ROOM_EXCLUDED), class, 0);
	rules(fx, EBB_RULES_ALL);
}

/* The fixture's own look-ups are about its own cgroup. */
static struct ebb_pair *pair_in(const struct fixture *fx, enum room room, const struct address *to)
{
	int dst = dst_slot_of(fx, to);
	uint64_t id = room_id(fx, room);

	for (uint32_t slot = 1; dst > 0 && slot < fx->view->pair_max; slot++) {
		struct ebb_pair *pair = &fx->view->pairs[slot];

		if (pair->state == EBB_SLOT_LIVE && pair->workload == id && pair->dst == (uint32_t)dst)
			return pair;
	}
	return NULL;
}

#define expect_room(fx, room, to, ...)                                                                      \
	do {                                                                                                \
		assert_non_null(pair_in(fx, room, to));                                                     \
		expect_pair_at(fx, pair_in(fx, room, to), &(struct want){__VA_ARGS__}, __FILE__, __LINE__); \
	} while (0)

static int dial_once(const struct address *to)
{
	int fd = tcp_socket(to->sa.sa_family), r = dial(fd, to);

	hang_up(&fd);
	return r;
}

static uint64_t open_word(void)
{
	return ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK);
}

/* --------------------------------------------------------------- excluded -- */

static void excluded_is_never_refused_from_its_very_first_connect_on(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, open_word());
	exclude(fx, EBB_CLASS_OBSERVED);
	enter(fx, ROOM_EXCLUDED);
	assert_int_equal(dial_once(&to), 0);
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	enter(fx, ROOM_EXCLUDED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_once(&to), 0);
	/* counted, as it was: no refusal, and none that would have been */
	expect_room(fx, ROOM_EXCLUDED, &to, .attempts = 4, .syn_sent = 4, .established = 4);
	expect_room(fx, ROOM_PLAIN, &to, .denied[EBB_CAUSE_BREAKER] = 1);
}

static void excluded_is_not_refused_by_an_operator_either(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, udp;

	(void)listen_far(&to);
	policy.override_state = EBB_OVERRIDE_OPEN;
	enforce_everywhere(fx, &policy, 0);
	exclude(fx, EBB_CLASS_OBSERVED);
	udp = udp_address(FAR4, 4711);
	enter(fx, ROOM_EXCLUDED);
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(udp_send_to(udp_socket(AF_INET), &udp), 0);
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(udp_send_to(udp_socket(AF_INET), &udp), -ECONNREFUSED);
}

static void results_of_the_excluded_move_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = address(FAR4, 81);
	struct ebb_gate *gate;

	(void)namespace_far();
	policy.arm = ebb_arm(2, 1000000);
	enforce_everywhere(fx, &policy, 0);
	exclude(fx, EBB_CLASS_OBSERVED);
	enter(fx, ROOM_EXCLUDED);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dial_once(&to), -ECONNREFUSED);
	expect_room(fx, ROOM_EXCLUDED, &to, .attempts = 5, .syn_sent = 5, .refused = 5);
	gate = &fx->view->gates[dst_slot_of(fx, &to)];
	assert_int_equal(gate->failed, 0);
	assert_int_equal(gate->run, 0);
	assert_int_equal(gate->pull, 0);
	/* the same of one that is governed opens it */
	enter(fx, ROOM_PLAIN);
	for (int i = 0; i < 2; i++)
		assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(ebb_word_state(gate->pull), EBB_STATE_OPEN);
}

static void excluded_takes_no_slot_and_no_token(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_gate *gate;
	struct address to;
	int held[3], mine;

	(void)listen_far(&to);
	policy.limits.concurrent = 1;
	assert_int_equal(ebb_limit_make(1, 2, &policy.limits.bucket[EBB_LIMIT_CONNECTS]), 0);
	enforce_everywhere(fx, &policy, 0);
	exclude(fx, EBB_CLASS_OBSERVED);
	enter(fx, ROOM_EXCLUDED);
	for (int i = 0; i < 3; i++) {
		held[i] = tcp_socket(AF_INET);
		assert_int_equal(dial(held[i], &to), 0);
	}
	gate = &fx->view->gates[dst_slot_of(fx, &to)];
	assert_int_equal(gate->in_use, 0);
	assert_int_equal(gate->full_ns[EBB_LIMIT_CONNECTS], 0);
	enter(fx, ROOM_PLAIN);
	mine = tcp_socket(AF_INET);
	assert_int_equal(dial(mine, &to), 0);
	assert_int_equal(gate->in_use, 1);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	enter(fx, ROOM_EXCLUDED);
	assert_int_equal(dial_once(&to), 0);
	for (int i = 0; i < 3; i++)
		hang_up(&held[i]);
	assert_int_equal(gate->in_use, 1);
	hang_up(&mine);
	wait_for(*(volatile __u64 *)&gate->in_use == 0);
}

static void excluded_is_no_probe(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;
	int fd;

	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	exclude(fx, EBB_CLASS_OBSERVED);
	enter(fx, ROOM_EXCLUDED);
	for (int i = 0; i < 5; i++)
		assert_int_equal(dial_once(&to), 0);
	assert_int_equal(fx->view->gates[dst_slot_of(fx, &to)].probe_result, 0);
	enter(fx, ROOM_PLAIN);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	wait_for(ebb_probe_succeeded(*(volatile __u64 *)&fx->view->gates[dst_slot_of(fx, &to)].probe_result,
				     2) == 1);
	hang_up(&fd);
}

static void watch_packets(struct fixture *fx)
{
	struct ebb_why why = {0};

	if (ebb_loader_want_packets(fx->loader, true, &why) < 0)
		fail_msg("%s", why.text);
}

/* A limit of one byte an hour: nothing of one that is governed would get through. */
static void packets_of_the_excluded_are_neither_dropped_nor_charged(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, udp;
	int listener, fd, server, datagram;
	static char text[256];

	listener = listen_far(&to);
	udp = udp_address(FAR4, 4711);
	assert_int_equal(ebb_limit_make(1, 1, &policy.limits.bucket[EBB_LIMIT_BYTES]), 0);
	enforce_everywhere(fx, &policy, 0);
	exclude(fx, EBB_CLASS_OBSERVED);
	watch_packets(fx);
	enter(fx, ROOM_EXCLUDED);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	server = accept_from(listener);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 50; i++)
		send_all(fd, text);
	for (int i = 0; i < 50; i++)
		receive_all(server, sizeof(text) - 1);
	datagram = udp_socket(AF_INET);
	for (int i = 0; i < 5; i++)
		assert_int_equal(udp_send_to(datagram, &udp), 0);
	assert_int_equal(fx->view->gates[dst_slot_of(fx, &to)].full_ns[EBB_LIMIT_BYTES], 0);
	assert_int_equal(fx->view->gates[dst_slot_of(fx, &udp)].full_ns[EBB_LIMIT_BYTES], 0);
	assert_int_equal(pair_in(fx, ROOM_EXCLUDED, &udp)->sent_packets, 5);
	enter(fx, ROOM_PLAIN);
	datagram = udp_socket(AF_INET);
	(void)udp_send_to(datagram, &udp);
	assert_int_equal(udp_send_to(datagram, &udp), -EPERM);
	hang_up(&fd);
}

/* ------------------------------------------------------------------ alone -- */

/* What a processor remembers of a route is what the next look-up on it meets. */
static void stay_on_this_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned int)sched_getcpu(), &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void use_all_processors(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void assert_no_trace(const struct fixture *fx)
{
	_cleanup_close_ int found = fixture_map(fx, "ebb_found_v2");
	const struct ebb_view *view = fx->view;
	const struct ebb_pair empty = {.state = EBB_SLOT_LIVE};
	uint64_t key;

	assert_int_equal(view->kernel->dst_high, 0);
	assert_int_equal(view->kernel->pair_high, 0);
	for (uint32_t slot = 1; slot < view->dst_max; slot++)
		assert_int_equal(view->dsts[slot].state, EBB_SLOT_FREE);
	assert_memory_equal(&view->pairs[EBB_SLOT_OTHER], &empty, sizeof(empty));
	for (int e = 0; e < EBB_ERR_MAX; e++)
		assert_int_equal(view->kernel->errors[e], 0);
	assert_int_equal(bpf_map_get_next_key(found, NULL, &key), -ENOENT);
}

static struct fixture_options adopting = {.adopt = true, .shares = true};

static void one_that_is_left_alone_leaves_no_trace(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, closed = address(FAR4, 81), udp = udp_address(FAR4, 4711);
	int fd, datagram;

	(void)listen_far(&to);
	policy.limits.concurrent = 1;
	assert_int_equal(ebb_limit_make(1, 1, &policy.limits.bucket[EBB_LIMIT_BYTES]), 0);
	enforce_everywhere(fx, &policy, open_word());
	exclude(fx, EBB_CLASS_ALONE);
	watch_packets(fx);
	enter(fx, ROOM_EXCLUDED);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	assert_int_equal(dial_once(&closed), -ECONNREFUSED);
	send_all(fd, "hello");
	datagram = udp_socket(AF_INET);
	for (int i = 0; i < 3; i++)
		assert_int_equal(udp_send_to(datagram, &udp), 0);
	assert_int_equal(connect(datagram, &udp.sa, udp.length), 0);
	for (int i = 0; i < 3; i++)
		(void)udp_send(datagram);
	assert_int_equal(adopt_open(fx).connections, 0);
	hang_up(&fd);
	assert_no_trace(fx);
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(fx->view->kernel->dst_high, 1);
}

/* It has a pair from before, which its later connections do not touch. */
static void one_that_is_left_alone_from_now_on_ends_what_was_counted(void **state)
{
	struct fixture *fx = *state;
	struct address to;
	int before, after, listener, server;

	listener = listen_far(&to);
	exclude(fx, EBB_CLASS_GOVERNED);
	enter(fx, ROOM_EXCLUDED);
	before = tcp_socket(AF_INET);
	assert_int_equal(dial(before, &to), 0);
	expect_room(fx, ROOM_EXCLUDED, &to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	server = accept_from(listener);
	stay_on_this_processor();
	classify(fx, room_id(fx, ROOM_EXCLUDED), EBB_CLASS_ALONE, 0);
	/* a callback finds the old connection's pair, and remembers no way to it */
	for (int i = 0; i < 40; i++) {
		send_all(before, "x");
		receive_all(server, 1);
	}
	after = tcp_socket(AF_INET);
	assert_int_equal(dial(after, &to), 0);
	use_all_processors();
	expect_room(fx, ROOM_EXCLUDED, &to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&after);
	hang_up(&before);
	expect_room(fx, ROOM_EXCLUDED, &to, .attempts = 1, .syn_sent = 1, .established = 1);
}

/* ---------------------------------------------------------------- unknown -- */

static struct ebb_workload entry_of(const struct fixture *fx, uint64_t workload)
{
	_cleanup_close_ int map = fixture_map(fx, "ebb_wload_v2");
	struct ebb_workload value = {0};

	assert_int_equal(bpf_map_lookup_elem(map, &workload, &value), 0);
	return value;
}

static uint64_t told; /* the workload that an event named */

static void on_event(void *userdata, const struct ebb_event *event)
{
	(void)userdata;
	if (event->kind == EBB_EVENT_WORKLOAD_NEW)
		told = (uint64_t)event->pair << 32 | event->gate;
}

/* Design, ruling 4: with any namespace or label rule, a pod not yet identified. */
static void ruling_4_a_pod_not_yet_identified_is_let_through_for_ten_seconds(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	uint64_t id = room_id(fx, ROOM_PLAIN), before = now_ns();
	struct ebb_workload entry;
	struct address to;

	fx->errors_allowed = 1U << EBB_ERR_UNCLASSIFIED;
	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, open_word());
	rules(fx, EBB_RULES_ALL);
	told = 0;
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to), 0);
	entry = entry_of(fx, id);
	assert_int_equal(entry.class, EBB_CLASS_UNKNOWN);
	assert_in_range(entry.since_ns, before, now_ns());
	assert_int_equal(error_count(fx, EBB_ERR_UNCLASSIFIED), 1);
	/* the agent hears of it at once */
	assert_true(ebb_loader_events_take(fx->loader, on_event, NULL) > 0);
	assert_int_equal(told, id);
	/* its first connection stays the beginning, whatever it connects to later */
	assert_int_equal(dial_once(&to), 0);
	assert_int_equal(entry_of(fx, id).since_ns, entry.since_ns);
	assert_int_equal(error_count(fx, EBB_ERR_UNCLASSIFIED), 2);
	classify(fx, id, EBB_CLASS_UNKNOWN, now_ns() - 9 * SECOND_NS);
	assert_int_equal(dial_once(&to), 0);
	classify(fx, id, EBB_CLASS_UNKNOWN, now_ns() - EBB_UNKNOWN_NS);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	assert_int_equal(error_count(fx, EBB_ERR_UNCLASSIFIED), 3);
	expect_room(fx, ROOM_PLAIN, &to, .attempts = 3, .syn_sent = 3, .established = 3,
		    .denied[EBB_CAUSE_BREAKER] = 2);
}

/* The ten seconds end by themselves, and no processor remembers that somebody was unknown. */
static void the_end_of_the_ten_seconds_needs_nobody(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to = udp_address(FAR4, 4711);
	int fd;

	fx->errors_allowed = 1U << EBB_ERR_UNCLASSIFIED;
	(void)namespace_far();
	enforce_everywhere(fx, &policy, open_word());
	rules(fx, EBB_RULES_ALL);
	classify(fx, room_id(fx, ROOM_PLAIN), EBB_CLASS_UNKNOWN, now_ns() - EBB_UNKNOWN_NS + SECOND_NS / 2);
	enter(fx, ROOM_PLAIN);
	fd = udp_socket(AF_INET);
	stay_on_this_processor();
	assert_int_equal(udp_send_to(fd, &to), 0);
	wait_for(udp_send_to(fd, &to) == -ECONNREFUSED);
	use_all_processors();
}

static void who_is_not_listed_is_governed_where_the_table_lists_all_exceptions(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, open_word());
	classify(fx, room_id(fx, ROOM_EXCLUDED), EBB_CLASS_OBSERVED, 0);
	rules(fx, EBB_RULES_LISTED);
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
	enter(fx, ROOM_EXCLUDED);
	assert_int_equal(dial_once(&to), 0);
}

static void a_new_class_holds_from_the_next_connection_on(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to;

	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, open_word());
	exclude(fx, EBB_CLASS_OBSERVED);
	enter(fx, ROOM_EXCLUDED);
	for (int i = 0; i < 3; i++) {
		classify(fx, room_id(fx, ROOM_EXCLUDED), EBB_CLASS_OBSERVED, 0);
		assert_int_equal(dial_once(&to), 0);
		classify(fx, room_id(fx, ROOM_EXCLUDED), EBB_CLASS_GOVERNED, 0);
		assert_int_equal(dial_once(&to), -ECONNREFUSED);
	}
	rules(fx, EBB_RULES_NONE);
	classify(fx, room_id(fx, ROOM_EXCLUDED), EBB_CLASS_OBSERVED, 0);
	assert_int_equal(dial_once(&to), -ECONNREFUSED);
}

static void full_table_of_workloads_lets_through_who_is_not_in_it(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct ebb_workload value = {.class = EBB_CLASS_GOVERNED};
	_cleanup_close_ int map = fixture_map(fx, "ebb_wload_v2");
	struct address to;
	uint64_t id = 1ULL << 50;

	fx->errors_allowed = 1U << EBB_ERR_UNCLASSIFIED;
	(void)listen_far(&to);
	enforce_everywhere(fx, &policy, open_word());
	rules(fx, EBB_RULES_ALL);
	while (bpf_map_update_elem(map, &id, &value, BPF_NOEXIST) == 0)
		id++;
	assert_int_equal(id - (1ULL << 50), 16384);
	enter(fx, ROOM_PLAIN);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dial_once(&to), 0);
	assert_int_equal(error_count(fx, EBB_ERR_UNCLASSIFIED), 3);
}

/* ------------------------------------------------------------------ shares -- */

/* A quarter of them is 4. */
static struct fixture_options sixteen = {.destinations = 16, .shares = true};

static uint64_t count_in(const struct fixture *fx, const char *name, uint64_t workload)
{
	_cleanup_close_ int map = fixture_map(fx, name);
	uint64_t count = 0;

	return bpf_map_lookup_elem(map, &workload, &count) == 0 ? count : 0;
}

/* Design, ruling 8: a scanner. */
static void ruling_8_a_scanner_gets_a_quarter_and_the_others_their_own(void **state)
{
	struct fixture *fx = *state;
	uint64_t scanner = room_id(fx, ROOM_PLAIN), one = 1;
	_cleanup_close_ int lost = fixture_map(fx, "ebb_lost_v2");
	struct address to[12];

	fx->errors_allowed = 1U << EBB_ERR_SHARE_FULL;
	for (int i = 0; i < 12; i++)
		(void)listen_at("127.0.0.1", &to[i]);
	enter(fx, ROOM_PLAIN);
	for (int i = 0; i < 8; i++)
		assert_int_equal(dial_once(&to[i]), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(dst_slot_of(fx, &to[i]) > 0, i < 4);
	assert_int_equal(fx->view->dsts[dst_slot_of(fx, &to[0])].finder, scanner);
	assert_int_equal(count_in(fx, "ebb_found_v2", scanner), 4);
	assert_int_equal(error_count(fx, EBB_ERR_SHARE_FULL), 4);
	/* what it holds is its own as before */
	assert_int_equal(dial_once(&to[0]), 0);
	expect_room(fx, ROOM_PLAIN, &to[0], .attempts = 2, .syn_sent = 2, .established = 2);

	/* others find what they meet, and what they found is found for all */
	enter(fx, ROOM_EXCLUDED);
	for (int i = 8; i < 12; i++) {
		assert_int_equal(dial_once(&to[i]), 0);
		expect_room(fx, ROOM_EXCLUDED, &to[i], .attempts = 1, .syn_sent = 1, .established = 1);
	}
	assert_int_equal(error_count(fx, EBB_ERR_SHARE_FULL), 4);
	enter(fx, ROOM_PLAIN);
	assert_int_equal(dial_once(&to[8]), 0);
	expect_room(fx, ROOM_PLAIN, &to[8], .attempts = 1, .syn_sent = 1, .established = 1);

	/* one was taken back: one more */
	assert_int_equal(bpf_map_update_elem(lost, &scanner, &one, BPF_ANY), 0);
	for (int i = 4; i < 8; i++)
		assert_int_equal(dial_once(&to[i]), 0);
	assert_int_equal(dst_slot_of(fx, &to[4]) > 0, 1);
	assert_int_equal(dst_slot_of(fx, &to[5]), -1);
	assert_int_equal(count_in(fx, "ebb_found_v2", scanner), 5);
}

static struct fixture_options sixteen_of_few_endpoints = {.destinations = 16, .endpoints = 2, .shares = true};

/* What could not be given is not counted as held. */
static void destination_that_found_no_room_is_not_of_the_share(void **state)
{
	struct fixture *fx = *state;
	struct address to[8];

	fx->errors_allowed = 1U << EBB_ERR_ENDPOINT_TABLE_FULL;
	for (int i = 0; i < 8; i++) {
		(void)listen_at("127.0.0.1", &to[i]);
		assert_int_equal(dial_once(&to[i]), 0);
	}
	assert_int_equal(count_in(fx, "ebb_found_v2", fx->cgroup_id), 2);
	assert_int_equal(error_count(fx, EBB_ERR_ENDPOINT_TABLE_FULL), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(excluded_is_never_refused_from_its_very_first_connect_on),
		room_test(excluded_is_not_refused_by_an_operator_either),
		room_test(results_of_the_excluded_move_nothing),
		room_test(excluded_takes_no_slot_and_no_token),
		room_test(excluded_is_no_probe),
		room_test(packets_of_the_excluded_are_neither_dropped_nor_charged),
		room_test_with(one_that_is_left_alone_leaves_no_trace, &adopting),
		room_test(one_that_is_left_alone_from_now_on_ends_what_was_counted),
		room_test(ruling_4_a_pod_not_yet_identified_is_let_through_for_ten_seconds),
		room_test(the_end_of_the_ten_seconds_needs_nobody),
		room_test(who_is_not_listed_is_governed_where_the_table_lists_all_exceptions),
		room_test(a_new_class_holds_from_the_next_connection_on),
		room_test(full_table_of_workloads_lets_through_who_is_not_in_it),
		room_test_with(ruling_8_a_scanner_gets_a_quarter_and_the_others_their_own, &sixteen),
		room_test_with(destination_that_found_no_room_is_not_of_the_share, &sixteen_of_few_endpoints),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

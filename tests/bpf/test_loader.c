/* SPDX-License-Identifier: Apache-2.0 */
/* Load, attach, pin, take over, detach: nothing half done, nothing lost, nothing left behind. */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

static struct fixture_options by_hand = {.not_attached = true};

static struct ebb_loader_options options_of(const struct fixture *fx)
{
	return (struct ebb_loader_options){
		.pin_dir = fx->pin_dir,
		.cgroup_fd = fx->cgroup_fd,
		.destinations = 64,
		.pairs = 64,
		.endpoints = 128,
	};
}

/* One line, for a person, that names what it is about. */
static void assert_clear(const struct ebb_why *why, const char *names)
{
	assert_true(strlen(why->text) > 20);
	assert_null(strchr(why->text, '\n'));
	assert_non_null(strstr(why->text, names));
}

static int entries_in(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	int count = 0;

	if (!d)
		return -errno;
	while (readdir(d))
		count++;
	return count - 2;
}

/* Programs at so many hooks. */
#define LINKS 6

static int links_attached(const struct fixture *fx)
{
	struct ebb_link_info links[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(fx->pin_dir, links);
	int attached = 0;

	for (size_t i = 0; i < count; i++)
		attached += links[i].attached && links[i].cgroup_id == fx->cgroup_id;
	return attached;
}

/* What really runs there, whoever attached it. */
static uint32_t programs_at(const struct fixture *fx, enum bpf_attach_type type)
{
	uint32_t ids[64], count = 64;

	assert_int_equal(bpf_prog_query(fx->cgroup_fd, type, 0, NULL, ids, &count), 0);
	return count;
}

static void dial_once(const struct address *to, int expected)
{
	int fd = tcp_socket(to->sa.sa_family);

	assert_int_equal(dial(fd, to), expected);
	hang_up(&fd);
}

/* ------------------------------------------------------------------ alone -- */

static void second_agent_on_the_same_pins_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *second = NULL;
	struct ebb_why why = {0};
	size_t count = 99;
	struct address to;

	assert_int_equal(ebb_loader_open(&options, &second, &why), -EBUSY);
	assert_null(second);
	assert_clear(&why, fx->pin_dir);
	/* detaching under a running agent neither */
	assert_int_equal(ebb_maps_detach(fx->pin_dir, &count, &why), -EBUSY);
	assert_int_equal(count, 99);
	assert_clear(&why, fx->pin_dir);
	/* and the first goes on */
	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(links_attached(fx), LINKS);
}

static void open_without_attach_leaves_no_pin(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;

	assert_int_equal(ebb_loader_open(&options, &loader, NULL), 0);
	assert_false(ebb_loader_took_over(loader));
	assert_true(entries_in(fx->pin_dir) > 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_INET4_CONNECT), 0);
	ebb_loader_free(loader);
	assert_int_equal(entries_in(fx->pin_dir), -ENOENT);
	ebb_loader_free(NULL);
}

static void pins_are_for_root_alone(void **state)
{
	struct fixture *fx = *state;
	struct stat st;

	assert_int_equal(stat(fx->pin_dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(st.st_uid, 0);
}

static void pin_directory_that_is_not_on_bpffs_is_refused_and_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	char dir[] = "/tmp/ebb-test-bpf-XXXXXX";
	char inner[sizeof(dir) + 8];

	assert_non_null(mkdtemp(dir));
	options.pin_dir = dir;
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EINVAL);
	assert_clear(&why, dir);
	/* it was there before us */
	assert_int_equal(entries_in(dir), 0);
	(void)snprintf(inner, sizeof(inner), "%s/made", dir);
	options.pin_dir = inner;
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EINVAL);
	assert_int_equal(entries_in(inner), -ENOENT);
	options.pin_dir = "/nowhere/to/be/found";
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -ENOENT);
	assert_clear(&why, options.pin_dir);
	assert_null(loader);
	assert_int_equal(rmdir(dir), 0);
}

static void directory_that_is_no_cgroup_is_refused_and_leaves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	_cleanup_close_ int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	options.cgroup_fd = tmp;
	assert_int_equal(ebb_loader_open(&options, &loader, NULL), 0);
	assert_true(ebb_loader_attach(loader, &why) < 0);
	assert_clear(&why, "cannot attach");
	ebb_loader_free(loader);
	assert_int_equal(entries_in(fx->pin_dir), -ENOENT);
}

/* A program attached the old way, for itself alone, makes ours fail at the last hook. */
static void attach_that_fails_leaves_no_link(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	_cleanup_close_ int program = -1;

	program = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "ebb_test_alone", "GPL", allow, 2, &load);
	assert_true(program >= 0);
	assert_int_equal(bpf_prog_attach(program, fx->cgroup_fd, BPF_CGROUP_INET4_CONNECT, 0), 0);
	assert_int_equal(ebb_loader_open(&options, &loader, NULL), 0);
	assert_int_equal(ebb_loader_attach(loader, &why), -EPERM);
	assert_clear(&why, "connect4");
	assert_int_equal(links_attached(fx), 0);
	wait_for(programs_at(fx, BPF_CGROUP_SOCK_OPS) == 0);
	wait_for(programs_at(fx, BPF_CGROUP_INET6_CONNECT) == 0);
	wait_for(programs_at(fx, BPF_CGROUP_INET_SOCK_RELEASE) == 0);
	ebb_loader_free(loader);
	assert_int_equal(entries_in(fx->pin_dir), -ENOENT);
	assert_int_equal(bpf_prog_detach2(program, fx->cgroup_fd, BPF_CGROUP_INET4_CONNECT), 0);
}

/* -------------------------------------------------------------- take over -- */

static void programs_go_on_without_the_agent_and_are_taken_over(void **state)
{
	struct fixture *fx = *state;
	struct ebb_link_info before[EBB_LINKS_MAX], after[EBB_LINKS_MAX];
	struct address to;
	int fd;

	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	verdict_of(fx, &to)->word = ebb_word(4, EBB_STATE_CLOSED, 0);
	(void)ebb_maps_links(fx->pin_dir, before);
	fixture_close_loader(fx);
	/* nobody is there, and everything is counted */
	dial_once(&to, 0);
	assert_int_equal(links_attached(fx), LINKS);
	fixture_open_loader(fx);
	assert_true(ebb_loader_took_over(fx->loader));
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 3, .established = 3, .active = 1);
	assert_int_equal(verdict_of(fx, &to)->word, ebb_word(4, EBB_STATE_CLOSED, 0));
	(void)ebb_maps_links(fx->pin_dir, after);
	for (int h = 0; h < LINKS; h++) {
		assert_true(after[h].attached);
		assert_int_not_equal(before[h].program_id, after[h].program_id);
	}
	assert_int_equal(programs_at(fx, BPF_CGROUP_INET4_CONNECT), 1);
	assert_int_equal(programs_at(fx, BPF_CGROUP_SOCK_OPS), 1);
	/* a socket from before ends where it began */
	hang_up(&fd);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 3, .established = 3);
	/* a destination met before keeps its slot, a new one gets another */
	assert_int_equal(dst_slot_of(fx, &to), 1);
	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	assert_true(dst_slot_of(fx, &to) > 1);
}

/* Pins of an ebb that did not know the hook. */
static void hook_that_was_not_there_is_attached_at_a_take_over(void **state)
{
	struct fixture *fx = *state;
	struct address to = udp_address("127.0.0.1", 9);
	char path[FIXTURE_PATH_MAX + 32];
	int fd = udp_socket(AF_INET);

	fixture_close_loader(fx);
	(void)snprintf(path, sizeof(path), "%s/link_sendmsg4", fx->pin_dir);
	assert_int_equal(unlink(path), 0);
	wait_for(programs_at(fx, BPF_CGROUP_UDP4_SENDMSG) == 0);
	fixture_open_loader(fx);
	assert_true(ebb_loader_took_over(fx->loader));
	assert_int_equal(links_attached(fx), LINKS);
	assert_int_equal(udp_send_to(fd, &to), 0);
	expect_pair(fx, &to, .sent_packets = 1);
	hang_up(&fd);
}

static void slots_held_over_a_take_over_come_back(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address to, nowhere = address("10.9.9.9", 443);
	int fd, lost;

	(void)listen_at("127.0.0.1", &to);
	drop_syn(port_of(&to));
	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = 4;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, ebb_word(2, EBB_STATE_HALF_OPEN, 0));
	fd = tcp_socket_nonblocking(AF_INET);
	assert_int_equal(dial(fd, &to), -EINPROGRESS);
	lost = tcp_socket(AF_INET);
	assert_int_equal(dial(lost, &nowhere), -ENETUNREACH);
	fixture_close_loader(fx);
	fixture_open_loader(fx);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(probes_held(gate_of(fx, &nowhere)), 1);
	hang_up(&fd);
	hang_up(&lost);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	assert_int_equal(gate_of(fx, &nowhere)->in_use, 0);
	assert_int_equal(probes_held(gate_of(fx, &nowhere)), 0);
}

struct hammer {
	struct address to;
	int listener;
	bool stop;
	uint64_t dialled;
	uint64_t failed;
};

/* Each connection is also accepted here, so that the queue of the listener never overflows. */
static void *dial_again_and_again(void *argument)
{
	struct hammer *hammer = argument;
	struct linger linger = {.l_onoff = 1};

	while (!__atomic_load_n(&hammer->stop, __ATOMIC_ACQUIRE)) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int served = -1;

		/* no TIME_WAIT: there are more connections than ports */
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
		    dial(fd, &hammer->to) < 0)
			hammer->failed++;
		else
			served = accept4(hammer->listener, NULL, NULL, SOCK_CLOEXEC);
		hammer->dialled++;
		if (fd >= 0)
			(void)close(fd);
		if (served >= 0)
			(void)close(served);
	}
	return NULL;
}

static void take_over_loses_no_connection(void **state)
{
	struct fixture *fx = *state;
	struct hammer hammer = {0};
	struct ebb_pair *have;
	struct address to;
	pthread_t thread;

	hammer.listener = listen_at("127.0.0.1", &to);
	hammer.to = to;
	dial_once(&to, 0);
	(void)accept_from(hammer.listener);
	assert_int_equal(pthread_create(&thread, NULL, dial_again_and_again, &hammer), 0);
	for (int i = 0; i < 10; i++) {
		uint64_t before = pair_of(fx, &to)->attempts;

		wait_for(*(volatile __u64 *)&pair_of(fx, &to)->attempts > before + 20);
		fixture_close_loader(fx);
		fixture_open_loader(fx);
	}
	__atomic_store_n(&hammer.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(hammer.failed, 0);
	assert_true(hammer.dialled > 200);
	have = pair_of(fx, &to);
	wait_for(*(volatile __u64 *)&have->active == 0);
	assert_int_equal(have->attempts, hammer.dialled + 1);
	assert_int_equal(have->syn_sent, hammer.dialled + 1);
	assert_int_equal(have->outcomes[EBB_OUTCOME_ESTABLISHED], hammer.dialled + 1);
}

static void another_capacity_is_refused_and_changes_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	fixture_close_loader(fx);
	options.destinations = 65;
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EPROTO);
	assert_clear(&why, fx->pin_dir);
	options = options_of(fx);
	options.pairs = 63;
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EPROTO);
	assert_clear(&why, fx->pin_dir);
	options = options_of(fx);
	options.endpoints = 129;
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EPROTO);
	assert_clear(&why, fx->pin_dir);
	assert_null(loader);
	assert_int_equal(links_attached(fx), LINKS);
	fixture_open_loader(fx);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
}

static void maps_that_are_not_complete_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	char path[FIXTURE_PATH_MAX + 32];
	size_t count = 0;

	fixture_close_loader(fx);
	(void)snprintf(path, sizeof(path), "%s/ebb_gate_v2", fx->pin_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EPROTO);
	assert_clear(&why, "ebb detach");
	assert_null(loader);
	assert_int_equal(ebb_maps_detach(fx->pin_dir, &count, &why), 0);
	fixture_open_loader(fx);
	assert_false(ebb_loader_took_over(fx->loader));
}

static void map_that_no_table_view_needs_is_refused_when_it_is_missing(void **state)
{
	struct fixture *fx = *state;
	struct ebb_loader_options options = options_of(fx);
	struct ebb_loader *loader = NULL;
	struct ebb_why why = {0};
	char path[FIXTURE_PATH_MAX + 32];

	fixture_close_loader(fx);
	/* an empty table of endpoints beside full tables would give slots to two owners */
	(void)snprintf(path, sizeof(path), "%s/ebb_endpoint_v2", fx->pin_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ebb_loader_open(&options, &loader, &why), -EPROTO);
	assert_clear(&why, "ebb detach");
	assert_null(loader);
}

static void replace_cgroup(struct fixture *fx, bool sockets_live)
{
	struct address to;
	struct stat st;

	if (!sockets_live)
		fixture_leave(fx);
	(void)listen_at("127.0.0.1", &to);
	if (!sockets_live)
		fixture_join(fx);
	dial_once(&to, 0);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	fixture_close_loader(fx);
	fixture_leave(fx);
	(void)close(fx->cgroup_fd);
	wait_for(rmdir(fx->cgroup) == 0);
	/* a socket of the removed cgroup keeps its programs attached */
	if (!sockets_live)
		wait_for(links_attached(fx) == 0);
	assert_int_equal(mkdir(fx->cgroup, 0755), 0);
	fx->cgroup_fd = open(fx->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fx->cgroup_fd >= 0);
	assert_int_equal(fstat(fx->cgroup_fd, &st), 0);
	assert_int_not_equal(fx->cgroup_id, st.st_ino);
	fx->cgroup_id = st.st_ino;
	fixture_join(fx);
	fixture_open_loader(fx);
	assert_true(ebb_loader_took_over(fx->loader));
	assert_int_equal(links_attached(fx), LINKS);
	/* another workload, the same destination */
	dial_once(&to, 0);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(dst_slot_of(fx, &to), 1);
	assert_true(pair_slot_of(fx, &to) > 1);
}

static void removed_cgroup_gets_new_links(void **state)
{
	replace_cgroup(*state, false);
}

static void removed_cgroup_whose_sockets_live_gets_new_links(void **state)
{
	replace_cgroup(*state, true);
}

/* ------------------------------------------------------------------ detach -- */

static void detach_removes_everything_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ebb_maps *maps = NULL;
	struct ebb_why why = {0};
	size_t count = 0;
	struct address to;

	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	fixture_close_loader(fx);
	/* a reader that still has the maps open keeps no program attached */
	assert_int_equal(ebb_maps_open(fx->pin_dir, EBB_MAPS_READ, &maps, &why), 0);
	assert_int_equal(ebb_maps_view(maps)->pairs[1].attempts, 1);
	assert_int_equal(ebb_maps_detach(fx->pin_dir, &count, &why), 0);
	assert_int_equal(count, EBB_PINNED_MAPS + LINKS + 1); /* and the program for commands to attach */
	assert_int_equal(entries_in(fx->pin_dir), -ENOENT);
	assert_int_equal(programs_at(fx, BPF_CGROUP_INET4_CONNECT), 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_INET6_CONNECT), 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_SOCK_OPS), 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_UDP4_SENDMSG), 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_UDP6_SENDMSG), 0);
	assert_int_equal(programs_at(fx, BPF_CGROUP_INET_SOCK_RELEASE), 0);
	dial_once(&to, 0);
	assert_int_equal(ebb_maps_view(maps)->pairs[1].attempts, 1);
	ebb_maps_free(maps);
	assert_int_equal(ebb_maps_detach(fx->pin_dir, &count, &why), -ENOENT);
	assert_clear(&why, fx->pin_dir);
}

static void readers_need_no_agent(void **state)
{
	struct fixture *fx = *state;
	struct ebb_maps *maps = NULL;
	struct ebb_why why = {0};
	struct address to;
	int slot;

	(void)listen_at("127.0.0.1", &to);
	dial_once(&to, 0);
	slot = pair_slot_of(fx, &to);
	fixture_close_loader(fx);
	assert_int_equal(ebb_maps_open(fx->pin_dir, EBB_MAPS_READ, &maps, &why), 0);
	assert_int_equal(ebb_maps_view(maps)->dst_max, 65);
	assert_int_equal(ebb_maps_view(maps)->pairs[slot].attempts, 1);
	assert_true(ebb_maps_bytes(maps) > 64 * (sizeof(struct ebb_dst) + sizeof(struct ebb_pair)));
	ebb_maps_free(maps);
	assert_int_equal(ebb_maps_open("/sys/fs/bpf/ebb-test-bpf-nothing", EBB_MAPS_READ, &maps, &why),
			 -ENOENT);
	assert_clear(&why, "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test(second_agent_on_the_same_pins_is_refused),
		bpf_test_with(open_without_attach_leaves_no_pin, &by_hand),
		bpf_test(pins_are_for_root_alone),
		bpf_test_with(pin_directory_that_is_not_on_bpffs_is_refused_and_left_alone, &by_hand),
		bpf_test_with(directory_that_is_no_cgroup_is_refused_and_leaves_nothing, &by_hand),
		bpf_test_with(attach_that_fails_leaves_no_link, &by_hand),
		bpf_test(programs_go_on_without_the_agent_and_are_taken_over),
		bpf_test(hook_that_was_not_there_is_attached_at_a_take_over),
		bpf_test(slots_held_over_a_take_over_come_back),
		bpf_test(take_over_loses_no_connection),
		bpf_test(another_capacity_is_refused_and_changes_nothing),
		bpf_test(maps_that_are_not_complete_are_refused),
		bpf_test(map_that_no_table_view_needs_is_refused_when_it_is_missing),
		bpf_test(removed_cgroup_gets_new_links),
		bpf_test(removed_cgroup_whose_sockets_live_gets_new_links),
		bpf_test(detach_removes_everything_at_once),
		bpf_test(readers_need_no_agent),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

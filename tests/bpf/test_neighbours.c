/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs at the same hooks: what connect decided keeps its pair, whatever
 * they do to the address, the answer or the socket's callbacks.
 */
#include "fixture.h"

#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "kernel/mapping.h"

/* generated: it casts const away */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "tests/bpf/others.skel.h"
#pragma GCC diagnostic pop

static struct fixture_options open_later = {.not_attached = true};

static struct others *others_load(const struct address *backend)
{
	struct others *others = others__open();

	assert_non_null(others);
	others->rodata->backend_port = htons(port_of(backend));
	assert_int_equal(others__load(others), 0);
	return others;
}

/* Not pinned: it goes with the skeleton, or with the process. */
static void attach(struct fixture *fx, struct bpf_program *program, struct bpf_link **ret_link)
{
	*ret_link = bpf_program__attach_cgroup(program, fx->cgroup_fd);
	assert_non_null(*ret_link);
}

static struct address service(void)
{
	return address("127.0.0.2", 8080);
}

static void dial_service(struct fixture *fx, int expected)
{
	struct address to = service();
	int fd = tcp_socket(AF_INET);

	(void)fx;
	assert_int_equal(dial(fd, &to), expected);
	hang_up(&fd);
}

static void rewriter_before_us_leaves_the_backend_to_be_counted(void **state)
{
	struct fixture *fx = *state;
	struct others *others;
	struct address backend, to = service();

	(void)listen_at("127.0.0.1", &backend);
	others = others_load(&backend);
	attach(fx, others->progs.test_rewrite, &others->links.test_rewrite);
	fixture_open_loader(fx);
	dial_service(fx, 0);
	expect_pair(fx, &backend, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(dst_slot_of(fx, &to), -1);
	others__destroy(others);
}

static void rewriter_after_us_leaves_the_service_to_be_counted(void **state)
{
	struct fixture *fx = *state;
	struct others *others;
	struct address backend, to = service();
	int fd, listener = listen_at("127.0.0.1", &backend);

	others = others_load(&backend);
	fixture_open_loader(fx);
	attach(fx, others->progs.test_rewrite, &others->links.test_rewrite);
	dial_service(fx, 0);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), 0);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 2, .active = 1);
	hang_up(&fd);
	hang_up(&listener);
	dial_service(fx, -ECONNREFUSED);
	expect_pair(fx, &to, .attempts = 3, .syn_sent = 3, .established = 2, .refused = 1);
	assert_int_equal(dst_slot_of(fx, &backend), -1);
	expect_other(fx, .attempts = 0);
	others__destroy(others);
}

/* The backend is also dialled by its own address: the two are not mixed up. */
static void service_and_backend_are_counted_apart(void **state)
{
	struct fixture *fx = *state;
	struct others *others;
	struct address backend, to = service();
	int direct, by_service;

	(void)listen_at("127.0.0.1", &backend);
	others = others_load(&backend);
	fixture_open_loader(fx);
	attach(fx, others->progs.test_rewrite, &others->links.test_rewrite);
	direct = tcp_socket(AF_INET);
	by_service = tcp_socket(AF_INET);
	assert_int_equal(dial(direct, &backend), 0);
	assert_int_equal(dial(by_service, &to), 0);
	expect_pair(fx, &backend, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&by_service);
	expect_pair(fx, &backend, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	expect_pair(fx, &to, .attempts = 1, .syn_sent = 1, .established = 1);
	/* the same socket can go to the one and then to the other */
	assert_int_equal(undial(direct), 0);
	assert_int_equal(dial(direct, &to), 0);
	assert_int_equal(undial(direct), 0);
	assert_int_equal(dial(direct, &backend), 0);
	hang_up(&direct);
	expect_pair(fx, &backend, .attempts = 2, .syn_sent = 2, .established = 2);
	expect_pair(fx, &to, .attempts = 2, .syn_sent = 2, .established = 2);
	others__destroy(others);
}

static void open_gate_refuses_before_the_rewriter(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct others *others;
	struct address backend, to = service();

	(void)listen_at("127.0.0.1", &backend);
	others = others_load(&backend);
	fixture_open_loader(fx);
	attach(fx, others->progs.test_rewrite, &others->links.test_rewrite);
	policy.mode = EBB_MODE_ENFORCE;
	policy.errno_code = EBB_ERRNO_HOSTUNREACH;
	policy.limits_errno = policy.errno_code;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_OPEN, EBB_UNTIL_MASK));
	dial_service(fx, -EHOSTUNREACH);
	expect_pair(fx, &to, .denied[EBB_CAUSE_BREAKER] = 1);
	others__destroy(others);
}

/* It holds a concurrency slot and a probe slot that no later hook hears of. */
static void refusal_by_another_gives_slots_back_at_close(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address backend, to = address("127.0.0.3", 80);
	struct others *others;
	int fd;

	(void)listen_at("127.0.0.1", &backend);
	others = others_load(&backend);
	fixture_open_loader(fx);
	attach(fx, others->progs.test_refuse, &others->links.test_refuse);
	policy.mode = EBB_MODE_ENFORCE;
	policy.limits.concurrent = 1;
	policy_everywhere(fx, &policy);
	verdict_everywhere(fx, ebb_word(1, EBB_STATE_HALF_OPEN, 0));
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &to), -EPERM);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	/* again by the same socket: it gives back what it had, and takes anew */
	assert_int_equal(dial(fd, &to), -EPERM);
	assert_int_equal(gate_of(fx, &to)->in_use, 1);
	assert_int_equal(probes_held(gate_of(fx, &to)), 1);
	hang_up(&fd);
	assert_int_equal(gate_of(fx, &to)->in_use, 0);
	assert_int_equal(probes_held(gate_of(fx, &to)), 0);
	assert_int_equal(gate_of(fx, &to)->probe_result, 0);
	expect_pair(fx, &to, .attempts = 2);
	others__destroy(others);
}

static void answers_and_dials(struct fixture *fx)
{
	struct address at;
	int client, served, ours, listener = listen_at("127.0.0.1", &at);

	fixture_leave(fx);
	client = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(client, &at), 0);
	served = accept_from(listener);
	send_all(served, "hello");
	receive_all(client, 5);
	hang_up(&client);
	assert_int_equal(receive_end(served), 0);
	hang_up(&served);
	expect_other(fx, .attempts = 0);
	ours = tcp_socket(AF_INET);
	assert_int_equal(dial(ours, &at), 0);
	expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
	hang_up(&ours);
	expect_pair(fx, &at, .attempts = 1, .syn_sent = 1, .established = 1);
	hang_up(&listener);
	expect_other(fx, .attempts = 0);
}

/* Their flags make the kernel call us for sockets that never connected. */
static void callbacks_armed_by_a_program_before_us_bring_no_foreign_socket(void **state)
{
	struct fixture *fx = *state;
	struct others *others = others_load(&(struct address){0});

	attach(fx, others->progs.test_arm_all, &others->links.test_arm_all);
	fixture_open_loader(fx);
	answers_and_dials(fx);
	others__destroy(others);
}

static void callbacks_armed_by_a_program_after_us_bring_no_foreign_socket(void **state)
{
	struct fixture *fx = *state;
	struct others *others = others_load(&(struct address){0});

	fixture_open_loader(fx);
	attach(fx, others->progs.test_arm_all, &others->links.test_arm_all);
	answers_and_dials(fx);
	others__destroy(others);
}

/* Some rule claims every port of the address. Returns its slot. */
static uint32_t claim_every_port(struct fixture *fx, const struct address *at)
{
	struct ebb_endpoint any = {.proto = IPPROTO_TCP};
	struct ebb_mapping *mapping = NULL;
	struct ebb_why why = {{0}};
	struct ebb_ref ref = {0};

	if (ebb_mapping_open(fx->pin_dir, fx->view, &mapping, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(ebb_slots_take(mapping, &ref.slot), 0);
	fx->view->dsts[ref.slot].scope = EBB_SCOPE_WORKLOAD;
	fx->view->dsts[ref.slot].state = EBB_SLOT_LIVE;
	ref.epoch = fx->view->dsts[ref.slot].epoch;
	if (at->sa.sa_family == AF_INET6) {
		memcpy(any.addr, &at->v6.sin6_addr, 16);
	} else {
		memset(any.addr + 10, 0xff, 2);
		memcpy(any.addr + 12, &at->v4.sin_addr, 4);
	}
	assert_int_equal(ebb_endpoints_put(mapping, &any, &ref), 0);
	fx->view->agent->any_port = 1;
	ebb_mapping_changed(mapping);
	ebb_mapping_free(mapping);
	return ref.slot;
}

static const struct ebb_pair *pair_at(const struct fixture *fx, uint32_t dst)
{
	for (uint32_t slot = 1; slot < fx->view->pair_max; slot++) {
		if (fx->view->pairs[slot].state == EBB_SLOT_LIVE && fx->view->pairs[slot].dst == dst)
			return &fx->view->pairs[slot];
	}
	fail_msg("no pair of %u", dst);
	return NULL;
}

#define expect_at(fx, dst, ...) \
	expect_pair_at(fx, pair_at(fx, dst), &(struct want){__VA_ARGS__}, __FILE__, __LINE__)

/* A client from outside of the cgroup, and what it has of us. */
static void serve_one(const struct fixture *fx, int listener, const struct address *at)
{
	int client, served;

	fixture_leave(fx);
	client = tcp_socket(at->sa.sa_family);
	fixture_join(fx);
	assert_int_equal(dial(client, at), 0);
	served = accept_from(listener);
	send_all(client, "ask");
	receive_all(served, 3);
	send_all(served, "hello");
	receive_all(client, 5);
	hang_up(&client);
	assert_int_equal(receive_end(served), 0);
	hang_up(&served);
}

/* Its clients' ports are no destinations, though a rule is about all of them, and the workload connects there, too. */
static void armed_clients_of_a_claimed_address_are_left_alone(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
	struct fixture *fx = *state;
	struct others *others = others_load(&(struct address){0});

	attach(fx, others->progs.test_arm_all, &others->links.test_arm_all);
	fixture_open_loader(fx);
	for (int i = 0; i < 3; i++) {
		struct address at;
		int ours, served, listener = listen_at(addresses[i], &at);
		uint32_t slot = claim_every_port(fx, &at);

		ours = tcp_socket(at.sa.sa_family);
		assert_int_equal(dial(ours, &at), 0);
		served = accept_from(listener);
		expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
		serve_one(fx, listener, &at);
		expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1, .active = 1);
		hang_up(&ours);
		hang_up(&served);
		expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1);
	}
	assert_int_equal(error_count(fx, EBB_ERR_GAUGE_UNDERFLOW), 0);
	others__destroy(others);
}

/* A listener that connected before hands its flags to those that it accepts; one of these connects afterwards. */
static void clients_of_a_listener_that_once_connected_are_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct address at, here = address("127.0.0.1", 0);
	int fd, client, served, listener = listen_at("127.0.0.1", &at);
	uint32_t slot = claim_every_port(fx, &at);

	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &at), 0);
	assert_int_equal(undial(fd), 0);
	expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1);
	assert_int_equal(bind(fd, &here.sa, here.length), 0);
	assert_int_equal(getsockname(fd, &here.sa, &here.length), 0);
	assert_int_equal(listen(fd, 8), 0);
	serve_one(fx, fd, &here);
	expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1);
	fixture_leave(fx);
	client = tcp_socket(AF_INET);
	fixture_join(fx);
	assert_int_equal(dial(client, &here), 0);
	served = accept_from(fd);
	hang_up(&client);
	assert_int_equal(undial(served), 0);
	assert_int_equal(dial(served, &at), 0);
	expect_at(fx, slot, .attempts = 2, .syn_sent = 2, .established = 2, .active = 1);
	hang_up(&served);
	expect_at(fx, slot, .attempts = 2, .syn_sent = 2, .established = 2);
	hang_up(&fd);
	hang_up(&listener);
}

static struct fixture_options old_kernel = {.no_set_retval = true};

/* Before 6.1 we refuse by aiming the socket at port 0 of the loopback, which some rule may claim, and the socket may be armed. */
static void refusal_by_address_is_no_failure_of_who_has_that_address(void **state)
{
	struct fixture *fx = *state;
	struct ebb_policy policy = policy_default();
	struct address at;
	int fd, listener = listen_at("127.0.0.1", &at);
	uint32_t slot = claim_every_port(fx, &at);

	policy.mode = EBB_MODE_ENFORCE;
	policy_everywhere(fx, &policy);
	fd = tcp_socket(AF_INET);
	assert_int_equal(dial(fd, &at), 0);
	assert_int_equal(undial(fd), 0);
	expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1);
	fx->view->policies[slot].override_state = EBB_OVERRIDE_OPEN;
	assert_int_equal(dial(fd, &at), -ECONNREFUSED);
	hang_up(&fd);
	hang_up(&listener);
	expect_at(fx, slot, .attempts = 1, .syn_sent = 1, .established = 1, .denied[EBB_CAUSE_OVERRIDE] = 1);
	assert_int_equal(fx->view->gates[pair_at(fx, slot)->gate].failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bpf_test_with(rewriter_before_us_leaves_the_backend_to_be_counted, &open_later),
		bpf_test_with(rewriter_after_us_leaves_the_service_to_be_counted, &open_later),
		bpf_test_with(service_and_backend_are_counted_apart, &open_later),
		bpf_test_with(open_gate_refuses_before_the_rewriter, &open_later),
		bpf_test_with(refusal_by_another_gives_slots_back_at_close, &open_later),
		bpf_test_with(callbacks_armed_by_a_program_before_us_bring_no_foreign_socket, &open_later),
		bpf_test_with(callbacks_armed_by_a_program_after_us_bring_no_foreign_socket, &open_later),
		bpf_test_with(armed_clients_of_a_claimed_address_are_left_alone, &open_later),
		bpf_test(clients_of_a_listener_that_once_connected_are_left_alone),
		bpf_test_with(refusal_by_address_is_no_failure_of_who_has_that_address, &old_kernel),
	};

	if (fixture_unavailable())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

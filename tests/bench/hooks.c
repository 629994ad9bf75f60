// SPDX-License-Identifier: Apache-2.0
/*
 * What is attached to the cgroup while a block is measured. The links are
 * taken off between blocks, so that "nothing attached" is a kernel without any
 * program at these hooks, and everything else of the process stays the same.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bench.h"
#include "core/policy.h"

const char *const bench_arm_names[BENCH_ARM_MAX] = {"none", "empty", "armed", "ebb"};

/* Attached in this order, taken off in the reverse. */
static const struct {
	const char *name; /* as ebb_maps_links() says it */
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} hook_table[BENCH_HOOKS] = {
	{"release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE},
	{"sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
	{"sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG},
	{"sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG},
	{"connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
	{"connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
};

#define INSN(code_, dst_, src_, off_, imm_)   \
	((struct bpf_insn){.code = (code_),   \
			   .dst_reg = (dst_), \
			   .src_reg = (src_), \
			   .off = (off_),     \
			   .imm = (imm_)})

static const struct bpf_insn empty_program[] = {
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

/*
 * switch (ctx->op): CONNECT_CB: bpf_sock_ops_cb_flags_set(ctx, STATE | RTO);
 * ACTIVE_ESTABLISHED_CB: bpf_sock_ops_cb_flags_set(ctx, STATE | RTT | RTO); return 1;
 */
static const struct bpf_insn armed_sockops[] = {
	INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, offsetof(struct bpf_sock_ops, op), 0),
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0,
	     BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG),
	INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_3, 0, 2, BPF_SOCK_OPS_TCP_CONNECT_CB),
	INSN(BPF_ALU64 | BPF_OR | BPF_K, BPF_REG_2, 0, 0, BPF_SOCK_OPS_RTT_CB_FLAG),
	INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 1, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB),
	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sock_ops_cb_flags_set),
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

static int fail(int r, const char *what)
{
	(void)fprintf(stderr, "ebb-bench: %s: %s\n", what, strerror(-r));
	return r;
}

static int load_plain(struct bench_hooks *hooks, enum bench_arm arm)
{
	for (int h = 0; h < BENCH_HOOKS; h++) {
		LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = hook_table[h].attach);
		const struct bpf_insn *insns = empty_program;
		size_t count = sizeof(empty_program) / sizeof(empty_program[0]);

		if (arm == BENCH_ARM_ARMED && hook_table[h].type == BPF_PROG_TYPE_SOCK_OPS) {
			insns = armed_sockops;
			count = sizeof(armed_sockops) / sizeof(armed_sockops[0]);
		}
		hooks->programs[arm][h] =
			bpf_prog_load(hook_table[h].type, "bench", "Dual BSD/GPL", insns, count, &opts);
		if (hooks->programs[arm][h] < 0)
			return fail(hooks->programs[arm][h], "cannot load an empty program");
	}
	return 0;
}

/* The loader's links are pinned: the programs are taken from them, and the links away. */
static int take_programs(struct bench_hooks *hooks)
{
	struct ebb_link_info infos[EBB_LINKS_MAX];
	size_t count = ebb_maps_links(hooks->pin_dir, infos);
	char path[512];

	for (int h = 0; h < BENCH_HOOKS; h++) {
		for (size_t i = 0; i < count; i++) {
			if (strcmp(infos[i].name, hook_table[h].name) != 0)
				continue;
			hooks->programs[BENCH_ARM_EBB][h] = bpf_prog_get_fd_by_id(infos[i].program_id);
			(void)snprintf(path, sizeof(path), "%s/link_%s", hooks->pin_dir, infos[i].name);
			if (unlink(path) < 0)
				return fail(-errno, path);
		}
		if (hooks->programs[BENCH_ARM_EBB][h] < 0)
			return fail(-ENOENT, hook_table[h].name);
	}
	return 0;
}

static const struct {
	const char *name; /* as ebb_maps_links() says it */
	enum bpf_attach_type attach;
} way_table[BENCH_WAYS] = {
	{"egress", BPF_CGROUP_INET_EGRESS},
	{"turns", BPF_CGROUP_INET_INGRESS},
};

static int want_packets(struct bench_hooks *hooks, bool wanted, struct ebb_why *why)
{
	int r = ebb_loader_want_packets(hooks->loader, wanted, why);

	return r == 0 ? ebb_loader_want_turns(hooks->loader, wanted, why) : r;
}

/* These are attached on demand. */
static int take_packet_programs(struct bench_hooks *hooks, struct ebb_why *why)
{
	struct ebb_link_info infos[EBB_LINKS_MAX];
	int r = want_packets(hooks, true, why), ours[BENCH_WAYS] = {-1, -1};
	size_t count = r == 0 ? ebb_maps_links(hooks->pin_dir, infos) : 0;

	for (int way = 0; way < BENCH_WAYS; way++) {
		for (size_t i = 0; i < count; i++) {
			if (strcmp(infos[i].name, way_table[way].name) == 0)
				ours[way] = bpf_prog_get_fd_by_id(infos[i].program_id);
		}
	}
	if (r == 0)
		r = want_packets(hooks, false, why);
	for (int way = 0; way < BENCH_WAYS && r == 0; way++) {
		LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = way_table[way].attach);
		int empty = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "bench", "Dual BSD/GPL", empty_program,
					  sizeof(empty_program) / sizeof(empty_program[0]), &opts);

		if (ours[way] < 0 || empty < 0)
			return fail(-ENOENT, way_table[way].name);
		hooks->packet_programs[way == BENCH_WAY_OUT ? BENCH_PACKETS_EBB : BENCH_PACKETS_TURNS][way] =
			ours[way];
		hooks->packet_programs[way == BENCH_WAY_OUT ? BENCH_PACKETS_EMPTY : BENCH_PACKETS_EMPTY_TURNS]
				      [way] = empty;
	}
	return r;
}

static void write_policy(const struct bench_hooks *hooks, uint32_t failures)
{
	struct ebb_breaker_config config;
	struct ebb_policy policy = {
		.mode = EBB_MODE_ENFORCE,
		.scope = EBB_SCOPE_NODE,
		.errno_code = EBB_ERRNO_HOSTUNREACH,
		.limits_errno = EBB_ERRNO_HOSTUNREACH,
		.on_agent_loss = EBB_LOSS_HOLD,
	};

	ebb_policy_defaults(&config);
	config.consecutive_failures = failures;
	config.open_for_ns = 3600ULL * 1000000000ULL;
	ebb_policy_to_kernel(&config, &policy);
	policy.arm = ebb_arm(failures, (uint32_t)ebb_ns_to_ticks(config.open_for_ns));
	for (uint32_t d = EBB_SLOT_OTHER + 1; d < hooks->view->dst_max; d++)
		hooks->view->policies[d] = policy;
}

static void forget(struct bench_hooks *hooks)
{
	memset(hooks, 0, sizeof(*hooks));
	memset(hooks->programs, -1, sizeof(hooks->programs));
	memset(hooks->links, -1, sizeof(hooks->links));
	memset(hooks->packet_programs, -1, sizeof(hooks->packet_programs));
	memset(hooks->packet_links, -1, sizeof(hooks->packet_links));
	hooks->cgroup_fd = -1;
}

int bench_hooks_open(struct bench_hooks *hooks, const struct bench_options *options, uint32_t failures)
{
	struct ebb_loader_options loader_options = {
		.pin_dir = options->pin_dir,
		.destinations = options->destinations ? options->destinations : 4096,
		.pairs = 16384,
		.endpoints = 65536,
	};
	struct ebb_why why = {};
	int r;

	forget(hooks);
	hooks->pin_dir = options->pin_dir;
	hooks->cgroup_fd = open(options->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hooks->cgroup_fd < 0)
		return fail(-errno, options->cgroup);
	loader_options.cgroup_fd = hooks->cgroup_fd;
	r = ebb_loader_open(&loader_options, &hooks->loader, &why);
	if (r == 0) {
		hooks->view = ebb_loader_view(hooks->loader);
		write_policy(hooks, failures);
		r = ebb_loader_fill_queues(hooks->loader, &why);
	}
	if (r == 0)
		r = ebb_loader_attach(hooks->loader, &why);
	if (r == 0)
		r = take_packet_programs(hooks, &why);
	if (r < 0 && why.text[0])
		(void)fprintf(stderr, "ebb-bench: %s\n", why.text);
	if (r == 0)
		r = take_programs(hooks);
	if (r == 0)
		r = load_plain(hooks, BENCH_ARM_EMPTY);
	if (r == 0)
		r = load_plain(hooks, BENCH_ARM_ARMED);
	if (r < 0)
		bench_hooks_close(hooks);
	return r;
}

void bench_hooks_close(struct bench_hooks *hooks)
{
	size_t removed;

	if (hooks->view)
		(void)bench_hooks_use_packets(hooks, BENCH_PACKETS_NONE);
	(void)bench_hooks_use(hooks, BENCH_ARM_NONE);
	for (int p = 0; p < BENCH_PACKETS_MAX; p++) {
		for (int way = 0; way < BENCH_WAYS; way++) {
			if (hooks->packet_programs[p][way] >= 0)
				(void)close(hooks->packet_programs[p][way]);
		}
	}
	for (int arm = 0; arm < BENCH_ARM_MAX; arm++) {
		for (int h = 0; h < BENCH_HOOKS; h++) {
			if (hooks->programs[arm][h] >= 0)
				(void)close(hooks->programs[arm][h]);
		}
	}
	if (hooks->loader) {
		ebb_loader_free(hooks->loader);
		(void)ebb_maps_detach(hooks->pin_dir, &removed, NULL);
	}
	if (hooks->cgroup_fd >= 0)
		(void)close(hooks->cgroup_fd);
	forget(hooks);
}

int bench_hooks_renew(struct bench_hooks *hooks, const struct bench_options *options, uint32_t failures,
		      uint32_t round)
{
	int r;

	if (round == 0 || round % bench_load_rounds(options) != 0)
		return 0;
	bench_hooks_close(hooks);
	r = bench_hooks_open(hooks, options, failures);
	return r < 0 ? r : 1;
}

int bench_hooks_use(struct bench_hooks *hooks, enum bench_arm arm)
{
	if (arm == hooks->arm)
		return 0;
	for (int h = BENCH_HOOKS - 1; h >= 0; h--) {
		if (hooks->links[h] >= 0)
			(void)close(hooks->links[h]);
		hooks->links[h] = -1;
	}
	hooks->arm = arm;
	for (int h = 0; h < BENCH_HOOKS && arm != BENCH_ARM_NONE; h++) {
		hooks->links[h] = bpf_link_create(hooks->programs[arm][h], hooks->cgroup_fd,
						  hook_table[h].attach, NULL);
		if (hooks->links[h] < 0)
			return fail(hooks->links[h], "cannot attach");
	}
	return 0;
}

int bench_hooks_use_packets(struct bench_hooks *hooks, enum bench_packets packets)
{
	if (packets == hooks->packets)
		return 0;
	for (int way = 0; way < BENCH_WAYS; way++) {
		if (hooks->packet_links[way] >= 0)
			(void)close(hooks->packet_links[way]);
		hooks->packet_links[way] = -1;
	}
	hooks->packets = packets;
	hooks->view->agent->turns = packets == BENCH_PACKETS_TURNS;
	for (int way = 0; way < BENCH_WAYS; way++) {
		if (hooks->packet_programs[packets][way] < 0)
			continue;
		hooks->packet_links[way] = bpf_link_create(hooks->packet_programs[packets][way],
							   hooks->cgroup_fd, way_table[way].attach, NULL);
		if (hooks->packet_links[way] < 0)
			return fail(hooks->packet_links[way], "cannot attach");
	}
	return 0;
}

uint32_t bench_find_pair(const struct ebb_view *view, const struct sockaddr_in *address)
{
	for (uint32_t p = 1; p < view->pair_max; p++) {
		const struct ebb_endpoint *endpoint;

		if (view->pairs[p].state != EBB_SLOT_LIVE || view->pairs[p].dst >= view->dst_max)
			continue;
		endpoint = &view->dsts[view->pairs[p].dst].endpoint;
		if (endpoint->port == address->sin_port &&
		    memcmp(endpoint->addr + 12, &address->sin_addr, sizeof(address->sin_addr)) == 0)
			return p;
	}
	return 0;
}

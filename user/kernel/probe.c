/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <linux/magic.h>

#include "kernel/diag.h"
#include "lib/cleanup.h"

/* libbpf answers 1 (yes), 0 (no) or a negative errno. */
static int as_errno(int answer)
{
	if (answer == 1)
		return 0;
	return answer == 0 ? -EOPNOTSUPP : answer;
}

static int try_bpf(const char *pin_dir)
{
	_cleanup_close_ int fd = -1;

	(void)pin_dir;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ebb_probe", sizeof(__u32), sizeof(__u32), 1, NULL);
	return fd < 0 ? fd : 0;
}

static int try_btf(const char *pin_dir)
{
	(void)pin_dir;
	return access("/sys/kernel/btf/vmlinux", R_OK) < 0 ? -errno : 0;
}

/* The pin directory itself, or where it would be made. */
static int try_bpffs(const char *pin_dir)
{
	char path[512];
	struct statfs fs;
	char *slash;

	(void)snprintf(path, sizeof(path), "%s", pin_dir);
	while (statfs(path, &fs) < 0) {
		slash = strrchr(path, '/');
		if (errno != ENOENT || !slash || slash == path)
			return -errno;
		*slash = '\0';
	}
	return (unsigned long)fs.f_type == BPF_FS_MAGIC ? 0 : -ENODEV;
}

static int try_cgroup2(const char *pin_dir)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	(void)pin_dir;
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, " - cgroup2 "))
			return 0;
	}
	return -ENOENT;
}

static int try_connect(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, NULL));
}

static int try_sockops(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SOCK_OPS, NULL));
}

/* "return 1" of the type cgroup/sock_release, which is told from cgroup/sock by its attach type. */
static int try_sock_release(const char *pin_dir)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_SOCK_RELEASE);
	_cleanup_close_ int fd = -1;

	(void)pin_dir;
	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK, "ebb_probe", "GPL", program,
			   sizeof(program) / sizeof(program[0]), &opts);
	return fd < 0 ? fd : 0;
}

static int try_sk_storage(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_sk_storage_get,
						NULL));
}

static int try_ringbuf(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL));
}

/* An attach to a descriptor that is no cgroup fails with EBADF where the command is known. */
static int try_link(const char *pin_dir)
{
	int r;

	(void)pin_dir;
	r = bpf_link_create(-1, -1, BPF_CGROUP_SOCK_OPS, NULL);
	return r == -EBADF ? 0 : r;
}

/* Puts 0 where 0 is. An older kernel knows of the instruction no more than that it adds. */
static int try_atomics(const char *pin_dir)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = BPF_REG_0, .off = -8},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW,
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -8,
		 .imm = BPF_CMPXCHG},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	_cleanup_close_ int fd = -1;

	(void)pin_dir;
	fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "ebb_probe", "GPL", program,
			   sizeof(program) / sizeof(program[0]), NULL);
	return fd < 0 ? fd : 0;
}

static int try_perfmon(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS, BPF_FUNC_skc_to_tcp_sock, NULL));
}

static int try_set_retval(const char *pin_dir)
{
	(void)pin_dir;
	return as_errno(libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, NULL));
}

/* A kernel function is named in the kernel's own types. */
static int try_cast(const char *pin_dir)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int r;

	(void)pin_dir;
	if (!btf)
		return -errno;
	r = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
	btf__free(btf);
	if (r == -ENOENT)
		return -EOPNOTSUPP;
	return r < 0 ? r : 0;
}

#define CALL_MAX	    8	 /* instructions */
#define TCP_ITERATOR_SOCKET 8	 /* struct bpf_iter__tcp: meta, sk_common */
#define OPTION_CB_FLAGS	    1008 /* TCP_BPF_SOCK_OPS_CB_FLAGS, which older headers do not have */

/*
 * An iterator that takes the pointer at @offset of its context, and if there is one makes the
 * @call with it.
 */
static int try_iterator(const char *target, __s16 offset, const struct bpf_insn *call, size_t count)
{
	struct bpf_insn program[2 + CALL_MAX + 2] = {
		{.code = BPF_LDX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_1,
		 .off = offset},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_1, .off = (__s16)count, .imm = 0},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_ITER);
	_cleanup_close_ int fd = -1;
	int id;

	if (count > CALL_MAX)
		return -E2BIG;
	memcpy(&program[2], call, count * sizeof(*call));
	program[2 + count] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0};
	program[3 + count] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	id = libbpf_find_vmlinux_btf_id(target, BPF_TRACE_ITER);
	if (id < 0)
		return id;
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "ebb_probe", "GPL", program, 4 + count, &opts);
	return fd < 0 ? fd : 0;
}

/* struct bpf_iter__task_file: meta, task, fd, file */
static int try_task_file(const char *pin_dir)
{
	const struct bpf_insn call = {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sock_from_file};

	(void)pin_dir;
	return try_iterator("task_file", 24, &call, 1);
}

/* struct bpf_iter__bpf_sk_storage_map: meta, map, sk, value. Some kernels know it, and forbid it. */
static int try_sk_storage_iterator(const char *pin_dir)
{
	const struct bpf_insn nothing = {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1};

	(void)pin_dir;
	return try_iterator("bpf_sk_storage_map", 16, &nothing, 1);
}

/* Is it in one of the kernel's enumerations, which need not have a name? */
static bool has_enumerator(const struct btf *btf, const char *name)
{
	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const struct btf_enum *values = btf_enum(type);

		for (__u16 i = 0; btf_is_enum(type) && i < btf_vlen(type); i++) {
			const char *found = btf__name_by_offset(btf, values[i].name_off);

			if (found && strcmp(found, name) == 0)
				return true;
		}
	}
	return false;
}

/* The helper is older (5.16) than the option, which it refused. */
static int try_arm(const char *pin_dir)
{
	const struct bpf_insn call[] = {
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = IPPROTO_TCP},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = OPTION_CB_FLAGS},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD, .dst_reg = BPF_REG_4, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_5, .imm = sizeof(int)},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_setsockopt},
	};
	struct btf *btf = btf__load_vmlinux_btf();
	bool known;

	(void)pin_dir;
	if (!btf)
		return -errno;
	known = has_enumerator(btf, "TCP_BPF_SOCK_OPS_CB_FLAGS");
	btf__free(btf);
	if (!known)
		return -EOPNOTSUPP;
	return try_iterator("tcp", TCP_ITERATOR_SOCKET, call, sizeof(call) / sizeof(call[0]));
}

static int try_sock_destroy(const char *pin_dir)
{
	struct bpf_insn call = {.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL};
	struct btf *btf = btf__load_vmlinux_btf();

	(void)pin_dir;
	if (!btf)
		return -errno;
	call.imm = btf__find_by_name_kind(btf, "bpf_sock_destroy", BTF_KIND_FUNC);
	btf__free(btf);
	if (call.imm < 0)
		return call.imm;
	return try_iterator("tcp", TCP_ITERATOR_SOCKET, &call, 1);
}

static int try_diag_destroy(const char *pin_dir)
{
	(void)pin_dir;
	return ebb_diag_try();
}

/* Enters its own, which changes nothing. To see those of others takes CAP_SYS_PTRACE. */
static int try_namespaces(const char *pin_dir)
{
	_cleanup_close_ int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)pin_dir;
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	if (capng_get_caps_process() < 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE))
		return -EPERM;
	return 0;
}

static const struct {
	const char *name, *help, *remedy;
	bool required;
	int (*try)(const char *pin_dir);
} features[EBB_FEATURE_MAX] = {
	[EBB_FEATURE_BPF] = {"bpf", "load programs and make maps",
			     "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON", true, try_bpf},
	[EBB_FEATURE_BTF] = {"btf", "find the kernel's own structures",
			     "use a kernel built with CONFIG_DEBUG_INFO_BTF=y", true, try_btf},
	[EBB_FEATURE_BPFFS] = {"bpffs", "keep programs and maps when the agent ends",
			       "mount -t bpf bpf /sys/fs/bpf (ebb run does it where it may)", false,
			       try_bpffs},
	[EBB_FEATURE_CGROUP2] = {"cgroup2", "have a place to attach to",
				 "mount cgroup2 (systemd.unified_cgroup_hierarchy=1)", true, try_cgroup2},
	[EBB_FEATURE_CONNECT] = {"connect hooks", "see and refuse connect()",
				 "use a kernel with CONFIG_CGROUP_BPF=y", true, try_connect},
	[EBB_FEATURE_SOCKOPS] = {"sockops", "see how connections end",
				 "use a kernel with CONFIG_CGROUP_BPF=y", true, try_sockops},
	[EBB_FEATURE_SOCK_RELEASE] = {"sock_release hook", "never lose a slot", "use kernel 5.9 or later",
				      true, try_sock_release},
	[EBB_FEATURE_SK_STORAGE] = {"socket storage", "remember probes and slots", "use kernel 5.10 or later",
				    true, try_sk_storage},
	[EBB_FEATURE_RINGBUF] = {"ring buffer", "be woken by failures", "use kernel 5.8 or later", true,
				 try_ringbuf},
	[EBB_FEATURE_LINK] = {"cgroup links", "stay attached, be replaced without a gap",
			      "use kernel 5.7 or later", true, try_link},
	[EBB_FEATURE_ATOMICS] = {"compare-and-swap", "hand out slots exactly", "use kernel 5.12 or later",
				 true, try_atomics},
	[EBB_FEATURE_PERFMON] = {"socket errors", "tell refused from timed out",
				 "add CAP_PERFMON, or use kernel 5.9 or later", true, try_perfmon},
	[EBB_FEATURE_SET_RETVAL] =
		{"bpf_set_retval", "refuse with a chosen errno",
		 "kernel 6.1 or later; until then ebb refuses by aiming at a closed loopback port (always ECONNREFUSED), UDP with EPERM",
		 false, try_set_retval},
	[EBB_FEATURE_CAST] =
		{"bpf_rdonly_cast", "count UDP of an IPv4 socket for the cgroup that made it",
		 "kernel 6.2 or later; until then such a socket counts for the cgroup of the task that uses it",
		 false, try_cast},
	[EBB_FEATURE_TASK_FILE] =
		{"iterator over open files", "adopt connections that were there before",
		 "use kernel 5.11 or later; until then ebb counts only what connects after it", false,
		 try_task_file},
	[EBB_FEATURE_ARM] =
		{"callbacks by iterator", "pace connections that were there before, and see how they end",
		 "kernel 6.12 or later; until then limits hold them by drops, and they end when their program closes them",
		 false, try_arm},
	[EBB_FEATURE_SK_STORAGE_ITER] =
		{"iterator over sockets", "count again what is open, and correct gauges that are wrong",
		 "use a kernel of 5.9 or later that allows iter/bpf_sk_storage_map; without it a gauge that is wrong stays wrong",
		 false, try_sk_storage_iterator},
	[EBB_FEATURE_SOCK_DESTROY] = {"bpf_sock_destroy", "reset live connections when a breaker opens",
				      "kernel 6.5 or later; until then ebb does it by netlink, where it may",
				      false, try_sock_destroy},
	[EBB_FEATURE_DIAG_DESTROY] =
		{"netlink SOCK_DESTROY", "reset live connections where bpf_sock_destroy is missing",
		 "use a kernel with CONFIG_INET_DIAG_DESTROY=y and its module tcp_diag; without either way, what they send is dropped",
		 false, try_diag_destroy},
	[EBB_FEATURE_NAMESPACES] =
		{"other namespaces", "reset live connections of pods, and pace those that were there before",
		 "add CAP_SYS_ADMIN and CAP_SYS_PTRACE, and the host's process namespace (hostPID); without them what live connections send to an open breaker is dropped, and limits hold those that were there before by drops",
		 false, try_namespaces},
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int ebb_probe_one(enum ebb_feature feature)
{
	libbpf_print_fn_t previous = libbpf_set_print(quiet);
	int r = features[feature].try("");

	(void)libbpf_set_print(previous);
	return r;
}

void ebb_probe_all(const char *pin_dir, struct ebb_feature_result ret_results[EBB_FEATURE_MAX])
{
	libbpf_print_fn_t previous = libbpf_set_print(quiet);

	for (int i = 0; i < EBB_FEATURE_MAX; i++) {
		bool needs_bpf = features[i].try != try_btf && features[i].try != try_bpffs &&
				 features[i].try != try_cgroup2 && features[i].try != try_cast &&
				 features[i].try != try_diag_destroy && features[i].try != try_namespaces;
		int r;

		/* who may not call bpf(2) learns nothing by trying: every answer would be a no */
		if (needs_bpf && i != EBB_FEATURE_BPF && !ret_results[EBB_FEATURE_BPF].present)
			r = ret_results[EBB_FEATURE_BPF].error;
		else
			r = features[i].try(pin_dir);

		ret_results[i] = (struct ebb_feature_result){
			.name = features[i].name,
			.help = features[i].help,
			.remedy = features[i].remedy,
			.required = features[i].required,
			.present = r == 0,
			.error = r,
		};
	}
	(void)libbpf_set_print(previous);
}

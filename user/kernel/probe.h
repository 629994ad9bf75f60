/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel can do: one table, each row tries the thing. 'ebb doctor'
 * prints it and the loader decides by it.
 */
#ifndef EBB_KERNEL_PROBE_H
#define EBB_KERNEL_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum ebb_feature {
	EBB_FEATURE_BPF,     /* bpf(2) is permitted */
	EBB_FEATURE_BTF,     /* /sys/kernel/btf/vmlinux */
	EBB_FEATURE_BPFFS,   /* a bpf file system at the pin directory */
	EBB_FEATURE_CGROUP2, /* a cgroup2 mount */
	EBB_FEATURE_CONNECT, /* cgroup/connect4 and 6 */
	EBB_FEATURE_SOCKOPS,
	EBB_FEATURE_SOCK_RELEASE,
	EBB_FEATURE_SK_STORAGE,
	EBB_FEATURE_RINGBUF,
	EBB_FEATURE_LINK,	     /* bpf_link on cgroups */
	EBB_FEATURE_ATOMICS,	     /* compare-and-swap in programs (5.12) */
	EBB_FEATURE_PERFMON,	     /* kernel pointers may be followed: sk_err */
	EBB_FEATURE_SET_RETVAL,	     /* bpf_set_retval in connect hooks (6.1) */
	EBB_FEATURE_CAST,	     /* bpf_rdonly_cast (6.2) */
	EBB_FEATURE_TASK_FILE,	     /* iterators over the open files of all processes (5.11) */
	EBB_FEATURE_ARM,	     /* callbacks of a socket set by an iterator (6.12) */
	EBB_FEATURE_SK_STORAGE_ITER, /* iterators over socket storage (5.9; some kernels forbid it) */
	EBB_FEATURE_SOCK_DESTROY,    /* bpf_sock_destroy in iterators (6.5) */
	EBB_FEATURE_DIAG_DESTROY,    /* the same by netlink (CONFIG_INET_DIAG_DESTROY) */
	EBB_FEATURE_NAMESPACES,	     /* other network namespaces may be entered */
	EBB_FEATURE_MAX,
};

struct ebb_feature_result {
	const char *name;
	const char *help;   /* what it is used for */
	const char *remedy; /* what to do when it is missing */
	bool required;	    /* without it the agent does not start */
	bool present;
	int error; /* negative errno of the try, 0 when present */
};

/* Tries one. 0, or the negative errno of the try. Quiet, and may be called from any thread but not by two at once. */
int ebb_probe_one(enum ebb_feature feature);

/* Tries everything; fills EBB_FEATURE_MAX results. @pin_dir: where pins would go. */
void ebb_probe_all(const char *pin_dir, struct ebb_feature_result ret_results[EBB_FEATURE_MAX]);

#endif /* EBB_KERNEL_PROBE_H */

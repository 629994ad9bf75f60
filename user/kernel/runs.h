/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often programs ran in the kernel, and how long. The kernel counts only while the sysctl
 * kernel.bpf_stats_enabled is 1, which costs each run some 20 ns: nobody but the operator sets it.
 */
#ifndef EBB_KERNEL_RUNS_H
#define EBB_KERNEL_RUNS_H

#include <stdbool.h>
#include <stdint.h>

struct ebb_program_runs {
	const char *name; /* of its hook, e.g. "connect4" */
	uint64_t count;
	uint64_t ns;
};

bool ebb_runs_are_counted(void);

/* The numbers of the program @fd; 0 or a negative errno. @ret_runs->name is left as it is. */
int ebb_runs_read(int fd, struct ebb_program_runs *ret_runs);

#endif /* EBB_KERNEL_RUNS_H */

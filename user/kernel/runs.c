/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/runs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "lib/cleanup.h"

bool ebb_runs_are_counted(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");

	return file && fgetc(file) == '1';
}

int ebb_runs_read(int fd, struct ebb_program_runs *ret_runs)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	ret_runs->count = info.run_cnt;
	ret_runs->ns = info.run_time_ns;
	return 0;
}

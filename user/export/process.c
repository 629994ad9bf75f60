/* SPDX-License-Identifier: Apache-2.0 */
#include "export/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/cleanup.h"

/* One line of /proc/self/status: "VmRSS:	    1234 kB". */
static void read_status_line(const char *line, struct ebb_process *process)
{
	const struct {
		const char *key;
		uint64_t *bytes;
	} wanted[] = {
		{"VmSize:", &process->virtual_bytes},
		{"VmRSS:", &process->resident_bytes},
		{"RssAnon:", &process->anonymous_bytes},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t length = strlen(wanted[i].key);
		char *end;
		uint64_t kib;

		if (strncmp(line, wanted[i].key, length) != 0)
			continue;
		errno = 0;
		kib = strtoull(line + length, &end, 10);
		if (errno == 0 && strcmp(end, " kB\n") == 0 && kib < UINT64_MAX / 1024)
			*wanted[i].bytes = kib * 1024;
	}
}

static void read_memory(struct ebb_process *process)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	if (!status)
		return;
	while (fgets(line, sizeof(line), status))
		read_status_line(line, process);
}

static void read_descriptors(struct ebb_process *process)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	uint64_t count = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->max_fds = limit.rlim_cur;
	if (!dir)
		return;
	for (const struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	process->open_fds = count > 0 ? count - 1 : 0; /* without the one that reads the directory */
}

void ebb_process_read(struct ebb_process *ret_process)
{
	struct timespec cpu;

	*ret_process = (struct ebb_process){
		.cpu_ns = EBB_PROCESS_UNKNOWN,
		.virtual_bytes = EBB_PROCESS_UNKNOWN,
		.resident_bytes = EBB_PROCESS_UNKNOWN,
		.anonymous_bytes = EBB_PROCESS_UNKNOWN,
		.open_fds = EBB_PROCESS_UNKNOWN,
		.max_fds = EBB_PROCESS_UNKNOWN,
	};
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		ret_process->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000ULL + (uint64_t)cpu.tv_nsec;
	read_memory(ret_process);
	read_descriptors(ret_process);
}

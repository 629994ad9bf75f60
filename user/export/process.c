/* SPDX-License-Identifier: Apache-2.0 */
#include "export/process.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/cleanup.h"

/* One line of /proc/self/status: "VmRSS:	    1234 kB", "Threads:	1". */
static void read_status_line(const char *line, struct ebb_process *process)
{
	const struct {
		const char *key;
		const char *unit;
		uint64_t factor;
		uint64_t *value;
	} wanted[] = {
		{"VmSize:", " kB\n", 1024, &process->virtual_bytes},
		{"VmRSS:", " kB\n", 1024, &process->resident_bytes},
		{"RssAnon:", " kB\n", 1024, &process->anonymous_bytes},
		{"Threads:", "\n", 1, &process->threads},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t length = strlen(wanted[i].key);
		char *end;
		uint64_t number;

		if (strncmp(line, wanted[i].key, length) != 0)
			continue;
		errno = 0;
		number = strtoull(line + length, &end, 10);
		if (errno == 0 && strcmp(end, wanted[i].unit) == 0 && number < UINT64_MAX / 1024)
			*wanted[i].value = number * wanted[i].factor;
	}
}

static void read_status(struct ebb_process *process)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	if (!status)
		return;
	while (fgets(line, sizeof(line), status))
		read_status_line(line, process);
}

static void read_heap(struct ebb_process *process)
{
	struct mallinfo2 heap = mallinfo2();
	struct rlimit limit;

	process->heap_bytes = heap.arena + heap.hblkhd;
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		process->virtual_max_bytes = limit.rlim_cur;
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
		.virtual_max_bytes = EBB_PROCESS_UNKNOWN,
		.heap_bytes = EBB_PROCESS_UNKNOWN,
		.resident_bytes = EBB_PROCESS_UNKNOWN,
		.anonymous_bytes = EBB_PROCESS_UNKNOWN,
		.open_fds = EBB_PROCESS_UNKNOWN,
		.max_fds = EBB_PROCESS_UNKNOWN,
		.threads = EBB_PROCESS_UNKNOWN,
	};
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		ret_process->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000ULL + (uint64_t)cpu.tv_nsec;
	read_status(ret_process);
	read_heap(ret_process);
	read_descriptors(ret_process);
}

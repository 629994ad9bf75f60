/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of programs of ours: a line for each, 'NAME VERIFIED XLATED JITED'. VERIFIED: instructions that the
 * verifier looked at; XLATED: those that it left and made, functions included; JITED: bytes of machine code.
 *
 * usage: programs [PID]     those that a process has open, as the agent does; without: all there are
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "lib/cleanup.h"

#define OURS "ebb_"

/* 1: one of ours, and told; 0: somebody else's, or gone meanwhile. */
static int tell(uint32_t id)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	if (strncmp(info.name, OURS, strlen(OURS)) != 0)
		return 0;
	printf("%s %u %zu %u\n", info.name, info.verified_insns,
	       info.xlated_prog_len / sizeof(struct bpf_insn), info.jited_prog_len);
	return 1;
}

/* The id of the program that is behind a descriptor; 0: no program is. A link tells of its program, too. */
static uint32_t program_id(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	unsigned int id = 0, number;
	bool program = false;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		program = program || strncmp(line, "prog_type:", strlen("prog_type:")) == 0;
		if (sscanf(line, "prog_id: %u", &number) == 1)
			id = number;
	}
	return program ? id : 0;
}

static int tell_of(const char *pid)
{
	char dir[64], path[sizeof(dir) + sizeof(((struct dirent *)NULL)->d_name) + 1];
	const struct dirent *entry;
	uint32_t id;
	int r = 0;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), "/proc/%s/fdinfo", pid);
	d = opendir(dir);
	if (!d)
		return -errno;
	while (r >= 0 && (entry = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		id = program_id(path);
		if (id)
			r = tell(id);
	}
	(void)closedir(d);
	return r;
}

static int tell_of_all(void)
{
	uint32_t id = 0;
	int r = 0;

	while (r >= 0 && bpf_prog_get_next_id(id, &id) == 0)
		r = tell(id);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc > 2) {
		(void)fprintf(stderr, "usage: programs [PID]\n");
		return 2;
	}
	r = argc == 2 ? tell_of(argv[1]) : tell_of_all();
	if (r < 0) {
		(void)fprintf(stderr, "programs: %s\n", strerror(-r));
		return 1;
	}
	return 0;
}

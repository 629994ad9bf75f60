/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/units.h"

#define DEPTH_MAX 64 /* as deep as the programs look (bpf/compat.h) */

static bool is_known(const struct ebb_netns_list *list, uint64_t inode)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->namespaces[i].inode == inode)
			return true;
	}
	return false;
}

/* Takes @fd over when the namespace is a new one. */
static int add(struct ebb_netns_list *list, uint64_t own, int *fd)
{
	struct ebb_netns *grown;
	struct stat st;

	if (fstat(*fd, &st) < 0)
		return -errno;
	if (st.st_ino == own || is_known(list, st.st_ino))
		return 0;
	grown = reallocarray(list->namespaces, list->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->namespaces = grown;
	grown[list->count++] = (struct ebb_netns){.inode = st.st_ino, .fd = TAKE_FD(*fd)};
	return 0;
}

static int add_process(struct ebb_netns_list *list, uint64_t own, uint32_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	if (pid == 0) {
		list->hidden++;
		return 0;
	}
	list->processes++;
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return add(list, own, &fd);
	if (errno == EACCES || errno == EPERM)
		list->refused++;
	/* ENOENT, ESRCH: it has ended */
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
}

static int add_processes(struct ebb_netns_list *list, uint64_t own, int directory)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char line[32];
	uint32_t pid;
	int r;

	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	fd = -1;
	/* a threaded cgroup (EOPNOTSUPP) has its processes listed at its root, which is above */
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (ebb_parse_u32(line, &pid) < 0)
			continue;
		r = add_process(list, own, pid);
		if (r < 0)
			return r;
	}
	return 0;
}

static int walk(struct ebb_netns_list *list, uint64_t own, int *fd, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *entry;
	int r;

	r = add_processes(list, own, *fd);
	if (r < 0)
		return r;
	d = fdopendir(*fd);
	if (!d)
		return -errno;
	*fd = -1;
	while (depth < DEPTH_MAX && (entry = readdir(d))) {
		_cleanup_close_ int below = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		below = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			continue; /* removed meanwhile */
		r = walk(list, own, &below, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int ebb_netns_below(const char *cgroup, struct ebb_netns_list *ret_list)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ebb_netns_list list = {0};
	struct stat own;
	int r;

	if (fd < 0 || stat("/proc/self/ns/net", &own) < 0)
		return -errno;
	r = walk(&list, own.st_ino, &fd, 0);
	if (r < 0) {
		ebb_netns_list_done(&list);
		return r;
	}
	*ret_list = list;
	return 0;
}

void ebb_netns_list_done(struct ebb_netns_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		(void)close(list->namespaces[i].fd);
	free(list->namespaces);
	*list = (struct ebb_netns_list){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/units.h"

static bool is_known(const struct ebb_netns_list *list, uint64_t inode)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->namespaces[i].inode == inode)
			return true;
	}
	return false;
}

/* 1: it is a new one, and the list owns @fd. */
static int add(struct ebb_netns_list *list, uint64_t own, int fd)
{
	struct ebb_netns *grown;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino == own || is_known(list, st.st_ino))
		return 0;
	grown = reallocarray(list->namespaces, list->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->namespaces = grown;
	grown[list->count++] = (struct ebb_netns){.inode = st.st_ino, .fd = fd};
	return 1;
}

static int add_process(struct ebb_netns_list *list, uint64_t own, uint32_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	int r;

	if (pid == 0) {
		list->hidden++;
		return 0;
	}
	list->processes++;
	(void)snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EACCES || errno == EPERM)
			list->refused++;
		/* ENOENT, ESRCH: it has ended */
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	}
	r = add(list, own, fd);
	if (r == 1)
		(void)TAKE_FD(fd);
	return r < 0 ? r : 0;
}

static int add_processes(struct ebb_netns_list *list, uint64_t own, const char *cgroup)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX], line[32];
	uint32_t pid;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
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

static int walk(struct ebb_netns_list *list, uint64_t own, char *cgroup)
{
	char *const roots[] = {cgroup, NULL};
	const FTSENT *entry;
	FTS *tree;
	int r = 0;

	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!tree)
		return -errno;
	/* what cannot be read is a cgroup that was removed meanwhile */
	while (r == 0 && (entry = fts_read(tree))) {
		if (entry->fts_info == FTS_D)
			r = add_processes(list, own, entry->fts_path);
	}
	(void)fts_close(tree);
	return r;
}

int ebb_netns_below(const char *cgroup, struct ebb_netns_list *ret_list)
{
	_cleanup_free_ char *root = strdup(cgroup);
	struct ebb_netns_list list = {0};
	struct stat own;
	int r;

	if (!root)
		return -ENOMEM;
	if (stat("/proc/self/ns/net", &own) < 0 || access(root, R_OK) < 0)
		return -errno;
	r = walk(&list, own.st_ino, root);
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

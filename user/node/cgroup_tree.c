/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "node/cgroup.h"

#define DEPTH_MAX     64 /* as many descriptors are open at once; kubelet's own pods are five deep */
#define LINKS_OF_LEAF 2	 /* its name and its "."; each directory below has a ".." */

struct walk {
	ebb_cgroup_met_fn met;
	void *userdata;
	size_t length;
	char path[EBB_CGROUP_PATH_MAX];
};

static int walk_directory(struct walk *w, int fd, unsigned int depth);

/*
 * One name of a directory, where it is a directory itself. One without directories below is not opened: to list the
 * files of a cgroup takes the kernel ten times as long, and most cgroups are such leaves.
 */
static int walk_below(struct walk *w, int directory, const struct dirent *item, unsigned int depth)
{
	size_t before = w->length, name = strlen(item->d_name);
	struct stat st;
	int fd, r;

	if (item->d_type != DT_DIR || strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
	    before + name + 2 > sizeof(w->path))
		return 0;
	if (fstatat(directory, item->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0; /* it is gone */
	w->path[before] = '/';
	memcpy(w->path + before + 1, item->d_name, name + 1);
	w->length = before + 1 + name;
	if (st.st_nlink == LINKS_OF_LEAF) {
		r = w->met(w->userdata, st.st_ino, w->path);
	} else {
		fd = openat(directory, item->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* it is gone, or its owner lets nobody in; out of descriptors is another matter */
		if (fd < 0)
			r = errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
		else
			r = walk_directory(w, fd, depth);
	}
	w->length = before;
	w->path[before] = '\0';
	return r;
}

/* @fd is closed. */
static int walk_directory(struct walk *w, int fd, unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	const struct dirent *item;
	struct stat st;
	int r;

	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	if (fstat(dirfd(dir), &st) < 0)
		return 0;
	r = w->met(w->userdata, st.st_ino, w->length > 0 ? w->path : "/");
	while (r == 0 && depth < DEPTH_MAX && (item = readdir(dir)))
		r = walk_below(w, dirfd(dir), item, depth + 1);
	return r;
}

int ebb_cgroup_walk(int fd, ebb_cgroup_met_fn met, void *userdata)
{
	struct walk w = {.met = met, .userdata = userdata};
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return own < 0 ? -errno : walk_directory(&w, own, 0);
}

struct taking {
	struct ebb_cgroup_ids *ids;
	size_t size;
};

static int take_id(void *userdata, uint64_t id, const char *path)
{
	struct taking *t = userdata;
	size_t size = t->size ? 2 * t->size : 256;
	uint64_t *list = t->ids->list;

	(void)path;
	if (t->ids->count == t->size) {
		list = reallocarray(list, size, sizeof(*list));
		if (!list)
			return -ENOMEM;
		t->ids->list = list;
		t->size = size;
	}
	list[t->ids->count++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

int ebb_cgroup_ids_take_at(int fd, struct ebb_cgroup_ids *ret_ids)
{
	struct ebb_cgroup_ids ids = {};
	struct taking t = {.ids = &ids};
	int r = ebb_cgroup_walk(fd, take_id, &t);

	if (r < 0) {
		ebb_cgroup_ids_done(&ids);
		return r;
	}
	qsort(ids.list, ids.count, sizeof(*ids.list), compare_ids);
	*ret_ids = ids;
	return 0;
}

void ebb_cgroup_ids_done(struct ebb_cgroup_ids *ids)
{
	free(ids->list);
	*ids = (struct ebb_cgroup_ids){};
}

bool ebb_cgroup_ids_have(const struct ebb_cgroup_ids *ids, uint64_t id)
{
	return bsearch(&id, ids->list, ids->count, sizeof(id), compare_ids) != NULL;
}

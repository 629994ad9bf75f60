/* SPDX-License-Identifier: Apache-2.0 */
#include "node/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "node/cgroup.h"

#define DEPTH_MAX 32 /* as many descriptors are open at once; kubelet's own pods are five deep */

struct walk {
	ebb_cgroup_met_fn met;
	void *userdata;
	size_t length;
	char path[EBB_CGROUP_PATH_MAX];
};

static int walk_directory(struct walk *w, int fd, unsigned int depth);

/* One name of a directory, where it is a directory itself. */
static int walk_below(struct walk *w, int directory, const struct dirent *item, unsigned int depth)
{
	size_t before = w->length, name = strlen(item->d_name);
	int fd, r;

	if (item->d_type != DT_DIR || strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
	    before + name + 2 > sizeof(w->path))
		return 0;
	fd = openat(directory, item->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0; /* it is gone */
	w->path[before] = '/';
	memcpy(w->path + before + 1, item->d_name, name + 1);
	w->length = before + 1 + name;
	r = walk_directory(w, fd, depth);
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

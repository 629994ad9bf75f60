/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lost.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

const char *ebb_lost_how_name(enum ebb_lost_how how)
{
	static const char *const names[EBB_LOST_MAX] = {
		[EBB_LOST_DETACHED] = "detached",
		[EBB_LOST_UNPINNED] = "unpinned",
		[EBB_LOST_REPLACED] = "replaced",
	};

	return names[how];
}

bool ebb_link_is_lost(const char *path, uint32_t program_id, uint64_t cgroup_id, enum ebb_lost_how *ret_how)
{
	struct bpf_link_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0) {
		*ret_how = EBB_LOST_UNPINNED;
		return fd == -ENOENT;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &info_size) < 0)
		return false;
	/* forced off, or its cgroup was removed: id 0 */
	*ret_how = info.cgroup.cgroup_id == 0 ? EBB_LOST_DETACHED : EBB_LOST_REPLACED;
	return info.cgroup.cgroup_id != cgroup_id || info.prog_id != program_id;
}

bool ebb_map_is_lost(const char *path, uint32_t map_id, enum ebb_lost_how *ret_how)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0) {
		*ret_how = EBB_LOST_UNPINNED;
		return fd == -ENOENT;
	}
	*ret_how = EBB_LOST_REPLACED;
	return bpf_obj_get_info_by_fd(fd, &info, &info_size) == 0 && info.id != map_id;
}

bool ebb_path_is_lost(const char *path, int fd, enum ebb_lost_how *ret_how)
{
	struct stat there, ours;

	if (stat(path, &there) < 0) {
		*ret_how = EBB_LOST_UNPINNED;
		return errno == ENOENT;
	}
	*ret_how = EBB_LOST_REPLACED;
	return fd >= 0 && fstat(fd, &ours) == 0 &&
	       (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev);
}

/* By rename; dots are not possible in names of a bpf file system. */
int ebb_pin_put(const char *dir, const char *prefix, const char *name, int fd)
{
	char path[EBB_PIN_PATH_MAX], next[EBB_PIN_PATH_MAX], next_name[EBB_PIN_PATH_MAX];
	int r;

	(void)snprintf(next_name, sizeof(next_name), "next_%s", name);
	r = ebb_pin_path(dir, prefix, name, path, sizeof(path));
	if (r == 0)
		r = ebb_pin_path(dir, prefix, next_name, next, sizeof(next));
	if (r < 0)
		return r;
	/* of one who was killed between the two */
	(void)unlink(next);
	r = bpf_obj_pin(fd, next);
	if (r < 0)
		return r;
	if (rename(next, path) < 0) {
		r = -errno;
		(void)unlink(next);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/packets.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

/* 1: a link is pinned and works; 0: none. One whose cgroup was removed is taken away. */
static int find_link(const char *path)
{
	struct bpf_link_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = bpf_obj_get(path);
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	if (r < 0)
		return r;
	if (info.cgroup.cgroup_id != 0)
		return 1;
	return unlink(path) < 0 ? -errno : 0;
}

int ebb_packets_attach(const char *pin_dir, int cgroup_fd, struct ebb_why *why)
{
	const char *hook = ebb_hook_names[EBB_HOOK_EGRESS];
	_cleanup_close_ int program = -1, link = -1;
	char path[EBB_PIN_PATH_MAX], link_path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(pin_dir, EBB_PROGRAM_PREFIX, hook, path, sizeof(path));
	if (r == 0)
		r = ebb_pin_path(pin_dir, EBB_LINK_PREFIX, hook, link_path, sizeof(link_path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	r = find_link(link_path);
	if (r < 0)
		return ebb_why(why, r, "cannot look at '%s': %s", link_path, ebb_strerror(r));
	if (r > 0)
		return 0;
	program = bpf_obj_get(path);
	if (program < 0)
		return ebb_why(why, program, "cannot open '%s': %s", path, ebb_strerror(program));
	link = bpf_link_create(program, cgroup_fd, BPF_CGROUP_INET_EGRESS, NULL);
	if (link < 0)
		return ebb_why(why, link, "cannot attach %s: %s", hook, ebb_strerror(link));
	r = bpf_obj_pin(link, link_path);
	/* the agent was faster: its link stays, ours goes with its descriptor */
	if (r < 0 && r != -EEXIST)
		return ebb_why(why, r, "cannot pin '%s': %s", link_path, ebb_strerror(r));
	return 0;
}

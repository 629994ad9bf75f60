/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf/abi.h"
#include "lib/cleanup.h"

const char *const ebb_hook_names[EBB_HOOK_MAX] = {
	[EBB_HOOK_RELEASE] = "release",	  [EBB_HOOK_SOCKOPS] = "sockops",   [EBB_HOOK_SENDMSG6] = "sendmsg6",
	[EBB_HOOK_SENDMSG4] = "sendmsg4", [EBB_HOOK_CONNECT6] = "connect6", [EBB_HOOK_CONNECT4] = "connect4",
	[EBB_HOOK_EGRESS] = "egress",	  [EBB_HOOK_INGRESS] = "ingress",   [EBB_HOOK_TURNS] = "turns",
};

int ebb_pin_path(const char *dir, const char *prefix, const char *name, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/%s%s", dir, prefix, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The layout in a map's name, "ebb_gate_v2" -> 1; 0: not a map of ours. */
static uint32_t map_layout(const char *name)
{
	unsigned int version;
	char noun[16], rest;

	if (sscanf(name, "ebb_%15[a-z]_v%u%c", noun, &version, &rest) != 2)
		return 0;
	return version;
}

static bool is_link(const char *name)
{
	return strncmp(name, EBB_LINK_PREFIX, strlen(EBB_LINK_PREFIX)) == 0;
}

static bool is_program(const char *name)
{
	return strncmp(name, EBB_PROGRAM_PREFIX, strlen(EBB_PROGRAM_PREFIX)) == 0;
}

static int open_dir(const char *dir, DIR **ret, struct ebb_why *why)
{
	DIR *opened = opendir(dir);

	if (!opened) {
		int r = -errno;

		if (r == -ENOENT)
			return ebb_why(why, r, "nothing is pinned in '%s': start the agent with 'ebb run'",
				       dir);
		if (r == -EACCES || r == -EPERM)
			return ebb_why(why, r, "not permitted to read '%s': run as root", dir);
		return ebb_why(why, r, "cannot read '%s': %s", dir, ebb_strerror(r));
	}
	*ret = opened;
	return 0;
}

int ebb_pins_scan(const char *dir, struct ebb_pins *ret_pins, struct ebb_why *why)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct ebb_pins pins = {0};
	const struct dirent *entry;
	int r;

	r = open_dir(dir, &d, why);
	if (r < 0)
		return r;
	while ((entry = readdir(d))) {
		uint32_t layout = map_layout(entry->d_name);

		if (layout == EBB_ABI_VERSION)
			pins.maps++;
		else if (layout > pins.other_layout)
			pins.other_layout = layout;
		else if (is_link(entry->d_name))
			pins.links++;
	}
	*ret_pins = pins;
	return 0;
}

int ebb_pin_detach_link(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);

	/* at once, not when the last descriptor goes; a dead cgroup has detached already */
	if (fd >= 0)
		(void)bpf_link_detach(fd);
	return unlink(path) < 0 ? -errno : 0;
}

/* A kind of entry of the directory. */
typedef bool (*which_fn)(const char *name);

static bool is_ours(const char *name)
{
	return is_link(name) || is_program(name) || map_layout(name);
}

static bool is_map_of_our_layout(const char *name)
{
	return map_layout(name) == EBB_ABI_VERSION;
}

static bool is_left_over(const char *name)
{
	uint32_t layout = map_layout(name);

	if (!is_link(name))
		return layout && layout != EBB_ABI_VERSION;
	for (int h = 0; h < EBB_HOOK_MAX; h++) {
		if (strcmp(name + strlen(EBB_LINK_PREFIX), ebb_hook_names[h]) == 0)
			return false;
	}
	return true;
}

static int remove_pins(const char *dir, which_fn which, size_t *ret_count, struct ebb_why *why)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *entry;
	char path[EBB_PIN_PATH_MAX];
	size_t count = 0;
	int r;

	r = open_dir(dir, &d, why);
	if (r < 0)
		return r;
	while ((entry = readdir(d))) {
		if (!which(entry->d_name))
			continue;
		r = ebb_pin_path(dir, "", entry->d_name, path, sizeof(path));
		if (r < 0)
			return ebb_why(why, r, "cannot remove '%s/%s': %s", dir, entry->d_name,
				       ebb_strerror(r));
		r = is_link(entry->d_name) ? ebb_pin_detach_link(path) : unlink(path) < 0 ? -errno : 0;
		if (r < 0)
			return ebb_why(why, r, "cannot remove '%s': %s", path, ebb_strerror(r));
		count++;
	}
	*ret_count = count;
	return 0;
}

int ebb_pins_remove(const char *dir, size_t *ret_count, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = remove_pins(dir, is_ours, ret_count, why);
	if (r < 0)
		return r;
	if (ebb_pin_path(dir, "", EBB_POLICY_LOCK, path, sizeof(path)) == 0)
		(void)rmdir(path);
	if (ebb_pin_path(dir, "", EBB_RECORD_LOCK, path, sizeof(path)) == 0)
		(void)rmdir(path);
	/* stays when somebody else keeps something in it */
	(void)rmdir(dir);
	return 0;
}

int ebb_pins_remove_ours(const char *dir, struct ebb_why *why)
{
	size_t count;

	return remove_pins(dir, is_map_of_our_layout, &count, why);
}

int ebb_pins_remove_others(const char *dir, struct ebb_why *why)
{
	size_t count;

	return remove_pins(dir, is_left_over, &count, why);
}

int ebb_pins_lock(const char *dir, int *ret_fd, struct ebb_why *why)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		if (r == -EACCES || r == -EPERM)
			return ebb_why(why, r, "not permitted to open '%s': run as root", dir);
		return ebb_why(why, r, "cannot open '%s': %s", dir, ebb_strerror(r));
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		if (r == -EWOULDBLOCK)
			return ebb_why(why, -EBUSY,
				       "another agent runs on pin directory '%s': stop it, or choose another with --pin",
				       dir);
		return ebb_why(why, r, "cannot lock '%s': %s", dir, ebb_strerror(r));
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of mountinfo (proc_pid_mountinfo(5)); " \t\n\\" in a path are octal escapes:
 *
 *	41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
 *	|  |  |    | |                      |           |        | |
 *	id up dev  | mount point            options     0 to n   | type
 *	           root of the mount                    of these separator
 *
 * The id of a cgroup2 directory is its inode number, and the 8 bytes of its
 * file handle: so an id from BPF is opened, and its path read, without a walk. Without CAP_DAC_READ_SEARCH, which
 * the agent gives up, the kernel opens no handles, and an id that is not remembered costs a walk over the tree, which
 * remembers all it meets.
 */
#include "node/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "lib/text.h"
#include "node/cgroup_tree.h"
#include "node/tag.h"

/* an insertion that finds no memory leaves the entry out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define HANDLE_TYPE_KERNFS 0xfe /* FILEID_KERNFS (5.5); not in any user header */
#define NAMES_MAX	   16384
#define DELETED		   " (deleted)"

/* ------------------------------------------------------------- mounts -- */

/* Undoes "\040" and the like in place. */
static void unescape_octal(char *text)
{
	char *to = text;

	for (const char *s = text; *s; to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

/*
 * How much of the hierarchy a mount with this root shows. "/" is the root of
 * our cgroup namespace, "/../.." lies above it, "/a/b" below.
 */
static int height_of_root(const char *root)
{
	int height = 0;

	for (const char *s = root; *s;) {
		size_t length;

		s += strspn(s, "/");
		length = strcspn(s, "/");
		if (length == 2 && s[0] == '.' && s[1] == '.')
			height++;
		else if (length > 0)
			height--;
		s += length;
	}
	return height;
}

/* Splits one line in place. False: not a line of mountinfo. */
static bool split_mount_line(char *line, char **ret_root, char **ret_point, const char **ret_type)
{
	char *rest = NULL, *field = strtok_r(line, " \n", &rest);
	char *root = NULL, *point = NULL;

	for (int i = 1; field && i <= 6; i++) {
		if (i == 4)
			root = field;
		else if (i == 5)
			point = field;
		field = strtok_r(NULL, " \n", &rest);
	}
	while (field && strcmp(field, "-") != 0)
		field = strtok_r(NULL, " \n", &rest);
	if (!field)
		return false;
	field = strtok_r(NULL, " \n", &rest);
	if (!field)
		return false;
	unescape_octal(root);
	unescape_octal(point);
	*ret_root = root;
	*ret_point = point;
	*ret_type = field;
	return true;
}

int ebb_cgroup_parse_mounts(FILE *mountinfo, struct ebb_cgroup_mounts *ret_mounts)
{
	struct ebb_cgroup_mounts mounts = {};
	_cleanup_free_ char *line = NULL;
	size_t line_size = 0;
	int best = INT_MIN;

	while (errno = 0, getline(&line, &line_size, mountinfo) >= 0) {
		char *root, *point;
		const char *type;
		int height;

		if (!split_mount_line(line, &root, &point, &type))
			continue;
		if (strcmp(type, "cgroup") == 0)
			mounts.v1 = true;
		if (strcmp(type, "cgroup2") != 0 || strlen(point) >= sizeof(mounts.path))
			continue;
		height = height_of_root(root);
		if (height > best) {
			best = height;
			(void)snprintf(mounts.path, sizeof(mounts.path), "%s", point);
		}
	}
	if (ferror(mountinfo) || errno == ENOMEM)
		return errno ? -errno : -EIO;
	*ret_mounts = mounts;
	return 0;
}

int ebb_cgroup_mounts(struct ebb_cgroup_mounts *ret_mounts, struct ebb_why *why)
{
	_cleanup_fclose_ FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	int r;

	r = mountinfo ? ebb_cgroup_parse_mounts(mountinfo, ret_mounts) : -errno;
	if (r < 0)
		return ebb_why(why, r, "cannot read /proc/self/mountinfo: %s: mount proc at /proc",
			       ebb_strerror(r));
	return 0;
}

int ebb_cgroup_mount(char *ret_path, size_t size, struct ebb_why *why)
{
	struct ebb_cgroup_mounts mounts;
	int r;

	r = ebb_cgroup_mounts(&mounts, why);
	if (r < 0)
		return r;
	if (!mounts.path[0])
		return ebb_why(why, -ENOENT,
			       "cgroup2 is not mounted here: mount it with 'mount -t cgroup2 none /sys/fs/cgroup'%s",
			       mounts.v1 ? " at a place beside the cgroup v1 controllers" : "");
	if (strlen(mounts.path) >= size)
		return ebb_why(why, -ENAMETOOLONG, "the mount point of cgroup2 is too long: '%s'",
			       mounts.path);
	(void)snprintf(ret_path, size, "%s", mounts.path);
	return 0;
}

/* Where kubelet puts pods: by cgroup driver (systemd, cgroupfs), and with a cgroup root of its own (kind). */
static const char *const pod_cgroups[] = {
	"kubepods.slice",
	"kubepods",
	"kubelet.slice/kubelet-kubepods.slice",
	"kubelet/kubepods",
};

int ebb_cgroup_auto_below(const char *mount, char *ret_path, size_t size)
{
	const char *separator = strcmp(mount, "/") == 0 ? "" : "/";
	char path[PATH_MAX];
	size_t length;

	for (size_t i = 0; i < sizeof(pod_cgroups) / sizeof(pod_cgroups[0]); i++) {
		struct stat st;
		int n = snprintf(path, sizeof(path), "%s%s%s", mount, separator, pod_cgroups[i]);

		if (n < 0 || (size_t)n >= sizeof(path))
			return -ENAMETOOLONG;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			if ((size_t)n >= size)
				return -ENAMETOOLONG;
			memcpy(ret_path, path, (size_t)n + 1);
			return 0;
		}
	}
	length = strlen(mount);
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, mount, length + 1);
	return 0;
}

int ebb_cgroup_auto(char *ret_path, size_t size, struct ebb_why *why)
{
	char mount[EBB_CGROUP_PATH_MAX];
	int r;

	r = ebb_cgroup_mount(mount, sizeof(mount), why);
	if (r < 0)
		return r;
	r = ebb_cgroup_auto_below(mount, ret_path, size);
	if (r < 0)
		return ebb_why(why, r, "the path of a cgroup below '%s' is too long", mount);
	return 0;
}

int ebb_cgroup_open(const char *path, int *ret_fd, uint64_t *ret_id, struct ebb_why *why)
{
	_cleanup_close_ int fd = -1;
	char mount[EBB_CGROUP_PATH_MAX];
	struct statfs fs;
	struct stat st;

	if (ebb_cgroup_mount(mount, sizeof(mount), NULL) < 0)
		(void)snprintf(mount, sizeof(mount), "/sys/fs/cgroup");

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		if (r == -ENOENT)
			return ebb_why(why, r, "there is no cgroup '%s': create it, or pass one below %s",
				       path, mount);
		if (r == -ENOTDIR)
			return ebb_why(why, r, "'%s' is not a cgroup2 directory: pass one below %s", path,
				       mount);
		if (r == -EACCES || r == -EPERM)
			return ebb_why(why, r, "cannot open cgroup '%s': %s: run as root", path,
				       ebb_strerror(r));
		return ebb_why(why, r, "cannot open cgroup '%s': %s", path, ebb_strerror(r));
	}
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0) {
		int r = -errno;

		return ebb_why(why, r, "cannot look at cgroup '%s': %s", path, ebb_strerror(r));
	}
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return ebb_why(why, -ENOTDIR, "'%s' is not a cgroup2 directory: pass one below %s", path,
			       mount);
	*ret_id = st.st_ino;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Asks the kernel: id -> file handle -> descriptor. */
static int open_by_id(int mount_fd, uint64_t id, int flags)
{
	_Alignas(struct file_handle) char memory[sizeof(struct file_handle) + sizeof(id)];
	struct file_handle *handle = (struct file_handle *)memory;
	int fd;

	handle->handle_bytes = sizeof(id);
	handle->handle_type = HANDLE_TYPE_KERNFS;
	memcpy(handle->f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, handle, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ebb_cgroup_open_id(uint64_t id, int *ret_fd, struct ebb_why *why)
{
	char mount[EBB_CGROUP_PATH_MAX];
	_cleanup_close_ int mount_fd = -1;
	int fd, r;

	r = ebb_cgroup_mount(mount, sizeof(mount), why);
	if (r < 0)
		return r;
	mount_fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount_fd < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot open '%s': %s", mount, ebb_strerror(r));
	}
	fd = open_by_id(mount_fd, id, O_RDONLY | O_DIRECTORY);
	if (fd == -ESTALE)
		return ebb_why(why, fd, "the cgroup that programs were attached to is gone");
	if (fd < 0)
		return ebb_why(why, fd, "cannot open the cgroup that programs are attached to: %s",
			       ebb_strerror(fd));
	*ret_fd = fd;
	return 0;
}

/* -------------------------------------------------------------- names -- */

struct name_entry {
	uint64_t id;
	struct ebb_tag *tag; /* of its pod; NULL: nobody asked */
	UT_hash_handle hh;
	char name[];
};

struct ebb_cgroup_names {
	struct name_entry *table;
	size_t max;
	ebb_cgroup_resolve_fn resolve;
	void *userdata;
	const struct ebb_pods *pods;	   /* NULL: paths are names */
	int mount_fd;			   /* -1: no cgroup2 here */
	char mount[EBB_CGROUP_PATH_MAX];   /* without a slash at its end; "" for "/" */
	char scratch[EBB_CGROUP_PATH_MAX]; /* a name that is not remembered */
};

/* From the descriptor to the path. */
static int resolve_by_handle(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	const struct ebb_cgroup_names *names = userdata;
	_cleanup_close_ int fd = -1;
	char link[64], path[PATH_MAX];
	size_t length, prefix = strlen(names->mount);
	ssize_t n;

	if (names->mount_fd < 0)
		return -ESTALE;
	fd = open_by_id(names->mount_fd, id, O_PATH);
	if (fd < 0)
		return fd;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	length = (size_t)n;
	path[length] = '\0';

	/* removed while we looked: what stands before the mark is its last name */
	if (length > strlen(DELETED) && strcmp(path + length - strlen(DELETED), DELETED) == 0 &&
	    access(path, F_OK) < 0)
		path[length -= strlen(DELETED)] = '\0';

	/* outside of the mount: nothing that could be shown as a path below it */
	if (length < prefix || strncmp(path, names->mount, prefix) != 0 ||
	    (path[prefix] != '/' && path[prefix] != '\0'))
		return -ESTALE;
	if (length == prefix)
		return snprintf(ret_path, size, "/") < (int)size ? 0 : -ENAMETOOLONG;
	if (length - prefix >= size)
		return -ESTALE;
	memcpy(ret_path, path + prefix, length - prefix + 1);
	return 0;
}

int ebb_cgroup_names_new_from(ebb_cgroup_resolve_fn resolve, void *userdata, size_t max,
			      struct ebb_cgroup_names **ret_names)
{
	struct ebb_cgroup_names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names->mount_fd = -1;
	names->resolve = resolve;
	names->userdata = userdata;
	names->max = max;
	*ret_names = names;
	return 0;
}

int ebb_cgroup_names_new(struct ebb_cgroup_names **ret_names)
{
	struct ebb_cgroup_names *names;
	size_t length;
	int r;

	r = ebb_cgroup_names_new_from(resolve_by_handle, NULL, NAMES_MAX, &names);
	if (r < 0)
		return r;
	names->userdata = names;
	/* without a mount every name is the id: the numbers are still worth showing */
	if (ebb_cgroup_mount(names->mount, sizeof(names->mount), NULL) == 0) {
		names->mount_fd = open(names->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		length = strlen(names->mount);
		if (length > 0 && names->mount[length - 1] == '/')
			names->mount[length - 1] = '\0';
	}
	*ret_names = names;
	return 0;
}

static void forget_all(struct ebb_cgroup_names *names)
{
	struct name_entry *entry, *next;

	HASH_ITER (hh, names->table, entry, next) {
		HASH_DEL(names->table, entry);
		ebb_tag_free(entry->tag);
		free(entry);
	}
}

void ebb_cgroup_names_free(struct ebb_cgroup_names *names)
{
	if (!names)
		return;
	forget_all(names);
	if (names->mount_fd >= 0)
		(void)close(names->mount_fd);
	free(names);
}

void ebb_cgroup_names_use(struct ebb_cgroup_names *names, const struct ebb_pods *pods)
{
	names->pods = pods;
}

/* Remembers a name; NULL when there is no memory for it. */
static struct name_entry *remember(struct ebb_cgroup_names *names, uint64_t id, const char *name)
{
	struct name_entry *entry;
	size_t size = strlen(name) + 1;

	/* whole, not one by one: no order to keep, and what is in use is back after one look-up each */
	if (HASH_COUNT(names->table) >= names->max)
		forget_all(names);
	entry = calloc(1, sizeof(*entry) + size);
	if (!entry)
		return NULL;
	entry->id = id;
	memcpy(entry->name, name, size);
	HASH_ADD(hh, names->table, id, sizeof(entry->id), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

int ebb_cgroup_ids_take(const struct ebb_cgroup_names *names, struct ebb_cgroup_ids *ret_ids)
{
	return names->mount_fd < 0 ? -ENOENT : ebb_cgroup_ids_take_at(names->mount_fd, ret_ids);
}

static struct name_entry *find(const struct ebb_cgroup_names *names, uint64_t id)
{
	struct name_entry *entry;

	HASH_FIND(hh, names->table, &id, sizeof(id), entry);
	return entry;
}

/* Ends the walk before the table would be emptied by it. */
static int remember_met(void *userdata, uint64_t id, const char *path)
{
	struct ebb_cgroup_names *names = userdata;

	if (find(names, id))
		return 0;
	if (HASH_COUNT(names->table) >= names->max)
		return -ENOSPC;
	(void)ebb_text_escape(path, names->scratch, sizeof(names->scratch));
	return remember(names, id, names->scratch) ? 0 : -ENOMEM;
}

/* NULL: it is not in the tree, or the table is full. */
static struct name_entry *find_by_walk(struct ebb_cgroup_names *names, uint64_t id)
{
	if (names->mount_fd < 0)
		return NULL;
	if (HASH_COUNT(names->table) >= names->max)
		forget_all(names);
	(void)ebb_cgroup_walk(names->mount_fd, remember_met, names);
	return find(names, id);
}

/* NULL: it is not remembered; its name is in names->scratch. */
static struct name_entry *look_up(struct ebb_cgroup_names *names, uint64_t id)
{
	struct name_entry *entry = find(names, id);
	char path[EBB_CGROUP_PATH_MAX];
	int r;

	if (entry)
		return entry;

	/* ids are never used twice and directories of cgroup2 never renamed: what is known stays true */
	r = names->resolve(names->userdata, id, path, sizeof(path));
	if (r == -EPERM)
		entry = find_by_walk(names, id);
	if (entry)
		return entry;
	if (r == 0)
		(void)ebb_text_escape(path, names->scratch, sizeof(names->scratch));
	else
		(void)snprintf(names->scratch, sizeof(names->scratch), EBB_CGROUP_GONE "%" PRIu64, id);
	if (r < 0 && r != -ESTALE && r != -EPERM)
		return NULL;
	return remember(names, id, names->scratch);
}

const char *ebb_cgroup_path_name(struct ebb_cgroup_names *names, uint64_t id)
{
	const struct name_entry *entry = look_up(names, id);

	return entry ? entry->name : names->scratch;
}

const struct ebb_tag *ebb_cgroup_tag(struct ebb_cgroup_names *names, uint64_t id)
{
	struct name_entry *entry = names->pods ? look_up(names, id) : NULL;

	if (!entry)
		return NULL;
	ebb_tag_update(&entry->tag, names->pods, entry->name);
	return entry->tag;
}

const char *ebb_cgroup_name(struct ebb_cgroup_names *names, uint64_t id)
{
	const struct ebb_tag *tag = ebb_cgroup_tag(names, id);

	return tag && tag->name ? tag->name : ebb_cgroup_path_name(names, id);
}

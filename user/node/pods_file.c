/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pods_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define SIZE_LIMIT (16U << 20)

/* "/sys/fs/bpf/ebb" becomes "/run/ebb/sys-fs-bpf-ebb.pods". */
static int path_of(const char *pin_dir, const char *suffix, char path[PATH_MAX])
{
	size_t prefix = strlen(EBB_PODS_DIR "/");
	int length;

	pin_dir += strspn(pin_dir, "/");
	length = snprintf(path, PATH_MAX, EBB_PODS_DIR "/%s", pin_dir);
	while (length > (int)prefix && length < PATH_MAX && path[length - 1] == '/')
		path[--length] = '\0';
	if (length + (int)strlen(suffix) >= PATH_MAX)
		return -ENAMETOOLONG;
	for (char *c = path + prefix; *c; c++)
		*c = (char)(*c == '/' ? '-' : *c);
	memcpy(path + length, suffix, strlen(suffix) + 1);
	return 0;
}

static int write_whole(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

int ebb_pods_save(const struct ebb_pods *pods, const char *pin_dir)
{
	_cleanup_free_ char *text = ebb_pods_text(pods);
	char path[PATH_MAX], fresh[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = path_of(pin_dir, ".pods", path);

	if (r == 0)
		r = path_of(pin_dir, ".pods.new", fresh);
	if (r < 0)
		return r;
	if (!text)
		return -ENOMEM;
	if (mkdir(EBB_PODS_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, text);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(fresh);
	return r;
}

static int read_whole(const char *path, char **ret_text, size_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t used = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > SIZE_LIMIT)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (used < (size_t)st.st_size) {
		ssize_t n = read(fd, text + used, (size_t)st.st_size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*ret_size = used;
	*ret_text = TAKE_PTR(text);
	return 0;
}

int ebb_pods_load(const char *pin_dir, struct ebb_pods **ret_pods)
{
	_cleanup_free_ char *text = NULL;
	struct ebb_pod_list *list = NULL;
	struct ebb_pods *pods = NULL;
	char path[PATH_MAX];
	size_t size = 0;
	int r = path_of(pin_dir, ".pods", path);

	if (r == 0)
		r = read_whole(path, &text, &size);
	if (r == 0)
		r = ebb_pod_list_parse(text, size, &list, NULL);
	if (r < 0)
		return r;
	r = ebb_pods_new(&pods);
	if (r == 0) {
		ebb_pods_replace(pods, list, 1);
		*ret_pods = pods;
	}
	ebb_pod_list_free(list);
	return r;
}

void ebb_pods_unsave(const char *pin_dir)
{
	char path[PATH_MAX];

	if (path_of(pin_dir, ".pods", path) == 0)
		(void)unlink(path);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/own_dir.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int ebb_own_dir(const char *path, struct ebb_why *why)
{
	struct stat st;
	int r;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST) {
		r = -errno;
		return ebb_why(why, r, "cannot make the directory %s: %s", path, ebb_strerror(r));
	}
	if (stat(path, &st) < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot look at the directory %s: %s", path, ebb_strerror(r));
	}
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return ebb_why(why, -EPERM,
			       "the directory %s belongs to user %u, who could replace what is kept there: give it to root",
			       path, st.st_uid);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of a test's own, below $TMPDIR or /tmp, removed with all that is in it. */
#ifndef EBB_TESTS_LIB_TEMP_DIR_H
#define EBB_TESTS_LIB_TEMP_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define TEMP_DIR_MAX 64 /* of its path */

/* Makes ".../ebb-test-@name-XXXXXX". 0, or -1. */
static inline int temp_dir_make(const char *name, char ret_path[TEMP_DIR_MAX])
{
	const char *above = getenv("TMPDIR");
	int n = snprintf(ret_path, TEMP_DIR_MAX, "%s/ebb-test-%s-XXXXXX", above ? above : "/tmp", name);

	return n < TEMP_DIR_MAX && mkdtemp(ret_path) ? 0 : -1;
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

/* 0, or -1. */
static inline int temp_dir_remove(const char *path)
{
	return nftw(path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif /* EBB_TESTS_LIB_TEMP_DIR_H */

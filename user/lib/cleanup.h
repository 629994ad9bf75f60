/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned locals clean themselves; ownership leaves through TAKE_FD and TAKE_PTR.
 */
#ifndef EBB_LIB_CLEANUP_H
#define EBB_LIB_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ebb_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void ebb_cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void ebb_cleanup_fclose(FILE *const *file)
{
	if (*file)
		(void)fclose(*file);
}

static inline void ebb_cleanup_closedir(DIR *const *dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static inline int ebb_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define _cleanup_close_	   __attribute__((cleanup(ebb_cleanup_close)))
#define _cleanup_free_	   __attribute__((cleanup(ebb_cleanup_free)))
#define _cleanup_fclose_   __attribute__((cleanup(ebb_cleanup_fclose)))
#define _cleanup_closedir_ __attribute__((cleanup(ebb_cleanup_closedir)))

#define TAKE_FD(fd) ebb_take_fd(&(fd))
#define TAKE_PTR(pointer)                               \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

#endif /* EBB_LIB_CLEANUP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches one file that people, editors and Kubernetes replace in their own ways:
 *
 *	rename over it            told by inotify on its directory: at once
 *	written in place          when the writer has closed it, and has not come back for a moment; one
 *	                          who keeps it open is waited for, ten minutes from the last write
 *	ConfigMap                 its '..data' is replaced by another symbolic link: at once
 *	on NFS, no inotify        seen by a look at the file every two seconds, once it stands still
 *
 * The directories watched are that of the path and that of the file it leads to, and that file; while they are
 * missing, the nearest one above. What is told is that the file may be another now; that it is
 * whole, nobody can know, but who writes it has let go of it.
 */
#ifndef EBB_AGENT_FOLLOW_H
#define EBB_AGENT_FOLLOW_H

#include <stdbool.h>
#include <sys/stat.h>

struct ebb_follow;

/*
 * @path is borrowed. @read_as: what it was when it was read, which is known (NULL: it was not there); if it is another
 * by now, that is told soon. 0 or a negative errno; without inotify (limits) the look every two seconds is all, which is
 * no error.
 */
int ebb_follow_new(const char *path, const struct stat *read_as, struct ebb_follow **ret_follow);
void ebb_follow_free(struct ebb_follow *follow);

/* Readable (EPOLLIN) when ebb_follow_take() has something to do; owned by the watch. */
int ebb_follow_fd(const struct ebb_follow *follow);

/* True: the file has come, gone, or changed since the last time. Never waits. */
bool ebb_follow_take(struct ebb_follow *follow);

/* Somebody has read the file for another reason: what is there now counts as known. */
void ebb_follow_known(struct ebb_follow *follow);

#endif /* EBB_AGENT_FOLLOW_H */

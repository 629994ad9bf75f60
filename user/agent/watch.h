/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches one file that people, editors and Kubernetes replace in their own ways:
 *
 *	rename over it            told by inotify on its directory: at once
 *	written in place          when the writer has closed it, and has not come back for a moment
 *	ConfigMap                 its '..data' is replaced by another symbolic link: at once
 *	bind-mounted, no inotify  seen by a look at the file every two seconds, once it stands still
 *
 * The directories watched are that of the path and that of the file it leads to; while they are
 * missing, the nearest one above. What is told is that the file may be another now; that it is
 * whole, nobody can know, but who writes it has let go of it.
 */
#ifndef EBB_AGENT_WATCH_H
#define EBB_AGENT_WATCH_H

#include <stdbool.h>

struct ebb_watch;

/*
 * @path is borrowed. What is there now counts as known. 0 or a negative errno; without inotify
 * (limits) the look every two seconds is all, which is no error.
 */
int ebb_watch_new(const char *path, struct ebb_watch **ret_watch);
void ebb_watch_free(struct ebb_watch *watch);

/* Readable (EPOLLIN) when ebb_watch_take() has something to do; owned by the watch. */
int ebb_watch_fd(const struct ebb_watch *watch);

/* True: the file has come, gone, or changed since the last time. Never waits. */
bool ebb_watch_take(struct ebb_watch *watch);

/* Somebody has read the file for another reason: what is there now counts as known. */
void ebb_watch_known(struct ebb_watch *watch);

#endif /* EBB_AGENT_WATCH_H */

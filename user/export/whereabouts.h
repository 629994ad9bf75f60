/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the audit log of an agent that runs really is: what its configuration file says may be something else by now, or
 * wrong, and then it goes on with what it had. It says so in a file without a name, which is found by who may look into it (as its
 * environment is, by root), and which is gone with it:
 *
 *	/proc/PID/fd/9 -> "/memfd:ebb-audit (deleted)"
 *	serial=7\0dir=/var/lib/ebb\0sqlite=/var/lib/ebb/audit.db\0file=\0keep=5\0host=db\0port=5432\0...serial=7\0
 *
 * Nothing else of the configuration stands there. Who reads while it is written sees two serials, and reads again.
 */
#ifndef EBB_EXPORT_WHEREABOUTS_H
#define EBB_EXPORT_WHEREABOUTS_H

#include <stdint.h>

#define EBB_WHEREABOUTS_PATH_MAX 512
#define EBB_WHEREABOUTS_WORD_MAX 256

struct ebb_whereabouts {
	char dir[EBB_WHEREABOUTS_PATH_MAX];    /* spool and dead letters are below it */
	char sqlite[EBB_WHEREABOUTS_PATH_MAX]; /* "": there is none */
	char file[EBB_WHEREABOUTS_PATH_MAX];   /* "": there is none */
	uint32_t keep;			       /* that were moved aside, beside the file */

	/* of PostgreSQL */
	char host[EBB_WHEREABOUTS_WORD_MAX]; /* "": there is none */
	uint32_t port;
	char database[EBB_WHEREABOUTS_WORD_MAX];
	char user[EBB_WHEREABOUTS_WORD_MAX];
	char password_file[EBB_WHEREABOUTS_PATH_MAX]; /* a path, no secret; "": there is none */
};

/* Nothing is said yet. The caller closes *@ret_fd; or a negative errno. */
int ebb_whereabouts_new(int *ret_fd);

int ebb_whereabouts_say(int fd, const struct ebb_whereabouts *whereabouts);

/* What process @pid says. -ENOENT: nothing; -EACCES and the like. */
int ebb_whereabouts_of(uint32_t pid, struct ebb_whereabouts *ret_whereabouts);

#endif /* EBB_EXPORT_WHEREABOUTS_H */

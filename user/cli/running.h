/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent that runs was told: its command line, its environment, its file, found through
 * /proc. Only for user/cli.
 */
#ifndef EBB_CLI_RUNNING_H
#define EBB_CLI_RUNNING_H

#include "cli/common.h"

struct ebb_running {
	uint32_t pid;
	uint32_t generation; /* of its configuration */
	bool behind;	     /* its sources say something else by now */
	struct ebb_run_sources run;
	/* what these borrow from */
	struct ebb_args *args;
	char *words; /* of its command line */
	char **argv;
	char *variables;
	char **environ;
	char path[4096];
};

/*
 * Of the agent on @pin_dir. 0: the caller has to call ebb_running_done(). -ESRCH: there is none
 * that runs and can be seen, and there is nothing to give back; also -EACCES and the like.
 */
int ebb_running_find(const char *pin_dir, const struct ebb_keys *keys, struct ebb_running *ret_running);
void ebb_running_done(struct ebb_running *running);

#endif /* EBB_CLI_RUNNING_H */

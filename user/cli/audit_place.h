/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the audit log is: as the agent that runs says (export/whereabouts.h), whatever became of its file; else as the
 * configuration says, that of the agent, or what 'ebb run' would do here. Only for user/cli.
 */
#ifndef EBB_CLI_AUDIT_PLACE_H
#define EBB_CLI_AUDIT_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "config/config.h"
#include "export/sink.h"

struct ebb_audit_place {
	struct ebb_config
		*config;    /* whose .audit it is, with the paths and the server that the agent has; owned */
	char dir[PATH_MAX]; /* spool and dead letters are below it */
	bool running;	    /* an agent says it */
};

/*
 * Looks at --config, --pin and --dir of @args, each where the command has it. EBB_EXIT_DONE, and the caller calls
 * ebb_audit_place_done(); or the error was told.
 */
enum ebb_exit ebb_audit_place(const struct ebb_args *args, struct ebb_audit_place *ret_place);
void ebb_audit_place_done(struct ebb_audit_place *place);

/*
 * The sink of that name, as the agent has it; the caller frees it by its own free(). -ENOENT: the configuration has no
 * such sink.
 */
int ebb_audit_place_sink(const struct ebb_audit_place *place, const char *name, struct ebb_sink *ret_sink);

/* --since and --until, ns since 1970: without the one the last 24 hours, without the other until now. */
enum ebb_exit ebb_period_options(const struct ebb_args *args, int64_t *ret_since_ns, int64_t *ret_until_ns);

struct ebb_audit_source {
	char path[PATH_MAX];
	bool database; /* else a file of JSON lines, with @keep that were moved aside */
	unsigned int keep;
};

/*
 * Where to read the log: --from; else the database of the configuration, else its file, whichever is there. EBB_EXIT_DONE, or
 * the error was told.
 */
enum ebb_exit ebb_audit_source(const struct ebb_args *args, struct ebb_audit_source *ret_source);

/* Tells that reading it failed. */
enum ebb_exit ebb_audit_failed(const struct ebb_args *args, const struct ebb_audit_source *source, int r,
			       const struct ebb_why *why);

/* Tells the agent who did this by hand: it logs and audits it. Where nothing is pinned nobody is told. */
void ebb_remember_deed(const struct ebb_args *args);

#endif /* EBB_CLI_AUDIT_PLACE_H */

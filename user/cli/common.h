/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands share: opening the maps, the moment that is looked at,
 * time and JSON as they are shown. Only for user/cli and its tests.
 */
#ifndef EBB_CLI_COMMON_H
#define EBB_CLI_COMMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/agent.h"
#include "bpf/abi.h"
#include "cli/cli.h"
#include "config/config.h"
#include "config/keys.h"
#include "kernel/maps.h"
#include "node/cgroup.h"
#include "tell/look.h"
#include "tell/snapshot.h"

#define EBB_RUN_FLAGS_MAX 40

/* What a command holds open. */
struct ebb_pods;
struct ebb_session {
	struct ebb_maps *maps;
	struct ebb_pods *pods; /* that the agent left to be read; NULL: none */
	struct ebb_look look;
	bool json;
};

/* Prints "ebb COMMAND: text" to standard error and returns @code. */
enum ebb_exit ebb_fail(const struct ebb_args *args, enum ebb_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for an option: "ebb COMMAND: --option: text", wrong use. */
enum ebb_exit ebb_fail_option(const struct ebb_args *args, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * How long a command goes on, --for, ns; left alone where it was not given. @example is what an error shows.
 * EBB_EXIT_DONE, or the error was told.
 */
enum ebb_exit ebb_for_option(const struct ebb_args *args, const char *example, uint64_t *ret_ns);

/* From a negative errno of a file or directory to the exit code. */
enum ebb_exit ebb_exit_of_file(int r);

/* Checks --output, where the command has it. EBB_EXIT_DONE, or the error was told. */
enum ebb_exit ebb_output_format(const struct ebb_args *args, bool *ret_json);

/*
 * Opens the maps for reading and looks for the first time. On anything but EBB_EXIT_DONE
 * the error was told and there is nothing to close.
 */
enum ebb_exit ebb_session_open(const struct ebb_args *args, struct ebb_session *ret_session);
/* The same for a command that writes, too. */
enum ebb_exit ebb_session_open_as(const struct ebb_args *args, enum ebb_maps_access access,
				  struct ebb_session *ret_session);
/* Looks again: clocks and links. */
void ebb_session_look(const struct ebb_args *args, struct ebb_session *session);
/* Which directory of pins there is now: after 'ebb detach' there is none, 0, or another. */
uint64_t ebb_session_pins(const struct ebb_args *args);
void ebb_session_close(struct ebb_session *session);

/* Columns of the terminal that standard output is; 0: it is none. */
size_t ebb_terminal_columns(void);

/* What printing to standard output came to, a negative errno: EBB_EXIT_DONE, or the error was told. */
enum ebb_exit ebb_printed(const struct ebb_args *args, int r);

/* Prints @root, which it frees; NULL is out of memory. */
enum ebb_exit ebb_print_json(const struct ebb_args *args, json_t *root);

/*
 * Where 'ebb run' takes its configuration from: flags, the environment, the file. Everything
 * in it is borrowed from @args, the environment, and itself: it must not move.
 */
struct ebb_run_sources {
	struct ebb_config_flag flags[EBB_RUN_FLAGS_MAX];
	char names[EBB_RUN_FLAGS_MAX][24];		/* "--mode" */
	char keys[EBB_RUN_FLAGS_MAX][EBB_KEY_PATH_MAX]; /* "defaults.scope" */
	struct ebb_config_sources sources;
};

/* Only collects; nothing is checked. @file: what EBB_CONFIG says in these @variables, or NULL. */
void ebb_run_sources(const struct ebb_args *args, const struct ebb_keys *keys, const char *const *variables,
		     const char *file, struct ebb_run_sources *ret_sources);

/*
 * What 'ebb run' is told, whole: *@ret_config is the caller's and must outlive the options, which
 * borrow from it. A negative errno: what is wrong is in @problems.
 */
int ebb_run_options(const struct ebb_args *args, struct ebb_run_sources *ret_sources,
		    struct ebb_config **ret_config, struct ebb_agent_options *ret_options,
		    struct ebb_problems *problems);

/* The exit code when a configuration was refused. */
enum ebb_exit ebb_run_exit(int r, const struct ebb_problems *problems);

/* A line for each problem to standard error, "FILE:LINE:COLUMN: ..." or "ebb COMMAND: ..."; @path is the file's. */
void ebb_tell_problems(const struct ebb_args *args, const char *path, const struct ebb_problems *problems);

/* Who gives an order: the user who logged in, also behind sudo; without a login our own uid. */
uint32_t ebb_operator_uid(void);
/* Who logged in; EBB_LOGIN_NONE (core/deed.h): nobody. */
uint32_t ebb_login_uid(void);

/* Opens the maps, takes a snapshot, has it printed, closes: what the reading commands do. */
enum ebb_exit ebb_with_snapshot(const struct ebb_args *args,
				enum ebb_exit (*print)(const struct ebb_args *args,
						       const struct ebb_session *session,
						       struct ebb_snapshot *snapshot));

#endif /* EBB_CLI_COMMON_H */

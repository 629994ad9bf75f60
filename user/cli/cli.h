/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one table of commands with their options, from which
 * parsing and --help are made. Commands read the pinned maps and work with the
 * agent dead.
 */
#ifndef EBB_CLI_CLI_H
#define EBB_CLI_CLI_H

#include <stddef.h>

/* Exit codes: a contract with scripts. */
enum ebb_exit {
	EBB_EXIT_DONE = 0,
	EBB_EXIT_FAILED = 1,
	EBB_EXIT_USAGE = 2,
	EBB_EXIT_NOT_FOUND = 3,
	EBB_EXIT_NOT_PERMITTED = 4,
	EBB_EXIT_NO_AGENT = 5,
};

struct ebb_option {
	const char *name;     /* "pin", without the dashes */
	const char *value;    /* "DIR"; NULL: a switch */
	const char *fallback; /* told in the help; NULL: none */
	const char *help;
};

struct ebb_args; /* parsed options and positional arguments */

struct ebb_command {
	const char *name;
	const char *positional;		  /* "DEST"; NULL: takes none */
	const char *summary;		  /* one line */
	const char *details;		  /* a paragraph for its own --help; may be NULL */
	const struct ebb_option *options; /* ends with a NULL name */
	enum ebb_exit (*run)(const struct ebb_args *args);
};

/* The value of an option, its fallback, or NULL. A switch that was given is "". */
const char *ebb_args_get(const struct ebb_args *args, const char *name);
/* Positional argument @index, or NULL. */
const char *ebb_args_positional(const struct ebb_args *args, size_t index);

/* Finds the command in @commands (ends with a NULL name), parses, runs it; --help and --version by itself. */
enum ebb_exit ebb_cli_main(const struct ebb_command *commands, int argc, char **argv);

/* From a negative errno of a map call to the exit code of design section 8. */
enum ebb_exit ebb_exit_from(int r);

enum ebb_exit ebb_cmd_run(const struct ebb_args *args);
enum ebb_exit ebb_cmd_status(const struct ebb_args *args);
enum ebb_exit ebb_cmd_list(const struct ebb_args *args);
enum ebb_exit ebb_cmd_show(const struct ebb_args *args);
enum ebb_exit ebb_cmd_watch(const struct ebb_args *args);
enum ebb_exit ebb_cmd_doctor(const struct ebb_args *args);
enum ebb_exit ebb_cmd_detach(const struct ebb_args *args);

#endif /* EBB_CLI_CLI_H */

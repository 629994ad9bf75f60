/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: one table of commands with their options, from which
 * parsing and --help are made. Commands read the pinned maps and work with the
 * agent dead.
 */
#ifndef EBB_CLI_CLI_H
#define EBB_CLI_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "kernel/maps.h"
#include "lib/why.h"

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
	const char *fallback; /* the value when it is not given, told in the help; NULL: none */
	const char *help;
	char letter; /* 'o' for -o; 0: none */
};

/* What every command, and what every reading command takes. */
#define EBB_OPTION_PIN                                                            \
	{                                                                         \
		"pin", "DIR", EBB_DEFAULT_PIN_DIR, "where the maps are pinned", 0 \
	}
#define EBB_OPTION_OUTPUT                                       \
	{                                                       \
		"output", "FORMAT", "text", "text or json", 'o' \
	}
#define EBB_OPTIONS_END                   \
	{                                 \
		NULL, NULL, NULL, NULL, 0 \
	}

struct ebb_args; /* parsed options and positional arguments */

struct ebb_command {
	const char *name;		  /* one word, or two: "limit set" */
	const char *positional;		  /* "DEST", "VERB [DEST]": a word each; NULL: takes none */
	const char *summary;		  /* one line */
	const char *details;		  /* for its own --help, see ebb_help_text(); may be NULL */
	const struct ebb_option *options; /* ends with a NULL name */
	enum ebb_exit (*run)(const struct ebb_args *args);
	void (*more_help)(FILE *out); /* what only code can tell; may be NULL */
};

/* The commands of ebb, in the order of --help; ends with a NULL name (cli/commands.c). */
extern const struct ebb_command ebb_commands[];

/* The value of an option, its fallback, or NULL. A switch that was given is "". */
const char *ebb_args_get(const struct ebb_args *args, const char *name);
/* The value that was given, or NULL: the fallback does not count. */
const char *ebb_args_given(const struct ebb_args *args, const char *name);
/* Positional argument @index, or NULL. */
const char *ebb_args_positional(const struct ebb_args *args, size_t index);
/* "limit set api --bytes 10MB/s": the command as it was typed, cut where it is too long. Returns @buffer. */
const char *ebb_args_typed(const struct ebb_args *args, char *buffer, size_t size);
/* The command that is being run. */
const struct ebb_command *ebb_args_command(const struct ebb_args *args);

/*
 * Parses what follows the command's name. -EINVAL with the reason; -ECANCELED when
 * help was asked for (--help, -h). The strings of @argv are borrowed.
 */
int ebb_args_parse(const struct ebb_command *command, int argc, char **argv, struct ebb_args **ret_args,
		   struct ebb_why *why);
void ebb_args_free(struct ebb_args *args);

/*
 * Prints @text wrapped to 79 columns, every line after @indent blanks. A newline begins
 * a paragraph; a line that begins with a blank stays as it is.
 */
void ebb_help_text(FILE *out, size_t indent, const char *text);
/* One row of a list in a help text: the term, and at @column its wrapped explanation. */
void ebb_help_term(FILE *out, size_t column, const char *term, const char *text);

void ebb_help_overview(FILE *out, const struct ebb_command *commands);
void ebb_help_command(FILE *out, const struct ebb_command *command);

/* Finds the command in @commands (ends with a NULL name), parses, runs it; --help and --version by itself. */
enum ebb_exit ebb_cli_main(const struct ebb_command *commands, int argc, char **argv);

/* From a negative errno of a map call to the exit code of design section 8. */
enum ebb_exit ebb_exit_from(int r);

enum ebb_exit ebb_cmd_run(const struct ebb_args *args);
enum ebb_exit ebb_cmd_status(const struct ebb_args *args);
enum ebb_exit ebb_cmd_list(const struct ebb_args *args);
enum ebb_exit ebb_cmd_show(const struct ebb_args *args);
enum ebb_exit ebb_cmd_top(const struct ebb_args *args);
enum ebb_exit ebb_cmd_watch(const struct ebb_args *args);
enum ebb_exit ebb_cmd_record(const struct ebb_args *args);
enum ebb_exit ebb_cmd_doctor(const struct ebb_args *args);
enum ebb_exit ebb_cmd_limit_set(const struct ebb_args *args);
enum ebb_exit ebb_cmd_limit_clear(const struct ebb_args *args);
enum ebb_exit ebb_cmd_config_check(const struct ebb_args *args);
enum ebb_exit ebb_cmd_config_show(const struct ebb_args *args);
enum ebb_exit ebb_cmd_breaker_open(const struct ebb_args *args);
enum ebb_exit ebb_cmd_breaker_close(const struct ebb_args *args);
enum ebb_exit ebb_cmd_breaker_auto(const struct ebb_args *args);
enum ebb_exit ebb_cmd_mode_observe(const struct ebb_args *args);
enum ebb_exit ebb_cmd_mode_enforce(const struct ebb_args *args);
enum ebb_exit ebb_cmd_mode_auto(const struct ebb_args *args);
enum ebb_exit ebb_cmd_simulate(const struct ebb_args *args);
enum ebb_exit ebb_cmd_audit(const struct ebb_args *args);
enum ebb_exit ebb_cmd_report(const struct ebb_args *args);
enum ebb_exit ebb_cmd_deadletter_list(const struct ebb_args *args);
enum ebb_exit ebb_cmd_deadletter_replay(const struct ebb_args *args);
enum ebb_exit ebb_cmd_deadletter_drop(const struct ebb_args *args);
enum ebb_exit ebb_cmd_detach(const struct ebb_args *args);

/* From their tables: the keys of --breaker, how limits are written, and both. */
void ebb_help_breaker_keys(FILE *out);
void ebb_help_limits(FILE *out);
void ebb_help_run(FILE *out);

#endif /* EBB_CLI_CLI_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* user/cli/args.c: parsing and help from a table of commands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

#define ARGUMENTS_MAX 8

static const struct ebb_option options[] = {
	{"pin", "DIR", "/p", "where the maps are pinned", 0},
	{"output", "FORMAT", "text", "text or json", 'o'},
	{"sort", "KEY", NULL,
	 "a help text that is long enough to need more than one line of the eighty columns that a terminal has",
	 0},
	{"all", NULL, NULL, "a switch", 'a'},
	{"a-very-long-name-for-an-option", "WITH-A-LONG-VALUE", NULL, "on its own line", 0},
	EBB_OPTIONS_END,
};

static int runs;
static enum ebb_exit run_result;

static enum ebb_exit fake_run(const struct ebb_args *args)
{
	runs++;
	(void)printf("ran %s\n", ebb_args_command(args)->name);
	return run_result;
}

static const struct ebb_command commands[] = {
	{"list", NULL, "destinations", NULL, options, fake_run, NULL},
	{"show", "DEST [WORKLOAD]", "one destination",
	 "A paragraph of its own that is so long that it has to be wrapped somewhere before the right margin is "
	 "reached.\n\n  kept as it is\nAnother.",
	 options, fake_run, NULL},
	{"status", NULL, "the node", NULL, NULL, fake_run, NULL},
	{"limit set", "DEST", "give limits", NULL, options, fake_run, NULL},
	{"limit clear", "DEST", "take them back", NULL, options, fake_run, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

#define LIST (&commands[0])
#define SHOW (&commands[1])

/* Splits at blanks into @argv; returns their number. */
static int split(char *line, char *argv[ARGUMENTS_MAX])
{
	char *rest = NULL;
	int argc = 0;

	for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(argc < ARGUMENTS_MAX);
		argv[argc++] = word;
	}
	return argc;
}

struct parse_case {
	const char *line;
	const char *option, *value; /* what an option is afterwards */
	const char *positional;	    /* the first; NULL: none */
};

static const struct parse_case good_cases[] = {
	{"", "pin", "/p", NULL},
	{"", "sort", NULL, NULL},
	{"", "all", NULL, NULL},
	{"", "no-such-option", NULL, NULL},
	{"--pin /x", "pin", "/x", NULL},
	{"--pin=/x", "pin", "/x", NULL},
	{"--pin=", "pin", "", NULL},
	{"--pin=a=b", "pin", "a=b", NULL},
	{"--pin=-x", "pin", "-x", NULL},
	{"--pin -", "pin", "-", NULL},
	{"-o json", "output", "json", NULL},
	{"-ojson", "output", "json", NULL},
	{"-o=json", "output", "json", NULL},
	{"--output -5", "output", "-5", NULL},
	{"-o -5", "output", "-5", NULL},
	{"--all", "all", "", NULL},
	{"-a", "all", "", NULL},
	{"10.0.0.5:443/tcp -o json", "output", "json", "10.0.0.5:443/tcp"},
	{"-o json -- --all", "all", NULL, "--all"},
	{"-- -a", "all", NULL, "-a"},
	{"-", "all", NULL, "-"},
};

static void options_and_arguments_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good_cases) / sizeof(good_cases[0]); i++) {
		const struct parse_case *c = &good_cases[i];
		char line[128], *argv[ARGUMENTS_MAX];
		const struct ebb_command *command = c->positional ? SHOW : LIST;
		struct ebb_args *args = NULL;
		struct ebb_why why = {};
		const char *value, *positional;

		(void)snprintf(line, sizeof(line), "%s", c->line);
		if (ebb_args_parse(command, split(line, argv), argv, &args, &why) != 0)
			fail_msg("'%s': %s", c->line, why.text);
		value = ebb_args_get(args, c->option);
		positional = ebb_args_positional(args, 0);
		if ((value == NULL) != (c->value == NULL) || (value && strcmp(value, c->value) != 0))
			fail_msg("'%s': --%s is '%s'", c->line, c->option, value ? value : "(null)");
		if ((positional == NULL) != (c->positional == NULL) ||
		    (positional && strcmp(positional, c->positional) != 0))
			fail_msg("'%s': argument is '%s'", c->line, positional ? positional : "(null)");
		assert_null(ebb_args_positional(args, 7));
		ebb_args_free(args);
	}
}

struct bad_case {
	const struct ebb_command *command;
	const char *line;
	const char *said;
};

static const struct bad_case bad_cases[] = {
	{LIST, "--sotr x", "there is no option --sotr: did you mean --sort?"},
	{LIST, "--zzzzzz", "there is no option --zzzzzz: see 'ebb list --help'"},
	{LIST, "--sor=name", "there is no option --sor: did you mean --sort?"},
	{LIST, "--=x", "there is no option --: see 'ebb list --help'"},
	{LIST, "-x", "there is no option -x: see 'ebb list --help'"},
	{LIST, "--pin", "--pin needs a value: --pin DIR"},
	{LIST, "--pin -o json", "--pin needs a value: --pin DIR"},
	{LIST, "--pin --", "--pin needs a value: --pin DIR"},
	{LIST, "-o", "-o needs a value: -o FORMAT"},
	{LIST, "-o -a", "-o needs a value: -o FORMAT"},
	{LIST, "--pin /a --pin /b", "--pin is given twice: give it once"},
	{LIST, "-o json --output=text", "--output is given twice: give it once"},
	{LIST, "-a --all", "--all is given twice: give it once"},
	{LIST, "--all=yes", "--all takes no value"},
	{LIST, "-ax", "-a takes no value"},
	{LIST, "more", "'more' is too much: see 'ebb list --help'"},
	{LIST, "\x1b[2J", "'\\x1b[2J' is too much: see 'ebb list --help'"},
	{LIST, "--\x1b[2J", "there is no option --\\x1b[2J: see 'ebb list --help'"},
	{SHOW, "", "DEST is missing: ebb show DEST [WORKLOAD]"},
	{SHOW, "a b c", "'c' is too much: see 'ebb show --help'"},
};

static void what_is_not_understood_is_refused_with_what_would_be(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		const struct bad_case *c = &bad_cases[i];
		char line[128], *argv[ARGUMENTS_MAX];
		struct ebb_args *args = NULL;
		struct ebb_why why = {};

		(void)snprintf(line, sizeof(line), "%s", c->line);
		assert_int_equal(ebb_args_parse(c->command, split(line, argv), argv, &args, &why), -EINVAL);
		assert_string_equal(why.text, c->said);
		assert_null(args);
	}
}

/* -------------------------------------------------- the whole program -- */

static char *output, *errors;

static enum ebb_exit run_program(const char *arguments)
{
	FILE *real_stdout = stdout, *real_stderr = stderr;
	char line[128], *argv[ARGUMENTS_MAX + 1] = {line};
	size_t output_size, errors_size;
	enum ebb_exit code;

	free(output);
	free(errors);
	(void)snprintf(line, sizeof(line), "ebb %s", arguments);
	stdout = open_memstream(&output, &output_size);
	stderr = open_memstream(&errors, &errors_size);
	code = ebb_cli_main(commands, split(line, argv), argv);
	(void)fclose(stdout);
	(void)fclose(stderr);
	stdout = real_stdout;
	stderr = real_stderr;
	return code;
}

static int free_output(void **state)
{
	(void)state;
	free(output);
	free(errors);
	return 0;
}

struct program_case {
	const char *arguments;
	enum ebb_exit code;
	const char *output; /* begins with */
	const char *errors; /* begins with */
};

static const struct program_case program_cases[] = {
	{"", EBB_EXIT_USAGE, "", "ebb: a circuit breaker"},
	{"--help", EBB_EXIT_DONE, "ebb: a circuit breaker", ""},
	{"-h", EBB_EXIT_DONE, "ebb: a circuit breaker", ""},
	{"help", EBB_EXIT_DONE, "ebb: a circuit breaker", ""},
	{"help show", EBB_EXIT_DONE,
	 "ebb show: one destination\n\nUsage: ebb show DEST [WORKLOAD] [OPTION...]\n", ""},
	{"show --help", EBB_EXIT_DONE, "ebb show: one destination\n", ""},
	{"show -h", EBB_EXIT_DONE, "ebb show: one destination\n", ""},
	{"status --help", EBB_EXIT_DONE, "ebb status: the node\n\nUsage: ebb status [OPTION...]\n", ""},
	{"help shwo", EBB_EXIT_USAGE, "", "ebb: there is no command 'shwo': did you mean 'ebb show'?\n"},
	{"--version", EBB_EXIT_DONE, "ebb " EBB_VERSION " (maps version ", ""},
	{"lsit", EBB_EXIT_USAGE, "", "ebb: there is no command 'lsit': did you mean 'ebb list'?\n"},
	{"stat", EBB_EXIT_USAGE, "", "ebb: there is no command 'stat': did you mean 'ebb status'?\n"},
	{"zzzzzz", EBB_EXIT_USAGE, "", "ebb: there is no command 'zzzzzz': see 'ebb --help'\n"},
	{"\x1b[2J", EBB_EXIT_USAGE, "", "ebb: there is no command '\\x1b[2J': see 'ebb --help'\n"},
	{"--pin /x list", EBB_EXIT_USAGE, "", "ebb: a command comes first"},
	{"show", EBB_EXIT_USAGE, "", "ebb show: DEST is missing"},
	{"status", EBB_EXIT_DONE, "ran status\n", ""},

	{"limit set x", EBB_EXIT_DONE, "ran limit set\n", ""},
	{"limit clear x -a", EBB_EXIT_DONE, "ran limit clear\n", ""},
	{"limit set", EBB_EXIT_USAGE, "", "ebb limit set: DEST is missing: ebb limit set DEST\n"},
	{"limit set x --sotr y", EBB_EXIT_USAGE, "",
	 "ebb limit set: there is no option --sotr: did you mean --sort?\n"},
	{"limit set --help", EBB_EXIT_DONE,
	 "ebb limit set: give limits\n\nUsage: ebb limit set DEST [OPTION...]\n", ""},
	{"help limit clear", EBB_EXIT_DONE, "ebb limit clear: take them back\n", ""},
	{"--help limit set", EBB_EXIT_DONE, "ebb limit set: give limits\n", ""},
	{"limit", EBB_EXIT_USAGE, "",
	 "ebb limit: a command is missing: 'ebb limit set', 'ebb limit clear'\n"},
	{"limit --pin /x set", EBB_EXIT_USAGE, "",
	 "ebb limit: a command is missing: 'ebb limit set', 'ebb limit clear'\n"},
	{"limit st x", EBB_EXIT_USAGE, "",
	 "ebb limit: there is no 'st': 'ebb limit set', 'ebb limit clear'\n"},
	{"limit \x1b[2J", EBB_EXIT_USAGE, "", "ebb limit: there is no '\\x1b[2J': "},
	{"help limit st", EBB_EXIT_USAGE, "", "ebb limit: there is no 'st': "},
	{"limit --help", EBB_EXIT_DONE,
	 "Usage: ebb limit COMMAND [OPTION...]\n\nCommands:\n  limit set     give limits\n  limit clear   take them "
	 "back\n",
	 ""},
	{"help limit", EBB_EXIT_DONE, "Usage: ebb limit COMMAND", ""},
	{"lmit set x", EBB_EXIT_USAGE, "", "ebb: there is no command 'lmit': did you mean 'ebb limit'?\n"},
	{"limi", EBB_EXIT_USAGE, "", "ebb: there is no command 'limi': did you mean 'ebb limit'?\n"},
	{"limits", EBB_EXIT_USAGE, "", "ebb: there is no command 'limits': did you mean 'ebb limit'?\n"},
	{"set x", EBB_EXIT_USAGE, "", "ebb: there is no command 'set': see 'ebb --help'\n"},
};

static void the_program_says_where_and_with_which_code(void **state)
{
	(void)state;
	run_result = EBB_EXIT_DONE;
	for (size_t i = 0; i < sizeof(program_cases) / sizeof(program_cases[0]); i++) {
		const struct program_case *c = &program_cases[i];
		enum ebb_exit code = run_program(c->arguments);

		if (code != c->code || strncmp(output, c->output, strlen(c->output)) != 0 ||
		    strncmp(errors, c->errors, strlen(c->errors)) != 0 || (!c->output[0] && output[0]) ||
		    (!c->errors[0] && errors[0]))
			fail_msg("'ebb %s': exit %d\n%s\n%s", c->arguments, (int)code, output, errors);
	}
}

static void the_result_of_a_command_is_the_exit_code(void **state)
{
	(void)state;
	runs = 0;
	run_result = EBB_EXIT_NOT_FOUND;
	assert_int_equal(run_program("list -o json"), EBB_EXIT_NOT_FOUND);
	assert_int_equal(runs, 1);
	assert_int_equal(run_program("list --pin"), EBB_EXIT_USAGE);
	assert_int_equal(runs, 1);
}

static enum ebb_exit run_on_a_full_disk(void)
{
	FILE *real_stdout = stdout, *real_stderr = stderr;
	char name[] = "ebb", command[] = "list", *argv[] = {name, command};
	size_t errors_size;
	enum ebb_exit code;

	free(errors);
	stdout = fopen("/dev/full", "we");
	stderr = open_memstream(&errors, &errors_size);
	code = ebb_cli_main(commands, 2, argv);
	(void)fclose(stdout);
	(void)fclose(stderr);
	stdout = real_stdout;
	stderr = real_stderr;
	return code;
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
	(void)state;
	run_result = EBB_EXIT_DONE;
	assert_int_equal(run_on_a_full_disk(), EBB_EXIT_FAILED);
	assert_string_equal(errors, "ebb list: cannot write the output: No space left on device\n");
	/* what the command has told is not told again */
	run_result = EBB_EXIT_NOT_FOUND;
	assert_int_equal(run_on_a_full_disk(), EBB_EXIT_NOT_FOUND);
	assert_string_equal(errors, "");
}

static void help_fits_eighty_columns(void **state)
{
	static const char *const lines[] = {"--help",	     "list --help",  "show --help",
					    "status --help", "limit --help", "limit set --help"};
	char *rest = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(run_program(lines[i]), EBB_EXIT_DONE);
		for (char *line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			size_t length = strlen(line);

			if (length > 79 || line[length - 1] == ' ')
				fail_msg("'%s'", line);
		}
	}
}

static const char show_help[] =
	"ebb show: one destination\n"
	"\n"
	"Usage: ebb show DEST [WORKLOAD] [OPTION...]\n"
	"\n"
	"A paragraph of its own that is so long that it has to be wrapped somewhere\n"
	"before the right margin is reached.\n"
	"\n"
	"  kept as it is\n"
	"Another.\n"
	"\n"
	"Options:\n"
	"      --pin DIR        where the maps are pinned (default /p)\n"
	"  -o, --output FORMAT  text or json (default text)\n"
	"      --sort KEY       a help text that is long enough to need more than one\n"
	"                       line of the eighty columns that a terminal has\n"
	"  -a, --all            a switch\n"
	"      --a-very-long-name-for-an-option WITH-A-LONG-VALUE\n"
	"                       on its own line\n"
	"  -h, --help           this text\n";

static void help_of_a_command_is_made_from_its_table(void **state)
{
	(void)state;
	assert_int_equal(run_program("show --help"), EBB_EXIT_DONE);
	assert_string_equal(output, show_help);
}

static void exit_codes_follow_the_error(void **state)
{
	(void)state;
	assert_int_equal(ebb_exit_from(0), EBB_EXIT_DONE);
	assert_int_equal(ebb_exit_from(-ENOENT), EBB_EXIT_NO_AGENT);
	assert_int_equal(ebb_exit_from(-EPERM), EBB_EXIT_NOT_PERMITTED);
	assert_int_equal(ebb_exit_from(-EACCES), EBB_EXIT_NOT_PERMITTED);
	assert_int_equal(ebb_exit_from(-EPROTO), EBB_EXIT_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_arguments_are_told_apart),
		cmocka_unit_test(what_is_not_understood_is_refused_with_what_would_be),
		cmocka_unit_test(the_program_says_where_and_with_which_code),
		cmocka_unit_test(the_result_of_a_command_is_the_exit_code),
		cmocka_unit_test(output_that_cannot_be_written_is_a_failure),
		cmocka_unit_test(help_fits_eighty_columns),
		cmocka_unit_test(help_of_a_command_is_made_from_its_table),
		cmocka_unit_test(exit_codes_follow_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, free_output);
}

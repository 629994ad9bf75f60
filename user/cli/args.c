/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing and help from the table of commands. Strict: what is not understood
 * whole is refused, with the nearest thing that would be.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/complete.h"
#include "lib/text.h"

#define HELP_COLUMNS	79
#define TERM_COLUMN_MAX 30
#define SHOWN_MAX	64 /* bytes of a wrong argument that an error line repeats */

struct ebb_args {
	const struct ebb_command *command;
	const char **values; /* one for each option of the command; NULL: not given */
	char **typed;	     /* what follows the command's name; borrowed */
	size_t typed_count;
	size_t positional_count;
	const char *positional[]; /* as many as there were arguments, at most */
};

/* ------------------------------------------------------------- access -- */

static const struct ebb_option no_options[] = {EBB_OPTIONS_END};

static const struct ebb_option *options_of(const struct ebb_command *command)
{
	return command->options ? command->options : no_options;
}

const char *ebb_args_get(const struct ebb_args *args, const char *name)
{
	const struct ebb_option *options = options_of(args->command);

	for (size_t i = 0; options[i].name; i++) {
		if (strcmp(options[i].name, name) == 0)
			return args->values[i] ? args->values[i] : options[i].fallback;
	}
	return NULL;
}

const char *ebb_args_given(const struct ebb_args *args, const char *name)
{
	const struct ebb_option *options = options_of(args->command);

	for (size_t i = 0; options[i].name; i++) {
		if (strcmp(options[i].name, name) == 0)
			return args->values[i];
	}
	return NULL;
}

const char *ebb_args_positional(const struct ebb_args *args, size_t index)
{
	return index < args->positional_count ? args->positional[index] : NULL;
}

const struct ebb_command *ebb_args_command(const struct ebb_args *args)
{
	return args->command;
}

/* What a shell takes as it stands. */
static bool is_plain_word(const char *word)
{
	return word[0] && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
					    "-_./:,=@%+[]")] == '\0';
}

const char *ebb_args_typed(const struct ebb_args *args, char *buffer, size_t size)
{
	size_t used = (size_t)snprintf(buffer, size, "%s", args->command->name);

	for (size_t i = 0; i < args->typed_count && used < size; i++) {
		const char *quote = is_plain_word(args->typed[i]) ? "" : "'";

		used += (size_t)snprintf(buffer + used, size - used, " %s%s%s", quote, args->typed[i], quote);
	}
	return buffer;
}

void ebb_args_free(struct ebb_args *args)
{
	if (!args)
		return;
	free(args->values);
	free(args);
}

/* ------------------------------------------------------------ parsing -- */

/* Positional words of a command: "VERB [DEST]" is one that must be and two that may be. */
static void count_positional(const struct ebb_command *command, size_t *ret_least, size_t *ret_most)
{
	const char *s = command->positional ? command->positional : "";
	size_t least = 0, most = 0;

	while (*(s += strspn(s, " "))) {
		most++;
		least += *s != '[';
		s += strcspn(s, " ");
	}
	*ret_least = least;
	*ret_most = most;
}

/* The @index'th positional word, without brackets. */
static void positional_word(const struct ebb_command *command, size_t index, char *buffer, size_t size)
{
	const char *s = command->positional;

	for (; index > 0; index--) {
		s += strcspn(s, " ");
		s += strspn(s, " ");
	}
	s += strspn(s, "[");
	(void)snprintf(buffer, size, "%.*s", (int)strcspn(s, " ]"), s);
}

static int unknown_option(const struct ebb_command *command, const char *name, size_t length,
			  struct ebb_why *why)
{
	const struct ebb_option *options = options_of(command);
	char wrong[SHOWN_MAX], shown[4 * SHOWN_MAX];
	const char *best = NULL;
	size_t best_distance = SIZE_MAX, distance;

	(void)snprintf(wrong, sizeof(wrong), "%.*s", (int)length, name);
	(void)ebb_text_escape(wrong, shown, sizeof(shown));
	for (size_t i = 0; options[i].name; i++) {
		if (ebb_text_like(wrong, options[i].name, &distance) && distance < best_distance) {
			best = options[i].name;
			best_distance = distance;
		}
	}
	if (best)
		return ebb_why(why, -EINVAL, "there is no option --%s: did you mean --%s?", shown, best);
	return ebb_why(why, -EINVAL, "there is no option --%s: see 'ebb %s --help'", shown, command->name);
}

static int store_option(struct ebb_args *args, size_t index, const char *value, struct ebb_why *why)
{
	const struct ebb_option *option = &options_of(args->command)[index];

	if (args->values[index])
		return ebb_why(why, -EINVAL, "--%s is given twice: give it once", option->name);
	args->values[index] = value;
	return 0;
}

/* A negative number is a value: what it is for says better why it cannot be. */
static bool is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0' && !(argument[1] >= '0' && argument[1] <= '9');
}

/* "--name", "--name=value", "--name value". *@io_at moves on when the value is the next argument. */
static int parse_long(struct ebb_args *args, int argc, char **argv, int *io_at, struct ebb_why *why)
{
	const struct ebb_option *options = options_of(args->command);
	const char *name = argv[*io_at] + 2;
	const char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);

	if (!equals && strcmp(name, "help") == 0)
		return -ECANCELED;
	for (size_t i = 0; options[i].name; i++) {
		const struct ebb_option *o = &options[i];

		if (strlen(o->name) != length || strncmp(o->name, name, length) != 0)
			continue;
		if (!o->value) {
			if (equals)
				return ebb_why(why, -EINVAL, "--%s takes no value", o->name);
			return store_option(args, i, "", why);
		}
		if (equals)
			return store_option(args, i, equals + 1, why);
		if (*io_at + 1 >= argc || is_option(argv[*io_at + 1]))
			return ebb_why(why, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name,
				       o->value);
		return store_option(args, i, argv[++*io_at], why);
	}
	return unknown_option(args->command, name, length, why);
}

/* "-o value", "-ovalue", "-o=value". */
static int parse_short(struct ebb_args *args, int argc, char **argv, int *io_at, struct ebb_why *why)
{
	const struct ebb_option *options = options_of(args->command);
	const char *argument = argv[*io_at];
	char shown[4 * SHOWN_MAX];

	if (strcmp(argument, "-h") == 0)
		return -ECANCELED;
	for (size_t i = 0; options[i].name; i++) {
		const struct ebb_option *o = &options[i];

		if (o->letter == 0 || o->letter != argument[1])
			continue;
		if (!o->value) {
			if (argument[2])
				return ebb_why(why, -EINVAL, "-%c takes no value", o->letter);
			return store_option(args, i, "", why);
		}
		if (argument[2])
			return store_option(args, i, argument + 2 + (argument[2] == '='), why);
		if (*io_at + 1 >= argc || is_option(argv[*io_at + 1]))
			return ebb_why(why, -EINVAL, "-%c needs a value: -%c %s", o->letter, o->letter,
				       o->value);
		return store_option(args, i, argv[++*io_at], why);
	}
	return ebb_why(why, -EINVAL, "there is no option %s: see 'ebb %s --help'",
		       ebb_text_escape(argument, shown, SHOWN_MAX), args->command->name);
}

static int parse_into(struct ebb_args *args, int argc, char **argv, struct ebb_why *why)
{
	char shown[4 * SHOWN_MAX];
	bool options_end = false;
	size_t least, most;
	int r;

	count_positional(args->command, &least, &most);
	for (int i = 0; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
		} else if (!options_end && strncmp(argv[i], "--", 2) == 0) {
			r = parse_long(args, argc, argv, &i, why);
			if (r < 0)
				return r;
		} else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
			r = parse_short(args, argc, argv, &i, why);
			if (r < 0)
				return r;
		} else {
			args->positional[args->positional_count++] = argv[i];
		}
	}

	if (args->positional_count > most)
		return ebb_why(why, -EINVAL, "'%s' is too much: see 'ebb %s --help'",
			       ebb_text_escape(args->positional[most], shown, SHOWN_MAX),
			       args->command->name);
	if (args->positional_count < least) {
		positional_word(args->command, args->positional_count, shown, sizeof(shown));
		return ebb_why(why, -EINVAL, "%s is missing: ebb %s %s", shown, args->command->name,
			       args->command->positional);
	}
	return 0;
}

int ebb_args_parse(const struct ebb_command *command, int argc, char **argv, struct ebb_args **ret_args,
		   struct ebb_why *why)
{
	const struct ebb_option *options = options_of(command);
	struct ebb_args *args;
	size_t count = 0;
	int r;

	while (options[count].name)
		count++;
	args = calloc(1, sizeof(*args) + (size_t)argc * sizeof(args->positional[0]));
	if (!args)
		return ebb_why(why, -ENOMEM, "out of memory");
	args->command = command;
	args->typed = argv;
	args->typed_count = (size_t)argc;
	args->values = calloc(count + 1, sizeof(args->values[0]));
	r = args->values ? parse_into(args, argc, argv, why) : ebb_why(why, -ENOMEM, "out of memory");
	if (r < 0) {
		ebb_args_free(args);
		return r;
	}
	*ret_args = args;
	return 0;
}

/* --------------------------------------------------------------- help -- */

static void put_blanks(FILE *out, size_t count)
{
	(void)fprintf(out, "%*s", (int)count, "");
}

/* Wraps one paragraph of @length bytes; the first line is already at column @at. Ends with a newline. */
static void put_paragraph(FILE *out, size_t indent, size_t at, const char *text, size_t length)
{
	const char *end = text + length;
	bool first = true;

	while (text < end) {
		size_t word = strcspn(text, " \n");

		if (!first && at + 1 + word > HELP_COLUMNS) {
			(void)fputc('\n', out);
			put_blanks(out, indent);
			at = indent;
			first = true;
		}
		at += word + !first;
		(void)fprintf(out, "%s%.*s", first ? "" : " ", (int)word, text);
		first = false;
		text += word;
		text += strspn(text, " ");
		if (*text == '\n')
			break;
	}
	(void)fputc('\n', out);
}

void ebb_help_text(FILE *out, size_t indent, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length > 0)
			put_blanks(out, indent);
		if (*text == ' ')
			(void)fprintf(out, "%.*s\n", (int)length, text);
		else
			put_paragraph(out, indent, indent, text, length);
		text += length + (text[length] == '\n');
	}
}

void ebb_help_term(FILE *out, size_t column, const char *term, const char *text)
{
	size_t width = strlen(term);

	(void)fputs(term, out);
	if (width + 2 > column) {
		(void)fputc('\n', out);
		width = 0;
	}
	put_blanks(out, column - width);
	put_paragraph(out, column, column, text, strlen(text));
}

static void option_term(const struct ebb_option *option, char *buffer, size_t size)
{
	char letter[8] = "    ";

	if (option->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	(void)snprintf(buffer, size, "  %s--%s%s%s", letter, option->name, option->value ? " " : "",
		       option->value ? option->value : "");
}

static const struct ebb_option help_option = {"help", NULL, NULL, "this text", 'h'};

static void help_option_line(FILE *out, size_t column, const struct ebb_option *option)
{
	char term[128], text[512];

	option_term(option, term, sizeof(term));
	if (option->fallback)
		(void)snprintf(text, sizeof(text), "%s (default %s)", option->help, option->fallback);
	else
		(void)snprintf(text, sizeof(text), "%s", option->help);
	ebb_help_term(out, column, term, text);
}

void ebb_help_command(FILE *out, const struct ebb_command *command)
{
	const struct ebb_option *options = options_of(command);
	size_t column = 0;
	char title[256];

	(void)snprintf(title, sizeof(title), "ebb %s: %s", command->name, command->summary);
	ebb_help_text(out, 0, title);
	(void)fprintf(out, "\nUsage: ebb %s%s%s [OPTION...]\n", command->name, command->positional ? " " : "",
		      command->positional ? command->positional : "");
	if (command->details) {
		(void)fputc('\n', out);
		ebb_help_text(out, 0, command->details);
	}

	(void)fputs("\nOptions:\n", out);
	for (const struct ebb_option *o = options; o->name; o++) {
		char term[128];

		option_term(o, term, sizeof(term));
		if (strlen(term) + 2 > column && strlen(term) + 2 <= TERM_COLUMN_MAX)
			column = strlen(term) + 2;
	}
	if (column < strlen("  -h, --help") + 2)
		column = strlen("  -h, --help") + 2;
	for (const struct ebb_option *o = options; o->name; o++)
		help_option_line(out, column, o);
	help_option_line(out, column, &help_option);
	if (command->more_help) {
		(void)fputc('\n', out);
		command->more_help(out);
	}
}

/* A line for each command; with @word only for those whose names begin with it. */
static void help_rows(FILE *out, const struct ebb_command *commands, const char *word)
{
	size_t column = 0, length = strlen(word);

	for (const struct ebb_command *c = commands; c->name; c++) {
		if (strncmp(c->name, word, length) == 0 && strlen(c->name) + 5 > column)
			column = strlen(c->name) + 5;
	}
	for (const struct ebb_command *c = commands; c->name; c++) {
		char term[64];

		if (strncmp(c->name, word, length) != 0)
			continue;
		(void)snprintf(term, sizeof(term), "  %s", c->name);
		ebb_help_term(out, column, term, c->summary);
	}
}

static void help_group(FILE *out, const struct ebb_command *commands, const char *word)
{
	char prefix[SHOWN_MAX];

	(void)snprintf(prefix, sizeof(prefix), "%s ", word);
	(void)fprintf(out, "Usage: ebb %s COMMAND [OPTION...]\n\nCommands:\n", word);
	help_rows(out, commands, prefix);
	(void)fprintf(out, "\n'ebb %s COMMAND --help' tells the options of one.\n", word);
}

void ebb_help_overview(FILE *out, const struct ebb_command *commands)
{
	(void)fputs("ebb: a circuit breaker for the outgoing connections of this node\n\n"
		    "Usage: ebb COMMAND [OPTION...]\n\nCommands:\n",
		    out);
	help_rows(out, commands, "");
	(void)fputc('\n', out);
	ebb_help_text(out, 0,
		      "'ebb COMMAND --help' tells the options of one command, 'ebb --version' the version.\n\n"
		      "Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 not permitted, 5 no agent or "
		      "nothing pinned.\n");
}

/* --------------------------------------------------------------- main -- */

/* The first word of a command's name, which has one or two: "list", "limit set". */
static void first_word(const char *name, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%.*s", (int)strcspn(name, " "), name);
}

/* How many of the @count @words are the name; 0: it is another. */
static int words_of_name(const char *name, int count, char **words)
{
	size_t length = strcspn(name, " ");

	if (count < 1 || strlen(words[0]) != length || strncmp(words[0], name, length) != 0)
		return 0;
	if (name[length] == '\0')
		return 1;
	return count > 1 && strcmp(words[1], name + length + 1) == 0 ? 2 : 0;
}

static const struct ebb_command *find_command(const struct ebb_command *commands, int count, char **words,
					      int *ret_used)
{
	for (; commands->name; commands++) {
		*ret_used = words_of_name(commands->name, count, words);
		if (*ret_used)
			return commands;
	}
	return NULL;
}

/* "'ebb limit set', 'ebb limit clear'": the commands whose names begin with @word. False: there is none. */
static bool list_group(const struct ebb_command *commands, const char *word, char *buffer, size_t size)
{
	size_t used = 0, length = strlen(word);

	for (; commands->name; commands++) {
		if (strncmp(commands->name, word, length) != 0 || commands->name[length] != ' ')
			continue;
		used += (size_t)snprintf(buffer + used, size - used, "%s'ebb %s'", used ? ", " : "",
					 commands->name);
		if (used >= size)
			break;
	}
	return used > 0;
}

static enum ebb_exit unknown_command(const struct ebb_command *commands, int count, char **words)
{
	char shown[4 * SHOWN_MAX], first[SHOWN_MAX], best[SHOWN_MAX] = "", group[256];
	size_t best_distance = SIZE_MAX, distance;

	if (list_group(commands, words[0], group, sizeof(group))) {
		if (count > 1 && words[1][0] != '-')
			(void)fprintf(stderr, "ebb %s: there is no '%s': %s\n", words[0],
				      ebb_text_escape(words[1], shown, SHOWN_MAX), group);
		else
			(void)fprintf(stderr, "ebb %s: a command is missing: %s\n", words[0], group);
		return EBB_EXIT_USAGE;
	}
	for (const struct ebb_command *c = commands; c->name; c++) {
		first_word(c->name, first, sizeof(first));
		if (ebb_text_like(words[0], first, &distance) && distance < best_distance) {
			(void)snprintf(best, sizeof(best), "%s", first);
			best_distance = distance;
		}
	}
	(void)ebb_text_escape(words[0], shown, SHOWN_MAX);
	if (best[0])
		(void)fprintf(stderr, "ebb: there is no command '%s': did you mean 'ebb %s'?\n", shown, best);
	else
		(void)fprintf(stderr, "ebb: there is no command '%s': see 'ebb --help'\n", shown);
	return EBB_EXIT_USAGE;
}

/* Output that was not written is a failure: "ebb list > /full/disk" must not say 0. What failed before was told. */
static enum ebb_exit finish_output(enum ebb_exit code, const char *command)
{
	int r = fflush(stdout) == 0 ? 0 : -errno;

	if ((r == 0 && !ferror(stdout)) || code != EBB_EXIT_DONE)
		return code;
	(void)fprintf(stderr, "ebb %s: cannot write the output: %s\n", command,
		      r < 0 ? ebb_strerror(r) : "write error");
	return EBB_EXIT_FAILED;
}

/* Of the command that @words name, of all that begin with one word, or of everything. */
static enum ebb_exit help(const struct ebb_command *commands, int count, char **words)
{
	const struct ebb_command *command;
	char group[256];
	int used;

	if (count < 1) {
		ebb_help_overview(stdout, commands);
		return finish_output(EBB_EXIT_DONE, "help");
	}
	command = find_command(commands, count, words, &used);
	if (command)
		ebb_help_command(stdout, command);
	else if (count == 1 && list_group(commands, words[0], group, sizeof(group)))
		help_group(stdout, commands, words[0]);
	else
		return unknown_command(commands, count, words);
	return finish_output(EBB_EXIT_DONE, "help");
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

enum ebb_exit ebb_cli_main(const struct ebb_command *commands, int argc, char **argv)
{
	const struct ebb_command *command;
	struct ebb_args *args = NULL;
	struct ebb_why why = {};
	enum ebb_exit code;
	int used, r;

	if (argc < 2) {
		ebb_help_overview(stderr, commands);
		return EBB_EXIT_USAGE;
	}
	if (asks_for_help(argv[1]) || strcmp(argv[1], "help") == 0)
		return help(commands, argc - 2, argv + 2);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 ||
	    strcmp(argv[1], "version") == 0) {
		(void)printf("ebb " EBB_VERSION " (maps version %d)\n", EBB_ABI_VERSION);
		return finish_output(EBB_EXIT_DONE, "version");
	}
	if (strcmp(argv[1], "__complete") == 0)
		return ebb_complete(stdout, commands, argc - 2, argv + 2);
	if (argv[1][0] == '-') {
		(void)fprintf(stderr,
			      "ebb: a command comes first: ebb COMMAND [OPTION...]; see 'ebb --help'\n");
		return EBB_EXIT_USAGE;
	}
	command = find_command(commands, argc - 1, argv + 1, &used);
	if (!command && argc == 3 && asks_for_help(argv[2]))
		return help(commands, 1, argv + 1);
	if (!command)
		return unknown_command(commands, argc - 1, argv + 1);

	r = ebb_args_parse(command, argc - 1 - used, argv + 1 + used, &args, &why);
	if (r == -ECANCELED)
		return help(commands, used, argv + 1);
	if (r < 0) {
		(void)fprintf(stderr, "ebb %s: %s\n", command->name, why.text);
		return r == -EINVAL ? EBB_EXIT_USAGE : EBB_EXIT_FAILED;
	}
	code = finish_output(command->run(args), command->name);
	ebb_args_free(args);
	return code;
}

enum ebb_exit ebb_exit_from(int r)
{
	switch (r) {
	case 0:
		return EBB_EXIT_DONE;
	case -ENOENT:
		return EBB_EXIT_NO_AGENT;
	case -EPERM:
	case -EACCES:
		return EBB_EXIT_NOT_PERMITTED;
	default:
		return EBB_EXIT_FAILED;
	}
}

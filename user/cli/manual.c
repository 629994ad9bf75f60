/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manual.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/keys.h"
#include "lib/cleanup.h"

#define SOURCE_COLUMNS 76 /* of a line of the source: mandoc asks for 80 */
#define MANUAL_DATE    "November 21, 2026"

/* ---------------------------------------------------------------- mdoc -- */

/* One character of text, as it is to be read. */
static void put_char(FILE *out, const char *text, size_t at)
{
	switch (text[at]) {
	case '\\':
		(void)fputs("\\e", out);
		break;
	case '\'':
		(void)fputs("\\(aq", out);
		break;
	case '"':
		(void)fputs("\\(dq", out);
		break;
	case '`':
		(void)fputs("\\(ga", out);
		break;
	case '^':
		(void)fputs("\\(ha", out);
		break;
	case '~':
		(void)fputs("\\(ti", out);
		break;
	case '-':
		/* part of a name to be typed, not of a word */
		(void)fputs("\\-", out);
		break;
	default:
		(void)fputc(text[at], out);
	}
}

/* A word that begins no request; @head: it is the first of its line. */
static void put_word(FILE *out, const char *word, size_t length, bool head)
{
	if (head && (word[0] == '.' || word[0] == '\''))
		(void)fputs("\\&", out);
	for (size_t i = 0; i < length; i++)
		put_char(out, word, i);
}

/* What a word takes in the source: an escape is longer than what it stands for. */
static size_t source_width(const char *word, size_t length)
{
	size_t width = length;

	for (size_t i = 0; i < length; i++)
		width += word[i] == '-' || word[i] == '\\' ? 1 : strchr("'\"`^~", word[i]) ? 3 : 0;
	return width;
}

/* "connect()" and what stands behind it, "," or ".": as the macro wants it. */
static bool put_function(FILE *out, const char *word, size_t length)
{
	size_t name = strcspn(word, "(");

	if (name == 0 || name + 2 > length || strncmp(word + name, "()", 2) != 0)
		return false;
	(void)fprintf(out, ".Fn %.*s", (int)name, word);
	if (length > name + 2)
		(void)fprintf(out, " %.*s", (int)(length - name - 2), word + name + 2);
	(void)fputc('\n', out);
	return true;
}

/* Running text: short lines, a new one for each sentence. */
static void put_text(FILE *out, const char *text, size_t length)
{
	const char *end = text + length;
	size_t at = 0; /* column of the source */

	for (; text < end; text++) {
		size_t word = strcspn(text, " \n");
		size_t width;

		word = word < (size_t)(end - text) ? word : (size_t)(end - text);
		if (word == 0)
			continue;
		width = source_width(text, word);
		if (at > 0 && (at + 1 + width > SOURCE_COLUMNS || memchr(text, '(', word))) {
			(void)fputc('\n', out);
			at = 0;
		}
		if (at > 0)
			(void)fputc(' ', out);
		if (at == 0 && put_function(out, text, word)) {
			text += word;
			continue;
		}
		put_word(out, text, word, at == 0);
		at += width + (at > 0);
		text += word;
		/* a sentence ends, not an ellipsis */
		if (text[-1] == '.' && text < end && (word < 3 || text[-2] != '.')) {
			(void)fputc('\n', out);
			at = 0;
		}
	}
	if (at > 0)
		(void)fputc('\n', out);
}

static void put_line(FILE *out, const char *text)
{
	put_text(out, text, strlen(text));
}

/* A line as it stands. */
static void put_literal(FILE *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (i == 0 && (text[0] == '.' || text[0] == '\''))
			(void)fputs("\\&", out);
		put_char(out, text, i);
	}
	(void)fputc('\n', out);
}

/* Paragraphs, and lines that begin with a blank as they are: what ebb_help_text() takes. */
static void put_details(FILE *out, const char *text)
{
	bool literal = false;

	while (*text) {
		size_t length = strcspn(text, "\n");
		size_t blanks = strspn(text, " ");

		if (literal != (blanks > 0 && length > 0)) {
			literal = !literal;
			(void)fputs(literal ? ".Bd -literal -offset indent\n" : ".Ed\n", out);
		} else if (length == 0 && text[1] && text[1] != ' ') {
			(void)fputs(".Pp\n", out);
		}
		if (literal)
			put_literal(out, text + blanks, length - blanks);
		else
			put_text(out, text, length);
		text += length + (text[length] == '\n');
	}
	if (literal)
		(void)fputs(".Ed\n", out);
}

/* Arguments of a macro, in quotes. */
static void put_argument(FILE *out, const char *text)
{
	(void)fputs(" \"", out);
	put_word(out, text, strlen(text), false);
	(void)fputc('"', out);
}

/* As in --help: "(default 30s)". */
static void put_default(FILE *out, const char *fallback)
{
	if (!fallback)
		return;
	(void)fputs(".Pq default", out);
	put_argument(out, fallback);
	(void)fputc('\n', out);
}

/* ------------------------------------------------------------ commands -- */

static void put_option(FILE *out, const struct ebb_option *option)
{
	(void)fputs(".It", out);
	if (option->letter)
		(void)fprintf(out, " Fl %c , ", option->letter);
	(void)fputs(" Fl", out);
	(void)fprintf(out, " \\-%s", option->name);
	if (option->value) {
		(void)fputs(" Ar", out);
		put_argument(out, option->value);
	}
	(void)fputc('\n', out);
	put_line(out, option->help);
	put_default(out, option->fallback);
}

/*
 * What a command's own code adds to its help was made by ebb_help_text() and
 * ebb_help_term(); read back: "Title:", "  term   text" with its further lines far to the right, paragraphs.
 */
struct more {
	FILE *out;
	bool list, item;
	bool paragraph; /* an empty line came before */
};

static void end_list(struct more *more)
{
	if (more->list)
		(void)fputs(".El\n", more->out);
	more->list = more->item = false;
}

static void put_more_line(struct more *more, const char *line)
{
	size_t length = strlen(line), blanks = strspn(line, " ");
	const char *gap = length ? strstr(line + blanks, "  ") : NULL;

	if (length == 0) {
		more->item = false;
		more->paragraph = true;
		return;
	}
	if (blanks > 2 && more->item) { /* the term's text goes on */
		put_text(more->out, line + blanks, length - blanks);
		return;
	}
	if (blanks == 2 && (gap || (more->list && !more->paragraph && !strchr(line + blanks, ' ')))) {
		if (!more->list)
			(void)fputs(".Bl -tag -width 14n -compact\n", more->out);
		more->list = more->item = true;
		(void)fputs(".It Cm ", more->out);
		put_word(more->out, line + blanks, gap ? (size_t)(gap - line) - blanks : length - blanks,
			 false);
		(void)fputc('\n', more->out);
		if (gap) {
			gap += strspn(gap, " ");
			put_text(more->out, gap, strlen(gap));
		}
	} else {
		if (more->list || more->paragraph) {
			end_list(more);
			(void)fputs(".Pp\n", more->out);
		}
		put_text(more->out, line + blanks, length - blanks);
	}
	more->paragraph = false;
}

static int put_more_help(FILE *out, const struct ebb_command *command)
{
	struct more more = {.out = out, .paragraph = true};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return -errno;
	command->more_help(memory);
	if (fclose(memory) != 0)
		return -ENOMEM;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		if (rest)
			put_more_line(&more, line);
	}
	end_list(&more);
	return 0;
}

static int put_command(FILE *out, const struct ebb_command *command)
{
	(void)fprintf(out, ".Ss ebb %s\n", command->name);
	(void)fprintf(out, ".Nm\n.Cm %s\n", command->name);
	if (command->positional) {
		(void)fputs(".Ar", out);
		put_argument(out, command->positional);
		(void)fputc('\n', out);
	}
	(void)fprintf(out, ".Op Ar option ...\n.Pp\n%c", toupper((unsigned char)command->summary[0]));
	put_line(out, command->summary + 1);
	if (command->details) {
		(void)fputs(".Pp\n", out);
		put_details(out, command->details);
	}
	if (command->options && command->options[0].name) {
		(void)fputs(".Bl -tag -width Ds\n", out);
		for (const struct ebb_option *o = command->options; o->name; o++)
			put_option(out, o);
		(void)fputs(".El\n", out);
	}
	return command->more_help ? put_more_help(out, command) : 0;
}

/* ---------------------------------------------------------------- ebb(8) -- */

static void put_head(FILE *out, const char *name, const char *section, const char *line)
{
	(void)fprintf(out,
		      ".\\\" SPDX-License-Identifier: Apache-2.0\n"
		      ".\\\" Made from the tables in the code: make docs\n"
		      ".Dd " MANUAL_DATE "\n"
		      ".Dt %s %s\n"
		      ".Os\n"
		      ".Sh NAME\n"
		      ".Nm %s\n"
		      ".Nd %s\n",
		      name, section, section[0] == '8' ? "ebb" : "ebb.yaml", line);
}

struct term {
	const char *macro, *term, *text;
};

static void put_terms(FILE *out, const struct term *terms, size_t count)
{
	(void)fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < count; i++) {
		(void)fprintf(out, ".It %s", terms[i].macro);
		put_argument(out, terms[i].term);
		(void)fputc('\n', out);
		put_line(out, terms[i].text);
	}
	(void)fputs(".El\n", out);
}

#define TERMS(list) (list), sizeof(list) / sizeof((list)[0])

static const struct term environment[] = {
	{"Ev", "EBB_...",
	 "Every key of the configuration that is not a list, for 'ebb run' and 'ebb config': its path in capitals "
	 "with _ for each dot, as in EBB_MODE or EBB_DEFAULTS_BREAKER_WINDOW. Stronger than the file, weaker than a "
	 "flag."},
	{"Ev", "OTEL_...",
	 "Where traces go and how, as OpenTelemetry specifies it, for 'ebb run'; weaker than the file (docs/traces.md)."},
	{"Ev", "NO_COLOR", "Set and not empty: 'ebb top' uses no colours."},
	{"Ev", "TERM", "The kind of terminal, for 'ebb top'."},
	{"Ev", "TZ", "The time zone of the times that are shown."},
};

static const struct term files[] = {
	{"Pa", "/etc/ebb/ebb.yaml", "The configuration, see ebb.yaml(5). Without it everything is observed."},
	{"Pa", EBB_DEFAULT_PIN_DIR,
	 "The pinned maps and links. They outlive the agent; 'ebb detach' removes them. Only root may look into it."},
	{"Pa", "/sys/fs/cgroup", "The usual place of cgroup2, below which connections are governed."},
};

static const struct term exits[] = {
	{"Li", "0", "Done."},
	{"Li", "1", "Failed: one line on standard error says why, and what to do."},
	{"Li", "2", "Wrong use: an unknown command or option, a value that is not possible."},
	{"Li", "3", "Not found: there is no such destination."},
	{"Li", "4", "Not permitted."},
	{"Li", "5", "No agent, or nothing pinned: there is nothing to look at."},
};

static const struct term examples[] = {
	{"Li", "ebb run", "Watch, and refuse nothing."},
	{"Li", "ebb run --mode enforce --breaker consecutive_failures=3,open_for=10s",
	 "Refuse connections to a destination for 10 seconds after 3 failures in a row."},
	{"Li", "ebb list --state open", "What is refused now."},
	{"Li", "ebb show 10.0.0.5:443", "One destination in full: why it is as it is."},
	{"Li", "ebb top --sort denied", "Live, with those on top to which most is refused."},
	{"Li", "ebb top --once --filter 'open api'",
	 "One frame as text, of open destinations with api in their name."},
	{"Li", "ebb limit set 10.0.0.5:443 --connects 20/s --for 10m",
	 "At most 20 new connections a second, for ten minutes, from this moment."},
	{"Li", "ebb watch -o json", "Every event as a JSON object on a line."},
	{"Li", "ebb detach", "The way out: nothing of ebb is left."},
};

int ebb_manual_document(FILE *out)
{
	int r = 0;

	put_head(out, "EBB", "8", "circuit breaker for the outgoing connections of this node");
	(void)fputs(".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Nm\n.Fl \\-help\n.Nm\n.Fl \\-version\n"
		    ".Sh DESCRIPTION\n.Nm\n",
		    out);
	put_line(out,
		 "watches and throttles the outgoing connections of programs that were never changed for it. Its "
		 "programs in the kernel, attached to a cgroup, count every connection, and refuse those to a "
		 "destination that fails or that is at its limit: connect() fails at once instead of after a timeout.");
	(void)fputs(".Pp\n", out);
	put_line(out,
		 "'ebb run' is the agent. All other commands work on the pinned maps, with the agent alive or dead. "
		 "Without configuration nothing is refused: what would be is counted.");
	(void)fputs(".Sh COMMANDS\nEvery command takes\n.Fl h , Fl \\-help .\n", out);
	for (const struct ebb_command *command = ebb_commands; r == 0 && command->name; command++)
		r = put_command(out, command);
	(void)fputs(".Sh ENVIRONMENT\n", out);
	put_terms(out, TERMS(environment));
	(void)fputs(".Sh FILES\n", out);
	put_terms(out, TERMS(files));
	(void)fputs(".Sh EXIT STATUS\n", out);
	put_terms(out, TERMS(exits));
	(void)fputs(".Sh EXAMPLES\n", out);
	put_terms(out, TERMS(examples));
	(void)fputs(".Sh SEE ALSO\n.Xr ebb.yaml 5 ,\n.Xr cgroups 7 ,\n.Xr bpftool 8 ,\n.Xr tc 8\n", out);
	return r < 0 ? r : ferror(out) ? -EIO : 0;
}

/* -------------------------------------------------------------- ebb.yaml(5) -- */

static const char example[] = "mode: observe\n"
			      "listen: 127.0.0.1:9478\n"
			      "workloads:\n"
			      "  exclude: [{cgroup: \"/system.slice/*\"}]\n"
			      "defaults:\n"
			      "  breaker: {failure_rate: 0.5, consecutive_failures: 5}\n"
			      "destinations:\n"
			      "  - name: anthropic\n"
			      "    match: [{host: \"*.anthropic.com\", port: 443}]\n"
			      "    mode: enforce\n"
			      "    breaker: {consecutive_failures: 3, open_for: 10s, slow_call: 30s}\n"
			      "    limits: {concurrent: 64, connects: {rate: 20/s, burst: 40}}\n"
			      "  - name: crawl\n"
			      "    match: [{cidr: 0.0.0.0/0, port: 80}, {cidr: \"::/0\", port: 80}]\n"
			      "    scope: workload\n"
			      "    limits: {bytes: {rate: 2MB/s, burst: 512KB}}\n";

/* Its type, range, default, and where else it can be said. */
static void put_key(FILE *out, const struct ebb_key *key)
{
	char name[EBB_KEY_ENVIRON_MAX];

	(void)fputs(".It Cm", out);
	put_argument(out, key->path);
	(void)fputc('\n', out);
	put_line(out, key->help ? key->help : "");
	if (key->kind == EBB_KEY_SECTION)
		return;
	(void)fprintf(out, ".br\n.Em %s", key->type ? key->type : "value");
	if (key->range) {
		(void)fputs(" :\n", out);
		put_line(out, key->range);
	} else {
		(void)fputc('\n', out);
	}
	if (key->flags & EBB_KEY_MUST)
		(void)fputs(".Pq must be given\n", out);
	else if (key->flags & EBB_KEY_INHERITED)
		(void)fputs(".Pq without it as in the defaults\n", out);
	else
		put_default(out, key->fallback);
	if (key->flag || ebb_key_environ(key, name, sizeof(name)))
		(void)fputs(".br\n", out);
	if (key->flag)
		(void)fprintf(out, "Flag\n.Fl \\-%s .\n", key->flag);
	if (ebb_key_environ(key, name, sizeof(name)))
		(void)fprintf(out, "Variable\n.Ev %s .\n", name);
	if (key->flags & EBB_KEY_RESTART)
		(void)fputs("A change acts when the agent starts again.\n", out);
	if (key->flags & EBB_KEY_SECRET)
		(void)fputs("Its value is never printed.\n", out);
}

int ebb_manual_config_document(FILE *out)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();

	if (!keys)
		return -ENOMEM;
	put_head(out, "EBB.YAML", "5", "configuration of ebb");
	(void)fputs(".Sh SYNOPSIS\n.Pa /etc/ebb/ebb.yaml\n.Sh DESCRIPTION\n", out);
	put_line(out,
		 "The configuration of the agent, in YAML. A change is read at once, and applied whole or rejected whole, "
		 "with the line and the reason; what was in force goes on then. An unknown key is an error. Without the "
		 "file everything is observed with the defaults.");
	(void)fputs(".Pp\n", out);
	put_line(out,
		 "'ebb config check' says what is wrong with a file, 'ebb config show' what is in force and where each "
		 "value came from: a flag is stronger than an environment variable, that is stronger than the file, and "
		 "the file is stronger than the default.");
	(void)fputs(".Pp\n", out);
	put_line(out,
		 "Of several rules that match, the most specific wins: an exact host, a pattern of hosts, the longest "
		 "CIDR; with a port before without. Of equal ones the first in the file wins.");
	(void)fputs(".Sh KEYS\nA part in\n.Li []\nstands for each element of a list.\n.Bl -tag -width Ds\n",
		    out);
	for (size_t i = 0; i < keys->count; i++)
		put_key(out, &keys->list[i]);
	(void)fputs(".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa /etc/ebb/ebb.yaml\n", out);
	put_line(out, "Read when the agent is not told another by --config.");
	(void)fputs(".El\n.Sh EXAMPLES\n.Bd -literal\n", out);
	for (const char *line = example; *line;) {
		size_t length = strcspn(line, "\n");

		put_literal(out, line, length);
		line += length + 1;
	}
	(void)fputs(".Ed\n.Sh SEE ALSO\n.Xr ebb 8\n", out);
	return ferror(out) ? -EIO : 0;
}

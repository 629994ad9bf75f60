/* SPDX-License-Identifier: Apache-2.0 */
/* user/cli/complete.c: what is offered at the end of a line, from the real table of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/complete.h"

#define WORDS_MAX 16

/* The candidates for @line, whose last word is completed, a blank between them; meanings are left out. */
static char *complete(const char *line)
{
	char words[256], *argv[WORDS_MAX], *rest = words, *word, *text = NULL, *names;
	size_t size, used = 0;
	int argc = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&rest, " "))) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	assert_int_equal(ebb_complete(out, ebb_commands, argc, argv), EBB_EXIT_DONE);
	assert_int_equal(fclose(out), 0);
	names = calloc(1, size + 2);
	assert_non_null(names);
	for (char *lines = text, *one; (one = strsep(&lines, "\n"));) {
		size_t length = strcspn(one, "\t");

		if (length == 0)
			continue;
		if (used)
			names[used++] = ' ';
		memcpy(names + used, one, length);
		used += length;
	}
	free(text);
	return names;
}

struct completion_case {
	const char *line, *offered;
};

static const struct completion_case completion_cases[] = {
	{"st", "status"},
	{"li", "list limit"},
	{"zz", ""},
	{"--v", "--version"},
	{"limit ", "set clear"},
	{"limit s", "set"},
	{"limit set --pi", "--pin"},
	{"limit nothing ", ""},
	{"list --so", "--sort"},
	{"list --sort p", "p50 p95 p99"},
	{"list --sort=p", "--sort=p50 --sort=p95 --sort=p99"},
	{"top --sort p", "p50 p95 p99"},
	{"list --state forced_", "forced_open forced_closed"},
	{"list -o ", "text json"},
	{"list --output j", "json"},
	{"list -o json --o", ""}, /* it is given already */
	{"list --pin ", ":dir"},
	{"list --state ", "closed open half_open forced_open forced_closed"},
	{"run --mode ", "observe enforce"},
	{"run --mode enforce --mod", ""},
	{"run --adopt ", "on off"},
	{"run --established ", "keep drop reset"},
	{"run --cgroup ", ":dir"},
	{"run --config ", ":file"},
	{"run --breaker open_", "open_for= open_factor= open_max= open_jitter="},
	{"run --breaker window=3s,open_f", "window=3s,open_for= window=3s,open_factor="},
	{"run --breaker=window=3s,min_", "--breaker=window=3s,min_calls="},
	{"run --seed ", ""},
	{"run --log-level ", "error warn info debug"},
	{"config ", "check show"},
	{"config check ", ":file"},
	{"top --once --d", "--delay"},
	/* names: without an agent none, and no error */
	{"show --pin /nowhere ", ""},
	{"show --pin=/nowhere --", "--output --help"},
	{"list --pin /nowhere --workload ", ""},
};

static void the_table_says_what_is_possible(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(completion_cases) / sizeof(completion_cases[0]); i++) {
		char *offered = complete(completion_cases[i].line);

		if (strcmp(offered, completion_cases[i].offered) != 0)
			fail_msg("'%s': '%s', not '%s'", completion_cases[i].line, offered,
				 completion_cases[i].offered);
		free(offered);
	}
}

/* Each option of each command is offered, under a name that the parser takes. */
static void every_command_and_option_is_offered(void **state)
{
	(void)state;
	for (const struct ebb_command *c = ebb_commands; c->name; c++) {
		char line[128], wanted[128], *offered;

		(void)snprintf(line, sizeof(line), "%s --", c->name);
		offered = complete(line);
		for (const struct ebb_option *o = c->options; o && o->name; o++) {
			(void)snprintf(wanted, sizeof(wanted), "--%s ", o->name);
			if (!strstr(offered, wanted))
				fail_msg("ebb %s: --%s is not offered: %s", c->name, o->name, offered);
		}
		free(offered);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_says_what_is_possible),
		cmocka_unit_test(every_command_and_option_is_offered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

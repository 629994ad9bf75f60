/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb config check': is this file one that an agent would take? 'ebb config show': what holds,
 * and who says it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common.h"
#include "cli/running.h"
#include "config/problem.h"
#include "lib/cleanup.h"
#include "lib/table.h"
#include "lib/text.h"

#define STDIN_BYTES_MAX (5U << 20) /* above what a configuration may have, so that the parser says so */

/* ---------------------------------------------------------------- check -- */

static int read_stdin(char **ret_text, size_t *ret_length)
{
	_cleanup_free_ char *text = malloc(STDIN_BYTES_MAX);
	size_t used = 0;
	ssize_t n = 1;

	if (!text)
		return -ENOMEM;
	while (n != 0 && used < STDIN_BYTES_MAX) {
		n = read(STDIN_FILENO, text + used, STDIN_BYTES_MAX - used);
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
	}
	*ret_text = TAKE_PTR(text);
	*ret_length = used;
	return 0;
}

/* The file alone: what flags and environment say is the agent's business. */
static int check_file(const char *path, struct ebb_config **ret_config, struct ebb_problems *problems)
{
	const struct ebb_config_sources sources = {.path = path};
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r;

	if (strcmp(path, "-") != 0)
		return ebb_config_load(&sources, ret_config, problems);
	r = read_stdin(&text, &length);
	if (r == 0)
		return ebb_config_parse(text, length, ret_config, problems);
	memset(problems, 0, sizeof(*problems));
	ebb_problem(problems, 0, 0, "cannot read standard input: %s", ebb_strerror(r));
	return r;
}

static size_t count_enforcing(const struct ebb_config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->destination_count; i++)
		count += config->destinations[i].settings.mode == EBB_MODE_ENFORCE;
	return count;
}

static size_t count_matches(const struct ebb_config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->destination_count; i++)
		count += config->destinations[i].match_count;
	return count;
}

/* "is good: mode observe; 2 destinations, 1 of them enforced, 5 matches" */
static void print_summary(const char *path, const struct ebb_config *config,
			  const struct ebb_problems *problems)
{
	size_t enforced = count_enforcing(config), matches = count_matches(config);

	(void)printf("%s is good: mode %s", path, ebb_mode_name(config->defaults.mode));
	if (config->destination_count > 0)
		(void)printf("; %zu destination%s with %zu match%s, %zu enforced", config->destination_count,
			     config->destination_count == 1 ? "" : "s", matches, matches == 1 ? "" : "es",
			     enforced);
	else
		(void)printf("; no named destinations");
	if (problems->count > 0)
		(void)printf("; %zu warning%s", problems->count + problems->more,
			     problems->count + problems->more == 1 ? "" : "s");
	(void)printf("\n");
}

static json_t *json_problems(const struct ebb_problems *problems, bool warnings)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < problems->count; i++) {
		const struct ebb_problem *problem = &problems->list[i];
		json_t *item;

		if (problem->warning != warnings)
			continue;
		item = json_pack("{s:o, s:o, s:s}", "line",
				 problem->line ? json_integer(problem->line) : json_null(), "column",
				 problem->line ? json_integer(problem->column) : json_null(), "text",
				 problem->text);
		if (!item || json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static enum ebb_exit print_check_json(const struct ebb_args *args, const char *path,
				      const struct ebb_config *config, const struct ebb_problems *problems)
{
	json_t *errors = json_problems(problems, false), *warnings = json_problems(problems, true);
	json_t *root = json_pack("{s:s, s:b, s:o*, s:o*, s:I}", "file", path, "good", config != NULL,
				 "errors", errors, "warnings", warnings, "more", (json_int_t)problems->more);

	if (root && config &&
	    (json_object_set_new(root, "mode", json_string(ebb_mode_name(config->defaults.mode))) < 0 ||
	     json_object_set_new(root, "destinations", json_integer((json_int_t)config->destination_count)) <
		     0 ||
	     json_object_set_new(root, "enforced", json_integer((json_int_t)count_enforcing(config))) < 0 ||
	     json_object_set_new(root, "matches", json_integer((json_int_t)count_matches(config))) < 0)) {
		json_decref(root);
		root = NULL;
	}
	return ebb_print_json(args, root);
}

static enum ebb_exit exit_of_check(int r)
{
	switch (r) {
	case 0:
		return EBB_EXIT_DONE;
	case -ENOENT:
	case -ENOTDIR:
		return EBB_EXIT_NOT_FOUND;
	case -EPERM:
	case -EACCES:
		return EBB_EXIT_NOT_PERMITTED;
	default:
		return EBB_EXIT_FAILED;
	}
}

static const char *default_path(void)
{
	const char *path = getenv(EBB_CONFIG_ENVIRON);

	return path && path[0] ? path : EBB_CONFIG_PATH;
}

enum ebb_exit ebb_cmd_config_check(const struct ebb_args *args)
{
	const char *path = ebb_args_positional(args, 0);
	struct ebb_config *config = NULL;
	struct ebb_problems problems;
	char shown[1024];
	enum ebb_exit code;
	bool json;
	int r;

	code = ebb_output_format(args, &json);
	if (code != EBB_EXIT_DONE)
		return code;
	if (!path)
		path = default_path();
	r = check_file(path, &config, &problems);
	(void)ebb_text_escape(strcmp(path, "-") == 0 ? "standard input" : path, shown, sizeof(shown));
	code = exit_of_check(r);
	if (json) {
		enum ebb_exit printed = print_check_json(args, shown, config, &problems);

		if (code == EBB_EXIT_DONE)
			code = printed;
	} else {
		ebb_tell_problems(args, shown, &problems);
		if (config)
			print_summary(shown, config, &problems);
	}
	ebb_config_free(config);
	return code;
}

/* ----------------------------------------------------------------- show -- */

/* Where it is shown, and of what. */
struct showing {
	struct ebb_table *table;
	json_t *list; /* JSON: in place of the table */
	const char *destination;
	bool all; /* also what a destination inherits */
	bool failed;
};

static const char *value_text(const struct ebb_config_value *value)
{
	if (value->key->flags & EBB_KEY_SECRET && value->layer != EBB_LAYER_DEFAULT)
		return "(not shown)";
	return value->text ? value->text : "-";
}

/* "destinations[payments].breaker.window" */
static void value_path(const struct showing *showing, const struct ebb_config_value *value, char *buffer,
		       size_t size)
{
	static const char below[] = "destinations[].";

	if (showing->destination)
		(void)snprintf(buffer, size, "destinations[%s].%s", showing->destination,
			       value->key->path + strlen(below));
	else
		(void)snprintf(buffer, size, "%s", value->key->path);
}

static json_t *value_json(const struct showing *showing, const struct ebb_config_value *value)
{
	static const char *const layers[] = {"default", "file", "environment", "flag"};
	bool secret = value->key->flags & EBB_KEY_SECRET;
	char path[2 * EBB_KEY_PATH_MAX];
	json_t *item;

	value_path(showing, value, path, sizeof(path));
	item = json_pack("{s:s, s:s?, s:s, s:s?}", "key", path, "value", secret ? NULL : value->text, "from",
			 layers[value->layer], "name", value->name);
	if (!item)
		return NULL;
	if ((value->layer == EBB_LAYER_FILE &&
	     (json_object_set_new(item, "line", json_integer(value->line)) < 0 ||
	      json_object_set_new(item, "column", json_integer(value->column)) < 0)) ||
	    (value->inherited && json_object_set_new(item, "inherited", json_true()) < 0) ||
	    (secret && json_object_set_new(item, "secret", json_true()) < 0)) {
		json_decref(item);
		return NULL;
	}
	return item;
}

static void show_value(void *userdata, const struct ebb_config_value *value)
{
	struct showing *showing = userdata;
	char path[2 * EBB_KEY_PATH_MAX], origin[EBB_PROBLEM_TEXT_MAX];

	if (value->inherited && !showing->all)
		return;
	if (showing->list) {
		showing->failed |= json_array_append_new(showing->list, value_json(showing, value)) < 0;
		return;
	}
	value_path(showing, value, path, sizeof(path));
	ebb_table_cell(showing->table, "%s", path);
	ebb_table_cell(showing->table, "%s", value_text(value));
	ebb_table_cell(showing->table, "%s%s", ebb_config_value_origin(value, origin, sizeof(origin)),
		       value->inherited ? " (inherited)" : "");
}

/* All of it, or one destination. */
static int show_values(const struct ebb_config *config, const char *destination, struct showing *showing)
{
	int r;

	showing->destination = destination;
	showing->all |= destination != NULL;
	r = ebb_config_each(config, destination, show_value, showing);
	for (size_t i = 0; r == 0 && !destination && i < config->destination_count; i++) {
		showing->destination = config->destinations[i].name;
		r = ebb_config_each(config, showing->destination, show_value, showing);
	}
	return r < 0 ? r : showing->failed ? -ENOMEM : 0;
}

static enum ebb_exit unknown_destination(const struct ebb_args *args, const struct ebb_config *config,
					 const char *name)
{
	char shown[256];
	const char *best = NULL;
	size_t best_distance = SIZE_MAX, distance;

	(void)ebb_text_escape(name, shown, sizeof(shown));
	for (size_t i = 0; i < config->destination_count; i++) {
		if (ebb_text_like(name, config->destinations[i].name, &distance) &&
		    distance < best_distance) {
			best = config->destinations[i].name;
			best_distance = distance;
		}
	}
	if (best)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND,
				"the configuration names no destination '%s': did you mean '%s'?", shown,
				best);
	return ebb_fail(args, EBB_EXIT_NOT_FOUND,
			"the configuration names no destination '%s': 'ebb config show' lists them", shown);
}

/* @running: NULL, or whose configuration it is. */
static enum ebb_exit show_text(const struct ebb_args *args, const struct ebb_config *config,
			       const struct ebb_running *running)
{
	static const struct ebb_column columns[] = {{.title = "KEY"}, {.title = "VALUE"}, {.title = "FROM"}};
	const char *destination = ebb_args_positional(args, 0);
	struct showing showing = {0};
	int r;

	r = ebb_table_new(columns, 3, &showing.table);
	if (r == 0)
		r = show_values(config, destination, &showing);
	if (r == 0 && running)
		(void)printf("Of the agent that runs (pid %u, generation %u):\n", running->pid,
			     running->generation);
	else if (r == 0)
		(void)printf("Of 'ebb run', if it were started from here:\n");
	if (r == 0)
		r = ebb_table_print(showing.table, stdout, 0, 0);
	ebb_table_free(showing.table);
	if (r == -ENOENT)
		return unknown_destination(args, config, destination);
	return ebb_printed(args, r);
}

static enum ebb_exit show_json(const struct ebb_args *args, const struct ebb_config *config,
			       const struct ebb_running *running)
{
	struct showing showing = {.list = json_array(), .all = true};
	json_t *agent = running ? json_pack("{s:I, s:I, s:b}", "pid", (json_int_t)running->pid, "generation",
					    (json_int_t)running->generation, "behind", running->behind)
				: json_null();
	int r = showing.list && agent ? show_values(config, ebb_args_positional(args, 0), &showing) : -ENOMEM;

	if (r == 0)
		return ebb_print_json(args, json_pack("{s:o, s:o}", "agent", agent, "values", showing.list));
	json_decref(agent);
	json_decref(showing.list);
	return r == -ENOENT ? unknown_destination(args, config, ebb_args_positional(args, 0))
			    : ebb_fail(args, EBB_EXIT_FAILED, "%s", ebb_strerror(r));
}

enum ebb_exit ebb_cmd_config_show(const struct ebb_args *args)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();
	_cleanup_free_ struct ebb_running *running = calloc(1, sizeof(*running));
	_cleanup_free_ struct ebb_run_sources *ours = calloc(1, sizeof(*ours));
	const struct ebb_run_sources *run = ours;
	struct ebb_config *config = NULL;
	struct ebb_problems problems;
	enum ebb_exit code;
	bool json, found;
	int r;

	code = ebb_output_format(args, &json);
	if (code != EBB_EXIT_DONE)
		return code;
	if (!keys || !running || !ours)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	ebb_run_sources(args, keys, (const char *const *)environ, getenv(EBB_CONFIG_ENVIRON), ours);
	found = !ebb_args_given(args, "config") &&
		ebb_running_find(ebb_args_get(args, "pin"), keys, running) == 0;
	if (found)
		run = &running->run;
	r = ebb_config_load(&run->sources, &config, &problems);
	if (r < 0) {
		ebb_tell_problems(args, run->sources.path, &problems);
		code = ebb_run_exit(r, &problems);
		if (found)
			code = ebb_fail(args, code,
					"the agent (pid %u) goes on with what it took before: generation %u",
					running->pid, running->generation);
	} else if (json) {
		code = show_json(args, config, found ? running : NULL);
	} else {
		ebb_tell_problems(args, run->sources.path, &problems);
		if (found && running->behind)
			(void)ebb_fail(args, code,
				       "warning: the agent (pid %u) does not hold all of this: 'config' in its /health tells why",
				       running->pid);
		code = show_text(args, config, found ? running : NULL);
	}
	ebb_config_free(config);
	if (found)
		ebb_running_done(running);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb run': hands flags, environment and file to the configuration, and what comes out of them
 * to the agent. What a flag takes is said in config/keys.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/common.h"
#include "config/problem.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/units.h"

static int wrong_value(struct ebb_problems *problems, const char *option, const char *text,
		       const char *expected)
{
	ebb_problem(problems, 0, 0, "--%s: '%s' is not possible: %s", option, text, expected);
	return -EINVAL;
}

static void add_flag(struct ebb_run_sources *run, const char *key, const char *option, const char *value)
{
	size_t index = run->sources.flag_count;

	if (index == EBB_RUN_FLAGS_MAX)
		return;
	(void)snprintf(run->names[index], sizeof(run->names[0]), "--%s", option);
	(void)snprintf(run->keys[index], sizeof(run->keys[0]), "%s", key);
	run->flags[index] =
		(struct ebb_config_flag){.key = run->keys[index], .flag = run->names[index], .value = value};
	run->sources.flag_count++;
}

void ebb_run_sources(const struct ebb_args *args, const struct ebb_keys *keys, const char *const *variables,
		     const char *file, struct ebb_run_sources *ret_sources)
{
	struct ebb_run_sources *run = ret_sources;
	const char *value = ebb_args_given(args, "config");

	memset(run, 0, sizeof(*run));
	/* a variable that is empty says nothing; a flag that is empty is wrong */
	if (file && !file[0])
		file = NULL;
	run->sources.path = value ? value : file ? file : EBB_CONFIG_PATH;
	run->sources.optional = !value && !file;
	if (!run->sources.optional)
		run->sources.path_by = value ? "--config" : EBB_CONFIG_ENVIRON;
	run->sources.environ = variables;
	run->sources.flags = run->flags;
	for (size_t i = 0; i < keys->count; i++) {
		const struct ebb_key *key = &keys->list[i];

		value = key->flag ? ebb_args_given(args, key->flag) : NULL;
		if (value)
			add_flag(run, key->path, key->flag, value);
	}
	value = ebb_args_given(args, "breaker");
	if (value)
		add_flag(run, "defaults.breaker", "breaker", value);
}

/* What is no key of the configuration: it is about this run. */
static int read_run(const struct ebb_args *args, struct ebb_agent_options *io_options,
		    struct ebb_problems *problems)
{
	const char *seed = ebb_args_get(args, "seed");

	io_options->pin_dir = ebb_args_get(args, "pin");
	io_options->no_set_retval = ebb_args_get(args, "no-set-retval") != NULL;
	io_options->no_sock_destroy = ebb_args_get(args, "no-sock-destroy") != NULL;
	io_options->seed_given = seed != NULL;
	if (io_options->pin_dir[0] != '/')
		return wrong_value(problems, "pin", io_options->pin_dir,
				   "an absolute path on a bpf file system");
	if (seed && ebb_parse_u64(seed, &io_options->seed) < 0)
		return wrong_value(problems, "seed", seed, "a whole number");
	return 0;
}

int ebb_run_options(const struct ebb_args *args, struct ebb_run_sources *ret_sources,
		    struct ebb_config **ret_config, struct ebb_agent_options *ret_options,
		    struct ebb_problems *problems)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();
	struct ebb_agent_options options = {0};
	struct ebb_config *config;
	int r;

	memset(problems, 0, sizeof(*problems));
	if (!keys) {
		ebb_problem(problems, 0, 0, "out of memory");
		return -ENOMEM;
	}
	r = read_run(args, &options, problems);
	if (r < 0)
		return r;
	ebb_run_sources(args, keys, (const char *const *)environ, getenv(EBB_CONFIG_ENVIRON), ret_sources);
	r = ebb_config_load(&ret_sources->sources, &config, problems);
	if (r < 0)
		return r;
	options.sources = &ret_sources->sources;
	*ret_config = config;
	*ret_options = options;
	return 0;
}

void ebb_tell_problems(const struct ebb_args *args, const char *path, const struct ebb_problems *problems)
{
	const char *command = ebb_args_command(args)->name;

	for (size_t i = 0; i < problems->count; i++) {
		const struct ebb_problem *problem = &problems->list[i];
		const char *kind = problem->warning ? "warning: " : "";

		/* as compilers say it: editors and CI systems find the place */
		if (problem->line)
			(void)fprintf(stderr, "%s:%u:%u: %s%s\n", path, problem->line, problem->column, kind,
				      problem->text);
		else
			(void)fprintf(stderr, "ebb %s: %s%s\n", command, kind, problem->text);
	}
	if (problems->more)
		(void)fprintf(stderr, "ebb %s: %zu more\n", command, problems->more);
}

/* A flag or a variable that is wrong is wrong use; a file is not. */
enum ebb_exit ebb_run_exit(int r, const struct ebb_problems *problems)
{
	if (r == -EPERM || r == -EACCES)
		return EBB_EXIT_NOT_PERMITTED;
	if (problems->count > 0 && problems->list[0].line == 0 && r != -ENOMEM)
		return EBB_EXIT_USAGE;
	return EBB_EXIT_FAILED;
}

/* A cgroup that is none is wrong use, told before anything is loaded. */
static enum ebb_exit check_cgroup(const struct ebb_args *args, const struct ebb_config *config)
{
	char origin[EBB_PROBLEM_TEXT_MAX];
	struct ebb_why why = {};
	uint64_t id;
	int fd, r;

	if (strcmp(config->cgroup, "auto") == 0)
		return EBB_EXIT_DONE;
	r = ebb_cgroup_open(config->cgroup, &fd, &id, &why);
	if (r < 0)
		return ebb_fail(args, r == -EPERM || r == -EACCES ? EBB_EXIT_NOT_PERMITTED : EBB_EXIT_USAGE,
				"%s: %s", ebb_config_origin(config, "attach.cgroup", origin, sizeof(origin)),
				why.text);
	(void)close(fd);
	return EBB_EXIT_DONE;
}

static void log_warnings(const char *path, const struct ebb_problems *problems)
{
	char text[EBB_PROBLEM_TEXT_MAX];

	for (size_t i = 0; i < problems->count; i++)
		ebb_warn("configuration: %s",
			 ebb_problem_format(&problems->list[i], path, text, sizeof(text)));
	if (problems->more)
		ebb_warn("configuration: %zu more of this kind; 'ebb config check' lists them",
			 problems->more);
}

enum ebb_exit ebb_cmd_run(const struct ebb_args *args)
{
	struct ebb_agent_options options;
	struct ebb_run_sources sources = {};
	struct ebb_problems problems;
	struct ebb_config *config;
	struct ebb_why why = {};
	enum ebb_exit code;
	int r;

	r = ebb_run_options(args, &sources, &config, &options, &problems);
	if (r < 0) {
		ebb_tell_problems(args, sources.sources.path, &problems);
		return ebb_run_exit(r, &problems);
	}
	code = check_cgroup(args, config);
	if (code != EBB_EXIT_DONE) {
		ebb_config_free(config);
	} else {
		ebb_log_set_level((enum ebb_log_level)config->log_level);
		ebb_log_set_format((enum ebb_log_format)config->log_format);
		log_warnings(sources.sources.path, &problems);
		r = ebb_agent_run(&options, config, &why);
		if (r < 0)
			code = ebb_fail(args,
					r == -EPERM || r == -EACCES ? EBB_EXIT_NOT_PERMITTED
								    : EBB_EXIT_FAILED,
					"%s", why.text);
	}
	return code;
}

void ebb_help_run(FILE *out)
{
	ebb_help_limits(out);
	(void)fputc('\n', out);
	ebb_help_breaker_keys(out);
}

void ebb_help_breaker_keys(FILE *out)
{
	size_t count, column = 0;
	const struct ebb_policy_key *keys = ebb_policy_keys(&count);

	for (size_t i = 0; i < count; i++) {
		if (strlen(keys[i].name) + 4 > column)
			column = strlen(keys[i].name) + 4;
	}
	(void)fputs("Keys of --breaker:\n", out);
	for (size_t i = 0; i < count; i++) {
		char term[64], text[512];

		(void)snprintf(term, sizeof(term), "  %s", keys[i].name);
		(void)snprintf(text, sizeof(text), "%s; %s (default %s)", keys[i].help, keys[i].range,
			       keys[i].fallback);
		ebb_help_term(out, column, term, text);
	}
}

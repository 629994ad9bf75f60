/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/running.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PROC_BYTES_MAX (4U << 20) /* of a command line or an environment */

/* The agent that keeps its heartbeat, and what it runs on. */
static int find_agent(const char *pin_dir, struct ebb_running *running)
{
	const struct ebb_agent *agent;
	struct ebb_maps *maps;
	struct timespec now;
	int r;

	r = ebb_maps_open(pin_dir, EBB_MAPS_READ, &maps, NULL);
	if (r < 0)
		return r;
	agent = ebb_maps_view(maps)->agent;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	r = -ESRCH;
	if (ebb_agent_state(agent, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ==
		    EBB_AGENT_RUNNING &&
	    agent->pid > 0) {
		running->pid = agent->pid;
		running->generation = agent->generation;
		running->behind = agent->config_behind;
		r = 0;
	}
	ebb_maps_free(maps);
	return r;
}

/* All of /proc/PID/@name, with two NULs behind it. */
static int read_proc(uint32_t pid, const char *name, char **ret_text, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t used = 0, size = 4096;
	char path[64];
	ssize_t n = 1;

	(void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (n > 0) {
		char *more = realloc(text, size + 2);

		if (!more)
			return -ENOMEM;
		text = more;
		n = read(fd, text + used, size - used);
		if (n < 0)
			return -errno;
		used += (size_t)n;
		if (used == size)
			size *= 2;
		if (size > PROC_BYTES_MAX)
			return -E2BIG;
	}
	memset(text + used, 0, 2);
	*ret_text = TAKE_PTR(text);
	*ret_length = used;
	return 0;
}

/* Pointers to the strings of @text, NULL at the end. */
static char **split(char *text, size_t length, int *ret_count)
{
	size_t count = 0, at = 0;
	char **list;

	for (size_t i = 0; i < length; i++)
		count += text[i] == '\0';
	list = calloc(count + 2, sizeof(*list));
	if (!list)
		return NULL;
	count = 0;
	while (at < length) {
		list[count++] = text + at;
		at += strlen(text + at) + 1;
	}
	*ret_count = (int)count;
	return list;
}

static const struct ebb_command *run_command(void)
{
	const struct ebb_command *command = ebb_commands;

	while (command->name && command->run != ebb_cmd_run)
		command++;
	return command->name ? command : NULL;
}

static int read_words(struct ebb_running *running)
{
	const struct ebb_command *command = run_command();
	size_t length = 0;
	int count = 0, r;

	r = read_proc(running->pid, "cmdline", &running->words, &length);
	if (r < 0)
		return r;
	running->argv = split(running->words, length, &count);
	if (!running->argv)
		return -ENOMEM;
	/* another process may have its pid, as seen from here */
	if (!command || count < 2 || strcmp(running->argv[1], command->name) != 0)
		return -ESRCH;
	r = ebb_args_parse(command, count - 2, running->argv + 2, &running->args, NULL);
	return r == -ENOMEM ? r : r < 0 ? -ESRCH : 0;
}

static int read_variables(struct ebb_running *running)
{
	size_t length = 0;
	int count = 0, r;

	r = read_proc(running->pid, "environ", &running->variables, &length);
	if (r < 0)
		return r;
	running->environ = split(running->variables, length, &count);
	return running->environ ? 0 : -ENOMEM;
}

static bool same_mounts(uint32_t pid)
{
	char path[64], ours[64] = "", theirs[64] = "";

	(void)snprintf(path, sizeof(path), "/proc/%u/ns/mnt", pid);
	return readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1) > 0 &&
	       readlink(path, theirs, sizeof(theirs) - 1) > 0 && strcmp(ours, theirs) == 0;
}

/* Its file as we can open it: it may have another working directory, and live in a container. */
static void place_file(struct ebb_running *running)
{
	const char *path = running->run.sources.path;
	char link[64], cwd[2048] = "";

	(void)snprintf(link, sizeof(link), "/proc/%u/cwd", running->pid);
	if (same_mounts(running->pid)) {
		if (path[0] == '/' || readlink(link, cwd, sizeof(cwd) - 1) <= 0)
			return;
		(void)snprintf(running->path, sizeof(running->path), "%s/%s", cwd, path);
	} else {
		(void)snprintf(running->path, sizeof(running->path), "/proc/%u/%s/%s", running->pid,
			       path[0] == '/' ? "root" : "cwd", path);
	}
	running->run.sources.path = running->path;
}

static const char *environ_value(const char *const *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables; variables++) {
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	}
	return NULL;
}

int ebb_running_find(const char *pin_dir, const struct ebb_keys *keys, struct ebb_running *ret_running)
{
	struct ebb_running *running = ret_running;
	const char *const *variables;
	int r;

	memset(running, 0, sizeof(*running));
	r = find_agent(pin_dir, running);
	if (r < 0)
		return r;
	r = read_words(running);
	if (r == 0)
		r = read_variables(running);
	if (r < 0) {
		ebb_running_done(running);
		return r;
	}
	variables = (const char *const *)running->environ;
	ebb_run_sources(running->args, keys, variables, environ_value(variables, EBB_CONFIG_ENVIRON),
			&running->run);
	place_file(running);
	return 0;
}

void ebb_running_done(struct ebb_running *running)
{
	ebb_args_free(running->args);
	free((void *)running->argv);
	free(running->words);
	free((void *)running->environ);
	free(running->variables);
	memset(running, 0, sizeof(*running));
}

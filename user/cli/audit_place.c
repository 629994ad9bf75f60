/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/sinks.h"
#include "cli/common.h"
#include "cli/running.h"
#include "core/deed.h"
#include "export/whereabouts.h"
#include "lib/cleanup.h"
#include "lib/when.h"

#define FILES_FROM   1000 /* moved aside, beside the one that --from names */
#define DEED_WAIT_NS 5000000000ULL
#define NS_PER_S     1000000000ULL

/* A file that became wrong under an agent that goes on may still say rightly what is needed. */
static int read_section(const struct ebb_args *args, const struct ebb_config_sources *sources,
			const struct ebb_problems *problems, struct ebb_audit_place *place)
{
	struct ebb_config_sources section = *sources;
	char first[EBB_PROBLEM_TEXT_MAX];
	struct ebb_problems ignored;
	int r;

	section.section = "audit";
	r = ebb_config_load(&section, &place->config, &ignored);
	if (r == 0)
		(void)fprintf(stderr,
			      "ebb %s: %s; the agent goes on with what it had, and what the file says of audit is good: that is used\n",
			      ebb_args_command(args)->name,
			      ebb_problem_format(&problems->list[0], sources->path, first, sizeof(first)));
	return r;
}

static enum ebb_exit read_config(const struct ebb_args *args, const struct ebb_run_sources *run,
				 struct ebb_audit_place *place)
{
	struct ebb_problems problems;
	int r = ebb_config_load(&run->sources, &place->config, &problems);

	if (r == -EINVAL && place->running)
		r = read_section(args, &run->sources, &problems, place);
	if (r == 0)
		return EBB_EXIT_DONE;
	ebb_tell_problems(args, run->sources.path, &problems);
	return ebb_run_exit(r, &problems);
}

/* Whom --pin means, unless --config says what is to be asked instead. *@ret_running is for ebb_running_done(). */
static bool find_agent(const struct ebb_args *args, const struct ebb_keys *keys,
		       struct ebb_running *ret_running)
{
	return !ebb_args_given(args, "config") &&
	       ebb_running_find(ebb_args_get(args, "pin"), keys, ret_running) == 0;
}

static void set_place(struct ebb_audit_config *audit, const struct ebb_whereabouts *said)
{
	(void)snprintf(audit->dir, sizeof(audit->dir), "%s", said->dir);
	(void)snprintf(audit->sqlite.path, sizeof(audit->sqlite.path), "%s", said->sqlite);
	(void)snprintf(audit->file.path, sizeof(audit->file.path), "%s", said->file);
	audit->file.keep = said->keep;
	(void)snprintf(audit->postgres.host, sizeof(audit->postgres.host), "%s", said->host);
	audit->postgres.port = said->port;
	(void)snprintf(audit->postgres.database, sizeof(audit->postgres.database), "%s", said->database);
	(void)snprintf(audit->postgres.user, sizeof(audit->postgres.user), "%s", said->user);
	(void)snprintf(audit->postgres.password_file, sizeof(audit->postgres.password_file), "%s",
		       said->password_file);
}

enum ebb_exit ebb_audit_place(const struct ebb_args *args, struct ebb_audit_place *ret_place)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();
	_cleanup_free_ struct ebb_running *running = calloc(1, sizeof(*running));
	_cleanup_free_ struct ebb_run_sources *ours = calloc(1, sizeof(*ours));
	const struct ebb_run_sources *run = ours;
	const char *dir = ebb_args_get(args, "dir");
	struct ebb_whereabouts said;
	enum ebb_exit code;
	bool told = false;

	if (!keys || !running || !ours)
		return ebb_fail(args, EBB_EXIT_FAILED, "out of memory");
	memset(ret_place, 0, sizeof(*ret_place));
	ebb_run_sources(args, keys, (const char *const *)environ, getenv(EBB_CONFIG_ENVIRON), ours);
	ret_place->running = find_agent(args, keys, running);
	if (ret_place->running) {
		run = &running->run;
		told = ebb_whereabouts_of(running->pid, &said) == 0;
	}
	code = read_config(args, run, ret_place);
	if (ret_place->running)
		ebb_running_done(running);
	if (code != EBB_EXIT_DONE)
		return code;
	if (told)
		set_place(&ret_place->config->audit, &said);
	(void)snprintf(ret_place->dir, sizeof(ret_place->dir), "%s",
		       dir ? dir : ret_place->config->audit.dir);
	return EBB_EXIT_DONE;
}

void ebb_audit_place_done(struct ebb_audit_place *place)
{
	ebb_config_free(place->config);
	place->config = NULL;
}

int ebb_audit_place_sink(const struct ebb_audit_place *place, const char *name, struct ebb_sink *ret_sink)
{
	struct ebb_audit_sinks all;
	bool found = false;
	int r = ebb_sinks_make(place->config, &all);

	if (r < 0)
		return r;
	for (size_t i = 0; i < all.count; i++) {
		struct ebb_sink *sink = &all.sinks[i];

		if (!found && strcmp(sink->ops->name, name) == 0) {
			*ret_sink = *sink;
			found = true;
		} else {
			sink->ops->free(sink->data);
		}
	}
	return found ? 0 : -ENOENT;
}

/* ------------------------------------------------------------------- read -- */

enum ebb_exit ebb_period_options(const struct ebb_args *args, int64_t *ret_since_ns, int64_t *ret_until_ns)
{
	const char *since = ebb_args_get(args, "since"), *until = ebb_args_get(args, "until");
	struct timespec ts = {0};
	int64_t now;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	now = (int64_t)ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
	if (ebb_when_parse(since, now, ret_since_ns) < 0)
		return ebb_fail_option(args, "since", "'%s' is not possible: a time like " EBB_WHEN_EXAMPLES,
				       since);
	*ret_until_ns = now;
	if (until && ebb_when_parse(until, now, ret_until_ns) < 0)
		return ebb_fail_option(args, "until", "'%s' is not possible: a time like " EBB_WHEN_EXAMPLES,
				       until);
	if (*ret_since_ns >= *ret_until_ns)
		return ebb_fail(args, EBB_EXIT_USAGE,
				"--since is not before --until: nothing lies between them");
	return EBB_EXIT_DONE;
}

/* Every database begins so. */
static bool is_database(const char *path)
{
	static const char magic[] = "SQLite format 3";
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char start[sizeof(magic)];

	return f && fread(start, 1, sizeof(start), f) == sizeof(start) &&
	       memcmp(start, magic, sizeof(magic)) == 0;
}

static void set_source(struct ebb_audit_source *source, const char *path, bool database, unsigned int keep)
{
	(void)snprintf(source->path, sizeof(source->path), "%s", path);
	source->database = database;
	source->keep = keep;
}

static bool is_there(const char *path)
{
	return path[0] && access(path, F_OK) == 0;
}

/* @running: an agent says it. */
static enum ebb_exit find_source(const struct ebb_args *args, const struct ebb_whereabouts *at, bool running,
				 struct ebb_audit_source *ret_source)
{
	const char *wanted = at->sqlite[0] ? at->sqlite : at->file;

	if (is_there(at->sqlite)) {
		set_source(ret_source, at->sqlite, true, 0);
		return EBB_EXIT_DONE;
	}
	if (is_there(at->file)) {
		set_source(ret_source, at->file, false, at->keep);
		return EBB_EXIT_DONE;
	}
	if (!wanted[0])
		return ebb_fail(args, EBB_EXIT_NOT_FOUND,
				"the configuration keeps no audit log here: set audit.sqlite.path or audit.file.path");
	if (ebb_args_given(args, "follow")) {
		(void)fprintf(stderr, "ebb audit: there is no audit log in %s yet: waiting for it\n", wanted);
		set_source(ret_source, wanted, at->sqlite[0], at->keep);
		return EBB_EXIT_DONE;
	}
	if (running)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND,
				"there is no audit log in %s yet: the agent makes it with the first event; /health tells if it cannot",
				wanted);
	return ebb_fail(args, EBB_EXIT_NOT_FOUND,
			"there is no audit log in %s: start the agent ('ebb run'), or name another with --from or --config",
			wanted);
}

/* Where the agent that runs writes; what its file says is not even read. False: there is none, or it does not say. */
static bool ask_running(const struct ebb_args *args, struct ebb_whereabouts *ret)
{
	_cleanup_free_ struct ebb_keys *keys = ebb_keys_new();
	_cleanup_free_ struct ebb_running *running = calloc(1, sizeof(*running));
	bool told;

	if (!keys || !running || !find_agent(args, keys, running))
		return false;
	/* one of an earlier version does not */
	told = ebb_whereabouts_of(running->pid, ret) == 0;
	ebb_running_done(running);
	return told;
}

static enum ebb_exit source_of_config(const struct ebb_args *args, struct ebb_audit_source *ret_source)
{
	struct ebb_audit_place place = {0};
	struct ebb_whereabouts at = {0};
	enum ebb_exit code = ebb_audit_place(args, &place);

	if (!place.config)
		return code;
	(void)snprintf(at.sqlite, sizeof(at.sqlite), "%s", place.config->audit.sqlite.path);
	(void)snprintf(at.file, sizeof(at.file), "%s", place.config->audit.file.path);
	at.keep = place.config->audit.file.keep;
	code = find_source(args, &at, place.running, ret_source);
	ebb_audit_place_done(&place);
	return code;
}

enum ebb_exit ebb_audit_source(const struct ebb_args *args, struct ebb_audit_source *ret_source)
{
	const char *from = ebb_args_get(args, "from");
	struct ebb_whereabouts at;

	/* which of the two it will be is not known */
	if (from && ebb_args_given(args, "follow") && access(from, F_OK) < 0 && errno == ENOENT)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND, "there is no %s", from);
	if (from) {
		set_source(ret_source, from, is_database(from), FILES_FROM);
		return EBB_EXIT_DONE;
	}
	if (ask_running(args, &at))
		return find_source(args, &at, true, ret_source);
	return source_of_config(args, ret_source);
}

enum ebb_exit ebb_audit_failed(const struct ebb_args *args, const struct ebb_audit_source *source, int r,
			       const struct ebb_why *why)
{
	if (r == -ENODATA)
		return ebb_fail(args, EBB_EXIT_NOT_FOUND,
				"there is no audit log in %s yet: the agent makes it with the first event",
				source->path);
	return ebb_fail(args, ebb_exit_of_file(r), "%s", why->text);
}

/* ------------------------------------------------------------------ deeds -- */

void ebb_remember_deed(const struct ebb_args *args)
{
	char typed[sizeof(((struct ebb_deed *)0)->what) + 1];
	const char *pin = ebb_args_get(args, "pin");
	_cleanup_close_ int lock = -1;
	struct timespec now = {0};
	struct ebb_maps *maps;

	if (ebb_maps_open(pin, EBB_MAPS_WRITE, &maps, NULL) < 0)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ebb_policies_lock(pin, DEED_WAIT_NS, &lock, NULL) == 0)
		ebb_deed_record(ebb_maps_view(maps)->deeds, getuid(), ebb_login_uid(),
				(uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec,
				ebb_args_typed(args, typed, sizeof(typed)));
	ebb_maps_free(maps);
}

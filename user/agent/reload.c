/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/errand.h"
#include "agent/follow.h"
#include "export/health.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/units.h"

#define NS_PER_S 1000000000ULL

enum phase {
	IDLE,
	READING,     /* beside the loop */
	READ,	     /* waits for the lock, to be prepared */
	WORKING,     /* beside the loop */
	WORKED_OUT,  /* waits for the lock, to be marked */
	REMEMBERING, /* waits for the pass */
	REMEMBERED,  /* waits for the lock, to be committed */
	SWEEPING,    /* in force; beside the loop */
};

struct ebb_reload {
	struct ebb_reload_setup setup;
	struct ebb_follow *follow;  /* NULL: there is no path */
	struct ebb_config *started; /* of the start: what needs a restart is as in it */
	struct ebb_config *config;  /* in force */
	struct ebb_config *coming;  /* from READ to its commit */
	struct ebb_errand *errand;
	enum phase phase;
	bool again; /* the file has changed meanwhile */
	uint64_t began_ns;

	/* of the work beside the loop */
	struct ebb_config_sources sources;
	struct ebb_problems problems; /* READING */
	struct ebb_why why;	      /* WORKING */
	int result;

	bool gone_told;
	char restart_told[256];
};

int ebb_reload_new(const struct ebb_reload_setup *setup, struct ebb_config *config,
		   struct ebb_reload **ret_reload)
{
	struct ebb_reload *r = calloc(1, sizeof(*r));
	int error;

	if (!r) {
		ebb_config_free(config);
		return -ENOMEM;
	}
	r->setup = *setup;
	r->started = r->config = config;
	error = ebb_errand_new(&r->errand);
	if (error < 0) {
		ebb_reload_free(r);
		return error;
	}
	if (setup->sources->path) {
		error = ebb_follow_new(setup->sources->path, ebb_config_read_as(config), &r->follow);
		if (error < 0) {
			ebb_reload_free(r);
			return error;
		}
	}
	*ret_reload = r;
	return 0;
}

void ebb_reload_free(struct ebb_reload *reload)
{
	if (!reload)
		return;
	ebb_errand_free(reload->errand);
	ebb_apply_drop(reload->setup.apply);
	ebb_follow_free(reload->follow);
	ebb_config_free(reload->coming);
	if (reload->config != reload->started)
		ebb_config_free(reload->config);
	ebb_config_free(reload->started);
	free(reload);
}

int ebb_reload_fd(const struct ebb_reload *reload)
{
	return reload->follow ? ebb_follow_fd(reload->follow) : -1;
}

static bool waits_for_lock(const struct ebb_reload *r)
{
	return r->phase == READ || r->phase == WORKED_OUT || r->phase == REMEMBERED;
}

/* ----------------------------------------------------------------- told -- */

static const char *path_of(const struct ebb_reload *r)
{
	return r->setup.sources->path ? r->setup.sources->path : "";
}

static void tell_problems(const struct ebb_reload *r, const struct ebb_problems *problems)
{
	char text[EBB_PROBLEM_TEXT_MAX];

	for (size_t i = 0; i < problems->count; i++) {
		const struct ebb_problem *problem = &problems->list[i];

		(void)ebb_problem_format(problem, path_of(r), text, sizeof(text));
		if (problem->warning)
			ebb_warn("configuration: %s", text);
		else
			ebb_err("configuration: %s", text);
	}
	if (problems->more)
		ebb_warn("configuration: %zu more of this kind; 'ebb config check' lists them",
			 problems->more);
}

/* For 'ebb config show', which reads the sources and not what holds. */
static void set_behind(const struct ebb_reload *r, bool behind)
{
	__atomic_store_n(&r->setup.source->view->agent->config_behind, behind, __ATOMIC_RELAXED);
}

static void rejected(struct ebb_reload *r, const char *why)
{
	ebb_err("configuration rejected, the one before goes on: generation=%" PRIu64 " file=%s reason='%s'",
		(uint64_t)r->setup.source->view->agent->generation, path_of(r), why);
	r->setup.source->reloads[EBB_RELOAD_REJECTED]++;
	r->setup.source->reload_failed = true;
	ebb_health_set(r->setup.health, EBB_HEALTH_CONFIG, EBB_DEGRADED, r->setup.realtime_ns(),
		       "rejected, an older one goes on: %s", why);
	set_behind(r, true);
	r->setup.rejected(r->setup.userdata, why);
}

/* Keys that the agent cannot follow while it runs: told once, and again when there are others. */
static void tell_restart(struct ebb_reload *r)
{
	char keys[sizeof(r->restart_told)];

	(void)ebb_config_needs_restart(r->started, r->config, keys, sizeof(keys));
	if (keys[0])
		ebb_health_set(r->setup.health, EBB_HEALTH_CONFIG, EBB_DEGRADED, r->setup.realtime_ns(),
			       "waits for a restart of the agent: %s", keys);
	else
		ebb_health_set(r->setup.health, EBB_HEALTH_CONFIG, EBB_HEALTHY, r->setup.realtime_ns(), "%s",
			       "");
	set_behind(r, keys[0] != '\0');
	if (keys[0] && strcmp(keys, r->restart_told) != 0)
		ebb_warn("configuration: %s cannot change while the agent runs: start it again to have it; everything else is in force",
			 keys);
	(void)snprintf(r->restart_told, sizeof(r->restart_told), "%s", keys);
}

static void applied(struct ebb_reload *r, const struct ebb_apply_report *report)
{
	struct ebb_source *source = r->setup.source;
	char took[EBB_FORMAT_MAX];

	source->reloads[EBB_RELOAD_APPLIED]++;
	source->reload_failed = false;
	if (report->removed && !r->config->destination_count)
		ebb_warn("the configuration names no destination any more, it named %u: everything follows the defaults; was that meant?",
			 report->removed);
	ebb_info("configuration applied: generation=%" PRIu64 " file=%s destinations=%zu took=%s; %s",
		 (uint64_t)source->view->agent->generation, path_of(r), r->config->destination_count,
		 ebb_format_duration(r->setup.now_ns() - r->began_ns, took, sizeof(took)),
		 report->text[0] ? report->text : "destinations as before");
	if (report->renewed)
		ebb_warn("configuration: another scope means gates of their own: the counters of %u destinations begin anew",
			 report->renewed);
	tell_restart(r);
}

/* ----------------------------------------------------------------- work -- */

/* Beside the loop; where there is no thread to be had, at once. */
static void begin(struct ebb_reload *r, enum phase phase, void (*work)(void *userdata))
{
	r->phase = phase;
	if (ebb_errand_start(r->errand, work, r) == 0)
		return;
	work(r);
	ebb_reload_worked(r);
}

static void give_up(struct ebb_reload *r, const char *why)
{
	ebb_apply_drop(r->setup.apply);
	ebb_config_free(TAKE_PTR(r->coming));
	r->phase = IDLE;
	rejected(r, why);
}

static void sweep(void *userdata)
{
	struct ebb_reload *r = userdata;

	r->setup.sweep(r->setup.userdata);
}

/* With the lock. */
static void commit(struct ebb_reload *r)
{
	struct ebb_apply_report report;
	struct ebb_config *before;
	struct ebb_why why = {0};

	if (ebb_apply_commit(r->setup.apply, r->setup.now_ns(), &report, &why) < 0) {
		give_up(r, why.text);
		return;
	}
	before = r->config;
	r->config = TAKE_PTR(r->coming);
	r->phase = IDLE;
	r->setup.configured(r->setup.userdata, r->config, &report);
	if (before != r->started)
		ebb_config_free(before);
	applied(r, &report);
	if (report.moved)
		begin(r, SWEEPING, sweep);
}

static void work_out(void *userdata)
{
	struct ebb_reload *r = userdata;

	r->result = ebb_apply_work_out(r->setup.apply, &r->why);
}

/* With the lock. */
static void prepare(struct ebb_reload *r)
{
	struct ebb_why why = {0};

	if (ebb_apply_prepare(r->setup.apply, r->coming, &why) < 0)
		give_up(r, why.text);
	else
		begin(r, WORKING, work_out);
}

/* With the lock. */
static void mark(struct ebb_reload *r)
{
	if (ebb_apply_mark(r->setup.apply) && r->setup.remember(r->setup.userdata))
		r->phase = REMEMBERING;
	else
		commit(r);
}

/* Goes as far as it can. An operator's command holds the lock for a moment: then later. */
static void go_on(struct ebb_reload *r)
{
	_cleanup_close_ int lock = -1;
	struct ebb_why why = {0};
	int error;

	if (!waits_for_lock(r))
		return;
	error = ebb_policies_lock(r->setup.pin_dir, 0, &lock, &why);
	if (error == -EBUSY)
		return;
	if (error < 0)
		give_up(r, why.text);
	else if (r->phase == READ)
		prepare(r);
	else if (r->phase == WORKED_OUT)
		mark(r);
	else
		commit(r);
}

/* What is not there is no reason to give up what is in force. */
static void tell_gone(struct ebb_reload *r)
{
	if (!r->gone_told)
		ebb_warn("configuration: '%s' is gone: what it said stays in force until it is there again or the agent is started again",
			 path_of(r));
	r->gone_told = true;
	ebb_health_set(r->setup.health, EBB_HEALTH_CONFIG, EBB_DEGRADED, r->setup.realtime_ns(),
		       "the file is gone: what it said stays in force");
	set_behind(r, true);
}

static void read_sources(void *userdata)
{
	struct ebb_reload *r = userdata;

	r->result = ebb_config_load(&r->sources, &r->coming, &r->problems);
}

static void take_read(struct ebb_reload *r)
{
	char text[EBB_PROBLEM_TEXT_MAX] = "out of memory";

	r->phase = IDLE;
	if (r->result < 0)
		r->coming = NULL;
	if (r->result == -ENOENT) {
		tell_gone(r);
		return;
	}
	tell_problems(r, &r->problems);
	if (r->result < 0) {
		if (r->problems.count)
			(void)ebb_problem_format(&r->problems.list[0], path_of(r), text, sizeof(text));
		rejected(r, text);
		return;
	}
	r->gone_told = false;
	r->phase = READ;
	go_on(r);
}

int ebb_reload_work_fd(const struct ebb_reload *reload)
{
	return ebb_errand_fd(reload->errand);
}

void ebb_reload_worked(struct ebb_reload *r)
{
	(void)ebb_errand_end(r->errand);
	if (r->phase == READING) {
		take_read(r);
	} else if (r->phase == WORKING && r->result < 0) {
		give_up(r, r->why.text);
	} else if (r->phase == WORKING) {
		r->phase = WORKED_OUT;
		go_on(r);
	} else if (r->phase == SWEEPING) {
		r->phase = IDLE;
	}
}

void ebb_reload_now(struct ebb_reload *reload, const char *cause)
{
	if (reload->phase != IDLE) {
		reload->again = true;
		return;
	}
	if (reload->follow)
		ebb_follow_known(reload->follow);
	reload->again = false;
	reload->began_ns = reload->setup.now_ns();
	ebb_debug("reading the configuration: cause=%s", cause);
	reload->sources = *reload->setup.sources;
	/* one that was never there need not come */
	reload->sources.optional = reload->sources.optional && !ebb_config_file(reload->config);
	begin(reload, READING, read_sources);
}

void ebb_reload_look(struct ebb_reload *reload)
{
	if (reload->follow && ebb_follow_take(reload->follow))
		ebb_reload_now(reload, "file");
}

bool ebb_reload_again(struct ebb_reload *reload)
{
	go_on(reload);
	if (reload->phase == IDLE && reload->again)
		ebb_reload_now(reload, "file, while another was applied");
	return waits_for_lock(reload);
}

void ebb_reload_remembered(struct ebb_reload *reload)
{
	if (reload->phase == REMEMBERING)
		reload->phase = REMEMBERED;
}

bool ebb_reload_is_done(const struct ebb_reload *reload)
{
	return (reload->phase == IDLE || reload->phase == SWEEPING) && !reload->again;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'ebb simulate': what a configuration would have made of a trace. Reads both, whole and
 * before anything runs; the replay itself is core/simulate.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common.h"
#include "tell/snapshot.h"
#include "cli/trace.h"
#include "core/simulate.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/table.h"
#include "lib/text.h"
#include "lib/units.h"

/* an insertion that finds no memory leaves the entry out instead of ending the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define NAME_COLUMNS_MAX 40
#define LOOK_LEAST_NS	 1000000ULL	  /* 1 ms */
#define LOOK_MOST_NS	 3600000000000ULL /* 1 h */
#define SECONDS_MAX	 32		  /* "144115188.075855" */
#define CALLS_MAX	 UINT32_MAX

/* A destination, and, where each of its workloads has a gate of its own, those. */
struct dest {
	const char *name;
	size_t config; /* index */
	uint32_t scope;
	uint32_t gate;		    /* for calls without a workload; UINT32_MAX: there were none yet */
	struct workload *workloads; /* by name */
	UT_hash_handle hh;
};

struct workload {
	const char *name;
	uint32_t gate;
	UT_hash_handle hh;
};

struct gate {
	const char *dest;
	const char *workload; /* NULL: of all */
	char *shown;	      /* as it is printed: JSON members, or text */
};

struct replay {
	const struct ebb_args *args;
	bool json;
	struct ebb_config *config;
	struct ebb_breaker_config *configs; /* the defaults, then those of the destinations */
	struct dest *dests;
	struct ebb_arena arena; /* dests, workloads, names */
	struct ebb_sim_gate *sim_gates;
	struct gate *gates; /* the same */
	size_t gate_count, gate_room;
	struct ebb_sim_call *calls;
	size_t call_count, call_room;
	struct ebb_sim_totals *totals;
	size_t name_columns;
	uint64_t moves;
};

/* ----------------------------------------------------------------- gates -- */

static struct dest *add_dest(struct replay *replay, const char *name, size_t length, size_t config,
			     uint32_t scope)
{
	struct dest *dest = ebb_arena_take(&replay->arena, sizeof(*dest));

	if (!dest)
		return NULL;
	dest->name = ebb_arena_text(&replay->arena, name, length);
	dest->config = config;
	dest->scope = scope;
	dest->gate = UINT32_MAX;
	if (!dest->name)
		return NULL;
	HASH_ADD_KEYPTR(hh, replay->dests, dest->name, length, dest);
	return dest->hh.tbl ? dest : NULL;
}

static int add_gate(struct replay *replay, const struct dest *dest, const char *workload, uint32_t *ret_gate)
{
	size_t index = replay->gate_count, room = index > 0 ? 2 * index : 64;
	const char *name = dest->name;

	if (index == replay->gate_room) {
		struct ebb_sim_gate *sim_gates = reallocarray(replay->sim_gates, room, sizeof(*sim_gates));
		struct gate *gates;

		if (!sim_gates)
			return -ENOMEM;
		replay->sim_gates = sim_gates;
		gates = reallocarray(replay->gates, room, sizeof(*gates));
		if (!gates)
			return -ENOMEM;
		replay->gates = gates;
		replay->gate_room = room;
	}
	if (workload) {
		char text[EBB_TRACE_DEST_MAX + EBB_TRACE_WORKLOAD_MAX + 2];
		int length = snprintf(text, sizeof(text), "%s %s", dest->name, workload);

		name = ebb_arena_text(&replay->arena, text, (size_t)length);
		if (!name)
			return -ENOMEM;
	}
	replay->sim_gates[index] = (struct ebb_sim_gate){.name = name, .config = dest->config};
	replay->gates[index] = (struct gate){.dest = dest->name, .workload = workload};
	replay->gate_count++;
	*ret_gate = (uint32_t)index;
	return 0;
}

static int find_workload(struct replay *replay, struct dest *dest, const char *name, uint32_t *ret_gate)
{
	struct workload *workload;
	size_t length = strlen(name);
	int r;

	HASH_FIND(hh, dest->workloads, name, length, workload);
	if (!workload) {
		workload = ebb_arena_take(&replay->arena, sizeof(*workload));
		if (!workload)
			return -ENOMEM;
		workload->name = ebb_arena_text(&replay->arena, name, length);
		if (!workload->name)
			return -ENOMEM;
		r = add_gate(replay, dest, workload->name, &workload->gate);
		if (r < 0)
			return r;
		HASH_ADD_KEYPTR(hh, dest->workloads, workload->name, length, workload);
		if (!workload->hh.tbl)
			return -ENOMEM;
	}
	*ret_gate = workload->gate;
	return 0;
}

static int find_gate(struct replay *replay, const struct ebb_trace_call *call, uint32_t *ret_gate)
{
	struct dest *dest;
	int r;

	HASH_FIND(hh, replay->dests, call->dest, call->dest_length, dest);
	if (!dest)
		dest = add_dest(replay, call->dest, call->dest_length, 0, replay->config->defaults.scope);
	if (!dest)
		return -ENOMEM;
	if (call->workload && dest->scope == EBB_SCOPE_WORKLOAD)
		return find_workload(replay, dest, call->workload, ret_gate);
	if (dest->gate == UINT32_MAX) {
		r = add_gate(replay, dest, NULL, &dest->gate);
		if (r < 0)
			return r;
	}
	*ret_gate = dest->gate;
	return 0;
}

/* ----------------------------------------------------------------- input -- */

static int add_call(void *userdata, const struct ebb_trace_call *call, struct ebb_why *why)
{
	struct replay *replay = userdata;
	uint32_t gate;

	if (replay->call_count == replay->call_room) {
		size_t room = replay->call_room > 0 ? 2 * replay->call_room : 1024;
		struct ebb_sim_call *calls = reallocarray(replay->calls, room, sizeof(*calls));

		if (!calls)
			return ebb_why(why, -ENOMEM, "no memory for so many calls");
		replay->calls = calls;
		replay->call_room = room;
	}
	if (replay->call_count == CALLS_MAX)
		return ebb_why(why, -EINVAL, "too many calls: expected at most %u", CALLS_MAX);
	if (find_gate(replay, call, &gate) < 0)
		return ebb_why(why, -ENOMEM, "no memory for so many destinations");
	replay->calls[replay->call_count++] = (struct ebb_sim_call){
		.at_ns = call->at_ns,
		.took_ns = call->took_ns,
		.gate = gate,
		.outcome = call->outcome,
	};
	return 0;
}

static enum ebb_exit read_config(struct replay *replay)
{
	const struct ebb_config_sources sources = {.path = ebb_args_get(replay->args, "config"),
						   .path_by = "--config"};
	struct ebb_problems problems;
	size_t count;
	int r;

	r = ebb_config_load(&sources, &replay->config, &problems);
	ebb_tell_problems(replay->args, sources.path, &problems);
	if (r < 0)
		return ebb_exit_of_file(r);
	count = replay->config->destination_count;
	replay->configs = calloc(count + 1, sizeof(*replay->configs));
	if (!replay->configs)
		return ebb_fail(replay->args, EBB_EXIT_FAILED, "out of memory");
	replay->configs[0] = replay->config->defaults.breaker;
	for (size_t i = 0; i < count; i++) {
		const struct ebb_destination *d = &replay->config->destinations[i];

		replay->configs[i + 1] = d->settings.breaker;
		if (!add_dest(replay, d->name, strlen(d->name), i + 1, d->settings.scope))
			return ebb_fail(replay->args, EBB_EXIT_FAILED, "out of memory");
	}
	return EBB_EXIT_DONE;
}

static enum ebb_exit read_trace(struct replay *replay)
{
	const char *path = ebb_args_get(replay->args, "trace");
	bool standard = strcmp(path, "-") == 0;
	_cleanup_close_ int own = -1;
	struct ebb_why why = {};
	char shown[1024];
	uint64_t line = 0;
	int r;

	(void)ebb_text_escape(standard ? "standard input" : path, shown, sizeof(shown));
	if (!standard) {
		own = open(path, O_RDONLY | O_CLOEXEC);
		if (own < 0) {
			r = -errno;
			return ebb_fail(replay->args, ebb_exit_of_file(r), "cannot read '%s': %s", shown,
					ebb_strerror(r));
		}
	}
	r = ebb_trace_read(standard ? STDIN_FILENO : own, add_call, replay, &line, &why);
	if (r < 0 && !why.text[0])
		return ebb_fail(replay->args, ebb_exit_of_file(r), "cannot read '%s': %s", shown,
				ebb_strerror(r));
	if (r < 0) {
		/* as compilers say it: editors and CI systems find the place */
		(void)fprintf(stderr, "%s:%" PRIu64 ": %s\n", shown, line, why.text);
		return EBB_EXIT_FAILED;
	}
	return EBB_EXIT_DONE;
}

/* ---------------------------------------------------------------- output -- */

/* "12.503": in seconds, to the microsecond. */
static const char *seconds(uint64_t ns, char buffer[SECONDS_MAX])
{
	uint64_t us = (ns + 500) / 1000;
	int length = snprintf(buffer, SECONDS_MAX, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);

	while (buffer[length - 1] == '0')
		buffer[--length] = '\0';
	if (buffer[length - 1] == '.')
		buffer[length - 1] = '\0';
	return buffer;
}

static char *json_name(const struct gate *gate)
{
	json_t *name = gate->workload
			       ? json_pack("{s:s, s:s}", "dest", gate->dest, "workload", gate->workload)
			       : json_pack("{s:s}", "dest", gate->dest);
	char *text = name ? json_dumps(name, JSON_PRESERVE_ORDER) : NULL;

	json_decref(name);
	if (text) {
		/* what stands between the braces */
		size_t length = strlen(text) - 2;

		memmove(text, text + 1, length);
		text[length] = '\0';
	}
	return text;
}

static char *text_name(const struct gate *gate)
{
	char whole[EBB_TRACE_DEST_MAX + EBB_TRACE_WORKLOAD_MAX + 4], shown[4 * sizeof(whole)];

	(void)snprintf(whole, sizeof(whole), gate->workload ? "%s (%s)" : "%s", gate->dest, gate->workload);
	return strdup(ebb_text_escape(whole, shown, sizeof(shown)));
}

static int name_gates(struct replay *replay)
{
	for (size_t i = 0; i < replay->gate_count; i++) {
		struct gate *gate = &replay->gates[i];
		size_t columns;

		gate->shown = replay->json ? json_name(gate) : text_name(gate);
		if (!gate->shown)
			return -ENOMEM;
		columns = ebb_text_columns(gate->shown);
		if (columns > replay->name_columns)
			replay->name_columns = columns < NAME_COLUMNS_MAX ? columns : NAME_COLUMNS_MAX;
	}
	return 0;
}

static void print_move_json(void *userdata, const struct ebb_sim_move *move)
{
	const struct replay *replay = userdata;
	const struct ebb_transition *t = &move->transition;
	char at[SECONDS_MAX], open_for[SECONDS_MAX], until[SECONDS_MAX];

	(void)printf("{\"t\": %s, %s, \"from\": \"%s\", \"to\": \"%s\", \"reason\": \"%s\", \"ok\": %u, \"failed\": %u, \"slow\": %u, \"run\": %u, ",
		     seconds(t->at_ns, at), replay->gates[move->gate].shown,
		     ebb_state_name(ebb_reason_from(t->reason)), ebb_state_name(ebb_reason_to(t->reason)),
		     ebb_reason_name(t->reason), t->ok, t->failed, t->slow, t->run);
	if (ebb_reason_to(t->reason) == EBB_STATE_OPEN)
		(void)printf("\"open_for\": %s, \"open_until\": %s, ",
			     seconds(t->until_ns - t->at_ns, open_for), seconds(t->until_ns, until));
	(void)printf("\"trip\": %u, \"generation\": %u}\n", move->trip, t->gen);
}

static void print_move_text(void *userdata, const struct ebb_sim_move *move)
{
	struct replay *replay = userdata;
	const struct ebb_transition *t = &move->transition;
	const char *name = replay->gates[move->gate].shown;
	size_t columns = ebb_text_columns(name);
	char at[SECONDS_MAX], open_for[SECONDS_MAX], until[SECONDS_MAX], facts[128];

	(void)printf("%14s  %s%*s  %-9s -> %-9s  %s", seconds(t->at_ns, at), name,
		     columns < replay->name_columns ? (int)(replay->name_columns - columns) : 0, "",
		     ebb_state_name(ebb_reason_from(t->reason)), ebb_state_name(ebb_reason_to(t->reason)),
		     ebb_transition_facts(t, facts, sizeof(facts)));
	if (ebb_reason_to(t->reason) == EBB_STATE_OPEN)
		(void)printf("; trip %u, for %ss, until %s", move->trip,
			     seconds(t->until_ns - t->at_ns, open_for), seconds(t->until_ns, until));
	(void)printf("\n");
	replay->moves++;
}

static void print_totals_json(const struct replay *replay)
{
	for (size_t i = 0; i < replay->gate_count; i++) {
		const struct ebb_sim_totals *t = &replay->totals[i];

		(void)printf("{%s, \"calls\": %" PRIu64 ", \"admitted\": %" PRIu64 ", \"refused\": %" PRIu64
			     ", \"succeeded\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"state\": \"%s\"}\n",
			     replay->gates[i].shown, t->calls, t->admitted, t->refused, t->succeeded,
			     t->failed, ebb_state_name(t->state));
	}
}

static int print_totals_text(const struct replay *replay)
{
	static const struct ebb_column columns[] = {
		{.title = "DESTINATION"},
		{.title = "CALLS", .align = EBB_ALIGN_RIGHT},
		{.title = "ADMITTED", .align = EBB_ALIGN_RIGHT},
		{.title = "REFUSED", .align = EBB_ALIGN_RIGHT},
		{.title = "SUCCEEDED", .align = EBB_ALIGN_RIGHT},
		{.title = "FAILED", .align = EBB_ALIGN_RIGHT},
		{.title = "STATE"},
	};
	struct ebb_table *table;
	int r;

	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < replay->gate_count; i++) {
		const struct ebb_sim_totals *t = &replay->totals[i];

		ebb_table_cell(table, "%s", replay->gates[i].shown);
		ebb_table_cell(table, "%" PRIu64, t->calls);
		ebb_table_cell(table, "%" PRIu64, t->admitted);
		ebb_table_cell(table, "%" PRIu64, t->refused);
		ebb_table_cell(table, "%" PRIu64, t->succeeded);
		ebb_table_cell(table, "%" PRIu64, t->failed);
		ebb_table_cell(table, "%s", ebb_state_name(t->state));
	}
	(void)printf("%s", replay->moves > 0 ? "\n" : "No breaker moved.\n\n");
	r = ebb_table_print(table, stdout, 0, 0);
	ebb_table_free(table);
	return r;
}

/* --------------------------------------------------------------- command -- */

static enum ebb_exit simulate(struct replay *replay, uint64_t seed, uint64_t look_ns)
{
	struct ebb_simulation simulation = {
		.configs = replay->configs,
		.config_count = replay->config->destination_count + 1,
		.gates = replay->sim_gates,
		.gate_count = replay->gate_count,
		.calls = replay->calls,
		.call_count = replay->call_count,
		.seed = seed,
		.look_ns = look_ns,
		.on_move = replay->json ? print_move_json : print_move_text,
		.userdata = replay,
	};
	int r;

	r = ebb_sim_sort(replay->calls, replay->call_count);
	if (r == 0)
		r = name_gates(replay);
	replay->totals = calloc(replay->gate_count + 1, sizeof(*replay->totals));
	if (!replay->totals)
		r = -ENOMEM;
	if (r == 0)
		r = ebb_simulate(&simulation, replay->totals);
	if (r == 0 && replay->json)
		print_totals_json(replay);
	else if (r == 0)
		r = print_totals_text(replay);
	return ebb_printed(replay->args, r);
}

static void done(struct replay *replay)
{
	struct dest *dest, *next;

	for (size_t i = 0; i < replay->gate_count; i++)
		free(replay->gates[i].shown);
	HASH_ITER (hh, replay->dests, dest, next) {
		HASH_CLEAR(hh, dest->workloads);
	}
	HASH_CLEAR(hh, replay->dests);
	ebb_arena_done(&replay->arena);
	free(replay->sim_gates);
	free(replay->gates);
	free(replay->calls);
	free(replay->totals);
	free(replay->configs);
	ebb_config_free(replay->config);
}

enum ebb_exit ebb_cmd_simulate(const struct ebb_args *args)
{
	const char *look_text = ebb_args_get(args, "look"), *seed_text = ebb_args_get(args, "seed");
	struct replay replay = {.args = args};
	uint64_t seed, look_ns = 0;
	enum ebb_exit code;

	code = ebb_output_format(args, &replay.json);
	if (code != EBB_EXIT_DONE)
		return code;
	if (!ebb_args_get(args, "trace"))
		return ebb_fail(args, EBB_EXIT_USAGE,
				"--trace is missing: the file with the calls, or '-' for standard input");
	if (ebb_parse_u64(seed_text, &seed) < 0)
		return ebb_fail_option(args, "seed", "'%s' is not possible: expected a whole number",
				       seed_text);
	if (look_text && (ebb_parse_duration(look_text, &look_ns) < 0 || look_ns < LOOK_LEAST_NS ||
			  look_ns > LOOK_MOST_NS))
		return ebb_fail_option(args, "look",
				       "'%s' is not possible: expected a duration from 1ms to 1h", look_text);
	code = read_config(&replay);
	if (code == EBB_EXIT_DONE)
		code = read_trace(&replay);
	if (code == EBB_EXIT_DONE)
		code = simulate(&replay, seed, look_ns);
	done(&replay);
	return code;
}

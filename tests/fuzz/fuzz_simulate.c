/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration, a line "---", a trace: each line of the trace is taken where jansson, and what we ask of a call, takes
 * it, and then says the same; and whatever a configuration makes of whatever trace, the machine keeps its rules.
 */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace.h"
#include "config/config.h"
#include "core/simulate.h"
#include "lib/cleanup.h"
#include "tests/lib/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS_MAX 512
#define GATES_MAX 16
#define MOVES_MAX 4096

/* ------------------------------------------------------------------ lines -- */

enum verdict {
	BAD,
	GOOD,
	NEAR, /* to a bound, so that rounding decides */
};

static enum verdict judge_number(const json_t *number, double most)
{
	double value = json_number_value(number);

	if (!json_is_number(number))
		return BAD;
	if (signbit(value) || fabs(value - most) <= most * 1e-9)
		return NEAR;
	return value < most ? GOOD : BAD;
}

static enum verdict judge_text(const json_t *text, size_t most)
{
	return json_is_string(text) && json_string_length(text) >= 1 && json_string_length(text) <= most
		       ? GOOD
		       : BAD;
}

static enum verdict judge_outcome(const json_t *text)
{
	for (uint32_t i = 0; json_is_string(text) && i < EBB_SIM_OUTCOME_MAX; i++) {
		if (strcmp(json_string_value(text), ebb_sim_outcome_name(i)) == 0)
			return GOOD;
	}
	return BAD;
}

static enum verdict worse(enum verdict a, enum verdict b)
{
	return a == BAD || b == BAD ? BAD : a == NEAR || b == NEAR ? NEAR : GOOD;
}

/* By the text of the documents, on what jansson has read. */
static enum verdict judge_call(const json_t *call)
{
	size_t known = 3;
	enum verdict v;

	if (!json_is_object(call))
		return BAD;
	v = worse(judge_number(json_object_get(call, "t"), (double)EBB_TRACE_T_MAX_S),
		  judge_text(json_object_get(call, "dest"), EBB_TRACE_DEST_MAX));
	v = worse(v, judge_outcome(json_object_get(call, "outcome")));
	if (json_object_get(call, "ms")) {
		known++;
		v = worse(v, judge_number(json_object_get(call, "ms"), (double)EBB_TRACE_MS_MAX));
	}
	if (json_object_get(call, "workload")) {
		known++;
		v = worse(v, judge_text(json_object_get(call, "workload"), EBB_TRACE_WORKLOAD_MAX));
	}
	return json_object_size(call) == known ? v : BAD;
}

static void same_time(uint64_t ns, const json_t *number, double unit_ns)
{
	double expected = json_number_value(number) * unit_ns;

	REQUIRE(fabs((double)ns - expected) <= 1 + expected * 1e-12);
}

static void same_call(const struct ebb_trace_call *call, const json_t *json)
{
	const json_t *workload = json_object_get(json, "workload");

	same_time(call->at_ns, json_object_get(json, "t"), 1e9);
	same_time(call->took_ns, json_object_get(json, "ms"), 1e6);
	REQUIRE(strcmp(call->dest, json_string_value(json_object_get(json, "dest"))) == 0);
	REQUIRE(call->dest_length == strlen(call->dest));
	REQUIRE((workload != NULL) == (call->workload != NULL));
	if (workload)
		REQUIRE(strcmp(call->workload, json_string_value(workload)) == 0);
	REQUIRE(strcmp(ebb_sim_outcome_name(call->outcome),
		       json_string_value(json_object_get(json, "outcome"))) == 0);
}

/* -------------------------------------------------------------- machine -- */

struct machine {
	const struct ebb_config *config;
	struct ebb_breaker_config *configs;
	struct ebb_sim_gate gates[GATES_MAX];
	char *names[GATES_MAX];
	size_t gate_count;
	struct ebb_sim_call calls[CALLS_MAX];
	size_t call_count;
	uint32_t states[GATES_MAX], gens[GATES_MAX];
	uint64_t until_ns[GATES_MAX], at_ns;
	struct ebb_sim_move moves[MOVES_MAX];
	size_t move_count;
	bool again; /* the second run, which must say the same */
};

static void on_move(void *userdata, const struct ebb_sim_move *move)
{
	struct machine *m = userdata;
	const struct ebb_transition *t = &move->transition;

	REQUIRE(t->reason < EBB_REASON_MAX && move->gate < m->gate_count);
	REQUIRE(ebb_reason_from(t->reason) == m->states[move->gate]);
	REQUIRE(t->gen == ++m->gens[move->gate]);
	REQUIRE(t->at_ns >= m->at_ns);
	m->at_ns = t->at_ns;
	/* it ends when it said that it would */
	if (t->reason == EBB_REASON_OPEN_EXPIRED)
		REQUIRE(t->at_ns == m->until_ns[move->gate]);
	m->states[move->gate] = ebb_reason_to(t->reason);
	m->until_ns[move->gate] = t->until_ns;
	if (m->states[move->gate] == EBB_STATE_OPEN)
		REQUIRE(t->until_ns > t->at_ns && move->trip > 0);
	if (m->again)
		REQUIRE(memcmp(&m->moves[m->move_count], move, sizeof(*move)) == 0);
	else if (m->move_count < MOVES_MAX)
		m->moves[m->move_count] = *move;
	m->move_count++;
	REQUIRE(m->move_count < MOVES_MAX);
}

static void on_answer(void *userdata, const struct ebb_sim_answer *answer)
{
	const struct machine *m = userdata;
	uint32_t gate = m->calls[answer->call].gate;

	REQUIRE(answer->state == m->states[gate]);
	REQUIRE(answer->probe == (answer->admitted && answer->state == EBB_STATE_HALF_OPEN));
	if (answer->state == EBB_STATE_OPEN)
		REQUIRE(!answer->admitted);
	if (answer->state == EBB_STATE_CLOSED && !answer->admitted)
		REQUIRE(m->configs[m->gates[gate].config].ramp_ns > 0 && m->gens[gate] > 0);
}

static void run(struct machine *m, uint64_t look_ns)
{
	struct ebb_sim_totals totals[GATES_MAX];
	const struct ebb_simulation simulation = {
		.configs = m->configs,
		.config_count = m->config->destination_count + 1,
		.gates = m->gates,
		.gate_count = m->gate_count,
		.calls = m->calls,
		.call_count = m->call_count,
		.seed = m->call_count,
		.look_ns = look_ns,
		.on_move = on_move,
		.on_answer = on_answer,
		.userdata = m,
	};
	uint64_t calls = 0;

	memset(m->states, 0, sizeof(m->states));
	memset(m->gens, 0, sizeof(m->gens));
	m->at_ns = 0;
	m->move_count = 0;
	REQUIRE(ebb_simulate(&simulation, totals) == 0);
	for (size_t i = 0; i < m->gate_count; i++) {
		calls += totals[i].calls;
		REQUIRE(totals[i].calls == totals[i].admitted + totals[i].refused);
		REQUIRE(totals[i].succeeded + totals[i].failed <= totals[i].admitted);
		REQUIRE(totals[i].state == m->states[i] && m->states[i] != EBB_STATE_OPEN);
	}
	REQUIRE(calls == m->call_count);
}

/* What finds no room is left out. */
static void add_call(struct machine *m, const struct ebb_trace_call *call)
{
	size_t gate = 0;

	while (gate < m->gate_count && strcmp(m->names[gate], call->dest) != 0)
		gate++;
	if (gate == GATES_MAX || m->call_count == CALLS_MAX)
		return;
	if (gate == m->gate_count) {
		m->names[gate] = strdup(call->dest);
		REQUIRE(m->names[gate]);
		m->gates[gate] = (struct ebb_sim_gate){.name = m->names[gate]};
		for (size_t i = 0; i < m->config->destination_count; i++) {
			if (strcmp(m->config->destinations[i].name, call->dest) == 0)
				m->gates[gate].config = i + 1;
		}
		m->gate_count++;
	}
	m->calls[m->call_count++] = (struct ebb_sim_call){.at_ns = call->at_ns,
							  .took_ns = call->took_ns,
							  .gate = (uint32_t)gate,
							  .outcome = call->outcome};
}

static void try_line(struct machine *m, const char *line, size_t length)
{
	json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	enum verdict verdict = judge_call(json);
	struct ebb_trace_call call;
	struct ebb_why why = {};
	_cleanup_free_ char *copy = malloc(length + 1);

	REQUIRE(copy);
	memcpy(copy, line, length);
	/* no JSON has one, but jansson reads over it where it stands behind a number */
	if (memchr(line, '\0', length))
		verdict = BAD;
	if (ebb_trace_parse(copy, length, &call, &why) == 0) {
		REQUIRE(verdict != BAD);
		same_call(&call, json);
		add_call(m, &call);
	} else {
		REQUIRE(verdict != GOOD);
		REQUIRE(strstr(why.text, "expected") && !strchr(why.text, '\n'));
	}
	json_decref(json);
}

static void try_trace(struct machine *m, const char *text, size_t length)
{
	while (length > 0) {
		const char *newline = memchr(text, '\n', length);
		size_t line = newline ? (size_t)(newline - text) : length;

		try_line(m, text, line);
		text += line + (newline != NULL);
		length -= line + (newline != NULL);
	}
	REQUIRE(ebb_sim_sort(m->calls, m->call_count) == 0);
	run(m, 0);
	m->again = true;
	run(m, 0);
	m->again = false;
	run(m, 100000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char separator[] = "\n---\n";
	const char *text = (const char *)data, *cut = memmem(data, size, separator, strlen(separator));
	size_t length = cut ? (size_t)(cut - text) : 0;
	struct ebb_config *config = NULL;
	_cleanup_free_ struct ebb_problems *problems = malloc(sizeof(*problems));
	_cleanup_free_ struct machine *m = calloc(1, sizeof(*m));

	REQUIRE(problems && m);
	/* a configuration that is refused leaves the defaults: fuzz_config tries those */
	if (ebb_config_parse(text, length, &config, problems) < 0)
		REQUIRE(ebb_config_parse("", 0, &config, problems) == 0);
	m->config = config;
	m->configs = calloc(config->destination_count + 1, sizeof(*m->configs));
	REQUIRE(m->configs);
	m->configs[0] = config->defaults.breaker;
	for (size_t i = 0; i < config->destination_count; i++)
		m->configs[i + 1] = config->destinations[i].settings.breaker;
	if (cut)
		try_trace(m, cut + strlen(separator), size - length - strlen(separator));
	else
		try_trace(m, text, size);
	for (size_t i = 0; i < m->gate_count; i++)
		free(m->names[i]);
	free(m->configs);
	ebb_config_free(config);
	return 0;
}

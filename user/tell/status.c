/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb status': the node at a glance. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tell/fuse.h"
#include "tell/render.h"
#include "tell/status.h"
#include "tell/traffic.h"
#include "tell/turns.h"
#include "core/by_hand.h"
#include "core/policy.h"
#include "lib/table.h"
#include "lib/units.h"

#define LINE_MAX_BYTES 512

/* Programs that are not attached, by name: "sockops, release". */
static void name_missing(const struct ebb_look *look, char *buffer, size_t size)
{
	size_t used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < look->link_count; i++) {
		if (look->links[i].attached)
			continue;
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
					 look->links[i].name);
		if (used >= size)
			return;
	}
}

/* Of a destination about which nothing else is said. */
static uint32_t node_mode(const struct ebb_look *look, const struct ebb_status *status)
{
	uint32_t said = ebb_mode_said(&look->view->policies[EBB_SLOT_OTHER], look->now_ns);

	return said ? said - 1 : status->agent.mode;
}

static void judge_enforcement(const struct ebb_look *look, struct ebb_status *status)
{
	char missing[LINE_MAX_BYTES / 2];
	char *why = status->inactive;
	size_t size = sizeof(status->inactive);

	why[0] = '\0';
	if (look->link_count == 0 || status->attached < look->link_count) {
		name_missing(look, missing, sizeof(missing));
		(void)snprintf(why, size, "not attached: %s: %s", missing[0] ? missing : "any program",
			       status->state == EBB_AGENT_RUNNING
				       ? "the agent attaches them again within 5 s, or its log says why not"
				       : "start 'ebb run'");
	} else if (status->enforcing == 0 && node_mode(look, status) != EBB_MODE_ENFORCE) {
		(void)snprintf(why, size, "mode is observe: what would be refused is counted");
	} else if (status->enforcing > 0 && status->unleased == status->enforcing) {
		(void)snprintf(why, size,
			       "the agent's lease is over: only what was given by hand holds; start 'ebb run'");
	}
}

void ebb_status_end(const struct ebb_look *look, uint32_t dst_live, uint32_t pair_live,
		    struct ebb_status *status)
{
	status->dst_live = dst_live;
	status->pair_live = pair_live;
	judge_enforcement(look, status);
}

void ebb_status_begin(const struct ebb_look *look, struct ebb_status *ret_status)
{
	struct ebb_status status = {};

	memcpy(&status.agent, look->view->agent, sizeof(status.agent));
	status.state = ebb_agent_state(&status.agent, look->now_ns);
	for (size_t i = 0; i < look->link_count; i++)
		status.attached += look->links[i].attached != 0;
	*ret_status = status;
}

void ebb_status_add(struct ebb_status *status, const struct ebb_gate_row *row)
{
	if (row->override != EBB_OVERRIDE_AUTO)
		status->forced++;
	else if (row->state < EBB_STATE_MAX)
		status->by_state[row->state]++;
	if (row->mode == EBB_MODE_ENFORCE) {
		status->enforcing++;
		status->unleased += !row->leased;
	}
	status->sums.active += row->sums.active;
	status->sums.attempts += row->sums.attempts;
	status->sums.failures += row->sums.failures;
	status->sums.denied += row->sums.denied;
	status->sums.would_deny += row->sums.would_deny;
	ebb_traffic_add(&status->sums.traffic, &row->sums.traffic);
	ebb_turns_add(&status->sums.turns, &row->sums.turns);
}

void ebb_status_of(const struct ebb_look *look, const struct ebb_snapshot *snapshot,
		   struct ebb_status *ret_status)
{
	struct ebb_status status;

	ebb_status_begin(look, &status);
	for (size_t i = 0; i < snapshot->count; i++)
		ebb_status_add(&status, &snapshot->rows[i]);
	ebb_status_end(look, snapshot->dst_live, snapshot->pair_live, &status);
	*ret_status = status;
}

/* --------------------------------------------------------------- text -- */

static void agent_line(struct ebb_table *table, const struct ebb_look *look, const struct ebb_status *status)
{
	const struct ebb_agent *agent = &status->agent;
	char a[EBB_FORMAT_MAX], b[EBB_FORMAT_MAX], at[EBB_TIME_MAX];
	uint64_t age = ebb_age(look->now_ns, agent->heartbeat_ns);

	ebb_table_cell(table, "agent");
	switch (status->state) {
	case EBB_AGENT_NONE:
		if (agent->heartbeat_ns == 0)
			ebb_table_cell(table, "none: start 'ebb run'");
		else
			ebb_table_cell(table, "none, it ended at %s (%s ago): start 'ebb run'",
				       ebb_format_time(ebb_look_realtime(look, agent->heartbeat_ns), false,
						       at, sizeof(at)),
				       ebb_format_duration(age, a, sizeof(a)));
		break;
	case EBB_AGENT_RUNNING:
		ebb_table_cell(table, "running, pid %u, since %s (%s)", agent->pid,
			       ebb_format_time(ebb_look_realtime(look, agent->started_ns), false, at,
					       sizeof(at)),
			       ebb_format_duration(ebb_age(look->now_ns, agent->started_ns), a, sizeof(a)));
		break;
	case EBB_AGENT_SILENT:
	case EBB_AGENT_DEAD:
		/* the maps do not tell one that is gone from one that hangs */
		ebb_table_cell(table,
			       "%s, last heard of at %s (%s ago): 'ps %u' tells whether it hangs or is gone",
			       ebb_agent_state_name(status->state),
			       ebb_format_time(ebb_look_realtime(look, agent->heartbeat_ns), false, at,
					       sizeof(at)),
			       ebb_format_duration(age, a, sizeof(a)), agent->pid);
		break;
	}
	if (agent->heartbeat_ns == 0)
		return;
	ebb_table_cell(table, "lease");
	if (age > agent->lease_ns)
		ebb_table_cell(table, "of %s is over since %s",
			       ebb_format_duration(agent->lease_ns, a, sizeof(a)),
			       ebb_format_duration(age - agent->lease_ns, b, sizeof(b)));
	else
		ebb_table_cell(table, "%s, renewed %s ago",
			       ebb_format_duration(agent->lease_ns, a, sizeof(a)),
			       ebb_format_duration(age, b, sizeof(b)));
}

static void cgroup_line(struct ebb_table *table, const struct ebb_look *look, uint64_t id)
{
	const char *name = ebb_cgroup_name(look->names, id);

	ebb_table_cell(table, "cgroup");
	if (strncmp(name, EBB_CGROUP_GONE, strlen(EBB_CGROUP_GONE)) == 0)
		ebb_table_cell(table, "removed, or not to be seen from here (id %" PRIu64 ")", id);
	else
		ebb_table_cell(table, "%s (id %" PRIu64 ")", name, id);
}

static void programs_line(struct ebb_table *table, const struct ebb_look *look,
			  const struct ebb_status *status)
{
	char names[LINE_MAX_BYTES];
	size_t used = 0;

	ebb_table_cell(table, "programs");
	if (look->link_count == 0) {
		ebb_table_cell(table, "none attached");
		return;
	}
	if (status->attached < look->link_count) {
		name_missing(look, names, sizeof(names));
		ebb_table_cell(table, "%zu of %zu attached; missing: %s", status->attached, look->link_count,
			       names);
		return;
	}
	names[0] = '\0';
	for (size_t i = 0; i < look->link_count && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 look->links[i].name);
	ebb_table_cell(table, "%zu attached: %s", look->link_count, names);
}

static void destinations_line(struct ebb_table *table, const struct ebb_look *look,
			      const struct ebb_snapshot *snapshot, const struct ebb_status *status)
{
	char states[LINE_MAX_BYTES];
	size_t used = 0;

	states[0] = '\0';
	for (uint32_t s = 0; s < EBB_STATE_MAX; s++) {
		if (status->by_state[s] > 0)
			used += (size_t)snprintf(states + used, sizeof(states) - used, "%s%zu %s",
						 used ? ", " : "", status->by_state[s], ebb_state_name(s));
	}
	if (status->forced > 0)
		used += (size_t)snprintf(states + used, sizeof(states) - used, "%s%zu by hand",
					 used ? ", " : "", status->forced);
	ebb_table_cell(table, "destinations");
	/* ~other has a slot of its own */
	ebb_table_cell(table, "%u of %u", snapshot->dst_live, look->view->dst_max - 1);
	ebb_table_cell(table, "pairs");
	ebb_table_cell(table, "%u of %u", snapshot->pair_live, look->view->pair_max - 1);
	ebb_table_cell(table, "breakers");
	ebb_table_cell(table, "%s", used ? states : "none yet");
}

static void errors_lines(struct ebb_table *table, const struct ebb_look *look)
{
	bool first = true;

	for (uint32_t e = 0; e < EBB_ERR_MAX; e++) {
		uint64_t count = look->view->kernel->errors[e];

		if (count == 0)
			continue;
		ebb_table_cell(table, "%s", first ? "own errors" : "");
		ebb_table_cell(table, "%s %" PRIu64, ebb_error_name(e), count);
		first = false;
	}
	if (first) {
		ebb_table_cell(table, "own errors");
		ebb_table_cell(table, "none");
	}
}

static void traffic_line(struct ebb_table *table, const struct ebb_traffic *traffic)
{
	char sent[EBB_FORMAT_MAX], received[EBB_FORMAT_MAX], again[EBB_FORMAT_MAX];
	char dropped[EBB_FORMAT_MAX], would[EBB_FORMAT_MAX];

	ebb_table_cell(table, "traffic");
	ebb_table_cell(table,
		       "%s sent, %s received, %s retransmits; %s packets dropped, %s would have been dropped",
		       ebb_format_bytes(traffic->sent_bytes, sent, sizeof(sent)),
		       ebb_format_bytes(traffic->received_bytes, received, sizeof(received)),
		       ebb_format_count(traffic->retransmits, again, sizeof(again)),
		       ebb_format_count(ebb_traffic_dropped(traffic), dropped, sizeof(dropped)),
		       ebb_format_count(ebb_traffic_would_drop(traffic), would, sizeof(would)));
}

static void turns_line(struct ebb_table *table, const struct ebb_status *status)
{
	const struct ebb_turns *turns = &status->sums.turns;
	char answered[EBB_FORMAT_MAX], slow[EBB_FORMAT_MAX], unanswered[EBB_FORMAT_MAX],
		reset[EBB_FORMAT_MAX];

	ebb_table_cell(table, "turns");
	if (!status->agent.turns && !ebb_turns_count(turns)) {
		ebb_table_cell(table, "not seen: a connection is a success when it is established");
		return;
	}
	ebb_table_cell(table, "%s answered, %s of them slow; %s unanswered, %s reset%s",
		       ebb_format_count(turns->ended[EBB_TURN_ANSWERED], answered, sizeof(answered)),
		       ebb_format_count(turns->slow, slow, sizeof(slow)),
		       ebb_format_count(turns->ended[EBB_TURN_UNANSWERED], unanswered, sizeof(unanswered)),
		       ebb_format_count(turns->ended[EBB_TURN_RESET], reset, sizeof(reset)),
		       status->agent.turns ? "" : "; not seen any more");
}

int ebb_status_text(FILE *out, const struct ebb_look *look, const struct ebb_snapshot *snapshot)
{
	static const struct ebb_column columns[] = {{NULL, EBB_ALIGN_LEFT, false, 0},
						    {NULL, EBB_ALIGN_LEFT, false, 0}};
	char active[EBB_FORMAT_MAX], attempts[EBB_FORMAT_MAX], failures[EBB_FORMAT_MAX];
	char denied[EBB_FORMAT_MAX], would[EBB_FORMAT_MAX], mode[LINE_MAX_BYTES], fuse[EBB_FUSE_TEXT_MAX];
	struct ebb_table *table;
	struct ebb_status status;
	int r;

	ebb_status_of(look, snapshot, &status);
	r = ebb_table_new(columns, 2, &table);
	if (r < 0)
		return r;
	agent_line(table, look, &status);
	ebb_table_cell(table, "mode");
	ebb_table_cell(table, "%s", ebb_node_mode_sentence(look, mode, sizeof(mode)));
	ebb_table_cell(table, "enforcement");
	ebb_table_cell(table, "%s%s", status.inactive[0] ? "not active: " : "active", status.inactive);
	cgroup_line(table, look, status.agent.cgroup_id);
	programs_line(table, look, &status);
	destinations_line(table, look, snapshot, &status);
	ebb_table_cell(table, "node fuse");
	ebb_table_cell(table, "%s", ebb_fuse_sentence(look, fuse, sizeof(fuse)));
	ebb_table_cell(table, "connections");
	ebb_table_cell(table, "%s active; %s let through, %s failed, %s refused, %s would have been refused",
		       ebb_format_count(status.sums.active, active, sizeof(active)),
		       ebb_format_count(status.sums.attempts, attempts, sizeof(attempts)),
		       ebb_format_count(status.sums.failures, failures, sizeof(failures)),
		       ebb_format_count(status.sums.denied, denied, sizeof(denied)),
		       ebb_format_count(status.sums.would_deny, would, sizeof(would)));
	turns_line(table, &status);
	traffic_line(table, &status.sums.traffic);
	errors_lines(table, look);
	r = ebb_table_print(table, out, 0, 0);
	ebb_table_free(table);
	return r;
}

/* --------------------------------------------------------------- JSON -- */

static json_t *agent_json(const struct ebb_look *look, const struct ebb_status *status)
{
	const struct ebb_agent *agent = &status->agent;
	uint64_t age = ebb_age(look->now_ns, agent->heartbeat_ns);

	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:b}", "state", ebb_agent_state_name(status->state),
			 "pid", (int)agent->pid, "started_timestamp",
			 ebb_json_timestamp(look, agent->started_ns), "heartbeat_age_seconds",
			 agent->heartbeat_ns ? ebb_json_seconds(age) : json_null(), "lease_seconds",
			 ebb_json_seconds(agent->lease_ns), "lease_held",
			 agent->heartbeat_ns != 0 && age <= agent->lease_ns);
}

static json_t *programs_json(const struct ebb_look *look)
{
	json_t *programs = json_array();

	for (size_t i = 0; i < look->link_count; i++) {
		const struct ebb_link_info *link = &look->links[i];

		/* a failed append leaves its trace: the array is freed below */
		if (json_array_append_new(programs, json_pack("{s:s, s:b, s:I, s:I}", "name", link->name,
							      "attached", link->attached, "program_id",
							      (json_int_t)link->program_id, "cgroup_id",
							      (json_int_t)link->cgroup_id)) < 0) {
			json_decref(programs);
			return NULL;
		}
	}
	return programs;
}

static json_t *errors_json(const struct ebb_look *look)
{
	json_t *errors = json_object();

	for (uint32_t e = 0; e < EBB_ERR_MAX; e++) {
		if (json_object_set_new(errors, ebb_error_name(e),
					ebb_json_count(look->view->kernel->errors[e])) < 0) {
			json_decref(errors);
			return NULL;
		}
	}
	return errors;
}

static json_t *turns_json(const struct ebb_status *status)
{
	json_t *turns = ebb_turns_json(&status->sums.turns);

	if (json_object_set_new(turns, "seen", json_boolean(status->agent.turns)) < 0) {
		json_decref(turns);
		return NULL;
	}
	return turns;
}

json_t *ebb_status_told(const struct ebb_look *look, const struct ebb_status *status)
{
	const struct ebb_view *view = look->view;

	return json_pack("{s:o, s:s, s:o, s:{s:b, s:s}, s:{s:I, s:s}, s:o, s:{s:I, s:I}, s:{s:I, s:I}, s:{s:I, s:I, s:I, s:I}, "
			 "s:{s:o, s:o, s:o, s:o, s:o}, s:o, s:o, s:o, s:o}",
			 "agent", agent_json(look, status), "mode", ebb_mode_name(node_mode(look, status)),
			 "node_mode", ebb_node_mode_json(look), "enforcement", "active",
			 status->inactive[0] == '\0', "why", status->inactive, "cgroup", "id",
			 (json_int_t)status->agent.cgroup_id, "name",
			 ebb_cgroup_name(look->names, status->agent.cgroup_id), "programs",
			 programs_json(look), "destinations", "used", (json_int_t)status->dst_live,
			 "capacity", (json_int_t)view->dst_max - 1, "pairs", "used",
			 (json_int_t)status->pair_live, "capacity", (json_int_t)view->pair_max - 1,
			 "breakers", "closed", (json_int_t)status->by_state[EBB_STATE_CLOSED], "open",
			 (json_int_t)status->by_state[EBB_STATE_OPEN], "half_open",
			 (json_int_t)status->by_state[EBB_STATE_HALF_OPEN], "by_hand",
			 (json_int_t)status->forced, "connections", "active",
			 ebb_json_count(status->sums.active), "attempts",
			 ebb_json_count(status->sums.attempts), "failures",
			 ebb_json_count(status->sums.failures), "denied", ebb_json_count(status->sums.denied),
			 "would_deny", ebb_json_count(status->sums.would_deny), "turns", turns_json(status),
			 "traffic", ebb_traffic_json(&status->sums.traffic), "errors", errors_json(look),
			 "node_fuse", ebb_fuse_json(look));
}

json_t *ebb_status_json(const struct ebb_look *look, const struct ebb_snapshot *snapshot)
{
	struct ebb_status status;

	ebb_status_of(look, snapshot, &status);
	return ebb_status_told(look, &status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* 'ebb show': one destination in full. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "tell/fuse.h"
#include "tell/render.h"
#include "tell/traffic.h"
#include "tell/turns.h"
#include "core/fuse.h"
#include "core/policy.h"
#include "lib/table.h"
#include "lib/text.h"
#include "lib/units.h"

#define NEAR_MAX     3
#define SENTENCE_MAX 512

/* ------------------------------------------------------------ finding -- */

/* The rows named @name, which stand together. */
static bool find_rows(const struct ebb_snapshot *snapshot, const char *name, size_t *ret_first,
		      size_t *ret_count)
{
	size_t first = 0, count = 0;

	while (first < snapshot->count && strcmp(snapshot->rows[first].name, name) != 0)
		first++;
	while (first + count < snapshot->count && strcmp(snapshot->rows[first + count].name, name) == 0)
		count++;
	if (count == 0)
		return false;
	*ret_first = first;
	*ret_count = count;
	return true;
}

struct near_names {
	const char *names[NEAR_MAX];
	size_t distances[NEAR_MAX];
	size_t count;
};

static void offer(struct near_names *near_names, const char *name, size_t distance)
{
	size_t at;

	for (size_t i = 0; i < near_names->count; i++) {
		if (strcmp(near_names->names[i], name) == 0)
			return;
	}
	if (near_names->count == NEAR_MAX && distance >= near_names->distances[NEAR_MAX - 1])
		return;
	if (near_names->count < NEAR_MAX)
		near_names->count++;
	for (at = near_names->count - 1; at > 0 && near_names->distances[at - 1] > distance; at--) {
		near_names->names[at] = near_names->names[at - 1];
		near_names->distances[at] = near_names->distances[at - 1];
	}
	near_names->names[at] = name;
	near_names->distances[at] = distance;
}

/* "10.0.0.5:443", "[2001:db8::5]:443/tcp": who has it from a log looks for the destination that it belongs to. */
static bool like_address(const char *name)
{
	size_t length = strspn(name, "0123456789abcdefABCDEF.:[]");

	return (name[length] == '\0' || name[length] == '/') && strchr(name, ':') &&
	       strspn(name, "0123456789[") > 0;
}

int ebb_show_find(const struct ebb_snapshot *snapshot, const char *name, size_t *ret_first, size_t *ret_count,
		  struct ebb_why *why)
{
	static const char *const endings[] = {"", "/tcp", "/udp"};
	struct near_names near_names = {};
	bool address = like_address(name);
	char text[EBB_DST_NAME_MAX + 2];
	size_t used = 0, distance;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s%s", name, endings[i]);
		if (find_rows(snapshot, text, ret_first, ret_count))
			return 0;
	}
	for (size_t i = 0; i < snapshot->count; i++) {
		if (ebb_text_like(name, snapshot->rows[i].name, &distance))
			offer(&near_names, snapshot->rows[i].name, distance);
	}
	if (near_names.count == 0)
		return ebb_why(why, -ENOENT,
			       "there is no destination '%s': 'ebb list' tells which there are%s", name,
			       address ? "; an address that a rule claims has the rule's name" : "");
	/* the nearest, and of the others those that find room */
	for (size_t i = 0; i < near_names.count && used + strlen(near_names.names[i]) + 2 < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "",
					 near_names.names[i]);
	return ebb_why(why, -ENOENT, "there is no destination '%s': did you mean %s?%s", name, text,
		       address ? " An address that a rule claims has the rule's name" : "");
}

/* ----------------------------------------------------------- sentence -- */

struct sentence {
	char *text;
	size_t used, size;
};

static void say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct sentence *s, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(s->text + s->used, s->size - s->used, format, list);
	va_end(list);
	s->used += n < 0 ? 0 : (size_t)n;
	if (s->used >= s->size)
		s->used = s->size - 1;
}

/* @before, then the time. */
static void say_duration(struct sentence *s, const char *before, uint64_t ns)
{
	char text[EBB_FORMAT_MAX];

	say(s, "%s%s", before, ebb_format_duration(ns, text, sizeof(text)));
}

/* Probe slots that are taken and whose lease still runs. */
static uint32_t probes_under_way(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	uint64_t now = ebb_ns_to_ticks(look->now_ns);
	uint32_t count = 0;

	for (int i = 0; i < EBB_PROBES_MAX; i++)
		count += row->kernel.probes[i] != 0 &&
			 ebb_probe_slot_gen(row->kernel.probes[i]) == ebb_word_gen(row->word) &&
			 ebb_probe_slot_deadline(row->kernel.probes[i]) > now;
	return count;
}

static void say_override(struct sentence *s, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	say(s, "%s by uid %u: %s", row->override == EBB_OVERRIDE_OPEN ? "forced open" : "forced closed",
	    row->policy.override_uid,
	    row->override == EBB_OVERRIDE_OPEN ? "everything is refused" : "the breaker refuses nothing");
	if (row->policy.override_until_ns)
		say_duration(s, ", for another ", ebb_age(row->policy.override_until_ns, look->now_ns));
	else
		say(s, ", until it is lifted by hand");
	say(s, "; underneath it is %s", ebb_state_name(row->state));
}

static void say_reason(struct sentence *s, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	char facts[SENTENCE_MAX / 2];
	size_t kept = ebb_memory_kept(&row->memory);

	if (row->since == EBB_SINCE_START) {
		say_duration(s, " since it was first seen ", ebb_age(look->now_ns, row->since_ns));
		say(s, " ago");
		return;
	}
	if (row->since_ns)
		say_duration(s, " since ", ebb_age(look->now_ns, row->since_ns));
	switch (row->since) {
	case EBB_SINCE_TRANSITION:
		if (kept > 0)
			say(s, ": %s",
			    ebb_transition_facts(ebb_memory_at(&row->memory, kept - 1), facts,
						 sizeof(facts)));
		break;
	case EBB_SINCE_EXPIRED:
		say(s, ": its time was over");
		break;
	default: /* EBB_SINCE_KERNEL */
		say(s, ": moved by the kernel, the agent has not looked yet");
	}
}

/* A closed breaker refuses some while it ramps. */
static void say_ramp(struct sentence *s, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	uint64_t share = ebb_ramp_share(row->word, row->policy.ramp_ticks, look->now_ns >> EBB_TICK_SHIFT);

	if (share >> 32)
		return;
	say(s, "; it ramps: %.0f%% of new connections are let through by now", (double)share / 0x1p32 * 100);
	say_duration(s, ", all in ", ebb_age(ebb_ticks_to_ns(ebb_word_until(row->word)), look->now_ns));
}

const char *ebb_gate_sentence(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
			      size_t size)
{
	struct sentence s = {.text = buffer, .size = size};
	uint32_t gen = ebb_word_gen(row->word), failures;

	buffer[0] = '\0';
	if (row->override != EBB_OVERRIDE_AUTO) {
		say_override(&s, look, row);
	} else {
		say(&s, "%s", ebb_state_name(row->state));
		say_reason(&s, look, row);
		switch (row->state) {
		case EBB_STATE_CLOSED:
			failures = ebb_run_failures(row->kernel.run, gen);
			if (failures > 0 && ebb_arm_failures(row->policy.arm) > 0)
				say(&s, "; %u failed in a row by now, it opens at %u", failures,
				    ebb_arm_failures(row->policy.arm));
			say_ramp(&s, look, row);
			break;
		case EBB_STATE_OPEN:
			say_duration(&s, "; probes begin in ", ebb_age(row->until_ns, look->now_ns));
			break;
		case EBB_STATE_HALF_OPEN:
			say(&s, "; probes: %u under way, %u succeeded, %u failed",
			    probes_under_way(look, row), ebb_probe_succeeded(row->kernel.probe_result, gen),
			    ebb_probe_failed(row->kernel.probe_result, gen));
			break;
		}
	}
	if (row->mode != EBB_MODE_ENFORCE)
		say(&s, " (observe: nothing is refused)");
	else if (row->override == EBB_OVERRIDE_OPEN)
		return buffer;
	else if (ebb_fuse_refuses(&row->policy, row->fuse))
		say(&s, " (the node fuse sheds: everything but probes is refused)");
	else if (!row->leased && row->override == EBB_OVERRIDE_AUTO)
		say(&s, " (the agent's lease is over: nothing is refused)");
	else if (row->fuse == EBB_FUSE_RELEASE)
		say(&s, " (the node fuse releases: the breaker refuses nothing)");
	return buffer;
}

/* --------------------------------------------------------------- text -- */

static const struct ebb_column fact_columns[] = {{NULL, EBB_ALIGN_LEFT, false, 0},
						 {NULL, EBB_ALIGN_LEFT, false, 0}};

/* "refused, timeout" of a mask of outcomes. */
static void outcome_names(uint32_t mask, char *buffer, size_t size)
{
	struct sentence s = {.text = buffer, .size = size};

	buffer[0] = '\0';
	for (uint32_t o = 0; o < EBB_OUTCOME_MAX; o++) {
		if (mask & (1U << o))
			say(&s, "%s%s", s.used ? ", " : "", ebb_outcome_name(o));
	}
	if (s.used == 0)
		say(&s, "none");
}

/* What becomes of live connections; --established reset is drop where the agent cannot reset. */
static const char *live_sentence(uint32_t established)
{
	switch (established) {
	case EBB_ESTABLISHED_DROP:
		return "what live connections send is dropped while the breaker is open";
	case EBB_ESTABLISHED_RESET:
		return "live connections are ended when the breaker opens";
	default:
		return "live connections go on when the breaker opens";
	}
}

/* What else trips it stands in the agent alone, not in the maps. */
static const char *rates_sentence(const struct ebb_look *look, const struct ebb_gate_row *row, char *buffer,
				  size_t size)
{
	const struct ebb_name *name = ebb_dst_given_name(look->view, row->dst);
	bool named = name && (name->flags & EBB_NAME_RULE);

	(void)snprintf(buffer, size, "at which rates it opens too: 'ebb config show%s%s'", named ? " " : "",
		       named ? row->name : "");
	return buffer;
}

static void policy_cells(struct ebb_table *table, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	const struct ebb_policy *p = &row->policy;
	char names[SENTENCE_MAX], a[EBB_FORMAT_MAX], b[EBB_FORMAT_MAX];

	ebb_table_cell(table, "mode");
	if (p->mode == EBB_MODE_ENFORCE && p->limits_errno == p->errno_code)
		ebb_table_cell(table, "enforce: a refused connect() returns %s",
			       ebb_errno_name(p->errno_code));
	else if (p->mode == EBB_MODE_ENFORCE)
		ebb_table_cell(table, "enforce: a connect() refused by the breaker returns %s, by a limit %s",
			       ebb_errno_name(p->errno_code), ebb_errno_name(p->limits_errno));
	else
		ebb_table_cell(table, "%s: what would be refused is counted", ebb_mode_name(p->mode));

	ebb_table_cell(table, "breaker");
	/* what is armed can be less than what is configured: some runs are the agent's to judge */
	if (ebb_arm_failures(p->arm) > 0)
		ebb_table_cell(table, "opens at %u failures in a row, then for %s; %s",
			       ebb_arm_failures(p->arm),
			       ebb_format_duration(ebb_ticks_to_ns(ebb_arm_open_ticks(p->arm)), a, sizeof(a)),
			       rates_sentence(look, row, names, sizeof(names)));
	else
		ebb_table_cell(table, "no limit of failures in a row; %s",
			       rates_sentence(look, row, names, sizeof(names)));
	outcome_names(p->count_mask, names, sizeof(names));
	ebb_table_cell(table, "failures");
	ebb_table_cell(table, "%s; given up after %s counts as abandoned or unanswered", names,
		       ebb_format_duration((uint64_t)p->abandon_ms * 1000000, b, sizeof(b)));
	if (p->syn_retries) {
		ebb_table_cell(table, "black hole");
		ebb_table_cell(table, "a SYN that is sent again %u time%s is a timeout", p->syn_retries,
			       p->syn_retries == 1 ? "" : "s");
	}
	if (p->slow_ns) {
		ebb_table_cell(table, "slow");
		ebb_table_cell(table, "to connect, or to answer, takes longer than %s",
			       ebb_format_duration(p->slow_ns, a, sizeof(a)));
	}
	ebb_table_cell(table, "probes");
	ebb_table_cell(table, "%u at once, each for %s; %u successes close, %u failures open again",
		       p->probes, ebb_format_duration(ebb_ticks_to_ns(p->probe_lease_ticks), a, sizeof(a)),
		       p->close_after, p->reopen_after);
	ebb_table_cell(table, "live");
	ebb_table_cell(table, "%s: %s", ebb_established_name(p->established), live_sentence(p->established));
	ebb_table_cell(table, "agent lost");
	ebb_table_cell(table, "%s",
		       p->on_agent_loss == EBB_LOSS_HOLD ? "hold: verdicts go on after its lease"
							 : "release: nothing is refused after its lease");
}

static int settings_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	uint64_t created_ns = look->view->dsts[row->dst].created_ns;
	char at[EBB_TIME_MAX], age[EBB_FORMAT_MAX];
	struct ebb_table *table;
	int r;

	r = ebb_table_new(fact_columns, 2, &table);
	if (r < 0)
		return r;
	policy_cells(table, look, row);
	ebb_table_cell(table, "scope");
	ebb_table_cell(table, "%s",
		       row->scope == EBB_SCOPE_NODE ? "node: one gate for all workloads"
						    : "workload: a gate for each");
	ebb_table_cell(table, "slot");
	ebb_table_cell(table, "%u, epoch %u", row->dst, row->dst_epoch);
	ebb_table_cell(table, "first seen");
	if (row->dst == EBB_SLOT_OTHER)
		ebb_table_cell(table, "holds all that found no room of their own");
	else
		ebb_table_cell(table, "%s (%s ago)",
			       ebb_format_time(ebb_look_realtime(look, created_ns), false, at, sizeof(at)),
			       ebb_format_duration(ebb_age(look->now_ns, created_ns), age, sizeof(age)));
	(void)fputs("\n  settings\n", out);
	r = ebb_table_print(table, out, 4, 0);
	ebb_table_free(table);
	return r;
}

static int transitions_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	static const struct ebb_column columns[] = {
		{"AT", EBB_ALIGN_LEFT, false, 0},      {"AGO", EBB_ALIGN_RIGHT, false, 0},
		{"FROM", EBB_ALIGN_LEFT, false, 0},    {"TO", EBB_ALIGN_LEFT, false, 0},
		{"EPISODE", EBB_ALIGN_LEFT, false, 0}, {"BECAUSE", EBB_ALIGN_LEFT, false, 0},
	};
	size_t kept = ebb_memory_kept(&row->memory);
	struct ebb_table *table;
	int r;

	if (kept == 0)
		return 0;
	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	for (size_t i = 0; i < kept; i++) {
		const struct ebb_transition *move = ebb_memory_at(&row->memory, i);
		char at[EBB_TIME_MAX], age[EBB_FORMAT_MAX], facts[SENTENCE_MAX / 2];
		char episode[EBB_EPISODE_TEXT_MAX];

		ebb_table_cell(table, "%s",
			       ebb_format_time(ebb_look_realtime(look, move->at_ns), true, at, sizeof(at)));
		ebb_table_cell(table, "%s",
			       ebb_format_duration(ebb_age(look->now_ns, move->at_ns), age, sizeof(age)));
		ebb_table_cell(table, "%s", ebb_state_name(ebb_reason_from(move->reason)));
		ebb_table_cell(table, "%s", ebb_state_name(ebb_reason_to(move->reason)));
		ebb_table_cell(table, "%s", ebb_episode_text(move->episode, episode, sizeof(episode)));
		ebb_table_cell(table, "%s", ebb_transition_facts(move, facts, sizeof(facts)));
	}
	if (kept < row->memory.count)
		(void)fprintf(out, "\n  last %zu of %u transitions\n", kept, row->memory.count);
	else
		(void)fputs("\n  transitions\n", out);
	r = ebb_table_print(table, out, 4, 0);
	ebb_table_free(table);
	return r;
}

static int gate_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	char sentence[SENTENCE_MAX], limits[EBB_LIMITS_CELL_MAX];
	struct ebb_table *table;
	double share = ebb_window_share(row);
	int r;

	r = ebb_table_new(fact_columns, 2, &table);
	if (r < 0)
		return r;
	if (row->workload) {
		ebb_table_cell(table, "workload");
		ebb_table_cell(table, "%s", row->workload);
	}
	if (row->apart) {
		ebb_table_cell(table, "apart");
		ebb_table_cell(table,
			       "all that failed was its own while others were served: it alone is refused");
	}
	if (row->aside > 0) {
		ebb_table_cell(table, "apart");
		ebb_table_cell(table, "%u workload%s, with a breaker of %s own, below", row->aside,
			       row->aside == 1 ? "" : "s", row->aside == 1 ? "its" : "their");
	}
	if (row->mode_from != EBB_MODE_CONFIGURED) {
		ebb_table_cell(table, "mode");
		ebb_table_cell(table, "%s", ebb_mode_sentence(look, row, sentence, sizeof(sentence)));
	}
	if (row->own_said) {
		ebb_table_cell(table, "by hand");
		ebb_table_cell(table, "%s", ebb_own_sentence(row, sentence, sizeof(sentence)));
	}
	ebb_table_cell(table, "state");
	ebb_table_cell(table, "%s", ebb_gate_sentence(look, row, sentence, sizeof(sentence)));
	ebb_table_cell(table, "window");
	if (share < 0)
		ebb_table_cell(table, "empty");
	else
		ebb_table_cell(table, "%u succeeded, %u failed (%.0f%%), %u slow", row->memory.window_ok,
			       row->memory.window_failed, share * 100, row->memory.window_slow);
	if (row->memory.trips > 0) {
		ebb_table_cell(table, "trips");
		ebb_table_cell(table, "%u in a row: each opens for longer, up to open_max",
			       row->memory.trips);
	}
	if (strcmp(ebb_limits_cell(look, row, limits, sizeof(limits)), "-") == 0) {
		ebb_table_cell(table, "limits");
		ebb_table_cell(table, "none");
	}
	if (row->kernel.paced) {
		ebb_table_cell(table, "paced");
		ebb_table_cell(table, "%" PRIu64 " connection%s now", (uint64_t)row->kernel.paced,
			       row->kernel.paced == 1 ? "" : "s");
	}
	(void)fputc('\n', out);
	r = ebb_table_print(table, out, 2, 0);
	ebb_table_free(table);
	if (r == 0)
		r = ebb_limits_text(out, look, row);
	return r < 0 ? r : transitions_text(out, look, row);
}

static int pair_cells(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata)
{
	struct ebb_table *table = userdata;
	struct ebb_sums sums = {};
	uint32_t class;

	ebb_sums_add(&sums, pair, 0);
	/* ~other has no workload of its own */
	ebb_table_cell(table, "%s",
		       pair->workload ? ebb_cgroup_name(look->names, pair->workload) : EBB_NAME_OTHER);
	class = ebb_look_class(look, pair->workload);
	ebb_table_cell(table, "%s",
		       pair->workload && class != EBB_CLASS_GOVERNED ? ebb_class_name(class) : "-");
	ebb_table_cell(table, "%" PRIu64, sums.active);
	ebb_table_cell(table, "%" PRIu64, sums.attempts);
	for (int o = 0; o < EBB_OUTCOME_MAX; o++)
		ebb_table_cell(table, "%" PRIu64, sums.outcomes[o]);
	ebb_table_cell(table, "%" PRIu64, sums.local);
	ebb_table_cell(table, "%" PRIu64, sums.denied);
	ebb_table_cell(table, "%" PRIu64, sums.would_deny);
	return 0;
}

static int workloads_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *row)
{
	static const struct ebb_column columns[] = {
		{"WORKLOAD", EBB_ALIGN_LEFT, false, 0},	    {"CLASS", EBB_ALIGN_LEFT, true, 0},
		{"ACTIVE", EBB_ALIGN_RIGHT, false, 0},	    {"CONNECTS", EBB_ALIGN_RIGHT, false, 0},
		{"ESTABLISHED", EBB_ALIGN_RIGHT, false, 0}, {"REFUSED", EBB_ALIGN_RIGHT, true, 0},
		{"TIMEOUT", EBB_ALIGN_RIGHT, true, 0},	    {"UNREACHABLE", EBB_ALIGN_RIGHT, true, 0},
		{"ABANDONED", EBB_ALIGN_RIGHT, true, 0},    {"CANCELLED", EBB_ALIGN_RIGHT, true, 0},
		{"RESET", EBB_ALIGN_RIGHT, true, 0},	    {"UNANSWERED", EBB_ALIGN_RIGHT, true, 0},
		{"LOCAL", EBB_ALIGN_RIGHT, true, 0},	    {"DENIED", EBB_ALIGN_RIGHT, false, 0},
		{"WOULD DENY", EBB_ALIGN_RIGHT, true, 0},
	};
	struct ebb_table *table;
	int r;

	_Static_assert(sizeof(columns) / sizeof(columns[0]) == EBB_OUTCOME_MAX + 7,
		       "a column for each outcome");
	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	(void)fputs("\n  workloads\n", out);
	r = ebb_each_pair(look, row, pair_cells, table);
	if (r == 0)
		r = ebb_table_print(table, out, 4, 0);
	ebb_table_free(table);
	return r;
}

static void times_cells(struct ebb_table *table, const char *what, const struct ebb_times *times)
{
	const uint64_t values[] = {times->mean, times->p50, times->p90, times->p95, times->p99, times->most};
	char text[EBB_FORMAT_MAX];

	ebb_table_cell(table, "%s", what);
	ebb_table_cell(table, "%" PRIu64, times->count);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (times->count)
			ebb_table_cell(table, "%s", ebb_format_duration(values[i], text, sizeof(text)));
		else
			ebb_table_cell(table, "-");
	}
}

static int times_text(FILE *out, const struct ebb_gate_row *row)
{
	static const struct ebb_column columns[] = {
		{"TIME", EBB_ALIGN_LEFT, false, 0},  {"COUNT", EBB_ALIGN_RIGHT, false, 0},
		{"MEAN", EBB_ALIGN_RIGHT, false, 0}, {"P50", EBB_ALIGN_RIGHT, false, 0},
		{"P90", EBB_ALIGN_RIGHT, false, 0},  {"P95", EBB_ALIGN_RIGHT, false, 0},
		{"P99", EBB_ALIGN_RIGHT, false, 0},  {"MAX", EBB_ALIGN_RIGHT, false, 0},
	};
	struct ebb_table *table;
	int r;

	r = ebb_table_new(columns, sizeof(columns) / sizeof(columns[0]), &table);
	if (r < 0)
		return r;
	times_cells(table, "to connect", &row->connect);
	times_cells(table, "round trip", &row->rtt);
	times_cells(table, "to answer", &row->turn);
	(void)fputs("\n  times\n", out);
	r = ebb_table_print(table, out, 4, 0);
	ebb_table_free(table);
	return r;
}

int ebb_show_text(FILE *out, const struct ebb_look *look, const struct ebb_gate_row *rows, size_t count)
{
	int r = 0;

	(void)fprintf(out, "%s\n", rows[0].name);
	r = ebb_addresses_text(out, look->view, rows[0].dst, look->addresses);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = gate_text(out, look, &rows[i]);
	if (r == 0)
		r = workloads_text(out, look, &rows[0]);
	if (r == 0)
		r = ebb_turns_text(out, look, &rows[0]);
	if (r == 0)
		r = ebb_traffic_text(out, look, &rows[0]);
	if (r == 0)
		r = times_text(out, &rows[0]);
	return r < 0 ? r : settings_text(out, look, &rows[0]);
}

/* --------------------------------------------------------------- JSON -- */

/* Appends @value, which may be NULL; at a failure the array is gone. */
static json_t *append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *policy_json(const struct ebb_gate_row *row)
{
	const struct ebb_policy *p = &row->policy;
	json_t *count = json_array();

	for (uint32_t o = 0; o < EBB_OUTCOME_MAX && count; o++) {
		if (p->count_mask & (1U << o))
			count = append(count, json_string(ebb_outcome_name(o)));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "mode", ebb_mode_name(p->mode), "errno", ebb_errno_name(p->errno_code),
			 "limits_errno", ebb_errno_name(p->limits_errno), "established",
			 ebb_established_name(p->established), "on_agent_loss",
			 ebb_on_agent_loss_name(p->on_agent_loss), "consecutive_failures",
			 (json_int_t)ebb_arm_failures(p->arm), "open_for_seconds",
			 ebb_json_seconds(ebb_ticks_to_ns(ebb_arm_open_ticks(p->arm))), "count", count,
			 "abandon_after_seconds", ebb_json_seconds((uint64_t)p->abandon_ms * 1000000),
			 "syn_retries", (json_int_t)p->syn_retries, "slow_call_seconds",
			 p->slow_ns ? ebb_json_seconds(p->slow_ns) : json_null(), "probes",
			 (json_int_t)p->probes, "close_after", (json_int_t)p->close_after, "reopen_after",
			 (json_int_t)p->reopen_after, "probe_lease_seconds",
			 ebb_json_seconds(ebb_ticks_to_ns(p->probe_lease_ticks)), "concurrent",
			 p->limits.concurrent ? json_integer(p->limits.concurrent) : json_null(), "limits",
			 ebb_limits_configured_json(p));
}

static json_t *transitions_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	json_t *moves = json_array();

	for (size_t i = 0; i < ebb_memory_kept(&row->memory) && moves; i++)
		moves = append(moves, ebb_transition_json(look, ebb_memory_at(&row->memory, i)));
	return moves;
}

static json_t *full_gate_json(const struct ebb_look *look, const struct ebb_gate_row *row)
{
	char sentence[SENTENCE_MAX];
	uint32_t gen = ebb_word_gen(row->word);
	json_t *gate = ebb_gate_json(look, row);
	json_t *more = json_pack("{s:i, s:i, s:s, s:i, s:i, s:{s:i, s:i, s:i}, s:i, s:o}", "gate",
				 (int)row->gate, "generation", (int)gen, "sentence",
				 ebb_gate_sentence(look, row, sentence, sizeof(sentence)), "run",
				 (int)ebb_run_failures(row->kernel.run, gen), "trips", (int)row->memory.trips,
				 "probes", "under_way", (int)probes_under_way(look, row), "succeeded",
				 (int)ebb_probe_succeeded(row->kernel.probe_result, gen), "failed",
				 (int)ebb_probe_failed(row->kernel.probe_result, gen), "transition_count",
				 (int)row->memory.count, "transitions", transitions_json(look, row));

	if (!more || json_object_update(gate, more) < 0) {
		json_decref(gate);
		gate = NULL;
	}
	json_decref(more);
	return gate;
}

static int append_pair_json(const struct ebb_look *look, const struct ebb_pair *pair, void *userdata)
{
	struct ebb_sums sums = {};
	struct ebb_times times;

	ebb_sums_add(&sums, pair, 0);
	ebb_turns_times(&sums.turns, &times);
	return json_array_append_new(userdata,
				     json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
					       "workload",
					       pair->workload ? ebb_cgroup_name(look->names, pair->workload)
							      : EBB_NAME_OTHER,
					       "class",
					       ebb_class_name(pair->workload
								      ? ebb_look_class(look, pair->workload)
								      : EBB_CLASS_GOVERNED),
					       "workload_id", (json_int_t)pair->workload, "active",
					       ebb_json_count(sums.active), "attempts",
					       ebb_json_count(sums.attempts), "local",
					       ebb_json_count(sums.local), "outcomes",
					       ebb_json_counts(sums.outcomes, EBB_OUTCOME_MAX,
							       ebb_outcome_name),
					       "denied",
					       ebb_json_counts(sums.denied_by, EBB_CAUSE_MAX, ebb_cause_name),
					       "would_deny",
					       ebb_json_counts(sums.would_deny_by, EBB_CAUSE_MAX,
							       ebb_cause_name),
					       "turns", ebb_turns_json(&sums.turns), "turn_seconds",
					       ebb_times_json(&times), "traffic",
					       ebb_traffic_json(&sums.traffic)));
}

json_t *ebb_show_json(const struct ebb_look *look, const struct ebb_gate_row *rows, size_t count)
{
	json_t *gates = json_array(), *workloads = json_array();

	for (size_t i = 0; i < count && gates; i++)
		gates = append(gates, full_gate_json(look, &rows[i]));
	if (ebb_each_pair(look, &rows[0], append_pair_json, workloads) < 0) {
		json_decref(workloads);
		workloads = NULL;
	}
	return json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "destination", rows[0].name, "slot",
			 (int)rows[0].dst, "epoch", (int)rows[0].dst_epoch, "created_timestamp",
			 ebb_json_timestamp(look, look->view->dsts[rows[0].dst].created_ns), "addresses",
			 ebb_addresses_json(look->view, look->addresses), "policy", policy_json(&rows[0]),
			 "gates", gates, "workloads", workloads);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of commands and options: parsing, --help, the manual pages and the
 * completion of shells are made from it.
 */
#include "cli/cli.h"

static const struct ebb_option run_options[] = {
	EBB_OPTION_PIN,
	{"config", "FILE", "/etc/ebb/ebb.yaml, where there is one",
	 "the configuration; flags are stronger than what it says, and so are EBB_... variables", 0},
	{"mode", "MODE", "observe", "observe: count what would be refused; enforce: refuse it", 0},
	{"cgroup", "PATH", "auto",
	 "the cgroup2 directory below which connections are governed; auto is the kubepods slice if there is one, "
	 "else the root",
	 0},
	{"listen", "ADDRESS", "127.0.0.1:9478",
	 "where metrics and health are served, read-only; port 0 takes a free one", 0},
	{"breaker", "KEY=VALUE,...", NULL, "settings of every breaker; the keys are listed below", 0},
	{"bytes", "LIMIT", "none", "what may be sent to a destination, such as 10MB/s; see below", 0},
	{"packets", "LIMIT", "none", "the same in packets, such as 1000/s", 0},
	{"connects", "LIMIT", "none", "new connections to a destination, such as 20/s", 0},
	{"concurrent", "N", "none", "open and opening connections that a destination may have", 0},
	{"scope", "SCOPE", "node",
	 "node: all workloads share the limits and the breaker of a destination; workload: each has its own; what is "
	 "met again keeps what it had",
	 0},
	{"established", "WHAT", "keep",
	 "what becomes of live connections when their breaker opens: keep; drop: what they send is dropped; reset: they "
	 "are ended at once",
	 0},
	{"adopt", "WHAT", "on",
	 "on: count connections that were open before the agent; off: only those that come after", 0},
	{"errno", "NAME", "econnrefused",
	 "what a refused connect() returns: econnrefused, ehostunreach, etimedout or eperm", 0},
	{"lease", "TIME", "30s", "for how long verdicts hold when the agent no longer renews them; 2s to 1h",
	 0},
	{"on-agent-loss", "WHAT", "release",
	 "after the lease: release refuses nothing more, hold goes on refusing", 0},
	{"on-exit", "WHAT", "keep", "keep: the pinned programs go on; detach: leave no trace", 0},
	{"shutdown-delay", "TIME", "0s",
	 "after SIGTERM or SIGINT the agent is not ready, and goes on for so long; up to 1h", 0},
	{"shutdown-timeout", "TIME", "30s", "after that it ends within this time; 1s to 1h", 0},
	{"destinations", "N", "4096", "room for destinations; what finds none is counted as ~other", 0},
	{"pairs", "N", "16384", "room for pairs of a workload and a destination", 0},
	{"endpoints", "N", "65536", "room for addresses with their ports", 0},
	{"idle", "TIME", "10m",
	 "slots that nobody used for so long, and up to half a minute longer, are given back", 0},
	{"scheduling", "POLICY", "rr",
	 "rr: the lowest real-time priority while it enforces, so that verdicts are not late on a busy machine; other: none",
	 0},
	{"seed", "N", NULL, "draw the jitter of open times from this number, so that they repeat", 0},
	{"log-level", "LEVEL", "info", "error, warn, info or debug", 0},
	{"log-format", "FORMAT", "kv",
	 "kv: a message and key=value for people; json: an object each line, with its time, for collectors",
	 0},
	{"no-set-retval", NULL, NULL,
	 "refuse the way kernels before 6.1 must: TCP by rewriting the address (always ECONNREFUSED), UDP with EPERM; for tests",
	 0},
	{"no-sock-destroy", NULL, NULL, "reset the way kernels before 6.5 must, by netlink; for tests", 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option reading_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	EBB_OPTIONS_END,
};

static const struct ebb_option list_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	{"state", "STATE", NULL, "only closed, open, half_open, forced_open or forced_closed", 0},
	{"workload", "PATTERN", NULL,
	 "only what this workload uses: its name, the last part of it, or a pattern such as '/kubepods*'", 0},
	{"sort", "KEY", "name",
	 "name, or the greatest first: state, since, active, connects, failed, window, denied, sent, recv, "
	 "dropped, p50, p95, p99, rtt, turns, slow, turn_p50, turn_p95, turn_p99",
	 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option top_options[] = {
	EBB_OPTION_PIN,
	{"delay", "TIME", "1s", "between two looks; 100ms to 1h", 0},
	{"sort", "KEY", "state",
	 "the greatest first: name, workload, mode, state, left, active, connects, failed, denied, would, turns, "
	 "turn_p50, turn_p95, turn_p99, out, in, dropped, p50, p95, p99, mean, limits",
	 0},
	{"filter", "WORDS", NULL,
	 "only what has each of these words or patterns in its name, workload or state", 0},
	{"once", NULL, NULL, "print one frame as text and end; so it is, too, where there is no terminal", 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option watch_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	{"for", "TIME", NULL, "end after this time, such as 10s, instead of at Ctrl-C", 0},
	EBB_OPTIONS_END,
};

/* What every order takes. */
#define OPTION_WORKLOAD                                                                                       \
	{                                                                                                     \
		"workload", "PATTERN", NULL,                                                                  \
			"only for this workload of a destination that has a gate for each: its name, the "    \
			"last part of it, or a pattern such as '/kubepods*'; the others keep what they have", \
			0                                                                                     \
	}

static const struct ebb_option order_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	OPTION_WORKLOAD,
	{"for", "TIME", NULL,
	 "it ends by itself after this time, such as 10m, also with the agent dead; without, it stands until it is "
	 "taken back",
	 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option order_back_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	OPTION_WORKLOAD,
	EBB_OPTIONS_END,
};

static const struct ebb_option limit_set_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	OPTION_WORKLOAD,
	{"bytes", "LIMIT", NULL, "what may be sent, such as 10MB/s", 0},
	{"packets", "LIMIT", NULL, "the same in packets, such as 1000/s", 0},
	{"connects", "LIMIT", NULL, "new connections, such as 20/s", 0},
	{"concurrent", "N", NULL, "open and opening connections", 0},
	{"for", "TIME", NULL,
	 "all that stands by hand for this destination ends by itself after this time, such as 10m; without, it stands "
	 "until it is cleared",
	 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option config_show_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	{"config", "FILE", NULL, "show what 'ebb run' would make of this file, not what the agent does", 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option record_options[] = {
	EBB_OPTION_PIN,
	{"for", "TIME", NULL, "end after this time, such as 10m; without, Ctrl-C ends it", 0},
	{"trace", "FILE", NULL, "where the calls are written, made anew; without it to standard output", 0},
	EBB_OPTIONS_END,
};

static const struct ebb_option simulate_options[] = {
	EBB_OPTION_OUTPUT,
	{"config", "FILE", NULL, "the configuration that is tried; without it every setting is a default", 0},
	{"trace", "FILE", NULL, "the calls, a JSON object on each line; '-' reads standard input", 0},
	{"seed", "N", "0", "draw the jitter of open times from this number", 0},
	{"look", "TIME", NULL,
	 "look at failures and probes at once, and otherwise so often, as the agent does with 100ms; without it, after "
	 "every result",
	 0},
	EBB_OPTIONS_END,
};

/* Where the audit log is. */
#define OPTION_CONFIG                                                                                       \
	{                                                                                                   \
		"config", "FILE", NULL,                                                                     \
			"the configuration that says where the audit log is; without it that of the agent " \
			"that runs, else what 'ebb run' would take",                                        \
			0                                                                                   \
	}
#define OPTION_DIR                                                                                                \
	{                                                                                                         \
		"dir", "DIR", NULL,                                                                               \
			"where the agent keeps what waits for its sinks; without it what the configuration says", \
			0                                                                                         \
	}
#define OPTION_SINK                                                                           \
	{                                                                                     \
		"sink", "SINK", NULL, "only those of this sink: jsonl, sqlite or postgres", 0 \
	}

/* Which time, and where from. */
#define OPTION_SINCE                                                                                           \
	{                                                                                                      \
		"since", "TIME", "24h",                                                                        \
			"from then on: 24h (so long ago), 2026-11-29, '2026-11-29 05:51', or with a Z of UTC", \
			0                                                                                      \
	}
#define OPTION_UNTIL                                                              \
	{                                                                         \
		"until", "TIME", NULL, "and before then; without it until now", 0 \
	}
#define OPTION_FROM                                                                                                   \
	{                                                                                                             \
		"from", "FILE", NULL,                                                                                 \
			"the log: a database or a file of JSON lines (with those that were moved aside); without it " \
			"what the configuration names",                                                               \
			0                                                                                             \
	}

static const struct ebb_option audit_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	OPTION_SINCE,
	OPTION_UNTIL,
	{"type", "TYPE,...", NULL,
	 "only events of these types: agent_start, agent_stop, config_applied, config_rejected, override, "
	 "breaker_transition, denials, failures, destination_new, node_fuse, enforcement_lost, enforcement_back, "
	 "link_attached, request_refused, credentials_refused",
	 0},
	{"destination", "DEST", NULL,
	 "only about this destination; its protocol may be left out; or a pattern", 0},
	{"workload", "PATTERN", NULL,
	 "only about this workload: its name, the last part of it, or a pattern such as '/kubepods*'", 0},
	{"user", "USER", NULL, "only by this user: a login uid, or a workload with its namespace", 0},
	{"episode", "ID", NULL, "only of this episode: a stay of a breaker outside closed", 0},
	{"limit", "N", NULL, "only the newest so many", 0},
	{"follow", NULL, NULL,
	 "tell what happens from now on, until Ctrl-C; --since or --limit: and what came before", 'f'},
	OPTION_FROM,
	OPTION_CONFIG,
	EBB_OPTIONS_END,
};

static const struct ebb_option report_options[] = {
	EBB_OPTION_PIN, EBB_OPTION_OUTPUT, OPTION_SINCE,    OPTION_UNTIL,
	OPTION_FROM,	OPTION_CONFIG,	   EBB_OPTIONS_END,
};

static const struct ebb_option deadletter_list_options[] = {
	EBB_OPTION_PIN, EBB_OPTION_OUTPUT, OPTION_SINK, OPTION_CONFIG, OPTION_DIR, EBB_OPTIONS_END,
};

static const struct ebb_option deadletter_replay_options[] = {
	EBB_OPTION_PIN,	 EBB_OPTION_OUTPUT,
	OPTION_SINK,	 {"id", "ID,...", NULL, "only the events of these ids", 0},
	OPTION_CONFIG,	 OPTION_DIR,
	EBB_OPTIONS_END,
};

static const struct ebb_option deadletter_drop_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTION_OUTPUT,
	OPTION_SINK,
	{"before", "TIME", NULL,
	 "those that are dead since before then: 24h (so long ago), 2026-11-29, '2026-11-29 05:51', or with a Z of UTC",
	 0},
	{"id", "ID,...", NULL, "the events of these ids", 0},
	{"all", NULL, NULL, "all of them", 0},
	OPTION_CONFIG,
	OPTION_DIR,
	EBB_OPTIONS_END,
};

static const struct ebb_option detach_options[] = {
	EBB_OPTION_PIN,
	EBB_OPTIONS_END,
};

const struct ebb_command ebb_commands[] = {
	{"run", NULL, "the agent, in the foreground",
	 "Attaches to a cgroup, watches the connections that are opened below it, and opens the breaker of a "
	 "destination that fails. In the default mode nothing is refused. SIGTERM and SIGINT end it, a second one "
	 "at once.\n\n"
	 "  ebb run\n"
	 "  ebb run --mode enforce --breaker consecutive_failures=3,open_for=10s",
	 run_options, ebb_cmd_run, ebb_help_run},
	{"status", NULL, "the node at a glance: agent, programs, breakers, errors of our own", NULL,
	 reading_options, ebb_cmd_status, NULL},
	{"list", NULL, "destinations with their state, counts and times",
	 "A row for each gate: a destination, or a destination and a workload. FAILED counts since the destination "
	 "was first seen, WINDOW is the share of failures that the breaker judges by. P50, P95 and P99 are times "
	 "to connect to the whole destination, RTT is the median round trip. LIMITS are those in force, a star "
	 "marks one that was given by hand. A narrow terminal leaves columns out, a pipe or a file none.",
	 list_options, ebb_cmd_list, NULL},
	{"show", "DEST", "one destination in full: settings, state and why, workloads, times",
	 "DEST is a name that 'ebb list' shows; a protocol that goes without saying may be left out.\n\n"
	 "  ebb show 10.0.0.5:443",
	 reading_options, ebb_cmd_show, NULL},
	{"top", NULL, "the same as list, live in the terminal",
	 "Rates and times are those of the last interval. LEFT is the time until an open breaker lets probes "
	 "through, or until an override ends. Keys: arrows or j k PgUp PgDn Home End move, Enter shows one "
	 "destination in full and Esc leads back, w changes between destinations and workloads, < > or s choose "
	 "the column to sort by, r reverses, / filters, p pauses, d sets the delay, h is help, q quits. NO_COLOR "
	 "in the environment is respected.",
	 top_options, ebb_cmd_top, NULL},
	{"watch", NULL, "what happens, a line each: transitions, failures, refusals, drops",
	 "Looks five times a second. What moves is told at once, at its own time; counts of one destination are a line a "
	 "second, with the time by which they had grown. With -o json every line is an object.",
	 watch_options, ebb_cmd_watch, NULL},
	{"limit set", "DEST", "limit a destination by hand, at once",
	 "Replaces the limits that are given and leaves the others; none lifts a configured one. Holds at the next "
	 "connection or packet, with the agent alive or dead, and outlives its restart. In mode observe nothing is "
	 "refused or dropped.\n\n"
	 "  ebb limit set 10.0.0.5:443 --connects 20/s --concurrent 64 --for 10m\n"
	 "  ebb limit set 10.0.0.5:443 --bytes 10MB/s,burst=2MB",
	 limit_set_options, ebb_cmd_limit_set, ebb_help_limits},
	{"limit clear", "DEST", "take back what was given by hand",
	 "Afterwards the destination has the limits that are configured.", order_back_options,
	 ebb_cmd_limit_clear, NULL},
	{"config check", "[FILE]", "check a configuration file: all that is wrong, with line and column",
	 "Lists everything that is wrong in it, each with line and column, and changes nothing; '-' reads "
	 "standard input. Without FILE it is the one that 'ebb run' would read. Exits with 0 when an agent would "
	 "take it.",
	 reading_options, ebb_cmd_config_check, NULL},
	{"config show", "[DEST]", "what holds, and who says it: flag, environment, file or default",
	 "Of the agent that runs: what its flags, its environment and its file say now. Without one, or with "
	 "--config, what 'ebb run' would do here. With DEST everything that holds for a destination that the "
	 "configuration names.\n\n"
	 "  ebb config show\n"
	 "  ebb config show --config new.yaml payments",
	 config_show_options, ebb_cmd_config_show, NULL},
	{"breaker open", "DEST", "refuse every new connection to a destination, at once",
	 "Goes before what the breaker decides, with the agent alive or dead, and outlives its restart. Live "
	 "connections are dropped or ended where that is configured for an open breaker. In mode observe nothing is "
	 "refused.\n\n"
	 "  ebb breaker open 10.0.0.5:443 --for 10m",
	 order_options, ebb_cmd_breaker_open, NULL},
	{"breaker close", "DEST", "let the breaker of a destination refuse nothing, at once",
	 "Limits go on. The breaker goes on counting underneath.", order_options, ebb_cmd_breaker_close,
	 NULL},
	{"breaker auto", "DEST", "take back 'breaker open' or 'breaker close'",
	 "Afterwards the breaker decides again, from the state in which it is.", order_back_options,
	 ebb_cmd_breaker_auto, NULL},
	{"mode observe", "[DEST]", "refuse and drop nothing, only count, at once",
	 "Without DEST for the whole node, which goes before what is said or configured for a destination. Holds "
	 "with the agent alive or dead, and outlives its restart.\n\n"
	 "  ebb mode observe --for 1h",
	 order_options, ebb_cmd_mode_observe, NULL},
	{"mode enforce", "[DEST]", "refuse and drop for real, at once",
	 "Without DEST for the whole node, which goes before what is said or configured for a destination.",
	 order_options, ebb_cmd_mode_enforce, NULL},
	{"mode auto", "[DEST]", "take back 'mode observe' or 'mode enforce'",
	 "Afterwards the mode is the configured one. Without DEST only what was said for the node is taken back.",
	 order_back_options, ebb_cmd_mode_auto, NULL},
	{"record", NULL, "write the calls of this node down, for simulate",
	 "A line for each TCP connection that was attempted, when its result is known, in the order in which the results "
	 "come: its first answer, its end, how it failed, or denied: by ebb, in mode observe also what would have been. "
	 "What is left out moves no breaker either: UDP, workloads that are excluded, connections that a breaker lets "
	 "through by hand. What began before stands at 0. With the agent alive or dead; one at a time. When the command is killed the kernel "
	 "stops recording within two seconds.\n\n"
	 "  ebb record --for 10m --trace calls.jsonl\n"
	 "  ebb simulate --config new.yaml --trace calls.jsonl",
	 record_options, ebb_cmd_record, NULL},
	{"simulate", NULL, "try a configuration on a list of calls: when which breaker would have moved",
	 "Replays the calls of a trace through the code that decides in the kernel and in the agent, with a "
	 "simulated clock: no privileges, no agent, no connection. Prints every transition, and for each destination "
	 "what was admitted and refused. A line of a trace is one call that was attempted:\n\n"
	 "  {\"t\": 12.5, \"dest\": \"api\", \"outcome\": \"refused\", \"ms\": 3.2}\n\n"
	 "It began at t seconds, and its outcome was known ms milliseconds later (0 where it is left out). dest is a name "
	 "of the configuration; any other is a destination of its own, with the defaults. outcome is established, "
	 "refused, timeout, unreachable, abandoned, reset, unanswered, or, without a result, cancelled, local, denied. "
	 "\"workload\": \"NAME\" says who called, for a destination that has a gate for each workload. Lines need not be "
	 "in order, and are shorter than 64 KB.\n"
	 "The breakers act as if they enforced, whatever the mode and enforce_percent are; limits refuse nothing. What a "
	 "gate refuses has no outcome. The same trace with the same seed gives the same transitions. It takes about 24 "
	 "bytes of memory for each call, twice that while calls are put in order, 48 for each that is under way, and 1 KB for "
	 "each destination.\n\n"
	 "  ebb simulate --config new.yaml --trace calls.jsonl",
	 simulate_options, ebb_cmd_simulate, NULL},
	{"audit", NULL, "what happened: transitions, refusals, orders by hand, the agent itself",
	 "A line for each event of the audit log, the oldest first: when, which type, what. With -o json every line is the event "
	 "as it is kept. Reads the database, or where there is none the file of JSON lines; needs no agent.\n\n"
	 "  ebb audit --since 1h --type breaker_transition,override\n"
	 "  ebb audit --episode 6e1d5ad9f4a3c0b2\n"
	 "  ebb audit --follow --type breaker_transition,override",
	 audit_options, ebb_cmd_audit, NULL},
	{"report", NULL, "what a time comes to: failures, refusals, changes, and what is suspicious",
	 "From the audit log: breakers and how long they were outside closed, failures and refusals by destination and "
	 "workload, who changed what, when there was no agent. Suspicious are a workload that hammers an open breaker, one "
	 "that tries many destinations that do not answer, destinations that share something and open at once, and those never "
	 "seen before. Needs no agent.\n\n"
	 "  ebb report --since 7d",
	 report_options, ebb_cmd_report, NULL},
	{"deadletter list", NULL, "events of the audit log that a sink did not take, and why",
	 "A line for each, the oldest of a sink first. With -o json every line is an object: the sink, since when, why, and "
	 "the event as it was.",
	 deadletter_list_options, ebb_cmd_deadletter_list, NULL},
	{"deadletter replay", NULL, "offer them to their sink once more",
	 "In batches, the oldest first, with the agent alive or dead. What the sink takes is no dead letter any more; what it "
	 "refuses again stays, and so does all that is left when the sink is away: then it exits with 1. Whatever ends the "
	 "command, no letter is lost, and a sink skips what it has.\n\n"
	 "  ebb deadletter replay --sink postgres",
	 deadletter_replay_options, ebb_cmd_deadletter_replay, NULL},
	{"deadletter drop", NULL, "give them up",
	 "They are gone then. Lines that are damaged and no letters go with --all.\n\n"
	 "  ebb deadletter drop --before 30d\n"
	 "  ebb deadletter drop --sink postgres --all",
	 deadletter_drop_options, ebb_cmd_deadletter_drop, NULL},
	{"doctor", NULL, "what this kernel and node can and cannot do, each with its remedy",
	 "Exits with 0 when everything that the agent requires is there, else with 1.", reading_options,
	 ebb_cmd_doctor, NULL},
	{"detach", NULL, "remove every program, map and pin",
	 "The way out: afterwards no connection passes through ebb, and what it counted is gone. An agent "
	 "that runs must be ended first.",
	 detach_options, ebb_cmd_detach, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

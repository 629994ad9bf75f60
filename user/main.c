/* SPDX-License-Identifier: Apache-2.0 */
/* ebb: one table of subcommands, and nothing else. */
#include "cli/cli.h"

static const struct ebb_option run_options[] = {
	EBB_OPTION_PIN,
	{"mode", "MODE", "observe", "observe: count what would be refused; enforce: refuse it", 0},
	{"cgroup", "PATH", "auto",
	 "the cgroup2 directory whose programs are governed; auto is the kubepods slice if there is one, else the root",
	 0},
	{"listen", "ADDRESS", "127.0.0.1:9478",
	 "where metrics and health are served, read-only; port 0 takes a free one", 0},
	{"breaker", "KEY=VALUE,...", NULL, "settings of every breaker; the keys are listed below", 0},
	{"concurrent", "N", "0", "open and opening connections that one destination may have; 0 is no limit",
	 0},
	{"errno", "NAME", "econnrefused",
	 "what a refused connect() returns: econnrefused, ehostunreach, etimedout or eperm", 0},
	{"lease", "TIME", "30s", "for how long verdicts hold when the agent no longer renews them; 2s to 1h",
	 0},
	{"on-agent-loss", "WHAT", "release",
	 "after the lease: release refuses nothing more, hold goes on refusing", 0},
	{"on-exit", "WHAT", "keep", "keep: the pinned programs go on; detach: leave no trace", 0},
	{"shutdown-timeout", "TIME", "30s", "after SIGTERM or SIGINT it ends within this time", 0},
	{"destinations", "N", "4096", "room for destinations; what finds none is counted as ~other", 0},
	{"pairs", "N", "16384", "room for pairs of a workload and a destination", 0},
	{"endpoints", "N", "65536", "room for addresses with their ports", 0},
	{"seed", "N", NULL, "draw the jitter of open times from this number, so that they repeat", 0},
	{"log-level", "LEVEL", "info", "error, warn, info or debug", 0},
	{"no-set-retval", NULL, NULL,
	 "refuse the way kernels before 6.1 must, by rewriting the address: always ECONNREFUSED; for tests",
	 0},
	EBB_OPTIONS_END,
};

static const struct ebb_command commands[] = {
	{"run", NULL, "the agent, in the foreground",
	 "Attaches to a cgroup, watches the connections opened below it, and opens the breaker of a destination "
	 "that fails. In the default mode nothing is refused. SIGTERM and SIGINT end it; a second one at once.",
	 run_options, ebb_cmd_run, ebb_help_breaker_keys},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
	return ebb_cli_main(commands, argc, argv);
}

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent is killed with SIGKILL at random moments, its start among them, and started again; it is stopped and goes on.
# deadline: 900

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

start_world </dev/null

# ------------------------------------------------------------------------------------- killed --

kills=$(often 20 200)
for ((i = 1; i <= kills; i++)); do
	random 0 "$(often 300 999)"
	sleep "$(printf '0.%03d' "$number")" # a moment at random is what this is about
	end "$agent" KILL
	[ "$status" = 137 ] || not_ok "kill $i: it had died before" "status $status" "$(tail -3 "$agent_log")"
	launch
	# one of five starts in peace: it dies at work, and there are scrapes between the deaths
	((i % 5)) || check "kill $i: ready again" wait_for 20 is_ready
done
survives "killed $kills times"
echo "# agents that were seen by a scrape: $(watched 'd["lives"]')"

# ------------------------------------------------------------------------------------ stopped --

stops=$(often 1 20)
for ((i = 1; i <= stops; i++)); do
	kill -STOP "$agent"
	random 100 1500
	sleep "$(printf '%d.%03d' $((number / 1000)) $((number % 1000)))" # likewise
	kill -CONT "$agent"
	check "stop $i: it answers" wait_for 20 is_ready
done
survives "stopped $stops times"

end_world
done_testing

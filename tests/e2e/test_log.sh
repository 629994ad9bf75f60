#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The log as a collector reads it: every line of a run is a JSON object; a configuration that asks for
# the other format is followed at once; a destination that flaps does not fill the log.
# deadline: 60

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# field NAME MESSAGE: of the lines with that message, each on a line.
field() {
	"$python" -S -c '
import json, sys
for line in open(sys.argv[3]):
    entry = json.loads(line) if line.startswith("{") else {}
    if entry.get("message") == sys.argv[2]:
        print(entry.get(sys.argv[1]))' "$1" "$2" "$agent_log"
}
moves() { field to 'breaker moved' | wc -l; }
all_parse() {
	"$python" -S -c '
import json, re, sys
for line in open(sys.argv[1]):
    entry = json.loads(line)
    assert set(("time", "level", "message")) <= set(entry), line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]), line' "$agent_log"
}

config=$scratch/ebb.yaml
breaker='{consecutive_failures: 2, min_calls: 1000000, open_for: 100ms, open_max: 100ms, open_jitter: 0, reopen_after: 1, probes: 1}'
printf 'log_format: json\nmode: enforce\ndefaults: {breaker: %s}\n' "$breaker" >"$config"
start_agent --config "$config"
start_server
stop_server
for _ in 1 2 3; do connect 127.0.0.1 "$port" >/dev/null; done
# grep -q would end before who writes to it
opened() { field destination 'breaker moved' | grep -x "127.0.0.1:$port/tcp" >/dev/null; }
wait_for 5 opened
check 'a transition is told with its destination' opened
is 'and what failed last' "$(field last_failure 'breaker moved' | head -n 1)" refused
is 'and how often, as a number' "$(field failed 'breaker moved' | head -n 1)" 2
like 'and by whom' "$(field workload 'breaker moved' | head -n 1)" "/$test_id"
check 'every line is an object with its time, level and message' all_parse

# it opens, admits a probe that is refused, and opens again: two transitions each 100 ms
flap() { connect 127.0.0.1 "$port" >/dev/null; [ "$(transitions)" -ge 40 ]; }
transitions() { http_get /metrics | awk '/^ebb_breaker_transitions_total\{/ {n += $NF} END {print n + 0}'; }
wait_for 20 flap
between 'of a destination that flaps so many lines are written' "$(moves)" 12 16
printf 'log_format: kv\nmode: enforce\ndefaults: {breaker: %s}\n' "$breaker" >"$config"
check 'the other format holds at once' wait_for 5 logged '^info: configuration applied: generation='
stop_agent
done_testing

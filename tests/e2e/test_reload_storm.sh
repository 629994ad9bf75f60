#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 1,000 changes of the configuration while 2,000 connects a second run: each connect is judged by
# a configuration that was in force while it lasted, nothing is lost, nothing is left.
# deadline: 300

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

file=$scratch/ebb.yaml
out=$scratch/storm.out
changes=${STORM:-1000}
# above the ports of tests/lib/server.py, below the ephemeral ones
port=$((30000 + $$ % 2000))

metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
active() { gate "$1" 'd["active"]' 2>/dev/null; }
result() { json "$1" <"$out"; }
descriptors() { find "/proc/$agent/fd" -mindepth 1 | wc -l; }

echo 'mode: enforce' >"$file"
start_agent --config "$file" --pairs 1024 --idle 30d
before=$(descriptors)
mkfifo "$scratch/go"
(
	exec 0<>"$scratch/go"
	exec setpriv --pdeathsig KILL "$python" -S "$root/tests/lib/storm.py" "$file" "$agent_log" "$cgroup" "$port" "$changes" 2000
) >"$out" 2>"$out.err" &
storm=$!
started+=("$storm")
written() { [ -s "$out" ] || gone "$storm"; }
wait_for 250 written || bail 'the storm does not end'
[ -s "$out" ] || bail "the storm: $(cat "$out.err")"
note <"$out"

is 'every change is applied' "$(result 'd["changes"]')" "$changes"
between 'while so many connects a second ran' "$(result 'd["rate"]')" 1000 2100
is 'no connect was misjudged' "$(result 'd["misjudged"]')" 0
for seen in 'fix EPERM' 'tone EHOSTUNREACH' 'tone ETIMEDOUT' 'tone ECONNREFUSED' 'moved EHOSTUNREACH' \
	'moved ETIMEDOUT' 'tide OK' 'tide ECONNREFUSED' 'guest OK' 'guest ECONNREFUSED'; do
	between "there were both: $seen" "$(result "d['seen'].get('$seen', 0)")" 100 1000000
done
is 'an address that did not change had one verdict' \
	"$(result 'len([s for s in d["seen"] if s.startswith("fix")])')" 1
is 'whose DNS answers are believed is told once' "$(grep -c 'DNS answers are believed' "$agent_log")" 1
is 'no descriptor is lost' "$(descriptors)" "$before"
for name in fix tone left right tide guest; do
	is "the open connection of $name is there still" "$(active "$name")" 1
done
is 'no gauge went below zero' "$(metric 'ebb_bpf_errors_total{reason="gauge_underflow"}')" 0
is 'no index was stale' "$(metric 'ebb_bpf_errors_total{reason="epoch_stale"}')" 0
is 'the table of destinations has not grown' "$(metric 'ebb_map_entries{map="destinations"}')" 7
end "$storm" KILL
kill_in_cgroups "$test_id"
is_quiet() {
	local name
	for name in fix tone left right tide guest; do [ "$(active "$name")" = 0 ] || return 1; done
}
check 'and they end where they began' wait_for 10 is_quiet
done_testing

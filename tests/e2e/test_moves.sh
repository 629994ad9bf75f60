#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The same facts of the same transitions, whoever is asked: the log, /metrics, ebb show, ebb
# list and ebb watch, each of them for a breaker that opens, half-opens, closes; and again
# after a restart, where the kernel opened it without an agent.

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

breaker=consecutive_failures=3,open_for=1s,open_max=1s,open_jitter=0,close_after=1
name() { echo "127.0.0.1:$port/tcp"; }

# What each says of the transitions of the destination, a line each: from, to, reason, failed, run,
# episode. The failed ones of the window are told only where the window opened it.
by_log() {
	sed -n "s|.*breaker moved: destination=$(name) .* from=\([a-z_]*\) to=\([a-z_]*\) reason=\([a-z_]*\) ok=\([0-9]*\) failed=\([0-9]*\) slow=[0-9]* run=\([0-9]*\) .* episode=\([0-9a-f]*\) .*|\1 \2 \3 \4 \5 \6 \7|p" "$agent_log"
}
lines='"\n".join(" ".join(str(t[k]) for k in ("from", "to", "reason", "ok", "failed", "run", "episode")) for t in'
by_show() { ebb show -o json "$(name)" | json "$lines d['gates'][0]['transitions'])"; }
by_watch() {
	grep -F "\"$(name)\"" "$scratch/watch.json" | grep '"event":"transition"' | sed 's/$/,/' |
		sed '1s/^/[/; $s/,$/]/' | json "$lines d)"
}
by_metrics() {
	http_get /metrics | sed -n "s|^ebb_breaker_transitions_total{destination=\"$(name)\".*from=\"\([a-z_]*\)\",to=\"\([a-z_]*\)\",reason=\"\([a-z_]*\)\"} \([1-9][0-9]*\)$|\1 \2 \3 \4|p" | sort
}
counted() { cut -d' ' -f1-3 | sort | uniq -c | awk '{ print $2, $3, $4, $1 }' | sort; }
episode() { gate "$port" 'd["episode"]'; }

start_server
start_agent --mode enforce --breaker "$breaker"
background "$ebb_program" watch --pin "$pin" -o json >"$scratch/watch.json" 2>"$scratch/watch.err"
watch=$!
connect 127.0.0.1 "$port" >/dev/null
watched() { [ -s "$scratch/watch.json" ]; }
wait_for 5 watched || bail 'ebb watch tells nothing'
is 'closed: there is no episode' "$(state "$port") $(episode)" 'closed null'

# ------------------------------------------------------------------- opens, half-opens, closes --

stop_server
connect --count 4 --sum 127.0.0.1 "$port" >/dev/null
check 'it opens' wait_for 5 logged 'to=open'
opened=$(by_log | tail -1)
id=${opened##* }
like 'the episode has an id of 16 digits' "$id" '^[0-9a-f]{16}$'
is 'list has it' "$(episode)" "$id"
start_server --port "$port"
closes() { connect 127.0.0.1 "$port" && is_state "$port" closed; }
check 'it closes again' wait_for 10 closes
check 'and that is logged' wait_for 5 logged 'to=closed'
is 'closed: the episode is over' "$(episode)" null

check 'watch tells all of it' wait_for 5 grep -q '"to":"closed"' "$scratch/watch.json"
log=$(by_log)
is 'three transitions, of one episode' "$(wc -l <<<"$log") $(awk '{ print $NF }' <<<"$log" | sort -u)" "3 $id"
is 'with what caused them' "$(head -1 <<<"$log")" "closed open consecutive_failures 1 3 3 $id"
is 'show has the same facts as the log' "$(by_show)" "$log"
is 'watch has the same facts as the log' "$(by_watch)" "$log"
is 'metrics count the same' "$(by_metrics)" "$(counted <<<"$log")"
like 'show, for people, has the id' "$(ebb show "$(name)")" "closed +open +$id +3 failures in a row"

# ------------------------------------------------------------------- over the death of an agent --

stop_server
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
check 'it opens again' wait_for 5 is_state "$port" open
second_logged() { [ "$(by_log | grep -c ' open consecutive_failures ')" = 2 ]; }
check 'that is logged' wait_for 5 second_logged
second=$(episode)
refute 'as another episode' [ "$second" = "$id" ]
stop_agent KILL
is 'a dead agent: list still has the id' "$(episode)" "$second"
start_server --port "$port"
closes_alone() { connect 127.0.0.1 "$port" && is_state "$port" closed; }
check 'the kernel closes it alone' wait_for 10 closes_alone
stop_server
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
is 'and opens it alone: nobody has told of an episode' "$(state "$port" | sed s/half_open/open/) $(episode)" 'open null'
start_agent --mode enforce --breaker "$breaker"
all_told() { [ "$(by_log | grep -c ' open consecutive_failures ')" = 1 ]; }
check 'the next agent tells what the kernel did' wait_for 5 all_told
third=$(by_log | awk '$1 == "closed" { print $NF }')
is 'the old episode ended under its id' \
	"$(by_log | awk '$2 == "closed" { print $NF; exit }')" "$second"
like 'and the next has its own' "$third" '^[0-9a-f]{16}$'
refute 'another one' [ "$third" = "$second" ]
same() { [ "$(by_show)" = "$(tail -4 <<<"$(ebb_log_all)")" ]; }
ebb_log_all() {
	local n
	for ((n = 1; n <= agents; n++)); do
		agent_log=$scratch/agent.$n.log by_log
	done
}
check 'show has the last of what both logs told' wait_for 5 same
metrics_same() { [ "$(by_metrics)" = "$(ebb_log_all | counted)" ]; }
check 'metrics count all of it' wait_for 5 metrics_same
watch_same() { [ "$(by_watch | grep -v None | sort -u)" = "$(ebb_log_all | sort -u)" ]; }
check 'watch told each of them' wait_for 5 watch_same
end "$watch"
is 'watch has nothing to complain of' "$status$(cat "$scratch/watch.err")" 0
stop_agent
done_testing

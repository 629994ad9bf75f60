#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An agent that is started again finds everything as it was: counters, the open breaker and
# its end, its transitions; the programs are replaced without a gap, so that not one connect
# goes uncounted or slips past an open breaker. After SIGTERM and after SIGKILL.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

breaker=consecutive_failures=3,open_for=5m,open_max=5m,open_jitter=0

# What must be the same afterwards. Times in seconds: where they are worked out, two clocks are read.
remembered() {
	gate "$1" '(d["state"], d["open_until_timestamp"] and round(d["open_until_timestamp"]), d["attempts"], d["failures"], d["denied"], d["active"])'
	ebb show -o json "127.0.0.1:$1" | json '[d["created_timestamp"] and round(d["created_timestamp"]), d["slot"], d["workloads"],
		d["gates"][0]["trips"], [(t["reason"], t["run"], round(t["timestamp"])) for t in d["gates"][0]["transitions"]]]'
}

opens_until() { gate "$1" 'round(d["open_until_timestamp"] * 1000)'; }
programs() { ebb status -o json | json 'sorted(p["program_id"] for p in d["programs"] if p["attached"])'; }
links() { bpftool -j link show | json "sorted(l['id'] for l in d if l.get('cgroup_id') == $(stat -c %i "$cgroup"))"; }
metric() { http_get /metrics | sed -n "s|^ebb_$1{.*destination=\"127.0.0.1:$2/tcp\".*$3.*} ||p"; }

start_server
alive=$port
start_server
dead=$port
start_agent --mode enforce --errno ehostunreach --breaker "$breaker"
check 'the first agent makes the maps' logged ' started: .* maps=new'
connect --count 7 --sum 127.0.0.1 "$alive" >/dev/null
connect --count 2 --sum 127.0.0.1 "$dead" >/dev/null
stop_server "$server"
connect --count 8 --sum 127.0.0.1 "$dead" >/dev/null
wait_for 5 logged 'to=open' || bail 'the breaker does not open'
alive_before=$(remembered "$alive")
dead_before=$(remembered "$dead")
programs_before=$(programs)
links_before=$(links)
until_before=$(opens_until "$dead")
is 'eight programs are attached' "$(json 'len(d)' <<<"$programs_before") $(json 'len(d)' <<<"$links_before")" '8 8'

# ---------------------------------------------------------- SIGTERM, SIGKILL: nothing forgotten --

for signal in TERM KILL; do
	stop_agent $signal
	is "$signal: without an agent, the same" "$(remembered "$alive"), $(remembered "$dead")" "$alive_before, $dead_before"
	start_agent --mode enforce --errno ehostunreach --breaker "$breaker"
	check "$signal: the maps are taken over" logged ' started: .* maps="taken over"'
	is "$signal: a working destination as before" "$(remembered "$alive")" "$alive_before"
	is "$signal: a broken one as before: state, end, counts, transitions" "$(remembered "$dead")" "$dead_before"
	between "$signal: the end of open, in ms" $(($(opens_until "$dead") - until_before)) -5 5
	is "$signal: the links are the same" "$(links)" "$links_before"
	is "$signal: with eight new programs in them" \
		"$(json "len(set(d) - set($programs_before))" <<<"$(programs)")" 8
	is "$signal: the metrics go on" "$(metric connects_total "$alive" 'outcome="established"') $(metric connects_total "$dead" 'outcome="denied"')" '7 5'
	is "$signal: nothing was logged as a move" "$(grep -c 'breaker moved' "$agent_log")" 0
done
is 'and the open breaker refuses' "$(connect 127.0.0.1 "$dead")" EHOSTUNREACH

# ----------------------------------------------------- restarts under traffic: nothing slips --

attempts=$(gate "$alive" 'd["attempts"]')
established=$(ebb show -o json "127.0.0.1:$alive" | json 'd["workloads"][0]["outcomes"]["established"]')
denied=$(gate "$dead" 'd["denied"]')
touch "$scratch/traffic"
connect --count 0 --while "$scratch/traffic" --sum --reset 127.0.0.1 "$alive" >"$scratch/alive.sum" &
traffic=("$!")
connect --count 0 --while "$scratch/traffic" --sum 127.0.0.1 "$dead" >"$scratch/dead.sum" &
traffic+=("$!")
grown() { [ "$(gate "$alive" 'd["attempts"]')" -gt "$1" ]; }
for signal in TERM KILL TERM; do
	wait_for 10 grown "$(gate "$alive" 'd["attempts"]')" || bail 'there is no traffic'
	stop_agent $signal
	start_agent --mode enforce --errno ehostunreach --breaker "$breaker"
done
wait_for 10 grown "$(gate "$alive" 'd["attempts"]')" || bail 'there is no traffic'
rm "$scratch/traffic"
wait "${traffic[@]}"
like 'traffic through three restarts: every connect succeeded' "$(cat "$scratch/alive.sum")" '^OK=[0-9]+$'
made=$(sed 's/OK=//' "$scratch/alive.sum")
check "there were many of them: $made" test "$made" -ge 200
is 'each is counted, once' $(($(gate "$alive" 'd["attempts"]') - attempts)) "$made"
is 'with its outcome' \
	$(($(ebb show -o json "127.0.0.1:$alive" | json 'd["workloads"][0]["outcomes"]["established"]') - established)) "$made"
is 'none is left active' "$(gate "$alive" 'd["active"]')" 0
like 'not one connect slips past the open breaker' "$(cat "$scratch/dead.sum")" '^EHOSTUNREACH=[0-9]+$'
is 'each refusal is counted, once' $(($(gate "$dead" 'd["denied"]') - denied)) "$(sed 's/.*=//' "$scratch/dead.sum")"
is 'no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0

# ---------------------------------------------------------------- new settings, old memory --

stop_agent
start_agent --mode enforce --errno etimedout --breaker "$breaker"
is 'another errno is used at once' "$(connect 127.0.0.1 "$dead") $(state "$dead")" 'ETIMEDOUT open'
stop_agent
start_agent --mode observe --breaker "$breaker"
is 'in observe mode nothing is refused, and it is open' "$(connect 127.0.0.1 "$dead") $(state "$dead")" 'ECONNREFUSED open'
stop_agent

done_testing

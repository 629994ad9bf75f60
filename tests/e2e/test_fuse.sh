#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The node fuse: half of the destinations die, it acts, by reload as alert, release and shed, and
# ends when nobody asks any more, or when they have healed.
# deadline: 180

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

file=$scratch/ebb.yaml
metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
is_metric() { [ "$(metric "$1")" = "$2" ]; }
try() { connect 127.0.0.1 "$1"; }
answers() { [ "$(try "$1")" = "$2" ]; }
fuse() { ebb show -o json '~node' | json "$1"; }
is_fuse() { [ "$(fuse "$1")" = "$2" ]; }
acts() { is_fuse "'%s %s' % (d['acts'], d['action'])" "True $1"; }
ended() { is_fuse "'%s' % d['acts']" False; }
denied_by_fuse() {
	http_get /metrics | awk '/^ebb_denied_total.*cause="fuse",enforced="true"/ { n += $2 } END { print n + 0 }'
}

ports=()
servers=()
for i in 0 1 2 3; do
	start_server
	ports[i]=$port
	servers[i]=$server
done

# yaml ACTION OPEN_FOR: four destinations, d0 to d3, the last exempt. A refusal of ours is told from one of a dead server.
letter=d
yaml() {
	cat <<-YAML
		mode: enforce
		defaults: {breaker: {errno: ehostunreach, window: 4s, consecutive_failures: 3, open_for: $2, open_max: $2}}
		node_fuse: {min_calls: 20, action: $1, exempt: [${letter}3]}
		destinations:
	YAML
	for i in 0 1 2 3; do
		printf '  - {name: %s%d, match: [{cidr: 127.0.0.1, port: %d}]}\n' "$letter" "$i" "${ports[i]}"
	done
}
reload() {
	local generation
	generation=$(metric ebb_config_generation)
	yaml "$1" "$2" >"$file.new" && mv "$file.new" "$file"
	wait_for 10 is_metric ebb_config_generation $((generation + 1)) || bail "not applied: $(tail -3 "$agent_log")"
}

yaml alert 60s >"$file"
start_agent --config "$file"

# --------------------------------------------------------------------- acts

for i in 0 1 2 3; do
	connect --count 6 --sum 127.0.0.1 "${ports[i]}" >/dev/null
done
wait_for 10 is_fuse "d['results'] >= 20 and d['active']" 4 || bail "$(ebb show '~node')"
check 'results alone are no reason' ended
stop_server "${servers[0]}"
connect --count 3 --sum 127.0.0.1 "${ports[0]}" >/dev/null
wait_for 10 is_fuse "d['open']" 1 || bail "$(ebb show '~node')"
check 'one of four is no reason' ended
# what the window holds may have left it meanwhile
connect --count 20 --sum 127.0.0.1 "${ports[2]}" >/dev/null
connect --count 3 --sum 127.0.0.1 "${ports[3]}" >/dev/null
stop_server "${servers[1]}"
connect --count 3 --sum 127.0.0.1 "${ports[1]}" >/dev/null
check 'two of four are' wait_for 10 acts alert
check 'the metric tells it' wait_for 5 is_metric ebb_node_fuse_active 1
is_node() { [ "$(http_get /health | json "d['components']['node_fuse']['state']")" = "$1" ]; }
check 'the node is degraded, not unhealthy' wait_for 5 is_node degraded
check 'and ready' http_get /health/ready
check 'the log says why' logged 'node fuse acts: action=alert open=2 active=[34] calls='
like 'list has a row of it' "$(ebb list)" '~node +- +- +alert '
like 'status tells it' "$(ebb status)" 'node fuse +alerts since .*: 2 of '
is 'alert: the open breaker refuses' "$(try "${ports[0]}")" EHOSTUNREACH
is 'alert: the healthy is let through' "$(try "${ports[2]}")" OK

# --------------------------------------------------- live: release, then shed

reload release 60s
check 'another action is in force at once' acts release
is 'release: the open breaker lets through' "$(try "${ports[0]}")" ECONNREFUSED
is 'release: the healthy is let through' "$(try "${ports[2]}")" OK
like 'the row of the gate says it' "$(ebb show d0)" 'the node fuse releases: the breaker refuses nothing'

is 'nothing has been shed so far' "$(denied_by_fuse)" 0
reload shed 60s
check 'shed is in force at once' acts shed
is 'shed: the healthy is refused' "$(try "${ports[2]}")" EHOSTUNREACH
is 'shed: the exempt is let through' "$(try "${ports[3]}")" OK
is 'it is counted as what it is' "$(denied_by_fuse)" 1
is 'the fuse has acted once' "$(fuse "d['acted']")" 1

# ------------------------------------------------------- ends: nobody asks

check 'an idle node ends it' wait_for 20 ended
is 'the healthy is let through again' "$(try "${ports[2]}")" OK
check 'the metric tells it' is_metric ebb_node_fuse_active 0
check 'the node is healthy' wait_for 5 is_node healthy
check 'the log says so' logged 'node fuse has ended: '

# ------------------------------------------------------- ends: they healed

# others, whose breakers open for a second
for i in 0 1 2 3; do
	start_server
	ports[i]=$port
	servers[i]=$server
done
letter=e
reload shed 1s
for i in 0 1 2 3; do
	connect --count 6 --sum 127.0.0.1 "${ports[i]}" >/dev/null
done
for i in 0 1; do
	stop_server "${servers[i]}"
	connect --count 3 --sum 127.0.0.1 "${ports[i]}" >/dev/null
done
check 'it acts again' wait_for 10 acts shed
check 'shed: the healthy is refused again' answers "${ports[2]}" EHOSTUNREACH
touch "$scratch/goes-on"
for i in 0 1 2; do
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" "$python" -S \
		"$root/tests/lib/connect.py" --count 0 --every 0.1 --while "$scratch/goes-on" 127.0.0.1 "${ports[i]}" \
		>/dev/null
done
sleep_until=$(($(now_ms) + 6000))
passed() { [ "$(now_ms)" -ge "$sleep_until" ]; }
# longer than a window: who is refused is active, so what is down stays half of it
wait_for 10 passed
check 'it acts while they are down and asked for' acts shed
is 'and all three are active' "$(fuse "d['active']")" 3
start_server --port "${ports[0]}"
start_server --port "${ports[1]}"
check 'probes find them healed, and it ends' wait_for 30 ended
for i in 0 1 2; do
	check "e$i is let through" wait_for 10 answers "${ports[i]}" OK
done
rm "$scratch/goes-on"

# -------------------------------------------------------------- agent is gone

reload alert 60s
for i in 0 1; do
	check "nothing is left of it: e$i" answers "${ports[i]}" OK
done
stop_agent
like 'what it saw is told without an agent' "$(ebb show '~node')" 'acted +2 times'

done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The configuration file changes while the agent runs: what is right is in force at once and
# touches nothing else; what is wrong changes nothing and is told; however it was replaced.
# deadline: 180

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

conf=$scratch/conf
mkdir "$conf"
file=$conf/ebb.yaml

# generation: of the configuration in force, as the metrics tell it
generation() { http_get /metrics | sed -n 's/^ebb_config_generation //p'; }
metric() { http_get /metrics | awk -v name="$1" '$1 == name { print $2 }'; }
is_generation() { [ "$(generation)" = "$1" ]; }
config_health() { http_get /health | json 'd["components"]["config"]["state"]'; }
is_health() { [ "$(config_health)" = "$1" ]; }

# replace: the file by what is read, as 'mv' does it; next: and waits until it is in force
replace() { cat >"$conf/new" && mv "$conf/new" "$file"; }
next() {
	local wanted=$(($(generation) + 1))
	replace
	wait_for 10 is_generation "$wanted" || bail "generation $wanted is not applied: $(tail -3 "$agent_log")"
}

start_server
a=$port
start_server
b=$port
start_server
c=$port
# nobody listens there
dead=$((20000 + $$ % 10000))

yaml() {
	cat <<-YAML
		mode: enforce
		defaults: {breaker: {open_for: 60s, open_max: 60s}}
		destinations:
		  - name: alpha
		    match: [{cidr: 127.0.0.0/8, port: $a}, {cidr: "::1", port: $a}]
		    limits: {concurrent: ${1:-2}}
		  - name: beta
		    match: [{cidr: 127.0.0.1/32, port: $b}]
		  - name: dead
		    match: [{cidr: 127.0.0.0/8, port: $dead}]
		    breaker: {consecutive_failures: ${2:-3}}
	YAML
}

# ------------------------------------------------------------- named by address

yaml | replace
start_agent --config "$file"
is 'the first configuration has its generation' "$(generation)" 1

# ------------------------------------------------------------------ a change

cat >"$scratch/hold.py" <<'PY'
# Connects argv[2] times to argv[1], prints what came of each, and holds them until it is ended.
import errno, signal, socket, sys
held = []
for _ in range(int(sys.argv[2])):
    s = socket.socket()
    try:
        s.connect(('127.0.0.1', int(sys.argv[1])))
        held.append(s)
        print('OK', flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
print('done', flush=True)
signal.pause()
PY

# hold NAME PORT COUNT: opens that many and keeps them; what came of them is in $outcome. let_go NAME ends them.
declare -A holders
hold() {
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" \
		"$python" -S "$scratch/hold.py" "$2" "$3" >"$scratch/$1.out" 2>&1
	holders[$1]=$!
	wait_for 10 grep -q 'done' "$scratch/$1.out" || bail "the client does not come: $(cat "$scratch/$1.out")"
	outcome=$(sed '/done/d' "$scratch/$1.out" | tr '\n' ' ')
}
let_go() { end "${holders[$1]}" KILL; }
active() { gate "$1" 'd["active"]' 2>/dev/null; }
is_active() { [ "$(active "$1")" = "$2" ]; }

hold first "$a" 3
is 'the very first connections to an address that a rule names are governed' "$outcome" 'OK OK ECONNREFUSED '
is 'they are counted for the name' "$(active alpha)" 2
connect --count 3 127.0.0.1 "$dead" >/dev/null
check 'a breaker follows the settings of its destination' wait_for 5 is_state dead open
hold other "$b" 3
before=$(gate dead 'json.dumps(d, sort_keys=True)')

yaml 4 | next
hold second "$a" 3
is 'another limit of one destination holds from now on' "$outcome" 'OK OK ECONNREFUSED '
is 'what is open stays open, and counts' "$(active alpha)" 4
is 'another destination keeps its connections' "$(active beta)" 3
is 'and its breaker its state' "$(state dead)" open
is 'and its counters' "$(gate dead 'd["failures"]')" "$(json 'd["failures"]' <<<"$before")"
check 'the log names what changed' logged 'configuration applied: generation=2 .* changed=alpha$'
let_go second
check 'connections of before and after the change end where they belong' wait_for 5 is_active alpha 2

# --------------------------------------------------------------- what is wrong

replace <<-YAML
	mode: enforce
	destinatoins: []
	defaults: {breaker: {open_for: soon}}
YAML
check 'a wrong file is rejected' wait_for 10 logged 'configuration rejected, the one before goes on: generation=2 '
check 'each thing that is wrong is told with its place' logged "$file:2:1: .*destinatoins"
check 'and the next' logged "$file:3:.*open_for"
is 'the old one goes on' "$(generation)" 2
is 'the metrics count it' "$(metric 'ebb_config_reloads_total{result="rejected"}')" 1
is 'and say that the last one failed' "$(metric ebb_config_last_reload_successful)" 0
is 'health says so' "$(config_health)" degraded
hold third "$a" 3
is 'what was in force is' "$outcome" 'OK OK ECONNREFUSED '
let_go third
yaml 4 | next
is 'a right one after it is in force' "$(metric ebb_config_last_reload_successful)" 1
check 'health is healthy' wait_for 5 is_health healthy
shown() { { timeout 20 "$ebb_program" config show --pin "$pin" >/dev/null; } 2>&1; }
is 'what config show reads is what holds' "$(shown)" ''

# ------------------------------------------------------- how it can be replaced

yaml 5 >"$file"
check 'written in place' wait_for 10 is_generation 4
kill -HUP "$agent"
check 'SIGHUP' wait_for 10 is_generation 5
mkdir "$conf/..1"
yaml 6 >"$conf/..1/ebb.yaml"
ln -s ..1 "$conf/..data"
ln -s ..data/ebb.yaml "$conf/link"
mv -T "$conf/link" "$file"
check 'a link in place of the file' wait_for 10 is_generation 6
for version in 2 3; do
	mkdir "$conf/..$version"
	yaml $((6 + version)) >"$conf/..$version/ebb.yaml"
	ln -s "..$version" "$conf/..data_tmp"
	mv -T "$conf/..data_tmp" "$conf/..data"
	rm -r "$conf/..$((version - 1))"
	check "version $version of a ConfigMap" wait_for 10 is_generation $((5 + version))
done
rm "$file"
check 'a file that is gone is told' wait_for 10 logged "'$file' is gone: what it said stays in force"
is 'what it said stays in force' "$(generation)" 8
is 'health says so, too' "$(config_health)" degraded

# ----------------------------------------------------- names come and go, mode

hold fourth "$c" 2
is 'what no rule names goes by its address' "$(active "127.0.0.1:$c/tcp")" 2
next <<-YAML
	mode: observe
	destinations:
	  - name: gamma
	    match: [{cidr: 127.0.0.0/8, port: $c}]
	    mode: enforce
	    limits: {concurrent: 1}
YAML
check 'added and removed are told' logged 'generation=9 .* added=gamma removed=alpha,beta,dead$'
hold fifth "$c" 2
is 'an address that a rule names now is governed by it' "$outcome" 'OK ECONNREFUSED '
is 'its new connections are the name'"'"'s' "$(active gamma)" 1
is 'its open ones stay where they began' "$(active "127.0.0.1:$c/tcp")" 2
let_go fourth
check 'and end there' wait_for 5 is_active "127.0.0.1:$c/tcp" 0
is 'not at the name' "$(active gamma)" 1
is 'no gauge went below zero' "$(metric 'ebb_bpf_errors_total{reason="gauge_underflow"}')" 0
is 'a destination that left keeps what it had open' "$(active alpha)" 2
let_go first
check 'and ends it there' wait_for 5 is_active alpha 0
hold sixth "$a" 3
is 'its address is nobody'"'"'s now' "$(active "127.0.0.1:$a/tcp")" 3

# ------------------------------------------------- keys that wait for a restart

next <<-YAML
	mode: enforce
	adopt: off
	lease: 10s
	destinations:
	  - name: gamma
	    match: [{cidr: 127.0.0.0/8, port: $c}]
YAML
check 'what needs a restart is named' logged 'adopt cannot change while the agent runs'
like 'config show says that it does not hold' "$(shown)" 'warning: the agent \(pid [0-9]+\) does not hold all of this'

descriptors() { find "/proc/$agent/fd" -mindepth 1 | wc -l; }
before=$(descriptors)
for i in 1 2 3 4 5 6 7 8; do
	yaml "$i" "$i" | next
done
is 'no descriptor is lost' "$(descriptors)" "$before"
stop_agent
is 'the agent ends well' "$status" 0
done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Start and end of the agent: what it may do, what it leaves, how fast it goes; and what
# changes under it: its cgroup is removed, a table is full, slots are idle.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/prometheus.sh
. "$root/tests/lib/prometheus.sh"

breaker=consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
run_agent() { start_agent --mode enforce --errno ehostunreach --breaker "$breaker" "$@"; }
attached() { bpftool cgroup show "$cgroup" | grep -c ebb_; }
is_status() { [ "$(http_status "$1")" = "$2" ]; }
# stop_timed [SIGNAL]: sets status and took (ms)
stop_timed() {
	took=$(now_ms)
	stop_agent "$@"
	took=$(($(now_ms) - took))
}

start_server
stop_server
dead=$port

# ---------------------------------------------------------------------- idle slots: the beginning --

# Each slot is looked at every eight seconds, so an agent of its own works at it meanwhile. Its pairs are one series
# for each destination, which Prometheus scrapes.
mkdir "$cgroup2/$test_id-idle"
first_pin=$pin first_cgroup=$cgroup
switch_to_idle() { pin=$first_pin-idle cgroup=$cgroup2/$test_id-idle agent=$idle_agent address=$idle_address; }
pin=$first_pin-idle cgroup=$cgroup2/$test_id-idle
EBB_METRICS_LABELS=destination \
	start_agent --mode enforce --errno ehostunreach --idle 1s --breaker consecutive_failures=3,open_for=1h,open_max=1h
idle_agent=$agent idle_address=$address
start_prometheus
connect --count 3 --sum 127.0.0.1 "$dead" >/dev/null
start_server
is 'idle: a destination is used' "$(connect --count 2 --sum 127.0.0.1 "$port")" OK=2
idle_port=$port
stop_server
start_server
shared_port=$port
is 'idle: another destination, of one that goes' "$(in_cgroup -c goes "$python" -S "$root/tests/lib/connect.py" --count 2 --sum 127.0.0.1 "$port")" OK=2
mkdir "$cgroup/stays"
# shellcheck disable=SC2016 # for that shell
background sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup/stays" "$python" -S "$root/tests/lib/connect.py" --hold 300 127.0.0.1 "$port"
pin=$first_pin cgroup=$first_cgroup

# ---------------------------------------------------------------------- what it may do, and who --

# Somebody else made the directory before: he could put other programs and maps in the place of ours.
mkdir "$pin-others"
chown 65534 "$pin-others"
timeout 20 "$ebb_program" run --pin "$pin-others" --cgroup "$cgroup" --listen 127.0.0.1:0 >"$scratch/out" 2>&1
is 'a pin directory of somebody else is refused' "$? $(tail -1 "$scratch/out" | grep -o 'belongs to user 65534, who could replace what is pinned there')" \
	'4 belongs to user 65534, who could replace what is pinned there'
is 'and nothing is put there' "$(ls "$pin-others")" ''
rmdir "$pin-others"
mkdir -m 755 "$pin"
run_agent
# NET_ADMIN 12, PERFMON 38, BPF 39; SYS_NICE 23 where no limit can permit real-time priority
wanted=$((1 << 12 | 1 << 38 | 1 << 39))
prlimit --rtprio=1 true 2>/dev/null || wanted=$((wanted | 1 << 23))
wanted=$(printf '%016x' $wanted)
# of every thread
caps() { cat "/proc/$agent"/task/*/status | awk -v set="$1:" '$1 == set { print $2 }' | sort -u; }
between 'it has several threads' "$(find "/proc/$agent/task" -mindepth 1 -maxdepth 1 | wc -l)" 3 20
for set in CapEff CapPrm CapBnd; do
	is "$set is BPF, NET_ADMIN, PERFMON and what real-time priority needs, of every thread" "$(caps "$set")" "$wanted"
done
is 'CapInh and CapAmb are empty' "$(caps CapInh) $(caps CapAmb)" '0000000000000000 0000000000000000'
# a build with a sanitizer has no filter
enforced=1 filter=2
! logged 'made with a sanitizer' || enforced=0 filter=0
is 'system calls are filtered, of every thread' "$(cat "/proc/$agent"/task/*/status | awk '/^Seccomp:/ { print $2 }' | sort -u)" "$filter"
is 'as the metric says' "$(http_get /metrics | grep ^ebb_seccomp_ | tr '\n' ' ')" \
	"ebb_seccomp_enforced $enforced ebb_seccomp_unlisted_calls_total 0 "
check 'the first lines say where to look, with the pin directory that it has' \
	wait_for 5 logged "try next: 'ebb list --pin $pin', 'ebb watch --pin $pin', or 'curl http://"
is 'the pin directory is root-only' "$(stat -c '%a %u %g' "$pin")" '700 0 0'
is 'every pin is root-only' "$(find "$pin" -type f ! -perm 600 -o -type f ! -uid 0)" ''
is 'it listens on loopback only' "$(ss -Hltnp | grep "pid=$agent," | awk '{ print $4 }')" "$address"
is 'it is attached where it was told to, and nowhere else' "$(attached) $(bpftool cgroup show "$cgroup2" | grep -c ebb_)" '8 0'

policy_of() { chrt -p "$1" | sed -n "s/.*scheduling policy: //p"; }
is 'while it enforces, it has real-time priority' "$(policy_of "$agent")" 'SCHED_RR|SCHED_RESET_ON_FORK'
is 'and of its threads that of the loop alone' "$(chrt -a -p "$agent" | grep -c 'policy: SCHED_RR')" 1

# ------------------------------------------------------------------------------ on-exit: keep --

connect --count 3 --sum 127.0.0.1 "$dead" >/dev/null
wait_for 5 is_state "$dead" open || bail 'the breaker does not open'
stop_timed TERM
is 'SIGTERM: ends in order' "$status" 0
between 'SIGTERM: at once, in ms' "$took" 0 2000
like 'SIGTERM: the last line says what goes on, and how to end it' "$(tail -1 "$agent_log")" "go on.*ebb detach --pin $pin"
is 'keep: the programs stay and refuse' "$(attached) $(connect 127.0.0.1 "$dead")" '8 EHOSTUNREACH'
run_agent
stop_timed INT
is 'SIGINT: ends in order, at once' "$status $((took < 2000))" '0 1'

run_agent
"$python" -c 'import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)))
s.sendall(b"GET /metrics HTTP/1.1\r\n")
print("connected", flush=True)
s.recv(100)' "$address" >"$scratch/client" &
client_pid=$!
wait_for 5 test -s "$scratch/client"
stop_timed TERM
is 'a client that hangs does not hold it up' "$status $((took < 2000))" '0 1'
wait "$client_pid"

run_agent
kill -STOP "$agent"
kill -TERM "$agent"
kill -INT "$agent"
stop_timed CONT
check "a second signal ends it at once: status $status" test "$took" -lt 2000 -a "$status" -ge 128
is 'and what is pinned goes on' "$(attached) $(connect 127.0.0.1 "$dead")" '8 EHOSTUNREACH'

# ------------------------------------------------------------------------------------- detach --

like 'detach' "$(ebb detach)" '^detached 8 programs'
is 'detach: no pin, no program' "$(ls -d "$pin" 2>/dev/null)$(attached)" 0
is 'detach: nothing is refused' "$(connect 127.0.0.1 "$dead")" ECONNREFUSED
is 'detach: no map is left' "$(bpftool map show | grep -c "pids ebb($agent)")" 0

run_agent --on-exit detach --scheduling other
is '--scheduling other: ordinary priority' "$(policy_of "$agent")" SCHED_OTHER
connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
is 'on-exit detach: refuses while it runs' "$(connect 127.0.0.1 "$dead")" EHOSTUNREACH
stop_timed TERM
is 'on-exit detach: ends in order' "$status" 0
between 'on-exit detach: at once, in ms' "$took" 0 2000
is 'on-exit detach: no pin, no program' "$(ls -d "$pin" 2>/dev/null)$(attached)" 0
is 'on-exit detach: nothing is refused' "$(connect 127.0.0.1 "$dead")" ECONNREFUSED

# ------------------------------------------------------- connections that outlive all of that --

start_server --hold
connect --hold 4 127.0.0.1 "$port" >"$scratch/held" &
held=$!
run_agent
connect --hold 2 127.0.0.1 "$port" >"$scratch/held2" &
held2=$!
is_active() { [ "$(gate "$port" 'd["active"]')" = "$1" ]; }
check 'a connection from before is not counted, one from now is' wait_for 5 is_active 1
wait "$held2"
check 'when it ends it is no longer active' wait_for 5 is_active 0
wait "$held"
is 'a connection from before ends without a trace' \
	"$(gate "$port" '(d["active"], d["attempts"], d["failures"])') $(ebb status -o json | json 'sum(d["errors"].values())')" '(0, 1, 0) 0'
stop_server
stop_agent

# ----------------------------------------------------------------- the cgroup is removed under it --

mkdir "$cgroup/child"
run_agent --pin "$pin-child" --cgroup "$cgroup/child" --listen 127.0.0.1:0
check 'its cgroup can be removed' rmdir "$cgroup/child"
check 'a removed cgroup: not ready' wait_for 8 is_status /health/ready 503
like 'a removed cgroup: health says so' "$(curl -s --max-time 5 "http://$address/health" | json 'd["components"]["programs"]["why"]')" '0 of 8 programs attached'
check 'a removed cgroup: it goes on' is_status /health/live 200
stop_timed TERM
is 'a removed cgroup: ends in order' "$status" 0
mkdir "$cgroup/child"
run_agent --pin "$pin-child" --cgroup "$cgroup/child"
is 'a cgroup of the same name: attached again, with the maps from before' \
	"$(bpftool cgroup show "$cgroup/child" | grep -c ebb_) $(grep -c 'maps="taken over"' "$agent_log")" '8 1'
stop_agent
is 'detach with a removed cgroup' "$(rmdir "$cgroup/child" && "$ebb_program" detach --pin "$pin-child" >/dev/null; echo $?)" 0
check 'leaves nothing' test ! -e "$pin-child"
ebb detach >/dev/null

# ------------------------------------------------------------------------------- a full table --

start_agent --mode enforce --errno ehostunreach --destinations 2 --breaker consecutive_failures=2
is 'tables: room is healthy' "$(http_get /health | json 'd["components"]["tables"]["state"]')" healthy
# three workloads: one alone may find only a quarter of them
connect_as() { in_cgroup -c "workload-$1" "$python" -S "$root/tests/lib/connect.py" "${@:2}"; }
for i in 1 2 3; do
	start_server
	[ "$(connect_as $i --count 2 --sum 127.0.0.1 "$port")" = OK=2 ] || not_ok "tables: destination $i is reached"
	stop_server
done
# none of its failures says anything of any one destination
is 'a full table: what found no room is never refused' "$(connect_as 3 --count 5 --sum 127.0.0.1 "$port")" ECONNREFUSED=5
is 'a full table: it is counted as ~other' "$(gate '~other:' 1 2>/dev/null; ebb list -o json |
	json '[(r["attempts"], r["failures"], r["denied"], r["state"]) for r in d["destinations"] if r["destination"] == "~other"]')" "[[7, 5, 0, \"closed\"]]"
is_degraded() { [ "$(http_get /health | json 'd["components"]["tables"]["state"]')" = degraded ]; }
check 'a full table: health is degraded' wait_for 5 is_degraded
is 'a full table: ready all the same' "$(http_status /health) $(http_status /health/ready)" '200 200'
check 'a full table: and counted as our own' test "$(ebb status -o json | json 'd["errors"]["dst_table_full"]')" -ge 1
stop_agent
ebb detach >/dev/null

# -------------------------------------------------------------------------- idle slots: the end --

switch_to_idle
used_ones_are_left() { http_get /metrics | grep -q '^ebb_map_entries{map="pairs"} 2'; }
check 'idle: what nobody uses is given back' wait_for 25 used_ones_are_left
prometheus_is_up
shared="ebb_connects_total{destination=\"127.0.0.1:$shared_port/tcp\",outcome=\"established\"}"
is 'idle: the series that it was part of goes on' "$(query "$shared")" 3
in_cgroup -c comes "$python" -S "$root/tests/lib/connect.py" 127.0.0.1 "$shared_port" >/dev/null
comes_to 'idle: with who comes' 4 "$shared"
is 'idle: and was never reset' "$(query "resets(${shared}[5m])") $(query "max_over_time(${shared}[5m])")" '0 4'
end "$prometheus"
is 'idle: one that is open never is' "$(connect 127.0.0.1 "$dead")" EHOSTUNREACH
start_server --port "$idle_port"
connect 127.0.0.1 "$idle_port" >/dev/null
is 'idle: used again, it begins anew, once' \
	"$(ebb list -o json | json "[(r['attempts'], r['state']) for r in d['destinations'] if r['destination'] == '127.0.0.1:$idle_port/tcp']")" '[[1, "closed"]]'
is 'idle: no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0
stop_agent
ebb detach >/dev/null

done_testing

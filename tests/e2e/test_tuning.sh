#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What an operator says by hand, with the agent alive, stopped and dead: breaker open and close,
# the mode of a destination and of the node (ruling 14), one workload alone; ended by itself,
# kept over a restart, told by whom; 16 operators at once.
# deadline: 150

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# order COMMAND WORD ARGS...: sets rc; output in $said, errors in $scratch/err
order() {
	local command=$1 word=$2
	shift 2
	rc=0
	said=$(timeout 20 "$ebb_program" "$command" "$word" --pin "$pin" "$@" 2>"$scratch/err") || rc=$?
}

dial() { connect --count "${1:-1}" --sum 127.0.0.1 "$port"; }
denied() { ebb show -o json "127.0.0.1:$port" | json "sum(w['$2']['$1'] for w in d['workloads'])"; }
shown() { ebb show -o json "127.0.0.1:$port" | json "(lambda d: $1)(d['gates'][0])"; }
until_result() { connect --count 0 --every 0.01 --seconds 10 --until "$1" 127.0.0.1 "$port" >/dev/null; }

# --------------------------------------------------------------------------- breaker, alive --

start_agent --mode enforce --errno ehostunreach --breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
start_server
is 'a server that works is reached' "$(dial)" OK=1
order breaker open "127.0.0.1:$port"
is 'open: says so' "$rc $said$(cat "$scratch/err")" \
	"0 127.0.0.1:$port/tcp: forced open by hand until 'ebb breaker auto': every new connection is refused"
is 'open: holds at the next connect' "$(dial 3)" EHOSTUNREACH=3
is 'open: counted as refused by an override' "$(denied override denied) $(denied breaker denied)" '3 0'
is 'open: listed' "$(state "$port")" forced_open
like 'open: shown' "$(ebb show "127.0.0.1:$port")" 'forced open by uid [0-9]+: everything is refused, until it is lifted by hand'
order breaker close "127.0.0.1:$port" --for 1h
like 'close: says so' "$rc $said" "^0 127.0.0.1:$port/tcp: forced closed by hand until 20.* \((1h00m|59m[0-9]+s)\): the breaker refuses nothing, limits do$"
stop_server
is 'close: the breaker opens underneath, and refuses nothing' "$(dial 6)" ECONNREFUSED=6
is 'close: listed' "$(state "$port") $(shown 'd["refuses"]')" 'forced_closed false'
like 'close: shown with what is underneath' "$(ebb show "127.0.0.1:$port")" 'forced closed by uid [0-9]+.* for another (1h00m|59m).*; underneath it is open'
order breaker auto "127.0.0.1:$port"
is 'auto: says so' "$rc $said" "0 127.0.0.1:$port/tcp: automatic: the breaker decides"
is 'auto: the breaker refuses' "$(dial) $(state "$port")" 'EHOSTUNREACH=1 open'
order breaker auto "127.0.0.1:$port"
is 'auto: once more is no error' "$rc" 0
start_server --port "$port"
order breaker close "127.0.0.1:$port" -o json
is 'json: an order is answered with what holds' "$(json '(lambda g: (g["state"], g["by_hand"]["breaker"]["state"], g["by_hand"]["breaker"]["until_timestamp"], g["mode"], g["by_hand"]["workload_alone"]))(d["gates"][0])' <<<"$said")" \
	"('forced_closed', 'close', None, 'enforce', False)"
order breaker auto "127.0.0.1:$port"

# ----------------------------------------------------------------------------------- --for --

ebb watch --for 6s >"$scratch/watch" &
watcher=$!
started+=("$watcher")
# each has another end: the first after the watch has begun is told
pokes_watch() {
	order mode enforce "127.0.0.1:$port" --for 1h
	grep -q 'mode: enforce for' "$scratch/watch"
}
check 'watch: a mode by hand' wait_for 5 pokes_watch
order mode auto "127.0.0.1:$port"
begin=$(now_ms)
order breaker open "127.0.0.1:$port" --for 2s
is 'for: refused' "$(dial)" EHOSTUNREACH=1
order breaker close "127.0.0.1:$port" --for 1500ms
check 'for: passes while it lasts' until_result OK
check 'for: and is refused by the breaker after it' until_result EHOSTUNREACH
between 'for: it ended at its time' $(($(now_ms) - begin)) 1490 2700
wait "$watcher"
like 'watch: it came' "$(cat "$scratch/watch")" "127.0.0.1:$port/tcp +by hand +breaker: forced closed for 1\.[0-9]+s"
like 'watch: it ended' "$(cat "$scratch/watch")" "127.0.0.1:$port/tcp +by hand +breaker: no longer"
check 'for: the agent tells that it is over' wait_for 5 logged 'orders by hand have come to their end: count=1'

# ------------------------------------------------------------------------ who, told by the agent --

check 'deeds: the agent tells them' wait_for 5 logged "what='breaker close --pin $pin 127.0.0.1:$port --for 1500ms'"
login=$(cat /proc/self/loginuid 2>/dev/null || echo 4294967295)
[ "$login" != 4294967295 ] || login=-
check 'deeds: with who did it' logged "by hand: uid=0 user=root login_uid=$login .*what='breaker open --pin $pin 127.0.0.1:$port'"

# -------------------------------------------------------------------- stopped, dead, restarted --

stop_agent
start_agent --mode enforce --errno ehostunreach --lease 2s --breaker consecutive_failures=0
kill -STOP "$agent"
order breaker open "127.0.0.1:$port" --for 2s
is 'stopped: an order is carried out' "$rc $(cat "$scratch/err")" '0 '
begin=$(now_ms)
is 'stopped: and holds at once' "$(dial)" EHOSTUNREACH=1
check 'stopped: and ends by itself, in the time of the kernel' until_result OK
between 'stopped: at its time' $(($(now_ms) - begin)) 1800 2600
kill -CONT "$agent"
order breaker open "127.0.0.1:$port"
stop_agent KILL
is 'killed: the order holds' "$(dial)" EHOSTUNREACH=1
agent_is() { [ "$(ebb status -o json | json 'd["agent"]["state"]')" = "$1" ]; }
check 'killed: the lease is over' wait_for 6 agent_is dead
is 'killed: it does not ask for the lease' "$(dial)" EHOSTUNREACH=1
order breaker auto "127.0.0.1:$port"
is 'killed: taken back' "$rc $(dial)" '0 OK=1'
order breaker open "127.0.0.1:$port" --for 1s
begin=$(now_ms)
check 'killed: and ended by itself' until_result OK
between 'killed: at its time' $(($(now_ms) - begin)) 800 1800
order breaker open "127.0.0.1:$port"
start_agent --mode enforce --errno ehostunreach
is 'restart: it stands' "$(dial) $(state "$port")" 'EHOSTUNREACH=1 forced_open'
check 'restart: what was done meanwhile is told' wait_for 5 logged "what='breaker open --pin"
# without that of when it was stopped: the killed agent may have told it, and not yet have it in the spool of the audit log
is 'restart: in order' "$(grep -o "what='breaker .*" "$agent_log" | grep -v -- '--for 2s' | sed "s/what='breaker \\([a-z]*\\).*/\\1/" | tr '\n' ' ')" 'open auto open open '
order breaker auto "127.0.0.1:$port"
stop_agent
ebb detach >/dev/null

# ---------------------------------------------------------------------------- mode, ruling 14 --

start_agent --errno ehostunreach
start_server
dial >/dev/null
order breaker open "127.0.0.1:$port"
is 'observe: an order is stored, and one line says that nothing is refused' "$rc $said" \
	"0 127.0.0.1:$port/tcp: forced open by hand until 'ebb breaker auto': every new connection is refused"$'\n''mode is observe: nothing is refused or dropped, only counted'
is 'observe: nothing is refused' "$(dial 2)" OK=2
is 'observe: it is counted' "$(denied override would_deny) $(denied override denied)" '2 0'
order mode enforce "127.0.0.1:$port"
is 'ruling 14: the destination enforces' "$rc $said" "0 127.0.0.1:$port/tcp: mode enforce by hand until 'ebb mode auto'"
is 'ruling 14: at the next connect' "$(dial)" EHOSTUNREACH=1
like 'ruling 14: listed with a star' "$(ebb list)" "127.0.0.1:$port/tcp .*enforce\* +forced_open"
enforcement_is_active() { http_get /metrics | grep -Eq '^ebb_enforcement_active(\{\})? 1$'; }
check 'ruling 14: the metrics tell that enforcement is in place' wait_for 3 enforcement_is_active
order mode observe --for 1h
like 'ruling 14: the node observes' "$rc $said" '^0 node: mode observe by hand until 20.* \((1h00m|59m[0-9]+s)\)$'
is 'ruling 14: that goes before the destination' "$(dial)" OK=1
like 'ruling 14: status tells' "$(ebb status)" 'mode +observe by hand by uid [0-9]+, for another (1h00m|59m[0-9]+s); configured: observe'
like 'ruling 14: show tells' "$(ebb show "127.0.0.1:$port")" 'mode +observe by hand for the node by uid'
order mode observe "127.0.0.1:$port"
is 'ruling 14: one line when the node goes before' "$said" \
	"127.0.0.1:$port/tcp: mode observe by hand until 'ebb mode auto'"$'\n'"mode observe by hand for the node goes before: 'ebb mode auto' takes it back"
order mode enforce
is 'ruling 14: the node enforces' "$(dial)" EHOSTUNREACH=1
stop_agent
start_agent --errno ehostunreach
is 'ruling 14: kept over a restart' "$(dial) $(ebb status -o json | json '(d["mode"], d["node_mode"]["configured"], d["node_mode"]["by_hand"]["mode"])')" \
	"EHOSTUNREACH=1 ('enforce', 'observe', 'enforce')"
order mode auto
is 'ruling 14: taken back, the destination says' "$rc $said $(dial)" '0 node: mode observe, as configured OK=1'
order mode auto "127.0.0.1:$port"
is 'ruling 14: and then the configuration' "$said $(gate "$port" 'd["mode"]')" "127.0.0.1:$port/tcp: mode observe, as configured observe"
order mode enforce --for 1s
begin=$(now_ms)
check 'ruling 14: for the node, ended by itself' until_result OK
between 'ruling 14: at its time' $(($(now_ms) - begin)) 800 1800
order breaker auto "127.0.0.1:$port"

# ------------------------------------------------------------------------------- wrong orders --

refuses() { # refuses CODE REGEX WORDS...
	local wanted=$1 regex=$2
	shift 2
	order "$@"
	if [ "$rc" = "$wanted" ] && [ -z "$said" ] && [ "$(wc -l <"$scratch/err")" = 1 ] && grep -Eq -- "$regex" "$scratch/err"; then
		ok "$wanted: $*"
	else
		not_ok "$wanted: $*" "status $rc: $said" "$(cat "$scratch/err")" "wanted: $regex"
	fi
}
refuses 2 'DEST is missing' breaker open
refuses 2 'DEST is missing' breaker auto --workload x
refuses 2 "there is no 'half'" breaker half "127.0.0.1:$port"
refuses 2 "there is no option --for" breaker auto "127.0.0.1:$port" --for 1h
refuses 2 "--for: 'soon' is not possible: a time such as 10m" breaker open "127.0.0.1:$port" --for soon
refuses 2 "--for: '0s'" mode enforce --for 0s
refuses 2 "'~other' is many destinations" breaker open '~other'
refuses 2 "'~other' is many destinations" mode enforce '~other'
refuses 2 '--workload: of which destination' mode enforce --workload x
refuses 2 "is too much" mode enforce a b
refuses 2 "'xml' is no format" breaker open "127.0.0.1:$port" -o xml
refuses 3 "there is no destination 'nowhere'" breaker open nowhere
refuses 3 "there is no destination 'nowhere'" mode auto nowhere
refuses 3 "no workload 'nobody' uses '127.0.0.1:$port' yet; '/$test_id' does" breaker open "127.0.0.1:$port" --workload nobody
is 'and none of them changed anything' "$(shown '(d["by_hand"]["breaker"], d["by_hand"]["mode"])')" '(None, None)'

# Nobody who is not permitted, and nothing where nothing is.
rc=0
setpriv --reuid 65534 --regid 65534 --clear-groups "$ebb_program" breaker open --pin "$pin" "127.0.0.1:$port" >"$scratch/out" 2>"$scratch/err" || rc=$?
is 'not permitted: exit code' "$rc $(wc -l <"$scratch/err")" '4 1'
like 'not permitted: says what to do' "$(cat "$scratch/err")" '^ebb breaker open: not permitted to .*run as root'
rc=0
"$ebb_program" breaker open --pin /sys/fs/bpf/nothing-here "127.0.0.1:$port" >"$scratch/out" 2>"$scratch/err" || rc=$?
is 'a wrong pin directory: exit code' "$rc $(wc -l <"$scratch/err")" '5 1'
rc=0
"$ebb_program" mode enforce --pin "$scratch" >"$scratch/out" 2>"$scratch/err" || rc=$?
is 'a pin directory with nothing in it: exit code' "$rc $(wc -l <"$scratch/err")" '5 1'

# ----------------------------------------------------------------------- live connections --

stop_agent
ebb detach >/dev/null
make_network
start_server --netns "$peer" --address 10.9.8.2 --hold
start_agent --mode enforce --errno ehostunreach --established drop --scope node
connect_in "$client" 10.9.8.2 "$port" >/dev/null
dropped() { ebb show -o json "10.9.8.2:$port" | json "sum(w['traffic']['dropped_packets']['breaker'] for w in d['workloads'])"; }
has_dropped() { [ "$(dropped)" -gt 0 ]; }
in_cgroup nsenter --net="/run/netns/$client" "$python" -S -c '
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    s.send(b"x" * 100)
    time.sleep(0.02)' 10.9.8.2 "$port" 2>/dev/null &
started+=("$!")
active() { [ "$(gate "10.9.8.2:$port/tcp" 'd["active"]')" -ge 1 ]; }
check 'drop: a connection is there' wait_for 5 active
is 'drop: nothing is dropped' "$(dropped)" 0
order breaker open "10.9.8.2:$port"
check 'drop: forced open, what live connections send is dropped' wait_for 5 has_dropped
order breaker auto "10.9.8.2:$port"

# --workload where all share one gate is wrong use, with what to do
refuses 2 "^ebb limit set: --workload: all workloads share the gate of '10.9.8.2:$port': leave --workload out, or set 'scope: workload'" \
	limit set "10.9.8.2:$port" --concurrent 1 --workload x
stop_agent KILL
ebb detach >/dev/null

# -------------------------------------------------------------------------- one workload alone --

start_server --netns "$peer" --address 10.9.8.2
as() { in_cgroup -c "$1" nsenter --net="/run/netns/$client" "$python" -S "$root/tests/lib/connect.py" 10.9.8.2 "$port"; }
state_of() { state "10.9.8.2:$port/tcp" "$1"; }
start_agent --mode enforce --errno ehostunreach --scope workload
is 'workload: both are let through' "$(as one) $(as two)" 'OK OK'
order breaker open "10.9.8.2:$port" --workload one --for 1h
like 'workload: says for whom' "$rc $said" "^0 10.9.8.2:$port/tcp \(/$test_id/one\): forced open by hand until "
is 'workload: one is refused, the other not' "$(as one) $(as two)" 'EHOSTUNREACH OK'
is 'workload: listed' "$(state_of one) $(state_of two)" 'forced_open closed'
like 'workload: shown' "$(ebb show "10.9.8.2:$port")" 'by hand +for this workload alone: breaker'
order breaker close "10.9.8.2:$port"
is 'workload: what is said for all leaves its own' "$(as one) $(state_of one) $(state_of two)" 'EHOSTUNREACH forced_open forced_closed'
order limit set "10.9.8.2:$port" --connects 1/h,burst=1 --workload two
is 'workload: a limit for the other' "$rc $(as two) $(as two)" '0 OK EHOSTUNREACH'
stop_agent
start_agent --mode enforce --errno ehostunreach --scope workload
is 'workload: kept over a restart' "$(as one) $(as two) $(state_of one)" 'EHOSTUNREACH EHOSTUNREACH forced_open'
stop_agent KILL
order breaker auto "10.9.8.2:$port" --workload one
is 'workload: taken back without an agent, it has what all have' "$rc $(as one) $(state_of one)" '0 OK forced_closed'
order breaker open "10.9.8.2:$port" --workload '*/one' --for 2s
is 'workload: refused without an agent' "$(as one)" EHOSTUNREACH
passes() { [ "$(as one)" = OK ]; }
check 'workload: and over by itself' wait_for 5 passes
order limit set "10.9.8.2:$port" --bytes 1MB/s --workload one
like 'workload: a byte limit without an agent attaches what it needs' "$rc$(cat "$scratch/err") $(bpftool cgroup show "$cgroup")" '^0 .*ebb_egress'
order limit clear "10.9.8.2:$port" --workload one
order limit clear "10.9.8.2:$port" --workload two
is 'workload: cleared' "$rc $(as two)" '0 OK'
start_agent --mode enforce --errno ehostunreach --scope workload
looks_at_packets() { [[ $(bpftool cgroup show "$cgroup") == *ebb_egress* ]]; }
check 'workload: nobody asks for packets, the agent takes the program away' wait_for 5 eval '! looks_at_packets'
is 'no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0
stop_agent
ebb detach >/dev/null
check 'detach takes it all away' test ! -e "$pin"

done_testing

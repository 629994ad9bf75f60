#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ebb record: a line for each call and no other, whatever became of it; what it writes makes ebb
# simulate move as the breaker did. It stops when its command dies, and only one records.

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# start_recording ARGS...: sets recorder; its lines go to $trace
trace=$scratch/trace
start_recording() {
	: >"$trace"
	background "$ebb_program" record --pin "$pin" "$@" >"$trace" 2>"$scratch/record.err"
	recorder=$!
	wait_for 10 is_recording || bail "nothing is recorded: $(cat "$scratch/record.err")"
}
until_ns() { bpftool -j map dump pinned "$pin/ebb_recorder_v2" | json 'd[0]["formatted"]["value"]["until_ns"]'; }
monotonic_ns() { "$python" -S -c 'import time; print(time.monotonic_ns())'; }
is_recording() { [ "$(until_ns)" -gt "$(monotonic_ns)" ]; }
is_over() { ! is_recording; }
lines_are() { [ "$(wc -l <"$trace")" = "$1" ]; }
# Of all lines, how many of each outcome, for each destination.
calls() {
	sed 's/$/,/' "$trace" | sed '1s/^/[/; $s/,$/]/' |
		json '" ".join("%s=%s" % (o, sum(r["outcome"] == o for r in d)) for o in sorted({r["outcome"] for r in d}))'
}
all() { sed 's/$/,/' "$trace" | sed '1s/^/[/; $s/,$/]/' | json "all($1 for r in d)"; }

# ------------------------------------------------------------------------------ wrong use --

wrong() { # STATUS REGULAR-EXPRESSION ARGS...
	local rc=0 wanted=$1 text=$2
	shift 2
	timeout 10 "$ebb_program" record --pin "$pin" "$@" >"$scratch/out" 2>"$scratch/err" || rc=$?
	is "record $*: status" "$rc" "$wanted"
	like "record $*: one line says why" "$(cat "$scratch/err")" "$text"
}
wrong 5 'nothing is pinned'
make_network
breaker=consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
start_agent --mode enforce --breaker "$breaker"
wrong 2 "'0s' is not possible: a time like 10m" --for 0s
wrong 2 "'soon' is not possible" --for soon
wrong 3 "cannot write '$scratch/no/file'" --trace "$scratch/no/file"
is 'before: nothing is recorded' "$(until_ns)" 0

# -------------------------------------------------------------------- a line for each call --

start_server
start_recording
connect --count 2 --sum 127.0.0.1 "$port" >/dev/null
check 'two that were established' wait_for 5 lines_are 2
stop_server
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
check 'the breaker opens' wait_for 5 is_state "$port" open
is 'and refuses' "$(connect --count 4 --sum 127.0.0.1 "$port")" ECONNREFUSED=4
check 'each has its line' wait_for 5 lines_are 9
is 'no route: it fails before any SYN' "$(connect_in "$client" 10.99.9.9 80)" ENETUNREACH
check 'that has a line, too' wait_for 5 lines_are 10
is 'another who would record' "$(ebb record --for 1s 2>&1 >/dev/null)" \
	"ebb record: process $recorder of uid 0 records in '$pin' already: end it first, or wait until it ends"
end "$recorder" INT
is 'Ctrl-C ends it in order' "$status" 0
like 'and it says what it wrote' "$(tail -1 "$scratch/record.err")" '10 calls, 0 lost, 0 without a name'
is 'the trace has exactly these calls' "$(calls)" 'denied=4 established=2 local=1 refused=3'
is 'named as ebb list names them' \
	"$(grep -vc '"local"' "$trace") $(grep -Fc "\"dest\": \"127.0.0.1:$port/tcp\"" "$trace") $(grep -Fc '"dest": "10.99.9.9:80/tcp", "outcome": "local"' "$trace")" '9 9 1'
is 'with their workload' "$(all "r['workload'].endswith('/$test_id')")" true
is 'from the start on, and as long as they lasted' "$(all '0 <= r["t"] < 60 and 0 <= r["ms"] < 2000')" true
is 'afterwards nothing is recorded' "$(until_ns)" 0
connect --count 2 --sum 127.0.0.1 "$port" >/dev/null
check 'not one line more' lines_are 10

# ------------------------------------------------------------- and the same with ebb simulate --

cat >"$scratch/simulate.yaml" <<YAML
defaults: {breaker: {consecutive_failures: 3, open_for: 30s, open_max: 30s, open_jitter: 0}}
YAML
"$ebb_program" simulate --config "$scratch/simulate.yaml" --trace "$trace" -o json >"$scratch/simulated" 2>"$scratch/err"
is 'ebb simulate reads it' "$?$(cat "$scratch/err")" 0
facts='(d["from"], d["to"], d["reason"], d["ok"], d["failed"], d["run"])'
is 'and opens as the breaker did' \
	"$(grep '"to": "open"' "$scratch/simulated" | json "$facts")" \
	"$(ebb show -o json "127.0.0.1:$port" | json "(lambda d: $facts)(d['gates'][0]['transitions'][0])")"
is 'which is at the third failure' \
	"$(grep -c '"to": "open"' "$scratch/simulated") $(grep -F "\"127.0.0.1:$port/tcp\", \"calls\"" "$scratch/simulated" | json '(d["admitted"], d["refused"])')" '1 (5, 4)'
is 'another policy, tried on the same calls, does not' \
	"$(sed 's/consecutive_failures: 3/consecutive_failures: 4, failure_rate: 1/' "$scratch/simulate.yaml" >"$scratch/other.yaml"
		"$ebb_program" simulate --config "$scratch/other.yaml" --trace "$trace" -o json | grep -c '"to": "open"')" 0

# --------------------------------------------------------------- a call that fails late, or twice --

# A request that is never answered, over a connection that the server resets when it dies.
late_failure() {
	start_server --hold
	start_recording
	: >"$scratch/client"
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" "$python" -S -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"x" * 200)
print("sent", flush=True)
try:
    s.recv(1)
except ConnectionResetError:
    print("reset", flush=True)' "$port" >"$scratch/client"
	wait_for 10 grep -q sent "$scratch/client" || bail 'the client does not send'
	stop_server
	wait_for 10 grep -q reset "$scratch/client" || bail 'the connection is not reset'
	"$@"
	end "$recorder"
}
check 'a request that ends in a reset has one line' late_failure wait_for 5 lines_are 1
is 'it says reset' "$(calls)" reset=1
http_answer() { in_cgroup curl -s -o /dev/null "http://127.0.0.1:$port/"; }
start_server
start_recording
http_answer
check 'a request that is answered has one' wait_for 5 lines_are 1
is 'with the time to the first byte of the answer' "$(calls) $(all '0 < r["ms"] < 5000')" 'established=1 true'
sleep 0.3 # that its end adds none
check 'and not another when it ends' lines_are 1
end "$recorder"
stop_agent
echo 'turns: off' >"$scratch/off.yaml"
start_agent --mode enforce --breaker "$breaker" --config "$scratch/off.yaml"
reset_counted() { [ "$(gate "$port" 'd["failures"]')" = 1 ]; }
check 'turns off: a connection that is reset later has one line' late_failure wait_for 5 reset_counted
is 'turns off: it was established' "$(calls)" established=1
# ---------------------------------------------------------------------- it dies with its command --

start_recording
first_until=$(until_ns)
goes_on() { [ "$(monotonic_ns)" -gt "$first_until" ] && is_recording; }
check 'a recording goes on for longer than it is leased' wait_for 5 goes_on
end "$recorder" KILL
check 'killed: it is over within 3 s' wait_for 3 is_over
# more than the ring has room for, most of them refused by ebb: were they written, some would be lost
like 'thousands of calls afterwards' "$(connect --count 30000 --sum 127.0.0.1 "$port")" '^ECONNREFUSED=30000$'
is 'are not written' "$(ebb status -o json | json 'd["errors"]["record_lost"]')" 0
is 'the next finds nothing of what was before' "$(ebb record --for 500ms 2>/dev/null)" ''

# ------------------------------------------------------------------ observe, and no agent at all --

stop_agent
start_agent --breaker "$breaker"
start_recording
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
check 'observe: what would have been refused has one line' wait_for 5 lines_are 3
end "$recorder"
is 'observe: it says denied' "$status $(calls)" '0 denied=3'
stop_agent KILL
start_server
start_recording --for 3s
connect --count 2 --sum 127.0.0.1 "$port" >/dev/null
status=0
wait "$recorder" || status=$?
is 'a dead agent: --for ends it, with what there was' "$status $(calls)" '0 established=2'
ebb detach >/dev/null
check 'detach leaves nothing' test ! -e "$pin"
done_testing

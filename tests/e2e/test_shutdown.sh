#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The end of the agent: readiness goes first, what is in force goes on for shutdown.delay, then it ends; a second
# signal ends it at once, and so does the end of shutdown.timeout, whatever it waits for.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

breaker=consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0
is_status() { [ "$(http_status "$1")" = "$2" ]; }
# pressed SIGNAL: the signal, and when
press() {
	pressed=$(now_ms)
	kill -"$1" "$agent"
}
# ended: waits for the end, sets status and took (ms since press)
ended() {
	wait_for 20 gone "$agent" || kill -KILL "$agent"
	took=$(($(now_ms) - pressed))
	status=0
	{ wait "$agent" || status=$?; } 2>/dev/null
}

start_server
alive=$port
start_server
dead=$port
stop_server

# ------------------------------------------------------------------------------------ in order --

start_agent --mode enforce --errno ehostunreach --breaker "$breaker" --shutdown-delay 3s
connect --count 4 --sum 127.0.0.1 "$dead" >/dev/null
curl -sN --max-time 20 "http://$address/api/v1/events" >"$scratch/events" &
reader=$!
wait_for 5 grep -q '^event: health' "$scratch/events"
press TERM
check 'not ready at once' wait_for 2 is_status /health/ready 503
like 'and why' "$(curl -sS --max-time 5 "http://$address/health/ready")" 'not ready: stopping'
is 'it lives, and tells' "$(http_status /health/live) $(http_status /health/startup) $(http_status /metrics)" '200 200 200'
is 'health tells it' "$(curl -sS --max-time 5 "http://$address/health" | json '(d["stopping"], d["ready"], d["enforcing"])')" '(True, False, True)'
is 'what is in force goes on' "$(connect 127.0.0.1 "$dead") $(connect 127.0.0.1 "$alive")" 'EHOSTUNREACH OK'
check 'the page is told' wait_for 3 grep -q '"stopping":true' "$scratch/events"
refute 'a second agent is refused meanwhile' "$ebb_program" run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 2>/dev/null
ended
is 'it ends in order' "$status" 0
between 'after the delay, in ms' "$took" 2900 5000
check 'and says so' logged 'stopping: signal=Terminated delay=3.00s; not ready from now on'
check 'at the end, too' logged 'stopped: the pinned programs go on'
wait "$reader" 2>/dev/null
is 'pinned programs go on' "$(connect 127.0.0.1 "$dead")" EHOSTUNREACH

# ----------------------------------------------------------------------------- a second signal --

for signal in TERM INT; do
	start_agent --mode enforce --errno ehostunreach --breaker "$breaker" --shutdown-delay 1h --on-exit detach
	press TERM
	check "$signal: not ready" wait_for 2 is_status /health/ready 503
	press $signal
	ended
	is "$signal again: it ends by it" "$status" "$((128 + $(kill -l $signal)))"
	between "$signal again: at once, in ms" "$took" 0 1000
	check "$signal again: nothing is detached" test -e "$pin/link_connect4"
done

# -------------------------------------------------------------------------- the time that is given --

# A log that nobody reads any more blocks who writes to it.
mkfifo "$scratch/log"
cat <<'PY' >"$scratch/full.py"
import os, signal, sys, time
# Reading and writing, so that both ends can be opened; nothing is read.
fd = os.open(sys.argv[1], os.O_RDWR)
print('open', flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
filler = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
for size in 4096, 1:
    try:
        while True:
            os.write(filler, b'x' * size)
    except BlockingIOError:
        pass
print('full', flush=True)
signal.pause()
PY
background "$python" -S "$scratch/full.py" "$scratch/log" "$scratch/fill" >"$scratch/full"
filler=$!
wait_for 10 grep -q open "$scratch/full" || bail 'nobody opens the log'
background "$ebb_program" run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 --destinations 64 --pairs 256 --endpoints 256 \
	--shutdown-timeout 1s 2>"$scratch/log"
agent=$!
listens() { address=$(ss -Hltnp | grep "pid=$agent," | awk '{ print $4 }') && [ -n "$address" ] && http_get /health/ready; }
check 'an agent whose log nobody reads' wait_for 20 listens
address=$(ss -Hltnp | grep "pid=$agent," | awk '{ print $4 }')
: >"$scratch/fill"
check 'its log is full' wait_for 10 grep -q full "$scratch/full"
press TERM
ended
is 'it ends with its time' "$status" "$((128 + $(kill -l ALRM)))"
between 'in ms' "$took" 900 3000
end "$filler" KILL
"$ebb_program" detach --pin "$pin" >/dev/null

done_testing

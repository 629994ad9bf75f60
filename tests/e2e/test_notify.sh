#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the service manager hears: ready, alive, reloading, stopping; and that the agent does without one.
# deadline: 60

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

cat >"$scratch/manager.py" <<'PY'
# Prints each datagram that comes to argv[1], its lines joined by blanks.
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().replace('\n', ' '), flush=True)
PY
background "$python" -S "$scratch/manager.py" "$scratch/notify" >"$scratch/heard"
wait_for 10 test -S "$scratch/notify" || bail 'no socket to be notified at'
export NOTIFY_SOCKET=$scratch/notify

# what was heard besides keep-alives
news() { grep -v '^WATCHDOG=1$' "$scratch/heard"; }
heard() { news | grep -Eq "$1"; }
# times NUMBER: so often ready
ready_times() { [ "$(news | grep -c '^READY=1')" = "$1" ]; }
alive_times() { grep -c '^WATCHDOG=1$' "$scratch/heard"; }
alive_more_than() { [ "$(alive_times)" -gt "$1" ]; }

echo 'mode: observe' >"$scratch/ebb.yaml"
WATCHDOG_USEC=2000000 start_agent --config "$scratch/ebb.yaml"
check 'ready' wait_for 10 heard '^READY=1 STATUS=mode=observe configuration=1$'
is 'ready only when /health/ready says so, too' "$(http_status /health/ready)" 200
check 'alive, again and again' wait_for 10 alive_more_than 3
kill -STOP "$agent"
before=$(alive_times)
refute 'an agent that hangs is not' wait_for 3 alive_more_than "$before"
kill -CONT "$agent"
check 'until it goes on' wait_for 10 alive_more_than "$before"

kill -HUP "$agent"
check 'a reload begins and ends' wait_for 10 ready_times 2
like 'in this order, and by the clock' "$(news | tail -2 | tr '\n' '|')" \
	'^RELOADING=1 MONOTONIC_USEC=[0-9]{6,}\|READY=1 STATUS=mode=observe configuration=2\|$'
# not by a rename, which would be told by itself
echo 'mode: wrong' >"$scratch/ebb.yaml"
wait_for 10 logged 'configuration rejected' || bail 'a wrong configuration is not rejected'
kill -HUP "$agent"
check 'one that is rejected ends, too' wait_for 10 ready_times 3
like 'and says so' "$(news | tail -1)" '^READY=1 STATUS=mode=observe configuration=2; the last one was rejected, see the log$'

stop_agent
is 'it ends well' "$status" 0
is 'stopping, and how long that may take' "$(news | tail -1)" 'STOPPING=1 EXTEND_TIMEOUT_USEC=30000000'

NOTIFY_SOCKET=$scratch/nobody start_agent
check 'a manager that is not there is told of in the log' logged 'the service manager does not hear that the agent is ready'
stop_agent
NOTIFY_SOCKET=somewhere start_agent
check 'and so is one that cannot be' logged 'NOTIFY_SOCKET.* is not what a service manager says'
stop_agent
is 'the agent does without' "$status" 0
ebb detach >/dev/null
done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Turns against Redis: pipelines, transactions, clients that are killed, a queue as a long poll, a
# subscription as a stream.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

# Not governed.
outside() { redis-cli -p "$port" "$@"; }

# start_redis: of its own for each scenario, so that each counts from nothing. Sets port.
start_redis() {
	port=$((15000 + RANDOM % 15000))
	server redis-server --port "$port" --save '' --appendonly no --dir "$scratch" >"$scratch/redis.$port" 2>&1 8>&-
	wait_for 10 answers || bail "Redis does not start: $(cat "$scratch/redis.$port")"
}
answers() { [ "$(outside ping)" = PONG ]; }

cat >"$EBB_CONFIG" <<'Y'
mode: enforce
defaults:
  breaker: {min_calls: 1000}
Y
start_agent --config "$EBB_CONFIG"

# session: redis-cli in the cgroup, that has asked for the documents of commands, and whose ping was answered; descriptor 8 is its input.
sessions=0
session() {
	sessions=$((sessions + 1))
	output=$scratch/redis-cli.$sessions
	mkfifo "$output.in"
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec redis-cli -p "$2" <"$1"' "$cgroup/cgroup.procs" "$output.in" "$port" \
		>"$output" 2>&1 8>&-
	cli=$!
	exec 8>"$output.in"
	echo ping >&8
	wait_for 10 printed PONG || bail "redis-cli: $(cat "$output")"
}
printed() { grep -q "$1" "$output"; }
hang_up() {
	exec 8>&-
	wait_for 10 gone "$cli"
}
is_blocked() { outside client list | grep -q 'cmd=blpop'; }
subscribes() { outside client list | grep -q 'sub=1'; }

# only_answered NAME LEAST MOST: and nothing else
only_answered() {
	check "$1: it has ended" wait_for 5 closed
	like "$1: nothing else" "$(turns "$port")" '^answered=[0-9]+$'
	between "$1: turns" "$(gate "$port" 'd["turns"]["answered"]')" "$2" "$3"
}
closed() { [ "$(gate "$port" 'd["active"]')" = 0 ]; }

start_redis
for i in $(seq 1000); do printf 'SET key%d %d\r\n' "$i" "$i"; done >"$scratch/mass"
like 'a pipeline of a thousand' "$(in_cgroup redis-cli -p "$port" --pipe <"$scratch/mass")" 'errors: 0, replies: 1000'
only_answered 'a pipeline' 1 1000

start_redis
printf 'MULTI\nSET a 1\nINCR a\nEXEC\nQUIT\n' | in_cgroup redis-cli -p "$port" >"$scratch/multi"
check 'a transaction' grep -qx 2 "$scratch/multi"
only_answered 'a transaction' 5 5

start_redis
# shellcheck disable=SC2016
is 'QUIT by hand' "$(in_cgroup bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"; printf "PING\r\nQUIT\r\n" >&3; cat <&3' "$port" |
	tr -d '\r')" $'+PONG\n+OK'
only_answered 'QUIT' 1 2

start_redis
session
echo 'blpop queue 0' >&8
check 'a long poll' wait_for 5 is_blocked
sleep 1.1 # longer than abandon_after
outside rpush queue late >/dev/null
check 'it is answered late' wait_for 5 printed late
hang_up
only_answered 'a long poll' 3 3
is 'slow only by slow_call' "$(gate "$port" 'd["turns"]["slow"]')" 0

start_redis
session
outside client kill type normal >/dev/null
hang_up
only_answered 'CLIENT KILL while it idles' 2 2

start_redis
session
echo 'blpop queue 0' >&8
check 'a short request waits' wait_for 5 is_blocked
outside client kill type normal >/dev/null
hang_up
only_answered 'CLIENT KILL in a request that may be a farewell' 2 2

start_redis
session
echo "blpop $(printf 'queue%0150d' 0) 0" >&8
check 'a long request waits' wait_for 5 is_blocked
outside client kill type normal >/dev/null
hang_up
check 'CLIENT KILL in a request: it has ended' wait_for 5 closed
like 'CLIENT KILL in a request: unanswered' "$(turns "$port")" '^answered=2 unanswered=1 failures=1$'

start_redis
session
echo 'subscribe news' >&8
check 'a subscription' wait_for 5 subscribes
for i in 1 2 3; do outside publish news "number$i" >/dev/null; done
check 'its messages come' wait_for 5 printed number3
end "$cli" KILL
exec 8>&-
only_answered 'a stream of messages, and who hears it is killed' 3 3

done_testing

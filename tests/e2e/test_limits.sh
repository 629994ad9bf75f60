#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Limits on connections, from flags and by hand: refused with the configured errno, counted by
# cause, lifted and cleared; ended by --for; kept over a restart, in force without an agent; two
# operators at once; a scope for all workloads or for each.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# limit set|clear ARGS...: sets rc; output in $said, errors in $scratch/err
limit() {
	local verb=$1
	shift
	rc=0
	said=$(timeout 20 "$ebb_program" limit "$verb" --pin "$pin" "$@" 2>"$scratch/err") || rc=$?
}

# limits EXPRESSION: over the limits (d) of the destination's gate
limits() { ebb show -o json "127.0.0.1:$port" | json "(lambda d: $1)(d['gates'][0]['limits'])"; }
denied() { ebb show -o json "127.0.0.1:$port" | json "sum(w['$2']['$1'] for w in d['workloads'])"; }
in_use() { [ "$(limits 'd["concurrent"]["in_use"]')" = "$1" ]; }
listed() { ebb list | grep -F "127.0.0.1:$port/tcp" | grep -Eo '(bytes|packets|connects|concurrent)=.*'; }

# hold COUNT: connections that stay until let_go
holders=()
hold() {
	local i
	for ((i = 0; i < $1; i++)); do
		# the shell tells of every program that a signal ends
		connect --hold 50 127.0.0.1 "$port" >/dev/null 2>&1 &
		started+=("$!")
		holders+=("$!")
	done
}
let_go() {
	local pid
	while read -r pid; do kill -KILL "$pid"; done < <(cat "$cgroup"/cgroup.procs "$cgroup"/*/cgroup.procs 2>/dev/null)
	wait "${holders[@]}"
	holders=()
}

# ------------------------------------------------------------------------------ from flags --

# a token each 12 s: what happens meanwhile finds none
start_agent --mode enforce --errno ehostunreach --connects 5/min,burst=3
start_server
is 'connects: the burst passes, then it refuses' \
	"$(connect --count 5 127.0.0.1 "$port" | tr '\n' ' ')" 'OK OK OK EHOSTUNREACH EHOSTUNREACH '
is 'connects: counted as refused by the rate' "$(denied rate denied) $(denied breaker denied) $(denied concurrency denied)" '2 0 0'
like 'connects: and so in the metrics' "$(http_get /metrics)" \
	"ebb_denied_total\{destination=\"127.0.0.1:$port/tcp\",[^}]*cause=\"rate\",enforced=\"true\"\} 2"
is 'connects: no failure of the destination' "$(gate "$port" '(d["state"], d["failures"])')" "('closed', 0)"
is 'connects: listed' "$(listed)" 'connects=5/min'
is 'connects: shown with its numbers' "$(limits '(round(d["connects"]["rate_per_second"] * 60), d["connects"]["burst"], d["connects"]["available"] < 1, d["connects"]["by_hand"])')" \
	'(5, 3, True, False)'
like 'connects: shown' "$(ebb show "127.0.0.1:$port")" 'connects +5/min burst 3 +0 +configured'

# ---------------------------------------------------------------------------------- by hand --

limit set "127.0.0.1:$port" --connects none
is 'by hand: none lifts what is configured' "$rc $said$(cat "$scratch/err")" \
	"0 127.0.0.1:$port/tcp: connects none (by hand); by hand until it is cleared"
is 'by hand: and connections pass' "$(connect --count 5 --sum 127.0.0.1 "$port")" OK=5
is 'by hand: listed with a star' "$(listed)" 'connects=none*'
limit set "127.0.0.1:$port/tcp" --concurrent 2
is 'by hand: the second adds to the first' "$rc $said" \
	"0 127.0.0.1:$port/tcp: connects none (by hand), concurrent 2 (by hand); by hand until it is cleared"
hold 2
check 'concurrent: two connections are held' wait_for 10 in_use 2
is 'concurrent: more are refused' "$(connect --count 3 --sum 127.0.0.1 "$port")" EHOSTUNREACH=3
is 'concurrent: counted as refused by concurrency' "$(denied rate denied) $(denied concurrency denied)" '2 3'
like 'concurrent: and so in the metrics' "$(http_get /metrics)" \
	"ebb_denied_total\{destination=\"127.0.0.1:$port/tcp\",[^}]*cause=\"concurrency\",enforced=\"true\"\} 3"
is 'concurrent: listed' "$(listed)" 'connects=none* concurrent=2/2*'
limit set "127.0.0.1:$port" --concurrent 3
is 'concurrent: raised, one more passes' "$(connect 127.0.0.1 "$port")" OK
limit set "127.0.0.1:$port" --concurrent 1
is 'concurrent: lowered below what is open, none passes' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
let_go
check 'concurrent: given back' wait_for 10 in_use 0
is 'concurrent: and it passes again' "$(connect 127.0.0.1 "$port")" OK
operator=$(cat /proc/self/loginuid 2>/dev/null || echo 4294967295)
[ "$operator" != 4294967295 ] || operator=$(id -ru)
is 'by hand: it is known by whom' "$(limits '(d["concurrent"]["by_hand"], d["concurrent"]["uid"], d["concurrent"]["until_timestamp"])')" \
	"(True, $operator, None)"

limit clear "127.0.0.1:$port"
is 'clear: what is configured is in force' "$rc $said$(cat "$scratch/err")" \
	"0 127.0.0.1:$port/tcp: connects 5/min burst 3 (configured); nothing by hand"
is 'clear: and refuses' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
limit clear "127.0.0.1:$port"
is 'clear: once more is no error' "$rc" 0

# ------------------------------------------------------------------------------------- --for --

begin=$(now_ms)
limit set "127.0.0.1:$port" --connects none --for 2s
like 'for: says until when' "$said" '; by hand until 20[0-9-]+ [0-9:]+ \((2.00|1.9[0-9])s\)$'
connect --count 0 --every 0.02 --seconds 10 --until EHOSTUNREACH 127.0.0.1 "$port" >/dev/null
between 'for: it ends by itself, at its time' $(($(now_ms) - begin)) 1990 2800
is 'for: nothing is said to be by hand any more' "$(limits 'd["connects"]["by_hand"]') $(listed)" 'false connects=5/min'
limit set "127.0.0.1:$port" --concurrent 1 --for 1h
limit set "127.0.0.1:$port" --connects none --for 2h
like 'for: one end for all that stands' "$(ebb show "127.0.0.1:$port")" 'concurrent +1 .*for another (2h00m|1h59m).*'
is 'for: what was over before does not come back' "$(limits '(d["connects"]["by_hand"], d["concurrent"]["by_hand"])')" '(True, True)'

# ----------------------------------------------------------------- restarts, death, the lease --

stop_agent
start_agent --mode enforce --errno ehostunreach --connects 7/min,burst=3 --lease 2s
is 'restart: what was given by hand stands, what is configured is new' \
	"$(listed) $(ebb show -o json "127.0.0.1:$port" | json 'round(d["policy"]["limits"]["connects"]["rate_per_second"] * 60)')" \
	'connects=none* concurrent=0/1* 7'
hold 1
check 'restart: a connection is held' wait_for 10 in_use 1
is 'restart: and the limit holds' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
stop_agent KILL
is 'killed: the limit holds' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
limit set "127.0.0.1:$port" --concurrent 2
is 'killed: a limit can be given' "$rc $(cat "$scratch/err")" '0 '
is 'killed: and holds at once' "$(connect 127.0.0.1 "$port")" OK
let_go
check 'killed: slots are given back' wait_for 10 in_use 0
agent_is() { [ "$(ebb status -o json | json 'd["agent"]["state"]')" = "$1" ]; }
check 'lease: it is over' wait_for 6 agent_is dead
limit set "127.0.0.1:$port" --concurrent 1
hold 1
check 'lease: what was given by hand goes on' wait_for 10 in_use 1
is 'lease: and refuses' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
let_go
limit clear "127.0.0.1:$port"
is 'lease: what is configured has gone with it' "$(connect --count 20 --sum 127.0.0.1 "$port")" OK=20
is 'lease: and is not listed' "$(listed)" ''
limit set "127.0.0.1:$port" --bytes 1MB/s
is 'no agent: a byte limit is stored' "$rc $said" \
	"0 127.0.0.1:$port/tcp: bytes 1MB/s burst 250kB (by hand), connects 7/min burst 3 (configured); by hand until it is cleared"
is 'no agent: with nothing to warn of' "$(cat "$scratch/err")" ''
like 'no agent: the command itself has attached what looks at packets' "$(bpftool cgroup show "$cgroup")" ebb_egress
ebb detach >/dev/null
check 'detach takes the lock away, too' test ! -e "$pin"

# ------------------------------------------------------------------------------------ observe --

start_agent --connects 5/min,burst=1
start_server
limit set "127.0.0.1:$port" --concurrent 1
is 'a destination that is not there: not found' "$rc $(cat "$scratch/err")" \
	"3 ebb limit set: there is no destination '127.0.0.1:$port': 'ebb list' tells which there are; an address that a rule claims has the rule's name"
is 'observe: nothing is refused' "$(connect --count 4 --sum 127.0.0.1 "$port")" OK=4
is 'observe: it is counted' "$(denied rate denied) $(denied rate would_deny)" '0 3'
limit set "127.0.0.1:$port" --concurrent 1
is 'observe: a limit by hand says that nothing is refused' "$rc $said" \
	"0 127.0.0.1:$port/tcp: connects 5/min burst 1 (configured), concurrent 1 (by hand); by hand until it is cleared"$'\n'"mode is observe: nothing is refused or dropped, only counted"
limit set "127.0.0.1:${port}9" --concurrent 1
like 'near names are told' "$rc $(cat "$scratch/err")" "^3 .*did you mean 127.0.0.1:$port/tcp"
before=$(ebb show -o json "127.0.0.1:$port" | json 'd["gates"][0]["limits"]["concurrent"]')

# One clear line for each, and nothing half applied.
while IFS='|' read -r wanted regex arguments; do
	# shellcheck disable=SC2086 # words
	limit set $arguments
	if [ "$rc" = "$wanted" ] && [ -z "$said" ] && [ "$(wc -l <"$scratch/err")" = 1 ] && grep -Eq -- "$regex" "$scratch/err"; then
		ok "$wanted: limit set $arguments"
	else
		not_ok "$wanted: limit set $arguments" "status $rc: $said" "$(cat "$scratch/err")" "wanted: $regex"
	fi
done <<EOF
2|DEST is missing|--bytes 1MB/s
2|which limit\? give --bytes|127.0.0.1:$port
2|which limit\?|127.0.0.1:$port --for 1h
2|--bytes: '0B/s' .* above 0|127.0.0.1:$port --concurrent 5 --bytes 0B/s
2|--bytes: '-1MB/s' .* negative|127.0.0.1:$port --bytes=-1MB/s
2|--bytes: '-1MB/s' .* negative|127.0.0.1:$port --bytes -1MB/s
2|--concurrent: '-1' is not possible|127.0.0.1:$port --concurrent -1
2|--bytes: '2TB/s' .* at most 1TB/s|127.0.0.1:$port --bytes 2TB/s
2|at least one packet \(1500B\)|127.0.0.1:$port --bytes 1MB/s,burst=100B
2|bytes need a unit|127.0.0.1:$port --bytes 20/s
2|--packets: .* at most 1000M/s|127.0.0.1:$port --packets 2000M/s
2|packets have no unit|127.0.0.1:$port --packets 1MB/s
2|--connects: .*at least one connection|127.0.0.1:$port --connects 20/s,burst=0
2|7 days|127.0.0.1:$port --connects 1/h,burst=1000
2|--concurrent: '0' is not possible: a whole number from 1, or none|127.0.0.1:$port --concurrent 0
2|--concurrent: 'many'|127.0.0.1:$port --concurrent many
2|--for: 'soon' .* a time such as 10m|127.0.0.1:$port --concurrent 5 --for soon
2|--for: '0s'|127.0.0.1:$port --concurrent 5 --for 0s
2|--for: '366d' .* up to 365d|127.0.0.1:$port --concurrent 5 --for 366d
3|no workload 'x' uses '127.0.0.1:[0-9]+' yet; '[^']*' does|127.0.0.1:$port --concurrent 5 --workload x
2|'~other' is many destinations: it is counted and never refused|~other --concurrent 5
3|there is no destination 'nowhere'|nowhere --concurrent 5
EOF
is 'and none of them changed anything' "$(ebb show -o json "127.0.0.1:$port" | json 'd["gates"][0]["limits"]["concurrent"]')" "$before"
stop_agent
ebb detach >/dev/null
limit set "127.0.0.1:$port" --concurrent 1
is 'nothing pinned: no agent' "$rc $(cat "$scratch/err")" "5 ebb limit set: nothing is pinned in '$pin': start the agent with 'ebb run'"

# ------------------------------------------------------------------------ two operators at once --

start_agent --mode enforce --errno ehostunreach --concurrent 64
start_server
connect 127.0.0.1 "$port" >/dev/null
# operator BYTES CONNECTS: gives and takes back, again and again
operator() {
	local i
	for i in {1..40}; do
		timeout 20 "$ebb_program" limit set --pin "$pin" "127.0.0.1:$port" --bytes "$1" --connects "$2" >/dev/null || return
		[ $((i % 10)) != 0 ] || timeout 20 "$ebb_program" limit clear --pin "$pin" "127.0.0.1:$port" >/dev/null || return
	done
}
# connects only, so that nobody waits for the program that sees packets
operator none 2000/s,burst=1111 2>"$scratch/err.1" &
first=$!
operator none 3000/s,burst=2222 2>"$scratch/err.2" &
second=$!
started+=("$first" "$second")
seen=''
while ! gone "$first" || ! gone "$second"; do
	seen+="$(limits '(d["connects"]["rate_per_second"], d["connects"]["burst"])')"$'\n'
done
wait "$first" || not_ok 'the first operator' "status $?" "$(cat "$scratch/err.1")"
wait "$second" || not_ok 'the second operator' "status $?" "$(cat "$scratch/err.2")"
is 'two operators: neither is told of an error' "$(cat "$scratch/err.1" "$scratch/err.2")" ''
is 'two operators: what stands is always of one of them, or of none' \
	"$(printf '%s' "$seen" | sort -u | grep -Evx '\(2000.0, 1111\)|\(3000.0, 2222\)|\(None, None\)')" ''
limit set "127.0.0.1:$port" --concurrent 1
hold 1
check 'two operators: afterwards a limit holds' wait_for 10 in_use 1
is 'two operators: as it should' "$(connect --count 3 --sum 127.0.0.1 "$port")" EHOSTUNREACH=3
let_go

# The agent attaches what sees packets as soon as it is asked for; nobody pays for it afterwards.
looks_at_packets() { [[ $(bpftool cgroup show "$cgroup") == *ebb_egress* ]]; }
refute 'bytes: without such a limit no program looks at packets' looks_at_packets
limit set "127.0.0.1:$port" --bytes 10MB/s
is 'bytes: a limit by hand' "$rc $(cat "$scratch/err")" '0 '
check 'bytes: in place when the command has ended' looks_at_packets
check 'bytes: and in the log' wait_for 5 logged 'every packet is looked at'
is 'bytes: listed' "$(listed)" 'bytes=10MB/s* concurrent=0/1*'
limit set "127.0.0.1:$port" --bytes none
check 'bytes: lifted, the program goes' wait_for 5 eval '! looks_at_packets'
check 'bytes: and that is in the log' wait_for 5 logged 'packets are no longer looked at'

# A lock that somebody sits on is told, and the agent goes on.
background "$python" -S -c 'import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
time.sleep(60)' "$pin/lock_policy"
sitter=$!
locked() { ! flock -n "$pin/lock_policy" true; }
check 'a lock that is held' wait_for 5 locked
limit set "127.0.0.1:$port" --concurrent 9
is 'is told after a while' "$rc $(cat "$scratch/err")" \
	"1 ebb limit set: another ebb has been writing policies in '$pin' for too long: 'lsof $pin/lock_policy' tells which"
check 'and the agent goes on' http_get /health/ready -o /dev/null
is 'with the limit as it was' "$(limits 'd["concurrent"]["limit"]')" 1
end "$sitter" KILL
limit set "127.0.0.1:$port" --concurrent 9
is 'it ends with its holder' "$rc" 0
is 'no error of our own' "$(ebb status -o json | json 'sum(d["errors"].values())')" 0
stop_agent
ebb detach >/dev/null

# -------------------------------------------------------------------------------------- scope --

make_network
start_server --netns "$peer" --address 10.9.8.2
# holds NAME: a connection of workload NAME that stays
holds() {
	in_cgroup -c "$1" nsenter --net="/run/netns/$client" "$python" -S "$root/tests/lib/connect.py" --hold 50 10.9.8.2 "$port" >/dev/null 2>&1 &
	started+=("$!")
	holders+=("$!")
	wait_for 10 active "$1"
}
active() { [ "$(ebb show -o json "10.9.8.2:$port" | json "sum(w['active'] for w in d['workloads'] if w['workload'].endswith('/$1'))")" = 1 ]; }
as() { in_cgroup -c "$1" nsenter --net="/run/netns/$client" "$python" -S "$root/tests/lib/connect.py" 10.9.8.2 "$port"; }
start_agent --mode enforce --errno ehostunreach --concurrent 1 --scope node
check 'node: one workload takes the slot' holds one
is 'node: there is none for another' "$(as two)" EHOSTUNREACH
stop_agent
let_go
ebb detach >/dev/null

start_agent --mode enforce --errno ehostunreach --concurrent 1 --scope workload
check 'workload: one takes its slot' holds one
check 'workload: another has its own' holds two
is 'workload: and no second one' "$(as one) $(as two)" 'EHOSTUNREACH EHOSTUNREACH'
timeout 20 "$ebb_program" limit set --pin "$pin" "10.9.8.2:$port" --concurrent 2 >/dev/null
is 'workload: a limit by hand is for each of them' "$(as one) $(as two)" 'OK OK'
let_go
stop_agent

done_testing

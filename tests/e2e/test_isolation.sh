#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Who is governed, and who shares a gate: processes outside the cgroup are never touched; a
# destination on the network has one gate for the node, one on loopback a gate for each
# workload. Limits, and the way of refusing that kernels before 6.1 need.
# deadline: 60

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

client_program=("$python" -S "$root/tests/lib/connect.py")
# as WORKLOAD [NETNS] ADDRESS PORT [OPTION...]: from a cgroup below ours
as() {
	local workload=$1 enter=()
	shift
	case $1 in
	"$test_id"-*)
		enter=(nsenter --net="/run/netns/$1")
		shift
		;;
	esac
	in_cgroup -c "$workload" "${enter[@]}" "${client_program[@]}" "${@:3}" "$1" "$2"
}
# outside: from the cgroup that the test itself runs in
outside() { timeout 20 "${client_program[@]}" "$@"; }
rows() { ebb list -o json | json "sorted((r['workload'] or '-', r['state'], r['attempts'], r['failures'], r['denied']) for r in d['destinations'] if r['destination'] == '$1')"; }

make_network
start_agent --mode enforce --errno ehostunreach --breaker consecutive_failures=3,open_for=30s,open_max=30s,open_jitter=0

# ------------------------------------------------------------------- loopback: each its own --

start_server
stop_server
is 'loopback: a workload fails' "$(as one 127.0.0.1 "$port" --count 4 | tail -1)" EHOSTUNREACH
is 'loopback: another is not refused because of it' "$(as two 127.0.0.1 "$port" --count 2 --sum)" ECONNREFUSED=2
is 'loopback: a gate for each' "$(rows "127.0.0.1:$port/tcp")" \
	"[[\"/$test_id/one\", \"open\", 3, 3, 1], [\"/$test_id/two\", \"closed\", 2, 2, 0]]"
is 'loopback: list --workload shows one of them' \
	"$(ebb list -o json --workload two | json '[r["workload"].split("/")[-1] for r in d["destinations"]]')" '["two"]'
is 'outside the cgroup nothing is refused' "$(outside --count 5 --sum 127.0.0.1 "$port")" ECONNREFUSED=5
is 'nor counted' "$(rows "127.0.0.1:$port/tcp")" \
	"[[\"/$test_id/one\", \"open\", 3, 3, 1], [\"/$test_id/two\", \"closed\", 2, 2, 0]]"

start_server --address ::1
is 'IPv6 loopback' "$(as one ::1 "$port")" OK
stop_server
is 'IPv6 loopback: refused' "$(as one ::1 "$port" --count 4 | tail -1)" EHOSTUNREACH
is 'IPv6 loopback: a gate for each, too' "$(as two ::1 "$port")" ECONNREFUSED
is 'an IPv4-mapped address is the IPv4 one' "$(start_server; stop_server
	as one 127.0.0.1 "$port" >/dev/null
	as one ::ffff:127.0.0.1 "$port" >/dev/null
	rows "127.0.0.1:$port/tcp")" "[[\"/$test_id/one\", \"closed\", 2, 2, 0]]"

# -------------------------------------------------------------------- the network: one for all --

start_server --netns "$peer" --address 10.9.8.2
is 'network: two workloads reach it' "$(as one "$client" 10.9.8.2 "$port") $(as two "$client" 10.9.8.2 "$port")" 'OK OK'
stop_server
# what one of them learns
as one "$client" 10.9.8.2 "$port" --count 2 --sum >/dev/null
is 'network: failures of both add up' "$(as two "$client" 10.9.8.2 "$port") $(as two "$client" 10.9.8.2 "$port")" 'ECONNREFUSED EHOSTUNREACH'
is 'network: the other is refused as well' "$(as one "$client" 10.9.8.2 "$port")" EHOSTUNREACH
is 'network: and so is one that never connected' "$(as three "$client" 10.9.8.2 "$port")" EHOSTUNREACH
is 'network: one gate, shared' "$(rows "10.9.8.2:$port/tcp")" '[["-", "open", 5, 3, 3]]'
is 'network: but counted for each' "$(ebb show -o json "10.9.8.2:$port" | json 'sorted((w["workload"].split("/")[-1], w["attempts"], sum(w["denied"].values()))
	for w in d["workloads"])')" '[["one", 3, 1], ["three", 0, 1], ["two", 2, 1]]'
is 'network: outside the cgroup it is not refused' \
	"$(timeout 20 nsenter --net="/run/netns/$client" "${client_program[@]}" 10.9.8.2 "$port")" ECONNREFUSED
start_server --netns "$peer" --address fd09::2
is 'network, IPv6' "$(as one "$client" fd09::2 "$port")" OK
stop_server
is 'network, IPv6: refused' "$(as one "$client" fd09::2 "$port" --count 4 | tail -1) $(as two "$client" fd09::2 "$port")" 'EHOSTUNREACH EHOSTUNREACH'
is 'network, IPv6: its name' "$(rows "[fd09::2]:$port/tcp")" '[["-", "open", 4, 3, 2]]'

# A server in the cgroup: clients that come to it are nobody's business.
in_cgroup "$python" -S "$root/tests/lib/server.py" >"$scratch/governed" 2>/dev/null &
wait_for 5 test -s "$scratch/governed"
before=$(ebb status -o json | json 'd["connections"]["attempts"]')
is 'a governed server is reached from outside' "$(outside --count 3 --sum 127.0.0.1 "$(cat "$scratch/governed")")" OK=3
is 'and its answers are no connections' "$(ebb status -o json | json 'd["connections"]["attempts"]')" "$before"
kill "$(head -1 "$cgroup/cgroup.procs")"
stop_agent
ebb detach >/dev/null

# ---------------------------------------------------------------------------------- concurrency --

start_agent --mode enforce --errno etimedout --concurrent 2
start_server --hold
for i in 1 2; do
	connect --hold 2 127.0.0.1 "$port" >"$scratch/held.$i" &
	held[i]=$!
done
in_use() { [ "$(gate "$port" 'd["concurrent"]["in_use"]')" = "$1" ]; }
check 'concurrency: two are let in' wait_for 5 in_use 2
is 'concurrency: the third is refused' "$(connect 127.0.0.1 "$port")" ETIMEDOUT
is 'concurrency: with its cause' "$(ebb show -o json "127.0.0.1:$port" | json 'd["workloads"][0]["denied"]["concurrency"]')" 1
is 'concurrency: and the breaker does not care' "$(state "$port")" closed
wait "${held[@]}"
is 'concurrency: both were served' "$(cat "$scratch"/held.* | tr '\n' ' ')" 'OK OK '
check 'concurrency: the slots come back' wait_for 5 in_use 0
is 'concurrency: for others' "$(connect --count 3 --sum 127.0.0.1 "$port")" OK=3
stop_server
stop_agent
ebb detach >/dev/null

# --------------------------------------------------------------- as on a kernel before 6.1 --

start_agent --mode enforce --errno ehostunreach --no-set-retval --breaker consecutive_failures=3,open_for=1s,open_jitter=0
start_server
stop_server
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
start_server --port "$port"
is 'before 6.1: refused by a rewritten address, with ECONNREFUSED' "$(connect --count 3 --sum 127.0.0.1 "$port")" ECONNREFUSED=3
is 'before 6.1: counted as refused by us' "$(gate "$port" '(d["attempts"], d["failures"], d["denied"])')" '(3, 3, 3)'
check 'before 6.1: half-opens' wait_for 5 is_state "$port" half_open
is 'before 6.1: and closes' "$(connect --count 2 --sum 127.0.0.1 "$port") $(wait_for 5 is_state "$port" closed && state "$port")" 'OK=2 closed'
is 'before 6.1: no destination was made of the rewritten address' "$(ebb list -o json | json 'len(d["destinations"])')" 1
stop_agent

done_testing

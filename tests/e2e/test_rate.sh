#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The rules that the agent judges (failure rate, slow rate, the sliding window), and how long
# a breaker stays open: growth from trip to trip, its end, and jitter.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

window_failed() { [ "$(gate "$1" 'd["window"]["failed"]')" = "$2" ]; }

# open_times PORT: milliseconds of each opening that is remembered, the oldest first
open_times() {
	ebb show -o json "127.0.0.1:$1" | json '" ".join(
		str(round((t["open_until_timestamp"] - t["timestamp"]) * 1000))
		for t in d["gates"][0]["transitions"] if t["to"] == "open")'
}

# a port where nobody listens
dead_port() {
	start_server
	stop_server
}

# ---------------------------------------------------------------------------- failure rate --

start_agent --mode enforce --errno ehostunreach \
	--breaker consecutive_failures=0,min_calls=6,failure_rate=0.5,open_for=20s,open_jitter=0

dead_port
connect --count 5 --sum 127.0.0.1 "$port" >/dev/null
check 'below min_calls: all failures are seen' wait_for 5 window_failed "$port" 5
is 'below min_calls: no rate is judged' "$(state "$port")" closed
connect 127.0.0.1 "$port" >/dev/null
check 'at min_calls it opens' wait_for 5 is_state "$port" open
check 'the reason is the rate, with its facts' logged "127.0.0.1:$port/tcp .*reason=failure_rate ok=0 failed=6 "

start_server
is 'ten successes' "$(connect --count 10 --sum 127.0.0.1 "$port")" OK=10
stop_server
connect --count 9 --sum 127.0.0.1 "$port" >/dev/null
check 'below the rate: all failures are seen' wait_for 5 window_failed "$port" 9
is 'below the rate it stays closed' "$(state "$port")" closed
connect 127.0.0.1 "$port" >/dev/null
check 'at the rate it opens' wait_for 5 is_state "$port" open
check 'with half of the results' logged "127.0.0.1:$port/tcp .*reason=failure_rate ok=10 failed=10 "
is 'and refuses' "$(connect 127.0.0.1 "$port")" EHOSTUNREACH
stop_agent
ebb detach >/dev/null

# -------------------------------------------------------------------------- sliding window --

start_agent --mode enforce --breaker window=1s,consecutive_failures=0,min_calls=4,open_jitter=0
dead_port
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
check 'failures are in the window' wait_for 5 window_failed "$port" 3
check 'and leave it' wait_for 5 window_failed "$port" 0
connect --count 3 --sum 127.0.0.1 "$port" >/dev/null
check 'later ones are counted without them' wait_for 5 window_failed "$port" 3
is 'so that the rate is not reached' "$(gate "$port" '(d["state"], d["failures"])')" "('closed', 6)"
stop_agent
ebb detach >/dev/null

# ------------------------------------------------------------------------------- slow calls --

make_network
# The first SYN of every connection is lost: the second comes 1 s later.
ip netns exec "$peer" nft -f - <<'NFT' || bail 'nft does not work here'
table inet first_syn {
	set seen { type inet_service . inet_service; flags dynamic; size 4096; timeout 60s; }
	chain input {
		type filter hook input priority 0
		tcp dport 15000 accept
		tcp flags & (syn | ack) == syn tcp sport . tcp dport @seen accept
		tcp flags & (syn | ack) == syn add @seen { tcp sport . tcp dport } drop
	}
}
NFT
start_agent --mode enforce --errno ehostunreach \
	--breaker consecutive_failures=0,min_calls=3,slow_call=500ms,open_for=500ms,open_jitter=0,reopen_after=2,probes=2
start_server --netns "$peer" --address 10.9.8.2 --port 15000
is 'fast calls' "$(connect_in "$client" --count 5 --sum 10.9.8.2 15000)" OK=5
start_server --netns "$peer" --address 10.9.8.2
slow=10.9.8.2:$port/tcp
# several at a time: each takes 1 s
calls() {
	local i pids=()
	for ((i = 0; i < $1; i++)); do
		connect_in "$client" --time 10.9.8.2 "$port" >"$scratch/call.$i" &
		pids+=("$!")
	done
	wait "${pids[@]}"
	cat "$scratch"/call.*
	rm "$scratch"/call.*
}
read -r result took < <(calls 1)
is 'a slow call succeeds' "$result" OK
between 'in the time of a lost SYN' "$took" 900 2500
is 'one slow call does not open it' "$(state "$slow")" closed
is 'two more' "$(calls 2 | cut -d' ' -f1 | tr '\n' ' ')" 'OK OK '
check 'slow successes open it' wait_for 5 logged "destination=$slow .*to=open reason=slow_rate ok=3 failed=0 slow=3 "
is 'a fast destination stays closed' "$(state 10.9.8.2:15000/tcp)" closed
check 'it half-opens' wait_for 5 is_state "$slow" half_open
is 'probes that are slow' "$(calls 2 | cut -d' ' -f1 | tr '\n' ' ')" 'OK OK '
check 'slow probes have failed' wait_for 5 logged "destination=$slow .*to=open reason=probes_failed ok=0 failed=2 "
ip netns exec "$peer" nft delete table inet first_syn
check 'fast probes close it' wait_for 10 connect_in "$client" --every 0.05 --seconds 3 --until OK 10.9.8.2 "$port"
connect_in "$client" --every 0.05 --seconds 3 --until OK 10.9.8.2 "$port" >/dev/null
check 'closed' wait_for 5 is_state "$slow" closed
stop_agent
ebb detach >/dev/null

# -------------------------------------------------------------------- how long it stays open --

start_agent --mode enforce --errno ehostunreach \
	--breaker consecutive_failures=2,open_for=400ms,open_factor=2,open_max=1s,open_jitter=0,reopen_after=1
dead_port
# each probe fails and opens it again: 0.4 + 0.8 + 1 s, and then the fourth opening
ebb watch --for 4s -o json >"$scratch/watch" &
watch=$!
connect --count 0 --every 0.02 --seconds 3 --sum 127.0.0.1 "$port" >"$scratch/sum"
wait "$watch"
opened=$(grep '"to":"open"' "$scratch/watch" | while read -r line; do
	json 'round((d["open_until_timestamp"] - d["timestamp"]) * 1000)' <<<"$line"
done | head -4 | tr '\n' ' ')
# an end is a whole number of ticks (1.05 ms), rounded up
like 'each trip in a row lasts twice as long, up to open_max' "$opened" '^40[0-3] 80[0-3] 100[0-3] 100[0-3] '
# two that trip, and one probe after each opening that ended
like 'nothing else went through' "$(cat "$scratch/sum")" 'EHOSTUNREACH=[0-9]+ ECONNREFUSED=5$'
is 'trips in a row are told' "$(ebb show -o json "127.0.0.1:$port" | json 'd["gates"][0]["trips"]')" 4
stop_agent
ebb detach >/dev/null

# A dead destination each. The first trip is judged by the agent, so it has its jitter.
ports=()
for _ in 1 2 3 4 5 6; do
	dead_port
	ports+=("$port")
done

# jittered SEED: how long each of them opens; the default is 20% to both sides
jittered() {
	local each
	start_agent --mode enforce --seed "$1" --breaker consecutive_failures=0,min_calls=1,open_for=1s
	times=()
	for each in "${ports[@]}"; do
		connect 127.0.0.1 "$each" >/dev/null
		wait_for 5 is_state "$each" open
		times+=("$(open_times "$each" | cut -d' ' -f1)")
	done
	stop_agent
	ebb detach >/dev/null
}

# largest_difference: between the times and those of an earlier run, in ms
largest_difference() {
	local i difference largest=0
	for i in "${!times[@]}"; do
		difference=$((times[i] - before[i]))
		difference=${difference#-}
		[ "$difference" -le "$largest" ] || largest=$difference
	done
	echo "$largest"
}

jittered 1
before=("${times[@]}")
least=$(printf '%s\n' "${times[@]}" | sort -n | head -1)
greatest=$(printf '%s\n' "${times[@]}" | sort -n | tail -1)
check "jitter is at most 20%: $least to $greatest ms" test "$least" -ge 800 -a "$greatest" -le 1203
between 'and spreads six trips' $((greatest - least)) 20 403
jittered 1
# 1 ms of each is rounding
between 'the same seed repeats them' "$(largest_difference)" 0 3
jittered 2
between 'another seed gives others' "$(largest_difference)" 20 400

done_testing

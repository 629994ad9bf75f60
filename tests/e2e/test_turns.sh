#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Turns, by programs that talk as they are told: what is a request, what is an answer, what is a
# failure and what is none. The rulings are those of the design; real servers are in the other
# test_turns_*.sh.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

cat >"$EBB_CONFIG" <<'Y'
mode: enforce
defaults:
  breaker: {open_for: 500ms, open_max: 1s, min_calls: 1000}
Y
start_agent --config "$EBB_CONFIG" --destinations 256

seen() { [ "$(ebb status -o json | json 'd["turns"]["seen"]')" = true ]; }
check 'turns are seen' wait_for 5 seen

# ---------------------------------------- what lets time pass, all at once --

start_talk eof
silent=$port
start_talk eof
one_way=$port
start_talk hear:200 send:10 eof
lazy=$port
start_talk eof
kept=$port
is 'a request is answered' "$(call "$lazy" send:200 hear:10 close)" ''
for _ in 1 2 3 4 5 6; do
	together call "$one_way" send:300 sleep:1.2 close
done
together call "$lazy" send:100 sleep:1.2 close
together call "$lazy" send:100 sleep:0.3 close
together call "$kept" keepalive sleep:2.3 close
together call "$silent" sleep:1.2 close

# ---------------------------------------------------------------- requests --

start_talk eof send:50 close
call "$port" send:200 fin eof close
ended 'who has half closed is answered still' "$port" answered=1

start_talk eof close
call "$port" send:200 fin eof close
ended 'or is not: no destination answers that never did' "$port" unanswered=1

start_talk send:20 hear:10 send:10 eof
call "$port" hear:20 close
ended 'a server that speaks first answers nothing' "$port" none
call "$port" hear:20 send:10 hear:10 close
ended 'until the client speaks' "$port" answered=1

start_talk hear:30 send:1 sleep:0.3 send:1000 sleep:0.3 send:1000 eof
call "$port" send:10 sleep:0.1 send:20 hear:2001 close
ended 'a request in parts, an answer in parts: one turn' "$port" answered=1
between 'from the last byte out to the first in' \
	"$(gate "$port" 'int(d["turn_seconds"]["p50"] * 1000)')" 0 90

start_talk hear:90 send:90 ...
call "$port" send:30 send:30 send:30 hear:90 send:90 hear:90 close
ended 'pipelined: a lower bound' "$port" answered=2

# ---------------------------------------------------------------- failures --

start_talk hear:200 send:10 hear:200 reset
is 'the second request is reset' "$(call "$port" send:200 hear:10 send:200 hear)" \
	'ConnectionResetError: [Errno 104] Connection reset by peer'
ended 'reset: a failure' "$port" 'answered=1 reset=1 failures=1'
like 'by its name in show' "$(ebb show "127.0.0.1:$port" -o json | json 'd["workloads"][0]["outcomes"]')" '"reset": 1'
like 'and in the metrics' "$(http_get /metrics | grep "connection_failures_total.*:$port.*reset")" ' 1$'

start_talk hear:200 send:10 hear:1 reset
call "$port" send:200 hear:10 send:1 eof >/dev/null
ended 'reset with a short request open: a failure' "$port" 'answered=1 reset=1 failures=1'

start_talk hear:200 send:10 wait:"$scratch/idle" reset
together call "$port" send:200 hear:10 touch:"$scratch/idle" eof >/dev/null
wait_together_of=$port
call "$silent" send:200 reset
ended 'a reset by the program itself is none' "$silent" cancelled=1

start_talk hear:200 send:10 eof
call "$port" send:200 hear:10 forget close
ended 'a listener that closes is not a failure' "$port" answered=1

# ruling_5: unanswered counts where at least half of the turns were answered
start_talk hear:200 if:"$scratch/none" send:10 eof
call -n 3 "$port" send:200 eof
ended 'ruling_5: what never answers does not fail' "$port" unanswered=3
start_talk hear:200 if:"$scratch/ok" send:10 eof
touch "$scratch/ok"
call -n 3 "$port" send:200 hear:10 close
rm "$scratch/ok"
call -n 4 "$port" send:200 eof
ended 'ruling_5: what answers fails, as long as half was answered' "$port" 'answered=3 unanswered=4 failures=3'

start_talk hear:200 send:10 hear:20 close
call "$port" send:200 hear:10 send:20 eof
ended 'ruling_5: 20 bytes later on may be a farewell' "$port" answered=1
start_talk hear:200 send:10 hear:127 close
call "$port" send:200 hear:10 send:127 eof
ended 'ruling_5: 127 bytes, too' "$port" answered=1
start_talk hear:200 send:10 hear:128 close
call "$port" send:200 hear:10 send:128 eof
ended 'ruling_5: 128 bytes are a request' "$port" 'answered=1 unanswered=1 failures=1'
start_talk hear:5 if:"$scratch/ok" send:5 eof
touch "$scratch/ok"
call "$port" send:5 hear:5 close
rm "$scratch/ok"
call "$port" send:5 eof
ended 'ruling_5: the first request is one, however short' "$port" 'answered=1 unanswered=1 failures=1'

start_talk hear:200 send:100 hear:10 send:10 hear:10 wait:"$scratch/bye" close
call "$port" send:200 hear:100 send:10 hear:10 send:10 touch:"$scratch/bye" eof
ended 'an idle websocket close is no failure, with a ping on its way' "$port" answered=2

# Five of them open the breaker, and the log says what failed.
start_talk hear:200 if:"$scratch/ok" send:10 eof
touch "$scratch/ok"
call -n 5 "$port" send:200 hear:10 close
rm "$scratch/ok"
call -n 5 "$port" send:200 eof
check 'five requests without an answer open the breaker' wait_for 5 is_state "$port" open
check 'the log says so' wait_for 5 logged ":$port/tcp .* to=open reason=consecutive_failures .* run=5 last_failure=unanswered"
touch "$scratch/ok"
answered() { call "$1" send:200 hear:10 close >/dev/null; }
is_closed_by() { answered "$1" && is_state "$1" closed; }
check 'two answers close it' wait_for 10 is_closed_by "$port"

# ------------------------------------------------------- what has passed --

wait_together
ended 'idle, then reset by the server: no failure' "$wait_together_of" answered=1
ended 'given up after abandon_after: unanswered; sooner: cancelled' "$lazy" \
	'answered=1 unanswered=1 cancelled=1 failures=1'
ended 'keep-alives of TCP are no request' "$kept" none
ended 'silence is none' "$silent" cancelled=1
ended 'one way: no request is answered, nothing fails' "$one_way" unanswered=6
call -n 3 "$one_way" send:300 close
is 'one way: the breaker is closed' "$(state "$one_way")" closed
is 'one way: a clean close is a success' "$(gate "$one_way" 'd["window"]["failed"]')" 0

# A one-way server that comes back: its breaker closes by clean closes alone.
start_talk eof
one_way=$port pid=${started[-1]}
call "$one_way" send:300 close
end "$pid" KILL
call -n 1 "$one_way" send:1 >/dev/null
for _ in 1 2 3 4; do call "$one_way" send:1 close >/dev/null; done
check 'one way: a server that is gone opens the breaker' wait_for 5 is_state "$one_way" open
start_talk -p "$one_way" eof
sent_closes() { call "$1" send:300 close >/dev/null && is_state "$1" closed; }
check 'one way: a half-open breaker closes again' wait_for 10 sent_closes "$one_way"

# ------------------------------------------------------------------- shown --

like 'status tells of turns' "$(ebb status)" $'\nturns +[0-9]+ answered, 0 of them slow; [0-9]+ unanswered, [0-9]+ reset\n'
like 'list has them at 100 columns' "$(script -qec "stty cols 100; $ebb_program list --pin $pin --sort turn_p99" /dev/null)" 'TURN P99'
like 'show has a row for each workload' "$(ebb show "127.0.0.1:$lazy")" \
	$'\n  turns: .*\n    WORKLOAD +ANSWERED  SLOW  UNANSWERED  RESET +CANCELLED +MEAN +P50 +P95 +P99\n'
http_get /metrics >"$scratch/metrics"
is 'a sum over results counts each request once' \
	"$(awk -v p=":$lazy/tcp" 'index($0, p) && /^ebb_turns_total/ { n += $NF } END { print n }' "$scratch/metrics")" 3
is 'the histogram has those that were answered' \
	"$(awk -v p=":$lazy/tcp" 'index($0, p) && /^ebb_turn_duration_seconds_count/ { print $NF }' "$scratch/metrics")" 1

# ruling_12: with turns off, no host rules and no limits, no program looks at packets
skb_programs() { bpftool cgroup show "$cgroup" | grep -c 'cgroup_inet_[ei]n\?gress'; }
no_skb_programs() { [ "$(skb_programs)" = 0 ]; }
is 'with turns one looks at what comes in, and none at what goes out' "$(bpftool cgroup show "$cgroup" | grep -c ebb_hear) $(bpftool cgroup show "$cgroup" | grep -c ebb_egress)" '1 0'
cat >"$EBB_CONFIG" <<'Y'
mode: enforce
turns: off
dns: {names: false}
Y
check 'ruling_12: turns off: no per-packet program' wait_for 10 no_skb_programs
before=$(turns "$lazy")
call "$lazy" send:200 hear:10 close
is 'nothing is counted' "$(turns "$lazy")" "$before"
like 'and status says so' "$(ebb status)" '; not seen any more'
printf 'mode: enforce\n' >"$EBB_CONFIG"
check 'turns come back' wait_for 10 seen
call "$lazy" send:200 hear:10 close
ended 'and are counted on' "$lazy" 'answered=2 unanswered=1 cancelled=1 failures=1'

done_testing

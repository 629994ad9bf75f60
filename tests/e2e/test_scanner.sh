#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Ruling 8: a scanner in one workload meets 100,000 endpoints. It gets its share of the destinations
# and no more; memory does not move; the others get their own, and are governed; the fact is told
# once.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

endpoints=100000
client_program=("$python" -S "$root/tests/lib/connect.py")
# as WORKLOAD ADDRESS PORT [OPTION...]
as() { in_cgroup -c "$1" "${client_program[@]}" "${@:4}" "$2" "$3"; }
metric() { http_get /metrics | sed -n "s/^$1 //p"; }
anonymous_kb() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$agent/status"; }
health() { http_get /health | json "d['components']['$1']['$2']"; }

start_agent --mode enforce --destinations 400 --pairs 800 --endpoints 800 --idle 1h \
	--breaker consecutive_failures=3,open_for=60s,open_max=60s,open_jitter=0
start_server
is 'another workload connects before' "$(as other 127.0.0.1 "$port")" OK
http_get /metrics >/dev/null
memory=$(anonymous_kb)
maps=$(metric 'ebb_memory_bytes{kind="maps"}')

is 'a scanner is not refused' "$(in_cgroup -c scanner "$python" -S "$root/tests/lib/scan.py" $endpoints)" refused=$endpoints

found=$(ebb list -o json | json "len({r['destination'] for r in d['destinations'] if r['destination'].startswith('127.7')})")
is 'ruling 8: it has a quarter of the destinations' "$found" 100
is 'the rest is counted in ~other' \
	"$(ebb show -o json '~other' | json "sum(w['attempts'] for w in d['workloads'])")" $((endpoints - 100))
is 'and why, in the metrics' "$(metric 'ebb_bpf_errors_total{reason="share_full"}')" $((endpoints - 100))
wait_for 5 logged 'reason=share_full'
is 'told once' "$(grep -c 'reason=share_full' "$agent_log")" 1
check 'and who it is' logged "reason=share_full workload=/$test_id/scanner;"
is_degraded() { [ "$(health tables state)" = degraded ]; }
check 'health says so' wait_for 5 is_degraded
like 'and what becomes of them' "$(health tables why)" 'share ~other'
is 'the memory of the maps does not move' "$(metric 'ebb_memory_bytes{kind="maps"}')" "$maps"
# the address sanitizer keeps what is freed for a while
room=2048
! grep -q __asan_init "$ebb_program" || room=65536
between 'nor does ours, but for what it looked at (KB)' "$(($(anonymous_kb) - memory))" -4096 $room

# ------------------------------------------------------------------- the others --

is 'others connect as before' "$(as other 127.0.0.1 "$port")" OK
for i in 1 2 3 4 5; do
	start_server
	is "another workload has its own destination ($i)" \
		"$(as other 127.0.0.1 "$port") $(ebb list -o json | json "[r['workload'].split('/')[-1] for r in d['destinations'] if r['destination'] == '127.0.0.1:$port/tcp']")" \
		'OK ["other"]'
done
stop_server
is 'and is governed there: it fails' "$(as other 127.0.0.1 "$port" --count 3 --sum)" ECONNREFUSED=3
wait_for 5 is_state "127.0.0.1:$port/tcp" open
is 'and is refused' "$(as other 127.0.0.1 "$port") $(ebb show -o json "127.0.0.1:$port" | json "d['workloads'][0]['denied']['breaker']")" 'ECONNREFUSED 1'
done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The tables of the default capacity, full: 4,096 destinations and 16,384 pairs, made by real connections of four
# workloads. What the agent takes of memory then, and what a scrape of everything takes on top.
# deadline: 240

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

destinations=4096 pairs=16384
metric() { sed -n "s/^$1 //p" "$scratch/metrics"; }
scrape() { http_get /metrics --max-time 60 -o "$scratch/metrics"; }
# field NAME: of /proc/PID/status, in KB
field() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$agent/status"; }
fill() { in_cgroup -c "$1" timeout 100 "$python" -S "$root/tests/lib/fill.py" "$2" "$3"; }

start_agent --destinations $destinations --pairs $pairs --endpoints 65536 --idle 1h
scrape
is 'the tables are of the default capacity' "$(metric 'ebb_map_capacity{map="destinations"}') $(metric 'ebb_map_capacity{map="pairs"}')" \
	"$destinations $pairs"
empty=$(field RssAnon)

# One workload may find a quarter of the destinations; what another one found is not its own.
for w in 0 1 2 3; do
	is "workload $w finds a quarter of them" "$(fill "w$w" $((w * 1024)) $((w * 1024 + 1024)))" refused=1024
done
for w in 0 1 2 3; do
	is "workload $w connects to all" "$(fill "w$w" 0 $destinations)" "refused=$destinations"
done
is_full() {
	scrape && [ "$(metric 'ebb_map_entries{map="destinations"}') $(metric 'ebb_map_entries{map="pairs"}')" = "$destinations $pairs" ]
}
check 'the tables are full' wait_for 10 is_full
is 'nothing found no room' "$(ebb status -o json | json '[d["errors"][e] for e in ("dst_table_full", "pair_table_full", "share_full")]')" '[0, 0, 0]'

series=$(grep -vc '^#' "$scratch/metrics")
echo "# series: $series, bytes: $(stat -c %s "$scratch/metrics")"
between 'every pair has its series' "$(grep -c '^ebb_active_connections{' "$scratch/metrics")" $((pairs + 1)) $((pairs + 1))
http_get /metrics --max-time 60 -H 'Accept-Encoding: gzip' -o /dev/null

# What was touched once counts for ever: from now on the peak is that of one more scrape.
for encoding in identity gzip; do
	echo 5 >"/proc/$agent/clear_refs"
	before=$(field VmRSS)
	begin=$(now_ms)
	http_get /metrics --max-time 60 -H "Accept-Encoding: $encoding" -o "$scratch/$encoding"
	took=$(($(now_ms) - begin)) more=$(($(field VmHWM) - before))
	echo "# a scrape of everything, $encoding: $took ms, $(stat -c %s "$scratch/$encoding") bytes, $more KB on top"
	between "$encoding: one more scrape takes less than 4 MB on top of what the first ones left (KB)" $more 0 4095
done
ebb list -o json >/dev/null
http_get /api/v1/destinations -o /dev/null --max-time 60
full=$(field RssAnon)
between 'anonymous memory of the agent is below 32 MB (KB)' "$full" 1 32767
echo "# RssAnon: empty $empty KB, full $full KB; maps $(($(metric 'ebb_memory_bytes{kind="maps"}') / 1024)) KB"

# It answers at real-time priority while it enforces, which the kernel takes away from who works 200 ms without a rest.
stop_agent
start_agent --mode enforce --destinations $destinations --pairs $pairs --endpoints 65536 --idle 1h
begin=$(now_ms)
scrape
echo "# a scrape of everything at real-time priority: $(($(now_ms) - begin)) ms"
# but for ebb_realtime_priority, which is there where it is wanted
is 'enforcing, it scrapes the same' "$(grep -v '^ebb_realtime_priority ' "$scratch/metrics" | grep -vc '^#')" "$series"
http_get /api/v1/destinations -o /dev/null --max-time 60
is 'and keeps its real-time priority' "$(chrt -p "$agent" | sed -n 's/.*scheduling policy: //p')" 'SCHED_RR|SCHED_RESET_ON_FORK'
stop_agent
ebb detach >/dev/null

done_testing

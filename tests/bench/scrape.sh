#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a scrape of about 10,000 series takes, as a client sees it: medians of 41, plain and compressed.
#
#	EBB_BUILD=build tests/bench/scrape.sh

# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

start_agent --destinations 4096 --pairs 16384 --endpoints 65536 --idle 1h
in_cgroup "$python" -S "$root/tests/lib/fill.py" 0 "${1:-106}" >/dev/null
# what the agent tells of its tables is as old as its last tick
found() { http_get /metrics -o "$scratch/metrics" && grep -q "^ebb_map_entries{map=\"pairs\"} ${1:-106}$" "$scratch/metrics"; }
wait_for 5 found "${1:-106}" || bail 'not all were found'
for encoding in identity gzip; do
	for _ in $(seq 41); do
		http_get /metrics -H "Accept-Encoding: $encoding" -o "$scratch/out" -w '%{time_total}\n'
	done | sort -n >"$scratch/times"
	echo "$encoding: $(grep -vc '^#' "$scratch/metrics") series, $(stat -c %s "$scratch/out") bytes," \
		"$(awk '{ t[NR] = $1 * 1000 } END { printf "median %.1f ms, from %.1f to %.1f", t[21], t[1], t[NR] }' "$scratch/times")"
done
echo "load $(cut -d ' ' -f 1 /proc/loadavg)"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 2,000 connections a second to 500 destinations, of which 60 fail and heal all the time, for DURATION (180 s; 'make soak': 20 min):
# nothing of the agent grows, no destination that is well is refused.
# deadline: 420

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

# seconds DURATION: 90s, 20m, 1h
seconds() {
	case $1 in
	*h) echo $((${1%h} * 3600)) ;;
	*m) echo $((${1%m} * 60)) ;;
	*) echo "${1%s}" ;;
	esac
}

duration=$(seconds "${DURATION:-180s}")
[[ $duration =~ ^[0-9]+$ ]] || bail "DURATION=$DURATION: like 90s, 20m or 1h"
places=500 failing=60 rate=${RATE:-2000}
# Where others use the processors, clients may be late. At a quarter each place still has one connection a second, so that each failure
# opens its breaker (three in a row) before the place heals.
least_rate=$((rate / 4))
# The default capacity: of it one workload may find a quarter, 1,024 destinations.
launch_options=()
memory_bound=$((32 << 20))
FAULT=6s WELL=20s HEALED=12s
open_for=1s open_max=5s

every=$((duration / 300))
start_world --every $((every < 1 ? 1 : every)) --samples "$scratch/samples" --counts "$scratch/counts" </dev/null
sleep "$duration" # this long is what it is about
judged=0
while read -r line; do
	case $line in
	'ok - '*) judged=$((judged + 1)) && ok "${line#*- }" ;;
	'not ok - '*) judged=$((judged + 1)) && not_ok "${line#*- }" ;;
	*) echo "# ${line#\# }" ;;
	esac
done < <("$python" -S "$chaos/soak.py" "$scratch/samples" "$least_rate" 2>&1)
is 'all of it was judged' "$judged" 8
survives 'at the end'
end_world
done_testing

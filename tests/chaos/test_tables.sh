#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent's tables and rings have no room: somebody fills the maps from outside, failures come faster than a stopped agent
# reads of them.
# deadline: 600

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

expected_errors='endpoint_table_full pair_table_full dst_table_full share_full event_lost unclassified route_invalid slot_invalid epoch_stale'
start_world </dev/null
rounds=$(often 1 5)

# ------------------------------------------------------------------------------ ring overrun --

scan() { in_cgroup -c "$1" timeout 120 "$python" -S "$root/tests/lib/scan.py" "$2"; }

ring_overrun() {
	local failures lost
	failures=$(often 14000 100000)
	lost=$(metric ebb_events_lost_total)
	kill -STOP "$agent"
	is 'ring overrun: a scanner is not refused' "$(scan scanner "$failures")" "refused=$failures"
	kill -CONT "$agent"
	check 'ring overrun: the agent answers' wait_for 20 is_ready
	lost_some() { [ "$(metric ebb_events_lost_total)" -gt "$lost" ]; }
	check 'ring overrun: what was lost is counted' wait_for 10 lost_some
	echo "# lost: $(($(metric ebb_events_lost_total) - lost))"
	# for a minute health tells of it, and of the scanner's share as long as it is full
	survives 'ring overrun'
}
# what these faults are about
is_well() { is_ready && ! ill | tr ' ' '\n' | grep -qvx 'tables\|events\|'; }
for ((i = 0; i < rounds && i < 3; i++)); do ring_overrun; done

# -------------------------------------------------------------------------------- maps filled --

maps=("$pin"/ebb_{endpoint,pair,wload,found,lost,port,lookup,own}_v*)
# reaches ADDRESS: somebody new, somewhere new, is let through
reaches_new() { [ "$(in_cgroup -c "new$1" "$python" -S "$root/tests/lib/connect.py" "127.9.$1.1" "$port")" = OK ]; }
knows() { ebb list -o json | grep -q "127\.9\.$1\.1:"; }

maps_filled() {
	local n=$1
	note <<<"$("$python" -S "$chaos/junk.py" fill "${maps[@]}")"
	check 'maps filled: what is new is reached' reaches_new "$((2 * n))"
	survives 'maps filled'
	end "$agent" KILL
	launch
	survives 'maps filled, and another agent'
	note <<<"$("$python" -S "$chaos/junk.py" empty "${maps[@]}")"
	check 'maps emptied: what is new is reached' reaches_new "$((2 * n + 1))"
	knows_soon() { reaches_new "$((2 * n + 1))" && knows "$((2 * n + 1))"; }
	check 'maps emptied: and known' wait_for 30 knows_soon
	survives 'maps emptied'
}
start_server --address 0.0.0.0
for ((i = 0; i < rounds; i++)); do maps_filled "$i"; done

end_world
done_testing

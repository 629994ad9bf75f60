#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ruling_6: a black hole is noticed by its SYN retransmissions (syn_retries, 2: about 3 s, 2 s from 6.5 on), not after the two
# minutes that TCP takes. That is the attempt's one result, even if it is established later.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

make_network
start_server --netns "$peer" --address 10.9.8.2
target=10.9.8.2:$port/tcp

cat >"$EBB_CONFIG" <<'Y'
mode: enforce
defaults:
  breaker: {consecutive_failures: 3, open_for: 500ms, open_max: 1s, probes: 2, close_after: 1}
Y
start_agent --config "$EBB_CONFIG"

outcomes() {
	ebb show "$target" -o json | json '" ".join(f"{k}={v}" for k, v in d["workloads"][0]["outcomes"].items() if v)'
}
have_outcomes() { [ "$(outcomes)" = "$1" ]; }
transitions() {
	ebb show "$target" -o json | json '" ".join(t["reason"] for t in d["gates"][0]["transitions"])'
}

is 'it can be reached' "$(connect_in "$client" 10.9.8.2 "$port")" OK
nsenter --net="/run/netns/$peer" nft "add table ip hole; add chain ip hole lost { type filter hook input priority 0; };
	add rule ip hole lost tcp dport $port drop" || bail 'nft takes no rules'

# Three that would wait for longer than this test lasts. One stays on to the end.
begin=$(now_ms)
connect_in "$client" --timeout 30 10.9.8.2 "$port" >"$scratch/stays" &
stays=$!
for _ in 1 2; do background setpriv sh -c "echo \$\$ >$cgroup/cgroup.procs; exec nsenter --net=/run/netns/$client \
	$python -S $root/tests/lib/connect.py --timeout 30 10.9.8.2 $port" >/dev/null; done
check 'it opens' wait_for 8 is_state "$target" open
between 'after 2 s (from 6.5 on) or 3 s, ms' "$(($(now_ms) - begin))" 1800 4500
is 'each has failed by timeout' "$(outcomes)" 'established=1 timeout=3'
check 'the log says so' wait_for 5 logged 'to=open reason=consecutive_failures .*last_failure=timeout'

# Half-open: two probes, each given up as soon, and not after their lease of 10 s.
check 'its time is over' wait_for 5 is_state "$target" half_open
for _ in 1 2; do background setpriv sh -c "echo \$\$ >$cgroup/cgroup.procs; exec nsenter --net=/run/netns/$client \
	$python -S $root/tests/lib/connect.py --timeout 30 10.9.8.2 $port" >/dev/null; done
probed() { [[ "$(transitions)" == *probes_failed* ]]; }
check 'the probes fail' wait_for 8 probed
between 'before their lease is over, ms' "$(($(now_ms) - begin))" 4000 9500
is 'each with one outcome' "$(outcomes)" 'established=1 timeout=5'

# The hole is filled: those that still wait are established, and nothing comes of it.
nsenter --net="/run/netns/$peer" nft delete table ip hole
wait "$stays"
is 'one that waited is established after all' "$(cat "$scratch/stays")" OK
idle() { [ "$(gate "$target" 'd["active"]')" = 0 ]; }
check 'all are done' wait_for 15 idle
refute 'its outcome is the one it had' have_outcomes 'established=2 timeout=5'
is 'no attempt has two' "$(outcomes)" 'established=1 timeout=5'
is 'a late success closes nothing' "$(transitions | grep -c probes_succeeded)" 0
reached() { [ "$(connect_in "$client" 10.9.8.2 "$port")" = OK ] && is_state "$target" closed; }
check 'a new one does' wait_for 10 reached

done_testing

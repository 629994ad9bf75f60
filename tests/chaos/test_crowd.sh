#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Workloads that are many or mean it: pods that come and go by the thousand, more DNS answers than anybody reads, one that answers
# itself garbage, floods connects and opens as many sockets as it can, while the others want to be served.
# deadline: 900

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# The name server is in a resolv.conf of the test's own.
[ -n "${TEST_MOUNTS:-}" ] || TEST_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

echo 'nameserver 10.9.8.2' >"$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf || bail 'cannot have a resolv.conf of its own'

kube=$scratch/kube
mkdir -p "$kube/pods"
echo token >"$kube/token"
echo ok >"$kube/mode"
"$root/tests/lib/certificates.sh" "$scratch" || bail 'no certificates'
background "$python" -S "$root/tests/lib/fake_kube.py" "$kube" "$scratch/server.pem" "$scratch/server.key" >"$scratch/kube.port" 2>"$scratch/kube.err"
wait_for 10 test -s "$scratch/kube.port" || bail "no API server: $(cat "$scratch/kube.err")"
cp "$kube/token" "$scratch/token"

# For the pairs of those that are gone; the pairs of the load stay in use.
launch_options=(--destinations 256 --pairs 1024 --endpoints 1024)
# With 1,024 pods that are gone.
memory_bound=$((40 << 20))
# New destinations of a workload that has its share, and pairs that find no room, are counted together: let through.
expected_errors='share_full pair_table_full dst_table_full endpoint_table_full unclassified dns_lost event_lost lease_expired'
start_world <<-YAML
	kubernetes: {source: api, api: "https://127.0.0.1:$(cat "$scratch/kube.port")", node: node-1, token_file: $scratch/token, ca_file: $scratch/ca.pem}
YAML
# told for a minute, or while it is so
is_well() { is_ready && ! ill | tr ' ' '\n' | grep -qvx 'tables\|events\|names\|'; }

in_client() { nsenter --net="/run/netns/$client" setpriv --pdeathsig KILL "$python" -S "$chaos/crowd.py" "$@"; }
in_peer() { nsenter --net="/run/netns/$peer" setpriv --pdeathsig KILL "$python" -S "$chaos/crowd.py" "$@"; }
hostile() { mkdir -p "$cgroup/$1" && echo "$cgroup/$1"; }

# -------------------------------------------------------------------------------------- pods --

# Those that are gone are known for ten minutes more, but no more than 1,024 of all; the first half fills that and other tables, so the
# second must not take much more.
pods_come_and_go() {
	local half out first after=()
	half=$(often 200 5000)
	for first in $(often 0 "0 $half"); do
		# a server that is always well
		out=$(in_client pods "$cgroup" "$kube" "$first" "$half" 10.9.8.2 20015 2>&1)
		like "$half pods from $first on: each is served" "$out" "^pods=$half reached=$half "
		echo "# $out"
		remove_cgroup_tree "$cgroup/kubepods"
		check 'pods are forgotten' wait_for 60 no_pod_is_shown
		survives 'pods came and went'
		after+=("$(watched 'd["anonymous"]')")
	done
	[ "${CHAOS:-}" != full ] || between 'the second half takes no more memory than the first did, in bytes' $((after[1] - after[0])) 0 $((2 << 20))
}
no_pod_is_shown() { ! http_get /metrics | grep -q 'namespace="team-'; }

# -------------------------------------------------------------------------------------- names --

dns_flood() {
	local seconds asking
	seconds=$(often 2 30)
	in_peer answers $((seconds + 4)) 10.9.8.2 10.9.8.2 >"$scratch/answers" &
	started+=("$!")
	wait_for 10 test -s "$scratch/answers" || bail 'no name server'
	asking=$(in_client ask "$(hostile asks)" "$seconds" 10.9.8.2)
	echo "# DNS flood: $asking"
	like 'DNS flood: answers came' "$asking" ' got=[0-9]{3,}$'
	survives 'DNS flood' 60
}

garbage_names() {
	local out
	out=$(in_client names "$(hostile liar)" "$(often 1 30)" 10.9.8.2 2>&1)
	echo "# garbage to itself: $out"
	like 'garbage to itself: it was sent' "$out" '^sent=[0-9]{3,} '
	refute 'garbage to itself: nobody believes it' ebb show evil.test
	is 'garbage to itself: no name of it is shown' "$(ebb list -o json | grep -c 'evil\.test')" 0
	survives 'garbage to itself'
}

# ------------------------------------------------------------------------------------ sockets --

connect_flood() {
	local out
	out=$(in_client flood "$(hostile flooder)" "$(often 1 30)" 10.9.8.2 20014)
	echo "# flood of connects: $out"
	like 'flood of connects: it was one' "$out" '^begun=[0-9]{4,} '
	survives 'flood of connects' 40
}

many_sockets() {
	local sockets holder before
	sockets=$(often 5000 100000)
	in_peer accept 10.9.8.2 30001 30002 30003 30004 30005 30006 30007 30008 >"$scratch/accepts" &
	started+=("$!")
	wait_for 10 test -s "$scratch/accepts" || bail 'nobody takes sockets'
	before=$(count well_ok)
	in_client open "$(hostile opener)" "$sockets" 10.9.8.2 30001 30002 30003 30004 30005 30006 30007 30008 >"$scratch/open" &
	holder=$!
	started+=("$holder")
	check "$sockets sockets are open" wait_for 200 grep -q "^open=$sockets " "$scratch/open"
	echo "# $(cat "$scratch/open")"
	are_counted() { [ "$(active_of opener)" = "$sockets" ]; }
	check 'all of them are counted' wait_for 20 are_counted
	check 'what is well is reached meanwhile' wait_for 10 have_grown well_ok "$before"
	echo 1 >"$cgroup/opener/cgroup.kill"
	end "$holder" KILL
	are_gone() { [ "$(active_of opener)" = 0 ]; }
	check 'when it is killed, none is' wait_for 60 are_gone
	survives "$sockets sockets"
}
active_of() { http_get /metrics | awk -v w="/$1\"" 'index($0, "ebb_active_connections{") == 1 && index($0, w) { sum += $2 } END { print sum + 0 }'; }

pods_come_and_go
dns_flood
garbage_names
connect_flood
many_sockets

end_world
umount /etc/resolv.conf
done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the agent has in the kernel is taken away or joined by others while there is load: its pins, the file system of its pins,
# programs of others before and after its own, a cgroup below the governed one, the governed one itself.
# deadline: 900

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
[ -n "${TEST_MOUNTS:-}" ] || TEST_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

# A bpffs that is ours alone.
mkdir "$scratch/bpf"
mount_bpf() { mount -t bpf -o mode=700 ebb-test "$scratch/bpf"; }
mount_bpf || bail 'cannot mount a bpffs'
pin=$scratch/bpf/ebb
blind=1
# A probe that ends while nobody looks keeps its slot until its lease is over, which is 30 s for one that was established; when
# that happens to all three of them, its destination waits for it.
HEALED=35s
expected_errors='gauge_underflow gauge_corrected'
start_world </dev/null

pins() { find "$pin" -mindepth 1 2>/dev/null | sort; }
all_pins=$(pins)
has_pins() { [ "$(pins)" = "$all_pins" ]; }
attached() { bpftool cgroup show "$cgroup" | grep -c ebb_; }
is_attached() { [ "$(attached)" = "$1" ]; }
rounds=$(often 1 5)
programs=$(attached)

# -------------------------------------------------------------------------------------- pins --

pins_deleted() {
	rm -r "${pin:?}"
	check 'pins deleted: they come back' wait_for 40 has_pins
	check 'pins deleted: every program is there, once' wait_for 20 is_attached "$programs"
	survives 'pins deleted'
}
# a new bpffs, below, has no pins either; tests/e2e/test_health.sh deletes some, and all
if [ "${CHAOS:-}" = full ]; then
	for ((i = 0; i < rounds; i++)); do pins_deleted; done
fi

# ------------------------------------------------------------------------------ bpffs unmounted --

bpffs_unmounted() {
	local ok
	ok=$(count well_ok)
	umount -l "$scratch/bpf"
	check 'bpffs unmounted: what is well is reached' wait_for 10 have_grown well_ok "$ok"
	check 'bpffs unmounted: it is told' wait_for 40 pins_are_ill
	mount_bpf
	check 'bpffs mounted again: pins come back' wait_for 60 has_pins
	check 'bpffs mounted again: every program is there, once' wait_for 20 is_attached "$programs"
	survives 'bpffs mounted again'
	end "$agent" KILL
	launch
	survives 'bpffs mounted again, and an agent that finds its pins there'
	check 'bpffs mounted again: the maps are those of before' logged 'maps="?taken over'
}
pins_are_ill() {
	curl -sS --max-time 5 "http://$address/health" | json 'd["components"]["pins"]["state"] + d["components"]["programs"]["state"]' | grep -q 'degraded\|unhealthy'
}
for ((i = 0; i < rounds && i < 5; i++)); do bpffs_unmounted; done

# ------------------------------------------------------------------------------ other programs --

# Of tests/bpf/others.bpf.c: one arms every callback of every socket, one refuses 127.0.0.3, one rewrites 127.0.0.2.
others_object=$EBB_BUILD/tests/bpf/others.bpf.o
others=$scratch/bpf/others
mkdir "$others"
bpftool prog loadall "$others_object" "$others" || bail 'the programs of others do not load'
other() { # VERB
	local program
	for program in test_rewrite test_refuse; do bpftool cgroup "$1" "$cgroup" connect4 pinned "$others/$program" ${2:+multi}; done
	bpftool cgroup "$1" "$cgroup" sock_ops pinned "$others/test_arm_all" ${2:+multi}
}

others_attached() {
	other attach multi
	check 'others after us: they are there' wait_for 5 is_attached "$programs"
	survives 'others after us'
	# now they are first: ours are taken away, and come back behind them
	rm "$pin"/link_*
	check 'others before us: every program of ours is there, once' wait_for 40 is_attached "$programs"
	survives 'others before us'
	other detach
	survives 'others gone'
}
for ((i = 0; i < rounds; i++)); do others_attached; done

# ------------------------------------------------------------------------------------ cgroups --

# A child with a program that connects, which is killed; then the child is gone.
cgroup_removed() {
	local n=$1
	in_cgroup -c "child$n" nsenter --net="/run/netns/$client" "$python" -S "$root/tests/lib/connect.py" --count 0 --sum 10.9.8.2 20015 >/dev/null &
	is_connecting() { [ "$(http_get /metrics | grep -c "^ebb_connects_total{.*/child$n\"")" -gt 0 ]; }
	check 'a cgroup below: it is seen' wait_for 20 is_connecting
	echo 1 >"$cgroup/child$n/cgroup.kill"
	{ wait "$!"; } 2>/dev/null # the shell tells of it
	remove_cgroups "$cgroup/child$n"
	refute 'a cgroup below: it is gone' test -d "$cgroup/child$n"
}
for ((i = 0; i < rounds; i++)); do cgroup_removed "$i"; done
survives 'cgroups removed'

end_world

# In a short round tests/e2e/test_health.sh does that.
if [ "${CHAOS:-}" != full ]; then
	umount -l "$scratch/bpf"
	done_testing
fi

# The governed one, by an agent of its own: it says what is lost; when the cgroup is there again, so is all else.
mkdir "$cgroup-slice"
cgroup=$cgroup-slice
launch_agent --mode enforce --pin "$pin" --listen "$listen" --errno ehostunreach --breaker consecutive_failures=3,open_for=5m,open_max=5m
address=$listen
check 'the governed cgroup: all is well at first' wait_for 20 is_ready
rmdir "$cgroup"
is_unready() { [ "$(http_status /health/ready)" = 503 ]; }
check 'the governed cgroup removed: not ready' wait_for 20 is_unready
mkdir "$cgroup"
check 'the governed cgroup is there again: ready' wait_for 40 is_ready
start_server
stop_server
is 'the governed cgroup is there again: what fails is refused' \
	"$(connect --count 5 127.0.0.1 "$port" | uniq -c | awk '{ printf "%s=%s ", $2, $1 }')" 'ECONNREFUSED=3 EHOSTUNREACH=2 '
stop_agent
ebb detach >/dev/null
umount -l "$scratch/bpf"
done_testing

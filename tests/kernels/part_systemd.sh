# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# The unit under a real systemd, enabled, over cgroup2 and nothing else: it was started by the boot.
property() { systemctl show -p "$1" --value ebb; }
active() { [ "$(systemctl is-active ebb)" = active ]; }
given_up() { [ "$(systemctl is-active ebb)" = failed ]; }
tried() { active || given_up; }
journal() { journalctl -u ebb --no-pager -o cat; }

check 'systemd is the first process' test "$(cat /proc/1/comm)" = systemd
check 'there is cgroup2 and nothing else' test "$(sed 's|:/.*||' /proc/self/cgroup)" = 0:
refute 'no other hierarchy is mounted' grep -q ' cgroup ' /proc/mounts
wait_for 600 tried
check 'the boot has started ebb, which said that it is ready' active
journal >/tmp/log
check 'its state is told' test "$(property StatusText)" = 'mode=enforce configuration=1'
check 'it is attached where all is below' grep -q ' started: .*cgroup=/sys/fs/cgroup ' /tmp/log
pid=$(property MainPID)
# NET_ADMIN 12, PERFMON 38, BPF 39
check 'it has what it needs and no more' test "$(awk '/^CapEff:/ { print $2 }' "/proc/$pid/status")" = 000000c000001000
figures "$pid"
governs
check 'it is reloaded' systemctl reload ebb
check 'and says so' wait_for 60 sh -c 'systemctl show -p StatusText --value ebb | grep -q configuration=2'
check 'it stops' systemctl stop ebb
check 'and ends well' test "$(property Result) $(property ExecMainStatus)" = 'success 0'
check 'what is pinned goes on' test -e /sys/fs/bpf/ebb
check 'detach' ebb detach
check 'nothing is left' wait_for 30 no_trace
refute 'nothing of it runs' pgrep ebb
journal >/tmp/log
# what else it may warn of hangs on how fast an emulated machine is
refute 'nothing that it tried was forbidden' grep -i 'not permitted' /tmp/log

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A machine within the machine, for tests of what is installed: systemd as process 1 over a copy of this root
# (an overlay that is gone afterwards), with its own processes, mounts, network, cgroups, BPF file system. What
# the host has installed is installed there, what is written there stays there. Kernel settings are read-only.
#
# Source after e2e.sh: the machine lives in $scratch and $cgroup, and ends with the test.
# scratch, cgroup: of e2e.sh
# shellcheck disable=SC2154
#
#	start_machine
#	in_machine systemctl start ebb
#
# Several have names, and cgroups below ours; $machine says which one is spoken to.

machine=''            # pid of its process 1, as seen from here

# Runs as the first process of the new namespaces, and becomes systemd.
# shellcheck disable=SC2016
machine_boot='
set -e
dir=$1 root=$1/root
mount -t tmpfs -o mode=755 none "$dir"
mkdir "$dir/upper" "$dir/work" "$root"
mount -t overlay -o lowerdir=/,upperdir="$dir/upper",workdir="$dir/work" none "$root"
mount -t proc none "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro none "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t bpf -o mode=700 none "$root/sys/fs/bpf"
for place in run tmp dev; do mount -t tmpfs -o mode=755 none "$root/$place"; done
chmod 1777 "$root/tmp"
rm -rf "$root"/{etc,var/lib}/ebb "$root"/usr/{,local/}sbin/ebb "$root/var/log/journal" "$root/usr/sbin/policy-rc.d"
mkdir "$root/dev/pts" "$root/dev/shm" "$dir/root/old"
mount -t devpts -o newinstance,ptmxmode=666 none "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for node in null zero full random urandom tty; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
# nothing of the host starts by itself, and nothing that would set up a real machine
rm -rf "$root"/lib/systemd/system/{sysinit,basic,local-fs,multi-user}.target.wants "$root"/etc/systemd/system/*.wants
cat >"$root/etc/systemd/system/machine.target" <<-UNIT
	[Unit]
	DefaultDependencies=no
	Wants=systemd-journald.service
	UNIT
ip link set lo up
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
exec env -i container=ebb-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
	/lib/systemd/systemd --system --unit=machine.target --show-status=no --log-target=journal
'

# the one child of unshare
find_machine() {
	machine=$(tr -d ' ' <"/proc/$machine_keeper/task/$machine_keeper/children")
	[ -n "$machine" ]
}
machine_is_up() { in_machine systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; }

# in_machine COMMAND...
in_machine() {
	nsenter --target="$machine" --mount --pid --net --cgroup --uts --ipc --root="/proc/$machine/root" \
		--wd="/proc/$machine/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root TERM=dumb \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# start_machine [NAME]: and waits until it is up.
start_machine() {
	launch_machine "$@"
	machine_comes_up
}

# launch_machine [NAME]: waits for nothing but its first process.
launch_machine() {
	machine_place=$scratch/machine${1:+-$1}
	mkdir -p "$machine_place" "$cgroup${1:+/$1}"
	# shellcheck disable=SC2016
	background bash -c 'echo $$ >"$0/cgroup.procs"
		exec unshare --cgroup --mount --pid --net --ipc --uts --fork --kill-child --propagation=private \
			bash -c "$1" machine "$2"' "$cgroup${1:+/$1}" "$machine_boot" "$machine_place" >"$machine_place.log" 2>&1
	machine_keeper=$!
	wait_for 20 find_machine || bail "no machine: $(cat "$machine_place.log")"
}

# The one that $machine says.
machine_comes_up() {
	if ! wait_for 30 machine_is_up; then
		cat "$scratch"/machine*.log | note
		in_machine systemctl list-jobs | note
		bail 'systemd does not come up'
	fi
}

stop_machine() { end "$machine_keeper" KILL; }

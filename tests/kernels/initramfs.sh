# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a virtual machine boots from, as layers (cpio archives, one behind the other): programs of this machine
# with their libraries. Not compressed: an emulated processor takes longer to unpack it than to read it.
# Source it. here, root, build, scratch: of run.sh.
# shellcheck disable=SC2154

needs() { ldd "$1" 2>/dev/null | awk '/=> \//{ print $3 } /ld-linux/{ print $1 }'; }

# with_libraries DIR FILE...: files of this machine to the same place below DIR, with what they need.
with_libraries() {
	local dir=$1 file
	shift
	for file; do
		echo "$file"
		needs "$file"
	done | sort -u | while read -r file; do
		[ -e "$dir$file" ] || install -D "$file" "$dir$file" || return 1
	done
}

pack() { (cd "$1" && find . | cpio -o -H newc --quiet); }

# A library that is loaded on use.
loaded_on_use() { ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }'; }

# ebb as it is installed, busybox, and real clients and servers.
base_layer() {
	local dir=$scratch/base.d name
	mkdir -p "$dir"/{bin,dev,proc,sys,tmp,run,etc,root,var/{lib,log,tmp}}
	install -D "$build/ebb" "$dir/usr/sbin/ebb" || return 1
	install -D -m 644 "$root/deploy/systemd/ebb.service" "$dir/lib/systemd/system/ebb.service" || return 1
	cp "$(command -v busybox)" "$build/tests/kernels/programs" "$dir/bin/"
	install -D -m 644 "$here/ebb.yaml" "$dir/etc/ebb/ebb.yaml"
	cp "$here/guest.sh" "$dir/init"
	cp "$here"/part_*.sh "$dir/"
	chmod +x "$dir/init"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$dir/etc/passwd"
	echo 'root:x:0:' >"$dir/etc/group"
	with_libraries "$dir" "$dir/usr/sbin/ebb" "$dir/bin/programs" "$(loaded_on_use libldns.so.3)" "$(loaded_on_use libsqlite3.so.0)" || return 1
	rm -rf "${dir:?}$scratch"
	# busybox has an ip and a tc of its own, and its shell knows no others
	mkdir "$dir/real"
	for name in curl nginx ip tc; do
		with_libraries "$dir" "$(command -v "$name")" || return 1
		ln -s "$(command -v "$name")" "$dir/real/$name"
	done
	pack "$dir"
}

# systemd as process 1, with its journal, and nothing that sets up a real machine.
systemd_layer() {
	local dir=$scratch/systemd.d lib=/lib/systemd unit
	mkdir -p "$dir$lib/system/multi-user.target.wants" "$dir/etc/systemd"
	with_libraries "$dir" $lib/systemd $lib/systemd-journald "$(command -v systemctl)" "$(command -v journalctl)" || return 1
	cp -a $lib/system/*.target $lib/system/systemd-journald* "$dir$lib/system/"
	ln -sf multi-user.target "$dir$lib/system/default.target"
	mkdir "$dir$lib/system/sysinit.target.wants"
	ln -s ../systemd-journald.service ../systemd-journald.socket ../systemd-journald-dev-log.socket "$dir$lib/system/sysinit.target.wants/"
	for unit in ebb guest; do
		ln -s "../$unit.service" "$dir$lib/system/multi-user.target.wants/"
	done
	cat >"$dir$lib/system/guest.service" <<-'UNIT'
		[Unit]
		DefaultDependencies=no
		[Service]
		ExecStart=/init
		TimeoutStopSec=1s
		UNIT
	# emulated, and on a machine that has other work
	printf '[Manager]\nDefaultTimeoutStartSec=600\nDefaultTimeoutStopSec=120\nShowStatus=no\n' >"$dir/etc/systemd/system.conf"
	mkdir "$dir$lib/system/ebb.service.d"
	printf '[Service]\nWatchdogSec=300s\n' >"$dir$lib/system/ebb.service.d/slow.conf"
	: >"$dir/etc/machine-id"
	pack "$dir"
}

# modules DIR: of an unpacked kernel package, those that guest.sh loads.
modules() {
	local dir=$scratch/modules.$BASHPID file name
	mkdir -p "$dir/modules"
	for name in inet_diag tcp_diag veth sch_netem; do
		file=$(find "$1" -name "$name.ko*")
		case $file in
		'') ;;
		*.xz) xz -dc "$file" >"$dir/modules/$name.ko" ;;
		*) cp "$file" "$dir/modules/" ;;
		esac
	done
	pack "$dir"
}

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent on other kernels: each boots in a virtual machine with ebb and little else, and the guest
# (guest.sh) tells how it went. Emulated, so that it runs where there is no /dev/kvm: no speed is measured.
# deadline: 1500
#
# usage: tests/kernels/run.sh [SERIES[:PARTS]...]     of kernels.txt; without: all of them, as they stand there
#
# What a machine said stays in build/kernels/RELEASE.console, what its verifier said in RELEASE.figures, how
# it went in RELEASE.tried: 'make baseline' writes the last two down.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
build=${EBB_BUILD:-build}
case $build in /*) ;; *) build=$root/$build ;; esac
images=${EBB_KERNELS:-$build/kernels}
python=${PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d)
machines=()
trap 'kill "${machines[@]}" 2>/dev/null; wait; rm -rf "$scratch"' EXIT
trap 'exit 143' HUP INT TERM
number=0
failures=0
mkdir -p "$images"

# shellcheck source=packages.sh
. "$here/packages.sh"
# shellcheck source=initramfs.sh
. "$here/initramfs.sh"

# result STATUS NAME
result() {
	number=$((number + 1))
	[ "$1" = 0 ] || failures=$((failures + 1))
	echo "$([ "$1" = 0 ] || echo 'not ')ok $number - $2"
}

# boot DIR SUITE PARTS PATTERN...: becomes the machine; leaves in DIR what the machine said, and of which release it is.
boot() {
	local dir=$1 suite=$2 parts=$3 package image kernel release init=/init
	shift 3
	package=$(newest "$suite" "$@") && image=$(unpacked "$suite" "$package") || return
	kernel=$(find "$image" -name 'vmlinuz*' -type f)
	release=${kernel##*/vmlinuz-}
	[ "$release" != "$kernel" ] || release=$(basename "$(dirname "$kernel")")
	[[ $parts != *systemd* ]] || init=/lib/systemd/systemd
	[[ $parts != *netem* || $package != linux-binary-* ]] ||
		image=$(unpacked "$suite" "${package/binary/modules}") || return
	cat "$scratch/base" "$scratch/systemd" >"$dir/initramfs"
	modules "$image" >>"$dir/initramfs" || return
	echo "$release" >"$dir/release"
	exec setpriv --pdeathsig TERM timeout 700 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 2048 -smp 2 -kernel "$kernel" -initrd "$dir/initramfs" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check $clock rdinit=$init parts=$parts" \
		-nographic -no-reboot -nodefaults -serial stdio </dev/null >"$dir/console" 2>&1
}

# judge DIR SERIES SUITE PARTS
judge() {
	local dir=$1 series=$2 suite=$3 parts=$4 before=$number failed_before=$failures release said verdict name
	if [ ! -s "$dir/release" ]; then
		if [ "$suite" = - ]; then
			result 1 "$series: there is such a kernel"
		else # a mirror need not have what this machine does not use
			result 0 "$series: there is such a kernel # SKIP nothing of $suite is in reach"
		fi
		sed 's/^/# /' "$dir/log"
		return
	fi
	release=$(cat "$dir/release")
	sed -i 's/\r//g' "$dir/console"
	cp "$dir/console" "$images/$release.console"
	while read -r verdict name; do
		result "$([ "$verdict" = yes ]; echo $?)" "$release: $name"
	done < <(sed -nE 's/^.*guest: (yes|no) /\1 /p' "$dir/console")
	sed -n 's/^.*guest: note /# /p' "$dir/console"
	grep -q 'guest: yes it has come to its end' "$dir/console"
	result $? "$release: the whole of it was tried"
	# a kernel that ends says so on the console
	! grep -E 'BUG:|WARNING:|Oops|Kernel panic' "$dir/console" >/dev/null
	result $? "$release: the kernel has no complaints"
	# before what programs cost is held against the baseline, which may be about to be renewed by both files
	{
		echo "$suite $parts $((number - before)) $((failures - failed_before))"
		sed -n 's/^.*guest: note //p' "$dir/console"
	} >"$images/$release.tried"
	if grep -q 'guest: figure ' "$dir/console"; then
		sed -n 's/^.*guest: figure //p' "$dir/console" | sort >"$images/$release.figures"
		said=$(EBB_BUILD=$build "$python" "$here/baseline.py" check --kernel "$release" "$images/$release.figures" 2>&1)
		result $? "$release: no program costs the verifier more than it did"
		[ -z "$said" ] || echo "# ${said//$'\n'/$'\n# '}"
	fi
	[ "$failures" = "$failed_before" ] || tail -80 "$dir/console" | sed 's/^/# /'
}

if ! base_layer >"$scratch/base" || ! systemd_layer >"$scratch/systemd"; then
	echo 'Bail out! no initramfs can be made'
	exit 1
fi
table=$(grep -v '^ *#' "$here/kernels.txt")
chosen=("$@")
[ $# -gt 0 ] || mapfile -t chosen < <(awk '{ print $1 }' <<<"$table")

# Two at a time: much of what they do is to wait.
# Of a machine that waits for a processor: its time is the emulator's, and not what it once measured of a counter while it
# waited (seen: 26 times too fast); and that it waited is no complaint.
clock='clocksource=hpet tsc=unstable nowatchdog rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0'
begun=()
for one in "${chosen[@]}"; do
	read -r series suite parts patterns < <(awk -v series="${one%%:*}" '$1 == series' <<<"$table")
	[ -n "${series:-}" ] || { echo "Bail out! kernels.txt has no $one"; exit 1; }
	[[ $one != *:* ]] || parts=${one#*:}
	dir=$scratch/${#begun[@]}
	mkdir "$dir"
	[ "$(jobs -pr | wc -l)" -lt 2 ] || wait -n
	# shellcheck disable=SC2086  # a list of words
	boot "$dir" "$suite" "$parts" $patterns >"$dir/log" 2>&1 &
	machines+=("$!")
	begun+=("$series $suite $parts")
done
wait
for i in "${!begun[@]}"; do
	# shellcheck disable=SC2086  # a list of words
	judge "$scratch/$i" ${begun[i]}
done
echo "1..$number"
[ "$failures" = 0 ]

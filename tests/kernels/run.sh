#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent on other kernels: each boots in a virtual machine with nothing but busybox and ebb, and the guest
# (guest.sh) tells how it went. Emulated, so that it runs where there is no /dev/kvm: nothing here is measured.
# deadline: 900
#
# usage: tests/kernels/run.sh EBB PATTERN...     patterns of Debian's image packages; the newest of each is taken
set -uo pipefail

ebb=$1
shift
here=$(dirname "$0")
images=${EBB_KERNELS:-build/kernels}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
number=0
failed=0

# result STATUS NAME
result() {
	number=$((number + 1))
	[ "$1" = 0 ] || failed=1
	echo "$([ "$1" = 0 ] || echo 'not ')ok $number - $2"
}

# image PATTERN: prints the kernel's path; it is downloaded once.
image() {
	local package
	package=$(apt-cache search --names-only "^$1\$" | awk '{print $1}' | sort -V | tail -1)
	[ -n "$package" ] || return 1
	if [ ! -d "$images/$package" ]; then
		mkdir -p "$images/$package.part"
		(cd "$images/$package.part" && apt-get -q -o APT::Sandbox::User=root download "$package" &&
			dpkg-deb -x "$package"_*.deb . && rm -f -- *.deb) >"$scratch/apt" 2>&1 || return 1
		mv "$images/$package.part" "$images/$package"
	fi
	echo "$images/$package"/boot/vmlinuz-*
}

needs() { ldd "$1" | awk '/=> \//{print $3} /ld-linux/{print $1}'; }

# What the agent needs to be started elsewhere, and what it loads on use.
libraries() {
	local name path
	needs "$1"
	for name in libldns.so.3 libsqlite3.so.0; do
		path=$(ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }')
		[ -z "$path" ] || { echo "$path"; needs "$path"; }
	done
}

initramfs() {
	local root=$scratch/root file
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,var/lib,etc}
	cp "$(command -v busybox)" "$ebb" "$root/bin/"
	cp "$here/guest.sh" "$root/init"
	chmod +x "$root/init"
	libraries "$ebb" | sort -u | while read -r file; do
		install -D "$file" "$root$file"
	done
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$scratch/initramfs"
}

initramfs || { echo 'Bail out! no initramfs can be made'; exit 1; }
for pattern in "$@"; do
	kernel=$(image "$pattern") || { result 1 "$pattern: there is such a package"; sed 's/^/# /' "$scratch/apt"; continue; }
	release=${kernel##*/vmlinuz-}
	timeout 400 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 2048 -smp 2 -kernel "$kernel" \
		-initrd "$scratch/initramfs" -append 'console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check' \
		-nographic -no-reboot -nodefaults -serial stdio </dev/null 2>&1 | tr -d '\r' >"$scratch/console"
	cp "$scratch/console" "$images/$release.console" # to be looked at
	while read -r verdict name; do
		result "$([ "$verdict" = yes ]; echo $?)" "$release: $name"
	done < <(sed -n 's/^.*guest: //p' "$scratch/console")
	grep -q 'guest: yes it has come to its end' "$scratch/console"
	result $? "$release: the whole of it was tried"
	# a kernel that ends says so on the console
	! grep -E 'BUG:|WARNING:|Oops|Kernel panic' "$scratch/console" >"$scratch/complaints"
	result $? "$release: the kernel has no complaints"
	[ "$failed" = 0 ] || tail -60 "$scratch/console" | sed 's/^/# /'
done
echo "1..$number"
exit "$failed"

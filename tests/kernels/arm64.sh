#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ebb for arm64: built by a cross compiler in a Debian of its own, then run in an emulated machine with Debian's arm64 kernel,
# where guest.sh tells how it went, as on the kernels of run.sh.
# deadline: 1800
#
# usage: tests/kernels/arm64.sh          root, the network, 2 GB below build/arm64 that stay for the next time; 'make test-arm64'
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../lib/tap.sh
. tests/lib/tap.sh

build=${EBB_BUILD:-build}
mkdir -p "$build/arm64"
work=$(cd "$build/arm64" && pwd)
debian=$work/debian
guest=$work/guest
console=$work/console
emulator=$(command -v qemu-aarch64-static)

bail() {
	echo "Bail out! $*"
	exit 1
}

# What the Makefile wants, of which what is linked is the other architecture's.
packages() {
	local -a native=(make git gcc-aarch64-linux-gnu libc6-dev-arm64-cross clang-16 llvm-16 bpftool pkg-config python3 sqlite3 cpio) foreign=()
	mapfile -t foreign < <(make -s --no-print-directory -f Makefile -f - deps-build-list <<<$'deps-build-list:\n\t@printf "%s\\\\n" $(DEPS_BUILD)' |
		grep -E '^lib.*-dev$' | sed 's/$/:arm64/')
	(IFS=, && echo "${native[*]},uthash-dev,libcmocka-dev:arm64,busybox-static:arm64,libldns3:arm64,${foreign[*]}")
}

in_debian() { chroot "$debian" env DEBIAN_FRONTEND=noninteractive "$@"; }

make_debian() {
	local -a sources
	[ ! -e "$debian/done" ] || return 0
	rm -rf "$debian"
	mapfile -t sources < <(find /etc/apt/sources.list.d -name '*.sources'; find /etc/apt -maxdepth 1 -name sources.list)
	mmdebstrap --quiet --variant=apt --architectures=amd64,arm64 --include="$(packages)" bookworm "$debian" "${sources[@]}" && touch "$debian/done"
}

cross_build() {
	rm -rf "$debian/src"
	mkdir "$debian/src"
	git archive HEAD | tar -x -C "$debian/src" &&
		in_debian make -s -C /src -j"$(nproc)" MACHINE=aarch64 CC=aarch64-linux-gnu-gcc all build/tests/kernels/programs
}

get_kernel() {
	local package
	[ ! -e "$work/kernel/boot" ] || return 0
	in_debian apt-get -q update || return
	package=$(in_debian apt-cache search --names-only '^linux-image-6[.]1[.]0-[0-9]+-cloud-arm64$' | awk '{ print $1 }' | sort -V | tail -n 1)
	in_debian sh -c "cd /tmp && apt-get -q -o APT::Sandbox::User=root download '$package:arm64'" &&
		dpkg-deb -x "$debian"/tmp/"$package"_*.deb "$work/kernel"
}

# needs FILE: libraries, by the loader of the other architecture.
needs() { in_debian /emulator /lib/ld-linux-aarch64.so.1 --list "$1" | awk '/=> \// { print $3 }'; }

make_guest() {
	local file
	cp "$emulator" "$debian/emulator"
	rm -rf "$guest"
	mkdir -p "$guest"/{bin,dev,proc,sys,tmp,run,root,real,usr/sbin,var/{lib,log,tmp}}
	cp "$debian/src/build/ebb" "$guest/usr/sbin/" && cp "$debian/src/build/tests/kernels/programs" "$debian/bin/busybox" "$guest/bin/" || return
	for file in /src/build/ebb /src/build/tests/kernels/programs; do needs "$file"; done | sort -u >"$work/libraries"
	# the first is the loader, the others are loaded on use
	for file in /lib/ld-linux-aarch64.so.1 /lib/aarch64-linux-gnu/libldns.so.3 /lib/aarch64-linux-gnu/libsqlite3.so.0 $(cat "$work/libraries"); do
		install -D "$debian$(in_debian readlink -f "$file")" "$guest$file" || return
	done
	install -D -m 644 tests/kernels/ebb.yaml "$guest/etc/ebb/ebb.yaml"
	install tests/kernels/guest.sh "$guest/init"
	cp tests/kernels/part_governs.sh "$guest/"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$guest/etc/passwd"
	echo 'root:x:0:' >"$guest/etc/group"
	(cd "$guest" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
}

boot() {
	timeout 900 qemu-system-aarch64 -accel tcg,thread=multi -M virt -cpu max,pauth-impdef=on -m 2048 -smp 2 \
		-kernel "$(find "$work/kernel/boot" -name 'vmlinuz*')" -initrd "$work/initramfs" \
		-append 'console=ttyAMA0 quiet panic=-1 rdinit=/init parts=governs' \
		-nographic -no-reboot -nodefaults -serial stdio </dev/null >"$console.raw" 2>&1 || return
	sed 's/\r//g' "$console.raw" >"$console"
}

[ "$(id -u)" = 0 ] || { echo '1..0 # SKIP needs root, for a Debian of its own'; exit 0; }
[ -n "$emulator" ] || bail "no qemu-aarch64-static: run 'make test-arm64'"
make_debian || bail 'there is no Debian with both architectures'
rm -f "$console"
check 'it is built by a cross compiler' cross_build
check 'there is a kernel' get_kernel
check 'and all that the program needs' make_guest
like 'an example is good there too' "$(in_debian /emulator /src/build/ebb config check /src/docs/examples/production.yaml)" ' is good: '
check 'the machine boots' boot
while read -r verdict name; do
	if [ "$verdict" = yes ]; then ok "$name"; else not_ok "$name"; fi
done < <(sed -nE 's/^.*guest: (yes|no) /\1 /p' "$console")
check 'the whole of it was tried' grep -q 'guest: yes it has come to its end' "$console"
no_complaints() { ! grep -E 'BUG:|WARNING:|Oops|Kernel panic' "$console"; }
check 'the kernel has no complaints' no_complaints
[ "$tests_failed" = 0 ] || tail -n 60 "$console" | note
plan

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes vmlinux/*/vmlinux.h again: takes Debian's package linux-bpf-dev of one suite
# for every architecture from the mirror that this machine's apt uses, and unpacks the
# header. apt verifies the packages; its own configuration and lists stay untouched.
#
# usage: vmlinux/update.sh [SUITE]	(default: trixie, a long-term kernel)
set -eu

suite=${1:-trixie}
here=$(cd "$(dirname "$0")" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# What our programs read from it. A header without one of these would fail far from its cause.
needed='
struct bpf_sock_ops {
struct bpf_sock_addr {
struct bpf_iter__tcp {
struct bpf_iter__task_file {
struct sock_cgroup_data {
struct sock_exterr_skb {
struct tcp_sock {
tcp_usec_ts
sk_kern_sock
sk_error_queue
BPF_SOCK_OPS_TCP_CONNECT_CB
BPF_SOCK_OPS_STATE_CB
BPF_SOCK_OPS_RTT_CB
'

fail()
{
	echo "update.sh: $*" >&2
	exit 1
}

[ -r "$keyring" ] || fail "no $keyring: install debian-archive-keyring"
# shellcheck disable=SC2016  # apt expands these, not the shell
mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' |
	awk '$1 == "Debian" && $2 !~ /-security/ { print $3; exit }')
[ -n "$mirror" ] || fail "apt knows no Debian mirror: run 'apt-get update' first"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# apt_for ARCH COMMAND...: apt-get with lists, cache and state of its own
apt_for()
{
	arch=$1
	shift
	# A Release file past its Valid-Until is what a snapshot or a slow mirror has; the signature is what counts.
	apt-get -qq \
		-o Dir::Etc::sourcelist="$scratch/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State="$scratch/$arch/state" \
		-o Dir::State::status=/dev/null \
		-o Dir::Cache="$scratch/$arch/cache" \
		-o APT::Architecture="$arch" \
		-o APT::Architectures::="$arch" \
		-o APT::Sandbox::User=root \
		-o Acquire::Check-Valid-Until=false \
		"$@"
}

echo "deb [signed-by=$keyring] $mirror $suite main" >"$scratch/sources.list"

# Both are fetched and checked before either is replaced: no half-made pair.
for pair in x86_64:amd64 aarch64:arm64; do
	machine=${pair%:*}
	arch=${pair#*:}

	mkdir -p "$scratch/$arch/state/lists/partial" "$scratch/$arch/cache/archives/partial" \
		"$scratch/$arch/root"
	apt_for "$arch" update
	(cd "$scratch/$arch" && apt_for "$arch" download linux-bpf-dev)

	package=$(echo "$scratch/$arch"/linux-bpf-dev_*.deb)
	[ -f "$package" ] || fail "$suite has no linux-bpf-dev for $arch"
	version=$(dpkg-deb -f "$package" Version)
	dpkg -x "$package" "$scratch/$arch/root"

	from=$scratch/$arch/root/usr/include/$machine-linux-gnu/linux/bpf/vmlinux.h
	[ -f "$from" ] || fail "linux-bpf-dev $version ($arch) has no vmlinux.h where it used to be"
	{
		echo "/* SPDX-License-Identifier: GPL-2.0-only */"
		echo "/* From Debian's linux-bpf-dev $version ($arch), by vmlinux/update.sh. Not to be edited. */"
		cat "$from"
	} >"$scratch/$machine.h"

	echo "$needed" | while IFS= read -r text; do
		[ -z "$text" ] || grep -qF "$text" "$scratch/$machine.h" ||
			fail "vmlinux.h of $version ($arch) does not have '$text'"
	done
	echo "$version" >>"$scratch/versions"
done

[ "$(sort -u "$scratch/versions" | wc -l)" -eq 1 ] ||
	fail "the architectures have different kernels: $(tr '\n' ' ' <"$scratch/versions")"

for machine in x86_64 aarch64; do
	mkdir -p "$here/$machine"
	cat "$scratch/$machine.h" >"$here/$machine/vmlinux.h"
	echo "vmlinux/$machine/vmlinux.h: Linux $(head -n 1 "$scratch/versions")"
done

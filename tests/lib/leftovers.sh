#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What tests left behind. Whatever a test makes outside its own memory is named
# ebb-test-NAME-PID (NAME of a to z and _), perhaps with more after another dash: cgroups,
# pins, network namespaces, scratch directories. Those whose process is gone are leftovers.
#
# usage: leftovers.sh list|remove
set -uo pipefail

cgroup2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)

leftovers() {
	local path
	for path in "${cgroup2:-/nowhere}"/ebb-test-* /sys/fs/bpf/ebb-test-* /run/netns/ebb-test-* "${TMPDIR:-/tmp}"/ebb-test-*; do
		[[ $path =~ /ebb-test-[a-z0-9_-]*[a-z_]-([0-9]+)(-[a-z0-9_-]*)?$ ]] || continue
		[ -e "$path" ] && [ ! -d "/proc/${BASH_REMATCH[1]}" ] && printf '%s\n' "$path"
	done
}

remove() {
	local path=$1 try
	case $path in
	/run/netns/*) ip netns delete "${path##*/}" ;;
	"$cgroup2"/*)
		# all that runs in it belongs to a test that is gone
		echo 1 >"$path/cgroup.kill"
		for try in $(seq 100); do
			find "$path" -depth -type d -exec rmdir {} + 2>/dev/null
			[ -d "$path" ] || return 0
			[ "$try" = 100 ] || sleep 0.05
		done
		return 1
		;;
	*) rm -rf "$path" ;; # unpinned links detach
	esac
}

case ${1:-} in
list)
	leftovers
	;;
remove)
	status=0
	while read -r path; do
		remove "$path" || status=1
	done < <(leftovers)
	exit "$status"
	;;
*)
	echo "usage: leftovers.sh list|remove" >&2
	exit 2
	;;
esac

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the agent needs is taken from it while it runs: descriptors, address space, the memory of its cgroup, room on disk.
# What it has to do goes on, or ends with one clear line, and when there is enough again all is well.
# deadline: 600

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# Disks are mounted: in a mount namespace of the test's own.
[ -n "${TEST_MOUNTS:-}" ] || TEST_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
# shellcheck source=chaos.sh
. "$(dirname "$0")/chaos.sh"

mkdir "$scratch/disk"
mount -t tmpfs -o size=12m ebb-test "$scratch/disk" || bail 'cannot mount a tmpfs'
start_world <<-YAML
	audit: {dir: $scratch/disk/audit, spool: 8MB, file: {path: $scratch/disk/audit.jsonl}}
YAML

component() { curl -sS --max-time 5 "http://$address/health" | json "d['components']['$1']['$2']"; }
is_component() { [ "$(component "$1" state)" = "$2" ]; }
refuses_on() { local before=$1; shift; check "$*" wait_for 30 have_grown failing_refused "$before"; }
rounds=$(often 1 5)

# ------------------------------------------------------------------------------- descriptors --

hold_connections='import signal, socket, sys
held = []
for _ in range(200):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
    except OSError:
        break
    held.append(s)
print(len(held), flush=True)
signal.pause()'

out_of_descriptors() {
	local before holder
	before=$(count failing_refused)
	# not one more than it has
	prlimit --pid "$agent" --nofile="$(find "/proc/$agent/fd" -mindepth 1 | wc -l):1024" || bail 'prlimit'
	background "$python" -S -c "$hold_connections" "${listen%:*}" "${listen#*:}" >"$scratch/held"
	holder=$!
	wait_for 20 test -s "$scratch/held"
	check 'no descriptors: it lives' test -d "/proc/$agent"
	refuses_on "$before" 'no descriptors: what fails is refused all the same'
	refute 'no descriptors: nobody can ask it' curl -sS --fail --max-time 1 -o /dev/null "http://$address/health/ready"
	end "$holder" KILL
	prlimit --pid "$agent" --nofile=1024:1024
	survives 'descriptors again'
}
for ((i = 0; i < rounds; i++)); do out_of_descriptors; done

# A start without enough of them: one line that says why, and the next one goes on.
stop_agent
enter=(prlimit --nofile=16:16)
launch
check 'too few descriptors to start: it ends' wait_for 20 gone "$agent"
check 'too few descriptors to start: and says why' logged 'too few open files are allowed .Too many open files.: allow at least 256'
enter=()
launch
survives 'started with enough of them'

# ----------------------------------------------------------------------------- address space --

out_of_address_space() {
	local before size page
	before=$(count failing_refused)
	read -r size _ <"/proc/$agent/statm"
	page=$(getconf PAGESIZE)
	prlimit --pid "$agent" --as="$((size * page)):unlimited" || bail 'prlimit'
	# whatever of it wants memory
	for i in 1 2 3 4 5; do
		http_get /metrics -o /dev/null 2>/dev/null
		http_get /api/v1/destinations -o /dev/null 2>/dev/null
	done
	write_configuration <<-YAML
		audit: {dir: $scratch/disk/audit, spool: 8MB, file: {path: $scratch/disk/audit.jsonl}}
	YAML
	refuses_on "$before" 'no address space: what fails is refused all the same'
	check 'no address space: it lives' test -d "/proc/$agent"
	prlimit --pid "$agent" --as=unlimited
	survives 'address space again'
}
for ((i = 0; i < rounds; i++)); do out_of_address_space; done

# ------------------------------------------------------------------------------------ memory --

# Below the memory cgroup that we are in: version 1, or version 2 where that has the controller.
memory=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
if [ -n "$memory" ]; then
	memory=$memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup) limit_file=memory.limit_in_bytes
else
	memory=$cgroup2 limit_file=memory.max
fi
memory=${memory%/}/$test_id-memory
# left by a test that was killed
find "${memory%/*}" -maxdepth 1 -name 'ebb-test-starved-*-memory' -exec rmdir {} + 2>/dev/null
trap 'cleanup; rmdir "$memory" 2>/dev/null' EXIT

# SC2016: for the other shell
# shellcheck disable=SC2016
enter_memory=(sh -c 'echo $$ >"$0" && exec "$@"' "$memory/cgroup.procs")

# The next agent is in no such cgroup: maps are charged to the one where they were made, for ever.
out_of_memory() {
	local before
	stop_agent KILL
	before=$(count well_ok)
	echo 4M >"$memory/$limit_file"
	enter=("${enter_memory[@]}")
	launch
	enter=()
	check 'no memory: it ends' wait_for 60 gone "$agent"
	{ wait "$agent"; } 2>/dev/null # the shell tells of it
	check 'no memory: what is well is reached' wait_for 10 have_grown well_ok "$before"
	launch
	survives 'memory again'
}
if mkdir "$memory" && [ -e "$memory/$limit_file" ]; then
	for ((i = 0; i < rounds; i++)); do out_of_memory; done
else
	skip 'no memory' 'no memory controller'
fi

# -------------------------------------------------------------------------------------- disk --

disk_full() {
	local before
	before=$(count failing_refused)
	dd if=/dev/zero of="$scratch/disk/full" bs=4k 2>/dev/null
	ill_with_audit() { ! is_component audit_jsonl healthy || ! is_component audit_spool healthy; }
	check 'disk full: health says so' wait_for 60 ill_with_audit
	note <<<"$(component audit_spool why); $(component audit_jsonl why)"
	refuses_on "$before" 'disk full: what fails is refused all the same'
	rm "$scratch/disk/full"
	# a sink that was away is asked again after up to 32 s
	survives 'room again' 60
}
for ((i = 0; i < rounds && i < 3; i++)); do disk_full; done

end_world
umount "$scratch/disk"
done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The library of the end-to-end tests itself: it reports what happened, waits no longer than
# it says, and leaves nothing behind, however a test ends.
# Called by name and by what is written into the victim:
# shellcheck disable=SC2016,SC2317
. "$(dirname "$0")/e2e.sh"

# victim BODY: a test of its own, started in the background; sets victim (pid) and id.
victim() {
	cat >"$scratch/test_victim.sh" <<-EOF
		#!/bin/bash
		. "$root/tests/lib/e2e.sh"
		$1
	EOF
	background env EBB_BUILD="$EBB_BUILD" bash "$scratch/test_victim.sh" >"$scratch/victim.out" 2>&1
	victim=$!
	id=ebb-test-victim-$victim
}

said() { grep -qx -- "$1" "$scratch/victim.out"; }

traces() {
	local path
	for path in "$cgroup2/$id" "/sys/fs/bpf/$id" "/run/netns/$id"-* "${TMPDIR:-/tmp}/$id"; do
		[ -e "$path" ] && printf '%s\n' "$path"
	done
}

# Makes one of each kind, tells, and waits to be ended.
everything='make_network
	in_cgroup -c child true
	mkdir -p "$pin"
	background sleep 1000
	(echo $BASHPID >"$cgroup/cgroup.procs"; exec sleep 1001) &
	wait_for 10 grep -q . "$cgroup/cgroup.procs"
	echo ready
	wait'

# ------------------------------------------------------------------ reports --

victim 'ok one
	is two a b
	like three abc ^b
	check four false
	refute five true
	between six 7 1 5
	skip seven "no such thing"
	done_testing'
end "$victim" CONT
is 'a failed check fails the test' "$status" 1
is 'each check is one result' "$(grep -Ec '^(not )?ok [0-9]' "$scratch/victim.out")" 7
is 'what is not so is told as not ok' "$(grep -c '^not ok' "$scratch/victim.out")" 5
check 'a skip names its reason' said 'ok 7 - seven # SKIP no such thing'
check 'the plan is the number of results' said '1..7'

victim 'ok one
	done_testing'
end "$victim" CONT
is 'a test without a failure passes' "$status" 0

victim 'ok one
	exit 0'
end "$victim" CONT
refute 'a test that ends early has no plan' said '1..1'

# ------------------------------------------------------------------ waiting --

before=$(now_ms)
refute 'waiting for what does not come fails' wait_for 1 false
between 'and takes as long as it was told' "$(($(now_ms) - before))" 1000 3000
before=$(now_ms)
check 'what is there is not waited for' wait_for 10 true
between 'and takes no time' "$(($(now_ms) - before))" 0 1000

# ------------------------------------------------------------------ cleanup --

victim "$everything"
wait_for 20 said ready || bail "the victim does not start: $(cat "$scratch/victim.out")"
is 'a test makes what it needs under its own name' "$(traces | wc -l)" 5
end "$victim" TERM
is 'a test that is ended cleans up' "$(traces)" ''
is 'and says that it was ended' "$status" 143

victim "$everything"
wait_for 20 said ready || bail "the victim does not start: $(cat "$scratch/victim.out")"
end "$victim" KILL
first=$id
is 'a test that is killed leaves its traces' "$(traces | wc -l)" 5
victim "$everything"
wait_for 20 said ready || bail "the victim does not start: $(cat "$scratch/victim.out")"
second=$id
id=$first
is 'which the next test removes' "$(traces)" ''
id=$second
remove_leftovers
is 'but not those of a test that runs' "$(traces | wc -l)" 5
end "$victim" KILL
is 'leftovers.sh lists them too' "$("$root/tests/lib/leftovers.sh" list | grep -c "$id")" 5
"$root/tests/lib/leftovers.sh" remove
is 'and removes them' "$(traces)" ''
victim "$everything"
wait_for 20 said ready || bail "the victim does not start: $(cat "$scratch/victim.out")"
is 'leftovers.sh does not list what is in use' "$("$root/tests/lib/leftovers.sh" list | grep -c "$id")" 0
end "$victim" HUP
is 'a test whose terminal goes cleans up' "$(traces)" ''

done_testing

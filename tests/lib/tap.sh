# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# TAP for tests in shell: source it, ask, and end with plan.
#
#	. "$(dirname "$0")/../lib/tap.sh"
#	is 'one and one' "$((1 + 1))" 2
#	plan

tests_run=0
tests_failed=0

ok() {
	tests_run=$((tests_run + 1))
	printf 'ok %d - %s\n' "$tests_run" "$1"
}

# not_ok NAME [REASON...]: each reason may have several lines.
not_ok() {
	tests_run=$((tests_run + 1))
	tests_failed=$((tests_failed + 1))
	printf 'not ok %d - %s\n' "$tests_run" "$1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@" | note
}

# What is read becomes a comment.
note() { sed 's/^/# /'; }

# check NAME COMMAND...: does it succeed? What it says is told when it does not.
check() {
	local check_name=$1 check_rc=0 check_said
	shift
	check_said=$(mktemp)
	"$@" >"$check_said" 2>&1 || check_rc=$?
	if [ "$check_rc" = 0 ]; then
		ok "$check_name"
	else
		not_ok "$check_name" "status $check_rc from: $*" "$(tail -n 40 "$check_said")"
	fi
	rm -f "$check_said"
}

# refute NAME COMMAND...: does it fail?
refute() {
	local refute_name=$1
	shift
	if "$@" >/dev/null 2>&1; then not_ok "$refute_name" "succeeded: $*"; else ok "$refute_name"; fi
}

is() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:    $2" "wanted: $3"; fi
}

# like NAME TEXT REGULAR-EXPRESSION
like() {
	if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got:     $2" "no match: $3"; fi
}

# between NAME NUMBER LEAST MOST: whole numbers
between() {
	if [[ $2 =~ ^-?[0-9]+$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		ok "$1"
	else
		not_ok "$1" "got:    '$2'" "wanted: from $3 to $4"
	fi
}

skip() {
	tests_run=$((tests_run + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tests_run" "$1" "$2"
}

# The end: how many there were; fails if one did.
plan() {
	printf '1..%d\n' "$tests_run"
	[ "$tests_failed" = 0 ]
}

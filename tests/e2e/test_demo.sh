#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The demo does what it says, within a minute, and leaves nothing behind, also when it is
# interrupted.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# of a demo with this pid
traces() {
	ls -d "$cgroup2/ebb-demo-$1" "/sys/fs/bpf/ebb-demo-$1" 2>/dev/null
	pgrep -a -f "ebb-demo-$1([^0-9]|$)"
}
demo() { EBB=$ebb_program background bash "$root/deploy/demo.sh"; }

demo >"$scratch/out" 2>"$scratch/err"
demo=$!
begin=$(now_ms)
check 'it ends within a minute' wait_for 60 gone "$demo"
took=$((($(now_ms) - begin) / 1000))
end "$demo" TERM 1
is "with success, after $took s" "$status" 0
is 'and no error' "$(cat "$scratch/err")" ''
for stage in 1 2 3 4 5 6; do
	check "stage $stage is told" grep -q "$stage\\. " "$scratch/out"
done
like 'a working server answers' "$(cat "$scratch/out")" '2\. .*HTTP 200 .*HTTP 200 .*3\. '
like 'a hung one costs the timeout' "$(cat "$scratch/out")" '3\. .*failed after [12]\.[0-9]* s: .*timed out.*4\. '
like 'an open breaker refuses at once' "$(cat "$scratch/out")" '4\. .*failed after 0\.0[0-9]* s.*failed after 0\.0[0-9]* s.*open.*5\. '
like 'it closes again' "$(cat "$scratch/out")" '5\. .*HTTP 200 .*6\. '
like 'and tells why' "$(cat "$scratch/out")" '6\. .*closed since .*3 failures in a row.*Done'
is 'nothing is left' "$(traces "$demo")" ''

demo >"$scratch/out" 2>&1
demo=$!
wait_for 20 grep -q '3\. ' "$scratch/out" || bail 'the demo does not get to its third stage'
end "$demo" TERM 20
check "interrupted: it ends with $status" test "$status" -ge 128
is 'interrupted: nothing is left' "$(traces "$demo")" ''

done_testing

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What happens to real connections is in the log: 'ebb audit' and 'ebb report' find the database of the agent that runs, by
# themselves, and tell its start, the breaker that opened, what was refused and who gave an order.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

refused_port=1 # nobody listens there

audit() { "$ebb_program" audit --pin "$pin" "$@"; }
tells() { audit --type "$1" | grep -Eq -- "$2"; }

export EBB_AUDIT_DIR=$scratch/audit EBB_AUDIT_SQLITE_PATH=$scratch/audit/audit.db
start_agent --mode enforce --breaker consecutive_failures=3,open_for=20s
export EBB_AUDIT_SQLITE_PATH=off # what this shell would do is not asked

check 'the start is told' wait_for 10 tells agent_start ' ebb [0-9.]+ starts in mode enforce on '
for _ in 1 2 3 4 5 6; do
	connect 127.0.0.1 "$refused_port" >/dev/null
done
check 'the breaker that opened is told' wait_for 10 tells breaker_transition \
	" 127.0.0.1:$refused_port/tcp opens for .*: consecutive failures; .*3 in a row, the last refused; met by .*; episode [0-9a-f]{16}$"
episode=$(audit --type breaker_transition -o json | sed -n '1s/.*"episode":"\([0-9a-f]*\)".*/\1/p')
like 'its episode finds it' "$(audit --episode "$episode")" "opens for .*episode $episode$"

"$ebb_program" breaker close "127.0.0.1:$refused_port" --pin "$pin" >/dev/null
check 'the order by hand is told, and whose it is' wait_for 10 tells override "'ebb breaker close 127.0.0.1:$refused_port .*' by uid 0"

report=$("$ebb_program" report --pin "$pin")
like 'the report has the breaker, still open' "$report" \
	$'Breakers outside closed\n  DESTINATION +EPISODES +TOTAL +LONGEST +NOW\n  127.0.0.1:1/tcp +1 .* still'
like 'and the order' "$report" $'Who changed what\n.*\'ebb breaker close 127.0.0.1:1'
like 'and one start' "$report" $'Agent\n  started 1 time,'
check 'as JSON, too' "$python" -c 'import json,sys; r=json.load(sys.stdin); assert r["breakers"][0]["still"], r' \
	< <("$ebb_program" report --pin "$pin" -o json)

# read while the agent writes, and when it is gone
stop_agent
is 'without the agent its log must be named' "$(audit 2>&1)" \
	"ebb audit: the configuration keeps no audit log here: set audit.sqlite.path or audit.file.path"
like 'and is read' "$("$ebb_program" report --from "$scratch/audit/audit.db")" 'stopped in order 1 time'

done_testing

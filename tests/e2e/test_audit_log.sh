#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What happens to real connections is in the log: 'ebb audit' and 'ebb report' find the database of the agent that runs, by
# themselves and whatever its file says by now, and tell its start, the breaker that opened, what was refused and who gave an order.
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

# ---- a file that says something else than what the agent runs on

unset EBB_AUDIT_DIR EBB_AUDIT_SQLITE_PATH
place=$scratch/place.yaml
says() { printf '%s\n' "audit: {dir: $scratch/$1, sqlite: {path: $scratch/$2}}" "${@:3}" >"$place"; }
says first one.db
start_agent --config "$place"
check 'its log is found' wait_for 10 tells agent_start 'ebb [0-9.]+ starts'
quietly() { ! audit --type agent_start 2>&1 >/dev/null | grep -q .; }

says first two.db 'mode: perhaps' # rejected, and audit is good
check 'a file is rejected' wait_for 10 tells config_rejected "mode: 'perhaps' is not possible"
check 'a rejected file names another place: that of the agent is read' tells agent_start 'starts'
check 'and nothing is said of it' quietly
like 'by the report, too' "$(ebb report 2>&1)" '^From .*started 1 time,'
printf 'audit: {sqlite: {path: nowhere}}\n' >"$place" # audit is wrong itself
check 'audit, of a file that is wrong there' tells agent_start 'starts'
rm "$place"
check 'audit, of a file that is gone' tells agent_start 'starts'

mkdir -p "$scratch/first/deadletter"
cat >"$scratch/first/deadletter/sqlite.jsonl" <<'J'
{"time":"2026-11-29T06:00:00.000000Z","reason":"made up","event":{"id":"019acdb3-0000-7000-8000-000000000001","timestamp":"2026-11-29T05:51:51.123456Z","event_type":"denials","user_id":"/web","session_id":"9f3c","ip_address":"","outcome":"denied","outcome_details":"","details":{}}}
J
says second two.db # accepted, but for the directory, which needs a restart
begins_anew() { tells config_applied "$place" && ! tells agent_start 'starts'; }
check 'an accepted file: the log is in the new place' wait_for 10 begins_anew
check 'which is that of the file' wait_for 10 test -s "$scratch/two.db"
like 'dead letters are where they were' "$("$ebb_program" deadletter list --pin "$pin" 2>&1)" '019acdb3-0000-7000-8000-000000000001'
like 'what stands in /proc is for who may look into the agent' \
	"$(stat -L -c '%A %u' "$(find "/proc/$agent/fd" -lname '/memfd:ebb-audit*')")" '^-rw------- 0$'
refute 'and holds no other setting' grep -qa 'perhaps\|observe' "$(find "/proc/$agent/fd" -lname '/memfd:ebb-audit*')"
stop_agent

done_testing

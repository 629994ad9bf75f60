#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Dead letters as an operator meets them: listed, offered again, given up; the agent is told who did it.
# deadline: 120

# SC2119: functions with optional arguments
# shellcheck disable=SC2119
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

dir=$scratch/audit
mkdir -p "$dir/deadletter"
printf 'audit: {file: {path: %s/audit.jsonl}}\n' "$dir" >"$scratch/ebb.yaml"

# letters N: of that many events
letters() {
	local i
	for ((i = 0; i < $1; i++)); do
		printf '{"time":"2026-11-29T06:00:%02d.000000Z","reason":"refused: \\u001b[31mred","event":{"id":"019acdb3-0000-7000-8000-%012d","timestamp":"2026-11-29T05:51:51.123456Z","event_type":"denials","user_id":"/web","session_id":"9f3c","ip_address":"","outcome":"denied","outcome_details":"","details":{"number":%d}}}\n' \
			$((i % 60)) "$i" "$i"
	done
}

dead() {
	local verb=$1
	shift
	TZ=UTC "$ebb_program" deadletter "$verb" --pin "$pin" --config "$scratch/ebb.yaml" --dir "$dir" "$@"
}

is 'without letters it says so' "$(dead list)" 'No dead letters.'
letters 3 >"$dir/deadletter/jsonl.jsonl"
letters 1 >"$dir/deadletter/postgres.jsonl"
is 'a line for each, aligned, and no colour from outside' "$(dead list)" \
	"SINCE                SINK      ID                                    EVENT                WHY
2026-11-29 06:00:00  jsonl     019acdb3-0000-7000-8000-000000000000  denials              refused: \\x1b[31mred
2026-11-29 06:00:01  jsonl     019acdb3-0000-7000-8000-000000000001  denials              refused: \\x1b[31mred
2026-11-29 06:00:02  jsonl     019acdb3-0000-7000-8000-000000000002  denials              refused: \\x1b[31mred
2026-11-29 06:00:00  postgres  019acdb3-0000-7000-8000-000000000000  denials              refused: \\x1b[31mred"
is 'as JSON with the event as it was' \
	"$(dead list -o json --sink postgres | $python -c 'import json,sys; l=json.loads(sys.stdin.read()); print(l["sink"], l["event"]["details"]["number"])')" 'postgres 0'

is 'one by its id' "$(dead replay --sink jsonl --id 019acdb3-0000-7000-8000-000000000001)" 'jsonl: 1 replayed'
is 'is in the file' "$($python -c 'import json,sys; print(*[json.loads(l)["details"]["number"] for l in open(sys.argv[1])])' "$dir/audit.jsonl")" 1
is 'the others are still there' "$(dead list --sink jsonl | grep -c denials)" 2
rc=0
out=$(dead replay 2>"$scratch/err") || rc=$?
is 'all that can be offered is' "$rc $out" '1 jsonl: 2 replayed'
like 'and what to do with the rest is said' "$(cat "$scratch/err")" \
	"^ebb deadletter replay: postgres: the configuration has no such sink: add it, or drop its letters with 'ebb deadletter drop --sink postgres --all'$"
is 'each is in the file once' "$(sort "$dir/audit.jsonl" | uniq | wc -l) $(wc -l <"$dir/audit.jsonl")" '3 3'

rc=0
dead drop 2>/dev/null || rc=$?
is 'nothing is dropped unless it is said what' "$rc" 2
is 'what is younger stays' "$(dead drop --before 2026-11-29T05:00:00Z)" 'postgres: 0 dropped, 1 kept'

start_agent
is 'all of it' "$(dead drop --sink postgres --all)" 'postgres: 1 dropped, 0 kept'
check 'the agent tells who did it' wait_for 5 grep -q "by hand: .*what='deadletter drop .*--sink postgres --all'" "$agent_log"
is 'and nothing is left' "$(dead list) $(ls "$dir/deadletter")" 'No dead letters. '

# a file of 20,000, while another command holds the letters
letters 20000 >"$dir/deadletter/jsonl.jsonl"
rm "$dir/audit.jsonl"
exec 8<"$dir/deadletter"
flock 8
rc=0
dead replay 2>"$scratch/err" || rc=$?
like 'two commands do not replay at once' "$rc $(cat "$scratch/err")" '^1 .*another command works on the dead letters'
exec 8<&-
start=$(now_ms)
is '20,000 are replayed' "$(dead replay)" 'jsonl: 20000 replayed'
took=$(($(now_ms) - start))
note <<<"20000 letters in $took ms"
between 'at 2,000/s at least on a busy machine' "$took" 1 10000
is 'each once' "$(wc -l <"$dir/audit.jsonl")" 20000
stop_agent

# whose PostgreSQL it is; nobody listens at any of these ports
letters 1 >"$dir/deadletter/postgres.jsonl"
export EBB_AUDIT_POSTGRES_HOST=127.0.0.1
server_of() { "$ebb_program" deadletter replay --sink postgres --pin "$pin" --dir "$dir" "$@" 2>&1 | grep -o '127.0.0.1[: a-z]*[0-9]*' | head -1; }
is 'without an agent: that of the variables' "$(EBB_AUDIT_POSTGRES_PORT=2 server_of)" 127.0.0.1:2
printf 'audit: {postgres: {port: 3}}\n' >"$EBB_CONFIG"
is 'or of the file, which is weaker' "$(server_of) $(EBB_AUDIT_POSTGRES_PORT=2 server_of)" '127.0.0.1:3 127.0.0.1:2'
start_agent
unset EBB_AUDIT_POSTGRES_HOST
printf 'mode: none\naudit: {postgres: {host: 127.0.0.1, port: 4}}\n' >"$EBB_CONFIG"
check 'a file that is refused' wait_for 10 logged 'configuration rejected'
is 'with an agent: the one that it has, by its variables and its file, whatever that says by now' \
	"$(server_of) $(EBB_AUDIT_POSTGRES_PORT=2 server_of)" '127.0.0.1:3 127.0.0.1:3'
printf 'audit: {postgres: {host: 127.0.0.1, port: 5}}\n' >"$scratch/other.yaml"
is 'unless another file is named' "$(server_of --config "$scratch/other.yaml")" 127.0.0.1:5
stop_agent KILL # or it would wait for that server

done_testing

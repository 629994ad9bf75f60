#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 'ebb audit' and 'ebb report' over a day that is written down (tests/lib/audit_story.py) and given to the real sinks: their text
# as it was looked at (tests/e2e/golden, written anew by EBB_UPDATE=1), the same from a file of JSON lines; errors that
# say what to do.
# deadline: 120

# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

golden=$root/tests/e2e/golden
dir=$scratch/audit
mkdir -p "$dir/deadletter"
export TZ=UTC
unset EBB_AUDIT_SQLITE_PATH # the file says it
printf 'audit: {sqlite: {path: %s/audit.db, keep: 3660d}, file: {path: %s/audit.jsonl}}\n' "$dir" "$dir" >"$scratch/ebb.yaml"
day=(--since 2026-11-29T00:00:00Z --until 2026-11-30T00:00:00Z)

# ebb COMMAND ARGS...: with our configuration; sets rc, out and err
ebb() {
	local command=$1
	shift
	rc=0
	"$ebb_program" "$command" --pin "$pin" "$@" >"$scratch/out" 2>"$scratch/err" || rc=$?
	out=$(cat "$scratch/out")
	err=$(cat "$scratch/err")
}
ours() { ebb "$1" --config "$scratch/ebb.yaml" "${@:2}"; }

# same_as_golden NAME FILE: of $scratch/out
same_as_golden() {
	[ -z "${EBB_UPDATE:-}" ] || cp "$scratch/out" "$golden/$2"
	check "$1" diff "$golden/$2" "$scratch/out"
}

# ---- errors

ours audit
is 'without a log it says what to do' "$rc $err" \
	"3 ebb audit: there is no audit log in $dir/audit.db: start the agent ('ebb run'), or name another with --from or --config"
ours report --since tomorrow
like 'a wrong time' "$rc $err" "^2 ebb report: --since: 'tomorrow' is not possible: a time like 24h"
ours report --since 1h --until 2h
like 'a time that is none' "$rc $err" '^2 ebb report: --since is not before --until'
ours audit --type denial
like 'a wrong type, and which there are' "$rc $err" "^2 ebb audit: --type: 'denial' is no type of an event: agent_start, .*credentials_refused$"
ebb report --from "$scratch/nowhere"
like 'a file that is not there' "$rc $err" "^3 ebb report: there is no $scratch/nowhere"
: >"$dir/audit.db"
ours report
like 'a database without a table' "$rc $err" "^3 ebb report: there is no audit log in $dir/audit.db yet"
rm "$dir/audit.db"
printf 'SQLite format 3\0but no more than that' >"$scratch/broken.db"
ebb report --from "$scratch/broken.db"
like 'a broken database' "$rc $err" "^1 ebb report: database $scratch/broken.db: "

# ---- the day

"$python" "$root/tests/lib/audit_story.py" >"$dir/deadletter/sqlite.jsonl"
cp "$dir/deadletter/sqlite.jsonl" "$dir/deadletter/jsonl.jsonl"
is 'the sinks take it' "$("$ebb_program" deadletter replay --pin "$pin" --config "$scratch/ebb.yaml" --dir "$dir")" \
	$'jsonl: 427 replayed\nsqlite: 427 replayed'

ours report "${day[@]}"
same_as_golden 'the report' report.txt
cp "$scratch/out" "$scratch/report"
ebb report --from "$dir/audit.jsonl" "${day[@]}"
check 'the same from JSON lines' diff "$scratch/report" "$scratch/out"
ours report "${day[@]}" -o json
is 'counts of patterns as JSON' "$("$python" -c 'import json,sys; print(json.load(sys.stdin)["pattern_counts"])' <<<"$out")" \
	"{'hammering': 1, 'scanning': 1, 'overlapping': 1, 'never_seen_before': 121}"
ours report --since 2026-11-28T00:00:00Z --until 2026-11-28T12:00:00Z
like 'a day on which nothing is suspicious' "$out" $'Suspicious\n  nothing\n'

# ---- events

all=agent_start,agent_stop,config_applied,config_rejected,override,breaker_transition,denials,node_fuse
all=$all,enforcement_lost,enforcement_back,link_attached,request_refused,credentials_refused
ours audit "${day[@]}" --type "$all"
same_as_golden 'events as text' audit.txt
ours audit --since 2026-11-01 --until 2026-12-01
is 'all of them' "$(wc -l <"$scratch/out")" 427
cp "$scratch/out" "$scratch/events"
ebb audit --from "$dir/audit.jsonl" --since 2026-11-01 --until 2026-12-01
check 'the same from JSON lines' diff "$scratch/events" "$scratch/out"
ours audit --since 2026-11-01 --until 2026-12-01 -o json
check 'as JSON they are the lines as they were' diff <(sort "$dir/audit.jsonl") <(sort "$scratch/out")

# chosen NUMBER OPTION...: from the database and from JSON lines
chosen() {
	local number=$1
	shift
	ours audit "${day[@]}" "$@"
	cp "$scratch/out" "$scratch/chosen"
	is "$number: $*" "$(grep -c . "$scratch/out")" "$number"
	ebb audit --from "$dir/audit.jsonl" "${day[@]}" "$@"
	check "the same from JSON lines: $*" diff "$scratch/chosen" "$scratch/out"
}
chosen 19 --episode aaaa000000000001
chosen 20 --destination db.example.com:5432
chosen 4 --destination 10.0.7.1:6379
chosen 132 --destination '*.example.net:443'
chosen 9 --workload batch.service
chosen 240 --workload '/user.slice/*'
chosen 1 --user 1000
chosen 3 --limit 3
chosen 2 --type denials --workload web.service --limit 2
ours audit "${day[@]}" --workload nobody
is 'nothing of the kind' "$rc $out" '0 Nothing of the kind happened in that time.'

# ---- nothing of a size that would be felt

start=$(now_ms)
for _ in 1 2 3 4 5 6 7 8 9 10; do
	ours audit "${day[@]}" --limit 1
done
note <<<"ebb audit: $((($(now_ms) - start) / 10)) ms each, with the shell"

done_testing

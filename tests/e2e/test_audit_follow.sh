#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 'ebb audit --follow' beside an agent that writes and a command that does, too: each event once, in the order of the file, over
# rotations; from the database; with filters; and it ends when it is told to, or when nobody reads it any more.
# deadline: 90

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

dir=$scratch/audit lines=$scratch/audit/audit.jsonl db=$scratch/audit/audit.db
mkdir -p "$dir/deadletter"
unset EBB_AUDIT_SQLITE_PATH # the file says it
cat >"$scratch/ebb.yaml" <<-YAML
	audit: {file: {path: $lines, size: 1MB, keep: 5}, sqlite: {path: $db, keep: 3660d}}
YAML

# letters FROM COUNT: dead letters of events that nobody else has, 900 bytes each
letters() {
	"$python" -S -c 'import sys
for i in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    print("""{"time":"2026-11-29T06:00:00.000000Z","reason":"made up","event":{"id":"019acdb3-0000-7000-8000-%012d","timestamp":"2026-11-29T05:51:51.123456Z","event_type":"denials","user_id":"/web","session_id":"9f3c","ip_address":"","outcome":"denied","outcome_details":"","details":{"destination":"10.0.0.5:443/tcp","workload":"/web","number":%d,"padding":"%s"}}}""" % (i, i, "x" * 600))' "$@"
}
replay() {
	letters "$1" "$2" >"$dir/deadletter/jsonl.jsonl"
	"$ebb_program" deadletter replay --pin "$pin" --config "$scratch/ebb.yaml" --dir "$dir" --sink jsonl
}

# follow NAME OPTION...: in the background; its output is $scratch/NAME, its pid in follower
follow() {
	local name=$1
	shift
	background "$ebb_program" audit --follow --pin "$pin" "$@" >"$scratch/$name" 2>"$scratch/$name.err"
	follower=$!
}
# stands_behind PID BYTES FILE: it has it open, and is behind so many
stands_behind() {
	local fd
	for fd in "/proc/$1/fd"/*; do
		[ "$(readlink "$fd")" = "$3" ] || continue
		[ "$(awk '/^pos:/ { print $2 }' "/proc/$1/fdinfo/${fd##*/}")" -ge "$2" ] && return
	done
	return 1
}
has_lines() { [ "$(wc -l <"$scratch/$1")" -ge "$2" ]; }
all_lines() { find "$dir" -name 'audit.jsonl*' | sort -t. -k3nr | xargs cat; }
order() { "$ebb_program" breaker "$1" 127.0.0.1:1 --pin "$pin" >/dev/null 2>&1; }

# ---- wrong use

rc=0
"$ebb_program" audit -f --until 1h --pin "$pin" 2>"$scratch/err" || rc=$?
is 'there is no end' "$rc $(cat "$scratch/err")" \
	'2 ebb audit: --until: with --follow there is no end: leave one of them out'

# ---- a log that is not there yet

follow early.json --config "$scratch/ebb.yaml" -o json
early=$follower
check 'a log that is not there is waited for' wait_for 10 grep -q "no audit log in $db yet: waiting for it" "$scratch/early.json.err"

# ---- beside who writes

replay 0 900 >/dev/null || bail 'no lines'
before=$(wc -l <"$lines")
bytes=$(stat -c %s "$lines")
between 'the file is nearly full' "$bytes" 700000 1000000
follow file.json --from "$lines" -o json
file=$follower
follow past.json --from "$lines" -o json --since 2026-11-01 --type denials --limit 3
past=$follower
wait_for 10 stands_behind "$file" "$bytes" "$lines" || bail 'nobody follows'
check 'what came before, if that is asked for' wait_for 10 has_lines past.json 3

start_agent --config "$scratch/ebb.yaml"
connect 127.0.0.1 1 >/dev/null
wait_for 10 order open || bail 'no order'
check 'a database that comes later is followed from its start' wait_for 10 grep -q agent_start "$scratch/early.json"
follow orders.txt --type override --limit 1
orders=$follower
wait_for 10 has_lines orders.txt 1
for _ in 1 2 3 4 5; do
	order open
	order auto
done &
writer=$!
kill -STOP "$file" # and finds all at once when it goes on
replay 10000 700 >/dev/null
replay 20000 1000 >/dev/null
replay 30000 1000 >/dev/null
wait "$writer"
stop_agent
rotated() { [ -e "$lines.2" ]; }
check 'the file was moved aside twice' rotated
kill -CONT "$file"
total=$(all_lines | wc -l)
check 'each event is told' wait_for 10 has_lines file.json $((total - before))
check 'once, as it is, in the order of the file' diff <(all_lines | tail -n +$((before + 1))) "$scratch/file.json"
check 'so it is after the past' wait_for 10 has_lines past.json 2703
check 'with what is asked for alone' diff <(all_lines | grep '"denials"' | tail -n 2703) "$scratch/past.json"
check 'orders are told from the database' wait_for 10 has_lines orders.txt 14
is 'each once, as text' "$(grep -Eoc "  override +'ebb (breaker (open|auto) 127.0.0.1:1|deadletter replay) .*' by uid 0" "$scratch/orders.txt") $(wc -l <"$scratch/orders.txt")" '14 14'
stored=$(sqlite3 "$db" 'select count(*) from audit_log')
check 'all that the database has' wait_for 10 has_lines early.json "$stored"
is 'and that once' "$(wc -l <"$scratch/early.json") $(sort -u "$scratch/early.json" | wc -l)" "$stored $stored"

# ---- what may become of the files

mv "$db" "$db.old" && rm -f "$db"-*
start_agent --config "$scratch/ebb.yaml"
check 'a database that was moved away: the next one is followed' wait_for 10 has_lines early.json $((stored + 2))
has_all() { [ "$(tail -n 1 "$lines")" = "$(tail -n 1 "$scratch/file.json")" ]; }
wait_for 10 has_all
total=$(wc -l <"$scratch/file.json")
head -c 100 "$lines.2" >>"$lines" # a writer that dies
kill -HUP "$agent"
check 'half a line is none, and what comes behind it is told' wait_for 10 has_lines file.json $((total + 1))
check 'as it is' has_all
rm -f "$dir"/audit.jsonl*
kill -HUP "$agent"
check 'removed by hand: on with the new one' wait_for 10 has_lines file.json $((total + 2))

# ---- the end

for pid in "$file" "$past" "$early"; do
	end "$pid" INT
	is 'Ctrl-C is no error' "$status" 0
done
end "$orders" TERM
is 'nor is SIGTERM' "$status" 0
is 'nothing was left out' "$(cat "$scratch"/{file,past,early}.json.err "$scratch/orders.txt.err" | grep -v 'waiting for it')" ''
rc=0
# shellcheck disable=SC2016
timeout 20 bash -o pipefail -c '"$0" audit -f --limit 1 --pin "$1" | head -n 1' "$ebb_program" "$pin" >"$scratch/one" || rc=$?
is 'when nobody reads it any more it ends' "$rc $(wc -l <"$scratch/one")" '0 1'
mkfifo "$scratch/pipe"
exec {pipe}<>"$scratch/pipe" # else the next one would wait
exec {nobody}>"$scratch/pipe"
exec {pipe}<&-
rc=0
timeout 20 "$ebb_program" audit -f --limit 1 --pin "$pin" 1>&"$nobody" 2>"$scratch/err" || rc=$?
is 'also when it finds out while it writes' "$rc $(cat "$scratch/err")" '0 '
stop_agent

done_testing

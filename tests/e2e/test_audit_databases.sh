#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deadline: 400
#
# The audit log in real databases: every event that was accepted is there once, whatever happens to the server or to us, and
# what is wrong with a database is said in one line.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
data=$scratch/postgres
as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups)
export PGHOST=$scratch/socket PGSSLMODE=disable PGGSSENCMODE=disable PGCONNECT_TIMEOUT=10 PGUSER=ebb PGDATABASE=ebb
export PGPORT=$((15000 + RANDOM % 15000))
password=not-to-be-seen-anywhere
echo "$password" >"$scratch/password"

install -d -o postgres -m 700 "$data"
install -d -o postgres -m 755 "$PGHOST"
"${as_postgres[@]}" "$bin/initdb" -A trust -N -D "$data" >"$scratch/initdb" 2>&1 || bail "$(cat "$scratch/initdb")"
# By TCP, 'ebb' needs its password; by the socket, nobody does.
cat >"$data/pg_hba.conf" <<'H'
local all all trust
host all ebb 127.0.0.1/32 scram-sha-256
H

start_postgres() {
	background "${as_postgres[@]}" "$bin/postgres" -D "$data" -p "$PGPORT" -c listen_addresses=127.0.0.1 \
		-c unix_socket_directories="$PGHOST" -c max_connections=20 >>"$scratch/postgres.log" 2>&1
	postmaster=$!
	wait_for 20 as_root 'select 1' || bail "PostgreSQL does not start: $(tail -3 "$scratch/postgres.log")"
}
stop_postgres() {
	kill -QUIT "$postmaster"
	wait_for 10 gone "$postmaster"
}
# as_root SQL [DATABASE]; sql SQL
as_root() { psql -XAtq -U postgres -d "${2:-postgres}" -c "$1" 2>>"$scratch/psql.err"; }
# Also where nothing may be written.
sql() { PGOPTIONS='-c default_transaction_read_only=off' as_root "$1" "$PGDATABASE"; }

# A database of its own for each part, so that none sees what another left.
new_database() {
	PGDATABASE=$1
	as_root "create database $1 owner ebb"
	rm -rf "$scratch/audit"
}

# feed RUN COUNT SECONDS SINK...: to its end
feed() {
	"$EBB_BUILD/tests/e2e/audit_feed" "$scratch/audit" "$@" >"$scratch/feed" 2>>"$scratch/feed.err"
}
# The same in the background.
start_feed() {
	: >"$scratch/feed"
	background "$EBB_BUILD/tests/e2e/audit_feed" "$scratch/audit" "$@" >"$scratch/feed" 2>>"$scratch/feed.err"
	feeder=$!
}
kill_feed() {
	end "$feeder" KILL
	cat "$scratch/feed" >>"$scratch/feed.all"
}
# The last number behind words $1 in what the feeder says.
said() { sed -n "s/^$1 //p" "$scratch/feed" | tail -1; }
has_said() { [ "$(said "$1")" -ge "$2" ]; }
says() { grep -qF "$1" "$scratch/feed"; }
complains() {
	if wait_for 10 says "$2"; then ok "$1"; else not_ok "$1" "$(tail -5 "$scratch/feed")"; fi
}

# Rows, different numbers, greatest number of run $1; the same of all for SQLite.
counts() {
	printf "select count(*) || ' ' || count(distinct details->>'number') || ' ' || max(cast(details->>'number' as int))
		from audit_log where cast(details->>'run' as int) = %s" "$1"
}
in_postgres() { sql "$(counts "$1")"; }
in_sqlite() { sqlite3 -bail "${2:-$scratch/audit.db}" "$(counts "$1")" 2>>"$scratch/psql.err"; }

start_postgres
as_root "create role ebb login password '$password'"

# ---- all at once

new_database first
check 'three sinks take 10,000 events' feed 1 10000 60 "file=$scratch/audit.jsonl" "sqlite=$scratch/audit.db" postgres
is 'PostgreSQL has each once' "$(in_postgres 1)" '10000 10000 9999'
is 'SQLite has each once' "$(in_sqlite 1)" '10000 10000 9999'
is 'so has the file' "$(sort -u "$scratch/audit.jsonl" | wc -l) $(wc -l <"$scratch/audit.jsonl")" '10000 10000'
both="select string_agg(t, ' ' order by t) from (select id || destination || amount || user_id || outcome as t from audit_log
	where details->>'number' in ('0', '77', '9999')) s"
lite_both="select group_concat(t, ' ') from (select id || destination || amount || user_id || outcome as t from audit_log
	where details->>'number' in (0, 77, 9999) order by t)"
is 'the same in both' "$(sql "$both")" "$(sqlite3 "$scratch/audit.db" "$lite_both")"
like 'and what it is' "$(sql "select destination, amount, at_breaker, would, event_type from audit_log where details->>'number' = '7'")" \
	'^a "quoted\\name", \{and\} such\|7\|7\|\|denials$'

# ---- the server

new_database stops
start_feed 1 20000 120 postgres
wait_for 30 has_said 'postgres delivered' 5000
stop_postgres
complains 'a server that is gone is told' 'postgres fails: PostgreSQL at'
start_postgres
check 'it is stopped and started in the middle' wait_for 60 gone "$feeder"
is 'each event is there once' "$(in_postgres 1)" '20000 20000 19999'

new_database frozen
rm -f "$scratch/audit.db"
start_feed 1 60000 120 postgres "sqlite=$scratch/audit.db"
wait_for 30 has_said 'postgres delivered' 2000
mapfile -t servers < <(pgrep -P "$postmaster"; echo "$postmaster")
kill -STOP "${servers[@]}"
complains 'a server that does not answer costs a deadline' 'database frozen: it does not answer in time'
wait_for 30 has_said 'sqlite delivered' 60000
kill -CONT "${servers[@]}"
check 'all arrive when it goes on' wait_for 60 gone "$feeder"
is 'in PostgreSQL once' "$(in_postgres 1)" '60000 60000 59999'
is 'in SQLite once' "$(in_sqlite 1)" '60000 60000 59999'

# ---- a server that takes the connection and never says a word, and we are killed

new_database silent
rm -f "$scratch/audit.db"
background "$python" -S -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
taken = []
while True: taken.append(s.accept())' >"$scratch/silent"
silent=$!
wait_for 10 test -s "$scratch/silent"
PGHOST=127.0.0.1 PGPORT=$(cat "$scratch/silent") start_feed 1 10000 60 postgres
check 'all are on the disk while PostgreSQL does not answer' wait_for 8 has_said spooled 10000
kill_feed
end "$silent" KILL
check 'and arrive by the next start' feed 2 0 60 postgres
is 'each once' "$(in_postgres 1)" '10000 10000 9999'

# ---- we

new_database kills
rm -f "$scratch/audit.db"
lost=''
for run in 1 2 3 4 5; do
	start_feed "$run" 10000 60 postgres "sqlite=$scratch/audit.db"
	wait_for 30 has_said spooled $((run * 1500))
	kill_feed
	spooled[run]=$(said spooled)
done
check 'killed five times, then it drains' feed 9 0 60 postgres "sqlite=$scratch/audit.db"
for run in 1 2 3 4 5; do
	# a beginning without holes, nothing twice, and at least what was said to be safe
	for place in in_postgres in_sqlite; do
		read -r rows different last <<<"$($place "$run")"
		[ "$rows" = "$different" ] && [ "$rows" = $((last + 1)) ] && [ "$rows" -ge "${spooled[run]}" ] ||
			lost+="$place $run: $rows rows, $different different, last $last, spooled ${spooled[run]};"
	done
done
is 'every accepted event is there once, in both' "$lost" ''

# ---- dead letters, offered again by hand

new_database letters
rm -f "$scratch/audit.db"
cat >"$scratch/letters.yaml" <<-YAML
	audit:
	  sqlite: {path: $scratch/audit.db}
	  postgres: {host: $PGHOST, port: $PGPORT, database: letters, delivery: {attempts: 1}}
YAML
# letters SINK: 20,000 of run 7, behind those that are there
letters() {
	"$python" -S -c 'for i in range(20000):
    print("""{"time":"2026-11-29T06:00:00.000000Z","reason":"made up","event":{"id":"019acdb3-0000-7000-8000-%012d","timestamp":"2026-11-29T05:51:51.123456Z","event_type":"denials","user_id":"/web","session_id":"9f3c","ip_address":"","outcome":"denied","outcome_details":"","details":{"run":7,"number":%d}}}""" % (i, i))' \
		>>"$scratch/audit/deadletter/$1.jsonl"
}
dead() { "$ebb_program" deadletter "$@" --pin "$pin" --config "$scratch/letters.yaml" --dir "$scratch/audit"; }
# started IN_POSTGRES-OR-IN_SQLITE: some of run 7 are there
started() { [ "$("in_$1" 7 | cut -d ' ' -f 1)" -ge 500 ]; }

unset EBB_AUDIT_SQLITE_PATH # the file says it
stop_postgres
FEED_ATTEMPTS=1 check 'a server that is away for long: dead letters' feed 6 600 60 postgres
is 'all of them' "$(wc -l <"$scratch/audit/deadletter/postgres.jsonl")" 600
start_postgres
for sink in sqlite postgres; do
	letters "$sink"
	background "$ebb_program" deadletter replay --sink "$sink" --pin "$pin" --config "$scratch/letters.yaml" --dir "$scratch/audit" \
		>/dev/null 2>&1
	replay=$!
	wait_for 20 started "$sink"
	end "$replay" KILL
	refute "$sink: killed in the middle" test "$(in_"$sink" 7)" = '20000 20000 19999'
	check "$sink: replayed again" dead replay --sink "$sink"
	is "$sink: each is there once" "$(in_"$sink" 7)" '20000 20000 19999'
done
is 'so is what the server missed' "$(in_postgres 6)" '600 600 599'
is 'no letter is left' "$(dead list)" 'No dead letters.'

# ---- backup and restore, as in docs/audit.md

is 'pg_dump' "$(pg_dump -U postgres -Fc -t 'audit_log*' -f "$scratch/audit.dump" 2>&1)" ''
sqlite3 "$scratch/audit.db" ".backup '$scratch/backup.db'"
"$ebb_program" audit --from "$scratch/audit.db" --pin "$pin" --since 2026-11-01 -o json >"$scratch/kept.jsonl"
gzip -c "$scratch/kept.jsonl" >"$scratch/audit.jsonl.gz"
new_database restored
is 'pg_restore' "$(pg_restore -U ebb --no-owner -d restored "$scratch/audit.dump" 2>&1)" ''
is 'all is there' "$(in_postgres 7)" '20000 20000 19999'
psql -XAtq -U postgres -v ON_ERROR_STOP=1 -f "$root/docs/examples/audit_log_as_lines.sql" >"$scratch/lines.jsonl"
asked() { "$ebb_program" audit --from "$1" --pin "$pin" --since 2026-11-01 -o json | wc -l; }
is "'ebb audit' is asked of PostgreSQL's" "$(asked "$scratch/lines.jsonl")" 20600
is "and of SQLite's" "$(asked "$scratch/backup.db")" 20000
gunzip -c "$scratch/audit.jsonl.gz" >"$scratch/archive.jsonl"
is "and of the file's" "$(asked "$scratch/archive.jsonl")" 20000
check 'and the sink goes on with what was restored' feed 8 100 30 postgres
is 'to write' "$(in_postgres 8)" '100 100 99'

# ---- what is wrong with a database

new_database crowded
as_root 'alter role ebb connection limit 1'
background psql -Xq -c 'select pg_sleep(600)' >/dev/null 2>&1
guest=$!
busy() { [ "$(as_root "select count(*) from pg_stat_activity where usename = 'ebb'")" = 1 ]; }
wait_for 10 busy
start_feed 1 100 60 postgres
complains 'too many clients' 'database crowded: too many connections for role "ebb"'
as_root "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ebb'" >/dev/null
check 'when there is room, it goes on' wait_for 30 gone "$feeder"
is 'and each is there' "$(in_postgres 1)" '100 100 99'
kill "$guest" 2>/dev/null
as_root 'alter role ebb connection limit -1'

# broken NAME WHAT SAYS BREAK MEND: a batch waits until it is mended.
broken() {
	feed 1 10 30 postgres || not_ok "$2: before" "$(tail -3 "$scratch/feed")"
	sql "$4" >/dev/null || not_ok "$2: cannot be made" "$(tail -3 "$scratch/psql.err")"
	start_feed 2 100 60 postgres
	complains "$2" "$3"
	kill_feed
	refute "$2: nothing is a dead letter" test -s "$scratch/audit/deadletter/postgres.jsonl"
	sql "$5" >/dev/null || not_ok "$2: cannot be mended" "$(tail -3 "$scratch/psql.err")"
	check "$2: mended" feed 3 0 30 postgres
	is "$2: all is there" "$(in_postgres 2)" '100 100 99'
}

new_database readonly
broken readonly 'a read-only database' 'cannot execute INSERT in a read-only transaction: it is read-only (a standby?)' \
	'alter database readonly set default_transaction_read_only = on' 'alter database readonly reset default_transaction_read_only'
new_database rights
broken rights 'missing rights' 'permission denied for table audit_log: give the user the rights that docs/audit.md names' \
	'revoke insert on audit_log from ebb' 'grant insert on audit_log to ebb'
new_database shape
broken shape 'a table of another shape' 'of relation "audit_log" does not exist: its table is not that of this version of ebb' \
	'alter table audit_log rename column outcome to result' 'alter table audit_log rename column result to outcome'
new_database newer
broken newer 'tables of a newer version' 'its tables are of version 99, and we know up to' \
	"insert into audit_log_migrations values (99, 'later')" 'delete from audit_log_migrations where version = 99'
new_database others
sql 'create table audit_log (what text)'
start_feed 1 10 30 postgres
complains "somebody else's table" 'its table audit_log was not made by ebb'
kill_feed
is 'is left alone' "$(sql 'select count(*) from audit_log')" 0

new_database schema
sql 'alter schema public owner to postgres; grant usage on schema public to ebb'
start_feed 1 10 30 postgres
complains 'no right to make tables' 'permission denied for schema public: give the user the rights that docs/audit.md names'
kill_feed

PGDATABASE=nowhere
start_feed 1 10 30 postgres
complains 'no such database' 'database "nowhere" does not exist: make the database, or name another'
kill_feed

new_database rule
feed 1 10 30 postgres
sql "alter table audit_log add constraint seven check (details->>'number' <> '7') not valid"
check 'a rule of the table forbids one of 100' feed 2 100 30 postgres
is 'the others are there' "$(in_postgres 2)" '99 99 99'
is 'that one is a dead letter' "$(grep -c '"number":7,' "$scratch/audit/deadletter/postgres.jsonl") $(wc -l <"$scratch/audit/deadletter/postgres.jsonl")" '1 1'

# ---- passwords

new_database secret
PGHOST_SOCKET=$PGHOST
PGHOST=127.0.0.1
echo wrong-password-$password >"$scratch/wrong"
start_feed 1 10 30 "postgres=$scratch/wrong"
complains 'a wrong password' 'password authentication failed for user "ebb": check user, password_file'
kill_feed
start_feed 1 10 30 "postgres=$scratch/nowhere"
complains 'no password file' "cannot read the password file $scratch/nowhere: No such file or directory"
kill_feed
check 'the right one' feed 1 10 30 "postgres=$scratch/password"
PGPASSWORD=$password check 'from the environment' feed 2 10 30 postgres
PGHOST=localhost PGPASSWORD=$password check 'a name is looked up' feed 3 10 30 postgres
# whoever else would be asked for it may not be in reach
echo 'hosts: files' >"$scratch/nsswitch.conf"
# shellcheck disable=SC2016
PGHOST=host.invalid background unshare -m sh -c 'mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf && exec "$1" "$0/audit" 4 10 30 postgres' \
	"$scratch" "$EBB_BUILD/tests/e2e/audit_feed" >"$scratch/feed" 2>>"$scratch/feed.err"
feeder=$!
complains 'a name that is none' 'there is no host host.invalid'
kill_feed
# A resolver that never answers, in a world of its own.
echo 'nameserver 127.0.0.1' >"$scratch/resolv.conf"
# shellcheck disable=SC2016
PGHOST=db.example.com background unshare -mn sh -c '
	ip link set lo up && mount --bind "$0/resolv.conf" /etc/resolv.conf || exit 1
	setpriv --pdeathsig KILL "$1" -c "import socket, time; s = socket.socket(2, 2); s.bind((\"127.0.0.1\", 53)); time.sleep(60)" &
	exec "$2" "$0/audit" 5 10 20 postgres' "$scratch" "$python" "$EBB_BUILD/tests/e2e/audit_feed" \
	>"$scratch/feed" 2>>"$scratch/feed.err"
feeder=$!
complains 'a resolver that does not answer costs a deadline' 'the host db.example.com is looked up, and there is no answer yet'
kill_feed
PGHOST=$PGHOST_SOCKET
refute 'no password was ever printed' grep -r "$password" "$scratch"/feed.all "$scratch/feed.err"

# ---- tables

migrations=$root/user/export/migrations
script() { psql -Xq -1 -v ON_ERROR_STOP=1 -f "$1" >/dev/null 2>>"$scratch/psql.err"; }
new_database steps
ups=("$migrations"/postgres/*.up.sql)
downs=("$migrations"/postgres/*.down.sql)
tables() { sql "select count(*) from pg_class where relnamespace = 'public'::regnamespace"; }
for file in "${ups[@]}"; do check "up by hand: $(basename "$file")" script "$file"; done
check 'those tables will do' feed 1 10 30 postgres
for ((i = ${#downs[@]} - 1; i >= 0; i--)); do check "down by hand: $(basename "${downs[i]}")" script "${downs[i]}"; done
is 'nothing is left' "$(tables)" 0
check 'up by ourselves' feed 2 10 30 postgres
is 'and written' "$(in_postgres 2)" '10 10 9'

new_database many
pids=()
for node in 1 2 3 4; do
	background "$EBB_BUILD/tests/e2e/audit_feed" "$scratch/audit.$node" "$node" 2000 60 postgres >"$scratch/feed.$node" 2>&1
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || not_ok 'a node fails' "$(tail -3 "$scratch"/feed.?)"; done
is 'four nodes begin at once: tables are made once' "$(sql 'select count(*) from audit_log_migrations')" "${#ups[@]}"
is 'and all is there' "$(sql 'select count(*) from audit_log')" 8000

# ---- rights as in docs/audit.md

as_root 'create role writer login'
new_database narrow
feed 1 1 30 postgres
as_root 'grant insert, select (id) on audit_log to writer; grant select on audit_log_migrations to writer' narrow
PGUSER=writer check 'rights to add alone will do' feed 2 100 30 postgres
is 'to add' "$(in_postgres 2)" '100 100 99'
PGUSER=writer refute 'not to change' psql -Xqc 'delete from audit_log'

# ---- retention

new_database old
feed 1 10 30 postgres
sql "update audit_log set timestamp = timestamp - interval '2 hours'" >/dev/null
sql "insert into audit_log select gen_random_uuid(), timestamp, event_type, user_id, session_id, ip_address, details, outcome,
	outcome_details from audit_log, generate_series(1, 1200)" >/dev/null
check 'old events go' feed 2 10 30 postgres
is 'all of them' "$(sql 'select count(*) from audit_log')" 10
FEED_AHEAD_S=86400 check 'a node whose clock is a day ahead' feed 3 10 30 postgres
is 'removes nothing of the others' "$(sql 'select count(*) from audit_log')" 20

# ---- somebody reads, and stands still in the middle

rm -rf "$scratch/audit" "$scratch/audit.db"*
feed 1 5000 60 "sqlite=$scratch/audit.db"
mkfifo "$scratch/pager"
exec 8<>"$scratch/pager" # or this shell would wait for a reader
background "$ebb_program" audit --from "$scratch/audit.db" --pin "$pin" --since 2026-11-01 >"$scratch/pager"
reader=$!
exec 7<"$scratch/pager" 8<&-
has_closed() { [ -d "/proc/$reader" ] && ! find "/proc/$reader/fd" -lname '*audit.db*' | grep -q .; }
check 'output that nobody takes keeps no database open' wait_for 20 has_closed
is 'and all of it comes' "$(wc -l <&7)" 5000
exec 7<&-

# ---- a full disk

mkdir "$scratch/small"
mount -t tmpfs -o size=2m none "$scratch/small" || bail 'no tmpfs'
trap 'umount "$scratch/small"; cleanup' EXIT
rm -rf "$scratch/audit"
start_feed 1 20000 60 "sqlite=$scratch/small/audit.db"
complains 'a full disk' 'database or disk is full: make room on its disk'
kill_feed
mount -o remount,size=64m "$scratch/small"
check 'when there is room, it goes on' feed 2 0 60 "sqlite=$scratch/small/audit.db"
read -r rows different last <<<"$(in_sqlite 1 "$scratch/small/audit.db")"
is 'nothing is lost or twice' "$rows $different" "$((last + 1)) $((last + 1))"
refute 'nothing was a dead letter' test -s "$scratch/audit/deadletter/sqlite.jsonl"
umount "$scratch/small"
trap cleanup EXIT
stop_postgres # in order, or its children outlive it

done_testing

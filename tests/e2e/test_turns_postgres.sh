#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Turns against PostgreSQL: sessions that idle, backends that are terminated and killed, a server that stops.

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
data=$scratch/postgres
export PGHOST=127.0.0.1 PGUSER=postgres PGSSLMODE=disable PGGSSENCMODE=disable PGCONNECT_TIMEOUT=10
as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups)

install -d -o postgres -m 700 "$data"
"${as_postgres[@]}" "$bin/initdb" -A trust -N -D "$data" >"$scratch/initdb" 2>&1 || bail "$(cat "$scratch/initdb")"
export PGPORT=$((15000 + RANDOM % 15000))
server "${as_postgres[@]}" "$bin/postgres" -D "$data" -p "$PGPORT" -c listen_addresses=127.0.0.1 \
	-c unix_socket_directories= -c fsync=off >"$scratch/postgres.log" 2>&1
postmaster=$!
# Not governed.
sql() { psql -XAtqc "$1" 2>/dev/null; }
wait_for 20 sql 'select 1' || bail "PostgreSQL does not start: $(tail -3 "$scratch/postgres.log")"

cat >"$EBB_CONFIG" <<'Y'
mode: enforce
defaults:
  breaker: {min_calls: 1000}
Y
start_agent --config "$EBB_CONFIG"

# session: psql in the cgroup; descriptor 8 is its input.
sessions=0
session() {
	sessions=$((sessions + 1))
	output=$scratch/psql.$sessions
	mkfifo "$output.in"
	# shellcheck disable=SC2016
	background sh -c 'echo $$ >"$0" && exec psql -XAtq <"$1"' "$cgroup/cgroup.procs" "$output.in" >"$output" 2>&1 8>&-
	psql=$!
	exec 8>"$output.in"
	echo "select 'ready';" >&8
	wait_for 10 printed ready || bail "psql: $(cat "$output")"
}
printed() { grep -q "$1" "$output"; }
hang_up() {
	exec 8>&-
	wait_for 10 gone "$psql"
}
backend() { sql "select pid from pg_stat_activity where query like '$1%' and pid <> pg_backend_pid() and client_port is not null"; }
backend_is() { [ -n "$(backend "$1")" ]; }

check 'a query' in_cgroup psql -XAtqc 'select 1' -o /dev/null
ended 'start-up and query are answered, Terminate is nothing' "$PGPORT" answered=2

session
sql "select pg_terminate_backend($(backend "select ''ready''"))" >/dev/null
hang_up
ended 'terminated while it idles: no failure' "$PGPORT" answered=4

session
echo 'select pg_sleep(30);' >&8
check 'a query is under way' wait_for 5 backend_is 'select pg_sleep'
sql "select pg_terminate_backend($(backend 'select pg_sleep'))" >/dev/null
check 'it is told' wait_for 5 printed 'terminating connection due to administrator command'
hang_up
ended 'terminated in a query: the error is an answer' "$PGPORT" answered=7

# kill -9: the backend says nothing. PostgreSQL ends all others, and recovers.
crash() {
	echo "$1" >&8
	wait_for 5 backend_is 'select pg_sleep' || bail 'no query is under way'
	kill -KILL "$(backend 'select pg_sleep')"
	wait_for 5 printed 'closed the connection unexpectedly' || bail "psql does not see the crash: $(cat "$output")"
	hang_up
	wait_for 20 sql 'select 1' || bail 'PostgreSQL does not recover'
}
session
crash "select pg_sleep(30), '$(printf '%0200d' 0)';"
ended 'a backend that dies in a query: unanswered' "$PGPORT" 'answered=9 unanswered=1 failures=1'
session
crash 'select pg_sleep(30);'
ended 'in one so short that it may be a farewell: nothing' "$PGPORT" 'answered=11 unanswered=1 failures=1'

session
echo "select pg_sleep(30), '$(printf '%0200d' 0)';" >&8
check 'a last query' wait_for 5 backend_is 'select pg_sleep'
end "$postmaster" QUIT
check 'immediate shutdown: it is told' wait_for 5 printed 'immediate shutdown'
hang_up
ended 'and that is an answer' "$PGPORT" 'answered=14 unanswered=1 failures=1'

done_testing
